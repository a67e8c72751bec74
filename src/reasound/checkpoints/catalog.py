"""Where models are: the embedded pocket parts and the sound library, each a small installed package of data."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from reasound.errors import UserError

POCKET, SOUNDS = "reasound_pocket", "reasound_sounds"
_INSTALL = {
    POCKET: "pip install ./models/reasound-pocket",
    SOUNDS: "pip install ./models/reasound-sounds",
}


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
    """Folder of one embedded part: labels, text, codec, dit, yamnet."""
    folder = package_folder(POCKET) / part
    if not folder.is_dir():
        raise UserError(f"the installed reasound-pocket has no {part!r}; reinstall it:  {_INSTALL[POCKET]}")
    return folder


def sounds() -> Path:
    """Folder of the sound library: manifest.jsonl and audio/."""
    return package_folder(SOUNDS)
