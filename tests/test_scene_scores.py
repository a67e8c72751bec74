"""The scores of a made scene: the truth is perfect in all of them, and a spoilt copy is worse where it should be."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from reasound.data.scenes.tasks import tasks
from reasound.data.scenes.truth import TrueScene
from reasound.evaluation.edits import joined, untouched
from reasound.evaluation.heard import Heard
from reasound.evaluation.scene_measures import MEASURES
from reasound.evaluation.scene_scores import (
    Truth,
    is_heard,
    of_control,
    of_edit,
    of_own_plan,
    of_plan,
    of_sound,
)
from reasound.evaluation.systems import Performance, moved, plans, reference, untimed
from reasound.evaluation.tags import TAGS
from reasound.perception.watch import unseen
from reasound.pipeline import Reasound
from reasound.plan import Ambience, Event, Plan
from reasound.timeline import SAMPLE_RATE

SECONDS = 4
N = SECONDS * SAMPLE_RATE
KNOCKS, BELLS = (0.5, 1.3, 2.6), (0.9, 3.1)


def struck(times, pitch, decay, left, right):
    """Decaying tones: [2, N]."""
    sound = np.zeros(N)
    for time in times:
        t = np.arange(N - round(time * SAMPLE_RATE)) / SAMPLE_RATE
        sound[-len(t) :] += np.sin(2 * np.pi * pitch * t) * np.exp(-t / decay)
    return np.stack([left * sound, right * sound]).astype(np.float32)


@pytest.fixture(scope="module")
def scene() -> TrueScene:
    events = (
        Event(id="knock", source="a stick", sound="knocks", sound_class="impact/wood", end=4, onsets=KNOCKS),
        Event(
            id="bell", source="a bell", sound="a bell", sound_class="bell/small", end=4, onsets=BELLS, pan=0.7
        ),
    )
    under = Ambience(id="wind", sound="wind", sound_class="weather/wind")
    plan = Plan(seconds=SECONDS, caption="a stick and a bell", events=events, ambience=(under,))
    noise = np.random.default_rng(0).standard_normal((2, N)) * 0.002
    stems = {
        "knock": struck(KNOCKS, 400, 0.05, 0.5, 0.25),
        "bell": struck(BELLS, 1800, 0.2, 0.08, 0.3),
        "wind": noise.astype(np.float32),
    }
    mix = np.asarray(sum(stems.values()), np.float32)
    made = tasks(plan, stems, np.random.default_rng(1))
    return TrueScene("s", "made", Fraction(SECONDS), None, plan, mix, stems, made)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def engine() -> Reasound:
    return Reasound()


@pytest.fixture(scope="module")
def truth(engine, scene) -> Truth:
    return Truth.of(engine, scene)


def scores(engine, truth, change):
    """Of the true layers, each changed."""
    whole = reference(truth.scene)
    layers = tuple(replace(layer, audio=change(layer.audio)) for layer in whole.layers)
    performance = Performance(layers if change(np.ones((2, 2))).any() else (), whole.plan)
    mix = performance.mastered(engine, N)
    return of_sound(performance, mix, Heard.of(mix.audio), truth)


PERFECT = {
    "onset_f1": 1, "onset_ap": 1, "onset_error": 0, "event_precision": 1, "event_recall": 1, "event_iou": 1,
    "pan_error": 0, "pan_side": 1, "level_error": 0, "tag_kl": 0, "spectral": 0, "mel": 0, "length_error": 0,
    "peak_over": 0, "speech_extra": 0, "music_extra": 0,
}  # fmt: skip


def test_the_truth_is_perfect_in_every_score(engine, truth):
    found = scores(engine, truth, lambda x: x)
    assert {name: found[name] for name in PERFECT} == pytest.approx(PERFECT, abs=1e-6)
    assert found["classes_heard"] in (1.0, None)
    assert found["stem_null"] < -100


def quieter(x):
    return x * np.float32(0.1)


def swapped(x):
    return x[::-1].copy()


def late(x):
    return np.roll(x, round(0.3 * SAMPLE_RATE), axis=1)


def silent(x):
    return np.zeros_like(x)


def noisy(x):
    return x + np.random.default_rng(2).standard_normal(x.shape).astype(np.float32) * np.float32(0.01)


@pytest.mark.parametrize(
    ("change", "worse", "same"),
    [
        (
            swapped,
            ("pan_error", "pan_side"),
            ("onset_f1", "event_iou", "mel", "spectral", "tag_kl", "level_error"),
        ),
        (late, ("onset_f1", "event_iou", "mel", "spectral"), ("speech_extra", "length_error")),
        (
            silent,
            ("onset_f1", "onset_ap", "event_recall", "event_iou", "mel", "tag_kl", "level_error"),
            ("speech_extra",),
        ),
        (noisy, ("mel", "spectral", "tag_kl", "event_iou"), ("length_error", "pan_side")),
        (quieter, (), ("onset_f1", "event_iou", "pan_error", "level_error", "tag_kl", "mel")),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_a_spoilt_copy_is_worse_in_what_should_notice_and_in_nothing_else(engine, truth, change, worse, same):
    found = scores(engine, truth, change)
    for name in worse:
        lower = MEASURES[name].better == "higher"
        assert (found[name] < PERFECT[name] - 0.05) if lower else (found[name] > PERFECT[name] + 0.05), name
    for name in same:
        assert found[name] == pytest.approx(PERFECT[name], abs=0.02), name


def test_a_renderer_that_plays_the_true_layers_follows_the_plan(scene):
    found, _ = of_control(reference(scene), scene)
    assert found["moment_f1"] == 1 and found["place_error"] == pytest.approx(0, abs=1e-9)
    assert found["place_side"] == 1
    layers = [replace(layer, audio=np.roll(layer.audio, 4410, 1)) for layer in reference(scene).layers]
    off, _ = of_control(Performance(tuple(layers), scene.plan), scene)
    assert off["moment_f1"] == 0


def test_a_plan_is_judged_by_its_events(scene):
    assert of_plan(scene.plan, scene.plan) == pytest.approx(
        {
            "plan_recall": 1, "plan_group_recall": 1, "plan_precision": 1, "plan_class": 1,
            "plan_onset_f1": 1, "plan_onset_error": 0, "plan_pan_error": 0,
        }
    )  # fmt: skip
    half = of_plan(scene.plan.only(["bell"]), scene.plan)
    assert half["plan_recall"] == 0.5 and half["plan_precision"] == 1
    assert half["plan_onset_f1"] == pytest.approx(2 * 2 / (2 + 5))


def test_the_right_answer_to_an_edit_is_perfect_and_doing_nothing_is_not(scene):
    assert {task.operation for task in scene.tasks} == {"add", "remove", "extract", "inpaint", "extend"}
    for task in scene.tasks:
        best, nothing = of_edit(task, task.answer, scene), of_edit(task, untouched(task), scene)
        assert best["edit_mel"] == 0 and best["edit_outside"] == -120 and best["edit_click"] == 0
        assert nothing["edit_mel"] > 0.05, task.operation
        assert best.get("edit_target", 0) == 0


def test_an_edit_leaves_what_is_outside_its_span_bit_for_bit(scene):
    rng = np.random.default_rng(3)
    for task in scene.tasks:
        given = untouched(task)
        result = joined(task, given, rng.standard_normal(given.shape).astype(np.float32))
        assert of_edit(task, result, scene)["edit_outside"] == -120
        first, last = (round(t * SAMPLE_RATE) for t in task.span)
        assert np.array_equal(result[:, :first], given[:, :first])
        assert np.array_equal(result[:, last:], given[:, last:])
        assert not np.array_equal(result[:, first:last], given[:, first:last])


def test_each_ablation_takes_away_what_it_says(scene):
    found = plans(Reasound(), unseen(float(SECONDS)), scene)
    assert found["plan given"] == scene.plan
    assert found[""] == found["no video"]  # nothing was seen in either
    assert not found["video alone"].events
    assert all(not e.onsets and (e.start, e.end) == (0, SECONDS) for e in found["no timeline"].events)
    assert [e.sound for e in found["no thought"].events] == [scene.plan.caption]
    assert untimed(scene.plan).events[0].sound == "knocks"
    other = found["wrong plan"]
    assert other.events[0].onsets == pytest.approx([SECONDS - t for t in reversed(KNOCKS)])
    assert not {e.sound_class.split("/")[0] for e in other.events} & {"impact", "bell"}
    assert Plan.model_validate(other.model_dump(by_alias=True)) == other


def test_a_sound_is_also_held_against_the_plan_that_it_followed(scene):
    true = reference(scene)
    heard = Heard.of(sum(scene.stems.values()))
    assert of_own_plan(true, heard)["own_moments"] == 1
    later = scene.plan.events[0].model_copy(update={"onsets": (0.2, 1.0, 2.0)})
    astray = Performance(true.layers, Plan(seconds=SECONDS, events=(later,), ambience=scene.plan.ambience))
    assert of_own_plan(astray, heard)["own_moments"] == 0
    assert of_own_plan(Performance(true.layers), heard) == {}


def test_a_moved_event_is_one_second_later_or_earlier_and_alone(scene):
    name, plan, by = moved(scene.plan)
    assert (name, by) == ("knock", 1.0) and [e.id for e in plan.events] == ["knock"]
    assert plan.events[0].onsets == pytest.approx([t + 1 for t in KNOCKS])
    late = scene.plan.model_copy(
        update={"events": (scene.plan.events[0].model_copy(update={"onsets": (1.2, 3.2, 3.5)}),)}
    )
    _, plan, by = moved(late)
    assert by == -1.0 and plan.events[0].onsets == pytest.approx([0.2, 2.2, 2.5])
    assert moved(untimed(scene.plan)) is None


def test_nothing_is_heard_in_silence():
    assert not any(is_heard(Heard.of(np.zeros((2, N), np.float32)), name) for name in TAGS)


def test_the_foreground_is_all_but_the_ambience(scene):
    front = reference(scene).foreground(N)
    assert np.allclose(front, scene.stems["knock"] + scene.stems["bell"])
    assert not Performance(()).foreground(N).any()
