"""A span made anew, from what is around it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reasound.edit_plan import Operation
from reasound.plan import Event
from reasound.stages.edits import level, making, plans
from reasound.stages.edits.fields import silence
from reasound.stages.edits.taking import new_class, new_name
from reasound.stages.edits.work import ORIGINAL, Audio, Work
from reasound.synthesis.editing import Edit, Editor
from reasound.take import Layer
from reasound.timeline import SAMPLE_RATE, samples

AROUND = 5.0
"""Seconds before and after a span that are heard while it is filled."""
HOLE = 1e-3
"""Of full scale (-60 dBFS): what stays below it was cut out."""


def inpaint(work: Work, operation: Operation) -> None:
    """Other takes of the same sounds, or the named sound instead of them, inside the span."""
    span = work.span(operation)
    assert span is not None  # EditPlan.check
    layers = work.unlocked(work.layers, "inpaint") if not operation.targets else work.aimed(operation)
    sound = _named(work, operation, span) if operation.sound else None
    for layer in layers:
        if work.engine.released is not None and layer.renderer != ORIGINAL and sound is None:
            _released(work, layer, span)
        elif layer.renderer == ORIGINAL and not operation.targets:
            remake(work, layer, span)
        elif sound is not None:
            silence(work, layer, span)
        elif len(layer.events) == 1 and layer.renderer in ("library", "model"):
            _other_take(work, layer, span)
        else:
            remake(work, layer, span)
    if sound is not None:
        made = making.added(work, sound)
        work.layers.append(replace(made, audio=work.joined(np.zeros_like(made.audio), made.audio, span)))
        work.plan = plans.added(work.plan, sound)


def _named(work: Work, operation: Operation, span: tuple[float, float]) -> Event:
    end = min(span[1], work.seconds)
    return Event(
        id=new_name(work, operation),
        source=operation.sound,
        sound=operation.sound,
        sound_class=new_class(work, operation),
        start=span[0],
        end=end,
        on_screen=False,
    )


def _other_take(work: Work, layer: Layer, span: tuple[float, float]) -> None:
    """The same event with another seed; a layer says the seed of most of it."""
    item = work.item(layer.events[0])
    made = making.rendered(work, item, work.seed).audio
    gain = _as_outside(work, layer, made, span)
    if gain is None and _sounds(layer, item, span):
        gain = level.gain_of(replace(layer, gain=0.0, pan=0.0), item)
    if gain is None:
        gain = level.mastering(work, item, but=layer.name)
    work.put(replace(layer, audio=work.joined(layer.audio, making.scaled(made, gain or 0.0), span)))


def _sounds(layer: Layer, item: plans.Item, span: tuple[float, float]) -> bool:
    """Whether a layer is heard where its event is struck in the span; else that was cut out."""
    hits = [item.onsets[i] for i in plans.within(item, *span)] if isinstance(item, Event) else []
    moments = [layer.audio[:, samples(t) : samples(t + 0.05)] for t in hits or [sum(span) / 2]]
    return any(np.abs(moment).max(initial=0.0) > HOLE for moment in moments)


def _as_outside(work: Work, layer: Layer, made: Audio, span: tuple[float, float]) -> float | None:
    """dB that make another take as loud as the layer is outside the span; None where it has no business there."""
    if not plans.without(work.item(layer.events[0]), *span, work.seconds, work.names()):
        return None
    apart = [work.joined(audio, np.zeros_like(audio), span) for audio in (layer.audio, made)]
    there, ours = (float(np.square(audio, dtype=np.float64).sum()) for audio in apart)
    if not there or not ours:
        return None
    return float(np.clip(plans.decibels(there / ours) / 2, -level.MOST, level.MOST))


def remake(work: Work, layer: Layer, span: tuple[float, float]) -> None:
    """By the model, which hears what is around the span; no louder than that."""
    if work.engine.released is not None:
        _released(work, layer, span)
        return
    first, last = max(span[0] - AROUND, 0.0), min(span[1] + AROUND, work.seconds)
    a, b = samples(first), min(samples(last), work.n)
    plan = work.plan.only(layer.events)
    plan = plans.excerpt(plan, first, first + (b - a) / SAMPLE_RATE)
    engine = work.engine
    edit = Edit("inpaint", (span[0] - first, span[1] - first))
    made = Editor(engine.generator, engine.library).apply(
        plan, [layer.audio[:, a:b]], [edit], work.seed, steps=engine.steps, guidance=engine.guidance
    )[0]
    audio = layer.audio.copy()
    audio[:, a:b] = _no_louder(made, layer.audio[:, a:b], samples(span[0]) - a, samples(span[1]) - a)
    work.put(replace(layer, audio=work.joined(layer.audio, audio, span)))


def _no_louder(made: Audio, given: Audio, first: int, last: int) -> Audio:
    """Turned down until the span is as loud as what is around it; the model's own level is a guess."""
    around = np.concatenate([given[:, :first], given[:, last:]], axis=1)
    there, new = level.measured(around, hit=False), level.measured(made[:, first:last], hit=False)
    if there is None or new is None:
        return made
    return making.scaled(made, min(there - new, 0.0))


def _released(work: Work, layer: Layer, span: tuple[float, float]) -> None:
    """By the released model, which knows no context: the flow is led past the sound that is there."""
    from reasound.synthesis.masked import inpainted

    features = work.features()
    assert features is not None and work.engine.released is not None
    made: Audio = inpainted(
        work.engine.released,
        work.plan.only(layer.events),
        layer.audio,
        span,
        features,
        seed=work.seed,
        steps=work.engine.steps,
        guidance=work.engine.guidance,
    )
    work.put(replace(layer, audio=work.joined(layer.audio, made, span)))
