"""An edit decision list (CMX 3600): where each stem lies beside the picture, and a marker at every hit."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

RATES = tuple(
    Fraction(n, d) for n, d in ((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (50, 1), (60, 1))
)
"""Frames per second that editors count in; others are counted at the nearest of them."""
DROPPING = Fraction(30000, 1001)
"""The rate whose timecode leaves numbers out, so that it goes with the clock (SMPTE ST 12-1)."""
TRACKS = 4
"""Audio tracks that the format can name: A, A2, A3 and A4."""


def rate_for(fps: float) -> Fraction:
    """The rate in which a clip's timecode is counted."""
    return min(RATES, key=lambda rate: abs(float(rate) - fps))


def timecode(seconds: Fraction | float, rate: Fraction) -> str:
    """HH:MM:SS:FF of the frame at `seconds` since midnight; HH:MM:SS;FF where numbers are left out."""
    frame = round(Fraction(seconds) * rate)
    nominal = round(rate)
    if rate == DROPPING:
        tens, rest = divmod(frame, 17982)  # frames of ten minutes
        frame += 18 * tens + 2 * max(0, (rest - 2) // 1798)
    minutes, left = divmod(frame, 60 * nominal)
    mark = ";" if rate == DROPPING else ":"
    hours, minutes = divmod(minutes, 60)
    return f"{hours % 24:02d}:{minutes:02d}:{left // nominal:02d}{mark}{left % nominal:02d}"


def text(
    title: str,
    files: Sequence[str],
    seconds: Fraction,
    rate: Fraction,
    start: Fraction = Fraction(0),
    marks: Sequence[tuple[Fraction | float, str]] = (),
) -> str:
    """The list. Each of `files` lasts the whole clip; beyond four they begin the tracks anew. `start`: the timecode of
    the beginning; `marks`: seconds after it, and what is heard."""
    lines = [f"TITLE: {_plain(title)[:70]}"]
    lines.append("FCM: DROP FRAME" if rate == DROPPING else "FCM: NON-DROP FRAME")
    first, last = timecode(start, rate), timecode(start + seconds, rate)
    for number, name in enumerate(files):
        track = "A" if number % TRACKS == 0 else f"A{number % TRACKS + 1}"
        lines.append(f"{number + 1:03d}  AX       {track:<4}  C        {first} {last} {first} {last}")
        lines.append(f"* FROM CLIP NAME: {_plain(name)}")
        if number == 0:
            for time, words in marks:
                lines.append(f"* LOC: {timecode(start + Fraction(time), rate)} YELLOW  {_plain(words)}")
    return "\r\n".join(lines) + "\r\n"


def _plain(words: str) -> str:
    return words.encode("ascii", "replace").decode().replace("\n", " ")
