"""Where one shot ends and the next begins, without any weights.

A cut changes both the colours of the picture and its layout, at once and for good. A flash changes them at once but
not for good, fast motion changes the layout but hardly the colours, and a fade changes nothing at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from reasound.perception.features import Shot

Picture = NDArray[np.uint8]  # [h, w, 3]

_SIZE = (32, 18)  # width and height: enough to compare layouts
_BINS = 4  # of each colour in the histogram
_LEAST = 0.3  # change (0 to 1) below which nothing is a cut
_TIMES = 3.0  # how far a cut stands out from the changes around it
_AROUND = 8  # pictures on each side that a cut is compared with
_AFTER = 3  # pictures after a flash, by which it is over


def small(picture: Picture) -> Picture:
    """[H, W, 3] -> [18, 32, 3], all that `cuts` looks at."""
    return np.asarray(cv2.resize(picture, _SIZE, interpolation=cv2.INTER_AREA))


def cuts(pictures: Sequence[Picture]) -> list[int]:
    """Numbers of the pictures that open a new shot, the very first not among them."""
    change = np.array([_change(a, b) for a, b in zip(pictures, pictures[1:], strict=False)])
    found: list[int] = []
    for k in map(int, np.flatnonzero(change >= _LEAST)):
        around = change[max(0, k - _AROUND) : k + _AROUND + 1]
        if change[k] < around.max() or change[k] < _TIMES * np.median(around):
            continue
        later = pictures[min(k + 1 + _AFTER, len(pictures) - 1)]
        if _change(pictures[k], later) >= _LEAST:
            found.append(k + 1)
    return found


def between(starts: Sequence[float], seconds: float) -> tuple[Shot, ...]:
    """Times at which new shots open -> the shots of a clip of this length."""
    edges = [0.0, *(start for start in starts if 0 < start < seconds), seconds]
    return tuple(Shot(a, b) for a, b in zip(edges, edges[1:], strict=False))


def find(
    pictures: Sequence[Picture] | Picture, rate: float | Fraction, seconds: float | None = None
) -> tuple[Shot, ...]:
    """The shots of pictures [T, H, W, 3] that follow one another at `rate`, in `seconds` (by default, all of them)."""
    starts = [float(i / Fraction(rate)) for i in cuts([small(picture) for picture in pictures])]
    return between(starts, float(len(pictures) / Fraction(rate)) if seconds is None else seconds)


def _change(before: Picture, after: Picture) -> float:
    """How unlike two pictures are, 0 to 1: the geometric mean of the change of colours and of layout."""
    colours = np.abs(_histogram(before) - _histogram(after)).sum() / 2
    return float(np.sqrt(colours * _moved(before, after)))


def _histogram(picture: Picture) -> NDArray[np.float64]:
    """Shares of the pixels by colour, [64]."""
    level = picture.reshape(-1, 3) // (256 // _BINS)
    counts = np.bincount(level @ np.array([_BINS * _BINS, _BINS, 1]), minlength=_BINS**3)
    return counts / len(level)


def _moved(before: Picture, after: Picture) -> float:
    """1 less the best correlation of luminance under any shift by a tenth of the picture: 0 the same, 1 unrelated."""
    first, second = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float32) for p in (before, after))
    y, x = first.shape[0] // 10 + 1, first.shape[1] // 10 + 1
    inner = first[y:-y, x:-x]
    if inner.std() < 1 or second.std() < 1:  # a plain picture has no layout
        return float(
            np.clip(abs(first.mean() - second.mean()) / 64 + abs(first.std() - second.std()) / 64, 0, 1)
        )
    return float(np.clip(1 - cv2.matchTemplate(second, inner, cv2.TM_CCOEFF_NORMED).max(), 0, 1))
