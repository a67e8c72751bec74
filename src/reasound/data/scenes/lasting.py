"""Acts that last: rolling, pouring, passing by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from reasound.data.scenes import props
from reasound.data.scenes.making import EARLIEST, LATEST, Making, Where, facing, named
from reasound.data.scenes.physics import Pouring, Rolling, scattered, smooth
from reasound.data.scenes.stage import Prop, Stamp
from reasound.data.scenes.truth import WIDTH

_ROLLERS = (  # class, what rolls or slides, of what, what it is called, what a fitting recording speaks of
    ("vehicle/cart", "wheel", "wood", "a wooden wheel", "wheel"),
    ("machine/mechanism", "disc", "metal", "a metal wheel", "spinning wheel"),
    ("object/scrape", "box", "metal", "a sliding metal box", "scrape metal"),
)
_VEHICLES = (
    "vehicle/car",
    "vehicle/train",
    "vehicle/aircraft",
    "vehicle/boat",
    "vehicle/siren",
    "vehicle/tyre_skid",
)
_NOT_PASSING = {"railway crossing sign", "rocket", "jet fighter", "helicopter"}
_WATER = (120, 176, 214)
_FALL = 620.0  # pixels a second squared, of water


def rolling(making: Making) -> None:
    """Something rolls down a slope or along the floor for a while, and knocks against a block at the end."""
    rng, name = making.rng, making.next_id()
    sound, shape, stuff, source, label = making.pick([r for r in _ROLLERS if r[0] in making.classes], "rolls")
    making.set_in()
    side, scale = int(rng.choice([-1, 1])), float(rng.uniform(0.85, 1.15))
    radius = scale * (26.0 if shape != "box" else 20.0)
    thing = {
        "wheel": lambda: props.wheel(26.0), "disc": lambda: props.ball(rng, "metal", 26.0),
        "box": lambda: props.block(rng, "metal", 46.0, 36.0),
    }[shape]()  # fmt: skip
    sloping = bool(rng.random() < 0.6)
    slope = float(rng.uniform(0.14, 0.26)) if sloping else 0.0
    floor, wall = making.backdrop.floor, float(rng.uniform(235, 285))
    first = 50.0 if sloping else -radius
    length = (wall - radius - first) / math.cos(slope)
    begin = float(rng.uniform(EARLIEST, 0.7))
    lasts = float(rng.uniform(0.9, min(2.6, making.seconds - 1.2 - begin)))
    # From rest down a slope; on the level with a speed of which friction takes 30%.
    roll = (
        Rolling(begin, 0.0, 2 * length / lasts**2, length)
        if sloping
        else Rolling(begin, length / (0.85 * lasts), -0.3 * length / (0.85 * lasts**2), length)
    )
    run = wall - radius - first + 34
    ramp = props.wedge(rng, run, run * math.tan(slope)) if sloping else None
    block = props.block(rng, "stone" if shape == "box" else "wood", 34.0, 58.0)
    mirrored: Callable[[float], float] = lambda v: v if side > 0 else WIDTH - v  # noqa: E731

    def along(t: float) -> tuple[float, float]:
        """Of the middle of the thing, as if it went to the right."""
        left = length - roll.place(t)
        return wall - radius - left * math.cos(slope), floor - radius / math.cos(slope) - left * math.sin(
            slope
        )

    where: Where = lambda t: (mirrored(along(t)[0]), scale)  # noqa: E731
    knock = roll.knock
    assert knock is not None  # it was made to arrive
    knocked = "impact/stone" if shape == "box" else "impact/wood"
    hit = "e2" if knocked in making.classes else ""

    def drawn(t: float) -> Iterator[Stamp]:
        x, y = along(t)
        if ramp is not None:
            yield Stamp(ramp, mirrored(wall - radius), floor, 1.0, side)
        since = t - knock
        shock = math.exp(-since / 0.08) * math.sin(40 * since) if since > 0 else 0.0
        yield Stamp(props.shadow(), mirrored(wall + 18), floor, 1.1)
        yield Stamp(block, mirrored(wall + 17.5 + 2 * shock), floor - 58, 1.0, event=hit)
        yield Stamp(props.shadow(), mirrored(x), y + radius, scale * 1.2, angle=side * slope)
        if shape == "box":
            yield Stamp(thing, mirrored(x), y - radius * 0.9, scale, angle=side * slope, event=name)
        else:
            yield Stamp(thing, mirrored(x), y, scale, angle=side * roll.place(t) / radius, event=name)

    making.layers.append(drawn)
    making.event(
        sound, source, where, span=(begin, min(roll.rest, making.seconds)), label=label, material=stuff
    )
    if hit:
        strength = min(1.0, max(0.2, roll.impact / 320))
        block_at: Where = lambda t: (mirrored(wall), scale)  # noqa: E731
        making.event(
            knocked,
            f"{source} against a block",
            block_at,
            (knock,),
            (strength,),
            label="knock tap thud brick",
        )


def pouring(making: Making) -> None:
    """Water is poured into a glass, runs from a tap into a tub, or drips from it."""
    rng = making.rng
    sounds = making.known("water/pour", "water/bubbles_drip")
    sound = making.pick(sounds, "pours")
    making.set_in(False)
    if sound == "water/bubbles_drip":
        _dripping(making)
        return
    name, scale = making.next_id(), float(rng.uniform(1.0, 1.3))
    x, table = float(rng.uniform(110, 200)), making.backdrop.floor - 22
    wide, tall = float(rng.uniform(44, 58)), float(rng.uniform(62, 82))
    from_jug = bool(rng.random() < 0.6)
    back, front = props.vessel(wide, tall)
    source: Prop = props.jug(rng.uniform(70, 200, 3)) if from_jug else props.tap()
    spout = table - scale * (tall + float(rng.uniform(14, 26)))
    opened = float(rng.uniform(0.4, 0.9))
    shut = float(rng.uniform(opened + 1.0, making.seconds - LATEST - 0.5))
    full = min(0.9, 0.28 * (shut - opened) + 0.1) * tall
    water = Pouring(opened, shut, _FALL, table - 3 * scale - spout, table - scale * (3 + full) - spout)
    body = props.bar(wide - 6, tall, _WATER, 0.75)
    stream = props.bar(5.0, 60.0, (150, 200, 232), 0.9)
    desk = props.block(rng, "wood", 240.0, 90.0)

    def drawn(t: float) -> Iterator[Stamp]:
        surface = spout + water.depth(t)
        tilt = -0.95 * (smooth((t - opened + 0.5) / 0.5) - smooth((t - shut) / 0.5)) if from_jug else 0.0
        yield Stamp(desk, x + 10, table)
        yield Stamp(props.shadow(), x, table + 1, scale * wide / 36)
        yield Stamp(back, x, table, scale, event=name)
        depth = table - 3 * scale - surface
        if depth > 0:
            yield Stamp(
                body,
                x,
                surface + 0.7 * math.sin(23 * t) * (water.start < t < water.end),
                scale,
                up=depth / scale / tall,
                event=name,
            )
        if span := water.stream(t):
            for k, sway in ((0, 0.0), (1, 1.2)):  # two strands that twist
                wobble = 1 + 0.25 * math.sin(31 * t + 2 * k)
                yield Stamp(
                    stream,
                    x + sway * math.sin(19 * t),
                    spout + span[0],
                    1.0,
                    scale * wobble / (1 + k),
                    (span[1] - span[0]) / 60,
                    event=name,
                )
        if water.start < t < water.end:
            yield from _spray(t, (x, surface), 5, 16 * scale, name)
        yield Stamp(front, x, table, scale, event=name)
        yield Stamp(source, x, spout, scale, angle=tilt, event=name)

    making.layers.append(drawn)
    label = "water from a jug" if from_jug else "water from a tap"
    making.event("water/pour", label, lambda t: (x, scale), span=(water.start, water.end), material="water")


def _spray(t: float, at: tuple[float, float], count: int, high: float, name: str) -> Iterator[Stamp]:
    """Drops that spring up again and again."""
    drop = props.disc(1.3, (214, 234, 246), 0.9)
    for k in range(count):
        turn = 4.3 * t + k / count
        u, n = turn % 1.0, int(turn) * count + k
        aim = scattered(n)
        yield Stamp(
            drop,
            at[0] + 16 * aim * u,
            at[1] - 4 * high * u * (1 - u) * (0.5 + 0.5 * abs(scattered(n + 7919))),
            event=name,
        )


def _dripping(making: Making) -> None:
    """Single drops from a tap; onsets are when they arrive."""
    rng, name = making.rng, making.next_id()
    scale, x, foot = float(rng.uniform(1.0, 1.3)), float(rng.uniform(120, 200)), making.backdrop.floor
    tub = props.basin(110.0, 48.0, rng.uniform(90, 220, 3))
    surface = foot - 46 * scale
    mouth = surface - float(rng.uniform(75, 105))
    fall = math.sqrt(2 * (surface - mouth) / _FALL)
    times = making.times(0.6, 1.3, 6, first=fall + 0.1)
    drop, ring = props.disc(5.0, (186, 222, 244), 0.95), props.soft(40, 6, (240, 248, 252), 0.9)
    tap, splash = props.tap(), props.disc(2.2, (224, 240, 250), 0.95)

    def drawn(t: float) -> Iterator[Stamp]:
        yield Stamp(props.shadow(), x, foot, 2.6 * scale)
        yield Stamp(tub, x, foot, scale, event=name)
        for at in times:
            u = t - at + fall
            if -0.4 < u < 0:  # it swells
                yield Stamp(drop, x, mouth, 0.4 + 0.6 * (u + 0.4) / 0.4, event=name)
            elif 0 <= u < fall:
                yield Stamp(drop, x, mouth + _FALL / 2 * u * u, 1.0, 0.9, 1.25, event=name)
            elif u < fall + 0.4:
                v = (u - fall) / 0.4
                yield Stamp(ring, x, surface, 0.3 + 1.3 * v, opacity=1 - v, event=name)
                for aim in (-1.0, -0.4, 0.3, 0.9):
                    yield Stamp(
                        splash, x + 22 * aim * v, surface - 110 * v * (1 - v) * (1.2 - abs(aim)), event=name
                    )
        yield Stamp(tap, x, mouth, scale, event=name)

    making.layers.append(drawn)
    strengths = making.strengths(len(times), 0.7)
    making.event(
        "water/bubbles_drip",
        "a dripping tap",
        lambda t: (x, scale),
        times,
        strengths,
        label="drop",
        material="water",
    )


def passing(making: Making) -> None:
    """A vehicle goes by, at one distance or coming nearer; it is heard while it is seen."""
    rng, name = making.rng, making.next_id()
    fit = [making.sprites(n, _NOT_PASSING) for n in making.known(*_VEHICLES)]
    sprite = making.pick(making.pick([f for f in fit if f], "passes by"))
    flies, floats = sprite.sound_class == "vehicle/aircraft", sprite.sound_class == "vehicle/boat"
    making.set_in(
        True,
        "sea" if floats else "asphalt" if not flies and rng.random() < 0.6 else "",
        "" if not flies else str(rng.choice(["open", "hills", "town"])),
    )
    back, side = making.backdrop, int(rng.choice([-1, 1]))
    prop = making.sprite(sprite, 150.0 * len(sprite.picture) / max(sprite.picture.shape[:2]), (0.5, 1.0))
    nearer = bool(rng.random() < 0.45)
    last = float(rng.uniform(0.3, 0.55) if flies else rng.uniform(0.55, 1.15))
    scales = (last * float(rng.uniform(0.25, 0.45)), last) if nearer else (last, last)
    if rng.random() < 0.25:
        scales = scales[::-1]
    enters = float(rng.uniform(EARLIEST, 0.6))
    leaves = float(rng.uniform(max(enters + 1.6, making.seconds - 1.6), making.seconds - LATEST))
    half = prop.size[0] / 2
    ends = (-half * scales[0] - 1, WIDTH + half * scales[1] + 1)
    low = float(rng.uniform(70, 105))

    def at(t: float) -> tuple[float, float, float]:
        """x, y of its foot, scale. What moves steadily through space has an inverse scale that changes steadily."""
        u = (t - enters) / (leaves - enters)
        scale = 1 / (1 / scales[0] + (1 / scales[1] - 1 / scales[0]) * min(max(u, 0.0), 1.0))
        # Straight in the picture, too: the share of the way goes with how much the scale has changed.
        way = u if scales[0] == scales[1] else (scale - scales[0]) / (scales[1] - scales[0])
        if not 0 <= u <= 1:
            way = u
        x = ends[0] + (ends[1] - ends[0]) * way
        ground = back.horizon + (back.floor + 8 - back.horizon) * min(scale, 1.25) / 1.25 + 4
        y = low + 40 * (scale - last) if flies else ground
        return (x if side > 0 else WIDTH - x), y, scale

    across = facing(sprite) * side
    airborne = flies or floats

    def drawn(t: float) -> Iterator[Stamp]:
        if not enters <= t <= leaves:
            return
        x, y, scale = at(t)
        if not airborne:
            yield Stamp(props.shadow(), x, y - 1, scale * prop.size[0] / 36)
        rock = 0.03 * math.sin(2.1 * t) if floats else 0.0
        yield Stamp(
            prop,
            x,
            y + (2 * rock * 20 if floats else 0.4 * math.sin(31 * t)),
            scale,
            across,
            angle=rock,
            event=name,
        )

    making.layers.append(drawn)
    making.event(
        sprite.sound_class,
        named(sprite.label),
        lambda t: at(t)[::2],
        span=(enters, leaves),
        label=sprite.label,
    )
