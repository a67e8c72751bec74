"""How fast and how exact the embedded model and the library renderer are, in one report.

    python benchmarks/pocket.py --clips DIR [--only speed,lengths,same,start] [--json FILE]

`--clips` is a folder of videos. How good it sounds is measured by `reasound evaluate`. Parts:

speed    every clip becomes a take: seconds for each second of video
lengths  sound length equals picture length; no step in level where the model's windows join
same     same seed, same bytes; alone as in a batch
start    seconds to import and load, peak memory of a whole command
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from reasound import Clip, Output, Reasound, foley
from reasound.errors import UserError
from reasound.plan import Event, Plan
from reasound.synthesis.model import OVERLAP
from reasound.synthesis.windows import spans
from reasound.timeline import SAMPLE_RATE, SAMPLES_PER_LATENT, Timeline, samples

LENGTHS = (Fraction("0.4"), Fraction(1), Fraction("5.005"), Fraction(9), Fraction("10.024"), Fraction(61))


def speed(engine: Reasound, folder: Path) -> dict[str, Any]:
    """Every clip becomes a take on disk: seconds for each second of video."""
    paths = sorted(folder.glob("*.mp4"))
    engine.perceive(Clip.open(paths[0]))  # loads what loads once
    rows, took, seconds = [], 0.0, 0.0
    for path in paths:
        clip = Clip.open(path)
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as out:
            foley(engine, clip).save(Output.named(Path(out) / "x"), clip)
        one = time.perf_counter() - began
        rows.append({"clip": path.stem, "seconds": float(clip.seconds), "took": one})
        took, seconds = took + one, seconds + float(clip.seconds)
        print(rows[-1], file=sys.stderr)
    return {"rows": rows, "seconds per second": took / seconds}


def lengths(engine: Reasound) -> dict[str, Any]:
    """Clips of awkward durations through both renderers, and the level on both sides of every window join."""
    plan_of = lambda s: Plan(  # noqa: E731
        seconds=float(s), events=(Event(id="rain", source="rain", sound="steady rain", end=float(s)),)
    )
    rows = []
    for seconds in LENGTHS:
        with tempfile.TemporaryDirectory() as folder:
            clip = Clip.open(blank(Path(folder) / "blank.mp4", seconds))
            for renderer in ("library", "model"):
                take = foley(engine, clip, plan=plan_of(clip.seconds), renderer=renderer)
                row: dict[str, Any] = {"seconds": float(clip.seconds), "renderer": renderer}
                row["exact"] = take.audio.shape[1] == samples(clip.seconds)
                if renderer == "model":
                    row |= jumps(take.audio, joins(engine, float(clip.seconds)))
                rows.append(row)
                print(row, file=sys.stderr)
    return {"rows": rows}


def joins(engine: Reasound, seconds: float) -> list[float]:
    """Where one window of the model takes over from the one before, in seconds."""
    span = engine.generator.model.dit.config.span
    windows = spans(Timeline(seconds).latents, span, span // OVERLAP)
    return [t * SAMPLES_PER_LATENT / SAMPLE_RATE for a, b in pairwise(windows) for t in (b[0], a[1])]


def jumps(audio: np.ndarray, at: list[float], span: float = 0.4) -> dict[str, float]:
    """Largest step in level (dB, `span` seconds on each side) at these times, and the median of steps elsewhere."""
    power = np.concatenate([[0.0], np.cumsum((audio.astype(np.float64) ** 2).mean(0))])
    n = int(span * SAMPLE_RATE)

    def step(t: float) -> float:
        i = int(t * SAMPLE_RATE)
        before, after = power[i] - power[i - n], power[i + n] - power[i]
        return abs(10 * np.log10((after + 1e-12) / (before + 1e-12)))

    inside = [t for t in at if span <= t <= audio.shape[1] / SAMPLE_RATE - span]
    if not inside:
        return {}
    elsewhere = [step(t) for t in np.arange(span, audio.shape[1] / SAMPLE_RATE - span, 0.25)]
    return {
        "largest step at a join": max(step(t) for t in inside),
        "median step elsewhere": float(np.median(elsewhere)),
        "95th percentile elsewhere": float(np.quantile(elsewhere, 0.95)),
    }


def blank(path: Path, seconds: Fraction) -> Path:
    """A grey clip of exactly this length."""
    rate = Fraction(30) if (seconds * 30).denominator == 1 else Fraction(30_000, 1001)
    if (seconds * rate).denominator != 1:
        rate = (
            Fraction(125, 4) if (seconds * Fraction(125, 4)).denominator == 1 else 1 / Fraction(seconds / 200)
        )
    with av.open(str(path), "w") as box:
        stream = box.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for k in range(int(seconds * rate)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
            frame.pts, frame.time_base = k, 1 / rate
            box.mux(stream.encode(frame))
        box.mux(stream.encode(None))
    return path


def same(engine: Reasound, clip: Path) -> dict[str, Any]:
    """Two runs byte by byte; one event alone and among four."""
    digests = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a", "b"):
            command = [sys.executable, "-m", "reasound.cli", "foley", str(clip), "-o", f"{folder}/{name}"]
            subprocess.run([*command, "--renderer", "model", "--steps", "4"], check=True, capture_output=True)
            files = sorted(p for p in Path(folder, f"{name}.take").rglob("*") if p.is_file())
            digests.append([hashlib.sha256(p.read_bytes()).hexdigest() for p in files])
    words = ("a dog barks", "rain on a roof", "a bell rings", "footsteps on gravel")
    events = tuple(Event(id=f"e{i}", source="x", sound=w, end=3.0) for i, w in enumerate(words))
    plan = Plan(seconds=3.0, events=events)
    together = engine.render(plan, Fraction(3), 5, None, "model")
    gap = 0.0
    for i, layer in enumerate(together):
        (alone,) = engine.render(plan.only([f"e{i}"]), Fraction(3), 5, None, "model")
        gap = max(gap, float(np.abs(alone.audio - layer.audio).max()))
    return {"same bytes": digests[0] == digests[1], "alone against a batch of 4": gap}


def start(clip: Path) -> dict[str, Any]:
    """A fresh process: import and load; then a whole command with its peak memory."""
    code = (
        "import time; t = time.perf_counter(); from reasound import Reasound; e = Reasound();"
        "e.labels, e.text, e.library, e.generator; print(time.perf_counter() - t)"
    )
    loads = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(3)]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [sys.executable, "-m", "reasound.cli", "foley", str(clip), "-o", f"{folder}/x", "--json"]
        done = json.loads(subprocess.check_output(command))
        took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return {
        "import and load": float(np.median(loads)),
        "whole command": took,
        "of which by stage": done["seconds"],
        "clip seconds": float(Fraction(done["source"]["seconds"])),
        "peak GiB": peak,
    }


def machine() -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"python": platform.python_version(), "cores": cores, "load": os.getloadavg()[0]}


def parts(args: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    engine = Reasound()
    nine = (
        args.clips / "hammer.mp4" if (args.clips / "hammer.mp4").is_file() else next(args.clips.glob("*.mp4"))
    )
    for name in args.only.split(","):
        if name == "speed":
            yield name, speed(engine, args.clips)
        elif name == "lengths":
            yield name, lengths(engine)
        elif name == "same":
            yield name, same(engine, nine)
        elif name == "start":
            yield name, start(nine)
        else:
            raise UserError(f"there is no part {name!r}; choose from speed, lengths, same, start")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--only", default="start,speed,lengths,same")
    parser.add_argument("--json", type=Path, help="write the whole report here")
    args = parser.parse_args()
    report: dict[str, Any] = {"machine": machine()}
    for name, found in parts(args):
        report[name] = found
        print(json.dumps({name: {k: v for k, v in found.items() if k != "rows"}}, indent=1))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
