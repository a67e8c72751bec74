"""A person, drawn from a few parts: walks, stands and calls, or works with a tool in one hand."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from reasound.data.scenes import props
from reasound.data.scenes.physics import Walking
from reasound.data.scenes.stage import Prop, Stamp

BONE = 23.0
"""Pixels of a thigh, a shin and an upper arm at scale 1; such a person is about 125 high."""
_SOLE = 6.0
_HIP = 2 * BONE * 0.96 + _SOLE


class Person:
    """Looks to the right, or to the left where `side` is -1. Feet stand at (x, y) of the scene."""

    def __init__(self, rng: np.random.Generator, side: int, scale: float, event: str = "") -> None:
        self.side, self.scale, self.event = side, scale, event
        self.skin = props.SKINS[int(rng.integers(len(props.SKINS)))]
        self.sleeve = tuple(rng.uniform(40, 220, 3))
        trousers, hair = rng.uniform(30, 130, 3), rng.uniform(0.2, 1.0) * np.array([150, 105, 60])
        self._torso = props.capsule(34, 23, self.sleeve)
        self._arm, self._forearm = (
            props.capsule(20, 9, self.sleeve, 0.8),
            props.capsule(19, 7, self.skin, 0.9),
        )
        self._thigh, self._shin = (
            props.capsule(BONE, 12, trousers, 0.85),
            props.capsule(BONE, 9.5, trousers, 0.85),
        )
        self._shoe = props.shoe(tuple(rng.uniform(20, 140, 3)))
        self._head = {wide: props.head(self.skin, tuple(hair), wide) for wide in (False, True)}

    def walking(self, x: float, y: float, gait: Walking, time: float) -> Iterator[Stamp]:
        """At `time` of a walk that begins at x; `gait` in pixels at scale 1."""
        way, rise = gait.body(time)
        swing = 0.55 * math.sin(math.pi * gait.phase(time))
        feet = (gait.foot(0, time), gait.foot(1, time))
        for width, (forward, _) in zip((1.2, 1.2), feet, strict=True):
            yield Stamp(props.shadow(), x + self.side * self.scale * forward, y + 1, self.scale * width * 0.8)
        at = x + self.side * self.scale * way
        yield from self._body(
            at, y, rise, [(f - way, h) for f, h in feet], (swing, -swing), 0.35, False, 0.05
        )

    def calling(self, x: float, y: float, effort: float) -> Iterator[Stamp]:
        """Stands; with `effort` (0 to 1) it stretches, raises its arms and opens its mouth."""
        yield Stamp(props.shadow(), x, y + 1, 1.5 * self.scale)
        rise = 2.6 * effort - 2.5  # from slightly bent knees
        arms = (0.15 - 2.3 * effort, -0.1 + 2.0 * effort)
        yield from self._body(
            x, y, rise, [(7, 0), (-7, 0)], arms, 0.3 + 0.5 * effort, effort > 0.15, -0.12 * effort
        )

    def working(self, elbow: tuple[float, float], y: float) -> Iterator[Stamp]:
        """Stands so that its hand reaches forward from `elbow`; the forearm is a part of the tool."""
        s, side = self.scale, self.side
        x, hip = elbow[0] - side * 7 * s, elbow[1] + 14 * s
        if hip < y:
            for forward in (-6, 7):
                long = (y - hip - 10 * s) / (
                    BONE * s
                )  # stretched, with the round end of the limb inside the shoe
                yield Stamp(self._thigh, x + side * forward * s, hip, s, up=max(long, 0.1), event=self.event)
                yield Stamp(
                    self._shoe, x + side * forward * s, y - _SOLE * s, s, across=side, event=self.event
                )
        yield Stamp(self._torso, x, hip - 41 * s, s, up=1.15, event=self.event)
        yield Stamp(
            self._head[False],
            x + side * 2 * s,
            hip - 50 * s,
            s,
            across=side,
            angle=0.12 * side,
            event=self.event,
        )
        yield self._limb(self._arm, (x, hip - 38 * s), elbow, 20)

    def _body(
        self,
        x: float,
        y: float,
        rise: float,
        feet: list[tuple[float, float]],
        arms: tuple[float, float],
        bend: float,
        wide: bool,
        lean: float,
    ) -> Iterator[Stamp]:
        """`feet` (forward, height) from below the hips; `arms` from hanging straight down, forward."""
        s, side = self.scale, self.side
        hip = (0.0, _HIP + rise)
        shoulder = (34 * math.sin(lean), hip[1] + 36 * math.cos(lean))
        yield from self._reach(x, y, shoulder, arms[1], bend)
        for k in (1, 0):
            if k == 0:
                yield self._part(self._torso, x, y, shoulder, angle=lean, event=self.event)
                yield self._part(
                    self._head[wide], x, y, (shoulder[0] + 2, shoulder[1] + 8), angle=lean, event=self.event
                )
            ankle = (feet[k][0], feet[k][1] + _SOLE)
            far = math.hypot(ankle[0] - hip[0], ankle[1] - hip[1])
            fold = math.acos(min(far / (2 * BONE), 1.0))
            down = math.atan2(ankle[0] - hip[0], hip[1] - ankle[1])  # forward of straight down
            knee = (hip[0] + BONE * math.sin(down + fold), hip[1] - BONE * math.cos(down + fold))
            yield self._part(self._thigh, x, y, hip, angle=-(down + fold), event=self.event)
            yield self._part(self._shin, x, y, knee, angle=-(down - fold), event=self.event)
            tilt = 0.35 * min(feet[k][1] / 8, 1.0)
            yield Stamp(
                self._shoe,
                x + side * s * ankle[0],
                y - s * ankle[1],
                s,
                across=side,
                angle=side * tilt,
                event=self.event,
            )
        yield from self._reach(x, y, shoulder, arms[0], bend)

    def _reach(
        self, x: float, y: float, shoulder: tuple[float, float], forward: float, bend: float
    ) -> Iterator[Stamp]:
        low = (shoulder[0], shoulder[1] - 3)
        elbow = (low[0] + 20 * math.sin(forward), low[1] - 20 * math.cos(forward))
        yield self._part(self._forearm, x, y, elbow, angle=-(forward + bend), event=self.event)
        yield self._part(self._arm, x, y, low, angle=-forward, event=self.event)

    def _part(
        self, prop: Prop, x: float, y: float, at: tuple[float, float], angle: float, event: str
    ) -> Stamp:
        s, side = self.scale, self.side
        return Stamp(
            prop, x + side * s * at[0], y - s * at[1], s, across=side, angle=side * angle, event=event
        )

    def _limb(self, prop: Prop, top: tuple[float, float], end: tuple[float, float], length: float) -> Stamp:
        """From one point of the scene to another."""
        dx, dy = end[0] - top[0], end[1] - top[1]
        stretch = math.hypot(dx, dy) / (length * self.scale)
        return Stamp(prop, *top, self.scale, up=stretch, angle=math.atan2(-dx, dy), event=self.event)
