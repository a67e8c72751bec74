"""A REAPER project: the picture on one track, every layer on its own, a marker at every hit.

The format is REAPER's own text of nested blocks; what is not written takes the program's usual value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Item:
    """A track with one file on it."""

    name: str
    file: str
    seconds: Fraction
    kind: str = "WAVE"
    """Of the source: WAVE or VIDEO."""
    begin: Fraction = Fraction(0)
    """Where it lies in the project, in seconds."""
    mute: bool = False
    solo: bool = False


def text(
    items: Sequence[Item], markers: Sequence[tuple[Fraction | float, str]], start: Fraction, rate: int
) -> str:
    """The project. `start`: the timecode at which it begins, in seconds; `rate`: samples a second."""
    lines = ['<REAPER_PROJECT 0.1 "7.0"', f"  PROJOFFS {_number(start)} 0 0", f"  SAMPLERATE {rate} 1 0"]
    for number, (time, name) in enumerate(sorted(markers), start=1):
        lines.append(f"  MARKER {number} {_number(time)} {_quoted(name)} 0")
    for item in items:
        lines += [
            "  <TRACK",
            f"    NAME {_quoted(item.name)}",
            f"    MUTESOLO {int(item.mute)} {int(item.solo)} 0",
            "    <ITEM",
            f"      POSITION {_number(item.begin)}",
            f"      LENGTH {_number(item.seconds)}",
            "      LOOP 0",
            f"      NAME {_quoted(item.file)}",
            f"      <SOURCE {item.kind}",
            f"        FILE {_quoted(item.file)}",
            "      >",
            "    >",
            "  >",
        ]
    return "\r\n".join([*lines, ">"]) + "\r\n"


def _number(value: Fraction | float) -> str:
    return f"{float(value):.9f}"


def _quoted(words: str) -> str:
    """In the first kind of quotes that the words do not have."""
    words = " ".join(words.split())
    mark = next((q for q in "\"'`" if q not in words), "`")
    return mark + words.replace("`", "'" if mark == "`" else "`") + mark
