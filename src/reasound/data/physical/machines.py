"""Machines: ticks and clicks, motors, fans, sirens."""

from __future__ import annotations

import numpy as np

from reasound.data.physical.modal import body, strike
from reasound.data.physical.sound import (
    RATE,
    Rng,
    Sound,
    Wave,
    add,
    aired,
    click,
    clock,
    count,
    filtered,
    finished,
    harmonics,
    modes,
    noise,
    phase_of,
    room,
    smooth,
    swell,
    wander,
)


def tick(rng: Rng, seconds: float = 4.0, rate: float = 2.0, size: float = 1.0, echo: float = 0.27) -> Sound:
    """A clock: tick and tock differ a little. rate: ticks a second; size: 0.6 alarm clock to 1.6 grandfather clock."""
    low = 700.0 / size
    kinds = [click(rng, 0.12, low, 7.5 * low, 19, (0.0016, 0.0135 * size**0.5)) for _ in range(2)]
    second = rng.uniform(0.007, 0.013) * size**0.5
    onsets = [0.03 + i / rate for i in range(int((seconds - 0.15) * rate) + 1)]
    out = np.zeros(count(seconds))
    for i, at in enumerate(onsets):
        add(out, kinds[i % 2], at, rng.uniform(0.9, 1.0))
        add(out, kinds[i % 2], at + second, 0.33)  # the escapement lets go, then catches
    return finished(aired(rng, room(rng, out, 0.2, echo, 4_900.0), -48.5, 1_500.0), onsets)


def key(rng: Rng, heavy: float = 0.5) -> Wave:
    """One key: it snaps, hits the bottom, and comes up again softer. heavy: 0 laptop to 1 typewriter."""
    out = np.zeros(count(0.25))
    low = 1_150.0 * rng.uniform(0.87, 1.15) / (1.0 + 0.5 * heavy)
    ring = (0.0015, 0.0033 * (1.0 + heavy))
    for at, level in ((0.0, 1.0), (0.0077, 0.38 + 0.3 * heavy), (rng.uniform(0.07, 0.1), 0.54)):
        add(out, click(rng, 0.12, low, 4.0 * low, 17, ring), at, level * rng.uniform(0.5, 1.0))
    if heavy > 0.7:  # the type bar
        add(out, strike(rng, body(rng, "metal", 0.35), 0.1, 1.0, 0.05), 0.012, 0.3)
    return out


def typing(rng: Rng, seconds: float = 3.0, rate: float = 6.5, heavy: float = 0.4) -> Sound:
    """Typing: so many keys a second, in bursts; now and then the space bar."""
    at, onsets = 0.02, []
    out = np.zeros(count(seconds + 0.25))
    while at < seconds:
        add(out, key(rng, heavy), at, rng.uniform(0.55, 1.0))
        onsets.append(at)
        at += rng.gamma(4.0, 0.25 / rate) + (rng.uniform(0.15, 0.4) if rng.random() < 0.08 else 0.0)
    return finished(aired(rng, room(rng, out, 0.33, 0.35, 2_800.0), bright=1_700.0), onsets)


def switch(rng: Rng, pitch: float = 1_000.0, release: float = 0.08, times: int = 1) -> Sound:
    """A switch or button: pressed, and let go `release` seconds later. pitch: its lowest mode in hertz."""
    at, onsets = 0.01, []
    out = np.zeros(count(times * 0.5 + 0.3))
    for _ in range(times):
        for late, level in ((0.0, 1.0), (release, 0.6)):
            add(out, click(rng, 0.1, pitch, 6.0 * pitch, 22, (0.001, 0.005)), at + late, level)
        onsets.append(at)
        at += rng.uniform(0.3, 0.5)
    return finished(aired(rng, room(rng, out[: count(at)], 0.3, 0.3, 3_500.0)), onsets)


def motor(
    rng: Rng,
    seconds: float = 4.0,
    turns: float = 180.0,
    whine: float = 0.5,
    air: float = 0.6,
    dark: float = 0.5,
    load: float = 0.2,
    spin_up: float = 0.5,
) -> Sound:
    """A universal motor with a fan: vacuum cleaner, hair dryer, blender, electric fan.

    turns a second; whine: how loud its harmonics; air: how loud the rush; dark: 0 a hiss to 1 a roar;
    load: how much the speed is dragged about; spin_up: seconds to full speed.
    """
    n = count(seconds)
    start = 1.0 - np.exp(-clock(n) / max(spin_up / 3.0, 1e-3))
    speed = (
        turns
        * start
        * (1.0 - 0.12 * load * np.clip(wander(rng, n, 5.0), -1, 2) + 0.004 * wander(rng, n, 20.0))
    )
    blades = int(rng.integers(5, 12))
    strong = {1: 1.0, 2: 0.6, blades: 0.9, 2 * blades: 0.5, 3 * blades: 0.25}
    fine = np.exp(0.7 * rng.standard_normal(64))

    def gain(k: int, f: Wave, q: Wave) -> Wave:
        return np.asarray((strong.get(k, 0.0) + 0.16 * fine[k % 64] / k**0.3) / (1.0 + (f / 6_000.0) ** 2))

    tone = harmonics(np.maximum(speed, 1.0), gain, 48)
    rush = filtered(
        rng.standard_normal(n),
        (50, 150, 500, 1_500, 5_000, 14_000),
        (-18 + 12 * dark, -6 + 6 * dark, 0, 0, -3 - 9 * dark, -16 - 12 * dark),
    )
    rush *= 1.0 + 0.06 * wander(rng, n, 30.0)
    flutter = 1.0 + 0.15 * load * np.sin(phase_of(np.maximum(speed, 1.0)))
    out = (whine * tone / tone.std() + air * rush / rush.std() * flutter) * start**1.5
    out *= swell(n, 0.02, min(0.3, seconds / 5))
    return finished(room(rng, out, 0.35, 0.25), (0.03,))


def washing(rng: Rng, seconds: float = 5.0, turns: float = 0.9, fill: float = 0.5) -> Sound:
    """A drum that turns: motor, slosh at every half turn, tumbling thumps."""
    n = count(seconds)
    t = clock(n)
    hertz = 46.0 * (1 + 0.01 * wander(rng, n, 2.0))
    tone = harmonics(hertz, lambda k, f, q: np.asarray(1.0 / k**0.8 + 0.6 / (1 + ((f - 280) / 60) ** 2)), 24)
    beat = 0.5 + 0.5 * np.sin(2 * np.pi * turns * 2 * t)
    slosh = noise(rng, n, 250.0, 3_500.0, 6.0) * beat**3
    out = 0.5 * tone / tone.std() + (0.3 + fill) * slosh + 0.25 * noise(rng, n, 60.0, 900.0, 6.0)
    thump = body(rng, "wood", 4.0)
    for i in range(int(seconds * turns * 2)):
        add(out, strike(rng, thump, 0.3, 1.0, 0.6), (i + 0.25) / (2 * turns), rng.uniform(0.5, 1.4))
    return finished(room(rng, out * swell(n, 0.2, 0.3), 0.4, 0.25), (0.1,))


def kettle(rng: Rng, seconds: float = 4.0, pitch: float = 2_400.0) -> Sound:
    """Water that comes to the boil until the kettle whistles."""
    n = count(seconds)
    boil = noise(rng, n, 300.0, 3_500.0, 6.0) * (1 + 0.5 * np.clip(wander(rng, n, 45.0), -1, 2))
    rise = smooth(n, (0.0, 0.0), (0.45, 0.1), (0.8, 1.0), (1.0, 1.0))
    hertz = pitch * (0.75 + 0.25 * rise) * (1 + 0.004 * wander(rng, n, 15.0))
    whistle = harmonics(hertz, lambda k, f, q: np.full(f.shape, (1.0, 0.3, 0.12, 0.05)[k - 1]), 4)
    steam = noise(rng, n, 2_500.0, 12_000.0, 6.0)
    out = 0.5 * boil + rise * (1.6 * whistle + 0.25 * steam)
    return finished(room(rng, out * swell(n, 0.3, 0.2), 0.4, 0.25), (0.1,))


def siren(
    rng: Rng,
    seconds: float = 5.0,
    low: float = 600.0,
    high: float = 1_400.0,
    rate: float = 0.3,
    pattern: str = "wail",
) -> Sound:
    """An emergency siren. pattern: wail (slow sweep), yelp (fast sweep) or hilo (two notes); rate: sweeps a second."""
    n = count(seconds)
    t = clock(n)
    x = (rate * t) % 1.0
    if pattern == "hilo":
        hertz = np.where(x < 0.5, low, high)
        kernel = np.hanning(402)[1:-1]
        hertz = np.convolve(np.pad(hertz, 400, mode="edge"), kernel / kernel.sum(), "same")[400:-400]
    else:
        rising = np.where(x < 0.45, x / 0.45, 1.0 - (x - 0.45) / 0.55)
        hertz = low * (high / low) ** (0.5 - 0.5 * np.cos(np.pi * rising))
    colour = rng.uniform(0.5, 0.8)

    def gain(k: int, f: Wave, q: Wave) -> Wave:
        return np.asarray(colour ** (k - 1) * (0.4 + 1.0 / (1 + ((f - 1_500.0) / 900.0) ** 2)))

    wave = harmonics(hertz * (1 + 0.001 * wander(rng, n, 5.0)), gain, 14)
    wave = wave / wave.std()
    street = noise(rng, n, 60.0, 900.0, 6.0) * 0.06
    near = smooth(n, (0.0, 0.6), (rng.uniform(0.3, 0.7), 1.0), (1.0, 0.55))
    return finished(
        room(rng, np.tanh(0.7 * wave) * near * swell(n, 0.05, 0.2) + street, 1.6, 0.5, 3_500.0), (0.02,)
    )


def engine(
    rng: Rng,
    seconds: float = 4.0,
    rpm: tuple[float, ...] = (1_200.0, 5_000.0, 1_500.0),
    cylinders: int = 1,
    muffled: float = 0.3,
) -> Sound:
    """A piston engine as a train of exhaust pulses. rpm: speeds at even distances through the time."""
    n = count(seconds)
    speed = smooth(n, *((i / max(len(rpm) - 1, 1), v) for i, v in enumerate(rpm)))
    fire = speed / 120.0 * cylinders * (1 + 0.012 * wander(rng, n, 30.0))
    turn = np.cumsum(fire) / RATE
    beat = np.flatnonzero(np.diff(np.floor(turn)) > 0)
    out = np.zeros(n + 4_000)
    m = count(0.05)
    pipes = modes(
        m,
        np.array([85.0, 170.0, 310.0, 520.0, 900.0, 1_600.0]) * rng.uniform(0.85, 1.15, 6),
        np.array([0.02, 0.014, 0.01, 0.006, 0.004, 0.002]),
        np.array([1, 0.9, 0.8, 0.6, 0.5, 0.4]) * 1.0,
    )
    uneven = rng.uniform(0.7, 1.0, max(cylinders, 2))
    for i, start in enumerate(beat):
        burst = pipes + 0.5 * noise(rng, m, 200.0, 5_000.0 * (1 - 0.7 * muffled), 6.0) * np.exp(
            -clock(m) / 0.004
        )
        out[start : start + m] += burst * uneven[i % len(uneven)] * rng.uniform(0.85, 1.1)
    out = filtered(out[:n], (40, 120, 800, 3_000, 10_000), (-6, 0, 0, -8 * muffled - 2, -30 * muffled - 6))
    return finished(room(rng, out * swell(n, 0.1, 0.3), 0.5, 0.2), (0.05,))
