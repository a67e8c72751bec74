"""A process that lets commands on a take begin and kills them: half of them as they touch the disk, half at any time.

    python killed.py TAKE.take FOLDER COMMANDS.json

It does every command once itself, in one thread, so that its children begin with all that is loaded. It prints a line
of JSON for each child.
"""

import functools
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import cv2

from reasound import pipeline
from reasound.cli import app
from reasound.history import History

TOUCHED = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.chmod", "shutil.rmtree")
KILLS = 50


def files(folder: Path) -> dict[str, bytes]:
    """Of a take, without those of its history."""
    inside = {p.relative_to(folder): p for p in folder.rglob("*") if p.is_file()}
    return {str(name): p.read_bytes() for name, p in inside.items() if name.parts[0] != "history"}


count, fatal = 0, 0  # how often the disk was touched; at which time it ends


def watch(out: Path) -> None:
    """Count, from now on, what writes to a folder."""

    def touched(event: str, values: tuple) -> None:
        global count
        writes = event == "open" and isinstance(values[2], int) and values[2] & (os.O_WRONLY | os.O_RDWR)
        if (writes or event in TOUCHED) and str(out) in str(values[0]):
            count += 1
            if count == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(touched)


def begin(arguments: list[str], at: int = 0) -> int:
    """A child that does a command, and is killed as it is about to touch the disk for the `at`-th time."""
    global count, fatal
    child = os.fork()
    if child:
        return child
    count, fatal = 0, at
    try:
        app(arguments, standalone_mode=False)
    finally:
        os._exit(0)


def main() -> None:
    source, out, commands = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    rng, answers = random.Random(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    cv2.setNumThreads(1)
    pipeline.Reasound = functools.cache(pipeline.Reasound)
    watch(out)
    take, video = out / "out.take", out / "out.mp4"
    first = files(source)

    def renew() -> None:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        shutil.copytree(source, take)
        shutil.copy(source.with_suffix(".mp4"), video)

    whole = []
    for name, *more in commands:
        renew()
        app([name, str(take), *more], standalone_mode=False)
        renew()
        before, began = count, time.monotonic()
        app([name, str(take), *more], standalone_mode=False)
        whole.append((count - before, time.monotonic() - began))
    for k in range(KILLS):
        (name, *more), (touches, seconds) = commands[k % len(commands)], whole[k % len(commands)]
        renew()
        if k % 4 < 2:
            _, status = os.waitpid(begin([name, str(take), *more], rng.randint(1, touches)), 0)
        else:
            child = begin([name, str(take), *more])
            time.sleep(rng.uniform(0.0, 1.0) * seconds)
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        with History.open(take) as past:
            entries = past.entries
            opened = all(past.load(e.id).id == e.id for e in entries)
            parent = take if entries[0].is_head else take / "history" / entries[0].id
            kept = files(parent) == first
        seen = {
            "command": name,
            "killed": os.WIFSIGNALED(status),
            "opened": opened,
            "kept": kept,
            "takes": len(entries),
            "video": video.read_bytes() == (take / "preview.mp4").read_bytes(),
            "there": sorted(p.name for p in out.iterdir()),
        }
        os.write(answers, (json.dumps(seen) + "\n").encode())


if __name__ == "__main__":
    main()
