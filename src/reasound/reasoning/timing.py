"""When things sound: visible onsets, the natural pace of calls, and the stretches in which something moves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from reasound.perception.features import Box, Motion, Onset
from reasound.reasoning.evidence import Span, merged
from reasound.reasoning.knowledge import SoundClass

Hit = tuple[float, float]
"""(time in seconds, strength 0 to 1)."""

NEAR = 0.15
"""Seconds within which a visible onset is the moment that a caption names."""
_MARGIN = 0.15
"""How far outside a box, as a share of the picture, an onset still belongs to it."""
_REST = 1.0
"""Seconds without a visible stroke after which a player rests and a dog is done with its bout."""
_GOES_ON = 0.5
"""Share of the motion round the visible strokes that shows that they go on between them."""
_BETWEEN = 0.85
"""Strength of strokes that are not seen beside that of the visible ones: the strong ones are those that show."""
_TURNS, _LOWER, _CLEARLY = 10, 0.1, 3.0
"""Onsets that can show a lift for every blow, how much lower in the picture the blows must be, and by how many
standard errors: chance alone seldom does that."""
_MOVES, _STILL = 0.3, 0.05
"""Share of its strongest motion above which something runs; pixels a frame below which nothing moves."""


@dataclass(frozen=True)
class Timing:
    """When one event sounds."""

    spans: tuple[Span, ...]
    """For what lasts."""
    hits: tuple[Hit, ...] = ()
    """For what happens at moments."""
    how: Literal["seen", "moved", "paced", "named", "whole"] = "whole"
    """From visible blows, from movement of the body, from natural pauses, from the caption, or all the time."""
    between: int = 0
    """How many of the hits nobody saw: they fall between visible ones."""


def inside(onsets: Iterable[Onset], spans: Sequence[Span], box: Box | None = None) -> list[Onset]:
    """The onsets in these spans, and in or near this part of the picture."""
    return [
        o
        for o in onsets
        if any(start - 0.05 <= o.time <= end for start, end in spans)
        and (
            box is None
            or (box.x0 - _MARGIN <= o.x <= box.x1 + _MARGIN and box.y0 - _MARGIN <= o.y <= box.y1 + _MARGIN)
        )
    ]


def apart(onsets: Iterable[Onset], gap: float, most: int | None = None) -> list[Onset]:
    """The strongest onsets that are at least `gap` seconds from each other, in order of time."""
    kept: list[Onset] = []
    for onset in sorted(onsets, key=lambda o: (-o.strength, o.time)):
        if all(abs(onset.time - other.time) >= gap for other in kept):
            kept.append(onset)
        if len(kept) == most:
            break
    return sorted(kept, key=lambda o: o.time)


def struck(onsets: Sequence[Onset], sound: SoundClass) -> tuple[Hit, ...]:
    """Visible blows as they are; a shot is loud however little the hand jerks."""
    floor = 0.75 if sound.group in ("weapon", "explosion") else 0.15
    return tuple((o.time, max(floor, o.strength)) for o in apart(onsets, sound.gap))


def blows(onsets: Sequence[Onset]) -> Sequence[Onset]:
    """Without the lifts: a stick that is lifted starts as suddenly as it lands, but higher in the picture.

    Where every other onset is clearly lower, those are the blows; else all are.
    """
    if len(onsets) < _TURNS:
        return onsets
    heights = np.array([o.y for o in onsets])
    # Each against the mean of its neighbours: what goes down a stair is no alternation.
    drops = (heights[:-2:2] + heights[2::2]) / 2 - heights[1:-1:2]
    lower, error = float(drops.mean()), float(drops.std(ddof=1)) / len(drops) ** 0.5
    if abs(lower) < max(_LOWER, _CLEARLY * error):
        return onsets
    return onsets[0::2] if lower > 0 else onsets[1::2]


def filled(hits: Sequence[Hit], sound: SoundClass, motion: Motion) -> tuple[Hit, ...]:
    """With the strokes between the visible ones, for sounds that come faster than flow can tell apart: hands on a
    drum, a bout of barks. Only where the motion goes on, and never into a rest.
    """
    if not sound.pace or len(hits) < 2:
        return tuple(hits)
    level = np.append(0.0, np.cumsum(motion.level, dtype=float))

    def moved(start: float, end: float) -> float:
        first, last = (min(max(round(t * motion.rate), 0), len(level) - 1) for t in (start, end))
        return float(level[last] - level[first]) / max(last - first, 1)

    usual = float(np.median([moved(time - 0.1, time + 0.1) for time, _ in hits]))
    found: list[Hit] = [hits[0]]
    for (start, one), (end, other) in pairwise(hits):
        goes_on = end - start <= _REST and moved(start, end) >= _GOES_ON * usual
        most = int((end - start) / sound.gap + 1e-6)
        parts = max(1, min(round((end - start) / sound.pace), most)) if goes_on else 1
        step, strength = (end - start) / parts, _BETWEEN * min(one, other)
        found += [(start + i * step, strength) for i in range(1, parts)]
        found.append((end, other))
    return tuple(found)


def paced(sound: SoundClass, span: Span, count: int | None = None) -> tuple[Hit, ...]:
    """Moments at a natural pace where no movement shows them: calls with uneven pauses, `count` of them if given."""
    start, end = span
    if count:
        step = min((end - start) / (count + 1), max(2 * sound.gap, sound.seconds, 0.5))
        first = start + (end - start - step * (count - 1)) / 2
        return tuple((first + i * step, 0.8) for i in range(count))
    hits: list[Hit] = []
    time, turn = start + min(0.5 * sound.gap, 0.3 * (end - start)), 0
    steady = sound.trigger == "step"
    while time < end - 0.3 * sound.seconds or not hits:
        # Multiples of the golden ratio fall evenly but never repeat: pauses without a pattern, the same every time.
        uneven = (turn * 0.618034) % 1.0
        hits.append((time, 0.7 + 0.3 * uneven))
        time += (
            max(0.55, sound.gap)
            if steady
            else max(2.5 * sound.gap, 1.2 * sound.seconds) * (0.8 + 1.2 * uneven)
        )
        turn += 1
    return tuple(hits)


def running(motion: Motion, spans: Sequence[Span]) -> tuple[Span, ...]:
    """The parts of the spans in which the picture moves; empty where it hardly does."""
    level = np.asarray(motion.level, float)
    if not len(level) or np.percentile(level, 95) < _STILL:
        return ()
    kernel = np.ones(min(13, len(level)))
    smooth = np.convolve(level, kernel / len(kernel), "same")
    moves = smooth >= max(_STILL, _MOVES * float(np.percentile(smooth, 95)))
    found: list[Span] = []
    for start, end in spans:
        first, last = int(start * motion.rate), min(round(end * motion.rate), len(moves))
        on = (np.flatnonzero(moves[first:last]) + first).tolist()
        parts = merged([(i / motion.rate, (i + 1) / motion.rate) for i in on])
        found += [(max(a, start), min(b, end)) for a, b in parts if b - a >= 0.3]
    return tuple(found)
