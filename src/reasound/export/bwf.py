"""Broadcast Wave: what a WAV file says of itself (EBU Tech 3285, version 2), for editors that place files by time.

The chunk `bext` holds the time of the first sample, who made the file and how loud it is; `LIST INFO` holds the same
words for players that know no `bext`, and says that the sound is generated.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from reasound import __version__

RATE, BITS = 48_000, 24
UNKNOWN = 0x7FFF
"""What stands where a loudness was not measured."""
BEXT = struct.Struct("<256s32s32s10s8sQH64s5h180s")
MARK = "Generated sound: made by Reasound, not recorded on location (trainedAlgorithmicMedia)."


@dataclass(frozen=True)
class About:
    """What the file says of itself."""

    description: str
    reference: str = ""
    """At most 32 characters that tell the take."""
    time: int = 0
    """Of the first sample, in samples since midnight."""
    loudness: float | None = None
    """LUFS; None for silence."""
    true_peak: float | None = None
    """dBTP."""


def write(path: Path, audio: NDArray[np.float32], about: About) -> None:
    """[2, N] at 48 kHz as 24-bit PCM with `bext` and `LIST INFO` before the samples. Rounded, not dithered: the
    rounding of a file is the same every time."""
    soundfile.write(path, audio.T, RATE, subtype="PCM_24", format="WAV")
    plain = path.read_bytes()
    start = _chunk(plain, b"data")
    head = plain[12:start]
    extra = _padded(b"bext", bext(about)) + _padded(b"LIST", info(about))
    body = b"WAVE" + extra + head + plain[start:]
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def bext(about: About) -> bytes:
    """The chunk's content."""
    levels = [_hundredths(about.loudness), UNKNOWN, _hundredths(about.true_peak), UNKNOWN, UNKNOWN]
    history = f"A=PCM,F={RATE},W={BITS},M=stereo,T=Reasound {__version__}; {MARK}\r\n"
    fixed = BEXT.pack(
        _text(about.description, 256),
        _text("Reasound", 32),
        _text(about.reference, 32),
        b"",  # no date: the same take gives the same bytes
        b"",
        about.time,
        2,
        b"",
        *levels,
        b"",
    )
    return fixed + history.encode("ascii")


def info(about: About) -> bytes:
    """The content of LIST INFO: software, title, comment."""
    rows = {b"ISFT": f"Reasound {__version__}", b"INAM": about.description, b"ICMT": MARK}
    return b"INFO" + b"".join(_padded(k, _text(v, 1000) + b"\0") for k, v in rows.items())


def _hundredths(value: float | None) -> int:
    return UNKNOWN if value is None else round(max(min(value, 99.99), -99.99) * 100)


def _text(text: str, most: int) -> bytes:
    return text.encode("ascii", "replace")[:most]


def _padded(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _chunk(wav: bytes, name: bytes) -> int:
    """Where a chunk begins."""
    at = 12
    while wav[at : at + 4] != name:
        size = struct.unpack_from("<I", wav, at + 4)[0]
        at += 8 + size + size % 2
    return at
