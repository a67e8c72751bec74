"""One instruction to its requests: where one ends, what belongs together, what asks for nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from reasound.reasoning.instructions import sounds
from reasound.reasoning.instructions.language import function_words
from reasound.reasoning.instructions.targets import FILLER
from reasound.reasoning.instructions.verbs import Cue, cues
from reasound.reasoning.instructions.words import pattern

LEADING = re.compile(r"^(?:(?:please|then|also|now|just|and|so|but|you|to|can|could|would|kindly) )+")
WE = re.compile(r"(?:i|we)\b")
TAKE = re.compile(
    r"take (?:the|that|this|those|both) [a-z -]+(?<! out)(?<! away)(?<! off)(?<! down)(?<! back)"
)
HANDLED = re.compile(r"^[a-z]+ (?:it|them)\b")
UNKNOWN_ORDER = re.compile(
    r"([a-z]+) (?:the|that|this|those|these|it|them|all|both|every|my|our|his|her)\b(?! (?:is|are|was|were)\b)"
)
BETWEEN = pattern("between")
GREETING = pattern("greeting")
PARTING = pattern("parting")
NICE = pattern("nice")
SHOULD = pattern("should")
OPENS = pattern("opens")
"""Words with which a request begins: what follows them belongs to the next part, not to the one before."""
EXCEPT = pattern("all_but")
NO_CHANGE = pattern("no_change")
WHOLE_CUE, WEAK = 1.5, 1.2
MERGE = 0.3
"""A cue of two parts together must be so much stronger than those of the parts for them to be one request."""


@dataclass
class Clause:
    """A request, or a remark."""

    text: str
    cue: Cue | None
    is_remark: bool = False
    """It only says what is to stay, or names something."""


def clauses(text: str) -> list[Clause]:
    """The requests of an instruction (normal, with times as placeholders), in order."""
    text = PURPOSE.sub(" ", text)
    text = re.sub(r"\bnothing (?:else )?(?:but|except|other than)\b", "only", text)
    text = re.sub(r"\b(?:keep )?nothing audible (?:but|except)\b", "hear only", text)
    text = EXCEPT.sub(r"\1\2 except", text)
    parts: list[
        tuple[str, bool, str]
    ] = []  # (words, does a sentence begin here, what joins it to the one before)
    place, begins, joint = 0, True, ""
    for match in BETWEEN.finditer(text):
        if words := _plain(text[place : match.start()]):
            parts.append((words, begins, joint))
            begins, joint = False, match[0].strip() or ","
        begins = begins or bool(match["full"] or match["then"])
        place = match.end()
    if words := _plain(text[place:]):
        parts.append((words, begins, joint))
    return list(_joined(parts))


def _plain(text: str) -> str:
    text = PARTING.sub("", GREETING.sub("", " ".join(text.split()).strip(" ,")))
    text = SHOULD.sub(r"add \1 \2", text)
    return NICE.sub(r"add \1", text).strip()


def is_order(words: str) -> bool:
    """They begin with a verb that asks for something, or a wish for what is there."""
    words = LEADING.sub("", words)
    if re.match(r"(?:i|we) (?:want|need|would like) (?:the|that|this|those|my|our|all)\b", words):
        return True
    cue = strongest(words)
    begins = (
        cue is not None
        and cue.score >= WEAK
        and cue.kind != "style"
        and words.split()[:1] == cue.said.split()[:1]
        and not WE.match(words)
    )
    return begins or is_unknown_order(words) or (OPENS.match(words) is not None and not WE.match(words))


def is_unknown_order(words: str) -> bool:
    """ "Florp the horse": a verb that no table knows, done to something."""
    found = UNKNOWN_ORDER.match(LEADING.sub("", words))
    if found is None or strongest(words) is not None:
        return False
    verb = found[1]
    is_word = verb in FILLER or verb in function_words()["english"] or verb.endswith(("ing", "ed", "ly"))
    return not is_word and not sounds.kind(verb)


def strongest(text: str) -> Cue | None:
    """The cue that decides, or None."""
    for cue in cues(text):
        if cue.kind == "replace" and not REPLACE_BY.search(text):
            continue
        if (
            cue.kind == "add"
            and cue.score < BARE
            and re.search(rf"\b{cue.said.split()[-1]} (?:{KNOWN})\b", text)
        ):
            continue
        return cue
    return None


KNOWN = "the|that|this|it|its|to be|to hear the|you|more|less|no|only|just|all|both|everything"
"""Words after which a sound is one that is there already."""
BARE = 2.3
"""Score below which a sound is only added when it has a class and no "the": "I would like to hear church bells"."""
BARE_SOUND = pattern("bare_sound")
PICTURE = pattern("picture")
NEGATED = pattern("negated")
COMPARED = pattern("compared")
PURPOSE = pattern("purpose")
WEAK_TOO = 2.0
TOO = re.compile(r"\b(?:too|as well|also|either)$")
TOPIC_SCORE = 1.5
"""Least score of a cue before a colon: "dog on the left: louder" asks for one thing."""
REPLACE_BY = pattern("replace_by")


def is_bare_sound(words: str) -> bool:
    """ "A doorbell", "thunder at the end": a sound with an article or a time and no word of a change."""
    if re.search(
        r"\b(?:the|that|this|those|these|it|them|both|db)\b", words.replace("in the background", "")
    ):
        return False
    if re.search(
        r"\bor (?:so|something)\b|^(?:first|second|third|fourth|last|final) |^(?:there|it|he|she|they|we|i|you) ",
        words,
    ):
        return False
    words = words.replace("in the background", "@s0")
    timed = re.search(r"@[mnse]", words) and "@l" not in words
    return bool((BARE_SOUND.match(words) or timed) and sounds.kind(re.sub(r"@[a-z]\d+", " ", words)))


def _joined(parts: list[tuple[str, bool, str]]) -> Iterator[Clause]:
    """Parts without a cue belong to a neighbour: "make the dog / and the cat louder", "mute the dog / and the cat"."""
    waiting = ""
    made: list[Clause] = []
    for number, (words, begins, joint) in enumerate(parts):
        if NO_CHANGE.search(words) or COMPARED.search(words):
            made.append(Clause(words, None, True))
            continue
        if begins and waiting:
            made.append(Clause(waiting, None, True))
            waiting = ""
        after = parts[number + 1][0] if number + 1 < len(parts) else ""
        if TAKE.fullmatch(words) and HANDLED.search(after):  # "take the crow, send it back"
            made.append(Clause(words.split(" ", 1)[1], None, True))
            continue
        negated = NEGATED.match(words)
        if negated and made and not begins:
            made.append(Clause(words, None, True))
            continue
        text = f"{waiting} {',' if joint in ',:' else 'and'} {words}" if waiting else words
        cue = strongest(text)
        is_topic = number + 1 < len(parts) and parts[number + 1][2] == ":"
        if is_topic and cue is not None and cue.score < TOPIC_SCORE:
            cue = None
        if (
            joint != ""
            and cue is not None
            and cue.score < WEAK_TOO
            and cue.kind != "pan"
            and TOO.search(words)
        ):
            cue = None  # "remove both lasers and the alien too"
        if waiting and joint == ":" and OPENS.match(words):
            made.append(Clause(waiting, None, True))
            waiting, text, cue = "", words, strongest(words)
        before = made[-1] if made and not made[-1].is_remark and not begins else None
        is_whole = cue is not None and cue.score >= WHOLE_CUE
        separate = HANDLED.match(words) or (OPENS.match(words) and is_whole)
        if cue is not None and before is not None and not waiting and before.cue is not None and not separate:
            together = strongest(f"{before.text} and {words}")
            if together and together.score > max(before.cue.score, cue.score) + MERGE:
                before.text, before.cue = f"{before.text} and {words}", together
                continue
        if cue is None and not is_topic and is_bare_sound(words):
            if waiting:
                made.append(Clause(waiting, None, True))
                waiting, text = "", words
            cue = Cue("add", BARE, text, "")  # "maybe a doorbell at 2 seconds?"
        if cue is not None:
            made.append(Clause(text, cue))
            waiting = ""
            continue
        names_something = any(w not in FILLER for w in re.findall(r"[a-z-]+", words)) or "@" in words
        names_something = names_something or bool(
            re.search(
                r"\b(?:it|them|one|ones|both|db|percent|seconds|meters|times|half|twice|double|triple|left|right)\b",
                words,
            )
        )
        last = number + 1 == len(parts) or parts[number + 1][1]
        opens = OPENS.match(words) and not last
        if is_unknown_order(words) and not waiting:
            made.append(Clause(words, None, True))
        elif before is not None and not waiting and not opens and (names_something or last):
            if names_something and not PICTURE.search(words):
                before.text = f"{before.text} {',' if joint in ',:' else 'and'} {words}"
                before.cue = strongest(before.text) or before.cue
        elif last and not names_something:
            continue
        else:
            waiting = text
    if waiting:
        made.append(Clause(waiting, None, True))
    yield from made
