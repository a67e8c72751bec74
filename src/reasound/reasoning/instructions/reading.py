"""An instruction to an EditPlan by rules: plain words, times, requests, cues, targets, amounts."""

from __future__ import annotations

import re

from pydantic import ValidationError

from reasound.edit_plan import EditPlan, Operation
from reasound.errors import UserError
from reasound.plan import Plan
from reasound.reasoning.caption import Encoder
from reasound.reasoning.instructions import refusals, sounds
from reasound.reasoning.instructions.building import build
from reasound.reasoning.instructions.clauses import Clause, clauses
from reasound.reasoning.instructions.language import is_english
from reasound.reasoning.instructions.reasons import reason
from reasound.reasoning.instructions.request import Refused, Request
from reasound.reasoning.instructions.targets import Absent, Context, Sounding, find
from reasound.reasoning.instructions.times import When, take_times
from reasound.reasoning.instructions.verbs import cues
from reasound.reasoning.instructions.words import normal, pattern
from reasound.reasoning.knowledge import sound_classes

REASONER = "rules"
LEAST = 0.55
"""Score below which a cue is no request."""
PICTURE = pattern("picture")
COLOUR = pattern("colour")
SHORTEN = re.compile(r"\b(?:shorten|shorter|trim|truncate|cut (?:off )?the (?:first|last) \d|crop)\b")
NEW = pattern("new")
MODIFIERS = (
    "pan",
    "distance+",
    "distance-",
    "move@",
    "gain+",
    "gain-",
    "speed+",
    "speed-",
    "speed",
    "move+",
    "move-",
)


def understand(instruction: str, plan: Plan, text: Encoder | None = None) -> EditPlan:
    """What the instruction changes in the plan, or a refusal in one sentence.

    Args:
        instruction: plain English; several requests may stand in one sentence.
        plan: of the clip as it is.
        text: a sentence encoder for words that no table knows (`MiniLM.load()`).

    Returns:
        A plan of edits that passes its own `check(plan)`.
    """
    if not instruction.strip():
        return _refused(instruction, refusals.NOTHING)
    if not is_english(instruction):
        return _refused(instruction, refusals.FOREIGN)
    context = Context(plan, text, words=_plan_words(plan))
    words, times = take_times(normal(instruction, context.words), plan.seconds)
    if PICTURE.search(words) and not PICTURE.search(" ".join(context.words)):
        return _refused(instruction, refusals.NOT_SOUND)
    if SHORTEN.search(words):
        return _refused(instruction, refusals.SHORTER)
    operations: list[Operation] = []
    problems: list[str] = []
    complaint = False
    for clause in clauses(words):
        if clause.is_remark:
            _mention(clause, context, operations)
            continue
        try:
            done = _request(clause, times, context)
        except Absent as absent:
            problems.append(refusals.not_there(str(absent)))
            continue
        except Refused as refused:
            problems.append(str(refused))
            continue
        except ValidationError:
            problems.append(refusals.UNCLEAR)
            continue
        for operation in done:
            if complaint and operations and _answers(operations[-1], operation):
                operations.pop()
            if operations and _says_again(operations[-1], operation, context):
                continue
            if operation not in operations:
                operations.append(operation)
        complaint = (
            bool(done)
            and re.search(r"\btoo \w+|\bhate\b|\b(?:drown|overpower|can not|barely|hardly)", clause.text)
            is not None
        )
    if not operations:
        return _refused(instruction, problems[0] if problems else _why(words))
    explained = [o.model_copy(update={"reason": reason(o, plan)}) for o in operations]
    if problems and problems[0].startswith("There is no"):  # what could not be done is said beside what is
        also = f"{explained[-1].reason[:-1]}; {problems[0][0].lower()}{problems[0][1:]}"
        explained[-1] = explained[-1].model_copy(update={"reason": also})
    made = EditPlan(instruction=instruction, operations=tuple(explained), reasoner=REASONER)
    try:
        return made.check(plan)
    except UserError as error:
        return _refused(instruction, f"{str(error)[0].upper()}{str(error)[1:].rstrip('.')}.")


def _answers(complaint: Operation, command: Operation) -> bool:
    """ "The dog is too loud, lower it by 3 dB" is one change."""
    same = complaint.verb == "gain" and complaint.targets == command.targets
    return same and command.verb in ("gain", "mute", "remove")


def _says_again(before: Operation, after: Operation, context: Context) -> bool:
    """ "Keep only the car, drop the rest" is one change."""
    alone = before.verb in ("extract", "solo") and after.verb in ("remove", "mute")
    return alone and set(after.targets) == set(context.others(before.targets))


def _refused(instruction: str, why: str) -> EditPlan:
    return EditPlan(instruction=instruction, refusal=why, reasoner=REASONER)


def _plan_words(plan: Plan) -> set[str]:
    texts = [a.sound for a in plan.ambience] + [f"{e.sound} {e.source} {e.material}" for e in plan.events]
    soundings: tuple[Sounding, ...] = (*plan.events, *plan.ambience)
    for sounding in soundings:
        if known := sound_classes().get(sounding.sound_class):
            texts += [known.heard, *known.words]
    return set(re.findall(r"[a-z]+", " ".join(texts).lower()))


def _why(words: str) -> str:
    """Why nothing could be read."""
    if COLOUR.search(words):
        return refusals.NOT_SOUND
    if re.search(r"\b(?:make|fix|improve|change|clean|adjust|tweak)\b", words):
        return refusals.UNCLEAR
    if re.search(r"\b(?:what|when|where|who|why|how)\b", words) or len(sounds.names(words)) == 0:
        return refusals.NOTHING
    return refusals.UNCLEAR


def _mention(clause: Clause, context: Context, operations: list[Operation]) -> None:
    """A remark names what "it" is; "not the dog" takes the dog from the request before."""
    try:
        meant = find(re.sub(r"^not\b", "", clause.text), context)
    except Absent:
        return
    if clause.text.startswith("not ") and operations and meant.ids:
        before = operations[-1]
        all_ids = before.targets or tuple(s.id for s in context.all)
        kept = tuple(i for i in all_ids if i not in meant.ids)
        if kept:
            operations[-1] = before.model_copy(update={"targets": kept})
        return
    if meant.ids and not meant.pronoun:
        context.last = meant.ids
        context.named |= set(meant.ids)


def _request(clause: Clause, times: list[When], context: Context) -> list[Operation]:
    """The operations of one request; none when no cue can be carried out."""
    found = [cue for cue in cues(clause.text) if cue.score >= LEAST]
    if clause.cue is not None and clause.cue not in found:  # a bare sound
        found.append(clause.cue)
    if NEW.search(clause.text) and found and found[0].kind in MODIFIERS:
        found.sort(key=lambda cue: cue.kind != "add")
    # "The old car" and "wet crunching" are names here, not wishes.
    found.sort(key=lambda cue: set(cue.said.split()) <= context.words)
    first = found[0] if found else None
    tried = set()
    absent: Absent | None = None
    for cue in found:
        if (cue.kind, cue.said) in tried:
            continue
        tried.add((cue.kind, cue.said))
        if absent is not None and (
            cue.kind != "add" or cue.said.startswith("make") or (first and first.kind not in MODIFIERS)
        ):
            continue  # what is not there may only be wished for
        try:
            done = build(Request(cue, clause.text, times, context))
        except Absent as missing:
            absent = absent or missing
            continue
        if done:
            for operation in done:
                if operation.verb != "add":
                    context.last = operation.targets
                    context.named |= set(operation.targets)
            return done
    if absent is not None:
        raise absent
    return []
