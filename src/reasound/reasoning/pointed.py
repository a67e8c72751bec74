"""When a thing that was pointed at sounds: its own motion, read as fits what it is.

Everything that the thing does is there, strong and weak. Of a body that bounces all of it is heard; of a voice only
where a movement begins, not how the body comes back; whoever walks treads evenly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reasound.perception.features import Motion, Onset
from reasound.plan import Event
from reasound.reasoning.knowledge import SoundClass, sound_class, sound_classes
from reasound.reasoning.timing import apart

_NEAR = 1.5  # seconds on each side in whose strongest onset the others are measured
_STEPS, _CLEAR = 0.15, 0.35  # shares of it: of steps, of everything else
_FAINT = 0.12  # share of the strongest of all
_HIT, _BOUNCED = 0.3, 0.1  # of bodies: shares of the strongest of all, and of what follows a stronger one
_FLIGHT = 1.0  # seconds within which a body that was thrown back comes down again
_BODIES = ("impact", "door", "object", "break")
"""Groups in which one thing hits again and again, ever more weakly."""
_GAP = 0.3  # seconds between two strokes of a hand or a tool that are both seen
_BOUNCE = 0.12  # and between two hits of a body
_BACK = 0.45  # seconds within which a body comes back from a call,
_STIR = 1.6  # unless what follows is so many times as strong: then the first was only a stir
_PACE = (0.33, 0.95)  # seconds from one step to the next
_EVEN = 6.0  # what uneven steps cost: for the squared logarithm of the ratio of two paces, in strengths
_STEP = 0.15  # what a step is worth besides its strength
_LIFT, _REST = 0.3, 0.15  # seconds before a step, and share of the usual motion: less is rest


def retimed(events: Sequence[Event], motion: Motion, seconds: float) -> tuple[Event, ...]:
    """The events of a thing in a clip of that length with hits at the onsets of its own motion; those of which these
    say nothing as they are.

    Where several take turns, as the pieces of a drum kit do, each keeps its own.
    """
    several = sum(bool(e.onsets) for e in events) > 1
    return tuple(events) if several else tuple(_retimed(e, motion, seconds) for e in events)


def _retimed(event: Event, motion: Motion, seconds: float) -> Event:
    if event.sound_class not in sound_classes():
        return event
    sound = sound_class(event.sound_class)
    if sound.pace and event.onsets:  # comes faster than can be seen: the reasoner filled in what is between
        return event
    hits = own_hits(sound, motion)
    if not hits or not (sound.is_struck or sound.is_call or (sound.group == "instrument" and len(hits) > 1)):
        return event
    times = [round(min(o.time, seconds), 3) for o in hits]
    end = max(event.end, min(round(times[-1] + max(sound.seconds, 0.2), 3), seconds), times[-1])
    return event.model_copy(
        update={
            "start": min(event.start, times[0]),
            "end": end,
            "onsets": tuple(times),
            "strengths": tuple(round(min(1.0, max(0.15, o.strength)), 2) for o in hits),
        }
    )


def own_hits(sound: SoundClass, motion: Motion) -> list[Onset]:
    """Those onsets of a thing's own motion at which it makes a sound of this class."""
    if sound.trigger == "step":
        return _steps(_strong(motion.onsets, _STEPS), motion)
    if sound.is_call:
        return _calls(_strong(motion.onsets, _CLEAR))
    if sound.group in _BODIES:
        return _bounces(apart(motion.onsets, _BOUNCE))
    return apart(_strong(motion.onsets, _CLEAR), _GAP)


def _strong(onsets: Sequence[Onset], share: float) -> list[Onset]:
    """Those with this share of the strongest around, that are not faint beside the strongest of all."""
    least = _FAINT * max((o.strength for o in onsets), default=0.0)
    return [
        o
        for o in onsets
        if o.strength >= least
        and o.strength >= share * max(p.strength for p in onsets if abs(p.time - o.time) <= _NEAR)
    ]


def _bounces(onsets: Sequence[Onset]) -> list[Onset]:
    """Hits, and the ever weaker ones after them. What is weak before a hit is no hit."""
    strongest = max((o.strength for o in onsets), default=0.0)
    found: list[Onset] = []
    for onset in onsets:
        last = found[-1] if found else None
        again = last and onset.time - last.time <= _FLIGHT and onset.strength <= last.strength
        if onset.strength >= (_BOUNCED if again else _HIT) * strongest:
            found.append(onset)
    return found


def _calls(onsets: Sequence[Onset]) -> list[Onset]:
    """Without how the body comes back."""
    found: list[Onset] = []
    for onset in onsets:
        if not found or onset.time - found[-1].time >= _BACK:
            found.append(onset)
        elif onset.strength > _STIR * found[-1].strength:
            found[-1] = onset
    return found


def _steps(onsets: Sequence[Onset], motion: Motion) -> list[Onset]:
    """The most even and strongest sequence at a walker's or runner's pace (dynamic programming over pairs)."""
    best: dict[tuple[int, int], tuple[float, tuple[int, int] | None]] = {}
    for j, second in enumerate(onsets):
        for i, first in enumerate(onsets[:j]):
            pace = second.time - first.time
            if not _PACE[0] <= pace <= _PACE[1]:
                continue
            value, before = first.strength + second.strength + 2 * _STEP, None
            for h in range(i):
                if (h, i) in best:
                    uneven = float(np.log(pace / (first.time - onsets[h].time)))
                    longer = best[h, i][0] + second.strength + _STEP - _EVEN * uneven**2
                    if longer > value:
                        value, before = longer, (h, i)
            best[i, j] = value, before
    if not best:
        return apart(onsets, _PACE[0])
    pair: tuple[int, int] | None = max(best, key=lambda k: best[k][0])
    chosen: list[int] = [pair[1]] if pair else []
    while pair:
        chosen.append(pair[0])
        pair = best[pair][1]
    steps = [onsets[k] for k in reversed(chosen)]
    # From rest a foot is lifted first, and lifting is not heard.
    return steps[1:] if len(steps) > 2 and _rests(motion, steps[0].time) else steps


def _rests(motion: Motion, time: float) -> bool:
    """Whether next to nothing moves just before."""
    end = round((time - 1 / motion.rate) * motion.rate)
    before = motion.level[max(0, end - round(_LIFT * motion.rate)) : max(end, 0)]
    return len(before) > 0 and float(np.mean(before)) < _REST * float(np.median(motion.level))
