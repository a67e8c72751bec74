"""How sure a mean is: percentile bootstrap over items (Efron and Tibshirani 1993, chapter 13).

What has no number (nan, None) is left out by the caller, who also says so. The same values and the same seed
give the same digits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

LEVEL, DRAWS = 0.95, 2000
_AT_ONCE = 4_000_000  # drawn values: 32 MB

Bounds = tuple[float, float, float]


def interval(
    values: Sequence[float], rng: int | np.random.Generator, level: float = LEVEL, draws: int = DRAWS
) -> Bounds:
    """(mean, low, high): the mean, and between which bounds it lies at this level, in the unit of the values.

    One value, or values that are all the same, give bounds equal to the mean; no value gives nan.

    Args:
        rng: a seed, or a generator that is drawn from.
        level: share of the drawn means between the bounds.
        draws: how often as many items are drawn from the items, with replacement.

    Raises:
        ValueError: a value is not finite.
    """
    items = np.asarray(values, float).ravel()
    if not np.isfinite(items).all():
        raise ValueError("an item without a number has no place in a mean: leave it out and say so")
    if not len(items):
        return math.nan, math.nan, math.nan
    mean = float(items.mean())
    if np.all(items == items[0]):
        return float(items[0]), float(items[0]), float(items[0])
    low, high = np.quantile(
        _means(items, np.random.default_rng(rng), draws), [(1 - level) / 2, (1 + level) / 2]
    )
    return mean, float(low), float(high)


def paired(
    a: Mapping[str, float],
    b: Mapping[str, float],
    rng: int | np.random.Generator,
    level: float = LEVEL,
    draws: int = DRAWS,
) -> Bounds:
    """(difference, low, high) of the mean of `a` minus the mean of `b` over the items that both have, by id.

    Whole items are drawn, so that what makes an item hard for both does not count. Bounds that leave out 0 are
    a difference beyond noise. nan without a common item.
    """
    common = sorted(a.keys() & b.keys())
    return interval([a[item] - b[item] for item in common], rng, level, draws)


def _means(items: NDArray[np.float64], rng: np.random.Generator, draws: int) -> NDArray[np.float64]:
    """[draws], in parts that fit into memory."""
    rows = max(1, _AT_ONCE // len(items))
    counts = [min(rows, draws - start) for start in range(0, draws, rows)]
    return np.concatenate([items[rng.integers(0, len(items), (n, len(items)))].mean(1) for n in counts])
