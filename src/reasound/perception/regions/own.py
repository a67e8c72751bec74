"""How a followed thing itself moves: the motion in its box, beside the camera's, and the onsets of that motion alone.

What moves near it does not count, and it cannot be taken for the camera however much of the window it fills.
"""

from __future__ import annotations

import numpy as np

from reasound.media.video import Clip
from reasound.perception.features import Floats, Motion
from reasound.perception.flow import Flow, Grey, camera_path, means, texture
from reasound.perception.motion import Meter
from reasound.perception.regions.closeup import close_up
from reasound.perception.regions.value import Track

_GROWN = 0.1  # of the box, on each side: a track is that exact
_FAR = 2.0  # pixels from picture to picture, from which the track says where flow begins to search
_SHARE, _RISE = 0.12, 0.12  # see motion.strikes: little else moves here, so that weaker onsets are no noise
_SHORTER_SIDE = 256  # pixels


def own_motion(clip: Clip, found: Track) -> Motion:
    """The motion of a followed thing, 25 times a second; places are in fractions of its close-up.

    Onsets are all that can be told from noise, down to an eighth of the strongest around: which of them sound
    depends on what the thing is (`reasoning.pointed`).
    """
    near, flow = close_up(clip, found), _Inside()
    meter = Meter(flow)
    width = max(1, round(_SHORTER_SIDE * near.width / min(near.width, near.height)))
    frame = np.array([clip.width, clip.height] * 2, np.float32)
    window = np.array([near.width, near.height] * 2, np.float32)
    for time, picture in near.frames(width=width):
        box = np.array([np.interp(time, found.times, found.boxes[:, i]) for i in range(4)], np.float32)
        flow.to((box * frame - np.tile(near.corner(time), 2)) / window)
        meter.add(time, picture)
    return meter.motion(clip.seconds, _SHARE, _RISE)


class _Inside(Flow):
    """Flow inside a box that moves, without the camera's motion as what is outside shows it."""

    def __init__(self) -> None:
        super().__init__()
        self._box: Floats | None = None  # [4] fractions, in the picture that flow starts from
        self._next: Floats | None = None

    def to(self, box: Floats) -> None:
        """Where the thing is in the next picture."""
        self._box, self._next = box if self._box is None else self._box, box

    def between(self, before: Grey, now: Grey) -> tuple[Floats, Floats]:
        """See `Flow.between`; nothing moves outside the box."""
        assert self._box is not None and self._next is not None
        last, box = self._box, self._next
        self._box = box
        height, width = now.shape
        start = np.zeros((height, width, 2), np.float32)
        way = (box[:2] + box[2:] - last[:2] - last[2:]) / 2 * (width, height)
        if np.hypot(*way) > _FAR:
            x0, y0, x1, y1 = np.maximum(last * (width, height, width, height), 0).astype(int)
            start[y0:y1, x0:x1] = way
        flow = np.asarray(self._search.calc(before, now, start), np.float32)
        flow = means(flow, (height // 2, width // 2))
        both = np.concatenate([np.minimum(last[:2], box[:2]), np.maximum(last[2:], box[2:])])
        inside = _inside(both, flow.shape[0], flow.shape[1])
        camera, path = camera_path(flow, 1 - inside)
        return (flow - path) * texture(before, flow.shape[:2]) * inside[..., None], camera


def _inside(box: Floats, height: int, width: int) -> Floats:
    """[height, width]: 1 in a box and close beside it, 0 outside, with soft edges."""

    def span(low: float, high: float, size: int) -> Floats:
        more = _GROWN * (high - low) * size + 1
        at = np.arange(size) + 0.5
        return np.asarray(
            np.clip(at - low * size + more, 0, 1) * np.clip(high * size + more - at, 0, 1), np.float32
        )

    return span(box[1], box[3], height)[:, None] * span(box[0], box[2], width)
