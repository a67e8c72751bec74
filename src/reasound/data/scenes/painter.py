"""Pictures of rigid bodies, drawn in software: the same on every machine, with or without a graphics driver.

Every pixel sends four rays through a pinhole; boxes, balls and cylinders meet them in closed form. The nearest hit
counts, so what is hidden is hidden exactly, and who owns each ray is known. The world: x to the right, y away
from us, z up, metres; the floor is z = 0, the wall y = `Stage.wall`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from reasound.data.scenes.truth import HEIGHT, WIDTH, Mask, Picture

Floats = NDArray[np.floating]  # single precision where there is one for every ray
Owners = NDArray[np.int8]  # [2 HEIGHT, 2 WIDTH]: which body each ray meets first, -1 where none
Vector = tuple[float, float, float]
Colour = tuple[float, float, float]  # RGB, 0 to 1

FLOORS = ("wood", "tiles", "concrete")
MARGIN = 6
"""Pixels around the picture that a shaking camera may show."""
_FINE = 2  # rays across a pixel
_SHADE = 0.5  # share of the light that a shadow takes
_NOISE = 32  # cells across the block of noise that textures are cut from
_AMBIENT, _FROM_ABOVE, _DIRECT = (
    0.36,
    0.14,
    0.6,
)  # light that comes from everywhere, from the sky, from the lamp


@dataclass(frozen=True)
class Shape:
    """A convex body around its own origin."""

    kind: Literal["box", "sphere", "cylinder"]
    half: Vector
    """Half of its width, depth and height; a cylinder stands on its end: (radius, radius, half its length)."""

    @cached_property
    def corners(self) -> Floats:
        """[8, 3]: of the box around it."""
        signs = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
        return np.array(signs, np.float32) * np.array(self.half, np.float32)

    @cached_property
    def rim(self) -> Floats:
        """[K, 3]: points on its skin whose hull is about its outline, for shadows."""
        if self.kind == "box":
            return self.corners
        turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        ring = self.half[0] * np.stack([np.cos(turn), np.sin(turn), 0 * turn], 1)
        if self.kind == "cylinder":
            ends = [ring + (0, 0, z) for z in (-self.half[2], self.half[2])]
        else:
            ends = [
                ring * math.cos(a) + (0, 0, self.half[0] * math.sin(a)) for a in (-1.2, -0.6, 0, 0.6, 1.2)
            ]
        return np.concatenate(ends).astype(np.float32)


@dataclass(frozen=True)
class Look:
    """What a body looks like."""

    material: str
    """wood, metal, stone or rubber."""
    colour: Colour
    seed: int = 0
    """Where its grain comes from."""


@dataclass(frozen=True)
class Stage:
    """What the bodies stand on and before."""

    floor: str
    """One of FLOORS."""
    tint: Colour
    wall: float
    """Metres from the origin to the wall, along y; infinite outdoors, where the sky is."""
    top: Colour
    bottom: Colour
    """Of the wall or the sky: it runs from one to the other."""
    light: Vector
    """Towards the lamp."""
    seed: int = 0


@dataclass(frozen=True)
class Camera:
    """A pinhole that looks from `eye` to `target` and is not tilted sideways."""

    eye: Vector
    target: Vector
    focal: float
    """Heights of the picture: 1.2 sees 45 degrees from top to bottom."""

    @cached_property
    def axes(self) -> Floats:
        """[3, 3]: rows point right, up and forward."""
        forward = np.subtract(self.target, self.eye)
        forward = forward / np.linalg.norm(forward)
        right = np.cross(forward, (0.0, 0.0, 1.0))
        right = right / np.linalg.norm(right)
        return np.array([right, np.cross(right, forward), forward], np.float32)

    def project(self, points: ArrayLike) -> NDArray[np.float64]:
        """[..., 3] metres -> [..., 3]: pixels from the left and from the top, and metres of depth.

        With c = axes (p - eye) and f = focal HEIGHT: x = WIDTH / 2 + f c0 / c2, y = HEIGHT / 2 - f c1 / c2.
        """
        seen = (np.asarray(points, float) - self.eye) @ self.axes.T.astype(float)
        depth = np.where(np.abs(seen[..., 2]) < 1e-6, 1e-6, seen[..., 2])
        across = WIDTH / 2 + self.focal * HEIGHT * seen[..., 0] / depth
        down = HEIGHT / 2 - self.focal * HEIGHT * seen[..., 1] / depth
        return np.stack([across, down, seen[..., 2]], -1)

    def rays(self) -> Floats:
        """[3, (HEIGHT + 2 MARGIN) 2, (WIDTH + 2 MARGIN) 2]: one metre of depth along each ray, from the eye."""
        x = (np.arange(_FINE * (WIDTH + 2 * MARGIN)) + 0.5) / _FINE - MARGIN - WIDTH / 2
        y = HEIGHT / 2 + MARGIN - (np.arange(_FINE * (HEIGHT + 2 * MARGIN)) + 0.5) / _FINE
        scale = self.focal * HEIGHT
        right, up, forward = self.axes[:, :, None, None]
        return np.asarray(forward + x / scale * right + (y / scale)[:, None] * up, np.float32)


@dataclass(frozen=True)
class _Canvas:
    """What is painted on, two rays across and down in every pixel, with a margin."""

    colour: Picture
    depth: Floats
    """Metres to what is painted."""
    owners: Owners

    def copy(self) -> _Canvas:
        return _Canvas(self.colour.copy(), self.depth.copy(), self.owners.copy())


class Painter:
    """Draws bodies before a stage; a picture depends on nothing but what `draw` is given."""

    def __init__(
        self,
        camera: Camera,
        stage: Stage,
        bodies: Sequence[tuple[Shape, Look]],
        fixed: Sequence[tuple[Shape, Look, Vector]] = (),
    ) -> None:
        """`fixed` stands upright in its place for ever and belongs to nobody; it is painted once."""
        self.camera, self.stage, self.bodies = camera, stage, bodies
        self._rays = camera.rays()
        self._light = np.array(stage.light, np.float32) / np.float32(np.linalg.norm(stage.light))
        self._noise = np.random.default_rng(stage.seed).random((_NOISE,) * 3, np.float32)
        self._empty, self._floor = self._set()
        upright, bare = np.eye(3, dtype=np.float32), self._empty.depth.copy()
        placed = [(shape, np.array(at, np.float32), upright) for shape, _, at in fixed]
        self._shadows(self._empty, placed)
        for (shape, look, _), (_, at, turn) in zip(fixed, placed, strict=True):
            self._body(self._empty, -1, shape, look, at, turn)
        self._floor &= self._empty.depth == bare

    def draw(
        self, positions: ArrayLike, turns: ArrayLike, shift: tuple[int, int] = (0, 0)
    ) -> tuple[Picture, Owners]:
        """Bodies at [B, 3] metres, turned by [B, 3, 3] (columns are their own axes).

        `shift` moves the picture right and down by half pixels, at most 2 MARGIN either way: a shaking hand.
        """
        places, turned = np.asarray(positions, np.float32), np.asarray(turns, np.float32)
        canvas = self._empty.copy()
        self._shadows(
            canvas, [(b[0], at, turn) for b, at, turn in zip(self.bodies, places, turned, strict=True)]
        )
        for k in np.argsort(np.linalg.norm(places - self.camera.eye, axis=1)).tolist():
            shape, look = self.bodies[k]
            self._body(canvas, k, shape, look, places[k], turned[k])
        across, down = (_FINE * MARGIN - s for s in shift)
        window = (slice(down, down + _FINE * HEIGHT), slice(across, across + _FINE * WIDTH))
        picture = cv2.resize(canvas.colour[window], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        return np.asarray(picture, np.uint8), canvas.owners[window]

    def _body(self, canvas: _Canvas, k: int, shape: Shape, look: Look, at: Floats, turn: Floats) -> None:
        """Paint what of a body is nearer than what is there, and call it k."""
        window = self._around(at + shape.corners @ turn.T)
        if window is None:
            return
        near = canvas.depth[window]
        rays = self._rays[:, *window].reshape(3, -1)
        ray = turn.T @ rays  # in the body's own axes, as all that follows
        eye = turn.T @ (np.array(self.camera.eye, np.float32) - at)
        enter, leave = _meet(shape, eye, ray)
        reach = enter.max(0)
        hit = np.flatnonzero((reach < leave.min(0)) & (reach < near.reshape(-1)) & (reach > 0))
        if not len(hit):
            return
        rays, ray = rays[:, hit], ray[:, hit]
        point = eye[:, None] + reach[hit] * ray
        normal = _normals(shape, point, ray, np.argmax(enter[:, hit], axis=0))
        rows, columns = np.divmod(hit, near.shape[1])
        canvas.colour[window][rows, columns] = self._shaded(look, shape, point, turn @ normal, rays).T
        canvas.owners[window][rows, columns] = k
        near[rows, columns] = reach[hit]

    def _around(self, points: Floats) -> tuple[slice, slice] | None:
        """Rows and columns of the canvas that hold these points; None where there are none."""
        seen = self.camera.project(points)
        if seen[:, 2].min() < 0.05:  # behind the eye
            return None
        low = np.floor(_FINE * (seen[:, :2].min(0) + MARGIN)).astype(int)
        high = np.ceil(_FINE * (seen[:, :2].max(0) + MARGIN)).astype(int) + 1
        tall, wide = self._floor.shape
        left, right = np.clip([low[0], high[0]], 0, wide)
        top, bottom = np.clip([low[1], high[1]], 0, tall)
        return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None

    def _shaded(self, look: Look, shape: Shape, point: Floats, normal: Floats, ray: Floats) -> Picture:
        """[3, N] colours: Lambert's law, light from above, and a highlight where half way lies the normal.

        `point` is in the body's own axes, `normal` and `ray` are in those of the world.
        """
        towards = -ray / np.sqrt((ray * ray).sum(0))
        light = _AMBIENT + _FROM_ABOVE * normal[2] + _DIRECT * np.maximum(self._light @ normal, 0)
        colour = self._skin(look, shape, point) * light
        half = towards + self._light[:, None]
        shine = np.maximum((normal * half).sum(0), 0) / np.sqrt((half * half).sum(0))
        if look.material == "metal":
            up = 2 * (normal * towards).sum(0) * normal[2] - towards[2]
            mirrored = 0.15 + 0.85 / (1 + np.exp(-6 * (up - 0.15)))  # dark floor, bright room
            own = np.array(look.colour, np.float32)[:, None]
            colour = 0.4 * colour + 0.6 * own * mirrored + 0.8 * shine**50
        elif look.material == "rubber":
            colour = colour + 0.35 * shine**25
        elif look.material == "wood":
            colour = colour + 0.08 * shine**12
        return np.clip(255 * colour, 0, 255).astype(np.uint8)

    def _skin(self, look: Look, shape: Shape, point: Floats) -> Floats:
        """[3, N] colours of a material in white light, at points in the body's own axes."""
        base = np.array(look.colour, np.float32)[:, None]
        at = point + np.float32(0.37 * look.seed)
        along = int(np.argmax(shape.half))
        if look.material == "rubber":  # with a band, so that one sees it turn
            return np.where(np.abs(point[2]) < 0.22 * shape.half[2], np.float32(0.92), base)
        if look.material == "wood":
            a, b, c = (at[(along + k) % 3] for k in range(3))
            rings = np.hypot(b + 0.02 * np.sin(7 * a), c + 0.15) * 38 + 0.6 * np.sin(3 * a + 9 * b)
            tone = 0.72 + 0.2 * np.sin(2 * np.pi * rings) + 0.16 * self._cells(4 * a, 160 * b, 160 * c)
        elif look.material == "stone":
            speck = self._cells(*(90 * at))
            tone = 0.72 + 0.35 * self._cells(*(35 * at)) + 0.3 * (speck > 0.93) - 0.3 * (speck < 0.08)
        else:  # brushed metal
            b, c = (200 * at[(along + k) % 3] for k in (1, 2))
            tone = 0.93 + 0.14 * self._cells(b, c, c)
        if shape.kind == "box":  # the edges are worn
            close = np.array(shape.half, np.float32)[:, None] - np.abs(point) < 0.012
            tone = np.where(close.sum(0) > 1, 0.72 * tone, tone)
        return np.asarray(base * tone, np.float32)

    def _cells(self, x: Floats, y: Floats, z: Floats) -> Floats:
        """Noise, 0 to 1, in cells of one unit; it repeats."""
        a, b, c = (np.floor(v).astype(np.int32) % _NOISE for v in (x, y, z))
        return self._noise[a, b, c]

    def _shadows(self, canvas: _Canvas, placed: Sequence[tuple[Shape, Floats, Floats]]) -> None:
        """Darken the floor where the lamp does not reach it; the edge of a shadow is soft."""
        tall, wide = self._floor.shape
        shade = np.zeros((tall // _FINE, wide // _FINE), np.uint8)
        for shape, at, turn in placed:
            points = at + shape.rim @ turn.T
            points = points - self._light * (np.maximum(points[:, 2:], 0) / self._light[2])
            seen = self.camera.project(points)
            if seen[:, 2].min() < 0.05:
                continue
            outline = np.clip(np.round(16 * (seen[:, :2] + MARGIN - 0.5)), -(2**20), 2**20).astype(np.int32)
            cv2.fillConvexPoly(shade, cv2.convexHull(outline), 255, cv2.LINE_8, 4)
        if not shade.any():
            return
        shade = cv2.GaussianBlur(shade, (0, 0), 1.8)
        x, y, w, h = cv2.boundingRect(shade)
        inner = (slice(y, y + h), slice(x, x + w))
        outer = (slice(_FINE * y, _FINE * (y + h)), slice(_FINE * x, _FINE * (x + w)))
        dark = cv2.resize(shade[inner], None, fx=_FINE, fy=_FINE, interpolation=cv2.INTER_LINEAR)
        keep = 1 - np.float32(_SHADE / 255) * dark * self._floor[outer]
        canvas.colour[outer] = (canvas.colour[outer] * keep[..., None]).astype(np.uint8)

    def _set(self) -> tuple[_Canvas, Mask]:
        """The stage without bodies, and which rays end on its floor."""
        stage, (ex, ey, ez), (x, y, z) = self.stage, self.camera.eye, self._rays
        with np.errstate(divide="ignore"):
            down = np.where(z < 0, -ez / z, np.inf)
            back = np.where(y > 0, (stage.wall - ey) / y, np.inf)
        floor = down < back
        beyond, reach = np.where(floor, 0, back), np.where(floor, down, 0)
        bottom, top = np.array(stage.bottom), np.array(stage.top)
        if math.isfinite(stage.wall):  # plaster, from one colour to the other in 3 m, and a skirting board
            height = np.clip((ez + beyond * z) / 3, 0, 1)[..., None]
            plaster = 0.97 + 0.06 * self._smooth(2.5 * (ex + beyond * x), 7 * height[..., 0])[..., None]
            behind = np.where(height < 0.035, 0.75 * bottom, plaster * (bottom + height * (top - bottom)))
        else:
            height = np.clip(2 * z / np.sqrt((self._rays**2).sum(0)), 0, 1)[..., None]
            behind = bottom + height * (top - bottom)
        ground = np.array(stage.tint) * self._ground(ex + reach * x, ey + reach * y)[..., None]
        far = np.clip(reach / 14, 0, 1)[..., None] ** 2  # haze, and no flicker far away
        ground = ground + far * (bottom - ground)
        colour = np.clip(255 * np.where(floor[..., None], ground, behind), 0, 255).astype(np.uint8)
        depth = np.minimum(down, back).astype(np.float32)
        return _Canvas(colour, depth, np.full(floor.shape, -1, np.int8)), floor

    def _ground(self, x: Floats, y: Floats) -> Floats:
        """How bright the floor is, at metres."""
        if self.stage.floor == "tiles":
            even = (np.floor(x / 0.4) + np.floor(y / 0.4)) % 2
            return np.asarray(0.72 + 0.3 * even + 0.05 * self._smooth(4 * x, 4 * y))
        if self.stage.floor == "wood":  # boards that lie across the picture
            board = np.floor(y / 0.18)
            joint = (np.abs(y / 0.18 - board) < 0.07) | (np.abs((x + 0.77 * board) % 1.6) < 0.012)
            grain = self._smooth(2 * x + 5 * board, 40 * y)
            return np.where(joint, 0.6, 0.8 + 0.16 * ((board * 0.618) % 1) + 0.12 * grain)
        cast = self._smooth(1.3 * x, 1.3 * y) + 0.5 * self._smooth(9 * x, 9 * y)
        return np.asarray(0.8 + 0.2 * cast)

    def _smooth(self, x: Floats, y: Floats) -> Floats:
        """Noise of one cell a unit, without edges: 0 to 1."""
        a, b = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        u, v = x - a, y - b
        u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
        block, n = self._noise[0], _NOISE
        low = block[a % n, b % n] * (1 - u) + block[(a + 1) % n, b % n] * u
        high = block[a % n, (b + 1) % n] * (1 - u) + block[(a + 1) % n, (b + 1) % n] * u
        return np.asarray(low * (1 - v) + high * v, np.float32)


def _meet(shape: Shape, eye: Floats, ray: Floats) -> tuple[Floats, Floats]:
    """Depths at which each ray [3, N] enters and leaves what the body is the overlap of, [K, N] each.

    Three slabs make a box, a tube and a slab a cylinder. A ray meets the body if it enters all of them before it
    leaves one; what it enters last is the face it meets.
    """
    half = np.array(shape.half, np.float32)
    if shape.kind == "box":
        return _slab(eye, ray, half)
    if shape.kind == "sphere":
        return _round(eye, ray, half[0])
    tube, ends = _round(eye[:2], ray[:2], half[0]), _slab(eye[2:], ray[2:], half[2:])
    return np.concatenate([tube[0], ends[0]]), np.concatenate([tube[1], ends[1]])


def _slab(eye: Floats, ray: Floats, half: Floats) -> tuple[Floats, Floats]:
    """Where rays enter and leave -half..half, along every axis."""
    pace = 1 / np.where(np.abs(ray) < 1e-9, np.float32(1e-9), ray)
    middle, reach = -eye[:, None] * pace, np.abs(half[:, None] * pace)
    return middle - reach, middle + reach


def _round(eye: Floats, ray: Floats, radius: np.float32) -> tuple[Floats, Floats]:
    """Where rays enter and leave |p| <= radius, [1, N] each: the roots of |eye + t ray|^2 = radius^2."""
    a = np.maximum((ray * ray).sum(0, keepdims=True), np.float32(1e-12))
    b = (eye @ ray)[None]
    inside = b * b - a * (eye @ eye - radius**2)
    root = np.sqrt(np.maximum(inside, 0))
    missed = inside <= 0
    enter, leave = (-b - root) / a, (-b + root) / a
    return np.where(missed, np.float32(np.inf), enter), np.where(missed, np.float32(-np.inf), leave)


def _normals(shape: Shape, point: Floats, ray: Floats, face: NDArray[np.int64]) -> Floats:
    """[3, N]: outwards. `face`: the row of _meet."""
    if shape.kind == "sphere":
        return point / np.float32(shape.half[0])
    if shape.kind == "box":
        flat, columns = np.zeros_like(point), np.arange(point.shape[1])
        flat[face, columns] = -np.sign(ray[face, columns])
        return flat
    side = point * np.array([[1], [1], [0]], np.float32) / np.float32(shape.half[0])
    end = np.array([[0], [0], [-1]], np.float32) * np.sign(ray[2])
    return np.where(face == 1, end, side)
