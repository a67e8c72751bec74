"""Louder, softer, left, right, mute, solo: fields of a whole layer, a curve on its sound in a span."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reasound.edit_plan import Operation
from reasound.mixing.spatial import pan_stereo
from reasound.plan import Event, Place
from reasound.stages.edits import plans
from reasound.stages.edits.plans import factor
from reasound.stages.edits.work import Audio, Work
from reasound.take import Layer
from reasound.timeline import SAMPLE_RATE

CENTRED = 0.02
"""Pan that nobody hears."""
POINT = 0.9
"""Pan from which on there is no width left that could be undone."""
LEAST, MOST = -60.0, 24.0
"""dB of a layer's gain."""


def gain(work: Work, operation: Operation) -> None:
    amount, span = operation.amount or 0.0, work.span(operation)
    for layer in work.aimed(operation):
        if span is None:
            work.put(replace(layer, gain=min(max(layer.gain + amount, LEAST), MOST)))
        else:
            louder = layer.audio * np.float32(factor(amount))
            work.put(replace(layer, audio=work.joined(layer.audio, louder, span)))
        for name in layer.events:
            _louder(work, name, amount, span)


def _louder(work: Work, name: str, amount: float, span: tuple[float, float] | None) -> None:
    item = work.item(name)
    if span is None:
        work.plan = plans.changed(work.plan, name, plans.louder(item, amount))
    elif isinstance(item, Event) and item.onsets:
        if hits := plans.within(item, *span):
            work.plan = plans.changed(work.plan, name, plans.strengthened(item, hits, amount))
    else:
        how = "louder" if amount > 0 else "softer"
        text = f"From {span[0]:g} to {span[1]:g} s “{item.sound}” is {abs(amount):g} dB {how}."
        work.plan = plans.told(work.plan, text, [name])


def pan(work: Work, operation: Operation) -> None:
    amount, span = operation.amount or 0.0, work.span(operation)
    for layer in work.aimed(operation):
        centre = _centred(work, layer)
        if span is None:
            work.put(replace(layer, audio=centre, pan=amount))
        else:
            # Its own pan goes into the sound: outside the span it is heard as it was, to the bit.
            before = pan_stereo(layer.audio, layer.pan) if layer.pan else layer.audio
            work.put(replace(layer, audio=work.joined(before, pan_stereo(centre, amount), span), pan=0.0))
        for name in layer.events:
            work.plan = _placed(work, name, amount, span)


def _centred(work: Work, layer: Layer) -> Audio:
    """A layer's sound in the middle: undoes the pan that it is heard to have, or that of the plan for what moves."""
    item = work.item(layer.events[0]) if len(layer.events) == 1 else None
    n = layer.audio.shape[1]
    if isinstance(item, Event) and item.path:
        at = item.place(np.arange(n) / SAMPLE_RATE)[0]
    else:
        left, right = np.sqrt(np.square(layer.audio, dtype=np.float64).mean(1))
        if not left + right:
            return layer.audio
        side = float(np.arctan2(right, left)) / (np.pi / 4) - 1
        if abs(side) < CENTRED:
            return layer.audio
        at = np.full(n, side)
    angle = (at + 1) * (np.pi / 4)
    middle = (layer.audio[0] + layer.audio[1]) / (np.sqrt(2) * (np.cos(angle) + np.sin(angle)))
    width = np.where(np.abs(at) < POINT, 1 / np.maximum(1 - np.abs(at), 1 - POINT), 0.0)
    side_of = (layer.audio[0] - np.sqrt(2) * np.cos(angle) * middle) * width
    return np.stack([middle + side_of, middle - side_of]).astype(np.float32)


def _placed(work: Work, name: str, amount: float, span: tuple[float, float] | None) -> plans.Plan:
    item = work.item(name)
    if not isinstance(item, Event):
        return plans.told(work.plan, f"“{item.sound}” comes from {_side(amount)}.", [name], "spatial")
    if span is None or _covers(span, item):
        path = tuple(Place(time=p.time, pan=amount, distance=p.distance) for p in item.path)
        moved = item.model_copy(update={"pan": amount, "path": path, "region": None})
        return plans.changed(work.plan, name, moved)
    text = f"From {span[0]:g} to {span[1]:g} s “{item.sound}” comes from {_side(amount)}."
    return plans.told(work.plan, text, [name], "spatial")


def _covers(span: tuple[float, float], event: Event) -> bool:
    if event.onsets:
        return len(plans.within(event, *span)) == len(event.onsets)
    return span[0] <= event.start and event.end <= span[1]


def _side(amount: float) -> str:
    if abs(amount) < 0.05:
        return "the middle"
    return f"the {'right' if amount > 0 else 'left'} ({amount:+g})"


def mute(work: Work, operation: Operation) -> None:
    span = work.span(operation)
    for layer in work.aimed(operation):
        if span is None:
            work.put(replace(layer, mute=True))
        else:
            silence(work, layer, span)


def solo(work: Work, operation: Operation) -> None:
    span = work.span(operation)
    wanted = {layer.name for layer in work.aimed(operation)}
    for layer in list(work.layers):
        if span is None:
            work.put(replace(layer, solo=layer.name in wanted, mute=layer.mute and layer.name not in wanted))
        elif layer.name not in wanted:
            work.unlocked([layer], "silence")
            silence(work, layer, span)


def silence(work: Work, layer: Layer, span: tuple[float, float]) -> None:
    """A layer is faded out in a span, and the plan knows; one of which nothing is left goes."""
    share = work.share(span)
    audio = np.where(share > 0, layer.audio * (1 - share), layer.audio).astype(np.float32)
    kept: list[str] = []
    for name in layer.events:
        left = plans.without(work.item(name), *span, work.seconds, work.names())
        work.plan = plans.changed(work.plan, name, *left)
        kept += [item.id for item in left]
    if layer.events and not kept and not _matters(audio, layer.audio):
        work.drop(layer.name)
    else:
        work.put(replace(layer, audio=audio, events=tuple(kept)))


def _matters(left: Audio, whole: Audio) -> bool:
    """Whether what is left of a sound can be heard: within 60 dB of it."""
    return float(np.abs(left).max(initial=0.0)) > 1e-3 * float(np.abs(whole).max(initial=0.0))
