"""A take: clip, plan, layers and how they were made, in a folder that survives a crash."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Layer:
    """One sound with its own slice of the plan."""

    name: str
    """Unique within the take and safe as a file name."""
    audio: NDArray[np.float32]  # [2, N] at 44.1 kHz
    events: tuple[str, ...]
    """Ids of the events or ambiences of the plan that it plays."""
    seed: int
    renderer: str
    """"library" or "model"."""
    recordings: tuple[str, ...] = ()
    """Ids of the library's recordings that can be heard in it."""
    gain: float = 0.0
    """dB."""
    pan: float = 0.0
    mute: bool = False
    solo: bool = False
    lock: bool = False
