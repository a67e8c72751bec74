"""What can be made: a sound class -> a draw of one recording of it."""

from __future__ import annotations

from collections.abc import Mapping

from reasound.data.physical import living, playing, things
from reasound.data.physical.takes import Draw, Take

__all__ = ["CLASSES", "Take"]

CLASSES: Mapping[str, Draw] = {
    "ambience/night_insects": living.night,
    "animal/cat": living.cat,
    "animal/dog": living.dog,
    "animal/insect": living.insect,
    "animal/marine": living.marine,
    "animal/monkey": living.monkey,
    "animal/monster": living.monster,
    "animal/small_mammal": living.small_mammal,
    "animal/songbird": living.songbird,
    "animal/wolf": living.wolf,
    "explosion/fireworks": things.fireworks,
    "footsteps/metal": things.metal_steps,
    "impact/ball": things.bouncing,
    "instrument/bowed_strings": playing.bowed,
    "instrument/brass": playing.brass,
    "instrument/guitar": playing.guitar,
    "instrument/keyboard": playing.keyboard,
    "instrument/small_percussion": playing.small_percussion,
    "instrument/woodwind": playing.woodwind,
    "machine/appliance": things.appliance,
    "machine/clock_tick": things.clock,
    "object/click": things.click,
    "object/coins_keys": things.coins_keys,
    "object/dishes": things.dishes,
    "vehicle/car": things.motorcycle,
    "vehicle/siren": things.siren,
    "voice/laugh": living.laugh,
    "water/bubbles_drip": things.drip,
    "water/pour": things.pour,
    "weather/rain": things.rain,
}
"""By class of the taxonomy."""
