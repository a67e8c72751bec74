"""The default back end: seed, follow forwards and backwards, all frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reasound.media.video import Clip
from reasound.perception.features import Shot
from reasound.perception.regions import seed
from reasound.perception.regions.follow import follow, moving
from reasound.perception.regions.reel import FASTEST, Reel, for_all_frames, smoothed_gaps
from reasound.perception.regions.value import Bools, Click, Drawn, Track, box_of


class DefaultTracker:
    """Needs no weights. Click and box are seen in the picture on screen at that time."""

    name = "default"

    def __init__(self, fastest: float = FASTEST) -> None:
        """`fastest`: pictures a second that are looked at, at most. More cost more, and what falls is lost less."""
        self.fastest = fastest

    def follow(self, clip: Clip, query: Click | Drawn, at: float, shots: Sequence[Shot] = ()) -> Track:
        """See `Tracker.follow`."""
        reel = Reel(clip, at, shots, fastest=self.fastest)
        start = reel.number(at)
        first = _seed(reel, start, query)
        size = np.array(first.shape[::-1] * 2, np.float32)
        box = box_of(first)
        assert box is not None
        masks = np.zeros((reel.count, *first.shape), bool)
        boxes = np.zeros((reel.count, 4), np.float32)
        sure = np.zeros(reel.count, np.float32)
        masks[start], boxes[start], sure[start] = first, box * size, 1.0
        for numbers in (range(start + 1, reel.count), range(start - 1, -1, -1)):
            found = follow(reel, start, first, numbers)
            for k, mask, box, confidence in zip(numbers, *found, strict=True):
                masks[k], boxes[k], sure[k] = mask, box, confidence
        boxes = smoothed_gaps(reel, np.clip(boxes / size, 0, 1), sure)
        return for_all_frames(reel, boxes, masks, sure)


def _seed(reel: Reel, k: int, query: Click | Drawn) -> Bools:
    if isinstance(query, Drawn):
        return seed.in_box(reel[k], query.box)
    return seed.at_point(reel[k], query.x, query.y, moving(reel, k))
