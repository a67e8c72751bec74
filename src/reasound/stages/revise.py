"""A take with other layers: only what changed is mixed anew, the rest of the mix stays bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reasound.edit_plan import EditPlan
from reasound.mixing.layers import Audio, stems
from reasound.mixing.loudness import envelope, limiter_gain, loudness, true_peak
from reasound.plan import Plan
from reasound.take import Layer, Take

ROUNDS = 4
"""How often what changed is turned down again where the mix is still too high between the samples."""


def revised(
    take: Take, layers: Sequence[Layer], plan: Plan | None = None, *, what: str, edit: EditPlan | None = None
) -> Take:
    """The next take, with `layers` in place of those of `take`, and `what` was done, in words.

    Loudness is not brought to the target again: that would change every layer. Where the mix would pass the peak that
    the take was made with, only what is new or changed is turned down. Layers may all be longer than before.
    """
    n = layers[0].audio.shape[1] if layers else take.audio.shape[1]
    before = _heard(take.layers, n)
    after = _heard(layers, n)
    changed = np.zeros(n, bool)
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            there = new if old is None else old
            assert there is not None
            changed |= there.any(0)
        else:
            changed |= (old != new).any(0)
    mixed = _longer(take.audio, n)
    ceiling = 10 ** (take.mix.target_peak / 20)
    for _ in range(ROUNDS):
        total = sum(after.values(), np.zeros((2, n), np.float32))
        audio = np.where(changed, total, mixed).astype(np.float32)
        highest = true_peak(audio)
        if not highest > take.mix.target_peak or not changed.any():
            break
        curve = np.where(changed, limiter_gain(envelope(audio), ceiling * 0.99), 1.0).astype(np.float32)
        layers = [_lower(layer, curve, before.get(layer.name)) for layer in layers]
        after = _heard(layers, n)
    reached, highest = loudness(audio), true_peak(audio)
    mix = replace(
        take.mix,
        loudness=reached if np.isfinite(reached) else None,
        true_peak=highest if np.isfinite(highest) else None,
    )
    return replace(
        take,
        plan=plan or take.plan,
        layers=tuple(layers),
        audio=audio,
        mix=mix,
        parent=take.id,
        what=what,
        edit=edit,
    )


def _heard(layers: Sequence[Layer], n: int) -> dict[str, Audio]:
    return {layer.name: _longer(audio, n) for layer, audio in zip(layers, stems(layers), strict=True)}


def _lower(layer: Layer, curve: NDArray[np.float32], before: Audio | None) -> Layer:
    """Turned down by a curve where it is not what it was."""
    if before is None:
        return replace(layer, audio=layer.audio * curve)
    fresh = (before != _longer(layer.audio, before.shape[1])).any(0)
    return replace(layer, audio=np.where(fresh, layer.audio * curve, layer.audio).astype(np.float32))


def _longer(audio: Audio, n: int) -> Audio:
    return np.pad(audio, ((0, 0), (0, n - audio.shape[1]))) if audio.shape[1] < n else audio
