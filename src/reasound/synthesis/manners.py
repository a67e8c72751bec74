"""How sounds of each class happen, as far as placing recordings needs to know."""

from __future__ import annotations

from dataclasses import dataclass

from reasound.data.measure import Manner

_STEPS = "footsteps/ animal/horse_hooves"
_CALLS = "animal/ voice/ vehicle/horn"
_TEXTURES = (
    "fire/crackle water/stream water/waves water/pour weather/rain weather/wind ambience/ foliage/rustle "
    "animal/insect animal/wings voice/cheer_applause vehicle/ machine/ tool/power_tool"
)
_WHOLE = (
    "impact/crash impact/squish_crunch break/ door/ object/ explosion/ fire/burst water/splash "
    "water/bubbles_drip weather/thunder weapon/automatic_gunfire weapon/gun_handling weapon/bow_catapult "
    "weapon/energy_weapon instrument/guitar instrument/keyboard instrument/bowed_strings instrument/brass "
    "instrument/woodwind vehicle/tyre_skid vehicle/cart"
)
_HITS = "impact/ tool/ motion/ weapon/gunshot weapon/sword_clash bell/ instrument/ machine/clock_tick"

_MANNERS: tuple[tuple[Manner, str], ...] = (
    ("step", _STEPS),
    ("hit", _HITS),
    ("call", _CALLS),
    ("whole", _WHOLE),
    ("texture", _TEXTURES),
)

_PERIODS = {
    "footsteps/": 0.54,
    "animal/horse_hooves": 0.26,
    "tool/hammer": 0.62,
    "tool/anvil": 0.75,
    "tool/axe_chop": 1.25,
    "tool/pickaxe": 1.1,
    "tool/hand_saw": 0.42,
    "tool/dig": 1.3,
    "machine/clock_tick": 0.5,
    "weapon/sword_clash": 0.8,
    "weapon/gunshot": 1.7,
    "bell/large": 2.2,
    "bell/small": 1.4,
    "instrument/": 0.5,
    "voice/grunt": 1.6,
    "voice/scream": 2.5,
    "voice/body": 1.5,
    "animal/": 1.8,
    "vehicle/horn": 2.0,
    "explosion/": 2.6,
    "weather/thunder": 6.0,
    "weapon/automatic_gunfire": 1.6,
}
_STEADY = "footsteps/ animal/horse_hooves tool/ machine/clock_tick bell/large instrument/"
_WIDE = "weather/ ambience/ water/waves water/stream voice/cheer_applause foliage/rustle explosion/blast"
_BURSTS = "weapon/automatic_gunfire voice/laugh explosion/fireworks animal/wings"
_ONE_THROAT = "animal/ voice/ vehicle/horn instrument/bowed_strings instrument/brass instrument/woodwind"


@dataclass(frozen=True)
class Habit:
    """How a class sounds in time."""

    manner: Manner
    """step, hit: each onset is one stroke taken out of a recording; call: one voice, with pauses; whole: each onset
    plays a recording from its first attack to its end; texture: it goes on and on."""
    period: float
    """Seconds between two of them when the plan names no onsets."""
    jitter: float
    """How far that period wanders, as a share of it."""
    wide: bool
    """It comes from everywhere: rain, a crowd, the sea."""
    one_throat: bool
    """The next sound ends the last one: a dog does not bark over itself."""
    burst: bool
    """One of them is a series by nature: a burst of fire, ha-ha-ha, flapping wings."""


def habit(sound_class: str) -> Habit:
    """The habit of a class; an unknown one is taken to happen whole."""
    exact = [name for name, names in _MANNERS if sound_class in names.split()]
    broad = [name for name, names in _MANNERS if _begins(sound_class, names)]
    manner = [*exact, *broad, "whole"][0]  # "animal/insect" is a texture although "animal/" are calls
    period = _PERIODS.get(sound_class, _PERIODS.get(sound_class.split("/")[0] + "/", 1.2))
    return Habit(
        manner=manner,
        period=period,
        jitter=0.04 if _begins(sound_class, _STEADY) else 0.35,
        wide=_begins(sound_class, _WIDE),
        one_throat=_begins(sound_class, _ONE_THROAT) and manner != "step",
        burst=_begins(sound_class, _BURSTS),
    )


def _begins(sound_class: str, names: str) -> bool:
    return any(sound_class == n or (n.endswith("/") and sound_class.startswith(n)) for n in names.split())
