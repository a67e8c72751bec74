"""A request on its way to an operation: its cue, its words, its times and what it is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reasound.edit_plan import Operation, Verb
from reasound.plan import Event
from reasound.reasoning.instructions import amounts, sounds
from reasound.reasoning.instructions.amounts import clamped
from reasound.reasoning.instructions.targets import Absent, Context, Meant, find
from reasound.reasoning.instructions.times import When
from reasound.reasoning.instructions.verbs import Cue
from reasound.reasoning.instructions.words import pattern

RELATIVE = pattern("relative")


class Refused(Exception):
    """The request is understood but cannot be done; its message is the sentence."""


@dataclass
class Request:
    """A request on its way to an operation."""

    cue: Cue
    text: str
    times: list[When]
    context: Context

    def __post_init__(self) -> None:
        plan = self.context.plan
        self.start: float | None = None
        self.end: float | None = None
        self.moment: float | None = None
        self.moments: tuple[float, ...] = ()
        self.length: float | None = None
        self.edge = ""
        for mark in re.findall(r"@[a-z](\d+)", self.text):
            when = self.times[int(mark)]
            if when.kind == "span":
                self.start, self.end, self.moments = when.start, when.end, when.moments
            elif when.kind == "moment":
                self.moment = when.start
            elif when.kind == "length":
                self.length = when.start
            elif when.kind in ("opening", "ending"):
                self.edge = when.kind
        self.seconds = plan.seconds
        self.targets = Meant()
        self._beside_another()

    def _beside_another(self) -> None:
        """ "while the car passes": the span is that of another sound, whose name is no target then."""
        found = RELATIVE.search(self.text)
        if found is None or self.cue.kind in ("replace", "extend"):
            return
        try:
            near = find(without_times(found[3]), self.context)
        except Absent:
            return
        events = [e for e in self.context.plan.events if e.id in near.ids]
        if events and without_times(self.text[: found.start()]):
            self.start, self.end = _beside(found[2], events, self.seconds)
            self.text = self.text[: found.start()].strip()
            place = self.cue.rest.find(found[2])
            self.cue = replace(self.cue, rest=self.cue.rest[:place] if place >= 0 else self.cue.rest)

    @property
    def names(self) -> str:
        """The words of the request that may name sounds."""
        return without_times(self.cue.rest)

    def aim(self, words: str | None = None, *, whole: bool = True) -> bool:
        """Finds the targets; whether there are any. `whole`: with no name it is what came before, or all."""
        found = find(self.names if words is None else words, self.context, self.moment)
        if not found.found:
            if self.context.last is None and not whole:
                return False
            found = Meant(self.context.last or (), True, pronoun=True)
        if (
            found.pronoun and not found.ids and len(self.context.all) == 1
        ):  # "it" is the one sound that is there
            found = Meant((self.context.all[0].id,), True, pronoun=True)
        self.targets = found
        return True

    def made(self, verb: Verb, amount: float | None = None, **more: object) -> Operation:
        """The operation, in the span that was said."""
        start, end = self.start, self.end
        if self.edge == "opening":
            end = round(amounts.EDGE * self.seconds, 2)
        elif self.edge == "ending":
            start = round((1 - amounts.EDGE) * self.seconds, 2)
        elif self.moment is not None and not self.targets.by_time and verb not in ("move", "add"):
            start, end = self.around()
        if self.targets.span and start is None and end is None:
            start, end = self.targets.span
        values = {"verb": verb, "targets": self.targets.ids, "start": start, "end": end, **more}
        if amount is not None:
            values["amount"] = clamped(verb, amount)
        if isinstance(sound := more.get("sound"), str):
            values["sound"] = self.context.spelled(sound)
        return Operation.model_validate(values)

    def kind(self, words: str) -> str:
        """The class that the words for a new sound mean; "" when none is sure."""
        for word in words.split():
            if word in self.context.phrases:
                return self.context.phrases[word].sound_class
        return sounds.kind(words, self.context.encoder)

    def around(self) -> tuple[float | None, float | None]:
        """What a single moment means: the hit that is there, or a second."""
        moment = self.moment or 0.0
        events = [e for e in self.context.plan.events if e.id in self.targets.ids]
        if len(events) == 1 and len(events[0].onsets) <= 1 and events[0].end - events[0].start < 2.5:
            return None, None
        end = moment + (self.length or 1.0)
        if len(events) == 1 and events[0].onsets:
            near = min(events[0].onsets, key=lambda t: abs(t - moment))
            moment, end = near, near + 0.5
        return round(moment, 2), round(min(end, self.seconds), 2) if moment < self.seconds else round(end, 2)


def with_times(text: str, times: Sequence[When]) -> str:
    """The text with its times as they were said."""
    return re.sub(r"@[a-z](\d+)", lambda m: times[int(m[1])].said, text)


def without_times(text: str) -> str:
    return " ".join(re.sub(r"@[a-z]\d+", " ", text).split())


def _beside(how: str, events: list[Event], seconds: float) -> tuple[float | None, float | None]:
    first, last = min(e.start for e in events), max(e.end for e in events)
    if how in ("after", "following", "once"):
        return (round(last, 2), None) if last < seconds - 0.05 else (round(first, 2), None)
    if how == "before":
        return (None, round(first, 2)) if first > 0.05 else (None, None)
    return round(first, 2), round(min(last, seconds), 2)
