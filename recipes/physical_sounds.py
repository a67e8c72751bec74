"""Render recordings from our own sound models: what no free recording gives us.

    python recipes/physical_sounds.py --out DIR --count 12 --seed 0

DIR gets `manifest.jsonl`, one JSON object a line, and audio/*.flac at 44.1 kHz: `--count` recordings of every class of
`reasound.data.physical.catalogue`. A model draws widely, so of four times as many draws those are kept that an audio
tagger hears as their class (`--all` keeps the first ones, heard or not). The same seed gives the same sounds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from reasound.data.physical.catalogue import CLASSES, Take
from reasound.data.physical.sound import RATE
from reasound.errors import one_sentence
from reasound.evaluation.tags import heard
from reasound.evaluation.yamnet import Yamnet

TRIES = 4
"""Draws for every recording that is kept."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for manifest.jsonl and audio")
    parser.add_argument("--count", type=int, default=12, help="recordings a class")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--all", action="store_true", help="keep also what the tagger does not recognise")
    parser.add_argument(
        "--only", nargs="*", default=sorted(CLASSES), choices=sorted(CLASSES), metavar="CLASS"
    )
    given = parser.parse_args()
    if given.count < 1:
        parser.error("--count must be at least 1")
    (given.out / "audio").mkdir(parents=True, exist_ok=True)
    with (given.out / "manifest.jsonl").open("w", encoding="utf-8") as manifest:
        for name in given.only:
            for row in render(name, given.count, given.seed, given.out, given.all):
                manifest.write(json.dumps(row, ensure_ascii=False) + "\n")


def render(name: str, count: int, seed: int, out: Path, keep_all: bool) -> Iterator[dict[str, Any]]:
    """Write recordings of one class; yields their manifest rows and prints how many draws were recognised."""
    began, kept, recognised, tried = time.monotonic(), 0, 0, 0
    for i in range(count * TRIES):
        take = CLASSES[name](np.random.default_rng((seed, *name.encode(), i)))
        tags = Yamnet.load().tags(take.sound.audio, RATE)
        right = heard(name, [tag for tag, _ in tags])
        tried, recognised = tried + 1, recognised + right
        if right or keep_all:
            kept += 1
            yield write(take, name, seed, i, tags, out)
        if kept == count:
            break
    took = (time.monotonic() - began) / tried
    print(f"{name:30} kept {kept:3d}, recognised {recognised} of {tried}, {took:.2f} s each", flush=True)


def write(
    take: Take, name: str, seed: int, i: int, tags: list[tuple[str, float]], out: Path
) -> dict[str, Any]:
    """One FLAC file and its manifest row."""
    audio = take.sound.audio
    series = f"physical_{name.replace('/', '_')}_{hashlib.sha256(take.model.encode()).hexdigest()[:8]}"
    file = f"audio/physical_{name.replace('/', '_')}_{seed}_{i:03d}.flac"
    soundfile.write(out / file, audio.T, RATE, subtype="PCM_16")
    return {
        "id": Path(file).stem,
        "file": file,
        "caption": take.captions[0],
        "captions": list(take.captions),
        "sound_class": name,
        "material": take.material,
        "kind": take.kind,
        "onsets": list(take.sound.onsets),
        "seconds": round(take.sound.seconds, 4),
        "sample_rate": RATE,
        "channels": 1 if audio.ndim == 1 else 2,
        "peak": round(float(np.abs(audio).max()), 4),
        "yamnet_top5": [[tag, round(score, 3)] for tag, score in tags],
        "package": "reasound.data.physical",
        "licence": "CC0-1.0",
        "licence_group": "CC0/PD",
        "author": "Reasound",
        "source_file": take.model,
        "series": series,
        "split": "train",
    }


if __name__ == "__main__":
    with one_sentence():
        main()
