"""Cries from a source and formants: harmonics and breath of vocal folds, through the resonances of a mouth.

Fant, Acoustic Theory of Speech Production (1960): the folds' spectrum falls by 12 dB an octave, lips add 6.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reasound.data.physical.sound import (
    RATE,
    Rng,
    Sound,
    Wave,
    add,
    clock,
    count,
    decay,
    finished,
    harmonics,
    noise,
    phase_of,
    room,
    shaped,
    smooth,
    swell,
    wander,
)

Track = Sequence[tuple[float, float]]
"""(position 0..1, hertz) of a formant as the mouth moves."""
Mouth = Sequence[tuple[Track, float, float]]
"""(track, bandwidth in hertz, decibels) of each formant."""


def resonance(hertz: Wave, position: Wave, mouth: Mouth, floor: float = -52.0) -> Wave:
    """Gain of a mouth at these frequencies and positions of the cry: resonances of second order."""
    gain = np.full(np.broadcast_shapes(hertz.shape, position.shape), 10.0 ** (floor / 20.0))
    for track, width, level in mouth:
        centre = np.interp(position, [p for p, _ in track], [f for _, f in track])
        x = np.maximum(hertz, 1.0) / centre
        gain = gain + 10.0 ** (level / 20.0) / np.sqrt((1.0 - x * x) ** 2 * (centre / width) ** 2 + x * x)
    return gain


def voiced(
    rng: Rng,
    pitch: Wave,
    mouth: Mouth,
    tilt: float = 6.0,
    breath: float = 0.05,
    jitter: float = 0.005,
    rough: float = 0.0,
    rough_hertz: float = 55.0,
) -> Wave:
    """A cry with this pitch curve [N].

    tilt: decibels an octave by which the source falls; breath: noise beside the tone; jitter: relative pitch
    unsteadiness; rough: 0 to 1, depth of the growling modulation by pulses of about `rough_hertz`.
    """
    n = len(pitch)
    pitch = pitch * (1.0 + jitter * (wander(rng, n, 60.0) + 0.5 * wander(rng, n, 9.0)))

    def gain(k: int, hertz: Wave, position: Wave) -> Wave:
        return k ** (-tilt / 6.02) * resonance(hertz, position, mouth)

    tone = harmonics(pitch, gain)
    tone *= 1.0 + 0.12 * wander(rng, n, 40.0)
    air = shaped(noise(rng, n, 200.0, 16_000.0, 6.0), lambda hertz, at: resonance(hertz, at, mouth, -40.0))
    scale = float(tone.std()) / max(float(air.std()), 1e-9)
    out = tone + breath * scale * air
    if rough > 0.0:
        beat = phase_of(np.maximum(rough_hertz * (1.0 + 0.25 * wander(rng, n, 25.0)), 5.0))
        pulses = np.exp(-3.0 * ((beat / (2 * np.pi)) % 1.0)) * 2.2
        out = out * (1.0 - rough + rough * pulses) + rough * 0.5 * scale * air * pulses
    return out


def meow(rng: Rng, size: float = 1.0, seconds: float = 0.8, plaintive: float = 0.5) -> Sound:
    """A cat: mouth opens from m to a and closes to ow. size: 0.6 kitten to 1.3 tom; plaintive: 0 to 1, how far it falls."""
    n = count(seconds)
    low = 520.0 / size
    peak = low * (1.35 + 0.4 * plaintive)
    pitch = smooth(
        n, (0.0, low * 0.95), (0.3, peak), (0.6, peak * 0.96), (1.0, low * (0.95 - 0.25 * plaintive))
    )
    pitch = pitch * (1.0 + 0.01 * np.sin(2 * np.pi * 7.0 * clock(n)))
    s = size**-0.5
    mouth: Mouth = (
        ([(0.0, 450 * s), (0.15, 700 * s), (0.4, 1350 * s), (0.7, 1150 * s), (1.0, 650 * s)], 320.0, 0.0),
        ([(0.0, 1900 * s), (0.3, 2500 * s), (0.6, 2100 * s), (1.0, 1300 * s)], 420.0, -2.0),
        ([(0.0, 3600 * s), (0.5, 3900 * s), (1.0, 3500 * s)], 700.0, -8.0),
        ([(0.0, 6200 * s), (1.0, 6200 * s)], 1500.0, -18.0),
    )
    wave = voiced(rng, pitch, mouth, tilt=3.0, breath=0.06, jitter=0.006, rough=0.08, rough_hertz=90.0)
    wave *= smooth(n, (0.0, 0.0), (0.1, 0.35), (0.3, 1.0), (0.65, 0.8), (1.0, 0.0))
    return finished(room(rng, wave, 0.35, 0.25), (0.01,))


def howl(rng: Rng, pitch: float = 420.0, seconds: float = 4.0, pack: int = 1, space: float = 2.0) -> Sound:
    """Wolves: a slow rise, a long held note with a break, a fall; others answer. space: seconds of echo."""
    late = 0.0
    out = np.zeros(count(seconds + 1.4 * (pack - 1)))
    onsets = []
    for _ in range(pack):
        own = seconds * rng.uniform(0.75, 1.0)
        n, p = count(own), pitch * 2.0 ** rng.uniform(-0.25, 0.25)
        hold = p * rng.uniform(1.25, 1.6)
        bent = smooth(
            n, (0.0, p * 0.62), (0.14, hold), (0.3, hold * 0.95), (0.75, hold * 0.88), (1.0, p * 0.7)
        )
        bent = bent * (1.0 + 0.006 * np.sin(2 * np.pi * 4.5 * clock(n)) + 0.004 * wander(rng, n, 3.0))
        mouth: Mouth = (
            ([(0.0, 420.0), (0.2, 620.0), (0.7, 600.0), (1.0, 420.0)], 260.0, 0.0),
            ([(0.0, 1000.0), (0.5, 1150.0), (1.0, 900.0)], 300.0, -10.0),
            ([(0.0, 2700.0), (1.0, 2700.0)], 700.0, -24.0),
        )
        wave = voiced(rng, bent, mouth, tilt=9.0, breath=0.03, jitter=0.002)
        wave *= smooth(n, (0.0, 0.0), (0.12, 0.6), (0.3, 1.0), (0.7, 0.75), (1.0, 0.0))
        add(out, wave / np.abs(wave).max(), late, 1.0 if late == 0 else rng.uniform(0.25, 0.7))
        onsets.append(late + 0.03)
        late += rng.uniform(0.5, 1.4)
    return finished(room(rng, out, space, 0.6, 3_000.0), onsets)


def bark(rng: Rng, size: float = 1.0, times: int = 2, gap: float = 0.4) -> Sound:
    """A dog. size: 0.5 terrier to 1.6 mastiff."""
    onsets = [0.01 + i * gap * rng.uniform(0.9, 1.1) for i in range(times)]
    out = np.zeros(count(onsets[-1] + 0.5))
    base = 430.0 / size**0.8 * rng.uniform(0.92, 1.08)
    for at in onsets:
        n = count(rng.uniform(0.13, 0.2) * size**0.3)
        p = base * rng.uniform(0.94, 1.06)
        pitch = smooth(n, (0.0, p * 0.75), (0.25, p * 1.3), (0.5, p * 1.15), (1.0, p * 0.6))
        s = size**-0.45
        mouth: Mouth = (
            ([(0.0, 500 * s), (0.3, 950 * s), (1.0, 550 * s)], 380.0, 0.0),
            ([(0.0, 1200 * s), (0.3, 1750 * s), (1.0, 1200 * s)], 450.0, -3.0),
            ([(0.0, 2900 * s), (1.0, 2700 * s)], 800.0, -12.0),
            ([(0.0, 4300 * s), (1.0, 4200 * s)], 1400.0, -20.0),
        )
        wave = voiced(rng, pitch, mouth, tilt=3.5, breath=0.28, jitter=0.02, rough=0.35, rough_hertz=base / 3)
        wave *= smooth(n, (0.0, 0.0), (0.1, 0.9), (0.35, 1.0), (0.7, 0.35), (1.0, 0.0))
        add(out, wave / np.abs(wave).max(), at, rng.uniform(0.75, 1.0))
    return finished(room(rng, out, 0.5, 0.35, 5_000.0), onsets)


def laugh(rng: Rng, pitch: float = 220.0, syllables: int = 7, rate: float = 4.8, vowel: str = "a") -> Sound:
    """Ha ha ha: each syllable breath, then voice; pitch and loudness fall. vowel: a, e, i or o. pitch: 130 man to 450 child."""
    scale = (pitch / 200.0) ** 0.25
    f1, f2 = {"a": (850, 1400), "e": (580, 1850), "i": (400, 2300), "o": (520, 950)}[vowel]
    mouth: Mouth = (
        ([(0.0, f1 * scale), (1.0, f1 * scale)], 160.0, 0.0),
        ([(0.0, f2 * scale), (1.0, f2 * scale)], 200.0, -5.0),
        ([(0.0, 2750 * scale), (1.0, 2750 * scale)], 280.0, -12.0),
        ([(0.0, 3800 * scale), (1.0, 3800 * scale)], 500.0, -18.0),
    )
    out = np.zeros(count(syllables / rate + 0.8))
    at, onsets, arch = 0.02, [], rng.uniform(0.15, 0.35)
    for i in range(syllables):
        n = count(0.62 / rate * rng.uniform(0.85, 1.15))
        x = i / max(syllables - 1, 1)
        p = (
            pitch
            * (1.0 + 0.5 * np.exp(-(((x - arch) / 0.3) ** 2)))
            * (1.0 - 0.2 * x)
            * rng.uniform(0.95, 1.05)
        )
        wave = voiced(
            rng, smooth(n, (0.0, p * 1.02), (0.35, p * 1.1), (1.0, p * 0.85)), mouth, 7.0, 0.12, 0.008
        )
        wave *= smooth(n, (0.0, 0.0), (0.18, 1.0), (0.55, 0.7), (1.0, 0.0)) / np.abs(wave).max()
        m = count(0.45 / rate)
        puff = shaped(noise(rng, m, 400.0, 9_000.0, 6.0), lambda f, q: resonance(f, q, mouth, -20.0))
        puff *= smooth(m, (0.0, 0.0), (0.6, 1.0), (1.0, 0.0)) / np.abs(puff).max()
        level = (1.0 - 0.55 * x) * rng.uniform(0.85, 1.1)
        add(out, puff, at, 0.22 * level)
        add(out, wave, at + 0.28 / rate, level)
        onsets.append(at + 0.28 / rate)
        at += (1.0 + 0.12 * x) / rate * rng.uniform(0.94, 1.06)
    return finished(room(rng, out[: count(at + 0.3)], 0.4, 0.25), onsets)


def growl(rng: Rng, size: float = 1.0, seconds: float = 1.4, anger: float = 0.7) -> Sound:
    """A large creature. size: 0.7 to 2 (bigger is lower); anger: 0 a low rumble, 1 an open roar."""
    n = count(seconds)
    p = 95.0 / size
    pitch = smooth(
        n, (0.0, p * 0.8), (0.25, p * (1.1 + 0.6 * anger)), (0.7, p * (1.0 + 0.3 * anger)), (1.0, p * 0.6)
    )
    s = size**-0.5
    mouth: Mouth = (
        ([(0.0, 260 * s), (0.3, (380 + 350 * anger) * s), (1.0, 280 * s)], 220.0, 0.0),
        ([(0.0, 800 * s), (0.3, (950 + 350 * anger) * s), (1.0, 750 * s)], 320.0, -3.0),
        ([(0.0, 2000 * s), (1.0, 1900 * s)], 600.0, -10.0),
        ([(0.0, 3400 * s), (1.0, 3200 * s)], 1200.0, -17.0),
    )
    wave = voiced(rng, pitch, mouth, 4.5, 0.35 + 0.4 * anger, 0.035, 0.6, 26.0 + 16.0 * anger)
    under = voiced(rng, pitch * 0.503, mouth, 5.0, 0.3, 0.05, 0.5, 19.0)
    wave = wave / wave.std() + 0.7 * under / under.std()
    wave *= smooth(n, (0.0, 0.0), (0.12, 0.7), (0.35, 1.0), (0.7, 0.8), (1.0, 0.0))
    return finished(room(rng, np.tanh(0.5 * wave), 0.9, 0.4, 4_000.0), (0.02,))


def shriek(rng: Rng, size: float = 1.0, seconds: float = 0.9) -> Sound:
    """A high rough cry of an invented creature that breaks into noise."""
    n = count(seconds)
    p = 750.0 / size
    peak = p * rng.uniform(1.4, 2.0)
    pitch = smooth(n, (0.0, p), (0.15, peak), (0.5, peak * rng.uniform(0.8, 1.1)), (1.0, p * 0.6))
    mouth: Mouth = (
        ([(0.0, 900.0), (0.3, 1700.0), (1.0, 1000.0)], 600.0, 0.0),
        ([(0.0, 2500.0), (0.3, 3300.0), (1.0, 2300.0)], 700.0, -2.0),
        ([(0.0, 5000.0), (1.0, 4600.0)], 1500.0, -8.0),
    )
    wave = voiced(rng, pitch, mouth, 2.5, 0.3, 0.03, 0.5, rng.uniform(60.0, 110.0))
    wave *= smooth(n, (0.0, 0.0), (0.1, 1.0), (0.6, 0.8), (1.0, 0.0))
    return finished(room(rng, np.tanh(1.5 * wave / wave.std() / 3), 1.2, 0.4), (0.01,))


def squeaks(rng: Rng, pitch: float = 4_000.0, times: int = 5, gap: float = 0.16, harsh: float = 0.2) -> Sound:
    """Small mammals: short high cries. 2 kHz guinea pig to 7 kHz mouse; harsh: 0 a pure squeak, 1 a rasping chatter."""
    at, onsets = 0.02, []
    out = np.zeros(count(times * gap * 1.4 + 0.4))
    for _ in range(times):
        n = count(rng.uniform(0.035, 0.11))
        p = pitch * rng.uniform(0.9, 1.12)
        arch = smooth(
            n, (0.0, p * rng.uniform(0.7, 0.95)), (0.4, p * 1.1), (1.0, p * rng.uniform(0.65, 0.95))
        )
        mouth: Mouth = (
            ([(0.0, pitch), (1.0, pitch)], pitch, 0.0),
            ([(0.0, pitch * 2.1), (1.0, pitch * 2.1)], pitch, -8.0),
        )
        wave = voiced(rng, arch, mouth, 6.0, 0.05 + 0.5 * harsh, 0.006 + 0.02 * harsh, 0.6 * harsh, 140.0)
        wave *= swell(n, 0.008, 0.015) / np.abs(wave).max()
        add(out, wave, at, rng.uniform(0.5, 1.0))
        onsets.append(at)
        at += gap * rng.uniform(0.7, 1.35)
    return finished(room(rng, out[: count(at + 0.1)], 0.25, 0.2), onsets)


def hoots(rng: Rng, pitch: float = 330.0, times: int = 6, excitement: float = 0.6) -> Sound:
    """Apes: hoo calls that rise in pitch and pace until they become screams."""
    at, onsets = 0.02, []
    out = np.zeros(count(times * 0.55 + 1.0))
    for i in range(times):
        x = i / max(times - 1, 1)
        heat = excitement * x
        n = count(0.24 - 0.06 * x)
        p = pitch * (1.0 + 1.6 * heat) * rng.uniform(0.95, 1.05)
        bent = smooth(n, (0.0, p * 0.75), (0.45, p * 1.15), (1.0, p * 0.85))
        mouth: Mouth = (
            ([(0.0, 380 + 500 * heat), (0.5, 500 + 900 * heat), (1.0, 400 + 500 * heat)], 220.0, 0.0),
            ([(0.0, 900 + 700 * heat), (1.0, 900 + 700 * heat)], 300.0, -8.0 + 6 * heat),
            ([(0.0, 2800.0), (1.0, 2800.0)], 700.0, -20.0 + 12 * heat),
        )
        wave = voiced(rng, bent, mouth, 7.0 - 4.0 * heat, 0.1 + 0.2 * heat, 0.01, 0.4 * heat, 80.0)
        wave *= smooth(n, (0.0, 0.0), (0.3, 1.0), (0.7, 0.8), (1.0, 0.0)) / np.abs(wave).max()
        add(out, wave, at, 0.5 + 0.5 * x)
        onsets.append(at)
        m = count(0.13)
        gasp = shaped(noise(rng, m, 300.0, 5_000.0, 6.0), lambda f, q: resonance(f, q, mouth, -24.0))
        add(
            out,
            gasp * swell(m, 0.05, 0.06) / np.abs(gasp).max(),
            at + n / RATE + 0.03,
            0.22 * (0.5 + 0.5 * x),
        )
        at += rng.uniform(0.42, 0.5) - 0.12 * x
    return finished(room(rng, out[: count(at + 0.2)], 1.0, 0.35, 4_000.0), onsets)


def whale(rng: Rng, pitch: float = 220.0, calls: int = 2, seconds: float = 2.0) -> Sound:
    """A humpback: long moans that glide over an octave, in the echo of the sea."""
    at, onsets = 0.05, []
    out = np.zeros(count(calls * (seconds + 0.9) + 0.5))
    for _ in range(calls):
        n = count(seconds * rng.uniform(0.7, 1.1))
        p = pitch * 2.0 ** rng.uniform(-0.4, 0.6)
        bend = smooth(
            n,
            (0.0, p),
            (0.3, p * 2 ** rng.uniform(-0.3, 0.9)),
            (0.7, p * 2 ** rng.uniform(0, 1)),
            (1.0, p * 0.7),
        )
        mouth: Mouth = (
            ([(0.0, 400.0), (1.0, 500.0)], 300.0, 0.0),
            ([(0.0, 1100.0), (1.0, 900.0)], 500.0, -8.0),
        )
        wave = voiced(rng, bend, mouth, 6.0, 0.02, 0.003, 0.12, 25.0)
        wave *= smooth(n, (0.0, 0.0), (0.2, 1.0), (0.7, 0.8), (1.0, 0.0)) / np.abs(wave).max()
        add(out, wave, at, rng.uniform(0.6, 1.0))
        onsets.append(at + 0.05)
        at += n / RATE + rng.uniform(0.2, 0.8)
    return finished(room(rng, out[: count(at)], 3.0, 0.9, 2_500.0), onsets)


def seal(rng: Rng, pitch: float = 190.0, times: int = 3) -> Sound:
    """A sea lion: rough repeated aark calls."""
    at, onsets = 0.02, []
    out = np.zeros(count(times * 0.75 + 0.6))
    for _ in range(times):
        n = count(rng.uniform(0.28, 0.42))
        p = pitch * rng.uniform(0.95, 1.08)
        mouth: Mouth = (
            ([(0.0, 350.0), (0.3, 750.0), (1.0, 480.0)], 250.0, 0.0),
            ([(0.0, 900.0), (0.3, 1400.0), (1.0, 1000.0)], 350.0, -3.0),
            ([(0.0, 2500.0), (1.0, 2400.0)], 600.0, -10.0),
        )
        bend = smooth(n, (0.0, p * 0.8), (0.3, p * 1.25), (1.0, p * 0.75))
        wave = voiced(rng, bend, mouth, 3.0, 0.25, 0.03, 0.5, pitch / 3)
        wave *= smooth(n, (0.0, 0.0), (0.12, 1.0), (0.6, 0.8), (1.0, 0.0)) / np.abs(wave).max()
        add(out, wave, at, rng.uniform(0.7, 1.0))
        onsets.append(at)
        at += n / RATE + rng.uniform(0.12, 0.4)
    return finished(room(rng, out[: count(at + 0.2)], 0.8, 0.35), onsets)


def dolphin(rng: Rng, whistles: int = 2, clicks: float = 60.0) -> Sound:
    """A dolphin: whistles that sweep between 6 and 14 kHz over trains of clicks (so many a second)."""
    at, onsets = 0.1, []
    out = np.zeros(count(whistles * 1.1 + 1.2))
    for _ in range(whistles):
        n = count(rng.uniform(0.35, 0.8))
        low = rng.uniform(4_500.0, 6_500.0)
        sweep = smooth(n, (0.0, low), (0.35, low * rng.uniform(1.3, 2.0)), (0.7, low * 1.1), (1.0, low * 1.7))
        wave = np.sin(phase_of(sweep)) + 0.15 * np.sin(2 * phase_of(sweep))
        add(out, wave * swell(n, 0.04, 0.06), at, rng.uniform(0.25, 0.45))
        onsets.append(at + 0.01)
        at += n / RATE + 0.15
        burst, length = at, rng.uniform(0.25, 0.6)
        onsets.append(burst)
        while at < burst + length:
            m = count(0.004)
            add(out, noise(rng, m, 2_500.0, 16_000.0) * decay(m, 0.0005), at, 0.5)
            at += 1.0 / (clicks * (0.5 + 1.5 * (at - burst) / length))
        at += rng.uniform(0.05, 0.3)
    return finished(room(rng, out[: count(at + 0.1)], 0.9, 0.3), onsets)
