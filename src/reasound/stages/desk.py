"""What is done to takes without a word: a layer changed or made again, another loudness, two takes compared."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reasound.errors import UserError
from reasound.mixing.layers import master
from reasound.pipeline import Reasound, Report, quiet
from reasound.plan_text import difference
from reasound.stages.revise import revised
from reasound.take import Layer, Take
from reasound.timeline import SAMPLE_RATE

FADE = 0.02
"""Seconds in which one take gives way to the other."""
GAINS, PANS = (-60.0, 24.0), (-1.0, 1.0)
LOUDNESSES, PEAKS = (-70.0, 0.0), (-40.0, 0.0)
"""What may be asked for: dB, left to right, LUFS, dBTP."""
SAID = {
    "mute": ("{0} unmuted", "{0} muted"),
    "solo": ("{0} not solo", "{0} solo"),
    "lock": ("{0} unlocked", "{0} locked"),
}


def find_layer(take: Take, name: str) -> Layer:
    """By its name, by an event that it plays, or by how one layer's name begins; UserError says which there are."""
    for found in (
        [x for x in take.layers if x.name == name],
        [x for x in take.layers if name in x.events],
        [x for x in take.layers if name and x.name.startswith(name)],
    ):
        if len(found) == 1:
            return found[0]
    there = ", ".join(x.name for x in take.layers) or "none"
    raise UserError(f"there is no one layer {name!r}; there are {there}")


def changed(take: Take, name: str, **fields: Any) -> Take:
    """The take with another `gain` (dB), `pan`, `mute`, `solo` or `lock` of one layer.

    UserError for a layer that is locked (but for `lock` itself), a value out of bounds, and for no change at all.
    """
    old = find_layer(take, name)
    what = ", ".join(_what(key, value) for key, value in fields.items()).format(old.name)
    if old.lock and set(fields) != {"lock"}:
        raise UserError(f"the layer {old.name!r} is locked; unlock it first")
    if all(getattr(old, key) == value for key, value in fields.items()):
        raise UserError(f"nothing to change: {what} already")
    layers = [replace(x, **fields) if x is old else x for x in take.layers]
    return revised(take, layers, what=what)


def _what(key: str, value: Any) -> str:
    if key == "gain":
        within("the gain", value, *GAINS)
        return f"{{0}} at {value:+g} dB"
    if key == "pan":
        within("the pan", value, *PANS)
        return f"{{0}} panned to {value:+g}"
    return SAID[key][bool(value)]


def within(what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UserError(f"{what} must be from {low:g} to {high:g}, not {value:g}")


def remastered(take: Take, loudness: float, peak: float) -> Take:
    """The same layers at another integrated loudness (LUFS) below another true peak (dBTP).

    Every layer that is heard gets the same gain, so that they still sum to the mix; those that are not get the part
    of it that does not move.
    """
    within("the loudness", loudness, *LOUDNESSES)
    within("the peak", peak, *PEAKS)
    mastered = master(take.layers, loudness, peak)
    rest = np.float32(np.median(mastered.curve)) if mastered.curve.size else np.float32(1)
    alone = any(layer.solo for layer in take.layers)
    layers = []
    for layer in take.layers:
        silent = layer.mute or (alone and not layer.solo)
        layers.append(replace(layer, audio=layer.audio * (rest if silent else mastered.curve)))
    mix = replace(
        take.mix,
        target_loudness=loudness,
        target_peak=peak,
        loudness=mastered.loudness,
        true_peak=mastered.true_peak,
    )
    return replace(
        take,
        layers=tuple(layers),
        audio=mastered.audio,
        mix=mix,
        parent=take.id,
        what=f"brought to {loudness:g} LUFS and {peak:g} dBTP",
        edit=None,
    )


def rerolled(engine: Reasound, take: Take, layer: Layer, seed: int, report: Report = quiet) -> Take:
    """The layer's events rendered again with another seed, at the level that the layer had."""
    if layer.lock:
        raise UserError(f"the layer {layer.name!r} is locked; unlock it first")
    known = {e.id for e in take.plan.events} | {a.id for a in take.plan.ambience}
    if not layer.events or not set(layer.events) <= known:
        raise UserError(f"the layer {layer.name!r} plays nothing of the plan, so it cannot be made again")
    renderer = layer.renderer if layer.renderer in ("library", "model") else take.settings.renderer
    s = take.settings
    n = layer.audio.shape[1]
    made = engine.render(
        take.plan.only(layer.events),
        Fraction(n, SAMPLE_RATE),
        seed,
        None,
        renderer,  # type: ignore[arg-type]
        s.steps,
        s.guidance,
        report,
    )
    sound = np.asarray(sum(x.audio for x in made), np.float32)
    was, now = _power(layer.audio), _power(sound)
    if now > 0:
        sound *= np.float32(np.sqrt(was / now))
    fresh = replace(
        layer, audio=sound, seed=seed, recordings=tuple(dict.fromkeys(r for x in made for r in x.recordings))
    )
    layers = [fresh if x is layer else x for x in take.layers]
    return revised(take, layers, what=f"{layer.name} made again with seed {seed}")


def differences(a: Take, b: Take) -> list[str]:
    """A sentence for each thing that is different in `b`: the plan, the layers, how it was made."""
    found = difference(a.plan, b.plan)
    before, after = ({x.name: x for x in take.layers} for take in (a, b))
    for name in before.keys() - after.keys():
        found.append(f"The layer {name} is gone.")
    for name, layer in after.items():
        if name not in before:
            found.append(f"The layer {name} is new.")
            continue
        old = before[name]
        for key in ("gain", "pan", "mute", "solo", "lock", "seed", "renderer"):
            if getattr(old, key) != getattr(layer, key):
                found.append(f"The layer {name} has {key} {getattr(layer, key)}, not {getattr(old, key)}.")
        if old.audio.shape != layer.audio.shape or not np.array_equal(old.audio, layer.audio):
            found.append(f"The layer {name} sounds different.")
    for key, value in vars(b.settings).items():
        if getattr(a.settings, key) != value:
            found.append(f"It was made with {key} {value}, not {getattr(a.settings, key)}.")
    if a.source != b.source:
        found.append(f"It is of another clip: {b.source.name}, not {a.source.name}.")
    return found


def alternating(a: Take, b: Take, every: float) -> NDArray[np.float32]:
    """[2, N] `a` and `b` in turn, every so many seconds, at the same position; as long as the shorter."""
    n = min(a.audio.shape[1], b.audio.shape[1])
    turn = np.arange(n) / (every * SAMPLE_RATE)
    edge = FADE / every
    # 0 while a is heard, 1 while b is, with a short slope at every change
    inside = turn % 1.0
    share = (turn.astype(int) % 2).astype(np.float32)
    rising = np.clip(inside / edge, 0, 1).astype(np.float32)
    share = np.where(turn < 1, 0, np.where(share > 0, rising, 1 - rising)).astype(np.float32)
    return (a.audio[:, :n] * (1 - share) + b.audio[:, :n] * share).astype(np.float32)


def _power(audio: NDArray[np.float32]) -> float:
    return float(np.mean(np.square(audio, dtype=np.float64)))
