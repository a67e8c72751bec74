"""Rotary positions (RoFormer, arXiv 2104.09864): queries and keys are turned by their place in time.

Neighbouring channels form pairs. Visual tokens turn faster than latents by the ratio of the rates, so that the same
moment has the same angle in both streams.
"""

from __future__ import annotations

import torch
from torch import Tensor


def angles(length: int, width: int, ratio: float = 1.0, device: torch.device | str = "cpu") -> Tensor:
    """The turns of positions 0 to length - 1: complex [length, width / 2] of length 1, single precision.

    `width` is the width of one head, `ratio` how many positions of the latents one position here stands for.
    """
    pairs = torch.arange(0, width, 2, dtype=torch.float32, device=device)
    turns = 1.0 / 10_000.0 ** (pairs / width) * ratio
    theta = torch.outer(torch.arange(length, dtype=torch.float32, device=device), turns)
    return torch.complex(theta.cos(), theta.sin())


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Turn the channel pairs of x [..., T, d], float32, by the `angles` [T, d / 2]."""
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turns).flatten(-2)
