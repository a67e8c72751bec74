"""Plans after an edit: the same ids, and fields that say what is heard now."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

from reasound.plan import Ambience, Aspect, Event, Place, Plan, Step

Item = Event | Ambience
SHORTEST = 0.05
"""Seconds: what is left of a sound beside a gap is no sound of its own below that."""
SOFTEST_DB, BEND = -20.0, 1.5
"""A hit of strength s is SOFTEST_DB (1 - s)^BEND softer than one of strength 1 (see synthesis/placing.py)."""


def every(plan: Plan) -> list[Item]:
    return [*plan.events, *plan.ambience]


def items(plan: Plan) -> dict[str, Item]:
    return {item.id: item for item in every(plan)}


def fresh(name: str, taken: Collection[str]) -> str:
    """The name, or the first of name-2, name-3, ... that is not taken."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    return found


def changed(plan: Plan, old: str, *new: Item) -> Plan:
    """The plan with these in place of one event or ambience; with none, it is gone from the reasoning, too."""
    pairs: list[Item] = []
    for item in every(plan):
        pairs += new if item.id == old else [item]
    return _with(plan, pairs)


def added(plan: Plan, *new: Item) -> Plan:
    return _with(plan, [*plan.events, *plan.ambience, *new])


def told(plan: Plan, text: str, ids: Iterable[str] = (), aspect: Aspect = "aesthetic") -> Plan:
    """With a sentence for what no field can say."""
    known = items(plan)
    step = Step(aspect=aspect, text=text, events=tuple(i for i in ids if i in known))
    return plan.model_copy(update={"reasoning": (*plan.reasoning, step)})


def _with(plan: Plan, found: Sequence[Item]) -> Plan:
    known = {item.id for item in found}
    fields = {
        "events": tuple(i for i in found if isinstance(i, Event)),
        "ambience": tuple(i for i in found if isinstance(i, Ambience)),
        "reasoning": tuple(
            step.model_copy(update={"events": tuple(i for i in step.events if i in known)})
            for step in plan.reasoning
        ),
    }
    return Plan.model_validate(plan.model_copy(update=fields).model_dump(by_alias=True))


def lasting(item: Item, seconds: float) -> Event:
    """An ambience as the event that it is when it no longer lies under the whole clip."""
    if isinstance(item, Event):
        return item
    return Event(
        id=item.id,
        source=item.sound,
        sound=item.sound,
        sound_class=item.sound_class,
        end=seconds,
        level=item.level,
        on_screen=False,
        confidence=item.confidence,
    )


def louder(item: Item, decibels: float) -> Item:
    return item.model_copy(update={"level": min(max(item.level + decibels, -60.0), 12.0)})


def within(event: Event, start: float, end: float) -> list[int]:
    """Which of its onsets lie in a span."""
    return [i for i, t in enumerate(event.onsets) if start <= t < end]


def only_hits(event: Event, keep: Iterable[int]) -> Event:
    kept = sorted(keep)
    strengths = tuple(event.strengths[i] for i in kept) if event.strengths else ()
    return event.model_copy(update={"onsets": tuple(event.onsets[i] for i in kept), "strengths": strengths})


def timed(event: Event, hits: Iterable[tuple[float, float]], seconds: float) -> Event | None:
    """With other hits (time, strength); those outside the clip are left out. None where none is left."""
    inside = sorted((t, s) for t, s in hits if 0.0 <= t < seconds)
    if not inside:
        return None
    times = tuple(t for t, _ in inside)
    strengths = tuple(s for _, s in inside)
    ends = {"start": min(event.start, times[0]), "end": min(max(event.end, times[-1] + SHORTEST), seconds)}
    return event.model_copy(
        update={"onsets": times, "strengths": strengths if min(strengths) < 1 else (), **ends}
    )


def strengthened(event: Event, hits: Collection[int], decibels: float) -> Event:
    """Some of its hits louder: strengths against a level that fits the loudest."""
    levels = [
        SOFTEST_DB * (1 - s) ** BEND + (decibels if i in hits else 0.0)
        for i, (_, s) in enumerate(event.hits())
    ]
    top = min(max(levels), 12.0 - event.level)
    strengths = tuple(1 - min(1.0, max(0.0, (x - top) / SOFTEST_DB)) ** (1 / BEND) for x in levels)
    louder_by = max(event.level + top, -60.0)
    return event.model_copy(update={"level": louder_by, "strengths": strengths if min(strengths) < 1 else ()})


def without(item: Item, start: float, end: float, seconds: float, taken: Collection[str]) -> list[Item]:
    """What the plan says of a sound that is gone between two times: one, two or no events."""
    if isinstance(item, Event) and item.onsets:
        gone = within(item, start, end)
        if not gone:
            return [item]
        left = [i for i in range(len(item.onsets)) if i not in gone]
        return [only_hits(item, left)] if left else []
    event = lasting(item, seconds)
    parts = [(event.start, min(event.end, start)), (max(event.start, end), event.end)]
    parts = [(a, b) for a, b in parts if b - a >= SHORTEST]
    if parts == [(event.start, event.end)]:
        return [item]
    made: list[Item] = []
    for a, b in parts:
        name = fresh(event.id, [*taken, *(m.id for m in made)]) if made else event.id
        made.append(event.model_copy(update={"id": name, "start": a, "end": b}))
    return made


def shifted(item: Item, by: float, seconds: float) -> Item | None:
    """Later by so many seconds; what leaves the clip is cut off. None where nothing is left."""
    if not isinstance(item, Event):
        return item
    path = tuple(Place(time=max(p.time + by, 0.0), pan=p.pan, distance=p.distance) for p in item.path)
    start, end = max(item.start + by, 0.0), min(item.end + by, seconds)
    if end - start < 1e-3:
        return None
    moved = item.model_copy(update={"start": start, "end": end, "path": path})
    if not item.onsets:
        return moved
    return timed(
        moved.model_copy(update={"onsets": (), "strengths": ()}),
        [(t + by, s) for t, s in item.hits()],
        seconds,
    )


def longer(plan: Plan, before: float, after: float) -> Plan:
    """The plan of a clip that begins earlier and ends later; nothing sounds there yet but what lies under all of it."""
    seconds = plan.seconds + before + after
    events = tuple(e for e in (shifted(e, before, seconds) for e in plan.events) if isinstance(e, Event))
    return plan.model_copy(update={"seconds": seconds, "events": events})


def excerpt(plan: Plan, start: float, end: float) -> Plan:
    """What the plan says of a part of the clip, on the part's own clock."""
    kept: list[Item] = []
    for event in plan.events:
        moved = shifted(event, -start, end - start)
        if moved is not None:
            kept.append(moved)
    return _with(plan.model_copy(update={"seconds": end - start}), [*kept, *plan.ambience])


def factor(decibels: float) -> float:
    return 10 ** (decibels / 20)


def decibels(ratio: float) -> float:
    return 20 * math.log10(ratio)
