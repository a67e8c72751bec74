"""Take out, take apart, put another in its place, put something new beside it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from reasound.edit_plan import Operation
from reasound.plan import Ambience, Event
from reasound.stages.edits import level, making, plans
from reasound.stages.edits.fields import silence
from reasound.stages.edits.plans import Item
from reasound.stages.edits.work import ORIGINAL, Work
from reasound.synthesis.editing import FADE
from reasound.synthesis.library import rng_for
from reasound.synthesis.manners import habit
from reasound.synthesis.placing import beat
from reasound.take import Layer
from reasound.timeline import samples

UNDER = ("ambience", "weather", "water", "fire", "machine")
"""Groups of classes that lie under the whole clip unless a time is named."""
UNDER_LEVEL, ADDED_LEVEL = -12.0, -3.0
"""dB of a new ambience, and of what is off screen."""
EVERY = 4.0
"""Seconds of the clip for each call or hit that is added without times."""
ONCE = 1.5
"""Seconds: in a shorter span it sounds once."""
RINGS = 3.0
"""Seconds after its last onset at which a struck sound ends in the plan."""


def remove(work: Work, operation: Operation) -> None:
    span = work.span(operation)
    for layer in work.aimed(operation):
        if span is not None:
            silence(work, layer, span)
            continue
        work.drop(layer.name)
        for name in layer.events:
            work.plan = plans.changed(work.plan, name)


def extract(work: Work, operation: Operation) -> None:
    """Its own layer. One that has it already stays as it is."""
    before = {layer.name for layer in work.layers}
    for layer in work.aimed(operation):
        if layer.name in before:
            what = " and ".join(layer.events)
            work.note(f"{what} is on a layer of its own already, {layer.name!r}: nothing had to be done.")


def add(work: Work, operation: Operation) -> None:
    new = _new_item(work, operation)
    layer, hits = making.added(work, new), isinstance(new, Event) and bool(new.onsets)
    span = work.span(operation)
    if span is not None and (operation.end is not None or not hits):
        share = work.share(span)
        if hits:  # an attack is not to fall into a fade
            share[samples(span[0]) : samples(span[0] + FADE)] = 1.0
        layer = replace(layer, audio=layer.audio * share)
    work.layers.append(layer)
    work.plan = plans.told(
        plans.added(work.plan, new), operation.reason or f"“{new.sound}” was asked for.", [new.id], "semantic"
    )


def replace_by(work: Work, operation: Operation) -> None:
    """The old sound goes; the new one has its times, its place and its level."""
    span = work.span(operation)
    for layer in work.aimed(operation):
        for number, name in enumerate(layer.events):
            old = work.item(name)
            new = _in_place_of(work, old, operation, span)
            if new is None:
                continue
            made = making.added(work, new, _level_of(work, layer, old))
            if span is not None:
                made = replace(made, audio=work.joined(np.zeros_like(made.audio), made.audio, span))
            made = replace(made, gain=0.0, mute=layer.mute, solo=layer.solo)
            work.layers.append(made)
            work.plan = plans.added(work.plan, new)
            if number and len(layer.events) > 1 and operation.targets == ():
                break
        if span is not None:
            silence(work, layer, span)
            continue
        work.drop(layer.name)
        for name in layer.events:
            work.plan = plans.changed(work.plan, name)


def _level_of(work: Work, layer: Layer, old: Item) -> float | None:
    """dB above the renderer's level at which the old sound is; None where that cannot be told."""
    if layer.renderer == ORIGINAL or len(layer.events) > 1:
        return None
    return level.gain_of(layer, old)


def _in_place_of(
    work: Work, old: Item, operation: Operation, span: tuple[float, float] | None
) -> Item | None:
    """What the plan says of the new sound: all that it says of the old one but what makes it."""
    name = new_name(work, operation)
    fields = {"id": name, "sound": operation.sound, "sound_class": new_class(work, operation)}
    if not isinstance(old, Event):
        if span is None:
            return old.model_copy(update=fields)
        old = plans.lasting(old, work.seconds)
    fields |= {"source": operation.sound, "material": ""}
    new = old.model_copy(update=fields)
    if span is None:
        return new
    if new.onsets:
        hits = plans.within(new, *span)
        return plans.only_hits(new, hits) if hits else None
    start, end = max(new.start, span[0]), min(new.end, span[1])
    return new.model_copy(update={"start": start, "end": end}) if end - start > plans.SHORTEST else None


def _new_item(work: Work, operation: Operation) -> Item:
    """What the plan says of a sound that is added: when, and how loud."""
    name, sound_class, seconds = new_name(work, operation), new_class(work, operation), work.seconds
    way = habit(sound_class)
    start, end = operation.start, operation.end
    if start is None and end is None and way.manner == "texture" and sound_class.split("/")[0] in UNDER:
        return Ambience(id=name, sound=operation.sound, sound_class=sound_class, level=UNDER_LEVEL)
    first, last = start or 0.0, min(seconds if end is None else end, seconds)
    onsets = operation.onsets
    if onsets:
        first = onsets[0] if start is None else min(first, onsets[0])
        last = min(onsets[-1] + RINGS, seconds) if end is None else max(last, onsets[-1] + plans.SHORTEST)
    elif way.manner in ("step", "hit") and (end is not None or start is None) and last - first >= ONCE:
        onsets = tuple(beat(way, max(first, 0.05), last, rng_for(work.seed, name)))
    elif way.manner == "texture":
        pass
    elif start is None and end is None:
        onsets = _spread(work, name)
    elif end is None or last - first < ONCE:
        onsets = (first,)
        last = min(first + RINGS, last) if end is None else last
    return Event(
        id=name,
        source=operation.sound,
        sound=operation.sound,
        sound_class=sound_class,
        start=first,
        end=last,
        onsets=onsets,
        level=ADDED_LEVEL,
        on_screen=False,
    )


def _spread(work: Work, name: str) -> tuple[float, ...]:
    """Moments all over the clip, each as far from what happens as its part of the clip allows."""
    count = max(1, round(work.seconds / EVERY))
    there = [t for event in work.plan.events for t in event.onsets]
    rng = rng_for(work.seed, name)
    edges = np.linspace(0.0, work.seconds, count + 1)
    found: list[float] = []
    for a, b in zip(edges[:-1], edges[1:], strict=True):
        tries = rng.uniform(a + 0.1 * (b - a), b - 0.4 * (b - a), 16)
        gaps = [min((abs(t - x) for x in [*there, *found]), default=0.0) for t in tries]
        found.append(round(float(tries[int(np.argmax(gaps))]), 3))
    return tuple(found)


def new_class(work: Work, operation: Operation) -> str:
    if operation.sound_class or work.engine.released is not None:
        return operation.sound_class
    return work.engine.library.library.known_class(operation.sound, "")


def new_name(work: Work, operation: Operation) -> str:
    """An id as a reasoner would give it: "dog", "dog-2"."""
    words = (operation.sound_class or operation.sound).split("/")[-1].lower()
    plain = "-".join(re.findall(r"[a-z0-9_]+", words)[:4]) or "sound"
    return plans.fresh(plain, work.names())
