"""Drawing: things are where they are said to be, and a frame is a pure function of its number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reasound.data.scenes import backgrounds
from reasound.data.scenes.stage import MARGIN, Backdrop, Camera, Drawn, Prop, Stamp, distance_at, pan_at
from reasound.data.scenes.truth import EDGE_PAN, HEIGHT, WIDTH

GREY = Backdrop(np.full((HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN, 3), 100, np.uint8), 200.0, 120.0, True)


def square(side: int, colour=(255, 0, 0), opacity: int = 255) -> Prop:
    return Prop.of(np.full((side, side, 4), (*colour, opacity), np.uint8), float(side), (0.5, 0.5))


def drawn(*layers, **more) -> Drawn:
    return Drawn(GREY, layers, 50, **more)


def centre(mask) -> tuple[float, float]:
    """In pixels from the left and upper edge of the picture."""
    y, x = np.nonzero(mask)
    return float(x.mean()) + 0.5, float(y.mean()) + 0.5


@pytest.mark.parametrize(("x", "y"), [(100.0, 80.0), (100.25, 80.5), (37.7, 201.3)])
def test_a_thing_is_where_it_is_put(x: float, y: float):
    film = drawn(lambda t: [Stamp(square(20), x, y, event="e1")])
    red = film.picture(0)[..., 0].astype(float) - 100
    red[red < 20] = 0
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    assert (red * columns).sum() / red.sum() == pytest.approx(x, abs=0.06)
    assert (red * rows).sum() / red.sum() == pytest.approx(y, abs=0.06)
    assert centre(film.mask("e1", 0)) == pytest.approx((x, y), abs=0.5)


def test_size_angle_and_stretch():
    for scale in (0.3, 1.0, 2.0):
        film = drawn(lambda t, s=scale: [Stamp(square(40), 150, 120, s, event="e1")])
        assert film.mask("e1", 0).sum() == pytest.approx((40 * scale) ** 2, rel=0.12)
        red = film.picture(0)[..., 0].astype(float).clip(110) - 110
        assert (red.sum(0) * (np.arange(WIDTH) + 0.5)).sum() / red.sum() == pytest.approx(150, abs=0.1)
    film = drawn(lambda t: [Stamp(square(40), 150, 120, angle=math.pi / 4, event="e1")])
    y, x = np.nonzero(film.mask("e1", 0))
    assert np.ptp(x) == pytest.approx(40 * math.sqrt(2), abs=2.5)
    film = drawn(lambda t: [Stamp(square(40), 150, 120, across=2, up=0.5, event="e1")])
    y, x = np.nonzero(film.mask("e1", 0))
    assert (np.ptp(x) + 1, np.ptp(y) + 1) == pytest.approx((80, 20), abs=2)


def test_clockwise_is_clockwise_and_a_mirror_mirrors():
    half = np.zeros((20, 40, 4), np.uint8)
    half[:, 20:] = (255, 255, 255, 255)  # a bar to the right of what holds it
    prop = Prop.of(half, 20.0, (0.5, 0.5))
    down = centre(drawn(lambda t: [Stamp(prop, 160, 120, angle=math.pi / 2, event="e")]).mask("e", 0))
    assert down == pytest.approx((160, 130), abs=1)
    left = centre(drawn(lambda t: [Stamp(prop, 160, 120, across=-1, event="e")]).mask("e", 0))
    assert left == pytest.approx((150, 120), abs=1)


def test_what_is_drawn_later_hides_what_was_drawn_earlier():
    film = drawn(
        lambda t: [Stamp(square(40), 100, 100, event="e1")],
        lambda t: [Stamp(square(40, (0, 0, 255)), 120, 100, event="e2")],
        lambda t: [Stamp(square(60, (0, 0, 0), 90), 100, 100)],  # a shadow hides nothing
    )
    one, two = film.mask("e1", 0), film.mask("e2", 0)
    assert not (one & two).any()
    assert one.sum() == pytest.approx(20 * 40, rel=0.1) and two.sum() == pytest.approx(40 * 40, rel=0.1)
    assert not film.mask("e3", 0).any() and not film.mask("", 0).any()


def test_frames_are_pure():
    rng = np.random.default_rng(1)
    camera = Camera(np.array([[3.0, 1.0, 0.0, 2.0, 0.7, 1.0]]), (6.0, 0.0), 0.05, 2.0)
    film = drawn(lambda t: [Stamp(square(30), 40 + 50 * t, 90, event="e1")], camera=camera, seed=3)
    forward = [film.picture(k) for k in range(10)]
    for k in rng.permutation(10):
        np.testing.assert_array_equal(film.picture(int(k)), forward[k])
    other = drawn(lambda t: [Stamp(square(30), 40 + 50 * t, 90, event="e1")], camera=camera, seed=3)
    np.testing.assert_array_equal(other.picture(7), forward[7])
    assert forward[0].shape == (HEIGHT, WIDTH, 3) and forward[0].dtype == np.uint8
    assert not np.array_equal(drawn(seed=3).picture(0), drawn(seed=3).picture(1))  # the sensor's noise
    for k in (-1, 50):
        with pytest.raises(ValueError, match="not one of the 50"):
            film.picture(k)


def test_the_camera_moves_pictures_and_masks_alike():
    camera = Camera(np.array([[5.0, 0.5, np.pi / 2, 3.0, 0.5, -np.pi / 2]]))  # at time 0: 5 right, 3 up
    film = drawn(lambda t: [Stamp(square(20), 100, 80, event="e1")], camera=camera)
    assert centre(film.mask("e1", 0)) == pytest.approx((105, 77), abs=0.5)
    assert film.picture(0)[77, 105, 0] > 240
    zoomed = drawn(
        lambda t: [Stamp(square(20), 260, 120, event="e1")],
        camera=Camera(np.zeros((0, 6)), nearer=0.1, seconds=1.0),
    )
    assert centre(zoomed.mask("e1", 25)) == pytest.approx((160 + 1.1 * 100, 120), abs=0.5)


def test_a_camera_at_rest_is_at_rest_and_others_stay_within_the_backdrop():
    still = 0
    for i in range(60):
        camera = Camera.drawn(np.random.default_rng(i), 6.0)
        views = np.array([camera.view(t) for t in np.arange(0, 6, 0.04)])
        still += bool(np.allclose(views, views[0]))
        assert (
            np.abs(views[:, :, 2] + (views[:, [0, 1], [0, 1]] - 1) * (WIDTH / 2, HEIGHT / 2)).max() < MARGIN
        )
        assert np.abs(np.diff(views[:, :, 2], axis=0)).max() < 3  # pixels a frame: no jumps
    assert 20 < still < 50


def test_pan_and_distance_follow_place_and_size():
    assert (pan_at(WIDTH / 2), pan_at(0), pan_at(WIDTH)) == pytest.approx((0, -EDGE_PAN, EDGE_PAN))
    assert pan_at(-50) == -EDGE_PAN
    assert distance_at(0.5) == 2 * distance_at(1.0)


@pytest.mark.parametrize("style", [*backgrounds.OUTDOORS, *backgrounds.INDOORS])
def test_backdrops_differ_from_draw_to_draw(style: str):
    outdoors = style in backgrounds.OUTDOORS
    one, two = (backgrounds.backdrop(np.random.default_rng(i), outdoors, style=style) for i in (1, 2))
    again = backgrounds.backdrop(np.random.default_rng(1), outdoors, style=style)
    np.testing.assert_array_equal(one.picture, again.picture)
    assert one.picture.shape == (HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN, 3) and one.outdoors == outdoors
    assert np.abs(one.picture.astype(int) - two.picture).mean() > 3
    assert one.picture.std() > 8 and one.horizon < one.floor < HEIGHT
