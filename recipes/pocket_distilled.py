"""Teach the pocket audio model to need 4 steps without guidance instead of 24 with it.

    python recipes/pocket_distilled.py --pool POOL --teacher DIT --out RUN --minutes 20

POOL is what `recipes/pocket_audio.py make` has encoded, DIT the folder of the finished audio model. What comes out are
low-rank deltas of its weights (RUN/dit-few), which fit no other. It goes on where it was when it is run again, and may
be cut at any time. On one GPU add `--device cuda --batch 128`.

On a CPU, set these before, or page faults take most of the time:

    export MALLOC_MMAP_THRESHOLD_=17179869184 MALLOC_TRIM_THRESHOLD_=17179869184
    export OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch

from reasound.data.latents import Pool
from reasound.errors import one_sentence
from reasound.synthesis import lora
from reasound.training.distillation import Distiller, DistilTraining
from reasound.training.loop import Budget


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pool", type=Path, required=True, help="folder of encoded scenes")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of the DiT that is taught from")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--export", type=Path, help="where the deltas go (default: OUT/dit-few)")
    parser.add_argument("--minutes", type=float, default=20.0, help="budget of training time")
    parser.add_argument("--start-from", type=Path, help="folder of the deltas of an earlier teacher")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=16, help="sounds a step")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    settings = DistilTraining(budget=Budget(minutes=given.minutes), device=given.device)
    settings = replace(settings, drawing=replace(settings.drawing, batch=given.batch))
    run = Distiller(settings, given.teacher, given.out, given.export)
    if (given.out / "checkpoint.pt").exists():
        run.resume()
    elif given.start_from:
        run.start_from(lora.load(given.start_from, None))
    pool = Pool(given.pool)
    while not pool.refresh():
        time.sleep(5.0)  # the maker has only just begun
    run.train(pool)


if __name__ == "__main__":
    with one_sentence():
        main()
