"""Rigid bodies that fall, tumble, topple and collide: their contacts say what must be heard, when, and how loud.

    staged = stage(heldout, rng, Fraction(5))

MuJoCo moves them (mechanics.py). The pictures are our own (painter.py), because its pictures need a graphics driver.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reasound.data.scenes.mechanics import (
    GRAVITY,
    MATERIALS,
    STEP,
    Body,
    Hit,
    Material,
    Run,
    hits,
    simulate,
)
from reasound.data.scenes.painter import FLOORS, Camera, Colour, Look, Owners, Painter, Shape, Stage, Vector
from reasound.data.scenes.truth import EDGE_PAN, FPS, HEIGHT, WIDTH, Contact, Mask, Picture, Staged
from reasound.errors import UserError
from reasound.plan import Event, Place

if TYPE_CHECKING:
    from reasound.data.scenes.heldout import Heldout

POWER = 0.6
"""Strength of an onset: (impulse / strongest of its event) ** POWER. Loudness grows with the pressure to the power
of 0.6 (Stevens, J. Acoust. Soc. Am. 27, 1955), and pressure with the impulse."""
EARLIEST, LAST = 0.2, 0.4
"""Seconds after the start and before the end of a scene in which nothing is hit."""
MOST = 12
"""Hits in a scene."""

_TRIES, _PATIENCE = 100, 20  # draws until one fits, and until another kind is tried
_QUIETEST = -12.0  # dB: an event of the weakest hits against that of the strongest


class Filmed:
    """The film of bodies that have moved."""

    def __init__(self, painter: Painter, run: Run, bodies: Sequence[Body], shake: NDArray[np.int64]) -> None:
        """`painter` has the bodies that move, in their order. `shake`: [frames, 2] half pixels, right and down."""
        each = round(1 / (FPS * STEP))
        self.frames = len(shake)
        moving = [k for k, body in enumerate(bodies) if not body.fast]
        self._painter, self._shake = painter, shake
        self._things = np.array([bodies[k].thing for k in moving])
        self._places, self._turns = run.places[::each, moving], run.turns[::each, moving]
        self._last: tuple[int, Picture, Owners] | None = None  # picture and masks are asked for together

    def picture(self, frame: int) -> Picture:
        return self._drawn(frame)[0].copy()

    def mask(self, thing: str, frame: int) -> Mask:
        """Pixels of which at least half show a body of this event."""
        owners = self._drawn(frame)[1]
        own = np.isin(owners, np.flatnonzero(self._things == thing))
        return np.asarray(own.reshape(owners.shape[0] // 2, 2, -1, 2).sum((1, 3)) >= 2)

    def _drawn(self, frame: int) -> tuple[Picture, Owners]:
        if self._last is None or self._last[0] != frame:
            shift = (int(self._shake[frame, 0]), int(self._shake[frame, 1]))
            self._last = (frame, *self._painter.draw(self._places[frame], self._turns[frame], shift))
        return self._last[1:]


def stage(heldout: Heldout, rng: np.random.Generator, seconds: Fraction) -> Staged:
    """A scene of rigid bodies, one event for every material that is hit; `seconds` is at least 3.

    Raises:
        UserError: MuJoCo is not installed, or no recording that is held out is of a material that we know.
    """
    if seconds < 3:
        raise ValueError(f"a scene of rigid bodies lasts at least 3 s, not {float(seconds):g} s")
    known = [name for name, made in MATERIALS.items() if made.sound_class in heldout.classes()]
    if not known:
        raise UserError("the held-out recordings have no impact of metal, stone, wood or a ball; give some")
    for attempt in range(_TRIES):
        if attempt % _PATIENCE == 0:
            kind = str(rng.choice(list(LAYOUTS)))
        scenery, camera = _scenery(rng)
        bodies = LAYOUTS[kind](rng, [str(m) for m in rng.permutation(known)], float(seconds))
        run = simulate(bodies, float(seconds), scenery.wall)
        heard = hits(run, bodies)
        if _fits(heard, run, camera, float(seconds)):
            break
    else:
        raise AssertionError(f"no scene of {known} within {float(seconds):g} s")
    looks = [Look(b.material, _one(rng, MATERIALS[b.material].colours), k) for k, b in enumerate(bodies)]
    seen = list(zip(bodies, looks, strict=True))
    painter = Painter(
        camera,
        scenery,
        [(b.shape, look) for b, look in seen if not b.fast],
        [(b.shape, look, b.place) for b, look in seen if b.fast],
    )
    around = [_FLOOR_OF[scenery.floor], "plaster"]
    contacts = tuple(
        Contact(
            time=round(hit.time, 3),
            impulse=hit.impulse,
            materials=(bodies[hit.pair[0]].material, [*(b.material for b in bodies), *around][hit.pair[1]]),
            event=bodies[hit.sounding].thing,
        )
        for hit in heard
    )
    return Staged(
        kind=kind,
        seconds=seconds,
        film=Filmed(painter, run, bodies, _shaken(rng, int(seconds * FPS))),
        events=_events(heldout, rng, heard, run, bodies, camera, float(seconds)),
        outdoors=math.isinf(scenery.wall),
        contacts=contacts,
    )


def _fits(heard: Sequence[Hit], run: Run, camera: Camera, seconds: float) -> bool:
    """There is something to hear, not too much, not too early or late, and all of it in the picture."""
    if not 0 < len(heard) <= MOST or heard[0].time < EARLIEST or heard[-1].time > seconds - LAST:
        return False
    seen = camera.project([run.places[round(h.time / STEP), h.sounding] for h in heard])
    return bool((np.abs(seen[:, 0] / WIDTH - 0.5) < 0.48).all() and (seen[:, 1] < 0.98 * HEIGHT).all())


def _events(
    heldout: Heldout,
    rng: np.random.Generator,
    heard: Sequence[Hit],
    run: Run,
    bodies: Sequence[Body],
    camera: Camera,
    seconds: float,
) -> tuple[Event, ...]:
    """One for every thing that is hit; where it is, is where the body is that is hit."""
    events = []
    loudest = max(hit.impulse for hit in heard)
    for thing in dict.fromkeys(bodies[hit.sounding].thing for hit in heard):
        own = [hit for hit in heard if bodies[hit.sounding].thing == thing]
        made = MATERIALS[bodies[own[0].sounding].material]
        most = max(hit.impulse for hit in own)
        at = np.array([run.places[round(hit.time / STEP), hit.sounding] for hit in own])
        pans = np.clip(2 * EDGE_PAN * (camera.project(at)[:, 0] / WIDTH - 0.5), -1, 1).round(3)
        far = np.linalg.norm(at - camera.eye, axis=1).round(2)
        take = heldout.recording(made.sound_class, rng)
        event = Event(
            id=thing,
            source=_named([b for b in bodies if b.thing == thing], made),
            sound=str(rng.choice(take.captions)),
            sound_class=take.sound_class,
            material=take.material,
            end=seconds,
            onsets=tuple(round(hit.time, 3) for hit in own),
            strengths=tuple(round((hit.impulse / most) ** POWER, 3) for hit in own),
            level=round(max(_QUIETEST, 20 * POWER * math.log10(most / loudest)), 1) + 0.0,  # never -0.0
            pan=float(pans[0]),
            distance=float(far[0]),
        )
        if np.ptp(pans) > 0.05 or np.ptp(far) > 0.3:
            path = zip(event.onsets, pans.tolist(), far.tolist(), strict=True)
            event = event.model_copy(
                update={"path": tuple(Place(time=t, pan=p, distance=d) for t, p, d in path)}
            )
        events.append(event)
    return tuple(events)


def _named(bodies: Sequence[Body], made: Material) -> str:
    """ "a wooden block", "metal balls", "stone things"."""
    nouns = {_noun(b.shape) for b in bodies}
    noun = nouns.pop() if len(nouns) == 1 else "thing"
    return f"a {made.word} {noun}" if len(bodies) == 1 else f"{made.word} {noun}s"


def _noun(shape: Shape) -> str:
    if shape.kind != "box":
        return "ball" if shape.kind == "sphere" else "cylinder"
    return "plank" if max(shape.half) > 3 * min(shape.half) else "block"


def _shaken(rng: np.random.Generator, frames: int) -> NDArray[np.int64]:
    """[frames, 2] half pixels: a tripod, or, one time in three, a hand that wanders by a pixel or two."""
    if rng.random() > 1 / 3:
        return np.zeros((frames, 2), np.int64)
    at = np.arange(frames)[:, None, None] / FPS
    pace, phase = rng.uniform(0.3, 1.6, (2, 3)), rng.uniform(0, 2 * np.pi, (2, 3))
    return np.asarray(np.round(1.3 * np.sin(2 * np.pi * pace * at + phase).sum(2)), np.int64)


def _one(rng: np.random.Generator, colours: Sequence[Colour]) -> Colour:
    """One of them, a little lighter or darker."""
    r, g, b = np.array(colours[int(rng.integers(len(colours)))]) * rng.uniform(0.85, 1.08)
    return float(r), float(g), float(b)


_FLOOR_OF = {"wood": "wood", "tiles": "ceramic", "concrete": "concrete"}
_TINTS: dict[str, tuple[Colour, ...]] = {
    "wood": ((0.66, 0.47, 0.3), (0.5, 0.36, 0.25), (0.8, 0.68, 0.52)),
    "tiles": ((0.75, 0.74, 0.7), (0.55, 0.62, 0.66)),
    "concrete": ((0.58, 0.58, 0.56), (0.62, 0.56, 0.46)),
}
_WALLS: tuple[Colour, ...] = ((0.75, 0.78, 0.8), (0.82, 0.77, 0.66), (0.58, 0.68, 0.62), (0.62, 0.6, 0.7))


def _scenery(rng: np.random.Generator) -> tuple[Stage, Camera]:
    outdoors = bool(rng.random() < 0.3)
    floor = "concrete" if outdoors else str(rng.choice(FLOORS))
    wall = _one(rng, _WALLS)
    stage = Stage(
        floor=floor,
        tint=_one(rng, _TINTS[floor]),
        wall=math.inf if outdoors else float(rng.uniform(1.3, 2.6)),
        top=(0.35, 0.55, 0.85) if outdoors else wall,
        bottom=(0.82, 0.88, 0.93) if outdoors else (0.75 * wall[0], 0.75 * wall[1], 0.75 * wall[2]),
        light=(float(rng.choice([-1, 1]) * rng.uniform(0.3, 0.6)), -0.6, 1.2),
        seed=int(rng.integers(1 << 31)),
    )
    eye = (float(rng.uniform(-0.4, 0.4)), -float(rng.uniform(2.5, 3.1)), float(rng.uniform(0.8, 1.3)))
    return stage, Camera(eye, (0.0, 0.0, 0.5), 1.2)


def _drop(rng: np.random.Generator, materials: Sequence[str], seconds: float) -> list[Body]:
    """One to three things fall into the picture, one after the other."""
    count = int(rng.integers(1, 4))
    times = np.sort(rng.uniform(0.05, seconds - 2.4, count))
    across = rng.permutation([-0.75, 0.0, 0.75])[:count] + rng.uniform(-0.2, 0.2, count)
    return [
        _anything(
            rng,
            materials[k % len(materials)],
            (x, rng.uniform(-0.3, 0.4), rng.uniform(2.0, 2.3)),
            velocity=(rng.uniform(-0.3, 0.3), 0, 0),
            release=t,
        )
        for k, (x, t) in enumerate(zip(across, times, strict=True))
    ]


def _tumble(rng: np.random.Generator, materials: Sequence[str], seconds: float) -> list[Body]:
    """One or two things are thrown in from the side."""
    side = float(rng.choice([-1, 1]))
    times = np.sort(rng.uniform(0.05, seconds - 2.6, int(rng.integers(1, 3))))
    return [
        _anything(
            rng,
            materials[k % len(materials)],
            (-2.6 * side, 0.5 * k, rng.uniform(0.5, 1.0)),
            velocity=(side * rng.uniform(2.2, 3.2), 0, rng.uniform(0.5, 1.5)),
            release=t,
        )
        for k, t in enumerate(times)
    ]


def _topple(rng: np.random.Generator, materials: Sequence[str], seconds: float) -> list[Body]:
    """A row of planks on their ends; the first one is pushed."""
    side, count = float(rng.choice([-1, 1])), int(rng.integers(3, 7))
    material = next(m for m in materials if m != "rubber" or len(materials) == 1)
    half = (rng.uniform(0.035, 0.055), rng.uniform(0.12, 0.2), rng.uniform(0.3, 0.4))
    gap, push = rng.uniform(0.75, 1.0) * half[2], 1.3
    first = -0.5 * gap * count
    return [
        Body(
            Shape("box", half),
            material,
            (side * (first + k * gap), 0, half[2]),
            thing=material,
            # It turns about the edge that stays on the floor.
            velocity=(side * push * half[2], 0, push * half[0]) if k == 0 else (0, 0, 0),
            spin=(0, side * push if k == 0 else 0, 0),
            release=rng.uniform(0.1, seconds - 2.8) if k == 0 else 0,
            held=False,
        )
        for k in range(count)
    ]


def _collide(rng: np.random.Generator, materials: Sequence[str], seconds: float) -> list[Body]:
    """A ball is thrown at a tower of blocks, or at something that stands."""
    side = float(rng.choice([-1, 1]))
    # The heavier one flies; a rubber ball would move nothing.
    both = sorted([m for m in materials if m != "rubber"][:2] or materials[:1], key=_density)
    struck, thrown = both[0], both[-1]
    x = side * rng.uniform(-0.3, 0.2)
    if rng.random() < 0.6:
        size = rng.uniform(0.12, 0.16)
        shapes = [Shape("box", (size, size * rng.uniform(0.9, 1.2), size))] * int(rng.integers(2, 4))
    elif rng.random() < 0.5:
        shapes = [Shape("cylinder", (0.11, 0.11, rng.uniform(0.25, 0.35)))]
    else:
        shapes = [Shape("box", (0.06, rng.uniform(0.15, 0.25), rng.uniform(0.3, 0.4)))]
    tower, height = [], 0.0
    for shape in shapes:
        place = (x + rng.uniform(-0.02, 0.02), 0.0, height + shape.half[2])
        tower.append(Body(shape, struck, place, thing=struck, held=False))
        height += 2 * shape.half[2]
    start, speed = (-2.6 * side, 0.0, 0.5), rng.uniform(3.2, 4.2)
    flight = abs(x - start[0]) / speed
    ball = Body(
        Shape("sphere", (rng.uniform(0.14, 0.18),) * 3),
        thrown,
        start,
        thing=thrown,
        turn=_turned(rng),
        # It comes down on the upper half of the tower.
        velocity=(side * speed, 0, (0.7 * height - start[2]) / flight + GRAVITY * flight / 2),
        spin=(0, side * rng.uniform(0, 6), 0),
        release=rng.uniform(0.05, seconds - 2.8),
    )
    return [ball, *tower]


def _density(material: str) -> float:
    return MATERIALS[material].density


def _stairs(rng: np.random.Generator, materials: Sequence[str], seconds: float) -> list[Body]:
    """A ball or a cylinder comes down a flight of steps."""
    side, count = float(rng.choice([-1, 1])), int(rng.integers(3, 6))
    deep, rise, radius = rng.uniform(0.34, 0.44), rng.uniform(0.14, 0.2), rng.uniform(0.11, 0.15)
    made = str(rng.choice(["wood", "stone"]))
    bodies = []
    for k in range(count):
        left, right = (-4.0 if k == 0 else -1.4 + k * deep), -1.4 + (k + 1) * deep
        high = (count - k) * rise
        half = ((right - left) / 2, 0.6, high / 2)
        place = (side * (left + right) / 2, 0.2, high / 2)
        bodies.append(Body(Shape("box", half), made, place, fast=True))
    material, speed = materials[0], rng.uniform(1.2, 1.8)
    ball = material == "rubber" or rng.random() < 0.5
    mover = Body(
        Shape("sphere", (radius,) * 3) if ball else Shape("cylinder", (radius, radius, 0.2)),
        material,
        (-2.6 * side, 0.1, count * rise + radius),
        thing=material,
        turn=(1, 0, 0, 0) if ball else (math.sqrt(0.5), math.sqrt(0.5), 0, 0),  # it lies on its side
        velocity=(side * speed, 0, 0),
        spin=(0, side * speed / radius, 0) if ball else (0, 0, -side * speed / radius),
        release=rng.uniform(0.05, max(0.1, seconds - 3.5)),
    )
    return [mover, *bodies]


def _anything(
    rng: np.random.Generator, material: str, place: Vector, velocity: Vector, release: float
) -> Body:
    """A block, plank, ball or cylinder of no special size, turned and spinning somehow."""
    kind = rng.random()
    shape = Shape("box", tuple(rng.uniform(0.11, 0.2, 3).tolist()))
    if material == "rubber" or kind < 0.25:
        shape = Shape("sphere", (rng.uniform(0.12, 0.19),) * 3)
    elif kind < 0.45:
        shape = Shape("cylinder", (*(rng.uniform(0.09, 0.14),) * 2, rng.uniform(0.16, 0.28)))
    elif kind < 0.65:
        shape = Shape("box", (rng.uniform(0.3, 0.42), rng.uniform(0.1, 0.14), 0.035))
    x, y, z = rng.uniform(-4, 4, 3).tolist()
    return Body(
        shape, material, place, material, _turned(rng), velocity=velocity, spin=(x, y, z), release=release
    )


def _turned(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Any way up, all equally likely (a point on the sphere in four dimensions)."""
    w, x, y, z = rng.normal(size=4)
    size = math.sqrt(w * w + x * x + y * y + z * z)
    return float(w / size), float(x / size), float(y / size), float(z / size)


LAYOUTS: dict[str, Callable[[np.random.Generator, Sequence[str], float], list[Body]]] = {
    "drop": _drop,
    "tumble": _tumble,
    "topple": _topple,
    "collide": _collide,
    "stairs": _stairs,
}
"""By kind of scene: materials, first choice first, and seconds -> bodies."""
