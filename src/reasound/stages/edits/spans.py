"""The span of an operation that a reasoner named roughly: from the attack of its first hit to where its last one has
rung out."""

from __future__ import annotations

import numpy as np

from reasound.edit_plan import EditPlan, Operation
from reasound.errors import UserError
from reasound.plan import Event
from reasound.stages.edits.plans import items, within
from reasound.stages.edits.work import EARLY, ORIGINAL, reaches
from reasound.take import Layer, Take
from reasound.timeline import SAMPLE_RATE, samples

NEAR = 0.06
"""Seconds by which the first onset may lie before the span that was named for it."""
HITS = ("remove", "replace", "move", "gain", "mute", "pan", "distance", "style", "reverb")
"""Verbs that can be about some hits of an event."""
QUIET = 1e-4
"""Of a layer's peak (-80 dB): a hit has rung out."""

Span = tuple[float, float]


def limited(edit: EditPlan, span: Span | None, seconds: float) -> EditPlan:
    """No operation reaches out of the span that the user gave; those without times of their own get it."""
    if span is None or edit.refusal:
        return edit
    start, end = span
    if not 0 <= start < end <= seconds + 1e-3:
        raise UserError(f"the span {start:g}-{end:g} s does not lie in the clip, which is {seconds:g} s long")
    done = []
    for operation in edit.operations:
        first = max(start, operation.start or 0.0)
        last = min(end, seconds if operation.end is None else operation.end)
        if operation.verb == "extend":
            first, last = operation.start or 0.0, last  # its span is where it goes on
            done.append(operation)
            continue
        if first >= last:
            raise UserError(
                f"{operation.verb!r} is for {operation.start or 0:g}-{operation.end or seconds:g} s, "
                f"outside the span {start:g}-{end:g} s"
            )
        done.append(operation.model_copy(update={"start": first, "end": min(last, seconds)}))
    return edit.model_copy(update={"operations": tuple(done)})


def fitted(edit: EditPlan, take: Take, limit: Span | None = None) -> EditPlan:
    """Spans that name hits reach from their attack until they have rung out, and not into the next hit."""
    fits = tuple(_fitted(operation, take, limit) for operation in edit.operations)
    return edit.model_copy(update={"operations": fits})


def _fitted(operation: Operation, take: Take, limit: Span | None) -> Operation:
    if operation.verb not in HITS or (operation.start is None and operation.end is None):
        return operation
    known = items(take.plan)
    events = [known[name] for name in operation.targets if name in known]
    hits = [e for e in events if isinstance(e, Event) and e.onsets]
    if not hits or len(hits) < len(events):
        return operation
    seconds = take.plan.seconds
    start, end = operation.start or 0.0, seconds if operation.end is None else operation.end
    spans: list[Span] = []
    for event in hits:
        chosen = within(event, start - NEAR, max(end - NEAR, start + NEAR))
        spans += [_rings(event, i, take) for i in chosen]
    if not spans:
        return operation
    first, last = min(a for a, _ in spans), max(b for _, b in spans)
    if limit is not None:
        first, last = max(first, limit[0]), min(last, limit[1])
    if first >= last:
        return operation
    return operation.model_copy(update={"start": round(first, 3), "end": min(round(last, 3), seconds)})


def _rings(event: Event, hit: int, take: Take) -> Span:
    """From before its attack until its layer is silent or the next hit begins."""
    start, end = reaches(event)[hit]
    layer = next((x for x in take.layers if x.events == (event.id,) and x.renderer != ORIGINAL), None)
    if layer is None:
        return start, min(end, take.plan.seconds)
    last = event.onsets[hit + 1] - EARLY if hit + 1 < len(event.onsets) else take.plan.seconds
    return start, max(min(_silent_from(layer, start), last), event.onsets[hit] + 0.05)


def _silent_from(layer: Layer, start: float) -> float:
    level = np.abs(layer.audio).max(0)
    sounding = np.flatnonzero(level[samples(start) :] > QUIET * float(level.max(initial=0.0)))
    return start + (int(sounding[-1]) + 1) / SAMPLE_RATE if len(sounding) else start
