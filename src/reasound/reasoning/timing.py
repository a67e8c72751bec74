"""When things sound: visible onsets, the natural pace of calls, and the stretches in which something moves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
