"""Scenes: the truth that is told is the truth that is heard."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from reasound.data.manifest import Hit, Recording, write_manifest
from reasound.data.scenes.drawn import Mixture, SceneMaker, caption, evidence, movement, only, reasoning
from reasound.plan import Event, Place, Plan
from reasound.synthesis.match import Library
from reasound.timeline import SAMPLE_RATE

SAMPLES = 3 * SAMPLE_RATE
KNOCK, RAIN = "impact/wood", "weather/rain"


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Library:
    """Three knocks and a rain, one of the knocks held out."""
    folder: Path = tmp_path_factory.mktemp("sounds")
    (folder / "audio").mkdir()
    rng = np.random.default_rng(0)
    recordings = []
    for i, split in enumerate(("train", "train", "test")):
        t = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
        sound = 0.5 * np.sin(2 * np.pi * (300 + 40 * i) * t) * np.exp(-t / 0.05)
        recordings.append(
            saved(folder, f"knock{i}", sound, KNOCK, "one_shot", (Hit(0.0, 0.001, 0.5, -20.0),), split)
        )
    rain = 0.1 * rng.standard_normal(6 * SAMPLE_RATE)
    recordings.append(saved(folder, "rain", rain, RAIN, "texture", (), "train"))
    write_manifest(folder / "manifest.jsonl", recordings)
    captions = [r.caption for r in recordings]
    np.savez(
        folder / "captions.npz",
        captions=np.array(captions),
        vectors=np.eye(len(captions), 384, dtype=np.float16),
        classes=np.array([r.sound_class for r in recordings]),
        class_captions=np.arange(len(captions)),
    )
    return Library.load(folder)


def saved(folder: Path, name: str, sound, sound_class: str, kind, hits, split) -> Recording:
    soundfile.write(folder / "audio" / f"{name}.wav", sound, SAMPLE_RATE)
    return Recording(
        id=name, file=f"audio/{name}.wav", captions=(f"sound {name}",), sound_class=sound_class, material="", kind=kind,
        seconds=len(sound) / SAMPLE_RATE, rate=SAMPLE_RATE, channels=1, hits=hits, loudness=-20.0, swell=0.0,
        brightness=1_000.0, quality=1.0, tags=(), licence="CC0-1.0", licence_group="CC0/PD", author="test",
        package="test", source_file=name, changes="", series=name, split=split,
    )  # fmt: skip


@pytest.fixture
def mixtures(library: Library) -> SceneMaker:
    return SceneMaker(library, SAMPLES, seed=3, drawn=Mixture(alone=0.0, moving=0.0, timed=1.0))


def test_the_same_number_gives_the_same_scene_in_any_order(library: Library):
    maker, again = (SceneMaker(library, SAMPLES, seed=1) for _ in range(2))
    forward = [maker[i] for i in range(4)]
    for i in (3, 1, 0, 2):
        scene = again[i]
        assert scene.plan == forward[i].plan
        np.testing.assert_array_equal(scene.mix, forward[i].mix)
    assert len({scene.plan.to_json() for scene in forward}) == 4


def test_stems_sum_to_the_mix_and_have_the_names_of_the_plan(mixtures: SceneMaker):
    for i in range(5):
        scene = mixtures[i]
        assert not scene.dry and scene.mix.shape == (2, SAMPLES) and scene.mix.dtype == np.float32
        assert set(scene.stems) == {x.id for x in (*scene.plan.events, *scene.plan.ambience)}
        np.testing.assert_allclose(sum(scene.stems.values()), scene.mix, atol=1e-5)
        assert np.abs(scene.mix).max() <= 0.9 + 1e-4


def test_every_told_onset_is_heard_in_its_stem(mixtures: SceneMaker):
    told = 0
    for i in range(8):
        scene = mixtures[i]
        for event in scene.plan.events:
            power = (scene.stems[event.id].astype(float) ** 2).sum(0)
            for onset in event.onsets[:1]:  # later ones may fall into the reverberation of the first
                at = round(onset * SAMPLE_RATE)
                before = power[max(at - 4_000, 0) : max(at - 300, 0)].max(initial=0.0)
                after = power[at : at + 4_000].max()
                assert after > 10 * before
                told += 1
    assert told >= 8


def test_what_is_on_the_left_is_louder_on_the_left(mixtures: SceneMaker):
    seen = 0
    for i in range(12):
        scene = mixtures[i]
        for event in scene.plan.events:
            if abs(event.pan) > 0.3:
                left, right = (scene.stems[event.id].astype(float) ** 2).sum(1)
                assert (left > right) == (event.pan < 0)
                seen += 1
    assert seen >= 5


def test_levels_in_the_plan_are_those_of_the_sound(library: Library):
    """A mixture that had to come down tells so: the same plan rendered again is the same sound."""
    from fractions import Fraction

    maker = SceneMaker(library, SAMPLES, seed=5, drawn=Mixture(alone=0.0, sources=(1.0,), ambience=0.0))
    for i in range(4):
        scene = maker[i]
        event = scene.plan.events[0]
        rms = float(np.sqrt((scene.stems[event.id] ** 2).mean()))
        louder = scene.plan.model_copy(
            update={"events": (event.model_copy(update={"level": event.level - 6.0}),)}
        )
        again = [maker.renderer.render(louder, Fraction(3), seed)[0].audio for seed in (0, 1)]
        quieter = np.mean([float(np.sqrt((a**2).mean())) for a in again])
        assert 20 * np.log10(quieter / rms) == pytest.approx(
            -6.0, abs=2.5
        )  # another take of the sound may be drawn


def test_most_scenes_are_one_dry_sound_in_the_middle(library: Library):
    maker = SceneMaker(library, SAMPLES, seed=0, drawn=Mixture(alone=1.0, background=0.3))
    scenes = [maker[i] for i in range(12)]
    assert all(s.dry and not s.stems for s in scenes)
    assert all(len(s.plan.events) + len(s.plan.ambience) == 1 for s in scenes)
    assert {bool(s.plan.events) for s in scenes} == {True, False}
    for s in scenes:
        for event in s.plan.events:
            assert (event.level, event.pan, event.path) == (0.0, 0.0, ())
            first = min(event.onsets, default=event.start)
            silent = s.mix[:, : max(round((first - 0.05) * SAMPLE_RATE), 0)]
            assert np.abs(silent).max(initial=0.0) < 1e-3


def test_only_keeps_the_asked_split(library: Library):
    assert {r.id for r in only(library, "train").recordings} == {"knock0", "knock1", "rain"}
    assert len(library.recordings) == 4
    with pytest.raises(ValueError, match="no recording of val"):
        only(library, "val")


def test_a_scene_that_is_too_short_is_refused(library: Library):
    with pytest.raises(ValueError, match="too short"):
        SceneMaker(library, 100)


def plan_of_two() -> Plan:
    return Plan(
        seconds=4.0,
        events=(
            Event(id="e1", source="a dog", sound="a dog barks", sound_class="animal/dog", end=4.0, onsets=(0.5, 1.25)),
            Event(
                id="e2", source="a car", sound="a car passes", sound_class="vehicle/car", end=4.0, level=3.0,
                path=(Place(time=0, pan=-0.8, distance=20), Place(time=4, pan=0.8, distance=4)),
            ),
        ),
    )  # fmt: skip


def test_the_reasoning_says_what_the_plan_says():
    steps = reasoning(plan_of_two())
    said = " ".join(step.text for step in steps)
    assert "A dog barks at 0.5 and 1.25 s." in said
    assert "A car passes: from far to the left to far to the right, coming nearer" in said
    assert "A car passes is loudest" in said
    assert {s.aspect for s in steps} == {"semantic", "temporal", "spatial", "aesthetic"}
    assert all(set(s.events) <= {"e1", "e2"} for s in steps)
    json.dumps([s.model_dump() for s in steps])


def test_captions_name_only_what_sounds():
    drawn = {caption(plan_of_two(), np.random.default_rng(i)) for i in range(60)}
    assert len(drawn) > 4
    for text in drawn:
        assert "rain" not in text
    assert any("a dog barks" in text and "a car passes" in text for text in drawn)


def test_simulated_sight_points_at_what_is_on_screen():
    labels = ["beagle", "sports car", "teapot", "ocean"]
    table = {"beagle": 0, "a dog barks": 0, "sports car": 1, "a car passes": 1, "teapot": 2, "ocean": 3}

    def embed(texts):
        return np.eye(8, dtype=np.float32)[[table[t] for t in texts]]

    seen = evidence(plan_of_two(), labels, embed, np.random.default_rng(0))
    assert seen.shape == (32, 8) and seen.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(seen, axis=1), 1.0, rtol=1e-5)
    assert seen[:, :2].max(1).mean() > 3 * seen[:, 2:4].max(1).mean()


def test_simulated_movement_strikes_where_something_on_screen_does():
    def sync(on_screen):
        hits = Event(id="h", source="x", sound="x", end=8, onsets=(2.0, 5.0), pan=-1.0, on_screen=on_screen)
        plan = Plan(seconds=8.0, events=(hits,))
        return np.mean([movement(plan, np.random.default_rng(i)) for i in range(40)], axis=0)

    seen, unseen = sync(True), sync(False)
    assert seen.shape == (200, 32) and seen.dtype == np.float32
    blows = seen[:, 26] - unseen[:, 26]
    assert {int(k) for k in np.argsort(blows)[-2:]} <= {*range(49, 52), *range(124, 127)}
    left, right = (seen[50, 17 + np.arange(3) * 3 + side].sum() for side in (0, 2))
    assert left > 3 * right
    assert seen[:40, 26].mean() < 0.2 * seen[50, 26]
