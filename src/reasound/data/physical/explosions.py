"""Fireworks: a launch with its whistle, a burst, crackle; firecrackers."""

from __future__ import annotations

import numpy as np

from reasound.data.physical.sound import (
    Rng,
    Sound,
    Wave,
    add,
    clock,
    count,
    filtered,
    finished,
    noise,
    phase_of,
    room,
    smooth,
    wander,
)


def bang(rng: Rng, size: float = 1.0, far: float = 0.5) -> Wave:
    """A report: N-wave, blast noise that darkens, low boom. size: 0.2 firecracker to 2 shell; far: 0 to 1."""
    n = count(0.25 + 0.9 * size)
    t = clock(n)
    crack = noise(rng, n, 150.0, 9_000.0 * (1 - 0.75 * far), 6.0) * np.exp(-t / (0.02 + 0.03 * size))
    body = noise(rng, n, 50.0, 900.0, 6.0) * np.exp(-t / (0.06 + 0.14 * size))
    boom = np.sin(2 * np.pi * (48.0 + 40.0 * np.exp(-t / 0.05)) / size**0.3 * t) * np.exp(
        -t / (0.1 + 0.12 * size)
    )
    return (crack + 0.7 * body + 0.9 * size * boom) * np.minimum(t / 0.0015, 1.0)


def crackle(rng: Rng, seconds: float, rate: float, bright: float = 1.0) -> Wave:
    """Small reports that thin out."""
    out = np.zeros(count(seconds + 0.06))
    for at in np.sort(rng.beta(1.1, 2.2, rng.poisson(rate * seconds))) * seconds:
        m = count(rng.uniform(0.008, 0.03))
        pop = noise(rng, m, 500.0, 10_000.0 * bright, 6.0) * np.exp(-clock(m) / rng.uniform(0.001, 0.006))
        add(out, pop, float(at), rng.exponential(0.5))
    return out


def rocket(rng: Rng, size: float = 1.0, whistle: float = 0.7, sparks: float = 0.6, far: float = 0.4) -> Sound:
    """One firework: hiss and whistle as it climbs, the burst, crackling sparks."""
    climb = rng.uniform(0.7, 1.4)
    n = count(climb)
    x = np.linspace(0, 1, n)
    hiss = noise(rng, n, 500.0, 7_000.0, 6.0) * smooth(n, (0, 0), (0.06, 1.0), (1, 0.25))
    start = rng.uniform(1_700.0, 2_600.0)
    hertz = start * (1.0 + 0.9 * x * rng.choice([1.0, -0.45])) * (1 + 0.01 * wander(rng, n, 25.0))
    tone = np.sin(phase_of(hertz)) + 0.3 * np.sin(2 * phase_of(hertz))
    rise = 0.12 * hiss + 0.3 * whistle * tone * smooth(n, (0, 0), (0.15, 1), (0.9, 0.5), (1, 0))
    length = 1.6 + 1.5 * sparks
    out = np.zeros(count(climb + 0.12 + length))
    add(out, rise, 0.0)
    thump = bang(rng, 0.5, 0.8)
    add(out, thump / np.abs(thump).max(), 0.0, 0.45)
    at = climb + 0.12
    burst = bang(rng, size, far)
    add(out, burst / np.abs(burst).max(), at)
    if sparks > 0:
        add(out, crackle(rng, length - 0.2, 70.0 * sparks, 1 - 0.5 * far), at + 0.25, 0.28)
    return finished(room(rng, out, 1.6, 0.5, 3_500.0), (0.005, at))


def display(rng: Rng, seconds: float = 7.0, rate: float = 1.4, far: float = 0.6) -> Sound:
    """Many bursts over a town: so many a second, with echo."""
    out = np.zeros((2, count(seconds)))
    onsets: list[float] = []
    at = 0.05
    while at < seconds - 1.0:
        pop = bang(rng, rng.uniform(0.4, 1.6), far)
        angle = rng.uniform(0.2, 1.37)
        both = np.stack([np.cos(angle) * pop, np.sin(angle) * pop])
        add(out, both / np.abs(pop).max(), at, rng.uniform(0.3, 1.0))
        if rng.random() < 0.5:
            rain = crackle(rng, 1.2, 55.0, 0.8)
            add(out, np.stack([np.cos(angle) * rain, np.sin(angle) * rain]), at + 0.2, 0.2)
        onsets.append(at)
        at += rng.exponential(1.0 / rate) + 0.08
    wet = np.stack([room(rng, side, 2.2, 0.7, 2_500.0) for side in out])
    return finished(filtered(wet, (40, 200, 3_000, 12_000), (0, 0, -2, -14 * far)), onsets, tail=0.3)


def firecrackers(rng: Rng, pops: int = 12, gap: float = 0.09) -> Sound:
    """A string of firecrackers."""
    at, onsets = 0.01, []
    out = np.zeros(count(pops * gap * 1.6 + 0.6))
    for _ in range(pops):
        wave = bang(rng, rng.uniform(0.12, 0.3), 0.1)
        add(out, wave / np.abs(wave).max(), at, rng.uniform(0.4, 1.0))
        onsets.append(at)
        at += gap * rng.uniform(0.3, 1.7)
    return finished(room(rng, out[: count(at + 0.3)], 0.9, 0.5), onsets)
