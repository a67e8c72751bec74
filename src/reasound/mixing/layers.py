"""Layers to a mix: gain, pan, mute, solo, sum, and the loudness that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reasound.mixing.loudness import envelope, integrated, limiter_gain, loudness, true_peak, weighted_energy
from reasound.mixing.spatial import pan_stereo
from reasound.take import Layer

Audio = NDArray[np.float32]  # [2, N] at 44.1 kHz
LOUDNESS, PEAK = -23.0, -1.0
"""LUFS and dBTP of EBU R 128."""
MOST_LIMITING = 15.0
"""dB that the limiter may take off the highest peak. Beyond it the mix stays quieter than asked for: a few
clicks in silence would need so much gain for their loudness that only the limiter would be heard."""
CLOSE = 0.02
"""LU from the target at which we stop trying."""


@dataclass(frozen=True)
class Mastered:
    """Stems and mix at their final level. The same gain was put on every stem, so they sum to the mix."""

    layers: tuple[Layer, ...]
    """As heard: `audio` holds gain, pan, mute, solo and mastering, so gain and pan are 0 again."""
    audio: Audio
    curve: NDArray[np.float32]  # [N]
    """The gain, as a factor: constant where the limiter rests."""
    loudness: float | None
    """LUFS reached; None for silence."""
    true_peak: float | None
    """dBTP reached; None for silence."""


def stem(layer: Layer) -> Audio:
    """A layer's sound after its own gain and pan."""
    audio = pan_stereo(layer.audio, layer.pan) if layer.pan else layer.audio
    return audio * np.float32(10 ** (layer.gain / 20)) if layer.gain else audio


def stems(layers: Sequence[Layer]) -> list[Audio]:
    """[2, N] of each layer as heard: silence for a muted one, and for all others when one is solo."""
    lengths = {layer.audio.shape for layer in layers}
    if len(lengths) > 1 or any(len(shape) != 2 or shape[0] != 2 for shape in lengths):
        raise ValueError(f"layers must all be stereo and equally long to be mixed, not {sorted(lengths)}")
    alone = any(layer.solo for layer in layers)
    heard = [not layer.mute and (layer.solo or not alone) for layer in layers]
    return [
        stem(layer) if on else np.zeros_like(layer.audio) for layer, on in zip(layers, heard, strict=True)
    ]


def mix(layers: Sequence[Layer]) -> Audio:
    """Sum of the stems, [2, N]; [2, 0] without layers."""
    return _sum(stems(layers))


def master(layers: Sequence[Layer], target: float = LOUDNESS, peak: float = PEAK) -> Mastered:
    """Mix the layers and bring them to `target` LUFS with true peaks at or below `peak` dBTP.

    Silence stays silence. Where the loudness cannot be had without the limiter taking more than 9 dB off a
    peak, the mix stays quieter and `loudness` says what was reached.
    """
    parts = stems(layers)
    dry = _sum(parts)
    curve = _curve(dry, target, peak)
    parts = [part * curve for part in parts]
    audio = _sum(parts)
    reached, highest = loudness(audio), true_peak(audio)
    return Mastered(
        layers=tuple(replace(a, audio=b, gain=0.0, pan=0.0) for a, b in zip(layers, parts, strict=True)),
        audio=audio,
        curve=curve,
        loudness=reached if np.isfinite(reached) else None,
        true_peak=highest if np.isfinite(highest) else None,
    )


def _curve(dry: Audio, target: float, peak: float) -> NDArray[np.float32]:
    """[N] gain for the whole mix: constant, times what the limiter does."""
    energy, magnitude, ceiling = weighted_energy(dry), envelope(dry), 10 ** (peak / 20)
    missing = target - integrated(energy)
    if not np.isfinite(missing):
        return np.ones(dry.shape[1], np.float32)
    most = float(ceiling / np.max(magnitude)) * 10 ** (MOST_LIMITING / 20)
    gain = 1.0
    for _ in range(8):
        gain = min(gain * 10 ** (missing / 20), most)
        curve = limiter_gain(gain * magnitude, ceiling) * np.float32(gain)
        # The limiter moves slowly beside the K filters: filtering first and then turning down is as good.
        missing = target - integrated(energy * curve**2)
        if gain == most or abs(missing) < CLOSE:
            break
    # The moving gain itself may add a little between the samples (hundredths of a dB).
    return curve / np.float32(max(1.0, 10 ** ((true_peak(dry * curve) - peak) / 20)))


def _sum(parts: Sequence[Audio]) -> Audio:
    total = np.zeros((2, 0) if not parts else parts[0].shape, np.float32)
    for part in parts:
        total += part
    return total
