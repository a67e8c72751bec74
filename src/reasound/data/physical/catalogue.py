"""What is made of each sound class: parameters drawn at random, and the words that say them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reasound.data.physical import (
    ball,
    birds,
    explosions,
    insects,
    machines,
    modal,
    strings,
    voices,
    water,
    winds,
)
from reasound.data.physical.sound import Rng, Sound

Kind = Literal["one_shot", "repeated", "texture"]


@dataclass(frozen=True)
class Take:
    """A made recording and what is known of it."""

    sound: Sound
    captions: tuple[str, str, str]
    kind: Kind
    model: str
    """Function and parameters, to make it again."""
    material: str = ""


Draw = Callable[[Rng], Take]


def taken(
    make: Callable[..., Sound],
    rng: Rng,
    captions: tuple[str, str, str],
    kind: Kind | None = None,
    material: str = "",
    **given: object,
) -> Take:
    """Call a model; one onset means one_shot, more repeated, unless `kind` says otherwise."""
    said = ", ".join(f"{k}={_short(v)}" for k, v in given.items())
    sound = make(rng, **given)
    found: Kind = "one_shot" if len(sound.onsets) == 1 else "repeated"
    return Take(
        sound,
        captions,
        kind or found,
        f"{make.__module__.rpartition('.')[2]}.{make.__name__}({said})",
        material,
    )


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple):
        return "(" + " ".join(_short(v) for v in value) + ")"
    return type(value).__name__.lower() if isinstance(value, voices.Throat) else str(value)


def among(value: float, *words: str, low: float = 0.0, high: float = 1.0) -> str:
    """The word for a value between low and high: as many equal steps as words."""
    i = int((value - low) / (high - low) * len(words))
    return words[min(max(i, 0), len(words) - 1)]


def whole(rng: Rng, low: int, high: int) -> int:
    return int(rng.integers(low, high + 1))


def times(n: int) -> str:
    return {1: "once", 2: "twice", 3: "three times", 4: "four times"}.get(n, "again and again")


def tune(rng: Rng, low: float, notes: int) -> tuple[float, ...]:
    """A melody in a major scale, by small steps."""
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])
    steps = np.clip(np.cumsum(rng.integers(-2, 3, notes)) + 3, 0, 9)
    return tuple(float(low * 2 ** (scale[s] / 12)) for s in steps)


def lengths(rng: Rng, notes: int, beat: float) -> tuple[float, ...]:
    return tuple(float(beat * x) for x in rng.choice([1.0, 1.0, 2.0, 1.5], notes))


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


def wings(rng: Rng) -> Take:
    size = float(np.exp(rng.uniform(np.log(0.5), np.log(2.0))))
    who = "a small bird" if size < 0.8 else "a pigeon" if size < 1.3 else "a large bird"
    away = bool(rng.random() < 0.5)
    words = (
        f"{who} flaps its wings",
        f"wings of {who} flap",
        f"{who} takes off" if away else "flapping wings",
    )
    beats = float(rng.uniform(7.0, 10.0) / size**0.4)
    return taken(
        birds.wings,
        rng,
        words,
        kind="texture",
        beats=beats,
        seconds=rng.uniform(1.2, 2.6),
        size=size,
        takeoff=away,
    )


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


def dishes(rng: Rng) -> Take:
    which = str(rng.choice(["glass", "ceramic", "metal"]))
    many = whole(rng, 2, 14) if which != "glass" else whole(rng, 1, 5)
    force = rng.uniform(0.4, 1.0)
    soft = among(force, "softly", "", "loudly", low=0.4)
    words = {
        "glass": ("glasses clink", f"drinking glasses clink {soft}", "a glass is put down beside another"),
        "ceramic": ("plates clatter", f"porcelain dishes clatter {soft}", "plates are stacked"),
        "metal": ("cutlery clatters", f"forks and knives rattle {soft}", "spoons in a drawer"),
    }[which]
    low, high = {"glass": (0.6, 1.3), "ceramic": (0.7, 1.6), "metal": (0.25, 0.6)}[which]
    sizes = tuple(float(s) for s in rng.uniform(low, high, 4))
    said = tuple(" ".join(w.split()) for w in words)
    return taken(
        modal.clatter, rng, (said[0], said[1], said[2]), material=which, of=which, sizes=sizes,
        seconds=rng.uniform(0.5, 2.0), hits=many, force=force, ring=0.7,
    )  # fmt: skip


def coins_keys(rng: Rng) -> Take:
    which = str(rng.choice(["coins", "keys", "spin"]))
    if which == "spin":
        words = (
            "a coin spins and falls flat",
            "a coin drops on a table",
            "a coin rattles to rest on a hard table",
        )
        return taken(
            modal.wobble, rng, words, material="metal", size=rng.uniform(0.13, 0.2), seconds=rng.uniform(0.6, 1.6),
            start=rng.uniform(6.0, 11.0),
        )  # fmt: skip
    n = whole(rng, 3, 12) if which == "coins" else whole(rng, 14, 40)
    words = {
        "coins": ("coins clink", "a few coins fall on a table", "small change jingles"),
        "keys": ("a bunch of keys rattles", "keys jingle", "someone shakes a bunch of keys"),
    }[which]
    low, high = (0.1, 0.2) if which == "coins" else (0.13, 0.3)
    sizes = tuple(float(s) for s in rng.uniform(low, high, 6))
    return taken(
        modal.clatter, rng, words, material="metal", of="metal", sizes=sizes, seconds=rng.uniform(0.6, 1.6),
        hits=n, force=rng.uniform(0.4, 1.0), ring=0.35,
    )  # fmt: skip


def click(rng: Rng) -> Take:
    if rng.random() < 0.7:
        heavy, rate = rng.uniform(0.1, 1.0), rng.uniform(4.0, 9.0)
        what = among(heavy, "a laptop", "a computer keyboard", "a typewriter", low=0.1)
        fast = among(rate, "slowly", "steadily", "fast", low=4, high=9)
        words = (f"someone types on {what}", f"{fast} typing on {what}", f"the keys of {what} click")
        return taken(
            machines.typing,
            rng,
            words,
            material="plastic",
            seconds=rng.uniform(1.2, 4.0),
            rate=rate,
            heavy=heavy,
        )
    n = whole(rng, 1, 3)
    words = ("a switch clicks", f"a button is pressed {times(n)}", "a small plastic click")
    return taken(
        machines.click, rng, words, material="plastic", pitch=rng.uniform(1_800.0, 4_500.0),
        double=rng.uniform(0.05, 0.15), times=n,
    )  # fmt: skip


def clock(rng: Rng) -> Take:
    size = float(np.exp(rng.uniform(np.log(0.5), np.log(2.5))))
    what = "a wristwatch" if size < 0.8 else "a clock" if size < 1.6 else "a grandfather clock"
    rate = float(np.clip(rng.uniform(1.6, 2.4) / size**0.6, 1.0, 4.0))
    words = (f"{what} ticks", f"the tick-tock of {what}", f"{what} ticking in a quiet room")
    return taken(
        machines.tick, rng, words, material="metal", seconds=rng.uniform(3.0, 6.0), rate=rate, size=size,
        echo=rng.uniform(0.1, 0.5),
    )  # fmt: skip


def appliance(rng: Rng) -> Take:
    which = str(rng.choice(["vacuum cleaner", "hair dryer", "blender", "fan", "washing machine", "kettle"]))
    seconds = rng.uniform(3.0, 5.0)
    words = (f"a {which} runs", f"the noise of a {which}", f"a {which} in a home")
    if which == "washing machine":
        return taken(
            machines.washing, rng, words, "texture", "metal", seconds=seconds, turns=rng.uniform(0.6, 1.2)
        )
    if which == "kettle":
        words = ("a kettle whistles", "water boils and the kettle whistles", "a whistling kettle")
        return taken(
            machines.kettle,
            rng,
            words,
            "texture",
            "metal",
            seconds=seconds,
            pitch=rng.uniform(1_900.0, 3_000.0),
        )
    low, high, whine, air, dark = {
        "vacuum cleaner": (150.0, 300.0, 0.5, 1.0, 0.6),
        "hair dryer": (220.0, 420.0, 0.35, 1.0, 0.35),
        "blender": (120.0, 250.0, 1.2, 0.5, 0.5),
        "fan": (18.0, 30.0, 0.4, 1.0, 0.9),
    }[which]
    return taken(
        machines.motor, rng, words, "texture", "plastic", seconds=seconds, turns=rng.uniform(low, high),
        whine=whine * rng.uniform(0.6, 1.5), air=air, dark=dark * rng.uniform(0.7, 1.2),
        load=rng.uniform(0.05, 0.25) if which != "blender" else rng.uniform(0.4, 1.0), spin_up=rng.uniform(0.15, 0.6),
    )  # fmt: skip


def siren(rng: Rng) -> Take:
    kind = str(rng.choice(["wail", "yelp", "hilo"]))
    words = {
        "wail": ("a police siren wails", "a siren rises and falls slowly", "a fire engine with its siren"),
        "yelp": ("a fast yelping siren", "an ambulance siren", "a quickly changing police siren"),
        "hilo": ("a two-tone siren", "an ambulance siren with two notes", "a high and a low note of a siren"),
    }[kind]
    low, high, rate = {
        "wail": (rng.uniform(500, 700), rng.uniform(1_100, 1_600), rng.uniform(0.2, 0.4)),
        "yelp": (rng.uniform(600, 800), rng.uniform(1_300, 1_700), rng.uniform(2.0, 4.0)),
        "hilo": (rng.uniform(400, 480), rng.uniform(560, 640), rng.uniform(0.4, 0.6)),
    }[kind]
    return taken(
        machines.siren, rng, words, "texture", seconds=rng.uniform(4.0, 6.0), low=float(low), high=float(high),
        rate=float(rate), pattern=kind,
    )  # fmt: skip


def bouncing(rng: Rng) -> Take:
    what = str(rng.choice(["basketball", "basketball", "tennis", "rubber", "pingpong"]))
    name = {"tennis": "tennis ball", "rubber": "rubber ball", "pingpong": "ping-pong ball"}.get(what, what)
    if rng.random() < 0.5:
        n = whole(rng, 3, 8)
        words = (f"a {name} is dribbled", f"someone bounces a {name}", f"a {name} bounces steadily")
        return taken(
            ball.dribble, rng, words, what=what, material="rubber", times=n, gap=rng.uniform(0.35, 0.6)
        )
    words = (f"a {name} is dropped and bounces", f"a {name} bounces until it lies", f"bouncing {name}")
    return taken(
        ball.bounce, rng, words, what=what, material="rubber", height=rng.uniform(0.4, 1.4),
        restitution=rng.uniform(0.68, 0.85), most=whole(rng, 1, 10),
    )  # fmt: skip


def rain(rng: Rng) -> Take:
    roof, heavy = str(rng.choice(["leaves", "pavement", "metal", "water"])), rng.uniform(0.05, 1.0)
    how = among(heavy, "light rain", "steady rain", "heavy rain")
    where = {
        "leaves": "on leaves",
        "pavement": "on a street",
        "metal": "on a metal roof",
        "water": "on a pond",
    }[roof]
    return taken(
        water.rain, rng, (f"{how} falls", f"{how} {where}", f"rain drops patter {where}"), kind="texture",
        material="water", seconds=12.0, heavy=heavy, roof=roof, gust=rng.uniform(0.0, 0.6),
    )  # fmt: skip


def drip(rng: Rng) -> Take:
    if rng.random() < 0.5:
        rate, radius = rng.uniform(6.0, 30.0), rng.uniform(2.5, 7.0)
        big = among(radius, "small", "medium", "large", low=2.5, high=7.0)
        words = (
            "bubbles rise in water",
            f"{big} bubbles gurgle",
            f"a liquid bubbles {among(rate, 'slowly', 'fast', low=6, high=30)}",
        )
        return taken(
            water.bubbling, rng, words, kind="texture", material="water", seconds=rng.uniform(2.0, 4.0), rate=rate,
            radius=radius,
        )  # fmt: skip
    n, hollow = whole(rng, 1, 5), rng.uniform(0.0, 1.0)
    where = among(hollow, "into a bowl", "into a sink", "in a cave")
    words = (f"water drips {where}", f"a drop of water falls {times(n)}", "drops fall into water")
    return taken(
        water.drip, rng, words, material="water", times=n, gap=rng.uniform(0.4, 0.9), radius=rng.uniform(2.0, 5.0),
        hollow=hollow,
    )  # fmt: skip


def pour(rng: Rng) -> Take:
    flow = rng.uniform(0.1, 1.0)
    much = among(flow, "a thin stream of water", "water", "a lot of water", low=0.1)
    if rng.random() < 0.5:
        words = ("water runs from a tap", f"{much} runs into a sink", "a kitchen tap runs")
        return taken(
            water.tap, rng, words, kind="texture", material="water", seconds=rng.uniform(3.0, 5.0), flow=flow,
            sink=rng.uniform(0.0, 1.0),
        )  # fmt: skip
    height = rng.uniform(0.07, 0.22)
    what = among(height, "a glass", "a mug", "a jug", low=0.07, high=0.22)
    words = (f"water is poured into {what}", f"{much} fills {what}", "pouring a drink")
    return taken(
        water.pour, rng, words, kind="repeated", material="water", seconds=rng.uniform(2.5, 4.5), flow=flow,
        height=height, glass=rng.uniform(0.0, 1.0),
    )  # fmt: skip


def fireworks(rng: Rng) -> Take:
    which = str(rng.choice(["rocket", "rocket", "display", "crackers"]))
    size, far = rng.uniform(0.6, 1.7), rng.uniform(0.1, 0.9)
    where = among(far, "close by", "over the houses", "far away")
    if which == "display":
        words = (
            "fireworks burst in the sky",
            f"a fireworks display {where}",
            "many rockets burst one after another",
        )
        return taken(
            explosions.display, rng, words, seconds=rng.uniform(6.0, 9.0), rate=rng.uniform(0.8, 2.5), far=far
        )
    if which == "crackers":
        n = whole(rng, 3, 20)
        words = ("firecrackers pop", "a string of firecrackers goes off", f"firecrackers bang {where}")
        return taken(explosions.firecrackers, rng, words, pops=n, gap=rng.uniform(0.05, 0.15))
    words = (
        "a firework rocket rises and bursts",
        f"a rocket bursts {where}",
        "a rocket whistles up, bangs and crackles",
    )
    return taken(
        explosions.rocket,
        rng,
        words,
        size=size,
        whistle=rng.uniform(0.0, 1.0),
        sparks=rng.uniform(0.0, 1.0),
        far=far,
    )


def keyboard(rng: Rng) -> Take:
    if rng.random() < 0.4:
        low, stops = rng.uniform(110.0, 330.0), rng.uniform(0.1, 1.0)
        chord = tuple(
            float(low * 2 ** (s / 12)) for s in ((0, 4, 7), (0, 3, 7), (0, 5, 9), (0,))[whole(rng, 0, 3)]
        )
        words = (
            "an organ chord",
            f"a church organ plays {among(stops, 'softly', 'a chord', 'loudly', low=0.1)}",
            "an organ plays",
        )
        return taken(
            strings.organ,
            rng,
            words,
            kind="one_shot",
            notes=chord,
            seconds=rng.uniform(1.5, 3.0),
            stops=stops,
        )
    force, n = rng.uniform(0.2, 1.0), whole(rng, 1, 7)
    notes, gap = tune(rng, rng.uniform(130.0, 440.0), n), rng.uniform(0.18, 0.45)
    how = among(force, "softly", "", "with force", low=0.2)
    words = (
        "a piano note" if n == 1 else "a piano plays a few notes",
        f"a piano is played {how}".strip(),
        "a piano melody" if n > 2 else "a piano",
    )
    return taken(strings.piano, rng, words, notes=notes, gap=gap, seconds=rng.uniform(1.5, 2.5), force=force)


def bowed(rng: Rng) -> Take:
    which = str(rng.choice(["violin", "viola", "cello", "string section"]))
    size, low = {"violin": (1.0, rng.uniform(262, 620)), "viola": (1.6, rng.uniform(196, 400)),
                 "cello": (2.6, rng.uniform(98, 220)), "string section": (1.2, rng.uniform(220, 440))}[which]  # fmt: skip
    n = whole(rng, 1, 6)
    words = (
        f"a {which} plays a note" if n == 1 else f"a {which} is played",
        f"a {which} melody",
        f"{which}, bowed",
    )
    return taken(
        strings.bowed, rng, words, notes=tune(rng, float(low), n), length=rng.uniform(0.35, 1.2), size=size,
        vibrato=rng.uniform(0.4, 1.2), players=6 if which == "string section" else 1,
    )  # fmt: skip


def brass(rng: Rng) -> Take:
    which = str(rng.choice(["trumpet", "trumpet", "trombone", "french horn", "tuba"]))
    size, low, high = {"trumpet": (1.0, 230, 520), "trombone": (2.0, 90, 220), "french horn": (2.2, 120, 300),
                       "tuba": (4.0, 55, 110)}[which]  # fmt: skip
    force, n = rng.uniform(0.35, 1.0), whole(rng, 1, 6)
    how = among(force, "softly", "", "loudly", low=0.35)
    words = (
        f"a {which} plays",
        f"a {which} plays {how}".strip(),
        f"a fanfare on a {which}" if n > 3 else f"a {which} note",
    )
    return taken(
        winds.brass, rng, words, notes=tune(rng, rng.uniform(low, high), n), lengths=lengths(rng, n, rng.uniform(0.25, 0.6)),
        size=size, force=force,
    )  # fmt: skip


def woodwind(rng: Rng) -> Take:
    which = str(rng.choice(["flute", "clarinet", "saxophone"]))
    n = whole(rng, 1, 7)
    beat = lengths(rng, n, rng.uniform(0.25, 0.6))
    words = (
        f"a {which} plays",
        f"a {which} melody" if n > 2 else f"a {which} note",
        f"someone plays the {which}",
    )
    if which == "flute":
        return taken(
            winds.flute,
            rng,
            words,
            notes=tune(rng, rng.uniform(330.0, 800.0), n),
            lengths=beat,
            air=rng.uniform(0.1, 0.7),
        )
    if which == "clarinet":
        return taken(
            winds.clarinet,
            rng,
            words,
            notes=tune(rng, rng.uniform(160.0, 500.0), n),
            lengths=beat,
            force=rng.uniform(0.2, 1.0),
        )
    return taken(
        winds.reed,
        rng,
        words,
        notes=tune(rng, rng.uniform(150.0, 350.0), n),
        lengths=beat,
        size=rng.uniform(0.8, 1.4),
    )


def small_percussion(rng: Rng) -> Take:
    which = str(rng.choice(["marimba", "glockenspiel", "maracas", "tambourine"]))
    n = whole(rng, 1, 7)
    if which in ("maracas", "tambourine"):
        words = (
            "a shaker is played" if which == "maracas" else "a tambourine is shaken",
            f"{which} in a steady rhythm",
            which,
        )
        return taken(
            modal.shaker, rng, words, beats=whole(rng, 2, 10), gap=rng.uniform(0.12, 0.3), low=rng.uniform(3_500.0, 6_500.0),
            jingle=0.0 if which == "maracas" else 0.9,
        )  # fmt: skip
    wood = which == "marimba"
    words = (
        f"a {which} note" if n == 1 else f"a {which} is played",
        "a xylophone melody" if wood else "bright metal bars are struck",
        which,
    )
    return taken(
        modal.bars, rng, words, wood=wood, notes=tune(rng, rng.uniform(220.0, 600.0) * (1 if wood else 3), n),
        gap=rng.uniform(0.15, 0.4), mallet=rng.uniform(0.0, 1.0) if wood else 0.2,
    )  # fmt: skip


def metal_steps(rng: Rng) -> Take:
    weight, n = rng.uniform(0.3, 1.0), whole(rng, 1, 6)
    how = among(weight, "light", "", "heavy", low=0.3)
    words = (
        "footsteps on a metal floor",
        " ".join(f"{how} steps on metal stairs".split()),
        " ".join(f"{how} boots on a metal plate".split()),
    )
    return taken(
        modal.steps,
        rng,
        words,
        material="metal",
        count_=n,
        gap=rng.uniform(0.4, 0.65),
        size=rng.uniform(2.0, 4.0),
        weight=weight,
    )


CLASSES: Mapping[str, Draw] = {
    "ambience/night_insects": night,
    "animal/cat": cat,
    "animal/dog": dog,
    "animal/insect": insect,
    "animal/marine": marine,
    "animal/monkey": monkey,
    "animal/monster": monster,
    "animal/small_mammal": small_mammal,
    "animal/songbird": songbird,
    "animal/wings": wings,
    "animal/wolf": wolf,
    "explosion/fireworks": fireworks,
    "footsteps/metal": metal_steps,
    "impact/ball": bouncing,
    "instrument/bowed_strings": bowed,
    "instrument/brass": brass,
    "instrument/keyboard": keyboard,
    "instrument/small_percussion": small_percussion,
    "instrument/woodwind": woodwind,
    "machine/appliance": appliance,
    "machine/clock_tick": clock,
    "object/click": click,
    "object/coins_keys": coins_keys,
    "object/dishes": dishes,
    "vehicle/siren": siren,
    "voice/laugh": laugh,
    "water/bubbles_drip": drip,
    "water/pour": pour,
    "weather/rain": rain,
}
"""Class of the taxonomy -> a draw of one recording."""
