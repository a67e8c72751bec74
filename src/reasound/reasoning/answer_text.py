"""From a plan to the answer that a large model should have given: what `answers` reads and `prompts` asks for."""

from __future__ import annotations

import json
import math
from typing import Any

from reasound.edit_plan import EditPlan, Operation
from reasound.plan import Event, Plan


def answer_text(answer: Plan | EditPlan) -> str:
    """The JSON of an answer, with the fields and in the order that the prompts ask for; times to a hundredth of a
    second, as the measured moments are told. Of a moving source it has the place in the middle of its span.
    """
    fields = _edit(answer) if isinstance(answer, EditPlan) else _plan(answer)
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "reasoning": [s.model_dump(mode="json") for s in plan.reasoning],
        "caption": plan.caption,
        "events": [_event(e, plan.seconds) for e in plan.events],
        "ambience": [
            a.model_dump(mode="json", include={"id", "sound", "sound_class"}) | {"level": _short(a.level)}
            for a in plan.ambience
        ],
        "acoustics": {"space": plan.acoustics.space, "reverb": _short(plan.acoustics.reverb)},
        "avoid": list(plan.avoid),
    }


def _event(e: Event, seconds: float) -> dict[str, Any]:
    pan, distance = (float(v[0]) for v in e.place((e.start + e.end) / 2))
    box = e.region
    return {
        "id": e.id,
        "source": e.source,
        "sound": e.sound,
        "sound_class": e.sound_class,
        "start": _time(e.start, seconds),
        "end": _time(e.end, seconds),
        "onsets": [_time(t, seconds) for t in e.onsets],
        "level": _short(e.level),
        "pan": _short(pan),
        "distance": max(0.1, _short(distance)),
        "region": [_short(v) for v in (box.x0, box.y0, box.x1, box.y1)] if box else None,
        "on_screen": e.on_screen,
        "confidence": _short(e.confidence),
    }


def _edit(edit: EditPlan) -> dict[str, Any]:
    return {"operations": [_operation(o) for o in edit.operations], "refusal": edit.refusal}


def _operation(o: Operation) -> dict[str, Any]:
    fields = o.model_dump(mode="json")
    fields["onsets"] = [_short(t) for t in o.onsets]
    return fields | {
        key: None if (v := fields[key]) is None else _short(v) for key in ("start", "end", "amount")
    }


def _time(seconds: float, clip: float) -> float:
    """Never after the clip, though rounded."""
    return _short(min(seconds, math.floor(100 * clip) / 100))


def _short(number: float) -> float:
    """Without digits that nobody hears: 2 and not 2.0."""
    rounded = round(number, 2)
    return int(rounded) if rounded == int(rounded) else rounded
