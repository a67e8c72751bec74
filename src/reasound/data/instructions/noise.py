"""How people type: politely or not, in lower case, without a full stop, with a slip of the finger."""

from __future__ import annotations

import re

from reasound.data.instructions.chance import Chance
from reasound.data.instructions.tables_of import words

KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
POLITE, CHATTY, LOWER, SLIPS = 0.3, 0.12, 0.5, 0.2
"""Shares of the instructions with such words before or after, all in lower case, and with one or two slips."""
IMPERATIVE = frozenset(words()["verbs"])
"""First words of requests that may stand after "can you"."""


def manner(text: str, chance: Chance) -> str:
    """With polite or chatty words around a request."""
    how = chance.rng.random()
    imperative = text.split()[0] in IMPERATIVE
    if how < POLITE:
        if chance.happens(0.6):
            return (chance.of(words()["before"]) if imperative else chance.of(words()["before_any"])) + text
        return text + chance.of(words()["after"])
    if how < POLITE + CHATTY:
        before = words()["before"] if imperative else words()["before_any"]
        return chance.of(before) + text + chance.of(words()["after"])
    return text


def typed(text: str, chance: Chance) -> str:
    """As it leaves the fingers."""
    text += chance.of(words()["end"]) if not text.endswith((".", "!", "?")) else ""
    if chance.happens(SLIPS):
        text = slip(text, chance)
        if chance.happens(0.25):
            text = slip(text, chance)
    if chance.happens(LOWER):
        return text.lower()
    if chance.happens(0.04):
        return text.upper()
    if chance.happens(0.1):
        return re.sub(r"[,.!?;](?!\d)", "", text)
    return text[:1].upper() + text[1:]


def slip(text: str, chance: Chance) -> str:
    """One word of four letters or more with a letter dropped, doubled, swapped with the next or hit beside its key."""
    places = [m.span() for m in re.finditer(r"[a-z]{4,}", text)]
    if not places:
        return text
    start, end = chance.of(places)
    at = start + 1 + int(chance.rng.random() * (end - start - 2))
    how = chance.of(("drop", "swap", "swap", "near", "double"))
    if how == "drop":
        return text[:at] + text[at + 1 :]
    if how == "swap":
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if how == "double":
        return text[:at] + text[at] + text[at:]
    row = next(r for r in KEYS if text[at] in r)
    key = row.index(text[at]) + (1 if chance.happens(0.5) else -1)
    return text[:at] + row[max(0, min(key, len(row) - 1))] + text[at + 1 :]
