"""Where models are, where they can be had, and under which licence: the embedded pocket parts, the sound library and
the benchmark, each a small installed package of data, and the released ThinkSound weights in a folder of the user's."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from reasound.checkpoints.encoders import METACLIP, T5
from reasound.errors import UserError

POCKET, SOUNDS, BENCHMARK = "reasound_pocket", "reasound_sounds", "reasound_benchmark"
_INSTALL = {
    POCKET: "pip install ./models/reasound-pocket",
    SOUNDS: "pip install ./models/reasound-sounds",
    BENCHMARK: "pip install ./models/reasound-benchmark",
}
POCKET_LICENCES = {
    "labels": "Apache-2.0",
    "text": "Apache-2.0",
    "codec": "CC-BY-SA-4.0",
    "dit": "CC-BY-SA-4.0",
    "dit-few": "CC-BY-SA-4.0",
    "reasoner": "CC-BY-SA-4.0",
    "yamnet": "Apache-2.0",
}
SOUNDS_LICENCE = "CC-BY-SA-4.0 as a whole, each recording's own in ATTRIBUTION.md"

THINKSOUND = "thinksound"
VERSION = 1
"""Of a converted ThinkSound folder."""

RESEARCH = "research and education only, no commercial use (the authors' terms; the hub tags it Apache-2.0)"
PARTS = {
    "dit": f"ThinkSound: {RESEARCH}",
    "codec": f"ThinkSound: {RESEARCH}",
    "sync": "Synchformer: MIT",
    "metaclip": "MetaCLIP: CC-BY-NC-4.0, no commercial use",
    "t5": "T5 v1.1: Apache-2.0",
}
"""What a converted ThinkSound folder consists of, and the licence of each part's weights."""


@dataclass(frozen=True)
class Origin:
    """A repository of the public hub, and what of it is needed."""

    parts: tuple[str, ...]
    repos: tuple[str, ...]
    """The same files; the second where the first has them not."""
    files: tuple[tuple[str, ...], ...]
    """For each file the names it may have, the best first."""
    extras: tuple[str, ...]
    """Taken if they are there."""
    size: int
    """Bytes of those files, as the hub showed them in 2026."""


LIGHT, TRAINING, VAE, SYNCHFORMER = (
    "thinksound_light.ckpt",
    "thinksound.ckpt",
    "vae.ckpt",
    "synchformer_state_dict.pth",
)
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
ORIGINS = (
    Origin(
        parts=("dit", "codec", "sync"),
        repos=("liuhuadai/ThinkSound", "FunAudioLLM/ThinkSound"),
        files=((LIGHT, TRAINING), (VAE,), (SYNCHFORMER,)),
        extras=(),
        size=9_200_000_000,
    ),
    Origin(
        parts=("metaclip",),
        repos=(METACLIP,),
        files=(("config.json",), _WEIGHTS),
        extras=("vocab.json", "merges.txt", *_TOKENIZER),
        size=3_940_000_000,
    ),
    Origin(
        parts=("t5",),
        repos=(T5,),
        files=(("config.json",), _WEIGHTS),
        extras=("spiece.model", *_TOKENIZER),
        size=11_400_000_000,
    ),
)


def package_folder(package: str) -> Path:
    """The folder of an installed data package; UserError says how to install it."""
    try:
        module = import_module(package)
    except ModuleNotFoundError as error:
        name = package.replace("_", "-")
        raise UserError(f"{name} is not installed; install it with:  {_INSTALL[package]}") from error
    assert module.__file__ is not None
    return Path(module.__file__).parent


def pocket(part: str) -> Path:
    """Folder of one embedded part: labels, text, codec, dit, dit-few, yamnet."""
    folder = package_folder(POCKET) / part
    if not folder.is_dir():
        raise UserError(f"the installed reasound-pocket has no {part!r}; reinstall it:  {_INSTALL[POCKET]}")
    return folder


def sounds() -> Path:
    """Folder of the sound library: manifest.jsonl and audio/."""
    return package_folder(SOUNDS)


def benchmark() -> Path:
    """Folder of what is measured on, never learned from: manifest.jsonl, audio/, sprites.jsonl and sprites/."""
    return package_folder(BENCHMARK)


def models_folder() -> Path:
    """Where pulled models live: $REASOUND_MODELS, or else where this system keeps what can be downloaded again."""
    if chosen := os.environ.get("REASOUND_MODELS"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "reasound" / "models"


def describe(folder: Path) -> dict[str, Any]:
    """What a ThinkSound folder says of itself in model.json. UserError when it is none, or of another version."""
    try:
        found = json.loads((folder / "model.json").read_bytes())
    except OSError as error:
        raise UserError(f"{folder} is not a converted ThinkSound model: it has no model.json") from error
    except ValueError as error:
        raise UserError(f"cannot read {folder / 'model.json'}: {error}") from error
    if not isinstance(found, dict) or found.get("kind") != THINKSOUND:
        raise UserError(f"{folder / 'model.json'} does not describe a ThinkSound model")
    if found.get("version") != VERSION:
        raise UserError(
            f"{folder} is version {found.get('version')} of a ThinkSound model; this program reads version {VERSION}"
        )
    return {"parts": {}} | found


def kind_of(model: str | Path) -> str:
    """ "thinksound" or "pocket", for either name and for a folder of either kind. UserError for anything else."""
    if str(model) in (THINKSOUND, "pocket"):
        return str(model)
    folder = Path(model)
    if (folder / "model.json").is_file():
        return str(describe(folder)["kind"])
    if (folder / "dit" / "config.json").is_file():
        return "pocket"
    if folder.is_dir():
        raise UserError(
            f"{folder} is not the folder of a model: it has neither model.json nor dit/config.json"
        )
    raise UserError(f"there is no model {str(model)!r}: use 'pocket', 'thinksound' or the folder of a model")


def thinksound(model: str | Path = THINKSOUND) -> Path:
    """The folder of the released model: the one in `models_folder`, or the one given. UserError says how to get what is
    missing."""
    folder = models_folder() / THINKSOUND if str(model) == THINKSOUND else Path(model)
    if str(model) == THINKSOUND and not (folder / "model.json").is_file():
        raise UserError(
            "thinksound is not installed: get it with 'reasound models pull thinksound', or convert the files that you "
            "have with 'reasound models convert FOLDER'"
        )
    describe(folder)
    missing = [part for part in PARTS if not (folder / part / "config.json").is_file()]
    if missing:
        raise UserError(
            f"{folder} lacks {' and '.join(missing)}: 'reasound models pull thinksound' gets what is missing, or "
            f"convert it from files that you have with 'reasound models convert FOLDER {folder}'"
        )
    return folder
