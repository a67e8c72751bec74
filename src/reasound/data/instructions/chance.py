"""Draws from lists, quickly: numpy's own choice is made for arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Chance:
    """Random choices from one generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def of(self, items: Sequence[T]) -> T:
        return items[int(self.rng.random() * len(items))]

    def happens(self, probability: float) -> bool:
        return self.rng.random() < probability

    def between(self, low: float, high: float, digits: int = 1) -> float:
        return round(low + (high - low) * self.rng.random(), digits)

    def some(self, items: Sequence[T], count: int) -> list[T]:
        """`count` different ones in their order."""
        places = sorted(self.rng.permutation(len(items))[:count].tolist())
        return [items[i] for i in places]
