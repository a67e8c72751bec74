"""The interface of everything that turns what was seen into what should be heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from reasound.perception.features import Features
from reasound.plan import Plan, Region

if TYPE_CHECKING:
    from reasound.edit_plan import EditPlan
    from reasound.media.video import Clip

Progress = Callable[[str], None]
"""Gets the text that a reasoner has written so far."""


class Reasoner(Protocol):
    """Reasons about a clip, in the three stages: the whole scene, one object of it, an edit.

    `clip` is the video itself, for those who look at pictures; `features` are those of the same clip. All three raise
    UserError, one sentence, where there can be no answer.
    """

    @property
    def name(self) -> str:
        """Stands in `Plan.reasoner`."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What the user should know of the last answer, a sentence each: what was mended, or who answered instead."""
        ...

    def plan(
        self,
        features: Features,
        caption: str = "",
        avoid: Sequence[str] = (),
        *,
        clip: Clip | None = None,
        progress: Progress | None = None,
    ) -> Plan:
        """What should be heard in the clip.

        `caption`: what the user says is seen or heard; `avoid`: what must not be heard (sound classes or
        words).
        """
        ...

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
        """A plan with nothing but the events of the one object in `region`.

        `features` are those of the region's own clip, `clip` is the whole picture, `existing` what was planned for it.
        """
        ...

    def edit(
        self,
        instruction: str,
        existing: Plan,
        *,
        features: Features | None = None,
        clip: Clip | None = None,
        progress: Progress | None = None,
    ) -> EditPlan:
        """What an instruction asks to be changed in the existing plan; checked against it."""
        ...
