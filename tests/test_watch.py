"""Watching: one pass over a film whose contents are known, with labels that say what they were shown."""

import numpy as np
import pytest

import clips
from reasound.media.video import Clip
from reasound.perception.features import Shot
from reasound.perception.labels import Seen
from reasound.perception.motion import SYNC_DIM
from reasound.perception.watch import spread, watch

CLASSES = 1000


class Stub:
    """Instead of EfficientNet: class 7 is as probable as the picture is red, class 9 has the rest."""

    names = tuple(f"thing {i}" for i in range(CLASSES))
    class_vectors = np.eye(CLASSES, 384, dtype=np.float32)

    def __init__(self):
        self.pictures = []
        self.most_at_once = 0

    def look(self, frames, boxes):
        assert len(frames) == len(boxes)
        self.most_at_once = max(self.most_at_once, len(frames))
        self.pictures += list(frames)
        red = frames[..., 0].mean((1, 2)) / 255
        probabilities = np.zeros((len(frames), CLASSES), np.float32)
        probabilities[:, 7], probabilities[:, 9] = red, 1 - red
        return Seen(probabilities, probabilities, tuple(boxes))


def reddening(time, width, height):
    """Red rises by a tenth each second; a white square goes round and round."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = round(255 * min(1.0, time / 10))
    x = int((width - 12) * (0.5 + 0.4 * np.sin(2 * np.pi * time)))
    picture[20:32, x : x + 12] = 255
    return picture


@pytest.mark.parametrize("seconds", [0.04, 0.4, 3.2, 9.0])
def test_every_stream_has_its_length_and_follows_the_picture(tmp_path, seconds):
    clip = Clip.open(clips.write(tmp_path / "film.mp4", reddening, seconds=seconds, size=(96, 64)))
    seen = watch(clip, Stub())
    visual, frames = max(1, int(seconds * 8)), max(1, int(seconds * 25))
    assert seen.seconds == pytest.approx(seconds)
    assert seen.probabilities.shape == (visual, CLASSES) and seen.visual.shape == (visual, 384)
    assert seen.colour.shape == (visual, 4) and seen.sync.shape == (frames, SYNC_DIM)
    assert seen.motion.directogram.shape[0] == frames
    assert seen.shots == (Shot(0.0, seen.seconds),)
    # Between the first and the last look, straight lines between looks are the truth.
    at = np.arange(visual) / 8
    inside = (at >= 0.25) & (at <= seconds - 0.3)
    np.testing.assert_allclose(seen.probabilities[inside, 7], at[inside] / 10, atol=0.04)
    np.testing.assert_allclose(seen.colour[:, 0], at / 10, atol=0.04)
    np.testing.assert_allclose(seen.visual[:, 7], seen.probabilities[:, 7], atol=1e-5)


def test_the_labels_look_twice_a_second_at_what_moves_a_few_pictures_at_a_time(tmp_path):
    clip = Clip.open(clips.write(tmp_path / "film.mp4", reddening, seconds=9, size=(96, 64)))
    labels, told = Stub(), []
    seen = watch(clip, labels, told.append)
    assert len(labels.pictures) == 18 and labels.most_at_once <= 8
    assert told == sorted(told) and 0.9 < told[-1] <= 1.0
    (thing,) = (s for s in seen.sightings if s.index == 9)
    assert thing.box is not None and thing.box.y0 < 26 / 64 < thing.box.y1


def test_a_bouncing_ball_is_seen_to_bounce(tmp_path):
    clip = Clip.open(clips.write(tmp_path / "ball.mp4", seconds=2, size=(320, 240)))
    found = np.array([onset.time for onset in watch(clip, Stub()).motion.onsets])
    for bounce in (0.5, 1.3):
        assert np.abs(found - bounce).min() < 0.06


def test_spread_does_not_blend_two_shots():
    looks = np.array([[0.0], [1.0], [10.0], [11.0]], np.float32)
    times = [0.25, 0.75, 1.25, 1.75]
    found = spread(looks, times, (Shot(0.0, 1.0), Shot(1.0, 2.0)), 16)[:, 0]
    np.testing.assert_allclose(found[:8], [0, 0, 0, 0.25, 0.5, 0.75, 1, 1])
    np.testing.assert_allclose(found[8:], [10, 10, 10, 10.25, 10.5, 10.75, 11, 11])


def test_a_shot_too_short_for_a_look_takes_the_nearest():
    found = spread(
        np.array([[1.0], [2.0]], np.float32), [0.25, 0.75], (Shot(0, 0.4), Shot(0.4, 0.6), Shot(0.6, 1)), 8
    )
    np.testing.assert_allclose(found[:, 0], [1, 1, 1, 1, 1, 2, 2, 2])
