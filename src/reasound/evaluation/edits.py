"""What the product makes of the benchmark's edit tasks, and what an edit did: is the target there, or gone, and is the
rest as it was?"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reasound import __version__
from reasound.data.scenes.tasks import hole
from reasound.data.scenes.truth import Audio, Task, TrueScene
from reasound.edit_plan import EditPlan, Operation
from reasound.errors import UserError
from reasound.evaluation.heard import Scores, defined
from reasound.evaluation.scores import FLOOR_DB, spectrogram
from reasound.mixing.loudness import loudness, true_peak, weighted_energy
from reasound.pipeline import GUIDANCE, PEAK, STEPS, Reasound
from reasound.plan import Event, Plan
from reasound.stages.edit import edit, understood
from reasound.stages.edits.plans import excerpt, items
from reasound.stages.edits.work import ORIGINAL
from reasound.synthesis.editing import Edit, Editor, filled, laid_over
from reasound.synthesis.library import LibraryRenderer
from reasound.synthesis.model import ModelRenderer
from reasound.take import Layer, Mix, Settings, Source, Take
from reasound.timeline import SAMPLE_RATE, samples

GONE_DB = -12.0
"""Level of what should be gone, against what it was."""
KEPT_DB = 3.0
"""By how much the level of what should stay, or be there, may differ from the right one."""
PRESENT_DB = -6.0
"""Level of what was added or made anew, against the right answer, from which on it is there; 12 dB too loud is fine."""
SMALL_DB = 1.5
"""Change of the level of what an edit is not about, of which nobody takes notice."""
Sound = Literal["layers", "original"]
"""What is edited: a take with a layer for every sound, or a foreign sound track."""
_BANDS = 24
"""Parts of equal width on the mel scale in each of which levels are found by themselves."""


def untouched(task: Task) -> Audio:
    """The sound as it was given, with silence where it would have to grow: what doing nothing scores."""
    missing = task.answer.shape[1] - task.given.shape[1]
    return np.pad(task.given, ((0, 0), (0, missing)))


def edited(
    renderer: ModelRenderer,
    plan: Plan,
    tasks: list[Task],
    seed: int,
    steps: int,
    library: LibraryRenderer | None = None,
) -> list[Audio]:
    """The product's answers [2, N] to tasks of one scene, made together. `plan` is the scene's, `told`."""
    edits = [Edit(task.operation, task.span, task.event) for task in tasks]
    given = [untouched(task) for task in tasks]
    return Editor(renderer, library).apply(plan, given, edits, seed, steps=steps)


def staged(engine: Reasound, scene: TrueScene, task: Task, plan: Plan, sound: Sound, words: bool) -> Audio:
    """Stage three's answer [2, N] to a task, given the edit plan or, with `words`, the instruction alone.

    What cannot be done, or is not understood, leaves the sound as it was given.
    """
    take = taken(scene, task, plan, sound)
    try:
        asked = understood(engine, take, task.instruction) if words else wanted(task, scene, sound)
        made = edit(engine, take, None, asked)
    except UserError:
        return untouched(task)
    alone = {name for o in asked.operations if o.verb == "extract" for name in o.targets}
    if not alone:
        found = made.audio
    else:
        layers = [layer.audio for layer in made.layers if alone & set(layer.events)]
        found = np.sum(layers, axis=0, dtype=np.float32) if layers else np.zeros_like(take.audio)
    n = task.answer.shape[1]
    return np.pad(found, ((0, 0), (0, max(n - found.shape[1], 0))))[:, :n]


def wanted(task: Task, scene: TrueScene, sound: Sound) -> EditPlan:
    """The edit plan that says what a task asks for. A mixture is divided only where the target sounds."""
    start, end = task.span
    if task.operation == "add":
        item = items(scene.plan)[task.event]
        timed = isinstance(item, Event)
        asked = Operation(
            verb="add",
            sound=task.target,
            sound_class=item.sound_class,
            start=start if timed else None,
            end=end if timed else None,
            onsets=item.onsets if isinstance(item, Event) else (),
        )
    elif task.operation == "extend":
        asked = Operation(verb="extend", amount=end - start, side="after")
    elif task.operation == "inpaint":
        asked = Operation(verb="inpaint", start=start, end=end)
    elif task.operation == "remove" and sound == "original":
        asked = Operation(verb="remove", targets=(task.event,), start=start, end=end)
    else:
        asked = Operation(verb=task.operation, targets=(task.event,))
    return EditPlan(instruction=task.instruction, operations=(asked,))


def taken(scene: TrueScene, task: Task, plan: Plan, sound: Sound) -> Take:
    """The sound that a task gives as a take: its stems as layers, or all of it as one. `plan`: of the whole scene."""
    n = task.given.shape[1]
    stems = {name: stem[:, :n] for name, stem in scene.stems.items()}
    if task.operation == "add":
        del stems[task.event]
        plan = plan.only(list(stems))
    elif task.operation == "inpaint":
        first, last = samples(task.span[0]), samples(task.span[1])
        there = np.ones(n, np.float32)
        there[first:last] = hole(last - first)
        stems = {name: stem * there for name, stem in stems.items()}
    elif task.operation == "extend":
        plan = excerpt(plan, 0.0, n / SAMPLE_RATE)
        stems = {name: stems[name] for name in items(plan) if name in stems}
    if sound == "original":
        layers = [Layer(ORIGINAL, task.given, tuple(stems), 0, ORIGINAL)]
    else:
        layers = [Layer(name, stem, (name,), 0, "library") for name, stem in stems.items()]
    reached, highest = loudness(task.given), true_peak(task.given)
    return Take(
        source=Source(scene.id, "", scene.seconds, 0, 0),
        plan=plan,
        layers=tuple(layers),
        audio=task.given,
        mix=Mix(reached, max(PEAK, highest), reached, highest, "drop"),
        settings=Settings(__version__, "pocket", "auto", 0, STEPS, GUIDANCE, plan.caption),
    )


def told(plan: Plan, seed: int) -> Plan:
    """The true plan as a careful listener would write it: what sounds is right, but moments are off by 30 ms, levels by
    3 dB and pans by a tenth (standard deviations), and strengths are not told."""
    rng = np.random.default_rng(seed)

    def heard(event: Event) -> Event:
        times = np.sort(
            np.clip(event.onsets + rng.normal(0, 0.03, len(event.onsets)), 0, plan.seconds - 0.01)
        )
        level, pan = event.level + rng.normal(0, 3.0), event.pan + rng.normal(0, 0.1)
        place = event.path[len(event.path) // 2] if event.path else event
        changes: dict[str, Any] = {
            "onsets": tuple(times.tolist()),
            "strengths": (),
            "path": (),
            "level": float(np.clip(level, -60, 12)),
            "pan": float(np.clip(pan, -1, 1)),
            "distance": place.distance,
        }
        return event.model_copy(update=changes)

    return plan.model_copy(update={"events": tuple(heard(event) for event in plan.events)})


def joined(task: Task, given: Audio, made: Audio) -> Audio:
    """Made sound inside the span, the given sound outside it, bit for bit; an added sound lies over what is there."""
    return (laid_over if task.operation == "add" else filled)(given, made, task.span)


def of_target(task: Task, sound: Audio, target: Audio) -> Scores:
    """Whether an answer did to the target what was asked. `target`: its true stem [2, N].

    edit_identical: share of the samples outside the span that are equal bit for bit. For tasks about one sound, inside
    the span: edit_level and edit_rest, the levels of target and rest in dB against their stems; edit_sdr, SI-SDR to
    the right answer; edit_kept, whether the rest's level changed by 1.5 dB at most; edit_done, whether what should be
    gone is 12 dB down and what should stay is there within 3 dB, an added sound from 6 dB below the true one to 12
    above (K-weighted). Silence fails, and so does the mixture, as it is or made anew. For the others edit_level and
    edit_done are of all that sounds in the span.
    """
    first, last = (round(t * SAMPLE_RATE) for t in task.span)
    given = untouched(task)
    outside = np.r_[0 : min(first, task.given.shape[1]), last : task.given.shape[1]]
    scores: dict[str, float] = {"edit_identical": _equal(sound[:, outside], given[:, outside])}
    part = slice(first, last)
    if not task.event:
        level = louder(sound[:, part], task.answer[:, part])
        return defined(scores | {"edit_level": level, "edit_done": float(PRESENT_DB <= level <= -GONE_DB)})
    if task.operation == "add":
        level, other = added(sound[:, part], target[:, part], given[:, part])
        done = PRESENT_DB <= level <= -GONE_DB and not abs(other) > KEPT_DB  # nan: there was nothing else
        stays = other
    else:
        level, other = levels(sound[:, part], target[:, part], (given - target)[:, part])
        gone, stays = (level, other) if task.operation == "remove" else (other, level)
        done = not gone > GONE_DB and not abs(stays) > KEPT_DB
    scores |= {
        "edit_level": level,
        "edit_rest": other,
        "edit_sdr": si_sdr(sound[:, part], task.answer[:, part]),
        "edit_kept": math.nan if math.isnan(stays) else float(abs(stays) <= SMALL_DB),
        "edit_done": float(done),
    }
    return defined(scores)


def levels(found: Audio, target: Audio, rest: Audio) -> tuple[float, float]:
    """dB at which the target and the rest are in a sound, against their own levels; all [2, N].

    Band by band the power spectrum found is explained by those of the two stems, with gains that are not negative:
    least squares, each bin weighted by one over what both stems have there, so that quiet moments count, too. Powers,
    since a sound that is made anew has other phases and a projection of waveforms would not find it. -120 for what is
    not there, nan for a stem that is silent.
    """
    a, b, x = (spectrogram(audio, SAMPLE_RATE).astype(np.float64) for audio in (target, rest, found))
    weight = 1 / (a + b + 1e-10 * max(float((a + b).max(initial=0.0)), 1e-20))
    mel = np.log1p(np.linspace(0, SAMPLE_RATE / 2, a.shape[1]) / 700)
    band = np.minimum((mel / mel[-1] * _BANDS).astype(int), _BANDS - 1)

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(band, values.sum(0), _BANDS).astype(np.float64)

    aa, bb, ab = summed(weight * a * a), summed(weight * b * b), summed(weight * a * b)
    ax, bx = summed(weight * a * x), summed(weight * b * x)
    left, kept = np.zeros(_BANDS), np.zeros(_BANDS)
    for k in range(_BANDS):
        normal = np.array([[aa[k], ab[k]], [ab[k], bb[k]]])
        apart = np.linalg.det(normal) > 1e-9 * aa[k] * bb[k] > 0
        gains = np.linalg.solve(normal, [ax[k], bx[k]]) if apart else np.full(2, -1.0)
        if gains.min() < 0:  # one of them alone explains it better: the one that leaves less
            of_a, of_b = (v / max(e, 1e-300) for v, e in ((ax[k], aa[k]), (bx[k], bb[k])))
            gains = np.array([of_a, 0.0] if of_a * ax[k] > of_b * bx[k] else [0.0, of_b])
        left[k], kept[k] = gains
    return _level(left, summed(a)), _level(kept, summed(b))


def added(found: Audio, target: Audio, given: Audio) -> tuple[float, float]:
    """Level of what was laid over a sound, against the true stem, and of the sound under it, against itself, in dB; all
    [2, N]. What was added has no sample in common with the stem, but the sound under it is the very same."""
    f, g = found.astype(np.float64), given.astype(np.float64)
    energy = float((g * g).sum())
    share = float((f * g).sum()) / energy if energy else 0.0
    new = f - share * g
    return louder(new, target), 20 * math.log10(max(share, 1e-6)) if energy else math.nan


def louder(found: NDArray[np.floating], wanted: NDArray[np.floating]) -> float:
    """dB between two sounds [2, N], K-weighted as in ITU-R BS.1770, without gates."""
    a, b = (max(float(weighted_energy(audio).sum()), 1e-12) for audio in (found, wanted))
    return 10 * math.log10(a / b)


def si_sdr(found: Audio, wanted: Audio) -> float:
    """dB: the part of a sound that is the wanted one at any level, over all else in it (Le Roux et al. 2019)."""
    f, w = (np.ravel(audio).astype(np.float64) for audio in (found, wanted))
    scale = float(f @ w) / float(w @ w) if w.any() else math.nan
    error = f - scale * w
    return 10 * math.log10(max(scale * scale * float(w @ w), 1e-12) / max(float(error @ error), 1e-12))


def _level(gains: NDArray[np.float64], energy: NDArray[np.float64]) -> float:
    """dB of the energy that these gains of power leave; nan for silence."""
    if not energy.any():
        return math.nan
    share = float(gains @ energy) / float(energy.sum())
    return max(FLOOR_DB, 10 * math.log10(share)) if share > 0 else FLOOR_DB


def _equal(a: Audio, b: Audio) -> float:
    return float(np.mean(a == b)) if a.size else 1.0
