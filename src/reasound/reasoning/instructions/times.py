"""When: the words for times, of which `tables/times.json` holds the phrases in the order in which they are tried."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from reasound.plan import RING
from reasound.reasoning.instructions.amounts import MIDDLE, N
from reasound.reasoning.instructions.words import table

SECONDS = r" seconds?(?: marks?)?"
LETTERS = {"moment": "m", "span": "n", "opening": "s", "ending": "e", "length": "l", "whole": "w"}


@dataclass(frozen=True)
class When:
    """A time that was named: a span with open ends, a moment, or a length."""

    kind: Literal["span", "moment", "length", "whole", "opening", "ending"]
    start: float | None = None
    end: float | None = None
    said: str = ""
    """The words for it."""
    moments: tuple[float, ...] = ()
    """Several that were named one by one."""


def _several(times: list[float], seconds: float) -> When:
    """From the first of several moments until the last has rung."""
    last = max(times)
    end = min(last + RING, seconds) if last < seconds else last + RING
    return When("span", min(times), end, moments=tuple(sorted(set(times))))


Reader = Callable[[re.Match[str], float], When]

READERS: dict[str, Reader] = {
    "span": lambda m, _: When("span", float(m[1]), float(m[2])),
    "several": lambda m, s: _several([float(n) for n in re.findall(N, m[0])], s),
    "from": lambda m, _: When("span", float(m[1]), None),
    "until": lambda m, _: When("span", None, float(m[1] or m[2])),
    "first": lambda m, _: When("span", None, float(m[1])),
    "last": lambda m, s: When("span", max(0.0, round(s - float(m[1]), 2)), None),
    "first half": lambda _, s: When("span", None, round(s / 2, 2)),
    "second half": lambda _, s: When("span", round(s / 2, 2), None),
    "first third": lambda _, s: When("span", None, round(s / 3, 2)),
    "last third": lambda _, s: When("span", round(s * 2 / 3, 2), None),
    "middle": lambda _, s: When("span", round(s * MIDDLE[0], 2), round(s * MIDDLE[1], 2)),
    "moment": lambda m, _: When("moment", float(m[1])),
    "halfway": lambda _, s: When("moment", round(s / 2, 2)),
    "opening": lambda _, s: When("opening"),
    "ending": lambda _, s: When("ending"),
    "whole": lambda _, s: When("whole"),
    "length": lambda m, _: When("length", float(m[1])),
}
"""From a match and the seconds of the clip."""


@cache
def _phrases() -> tuple[tuple[re.Pattern[str], Reader], ...]:
    parts = {
        "N": N,
        "S": SECONDS,
        "T": rf"{N}(?:{SECONDS})?",
        "CLIP": "".join(table("patterns.json")["of_clip"]),
    }
    found = []
    for entry in table("times.json"):
        phrase = "".join(entry["phrase"])
        for name, part in parts.items():
            phrase = phrase.replace("{" + name + "}", part)
        found.append((re.compile(phrase), READERS[entry["means"]]))
    return tuple(found)


def take_times(text: str, seconds: float) -> tuple[str, list[When]]:
    """The text with each time replaced by "@m0", "@n1" ... (a letter for its kind), and what they mean in a clip of
    `seconds`."""
    found: list[When] = []
    for pattern, reader in _phrases():

        def keep(match: re.Match[str], reader: Reader = reader) -> str:
            when = reader(match, seconds)
            if when.kind == "span" and when.end is not None and when.end <= (when.start or 0.0):
                when = When("span", when.end, when.start)
            found.append(replace(when, said=" ".join(match[0].split())))
            return f" @{LETTERS[when.kind]}{len(found) - 1} "

        text = pattern.sub(keep, text)
    return " ".join(text.split()), found
