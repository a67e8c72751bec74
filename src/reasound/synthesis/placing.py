"""Cuts of recordings put on moments: which take, how long, how strong, and when none are named, at what pace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from reasound.synthesis.manners import Habit
from reasound.synthesis.match import Audio, Cut, Library
from reasound.timeline import SAMPLE_RATE

HIT_LEVEL = -16.0
"""dBFS of the loudest 100 ms (K-weighted) of a hit of strength 1."""
_PEAK = 0.95  # no single hit goes higher, whatever its level asks for
_PITCH = 0.035  # largest change of speed, as a share: about half a semitone
_SOFTEST_DB = -20.0  # gain of a hit of strength 0
_RING = {"bell": 8.0, "instrument": 3.0, "explosion": 4.0, "weather": 4.0, "break": 3.0}
"""By group: how many gaps a sound may ring on into the next ones."""


@dataclass(frozen=True)
class Moment:
    """A cut that sounds at a time."""

    cut: Cut
    time: float
    strength: float
    room: float
    """Seconds that it may last after its onset before it must have faded."""


def chosen(
    cuts: Sequence[Cut],
    onsets: Sequence[float],
    strengths: Sequence[float],
    habit: Habit,
    rng: np.random.Generator,
) -> list[Moment]:
    """A take for every onset: never the same one twice in a row where there are two, stronger ones for strong hits."""
    by_level = sorted(cuts, key=lambda c: (c.level, c.recording.id, c.onset))
    rank = {id(cut): i / max(len(by_level) - 1, 1) for i, cut in enumerate(by_level)}
    low, high = min(strengths, default=1.0), max(strengths, default=1.0)
    varied = high - low > 0.15
    rested = {id(cut): 0.0 for cut in by_level}
    moments: list[Moment] = []
    for i, (time, strength) in enumerate(zip(onsets, strengths, strict=True)):
        gap = onsets[i + 1] - time if i + 1 < len(onsets) else np.inf
        wanted = (strength - low) / (high - low) if varied else 0.5
        best, lowest = by_level[0], np.inf
        for cut in by_level:
            cost = rested[id(cut)] + 0.35 * rng.random() - 0.3 * cut.recording.quality
            cost += 1.2 * abs(rank[id(cut)] - wanted) if varied else 0.0
            # A take that must be cut short before it is over sounds worse than one that fits.
            cost += (
                0.3 * float(np.clip((cut.end - cut.onset) / max(gap, 0.1) - 1.5, 0, 2)) if gap < 1 else 0.0
            )
            if cost < lowest:
                best, lowest = cut, cost
        rested = {key: 0.55 * tired for key, tired in rested.items()}
        rested[id(best)] = 1e3 if len(by_level) > 1 else 0.0
        if len(by_level) > 1 and moments:
            rested[id(moments[-1].cut)] = min(rested[id(moments[-1].cut)], 0.8)
        moments.append(Moment(best, time, strength, _room(best, gap, habit)))
    return moments


def paced(
    cuts: Sequence[Cut], habit: Habit, start: float, end: float, rng: np.random.Generator
) -> tuple[list[float], list[Cut]]:
    """Natural repetition inside a span that names no onsets: times, and the cut for each."""
    times: list[float] = []
    picked: list[Cut] = []
    pace = habit.period * rng.uniform(0.92, 1.08)
    now = start + (0.0 if start <= 0.05 else rng.uniform(0, 0.15 * pace))
    while now < end - 0.05:
        left = end - now
        fitting = [c for c in cuts if c.end - c.onset <= left + 0.25]
        fitting = fitting or ([] if times else [min(cuts, key=lambda c: c.end - c.onset)])
        fresh = [c for c in fitting if c is not (picked[-1] if picked else None)] or fitting
        if not fresh:
            break
        cut = fresh[int(rng.integers(len(fresh)))]
        times.append(now)
        picked.append(cut)
        if habit.manner in ("step", "hit"):
            now += pace * (1 + habit.jitter * rng.uniform(-1, 1))
        else:  # a pause after each, as long as it pleases
            now += (cut.end - cut.onset) + max(
                0.15, pace * rng.uniform(0.25, 1.0) * (1 + habit.jitter * rng.uniform(-1, 1))
            )
    return times, picked


def place_hits(
    library: Library, moments: Sequence[Moment], n: int, habit: Habit, rng: np.random.Generator
) -> Audio:
    """All moments in one dry sound [2, n]; mono takes are in the middle, steps lean left and right in turn."""
    out = np.zeros((2, n), np.float32)
    for i, moment in enumerate(moments):
        speed = 1 + _PITCH * float(np.clip(rng.normal(0, 0.4), -1, 1))
        sound, onset = _shaped(library, moment, speed)
        if habit.manner == "step":
            lean = 0.12 if i % 2 else -0.12
            sound = sound * np.array([[1 - lean], [1 + lean]], np.float32)
        first = round(moment.time * SAMPLE_RATE) - onset
        begin, end = max(first, 0), min(first + sound.shape[1], n)
        if begin < end:
            out[:, begin:end] += sound[:, begin - first : end - first]
    return out


def _shaped(library: Library, moment: Moment, speed: float) -> tuple[Audio, int]:
    """The take as it will sound, [2, N], and the sample of its onset."""
    cut = moment.cut
    room = min(cut.end, cut.onset + moment.room * speed)
    sound = library.read(cut.recording, cut.start, room)
    sound = soxr.resample(sound.T, SAMPLE_RATE * speed, SAMPLE_RATE, "MQ").T.astype(np.float32)
    start = int(cut.start * cut.recording.rate) / cut.recording.rate  # where the file was really opened
    onset = round((cut.onset - start) / speed * SAMPLE_RATE)
    gain = HIT_LEVEL - cut.level + _SOFTEST_DB * (1 - moment.strength) ** 1.5
    sound = _duller(sound, moment.strength) * np.float32(10 ** (gain / 20))
    sound *= min(1.0, _PEAK / max(float(np.abs(sound).max(initial=0.0)), 1e-9))
    if head := onset * 2 // 3:  # the quiet before the attack fades in, the attack itself is untouched
        sound[:, :head] *= np.linspace(0, 1, head, dtype=np.float32)
    shortened = room < cut.end - 0.01
    ringing = max(sound.shape[1] - onset, 1)
    tail = min(ringing // 2 if shortened else ringing // 3, SAMPLE_RATE // 4)
    tail = max(tail, 1)
    sound[:, sound.shape[1] - tail :] *= np.cos(np.linspace(0, np.pi / 2, tail, dtype=np.float32)) ** 2
    return np.broadcast_to(sound, (2, sound.shape[1])).copy() if len(sound) == 1 else sound, onset


def _duller(sound: Audio, strength: float) -> Audio:
    """A soft hit excites fewer high partials: one pole at 1.2 to 8 kHz mixed in, more for softer hits. Causal, so that
    the onset stays where it is."""
    softness = 1 - strength
    if softness < 0.05:
        return sound
    corner = 8_000 * (0.15**softness)
    decay = np.exp(-2 * np.pi * corner / SAMPLE_RATE)
    kernel = ((1 - decay) * decay ** np.arange(256)).astype(np.float32)
    size = 1 << (sound.shape[1] + len(kernel)).bit_length()
    low = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(kernel, size), size)[:, : sound.shape[1]]
    return (sound * (1 - softness) + low * softness).astype(np.float32)


def _room(cut: Cut, gap: float, habit: Habit) -> float:
    """How long a sound may last when the next one comes after `gap` seconds."""
    group = cut.recording.sound_class.split("/")[0]
    if habit.one_throat:
        return max(gap - 0.02, 0.08)
    ring = _RING.get(group, 2.0)
    return max(ring * gap, 0.2)


def fade_ends(audio: NDArray[np.float32], start: float, end: float, n: int) -> None:
    """Fade a sound that begins or stops inside the clip, in place; what runs over the clip's ends stays whole."""
    first, last = round(start * SAMPLE_RATE), min(round(end * SAMPLE_RATE), n)
    length = last - first
    if first > 0:
        rise = max(min(round(0.15 * SAMPLE_RATE), length // 3), 1)
        audio[:, first : first + rise] *= np.sin(np.linspace(0, np.pi / 2, rise, dtype=np.float32)) ** 2
    if last < n:
        fall = max(min(round(0.35 * SAMPLE_RATE), length // 3), 1)
        audio[:, last - fall : last] *= np.cos(np.linspace(0, np.pi / 2, fall, dtype=np.float32)) ** 2
