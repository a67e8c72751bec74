"""The new sound of a request ("a dog barking twice") as a caption and a class of the taxonomy."""

from __future__ import annotations

import re

from reasound.reasoning.caption import Encoder, _stem, read_caption
from reasound.reasoning.instructions.naming import FILLER, synonyms
from reasound.reasoning.instructions.phrases import class_phrases
from reasound.reasoning.instructions.words import pattern
from reasound.reasoning.knowledge import scenes, sound_classes

LEAD = pattern("lead")
KIND = pattern("kind")
TAIL = pattern("tail")


def caption(words: str) -> str:
    """The words of a new sound as a caption: without what only holds the request together."""
    text = re.sub(r"@[a-z]\d+", " ", words)
    text = re.sub(r"[.;!?,]", " ", text)
    text = " ".join(text.split())
    for _ in range(4):
        text = KIND.sub(lambda m: m["article"] or "", LEAD.sub("", text)).strip()
        text = TAIL.sub("", text).strip()
    text = re.sub(r"\b(?:by |at |from |for |of |on |to |a|an|the|and|right|just)$", "", text).strip()
    return text


def kind(words: str, encoder: Encoder | None = None) -> str:
    """The class that a caption of a new sound means; "" when none is sure."""
    for word in words.split():
        if word in class_phrases():
            return class_phrases()[word].sound_class
    told = read_caption(words, 10.0, encoder).told
    if told:
        return max(told, key=lambda t: t.score).sound.name
    stems = [_stem(w) for w in re.findall(r"[a-z-]+", words)]
    for stem in reversed(stems):
        for name, known in synonyms().items():
            if stem in known:
                return name
    hinted = {
        name: sum(stem in {_stem(h) for h in sound.hints} for stem in stems)
        for name, sound in sound_classes().items()
    }
    best = max(hinted, key=lambda name: hinted[name])
    return best if hinted[best] > 0 and len(names(words)) <= 2 else ""


def names(words: str) -> list[str]:
    """Words that name something."""
    return [w for w in re.findall(r"[a-z]+(?:-[a-z]+)*", words) if w not in FILLER and len(w) > 1]


def several(words: str, encoder: Encoder | None = None) -> list[str]:
    """ "a dog and some rain" -> two sounds; "thunder and lightning" stays one."""
    parts = [p.strip() for p in re.split(r",| and (?=(?:a|an|some|the|\d+) )|\bplus\b", words) if p.strip()]
    if len(parts) == 1 and re.fullmatch(r"(?:\w+ ){1,2}and \w+", words):
        parts = words.split(" and ")
    if len(parts) > 1 and all(kind(p) for p in parts) and len({kind(p) for p in parts}) == len(parts):
        return [p.removeprefix("and ") for p in parts]
    return [words]


def is_place(words: str) -> bool:
    """It names a place, not a sound."""
    return words.removeprefix("a ").removeprefix("an ") in scenes()
