"""Bounds of a mean: against scipy's bootstrap, against the normal distribution, and in the corners."""

import math

import numpy as np
import pytest
import scipy.stats

from reasound.evaluation.statistics import interval, paired

VALUES = np.random.default_rng(0).normal(3, 2, 200)


def test_the_bounds_are_those_of_scipy():
    theirs = scipy.stats.bootstrap(
        (VALUES,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    mean, low, high = interval(VALUES, 2, draws=20_000)
    assert mean == pytest.approx(VALUES.mean(), abs=1e-12)
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


@pytest.mark.parametrize(("level", "deviations"), [(0.95, 1.960), (0.5, 0.6745)])
def test_the_bounds_of_many_values_are_those_of_a_normal_distribution(level, deviations):
    mean, low, high = interval(VALUES, 0, level=level, draws=20_000)
    error = VALUES.std() / math.sqrt(len(VALUES))
    assert (high - mean) / error == pytest.approx(deviations, abs=0.06)
    assert (mean - low) / error == pytest.approx(deviations, abs=0.06)


def test_the_same_seed_gives_the_same_digits_and_another_seed_others():
    assert interval(VALUES, 7) == interval(list(VALUES), 7) == interval(VALUES, np.random.default_rng(7))
    assert interval(VALUES, 7) != interval(VALUES, 8)


def test_many_items_are_drawn_in_parts():
    items = np.arange(50_000) % 2
    mean, low, high = interval(items, 0, draws=100)
    assert mean == 0.5 and 0.494 < low < 0.5 < high < 0.506


def test_one_value_and_equal_values_have_no_width_and_no_value_is_no_number():
    assert interval([0.1], 0) == (0.1, 0.1, 0.1)
    assert interval([0.1] * 3, 0) == (0.1, 0.1, 0.1)
    assert all(math.isnan(bound) for bound in interval([], 0))


@pytest.mark.parametrize("gap", [math.nan, math.inf])
def test_what_has_no_number_must_be_left_out_before(gap):
    with pytest.raises(ValueError, match="leave it out"):
        interval([1.0, gap], 0)


def test_pairs_take_out_what_is_hard_for_both():
    draw = np.random.default_rng(3)
    hard = {f"clip{n}": value for n, value in enumerate(draw.normal(0, 10, 50))}
    better = {name: value + 0.5 + 0.1 * draw.standard_normal() for name, value in hard.items()}
    difference, low, high = paired(better, hard, 0)
    assert difference == pytest.approx(0.5, abs=0.05)
    assert 0.4 < low < difference < high < 0.6  # alone, either mean is uncertain by 3
    back = paired(hard, better, 0)
    assert back == pytest.approx((-difference, -high, -low), abs=1e-12) or back[0] == pytest.approx(
        -difference
    )


def test_only_items_that_both_have_count_in_whatever_order_they_stand():
    a, b = {"x": 3.0, "y": 1.0, "only here": 99.0}, {"y": 0.0, "x": 0.0, "only there": -99.0}
    assert paired(a, b, 0)[0] == 2.0
    assert paired(a, b, 0) == paired(dict(reversed(a.items())), b, 0)
    assert all(math.isnan(bound) for bound in paired({"x": 1.0}, {"y": 1.0}, 0))
