"""Cuts of recordings put on moments: which take, how long, how strong, and when none are named, at what pace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from reasound.mixing.spatial import pan_stereo
from reasound.synthesis.manners import Habit
from reasound.synthesis.match import Audio, Cut, Library
from reasound.timeline import SAMPLE_RATE

HIT_LEVEL = -16.0
"""dBFS of the loudest 100 ms (K-weighted) of a hit of strength 1."""
_PEAK = 0.95  # no single hit goes higher, whatever its level asks for
_PITCH = 0.035  # largest change of speed, as a share: about half a semitone
_UNEVEN_DB = 0.7  # no two strokes of a person are equally strong
_SOFTEST_DB = -20.0  # gain of a hit of strength 0
_TAKES = 12  # takes of one thing that are listened to: enough for an hour of steps
_OVER_DB = 9.0  # by which an attack stands above what still rings of the same thing
_DUCK = 0.05  # seconds before an attack in which that is turned down
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
    single: bool = False
    """One attack was asked for: what starts again in the take is turned down."""


def chosen(
    library: Library,
    cuts: Sequence[Cut],
    onsets: Sequence[float],
    strengths: Sequence[float],
    habit: Habit,
    end: float,
    rng: np.random.Generator,
) -> list[Moment]:
    """A take for every onset: never the same one twice in a row where there are two, stronger ones for strong hits,
    rather those that begin only once.

    After the last onset a sound may ring as long as it does; what would go on for ever is over at `end`.
    """
    by_level = sorted(cuts, key=lambda c: (c.level, c.recording.id, c.onset))
    if len(by_level) > _TAKES:  # from the softest to the loudest
        by_level = [by_level[k] for k in np.linspace(0, len(by_level) - 1, _TAKES).round().astype(int)]
    rank = np.linspace(0, 1, len(by_level))
    short = np.array([c.end - c.onset for c in by_level])
    taste = np.array([-0.3 * c.recording.quality for c in by_level])
    if not habit.burst:
        taste += [0.06 * min(library.again(c), 10.0) for c in by_level]
    taste += 0.4 * np.clip(1 - short / (0.7 * np.median(short)), 0, 1)  # no scraps
    low, high = min(strengths, default=1.0), max(strengths, default=1.0)
    varied = high - low > 0.15
    tired = np.zeros(len(by_level))
    moments: list[Moment] = []
    for i, (time, strength) in enumerate(zip(onsets, strengths, strict=True)):
        last = max(end - time, 0.5) if habit.manner == "texture" else np.inf
        gap = onsets[i + 1] - time if i + 1 < len(onsets) else last
        cost = taste + tired + 0.35 * rng.random(len(by_level))
        if varied:
            cost = cost + 1.2 * np.abs(rank - (strength - low) / (high - low))
        if gap < 1:  # a take that fits sounds better than one that must be cut short
            cost = cost + 0.3 * np.clip(short / max(gap, 0.1) - 1.5, 0, 2)
        best = int(np.argmin(cost))
        tired *= 0.6
        tired[tired > 10] = 1.0
        tired[best] = 100.0 if len(by_level) > 1 else 0.0
        moments.append(
            Moment(by_level[best], time, strength, _room(by_level[best], gap, habit), not habit.burst)
        )
    return moments


def beat(habit: Habit, start: float, end: float, rng: np.random.Generator) -> list[float]:
    """Onsets for steps and strokes in a span that names none: a pace, drawn once, that wanders a little."""
    pace = habit.period * rng.uniform(0.92, 1.08)
    times = [start]
    while (then := times[-1] + pace * (1 + habit.jitter * rng.uniform(-1, 1))) < end - 0.05:
        times.append(then)
    return times


def spoken(
    cuts: Sequence[Cut], habit: Habit, start: float, end: float, rng: np.random.Generator
) -> list[Moment]:
    """Calls and other whole sounds in a span that names no onsets: one, a pause as long as it pleases, another."""
    moments: list[Moment] = []
    now = start if start < 0.05 else start + rng.uniform(0, 0.2 * habit.period)
    while now < end - 0.05:
        left = end - now
        fitting = [c for c in cuts if c.end - c.onset <= left + 0.25]
        if not fitting:
            if moments:
                break
            fitting = [min(cuts, key=lambda c: c.end - c.onset)]  # it will be faded out
        # What was just heard is not heard again, neither as a whole nor as a part.
        last = moments[-1].cut if moments else None
        fresh = [c for c in fitting if not (last and _overlap(c, last))]
        fresh = fresh or [c for c in fitting if c is not last] or fitting
        cut = fresh[int(rng.integers(len(fresh)))]
        length = min(cut.end - cut.onset, left + 0.25)
        moments.append(Moment(cut, now, float(rng.uniform(0.8, 1.0)), length))
        pause = habit.period * rng.uniform(0.25, 1.0) * (1 + habit.jitter * rng.uniform(-1, 1))
        now += length + max(pause, 0.15) + cut.onset - cut.start
    return moments


def _overlap(a: Cut, b: Cut) -> bool:
    return a.recording.id == b.recording.id and a.start < b.end and b.start < a.end


def place_hits(
    library: Library,
    moments: Sequence[Moment],
    n: int,
    rng: np.random.Generator,
    lean: float = 0.0,
    scatter: float = 0.0,
) -> Audio:
    """All moments in one dry sound [2, n].

    They `lean` left and right in turn, as the feet of somebody who walks do, or are scattered at random over that
    share of the stage.
    """
    out = np.zeros((2, n), np.float32)
    for i, moment in enumerate(moments):
        speed = 1 + _PITCH * float(np.clip(rng.normal(0, 0.4), -1, 1))
        sound, onset = _shaped(library, moment, speed)
        sound *= np.float32(10 ** (rng.normal(0, _UNEVEN_DB) / 20))
        side = (lean if i % 2 else -lean) + scatter * rng.uniform(-1, 1)
        if side:
            sound = pan_stereo(sound, side)
        _make_way(out, sound, onset, moment.time)
        first = round(moment.time * SAMPLE_RATE) - onset
        begin, end = max(first, 0), min(first + sound.shape[1], n)
        if begin < end:
            out[:, begin:end] += sound[:, begin - first : end - first]
    return out


def _make_way(out: Audio, sound: Audio, onset: int, time: float) -> None:
    """Turn down, in place, what still rings where the attack of `sound` at sample `onset` will come: a string that is
    plucked again stops first."""
    at, width = round(time * SAMPLE_RATE), round(_DUCK * SAMPLE_RATE)
    old = out[:, max(at - width, 0) : at]
    attack = sound[:, onset : onset + width // 2]
    if not old.any() or not attack.any():
        return
    over = 10 * np.log10(np.mean(attack**2) / np.mean(old**2))
    if over < _OVER_DB:
        gain = np.float32(10 ** (max(over - _OVER_DB, -30.0) / 20))
        old *= np.linspace(1, gain, old.shape[1], dtype=np.float32)
        out[:, at:] *= gain


def _shaped(library: Library, moment: Moment, speed: float) -> tuple[Audio, int]:
    """The take as it will sound, [2, N], and the sample of its onset."""
    cut = moment.cut
    room = min(cut.end, cut.onset + moment.room * speed)
    if moment.single:
        whole, head = library.single(cut)
        sound = whole[:, : head + round((room - cut.onset) * SAMPLE_RATE)]
    else:
        sound = library.read(cut.recording, cut.start, room)
        start = int(cut.start * cut.recording.rate) / cut.recording.rate  # where the file was really opened
        head = round((cut.onset - start) * SAMPLE_RATE)
    sound = soxr.resample(sound.T, SAMPLE_RATE * speed, SAMPLE_RATE, "MQ").T.astype(np.float32)
    onset = round(head / speed)
    gain = HIT_LEVEL - cut.level + _SOFTEST_DB * (1 - moment.strength) ** 1.5
    sound = _duller(sound, moment.strength) * np.float32(10 ** (gain / 20))
    if len(sound) == 2:  # where it was in its own recording says nothing of where it is here
        power = np.mean(sound**2, 1, keepdims=True)
        sound *= np.clip(np.sqrt(power.mean() / np.maximum(power, 1e-12)), 0.25, 4.0)
    sound *= min(1.0, _PEAK / max(float(np.abs(sound).max(initial=0.0)), 1e-9))
    if fade := onset * 2 // 3:  # the quiet before the attack fades in, the attack itself is untouched
        sound[:, :fade] *= np.linspace(0, 1, fade, dtype=np.float32)
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
    if habit.one_throat or habit.manner == "texture":
        return max(gap - 0.02, 0.08)
    ring = _RING.get(group, 1.3 if habit.manner == "whole" else 2.0)
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
