"""Motion: rendered scenes whose impacts are known to the millisecond."""

import cv2
import numpy as np
import pytest

from reasound.perception import flow
from reasound.perception.features import Motion
from reasound.perception.motion import ANGLES, SYNC_DIM, Meter, measure, sync_features

RIGHT, RIGHT_AND_DOWN = 0, 1
HEIGHT, WIDTH = 180, 320


def texture(seed=0, height=HEIGHT, width=WIDTH):
    """A picture with something to hold on to everywhere."""
    noise = np.random.default_rng(seed).uniform(80, 180, (height // 4, width // 4, 3)).astype(np.uint8)
    return cv2.GaussianBlur(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), (0, 0), 2)


PLAIN = np.full((HEIGHT, WIDTH, 3), (200, 190, 180), np.uint8)
FLOOR = PLAIN.copy()
FLOOR[158:] = (90, 110, 130)


def with_ball(background, x, y, radius):
    """A ball with a highlight, placed to a sixteenth of a pixel."""
    picture = background.copy()
    for part, colour in ((1.0, (200, 40, 30)), (0.3, (240, 150, 140))):
        shift = 0.3 * radius * (part < 1)
        at = (round((x - shift) * 16), round((y - shift) * 16))
        cv2.circle(picture, at, round(radius * part * 16), colour, -1, cv2.LINE_AA, 4)
    return picture


def bounces(count=4, gravity=9.8, keeps=0.75):
    """A ball dropped from 1 m: when it touches the ground, and its height at any time."""
    touch, speed, hops = (
        np.sqrt(2 / gravity),
        np.sqrt(2 * gravity),
        [(-np.sqrt(2 / gravity), np.sqrt(2 * gravity))],
    )
    times = []
    for _ in range(count):
        times.append(touch)
        speed *= keeps
        hops.append((touch, speed))
        touch += 2 * speed / gravity

    def height(time):
        start, up = [hop for hop in hops if hop[0] <= time][-1]
        return max(0.0, up * (time - start) - gravity * (time - start) ** 2 / 2)

    return times, height


def bouncing(times, radius=11, background=PLAIN, across=45):
    """The ball in a picture that is 1.3 m high; it moves `across` pixels a second."""
    _, height = bounces()
    ground = 158 - radius
    return [
        with_ball(background, 80 + across * t, ground - height(t) * (135 - radius), radius) for t in times
    ]


def variable(seconds, rng):
    steps = rng.uniform(1 / 40, 1 / 15, int(seconds * 40))
    times = np.concatenate([[0.0], np.cumsum(steps)])
    return times[times < seconds]


def metered(times, pictures, seconds):
    meter = Meter()
    for time, picture in zip(times, pictures, strict=True):
        meter.add(float(time), picture)
    return meter.motion(seconds)


def onset_times(motion: Motion):
    return np.array([onset.time for onset in motion.onsets])


@pytest.mark.parametrize(
    ("fps", "scene"),
    [
        (25, {}),
        (25, {"radius": 5}),  # 3 pixels in the picture that flow sees
        (25, {"radius": 27, "background": FLOOR}),
        (25, {"background": texture()}),
        (25, {"across": 0, "background": FLOOR}),
        (24, {}),
        (30, {}),
        (30, {"background": FLOOR}),
        (60, {"radius": 20}),
        ("variable", {}),
    ],
)
def test_every_bounce_of_a_ball_is_an_onset_and_nothing_else_is(fps, scene):
    seconds = 1.95
    times = (
        variable(seconds, np.random.default_rng(1)) if fps == "variable" else np.arange(0, seconds, 1 / fps)
    )
    motion = metered(times, bouncing(times, **scene), seconds)
    truth = np.array(bounces(3)[0])  # 0.45, 1.13, 1.64 s
    found = onset_times(motion)
    assert len(found) == len(truth)
    assert np.abs(found - truth).max() < 0.04


def test_an_onset_says_where_it_is():
    times = np.arange(0, 1.0, 0.04)
    (onset,) = metered(times, bouncing(times, across=0), 1.0).onsets
    assert onset.x == pytest.approx(80 / WIDTH, abs=0.08)
    assert onset.y == pytest.approx(147 / HEIGHT, abs=0.12)
    assert onset.strength == 1.0


def test_a_ball_that_hits_a_wall_sideways_is_heard_too():
    times = np.arange(0, 2, 0.04)
    pictures = [with_ball(texture(), 280 - 150 * abs(t - 1.0), 90, 20) for t in times]
    found = onset_times(metered(times, pictures, 2.0))
    assert len(found) == 1 and abs(found[0] - 1.0) < 0.04


def test_a_fall_that_stops_dead_is_an_onset():
    times = np.arange(0, 2, 0.04)
    pictures = [with_ball(texture(), 160, 20 + 110 * min(t, 1.0) ** 2, 20) for t in times]
    found = onset_times(metered(times, pictures, 2.0))
    assert len(found) == 1 and abs(found[0] - 1.0) < 0.04


@pytest.mark.parametrize("fps", [24, 25, 30])
def test_pictures_without_impact_have_no_onset(fps):
    times = np.arange(0, 3, 1 / fps)
    big = texture(height=2 * HEIGHT, width=2 * WIDTH)
    still = [texture()] * len(times)
    panning = [big[40 : 40 + HEIGHT, (x := round(30 * t)) : x + WIDTH] for t in times]
    passing = [with_ball(texture(), 20 + 90 * t, 90, 15) for t in times]
    for pictures in (still, panning, passing):
        assert metered(times, pictures, 3.0).onsets == ()


def test_a_still_picture_does_not_move_at_all():
    motion = measure([texture()] * 50)
    for values in (motion.directogram, motion.grid, motion.envelope, motion.level, motion.camera):
        assert not values.any()
    np.testing.assert_allclose(motion.centre, 0.5)


def test_camera_and_things_are_told_apart():
    """The camera follows a falling ball by 3 pixels a frame to the right, so the world goes left by as much."""
    big = texture(height=HEIGHT, width=2 * WIDTH)
    pictures = [with_ball(big[:, 3 * i : 3 * i + WIDTH], 240, 20 + 3 * i, 20) for i in range(40)]
    motion = measure(pictures)
    scale = 192 / WIDTH
    np.testing.assert_allclose(np.median(motion.camera, 0), [-3 * scale, 0], atol=0.1)
    direction = motion.directogram.mean(0)
    assert direction.argmax() == RIGHT_AND_DOWN
    # The ball's share of the picture, times its speed; flow is coarse and takes a margin round the ball along.
    share = direction.sum() / (np.pi * 20**2 / (WIDTH * HEIGHT) * np.hypot(3, 3) * scale)
    assert 0.7 < share < 2.5
    assert motion.grid[10].sum(-1).argmax() == 2  # top right
    assert motion.centre[10] == pytest.approx([240 / WIDTH, 50 / HEIGHT], abs=0.06)


def test_speed_does_not_depend_on_frame_rate_or_size():
    def level(fps, size):
        times = np.arange(0, 1, 1 / fps)
        pictures = [cv2.resize(with_ball(texture(), 40 + 150 * t, 90, 30), size) for t in times]
        return metered(times, pictures, 1.0).directogram[2:-2, RIGHT].mean()

    usual = level(25, (320, 180))
    for fps, size in ((30, (320, 180)), (15, (320, 180)), (60, (320, 180)), (25, (640, 360))):
        assert level(fps, size) == pytest.approx(usual, rel=0.1)


def test_frames_that_are_shown_twice_do_not_stutter():
    times = np.arange(0, 1.9, 1 / 15)
    pictures = bouncing(times)
    once = metered(times, pictures, 1.9)
    twice = metered(np.arange(2 * len(times)) / 30, [p for p in pictures for _ in range(2)], 1.9)
    np.testing.assert_allclose(onset_times(twice), onset_times(once), atol=0.04)
    np.testing.assert_allclose(twice.directogram.sum(0), once.directogram.sum(0), rtol=0.1, atol=0.1)


def test_a_flash_is_an_onset_and_a_light_that_stays_on_is_not():
    dark = texture() // 8
    bright = np.clip(dark.astype(int) + 90, 0, 255).astype(np.uint8)
    flash = [dark] * 30 + [bright, bright] + [dark] * 30
    found = onset_times(measure(flash))
    assert len(found) == 1 and abs(found[0] - 30 / 25) < 0.05
    assert measure([dark] * 30 + [bright] * 60).onsets == ()


def test_a_cut_is_not_an_impact():
    first = [with_ball(texture(1), 40 + 4 * i, 90, 15) for i in range(30)]
    second = [with_ball(FLOOR, 240 - 4 * i, 60, 25) for i in range(30)]
    motion = measure(first + second)
    assert motion.onsets == ()
    assert motion.level[28:32].max() < 2 * np.median(motion.level)


def test_onsets_go_by_the_shot_they_are_in():
    """A small ball bounces in one shot, a huge one in the next: the small one's bounces still count."""
    times = np.arange(0, 1.4, 0.04)
    shots = bouncing(times, radius=5) + bouncing(times, radius=40, background=texture(3))
    found = onset_times(measure(shots))
    for bounce in (0.452, 1.129, 1.4 + 0.452, 1.4 + 1.129):
        assert np.abs(found - bounce).min() < 0.06


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_hardly_any_pictures_give_a_hardly_any_motion(count):
    motion = measure(texture()[None].repeat(count, 0))
    frames = max(1, count)
    assert motion.directogram.shape == (frames, ANGLES) and motion.grid.shape == (frames, 9, ANGLES)
    assert motion.envelope.shape == motion.level.shape == (frames,)
    assert motion.centre.shape == motion.camera.shape == (frames, 2)
    assert motion.onsets == ()
    assert sync_features(motion).shape == (frames, SYNC_DIM)


def test_tiny_and_narrow_pictures_work():
    for height, width in ((1, 1), (2, 300), (300, 2), (16, 16)):
        pictures = np.random.default_rng(0).integers(0, 256, (10, height, width, 3), np.uint8)
        assert np.isfinite(sync_features(measure(pictures))).all()


def test_sync_features_are_about_one_unit_wide():
    calm = sync_features(measure([texture()] * 25))
    times = np.arange(0, 2, 0.04)
    busy = sync_features(metered(times, bouncing(times, radius=40, background=texture(3)), 2.0))
    assert busy.dtype == np.float32 and np.abs(calm).max() < 1e-6
    assert 0.3 < np.abs(busy).max() < 2


def test_the_box_holds_what_moves():
    meter = Meter()
    assert meter.box(0.0) is None
    for i in range(50):
        meter.add(i / 25, with_ball(texture(), 240, 30 + 2 * i, 18))
    box = meter.box(1.0)
    assert box is not None and box.x0 <= 225 / WIDTH and box.x1 >= 255 / WIDTH and box.area < 0.4
    assert box.y0 <= 80 / HEIGHT <= box.y1


def test_colour_and_flicker():
    red, blue = np.zeros((2, 60, 80, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    meter = Meter()
    for i in range(20):
        meter.add(i / 10, red if i < 10 else blue)
    colour = meter.colour(2.0)
    np.testing.assert_allclose(colour[:8, :3], [[1, 0, 0]] * 8, atol=0.01)
    np.testing.assert_allclose(colour[8:, :3], [[0, 0, 1]] * 8, atol=0.01)
    assert colour[8, 3] == pytest.approx(0.299 - 0.114, abs=0.01) and colour[:8, 3].max() == 0


def test_what_is_no_picture_or_out_of_order_is_refused():
    meter = Meter()
    meter.add(0.5, texture())
    with pytest.raises(ValueError, match="order of time"):
        meter.add(0.5, texture())
    with pytest.raises(ValueError, match="uint8"):
        meter.add(1.0, texture().astype(np.float32))
    with pytest.raises(ValueError, match="uint8"):
        meter.add(1.0, texture()[..., 0])


def test_motion_is_the_same_to_the_last_bit_wherever_pictures_lie_in_memory():
    rng = np.random.default_rng(0)
    grey = (100 + 3 * rng.random((144, 256))).astype(np.uint8).astype(np.float32)
    kept, found = [], set()
    for _ in range(300):
        kept.append(np.zeros(rng.integers(1, 50_000), np.uint8))  # what comes next lies elsewhere
        found.add(flow.texture(grey.copy(), (72, 128)).tobytes())
    assert len(found) == 1
