"""Requests in which something new is to be heard: add, replace, inpaint."""

from __future__ import annotations

import re

from reasound.edit_plan import Operation
from reasound.reasoning.instructions import amounts, sounds
from reasound.reasoning.instructions.clauses import BARE, strongest
from reasound.reasoning.instructions.refusals import NO_SPAN
from reasound.reasoning.instructions.request import Refused, Request, without_times
from reasound.reasoning.instructions.targets import Absent, Meant, find
from reasound.reasoning.instructions.verbs import Cue, style_of
from reasound.reasoning.instructions.words import pattern, table

SURE, IF_KNOWN = (
    tuple(re.compile("".join(form)) for form in table("patterns.json")[name])
    for name in ("replace_sure", "replace_known")
)
"""Forms of "old by new"; the second only count when the new is a known sound: "the dog should be a bit louder"."""


def add(r: Request) -> list[Operation] | None:
    """One operation for each new sound; None when it is no sound, or one that is there already."""
    text, start, end = r.text, r.start, r.end
    if r.moment is not None:
        start = r.moment
    elif r.edge:
        start = 0.0 if r.edge == "opening" else round((1 - amounts.EDGE) * r.seconds, 2)
    if r.length is not None:
        start = start or 0.0
        end = min(start + r.length, r.seconds)
    if re.search(r"\b(?:do not|never)\b|\d db\b", text):
        return None
    words = _after_cue(text, r.cue)
    said = sounds.caption(words)
    if not sounds.names(said):  # "someone laughs at 5 s, put that in"
        said = words = sounds.caption(text[: text.find(r.cue.said.split()[0])]) if r.cue.said else ""
    if not sounds.names(said) or re.search(r"\d seconds (?:of|more)\b|\blead-in\b|\bpre-?roll\b", text):
        return None
    if re.match(r" *(?:to (?!hear|have|add|be)|(?:to hear )?how|what|why|if|people to)\b", words):
        return None
    if re.match(r" *(?:me |us |in )?(?:the|that|this|those|these)\b", words) and _is_there(said, r):
        return None
    if r.cue.score < BARE and (
        re.match(r" *(?:the|that|this|it|its|to be|more|less|no|my)\b", words) or not r.kind(said)
    ):
        return None
    operations = []
    r.targets, r.moment, r.edge = Meant((), True), None, ""
    for one in sounds.several(said, r.context.encoder):
        r.start, r.end = start, None if r.moments else end  # what is struck may ring
        operations.append(r.made("add", sound=one, sound_class=r.kind(one), onsets=r.moments))
    return operations


def _is_there(name: str, r: Request) -> bool:
    """ "Put the dog in the background" adds no dog where there is one."""
    try:
        return bool(find(name, r.context).ids)
    except Absent:
        return False


def _after_cue(text: str, cue: Cue) -> str:
    """What follows the first word of the cue, without its other words; articles stay with the sound."""
    articles = {"a", "an", "some", "another", "more", "the", "of", "sound", "sounds"}
    if weather := re.search(r"\b(?:let|make|have) it (rain|snow|thunder|storm|hail|drizzle|pour)\b", text):
        return "rain" if weather[1] == "pour" else weather[1]
    left = text
    for word in cue.said.split():
        if word in articles or word.isdigit() or word.startswith("@"):
            continue
        at = re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", left)
        if at:
            before = left[: at.start()]
            left = (
                left[at.end() :]
                if not sounds.names(before) or left is text
                else before + " " + left[at.end() :]
            )
    return left


def replace(r: Request) -> list[Operation] | None:
    """A sound gives way to a new one; None when no form fits."""
    text = without_times(r.text)
    forms = [(form, True) for form in SURE] + [(form, False) for form in IF_KNOWN]
    if text.endswith(" instead"):
        text = text.removesuffix(" instead")
        forms.append((pattern("instead"), False))
    absent: Absent | None = None
    for form, sure in forms:
        found = form.search(text)
        new = sounds.caption(found["new"]) if found else ""
        if not found or not _is_sound(new, found["new"], sure, r):
            continue
        old = re.sub(r"\b(?:i want|i would like|you|can|could|please|make|have)\b", " ", found["old"])
        try:
            meant = find(old.strip() or "it", r.context, r.moment)
        except Absent as missing:
            absent = absent or missing
            continue
        if not meant.found or (not sure and not meant.ids):
            continue
        if meant.pronoun and not meant.ids and len(r.context.plan.events) == 1:
            meant = Meant((r.context.plan.events[0].id,), True)
        r.targets = meant
        return [r.made("replace", sound=new, sound_class=r.kind(new))]
    if absent is not None:
        raise absent
    return None


def _is_sound(new: str, words: str, sure: bool, r: Request) -> bool:
    """Whether the words can be a new sound, not a new loudness, place or style of the old."""
    if not sounds.names(new) or style_of(new) == new:
        return False
    if re.search(r"\b(?:percent|db|left|right|louder|quieter|seconds)\b", words):
        return False
    if r.kind(new):
        return True
    other = strongest(words)
    return sure and (other is None or other.kind == "add")


def inpaint(r: Request) -> list[Operation] | None:
    """A stretch is made anew. Refused when no stretch is named."""
    sound = ""
    text = r.text
    if filled := re.search(r"\b(?:with|using|by adding) (.+)$", text):
        sound = sounds.caption(filled[1])
        if not sounds.names(sound) or pattern("no_sound").fullmatch(sound):
            sound = ""
        else:
            text = text[: filled.start()]
    words = without_times(text) if filled else r.names
    words = pattern("beside_gap").sub(" ", words)
    try:
        r.aim(words)
    except Absent:
        r.targets = Meant((), True)
    if r.targets.pronoun and (r.start is not None or r.end is not None or r.moment is not None or r.edge):
        r.targets = Meant((), True)
    if r.moment is not None and r.length is None and r.start is None:
        r.start, r.end = max(0.0, round(r.moment - 0.5, 2)), min(r.seconds, round(r.moment + 0.5, 2))
    elif r.moment is not None and r.length is not None:
        r.start, r.end = r.moment, round(r.moment + r.length, 2)
    r.moment = None
    if r.start is None and r.end is None and not r.edge:
        events = [e for e in r.context.plan.events if e.id in r.targets.ids]
        if not events or r.targets.pronoun:
            if sound and "background" in text:  # "fill the background with traffic"
                r.targets = Meant((), True)
                return [r.made("add", sound=sound, sound_class=r.kind(sound))]
            raise Refused(NO_SPAN)
        r.start, r.end = events[0].start, min(events[-1].end, r.seconds)
    return [r.made("inpaint", sound=sound, sound_class=r.kind(sound) if sound else "")]
