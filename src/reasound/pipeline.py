"""Reasound: perceive, reason, render, mix, in that order. Every door and every stage goes through here."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reasound.checkpoints import catalog
from reasound.errors import UserError
from reasound.machine import Precision
from reasound.plan import Plan
from reasound.take import Layer

if TYPE_CHECKING:
    from reasound.media.video import Clip
    from reasound.mixing.layers import Mastered
    from reasound.perception.features import Features
    from reasound.perception.labels import Labels
    from reasound.perception.text import MiniLM
    from reasound.reasoning.reasoner import Reasoner
    from reasound.synthesis.library import LibraryRenderer
    from reasound.synthesis.model import ModelRenderer
    from reasound.synthesis.thinksound import ThinkSound

Renderer = Literal["library", "model", "auto"]
RENDERERS: tuple[Renderer, ...] = ("library", "model", "auto")
Report = Callable[[str, float], None]
"""Called with the name of a stage and how much of it is done, 0 to 1."""

REASONER = "rules"
"""Who reasons unless somebody else is asked for."""
STEPS, RELEASED_STEPS = 4, 24
"""Of the flow: pocket's, with guidance folded into its weights, and what the released code takes."""
GUIDANCE, RELEASED_GUIDANCE = 3.0, 5.0
"""Pocket's, and what the released code always uses."""
LOUDNESS, PEAK = -23.0, -1.0
"""EBU R128: LUFS and dBTP."""


def quiet(stage: str, done: float) -> None:
    """A report to nobody."""


class Reasound:
    """One set of models. They load when first needed and stay loaded."""

    def __init__(
        self,
        model: str | Path = "pocket",
        precision: Precision = "auto",
        device: str = "auto",
        reasoner: str = REASONER,
        fallback: Literal["", "rules"] = "",
    ) -> None:
        """`model`: "pocket", "thinksound", or the folder of a model of either kind in our format.

        `precision` and `device` are for thinksound; "auto" takes the graphics card if there is one, and bfloat16 where
        that is fast. Pocket runs in float32 on the CPU. `reasoner`: rules, pocket, mllm:FOLDER_OR_HUB_NAME or
        remote:MODEL@URL; `fallback`: who answers when a large one cannot. UserError for what this machine has not.
        """
        from reasound.reasoning.choose import EMBEDDED, open_reasoner

        self.reasoner_name = reasoner
        self.reasoner: Reasoner | None = None
        if reasoner not in EMBEDDED:  # a wrong name is said before anything is watched
            self.reasoner = open_reasoner(reasoner, self.text if fallback else None, fallback=fallback)
        self.notes: tuple[str, ...] = ()
        self.model = str(model)
        self.precision, self.device = "fp32", "cpu"
        self.released: ThinkSound | None = None
        if self.model != "pocket" and catalog.kind_of(model) == "thinksound":
            from reasound.synthesis.thinksound import ThinkSound

            self.released = ThinkSound.open(catalog.thinksound(model), precision, device)
            self.precision, self.device = self.released.precision, self.released.device.type
        elif (precision, device) != ("auto", "auto"):
            raise UserError(
                "pocket runs in fp32 on the CPU; --precision and --device are for --model thinksound"
            )

    @cached_property
    def labels(self) -> Labels:
        from reasound.perception.labels import Labels

        return Labels.load()

    @cached_property
    def text(self) -> MiniLM:
        from reasound.perception.text import MiniLM

        return MiniLM.load()

    @cached_property
    def library(self) -> LibraryRenderer:
        from reasound.synthesis.library import LibraryRenderer

        return LibraryRenderer.load()

    @cached_property
    def generator(self) -> ModelRenderer:
        from reasound.synthesis.model import ModelRenderer

        return ModelRenderer.load(None if self.model == "pocket" else Path(self.model), self.library)

    @property
    def who(self) -> Reasoner:
        """Who reasons."""
        if self.reasoner is None:
            from reasound.reasoning.choose import open_reasoner

            self.reasoner = open_reasoner(self.reasoner_name, self.text)
        return self.reasoner

    def perceive(self, clip: Clip, report: Report = quiet) -> Features:
        """What is there and when it moves."""
        from reasound.perception.watch import watch

        report("watching", 0.0)
        features = watch(clip, self.labels)
        report("watching", 1.0)
        if self.released is not None:
            report("encoding", 0.0)
            features = self.released.see(clip, features, lambda done: report("encoding", done))
        return features

    def reason(
        self,
        features: Features,
        caption: str = "",
        avoid: Sequence[str] = (),
        report: Report = quiet,
        *,
        clip: Clip | None = None,
        told: Callable[[str], None] | None = None,
    ) -> Plan:
        """What should be heard, when, where and how loud, and why. `clip`: for reasoners that look at the pictures
        themselves; `told` gets the text as it is written. What had to be mended in an answer is in `notes`."""
        from reasound.reasoning.choose import UNREAD, reads

        report("reasoning", 0.0)
        plan = self.who.plan(features, caption=caption, avoid=avoid, clip=clip, progress=told)
        self.notes = tuple(self.who.notes)
        if not reads(self.who.name, caption):
            self.notes += (UNREAD.format(caption),)
        report("reasoning", 1.0)
        return plan

    def render(
        self,
        plan: Plan,
        seconds: Fraction,
        seed: int,
        features: Features | None = None,
        renderer: Renderer = "auto",
        steps: int | None = None,
        guidance: float | None = None,
        report: Report = quiet,
        apart: bool = False,
    ) -> list[Layer]:
        """One layer for every event and ambience, in the order of the plan; each is [2, samples(seconds)]. ThinkSound
        makes one layer of the whole plan, unless they are to be made `apart`. Without `steps` or a `guidance` they are
        the model's usual ones."""
        steps = self.steps if steps is None else steps
        guidance = self.guidance if guidance is None else guidance
        if self.released is not None:
            return self._whole(plan, seconds, seed, features, renderer, steps, guidance, report, apart)
        ids = [e.id for e in plan.events] + [a.id for a in plan.ambience]
        generated = set(ids) if renderer == "model" else set()
        if renderer == "auto":
            generated = better_generated(plan)
        layers: list[Layer] = []
        if placed := [i for i in ids if i not in generated]:
            layers += self.library.render(
                plan.only(placed), seconds, seed, features, progress=lambda done: report("placing", done)
            )
        if generated:
            layers += self.generator.render(
                plan.only(generated),
                seconds,
                seed,
                features,
                steps=steps,
                guidance=guidance,
                progress=lambda done: report("generating", done),
            )
        return sorted(layers, key=lambda layer: ids.index(layer.events[0]))

    @property
    def steps(self) -> int:
        """How many steps the model usually takes."""
        return STEPS if self.released is None else RELEASED_STEPS

    @property
    def guidance(self) -> float:
        """How closely the model usually follows its conditions."""
        return GUIDANCE if self.released is None else RELEASED_GUIDANCE

    def _whole(
        self,
        plan: Plan,
        seconds: Fraction,
        seed: int,
        features: Features | None,
        renderer: Renderer,
        steps: int,
        guidance: float,
        report: Report,
        apart: bool,
    ) -> list[Layer]:
        assert self.released is not None
        if renderer == "library":
            raise UserError("--renderer library places recordings and uses no model; leave out --model")
        if features is None:
            raise UserError("thinksound makes the sound of a clip from its picture; perceive the clip first")
        return self.released.render(
            plan,
            seconds,
            seed,
            features,
            steps=steps,
            guidance=guidance,
            progress=lambda done: report("generating", done),
            apart=apart,
        )

    def mix(self, layers: Sequence[Layer], loudness: float, peak: float, report: Report = quiet) -> Mastered:
        """Sum of the layers at the loudness that was asked for; the stems are scaled with it."""
        from reasound.mixing.layers import master

        report("mixing", 0.0)
        mastered = master(layers, loudness, peak)
        report("mixing", 1.0)
        return mastered


def warnings(plan: Plan) -> tuple[str, ...]:
    """What the user should know of a plan before they hear it, a sentence each."""
    from reasound.reasoning import explain

    return explain.warnings(plan)


def better_generated(plan: Plan) -> set[str]:
    """Ids whose class the model renders better than the library, by the committed evaluation.

    A class is judged by two or three captions only, so the model must also be right in most of them.
    """
    table = json.loads(resources.files("reasound.evaluation").joinpath("renderers.json").read_text("utf-8"))
    better = {
        name for name, scores in table["classes"].items() if scores["model"] > max(scores["library"], 0.6)
    }
    named = [(e.id, e.sound_class) for e in plan.events] + [(a.id, a.sound_class) for a in plan.ambience]
    return {name for name, sound_class in named if sound_class in better}


def better_of(plan: Plan, placed: Sequence[Layer], generated: Sequence[Layer]) -> list[Layer]:
    """What "auto" gives, of the layers that both renderers made of the same plan."""
    better = better_generated(plan)
    both = zip(placed, generated, strict=True)
    return [new if new.events[0] in better else old for old, new in both]
