"""How well words name the sounds of a plan: by caption, class, synonym and group, or by likeness."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache, lru_cache

from reasound.plan import Ambience, Event
from reasound.reasoning.caption import Encoder, _stem, _stems, meant
from reasound.reasoning.instructions.words import table
from reasound.reasoning.knowledge import SoundClass, sound_classes

NAMED, CAPTION, CLASS, PART, HINT = 1.0, 0.9, 0.8, 0.6, 0.4
"""What a word is worth that names the sound in its caption, that only stands there, that names its class, that is part
of such a name ("fire" of a fire engine), and that hints at its class."""
HEAD = 0.3
"""More for the last word of the name: in "the footsteps on gravel" and "the dog's bark" it is the sound."""
ALIKE = 0.45
"""Cosine of MiniLM from which a name in no table is taken to be the most similar sound."""

Sounding = Event | Ambience

FILLER = frozenset(table("fillers.json")["words"].split())
PEOPLE = frozenset(table("synonyms.json")["people"].split())


class Absent(Exception):
    """A sound that is named but not in the plan; its name is the message."""


def content(text: str) -> list[str]:
    """The words that name something."""
    words = re.findall(r"[a-z]+(?:-[a-z]+)*", text)
    return [w for w in words if w not in FILLER and w not in _verbal() and len(w) > 1]


@cache
def _verbal() -> frozenset[str]:
    """Words of the cues that name no sound: what is left of a request may still have some of another cue."""
    cues = set(
        re.findall(r"[a-z]+", json.dumps([list(level.values()) for level in table("cues.json").values()]))
    )
    names = {stem for more in synonyms().values() for stem in more}
    for sound in sound_classes().values():
        for text in (sound.heard, sound.source, *sound.captions, *sound.words, *sound.hints):
            names |= set(_stems(text))
    return frozenset(w for w in cues if _stem(w) not in names) | {"rid", "run"}


def named(words: Sequence[str], there: Sequence[Sounding], encoder: Encoder | None) -> list[Sounding]:
    """The sounds that these words name best; Absent when none."""
    spread = [other for word in words for other in _alike().get(word, (word,))]
    scores = {s.id: score(words, s) for s in there}
    best = max(scores.values(), default=0.0)
    groups = _groups(words)
    if groups:
        members = [s for s in there if _in_groups(s, groups)]
        plural = words[-1].endswith("s")
        if members and (best < CLASS or plural or len(members) == 1) and not (best > NAMED and not plural):
            by_name = [s for s in there if scores[s.id] >= NAMED + HEAD]
            return [s for s in there if s in members or s in by_name]
        if not members and best < CLASS:
            raise Absent(" ".join(words))
    if best >= CLASS or (best > 0 and not _known_elsewhere(words)):
        tied = [s for s in there if scores[s.id] >= best - 0.05]
        if best < CLASS and not any(_stem(words[-1]) in _all_words(s) for s in tied):
            raise Absent(" ".join(words))  # "the miner's song" is no mining
        return _best_named(tied, words, spread)
    if any(w in PEOPLE for w in words):
        people = [s for s in there if _is_person(s)]
        if people:
            return people
    if encoder is not None and there and not _known_elsewhere(words):
        alike = _similar(words, there, encoder)
        if alike:
            return alike
    raise Absent(" ".join(words))


def _best_named(tied: list[Sounding], words: Sequence[str], spread: Sequence[str]) -> list[Sounding]:
    """Of sounds of several kinds that fit equally a singular name means the one of which it says most."""
    if len(tied) < 2 or words[-1].endswith("s"):
        return tied
    stems = {_stem(w) for w in spread}
    shares = {}
    for sounding in tied:
        caption = [_stem(w) for w in re.findall(r"[a-z]+", sounding.sound.lower()) if w not in FILLER]
        source = _plain(sounding.source) if isinstance(sounding, Event) else frozenset()
        own = sum(w in stems for w in caption) / max(len(caption), 1)
        shares[sounding.id] = (own + 0.1 * bool(source & stems), isinstance(sounding, Event))
    most = max(shares.values())
    first = next(s for s in tied if shares[s.id] == most)
    return [s for s in tied if s.sound_class == first.sound_class]


def _similar(words: Sequence[str], there: Sequence[Sounding], encoder: Encoder) -> list[Sounding]:
    """What a sentence encoder takes to be meant by words in no table."""
    vectors = encoder.encode([" ".join(words), *(s.sound for s in there)])
    alike = (vectors[1:] @ vectors[0]).tolist()
    best = there[alike.index(max(alike))]
    if max(alike) < ALIKE:
        return []
    if not words[-1].endswith("s"):
        return [best]
    near = zip(there, alike, strict=True)
    return [s for s, a in near if s is best or (s.sound_class == best.sound_class and a > max(alike) - 0.15)]


def _all_words(sounding: Sounding) -> frozenset[str]:
    return frozenset().union(*_words(sounding))


@cache
def _alike() -> dict[str, tuple[str, ...]]:
    """Adjectives of one meaning: "the big dog" may be a large dog in its caption."""
    lines = [tuple(line.split()) for line in table("synonyms.json")["alike"]]
    return {word: line for line in lines for word in line}


def _is_person(sounding: Sounding) -> bool:
    words = set(_words(sounding)[0])
    return bool(words & {"person", "man", "woman", "people", "someone"})


def _known_elsewhere(words: Sequence[str]) -> bool:
    """They surely name some class of sound; as no sound of the plan has their name, it is not there."""
    return any(_meant(word) for word in words)


@cache
def _meant(word: str) -> frozenset[str]:
    extra = {name for name, more in synonyms().items() if _stem(word) in more}
    return frozenset(meant(word) | extra)


def score(words: Sequence[str], sounding: Sounding) -> float:
    """How well the words name it: the last of them counts most."""
    named, caption, of_class, part, hints = _words(sounding)
    worths = ((named, NAMED), (caption, CAPTION), (of_class, CLASS), (part, PART), (hints, HINT))
    total = 0.0
    for place, word in enumerate(words):
        spellings = (word, word.removesuffix("ist"), re.sub(r"ll(?=ing$|ed$)", "l", word))
        stems = {_stem(w) for w in _alike().get(word, spellings)}
        worth = next((value for known, value in worths if stems & known), 0.0)
        if worth and place == len(words) - 1:
            worth += HEAD
        total += worth
    return total


@lru_cache(maxsize=512)
def _words(sounding: Sounding) -> tuple[frozenset[str], ...]:
    """Stems in its caption that name it; others there; names of its class; parts of such names; hints at its class."""
    known: SoundClass | None = sound_classes().get(sounding.sound_class)
    source = sounding.source if isinstance(sounding, Event) else ""
    material = sounding.material if isinstance(sounding, Event) else ""
    caption = _plain(sounding.sound) | _plain(source) | _plain(material)
    none: frozenset[str] = frozenset()
    if known is None:
        return caption, none, none, none, none
    of_class = (
        _plain(known.heard)
        | _plain(known.source)
        | _plain(known.name.split("/")[1].replace("_", " "))
        | {stem for word in known.words if " " not in word for stem in _stems(word)}
        | synonyms().get(known.name, none)
    )
    part = frozenset(stem for word in known.words for stem in _stems(word))
    hints = frozenset(stem for word in known.hints for stem in _stems(word))
    return (caption & of_class) | _plain(source), caption, of_class, part, hints


def _plain(text: str) -> frozenset[str]:
    words = re.findall(r"[a-z]+", text.lower())
    return frozenset(_stem(w) for w in words if w not in FILLER and len(w) > 2)


@cache
def synonyms() -> dict[str, frozenset[str]]:
    return {
        name: frozenset(_stem(w) for w in words.split())
        for name, words in table("synonyms.json")["classes"].items()
    }


def _groups(words: Sequence[str]) -> set[str]:
    return {group for group, names in table_groups().items() if any(w in names for w in words)}


@cache
def table_groups() -> dict[str, frozenset[str]]:
    """Names of groups of classes."""
    return {group: frozenset(words.split()) for group, words in table("synonyms.json")["groups"].items()}


@cache
def _members() -> dict[str, frozenset[str]]:
    return {group: frozenset(names) for group, names in table("synonyms.json")["members"].items()}


def in_group(name: str, group: str) -> bool:
    """Whether a class belongs to a group, by its name or by the table."""
    return name.split("/")[0] == group or name in _members().get(group, ())


def _in_groups(sounding: Sounding, groups: set[str]) -> bool:
    return any(in_group(sounding.sound_class, group) for group in groups)
