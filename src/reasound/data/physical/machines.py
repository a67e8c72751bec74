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


def tick(rng: Rng, seconds: float = 5.0, rate: float = 2.0, size: float = 1.0, echo: float = 0.3) -> Sound:
    """A clock: tick and tock differ a little. rate: ticks a second; size: 0.5 wristwatch to 2.5 grandfather clock."""
    out = np.zeros(count(seconds))
    kinds = []
    for _ in range(2):
        m = 14
        hertz = np.exp(rng.uniform(np.log(900.0), np.log(9_000.0), m)) / size**0.8
        kinds.append((hertz, rng.uniform(0.0015, 0.009, m) * size**0.5, np.exp(0.5 * rng.standard_normal(m))))
    at, onsets, i = 0.03, [], 0
    late = rng.uniform(-0.02, 0.02)
    while at < seconds - 0.1:
        hertz, ring, level = kinds[i % 2]
        for extra, share in (
            (0.0, 1.0),
            (0.011 * size, 0.35),
            (0.019 * size, 0.5),
        ):  # the escapement's three contacts
            wave = modes(count(0.06), hertz, ring, level * rng.uniform(0.8, 1.2, len(level)))
            add(out, wave, at + extra, share * (1.0 if i % 2 == 0 else 0.8))
        onsets.append(at)
        i += 1
        at = 0.03 + i / rate + (late if i % 2 else 0.0)
    return finished(room(rng, out, 0.5, echo), onsets)


def key(rng: Rng, heavy: float = 0.5) -> Wave:
    """One key: down (switch, then bottom), up softer. heavy: 0 laptop to 1 typewriter."""
    out = np.zeros(count(0.22))
    size = 0.9 + 0.5 * heavy
    cap, case = body(rng, "plastic", 0.45 * size), body(rng, "plastic", 1.6 * size)
    k = count(0.004)
    snap = noise(rng, k, 1_800.0, 10_000.0, 9.0) * swell(k, 0.0002, 0.0035)
    add(out, snap / np.abs(snap).max(), 0.0, 0.35 + 0.2 * heavy)
    add(out, strike(rng, cap, 0.05, 1.0, 0.05), 0.001, 0.7)
    add(out, strike(rng, case, 0.09, 1.0, 0.3), 0.006, 0.55 + 0.4 * heavy)
    add(out, strike(rng, cap, 0.04, 1.0, 0.1), rng.uniform(0.07, 0.12), 0.28)
    if heavy > 0.7:
        add(out, strike(rng, body(rng, "metal", 0.35), 0.1, 1.0, 0.05), 0.004, 0.5)
    return out


def typing(rng: Rng, seconds: float = 3.0, rate: float = 6.5, heavy: float = 0.4) -> Sound:
    """Typing: so many keys a second, in bursts; now and then the space bar."""
    at, onsets = 0.02, []
    out = np.zeros(count(seconds + 0.25))
    while at < seconds:
        add(out, key(rng, heavy), at, rng.uniform(0.55, 1.0))
        onsets.append(at)
        at += rng.gamma(4.0, 0.25 / rate) + (rng.uniform(0.15, 0.4) if rng.random() < 0.08 else 0.0)
    return finished(room(rng, out, 0.25, 0.2), onsets)


def click(rng: Rng, pitch: float = 3_000.0, double: float = 0.08, times: int = 1) -> Sound:
    """A switch or button: press, and release `double` seconds later."""
    at, onsets = 0.01, []
    out = np.zeros(count(times * 0.5 + 0.3))
    hertz = pitch * np.exp(rng.normal(0.0, 0.55, 16))
    ring, level = rng.uniform(0.0012, 0.006, 16), np.exp(0.5 * rng.standard_normal(16))
    for _ in range(times):
        for late, share in ((0.0, 1.0), (double, 0.6)):
            wave = modes(count(0.05), hertz * rng.uniform(0.97, 1.03), ring, level)
            k = count(0.002)
            wave[:k] += (
                0.4 * np.abs(wave).max() * noise(rng, k, 2_000.0, 12_000.0) * swell(k, 0.0001, 0.0015) / 3
            )
            add(out, wave, at + late, share)
        onsets.append(at)
        at += rng.uniform(0.3, 0.5)
    return finished(room(rng, out[: count(at)], 0.25, 0.25), onsets)


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


def hum(rng: Rng, seconds: float = 4.0, mains: float = 50.0, rattle: float = 0.3) -> Sound:
    """A refrigerator, microwave oven or transformer: harmonics of twice the mains over a low rumble."""
    n = count(seconds)
    level = np.exp(0.6 * rng.standard_normal(24))
    tone = harmonics(np.full(n, 2 * mains), lambda k, f, q: np.full(f.shape, level[k - 1] / k**1.1), 24)
    rumble = noise(rng, n, 40.0, 400.0, 9.0)
    buzz = noise(rng, n, 600.0, 4_000.0, 9.0) * np.clip(np.sin(2 * np.pi * 2 * mains * clock(n)), 0, 1) ** 4
    out = tone / tone.std() + 0.35 * rumble + rattle * 0.4 * buzz
    return finished(room(rng, out * swell(n, 0.3, 0.3), 0.3, 0.2), (0.1,))


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
