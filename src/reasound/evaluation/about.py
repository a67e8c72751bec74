"""What a report is about: the code, the models, the recordings and the machine, by hashes and names that stay the same
from run to run."""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path
from typing import Any

import reasound
from reasound.checkpoints import catalog


def about(model: str = "pocket", **arguments: Any) -> dict[str, Any]:
    """Versions, hashes and machine; `arguments` are those that shaped the report."""
    return {
        "reasound": reasound.__version__,
        "code": code(),
        "models": models(model),
        "sounds": digest(catalog.sounds() / "manifest.jsonl"),
        "machine": machine(),
        "arguments": {"model": model} | arguments,
    }


def code() -> str:
    """A digest of the program itself."""
    folder = Path(str(reasound.__file__)).parent
    files = sorted(p for p in folder.rglob("*") if p.suffix in (".py", ".json", ".html", ".css", ".js"))
    together = hashlib.sha256()
    for path in files:
        together.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return together.hexdigest()[:12]


def models(model: str) -> dict[str, str]:
    """Part -> the digest of its weights."""
    if catalog.kind_of(model) == catalog.THINKSOUND:
        parts = {name: catalog.thinksound(model) / name for name in catalog.PARTS}
    else:
        parts = {name: catalog.pocket(name) for name in catalog.POCKET_LICENCES}
        if model != "pocket":
            parts |= {name: Path(model) / name for name in ("codec", "dit")}
    return {name: digest(folder / "config.json") for name, folder in parts.items()}


def digest(path: Path) -> str:
    """Of a file: the first 12 digits of its SHA-256. A model's config.json holds the hash of its weights."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def machine() -> dict[str, Any]:
    import numpy
    import torch

    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
