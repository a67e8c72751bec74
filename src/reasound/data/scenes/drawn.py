"""Scenes with exact truth: a plan drawn at random, and the sound that the library renderer makes of it.

Scene i of a maker is always the same. Most scenes are one sound alone, dry, because every layer is asked for that
way; the others are mixtures in a room, with a stem for every event, from which the training takes its tasks (add,
extract, remove, fill in, extend).

    maker = SceneMaker(only(Library.load(), "train"), samples=221_184, seed=0)
    scene = maker[17]                         # or maker.scene(17)
    scene.plan, scene.mix, scene.stems, scene.dry
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from reasound.data.latents import Scene
from reasound.data.manifest import Recording
from reasound.perception.motion import SYNC_DIM
from reasound.plan import Acoustics, Ambience, Aspect, Event, Place, Plan, Space, Step
from reasound.reasoning.explain import listed
from reasound.reasoning.knowledge import sound_class
from reasound.synthesis.library import LibraryRenderer, rng_for
from reasound.synthesis.manners import Habit, habit
from reasound.synthesis.match import Library
from reasound.timeline import SAMPLE_RATE, SYNC_RATE, Timeline

FLAT = 0.3
"""A class with n recordings is drawn in proportion to n ** FLAT."""
OFTEN = ("voice/grunt", "weapon/sword_clash", "animal/monster", "tool/pickaxe")
"""Classes of which there are so many takes that they are drawn half as often as their number says."""
BACKGROUND = ("ambience/", "weather/")
HIGHEST = 0.9
"""Peak of a mixture; one that is louder comes down, and the levels of its plan with it."""
SPACES: tuple[tuple[Space, float], ...] = (
    ("outdoors", 0.45),
    ("small room", 0.1),
    ("room", 0.2),
    ("large room", 0.12),
    ("hall", 0.08),
    ("vehicle", 0.05),
)


@dataclass(frozen=True)
class Mixture:
    """How mixtures are drawn."""

    alone: float = 0.65
    """Share of scenes that are one dry sound."""
    sources: tuple[float, ...] = (0.25, 0.4, 0.25, 0.1)
    """Odds of one, two, three, ... events."""
    background: float = 0.12
    """Share of dry sounds that are an ambience or weather."""
    timed: float = 0.8
    """Share of hits, steps and calls whose times the plan names; the others have a span and a rhythm of their own."""
    ambience: float = 0.45
    """Share of mixtures with something under them."""
    moving: float = 0.3
    """Share of events that move from side to side or come nearer."""
    silent: float = 0.12
    """Share of mixtures without reasoning; the others have one to four sentences."""


def only(library: Library, *splits: str) -> Library:
    """The same library with the recordings of these splits alone. ValueError where none is left."""
    part = Library(library.folder)
    part.recordings = [r for r in part.recordings if r.split in splits]
    if not part.recordings:
        raise ValueError(f"the sound library {library.folder} has no recording of {' or '.join(splits)}")
    return part


class SceneMaker:
    """Scene i, for every i from 0."""

    def __init__(self, library: Library, samples: int, seed: int = 0, drawn: Mixture | None = None) -> None:
        """`samples`: length of every scene at 44.1 kHz. ValueError when it is less than half a second."""
        if samples < SAMPLE_RATE // 2:
            raise ValueError(f"a scene of {samples} samples is too short; give at least {SAMPLE_RATE // 2}")
        self.library, self.samples, self.seed = library, samples, seed
        self.drawn = drawn or Mixture()
        self.renderer = LibraryRenderer(library)
        near = [name for name in sorted(library.classes) if not name.startswith(BACKGROUND)]
        far = [name for name in sorted(library.classes) if name.startswith(BACKGROUND)]
        self.near, self.far = (near, self._odds(near)), (far, self._odds(far))

    def _odds(self, names: Sequence[str]) -> NDArray[np.float64]:
        weight = np.array([len(self.library.classes[name]) ** FLAT for name in names])
        weight *= [0.5 if name in OFTEN else 1.0 for name in names]
        return weight / weight.sum() if len(weight) else weight

    def __iter__(self) -> Iterator[Scene]:
        i = 0
        while True:
            yield self[i]
            i += 1

    def __getitem__(self, i: int) -> Scene:
        return self.scene(i)

    def scene(self, i: int) -> Scene:
        """One dry sound, or a mixture."""
        rng = np.random.default_rng((self.seed, i))
        return self.single(rng) if rng.random() < self.drawn.alone else self.mixture(rng)

    def single(self, rng: np.random.Generator) -> Scene:
        """One event or ambience as a layer is asked for: at level 0, in the middle, without a room."""
        seconds = self.samples / SAMPLE_RATE
        seed, other = (int(s) for s in rng.integers(1 << 31, size=2))
        if self.far[0] and rng.random() < self.drawn.background:
            under = self._ambience(rng).model_copy(update={"level": 0.0})
            audio, like = (
                self.renderer.ambience(under, self.samples, rng_for(s, under.id))[0] for s in (seed, other)
            )
            plan = Plan(seconds=seconds, caption=under.sound, ambience=(under,))
        else:
            plain = {"level": 0.0, "pan": 0.0, "distance": 3.0, "path": ()}
            event = self._event(rng, "e1", seconds).model_copy(update=plain)
            audio, like = (
                self.renderer.event(event, self.samples, rng_for(s, event.id))[0] for s in (seed, other)
            )
            plan = Plan(seconds=seconds, caption=event.sound, events=(event,))
        peak = float(np.abs(audio).max())
        if peak < 1e-3:  # nothing to be heard, nothing to be learned
            return self.single(rng)
        audio, like = (np.asarray(sound / max(1.0, peak), np.float32) for sound in (audio, like))
        return Scene(plan, audio, references={"mix": like}, dry=True)

    def mixture(self, rng: np.random.Generator) -> Scene:
        """Events and perhaps an ambience in one space; the stems sum to the mix."""
        plan = self.plan(rng)
        seconds = Fraction(self.samples, SAMPLE_RATE)
        layers, others = (self.renderer.render(plan, seconds, int(s)) for s in rng.integers(1 << 31, size=2))
        heard = [layer for layer in layers if np.abs(layer.audio).max() > 1e-4]
        if len(heard) < len(layers):  # what cannot be heard must not be told
            return self.mixture(rng)
        mix = np.asarray(sum(layer.audio for layer in heard), np.float32)
        gain = min(1.0, HIGHEST / float(np.abs(mix).max()))
        stems, like = (
            {layer.name: layer.audio * np.float32(gain) for layer in made} for made in (heard, others)
        )
        like["mix"] = np.asarray(sum(like.values()), np.float32)
        plan = _shifted(plan, 20 * float(np.log10(gain)))
        return Scene(plan, mix * np.float32(gain), stems, like)

    def plan(self, rng: np.random.Generator) -> Plan:
        """What should be heard: classes first, so that a thin class is not drowned by a thick one."""
        seconds = self.samples / SAMPLE_RATE
        count = 1 + int(rng.choice(len(self.drawn.sources), p=self.drawn.sources))
        events = [self._event(rng, f"e{k + 1}", seconds) for k in range(count)]
        ambience: list[Ambience] = []
        if self.far[0] and rng.random() < self.drawn.ambience:
            ambience = [self._ambience(rng)]
        space = str(rng.choice([name for name, _ in SPACES], p=[odds for _, odds in SPACES]))
        acoustics = Acoustics(space=space, reverb=round(float(rng.beta(1.5, 4.0)), 2))  # type: ignore[arg-type]
        plan = Plan(seconds=seconds, events=tuple(events), ambience=tuple(ambience), acoustics=acoustics)
        return plan.model_copy(
            update={"caption": caption(plan, rng), "reasoning": self._reasoning(plan, rng)}
        )

    def _take(self, rng: np.random.Generator, names: Sequence[str], odds: NDArray[np.float64]) -> Recording:
        takes = [
            self.library.recordings[k]
            for k in self.library.classes[names[int(rng.choice(len(names), p=odds))]]
        ]
        quality = np.array([0.05 + r.quality**2 for r in takes])
        return takes[int(rng.choice(len(takes), p=quality / quality.sum()))]

    def _ambience(self, rng: np.random.Generator) -> Ambience:
        take = self._take(rng, *self.far)
        level = float(np.clip(rng.normal(-14.0, 6.0), -36.0, 0.0))
        return Ambience(
            id="a1", sound=str(rng.choice(take.captions)), sound_class=take.sound_class, level=level
        )

    def _event(self, rng: np.random.Generator, name: str, seconds: float) -> Event:
        take = self._take(rng, *self.near)
        way, known = habit(take.sound_class), sound_class(take.sound_class)
        given: dict[str, object] = {"start": 0.0, "end": seconds}
        if way.manner != "texture" and take.kind != "texture" and rng.random() < self.drawn.timed:
            times = tuple(round(t, 4) for t in onsets(rng, way, seconds))
            given |= {
                "onsets": times,
                "strengths": tuple(np.round(1 - 0.6 * rng.random(len(times)) ** 2, 2).tolist()),
            }
        elif rng.random() < 0.6:
            start = float(rng.uniform(0, 0.6 * seconds))
            given |= {"start": start, "end": float(rng.uniform(start + 0.25 * (seconds - start), seconds))}
        distance = float(np.clip(known.distance * np.exp(rng.normal(0.0, 0.6)), 1.0, 50.0))
        pan = float(np.clip(rng.normal(0.0, 0.45), -1, 1))
        path: tuple[Place, ...] = ()
        if rng.random() < self.drawn.moving:
            to = float(np.clip(distance * np.exp(rng.normal(0.0, 0.7)), 1.0, 50.0))
            aim = float(np.clip(pan + rng.choice([-1, 1]) * rng.uniform(0.4, 1.5), -1, 1))
            path = (Place(time=0.0, pan=pan, distance=distance), Place(time=seconds, pan=aim, distance=to))
        return Event(
            id=name,
            source=known.source or known.heard,
            sound=str(rng.choice(take.captions)),
            sound_class=take.sound_class,
            material=take.material,
            level=float(np.clip(known.level_db / 2 + rng.normal(0.0, 4.0), -24.0, 8.0)),
            pan=pan,
            distance=distance,
            path=path,
            on_screen=bool(rng.random() < 0.85),
            **given,  # type: ignore[arg-type]
        )

    def _reasoning(self, plan: Plan, rng: np.random.Generator) -> tuple[Step, ...]:
        if rng.random() < self.drawn.silent:
            return ()
        steps = reasoning(plan)
        keep = sorted(rng.choice(len(steps), int(rng.integers(1, len(steps) + 1)), replace=False))
        return tuple(steps[int(k)] for k in keep)


def onsets(rng: np.random.Generator, way: Habit, seconds: float) -> list[float]:
    """Times of hits: one, some without order, or a rhythm that may slow down or speed up."""
    kind = rng.choice(["one", "some", "rhythm"], p=[0.25, 0.3, 0.45])
    if kind == "one":
        return [float(rng.uniform(0.02, 0.85 * seconds))]
    if kind == "some":
        times = np.sort(rng.uniform(0.02, 0.95 * seconds, int(rng.integers(2, 7))))
    else:
        period = way.period * 2 ** rng.uniform(-1.0, 0.7)
        steps = (
            period * rng.uniform(0.97, 1.03) ** np.arange(24) * (1 + way.jitter * rng.uniform(-0.5, 0.5, 24))
        )
        times = np.cumsum(steps) + rng.uniform(0.02, max(0.03, 0.4 * seconds)) - steps[0]
        times = times[: int(rng.integers(2, 25))]
    times = times[times < 0.97 * seconds]
    return [float(t) for t in times[np.diff(times, prepend=-1.0) > 0.1]] or [0.3 * seconds]


def caption(plan: Plan, rng: np.random.Generator) -> str:
    """What a person would type or the reasoner would write: all of it, some of it or nothing."""
    named = [e.sound if rng.random() < 0.7 else sound_class(e.sound_class).heard for e in plan.events]
    under = [a.sound if rng.random() < 0.7 else sound_class(a.sound_class).heard for a in plan.ambience]
    if under and rng.random() < 0.5:
        return f"{_upper(listed(named))}, with {listed(under)} in the background."
    sounds = list(dict.fromkeys([*named, *under]))
    least = 0 if rng.random() < 0.3 else 1
    told = [sounds[int(k)] for k in rng.permutation(len(sounds))[: int(rng.integers(least, len(sounds) + 1))]]
    return listed(told) if rng.random() < 0.7 else ", ".join(told)


def reasoning(plan: Plan) -> list[Step]:
    """The plan in sentences, worded like those of the reasoner: what sounds, when, where and how loud."""
    steps: list[Step] = []

    def say(aspect: Aspect, text: str, *events: str) -> None:
        steps.append(Step(aspect=aspect, text=_upper(text), events=events))

    for e in plan.events:
        say("semantic", f"{e.source} {'can be seen' if e.on_screen else 'is near'}, so {e.sound}.", e.id)
    for a in plan.ambience:
        say("semantic", f"behind everything lies {a.sound}.", a.id)
    for e in plan.events:
        say("temporal", f"{e.sound} {_when(e, plan.seconds)}.", e.id)
    for e in plan.events:
        say("spatial", f"{e.sound}: {_where(e)}.", e.id)
    reverb = plan.acoustics.reverb
    room = "dry" if reverb < 0.1 else "lively" if reverb > 0.25 else "softly reflecting"
    say("aesthetic", f"the space is {plan.acoustics.space} and {room}.")
    loudest = max(plan.events, key=lambda e: e.level)
    say("aesthetic", f"{loudest.sound} is loudest and leads the mix.", loudest.id)
    return steps


def _when(e: Event, seconds: float) -> str:
    if e.onsets:
        times = [f"{t:.2f}".rstrip("0").rstrip(".") for t in e.onsets[:8]]
        more = f" and {len(e.onsets) - 8} more times" if len(e.onsets) > 8 else ""
        return f"at {listed(times)} s{more}"
    if e.start == 0 and e.end > seconds - 0.01:
        return "throughout"
    return f"from {e.start:.1f} to {e.end:.1f} s"


def _where(e: Event) -> str:
    if not e.path:
        return f"{_side(e.pan)}, about {e.distance:.0f} m away"
    first, last = e.path[0], e.path[-1]
    far = last.distance / first.distance
    change = "" if 2 / 3 < far < 3 / 2 else ", coming nearer" if far < 1 else ", going away"
    return f"from {_side(first.pan)} to {_side(last.pan)}{change}, at first about {first.distance:.0f} m away"


def _side(pan: float) -> str:
    if abs(pan) <= 0.15:
        return "near the centre"
    return ("far " if abs(pan) > 0.5 else "") + ("to the left" if pan < 0 else "to the right")


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _shifted(plan: Plan, decibels: float) -> Plan:
    """All levels changed alike, within what a plan may say."""

    def new(level: float) -> float:
        return round(float(np.clip(level + decibels, -60, 12)), 2)

    return plan.model_copy(
        update={
            "events": tuple(e.model_copy(update={"level": new(e.level)}) for e in plan.events),
            "ambience": tuple(a.model_copy(update={"level": new(a.level)}) for a in plan.ambience),
        }
    )


Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts -> unit vectors [K, 384]."""


def evidence(
    plan: Plan, labels: Sequence[str], embed: Embed, rng: np.random.Generator
) -> NDArray[np.float32]:
    """What the eye would say of the visible events: ConSE vectors [Tv, 384], as noisy as the real ones.

    At every visual frame a probability-weighted mean of label names: those nearest in meaning to the events that are
    on screen, with odds that drift, and some that have nothing to do with them.
    """
    frames = Timeline(plan.seconds).visual
    names = embed(labels)
    seen = [e.sound for e in plan.events if e.on_screen]
    weight = rng.exponential(1.0, (3, len(labels))) ** 4 * 0.02
    if seen:
        near = np.exp((embed(seen) @ names.T) / 0.05)
        weight = weight + (near / near.sum(1, keepdims=True)).sum(0) * rng.exponential(1.0, (3, len(labels)))
    knots = np.linspace(0, 1, 3)
    at = np.arange(frames) / max(frames - 1, 1)
    odds = np.stack([np.interp(at, knots, column) for column in weight.T], axis=1)
    odds = odds / odds.sum(1, keepdims=True)
    out = odds @ names + rng.normal(0.0, 0.01, (frames, names.shape[1]))
    return (out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)).astype(np.float32)


JITTER = 0.03
"""Seconds by which a visible impact is seen too early or too late (standard deviation), as measured on real clips."""
MISSED, FALSE = 0.2, 0.3
"""Share of the impacts that are not seen, and how many a second are seen where there is none."""


def movement(plan: Plan, rng: np.random.Generator) -> NDArray[np.float32]:
    """What motion statistics would be of the visible events [Ts, 32], as `perception.motion.sync_features` orders
    them and as unsure as the real ones: bursts at the onsets, slow motion while something lasts, and the camera."""
    frames = Timeline(plan.seconds).motion
    at = np.arange(frames) / SYNC_RATE
    out = rng.exponential(0.02, (frames, SYNC_DIM))
    out[:, 28:] = rng.normal(0.0, 0.03, (frames, 4)) + rng.normal(0.0, 0.05, 4)
    count = rng.poisson(FALSE * plan.seconds)
    hits = [(float(t), float(rng.uniform(0.1, 0.6)), 0.0) for t in rng.uniform(0, plan.seconds, count)]
    for event in (e for e in plan.events if e.on_screen):
        if not event.onsets:
            inside = (at >= event.start) & (at < event.end)
            out[inside, 27] += rng.uniform(0.05, 0.4)
        where = event.place(np.array(event.onsets or (event.start,)))[0]
        for (time, strength), pan in zip(event.hits(), where, strict=False):
            if rng.random() >= MISSED:
                hits.append((time + rng.normal(0.0, JITTER), strength, float(pan)))
    for time, strength, pan in hits:
        burst = strength * np.exp(-(((at - time) / 0.04) ** 2))
        before = strength * np.exp(-(((at - time + 0.08) / 0.08) ** 2))  # it falls before it strikes
        cell = int(np.clip(round(pan + 1), 0, 2)) + 3 * int(rng.integers(3))
        out[:, int(rng.integers(8))] += before
        out[:, 8 + cell] += before
        out[:, 17 + cell] += burst
        out[:, 26] += burst
        out[:, 27] += 0.5 * before
        out[:, 28] += (pan - out[:, 28]) * np.minimum(before, 1.0)
    return np.clip(out, -1.5, 1.5).astype(np.float32)
