"""What perception saw, as one named value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Box:
    """A part of the picture, in fractions of its width and height (0 = left, top)."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def centre(self) -> tuple[float, float]:
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    @property
    def area(self) -> float:
        return max(0.0, self.x1 - self.x0) * max(0.0, self.y1 - self.y0)


@dataclass(frozen=True)
class Onset:
    """A visible impact: motion that stops or turns suddenly."""

    time: float
    """Seconds from the first frame."""
    strength: float
    """0 to 1 within the clip."""
    x: float
    """Where, 0 left to 1 right."""
    y: float


@dataclass(frozen=True)
class Shot:
    start: float
    end: float


@dataclass(frozen=True)
class Sighting:
    """A thing that the labels saw: an ImageNet class, summed over time and crops."""

    name: str
    index: int
    probability: float
    """Mean over the time in which it is seen, 0 to 1."""
    start: float
    end: float
    box: Box | None = None
    """Where it was seen best; None is the whole picture."""


Matter = Literal["person", "crowd", "fire", "fireworks", "water", "leaves"]
"""What has no class among the labels and is told from colour and movement."""


@dataclass(frozen=True)
class Trace:
    """Colour and movement as of people, fire, water, ..."""

    matter: Matter
    confidence: float
    """0 to 1."""
    start: float
    end: float
    box: Box | None = None
    """Where; None is the whole picture."""


@dataclass(frozen=True)
class Motion:
    """Optical flow at 25 frames a second, camera motion removed. T frames, A angle bins, G = 9 grid cells."""

    rate: float
    directogram: Floats  # [T, A] flow magnitude by direction, pixels a frame at 192 wide
    grid: Floats  # [T, 9, A] the same in a 3x3 grid, row by row
    envelope: Floats  # [T] impact envelope: deceleration that a hit would show, >= 0
    level: Floats  # [T] mean flow magnitude after the camera's motion is removed
    centre: Floats  # [T, 2] where the motion is (x, y), fractions of the picture
    camera: Floats  # [T, 2] median flow
    onsets: tuple[Onset, ...]


@dataclass(frozen=True)
class Features:
    """Everything that reasoning and synthesis may know of the picture. Tv = 8 a second, Ts = 25 a second."""

    seconds: float
    visual: Floats  # [Tv, 384] ConSE vector in MiniLM's space
    probabilities: Floats  # [Tv, 1000] ImageNet, whole picture and crops pooled
    sightings: tuple[Sighting, ...]  # most probable first
    colour: Floats  # [Tv, 4] mean red, green, blue in 0..1 and flicker (mean absolute change of luminance)
    motion: Motion
    sync: Floats  # [Ts, Ds] motion statistics that the audio model attends to
    shots: tuple[Shot, ...]
    traces: tuple[Trace, ...] = ()  # surest first
    metaclip: Floats | None = None  # [Tv, 1024] what ThinkSound's encoders saw, where they were asked
    synchformer: Floats | None = None  # [Ts, 768]
