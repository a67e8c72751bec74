"""What a person points at, followed through a clip.

found = track(clip, Click(0.4, 0.6), at=1.5)
found.region_at(2.0), found.path(), found.confidence
close_up(clip, found)                                   # a clip of that thing alone
"""

from __future__ import annotations

from collections.abc import Sequence

from reasound.errors import UserError
from reasound.media.video import Clip
from reasound.perception.features import Features, Shot
from reasound.perception.regions.choose import Finder, Tracker, open_finder, open_tracker
from reasound.perception.regions.closeup import CloseUp, close_up
from reasound.perception.regions.value import Click, Drawn, Phrase, Query, Track, checked

__all__ = [
    "Click",
    "CloseUp",
    "Drawn",
    "Finder",
    "Phrase",
    "Query",
    "Track",
    "Tracker",
    "close_up",
    "open_finder",
    "open_tracker",
    "track",
]


def track(
    clip: Clip,
    query: Query,
    at: float,
    *,
    features: Features | None = None,
    shots: Sequence[Shot] | None = None,
    tracker: Tracker | None = None,
    finder: Finder | None = None,
) -> Track:
    """Follow what is pointed at at `at` seconds through the whole clip, forwards and backwards.

    Args:
        features: what perception saw of the clip; phrases are matched with it, too.
        shots: where cuts are; by default those of the features. Without either the clip is taken for one shot.
        tracker, finder: see `open_tracker` and `open_finder`; by default those that need nothing else.

    UserError for a time outside the clip, a click outside the picture, an empty box, and a phrase that fits nothing
    or several things.
    """
    if clip.seconds <= 0 or min(clip.width, clip.height) < 1:
        raise UserError(f"{clip.name} holds no pictures, so nothing in it can be pointed at")
    checked(query, at, float(clip.seconds))
    if shots is None:
        shots = features.shots if features else ()
    if isinstance(query, Phrase):
        query = Drawn((finder or open_finder()).find(clip, query.text, at, features))
    return (tracker or open_tracker()).follow(clip, query, at, shots)
