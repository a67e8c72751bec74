"""Cries from a source and formants: harmonics and breath of vocal folds, through the resonances of a mouth.

Fant, Acoustic Theory of Speech Production (1960): the folds' spectrum falls by 12 dB an octave, lips add 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reasound.data.physical.sound import (
    RATE,
    Rng,
    Sound,
    Wave,
    add,
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


def breathed(air: Wave, mouth: Mouth, floor: float) -> Wave:
    """Noise through a mouth."""
    return shaped(air, lambda hertz, position: resonance(hertz, position, mouth, floor))


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
    air = breathed(noise(rng, n, 200.0, 16_000.0, 6.0), mouth, -40.0)
    scale = float(tone.std()) / max(float(air.std()), 1e-9)
    out = tone + breath * scale * air
    if rough > 0.0:
        beat = phase_of(np.maximum(rough_hertz * (1.0 + 0.25 * wander(rng, n, 25.0)), 5.0))
        turn = (beat / (2 * np.pi)) % 1.0
        pulses = (
            2.4 * np.exp(-3.0 * turn) * np.minimum(turn / 0.06, 1.0)
        )  # the folds close fast and open slowly
        out = out * (1.0 - rough + rough * pulses) + rough * 0.5 * scale * air * pulses
    return out


@dataclass(frozen=True)
class Throat:
    """A creature's voice: how its pitch and mouth move in one cry.

    The numbers of the species below were found by search: a tagger trained on AudioSet had to name the animal.
    """

    pitch: float
    """Hertz, middle of the cry."""
    contour: tuple[float, float, float, float]
    """Factors on the pitch at the start, a fifth, just past the middle and the end."""
    mouth: Mouth
    tilt: float
    breath: float
    jitter: float
    rough: float
    rough_hertz: float
    attack: float
    """Share of the cry in which it swells to `early`; then to 1 in the middle and `late` near the end."""
    early: float
    late: float


def moving(closed: float, opened: float, closing: float) -> Track:
    return ((0.0, closed), (0.35, opened), (1.0, closing))


def still(hertz: float) -> Track:
    return ((0.0, hertz), (1.0, hertz))


CAT = Throat(
    422.0,
    (0.84, 1.26, 1.17, 0.55),
    (
        (moving(404, 1_645, 596), 307.0, 0.0),
        (moving(1_693, 2_442, 1_412), 408.0, -5.4),
        (still(3_877), 522.0, -5.2),
        (still(5_850), 677.0, -26.0),
    ),
    tilt=5.8, breath=0.056, jitter=0.003, rough=0.33, rough_hertz=30.0, attack=0.12, early=0.66, late=0.3,
)  # fmt: skip
DOG = Throat(
    482.0,
    (0.71, 1.49, 1.17, 0.99),
    (
        (moving(466, 1_034, 586), 258.0, 0.0),
        (moving(1_396, 1_800, 1_283), 279.0, -5.8),
        (still(2_403), 254.0, -17.0),
        (still(5_237), 778.0, -26.7),
    ),
    tilt=7.5, breath=0.053, jitter=0.003, rough=0.28, rough_hertz=28.0, attack=0.2, early=0.73, late=0.32,
)  # fmt: skip
PERSON = Throat(
    349.0,
    (0.88, 1.36, 1.24, 0.87),
    (
        (moving(681, 669, 734), 163.0, 0.0),
        (moving(1_209, 1_725, 1_755), 263.0, -7.7),
        (still(3_014), 286.0, -9.3),
        (still(4_238), 986.0, -29.0),
    ),
    tilt=6.9, breath=0.027, jitter=0.003, rough=0.2, rough_hertz=34.0, attack=0.12, early=0.72, late=0.55,
)  # fmt: skip
BEAST = Throat(
    149.0,
    (0.85, 1.38, 1.35, 0.67),
    (
        (moving(222, 501, 239), 193.0, 0.0),
        (moving(788, 1_298, 868), 152.0, 1.5),
        (still(2_311), 352.0, -22.3),
        (still(4_594), 598.0, -15.6),
    ),
    tilt=9.0, breath=0.26, jitter=0.044, rough=0.53, rough_hertz=34.0, attack=0.21, early=0.82, late=0.28,
)  # fmt: skip
SEA_LION = Throat(
    205.0,
    (0.86, 1.27, 1.29, 0.52),
    (
        (moving(320, 451, 322), 214.0, 0.0),
        (moving(995, 1_275, 863), 209.0, -2.2),
        (still(2_175), 268.0, -14.4),
        (still(4_040), 862.0, -16.9),
    ),
    tilt=8.8, breath=0.044, jitter=0.01, rough=0.48, rough_hertz=33.0, attack=0.2, early=0.57, late=0.3,
)  # fmt: skip


WOLF = Throat(
    497.0,
    (0.88, 1.35, 1.24, 0.9),
    (
        (moving(521, 742, 415), 259.0, 0.0),
        (moving(915, 1_188, 892), 268.0, -2.8),
        (still(2_465), 249.0, -20.6),
        (still(5_117), 673.0, -21.7),
    ),
    tilt=9.0, breath=0.075, jitter=0.006, rough=0.2, rough_hertz=25.0, attack=0.23, early=0.62, late=0.84,
)  # fmt: skip
WHALE = Throat(
    322.0,
    (0.81, 1.39, 1.23, 0.73),
    (
        (moving(292, 343, 308), 314.0, 0.0),
        (moving(594, 1_162, 771), 178.0, -6.3),
        (still(1_853), 337.0, -21.4),
        (still(4_666), 789.0, -24.4),
    ),
    tilt=8.4, breath=0.068, jitter=0.018, rough=0.26, rough_hertz=31.0, attack=0.23, early=0.55, late=0.78,
)  # fmt: skip


def cry(rng: Rng, throat: Throat, seconds: float, size: float = 1.0, vary: float = 0.04) -> Wave:
    """One cry, peak 1. size: 1 as the throat, larger is lower in pitch and formants; vary: relative unsteadiness."""

    def around(value: float) -> float:
        return value * float(np.exp(vary * rng.standard_normal()))

    n = count(seconds)
    base = around(throat.pitch) / size
    places = (0.0, 0.2, 0.55, 1.0)
    pitch = smooth(n, *((p, base * around(c)) for p, c in zip(places, throat.contour, strict=True)))
    stretch = size**-0.6
    mouth = tuple(
        (tuple((p, around(f * stretch)) for p, f in track), width * stretch**0.5, level)
        for track, width, level in throat.mouth
    )
    wave = voiced(
        rng,
        pitch,
        mouth,
        throat.tilt,
        throat.breath,
        throat.jitter,
        throat.rough,
        throat.rough_hertz / size**0.3,
    )
    wave *= smooth(n, (0.0, 0.0), (throat.attack, throat.early), (0.5, 1.0), (0.8, throat.late), (1.0, 0.0))
    return wave / max(float(np.abs(wave).max()), 1e-9)


def calls(
    rng: Rng,
    throat: Throat,
    times: int = 1,
    seconds: float = 0.6,
    gap: float = 0.4,
    size: float = 1.0,
    vary: float = 0.04,
    space: float = 0.4,
    wet: float = 0.3,
) -> Sound:
    """Some cries of one creature, `gap` seconds from start to start, in a space with `space` seconds of echo."""
    at, onsets = 0.01, []
    out = np.zeros(count(times * gap * 1.3 + seconds * 1.4 + 0.1))
    for _ in range(times):
        length = seconds * rng.uniform(0.88, 1.14)
        add(out, cry(rng, throat, length, size, vary), at, rng.uniform(0.75, 1.0))
        onsets.append(at + 0.15 * throat.attack * length)
        end = at + length
        at += max(gap * rng.uniform(0.9, 1.12), length + 0.02)
    return finished(room(rng, out[: count(end + 0.02)], space, wet), onsets)


def howl(rng: Rng, seconds: float = 3.0, size: float = 1.0, pack: int = 1, space: float = 1.0) -> Sound:
    """Wolves: a rise, a long held note, a fall; others answer from farther away. space: seconds of echo."""
    late, onsets = 0.01, []
    out = np.zeros(count(seconds + 1.4 * pack + 0.2))
    for i in range(pack):
        wave = cry(
            rng, WOLF, seconds * rng.uniform(0.8, 1.0), size * float(2 ** rng.uniform(-0.2, 0.2)) ** (i > 0)
        )
        add(out, wave, late, 1.0 if i == 0 else rng.uniform(0.25, 0.7))
        onsets.append(late + 0.04)
        end = late + len(wave) / RATE
        late += rng.uniform(0.5, 1.4)
    return finished(room(rng, out[: count(end + 0.1)], space, 0.35, 4_000.0), onsets)


def whale(rng: Rng, calls: int = 2, seconds: float = 2.0, size: float = 1.0) -> Sound:
    """A humpback: long moans, each another bend, in the echo of the sea."""
    at, onsets = 0.03, []
    out = np.zeros(count(calls * (seconds + 1.0) + 0.5))
    for _ in range(calls):
        wave = cry(
            rng, WHALE, seconds * rng.uniform(0.8, 1.1), size * float(2 ** rng.uniform(-0.15, 0.15)), 0.08
        )
        add(out, wave, at, rng.uniform(0.6, 1.0))
        onsets.append(at + 0.04)
        at += len(wave) / RATE + rng.uniform(0.2, 0.7)
    return finished(room(rng, out[: count(at)], 1.8, 0.65), onsets)


def laugh(rng: Rng, size: float = 1.0, syllables: int = 8, gap: float = 0.206, breath: float = 0.2) -> Sound:
    """Ha ha ha: breath, then voice, sinking in pitch and level. size: 0.8 child, 1 woman, 1.7 man."""
    at, onsets = 0.03, []
    out = np.zeros(count(syllables * gap * 1.3 + 0.6))
    for i in range(syllables):
        x = i / max(syllables - 1, 1)
        n = count(0.83 * gap)
        level = 1.0 - 0.5 * x
        add(out, cry(rng, PERSON, n / RATE, size * (1.0 + 0.18 * x)), at, level * rng.uniform(0.85, 1.0))
        onsets.append(at + 0.015)
        m = count(0.5 * gap)
        puff = breathed(noise(rng, m, 400.0, 9_000.0, 6.0), PERSON.mouth, -20.0)
        add(out, puff * swell(m, 0.4 * gap, 0.1 * gap) / np.abs(puff).max(), at - 0.03, breath * level)
        at += gap * (1.0 + 0.15 * x) * rng.uniform(0.95, 1.05)
    return finished(room(rng, out[: count(at + 0.1)], 0.4, 0.4), onsets)


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
        gasp = breathed(noise(rng, m, 300.0, 5_000.0, 6.0), mouth, -24.0)
        add(
            out,
            gasp * swell(m, 0.05, 0.06) / np.abs(gasp).max(),
            at + n / RATE + 0.03,
            0.22 * (0.5 + 0.5 * x),
        )
        at += rng.uniform(0.42, 0.5) - 0.12 * x
    return finished(room(rng, out[: count(at + 0.2)], 1.0, 0.35, 4_000.0), onsets)


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
