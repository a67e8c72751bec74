"""Does a renderer do what it is asked? Short plans, one for every class that strikes or calls, without any video.

Asked are moments, a side, the same a second later, and the same without the event. All of it is written in the plan, so
no recording and no other renderer stands between what is wanted and what is heard.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reasound.evaluation.about import about
from reasound.evaluation.heard import Scores, defined
from reasound.evaluation.onsets import audio_onsets, f1, precision_recall
from reasound.evaluation.report import Measure, Report, build
from reasound.evaluation.scene_scores import MOMENT
from reasound.evaluation.scores import pan_error
from reasound.evaluation.systems import RENDERED, Made, engine_for_test
from reasound.evaluation.tags import heard
from reasound.evaluation.workers import each
from reasound.evaluation.yamnet import Yamnet
from reasound.pipeline import STEPS, Reasound
from reasound.pipeline import Report as Tell
from reasound.plan import Event, Plan
from reasound.reasoning.knowledge import SoundClass, sound_class, sound_classes
from reasound.synthesis.library import rng_for
from reasound.timeline import SAMPLE_RATE, samples

Audio = NDArray[np.float32]  # [2, N] at 44.1 kHz

SECONDS = 5.0
EARLIEST, LATEST = 0.3, 3.6
"""Seconds between which the first and the last moment lie: a second later the last still has time to be heard."""
MOST = 4
"""Moments of one plan."""
CLOSEST = 0.5
"""Seconds from one moment to the next at least, however fast the class may be."""
LATER = 1.0
"""Seconds by which the event is moved."""
GONE_DB = -12.0
"""What is left of an event that was taken out of the plan, against what it was."""

MEASURES = {
    "moment_f1": Measure(
        "onsets heard where they were asked for, 50 ms", "", "higher", 3, "asked/moment-f1-50ms"
    ),
    "moment_heard": Measure(
        "asked moments at which something begins, whatever else does",
        "",
        "higher",
        3,
        "asked/moment-recall-50ms",
    ),
    "pan_error": Measure(
        "left against right, from what the pan law gives", "dB", "lower", 1, "asked/pan-law-difference"
    ),
    "pan_side": Measure("on the side that was asked for", "", "higher", 3, "asked/pan-side"),
    "moved": Measure(
        "asked for a second later, it is heard a second later", "", "higher", 3, "asked/moved-1s"
    ),
    "removed": Measure(
        "taken out of the plan, it is gone from the sum of the layers", "", "higher", 3, "asked/removed-12dB"
    ),
    "class_top5": Measure(
        "a tag of the asked class is among YAMNet's five best", "", "higher", 3, "yamnet-class/top5"
    ),
}
SYSTEMS = {
    "library": "recordings, placed; those that the benchmark holds out are not among them",
    "model": "the audio model",
}


@dataclass(frozen=True)
class Asked:
    """One plan: the event "it", whose class and moments are asked for, and one "other"."""

    id: str
    sound_class: str
    plan: Plan

    @property
    def it(self) -> Event:
        return self.plan.events[0]

    def later(self) -> Plan:
        """The event alone, a second later."""
        times = tuple(round(t + LATER, 4) for t in self.it.onsets)
        return self.plan.model_copy(update={"events": (self.it.model_copy(update={"onsets": times}),)})


def asked(seed: int = 0) -> list[Asked]:
    """One of each class of the taxonomy that strikes, steps or calls; times, strengths, side and company are drawn."""
    named = [c for c in sound_classes().values() if c.trigger in ("impact", "step")]
    rows = []
    for known in named:
        rng = rng_for(seed, known.name)
        strangers = [c for c in named if c.group != known.group]
        other = strangers[int(rng.integers(len(strangers)))]
        it = _event("it", known, _times(known, rng), rng)
        events = (it, _event("other", other, (float(rng.uniform(EARLIEST, LATEST)),), rng))
        rows.append(Asked(known.name, known.name, Plan(seconds=SECONDS, events=events)))
    return rows


def _times(known: SoundClass, rng: np.random.Generator) -> tuple[float, ...]:
    """One to four moments, not closer than is natural."""
    apart = max(known.gap, CLOSEST)
    times = [float(rng.uniform(EARLIEST, EARLIEST + 0.5))]
    count = int(rng.integers(1, MOST + 1))
    while len(times) < count and (then := times[-1] + apart * float(rng.uniform(1.0, 1.6))) < LATEST:
        times.append(then)
    return tuple(times)


def _event(name: str, known: SoundClass, times: Sequence[float], rng: np.random.Generator) -> Event:
    return Event(
        id=name,
        source=known.source or known.heard,
        sound=known.captions[int(rng.integers(len(known.captions)))],
        sound_class=known.name,
        end=SECONDS,
        onsets=tuple(round(t, 4) for t in times),
        strengths=tuple(round(float(s), 2) for s in rng.uniform(0.5, 1.0, len(times))),
        pan=round(float(rng.choice([-1, 1]) * rng.uniform(0.25, 0.9)), 2),
    )


def law(pan: float) -> Audio:
    """A steady sound [2, samples(SECONDS)] at a pan, -1 to 1: left cos, right sin of (pan + 1) pi / 4."""
    angle = (pan + 1) * math.pi / 4
    sides = np.array([[math.cos(angle)], [math.sin(angle)]], np.float32)
    return np.repeat(sides, samples(Fraction(SECONDS)), axis=1)


def of_layers(
    asked: Asked, layers: Mapping[str, Audio], later: Audio, without: Mapping[str, Audio]
) -> Scores:
    """The scores of one plan.

    `layers` of the plan by id, the event's layer a second `later`, and the layers `without` it.
    """
    it = asked.it
    sound, tags = layers["it"], []
    found, moved = audio_onsets(sound, SAMPLE_RATE), audio_onsets(later, SAMPLE_RATE)
    if np.any(sound):
        tags = [name for name, _ in Yamnet.load().tags(sound * (0.5 / np.abs(sound).max()), SAMPLE_RATE)]
    error, side = pan_error(sound, law(it.pan), it.spans(), SAMPLE_RATE)
    fits = found[found < SECONDS - LATER - MOMENT] + LATER
    # What the sum of the layers has kept of the event: nothing, if all others are as they were.
    left = sum(without.values()) - sum(audio for name, audio in layers.items() if name != "it")
    energy, kept = (float(np.sum(np.square(audio, dtype=float))) for audio in (sound, left))
    scores = {
        "moment_f1": f1(found, it.onsets, MOMENT),
        "moment_heard": precision_recall(found, it.onsets, MOMENT)[1],
        "pan_error": error,
        "pan_side": side,
        "moved": float(len(fits) > 0 and f1(moved, fits, MOMENT) >= 0.5),
        "removed": float(energy > 0 and kept <= energy * 10 ** (GONE_DB / 10)),
        "class_top5": float(heard(asked.sound_class, tags)),
    }
    return defined(scores)


def score(engine: Reasound, asked: Asked, seed: int, steps: int) -> dict[str, Scores]:
    """System -> scores."""

    def play(plan: Plan, made: Made) -> dict[str, Audio]:
        layers = engine.render(plan, Fraction(SECONDS), seed, None, made, steps)
        return {layer.name: layer.audio for layer in layers}

    return {
        made: of_layers(
            asked,
            play(asked.plan, made),
            play(asked.later(), made)["it"],
            play(asked.plan.only(["other"]), made),
        )
        for made in RENDERED
    }


def evaluate(
    model: str = "pocket",
    seed: int = 0,
    steps: int = STEPS,
    limit: int | None = None,
    processes: int = 1,
    tell: Tell = lambda stage, done: None,
) -> Report:
    """The report. `limit`: at most so many classes, spread over the taxonomy."""
    rows = asked(seed)
    if limit is not None and limit < len(rows):
        rows = [rows[k * len(rows) // limit] for k in range(limit)]
    work = partial(score, seed=seed, steps=steps)
    items: list[dict[str, Any]] = []
    classes: dict[str, dict[str, dict[str, int]]] = {}
    scored = each(partial(engine_for_test, model), work, rows, processes)
    for row, systems in zip(rows, scored, strict=True):
        group = sound_class(row.sound_class).group
        items.append({"id": row.id, "kind": group, "seconds": SECONDS, "scores": systems})
        classes[row.sound_class] = {
            made: {"right": int(scores["class_top5"] or 0), "of": 1} for made, scores in systems.items()
        }
        tell("plans", len(items) / len(rows))
    return build(
        "control",
        f"{len(rows)} plans, one for each sound class that strikes or calls: is what was asked for heard?",
        about=about(model, seed=seed, steps=steps, limit=limit) | {"seed": seed},
        measures=MEASURES,
        systems=SYSTEMS,
        tables=[
            {"title": "Does it do what it is asked?", "measures": list(MEASURES), "systems": list(SYSTEMS)}
        ],
        items=items,
        classes=classes,
        seed=seed,
    )
