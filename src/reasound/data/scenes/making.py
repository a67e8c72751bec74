"""A scene while it is made: backdrop, camera, layers and events, and what may distract from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from fractions import Fraction
from typing import TypeVar

import numpy as np

from reasound.data.manifest import Recording
from reasound.data.scenes import props
from reasound.data.scenes.backgrounds import backdrop, sea
from reasound.data.scenes.heldout import Heldout, Sprite
from reasound.data.scenes.stage import Camera, Drawn, Layer, Prop, Stamp, distance_at, pan_at
from reasound.data.scenes.truth import FPS, WIDTH, Staged
from reasound.plan import Event, Place
from reasound.reasoning.knowledge import sound_class

T = TypeVar("T")

EARLIEST, LATEST = 0.25, 0.5
"""Seconds after the start and before the end of a scene, between which things begin to sound."""
_APART = 0.5  # seconds between the points of a path
_COUNTED = {
    "once",
    "twice",
    "two",
    "three",
    "four",
    "times",
    "one",
    "single",
    "several",
    "serie",
    "very",
    "separate",
    "time",
}
_PLURAL = {"bongos", "castanets", "maracas", "scissors", "fireworks"}
_FACES = {
    1: "dog horse cow pig bison lion goat sheep lamb caribou duck goose hen rooster rabbit mouse bear",
    -1: "elephant cat donkey",
}
_FACES_LEFT = {
    "garbage truck", "fire engine", "train", "sailing boat", "motorbike", "locomotive", "tuxpaint_747",
    *_FACES[-1].split(),
}  # fmt: skip
WALKERS = frozenset(" ".join(_FACES.values()).split())
"""Labels of animals that are seen from the side, on their feet."""

Where = Callable[[float], tuple[float, float]]
"""Time -> (x in pixels of the scene, scale)."""


def facing(sprite: Sprite) -> int:
    """1 where it looks to the right, -1 to the left."""
    return -1 if {sprite.label, sprite.file.stem} & _FACES_LEFT else 1


def named(label: str) -> str:
    """With its article."""
    if label in _PLURAL:
        return label
    return f"{'an' if label[0].lower() in 'aeiou' else 'a'} {label}"


def _words(text: str) -> set[str]:
    """Singular and plural are one."""
    return {w.strip(",").rstrip("s") for w in text.lower().split()}


def _most(options: Iterable[T], score: Callable[[T], float]) -> list[T]:
    """Those of the highest score."""
    found = list(options)
    best = max(map(score, found))
    return [o for o in found if score(o) == best]


class Making:
    """Collects what `staged` puts together."""

    def __init__(self, heldout: Heldout, rng: np.random.Generator, seconds: Fraction) -> None:
        self.heldout, self.rng, self.whole = heldout, rng, seconds
        self.seconds = float(seconds)
        self.classes = frozenset(heldout.classes())
        self.camera = Camera.drawn(rng, self.seconds)
        self.backdrop = backdrop(rng, True)
        self.layers: list[Layer] = []
        self.events: list[Event] = []

    def set_in(self, outdoors: bool | None = None, ground: str = "", style: str = "") -> None:
        """Chooses the backdrop; either kind where `outdoors` is not said. The ground "sea" is open water."""
        if ground == "sea":
            self.backdrop = sea(self.rng)
            return
        outside = bool(self.rng.random() < 0.5) if outdoors is None else outdoors
        self.backdrop = backdrop(self.rng, outside, ground, style)

    def known(self, *names: str) -> list[str]:
        """Those of these classes that are held out; a name that ends in / means all that begin so."""
        found = [
            c
            for c in sorted(self.classes)
            if any(c == n or (n[-1] == "/" and c.startswith(n)) for n in names)
        ]
        return found

    def times(self, shortest: float, longest: float, most: int, first: float = EARLIEST) -> tuple[float, ...]:
        """Moments with gaps between these; at least one."""
        last = self.seconds - LATEST
        found = [float(self.rng.uniform(first, min(first + 0.8, last)))]
        steady = float(self.rng.uniform(shortest, longest)) if self.rng.random() < 0.5 else None
        while len(found) < most:
            gap = float(self.rng.uniform(shortest, longest))
            if steady is not None:
                gap = max(shortest, steady * float(self.rng.uniform(0.96, 1.04)))
            if found[-1] + gap > last:
                break
            found.append(found[-1] + gap)
        return tuple(round(t, 4) for t in found)

    def strengths(self, count: int, least: float = 0.45) -> tuple[float, ...]:
        return tuple(round(float(s), 3) for s in self.rng.uniform(least, 1.0, count))

    def sprite(self, sprite: Sprite, height: float, hold: tuple[float, float] = (0.5, 1.0)) -> Prop:
        """As high as that at scale 1, in a slightly different light."""
        tint = self.rng.uniform(0.88, 1.08) * self.rng.uniform(0.96, 1.04, 3)
        return Prop.of(props.painted(tint, sprite.picture), height, hold)

    def sprites(self, name: str, but: Collection[str] = ()) -> list[Sprite]:
        """Of a class, without some labels; only those that its recordings speak of, where they speak of any."""
        all_of_it = [s for s in self.heldout.sprites_of(name) if s.label not in but]
        captions = [c for r in self.heldout.library.recordings if r.sound_class == name for c in r.captions]
        return [s for s in all_of_it if any(_words(s.label) & _words(c) for c in captions)] or all_of_it

    def take(self, name: str, label: str = "", lasting: bool = False) -> tuple[Recording, str]:
        """A held-out recording of a class and a caption of it: such as speak most of `label` and do not say how often
        it sounds; a recording that lasts if it should."""
        words = _words(label)
        found = [r for r in self.heldout.library.recordings if r.sound_class == name]
        if not found:
            raise ValueError(f"no recording of {name!r} is held out")
        found = _most(found, lambda r: len(words & _words(" ".join(r.captions))))
        take = self.pick(_most(found, lambda r: (r.kind == "texture") == lasting))
        captions = _most(take.captions, lambda c: not _COUNTED & _words(c) and "," not in c)
        return take, self.pick(_most(captions, lambda c: bool(words & _words(c))))

    def pick(self, options: Iterable[T], what: str = "is asked for") -> T:
        """One of them, all equally likely. ValueError where there is none."""
        found = list(options)
        if not found:
            raise ValueError(f"nothing that {what} is held out")
        return found[int(self.rng.integers(len(found)))]

    def event(
        self,
        name: str,
        source: str,
        where: Where,
        onsets: Sequence[float] = (),
        strengths: Sequence[float] = (),
        span: tuple[float, float] | None = None,
        label: str = "",
        material: str = "",
    ) -> str:
        """Adds what is heard, hits at `onsets` or sound throughout `span`, and where it is seen. Returns its id.

        Levels are not seen: they are half of what is typical of the class, give or take 1.5 dB.
        """
        take, caption = self.take(name, label, lasting=not onsets)
        start, end = span or (0.0, self.seconds)
        points = [
            start,
            *np.arange(math.ceil(start / _APART + 0.1) * _APART, end - 0.1, _APART).tolist(),
            end,
        ]
        path = [self._place(t, where) for t in points]
        middle = self._place(self.seconds / 2 if not onsets else onsets[len(onsets) // 2], where)
        moves = any(
            abs(p.pan - middle.pan) > 0.03 or abs(math.log(p.distance / middle.distance)) > 0.1 for p in path
        )
        self.events.append(
            Event(
                id=f"e{len(self.events) + 1}",
                source=source,
                sound=caption,
                sound_class=name,
                material=take.material or material,
                start=round(start, 4),
                end=round(end, 4),
                onsets=tuple(round(t, 4) for t in onsets),
                strengths=tuple(round(s, 3) for s in strengths),
                level=round(
                    float(np.clip(sound_class(name).level_db / 2 + self.rng.uniform(-1.5, 1.5), -12, 6)), 1
                ),
                pan=middle.pan,
                distance=middle.distance,
                path=tuple(path) if moves else (),
            )
        )
        return self.events[-1].id

    def next_id(self) -> str:
        """Of the event that is added next: things are drawn with it before."""
        return f"e{len(self.events) + 1}"

    def _place(self, time: float, where: Where) -> Place:
        x, scale = where(time)
        view = self.camera.view(time)
        pan = pan_at(float(view[0, 0] * x + view[0, 2]))
        return Place(
            time=round(time, 4), pan=round(pan, 3), distance=round(distance_at(scale * view[0, 0]), 2)
        )

    def staged(self, kind: str) -> Staged:
        frames = int(self.whole * FPS)
        light = None
        if self.rng.random() < 0.12:  # clouds before the sun, or a weak bulb
            depth, period, phase = (
                float(self.rng.uniform(*r)) for r in ((0.03, 0.1), (1.5, 4.0), (0.0, 6.3))
            )
            light = lambda t: 1 - depth * (0.5 + 0.5 * math.sin(2 * math.pi * t / period + phase))  # noqa: E731
        before, after = self._distraction()
        film = Drawn(
            self.backdrop,
            [*before, *self.layers, *after],
            frames,
            self.camera,
            light,
            int(self.rng.integers(1 << 31)),
        )
        return Staged(kind, self.whole, film, tuple(self.events), self.backdrop.outdoors)

    def _distraction(self) -> tuple[list[Layer], list[Layer]]:
        """What moves smoothly and makes no sound, in about a third of scenes: layers behind and before the things."""
        rng, back = self.rng, self.backdrop
        if rng.random() > 0.35:
            return [], []
        x, speed = float(rng.uniform(0, WIDTH)), float(rng.choice([-1, 1]) * rng.uniform(8, 25))
        ways = ["leaf", "balloon", "passer"] if back.outdoors else ["balloon"]
        if back.outdoors and back.picture[: round(back.horizon)].mean() > 110:  # by day
            ways.append("cloud")
        choice = str(rng.choice(ways))
        silent = [s for s in self.heldout.sprites if s.label in WALKERS]
        if choice == "cloud":
            prop, y = props.cloud(rng), float(rng.uniform(20, 60))
            return [lambda t: [Stamp(prop, x + speed * t, y)]], []
        if choice == "leaf":
            prop, y = props.leaf(rng), float(rng.uniform(-20, 60))
            phase = float(rng.uniform(0, 6))
            return [], [
                lambda t: [
                    Stamp(
                        prop,
                        x + 22 * math.sin(1.7 * t + phase),
                        y + 38 * t,
                        angle=0.8 * math.sin(1.7 * t + phase),
                    )
                ]
            ]
        if choice == "balloon" or not silent:
            prop, y = props.balloon(rng), float(rng.uniform(60, 110))
            return [
                lambda t: [
                    Stamp(prop, x + speed * t, y + 5 * math.sin(1.1 * t), angle=0.06 * math.sin(0.9 * t))
                ]
            ], []
        other = silent[int(rng.integers(len(silent)))]
        walker, y = (
            self.sprite(other, float(rng.uniform(24, 36))),
            (back.horizon + 0.25 * (back.floor - back.horizon)),
        )
        across = facing(other) * (1 if speed > 0 else -1)
        return [
            lambda t: [
                Stamp(props.shadow(), x + speed * t, y, 0.9),
                Stamp(walker, x + speed * t, y, across=across, angle=0.03 * math.sin(5 * t)),
            ]
        ], []
