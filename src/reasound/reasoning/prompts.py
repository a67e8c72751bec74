"""What large models are asked: the only place with words for them. Change a word, and change `VERSION`.

The chain of thought is part of the answer and comes first in it, in the four aspects of ThinkSound (arXiv 2506.21448,
section 3): what the model writes of sources, times and places is what it then plans by.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from reasound.edit_plan import AMOUNTS, VERBS
from reasound.perception.features import Features
from reasound.plan import ASPECTS, Plan, Region, Space
from reasound.reasoning.frames import Frame
from reasound.reasoning.knowledge import SPEECH_AND_MUSIC, sound_classes

VERSION = "2"
"""Stands in `Origin.prompt_version`."""

_MOST_ONSETS = 80
"""Moments that the prompt names; the strongest of more."""
_MOST_SHOTS = 40
_MOST_THINGS = 12


@dataclass(frozen=True)
class Prompt:
    """One question: text and pictures in the order in which they are to be read."""

    system: str
    parts: tuple[str | Frame, ...]
    schema: dict[str, Any]
    """JSON Schema of the answer."""


_SYSTEM = (
    "You are a sound designer. You give silent video its sound: you decide what should be heard, when, where and how "
    "loud, and you answer with one JSON object and nothing else: no text before it or after it, no code fence."
)

_RULES = f"""How to answer:
- "reasoning" comes first. Think in four aspects, at least one sentence each: "semantic" (what is there and what of it \
makes a sound), "temporal" (when each sound begins and ends, and why then), "spatial" (left or right, near or far, and \
the space around), "aesthetic" (how loud, what carries the scene, what is left out). "events" of a step lists the ids \
that it speaks of.
- An event is one sounding source. Hits, steps, calls and other moments go into "onsets", in seconds from the \
beginning of the clip, in order; what lasts has no onsets and sounds from "start" to "end". All times lie within \
the clip.
- You see single pictures and no motion between them. The measured moments tell when something visibly strikes or \
turns: take the times of onsets from there where they fit.
- "level" is in dB: 0 for the foreground, -20 for what is faint, at most 12. "pan" is -1 at the left edge of the \
picture to 1 at the right. "distance" is in metres. "region" is the box of a visible source in fractions of width and \
height: [left, top, right, bottom], or null. "confidence" is 0 to 1.
- What lies under the whole clip (wind, traffic, the air of a room) goes into "ambience".
- "sound" is a short English caption of the sound, "sound_class" one of the classes below, or "" if none fits.
- Plan no {" and no ".join(SPEECH_AND_MUSIC)} unless the user asks for it. What cannot be told from the pictures, \
leave out."""

_PLAN_EXAMPLE: dict[str, Any] = {
    "reasoning": [
        {"aspect": "semantic", "text": "A man drives nails into a plank.", "events": ["hammer-1"]},
        {"aspect": "temporal", "text": "The hammer lands at 1.2 and 2.04 s.", "events": ["hammer-1"]},
        {
            "aspect": "spatial",
            "text": "He stands near, a little to the right, in a shed.",
            "events": ["hammer-1"],
        },
        {
            "aspect": "aesthetic",
            "text": "The blows lead; a breeze outside stays soft.",
            "events": ["hammer-1", "wind-1"],
        },
    ],
    "caption": "a hammer strikes nails in a shed",
    "events": [
        {
            "id": "hammer-1",
            "source": "a hammer",
            "sound": "a hammer hits a nail in wood",
            "sound_class": "tool/hammer",
            "start": 1.2,
            "end": 2.5,
            "onsets": [1.2, 2.04],
            "level": 0,
            "pan": 0.3,
            "distance": 2,
            "region": [0.6, 0.4, 0.8, 0.7],
            "on_screen": True,
            "confidence": 0.9,
        }
    ],
    "ambience": [{"id": "wind-1", "sound": "a light breeze", "sound_class": "weather/wind", "level": -26}],
    "acoustics": {"space": "small room", "reverb": 0.15},
    "avoid": ["speech", "music"],
}

_EDIT_EXAMPLE: dict[str, Any] = {
    "operations": [
        {
            "verb": "gain",
            "targets": ["wind-1"],
            "sound": "",
            "sound_class": "",
            "start": None,
            "end": None,
            "onsets": [],
            "amount": -6,
            "side": None,
            "style": "",
            "reason": "The wind is to be softer.",
        }
    ],
    "refusal": "",
}


def plan(features: Features, caption: str, avoid: Sequence[str], frames: Sequence[Frame]) -> Prompt:
    """Stage 1: plan a clip."""
    ask = f"Plan the sound of this clip of {features.seconds:.2f} seconds."
    parts = (*_shown(frames), _join(ask, *_wishes(caption, avoid), evidence(features), _RULES, _classes()))
    return Prompt(_SYSTEM, (*parts, _example(_PLAN_EXAMPLE)), plan_schema())


def plan_object(
    features: Features, region: Region, existing: Plan, caption: str, frames: Sequence[Frame]
) -> Prompt:
    """Stage 2: plan one object of a clip, given its box and the existing plan."""
    ask = (
        f"Plan the sound of ONE object in this clip of {features.seconds:.2f} seconds: the one in the box from "
        f"{region.x0:.2f}, {region.y0:.2f} (left, top) to {region.x1:.2f}, {region.y1:.2f} (right, bottom), in "
        'fractions of the picture. Answer with its event or events only; "ambience" is empty. Its pan is that of the '
        "box in the whole picture. The rest of the clip is planned already; its ids are taken:"
    )
    parts = (
        *_shown(frames),
        _join(ask, _compact(existing), *_wishes(caption, ()), evidence(features), _RULES, _classes()),
        _example(_PLAN_EXAMPLE),
    )
    return Prompt(_SYSTEM, parts, plan_schema())


def edit(instruction: str, existing: Plan, frames: Sequence[Frame]) -> Prompt:
    """Stage 3: an instruction, in any language and word for word, into operations on the existing plan."""
    ranges = ", ".join(f"{verb} {low:g} to {high:g}{unit}" for verb, (low, high, unit) in AMOUNTS.items())
    ask = f"""A clip of {existing.seconds:.2f} seconds has its sound. Turn the instruction of the user, in whatever \
language it is, into operations on the existing plan:
{_compact(existing)}

How to answer:
- "operations", in the order in which they are done, each with a "verb" of: {", ".join(VERBS)}.
- "targets" are ids of the existing plan; an empty list is the whole mix, and "add" has none.
- "sound" says in English what is to be heard (add, replace, inpaint), "sound_class" is one of the classes below or "".
- "start" and "end" are in seconds, or null for the beginning and the end.
- "onsets" are the moments at which an added sound is struck, where the user names them; else an empty list.
- "amount": {ranges}; gain + is louder, move + is later, pan is where to (-1 left, 1 right), distance and speed are \
factors, reverb is how much; null for other verbs.
- "side" is "before" or "after" for extend, else null. "style" names the style ("older", "underwater") or the room of \
a reverb.
- "reason" is one English sentence.
- An instruction that asks for nothing, or for what sound cannot do, gets no operations and one sentence in "refusal", \
in the language of the instruction."""
    parts = (
        *_shown(frames),
        _join(ask, _classes()),
        _example(_EDIT_EXAMPLE),
        f"The instruction, word for word:\n{instruction}",
    )
    return Prompt(_SYSTEM, parts, edit_schema())


def repair(problem: str) -> str:
    """What follows an answer that cannot be used."""
    return f"That answer cannot be used: {problem}. Write the whole JSON object again, corrected, and nothing else."


def evidence(features: Features) -> str:
    """What our own perception measured, in words: things, shots, moments."""
    lines = ["What was measured in the clip:"]
    if features.sightings:
        things = [
            f"{s.name} ({s.probability:.2f}, {s.start:.1f}-{s.end:.1f} s)"
            for s in features.sightings[:_MOST_THINGS]
        ]
        lines.append(f"- seen by an image classifier, which may err: {'; '.join(things)}")
    if features.traces:
        traces = [f"{t.matter} ({t.confidence:.2f}, {t.start:.1f}-{t.end:.1f} s)" for t in features.traces]
        lines.append(f"- told from colour and movement: {'; '.join(traces)}")
    if len(features.shots) > 1:
        starts = [f"{s.start:.2f}" for s in features.shots[:_MOST_SHOTS]]
        more = f" and {len(features.shots) - _MOST_SHOTS} more" if len(features.shots) > _MOST_SHOTS else ""
        lines.append(f"- {len(features.shots)} shots, beginning at {', '.join(starts)}{more} s")
    onsets = sorted(features.motion.onsets, key=lambda o: -o.strength)[:_MOST_ONSETS]
    moments = [f"{o.time:.2f} ({o.strength:.1f}, {o.x:.2f})" for o in sorted(onsets, key=lambda o: o.time)]
    lines.append(
        f"- moments at which motion stops or turns, in seconds (strength, position 0 left to 1 right): "
        f"{', '.join(moments) or 'none'}"
    )
    return "\n".join(lines)


def plan_schema() -> dict[str, Any]:
    """Of the answer to `plan` and `plan_object`. Every field is asked for, which strict servers want."""
    number, text, names = {"type": "number"}, {"type": "string"}, _list({"type": "string"})
    bed = {"id": text, "sound": text, "sound_class": text, "level": number}
    event = {
        "id": text,
        "source": text,
        "sound": text,
        "sound_class": text,
        "start": number,
        "end": number,
        "onsets": _list(number),
        "level": number,
        "pan": number,
        "distance": number,
        "region": {"anyOf": [_list(number), {"type": "null"}]},
        "on_screen": {"type": "boolean"},
        "confidence": number,
    }
    step = {"aspect": {"type": "string", "enum": list(ASPECTS)}, "text": text, "events": names}
    space = {"type": "string", "enum": list(get_args(Space))}
    return _object(
        {
            "reasoning": _list(_object(step)),
            "caption": text,
            "events": _list(_object(event)),
            "ambience": _list(_object(bed)),
            "acoustics": _object({"space": space, "reverb": number}),
            "avoid": names,
        }
    )


def edit_schema() -> dict[str, Any]:
    """Of the answer to `edit`."""
    text, number = {"type": "string"}, {"anyOf": [{"type": "number"}, {"type": "null"}]}
    side = {"anyOf": [{"type": "string", "enum": ["before", "after"]}, {"type": "null"}]}
    operation = {
        "verb": {"type": "string", "enum": list(VERBS)},
        "targets": _list(text),
        "sound": text,
        "sound_class": text,
        "start": number,
        "end": number,
        "onsets": _list({"type": "number"}),
        "amount": number,
        "side": side,
        "style": text,
        "reason": text,
    }
    return _object({"operations": _list(_object(operation)), "refusal": text})


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _shown(frames: Iterable[Frame]) -> tuple[str | Frame, ...]:
    """Each picture after its time."""
    parts: list[str | Frame] = []
    for frame in frames:
        parts += [f"At {frame.time:.2f} s{', ' + frame.says if frame.says else ''}:", frame]
    return tuple(parts)


def _wishes(caption: str, avoid: Sequence[str]) -> tuple[str, ...]:
    told = f"The user says of it, and knows better than you: {caption}" if caption else ""
    return told, f"It must not be heard: {', '.join(avoid)}" if avoid else ""


def _classes() -> str:
    groups: dict[str, list[str]] = {}
    for sound in sound_classes().values():
        groups.setdefault(sound.group, []).append(sound.name.split("/")[1])
    return "Sound classes, as group/class:\n" + "\n".join(
        f"{group}/: {', '.join(names)}" for group, names in groups.items()
    )


def _compact(existing: Plan) -> str:
    """What an existing plan says that matters here, as JSON."""
    fields = ("id", "source", "sound", "sound_class", "start", "end", "onsets", "level", "pan", "distance")
    told = {
        "caption": existing.caption,
        "events": [event.model_dump(mode="json", include=set(fields)) for event in existing.events],
        "ambience": [a.model_dump(mode="json", include=set(fields)) for a in existing.ambience],
        "acoustics": existing.acoustics.model_dump(mode="json"),
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _example(answer: dict[str, Any]) -> str:
    return f"An example of an answer, to another clip:\n{json.dumps(answer, separators=(',', ':'))}"


def _join(*paragraphs: str) -> str:
    return "\n\n".join(p for p in paragraphs if p)
