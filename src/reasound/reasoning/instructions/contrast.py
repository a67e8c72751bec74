""" "It is not an axe, it is a saw", "violin, not flute": an instruction to replace that never says so."""

from __future__ import annotations

import re

from reasound.reasoning.instructions import sounds
from reasound.reasoning.instructions.targets import Absent, Context, find
from reasound.reasoning.instructions.verbs import cues
from reasound.reasoning.instructions.words import table

FORMS = tuple(re.compile("".join(form)) for form in table("patterns.json")["contrast"])


def spelled_out(text: str, context: Context) -> str:
    """The text with its contrasts as "replace old with new", where the old is there and the new is a sound."""
    for form in FORMS:
        found = form.search(text)
        if found is None:
            continue
        groups = found.groupdict()
        old, new = groups["old"].strip(), sounds.caption(groups["new"])
        if groups.get("of"):  # "wood, not tiles, for the footsteps"
            old, new = groups["of"].strip(), f"{new} {groups['of'].strip()}"
        if not sounds.names(new) or not sounds.kind(new) or any(c.score >= 2.5 for c in cues(groups["new"])):
            continue
        try:
            meant = find(old, context)
        except Absent:
            continue
        if meant.ids and not meant.pronoun:
            return f"{text[: found.start()]} replace {old} with {new} {text[found.end() :]}"
    return text
