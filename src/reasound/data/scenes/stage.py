"""Drawing: cut-out pictures laid over a backdrop, each by an exact affine map, seen by a camera that may shake.

A frame is a pure function of its number. Things move by fractions of a pixel; what is drawn later hides what was drawn
earlier, in the picture and in the masks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reasound.data.scenes.truth import EDGE_PAN, FPS, HEIGHT, WIDTH, Mask, Picture

Floats = NDArray[np.float32]
Matrix = NDArray[np.float64]  # [2, 3] what cv2.warpAffine takes

METRES = 3.0
"""Distance of a thing at scale 1, whatever it is: half as large is twice as far."""
MARGIN = 28
"""Pixels by which a backdrop is larger than the picture, on each side, so that the camera may move."""
SEEN = 0.35
"""Opacity from which a pixel belongs to a thing; a soft shadow is fainter, glass is not."""
_NOISE = 0.9  # grey levels of the sensor


@dataclass(frozen=True)
class Prop:
    """A cut-out picture, held at one point."""

    levels: tuple[Floats, ...]
    """[h, w, 4] premultiplied RGB (0 to 255) and opacity (0 to 1); each half as large as the one before."""
    density: float
    """Pixels of the largest for one of the scene, at scale 1."""
    hold: tuple[float, float]
    """The point that is placed, in pixels of the scene from its upper left corner."""

    @classmethod
    def of(
        cls,
        picture: NDArray[np.uint8],
        height: float,
        hold: tuple[float, float] = (0.5, 1.0),
        dense: float = 2.0,
    ) -> Prop:
        """A picture [h, w, 4] RGBA, not premultiplied, to be drawn `height` high at scale 1; `hold` as shares of its
        width and height. It is kept at most `dense` times as finely as it is drawn."""
        rgba = picture.astype(np.float32)
        rgba[..., 3] /= 255
        rgba[..., :3] *= rgba[..., 3:]
        if (small := dense * height / len(picture)) < 1:
            size = (max(1, round(picture.shape[1] * small)), max(1, round(len(picture) * small)))
            rgba = cv2.resize(rgba, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        density = len(rgba) / height
        at = (hold[0] * rgba.shape[1] / density, hold[1] * height)
        levels = [rgba]
        while min(levels[-1].shape[:2]) > 8:
            half = (levels[-1].shape[1] // 2, levels[-1].shape[0] // 2)
            levels.append(cv2.resize(levels[-1], half, interpolation=cv2.INTER_AREA).astype(np.float32))
        return cls(tuple(levels), density, at)

    @property
    def size(self) -> tuple[float, float]:
        """(width, height) at scale 1."""
        h, w = self.levels[0].shape[:2]
        return w / self.density, h / self.density

    def top(self, share: float = 0.5) -> float:
        """How far below its upper edge it begins, at this share of its width; pixels of the scene."""
        opacity = self.levels[0][:, round(share * (self.levels[0].shape[1] - 1)), 3]
        return float(np.argmax(opacity > 0.5)) / self.density


@dataclass(frozen=True)
class Stamp:
    """A prop laid into the scene."""

    prop: Prop
    x: float
    y: float
    """Where its hold is, in pixels of the scene; y grows downwards."""
    scale: float = 1.0
    across: float = 1.0
    up: float = 1.0
    """Further factors of width and height; `across` below 0 mirrors it."""
    angle: float = 0.0
    """Clockwise, radians."""
    event: str = ""
    """Of whose thing this is a part."""
    opacity: float = 1.0

    def matrix(self, level: int) -> Matrix:
        """From pixels of this level of the prop to the scene (pixel centres at whole numbers)."""
        h, w = self.prop.levels[0].shape[:2]
        rows, columns = self.prop.levels[level].shape[:2]
        sx = self.scale * self.across * w / columns / self.prop.density
        sy = self.scale * self.up * h / rows / self.prop.density
        c, s = math.cos(self.angle), math.sin(self.angle)
        linear = np.array([[c * sx, -s * sy], [s * sx, c * sy]])
        hold = np.array(
            [
                self.prop.hold[0] * self.prop.density * columns / w,
                self.prop.hold[1] * self.prop.density * rows / h,
            ]
        )
        at = np.array([self.x, self.y]) - linear @ (hold - 0.5) - 0.5
        return np.column_stack([linear, at])


Layer = Callable[[float], Iterable[Stamp]]
"""What is drawn at a time, back to front."""


@dataclass(frozen=True)
class Camera:
    """Where it looks: shakes like a hand, and may drift and come nearer slowly. At rest by default."""

    shake: NDArray[np.float64]
    """[K, 6] amplitude, frequency (Hz) and phase, of x and of y."""
    drift: tuple[float, float] = (0.0, 0.0)
    """Pixels from the start of the clip to its end."""
    nearer: float = 0.0
    """By which share all has grown at the end of the clip."""
    seconds: float = 1.0

    @classmethod
    def still(cls) -> Camera:
        return cls(np.zeros((0, 6)))

    @classmethod
    def drawn(cls, rng: np.random.Generator, seconds: float) -> Camera:
        """About a third shakes; a sixth drifts or comes nearer."""
        shake, drift, nearer = np.zeros((0, 6)), (0.0, 0.0), 0.0
        if rng.random() < 0.33:
            k, size = 5, rng.uniform(0.5, 1.3)
            frequency = rng.uniform(0.25, 2.2, (k, 2))
            amplitude = size * rng.uniform(0.4, 1.0, (k, 2)) / np.maximum(frequency, 0.6)
            shake = np.concatenate([amplitude, frequency, rng.uniform(0, 2 * np.pi, (k, 2))], axis=1)[
                :, [0, 2, 4, 1, 3, 5]
            ]
        if rng.random() < 0.17:
            if rng.random() < 0.5:
                drift = (float(rng.uniform(-14, 14)), float(rng.uniform(-3, 3)))
            else:
                nearer = float(rng.uniform(0.03, 0.08))
        return cls(shake, drift, nearer, seconds)

    def view(self, time: float) -> Matrix:
        """From the scene to the picture."""
        zoom = 1 + self.nearer * time / self.seconds
        a = self.shake
        wave = [np.sum(a[:, k] * np.sin(2 * np.pi * a[:, k + 1] * time + a[:, k + 2])) for k in (0, 3)]
        share = time / self.seconds - 0.5
        x = WIDTH / 2 * (1 - zoom) + self.drift[0] * share + wave[0]
        y = HEIGHT / 2 * (1 - zoom) + self.drift[1] * share + wave[1]
        return np.array([[zoom, 0.0, x], [0.0, zoom, y]])


@dataclass(frozen=True)
class Backdrop:
    """What is behind."""

    picture: Picture
    """[HEIGHT + 2 MARGIN, WIDTH + 2 MARGIN, 3]; the scene begins MARGIN inside."""
    floor: float
    """y on which near things stand."""
    horizon: float
    """y at which the ground ends: a horizon, or the foot of a wall."""
    outdoors: bool


class Drawn:
    """A film made of a backdrop and layers; see truth.Film."""

    def __init__(
        self,
        backdrop: Backdrop,
        layers: Sequence[Layer],
        frames: int,
        camera: Camera | None = None,
        light: Callable[[float], float] | None = None,
        seed: int = 0,
    ) -> None:
        """`light`: factor of brightness at a time. `seed`: of the sensor's noise."""
        self.backdrop, self.layers, self.frames = backdrop, tuple(layers), frames
        self.camera, self.light = camera or Camera.still(), light
        # One sheet of noise, of which each frame takes another part: as good as new noise, and free.
        self._sheet = (
            np.random.default_rng(seed).normal(0, _NOISE, (HEIGHT + 64, WIDTH + 64, 1)).astype(np.float32)
        )

    def picture(self, frame: int) -> Picture:
        time = self._time(frame)
        view = self.camera.view(time)
        behind = view.copy()
        behind[:, 2] -= view[:, :2] @ (MARGIN, MARGIN)
        canvas = cv2.warpAffine(
            self.backdrop.picture,
            behind,
            (WIDTH, HEIGHT),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ).astype(np.float32)
        for stamp in self._stamps(time):
            if laid := _laid(stamp, view):
                rows, columns, rgba = laid
                part = canvas[rows, columns]
                part *= 1 - rgba[..., 3:]
                part += rgba[..., :3]
        if self.light is not None:
            canvas *= np.float32(self.light(time))
        y, x = (frame * 37) % 64, (frame * 23 + frame // 64) % 64
        canvas += self._sheet[y : y + HEIGHT, x : x + WIDTH]
        return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)

    def mask(self, thing: str, frame: int) -> Mask:
        time = self._time(frame)
        view = self.camera.view(time)
        seen = np.zeros((HEIGHT, WIDTH), np.float32)
        for stamp in self._stamps(time):
            if laid := _laid(stamp, view):
                rows, columns, rgba = laid
                part = seen[rows, columns]
                part *= 1 - rgba[..., 3]
                if thing and stamp.event == thing:
                    part += rgba[..., 3]
        mask: Mask = seen > SEEN
        return mask

    def _time(self, frame: int) -> float:
        if not 0 <= frame < self.frames:
            raise ValueError(f"frame {frame} is not one of the {self.frames} of this film")
        return frame / FPS

    def _stamps(self, time: float) -> Iterable[Stamp]:
        for layer in self.layers:
            yield from layer(time)


def _laid(stamp: Stamp, view: Matrix) -> tuple[slice, slice, Floats] | None:
    """Rows, columns and [h, w, 4] of a stamp in the picture; None where it is outside."""
    prop = stamp.prop
    size = abs(view[0, 0]) * stamp.scale * max(abs(stamp.across), abs(stamp.up))
    if size <= 0 or stamp.opacity <= 0 or not stamp.across or not stamp.up:
        return None
    # Linear interpolation may shrink by up to two without aliasing worth speaking of.
    level = min(max(int(math.log2(prop.density / size) - 0.01), 0), len(prop.levels) - 1)
    rgba = prop.levels[level]
    at = stamp.matrix(level)
    matrix = np.column_stack([view[:, :2] @ at[:, :2], view[:, :2] @ at[:, 2] + view[:, 2]])
    h, w = rgba.shape[:2]
    corners = matrix[:, :2] @ np.array([[-1, w, w, -1], [-1, -1, h, h]]) + matrix[:, 2:]
    x0, y0 = np.maximum(np.floor(corners.min(1)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(corners.max(1)).astype(int) + 1, (WIDTH, HEIGHT))
    if x1 <= x0 or y1 <= y0:
        return None
    matrix[:, 2] -= (x0, y0)
    drawn = cv2.warpAffine(rgba, matrix, (int(x1 - x0), int(y1 - y0)), flags=cv2.INTER_LINEAR)
    if stamp.opacity < 1:
        drawn = drawn * np.float32(stamp.opacity)
    return slice(int(y0), int(y1)), slice(int(x0), int(x1)), drawn.astype(np.float32, copy=False)


def pan_at(x: float) -> float:
    """Pan of a thing whose box has its centre at x, in pixels of the picture."""
    return 2 * EDGE_PAN * (min(max(x / WIDTH, 0.0), 1.0) - 0.5)


def distance_at(scale: float) -> float:
    """Metres."""
    return METRES / scale
