"""Where the ear hears a take begin and begin again, and how to leave it one attack.

One hit was asked for, and the recording has a heel and a toe, a latch and a slam, a bark and its echo. What starts
again after the first attack is turned down until it is part of the decay and no second hit. A rise is measured as the
product's onset search measures it: over 20 ms against the 40 ms before, half as the mean of the bands, half as the
whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, reduce

import numpy as np
from numpy.typing import NDArray

from reasound.timeline import SAMPLE_RATE

Audio = NDArray[np.float32]
"""[C, N] at 44.1 kHz."""
Levels = NDArray[np.float32]
"""[T, B] dB: first the whole, then third octaves; frame t is centred on sample t * HOP."""

HOP = 220
"""Samples from one frame to the next, 5 ms."""
LEAD = 1_102
"""Samples before an attack, 25 ms, that belong to it."""
_WINDOW, _SIZE = 882, 1_024  # samples
_BEFORE, _AFTER = 8, 4  # frames over which a rise is measured
_APART = 16  # frames; two attacks closer than this are heard as one
_FLOOR_DB = 60.0  # what lies further below the loudest band is silence
_PLAIN_DB = 4.0  # a rise that is no attack yet, however it is mixed
_RECOVERY_DB = 0.1  # a frame (20 dB a second) by which what was turned down comes up again
_MOST_DB = 15.0  # nothing is turned down further: splinters are still heard to fall
_ROUNDS = 8


def levels(audio: Audio) -> Levels:
    """[C, N] -> [T, 25]; channels add in power. Silence is all at one level."""
    frames = audio.shape[1] // HOP + 1
    padded = np.pad(audio, ((0, 0), (_WINDOW // 2, _WINDOW + HOP)))
    views = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW, axis=1)[:, ::HOP][:, :frames]
    spectrum = np.fft.rfft(views * _hann(), _SIZE)
    power = (spectrum.real**2 + spectrum.imag**2).sum(0)
    bands = np.add.reduceat(power, _edges(), axis=1)[:, :-1].astype(np.float32)
    bands = np.maximum(bands, max(float(bands.max(initial=0.0)), 1e-12) * 10 ** (-_FLOOR_DB / 10))
    return (10 * np.log10(np.concatenate([bands.sum(1, keepdims=True), bands], 1))).astype(np.float32)


def rise(found: Levels) -> NDArray[np.float32]:
    """[T] dB by which the next 20 ms exceed the last 40; before the first frame there is silence."""
    padded = np.concatenate([[found.min(0)] * _BEFORE, found, [found.min(0)] * _AFTER]).astype(np.float32)
    count = len(found)
    last = reduce(np.maximum, (padded[k : k + count] for k in range(_BEFORE)))
    ahead = reduce(np.maximum, (padded[k : k + count] for k in range(_BEFORE, _BEFORE + _AFTER + 1)))
    up = np.maximum(ahead - last, 0)
    return np.asarray((up[:, 0] + up[:, 1:].mean(1)) / 2, np.float32)


def again(audio: Audio, onset: int) -> float:
    """dB of the strongest rise after the attack at sample `onset`; 0 for a sound that only decays."""
    after = rise(levels(audio))[onset // HOP + _APART :]
    return float(after.max(initial=0.0))


def once(audio: Audio, onset: int) -> NDArray[np.float32]:
    """[N] gain, at most 1, under which nothing after the attack at sample `onset` is heard as another."""
    found = levels(audio)
    floor = found.min(0)
    gain = np.zeros(len(found), np.float32)
    first = onset // HOP + _BEFORE
    for _ in range(_ROUNDS):
        heard = np.maximum(found + gain[:, None], floor)
        curve = rise(heard)
        curve[:first] = 0
        curve[gain <= -_MOST_DB] = 0
        places = [
            int(p)
            for p in np.flatnonzero(curve > _PLAIN_DB)
            if curve[p] == curve[max(p - 8, 0) : p + 9].max()
        ]
        if not places:
            break
        steps = np.maximum(np.diff(heard, axis=0, prepend=heard[:1]), 0).mean(1)
        for place in places:
            at = max(place + int(np.argmax(steps[place : place + _AFTER + 1])) - 2, 0)
            down = 1.25 * (float(curve[place]) - _PLAIN_DB) + 0.5
            gain[at:] -= np.maximum(down - _RECOVERY_DB * np.arange(len(gain) - at), 0).astype(np.float32)
        gain = np.maximum(gain, -_MOST_DB)
    samples = np.arange(audio.shape[1], dtype=np.float32)
    return (10 ** (np.interp(samples, np.arange(len(gain)) * HOP, gain) / 20)).astype(np.float32)


def struck_at(audio: Audio, onsets: Sequence[int]) -> NDArray[np.float32]:
    """[N] gain, at most 1, under which a sound [C, N] is struck at these ascending samples and hardly in between: what
    a model adds to the moments that were asked for is turned down."""
    count = audio.shape[1]
    starts = [max(onset - LEAD, 0) for onset in onsets]
    gain = np.full(count, 10 ** (-_MOST_DB / 20), np.float32)
    for onset, first, last in zip(onsets, starts, [*starts[1:], count], strict=True):
        if first < last:
            gain[first:last] = once(audio[:, first:last], onset - first)
    for first in starts:  # up again just before the next one
        ramp = gain[max(first - LEAD, 0) : first]
        np.maximum(ramp, np.linspace(0, 1, len(ramp), dtype=np.float32), out=ramp)
    return gain


@lru_cache(maxsize=1)
def _hann() -> NDArray[np.float32]:
    return np.hanning(_WINDOW).astype(np.float32)


@lru_cache(maxsize=1)
def _edges() -> NDArray[np.int64]:
    """First bin of each band, and of what lies above the last; every band has a bin of its own."""
    bins = np.searchsorted(np.fft.rfftfreq(_SIZE, 1 / SAMPLE_RATE), np.geomspace(60, 16_000, 25))
    for k in range(1, len(bins)):
        bins[k] = max(bins[k], bins[k - 1] + 1)
    return np.asarray(bins, np.int64)
