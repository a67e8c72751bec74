"""Sounds of any length: windows that overlap, and one velocity blended from theirs in every step.

All windows look at the same latents, so where two overlap they agree on one sound and no seam is left (MultiDiffusion,
arXiv 2302.08113). The network only ever sees one window: its memory does not grow with the length.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from reasound.synthesis.flow import Velocity

Span = tuple[int, int]


def spans(length: int, window: int, overlap: int) -> list[Span]:
    """Windows (start, stop) that cover `length` latents, evenly spread, neighbours sharing at least `overlap`."""
    if not 0 <= overlap < window:
        raise ValueError(f"windows of {window} latents cannot overlap by {overlap}")
    if length <= window:
        return [(0, length)]
    count = -(-(length - overlap) // (window - overlap))
    starts = [round(i * (length - window) / (count - 1)) for i in range(count)]
    return [(start, start + window) for start in starts]


def shares(windows: Sequence[Span]) -> list[Tensor]:
    """How much each window says about each of its latents: ramps where neighbours overlap, summing to 1 everywhere."""
    weights = [torch.ones(stop - start) for start, stop in windows]
    for (before, after), (left, right) in zip(pairwise(windows), pairwise(weights), strict=True):
        both = before[1] - after[0]
        ramp = (torch.arange(both) + 0.5) / both
        left[-both:] *= 1 - ramp
        right[:both] *= ramp
    total = torch.zeros(windows[-1][1])
    for (start, stop), weight in zip(windows, weights, strict=True):
        total[start:stop] += weight
    return [weight / total[start:stop] for (start, stop), weight in zip(windows, weights, strict=True)]


def windowed(velocities: Sequence[Velocity], windows: Sequence[Span]) -> Velocity:
    """One velocity over the whole length from one for each window."""
    weights = shares(windows)

    def blended(x: Tensor, t: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        for velocity, (start, stop), weight in zip(velocities, windows, weights, strict=True):
            out[..., start:stop] += weight.to(x.device) * velocity(x[..., start:stop], t)
        return out

    return blended
