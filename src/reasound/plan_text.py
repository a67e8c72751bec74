"""A plan in words: for each text encoder what it can read, and what differs between two plans.

MetaCLIP and T5 read 77 tokens each and drop the rest without a word, so what they get is ordered by what may not be
lost. Times and places come from the plan's fields, never from its reasoning: who moves an onset by hand does not
rewrite the sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from reasound.plan import ASPECTS, Ambience, Event, Plan

CONTEXT = 77
"""Tokens that MetaCLIP and T5 read, two of them for begin and end."""
LETTERS = 4
"""Letters of a word that are counted as one token, a begun token whole. Common English words are one token whatever
their length and rare ones come in pieces of three to five letters. Over chains of thought about all sound classes
CLIP's own tokenizer finds 0.83 tokens, 0.93 at most, where this counts one; single words ("moos") can have one more."""
LISTED = 6
"""Moments of a sound that are told one by one; more are counted."""
WITHIN = 0.005
"""Seconds, dB, pan and the like that are no difference."""


def token_count(text: str) -> int:
    """Hardly ever fewer tokens than CLIP or T5 make of plain English: words by their length; digits, signs and the
    bytes of other scripts one each."""
    pieces = re.findall(r"[A-Za-z]+|\S", text)
    return sum(-(-len(p) // LETTERS) if p.isascii() else len(p.encode()) for p in pieces)


def metaclip_caption(plan: Plan) -> str:
    """The caption, or all sounds where there is none; cut between words so that MetaCLIP reads it to its end."""
    text = " ".join(plan.caption.split()) or ", ".join(_sounds(plan))
    return _cut(text, CONTEXT - 2)


def t5_thought(plan: Plan) -> str:
    """The chain of thought for T5, which reads the first 77 tokens: every sound with its times, then what is off screen
    and underneath, then the reasons, what is said of taste last.

    Where not all times fit, they become shorter, those of the last sounds first, then are left out. A plan without
    events and ambience is its reasoning, word for word in the order of the aspects.
    """
    sounds = _events_by_sound(plan)
    times = dict.fromkeys(sounds, 0)
    for most in (1, LISTED):  # a short form for every sound comes before a long one for any
        for sound in sounds:
            longer = times | {sound: most}
            if token_count(_facts(plan, longer)) <= CONTEXT - 2:
                times = longer
    return " ".join(filter(None, [_facts(plan, times), *_reasons(plan)]))


def minilm_text(plan: Plan) -> str:
    """The whole chain of thought in the order of the aspects, for MiniLM, which reads 256 tokens."""
    reasons = _reasons(plan, "semantic")
    facts = _facts(plan, dict.fromkeys(_events_by_sound(plan), LISTED))
    rest = _reasons(plan, "temporal", "spatial", "aesthetic")
    return " ".join(filter(None, [*reasons, facts, *rest]))


def difference(old: Plan, new: Plan) -> list[str]:
    """What must be done to `old` to get `new`, a sentence each; nothing for plans that sound the same.

    Events and ambiences are told apart by their ids. The reasoning and who wrote the plan make no sound.
    """
    before, after = _items(old), _items(new)
    told = []
    if abs(old.seconds - new.seconds) > WITHIN:
        told.append(f"The clip lasts {_number(new.seconds)} instead of {_number(old.seconds)} s.")
    told += [f"{_name(item)} is removed." for key, item in before.items() if not _alike(item, after.get(key))]
    told += [
        f"{_name(item)} is added, {_when([item], new.seconds) if isinstance(item, Event) else 'throughout'}."
        for key, item in after.items()
        if not _alike(before.get(key), item)
    ]
    for key, item in after.items():
        earlier = before.get(key)
        if isinstance(item, Event) and isinstance(earlier, Event):
            told += _sentences(item, _event_changes(earlier, item))
        elif isinstance(item, Ambience) and isinstance(earlier, Ambience):
            told += _sentences(item, _sound_changes(earlier, item))
    if old.acoustics.space != new.acoustics.space:
        told.append(f"The space is {new.acoustics.space} instead of {old.acoustics.space}.")
    if abs(old.acoustics.reverb - new.acoustics.reverb) > WITHIN:
        more = "more" if new.acoustics.reverb > old.acoustics.reverb else "less"
        told.append(
            f"There is {more} reverberation: {new.acoustics.reverb:g} instead of {old.acoustics.reverb:g}."
        )
    told += [f"“{a}” must not be heard any more." for a in new.avoid if a not in old.avoid]
    told += [f"“{a}” may be heard again." for a in old.avoid if a not in new.avoid]
    if old.caption != new.caption:
        told.append(f"The caption is “{new.caption}” instead of “{old.caption}”.")
    return told


def _items(plan: Plan) -> dict[str, Event | Ambience]:
    items: list[Event | Ambience] = [*plan.events, *plan.ambience]
    return {item.id: item for item in items}


def _sounds(plan: Plan) -> list[str]:
    return list(dict.fromkeys([*(e.sound for e in plan.events), *(a.sound for a in plan.ambience)]))


def _cut(text: str, limit: int) -> str:
    words = text.split()
    while words and token_count(" ".join(words)) > limit:
        words.pop()
    return " ".join(words).rstrip(",;:")


_Sound = tuple[bool, str]
"""On screen or not, and the caption."""


def _events_by_sound(plan: Plan) -> dict[_Sound, list[Event]]:
    """What is on screen first."""
    found: dict[_Sound, list[Event]] = {}
    for event in sorted(plan.events, key=lambda e: not e.on_screen):
        found.setdefault((event.on_screen, event.sound), []).append(event)
    return found


def _facts(plan: Plan, times: dict[_Sound, int]) -> str:
    """What sounds, and when, from the fields, with up to so many moments of each sound; 0: none is told."""
    parts: dict[bool, list[str]] = {True: [], False: []}
    for (on_screen, sound), events in _events_by_sound(plan).items():
        most = times[on_screen, sound]
        parts[on_screen].append(f"{sound} {_when(events, plan.seconds, most)}" if most else sound)
    sentences = [
        "; ".join(parts[True]),
        "off screen: " + "; ".join(parts[False]) if parts[False] else "",
        "underneath: " + ", ".join(dict.fromkeys(a.sound for a in plan.ambience)) if plan.ambience else "",
    ]
    return " ".join(s[0].upper() + s[1:] + "." for s in sentences if s)


def _reasons(plan: Plan, *aspects: str) -> list[str]:
    """The sentences of these aspects (none named: of all) without those that say when an event sounds, which its fields
    tell."""
    steps = sorted(plan.reasoning, key=lambda step: ASPECTS.index(step.aspect))
    return [
        step.text
        for step in steps
        if (not aspects or step.aspect in aspects) and not (step.aspect == "temporal" and step.events)
    ]


def _when(events: Sequence[Event], seconds: float, most: int = LISTED) -> str:
    """ "at 1 and 2.5 s", "from 1 to 3 s", "12 times from 0.5 to 8 s", "throughout"; with `most` 1 no more than when it
    begins: "at 1 s", "from 1 s"."""
    hits = sorted(t for e in events for t in e.onsets)
    spans = sorted((e.start, e.end) for e in events if not e.onsets)
    if any(b - a > seconds - 2 * WITHIN for a, b in spans):
        return "throughout"
    if most == 1 and (len(hits) != 1 or spans):
        return f"from {_number(min([*hits, *(a for a, _ in spans)]), 1)} s"
    parts = []
    if hits and len(hits) <= most:
        parts.append(f"at {_listed(map(_number, hits))} s")
    elif hits:
        parts.append(f"{len(hits)} times from {_number(hits[0])} to {_number(hits[-1])} s")
    if spans and len(spans) <= most:
        parts.append(f"from {_listed(f'{_number(a)} to {_number(b)}' for a, b in spans)} s")
    elif spans:
        last = max(b for _, b in spans)
        parts.append(f"{len(spans)} times from {_number(spans[0][0])} to {_number(last)} s")
    return " and ".join(parts)


def _alike(one: Event | Ambience | None, other: Event | Ambience | None) -> bool:
    """Whether this can be one thing that was changed."""
    return type(one) is type(other)


def _name(item: Event | Ambience) -> str:
    return f"“{item.sound}” ({item.id})"


def _sentences(item: Event | Ambience, changes: Iterable[str]) -> list[str]:
    return [f"{_name(item)} {change}." for change in changes]


def _sound_changes(old: Event | Ambience, new: Event | Ambience) -> list[str]:
    told = []
    if old.sound != new.sound:
        told.append(f"takes the place of “{old.sound}”")
    elif old.sound_class != new.sound_class:
        told.append(f"is of the class {new.sound_class or 'none'} instead of {old.sound_class or 'none'}")
    if abs(louder := new.level - old.level) > WITHIN:
        told.append(f"is {abs(louder):.3g} dB {'louder' if louder > 0 else 'softer'}")
    return told


def _event_changes(old: Event, new: Event) -> list[str]:
    told = _sound_changes(old, new)
    if old.source != new.source:
        told.append(f"comes from {new.source} instead of {old.source}")
    if old.material != new.material:
        now, then = (e.material or "no certain material" for e in (new, old))
        told.append(f"is of {now} instead of {then}")
    told += _time_changes(old, new)
    if [s for _, s in old.hits()] != [s for _, s in new.hits()] and len(old.onsets) == len(new.onsets):
        told.append("has hits of other strengths")
    if (old.path or new.path) and old.path != new.path:
        how = "stands still" if not new.path else "moves on another path" if old.path else "moves"
        told.append(how)
    elif abs(new.pan - old.pan) > WITHIN:
        side = "right" if new.pan > old.pan else "left"
        told.append(f"is further to the {side}, at pan {new.pan:+.3g} instead of {old.pan:+.3g}")
    if abs(new.distance - old.distance) > WITHIN:
        farther = "farther away" if new.distance > old.distance else "nearer"
        told.append(f"is {farther}, at {new.distance:.3g} instead of {old.distance:.3g} m")
    if old.on_screen != new.on_screen:
        told.append("is on screen" if new.on_screen else "is off screen")
    if old.region != new.region:
        told.append("is seen elsewhere in the picture" if new.region else "has no place in the picture")
    return told


def _time_changes(old: Event, new: Event) -> list[str]:
    """Moved as a whole; or onsets that moved, came and went; and the span, where it did not just go with them."""
    shift = _shift(old, new)
    if abs(shift) > WITHIN:
        told = [f"is moved {_later(shift)}"]
    elif len(old.onsets) == len(new.onsets):
        told = [
            f"sounds at {_number(now)} instead of {_number(then)} s, {_later(now - then)}"
            for then, now in zip(old.onsets, new.onsets, strict=True)
            if abs(now - then) > WITHIN
        ]
    else:
        told = [f"no longer sounds at {_number(t)} s" for t in _missing(old.onsets, new.onsets)]
        told += [f"sounds at {_number(t)} s, too" for t in _missing(new.onsets, old.onsets)]
    for does, then, now in (("begins", old.start, new.start), ("ends", old.end, new.end)):
        if abs(now - then) > WITHIN and abs(now - then - shift) > WITHIN:
            told.append(f"{does} at {_number(now)} instead of {_number(then)} s")
    return told


def _shift(old: Event, new: Event) -> float:
    """By how many seconds all of it moved; 0 where its parts moved differently."""
    if len(old.onsets) != len(new.onsets):
        return 0.0
    then, now = (e.onsets or (e.start, e.end) for e in (old, new))
    shifts = [b - a for a, b in zip(then, now, strict=True)]
    return shifts[0] if max(shifts) - min(shifts) <= WITHIN else 0.0


def _missing(times: Iterable[float], others: Sequence[float]) -> list[float]:
    return [t for t in times if all(abs(t - other) > WITHIN for other in others)]


def _later(shift: float) -> str:
    return f"{_number(abs(shift))} s {'later' if shift > 0 else 'earlier'}"


def _number(value: float, digits: int = 2) -> str:
    return f"{round(value, digits):g}"


def _listed(parts: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
