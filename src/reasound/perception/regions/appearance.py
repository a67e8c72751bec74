"""What a thing looks like: its colours beside those around it, and a few small pictures of it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from reasound.media.video import Picture
from reasound.perception.features import Floats

Integers = NDArray[np.int32]

_BINS = 16  # of each colour
_SIDE = 28  # pixels of the longer side of a small picture
_MOST = 8  # small pictures, beside the first
_NEW = 0.9  # likeness below which a picture is kept as another of the thing
_SEARCHED = 14  # pixels of the thing's longer side when it is searched for in a whole picture
_SIZES = (0.75, 1.0, 1.3)
_RATE = 0.06  # at which colours are learned
_COLOURS = 1.3  # so much of the same colours is as good as all
_OWN = 0.55  # likelihood of its colours from which a half may be the thing's
_HALF = 0.25  # what the likeness of a half counts less
_DULL = 0.02  # standard deviation of a thing that has no pattern to compare


class Appearance:
    """Learned from pictures in which the thing is surely seen. Boxes are x0, y0, x1, y1 in pixels."""

    def __init__(self, picture: Picture, box: Floats, mask: Floats) -> None:
        """mask [h, w] 0 to 1."""
        levels = _levels(picture)
        self._inside, self._around = _histograms(levels, box, mask)
        self._first = self._inside
        self._tabulate()
        size = np.maximum(box[2:] - box[:2], 2.0)
        columns, rows = (max(6, round(float(s))) for s in size * min(1.0, _SIDE / float(size.max())))
        self._small = (rows, columns)
        # Small pictures of the thing [K, a, b, 3], 0 to 1, what of them is the thing [K, a, b], and its sizes [K, 2].
        self._pictures = _cut(_floats(picture), box, self._small)[None]
        self._shapes = _cut(mask, box, self._small)[None]
        self._sizes = size[None]
        self._contrast = 0.0
        self._contrast = self._outline(picture, box, mask)
        y, x = (np.arange(n) < n / 2 for n in self._small)
        halves = [np.repeat(y[:, None], columns, 1), np.repeat(x[None], rows, 0)]
        self._parts = np.stack([np.ones(self._small, bool), *halves, *(~h for h in halves)]).astype(
            np.float32
        )

    def learn(self, picture: Picture, box: Floats, mask: Floats) -> None:
        inside, around = _histograms(_levels(picture), box, mask)
        self._inside = (1 - _RATE) * self._inside + _RATE * inside
        self._around = (1 - _RATE) * self._around + _RATE * around
        self._tabulate()
        cut = _cut(_floats(picture), box, self._small)
        if self._patterns(cut, self._parts[:1])[0].max() < _NEW:
            keep = slice(0 if len(self._pictures) <= _MOST else 2, None)
            shape = _cut(mask, box, self._small)
            self._pictures = np.concatenate([self._pictures[:1], self._pictures[1:][keep], cut[None]])
            self._shapes = np.concatenate([self._shapes[:1], self._shapes[1:][keep], shape[None]])
            self._sizes = np.concatenate([self._sizes[:1], self._sizes[1:][keep], (box[2:] - box[:2])[None]])

    def inside(self, picture: Picture) -> Floats:
        """[h, w]: how likely each pixel is the thing's rather than its surroundings', by its colour."""
        return self._ratio[_levels(picture)]

    def likeness(
        self, picture: Picture, box: Floats, shape: Floats | None = None, parts: bool = False
    ) -> float:
        """How much what is in a box looks like the thing, 0 to 1. `shape` [h, w] 0 to 1: what of it counts. With
        `parts` it is enough if one half of it does, to a lower degree."""
        cut = _cut(_floats(picture), box, self._small)
        levels = _levels((255 * cut).astype(np.uint8))
        if shape is None:
            shape = _pasted(self._shapes[0], box, picture.shape[:2])
        weight = _cut(shape, box, self._small)
        same = float(np.minimum(_histogram(levels, weight), self._soft).sum(-1).max())
        pattern, near = self._patterns(cut, self._parts if parts else self._parts[:1])
        whole = 0.5 * float(pattern[:, 0].max()) + 0.5 * min(1.0, _COLOURS * same)
        # Where its colours are its own, they show its outline.
        own = min(1.0, max(0.0, self._contrast))
        outline = self._outline(picture, box, shape) / max(own, 0.1)
        whole += 0.6 * own * (float(np.clip(outline, 0, 1)) - whole)
        if not parts:
            return min(whole, 1.0)
        # A half that looks like the thing's half, by colours that are not those of its surroundings.
        mine = np.einsum("rab,nab->nr", self._parts, self._ratio[levels] * self._shapes)
        mine = mine / np.maximum(np.einsum("rab,nab->nr", self._parts, self._shapes), 1e-3)
        half = np.where(mine > _OWN, 0.5 * pattern + 0.5 * near, 0)[:, 1:].max()
        return min(max(whole, float(half) - _HALF), 1.0)

    def _outline(self, picture: Picture, box: Floats, shape: Floats) -> float:
        """How much more the colours inside a shape [h, w] are the thing's than those around it."""
        part = _window(box, 0.35, shape.shape)
        ratio, inside = self.inside(picture[part]), np.clip(shape[part], 0, 1)
        around = 1 - inside
        if min(inside.sum(), around.sum()) < 1:
            return 0.0
        mean = float((ratio * inside).sum() / inside.sum())
        return mean - float((ratio * around).sum() / around.sum())

    def _patterns(self, cut: Floats, parts: Floats) -> tuple[Floats, Floats]:
        """A small picture [a, b, 3] beside those kept, within each of the parts [R, a, b]: correlation [K, R], 0 to 1,
        and nearness of colours."""
        kept, count = self._pictures, len(self._pictures)
        values = np.concatenate(
            [
                np.ones((*kept.shape[:3], 1), np.float32),
                kept,
                np.broadcast_to(cut, kept.shape),
                (kept**2).sum(-1, keepdims=True),
                np.broadcast_to((cut**2).sum(-1, keepdims=True), (*kept.shape[:3], 1)),
                (kept * cut).sum(-1, keepdims=True),
                np.abs(kept - cut).mean(-1, keepdims=True),
            ],
            -1,
        )
        values *= self._shapes[..., None]
        flat = values.reshape(count, -1, values.shape[-1])
        sums = np.matmul(parts.reshape(len(parts), -1), flat)  # [K, R, 11]
        sums = sums / np.maximum(sums[..., :1], 1e-3)
        mean, other = sums[..., 1:4], sums[..., 4:7]
        first = np.maximum(sums[..., 7] - (mean**2).sum(-1), 0)
        second = np.maximum(sums[..., 8] - (other**2).sum(-1), 0)
        both = sums[..., 9] - (mean * other).sum(-1)
        near = np.maximum(0, 1 - 5 * sums[..., 10])
        dull = np.minimum(first, second) < 3 * _DULL**2
        plain = np.where(np.maximum(first, second) < 12 * _DULL**2, near, 0)
        pattern = np.where(dull, plain, np.maximum(both, 0) / np.sqrt(np.maximum(first * second, 1e-9)))
        return pattern.astype(np.float32), near.astype(np.float32)

    def search(self, picture: Picture) -> list[Floats]:
        """Boxes in a whole picture that look most like the thing, best first, at most six."""
        found: list[tuple[float, Floats]] = []
        for kept in sorted({0, len(self._sizes) - 1}):
            zoom = min(1.0, _SEARCHED / float(self._sizes[kept].max()))
            size = (max(4, round(picture.shape[1] * zoom)), max(4, round(picture.shape[0] * zoom)))
            shrunk = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
            colour, small = self.inside(shrunk) - 0.5, _floats(shrunk)
            for scale in _SIZES:
                wide, high = (max(3, round(float(n))) for n in self._sizes[kept] * zoom * scale)
                if wide >= small.shape[1] or high >= small.shape[0]:
                    continue
                part = cv2.resize(self._pictures[kept], (wide, high), interpolation=cv2.INTER_AREA)
                shape = cv2.resize(self._shapes[kept], (wide, high), interpolation=cv2.INTER_AREA)
                weight = (shape - 0.5 * (1 - shape)) / max(float(shape.sum()), 1.0)
                score = cv2.matchTemplate(colour.astype(np.float32), weight.astype(np.float32), cv2.TM_CCORR)
                if part.std() >= _DULL:
                    mask = np.dstack([shape] * 3)
                    pattern = cv2.matchTemplate(small, part, cv2.TM_CCOEFF_NORMED, mask=mask)
                    score = score + 0.5 * np.clip(np.nan_to_num(pattern, posinf=0, neginf=0), -1, 1)
                for _ in range(2):
                    _, height, _, (x, y) = cv2.minMaxLoc(score)
                    box = np.array([x, y, x + wide, y + high], np.float32) / np.float32(zoom)
                    found.append((height, box))
                    score[max(0, y - high) : y + high, max(0, x - wide) : x + wide] = -1
        return [box for _, box in sorted(found, key=lambda f: -f[0])[:6]]

    def _tabulate(self) -> None:
        self._soft = _smooth(np.stack([self._inside, self._first]))
        inside, around = self._soft.mean(0), _smooth(self._around[None])[0]
        self._ratio = ((inside + 1e-5) / (inside + around + 2e-5)).astype(np.float32)


def _floats(picture: Picture) -> Floats:
    return np.asarray(picture / np.float32(255), np.float32)


def _levels(picture: Picture) -> Integers:
    """[h, w, 3] -> [h, w] number of the colour."""
    level = (picture >> 4).astype(np.int32)
    return np.asarray(level[..., 0] * (_BINS * _BINS) + level[..., 1] * _BINS + level[..., 2])


def _histogram(levels: Integers, weight: Floats) -> Floats:
    counts = np.bincount(levels.ravel(), weight.ravel(), _BINS**3).astype(np.float32)
    return counts / max(float(counts.sum()), 1e-6)


def _histograms(levels: Integers, box: Floats, mask: Floats) -> tuple[Floats, Floats]:
    """Of the thing, and of what is around it within its own size."""
    part = _window(box, 1.0, levels.shape)
    return _histogram(levels[part], mask[part]), _histogram(levels[part], (mask[part] < 0.2) * 1.0)


def _window(box: Floats, more: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The rows and columns of a box, and around it a share of its size, inside the picture; at least one of each."""
    around = more * (box[2:] - box[:2])
    (x0, y0), (x1, y1) = np.floor(box[:2] - around).astype(int), np.ceil(box[2:] + around).astype(int)
    x0, y0 = min(max(x0, 0), shape[1] - 1), min(max(y0, 0), shape[0] - 1)
    return slice(y0, max(y1, y0 + 1)), slice(x0, max(x1, x0 + 1))


def _smooth(histograms: Floats) -> Floats:
    """[K, 4096], each spread to the colours beside: light changes a little."""
    cubes = np.pad(histograms.reshape(-1, _BINS, _BINS, _BINS), ((0, 0), *[(1, 1)] * 3), mode="edge")
    cubes = 0.25 * cubes[:, :-2] + 0.5 * cubes[:, 1:-1] + 0.25 * cubes[:, 2:]
    cubes = 0.25 * cubes[:, :, :-2] + 0.5 * cubes[:, :, 1:-1] + 0.25 * cubes[:, :, 2:]
    cubes = 0.25 * cubes[..., :-2] + 0.5 * cubes[..., 1:-1] + 0.25 * cubes[..., 2:]
    return np.asarray(cubes.reshape(histograms.shape), np.float32)


def _pasted(small: Floats, box: Floats, shape: tuple[int, ...]) -> Floats:
    """[a, b] laid into a box of an empty picture [h, w]."""
    scale = np.maximum(box[2:] - box[:2], 1.0) / small.shape[::-1]
    shift = box[:2] + (scale - 1) / 2
    matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]], np.float64)
    return np.asarray(cv2.warpAffine(small, matrix, (shape[1], shape[0])), np.float32)


def _cut(picture: Floats, box: Floats, shape: tuple[int, ...]) -> Floats:
    """What is in a box, [a, b, ...]; beyond the edge the edge goes on."""
    size = np.maximum(box[2:] - box[:2], 1.0)
    scale = np.array([shape[1], shape[0]]) / size
    if scale.min() < 0.5:  # shrinking needs areas
        around = (max(1, int(1 / scale[0])), max(1, int(1 / scale[1])))
        picture = np.asarray(cv2.blur(picture, around), np.float32)
    shift = -box[:2] * scale + (scale - 1) / 2
    matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]], np.float64)
    return np.asarray(
        cv2.warpAffine(picture, matrix, (shape[1], shape[0]), borderMode=cv2.BORDER_REPLICATE), np.float32
    )
