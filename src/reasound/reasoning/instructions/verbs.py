"""Which change a request asks for: cues of words, some with a gap ("turn ~ up"), the strongest wins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from reasound.reasoning.instructions.amounts import ROOMS
from reasound.reasoning.instructions.words import table

PER_WORD = 0.02
"""Of two equal cues the one that explains more words wins."""
ALONE, FIRST = ("remove", "mute", "extract"), 0.15
"""Verbs after which nothing more need be said, and what they gain at the beginning: "take out the wind in the distance"
puts it no farther away."""
ROOM_WORDS: dict[str, list[str]] = table("rooms.json")
"""Names of each room of `amounts.ROOMS`."""


@dataclass(frozen=True)
class Cue:
    """A change that a request asks for."""

    kind: str
    """A key of cues.json: a verb with its direction."""
    score: float
    rest: str
    """The request without the words of the cue."""
    said: str
    """The words of the cue."""


def cues(text: str) -> Iterator[Cue]:
    """Every cue of a request (normal text with times as placeholders), strongest first."""
    found: list[Cue] = []
    for kind, score, pattern in _patterns():
        if match := pattern.search(text):
            spans = [match.span(n) for n in range(1, pattern.groups + 1) if match.span(n)[0] >= 0]
            rest, said = text, []
            for start, end in reversed(spans):
                said.append(text[start:end])
                # Times stay with what is left: they are read from there.
                kept = " ".join(re.findall(r"@[a-z]\d+", text[start:end]))
                rest = f"{rest[:start]} {kept} {rest[end:]}"
            words = " ".join(reversed(said))
            worth = score + PER_WORD * len(words.split())
            if kind in ALONE and match.start() == 0:
                worth += FIRST
            found.append(Cue(kind, worth, " ".join(rest.split()), words))
    yield from sorted(found, key=lambda cue: -cue.score)


@cache
def _patterns() -> tuple[tuple[str, float, re.Pattern[str]], ...]:
    return tuple(
        (kind, float(score), _compiled(pattern))
        for kind, levels in table("cues.json").items()
        for score, patterns in levels.items()
        for pattern in patterns
    )


def _compiled(pattern: str) -> re.Pattern[str]:
    """ "turn ~ up" -> (turn) up to nine words (up), each piece a group."""
    pattern = re.sub(r"\((?!\?)", "(?:", pattern)
    for name, words in _sets().items():
        pattern = re.sub(rf"@{name}(?![a-z])", lambda _, words=words: words, pattern)  # type: ignore[misc]
    pattern = re.sub(r"@([mnesl])(?![a-z])", r"@\1\\d+", pattern)
    pieces = []
    for piece in pattern.split(" ~ "):
        before = "" if piece.startswith(("^", "\\d", "@", "(?:@")) else r"\b"
        ahead = ""
        if found := re.match(
            r"^(.*?) \((\?[=!])(.*)\)$", piece
        ):  # what must or must not follow is no part of it
            piece, ahead = found[1], f"({found[2]} (?:{found[3]}))"
        after = "" if piece.endswith("$") else r"(?![\w-])"
        pieces.append(f"{before}({piece}){after}{ahead}")
    return re.compile(r"(?: \S+){0,9}? ".join(pieces))


@cache
def _sets() -> dict[str, str]:
    return {
        "room": _either(w for words in ROOM_WORDS.values() for w in words),
        "style": _either(w for words in styles().values() for w in words),
        "except": r"(?:except|but|besides|other than|apart from|save for|aside from|excluding)(?: for)?",
        "a": "".join(table("patterns.json")["a"]),
    }


def _either(words: Iterator[str]) -> str:
    return "(?:" + "|".join(re.escape(w) for w in sorted(words, key=lambda w: -len(w))) + ")"


@cache
def styles() -> dict[str, tuple[str, ...]]:
    """Words of each style."""
    return {style: tuple(words.split()) for style, words in table("styles.json").items()}


def style_of(text: str) -> str:
    """The style that is named, or ""."""
    found = [s for s, words in styles().items() for w in words if re.search(rf"(?<![\w-]){w}(?![\w-])", text)]
    return found[0] if found else ""


def room_of(text: str) -> str:
    """The room that is named (a key of ROOMS), or ""; the longest name counts."""
    named = [
        (len(word), room)
        for room, words in ROOM_WORDS.items()
        for word in words
        if re.search(rf"\b{word}\b", text)
    ]
    return max(named)[1] if named else ""


assert set(ROOM_WORDS) == set(ROOMS)
