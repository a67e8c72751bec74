"""The mix of layers that are too long for memory: the same sums as `layers.master`, block by block from files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reasound.media.audio import Track
from reasound.mixing.layers import CLOSE, LOUDNESS, MOST_LIMITING, PEAK
from reasound.mixing.loudness import (
    BLOCK,
    HOP,
    decibels,
    envelope,
    gated,
    limiter_blocks,
    weighted_energy,
)
from reasound.timeline import SAMPLE_RATE

Audio = NDArray[np.float32]
SIZE = 10 * SAMPLE_RATE
"""Samples of a block; whole hops of the loudness meter."""
BEFORE = SAMPLE_RATE // 2
"""Samples after which the filters of the meter have forgotten what was."""
BESIDE = 64
"""Samples on each side that the true peak between two samples may depend on."""


def blocks(n: int, size: int = SIZE) -> Iterator[tuple[int, int]]:
    """(first, last) of one block after the other."""
    for first in range(0, n, size):
        yield first, min(first + size, n)


def master(
    layers: Sequence[Track], mix: Track, scratch: Path, target: float = LOUDNESS, peak: float = PEAK
) -> tuple[float | None, float | None]:
    """Bring the layers [2, N], in their files, to the level of `layers.master`, and write their sum to `mix`.

    Gives the loudness (LUFS) and true peak (dBTP) that were reached, None for silence. `scratch` is a folder for three
    numbers a sample. A run that was interrupted leaves the layers half done.
    """
    n = mix.n
    _sum(layers, mix)
    curve = _curve(mix, scratch, target, peak)
    if curve is not None:
        over = max(1.0, 10 ** ((_true_peak(mix, curve) - peak) / 20))
        for first, last in blocks(n):
            gain = curve.read(first, last) / np.float32(over)
            for layer in layers:
                part = layer.read(first, last)
                if part.any():
                    layer.write(first, part * gain)
        _sum(layers, mix)
    reached, highest = gated(_loud_blocks(mix)), _true_peak(mix)
    return (
        reached if np.isfinite(reached) else None,
        highest if np.isfinite(highest) else None,
    )


def _sum(layers: Sequence[Track], mix: Track) -> None:
    for first, last in blocks(mix.n):
        total = np.zeros((2, last - first), np.float32)
        for layer in layers:
            total += layer.read(first, last)
        mix.write(first, total)


def _curve(dry: Track, scratch: Path, target: float, peak: float) -> Track | None:
    """[1, N] gain for the whole mix, as `layers._curve` has it but for the last correction; None for silence."""
    n, ceiling = dry.n, 10 ** (peak / 20)
    energy, magnitude, curve = (
        Track.make(scratch / f"{name}.f32", 1, n) for name in ("energy", "magnitude", "curve")
    )
    highest = 0.0
    for first, last in blocks(n):
        energy.write(first, _energy(dry, first, last).astype(np.float32)[None])
        found = _envelope(dry, first, last)
        highest = max(highest, float(found.max(initial=0.0)))
        magnitude.write(first, found[None])
    missing = target - gated(_hops(energy))
    if not np.isfinite(missing):
        return None
    most = ceiling / highest * 10 ** (MOST_LIMITING / 20)
    gain = 1.0
    for _ in range(8):
        gain = min(gain * 10 ** (missing / 20), most)
        for first, limited in limiter_blocks(lambda a, b: magnitude.read(a, b)[0], n, gain, ceiling, SIZE):
            curve.write(first, (limited * np.float32(gain))[None])
        missing = target - gated(_hops(energy, curve))
        if gain == most or abs(missing) < CLOSE:
            break
    return curve


def _energy(dry: Track, first: int, last: int) -> NDArray[np.float64]:
    before = max(first - BEFORE, 0)
    return weighted_energy(dry.read(before, last))[first - before :]


def _envelope(dry: Track, first: int, last: int, curve: Track | None = None) -> NDArray[np.float32]:
    begin, end = max(first - BESIDE, 0), min(last + BESIDE, dry.n)
    audio = dry.read(begin, end)
    if curve is not None:
        audio = audio * curve.read(begin, end)
    if not audio.any():
        return np.zeros(last - first, np.float32)
    return envelope(audio)[first - begin : last - begin]


def _true_peak(audio: Track, curve: Track | None = None) -> float:
    return decibels(max(float(_envelope(audio, a, b, curve).max(initial=0.0)) for a, b in blocks(audio.n)))


def _hops(energy: Track, curve: Track | None = None) -> NDArray[np.float64]:
    """Mean energies of the meter's blocks."""
    sums = []
    for first, last in blocks(energy.n):
        part = energy.read(first, last)[0].astype(np.float64)
        sums.append(_hop_sums(part if curve is None else part * curve.read(first, last)[0] ** 2))
    return _means(sums)


def _loud_blocks(audio: Track) -> NDArray[np.float64]:
    return _means([_hop_sums(_energy(audio, first, last)) for first, last in blocks(audio.n)])


def _hop_sums(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    hop = round(HOP * SAMPLE_RATE)
    whole = len(energy) // hop
    return energy[: whole * hop].reshape(whole, hop).sum(1)


def _means(sums: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    many = round(BLOCK / HOP)
    hops = np.concatenate(sums)
    if len(hops) < many:
        raise ValueError("sound of less than 0.4 s is not mixed in blocks")
    return np.lib.stride_tricks.sliding_window_view(hops, many).sum(1) / (BLOCK * SAMPLE_RATE)
