"""Films that are harder to follow: something passes in front of a thing, and the camera shakes.

film = cover(staged.film, "e1", np.random.default_rng(0))
film.picture(40), film.mask("e1", 40)
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reasound.data.scenes.backgrounds import noise
from reasound.data.scenes.truth import FPS, HEIGHT, WIDTH, Film, Mask, Picture

_ZOOM = 1.08
"""The shaken picture is a little larger, so that its edge is never seen."""
_SHAKE = 6.0
"""Pixels, at most."""
_TURN = 0.008
"""Radians, at most."""


@dataclass(frozen=True)
class Panel:
    """What passes in front: upright, plain with some grain, at a constant speed."""

    picture: Picture
    """[h, w, 3]."""
    left: float
    """Of its left edge at time 0, pixels."""
    speed: float
    """Pixels a second."""
    top: int

    def span(self, time: float) -> tuple[slice, slice, slice]:
        """Rows and columns of the picture that it hides, and which of its own columns these are."""
        start = round(self.left + self.speed * time)
        first, last = max(0, start), min(WIDTH, start + self.picture.shape[1])
        return (
            slice(self.top, min(HEIGHT, self.top + self.picture.shape[0])),
            slice(first, max(first, last)),
            slice(first - start, max(first, last) - start),
        )


@dataclass
class Covered:
    """See truth.Film."""

    film: Film
    panel: Panel | None
    wobble: NDArray[np.float64]
    """[K, 3, 3] amplitude, frequency in Hz and phase of the shifts (pixels) and of the turn (radians)."""

    def __post_init__(self) -> None:
        self.frames = self.film.frames

    def picture(self, frame: int) -> Picture:
        picture = self.film.picture(frame).copy()
        if self.panel is not None:
            rows, columns, own = self.panel.span(frame / FPS)
            picture[rows, columns] = self.panel.picture[: rows.stop - rows.start, own]
        return np.asarray(self._shaken(picture, frame, cv2.INTER_LINEAR), np.uint8)

    def mask(self, thing: str, frame: int) -> Mask:
        mask = self.film.mask(thing, frame).copy()
        if self.panel is not None:
            rows, columns, _ = self.panel.span(frame / FPS)
            mask[rows, columns] = False
        return np.asarray(self._shaken(mask.astype(np.uint8), frame, cv2.INTER_NEAREST)) > 0

    def _shaken(self, picture: NDArray[np.uint8], frame: int, how: int) -> NDArray[np.uint8]:
        if not len(self.wobble):
            return picture
        a, f, phase = np.moveaxis(self.wobble, -1, 0)
        x, y, turn = (a * np.sin(2 * np.pi * f * frame / FPS + phase)).sum(0)
        matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), float(np.degrees(turn)), _ZOOM)
        matrix[:, 2] += (x, y)
        shaken = cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=how, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(shaken, np.uint8)


def cover(
    film: Film, thing: str, rng: np.random.Generator, occlusion: bool = True, shake: bool = True
) -> Covered:
    """A panel hides the thing wholly for about half a second in the middle third of the film (half of the panels are
    low and hide its lower part only), and the camera shakes like a hand."""
    panel = _passing(film, thing, rng) if occlusion else None
    wobble = np.zeros((0, 3, 3))
    if shake:
        frequency = rng.uniform(0.3, 3.5, (5, 3))
        size = rng.uniform(0.3, 1.0, (5, 3)) / np.maximum(frequency, 0.6)
        size *= np.array([_SHAKE, _SHAKE, _TURN]) / size.sum(0)
        wobble = np.stack([size, frequency, rng.uniform(0, 2 * np.pi, (5, 3))], -1)
    return Covered(film, panel, wobble)


def _passing(film: Film, thing: str, rng: np.random.Generator) -> Panel | None:
    middle = int(film.frames * rng.uniform(0.35, 0.65))
    seen = [k for k in range(film.frames) if film.mask(thing, k).any()]
    if not seen:
        return None
    middle = min(seen, key=lambda k: abs(k - middle))
    y, x = np.nonzero(film.mask(thing, middle))
    wide, high = x.max() - x.min() + 1, y.max() - y.min() + 1
    full = rng.random() < 0.5
    width = int(min(1.3 * wide + rng.uniform(15, 40), 0.6 * WIDTH))
    top = 0 if full else int(y.min() + high * rng.uniform(0.35, 0.6))
    # It is alone with the thing for half a second, and has half a second or so to come and to go.
    speed = float(rng.choice([-1, 1]) * np.clip((width + wide) / rng.uniform(0.8, 1.4), 60, 400))
    left = (x.max() + x.min() + 1) / 2 - width / 2 - speed * middle / FPS
    colour = rng.uniform(40, 215, 3)
    grain = noise(rng, (HEIGHT, width), float(rng.uniform(2, 8)))[..., None]
    picture = np.clip(colour + 50 * (grain - grain.mean()), 0, 255).astype(np.uint8)
    return Panel(picture[: HEIGHT - top], float(left), speed, top)
