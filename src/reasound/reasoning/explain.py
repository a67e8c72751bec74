"""The reasons in plain English: what is seen, what sounds, when, where, how loud, in what space, and what must not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from reasound.perception.features import Features
from reasound.plan import Acoustics, Ambience, Event, Plan, Step
from reasound.reasoning.caption import Reading, Told
from reasound.reasoning.evidence import LIKELY, SURE, Candidate, Evidence
from reasound.reasoning.knowledge import SPEECH_AND_MUSIC, sound_class
from reasound.reasoning.timing import Timing

SIGNS = {
    "footsteps": "visible steps",
    "weapon": "visible jolts",
    "explosion": "visible bursts",
    "instrument": "visible strokes",
    "water": "visible splashes",
    "object": "visible touches",
}
"""What shows that something sounds, by group of sounds; blows else."""
UNTOLD = "It cannot be told what makes the sound here"
"""How the sentence begins that says what cannot be done."""
WARNING = "I could not tell what makes the sound here; write it with --caption"
SHOWN = {
    "fire": "warm light flickers",
    "fireworks": "the picture is dark and scattered sparks light up in it",
    "water": "something bluish moves everywhere in no one direction, as water does",
    "leaves": "something green moves everywhere in no one direction, as leaves do",
    "crowd": "many small patches of skin colour move",
    "person": "skin colour moves across the picture",
}
"""What colour and movement show, in words."""
AIR = -35.0
"""dB below which an ambience is no more than the air of a room."""


@dataclass(frozen=True)
class Idea:
    """A sound that goes into the plan, with its events."""

    candidate: Candidate
    told: Told | None
    timing: Timing
    events: tuple[Event, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(event.id for event in self.events)

    @property
    def heard(self) -> str:
        """The sound as a noun; nobody can see whether a person who moves coughs, so it is breath."""
        if self.candidate.sound.name == "voice/body" and not self.told:
            return "breathing"
        return self.candidate.sound.heard


@dataclass(frozen=True)
class Left:
    """A sound that does not go into the plan."""

    candidate: Candidate
    why: Literal["unwanted", "still", "blows", "weak"]


def warnings(plan: Plan) -> tuple[str, ...]:
    """What the user should know of a plan: one sentence where the reasoning says that it does not know."""
    return (WARNING,) if any(step.text.startswith(UNTOLD) for step in plan.reasoning) else ()


def headline(ideas: Sequence[Idea], ambience: Sequence[Ambience]) -> str:
    """One sentence for what is heard; of many sounds the first four."""
    sounds = list(dict.fromkeys(idea.events[0].sound if _is_clause(idea) else idea.heard for idea in ideas))[
        :4
    ]
    under = [sound_class(a.sound_class).heard if a.level > AIR else a.sound for a in ambience]
    if not sounds and not under:
        return "Silence."
    if not sounds:
        return _sentence("only " + listed(under) if ambience[0].level < -15 else listed(under))
    return _sentence(listed(sounds) + (f", with {listed(under)} in the background" if under else ""))


def _is_clause(idea: Idea) -> bool:
    """ "a dog barks" tells all; "a snare drum hit" is only one of many."""
    told = idea.told and len(idea.told.phrase.split()) > 1
    return bool(told) or idea.candidate.sound.group in ("animal", "voice", "vehicle", "fire", "explosion")


def explain(
    features: Features,
    evidence: Evidence,
    reading: Reading,
    ideas: Sequence[Idea],
    left: Sequence[Left],
    ambience: Sequence[Ambience],
    acoustics: Acoustics,
    unwanted: Sequence[str],
    untold: bool,
) -> tuple[Step, ...]:
    """At least one step for each of the four aspects. `untold`: nothing tells with fair certainty what sounds."""
    steps = [Step(aspect="semantic", text=_what(idea, evidence), events=idea.ids) for idea in ideas]
    steps += [
        Step(aspect="semantic", text=text) for text in _also(evidence, reading, ideas, left, ambience, untold)
    ]
    steps += [Step(aspect="temporal", text=_when(idea, features.seconds), events=idea.ids) for idea in ideas]
    if not ideas:
        steps.append(
            Step(aspect="temporal", text="Nothing stands out at any moment; the background goes on evenly.")
        )
    elif 1 < len(features.shots) <= 6:
        cuts = [_seconds(shot.start) for shot in features.shots[1:]]
        steps.append(
            Step(aspect="temporal", text=f"The picture cuts at {listed(cuts)} s; the sound carries over.")
        )
    steps += [Step(aspect="spatial", text=_where(idea), events=idea.ids) for idea in ideas]
    steps.append(Step(aspect="spatial", text=_space(evidence, reading, acoustics)))
    steps += _how(ideas, ambience)
    steps.append(Step(aspect="aesthetic", text=_never(unwanted, ideas)))
    return tuple(steps)


def _what(idea: Idea, evidence: Evidence) -> str:
    c, told = idea.candidate, idea.told
    if told:
        seen = f"; the picture shows {c.source} too" if c.seen else ""
        return f"{_asked(told)}{seen}."
    if c == evidence.blow:
        return _blow(c, evidence)
    if c.seen and c.sound.name == "foliage/rustle" and c.source == "an animal":
        return (
            f"There is an animal, but its kind cannot be told (it is taken for {_names(c.seen)}), so it gets no voice; "
            f"only its movement is heard, as {c.sound.heard}."
        )
    if c.trace and not c.seen:
        sure = "can be expected" if c.score >= LIKELY else "would fit, kept soft because it is not certain"
        return f"{_capital(SHOWN[c.trace])}: {c.sound.heard} {sure}."
    if c.sound.name == "voice/body":
        return f"What is seen ({_names(c.seen)}) suggests a person close to the camera, so quiet breaths are added."
    named = f" ({_names(c.seen)})" if c.seen else ""
    if c.score >= SURE:
        text = f"{_capital(c.source)} can clearly be seen{named}, so {c.sound.heard} can be expected"
    elif c.score >= LIKELY:
        text = f"This is probably {c.source}{named}, so {c.sound.heard} can be expected"
    else:
        text = (
            f"There may be {c.source}{named}; {c.sound.heard} would fit, kept soft because it is not certain"
        )
    if c.trace:
        text += f"; {SHOWN[c.trace]}, which fits"
    if c.is_behind:
        text += "; it is not what moves, which makes it less certain"
    if c.doubt:
        text += f"; {_names(c.doubt)} would be possible too, but less likely"
    return text + "."


def _blow(c: Candidate, evidence: Evidence) -> str:
    something = "A hand or somebody's arm moves and something" if c.trace == "person" else "Something"
    if c.seen:
        return (
            f"{something} strikes again and again, and what strikes cannot be told; {_names(c.seen)} "
            f"can be made out, so {c.sound.heard} fit best."
        )
    if evidence.setting.scene and c.score:
        return f"{something} strikes again and again in what looks like {evidence.setting.scene.text}: {c.sound.heard}."
    return (
        f"{something} strikes, but neither what nor on what can be told, so neutral {c.sound.heard} are used."
    )


def _asked(told: Told) -> str:
    if set(told.sound.heard.split()) <= set(told.phrase.split()):
        return f"The caption asks for “{told.phrase}”"
    return f"The caption says “{told.phrase}”, so {told.sound.heard} must be heard"


def _also(
    evidence: Evidence,
    reading: Reading,
    ideas: Sequence[Idea],
    left: Sequence[Left],
    ambience: Sequence[Ambience],
    untold: bool,
) -> list[str]:
    """What lies under the clip, what stays silent, and why."""
    under = {a.sound_class for a in ambience}
    texts = [f"{_asked(t)}, all the time." for t in reading.told if t.sound.name in under]
    if reading.text and not (reading.told or reading.scene or reading.avoid):
        texts.append(f"Nothing in the caption “{reading.text}” names a known sound, so the picture decides.")
    for item in left:
        name = item.candidate.source
        if item.why == "unwanted":
            texts.append(
                f"{_capital(name)} would be heard ({item.candidate.sound.heard}), but is left out as asked."
            )
        elif item.why == "still":
            texts.append(f"{_capital(name)} can be seen but does nothing that sounds, so it stays silent.")
        elif item.why == "weak":
            texts.append(f"{_capital(name)} is hardly more than a guess, so it stays silent.")
        else:
            taken = _names(item.candidate.seen)
            texts.append(f"The labels say {taken}, but the motion shows separate blows, no running machine.")
    if evidence.farm and not reading.told:
        texts.append(
            f"These look like farm animals, taken for {_names(evidence.farm)}, but no kind stands out; "
            "a mixed farmyard is a smaller fault than the wrong animal."
        )
    texts += [
        f"{_capital(SHOWN[c.trace])}, so {c.sound.heard} lies under the clip."
        for c in evidence.candidates
        if c.trace and c.sound.name in under and not reading.told
    ]
    if untold and ideas:
        texts.append(f"{UNTOLD}: what is heard is a guess and kept soft.")
    elif untold:
        texts.append(f"{UNTOLD}, so only a quiet background is planned.")
    elif not (ideas or left or evidence.farm or reading.told):
        texts.append("Nothing in sight is known to make a sound, so only a quiet background is planned.")
    return texts


def _when(idea: Idea, seconds: float) -> str:
    heard, timing = _capital(idea.heard), idea.timing
    be = "are" if _plural(idea.heard) else "is"
    if not timing.hits:
        spans = [(e.start, e.end) for e in idea.events]
        if spans[0][0] == 0 and spans[0][1] > seconds - 0.01:
            return f"{heard} {be} heard throughout."
        during = listed(f"{_seconds(a)} to {_seconds(b)} s" for a, b in spans)
        moving = ", while something moves" if timing.how == "moved" else ""
        return f"{heard} {be} heard from {during}{moving}."
    times = [t for t, _ in timing.hits]
    when = (
        f"at {listed(_seconds(t) for t in times)} s"
        if len(times) <= 6
        else f"{len(times)} times between {_seconds(times[0])} and {_seconds(times[-1])} s"
    )
    if timing.how == "named":
        return f"{heard} {be} heard when the caption says, {when}."
    if timing.how == "paced":
        return f"No movement shows when, so {idea.heard} {be} given a natural pace, {when}."
    if timing.between:
        when += f", {timing.between} of them between visible ones, where the motion goes on"
    if timing.how == "moved":
        return f"{heard} {be} heard on movements of the body, {when}."
    pace = f", about {(len(times) - 1) / (times[-1] - times[0]):.1f} a second" if len(times) > 6 else ""
    sign = SIGNS.get(idea.candidate.sound.group, "visible blows")
    return f"{heard} {be} heard on {sign}, {when}{pace}."


def _where(idea: Idea) -> str:
    event, source = idea.events[0], _capital(_definite(idea.candidate.source))
    be = "are" if _plural(idea.candidate.source) else "is"
    if not event.on_screen:
        return f"{source} {be} not in the picture, about {event.distance:.0f} m away."
    away = f"about {event.distance:.0f} m away" if event.distance >= 1.5 else "within reach"
    if event.path:
        first, last = event.path[0].pan, event.path[-1].pan
        return f"{source} {'move' if be == 'are' else 'moves'} from {_side(first)} to {_side(last)}, {away}."
    return f"{source} {be} {_at(event.pan)}, {away}."


def _space(evidence: Evidence, reading: Reading, acoustics: Acoustics) -> str:
    room = {"outdoors": "open and dry", "vehicle": "close and dull", "underwater": "muffled"}.get(
        acoustics.space,
        "dry" if acoustics.reverb < 0.1 else "lively" if acoustics.reverb > 0.25 else "softly reflecting",
    )
    if reading.scene:
        return f"The caption places it in {reading.scene.text}, so the space is {room}."
    setting = evidence.setting
    if setting.scene:
        look = "looks like" if setting.score >= LIKELY else "may be"
        return f"The place {look} {setting.scene.text}, so the space is {room}."
    if setting.is_dark:
        return f"It is too dark to make out the place; the space is {room}."
    if acoustics.space == "small room":
        return "The picture does not tell the place, so the space is kept small and dry."
    guess = "outdoors" if acoustics.space == "outdoors" else "indoors"
    return f"The place cannot be made out; what is seen is mostly found {guess}, so the space is {room}."


def _how(ideas: Sequence[Idea], ambience: Sequence[Ambience]) -> list[Step]:
    steps = []
    if ideas:
        lead = max(ideas, key=lambda idea: idea.events[0].level)
        sound = lead.candidate.sound
        word = (
            ("loud and sudden" if lead.timing.hits else "loud")
            if sound.is_loud
            else "soft"
            if lead.events[0].level <= -10
            else "clear"
        )
        keep = "stay" if _plural(lead.heard) else "stays"
        text = f"{_capital(lead.heard)} {keep} {word}"
        text += f", {_strengths(lead)}" if lead.timing.hits and lead.timing.how == "seen" else ""
        if len(lead.events) > 1 and sound.name == "instrument/snare_drum":
            text += "; the strong strokes go to the snare drum, the others to cymbal and bass drum"
        rest = [idea.heard for idea in ideas if idea is not lead]
        text += f", in front of {listed(rest)}" if rest else ""
        steps.append(Step(aspect="aesthetic", text=text + ".", events=lead.ids))
    if ambience:
        names = listed(
            sound_class(a.sound_class).heard if a.level > AIR else "the air of the room" for a in ambience
        )
        if ideas:
            under = max(idea.events[0].level for idea in ideas) - max(a.level for a in ambience)
            text = (
                f"Underneath, {names}, {under:.0f} dB softer, so that the clip does not sound empty."
                if under >= 3
                else f"Just as present: {names}, for what happens is soft or uncertain."
            )
        else:
            text = f"All that is heard: {names}" + (", hardly audible." if ambience[0].level < -20 else ".")
        steps.append(Step(aspect="aesthetic", text=text, events=tuple(a.id for a in ambience)))
    return steps


def _strengths(idea: Idea) -> str:
    strengths = [s for _, s in idea.timing.hits]
    if idea.candidate.sound.group in ("weapon", "explosion"):
        return "whatever the picture shows of their force"
    return (
        "each as strong as it looks" if max(strengths) - min(strengths) > 0.2 else "all about equally strong"
    )


def _never(unwanted: Sequence[str], ideas: Sequence[Idea]) -> str:
    asked = f"Left out as asked: {listed(unwanted)}." if unwanted else ""
    played = [_definite(i.candidate.source) for i in ideas if i.candidate.sound.group == "instrument"]
    if played:
        return f"{asked} No music but {listed(played)}, and no speech.".strip()
    rest = [f"no {a}" for a in SPEECH_AND_MUSIC if a not in unwanted]
    if not rest:
        return asked
    also = " either" if unwanted else ""
    return f"{asked} {_capital(' and '.join(rest))}{also}: nothing in sight calls for it.".strip()


def listed(items: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    found = list(items)
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)


def _names(labels: Sequence[str]) -> str:
    return listed(labels) if len(labels) < 2 else ", ".join(labels[:-1]) + " or " + labels[-1]


def _seconds(time: float) -> str:
    return f"{time:.2f}".rstrip("0").rstrip(".")


def _sentence(text: str) -> str:
    return _capital(text.rstrip(".")) + "."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _definite(noun: str) -> str:
    """ "a dog" -> "the dog"."""
    bare = re.sub(r"^(?:an?|the) ", "", noun)
    return noun if noun.startswith(("some", "people", "fireworks")) else f"the {bare}"


def _plural(heard: str) -> bool:
    """ "barks", "hammer blows on an anvil" are; "the engine", "rustling" are not."""
    head = re.split(r" (?:on|of|in|at|to) ", heard)[0]
    return " and " in head or (head.endswith("s") and not head.startswith(("a ", "an ", "the ")))


def _side(pan: float) -> str:
    return "the left" if pan < -0.15 else "the right" if pan > 0.15 else "the centre"


def _at(pan: float) -> str:
    if abs(pan) <= 0.15:
        return "near the centre"
    return ("far " if abs(pan) > 0.5 else "") + ("to the left" if pan < 0 else "to the right")
