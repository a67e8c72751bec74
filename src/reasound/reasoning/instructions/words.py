"""An instruction to plain words: one spelling of contractions, numbers and units; slips of the keyboard undone."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from typing import Any

from reasound.reasoning.instructions.language import function_words
from reasound.reasoning.knowledge import scenes, sound_classes

SHORTEST, LONG = 4, 7
"""Letters of words that are corrected at all, and that may have two slips."""
CUE_LENGTH = 6
"""Letters of words that rather ask for something with a slip than are a form of another word: "quiter"."""

CONTRACTED = {
    "can't": "can not",
    "cannot": "can not",
    "won't": "will not",
    "shan't": "shall not",
    "let's": "let us",
    "gonna": "going to",
    "wanna": "want to",
    "gotta": "have to",
    "gimme": "give me",
    "lemme": "let me",
    "dont": "do not",
    "doesnt": "does not",
    "cant": "can not",
    "isnt": "is not",
    "shouldnt": "should not",
    "didnt": "did not",
    "thats": "that is",
    "theres": "there is",
    "lets": "let us",
    "im": "i am",
    "id": "i would",
    "ill": "i will",
    "pls": "please",
    "plz": "please",
    "u": "you",
    "bg": "background",
    "vol": "volume",
    "w": "with",
    "w/o": "without",
    "db's": "db",
    "dbs": "db",
    "decibels": "db",
    "decibel": "db",
    "centre": "center",
    "centred": "centered",
    "sec": "seconds",
    "secs": "seconds",
    "offscreen": "off-screen",
    "grey": "gray",
    "sfx": "sound",
    "reverbs": "reverb",
    "w/": "with",
    "a/c": "air conditioner",
    "thru": "through",
    "smth": "something",
    "ya": "you",
    "nah": "no",
    "n": "and",
    "solo'd": "soloed",
}
DIGITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()
TENS = {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
UNITS = r"(?:seconds?|sec|db|percent|times|milliseconds|minutes?|meters?|metres?)"
MUFFLED = (
    r"\b(?:(?:heard|coming|played|playing) )?(?:through|from behind|behind|from the other side of) (?:a|the) (?:\w+ )?"
    r"(?:wall|door|curtain|pillow|blanket)\b|\bfrom (?:the )?(?:next|another) room\b|\bfrom next door\b"
)
"""Ways to say that a sound is muffled."""
ORDINALS = {
    "1st": "first",
    "2nd": "second",
    "3rd": "third",
    "4th": "fourth",
    "5th": "fifth",
}


def table(name: str) -> Any:
    """A table of this package."""
    folder = resources.files("reasound.reasoning.instructions")
    return json.loads(folder.joinpath("tables", name).read_text("utf-8"))


@cache
def pattern(name: str) -> re.Pattern[str]:
    """A phrase of `patterns.json`, which holds each in pieces of a line."""
    return re.compile("".join(table("patterns.json")[name]))


def plain_words(text: str, known: Iterable[str] = ()) -> str:
    """Normal words in which short and roundabout forms are spelled out; ":" divides as well."""
    text = unicodedata.normalize("NFKC", text).lower()
    for phrase, plain in rewrites("shorthand"):
        text = phrase.sub(plain, text)
    text = normal(text, known, ".,:;!?")
    for phrase, plain in rewrites("plain"):
        text = phrase.sub(plain, text)
    return " ".join(text.split())


def normal(text: str, known: Iterable[str] = (), marks: str = ".,;!?") -> str:
    """Lower case, spelled out, corrected; what divides requests stays (, ; . ! ? and line ends as ".").

    `known`: words beyond the vocabulary, those of the plan, that are not to be corrected and may be what was meant.
    """
    text = (
        unicodedata.normalize("NFKC", text)
        .lower()
        .replace("\u2019", "'")
        .replace("`", "'")
        .replace("\u2018", "'")
    )
    text = re.sub(r"\b(hard|far|left|right)-(left|right|hand|most)\b", r"\1 \2", text)
    text = re.sub(r"\b(?:(?:in|from) the )?(?:18|19)\d0'?s\b", "vintage", text)
    text = re.sub(MUFFLED, " muffled", text)
    text = re.sub(r"\b(?:8|eight)[- ]?bit\b", "chiptune", text)
    text = re.sub(r"@\s*(?=\d)", " at ", text)
    text = (
        re.sub(r"[\u2013\u2014]", " - ", text)
        .replace("&", " and ")
        .replace("\n", " . ")
        .replace("\u00d7", "x")
    )
    text = re.sub(r"\b(\d+):(\d\d)(?:\.(\d+))?\b", _clock, text)
    text = re.sub(r"(?<=\d),(?=\d{1,2}(?!\d))", ".", text)
    text = re.sub(r"\b([\w/]+(?:'[a-z]+)?)", lambda m: CONTRACTED.get(m[1], m[1]), text)
    text = re.sub(r"n't\b", " not", text)
    text = re.sub(r"\b(it|that|there|what|here|he|she|who|how)'s\b", r"\1 is", text)
    text = re.sub(
        r"'(re|ll|ve|m)\b", lambda m: {"re": " are", "ll": " will", "ve": " have", "m": " am"}[m[1]], text
    )
    text = re.sub(r"(\w)'d\b", r"\1 would", text)
    text = re.sub(r"'s\b|s'(?=\s)", lambda m: "s" if m[0] == "s'" else "", text)
    text = re.sub(r"(?<![\w.])\.(\d)", r"0.\1", text)
    text = re.sub(r"(\d)\s*%", r"\1 percent", text)
    text = re.sub(r"(\d)\s*(?:ms|milliseconds?|msecs?)\b", r"\1 milliseconds", text)
    text = re.sub(r"(\d)\s*(?:s|secs?|second)\b", r"\1 seconds", text)
    text = re.sub(r"(\d)\s*db\b", r"\1 db", text)
    text = re.sub(r"(\d)\s*x\b|\bx\s*(\d+(?:\.\d+)?)", lambda m: f"{m[1] or m[2]} times", text)
    text = re.sub(r"(\d)\s*(?:m|meters?|metres?)\b", r"\1 meters", text)
    text = re.sub(r"(?<=\d)\s*-\s*(?=\d)|(?<=seconds)\s*-\s*(?=\d)", " to ", text)
    text = re.sub(r"(?<![\w.])-\s*(?=\d)", " minus ", text)
    text = re.sub(r"\+\s*(?=\d)", " plus ", text)
    text = re.sub(r"\s-\s", " , ", text)
    text = re.sub(r"[^\w\s.,:;!?%@-]|_", " ", text)
    text = pattern("thanks").sub(" thanks ", text)
    words = re.findall(r"\d+(?:\.\d+)?(?:st|nd|rd|th)?|[^\W\d_]+(?:-[^\W\d_]+)*|[.,:;!?]", text)
    words = [w for w in words if w != ":" or ":" in marks]
    return _numbers(" ".join(_spelled(words, frozenset(known))))


@cache
def rewrites(name: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Phrases of `rewrites.json` and what they are read as: "shorthand" as typed, "plain" in normal words."""
    return tuple((re.compile(phrase), plain) for phrase, plain in table("rewrites.json")[name])


def _clock(match: re.Match[str]) -> str:
    return f"{int(match[1]) * 60 + float(match[2] + '.' + (match[3] or '0')):g} seconds"


def _numbers(text: str) -> str:
    """Number words as digits: "two and a half" -> "2.5"; "one" and "second" only where they are amounts."""
    text = re.sub(r"\b(\d+)(st|nd|rd|th)\b", lambda m: ORDINALS.get(m[0], m[0]), text)
    for number, word in enumerate(DIGITS):
        if word != "one":
            text = re.sub(rf"\b{word}\b", str(number), text)
    for word, number in TENS.items():
        text = re.sub(rf"\b{word}(?:[ -](\d))?\b", lambda m, n=number: str(n + int(m[1] or 0)), text)  # type: ignore[misc]
    text = re.sub(rf"\bone (?=(?:and a half|point \d|more|full|extra|additional)? ?{UNITS}\b)", "1 ", text)
    text = re.sub(r"\bone and a half\b", "1.5", text)
    text = re.sub(r"\b(\d+) point (\d)\b", r"\1.\2", text)
    text = re.sub(r"\b(\d+) and (?:a|1) half\b", r"\1.5", text)
    text = re.sub(r"\bwhere (the .+?) (?:is|was|are|were)\b", r"instead of \1", text)
    text = re.sub(r"\brather (.+?) than\b", r"\1 instead of", text)
    text = re.sub(r"\b(\d\S*) (?:more|extra|additional|full|whole) (db|percent)\b", r"\1 \2", text)
    text = re.sub(r"\bone hundred\b|\ba hundred\b", "100", text)
    text = re.sub(r"\bhalf (?:of )?an? second\b|\ba half(?: a)? second\b", "0.5 seconds", text)
    text = re.sub(r"\b(?:a )?quarter (?:of a |of )?second\b", "0.25 seconds", text)
    text = re.sub(r"\ba second and a half\b", "1.5 seconds", text)
    text = re.sub(r"\b(?:a )?(?:couple of|couple) seconds\b", "2 seconds", text)
    text = re.sub(r"\b(?:a )?(?:couple of|couple) db\b", "2 db", text)
    text = re.sub(r"\b(?:a )?few seconds\b", "3 seconds", text)
    text = re.sub(r"\b(?:a )?few db\b", "3 db", text)
    text = re.sub(r"\b(\d+(?:\.\d+)?) milliseconds\b", lambda m: f"{float(m[1]) / 1000:g} seconds", text)
    text = re.sub(r"\b(\d+(?:\.\d+)?) minutes?\b", lambda m: f"{float(m[1]) * 60:g} seconds", text)
    text = re.sub(r"\ba minute\b", "60 seconds", text)
    # "the first second" and "another second" are of the clock, "the second bark" is not.
    text = re.sub(r"\b(first|last|opening|closing|final) second\b", r"\1 1 seconds", text)
    after = "".join(table("patterns.json")["after_second"])
    text = re.sub(rf"\b(another|an extra|an additional) second\b(?! (?!{after})[a-z])", r"\1 1 seconds", text)
    text = re.sub(r"\b(by) (?:a |1 )?second\b", r"\1 1 seconds", text)
    text = re.sub(rf"\ba (?:full )?second(?= {after}\b| ?[.,;!?]| ?$)", "1 seconds", text)
    text = re.sub(r"\b1 second\b", "1 seconds", text)
    return re.sub(r"\b(\d+(?:\.\d+)?) (?:second|s|sec)\b", r"\1 seconds", text)


def _spelled(words: list[str], known: frozenset[str]) -> list[str]:
    return [_correct(word, known) for word in words]


def _correct(word: str, known: frozenset[str]) -> str:
    if (
        len(word) == 3 and word not in known and word not in vocabulary()
    ):  # "teh", "dgo": only neighbours swapped
        if short := next((w for w in ("solo", "mute") if slips(word, w, 1) == 1), ""):
            return short
        swapped = (word[1] + word[0] + word[2], word[0] + word[2] + word[1])
        return next((s for s in swapped if s in known), next((s for s in swapped if s in vocabulary()), word))
    if not word.isalpha() or len(word) < SHORTEST:
        return word
    if word in vocabulary() or word in frequent() or any(w in known for w in _without_ending(word)):
        return word
    is_comparative = word.endswith("ier") and word.removesuffix("ier") + "y" in frequent() | vocabulary()
    if (
        not is_comparative
        and len(word) >= CUE_LENGTH
        and (asked := _near(word, frozenset(w for w in _cue_words() if len(w) > 4), 1))
    ):
        return asked
    if any(w in vocabulary() or w in frequent() for w in _without_ending(word)):
        return word
    return _near(word, frozenset(w for w in known if len(w) >= SHORTEST)) or _near(word, vocabulary()) or word


def _without_ending(word: str) -> Iterator[str]:
    """The word and what it may be a form of: "flaring" of "flare", "cuter" of "cute"."""
    yield word
    yield from (word.removesuffix(end) + "y" for end in ("ier", "iest", "ily") if word.endswith(end))
    for ending in ("s", "es", "ing", "ed", "er", "ly", "y", "less"):
        if word.endswith(ending) and len(word) - len(ending) >= SHORTEST - 1:
            stem = word.removesuffix(ending)
            yield from (stem, stem + "e")
            if stem[-1] == stem[-2]:
                yield stem[:-1]


def _near(word: str, among: frozenset[str], most: int = 2) -> str:
    """The nearest known word, with one slip, or two in a long word; "" when none is so near."""
    allowed = min(most, 2 if len(word) >= LONG else 1)
    best, least = "", 9.0
    for other in among:
        if abs(len(other) - len(word)) > allowed or len(other) < 3:
            continue
        count = slips(word, other, allowed)
        if count > allowed:
            continue
        # A first letter is rarely wrong, and a word that asks for something is likelier than another.
        distance = (
            count + 0.4 * (other[0] != word[0]) + 0.3 * (len(other) == 3) - 0.1 * (other in _cue_words())
        )
        distance -= 0.06 * (len(other) == len(word) and _beside(word, other))
        distance -= 0.05 * (sorted(other) == sorted(word))
        distance -= 0.15 * (other[0] == word[0] and _is_shortened(word, other))
        if (distance, other) < (least, best):
            best, least = other, distance
    return best


def _is_shortened(word: str, other: str) -> bool:
    """It is the other without some of its letters: "latr" of "later"."""
    letters = iter(other)
    return len(word) < len(other) and all(letter in letters for letter in word)


def _beside(a: str, b: str) -> bool:
    """The letters that differ are neighbours on the keyboard."""
    rows = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    return all(any(x + y in row or y + x in row for row in rows) for x, y in zip(a, b, strict=True) if x != y)


def slips(a: str, b: str, most: int) -> int:
    """Letters dropped, added, wrong or swapped with their neighbour (Damerau 1964); from `most` on it stops."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        older, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]


@cache
def _cue_words() -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]{4,}", json.dumps(table("cues.json"))))


@cache
def frequent() -> frozenset[str]:
    """Common English words: correct as they are, but no guess for what a slip was meant to be."""
    return frozenset(" ".join(table("frequent.json")["words"]).split())


@cache
def vocabulary() -> frozenset[str]:
    """Every word that the reader knows; only unknown words are corrected."""
    texts = [" ".join(function_words()["english"])]
    for name in (
        "cues.json",
        "synonyms.json",
        "english.json",
        "styles.json",
        "fillers.json",
        "rooms.json",
        "patterns.json",
    ):
        texts.append(json.dumps(table(name)))
    for sound in sound_classes().values():
        texts += [sound.name, sound.source, sound.heard, *sound.captions, *sound.words, *sound.hints]
    for scene in scenes().values():
        texts += [scene.name, *scene.words]
    texts += [*CONTRACTED.values(), *DIGITS, *TENS, *ORDINALS.values()]
    return frozenset(re.findall(r"(?<![a-z-])[a-z]+(?![a-z-])", " ".join(texts).lower()))
