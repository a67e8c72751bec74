"""Things that are drawn because no picture of them exists: tools, balls, vessels, a person, leaves and clouds."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from reasound.data.scenes.backgrounds import noise
from reasound.data.scenes.easel import Colour, Easel, soft
from reasound.data.scenes.stage import Prop

SKINS: tuple[Colour, ...] = ((240, 200, 170), (200, 150, 115), (130, 88, 62))
_STUFF: dict[str, tuple[Colour, str]] = {
    "wood": ((168, 122, 76), "wood"),
    "metal": ((138, 142, 150), "metal"),
    "stone": ((152, 148, 142), "gravel"),
    "soil": ((108, 80, 54), "dirt"),
}


@cache
def shadow() -> Prop:
    """40 x 8 pixels; faint enough to hide nothing."""
    return soft(40, 8, (10, 10, 15), 0.4)


def capsule(length: float, thick: float, colour: Colour, end: float = 1.0) -> Prop:
    """A limb that hangs down from where it is held; at its end it is `end` times as thick."""
    easel = Easel(thick + 2, length + thick + 2)
    c, r = (thick + 2) / 2, thick / 2
    easel.polygon(
        ((c - r, 1 + r), (c + r, 1 + r), (c + r * end, 1 + r + length), (c - r * end, 1 + r + length)), colour
    )
    easel.oval(c, 1 + r, thick, thick, colour).oval(c, 1 + r + length, thick * end, thick * end, colour)
    return easel.lit(0.15).prop((c, 1 + r))


def block(rng: np.random.Generator, stuff: str, width: float, height: float) -> Prop:
    """Of wood, metal, stone or soil; held in the middle of its upper face."""
    colour, grain = _STUFF[stuff]
    easel = Easel(width + 2, height + 8)
    if stuff == "soil":
        x = np.linspace(0, 1, 24)
        heap = [(1 + width * u, 5 + (height + 2) * (1 - np.sin(np.pi * u) ** 0.6)) for u in x]
        return (
            easel.polygon([*heap, (width + 1, height + 7), (1, height + 7)], colour)
            .rough(rng, grain)
            .prop((width / 2 + 1, 5))
        )
    easel.box(1, 5, width, height + 2, colour).rough(rng, grain).lit(0.25)
    lighter = [min(255, c * 1.25) for c in colour]
    easel.polygon(((1, 6), (width + 1, 6), (width - 4, 1), (6, 1)), lighter)
    return easel.prop((width / 2 + 1, 4))


def wedge(rng: np.random.Generator, run: float, height: float) -> Prop:
    """A ramp that goes down to the right; held at its foot."""
    easel = Easel(run + 2, height + 4).polygon(
        ((1, 2), (run + 1, height + 2), (1, height + 2)), _STUFF["wood"][0]
    )
    easel.rough(rng, "wood").line(((1, 2), (run + 1, height + 2)), (206, 166, 116), 2.5)
    return easel.prop((run + 1, height + 2))


def anvil() -> Prop:
    """Held in the middle of its face."""
    dark, light = (62, 64, 70), (112, 116, 124)
    easel = Easel(96, 60)
    easel.polygon(
        (
            (2, 6),
            (70, 4),
            (94, 8),
            (72, 20),
            (60, 22),
            (56, 40),
            (74, 56),
            (22, 56),
            (38, 40),
            (34, 22),
            (22, 18),
        ),
        dark,
    )
    easel.polygon(((2, 6), (70, 4), (94, 8), (70, 10), (22, 10)), light)
    return easel.prop((48, 6))


def log() -> Prop:
    """A chopping block; held on its upper face."""
    easel = Easel(70, 60).box(2, 9, 66, 44, (112, 82, 56)).oval(35, 53, 66, 12, (98, 70, 48))
    for x in range(6, 66, 7):
        easel.line(((x, 14), (x + 1, 54)), (84, 60, 40), 1)
    easel.oval(35, 9, 66, 14, (196, 158, 110)).oval(35, 9, 44, 9, (176, 138, 92)).oval(
        35, 9, 20, 4, (196, 158, 110)
    )
    return easel.prop((35, 8))


def bell(size: float) -> Prop:
    """A standing bell; held at the top of its left flank, where it is struck."""
    easel = Easel(size + 4, size + 4)
    c, s = size / 2 + 2, size
    y = np.linspace(0, 1, 20)
    half = s * (0.2 + 0.1 * y + 0.2 * y**4)
    left = [(c - w, 3 + s * 0.9 * u) for u, w in zip(y, half, strict=True)]
    right = [(c + w, 3 + s * 0.9 * u) for u, w in zip(y, half, strict=True)]
    easel.polygon([*left, *right[::-1]], (196, 150, 62)).polygon(
        [*left[4:], *[(x + s * 0.12, v) for x, v in left[4:][::-1]]], (238, 204, 118)
    )
    easel.oval(c, 4 + s * 0.9, s, s * 0.12, (150, 108, 40))
    return easel.prop((c, 3))


def gong(size: float) -> Prop:
    """A disc on a frame, held in the middle of the disc."""
    easel = Easel(size + 24, size + 30)
    c, m = size / 2 + 12, size / 2 + 14
    easel.line(((4, size + 28), (4, 5), (size + 20, 5), (size + 20, size + 28)), (92, 58, 38), 5)
    for x in (-0.3, 0.3):
        easel.line(((c + x * size, 5), (c + x * size, m - 0.3 * size)), (60, 50, 40), 1.5)
    easel.oval(c, m, size, size, (176, 132, 58)).oval(c, m, size * 0.86, size * 0.86, (204, 160, 78)).oval(
        c, m, size * 0.3, size * 0.3, (226, 186, 104)
    )
    return easel.prop((c, m))


def tool(name: str, skin: Colour, sleeve: Colour) -> Prop:
    """In a hand; its handle lies level and it is held at the elbow, 104 pixels left of where it strikes and as high
    as that point (the head hangs down to it)."""
    reach, axis = 104.0, 24.0
    easel = Easel(150, 84)
    wood, steel = (150, 106, 62), (126, 130, 138)
    tip = {
        "hammer": 22,
        "mallet": 26,
        "axe": 26,
        "pickaxe": 30,
        "sword": 5,
        "stick": 4,
        "spade": 8,
        "hand": 7,
    }[name]
    y, end = axis, 10 + reach
    if name == "sword":
        easel.polygon(
            ((52, y - 4), (end + 22, y - 3), (end + 30, y), (end + 22, y + 5), (52, y + 5)), (186, 192, 202)
        )
        easel.line(((52, y), (end + 24, y)), (226, 230, 238), 1.5).box(48, y - 11, 5, 22, (150, 120, 50))
    elif name == "stick":
        easel.line(((40, y), (end, y)), (206, 172, 120), 4).oval(end, y, 8, 8, (222, 190, 140))
    elif name == "hand":
        easel.polygon(((2, y - 9), (end - 12, y - 5), (end - 12, y + 5), (2, y + 9)), sleeve)
        easel.oval(end - 4, y, 22, 14, skin).oval(10, y, 18, 18, sleeve)
        return easel.lit(0.15).prop((10, y + tip))
    else:
        easel.line(((34, y), (end + 2, y)), wood, 5)
    if name == "hammer":
        easel.box(end - 7, y - 12, 14, 30, steel).box(end - 9, y + 15, 18, 7, (96, 100, 108))
    elif name == "mallet":
        easel.box(end - 13, y - 22, 26, 48, (122, 82, 48)).box(end - 13, y + 20, 26, 6, (90, 60, 36))
    elif name == "axe":
        easel.polygon(
            ((end - 7, y - 6), (end + 7, y - 6), (end + 12, y + 22), (end, y + 26), (end - 12, y + 22)), steel
        )
    elif name == "pickaxe":
        easel.polygon(
            (
                (end - 5, y - 26),
                (end + 5, y - 8),
                (end + 4, y + 12),
                (end, y + 30),
                (end - 4, y + 12),
                (end - 8, y - 8),
            ),
            steel,
        )
    elif name == "spade":
        easel.polygon(
            ((end - 16, y - 7), (end + 10, y - 6), (end + 20, y + 8), (end + 8, y + 7), (end - 16, y + 7)),
            steel,
        )
    easel.polygon(((2, y - 9), (38, y - 6), (38, y + 6), (2, y + 9)), sleeve).oval(10, y, 18, 18, sleeve)
    easel.oval(46, y, 18, 15, skin)
    return easel.lit(0.15).prop((10, y + tip))


def ball(rng: np.random.Generator, stuff: str, radius: float) -> Prop:
    """Rubber, wood, metal or stone, with marks that show how it turns; held in the middle."""
    s = 2 * radius
    colour = rng.uniform(60, 235, 3) if stuff == "rubber" else np.array(_STUFF[stuff][0])
    easel = Easel(s + 2, s + 2)
    c = radius + 1
    easel.oval(c, c, s, s, colour)
    if stuff == "rubber":
        for k in range(3):
            a, b = (math.pi * (2 * k + j) / 3 for j in (0, 1))
            arc = [
                (c + radius * math.cos(a + (b - a) * u), c + radius * math.sin(a + (b - a) * u))
                for u in np.linspace(0, 1, 12)
            ]
            easel.polygon([(c, c), *arc], colour * 0.45 + 120)
    else:
        easel.rough(rng, _STUFF[stuff][1])
        easel.oval(c + 0.4 * radius, c, 0.5 * radius, 0.35 * radius, colour * 0.7)
    return easel.prop((c, c))


def gloss(radius: float) -> Prop:
    """Light and shade of a ball, which do not turn with it."""
    n = math.ceil(4 * radius)
    y, x = np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j]
    side = 0.6 * x + 0.8 * y
    rgba = np.zeros((n, n, 4), np.uint8)
    rgba[..., :3] = np.where(side < 0, 255, 0)[..., None]
    rgba[..., 3] = np.where(np.hypot(x, y) < 0.97, 255 * np.clip(np.abs(side) - 0.15, 0, 1) * 0.5, 0)
    return Prop.of(rgba, 2 * radius, (0.5, 0.5))


def wheel(radius: float) -> Prop:
    """Of a cart; held at its hub."""
    c = radius + 2
    easel = Easel(2 * c, 2 * c).oval(c, c, 2 * radius, 2 * radius, (104, 70, 42))
    inner = radius * 0.8
    easel.oval(c, c, 2 * inner, 2 * inner, (0, 0, 0), 0.0)
    for k in range(8):
        a = math.pi * k / 4
        easel.line(
            ((c, c), (c + inner * math.cos(a), c + inner * math.sin(a))),
            (150, 106, 64) if k else (206, 60, 40),
            4,
        )
    return easel.oval(c, c, radius * 0.4, radius * 0.4, (86, 58, 36)).prop((c, c))


def vessel(width: float, height: float) -> tuple[Prop, Prop]:
    """(back, front) of a glass; held in the middle of its foot."""
    back = Easel(width + 4, height + 4).box(2, 2, width, height, (222, 236, 240), 0.25)
    front = Easel(width + 4, height + 4)
    front.line(((2, 2), (4, height + 1), (width, height + 1), (width + 2, 2)), (236, 246, 250), 2.2, 0.8)
    front.box(width * 0.16, 6, width * 0.09, height - 12, (255, 255, 255), 0.3).box(
        4, height - 3, width - 4, 5, (214, 230, 236), 0.75
    )
    hold = (width / 2 + 2, height + 2)
    return back.prop(hold), front.prop(hold)


def basin(width: float, height: float, colour: Colour) -> Prop:
    """A tub that cannot be seen through; held in the middle of its foot."""
    easel = Easel(width + 4, height + 4)
    easel.polygon(
        ((2, 3), (width + 2, 3), (width * 0.88 + 2, height + 2), (width * 0.12 + 2, height + 2)), colour
    ).lit(0.25)
    easel.box(0, 2, width + 4, 5, [min(255, c * 1.2) for c in colour])
    return easel.prop((width / 2 + 2, height + 2))


def jug(colour: Colour) -> Prop:
    """Held at its lip, which is on its left."""
    easel = Easel(84, 70)
    easel.line(((58, 18), (78, 20), (78, 46), (56, 52)), [c * 0.8 for c in colour], 5)
    easel.polygon(((2, 3), (14, 8), (60, 8), (64, 66), (16, 66), (14, 20)), colour).lit(0.3)
    return easel.prop((4, 5))


def tap() -> Prop:
    """Held at its mouth."""
    steel = (176, 182, 190)
    easel = (
        Easel(90, 60)
        .line(((88, 16), (22, 16), (14, 22), (14, 48)), steel, 11)
        .box(7, 46, 14, 6, (140, 146, 154))
    )
    easel.box(50, 2, 8, 12, (150, 156, 164)).box(40, 1, 28, 5, (196, 60, 52))
    return easel.lit(0.3).prop((14, 52))


def shoe(colour: Colour) -> Prop:
    """Held at the ankle, toe to the right; its sole is 6 pixels lower."""
    easel = Easel(26, 14)
    easel.polygon(((3, 1), (11, 1), (16, 5), (23, 6), (24, 10), (2, 10)), colour).box(
        2, 9, 22, 2.5, (30, 28, 28)
    )
    return easel.prop((7, 5.5))


def head(skin: Colour, hair: Colour, wide: bool) -> Prop:
    """From the side, looking right, with open mouth if `wide`; held at the neck."""
    easel = Easel(28, 34).box(10, 24, 8, 9, skin).oval(14, 15, 22, 25, skin).oval(25, 17, 5, 5, skin)
    easel.polygon(((2, 18), (3, 6), (10, 1), (20, 2), (24, 9), (12, 9), (8, 19)), hair).oval(
        20, 13, 2.5, 3.5, (30, 26, 24)
    )
    if wide:
        easel.oval(20, 22, 7, 6, (110, 30, 34))
    else:
        easel.line(((17, 22), (23, 21.5)), (150, 70, 66), 1.5)
    return easel.prop((14, 31))


def cloud(rng: np.random.Generator) -> Prop:
    h, w = 60, 130
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    body = np.clip((noise(rng, (h, w), 30, 4) + 0.35 - (x * x + y * y)) * 2.2, 0, 0.9)
    rgba = np.full((h, w, 4), 244, np.uint8)
    rgba[..., 3] = np.round(255 * body)
    return Prop.of(rgba, 60.0, (0.5, 0.5))


def leaf(rng: np.random.Generator) -> Prop:
    colour = rng.uniform([150, 80, 20], [220, 160, 50])
    u = np.linspace(0, np.pi, 12)
    edge = [(9 - 8 * math.cos(a), 5 - 4 * math.sin(a)) for a in u] + [
        (9 + 8 * math.cos(a), 5 + 4 * math.sin(a)) for a in u
    ]
    return Easel(18, 10).polygon(edge, colour).line(((1, 5), (17, 5)), colour * 0.6, 0.8).prop((9, 5))


def balloon(rng: np.random.Generator) -> Prop:
    colour = rng.uniform(70, 240, 3)
    easel = Easel(30, 90).line(((15, 38), (13, 60), (16, 88)), (210, 210, 210), 0.8)
    easel.oval(15, 19, 27, 35, colour).oval(10, 12, 6, 9, colour * 0.4 + 150).polygon(
        ((12, 39), (18, 39), (15, 35)), colour
    )
    return easel.prop((15, 19))


def disc(radius: float, colour: Colour, opacity: float = 1.0) -> Prop:
    c = radius + 1
    return Easel(2 * c, 2 * c).oval(c, c, 2 * radius, 2 * radius, colour, opacity).prop((c, c))


def bar(width: float, height: float, colour: Colour, opacity: float = 1.0) -> Prop:
    """Held in the middle of its upper edge."""
    return Easel(width + 2, height).box(1, 0, width, height, colour, opacity).prop((width / 2 + 1, 0.0))


def hand(length: float) -> Prop:
    """Of a clock, pointing up; held at its foot."""
    easel = Easel(8, length + 8).line(((4, length + 6), (4, 1)), (190, 30, 30), 1.8)
    return easel.oval(4, length + 2, 6, 6, (190, 30, 30)).prop((4, length + 2))


def painted(colour: NDArray[np.float64], picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same cut-out in a slightly different light: each colour times a factor."""
    tinted = picture.copy()
    tinted[..., :3] = np.clip(picture[..., :3] * colour, 0, 255).astype(np.uint8)
    return tinted
