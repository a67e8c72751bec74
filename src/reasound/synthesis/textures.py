"""A short recording of rain, fire or an engine made as long as it must be, without a loop that can be heard.

Granular overlap-add: grains are read from places where the sound is like the one that just ended (bands of energy),
shifted so that the two waveforms agree (the lag of best cross-correlation), and crossfaded with constant power for the
correlation that was found. Where the next grain starts is drawn among several good places and not from where the last
ones came, so that no order repeats.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reasound.timeline import SAMPLE_RATE

Audio = NDArray[np.float32]

_FRAME = 1_024  # samples of one feature frame, 23 ms
_BANDS = np.geomspace(60, 16_000, 13)  # edges in Hz
_LAG = 882  # samples: 20 ms, one period of 50 Hz
_CHOICES = 5  # good places among which the next grain is drawn
_FORGET = 0.85  # of how worn a place is, from grain to grain
_DRIFT_DB, _DRIFT_EVERY = 0.8, 4.0  # slow change of level, seconds between its turns


def extend(sources: Sequence[Audio], n: int, rng: np.random.Generator) -> Audio:
    """n samples that go on like the sources, which are recordings of one thing. Each [C, N], same C -> [C, n].

    One source that is long enough is played from a place that is drawn; nothing is better than what was recorded.
    """
    trimmed = [steady_part(s) for s in sources]
    longest = max(trimmed, key=lambda s: s.shape[1])
    if longest.shape[1] >= n:
        start = int(rng.integers(longest.shape[1] - n + 1))
        return np.array(longest[:, start : start + n])
    out = _grains(_Pool(trimmed), n, rng)
    return out * _drift(n, rng)


def steady_part(source: Audio) -> Audio:
    """The source without the fades and silence at its ends (more than 12 dB below its median level)."""
    width = SAMPLE_RATE // 20
    blocks = source.shape[1] // width
    if blocks < 6:
        return source
    power = np.mean(source[:, : blocks * width].reshape(len(source), blocks, width) ** 2, (0, 2))
    loud = np.flatnonzero(power >= np.median(power) * 10**-1.2)
    return source[:, loud[0] * width : (loud[-1] + 1) * width]


class _Pool:
    """The sources end to end, with what is needed to find a place in them."""

    def __init__(self, sources: Sequence[Audio]) -> None:
        # A source that is too short to be cut into grains is only used when there is nothing else.
        long = [s for s in sources if s.shape[1] >= SAMPLE_RATE // 2]
        used = long or [max(sources, key=lambda s: s.shape[1])]
        level = [float(np.sqrt(np.mean(s**2))) + 1e-9 for s in used]
        gains = [np.float32(level[0] / x) for x in level]
        self.audio = np.concatenate([s * g for s, g in zip(used, gains, strict=True)], 1)
        if self.audio.shape[1] < SAMPLE_RATE // 2:
            self.audio = np.tile(self.audio, (1, -(-SAMPLE_RATE // 2 // max(self.audio.shape[1], 1))))
            used = [self.audio]
        self.mono = self.audio.mean(0)
        self.ends = np.cumsum([s.shape[1] for s in used])
        self.features = _bands(self.mono)  # [T, B]

    def room(self, at: NDArray[np.int64]) -> NDArray[np.int64]:
        """Samples from each place to the end of its source."""
        return self.ends[np.searchsorted(self.ends, at, side="right")] - at


def _grains(pool: _Pool, n: int, rng: np.random.Generator) -> Audio:
    """[C, n] of overlapping grains."""
    size = pool.audio.shape[1]
    most = int(np.clip(0.35 * size, 0.3 * SAMPLE_RATE, 6.0 * SAMPLE_RATE))
    least = int(np.clip(0.4 * most, 0.2 * SAMPLE_RATE, 1.5 * SAMPLE_RATE))
    fade = int(np.clip(0.25 * least, 0.03 * SAMPLE_RATE, 0.2 * SAMPLE_RATE))
    frames = max(fade // _FRAME, 1)
    likeness = _smoothed(pool.features, frames)
    places = np.arange(len(likeness)) * _FRAME
    usable = places + least + fade + _LAG < pool.ends[np.searchsorted(pool.ends, places, side="right")]
    if not usable.any():
        usable[0] = True
    out = np.empty((len(pool.audio), n + most + fade), np.float32)
    at = int(rng.choice(places[usable]))
    grain = pool.audio[:, at : at + _length(pool, at, least, most, fade, rng) + fade]
    written = min(grain.shape[1], out.shape[1])
    out[:, :written] = grain[:, :written]
    at += grain.shape[1] - fade  # the source sample at which the tail that will be crossfaded starts
    wear = np.zeros(len(likeness), np.float32)
    while written < n:
        tail = out[:, written - fade : written]
        start = _next_place(likeness, places, usable, at, wear, rng)
        start, agreement = _aligned(pool.mono, tail.mean(0), start)
        take = _length(pool, start, least, most, fade, rng) + fade
        grain = pool.audio[:, start : start + take]
        take = min(grain.shape[1], out.shape[1] - written + fade)
        rise = np.linspace(0, np.pi / 2, fade, dtype=np.float32)
        # Two sounds that agree add in amplitude, two that do not add in power.
        norm = 1 / np.sqrt(1 + agreement * np.sin(2 * rise))
        out[:, written - fade : written] = norm * (np.cos(rise) * tail + np.sin(rise) * grain[:, :fade])
        out[:, written : written - fade + take] = grain[:, fade:take]
        written += take - fade
        at = start + take - fade
        wear *= _FORGET
        wear[start // _FRAME : at // _FRAME + 1] += 1
    return out[:, :n]


def _length(pool: _Pool, start: int, least: int, most: int, fade: int, rng: np.random.Generator) -> int:
    room = int(pool.room(np.array(min(start, pool.audio.shape[1] - 1)))) - fade
    return int(np.clip(rng.integers(least, most + 1), min(fade, room), max(room, fade)))


def _next_place(
    likeness: NDArray[np.float32],
    places: NDArray[np.int64],
    usable: NDArray[np.bool_],
    at: int,
    wear: NDArray[np.float32],
    rng: np.random.Generator,
) -> int:
    """One of the places most like what sounds at `at`, but not there, and not where much was taken lately.

    Without that `wear` the search would stay where the sound is most like itself, and what is rare in the recording
    would not be heard again.
    """
    frame = min(at // _FRAME, len(likeness) - 1)
    distance = np.sqrt(np.mean((likeness - likeness[frame]) ** 2, 1)) + 0.5 * wear
    apart = min(SAMPLE_RATE / 2, 0.15 * places[-1] + 1)
    distance += 6.0 * np.maximum(1 - np.abs(places - at) / apart, 0)
    distance[~usable] = np.inf
    best = np.argsort(distance, kind="stable")[: min(_CHOICES, int(usable.sum()))]
    return int(places[rng.choice(best)])


def _aligned(mono: NDArray[np.float32], tail: NDArray[np.float32], start: int) -> tuple[int, float]:
    """(place within 20 ms of `start` where the waveform agrees best with the tail, that agreement 0 to 1)."""
    first = max(start - _LAG, 0)
    part = mono[first : start + _LAG + len(tail)]
    if len(part) <= len(tail):
        return start, 0.0
    size = 1 << (len(part) + len(tail)).bit_length()
    product = np.fft.irfft(np.fft.rfft(part, size) * np.conj(np.fft.rfft(tail, size)), size)
    lags = len(part) - len(tail) + 1
    energy = np.cumsum(np.concatenate([[0.0], part.astype(float) ** 2]))
    scale = np.sqrt((energy[len(tail) :] - energy[:lags]) * float(np.sum(tail.astype(float) ** 2))) + 1e-9
    correlation = product[:lags] / scale
    best = int(np.argmax(correlation))
    if correlation[best] < 0.25:  # noise: any lag is as good, and the drawn one is not biased to a peak
        return start, 0.0
    return first + best, float(min(correlation[best], 1.0))


def _bands(mono: NDArray[np.float32]) -> NDArray[np.float32]:
    """[T, B] dB of each band in frames of 23 ms, about one unit per 10 dB; at least one frame."""
    frames = max(len(mono) // _FRAME, 1)
    padded = np.pad(mono, (0, max(frames * _FRAME - len(mono), 0)))[: frames * _FRAME]
    window = np.hanning(_FRAME).astype(np.float32)
    power = np.abs(np.fft.rfft(padded.reshape(frames, _FRAME) * window)) ** 2
    edges = np.searchsorted(np.fft.rfftfreq(_FRAME, 1 / SAMPLE_RATE), _BANDS)
    bands = np.add.reduceat(power, np.maximum(edges, 1), axis=1)[:, :-1]
    return (np.log10(np.maximum(bands, bands.max(initial=1e-12) * 1e-6))).astype(np.float32)


def _smoothed(features: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """Mean of each frame and the `frames - 1` after it: what a crossfade that starts there would hear."""
    padded = np.pad(features, ((0, frames - 1), (0, 0)), mode="edge")
    sums = np.cumsum(np.concatenate([np.zeros((1, features.shape[1]), np.float32), padded]), 0)
    return (sums[frames:] - sums[:-frames]) / frames


def _drift(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A gain that wanders slowly, [n]."""
    turns = int(n / SAMPLE_RATE / _DRIFT_EVERY) + 3
    knots = rng.normal(0, _DRIFT_DB, turns)
    where = np.arange(n, dtype=np.float32) / np.float32(_DRIFT_EVERY * SAMPLE_RATE)
    return (10 ** (np.interp(where, np.arange(turns), knots) / 20)).astype(np.float32)
