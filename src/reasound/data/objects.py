"""One event at a time: a sound of the library, dry and alone, and the plan that asks for it.

This is what the audio model must be able to do for every layer: the sound of a caption, at its onsets, as strong as
they say. Level, place and room belong to mixing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reasound.data.manifest import Recording
from reasound.plan import Ambience, Event, Plan
from reasound.synthesis.library import TEXTURE_LEVEL
from reasound.synthesis.manners import Habit, habit
from reasound.synthesis.match import Library, cuts, phrases
from reasound.synthesis.placing import chosen, fade_ends, paced, place_hits
from reasound.synthesis.textures import extend
from reasound.timeline import SAMPLE_RATE

EVENT = "event"
"""Id of the one event, or ambience, of a plan."""


@dataclass(frozen=True)
class Object:
    audio: NDArray[np.float32]  # [2, N]
    plan: Plan
    recording: Recording
    """One of the takes that are heard."""


class Objects:
    """Object i is the same for the same library and seed. Thin classes are drawn as often as thick ones, nearly."""

    def __init__(self, library: Library, samples: int, seed: int = 0) -> None:
        self.library, self.samples, self.seed = library, samples, seed
        self.classes: dict[str, list[Recording]] = {}
        for r in library.recordings:
            self.classes.setdefault(r.sound_class, []).append(r)
        self.names = sorted(self.classes)
        weight = np.array([len(self.classes[name]) for name in self.names], float) ** 0.35
        self.odds = weight / weight.sum()

    def __iter__(self) -> Iterator[Object]:
        i = 0
        while True:
            yield self[i]
            i += 1

    def __getitem__(self, i: int) -> Object:
        rng = np.random.default_rng((self.seed, i))
        name = self.names[int(rng.choice(len(self.names), p=self.odds))]
        takes = self.classes[name]
        quality = np.array([0.1 + r.quality for r in takes])
        recording = takes[int(rng.choice(len(takes), p=quality / quality.sum()))]
        way = habit(name)
        if recording.kind == "texture" or way.manner == "texture":
            audio, plan = self._texture(recording, rng)
        else:
            audio, plan = self._hits(recording, way, rng)
        return Object(audio, plan, recording)

    def _hits(
        self, recording: Recording, way: Habit, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], Plan]:
        seconds = self.samples / SAMPLE_RATE
        takes = self.library.series[recording.series]
        pool = cuts(takes, way.manner)
        if rng.random() < 0.25:  # the plan names no onsets: the sound has its own rhythm inside a span
            start = float(rng.uniform(0, 0.5 * seconds)) * (rng.random() < 0.6)
            end = seconds if rng.random() < 0.5 else float(rng.uniform(start + 0.3 * (seconds - start), seconds))
            pool = pool if way.manner in ("step", "hit") else phrases(takes)
            times, picked = paced(pool, way, start, end, rng)
            pool = list(dict.fromkeys(picked)) or pool
            strengths = list(rng.uniform(0.75, 1.0, len(times)))
            event = {"start": start, "end": end}
        else:
            times = onsets(rng, way, seconds)
            strengths = list(1 - 0.6 * rng.random(len(times)) ** 2)
            event = {"end": seconds, "onsets": times, "strengths": strengths}
        moments = chosen(pool, times, strengths, way, rng)
        audio = place_hits(self.library, moments, self.samples, way, rng)
        named = Event(id=EVENT, source="", sound=_caption(recording, rng), **event)  # type: ignore[arg-type]
        return audio, Plan(seconds=seconds, events=(named,))

    def _texture(self, recording: Recording, rng: np.random.Generator) -> tuple[NDArray[np.float32], Plan]:
        seconds = self.samples / SAMPLE_RATE
        source = self.library.read(recording, 0.0, 45.0)
        gain = 10 ** ((TEXTURE_LEVEL - recording.loudness) / 20)
        audio = np.array(np.broadcast_to(extend([source], self.samples, rng), (2, self.samples)) * gain, np.float32)
        audio /= max(1.0, float(np.abs(audio).max()))
        sound = _caption(recording, rng)
        if recording.sound_class.startswith(("ambience/", "weather/")) or rng.random() < 0.4:
            return audio, Plan(seconds=seconds, ambience=(Ambience(id=EVENT, sound=sound),))
        start = float(rng.uniform(0, 0.6 * seconds)) * (rng.random() < 0.7)
        end = seconds if rng.random() < 0.4 else float(rng.uniform(start + 0.2 * (seconds - start), seconds))
        audio[:, : round(start * SAMPLE_RATE)] = 0
        audio[:, round(end * SAMPLE_RATE) :] = 0
        fade_ends(audio, start, end, self.samples)
        return audio, Plan(seconds=seconds, events=(Event(id=EVENT, source="", sound=sound, start=start, end=end),))


def onsets(rng: np.random.Generator, way: Habit, seconds: float) -> list[float]:
    """Times of hits: a steady rhythm, single hits anywhere, or a quick run."""
    kind = rng.choice(["rhythm", "single", "loose"])
    if kind == "single":
        return [float(rng.uniform(0, 0.8 * seconds))]
    if kind == "loose":
        count = int(rng.integers(2, 7))
        times = np.sort(rng.uniform(0, 0.97 * seconds, count))
        return [float(t) for t in times[np.diff(times, prepend=-1.0) > 0.12]]
    period = way.period * 2 ** rng.uniform(-1, 0.7)
    times = np.arange(rng.uniform(0, min(1.5 * period, 0.5 * seconds)), 0.97 * seconds, period)
    return [float(t) for t in times[: int(rng.integers(2, 24))]]


def _caption(recording: Recording, rng: np.random.Generator) -> str:
    return str(rng.choice(recording.captions))
