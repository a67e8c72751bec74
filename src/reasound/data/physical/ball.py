"""Balls: bounces with restitution, so that times between bounces shrink by one factor, and rolling."""

from __future__ import annotations

import numpy as np

from reasound.data.physical.modal import body, strike
from reasound.data.physical.sound import (
    Rng,
    Sound,
    Wave,
    add,
    clock,
    count,
    finished,
    modes,
    noise,
    room,
    smooth,
    swell,
    wander,
)

GRAVITY = 9.81


def bounce_times(height: float, restitution: float, most: int) -> list[tuple[float, float]]:
    """(seconds, impact speed relative to the first) of a ball dropped from `height` metres at time 0."""
    at = np.sqrt(2 * height / GRAVITY)
    speed = np.sqrt(2 * GRAVITY * height)
    first, out = speed, []
    for _ in range(most):
        out.append((float(at), float(speed / first)))
        speed *= restitution
        at += 2 * speed / GRAVITY
        if speed / first < 0.08:
            break
    return out


def contact(rng: Rng, what: str, force: float) -> Wave:
    """One bounce. what: basketball, tennis, pingpong, rubber or marble (on a hard floor)."""
    n = count(0.28)
    t = clock(n)
    if what == "basketball":
        thud = np.sin(2 * np.pi * (72.0 + 45.0 * np.exp(-t / 0.02)) * t) * np.exp(-t / 0.045)
        shell = modes(
            n,
            np.array([310.0, 470.0, 680.0, 930.0, 1_180.0]) * rng.uniform(0.98, 1.02),
            np.array([0.03, 0.025, 0.05, 0.045, 0.04]),
            np.array([0.5, 0.4, 0.35, 0.3, 0.2]) * (0.5 + force),
        )
        slap = noise(rng, n, 300.0, 4_500.0, 6.0) * np.exp(-t / 0.006) * 0.35 * force
        return (thud + 0.6 * shell + slap) * force
    if what == "pingpong":
        return (
            modes(
                n,
                np.array([5_600.0, 7_900.0, 9_300.0, 1_150.0]),
                np.array([0.003, 0.002, 0.002, 0.006]),
                np.array([1.0, 0.5, 0.4, 0.6]),
            )
            * force
        )
    if what == "marble":
        return strike(rng, body(np.random.default_rng(7), "glass", 0.5), 0.28, force, 0.0)
    low = {"tennis": 165.0, "rubber": 240.0}[what]
    pop = modes(
        n,
        np.array([low, 2.3 * low, 4.1 * low, 6.5 * low]),
        np.array([0.018, 0.01, 0.006, 0.004]),
        np.array([1.0, 0.6, 0.4, 0.3]),
    )
    felt = noise(rng, n, 400.0, 3_500.0, 6.0) * np.exp(-t / 0.004) * 0.4
    return (pop + felt) * force


def bounce(
    rng: Rng, what: str = "basketball", height: float = 1.0, restitution: float = 0.78, most: int = 8
) -> Sound:
    """A dropped ball until it lies; silence before the first contact is left out."""
    times = bounce_times(height, restitution, most)
    begin = times[0][0] - 0.01
    out = np.zeros(count(times[-1][0] - begin + 0.35))
    for at, force in times:
        add(out, contact(rng, what, force), at - begin)
    return finished(room(rng, out, 0.7, 0.3, 5_000.0), [at - begin for at, _ in times])


def dribble(rng: Rng, what: str = "basketball", times: int = 6, gap: float = 0.45) -> Sound:
    """A ball dribbled at a steady pace."""
    onsets = [0.01 + i * gap * rng.uniform(0.95, 1.05) for i in range(times)]
    out = np.zeros(count(onsets[-1] + 0.5))
    for at in onsets:
        add(out, contact(rng, what, rng.uniform(0.75, 1.0)), at)
    return finished(room(rng, out, 1.0, 0.4, 5_000.0), onsets)


def roll(rng: Rng, seconds: float = 2.5, weight: float = 0.7) -> Sound:
    """A heavy ball rolling on wood: rumble with the bumps of each turn."""
    n = count(seconds)
    low = noise(rng, n, 50.0, 300.0 + 500.0 * (1 - weight), 6.0)
    turn = 1.0 + 0.4 * np.sin(2 * np.pi * np.cumsum(smooth(n, (0, 6.0), (1, 3.5))) / 44_100)
    knock = noise(rng, n, 300.0, 2_200.0, 6.0) * np.clip(wander(rng, n, 35.0), 0, 3) * 0.25
    out = (low * turn + knock) * smooth(n, (0, 0.3), (0.4, 1.0), (1, 0.3)) * swell(n, 0.1, 0.3)
    return finished(room(rng, out, 0.9, 0.3), (0.05,))
