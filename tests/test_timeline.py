"""The clock, against arithmetic on paper and the numbers of the released configuration."""

from fractions import Fraction

import pytest

from reasound.timeline import SAMPLES_PER_LATENT, Timeline, samples


def test_nine_seconds_are_what_the_released_model_counts():
    clock = Timeline(9)
    assert (clock.samples, clock.released_latents, clock.visual, clock.sync) == (396_900, 194, 72, 216)


@pytest.mark.parametrize("seconds", [0.04, 0.1, 0.4, 1, 5.005, 9, 10.024, 61])
def test_the_latents_cover_the_clip_and_no_more(seconds):
    clock = Timeline(seconds)
    assert 0 <= clock.latents * SAMPLES_PER_LATENT - clock.samples < SAMPLES_PER_LATENT


def test_a_fraction_is_counted_exactly():
    assert samples(Fraction(150 * 1001, 30_000)) == 220_720  # 5.005 s: 220720.5 rounds to even
    assert samples(Fraction(1, 3)) == 14_700


def test_a_moment_lies_in_the_latent_that_holds_it():
    clock = Timeline(2)
    assert clock.latent_at(0.0) == 0
    assert clock.latent_at(SAMPLES_PER_LATENT / 44_100) == 1
    assert clock.latent_at(99.0) == clock.latents - 1
