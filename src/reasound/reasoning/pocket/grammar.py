"""What may be written next: the grammar of the answers, which is also their parser.

A grammar is a generator: it yields the tokens that are allowed, is sent the one that was chosen, and returns what was
said. So whatever is written under it parses, and what cannot be parsed cannot be written.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

from reasound.edit_plan import AMOUNTS, VERBS, Verb
from reasound.reasoning.pocket import tokenizer as t

Said = TypeVar("Said")
Grammar = Generator[Sequence[int], int, Said]
Task = Literal["plan", "object", "edit"]
TASKS: tuple[Task, ...] = get_args(Task)

MOST_EVENTS, MOST_BEDS, MOST_CITES, MOST_HITS, MOST_OPERATIONS, MOST_TARGETS = 8, 3, 3, 32, 4, 8
_SOUNDING: tuple[Verb, ...] = ("add", "replace", "inpaint")
"""Verbs that name a sound."""
_ALONE: tuple[Verb, ...] = ("extract", "solo")
"""Verbs that need a target."""


@dataclass(frozen=True)
class Situation:
    """What an answer can point at."""

    seconds: float
    """Of the window."""
    onsets: tuple[float, ...] = ()
    labels: int = 0
    traces: int = 0
    entries: tuple[str, ...] = ()
    """Ids in the existing plan."""
    numbers: tuple[float, ...] = ()
    """That stand in the text."""
    words: int = 0
    """Tokens of the text."""
    banned: frozenset[str] = frozenset()
    """Classes that must not be heard."""


@dataclass
class Thought:
    """Why something is heard: what is cited, and what follows."""

    cites: list[int]
    sound_class: str
    how: str = "whole"


@dataclass
class Written:
    """The fields of an event; times in seconds of the window."""

    on_screen: bool = True
    material: str = ""
    level: float = 0.0
    places: list[tuple[float, float]] = field(default_factory=list)
    """(pan, distance) at the beginning, and at the end where it moves."""
    hits: list[tuple[float, float]] = field(default_factory=list)
    """(time, strength)."""
    span: tuple[float, float] | None = None


@dataclass
class PlanDraft:
    thoughts: list[Thought] = field(default_factory=list)
    unders: list[Thought] = field(default_factory=list)
    space: str = "outdoors"
    reverb: float = 0.0
    events: list[Written] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    """Of what lies under the clip."""


@dataclass
class Asked:
    """One operation."""

    verb: Verb
    targets: list[str] = field(default_factory=list)
    sound_class: str = ""
    said: tuple[int, int] | None = None
    """First and last word of the text that names the sound."""
    start: float | None = None
    end: float | None = None
    amount: float | None = None
    side: Literal["before", "after"] | None = None
    style: str | tuple[int, int] = ""


@dataclass
class EditDraft:
    operations: list[Asked] = field(default_factory=list)
    refusal: int | None = None


def grammar(task: Task, s: Situation) -> Grammar[PlanDraft | EditDraft]:
    """The answer to a task in a situation, its first token not included, its <end> included."""
    draft = yield from (_edit(s) if task == "edit" else _plan(s, beds=task == "plan"))
    yield [t.token("<end>")]
    return draft


def parse(task: Task, s: Situation, answer: Iterable[int]) -> PlanDraft | EditDraft:
    """What an answer says. ValueError where it is none."""
    machine = grammar(task, s)
    allowed: Sequence[int] = next(machine)
    for at, one in enumerate(answer):
        if one not in allowed:
            raise ValueError(f"{t.names()[one]!r} cannot stand at place {at} of the answer")
        try:
            allowed = machine.send(one)
        except StopIteration as done:
            result: PlanDraft | EditDraft = done.value
            return result
    raise ValueError("the answer does not end")


def _pointers(kind: str, count: int) -> tuple[int, ...]:
    return t.group(kind)[:count]


def _plan(s: Situation, beds: bool) -> Grammar[PlanDraft]:
    draft = PlanDraft()
    because, under, so = t.token("<because>"), t.token("<under>"), t.token("<so>")
    while True:
        allowed = [so] if beds or draft.thoughts else []  # an object is asked for because it is heard
        if not draft.unders and len(draft.thoughts) < MOST_EVENTS:
            allowed.append(because)
        if beds and len(draft.unders) < MOST_BEDS:
            allowed.append(under)
        kind = yield allowed
        if kind == so:
            break
        cites, name = yield from _reasons(
            s, {u.sound_class for u in draft.unders} if kind == under else set()
        )
        if kind == under:
            draft.unders.append(Thought(cites, name))
            continue
        hows = [h for h in t.group("how") if s.onsets or h != t.token("how seen")]
        draft.thoughts.append(Thought(cites, name, t.names()[(yield hows)].removeprefix("how ")))
    draft.space = t.names()[(yield t.group("space"))].removeprefix("space ")
    draft.reverb = t.value_of((yield t.group("reverb")))
    for thought in draft.thoughts:
        draft.events.append((yield from _event(s, thought.how)))
    for _ in draft.unders:
        draft.levels.append(t.value_of((yield t.group("level"))))
    return draft


def _reasons(s: Situation, taken: set[str]) -> Grammar[tuple[list[int], str]]:
    """What is cited, one to three things, and the class that follows."""
    things = [
        *_pointers("label", s.labels),
        *_pointers("trace", s.traces),
        *map(t.token, ("<told>", "<motion>", "<guess>")),
    ]
    out = s.banned | taken
    classes = [c for c in t.group("class") if t.names()[c].removeprefix("class ") not in out]
    cites: list[int] = []
    while True:
        more = [c for c in things if c not in cites] if len(cites) < MOST_CITES else []
        chosen = yield [*more, *(classes if cites else ())]
        if chosen in cites or chosen in more:
            cites.append(chosen)
        else:
            return cites, t.names()[chosen].removeprefix("class ")


def _event(s: Situation, how: str) -> Grammar[Written]:
    on, off, still, moves = map(t.token, ("<on screen>", "<off screen>", "<still>", "<moves>"))
    event = Written(on_screen=(yield [on, off]) == on)
    event.material = t.names()[(yield t.group("material"))].removeprefix("material ")
    event.level = t.value_of((yield t.group("level")))
    for _ in range(2 if (yield [still, moves]) == moves else 1):
        event.places.append((t.value_of((yield t.group("pan"))), t.value_of((yield t.group("distance")))))
    if how in ("seen", "paced"):
        event.hits = yield from _hits(s)
    elif how == "span":
        event.span = yield from _span(s)
    return event


def _hits(s: Situation) -> Grammar[list[tuple[float, float]]]:
    """At least one, each later than the last by a step at least."""
    hits: list[tuple[float, float]] = []
    stop, times = t.token("<hits>"), t.group("time")
    latest = min(int((s.seconds - t.TICK) / t.TICK), t.TICKS - 1)
    while True:
        after = hits[-1][0] if hits else -1.0
        shown = [
            k for k, time in zip(_pointers("onset", len(s.onsets)), s.onsets, strict=False) if time > after
        ]
        first = max(0, int(after / t.TICK + 1.001))
        free = times[first : latest + 1] if first <= latest else ()
        allowed = [*shown, *free] if len(hits) < MOST_HITS else []
        if hits:
            allowed.append(stop)
        if not allowed:  # a window without room for a single step
            return [(0.0, 1.0)]
        chosen = yield allowed
        if chosen == stop:
            return hits
        time = s.onsets[t.pointed(chosen)[1]] if chosen in shown else t.value_of(chosen)
        hits.append((time, t.value_of((yield t.group("strength")))))


def _span(s: Situation) -> Grammar[tuple[float, float]]:
    """Some steps long, inside the window."""
    times, last = t.group("time"), t.token("<clip end>")
    room = min(int(s.seconds / t.TICK), t.TICKS - 1)
    start = yield times[: max(1, room - 2)]
    first = start - times[0] + 2
    end = yield [*times[first : room + 1], last]
    return t.value_of(start), s.seconds if end == last else t.value_of(end)


def _edit(s: Situation) -> Grammar[EditDraft]:
    op, no = t.token("<op>"), t.token("<no>")
    draft = EditDraft()
    if (yield [op, no]) == no:
        draft.refusal = t.pointed((yield t.group("refusal")))[1]
        return draft
    verbs = [t.token(f"verb {v}") for v in VERBS if s.entries or v not in _ALONE]
    while True:
        verb: Verb = t.names()[(yield verbs)].removeprefix("verb ")  # type: ignore[assignment]
        room = len(draft.operations) + 1 < MOST_OPERATIONS
        asked, goes_on = yield from _operation(s, verb, room)
        draft.operations.append(asked)
        if not goes_on:
            return draft


def _operation(s: Situation, verb: Verb, room: bool) -> Grammar[tuple[Asked, bool]]:
    """The fields that a verb has, then perhaps <from> and <to> with their times, and whether another one follows: <op>,
    or <so> after the last."""
    asked = Asked(verb)
    if verb != "add":
        asked.targets = yield from _targets(s, verb)
    if verb in _SOUNDING:
        asked.sound_class, asked.said = yield from _sound(s, needed=verb != "inpaint")
    if verb == "extend":
        before = t.token("<before>")
        asked.side = "before" if (yield [before, t.token("<after>")]) == before else "after"
    if verb in AMOUNTS:
        asked.amount = yield from _number(s)
    if verb == "style":
        asked.style = yield from _style(s)
    if verb == "reverb":
        rooms = [t.token("<no>"), *t.group("room")]
        chosen = yield rooms
        asked.style = "" if chosen == rooms[0] else t.names()[chosen].removeprefix("room ")
    begin, until, so = map(t.token, ("<from>", "<to>", "<so>"))
    ends = [so, t.token("<op>")] if room else [so]
    allowed = [begin, until, *ends]
    while (chosen := (yield allowed)) not in ends:
        allowed = [until, *ends] if chosen == begin else ends
        moment = yield from _number(s)
        if chosen == begin:
            asked.start = moment
        else:
            asked.end = moment
    return asked, chosen != so


def _targets(s: Situation, verb: Verb) -> Grammar[list[str]]:
    mix, stop = t.token("<mix>"), t.token("<by>")
    entries = _pointers("entry", len(s.entries))
    chosen = yield [*entries, *([] if verb in _ALONE else [mix])]
    found: list[str] = []
    while chosen != mix and chosen != stop:
        found.append(s.entries[t.pointed(chosen)[1]])
        later = (
            [e for e in entries if s.entries[t.pointed(e)[1]] not in found]
            if len(found) < MOST_TARGETS
            else []
        )
        chosen = yield [*later, stop]
    return found


def _sound(s: Situation, needed: bool) -> Grammar[tuple[str, tuple[int, int] | None]]:
    """A class or none, then the words of the text that name the sound, or that the class is its name."""
    none, said, named, no = t.token("<no class>"), t.token("<said>"), t.token("<sound>"), t.token("<no>")
    classes = [c for c in t.group("class") if t.names()[c].removeprefix("class ") not in s.banned]
    chosen = yield [*classes, *([none] if s.words or not needed else [])]
    name = "" if chosen == none else t.names()[chosen].removeprefix("class ")
    hows = [*([said] if s.words else []), *([named] if name else [] if needed else [no])]
    return name, (yield from _words(s)) if (yield hows) == said else None


def _words(s: Situation) -> Grammar[tuple[int, int]]:
    words = _pointers("word", s.words)
    first = yield words
    last = yield words[t.pointed(first)[1] :]
    return t.pointed(first)[1], t.pointed(last)[1]


def _number(s: Situation) -> Grammar[float]:
    minus = t.token("<minus>")
    plain = [*t.group("value"), *_pointers("number", len(s.numbers)), *t.group("time")]
    chosen = yield [minus, *plain]
    sign = 1.0
    if chosen == minus:
        sign, chosen = -1.0, (yield plain)
    kind = t.names()[chosen].partition(" ")[0]
    return sign * (s.numbers[t.pointed(chosen)[1]] if kind == "number" else t.value_of(chosen))


def _style(s: Situation) -> Grammar[str | tuple[int, int]]:
    said = t.token("<said>")
    chosen = yield [*t.group("style"), *([said] if s.words else [])]
    if chosen == said:
        return (yield from _words(s))
    return t.names()[chosen].removeprefix("style ")
