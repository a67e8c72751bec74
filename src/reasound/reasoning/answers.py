"""From what a large model wrote to a checked plan, or one sentence that says why not.

Slips that leave no doubt are mended, each with a note: a number in quotes, onsets out of order, a pan beyond the edge.
What could mean two things is not guessed at; the sentence goes back to the model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args

from reasound.edit_plan import VERBS, EditPlan, Operation
from reasound.errors import UserError
from reasound.plan import ASPECTS, RING, Acoustics, Ambience, Event, Plan, Region, Space, Step
from reasound.reasoning.knowledge import sound_classes

Answered = TypeVar("Answered", Plan, EditPlan)
Fields = dict[str, Any]

_THOUGHT = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_NUMBER = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*(?:s|sec|seconds|db|m|%)?\s*", re.IGNORECASE)
_MOST_LIST = 4000
"""Onsets or entries of one list; an answer with more has run away."""


class Unusable(Exception):
    """Why an answer cannot be used: a clause without a capital and a full stop."""


@dataclass(frozen=True)
class Answer(Generic[Answered]):
    """What was understood, and what was mended in it, a sentence each."""

    value: Answered
    notes: tuple[str, ...]


def read_plan(text: str, seconds: float, avoid: Sequence[str] = ()) -> Answer[Plan]:
    """The plan in an answer, for a clip of `seconds`; what the user wants to `avoid` is always in it."""
    fields = found_json(text, ("events", "ambience"))
    notes: list[str] = []
    events = [_event(e, seconds, notes) for e in _entries(fields, "events", "source", notes)]
    beds = [_ambience(a, notes) for a in _entries(fields, "ambience", "sound", notes)]
    _name(events + beds, notes)
    ids = [e["id"] for e in events + beds]
    unwanted = [a for a in _texts(fields.get("avoid")) if a]
    whole = {
        "seconds": seconds,
        "caption": _text(fields.get("caption")),
        "reasoning": _reasoning(fields.get("reasoning"), ids, notes),
        "events": events,
        "ambience": beds,
        "acoustics": _acoustics(fields.get("acoustics"), notes),
        "avoid": list(dict.fromkeys((*avoid, *unwanted))),
    }
    _unknown(fields, (*whole, "schema", "version"), "the answer", notes)
    return Answer(_checked(lambda: Plan.parse(json.dumps(whole), "the answer")), tuple(notes))


def read_object(text: str, seconds: float, existing: Plan, region: Region) -> Answer[Plan]:
    """The plan of one object, which is in `region`: its ids are new, nothing else is in it."""
    found = read_plan(text, seconds)
    if not found.value.events:
        raise Unusable("it has no event for the object")
    taken = {e.id for e in existing.events} | {a.id for a in existing.ambience}
    notes = list(found.notes)
    names: dict[str, str] = {}
    for event in found.value.events:
        names[event.id] = _fresh(event.id, taken) if event.id in taken else event.id
        taken.add(names[event.id])
    if found.value.ambience:
        notes.append("the ambience that the answer added to the object was left out")
    alone = found.value.only(names)
    return Answer(
        alone.model_copy(
            update={
                "events": tuple(
                    e.model_copy(update={"id": names[e.id], "region": e.region or region})
                    for e in alone.events
                ),
                "reasoning": tuple(
                    s.model_copy(update={"events": tuple(names[i] for i in s.events)})
                    for s in alone.reasoning
                ),
                "acoustics": existing.acoustics,
            }
        ),
        tuple(notes),
    )


def read_edit(text: str, instruction: str, existing: Plan) -> Answer[EditPlan]:
    """The edit in an answer, checked against the existing plan."""
    fields = found_json(text, ("operations", "refusal"))
    notes: list[str] = []
    operations = [_operation(o, notes) for o in _entries(fields, "operations", "verb", notes)]
    refusal = "" if operations else _text(fields.get("refusal"))
    whole = {"instruction": instruction, "operations": operations, "refusal": refusal}
    _unknown(fields, (*whole, "schema", "version"), "the answer", notes)
    return Answer(
        _checked(lambda: EditPlan.parse(json.dumps(whole), "the answer").check(existing)), tuple(notes)
    )


def found_json(text: str, keys: Sequence[str]) -> Fields:
    """The JSON object with one of these keys in an answer, whatever stands around it: thoughts, prose, a code fence.

    Of several the last one that is complete. Unusable says what is there instead.
    """
    text = _THOUGHT.sub("", text)
    text = text.rpartition("</think>")[2]  # of templates that open the thought themselves
    if not text.strip():
        raise Unusable("it is empty")
    decoder = json.JSONDecoder()
    found: Fields | None = None
    broken = ""
    at = text.find("{")
    while at >= 0:
        rest = text[at:]
        for piece in (rest, _without_commas(rest)):
            try:
                value, used = decoder.raw_decode(piece)
            except json.JSONDecodeError as error:
                why = (
                    "it breaks off in the middle"
                    if _ends(piece, error)
                    else f"its JSON is wrong ({error.msg})"
                )
            except RecursionError:
                raise Unusable("its JSON is nested without end") from None
            else:
                if any(key in value for key in keys) and "aspect" not in value:  # a step names events, too
                    found, broken = value, ""
                at += used - 1
                break
        else:
            # A whole answer that is broken makes an earlier one a draft, or our own example.
            if not broken and any(f'"{key}"' in rest for key in keys):
                found, broken = None, why
        at = text.find("{", at + 1)
    if found is not None:
        return found
    raise Unusable(broken or f"it holds no JSON object with {' or '.join(repr(k) for k in keys)}, only text")


def _ends(text: str, error: json.JSONDecodeError) -> bool:
    """Whether the text was fine as far as it goes."""
    return error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")


def _without_commas(text: str) -> str:
    """Without the commas before a closing bracket, outside of strings; blanks take their place."""
    return re.sub(
        r'"(?:[^"\\]|\\.)*"|,(?=\s*[\]}])', lambda m: m[0] if m[0][0] == '"' else " ", text, flags=re.DOTALL
    )


# Fields


def _event(given: Fields, seconds: float, notes: list[str]) -> Fields:
    """An event as `Event` wants it."""
    event = _known(given, Event, notes)
    name = repr(_text(event.get("id")) or _text(event.get("source")) or "without a name")
    event["sound"] = _text(event.get("sound")) or _text(event.get("source"))
    event["source"] = _text(event.get("source")) or event["sound"]
    if not event["sound"]:
        raise Unusable(f"event {name} says neither what sounds nor how")
    _class(event, notes)
    _numbers(event, ("start", "end", "level", "pan", "distance", "confidence"), name)
    _clip(event, "pan", -1, 1, name, notes)
    _clip(event, "level", -60, 12, name, notes)
    _clip(event, "distance", 0.1, 1000, name, notes)
    if isinstance(sure := event.get("confidence"), float) and 1 < sure <= 100:
        event["confidence"] = sure / 100
        notes.append(f"the confidence of {name} was taken as a percentage")
    _clip(event, "confidence", 0, 1, name, notes)
    _onsets(event, name, notes)
    _span(event, seconds, name, notes)
    _region(event, name, notes)
    if not isinstance(event.get("on_screen", True), bool):
        event["on_screen"] = _text(event["on_screen"]).lower() not in ("false", "no", "0", "off")
    return event


def _onsets(event: Fields, name: str, notes: list[str]) -> None:
    """In order of time, each with its strength."""
    given = event.get("onsets") or []
    given = given if isinstance(given, list) else [given]
    times = [_number(t, f"an onset of event {name}") for t in given[:_MOST_LIST]]
    strengths = event.pop("strengths", None) or []
    if len(strengths) == len(times):
        pairs = sorted(
            zip(times, (_number(s, f"a strength of event {name}") for s in strengths), strict=True)
        )
        event["strengths"] = [min(max(s, 0.0), 1.0) for _, s in pairs]
    elif strengths:
        notes.append(f"the strengths of {name} were left out: they are not as many as its onsets")
    if times != sorted(times):
        notes.append(f"the onsets of {name} were put in order")
    event["onsets"] = sorted(times)


def _span(event: Fields, seconds: float, name: str, notes: list[str]) -> None:
    """A start and an end within the clip, around all onsets."""
    onsets: list[float] = event["onsets"]
    if onsets and onsets[-1] > seconds:
        raise Unusable(
            f"event {name} has an onset at {onsets[-1]:g} s, but the clip is only {seconds:g} s long"
        )
    start = event.get("start")
    end = event.get("end")
    if start is None:
        start = onsets[0] if onsets else 0.0
    if end is None:
        end = min(onsets[-1] + RING, seconds) if onsets else seconds
    if end > seconds > start:
        if end > seconds + 0.05:  # less is a rounded length
            notes.append(f"the end of {name} was {end:g} s; it is now the end of the clip")
        end = seconds
    if onsets and not start <= onsets[0] <= onsets[-1] < end:
        notes.append(f"the span of {name} was widened to its onsets")
        start, end = min(start, onsets[0]), max(end, min(onsets[-1] + RING, seconds))
    event["start"], event["end"] = start, end


def _region(event: Fields, name: str, notes: list[str]) -> None:
    """Four numbers or an object with them; what is no box in fractions is left out."""
    given = event.pop("region", None)
    if given is None or given == []:
        return
    corners = [given.get(k) for k in ("x0", "y0", "x1", "y1")] if isinstance(given, dict) else given
    try:
        x0, y0, x1, y1 = (_number(c, "") for c in corners)
    except (Unusable, ValueError, TypeError):
        x0 = y0 = x1 = y1 = 0.0
    if 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1:
        event["region"] = {"x0": x0, "y0": y0, "x1": x1, "y1": y1}
    else:
        notes.append(f"the region of {name} was left out: it is no box in fractions of the picture")


def _ambience(given: Fields, notes: list[str]) -> Fields:
    bed = _known(given, Ambience, notes)
    bed["sound"] = _text(bed.get("sound")) or _text(given.get("source"))
    name = repr(_text(bed.get("id")) or bed["sound"])
    if not bed["sound"]:
        raise Unusable("an ambience does not say how it sounds")
    _class(bed, notes)
    _numbers(bed, ("level", "confidence"), name)
    _clip(bed, "level", -60, 12, name, notes)
    _clip(bed, "confidence", 0, 1, name, notes)
    return bed


def _acoustics(given: object, notes: list[str]) -> Fields:
    if given is None:
        return {}
    if isinstance(given, str):
        given = {"space": given}
    if not isinstance(given, dict):
        raise Unusable("its acoustics are not an object")
    found = _known(given, Acoustics, notes)
    if "space" in found:
        space = _text(found["space"]).lower().replace("_", " ")
        spaces = get_args(Space)
        found["space"] = next((s for s in spaces if space in (s, s.removesuffix("s"))), space)
    _numbers(found, ("reverb",), "the acoustics")
    _clip(found, "reverb", 0, 1, "the acoustics", notes)
    return found


def _reasoning(given: object, ids: Sequence[str], notes: list[str]) -> list[Fields]:
    """Steps, from a list of them, an object with an entry for each aspect, or a paragraph."""
    if isinstance(given, dict):
        given = [{"aspect": aspect, "text": text} for aspect, text in given.items()]
    if isinstance(given, str):
        given = [{"aspect": "semantic", "text": given}] if given.strip() else []
    steps = []
    for entry in given if isinstance(given, list) else []:
        step = _known(entry, Step, notes) if isinstance(entry, dict) else {"text": entry}
        aspect, text = _text(step.get("aspect")).lower(), " ".join(_texts(step.get("text")))
        if not text:
            continue
        named = _texts(step.get("events"))
        if lost := [i for i in named if i not in ids]:
            notes.append(f"the reasoning names {lost[0]!r}, which is not in the plan")
        steps.append(
            {
                "aspect": aspect if aspect in ASPECTS else "semantic",
                "text": text,
                "events": [i for i in named if i in ids],
            }
        )
    return steps


def _operation(given: Fields, notes: list[str]) -> Fields:
    operation = _known(given, Operation, notes)
    verb = _text(operation.get("verb")).lower()
    if verb not in VERBS:
        raise Unusable(f"it has the verb {verb!r}; the verbs are {', '.join(VERBS)}")
    operation["verb"] = verb
    operation["targets"] = _texts(operation.get("targets"))
    _numbers(operation, ("start", "end", "amount"), f"the operation {verb!r}")
    if isinstance(start := operation.get("start"), float) and start < 0:
        operation["start"] = None
        notes.append(f"the start of {verb!r} was {start:g} s; it is now the beginning")
    given_onsets = operation.get("onsets") or []
    times = given_onsets if isinstance(given_onsets, list) else [given_onsets]
    if times and verb != "add":
        notes.append(f"the onsets of {verb!r} were left out: only 'add' has them")
        times = []
    operation["onsets"] = sorted({_number(t, f"an onset of {verb!r}") for t in times[:_MOST_LIST]})
    for key in ("sound", "sound_class", "style", "reason"):
        operation[key] = _text(operation.get(key))
    _class(operation, notes)
    operation["side"] = _text(operation.get("side")).lower() or None
    return operation


# Slips


def _entries(fields: Fields, key: str, text: str, notes: list[str]) -> list[Fields]:
    """The objects of a list; a bare text is one with just that field."""
    given = fields.get(key) or []
    if not isinstance(given, list):
        given = [given]
    if len(given) > _MOST_LIST:
        raise Unusable(f"its {key} are {len(given)}")
    entries = [{text: entry} if isinstance(entry, str) else entry for entry in given]
    if not all(isinstance(entry, dict) for entry in entries):
        raise Unusable(f"its {key} are not a list of objects")
    return [dict(entry) for entry in entries]


def _name(entries: Iterable[Fields], notes: list[str]) -> None:
    """Every entry gets an id of its own, made of letters, digits, _ and -."""
    taken: set[str] = set()
    for entry in entries:
        given = _text(entry.get("id"))
        name = re.sub(r"[^\w\-]+", "-", given).strip("-")
        if not name:
            words = re.findall(r"\w+", entry.get("source") or entry["sound"])
            name = f"{next((w for w in words if w.lower() not in ('a', 'an', 'the')), 'sound').lower()}-1"
        if name in taken:
            name = _fresh(name, taken)
        if name != given:
            notes.append(f"the id {given!r} became {name!r}" if given else f"{name!r} had no id")
        taken.add(name)
        entry["id"] = name


def _fresh(name: str, taken: Iterable[str]) -> str:
    stem = re.sub(r"-\d+$", "", name)
    used = set(taken)
    return next(f"{stem}-{n}" for n in range(1, len(used) + 2) if f"{stem}-{n}" not in used)


def _known(
    given: Fields, kind: type[Event | Ambience | Acoustics | Step | Operation], notes: list[str]
) -> Fields:
    """Without the fields that there are not, and without those that say nothing."""
    _unknown(given, tuple(kind.model_fields), f"an entry ({kind.__name__.lower()})", notes)
    return {k: v for k, v in given.items() if k in kind.model_fields and v is not None}


def _unknown(given: Fields, known: Sequence[str], where: str, notes: list[str]) -> None:
    if lost := [key for key in given if key not in known]:
        notes.append(f"{where} has {lost[0]!r}, which was left out: there is no such field")


def _class(entry: Fields, notes: list[str]) -> None:
    """The class itself, or the one class of that name in any group."""
    given = _text(entry.get("sound_class")).lower().strip("/")
    entry["sound_class"] = given
    if not given or given in sound_classes():
        return
    alike = [n for n in sound_classes() if n.split("/")[1] == given.split("/")[-1].replace(" ", "_")]
    entry["sound_class"] = alike[0] if len(alike) == 1 else ""
    notes.append(
        f"there is no class {given!r}; {repr(alike[0]) + ' was meant' if len(alike) == 1 else 'left out'}"
    )


def _numbers(entry: Fields, keys: Iterable[str], name: str) -> None:
    for key in keys:
        if key in entry:
            entry[key] = _number(entry[key], f"the {key} of {name}")


def _number(given: object, what: str) -> float:
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return float(given)
    if isinstance(given, str) and (found := _NUMBER.fullmatch(given)):
        return float(found[1])
    raise Unusable(f"{what} is {json.dumps(given, ensure_ascii=False)[:40]}, but must be a number")


def _clip(entry: Fields, key: str, low: float, high: float, name: str, notes: list[str]) -> None:
    given = entry.get(key)
    if isinstance(given, float) and not low <= given <= high:
        entry[key] = min(max(given, low), high)
        notes.append(f"the {key} of {name} was {given:g}; it is now {entry[key]:g}")


def _text(given: object) -> str:
    return given.strip() if isinstance(given, str) else "" if given is None else str(given)


def _texts(given: object) -> list[str]:
    if given is None or given == "":
        return []
    return [_text(g) for g in given[:_MOST_LIST]] if isinstance(given, list) else [_text(given)]


def _checked(parse: Callable[[], Answered]) -> Answered:
    try:
        return parse()
    except UserError as error:
        raise Unusable(str(error).removeprefix("the answer ")) from error
