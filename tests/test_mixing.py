import numpy as np
import pytest

import clips
from reasound.mixing.layers import MOST_LIMITING, master, mix, stems
from reasound.mixing.loudness import loudness, true_peak
from reasound.take import Layer

RATE = 44_100


def layer(name, audio, **settings):
    return Layer(name, np.asarray(audio, np.float32), (name,), 0, "library", **settings)


def noise(seed, seconds=3.0, level=0.05):
    return level * np.random.default_rng(seed).standard_normal((2, round(seconds * RATE)))


def clicks(seconds=4.0):
    sound = np.zeros((2, round(seconds * RATE)))
    for start in range(2000, sound.shape[1] - 400, RATE):
        sound[:, start : start + 300] = np.exp(-np.arange(300) / 40) * np.sin(np.arange(300) * 0.7)
    return sound


def test_gain_is_in_decibels_and_layers_add_up():
    a, b = noise(1), noise(2)
    mixed = mix([layer("a", a, gain=-6.0206), layer("b", b, gain=20.0)])
    np.testing.assert_allclose(mixed, 0.5 * a + 10 * b, atol=2e-6)
    assert mixed.dtype == np.float32


def test_pan_moves_a_layer():
    left, right = mix([layer("a", noise(1), pan=-1.0)])
    assert np.abs(right).max() < 1e-6 < np.abs(left).max()


@pytest.mark.parametrize(
    "settings, heard",
    [
        ([{}, {}, {}], [1, 1, 1]),
        ([{"mute": True}, {}, {}], [0, 1, 1]),
        ([{}, {"solo": True}, {}], [0, 1, 0]),
        ([{"solo": True}, {"solo": True}, {"mute": True}], [1, 1, 0]),
        ([{"solo": True, "mute": True}, {}, {}], [0, 0, 0]),
    ],
)
def test_mute_and_solo(settings, heard):
    layers = [layer(str(k), noise(k), **s) for k, s in enumerate(settings)]
    parts = stems(layers)
    assert [int(np.any(part)) for part in parts] == heard
    np.testing.assert_array_equal(mix(layers), sum(parts))


@pytest.mark.parametrize("target, peak", [(-23.0, -1.0), (-14.0, -1.0), (-30.0, -6.0)])
def test_the_mix_is_as_loud_as_it_was_asked_to_be(target, peak):
    mastered = master([layer("a", noise(1), pan=0.4), layer("b", 0.3 * clicks(3.0), gain=-3)], target, peak)
    assert mastered.loudness == pytest.approx(target, abs=0.1)
    assert mastered.loudness == pytest.approx(loudness(mastered.audio), abs=1e-6)
    assert mastered.true_peak == pytest.approx(true_peak(mastered.audio), abs=1e-6)
    assert mastered.true_peak <= peak + 0.05


def test_stems_sum_to_the_mix_also_where_the_limiter_works():
    layers = [layer("a", noise(1)), layer("b", clicks(3.0), pan=-0.7), layer("c", noise(3), mute=True)]
    mastered = master(layers, -14)
    assert mastered.curve.min() < 0.95 * mastered.curve.max()
    np.testing.assert_allclose(sum(part.audio for part in mastered.layers), mastered.audio, atol=1e-6)
    np.testing.assert_allclose(mastered.audio, mix(layers) * mastered.curve, atol=1e-6)


def test_gain_and_pan_are_in_the_mastered_layers_and_not_applied_twice():
    mastered = master([layer("a", noise(1), gain=-9, pan=0.6), layer("b", noise(2), pan=-0.7)], -23)
    np.testing.assert_allclose(mix(mastered.layers), mastered.audio, atol=1e-6)


def test_a_few_clicks_stay_quieter_than_asked_and_say_so():
    mastered = master([layer("a", clicks())], -10, -1)
    assert mastered.loudness < -20
    assert mastered.loudness == pytest.approx(loudness(mastered.audio), abs=1e-6)
    assert mastered.true_peak == pytest.approx(-1, abs=0.1)
    # No peak was turned down by more than that against the rest.
    assert 20 * np.log10(mastered.curve.max() / mastered.curve.min()) <= MOST_LIMITING + 0.2


@pytest.mark.parametrize("samples", [0, 1, 1000, RATE])
def test_silence_stays_silence(samples):
    mastered = master([layer("a", np.zeros((2, samples))), layer("b", np.zeros((2, samples)))])
    assert mastered.audio.shape == (2, samples) and not mastered.audio.any()
    assert mastered.loudness is None and mastered.true_peak is None


def test_no_layers_are_no_sound():
    mastered = master([])
    assert mastered.audio.shape == (2, 0) and mastered.layers == ()


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.39, 0.41])
def test_very_short_sound_reaches_its_loudness_too(seconds):
    mastered = master([layer("a", clips.sine(seconds, 997))], -23)
    assert mastered.loudness == pytest.approx(-23, abs=0.1)


def test_layers_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="equally long"):
        mix([layer("a", noise(1)), layer("b", noise(1, 2.0))])
    with pytest.raises(ValueError, match="stereo"):
        mix([layer("a", np.zeros((1, 50)))])


def test_the_layers_given_are_left_as_they_were():
    given = layer("a", noise(1), gain=6.0, pan=0.5)
    before = given.audio.copy()
    made = master([given]).layers[0]
    np.testing.assert_array_equal(given.audio, before)
    assert (made.gain, made.pan, made.name, made.events) == (0.0, 0.0, "a", ("a",))
