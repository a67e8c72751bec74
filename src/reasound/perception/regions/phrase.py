"""From a phrase to a box at a time: what moves, what was sighted and what stands somewhere, each named by the labels.

A phrase and a label's name mean the same thing as far as their sentence embeddings (MiniLM) agree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from reasound.errors import UserError
from reasound.media.video import Clip, Picture
from reasound.perception.features import Box, Features, Floats
from reasound.perception.labels import Labels, conse, square_around
from reasound.perception.regions.follow import moving
from reasound.perception.regions.reel import Reel
from reasound.perception.text import MiniLM
from reasound.plan import Region

ALIKE = 0.5
"""Cosine of phrase and name from which they mean the same."""
_AS_GOOD = 0.06  # of two things with so little between them the user must say which
_SAME = 0.35  # intersection over union from which two boxes show one thing
_SURE = 0.3  # probability from which a label counts whole
_SEEN = 0.08  # and from which it counts at all
_MOVES = 0.03  # what a thing that moves is more likely to be meant
_NEAR = 1.0  # seconds around the moment in which sightings count
_PICTURE = 480  # pixels of the longer side that the labels look at
_AGREED = 0.75  # length of a mean of classes that have something in common
_GRID = (18, 24)  # rows and columns in which squares are summed
_HOT = 0.75  # of the highest
_WINDOWS = (0.45, 0.75)  # of the shorter side: squares in which things may stand
_SIDES = {
    "left": (0, -1),
    "right": (0, 1),
    "top": (1, -1),
    "upper": (1, -1),
    "bottom": (1, 1),
    "lower": (1, 1),
}
_SIDE = re.compile(
    r"\b(?:(?:on|at|to|in|by|near)\s+)?(?:the\s+)?(left|right|top|upper|bottom|lower)"
    r"(?:most)?(?:[ -]hand)?(?:\s+side)?\b"
)
_MATTER = {
    "person": "a person",
    "crowd": "a crowd of people",
    "fire": "a fire",
    "fireworks": "fireworks",
    "water": "water",
    "leaves": "leaves of trees",
}


@dataclass(frozen=True)
class Found:
    """A thing that a phrase may mean."""

    region: Region
    score: float
    what: str


class PocketFinder:
    """Finds things by the embedded labels and sentence encoder."""

    name = "pocket"

    @cached_property
    def labels(self) -> Labels:
        return Labels.load()

    @cached_property
    def text(self) -> MiniLM:
        return MiniLM.load()

    def find(self, clip: Clip, text: str, at: float, features: Features | None = None) -> Region:
        """See `Finder.find`."""
        bare, _ = sided(text)
        meant = self.text.encode([bare])[0]
        found = self._named(clip, at, meant) + self._sighted(features, at, meant)
        matches = [f for f in found if f.score >= ALIKE]
        return chosen(text, matches, [f.what for f in sorted(found, key=lambda f: -f.score)])

    def _named(self, clip: Clip, at: float, meant: Floats) -> list[Found]:
        """What moves, and squares all over the picture, as the labels see them."""
        reel = Reel(clip, at)
        k = reel.number(at)
        blobs = _blobs(moving(reel, k))
        fine = Reel(clip, at, (), _PICTURE)
        picture = fine[fine.number(at)]
        boxes = blobs + _squares(picture)
        crops = [_crop(picture, box, close=i < len(blobs)) for i, box in enumerate(boxes)]
        probabilities = self.labels.probabilities(np.stack(crops))
        vectors, names = self.labels.class_vectors, self.labels.names
        like = np.maximum(vectors @ meant, 0)
        mixed = conse(probabilities, vectors)
        # Where the likeliest classes have little in common, their mean says nothing.
        mixed /= np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), _AGREED)
        sure = np.minimum(1, np.maximum(probabilities - _SEEN, 0) / (_SURE - _SEEN)) ** 0.25
        found = []
        for i, box in enumerate(boxes):
            best = int((like * sure[i]).argmax())
            score = max(float(like[best] * sure[i, best]), float(mixed[i] @ meant))
            what = (
                names[best] if like[best] * sure[i, best] >= ALIKE else names[int(probabilities[i].argmax())]
            )
            found.append(Found(_region(box), score, what))
        moved = [replace(f, score=f.score + _MOVES) for f in found[: len(blobs)]]
        return moved + _standing(found[len(blobs) :])

    def _sighted(self, features: Features | None, at: float, meant: Floats) -> list[Found]:
        """What perception saw there and then."""
        if features is None:
            return []
        found = []
        for s in features.sightings:
            if s.box is not None and s.start - _NEAR <= at <= s.end + _NEAR:
                score = (
                    float(self.labels.class_vectors[s.index] @ meant)
                    * min(1.0, s.probability / _SURE) ** 0.25
                )
                found.append(Found(_region(s.box), score, s.name))
        for t in features.traces:
            if t.box is not None and t.start - _NEAR <= at <= t.end + _NEAR:
                vector = self.text.encode([_MATTER[t.matter]])[0]
                found.append(
                    Found(_region(t.box), float(vector @ meant) * min(1.0, 0.7 + t.confidence), t.matter)
                )
        return found


def sided(text: str) -> tuple[str, tuple[int, int] | None]:
    """A phrase without the side that it names, and that side: axis (0 is x) and direction."""
    said = " ".join(text.lower().split()).rstrip(".")
    side = _SIDE.search(said)
    bare = " ".join(_SIDE.sub(" ", said).split())
    return (bare or said, _SIDES[side[1]] if side and bare else None)


def chosen(text: str, matches: Sequence[Found], seen: Sequence[str]) -> Region:
    """The one thing that is meant. UserError where nothing fits, and where several fit as well."""
    kept: list[Found] = []
    for found in sorted(matches, key=lambda f: -f.score):
        if all(_overlap(found.region, k.region) < _SAME for k in kept):
            kept.append(found)
    if not kept:
        names = [n.split(",")[0] for n in dict.fromkeys(seen)][:4]
        what = f"what is seen there is {', '.join(names)}" if names else "nothing is recognised there"
        raise UserError(f'nothing there is "{text}"; {what}; click the thing instead')
    as_good = [k for k in kept if k.score >= kept[0].score - _AS_GOOD]
    _, side = sided(text)
    if side is not None:
        axis, way = side
        return max(kept, key=lambda k: way * _middle(k.region)[axis]).region
    if len(as_good) > 1:
        choices = " or ".join(f"{k.what.split(',')[0]} {_where(k.region)}" for k in as_good[:3])
        raise UserError(f'"{text}" may be {choices}; say which, for instance with "on the left", or click it')
    return kept[0].region


def _blobs(speed: Floats) -> list[Box]:
    """Boxes of the connected parts that move by themselves, the largest first, at most six."""
    height, width = speed.shape
    least = max(0.6, 4 * float(np.median(speed)))
    mask = cv2.morphologyEx((speed > least).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    order = sorted(range(1, count), key=lambda k: -int(stats[k, cv2.CC_STAT_AREA]))
    found = []
    for x, y, w, h, area in (stats[k, :5] for k in order[:6]):
        if area >= 6e-4 * height * width and w * h < 0.9 * height * width:
            found.append(Box(x / width, y / height, (x + w) / width, (y + h) / height))
    return found


def _standing(found: Sequence[Found]) -> list[Found]:
    """Squares that overlap and may all show the same thing -> one box for each thing."""
    best = max((f.score for f in found), default=0.0)
    if best < ALIKE:
        return sorted(found, key=lambda f: -f.score)[:4]
    heat, count = np.zeros(_GRID), np.full(_GRID, 1e-6)
    places = []
    for f in found:
        r = f.region
        rows = slice(int(r.y0 * _GRID[0]), max(1, round(r.y1 * _GRID[0])))
        columns = slice(int(r.x0 * _GRID[1]), max(1, round(r.x1 * _GRID[1])))
        heat[rows, columns] += max(0.0, f.score - 0.3)
        count[rows, columns] += 1
        places.append((rows, columns))
    heat /= count
    parts, label, stats, _ = cv2.connectedComponentsWithStats((heat >= _HOT * heat.max()).astype(np.uint8))
    things = []
    for k in range(1, parts):
        x, y, w, h = (int(v) for v in stats[k, :4])
        mine = [f for f, place in zip(found, places, strict=True) if (label[place] == k).any()]
        surest = max(mine, key=lambda f: f.score)
        box = Box(x / _GRID[1], y / _GRID[0], (x + w) / _GRID[1], (y + h) / _GRID[0])
        things.append(Found(_region(box), surest.score, surest.what))
    return things


def _squares(picture: Picture) -> list[Box]:
    """Overlapping squares of two sizes all over a picture."""
    height, width = picture.shape[:2]
    short, found = min(height, width), []
    for share in _WINDOWS:
        side = share * short
        rows, columns = (max(2, round(1.6 * n / side)) for n in (height, width))
        for y in np.linspace(0, height - side, rows):
            for x in np.linspace(0, width - side, columns):
                found.append(Box(x / width, y / height, (x + side) / width, (y + side) / height))
    return found


def _crop(picture: Picture, box: Box, close: bool) -> Picture:
    """[224, 224, 3]; what moves with some of what is around it."""
    height, width = picture.shape[:2]
    if close:
        top, left, side = square_around(box, height, width)
        part = picture[top : top + side, left : left + side]
    else:
        part = picture[
            round(box.y0 * height) : round(box.y1 * height), round(box.x0 * width) : round(box.x1 * width)
        ]
    return np.asarray(
        cv2.resize(np.ascontiguousarray(part), (224, 224), interpolation=cv2.INTER_AREA), np.uint8
    )


def _region(box: Box) -> Region:
    x0, y0 = min(max(0.0, box.x0), 0.98), min(max(0.0, box.y0), 0.98)
    return Region(x0=x0, y0=y0, x1=min(1.0, max(box.x1, x0 + 0.02)), y1=min(1.0, max(box.y1, y0 + 0.02)))


def _middle(region: Region) -> tuple[float, float]:
    return (region.x0 + region.x1) / 2, (region.y0 + region.y1) / 2


def _where(region: Region) -> str:
    x, y = _middle(region)
    across = "on the left" if x < 0.4 else "on the right" if x > 0.6 else "in the middle"
    return across + (", at the top" if y < 0.3 else ", at the bottom" if y > 0.7 else "")


def _overlap(a: Region, b: Region) -> float:
    """Intersection over the smaller box: a part of a thing is no other thing."""
    inner = max(0.0, min(a.x1, b.x1) - max(a.x0, b.x0)) * max(0.0, min(a.y1, b.y1) - max(a.y0, b.y0))
    return inner / min((a.x1 - a.x0) * (a.y1 - a.y0), (b.x1 - b.x0) * (b.y1 - b.y0))
