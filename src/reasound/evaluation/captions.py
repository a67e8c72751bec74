"""A caption of each class to sound, and whether a machine hears that class in it: which renderer `auto` should take.

No picture and no times but a plain rhythm: what is measured is the right sound. Three listen: YAMNet through a table of
its tags, a judge trained on held-out recordings, and the ear of that judge that knows no network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import torch

from reasound.data.scenes.heldout import Heldout
from reasound.evaluation.about import about
from reasound.evaluation.heard import Audio, Scores
from reasound.evaluation.judge import Judge
from reasound.evaluation.report import Measure, Report, build
from reasound.evaluation.systems import RENDERED, engine_for_test
from reasound.evaluation.tags import TAGS, heard
from reasound.evaluation.workers import each
from reasound.evaluation.yamnet import Yamnet
from reasound.pipeline import LOUDNESS, PEAK, STEPS, Reasound
from reasound.pipeline import Report as Tell
from reasound.plan import Ambience, Event, Plan
from reasound.reasoning.knowledge import sound_class
from reasound.synthesis.codec import Codec
from reasound.timeline import SAMPLE_RATE

SECONDS = 4.0
HITS = (0.4, 1.3, 2.2, 3.1)
"""Seconds at which a class that strikes is asked to sound."""
MOST = 6
"""Captions of one class: those of the taxonomy first, then those of held-out recordings."""

MEASURES = {
    "class_top5": Measure(
        "a tag of the asked class is among YAMNet's five best", "", "higher", 3, "yamnet-class/top5"
    ),
    "class_top1": Measure(
        "YAMNet's best tag is one of the asked class", "", "higher", 3, "yamnet-class/top1"
    ),
    "judge_top1": Measure(
        "the judge takes it for the asked class, or one of its group", "", "higher", 3, "judge-group/top1"
    ),
    "judge_top3": Measure("that group is among the judge's three best", "", "higher", 3, "judge-group/top3"),
    "mel_top1": Measure(
        "as judge_top1, by statistics of the spectrum alone, without any network",
        "",
        "higher",
        3,
        "mel-group/top1",
    ),
    "mel_top3": Measure("as judge_top3, by those statistics", "", "higher", 3, "mel-group/top3"),
}
SYSTEMS = {
    "library": "recordings, placed; those that the benchmark holds out are not among them",
    "model": "the audio model",
    "coded": "the library's sound through the model's codec: what a perfect model could reach with it",
}


@dataclass(frozen=True)
class Asked:
    """One caption."""

    id: str
    sound_class: str
    caption: str


def asked(heldout: Heldout) -> tuple[list[Asked], list[str]]:
    """Every caption, and the classes that are left out because YAMNet itself names them in fewer than half of their
    recordings: nobody could be right there."""
    recordings = [*engine_for_test().library.library.recordings, *heldout.library.recordings]
    rows, unknown = [], []
    for name in TAGS:
        own = [r for r in recordings if r.sound_class == name]
        if 2 * sum(heard(name, r.tags[:5]) for r in own) < max(len(own), 1):
            unknown.append(name)
            continue
        told = [c for r in heldout.library.recordings if r.sound_class == name for c in r.captions]
        captions = list(dict.fromkeys([*sound_class(name).captions, *told]))[:MOST]
        rows += [Asked(f"{name}/{k + 1}", name, caption) for k, caption in enumerate(captions)]
    return rows, unknown


def plan(asked: Asked) -> Plan:
    """The plan that asks for one class by its caption alone, the way its sound usually goes."""
    trigger = sound_class(asked.sound_class).trigger
    if trigger == "none":
        return Plan(seconds=SECONDS, ambience=(Ambience(id="it", sound=asked.caption, level=0.0),))
    hits = HITS if trigger in ("impact", "step") else ()
    event = Event(id="it", source="something", sound=asked.caption, end=SECONDS, onsets=hits)
    return Plan(seconds=SECONDS, events=(event,))


def score(engine: Reasound, asked: Asked, seed: int, steps: int) -> dict[str, Scores]:
    """System -> measure -> 1 or 0, or None where the judge does not know the class."""
    rows: dict[str, Scores] = {}
    for made in RENDERED:
        layers = engine.render(plan(asked), Fraction(SECONDS), seed, None, made, steps)
        sound = engine.mix(layers, LOUDNESS, PEAK).audio
        rows[made] = heard_as(asked.sound_class, sound)
        if made == "library" and engine.released is None:
            rows["coded"] = heard_as(asked.sound_class, coded(engine.generator.model.codec, sound))
    return rows


def heard_as(sound_class: str, sound: Audio) -> Scores:
    """What each listener says of a sound [2, N] that should be of this class."""
    tags, judge = [name for name, _ in Yamnet.load().tags(sound, SAMPLE_RATE)], Judge.load()
    scores: Scores = {
        "class_top5": float(heard(sound_class, tags)),
        "class_top1": float(heard(sound_class, tags[:1])),
    }
    own = judge.group_of(sound_class) if judge.knows(sound_class) else None
    ranked = judge.ranked(sound)
    for ear, measure in (("both", "judge"), ("mel", "mel")):
        for top in (1, 3):
            scores[f"{measure}_top{top}"] = None if own is None else float(own in ranked[ear][:top])
    return scores


def coded(codec: Codec, sound: Audio) -> Audio:
    """[2, N] encoded and decoded."""
    with torch.inference_mode():
        latents = codec.encode(torch.from_numpy(np.ascontiguousarray(sound))[None])
        back: Audio = codec.decode(latents, sound.shape[1])[0].numpy()
    return back


def evaluate(
    model: str = "pocket",
    seed: int = 0,
    steps: int = STEPS,
    limit: int | None = None,
    processes: int = 1,
    tell: Tell = lambda stage, done: None,
) -> Report:
    """The report. `limit`: at most so many captions, spread over the classes."""
    rows, unknown = asked(Heldout.load())
    if limit is not None and limit < len(rows):
        rows = [rows[k * len(rows) // limit] for k in range(limit)]
    work = partial(score, seed=seed, steps=steps)
    items = []
    scored = each(partial(engine_for_test, model), work, rows, processes)
    for k, (row, scores) in enumerate(zip(rows, scored, strict=True)):
        items.append({"id": row.id, "kind": row.sound_class, "seconds": SECONDS, "scores": scores})
        tell("captions", (k + 1) / len(rows))
    reason = "YAMNet does not know this class: it names it in fewer than half of its recordings"
    return build(
        "captions",
        f"{len(rows)} captions of {len({r.sound_class for r in rows})} sound classes, made into {SECONDS:g} s of sound",
        about=about(model, seed=seed, steps=steps, limit=limit) | {"seed": seed},
        measures=MEASURES,
        systems=SYSTEMS,
        tables=[{"title": "Is the class heard?", "measures": list(MEASURES), "systems": list(SYSTEMS)}],
        items=items,
        classes=by_class(items),
        unscored=[{"id": name, "system": "", "reason": reason} for name in unknown],
        seed=seed,
    )


def by_class(items: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, int]]]:
    """Class -> system -> in how many captions it was heard."""
    counted: dict[str, dict[str, dict[str, int]]] = {}
    for item in items:
        for system in (made for made in RENDERED if made in item["scores"]):
            scores = item["scores"][system]
            row = counted.setdefault(item["kind"], {}).setdefault(system, {"right": 0, "of": 0})
            row["right"] += int(scores["class_top5"])
            row["of"] += 1
    return counted


def renderers(report: Report) -> dict[str, Any]:
    """What `--renderer auto` reads: class -> renderer -> share of captions that were heard as that class."""
    return {
        "about": "Share of captions whose class YAMNet hears, by renderer; made by: reasound evaluate captions "
        "--write-renderers FILE",
        "classes": {
            name: {system: row["right"] / row["of"] for system, row in systems.items()}
            for name, systems in report["classes"].items()
        },
    }
