"""One request: its words and its operation, from a template and the slots that it has."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from reasound.data.instructions import naming
from reasound.data.instructions.amount_words import Amounts, Span, span_words
from reasound.data.instructions.chance import Chance
from reasound.data.instructions.naming import Name
from reasound.data.instructions.tables_of import templates, words
from reasound.edit_plan import Operation
from reasound.plan import Event, Plan
from reasound.reasoning.instructions import amounts
from reasound.reasoning.instructions.verbs import ROOM_WORDS, styles
from reasound.reasoning.knowledge import sound_classes, with_article

KINDS = (
    ("gain+",) * 4
    + ("gain-",) * 4
    + ("remove",) * 6
    + ("replace",) * 6
    + ("add",) * 7
    + ("extract",) * 4
    + ("solo",) * 4
    + ("mute",) * 4
    + ("pan",) * 5
    + ("distance+", "distance-") * 2
    + ("move", "move", "move+", "move-", "move@")
    + ("reverb", "reverb", "reverb0", "reverb-", "room", "room")
    + ("style",) * 4
    + ("speed+", "speed-") * 2
    + ("extend", "extend", "extend<", "extend=", "longer", "extendT")
    + ("inpaint",) * 3
    + ("inpaint+",)
)
NEED_EVENT = ("move", "move+", "move-", "move@", "extendT")
NEED_SOME = ("extract", "solo", "remove", "replace")
MANY, NO_SPAN = 0.2, 0.75
"""Share of requests that name several sounds, and of those that say no span."""
ROOM_ADJECTIVES = ("", "", "", "big ", "huge ", "old ", "empty ")


@dataclass(frozen=True)
class Asked:
    """A request."""

    text: str
    operation: Operation
    form: str
    """The template with the kinds of words in its slots: two requests of one form differ only in names and numbers."""


def ask(
    plan: Plan, chance: Chance, last: tuple[str, ...] | None = None, named: Collection[str] = ()
) -> Asked | None:
    """A request about the plan; None when the draw does not fit it. `last`: what the one before was
    about; `named`: what all before were about."""
    kind = chance.of(KINDS)
    template = chance.of(templates()[kind])
    name = Name("", ())
    if "{T}" in template or "{N}" in template:
        found = _target(plan, chance, last, named, kind)
        if found is None:
            return None
        name = found
        if "{N}" in template and (
            name.kind not in ("name", "caption", "both") or not name.text.startswith("the ")
        ):
            return None
    return _Writer(plan, chance, kind, template, name).write()


def _target(
    plan: Plan, chance: Chance, last: tuple[str, ...] | None, named: Collection[str], kind: str
) -> Name | None:
    name = naming.again(plan, last, named, chance) if last and chance.happens(0.5) else None
    if name is None and chance.happens(MANY):
        name = naming.many(plan, chance)
    name = name or naming.one(plan, chance)
    events = {e.id for e in plan.events}
    if kind == "extendT" and name.kind in ("it", "other"):
        return None  # "extend it" is about the clip
    if kind in NEED_EVENT and (name.span or not name.ids or not set(name.ids) <= events or len(name.ids) > 1):
        return None
    if kind in NEED_SOME and not name.ids and kind != "remove":
        return None
    if kind == "replace" and len(name.ids) > 2:
        return None
    if kind in ("solo", "extract") and name.kind in ("but", "others"):
        return None  # "mute everything except everything except the dog"
    if kind == "remove" and name.kind == "but":
        return None  # that is to extract
    if kind == "mute" and name.kind == "but":
        return None
    return name


class _Writer:
    """Fills the slots of one template."""

    def __init__(self, plan: Plan, chance: Chance, kind: str, template: str, name: Name) -> None:
        self.plan, self.chance, self.kind, self.template, self.name = plan, chance, kind, template, name
        self.words = Amounts(chance, kind.rstrip("<>=T"))
        self.more: dict[str, object] = {}
        self.form: list[str] = [template, name.kind]

    def write(self) -> Asked | None:
        text = self.template
        span: Span | None = self.name.span
        if "{S}" in text:
            said, span = ("", span) if span or self.chance.happens(NO_SPAN) else self._span()
            text = text.replace("{S}", said)
        elif "{I}" in text:
            said, span = self._span()
            text = text.replace("{I}", said.strip())
        for slot in dict.fromkeys(re.findall(r"\{(\w+)\}", self.template)):
            if slot in ("S", "I"):
                continue
            filled = self._slot(slot)
            if filled is None:
                return None
            text = text.replace("{" + slot + "}", filled)
        verb = {"room": "reverb", "longer": "extend", "extendT": "extend"}.get(
            self.kind, self.kind.rstrip("+-@<=0")
        )
        amount = self._amount(verb)
        values: dict[str, object] = {"verb": verb, "targets": self.name.ids, **self.more}
        if amount is not None:
            values["amount"] = amount
        if span is not None:
            values["start"], values["end"] = span
        if verb == "extend":
            values["side"] = "before" if self.kind == "extend<" else "after"
        if verb == "move" and not self._stays(float(amount or 0.0)):
            return None
        return Asked(" ".join(text.split()), Operation.model_validate(values), " ".join(self.form))

    def _span(self) -> tuple[str, tuple[float | None, float | None]]:
        said, span, form = span_words(self.plan.seconds, self.chance)
        self.form.append(form)
        return said, span

    def _slot(self, slot: str) -> str | None:
        chance = self.chance
        if slot in ("T", "N"):
            return self.name.text if slot == "T" else self.name.bare
        if slot == "X":
            return self._new_sound()
        if slot == "W":
            return self._where()
        if slot == "room":
            room = chance.of(tuple(ROOM_WORDS))
            self.more["style"] = room
            self.words.value = amounts.ROOMS[room]
            return with_article(
                chance.of(ROOM_ADJECTIVES if "room" not in room else ("",)) + ROOM_WORDS[room][0]
            )
        if slot == "style":
            style = chance.of(tuple(styles()))
            self.more["style"] = style
            return chance.of(styles()[style])
        if slot == "at":
            event = self._event()
            time = chance.between(0, self.plan.seconds - 0.3, chance.of((0, 1)))
            begin = (event.onsets or (event.start,))[0]
            if time >= self.plan.seconds:
                return None
            self.words.value = round(time - begin, 2)
            return self.words.seconds(time)
        if slot == "total":
            total = round(self.plan.seconds + chance.of((1, 2, 3, 5, 10)))
            self.words.value = round(total - self.plan.seconds, 2)
            return self.words.seconds(float(total))
        filled = self.words.slot(slot)
        self.form.append(self.words.form)
        return filled

    def _event(self) -> Event:
        return next(e for e in self.plan.events if e.id == self.name.ids[0])

    def _new_sound(self) -> str | None:
        there = {s.sound_class for s in naming.all_of(self.plan)}
        sound = self.chance.of(tuple(sound_classes().values()))
        if sound.name in there:
            return None
        caption = self.chance.of(sound.captions)
        single = [w for w in naming.nouns(sound.name) if not w.endswith(("s", "ing"))]
        if single and self.chance.happens(0.5):
            noun = self.chance.of(single)
            caption = "some " + noun if noun in _MASS else with_article(noun)
        self.more["sound"], self.more["sound_class"] = caption, sound.name
        return caption

    def _where(self) -> str:
        """When the new sound is to be heard."""
        chance, seconds = self.chance, self.plan.seconds
        how = chance.rng.random()
        if how < 0.45:
            return chance.of(words()["where"]) if chance.happens(0.3) else ""
        if how < 0.7:
            time = chance.between(0, seconds - 0.3, chance.of((0, 0, 1)))
            if time >= seconds:
                return ""
            self.more["start"] = time
            self.form.append("at")
            return chance.of(
                (" at {t}", " at {t}", " starting at {t}", " around {t}", " from {t} on", " {t} in")
            ).format(t=self.words.seconds(time))
        if how < 0.8:
            start = round((1 - amounts.EDGE) * seconds, 2)
            self.more["start"] = start
            return chance.of((" at the end", " at the very end", " towards the end", " near the end"))
        if how < 0.88:
            self.more["start"] = 0.0
            return chance.of((" at the beginning", " at the start", " right at the start"))
        said, (start2, end2) = self._span()
        self.more["start"], self.more["end"] = start2, end2
        return said

    def _amount(self, verb: str) -> float | None:
        if verb in ("add", "remove", "replace", "extract", "inpaint", "mute", "solo", "style"):
            return None
        if self.words.value is None and re.search(r"\bhalf (?:speed|as)\b", self.template):
            self.words.value = 0.5
        if self.words.degree == "plain" and self.kind == "longer":
            self.words.degree = amounts.degree(self.template)
        if (
            self.words.degree == "plain"
            and self.kind.startswith("distance")
            and amounts.FAR.search(self.template)
        ):
            self.words.degree = "much"
        value = self.words.value if self.words.value is not None else self.words.default()
        return amounts.clamped(verb, value)  # type: ignore[arg-type]

    def _stays(self, amount: float) -> bool:
        """It still sounds within the clip."""
        event = self._event()
        return event.start + amount >= 0 and event.start + amount < self.plan.seconds and amount != 0


_MASS = frozenset(
    "rain thunder wind traffic water birdsong applause laughter fire rubble debris machinery cloth paper glass "
    "breath electricity steam foliage wood surf drizzle chatter cattle lightning music percussion".split()
)


def compatible(first: Sequence[Asked], second: Asked) -> bool:
    """Two requests that may stand in one sentence: not twice the same change of the same sound."""
    return all(
        a.operation.verb != second.operation.verb or a.operation.targets != second.operation.targets
        for a in first
    )
