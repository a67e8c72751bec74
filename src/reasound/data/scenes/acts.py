"""What happens in the drawn scenes of the benchmark. Each act draws a thing by the same equations (physics) that say
when it sounds, so the truth is exact.

    staged = stage("bounce", Heldout.load(), np.random.default_rng(0), Fraction(5))
    staged.film.picture(0), staged.events[0].onsets
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import numpy as np

from reasound.data.scenes import props
from reasound.data.scenes.backgrounds import GROUNDS
from reasound.data.scenes.heldout import Heldout, Sprite
from reasound.data.scenes.lasting import passing, pouring, rolling
from reasound.data.scenes.making import EARLIEST, LATEST, WALKERS, Making, Where, facing, named
from reasound.data.scenes.people import Person
from reasound.data.scenes.physics import Bouncing, Swinging, Walking, jolt, pulse
from reasound.data.scenes.stage import Prop, Stamp
from reasound.data.scenes.standing import still
from reasound.data.scenes.truth import WIDTH, Staged

_FLYING = {"seagull", "heron", "toucan", "cuckoo"}
_SMALL = (
    "animal/bird_call",
    "animal/songbird",
    "animal/frog",
    "animal/small_mammal",
    "animal/poultry",
    "animal/cat",
)
_NO_CALL = {"animal/insect", "animal/wings", "animal/marine", "animal/monster", "animal/horse_hooves"}
_SURFACES = {
    "grass": "footsteps/grass", "gravel": "footsteps/gravel", "sand": "footsteps/sand", "snow": "footsteps/snow",
    "dirt": "footsteps/dirt", "stone": "footsteps/stone", "wood": "footsteps/wood", "metal": "footsteps/metal",
    "tile": "footsteps/indoor_floor",
}  # fmt: skip
_INDOOR = ("wood", "tile", "metal")
_BLOWS = (  # class, tool, what is struck, what makes the sound, what a fitting recording speaks of
    ("tool/anvil", "hammer", "anvil", "a hammer on an anvil", "anvil"),
    ("tool/hammer", "hammer", "wood", "a hammer on a beam", "hammer"),
    ("tool/axe_chop", "axe", "log", "an axe", "axe"),
    ("tool/pickaxe", "pickaxe", "stone", "a pickaxe on stone", "blow stone"),
    ("tool/dig", "spade", "soil", "a spade", "shovel digging"),
    ("impact/metal", "hammer", "metal", "a hammer on a metal block", "block clang clank iron bar"),
    ("impact/wood", "mallet", "wood", "a mallet on a wooden block", "block knock board wood"),
    ("impact/stone", "hammer", "stone", "a hammer on a stone block", "brick stone tap"),
    ("impact/dirt", "spade", "soil", "a spade on soil", "shovel earth soil"),
    ("bell/small", "stick", "bell", "a bell", "bell"),
    ("bell/large", "mallet", "gong", "a gong", "gong bowl"),
    ("weapon/sword_clash", "sword", "sword", "two swords", "sword blade"),
)
_BEATEN = ("instrument/snare_drum", "instrument/tom_hand_drum", "instrument/cymbal", "instrument/kick_drum")
_PLUCKED = ("instrument/guitar", "instrument/keyboard")
_SHAKEN = ("instrument/small_percussion",)
_BLOWN = ("instrument/brass", "instrument/woodwind", "instrument/bowed_strings")
_FASTEST = 420.0
"""Pixels a second (of a scene at scale 1) of the hardest impact that a ball makes."""


def stage(kind: str, heldout: Heldout, rng: np.random.Generator, seconds: Fraction) -> Staged:
    """A scene of one of KINDS, at least 3 s long. ValueError for another kind or length, or where nothing that the act
    needs is held out."""
    if kind not in _ACTS:
        raise ValueError(f"there is no act {kind!r}; choose one of {', '.join(KINDS)}")
    if seconds < 3:
        raise ValueError(f"a scene of {float(seconds):g} s is too short; give at least 3")
    making = Making(heldout, rng, seconds)
    _ACTS[kind](making)
    return making.staged(kind)


def _sprite_of(making: Making, names: Iterable[str], what: str) -> Sprite:
    """A class first, then one of its pictures."""
    return making.pick(making.sprites(making.pick([n for n in names if making.sprites(n)], what)))


def calling(making: Making) -> None:
    """An animal, or a person, stretches suddenly at each call."""
    rng, name = making.rng, making.next_id()
    voices = making.known("voice/grunt", "voice/scream", "voice/laugh")
    animals = [
        c
        for c in making.known("animal/", "vehicle/horn")
        if c not in _NO_CALL and making.heldout.sprites_of(c)
    ]
    times = making.times(0.9, 1.9, 5)
    strengths = making.strengths(len(times))
    scale, x = float(rng.uniform(0.75, 1.2)), float(rng.uniform(60, WIDTH - 60))
    if voices and (not animals or rng.random() < 0.25):
        making.set_in()
        person, y = Person(rng, int(rng.choice([-1, 1])), scale, name), making.backdrop.floor
        making.layers.append(lambda t: person.calling(x, y, pulse(t, times, strengths, 0.1)))
        making.event(making.pick(voices, "calls"), "a person", lambda t: (x, scale), times, strengths)
        return
    sprite = _sprite_of(making, animals, "calls")
    making.set_in(True, "sea" if sprite.sound_class == "vehicle/horn" else "")
    flying, y = sprite.label in _FLYING, making.backdrop.floor
    prop = making.sprite(
        sprite, float(rng.uniform(62, 84) if sprite.sound_class in _SMALL else rng.uniform(84, 112))
    )
    side, speed = int(rng.choice([-1, 1])), 0.0
    if flying:
        y = float(rng.uniform(90, 130))
    elif sprite.label in WALKERS and rng.random() < 0.35:
        speed = float(rng.uniform(10, 22)) * (1 if x < WIDTH / 2 else -1)
        side = facing(sprite) * int(math.copysign(1, speed))
    where: Where = lambda t: (x + speed * t, scale)  # noqa: E731

    def drawn(t: float) -> Iterator[Stamp]:
        effort, at = pulse(t, times, strengths), where(t)[0]
        lift = 3 * math.sin(2.2 * t) if flying else -abs(2 * math.sin(5 * t)) * (speed != 0)
        if not flying:
            yield Stamp(props.shadow(), at, y, scale * prop.size[0] / 42)
        yield Stamp(
            prop,
            at,
            y + lift - 5 * effort * scale,
            scale,
            side * (1 - 0.07 * effort),
            1 + 0.2 * effort,
            -side * 0.07 * effort,
            name,
        )

    making.layers.append(drawn)
    making.event(sprite.sound_class, named(sprite.label), where, times, strengths, label=sprite.label)


def striking(making: Making) -> None:
    """Somebody swings a tool at a thing: onsets are the contacts, strengths go with the speed of the swing."""
    rng, name = making.rng, making.next_id()
    sound, tool_name, target_name, source, label = making.pick(
        [b for b in _BLOWS if b[0] in making.classes], "is struck"
    )
    making.set_in(True if target_name in ("soil", "log") else None, "dirt" if target_name == "soil" else "")
    swing = _swing(making, float(rng.uniform(1.0, 1.35)))
    scale, side = float(rng.uniform(0.85, 1.1)), int(rng.choice([-1, 1]))
    x, y = WIDTH / 2 + side * float(rng.uniform(15, 50)), making.backdrop.floor
    size = float(rng.uniform(44, 60))
    target, high = {
        "anvil": lambda: (props.anvil(), 50.0),
        "log": lambda: (props.log(), 51.0),
        "bell": lambda: (props.bell(size), 0.95 * size + 3),
        "gong": lambda: (props.gong(size), size / 2 + 14),
        "sword": lambda: (props.tool("sword", props.SKINS[0], (150, 50, 50)), 70.0),
    }.get(target_name, lambda: (props.block(rng, target_name, 1.5 * size, 40.0), 43.0))()
    top = y - scale * high
    elbow = (x - side * scale * 104, top)
    person = Person(rng, side, 1.1 * scale, name)
    tool = props.tool(tool_name, person.skin, person.sleeve)
    other = Person(rng, -side, 1.1 * scale, name)
    where: Where = lambda t: (x - side * scale * 45, scale)  # noqa: E731

    def drawn(t: float) -> Iterator[Stamp]:
        shock = jolt(t, swing.times, swing.strengths)
        yield Stamp(props.shadow(), elbow[0], y, 1.4 * scale)
        yield from person.working(elbow, y)
        if target_name == "sword":
            away = x + side * scale * (80 + 2 * shock)
            yield from other.working((away, top + 12 * scale), y)
            yield Stamp(
                target, away, top + 12 * scale, scale, -side, angle=side * (0.22 - 0.06 * shock), event=name
            )
        else:
            yield Stamp(props.shadow(), x, y, scale * target.size[0] / 38)
            tilt = 0.08 * shock if target_name in ("gong", "bell") else 0.0
            yield Stamp(target, x, top + 1.6 * shock, scale, 1.0, 1 - 0.02 * max(shock, 0), tilt, name)
        yield Stamp(tool, *elbow, scale, side, angle=-side * swing.angle(t), event=name)

    making.layers.append(drawn)
    making.event(sound, source, where, swing.times, swing.strengths, label=label, material=target_name)


def _swing(making: Making, reach: float) -> Swinging:
    times = making.times(Swinging.SHORTEST + 0.02, 1.3, 7, first=EARLIEST + Swinging.FALL)
    return Swinging(times, making.strengths(len(times)), reach)


def bouncing(making: Making) -> None:
    """One ball or two fall, bounce and move sideways; strengths are the speeds of impact."""
    rng = making.rng
    stuffs = [
        s
        for s, c in (
            ("rubber", "impact/ball"),
            ("wood", "impact/wood"),
            ("metal", "impact/metal"),
            ("stone", "impact/stone"),
        )
        if c in making.classes
    ]
    making.set_in()
    for k in range(2 if rng.random() < 0.35 else 1):
        stuff = "rubber" if "rubber" in stuffs and rng.random() < 0.6 else making.pick(stuffs, "bounces")
        sound = "impact/ball" if stuff == "rubber" else f"impact/{stuff}"
        scale, size = (
            float(rng.uniform(0.75, 1.25)),
            float(rng.uniform(11, 24) if stuff == "rubber" else rng.uniform(9, 15)),
        )
        _ball(making, sound, stuff, size, scale, k)


def _ball(making: Making, sound: str, stuff: str, size: float, scale: float, k: int) -> None:
    rng, name, radius = making.rng, making.next_id(), size * scale
    floor = making.backdrop.floor + (0, -14)[k]
    sprites = making.heldout.sprites_of(sound)
    if sprites and stuff == "rubber" and rng.random() < 0.7:
        sprite = sprites[int(rng.integers(len(sprites)))]
        prop, label = making.sprite(sprite, 2 * size, (0.5, 0.5)), named(sprite.label)
    else:
        prop, label = props.ball(rng, stuff, size), f"a {stuff} ball"
    gloss = props.gloss(size)
    bounce = _flight(making, scale, floor, radius, k)
    x = float(rng.uniform(30, 120) if rng.random() < 0.5 else rng.uniform(200, 290))
    last = bounce.contacts[-1][0]
    speed = float(rng.uniform(60, 170)) * (1 if x < WIDTH / 2 else -1) / last

    def where(t: float) -> tuple[float, float]:
        rolls_out = 0.4 * (1 - math.exp(-max(t - last, 0.0) / 0.4))
        return x + speed * (min(t, last) + rolls_out), scale

    def drawn(t: float) -> Iterator[Stamp]:
        at, high = where(t)[0], bounce.height(t)
        yield Stamp(props.shadow(), at, floor, radius / 17, opacity=max(0.25, 1 - high / 200))
        y = floor - radius - high
        yield Stamp(prop, at, y, scale, angle=(at - x) / radius, event=name)
        yield Stamp(gloss, at, y, scale, event=name)

    making.layers.append(drawn)
    strengths = [min(1.0, v / (_FASTEST * scale)) for _, v in bounce.contacts]
    making.event(sound, label, where, [t for t, _ in bounce.contacts], strengths, label=label, material=stuff)


def _flight(making: Making, scale: float, floor: float, radius: float, k: int) -> Bouncing:
    """All of whose contacts come in good time; the second ball falls into the picture later."""
    rng, last = making.rng, making.seconds - LATEST
    taken = [t for e in making.events for t in e.onsets]
    while True:
        drop, begin = float(rng.uniform(100, 150)), 0.0
        if k:  # from above the picture
            drop, begin = floor + 10, float(rng.uniform(0.1, 0.9))
        bounce = Bouncing(drop, float(rng.uniform(600, 1100)), float(rng.uniform(0.45, 0.8)), begin)
        times = [t for t, _ in bounce.contacts]
        if (
            EARLIEST <= times[0]
            and times[-1] <= last
            and all(abs(a - b) > 0.05 for a in times for b in taken)
        ):
            return bounce


def walking(making: Making) -> None:
    """Somebody walks; onsets are the footfalls."""
    rng, name = making.rng, making.next_id()
    ground, sound = making.pick(
        [(g, c) for g, c in _SURFACES.items() if c in making.classes and g in GROUNDS], "walks"
    )
    making.set_in(ground not in _INDOOR, ground)
    scale, side, period = (
        float(rng.uniform(0.7, 1.15)),
        int(rng.choice([-1, 1])),
        float(rng.uniform(0.42, 0.72)),
    )
    stride = float(rng.uniform(24, 31))
    room = int((WIDTH - 80) / (stride * scale))
    times = making.times(
        0.95 * period, 1.05 * period, min(int(rng.integers(4, 13)), room), first=EARLIEST + 0.3
    )
    walk = Walking(times[0] - period, times, stride, float(rng.uniform(7, 11)))
    way = stride * scale * len(times)
    x = float(rng.uniform(40, WIDTH - 40 - way))
    x, y = (x if side > 0 else WIDTH - x), making.backdrop.floor + float(rng.uniform(-12, 10))
    person = Person(rng, side, scale, name)
    making.layers.append(lambda t: person.walking(x, y, walk, t))
    strengths = making.strengths(len(times), 0.7)
    making.event(
        sound,
        "a person",
        lambda t: (x + side * scale * walk.body(t)[0], scale),
        times,
        strengths,
        material=ground,
    )


def playing(making: Making) -> None:
    """An instrument is struck or plucked by a hand that comes down on it, shaken, or moves with each note."""
    rng, name = making.rng, making.next_id()
    making.set_in(False if rng.random() < 0.75 else None)
    sprite = _sprite_of(making, making.known(*_BEATEN, *_PLUCKED, *_SHAKEN, *_BLOWN), "is played")
    sound, scale = sprite.sound_class, float(rng.uniform(0.85, 1.15))
    wide, y = sprite.picture.shape[1] > 1.3 * len(sprite.picture), making.backdrop.floor
    prop = making.sprite(sprite, float(rng.uniform(70, 88) if wide else rng.uniform(95, 120)))
    x, side = float(rng.uniform(130, 190)), int(rng.choice([-1, 1]))
    if sound in _BEATEN or sound in _PLUCKED:
        _touched(making, sprite, prop, (x, y), scale, side)
        return
    shaken = sound in _SHAKEN
    times = making.times(0.3, 0.8, 10) if shaken else making.times(0.6, 1.4, 6)
    strengths = making.strengths(len(times), 0.55)

    def drawn(t: float) -> Iterator[Stamp]:
        effort = pulse(t, times, strengths, 0.05 if shaken else 0.09)
        yield Stamp(props.shadow(), x, y + 4, scale * prop.size[0] / 42)
        rise, turn = (14, 0.22) if shaken else (9, 0.13)
        yield Stamp(
            prop, x, y - scale * (12 + rise * effort), scale, side, angle=-side * turn * effort, event=name
        )

    making.layers.append(drawn)
    making.event(sound, named(sprite.label), lambda t: (x, scale), times, strengths, label=sprite.label)


def _touched(
    making: Making, sprite: Sprite, prop: Prop, at: tuple[float, float], scale: float, side: int
) -> None:
    """By a stick or a hand."""
    (x, y), name, plucked = at, making.next_id(), sprite.sound_class in _PLUCKED
    swing = _swing(making, 0.5 if plucked else 0.75)
    width, height = prop.size
    down = 0.62 * height if plucked else prop.top(0.5) + 0.06 * height
    top = y - scale * (height - down)
    elbow = (x - side * scale * 104, top)
    person = Person(making.rng, side, 1.1 * scale, name)
    tool = props.tool("hand" if plucked else "stick", person.skin, person.sleeve)

    def drawn(t: float) -> Iterator[Stamp]:
        shock = jolt(t, swing.times, swing.strengths)
        yield Stamp(props.shadow(), x, y, scale * width / 40)
        yield from person.working(elbow, y)
        yield Stamp(prop, x, y, scale, 1.0, 1 - 0.012 * shock, 0.02 * shock, name)
        yield Stamp(tool, *elbow, scale, side, angle=-side * swing.angle(t), event=name)

    making.layers.append(drawn)
    where: Where = lambda t: (x - side * scale * 40, scale)  # noqa: E731
    making.event(
        sprite.sound_class, named(sprite.label), where, swing.times, swing.strengths, label=sprite.label
    )


_ACTS: dict[str, Callable[[Making], None]] = {
    "call": calling,
    "strike": striking,
    "bounce": bouncing,
    "roll": rolling,
    "pour": pouring,
    "pass": passing,
    "steps": walking,
    "play": playing,
    "still": still,
}
KINDS: tuple[str, ...] = tuple(_ACTS)
