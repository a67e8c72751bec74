"""Water: bubbles (Minnaert 1933; van den Doel, Physically based models for liquid sounds, 2005), drops, jets, rain."""

from __future__ import annotations

import numpy as np

from reasound.data.physical.sound import (
    RATE,
    Rng,
    Sound,
    Wave,
    add,
    clock,
    count,
    filtered,
    finished,
    modes,
    noise,
    room,
    smooth,
    spread,
    swell,
    wander,
)


def bubble(radius: float, depth: float = 0.0, rise: float = 0.1) -> Wave:
    """One bubble of this radius in millimetres: f = 3 / r, dies faster when small; rises in pitch near the surface."""
    hertz = 3_000.0 / radius
    damping = 0.13 / (radius / 1_000.0) + 0.0072 * (radius / 1_000.0) ** -1.5
    n = count(min(6.0 / damping, 0.25))
    t = clock(n)
    swept = hertz * (1.0 + rise * damping * t)
    wave = np.sin(2 * np.pi * np.cumsum(swept) / RATE) * np.exp(-damping * t)
    return wave * np.minimum(t / 0.0004, 1.0) * 10 ** (-depth / 20)


def drip(rng: Rng, times: int = 3, gap: float = 0.6, radius: float = 2.2, hollow: float = 0.5) -> Sound:
    """Drops into standing water: a tick of the impact, then the bubble it traps. hollow: 0 open, 1 a cave or sink."""
    at, onsets = 0.02, []
    out = np.zeros(count(times * gap * 1.3 + 0.6))
    for _ in range(times):
        r = radius * rng.uniform(0.75, 1.35)
        m = count(0.004)
        add(out, noise(rng, m, 1_500.0, 9_000.0) * swell(m, 0.0003, 0.003), at, 0.06)
        late = at + rng.uniform(0.012, 0.03)
        add(out, bubble(r, rise=rng.uniform(0.15, 0.5)), late)
        if rng.random() < 0.6:
            add(out, bubble(r * rng.uniform(0.4, 0.7), rise=0.3), late + rng.uniform(0.02, 0.06), 0.4)
        onsets.append(at)
        at += gap * rng.uniform(0.75, 1.25)
    return finished(room(rng, out[: count(at)], 0.4 + 1.4 * hollow, 0.2 + 0.5 * hollow), onsets)


def bubbling(rng: Rng, seconds: float = 3.0, rate: float = 18.0, radius: float = 5.0) -> Sound:
    """Bubbles that rise and gurgle: so many a second around this radius in millimetres."""
    out = np.zeros(count(seconds))
    times = spread(rng, rate, seconds - 0.2)
    for at in times:
        r = radius * np.exp(0.45 * rng.standard_normal())
        add(
            out,
            bubble(float(np.clip(r, 0.6, 16.0)), rise=rng.uniform(0.1, 0.5)),
            float(at),
            rng.uniform(0.2, 1.0),
        )
    out += 0.01 * noise(rng, len(out), 200.0, 2_000.0)
    return finished(room(rng, out, 0.4, 0.25), (0.02,))


def pour(
    rng: Rng, seconds: float = 3.5, flow: float = 0.6, height: float = 0.12, glass: float = 0.6
) -> Sound:
    """Pouring into a vessel that fills: bubbles and spray under an air column whose pitch climbs.

    flow 0 to 1; height of the vessel in metres; glass: how much its wall rings.
    """
    n = count(seconds)
    out = np.zeros(n)
    stop = seconds - 0.35
    for at in spread(rng, 110.0 + 260.0 * flow, stop, 0.06):
        r = float(np.clip(1.5 * np.exp(0.5 * rng.standard_normal()), 0.4, 6.0)) * (0.7 + 0.6 * flow)
        add(out, bubble(r, rise=rng.uniform(0.05, 0.35)), float(at), rng.uniform(0.1, 1.0) * (r / 1.5) ** 0.7)
    splash = noise(rng, n, 900.0, 9_000.0, 6.0) * (1.0 + 0.35 * wander(rng, n, 18.0))
    on = smooth(
        n,
        (0.0, 0.0),
        (0.03, 0.8),
        (0.6, 1.0),
        (stop / seconds - 0.04, 0.8),
        (stop / seconds, 0.05),
        (1.0, 0.0),
    )
    out = (out / max(out.std(), 1e-9) + 0.22 * splash) * np.sqrt(on)
    # A column of air closed by the water: a quarter wave, sliding up as it shortens.
    air = height * np.linspace(1.0, 0.22, n) + 0.012
    pitch = 343.0 / (4.0 * air)
    hum = np.zeros(n)
    for k, level in ((1, 1.0), (3, 0.5)):
        drive = wander(rng, n, 140.0) * np.sin(2 * np.pi * np.cumsum(k * pitch) / RATE)
        hum += level * drive + 0.6 * level * np.roll(drive, 37)
    out = out + (0.35 + 0.5 * glass) * hum * np.sqrt(on)
    for at in np.sort(rng.uniform(stop, seconds - 0.1, int(rng.integers(1, 5)))):
        add(out, bubble(rng.uniform(0.9, 2.2), rise=0.3), float(at), 2.0)
    return finished(room(rng, out, 0.35, 0.2), (0.08,))


def tap(rng: Rng, seconds: float = 3.5, flow: float = 0.6, sink: float = 0.6) -> Sound:
    """A tap running into a basin: turbulent jet, splashing, metal sink that drums along."""
    n = count(seconds)
    jet = noise(rng, n, 400.0, 11_000.0, 5.0) * (1.0 + 0.15 * wander(rng, n, 25.0))
    jet = filtered(jet, (200, 600, 1_800, 5_000, 12_000), (-6, 2 * sink, 3, 0, -8))
    drops = np.zeros(n)
    for at in spread(rng, 220.0 * flow + 40, seconds):
        r = float(np.clip(0.9 * np.exp(0.5 * rng.standard_normal()), 0.3, 4.0))
        add(drops, bubble(r), float(at), rng.uniform(0.1, 1.0))
    out = 0.55 * jet / jet.std() + 0.9 * drops / drops.std()
    return finished(room(rng, out * swell(n, 0.12, 0.25), 0.4, 0.25), (0.03,))


def rain(
    rng: Rng, seconds: float = 10.0, heavy: float = 0.5, roof: str = "leaves", gust: float = 0.3
) -> Sound:
    """Stereo rain: a hiss of far drops, single near drops on a surface. roof: leaves, metal, water or pavement."""
    n = count(seconds)
    move = 1.0 + 0.25 * gust * wander(rng, n, 0.5)
    tone = {
        "leaves": ((60, 300, 1_500, 5_000, 12_000), (-28, -14, -4, 0, -6)),
        "pavement": ((60, 400, 2_000, 6_000, 14_000), (-22, -8, -1, 0, -5)),
        "metal": ((60, 250, 900, 2_500, 9_000), (-16, -4, 0, -2, -8)),
        "water": ((60, 500, 1_500, 4_000, 12_000), (-24, -10, 0, -1, -10)),
    }[roof]
    out = np.stack([filtered(rng.standard_normal(n), *tone) for _ in range(2)])
    out *= move / out.std() * (0.25 + 0.9 * heavy)
    for at in spread(rng, 25.0 + 160.0 * heavy, seconds):
        size = float(np.exp(0.5 * rng.standard_normal()))
        if roof == "water":
            wave = bubble(float(np.clip(0.9 * size, 0.4, 3.0)), rise=0.1)
        elif roof == "metal":
            hertz = rng.uniform(300.0, 2_600.0, 4)
            wave = modes(count(0.08), hertz, rng.uniform(0.006, 0.03, 4), 1.0)
        else:
            m = count(0.006 if roof == "pavement" else 0.01)
            wave = noise(rng, m, 900.0 / size, 9_000.0 / size**0.5, 9.0) * swell(m, 0.0004, 0.005) * 0.7
        angle = rng.uniform(0, np.pi / 2)
        level = float(np.clip(size * rng.exponential(0.9), 0.1, 4.0))
        add(out, np.stack([np.cos(angle) * wave, np.sin(angle) * wave]), float(at), level)
    return finished(out, (), tail=0.2)
