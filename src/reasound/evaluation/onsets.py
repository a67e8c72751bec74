"""When a sound starts, and how well two lists of moments agree.

Every score of "is it in time?" in the product comes from here: against the real sound track, against the plan
that was asked for, and against the two guesses that an honest score should beat, the best steady beat and the
right number of onsets at the wrong moments.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache, reduce

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

Seconds = NDArray[np.float64]
Floats = NDArray[np.float32]

TOLERANCE = 0.1
"""Seconds: how far apart the picture and the sound of one event may be."""

FAINTEST_DB = 1.5
"""A rise that may still be an onset where onsets are ranked by how clear they are."""

_HOP, _WINDOW = 0.005, 0.02  # seconds; a window this short still resolves 50 Hz
_EARLY = 0.005
"""Seconds by which a frame's window, 20 ms wide, reaches an attack before its middle does: found on clicks, bursts of
noise and plucks at known samples (tests)."""
_BANDS = np.geomspace(60, 16_000, 25)  # edges in Hz, three bands an octave
_FLOOR_DB = 60.0  # what lies further below the loudest moment of a band is silence: its rise is no onset
_BEFORE, _AFTER = 0.04, 0.02  # seconds over which a rise is measured
_APART = 0.08  # seconds; two attacks closer than this are heard as one
_BLOCK = 64  # frames at once


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
    return onsets_with_strength(audio, rate, sensitivity_db)[0]


def onsets_with_strength(
    audio: ArrayLike, rate: int, sensitivity_db: float = FAINTEST_DB
) -> tuple[Seconds, Seconds]:
    """As `audio_onsets`, and by how many decibels the sound rises at each: (times, strengths), both [K].

    Of a list found at a low sensitivity, those with a strength of at least x are what `audio_onsets` finds at a
    sensitivity of x: one search serves the F1 and the average precision.
    """
    samples = np.atleast_2d(np.asarray(audio, np.float32))
    if samples.ndim != 2 or rate <= 0:
        raise ValueError(
            f"audio must be [N] or [channels, N] at a positive rate, not {samples.shape} at {rate}"
        )
    if not np.any(samples):
        return np.zeros(0), np.zeros(0)
    power = _band_power(samples, rate)  # [T, B]
    levels, whole = 10 * np.log10(power), 10 * np.log10(power.sum(1, keepdims=True))
    after = round(_AFTER / _HOP)
    rise = (_rise(levels) + _rise(whole)) / 2  # [T]
    peaks = _peaks(rise, sensitivity_db, round(_APART / _HOP))
    # The window after a frame reaches the attack early; the steepest step inside it is the attack itself.
    step = np.maximum(np.diff(levels, axis=0, prepend=levels[:1]), 0).mean(1)
    exact = [p + int(np.argmax(step[p : p + after + 1])) for p in peaks]  # ascends: peaks are farther apart
    times = np.asarray(exact, float) * (_hop(rate) / rate) + _EARLY
    return times, rise[peaks].astype(float)


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


def average_precision(
    found: ArrayLike, strengths: ArrayLike, wanted: ArrayLike, tolerance: float = TOLERANCE
) -> float:
    """Area under precision over recall as ever weaker onsets are taken in, 0 to 1; nan where nothing is wanted.

    At each strength as many one-to-one pairs within `tolerance` seconds as can be; the area is the sum of each
    gain in recall times the precision there, without interpolation (Manning et al. 2008, section 8.4). Onsets
    of the same strength come in together.
    """
    times, strength = np.asarray(found, float).ravel(), np.asarray(strengths, float).ravel()
    truth = np.asarray(wanted, float).ravel()
    if len(times) != len(strength):
        raise ValueError(f"every onset needs a strength: {len(times)} onsets, {len(strength)} strengths")
    if not len(truth):
        return math.nan
    near = [np.flatnonzero(np.abs(truth - time) <= tolerance + 1e-9).tolist() for time in times]
    order = np.argsort(-strength, kind="stable")
    partner: dict[int, int] = {}
    area, recalled = 0.0, 0
    for taken, place in enumerate(order, 1):
        join(int(place), near, partner)
        last_of_its_strength = taken == len(order) or strength[order[taken]] < strength[place]
        if last_of_its_strength:
            area += (len(partner) - recalled) / len(truth) * len(partner) / taken
            recalled = len(partner)
    return area


def join(one: int, near: Sequence[Sequence[int]], partner: dict[int, int]) -> bool:
    """One step of the largest one-to-one matching (Kuhn 1955): a place for `one`, others moving if they must.

    Args:
        one: which of the left side.
        near: for each of the left side, those of the right side that it may have.
        partner: right side -> left side, as matched so far; changed in place when a place is found.
    """
    seen: set[int] = set()

    def place(left: int) -> bool:
        for right in near[left]:
            if right not in seen:
                seen.add(right)
                if right not in partner or place(partner[right]):
                    partner[right] = left
                    return True
        return False

    return place(one)


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


def power_frames(
    audio: Floats, window: torch.Tensor, hop: int, size: int
) -> Iterator[tuple[slice, torch.Tensor]]:
    """[channels, N] -> (frames, their power [t, size // 2 + 1]), a few frames at a time; channels add in power.

    Each window, from the first sample on and as long as it fits, is filled up with silence to `size`.
    """
    frames = torch.from_numpy(audio).unfold(1, len(window), hop)  # [channels, T, window]
    room = torch.zeros(len(audio), _BLOCK, size)
    for start in range(0, frames.shape[1], _BLOCK):  # in blocks that stay in the processor's cache
        part = frames[:, start : start + _BLOCK]
        filled = room[:, : part.shape[1]]
        torch.mul(part, window, out=filled[..., : len(window)])
        squares = torch.view_as_real(torch.fft.rfft(filled)).square_()
        both = reduce(torch.add, squares)  # many times as fast as sums over such short axes
        yield slice(start, start + len(both)), both[..., 0] + both[..., 1]


def _hop(rate: int) -> int:
    """Samples from frame to frame: not quite 5 ms where the rate does not divide by 200."""
    return max(1, round(_HOP * rate))


def _band_power(samples: Floats, rate: int) -> Floats:
    """[channels, N] -> [T, B] power of each band every 5 ms, not lower than 60 dB under the loudest band."""
    hop, width = _hop(rate), max(2, round(_WINDOW * rate))
    # Frame t is centred on t * hop, so that its number is its time. Nothing is put after the end: a tone that
    # the end cuts off in the middle of a wave must not look like a click.
    padded = np.pad(samples, ((0, 0), (width // 2, max(0, width - samples.shape[1]))))
    sums = _sums(rate, width)
    bands = np.empty(((padded.shape[1] - width) // hop + 1, sums.shape[1]), np.float32)
    window = torch.from_numpy(np.hanning(width).astype(np.float32))
    for part, power in power_frames(padded, window, hop, 2 * (len(sums) - 1)):
        bands[part] = (power @ sums).numpy()
    return np.maximum(bands, bands.max(initial=1e-20) * 10 ** (-_FLOOR_DB / 10))


@lru_cache(maxsize=8)
def _sums(rate: int, width: int) -> torch.Tensor:
    """[size // 2 + 1, B]: power spectrum of a transform -> power of the third-octave bands.

    The lowest bands need bins 20 Hz apart. A transform of that length is slow to compute; any transform of at
    least twice the window holds the same power spectrum (the autocorrelation of a frame fits into it), so that
    the bins 20 Hz apart are weighted sums of its own.
    """
    fine = max(width, int(rate / 20))
    size = 1 << (2 * width - 1).bit_length()
    bins = np.searchsorted(np.fft.rfftfreq(fine, 1 / rate), _BANDS[_BANDS < rate / 2])
    lag = np.arange(size // 2 + 1)
    # Beyond the window there is no correlation: a soft end there keeps the sums short.
    soft = 0.5 + 0.5 * np.cos(np.pi * np.clip((lag - width + 1) / (size / 2 - width + 1), 0, 1))
    sums = np.empty((size // 2 + 1, max(0, len(bins) - 1)))
    for band, (low, high) in enumerate(zip(bins, bins[1:], strict=False)):
        each = np.arange(low, max(high, low + 1))
        wave = soft * np.cos(2 * np.pi / fine * (lag[:, None] * each % fine)).sum(1)
        sums[:, band] = np.fft.hfft(wave, size)[: size // 2 + 1] / size
    sums[1:-1] *= 2  # both halves of the spectrum
    return torch.from_numpy(sums.astype(np.float32))


def _rise(levels: Floats) -> Floats:
    """[T, B] dB -> [T]: mean of how far each band's next 20 ms exceed its last 40 ms."""
    before, after = round(_BEFORE / _HOP), round(_AFTER / _HOP)
    # The clip begins in silence.
    padded = np.pad(levels, ((before, after), (0, 0)), constant_values=levels.min())
    count = len(levels)
    last = reduce(np.maximum, (padded[back : back + count] for back in range(before)))
    ahead = reduce(np.maximum, (padded[at : at + count] for at in range(before, before + after + 1)))
    return np.maximum(ahead - last, 0).mean(1)


def _peaks(curve: NDArray[np.floating], least: float, apart: int) -> list[int]:
    """Highest first: places above `least` that are the highest within `apart` on both sides."""
    kept: list[int] = []
    free = np.ones(len(curve), bool)
    for place in np.argsort(-curve, kind="stable"):
        if curve[place] < least:
            break
        if free[place]:
            kept.append(int(place))
            free[max(0, place - apart + 1) : place + apart] = False
    return sorted(kept)
