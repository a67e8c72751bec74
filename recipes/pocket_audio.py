"""Train the pocket audio model on latents of the frozen codec.

    python recipes/pocket_audio.py make --codec CODEC --pool POOL --scenes 4000
    python recipes/pocket_audio.py train --pool POOL --out RUN --minutes 45

The first command encodes scenes once, single sounds and mixtures; it may run while the second one reads
what is there already. Both go on where they were when they are run again. On one GPU add `--device cuda --batch 256`.

On a CPU, set these before, or page faults take most of the time:

    export MALLOC_MMAP_THRESHOLD_=17179869184 MALLOC_TRIM_THRESHOLD_=17179869184
    export OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reasound.checkpoints import store
from reasound.data.latents import Pool, write_shard
from reasound.data.scenes.drawn import SceneMaker, evidence, movement, only
from reasound.errors import one_sentence
from reasound.perception.features import Features
from reasound.perception.labels import Labels
from reasound.perception.motion import SYNC_DIM
from reasound.perception.text import MiniLM
from reasound.perception.watch import unseen
from reasound.plan import Plan
from reasound.synthesis.codec import Codec
from reasound.synthesis.conditions import TextEncoder
from reasound.synthesis.dit import SIZES, build, pocket
from reasound.synthesis.match import Library
from reasound.timeline import SAMPLES_PER_LATENT
from reasound.training.audio_model import AudioTraining, Look, Trainer, ask
from reasound.training.loop import Budget

LATENTS = 108
"""Length of a scene: 5 seconds."""
SHARD = 50
"""Scenes in a shard."""


def pocket_audio(minutes: float = 45.0, size: str = "12M") -> AudioTraining:
    """The audio model that ships, or one of another size, on one CPU core."""
    return AudioTraining(model=pocket(SYNC_DIM, size), budget=Budget(minutes=minutes))


def glimpses(text: TextEncoder) -> Look:
    """What perception would see of a scene; `text` knows the sounds of its plan."""
    labels = Labels.load()

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        return labels.class_vectors if texts is labels.names else text.encode(texts)

    def look(plan: Plan, rng: np.random.Generator) -> Features:
        visual = evidence(plan, labels.names, embed, rng)
        return replace(unseen(plan.seconds), visual=visual, sync=movement(plan, rng))

    return look


def make(codec: Codec, pool: Path, first: int, last: int) -> None:
    """The shards of scenes `first` to `last` that are not there yet."""
    text, maker = MiniLM.load(), SceneMaker(only(Library.load(), "train"), LATENTS * SAMPLES_PER_LATENT)

    def encode(audio: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            return codec.encode(audio).float()

    questions = partial(ask, config=pocket(sync=SYNC_DIM))
    for start in range(first, last, SHARD):
        path = pool / f"scenes-{start:06d}.safetensors"
        if not path.exists():
            scenes = (maker[i] for i in range(start, min(start + SHARD, last)))
            write_shard(path, scenes, encode, text, questions)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    maker = commands.add_parser("make", help="encode scenes")
    maker.add_argument("--codec", type=Path, required=True, help="folder of the frozen codec")
    maker.add_argument("--scenes", type=int, default=4000, help="how many")
    maker.add_argument("--first", type=int, default=0, help="number of the first, for several makers at once")
    trainer = commands.add_parser("train", help="train the audio model")
    trainer.add_argument("--out", type=Path, required=True, help="folder of the run")
    trainer.add_argument("--export", type=Path, help="where the model goes (default: OUT/dit)")
    trainer.add_argument("--minutes", type=float, default=45.0, help="budget of training time")
    trainer.add_argument("--start-from", type=Path, help="folder of a DiT whose weights to start with")
    trainer.add_argument("--rate", type=float, help="learning rate")
    trainer.add_argument("--size", choices=list(SIZES), default="12M", help="parameters")
    trainer.add_argument("--device", default="cpu")
    trainer.add_argument("--batch", type=int, help="sounds a step")
    for command in (maker, trainer):
        command.add_argument("--pool", type=Path, required=True, help="folder of encoded scenes")
        command.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.command == "make":
        make(Codec.load(given.codec), given.pool, given.first, given.scenes)
        return
    settings = replace(pocket_audio(given.minutes, given.size), device=given.device)
    if given.batch:
        settings = replace(settings, batch=given.batch)
    pool = Pool(given.pool)
    if given.rate:
        settings = replace(settings, rate=given.rate)
    run = Trainer(settings, given.out, given.export, glimpses(pool.text))
    if (given.out / "checkpoint.pt").exists():
        run.resume()
    elif given.start_from:
        run.start_from(store.load(given.start_from, "dit", build))
    while not pool.refresh():
        time.sleep(5.0)  # the maker has only just begun
    run.train(pool)


if __name__ == "__main__":
    with one_sentence():
        main()
