"""Edits of a scene with the one right answer, made from its stems: add, remove, extract, inpaint, extend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from reasound.data.scenes.truth import OPERATIONS, Audio, Operation, Task
from reasound.plan import Ambience, Event, Plan
from reasound.reasoning.explain import listed
from reasound.reasoning.knowledge import sound_class
from reasound.timeline import SAMPLE_RATE, samples

MASKED = -20.0
"""dB of a stem's loudest moment against all else that sounds then; one that is fainter would not be missed."""
FAINT, SILENT = -20.0, -55.0
"""A stretch of the mix is heard when its loudest moment is above both: dB below that of the mix, and dBFS."""
SHORTEST_GAP, LONGEST_GAP, GAP_SHARE = 1.0, 2.0, 0.4
"""Seconds that are cut out for `inpaint`, and the share of the clip that they may be."""
MARGIN = 0.3
"""Seconds of sound that stay at least before and after a gap."""
FADE = 0.02
"""Seconds in which the sound goes and comes back, inside the gap."""
EXTENDED_FROM = (0.6, 0.7)
"""Share of the clip that is given for `extend`."""

_MOMENT = SAMPLE_RATE // 20  # samples in which a loudness is measured

_SAID: dict[Operation, tuple[str, ...]] = {
    "add": (
        "add {a} {when}",
        "put in {a} {when}",
        "I also want to hear {a} {when}",
        "{when} there should be {a} as well",
        "add this {when}: {caption}",
    ),
    "remove": (
        "take out {the}",
        "remove {the}",
        "I do not want to hear {the}",
        "the same without {the}",
        "get rid of this: {caption}",
    ),
    "extract": (
        "keep only {the}",
        "give me {the} alone",
        "isolate {the}",
        "take everything away but {the}",
        "let me hear just this: {caption}",
    ),
    "inpaint": (
        "fill in {start} to {end} s",
        "repair the gap from {start} to {end} s",
        "the sound is missing from {start} to {end} s, put it back",
        "fill the hole between {start} and {end} s",
    ),
    "extend": (
        "make it {end} s long",
        "carry on until {end} s",
        "go on for another {more} s",
        "continue the sound to the end of the clip, {end} s",
    ),
}


def tasks(plan: Plan, stems: Mapping[str, Audio], rng: np.random.Generator) -> tuple[Task, ...]:
    """One task of each operation that the scene allows, in the order of OPERATIONS.

    One sound alone can be neither added to something, removed from it nor extracted; what no one would miss, or what
    the words do not tell from another sound, is not asked for. Where nothing is heard there is nothing to fill in or
    to carry on. Gaps are left out of clips under 2.5 s.

    Args:
        plan: of the scene.
        stems: by id of event or ambience, each [2, N]; their sum in this order is the mix.
        rng: which sounds, which times and which words.

    Raises:
        ValueError: a stem is not of the plan, or there is none.
    """
    items: dict[str, Event | Ambience] = {e.id: e for e in plan.events} | {a.id: a for a in plan.ambience}
    if not stems or not stems.keys() <= items.keys():
        raise ValueError(f"stems {sorted(stems)} are not those of a plan with {sorted(items)}")
    scene = _Scene(plan, items, stems)
    made = (_MAKERS[operation](scene, rng) for operation in OPERATIONS)
    return tuple(_checked(task) for task in made if task is not None)


class _Scene:
    """What all makers need of a scene."""

    def __init__(self, plan: Plan, items: Mapping[str, Event | Ambience], stems: Mapping[str, Audio]) -> None:
        self.plan, self.items, self.stems = plan, items, stems
        self.mix = total(stems.values())
        self.n = self.mix.shape[1]
        self.seconds = self.n / SAMPLE_RATE
        self.levels = _levels(self.mix)
        self.names = [name for name in stems if self._told_apart(name) and self._missed(name)]

    def without(self, name: str) -> Audio:
        return total(stem for other, stem in self.stems.items() if other != name)

    def heard(self, start: float, end: float) -> bool:
        """Whether anything of the mix is, in the moments that lie between two times."""
        part = self.levels[-(-samples(start) // _MOMENT) : samples(end) // _MOMENT]
        return bool(part.max() > max(self.levels.max() + FAINT, SILENT))

    def captions(self, start: float, end: float) -> str:
        """What can be heard between two times, in words; it is the whole mix that must be heard there."""
        level = {
            name: _levels(stem[:, samples(start) : samples(end)]).max() for name, stem in self.stems.items()
        }
        loudest = max(level.values())
        there = [self.items[name].sound for name in self.stems if level[name] >= loudest + MASKED]
        return listed(dict.fromkeys(there))

    def _told_apart(self, name: str) -> bool:
        """No other sound of the scene has the same name."""
        others = [_name(item) for other, item in self.items.items() if other != name]
        return len(self.stems) > 1 and _name(self.items[name]) not in others

    def _missed(self, name: str) -> bool:
        """The stem is loud enough against the rest that one hears when it is gone."""
        level = _levels(self.stems[name])
        at = int(np.argmax(level))
        rest = _levels(self.without(name))[at]
        return bool(level[at] > SILENT and level[at] > rest + MASKED)


def _add(scene: _Scene, rng: np.random.Generator) -> Task | None:
    if not (name := _one(scene, rng)):
        return None
    lasts = isinstance(scene.items[name], Ambience)
    span = (0.0, scene.seconds) if lasts else _support(scene.stems[name])
    return _task(scene, rng, "add", name, span, scene.without(name), scene.mix)


def _remove(scene: _Scene, rng: np.random.Generator) -> Task | None:
    if not (name := _one(scene, rng)):
        return None
    span = _support(scene.stems[name])
    return _task(scene, rng, "remove", name, span, scene.mix, scene.without(name))


def _extract(scene: _Scene, rng: np.random.Generator) -> Task | None:
    if not (name := _one(scene, rng)):
        return None
    # a copy: an answer is nobody else's array
    return _task(scene, rng, "extract", name, (0.0, scene.seconds), scene.mix, total([scene.stems[name]]))


def _inpaint(scene: _Scene, rng: np.random.Generator) -> Task | None:
    longest = min(LONGEST_GAP, GAP_SHARE * scene.seconds)
    if longest < SHORTEST_GAP:
        return None
    length = int(10 * rng.uniform(SHORTEST_GAP, longest)) / 10
    starts = np.arange(np.ceil(10 * MARGIN), np.floor(10 * (scene.seconds - length - MARGIN)) + 1) / 10
    gaps = [(round(s, 1), round(s + length, 1)) for s in starts.tolist()]
    heard = [(start, end) for start, end in gaps if scene.heard(start + FADE, end - FADE)]
    if not heard:
        return None
    start, end = heard[int(rng.integers(len(heard)))]
    given = scene.mix.copy()
    given[:, samples(start) : samples(end)] *= hole(samples(end) - samples(start))
    return _task(scene, rng, "inpaint", "", (start, end), given, scene.mix)


def _extend(scene: _Scene, rng: np.random.Generator) -> Task | None:
    shares = rng.permutation(np.linspace(*EXTENDED_FROM, 11))
    for share in shares.tolist():
        cut = samples(share * scene.seconds)
        span = (cut / SAMPLE_RATE, scene.seconds)
        if scene.heard(0.0, span[0]) and scene.heard(*span):
            return _task(scene, rng, "extend", "", span, scene.mix[:, :cut].copy(), scene.mix)
    return None


_MAKERS: dict[Operation, Callable[[_Scene, np.random.Generator], Task | None]] = {
    "add": _add,
    "remove": _remove,
    "extract": _extract,
    "inpaint": _inpaint,
    "extend": _extend,
}


def total(stems: Iterable[Audio]) -> Audio:
    """The sum [2, N], in their order and in float32: the same stems give the same bits."""
    first, *rest = stems
    out = first.copy()
    for stem in rest:
        out += stem
    return out


def _checked(task: Task) -> Task:
    """Outside the span not one bit may change."""
    given, answer = task.given, task.answer
    first, last = (samples(t) for t in task.span)
    assert np.array_equal(given[:, :first], answer[:, :first])
    if task.operation == "extend":
        assert given.shape[1] == first < last == answer.shape[1]
    else:
        assert given.shape == answer.shape and np.array_equal(given[:, last:], answer[:, last:])
    return task


def _one(scene: _Scene, rng: np.random.Generator) -> str:
    """A sound that an edit can be about; empty where there is none."""
    return scene.names[int(rng.integers(len(scene.names)))] if scene.names else ""


def _support(stem: Audio) -> tuple[float, float]:
    """Seconds between which the stem is not exactly zero: the ring of the room is in it. Whole milliseconds around it,
    and never beyond the end."""
    sounding = np.flatnonzero(stem.any(0))
    start = np.floor(1000 * sounding[0] / SAMPLE_RATE) / 1000
    end = np.ceil(1000 * (sounding[-1] + 1) / SAMPLE_RATE) / 1000
    return float(start), float(min(end, stem.shape[1] / SAMPLE_RATE))


def _levels(audio: Audio) -> NDArray[np.float64]:
    """[M] dBFS of every twentieth of a second, the last one as long as it is."""
    power = np.square(audio, dtype=np.float64).mean(0)
    edges = np.arange(0, len(power), _MOMENT)
    sizes = np.diff(edges, append=len(power))
    return 10 * np.log10(np.add.reduceat(power, edges) / sizes + 1e-12)


def hole(n: int) -> NDArray[np.float32]:
    """[n] gains: the sound goes, is away, and comes back."""
    fade = np.linspace(1, 0, samples(FADE) + 1, dtype=np.float32)[1:]
    hole = np.zeros(n, np.float32)
    hole[: len(fade)], hole[n - len(fade) :] = fade, fade[::-1]
    return hole


def _task(
    scene: _Scene,
    rng: np.random.Generator,
    operation: Operation,
    event: str,
    span: tuple[float, float],
    given: Audio,
    answer: Audio,
) -> Task:
    """In words drawn at random, with times that can be said."""
    words = {"start": _say(span[0]), "end": _say(span[1]), "more": _say(span[1] - span[0])}
    if event:
        item = scene.items[event]
        caption = item.sound
        words |= {"caption": caption, "when": _when(item, scene.seconds), **_called(item)}
    else:
        caption = scene.captions(*span)
    said = _SAID[operation]
    instruction = said[int(rng.integers(len(said)))].format(**words)
    return Task(operation, instruction, caption, event, span, given, answer)


def _name(item: Event | Ambience) -> str:
    """What the words of an instruction call it: "barks"."""
    return sound_class(item.sound_class).heard if item.sound_class else item.sound


def _called(item: Event | Ambience) -> dict[str, str]:
    name = _name(item)
    bare = name.removeprefix("the ").removeprefix("a ").removeprefix("an ")
    return {"a": name, "the": f"the {bare}"}


def _when(item: Event | Ambience, seconds: float) -> str:
    """As a person would say it: to a tenth of a second, without counting beyond three."""
    if isinstance(item, Ambience):
        return "in the background"
    if item.onsets:
        times = [_say(round(t, 1)) for t in item.onsets]
        return f"at {listed(times)} s" if len(times) < 4 else f"from {times[0]} to {times[-1]} s"
    if item.start < 0.1 and item.end > seconds - 0.1:
        return "throughout"
    return f"from {_say(round(item.start, 1))} to {_say(round(item.end, 1))} s"


def _say(seconds: float) -> str:
    return f"{seconds:.2f}".rstrip("0").rstrip(".")
