"""Stage three on made scenes: is an edit done, and is all else as it was?

    python benchmarks/edits.py --scenes 60 --seed 21

The edit tasks of the scenes benchmark (add, remove, extract, inpaint, extend) and nothing else of it, on as many scenes
as wanted. Rows: a take with a layer for every sound, told the operation ("layers"), or told in words alone ("words"); a
sound track without layers ("foreign"). Done, kept: shares of the edits (evaluation/edits.py says when); identical: the
least share of samples outside the span that are the same bits; rest: median change of the level of what stays, in dB.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np

from reasound import Reasound
from reasound.data.scenes.benchmark import Benchmark
from reasound.data.scenes.heldout import Heldout
from reasound.data.scenes.truth import OPERATIONS
from reasound.errors import UserError
from reasound.evaluation.edits import staged, told
from reasound.evaluation.scene_scores import Scores, of_edit
from reasound.evaluation.systems import engine_for_test

ROWS = ("layers", "words", "foreign")


def measured(engine: Reasound, bench: Benchmark, i: int, rows: dict[tuple[str, str], list[Scores]]) -> None:
    """Adds what the tasks of scene i show to the rows."""
    try:
        scene = bench.scene(i)
    except UserError:  # rigid bodies, without MuJoCo
        return
    for task in scene.tasks:
        for who in ROWS:
            foreign = who == "foreign"
            plan = told(scene.plan, i) if foreign else scene.plan
            sound = staged(
                engine, scene, task, plan, "original" if foreign else "layers", words=who == "words"
            )
            rows[task.operation, who].append(of_edit(task, sound, scene))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=60)
    parser.add_argument("--seed", type=int, default=21)
    given = parser.parse_args()
    engine, bench = engine_for_test(), Benchmark(Heldout.load(), given.seed)
    rows: dict[tuple[str, str], list[Scores]] = defaultdict(list)
    for i in range(given.scenes):
        measured(engine, bench, i, rows)
    print("operation who      edits  done  kept  identical  rest")
    for operation in OPERATIONS:
        for who in ROWS:
            found = rows[operation, who]
            if not found:
                continue
            done, kept, same, rest = (
                np.array([s[name] for s in found if s.get(name) is not None], float)
                for name in ("edit_done", "edit_kept", "edit_identical", "edit_rest")
            )
            about = f"{kept.mean():5.2f}" if kept.size else "     "
            change = f"{np.median(np.abs(rest)):5.2f}" if kept.size else ""
            print(
                f"{operation:9} {who:8} {len(found):5} {done.mean():5.2f} {about} {same.min():10.3f} {change}"
            )


if __name__ == "__main__":
    main()
