"""Train the pocket audio codec.

    python recipes/pocket_codec.py --sounds SOUNDS --out RUN/one --minutes 70
    python recipes/pocket_codec.py --sounds SOUNDS --out RUN/two --minutes 25 --start-from RUN/one --tags 2 --rate 1e-4
    python recipes/pocket_codec.py --sounds SOUNDS --out RUN/three --minutes 50 --freeze-encoder --start-from RUN/two

The first command trains encoder and decoder, the second goes on with YAMNet's layers as one more judge; both measure
the latents. From then on the latents must not change, since audio models are trained on them; the third command
improves the decoder alone, with `--adversarial` against judges that learn beside it. All go on where they were when
they are run again. On one GPU add `--device cuda --batch 64 --workers 8`.

On a CPU, set these before, or page faults take most of the time:

    export MALLOC_MMAP_THRESHOLD_=17179869184 MALLOC_TRIM_THRESHOLD_=17179869184
    export OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from reasound.data.recordings import decode_once
from reasound.errors import one_sentence
from reasound.synthesis.codec import Codec
from reasound.training.codec import CodecTraining, Trainer
from reasound.training.loop import Budget


def pocket_codec(minutes: float = 70.0) -> CodecTraining:
    """Encoder and decoder together, on one CPU core."""
    return CodecTraining(budget=Budget(minutes=minutes))


def pocket_codec_decoder(minutes: float = 50.0) -> CodecTraining:
    """The decoder alone, for latents that are in use already."""
    return replace(pocket_codec(minutes), freeze_encoder=True, rate=2e-4, seed=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sounds", type=Path, required=True, help="folder with manifest.jsonl and audio files"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--cache", type=Path, help="folder for decoded recordings (default: OUT/recordings)")
    parser.add_argument("--minutes", type=float, default=70.0, help="budget of training time")
    parser.add_argument("--freeze-encoder", action="store_true", help="train the decoder alone")
    parser.add_argument(
        "--start-from", type=Path, help="folder of a finished run whose weights to start with"
    )
    parser.add_argument("--rate", type=float, help="learning rate")
    parser.add_argument("--tags", type=float, default=0.0, help="weight of the distance in YAMNet's layers")
    parser.add_argument("--adversarial", type=float, default=0.0, help="weight of being taken for real")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, help="crops a step")
    parser.add_argument("--workers", type=int, help="processes that prepare crops")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    args = parser.parse_args()
    if args.freeze_encoder and not args.start_from:
        parser.error("--freeze-encoder needs --start-from: a frozen encoder has to come from somewhere")

    settings = pocket_codec_decoder(args.minutes) if args.freeze_encoder else pocket_codec(args.minutes)
    gpu = args.device != "cpu"
    settings = replace(
        settings,
        device=args.device,
        rate=args.rate or settings.rate,
        tags=args.tags,
        adversarial=args.adversarial,
        batch=args.batch or (64 if gpu else settings.batch),
        workers=settings.workers if args.workers is None else args.workers,
        all_windows=gpu,
    )
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    cache = args.cache or args.out / "recordings"
    decode_once(args.sounds, cache)
    trainer = Trainer(settings, args.out)
    if (args.out / "checkpoint.pt").exists():
        trainer.resume()
    elif args.start_from:
        trainer.start_from(Codec.load(args.start_from))
    trainer.train(cache)


if __name__ == "__main__":
    with one_sentence():
        main()
