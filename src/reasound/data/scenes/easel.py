"""Painting things that are drawn: four times as large as they appear, and then shrunk, which smooths their edges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from reasound.data.scenes.backgrounds import texture
from reasound.data.scenes.stage import Prop

Colour = Sequence[float] | NDArray[np.float64]
"""Red, green, blue; 0 to 255."""

_FINE = 4


class Easel:
    """A clear sheet of so many pixels of the scene, to paint on."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.sheet = np.zeros((math.ceil(height * _FINE), math.ceil(width * _FINE), 4), np.uint8)

    def polygon(self, points: Sequence[tuple[float, float]], colour: Colour, opacity: float = 1.0) -> Easel:
        cv2.fillPoly(self.sheet, [np.round(np.array(points) * _FINE).astype(np.int32)], _ink(colour, opacity))
        return self

    def box(
        self, x: float, y: float, width: float, height: float, colour: Colour, opacity: float = 1.0
    ) -> Easel:
        return self.polygon(
            ((x, y), (x + width, y), (x + width, y + height), (x, y + height)), colour, opacity
        )

    def oval(
        self, x: float, y: float, width: float, height: float, colour: Colour, opacity: float = 1.0
    ) -> Easel:
        """With its centre at (x, y)."""
        at, axes = (round(x * _FINE), round(y * _FINE)), (round(width * _FINE / 2), round(height * _FINE / 2))
        cv2.ellipse(self.sheet, at, axes, 0, 0, 360, _ink(colour, opacity), -1)
        return self

    def line(
        self, points: Sequence[tuple[float, float]], colour: Colour, thick: float, opacity: float = 1.0
    ) -> Easel:
        drawn = np.round(np.array(points) * _FINE).astype(np.int32)
        cv2.polylines(self.sheet, [drawn], False, _ink(colour, opacity), max(1, round(thick * _FINE)))
        return self

    def rough(self, rng: np.random.Generator, name: str) -> Easel:
        """Gives all that is painted so far the grain of a ground or material."""
        grain = texture(rng, name, (len(self.sheet) // 2 + 1, self.sheet.shape[1] // 2 + 1))
        grain = cv2.resize(grain / grain.mean((0, 1)), (self.sheet.shape[1], len(self.sheet)))
        self.sheet[..., :3] = np.clip(self.sheet[..., :3] * grain, 0, 255).astype(np.uint8)
        return self

    def lit(self, amount: float = 0.3) -> Easel:
        """Light from the upper left."""
        h, w = self.sheet.shape[:2]
        y, x = np.mgrid[1 : -1 : h * 1j, 1 : -1 : w * 1j]
        gain = 1 + amount * (0.7 * y + 0.3 * x)
        self.sheet[..., :3] = np.clip(self.sheet[..., :3] * gain[..., None], 0, 255).astype(np.uint8)
        return self

    def prop(self, hold: tuple[float, float]) -> Prop:
        """Held at a point in pixels."""
        return Prop.of(self.sheet, self.height, (hold[0] / self.width, hold[1] / self.height))


def _ink(colour: Colour, opacity: float) -> tuple[int, int, int, int]:
    r, g, b = (round(min(max(c, 0), 255)) for c in colour)
    return (r, g, b, round(255 * opacity))


def soft(width: float, height: float, colour: Colour, opacity: float) -> Prop:
    """A blurred oval, held at its centre: a shadow, a puff, a glow."""
    h, w = math.ceil(height * 2), math.ceil(width * 2)
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    rgba = np.empty((h, w, 4), np.uint8)
    rgba[..., :3] = np.clip(colour, 0, 255)
    rgba[..., 3] = np.round(255 * opacity * np.clip(1.25 * (1 - x * x - y * y), 0, 1))
    return Prop.of(rgba, height, (0.5, 0.5))
