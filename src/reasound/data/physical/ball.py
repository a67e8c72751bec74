"""Balls: bounces with restitution, so that the times between them shrink by one factor."""

from __future__ import annotations

import numpy as np

from reasound.data.physical.sound import (
    Rng,
    Sound,
    Wave,
    add,
    aired,
    click,
    clock,
    count,
    finished,
    noise,
    room,
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


BALLS = {
    "basketball": (54.5, 0.031, 414.0, 3_000.0, 0.42),
    "tennis": (110.0, 0.018, 500.0, 3_200.0, 0.35),
    "rubber": (150.0, 0.022, 520.0, 2_600.0, 0.3),
    "pingpong": (420.0, 0.004, 1_100.0, 9_500.0, 0.9),
}
"""Hertz and decay of the air inside, lowest and highest mode of shell and floor and how loud they are."""


def contact(rng: Rng, what: str, force: float) -> Wave:
    """One bounce on a hard floor of one of BALLS. force: 0 to 1."""
    if what not in BALLS:
        raise ValueError(f"there is no ball {what!r}; choose one of {', '.join(BALLS)}")
    hertz, last, low, high, level = BALLS[what]
    n = count(0.3)
    t = clock(n)
    # The ball is flattest and its air stiffest at the first moment: the pitch drops.
    thud = np.sin(2 * np.pi * (hertz * t + 0.7 * (1.0 - np.exp(-t / 0.02)))) * np.exp(-t / last)
    shell = click(rng, 0.3, low, high, 25, (0.0007, 0.0098), 0.17)
    slap = noise(rng, n, 300.0, 4_000.0, 6.0) * np.exp(-t / 0.0048)
    return (thud + level * (0.4 + 0.6 * force) * shell + 0.011 * slap) * force


def bounce(
    rng: Rng, what: str = "basketball", height: float = 1.0, restitution: float = 0.78, most: int = 8
) -> Sound:
    """A dropped ball until it lies; silence before the first contact is left out."""
    times = bounce_times(height, restitution, most)
    begin = times[0][0] - 0.01
    out = np.zeros(count(times[-1][0] - begin + 0.35))
    for at, force in times:
        add(out, contact(rng, what, force), at - begin)
    return finished(
        aired(rng, room(rng, out, 0.31, 0.1, 4_650.0), bright=1_200.0), [at - begin for at, _ in times]
    )


def dribble(rng: Rng, what: str = "basketball", times: int = 6, gap: float = 0.45) -> Sound:
    """A ball dribbled at a steady pace."""
    onsets = [0.01 + i * gap * rng.uniform(0.95, 1.05) for i in range(times)]
    out = np.zeros(count(onsets[-1] + 0.5))
    for at in onsets:
        add(out, contact(rng, what, rng.uniform(0.75, 1.0)), at)
    return finished(aired(rng, room(rng, out, 0.31, 0.1, 4_650.0), bright=1_200.0), onsets)
