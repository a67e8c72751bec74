"""Objects, machines, water and weather: parameters drawn at random, and the words that say them."""

from __future__ import annotations

import numpy as np

from reasound.data.physical import ball, explosions, machines, modal, water
from reasound.data.physical.sound import Rng
from reasound.data.physical.takes import Take, among, taken, times, whole


def dishes(rng: Rng) -> Take:
    which = str(rng.choice(["glass", "ceramic", "metal"]))
    many = whole(rng, 2, 14) if which != "glass" else whole(rng, 1, 5)
    force = rng.uniform(0.4, 1.0)
    soft = among(force, "softly", "", "loudly", low=0.4)
    words = {
        "glass": ("glasses clink", f"drinking glasses clink {soft}", "a glass is put down beside another"),
        "ceramic": ("plates clatter", f"porcelain dishes clatter {soft}", "plates are stacked"),
        "metal": ("cutlery clatters", f"forks and knives rattle {soft}", "spoons in a drawer"),
    }[which]
    low, high = {"glass": (0.6, 1.3), "ceramic": (0.7, 1.6), "metal": (0.25, 0.6)}[which]
    sizes = tuple(float(s) for s in rng.uniform(low, high, 4))
    said = tuple(" ".join(w.split()) for w in words)
    return taken(
        modal.clatter, rng, (said[0], said[1], said[2]), material=which, of=which, sizes=sizes,
        seconds=rng.uniform(0.5, 2.0), hits=many, force=force, ring=0.7,
    )  # fmt: skip


def coins_keys(rng: Rng) -> Take:
    which = str(rng.choice(["coins", "keys", "spin"]))
    if which == "spin":
        words = (
            "a coin spins and falls flat",
            "a coin drops on a table",
            "a coin rattles to rest on a hard table",
        )
        return taken(
            modal.wobble, rng, words, material="metal", size=rng.uniform(0.13, 0.2), seconds=rng.uniform(0.6, 1.6),
            start=rng.uniform(6.0, 11.0),
        )  # fmt: skip
    n = whole(rng, 3, 12) if which == "coins" else whole(rng, 14, 40)
    words = {
        "coins": ("coins clink", "a few coins fall on a table", "small change jingles"),
        "keys": ("a bunch of keys rattles", "keys jingle", "someone shakes a bunch of keys"),
    }[which]
    low, high = (0.1, 0.2) if which == "coins" else (0.13, 0.3)
    sizes = tuple(float(s) for s in rng.uniform(low, high, 6))
    return taken(
        modal.clatter, rng, words, material="metal", of="metal", sizes=sizes, seconds=rng.uniform(0.6, 1.6),
        hits=n, force=rng.uniform(0.4, 1.0), ring=0.35,
    )  # fmt: skip


def click(rng: Rng) -> Take:
    if rng.random() < 0.7:
        heavy, rate = rng.uniform(0.1, 1.0), rng.uniform(4.0, 9.0)
        what = among(heavy, "a laptop", "a computer keyboard", "a typewriter", low=0.1)
        fast = among(rate, "slowly", "steadily", "fast", low=4, high=9)
        words = (f"someone types on {what}", f"{fast} typing on {what}", f"the keys of {what} click")
        return taken(
            machines.typing,
            rng,
            words,
            material="plastic",
            seconds=rng.uniform(1.2, 4.0),
            rate=rate,
            heavy=heavy,
        )
    n = whole(rng, 1, 3)
    words = ("a switch clicks", f"a button is pressed {times(n)}", "a small plastic click")
    return taken(
        machines.switch, rng, words, material="plastic", pitch=rng.uniform(700.0, 1_800.0),
        release=rng.uniform(0.05, 0.15), times=n,
    )  # fmt: skip


def clock(rng: Rng) -> Take:
    size = float(np.exp(rng.uniform(np.log(0.65), np.log(1.6))))
    what = "an alarm clock" if size < 0.8 else "a clock" if size < 1.3 else "a grandfather clock"
    rate = float(np.clip(rng.uniform(1.6, 2.4) / size**0.6, 1.0, 4.0))
    words = (f"{what} ticks", f"the tick-tock of {what}", f"{what} ticking in a quiet room")
    return taken(
        machines.tick, rng, words, material="metal", seconds=rng.uniform(3.0, 6.0), rate=rate, size=size,
        echo=rng.uniform(0.15, 0.4),
    )  # fmt: skip


def appliance(rng: Rng) -> Take:
    which = str(rng.choice(["vacuum cleaner", "hair dryer", "blender", "fan", "washing machine", "kettle"]))
    seconds = rng.uniform(3.0, 5.0)
    words = (f"a {which} runs", f"the noise of a {which}", f"a {which} in a home")
    if which == "washing machine":
        return taken(
            machines.washing, rng, words, "texture", "metal", seconds=seconds, turns=rng.uniform(0.6, 1.2)
        )
    if which == "kettle":
        words = ("a kettle whistles", "water boils and the kettle whistles", "a whistling kettle")
        return taken(
            machines.kettle,
            rng,
            words,
            "texture",
            "metal",
            seconds=seconds,
            pitch=rng.uniform(1_900.0, 3_000.0),
        )
    low, high, whine, air, dark = {
        "vacuum cleaner": (150.0, 300.0, 0.5, 1.0, 0.6),
        "hair dryer": (220.0, 420.0, 0.35, 1.0, 0.35),
        "blender": (120.0, 250.0, 1.2, 0.5, 0.5),
        "fan": (18.0, 30.0, 0.4, 1.0, 0.9),
    }[which]
    return taken(
        machines.motor, rng, words, "texture", "plastic", seconds=seconds, turns=rng.uniform(low, high),
        whine=whine * rng.uniform(0.6, 1.5), air=air, dark=dark * rng.uniform(0.7, 1.2),
        load=rng.uniform(0.05, 0.25) if which != "blender" else rng.uniform(0.4, 1.0), spin_up=rng.uniform(0.15, 0.6),
    )  # fmt: skip


def siren(rng: Rng) -> Take:
    kind = str(rng.choice(["wail", "yelp", "hilo"]))
    words = {
        "wail": ("a police siren wails", "a siren rises and falls slowly", "a fire engine with its siren"),
        "yelp": ("a fast yelping siren", "an ambulance siren", "a quickly changing police siren"),
        "hilo": ("a two-tone siren", "an ambulance siren with two notes", "a high and a low note of a siren"),
    }[kind]
    low, high, rate = {
        "wail": (rng.uniform(500, 700), rng.uniform(1_100, 1_600), rng.uniform(0.2, 0.4)),
        "yelp": (rng.uniform(600, 800), rng.uniform(1_300, 1_700), rng.uniform(2.0, 4.0)),
        "hilo": (rng.uniform(400, 480), rng.uniform(560, 640), rng.uniform(0.4, 0.6)),
    }[kind]
    return taken(
        machines.siren, rng, words, "texture", seconds=rng.uniform(4.0, 6.0), low=float(low), high=float(high),
        rate=float(rate), pattern=kind,
    )  # fmt: skip


def bouncing(rng: Rng) -> Take:
    what = str(rng.choice(["basketball", "basketball", "tennis", "rubber", "pingpong"]))
    name = {"tennis": "tennis ball", "rubber": "rubber ball", "pingpong": "ping-pong ball"}.get(what, what)
    if rng.random() < 0.5:
        n = whole(rng, 3, 8)
        words = (f"a {name} is dribbled", f"someone bounces a {name}", f"a {name} bounces steadily")
        return taken(
            ball.dribble, rng, words, what=what, material="rubber", times=n, gap=rng.uniform(0.35, 0.6)
        )
    words = (f"a {name} is dropped and bounces", f"a {name} bounces until it lies", f"bouncing {name}")
    return taken(
        ball.bounce, rng, words, what=what, material="rubber", height=rng.uniform(0.4, 1.4),
        restitution=rng.uniform(0.68, 0.85), most=whole(rng, 1, 10),
    )  # fmt: skip


def rain(rng: Rng) -> Take:
    roof, heavy = str(rng.choice(["leaves", "pavement", "metal", "water"])), rng.uniform(0.05, 1.0)
    how = among(heavy, "light rain", "steady rain", "heavy rain")
    where = {
        "leaves": "on leaves",
        "pavement": "on a street",
        "metal": "on a metal roof",
        "water": "on a pond",
    }[roof]
    return taken(
        water.rain, rng, (f"{how} falls", f"{how} {where}", f"rain drops patter {where}"), kind="texture",
        material="water", seconds=12.0, heavy=heavy, roof=roof, gust=rng.uniform(0.0, 0.6),
    )  # fmt: skip


def drip(rng: Rng) -> Take:
    if rng.random() < 0.5:
        rate, radius = rng.uniform(6.0, 30.0), rng.uniform(2.5, 7.0)
        big = among(radius, "small", "medium", "large", low=2.5, high=7.0)
        words = (
            "bubbles rise in water",
            f"{big} bubbles gurgle",
            f"a liquid bubbles {among(rate, 'slowly', 'fast', low=6, high=30)}",
        )
        return taken(
            water.bubbling, rng, words, kind="texture", material="water", seconds=rng.uniform(2.0, 4.0), rate=rate,
            radius=radius,
        )  # fmt: skip
    n, hollow = whole(rng, 1, 5), rng.uniform(0.0, 1.0)
    where = among(hollow, "into a bowl", "into a sink", "in a cave")
    words = (f"water drips {where}", f"a drop of water falls {times(n)}", "drops fall into water")
    return taken(
        water.drip, rng, words, material="water", times=n, gap=rng.uniform(0.4, 0.9), radius=rng.uniform(2.0, 5.0),
        hollow=hollow,
    )  # fmt: skip


def pour(rng: Rng) -> Take:
    flow = rng.uniform(0.1, 1.0)
    much = among(flow, "a thin stream of water", "water", "a lot of water", low=0.1)
    if rng.random() < 0.5:
        words = ("water runs from a tap", f"{much} runs into a sink", "a kitchen tap runs")
        return taken(
            water.tap, rng, words, kind="texture", material="water", seconds=rng.uniform(3.0, 5.0), flow=flow,
            sink=rng.uniform(0.0, 1.0),
        )  # fmt: skip
    height = rng.uniform(0.07, 0.22)
    what = among(height, "a glass", "a mug", "a jug", low=0.07, high=0.22)
    words = (f"water is poured into {what}", f"{much} fills {what}", "pouring a drink")
    return taken(
        water.pour, rng, words, kind="repeated", material="water", seconds=rng.uniform(2.5, 4.5), flow=flow,
        height=height, glass=rng.uniform(0.0, 1.0),
    )  # fmt: skip


def fireworks(rng: Rng) -> Take:
    which = str(rng.choice(["rocket", "rocket", "display", "crackers"]))
    size, far = rng.uniform(0.6, 1.7), rng.uniform(0.1, 0.9)
    where = among(far, "close by", "over the houses", "far away")
    if which == "display":
        words = (
            "fireworks burst in the sky",
            f"a fireworks display {where}",
            "many rockets burst one after another",
        )
        return taken(
            explosions.display, rng, words, seconds=rng.uniform(6.0, 9.0), rate=rng.uniform(0.8, 2.5), far=far
        )
    if which == "crackers":
        n = whole(rng, 3, 20)
        words = ("firecrackers pop", "a string of firecrackers goes off", f"firecrackers bang {where}")
        return taken(explosions.firecrackers, rng, words, pops=n, gap=rng.uniform(0.05, 0.15))
    words = (
        "a firework rocket rises and bursts",
        f"a rocket bursts {where}",
        "a rocket whistles up, bangs and crackles",
    )
    return taken(
        explosions.rocket,
        rng,
        words,
        size=size,
        whistle=rng.uniform(0.0, 1.0),
        sparks=rng.uniform(0.0, 1.0),
        far=far,
    )


def metal_steps(rng: Rng) -> Take:
    weight, n = rng.uniform(0.3, 1.0), whole(rng, 1, 6)
    how = among(weight, "light", "", "heavy", low=0.3)
    words = (
        "footsteps on a metal floor",
        " ".join(f"{how} steps on metal stairs".split()),
        " ".join(f"{how} boots on a metal plate".split()),
    )
    return taken(
        modal.steps,
        rng,
        words,
        material="metal",
        count_=n,
        gap=rng.uniform(0.4, 0.65),
        size=rng.uniform(2.0, 4.0),
        weight=weight,
    )


def motorcycle(rng: Rng) -> Take:
    idle, top = rng.uniform(900.0, 1_500.0), rng.uniform(3_500.0, 7_000.0)
    story = str(rng.choice(["idles", "revs up", "accelerates", "slows down"]))
    rpm = {
        "idles": (idle, idle * 1.03, idle),
        "revs up": (idle, top, idle * 1.2, top * 0.9, idle),
        "accelerates": (idle * 1.5, top * 0.7, top),
        "slows down": (top, top * 0.6, idle),
    }[story]
    words = (f"a motorcycle {story}", f"the engine of a motorcycle {story}", "a motorcycle engine")
    return taken(
        machines.engine, rng, words, "texture", "metal", seconds=rng.uniform(3.0, 5.0),
        rpm=tuple(float(r) for r in rpm), cylinders=whole(rng, 1, 2), muffled=rng.uniform(0.1, 0.6),
    )  # fmt: skip
