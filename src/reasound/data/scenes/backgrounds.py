"""What is behind: skies, grounds, walls and rooms, drawn from noise so that no two are alike."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from reasound.data.scenes.stage import MARGIN, Backdrop
from reasound.data.scenes.truth import HEIGHT, WIDTH

Floats = NDArray[np.float32]
Colour = tuple[float, float, float]

OUTDOORS = ("open", "hills", "forest", "town", "street", "night")
INDOORS = ("plain", "striped", "bricks", "panelled", "tiled")
GROUNDS: dict[str, Colour] = {
    "grass": (92, 128, 58),
    "gravel": (142, 136, 128),
    "sand": (212, 188, 142),
    "snow": (232, 238, 246),
    "dirt": (122, 94, 66),
    "stone": (150, 148, 144),
    "asphalt": (92, 92, 96),
    "wood": (158, 116, 74),
    "tile": (206, 200, 190),
    "metal": (132, 138, 146),
    "carpet": (128, 92, 88),
    "water": (58, 104, 136),
}
_GROUNDS_OUT = ("grass", "grass", "gravel", "sand", "snow", "dirt", "stone", "asphalt")
_GROUNDS_IN = ("wood", "wood", "tile", "carpet", "stone")
_SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((88, 142, 214), (196, 220, 240)),
    ((120, 160, 206), (222, 226, 226)),
    ((150, 160, 172), (206, 208, 208)),
    ((92, 96, 150), (244, 186, 134)),
)
_H, _W = HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN


def backdrop(rng: np.random.Generator, outdoors: bool, ground: str = "", style: str = "") -> Backdrop:
    """One of OUTDOORS or INDOORS, on one of GROUNDS; drawn where none is named."""
    style = style or str(rng.choice(OUTDOORS if outdoors else INDOORS))
    ground = ground or str(rng.choice(_GROUNDS_OUT if outdoors else _GROUNDS_IN))
    floor = float(rng.uniform(196, 212))
    edge = float(rng.uniform(120, 150) if outdoors else rng.uniform(148, 166))
    wall = _outside(rng, style, edge) if outdoors else _inside(rng, style, edge)
    eye = edge if outdoors and style != "street" else edge - rng.uniform(45, 70)
    picture = _on(wall, _perspective(rng, ground, eye), edge)
    if not outdoors or style == "street":
        _band(
            picture,
            edge - 7 if not outdoors else edge - 2,
            7,
            rng.uniform(90, 225) * rng.uniform(0.85, 1.0, 3),
        )
    if not outdoors:
        _window_or_picture(rng, picture, edge)
    if style == "night":
        picture *= np.array([0.34, 0.4, 0.56], np.float32)
        stars = rng.integers(0, [_W, int(MARGIN + edge - 30)], (60, 2))
        for x, y in stars:
            picture[y, x] = rng.uniform(120, 240)
        cv2.circle(
            picture,
            (int(rng.uniform(60, _W - 60)), int(rng.uniform(40, 80))),
            9,
            (236, 232, 210),
            -1,
            cv2.LINE_AA,
        )
    y, x = np.mgrid[-1 : 1 : _H * 1j, -1 : 1 : _W * 1j]
    light = 1 + 0.08 * (rng.uniform(-1, 1) * x + rng.uniform(-1, 1) * y) - 0.07 * (x * x + y * y)
    picture *= light[..., None].astype(np.float32)
    return Backdrop(np.clip(picture, 0, 255).astype(np.uint8), floor, edge, outdoors)


def sea(rng: np.random.Generator) -> Backdrop:
    """Water up to the horizon, under a sky."""
    edge = float(rng.uniform(110, 135))
    wall = _outside(rng, str(rng.choice(["open", "hills"])), edge)
    picture = _on(wall, _perspective(rng, "water", edge), edge)
    return Backdrop(np.clip(picture, 0, 255).astype(np.uint8), float(rng.uniform(180, 195)), edge, True)


def noise(rng: np.random.Generator, shape: tuple[int, int], cell: float, octaves: int = 4) -> Floats:
    """[h, w] about 0 to 1: smooth lumps of `cell` pixels, with ever finer ones on them."""
    total, weight = np.zeros(shape, np.float32), 0.0
    for k in range(octaves):
        size = max(cell / 2**k, 1.0)
        grid = rng.random((int(shape[0] / size) + 3, int(shape[1] / size) + 3), np.float32)
        fine = cv2.resize(
            grid, (int(grid.shape[1] * size), int(grid.shape[0] * size)), interpolation=cv2.INTER_CUBIC
        )
        total += fine[: shape[0], : shape[1]] / 2**k
        weight += 1 / 2**k
    return total / np.float32(weight)


def texture(rng: np.random.Generator, name: str, shape: tuple[int, int]) -> Floats:
    """[h, w, 3] of a ground or a material."""
    h, w = shape
    base = (np.array(GROUNDS[name]) * rng.uniform(0.85, 1.1) * rng.uniform(0.94, 1.06, 3)).astype(np.float32)
    grain: Floats
    if name in ("grass", "gravel", "sand", "snow", "dirt", "asphalt", "carpet"):
        cell, depth = {
            "grass": (5, 0.9), "gravel": (7, 1.0), "sand": (3, 0.25), "snow": (30, 0.12), "dirt": (14, 0.6),
            "asphalt": (2.5, 0.4), "carpet": (3, 0.35),
        }[name]  # fmt: skip
        grain = noise(rng, shape, cell, 3) + np.float32(0.4) * noise(rng, shape, 90, 2) - np.float32(0.7)
    elif name == "wood":
        streaks = noise(rng, (h, max(w // 12, 4)), 5, 3)
        grain = _wide(streaks, w) - 0.5
        plank = 32
        shade = np.repeat(rng.uniform(-0.12, 0.12, h // plank + 1), plank)[:h]
        grain += shade[:, None].astype(np.float32)
        grain[::plank] = -0.45
        depth = 0.7
    elif name in ("tile", "stone", "metal"):
        side = {"tile": 48, "stone": 64, "metal": 96}[name]
        grain = 0.5 * (noise(rng, shape, 10 if name == "stone" else 40, 4) - 0.5)
        slabs = rng.uniform(-0.07, 0.07, (h // side + 1, w // side + 1)).astype(np.float32)
        grain = grain + np.kron(slabs, np.ones((side, side), np.float32))[:h, :w]
        for k in range(2):
            grain[k::side] = grain[:, k::side] = -0.3
        depth = 0.8
    else:  # water
        grain = _wide(noise(rng, (h, max(w // 5, 4)), 9, 4), w) - 0.5
        depth = 1.1
    return np.asarray(base * (1 + np.float32(depth) * grain[..., None]), np.float32)


def _wide(narrow: Floats, width: int) -> Floats:
    """Pulled apart from side to side."""
    return np.asarray(cv2.resize(narrow, (width, len(narrow)), interpolation=cv2.INTER_CUBIC), np.float32)


def bricks(
    rng: np.random.Generator,
    shape: tuple[int, int],
    colour: Sequence[float] | NDArray[np.float64],
    size: tuple[int, int],
) -> Floats:
    """[h, w, 3] of courses of bricks, each (height, width)."""
    (h, w), (bh, bw) = shape, size
    y, x = np.mgrid[0:h, 0:w]
    row = y // bh
    column = (x + (row % 2) * (bw // 2)) // bw
    shade = rng.uniform(0.8, 1.15, (h // bh + 1, w // bw + 2)).astype(np.float32)[row, column]
    shade = shade * (0.75 + 0.5 * noise(rng, shape, 6, 3))
    picture = np.asarray(colour, np.float32) * shade[..., None]
    mortar = (y % bh < 2) | ((x + (row % 2) * (bw // 2)) % bw < 2)
    picture[mortar] = 176 * (0.8 + 0.3 * rng.random(int(mortar.sum()), np.float32))[:, None]
    return picture


def _on(wall: Floats, ground: Floats, edge: float) -> Floats:
    y = np.arange(_H, dtype=np.float32)[:, None, None] - MARGIN
    share = np.clip(y - np.float32(edge) + 0.5, 0, 1)
    return wall * (1 - share) + ground * share


def _perspective(rng: np.random.Generator, name: str, eye: float) -> Floats:
    """A ground that runs away to a horizon at y = `eye`."""
    size = 768
    tile = texture(rng, name, (size, size))
    y, x = np.mgrid[0:_H, 0:_W].astype(np.float32)
    depth = 110 / np.maximum(y - MARGIN - np.float32(eye), 3)
    u, v = (x - _W / 2) * depth * 1.6 + rng.uniform(0, size), depth * 260
    seen = cv2.remap(tile, u % (size - 1), v % (size - 1), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    far = np.clip((depth - 1.2) / 6, 0, 0.92)[..., None]  # where texture would alias it fades, as in haze
    return np.asarray(seen * (1 - far) + tile.mean((0, 1)) * far, np.float32)


def _outside(rng: np.random.Generator, style: str, edge: float) -> Floats:
    top, low = (np.array(c, np.float32) for c in _SKIES[int(rng.integers(len(_SKIES)))])
    share = np.linspace(0, 1, _H, dtype=np.float32)[:, None, None] ** 0.8 * np.ones((1, _W, 1), np.float32)
    picture = top * (1 - share) + low * share
    clouds = np.clip((noise(rng, (_H, _W), 90, 5) - rng.uniform(0.45, 0.6)) * 5, 0, 0.85)[..., None]
    picture = picture * (1 - clouds) + 240 * clouds
    y = np.arange(_H)[:, None] - MARGIN
    if style in ("hills", "night"):
        for k in range(3):
            ridge = edge - (46 - 16 * k) * noise(rng, (1, _W), 120, 4)[0] - 4
            colour = low * (0.5 - 0.1 * k) + np.array([30, 60, 30]) * (0.5 + 0.2 * k)
            hill = colour * (0.85 + 0.3 * noise(rng, (_H, _W), 12, 3)[..., None])
            picture = np.where((y > ridge)[..., None], hill, picture)
    if style == "forest":
        _trees(rng, picture, edge)
    if style == "town":
        x = 0
        while x < _W:
            w, h = int(rng.uniform(34, 70)), rng.uniform(35, 95)
            _house(rng, picture, x, w, MARGIN + edge - h, MARGIN + edge)
            x += w + int(rng.uniform(0, 10))
    if style == "street":
        burnt = [(150, 78, 62), (172, 132, 98), (120, 108, 104)][int(rng.integers(3))]
        picture = bricks(rng, (_H, _W), burnt, (11, 26))
    return np.asarray(picture, np.float32)


def _trees(rng: np.random.Generator, picture: Floats, edge: float) -> None:
    """Crowns and trunks, the far ones first."""
    sky = picture.copy()
    for k in range(46):
        near = k / 46
        x, foot = rng.uniform(0, _W), MARGIN + edge + 2 + 5 * near
        tall = rng.uniform(50, 100) * (0.6 + 0.6 * near)
        dark = rng.uniform(0.55, 1.0) * (0.75 + 0.25 * near)
        wide = max(2, round(tall / 18))
        cv2.line(
            picture,
            (int(x), int(foot)),
            (int(x), int(foot - tall)),
            tuple(dark * c for c in (70.0, 52.0, 38.0)),
            wide,
        )
        for _ in range(14):
            at = (int(x + rng.normal(0, tall / 6)), int(foot - tall * rng.uniform(0.5, 1.1)))
            green = dark * rng.uniform(0.7, 1.2)
            axes = (int(tall * rng.uniform(0.08, 0.16)), int(tall * rng.uniform(0.06, 0.12)))
            cv2.ellipse(
                picture, at, axes, 0, 0, 360, tuple(green * c for c in (58.0, 98.0, 44.0)), -1, cv2.LINE_AA
            )
    grain = 0.82 + 0.36 * noise(rng, (_H, _W), 5, 2)
    grown = (picture != sky).any(-1)
    picture[grown] *= grain[grown][:, None]


def _house(rng: np.random.Generator, picture: Floats, x: int, w: int, top: float, foot: float) -> None:
    colour = rng.uniform(90, 210) * np.array([1.0, rng.uniform(0.75, 1), rng.uniform(0.65, 0.95)])
    cv2.rectangle(picture, (x, int(top)), (x + w, int(foot)), colour.tolist(), -1)
    roof = np.array([[x - 2, top], [x + w + 2, top], [x + w / 2, top - rng.uniform(0, 22)]], np.int32)
    cv2.fillPoly(picture, [roof], (colour * [0.65, 0.45, 0.4]).tolist(), cv2.LINE_AA)
    pane = [rng.uniform(40, 220)] * 2 + [rng.uniform(60, 200)]
    for wy in range(int(top) + 8, int(foot) - 14, 20):
        for wx in range(x + 6, x + w - 9, 15):
            cv2.rectangle(picture, (wx, wy), (wx + 7, wy + 10), pane, -1)


def _inside(rng: np.random.Generator, style: str, edge: float) -> Floats:
    colour = rng.uniform(130, 225) * rng.uniform(0.78, 1.05, 3)
    y, x = np.mgrid[0:_H, 0:_W]
    picture = np.ones((_H, _W, 1), np.float32) * colour.astype(np.float32)
    if style == "striped":
        picture *= (1 + rng.uniform(0.04, 0.12) * np.sign(np.sin(x * 2 * np.pi / rng.uniform(18, 40))))[
            ..., None
        ]
    elif style == "bricks":
        picture = bricks(rng, (_H, _W), colour * [0.9, 0.7, 0.62], (12, 28))
    elif style == "panelled":
        board = texture(rng, "wood", (_W, _H)).transpose(1, 0, 2)
        picture = np.where((y > MARGIN + edge - 62)[..., None], board, picture)
        _band(picture, edge - 64, 5, (110, 80, 55))
    elif style == "tiled":
        picture = bricks(rng, (_H, _W), 0.4 * colour + 140, (22, 22))
    picture = picture * (0.92 + 0.16 * noise(rng, (_H, _W), 60, 5)[..., None])
    fall = 1.12 - 0.35 * np.hypot((x - rng.uniform(0, _W)) / _W, (y - 20) / _H)  # of a lamp
    return np.asarray(picture * fall[..., None], np.float32)


def _band(picture: Floats, y: float, thick: int, colour: Sequence[float] | NDArray[np.float64]) -> None:
    """A board across the whole wall."""
    first = round(MARGIN + y)
    picture[first : first + thick] = np.asarray(colour, np.float32)
    picture[first : first + 1] *= 1.2
    picture[first + thick - 1 : first + thick] *= 0.6


def _window_or_picture(rng: np.random.Generator, picture: Floats, edge: float) -> None:
    w, h = int(rng.uniform(46, 84)), int(rng.uniform(44, 72))
    x, y = int(rng.uniform(MARGIN + 8, _W - MARGIN - w - 8)), MARGIN + int(rng.uniform(6, edge - h - 50))
    frame = rng.uniform(60, 235) * np.array([1, 0.93, 0.85])
    cv2.rectangle(picture, (x - 4, y - 4), (x + w + 4, y + h + 4), frame.tolist(), -1)
    inner = _outside(rng, str(rng.choice(["open", "hills", "forest"])), 120.0)
    picture[y : y + h, x : x + w] = cv2.resize(inner[10:190], (w, h), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.6:  # a window
        cv2.line(picture, (x + w // 2, y), (x + w // 2, y + h), frame.tolist(), 3)
        cv2.line(picture, (x, y + h // 2), (x + w, y + h // 2), frame.tolist(), 3)
