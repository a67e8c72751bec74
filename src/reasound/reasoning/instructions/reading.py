"""An instruction to an EditPlan by rules: plain words, times, requests, cues, targets, amounts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pydantic import ValidationError

from reasound.edit_plan import EditPlan, Operation
from reasound.errors import UserError
from reasound.plan import Plan
from reasound.reasoning.caption import Encoder
from reasound.reasoning.instructions import refusals, sounds
from reasound.reasoning.instructions.building import build
from reasound.reasoning.instructions.clauses import (
    BARE,
    BARE_SOUND,
    Clause,
    clauses,
    is_bare_sound,
    is_order,
    is_unknown_order,
)
from reasound.reasoning.instructions.colon import as_objects
from reasound.reasoning.instructions.contrast import spelled_out
from reasound.reasoning.instructions.joining import join
from reasound.reasoning.instructions.language import is_english
from reasound.reasoning.instructions.naming import content
from reasound.reasoning.instructions.phrases import as_one_word, plan_phrases
from reasound.reasoning.instructions.reasons import heard, reason
from reasound.reasoning.instructions.request import Refused, Request, with_times, without_times
from reasound.reasoning.instructions.targets import PRONOUN, Absent, Context, Sounding, find
from reasound.reasoning.instructions.times import When, take_times
from reasound.reasoning.instructions.verbs import Cue, cues, style_of
from reasound.reasoning.instructions.words import pattern, plain_words, vocabulary
from reasound.reasoning.knowledge import sound_classes

REASONER = "rules"
LEAST = 0.55
"""Score below which a cue is no request."""
PICTURE = pattern("picture")
COLOUR = pattern("colour")
SHORTEN = re.compile(r"\b(?:shorten|shorter|trim|truncate|cut (?:off )?the (?:first|last) \d|crop)\b")
NEW = pattern("new")
COMPLAINT = pattern("complaint")
COMPARED = pattern("compared")
ORDER = pattern("opens")
RESTORED = re.compile(
    r"(?:please )?(?:put|bring|get|give|fetch) (?:it|them|that|this|the sound|everything) back\b"
)
PICTURED = re.compile("\\b(?:the|an?|some|my|this|that) +([\\u2600-\\u27bf\\U0001f300-\\U0001faff])")
THERE = re.compile(r"\b(?:there|that (?:second|part|bit|stretch|section|moment)|in it)\b")
QUESTION = re.compile(r"(?:how|who|when|which|why|where)\b")
SURE = 1.9
"""Score from which a request is clear."""
NO_CHANGE = pattern("no_change")
REMARK = 2.5
"""Score below which a request that begins with no order may be a remark on what is named by "it" after it."""
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
    return understand_sure(instruction, plan, text)[0]


def understand_sure(instruction: str, plan: Plan, text: Encoder | None = None) -> tuple[EditPlan, bool]:
    """As `understand`, and whether the reading is sure: every part is a clear request or a remark on a sound, no word
    that may matter is unknown, and it is not refused as unclear."""
    if not instruction.strip():
        return _refused(instruction, refusals.NOTHING), True
    if not is_english(instruction):
        return _refused(instruction, refusals.FOREIGN), True
    if sign := PICTURED.search(instruction):
        return _refused(instruction, refusals.PICTURED.format(sign[1])), True
    context = Context(plan, text, words=_plan_words(plan))
    context.phrases = plan_phrases(plan, frozenset(context.words))
    words = as_one_word(plain_words(instruction, context.words), context.phrases)
    words, times = take_times(words, plan.seconds)
    words = as_objects(spelled_out(words, context))
    if SHORTEN.search(words):
        return _refused(instruction, refusals.SHORTER), True
    reading = _Reading(context, times)
    for clause in clauses(words):
        reading.take(clause)
    operations, problems = reading.operations, reading.problems
    if not operations and not problems:
        operations = _moved(reading.remarked, times, context)
    if not operations:
        if reading.of_picture:
            return _refused(instruction, refusals.NOT_SOUND), True
        why = problems[0] if problems else _why(words)
        return _refused(instruction, why), why not in (refusals.UNCLEAR, refusals.NOTHING)
    if reading.refused:  # what was asked for together is done together or not at all
        return _refused(instruction, reading.refused), reading.refused in problems
    explained = [o.model_copy(update={"reason": reason(o, plan)}) for o in operations]
    made = EditPlan(instruction=instruction, operations=tuple(explained), reasoner=REASONER)
    try:
        return made.check(plan), not (reading.doubtful or problems or _unknown(words, context))
    except UserError as error:
        return _refused(instruction, f"{str(error)[0].upper()}{str(error)[1:].rstrip('.')}."), True


@dataclass
class _Reading:
    """What the requests that were read so far come to."""

    context: Context
    times: list[When]
    operations: list[Operation] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    refused: str = ""
    """Why nothing is done: what one request asks for cannot be, or is not understood."""
    remarked: list[Clause] = field(default_factory=list)
    of_picture: bool = False
    doubtful: bool = False
    _weak: list[Operation] = field(default_factory=list)
    """Operations of what may only be a remark."""
    _complained: bool = False
    _when: str = ""
    """The mark of the time that was said last."""

    def take(self, clause: Clause) -> None:
        """Reads one more request."""
        if _is_of_picture(clause.text, self.context):
            self.of_picture = True
            if is_order(clause.text):
                self.refused = self.refused or refusals.NOT_SOUND
            return
        if self.of_picture and PRONOUN.search(clause.text) and not self.operations:
            return  # "the shirts are blue, make them red"
        if clause.is_remark:
            meant = _mention(clause, self.context, self.operations)
            self.doubtful |= not meant and not NO_CHANGE.search(clause.text)
            if is_unknown_order(clause.text):
                self._not_understood(clause)
            self.remarked.append(clause)
            self._when = _time_of(clause) or self._when
            return
        if self.operations and self.operations[-1].verb == "inpaint" and RESTORED.match(clause.text):
            return  # "the sound is missing from 2 to 4 s, put it back"
        fills = clause.cue is not None and clause.cue.kind == "inpaint"
        if "@" not in clause.text and (fills or THERE.search(clause.text)):
            clause.text = (
                f"{clause.text} {self._when}".strip()
            )  # "from 2 to 3 it clicks, make new sound there"
        try:
            done = _request(clause, self.times, self.context)
        except Absent as absent:
            why = refusals.not_there(self.context.spelled(str(absent)), heard(self.context.plan))
            self.problems.append(why)
            if is_order(clause.text):
                self.refused = self.refused or why
        except Refused as refused:
            self.problems.append(str(refused))
            self.refused = self.refused or str(refused)
        except ValidationError:
            self.problems.append(refusals.UNCLEAR)
            self._not_understood(clause)
        else:
            if not done and is_order(clause.text) and content(without_times(clause.text)):
                self._not_understood(clause)
            self._done(clause, done)

    def _not_understood(self, clause: Clause) -> None:
        said = self.context.spelled(with_times(clause.text, self.times))
        self.refused = self.refused or refusals.not_understood(said)

    def _done(self, clause: Clause, done: list[Operation]) -> None:
        score = clause.cue.score if clause.cue is not None else 0.0
        if not done:
            _mention(clause, self.context, self.operations)
        self.doubtful |= not done or score < SURE
        self._when = _time_of(clause) or self._when
        if self.context.by_pronoun:
            while self._weak and self.operations and self._weak[-1] == self.operations[-1]:
                self.operations.pop()  # "the flames flare up, pan those left"
                self._weak.pop()
        elif done and score < REMARK and not _is_order(clause):
            self._weak += done
        for operation in done:
            join(self.operations, operation, clause.text, self._complained, self.context)
        self._complained = bool(done) and COMPLAINT.search(clause.text) is not None


def _is_order(clause: Clause) -> bool:
    """It begins with what it asks for: "soften the plates"."""
    if ORDER.match(clause.text) or clause.cue is None:
        return ORDER.match(clause.text) is not None
    opening = re.match(r"(?:less|more)\b|\w+(?= (?:the|this|that|it|them|both|all|my|our)\b)", clause.text)
    return opening is not None and opening[0] in clause.cue.said.split()[:1]


def _unknown(words: str, context: Context) -> bool:
    """There are words that neither the plan nor a table knows."""
    known = context.words | vocabulary()
    return any(not {word, word.removesuffix("s")} & known for word in sounds.names(context.spelled(words)))


def _time_of(clause: Clause) -> str:
    """The mark of a time that a remark says."""
    return " ".join(re.findall(r"@[nm]\d+", clause.text)[:1])


def _is_of_picture(text: str, context: Context) -> bool:
    """It is about what is seen, not about when a sound comes beside the picture."""
    return bool(
        PICTURE.search(pattern("beside_picture").sub(" ", text))
        and not PICTURE.search(" ".join(context.words))
    )


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


def _mention(clause: Clause, context: Context, operations: list[Operation]) -> bool:
    """A remark names what "it" is; "not the dog" takes the dog from the request before. Whether it names anything."""
    try:
        meant = find(COMPARED.sub("", re.sub(r"^not\b", "", clause.text)), context)
    except Absent:
        return False
    if clause.text.startswith("not ") and operations and meant.ids:
        before = operations[-1]
        all_ids = before.targets or tuple(s.id for s in context.all)
        kept = tuple(i for i in all_ids if i not in meant.ids)
        if kept:
            operations[-1] = before.model_copy(update={"targets": kept})
        return True
    if meant.ids and not meant.pronoun:
        context.last = meant.ids
        context.named |= set(meant.ids)
    return bool(meant.ids)


def _may_be_new(cue: Cue | None, text: str) -> bool:
    """ "A gunshot goes off at 4 s" mutes nothing."""
    weak = cue is not None and (cue.score < REMARK + 0.2 or BARE_SOUND.match(text) is not None)
    return weak and is_bare_sound(text)


def _moved(remarked: list[Clause], times: list[When], context: Context) -> list[Operation]:
    """ "First bark at 2 s" and nothing else says where it is to go."""
    if len(remarked) != 1 or not re.fullmatch(r"[a-z -]+ @m\d+", remarked[0].text):
        return []
    clause = Clause(remarked[0].text, Cue("move@", BARE, remarked[0].text, ""))
    try:
        found = find(without_times(clause.text), context)
        return _request(clause, times, context) if found.ids and not found.pronoun else []
    except (Absent, Refused, ValidationError):
        return []


def _is_name(cue: Cue, context: Context) -> bool:
    """Its words name sounds of this plan."""
    said = cue.said.split()
    styled = cue.kind == "style" and any(w in context.words and style_of(w) for w in said)
    return styled or set(said) <= context.words


def _is_noun(cue: Cue, text: str, context: Context) -> bool:
    """ "The duck" asks for no ducking."""
    found = re.search(rf"\b(?:the|a|an|that|this|both|my|our|his|her) {re.escape(cue.said)}\b", text)
    return found is not None and cue.said in context.words


def _is_adjective(cue: Cue, text: str) -> bool:
    """ "I want a metallic clang" asks for no style."""
    style = cue.said.split()[-1:]
    after = (
        re.search(rf"\b(?:an?|some|another) (?:\w+ )?{re.escape(style[0])} ([a-z]+)\b", text)
        if style
        else None
    )
    return cue.kind == "style" and after is not None and bool(sounds.kind(after[1]))


def _request(clause: Clause, times: list[When], context: Context) -> list[Operation]:
    """The operations of one request; none when no cue can be carried out."""
    context.by_pronoun = False
    found = [cue for cue in cues(clause.text) if cue.score >= LEAST]
    if clause.cue is not None and clause.cue not in found:  # a bare sound
        found.append(clause.cue)
    if NEW.search(clause.text) and found and found[0].kind in MODIFIERS:
        found.sort(key=lambda cue: cue.kind != "add")
    found = [cue for cue in found if not _is_adjective(cue, clause.text)]
    # "The old car" and "wet crunching" are names here, not wishes.
    found = [cue for cue in found if not _is_noun(cue, clause.text, context)]
    if QUESTION.match(clause.text):
        found = [cue for cue in found if cue.score >= REMARK]
    found.sort(key=lambda cue: _is_name(cue, context))
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
            request = Request(cue, clause.text, times, context)
            done = build(request)
        except Absent as missing:
            absent = absent or missing
            continue
        if done:
            context.by_pronoun = request.targets.pronoun and PRONOUN.search(clause.text) is not None
            for operation in done:
                if operation.verb != "add":
                    context.last = operation.targets
                    context.named |= set(operation.targets)
            return done
    if absent is not None and _may_be_new(first, clause.text):
        return build(Request(Cue("add", BARE, clause.text, ""), clause.text, times, context)) or []
    if absent is not None:
        raise absent
    return []
