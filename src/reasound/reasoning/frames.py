"""Which pictures of a clip a large model is shown, each with its time, within a budget of tokens.

Large models see no motion between pictures, so a few of every shot tell them as much as many; when something happens
they are told in words (`prompts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from reasound.errors import UserError
from reasound.perception.features import Shot
from reasound.plan import Region

if TYPE_CHECKING:
    from reasound.media.video import Clip

Picture = NDArray[np.uint8]  # [H, W, 3] red, green, blue

BUDGET = 8192
"""Tokens that all pictures of a clip may take: a quarter of the context of common models."""
SIDE = 448
"""Pixels of a picture's longer side."""
OFTEN = 2.0
"""Pictures a second, at most."""
_GRID = 8
"""Times a second at which pictures of short clips are taken: all are met in one pass through the file."""
_SHORT = 60.0
"""Seconds up to which one pass is quicker than to look for every picture."""
_MARGIN = 0.15
"""Of a region's width and height, seen around it."""


@dataclass(frozen=True)
class Frame:
    """A picture and when it is on screen."""

    time: float
    picture: Picture
    says: str = ""
    """What it shows, where that is not the whole picture."""


def moments(shots: Sequence[Shot], most: int) -> tuple[float, ...]:
    """Up to `most` times in order: the middle of each shot first, then more of the longest, `OFTEN` a second at most.

    Of more shots than that, those are seen that are on screen at evenly spaced times.
    """
    if len(shots) > most:
        seconds = shots[-1].end
        even = [(i + 0.5) * seconds / most for i in range(most)]
        shots = [s for s in shots if any(s.start <= t < s.end for t in even)]
    counts = [1] * len(shots)
    while sum(counts) < most:
        gaps = [(s.end - s.start) / count for s, count in zip(shots, counts, strict=True)]
        widest = int(np.argmax(gaps))
        if gaps[widest] <= 1 / OFTEN:
            break
        counts[widest] += 1
    return tuple(
        s.start + (i + 0.5) * (s.end - s.start) / count
        for s, count in zip(shots, counts, strict=True)
        for i in range(count)
    )


def frames(
    clip: Clip, shots: Sequence[Shot], each: int, budget: int = BUDGET, side: int = SIDE
) -> tuple[Frame, ...]:
    """Pictures of the clip's shots, at most `side` pixels long, as many as a budget of tokens allows at `each` tokens
    a picture, at least one. UserError for a clip without pictures.
    """
    seconds = float(clip.seconds)
    if seconds <= 0 or not shots:
        raise UserError(f"{clip.name} holds no pictures, so there is nothing to reason about")
    times = moments(shots, max(1, budget // each))
    width = max(1, round(side * clip.width / max(clip.width, clip.height, 1)))
    if seconds <= _SHORT:
        wanted = sorted({min(round(t * _GRID), max(0, int(seconds * _GRID) - 1)) for t in times})
        taken = clip.frames(_GRID, width)
        return tuple(Frame(time, picture) for k, (time, picture) in enumerate(taken) if k in wanted)
    found = []
    for time in times:
        begin = min(time, seconds - 1 / _GRID)
        part = clip.cut(begin, min(begin + 1 / _GRID, seconds))
        _, picture = next(iter(part.frames(Fraction(_GRID), width, count=1)))
        found.append(Frame(round(begin, 3), picture))
    return tuple(found)


def of_region(
    clip: Clip,
    shots: Sequence[Shot],
    region: Region,
    each: int,
    budget: int = BUDGET,
    side: int = SIDE,
) -> tuple[Frame, ...]:
    """One whole picture with the region framed in red, from the middle of the clip, then the region close up."""
    share = max(region.x1 - region.x0, region.y1 - region.y0)
    whole = frames(clip, shots, each, max(each, budget - each), round(min(3.0, 1 / share) * side))
    middle = whole[len(whole) // 2]
    framed = _fitted(middle.picture, side)
    height, width = framed.shape[:2]
    start, end = (
        (round(x * (width - 1)), round(y * (height - 1)))
        for x, y in ((region.x0, region.y0), (region.x1, region.y1))
    )
    framed = np.asarray(cv2.rectangle(framed.copy(), start, end, (255, 0, 0), max(2, side // 150)), np.uint8)
    first = Frame(middle.time, framed, "the whole picture, the object framed in red")
    return (first, *(Frame(f.time, _close(f.picture, region, side), "the object close up") for f in whole))


def jpeg(picture: Picture) -> bytes:
    """As servers want it."""
    done, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert done
    return data.tobytes()


def _close(picture: Picture, region: Region, side: int) -> Picture:
    height, width = picture.shape[:2]
    dx, dy = _MARGIN * (region.x1 - region.x0), _MARGIN * (region.y1 - region.y0)
    x0, x1 = int(max(0.0, region.x0 - dx) * width), int(np.ceil(min(1.0, region.x1 + dx) * width))
    y0, y1 = int(max(0.0, region.y0 - dy) * height), int(np.ceil(min(1.0, region.y1 + dy) * height))
    return _fitted(picture[y0:y1, x0:x1], side)


def _fitted(picture: Picture, side: int) -> Picture:
    """Scaled so that its longer side is `side` pixels."""
    scale = side / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), size, interpolation=how), np.uint8)
