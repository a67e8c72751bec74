"""Ways to name the sounds of a plan: by name, synonym, group, order, side, moment, pronoun, or as all the others."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from reasound.data.instructions.chance import Chance
from reasound.data.instructions.tables_of import words as phrases
from reasound.plan import RING, Ambience, Event, Plan
from reasound.reasoning.caption import _stem
from reasound.reasoning.instructions.targets import FILLER, in_group
from reasound.reasoning.instructions.words import table
from reasound.reasoning.knowledge import sound_classes

Sounding = Event | Ambience

ORDER = ("first", "second", "third", "fourth", "fifth")
SIDES = ("{n} on the left", "left {n}", "left-hand {n}", "{n} on the left side")
MOMENTS = ("{n} at {t} s", "{n} at {t} seconds", "{n} around second {t}", "{n} at {t}s")
TRIES = 6
"""Names drawn until one fits the target alone."""
GROUP_NAMES = {
    "animal": ("all the animals", "the animals", "all animals", "the creatures"),
    "vehicle": ("all the vehicles", "the vehicles", "all vehicles"),
    "weapon": ("all the weapons", "the weapons", "the guns and other weapons"),
    "instrument": ("all the instruments", "the instruments", "the music", "the band"),
    "voice": ("all the voices", "the voices", "the human voices", "the people"),
    "tool": ("all the tools", "the tools"),
    "machine": ("all the machines", "the machines", "the machinery"),
    "footsteps": ("all the footsteps", "the footsteps", "all footsteps"),
    "water": ("all the water", "the water sounds"),
    "weather": ("the weather", "all the weather"),
}


@dataclass(frozen=True)
class Name:
    """A name, and what it means in the plan."""

    text: str
    """With its article."""
    ids: tuple[str, ...]
    plural: bool = False
    span: tuple[float, float] | None = None
    """One hit of an event."""
    kind: str = "name"

    @property
    def bare(self) -> str:
        """Without "the": for "less rain"."""
        return self.text.removeprefix("the ")


@cache
def nouns(sound: str) -> tuple[str, ...]:
    """Nouns for a class of sound, without article."""
    known = sound_classes()[sound]
    found = [known.heard.removeprefix("the ").removeprefix("a ")]
    if known.source:
        found += [re.sub(r"^(?:a|an|the|something) ", "", known.source)] * 3
    found += [w for w in known.words if w.isalpha() and not w.endswith("ing")][:6]
    found += [w for w in table("synonyms.json")["classes"].get(sound, "").split() if w.isalpha()]
    found.append(known.name.split("/")[1].replace("_", " "))
    return tuple(n for n in found if any(w not in FILLER for w in n.split()))


@cache
def _own(sound: str) -> frozenset[str]:
    known = sound_classes()[sound]
    words = " ".join((*nouns(sound), *known.words, *known.hints))
    return frozenset(_stem(w) for w in re.findall(r"[a-z]+", words))


@lru_cache(maxsize=4096)
def _said(caption: str) -> frozenset[str]:
    return frozenset(_stem(w) for w in re.findall(r"[a-z]+", caption) if w not in FILLER)


@lru_cache(maxsize=4096)
def _stems_of(noun: str) -> frozenset[str]:
    return frozenset(_stem(w) for w in re.findall(r"[a-z]+", noun) if w not in FILLER)


def all_of(plan: Plan) -> tuple[Sounding, ...]:
    return (*plan.events, *plan.ambience)


def ids_in_order(plan: Plan, ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(s.id for s in all_of(plan) if s.id in ids)


def noun_for(target: Sounding, plan: Plan, chance: Chance) -> str:
    """A noun that names the target's class and no other of the plan."""
    others = [s for s in all_of(plan) if s.sound_class != target.sound_class]
    for _ in range(TRIES):
        noun = chance.of(nouns(target.sound_class))
        stems = _stems_of(noun)
        if stems and not any(stems & (_own(o.sound_class) | _said(o.sound)) for o in others):
            return noun
    return target.sound  # the caption is its own


def one(plan: Plan, chance: Chance) -> Name:
    """A name for one sound, or one of its hits."""
    target = chance.of(all_of(plan))
    noun = noun_for(target, plan, chance)
    same = sorted(
        (e for e in plan.events if e.sound_class == target.sound_class), key=lambda e: (e.start, e.id)
    )
    if noun == target.sound:
        return Name(
            f"this: {noun}" if chance.happens(0.2) else noun,
            _ids(s for s in all_of(plan) if s.sound == noun),
            kind="caption",
        )
    if (
        isinstance(target, Event)
        and len(same) > 1
        and not any(a.sound_class == target.sound_class for a in plan.ambience)
    ):
        return _twin(target, same, noun, plan, chance)
    if isinstance(target, Event) and len(target.onsets) > 1 and chance.happens(0.25):
        return _hit(target, plan.seconds, chance)
    text = chance.of(
        ("the {n}",) * 8
        + ("that {n}", "the sound of the {n}", "the {n} sound", "{n}", "the {n} noise", "my {n}")
    )
    return Name(text.format(n=noun), _ids(s for s in all_of(plan) if s.sound_class == target.sound_class))


def _ids(soundings: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(s.id for s in soundings))  # type: ignore[attr-defined]


def _twin(target: Event, same: list[Event], noun: str, plan: Plan, chance: Chance) -> Name:
    """One of two of a kind, or both."""
    place = same.index(target)
    left, right = same[0].pan < -0.1, same[0].pan > 0.1
    single = singular(noun)
    how = chance.of(("order", "order", "side", "moment", "most", "both"))
    if how == "side" and len(same) == 2 and ((left and same[1].pan > 0.1) or (right and same[1].pan < -0.1)):
        text = chance.of(SIDES).format(n=single)
        return Name(
            "the " + (text if target.pan < 0 else text.replace("left", "right")), (target.id,), kind="side"
        )
    if how == "moment" and abs(same[0].start - same[1].start) > 1.5 and len(same) == 2:
        return Name(
            "the " + chance.of(MOMENTS).format(n=single, t=f"{target.start:g}"), (target.id,), kind="moment"
        )
    if (
        how == "most"
        and len(same) == 2
        and same[0].distance != same[1].distance
        and same[0].level != same[1].level
    ):
        word = chance.of(("nearest", "closest", "farthest", "loudest", "quietest"))
        key = (lambda e: e.distance) if word in ("nearest", "closest", "farthest") else (lambda e: e.level)
        pick = max(same, key=key) if word in ("farthest", "loudest") else min(same, key=key)
        return Name(f"the {word} {single}", (pick.id,), kind="most")
    if how == "order" and all(a.start < b.start for a, b in zip(same, same[1:], strict=False)):
        word = "last" if place == len(same) - 1 and chance.happens(0.4) else ORDER[place]
        return Name(f"the {word} {single}", (target.id,), kind="order")
    text = chance.of(("both {n}", "the {n}", "all the {n}", "both of the {n}", "all {n}"))
    if len(same) != 2:
        text = text.replace("both", "all")
    return Name(text.format(n=plural(single)), ids_in_order(plan, _ids(same)), True, kind="both")


def _hit(event: Event, seconds: float, chance: Chance) -> Name:
    place = int(chance.rng.random() * len(event.onsets))
    word = "last" if place == len(event.onsets) - 1 and chance.happens(0.5) else ORDER[place]
    after = event.onsets[place + 1] if place + 1 < len(event.onsets) else seconds
    start = event.onsets[place]
    heard = sound_classes()[event.sound_class].heard
    noun = singular(heard) if heard.endswith("s") and " of " not in heard else chance.of(("hit", "one"))
    if noun in ("hit", "one"):
        noun = f"{singular(chance.of(nouns(event.sound_class)))}"
    return Name(
        f"the {word} {noun}",
        (event.id,),
        span=(round(start, 2), round(min(after, start + RING), 2)),
        kind="hit",
    )


def many(plan: Plan, chance: Chance) -> Name | None:
    """A group, a list, the background, all but one, or everything; None where the plan has no such thing."""
    how = chance.of(("group", "group", "list", "list", "list", "background", "foreground", "whole", "but"))
    everything = all_of(plan)
    if how == "group":
        groups = [g for g in GROUP_NAMES if sum(in_group(s.sound_class, g) for s in everything) > 1]
        if groups:
            group = chance.of(groups)
            return Name(
                chance.of(GROUP_NAMES[group]),
                _ids(s for s in everything if in_group(s.sound_class, group)),
                True,
                kind="group",
            )
    if how == "list" and len({s.sound_class for s in everything}) > 1:
        a, b = chance.some(everything, 2)
        if a.sound_class != b.sound_class:
            both = [s for s in everything if s.sound_class in (a.sound_class, b.sound_class)]
            join = chance.of((" and the ", " and the ", " and ", " as well as the ", " plus the "))
            text = f"the {noun_for(a, plan, chance)}{join}{noun_for(b, plan, chance)}"
            return Name(text, _ids(both), True, kind="list")
    if how == "background" and plan.ambience:
        return Name(chance.of(phrases()["background"]), _ids(plan.ambience), kind="background")
    if how == "foreground" and plan.events:
        return Name(chance.of(phrases()["foreground"]), _ids(plan.events), True, kind="foreground")
    if how == "whole":
        return Name(chance.of(phrases()["whole"]), (), kind="whole")
    if how == "but" and len(everything) > 1:
        name = one(plan, chance)
        rest = tuple(s.id for s in everything if s.id not in name.ids)
        if rest and name.span is None and name.kind == "name":
            join = chance.of(
                ("everything but ", "everything except ", "all sounds except ", "everything other than ")
            )
            return Name(join + name.text, rest, True, kind="but")
    return None


def again(plan: Plan, last: tuple[str, ...], named: Collection[str], chance: Chance) -> Name | None:
    """What was named last, the other one of its kind, or all else."""
    how = chance.of(("it", "it", "it", "others", "other"))
    if how == "it" and last:
        return Name(
            chance.of(("it", "it", "it", "that", "this") if len(last) == 1 else ("them", "them", "those")),
            last,
            len(last) > 1,
            kind="it",
        )
    others = tuple(s.id for s in all_of(plan) if s.id not in named)
    if how == "others" and last and others:
        return Name(chance.of(phrases()["others"]), others, True, kind="others")
    if how == "other" and len(last) == 1:
        by_id = {s.id: s for s in all_of(plan)}
        twins = [
            e.id for e in plan.events if e.sound_class == by_id[last[0]].sound_class and e.id not in last
        ]
        if len(twins) == 1 and last[0] in {e.id for e in plan.events}:
            return Name(chance.of(("the other one", "the other")), (twins[0],), kind="other")
    return None


def singular(noun: str) -> str:
    if noun.endswith("ies"):
        return noun[:-3] + "y"
    if noun.endswith(("shes", "ches", "sses", "xes")):
        return noun[:-2]
    return noun[:-1] if noun.endswith("s") and not noun.endswith(("ss", "us", "is")) else noun


def plural(noun: str) -> str:
    if noun.endswith("s"):
        return noun
    if noun.endswith(("sh", "ch", "x", "ss")):
        return noun + "es"
    return noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeiou" else noun + "s"


def is_heard(noun: str, plan: Plan) -> bool:
    """Whether any word of the noun also belongs to a sound of the plan."""
    stems = _stems_of(noun)
    return any(stems & (_own(s.sound_class) | _said(s.sound)) for s in all_of(plan))
