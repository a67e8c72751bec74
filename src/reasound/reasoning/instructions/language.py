"""Is it English? Scripts and function words tell; a model of languages would be much for one question."""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache
from importlib import resources

FOREIGN_SHARE = 0.3
"""Share of letters outside the Latin script from which a text is not English."""


def is_english(text: str) -> bool:
    """Whether a text reads as English; what has no words at all passes."""
    letters = [c for c in text if c.isalpha()]
    if not letters:
        return True
    foreign = sum(not unicodedata.name(c, "").startswith("LATIN") for c in letters)
    if foreign > FOREIGN_SHARE * len(letters):
        return False
    words = re.findall(r"[^\W\d_]+", text.lower())
    english = sum(word in function_words()["english"] for word in words)
    other = sum(word in function_words()["other"] or not word.isascii() for word in words)
    # One foreign word may be a name; with no English word beside it, it is a language.
    return other <= english if other else True


@cache
def function_words() -> dict[str, frozenset[str]]:
    """Frequent words of English, and of other languages where English lacks them."""
    text = resources.files("reasound.reasoning.instructions").joinpath("tables", "languages.json").read_text()
    table = json.loads(text)
    english = frozenset(table["english"].split())
    return {"english": english, "other": frozenset(" ".join(table["other"].values()).split()) - english}
