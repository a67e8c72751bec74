import math

import numpy as np
import pytest

from reasound.mixing.spatial import (
    FARTHEST,
    NEAREST,
    ROOMS,
    fast_length,
    impulse_response,
    pan_stereo,
    place,
    reverb,
    tail,
)
from reasound.plan import Acoustics

RATE = 44_100
DRY = Acoustics(space="room", reverb=0.0)


def noise(seconds=1.0, seed=0, channels=2):
    sound = 0.1 * np.random.default_rng(seed).standard_normal((channels, round(seconds * RATE)))
    return sound.astype(np.float32)


def power(audio):
    return np.mean(np.asarray(audio, float) ** 2, axis=-1)


def band(audio, low, high):
    spectrum = np.fft.rfft(audio)
    frequency = np.fft.rfftfreq(audio.shape[-1], 1 / RATE)
    spectrum[..., (frequency < low) | (frequency >= high)] = 0
    return np.fft.irfft(spectrum, audio.shape[-1])


def decay(response, frequency):
    """RT60 in seconds around a frequency: slope of the Schroeder integral from -5 to -25 dB (ISO 3382)."""
    size = 2 * response.shape[1]
    octaves = np.log2(np.maximum(np.fft.rfftfreq(size, 1 / RATE), 1) / frequency)
    narrow = np.exp(-((octaves / 0.4) ** 2))  # a smooth band does not ring
    response = np.fft.irfft(np.fft.rfft(response, size) * narrow, size)[:, : response.shape[1]]
    left = np.cumsum(np.sum(response**2, axis=0)[::-1])[::-1]
    level = 10 * np.log10(left / left[0] + 1e-12)
    first, last = np.argmax(level < -5), np.argmax(level < -25)
    return -60 / np.polyfit(np.arange(first, last) / RATE, level[first:last], 1)[0]


@pytest.mark.parametrize("pan", [-1.0, -0.5, 0.0, 0.3, 1.0])
def test_a_point_keeps_its_power_and_goes_where_it_should(pan):
    mono = np.repeat(noise(channels=1), 2, axis=0)
    left, right = pan_stereo(mono, pan)
    assert power(left) + power(right) == pytest.approx(2 * power(mono[0]), rel=1e-5)
    angle = (pan + 1) * math.pi / 4
    np.testing.assert_allclose(left, math.sqrt(2) * math.cos(angle) * mono[0], atol=1e-6)
    np.testing.assert_allclose(right, math.sqrt(2) * math.sin(angle) * mono[0], atol=1e-6)


def test_in_the_centre_nothing_changes():
    np.testing.assert_allclose(pan_stereo(noise(), 0.0), noise(), atol=1e-7)


def test_a_wide_sound_narrows_towards_the_side():
    def width(audio):
        return power(audio[0] - audio[1]) / power(audio[0] + audio[1])

    assert width(pan_stereo(noise(), 0.0)) == pytest.approx(1, rel=0.05)
    left, right = pan_stereo(noise(), 1.0)
    assert power(left) < 1e-12 < power(right)


def test_a_path_moves_the_sound():
    left, right = place(noise(2.0, channels=1)[0], np.array([-1.0, 1.0]), 3.0, DRY)
    ratio = [10 * np.log10(power(right[s]) / power(left[s])) for s in np.array_split(np.arange(2 * RATE), 9)]
    assert np.all(np.diff(ratio) > 0)
    assert ratio[4] == pytest.approx(0, abs=0.5) and ratio[0] < -15 and ratio[-1] > 15


@pytest.mark.parametrize(
    "near, far, expected", [(3, 6, -6.02), (1, 2, -6.02), (2, 20, -20), (0.1, 1e6, None)]
)
def test_level_falls_with_distance(near, far, expected):
    sound = band(noise(), 100, 1000).astype(np.float32)  # below what air absorbs
    fall = 10 * np.log10(power(place(sound, 0, far, DRY)) / power(place(sound, 0, near, DRY)))
    if expected is None:
        expected = -20 * math.log10(FARTHEST / NEAREST)
    np.testing.assert_allclose(fall, expected, atol=0.05)


def test_air_takes_the_highs():
    near, far = place(noise(), 0, 3.0, DRY), place(noise(), 0, 50.0, DRY)
    loss = {
        f: 10 * np.log10(power(band(near, f * 0.98, f * 1.02)[0]) / power(band(far, f * 0.98, f * 1.02)[0]))
        for f in (500, 4000, 10_000)
    }
    distance = 20 * math.log10(50 / 3)
    for frequency, db in loss.items():
        assert db - distance == pytest.approx(1.7e-9 * frequency**2 * 50, abs=0.15)


def test_a_source_that_leaves_gets_quieter_and_duller_without_steps():
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE)).astype(np.float32)
    left = place(tone, 0, np.geomspace(2, 60, 20), DRY)[0]
    level = 10 * np.log10([power(s) for s in np.array_split(left, 60)])
    assert np.all(np.diff(level) < 0) and np.abs(np.diff(level)).max() < 1.5


def test_sound_stays_on_its_picture():
    click = np.zeros(RATE, np.float32)
    click[10_000] = 1
    for distance in (1.0, 50.0):
        placed = place(click, 0.3, distance, Acoustics(space="large room", reverb=0.2))
        assert np.argmax(np.abs(placed[0])) == 10_000


@pytest.mark.parametrize("space", ROOMS)
def test_reverberation_lasts_as_long_as_stated(space):
    room = ROOMS[space]
    for seed in (0, 7):
        response = impulse_response(space, seed)
        assert decay(response, 1000) == pytest.approx(room.decay, rel=0.2)
    assert decay(response, 8000) < decay(response, 1000)


@pytest.mark.parametrize("space", ROOMS)
def test_reverberation_is_the_same_for_a_seed_and_different_in_each_ear(space):
    response = impulse_response(space, 3)
    impulse_response.cache_clear()
    np.testing.assert_array_equal(impulse_response(space, 3), response)
    assert not np.array_equal(impulse_response(space, 4), response)
    assert np.sum(response.astype(float) ** 2) == pytest.approx(2, rel=1e-4)
    assert abs(np.corrcoef(response)[0, 1]) < 0.6
    assert 0.5 < np.divide(*power(response)) < 2


def test_early_reflections_arrive_when_the_walls_say():
    # Outdoors, 3 m from the source and 1.6 m above the ground: first the ground, then walls far away.
    loud = np.flatnonzero(np.abs(impulse_response("outdoors", 0)).max(axis=0) > 0.09) / RATE
    ground = (math.hypot(3, 3.2) - 3) / 343
    assert loud[0] == pytest.approx(ground, abs=2e-4)
    assert 0.06 < loud[loud > 0.01][0] and loud[-1] > 0.08


def test_reverb_adds_to_the_sound_and_follows_the_amount():
    sound = np.pad(noise(0.2), ((0, 0), (0, 2 * RATE)))
    wet = {r: reverb(sound, Acoustics(space="hall", reverb=r)) - sound for r in (0.2, 0.5, 0.8)}
    ratio = {r: 10 * np.log10(power(w).mean() / power(sound).mean()) for r, w in wet.items()}
    assert ratio[0.5] == pytest.approx(0, abs=1.5)
    assert ratio[0.5] - ratio[0.2] == pytest.approx(20 * math.log10(4), abs=0.1)
    assert ratio[0.8] - ratio[0.5] == pytest.approx(20 * math.log10(4), abs=0.1)


def test_without_reverb_nothing_changes_and_there_is_no_tail():
    np.testing.assert_array_equal(reverb(noise(), DRY), noise())
    np.testing.assert_allclose(place(noise(), 0, 3.0, DRY), noise(), atol=1e-6)
    assert tail(DRY) == 0


@pytest.mark.parametrize("space", ROOMS)
def test_the_tail_is_over_when_it_says(space):
    acoustics = Acoustics(space=space, reverb=0.5)
    click = np.zeros((2, 1 + 2 * tail(acoustics)), np.float32)
    click[:, 0] = 1
    heard = reverb(click, acoustics)
    end = tail(acoustics)
    assert np.abs(heard[:, end + 100 :]).max() < 1e-4
    assert np.abs(heard[:, : end // 4]).max() > 1e-2


def test_far_away_there_is_more_room_than_sound():
    click = np.zeros(RATE, np.float32)
    click[:40] = np.hanning(40)  # below what air takes away

    def direct_to_reverb(distance):
        placed = place(click, 0, distance, Acoustics(space="large room", reverb=0.3))
        return 10 * np.log10(power(placed[:, :60]).sum() * 60 / (power(placed[:, 60:]).sum() * (RATE - 60)))

    assert direct_to_reverb(2) - direct_to_reverb(8) == pytest.approx(6, abs=0.7)


def test_no_sound_at_all_can_be_placed():
    assert place(np.zeros(0, np.float32), 0.5, 20.0, Acoustics(space="hall", reverb=0.3)).shape == (2, 0)


def test_under_water_everything_is_dull():
    wet = place(noise(), 0, 3.0, Acoustics(space="underwater", reverb=0.3))
    assert 10 * np.log10(power(band(wet, 200, 400)) / power(band(wet, 6000, 12_000)))[0] > 20


def test_one_seed_is_one_room():
    a = place(noise(seed=1), 0.2, 4.0, Acoustics(space="room", reverb=0.4), seed=5)
    b = place(noise(seed=2), 0.2, 4.0, Acoustics(space="room", reverb=0.4), seed=5)
    both = place(noise(seed=1) + noise(seed=2), 0.2, 4.0, Acoustics(space="room", reverb=0.4), seed=5)
    np.testing.assert_allclose(a + b, both, atol=1e-5)


@pytest.mark.parametrize("least", [1, 7, 100, 44_101, 2_690_100])
def test_fast_lengths_are_enough_and_not_much_more(least):
    length = fast_length(least)
    assert least <= length <= max(8, 1.07 * least)
    for prime in (2, 3, 5):
        while length % prime == 0:
            length //= prime
    assert length == 1
