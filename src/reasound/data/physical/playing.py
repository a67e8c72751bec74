"""Instruments: parameters drawn at random, and the words that say them."""

from __future__ import annotations

from reasound.data.physical import modal, strings, winds
from reasound.data.physical.sound import Rng
from reasound.data.physical.takes import Take, among, lengths, taken, tune, whole


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
    which = str(rng.choice(["violin", "violin", "viola", "cello", "string section"]))
    size, low, high = {
        "violin": (1.0, 300.0, 620.0),
        "viola": (1.4, 196.0, 400.0),
        "cello": (2.4, 98.0, 220.0),
        "string section": (1.1, 240.0, 480.0),
    }[which]
    n = whole(rng, 1, 7)
    words = (
        f"a {which} plays a note" if n == 1 else f"a {which} is played",
        f"a {which} melody",
        f"a bow on a {which}",
    )
    return taken(
        strings.bowed, rng, words, notes=tune(rng, rng.uniform(low, high), n), length=rng.uniform(0.35, 0.8), size=size,
        vibrato=rng.uniform(0.4, 1.0), bow=rng.uniform(0.5, 2.0), players=5 if which == "string section" else 1,
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
        winds.brass, rng, words, notes=tune(rng, rng.uniform(low, high), n),
        lengths=lengths(rng, n, rng.uniform(0.25, 0.6)), size=size, force=force,
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
            modal.shaker, rng, words, beats=whole(rng, 2, 10), gap=rng.uniform(0.12, 0.3),
            low=rng.uniform(3_500.0, 6_500.0), jingle=0.0 if which == "maracas" else 0.9,
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


def guitar(rng: Rng) -> Take:
    bright, n = rng.uniform(0.2, 1.0), whole(rng, 1, 7)
    if rng.random() < 0.3:
        low = rng.uniform(82.0, 165.0)
        notes = tuple(float(low * 2 ** (s / 12)) for s in (0, 7, 12, 16, 19, 24))
        words = ("an acoustic guitar chord", "a guitar is strummed once", "a chord on steel strings")
        return taken(
            strings.pluck, rng, words, kind="one_shot", notes=notes, gap=rng.uniform(0.01, 0.04), seconds=2.5,
            bright=bright,
        )  # fmt: skip
    words = (
        "a plucked string" if n == 1 else "a guitar is played",
        f"a guitar plucked {among(bright, 'softly', 'with a pick', low=0.2)}",
        "a guitar melody" if n > 2 else "a guitar note",
    )
    return taken(
        strings.pluck, rng, words, notes=tune(rng, rng.uniform(110.0, 300.0), n), gap=rng.uniform(0.2, 0.45),
        seconds=rng.uniform(1.2, 2.2), bright=bright,
    )  # fmt: skip
