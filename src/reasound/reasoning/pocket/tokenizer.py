"""The words of the pocket reasoner's answers: a small closed vocabulary in which every number is one token.

Times are multiples of 20 ms, or pointers: to a visible onset, to a label, to an entry of the existing plan, to a number
or a word of the instruction. What is copied by its number is exact.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cache

from reasound.edit_plan import VERBS
from reasound.reasoning.instructions import refusals
from reasound.reasoning.knowledge import sound_classes

TICK = 0.02
"""Seconds of a step of time."""
TICKS = 512
"""Of one window: 10.22 s."""
ONSETS, LABELS, TRACES, ENTRIES, NUMBERS, WORDS = 48, 12, 6, 16, 8, 40
"""How many of each the reasoner can point at."""
LEVELS = tuple(range(-60, 13, 2))
PANS = tuple(k / 10 for k in range(-10, 11))
DISTANCES = tuple(round(2 ** (k / 2), 1) for k in range(-2, 17))
STRENGTHS = (0.2, 0.35, 0.5, 0.65, 0.8, 1.0)
REVERBS = tuple(k / 10 for k in range(11))
SPACES = ("outdoors", "small room", "room", "large room", "hall", "vehicle", "underwater")
VALUES = (
    0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.33, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.67, 0.7, 0.75, 0.8, 0.85, 0.9,
    0.95, 1.0, 1.1, 1.2, 1.25, 1.33, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 14.0,
    15.0, 16.0, 18.0, 20.0, 24.0, 25.0, 30.0, 36.0, 40.0, 45.0, 50.0, 60.0, 80.0, 100.0, 120.0,
)  # fmt: skip
"""Amounts that are meant although no number is said."""
HOW = ("seen", "paced", "whole", "span")
"""How the times of an event are known: from visible onsets, guessed, all the time, from when to when."""
STYLES = (
    "older", "underwater", "muffled", "telephone", "radio", "robotic", "warmer", "brighter", "darker", "lo-fi",
    "distorted", "dreamy", "cartoonish", "scary", "metallic", "deeper", "higher-pitched", "cinematic", "8-bit",
    "futuristic", "realistic", "aggressive", "calm", "hollow", "younger", "bigger", "smaller",
)  # fmt: skip
ROOMS = (
    "small room", "room", "bathroom", "garage", "large room", "stairwell", "tunnel", "hall", "cave", "church",
    "stadium", "canyon", "cathedral", "outdoors", "vehicle", "underwater",
)  # fmt: skip
REFUSALS = (
    refusals.NOTHING,
    refusals.UNCLEAR,
    refusals.NOT_SOUND,
    refusals.NO_SPAN,
    refusals.SHORTER,
    refusals.NO_SOUND,
    refusals.NO_BACKGROUND,
    refusals.NO_OTHERS,
    refusals.not_there("such sound"),
)
"""Why nothing is done; a sentence each."""


def _names() -> list[str]:
    names = ["<pad>", "<plan>", "<object>", "<edit>", "<end>"]
    names += [
        "<because>",
        "<under>",
        "<so>",
        "<event>",
        "<bed>",
        "<moves>",
        "<still>",
        "<from>",
        "<to>",
        "<hits>",
    ]
    names += ["<on screen>", "<off screen>", "<told>", "<motion>", "<guess>", "<no class>", "<clip end>"]
    names += [
        "<op>",
        "<mix>",
        "<sound>",
        "<said>",
        "<by>",
        "<minus>",
        "<before>",
        "<after>",
        "<style>",
        "<room>",
        "<no>",
    ]
    names += [f"verb {v}" for v in VERBS]
    names += [f"how {h}" for h in HOW]
    names += [f"class {c}" for c in sound_classes()]
    names += [f"material {m}" for m in materials()]
    names += [f"space {s}" for s in SPACES]
    names += [f"level {v}" for v in LEVELS]
    names += [f"pan {v}" for v in PANS]
    names += [f"distance {v}" for v in DISTANCES]
    names += [f"strength {v}" for v in STRENGTHS]
    names += [f"reverb {v}" for v in REVERBS]
    names += [f"value {v}" for v in VALUES]
    names += [f"style {s}" for s in STYLES]
    names += [f"room {r}" for r in ROOMS]
    names += [f"refusal {k}" for k in range(len(REFUSALS))]
    names += [f"onset {k}" for k in range(ONSETS)]
    names += [f"label {k}" for k in range(LABELS)]
    names += [f"trace {k}" for k in range(TRACES)]
    names += [f"entry {k}" for k in range(ENTRIES)]
    names += [f"number {k}" for k in range(NUMBERS)]
    names += [f"word {k}" for k in range(WORDS)]
    names += [f"time {k}" for k in range(TICKS)]
    return names


@cache
def materials() -> tuple[str, ...]:
    """All that a class may be of; the first is none."""
    found = [m for sound in sound_classes().values() for m in sound.materials]
    return ("", *dict.fromkeys(found))


@cache
def names() -> tuple[str, ...]:
    """All tokens, by id."""
    return tuple(_names())


@cache
def _ids() -> dict[str, int]:
    return {name: k for k, name in enumerate(names())}


def token(name: str) -> int:
    """The id of a token; KeyError for one that is unknown."""
    return _ids()[name]


def has(name: str) -> bool:
    return name in _ids()


@cache
def group(prefix: str) -> tuple[int, ...]:
    """Ids of all tokens of one kind ("class", "time", ...), in order."""
    return tuple(k for k, name in enumerate(names()) if name.startswith(prefix + " "))


def first(prefix: str) -> int:
    return group(prefix)[0]


@cache
def fingerprint() -> str:
    """Of the whole vocabulary."""
    return hashlib.sha256("\n".join(names()).encode()).hexdigest()[:16]


def nearest(values: Sequence[float], value: float, ratio: bool = False) -> int:
    """Place of the nearest of some values, by difference or by ratio."""
    if ratio:
        return min(range(len(values)), key=lambda k: abs(math.log(values[k] / max(value, 1e-6))))
    return min(range(len(values)), key=lambda k: abs(values[k] - value))


def level(value: float) -> int:
    return first("level") + nearest(LEVELS, value)


def pan(value: float) -> int:
    return first("pan") + nearest(PANS, value)


def distance(value: float) -> int:
    return first("distance") + nearest(DISTANCES, value, ratio=True)


def strength(value: float) -> int:
    return first("strength") + nearest(STRENGTHS, value)


def reverb(value: float) -> int:
    return first("reverb") + nearest(REVERBS, value)


def time(seconds: float) -> int:
    return first("time") + min(max(round(seconds / TICK), 0), TICKS - 1)


def value_of(token_id: int) -> float:
    """The number that a token of a number stands for: level, pan, distance, strength, reverb, value or time."""
    kind, _, rest = names()[token_id].partition(" ")
    return float(rest) * (TICK if kind == "time" else 1.0)


def pointed(token_id: int) -> tuple[str, int]:
    """("onset", 3) of a pointer."""
    kind, _, rest = names()[token_id].partition(" ")
    return kind, int(rest)
