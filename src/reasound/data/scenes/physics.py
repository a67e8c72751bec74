"""How things move: closed forms, from which both the pictures and the truth about them follow.

Lengths are pixels of the scene (a thing nearer to the camera is larger, see stage.METRES), times are seconds, y and
heights grow upwards here.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

_QUICKEST_FLIGHT = 0.2
"""Seconds: a flight shorter than this is none; the ball stays down."""


def smooth(share: float) -> float:
    """0 to 1 without a jerk at either end; clipped outside."""
    u = min(max(share, 0.0), 1.0)
    return u * u * (3 - 2 * u)


def scattered(n: int) -> float:
    """-1 to 1, another one for each whole number and always the same: which way a drop flies."""
    return 2 * ((math.sin(12.9898 * n) * 43758.5453) % 1.0) - 1


def pulse(time: float, times: Sequence[float], strengths: Sequence[float], rise: float = 0.08) -> float:
    """Starts suddenly at each of `times`, is at its highest (its strength) after `rise` seconds and fades away."""
    height = 0.0
    for at, strength in zip(times, strengths, strict=True):
        if time > at:
            u = (time - at) / rise
            height += strength * u * math.exp(1 - u)
    return height


def jolt(time: float, times: Sequence[float], strengths: Sequence[float]) -> float:
    """What gives way at each blow and comes back in a few frames: 0 to about 1."""
    return sum(
        s * math.exp(-(time - at) / 0.07) * math.cos(24 * (time - at))
        for at, s in zip(times, strengths, strict=True)
        if 0 <= time - at < 0.6
    )


@dataclass(frozen=True)
class Bouncing:
    """Falls from rest at `begin` from height `drop`, and keeps a share of its speed at each contact."""

    drop: float
    gravity: float
    restitution: float
    begin: float = 0.0

    @cached_property
    def contacts(self) -> tuple[tuple[float, float], ...]:
        """(time, speed of impact) of all, until it stays down."""
        speed = math.sqrt(2 * self.drop * self.gravity)
        at = self.begin + speed / self.gravity
        found = [(at, speed)]
        while 2 * speed * self.restitution / self.gravity >= _QUICKEST_FLIGHT:
            speed *= self.restitution
            at += 2 * speed / self.gravity
            found.append((at, speed))
        return tuple(found)

    def height(self, time: float) -> float:
        """Of its lowest point above the floor."""
        first = self.contacts[0][0]
        if time <= first:
            return self.drop - self.gravity / 2 * max(time - self.begin, 0.0) ** 2
        k = bisect_right(self.contacts, (time, math.inf)) - 1
        if k == len(self.contacts) - 1:
            return 0.0
        start, end = self.contacts[k][0], self.contacts[k + 1][0]
        return self.gravity / 2 * (time - start) * (end - time)


@dataclass(frozen=True)
class Swinging:
    """A tool that comes down on each of `times`: angle 0 is contact, more is raised, radians.

    It falls with constant angular acceleration for `FALL` seconds from a height in proportion to the strength, so the
    speed of contact is in proportion, too; it springs back suddenly and is then raised for the next.
    """

    times: tuple[float, ...]
    strengths: tuple[float, ...]
    reach: float
    """Angle from which a blow of strength 1 comes."""

    FALL = 0.16
    REBOUND = 0.14
    SHORTEST = 0.55
    """Least time between two blows."""

    def speed(self, k: int) -> float:
        """Radians a second with which blow k lands."""
        return 2 * self.reach * self.strengths[k] / self.FALL

    def angle(self, time: float) -> float:
        k = bisect_right(self.times, time) - 1  # the last blow
        last = k == len(self.times) - 1
        raised = self.reach * (0.5 if last else self.strengths[k + 1])
        begin = math.inf if last else self.times[k + 1] - self.FALL
        if time > begin:
            return raised * (1 - ((time - begin) / self.FALL) ** 2)
        if k < 0:
            return raised
        back = 0.3 * self.reach * self.strengths[k]
        u = (time - self.times[k]) / self.REBOUND
        if u < 1:
            return back * (1 - (1 - u) ** 2)
        ready = self.times[k] + 0.8 if last else begin - 0.03
        left = self.times[k] + self.REBOUND
        return back + (raised - back) * smooth((time - left) / (ready - left))


@dataclass(frozen=True)
class Rolling:
    """Along a track from 0 at `begin` with first speed and constant acceleration; at `length` it knocks against
    something, springs back and is slowed down to rest. Without reaching the end it comes to rest by itself."""

    begin: float
    speed: float
    acceleration: float
    length: float

    RESTITUTION = 0.25
    BRAKE = 110.0

    @cached_property
    def knock(self) -> float | None:
        """Time of the knock."""
        under = self.speed**2 + 2 * self.acceleration * self.length
        if under < 0:
            return None
        if abs(self.acceleration) < 1e-9:
            return self.begin + self.length / self.speed
        return self.begin + (math.sqrt(under) - self.speed) / self.acceleration

    @property
    def impact(self) -> float:
        """Speed of the knock; 0 without one."""
        return 0.0 if self.knock is None else self.speed + self.acceleration * (self.knock - self.begin)

    @property
    def rest(self) -> float:
        """When it moves no more."""
        if self.knock is None:
            return self.begin - self.speed / self.acceleration
        return self.knock + self.RESTITUTION * self.impact / self.BRAKE

    def place(self, time: float) -> float:
        if self.knock is None or time <= self.knock:
            u = min(max(time, self.begin), self.rest) - self.begin
            return self.speed * u + self.acceleration / 2 * u * u
        u = min(time, self.rest) - self.knock
        return self.length - self.RESTITUTION * self.impact * u + self.BRAKE / 2 * u * u


@dataclass(frozen=True)
class Walking:
    """Footfalls on each of `times`; between them the pace is even. Stands before and after."""

    start: float
    """When the first foot is lifted."""
    times: tuple[float, ...]
    stride: float
    """From one footfall to the next."""
    lift: float
    """How high a foot is raised."""

    def phase(self, time: float) -> float:
        """Number of steps done."""
        knots = (self.start, *self.times)
        return float(np.interp(time, knots, range(len(knots))))

    def body(self, time: float) -> tuple[float, float]:
        """(way, height) of the hips: on a stiff leg they are lowest, and turn, at every footfall."""
        phase = self.phase(time)
        return self.stride * phase, 0.28 * self.lift * abs(math.sin(math.pi * phase))

    def foot(self, side: int, time: float) -> tuple[float, float]:
        """(way, height) of foot 0 or 1. Foot 1 takes the first step, and stands behind until then."""
        phase = self.phase(time)
        # Foot `side` lands when the phase is `side`, `side` + 2, ... and is lifted one step later.
        down = side + 2 * math.floor((phase - side) / 2)
        u = phase - down - 1
        here = self.stride * (down + 0.5)
        if u <= 0 or phase >= len(self.times):
            return here, 0.0
        forward = u - math.sin(2 * math.pi * u) / (2 * math.pi)
        return here + 2 * self.stride * forward, self.lift * math.sin(math.pi * u)


@dataclass(frozen=True)
class Pouring:
    """A stream that leaves at `open` and is cut at `shut`, falling freely onto a level that rises with it."""

    open: float
    shut: float
    gravity: float
    first: float
    """How deep it falls at first,"""
    last: float
    """and at last."""

    @property
    def start(self) -> float:
        """When the first water arrives."""
        return self.open + math.sqrt(2 * self.first / self.gravity)

    @property
    def end(self) -> float:
        """When the last water has arrived."""
        return self.shut + math.sqrt(2 * self.last / self.gravity)

    def depth(self, time: float) -> float:
        """From the spout down to the surface."""
        return float(np.interp(time, (self.start, self.end), (self.first, self.last)))

    def stream(self, time: float) -> tuple[float, float] | None:
        """(upper, lower) end of what falls, below the spout; None where nothing does."""
        if not self.open < time < self.end:
            return None
        low = self.gravity / 2 * (time - self.open) ** 2
        high = self.gravity / 2 * max(time - self.shut, 0.0) ** 2
        surface = self.depth(time)
        return (high, min(low, surface)) if high < surface else None
