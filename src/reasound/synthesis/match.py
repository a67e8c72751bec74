"""Which recordings fit: by words, class, material, length and quality; and the cuts of them that an event plays."""

from __future__ import annotations

import logging
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from reasound.checkpoints.catalog import sounds
from reasound.data.manifest import Hit, Recording, read_manifest
from reasound.data.measure import Manner, without_rumble
from reasound.errors import UserError
from reasound.synthesis.attacks import again, once
from reasound.timeline import SAMPLE_RATE

Audio = NDArray[np.float32]
"""[C, N] at 44.1 kHz."""

SURE = 0.5
"""Cosine of two captions above which they speak of the same sound; below it we say that we guess."""
_CLOSE = 0.05  # series whose score is this near to the best are equally good, and the seed picks one
LEAD = 0.025
"""Seconds of a take before its attack that are kept where one hit is asked for: with more, a moo that swells would
begin before its moment."""
_PARTED = 0.35  # seconds between attacks from which on they are two things that happen, not one
_CACHED = 64 * 2**20  # bytes of decoded sound that are kept

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Match:
    """A recording and how well it fits."""

    recording: Recording
    score: float
    likeness: float
    """Cosine between the wanted words and its best caption, -1 to 1."""


@dataclass(frozen=True)
class Cut:
    """A piece of a recording that can be put on an onset. Seconds from the start of its file."""

    recording: Recording
    start: float
    onset: float
    end: float
    level: float
    """Loudest 100 ms, K-weighted, dBFS."""

    @classmethod
    def of(cls, recording: Recording, first: Hit, last: Hit) -> Cut:
        return cls(recording, first.start, first.onset, last.end, max(first.level, last.level))


@dataclass(frozen=True)
class _Captions:
    """What is said of recordings and classes, and what it means."""

    row: dict[str, int]
    vectors: NDArray[np.float32]  # [K, 384] one unit vector a caption
    flat: NDArray[np.int64]  # rows of the captions of all recordings, one recording after the other
    starts: NDArray[np.int64]  # [recordings] where each begins in `flat`
    classes: list[str]  # class of each of `class_captions`
    class_captions: NDArray[np.int64]  # rows


class Library:
    """The recordings of a sound library. Audio is decoded when first needed and kept while there is room."""

    def __init__(self, folder: Path) -> None:
        """UserError where the folder holds no readable library."""
        self.folder = folder
        self.recordings = read_manifest(folder / "manifest.jsonl")
        if not self.recordings:
            raise UserError(f"the sound library {folder} is empty; build it with recipes/pocket_sounds.py")
        self._decoded: OrderedDict[tuple[str, int, int], Audio] = OrderedDict()
        self._again: dict[Cut, float] = {}
        self._gains: dict[Cut, NDArray[np.float32]] = {}

    @classmethod
    def load(cls, folder: Path | None = None) -> Library:
        """From a folder with manifest.jsonl, captions.npz and audio/; without one, the installed library."""
        return cls(folder or sounds())

    @cached_property
    def series(self) -> dict[str, list[Recording]]:
        found: dict[str, list[Recording]] = defaultdict(list)
        for r in self.recordings:
            found[r.series].append(r)
        return dict(found)

    @cached_property
    def classes(self) -> dict[str, list[int]]:
        """Class -> places in `recordings`."""
        found: dict[str, list[int]] = defaultdict(list)
        for i, r in enumerate(self.recordings):
            found[r.sound_class].append(i)
        return dict(found)

    @cached_property
    def _captions(self) -> _Captions:
        with np.load(self.folder / "captions.npz") as stored:
            row = {str(caption): i for i, caption in enumerate(stored["captions"])}
            return _Captions(
                row,
                stored["vectors"].astype(np.float32),
                np.array([row[caption] for r in self.recordings for caption in r.captions]),
                np.cumsum([0, *(len(r.captions) for r in self.recordings[:-1])]),
                [str(name) for name in stored["classes"]],
                stored["class_captions"],
            )

    def _cosines(self, text: str) -> NDArray[np.float32]:
        """Between a text and every caption."""
        known = self._captions
        if text in known.row:  # a caption of our own needs no language model
            return known.vectors @ known.vectors[known.row[text]]
        from reasound.perception.text import MiniLM

        return known.vectors @ MiniLM.load().encode([text])[0]

    def find(self, text: str, sound_class: str = "", material: str = "", k: int = 10) -> list[Match]:
        """The k recordings that fit best, best first.

        A class that the library has is binding; one that it lacks only makes its own group more likely. ValueError
        where neither words nor a class are given.
        """
        if not text and not sound_class:
            raise ValueError("say what to look for: some words, a class, or both")
        cosines = self._cosines(text or sound_class.replace("/", " ").replace("_", " "))
        like = np.maximum.reduceat(cosines[self._captions.flat], self._captions.starts)
        group = sound_class.split("/")[0]
        places = self.classes.get(sound_class, range(len(self.recordings)))
        wanted = set(material.split()) - {"and"}
        matches = []
        for i in places:
            r = self.recordings[i]
            score = float(like[i]) + 0.7 * r.quality
            if sound_class and r.sound_class != sound_class and r.sound_class.split("/")[0] == group:
                score += 0.15
            if wanted and r.material:
                score += 0.12 if wanted & set(r.material.split()) else -0.08
            matches.append(Match(r, score, float(like[i])))
        return sorted(matches, key=lambda m: (-m.score, m.recording.id))[:k]

    def known_class(self, text: str, sound_class: str) -> str:
        """The class itself where the library has it, else the one that the words fit best, of the same group if it
        can be.

        Where the words are like nothing in the library, the log says what was taken for them.
        """
        if sound_class in self.classes:
            return sound_class
        cosines, known = self._cosines(text), self._captions
        likeness = dict.fromkeys(self.classes, -1.0)
        for name, row in zip(known.classes, known.class_captions, strict=True):
            likeness[name] = max(likeness[name], float(cosines[row]))
        of_recordings = np.maximum.reduceat(cosines[known.flat], known.starts)
        for recording, like in zip(self.recordings, of_recordings, strict=True):
            name = recording.sound_class
            likeness[name] = max(likeness[name], float(like) - 0.02)  # a class is described more carefully
        group = sound_class.split("/")[0]
        best = max(likeness, key=lambda name: likeness[name] + 0.1 * (name.split("/")[0] == group))
        if likeness[best] < SURE:
            log.warning(
                "nothing in the sound library is like %r; the nearest is %s (likeness %.2f)",
                text,
                best,
                likeness[best],
            )
        return best

    def instrument(
        self,
        text: str,
        sound_class: str,
        material: str,
        rng: np.random.Generator,
        takes: int = 1,
        lasting: bool = False,
    ) -> list[Recording]:
        """Recordings of one thing, the same dog or the same floor, best first; `takes` is how many would be useful.

        What is `lasting` is looked for among recordings that last; what is not, among single sounds.
        """
        matches = self.find(text, sound_class, material, k=400)
        by_series: dict[str, list[Match]] = defaultdict(list)
        for match in matches:
            by_series[match.recording.series].append(match)
        scored = []
        for members in by_series.values():
            members = _alike(members)
            best = members[0].recording
            score = members[0].score
            if lasting:
                length = sum(m.recording.seconds for m in members)
                score += 0.15 * (best.kind == "texture") + 0.04 * float(np.clip(np.log2(length / 4), -2, 2))
                score -= 0.02 * max(best.swell - 3, 0)
            else:
                pieces = sum(max(len(m.recording.hits), 1) for m in members)
                score += 0.08 * min(pieces, takes, 6) / max(min(takes, 6), 1) - 0.3 * (best.kind == "texture")
            scored.append((score, members))
        best_score = max(score for score, _ in scored)
        close = sorted(
            (m for score, m in scored if score >= best_score - _CLOSE),
            key=lambda members: members[0].recording.id,
        )
        chosen = close[int(rng.integers(len(close)))]
        return [m.recording for m in chosen]

    def read(self, recording: Recording, start: float = 0.0, end: float | None = None) -> Audio:
        """[C, N] of a part of a recording, seconds from its start; only that part is decoded."""
        rate = recording.rate
        first = max(int(start * rate), 0)
        last = int((recording.seconds if end is None else min(end, recording.seconds)) * rate) + 1
        key = (recording.id, first, last)
        if key in self._decoded:
            self._decoded.move_to_end(key)
            return self._decoded[key]
        sound, _ = soundfile.read(
            self.folder / recording.file, start=first, stop=last, always_2d=True, dtype="float32"
        )
        if rate != SAMPLE_RATE:
            sound = soxr.resample(sound, rate, SAMPLE_RATE, "HQ")
        audio = without_rumble(np.ascontiguousarray(sound.T, np.float32), SAMPLE_RATE)
        audio.flags.writeable = False  # it is shared
        self._decoded[key] = audio
        while len(self._decoded) > 1 and sum(a.nbytes for a in self._decoded.values()) > _CACHED:
            self._decoded.popitem(last=False)
        return audio

    def _led(self, cut: Cut) -> tuple[Audio, int]:
        """A cut from just before its attack on, [C, N], and the sample of the attack."""
        first = max(cut.start, cut.onset - LEAD)
        start = int(first * cut.recording.rate) / cut.recording.rate  # where the file is really opened
        return self.read(cut.recording, first, cut.end), round((cut.onset - start) * SAMPLE_RATE)

    def again(self, cut: Cut) -> float:
        """dB of the clearest attack of a cut after its first; 0 where there is none."""
        if cut not in self._again:
            self._again[cut] = again(*self._led(cut))
        return self._again[cut]

    def single(self, cut: Cut) -> tuple[Audio, int]:
        """A cut from just before its attack on, without another attack: [C, N], and the sample of the attack."""
        audio, onset = self._led(cut)
        if cut not in self._gains:
            self._gains[cut] = once(audio, onset)
        return audio * self._gains[cut], onset


def _alike(members: Sequence[Match]) -> list[Match]:
    """The best recording of a series and those that could be the same thing: as good, and of nearly the same colour."""
    best = members[0]
    return [
        m
        for m in members
        if m.score > best.score - 0.2
        and abs(np.log2(m.recording.brightness / best.recording.brightness)) < 0.8
    ]


def cuts(recordings: Sequence[Recording], manner: Manner, single: bool = False) -> list[Cut]:
    """What can be put on an onset: every single hit, or, for what happens `whole`, each recording from its first
    attack to its end; where a `single` one is wanted, every time that it happens in the recording. Weak hits and scraps
    are left out where there are better ones."""
    found = []
    for r in recordings:
        hits = r.hits or (Hit(0.0, 0.0, r.seconds, r.loudness),)
        if manner in ("whole", "texture"):
            for series in _apart(hits) if single else [hits]:
                loudest = max(hit.level for hit in series)
                found.append(Cut(r, series[0].start, series[0].onset, series[-1].end, loudest))
        else:
            found += [Cut.of(r, hit, hit) for hit in hits]
    least = 0.12 if manner == "call" else 0.04
    loudest = max(c.level for c in found)
    good = [c for c in found if c.level >= loudest - 14 and c.end - c.onset >= least]
    return good or found


def _apart(hits: Sequence[Hit]) -> list[list[Hit]]:
    """Hits that follow closely on each other, together."""
    series = [[hits[0]]]
    for hit in hits[1:]:
        if hit.onset - series[-1][-1].onset > _PARTED:
            series.append([])
        series[-1].append(hit)
    return series


def phrases(recordings: Sequence[Recording]) -> list[Cut]:
    """Whole series of hits as they were recorded: a dog that barks three times keeps its own rhythm."""
    return cuts(recordings, "whole")
