"""Rigid bodies move, and touch: when, how hard, and which touches are heard.

MuJoCo (Todorov, Erez and Tassa, IROS 2012) moves them; it is in the extra `scenes`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reasound.data.scenes.painter import Colour, Shape, Vector
from reasound.errors import UserError

Floats = NDArray[np.float64]

STEP = 0.001
"""Seconds that MuJoCo goes forward at once."""
GRAVITY = 9.81
WINDOW = 0.02
"""Seconds over which the force of one hit is summed."""
SHARE = 0.1
"""A hit is heard when its impulse is this share of the strongest one of its event,"""
LEAST = 0.3
"""when it is worth this many metres a second to the two bodies,"""
APART = 0.08
"""and when none of the same event that is stronger is nearer than this many seconds."""

_CONTACT = 360.0  # rad/s: half a swing, which is how long a contact lasts, takes 9 ms
_WARM = 0.3  # seconds before the start in which what stands comes to rest
_AWAY = 40.0  # metres: far enough for its shadow to be out of the picture, too


@dataclass(frozen=True)
class Material:
    sound_class: str
    """That a body of it has."""
    word: str
    """"a ... block"."""
    density: float
    """kg per cubic metre, hollow things included."""
    damping: float
    """Of its contacts, as a share of critical damping: 0 throws everything back, 1 next to nothing."""
    friction: float
    colours: tuple[Colour, ...]


# In the order in which they ring: where two meet, the upper one is heard.
MATERIALS = {
    "metal": Material("impact/metal", "metal", 1500, 0.25, 0.35, ((0.75, 0.78, 0.82), (0.85, 0.68, 0.38))),
    "stone": Material("impact/stone", "stone", 1600, 0.4, 0.6, ((0.72, 0.7, 0.67), (0.58, 0.62, 0.68))),
    "wood": Material(
        "impact/wood", "wooden", 600, 0.35, 0.5, ((0.78, 0.55, 0.33), (0.58, 0.38, 0.22), (0.88, 0.72, 0.5))
    ),
    "rubber": Material(
        "impact/ball", "rubber", 250, 0.2, 0.8, ((0.85, 0.22, 0.18), (0.15, 0.4, 0.8), (0.95, 0.65, 0.1))
    ),
}


@dataclass(frozen=True)
class Body:
    shape: Shape
    material: str
    place: Vector
    """Of its centre, metres."""
    thing: str = ""
    """Id of the event that sounds when it is hit; none for what stands fast, such as stairs."""
    turn: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    """Quaternion, real part first."""
    velocity: Vector = (0.0, 0.0, 0.0)
    spin: Vector = (0.0, 0.0, 0.0)
    """Radians a second, about its own axes."""
    release: float = 0.0
    """When it gets this velocity and spin."""
    held: bool = True
    """It hangs high above its place until then, out of sight; what is not held stands on something."""
    fast: bool = False
    """It never moves."""

    @property
    def mass(self) -> float:
        """Kilograms; infinite for what never moves."""
        a, b, c = self.shape.half
        volume = {"box": 8, "sphere": 4 / 3 * math.pi, "cylinder": 2 * math.pi}[self.shape.kind] * a * b * c
        return math.inf if self.fast else volume * MATERIALS[self.material].density


@dataclass(frozen=True)
class Run:
    """What MuJoCo says. T steps of STEP, B bodies; as a partner in a contact, B is the floor and B + 1 the wall."""

    places: Floats
    """[T, B, 3] metres."""
    turns: Floats
    """[T, B, 3, 3]; columns are the axes of the body."""
    forces: Floats
    """[T, B + 2, B + 2] newtons along the normal; only above the diagonal."""


@dataclass(frozen=True)
class Hit:
    time: float
    impulse: float
    pair: tuple[int, int]
    """Bodies, as in Run."""
    sounding: int
    """The one of the two that is heard."""


def simulate(bodies: Sequence[Body], seconds: float, wall: float = math.inf) -> Run:
    """Let the bodies go. `wall` is where a wall stands, in metres away from us.

    Raises:
        UserError: MuJoCo is not installed.
    """
    try:
        import mujoco
    except ModuleNotFoundError as missing:
        raise UserError(
            "scenes of rigid bodies need MuJoCo; install it with: pip install 'reasound[scenes]'"
        ) from missing
    model = mujoco.MjModel.from_xml_string(_mjcf(bodies, wall))
    data = mujoco.MjData(model)
    count, steps, warm = len(bodies), round(seconds / STEP), round(_WARM / STEP)
    geoms = np.array([count, *([count + 1] if math.isfinite(wall) else []), *range(count)])
    places, turns = np.zeros((steps, count, 3)), np.zeros((steps, count, 3, 3))
    forces = np.zeros((steps, count + 2, count + 2))
    free = [k for k, body in enumerate(bodies) if not body.fast]
    joints = dict(zip(free, zip(model.jnt_qposadr, model.jnt_dofadr, strict=True), strict=True))
    home = data.qpos.copy()
    for step in range(-warm, steps):
        for k, (at, dof) in joints.items():
            due = round(bodies[k].release / STEP)
            if step < due and bodies[k].held:
                data.qpos[at : at + 7], data.qvel[dof : dof + 6] = home[at : at + 7], 0
                data.qpos[at + 2] += _AWAY
            elif step == due:
                if bodies[k].held:
                    data.qpos[at : at + 7] = home[at : at + 7]
                data.qvel[dof : dof + 6] = (*bodies[k].velocity, *bodies[k].spin)
        mujoco.mj_step(model, data)  # what it leaves in xpos and contact is of the moment before the step
        if step < 0:
            continue
        places[step], turns[step] = data.xpos[1:], data.xmat[1:].reshape(-1, 3, 3)
        if data.ncon:
            row = data.contact.efc_address
            touching = row >= 0
            pair = np.sort(geoms[data.contact.geom[touching]], axis=1)
            np.add.at(forces[step], (pair[:, 0], pair[:, 1]), data.efc_force[row[touching]])
    return Run(places, turns, forces)


def _mjcf(bodies: Sequence[Body], wall: float) -> str:
    """The world in MuJoCo's own format."""
    lines = [f'<geom type="plane" size="0 0 1" {_touch(0.0, 0.0)}/>']
    if math.isfinite(wall):
        lines.append(f'<geom type="plane" size="0 0 1" pos="0 {wall} 0" zaxis="0 -1 0" {_touch(0.0, 0.0)}/>')
    for body in bodies:
        made, half = MATERIALS[body.material], body.shape.half
        size = {"box": half, "sphere": half[:1], "cylinder": half[1:]}[body.shape.kind]
        lines += [
            f'<body pos="{_list(body.place)}" quat="{_list(body.turn)}">{"" if body.fast else "<freejoint/>"}',
            f'<geom type="{body.shape.kind}" size="{_list(size)}" density="{made.density}"',
            f"{_touch(made.damping, made.friction)}/></body>",
        ]
    option = f'<option timestep="{STEP}" gravity="0 0 {-GRAVITY}" cone="elliptic"/>'
    return f"<mujoco>{option}<worldbody>{' '.join(lines)}</worldbody></mujoco>"


def _touch(damping: float, friction: float) -> str:
    """How contacts behave: of two bodies, MuJoCo takes the stronger damping and the stronger friction.

    A contact pushes back with acceleration -_CONTACT ** 2 r - 2 damping _CONTACT v at depth r (MuJoCo's negative
    `solref`), but never pulls.
    """
    spring = f'solref="{-(_CONTACT**2)} {-2 * damping * _CONTACT}" solimp="0.99 0.999 0.001"'
    return f'{spring} condim="6" friction="{friction} 0.005 {0.01 * friction}"'


def _list(numbers: Sequence[float]) -> str:
    return " ".join(f"{x:.9g}" for x in numbers)


def hits(run: Run, bodies: Sequence[Body]) -> list[Hit]:
    """What is heard, in order of time.

    A hit is where the force of a pair over the next WINDOW exceeds that over the last: a slap counts although
    an edge of the body was on the floor before, and a body at rest, however heavy, does not.
    """
    span, apart = round(WINDOW / STEP), round(APART / STEP)
    masses = [*(body.mass for body in bodies), math.inf, math.inf]
    found: list[tuple[float, Hit]] = []
    for i, j in np.argwhere(run.forces.any(0)).tolist():
        own = [k for k in (i, j) if named(bodies, k)]
        if not own:
            continue
        sounding = min(own, key=lambda k: list(MATERIALS).index(bodies[k].material))
        least = LEAST / (1 / masses[i] + 1 / masses[j])
        force = run.forces[:, i, j]
        total = np.cumsum(np.pad(force, (span + 1, span), "mean", stat_length=span)) * STEP
        ahead = total[2 * span :] - total[span:-span]
        rise = ahead - (total[span:-span] - total[: -2 * span])
        while rise.max() > least:
            steepest = int(np.argmax(rise))
            near = force[steepest : steepest + span]
            touch = steepest + int(np.argmax(near > 0.1 * near.max()))
            found.append((float(rise[steepest]), Hit(touch * STEP, float(ahead[touch]), (i, j), sounding)))
            rise[max(0, steepest - apart) : steepest + apart] = 0
    kept: list[Hit] = []
    strongest: dict[str, float] = {}
    for rose, hit in sorted(found, key=lambda f: -f[0]):
        thing = bodies[hit.sounding].thing
        peers = [k.time for k in kept if bodies[k.sounding].thing == thing]
        loud = rose >= SHARE * strongest.setdefault(thing, rose)
        if loud and all(abs(hit.time - t) >= APART for t in peers):
            kept.append(hit)
    return sorted(kept, key=lambda hit: hit.time)


def named(bodies: Sequence[Body], k: int) -> str:
    return bodies[k].thing if k < len(bodies) else ""
