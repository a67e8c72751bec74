"""Edit tasks: the right answer follows from the stems, and nothing changes outside the span."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from reasound.data.scenes.tasks import _SAID, tasks, total
from reasound.data.scenes.truth import OPERATIONS
from reasound.plan import Ambience, Event, Plan

RATE = 44_100
SECONDS = 6.0


def burst(first, last, seconds=SECONDS, level=0.1, seed=0):
    """Noise between two times, exactly nothing else."""
    out = np.zeros((2, round(seconds * RATE)), np.float32)
    a, b = round(first * RATE), round(last * RATE)
    noise = np.random.default_rng(seed).standard_normal((2, b - a))
    out[:, a:b] = level * noise.astype(np.float32)
    return out


DOG = Event(id="dog", source="a dog", sound="a dog barks", sound_class="animal/dog", end=6, onsets=(1.0, 2.5))
BELL = Event(id="bell", source="a bell", sound="a bell rings", sound_class="bell/small", end=6, onsets=(4.0,))
SAW = Event(
    id="saw", source="a saw", sound="someone saws", sound_class="tool/hand_saw", start=0.5, end=5.2, onsets=()
)
RAIN = Ambience(id="rain", sound="steady rain", sound_class="weather/rain")


def scene(seconds=SECONDS):
    plan = Plan(seconds=seconds, events=(DOG, BELL), ambience=(RAIN,))
    stems = {
        "dog": burst(1, 3, seed=1),
        "bell": burst(4, 5.5, seed=2),
        "rain": burst(0, 6, level=0.02, seed=3),
    }
    return plan, stems


def by_operation(plan, stems, seed):
    return {task.operation: task for task in tasks(plan, stems, np.random.default_rng(seed))}


def outside(task):
    first, last = (round(t * RATE) for t in task.span)
    return np.r_[0:first, last : task.given.shape[1]]


@pytest.mark.parametrize("seed", range(12))
def test_every_answer_follows_from_the_stems(seed):
    plan, stems = scene()
    mix = total(stems.values())
    found = by_operation(plan, stems, seed)
    assert tuple(found) == OPERATIONS
    add, remove, extract = found["add"], found["remove"], found["extract"]
    for task, without, whole in ((add, add.given, add.answer), (remove, remove.answer, remove.given)):
        np.testing.assert_array_equal(whole, mix)
        np.testing.assert_allclose(without + stems[task.event], mix, atol=1e-6)
        assert without.shape == mix.shape
    np.testing.assert_array_equal(extract.given, mix)
    np.testing.assert_array_equal(extract.answer, stems[extract.event])
    assert extract.span == (0.0, SECONDS)
    for operation in ("inpaint", "extend"):
        np.testing.assert_array_equal(found[operation].answer, mix)
        assert found[operation].event == ""


@pytest.mark.parametrize("seed", range(12))
def test_only_the_span_changes_and_it_does_change(seed):
    plan, stems = scene()
    for task in tasks(plan, stems, np.random.default_rng(seed)):
        assert 0 <= task.span[0] < task.span[1] <= SECONDS
        n = task.given.shape[1]
        same = outside(task)
        np.testing.assert_array_equal(task.given[:, same], task.answer[:, :n][:, same])
        first, last = (round(t * RATE) for t in task.span)
        padded = np.pad(task.given, ((0, 0), (0, task.answer.shape[1] - n)))
        change = np.abs(padded - task.answer)[:, first:last].max()
        assert change > 0.05, task.operation


def test_the_span_of_a_sound_is_where_it_is_heard_to_the_millisecond():
    plan, stems = scene()
    spans = {"dog": (1.0, 3.0), "bell": (4.0, 5.5), "rain": (0.0, 6.0)}
    seen = set()
    for seed in range(20):
        for operation in ("add", "remove"):
            task = by_operation(plan, stems, seed)[operation]
            seen.add(task.event)
            assert task.span == pytest.approx(spans[task.event], abs=1.1e-3)
    assert seen == set(spans)


@pytest.mark.parametrize("seed", range(12))
def test_a_gap_is_silent_inside_and_its_fades_are_inside_too(seed):
    task = by_operation(*scene(), seed)["inpaint"]
    first, last = (round(t * RATE) for t in task.span)
    assert 1.0 <= round(task.span[1] - task.span[0], 6) <= 2.0
    assert task.span[0] >= 0.3 and task.span[1] <= SECONDS - 0.3
    fade = round(0.02 * RATE)
    assert not task.given[:, first + fade : last - fade].any()
    gain = np.abs(task.given[0, first : first + fade]) / np.abs(task.answer[0, first : first + fade])
    assert all(a >= b - 1e-3 for a, b in pairwise(gain)) and gain[0] > 0.99


@pytest.mark.parametrize("seed", range(6))
def test_what_is_extended_is_the_beginning(seed):
    task = by_operation(*scene(), seed)["extend"]
    n = task.given.shape[1]
    assert 0.6 <= n / task.answer.shape[1] <= 0.701
    assert task.span == (n / RATE, SECONDS)
    np.testing.assert_array_equal(task.given, task.answer[:, :n])


def test_a_gap_is_where_something_is_heard():
    plan = Plan(seconds=SECONDS, events=(BELL,))
    stems = {"bell": burst(4, 4.3)}
    for seed in range(10):
        task = by_operation(plan, stems, seed)["inpaint"]
        assert task.span[0] < 4.3 and task.span[1] > 4.0
        assert task.target == "a bell rings"


def test_one_sound_alone_leaves_gap_and_continuation():
    plan = Plan(seconds=SECONDS, events=(SAW,))
    assert list(by_operation(plan, {"saw": burst(0.5, 5.2)}, 0)) == ["inpaint", "extend"]


def test_silence_allows_nothing_and_what_ends_early_no_continuation():
    plan = Plan(seconds=SECONDS, events=(DOG,))
    assert by_operation(plan, {"dog": burst(1, 1)}, 0) == {}
    assert list(by_operation(plan, {"dog": burst(1, 3)}, 0)) == ["inpaint"]


def test_a_short_clip_has_no_gap():
    plan = Plan(seconds=2.4, events=(DOG.model_copy(update={"end": 2.4, "onsets": (1.0,)}),))
    assert list(by_operation(plan, {"dog": burst(0, 2.4, seconds=2.4)}, 0)) == ["extend"]


def test_what_would_not_be_missed_is_not_asked_for():
    plan, stems = scene()
    stems["dog"] = stems["dog"] * 1e-3
    events = {task.event for seed in range(20) for task in by_operation(plan, stems, seed).values()}
    assert events == {"", "bell", "rain"}


def test_two_of_a_kind_cannot_be_told_apart_by_words():
    other = DOG.model_copy(update={"id": "dog2", "sound": "a big dog barks"})
    plan = Plan(seconds=SECONDS, events=(DOG, other), ambience=(RAIN,))
    stems = {"dog": burst(1, 3, seed=1), "dog2": burst(4, 5, seed=2), "rain": burst(0, 6, level=0.02)}
    events = {task.event for seed in range(20) for task in by_operation(plan, stems, seed).values()}
    assert events == {"", "rain"}


def test_the_same_seed_asks_for_the_same():
    plan, stems = scene()
    one, two, other = (tasks(plan, stems, np.random.default_rng(seed)) for seed in (5, 5, 6))
    for a, b in zip(one, two, strict=True):
        assert (a.operation, a.instruction, a.event, a.span) == (b.operation, b.instruction, b.event, b.span)
        np.testing.assert_array_equal(a.given, b.given)
    assert [t.instruction for t in one] != [t.instruction for t in other]


def test_instructions_are_plain_words_with_the_right_numbers():
    plan, stems = scene()
    said = {}
    for seed in range(45):
        for task in tasks(plan, stems, np.random.default_rng(seed)):
            said.setdefault((task.operation, task.event), set()).add(task.instruction)
            if task.operation == "inpaint":
                start, end = (f"{t:.1f}".removesuffix(".0") for t in task.span)
                assert f" {start} " in task.instruction and f" {end} s" in task.instruction
    assert "take out the barks" in said["remove", "dog"]
    assert "add barks at 1 and 2.5 s" in said["add", "dog"]
    assert "add a small bell at 4 s" in said["add", "bell"]
    assert "keep only the small bell" in said["extract", "bell"]
    assert "add rain in the background" in said["add", "rain"]
    assert "make it 6 s long" in said["extend", ""]
    assert not any("{" in text for texts in said.values() for text in texts)
    for (operation, event), texts in said.items():
        if operation in ("remove", "extract") and event:
            assert len(texts) >= len(_SAID[operation]) - 2


def test_a_lasting_sound_is_added_from_when_to_when():
    plan = Plan(seconds=SECONDS, events=(SAW,), ambience=(RAIN,))
    stems = {"saw": burst(0.5, 5.2, seed=1), "rain": burst(0, 6, level=0.02)}
    said = {by_operation(plan, stems, seed)["add"].instruction for seed in range(12)}
    assert any("sawing from 0.5 to 5.2 s" in text for text in said)


def test_what_is_given_does_not_share_memory_with_the_stems():
    plan, stems = scene()
    for task in tasks(plan, stems, np.random.default_rng(0)):
        assert not any(np.shares_memory(a, s) for a in (task.given, task.answer) for s in stems.values()), (
            task.operation
        )


def test_stems_that_are_not_of_the_plan_are_refused():
    plan, stems = scene()
    with pytest.raises(ValueError, match="cat"):
        tasks(plan, {"cat": stems["dog"]}, np.random.default_rng(0))
    with pytest.raises(ValueError, match="stems"):
        tasks(plan, {}, np.random.default_rng(0))
