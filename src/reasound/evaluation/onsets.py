"""When a sound starts, and how well two lists of moments agree.

Every score of "is it in time?" in the product comes from here: against the real sound track, against the plan
that was asked for, and against the two guesses that an honest score should beat, the best steady beat and the
right number of onsets at the wrong moments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Seconds = NDArray[np.float64]

TOLERANCE = 0.1
"""Seconds: how far apart the picture and the sound of one event may be."""

_HOP, _WINDOW = 0.005, 0.02  # seconds; a window this short still resolves 50 Hz
_BANDS = np.geomspace(60, 16_000, 25)  # edges in Hz, three bands an octave
_FLOOR_DB = 60.0  # what lies further below the loudest moment of a band is silence: its rise is no onset
_BEFORE, _AFTER = 0.04, 0.02  # seconds over which a rise is measured
_APART = 0.08  # seconds; two attacks closer than this are heard as one


def audio_onsets(audio: ArrayLike, rate: int, sensitivity_db: float = 6.0) -> Seconds:
    """Moments (seconds, ascending) at which a sound starts or is struck again.

    How far the sound rises, in decibels, above its highest level in the 40 ms before: half the mean rise of
    third-octave bands (spectral flux: a new sound under an old one), half the rise of the whole (a new sound
    that matters). A peak above `sensitivity_db` is an onset, reported where the bands rise fastest.

    Args:
        audio: [N] or [channels, N] samples; channels add in power, so that panning cannot hide an onset.
        rate: samples a second.
        sensitivity_db: 6 finds clear attacks; 3 also those in dense material, a drum kit with a band.
    """
    samples = np.atleast_2d(np.asarray(audio, np.float32))
    if samples.ndim != 2 or rate <= 0:
        raise ValueError(
            f"audio must be [N] or [channels, N] at a positive rate, not {samples.shape} at {rate}"
        )
    if not np.any(samples):
        return np.zeros(0)
    levels = _band_levels(samples, rate)  # [T, B] dB
    after = round(_AFTER / _HOP)
    whole = 10 * np.log10((10 ** (levels / 10)).sum(1, keepdims=True))
    rise = (_rise(levels) + _rise(whole)) / 2  # [T]
    peaks = _peaks(rise, sensitivity_db, round(_APART / _HOP))
    # The window after a frame reaches the attack early; the steepest step inside it is the attack itself.
    step = np.maximum(np.diff(levels, axis=0, prepend=levels[:1]), 0).mean(1)
    exact = [p + int(np.argmax(step[p : p + after + 1])) for p in peaks]
    return np.unique(np.asarray(exact, float)) * _HOP


def pairs(found: ArrayLike, wanted: ArrayLike, tolerance: float = TOLERANCE) -> list[tuple[int, int]]:
    """One-to-one, in order: as many pairs within `tolerance` seconds as can be, and of those the closest.

    Both lists must ascend. Returns (index in found, index in wanted). Exact, by dynamic programming.
    """
    a, b = np.asarray(found, float).ravel(), np.asarray(wanted, float).ravel()
    apart = np.abs(a[:, None] - b[None, :])  # [F, W]
    one_more_pair = tolerance * (min(len(a), len(b)) + 1)  # always worth more than any nearness
    gain = np.where(apart <= tolerance + 1e-9, one_more_pair - apart, -np.inf)
    best = np.zeros((len(a) + 1, len(b) + 1))
    for i in range(len(a)):
        row = np.maximum(best[i, 1:], best[i, :-1] + gain[i])
        best[i + 1, 1:] = np.maximum.accumulate(row)
    chosen, i, j = [], len(a), len(b)
    while i and j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
        elif best[i, j] == best[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            chosen.append((i, j))
    return chosen[::-1]


def match(found: ArrayLike, wanted: ArrayLike, tolerance: float = TOLERANCE) -> tuple[int, int, int]:
    """(hits, false alarms, misses)."""
    hits = len(pairs(found, wanted, tolerance))
    return hits, np.size(found) - hits, np.size(wanted) - hits


def precision_recall(
    found: ArrayLike, wanted: ArrayLike, tolerance: float = TOLERANCE
) -> tuple[float, float]:
    """The share of `found` that is right and of `wanted` that was found; 1 where there is nothing."""
    hits, false, missed = match(found, wanted, tolerance)
    return hits / (hits + false) if hits + false else 1.0, hits / (hits + missed) if hits + missed else 1.0


def f1(found: ArrayLike, wanted: ArrayLike, tolerance: float = TOLERANCE) -> float:
    """Harmonic mean of precision and recall, 0 to 1; nothing found where nothing was wanted is 1."""
    hits, false, missed = match(found, wanted, tolerance)
    return 2 * hits / (2 * hits + false + missed) if hits + false + missed else 1.0


def timing_error(found: ArrayLike, wanted: ArrayLike, tolerance: float = TOLERANCE) -> float:
    """Mean distance in seconds of the pairs that match; nan where none does."""
    a, b = np.asarray(found, float).ravel(), np.asarray(wanted, float).ravel()
    apart = [abs(a[i] - b[j]) for i, j in pairs(a, b, tolerance)]
    return float(np.mean(apart)) if apart else math.nan


def best_constant_rhythm(wanted: ArrayLike, seconds: float, tolerance: float = TOLERANCE) -> float:
    """The best F1 of any steady beat (period 0.1 to 3 s, any phase): it knows the answer, not the picture.

    The grid of periods and phases is so fine that no beat of the clip is off by more than half the tolerance.
    """
    truth = np.sort(np.asarray(wanted, float).ravel())
    if len(truth) == 0 or seconds <= 0:
        return 0.0
    fine = tolerance / 4
    ratio = 1 + 2 * fine / max(seconds, 0.1)
    periods = 0.1 * ratio ** np.arange(math.ceil(math.log(30, ratio)) + 1)
    phases = [np.arange(0, p, fine) for p in periods]
    period = np.repeat(periods, [len(p) for p in phases])
    phase = np.concatenate(phases)
    beats = np.maximum(np.ceil((seconds - phase) / period), 0)
    # All rhythms at once: each wanted moment takes the first beat within reach that is not taken yet.
    hits, free = np.zeros(len(phase)), np.zeros(len(phase))
    for moment in truth:
        beat = np.maximum(free, np.ceil((moment - tolerance - phase) / period - 1e-9))
        hit = (phase + beat * period <= moment + tolerance + 1e-9) & (beat < beats)
        hits += hit
        free = np.where(hit, beat + 1, free)
    return float(np.max(2 * hits / (beats + len(truth))))


def shifted_f1(
    found: ArrayLike, wanted: ArrayLike, seconds: float, shifts: int = 20, tolerance: float = TOLERANCE
) -> float:
    """Mean F1 of the same onsets moved round the clip by `shifts` even steps: right rhythm, wrong moments."""
    a = np.asarray(found, float).ravel()
    steps = seconds * np.arange(1, shifts + 1) / (shifts + 1)
    return float(np.mean([f1(np.sort((a + step) % seconds), wanted, tolerance) for step in steps]))


def _band_levels(samples: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """[channels, N] -> [T, B] dB of each band every 5 ms, not lower than 60 dB under the loudest band."""
    hop, width = max(1, round(_HOP * rate)), max(2, round(_WINDOW * rate))
    # Frame t is centred on t * hop, so that its number is its time. Nothing is put after the end: a tone that
    # the end cuts off in the middle of a wave must not look like a click.
    padded = np.pad(samples, ((0, 0), (width // 2, max(0, width - samples.shape[1]))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, width, axis=1)[:, ::hop]
    size = max(width, int(rate / 20))  # zero-padded: the lowest bands need bins of their own
    power = np.zeros((frames.shape[1], size // 2 + 1), np.float32)
    window = np.hanning(width).astype(np.float32)
    for channel in frames:
        for start in range(0, len(channel), 2000):  # in blocks: memory stays small for an hour of sound
            spectrum = np.fft.rfft(channel[start : start + 2000] * window, size)
            power[start : start + 2000] += spectrum.real**2 + spectrum.imag**2
    bins = np.searchsorted(np.fft.rfftfreq(size, 1 / rate), _BANDS[_BANDS < rate / 2])
    bands = np.add.reduceat(power, bins, axis=1)[:, :-1].astype(float)
    loudest = bands.max(initial=1e-20)
    return 10 * np.log10(np.maximum(bands, loudest * 10 ** (-_FLOOR_DB / 10)))


def _rise(levels: NDArray[np.float64]) -> Seconds:
    """[T, B] dB -> [T]: mean of how far each band's next 20 ms exceed its last 40 ms."""
    return np.maximum(
        _highest(levels, 0, round(_AFTER / _HOP)) - _highest(levels, round(_BEFORE / _HOP), -1), 0
    ).mean(1)


def _highest(levels: NDArray[np.float64], back: int, ahead: int) -> NDArray[np.float64]:
    """Highest level from `back` frames before to `ahead` frames after each; the clip begins in silence."""
    padded = np.pad(levels, ((back, max(ahead, 0)), (0, 0)), constant_values=levels.min())
    views = np.lib.stride_tricks.sliding_window_view(padded, back + ahead + 1, axis=0)
    return views[: len(levels)].max(-1)


def _peaks(curve: Seconds, least: float, apart: int) -> Sequence[int]:
    """Highest first: places above `least` that are the highest within `apart` on both sides."""
    kept: list[int] = []
    for place in np.argsort(-curve, kind="stable"):
        if curve[place] < least:
            break
        if all(abs(place - other) >= apart for other in kept):
            kept.append(int(place))
    return sorted(kept)
