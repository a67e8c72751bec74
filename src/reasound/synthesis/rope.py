"""Rotary positions (RoFormer, arXiv 2104.09864): queries and keys are turned by their place in time.

Neighbouring channels form pairs. Visual tokens turn faster than latents by the ratio of the rates, so that the same
moment has the same angle in both streams.
"""

from __future__ import annotations

import torch
from torch import Tensor


def angles(length: int, width: int, ratio: float = 1.0, device: torch.device | str = "cpu") -> Tensor:
    """The turns of positions 0 to length - 1: [2, length, width / 2], cosines then sines, float32.

    `width` is the width of one head, `ratio` how many positions of the latents one position here stands for.
    """
    pairs = torch.arange(0, width, 2, dtype=torch.float32, device=device)
    turns = 1.0 / 10_000.0 ** (pairs / width) * ratio
    theta = torch.outer(torch.arange(length, dtype=torch.float32, device=device), turns)
    return torch.stack([theta.cos(), theta.sin()])


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn the channel pairs of x [..., T, d] by the table [2, T, d / 2] of `angles`."""
    cos, sin = table
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)
