"""Stage 3, structured: what an instruction ("louder", "take out the wind") changes in an existing plan.

The verbs are the edits of ThinkSound (arXiv 2506.21448, section 3: add, remove, replace, extract, inpaint, extend) and
those that need no new sound.
"""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

from pydantic import Field, model_validator

from reasound.errors import UserError
from reasound.plan import Document, Origin, Plan, Seconds, Value, check_span

EDIT_SCHEMA: Literal["reasound.edit/1"] = "reasound.edit/1"

Verb = Literal[
    "add",
    "remove",
    "replace",
    "extract",
    "inpaint",
    "extend",
    "move",
    "gain",
    "pan",
    "distance",
    "reverb",
    "style",
    "speed",
    "mute",
    "solo",
]
VERBS: tuple[Verb, ...] = get_args(Verb)

AMOUNTS: dict[Verb, tuple[float, float, str]] = {
    "gain": (-60.0, 24.0, " dB"),
    "move": (-3600.0, 3600.0, " s"),
    "pan": (-1.0, 1.0, ""),
    "distance": (0.01, 100.0, " times"),
    "reverb": (0.0, 1.0, ""),
    "speed": (0.1, 10.0, " times"),
    "extend": (0.1, 600.0, " s"),
}
"""Smallest and largest amount of the verbs that need one, and its unit."""


class Operation(Value):
    """One change."""

    verb: Verb
    targets: tuple[str, ...] = ()
    """Ids of events and ambiences of the existing plan; empty: the whole mix, or nothing for "add"."""
    sound: str = ""
    """What is to be heard (add, replace, inpaint), as a caption."""
    sound_class: str = ""
    """Class of the taxonomy of `sound`; empty when only the caption is known."""
    start: Seconds | None = None
    """The span in seconds that changes; empty: from the beginning."""
    end: Seconds | None = None
    """Empty: to the end."""
    onsets: tuple[Seconds, ...] = ()
    """add: the moments at which it is struck, in order; empty: at the pace of its kind."""
    amount: float | None = None
    """gain: dB, + louder; move: seconds, + later; pan: -1 left to 1 right; distance: factor, above 1 farther; reverb: 0
    to 1; speed: factor, above 1 faster; extend: seconds."""
    side: Literal["before", "after"] | None = None
    """extend: at which end of the clip."""
    style: str = ""
    """style: "older", "underwater", "muffled"; reverb: the room."""
    reason: str = ""
    """One sentence."""

    @model_validator(mode="after")
    def _fits(self) -> Operation:
        if self.end is not None and self.end <= (self.start or 0.0):
            raise ValueError(
                f"{self.verb!r} ends at {self.end:g} s, not after its start at {self.start or 0:g} s"
            )
        if list(self.onsets) != sorted(set(self.onsets)):
            raise ValueError(f"the onsets of {self.verb!r} are not in order")
        return self


class EditPlan(Document):
    """What an instruction asks for, or why it cannot be done."""

    _kind: ClassVar[str] = "edit plan"

    version: Literal["reasound.edit/1"] = Field(default=EDIT_SCHEMA, alias="schema")
    instruction: str
    operations: tuple[Operation, ...] = ()
    """In the order in which they are done."""
    refusal: str = ""
    """One sentence when nothing can or should be done; then there are no operations."""
    reasoner: str = "user"
    origin: Origin | None = None
    """Of an edit plan that a language model wrote."""

    @model_validator(mode="after")
    def _fits(self) -> EditPlan:
        if self.refusal and self.operations:
            raise ValueError("it has operations although it refuses")
        return self

    def check(self, plan: Plan) -> EditPlan:
        """The same, when every operation can be done to `plan`; UserError with one sentence otherwise."""
        if not (self.operations or self.refusal):
            raise UserError("the edit has no operations and does not say why")
        known = [e.id for e in plan.events] + [a.id for a in plan.ambience]
        for operation in self.operations:
            for target in operation.targets:
                if target not in known:
                    there = ", ".join(known) or "nothing"
                    raise UserError(
                        f"cannot {operation.verb} {target!r}: the plan has no such event; it has {there}"
                    )
            _check_needs(operation)
            if operation.verb in AMOUNTS:
                _check_amount(operation)
            if operation.verb == "move" and abs(operation.amount or 0.0) >= plan.seconds:
                raise UserError(
                    f"cannot move by {operation.amount:g} s: the clip is only {plan.seconds:g} s long"
                )
            if late := [t for t in operation.onsets if t >= plan.seconds]:
                raise UserError(
                    f"cannot {operation.verb} at {late[0]:g} s: the clip is only {plan.seconds:g} s long"
                )
            if operation.verb != "extend":
                try:
                    check_span(f"{operation.verb!r}", operation.start, operation.end, plan.seconds)
                except ValueError as error:
                    raise UserError(str(error)) from error
        return self


def _check_needs(operation: Operation) -> None:
    """What is missing without which the verb means nothing."""
    verb = operation.verb
    if verb == "add" and operation.targets:
        raise UserError(f"'add' has the target {operation.targets[0]!r}, but it adds beside what is there")
    if operation.onsets and verb != "add":
        raise UserError(f"{verb!r} has onsets, but only 'add' strikes something new")
    if verb in ("extract", "solo") and not operation.targets:
        raise UserError(f"{verb!r} does not say what is to be heard alone")
    if verb in ("add", "replace") and not operation.sound:
        raise UserError(f"{verb!r} does not say what is to be heard")
    if verb == "inpaint" and operation.start is None and operation.end is None:
        raise UserError("'inpaint' does not say which seconds are to be made anew")
    if verb == "style" and not operation.style:
        raise UserError("'style' does not name a style")


def _check_amount(operation: Operation) -> None:
    low, high, unit = AMOUNTS[operation.verb]
    if operation.amount is None:
        raise UserError(f"{operation.verb!r} does not say by how much")
    if not low <= operation.amount <= high:
        raise UserError(
            f"the amount of {operation.verb!r} is {operation.amount:g}{unit}, but must be from {low:g} to {high:g}"
        )
