"""Struck solids: each is a set of modes that ring and die by its material, excited by a short contact force.

After van den Doel, Kry & Pai (FoleyAutomatic, SIGGRAPH 2001): the material decides damping, the size pitch, the force
and hardness how much of the high modes is excited.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reasound.data.physical.sound import Rng, Sound, Wave, add, count, finished, modes, noise, room, swell


@dataclass(frozen=True)
class Material:
    """How a solid rings. A mode at f hertz lasts 1 / (slow + loss * f) seconds to 1/e."""

    pitch: float
    """Hertz of the lowest mode of a hand-sized object."""
    slow: float
    loss: float
    spread: float
    """Exponent of the mode series: 1 a string-like series, 2 a bar; plates lie between."""
    hardness: float
    """Cut-off of the contact force in hertz for a medium hit by something hard."""


MATERIALS = {
    "wood": Material(420.0, 22.0, 0.035, 1.25, 4_500.0),
    "metal": Material(780.0, 1.6, 0.0011, 1.35, 11_000.0),
    "glass": Material(1_900.0, 5.0, 0.0022, 1.3, 14_000.0),
    "ceramic": Material(1_500.0, 12.0, 0.0045, 1.25, 11_000.0),
    "stone": Material(1_300.0, 60.0, 0.02, 1.2, 7_000.0),
    "plastic": Material(600.0, 55.0, 0.04, 1.2, 4_000.0),
}


@dataclass(frozen=True)
class Body:
    """One object: its modes, as they are found again in every hit on it."""

    hertz: Wave
    ring: Wave
    level: Wave
    hardness: float


def body(rng: Rng, material: str, size: float = 1.0, count_: int = 24) -> Body:
    """An object of this material. size: 1 fits the hand, 0.3 a coin or bead, 3 a pan or door panel."""
    m = MATERIALS[material]
    order = np.arange(1, count_ + 1)
    hertz = np.asarray(m.pitch / size * order**m.spread * np.exp(0.09 * rng.standard_normal(count_)))
    ring = 1.0 / (m.slow / size**0.5 + m.loss * hertz) * np.exp(0.25 * rng.standard_normal(count_))
    level = np.exp(0.6 * rng.standard_normal(count_)) * order**-0.3
    return Body(hertz, np.asarray(ring), np.asarray(level), m.hardness)


def strike(rng: Rng, thing: Body, seconds: float, force: float = 0.5, soft: float = 0.0) -> Wave:
    """One hit on it, as loud as its force (0 to 1). A harder hit is shorter, so brighter; soft: 0 steel to 1 felt."""
    cut = thing.hardness * (0.45 + 0.9 * force) * 0.12**soft
    where = 0.35 + 0.65 * np.abs(np.sin(np.pi * rng.uniform(0.1, 0.9) * np.arange(1, len(thing.hertz) + 1)))
    level = thing.level * where / (1.0 + (thing.hertz / cut) ** 2)
    n = count(seconds)
    wave = modes(n, thing.hertz * (1 + 0.001 * rng.standard_normal(len(level))), thing.ring, level)
    k = count(0.006)
    contact = noise(rng, k, 500.0, max(cut, 1_000.0), 9.0) * swell(k, 0.0002, 0.005)
    contact *= 0.12 * np.abs(wave).max() / np.abs(contact).max()
    wave[: min(k, n)] += contact[:n]
    return wave * (force / max(np.abs(wave).max(), 1e-9))


def hit(
    rng: Rng, material: str, size: float = 1.0, force: float = 0.6, soft: float = 0.1, times: int = 1
) -> Sound:
    """An object struck once or several times, in a small room."""
    thing = body(rng, material, size)
    ring = float(np.clip(3.0 * np.max(thing.ring), 0.15, 3.0))
    at, onsets = 0.005, []
    out = np.zeros(count(0.6 * times + ring))
    for _ in range(times):
        add(out, strike(rng, thing, ring, force * rng.uniform(0.8, 1.0), soft), at)
        onsets.append(at)
        at += rng.uniform(0.25, 0.6)
    return finished(room(rng, out[: count(onsets[-1] + ring)], 0.3, 0.15), onsets)


def clatter(
    rng: Rng, of: str, sizes: tuple[float, ...], seconds: float, hits: int, force: float, ring: float = 0.6
) -> Sound:
    """Objects of one material that knock against each other: dishes in a sink, a drawer of cutlery, keys. Stereo."""
    things = [body(rng, of, size, 48) for size in sizes]
    times = np.sort(rng.beta(1.2, 1.6, hits)) * seconds * 0.9 + 0.01
    times[0] = 0.01
    out = np.zeros((2, count(seconds + ring)))
    pans = rng.uniform(0.25, 0.75, len(things)) * np.pi / 2
    onsets: list[float] = []
    for at in times:
        one, other = int(rng.integers(len(things))), int(rng.integers(len(things)))
        strength = force * rng.uniform(0.25, 1.0)
        wave = strike(rng, things[one], ring, strength, rng.uniform(0.0, 0.15))
        wave = wave + 0.5 * strike(rng, things[other], ring, strength, 0.1)  # both ring when two things meet
        add(out, np.stack([np.cos(pans[one]) * wave, np.sin(pans[one]) * wave]), float(at))
        if not onsets or at - onsets[-1] > 0.05:
            onsets.append(float(at))
    wet = room(rng, out.sum(0), 0.35, 0.2)
    return finished(0.6 * np.pad(out, ((0, 0), (0, len(wet) - out.shape[1]))) + 0.4 * wet, onsets)


def wobble(
    rng: Rng, size: float = 0.16, seconds: float = 1.6, start: float = 9.0, force: float = 0.7
) -> Sound:
    """A coin or lid that is put down spinning: contacts that come faster and softer until it lies (Euler's disk)."""
    thing = body(rng, "metal", size, 48)
    out = np.zeros(count(seconds + 0.6))
    add(out, strike(rng, thing, 0.4, force), 0.01)
    at, onsets = 0.13, [0.01]
    while at < seconds:
        x = (at - 0.1) / seconds
        add(out, strike(rng, thing, 0.2, 0.5 * force * (1.0 - x) ** 0.7 + 0.02, 0.1), at)
        onsets.append(at)
        at += 1.0 / (start * (1.0 / max(1.0 - x, 0.04)) ** 0.75)
    return finished(room(rng, out, 0.3, 0.15), onsets)


def bars(
    rng: Rng,
    wood: bool = True,
    notes: tuple[float, ...] = (440.0,),
    gap: float = 0.3,
    mallet: float = 0.5,
) -> Sound:
    """Marimba, xylophone, glockenspiel: tuned bars with partials 1 : 4 : 9.2. mallet: 0 hard to 1 soft."""
    base = 0.35 if wood else 2.2
    ratio = np.array([1.0, 3.93, 9.24, 16.3, 24.2])
    out = np.zeros(count(gap * len(notes) + 1.2 * base + 0.3))
    onsets = []
    for i, note in enumerate(notes):
        at = 0.005 + i * gap
        hertz = note * ratio * (1 + 0.004 * rng.standard_normal(5))
        ring = base * (440.0 / note) ** 0.5 * ratio**-0.9
        level = np.array([1.0, 0.5, 0.22, 0.12, 0.06]) * ratio ** (-0.9 * mallet)
        wave = modes(count(min(4 * base, 2.5)), hertz, ring, level)
        k = count(0.008)
        knock = noise(rng, k, 300.0, 5_000.0 - 3_000.0 * mallet, 9.0) * np.exp(
            -np.arange(k) / (0.0015 * 44_100)
        )
        wave[:k] += 0.12 * knock / np.abs(knock).max()
        add(out, wave, at, rng.uniform(0.75, 1.0))
        onsets.append(at)
    return finished(room(rng, out, 0.5, 0.2), onsets)


def shaker(rng: Rng, beats: int = 8, gap: float = 0.2, low: float = 4_500.0, jingle: float = 0.0) -> Sound:
    """Maracas or, with jingle towards 1, a tambourine: grains against a shell, after Cook's PhISEM (1997)."""
    out = np.zeros(count(beats * gap + 0.5))
    onsets = []
    thing = body(rng, "metal", 0.12, 12)
    for i in range(beats):
        at = 0.02 + i * gap
        strong = 1.0 if i % 2 == 0 else 0.6
        onsets.append(at)
        m = count(0.11)
        grains = np.zeros(m)
        energy = swell(m, 0.012, 0.095)
        for start in rng.integers(0, m, 70):
            grains[start] += rng.standard_normal() * energy[start]
        wave = noise(rng, m, low, 2.2 * low, 12.0) * 0.08 * energy
        from_grains = modes(count(0.02), np.array([low, 1.35 * low]), 0.002, 1.0)
        wave = wave + np.convolve(grains, from_grains)[:m]
        add(out, wave * (1 - jingle), at, strong)
        for when in rng.uniform(0.0, 0.06, int(10 * jingle)):
            add(out, strike(rng, thing, 0.35, 0.35 * strong), at + float(when))
    return finished(room(rng, out, 0.3, 0.15), onsets)


def steps(rng: Rng, count_: int = 4, gap: float = 0.55, size: float = 3.0, weight: float = 0.6) -> Sound:
    """Footsteps on a metal plate or stairs: heel, then toe; the plate rings and rattles."""
    plate, shoe = body(rng, "metal", size, 40), body(rng, "wood", 2.5)
    plate = Body(plate.hertz, plate.ring * 0.25, plate.level, 4_000.0)
    onsets = [0.01 + i * gap * rng.uniform(0.95, 1.05) for i in range(count_)]
    out = np.zeros(count(onsets[-1] + 0.9))
    for at in onsets:
        for late, strength in ((0.0, weight), (rng.uniform(0.07, 0.12), 0.5 * weight)):
            add(out, strike(rng, plate, 0.8, strength, 0.45), at + late, 0.7)
            add(out, strike(rng, shoe, 0.2, strength, 0.3), at + late, 0.8)
    return finished(room(rng, out, 0.6, 0.25), onsets)
