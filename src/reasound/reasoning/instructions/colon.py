""" "Get rid of this: the hum": what a request is about, said after a colon."""

from __future__ import annotations

import re

from reasound.reasoning.instructions.clauses import OPENS, strongest
from reasound.reasoning.instructions.naming import content

WISH = 2.0
"""Score from which the words before a colon are a request."""
THIS = re.compile(
    r"\b(?:this|that|these|those|the following)(?: sounds?| noises?| ones?| things?)?"
    r"(?=(?: *(?:@[a-z]\d+|out|away|off|in|in the background|alone|too|please))* *$)"
)
BOUNDARY = re.compile(r"[,;!?]|\.(?!\d)|\b(?:and then|then|and|but)\b")
JUST = re.compile(r"\b(?:let (?:me|us) )?(?:hear|play|listen to) (?:just|only) *$")
"""What follows it is described rather than named: it is to be taken out of the mix, not found in it."""


def as_objects(text: str) -> str:
    """The text (normal, with times as placeholders) without the colons between a request and what it is about."""
    made, *rest = re.split(r" *: *", text)
    for tail in rest:
        places = [m.end() for m in BOUNDARY.finditer(made)]
        start = places[-1] if places else 0
        head = made[start:]
        if _waits(head, tail):
            if THIS.search(head):
                head = JUST.sub("keep only ", THIS.sub("", head))
            made = f"{made[:start]}{head} {tail}"
        else:
            made = f"{made} : {tail}"
    return " ".join(made.split())


def _waits(head: str, tail: str) -> bool:
    """The words before the colon ask for something and do not say of what."""
    cue = strongest(head)
    if cue is None or cue.score < WISH or content(re.sub(r"@[a-z]\d+", " ", cue.rest)):
        return False
    if re.search(r"\b(?:\d|it|them)\b", re.sub(r"@[a-z]\d+", " ", head)) or OPENS.match(tail):
        return False
    other = strongest(tail)
    return bool(THIS.search(head)) or other is None or other.score < WISH
