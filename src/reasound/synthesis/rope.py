"""Rotary positions (RoFormer, arXiv 2104.09864): queries and keys are turned by their place in time.

Neighbouring channels form pairs. Visual tokens turn faster than latents by the ratio of the rates, so that the same
moment has the same angle in both streams.
"""

from __future__ import annotations

import torch
from torch import Tensor


def angles(length: int, width: int, ratio: float = 1.0) -> Tensor:
    """The turns of positions 0 to length - 1: cosine and sine [length, width / 2, 2], float32, made on the CPU so that
    every device has the same.

    `width` is the width of one head, `ratio` how many positions of the latents one position here stands for.
    """
    pairs = torch.arange(0, width, 2, dtype=torch.float32)
    turns = 1.0 / 10_000.0 ** (pairs / width) * ratio
    theta = torch.outer(torch.arange(length, dtype=torch.float32), turns)
    return torch.stack([theta.cos(), theta.sin()], -1)


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Turn the channel pairs of x [..., T, d], float32, by the `angles` [T, d / 2, 2]."""
    pairs = x.unflatten(-1, (-1, 2))
    if x.device.type in ("cpu", "cuda"):  # in one pass over x; not every other device knows complex numbers
        turned = torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(turns))
    else:
        turned = turned_by_real_numbers(pairs, turns)
    return turned.flatten(-2)


def turned_by_real_numbers(pairs: Tensor, turns: Tensor) -> Tensor:
    """[..., T, d / 2, 2], as the complex product."""
    (a, b), (cosine, sine) = pairs.unbind(-1), turns.unbind(-1)
    return torch.stack([a * cosine - b * sine, a * sine + b * cosine], -1)
