"""Names of several words, written as one: no word within "water pours down rocks" is a wish, and "neighing and
snorting" is one sound."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from reasound.plan import Ambience, Event, Plan
from reasound.reasoning.instructions.words import normal, plain_words
from reasound.reasoning.knowledge import sound_classes

ARTICLE = re.compile(r"^(?:the|an?|some) ")


@dataclass(frozen=True)
class Phrase:
    """A name and what it means."""

    words: str
    """As it is said, without its article."""
    sound_class: str
    ids: tuple[str, ...] = ()
    """The sounds of the plan that are called so."""


@cache
def class_phrases() -> Mapping[str, Phrase]:
    """What classes are called, where that is several words; the key is these as one word."""
    found: dict[str, Phrase] = {}
    for sound in sound_classes().values():
        words = ARTICLE.sub("", normal(sound.heard, marks=""))
        if " " in words:
            found[_one_word(words)] = Phrase(words, sound.name)
    return found


def plan_phrases(plan: Plan, known: frozenset[str] = frozenset()) -> dict[str, Phrase]:
    """Captions of the plan's sounds, and names of classes with those of its sounds that are of them.

    Args:
        known: words that are right as they are, see `words.normal`.
    """
    soundings: tuple[Event | Ambience, ...] = (*plan.events, *plan.ambience)
    found = {
        key: Phrase(p.words, p.sound_class, tuple(s.id for s in soundings if s.sound_class == p.sound_class))
        for key, p in class_phrases().items()
    }
    for sounding in soundings:
        words = ARTICLE.sub("", plain_words(sounding.sound, known)).strip(" .,;:!?")
        if len(words.split()) > 2:  # of two words the one may be left out or the other changed
            key = _one_word(words)
            same = tuple(s.id for s in soundings if s.sound == sounding.sound)
            found[key] = Phrase(words, sounding.sound_class, same)
    return found


def as_one_word(text: str, phrases: Mapping[str, Phrase]) -> str:
    """The text (normal) with each of these names as one word, the longest first."""
    if not phrases:
        return text
    by_length = sorted({p.words for p in phrases.values()}, key=lambda words: (-len(words), words))
    either = "|".join(re.escape(words) for words in by_length)
    return re.sub(rf"(?<![\w-])(?:{either})(?![\w-])", lambda m: _one_word(m[0]), text)


def spelled(text: str, phrases: Mapping[str, Phrase]) -> str:
    """The text as it was said: the opposite."""
    return re.sub(r"[a-z]+", lambda m: phrases[m[0]].words if m[0] in phrases else m[0], text)


def _one_word(words: str) -> str:
    return "".join(re.findall(r"[a-z]", words))
