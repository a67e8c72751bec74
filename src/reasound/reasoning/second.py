"""A second opinion on what was pointed at: the rules know what labels mean, the small network what moves how.

The network learned from made scenes, where it is right twice as often; where a label is sure, the rules are better on
real clips. So sure rules come first, then the network where it is sure, then whoever answers at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reasound.errors import UserError
from reasound.perception.features import Features
from reasound.plan import Plan, Region
from reasound.reasoning.reasoner import Reasoner

if TYPE_CHECKING:
    from reasound.media.video import Clip

CERTAIN = 0.7
"""Confidence from which the rules need nobody's advice, and from which the network is believed against them."""


def object_plan(
    who: Reasoner,
    seen: Features,
    region: Region,
    existing: Plan,
    sound: str,
    clip: Clip,
    guess: bool = True,
) -> tuple[Plan, tuple[str, ...]]:
    """As `who.plan_object`, and notes. Where the rules are unsure, or know nothing, and nobody says what it is, the
    pocket network is asked, too; its mere guess only counts with `guess`. UserError where neither knows."""
    answer: Plan | None = None
    refused: UserError | None = None
    try:
        answer = who.plan_object(seen, region, existing, sound, clip=clip)
    except UserError as error:
        refused = error
    notes = tuple(who.notes)
    by_rules = answer is None or answer.reasoner == "rules"
    if not sound and by_rules and who.name in ("rules", "pocket") and _sure(answer) < CERTAIN:
        other = _network_plan(seen, region, existing, clip)
        if other and other.events and ((answer is None and guess) or _sure(other) >= CERTAIN):
            called = " and ".join(dict.fromkeys(e.sound for e in other.events))
            said = "did not know" if answer is None else "were not sure"
            how = "" if _sure(other) >= CERTAIN else ", which is a guess"
            return other, (
                *notes,
                f"The rules {said} what this is; the pocket network says: {called}{how}.",
            )
    if answer is None:
        assert refused is not None
        raise refused
    return answer, notes


def _sure(plan: Plan | None) -> float:
    return min((e.confidence for e in plan.events), default=0.0) if plan else 0.0


def _network_plan(seen: Features, region: Region, existing: Plan, clip: Clip) -> Plan | None:
    """The network's plan however unsure it is; None where it is not installed or has nothing to say."""
    from reasound.reasoning.pocket.reasoner import PocketReasoner

    try:
        network = PocketReasoner.load()
        network.sure = 0.0
        return network.plan_object(seen, region, existing, clip=clip)
    except UserError:
        return None
