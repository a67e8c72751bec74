"""What is measured of a recording once, when the library is built: its hits, how loud and how bright it is."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reasound.data.manifest import Hit

Audio = NDArray[np.float32]
"""[C, N] samples."""
Manner = Literal["step", "hit", "call", "whole", "texture"]
"""How sounds of a class happen: see reasound.synthesis.match."""

_LOWEST = 30.0  # Hz
_BLOCK, _HOP = 0.1, 0.025  # seconds: about as long as the ear needs to judge how loud a short sound is
_ATTACK_DB = {"step": 8.0, "hit": 10.0, "whole": 10.0, "texture": 10.0, "call": 15.0}
"""An attack this far below the strongest one is still the hit; weaker ones before it are run-up."""
_APART = {"step": 0.16, "hit": 0.09, "whole": 0.12, "texture": 0.12, "call": 0.12}
_VALLEY_DB = {"step": 14.0, "hit": 12.0, "whole": 18.0, "texture": 12.0, "call": 20.0}
"""How far the sound must fall between two hits for them to be two."""


def without_rumble(audio: Audio, rate: int) -> Audio:
    """[C, N] without what is below about 30 Hz: offsets and rumble that thump where a recording is cut. Zero phase."""
    n = audio.shape[-1]
    size = 1 << (n + rate // 10).bit_length()
    f = np.fft.rfftfreq(size, 1 / rate)
    high = f**4 / (f**4 + _LOWEST**4)
    centred = audio - audio.mean(-1, keepdims=True)
    return np.fft.irfft(np.fft.rfft(centred, size) * high, size)[..., :n].astype(np.float32)


def k_weighted(audio: Audio, rate: int) -> Audio:
    """[C, N] with the head and low-cut filters of BS.1770-4, applied as magnitude in the spectrum (zero phase)."""
    n = audio.shape[-1]
    size = 1 << max(n - 1, 1).bit_length()
    f = np.fft.rfftfreq(size, 1 / rate)
    # Shelf: +4 dB above 1.68 kHz; low cut: second order at 38 Hz (closed forms of the two biquads).
    s = 1j * f / 1681.97
    shelf = np.abs((10 ** (4 / 20) * s**2 + 10 ** (4 / 40) * s / 0.7072 + 1) / (s**2 + s / 0.7072 + 1))
    s = 1j * f / 38.135
    cut = np.abs(s**2 / (s**2 + s / 0.5003 + 1))
    return np.fft.irfft(np.fft.rfft(audio, size) * (shelf * cut), size)[..., :n].astype(np.float32)


def block_levels(audio: Audio, rate: int) -> NDArray[np.float64]:
    """dBFS of every 100 ms (hop 25 ms), K-weighted, channels averaged in power; at least one block."""
    weighted = k_weighted(audio, rate)
    power = np.concatenate([[0.0], np.cumsum(np.mean(weighted.astype(float) ** 2, 0))])
    width, hop = round(_BLOCK * rate), round(_HOP * rate)
    starts = np.arange(0, max(len(power) - 1 - width, 0) + 1, hop)
    ends = np.minimum(starts + width, len(power) - 1)
    # A sound shorter than a block is as loud as if silence followed.
    return 10 * np.log10(np.maximum((power[ends] - power[starts]) / width, 1e-12))


def loudness(audio: Audio, rate: int) -> float:
    """K-weighted level, dBFS, of what lies within 20 dB of the loudest 100 ms."""
    levels = block_levels(audio, rate)
    active = levels[levels > levels.max() - 20]
    return float(10 * np.log10(np.mean(10 ** (active / 10))))


def swell(audio: Audio, rate: int) -> float:
    """Standard deviation, dB, of the level over half seconds; what is 40 dB below the loudest counts as that."""
    power = 10 ** (block_levels(audio, rate) / 10)  # every 25 ms
    halves = power[: max(len(power) // 20, 1) * 20]
    halves = halves.reshape(-1, 20).mean(1) if len(halves) >= 20 else halves.mean(keepdims=True)
    return float(np.std(10 * np.log10(np.maximum(halves, halves.max() * 1e-4))))


def brightness(audio: Audio, rate: int) -> float:
    """Spectral centroid in Hz of the power of the whole sound."""
    size = 1 << max(audio.shape[1] - 1, 1).bit_length()
    power = np.abs(np.fft.rfft(audio.mean(0), size)) ** 2
    return float((power * np.fft.rfftfreq(size, 1 / rate)).sum() / max(power.sum(), 1e-12))


def clipped_share(audio: Audio) -> float:
    """Share of samples that sit in flat tops: three or more in a row at the peak."""
    peak = float(np.abs(audio).max(initial=0.0))
    if peak < 0.5:
        return 0.0
    top = np.abs(audio) >= 0.995 * peak
    flat = top[:, 2:] & top[:, 1:-1] & top[:, :-2]
    return float(flat.mean())


def envelope(audio: Audio, rate: int) -> NDArray[np.float64]:
    """RMS of every millisecond, channels averaged in power, rumble below about 50 Hz taken out."""
    x = audio.astype(float)
    width = max(round(0.02 * rate), 1)
    sums = np.cumsum(np.pad(x, ((0, 0), (width, width)), mode="edge"), 1)
    x = x - (sums[:, 2 * width :] - sums[:, : -2 * width])[:, : x.shape[1]] / (2 * width)
    edges = (np.arange(int(x.shape[1] / rate * 1000) + 1) * rate / 1000).astype(int)
    power = np.concatenate([[0.0], np.cumsum(np.mean(x**2, 0))])
    return np.sqrt(np.maximum(np.diff(power[edges]) / np.maximum(np.diff(edges), 1), 0.0))


def attacks(env: NDArray[np.float64], apart: float) -> NDArray[np.int64]:
    """Milliseconds at which the envelope rises by 6 dB within 20 ms, placed where it passes 30 % of the peak to come.

    `apart` is the least distance in seconds. Rises below 1 % of the loudest moment are not counted.
    """
    if env.max(initial=0.0) <= 0:
        return np.zeros(0, np.int64)
    smooth = _running(env, 5)
    floor = 0.003 * smooth.max()
    padded = np.concatenate([np.full(20, floor), smooth, np.zeros(20)])
    views = np.lib.stride_tricks.sliding_window_view(padded, 20)
    # A hit is as loud as the 20 ms after it; what was there is the mean of the 20 ms before.
    after, before = views[20 : 20 + len(env)].max(1), np.sqrt((views[: len(env)] ** 2).mean(1))
    rise = 20 * np.log10((after + floor) / (before + floor))
    rise[after < 0.01 * smooth.max()] = 0
    found: list[int] = []
    step = round(apart * 1000)
    for place in np.argsort(-rise, kind="stable"):
        if rise[place] < 6:
            break
        if all(abs(place - other) >= step for other in found):
            found.append(int(place))
    return np.unique([_refined(env, place) for place in found])


def find_hits(audio: Audio, rate: int, manner: Manner, kind: str) -> tuple[Hit, ...]:
    """The hits of a recording, ready to be cut out. [C, N] -> in order of time.

    A `one_shot` is one hit, a `repeated` recording is divided where the sound falls far enough between attacks (calls:
    where it is nearly silent for a moment), and a `texture` keeps the attacks that stand out, if any.
    """
    env = envelope(audio, rate)
    smooth = _running(env, 10)
    levels = block_levels(audio, rate)
    seconds = audio.shape[1] / rate
    if manner == "call" and kind != "texture":
        bounds = _calls(env)
    else:
        bounds = _strokes(env, smooth, manner, kind)
    if kind == "one_shot" and bounds:
        if manner == "step":
            bounds[0] = (0, _risen(env, bounds[0][1]), bounds[0][2])
        return (_hit(env, levels, 0.0, bounds[0][1], seconds),)
    # What is 18 dB weaker than the strongest is a rustle between hits, not a hit.
    hits = [_hit(env, levels, start / 1000, onset, min(end / 1000, seconds)) for start, onset, end in bounds]
    loudest = max((hit.level for hit in hits), default=0.0)
    return tuple(hit for hit in hits if hit.level > loudest - 18)


def _strokes(
    env: NDArray[np.float64], smooth: NDArray[np.float64], manner: Manner, kind: str
) -> list[tuple[int, int, int]]:
    """(start, onset, end) in milliseconds of every attack that stands alone."""
    found = attacks(env, _APART[manner])
    if len(found) == 0:
        if kind == "texture":
            return []
        found = np.array([_slow_onset(env)])
    peaks = np.array([smooth[t : t + 60].max() for t in found])
    strong = found[peaks >= peaks.max() * 10 ** (-_ATTACK_DB[manner] / 20)]
    heads = [int(strong[0])]
    for t in strong[1:]:
        top = smooth[heads[-1] : t].max(initial=0.0)
        if smooth[heads[-1] : t].min(initial=np.inf) < top * 10 ** (-_VALLEY_DB[manner] / 20):
            heads.append(int(t))
    starts = [_quiet_before(smooth, t) for t in heads]
    ends = [max(start, head + 20) for start, head in zip(starts[1:], heads, strict=False)]
    return list(zip(starts, heads, [*ends, len(env)], strict=True))


def _calls(env: NDArray[np.float64]) -> list[tuple[int, int, int]]:
    """(start, onset, end) in milliseconds of every stretch of sound between moments of near silence."""
    smooth = _running(env, 20)
    alive = smooth >= smooth.max(initial=0.0) * 10 ** (-_VALLEY_DB["call"] / 20)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], alive.astype(np.int8), [0]])))
    begins, ends = list(edges[::2]), list(edges[1::2])
    for i in range(len(begins) - 1, 0, -1):
        if begins[i] - ends[i - 1] < 70:  # a breath inside one call
            del begins[i], ends[i - 1]
    found = []
    for i, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        if end - begin < 50:
            continue
        peak = smooth[begin:end].max()
        onset = begin + int(np.argmax(smooth[begin:end] >= 0.2 * peak))
        # Two calls are parted at the quietest moment between them.
        before = ends[i - 1] + int(np.argmin(smooth[ends[i - 1] : begin])) if i else 0
        last = i + 1 == len(begins)
        after = len(env) if last else end + int(np.argmin(smooth[end : begins[i + 1]]))
        found.append(
            (int(min(max(before, begin - 120), onset)), int(onset), int(min(max(after, end), end + 400)))
        )
    return found


def _hit(
    env: NDArray[np.float64], levels: NDArray[np.float64], start: float, onset_ms: int, end: float
) -> Hit:
    """Ends where the sound has died away, 60 dB below its peak. `levels`: of the whole recording, every 25 ms."""
    part = env[onset_ms : max(int(end * 1000), onset_ms + 1)]
    alive = np.flatnonzero(part > part.max(initial=0.0) * 1e-3)
    last = onset_ms + (int(alive[-1]) if len(alive) else 0) + 10
    onset = onset_ms / 1000
    end = min(max(min(end, last / 1000), onset + 0.01), len(env) / 1000)
    # Only blocks that lie inside the hit, so that the next one does not count; at least the one at the onset.
    first = min(max(int((onset - 0.02) / _HOP), 0), len(levels) - 1)
    level = float(levels[first : max(int((end - _BLOCK) / _HOP) + 1, first + 2)].max())
    return Hit(round(min(start, onset), 4), round(onset, 4), round(end, 4), round(level, 1))


def _refined(env: NDArray[np.float64], place: int) -> int:
    """The first millisecond near `place` that reaches 30 % of the peak of the 40 ms that follow."""
    begin = max(place - 10, 0)
    peak = env[place : place + 40].max(initial=0.0)
    return begin + int(np.argmax(env[begin : place + 40] >= 0.3 * peak))


def _slow_onset(env: NDArray[np.float64]) -> int:
    """Where a sound that swells is first clearly heard: a fifth of its loudest moment."""
    smooth = _running(env, 20)
    return int(np.argmax(smooth >= 0.2 * smooth.max(initial=0.0)))


def _risen(env: NDArray[np.float64], head: int) -> int:
    """The head, or, where the sound had already come up before it, a splash or a crunch, the moment when it had."""
    smooth = _running(env, 30)
    peak = smooth[head : head + 150].max(initial=0.0)
    begin = max(head - 300, 0)
    early = smooth[begin : max(head - 40, begin)]
    if early.max(initial=0.0) < 0.35 * peak:
        return head
    return begin + int(np.argmax(early >= 0.35 * peak))


def _quiet_before(smooth: NDArray[np.float64], onset: int) -> int:
    """Where a hit may be cut out: the quietest millisecond of the 60 before its onset, as late as possible."""
    begin = max(onset - 60, 0)
    if begin == onset:
        return onset
    part = smooth[begin:onset]
    quiet = np.flatnonzero(part <= max(1.25 * part.min(), 0.01 * smooth[onset : onset + 60].max()))
    return begin + int(quiet[-1])


def _running(x: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """RMS over `width` milliseconds, centred."""
    kernel = np.ones(width) / width
    return np.sqrt(np.maximum(np.convolve(x**2, kernel, "same"), 0.0)[: len(x)])
