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

EMBEDDINGS = {"empty_string_feat", "empty_t5_feat", "empty_clip_feat", "empty_sync_feat", "sync_pos_emb"}


def _drawn(name: str, shape: Sequence[int]) -> NDArray[np.float64]:
    return np.random.RandomState(zlib.crc32(name.encode())).standard_normal(tuple(shape))


def weights(name: str, shape: Sequence[int]) -> NDArray[np.float32]:
    """A tensor of a checkpoint, by its full name there."""
    z, leaf = _drawn(name, shape), name.rsplit(".", 1)[-1]
    if leaf in EMBEDDINGS:
        z = 0.5 * z
    elif len(shape) == 1:
        z = 1.0 + 0.1 * z if leaf == "weight" else 0.1 * z  # gains and biases
    else:
        z = z / math.sqrt(math.prod(shape[1:]))
    return z.astype(np.float32)


def inputs(tag: str, shape: Sequence[int], scale: float = 1.0) -> NDArray[np.float32]:
    """Input of a network, by its tag."""
    return (_drawn(f"input:{tag}", shape) * scale).astype(np.float32)
