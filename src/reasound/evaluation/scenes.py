"""The benchmark of scenes with exact truth, from the video to the scores of every system, and its report."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reasound.checkpoints import catalog
from reasound.data.scenes.benchmark import VERSION, Benchmark, write_film
from reasound.data.scenes.heldout import Heldout
from reasound.data.scenes.truth import OPERATIONS, TrueScene
from reasound.errors import UserError
from reasound.evaluation.about import about, digest
from reasound.evaluation.clips import common_beat
from reasound.evaluation.edits import edited, staged, told, untouched
from reasound.evaluation.heard import Heard, Scores
from reasound.evaluation.onsets import Seconds, audio_onsets, f1
from reasound.evaluation.page import Card, Sound
from reasound.evaluation.report import Measure, Report, build
from reasound.evaluation.scene_measures import CONTROL, EDIT, FINISH, MEASURES, PLACE, PLAN, SOUND, TIME
from reasound.evaluation.scene_scores import (
    Truth,
    of_control,
    of_edit,
    of_own_plan,
    of_plan,
    of_repetition,
    of_sound,
)
from reasound.evaluation.scores import Floats
from reasound.evaluation.systems import (
    ALWAYS,
    MIXTURES,
    RENDERED,
    SYSTEMS,
    Performance,
    engine_for_test,
    mixtures,
    performed,
    plans,
    reference,
)
from reasound.evaluation.tag_scores import frechet, frechet_unbiased
from reasound.evaluation.workers import each
from reasound.media.video import Clip
from reasound.mixing.layers import Mastered
from reasound.pipeline import REASONER, STEPS, Reasound, quiet
from reasound.pipeline import Report as Tell
from reasound.reasoning.rules import RulesReasoner
from reasound.timeline import SAMPLE_RATE

PART = 5
"""Every fifth scene, from the first on, is also made without each of the inputs, and by the audio model as a whole;
every fifth, from the third on, is also edited. Five and benchmark.RIGID_EVERY have no divisor: no kind is left out."""
SHOWN = 12
"""Scenes of the page."""
FILM = 8
FOLLOWERS = {f"{made}, plan given": made for made in RENDERED}
"""Systems that show how well a renderer follows a plan."""
STEERED = ("plan given", "", "no thought", "video alone", "wrong plan")
"""Plans from the best to the worst, of which the sound is expected to follow each."""
PLANNED = {f"{made}{', ' if how else ''}{how}" for made in RENDERED for how in STEERED}
REASONED = {"reasoner": "", "reasoner, video alone": "video alone", "reasoner, no video": "no video"}
"""Systems that are plans only, and what they know (systems.KNOWN)."""
RULES = {
    "rules": "the plan of the rules, which learn nothing: video and caption",
    "rules, video alone": "told nothing",
}
"""Plans to compare them with."""
REASONERS = {
    "reasoner": "the plan itself: sees the video and is told the caption",
    "reasoner, video alone": "the plan itself, told nothing",
    "reasoner, no video": "the plan itself, which sees nothing and is told the caption",
}
EDITORS = {
    f"{operation}: {who}": text
    for operation in OPERATIONS
    for who, text in {
        "truth": "the right answer",
        "nothing done": "the sound as it was given",
        "layers": "stage three on a take with its plan and a layer for every sound, told the operation",
        "words": "the same, told in words only",
        "foreign": "stage three on a sound track without layers, told the operation and what is in it",
        "model": "the audio model alone, with the sound as context",
    }.items()
}
ALL_SYSTEMS = SYSTEMS | REASONERS | RULES | EDITORS


@dataclass(frozen=True)
class Outcome:
    """What is kept of a scene."""

    id: str
    kind: str
    seconds: float
    scores: dict[str, Scores]
    onsets: Seconds
    embeddings: dict[str, Floats] = field(default_factory=dict)
    classes: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    card: Card | None = None
    problem: str = ""


@dataclass(frozen=True)
class Bench:
    """What a process needs."""

    engine: Reasound
    scenes: Benchmark


def bench(model: str, reasoner: str, seed: int) -> Bench:
    return Bench(engine_for_test(model, reasoner), Benchmark(Heldout.load(), seed))


def evaluate(
    model: str = "pocket",
    seed: int = 0,
    count: int = 20,
    steps: int = STEPS,
    processes: int = 1,
    tell: Tell = quiet,
    reasoner: str = REASONER,
) -> tuple[Report, list[Card]]:
    """The report on the first `count` scenes of a seed, and cards of some of them for the page.

    UserError for a model that is not of pocket's kind: ThinkSound's is evaluated on clips.
    """
    if catalog.kind_of(model) == catalog.THINKSOUND:
        raise UserError(
            "thinksound makes one sound of a whole clip and follows no timeline; "
            "measure it with 'reasound evaluate clips'"
        )
    outcomes: list[Outcome] = []
    work = partial(outcome, seed=seed, steps=steps)
    for found in each(partial(bench, model, reasoner, seed), work, range(count), processes):
        outcomes.append(found)
        tell("scenes", len(outcomes) / count)
    good = [o for o in outcomes if not o.problem]
    if not good:
        raise UserError(f"no scene could be made: {outcomes[0].problem}")
    period, phase = common_beat([(o.onsets, o.seconds) for o in good])
    for o in good:
        beat = np.arange(phase, o.seconds, period)
        o.scores["one beat"] = {"onset_f1": f1(beat, o.onsets)}
    report = build(
        "scenes",
        f"{len(good)} made scenes of benchmark {VERSION}: all that is seen and heard in them is known",
        about=about(model, reasoner=reasoner, seed=seed, count=count, steps=steps)
        | {"seed": seed, "benchmark": VERSION, "recordings": digest(catalog.benchmark() / "manifest.jsonl")},
        measures=MEASURES,
        systems=ALL_SYSTEMS,
        tables=tables(good),
        items=[{"id": o.id, "kind": o.kind, "seconds": o.seconds, "scores": o.scores} for o in good],
        whole=distances(good, seed),
        classes=counted(good),
        unscored=[{"id": o.id, "system": "", "reason": o.problem} for o in outcomes if o.problem],
        seed=seed,
    )
    return report, [o.card for o in good if o.card is not None]


def tables(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """What stands side by side. Where some systems made only a part of the scenes, all are shown on that part."""
    ends = ["truth", "silence", "one beat"]
    main = [*ends, "auto", *RENDERED, *FOLLOWERS]
    part = [o.id for o in outcomes if "mixture" in o.scores]
    rows: list[tuple[str, Mapping[str, Measure], list[str], list[str] | None]] = [
        ("In time?", TIME, main, None),
        ("In its place?", PLACE, [s for s in main if s != "one beat"], None),
        ("The right sound?", SOUND, [s for s in main if s != "one beat"], None),
        ("Finished?", FINISH, [s for s in main if s != "one beat"], None),
        ("Does the renderer follow the plan?", CONTROL, ["truth", *FOLLOWERS], None),
        ("Is the plan right?", PLAN, ["truth", *REASONERS, *RULES], None),
    ]
    if part:
        without = [s for s in SYSTEMS if s.split(",")[0] in RENDERED]
        few = {
            k: MEASURES[k] for k in ("onset_f1", "event_iou", "pan_error", "classes_heard", "tag_kl", "mel")
        }
        rows.append(("What each input is worth (scenes that all systems made)", few, without, part))
        steered = [s for s in SYSTEMS if s in PLANNED]
        follow = {k: MEASURES[k] for k in ("own_moments", "own_classes", "onset_f1", "classes_heard")}
        rows.append(("Does the plan steer the sound?", follow, steered, part))
        rows.append(("The audio model alone: is it worth telling it more?", few, list(MIXTURES), part))
    rows += [
        (f"Edits: {operation}", EDIT, [s for s in EDITORS if s.startswith(operation)], None)
        for operation in OPERATIONS
        if any(f"{operation}: model" in o.scores for o in outcomes)
    ]
    return [
        {"title": title, "measures": list(measures), "systems": systems} | ({"items": items} if items else {})
        for title, measures, systems, items in rows
    ]


def outcome(bench: Bench, i: int, seed: int, steps: int) -> Outcome:
    """One scene: made, watched, played by every system, and scored."""
    try:
        scene = bench.scenes.scene(i)
    except UserError as error:
        return Outcome(bench.scenes.name(i), bench.scenes.kind(i), 0.0, {}, np.zeros(0), problem=str(error))
    engine = bench.engine
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.mp4"
        write_film(scene.film, path)
        features = engine.perceive(Clip.open(path))
    every, in_full = plans(engine, features, scene), i % PART == 0
    wanted = every if in_full else {how: every[how] for how in ALWAYS}
    truth, n = Truth.of(engine, scene), scene.mix.shape[1]
    made: dict[str, Performance] = {"truth": reference(scene), "silence": Performance(())}
    made |= dict(performed(engine, scene, wanted, seed, steps))
    if in_full:
        made |= mixtures(engine.generator, scene, features, seed, steps)
    mixes = {name: performance.mastered(engine, n) for name, performance in made.items()}
    sounds = {name: Heard.of(mix.audio) for name, mix in mixes.items()}
    scores = {name: of_sound(made[name], mixes[name], sounds[name], truth) for name in made}
    for name in PLANNED & made.keys():
        scores[name] |= of_own_plan(made[name], sounds[name])
    classes: dict[str, dict[str, dict[str, int]]] = {}
    for name in ("truth", *FOLLOWERS):
        followed, right = of_control(made[name], scene)
        scores[name] |= followed
        for sound_class, yes in right:
            row = classes.setdefault(sound_class, {}).setdefault(name, {"right": 0, "of": 0})
            row["right"] += yes
            row["of"] += 1
    if in_full:
        for name, renderer in FOLLOWERS.items():
            scores[name] |= of_repetition(engine, made[name], scene, renderer, seed, steps)
    scores["truth"] |= of_plan(scene.plan, scene.plan)
    for name, how in REASONED.items():
        scores[name] = of_plan(every[how], scene.plan)
    for name, caption in zip(RULES, (scene.plan.caption, ""), strict=True):
        scores[name] = of_plan(RulesReasoner(engine.text).plan(features, caption), scene.plan)
    if i % PART == 2 and scene.tasks:
        scores |= edits(engine, scene, seed, steps)
    return Outcome(
        id=scene.id,
        kind=scene.kind,
        seconds=float(scene.seconds),
        scores=scores,
        onsets=truth.onsets,
        embeddings={name: sound.embeddings for name, sound in sounds.items() if name != "silence"},
        classes=classes,
        card=card(scene, mixes, made, scores) if i < SHOWN else None,
    )


def edits(engine: Reasound, scene: TrueScene, seed: int, steps: int) -> dict[str, Scores]:
    """Every task of a scene: the right answer, nothing done, and the product."""
    tasks = list(scene.tasks)
    scores: dict[str, Scores] = {}
    plan = told(scene.plan, seed)
    answers = edited(engine.generator, plan, tasks, seed, steps, engine.library)
    for task, answer in zip(tasks, answers, strict=True):
        sounds = {
            "truth": task.answer,
            "nothing done": untouched(task),
            "layers": staged(engine, scene, task, scene.plan, "layers", words=False),
            "words": staged(engine, scene, task, scene.plan, "layers", words=True),
            "foreign": staged(engine, scene, task, plan, "original", words=False),
            "model": answer,
        }
        for who, sound in sounds.items():
            scores[f"{task.operation}: {who}"] = of_edit(task, sound, scene)
    return scores


def distances(outcomes: Sequence[Outcome], seed: int) -> dict[str, dict[str, float]]:
    """Frechet distances to the truth, of the systems that made every scene."""
    # A distance depends on the size of its set: who made a part is not held against the whole.
    names = [name for name in SYSTEMS if all(name in o.embeddings for o in outcomes)]
    truth = np.concatenate([o.embeddings["truth"] for o in outcomes])
    found: dict[str, dict[str, float]] = {}
    for name in names:
        ours = np.concatenate([o.embeddings[name] for o in outcomes])
        values = {
            "frechet": frechet(truth, ours),
            "frechet_unbiased": 0.0 if name == "truth" else frechet_unbiased(truth, ours, seed),
        }
        found[name] = {measure: float(value) for measure, value in values.items() if math.isfinite(value)}
    return found


def counted(outcomes: Sequence[Outcome]) -> dict[str, dict[str, dict[str, int]]]:
    """Class -> renderer that was given the plan -> in how many layers the class is heard."""
    total: dict[str, dict[str, dict[str, int]]] = {}
    for o in outcomes:
        for name, systems in o.classes.items():
            for system, row in systems.items():
                sums = total.setdefault(name, {}).setdefault(system, {"right": 0, "of": 0})
                sums["right"] += row["right"]
                sums["of"] += row["of"]
    return total


def card(
    scene: TrueScene,
    mixes: Mapping[str, Mastered],
    made: Mapping[str, Performance],
    scores: Mapping[str, Scores],
) -> Card:
    shown = [n for n in ("truth", "auto", *RENDERED, "library, video alone", "mixture") if n in mixes]
    frames = np.linspace(0, scene.film.frames - 1, FILM).round().astype(int)
    n = scene.mix.shape[1]
    front = {name: made[name].foreground(n) for name in shown}
    return Card(
        id=scene.id,
        title=f"{scene.kind}: {scene.plan.caption}",
        seconds=float(scene.seconds),
        film=[scene.film.picture(int(k)) for k in frames],
        wanted=tuple(audio_onsets(front["truth"], SAMPLE_RATE).tolist()),
        text=f"{scene.plan.caption}\n{scene.plan.chain_of_thought()}",
        sounds=tuple(
            Sound(name, mixes[name].audio, tuple(audio_onsets(front[name], SAMPLE_RATE).tolist()))
            for name in shown
        ),
        scores={name: scores[name] for name in shown},
    )
