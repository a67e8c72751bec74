"""Reasound: video in, sound out, by reasoning first.

>>> from reasound import Reasound, Clip, foley
>>> take = foley(Reasound(), Clip.open("clip.mp4"))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from reasound.media.video import Clip as Clip
    from reasound.pipeline import Reasound as Reasound
    from reasound.plan import Plan as Plan
    from reasound.stages.foley import foley as foley
    from reasound.take import Output as Output
    from reasound.take import Take as Take

_HOMES = {
    "Clip": "reasound.media.video",
    "Output": "reasound.take",
    "Plan": "reasound.plan",
    "Reasound": "reasound.pipeline",
    "Take": "reasound.take",
    "foley": "reasound.stages.foley",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Public names load their file when first used: importing costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'reasound' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
