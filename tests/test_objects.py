"""Single sounds for training: the same for the same number, and where and when their plan says."""

import numpy as np
import pytest

from reasound.data.objects import EVENT, Objects, onsets
from reasound.synthesis.manners import habit
from reasound.synthesis.match import Library
from reasound.timeline import SAMPLE_RATE

SAMPLES = 3 * SAMPLE_RATE


@pytest.fixture(scope="module")
def some():
    objects = Objects(Library.load(), SAMPLES, seed=5)
    return [objects[i] for i in range(24)]


def test_a_number_is_a_sound(some):
    again = Objects(Library.load(), SAMPLES, seed=5)[17]
    assert again.plan == some[17].plan
    assert np.array_equal(again.audio, some[17].audio)
    assert len({found.recording.sound_class for found in some}) > 8


def test_every_sound_is_one_event_or_ambience_with_a_caption_of_its_recording(some):
    for found in some:
        (item,) = (*found.plan.events, *found.plan.ambience)
        assert item.id == EVENT
        assert item.level == 0
        assert item.sound in found.recording.captions
        assert found.audio.shape == (2, SAMPLES)
        assert 1e-3 < np.abs(found.audio).max() <= 2


def test_nothing_sounds_long_before_the_first_onset(some):
    hits = [found for found in some if found.plan.events and found.plan.events[0].onsets]
    assert hits
    for found in hits:
        first = found.plan.events[0].onsets[0]
        before = found.audio[:, : max(int((first - 0.3) * SAMPLE_RATE), 0)]
        assert np.abs(before).max(initial=0.0) < 0.05 * np.abs(found.audio).max()


def test_onsets_lie_inside_and_in_order():
    rng = np.random.default_rng(0)
    for _ in range(200):
        times = onsets(rng, habit("tool/hammer"), 5.0)
        assert times == sorted(times)
        assert 1 <= len(times) <= 24
        assert 0 <= times[0]
        assert times[-1] < 5
