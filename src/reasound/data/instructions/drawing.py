"""A plan, an instruction about it, and the right EditPlan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reasound.data.instructions import naming
from reasound.data.instructions.asking import Asked, ask, compatible
from reasound.data.instructions.chance import Chance
from reasound.data.instructions.noise import manner, typed
from reasound.data.instructions.plans import draw_plan
from reasound.data.instructions.tables_of import words
from reasound.edit_plan import EditPlan
from reasound.plan import Plan
from reasound.reasoning.instructions import refusals
from reasound.reasoning.instructions.reasons import reason
from reasound.reasoning.knowledge import sound_classes

REFUSED = 0.1
"""Share of the instructions that nothing can be done about."""
SEVERAL = (0.7, 0.95)
"""Shares of one and of up to two requests in an instruction."""
ABSENT = (
    "remove the {n}",
    "make the {n} louder",
    "mute the {n}",
    "turn down the {n}",
    "get rid of the {n}",
    "pan the {n} to the left",
    "isolate the {n}",
    "bring the {n} closer",
    "turn the {n} up",
    "delete the {n}",
    "solo the {n}",
    "silence the {n}",
    "the {n} is too loud",
    "speed up the {n}",
    "delay the {n} by one second",
    "take out the {n}",
    "make the {n} sound older",
    "i don't want to hear the {n}",
)


@dataclass(frozen=True)
class Example:
    """One instruction."""

    instruction: str
    plan: Plan
    """What is there."""
    answer: EditPlan
    """What is to be done; it passes `check(plan)`."""
    form: str = ""
    """The templates of its requests, without names and numbers."""


def draw(rng: np.random.Generator) -> Example:
    """A random plan, an instruction about it and the answer."""
    chance = Chance(rng)
    plan = draw_plan(chance)
    if chance.happens(REFUSED):
        return _refused(plan, chance)
    share = chance.rng.random()
    count = 1 + (share > SEVERAL[0]) + (share > SEVERAL[1])
    made: list[Asked] = []
    last: tuple[str, ...] | None = None
    named: set[str] = set()
    while len(made) < count:
        one = ask(plan, chance, last, named)
        if one is None or not compatible(made, one):
            continue
        made.append(one)
        named |= set(one.operation.targets)
        last = (
            one.operation.targets or None if one.operation.verb not in ("add", "replace", "remove") else None
        )
    text, form = manner(made[0].text, chance), made[0].form
    for one in made[1:]:
        text += chance.of(words()["joins"]) + one.text
        form += " + " + one.form
    return _example(typed(text, chance), plan, made, form)


def _example(text: str, plan: Plan, made: list[Asked], form: str) -> Example:
    operations = tuple(a.operation.model_copy(update={"reason": reason(a.operation, plan)}) for a in made)
    return Example(text, plan, EditPlan(instruction=text, operations=operations), form)


def _refused(plan: Plan, chance: Chance) -> Example:
    """What asks for nothing, is unclear, cannot be done, or is about a sound that is not there."""
    how = chance.of(("nothing", "unclear", "impossible", "absent", "absent"))
    if how == "absent":
        there = {s.sound_class for s in naming.all_of(plan)}
        while True:
            sound = chance.of(tuple(sound_classes()))
            noun = chance.of(naming.nouns(sound))
            if sound not in there and not naming.is_heard(noun, plan):
                break
        template = chance.of(ABSENT)
        text, why = manner(template.format(n=noun), chance), refusals.not_there(noun)
    else:
        template = chance.of(words()[how])
        text = template.format(T="the " + naming.noun_for(chance.of(naming.all_of(plan)), plan, chance))
        why = {"nothing": refusals.NOTHING, "unclear": refusals.UNCLEAR, "impossible": refusals.NOT_SOUND}[
            how
        ]
    text = typed(text, chance) if text else text
    return Example(text, plan, EditPlan(instruction=text, refusal=why), template)
