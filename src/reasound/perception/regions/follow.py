"""The tracker that needs no weights: optical flow carries a mask along, a correlation filter corrects where it is,
colours say which pixels are the thing's, and what it looked like says whether it is still there.

The posterior of the pixels is that of "robust real-time visual tracking using pixel-wise posteriors" (Bibby & Reid
2008, doi 10.1007/978-3-540-88688-4_61) in spirit: colour times shape.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from reasound.media.video import Picture
from reasound.perception.features import Floats
from reasound.perception.regions.appearance import Appearance
from reasound.perception.regions.correlation import Correlation
from reasound.perception.regions.reel import Reel
from reasound.perception.regions.value import Bools, box_of

Grey = NDArray[np.uint8]  # [h, w]
Way = NDArray[np.float64]  # [2, 3] how points move

_SURE, _THERE = 0.6, 0.42  # likeness from which it is learned from, and from which it is there
_AGAIN, _AGAIN_ELSEWHERE = 0.55, 0.62  # from which it is found again, and in another shot
_WHOLE = 0.7  # share of its pixels that must be seen before it is learned from
_PATIENT = 8  # pictures after which a lost thing is searched for in every other only
_HIDDEN = 0.15  # share of its pixels below which it is hidden
_GROWN = 1.2  # times its size beyond which a mask has run out into the surroundings
_LEARN = 0.25  # how much of the last mask goes into the shape
_BOLD = 0.03  # likeness by which another motion must be better than that of the flow


class Follower:
    """Follows one thing from picture to picture of a reel, from the seed on, in one direction."""

    def __init__(self, picture: Picture, mask: Bools) -> None:
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._picture, self._grey = picture, _grey(picture)
        self._shape: Floats = mask.astype(np.float32)  # where the thing's pixels are, hidden ones too
        self._mask = mask
        box = _pixels(self._shape > 0.5)
        assert box is not None
        self._box: Floats = box
        self._velocity = np.zeros(2)  # of its middle beside the camera's, pixels a picture
        self._look = Appearance(picture, self._box, self._shape)
        self._filter = Correlation()
        self._filter.learn(_unit(picture), self._box)
        self._good = (self._shape, self._box)  # the last that was sure
        self._lost, self._cuts, self._waited = False, False, 0

    def next(self, picture: Picture, cut: bool) -> tuple[Bools, Floats, float]:
        """The following picture; `cut`: of another shot. -> mask [h, w], box [4] in pixels, confidence."""
        grey = _grey(picture)
        if cut:
            self._lose()
            camera = np.eye(2, 3)
            back = None
        else:
            back = _flow(self._search, grey, self._grey)
            camera = _camera(back, self._box)
        self._picture, self._grey = picture, grey
        found = self._again(picture, camera, cut) if self._lost else self._on(picture, camera, back)
        if cut:
            self._cuts = True
        return found

    def _on(self, picture: Picture, camera: Way, back: Floats | None) -> tuple[Bools, Floats, float]:
        assert back is not None
        motion, box = self._moved(picture, camera, back)
        shape = _warped(self._shape, motion)
        mask = self._pixels_of(picture, shape, back)
        like = self._look.likeness(picture, box, shape, parts=True)
        inside = shape > 0.5
        seen = float((mask & inside).sum()) / max(float(inside.sum()), 1.0)
        if like < _THERE or seen < _HIDDEN or not inside.any():
            self._lose()
            self._box = _boxed(camera, self._box)
            return np.zeros_like(mask), self._box, min(like, 0.3)
        middle = (box[:2] + box[2:]) / 2
        before = _boxed(camera, self._box)
        self._velocity = 0.6 * self._velocity + 0.4 * (middle - (before[:2] + before[2:]) / 2)
        self._shape, self._box, self._mask = shape, box, mask
        if like >= _SURE and seen >= _WHOLE and mask.sum() <= _GROWN * inside.sum():
            self._learn(picture, mask)
        return mask, self._visible(mask), _confidence(like, seen)

    def _learn(self, picture: Picture, mask: Bools) -> None:
        self._shape = (1 - _LEARN) * self._shape + _LEARN * mask.astype(np.float32)
        box = _pixels(self._shape > 0.5)
        if box is None:
            return
        self._box = box
        self._look.learn(picture, box, self._shape)
        self._filter.learn(_unit(picture), box)
        self._good = (self._shape, box)

    def _moved(self, picture: Picture, camera: Way, back: Floats) -> tuple[Way, Floats]:
        """How the thing moved [2, 3], and its new box: by flow, by the camera alone, or on as before, whatever looks
        most like it there, corrected by the filter."""
        steady = camera.copy()
        steady[:, 2] += self._velocity
        ways = [_own(back, self._shape, camera), camera, steady]
        best, like = ways[0], -1.0
        for k, way in enumerate(ways):
            here = self._look.likeness(picture, _boxed(way, self._box)) - (_BOLD if k else 0)
            if here > like:
                best, like = way, here
        box = _boxed(best, self._box)
        corrected = self._filter.find(_unit(picture), box)
        if self._look.likeness(picture, corrected) >= self._look.likeness(picture, box) - 0.01:
            best, box = _onto(box, corrected) @ np.vstack([best, [0, 0, 1]]), corrected
        return best, box

    def _pixels_of(self, picture: Picture, shape: Floats, back: Floats | None) -> Bools:
        """Which pixels are the thing's: its colours, where its shape is expected, carried along by flow."""
        colour = np.asarray(cv2.GaussianBlur(self._look.inside(picture), (0, 0), 1.0), np.float32)
        prior = shape
        if back is not None:
            y, x = np.mgrid[: shape.shape[0], : shape.shape[1]].astype(np.float32)
            carried = cv2.remap(
                self._mask.astype(np.float32), x + back[..., 0], y + back[..., 1], cv2.INTER_LINEAR
            )
            prior = 0.6 * shape + 0.4 * carried
        prior = np.asarray(cv2.GaussianBlur(prior, (0, 0), 1.5), np.float32)
        odds = _logit(np.clip(colour, 0.06, 0.94)) + 1.5 * _logit(np.clip(prior, 0.03, 0.97))
        mask = (odds > 0).astype(np.uint8)
        count, label, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        area = stats[:, cv2.CC_STAT_AREA]
        area[0] = 0
        keep = area >= 0.15 * area.max(initial=0)
        keep[0] = False
        return np.asarray(keep[label])

    def _lose(self) -> None:
        if not self._lost:
            self._lost, self._cuts, self._waited = True, False, 0

    def _again(self, picture: Picture, camera: Way, cut: bool) -> tuple[Bools, Floats, float]:
        """Is it anywhere?"""
        self._box = _boxed(camera, self._box)
        self._waited += 1
        if self._waited > _PATIENT and self._waited % 2 and not cut:  # searching takes time
            return np.zeros_like(self._mask), self._box, 0.2
        known_shape, known = self._good
        best, like = None, 0.0
        for box in self._look.search(picture):
            corrected = self._filter.find(_unit(picture), box, (1.0,))
            for place in (box, corrected):
                shape = _warped(known_shape, _onto(known, place))
                here = self._look.likeness(picture, place, shape)
                if here > like:
                    best, like, fits = place, here, shape
        least = _AGAIN_ELSEWHERE if cut or self._cuts else _AGAIN
        if best is None or like < least:
            return np.zeros_like(self._mask), self._box, 0.5 * like
        mask = self._pixels_of(picture, fits, None)
        seen = float((mask & (fits > 0.5)).sum()) / max(float((fits > 0.5).sum()), 1.0)
        if seen < _WHOLE / 2:
            return np.zeros_like(self._mask), self._box, 0.5 * like
        self._lost, self._velocity = False, np.zeros(2)
        self._shape, self._box, self._mask = fits, best, mask
        return mask, self._visible(mask), _confidence(like, seen)

    def _visible(self, mask: Bools) -> Floats:
        box = _pixels(mask)
        return self._box if box is None else box


def follow(
    reel: Reel, start: int, seed: Bools, numbers: Sequence[int]
) -> tuple[list[Bools], list[Floats], list[float]]:
    """Masks, boxes in pixels, and confidence in the pictures of these numbers, which lead away from `start`."""
    follower, last = Follower(reel[start], seed), start
    masks, boxes, sure = [], [], []
    for k in numbers:
        mask, box, confidence = follower.next(reel[k], reel.shot(k) != reel.shot(last))
        masks.append(mask)
        boxes.append(box)
        sure.append(confidence)
        last = k
    return masks, boxes, sure


def moving(reel: Reel, k: int) -> Floats:
    """[h, w]: how fast what is in picture k moves beside the camera, pixels a picture."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    here, found = _grey(reel[k]), np.zeros(reel[k].shape[:2], np.float32)
    for other in (k - 2, k - 1, k + 1, k + 2):
        if 0 <= other < reel.count and reel.shot(other) == reel.shot(k):
            flow = _flow(search, here, _grey(reel[other]))
            camera = _camera(flow, None)
            y, x = np.mgrid[: here.shape[0], : here.shape[1]].astype(np.float32)
            inverse = cv2.invertAffineTransform(camera)
            path = np.stack(
                [inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2] - x,
                 inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2] - y], -1
            )  # fmt: skip
            own = np.linalg.norm(flow - path, axis=-1) / abs(other - k)
            found = np.maximum(found, own)
    return np.asarray(cv2.GaussianBlur(found, (0, 0), 1.5), np.float32)


def _camera(back: Floats, box: Floats | None) -> Way:
    """Flow from a picture to the one before [h, w, 2] -> how the surroundings moved since, [2, 3]."""
    height, width = back.shape[:2]
    y, x = np.mgrid[4 : height - 4 : 12, 4 : width - 4 : 12].reshape(2, -1)
    if box is not None:
        outside = (x < box[0] - 4) | (x > box[2] + 4) | (y < box[1] - 4) | (y > box[3] + 4)
        if outside.sum() > 20:
            x, y = x[outside], y[outside]
    return _similar(x, y, back) if len(x) >= 6 else np.eye(2, 3)


def _own(back: Floats, shape: Floats, camera: Way) -> Way:
    """How the thing moved [2, 3]: of the points that came from its shape."""
    height, width = shape.shape
    y, x = np.mgrid[:height:2, :width:2].reshape(2, -1)
    from_x = np.rint(x + back[y, x, 0]).astype(int)
    from_y = np.rint(y + back[y, x, 1]).astype(int)
    inside = (from_x >= 0) & (from_x < width) & (from_y >= 0) & (from_y < height)
    x, y, from_x, from_y = x[inside], y[inside], from_x[inside], from_y[inside]
    mine = shape[from_y, from_x] > 0.5
    if mine.sum() < 8:
        return camera
    x, y = x[mine], y[mine]
    way = _similar(x, y, back)
    scale = float(np.hypot(way[0, 0], way[1, 0]))
    if not 0.9 < scale < 1.1 or abs(way[1, 0]) > 0.15:
        way = np.eye(2, 3)
        way[:, 2] = -np.median(back[y, x], axis=0)
    return way


def _similar(x: NDArray[np.intp], y: NDArray[np.intp], back: Floats) -> Way:
    """The shift, turn and scale [2, 3] that most of these points made since the picture before."""
    now = np.stack([x, y], -1).astype(np.float32)
    before = now + back[y, x]
    way, _ = cv2.estimateAffinePartial2D(before, now, method=cv2.RANSAC, ransacReprojThreshold=1.0)
    if way is None:
        way = np.eye(2, 3)
        way[:, 2] = np.median(now - before, axis=0)
    return np.asarray(way, np.float64)


def _boxed(way: Way, box: Floats) -> Floats:
    """A box after a motion: moved and scaled, not turned."""
    scale = float(np.hypot(way[0, 0], way[1, 0]))
    middle = way[:, :2] @ ((box[:2] + box[2:]) / 2) + way[:, 2]
    half = (box[2:] - box[:2]) / 2 * scale
    return np.concatenate([middle - half, middle + half]).astype(np.float32)


def _onto(box: Floats, other: Floats) -> Way:
    """[2, 3]: one box onto another."""
    scale = (other[2:] - other[:2]) / np.maximum(box[2:] - box[:2], 1e-3)
    shift = other[:2] - box[:2] * scale
    return np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]], np.float64)


def _pixels(mask: Bools) -> Floats | None:
    box = box_of(mask)
    return None if box is None else box * np.array(mask.shape[::-1] * 2, np.float32)


def _flow(search: cv2.DISOpticalFlow, here: Grey, other: Grey) -> Floats:
    """Where each pixel of `here` [h, w] is in the other picture, less where it is: [h, w, 2]."""
    return np.asarray(search.calc(here, other, np.zeros((*here.shape, 2), np.float32)), np.float32)


def _warped(picture: Floats, way: Way) -> Floats:
    return np.asarray(cv2.warpAffine(picture, way, picture.shape[1::-1]), np.float32)


def _grey(picture: Picture) -> Grey:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _unit(picture: Picture) -> Floats:
    return np.asarray(picture / np.float32(255), np.float32)


def _logit(p: Floats) -> Floats:
    return np.asarray(np.log(p / (1 - p)), np.float32)


def _confidence(like: float, seen: float) -> float:
    """Half where it is just there, 1 where it looks just as it did."""
    return float(np.clip(0.5 + 0.5 * (like - _THERE) / (0.8 - _THERE), 0, 1) * min(1.0, 0.7 + seen))
