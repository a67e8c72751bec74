"""How loud a sound is, and how to keep its peaks below a limit: ITU-R BS.1770-4 and EBU R 128."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from reasound.mixing.spatial import fast_length
from reasound.timeline import SAMPLE_RATE

Audio = NDArray[np.float32]  # [channels, N]
BLOCK, HOP = 0.4, 0.1
"""Seconds of a gating block, and from one to the next."""
SILENT, RELATIVE = -70.0, -10.0
"""Gates: LUFS, and LU below the mean of what passes the first."""
OVERSAMPLING, TAPS = 4, 24
"""True peak: 4 times, with 24 taps in each phase."""
LOOKAHEAD = 128
"""Samples (2.9 ms) in which the limiter's gain moves to where a peak needs it."""
RELEASE = 60.0
"""dB a second at which the limiter lets go."""


def loudness(audio: Audio, rate: int = SAMPLE_RATE) -> float:
    """Integrated loudness in LUFS of [channels, N], all channels weighted 1; -inf for silence.

    Shorter than one block of 0.4 s, where BS.1770 defines nothing: the loudness of what there is, without gates.
    """
    if audio.shape[1] == 0:
        return -math.inf
    energy = np.sum(k_weighted(audio, rate) ** 2, axis=0)
    blocks = block_energies(energy, rate, BLOCK)
    if not len(blocks):
        return _lufs(float(energy.mean()))
    heard = blocks[blocks > _energy(SILENT)]
    if not len(heard):
        return -math.inf
    return _lufs(float(heard[heard > heard.mean() * 10 ** (RELATIVE / 10)].mean()))


def momentary(audio: Audio, rate: int = SAMPLE_RATE, window: float = BLOCK) -> NDArray[np.float64]:
    """[T] LUFS of windows of 0.4 s (momentary) or 3 s (short-term), one every 0.1 s."""
    blocks = block_energies(np.sum(k_weighted(audio, rate) ** 2, axis=0), rate, window)
    return 10 * np.log10(np.maximum(blocks, 1e-20)) - 0.691


def block_energies(energy: NDArray[np.float64], rate: int, window: float) -> NDArray[np.float64]:
    """[N] -> [T] mean energies of whole windows, one every 0.1 s."""
    total = np.concatenate(([0.0], np.cumsum(energy)))
    size = round(window * rate)
    starts = np.round(np.arange(max(0, int((len(energy) - size) / (HOP * rate)) + 1)) * HOP * rate).astype(
        int
    )
    starts = starts[starts + size <= len(energy)]
    return (total[starts + size] - total[starts]) / size


def k_weighted(audio: Audio, rate: int = SAMPLE_RATE) -> NDArray[np.float64]:
    """[channels, N] through the head and RLB filters of BS.1770, at any rate.

    The standard prints coefficients for 48 kHz; these are the analogue filters behind them, so that the bilinear
    transform gives the printed numbers at 48 kHz and the right ones elsewhere.
    """
    # Both filters forget within 0.2 s; with half a second of padding the transform's wrap-around is inaudible.
    size = fast_length(audio.shape[1] + rate // 2)
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(size))  # one sample later
    k, q = math.tan(math.pi * 1681.974450955533 / rate), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    head = _quadratic(z, k, high, k / q * high**0.4996667741545416) / _quadratic(z, k, 1, k / q)
    k, q = math.tan(math.pi * 38.13547087602444 / rate), 0.5003270373238773
    rlb = (1 + k / q + k**2) * (1 - z) ** 2 / _quadratic(z, k, 1, k / q)
    heard = np.fft.rfft(audio.astype(np.float64), size) * (head * rlb)
    return np.fft.irfft(heard, size)[:, : audio.shape[1]]


def true_peak(audio: Audio) -> float:
    """Highest level between and on the samples of [channels, N], in dBTP; -inf for silence."""
    highest = float(np.max(envelope(audio), initial=0.0))
    return 20 * math.log10(highest) if highest > 0 else -math.inf


def envelope(audio: Audio) -> NDArray[np.float64]:
    """[channels, N] -> [N]: the largest magnitude at each sample and in the gap after it, over all channels."""
    highest = np.max(np.abs(audio), axis=0).astype(np.float64)
    for taps in _phases():
        for channel in audio:
            # Output n lies between samples n and n + 1.
            between = np.convolve(channel, taps)[TAPS // 2 : TAPS // 2 + len(channel)]
            np.maximum(highest, np.abs(between), out=highest)
    return highest


def limit(audio: Audio, peak: float) -> NDArray[np.float32]:
    """[N] gain, at most 1, that keeps the true peak of [channels, N] at or below `peak` dBTP.

    It looks 2.9 ms ahead and moves without corners, so that a click is turned down and not cut off; all channels
    get the same gain, so that nothing moves in the stereo picture.
    """
    ceiling = 10 ** (peak / 20)
    magnitude = envelope(audio)
    if np.max(magnitude, initial=0.0) <= ceiling:
        return np.ones(audio.shape[1], np.float32)
    aim = ceiling
    for _ in range(4):
        gain = _smooth_gain(np.minimum(1.0, aim / np.maximum(magnitude, 1e-12)))
        over = np.max(envelope(audio * gain)) / ceiling
        if over <= 1:
            break
        aim /= over  # the moving gain itself adds a little between the samples
    return (gain / max(1.0, over)).astype(np.float32)


def _smooth_gain(needed: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N] the gain that each sample needs at most -> [N] a smooth one that is nowhere above it."""
    level = 20 * np.log10(needed)
    fall = RELEASE / SAMPLE_RATE * np.arange(len(level))
    level = (
        np.minimum.accumulate(level - fall) + fall
    )  # after a peak, up again at a steady number of dB a second
    level = np.minimum(level, 0.0)
    # The gap between two samples belongs to both: cover one sample more on each side.
    padded = np.pad(level, LOOKAHEAD, mode="edge")
    width = 1
    while width < LOOKAHEAD:  # lowest of the next 1, 2, 4, ... samples
        padded[:-width] = np.minimum(padded[:-width], padded[width:])
        width *= 2
    window = np.hanning(LOOKAHEAD + 2)[1:-1]
    smooth = np.convolve(padded, window / window.sum())
    return 10 ** (smooth[LOOKAHEAD - 1 + 1 : LOOKAHEAD + len(level)] / 20)


def _phases() -> NDArray[np.float64]:
    """[3, TAPS] windowed-sinc interpolators for 1/4, 1/2 and 3/4 of the way to the next sample."""
    at = np.arange(TAPS) - (TAPS // 2 - 1)
    shifts = np.arange(1, OVERSAMPLING)[:, None] / OVERSAMPLING
    distance = shifts - at
    taps = np.sinc(distance) * np.i0(9 * np.sqrt(np.maximum(0, 1 - (distance / (TAPS / 2)) ** 2))) / np.i0(9)
    # Convolution runs backwards through the taps.
    return (taps / taps.sum(axis=1, keepdims=True))[:, ::-1]


def _quadratic(z: NDArray[np.complex128], k: float, c: float, d: float) -> NDArray[np.complex128]:
    """(c + d s + s^2 scaled) after the bilinear transform with k = tan(pi f / rate); both filters are made of it."""
    return (c + d + k**2) + 2 * (k**2 - c) * z + (c - d + k**2) * z**2


def _lufs(energy: float) -> float:
    return 10 * math.log10(energy) - 0.691 if energy > 0 else -math.inf


def _energy(lufs: float) -> float:
    return 10 ** ((lufs + 0.691) / 10)
