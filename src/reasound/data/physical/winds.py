"""Winds: additive tones whose brightness follows the breath (Risset & Mathews 1969), with breath noise."""

from __future__ import annotations

from collections.abc import Callable

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
    room,
    smooth,
    swell,
    wander,
)

Notes = tuple[float, ...]
Colour = Callable[[int, Wave, Wave], Wave]
"""(harmonic, hertz, loudness 0..1) -> level."""


def played(
    rng: Rng,
    notes: Notes,
    lengths: tuple[float, ...],
    colour: Colour,
    attack: float,
    vibrato: float,
    breath: float,
    scoop: float = 0.01,
    space: float = 1.0,
) -> Sound:
    """A line of tongued notes; a note starts `scoop` octaves flat and swells over `attack` seconds."""
    at, onsets = 0.01, []
    out = np.zeros(count(sum(lengths) + 0.3))
    for note, length in zip(notes, lengths, strict=True):
        n = count(length * rng.uniform(0.9, 0.97))
        t = clock(n)
        blow = swell(n, attack, min(0.07, length / 4)) * smooth(
            n, (0, 0.85), (0.25, 1.0), (0.8, 0.85), (1, 0.5)
        )
        hertz = note * 2 ** (-scoop * np.exp(-t / 0.03))
        wobble = vibrato * np.clip(t / 0.4 - 0.4, 0, 1) * np.sin(2 * np.pi * rng.uniform(4.8, 5.8) * t)
        hertz = hertz * (1 + 0.006 * wobble + 0.0015 * wander(rng, n, 10.0))
        loud = np.clip(blow * (1 + 0.15 * wobble + 0.04 * wander(rng, n, 12.0)), 0.0, 1.2)

        def gain(k: int, f: Wave, q: Wave, loud: Wave = loud) -> Wave:
            level = np.interp(q, np.linspace(0, 1, len(loud)), loud)
            return colour(k, f, level)

        wave = harmonics(hertz, gain, 40)
        air = noise(rng, n, 0.8 * note, 7_000.0, 6.0) * loud
        add(out, wave + breath * max(wave.std(), 1e-9) * air, at)
        onsets.append(at + 0.3 * attack)
        at += length
    return finished(room(rng, out, space, 0.35), onsets)


def brass(
    rng: Rng,
    notes: Notes = (233.1,),
    lengths: tuple[float, ...] = (0.8,),
    size: float = 1.0,
    force: float = 0.7,
) -> Sound:
    """size: 1 trumpet, 2 trombone or horn, 4 tuba; force: 0 soft and dark to 1 blaring."""
    cut = 1_150.0 / size**0.75

    def colour(k: int, f: Wave, loud: Wave) -> Wave:
        edge = cut * (0.5 + 2.4 * force * loud**1.6)
        bell = 1.0 / (1.0 + (250.0 / size / f) ** 2)
        return np.asarray(loud * bell / (1.0 + (f / edge) ** 3) ** 0.9)

    return played(rng, notes, lengths, colour, 0.05 + 0.02 * size, 0.35, 0.02, 0.04, 1.2)


def flute(rng: Rng, notes: Notes = (587.3,), lengths: tuple[float, ...] = (0.6,), air: float = 0.5) -> Sound:
    """Nearly a sine, with its octave and air. air: 0 to 1."""

    def colour(k: int, f: Wave, loud: Wave) -> Wave:
        level = (1.0, 0.45, 0.18, 0.07, 0.03, 0.015)[k - 1] if k <= 6 else 0.0
        return np.asarray(loud ** (0.7 + 0.4 * k) * level)

    return played(rng, notes, lengths, colour, 0.06, 1.0, 0.04 + 0.14 * air, 0.01, 1.3)


def clarinet(
    rng: Rng, notes: Notes = (293.7,), lengths: tuple[float, ...] = (0.6,), force: float = 0.6
) -> Sound:
    """A closed pipe: odd harmonics."""

    def colour(k: int, f: Wave, loud: Wave) -> Wave:
        even = 0.06 + 0.5 * np.clip((f - 1_600.0) / 2_000.0, 0, 1) if k % 2 == 0 else 1.0
        return np.asarray(loud * even / k**0.7 / (1.0 + (f / (900.0 + 1_800.0 * force * loud)) ** 2.2))

    return played(rng, notes, lengths, colour, 0.04, 0.15, 0.03, 0.005, 0.9)


def reed(rng: Rng, notes: Notes = (220.0,), lengths: tuple[float, ...] = (0.6,), size: float = 1.0) -> Sound:
    """A cone with a reed: saxophone. size: 0.7 soprano, 1 alto, 1.5 tenor."""
    formants = ((520.0 / size**0.5, 250.0, 3.0), (1_300.0 / size**0.5, 400.0, 2.0), (2_700.0, 900.0, 0.9))

    def colour(k: int, f: Wave, loud: Wave) -> Wave:
        horn = 0.3 + sum(g / (1.0 + ((f - c) / w) ** 2) for c, w, g in formants)
        return np.asarray(loud * horn / k**0.55 / (1.0 + (f / (1_500.0 + 2_500.0 * loud)) ** 2.5))

    return played(rng, notes, lengths, colour, 0.035, 0.6, 0.07, 0.03, 0.9)
