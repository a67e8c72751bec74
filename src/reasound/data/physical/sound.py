"""What every model is built from: noise, envelopes, filters, harmonics, resonances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RATE = 44_100
Wave = NDArray[np.float64]
"""[N] or [2, N] at 44.1 kHz; models compute in double and are rounded to float32 once, at the end."""
Rng = np.random.Generator

CONTROL = 64
"""Samples between two values of a slowly changing control."""


@dataclass(frozen=True)
class Sound:
    """A made sound: audio float32 [N] or [2, N], peak 0.9, and the seconds at which each of its events begins."""

    audio: NDArray[np.float32]
    onsets: tuple[float, ...]

    @property
    def seconds(self) -> float:
        return self.audio.shape[-1] / RATE


def finished(wave: Wave, onsets: Sequence[float] = (0.0,), tail: float = 0.01) -> Sound:
    """To peak 0.9, with a fade of `tail` seconds at the end; below 20 Hz nothing is left."""
    wave = wave - wave.mean(-1, keepdims=True)
    fade = min(int(tail * RATE), wave.shape[-1])
    if fade:
        wave = wave.copy()
        wave[..., -fade:] *= np.linspace(1.0, 0.0, fade)
    wave = wave * (0.9 / max(float(np.abs(wave).max()), 1e-9))
    return Sound(wave.astype(np.float32), tuple(round(float(t), 4) for t in sorted(onsets)))


def count(seconds: float) -> int:
    return max(1, round(seconds * RATE))


def clock(n: int) -> Wave:
    """Seconds of n samples, from 0."""
    return np.arange(n) / RATE


def curve(n: int, *points: tuple[float, float]) -> Wave:
    """Straight lines through (position 0..1, value), as n samples."""
    return np.interp(np.linspace(0.0, 1.0, n), [p for p, _ in points], [v for _, v in points])


def smooth(n: int, *points: tuple[float, float]) -> Wave:
    """Like `curve`, eased in and out between the points, as living things move."""
    at = np.array([p for p, _ in points])
    value = np.array([v for _, v in points])
    x = np.linspace(0.0, 1.0, n)
    i = np.clip(np.searchsorted(at, x, side="right") - 1, 0, len(at) - 2)
    u = np.clip((x - at[i]) / np.maximum(at[i + 1] - at[i], 1e-9), 0.0, 1.0)
    return np.asarray(value[i] + (value[i + 1] - value[i]) * u * u * (3.0 - 2.0 * u))


def wander(rng: Rng, n: int, per_second: float) -> Wave:
    """A slow random curve with about `per_second` turns a second, standard deviation near 1."""
    knots = max(int(n / RATE * per_second), 1) + 3
    return np.interp(np.linspace(0.0, knots - 1.0, n), np.arange(knots), rng.standard_normal(knots)) * 1.2


def decay(n: int, seconds: float) -> Wave:
    """exp(-t/seconds) over n samples."""
    return np.exp(-clock(n) / seconds)


def swell(n: int, attack: float, release: float) -> Wave:
    """Raised-cosine rise over `attack` and fall over `release` seconds, 1 in between."""
    a, r = min(count(attack), n), min(count(release), n)
    out = np.ones(n)
    out[:a] = 0.5 - 0.5 * np.cos(np.pi * np.arange(a) / a)
    out[n - r :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, r + 1) / r)
    return out


def add(out: Wave, wave: Wave, seconds: float, gain: float = 1.0) -> None:
    """Mix `wave` into `out` from this time; what lies beyond the end is cut."""
    start = round(seconds * RATE)
    stop = min(start + wave.shape[-1], out.shape[-1])
    if stop > start:
        out[..., start:stop] += gain * wave[..., : stop - start]


def filtered(wave: Wave, hertz: ArrayLike, decibels: ArrayLike) -> Wave:
    """Through a zero-phase equaliser given at some frequencies, straight lines over log frequency."""
    n = wave.shape[-1]
    size = 1 << (n + 512 - 1).bit_length()
    octaves = np.log2(np.fft.rfftfreq(size, 1.0 / RATE).clip(10.0))
    gain = 10.0 ** (np.interp(octaves, np.log2(np.asarray(hertz, float)), np.asarray(decibels, float)) / 20.0)
    return np.asarray(np.fft.irfft(np.fft.rfft(wave, size) * gain, size)[..., :n])


def band(wave: Wave, low: float, high: float, slope: float = 18.0) -> Wave:
    """Band-pass with edges that fall by `slope` decibels an octave."""
    steps = 5.0
    return filtered(
        wave,
        [low / 2**steps, low, high, high * 2**steps],
        [-slope * steps, 0.0, 0.0, -slope * steps],
    )


def noise(rng: Rng, n: int, low: float = 20.0, high: float = 20_000.0, slope: float = 18.0) -> Wave:
    """Noise in a band, standard deviation 1."""
    out = band(rng.standard_normal(n), low, high, slope)
    return out / max(float(out.std()), 1e-9)


def phase_of(hertz: Wave) -> Wave:
    """The phase in radians of a tone with this frequency curve."""
    return np.asarray(2.0 * np.pi * np.cumsum(hertz) / RATE)


Response = Callable[[Wave, Wave], Wave]
"""(frequency in hertz, position 0..1) -> linear gain."""


def harmonics(hertz: Wave, gain: Callable[[int, Wave, Wave], Wave], most: int = 120) -> Wave:
    """Sum over k of gain(k, frequency, position) * sin(k * phase), up to 17 kHz.

    `hertz` is the fundamental at every sample; gains are asked for every 64 samples. sin(k p) comes from Chebyshev's
    recurrence, two multiplications a sample.
    """
    n = len(hertz)
    phase = phase_of(hertz)
    at = np.arange(0, n + CONTROL, CONTROL)
    slow = np.interp(at, np.arange(n), hertz)
    position = np.minimum(at / n, 1.0)
    double = 2.0 * np.cos(phase)
    before, now = np.zeros(n), np.sin(phase)
    out = np.zeros(n)
    ramp = np.arange(CONTROL) / CONTROL
    for k in range(1, most + 1):
        frequency = k * slow
        if frequency.min() > 17_000.0:
            break
        level = gain(k, frequency, position) * np.clip((17_000.0 - frequency) / 1_000.0, 0.0, 1.0)
        fine = (
            level[:-1, None] + np.diff(level)[:, None] * ramp
        )  # [n / 64, 64], straight lines between controls
        out += fine.reshape(-1)[:n] * now
        before, now = now, double * now - before
    return out


def shaped(wave: Wave, response: Response, size: int = 1024) -> Wave:
    """Through a filter that changes with time: overlapping Hann windows, each with its own response."""
    n, hop = len(wave), size // 4
    frames = n // hop + 4
    padded = np.zeros(frames * hop + size)
    padded[size : size + n] = wave
    window = np.hanning(size + 1)[:-1]
    starts = np.arange(0, frames * hop, hop)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, size)[starts] * window
    hertz = np.fft.rfftfreq(size, 1.0 / RATE)[None, :]
    position = np.clip((starts + size / 2 - size) / n, 0.0, 1.0)[:, None]
    gain = response(np.broadcast_to(hertz, (len(starts), hertz.shape[1])), position)
    pieces = np.fft.irfft(np.fft.rfft(pieces) * gain, size) * window
    out = np.zeros(len(padded) + size)
    for start, piece in zip(starts, pieces, strict=True):
        out[start : start + size] += piece
    return out[size : size + n] / 1.5  # the sum of squared Hann windows at a quarter hop


def modes(n: int, hertz: ArrayLike, ring: ArrayLike, level: ArrayLike, phase: ArrayLike = 0.0) -> Wave:
    """Damped sines: frequencies, seconds to 1/e, and levels, as one matrix product of complex powers."""
    hertz, ring, level, phase = np.broadcast_arrays(
        *(np.asarray(v, float) for v in (hertz, ring, level, phase))
    )
    heard = hertz < 20_000.0
    step = -1.0 / (ring[heard] * RATE) + 2j * np.pi * hertz[heard] / RATE
    block = 256
    rows = -(-n // block)
    coarse = np.exp(np.outer(np.arange(rows) * block, step)) * (level * np.exp(1j * phase))[heard]
    fine = np.exp(np.outer(step, np.arange(block)))
    return np.ascontiguousarray((coarse @ fine).imag.reshape(-1)[:n])


def click(
    rng: Rng, seconds: float, low: float, high: float, many: int, ring: tuple[float, float], tilt: float = 0.0
) -> Wave:
    """A short contact of something complicated: many modes at random between two frequencies, peak 1.

    ring: shortest and longest time to 1/e of a mode at `low`; tilt: exponent by which high modes are weaker.
    """
    hertz = np.exp(rng.uniform(np.log(low), np.log(high), many))
    last = np.exp(rng.uniform(np.log(ring[0]), np.log(ring[1]), many)) * (hertz / low) ** -0.3
    level = np.exp(0.5 * rng.standard_normal(many)) * (hertz / low) ** -tilt
    wave = modes(count(seconds), hertz, last, level, rng.uniform(0, 2 * np.pi, many))
    return wave / max(float(np.abs(wave).max()), 1e-9)


def aired(rng: Rng, wave: Wave, decibels: float = -58.0, bright: float = 2_000.0) -> Wave:
    """With the faint air of a quiet room behind it, relative to its peak."""
    return wave + 10 ** (decibels / 20) * np.abs(wave).max() * noise(rng, wave.shape[-1], 60.0, bright, 6.0)


def room(rng: Rng, wave: Wave, seconds: float, wet: float, bright: float = 6_000.0) -> Wave:
    """A diffuse reverberation that lasts `seconds` to -60 dB, added at `wet`; the sound grows by its length."""
    n = count(seconds)
    tail = noise(rng, n, 80.0, bright, 6.0) * decay(n, seconds / 6.9)
    tail *= wet / max(float(np.sqrt((tail**2).sum())), 1e-9)
    tail[0] += 1.0
    total = wave.shape[-1] + n
    size = 1 << (total - 1).bit_length()
    return np.asarray(np.fft.irfft(np.fft.rfft(wave, size) * np.fft.rfft(tail, size), size)[..., :total])


def spread(rng: Rng, rate: float, seconds: float, start: float = 0.0) -> Wave:
    """Times of a Poisson process of `rate` a second."""
    return np.sort(rng.uniform(start, seconds, rng.poisson(rate * max(seconds - start, 0.0))))
