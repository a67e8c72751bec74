"""Which sounds of a plan are meant: by name, synonym, group, pronoun, order, side or as all the others."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache

from reasound.plan import RING, Ambience, Event, Plan
from reasound.reasoning.caption import Encoder, _stem, _stems, meant
from reasound.reasoning.instructions.words import pattern, table
from reasound.reasoning.knowledge import SoundClass, sound_classes

NAMED, CAPTION, HINT = 1.0, 0.9, 0.4
"""What a word is worth that names the sound, that stands in its caption, and that hints at its class."""
HEAD = 0.3
"""More for the last word of the name: in "the footsteps on gravel" and "the dog's bark" it is the sound."""
ALIKE = 0.45
"""Cosine of MiniLM from which a name in no table is taken to be the most similar sound."""

Sounding = Event | Ambience

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
FILLER = frozenset(table("fillers.json")["words"].split())
PEOPLE = frozenset(table("synonyms.json")["people"].split())


class Absent(Exception):
    """A sound that is named but not in the plan; its name is the message."""


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
    named: set[str] = field(default_factory=set)
    """All that was named: "everything else" is what is left."""

    @property
    def all(self) -> tuple[Sounding, ...]:
        return (*self.plan.events, *self.plan.ambience)

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
            inner = find(rest, context, moment) if _content(rest) else Meant()
        except Absent:
            inner = Meant()
        beside |= set() if inner.pronoun else set(inner.ids)
        return Meant(context.others(tuple(beside)), True)
    ids: list[str] = []
    span, by_time, absent = None, False, ""
    whole = WHOLE.search(text)
    if whole:
        text = WHOLE.sub(" ", text)
    for part in re.split(
        r"\band\b|,|\bplus\b|\bas well as\b|\bor\b|\bnor\b|\balong with\b|\btogether with\b", text
    ):
        try:
            got = _one(part, context, moment)
        except Absent as missing:
            absent = absent or str(missing)
            continue
        if got is not None:
            ids += got.ids
            span, by_time = got.span or span, got.by_time or by_time
    if ids:
        return Meant(tuple(s.id for s in context.all if s.id in ids), True, span, False, by_time)
    if whole:
        return Meant((), True)
    if absent:
        raise Absent(absent)
    if THE_OTHER.search(text) and context.last:
        return Meant(_same_kind(context), True)
    if PRONOUN.search(text):
        if context.last is not None:
            return Meant(context.last, True, pronoun=True)
        return Meant((), True, pronoun=True)
    return Meant()


def _one(part: str, context: Context, moment: float | None) -> Meant | None:
    """One name; None when there is none in these words."""
    plan = context.plan
    if THE_OTHER.search(part):
        words = _content(part)
        same = _same_kind(context)
        pool = [s for s in context.all if (_score(words, s) >= NAMED if words else s.id in same)]
        pool = [s for s in pool if s.id not in (context.last or ())]
        return Meant(tuple(s.id for s in pool), True) if pool and context.last else None
    for phrase, chosen in (
        (OFF_SCREEN, [e for e in plan.events if not e.on_screen]),
        (ON_SCREEN, [e for e in plan.events if e.on_screen]),
        (FOREGROUND, list(plan.events)),
    ):
        if phrase.search(part) and not _content(phrase.sub("", part)):
            return Meant(tuple(e.id for e in chosen), True) if chosen else None
    words = _content(SUPERLATIVE.sub("", SIDE.sub("", BACKGROUND.sub("", part))))
    if BACKGROUND.search(part):
        there = [a for a in plan.ambience if not words or _score(words, a) >= HINT]
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
        pool = list(_pool(context))
        if re.search(r"\bboth\b", part) and not modified:
            return Meant(tuple(s.id for s in pool), True) if len(pool) == 2 else None
    else:
        pool = _named(words, context)
    return _picked(pool, part, moment, plan.seconds)


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


def _content(text: str) -> list[str]:
    """The words that name something."""
    words = re.findall(r"[a-z]+(?:-[a-z]+)*", text)
    return [w for w in words if w not in FILLER and w not in _verbal() and len(w) > 1]


@cache
def _verbal() -> frozenset[str]:
    """Words of the cues that name no sound: what is left of a request may still have some of another cue."""
    cues = set(
        re.findall(r"[a-z]+", json.dumps([list(level.values()) for level in table("cues.json").values()]))
    )
    names = {stem for more in _synonyms().values() for stem in more}
    for sound in sound_classes().values():
        for text in (sound.heard, sound.source, *sound.captions, *sound.words, *sound.hints):
            names |= set(_stems(text))
    return frozenset(w for w in cues if _stem(w) not in names) | {"rid", "run"}


def _named(words: Sequence[str], context: Context) -> list[Sounding]:
    """The sounds that these words name best; Absent when none."""
    scores = {s.id: _score(words, s) for s in context.all}
    best = max(scores.values(), default=0.0)
    groups = _groups(words)
    if groups:
        members = [s for s in context.all if _in_groups(s, groups)]
        if members and (best < NAMED or words[-1].endswith("s") or len(members) == 1):
            named = [s for s in context.all if scores[s.id] >= NAMED + HEAD]
            return [s for s in context.all if s in members or s in named]
        if not members and best < NAMED:
            raise Absent(" ".join(words))
    if best >= CAPTION:
        return [s for s in context.all if scores[s.id] >= best - 0.05]
    if best > 0 and not _known_elsewhere(words):
        return [s for s in context.all if scores[s.id] >= best - 0.05]
    if any(w in PEOPLE for w in words):
        people = [s for s in context.all if _is_person(s)]
        if people:
            return people
    if context.encoder is not None and context.all and not _known_elsewhere(words):
        name = " ".join(words)
        texts = [s.sound for s in context.all]
        vectors = context.encoder.encode([name, *texts])
        alike = (vectors[1:] @ vectors[0]).tolist()
        if max(alike) >= ALIKE:
            return [context.all[alike.index(max(alike))]]
    raise Absent(" ".join(words))


def _is_person(sounding: Sounding) -> bool:
    words = set(_words(sounding)[0])
    return bool(words & {"person", "man", "woman", "people", "someone"})


def _known_elsewhere(words: Sequence[str]) -> bool:
    """They surely name some class of sound; as no sound of the plan has their name, it is not there."""
    return any(_meant(word) for word in words)


@cache
def _meant(word: str) -> frozenset[str]:
    extra = {name for name, more in _synonyms().items() if _stem(word) in more}
    return frozenset(meant(word) | extra)


def _score(words: Sequence[str], sounding: Sounding) -> float:
    own, caption, hints = _words(sounding)
    total = 0.0
    for place, word in enumerate(words):
        stem = _stem(word)
        worth = NAMED if stem in own else CAPTION if stem in caption else HINT if stem in hints else 0.0
        if worth and place == len(words) - 1:
            worth += HEAD
        total += worth
    return total


@lru_cache(maxsize=512)
def _words(sounding: Sounding) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Stems that name it, that its caption has beside them, and that hint at its class."""
    known: SoundClass | None = sound_classes().get(sounding.sound_class)
    source = sounding.source if isinstance(sounding, Event) else ""
    material = sounding.material if isinstance(sounding, Event) else ""
    caption = _plain(sounding.sound) | _plain(source) | _plain(material)
    if known is None:
        return caption, frozenset(), frozenset()
    own = (
        _plain(known.heard)
        | _plain(known.source)
        | _plain(source)
        | _plain(known.name.split("/")[1].replace("_", " "))
    )
    own |= {stem for word in known.words for stem in _stems(word)} | _synonyms().get(known.name, frozenset())
    return own, caption, frozenset(stem for word in known.hints for stem in _stems(word))


def _plain(text: str) -> frozenset[str]:
    words = re.findall(r"[a-z]+", text.lower())
    return frozenset(_stem(w) for w in words if w not in FILLER and len(w) > 2)


@cache
def _synonyms() -> dict[str, frozenset[str]]:
    return {
        name: frozenset(_stem(w) for w in words.split())
        for name, words in table("synonyms.json")["classes"].items()
    }


def _groups(words: Sequence[str]) -> set[str]:
    return {group for group, names in table_groups().items() if any(w in names for w in words)}


@cache
def table_groups() -> dict[str, frozenset[str]]:
    """Names of groups of classes."""
    return {group: frozenset(words.split()) for group, words in table("synonyms.json")["groups"].items()}


@cache
def _members() -> dict[str, frozenset[str]]:
    return {group: frozenset(names) for group, names in table("synonyms.json")["members"].items()}


def in_group(name: str, group: str) -> bool:
    """Whether a class belongs to a group, by its name or by the table."""
    return name.split("/")[0] == group or name in _members().get(group, ())


def _in_groups(sounding: Sounding, groups: set[str]) -> bool:
    return any(in_group(sounding.sound_class, group) for group in groups)
