"""A take of three layers as the library plays them, for tests of edits."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from reasound import Reasound
from reasound.edit_plan import EditPlan, Operation
from reasound.mixing.layers import master
from reasound.plan import Ambience, Event, Plan
from reasound.take import Layer, Mix, Settings, Source, Take

RATE = 44_100
SECONDS = 6
N = SECONDS * RATE
PLAN = Plan(
    seconds=SECONDS,
    events=(
        Event(
            id="dog",
            source="a dog",
            sound="a dog barks",
            sound_class="animal/dog",
            end=SECONDS,
            onsets=(1.0, 3.0, 4.5),
            pan=-0.4,
        ),
        Event(
            id="engine",
            source="an engine",
            sound="an engine runs",
            sound_class="vehicle/car",
            start=0.5,
            end=4.0,
            level=-6,
        ),
    ),
    ambience=(Ambience(id="rain", sound="rain falls", sound_class="weather/rain", level=-12),),
)
SETTINGS = Settings("0", "pocket", "library", 0, 4, 3.0)


def rendered(engine: Reasound, target: float = -23.0) -> Take:
    """Mastered, and on the grid of the 24-bit files that a take is read from."""
    made = master(engine.render(PLAN, Fraction(SECONDS), 0, None, "library"), target)
    layers = tuple(Layer(**{**vars(x), "audio": grid(x.audio)}) for x in made.layers)
    return Take(
        Source("clip.mp4", "0" * 64, Fraction(SECONDS), 64, 64),
        PLAN,
        layers,
        sum((x.audio for x in layers), np.zeros((2, N), np.float32)),
        Mix(target, -1.0, made.loudness, made.true_peak, "drop"),
        SETTINGS,
    )


def mixture(take: Take) -> Take:
    """The same sound as one layer of which nobody knows how it was made."""
    layer = Layer("original", take.audio, ("dog", "engine", "rain"), 0, "original")
    return Take(take.source, take.plan, (layer,), take.audio, take.mix, take.settings)


def grid(audio: np.ndarray) -> np.ndarray:
    return (np.rint(audio * 2.0**23) / 2.0**23).astype(np.float32)


def plan(*operations: dict) -> EditPlan:
    return EditPlan(instruction="test", operations=tuple(Operation(**o) for o in operations))


def layer(take: Take, name: str) -> Layer:
    return next(x for x in take.layers if x.name == name)


def rms(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=float))))


def level(audio: np.ndarray) -> float:
    return 20 * np.log10(max(rms(audio), 1e-9))
