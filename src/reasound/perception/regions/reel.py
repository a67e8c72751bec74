"""The pictures that tracking looks at: small, a dozen a second, and read a stretch at a time in either direction."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

import cv2
import numpy as np

from reasound.media.video import Clip, Picture
from reasound.perception.features import Floats, Shot
from reasound.perception.regions.value import PRESENT, Bools, Track, box_of

FASTEST = 20.0
"""Pictures a second, at most; of a faster clip each second or third frame is looked at."""
SIDE, SIDE_OF_LONG = 320, 160
"""Pixels of the longer side, and of clips of more than a minute, so that an hour's masks fit in memory."""
LONG = 60.0
_STRETCH = 160
"""Small pictures held at a time."""


class Reel:
    """Pictures k = 0, 1, ... of a clip, at offset + k / rate seconds; one is at the time asked for."""

    def __init__(
        self,
        clip: Clip,
        at: float = 0.0,
        shots: Sequence[Shot] = (),
        side: int | None = None,
        fastest: float = FASTEST,
    ) -> None:
        """Without `shots` the whole clip is one. `side`: pixels of the longer side, at most. `fastest`: see FASTEST."""
        self.clip, self.seconds = clip, float(clip.seconds)
        self.rate = Fraction(clip.fps).limit_denominator(10_000) / ceil(clip.fps / fastest)
        self.rate = max(self.rate, Fraction(1, 2))
        step = 1 / self.rate
        self.offset = Fraction(at).limit_denominator(100_000) % step if at < clip.seconds else Fraction(0)
        self.count = max(1, ceil((clip.seconds - self.offset) * self.rate - Fraction(1, 1000)))
        side = side or (SIDE if self.seconds <= LONG else SIDE_OF_LONG)
        self._stretch = max(8, _STRETCH * SIDE // side)
        self.width = max(16, round(clip.width * min(1.0, side / max(clip.width, clip.height))))
        self.shots = tuple(shots) or (Shot(0.0, self.seconds),)
        self._first = 0
        self._held: list[Picture] = []

    def __getitem__(self, k: int) -> Picture:
        """[h, w, 3]. Cheap when its neighbours were just asked for."""
        if not 0 <= k < self.count:
            raise IndexError(k)
        if not self._first <= k < self._first + len(self._held):
            self._first = k // self._stretch * self._stretch
            count = min(self._stretch, self.count - self._first)
            begin = self.offset + self._first / self.rate
            part = self.clip.cut(begin, self.clip.seconds) if begin else self.clip
            self._held = [_room(p) for _, p in part.frames(self.rate, self.width, count=count)]
        return self._held[k - self._first]

    def number(self, time: float) -> int:
        """Of the picture nearest to a time."""
        return min(max(round((time - float(self.offset)) * float(self.rate)), 0), self.count - 1)

    def shot(self, k: int) -> int:
        """Number of the shot that picture k shows."""
        return self.shot_at(float(self.offset + k / self.rate))

    def shot_at(self, time: float) -> int:
        return max((i for i, s in enumerate(self.shots) if s.start <= time + 1e-6), default=0)


def _room(picture: Picture) -> Picture:
    """At least 48 pixels a side: OpenCV's flow crashes where there is no room."""
    height, width = picture.shape[:2]
    if min(height, width) >= 48:
        return picture
    return np.asarray(cv2.resize(picture, (max(48, width), max(48, height))), np.uint8)


def smoothed_gaps(reel: Reel, boxes: Floats, confidence: Floats) -> Floats:
    """Boxes [N, 4], those of lost pictures on the way from where the thing was lost to where it was found again."""
    out = boxes.copy()
    seen = np.flatnonzero(confidence >= PRESENT)
    shots = np.array([reel.shot(k) for k in range(reel.count)])
    for k in np.flatnonzero(confidence < PRESENT):
        mine = seen[shots[seen] == shots[k]]
        if len(mine):
            out[k] = [np.interp(k, mine, boxes[mine, i]) for i in range(4)]
    return out


def for_all_frames(reel: Reel, boxes: Floats, masks: Bools, confidence: Floats) -> Track:
    """What was found in the reel's N pictures -> a track of all F frames of the clip.

    Between two pictures of a shot boxes and confidence go in straight lines, and the nearer mask goes with the box.
    """
    times = reel.clip.times()
    place = np.clip((times - float(reel.offset)) * float(reel.rate), 0, reel.count - 1)
    low = np.floor(place + 1e-6).astype(int)
    high = np.minimum(low + 1, reel.count - 1)
    shots = np.array([reel.shot(k) for k in range(reel.count)])
    frame_shots = np.array([reel.shot_at(t) for t in times])
    # A frame beside a cut belongs to the picture on its own side.
    low = np.where(shots[low] == frame_shots, low, high)
    high = np.where(shots[high] == frame_shots, high, low)
    share = np.where(low == high, 0.0, np.clip(place - low, 0, 1)).astype(np.float32)[:, None]
    found = boxes[low] * (1 - share) + boxes[high] * share
    sure = confidence[low] * (1 - share[:, 0]) + confidence[high] * share[:, 0]
    nearest = np.where(share[:, 0] <= 0.5, low, high)
    moved = np.zeros((len(times), *masks.shape[1:]), bool)
    for k, n in enumerate(nearest):
        moved[k] = masks[n] if share[k] in (0, 1) else _moved(masks[n], found[k])
    return Track(times.astype(np.float32), found.astype(np.float32), moved, sure.astype(np.float32))


def _moved(mask: Bools, to: Floats) -> Bools:
    """A mask, shifted and scaled into another box."""
    box = box_of(mask)
    if box is None:
        return mask
    height, width = mask.shape
    size = np.array([width, height])
    scale = np.clip((to[2:] - to[:2]) / (box[2:] - box[:2]), 0.5, 2.0)
    shift = (to[:2] - box[:2] * scale) * size + (scale - 1) / 2
    matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]], np.float64)
    return np.asarray(
        cv2.warpAffine(mask.astype(np.uint8) * 255, matrix, (width, height), flags=cv2.INTER_LINEAR) >= 128
    )
