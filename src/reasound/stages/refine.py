"""Stage two, refine: an object that is pointed at gets its own sound on its own layer (ThinkSound, section 3.3).

The object is followed through the clip and looked at alone, the reasoner plans its sound beside the plan that is there,
and its layer takes the place of what the soundscape had for it. The sound goes where the object goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from reasound.edit_plan import Operation
from reasound.errors import UserError
from reasound.perception import regions
from reasound.perception.regions import Finder, Query, Track, Tracker
from reasound.perception.regions.default import DefaultTracker
from reasound.perception.regions.own import own_motion
from reasound.perception.watch import watch
from reasound.pipeline import Reasound, Report, quiet
from reasound.plan import Event, Place, Plan, Step
from reasound.reasoning.caption import read_caption
from reasound.reasoning.choose import reads
from reasound.reasoning.pointed import retimed
from reasound.reasoning.second import object_plan
from reasound.stages.edits import making, plans, taking
from reasound.stages.edits.work import Work
from reasound.stages.revise import revised
from reasound.take import Layer, Take

if TYPE_CHECKING:
    from reasound.media.video import Clip

FINE = 31.0
"""Pictures a second at which the object is followed: what is seen in every other only is lost where it falls."""
STILL = 0.005
"""Mean level of a thing's own motion below which it is not seen to move."""
JUST_NOW = 0.3
"""Seconds for which an object that is lost still sounds."""


def refine(
    engine: Reasound,
    take: Take,
    clip: Clip,
    query: Query,
    at: float,
    *,
    sound: str = "",
    follow: bool = True,
    seed: int | None = None,
    tracker: Tracker | None = None,
    finder: Finder | None = None,
    report: Report = quiet,
) -> Take:
    """The take in which the object has its own layer.

    `query`: a click, a box or a phrase at `at` seconds; `sound`: what it sounds like, if the user says so; `follow`:
    its place goes with the box, else it stays where it was pointed at. What already sounds of the object is taken out
    first, and `engine.notes` says so. UserError where nothing can be followed, or nothing in the region would be heard.
    """
    if not reads(engine.who.name, sound):
        raise UserError(f"{engine.who.name} only reads English; say in English what {sound!r} is")
    features = engine.perceive(clip, report)
    report("following", 0.0)
    fine = DefaultTracker(FINE) if tracker is None or tracker.name == "default" else tracker
    found = regions.track(clip, query, at, features=features, tracker=fine, finder=finder)
    seen, motion = watch(regions.close_up(clip, found), engine.labels), own_motion(clip, found)
    report("following", 1.0)
    moves = float(motion.level.mean()) >= STILL
    report("reasoning", 0.0)
    try:
        own, said = object_plan(engine.who, seen, found.region_at(at), take.plan, sound, clip, moves)
    except UserError as error:
        # The reasoners speak of captions; here the option is `sound`.
        raise UserError(str(error).replace("with a caption", "with --sound")) from error
    notes = list(said)
    report("reasoning", 1.0)
    work = Work.on(engine, take, clip, int(take.id, 16) % 2**31 if seed is None else seed, report)
    seconds = take.plan.seconds
    timed = own.events if says_when(sound, seconds) else retimed(own.events, motion, seconds)
    events = [e for one in timed if (e := placed(one, found, at, follow)) is not None]
    if not events:
        raise UserError(
            "the object is not in the picture when it would be heard; point at it at another time"
        )
    gone = sounding(take.plan, events)
    for name in gone:
        taking.remove(work, Operation(verb="remove", targets=(name,)))
    if gone:
        notes.append(f"{' and '.join(gone)} already played this object and was taken out for the new layer.")
    if not (moves or sound):
        notes.append("What was pointed at hardly moves; the sound is a guess.")
    layers: list[Layer] = []
    for event in events:
        work.plan = plans.added(work.plan, event)
        layers.append(making.added(work, event))
        work.put(layers[-1])
    thoughts = kept(own, events)
    work.plan = work.plan.model_copy(update={"reasoning": (*work.plan.reasoning, *thoughts)})
    what = f"refine {', '.join(e.sound for e in events)} at {at:g} s"
    made = revised(work.base, work.layers, work.plan, what=what)
    engine.notes = (*notes, *work.notes)
    return replace(made, parent=take.id)


def says_when(sound: str, seconds: float) -> bool:
    """Whether the user says when or how often it sounds."""
    return any(t.is_timed or t.count for t in read_caption(sound, seconds).told)


def placed(event: Event, found: Track, at: float, follow: bool) -> Event | None:
    """The event where the object is: hits while it is seen (or was just now), pan and distance from its box. None if
    nothing is left."""
    hits = [(t, s) for t, s in event.hits() if _seen(found, t)]
    if event.onsets and not hits:
        return None
    path = _within(found.path(), event.start, event.end)
    here = min(path, key=lambda p: abs(p.time - at))
    moving = follow and len(path) > 1
    first = path[0] if moving else here
    strengths = tuple(s for _, s in hits)
    return event.model_copy(
        update={
            "onsets": tuple(t for t, _ in hits),
            "strengths": strengths if event.strengths else (),
            "pan": first.pan,
            "distance": first.distance,
            "path": path if moving else (),
            "region": found.region_at(at),
            "on_screen": True,
        }
    )


def kept(own: Plan, events: Sequence[Event]) -> list[Step]:
    """What was thought of these events; where hits were left out, why."""
    names = {e.id for e in events}
    before = {e.id: len(e.onsets) for e in own.events}
    fewer = [e.id for e in events if len(e.onsets) < before[e.id]]
    found = [
        s
        for s in own.reasoning
        if s.events and set(s.events) <= names and not (s.aspect == "temporal" and set(s.events) & set(fewer))
    ]
    for e in events:
        if e.id in fewer:
            text = f"{e.sound[:1].upper()}{e.sound[1:]}: {len(e.onsets)} times, only while it is seen."
            found.append(Step(aspect="temporal", text=text, events=(e.id,)))
    return found


def sounding(plan: Plan, events: Sequence[Event]) -> list[str]:
    """Ids of what in a plan is the sound of the same object: of one class and on screen."""
    classes = {e.sound_class for e in events if e.sound_class}
    sources = {e.source for e in events}
    return [e.id for e in plan.events if e.on_screen and (e.sound_class in classes or e.source in sources)]


def _within(path: Sequence[Place], start: float, end: float) -> tuple[Place, ...]:
    """The places of a span; the last before it where none is inside."""
    inside = tuple(p for p in path if start <= p.time <= end)
    if inside:
        return inside
    before = [p for p in path if p.time < start]
    return ((before[-1] if before else path[0]).model_copy(update={"time": round(start, 3)}),)


def _seen(found: Track, time: float) -> bool:
    """At that time or close to it: what hits something is blurred just then."""
    near = abs(found.times - time)
    return bool(found.present[near <= max(JUST_NOW, float(near.min()))].any())
