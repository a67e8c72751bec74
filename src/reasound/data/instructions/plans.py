"""Plans as they may stand when somebody asks for a change: one to five events, up to two ambiences."""

from __future__ import annotations

from functools import cache

from reasound.data.instructions.chance import Chance
from reasound.plan import Acoustics, Ambience, Event, Plan
from reasound.reasoning.knowledge import SoundClass, sound_classes

TWINS = 0.35
"""Share of the plans in which two events are of one class, so that "the second one" means something."""
COUNTS = (1, 2, 2, 3, 3, 3, 4, 4, 5)
UNDER = ("ambience", "weather", "water", "fire", "machine")
"""Groups that may lie under a whole clip."""


@cache
def event_classes() -> tuple[SoundClass, ...]:
    return tuple(s for s in sound_classes().values() if s.group != "ambience")


@cache
def ambience_classes() -> tuple[SoundClass, ...]:
    return tuple(
        s for s in sound_classes().values() if s.group in UNDER and s.trigger in ("none", "continuous")
    )


def draw_plan(chance: Chance) -> Plan:
    """A plan without a chain of thought."""
    seconds = chance.between(4, 20, 1)
    chosen = chance.some(event_classes(), chance.of(COUNTS))
    if len(chosen) < 5 and chance.happens(TWINS):
        chosen.append(chosen[0])
    order = chance.rng.permutation(len(chosen)).tolist()
    style = chance.of(("e{n}", "event{n}", "{name}-{n}", "{name}{n}"))
    events = []
    for n, i in enumerate(order, 1):
        name = chosen[i].name.split("/")[1].replace("_", "-")
        events.append(_event(style.format(n=n, name=name), chosen[i], seconds, chance))
    used = {s.name for s in chosen}
    under = [s for s in ambience_classes() if s.name not in used]
    ambience = tuple(
        Ambience(
            id=f"a{n}",
            sound=chance.of(s.captions),
            sound_class=s.name,
            level=chance.between(-24, -9, 0),
        )
        for n, s in enumerate(chance.some(under, chance.of((0, 0, 1, 1, 2))), 1)
    )
    reverb = chance.between(0, 0.6) if chance.happens(0.4) else 0.0
    return Plan(seconds=seconds, events=tuple(events), ambience=ambience, acoustics=Acoustics(reverb=reverb))


def _event(name: str, sound: SoundClass, seconds: float, chance: Chance) -> Event:
    start = chance.between(0, 0.75 * seconds)
    onsets: tuple[float, ...] = ()
    if sound.trigger in ("continuous", "none"):
        end = chance.between(start + 0.5, seconds)
    else:
        gap = chance.between(0.5, 1.5)
        count = chance.of((1, 1, 2, 3, 4))
        onsets = tuple(t for t in (round(start + i * gap, 2) for i in range(count)) if t < seconds - 0.2)
        end = min(seconds, round(onsets[-1] + min(max(sound.seconds, 0.2), 2.0), 2))
    return Event(
        id=name,
        source=sound.source or sound.heard,
        sound=chance.of(sound.captions),
        sound_class=sound.name,
        start=start,
        end=max(end, round(start + 0.2, 2)),
        onsets=onsets,
        level=chance.between(-12, 6, 0),
        pan=chance.between(-1, 1, 1),
        distance=chance.between(1, 20, 0),
        on_screen=chance.happens(0.8),
    )
