"""Acts of things that sound where they are: a clock ticks, a fire burns, a fountain or a machine runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from reasound.data.scenes import props
from reasound.data.scenes.heldout import Sprite
from reasound.data.scenes.making import EARLIEST, LATEST, Making, named
from reasound.data.scenes.physics import scattered, smooth
from reasound.data.scenes.stage import Stamp


def still(making: Making) -> None:
    """A clock ticks, a fire burns, a fountain or a machine runs: it sounds and stays where it is."""
    ways: list[tuple[str, Callable[[Making, Sequence[Sprite]], None]]] = [
        ("machine/clock_tick", _ticking),
        ("fire/crackle", _burning),
        ("water/stream", _springing),
        ("machine/appliance", _running),
    ]
    options = [(n, way) for n, way in ways if n in making.classes]
    options = [o for o in options if o[0] in ("machine/clock_tick", "fire/crackle") or making.sprites(o[0])]
    name, way = making.pick(options, "sounds without moving")
    way(making, making.sprites(name))


def _ticking(making: Making, sprites: Sequence[Sprite]) -> None:
    """The hand of a clock jumps at each tick."""
    rng, name = making.rng, making.next_id()
    making.set_in(False)
    size, period = float(rng.uniform(110, 140)), float(rng.uniform(0.5, 1.0))
    face = making.sprite(sprites[0], size, (0.5, 0.5)) if sprites else props.disc(size / 2, (240, 238, 230))
    x, y = float(rng.uniform(100, 220)), float(rng.uniform(85, 105))
    first = float(rng.uniform(EARLIEST, 0.6))
    times = tuple(np.arange(first, making.seconds - LATEST, period).tolist())
    pointer, angle = props.hand(0.36 * size), float(rng.uniform(0, 2 * math.pi))

    def drawn(t: float) -> Iterator[Stamp]:
        yield Stamp(face, x, y, event=name)
        ticks = [t - at for at in times if t >= at]
        since = ticks[-1] if ticks else 9.0
        swing = 0.35 * math.exp(-since / 0.05) * math.cos(60 * since)  # past its mark, and back
        yield Stamp(
            pointer, x, y, angle=angle + math.radians(12) * (len(ticks) + (swing if ticks else 0)), event=name
        )

    making.layers.append(drawn)
    making.event(
        "machine/clock_tick", "a clock", lambda t: (x, 1.0), times, [1.0] * len(times), label="clock"
    )


def _burning(making: Making, sprites: Sequence[Sprite]) -> None:
    rng, name = making.rng, making.next_id()
    making.set_in(True, style=str(rng.choice(["night", "forest", "hills"])))
    x, y, scale = float(rng.uniform(80, 240)), making.backdrop.floor, float(rng.uniform(0.8, 1.2))
    flames = [making.sprite(sprites[0], 100.0, (0.5, 1.0))] if sprites else []
    flames += [props.soft(34, 90, c, 0.8) for c in ((232, 96, 28), (250, 190, 70))]
    wood, glow = props.block(rng, "wood", 74.0, 12.0), props.soft(190, 120, (255, 150, 50), 0.28)
    spark = props.disc(1.4, (255, 210, 110))
    phases = rng.uniform(0, 6.3, (5, 3))

    def drawn(t: float) -> Iterator[Stamp]:
        flicker = float(np.sin(2 * np.pi * np.array([1.7, 3.1, 5.3]) * t + phases[0]).sum()) / 3
        yield Stamp(glow, x, y - 40 * scale, scale * (1 + 0.08 * flicker))
        for k, flame in enumerate(flames * (1 if sprites else 2)):
            a, b, c = np.sin(2 * np.pi * np.array([2.3, 3.7, 6.1]) * t + phases[k % 5])
            base = y - 4 - (0 if flame.hold[1] > 60 else 40 * scale)
            yield Stamp(
                flame,
                x + (7 * k - 7) * scale,
                base,
                scale * (0.9 + 0.06 * a),
                1 + 0.14 * b,
                1 + 0.16 * c,
                0.06 * b,
                name,
            )
        for k in range(6):
            turn = 0.7 * t + k / 6
            u, n = turn % 1.0, int(turn) * 6 + k
            yield Stamp(
                spark,
                x + 30 * scattered(n) + 8 * math.sin(6 * u + n),
                y - 30 - 110 * u,
                opacity=1 - u,
                event=name,
            )
        for turn in (0.12, -0.14):
            yield Stamp(wood, x, y - 9 * scale, scale, angle=turn, event=name)

    making.layers.append(drawn)
    making.event("fire/crackle", "a fire", lambda t: (x, scale), label="fire")


def _springing(making: Making, sprites: Sequence[Sprite]) -> None:
    """A fountain, whose drops fly in arcs."""
    rng, name = making.rng, making.next_id()
    making.set_in(True)
    prop = making.sprite(sprites[0], 105.0)
    x, y, scale = float(rng.uniform(90, 230)), making.backdrop.floor, float(rng.uniform(0.9, 1.2))
    drop = props.disc(2.0, (224, 240, 252), 0.9)

    def drawn(t: float) -> Iterator[Stamp]:
        yield Stamp(props.shadow(), x, y, scale * prop.size[0] / 40)
        yield Stamp(prop, x, y, scale, event=name)
        for k in range(28):
            turn = 1.3 * t + k / 28
            u, n = turn % 1.0, int(turn) * 28 + k
            aim = scattered(n)
            yield Stamp(drop, x + 46 * aim * u * scale, y - scale * (100 + 130 * u * (0.75 - u)), event=name)

    making.layers.append(drawn)
    making.event("water/stream", named(sprites[0].label), lambda t: (x, scale), label=sprites[0].label)


def _running(making: Making, sprites: Sequence[Sprite]) -> None:
    """A machine that trembles while it runs, from some moment to another."""
    rng, name = making.rng, making.next_id()
    making.set_in(False)
    sprite = making.pick(sprites)
    prop, steams = making.sprite(sprite, 105.0), sprite.label == "kettle"
    x, y, scale = float(rng.uniform(80, 240)), making.backdrop.floor, float(rng.uniform(0.85, 1.1))
    start = float(rng.uniform(EARLIEST, 1.0))
    end = float(rng.uniform(start + 1.2, making.seconds - LATEST))
    puff = props.soft(26, 22, (236, 238, 240), 0.6)

    def drawn(t: float) -> Iterator[Stamp]:
        runs = smooth((t - start) / 0.08) - smooth((t - end) / 0.15)
        yield Stamp(props.shadow(), x, y, scale * prop.size[0] / 40)
        size = 0.5 if steams else 1.3
        yield Stamp(
            prop,
            x + size * runs * math.sin(69 * t),
            y - size * runs * abs(math.sin(53 * t)),
            scale,
            event=name,
        )
        for k in range(6 if steams else 0):
            u = (1.1 * t + k / 6) % 1.0
            if start < t - u / 1.1 < end:
                yield Stamp(
                    puff,
                    x + 10 * math.sin(3 * u + k) - 8,
                    y - scale * 98 - 60 * u,
                    0.4 + u,
                    opacity=1 - u,
                    event=name,
                )

    making.layers.append(drawn)
    making.event(
        "machine/appliance", named(sprite.label), lambda t: (x, scale), span=(start, end), label=sprite.label
    )
