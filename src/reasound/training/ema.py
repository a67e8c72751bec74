"""An exponential moving average of a model's weights: what is validated and released."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


class Ema(Generic[Model]):
    """`model` is a copy whose weights follow the trained ones: over the first steps quickly, then at `decay`."""

    def __init__(self, trained: Model, decay: float = 0.999) -> None:
        self.model: Model = copy.deepcopy(trained).requires_grad_(False).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, trained: Model, step: int) -> None:
        """Take a part of the trained weights after step `step` (counted from 1)."""
        decay = min(self.decay, 1.0 - 1.0 / (1.0 + step / 10.0))
        torch._foreach_lerp_(
            list(self.model.parameters()), [p.detach() for p in trained.parameters()], 1.0 - decay
        )
