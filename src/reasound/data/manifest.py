"""The manifest of a sound library: one recording a line, what it is, what was measured of it and who made it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from reasound.errors import UserError

SHIPPABLE = ("CC-BY-SA", "CC0/PD", "CC-BY-SA or GPL (choice)", "CC-BY", "zlib/CC-BY (choice)")
"""Licence groups of recordings that may be passed on together, and learned from, under CC-BY-SA-4.0."""

SPLITS = ("train", "val", "test")
Kind = Literal["one_shot", "repeated", "texture"]
KINDS = ("one_shot", "repeated", "texture")


@dataclass(frozen=True)
class Hit:
    """One stroke, step, shot or call inside a recording. Seconds from the start of its file."""

    start: float
    """Where it may be cut out: the quiet just before."""
    onset: float
    """The moment that is heard as the hit; this is what is put on a visible impact."""
    end: float
    level: float
    """Loudest 100 ms, K-weighted, dBFS."""


@dataclass(frozen=True)
class Recording:
    """One recording of the library."""

    id: str
    file: str
    """Relative to the manifest."""
    captions: tuple[str, ...]
    sound_class: str
    """Of the taxonomy: "animal/dog"."""
    material: str
    kind: Kind
    seconds: float
    rate: int
    channels: int
    hits: tuple[Hit, ...]
    """In order of time; one for a one_shot, none for a texture without attacks."""
    loudness: float
    """K-weighted level of the active part, dBFS."""
    swell: float
    """Standard deviation of its level over half seconds, dB: small for what goes on, large for what passes."""
    brightness: float
    """Spectral centroid of the active part, Hz."""
    quality: float
    """0 to 1: sample rate, clipping and how well a tagger agrees with the class."""
    tags: tuple[str, ...]
    """AudioSet tags that YAMNet gives it, most probable first."""
    licence: str
    licence_group: str
    author: str
    package: str
    """Where the recording was published."""
    source_file: str
    """Its name there."""
    changes: str
    """What was done to it since."""
    series: str
    """Takes of one thing, recorded together, share a series."""
    split: Literal["train", "val", "test"]

    @property
    def caption(self) -> str:
        return self.captions[0]

    def __post_init__(self) -> None:
        """ValueError for a value that cannot be true of any recording."""
        if not self.id or not self.captions or not self.sound_class:
            raise ValueError(f"recording {self.id or self.file!r} needs an id, a caption and a class")
        if self.kind not in KINDS or self.split not in SPLITS:
            raise ValueError(f"recording {self.id} has kind {self.kind!r} and split {self.split!r}")
        if self.seconds <= 0 or self.rate <= 0 or self.channels not in (1, 2):
            raise ValueError(
                f"recording {self.id} has {self.channels} channels, {self.rate} Hz, {self.seconds} s"
            )
        if not 0 <= self.quality <= 1:
            raise ValueError(f"recording {self.id} has quality {self.quality}, not 0 to 1")
        bad = [h for h in self.hits if not 0 <= h.start <= h.onset < h.end <= self.seconds + 1e-3]
        if bad or [h.onset for h in self.hits] != sorted(h.onset for h in self.hits):
            raise ValueError(f"the hits of recording {self.id} are not inside it and in order")
        missing = [name for name in ("licence", "licence_group", "author") if not getattr(self, name)]
        if missing:
            raise ValueError(f"recording {self.id} names no {missing[0]}")

    @classmethod
    def of(cls, row: dict[str, Any]) -> Recording:
        """A parsed manifest line; ValueError where its keys are not exactly these."""
        known = {f.name for f in fields(cls)}
        if row.keys() != known:
            odd = sorted(row.keys() ^ known)
            raise ValueError(f"recording {row.get('id', '?')!r} has or lacks {odd[0]!r}")
        lists = {name: tuple(row[name]) for name in ("captions", "tags")}
        return cls(**{**row, **lists, "hits": tuple(Hit(*hit) for hit in row["hits"])})

    def to_line(self) -> str:
        """One line of JSON, without line end; hits as [start, onset, end, level]."""
        row = asdict(self)
        row["hits"] = [list(hit.values()) for hit in row["hits"]]
        return json.dumps(row, ensure_ascii=False)


def read_manifest(path: Path) -> list[Recording]:
    """All recordings of a manifest.jsonl; UserError names the file and line that does not fit."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(
            f"cannot read the sound library {path}: {(error.strerror or str(error)).lower()}"
        ) from error
    recordings = []
    for number, line in enumerate(lines, 1):
        try:
            recordings.append(Recording.of(json.loads(line)))
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(f"line {number} of {path} is no recording: {error}") from error
    check_ids(recordings)
    return recordings


def write_manifest(path: Path, recordings: Iterable[Recording]) -> None:
    path.write_text("".join(r.to_line() + "\n" for r in recordings), encoding="utf-8")


def check_ids(recordings: Sequence[Recording]) -> None:
    """ValueError where two recordings share an id, or a series lies in two splits."""
    seen: set[str] = set()
    split_of: dict[str, str] = {}
    for r in recordings:
        if r.id in seen:
            raise UserError(f"two recordings share the id {r.id!r}")
        seen.add(r.id)
        if split_of.setdefault(r.series, r.split) != r.split:
            raise UserError(f"the series {r.series!r} is in two splits, {split_of[r.series]} and {r.split}")
