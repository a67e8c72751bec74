"""A followed thing as a clip of its own, so that perception can look at it alone: its own motion, its own onsets.

The window follows the thing slowly. A window that kept the thing in its middle would hide how it falls and stops; one
that stood still would be as large as all that it passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from fractions import Fraction

import cv2
import numpy as np

from reasound.media.video import Clip, Picture
from reasound.perception.features import Floats
from reasound.perception.regions.value import Track

_AROUND = 0.25  # of the box, on each side
_SLOW = 0.5  # seconds: standard deviation of the mean over which the window follows
_LEAST = 0.12  # of the picture's shorter side
_REACHED = 0.9  # share of the frames in which the whole box is inside


@dataclass(frozen=True)
class CloseUp(Clip):
    """A part of the picture of another clip, of constant size, that moves with a thing. `width` and `height` are its
    own; times and sound are those of the other clip."""

    source: Clip | None = None
    window_times: tuple[float, ...] = ()
    """Seconds in the source."""
    window_corners: tuple[tuple[float, float], ...] = ()
    """Left and top of the window at these times, in pixels of the source."""
    since: Fraction = Fraction(0)
    """Where this part begins, in seconds of the source that the windows were made for."""

    def cut(self, start: float | Fraction, end: float | Fraction) -> CloseUp:
        """See `Clip.cut`."""
        assert self.source is not None
        part = self.source.cut(start, end)
        return replace(
            self,
            source=part,
            start=part.start,
            seconds=part.seconds,
            since=self.since + part.start - self.start,
        )

    def frames(
        self,
        rate: float | Fraction | None = None,
        width: int | None = None,
        *,
        nearest: bool = False,
        count: int | None = None,
    ) -> Iterator[tuple[float, Picture]]:
        """See `Clip.frames`."""
        assert self.source is not None
        scale = 1.0 if width is None else min(1.0, width / self.width)
        size = (max(1, round(self.width * scale)), max(1, round(self.height * scale)))
        whole = max(1, round(self.source.width * scale))
        last: tuple[Picture, Picture] | None = None
        for time, picture in self.source.frames(rate, whole, nearest=nearest, count=count):
            if last is None or last[0] is not picture:
                corner = self.corner(time) * (picture.shape[1] / self.source.width)
                matrix = np.array([[1, 0, -corner[0]], [0, 1, -corner[1]]], np.float64)
                cut = cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REPLICATE)
                last = picture, np.asarray(cut, np.uint8)
            yield time, last[1]

    def corner(self, time: float) -> Floats:
        """Left and top of the window at a time of this part, in pixels of the source."""
        time += float(self.since)
        corners = np.asarray(self.window_corners)
        return np.array([np.interp(time, self.window_times, corners[:, i]) for i in (0, 1)], np.float32)


def close_up(clip: Clip, found: Track) -> CloseUp:
    """The part of the picture where a thing is, with some of its surroundings, inside the picture at all times.

    What is lost stays in view where it may be. Things beside it that come near are seen, too.
    """
    size = np.array([clip.width, clip.height], np.float32)
    boxes = found.boxes * np.tile(size, 2)
    middle = ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.float32)
    slow = np.stack([_slowly(found.times, middle[:, i]) for i in (0, 1)], 1)
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    reach = np.abs(middle - slow) + half * (1 + 2 * _AROUND)
    counted = found.present if found.present.any() else np.ones(len(boxes), bool)
    window = 2 * np.quantile(reach[counted], _REACHED, axis=0)
    window = np.minimum(np.maximum(window, _LEAST * size.min()), size)
    width, height = (max(1, min(round(float(w)), int(s))) for w, s in zip(window, size, strict=True))
    corners = np.clip(slow - np.array([width, height]) / 2, 0, size - (width, height))
    own = {f.name: getattr(clip, f.name) for f in fields(Clip)}
    return CloseUp(
        **own | {"width": width, "height": height},
        source=clip,
        window_times=tuple(map(float, found.times)),
        window_corners=tuple((float(x), float(y)) for x, y in corners),
    )


def _slowly(times: Floats, values: Floats) -> Floats:
    """The mean [F] of values over the time around, by a Gaussian; only what is near counts."""
    out = np.empty_like(values)
    first = np.searchsorted(times, times - 3 * _SLOW)
    last = np.searchsorted(times, times + 3 * _SLOW, side="right")
    for k, (a, b) in enumerate(zip(first, last, strict=True)):
        weight = np.exp(-0.5 * ((times[a:b] - times[k]) / _SLOW) ** 2)
        out[k] = (weight * values[a:b]).sum() / weight.sum()
    return out
