"""Animals and voices: parameters drawn at random, and the words that say them."""

from __future__ import annotations

import numpy as np

from reasound.data.physical import birds, insects, voices
from reasound.data.physical.sound import Rng
from reasound.data.physical.takes import Take, among, taken, times, whole


def cat(rng: Rng) -> Take:
    size, n = rng.uniform(0.85, 1.15), whole(rng, 1, 3)
    who = among(size, "a kitten", "a cat", "a large cat", low=0.85, high=1.15)
    return taken(
        voices.calls, rng, (f"{who} meows", f"{who} meows {times(n)}", f"the meow of {who}"),
        throat=voices.CAT, times=n, seconds=rng.uniform(0.55, 0.8), gap=rng.uniform(0.9, 1.3), size=size,
        vary=0.025, space=0.3, wet=0.35,
    )  # fmt: skip


def dog(rng: Rng) -> Take:
    size, n = float(np.exp(rng.uniform(np.log(0.65), np.log(1.6)))), whole(rng, 1, 5)
    who = among(np.log(size), "a small dog", "a dog", "a large dog", low=np.log(0.65), high=np.log(1.6))
    voice = among(np.log(size), "high", "clear", "deep", low=np.log(0.65), high=np.log(1.6))
    return taken(
        voices.calls, rng, (f"{who} barks {times(n)}", f"{voice} barks of {who}", f"{who} barking"),
        throat=voices.DOG, times=n, seconds=rng.uniform(0.15, 0.22), gap=rng.uniform(0.34, 0.55), size=size,
    )  # fmt: skip


def wolf(rng: Rng) -> Take:
    pack = int(rng.choice([1, 1, 2, 3]))
    if pack == 1:
        words = ("a wolf howls", "the long howl of a wolf", "a lone wolf howls far away")
    else:
        words = ("wolves howl at night", "a pack of wolves howls", "wolves answer each other")
    return taken(
        voices.howl, rng, words, seconds=rng.uniform(2.2, 3.5), size=rng.uniform(0.85, 1.15), pack=pack,
        space=rng.uniform(0.8, 2.0),
    )  # fmt: skip


def monster(rng: Rng) -> Take:
    size = rng.uniform(0.8, 1.6)
    how = among(size, "a fierce creature", "a large monster", "a huge monster", low=0.8, high=1.6)
    deep = among(size, "a hoarse growl", "a deep growl", "a very deep rumbling growl", low=0.8, high=1.6)
    return taken(
        voices.calls, rng, (f"{how} growls", f"{deep} of a monster", f"{how} roars"), throat=voices.BEAST, times=1,
        seconds=rng.uniform(1.0, 2.0), size=size, vary=0.08, space=0.7, wet=0.32,
    )  # fmt: skip


def laugh(rng: Rng) -> Take:
    size = rng.uniform(0.85, 1.3)
    who = among(size, "a child", "a woman", "someone", low=0.85, high=1.3)
    n = whole(rng, 5, 10)
    long = among(n, "briefly", "heartily", "for a long time", low=5, high=10)
    return taken(
        voices.laugh, rng, (f"{who} laughs", f"{who} laughs {long}", f"laughter of {who}"), size=size, syllables=n,
        gap=rng.uniform(0.19, 0.22), breath=rng.uniform(0.1, 0.3),
    )  # fmt: skip


def monkey(rng: Rng) -> Take:
    heat = rng.uniform(0.0, 1.0)
    how = among(heat, "hoots calmly", "hoots", "hoots and screams")
    return taken(
        voices.hoots, rng, (f"a monkey {how}", f"an ape {how}", "the calls of a chimpanzee"),
        pitch=rng.uniform(250.0, 420.0), times=whole(rng, 4, 8), excitement=heat,
    )  # fmt: skip


def small_mammal(rng: Rng) -> Take:
    pitch = float(np.exp(rng.uniform(np.log(1_800), np.log(6_000))))
    who = "a guinea pig" if pitch < 2_600 else "a squirrel" if pitch < 3_800 else "a mouse"
    harsh = rng.uniform(0.0, 0.6)
    how = "chatters" if harsh > 0.4 else "squeaks"
    return taken(
        voices.squeaks, rng, (f"{who} {how}", f"high {how[:-1]}ing of {who}", f"a small animal {how}"), pitch=pitch,
        times=whole(rng, 3, 9), gap=rng.uniform(0.09, 0.22), harsh=harsh,
    )  # fmt: skip


def marine(rng: Rng) -> Take:
    which = rng.choice(["whale", "whale", "sea lion", "sea lion", "dolphin"])
    if which == "whale":
        n = whole(rng, 1, 2)
        words = ("a whale sings", "a long moan of a whale", "the song of a humpback whale under water")
        return taken(
            voices.whale, rng, words, calls=n, seconds=rng.uniform(1.2, 2.4), size=rng.uniform(0.8, 1.25)
        )
    if which == "sea lion":
        n = whole(rng, 1, 4)
        words = ("a sea lion calls", f"a seal barks {times(n)}", "rough calls of a sea lion")
        return taken(
            voices.calls, rng, words, throat=voices.SEA_LION, times=n, seconds=rng.uniform(0.33, 0.5),
            gap=rng.uniform(0.55, 0.75), size=rng.uniform(0.9, 1.2), wet=0.4,
        )  # fmt: skip
    words = (
        "a dolphin clicks and whistles",
        "whistles and clicks of a dolphin",
        "a dolphin chatters under water",
    )
    return taken(voices.dolphin, rng, words, whistles=whole(rng, 1, 3), clicks=rng.uniform(40.0, 90.0))


def songbird(rng: Rng) -> Take:
    pitch = float(np.exp(rng.uniform(np.log(2_600), np.log(6_200))))
    high = among(np.log(pitch), "low", "clear", "high", low=np.log(2_600), high=np.log(6_200))
    if rng.random() < 0.3:
        n = whole(rng, 1, 5)
        words = (f"a small bird chirps {times(n)}", f"{high} chirps of a sparrow", "a bird calls")
        return taken(
            birds.chirps, rng, words, pitch=pitch, times=n, gap=rng.uniform(0.18, 0.5),
            shape=str(rng.choice(["up", "down", "arch", "buzz"])),
        )  # fmt: skip
    pace, trill = rng.uniform(5.0, 12.0), rng.uniform(0.0, 0.8)
    fast = among(pace, "slow", "lively", "quick", low=5, high=12)
    words = (
        "a bird sings",
        f"{fast} {high} song of a small bird",
        "a songbird trills" if trill > 0.5 else "birdsong",
    )
    return taken(birds.song, rng, words, pitch=pitch, phrases=whole(rng, 1, 5), pace=pace, trill=trill)


def insect(rng: Rng) -> Take:
    which = rng.choice(["cricket", "fly", "bee", "grasshopper"], p=[0.35, 0.3, 0.2, 0.15])
    if which == "cricket":
        words = ("a cricket chirps", "a chirping cricket near by", "crickets chirp in the grass")
        return taken(
            insects.cricket, rng, words, kind="texture", seconds=rng.uniform(2.5, 5.0),
            pitch=rng.uniform(3_800.0, 5_200.0), chirps=rng.uniform(1.6, 3.2), pulses=whole(rng, 3, 5),
        )  # fmt: skip
    if which == "grasshopper":
        words = ("a grasshopper chirrs", "dry chirring of a grasshopper", "an insect rasps in the grass")
        return taken(
            insects.stridulate, rng, words, kind="texture", seconds=rng.uniform(2.5, 4.0), rate=rng.uniform(9.0, 22.0),
            low=rng.uniform(4_500.0, 7_000.0),
        )  # fmt: skip
    beat = rng.uniform(180.0, 260.0) if which == "fly" else rng.uniform(130.0, 180.0)
    words = (f"a {which} buzzes", f"a {which} flies past", f"buzzing of a {which}")
    return taken(
        insects.buzz, rng, words, kind="texture", seconds=rng.uniform(2.5, 4.5), wingbeat=beat,
        passes=whole(rng, 1, 3), rasp=rng.uniform(0.3, 0.9),
    )  # fmt: skip


def night(rng: Rng) -> Take:
    frogs = whole(rng, 0, 2)
    words = (
        "a quiet night with crickets",
        "crickets chirp on a summer night",
        "night at a pond with crickets and frogs" if frogs else "insects sing in the dark",
    )
    return taken(
        insects.night, rng, words, kind="texture", seconds=15.0, crickets=whole(rng, 3, 9), trill=rng.uniform(0.0, 0.6),
        frogs=frogs,
    )  # fmt: skip
