"""The plan of a long clip: where the windows end that are thought about one by one, and how their plans become one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np

from reasound.perception.shots import cuts, small
from reasound.plan import Acoustics, Ambience, Event, Place, Plan, Step
from reasound.reasoning.knowledge import sound_classes

if TYPE_CHECKING:
    from reasound.media.video import Clip

GLANCE = 64
"""Width of the pictures in which a place to end a window is looked for."""
CALM = 13
"""Pictures (about half a second) that must be quiet together."""
JOINED = 0.15
"""Seconds from a join in which a sound that lasts is taken to go on over it."""
MOST_HEADLINES = 3
MOST_PLACES = 200
"""Points of the path of a source that goes through many windows."""


@dataclass(frozen=True)
class Window:
    """A part of the clip, and the plan that was made for it alone."""

    start: Fraction
    end: Fraction
    plan: Plan


def join_of(part: Clip) -> float:
    """Where, in seconds, in this part of a clip a window best ends: at its last cut, else where least changes in its
    second half. It is only glanced at, far below the cost of watching it."""
    times, pictures = [], []
    for time, picture in part.frames(width=GLANCE):
        times.append(time)
        pictures.append(small(picture))
    opened = cuts(pictures)
    if opened:
        return times[opened[-1]]
    change = np.array([cv2.absdiff(a, b).mean() for a, b in pairwise(pictures)])
    calm = min(CALM, len(change))
    if not calm:
        return float(part.seconds)
    around = np.convolve(change, np.ones(calm), "valid")
    first = len(around) // 2
    return times[first + int(np.argmin(around[first:])) + calm // 2]


def merged(windows: Sequence[Window], seconds: float) -> Plan:
    """One plan of them all. What lies under the whole clip is ambience; what lies under a part of it becomes an event
    that lasts, and so does what lasts from one window into the next. The room is that of most of the time."""
    under, beds = _ambience(windows, seconds)
    events = sorted([*_events(windows), *beds], key=lambda item: item[0].start)
    names: dict[tuple[int, str], str] = {}
    used: set[str] = set()
    kept: list[Event] = []
    for event, origins in events:
        name = _fresh(event.id, used)
        names |= dict.fromkeys(origins, name)
        kept.append(event.model_copy(update={"id": name, "end": min(event.end, seconds)}))
    ambience = []
    for bed, origins in under:
        name = _fresh(bed.id, used)
        names |= dict.fromkeys(origins, name)
        ambience.append(bed.model_copy(update={"id": name}))
    first = windows[0].plan
    raw = "\n".join(w.plan.origin.raw for w in windows if w.plan.origin)
    plan = Plan(
        seconds=seconds,
        caption=_headline(windows),
        reasoning=tuple(_steps(windows, names)),
        events=tuple(kept),
        ambience=tuple(ambience),
        acoustics=_room(windows),
        avoid=tuple(a for a in first.avoid if all(a in w.plan.avoid for w in windows)),
        reasoner=first.reasoner,
        origin=first.origin.model_copy(update={"raw": raw}) if first.origin else None,
    )
    return Plan.model_validate(plan.model_dump())


def is_bed(event: Event) -> bool:
    """Whether an event is what `merged` makes of an ambience that lies under a part of the clip."""
    known = sound_classes().get(event.sound_class)
    return not (event.onsets or event.on_screen) and known is not None and known.trigger == "none"


Origins = list[tuple[int, str]]
"""(number of the window, id there) of what became one."""


def _events(windows: Sequence[Window]) -> list[tuple[Event, Origins]]:
    found: list[tuple[Event, Origins]] = []
    going: dict[str, int] = {}  # by class: place in `found` of what lasts up to the window's end
    for k, window in enumerate(windows):
        start, length = float(window.start), float(window.end - window.start)
        before, going = going, {}
        for event in window.plan.events:
            later = _later(event, start)
            at = before.pop(event.sound_class, None) if _lasts(event) and event.start <= JOINED else None
            if at is None:
                at = len(found)
                found.append((later, [(k, event.id)]))
            else:
                found[at] = (_joined(found[at][0], later), [*found[at][1], (k, event.id)])
            if _lasts(event) and event.end >= length - JOINED:
                going[event.sound_class] = at
                found[at] = (found[at][0].model_copy(update={"end": float(window.end)}), found[at][1])
    return found


def _lasts(event: Event) -> bool:
    return bool(event.sound_class) and not event.onsets


def _later(event: Event, seconds: float) -> Event:
    def moved(t: float) -> float:
        return round(t + seconds, 3)

    return event.model_copy(
        update={
            "start": moved(event.start),
            "end": moved(event.end),
            "onsets": tuple(map(moved, event.onsets)),
            "path": tuple(p.model_copy(update={"time": moved(p.time)}) for p in event.path),
        }
    )


def _joined(one: Event, other: Event) -> Event:
    """One sound that goes on as the other, along the way of both."""
    update: dict[str, object] = {"end": other.end, "confidence": max(one.confidence, other.confidence)}
    if one.path or other.path or (one.pan, one.distance) != (other.pan, other.distance):
        path = [*_way(one), *_way(other)]
        update["path"] = tuple(path[:: -(-len(path) // MOST_PLACES)])
    return one.model_copy(update=update)


def _way(event: Event) -> tuple[Place, ...]:
    inside = min(1.0, (event.end - event.start) / 4)
    return event.path or tuple(
        Place(time=round(t, 3), pan=event.pan, distance=event.distance)
        for t in (event.start + inside, event.end - inside)
    )


def _ambience(
    windows: Sequence[Window], seconds: float
) -> tuple[list[tuple[Ambience, Origins]], list[tuple[Event, Origins]]]:
    """What lies under the whole clip, and what lies under some windows that follow one another."""
    runs: list[list[tuple[int, Ambience]]] = []
    going: dict[str, list[tuple[int, Ambience]]] = {}
    for k, window in enumerate(windows):
        before, going = going, {}
        for bed in window.plan.ambience:
            run = before.pop(bed.sound_class or bed.sound, None)
            if run is None:
                run = []
                runs.append(run)
            run.append((k, bed))
            going[bed.sound_class or bed.sound] = run
    whole: list[tuple[Ambience, Origins]] = []
    parts: list[tuple[Event, Origins]] = []
    for run in runs:
        lengths = [float(windows[k].end - windows[k].start) for k, _ in run]
        level = round(float(np.average([bed.level for _, bed in run], weights=lengths)), 1)
        longest = run[int(np.argmax(lengths))][1].model_copy(update={"level": level})
        origins = [(k, bed.id) for k, bed in run]
        if len(run) == len(windows):
            whole.append((longest, origins))
            continue
        start, end = float(windows[run[0][0]].start), min(float(windows[run[-1][0]].end), seconds)
        event = Event(
            id=longest.id,
            source=longest.sound,
            sound=longest.sound,
            sound_class=longest.sound_class,
            start=round(start, 3),
            end=round(end, 3),
            level=level,
            on_screen=False,
            confidence=longest.confidence,
        )
        parts.append((event, origins))
    return whole, parts


def _room(windows: Iterable[Window]) -> Acoustics:
    lengths: dict[Acoustics, Fraction] = {}
    for window in windows:
        room = window.plan.acoustics
        lengths[room] = lengths.get(room, Fraction(0)) + window.end - window.start
    return max(lengths, key=lambda room: lengths[room])


def _headline(windows: Iterable[Window]) -> str:
    lengths: dict[str, Fraction] = {}
    for window in windows:
        if window.plan.caption:
            lengths.setdefault(window.plan.caption, Fraction(0))
            lengths[window.plan.caption] += window.end - window.start
    longest = sorted(lengths, key=lambda text: -lengths[text])[:MOST_HEADLINES]
    return " ".join(text for text in lengths if text in longest)


def _steps(windows: Sequence[Window], names: dict[tuple[int, str], str]) -> Iterator[Step]:
    """What was thought of every window, once; what was not thought of all of them says of when it speaks."""
    said: dict[tuple[str, str], list[int]] = {}
    events: dict[tuple[str, str], list[str]] = {}
    for k, window in enumerate(windows):
        for step in window.plan.reasoning:
            said.setdefault((step.aspect, step.text), []).append(k)
            known = [names[k, i] for i in step.events if (k, i) in names]
            events.setdefault((step.aspect, step.text), []).extend(known)
    for (aspect, text), where in said.items():
        when = ""
        if len(where) < len(windows):
            spans = (f"{_clock(windows[a].start)}-{_clock(windows[b].end)}" for a, b in _runs(where))
            when = ", ".join(spans) + (", counted from there: " if aspect == "temporal" else ": ")
        of = tuple(dict.fromkeys(events[aspect, text]))
        yield Step.model_validate({"aspect": aspect, "text": when + text, "events": of})


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of those that follow one another."""
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last


def _clock(seconds: Fraction) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02}"


def _fresh(name: str, used: set[str]) -> str:
    """The id itself, or with the first number that makes it new; it is used from now on."""
    stem, _, number = name.rpartition("-")
    stem = stem if stem and number.isdigit() else name
    names = (name, *(f"{stem}-{n}" for n in range(1, len(used) + 2)))
    fresh = next(n for n in names if n not in used)
    used.add(fresh)
    return fresh
