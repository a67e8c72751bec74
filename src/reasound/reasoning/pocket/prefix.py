"""What the pocket reasoner is shown before it writes: evidence and text as a list of things, each with a vector of
meaning, a few numbers, and the tokens that point at it.

A thing is one row of the arrays of `Prefix`; the network makes one embedding of each.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reasound.perception.features import Box, Features, Floats
from reasound.plan import Plan, Region
from reasound.reasoning.knowledge import labels, sound_classes
from reasound.reasoning.pocket import tokenizer as t
from reasound.reasoning.pocket.grammar import TASKS, Situation, Task

KINDS = (
    "task", "clip", "seen", "moment", "sighting", "trace", "shot", "onset", "phrase", "word", "number", "avoid",
    "entry", "region",
)  # fmt: skip
NUMBERS = 64
"""Numbers of a thing; most kinds need fewer."""
VECTOR = 384
SEEN = 2000
"""Mean and maximum over time of the 1000 labels' probabilities, as logarithms."""
MOMENT = 0.5
"""Seconds."""
_MATTERS = ("person", "crowd", "fire", "fireworks", "water", "leaves")
_RANKS = (1.0, 0.5, 0.3)
_PHRASES, _AVOIDED, _SHOTS = 8, 4, 4
_FLOOR = 2e-3
_LIKE = 0.06
"""Difference of cosines that makes one class e times as likely as another to be what a phrase means."""
_PHRASE = re.compile(
    r"[,;!?]+|\.(?!\d)|\b(?:and|or|but|while|as well as|over|plus|when|then|with|in the background)\b"
)
_DIGITS = re.compile(r"\d+(?:\.\d+)?")


class Text(Protocol):
    """MiniLM, as far as it is needed."""

    def encode(self, texts: Sequence[str]) -> Floats: ...

    def tokens(self, texts: Sequence[str], limit: int = 256) -> tuple[Floats, NDArray[np.bool_]]: ...

    @property
    def tokenizer(self) -> object: ...


@dataclass(frozen=True)
class Prefix:
    """P things."""

    kind: NDArray[np.int64]  # [P]
    vector: Floats  # [P, 384]
    numbers: Floats  # [P, NUMBERS]
    tokens: NDArray[np.int64]  # [P, 2] whose embeddings are added; -1: none
    classes: Floats  # [P, C] weights of the classes' embeddings, likewise
    seen: Floats  # [2000]

    def __len__(self) -> int:
        return len(self.kind)


class _Things:
    def __init__(self) -> None:
        self.kind: list[int] = []
        self.vector: list[Floats] = []
        self.numbers: list[list[float]] = []
        self.tokens: list[tuple[int, int]] = []
        self.classes: list[dict[int, float]] = []

    def add(
        self,
        kind: str,
        numbers: Sequence[float] = (),
        vector: Floats | None = None,
        tokens: Sequence[int] = (),
        classes: dict[int, float] | None = None,
    ) -> None:
        if len(numbers) > NUMBERS:
            raise ValueError(f"a {kind} has {len(numbers)} numbers, more than {NUMBERS}")
        self.kind.append(KINDS.index(kind))
        self.vector.append(np.zeros(VECTOR, np.float32) if vector is None else vector)
        self.numbers.append([*numbers, *([0.0] * (NUMBERS - len(numbers)))])
        self.tokens.append(((*tokens, -1, -1)[0], (*tokens, -1, -1)[1]))
        self.classes.append(classes or {})

    def prefix(self, seen: Floats) -> Prefix:
        classes = np.zeros((len(self.kind), len(sound_classes())), np.float32)
        for row, found in zip(classes, self.classes, strict=True):
            for at, weight in found.items():
                row[at] = weight
        return Prefix(
            np.array(self.kind, np.int64),
            np.stack(self.vector).astype(np.float32),
            np.array(self.numbers, np.float32),
            np.array(self.tokens, np.int64),
            classes,
            seen,
        )


@dataclass(frozen=True)
class Said:
    """A text that was read."""

    text: str
    words: Floats  # [W, 384] states of its tokens
    spans: tuple[tuple[int, int], ...]  # W: where each stands in the text
    phrases: tuple[str, ...]
    meanings: Floats  # [K, 384] of the phrases
    likely: Floats  # [K, C] which classes they are likely to mean
    numbers: tuple[tuple[float, int], ...]  # (value, place in the text)

    @property
    def copy(self) -> tuple[str, ...]:
        """Pieces of the text, one a word, which put together are the text."""
        ends = [start for start, _ in self.spans[1:]] + [len(self.text)]
        return tuple(self.text[a:b] for (a, _), b in zip(self.spans, ends, strict=True))


class Reader:
    """Reads texts with MiniLM."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self._examples: tuple[Floats, NDArray[np.int64]] | None = None

    def read(self, text: str) -> Said:
        return self.read_all([text])[0]

    def read_all(self, texts: Sequence[str]) -> list[Said]:
        """Several at once, which is faster."""
        told = [" ".join(text.split()) for text in texts]
        full = [text for text in told if text]
        states, mask = (
            self.text.tokens(full, t.WORDS + 2) if full else (np.zeros((0, 0, VECTOR)), np.zeros((0, 0)))
        )
        phrases = [_phrases(text) for text in told]
        unique = list(dict.fromkeys(p for part in phrases for p in part))
        meanings = dict(zip(unique, self.text.encode(unique), strict=True)) if unique else {}
        found, at = [], 0
        for text, parts in zip(told, phrases, strict=True):
            words = np.zeros((0, VECTOR), np.float32)
            spans: list[tuple[int, int]] = []
            if text:
                offsets = self.text.tokenizer.encode(text).offsets[1:-1]  # type: ignore[attr-defined]
                spans = [tuple(span) for span in offsets[: t.WORDS]]
                words = np.asarray(states[at][mask[at]][1 : 1 + len(spans)], np.float32)
                spans = spans[: len(words)]
                at += 1
            vectors = np.stack([meanings[p] for p in parts]) if parts else np.zeros((0, VECTOR), np.float32)
            numbers = tuple((float(m[0]), m.start()) for m in _DIGITS.finditer(text))[: t.NUMBERS]
            found.append(Said(text, words, tuple(spans), parts, vectors, self.likely(vectors), numbers))
        return found

    def likely(self, vectors: Floats) -> Floats:
        """Meanings [K, 384] -> which classes they mean [K, C]: by the nearest caption of every class."""
        if not len(vectors):
            return np.zeros((0, len(sound_classes())), np.float32)
        if self._examples is None:
            texts = [(c, k) for k, s in enumerate(sound_classes().values()) for c in (*s.captions, s.heard)]
            self._examples = (self.text.encode([c for c, _ in texts]), np.array([k for _, k in texts]))
        examples, classes = self._examples
        cosine = np.full((len(vectors), len(sound_classes())), -1.0, np.float32)
        for k, column in zip(classes.tolist(), (vectors @ examples.T).T, strict=True):
            cosine[:, k] = np.maximum(cosine[:, k], column)
        odds = np.exp((cosine - cosine.max(1, keepdims=True)) / _LIKE)
        odds = np.where(odds >= 0.05, odds, 0.0) * np.maximum(cosine.max(1, keepdims=True), 0.0)
        return (
            odds / np.maximum(odds.sum(1, keepdims=True), 1e-6) * (cosine.max(1, keepdims=True) > 0.2)
        ).astype(np.float32)


def _phrases(text: str) -> tuple[str, ...]:
    parts = (part.strip() for part in _PHRASE.split(text.lower()))
    return tuple(part for part in parts if part)[:_PHRASES]


@cache
def implied() -> Floats:
    """[1000, C]: which sounds a label implies, the most likely first."""
    names = list(sound_classes())
    found = np.zeros((len(labels()), len(names)), np.float32)
    for i, label in enumerate(labels()):
        for name, weight in zip(label.sounds, _RANKS, strict=False):
            found[i, names.index(name)] = weight
    return found


def look(features: Features) -> Features:
    """The same with only as much of each kind as the reasoner is shown; onsets in order of time."""
    onsets = features.motion.onsets
    if len(onsets) > t.ONSETS:
        onsets = tuple(sorted(onsets, key=lambda o: -o.strength)[: t.ONSETS])
    motion = replace(features.motion, onsets=tuple(sorted(onsets, key=lambda o: o.time)))
    return replace(
        features,
        motion=motion,
        sightings=features.sightings[: t.LABELS],
        traces=features.traces[: t.TRACES],
        shots=features.shots[:_SHOTS],
    )


def situation(
    features: Features | None,
    said: Said | None,
    existing: Plan | None = None,
    banned: frozenset[str] = frozenset(),
    seconds: float | None = None,
) -> Situation:
    """What can be pointed at; the features are those of `look`."""
    return Situation(
        seconds=seconds or (features.seconds if features else 0.0),
        onsets=tuple(o.time for o in features.motion.onsets) if features else (),
        labels=len(features.sightings) if features else 0,
        traces=len(features.traces) if features else 0,
        entries=tuple(_entries(existing)) if existing else (),
        numbers=tuple(value for value, _ in said.numbers) if said else (),
        words=len(said.words) if said else 0,
        banned=banned,
    )


def _entries(plan: Plan) -> list[str]:
    return ([e.id for e in plan.events] + [a.id for a in plan.ambience])[: t.ENTRIES]


def prefix(
    task: Task,
    features: Features | None,
    said: Said | None,
    reader: Reader,
    class_vectors: Floats,
    *,
    avoid: Sequence[str] = (),
    existing: Plan | None = None,
    region: Region | None = None,
    seconds: float | None = None,
) -> Prefix:
    """All that is shown, in this order: task, text, what to avoid, the existing plan, the region, the evidence.

    `features` are those of `look`; `class_vectors` [1000, 384] are the meanings of the labels' names.
    """
    things = _Things()
    whole = seconds or (features.seconds if features else existing.seconds if existing else 0.0)
    hot = [float(task == one) for one in TASKS]
    things.add(
        "task", [*hot, whole / 10, float(said is not None and bool(said.text)), float(features is not None)]
    )
    if said:
        _add_text(things, said)
    for meaning in reader.text.encode(list(avoid[:_AVOIDED])) if avoid else ():
        things.add("avoid", vector=meaning)
    if existing:
        _add_plan(things, existing, reader)
    if region:
        things.add("region", [*_box(Box(region.x0, region.y0, region.x1, region.y1))])
    seen = np.zeros(SEEN, np.float32)
    if features:
        seen = _add_evidence(things, features, class_vectors)
    return things.prefix(seen)


def _add_text(things: _Things, said: Said) -> None:
    for k, (meaning, likely) in enumerate(zip(said.meanings, said.likely, strict=True)):
        things.add(
            "phrase",
            [k / _PHRASES],
            meaning,
            classes={int(c): float(likely[c]) for c in np.flatnonzero(likely)},
        )
    for k, (value, place) in enumerate(said.numbers):
        at = next((w for w, (a, b) in enumerate(said.spans) if a <= place < b), 0)
        numbers = [value / 10, np.log1p(value), at / t.WORDS]
        things.add("number", numbers, tokens=(t.first("number") + k, t.time(value)))
    for k, state in enumerate(said.words):
        things.add("word", vector=state / 8, tokens=(t.first("word") + k,))


def _add_plan(things: _Things, plan: Plan, reader: Reader) -> None:
    names = list(sound_classes())
    texts = [e.sound for e in plan.events] + [a.sound for a in plan.ambience]
    meanings = reader.text.encode(texts) if texts else np.zeros((0, VECTOR), np.float32)
    known: list[tuple[str, list[float]]] = []
    for e in plan.events:
        first = e.onsets[0] if e.onsets else e.start
        pan, distance = (float(x[0]) for x in e.place((e.start + e.end) / 2))
        numbers = [
            0.0,
            float(e.on_screen),
            e.level / 20,
            pan,
            np.log(distance),
            len(e.onsets) / 10,
            float(bool(e.path)),
        ]
        known.append((e.sound_class, [*numbers, *clock(first), *clock(e.start), *clock(e.end)]))
    for a in plan.ambience:
        known.append((a.sound_class, [1.0, 0.0, a.level / 20]))
    for k, ((name, numbers), meaning) in enumerate(zip(known[: t.ENTRIES], meanings, strict=False)):
        classes = {names.index(name): 1.0} if name in names else {}
        things.add("entry", numbers, meaning, (t.first("entry") + k,), classes)


def _add_evidence(things: _Things, f: Features, class_vectors: Floats) -> Floats:
    motion = f.motion
    colour = f.colour.mean(0) if len(f.colour) else np.zeros(4)
    moved = np.percentile(motion.level, (50, 95)) if len(motion.level) else np.zeros(2)
    camera = np.abs(motion.camera).mean(0) if len(motion.camera) else np.zeros(2)
    counts = [len(motion.onsets) / 10, len(f.sightings) / 10, len(f.traces) / 3, len(f.shots) / 4]
    things.add("clip", [f.seconds / 10, *colour, *np.log1p(moved), *np.log1p(camera), *counts])
    seen = _log(f.probabilities)
    things.add("seen")
    for k in range(max(1, round(f.seconds / MOMENT))):
        things.add("moment", _moment(f, k), _mean(f.visual, k, MOMENT * len(f.visual) / max(f.seconds, 1e-6)))
    names = implied()
    for k, s in enumerate(f.sightings):
        box = _box(s.box)
        classes = {int(c): float(names[s.index, c]) for c in np.flatnonzero(names[s.index])}
        numbers = [s.probability, s.probability**0.5, *clock(s.start), *clock(s.end), *box]
        things.add("sighting", numbers, class_vectors[s.index], (t.first("label") + k,), classes)
    for k, trace in enumerate(f.traces):
        hot = [float(trace.matter == m) for m in _MATTERS]
        numbers = [*hot, trace.confidence, *clock(trace.start), *clock(trace.end), *_box(trace.box)]
        things.add("trace", numbers, tokens=(t.first("trace") + k,))
    if len(f.shots) > 1:
        for shot in f.shots:
            things.add("shot", [*clock(shot.start), *clock(shot.end)])
    level = motion.level
    before = -10.0
    for k, o in enumerate(motion.onsets):
        at = min(int(o.time * motion.rate), max(len(level) - 1, 0))
        around = level[max(0, at - 4) : at + 8]
        around = np.pad(around, (0, 12 - len(around)))
        felt = float(motion.envelope[at]) if len(motion.envelope) else 0.0
        numbers = [o.strength, o.x, o.y, felt, min(o.time - before, 2.0), *clock(o.time), *np.log1p(around)]
        things.add("onset", numbers, tokens=(t.first("onset") + k, t.time(o.time)))
        before = o.time
    return seen


def clock(time: float) -> list[float]:
    """A time in several scales."""
    turns = [2 * np.pi * time / period for period in (0.64, 2.56, 10.24)]
    return [time / 10, *(float(np.sin(x)) for x in turns), *(float(np.cos(x)) for x in turns)]


def _box(box: Box | None) -> list[float]:
    return [1.0, *box.centre, box.x1 - box.x0, box.y1 - box.y0] if box else [0.0] * 5


def _log(probabilities: Floats) -> Floats:
    if not len(probabilities):
        return np.zeros(SEEN, np.float32)
    both = np.concatenate([probabilities.mean(0), probabilities.max(0)])
    return (np.log(np.maximum(both, _FLOOR) / _FLOOR) / 6.0).astype(np.float32)


def _mean(rows: Floats, k: int, count: float) -> Floats:
    """Of the rows of the k-th half second."""
    first = min(int(k * count), max(len(rows) - 1, 0))
    part = rows[first : max(first + 1, int((k + 1) * count))]
    return part.mean(0).astype(np.float32) if len(part) else np.zeros(VECTOR, np.float32)


def _moment(f: Features, k: int) -> list[float]:
    """Colour, motion and where it is in the k-th half second."""
    m = f.motion
    count = MOMENT * m.rate
    first = int(k * count)

    def part(curve: Floats) -> list[float]:
        here = curve[first : first + 12]
        return [float(x) for x in np.log1p(4 * np.pad(here, (0, 12 - len(here))))]

    at = slice(first, max(first + 1, int(first + count)))
    rows = (m.centre[at], m.camera[at], m.grid.sum(-1)[at])
    centre, camera, parts = (x.mean(0) if len(x) else np.zeros(x.shape[1:]) for x in rows)
    colour = _colours(f.colour, k, f.seconds)
    return [
        *clock(k * MOMENT), *colour, *part(m.level), *part(m.envelope), *centre, *np.clip(camera, -5, 5),
        *np.log1p(np.maximum(parts, 0)),
    ]  # fmt: skip


def _colours(colour: Floats, k: int, seconds: float) -> list[float]:
    if not len(colour):
        return [0.0] * 4
    count = MOMENT * len(colour) / max(seconds, 1e-6)
    first = min(int(k * count), len(colour) - 1)
    return [float(x) for x in colour[first : max(first + 1, int((k + 1) * count))].mean(0)]
