"""From a name that a user types to a tracker or a finder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from reasound.errors import UserError
from reasound.media.video import Clip
from reasound.perception.features import Features, Shot
from reasound.perception.regions.default import DefaultTracker
from reasound.perception.regions.phrase import PocketFinder
from reasound.perception.regions.value import Click, Drawn, Track
from reasound.plan import Region

TRACKERS = "default, or sam2:, sam3: or edgetam: and a FOLDER_OR_HUB_NAME"
FINDERS = "pocket or grounding-dino:FOLDER_OR_HUB_NAME"


class Tracker(Protocol):
    """Follows a thing."""

    @property
    def name(self) -> str: ...

    def follow(self, clip: Clip, query: Click | Drawn, at: float, shots: Sequence[Shot] = ()) -> Track:
        """From what is pointed at at `at` seconds, forwards and backwards, to every frame. UserError."""
        ...


class Finder(Protocol):
    """Finds what a phrase names."""

    @property
    def name(self) -> str: ...

    def find(self, clip: Clip, text: str, at: float, features: Features | None = None) -> Region:
        """Its box at `at` seconds. UserError where nothing is called so, or several things are."""
        ...


def open_tracker(name: str = "default", *, download: bool = False) -> Tracker:
    """`download`: the user allowed to get a model from the hub. Nothing is loaded before it follows something.
    UserError for other names."""
    kind, _, rest = name.partition(":")
    if name == "default":
        return DefaultTracker()
    if kind in ("sam2", "sam3", "edgetam") and rest:
        from reasound.perception.regions.large import Segmenter

        return Segmenter(kind, rest, download=download)
    raise UserError(f"there is no tracker {name!r}; it is {TRACKERS}")


def open_finder(name: str = "pocket", *, download: bool = False) -> Finder:
    """As `open_tracker`."""
    kind, _, rest = name.partition(":")
    if name == "pocket":
        return PocketFinder()
    if kind == "grounding-dino" and rest:
        from reasound.perception.regions.large import GroundingDino

        return GroundingDino(rest, download=download)
    raise UserError(f"there is no finder {name!r}; it is {FINDERS}")
