"""A made recording, and how its parameters become words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reasound.data.physical.sound import Rng, Sound
from reasound.data.physical.voices import Throat

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
    return type(value).__name__.lower() if isinstance(value, Throat) else str(value)


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
