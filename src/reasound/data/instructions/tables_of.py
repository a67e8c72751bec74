"""The templates and words beside this file."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources


@cache
def words() -> dict[str, tuple[str, ...]]:
    """Lists of words and phrases by what they are for."""
    return _table("words.json")


@cache
def templates() -> dict[str, tuple[str, ...]]:
    """Sentences with slots by what they ask for."""
    return _table("requests.json")


def _table(name: str) -> dict[str, tuple[str, ...]]:
    folder = resources.files("reasound.data.instructions")
    return {k: tuple(v) for k, v in json.loads(folder.joinpath("tables", name).read_text("utf-8")).items()}
