"""Recordings for training: a manifest and its audio files, decoded once into one int16 file.

A folder of sounds holds `manifest.jsonl`, one JSON object a line with at least `file` (relative to the folder),
`licence_group` and `split` (train, val or test), and the audio files.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reasound.data.manifest import SHIPPABLE

RATE = 44_100
Audio = NDArray[np.float32]
"""[2, N] unless said otherwise."""


@dataclass(frozen=True)
class Entry:
    """One recording in the cache: where it starts and how long it is, in samples."""

    id: str
    file: str
    sound_class: str
    licence_group: str
    split: str
    start: int
    samples: int


def read_audio(path: Path) -> Audio:
    """Any audio file -> [2, N] at 44.1 kHz; mono becomes two equal channels, further channels are left out."""
    import soundfile
    import soxr

    sound, rate = soundfile.read(path, always_2d=True, dtype="float32")
    if rate != RATE:
        sound = soxr.resample(sound, rate, RATE, "HQ").astype(np.float32)
    return np.ascontiguousarray(sound[:, [0, 0 if sound.shape[1] == 1 else 1]].T)


def decode_once(sounds: Path, cache: Path, licences: Collection[str] | None = SHIPPABLE) -> None:
    """Write cache/audio.i16 (samples x 2) and cache/index.json; nothing to do where the index exists.

    `licences` are the licence groups to keep, None for all. Recordings above full scale are brought down to it.
    ValueError when the manifest is missing or nothing in it is allowed.
    """
    if (cache / "index.json").exists():
        return
    manifest = sounds / "manifest.jsonl"
    if not manifest.exists():
        raise ValueError(f"{sounds} has no manifest.jsonl; give a folder that holds one and its audio files")
    rows: list[dict[str, Any]] = [
        json.loads(line) for line in manifest.read_text().splitlines() if line.strip()
    ]
    rows = [row for row in rows if licences is None or row["licence_group"] in licences]
    if not rows:
        raise ValueError(f"no recording of {manifest} has one of the licences {', '.join(licences or ())}")
    cache.mkdir(parents=True, exist_ok=True)
    entries, start = [], 0
    with (cache / "audio.i16").open("wb") as f:
        for row in rows:
            audio = read_audio(sounds / row["file"])
            audio = audio / max(1.0, float(np.abs(audio).max(initial=0.0)))
            f.write(np.round(audio.T * 32767.0).astype("<i2").tobytes())
            names = {k: row.get(k, "") for k in ("id", "file", "sound_class", "licence_group", "split")}
            entries.append(Entry(**names, start=start, samples=audio.shape[1]))
            start += audio.shape[1]
    # The index comes last: where it is, the audio is whole.
    (cache / "index.json").write_text(json.dumps([asdict(e) for e in entries]))


class Recordings:
    """The decoded recordings of some splits."""

    def __init__(self, cache: Path, *splits: str) -> None:
        """ValueError when the cache is missing or holds none of the splits."""
        if not (cache / "index.json").exists():
            raise ValueError(f"{cache} holds no decoded recordings; run decode_once first")
        entries = [Entry(**e) for e in json.loads((cache / "index.json").read_text())]
        self.entries = [e for e in entries if e.split in splits]
        if not self.entries:
            raise ValueError(f"{cache} holds no recording of {' or '.join(splits)}")
        self.audio = np.memmap(cache / "audio.i16", "<i2", "r").reshape(-1, 2)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def seconds(self) -> float:
        return sum(e.samples for e in self.entries) / RATE

    def read(self, i: int, start: int = 0, stop: int | None = None) -> Audio:
        """Recording i -> [2, stop - start]; what lies outside the recording is silence."""
        e = self.entries[i]
        stop = e.samples if stop is None else stop
        inside = self.audio[e.start + max(start, 0) : e.start + max(min(stop, e.samples), 0)]
        out = np.zeros((2, stop - start), np.float32)
        at = max(-start, 0)
        out[:, at : at + len(inside)] = inside.T / np.float32(32767)
        return out
