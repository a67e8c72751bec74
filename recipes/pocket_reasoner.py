"""Train the pocket reasoner on scenes whose truth is known.

    python recipes/pocket_reasoner.py make --pool POOL --scenes 1500
    python recipes/pocket_reasoner.py train --pool POOL --out RUN --minutes 60
    python recipes/pocket_reasoner.py make --pool POOL --scenes 216 --seed 0
    python recipes/pocket_reasoner.py measure --pool POOL --reasoner RUN/reasoner

The first command films scenes like the benchmark's, of another seed and without some of its pictures, and looks at them
with the real perception, about two seconds of one core each. The last two measure on the benchmark itself, beside the
reasoner that needs no model. All go on where they were when they are run again.

On a CPU, set these before, or page faults take most of the time:

    export MALLOC_MMAP_THRESHOLD_=17179869184 MALLOC_TRIM_THRESHOLD_=17179869184
    export OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from reasound.data.pocket_lessons import SEED, lessons
from reasound.data.scenes import shown
from reasound.data.scenes.benchmark import Benchmark
from reasound.data.scenes.heldout import Heldout
from reasound.data.scenes.making import named
from reasound.evaluation.plan_scores import class_accuracy, event_pairs, onset_error, onset_f1, pan_error
from reasound.perception.labels import Labels
from reasound.perception.text import MiniLM
from reasound.plan import Plan
from reasound.reasoning.pocket import weights
from reasound.reasoning.pocket.reasoner import PocketReasoner
from reasound.reasoning.reasoner import Reasoner
from reasound.reasoning.rules import RulesReasoner
from reasound.training.loop import Budget
from reasound.training.reasoner import ReasonerTraining, Trainer


def make(pool: Path, first: int, last: int, seed: int = SEED) -> None:
    """Scenes `first` to `last` of a seed that are not there yet; seed 0 is the benchmark, with all its pictures."""
    heldout, labels = Heldout.load(), Labels.load()
    bench = shown.unheard(shown.taught(heldout), seed) if seed else Benchmark(heldout)
    pool.mkdir(parents=True, exist_ok=True)
    for i in range(first, last):
        if not (pool / f"{bench.name(i)}.npz").exists():
            shown.show(bench, i, labels, pool)


def measure(pool: Path, folder: Path | None, first: int = 0) -> dict[str, dict[str, float]]:
    """Scores of a reasoner, and of the rules, on the benchmark's scenes: with their captions, without, and by whether
    a thing is in the picture that was never seen."""
    text = MiniLM.load()
    cases = shown.Pool(pool, 0)()[first:]
    spare = {named(s.label) for s in shown.kept_back(Heldout.load())}
    unseen = [c for c in cases if any(e.source in spare for e in c.plan.events)]
    systems: dict[str, Reasoner] = {"rules": RulesReasoner(text)}
    if folder:
        systems["pocket"] = PocketReasoner.load(folder)
    found: dict[str, dict[str, float]] = {}
    for name, system in systems.items():
        for told in (True, False):
            plans = {c.name: system.plan(c.features, c.plan.caption if told else "") for c in cases}
            where = f"{name}, {'caption' if told else 'no caption'}"
            found[where] = scores([(plans[c.name], c.plan) for c in cases])
            if not told:
                found[f"{where}, visible"] = scores([(plans[c.name], _visible(c.plan)) for c in cases])
                found[f"{where}, new things"] = scores([(plans[c.name], _visible(c.plan)) for c in unseen])
    return found


def _visible(plan: Plan) -> Plan:
    return plan.only(e.id for e in plan.events if e.on_screen)


def scores(pairs: Sequence[tuple[Plan, Plan]]) -> dict[str, float]:
    """Of pairs (found, wanted), events of all clips together; times in seconds."""
    hits = sum(len(event_pairs(a, b)) for a, b in pairs)
    precision = hits / max(1, sum(len(a.events) for a, _ in pairs))
    recall = hits / max(1, sum(len(b.events) for _, b in pairs))
    errors = np.array([onset_error(a, b) for a, b in pairs])
    accuracy = np.array([class_accuracy(a, b) for a, b in pairs])
    onsets = [onset_f1(a, b) for a, b in pairs]
    pans = np.array([pan_error(a, b) for a, b in pairs])
    return {
        "clips": len(pairs),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(1e-9, precision + recall),
        "class": float(np.nanmean(accuracy)),
        "onset f1": float(np.mean(onsets)),
        "onset error": float(np.nanmedian(errors)),
        "pan error": float(np.nanmean(pans)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    maker = commands.add_parser("make", help="film scenes and look at them")
    maker.add_argument("--scenes", type=int, default=1500, help="how many")
    maker.add_argument("--first", type=int, default=0, help="number of the first")
    maker.add_argument("--seed", type=int, default=SEED, help="0: the benchmark itself, to be measured on")
    trainer = commands.add_parser("train", help="train the reasoner")
    trainer.add_argument("--out", type=Path, required=True, help="folder of the run")
    trainer.add_argument("--export", type=Path, help="where the model goes (default: OUT/reasoner)")
    trainer.add_argument("--minutes", type=float, default=60.0, help="budget of training time")
    trainer.add_argument("--start-from", type=Path, help="folder of a reasoner whose weights to start with")
    trainer.add_argument("--batch", type=int, default=32, help="lessons a step")
    trainer.add_argument("--rate", type=float, help="peak of the learning rate")
    measurer = commands.add_parser("measure", help="scores on the benchmark")
    measurer.add_argument("--reasoner", type=Path, help="folder of the reasoner; without it, the rules alone")
    for command in (maker, trainer, measurer):
        command.add_argument("--pool", type=Path, required=True, help="folder of filmed scenes")
        command.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    if given.command == "make":
        make(given.pool, given.first, given.scenes, given.seed)
        return
    if given.command == "measure":
        for name, row in measure(given.pool, given.reasoner).items():
            print(f"{name:32}", "  ".join(f"{key} {value:.3f}" for key, value in row.items()))
        return
    settings = ReasonerTraining(budget=Budget(minutes=given.minutes), batch=given.batch)
    settings = replace(settings, rate=given.rate or settings.rate)
    run = Trainer(settings, given.out, given.export)
    if (given.out / "checkpoint.pt").exists():
        run.resume()
    elif given.start_from:
        run.start_from(weights.load(given.start_from))
    run.train(lessons(given.pool))


if __name__ == "__main__":
    main()
