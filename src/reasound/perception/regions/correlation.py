"""Where a thing went: a correlation filter, learned as it goes.

Ridge regression over all shifts of a patch at once, in the Fourier domain (Bolme et al. 2010, doi
10.1109/CVPR.2010.5539960; with several channels as in Danelljan et al. 2014, doi 10.5244/C.28.65): the
numerator of each channel and the common denominator are running means.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from reasound.perception.features import Floats

Complex = NDArray[np.complex64]

AROUND = 2.5
"""The patch is so many times as large as the thing on each side."""
SCALES = (0.96, 1.0, 1.042)
"""Of the thing, that are tried from picture to picture."""
_CELLS, _CELL = 32, 2  # of the patch, on each side; pixels of a cell
_SIDE = _CELLS * _CELL
_SPREAD = 0.08  # of the wanted answer, in sizes of the thing
_CALM = 1e-2  # added to the denominator
_OTHER_SCALE = 0.985  # what another scale's answer counts: sizes change slowly


class Correlation:
    """Learns from patches round a box and finds the box again nearby. Boxes are x0, y0, x1, y1 in pixels."""

    def __init__(self) -> None:
        wide = _SPREAD * _CELLS / AROUND
        y, x = np.mgrid[:_CELLS, :_CELLS] - _CELLS // 2
        self._wanted = np.fft.rfft2(np.exp(-(x**2 + y**2) / (2 * wide**2))).astype(np.complex64)
        window = np.hanning(_CELLS + 2)[1:-1]
        self._window = np.outer(window, window).astype(np.float32)[..., None]
        self._above: Complex | None = None  # [32, 17, C]
        self._below: Complex | None = None

    def learn(self, picture: Floats, box: Floats, rate: float = 0.06) -> None:
        """picture [h, w, 3] 0 to 1. The first is learned whole."""
        patch = self._patch(picture, box, 1.0)
        above = self._wanted[..., None] * np.conj(patch)
        below = (patch * np.conj(patch)).sum(-1)
        if self._above is None or self._below is None:
            rate = 1.0
            self._above, self._below = above, below
        self._above = (1 - rate) * self._above + rate * above
        self._below = (1 - rate) * self._below + rate * below

    def find(self, picture: Floats, box: Floats, scales: Sequence[float] = SCALES) -> Floats:
        """Near a box: the box where the thing is now."""
        assert self._above is not None and self._below is not None
        best: tuple[float, float, float, float] | None = None
        for scale in scales:
            patch = self._patch(picture, box, scale)
            spectrum = (self._above * patch).sum(-1) / (self._below + _CALM)
            answer = np.asarray(np.fft.irfft2(spectrum, (_CELLS, _CELLS)), np.float32)
            row, column = np.unravel_index(int(answer.argmax()), answer.shape)
            height = float(answer[row, column]) * (1.0 if scale == 1.0 else _OTHER_SCALE)
            if best is None or height > best[0]:
                dx = column + _between(answer[row], int(column)) - _CELLS // 2
                dy = row + _between(answer[:, column], int(row)) - _CELLS // 2
                best = height, dx * scale, dy * scale, scale
        assert best is not None
        _, right, down, grown = best
        side = _extent(box)
        middle = (box[:2] + box[2:]) / 2 + np.array([right, down]) * side / _CELLS
        half = (box[2:] - box[:2]) / 2 * grown
        return np.concatenate([middle - half, middle + half]).astype(np.float32)

    def _patch(self, picture: Floats, box: Floats, scale: float) -> Complex:
        middle, side = (box[:2] + box[2:]) / 2, _extent(box) * scale
        zoom = _SIDE / side
        shift = np.array([_SIDE, _SIDE]) / 2 - middle * zoom
        matrix = np.array([[zoom[0], 0, shift[0]], [0, zoom[1], shift[1]]], np.float64)
        cut = cv2.warpAffine(picture, matrix, (_SIDE, _SIDE), borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(
            np.fft.rfft2(_channels(np.asarray(cut, np.float32)) * self._window, axes=(0, 1)), np.complex64
        )


def _extent(box: Floats) -> Floats:
    """Width and height of the patch: that of a long thing is not as narrow as the thing."""
    size = np.maximum(box[2:] - box[:2], 4.0)
    return np.asarray(AROUND * np.sqrt(size * np.sqrt(size[0] * size[1])), np.float32)


def _channels(cut: Floats) -> Floats:
    """Picture [64, 64, 3] -> [32, 32, 8]: colours less their mean, slopes, and how strong edges are in which direction
    (the tensor of slopes: a direction has no sign)."""
    grey = cut.mean(-1)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    first, second, both = across * across, down * down, across * down
    cells = cv2.resize(cut, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    slopes = cv2.merge([across, down, first + second, first - second])
    slopes = cv2.resize(slopes, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    both = cv2.resize(both, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    strength = np.sqrt(slopes[..., 2]) + np.float32(0.2)
    out = np.empty((_CELLS, _CELLS, 8), np.float32)
    out[..., :3] = 2 * (cells - cells.mean((0, 1)))
    out[..., 3:5] = slopes[..., :2] / strength[..., None]
    out[..., 5] = np.sqrt(slopes[..., 2]) / strength
    out[..., 6] = slopes[..., 3] / strength**2
    out[..., 7] = 2 * both / strength**2
    return out


def _between(row: Floats, k: int) -> float:
    """Where between the cells the peak at k is: the vertex of a parabola."""
    before, here, after = row[k - 1], row[k], row[(k + 1) % len(row)]
    bend = before - 2 * here + after
    return 0.0 if abs(bend) < 1e-9 else float(np.clip((before - after) / (2 * bend), -0.5, 0.5))
