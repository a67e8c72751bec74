"""What ImageNet has no class for, told from colour and movement alone: people, crowds, fire, fireworks, water, leaves.

Everything works on small pictures, half a second of them at a time. Each sign is a pure function with a confidence
from 0 to 1; a sign that does not hold for at least two half seconds is no trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reasound.perception.features import Box, Floats, Matter, Motion, Trace

Pictures = NDArray[np.uint8]  # [N, h, w, 3]
Mask = NDArray[np.bool_]

WINDOW = 0.5
"""Seconds that are judged at once."""
_LONGER_SIDE = 96  # pixels
_CLOSEST = 1 / 31  # seconds between two pictures: faster video is thinned to this
_FEWEST = 4  # pictures of a window that can show movement
_MOVES = 6.0  # grey levels from picture to picture, from which a pixel moves
_SHAKY = 0.7  # share of the picture that moves, from which it is the camera
_LEAST = 0.3  # confidence of a window that counts
_TWICE = 2  # windows in which a thing must be seen
_GAP = 2.0  # seconds in which a thing may not show and is still there

# Of chroma in YCrCb, 0 to 255 (Chai & Ngan 1999, doi 10.1109/76.767122), which skin of every tone shares.
_RED, _BLUE = (133, 173), (77, 127)
_DIMMEST = 40
_MOVING_SKIN = (0.004, 0.02)  # share of the picture, from which a person is possible, and certain
_MORE_SKIN = 1.3  # times as much skin where it moves as anywhere: a wooden wall has the colour but stays
_HEADS = (5, 15)  # patches of moving skin, from which people are possibly, and certainly, a crowd
_HEAD = 0.012  # largest share of the picture of one of them
_GLOWS, _WARMER = 150, 50  # red, and how far blue is below it, in light of flames
_FLICKERS = 14.0  # grey levels from picture to picture
_TURNS = 0.3  # share of the pictures in which light turns back: what flickers, not what passes
_FLAME = (0.003, 0.02)
_BLACK = 12.0  # median grey level below which no skin can be seen
_NIGHT = 40.0  # median grey level below which it is dark
_SPARK = 70.0  # grey levels by which a spark is brighter than what was there before
_BURST = 0.0015  # share of the picture that sparks cover
_WIDE = 4.0  # how much larger the box round all sparks is than the sparks
_EVERYWHERE, _INCOHERENT = (
    5,
    0.5,
)  # cells of nine that move, and the share of their motion that goes no one way


class Watcher:
    """Pictures in, in the order of time; `traces` sums up. Keeps nothing but a few numbers a half second."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._window: list[Pictures] = []
        self._signs: list[tuple[float, dict[Matter, Sign]]] = []

    def add(self, time: float, picture: Pictures) -> None:
        """The next picture [H, W, 3], shown from `time` on."""
        if self._times and time - self._times[-1] < _CLOSEST:
            return
        if self._times and time >= self._times[0] + WINDOW:
            self._judge()
        self._times.append(time)
        self._window.append(small(picture))

    def traces(self, motion: Motion, seconds: float) -> tuple[Trace, ...]:
        """What was seen, surest first."""
        self._judge()
        rows: dict[Matter, list[tuple[float, Sign]]] = {}
        for start, signs in self._signs:
            for matter, sign in (signs | _of_motion(motion, start, signs)).items():
                rows.setdefault(matter, []).append((start, sign))
        found = [trace for matter, row in rows.items() for trace in _lasting(matter, row, seconds)]
        return tuple(sorted(found, key=lambda t: -t.confidence))

    def _judge(self) -> None:
        if len(self._window) >= _FEWEST:
            self._signs.append((self._times[0], judge(np.stack(self._window))))
        self._times, self._window = [], []


@dataclass(frozen=True)
class Sign:
    """What half a second shows."""

    confidence: float
    box: Box | None = None


def small(picture: Pictures) -> Pictures:
    """[H, W, 3] -> the same with its longer side at 96 pixels."""
    scale = _LONGER_SIDE / max(picture.shape[:2])
    size = tuple(max(8, round(side * scale)) for side in (picture.shape[1], picture.shape[0]))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def judge(window: Pictures) -> dict[Matter, Sign]:
    """Half a second of small pictures [N, h, w, 3] -> the signs in it. Those of water and leaves say only that the
    colour and the extent fit; whether the movement does is for `incoherence` to tell."""
    light = window.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    change = np.diff(light, axis=0)
    return {
        **people(window, change),
        "fire": flames(window, change),
        "fireworks": sparks(light),
        **surfaces(window, change),
    }


def skin(pictures: Pictures) -> Mask:
    """Pixels [..., 3] that have the chroma of skin; so have wood and sand."""
    flat = pictures.reshape(-1, 1, 3)
    light, red, blue = np.moveaxis(cv2.cvtColor(flat, cv2.COLOR_RGB2YCrCb), -1, 0)
    found = (
        (light >= _DIMMEST) & (red >= _RED[0]) & (red <= _RED[1]) & (blue >= _BLUE[0]) & (blue <= _BLUE[1])
    )
    mask: Mask = found.reshape(pictures.shape[:-1])
    return mask


def people(window: Pictures, change: Floats) -> dict[Matter, Sign]:
    """Skin that moves: a person, or a crowd where there are many small patches of it."""
    moves = np.abs(change) >= _MOVES  # [N - 1, h, w]
    coloured = skin(window)
    alive = moves & coloured[1:]
    share, still = float(alive.mean()), float(coloured.mean())
    contrast = float(alive.sum() / max(moves.sum(), 1)) / max(still, 1e-3)
    steady = 1.0 - _ramp(float(moves.mean()), 0.8 * _SHAKY, _SHAKY)  # all moves with a camera in the hand
    if np.median(window) < _BLACK:  # at night every spark is warm
        steady = 0.0
    sure = _ramp(share, *_MOVING_SKIN) * _ramp(contrast, 1.0, _MORE_SKIN) * steady
    where = (alive.mean(0) >= 0.15).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(where, connectivity=8)
    areas = stats[1:count, cv2.CC_STAT_AREA] / where.size
    heads = int(((areas <= _HEAD) & (areas >= _HEAD / 20)).sum())
    largest = float(areas.max(initial=0.0))
    many = sure * _ramp(heads, *_HEADS) * (1.0 - _ramp(largest, _HEAD, 3 * _HEAD))
    return {
        "person": Sign(sure, _box(where)),
        "crowd": Sign(many),
    }


def flames(window: Pictures, change: Floats) -> Sign:
    """Bright, warm light that flickers: brighter and darker by turns, where a thing that passes is so only once."""
    red, blue = window[..., 0].astype(np.int16), window[..., 2].astype(np.int16)
    glows = ((red >= _GLOWS) & (red - blue >= _WARMER) & ~skin(window)).mean(0) >= 0.5
    strong = np.abs(change) >= _MOVES
    turns = ((change[1:] * change[:-1] < 0) & strong[1:] & strong[:-1]).mean(0)
    where = glows & (np.abs(change).mean(0) >= _FLICKERS) & (turns >= _TURNS)
    return Sign(_ramp(float(where.mean()), *_FLAME), _box(where.astype(np.uint8)))


def sparks(light: Floats) -> Sign:
    """Grey levels [N, h, w] of a night in which many small lights appear, scattered."""
    if np.median(light) >= _NIGHT:
        return Sign(0.0)
    new = ((light.max(0) - light.min(0)) >= _SPARK) & (light.min(0) < _NIGHT)
    count = cv2.connectedComponents(new.astype(np.uint8), connectivity=8)[0] - 1
    box = _box(new.astype(np.uint8))
    if box is None:
        return Sign(0.0)
    scattered = _ramp(box.area / float(new.mean()), _WIDE, 2 * _WIDE) * _ramp(count, 3, 8)
    return Sign(_ramp(float(new.mean()), _BURST / 2, _BURST) * scattered, box)


def surfaces(window: Pictures, change: Floats) -> dict[Matter, Sign]:
    """How much of the picture moves and has the colour of water (blue, or grey with foam) or of leaves (green)."""
    red, green, blue = (window[1:, ..., i].astype(np.int16) for i in range(3))
    moves = np.abs(change) >= _MOVES / 2
    wet = moves & (blue >= red + 15) & (blue >= green)
    leafy = moves & (green >= red + 8) & (green >= blue + 20)
    return {
        "water": Sign(_ramp(float(wet.mean()), 0.08, 0.25)),
        "leaves": Sign(_ramp(float(leafy.mean()), 0.08, 0.25)),
    }


def incoherence(grid: Floats) -> tuple[int, float]:
    """Motion [T, 9, A] in parts of the picture -> (parts that move, share of their motion that goes no one way).

    What is carried by the wind or by a current of its own moves a little everywhere and in all directions; a thing
    that passes, or a camera, moves one way.
    """
    if not len(grid):
        return 0, 0.0
    angles = np.arange(grid.shape[2]) * (2 * np.pi / grid.shape[2])
    size = grid.sum((0, 2))  # [9]
    way = np.hypot(grid.sum(0) @ np.cos(angles), grid.sum(0) @ np.sin(angles))
    moving = size / len(grid) >= 0.05
    if not moving.any():
        return 0, 0.0
    return int(moving.sum()), float(1 - (way[moving].sum() / size[moving].sum()))


def _of_motion(motion: Motion, start: float, signs: dict[Matter, Sign]) -> dict[Matter, Sign]:
    """The signs of water and leaves, as far as the movement fits."""
    part = slice(round(start * motion.rate), round((start + WINDOW) * motion.rate))
    cells, share = incoherence(motion.grid[part])
    steady = 1.0 - _ramp(
        float(np.abs(motion.camera[part]).mean()) if len(motion.camera[part]) else 0.0, 0.1, 0.3
    )
    fits = (
        steady * _ramp(cells, _EVERYWHERE - 1, _EVERYWHERE + 1) * _ramp(share, 0.7 * _INCOHERENT, _INCOHERENT)
    )
    moved: tuple[Matter, ...] = ("water", "leaves")
    return {matter: Sign(signs[matter].confidence * fits) for matter in moved}


def _lasting(matter: Matter, row: Sequence[tuple[float, Sign]], seconds: float) -> list[Trace]:
    """Stretches in which a sign is there; what shows only once is chance."""
    there = [(start, sign) for start, sign in row if sign.confidence >= _LEAST]
    if len(there) < _TWICE:
        return []
    stretches: list[list[tuple[float, Sign]]] = []
    for start, sign in there:
        if stretches and start - stretches[-1][-1][0] <= _GAP:
            stretches[-1].append((start, sign))
        else:
            stretches.append([(start, sign)])
    kept = [part for part in stretches if len(part) >= _TWICE] or [there]
    found = []
    for part in kept:
        best = max((sign for _, sign in part), key=lambda sign: sign.confidence)
        mean = sum(sign.confidence for _, sign in part) / len(part)
        found.append(Trace(matter, round(mean, 3), part[0][0], min(part[-1][0] + WINDOW, seconds), best.box))
    return found


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on."""
    return float(min(max((value - low) / (high - low), 0.0), 1.0))


def _box(where: NDArray[np.uint8]) -> Box | None:
    """Round all that is not 0."""
    y, x = np.nonzero(where)
    if not len(x):
        return None
    height, width = where.shape
    return Box(
        float(x.min()) / width,
        float(y.min()) / height,
        float(x.max() + 1) / width,
        float(y.max() + 1) / height,
    )
