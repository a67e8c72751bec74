"""What is compared on a scene: the truth, silence, each renderer with all it may know and without one thing at a time
(the ablations of ThinkSound, tables 3 to 5, at our scale), and the audio model playing the whole scene at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reasound.data.scenes.drawn import BACKGROUND, only
from reasound.data.scenes.truth import Audio, TrueScene
from reasound.mixing.layers import Mastered
from reasound.perception.features import Features
from reasound.perception.watch import unseen
from reasound.pipeline import LOUDNESS, PEAK, REASONER, Reasound, better_of
from reasound.plan import Event, Plan
from reasound.reasoning.knowledge import sound_class
from reasound.synthesis.conditions import batched, prepare_conditions
from reasound.synthesis.library import LibraryRenderer, rng_for
from reasound.synthesis.match import Library
from reasound.synthesis.model import ModelRenderer, seed_of
from reasound.take import Layer
from reasound.timeline import Timeline, samples

Made = Literal["library", "model"]
RENDERED: tuple[Made, ...] = ("library", "model")

KNOWN = {
    "": "sees the video, is told the caption, thinks, and follows its plan",
    "video alone": "is told nothing",
    "no video": "sees nothing: thinks about the caption alone",
    "no timeline": "follows a plan without times: every event may sound at any time",
    "no thought": "does not think: the caption is played as one sound",
    "wrong plan": "follows the true plan with other sounds at mirrored times: the sound must follow it",
    "plan given": "follows the true plan: what is left is the renderer's own error",
}
"""What a renderer may know; each key but "" follows the renderer's name."""
ALWAYS = ("", "plan given")
"""Of these every scene tells; of the others some do."""
ROOM = 0.3
"""Seconds before the end in which nothing that is moved may lie: it must have time to be heard."""
MIXTURES = {
    "mixture": ("timeline", "reasoning", "caption", "pooled"),
    "mixture, no timeline": ("reasoning", "caption", "pooled"),
    "mixture, caption alone": ("caption", "pooled"),
    "mixture, picture alone": ("visual", "sync"),
    "mixture, nothing told": (),
}
"""The audio model plays the whole scene as one sound; which of its inputs it is given."""

SYSTEMS = (
    {"truth": "the scene's own sound: what a perfect system would score"}
    | {"silence": "no sound", "one beat": "the steady beat that is best for all scenes together"}
    | {"auto": "what ships: each event by the renderer that is better at its class; video and caption"}
    | {f"{made}{', ' if how else ''}{how}": text for made in RENDERED for how, text in KNOWN.items()}
    | {
        name: f"the audio model plays the true scene at once, told {', '.join(given) or 'nothing'}"
        for name, given in MIXTURES.items()
    }
)


@dataclass(frozen=True)
class Performance:
    """What one system made of a scene."""

    layers: tuple[Layer, ...]
    """As they would be mixed; one layer for a system that makes the mix at once."""
    plan: Plan | None = None
    """What it followed."""

    def foreground(self, n: int) -> Audio:
        """[2, n]: all but ambiences; everything where there is no plan to tell them apart."""
        behind = {a.id for a in self.plan.ambience} if self.plan else set()
        heard = [layer.audio for layer in self.layers if layer.name not in behind]
        return np.asarray(sum(heard), np.float32) if heard else np.zeros((2, n), np.float32)

    def mastered(self, engine: Reasound, n: int) -> Mastered:
        """At the loudness that every system is asked for; without layers, n samples of silence."""
        if not self.layers:
            return Mastered((), np.zeros((2, n), np.float32), np.ones(n, np.float32), None, None)
        return engine.mix(self.layers, LOUDNESS, PEAK)


def engine_for_test(model: str = "pocket", reasoner: str = REASONER) -> Reasound:
    """The product with the recordings of its library that may be heard in a test: none that the benchmark holds out."""
    engine = Reasound(model, reasoner=reasoner)
    engine.library = LibraryRenderer(only(Library.load(), "train", "val"))
    return engine


def reference(scene: TrueScene) -> Performance:
    """The truth as a performance."""
    layers = [Layer(name, audio, (name,), 0, "library") for name, audio in scene.stems.items()]
    return Performance(tuple(layers), scene.plan)


def plans(engine: Reasound, features: Features, scene: TrueScene) -> dict[str, Plan]:
    """The plan behind each of KNOWN."""
    told, seconds = scene.plan.caption, float(scene.seconds)
    full = engine.reason(features, told)
    alone = Event(id="all", source="the scene", sound=told, end=seconds)
    return {
        "": full,
        "video alone": engine.reason(features),
        "no video": engine.reason(unseen(seconds), told),
        "no timeline": untimed(full),
        "no thought": Plan(seconds=seconds, caption=told, events=(alone,)),
        "wrong plan": wrong(scene.plan, sorted(engine.library.library.classes)),
        "plan given": scene.plan,
    }


def wrong(plan: Plan, classes: Sequence[str]) -> Plan:
    """A plan with the same number of events, each of another group of `classes`, and all times mirrored."""
    rng = rng_for(0, plan.model_dump_json())
    groups = {e.sound_class.split("/")[0] for e in plan.events}
    names = [c for c in classes if c.split("/")[0] not in groups and not c.startswith(BACKGROUND)]
    events = []
    for event, name in zip(plan.events, rng.choice(names, len(plan.events)), strict=True):
        known = sound_class(str(name))
        heard = {"source": known.source or known.heard, "sound": known.heard, "sound_class": known.name}
        mirrored = {
            "start": plan.seconds - min(event.end, plan.seconds),
            "end": plan.seconds - event.start,
            "onsets": tuple(round(plan.seconds - t, 4) for t in reversed(event.onsets)),
            "strengths": event.strengths[::-1],
            "material": "",
        }
        events.append(event.model_copy(update=heard | mirrored))
    return Plan(seconds=plan.seconds, caption=", ".join(e.sound for e in events), events=tuple(events))


def untimed(plan: Plan) -> Plan:
    """The same events, each free to sound at any time."""
    free = {"start": 0.0, "end": plan.seconds, "onsets": (), "strengths": ()}
    return plan.model_copy(update={"events": tuple(e.model_copy(update=free) for e in plan.events)})


def performed(
    engine: Reasound, scene: TrueScene, wanted: Mapping[str, Plan], seed: int, steps: int
) -> Iterator[tuple[str, Performance]]:
    """(system, performance) of every renderer for every plan, and of both together for the plan that ships."""
    done: dict[tuple[str, str], list[Layer]] = {}
    for how, plan in wanted.items():
        heard = plan.model_dump_json(include={"seconds", "events", "ambience", "acoustics", "avoid"})
        for made in RENDERED:
            if (made, heard) not in done:
                done[made, heard] = engine.render(plan, scene.seconds, seed, None, made, steps)
            yield f"{made}{', ' if how else ''}{how}", Performance(tuple(done[made, heard]), plan)
        if how == "":
            chosen = better_of(plan, done["library", heard], done["model", heard])
            yield "auto", Performance(tuple(chosen), plan)


def mixtures(
    renderer: ModelRenderer, scene: TrueScene, features: Features, seed: int, steps: int
) -> dict[str, Performance]:
    """The scene as one sound of the audio model, by what it is told."""
    config, length = renderer.model.dit.config, Timeline(scene.seconds).latents
    told = prepare_conditions(features, scene.plan, renderer.text, config)
    inputs = ("visual", "sync", "timeline", "reasoning", "caption", "pooled")
    given = batched([told.without(set(inputs) - set(kept)) for kept in MIXTURES.values()])
    seeds = [seed_of(seed, "mixture")] * len(MIXTURES)
    latents = renderer.model.latents(given, seeds, length, steps=steps)
    sounds = renderer.model.decode(latents, seeds, samples(scene.seconds)).numpy()
    return {
        name: Performance((Layer("mixture", sound, (), seed, "model"),))
        for name, sound in zip(MIXTURES, sounds, strict=True)
    }


def moved(plan: Plan) -> tuple[str, Plan, float] | None:
    """One event by its id, the plan of it alone a second later or earlier, and which of the two in seconds; onsets that
    then lie outside the clip are left out. None where no event happens at moments."""
    for event in plan.events:
        for by in (1.0, -1.0):
            times = tuple(round(t + by, 4) for t in event.onsets if 0 < t + by < plan.seconds - ROOM)
            if 2 * len(times) >= len(event.onsets) > 0:
                later = {"onsets": times, "strengths": (), "start": 0.0, "end": plan.seconds}
                alone = plan.only([event.id])
                return event.id, alone.model_copy(update={"events": (event.model_copy(update=later),)}), by
    return None
