"""The recipe TSR1: weights and inputs that anybody can make again from a name and a shape.

Each tensor is drawn from numpy's legacy generator (frozen by numpy), seeded with the CRC-32 of its name, and scaled by
what the name says it is. So the golden files need to hold outputs only.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

EMBEDDINGS = {
    "empty_string_feat",
    "empty_t5_feat",
    "empty_clip_feat",
    "empty_sync_feat",
    "sync_pos_emb",
    "pos_embed",
    "temp_embed",
    "cls_token",
}


def _generator(name: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(name.encode()))


def _drawn(name: str, shape: Sequence[int]) -> NDArray[np.float64]:
    return _generator(name).standard_normal(tuple(shape))


def weights(name: str, shape: Sequence[int]) -> NDArray[np.float32]:
    """A tensor of a checkpoint, by its full name there."""
    z, leaf = _drawn(name, shape), name.rsplit(".", 1)[-1]
    if leaf in EMBEDDINGS:
        z = 0.5 * z
    elif leaf in ("alpha", "beta"):
        z = 0.1 * z
    elif leaf == "weight_g":
        z = 0.7 * (1.0 + 0.1 * z)
    elif len(shape) == 1:
        z = 1.0 + 0.1 * z if leaf == "weight" else 0.1 * z  # gains and biases
    else:
        z = z / math.sqrt(math.prod(shape[1:]))
    return z.astype(np.float32)


def inputs(tag: str, shape: Sequence[int], scale: float = 1.0) -> NDArray[np.float32]:
    """Input of a network, by its tag."""
    return (_drawn(f"input:{tag}", shape) * scale).astype(np.float32)


def frames(tag: str, count: int) -> NDArray[np.uint8]:
    """Coarse noise as pictures [count, 3, 224, 224]: squares of 8 by 8 pixels."""
    coarse = _generator(f"input:{tag}").randint(0, 256, size=(count, 3, 28, 28)).astype(np.uint8)
    return coarse.repeat(8, axis=2).repeat(8, axis=3)


def smooth_video(tag: str, count: int, height: int, width: int) -> NDArray[np.uint8]:
    """9 by 13 random colours, stretched bilinearly: [count, 3, height, width]."""
    coarse = _generator(f"input:{tag}").randint(0, 256, size=(count, 3, 9, 13)).astype(np.float64)
    y, x = np.linspace(0, 8, height), np.linspace(0, 12, width)
    top, left = np.minimum(y.astype(int), 7), np.minimum(x.astype(int), 11)
    down, right = (y - top)[:, None], (x - left)[None, :]
    rows = coarse[:, :, top], coarse[:, :, top + 1]
    (a, b), (c, d) = ((row[..., left], row[..., left + 1]) for row in rows)
    # The order of these sums is part of the recipe: it decides how halves are rounded.
    mixed = a * (1 - down) * (1 - right) + b * (1 - down) * right + c * down * (1 - right) + d * down * right
    return np.rint(mixed).astype(np.uint8)
