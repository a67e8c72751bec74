"""Signs of people, fire, water, ...: films in which each is drawn on the spot, and others that only look like it."""

import numpy as np
import pytest

from reasound.perception import stuff
from reasound.perception.features import Motion
from reasound.perception.stuff import Watcher, incoherence, judge, skin, small

SKIN, WOOD, BLUE, GREEN = (205, 150, 125), (205, 150, 125), (40, 90, 170), (60, 140, 40)
RATE = 25


def film(draw, seconds=3.0, back=(90, 90, 90)):
    """`draw(picture, k)` paints frame k of 48 by 64 pixels."""
    pictures = np.empty((round(seconds * RATE), 48, 64, 3), np.uint8)
    pictures[:] = back
    for k, picture in enumerate(pictures):
        draw(picture, k)
    return pictures


def still(frames, grid=None):
    """A motion without any, or with this grid [9, 8] in every frame."""
    flow = np.zeros((frames, 9, 8), np.float32)
    flow[:] = 0 if grid is None else grid
    zero = np.zeros(frames, np.float32)
    pair = np.zeros((frames, 2), np.float32)
    return Motion(float(RATE), flow.mean(1), flow, zero, flow.mean(1).sum(1), pair + 0.5, pair, ())


def traces(pictures, grid=None):
    watcher = Watcher()
    for k, picture in enumerate(pictures):
        watcher.add(k / RATE, picture)
    return {t.matter: t for t in watcher.traces(still(len(pictures), grid), len(pictures) / RATE)}


def hand(picture, k):
    x = 10 + round(14 * (1 + np.sin(k)))
    picture[20:30, x : x + 10] = SKIN


def test_skin_of_every_tone_has_one_chroma():
    tones = np.array([(255, 219, 190), (205, 150, 125), (141, 85, 60), (90, 56, 42)], np.uint8)
    assert skin(tones).all()
    others = np.array([BLUE, GREEN, (128, 128, 128), (255, 255, 255), (230, 30, 30), (10, 5, 5)], np.uint8)
    assert not skin(others).any()


def test_a_hand_that_moves_is_a_person_and_where():
    trace = traces(film(hand))["person"]
    assert trace.confidence > 0.9 and (trace.start, trace.end) == pytest.approx((0, 3), abs=0.1)
    assert trace.box.y0 == pytest.approx(20 / 48, abs=0.03) and trace.box.y1 == pytest.approx(
        30 / 48, abs=0.03
    )


def test_wood_has_the_colour_of_skin_but_does_not_move():
    def ball(picture, k):
        x = 10 + k % 40
        picture[20:30, x : x + 10] = BLUE

    assert traces(film(ball, back=WOOD)).get("person") is None
    assert traces(film(lambda picture, k: None, back=WOOD)) == {}


def test_many_small_heads_are_a_crowd():
    rng = np.random.default_rng(0)
    places = [(4 + 10 * r, 4 + 7 * c) for r in range(4) for c in range(8)]

    def heads(picture, k):
        for y, x in places:
            dx = int(rng.integers(-1, 2))
            picture[y : y + 3, x + dx : x + dx + 3] = SKIN

    found = traces(film(heads))
    assert found["crowd"].confidence > 0.8
    assert "crowd" not in traces(film(hand))


def test_fire_flickers_and_a_lamp_does_not():
    rng = np.random.default_rng(1)

    def fire(picture, k):
        picture[20:40, 25:40] = np.array((255, 170, 40)) * rng.uniform(0.7, 1.0, (20, 15, 1))

    def lamp(picture, k):
        picture[20:40, 25:40] = (255, 170, 40)

    def brightens(picture, k):
        picture[20:40, 25:40] = np.array((255, 170, 40)) * (0.6 + 0.4 * k / 75)

    assert traces(film(fire))["fire"].confidence > 0.9
    assert "fire" not in traces(film(lamp)) and "fire" not in traces(film(brightens))


def test_fireworks_are_scattered_sparks_in_the_night():
    rng = np.random.default_rng(2)

    def sparks(picture, k):
        for y, x in rng.integers(4, 44, (12, 2)):
            picture[y, x] = (255, 230, 200)

    def torch(picture, k):
        picture[20:26, 20 + k % 12 : 26 + k % 12] = (255, 230, 200)

    night = (6, 6, 8)
    assert traces(film(sparks, back=night))["fireworks"].confidence > 0.8
    assert "fireworks" not in traces(film(torch, back=night))
    assert "fireworks" not in traces(film(sparks, back=(120, 120, 120))), "by day it is glitter"


@pytest.mark.parametrize(("matter", "colour"), [("water", BLUE), ("leaves", GREEN)])
def test_surfaces_move_everywhere_and_no_one_way(matter, colour):
    rng = np.random.default_rng(3)

    def ripples(picture, k):
        picture[:] = np.clip(np.array(colour) + rng.normal(0, 15, (48, 64, 1)), 0, 255)

    one_way = np.zeros((9, 8))
    one_way[:, 0] = 2.0
    all_ways = np.full((9, 8), 0.25)
    waving = film(ripples)
    assert traces(waving, all_ways)[matter].confidence > 0.9
    assert matter not in traces(waving, one_way), "that is something that passes"
    assert matter not in traces(waving), "noise of the sensor is no motion"


def test_incoherence_in_closed_form():
    grid = np.zeros((5, 9, 8), np.float32)
    assert incoherence(grid) == (0, 0.0)
    grid[:, :3, 0] = 1.0
    assert incoherence(grid) == (3, pytest.approx(0.0, abs=1e-6))
    grid[:, :3, 4] = 1.0  # as much to the left as to the right
    assert incoherence(grid) == (3, pytest.approx(1.0))
    grid[:, :3, 4] = 0.5
    assert incoherence(grid)[1] == pytest.approx(1 - 0.5 / 1.5)


def test_what_shows_only_once_is_chance():
    flash = film(lambda picture, k: hand(picture, k) if k < 12 else None)
    assert "person" not in traces(flash)


def test_pictures_of_any_size_and_hardly_any_pictures():
    assert small(np.zeros((1000, 10, 3), np.uint8)).shape == (96, 8, 3)
    assert Watcher().traces(still(10), 0.4) == ()
    assert set(judge(np.zeros((stuff._FEWEST, 9, 96, 3), np.uint8))) >= {
        "person",
        "crowd",
        "fire",
        "fireworks",
    }
