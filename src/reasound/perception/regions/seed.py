"""From a click or a box in one picture to the pixels of the thing: GrabCut (Rother et al. 2004, doi
10.1145/1015706.1015720), with what moves as the better hint where something does."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from reasound.media.video import Picture
from reasound.perception.features import Floats
from reasound.perception.regions.value import Bools
from reasound.plan import Region

Hint = NDArray[np.uint8]  # of GrabCut: surely or perhaps the thing or its surroundings

_SIDE = 128  # pixels of the longer side of what GrabCut sees
_ROUNDS = 4
_RADII = (0.05, 0.09, 0.15, 0.24, 0.36)  # of the shorter side: sizes that a clicked thing may have
_STANDS_OUT = 4.0  # times the median of the picture that what moves must move
_LARGER = 0.3  # how much more a large thing is meant than its part
_LEAST = 0.12  # share of a box that its thing fills
_MOVING = 0.6  # pixels from picture to picture
_REACH = 0.03  # of the longer side: so near to what moves a click means it


def in_box(picture: Picture, box: Region) -> Bools:
    """[h, w]: the pixels of what a box is drawn round; where nothing stands out, an ellipse."""
    height, width = picture.shape[:2]
    x0, x1 = sorted((round(box.x0 * width), round(box.x1 * width)))
    y0, y1 = sorted((round(box.y0 * height), round(box.y1 * height)))
    x1, y1 = max(x1, x0 + 2), max(y1, y0 + 2)
    hint = np.full((height, width), cv2.GC_BGD, np.uint8)
    hint[y0:y1, x0:x1] = cv2.GC_PR_FGD
    oval = np.zeros((height, width), np.uint8)
    cv2.ellipse(oval, (((x0 + x1) / 2, (y0 + y1) / 2), (x1 - x0, y1 - y0), 0), 1, -1)
    mask = _cut_out(picture, hint)
    share = mask.sum() / ((x1 - x0) * (y1 - y0))
    rows, columns = mask.any(1).sum() / (y1 - y0), mask.any(0).sum() / (x1 - x0)
    if share < _LEAST or min(rows, columns) < 0.6:
        return np.asarray((oval > 0) | mask)
    return mask


def at_point(picture: Picture, x: float, y: float, moving: Floats | None = None) -> Bools:
    """[h, w]: the pixels of the thing at a point, in fractions. `moving` [h, w]: how fast each pixel moves by
    itself, in pixels a picture.

    Of several sizes that the thing may have, the one whose outline has the strongest edges along it, inside which more
    moves than around it.
    """
    height, width = picture.shape[:2]
    short = min(height, width)
    at = (min(int(x * width), width - 1), min(int(y * height), height - 1))
    hints = [_disc(picture, at, max(4, round(radius * short))) for radius in _RADII]
    motion = None
    if moving is not None and (part := _moving_part(moving, at)) is not None:
        motion = np.minimum(moving / _speed(moving, at), 1)
        hints.append(_grown(part, at))
    edges = _edges(picture)
    best, highest = None, 0.0
    for hint in hints:
        mask = _filled(_component(_cut_out(picture, hint), at))
        if mask.any() and (score := _score(mask, hint, edges, motion)) > highest:
            best, highest = mask, score
    if best is None:
        oval = np.zeros((height, width), np.uint8)
        cv2.circle(oval, at, max(4, round(_RADII[1] * short)), 1, -1)
        best = oval > 0
    return np.asarray(best)


def _disc(picture: Picture, at: tuple[int, int], radius: int) -> Hint:
    hint = np.full(picture.shape[:2], cv2.GC_BGD, np.uint8)
    cv2.circle(hint, at, round(1.6 * radius), cv2.GC_PR_BGD, -1)
    cv2.circle(hint, at, radius, cv2.GC_PR_FGD, -1)
    cv2.circle(hint, at, max(1, radius // 4), cv2.GC_FGD, -1)
    return hint


def _grown(part: Bools, at: tuple[int, int]) -> Hint:
    grow = max(2, round(0.02 * part.shape[1]))
    hint = np.full(part.shape, cv2.GC_BGD, np.uint8)
    hint[cv2.dilate(part.astype(np.uint8), np.ones((2 * grow + 1, 2 * grow + 1), np.uint8)) > 0] = (
        cv2.GC_PR_BGD
    )
    hint[part] = cv2.GC_PR_FGD
    cv2.circle(hint, at, max(1, grow // 2), cv2.GC_FGD, -1)
    return hint


def _speed(moving: Floats, at: tuple[int, int]) -> float:
    """Of what moves at or beside a point."""
    return float(moving[_beside(moving, at)].max())


def _beside(moving: Floats, at: tuple[int, int]) -> tuple[slice, slice]:
    reach = max(2, round(_REACH * max(moving.shape)))
    return slice(max(0, at[1] - reach), at[1] + reach + 1), slice(max(0, at[0] - reach), at[0] + reach + 1)


def _moving_part(moving: Floats, at: tuple[int, int]) -> Bools | None:
    """The connected part that moves, at or beside a point."""
    here, usual = _speed(moving, at), float(np.median(moving))
    if here < max(_MOVING, _STANDS_OUT * usual):
        return None
    count, label = cv2.connectedComponents((moving > max(0.35 * here, 2 * usual)).astype(np.uint8))
    beside = np.bincount(label[_beside(moving, at)].ravel(), minlength=count)
    beside[0] = 0
    part = label == int(beside.argmax())
    return np.asarray(part) if beside.any() and 4e-4 < part.mean() < 0.4 else None


def _edges(picture: Picture) -> Floats:
    """[h, w] strength of edges, in any of the three channels of CIELAB; the strongest about 1."""
    lab = cv2.cvtColor(cv2.GaussianBlur(picture, (0, 0), 1.2), cv2.COLOR_RGB2LAB).astype(np.float32)
    steps = [cv2.Sobel(lab, cv2.CV_32F, 1, 0), cv2.Sobel(lab, cv2.CV_32F, 0, 1)]
    edges = np.sqrt(sum((step**2).sum(-1) for step in steps))
    return np.asarray(np.minimum(edges / (np.percentile(edges, 95) + 1e-3), 1.5), np.float32)


def _score(mask: Bools, hint: Hint, edges: Floats, motion: Floats | None) -> float:
    """How much like a thing a mask is."""
    shape = mask.astype(np.uint8)
    line = cv2.morphologyEx(np.pad(shape, 1), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))[1:-1, 1:-1] > 0
    # An outline along the edge of the picture, or of what was looked at, is no outline of a thing.
    looked = cv2.erode((hint != cv2.GC_BGD).astype(np.uint8), np.ones((7, 7), np.uint8), borderValue=0)
    hull = cv2.convexHull(np.argwhere(shape)[:, ::-1].astype(np.int32))
    solid = min(1.0, float(mask.sum()) / max(cv2.contourArea(hull), 1.0))
    free = max(0.0, 1 - 2 * float((line & (looked == 0)).sum() / line.sum()))
    score = (
        float(edges[line & (looked > 0)].sum() / line.sum()) * solid * free * float(mask.mean()) ** _LARGER
    )
    if motion is not None:
        wide = max(3, round(0.25 * float(mask.sum()) ** 0.5))
        around = cv2.dilate(shape, np.ones((2 * wide + 1, 2 * wide + 1), np.uint8)) > shape
        score *= max(0.05, float(motion[mask].mean() - (motion[around].mean() if around.any() else 0)))
    return score


def _cut_out(picture: Picture, hint: Hint) -> Bools:
    """GrabCut within the part of the picture where the hint leaves a doubt, and as much again around it."""
    height, width = picture.shape[:2]
    x, y, w, h = cv2.boundingRect((hint != cv2.GC_BGD).astype(np.uint8))
    x0, x1 = max(0, x - w // 2 - 4), min(width, x + w + w // 2 + 4)
    y0, y1 = max(0, y - h // 2 - 4), min(height, y + h + h // 2 + 4)
    zoom = min(1.0, _SIDE / max(x1 - x0, y1 - y0))
    size = (max(8, round((x1 - x0) * zoom)), max(8, round((y1 - y0) * zoom)))
    part = cv2.resize(np.ascontiguousarray(picture[y0:y1, x0:x1]), size, interpolation=cv2.INTER_AREA)
    inner = np.ascontiguousarray(hint[y0:y1, x0:x1])
    mask = np.asarray(cv2.resize(inner, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    mask[0], mask[-1], mask[:, 0], mask[:, -1] = (
        np.where(row == cv2.GC_PR_FGD, cv2.GC_PR_BGD, row)
        for row in (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    )
    if not np.isin(mask, (cv2.GC_BGD, cv2.GC_PR_BGD)).any() or not (mask & 1).any():
        return np.asarray(hint & 1 > 0)
    cv2.setRNGSeed(0)  # its mixtures of colours begin at random
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(part, mask, (0, 0, 1, 1), *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    whole = np.zeros((height, width), bool)
    found = cv2.resize((mask & 1) * np.uint8(255), (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    whole[y0:y1, x0:x1] = cv2.medianBlur(found, 3) >= 128
    return whole


def _component(mask: Bools, at: tuple[int, int]) -> Bools:
    """The connected part of a mask at a point."""
    _, label = cv2.connectedComponents(mask.astype(np.uint8))
    here = label[at[1], at[0]]
    return np.asarray(label == here) if here else np.zeros_like(mask)


def _filled(mask: Bools) -> Bools:
    """Without holes."""
    lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros(mask.shape, np.uint8), lines, -1, 1, -1) > 0)
