"""Which sounds of a plan are meant: by name, synonym, group, pronoun, order, side or as all the others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from reasound.plan import RING, Event, Plan
from reasound.reasoning.caption import Encoder
from reasound.reasoning.instructions.naming import FILLER as FILLER
from reasound.reasoning.instructions.naming import HINT, NAMED, Absent, Sounding, content, named, score
from reasound.reasoning.instructions.naming import in_group as in_group
from reasound.reasoning.instructions.phrases import Phrase, spelled
from reasound.reasoning.instructions.words import pattern

ORDINAL = {
    "first": 0,
    "1st": 0,
    "initial": 0,
    "earliest": 0,
    "opening": 0,
    "second": 1,
    "third": 2,
    "fourth": 3,
}
ORDINAL |= {
    "fifth": 4,
    "last": -1,
    "final": -1,
    "latest": -1,
    "closing": -1,
    "previous": -1,
    "former": 0,
    "latter": -1,
}
WHOLE = pattern("whole")
EXCEPT = pattern("except")
OTHERS = pattern("others")
THE = re.compile(r"the [a-z-]+(?: [a-z-]+)?(?<! one)(?<! ones)")
THE_OTHER = re.compile(r"\bthe other(?: one)?\b")
BACKGROUND = pattern("background")
FOREGROUND = re.compile(r"\b(?:foreground(?: (?:sounds?|events?))?|sound effects|effects|main sounds?)\b")
OFF_SCREEN = re.compile(r"\b(?:off-screen|off screen|out of (?:sight|view|frame))\b")
ON_SCREEN = re.compile(r"\b(?:on-screen|on screen|visible|in (?:view|frame|the picture))\b")
PRONOUN = re.compile(
    r"\b(?:it|its|them|that|this|these|those|they|their|that one|this one|he|she|him|her|his|same)\b"
)
SIDE = pattern("side")
SUPERLATIVE = pattern("superlative")
BOTH = re.compile(r"\b(?:both|all|2|3|4|every|each|all the|all of the)\b")


@dataclass
class Meant:
    """What a name means in a plan."""

    ids: tuple[str, ...] = ()
    """In the plan's order; empty with `found`: the whole mix."""
    found: bool = False
    span: tuple[float, float] | None = None
    """One of several hits of an event."""
    pronoun: bool = False
    by_time: bool = False
    """The moment that was said told which one is meant."""


@dataclass
class Context:
    """What a name is held against."""

    plan: Plan
    encoder: Encoder | None = None
    last: tuple[str, ...] | None = None
    """What "it" is; None: nothing was named yet."""
    words: set[str] = field(default_factory=set)
    """All words of the plan's captions and sources."""
    by_pronoun: bool = False
    """The request that was read last said "it"."""
    named: set[str] = field(default_factory=set)
    """All that was named: "everything else" is what is left."""
    phrases: dict[str, Phrase] = field(default_factory=dict)
    """Names of several words that are written as one."""

    @property
    def all(self) -> tuple[Sounding, ...]:
        return (*self.plan.events, *self.plan.ambience)

    def called(self, words: Sequence[str]) -> list[Sounding]:
        """The sounds that one of these words is a whole name of."""
        ids = {i for word in words if word in self.phrases for i in self.phrases[word].ids}
        return [s for s in self.all if s.id in ids]

    def spelled(self, text: str) -> str:
        """As it was said."""
        return spelled(text, self.phrases)

    def others(self, ids: Sequence[str]) -> tuple[str, ...]:
        return tuple(s.id for s in self.all if s.id not in ids)


def find(text: str, context: Context, moment: float | None = None) -> Meant:
    """What the words left of a request name. Absent when they name a sound that is not there."""
    if excepted := EXCEPT.search(text):
        inner = find(text[excepted.end() :], context, moment)
        context.last = inner.ids
        return Meant(context.others(inner.ids), True)
    if others := OTHERS.search(text):
        rest = text[: others.start()] + text[others.end() :]
        beside = set(context.named or context.last or ())
        try:  # "the dog and everything else" is rare; "all the others" must not be read as the words beside it
            inner = find(rest, context, moment) if content(rest) else Meant()
        except Absent:
            inner = Meant()
        beside |= set() if inner.pronoun else set(inner.ids)
        return Meant(context.others(tuple(beside)), True)
    ids: list[str] = []
    span, by_time, absent, choice, half = None, False, "", "", ""
    whole = WHOLE.search(text)
    if whole:
        text = WHOLE.sub(" ", text)
    for part in re.split(
        r"\band\b|,|\bplus\b|\bas well as\b|\bor\b|\bnor\b|\balong with\b|\btogether with\b", text
    ):
        has_name = bool(content(part))
        try:
            got = _one(f"{choice} {part}" if has_name else part, context, moment, tuple(ids))
        except Absent as missing:
            absent = absent or str(missing)
            half = half or (str(missing) if THE.fullmatch(part.strip()) else "")
            continue
        if got is not None:
            if (not has_name and set(got.ids) <= set(ids)) or (
                has_name and (choice or (_ordinal(part) is not None and set(got.ids) < set(ids)))
            ):
                ids = []  # "the thunder, the first one" is one, in either order
            choice = "" if has_name or _ordinal(part) is None else part
            ids += got.ids
            span, by_time = got.span or span, got.by_time or by_time
    if half and ids:  # "the rain and the piano"
        raise Absent(half)
    if ids:
        return Meant(tuple(s.id for s in context.all if s.id in ids), True, span, False, by_time)
    if whole:
        return Meant((), True)
    if absent and not (
        context.last is not None and re.match(r"(?:it|they|she|he)\b(?! is| are| was)", text.strip())
    ):
        raise Absent(absent)  # "it should bleat farther away" is about what came before
    if THE_OTHER.search(text) and context.last:
        return Meant(_same_kind(context), True)
    if PRONOUN.search(text):
        if context.last is not None:
            return Meant(context.last, True, pronoun=True)
        return Meant((), True, pronoun=True)
    return Meant()


def _one(part: str, context: Context, moment: float | None, before: tuple[str, ...]) -> Meant | None:
    """One name; None when there is none in these words. `before`: ids of the names before it in a list."""
    plan = context.plan
    if THE_OTHER.search(part):
        words = content(part)
        same = _same_kind(context)
        pool = [s for s in context.all if (score(words, s) >= NAMED if words else s.id in same)]
        pool = [s for s in pool if s.id not in (context.last or ())]
        return Meant(tuple(s.id for s in pool), True) if pool and context.last else None
    for phrase, chosen in (
        (OFF_SCREEN, [e for e in plan.events if not e.on_screen]),
        (ON_SCREEN, [e for e in plan.events if e.on_screen]),
        (FOREGROUND, list(plan.events)),
    ):
        if phrase.search(part) and not content(phrase.sub("", part)):
            return Meant(tuple(e.id for e in chosen), True) if chosen else None
    words = content(SUPERLATIVE.sub("", SIDE.sub("", BACKGROUND.sub("", part))))
    if BACKGROUND.search(part):
        there = [a for a in plan.ambience if not words or score(words, a) >= HINT]
        if there or not words:
            if not there:
                raise Absent("background sound")
            return Meant(tuple(a.id for a in there), True)
    words = [w for w in words if w not in ORDINAL]
    modified = _ordinal(part) is not None or SIDE.search(part) or SUPERLATIVE.search(part)
    if not words:
        one_of = re.search(r"\b(?:ones?|sounds?|noises?|both|all)\b", part)
        if not (modified and (one_of or _ordinal(part) is not None)) and not re.search(r"\bboth\b", part):
            return None
        pool = [s for s in context.all if s.id in before] if before else list(_pool(context))
        if re.search(r"\bboth\b", part) and not modified:
            return Meant(tuple(s.id for s in pool), True) if len(pool) == 2 else None
    else:
        pool = context.called(words)
        if not pool:
            said = context.spelled(" ".join(words))
            try:
                pool = named(content(said), context.all, context.encoder)
            except Absent as missing:
                raise Absent(said) from missing
            pool = _widened(pool, part, context)
    return _picked(pool, part, moment, plan.seconds)


def _widened(pool: list[Sounding], part: str, context: Context) -> list[Sounding]:
    """ "Both lasers", "the second splash": with too few of the name those of its kind count as well."""
    order = _ordinal(part)
    if len(pool) != 1 or not (order is not None or re.search(r"\b(?:both|2|all|3)\b", part)):
        return pool
    only = pool[0]
    if order is not None and isinstance(only, Event) and len(only.onsets) > max(order, 1):
        return pool
    return [s for s in context.all if s.sound_class == only.sound_class] if order != 0 else pool


def _pool(context: Context) -> tuple[Sounding, ...]:
    """ "The second one": of the kind that was named last, else of all events."""
    by_id = {s.id: s for s in context.all}
    if context.last:
        kinds = {by_id[i].sound_class for i in context.last if i in by_id}
        same = tuple(s for s in context.plan.events if s.sound_class in kinds)
        if len(same) > 1 or (len(same) == 1 and isinstance(same[0], Event) and len(same[0].onsets) > 1):
            return same
    return context.plan.events


def _same_kind(context: Context) -> tuple[str, ...]:
    return tuple(s.id for s in _pool(context) if s.id not in (context.last or ()))


def _picked(pool: Sequence[Sounding], part: str, moment: float | None, seconds: float) -> Meant:
    """Of several of one name those that the side, the order, the superlative or the moment tells."""
    events = [s for s in pool if isinstance(s, Event)]
    if (side := SIDE.search(part)) and len(events) > 1:
        where = next(filter(None, side.groups()))
        sign = -1 if where.startswith("left") else 1 if where.startswith("right") else 0
        pans = {e.id: float(e.place(e.start)[0][0]) for e in events}
        near = [e for e in events if (pans[e.id] * sign > 0.05 if sign else abs(pans[e.id]) < 0.3)]
        if len(near) in (0, len(events)) and sign:  # the caption may say it where the pan does not
            near = [e for e in events if where[:4].strip() in e.sound.lower()] or near
        if near:
            if len(near) > 1 and where.endswith("most"):
                near = [max(near, key=lambda e: pans[e.id] * sign)]
            events = near
            pool = near
    if (most := SUPERLATIVE.search(part)) and len(pool) > 1 and events:
        pool = [_extreme(events, most[1])]
    order = _ordinal(part)
    if order is not None and events:
        events = sorted((s for s in pool if isinstance(s, Event)), key=lambda e: (e.start, e.id))
        if len(events) == 1 and len(events[0].onsets) > 1 and order < len(events[0].onsets):
            return Meant((events[0].id,), True, _hit(events[0], order, seconds))
        if len(events) > 1 and order < len(events):
            return Meant((events[order].id,), True)
        if order >= len(events) > 0:
            raise Absent(" ".join(part.split()).removeprefix("the "))
    if moment is not None and len(events) > 1 and not BOTH.search(part):
        at = [e for e in events if e.start - 0.15 <= moment <= e.end + 0.15]
        nearest = min(events, key=lambda e: abs(e.start - moment))
        return Meant(((at or [nearest])[0].id if len(at) <= 1 else nearest.id,), True, by_time=True)
    return Meant(tuple(s.id for s in pool), True)


def _hit(event: Event, order: int, seconds: float) -> tuple[float, float]:
    """The span of one hit."""
    start = event.onsets[order]
    place = order % len(event.onsets)
    after = event.onsets[place + 1] if place + 1 < len(event.onsets) else seconds
    return round(start, 2), round(min(after, start + RING), 2)


def _extreme(events: Sequence[Event], word: str) -> Event:
    if word in ("loudest", "noisiest"):
        return max(events, key=lambda e: e.level)
    if word in ("quietest", "softest", "faintest"):
        return min(events, key=lambda e: e.level)
    if word in ("nearest", "closest", "nearby"):
        return min(events, key=lambda e: float(e.place(e.start)[1][0]))
    if word == "longest":
        return max(events, key=lambda e: e.end - e.start)
    if word == "shortest":
        return min(events, key=lambda e: e.end - e.start)
    return max(events, key=lambda e: float(e.place(e.start)[1][0]))


def _ordinal(part: str) -> int | None:
    words = part.split()
    if "second" in words and "last" in words:
        return -2
    return next((ORDINAL[w] for w in words if w in ORDINAL), None)
