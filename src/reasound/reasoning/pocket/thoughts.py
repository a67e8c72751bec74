"""What the pocket reasoner thought, in sentences: the words that it cited and concluded, in plain English."""

from __future__ import annotations

from collections.abc import Sequence

from reasound.perception.features import Features
from reasound.plan import Aspect, Event, Plan, Step
from reasound.reasoning.explain import AIR, SHOWN, listed
from reasound.reasoning.knowledge import sound_class
from reasound.reasoning.pocket import tokenizer as t
from reasound.reasoning.pocket.grammar import PlanDraft, Thought
from reasound.reasoning.pocket.prefix import Said

_MOST = 8
"""Times that are listed."""


def headline(plan: Plan) -> str:
    """One sentence for what is heard; of many sounds the first four."""
    sounds = list(dict.fromkeys(e.sound for e in plan.events))[:4]
    under = [sound_class(a.sound_class).heard for a in plan.ambience]
    if not sounds and not under:
        return "Silence."
    if not sounds:
        return _sentence(listed(under))
    return _sentence(listed(sounds) + (f", with {listed(under)} in the background" if under else ""))


def reasoning(
    plan: Plan, drafts: Sequence[PlanDraft], looks: Sequence[Features], said: Said
) -> tuple[Step, ...]:
    """The chain of thought in the order of the four aspects; `looks`: what was seen in the window of each draft."""
    steps: list[Step] = []

    def say(aspect: Aspect, text: str, *events: str) -> None:
        steps.append(Step(aspect=aspect, text=_sentence(text), events=events))

    for name, sound, on_screen, why in _whys(plan, drafts, looks, said):
        heard = sound_class(sound).heard
        can = "can be expected" if on_screen else "is heard, though its source is not in the picture"
        say("semantic", f"{why}, so {heard} {can}", *name)
    for a in plan.ambience:
        say("semantic", f"{sound_class(a.sound_class).heard} lies under the clip", a.id)
    if not plan.events:
        say("semantic", "nothing in sight is known to make a sound of its own")
        say("temporal", "nothing stands out at any moment")
    for e in plan.events:
        say("temporal", f"{sound_class(e.sound_class).heard}: {_when(e, plan.seconds)}", e.id)
    for e in plan.events:
        say("spatial", f"{e.source}: {_where(e)}", e.id)
    reverb = plan.acoustics.reverb
    room = "dry" if reverb < 0.1 else "lively" if reverb > 0.25 else "softly reflecting"
    say("spatial", f"the space is {plan.acoustics.space} and {room}")
    if plan.events:
        lead = max(plan.events, key=lambda e: e.level)
        say("aesthetic", f"{sound_class(lead.sound_class).heard} leads the mix", lead.id)
    else:
        say("aesthetic", "it stays quiet")
    if plan.ambience:
        soft = all(a.level <= AIR for a in plan.ambience)
        text = "the background is hardly audible" if soft else "the background stays behind what happens"
        say("aesthetic", text, *(a.id for a in plan.ambience))
    return tuple(steps)


def _whys(
    plan: Plan, drafts: Sequence[PlanDraft], looks: Sequence[Features], said: Said
) -> list[tuple[tuple[str, ...], str, bool, str]]:
    """(events, class, on screen, why) of every class that was concluded, once."""
    found: dict[str, tuple[tuple[str, ...], str, bool, str]] = {}
    for draft, look in zip(drafts, looks, strict=True):
        for thought, written in zip(draft.thoughts, draft.events, strict=True):
            if thought.sound_class in found:
                continue
            ids = tuple(e.id for e in plan.events if e.sound_class == thought.sound_class)
            why = _why(thought, look, said)
            found[thought.sound_class] = (ids, thought.sound_class, written.on_screen, why)
    return list(found.values())


def _why(thought: Thought, look: Features, said: Said) -> str:
    reasons: list[str] = []
    names: list[str] = []
    for cite in thought.cites:
        word = t.names()[cite]
        if word == "<told>":
            reasons.append(f"the caption says “{said.text}”")
        elif word == "<motion>":
            reasons.append("the motion shows it")
        elif word == "<guess>":
            reasons.append("it would fit the scene")
        elif word.startswith("label "):
            names.append(look.sightings[t.pointed(cite)[1]].name)
        else:
            reasons.append(SHOWN[look.traces[t.pointed(cite)[1]].matter])
    if names:
        reasons.insert(0, f"the picture is taken for {' or '.join(dict.fromkeys(names))}")
    return listed(reasons)


def _when(e: Event, seconds: float) -> str:
    if e.onsets:
        times = [f"{time:.2f}".rstrip("0").rstrip(".") for time in e.onsets[:_MOST]]
        more = f" and {len(e.onsets) - _MOST} more times" if len(e.onsets) > _MOST else ""
        return f"at {listed(times)} s{more}"
    if e.start <= 0 and e.end > seconds - 0.01:
        return "throughout"
    return f"from {e.start:.1f} to {e.end:.1f} s"


def _where(e: Event) -> str:
    if not e.on_screen:
        return f"not in the picture, about {e.distance:.0f} m away"
    if e.path and abs(e.path[0].pan - e.path[-1].pan) > 0.2:
        return (
            f"from {_side(e.path[0].pan)} to {_side(e.path[-1].pan)}, at first about {e.distance:.0f} m away"
        )
    return f"{_side(e.pan)}, about {e.distance:.0f} m away"


def _side(pan: float) -> str:
    if abs(pan) <= 0.15:
        return "near the centre"
    return ("far " if abs(pan) > 0.5 else "") + ("to the left" if pan < 0 else "to the right")


def _sentence(text: str) -> str:
    text = text.rstrip(".") + "."
    return text[:1].upper() + text[1:]
