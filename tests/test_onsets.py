"""Onsets: sounds whose attacks are known, and scores that can be counted by hand."""

import math
from itertools import permutations

import numpy as np
import pytest

from reasound.evaluation.onsets import (
    audio_onsets,
    best_constant_rhythm,
    f1,
    match,
    pairs,
    precision_recall,
    shifted_f1,
    timing_error,
)

RATE = 44_100


def strikes(times, seconds=3.0, rate=RATE, pitch=700.0):
    """A struck note, dying away in 60 ms, at each time."""
    sound = np.zeros(int(seconds * rate), np.float32)
    for time in times:
        t = np.arange(len(sound) - int(time * rate)) / rate
        sound[int(time * rate) :] += np.exp(-t / 0.06) * np.sin(2 * np.pi * pitch * t)
    return sound


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_struck_notes_are_found_where_they_are_struck(rate):
    times = [0.2, 0.7, 0.95, 1.6, 2.8]
    found = audio_onsets(strikes(times, rate=rate), rate)
    assert len(found) == len(times)
    assert np.abs(found - times).max() < 0.015


def test_onsets_survive_steady_noise_gain_and_panning():
    times = [0.5, 1.1, 2.0]
    noise = 0.003 * np.random.default_rng(0).standard_normal(3 * RATE).astype(np.float32)
    found = audio_onsets(np.stack([np.zeros_like(noise), 1e-3 * (strikes(times) + noise)]), RATE)
    found = found[found > 0.05]  # the noise itself begins at 0
    assert len(found) == 3 and np.abs(found - times).max() < 0.015


def test_a_steady_or_slowly_swelling_sound_has_no_onset_after_its_start():
    t = np.arange(3 * RATE) / RATE
    noise = np.random.default_rng(0).standard_normal(3 * RATE)
    for sound in (
        np.sin(2 * np.pi * 440 * t),
        noise,
        noise * (0.2 + 0.8 * t / 3),
        np.zeros(RATE),
        np.zeros(0),
    ):
        assert not np.any(audio_onsets(sound, RATE) > 0.05)


def test_a_lower_sensitivity_finds_softer_rises():
    t = np.arange(2 * RATE) / RATE
    step = np.random.default_rng(1).standard_normal(2 * RATE) * np.where(t < 1, 1, 10 ** (6 / 20))
    assert not np.any(audio_onsets(step, RATE, 8.0) > 0.05)
    assert audio_onsets(step, RATE, 4.0)[-1] == pytest.approx(1.0, abs=0.02)


def test_audio_must_have_a_rate_and_at_most_channels_and_samples():
    with pytest.raises(ValueError, match="positive rate"):
        audio_onsets(np.zeros(10), 0)
    with pytest.raises(ValueError, match="channels"):
        audio_onsets(np.zeros((1, 2, 3)), RATE)


def test_match_is_one_to_one():
    assert match([1.0, 1.01, 1.02], [1.0]) == (1, 2, 0)
    assert match([], [1.0, 2.0]) == (0, 0, 2)
    assert match([1.1], [1.0]) == (1, 0, 0)  # the tolerance itself is within it
    assert match([1.11], [1.0]) == (0, 1, 1)
    # Nearest first would pair 1.05 with 1.1 and lose two of the three.
    assert match([0.95, 1.05, 1.15], [1.03, 1.1, 1.24]) == (3, 0, 0)
    assert pairs([0.0, 1.0, 1.05], [1.06]) == [(2, 0)]  # of two that would do, the closer


def test_pairs_are_the_best_of_all_possible_pairings():
    draw = np.random.default_rng(0)
    for _ in range(50):
        a, b = np.sort(draw.uniform(0, 0.6, 4)), np.sort(draw.uniform(0, 0.6, 5))
        every = [[abs(a[i] - b[j]) for i, j in enumerate(p)] for p in permutations(range(5), 4)]
        best = max((sum(d <= 0.1 for d in ds), -sum(d for d in ds if d <= 0.1)) for ds in every)
        chosen = [abs(a[i] - b[j]) for i, j in pairs(a, b)]
        assert (len(chosen), -sum(chosen)) == pytest.approx(best)


def test_scores_of_known_counts():
    found, wanted = [1.0, 2.03, 3.5], [1.02, 2.0, 3.0, 4.0]
    assert match(found, wanted) == (2, 1, 2)
    assert f1(found, wanted) == pytest.approx(4 / 7)
    assert precision_recall(found, wanted) == pytest.approx((2 / 3, 1 / 2))
    assert timing_error(found, wanted) == pytest.approx(0.025)
    assert f1([], []) == 1.0 and f1([1.0], []) == 0.0 and math.isnan(timing_error([], [1.0]))


def test_a_steady_beat_is_its_own_best_rhythm_and_two_events_of_one_are_not():
    assert best_constant_rhythm(np.arange(0.37, 10, 0.631), 10) == 1.0
    assert best_constant_rhythm([0.5, 1.0, 4.2, 9.9], 10) < 0.8
    assert best_constant_rhythm([], 10) == 0.0


def test_best_rhythm_agrees_with_a_slow_search():
    wanted = np.array([0.2, 0.5, 1.3, 1.4, 2.6])
    slow = max(
        f1(np.arange(phase, 3, period), wanted)
        for period in np.geomspace(0.1, 3, 60)
        for phase in np.arange(0, period, 0.05)
    )
    assert slow <= best_constant_rhythm(wanted, 3) <= slow + 0.15


def test_shifting_a_train_by_its_period_changes_nothing_and_by_half_ruins_it():
    beat = np.arange(0.25, 10, 0.5)
    assert shifted_f1(beat, beat, 10, shifts=19) == pytest.approx(1.0)  # every shift is 0.5 s
    assert shifted_f1(beat, beat, 10, shifts=1) == pytest.approx(1.0)
    assert shifted_f1([1.0], [1.0], 10, shifts=9) == 0.0


@pytest.mark.parametrize("kind", ["click", "burst", "pluck", "thump"])
def test_times_are_true_from_the_first_second_to_the_last(kind):
    rng = np.random.default_rng(0)
    n = np.arange(8_000) / RATE
    sound = {
        "click": (n == 0) * 1.0,
        "burst": rng.standard_normal(8_000) * np.exp(-n / 0.03),
        "pluck": np.sin(2 * np.pi * 400 * n) * np.exp(-n / 0.1),
        "thump": np.sin(2 * np.pi * 80 * n) * np.exp(-n / 0.05),
    }[kind]
    audio = 1e-4 * rng.standard_normal(10 * RATE)
    struck = np.round((0.5 + 0.75 * np.arange(12) + rng.uniform(0, 0.1, 12)) * RATE).astype(int)
    for at in struck:
        audio[at : at + 8_000] += 0.3 * sound
    found = audio_onsets(audio, RATE)
    errors = np.array([found[np.abs(found - t).argmin()] - t for t in struck / RATE])
    assert np.abs(errors).max() < 0.006 and abs(errors.mean()) < 0.003
    assert abs(np.polyfit(struck / RATE, errors, 1)[0]) < 0.0006  # seconds a second
