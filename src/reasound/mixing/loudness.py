"""How loud a sound is, and how to keep its peaks below a limit: ITU-R BS.1770-4 and EBU R 128."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from reasound.mixing.spatial import fast_length
from reasound.timeline import SAMPLE_RATE

Audio = NDArray[np.floating]  # [channels, N]
BLOCK, HOP = 0.4, 0.1
"""Seconds of a gating block, and from one to the next."""
SILENT, RELATIVE = -70.0, -10.0
"""Gates: LUFS, and LU below the mean of what passes the first."""
OVERSAMPLING, TAPS = 8, 24
"""True peak: 8 times (BS.1770 wants at least 4), with 24 taps in each phase."""
MANY = 0.1
"""Share of the gaps from which on it is quicker to fill all of them than to pick out those that matter."""
STRETCH = 48
"""Samples between which the gaps are filled at once."""
LOOKAHEAD = 128
"""Samples (2.9 ms) in which the limiter's gain moves to where a peak needs it."""
RELEASE = 60.0
"""dB a second at which the limiter lets go."""
BESIDE = 4 * LOOKAHEAD
"""Samples on each side of a block that the limiter's gain in it may depend on, beside its level before."""


def loudness(audio: Audio, rate: int = SAMPLE_RATE) -> float:
    """Integrated loudness in LUFS of [channels, N], all channels weighted 1; -inf for silence.

    Shorter than one block of 0.4 s, where BS.1770 defines nothing: the loudness of what there is, ungated.
    """
    return integrated(weighted_energy(audio, rate), rate)


def integrated(energy: NDArray[np.floating], rate: int = SAMPLE_RATE) -> float:
    """LUFS of K-weighted energy [N]."""
    blocks = block_energies(energy, rate, BLOCK)
    if not len(blocks):
        return _lufs(float(energy.mean())) if len(energy) else -math.inf
    return gated(blocks)


def gated(blocks: NDArray[np.float64]) -> float:
    """LUFS of the mean energies [T] of gating blocks, one every 0.1 s; -inf for silence."""
    heard = blocks[blocks > _energy(SILENT)]
    if not len(heard):
        return -math.inf
    return _lufs(float(heard[heard > heard.mean() * 10 ** (RELATIVE / 10)].mean()))


def momentary(audio: Audio, rate: int = SAMPLE_RATE, window: float = BLOCK) -> NDArray[np.float64]:
    """[T] LUFS of windows of 0.4 s (momentary) or 3 s (short-term), one every 0.1 s."""
    blocks = block_energies(weighted_energy(audio, rate), rate, window)
    return 10 * np.log10(np.maximum(blocks, 1e-20)) - 0.691


def block_energies(energy: NDArray[np.floating], rate: int, window: float) -> NDArray[np.float64]:
    """[N] -> [T] mean energies of whole windows, one every 0.1 s."""
    size = round(window * rate)
    starts = np.round(np.arange(max(0, int((len(energy) - size) / (HOP * rate)) + 1)) * HOP * rate).astype(
        int
    )
    starts = starts[starts + size <= len(energy)]
    if not len(starts):
        return np.zeros(0)
    # Sums from edge to edge, and of those the blocks: many times as fast as sums from sample to sample.
    edges = np.unique(np.concatenate((starts, starts + size)))
    parts = np.add.reduceat(energy[: edges[-1]], edges[:-1], dtype=float)
    total = np.concatenate(([0.0], np.cumsum(parts)))
    first, last = np.searchsorted(edges, (starts, starts + size))
    return (total[last] - total[first]) / size


def weighted_energy(audio: Audio, rate: int = SAMPLE_RATE) -> NDArray[np.float64]:
    """[channels, N] -> [N] energy after K-weighting, summed over the channels."""
    return np.sum(k_weighted(audio, rate) ** 2, axis=0)


def k_weighted(audio: Audio, rate: int = SAMPLE_RATE) -> NDArray[np.float64]:
    """[channels, N] through the head and RLB filters of BS.1770, at any rate.

    The standard prints coefficients for 48 kHz; these are the analogue filters behind them, so that the
    bilinear transform gives the printed numbers at 48 kHz and the right ones elsewhere.
    """
    # Both filters forget within 0.2 s: after half a second of padding nothing is left to wrap around.
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
    padded = np.pad(audio.astype(np.float32, copy=False), ((0, 0), (TAPS, TAPS + STRETCH)))
    highest = max(float(padded.max(initial=0.0)), -float(padded.min(initial=0.0)))
    # In most gaps the samples around are so low that nothing between them can be higher than the highest sample.
    parts = np.lib.stride_tricks.sliding_window_view(np.abs(padded), STRETCH + TAPS - 1, axis=1)[:, ::STRETCH]
    bound = (parts @ _bounds()).reshape(len(padded), -1)  # [channels, gaps]
    left = np.flatnonzero(bound > 0.9999 * highest)  # 32-bit floats add up to a little less or more
    if len(left) > MANY * bound.size:
        highest = max(highest, float(np.max(envelope(audio), initial=0.0)))
    elif len(left):
        around = np.lib.stride_tricks.sliding_window_view(padded, TAPS, axis=1)[divmod(left, bound.shape[1])]
        highest = max(highest, float(np.abs(around @ _phases()[:, ::-1].T).max()))
    return decibels(highest)


def decibels(magnitude: float) -> float:
    return 20 * math.log10(magnitude) if magnitude > 0 else -math.inf


def envelope(audio: Audio) -> NDArray[np.float32]:
    """[channels, N] -> [N]: largest magnitude at each sample and in the gap after it, over all channels.

    What an abrupt beginning or end makes a converter overshoot before or after it counts for the first and the
    last sample.
    """
    highest = np.max(np.abs(audio), axis=0, initial=0.0).astype(np.float32)
    if not len(highest):
        return highest
    first, last = TAPS // 2, TAPS // 2 + len(highest)  # output `first + n` lies between samples n and n + 1
    outputs = len(highest) + TAPS - 1
    padded = np.pad(audio.astype(np.float32, copy=False), ((0, 0), (TAPS - 1, TAPS + STRETCH)))
    parts = np.lib.stride_tricks.sliding_window_view(padded, STRETCH + TAPS - 1, axis=1)[:, ::STRETCH]
    between = np.empty((-(-outputs // STRETCH), STRETCH), np.float32)
    for start in range(0, len(between), 128):  # in blocks that stay in the processor's cache
        block = parts[:, start : min(start + 128, len(between))]
        found = np.abs(block @ _stretches()).reshape(*block.shape[:2], OVERSAMPLING - 1, STRETCH)
        between[start : start + 128] = found.max((0, 2))
    between = between.reshape(-1)[:outputs]
    np.maximum(highest, between[first:last], out=highest)
    highest[0] = max(highest[0], between[:first].max())
    highest[-1] = max(highest[-1], between[last:].max(initial=0.0))
    return highest


def limit(audio: Audio, peak: float) -> NDArray[np.float32]:
    """[N] gain, at most 1, that keeps the true peak of [channels, N] at or below `peak` dBTP.

    It looks 2.9 ms ahead and moves without corners, so that a click is turned down and not cut off; all
    channels get the same gain, so that nothing moves in the stereo picture.
    """
    gain = limiter_gain(envelope(audio), 10 ** (peak / 20))
    # The moving gain itself may add a little between the samples (hundredths of a dB).
    over = 10 ** ((true_peak(audio * gain) - peak) / 20)
    return gain / np.float32(max(1.0, over))


def limiter_gain(magnitude: NDArray[np.floating], ceiling: float) -> NDArray[np.float32]:
    """[N] magnitudes of the `envelope` -> [N] smooth gain that keeps each at or below `ceiling`."""
    if np.max(magnitude, initial=0.0) <= ceiling:
        return np.ones(len(magnitude), np.float32)
    needed = 20 * np.log10(np.minimum(1.0, ceiling / np.maximum(magnitude, 1e-12)))
    fall = RELEASE / SAMPLE_RATE * np.arange(len(needed))
    level = np.minimum.accumulate(needed - fall) + fall  # after a peak up again, so many dB each second
    return _eased(level)


def limiter_blocks(
    magnitude: Callable[[int, int], NDArray[np.floating]], n: int, gain: float, ceiling: float, size: int
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """(first sample, gain) of one block after the other, as `limiter_gain(gain * magnitude, ceiling)` has them.

    `magnitude(first, last)` reads a part; nothing is held but a block and what is near it.
    """
    if size < 2 * BESIDE:
        raise ValueError(f"blocks of {size} samples are too short for the limiter; take {2 * BESIDE} or more")
    before = 0.0  # dB just before what is read
    for first in range(0, n, size):
        last = min(first + size, n)
        begin, end = max(first - BESIDE, 0), min(last + BESIDE, n)
        found = gain * magnitude(begin, end)
        if before >= 0 and np.max(found, initial=0.0) <= ceiling:
            yield first, np.ones(last - first, np.float32)
            continue
        needed = 20 * np.log10(np.minimum(1.0, ceiling / np.maximum(found, 1e-12)))
        needed[0] = min(needed[0], before + RELEASE / SAMPLE_RATE)
        fall = RELEASE / SAMPLE_RATE * np.arange(len(needed))
        level = np.minimum.accumulate(needed - fall) + fall
        before = min(0.0, float(level[last - BESIDE - 1 - begin])) if last < n else 0.0
        yield first, _eased(level)[first - begin : last - begin]


def _eased(level: NDArray[np.floating]) -> NDArray[np.float32]:
    """[N] dB that must not be passed, from the limiter's peaks -> smooth gain, as a factor."""
    length = len(level)
    level = np.pad(np.minimum(level, 0.0), LOOKAHEAD, mode="edge")
    width = 1
    while width < LOOKAHEAD:  # the lowest of the next 1, 2, 4, ... samples
        level[:-width] = np.minimum(level[:-width], level[width:])
        width *= 2
    # A mean of the last LOOKAHEAD lowest values is nowhere above what is needed. Two boxes make a triangle.
    total = np.cumsum(np.pad(level, (1, 0)))
    box = LOOKAHEAD // 2
    total = np.cumsum(np.pad((total[box:] - total[:-box]) / box, (1, 0)))
    level = (total[box:] - total[:-box]) / box
    start = LOOKAHEAD - 2 * (box - 1)
    return (10 ** (level[start : start + length] / 20)).astype(np.float32)


@cache
def _phases() -> NDArray[np.float32]:
    """[7, TAPS] windowed-sinc interpolators for 1/8, 2/8, ... of the way to the next sample."""
    at = np.arange(TAPS) - (TAPS // 2 - 1)
    shifts = np.arange(1, OVERSAMPLING)[:, None] / OVERSAMPLING
    distance = shifts - at
    taps = np.sinc(distance) * np.i0(9 * np.sqrt(np.maximum(0, 1 - (distance / (TAPS / 2)) ** 2))) / np.i0(9)
    # Convolution runs backwards through the taps.
    return (taps / taps.sum(axis=1, keepdims=True))[:, ::-1].astype(np.float32)


@cache
def _bounds() -> NDArray[np.float32]:
    """[STRETCH + TAPS - 1, STRETCH]: magnitudes of samples -> no less than any magnitude between them, for each gap."""
    matrix = np.zeros((STRETCH + TAPS - 1, STRETCH), np.float32)
    for output in range(STRETCH):
        matrix[output : output + TAPS, output] = np.abs(_phases()[:, ::-1]).max(0)
    return matrix


@cache
def _stretches() -> NDArray[np.float32]:
    """[STRETCH + TAPS - 1, 7 * STRETCH]: the interpolators as one matrix, many times as fast as convolutions."""
    matrix = np.zeros((STRETCH + TAPS - 1, OVERSAMPLING - 1, STRETCH), np.float32)
    for output in range(STRETCH):
        matrix[output : output + TAPS, :, output] = _phases()[:, ::-1].T
    return matrix.reshape(len(matrix), -1)


def _quadratic(z: NDArray[np.complex128], k: float, c: float, d: float) -> NDArray[np.complex128]:
    """c s^2 + d s + 1 after the bilinear transform, times (1 + z)^2; k = tan(pi f / rate), d is k times the
    coefficient of s."""
    return (c + d + k**2) + 2 * (k**2 - c) * z + (c - d + k**2) * z**2


def _lufs(energy: float) -> float:
    return 10 * math.log10(energy) - 0.691 if energy > 0 else -math.inf


def _energy(lufs: float) -> float:
    return 10 ** ((lufs + 0.691) / 10)
