"""Acts: what is told of a scene is what its pictures show."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from reasound.data.manifest import Hit, Recording, write_manifest
from reasound.data.scenes.acts import KINDS, stage
from reasound.data.scenes.heldout import Heldout, Sprite
from reasound.data.scenes.making import EARLIEST, LATEST, Making
from reasound.data.scenes.physics import Bouncing, Pouring, Rolling, Swinging, Walking, pulse
from reasound.data.scenes.truth import EDGE_PAN, FPS, HEIGHT, WIDTH, Staged
from reasound.plan import Plan
from reasound.synthesis.match import Library

CLASSES = (
    "animal/dog", "voice/grunt", "tool/anvil", "tool/hammer", "weapon/sword_clash", "bell/large", "impact/wood",
    "impact/metal", "impact/stone", "impact/ball", "vehicle/cart", "object/scrape", "water/pour",
    "water/bubbles_drip", "vehicle/car", "vehicle/aircraft", "vehicle/boat", "footsteps/gravel", "footsteps/wood",
    "instrument/snare_drum", "instrument/guitar", "instrument/small_percussion", "instrument/brass",
    "machine/clock_tick", "fire/crackle", "water/stream", "machine/appliance",
)  # fmt: skip
SEEN = {
    "dog": "animal/dog", "car": "vehicle/car", "airliner": "vehicle/aircraft", "sailing boat": "vehicle/boat",
    "basketball": "impact/ball", "snare drum": "instrument/snare_drum", "banjo": "instrument/guitar",
    "maracas": "instrument/small_percussion", "trumpet": "instrument/brass", "fountain": "water/stream",
    "kettle": "machine/appliance",
}  # fmt: skip
SECONDS = Fraction(5)


def recording(name: str) -> Recording:
    word = name.replace("/", " ")
    return Recording(
        id=word, file=f"audio/{word}.wav", captions=(f"a {word} sounds", f"a {word} sounds three times"),
        sound_class=name, material="", kind="one_shot", seconds=0.5, rate=44_100, channels=1,
        hits=(Hit(0.0, 0.01, 0.4, -20.0),), loudness=-20.0, swell=0.0, brightness=1_000.0, quality=1.0, tags=(),
        licence="CC0-1.0", licence_group="CC0/PD", author="test", package="test", source_file=word, changes="",
        series=word, split="test",
    )  # fmt: skip


def made(folder: Path, classes=CLASSES, seen=SEEN) -> Heldout:
    """Recordings that are only told of, and pictures of coloured ovals."""
    folder.mkdir(exist_ok=True)
    write_manifest(folder / "manifest.jsonl", [recording(name) for name in classes])
    sprites = []
    for k, (label, sound_class) in enumerate(seen.items()):
        picture = np.zeros((90, 120 if k % 2 else 90, 4), np.uint8)
        at, axes = (picture.shape[1] // 2, 45), (picture.shape[1] // 2 - 2, 43)
        cv2.ellipse(picture, at, axes, 0, 0, 360, (40 + 15 * k, 220 - 15 * k, 120, 255), -1)
        cv2.ellipse(picture, at, (20, 12), 0, 0, 360, (250, 250, 250, 255), -1)
        cv2.imwrite(str(folder / f"{label}.png"), picture)
        sprites.append(Sprite(label, sound_class, folder / f"{label}.png"))
    return Heldout(Library(folder), tuple(sprites))


@pytest.fixture(scope="module")
def heldout(tmp_path_factory) -> Heldout:
    return made(tmp_path_factory.mktemp("heldout"))


def staged(kind: str, heldout: Heldout, seed: int, seconds: Fraction = SECONDS) -> Staged:
    return stage(kind, heldout, np.random.default_rng((3, seed)), seconds)


def seen_at(mask) -> tuple[float, float, float]:
    """Middle of the box from side to side, its lower edge, its height."""
    y, x = np.nonzero(mask)
    return (x.min() + x.max() + 1) / 2, float(y.max() + 1), float(np.ptp(y) + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_every_act_is_a_valid_plan_of_things_that_are_seen(kind: str, heldout: Heldout):
    for seed in range(3):
        seconds = Fraction((3, 4, 7)[seed % 3])
        scene = staged(kind, heldout, seed, seconds)
        plan = Plan(seconds=float(seconds), events=scene.events)
        assert scene.kind == kind and scene.film.frames == seconds * FPS
        assert [e.id for e in plan.events] == [f"e{k + 1}" for k in range(len(plan.events))]
        for event in plan.events:
            assert (
                event.sound_class in heldout.classes()
                and event.on_screen
                and "three times" not in event.sound
            )
            assert all(0 < s <= 1 for s in event.strengths) and len(event.strengths) == len(event.onsets)
            assert all(EARLIEST <= t <= seconds - LATEST for t in event.onsets)
            assert np.all(np.diff(event.onsets) >= 0.1)
            assert all(abs(p.pan) <= EDGE_PAN + 1e-9 for p in event.path)
            for moment in event.onsets or [(event.start + event.end) / 2]:
                assert scene.film.mask(event.id, round(moment * FPS)).sum() > 60


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_is_the_same_scene(kind: str, heldout: Heldout):
    one, again, other = (staged(kind, heldout, seed) for seed in (1, 1, 2))
    assert one.events == again.events and one.events != other.events
    for k in (40, 3, 90):
        np.testing.assert_array_equal(one.film.picture(k), again.film.picture(k))
        np.testing.assert_array_equal(one.film.mask("e1", k), again.film.mask("e1", k))


def at_rest(monkeypatch) -> None:
    """No camera that moves and nothing that distracts: then places are exact."""
    from reasound.data.scenes.stage import Camera

    monkeypatch.setattr(Camera, "drawn", classmethod(lambda cls, rng, seconds: cls.still()))
    monkeypatch.setattr(Making, "_distraction", lambda self: ([], []))


def test_a_ball_is_on_the_floor_at_its_onsets_and_above_it_between(heldout: Heldout, monkeypatch):
    at_rest(monkeypatch)
    checked = 0
    for seed in range(8):
        scene = staged("bounce", heldout, seed)
        if len(scene.events) > 1:
            continue  # one may hide the other
        event = scene.events[0]
        resting = seen_at(scene.film.mask("e1", scene.film.frames - 1))[1]
        for t, then in zip(event.onsets, event.onsets[1:], strict=False):
            low = max(seen_at(scene.film.mask("e1", k))[1] for k in (int(t * FPS), int(t * FPS) + 1))
            high = seen_at(scene.film.mask("e1", round((t + then) / 2 * FPS)))[1]
            assert resting - 12 <= low <= resting + 1.5 and high < resting - 2
            checked += 1
        assert list(event.strengths) == sorted(event.strengths, reverse=True)
    assert checked >= 8


@pytest.mark.parametrize("kind", ["bounce", "pass", "steps"])
def test_the_path_is_where_the_mask_is(kind: str, heldout: Heldout, monkeypatch):
    at_rest(monkeypatch)
    checked, pans = 0, []
    for seed in range(5):
        scene = staged(kind, heldout, seed)
        if len(scene.events) > 1:
            continue
        event = scene.events[0]
        for k in range(4, scene.film.frames - 4, 12):
            mask = scene.film.mask("e1", k)
            if not mask.any() or mask[:, [0, -1]].any():  # gone, or cut by the edge of the picture
                continue
            pan, _ = event.place(k / FPS)
            # Arms and legs reach further on one side; between the points of a path speed may change.
            assert pan[0] == pytest.approx(2 * EDGE_PAN * (seen_at(mask)[0] / WIDTH - 0.5), abs=0.06)
            pans.append(pan[0])
            checked += 1
    assert checked >= 15 and np.ptp(pans) > 0.4


def test_what_comes_nearer_grows(heldout: Heldout, monkeypatch):
    at_rest(monkeypatch)
    grown = 0
    for seed in range(7):
        scene = staged("pass", heldout, seed)
        event = scene.events[0]
        sizes = {
            k: seen_at(mask)[2]
            for k in range(scene.film.frames)
            if (mask := scene.film.mask("e1", k)).any() and not mask[:, [0, -1]].any()
        }
        assert not scene.film.mask("e1", round(event.start * FPS) - 2).any()
        assert not scene.film.mask("e1", min(round(event.end * FPS) + 2, scene.film.frames - 1)).any()
        first, last = min(sizes), max(sizes)
        _, metres = event.place(np.array([first, last]) / FPS)
        assert sizes[last] / sizes[first] == pytest.approx(metres[0] / metres[1], rel=0.15)
        grown += sizes[last] > 1.3 * sizes[first]
    assert grown >= 1


def test_blows_meet_what_they_strike(heldout: Heldout, monkeypatch):
    """The picture changes least where a tool turns, and most just before it lands."""
    at_rest(monkeypatch)
    for seed in range(4):
        scene = staged("strike", heldout, seed)
        for t in scene.events[0].onsets:
            k = int(t * FPS)
            falling = np.count_nonzero(scene.film.mask("e1", k) ^ scene.film.mask("e1", k - 2))
            waiting = np.count_nonzero(scene.film.mask("e1", k - 4) ^ scene.film.mask("e1", k - 6))
            assert falling > 1.5 * waiting


def test_another_act_a_short_scene_or_an_empty_library_is_refused(heldout: Heldout, tmp_path: Path):
    with pytest.raises(ValueError, match="no act 'juggle'"):
        staged("juggle", heldout, 0)
    with pytest.raises(ValueError, match="too short"):
        staged("bounce", heldout, 0, Fraction(2))
    bare = made(tmp_path / "bare", classes=("weather/wind",), seen={})
    for kind in KINDS:
        with pytest.raises(ValueError, match="held out"):
            staged(kind, bare, 0)


def test_a_bounce_is_the_sum_of_its_flights():
    ball = Bouncing(drop=100.0, gravity=800.0, restitution=0.5, begin=0.25)
    np.testing.assert_allclose(ball.contacts, [(0.75, 400), (1.25, 200), (1.5, 100)])
    assert [ball.height(t) for t, _ in ball.contacts] == pytest.approx([0, 0, 0], abs=1e-9)
    assert ball.height(0.0) == ball.height(0.25) == 100 and ball.height(1.0) == pytest.approx(25)
    assert ball.height(1.375) == pytest.approx(6.25) and ball.height(1.6) == 0


def test_a_swing_lands_on_time_as_fast_as_it_is_strong():
    swing = Swinging((1.0, 2.0, 2.6), (0.5, 1.0, 0.8), reach=1.2)
    times = np.arange(0, 4, 1 / 1000)
    angles = np.array([swing.angle(float(t)) for t in times])
    assert angles.min() >= 0 and np.abs(np.diff(angles)).max() < 0.05  # it never jumps
    for k, t in enumerate(swing.times):
        assert swing.angle(t) == pytest.approx(0, abs=1e-9)
        assert (swing.angle(t - 1e-4) - swing.angle(t)) / 1e-4 == pytest.approx(swing.speed(k), rel=1e-3)
    touching = times[angles < 1e-3]
    assert all(min(abs(t - at) for at in swing.times) < 0.002 for t in touching)


def test_rolling_knocks_at_the_end_of_its_track():
    roll = Rolling(begin=0.5, speed=0.0, acceleration=100.0, length=200.0)
    assert (roll.knock, roll.impact, roll.place(roll.knock)) == pytest.approx((2.5, 200, 200))
    assert roll.place(1.5) == pytest.approx(50) and roll.place(0.1) == 0
    back = 200 - roll.place(roll.rest)
    assert back == pytest.approx((0.25 * 200) ** 2 / (2 * Rolling.BRAKE)) and roll.place(9) == roll.place(
        roll.rest
    )
    short = Rolling(0.0, 100.0, -50.0, 200.0)
    assert (
        short.knock is None and short.rest == 2 and short.place(5) == pytest.approx(100) and short.impact == 0
    )


def test_feet_stand_still_between_steps_and_land_on_time():
    walk = Walking(0.5, (1.0, 1.6, 2.1, 2.7), stride=30.0, lift=8.0)
    for k, t in enumerate(walk.times):
        foot = (k + 1) % 2
        assert walk.foot(foot, t) == pytest.approx((30 * (k + 1.5), 0), abs=1e-9)
        assert walk.foot(foot, t - 0.05)[1] > 0.3 and walk.body(t)[1] == pytest.approx(0, abs=1e-9)
        if k + 1 < len(walk.times):
            assert walk.foot(foot, t + 0.2) == walk.foot(foot, t)
    assert walk.foot(0, 0.0) == (15, 0) and walk.foot(1, 0.0) == (-15, 0) and walk.body(9)[0] == 120


def test_poured_water_arrives_after_it_has_fallen():
    water = Pouring(open=1.0, shut=3.0, gravity=800.0, first=100.0, last=36.0)
    assert (water.start, water.end) == pytest.approx((1.5, 3.3))
    assert (
        water.stream(1.25) == pytest.approx((0, 25))
        and water.stream(0.9) is None
        and water.stream(3.4) is None
    )
    assert water.stream(3.2)[0] == pytest.approx(16) and water.depth(2.4) == pytest.approx(68)


def test_a_pulse_begins_at_its_moment():
    assert pulse(1.0, (1.0,), (0.8,)) == 0
    assert pulse(1.08, (1.0,), (0.8,)) == pytest.approx(0.8)
    assert pulse(1.02, (1.0,), (0.8,)) > 0.4 and pulse(2.0, (1.0,), (0.8,)) < 0.01


def test_masks_are_of_the_size_of_the_picture(heldout: Heldout):
    mask = staged("call", heldout, 0).film.mask("e1", 0)
    assert mask.shape == (HEIGHT, WIDTH) and mask.dtype == bool
