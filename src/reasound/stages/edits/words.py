"""Operations in words, for people: what will be done, and what was done."""

from __future__ import annotations

from reasound.edit_plan import EditPlan, Operation
from reasound.plan import Plan
from reasound.reasoning.explain import listed
from reasound.stages.edits.plans import items


def sentences(edit: EditPlan, plan: Plan) -> list[str]:
    """One for each operation, or the refusal."""
    if edit.refusal:
        return [edit.refusal]
    return [said(operation, plan) for operation in edit.operations]


def said(o: Operation, plan: Plan) -> str:
    """ "gain wind by -6 dB, 1 to 2.5 s"."""
    known = items(plan)
    named = [f"{name} (“{known[name].sound}”)" if name in known else name for name in o.targets]
    what = " and ".join(named) or ("" if o.verb == "add" else "the whole mix")
    amount = 0.0 if o.amount is None else o.amount
    text = {
        "add": f"add “{o.sound}”" + (f" at {listed(f'{t:g}' for t in o.onsets)} s" if o.onsets else ""),
        "remove": f"remove {what}",
        "replace": f"put “{o.sound}” in the place of {what}",
        "extract": f"put {what} on its own layer",
        "inpaint": f"make {what} anew" + (f" with “{o.sound}”" if o.sound else ""),
        "extend": f"extend {what} by {amount:g} s {o.side or 'after'}",
        "move": f"move {what} {abs(amount):g} s {'later' if amount > 0 else 'earlier'}",
        "gain": f"make {what} {abs(amount):g} dB {'louder' if amount > 0 else 'softer'}",
        "pan": f"put {what} at pan {amount:+g}",
        "distance": f"put {what} {amount:g} times as far away",
        "reverb": f"give {what} a reverberation of {amount:g}" + (f" ({o.style})" if o.style else ""),
        "style": f"make {what} sound {o.style}",
        "speed": f"play {what} {amount:g} times as fast",
        "mute": f"mute {what}",
        "solo": f"hear only {what}",
    }[o.verb]
    if o.onsets:
        return text
    if o.start is not None and o.end is not None:
        return f"{text}, {o.start:g} to {o.end:g} s"
    if o.start is not None:
        return f"{text}, from {o.start:g} s"
    return f"{text}, until {o.end:g} s" if o.end is not None else text
