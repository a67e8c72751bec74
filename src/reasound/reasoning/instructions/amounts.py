"""When and how much: the words for times and amounts, and what is meant where no amount is said."""

from __future__ import annotations

import math
import re
from typing import Literal

from reasound.edit_plan import AMOUNTS, Verb
from reasound.reasoning.instructions.words import pattern

Degree = Literal["bit", "plain", "much"]

GAIN_DB: dict[Degree, float] = {"bit": 3.0, "plain": 6.0, "much": 12.0}
TWICE_AS_LOUD_DB = 10.0
"""Ten decibels are heard as a doubling (Stevens 1955)."""
DISTANCE: dict[Degree, float] = {"bit": 1.5, "plain": 2.0, "much": 4.0}
"""Times as far; closer is the inverse."""
FAR = re.compile(
    r"\b(?:far away|in the distance|distant|miles|mile|faraway|way off|a long way|from afar|remote|far off)\b"
)
"""Words for a distance that is much without "much"."""
SPEED: dict[Degree, float] = {"bit": 1.25, "plain": 1.5, "much": 2.0}
"""Times as fast; slower is the inverse."""
MOVE_SECONDS: dict[Degree, float] = {"bit": 0.25, "plain": 0.5, "much": 1.5}
EXTEND_SECONDS: dict[Degree, float] = {"bit": 1.0, "plain": 2.0, "much": 5.0}
PAN: dict[Degree, float] = {"bit": 0.3, "plain": 0.7, "much": 1.0}
REVERB: dict[Degree, float] = {"bit": 0.25, "plain": 0.5, "much": 0.8}
LESS_REVERB = 0.1
ROOMS: dict[str, float] = {
    "small room": 0.2,
    "room": 0.3,
    "bathroom": 0.4,
    "garage": 0.45,
    "large room": 0.45,
    "stairwell": 0.6,
    "tunnel": 0.7,
    "hall": 0.6,
    "cave": 0.7,
    "church": 0.75,
    "stadium": 0.7,
    "canyon": 0.7,
    "cathedral": 0.9,
}
"""Reverb of rooms that are named without an amount."""

N = r"(\d+(?:\.\d+)?)"
EDGE, MIDDLE = 0.25, (1 / 3, 2 / 3)
"""Shares of the clip that "the beginning", "the end" and "the middle" are."""


def degree(text: str) -> Degree:
    """How strongly the words say it."""
    if BIT.search(text):
        return "bit"
    return "much" if MUCH.search(text) else "plain"


BIT, MUCH = pattern("bit"), pattern("much")


def number(text: str, unit: str) -> float | None:
    """The number before this unit."""
    found = re.search(rf"{N} {unit}\b", text)
    return float(found[1]) if found else None


def bare(text: str) -> float | None:
    """A number without a unit: "slow it down, 0.8"."""
    found = re.search(rf"(?<![@\w.]){N}(?![\d.]| ?(?:seconds|percent|db|meters|times)\b)", text)
    return float(found[1]) if found else None


def factor(text: str) -> float | None:
    """ "twice", "3 times", "half", "by 50 percent": how many times as much the words say, or None."""
    if m := re.search(rf"\b{N} times\b", text):
        return float(m[1])
    for phrase, value in FACTORS:
        if re.search(phrase, text):
            return value
    if m := re.search(rf"\b(?:to|at) {N} percent\b", text):
        return float(m[1]) / 100
    return None


FACTORS = (
    (r"\b(?:twice|double[ds]?|doubling)\b", 2.0),
    (r"\b(?:triple[ds]?|thrice)\b", 3.0),
    (r"\b(?:quadruple[ds]?)\b", 4.0),
    (r"\b(?:1 third|a third|one third)\b", 1 / 3),
    (r"\b(?:quarter)\b", 0.25),
    (r"\b(?:half|halve[ds]?|halving)\b", 0.5),
)


def percent(text: str) -> float | None:
    """ "by 20 percent" as 0.2."""
    found = number(text, "percent")
    return None if found is None or re.search(rf"\b(?:to|at) {N} percent", text) else found / 100


def clamped(verb: Verb, amount: float) -> float:
    """Within what the verb allows, and round enough to read."""
    low, high, _ = AMOUNTS[verb]
    return round(min(max(amount, low), high), 2)


def decibels(ratio: float) -> float:
    return round(20 * math.log10(max(ratio, 1e-3)), 1)
