"""Songbirds: syllables of swept tones."""

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
    phase_of,
    room,
    smooth,
    swell,
)


def syllable(rng: Rng, pitch: float, seconds: float, shape: str, depth: float = 0.35) -> Wave:
    """One note of a syrinx. shape: up, down, arch, flat or buzz; depth in octaves."""
    n = count(seconds)
    d = 2.0**depth
    bend = {
        "up": ((0.0, pitch / d), (1.0, pitch * d)),
        "down": ((0.0, pitch * d), (1.0, pitch / d)),
        "arch": ((0.0, pitch / d), (0.45, pitch * d), (1.0, pitch / d)),
        "flat": ((0.0, pitch), (0.15, pitch * 1.03), (1.0, pitch * 0.97)),
        "buzz": ((0.0, pitch), (1.0, pitch)),
    }[shape]
    hertz = smooth(n, *bend)
    if shape == "buzz":
        hertz = hertz * (1.0 + 0.12 * np.sin(2 * np.pi * rng.uniform(45.0, 90.0) * clock(n)))
    phase = phase_of(hertz)
    wave = np.sin(phase) + 0.08 * np.sin(2 * phase) + 0.02 * np.sin(3 * phase)
    return (
        wave
        * swell(n, min(0.012, seconds / 4), min(0.02, seconds / 3))
        * smooth(n, (0, 0.7), (0.5, 1), (1, 0.6))
    )


def song(rng: Rng, pitch: float = 4_000.0, phrases: int = 3, pace: float = 8.0, trill: float = 0.4) -> Sound:
    """A songbird: phrases of a few syllables, `pace` a second; trill: share of phrases that repeat one note fast."""
    at, onsets, notes = 0.03, [], []
    shapes = ("up", "down", "arch", "flat", "buzz")
    for _ in range(phrases):
        if rng.random() < trill:
            kind, p = str(rng.choice(shapes[:3])), pitch * 2 ** rng.uniform(-0.3, 0.4)
            many, gap = int(rng.integers(6, 14)), 1.0 / (pace * rng.uniform(1.4, 2.4))
            plan = [(kind, p * 2 ** (0.01 * i), gap * 0.65, gap) for i in range(many)]
        else:
            plan = []
            for _ in range(int(rng.integers(2, 6))):
                gap = 1.0 / (pace * rng.uniform(0.6, 1.3))
                kind = str(rng.choice(shapes, p=[0.28, 0.28, 0.24, 0.1, 0.1]))
                plan.append((kind, pitch * 2 ** rng.uniform(-0.45, 0.45), gap * rng.uniform(0.5, 0.8), gap))
        for kind, p, length, gap in plan:
            notes.append((at, syllable(rng, p, length, kind, rng.uniform(0.1, 0.45)), rng.uniform(0.6, 1.0)))
            onsets.append(at)
            at += gap
        at += rng.uniform(0.12, 0.5)
    out = np.zeros(count(at + 0.1))
    for when, wave, level in notes:
        add(out, wave, when, level)
    return finished(room(rng, out, 0.6, 0.25), onsets)


def chirps(rng: Rng, pitch: float = 4_500.0, times: int = 3, gap: float = 0.3, shape: str = "down") -> Sound:
    """The same short call, again and again (sparrow, chick)."""
    onsets = [0.02 + i * gap * rng.uniform(0.9, 1.1) for i in range(times)]
    out = np.zeros(count(onsets[-1] + 0.35))
    length, depth = rng.uniform(0.05, 0.12), rng.uniform(0.25, 0.6)
    for at in onsets:
        add(
            out,
            syllable(rng, pitch * rng.uniform(0.97, 1.03), length, shape, depth),
            at,
            rng.uniform(0.7, 1.0),
        )
    return finished(room(rng, out, 0.5, 0.25), onsets)
