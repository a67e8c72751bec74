"""A plan that a person changed by hand, followed: what they dragged, renamed, added or took away, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from reasound.edit_plan import Operation
from reasound.errors import UserError
from reasound.mixing.loudness import limit
from reasound.pipeline import Reasound, Report, quiet
from reasound.plan import Plan
from reasound.plan_text import difference
from reasound.stages.edits import level, making, plans, taking
from reasound.stages.edits.plans import Item
from reasound.stages.edits.work import ORIGINAL, Work
from reasound.stages.revise import revised
from reasound.take import Layer, Take

if TYPE_CHECKING:
    from reasound.media.video import Clip

UNHEARD = {"confidence": 1.0, "region": None}
"""What a plan says of a sound that changes nothing of it."""
ALIKE = 0.95
"""Correlation from which a layer is what the renderer made, but for its gain and what the limiter did."""


def replanned(
    engine: Reasound,
    take: Take,
    clip: Clip | None,
    plan: Plan,
    *,
    seed: int | None = None,
    report: Report = quiet,
) -> Take:
    """The next take, which follows `plan` in place of the take's own.

    Layers of events that did not change keep every sample; those of changed ones are rendered again with the seed that
    they had (or `seed`), at the level that they had, their gain, pan, mute and solo as they were. What is gone goes,
    what is new comes. Another space or reverberation is for all of them. UserError where nothing changed, the plan is
    for another length, or a layer is locked.
    """
    if abs(plan.seconds - take.plan.seconds) > 1e-3:
        raise UserError(
            f"the plan is for {plan.seconds:g} s but the take lasts {take.plan.seconds:g} s; set its 'seconds'"
        )
    said = difference(take.plan, plan)
    before, after = plans.items(take.plan), plans.items(plan)
    everywhere = take.plan.acoustics != plan.acoustics
    if plan == take.plan:
        raise UserError("nothing to do: the plan is that of the take")
    work = Work.on(engine, take, clip, int(take.id, 16) % 2**31 if seed is None else seed, report)
    again = [n for n in before.keys() & after.keys() if everywhere or not _alike(before[n], after[n])]
    _refuse_locked(work, [*again, *(before.keys() - after.keys())])
    for name in before:  # in their order, so that the same change gives the same bytes
        if name not in after:
            taking.remove(work, Operation(verb="remove", targets=(name,)))
        elif name in again:
            _made_again(work, before[name], after[name], plan, seed)
    work.plan = work.plan.model_copy(update={"acoustics": plan.acoustics, "avoid": plan.avoid})
    for name, item in after.items():
        if name not in before:
            work.layers.append(making.added(work, item))
    made = revised(work.base, work.layers, plan, what=" ".join(said) or "the plan's words changed")
    engine.notes = tuple(work.notes)
    return replace(made, parent=take.id)


def _made_again(work: Work, old: Item, new: Item, plan: Plan, seed: int | None) -> None:
    """The layer of one event, in its own place; out of a layer of several things it gets one of its own."""
    layer = next((x for x in work.layers if x.events == (old.id,) and x.renderer != ORIGINAL), None)
    if layer is None:
        taking.remove(work, Operation(verb="remove", targets=(old.id,)))
        work.layers.append(making.added(work, new))
        return
    made = making.rendered(work, new, layer.seed if seed is None else seed, plan.acoustics)
    if not made.audio.any():
        raise UserError(f"nothing could be made for {new.sound!r}; name it in other words")
    audio = made.audio * np.float32(_gain(work, layer, old))
    audio = (audio * limit(audio, work.take.mix.target_peak)).astype(np.float32)
    work.put(replace(layer, audio=audio, seed=made.seed, renderer=made.renderer, recordings=made.recordings))


def _gain(work: Work, layer: Layer, item: Item) -> float:
    """The factor between what the renderer made and what the layer is: exact where nothing else was done to it since,
    else by its level."""
    before = making.rendered(work, item, layer.seed).audio
    both, alone = float(np.vdot(layer.audio, before)), float(np.vdot(before, before))
    if both > ALIKE * np.sqrt(alone * float(np.vdot(layer.audio, layer.audio))) > 0:
        return both / alone
    found = level.gain_of(replace(layer, gain=0.0, pan=0.0), item)
    if found is None:  # a layer that was silenced: as loud as the others
        found = level.mastering(work, item, layer.name) or 0.0
    return plans.factor(found)


def _refuse_locked(work: Work, names: list[str]) -> None:
    held: list[Layer] = [x for x in work.layers if x.lock and set(x.events) & set(names)]
    if held:
        raise UserError(
            f"the layer {held[0].name!r} is locked, so its event must stay as it is; unlock it first"
        )


def _alike(one: Item, other: Item) -> bool:
    def heard(item: Item) -> Item:
        return item.model_copy(update={k: v for k, v in UNHEARD.items() if hasattr(item, k)})

    return type(one) is type(other) and heard(one) == heard(other)
