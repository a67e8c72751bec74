"""What the detectors would see of a plan: features without a picture, as wrong as those of the real perception.

Labels speak for the class or for something like it, or are missing; impacts are seen late, not at all, or where nothing
hits; light and movement show fire and water, sometimes where there is none. The sizes of all this were measured on
rendered scenes (`shown`).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from reasound.perception.features import Box, Features, Floats, Matter, Motion, Onset, Shot, Sighting, Trace
from reasound.perception.labels import conse
from reasound.perception.motion import SYNC_DIM
from reasound.plan import Event, Plan
from reasound.reasoning.knowledge import labels, sound_class, sound_classes
from reasound.timeline import Timeline

SEEN, MISTAKEN = 0.5, 0.25
"""Shares of things that are seen as what they are, and as something like it; the others are not recognised."""
HIT, CALL = 0.8, 0.93
"""Shares of impacts, and of voices, that movement shows."""
JITTER = 0.026
"""Standard deviation of what visible onsets are off by, in seconds."""
FALSE = 2.5
"""Visible onsets in five seconds that nothing is heard of: in most clips none or one, in some a dozen."""
CLUTTER = 4
"""Labels of things that make no sound."""
EDGE = 1.4
"""Pan from the left to the right edge of the picture."""
_MATTERS: tuple[tuple[str, Matter, float], ...] = (
    ("fire/", "fire", 0.6), ("explosion/fireworks", "fireworks", 0.6), ("water/", "water", 0.4),
    ("foliage/", "leaves", 0.4), ("footsteps/", "person", 0.4), ("voice/", "person", 0.5), ("tool/", "person", 0.3),
    ("ambience/crowd", "crowd", 0.4),
)  # fmt: skip


class Eye:
    """Sees plans. `class_vectors` [1000, 384] are the meanings of the labels' names, `classes` [C, 384] those of the
    sound classes, in the order of the table."""

    def __init__(self, class_vectors: Floats, classes: Floats) -> None:
        self.class_vectors = class_vectors
        like = np.exp(classes @ class_vectors.T / 0.05)
        self.like: Floats = like / like.sum(1, keepdims=True)  # [C, 1000]

    def seen(self, plan: Plan, rng: np.random.Generator) -> Features:
        """Features of a clip in which the events of the plan that are on screen can be seen."""
        seconds = plan.seconds
        frames = Timeline(seconds)
        found: list[Sighting] = []
        traces: list[Trace] = []
        shown = [e for e in plan.events if e.on_screen]
        for e in shown:
            box = _box(e, rng)
            found += self._labels(e, box, rng)
            traces += _traces(e, box, rng)
        found += [self._clutter(seconds, rng) for _ in range(int(rng.poisson(CLUTTER)))]
        if rng.random() < 0.05:
            matter = _MATTERS[int(rng.integers(len(_MATTERS)))][1]
            traces.append(Trace(matter, float(rng.uniform(0.2, 0.8)), 0.0, seconds, None))
        probabilities = _probabilities(found, frames.visual, rng)
        found = sorted(found, key=lambda s: -s.probability)
        return Features(
            seconds=seconds,
            visual=conse(probabilities, self.class_vectors),
            probabilities=probabilities,
            sightings=tuple(s for s in found if s.probability >= 0.04),
            colour=_colours(plan, frames.visual, rng),
            motion=_motion(shown, seconds, frames.motion, rng),
            sync=np.zeros((frames.motion, SYNC_DIM), np.float32),
            shots=(Shot(0.0, seconds),),
            traces=tuple(traces),
        )

    def _labels(self, e: Event, box: Box | None, rng: np.random.Generator) -> list[Sighting]:
        """One to four of what may be seen for what it is."""
        weight = _speaking().get(e.sound_class)
        kind = rng.random()
        like = self.like[_place(e.sound_class)] if e.sound_class in sound_classes() else None
        if weight is None or kind > SEEN:
            weight = like if kind < SEEN + MISTAKEN else None
        if weight is None:
            return []
        count = int(rng.integers(1, 5))
        chosen = rng.choice(len(weight), count, replace=False, p=weight / weight.sum())
        share = rng.dirichlet(np.full(count, 0.7)) * rng.uniform(0.15, 0.95)
        start, end = _time(e, rng)
        return [
            Sighting(labels()[int(i)].name, int(i), float(p), start, end, box if rng.random() < 0.6 else None)
            for i, p in zip(chosen, share, strict=True)
            if weight[int(i)] > 0
        ]

    def _clutter(self, seconds: float, rng: np.random.Generator) -> Sighting:
        i = int(rng.integers(1000))
        start = float(rng.uniform(0, 0.7 * seconds)) if rng.random() < 0.4 else 0.0
        end = float(rng.uniform(start + 0.5, seconds + 0.5)) if rng.random() < 0.4 else seconds
        size = float(0.04 + 0.3 * rng.beta(0.6, 4))
        return Sighting(labels()[i].name, i, size, start, min(end, seconds), None)


@cache
def _speaking() -> dict[str, NDArray[np.float64]]:
    """For each class, how much each label speaks for it; classes without a label are left out."""
    found: dict[str, NDArray[np.float64]] = {}
    for i, label in enumerate(labels()):
        for name, share in zip(label.sounds, (1.0, 0.3, 0.1), strict=False):
            found.setdefault(name, np.zeros(1000))[i] = share
        if label.struck:
            weight = found.setdefault(label.struck, np.zeros(1000))
            weight[i] = max(weight[i], 0.3)
    return {name: weight for name, weight in found.items() if np.count_nonzero(weight) >= 4}


@cache
def _places() -> dict[str, int]:
    return {name: k for k, name in enumerate(sound_classes())}


def _place(name: str) -> int:
    return _places()[name]


def _time(e: Event, rng: np.random.Generator) -> tuple[float, float]:
    """When a label sees the thing: mostly all the time that it is there."""
    start, end = e.start, e.end
    if rng.random() < 0.5:
        start = float(rng.uniform(start, start + 0.4 * (end - start)))
    if rng.random() < 0.5:
        end = float(rng.uniform(start + 0.3 * (end - start), end))
    return start, max(end, start + 0.1)


def _x(e: Event, time: float) -> float:
    return float(np.clip(0.5 + e.place(time)[0][0] / EDGE, 0.02, 0.98))


def _box(e: Event, rng: np.random.Generator) -> Box | None:
    """Where the thing is seen best."""
    x, y = _x(e, (e.start + e.end) / 2) + float(rng.normal(0, 0.04)), float(rng.uniform(0.35, 0.75))
    size = float(np.clip(rng.normal(0.9, 0.3) / max(e.place(e.start)[1][0], 1.0) + 0.12, 0.08, 0.8))
    wide = size * float(rng.uniform(0.6, 1.4))
    low, high = np.clip([x - wide / 2, x + wide / 2], 0, 1)
    top, bottom = np.clip([y - size / 2, y + size / 2], 0, 1)
    return Box(float(low), float(top), float(max(high, low + 0.02)), float(max(bottom, top + 0.02)))


def _traces(e: Event, box: Box | None, rng: np.random.Generator) -> list[Trace]:
    return [
        Trace(matter, float(rng.uniform(0.25, 1.0)), e.start, e.end, box if rng.random() < 0.7 else None)
        for start, matter, often in _MATTERS
        if e.sound_class.startswith(start) and rng.random() < often
    ]


def _probabilities(found: list[Sighting], frames: int, rng: np.random.Generator) -> Floats:
    """[Tv, 1000]: the sightings, coming and going, over the classifier's tail."""
    tail = 3e-4 * rng.exponential(1.0, 1000) ** 3
    seen = np.repeat(tail[None], frames, 0)
    at = (np.arange(frames) + 0.5) / max(frames, 1) * max((s.end for s in found), default=1.0)
    for s in found:
        knots = rng.uniform(0.4, 1.6, 4)
        drift = np.interp(at, np.linspace(0, max(at[-1], 1e-3), 4), knots)
        seen[:, s.index] += np.where((at >= s.start) & (at <= s.end), s.probability * drift, 0.0)
    return (seen / np.maximum(seen.sum(1, keepdims=True), 1.0)).astype(np.float32)


def _colours(plan: Plan, frames: int, rng: np.random.Generator) -> Floats:
    """Greener and brighter outdoors, with all the overlap that there is."""
    outdoors = plan.acoustics.space == "outdoors"
    mean = np.array([0.48, 0.55, 0.5]) if outdoors else np.array([0.52, 0.46, 0.4])
    mean = np.clip((mean + rng.normal(0, 0.1, 3)) * rng.uniform(0.4, 1.2), 0, 1)
    flicker = rng.exponential(0.02)
    return np.tile(np.append(mean, flicker), (frames, 1)).astype(np.float32)


def _motion(shown: list[Event], seconds: float, frames: int, rng: np.random.Generator) -> Motion:
    rate = 25.0
    at = np.arange(frames) / rate
    level = np.full(frames, 0.01) + rng.exponential(0.02)
    envelope = rng.exponential(0.004, frames)
    centre = np.full((frames, 2), 0.5)
    parts = np.zeros((frames, 9))
    onsets: list[Onset] = []
    felt = float(rng.lognormal(-2.0, 0.5))

    def moves(curve: NDArray[np.float64], e: Event) -> None:
        nonlocal level
        x = np.interp(at, [e.start, e.end], [_x(e, e.start), _x(e, e.end)])
        level = level + curve
        share = curve / np.maximum(level, 1e-6)
        centre[:, 0] = centre[:, 0] * (1 - share) + x * share
        column = np.clip((x * 3).astype(int), 0, 2)
        parts[np.arange(frames), 3 + column] += curve * 6

    for e in shown:
        strong = float(rng.lognormal(-2.0, 0.9))
        if not e.onsets:
            there = (at >= e.start) & (at <= e.end)
            wave = 1 + 0.3 * np.sin(2 * np.pi * at * rng.uniform(0.2, 2) + rng.uniform(0, 6))
            moves(np.where(there, strong * wave * (rng.random() < 0.85), 0.0), e)
            continue
        often = CALL if sound_class(e.sound_class).is_call else HIT
        often *= float(rng.choice([1.0, 0.3], p=[0.85, 0.15]))
        for time, strength in e.hits():
            moves(strong * (0.4 + strength) * np.exp(-(((at - time + 0.06) / 0.12) ** 2)), e)
            if rng.random() < often:
                seen = time + float(rng.normal(0, JITTER))
                size = float(np.clip(strength * rng.lognormal(0, 0.35), 0.05, 1.5))
                envelope += felt * size * np.exp(-(((at - seen) / 0.03) ** 2))
                onsets.append(
                    Onset(seen, size, _x(e, time) + float(rng.normal(0, 0.06)), float(rng.uniform(0.3, 0.8)))
                )
    for _ in range(int(rng.poisson(rng.gamma(0.5, 2 * FALSE) * seconds / 5))):
        time, size = float(rng.uniform(0, seconds)), float(rng.uniform(0.05, 0.6))
        envelope += felt * size * np.exp(-(((at - time) / 0.03) ** 2))
        onsets.append(Onset(time, size, float(rng.uniform(0, 1)), float(rng.uniform(0, 1))))
    camera = rng.normal(0, 0.3, (frames, 2)) * (rng.random() < 0.25)
    return Motion(
        rate=rate,
        directogram=level[:, None].astype(np.float32),
        grid=parts[..., None].astype(np.float32),
        envelope=envelope.astype(np.float32),
        level=level.astype(np.float32),
        centre=centre.astype(np.float32),
        camera=camera.astype(np.float32),
        onsets=_kept(onsets, seconds),
    )


def _kept(onsets: list[Onset], seconds: float) -> tuple[Onset, ...]:
    """In order, a tenth of a second apart, the strongest 1."""
    kept: list[Onset] = []
    for o in sorted(onsets, key=lambda o: -o.strength):
        if 0 <= o.time < seconds and all(abs(o.time - k.time) >= 0.1 for k in kept):
            kept.append(o)
    top = max((o.strength for o in kept), default=1.0)
    inside = [Onset(o.time, o.strength / top, float(np.clip(o.x, 0, 1)), o.y) for o in kept]
    return tuple(sorted(inside, key=lambda o: o.time))
