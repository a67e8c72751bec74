"""Requests that are one wish: said twice, a complaint and its cure, a list given bit by bit."""

from __future__ import annotations

import re

from reasound.edit_plan import Operation
from reasound.reasoning.instructions.targets import Context

REPEATED = (
    "gain",
    "pan",
    "distance",
    "move",
    "reverb",
    "style",
    "speed",
    "mute",
    "remove",
    "solo",
    "extract",
)
"""Verbs of which two in a row on the same sounds are one wish, the second more exact than the first."""
LISTED = ("remove", "mute", "solo")
"""Verbs of which two in a row are one operation on more sounds."""
CURES = ("gain", "mute", "remove", "style", "replace")
IN_PLACE = re.compile(r"\b(?:in (?:its|their|that|his|her) (?:place|stead)|instead)\b")
NONE_OF = re.compile(r"(?:no|not|without|nobody)\b")
EXACT = re.compile(
    r"\d|\b(?:half|halve|twice|double|triple|quarter|third|all the way|hard|completely|fully)\b"
)


def join(done: list[Operation], new: Operation, words: str, complained: bool, context: Context) -> None:
    """Appends an operation, or makes one of it and the last.

    Args:
        done: what was asked for before; changed.
        words: the request that `new` was read from.
        complained: the request before only said what is wrong.
    """
    before = done[-1] if done else None
    if before is None:
        done.append(new)
        return
    if before.verb in ("extract", "solo") and new.verb in ("remove", "mute"):
        others = set(context.others(before.targets))
        if set(new.targets) == others or (NONE_OF.match(words) and set(new.targets) <= others):
            return  # "keep only the car, drop the rest"
    if before.verb in ("remove", "mute") and new.verb == "replace" and before.targets == new.targets:
        done[-1] = new
        return
    if before.verb == "remove" and new.verb == "add" and IN_PLACE.search(words):
        found = new.model_copy(update={"verb": "replace", "targets": before.targets})
        done[-1] = found.model_copy(update={"start": before.start, "end": before.end})
        return
    if before.verb == new.verb == "add" and before.sound_class == new.sound_class and _in(new, before):
        return  # "some crows, just a few caws"
    if before.verb == new.verb == "extend" and before.side == new.side:
        done[-1] = new if EXACT.search(words) else before
        return
    if before.verb == new.verb == "inpaint" and _in(new, before):
        done[-1] = before.model_copy(update={"targets": before.targets or new.targets})
        return
    same_sounds = before.targets == new.targets
    if complained and same_sounds and before.verb == "gain" and new.verb in CURES:
        done[-1] = new
        return
    if new.verb == before.verb and new.verb in REPEATED:
        same_way = (before.amount or 0.0) * (new.amount or 0.0) >= 0 or new.verb == "pan"
        spans = {(o.start, o.end) for o in (before, new)} - {(None, None)}
        if same_sounds and same_way and len(spans) <= 1:
            keep, other = (new, before) if EXACT.search(re.sub(r"@\w\d+", "", words)) else (before, new)
            start, end = next(iter(spans), (None, None))
            style = " ".join(dict.fromkeys(s for s in (before.style, new.style) if s))
            done[-1] = keep.model_copy(update={"start": start, "end": end, "style": style})
            return
        if new.verb in LISTED and not spans and before.targets and new.targets:
            ids = {*before.targets, *new.targets}
            done[-1] = new.model_copy(update={"targets": tuple(s.id for s in context.all if s.id in ids)})
            return
    if new not in done:
        done.append(new)


def _in(new: Operation, before: Operation) -> bool:
    """It says no other time."""
    return (new.start, new.end) in ((None, None), (before.start, before.end))
