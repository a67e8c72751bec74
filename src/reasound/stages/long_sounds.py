"""The sound of a long plan in pieces, none of them longer than a minute or so, that only need to be added up.

What happens is rendered whole, from its beginning to the end of its ringing, and belongs to the part of the clip in
which it begins. What lasts is rendered once for a while and goes on from there, grain by grain; its stretches
overlap and fade into each other at constant power. What keeps happening (steps, calls) is thought out for the whole
clip and placed part by part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reasound.mixing.spatial import reverb, tail
from reasound.pipeline import Reasound, Renderer, better_generated
from reasound.plan import Acoustics, Ambience, Event, Plan
from reasound.synthesis.library import rng_for, set_in_room
from reasound.synthesis.manners import habit
from reasound.synthesis.match import cuts, phrases
from reasound.synthesis.placing import Moment, beat, chosen, place_hits, spoken
from reasound.synthesis.textures import extend
from reasound.timeline import SAMPLE_RATE, samples

Audio = NDArray[np.float32]  # [2, N]
Item = Event | Ambience

LEAD = 0.5
"""Seconds before an event from which on it is rendered: what comes before an attack."""
RINGS = {"library": 10.0, "model": 3.0}
"""Seconds after an event's end in which it may still be heard, by who makes it."""
PAD = 1_024
"""Samples that the filters of distance and water reach to both sides."""
RISE, FALL = round(0.15 * SAMPLE_RATE), round(0.35 * SAMPLE_RATE)
"""Samples of the fades of what begins and stops inside the clip."""
DRY = Acoustics(space="outdoors", reverb=0.0)


@dataclass(frozen=True)
class Piece:
    item: str
    """Id of the event or ambience."""
    at: int
    """Sample of the clip at which it begins."""
    audio: Audio
    recordings: tuple[str, ...]


class Sounds:
    """Pieces of one plan. They depend on plan, seed and settings only, not on the order in which they are made."""

    def __init__(
        self,
        engine: Reasound,
        plan: Plan,
        seconds: Fraction,
        seed: int,
        renderer: Renderer,
        steps: int,
        guidance: float,
        window: float,
        folder: Path,
    ) -> None:
        """`window`: seconds of a part of the clip; `folder`: where what is needed again is kept."""
        self.engine, self.plan, self.seed, self.folder = engine, plan, seed, folder
        self.seconds, self.n = seconds, samples(seconds)
        self.steps, self.guidance, self.window = steps, guidance, window
        self.items: list[Item] = [*plan.events, *plan.ambience]
        ids = {item.id for item in self.items}
        by_renderer = {"library": set(), "model": ids, "auto": better_generated(plan)}
        self.generated: set[str] = by_renderer[renderer]
        self._moments: dict[str, tuple[list[Moment], float, float]] = {}

    @property
    def parts(self) -> int:
        """How many parts the clip has."""
        return max(1, int(np.ceil(float(self.seconds) / self.window)))

    def made_by(self, item: Item) -> str:
        return "model" if item.id in self.generated else "library"

    def part(self, k: int) -> Iterator[Piece]:
        """All pieces that belong to part `k`."""
        for item in self.items:
            for begin, make in self._jobs(item):
                if min(int(begin / self.window), self.parts - 1) == k:
                    piece = make()
                    if piece is not None:
                        yield piece

    def _jobs(self, item: Item) -> list[tuple[float, Callable[[], Piece | None]]]:
        """(begin in seconds, what makes the piece)"""
        start, end = self._span(item)
        if isinstance(item, Event) and item.onsets:
            if end - start <= 3 * self.window:
                return [(start, lambda: self._whole(item))]
            return [(e.start, lambda e=e: self._whole(e)) for e in self._shared_out(item)]  # type: ignore[misc]
        if isinstance(item, Event) and end - start <= 3 * self.window:
            return [(start, lambda: self._whole(item))]
        if self.made_by(item) == "library" and self._happens(item):
            first, last = int(start / self.window), int(np.ceil(end / self.window))
            return [(k * self.window, lambda k=k: self._some(item, k)) for k in range(first, last)]  # type: ignore[misc]
        count = max(1, round((end - start) / (2.5 * self.window)))
        edges = np.round(np.linspace(samples(start), min(samples(end), self.n), count + 1)).astype(int)
        return [
            (float(edges[j] / SAMPLE_RATE), lambda j=j: self._stretch(item, j, edges))  # type: ignore[misc]
            for j in range(count)
        ]

    def _span(self, item: Item) -> tuple[float, float]:
        return (item.start, item.end) if isinstance(item, Event) else (0.0, float(self.seconds))

    def _shared_out(self, event: Event) -> Iterator[Event]:
        """The hits of each part of the clip as an event of their own."""
        hits = list(event.hits())
        groups = [int(time / self.window) for time, _ in hits]
        for k in dict.fromkeys(groups):
            mine = [hit for hit, group in zip(hits, groups, strict=True) if group == k]
            after = next((time for time, _ in hits if time > mine[-1][0]), event.end)
            yield event.model_copy(
                update={
                    "start": mine[0][0],
                    "end": max(after, mine[-1][0] + 0.02),
                    "onsets": tuple(time for time, _ in mine),
                    "strengths": tuple(strength for _, strength in mine),
                }
            )

    def _whole(self, event: Event) -> Piece | None:
        """An event as any clip would have it."""
        who = self.made_by(event)
        first = max(0, samples(event.start - LEAD))
        last = min(self.n, samples(event.end + RINGS[who]) + tail(self.plan.acoustics))
        length = Fraction(last - first, SAMPLE_RATE)
        alone = self._alone(_earlier(event, first / SAMPLE_RATE), length, self.plan.acoustics)
        (layer,) = self._rendered(alone, length, who)
        return _trimmed(event.id, first, layer.audio, layer.recordings)

    def _alone(self, item: Item, length: Fraction, acoustics: Acoustics) -> Plan:
        plan = self.plan.model_copy(
            update={"seconds": float(length), "events": (), "ambience": (), "reasoning": ()}
        )
        of = "events" if isinstance(item, Event) else "ambience"
        return plan.model_copy(update={of: (item,), "acoustics": acoustics})

    def _rendered(self, plan: Plan, length: Fraction, who: str):  # type: ignore[no-untyped-def]
        return self.engine.render(
            plan,
            length,
            self.seed,
            None,
            "model" if who == "model" else "library",
            self.steps,
            self.guidance,
        )

    def _stretch(self, item: Item, j: int, edges: NDArray[np.int_]) -> Piece | None:
        """The j-th stretch of what lasts; it goes on a little under the beginning of the next one."""
        source, recordings = self._excerpt(item)
        first, last = int(edges[j]), int(edges[j + 1])
        fade = min(round(0.1 * self.window * SAMPLE_RATE), (last - first) // 2)
        more = fade if j + 2 < len(edges) else 0
        sound = extend([source], last - first + more, rng_for(self.seed, f"{item.id}/{j}"))
        turn = np.linspace(0, np.pi / 2, fade, dtype=np.float32)
        if j:
            sound[:, :fade] *= np.sin(turn)
        elif first > 0:
            rise = min(RISE, sound.shape[1] // 3)
            sound[:, :rise] *= np.sin(np.linspace(0, np.pi / 2, rise, dtype=np.float32)) ** 2
        if more:
            sound[:, -fade:] *= np.cos(turn)
        elif last < self.n:
            fall = min(FALL, sound.shape[1] // 3)
            sound[:, -fall:] *= np.cos(np.linspace(0, np.pi / 2, fall, dtype=np.float32)) ** 2
        return self._placed(item, first, sound, recordings)

    def _excerpt(self, item: Item) -> tuple[Audio, tuple[str, ...]]:
        """What lasts, for a while: dry, in the middle, at its level. Made once."""
        path = self.folder / f"excerpt-{item.id}.npz"
        if not path.exists():
            length = Fraction(2 * self.window).limit_denominator(1000)
            update: dict[str, object] = {"start": 0.0, "end": float(length), "path": ()}
            update |= {"pan": 0.0, "distance": 3.0}
            dry = item.model_copy(update=update if isinstance(item, Event) else {})
            (layer,) = self._rendered(self._alone(dry, length, DRY), length, self.made_by(item))
            fresh = path.with_suffix(".part.npz")
            np.savez(fresh, audio=layer.audio, recordings=np.array(layer.recordings, dtype=np.str_))
            fresh.replace(path)
        with np.load(path) as stored:
            return stored["audio"], tuple(map(str, stored["recordings"]))

    def _happens(self, item: Item) -> bool:
        """Whether the library plays it as one sound after another, rather than one that goes on."""
        name = self.engine.library.library.known_class(item.sound, item.sound_class)
        return habit(name).manner != "texture"

    def _some(self, item: Item, k: int) -> Piece | None:
        """What happens of it in part k of the clip."""
        library = self.engine.library.library
        moments, lean, scatter = self._all_moments(item)
        begin, end = k * self.window, (k + 1) * self.window
        first = max(0, samples(begin - LEAD))
        mine = [
            Moment(m.cut, m.time - first / SAMPLE_RATE, m.strength, m.room, m.single)
            for m in moments
            if begin <= m.time < end
        ]
        n = min(self.n, samples(end + RINGS["library"])) - first
        if not mine or n <= 0:
            return None
        sound = place_hits(library, mine, n, rng_for(self.seed, f"{item.id}/{k}"), lean, scatter)
        names = tuple(dict.fromkeys(m.cut.recording.id for m in mine))
        return self._placed(item, first, sound * np.float32(10 ** (item.level / 20)), names)

    def _all_moments(self, item: Item) -> tuple[list[Moment], float, float]:
        """When what sounds, for the whole clip, and how far it leans and is scattered."""
        if item.id not in self._moments:
            library, rng = self.engine.library.library, rng_for(self.seed, item.id)
            start, end = self._span(item)
            name = library.known_class(item.sound, item.sound_class)
            way, event = habit(name), isinstance(item, Event)
            material = item.material if isinstance(item, Event) else ""
            takes = library.instrument(item.sound, name, material, rng, 4, False)
            if event and way.manner in ("step", "hit"):
                times = beat(way, start, end, rng)
                strengths = rng.uniform(0.75, 1.0, len(times)).tolist()
                moments = chosen(library, cuts(takes, way.manner), times, strengths, way, end, rng)
            else:
                moments = spoken([*phrases(takes), *cuts(takes, way.manner)], way, start, end, rng)
            lean = 0.12 if event and way.manner == "step" else 0.0
            self._moments[item.id] = moments, lean, 0.0 if event else 0.8
        return self._moments[item.id]

    def _placed(self, item: Item, at: int, dry: Audio, recordings: tuple[str, ...]) -> Piece | None:
        """A dry part of an item, which begins at sample `at`, in its place and room."""
        room = self.plan.acoustics
        if isinstance(item, Ambience) and room.space != "underwater":
            return _trimmed(item.id, at, dry[:, : self.n - at], recordings)
        before = min(PAD, at)
        first = at - before
        padded = np.pad(dry, ((0, 0), (before, tail(room) + PAD)))[:, : self.n - first]
        if isinstance(item, Event):
            sound = set_in_room(padded, _earlier(item, first / SAMPLE_RATE), room)
        else:
            sound = reverb(padded, room)
        return _trimmed(item.id, first, sound, recordings)


def _earlier(event: Event, seconds: float) -> Event:
    """The same event on a clock that starts `seconds` later. What came before may be at times below 0."""
    return event.model_copy(
        update={
            "start": max(event.start - seconds, 0.0),
            "end": event.end - seconds,
            "onsets": tuple(max(t - seconds, 0.0) for t in event.onsets),
            "path": tuple(p.model_copy(update={"time": p.time - seconds}) for p in event.path),
        }
    )


def _trimmed(item: str, at: int, audio: Audio, recordings: tuple[str, ...]) -> Piece | None:
    """Without the silence around it; None where there is nothing else."""
    sounding = np.flatnonzero(audio.any(0))
    if not len(sounding):
        return None
    first, last = int(sounding[0]), int(sounding[-1]) + 1
    return Piece(item, at + first, np.ascontiguousarray(audio[:, first:last], np.float32), recordings)
