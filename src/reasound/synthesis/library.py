"""The library renderer: recordings placed by the plan, one layer for every event and ambience.

What a foley artist does by hand: choose takes of one thing, put each one's attack on the moment that is seen, vary
them, let them ring, lay what lasts under it without a loop, and set all of it into one room.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reasound.data.manifest import Recording
from reasound.mixing.spatial import place, reverb, tail
from reasound.plan import Acoustics, Ambience, Event, Plan
from reasound.synthesis.manners import habit
from reasound.synthesis.match import Audio, Library, Match, cuts, phrases
from reasound.synthesis.placing import beat, chosen, fade_ends, place_hits, spoken
from reasound.synthesis.textures import extend
from reasound.take import Layer
from reasound.timeline import SAMPLE_RATE, samples

if TYPE_CHECKING:
    from reasound.perception.features import Features

TEXTURE_LEVEL = -23.0
"""dBFS (K-weighted) of a texture at level 0."""
_FEET = 0.12  # how far the steps of somebody who walks lean left and right
_POOL = 20.0  # seconds of takes of one thing that a texture is made from
_BLOCK, _PAD = 20 * SAMPLE_RATE, 1_024
"""Samples that are set in the room at once, and how far its zero-phase filters may reach."""
_READ = 45.0  # seconds of one recording that are decoded at most


class LibraryRenderer:
    """Makes layers from recordings. Deterministic: a layer depends on the seed, its own event and the acoustics."""

    def __init__(self, library: Library) -> None:
        self.library = library

    @classmethod
    def load(cls, folder: Path | None = None) -> LibraryRenderer:
        """With the sound library in `folder`, or the installed one."""
        return cls(Library.load(folder))

    def find(self, text: str, sound_class: str = "", material: str = "", k: int = 10) -> list[Match]:
        """The k recordings that fit best, best first; see Library.find."""
        return self.library.find(text, sound_class, material, k)

    def render(
        self,
        plan: Plan,
        seconds: Fraction,
        seed: int,
        features: Features | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> list[Layer]:
        """One layer for every event, then one for every ambience, each [2, samples(seconds)].

        `features` are not needed: what was seen is in the plan. `progress` is told the share that is done.
        """
        n = samples(seconds)
        layers: list[Layer] = []
        items: list[Event | Ambience] = [*plan.events, *plan.ambience]
        for item in items:
            if isinstance(item, Event):
                dry, used = self.event(item, n, rng_for(seed, item.id))
                audio = set_in_room(dry, item, plan.acoustics)
            else:
                audio, used = self.ambience(item, n, rng_for(seed, item.id))
                if plan.acoustics.space == "underwater":  # nothing there is heard but through water
                    audio = reverb(audio, plan.acoustics)
            ids = tuple(dict.fromkeys(r.id for r in used))
            layers.append(Layer(item.id, audio, (item.id,), seed, "library", ids))
            if progress:
                progress(len(layers) / len(items))
        return layers

    def event(self, event: Event, n: int, rng: np.random.Generator) -> tuple[Audio, list[Recording]]:
        """The dry sound of one event [2, n], and what was used."""
        name = self.library.known_class(event.sound, event.sound_class)
        way = habit(name)
        lasting = way.manner == "texture" and not event.onsets
        takes = self.library.instrument(
            event.sound, name, event.material, rng, len(event.onsets) or 4, lasting
        )
        if lasting and goes_on(takes[0], event.end - event.start):
            first, last = round(event.start * SAMPLE_RATE), min(round(event.end * SAMPLE_RATE), n)
            audio = np.zeros((2, n), np.float32)
            audio[:, first:last], used = self._texture(takes, last - first, way.wide, rng)
            fade_ends(audio, event.start, event.end, n)
            return audio * _gain(event.level), used
        pool = cuts(takes, way.manner, bool(event.onsets))
        if event.onsets:
            strengths = [strength for _, strength in event.hits()]
            moments = chosen(self.library, pool, event.onsets, strengths, way, event.end, rng)
        elif way.manner in ("step", "hit"):
            times = beat(way, event.start, event.end, rng)
            moments = chosen(
                self.library, pool, times, rng.uniform(0.75, 1.0, len(times)).tolist(), way, event.end, rng
            )
        else:
            # A dog that was recorded barking three times keeps its own rhythm; single barks come between.
            moments = spoken([*phrases(takes), *pool], way, event.start, event.end, rng)
        audio = place_hits(self.library, moments, n, rng, lean=_FEET if way.manner == "step" else 0.0)
        return audio * _gain(event.level), [m.cut.recording for m in moments]

    def ambience(self, ambience: Ambience, n: int, rng: np.random.Generator) -> tuple[Audio, list[Recording]]:
        """The sound of one ambience [2, n], all around, and what was used."""
        name = self.library.known_class(ambience.sound, ambience.sound_class)
        way = habit(name)
        lasting = way.manner == "texture"
        takes = self.library.instrument(ambience.sound, name, "", rng, 4, lasting)
        if lasting:
            audio, used = self._texture(takes, n, True, rng)
        else:  # thunder now and then, a dog somewhere
            moments = spoken([*phrases(takes), *cuts(takes, way.manner)], way, 0.0, n / SAMPLE_RATE, rng)
            audio = place_hits(self.library, moments, n, rng, scatter=0.8)
            used = [m.cut.recording for m in moments]
        return audio * _gain(ambience.level), used

    def _texture(
        self, takes: Sequence[Recording], n: int, wide: bool, rng: np.random.Generator
    ) -> tuple[Audio, list[Recording]]:
        """[2, n] that lasts, and what was used."""
        used = self._enough(takes, n)
        sources = [self._source(r, n, rng) for r in used]
        if wide and len(sources[0]) == 2:
            audio = extend(sources, n, rng)
        elif wide:
            # Two runs through a mono source have nothing in common but their character: that is width.
            one, other = extend(sources, n, rng)[0], extend(sources, n, rng)[0]
            audio = np.stack([0.95 * one + 0.31 * other, 0.31 * one + 0.95 * other])
        else:
            audio = np.repeat(extend([s.mean(0, keepdims=True) for s in sources], n, rng), 2, axis=0)
        return audio * _gain(TEXTURE_LEVEL), used

    def _enough(self, takes: Sequence[Recording], n: int) -> list[Recording]:
        """The best take, and where it is shorter than n samples, others of its series up to 20 s in all."""
        used = [takes[0]]
        for r in takes[1:]:
            if sum(u.seconds for u in used) >= min(n / SAMPLE_RATE, _POOL):
                break
            if r.channels == used[0].channels and r.kind == used[0].kind:
                used.append(r)
        return used

    def _source(self, r: Recording, n: int, rng: np.random.Generator) -> Audio:
        """A recording, or the part of it that n samples need, at 0 dB loudness."""
        wanted = min(max(n / SAMPLE_RATE + 6.0, 12.0), _READ)
        start = rng.uniform(0, max(r.seconds - wanted, 0.0))
        return self.library.read(r, start, start + wanted) * _gain(-r.loudness)


def set_in_room(dry: Audio, event: Event, acoustics: Acoustics) -> Audio:
    """Pan, distance and room, [2, n] -> [2, n]; in blocks, so that ten minutes need no more memory than one block.

    Every event hears the same room, whatever the seed: they are in it together. Silence costs nothing.
    """
    n = dry.shape[1]
    out = np.zeros_like(dry)
    ring = tail(acoustics) + _PAD
    for first in range(0, n, _BLOCK):
        block = dry[:, first : first + _BLOCK]
        sounding = np.flatnonzero(block.any(0))
        if len(sounding) == 0:
            continue
        start, block = first + int(sounding[0]), block[:, sounding[0] : sounding[-1] + 1]
        padded = np.pad(block, ((0, 0), (_PAD, ring)))
        turns = np.arange(start - _PAD, start + block.shape[1] + ring, SAMPLE_RATE // 50) / SAMPLE_RATE
        pan, distance = event.place(turns) if event.path else (event.pan, event.distance)
        placed = place(padded, pan, distance, acoustics)
        begin, end = max(start - _PAD, 0), min(start - _PAD + placed.shape[1], n)
        out[:, begin:end] += placed[:, begin - start + _PAD : end - start + _PAD]
    return out


def goes_on(r: Recording, seconds: float) -> bool:
    """Whether a recording should be continued. What comes and goes, a car that passes, is better played as it is, if
    it is about as long as it must be."""
    passes = r.kind == "one_shot" or r.swell > 5.0
    return not passes or r.seconds < 0.7 * seconds


def rng_for(seed: int, name: str) -> np.random.Generator:
    """The same numbers for the same seed and name, whatever else is in the plan."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


def _gain(level: float) -> np.float32:
    return np.float32(10 ** (level / 20))
