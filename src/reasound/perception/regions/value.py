"""What a person points at, and where that thing is in every frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reasound.errors import UserError
from reasound.perception.features import Floats
from reasound.plan import Place, Region

Bools = NDArray[np.bool_]

PRESENT = 0.5
"""Confidence from which the thing is taken to be in the picture."""
WIDTH = 1.4
"""Pan from the left to the right edge of the picture: what is at the edge (0.7) is still in front."""
DISTANCE = 3.0
"""Metres that a thing is taken to be away where it is as large as it mostly is."""
_OFTEN = 5.0
"""Places a second that `path` looks at."""
_CALM = 0.4
"""Seconds over which `path` takes the median: a box trembles, its sound must not."""


@dataclass(frozen=True)
class Click:
    """A point on the thing, in fractions of the picture: x to the right, y down."""

    x: float
    y: float


@dataclass(frozen=True)
class Drawn:
    """A box round the thing."""

    box: Region


@dataclass(frozen=True)
class Phrase:
    """What the thing is called."""

    text: str


Query = Click | Drawn | Phrase


@dataclass(frozen=True)
class Track:
    """Where a thing is in each of a clip's F frames."""

    times: Floats
    """[F] seconds at which the frames come on screen."""
    boxes: Floats
    """[F, 4] x0, y0, x1, y1 in fractions of the picture; while the thing is lost, where it may be."""
    masks: Bools
    """[F, h, w] at the working resolution; empty while the thing is lost."""
    confidence: Floats
    """[F] 0 to 1: falls when the thing is lost and recovers when it returns."""

    @property
    def present(self) -> Bools:
        """[F] whether the thing is seen."""
        return np.asarray(self.confidence >= PRESENT)

    def region_at(self, time: float) -> Region:
        """The box of the frame on screen at `time` seconds."""
        return _region(self.boxes[self._frame(time)])

    def whole(self) -> Region:
        """All places where the thing is seen, in one box; of a thing that is never seen, the first."""
        boxes = self.boxes[self.present] if self.present.any() else self.boxes[:1]
        return _region(np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)]))

    def path(self) -> tuple[Place, ...]:
        """Where its sound comes from, five times a second while it moves, one place if it never does.

        Pan goes with the middle of the box. Distance goes with its size (half as large is twice as far), from 3 m
        where it has its median size.
        """
        seen = self.present if self.present.any() else np.ones(len(self.times), bool)
        centre = (self.boxes[:, 0] + self.boxes[:, 2]) / 2
        side = np.sqrt(np.prod(self.boxes[:, 2:] - self.boxes[:, :2], axis=1))
        count = max(1, round(float(self.times[-1] - self.times[0]) * _OFTEN) + 1)
        usual = float(np.median(side[seen]))
        places: list[Place] = []
        for time in np.linspace(float(self.times[0]), float(self.times[-1]), count):
            near = seen & (np.abs(self.times - time) <= _CALM / 2)
            if not near.any():
                continue
            far = DISTANCE * usual / max(float(np.median(side[near])), 1e-3)
            pan = pan_at(float(np.median(centre[near])))
            places.append(
                Place(time=round(float(time), 3), pan=pan, distance=round(float(np.clip(far, 0.5, 50)), 1))
            )
        if not places:  # frames further apart than the calm
            k = int(np.flatnonzero(seen)[0])
            places = [Place(time=float(self.times[k]), pan=pan_at(float(centre[k])), distance=DISTANCE)]
        same = all(abs(p.pan - places[0].pan) < 0.03 and p.distance == places[0].distance for p in places)
        return tuple(places[:1] if same else places)

    def _frame(self, time: float) -> int:
        return max(0, int(np.searchsorted(self.times, time + 1e-4, side="right")) - 1)


def pan_at(x: float) -> float:
    """Where in the picture, 0 left to 1 right -> pan."""
    return round(float(np.clip(WIDTH * (x - 0.5), -WIDTH / 2, WIDTH / 2)), 2)


def box_of(mask: Bools) -> Floats | None:
    """[h, w] -> x0, y0, x1, y1 in fractions; None of an empty mask."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    if not width:
        return None
    size = np.array(mask.shape[::-1] * 2, np.float32)
    return np.array([x, y, x + width, y + height], np.float32) / size


def checked(query: Query, at: float, seconds: float) -> None:
    """UserError for a time outside the clip, a click outside the picture and a box that is empty there."""
    if not 0 <= at <= seconds:
        raise UserError(f"the clip lasts {seconds:g} s, so nothing can be pointed at at {at:g} s")
    if isinstance(query, Click) and not (0 <= query.x <= 1 and 0 <= query.y <= 1):
        raise UserError(
            f"the click at {query.x:g}, {query.y:g} is outside the picture, whose corners are 0, 0 and 1, 1"
        )
    if isinstance(query, Drawn) and min(query.box.x1 - query.box.x0, query.box.y1 - query.box.y0) < 0.004:
        raise UserError("the box is empty; draw it round the thing that is meant")
    if isinstance(query, Phrase) and not query.text.strip():
        raise UserError("the phrase is empty; say what is meant, for instance: the dog")


def _region(box: Floats) -> Region:
    x0, y0, x1, y1 = (float(v) for v in np.clip(box, 0, 1))
    # A box has an inside, even where the thing has nearly left the picture.
    x0, y0 = min(x0, 0.999), min(y0, 0.999)
    return Region(x0=x0, y0=y0, x1=max(x1, x0 + 0.001), y1=max(y1, y0 + 0.001))
