"""Plans to the tokens of an answer, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reasound.edit_plan import AMOUNTS, EditPlan, Operation
from reasound.perception.features import Features
from reasound.plan import Acoustics, Ambience, Event, Place, Plan
from reasound.reasoning.knowledge import labels, sound_class
from reasound.reasoning.pocket import tokenizer as t
from reasound.reasoning.pocket.grammar import (
    MOST_BEDS,
    MOST_EVENTS,
    MOST_HITS,
    MOST_OPERATIONS,
    MOST_TARGETS,
    Asked,
    EditDraft,
    PlanDraft,
    Situation,
    Thought,
    Written,
)

NEAR = 0.08
"""Seconds within which a visible onset is the moment that is meant."""
_OF_TRACES = {
    "fire": ("fire/",), "fireworks": ("explosion/",), "water": ("water/",), "leaves": ("foliage/", "weather/wind"),
    "crowd": ("ambience/crowd", "voice/"), "person": ("footsteps/", "tool/", "impact/", "voice/", "instrument/"),
}  # fmt: skip


def write_plan(
    plan: Plan, s: Situation, features: Features, told: Sequence[str] = (), beds: bool = True
) -> list[int]:
    """The answer that says a plan of one window, <end> included. Events without a class are not said.

    `told`: classes that the text names.
    """
    events = [e for e in plan.events if t.has(f"class {e.sound_class}")][:MOST_EVENTS]
    under = [a for a in plan.ambience if t.has(f"class {a.sound_class}")][: MOST_BEDS if beds else 0]
    out: list[int] = []
    details: list[int] = []
    for e in events:
        how, fields = _event(e, s)
        out += [t.token("<because>"), *_cites(e.sound_class, e.on_screen, s, features, told)]
        out += [t.token(f"class {e.sound_class}"), t.token(f"how {how}")]
        details += fields
    for a in under:
        out += [t.token("<under>"), *_cites(a.sound_class, False, s, features, told)]
        out.append(t.token(f"class {a.sound_class}"))
        details.append(t.level(a.level))
    out += [t.token("<so>"), t.token(f"space {plan.acoustics.space}"), t.reverb(plan.acoustics.reverb)]
    return [*out, *details, t.token("<end>")]


def _cites(name: str, visible: bool, s: Situation, features: Features, told: Sequence[str]) -> list[int]:
    """What speaks for a class: labels and traces that imply it, the text, what moves; nothing is a guess."""
    found: list[int] = []
    known = labels()
    if visible:
        for k, sighting in enumerate(features.sightings[: s.labels]):
            if name in known[sighting.index].sounds and len(found) < 2:
                found.append(t.first("label") + k)
        for k, trace in enumerate(features.traces[: s.traces]):
            if not found and name.startswith(_OF_TRACES[trace.matter]):
                found.append(t.first("trace") + k)
    if name in told:
        found.append(t.token("<told>"))
    if not found:
        found.append(t.token("<motion>" if visible and s.onsets else "<guess>"))
    return found


def _event(e: Event, s: Situation) -> tuple[str, list[int]]:
    """(how its times are known, its fields)."""
    material = e.material if e.material in t.materials() else ""
    fields = [
        t.token("<on screen>" if e.on_screen else "<off screen>"),
        t.token(f"material {material}"),
        t.level(e.level),
    ]
    pans, distances = e.place(np.array([e.start, e.end]))
    ends = [(t.pan(float(p)), t.distance(float(d))) for p, d in zip(pans, distances, strict=True)]
    moves = e.path and ends[0] != ends[1]
    if e.path and not moves:
        middle_pan, middle = e.place((e.start + e.end) / 2)
        ends = [(t.pan(float(middle_pan[0])), t.distance(float(middle[0])))]
    fields += [
        t.token("<moves>" if moves else "<still>"),
        *(one for end in ends[: 2 if moves else 1] for one in end),
    ]
    if not e.onsets:
        whole = e.start <= 0.05 and e.end >= s.seconds - 0.05
        return ("whole", fields) if whole else ("span", [*fields, *_span(e.start, e.end, s)])
    hits, seen = _hits(e, s)
    return ("seen" if seen and e.on_screen else "paced"), [*fields, *hits, t.token("<hits>")]


def _span(start: float, end: float, s: Situation) -> list[int]:
    room = min(int(s.seconds / t.TICK), t.TICKS - 1)
    first = min(max(round(start / t.TICK), 0), max(room - 3, 0))
    last = min(max(round(end / t.TICK), first + 2), room)
    at_end = end >= s.seconds - 0.05 or last < first + 2
    return [t.first("time") + first, t.token("<clip end>") if at_end else t.first("time") + last]


def _hits(e: Event, s: Situation) -> tuple[list[int], int]:
    """Tokens, and how many hits are visible onsets; a pointer where one is near enough, else the time."""
    out: list[int] = []
    seen, after = 0, -1.0
    latest = min(int((s.seconds - t.TICK) / t.TICK), t.TICKS - 1)
    for time, strength in list(e.hits())[:MOST_HITS]:
        shown = [
            k
            for k, onset in enumerate(s.onsets[: t.ONSETS])
            if after < onset and abs(onset - time) <= (NEAR if e.on_screen else 0.0)
        ]
        if shown:
            best = min(shown, key=lambda k: abs(s.onsets[k] - time))
            out.append(t.first("onset") + best)
            after = s.onsets[best]
            seen += 1
        else:
            tick = min(max(round(time / t.TICK), int(after / t.TICK + 1.001)), latest)
            if tick * t.TICK <= after:
                break
            out.append(t.first("time") + tick)
            after = tick * t.TICK
        out.append(t.strength(strength))
    return out, seen


def write_edit(
    answer: EditPlan, s: Situation, spans: Mapping[str, tuple[int, int]], refusal: int = 0
) -> list[int]:
    """The answer that says an edit. ValueError where it cannot be said.

    `spans`: words of the text, as (first, last), by what is to be copied; `refusal`: why nothing is done.
    """
    if not answer.operations:
        return [t.token("<no>"), t.first("refusal") + refusal, t.token("<end>")]
    if len(answer.operations) > MOST_OPERATIONS:
        raise ValueError("too many operations")
    out = [t.token("<op>")]
    for at, operation in enumerate(answer.operations):
        if at:
            out.append(t.token("<op>"))
        out += _operation(operation, s, spans)
    return [*out, t.token("<so>"), t.token("<end>")]


def _operation(o: Operation, s: Situation, spans: Mapping[str, tuple[int, int]]) -> list[int]:
    out = [t.token(f"verb {o.verb}")]
    if o.verb != "add":
        if o.targets:
            if len(o.targets) > MOST_TARGETS or not set(o.targets) <= set(s.entries[: t.ENTRIES]):
                raise ValueError("a target cannot be pointed at")
            out += [*(t.first("entry") + s.entries.index(i) for i in o.targets), t.token("<by>")]
        else:
            out.append(t.token("<mix>"))
    if o.verb in ("add", "replace", "inpaint"):
        known = t.has(f"class {o.sound_class}")
        out.append(t.token(f"class {o.sound_class}" if known else "<no class>"))
        copied = _copied(o.sound, spans)
        if not (copied or known) and o.sound:
            raise ValueError("a sound without a class is not in the text")
        out += copied or [t.token("<sound>" if known else "<no>")]
    if o.verb == "extend":
        out.append(t.token("<before>" if o.side == "before" else "<after>"))
    if o.verb in AMOUNTS:
        out += _number(o.amount or 0.0, s)
    if o.verb == "style":
        copied = _copied(o.style, spans)
        if t.has(f"style {o.style}"):
            out.append(t.token(f"style {o.style}"))
        elif copied:
            out += copied
        else:
            raise ValueError("a style that is not in the text")
    if o.verb == "reverb":
        out.append(t.token(f"room {o.style}" if t.has(f"room {o.style}") else "<no>"))
    if o.start is not None:
        out += [t.token("<from>"), *_number(o.start, s)]
    if o.end is not None:
        out += [t.token("<to>"), *_number(o.end, s)]
    return out


def _copied(text: str, spans: Mapping[str, tuple[int, int]]) -> list[int]:
    if text not in spans:
        return []
    first, last = spans[text]
    return [t.token("<said>"), t.first("word") + first, t.first("word") + last]


def _number(value: float, s: Situation) -> list[int]:
    """A number of the text where it is one, else the nearest amount or time that has a token."""
    sign = [t.token("<minus>")] if value < 0 else []
    size = abs(value)
    same = [k for k, number in enumerate(s.numbers[: t.NUMBERS]) if abs(number - size) < 1e-3]
    if same:
        return [*sign, t.first("number") + same[0]]
    amount = t.nearest(t.VALUES, size)
    tick = t.time(size)
    if abs(t.VALUES[amount] - size) <= abs(t.value_of(tick) - size) + 1e-6:
        return [*sign, t.first("value") + amount]
    return [*sign, tick]


Window = tuple[float, float, PlanDraft]
"""Start and end of a window in seconds of the clip, and what is heard in it."""


def joined(windows: Sequence[Window], seconds: float, confidence: Sequence[Sequence[float]]) -> Plan:
    """What was written for windows that follow one another as the plan of a clip, without its reasoning.

    A source that goes on in the next window, known by its class, stays one event.
    `confidence`: of every thought of a window, events first.
    """
    events: list[Event] = []
    ambience: dict[str, Ambience] = {}
    for (start, end, draft), sure in zip(windows, confidence, strict=True):
        before = [e for e in events if abs(e.end - start) < 0.05]
        for thought, written, how_sure in zip(draft.thoughts, draft.events, sure, strict=False):
            event = _placed(thought, written, start, end, _fresh(thought.sound_class, events, ambience))
            event = event.model_copy(update={"confidence": round(min(max(how_sure, 0.0), 1.0), 2)})
            same = next((b for b in before if _goes_on(b, event)), None)
            if same is None:
                events.append(event)
            else:
                before.remove(same)
                events[events.index(same)] = _longer(same, event)
        for under, level, how_sure in zip(
            draft.unders, draft.levels, sure[len(draft.thoughts) :], strict=False
        ):
            if under.sound_class not in ambience:
                ambience[under.sound_class] = Ambience(
                    id=_fresh(under.sound_class, events, ambience),
                    sound=sound_class(under.sound_class).captions[0],
                    sound_class=under.sound_class,
                    level=min(level, 0.0),
                    confidence=round(min(max(how_sure, 0.0), 1.0), 2),
                )
    first = windows[0][2] if windows else PlanDraft()
    return Plan(
        seconds=seconds,
        events=tuple(events),
        ambience=tuple(ambience.values()),
        acoustics=Acoustics(space=first.space, reverb=first.reverb),  # type: ignore[arg-type]
        reasoner="pocket",
    )


def _placed(thought: Thought, written: Written, start: float, end: float, name: str) -> Event:
    known = sound_class(thought.sound_class)
    hits = [(round(min(start + time, end), 3), strength) for time, strength in written.hits]
    if written.span:
        start, end = start + written.span[0], min(start + written.span[1], end)
    end = max(round(end, 3), round(start, 3) + 0.001)
    (pan, distance), *later = written.places
    path: tuple[Place, ...] = ()
    if later:
        path = (
            Place(time=round(start, 3), pan=pan, distance=distance),
            Place(time=end, pan=later[0][0], distance=later[0][1]),
        )
    return Event(
        id=name,
        source=known.source or known.heard,
        sound=known.captions[0],
        sound_class=thought.sound_class,
        material=written.material,
        start=round(start, 3),
        end=end,
        onsets=tuple(min(time, end) for time, _ in hits),
        strengths=tuple(strength for _, strength in hits),
        level=written.level,
        pan=pan,
        distance=distance,
        path=path,
        on_screen=written.on_screen,
    )


def _goes_on(one: Event, other: Event) -> bool:
    return (
        one.sound_class == other.sound_class
        and one.on_screen == other.on_screen
        and bool(one.onsets) == bool(other.onsets)
        and (bool(one.onsets) or abs(one.end - other.start) < 0.1)
    )


def _longer(one: Event, other: Event) -> Event:
    return one.model_copy(
        update={
            "end": other.end,
            "onsets": one.onsets + other.onsets,
            "strengths": one.strengths + other.strengths,
            "path": _way(one) + _way(other) if one.path or other.path else (),
        }
    )


def _way(e: Event) -> tuple[Place, ...]:
    ends = (
        Place(time=e.start, pan=e.pan, distance=e.distance),
        Place(time=e.end, pan=e.pan, distance=e.distance),
    )
    return e.path or ends


def _fresh(name: str, events: Sequence[Event], ambience: Mapping[str, Ambience]) -> str:
    stem = name.split("/")[1].replace("_", "-")
    used = {e.id for e in events} | {a.id for a in ambience.values()}
    return next(f"{stem}-{n}" for n in range(1, len(used) + 2) if f"{stem}-{n}" not in used)


def edit_of(draft: EditDraft, instruction: str, plan: Plan, copy: Sequence[str]) -> EditPlan:
    """The edit that a draft says, within what can be done to the plan; a refusal where nothing of it can.

    `copy`: the words of the text that can be pointed at.
    """
    if draft.refusal is None:
        operations = [o for asked in draft.operations if (o := _possible(asked, plan, copy)) is not None]
        if operations:
            return EditPlan(instruction=instruction, operations=tuple(operations), reasoner="pocket")
    why = t.REFUSALS[1 if draft.refusal is None else draft.refusal]
    return EditPlan(instruction=instruction, refusal=why, reasoner="pocket")


def _possible(asked: Asked, plan: Plan, copy: Sequence[str]) -> Operation | None:
    """Its numbers within what is allowed; None for one that has no room in the clip."""
    start, end = (None if x is None else round(max(x, 0.0), 3) for x in (asked.start, asked.end))
    if asked.verb != "extend":
        end = None if end is None or end >= plan.seconds else end
    if start == 0.0:
        start = None
    if (start is not None and start >= plan.seconds) or (end is not None and end <= (start or 0.0)):
        return None
    amount = asked.amount
    if asked.verb in AMOUNTS:
        low, high, _ = AMOUNTS[asked.verb]
        if asked.verb == "move":
            low, high = -plan.seconds + 0.01, plan.seconds - 0.01
        amount = round(min(max(amount or 0.0, low), high), 3)
    if asked.verb == "inpaint" and start is None and end is None:
        start = 0.0
    sound = ""
    if asked.said:
        sound = _text(copy, asked.said)
    elif asked.sound_class:
        sound = sound_class(asked.sound_class).captions[0]
    style = asked.style if isinstance(asked.style, str) else _text(copy, asked.style)
    if (asked.verb in ("add", "replace") and not sound) or (asked.verb == "style" and not style):
        return None
    return Operation(
        verb=asked.verb,
        targets=tuple(asked.targets),
        sound=sound,
        sound_class=asked.sound_class,
        start=start,
        end=end,
        amount=amount,
        side=asked.side,
        style=style,
        reason=_reason(asked),
    )


def _text(copy: Sequence[str], span: tuple[int, int]) -> str:
    return "".join(copy[span[0] : span[1] + 1]).strip()


def _reason(asked: Asked) -> str:
    where = f" for {' and '.join(asked.targets)}" if asked.targets else ""
    return f"The instruction asks for {asked.verb!r}{where}."
