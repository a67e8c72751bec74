"""What the pocket reasoner learns from: situations with the right answer, in all three tasks.

Evidence is either drawn (`scenes.seen`: any number of scenes) or rendered and looked at (`scenes.shown`: a pool). What
the user says is always drawn anew, from captions of the recordings that may be learned from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch

from reasound.data.scenes.drawn import SceneMaker
from reasound.data.scenes.seen import EDGE, Eye
from reasound.data.scenes.shown import Case
from reasound.edit_plan import EditPlan
from reasound.perception.features import Box, Features, Floats, Motion, Onset, Sighting, Trace
from reasound.plan import Event, Place, Plan, Region
from reasound.reasoning.caption import meant
from reasound.reasoning.explain import listed
from reasound.reasoning.knowledge import sound_class, sound_classes
from reasound.reasoning.pocket import tokenizer as t
from reasound.reasoning.pocket.answers import write_edit, write_plan
from reasound.reasoning.pocket.grammar import Task, parse
from reasound.reasoning.pocket.prefix import Prefix, Reader, Said, look, prefix, situation
from reasound.timeline import SAMPLE_RATE

SILENT = 0.35
"""Share of clips of which the user says nothing."""
TIMED, COUNTED, FAR = 0.1, 0.08, 0.6
"""Shares of phrases that say when, how often; and, of what is off screen, that it is far."""
AVOIDED = 0.08
"""Share of clips in which something must not be heard."""


class Instructed(Protocol):
    """An instruction about a plan, with what it asks for."""

    @property
    def instruction(self) -> str: ...

    @property
    def plan(self) -> Plan: ...

    @property
    def answer(self) -> EditPlan: ...


@dataclass(frozen=True)
class Question:
    """A task before its text was read."""

    task: Task
    text: str
    features: Features | None
    plan: Plan
    """The answer of the tasks "plan" and "object", the existing plan of "edit"."""
    told: tuple[str, ...] = ()
    """Classes that the text names."""
    avoid: tuple[str, ...] = ()
    existing: Plan | None = None
    region: Region | None = None
    answer: EditPlan | None = None


@dataclass(frozen=True)
class Lesson:
    prefix: Prefix
    tokens: tuple[int, ...]
    """The answer from its first token on, which is not learned."""


class Phrases:
    """How people name sounds: captions by class."""

    def __init__(self, captions: dict[str, tuple[str, ...]]) -> None:
        self.captions = {
            name: (*captions.get(name, ()), *sound.captions, sound.heard)
            for name, sound in sound_classes().items()
        }

    @classmethod
    def of(cls, maker: SceneMaker) -> Phrases:
        found: dict[str, list[str]] = {}
        for r in maker.library.recordings:
            found.setdefault(r.sound_class, []).extend(r.captions)
        return cls({name: tuple(dict.fromkeys(texts)) for name, texts in found.items()})

    def draw(self, name: str, rng: np.random.Generator) -> str:
        texts = self.captions[name]
        return texts[int(rng.integers(len(texts)))]

    def caption(self, plan: Plan, rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
        """What a person would say of a plan, all of it, some or nothing, and the classes that it names."""
        if rng.random() < SILENT:
            return "", ()
        events = [(e.sound_class, self._event(e, plan, rng)) for e in plan.events]
        under = [(a.sound_class, self.draw(a.sound_class, rng)) for a in plan.ambience]
        if under and events and rng.random() < 0.5:
            text = (
                f"{listed([p for _, p in events])}, with {listed([p for _, p in under])} in the background."
            )
            return text[:1].upper() + text[1:], tuple(name for name, _ in events + under)
        sounds = events + under
        count = int(rng.integers(0 if rng.random() < 0.3 else 1, len(sounds) + 1)) if sounds else 0
        chosen = [sounds[int(k)] for k in rng.permutation(len(sounds))[:count]]
        text = (listed if rng.random() < 0.7 else ", ".join)([p for _, p in chosen])
        return text, tuple(name for name, _ in chosen)

    def _event(self, e: Event, plan: Plan, rng: np.random.Generator) -> str:
        text = self.draw(e.sound_class, rng)
        if not e.on_screen and rng.random() < FAR:
            text += str(rng.choice([" in the distance", " off screen", " out of sight", " far away"]))
        if len(e.onsets) == 1 and rng.random() < TIMED:
            return f"{text} at {e.onsets[0]:.1f} {rng.choice(['s', 'seconds'])}"
        if not e.onsets and e.start > 0.2 and rng.random() < TIMED:
            return f"{text} from {e.start:.1f} to {e.end:.1f} s"
        if 1 < len(e.onsets) <= 4 and rng.random() < COUNTED:
            return f"{text} {('twice', 'three times', 'four times')[len(e.onsets) - 2]}"
        return text


class Lessons:
    """Batches of lessons, the same for the same seed and step."""

    def __init__(
        self,
        maker: SceneMaker,
        eye: Eye,
        reader: Reader,
        class_vectors: Floats,
        cases: Callable[[], Sequence[Case]],
        draw: Callable[[np.random.Generator], Instructed] | None = None,
        rendered: float = 0.55,
        tasks: dict[Task, float] | None = None,
    ) -> None:
        """`cases`: what has been rendered so far; `rendered`: the share of clips that come from there. `draw`:
        instructions; without it there are no edits."""
        self.maker, self.eye, self.reader, self.class_vectors = maker, eye, reader, class_vectors
        self._cases, self.draw, self.rendered = cases, draw, rendered
        self.cases: list[Case] = []
        self.refresh()
        self.phrases = Phrases.of(maker)
        odds = tasks or {"plan": 0.62, "object": 0.08, "edit": 0.3}
        self.odds = {task: share for task, share in odds.items() if draw or task != "edit"}

    def refresh(self) -> None:
        """Read what a maker has added since."""
        self.cases = list(self._cases())

    def batch(self, count: int, seed: int, step: int) -> list[Lesson]:
        """`count` lessons; what cannot be said in tokens is drawn again."""
        rng = np.random.default_rng((seed, step))
        found: list[Lesson] = []
        while len(found) < count:
            questions = [self.question(rng) for _ in range(count - len(found))]
            with torch.autocast("cpu", torch.bfloat16):
                said = self.reader.read_all([readable(q) for q in questions])
            for question, text in zip(questions, said, strict=True):
                lesson = self.lesson(question, text)
                if lesson is not None:
                    found.append(lesson)
        return found

    def question(self, rng: np.random.Generator) -> Question:
        names, odds = list(self.odds), np.array(list(self.odds.values()))
        task = names[int(rng.choice(len(names), p=odds / odds.sum()))]
        if task == "edit":
            assert self.draw is not None
            given = self.draw(rng)
            return Question("edit", given.instruction, None, given.plan, answer=given.answer)
        if self.cases and rng.random() < self.rendered:
            case = self.cases[int(rng.integers(len(self.cases)))]
            features, plan = case.features, case.plan
        else:
            seconds = float(rng.uniform(2.5, 10.0))
            self.maker.samples = round(seconds * SAMPLE_RATE)
            plan = self.maker.plan(rng)
            features = self.eye.seen(plan, rng)
        if rng.random() < 0.5:
            features, plan = mirrored(features, plan)
        visible = [e for e in plan.events if e.on_screen]
        if task == "object" and visible:
            return self._object(features, plan, visible[int(rng.integers(len(visible)))], rng)
        return self._plan(features, plan, rng)

    def _plan(self, features: Features, plan: Plan, rng: np.random.Generator) -> Question:
        text, told = self.phrases.caption(plan, rng)
        avoid: tuple[str, ...] = ()
        if plan.events and rng.random() < AVOIDED:
            name = plan.events[int(rng.integers(len(plan.events)))].sound_class
            if name not in told:
                words = sound_class(name).words
                avoid = (words[0] if words and name in meant(words[0]) else name,)
                out = set().union(*map(meant, avoid))
                plan = plan.model_copy(
                    update={"events": tuple(e for e in plan.events if e.sound_class not in out)}
                )
        # What is neither seen nor said cannot be known.
        known = tuple(e for e in plan.events if e.on_screen or e.sound_class in told)
        plan = plan.model_copy(update={"events": _ordered(known), "reasoning": ()})
        return Question("plan", text, features, plan, told, avoid)

    def _object(self, features: Features, plan: Plan, e: Event, rng: np.random.Generator) -> Question:
        x = 0.5 + float(e.place((e.start + e.end) / 2)[0][0]) / EDGE
        wide, high = (float(v) for v in rng.uniform(0.15, 0.5, 2))
        y = float(rng.uniform(0.4, 0.7))
        x0, y0 = max(0.0, min(x - wide / 2, 0.95)), max(0.0, y - high / 2)
        region = Region(x0=x0, y0=y0, x1=min(1.0, max(x0 + 0.05, x + wide / 2)), y1=min(1.0, y + high / 2))
        named = rng.random() < 0.4
        text = self.phrases.draw(e.sound_class, rng) if named else ""
        others = plan.model_copy(
            update={
                "events": tuple(o for o in plan.events if o is not e or rng.random() < 0.5),
                "reasoning": (),
            }
        )
        alone = plan.model_copy(update={"events": (e,), "ambience": (), "reasoning": ()})
        told = (e.sound_class,) if named else ()
        return Question("object", text, features, alone, told, existing=others, region=region)

    def lesson(self, q: Question, said: Said) -> Lesson | None:
        """What is shown and what is to be answered; None where that has no words."""
        if q.task == "edit":
            assert q.answer is not None
            s = situation(None, said, q.plan, seconds=q.plan.seconds)
            try:
                answer = write_edit(q.answer, s, copied(said, q.answer), refusal_of(q.answer))
                parse("edit", s, answer)
            except ValueError:
                return None
            shown = prefix("edit", None, said, self.reader, self.class_vectors, existing=q.plan)
            return Lesson(shown, (t.token("<edit>"), *answer))
        assert q.features is not None
        features = look(q.features)
        banned = frozenset().union(*map(meant, q.avoid))
        s = situation(features, said, q.existing, banned)
        answer = write_plan(q.plan, s, features, q.told, beds=q.task == "plan")
        try:
            parse(q.task, s, answer)
        except ValueError:
            return None
        shown = prefix(
            q.task,
            features,
            said,
            self.reader,
            self.class_vectors,
            avoid=q.avoid,
            existing=q.existing,
            region=q.region,
        )
        return Lesson(shown, (t.token(f"<{q.task}>"), *answer))


def readable(q: Question) -> str:
    """The text as the network reads it."""
    if q.task != "edit":
        return q.text
    from reasound.reasoning.pocket.reasoner import instruction_words

    return instruction_words(q.text, q.plan)


def _ordered(events: Sequence[Event]) -> tuple[Event, ...]:
    """What is seen before what is not, and what begins first before what comes later: one order for one scene."""
    return tuple(sorted(events, key=lambda e: (not e.on_screen, e.onsets[0] if e.onsets else e.start)))


def copied(said: Said, answer: EditPlan) -> dict[str, tuple[int, int]]:
    """Where the sounds and styles of an answer stand in the text, as first and last word."""
    found: dict[str, tuple[int, int]] = {}
    for text in {x for o in answer.operations for x in (o.sound, o.style) if x}:
        at = re.search(rf"(?<!\w){re.escape(text.lower())}(?!\w)", said.text.lower())
        if at is None:
            continue
        inside = [k for k, (a, b) in enumerate(said.spans) if a >= at.start() and b <= at.end()]
        if (
            inside
            and "".join(said.copy[inside[0] : inside[-1] + 1]).strip() == said.text[at.start() : at.end()]
        ):
            found[text] = (inside[0], inside[-1])
    return found


def refusal_of(answer: EditPlan) -> int:
    """Which of the known reasons a refusal is: that something is not there, if it is none of the others."""
    known = t.REFUSALS
    return known.index(answer.refusal) if answer.refusal in known else len(known) - 1


def mirrored(f: Features, plan: Plan) -> tuple[Features, Plan]:
    """Left and right exchanged."""

    def box(b: Box | None) -> Box | None:
        return b and Box(1 - b.x1, b.y0, 1 - b.x0, b.y1)

    m = f.motion
    parts = m.grid.reshape(len(m.grid), 3, 3, -1)[:, :, ::-1].reshape(m.grid.shape)
    motion = Motion(
        rate=m.rate,
        directogram=m.directogram,
        grid=np.ascontiguousarray(parts),
        envelope=m.envelope,
        level=m.level,
        centre=(m.centre * (-1, 1) + (1, 0)).astype(np.float32),
        camera=(m.camera * (-1, 1)).astype(np.float32),
        onsets=tuple(Onset(o.time, o.strength, 1 - o.x, o.y) for o in m.onsets),
    )
    sightings = tuple(
        Sighting(s.name, s.index, s.probability, s.start, s.end, box(s.box)) for s in f.sightings
    )
    traces = tuple(Trace(x.matter, x.confidence, x.start, x.end, box(x.box)) for x in f.traces)
    events = tuple(
        e.model_copy(
            update={
                "pan": -e.pan,
                "path": tuple(Place(time=p.time, pan=-p.pan, distance=p.distance) for p in e.path),
            }
        )
        for e in plan.events
    )
    return replace(f, motion=motion, sightings=sightings, traces=traces), plan.model_copy(
        update={"events": events}
    )
