"""The interface of everything that turns what was seen into what should be heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from reasound.perception.features import Features
from reasound.plan import Plan


class Reasoner(Protocol):
    """Reasons about a clip."""

    @property
    def name(self) -> str:
        """Stands in `Plan.reasoner`."""
        ...

    def plan(self, features: Features, caption: str = "", avoid: Sequence[str] = ()) -> Plan:
        """What should be heard in the clip.

        `caption`: what the user says is seen or heard; `avoid`: what must not be heard (sound classes or
        words).
        """
        ...
