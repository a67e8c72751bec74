"""Insects: stridulation (files and scrapers) and wing beats."""

from __future__ import annotations

import numpy as np

from reasound.data.physical.sound import (
    Rng,
    Sound,
    Wave,
    add,
    clock,
    count,
    finished,
    harmonics,
    noise,
    phase_of,
    smooth,
    swell,
    wander,
)


def cricket_song(
    rng: Rng, seconds: float, pitch: float, chirps: float, pulses: int
) -> tuple[Wave, list[float]]:
    """One field cricket: chirps of some pulses of a nearly pure tone. Returns the wave and the times of its chirps."""
    out = np.zeros(count(seconds))
    at, onsets = rng.uniform(0.02, 1.0 / chirps), []
    gap = rng.uniform(0.028, 0.04)
    n = count(gap * 0.6)
    while at < seconds - pulses * gap:
        onsets.append(at)
        for i in range(pulses):
            hertz = np.full(n, pitch * rng.uniform(0.995, 1.005)) * smooth(n, (0, 1.015), (1, 0.985))
            pulse = np.sin(phase_of(hertz)) * smooth(n, (0, 0), (0.4, 1), (1, 0))
            add(out, pulse, at + i * gap, 0.6 + 0.4 * (i + 1) / pulses)
        at += 1.0 / chirps * rng.uniform(0.95, 1.05)
    return out, onsets


def cricket(
    rng: Rng, seconds: float = 3.0, pitch: float = 4_600.0, chirps: float = 2.5, pulses: int = 4
) -> Sound:
    """A single cricket near by."""
    wave, onsets = cricket_song(rng, seconds, pitch, chirps, pulses)
    return finished(wave + 0.004 * noise(rng, len(wave), 200.0, 8_000.0, 6.0), onsets)


def night(rng: Rng, seconds: float = 12.0, crickets: int = 7, trill: float = 0.4, frogs: int = 0) -> Sound:
    """A summer night, stereo: crickets near and far, the steady trill of tree crickets, perhaps frogs; soft air."""
    n = count(seconds)
    out = np.stack([noise(rng, n, 100.0, 2_500.0, 6.0) for _ in range(2)]) * 0.012

    def place(wave: Wave, level: float) -> None:
        pan = rng.uniform(0.0, np.pi / 2)
        out[0] += level * np.cos(pan) * wave
        out[1] += level * np.sin(pan) * wave

    for i in range(crickets):
        wave, _ = cricket_song(
            rng, seconds, rng.uniform(3_900.0, 5_400.0), rng.uniform(1.4, 3.2), int(rng.integers(3, 6))
        )
        place(wave, 0.5 * 0.72**i)
    t = clock(n)
    for _ in range(3):
        beat = rng.uniform(38.0, 60.0)
        comb = np.clip(np.sin(2 * np.pi * beat * t + rng.uniform(0, 6)), 0.0, 1.0) ** 0.7
        tone = np.sin(2 * np.pi * rng.uniform(2_900.0, 6_800.0) * t + 0.4 * wander(rng, n, 6.0))
        place(tone * comb * (1.0 + 0.2 * wander(rng, n, 0.7)), 0.12 * trill)
    for _ in range(frogs):
        at, pitch = rng.uniform(0.2, 2.0), rng.uniform(500.0, 1_100.0)
        wave = np.zeros(n)
        while at < seconds - 0.5:
            add(wave, croak(rng, pitch), at)
            at += rng.uniform(0.5, 1.8)
        place(wave, rng.uniform(0.08, 0.2))
    return finished(out, ())


def croak(rng: Rng, pitch: float) -> Wave:
    """One call of a frog: pulses of a tone around `pitch`."""
    n = count(rng.uniform(0.12, 0.22))
    pulses = np.exp(-4.0 * ((clock(n) * rng.uniform(35.0, 48.0)) % 1.0))

    def gain(k: int, f: Wave, q: Wave) -> Wave:
        return np.exp(-(((f - pitch) / (0.35 * pitch)) ** 2))

    return harmonics(np.full(n, pitch / 4), gain, 24) * pulses * swell(n, 0.02, 0.04)


def buzz(
    rng: Rng, seconds: float = 3.0, wingbeat: float = 200.0, passes: int = 2, rasp: float = 0.5
) -> Sound:
    """A flying insect that comes close `passes` times.

    wingbeat: 130 bee, 200 fly, 550 mosquito, in hertz; rasp: 0 a pure tone to 1 rough.
    """
    n = count(seconds)
    t = clock(n)
    near = np.full(n, 0.12)
    speed = np.zeros(n)
    for i in range(passes):
        centre = seconds * (i + rng.uniform(0.35, 0.65)) / passes
        width = rng.uniform(0.18, 0.45)
        near = np.maximum(near, 1.0 / (1.0 + ((t - centre) / width) ** 2))
        speed += -np.tanh((t - centre) / width) * 0.02
    hertz = wingbeat * (1.0 + 0.03 * wander(rng, n, 3.0) + 0.012 * wander(rng, n, 18.0) + speed)
    body = (rng.uniform(2.0, 3.0) * wingbeat, rng.uniform(7.0, 12.0) * wingbeat)

    def gain(k: int, f: Wave, q: Wave) -> Wave:
        bump = sum(np.exp(-(((f - b) / (0.6 * b)) ** 2)) for b in body)
        return np.asarray((0.25 + bump) * k ** (-0.9 + 0.35 * rasp))

    wave = harmonics(hertz, gain, 40)
    wave *= 1.0 + 0.25 * rasp * wander(rng, n, 60.0)
    return finished(wave * near * swell(n, 0.15, 0.25), (0.05,))


def stridulate(rng: Rng, seconds: float = 3.0, rate: float = 12.0, low: float = 5_000.0) -> Sound:
    """A grasshopper or cicada: bursts of dry noise, so many a second."""
    out = np.zeros(count(seconds))
    at, onsets = 0.03, []
    while at < seconds - 0.1:
        train = at + rng.uniform(0.5, 1.2)
        onsets.append(at)
        while at < min(train, seconds - 0.06):
            n = count(0.6 / rate)
            ticks = np.exp(-5.0 * ((clock(n) * rng.uniform(180.0, 240.0)) % 1.0))
            add(out, noise(rng, n, low, 2.2 * low, 24.0) * ticks * smooth(n, (0, 0.1), (0.7, 1), (1, 0)), at)
            at += 1.0 / rate
        at += rng.uniform(0.2, 0.7)
    return finished(out + 0.002 * noise(rng, len(out), 200.0, 6_000.0, 6.0), onsets)
