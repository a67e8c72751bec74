"""An edit in progress: the plan and the layers so far, and how the layer of one sound is got at.

A sound that has no layer of its own, in a foreign sound track or in a layer that plays several things, gets one first:
the layer is divided in two that sum to it to the bit, so that dividing alone changes nothing that is heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reasound.edit_plan import Operation
from reasound.errors import UserError
from reasound.pipeline import Reasound, Report, quiet
from reasound.plan import Event, Plan
from reasound.stages.edits.plans import Item, fresh, items
from reasound.synthesis.editing import RING_LONGEST, Edit, Editor, split, total, window
from reasound.take import Layer, Take
from reasound.timeline import SAMPLE_RATE

if TYPE_CHECKING:
    from reasound.media.video import Clip
    from reasound.perception.features import Features

Audio = NDArray[np.float32]  # [2, N]
ORIGINAL, TAKEN = "original", "extracted"
"""Renderers of layers that nobody rendered: a foreign sound track, and what was taken out of a layer."""
GRID = 2.0**23
"""Steps of a 24-bit sample: two parts on this grid sum to a layer that was read from a file without rounding."""
EARLY = 0.03
"""Seconds before an onset that belong to its attack."""


@dataclass
class Work:
    engine: Reasound
    clip: Clip | None
    take: Take
    """The one that is edited."""
    base: Take
    """The same sound, but for silence at its ends and layers that were divided: what the result is mixed against."""
    plan: Plan
    layers: list[Layer]
    seed: int
    report: Report = quiet
    notes: list[str] = field(default_factory=list)
    """What the user should know, a sentence each."""
    seen: Features | None = None

    @classmethod
    def on(cls, engine: Reasound, take: Take, clip: Clip | None, seed: int, report: Report = quiet) -> Work:
        return cls(engine, clip, take, take, take.plan, list(take.layers), seed, report)

    @property
    def n(self) -> int:
        return self.layers[0].audio.shape[1] if self.layers else self.base.audio.shape[1]

    @property
    def seconds(self) -> float:
        return self.plan.seconds

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def item(self, name: str) -> Item:
        return items(self.plan)[name]

    def names(self) -> set[str]:
        """All that are taken, of layers, events and ambiences."""
        return {layer.name for layer in self.layers} | set(items(self.plan))

    def span(self, operation: Operation) -> tuple[float, float] | None:
        """In seconds; None for the whole clip."""
        if operation.start is None and operation.end is None:
            return None
        return operation.start or 0.0, self.seconds if operation.end is None else operation.end

    def share(self, span: tuple[float, float] | None) -> NDArray[np.float32]:
        """[N] 1 inside the span, 0 outside, with fades inside its borders; the last moment ends with the sound."""
        if span is None:
            return np.ones(self.n, np.float32)
        start, end = span
        last = self.n / SAMPLE_RATE if end >= self.seconds - 1e-3 else end
        return window((start, last), self.n)

    def joined(self, old: Audio, new: Audio, span: tuple[float, float] | None) -> Audio:
        """New sound inside the span, crossfaded within its borders; the old sound outside it, bit for bit."""
        if span is None:
            return new.astype(np.float32)
        share = self.share(span)
        return np.where(share > 0, old * (1 - share) + new * share, old).astype(np.float32)

    def put(self, layer: Layer) -> None:
        """In place of the layer of that name, or as a new one."""
        for i, old in enumerate(self.layers):
            if old.name == layer.name:
                self.layers[i] = layer
                return
        self.layers.append(layer)

    def drop(self, name: str) -> None:
        self.layers = [layer for layer in self.layers if layer.name != name]

    def new_name(self, name: str) -> str:
        return fresh(name, {layer.name for layer in self.layers} | {layer.name for layer in self.base.layers})

    def features(self) -> Features | None:
        """What the released model needs to make any sound."""
        if self.engine.released is None:
            return None
        if self.clip is None:
            raise UserError("thinksound makes sound of pictures and there are none; use --model pocket")
        self.seen = self.seen or self.engine.perceive(self.clip, self.report)
        return self.seen

    def unlocked(self, layers: Sequence[Layer], verb: str) -> list[Layer]:
        """The same, if nobody locked them; muted ones are told."""
        for layer in layers:
            if layer.lock:
                raise UserError(
                    f"cannot change {layer.name!r} ({verb}): its layer is locked; unlock it first"
                )
        alone = any(layer.solo for layer in self.layers)
        for layer in layers:
            if layer.mute:
                self.note(f"{layer.name!r} is muted, so the change is not heard until it is unmuted.")
            elif alone and not layer.solo:
                self.note(f"{layer.name!r} is not heard while another layer is solo.")
        return list(layers)

    def aimed(self, operation: Operation) -> list[Layer]:
        """The layers that an operation is about: all of them, or those of its targets, each on its own."""
        if not operation.targets:
            return self.unlocked(self.layers, operation.verb)
        wanted = set(operation.targets)
        for name in operation.targets:
            if not any(name in layer.events for layer in self.layers):
                raise UserError(f"cannot {operation.verb} {name!r}: no layer plays it any more")
        self.unlocked([x for x in self.layers if wanted & set(x.events)], operation.verb)
        for layer in list(self.layers):
            shared = [name for name in layer.events if name in wanted]
            if shared and (layer.renderer == ORIGINAL or len(shared) < len(layer.events)):
                for name in shared:
                    self.divide(layer.name, name)
        return [layer for layer in self.layers if layer.events and wanted.issuperset(layer.events)]

    def divide(self, name: str, event: str) -> Layer:
        """An event gets a layer of its own, taken out of the layer `name`; the two sum to what it was."""
        layer = next(x for x in self.layers if x.name == name)
        self.report("taking apart", 0.0)
        taken = self._part(layer, event)
        taken = (np.rint(taken * GRID) / GRID).astype(np.float32)
        if not taken.any():
            self.note(f"Nothing of {event!r} was found in the layer {name!r}.")
        part = replace(
            layer, name=self.new_name(event), audio=taken, events=(event,), renderer=TAKEN, recordings=()
        )
        rest = replace(layer, audio=layer.audio - taken, events=tuple(e for e in layer.events if e != event))
        if any(x is layer for x in self.base.layers):
            self.base = replace(self.base, layers=_divided(self.base.layers, layer, rest, part))
        self.layers = list(_divided(self.layers, layer, rest, part))
        self.report("taking apart", 1.0)
        return part

    def _part(self, layer: Layer, event: str) -> Audio:
        plan = self.plan.only(layer.events)
        n = layer.audio.shape[1]
        if layer.renderer != ORIGINAL and (alone := _apart(plan, event, n)) is not None:
            return layer.audio * alone
        if len(layer.events) > 1:
            played = self.engine.library.render(plan, Fraction(n, SAMPLE_RATE), self.seed)
            layers = {x.name: x.audio for x in played}
            return split(layer.audio, layers[event], total(layers, event))[0]
        if self.engine.released is not None:
            raise UserError(
                f"thinksound cannot take {event!r} out of a mixture; use --model pocket for this edit"
            )
        edit = Edit("extract", (0.0, plan.seconds), event)
        plan = plan.model_copy(update={"seconds": n / SAMPLE_RATE})
        engine = self.engine
        editor = Editor(engine.generator, engine.library)
        return editor.apply(
            plan, [layer.audio], [edit], self.seed, steps=engine.steps, guidance=engine.guidance
        )[0]


def _divided(layers: Sequence[Layer], old: Layer, rest: Layer, part: Layer) -> tuple[Layer, ...]:
    found: list[Layer] = []
    for layer in layers:
        found += [rest, part] if layer is old else [layer]
    return tuple(found)


def _apart(plan: Plan, name: str, n: int) -> NDArray[np.float32] | None:
    """[n] when an event alone can be heard, from its beginning until another's; None where two share a moment."""
    spans: list[tuple[float, float, bool]] = []
    for item in items(plan).values():
        if not isinstance(item, Event):
            return None
        spans += [(start, end, item.id == name) for start, end in reaches(item)]
    spans.sort()
    if any(b[0] < a[1] and a[2] != b[2] for i, a in enumerate(spans) for b in spans[i + 1 :]):
        return None
    mine = np.zeros(n, np.float32)
    for i, (start, _, own) in enumerate(spans):
        if own:
            first = start if i else 0.0
            last = spans[i + 1][0] if i + 1 < len(spans) else n / SAMPLE_RATE
            continues = i + 1 < len(spans) and spans[i + 1][2]
            mine = np.maximum(mine, window((first, last + (0.05 if continues else 0.0)), n))
    return mine


def reaches(event: Event) -> list[tuple[float, float]]:
    """Seconds in which each hit of an event can be heard, or its whole span."""
    if not event.onsets:
        return [(event.start, event.end)]
    nexts = [*event.onsets[1:], event.onsets[-1] + RING_LONGEST + EARLY]
    return [
        (max(t - EARLY, 0.0), max(min(t + RING_LONGEST, then - EARLY), t))
        for t, then in zip(event.onsets, nexts, strict=True)
    ]
