"""What all large multimodal models have in common: a prompt with pictures, an answer, one chance to mend it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from reasound.edit_plan import EditPlan
from reasound.errors import UserError
from reasound.perception.features import Features, Shot
from reasound.plan import Origin, Plan, Region
from reasound.reasoning import prompts
from reasound.reasoning.answers import Answer, Unusable, read_edit, read_object, read_plan
from reasound.reasoning.frames import BUDGET, Frame, frames, of_region
from reasound.reasoning.prompts import Prompt
from reasound.reasoning.reasoner import Progress, Reasoner

if TYPE_CHECKING:
    from reasound.media.video import Clip

Answered = TypeVar("Answered", Plan, EditPlan)

_EDIT_PICTURES = 4
"""An instruction is about what is heard; a few pictures say what "the man on the left" is."""


class LargeReasoner:
    """Asks a model that sees. Subclasses know how: `ask` and `picture_tokens`."""

    def __init__(self, name: str, model: str, fallback: Reasoner | None = None, budget: int = BUDGET) -> None:
        """`name` stands in plans, `model` in their origin. `fallback` answers when this one cannot; `budget` is how
        many tokens the pictures of a clip may take.
        """
        self.name, self.model = name, model
        self.fallback, self.budget = fallback, budget
        self.notes: tuple[str, ...] = ()
        """Of the last answer: what was mended in it, or why the fallback answered; a sentence each."""

    def ask(self, prompt: Prompt, turns: Sequence[str], progress: Progress | None) -> str:
        """The model's answer. `turns`: what it answered before and what was said to that, by turns. UserError."""
        raise NotImplementedError

    def picture_tokens(self) -> int:
        """What one picture takes of the model's context."""
        raise NotImplementedError

    def plan(
        self,
        features: Features,
        caption: str = "",
        avoid: Sequence[str] = (),
        *,
        clip: Clip | None = None,
        progress: Progress | None = None,
    ) -> Plan:
        """See `Reasoner.plan`. Without the clip the model has only our evidence to go by."""

        def answer() -> Plan:
            prompt = self.plan_prompt(features, caption, avoid, clip)
            return self._answer(prompt, lambda text: read_plan(text, features.seconds, avoid), progress)

        return self._or_fallback(
            answer, lambda other: other.plan(features, caption, avoid, clip=clip, progress=progress)
        )

    def plan_object(
        self,
        features: Features,
        region: Region,
        existing: Plan,
        caption: str = "",
        *,
        clip: Clip | None = None,
        progress: Progress | None = None,
    ) -> Plan:
        """See `Reasoner.plan_object`."""

        def answer() -> Plan:
            prompt = self.object_prompt(features, region, existing, caption, clip)
            return self._answer(
                prompt, lambda text: read_object(text, features.seconds, existing, region), progress
            )

        return self._or_fallback(
            answer,
            lambda other: other.plan_object(
                features, region, existing, caption, clip=clip, progress=progress
            ),
        )

    def edit(
        self,
        instruction: str,
        existing: Plan,
        *,
        features: Features | None = None,
        clip: Clip | None = None,
        progress: Progress | None = None,
    ) -> EditPlan:
        """See `Reasoner.edit`. The instruction may be in any language that the model reads."""
        if not instruction.strip():
            raise UserError("the instruction is empty; say what should change")

        def answer() -> EditPlan:
            prompt = self.edit_prompt(instruction, existing, features, clip)
            return self._answer(prompt, lambda text: read_edit(text, instruction, existing), progress)

        return self._or_fallback(
            answer,
            lambda other: other.edit(instruction, existing, features=features, clip=clip, progress=progress),
        )

    # What is asked, in the same words and pictures where a model answers and where it learns to (`training.finetune`)

    def plan_prompt(
        self, features: Features, caption: str, avoid: Sequence[str], clip: Clip | None
    ) -> Prompt:
        """The question of `plan`."""
        return prompts.plan(features, caption, avoid, self._frames(clip, features.shots))

    def object_prompt(
        self, features: Features, region: Region, existing: Plan, caption: str, clip: Clip | None
    ) -> Prompt:
        """The question of `plan_object`."""
        shown: Sequence[Frame] = ()
        if clip is not None:
            shown = of_region(clip, features.shots, region, self.picture_tokens(), self.budget)
        return prompts.plan_object(features, region, existing, caption, shown)

    def edit_prompt(
        self, instruction: str, existing: Plan, features: Features | None, clip: Clip | None
    ) -> Prompt:
        """The question of `edit`."""
        shots = features.shots if features else (Shot(0.0, existing.seconds),)
        return prompts.edit(instruction, existing, self._frames(clip, shots, _EDIT_PICTURES))

    def _frames(self, clip: Clip | None, shots: Sequence[Shot], most: int | None = None) -> Sequence[Frame]:
        if clip is None:
            return ()
        each = self.picture_tokens()
        return frames(clip, shots, each, self.budget if most is None else min(self.budget, most * each))

    def _answer(
        self, prompt: Prompt, read: Callable[[str], Answer[Answered]], progress: Progress | None
    ) -> Answered:
        """What the model answers; after an answer that cannot be used it is told why, once."""
        raw = self.ask(prompt, (), progress)
        try:
            found = read(raw)
        except Unusable as problem:
            again = self.ask(prompt, (raw, prompts.repair(str(problem))), progress)
            try:
                found, raw = read(again), again
            except Unusable as still:
                raise UserError(
                    f"{self.name} gave no usable answer, even when asked again: {still}"
                ) from still
        self.notes = found.notes
        origin = Origin(model=self.model, prompt_version=prompts.VERSION, raw=raw)
        return found.value.model_copy(update={"reasoner": self.name, "origin": origin})

    def _or_fallback(
        self, answer: Callable[[], Answered], instead: Callable[[Reasoner], Answered]
    ) -> Answered:
        try:
            return answer()
        except UserError as problem:
            if self.fallback is None:
                raise
            self.notes = (f"{problem}; {self.fallback.name} answered instead",)
            return instead(self.fallback)
