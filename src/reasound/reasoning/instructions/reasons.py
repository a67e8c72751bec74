"""One sentence for each change, in the words of the plan."""

from __future__ import annotations

from collections.abc import Iterable

from reasound.edit_plan import Operation
from reasound.plan import Ambience, Event, Plan
from reasound.reasoning.explain import listed
from reasound.reasoning.knowledge import sound_classes


def reason(operation: Operation, plan: Plan) -> str:
    """What the operation does, as a sentence."""
    what = _names(operation.targets, plan) or "everything"
    amount = operation.amount or 0.0
    verb = operation.verb
    if verb == "gain":
        text = f"{what} gets {abs(amount):g} dB {'louder' if amount >= 0 else 'quieter'}"
    elif verb == "pan":
        text = f"{what} is placed " + ("in the middle" if amount == 0 else "left" if amount < 0 else "right")
    elif verb == "distance":
        text = f"{what} comes {'closer' if amount < 1 else 'from farther away'}"
    elif verb == "move":
        text = f"{what} comes {abs(amount):g} s {'later' if amount >= 0 else 'earlier'}"
    elif verb == "reverb":
        text = f"{what} gets {'reverberation' if amount > 0.15 else 'a dry sound'}"
        text += f" of a {operation.style}" if operation.style else ""
    elif verb == "style":
        text = f"{what} gets the style {operation.style!r}"
    elif verb == "speed":
        text = f"{what} runs {amount:g} times as fast"
    elif verb == "extend":
        text = f"{what} goes on for {amount:g} s more" + (
            " at the beginning" if operation.side == "before" else ""
        )
    elif verb == "inpaint":
        text = "the sound is made anew" + (f" with {operation.sound}" if operation.sound else "")
    elif verb == "add":
        text = f"{operation.sound} is added"
    elif verb == "replace":
        text = f"{what} gives way to {operation.sound}"
    else:
        done = {
            "mute": "is silenced",
            "solo": "is heard alone",
            "extract": "is kept alone",
            "remove": "is removed",
        }
        text = f"{what} {done[verb]}"
    if operation.start is not None or operation.end is not None:
        start, end = operation.start or 0.0, plan.seconds if operation.end is None else operation.end
        text += f" from {start:g} to {end:g} s" if verb != "extend" else ""
    return text[0].upper() + text[1:] + "."


def heard(plan: Plan) -> str:
    """What the plan has, as a list: "a dog, a car and rain"."""
    return _names([*(e.id for e in plan.events), *(a.id for a in plan.ambience)], plan, "a ")


def _names(ids: Iterable[str], plan: Plan, article: str = "the ") -> str:
    soundings: tuple[Event | Ambience, ...] = (*plan.events, *plan.ambience)
    by_id = {sounding.id: sounding for sounding in soundings}
    names = []
    for i in ids:
        sounding = by_id[i]
        known = sound_classes().get(sounding.sound_class)
        source = sounding.source if isinstance(sounding, Event) else ""
        if source in ("", "a person") and known:  # of whom nothing is known but what is heard
            source = known.heard
        names.append(source or sounding.sound)
    return listed([n.replace("a ", article, 1) if n.startswith("a ") else n for n in dict.fromkeys(names)])
