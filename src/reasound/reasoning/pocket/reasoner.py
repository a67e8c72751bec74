"""The pocket reasoner: a small multimodal language model of our own behind the interface of all reasoners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reasound.edit_plan import EditPlan
from reasound.errors import UserError
from reasound.perception.features import Features, Floats, Motion, Shot
from reasound.plan import Event, Origin, Plan, Region, Step
from reasound.reasoning.caption import meant, read_caption
from reasound.reasoning.instructions.refusals import FOREIGN, UNCLEAR
from reasound.reasoning.knowledge import SPEECH_AND_MUSIC
from reasound.reasoning.pocket import tokenizer as t
from reasound.reasoning.pocket.answers import edit_of, joined
from reasound.reasoning.pocket.grammar import EditDraft, PlanDraft, Task
from reasound.reasoning.pocket.network import Network
from reasound.reasoning.pocket.prefix import Reader, Text, look, prefix, situation
from reasound.reasoning.pocket.thoughts import headline, reasoning
from reasound.reasoning.pocket.writer import Answer, write
from reasound.reasoning.rules import RulesReasoner

if TYPE_CHECKING:
    from reasound.media.video import Clip

WINDOW = 10.0
"""Seconds that are thought of at once; longer clips are cut, at shots where there are any."""
_SHORTEST = 1.0
SURE = 0.7
"""Probability that each class it names must have for it to be believed. It learned from made scenes; where it is less
sure, the rules, which learned nothing, are right as often there and more often on real clips."""


class PocketReasoner:
    """Make one with `PocketReasoner.load()`. Where it is not sure, the rules answer, and the plan says so."""

    name = "pocket"
    notes: Sequence[str] = ()

    def __init__(self, network: Network, text: Text, class_vectors: Floats, sure: float = SURE) -> None:
        """`class_vectors` [1000, 384]: the meanings of the labels' names. `sure`: see SURE; 0: it always answers."""
        self.sure = sure
        self.network, self.reader, self.class_vectors = network, Reader(text), class_vectors
        self.rules = RulesReasoner(text)

    @classmethod
    def load(cls, folder: Path | None = None) -> PocketReasoner:
        """From a folder of our format; without one, the embedded weights. UserError where there are none."""
        from reasound.checkpoints.catalog import pocket
        from reasound.perception.labels import Labels
        from reasound.perception.text import MiniLM
        from reasound.reasoning.pocket import weights

        network = weights.load(folder or pocket(weights.KIND))
        return cls(network, MiniLM.load(), Labels.load().class_vectors)

    def plan(
        self,
        features: Features,
        caption: str = "",
        avoid: Sequence[str] = (),
        *,
        clip: Clip | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> Plan:
        """See `Reasoner.plan`."""
        _read(caption)
        reading = read_caption(caption, features.seconds)
        unwanted = tuple(dict.fromkeys((*filter(None, (a.strip() for a in avoid)), *reading.avoid)))
        banned = frozenset().union(*map(meant, unwanted))
        plan = self._written("plan", features, caption, unwanted, banned, progress)
        if not self._is_sure(plan):
            return self.rules.plan(features, caption, avoid)
        if not (caption or plan.ambience):
            plan = self._with_air(plan, features, unwanted)
        instruments = any(e.sound_class.startswith("instrument/") for e in plan.events)
        never = [a for a in SPEECH_AND_MUSIC if not (a == "music" and instruments)]
        return plan.model_copy(update={"avoid": tuple(dict.fromkeys((*unwanted, *never)))})

    def plan_object(
        self,
        features: Features,
        region: Region,
        existing: Plan,
        caption: str = "",
        *,
        clip: Clip | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> Plan:
        """See `Reasoner.plan_object`."""
        _read(caption)
        plan = self._written("object", features, caption, (), frozenset(), progress, existing, region)
        if not self._is_sure(plan):
            return self.rules.plan_object(features, region, existing, caption)
        taken = {e.id for e in existing.events} | {a.id for a in existing.ambience}
        events: list[Event] = []
        names: dict[str, str] = {}
        for e in plan.events:
            stem = e.id.rsplit("-", 1)[0]
            used = taken | {o.id for o in events}
            names[e.id] = next(f"{stem}-{n}" for n in range(1, len(used) + 2) if f"{stem}-{n}" not in used)
            events.append(e.model_copy(update={"id": names[e.id], "region": region}))
        steps = tuple(
            s.model_copy(update={"events": tuple(names.get(i, i) for i in s.events)}) for s in plan.reasoning
        )
        return plan.model_copy(
            update={
                "events": tuple(events),
                "reasoning": steps,
                "acoustics": existing.acoustics,
                "avoid": existing.avoid,
            }
        )

    def edit(
        self,
        instruction: str,
        existing: Plan,
        *,
        features: Features | None = None,
        clip: Clip | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> EditPlan:
        """See `Reasoner.edit`: the grammar of `reasoning.instructions` reads it, and where that finds nothing to do,
        the network, which must be sure of every word."""
        from reasound.reasoning.instructions.language import is_english

        if not instruction.strip():
            raise UserError("the instruction is empty; say what should be changed")
        if not is_english(instruction):
            return EditPlan(instruction=instruction, refusal=FOREIGN, reasoner=self.name)
        reading = self.rules.edit(instruction, existing)
        if reading.refusal != UNCLEAR:
            return reading
        said = self.reader.read(instruction_words(instruction, existing))
        s = situation(None, said, existing, seconds=existing.seconds)
        shown = prefix("edit", None, said, self.reader, self.class_vectors, existing=existing)
        answer = write(self.network, shown, "edit", s, _told(progress))
        assert isinstance(answer.draft, EditDraft)
        if min(answer.sure) < self.sure:
            return reading
        found = edit_of(answer.draft, instruction, existing, said.copy)
        return found.model_copy(update={"origin": self._origin([answer])}).check(existing)

    def _is_sure(self, plan: Plan) -> bool:
        return min((e.confidence for e in plan.events), default=0.0) >= self.sure

    def _with_air(self, plan: Plan, features: Features, unwanted: Sequence[str]) -> Plan:
        """With what the rules lay under such a place: nobody said that it is silent there."""
        heard = {e.sound_class for e in plan.events}
        rules = self.rules.plan(features, "", unwanted)
        if rules.events and not plan.events:  # what they say of a background belongs to their events
            return plan
        taken = {e.id for e in plan.events}
        air = tuple(a for a in rules.ambience if a.sound_class not in heard and a.id not in taken)
        steps = [
            Step(
                aspect="semantic",
                text=f"{a.sound[:1].upper()}{a.sound[1:]} would fit the place.",
                events=(a.id,),
            )
            for a in air
        ]
        return plan.model_copy(update={"ambience": air, "reasoning": (*plan.reasoning, *steps)})

    def _written(
        self,
        task: Task,
        features: Features,
        caption: str,
        avoid: Sequence[str],
        banned: frozenset[str],
        progress: Callable[[str], None] | None,
        existing: Plan | None = None,
        region: Region | None = None,
    ) -> Plan:
        """A plan of all windows, with its reasons."""
        said = self.reader.read(caption)
        found, answers, sure, looks = [], [], [], []
        for start, end in windows(features):
            part = look(cut(features, start, end))
            inside = existing and _part(existing, start, end)
            s = situation(part, said, inside, banned)
            shown = prefix(
                task, part, said, self.reader, self.class_vectors, avoid=avoid, existing=inside, region=region
            )
            answer = write(self.network, shown, task, s, _told(progress))
            assert isinstance(answer.draft, PlanDraft)
            found.append((start, end, answer.draft))
            answers.append(answer)
            sure.append(_confidence(answer))
            looks.append(part)
        plan = joined(found, features.seconds, sure)
        plan = plan.model_copy(update={"origin": self._origin(answers), "caption": headline(plan)})
        return plan.model_copy(update={"reasoning": reasoning(plan, [d for _, _, d in found], looks, said)})

    def _origin(self, answers: Sequence[Answer]) -> Origin:
        return Origin(
            model=f"pocket-{self.network.config.vocabulary}",
            raw=" | ".join(words(answer.tokens) for answer in answers),
        )


def words(tokens: Sequence[int]) -> str:
    """An answer as text."""
    return " ".join(t.names()[k].replace(" ", ":") for k in tokens)


def instruction_words(instruction: str, plan: Plan) -> str:
    """As it is read: numbers as digits, units in one spelling, slips undone."""
    from reasound.reasoning.instructions.words import normal

    said = " ".join([*(f"{e.sound} {e.source}" for e in plan.events), *(a.sound for a in plan.ambience)])
    return normal(instruction, [w.strip(".,").lower() for w in said.split()])


def _read(caption: str) -> None:
    from reasound.reasoning.instructions.language import is_english

    if caption and not is_english(caption):
        raise UserError(FOREIGN)


def _told(progress: Callable[[str], None] | None) -> Callable[[Sequence[int]], None] | None:
    return None if progress is None else lambda tokens: progress(words(tokens))


def _confidence(answer: Answer) -> list[float]:
    """Of every thought of a plan, events first: the probability of its class."""
    first, last = t.group("class")[0], t.group("class")[-1]
    found = [p for k, p in zip(answer.tokens, answer.sure, strict=True) if first <= k <= last]
    return found


def windows(features: Features) -> list[tuple[float, float]]:
    """Spans of at most WINDOW seconds that follow one another, cut where the picture cuts if it does so in time."""
    found: list[tuple[float, float]] = []
    start, seconds = 0.0, features.seconds
    cuts = [shot.start for shot in features.shots[1:]]
    while seconds - start > WINDOW:
        near = [c for c in cuts if start + WINDOW / 2 <= c <= start + WINDOW and seconds - c >= _SHORTEST]
        end = (
            near[-1]
            if near
            else start + min(WINDOW, (seconds - start) / 2 if seconds - start < 2 * WINDOW else WINDOW)
        )
        found.append((start, end))
        start = end
    return [*found, (start, seconds)]


def cut(f: Features, start: float, end: float) -> Features:
    """The part from `start` to `end`, with times from its beginning on."""
    if start <= 0 and end >= f.seconds:
        return f
    length = end - start

    def rows(array: Floats) -> Floats:
        rate = len(array) / f.seconds
        first = min(int(start * rate), max(len(array) - 1, 0))
        return array[first : max(first + 1, round(end * rate))]

    def within(a: float, b: float) -> tuple[float, float]:
        return max(0.0, a - start), min(length, b - start)

    m = f.motion
    motion = Motion(
        rate=m.rate,
        directogram=rows(m.directogram),
        grid=rows(m.grid),
        envelope=rows(m.envelope),
        level=rows(m.level),
        centre=rows(m.centre),
        camera=rows(m.camera),
        onsets=tuple(replace(o, time=o.time - start) for o in m.onsets if start <= o.time < end),
    )
    spans = [within(s.start, s.end) for s in f.shots]
    return replace(
        f,
        seconds=length,
        visual=rows(f.visual),
        probabilities=rows(f.probabilities),
        colour=rows(f.colour),
        motion=motion,
        shots=tuple(Shot(a, b) for a, b in spans if b > a),
        sightings=tuple(
            replace(s, start=a, end=b) for s in f.sightings for a, b in [within(s.start, s.end)] if a < b
        ),
        traces=tuple(
            replace(x, start=a, end=b) for x in f.traces for a, b in [within(x.start, x.end)] if a < b
        ),
    )


def _part(plan: Plan, start: float, end: float) -> Plan:
    """The plan of a window."""
    if start <= 0 and end >= plan.seconds:
        return plan
    events = []
    for e in plan.events:
        a, b = max(e.start, start), min(e.end, end)
        if b - a < 0.02:
            continue
        hits = [(time - start, strength) for time, strength in e.hits() if a <= time <= b]
        if e.onsets and not hits:
            continue
        events.append(
            e.model_copy(
                update={
                    "start": a - start,
                    "end": b - start,
                    "onsets": tuple(time for time, _ in hits),
                    "strengths": tuple(strength for _, strength in hits),
                    "pan": float(e.place((a + b) / 2)[0][0]),
                    "path": (),
                }
            )
        )
    return plan.model_copy(update={"seconds": end - start, "events": tuple(events), "reasoning": ()})
