"""Strings: plucked (Karplus & Strong 1983, in the spectrum), struck (piano) and bowed; and the organ beside them."""

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
    modes,
    noise,
    room,
    smooth,
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


BODY = (
    (280.0, 60.0, 6.0),
    (460.0, 80.0, 7.0),
    (700.0, 150.0, 3.0),
    (1_150.0, 250.0, 4.0),
    (2_600.0, 900.0, 7.0),
)
"""Resonances of a violin's box: hertz, width, decibels."""


def bowed(
    rng: Rng,
    notes: Notes = (440.0,),
    length: float = 1.0,
    size: float = 1.0,
    vibrato: float = 0.5,
    players: int = 1,
) -> Sound:
    """A bowed line. size: 1 violin, 1.6 viola, 2.6 cello, 4 double bass; length: seconds a note; players: 1 to 8."""
    total = len(notes) * length
    n = count(total)
    t = clock(n)
    out = np.zeros(n)
    starts = [0.02 + i * length for i in range(len(notes))]
    index = np.minimum((t / length).astype(int), len(notes) - 1)
    for _ in range(players):
        detune = 2 ** (rng.normal(0.0, 6.0 if players > 1 else 1.0) / 1_200)
        target = np.log2(np.asarray(notes)[index])
        glide = count(0.04)
        kernel = np.hanning(glide + 2)[1:-1]
        target = np.convolve(np.pad(target, glide, mode="edge"), kernel / kernel.sum(), "same")[glide:-glide]
        grow = np.clip((t % length) / 0.35 - 0.3, 0.0, 1.0)
        rate = rng.uniform(5.2, 6.2)
        depth = 0.011 * vibrato * grow
        hertz = 2**target * detune * (1 + depth * np.sin(2 * np.pi * rate * t + rng.uniform(0, 6)))
        hertz = hertz * (1 + 0.0025 * wander(rng, n, 12.0))

        def gain(k: int, f: Wave, q: Wave) -> Wave:
            box = 0.0
            for centre, width, level in BODY:
                box = box + level / (1.0 + ((f * size - centre) / width) ** 2)
            return np.asarray(
                (0.8 + box) / k / np.sqrt(1.0 + (f * size**0.5 / 4_500.0) ** 4) * (1 + 0.3 * np.sin(1.7 * k))
            )

        wave = harmonics(hertz, gain, 60)
        bow = np.ones(n)
        for start in starts:
            bow *= 1.0 - 0.75 * np.exp(-(((t - start + 0.01) / 0.03) ** 2))
        press = 1.0 + 0.1 * wander(rng, n, 7.0)
        scratch = noise(rng, n, 900.0 / size**0.5, 7_000.0, 6.0)
        scratch *= (0.5 + 0.5 * np.cos(2 * np.pi * np.cumsum(hertz) / 44_100)) * wave.std() * 0.09
        out += (wave + scratch) * bow * press
    out *= swell(n, 0.09, 0.18) * smooth(n, (0, 0.75), (0.5, 1), (1, 0.8))
    return finished(room(rng, out, 1.1, 0.35), starts)


def harp_run(rng: Rng, low: float = 196.0, many: int = 8, gap: float = 0.12) -> Sound:
    """A run of plucked notes up a major scale."""
    scale = (0, 2, 4, 5, 7, 9, 11)
    notes = tuple(low * 2 ** ((12 * (i // 7) + scale[i % 7]) / 12) for i in range(many))
    return pluck(rng, notes, gap, 2.2, 0.4)
