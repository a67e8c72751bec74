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
from reasound.plan import Ambience, Event, Plan
from reasound.synthesis.manners import habit
from reasound.synthesis.match import Audio, Cut, Library, Match, cuts, phrases
from reasound.synthesis.placing import chosen, fade_ends, paced, place_hits
from reasound.synthesis.textures import extend
from reasound.take import Layer
from reasound.timeline import SAMPLE_RATE, samples

if TYPE_CHECKING:
    from reasound.perception.features import Features

TEXTURE_LEVEL = -23.0
"""dBFS (K-weighted) of a texture at level 0."""
_POOL = 20.0  # seconds of takes of one thing that a texture is made from
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
        layers = []
        count = max(len(plan.events) + len(plan.ambience), 1)
        for item in (*plan.events, *plan.ambience):
            if isinstance(item, Event):
                audio, used = self.event(item, n, rng_for(seed, item.id))
            else:
                audio, used = self.ambience(item, n, rng_for(seed, item.id))
            ids = tuple(dict.fromkeys(r.id for r in used))
            layers.append(Layer(item.id, audio, (item.id,), seed, "library", ids))
            if progress:
                progress(len(layers) / count)
        return layers

    def event(self, event: Event, n: int, rng: np.random.Generator) -> tuple[Audio, list[Recording]]:
        """The dry sound of one event [2, n], and what was used."""
        way = habit(event.sound_class)
        lasts = way.manner == "texture" and not event.onsets
        takes = self.library.instrument(
            event.sound, event.sound_class, event.material, rng, len(event.onsets) or 4, lasts
        )
        way = habit(takes[0].sound_class)
        if way.manner == "texture" and not event.onsets and takes[0].kind == "texture":
            return self._texture(event, takes, n, rng)
        if event.onsets:
            pool = cuts(takes, way.manner)
            times, strengths = list(event.onsets), [s for _, s in event.hits()]
        else:
            pool = cuts(takes, way.manner) if way.manner in ("step", "hit") else phrases(takes)
            times, picked = paced(pool, way, event.start, event.end, rng)
            pool = list(dict.fromkeys(picked)) or pool
            strengths = list(rng.uniform(0.75, 1.0, len(times)))
        moments = chosen(pool, times, strengths, way, rng)
        audio = place_hits(self.library, moments, n, way, rng)
        return audio * _gain(event.level), [m.cut.recording for m in moments]

    def _texture(
        self, event: Event, takes: Sequence[Recording], n: int, rng: np.random.Generator
    ) -> tuple[Audio, list[Recording]]:
        first, last = round(event.start * SAMPLE_RATE), min(round(event.end * SAMPLE_RATE), n)
        used = self._enough(takes, last - first)
        sources = [self._source(r, last - first, rng) for r in used]
        mono = [s.mean(0, keepdims=True) for s in sources]
        audio = np.zeros((2, n), np.float32)
        audio[:, first:last] = extend(mono, last - first, rng)
        fade_ends(audio, event.start, event.end, n)
        return audio * _gain(event.level + TEXTURE_LEVEL), used

    def ambience(self, ambience: Ambience, n: int, rng: np.random.Generator) -> tuple[Audio, list[Recording]]:
        """The sound of one ambience [2, n], wide, and what was used."""
        takes = self.library.instrument(ambience.sound, ambience.sound_class, "", rng, texture=True)
        used = self._enough(takes, n)
        sources = [self._source(r, n, rng) for r in used]
        if len(sources[0]) == 2:
            audio = extend([np.broadcast_to(s, (2, s.shape[1])) for s in sources], n, rng)
        else:
            # Two runs through a mono source have nothing in common but their character: that is width.
            one, other = extend(sources, n, rng)[0], extend(sources, n, rng)[0]
            audio = np.stack([0.95 * one + 0.31 * other, 0.31 * one + 0.95 * other])
        return audio * _gain(ambience.level + TEXTURE_LEVEL), used

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


def rng_for(seed: int, name: str) -> np.random.Generator:
    """The same numbers for the same seed and name, whatever else is in the plan."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


def _gain(level: float) -> np.float32:
    return np.float32(10 ** (level / 20))


__all__ = ["Cut", "LibraryRenderer", "Match", "rng_for"]
