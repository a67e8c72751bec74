"""The scores of one made scene: of a sound, of a renderer that follows the true plan, of a plan, of an edit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reasound.data.scenes.truth import Audio, Task, TrueScene
from reasound.evaluation import plan_scores
from reasound.evaluation.edits import of_target, untouched
from reasound.evaluation.heard import CLEAR_DB, Heard, Scores, defined
from reasound.evaluation.onsets import (
    Seconds,
    audio_onsets,
    average_precision,
    f1,
    onsets_with_strength,
    timing_error,
)
from reasound.evaluation.scores import (
    Floats,
    Span,
    activity,
    duration_error,
    event_scores,
    k_energy,
    level_error,
    log_spectral_distance,
    mel_distance,
    pan_error,
    presence,
    repeated,
    residual_outside,
    seam,
    spectrogram,
    stem_null,
)
from reasound.evaluation.systems import ROOM, Made, Performance, moved, reference
from reasound.evaluation.tag_scores import class_kl
from reasound.evaluation.tags import heard
from reasound.mixing.layers import Mastered
from reasound.pipeline import LOUDNESS, PEAK, Reasound
from reasound.plan import Plan
from reasound.timeline import SAMPLE_RATE, samples

MOMENT = 0.05
"""Seconds: how far from the moment that was asked for a renderer's hit may be."""
UNCHANGED_DB = -60.0
"""Difference of two layers below which they are taken for the same: sums in another order differ by 1e-5."""
SHORTEST = 0.1
"""Seconds of an edit's span that are compared at least."""


@dataclass(frozen=True)
class Truth:
    """What the right sound of a scene measures, once."""

    scene: TrueScene
    mix: Audio
    """As loud as every system's."""
    heard: Heard
    front: Audio
    """The events without the ambience."""
    onsets: Seconds
    active: list[Span]
    spans: list[Span]
    """Of the events."""
    spectrum: Floats
    energy: NDArray[np.float64]
    classes: tuple[str, ...]
    """Those in the scene that YAMNet hears in it."""

    @classmethod
    def of(cls, engine: Reasound, scene: TrueScene) -> Truth:
        performance = reference(scene)
        mix = engine.mix(performance.layers, LOUDNESS, PEAK).audio
        sound, front = Heard.of(mix), performance.foreground(mix.shape[1])
        named = [e.sound_class for e in scene.plan.events] + [a.sound_class for a in scene.plan.ambience]
        return cls(
            scene=scene,
            mix=mix,
            heard=sound,
            front=front,
            onsets=audio_onsets(front, SAMPLE_RATE),
            active=activity(front, SAMPLE_RATE),
            spans=[span for event in scene.plan.events for span in inside(event.spans(), scene.plan)],
            spectrum=spectrogram(mix, SAMPLE_RATE),
            energy=k_energy(front, SAMPLE_RATE),
            classes=tuple(c for c in dict.fromkeys(named) if is_heard(sound, c)),
        )


def inside(spans: Sequence[Span], plan: Plan) -> list[Span]:
    """Cut off where the plan ends."""
    return [(start, min(end, plan.seconds)) for start, end in spans]


def is_heard(sound: Heard, sound_class: str) -> bool:
    """Whether one of the best tags means this class; nothing is heard in silence."""
    return heard(sound_class, sound.tags)


def of_sound(performance: Performance, mix: Mastered, sound: Heard, truth: Truth) -> Scores:
    """A system's sound against the truth; `mix` and `sound` are the performance at everybody's loudness."""
    front = performance.foreground(truth.mix.shape[1])
    times, strengths = onsets_with_strength(front, SAMPLE_RATE)
    clear = times[strengths >= CLEAR_DB]
    precision, recall, iou = event_scores(activity(front, SAMPLE_RATE), truth.active)
    pan, side = pan_error(front, truth.front, truth.spans, SAMPLE_RATE)
    energy, spectrum = k_energy(front, SAMPLE_RATE), spectrogram(mix.audio, SAMPLE_RATE)
    silent = not mix.layers
    return defined(
        {
            "onset_f1": f1(clear, truth.onsets),
            "onset_ap": average_precision(times, strengths, truth.onsets),
            "onset_error": 1000 * timing_error(clear, truth.onsets),
            "event_precision": precision,
            "event_recall": recall,
            "event_iou": iou,
            "pan_error": pan,
            "pan_side": side,
            "level_error": level_error(energy, truth.energy, SAMPLE_RATE, truth.spans, relative=True),
            "classes_heard": _mean([is_heard(sound, c) for c in truth.classes]),
            "tag_kl": class_kl(truth.heard.windows, sound.windows),
            "spectral": log_spectral_distance(spectrum, truth.spectrum),
            "mel": mel_distance(spectrum, truth.spectrum, SAMPLE_RATE),
            "loudness_off": math.nan if mix.loudness is None else abs(mix.loudness - LOUDNESS),
            "peak_over": math.nan if mix.true_peak is None else max(0.0, mix.true_peak - PEAK),
            "length_error": abs(duration_error(mix.audio, truth.scene.seconds, SAMPLE_RATE)),
            "stem_null": math.nan if silent else stem_null([a.audio for a in mix.layers], mix.audio),
            "speech_extra": _extra("speech", sound, truth.heard),
            "music_extra": _extra("music", sound, truth.heard),
        }
    )


def of_own_plan(performance: Performance, sound: Heard) -> Scores:
    """How much of the plan that a system followed is heard in its sound, right or wrong as the plan may be."""
    plan = performance.plan
    if plan is None or not plan.events:
        return {}
    asked = plan_scores.plan_onsets(plan)
    front = performance.foreground(samples(plan.seconds))
    named = [e.sound_class for e in plan.events if e.sound_class]
    scores = {
        "own_moments": f1(audio_onsets(front, SAMPLE_RATE), asked, MOMENT) if len(asked) else math.nan,
        "own_classes": _mean([is_heard(sound, c) for c in named]),
    }
    return defined(scores)


def _extra(what: str, sound: Heard, truth: Heard) -> float:
    return max(0.0, (sound.levels[what] or 0.0) - (truth.levels[what] or 0.0))


def of_control(performance: Performance, scene: TrueScene) -> tuple[Scores, list[tuple[str, bool]]]:
    """How well a renderer plays each event and ambience of the true plan, layer by layer. Also (class, heard) of those
    whose class is heard in the true layer."""
    ours = {layer.name: layer.audio for layer in performance.layers}
    moments, errors, sides = [], [], []
    right: list[tuple[str, bool]] = []
    named = [(e.id, e.sound_class) for e in scene.plan.events]
    named += [(a.id, a.sound_class) for a in scene.plan.ambience]
    for name, sound_class in named:
        if is_heard(Heard.of(scene.stems[name]), sound_class):
            right.append((sound_class, is_heard(Heard.of(ours[name]), sound_class)))
    for event in scene.plan.events:
        sound, wanted = ours[event.id], scene.stems[event.id]
        if event.onsets:
            asked = audio_onsets(wanted, SAMPLE_RATE)
            moments.append(f1(audio_onsets(sound, SAMPLE_RATE), asked, MOMENT))
        error, side = pan_error(sound, wanted, inside(event.spans(), scene.plan), SAMPLE_RATE)
        errors.append(error)
        sides.append(side)
    scores = {
        "moment_f1": _mean(moments),
        "place_error": _mean(errors),
        "place_side": _mean(sides),
        "sound_right": _mean([yes for _, yes in right]),
    }
    return defined(scores), right


def of_repetition(
    engine: Reasound, performance: Performance, scene: TrueScene, made: Made, seed: int, steps: int
) -> Scores:
    """Whether the true plan, played again, gives the same bytes; moves what it moves; and leaves alone what it leaves.

    repeats: played twice, every layer is equal byte for byte. moved: one event a second later or earlier in the plan
    is heard a second later or earlier (onset F1 of .5 or more at 50 ms). removed: without one event, all other layers
    are as they were.
    """
    before = {layer.name: layer.audio for layer in performance.layers}

    def play(plan: Plan) -> dict[str, Audio]:
        layers = engine.render(plan, scene.seconds, seed, None, made, steps)
        return {layer.name: layer.audio for layer in layers}

    again = play(scene.plan)
    scores = {"repeats": float(all(repeated(again[name], audio)[0] for name, audio in before.items()))}
    change = moved(scene.plan)
    if change is not None:
        name, plan, by = change
        earlier, later = (
            audio_onsets(before[name], SAMPLE_RATE) + by,
            audio_onsets(play(plan)[name], SAMPLE_RATE),
        )
        fits = earlier[(earlier > 0) & (earlier < scene.plan.seconds - ROOM + MOMENT)]
        scores["moved"] = float(len(fits) > 0 and f1(later, fits, MOMENT) >= 0.5)
    others = [name for name in before if name != scene.plan.events[0].id]
    if others:
        without = play(scene.plan.only(others))
        apart = [residual_outside(without[name], before[name], (0.0, 0.0), SAMPLE_RATE) for name in others]
        scores["removed"] = float(without.keys() == set(others) and max(apart) <= UNCHANGED_DB)
    return defined(scores)


def of_plan(plan: Plan, truth: Plan) -> Scores:
    precision, recall = plan_scores.event_precision_recall(plan, truth)
    _, loosely = plan_scores.event_precision_recall(plan, truth, by_group=True)
    return defined(
        {
            "plan_recall": recall,
            "plan_group_recall": loosely,
            "plan_precision": precision,
            "plan_class": plan_scores.class_accuracy(plan, truth),
            "plan_onset_f1": plan_scores.onset_f1(plan, truth),
            "plan_onset_error": 1000 * plan_scores.onset_error(plan, truth),
            "plan_pan_error": plan_scores.pan_error(plan, truth),
        }
    )


def of_edit(task: Task, sound: Audio, scene: TrueScene) -> Scores:
    """An answer to an edit task; `edit_target` only where the task names an event."""
    first = round(task.span[0] * SAMPLE_RATE)
    part = slice(first, max(round(task.span[1] * SAMPLE_RATE), first + round(SHORTEST * SAMPLE_RATE)))
    found, wanted = (spectrogram(audio[:, part], SAMPLE_RATE) for audio in (sound, task.answer))
    step, jump = seam(sound, SAMPLE_RATE, task.span)
    usual_step, usual_jump = seam(task.answer, SAMPLE_RATE, task.span)
    scores = {
        "edit_outside": residual_outside(sound, untouched(task), task.span, SAMPLE_RATE),
        "edit_mel": mel_distance(found, wanted, SAMPLE_RATE),
        "edit_click": max(0.0, step - usual_step),
        "edit_jump": max(0.0, jump - usual_jump),
    }
    if task.event:
        target = spectrogram(scene.stems[task.event][:, part], SAMPLE_RATE)
        scores["edit_target"] = abs(presence(found, target) - presence(wanted, target))
    return defined(scores) | of_target(task, sound, scene.stems.get(task.event, sound))


def _mean(values: Sequence[float]) -> float:
    """Of those that are numbers; nan without one."""
    numbers = [float(value) for value in values if math.isfinite(value)]
    return float(np.mean(numbers)) if numbers else math.nan
