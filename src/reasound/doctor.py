"""What this machine has, which models are there, and how fast they run."""

from __future__ import annotations

import os
import platform
import time
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

from reasound import __version__, machine
from reasound.checkpoints import catalog
from reasound.errors import UserError
from reasound.pipeline import Reasound, Report
from reasound.plan import Event, Plan

PARTS = ("labels", "text", "codec", "dit", "dit-few", "yamnet")
LIBRARIES = ("torch", "numpy", "av", "soundfile", "soxr", "opencv-python-headless", "tokenizers", "pydantic")
SELF_TEST_SECONDS = 3


def examine(report: Report) -> dict[str, Any]:
    """Versions, devices, memory, models, a timed self-test; `ok` is False if something needed is missing."""
    report("watching", 0.0)
    models, complete = _models()
    found: dict[str, Any] = {
        "ok": complete,
        "versions": {"reasound": __version__, "python": platform.python_version()}
        | {name: version(name) for name in LIBRARIES},
        "machine": {"system": platform.platform(), "processor": platform.machine()} | _devices(),
        "models": models,
    }
    if complete:
        found["self-test"] = _self_test(report)
    found["thinksound"] = _thinksound()
    return found


def _thinksound() -> dict[str, str]:
    """Are the released weights here, do they fit, and how long would they take?"""
    from reasound.synthesis.thinksound import WORK, needs

    on = machine.device()
    dtype = machine.precision("auto", on)
    name = "bf16" if dtype.itemsize == 2 else "fp32"
    found, folder = {}, None
    try:
        folder = catalog.thinksound("thinksound")
        found["weights"] = f"{_size(folder) / 1e9:.1f} GB in {folder}"
    except UserError as error:
        found["weights"] = str(error)
    wanted, free = needs(dtype, folder), machine.free_memory(on)
    part = max(wanted, key=lambda each: wanted[each])
    fits = "fits" if wanted[part] < free else "does not fit"
    found["memory"] = (
        f"{fits} on {on.type} in {name}: at most {wanted[part] / 2**30:.1f} GiB at once ({part}), "
        f"{free / 2**30:.1f} GiB are free"
    )
    rate = machine.matrix_rate(dtype, on) / 1e12
    found["speed"] = (
        f"about {sum(WORK.values()) / (0.8 * rate):.0f} s for 9 s of sound: "
        f"{sum(WORK.values()):.0f} TFLOP, matrix products run at {rate:.2f} TFLOP/s"
    )
    return found


def _devices() -> dict[str, Any]:
    import psutil
    import torch

    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found: dict[str, Any] = {"cores": threads, "cuda": "none", "apple gpu": torch.backends.mps.is_available()}
    if torch.cuda.is_available():
        found["cuda"] = torch.cuda.get_device_name(0)
    found["memory"] = f"{psutil.virtual_memory().total / 2**30:.1f} GiB"
    found["memory free"] = f"{machine.free_memory(torch.device('cpu')) / 2**30:.1f} GiB"
    return found


def _models() -> tuple[dict[str, str], bool]:
    found, complete = {}, True
    for name, folder in [*((p, lambda p=p: catalog.pocket(p)) for p in PARTS), ("sounds", catalog.sounds)]:
        try:
            found[name] = f"{_size(folder()) / 1e6:.1f} MB"
        except UserError as error:
            found[name], complete = str(error), False
    return found, complete


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _self_test(report: Report) -> dict[str, str]:
    """Seconds to load everything, then to make a short sound with both renderers."""
    started = time.perf_counter()
    engine = Reasound()
    engine.labels, engine.text, engine.library, engine.generator  # noqa: B018 (each loads its model)
    loaded = time.perf_counter()
    found = {"load": f"{loaded - started:.2f} s"}
    hits = (0.5, 1.2, 1.9)
    knock = Event(
        id="knock",
        source="a hammer",
        sound="a hammer hits wood",
        end=3,
        onsets=hits,
        sound_class="tool/hammer",
    )
    plan = Plan(seconds=SELF_TEST_SECONDS, events=(knock,))
    for renderer in ("library", "model"):
        before = time.perf_counter()
        layers = engine.render(plan, Fraction(SELF_TEST_SECONDS), 0, None, renderer)
        engine.mix(layers, -23.0, -1.0)
        found[renderer] = f"{time.perf_counter() - before:.2f} s for {SELF_TEST_SECONDS} s of sound"
        report("generating", 1.0)
    return found
