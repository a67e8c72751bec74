"""What the product makes of the benchmark's edit tasks, and what an edit did: is the target there, or gone, and is the
rest as it was?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reasound.data.scenes.truth import Audio, Task
from reasound.evaluation.heard import Scores, defined
from reasound.evaluation.scores import FLOOR_DB, spectrogram
from reasound.plan import Event, Plan
from reasound.synthesis.editing import Edit, Editor, filled, laid_over
from reasound.synthesis.library import LibraryRenderer
from reasound.synthesis.model import ModelRenderer
from reasound.timeline import SAMPLE_RATE

GONE_DB = -12.0
"""Level of what should be gone, against what it was."""
KEPT_DB = 3.0
"""By how much the level of what should stay, or be there, may differ from the right one."""
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
    the right answer; edit_done, whether what should be gone is 12 dB down and what should stay is there within 3 dB,
    an added sound within 12. Silence fails, and so does the mixture, as it is or made anew.
    """
    first, last = (round(t * SAMPLE_RATE) for t in task.span)
    given = untouched(task)
    outside = np.r_[0 : min(first, task.given.shape[1]), last : task.given.shape[1]]
    scores: dict[str, float] = {"edit_identical": _equal(sound[:, outside], given[:, outside])}
    if not task.event:
        return defined(scores)
    part = slice(first, last)
    rest = (given if task.operation == "add" else given - target)[:, part]
    level, other = levels(sound[:, part], target[:, part], rest)
    if task.operation == "add":
        done = abs(level) <= -GONE_DB and not abs(other) > KEPT_DB  # nan: there was nothing else
    else:
        gone, kept = (level, other) if task.operation == "remove" else (other, level)
        done = not gone > GONE_DB and not abs(kept) > KEPT_DB
    scores |= {
        "edit_level": level,
        "edit_rest": other,
        "edit_sdr": si_sdr(sound[:, part], task.answer[:, part]),
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
