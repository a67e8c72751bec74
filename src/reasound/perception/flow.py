"""What two pictures that follow one another show of motion: flow without the camera, its directions, its impacts."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from reasound.perception.features import Floats

Picture = NDArray[np.uint8]  # [H, W, 3]
Grey = NDArray[np.uint8]  # [H, W]

ANGLES = 8
"""Bins of the directogram: 0 is to the right, 2 down, 4 left, 6 up."""
CELLS = (6, 8)
"""Rows and columns in which impacts are felt."""

_LONGER_SIDE = 192  # pixels; finer pictures find no more onsets and cost more
_ANY_DIRECTION = 0.2  # weight of a stop or start in any direction beside that of upward acceleration
_TURN = 0.5  # weight of turning back in any direction: what hits a wall
_UNSURE = 0.2  # share of a speed by which flow may be wrong: less of a change is no impact
_NOISE = 0.05  # pixels a frame per frame, and as much again for each that the camera moves: errors of flow
_ENOUGH = 12  # points that say how the camera moves
_TEXTURE = 2.0  # grey levels a pixel, at which flow counts half


class Flow:
    """Optical flow on half of the pixels in each direction, without the motion of the camera."""

    def __init__(self) -> None:
        # The fast preset of dense inverse search (Kroeger et al. 2016, arXiv 1603.03590): half a millisecond.
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def between(self, before: Grey, now: Grey) -> tuple[Floats, Floats]:
        """Two fitted pictures [H, W] -> flow [H/2, W/2, 2] in pixels of theirs, and the camera's share [2]."""
        start = np.zeros((*now.shape, 2), np.float32)
        flow = np.asarray(self._search.calc(before, now, start), np.float32)
        flow = means(flow, (flow.shape[0] // 2, flow.shape[1] // 2))
        camera, path = camera_path(flow)
        return (flow - path) * texture(before, flow.shape[:2]), camera


def fitted(picture: Picture) -> Picture:
    """The longer side at 192 pixels; the shorter at least 48: OpenCV's flow crashes where there is no room."""
    scale = _LONGER_SIDE / max(picture.shape[:2])
    height, width = (max(48, round(side * scale)) for side in picture.shape[:2])
    if (height, width) == picture.shape[:2]:
        return picture
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how))


def greyed(picture: Picture) -> Grey:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def means(field: NDArray, shape: tuple[int, int]) -> NDArray:
    """[H, W, ...] -> means over shape = (rows, columns) equal parts."""
    return np.asarray(cv2.resize(field, shape[::-1], interpolation=cv2.INTER_AREA))


def camera_path(flow: Floats, around: Floats | None = None) -> tuple[Floats, Floats]:
    """Flow [h, w, 2] -> its median [2], and the affine motion [h, w, 2] that most of the picture follows; or most of
    the part of it where `around` [h, w] is above a half, if that is not too small.

    Robust least squares, reweighted with the Geman-McClure function: parts that move by themselves lose
    their say.
    """
    height, width = flow.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    basis = np.stack([np.ones_like(x), x / width - 0.5, y / height - 0.5], -1)  # [h, w, 3]
    design, target = basis[1::3, 1::3].reshape(-1, 3), flow[1::3, 1::3].reshape(-1, 2)
    if around is not None:
        part = around[1::3, 1::3].ravel() > 0.5
        if part.sum() >= _ENOUGH:
            design, target = design[part], target[part]
    median = np.median(target, axis=0)
    path = np.zeros((3, 2), np.float32)
    path[0] = median
    for _ in range(4):
        away = np.linalg.norm(target - design @ path, axis=1)
        scale = max(1.5 * float(np.median(away)), 0.05)
        weighted = design / (1 + (away[:, None] / scale) ** 2) ** 2
        path = np.linalg.solve(weighted.T @ design + 1e-4 * np.eye(3), weighted.T @ target).astype(np.float32)
    return median.astype(np.float32), basis @ path


def texture(grey: Grey, shape: tuple[int, int]) -> Floats:
    """How well flow can be known, [h, w, 1] in 0 to 1: what moves drags plain surroundings along."""
    across, down = (
        cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.125),
        cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.125),
    )
    edges = cv2.blur(np.hypot(across, down), (5, 5))  # cv2.magnitude is not the same to the last bit
    return means(edges / (edges + _TEXTURE), shape)[..., None]


def directogram(flow: Floats) -> Floats:
    """Flow [h, w, 2] -> [9, A]: mean magnitude by direction in a 3x3 grid, shared by the two nearest bins."""
    height, width = flow.shape[:2]
    size = np.hypot(flow[..., 0], flow[..., 1])
    angle = np.arctan2(flow[..., 1], flow[..., 0]) * (ANGLES / (2 * np.pi)) % ANGLES
    low = np.floor(angle)
    share = angle - low
    cell = (np.arange(height) * 3 // height)[:, None] * 3 + np.arange(width) * 3 // width
    at = np.stack([cell * ANGLES + low % ANGLES, cell * ANGLES + (low + 1) % ANGLES]).astype(np.intp)
    sums = np.bincount(at.ravel(), np.stack([size * (1 - share), size * share]).ravel(), 9 * ANGLES)
    counts = np.bincount(cell.ravel(), minlength=9)
    return (sums.reshape(9, ANGLES) / counts[:, None]).astype(np.float32)


def impact(past: Floats, now: Floats, path: Floats, camera: Floats) -> Floats:
    """Speeds [h, w, 2] before and after a picture -> impact [6, 8], in pixels a frame per frame.

    `path` [h, w, 2] led from the picture before to this one: speeds are compared along it, for the same piece of
    the world, so that what moves on evenly has no impact at all. `camera` [2] adds to the doubt.
    """
    height, width = now.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    # Paths are in pixels of the full picture, of which this field has half.
    after = cv2.remap(
        now, x + path[..., 0] / 2, y + path[..., 1] / 2, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    fast, faster = np.hypot(past[..., 0], past[..., 1]), np.hypot(after[..., 0], after[..., 1])
    along = np.maximum((past * after).sum(-1), 0)
    loss = np.maximum(fast - along / np.maximum(fast, 1e-6), 0)
    gain = np.maximum(faster - along / np.maximum(faster, 1e-6), 0)
    upward = np.maximum(past[..., 1] - after[..., 1], 0)
    felt = means(upward + _ANY_DIRECTION * (loss + gain), CELLS)
    turned = means(np.minimum(loss, gain), CELLS)
    error = _NOISE * (1 + float(np.hypot(*camera))) + _UNSURE * np.maximum(
        means(fast, CELLS), means(faster, CELLS)
    )
    return np.maximum(felt - error, 0) + _TURN * np.maximum(turned - 2 * error, 0)
