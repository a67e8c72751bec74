"""How well the picture alone tells when something sounds: visual onsets against the onsets of the real sound.

    python benchmarks/onsets.py --clips DIR [--tolerance 0.1] [--impacts hammer,congas,...] [--json]

DIR holds videos and `clips.json`: {"clips": [{"file", "seconds", "onsets", "onsets_sensitive"}, ...]}, where onsets
are seconds at which the real sound track has a clear attack, and the sensitive ones also softer attacks, which
count where there are fewer than eight clear ones (a drum kit in a band).

Columns: F1, precision and recall of the visual onsets; mean distance of the hits in ms; `shifted`, the mean F1 of
the same onsets moved round the clip by 20 even steps, which is what their number alone is worth; `beat`, the best F1
of any steady beat: an oracle that is told the answer, and a hard one, because a beat of five a second is within
100 ms of everything. `blind` is that beat, the same for every clip, whatever is seen. The mean is over the clips of
`--impacts`, in which something strikes.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from reasound.evaluation.onsets import (
    TOLERANCE,
    best_constant_rhythm,
    f1,
    precision_recall,
    shifted_f1,
    timing_error,
)
from reasound.media.video import Clip
from reasound.perception.motion import Meter

IMPACTS = "hammer,hitting_bag,congas,drummer,drum_kit,dog_bark,pistol,fireworks"
CLEAR = 8  # with fewer clear attacks than this, the softer ones count too


@dataclass(frozen=True)
class Row:
    clip: str
    impacts: bool
    wanted: int
    found: int
    f1: float
    precision: float
    recall: float
    error_ms: float
    shifted: float
    beat: float
    blind: float


def measured(path: Path, wanted: list[float], impacts: bool, tolerance: float) -> Row:
    clip, meter = Clip.open(path), Meter()
    for time, picture in clip.frames(width=192):
        meter.add(time, picture)
    found = [onset.time for onset in meter.motion(clip.seconds).onsets]
    seconds = float(clip.seconds)
    blind = [f1(np.arange(phase, seconds, 2 * tolerance), wanted, tolerance) for phase in (0.0, tolerance)]
    precision, recall = precision_recall(found, wanted, tolerance)
    return Row(
        clip=path.stem,
        impacts=impacts,
        wanted=len(wanted),
        found=len(found),
        f1=f1(found, wanted, tolerance),
        precision=precision,
        recall=recall,
        error_ms=1000 * timing_error(found, wanted, tolerance),
        shifted=shifted_f1(found, wanted, seconds, tolerance=tolerance),
        beat=best_constant_rhythm(wanted, seconds, tolerance),
        blind=float(np.mean(blind)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="seconds (default %(default)s)")
    parser.add_argument("--impacts", default=IMPACTS, help="clips that the mean is over")
    parser.add_argument("--json", action="store_true", help="rows as JSON instead of a table")
    options = parser.parse_args()
    rows = []
    for clip in json.loads((options.clips / "clips.json").read_text(encoding="utf-8"))["clips"]:
        path = options.clips / clip["file"]
        wanted = clip["onsets"] if len(clip["onsets"]) >= CLEAR else clip["onsets_sensitive"]
        rows.append(measured(path, wanted, path.stem in options.impacts.split(","), options.tolerance))
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    columns = ("f1", "precision", "recall", "shifted", "beat", "blind")
    print(f"{'clip':14}{'wanted':>8}{'found':>7}{'ms':>6}" + "".join(f"{name:>11}" for name in columns))
    for row in sorted(rows, key=lambda row: not row.impacts):
        name = row.clip if row.impacts else f"({row.clip})"
        scores = "".join(f"{getattr(row, column):11.2f}" for column in columns)
        print(f"{name:14}{row.wanted:8}{row.found:7}{row.error_ms:6.0f}{scores}")
    struck = [row for row in rows if row.impacts]
    means = "".join(f"{np.mean([getattr(row, column) for row in struck]):11.3f}" for column in columns)
    print(f"{'mean':14}{'':21}{means}")


if __name__ == "__main__":
    main()
