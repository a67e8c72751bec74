"""Regions: what is pointed at is followed, lost and found again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import clips
import tiny_regions
from reasound.data.scenes.covered import cover
from reasound.data.scenes.truth import HEIGHT, WIDTH
from reasound.errors import UserError
from reasound.media.video import Clip
from reasound.perception.features import Shot
from reasound.perception.motion import Meter
from reasound.perception.regions import (
    Click,
    Drawn,
    Phrase,
    Track,
    close_up,
    open_finder,
    open_tracker,
    track,
)
from reasound.perception.regions.default import DefaultTracker
from reasound.perception.regions.large import GroundingDino, Segmenter
from reasound.perception.regions.own import own_motion
from reasound.perception.regions.phrase import Found, chosen, sided
from reasound.perception.regions.value import pan_at
from reasound.plan import Region
from reasound.reasoning import rules

SIZE, R, FPS = (240, 180), 17, 15
QUICK = {"preset": "ultrafast", "crf": "16"}


def wall(seed: int, size: tuple[int, int] = (300, 240)) -> np.ndarray:
    """Lumps of dull colours, larger than the picture, so that the camera may move."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 150, (size[1] // 12, size[0] // 12, 3), np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)


def sprite(picture: np.ndarray, x: float, y: float, colour=(230, 60, 30)) -> np.ndarray:
    at = (round(x), round(y))
    cv2.circle(picture, at, R, colour, -1)
    cv2.rectangle(picture, (at[0] - 5, at[1] - 9), (at[0] + 2, at[1] + 5), (250, 230, 60), -1)
    return picture


def film(path, place, seconds=2.4, cover=None, shake=None, cut=None, fps=FPS):
    """A sprite at place(t), None where it is not there; `cover(t)` is the left edge of a panel 70 wide in front."""
    walls = wall(1), wall(2)

    def picture(t: float, width: int, height: int) -> np.ndarray:
        dx, dy = shake(t) if shake else (0, 0)
        behind = walls[cut is not None and t >= cut - 1e-6]
        out = behind[30 + dy : 30 + dy + height, 30 + dx : 30 + dx + width].copy()
        if (at := place(t)) is not None:
            sprite(out, at[0] - dx, at[1] - dy)
        if cover is not None:
            x = round(cover(t))
            out[:, max(0, x) : max(0, x + 70)] = (40, 110, 120)
        return out

    return Clip.open(clips.write(path, picture, seconds=seconds, fps=fps, size=SIZE, options=QUICK))


def truth(x: float, y: float) -> np.ndarray:
    return np.array([x - R, y - R, x + R + 1, y + R + 1]) / (*SIZE, *SIZE)


def iou(a, b) -> float:
    inner = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return float(inner / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inner))


def across(t: float) -> tuple[float, float]:
    return 40 + 62 * t, 90 + 30 * np.sin(3 * t)


def wobble(t: float) -> tuple[int, int]:
    return round(7 * np.sin(9 * t)), round(5 * np.cos(7 * t))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("regions")


@pytest.fixture(scope="module")
def moving(folder) -> Clip:
    return film(folder / "moving.mp4", across, shake=wobble)


@pytest.mark.parametrize("pointed", ["click", "box"])
def test_a_sprite_is_followed_forwards_and_backwards_while_the_camera_shakes(moving, pointed):
    x, y = np.subtract(across(1.2), wobble(1.2))
    x0, y0, x1, y1 = truth(x, y)
    query = (
        Click(x / SIZE[0], y / SIZE[1]) if pointed == "click" else Drawn(Region(x0=x0, y0=y0, x1=x1, y1=y1))
    )
    found = track(moving, query, 1.2)
    places = [np.subtract(across(t), wobble(t)) for t in found.times]
    assert found.times == pytest.approx(moving.times()) and found.present.all()
    scores = [iou(box, truth(*place)) for box, place in zip(found.boxes, places, strict=True)]
    assert np.mean(scores) > 0.75 and min(scores) > 0.45
    h, w = found.masks.shape[1:]
    yy, xx = np.mgrid[:h, :w] + 0.5
    inside = []
    for mask, (px, py) in zip(found.masks, places, strict=True):
        disc = np.hypot(xx - px * w / SIZE[0], yy - py * h / SIZE[1]) <= R * w / SIZE[0]
        inside.append((mask & disc).sum() / (mask | disc).sum())
    assert np.mean(inside) > 0.7
    path = found.path()
    assert path[0].pan < -0.3 < 0.25 < path[-1].pan
    assert all(a.time < b.time for a, b in zip(path, path[1:], strict=False))
    assert all(2 < p.distance < 4.5 for p in path)


def test_the_same_track_comes_out_twice(moving):
    x, y = np.subtract(across(0.5), wobble(0.5)) / SIZE
    one, two = (track(moving.cut(0, 0.6), Click(x, y), 0.5) for _ in range(2))
    assert np.array_equal(one.boxes, two.boxes) and np.array_equal(one.masks, two.masks)


def test_what_is_hidden_is_lost_and_found_again(folder):
    clip = film(folder / "hidden.mp4", lambda t: (120, 90), cover=lambda t: -90 + 160 * t)
    found = track(clip, Click(0.5, 0.5), 0.2)
    hidden = [abs(-90 + 160 * t + 35 - 120) < 35 - R - 2 for t in found.times]
    free = [abs(-90 + 160 * t + 35 - 120) > 35 + R + 8 for t in found.times]
    assert sum(hidden) >= 3 and sum(free) > 20
    assert not found.present[hidden].any() and not found.masks[hidden].any()
    assert found.confidence[hidden].max() < 0.4 < 0.7 < found.confidence[free].min()
    assert min(iou(b, truth(120, 90)) for b in found.boxes[free]) > 0.6
    assert min(iou(b, truth(120, 90)) for b in found.boxes[hidden]) > 0.2  # on its way from last to first


def test_a_cut_loses_the_thing_until_it_returns(folder):
    def place(t: float):
        return across(t) if t < 0.8 - 1e-6 else None if t < 1.6 - 1e-6 else (180, 60)

    clip = film(folder / "cut.mp4", place, cut=0.8)
    shots = (Shot(0, 0.8), Shot(0.8, 1.6), Shot(1.6, 2.4))
    x, y = np.divide(across(0.3), SIZE)
    found = track(clip, Click(x, y), 0.3, shots=shots)
    before, away, after = found.times < 0.79, (found.times > 0.79) & (found.times < 1.59), found.times > 1.61
    assert found.present[before].all() and not found.present[away].any() and found.present[after].all()
    assert np.mean([iou(b, truth(180, 60)) for b in found.boxes[after]]) > 0.6


def test_something_that_stands_still_has_one_place(folder):
    clip = film(folder / "still.mp4", lambda t: (60, 60), seconds=1)
    found = track(clip, Click(0.25, 1 / 3), 0.5)
    assert found.present.all() and min(iou(b, truth(60, 60)) for b in found.boxes) > 0.75
    (place,) = found.path()
    assert place.pan == pytest.approx(pan_at(0.25), abs=0.03) and place.distance == 3.0
    region = found.region_at(0.7)
    assert iou(np.array([region.x0, region.y0, region.x1, region.y1]), truth(60, 60)) > 0.75


def test_a_track_says_where_and_how_far():
    half = np.array([0.7, 0.3, 0.8, 0.4])
    boxes = np.array([[0.0, 0.3, 0.2, 0.5], [0.4, 0.3, 0.6, 0.5], [0.4, 0.3, 0.6, 0.5], half], np.float32)
    found = Track(
        np.arange(4.0, dtype=np.float32), boxes, np.zeros((4, 9, 16), bool), np.array([1, 0.9, 0.2, 0.6])
    )
    assert found.present.tolist() == [True, True, False, True]
    assert found.region_at(1.99) == found.region_at(1.0) and found.region_at(9.0).x0 == pytest.approx(0.7)
    whole = found.whole()
    assert (whole.x0, whole.y0, whole.x1, whole.y1) == pytest.approx((0, 0.3, 0.8, 0.5))
    places = {p.time: p for p in found.path()}
    assert places[0.0].pan == -0.56 and places[1.0].pan == 0.0 and 2.0 not in places
    assert places[3.0].distance == pytest.approx(2 * places[0.0].distance)


@pytest.mark.parametrize("x", [0.0, 0.2, 0.5, 0.77, 1.0])
def test_pan_is_that_of_the_rules(x):
    assert pan_at(x) == rules._pan(x)


def test_what_cannot_be_pointed_at_is_said(moving):
    for query, at, words in (
        (Click(1.2, 0.5), 1.0, "outside the picture"),
        (Click(float("nan"), 0.5), 1.0, "outside the picture"),
        (Click(0.5, 0.5), 2.6, "lasts 2.4 s"),
        (Click(0.5, 0.5), -0.1, "lasts 2.4 s"),
        (Drawn(Region(x0=0.5, y0=0.2, x1=0.501, y1=0.6)), 1.0, "box is empty"),
        (Phrase("  "), 1.0, "phrase is empty"),
    ):
        with pytest.raises(UserError, match=words):
            track(moving, query, at)
    with pytest.raises(UserError, match="no tracker 'csrt'"):
        open_tracker("csrt")
    with pytest.raises(UserError, match="no finder 'dino:'"):
        open_finder("dino:")


def test_a_phrase_means_one_thing():
    left, right = (Region(x0=x, y0=0.4, x1=x + 0.2, y1=0.8) for x in (0.1, 0.7))
    dogs = [Found(left, 0.7, "beagle"), Found(right, 0.69, "collie"), Found(right, 0.6, "dog")]
    assert sided("The dog on the right") == ("the dog", (0, 1)) and sided("left") == ("left", None)
    assert chosen("the dog on the right", dogs, []) == right and chosen("left dog", dogs, []) == left
    assert chosen("beagle", [dogs[0], Found(right, 0.5, "collie")], []) == left
    with pytest.raises(UserError, match="beagle on the left or collie on the right"):
        chosen("the dog", dogs, [])
    with pytest.raises(UserError, match='nothing there is "piano"; what is seen there is beagle'):
        chosen("piano", [], ["beagle", "beagle"])


def test_a_phrase_that_fits_nothing_says_what_is_seen(moving):
    with pytest.raises(UserError, match='nothing there is "a grand piano"; what is seen'):
        track(moving, Phrase("a grand piano"), 1.0)


def test_a_close_up_shows_the_thing_and_its_impacts(folder):
    def place(t: float) -> tuple[float, float]:
        return 60 + 40 * t, 30 + 110 * abs(
            np.sin(np.pi * (t + 0.5))
        )  # lowest at 0, 1, 2 s: turns at 0.5, 1.5

    clip = film(folder / "bounce.mp4", place, seconds=2, fps=25)
    x, y = np.divide(place(0.25), SIZE)
    near = close_up(clip, track(clip, Click(x, y), 0.25))
    assert near.width < 0.8 * SIZE[0] and near.seconds == clip.seconds and near.name == clip.name
    whole = dict(clip.frames())
    for time, picture in near.frames():
        assert picture.shape == (near.height, near.width, 3)
        # The sprite's red is in the window as often as in the whole picture.
        red = [((p[..., 0] > 190) & (p[..., 2] < 90)).sum() for p in (picture, whole[time])]
        assert red[0] > 0.85 * red[1] > 0
    half = near.cut(0.6, 1.6)
    (_, first), (_, same) = next(iter(half.frames())), [f for f in near.frames() if f[0] > 0.599][0]
    assert half.seconds == 1 and np.abs(first.astype(int) - same).mean() < 1
    assert [p.shape[1] for _, p in near.frames(5, width=32)] == [32] * 10
    meter = Meter()
    for time, picture in near.frames():
        meter.add(time, picture)
    onsets = [o.time for o in meter.motion(near.seconds).onsets]
    assert any(abs(t - 0.5) < 0.11 for t in onsets) and any(abs(t - 1.5) < 0.11 for t in onsets)


class Ball:
    """A film of a white disc that stands on black."""

    frames = 75

    def mask(self, thing: str, frame: int) -> np.ndarray:
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        return np.hypot(x - 150, y - 120) <= 30

    def picture(self, frame: int) -> np.ndarray:
        return np.repeat((255 * self.mask("", frame).astype(np.uint8))[..., None], 3, 2)


@pytest.mark.parametrize("seed", range(4))
def test_what_covers_a_scene_is_in_its_truth(seed):
    """The mask of a covered and shaken film is where the white of the disc is still seen; for a while it is not."""
    film = cover(Ball(), "ball", np.random.default_rng(seed))
    seen = []
    for k in range(0, film.frames, 3):
        mask, white = film.mask("ball", k), (film.picture(k) > 225).all(-1)
        assert not white[~cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))).astype(bool)].any()
        assert white[cv2.erode(mask.astype(np.uint8), np.ones((5, 5))).astype(bool)].all()
        seen.append(mask.sum())
    assert min(seen) < 0.7 * max(seen) and seen[0] > 0.8 * max(seen)
    places = {film.mask("ball", k).any(0).argmax() for k in range(9)}
    assert len(places) > 1  # the camera shakes


@pytest.mark.parametrize("kind", ["sam2", "edgetam", "sam3"])
def test_networks_follow_clicks_and_boxes(folder, kind):
    clip = film(folder / f"{kind}.mp4", across, seconds=0.4)
    tracker = open_tracker(f"{kind}:{tiny_regions.write(folder / kind, kind)}")
    assert isinstance(tracker, Segmenter)
    tracker.device = "cpu"
    asked = Click(0.3, 0.5), Drawn(Region(x0=0.1, y0=0.3, x1=0.4, y1=0.7))
    found = [track(clip, query, 0.15, tracker=tracker) for query in asked]
    for one in found:
        assert one.masks.shape == (6, 180, 240) and one.boxes.shape == (6, 4)
        assert np.isfinite(one.confidence).all() and (one.boxes >= 0).all() and (one.boxes <= 1).all()
    assert np.array_equal(found[0].masks, track(clip, asked[0], 0.15, tracker=tracker).masks)
    with pytest.raises(UserError, match="there is no folder"):
        track(clip, asked[0], 0.1, tracker=open_tracker(f"{kind}:{folder}/none"))
    with pytest.raises(UserError, match="cannot be opened"):
        (folder / "empty").mkdir(exist_ok=True)
        (folder / "empty" / "config.json").write_text("{}")
        (folder / "empty" / "model.safetensors").write_bytes(b"none")
        track(clip, asked[0], 0.1, tracker=open_tracker(f"{kind}:{folder}/empty"))


def test_a_segmenter_is_told_points_in_its_own_square(folder, monkeypatch):
    """What is clicked in the upper left quarter is a point in that quarter of the square that the network sees."""
    clip = film(folder / "square.mp4", across, seconds=0.2)
    tracker = Segmenter("sam2", str(tiny_regions.write(folder / "square", "sam2")), device="cpu")
    told, model = [], tracker.load()[0]
    usual = model.propagate_in_video_iterator
    monkeypatch.setattr(
        model,
        "propagate_in_video_iterator",
        lambda session, start, **more: (told.append((session, start)), usual(session, start, **more))[1],
    )
    tracker.follow(clip, Click(0.25, 0.5), 2 / FPS)
    session, start = told[0]
    point = session.point_inputs_per_obj[0][start]
    assert point["point_coords"].flatten().tolist() == [16.0, 32.0] and point["point_labels"].item() == 1
    picture = session.processed_frames[start]
    shown = cv2.resize([p for _, p in clip.frames()][2], (64, 64)).astype(np.float32) / 255
    even = (shown - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    assert np.abs(picture.numpy().transpose(1, 2, 0) - even).max() < 1e-4


def test_grounding_dino_gives_boxes_of_a_phrase(folder, moving, monkeypatch):
    finder = open_finder(f"grounding-dino:{tiny_regions.write_finder(folder / 'dino')}")
    assert isinstance(finder, GroundingDino)
    finder.device = "cpu"
    monkeypatch.setattr("reasound.perception.regions.large.FOUND", 0.0)
    found = finder.boxes(next(iter(moving.frames()))[1], "The dog")
    assert 1 <= len(found) <= 6 and [s for _, s in found] == sorted((s for _, s in found), reverse=True)
    monkeypatch.setattr("reasound.perception.regions.large.FOUND", 1.1)
    with pytest.raises(UserError, match='nothing there is "dog"'):
        track(moving, Phrase("dog"), 1.0, finder=finder)


def two_balls(path, beats, phase: float) -> tuple[Clip, Track]:
    """A ball that hits the ground at each of `beats`, which are evenly apart, and close beside it another one `phase`
    later, as a shaking camera sees them; and where the first one is, exactly."""
    ground = wall(5)

    def places(t: float) -> list[tuple[int, int]]:
        return [
            (round(x - shaken(t)[0]), round(150 - 80 * abs(np.sin(np.pi * (t - first) / (beats[1] - beats[0])))
             - shaken(t)[1]))
            for x, first in ((95, beats[0]), (150, beats[0] + phase))
        ]  # fmt: skip

    def shaken(t: float) -> tuple[float, float]:
        return round(3 * np.sin(7 * t)), round(3 * np.sin(5.3 * t + 1))

    def picture(t: float, width: int, height: int) -> np.ndarray:
        dx, dy = (30 + int(d) for d in shaken(t))
        out = ground[dy : dy + height, dx : dx + width].copy()
        for (x, y), colour in zip(places(t), ((230, 60, 30), (60, 90, 230)), strict=True):
            cv2.circle(out, (x, y), 15, colour, -1)
            cv2.circle(out, (x + 5, y - 4), 5, (240, 240, 240), -1)
        return out

    clip = Clip.open(clips.write(path, picture, seconds=3, fps=25, size=SIZE, options=QUICK))
    times = clip.times()
    boxes = np.array([[x - 15, y - 15, x + 16, y + 16] for x, y in (places(t)[0] for t in times)])
    count = len(times)
    found = (boxes / np.tile(SIZE, 2)).astype(np.float32)
    return clip, Track(
        times.astype(np.float32), found, np.ones((count, 4, 4), bool), np.ones(count, np.float32)
    )


def test_onsets_of_its_own_motion_are_those_of_the_thing_alone(tmp_path):
    beats = (0.55, 1.2, 1.85, 2.5)
    clip, found = two_balls(tmp_path / "balls.mp4", beats, phase=0.3)
    strong = [o.time for o in own_motion(clip, found).onsets if o.strength >= 0.3]
    assert len(strong) == len(beats)
    assert max(abs(a - b) for a, b in zip(strong, beats, strict=True)) < 0.06
    # What surrounds it shows both balls, so that the test would fail without the box.
    meter = Meter()
    for time, picture in clip.frames(width=192):
        meter.add(time, picture)
    assert len(meter.motion(clip.seconds).onsets) > len(beats) + 1


def test_more_pictures_are_looked_at_if_asked(tmp_path):
    clip, exact = two_balls(tmp_path / "balls.mp4", (0.55, 1.2), phase=0.3)
    box = Region(**dict(zip(("x0", "y0", "x1", "y1"), map(float, exact.boxes[5]), strict=True)))
    apart = []
    for fastest in (20.0, 31.0):
        found = DefaultTracker(fastest).follow(clip, Drawn(box), 5 / 25)
        assert len(found.times) == 75
        apart.append(float(np.abs(found.boxes - exact.boxes).mean()))
    assert apart[1] < apart[0]
