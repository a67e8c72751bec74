"""Pictures as the two visual encoders of ThinkSound were trained on: 224 by 224 pixels.

MetaCLIP sees the whole picture, padded to a square with black, 8 times a second; Synchformer sees the square in the
middle, 25 times a second. The two are scaled by two different bicubic filters (Pillow's and torch's), which differ by
up to two grey levels; here both are exact. What streams stays small, uint8; `visual_pixels` and `sync_pixels` make
numbers of it where the encoder runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from reasound.media.video import Clip, Picture
from reasound.timeline import SYNC_RATE, VISUAL_RATE

SIDE = 224
"""Pixels across what the encoders see."""
MEAN = (0.48145466, 0.4578275, 0.40821073)
"""Of red, green and blue in CLIP's training pictures; below, their standard deviations."""
DEVIATION = (0.26862954, 0.26130258, 0.27577711)

_BITS = 22  # of the fraction of Pillow's fixed-point weights
_BLOCK = 16  # columns of the result that are computed in one product: they look at neighbouring pixels only


def visual_picture(picture: Picture) -> Tensor:
    """[H, W, 3] -> uint8 [3, 224, 224], the whole picture on a black square, for MetaCLIP."""
    height, width, _ = picture.shape
    size = max(height, width)
    # Pillow rounds to whole grey levels between its two passes, first along the rows. The padding stays black.
    x = torch.from_numpy(picture).permute(2, 0, 1).contiguous()
    x = _scaled(x, size, (size - width) // 2)  # [224 columns, 3, H]
    x = _scaled(x, size, (size - height) // 2)  # [224 rows, 224 columns, 3]
    return x.permute(2, 0, 1).contiguous()


def sync_picture(picture: Picture) -> Tensor:
    """[H, W, 3] -> uint8 [3, 224, 224], the square in the middle, for Synchformer."""
    height, width, _ = picture.shape
    short = min(height, width)
    size = (SIDE * height // short, SIDE * width // short)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None]
    if size != (height, width):
        x = F.interpolate(x, size, mode="bicubic", antialias=True)
    top, left = (round((length - SIDE) / 2) for length in size)  # halves to even, as torchvision does
    return x[0, :, top : top + SIDE, left : left + SIDE].contiguous()


def visual_pixels(pictures: Tensor) -> Tensor:
    """uint8 [..., 3, 224, 224] -> the same in float32, as MetaCLIP reads it."""
    mean, deviation = (torch.tensor(x, device=pictures.device)[:, None, None] for x in (MEAN, DEVIATION))
    return (pictures.float() / 255 - mean) / deviation


def sync_pixels(pictures: Tensor) -> Tensor:
    """uint8 [..., 3, 224, 224] -> the same in float32 from -1 to 1, as Synchformer reads it."""
    return (pictures.float() / 255 - 0.5) / 0.5


def visual_pictures(clip: Clip, count: int) -> Iterator[Tensor]:
    """`count` times `visual_picture`, 8 a second. A picture that is shown twice is the same tensor twice."""
    return _made(clip, VISUAL_RATE, count, visual_picture)


def sync_pictures(clip: Clip, count: int) -> Iterator[Tensor]:
    """`count` times `sync_picture`, 25 a second. A picture that is shown twice is the same tensor twice."""
    return _made(clip, SYNC_RATE, count, sync_picture)


def _made(clip: Clip, rate: int, count: int, make: Callable[[Picture], Tensor]) -> Iterator[Tensor]:
    last: tuple[Picture, Tensor] | None = None
    for _, picture in clip.frames(rate, nearest=True, count=count):
        if last is None or picture is not last[0]:
            last = picture, make(picture)
        yield last[1]


def _scaled(x: Tensor, size: int, offset: int) -> Tensor:
    """uint8 [a, b, n], whose n pixels stand at `offset` in a black row of `size` -> uint8 [224, a, b], that row as
    Pillow scales it to 224."""
    out = x.new_empty(SIDE, *x.shape[:2])
    for first, start, weights in _filter(size):
        begin, end = (min(max(i - offset, 0), x.shape[2]) for i in (start, start + weights.shape[1]))
        inside = weights[:, begin + offset - start : end + offset - start]  # the rest sees padding
        # Multiples of 2^-22 below 2^9 in float64: the sum is exact, whatever its order.
        total = inside @ x[..., begin:end].double().flatten(0, 1).T
        out[first : first + len(inside)] = total.add_(0.5).floor_().clamp_(0, 255).unflatten(1, x.shape[:2])
    return out


@cache
def _filter(size: int) -> list[tuple[int, int, Tensor]]:
    """How `size` pixels become 224, in blocks: (first pixel of the result, first pixel it looks at, weights
    [pixels of the result, pixels looked at]). The weights are multiples of 2^-22, in float64."""
    scale = size / SIDE
    stretch = max(scale, 1.0)  # the filter grows where the picture shrinks
    blocks = []
    rows = [_row(size, (i + 0.5) * scale, stretch) for i in range(SIDE)]
    for first in range(0, SIDE, _BLOCK):
        part = rows[first : first + _BLOCK]
        start, end = part[0][0], max(begin + len(row) for begin, row in part)
        weights = np.zeros((len(part), end - start))
        for i, (begin, row) in enumerate(part):
            weights[i, begin - start : begin - start + len(row)] = row
        blocks.append((first, start, torch.from_numpy(weights)))
    return blocks


def _row(size: int, centre: float, stretch: float) -> tuple[int, NDArray[np.float64]]:
    """One pixel of the result: (first pixel it looks at, weight of each)."""
    begin = max(int(centre - 2 * stretch + 0.5), 0)
    end = min(int(centre + 2 * stretch + 0.5), size)
    x = np.abs((np.arange(begin, end) - centre + 0.5) * (1 / stretch))
    # Catmull and Rom's cubic (a = -1/2).
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((x - 5) * x + 8) * x * -0.5 + 2
    weights = np.where(x < 1, near, np.where(x < 2, far, 0.0))
    weights *= 1 / weights.sum()
    fixed = np.trunc(weights * 2.0**_BITS + np.copysign(0.5, weights))
    return begin, fixed * 2.0**-_BITS
