"""Shots: films that are put together here, so every cut is known."""

import cv2
import numpy as np
import pytest

from reasound.perception.features import Shot
from reasound.perception.shots import cuts, find, small


def scene(seed, tint):
    """A picture twice as wide as the frame, so that a camera can pan over it."""
    draw = np.random.default_rng(seed)
    noise = cv2.resize(
        draw.uniform(0, 1, (12, 40, 1)).astype(np.float32), (640, 180), interpolation=cv2.INTER_CUBIC
    )
    return np.clip(noise[..., None] * tint, 0, 255).astype(np.uint8)


WARM, COLD, GREEN = scene(0, (250, 180, 90)), scene(1, (80, 130, 240)), scene(2, (110, 230, 120))


def pan(picture, count, speed=3):
    return [picture[:, speed * i : speed * i + 320] for i in range(count)]


def numbers(pictures):
    return cuts([small(picture) for picture in pictures])


def test_cuts_between_moving_shots_are_found_exactly():
    film = pan(WARM, 20) + pan(COLD, 15) + pan(GREEN, 30) + pan(WARM, 12)
    assert numbers(film) == [20, 35, 65]


def test_the_same_colours_in_another_layout_are_a_cut():
    assert numbers(pan(WARM, 20) + pan(WARM[:, ::-1] // 2 + 20, 20)) == [20]


def test_panning_standing_and_moving_things_are_no_cut():
    assert numbers(pan(WARM, 60, speed=5)) == []
    assert numbers([WARM[:, :320]] * 30) == []
    passing = [WARM[:, :320].copy() for _ in range(30)]
    for i, picture in enumerate(passing):
        picture[40:140, max(0, 30 * i - 300) : max(0, 30 * i - 150)] = (20, 20, 200)
    assert numbers(passing) == []


def test_a_flash_is_no_cut():
    film = pan(COLD, 40)
    for i in (20, 21):
        film[i] = np.clip(film[i].astype(int) + 150, 0, 255).astype(np.uint8)
    assert numbers(film) == []


def test_a_fade_is_no_cut_and_neither_is_a_slow_dissolve():
    fade = [(WARM[:, :320] * (1 - i / 25)).astype(np.uint8) for i in range(26)]
    assert numbers(fade + fade[::-1]) == []
    a, b = WARM[:, :320].astype(float), COLD[:, :320].astype(float)
    assert numbers([(a + (b - a) * i / 25).astype(np.uint8) for i in range(26)]) == []


def test_shots_tile_the_clip():
    film = pan(WARM, 10) + pan(COLD, 10)
    assert find(film, 25) == (Shot(0.0, 0.4), Shot(0.4, 0.8))
    assert find(film, 25, seconds=0.83) == (Shot(0.0, 0.4), Shot(0.4, 0.83))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_pictures_are_one_shot(count):
    assert find(pan(WARM, count), 25) == (Shot(0.0, count / 25),)
