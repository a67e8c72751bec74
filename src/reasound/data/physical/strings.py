"""Strings: plucked (Karplus & Strong 1983, in the spectrum), struck (piano) and bowed; and the organ beside them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reasound.data.physical.sound import (
    Rng,
    Sound,
    Wave,
    add,
    aired,
    clock,
    count,
    finished,
    harmonics,
    modes,
    noise,
    phase_of,
    room,
    swell,
    wander,
)

Notes = tuple[float, ...]
"""Pitches in hertz."""


def laid_out(notes: Notes, gap: float) -> list[float]:
    """When each note starts: one after another, or all together where the gap is 0."""
    return [0.01 + gap * i for i in range(len(notes))]


def pluck(
    rng: Rng, notes: Notes = (196.0,), gap: float = 0.25, seconds: float = 2.0, bright: float = 0.5
) -> Sound:
    """Plucked strings. bright: 0 a thumb near the middle, 1 a pick near the bridge."""
    starts = laid_out(notes, gap)
    out = np.zeros(count(starts[-1] + seconds))
    place = 0.5 - 0.38 * bright
    for at, note in zip(starts, notes, strict=True):
        k = np.arange(1, int(min(60, 12_000.0 / note)) + 1)
        hertz = note * k * np.sqrt(1.0 + 6e-5 * k**2)
        level = np.abs(np.sin(np.pi * k * place)) / k ** (1.6 - 0.7 * bright)
        ring = (1.6 / (1.0 + 0.06 * k**1.2)) * (200.0 / note) ** 0.4
        wave = modes(count(seconds), hertz, ring, level, rng.uniform(0, 0.3, len(k)))
        m = count(0.012)
        wave[:m] += 0.1 * np.abs(wave).max() * noise(rng, m, 200.0, 4_000.0) * swell(m, 0.001, 0.01)
        add(out, wave, at, rng.uniform(0.8, 1.0))
    return finished(room(rng, out, 0.5, 0.2), starts)


def piano(
    rng: Rng, notes: Notes = (261.6,), gap: float = 0.3, seconds: float = 2.5, force: float = 0.6
) -> Sound:
    """Felt hammers on stiff strings, two or three a note, slightly apart: a fast and a slow decay. force: 0 to 1."""
    starts = laid_out(notes, gap)
    out = np.zeros(count(starts[-1] + seconds))
    for at, note in zip(starts, notes, strict=True):
        k = np.arange(1, int(min(40, 14_000.0 / note)) + 1)
        stiff = 1.5e-4 * (note / 260.0) ** 1.2
        hertz = note * k * np.sqrt(1.0 + stiff * k**2)
        hammer = np.abs(np.sin(np.pi * k / 8.2)) + 0.08
        level = hammer / k**0.9 / (1.0 + (hertz / (900.0 + 3_500.0 * force)) ** 2)
        ring = 3.2 * (262.0 / note) ** 0.6 / (1.0 + 0.05 * k)
        n = count(seconds)
        wave = np.zeros(n)
        for cents, share, length in ((-0.5, 0.5, 0.35), (0.0, 0.6, 1.0), (0.6, 0.35, 1.2)):
            wave += modes(
                n, hertz * 2 ** (cents / 1_200), ring * length, level * share, rng.uniform(0, 6.28, len(k))
            )
        m = count(0.05)
        thud = noise(rng, m, 60.0, 900.0, 9.0) * np.exp(-clock(m) / 0.012)
        wave[:m] += 0.1 * force * np.abs(wave).max() * thud / np.abs(thud).max()
        wave *= swell(n, 0.003, 0.15)
        add(out, wave, at, rng.uniform(0.8, 1.0))
    return finished(room(rng, out, 0.9, 0.3), starts)


def organ(rng: Rng, notes: Notes = (261.6, 329.6, 392.0), seconds: float = 2.5, stops: float = 0.6) -> Sound:
    """A pipe-organ chord. stops: 0 a single flute stop to 1 full organ."""
    n = count(seconds)
    out = np.zeros(n)
    for note in notes:
        for foot, level in (
            (0.5, 0.5 * stops),
            (1.0, 1.0),
            (2.0, 0.7 * stops),
            (3.0, 0.3 * stops),
            (4.0, 0.5 * stops),
        ):
            hertz = note * foot * (1.0 + 0.0008 * wander(rng, n, 4.0)) * 2 ** (rng.uniform(-3, 3) / 1_200)

            def gain(k: int, f: Wave, q: Wave, level: float = level) -> Wave:
                return np.full(f.shape, level * (0.35 + 0.3 * stops) ** (k - 1))

            out += harmonics(hertz, gain, 8)
    out = out + 0.01 * out.std() * noise(rng, n, 1_000.0, 6_000.0)
    return finished(room(rng, out * swell(n, 0.06, 0.08), 1.8, 0.5, 4_000.0), (0.02,))


def box(size: float) -> Callable[[Wave], Wave]:
    """The many narrow resonances of an instrument's body, so that vibrato makes every partial flicker on its own."""
    fixed = np.random.default_rng(5)
    centres = np.exp(fixed.uniform(np.log(230.0), np.log(6_500.0), 25)) / size
    levels = np.exp(0.5 * fixed.standard_normal(25))

    def gain(hertz: Wave) -> Wave:
        x = np.maximum(hertz, 1.0)[..., None] / centres
        return np.asarray(0.064 + (levels / np.sqrt(1.0 + ((x - 1.0 / x) * 11.6) ** 2)).sum(-1))

    return gain


def bowed(
    rng: Rng,
    notes: Notes = (440.0,),
    length: float = 0.55,
    size: float = 1.0,
    vibrato: float = 0.7,
    bow: float = 1.0,
    players: int = 1,
) -> Sound:
    """A bowed line of notes of `length` seconds.

    size: 1 violin, 1.4 viola, 2.4 cello; bow: how much it rasps, 1 is usual; players: 1 to 8.
    """
    n = count(len(notes) * length)
    t = clock(n)
    out = np.zeros(n)
    starts = [0.02 + i * length for i in range(len(notes))]
    pitches = np.log2(np.asarray(notes))[np.minimum((t / length).astype(int), len(notes) - 1)]
    slide = count(0.028)
    kernel = np.hanning(slide + 2)[1:-1]
    pitches = np.convolve(np.pad(pitches, slide, mode="edge"), kernel / kernel.sum(), "same")[slide:-slide]
    body = box(size)
    for _ in range(players):
        late = np.clip((t % length) / 0.2, 0.0, 1.0)
        swing = 0.01 * vibrato * late * np.sin(2 * np.pi * rng.uniform(5.3, 6.1) * t + rng.uniform(0, 6))
        cents = rng.normal(0.0, 7.0 if players > 1 else 1.0)
        hertz = 2 ** (pitches + cents / 1_200) * (1 + swing + 0.0026 * wander(rng, n, 12.0))

        def gain(k: int, f: Wave, q: Wave) -> Wave:
            return body(f) * k**-0.66 / (1.0 + (f * size**0.7 / 4_650.0) ** 2)

        wave = harmonics(hertz, gain, 50)
        stroke = np.ones(n)
        for start in starts[1:]:
            stroke *= 1.0 - 0.49 * np.exp(-(((t - start + 0.02) / 0.024) ** 2))
        rasp = noise(rng, n, 650.0, 9_000.0, 6.0) * (0.5 + 0.5 * np.cos(phase_of(hertz)))
        wave += 0.0175 * bow * wave.std() * rasp
        out += wave * stroke * (1.0 + 0.11 * wander(rng, n, 8.0))
    out *= swell(n, 0.075, 0.2)
    return finished(aired(rng, room(rng, out, 0.34, 0.5, 4_400.0), -59.0), starts)
