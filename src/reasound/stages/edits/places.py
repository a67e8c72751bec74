"""Farther, nearer, in another room."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reasound.edit_plan import Operation
from reasound.errors import UserError
from reasound.mixing.spatial import FARTHEST, NEAREST, REFERENCE, ROOMS, place
from reasound.mixing.spatial import reverb as in_room
from reasound.plan import Acoustics, Event, Space
from reasound.stages.edits import level, making, plans
from reasound.stages.edits.work import ORIGINAL, TAKEN, Audio, Work
from reasound.take import Layer

SPACES: dict[str, Space] = {
    "bathroom": "small room",
    "small room": "small room",
    "room": "room",
    "large room": "large room",
    "garage": "large room",
    "stairwell": "large room",
    "hall": "hall",
    "church": "hall",
    "cathedral": "hall",
    "cave": "hall",
    "tunnel": "hall",
    "stadium": "hall",
    "canyon": "hall",
    "outdoors": "outdoors",
    "vehicle": "vehicle",
    "underwater": "underwater",
}
"""The space that stands for each room that can be asked for."""
AIRY = 0.15
"""Reverberation of which what is far gets more, where the plan has none."""
SAME = 0.02


def distance(work: Work, operation: Operation) -> None:
    """Level by the distance, what air takes away, and relatively more of the room."""
    factor, span = operation.amount or 1.0, work.span(operation)
    for layer in work.aimed(operation):
        items = [work.item(name) for name in layer.events]
        event = items[0] if len(items) == 1 and isinstance(items[0], Event) else None
        before = float(event.place((event.start + event.end) / 2)[1][0]) if event else REFERENCE
        audio = _farther(layer.audio, before, before * factor, work.plan.acoustics)
        work.put(replace(layer, audio=work.joined(layer.audio, audio, span)))
        for item in items:
            if not isinstance(item, Event) and span is None:
                work.plan = plans.changed(work.plan, item.id, plans.louder(item, -plans.decibels(factor)))
            elif isinstance(item, Event) and span is None:
                path = tuple(
                    p.model_copy(update={"distance": min(p.distance * factor, 1000.0)}) for p in item.path
                )
                away = {"distance": min(item.distance * factor, 1000.0), "path": path}
                work.plan = plans.changed(work.plan, item.id, item.model_copy(update=away))
            else:
                assert span is not None
                how = "farther away" if factor > 1 else "nearer"
                text = f"From {span[0]:g} to {span[1]:g} s “{item.sound}” is {how} ({factor:g} times)."
                work.plan = plans.told(work.plan, text, [item.id], "spatial")


def _farther(audio: Audio, before: float, after: float, acoustics: Acoustics) -> Audio:
    near, far = (float(np.clip(d, NEAREST, FARTHEST)) for d in (before, after))
    ratio = near / far
    dry = Acoustics(space="outdoors", reverb=0.0)
    direct = place(audio, 0.0, REFERENCE / ratio, dry) if ratio < 1 else audio * np.float32(ratio)
    level_of = REFERENCE / float(np.clip(REFERENCE / ratio, NEAREST, FARTHEST)) if ratio < 1 else ratio
    direct = direct * np.float32(ratio / level_of)  # beyond the farthest that `place` knows
    if ratio >= 1:
        return direct.astype(np.float32)
    space: Space = "outdoors" if acoustics.space == "underwater" else acoustics.space
    wet = in_room(audio, Acoustics(space=space, reverb=max(acoustics.reverb, AIRY))) - audio
    return (direct + np.float32(ratio**0.5 - ratio) * wet).astype(np.float32)


def reverb(work: Work, operation: Operation) -> None:
    """The reverberation of a room; less than there is only where a layer can be rendered again."""
    amount, span = operation.amount or 0.0, work.span(operation)
    now = work.plan.acoustics
    space = now.space if not operation.style else space_of(operation.style)
    if not operation.style and now.space in ("outdoors", "underwater") and amount > 0:
        space = "room" if amount < 0.4 else "hall"  # an echo was asked for where there are no walls
    for layer in work.aimed(operation):
        if amount + SAME < now.reverb or (space == now.space and amount == 0):
            audio = _again(work, layer, Acoustics(space=now.space, reverb=amount))
        else:
            there = now.reverb if space == now.space else 0.0
            wet = _ratio(amount) - _ratio(there)
            audio = in_room(layer.audio, Acoustics(space=space, reverb=max(wet, 0.0) / (1 + max(wet, 0.0))))
            audio = audio / np.float32((1 + (max(wet, 0.0) * ROOMS[space].wet) ** 2) ** 0.5)  # not louder
        work.put(replace(layer, audio=work.joined(layer.audio, audio, span)))
    if not operation.targets and span is None:
        acoustics = Acoustics(space=space, reverb=amount)
        work.plan = work.plan.model_copy(update={"acoustics": acoustics})
    else:
        names = [work.item(name).sound for name in operation.targets]
        when = "" if span is None else f"From {span[0]:g} to {span[1]:g} s "
        what = " and ".join(f"“{x}”" for x in names) or "all of it"
        text = f"{when}{what} sounds as in a {operation.style or space} (reverberation {amount:g})."
        work.plan = plans.told(work.plan, text[0].upper() + text[1:], operation.targets, "spatial")


def _ratio(amount: float) -> float:
    asked = min(amount, 0.9)
    return asked / (1 - asked)


def space_of(room: str) -> Space:
    """UserError for a room that is not known."""
    from reasound.reasoning.instructions.verbs import room_of

    name = room if room in SPACES else room_of(room.lower())
    if name not in SPACES:
        raise UserError(f"there is no room {room!r}; it is one of {', '.join(sorted(SPACES))}")
    return SPACES[name]


def _again(work: Work, layer: Layer, acoustics: Acoustics) -> Audio:
    """A layer with less reverberation than it was made with."""
    if work.plan.acoustics.reverb <= SAME:
        return layer.audio  # there is nothing to take away
    if layer.renderer in (ORIGINAL, TAKEN) or len(layer.events) != 1 or work.engine.released is not None:
        raise UserError(
            f"the reverberation in {layer.name!r} is part of its sound and cannot be taken out; it can get more"
        )
    item = work.item(layer.events[0])
    gain = level.gain_of(replace(layer, gain=0.0, pan=0.0), item) or 0.0
    return making.scaled(making.rendered(work, item, layer.seed, acoustics).audio, gain)
