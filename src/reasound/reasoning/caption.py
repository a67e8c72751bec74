"""What the user says is heard: a caption in plain English to classes of sound, when and how often, without a
model.

Each phrase is held against the words of every class (`sounds.json`); a sentence encoder, if there is one, settles
what the words leave open.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reasound.reasoning.knowledge import Scene, SoundClass, scenes, sound_class, sound_classes

WORD, HINT = 1.0, 0.5
ENOUGH = 1.0
"""One word that names a class, or two that hint at it."""
LIKENESS = 2.0
"""What a cosine of 1 to a caption of the class is worth beside words."""
SURELY_ALIKE, ALIKE = 0.65, 0.5
"""Cosine from which the sentence encoder decides where no word is known: beside other sounds, and alone."""
AT_MOST = 3
"""Sounds in one phrase."""

STROLL = ("walk", "footstep", "step", "stride", "march", "jog", "pace", "run", "stroll")
COUNTS = {"once": 1, "single": 1, "one": 1, "twice": 2, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
COUNTED = (
    "time knock hit shot blow beep bark strike stroke step clap bounce meow click bang beat note tap honk "
    "chop splash clang punch ring drop pop cough explosion gunshot footstep crash thud"
).split()
UNWANTED = ("music", "speech", "voices", "voice", "talking", "dialogue", "narration", "singing")

NEXT = re.compile(r"\b(?:and then|then|followed by|afterwards|after that|(?:and )?finally|before)\b")
PHRASE = re.compile(r"[,;!?]+|\.(?!\d)|\b(?:and|or|but|while|whilst|as well as|over|plus|when)\b")
TOOL = re.compile(r"\bwith\b")
NEGATION = re.compile(r"\b(?:no|without|not|never|avoid)\b\s*(?:(?:any|the|a)\s+)?")
BEGINNING = re.compile(r"\b(?:at (?:first|the (?:beginning|start))|first|in the beginning)\b")
MIDDLE = re.compile(r"\b(?:in|at) the middle\b")
ENDING = re.compile(r"\b(?:at the end|at last|in the end)\b")
FAR = re.compile(r"\b(?:off[- ]?screen|in the distance|distant|far away|behind the camera|out of sight)\b")
NUMBER, UNIT = r"(\d+(?:\.\d+)?)", r"\s*(?:s|secs?|seconds?)\b"
AT = re.compile(rf"\b(?:at|after)\s+{NUMBER}{UNIT}")
FROM = re.compile(rf"\b(?:from|between)\s+{NUMBER}(?:{UNIT})?\s*(?:to|and|-|until)\s*{NUMBER}{UNIT}")


class Encoder(Protocol):
    """Sentences to unit vectors: [N, D]."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Told:
    """A sound that the caption asks for."""

    sound: SoundClass
    phrase: str
    """The words of the caption that it was read from."""
    score: float
    """0 to 1."""
    start: float
    end: float
    """When it may sound, in seconds."""
    at: float | None = None
    """The moment that the caption names."""
    count: int | None = None
    off_screen: bool = False

    @property
    def is_timed(self) -> bool:
        """The caption itself says when."""
        return self.at is not None or self.start > 0


@dataclass(frozen=True)
class Reading:
    """All that a caption says."""

    text: str = ""
    told: tuple[Told, ...] = ()
    scene: Scene | None = None
    avoid: tuple[str, ...] = ()
    """What stands after "no" and "without"."""


def read_caption(caption: str, seconds: float, encoder: Encoder | None = None) -> Reading:
    """The sounds, the place and the exclusions that a caption names, for a clip of `seconds`."""
    text = FROM.sub(r"from \1 to \2 s", " ".join(caption.lower().split()))
    scene = _scene(text)
    phrases, avoid = _phrases(text, seconds)
    told: dict[str, Told] = {}
    for surely in (SURELY_ALIKE, ALIKE):  # the encoder may guess more freely where nothing else is found
        for phrase, turn in phrases:
            when = _when(phrase, turn, seconds)
            for sound, score in _sounds(phrase, scene, encoder, surely):
                new = Told(sound, phrase, score, *when, _count(phrase), bool(FAR.search(phrase)))
                if sound.name not in told or told[sound.name].score < score:
                    told[sound.name] = new
        if told:
            break
    return Reading(text, tuple(told.values()), scene, avoid)


def _phrases(text: str, seconds: float) -> tuple[list[tuple[str, tuple[float, float]]], tuple[str, ...]]:
    """The phrases, each with the part of the clip that is its turn, and what stands after "no" and "without"."""
    phrases: list[tuple[str, tuple[float, float]]] = []
    avoid: list[str] = []
    turns = [turn for turn in NEXT.split(text) if turn.strip(" ,.;")]
    for number, turn in enumerate(turns):
        span = (number * seconds / len(turns), (number + 1) * seconds / len(turns))
        negative = False
        for part in filter(None, (part.strip() for part in PHRASE.split(turn))):
            negation = NEGATION.search(part)
            negative = negation is not None or (negative and part in UNWANTED)
            if negation:
                avoid.append(part[negation.end() :].strip())
                part = part[: negation.start()].strip()
            elif negative:
                avoid.append(part)
                part = ""
            if part:
                phrases.append((part, span))
    return phrases, tuple(dict.fromkeys(filter(None, avoid)))


def meant(term: str) -> set[str]:
    """Names of the sound classes that a word, a group or a class name means; "music" alone means none."""
    term = term.strip().lower()
    if term in sound_classes():
        return {term}
    group = {name for name, sound in sound_classes().items() if term in (sound.group, sound.group + "s")}
    words = _stems(term)
    return group | {name for name, known in _vocabulary().items() if _match(words, known, WORD)[0] >= WORD}


def _sounds(
    phrase: str, scene: Scene | None, encoder: Encoder | None, surely: float
) -> list[tuple[SoundClass, float]]:
    """Classes in a phrase. What is hit with a thing sounds, not the thing: no drum in "hits a bag with a drumstick"."""
    said, *tool = TOOL.split(phrase, maxsplit=1)
    found = _named(said, scene, encoder, surely)
    if tool and not any(sound.is_struck for sound, _ in found):
        found += _named(tool[0], scene, encoder, surely)
    return found


def _named(
    phrase: str, scene: Scene | None, encoder: Encoder | None, surely: float
) -> list[tuple[SoundClass, float]]:
    """Best first. A word counts for one class only: an anvil's hammer is no second hammer."""
    words: list[str | None] = list(_stems(phrase))
    alike = _alike(phrase, encoder) if encoder else dict.fromkeys(sound_classes(), 0.0)
    found: list[tuple[SoundClass, float]] = []
    for _ in range(AT_MOST):
        scores = {
            name: _match(words, known, HINT if not found else WORD)[0]
            for name, known in _vocabulary().items()
        }
        best = max(scores, key=lambda name: (scores[name] >= ENOUGH, scores[name] + LIKENESS * alike[name]))
        if scores[best] < ENOUGH:
            break
        sound = sound_class(best)
        if not (
            sound.is_call and any(other.is_call for other, _ in found)
        ):  # "a dog barks at a cat": one voice
            found.append((sound, min(1.0, 0.5 + scores[best] / 4)))
        used = _match(words, _vocabulary()[best], HINT)[1]
        words = [None if i in used else word for i, word in enumerate(words)]
    if not found and any(word in STROLL for word in words):
        found.append((sound_class(scene.steps if scene else "footsteps/stone"), 0.7))
    best = max(alike, key=lambda name: alike[name])
    if not found and len(words) > 1 and alike[best] >= surely:
        found.append((sound_class(best), alike[best]))
    return found


def _match(
    words: Sequence[str | None], known: dict[tuple[str, ...], float], least: float
) -> tuple[float, set[int]]:
    """(score, places of the words that count): each known word once, longer ones first."""
    score, used = 0.0, set[int]()
    for wanted, weight in known.items():
        size = len(wanted)
        for at in range(len(words) - size + 1):
            places = set(range(at, at + size))
            if tuple(words[at : at + size]) == wanted and not places & used:
                used |= places
                score += (weight + 0.3 * (size - 1)) if weight >= least else 0.0
                break
    return score, used


@cache
def _vocabulary() -> dict[str, dict[tuple[str, ...], float]]:
    """For each class its words as stems, longest first."""
    tables = {}
    for name, sound in sound_classes().items():
        known = {_stems(word): HINT for word in sound.hints} | {_stems(word): WORD for word in sound.words}
        tables[name] = dict(sorted(known.items(), key=lambda item: -len(item[0])))
    return tables


def _stems(text: str) -> tuple[str, ...]:
    return tuple(_stem(word) for word in re.findall(r"[a-z0-9]+(?:\.\d+)?", text.lower().replace("'s", "")))


def _stem(word: str) -> str:
    """Without its ending, roughly as Porter (1980): "hitting", "hits" -> "hit"; "dishes" -> "dish"."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ses", "xes", "zes", "ches", "shes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            if word[-1] == word[-2] and word[-1] not in "sl":
                word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def _alike(phrase: str, encoder: Encoder) -> dict[str, float]:
    """Cosine of the phrase to the nearest caption of every class."""
    names = [name for name, sound in sound_classes().items() for _ in sound.captions]
    captions = [caption for sound in sound_classes().values() for caption in sound.captions]
    vectors = encoder.encode([phrase, *captions])
    nearest: dict[str, float] = {}
    for name, cosine in zip(names, (vectors[1:] @ vectors[0]).tolist(), strict=True):
        nearest[name] = max(cosine, nearest.get(name, -1.0))
    return nearest


def _scene(text: str) -> Scene | None:
    named = [
        (len(word), scene)
        for scene in scenes().values()
        for word in scene.words
        if re.search(rf"\b{word}s?\b", text)
    ]
    return max(named, key=lambda item: item[0])[1] if named else None


def _when(phrase: str, turn: tuple[float, float], seconds: float) -> tuple[float, float, float | None]:
    """(start, end, the moment that is named)."""
    if span := FROM.search(phrase):
        start, end = float(span[1]), min(float(span[2]), seconds)
        return (start, end, None) if start < end else (*turn, None)
    if (moment := AT.search(phrase)) and float(moment[1]) < seconds:
        return float(moment[1]), seconds, float(moment[1])
    if BEGINNING.search(phrase):
        return 0.0, 0.3 * seconds, None
    if MIDDLE.search(phrase):
        return 0.35 * seconds, 0.65 * seconds, None
    if ENDING.search(phrase):
        return 0.7 * seconds, seconds, None
    return *turn, None


def _count(phrase: str) -> int | None:
    """How many times: "twice", "three loud knocks"; but not the dogs of "two dogs bark"."""
    words = _stems(phrase)
    sources = {
        word
        for known in _vocabulary().values()
        for stems, weight in known.items()
        if weight == WORD
        for word in stems
    }
    for at, word in enumerate(words):
        count = int(word) if word.isdigit() else COUNTS.get(word, COUNTS.get(word + "e"))
        if not count:
            continue
        after = words[at + 1 : at + 3]
        if (
            word in ("onc", "twic")
            or (after and after[0] in _COUNTED)
            or (len(after) > 1 and after[1] in _COUNTED and after[0] not in sources)
        ):
            return count
    return None


_COUNTED = {_stem(word) for word in COUNTED}
