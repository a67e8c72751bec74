"""A reasoner without a model: labels, motion and knowledge become a plan whose reasons a person can read.

What the user says comes first, then what is seen; the motion says when. What is unsure stays quiet and is said to be
unsure: silence is a smaller fault than a wrong loud sound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from reasound.errors import UserError
from reasound.perception.features import Features, Motion, Onset
from reasound.plan import Acoustics, Ambience, Event, Place, Plan, Region
from reasound.reasoning.caption import Encoder, Reading, Told, meant, read_caption
from reasound.reasoning.evidence import LIKELY, MODERATE, SURE, Candidate, Evidence, Span, overlap, weigh
from reasound.reasoning.explain import Idea, Left, explain, headline
from reasound.reasoning.knowledge import SPEECH_AND_MUSIC, SoundClass, scenes, sound_class
from reasound.reasoning.reasoner import Progress
from reasound.reasoning.timing import NEAR, Timing, apart, blows, filled, inside, paced, running, struck

if TYPE_CHECKING:
    from reasound.edit_plan import EditPlan
    from reasound.media.video import Clip

MOST_EVENTS, EVENTS_A_MINUTE = 8, 4
"""Events in a clip of up to a minute, and how many more in each further one."""
MOST_AMBIENCES = 3

BEDS = ("water/stream", "water/waves")
"""Classes that lie under a scene although they are visible."""
KIT = ("instrument/snare_drum", "instrument/cymbal", "instrument/kick_drum")
_QUIETER = {SURE: 0.0, LIKELY: -3.0, 0.0: -10.0}
"""dB by how sure the source is: a mistake should at least be a soft one."""
_MOVES = 0.05
"""Pixels a frame: in a picture that is stiller there is nothing to be told."""
_WIDTH = 1.4
"""Pan of the picture's edge is 0.7: what is at the edge is still in front."""
DECIDED = 0.1
"""Evidence from which it is outdoors or indoors."""
_RUNS_ANYWAY = ("vehicle", "fire", "water")
"""Groups that sound while nothing in the picture seems to move: an engine idles."""
_CERTAIN_RUN = 0.35
"""Rank from which something that runs is believed although the motion shows blows."""
_SWUNG = ("impact", "tool")
"""Groups of what one hand swings, up and down by turns."""
_MOVERS = ("vehicle", "footsteps", "motion")


class RulesReasoner:
    """Needs no weights. A text encoder (MiniLM), if given, helps with words that are in no table."""

    name = "rules"
    notes: Sequence[str] = ()

    def __init__(self, text_encoder: Encoder | None = None) -> None:
        self.text_encoder = text_encoder

    def plan(
        self,
        features: Features,
        caption: str = "",
        avoid: Sequence[str] = (),
        *,
        clip: Clip | None = None,
        progress: Progress | None = None,
    ) -> Plan:
        """See `Reasoner.plan`."""
        reading = read_caption(caption, features.seconds, self.text_encoder)
        unwanted = tuple(dict.fromkeys((*filter(None, (a.strip() for a in avoid)), *reading.avoid)))
        banned = set().union(*map(meant, unwanted))
        evidence = weigh(features)
        ideas, left = _ideas(features, evidence, reading, banned)
        ambience = _ambience(evidence, reading, banned, ideas)
        acoustics = _acoustics(evidence, reading)
        untold = _is_untold(features, evidence, reading, ideas)
        instruments = any(i.candidate.sound.group == "instrument" for i in ideas)
        never = [a for a in SPEECH_AND_MUSIC if not (a == "music" and instruments)]
        return Plan(
            seconds=features.seconds,
            caption=headline(ideas, ambience),
            reasoning=explain(
                features, evidence, reading, ideas, left, ambience, acoustics, unwanted, untold
            ),
            events=tuple(event for idea in ideas for event in idea.events),
            ambience=ambience,
            acoustics=acoustics,
            avoid=tuple(dict.fromkeys((*unwanted, *never))),
            reasoner=self.name,
        )

    def plan_object(
        self,
        features: Features,
        region: Region,
        existing: Plan,
        caption: str = "",
        *,
        clip: Clip | None = None,
        progress: Progress | None = None,
    ) -> Plan:
        """See `Reasoner.plan_object`: what the features of the region show first, placed in the whole picture."""
        alone = self.plan(features, caption)
        if not alone.events:
            raise UserError(
                "nothing is seen in that region that would be heard; say what it is with a caption"
            )
        alone = alone.only(e.id for e in alone.events if e.source == alone.events[0].source)
        ids: dict[str, str] = {}
        used = [e.id for e in existing.events] + [a.id for a in existing.ambience]
        for event in alone.events:
            ids[event.id] = _unused(event.id, used)
            used.append(ids[event.id])
        return alone.model_copy(
            update={
                "reasoning": tuple(
                    step.model_copy(update={"events": tuple(ids[i] for i in step.events)})
                    for step in alone.reasoning
                    if step.events
                ),
                "events": tuple(
                    _in_region(e.model_copy(update={"id": ids[e.id]}), region) for e in alone.events
                ),
                "acoustics": existing.acoustics,
            }
        )

    def edit(
        self,
        instruction: str,
        existing: Plan,
        *,
        features: Features | None = None,
        clip: Clip | None = None,
        progress: Progress | None = None,
    ) -> EditPlan:
        """See `Reasoner.edit`."""
        from reasound.reasoning.instructions import understand

        return understand(instruction, existing, self.text_encoder)


@dataclass(frozen=True)
class _Wish:
    """A sound that may become events, and what the caption says of it."""

    candidate: Candidate
    told: Told | None = None

    @property
    def spans(self) -> tuple[Span, ...]:
        """When it may sound. A caption that names a time knows better than the picture."""
        if self.told and (self.told.is_timed or not self.candidate.spans):
            return ((self.told.start, self.told.end),)
        if self.told:
            window = (self.told.start, self.told.end)
            cut = [
                (max(a, window[0]), min(b, window[1]))
                for a, b in self.candidate.spans
                if overlap([(a, b)], [window])
            ]
            return tuple(cut) or (window,)
        return self.candidate.spans


def _ideas(
    features: Features, evidence: Evidence, reading: Reading, banned: set[str]
) -> tuple[list[Idea], list[Left]]:
    """Ideas with their events, the most important first, and what was left out and why."""
    wishes, left = _wishes(evidence, reading)
    for wish in [w for w in wishes if w.candidate.sound.name in banned]:
        left.append(Left(wish.candidate, "unwanted"))
        wishes.remove(wish)
    free = list(features.motion.onsets)
    timed: list[tuple[_Wish, Timing]] = []
    # A rare sound takes its few strongest moments before a frequent one takes the rest.
    for wish in sorted(wishes, key=lambda w: (not w.candidate.sound.is_struck, -w.candidate.sound.gap)):
        rivals = sum(w.candidate.sound.is_struck for w in wishes) > 1
        timing = _timing(wish, features, free, rivals)
        if timing is None:
            left.append(Left(wish.candidate, "still"))
            continue
        if wish.candidate.sound.is_struck:
            taken = {time for time, _ in timing.hits}
            free = [o for o in free if o.time not in taken]
        timed.append((wish, timing))
    timed.sort(key=lambda item: wishes.index(item[0]))
    most = MOST_EVENTS + int(EVENTS_A_MINUTE * max(0.0, features.seconds / 60 - 1))
    ideas: list[Idea] = []
    for wish, timing in timed:
        names = [event.id for idea in ideas for event in idea.events]
        events = list(_events(wish, timing, features, names))[: most - len(names)]
        if events:
            ideas.append(Idea(wish.candidate, wish.told, timing, tuple(events)))
    return ideas, left


def _wishes(evidence: Evidence, reading: Reading) -> tuple[list[_Wish], list[Left]]:
    """What the caption names; without that, what the picture suggests."""
    told = [t for t in reading.told if not _is_bed(t.sound)]
    if told:
        seen = {c.sound.name: c for c in evidence.candidates}
        return [_Wish(_known(t, seen.get(t.sound.name)), t) for t in told], []
    events = [c for c in evidence.candidates if not _is_bed(c.sound)]
    wishes = [_Wish(c) for c in events if c.score >= MODERATE]
    left = [Left(c, "weak") for c in events if c.score < MODERATE]
    alive = evidence.farm or evidence.animal
    if evidence.blow and not (
        alive or any(w.candidate.sound.is_struck or w.candidate.sound.is_call for w in wishes)
    ):
        # Blow after blow is no running machine, however much it looks like one.
        weak = [w for w in wishes if w.candidate.rank < _CERTAIN_RUN]
        if len(weak) == len(wishes):
            left += [Left(w.candidate, "blows") for w in weak]
            wishes = [_Wish(evidence.blow)]
    if evidence.animal and not wishes and evidence.setting.outdoors > 0:
        whole = ((0.0, float("inf")),)
        wishes = [_Wish(Candidate(sound_class("foliage/rustle"), 0.2, "an animal", evidence.animal, whole))]
    return wishes, left


def _is_untold(features: Features, evidence: Evidence, reading: Reading, ideas: Sequence[Idea]) -> bool:
    """Whether something moves, but neither the caption nor the picture says with fair certainty what sounds."""
    if reading.told or evidence.farm or not len(features.motion.level):
        return False
    sure = any(c.score >= LIKELY for c in (*evidence.candidates, *(i.candidate for i in ideas)))
    return not sure and float(np.percentile(features.motion.level, 95)) >= _MOVES


def _is_bed(sound: SoundClass) -> bool:
    return (sound.trigger == "none" and not sound.is_call) or sound.name in BEDS


def _known(told: Told, seen: Candidate | None) -> Candidate:
    if seen:
        return replace(seen, score=max(seen.score, told.score))
    return Candidate(told.sound, told.score, told.sound.source or "something")


def _timing(wish: _Wish, features: Features, free: Sequence[Onset], rivals: bool) -> Timing | None:
    """When it sounds; None where it is seen but does nothing that sounds."""
    sound, told = wish.candidate.sound, wish.told
    spans = tuple((a, min(b, features.seconds)) for a, b in wish.spans)
    if not (sound.is_struck or sound.is_call):
        return _lasting(wish, spans, features.motion)
    if told and (at := told.at) is not None:
        near = [o.time for o in free if abs(o.time - at) <= NEAR]
        return Timing(spans, ((min(near, key=lambda time: abs(time - at), default=at), 1.0),), "named")
    if told and (told.off_screen or sound.trigger == "none"):  # birds in a tree do not wait for what moves
        return Timing(spans, paced(sound, spans[0], told.count), "paced")
    # A voice may well coincide with a blow; two blows that coincide are one.
    shown = features.motion.onsets if sound.is_call else free
    # Where rivals have the whole clip, their boxes tell them apart; else the order of the caption does.
    whole = spans[0][0] <= 0.0 and spans[-1][1] >= features.seconds
    onsets: Sequence[Onset] = inside(shown, spans, wish.candidate.box if rivals and whole else None)
    counted = told.count if told else None
    if counted:
        onsets = apart(onsets, max(sound.gap, 0.2), counted)
    elif told and sound.is_struck and sound.gap >= 0.4:  # a slam, a crash: rare, and each needs its time
        onsets = apart(onsets, max(sound.gap, sound.seconds), 1 if rivals else None)
    elif sound.group in _SWUNG:
        onsets = blows(onsets)
    hits = struck(onsets, sound)
    if hits and not (counted and len(hits) < counted):
        full = hits if counted else filled(hits, sound, features.motion)
        return Timing(spans, full, "moved" if sound.is_call else "seen", len(full) - len(hits))
    if (
        told or sound.is_call or wish.candidate.trace == "person"
    ):  # whoever walks treads at a pace of their own
        return Timing(spans, paced(sound, spans[0], counted), "paced")
    return None


def _lasting(wish: _Wish, spans: tuple[Span, ...], motion: Motion) -> Timing | None:
    sound = wish.candidate.sound
    if sound.group in _RUNS_ANYWAY and sound.name != "vehicle/cart":
        return Timing(spans)
    if parts := running(motion, spans):
        return Timing(_longest(parts), how="moved")
    return Timing(spans) if wish.told or wish.candidate.is_sure else None


def _longest(parts: Iterable[Span]) -> tuple[Span, ...]:
    return tuple(sorted(sorted(parts, key=lambda p: p[0] - p[1])[:3]))


def _events(wish: _Wish, timing: Timing, features: Features, names: Sequence[str]) -> Iterator[Event]:
    """One event for all moments of a source, one for each stretch of what lasts, and a kit's pieces by turns."""
    c, told, seconds = wish.candidate, wish.told, features.seconds
    pieces = {c.sound.name: timing.hits}
    if c.sound.name == KIT[0] and len(timing.hits) > 3:
        pieces = _kit(timing.hits)
    used = list(names)
    for name, hits in pieces.items():
        sound = sound_class(name)
        for start, end in (
            timing.spans if not hits else ((hits[0][0], hits[-1][0] + max(sound.seconds, 0.2)),)
        ):
            start, end = _fitted(start, end, seconds)
            times = [min(max(round(t, 3), start), end) for t, _ in hits]
            event = Event(
                id=_fresh(sound.name, used),
                source=c.source,
                sound=_caption(sound, c, told),
                sound_class=name,
                material=_material(sound, told),
                start=start,
                end=end,
                onsets=tuple(times),
                strengths=tuple(round(min(s, 1.0), 2) for _, s in hits),
                level=_level(sound, wish),
                confidence=round(min(c.score, 1.0), 2),
                on_screen=not (told and (told.off_screen or (not c.seen and timing.how == "paced"))),
            )
            used.append(event.id)
            yield _placed(event, wish, features)


def _kit(hits: Sequence[tuple[float, float]]) -> dict[str, tuple[tuple[float, float], ...]]:
    """Strong strokes to the snare, the others by turns to the cymbal and the bass drum."""
    usual = float(np.quantile([s for _, s in hits], 0.6))
    strong = [s > usual for _, s in hits]
    if not any(strong):  # all alike: every other one
        strong = [at % 2 == 0 for at in range(len(hits))]
    pieces: dict[str, list[tuple[float, float]]] = {name: [] for name in KIT}
    turn = 0
    for hit, is_strong in zip(hits, strong, strict=True):
        if is_strong:
            pieces[KIT[0]].append(hit)
        else:
            pieces[KIT[1 + turn % 2]].append(hit)
            turn += 1
    return {name: tuple(part) for name, part in pieces.items() if part}


def _fitted(start: float, end: float, seconds: float) -> Span:
    """Milliseconds, inside the clip, and never empty."""
    end = min(round(end, 3), int(seconds * 1000) / 1000 or seconds)
    start = max(0.0, min(round(start, 3), end - 0.02 if end > 0.02 else 0.0))
    return start, end


def _fresh(name: str, used: Sequence[str]) -> str:
    stem = name.split("/")[1].replace("_", "-")
    return next(f"{stem}-{n}" for n in range(1, len(used) + 2) if f"{stem}-{n}" not in used)


def _unused(name: str, used: Sequence[str]) -> str:
    """The id itself, or with the first number that makes it new."""
    stem = name.rsplit("-", 1)[0]
    return next(i for i in (name, *(f"{stem}-{n}" for n in range(1, len(used) + 2))) if i not in used)


def _in_region(event: Event, region: Region) -> Event:
    """An event that was placed in a part of the picture, placed in the whole."""

    def whole(pan: float) -> float:
        return _pan(region.x0 + (pan / _WIDTH + 0.5) * (region.x1 - region.x0))

    path = tuple(place.model_copy(update={"pan": whole(place.pan)}) for place in event.path)
    return event.model_copy(update={"region": region, "pan": whole(event.pan), "path": path})


def _caption(sound: SoundClass, c: Candidate, told: Told | None) -> str:
    if told and told.sound.name == sound.name:
        return told.phrase
    return (
        sound.captions[1]
        if sound.name == "instrument/cymbal" and c.sound.name == KIT[0]
        else sound.captions[0]
    )


def _material(sound: SoundClass, told: Told | None) -> str:
    """What the caption names, or what the class cannot be without."""
    words = told.phrase.split() if told else []
    named = [m for m in sound.materials if any(word.startswith(m) for word in words)]  # "wooden" is wood
    if named:
        return named[0]
    return sound.materials[0] if len(sound.materials) == 1 else ""


def _level(sound: SoundClass, wish: _Wish) -> float:
    level = sound.level_db
    if wish.told is None:
        level += _softer(wish.candidate)
    elif wish.told.off_screen:
        level -= 8.0
    return level


def _softer(c: Candidate) -> float:
    """dB by which a sound is softer than it usually is, for want of evidence."""
    return next(db for least, db in _QUIETER.items() if c.score >= least)


def _placed(event: Event, wish: _Wish, features: Features) -> Event:
    """With pan and distance: from where it strikes, from its box, or along its way."""
    c, motion = wish.candidate, features.motion
    distance = c.sound.distance
    if wish.told and wish.told.off_screen:
        return event.model_copy(update={"distance": min(4 * distance, 1000.0)})
    near = [o for o in motion.onsets if round(o.time, 3) in event.onsets]
    xs = [float(np.average([o.x for o in near], weights=[o.strength + 1e-3 for o in near]))] if near else []
    if c.box and c.box.area < 0.6:
        xs.append(c.box.centre[0])
        distance *= float(np.clip((0.25 / max(c.box.area, 1e-3)) ** 0.5, 0.6, 1.8))
    x = sum(xs) / len(xs) if xs else 0.5
    update: dict[str, object] = {"pan": _pan(x), "distance": round(distance, 1)}
    if (c.sound.group in _MOVERS or c.sound.name == "animal/horse_hooves") and not event.path:
        update["path"] = _path(event, features, distance)
    return event.model_copy(update=update)


def _path(event: Event, features: Features, distance: float) -> tuple[Place, ...]:
    """Where the motion goes, once a second, if it goes anywhere."""
    motion = features.motion
    if event.end - event.start < 1 or not len(motion.centre):
        return ()
    times = np.linspace(event.start, event.end, min(max(2, round(event.end - event.start) + 1), 60))
    frames = np.arange(len(motion.centre)) / motion.rate
    weight = np.exp(-(((times[:, None] - frames) / 0.5) ** 2)) * (np.asarray(motion.level) + 1e-4)  # [P, T]
    xs = (weight @ motion.centre[:, 0]) / weight.sum(1)
    if xs.max() - xs.min() < 0.25:
        return ()
    return tuple(
        Place(time=round(float(t), 3), pan=_pan(float(x)), distance=round(distance, 1))
        for t, x in zip(times, xs, strict=True)
    )


def _pan(x: float) -> float:
    return round(float(np.clip(_WIDTH * (x - 0.5), -0.7, 0.7)), 2)


def _ambience(
    evidence: Evidence, reading: Reading, banned: set[str], ideas: Sequence[Idea]
) -> tuple[Ambience, ...]:
    """What the caption lays under the clip, then what the place does; in a room where nothing happens, its air."""
    setting, scene = evidence.setting, reading.scene or evidence.setting.scene
    alone = not ideas
    beds: list[tuple[str, float, str, float]] = []  # class, level, sound, confidence
    for t in reading.told:
        if _is_bed(t.sound):
            used = any(i.told and i.told.phrase == t.phrase for i in ideas)
            level = 0.0 if alone else t.sound.level_db
            beds.append((t.sound.name, level, "" if used else t.phrase, t.score))
    if evidence.farm and not reading.told:
        beds.append(("ambience/farmyard", 0.0 if alone else -12.0, "", LIKELY))
    beds += [
        (c.sound.name, c.sound.level_db + min(-3.0, _softer(c)), "", c.score)
        for c in evidence.candidates
        if _is_bed(c.sound) and not reading.told
    ]
    if scene:
        sure = 0.9 if reading.scene else min(0.9, setting.score)
        beds += [(name, level, "", sure) for name, level in scene.ambience]
    elif setting.outdoors > DECIDED:
        beds.append(("weather/wind", -28.0, "a light breeze", 0.3))
    space = scene.space if scene else ""
    if alone and not beds and space in ("", "small room", "room"):
        beds.append(("weather/wind", -38.0, "the faint air of a quiet room", 0.3))
    chosen: dict[str, Ambience] = {}
    for name, level, sound, sure in beds:
        if name == "ambience/forest_birds" and setting.is_dark:
            name = "ambience/night_insects"
        sounding = {event.sound_class for idea in ideas for event in idea.events}
        if name in banned or name in chosen or name in sounding or len(chosen) == MOST_AMBIENCES:
            continue
        chosen[name] = Ambience(
            id=_fresh(name, [e.id for i in ideas for e in i.events] + [a.id for a in chosen.values()]),
            sound=sound or sound_class(name).captions[0],
            sound_class=name,
            level=level,
            confidence=round(min(sure, 1.0), 2),
        )
    return tuple(chosen.values())


def _acoustics(evidence: Evidence, reading: Reading) -> Acoustics:
    """The room of the place; where it cannot be told, one that does no harm."""
    if scene := reading.scene or evidence.setting.scene:
        return Acoustics(space=scene.space, reverb=scene.reverb)
    if evidence.setting.outdoors > DECIDED:
        return Acoustics(space="outdoors", reverb=scenes()["outdoors"].reverb)
    if evidence.setting.outdoors < -DECIDED:
        return Acoustics(space="room", reverb=scenes()["indoors"].reverb)
    return Acoustics(space="small room", reverb=0.08)
