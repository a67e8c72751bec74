"""Does a long video cost as much a second as a short one, in the same memory?

    python benchmarks/long.py --seconds 9 60 600

Draws a film of so many seconds (scenes of a few seconds each, with things that bounce, roll and sway), runs
`reasound foley` on it in a process of its own, and prints wall and CPU seconds of work for each second of film and the
highest resident memory. A run also
loads the models, which a short film pays for as much as a long one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FPS = 854, 480, 25


def picture(time: float, seed: int = 0) -> NDArray[np.uint8]:
    """What is on screen: a new scene every 4 to 13 s, drawn from its number."""
    scene, start = 0, 0.0
    while True:
        rng = np.random.default_rng((seed, scene))
        length = rng.uniform(4, 13)
        if time < start + length:
            break
        start, scene = start + length, scene + 1
    now = time - start
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    low, high = rng.uniform(30, 220, 3), rng.uniform(30, 220, 3)
    share = (y / HEIGHT)[..., None]
    out = low * (1 - share) + high * share + 8 * np.sin(x / rng.uniform(5, 40))[..., None]
    floor = rng.uniform(0.7, 0.95) * HEIGHT
    out[int(floor) :] = rng.uniform(30, 220, 3)
    for _ in range(int(rng.integers(1, 4))):
        radius, colour = rng.uniform(20, 60), rng.uniform(0, 255, 3)
        period, across, speed = rng.uniform(0.6, 1.5), rng.uniform(0.1, 0.9), rng.uniform(-60, 60)
        phase = (now / period) % 1
        height = rng.uniform(60, 250) * 4 * phase * (1 - phase)
        at = (across * WIDTH + speed * now) % WIDTH
        out[(x - at) ** 2 + (y - (floor - radius - height)) ** 2 < radius**2] = colour
    return np.clip(out, 0, 255).astype(np.uint8)


def film(path: Path, seconds: float) -> None:
    """Film of so many seconds; a minute is drawn, and longer ones show it again."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        shown: list[av.VideoFrame] = []
        for k in range(round(seconds * FPS)):
            if k < 60 * FPS:
                drawn = av.VideoFrame.from_ndarray(picture(k / FPS), "rgb24").reformat(format="yuv420p")
                shown.append(drawn)
            frame = shown[k % (60 * FPS)]
            frame.pts, frame.time_base = k, Fraction(1, FPS)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


def run(clip: Path, renderer: str) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and MiB of `reasound foley`."""
    command = [sys.executable, "-m", "reasound.cli", "foley", str(clip), "--renderer", renderer, "--force"]
    began = time.monotonic()
    process = subprocess.Popen([*command, "-o", str(clip.with_name("out"))], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{clip.name}: foley ended with {status}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, nargs="+", default=[9, 60, 600])
    parser.add_argument("--renderer", default="auto")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'film':>8} {'wall s':>8} {'CPU s':>8} {'CPU s a second':>15} {'MiB':>6}")
        for seconds in given.seconds:
            clip = Path(folder) / f"film-{seconds:g}.mp4"
            film(clip, seconds)
            wall, cpu, memory = run(clip, given.renderer)
            print(f"{seconds:6g} s {wall:8.1f} {cpu:8.1f} {cpu / seconds:15.2f} {memory:6.0f}", flush=True)


if __name__ == "__main__":
    main()
