"""Stage two on made scenes: is the object that is pointed at given the right sound, at the right moments and place?

    python benchmarks/refine.py --scenes 30 --seed 1

One visible thing of each scene is pointed at with its true box, in a take of the ambience alone; once without a
word, once with `--sound` as in the scene's plan. Class: right name. Onsets: F1 at 100 ms against the thing's own, for
things that have onsets. Side: of those at least .15 beside the middle in the mean over the time in which they sound,
how many are on their side in the mean over the time in which the layer sounds. Side then: whether the layer is on the
thing's side at most moments of the true span at which the thing is that far beside the middle: what crosses the
picture is on both sides, and its mean says more of when it sounds than of where.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from reasound import Clip, Reasound, foley
from reasound.data.scenes.benchmark import Benchmark, write_film
from reasound.data.scenes.heldout import Heldout
from reasound.data.scenes.truth import FPS
from reasound.errors import UserError
from reasound.evaluation.onsets import f1
from reasound.evaluation.systems import engine_for_test
from reasound.perception.regions import Drawn
from reasound.perception.regions.value import box_of
from reasound.plan import Event, Region
from reasound.stages.refine import refine

BESIDE = 0.15


def measured(engine: Reasound, bench: Benchmark, i: int, rows: dict[str, dict[str, list[float]]]) -> None:
    """Adds what scene i shows to the rows."""
    try:
        scene = bench.scene(i)
    except UserError:  # rigid bodies, without MuJoCo
        return
    visible = [e for e in scene.plan.events if e.on_screen]
    if not visible:
        return
    thing = visible[i % len(visible)]
    areas = [scene.film.mask(thing.id, k).sum() for k in range(scene.film.frames)]
    best = int(np.argmax(areas))
    box = box_of(scene.film.mask(thing.id, best))
    if box is None:
        return
    x0, y0, x1, y1 = (float(v) for v in box)
    query = Drawn(Region(x0=x0, y0=y0, x1=max(x1, x0 + 0.01), y1=max(y1, y0 + 0.01)))
    with tempfile.TemporaryDirectory() as folder:
        write_film(scene.film, Path(folder) / "scene.mp4")
        clip = Clip.open(Path(folder) / "scene.mp4")
        bare = scene.plan.model_copy(update={"events": (), "reasoning": (), "seconds": float(clip.seconds)})
        take = foley(engine, clip, plan=bare, renderer="library")
        for name, sound in (("told nothing", ""), ("told the sound", thing.sound)):
            row = rows[name]
            try:
                made = refine(engine, take, clip, query, best / FPS, sound=sound)
            except UserError:
                row["answered"].append(0.0)
                row["class"].append(0.0)
                continue
            row["answered"].append(1.0)
            new = made.plan.events
            row["class"].append(float(any(e.sound_class == thing.sound_class for e in new)))
            if thing.onsets:
                times = np.sort([t for e in new for t in e.onsets])
                row["onset F1"].append(f1(times, np.array(thing.onsets)))
            if abs(side := _pan(thing)) >= BESIDE:
                row["side"].append(float(_pan(new[0]) * side > 0))
            moments = np.linspace(thing.start, thing.end, 9)
            true, found = thing.place(moments)[0], new[0].place(moments)[0]
            if (beside := np.abs(true) >= BESIDE).any():
                row["side then"].append(float(np.mean((true * found > 0)[beside]) > 0.5))


def _pan(event: Event) -> float:
    return float(np.mean(event.place(np.linspace(event.start, event.end, 9))[0]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reasoner", default="rules")
    parser.add_argument("--each", action="store_true", help="a line for each scene, too")
    given = parser.parse_args()
    engine, bench = engine_for_test(reasoner=given.reasoner), Benchmark(Heldout.load(), given.seed)
    rows: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for i in range(given.scenes):
        before = {name: {key: len(v) for key, v in row.items()} for name, row in rows.items()}
        measured(engine, bench, i, rows)
        if given.each:
            for name, row in rows.items():
                new = {k: v[-1] for k, v in row.items() if len(v) > before.get(name, {}).get(k, 0)}
                print(i, bench.kind(i), name, " ".join(f"{k} {v:.2f}" for k, v in new.items()), flush=True)
    for name, row in rows.items():
        print(f"{name:16}", "  ".join(f"{key} {np.mean(v):.3f} (n={len(v)})" for key, v in row.items()))


if __name__ == "__main__":
    main()
