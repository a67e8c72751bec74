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
from reasound.synthesis.library import LibraryRenderer
from reasound.synthesis.manners import Habit, habit
from reasound.synthesis.match import Library
from reasound.timeline import SAMPLE_RATE

EVENT = "event"
"""Id of the one event, or ambience, of a plan."""


@dataclass(frozen=True)
class Object:
    audio: NDArray[np.float32]  # [2, N]
    plan: Plan
    recording: Recording
    """Whose caption and class were asked for."""


class Objects:
    """Object i is the same for the same library and seed. Thin classes are drawn as often as thick ones, nearly."""

    def __init__(self, library: Library, samples: int, seed: int = 0) -> None:
        self.library, self.samples, self.seed = library, samples, seed
        self.renderer = LibraryRenderer(library)
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
        seconds = self.samples / SAMPLE_RATE
        about = {
            "id": EVENT,
            "sound": str(rng.choice(recording.captions)),
            "sound_class": name,
        }
        lasting = recording.kind == "texture" or habit(name).manner == "texture"
        if lasting and (name.startswith(("ambience/", "weather/")) or rng.random() < 0.3):
            ambience = Ambience.model_validate({**about, "level": 0.0})
            audio, _ = self.renderer.ambience(ambience, self.samples, rng)
            return Object(audio, Plan(seconds=seconds, ambience=(ambience,)), recording)
        about |= {"source": about["sound"], "material": recording.material}
        if (
            lasting or rng.random() < 0.25
        ):  # the plan names no onsets: it sounds for a while, in its own rhythm
            start = float(rng.uniform(0, 0.5 * seconds)) * (rng.random() < 0.6)
            end = (
                seconds
                if rng.random() < 0.5
                else float(rng.uniform(start + 0.3 * (seconds - start), seconds))
            )
            event = Event.model_validate({**about, "start": start, "end": end})
        else:
            times = onsets(rng, habit(name), seconds)
            strengths = [float(s) for s in 1 - 0.6 * rng.random(len(times)) ** 2]
            event = Event.model_validate({**about, "end": seconds, "onsets": times, "strengths": strengths})
        audio, _ = self.renderer.event(event, self.samples, rng)
        return Object(audio, Plan(seconds=seconds, events=(event,)), recording)


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
