"""What the benchmark is made of: recordings that no shipped weight may learn from, and cut-out pictures of things.

heldout = Heldout.load()
heldout.sprites_of("animal/dog")[0].picture          # [h, w, 4]
LibraryRenderer(heldout.library)                      # the true sound of a scene
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reasound.checkpoints.catalog import benchmark
from reasound.data.manifest import Recording
from reasound.errors import UserError
from reasound.synthesis.match import Library


@dataclass(frozen=True)
class Sprite:
    """A thing cut out of its picture."""

    label: str
    """What it is: "dog"."""
    sound_class: str
    """What it sounds like; a class without recordings is only seen."""
    file: Path

    @cached_property
    def picture(self) -> NDArray[np.uint8]:
        """[h, w, 4] RGBA, not premultiplied, at most 256 a side; read when first asked for. UserError when it cannot
        be."""
        stored = cv2.imread(str(self.file), cv2.IMREAD_UNCHANGED)
        if stored is None or stored.ndim != 3 or stored.shape[2] != 4:
            raise UserError(f"cannot read the picture {self.file}: it is no image with transparency")
        picture: NDArray[np.uint8] = cv2.cvtColor(stored, cv2.COLOR_BGRA2RGBA).astype(np.uint8)
        picture.flags.writeable = False  # it is shared
        return picture


class Heldout:
    """The held-out recordings, as a sound library, and the pictures."""

    def __init__(self, library: Library, sprites: tuple[Sprite, ...]) -> None:
        self.library, self.sprites = library, sprites

    @classmethod
    def load(cls, folder: Path | None = None) -> Heldout:
        """From a folder with the library's files, sprites.jsonl and sprites/; without one, the installed benchmark.
        UserError where it is missing or damaged."""
        folder = folder or benchmark()
        return cls(Library.load(folder), _sprites(folder))

    def classes(self) -> tuple[str, ...]:
        """Those that have recordings, in alphabetical order."""
        return tuple(sorted(self.library.classes))

    def sprites_of(self, sound_class: str) -> tuple[Sprite, ...]:
        """The pictures of what makes such sounds; none for most classes."""
        return tuple(s for s in self.sprites if s.sound_class == sound_class)

    def recording(self, sound_class: str, rng: np.random.Generator) -> Recording:
        """One of the class, all equally likely. ValueError where it has none."""
        if sound_class not in self.library.classes:
            raise ValueError(f"no recording of {sound_class!r} is held out")
        places = self.library.classes[sound_class]
        return self.library.recordings[places[int(rng.integers(len(places)))]]


def _sprites(folder: Path) -> tuple[Sprite, ...]:
    path = folder / "sprites.jsonl"
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return tuple(Sprite(row["label"], row["sound_class"], folder / row["file"]) for row in rows)
    except OSError as error:
        raise UserError(
            f"cannot read the pictures {path}: {(error.strerror or str(error)).lower()}"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} does not list pictures: {error}") from error
