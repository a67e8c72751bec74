"""Labels see what the original sees; the golden numbers are recorded by tests/golden/encoders.py."""

from pathlib import Path

import numpy as np
import pytest
import torch

from golden import encoders
from reasound.perception.features import Box
from reasound.perception.labels import (
    Labels,
    conse,
    pad_same,
    pooled,
    sightings,
    square_around,
    standing_out,
)
from reasound.perception.text import MiniLM

BALLOON = 417


@pytest.fixture(scope="module")
def labels():
    return Labels.load(fast=False)


@pytest.fixture(scope="module")
def golden():
    return np.load(Path(encoders.__file__).with_suffix(".npz"))


def one_hot(*classes):
    found = np.zeros((len(classes), 1000), np.float32)
    found[np.arange(len(classes)), classes] = 1
    return found


def test_it_sees_what_the_original_sees(labels, golden):
    found = labels.probabilities(encoders.pictures())
    np.testing.assert_allclose(found, golden["labels_probabilities"], atol=5e-3)
    assert labels.names[found[0].argmax()] == "balloon"


def test_the_fast_way_sees_nearly_the_same(labels):
    fast = Labels.load(fast=True).probabilities(encoders.pictures())
    np.testing.assert_allclose(fast, labels.probabilities(encoders.pictures()), atol=0.05)


def test_a_picture_does_not_depend_on_its_neighbours(labels):
    pictures = np.concatenate([encoders.pictures()] * 5 + [encoders.pictures()[:1]])
    together = labels.probabilities(pictures)
    np.testing.assert_allclose(together[9:], labels.probabilities(pictures[9:]), atol=1e-5)
    assert labels.probabilities(pictures[:0]).shape == (0, 1000)


def test_a_close_look_finds_what_is_small_in_a_wide_picture(labels):
    wide = np.full((2, 360, 640, 3), 127, np.uint8)
    wide[:, 20:100, 520:600] = encoders.pictures()[0, :160:2, 30:190:2]
    box = Box(520 / 640, 20 / 360, 600 / 640, 100 / 360)
    far, near = labels.look(wide), labels.look(wide, [box, None])
    whole = labels.probabilities(wide)[0, BALLOON]
    assert near.close[0, BALLOON] > 3 * whole
    assert far.probabilities[0, BALLOON] > 3 * whole, "it stands out, moving or not"
    np.testing.assert_allclose(near.probabilities[1], far.probabilities[1], atol=1e-5)
    assert near.close[0].sum() == pytest.approx(1, abs=1e-4) and not near.close[1].any()
    assert near.boxes == (box, None) and far.boxes == (None, None)
    np.testing.assert_allclose(near.probabilities.sum(1), 1, atol=1e-4)


def test_crops_are_squares_inside_the_picture():
    assert square_around(Box(0, 0, 1, 1), 360, 640) == (0, 140, 360)
    assert square_around(Box(0.9, 0.9, 1, 1), 100, 200) == (70, 170, 30)  # at least 0.3 of the shorter side
    assert square_around(Box(0.4, 0.4, 0.6, 0.6), 100, 200) == (26, 76, 48)  # 1.2 times 0.2 of 200
    assert square_around(Box(0.5, 0.5, 0.5, 0.5), 1, 7) == (0, 3, 1)


def test_what_stands_out_has_another_colour_than_what_is_around_it():
    picture = np.full((96, 128, 3), 120, np.uint8)
    assert standing_out(picture) == Box(0, 0, 1, 1)
    picture[20:50, 80:110] = (30, 60, 200)
    picture[70:80, 10:20] = (200, 60, 60)
    box = standing_out(picture)
    assert (box.x0, box.y0) == pytest.approx((80 / 128, 20 / 96), abs=0.04)
    assert (box.x1, box.y1) == pytest.approx((110 / 128, 50 / 96), abs=0.04)


def test_padding_puts_the_odd_zero_right_and_below():
    padded = pad_same(torch.ones(1, 1, 4, 5), kernel=3, stride=2)[0, 0]
    assert padded.tolist() == [[0, 1, 1, 1, 1, 1, 0]] * 4 + [[0] * 7]


def test_looks_are_pooled_by_certainty():
    sure, unsure = one_hot(3), 0.5 * (one_hot(8) + one_hot(9))
    weights = np.array([1.0, 0.25])  # exp(-2 * 0), exp(-2 * log 2)
    expected = (weights[0] * sure + weights[1] * unsure) / weights.sum()
    np.testing.assert_allclose(pooled(np.stack([sure, unsure])), expected, atol=1e-6)
    np.testing.assert_array_equal(pooled(np.stack([sure, np.zeros_like(sure)])), sure)


def test_conse_is_the_weighted_mean_of_the_likeliest_classes():
    vectors = np.eye(1000, 384, dtype=np.float32)
    seen = np.zeros((1, 1000), np.float32)
    seen[0, [1, 2, 3]] = 0.6, 0.2, 0.1
    np.testing.assert_allclose(conse(seen, vectors, top=2)[0, :4], [0, 0.75, 0.25, 0])
    with pytest.raises(ValueError, match="top"):
        conse(seen, vectors, top=0)


def test_class_vectors_are_the_names_in_the_space_of_the_text(labels):
    assert len(labels.names) == 1000 and labels.names[BALLOON] == "balloon"
    vectors = MiniLM.load().encode(labels.names[410:430])
    np.testing.assert_allclose(labels.class_vectors[410:430], vectors, atol=1e-3)
    seen = conse(one_hot(BALLOON), labels.class_vectors)
    assert seen[0] @ MiniLM.load().encode(["a balloon"])[0] > 0.6


def test_sightings_last_as_long_as_the_class_is_seen():
    names = [str(i) for i in range(1000)]
    seen = np.concatenate([one_hot(*[5] * 8, *[7] * 8) * 0.5, one_hot(*[5] * 4) * 0.8])
    times = [(i + 0.5) / 4 for i in range(20)]
    found = sightings(seen, times, names)
    assert [s.name for s in found] == ["5", "5", "7"]
    late, early, middle = found
    # averaged over a second, a sighting reaches up to half a second further on both sides
    assert (early.start, early.end) == (0, 2.5) and (middle.start, middle.end) == (1.5, 4.5)
    assert (late.start, late.end) == (3.5, 5)
    assert early.probability == pytest.approx(0.5 * 8 / 10) and late.probability == pytest.approx(0.8 * 4 / 6)
    assert sightings(seen[:0], [], names) == ()
    (lone,) = sightings(seen[:1], [0.2], names)
    assert (lone.start, lone.end) == (0, 0.4)


def test_a_sighting_has_the_box_in_which_it_was_seen_best():
    names = [str(i) for i in range(1000)]
    seen = one_hot(1, 1, 1) * 0.3 + one_hot(2, 2, 2) * 0.3
    close = one_hot(1, 1, 2) * np.array([[0.5], [0.9], [0.2]], np.float32)
    boxes = [Box(0, 0, 0.1, 0.1), Box(0.2, 0.2, 0.3, 0.3), Box(0.4, 0.4, 0.5, 0.5)]
    one, two = sorted(sightings(seen, [0.5, 1.5, 2.5], names, boxes, close), key=lambda s: s.index)
    assert one.box == boxes[1]
    assert two.box is None  # the close look saw it less well than the others


def test_what_are_no_pictures_is_refused(labels):
    for wrong in (np.zeros((4, 4, 3), np.uint8), np.zeros((1, 4, 4, 3)), np.zeros((1, 4, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            labels.probabilities(wrong)
    with pytest.raises(ValueError, match="one box"):
        labels.look(encoders.pictures(), [None])
    with pytest.raises(ValueError, match="one time"):
        sightings(one_hot(1, 2), [0.0], ["x"] * 1000)
