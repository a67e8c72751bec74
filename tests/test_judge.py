"""The statistics of a sound, and the judge that knows classes by them."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from reasound.checkpoints import store
from reasound.data.scenes.heldout import Heldout
from reasound.errors import UserError
from reasound.evaluation.judge import EARS, KIND, Ears, Judge, hear
from reasound.evaluation.listening import (
    BANDS,
    HOP,
    LOWEST,
    SPEEDS,
    WINDOW,
    mel_filters,
    modulation,
    spectra,
    statistics,
)
from reasound.evaluation.tags import TAGS
from reasound.timeline import SAMPLE_RATE as RATE

sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))
import class_judge as recipe  # noqa: E402


def noise(seconds=2.0, seed=0):
    return np.random.default_rng(seed).standard_normal((1, round(seconds * RATE))).astype(np.float32) * 0.1


def tone(hertz, seconds=2.0):
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE, dtype=np.float32)[None]


def test_spectra_hold_the_power_of_the_sound():
    power = spectra(noise(), WINDOW, HOP)
    assert power.shape == ((2 * RATE - WINDOW) // HOP + 1, WINDOW // 2 + 1)
    # Of white noise every bin holds the variance of a sample.
    assert power[:, 1:-1].mean() == pytest.approx(0.01, rel=0.02)


def test_a_tone_is_in_the_band_around_it():
    filters = mel_filters(WINDOW, BANDS)
    assert (filters.sum(0) > 0).all() and LOWEST < RATE / WINDOW  # also those that are narrower than a bin
    band = (spectra(tone(1000), WINDOW, HOP) @ filters).mean(0).argmax()
    edges = 700 * np.expm1(np.linspace(np.log1p(40 / 700), np.log1p(16_000 / 700), BANDS + 2))
    assert edges[band] < 1000 < edges[band + 2]


@pytest.mark.parametrize("speed", [2.0, 6.0, 20.0])
def test_a_swelling_noise_moves_at_its_speed(speed):
    swell = 1 + np.sin(2 * np.pi * speed * np.arange(4 * RATE) / RATE)
    shares, depth, together = modulation(
        spectra((noise(4) * swell).astype(np.float32), WINDOW, HOP) @ mel_filters(WINDOW, BANDS)
    )
    assert (shares.argmax(0) == np.digitize(speed, SPEEDS) - 1).all()
    assert depth.min() > 0.3 and together.min() > 0.7  # all bands, and at the same time


def test_level_side_and_silence_around_change_little():
    sound = noise(1.0) * np.exp(-np.arange(RATE) / 8000).astype(np.float32)
    plain = statistics(sound)
    assert np.array_equal(statistics(sound * 0.25), plain)
    aside = np.concatenate([sound * 0.8, sound * 0.1])
    assert statistics(aside) == pytest.approx(plain, abs=1e-2)
    other = statistics(noise(1.0, seed=1) * np.linspace(0, 1, RATE, dtype=np.float32))
    later = statistics(np.pad(sound, ((0, 0), (HOP * 50, 0))))
    assert np.linalg.norm(later - plain) < np.linalg.norm(other - plain)


@pytest.mark.parametrize(
    "sound", [np.zeros((2, 5000), np.float32), np.eye(1, 9000, dtype=np.float32), noise(0.004)]
)
def test_any_sound_has_finite_statistics(sound):
    assert np.isfinite(statistics(sound)).all()


@pytest.mark.parametrize("sound", [np.zeros((1, 0)), np.full((1, 900), np.nan), np.zeros((1, 2, 3))])
def test_what_is_no_sound_is_refused(sound):
    with pytest.raises(ValueError, match="finite, not empty"):
        statistics(sound)


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """The folder of a judge that was taught tones, noises and clicks, by the recipe's own discriminant."""
    sounds, kinds = [], []
    for k in range(5):
        clicks = np.zeros((1, RATE), np.float32)
        clicks[0, 2000 + 500 * k :: 9000] = 0.5
        sounds += [
            tone(400 + 90 * k, 1.0) + 0.001 * noise(1.0, k),
            noise(1.0, k),
            clicks + 1e-4 * noise(1.0, k),
        ]
        kinds += [0, 1, 2]
    heard = [hear(sound) for sound in sounds]
    ears = Ears({ear: len(heard[0][ear]) for ear in EARS}, 3)
    for ear in EARS:
        rows = np.stack([h[ear] for h in heard]).astype(float)
        trained = recipe.discriminant(rows, np.array(kinds), np.ones(15), 3)
        ears.get_submodule(ear).load_state_dict(trained.state_dict())
    config = {
        "inputs": {ear: len(heard[0][ear]) for ear in EARS},
        "classes": ["tone", "noise", "clicks"],
        "groups": [["tone"], ["noise", "clicks"]],
    }
    folder = tmp_path_factory.mktemp("judge")
    store.save(folder, KIND, ears.state_dict(), config)
    return folder


def test_a_judge_knows_what_it_was_taught_and_is_read_back(taught):
    judge = Judge.load(taught)
    assert judge.knows("tone") and not judge.knows("hum")
    assert judge.group_of("clicks") == ("noise", "clicks")
    with pytest.raises(ValueError, match="never heard 'hum'"):
        judge.group_of("hum")
    for ear, ranked in judge.ranked(tone(620, 1.0)).items():
        assert ranked == [("tone",), ("noise", "clicks")], ear
    assert judge.ranked(noise(1.0, seed=9))["mel"][0] == ("noise", "clicks")


def test_a_damaged_judge_is_one_sentence(taught, tmp_path):
    shutil.copy(taught / "config.json", tmp_path)
    (tmp_path / "judge.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="is damaged"):
        Judge.load(tmp_path)


def test_the_discriminant_is_the_same_in_both_forms_and_blind_to_absent_classes():
    """Against the definition: solved directly, whichever is larger, clips or numbers."""
    rng = np.random.default_rng(3)
    for clips, numbers in ((12, 30), (60, 8)):
        points = rng.standard_normal((clips, numbers))
        kinds = np.arange(clips) % 3
        points += np.eye(3, numbers)[kinds] * 2
        ear = recipe.discriminant(points, kinds, np.ones(clips), 4)
        scaled = np.clip((points - points.mean(0)) / (points.std(0) + 1e-2), -5, 5)
        centres = np.stack([scaled[kinds == k].mean(0) for k in range(3)])
        within = (scaled - centres[kinds]).T @ (scaled - centres[kinds]) / clips
        shrunk = 0.5 * within + 0.5 * np.trace(within) / numbers * np.eye(numbers)
        matrix = np.linalg.solve(shrunk, centres.T).T
        wanted = scaled @ matrix.T - 0.5 * (matrix * centres).sum(1)
        found = ear(torch.from_numpy(points).float()).numpy()
        assert found[:, :3] == pytest.approx(wanted, rel=1e-3, abs=1e-3)
        assert (found[:, 3] < found[:, :3].min(1)).all()


def test_classes_that_are_taken_for_each_other_are_one_group():
    names = ["a", "b", "c"]
    kinds = np.repeat(np.arange(3), 4)
    series = [f"{k}{i}" for k in "abc" for i in range(4)]
    sure = np.array([[0.45, 0.55, 0.0], [0.55, 0.45, 0.0], [0.0, 0.0, 1.0]])
    assert recipe.grouped(sure[kinds], kinds, series, names) == (("a", "b"), ("c",))
    assert recipe.grouped(np.eye(3)[kinds], kinds, series, names) == (("a",), ("b",), ("c",))
    # One series is not enough to be known by.
    alone = [s if s[0] != "c" else "c" for s in series]
    assert len(recipe.grouped(np.eye(3)[kinds], kinds, alone, names)) == 2


def test_no_series_is_in_two_folds():
    rows = [{"sound_class": f"c{k % 3}", "series": f"s{k % 7}"} for k in range(40)]
    fold = recipe.folds(rows)
    for series in {r["series"] for r in rows}:
        assert len({f for f, r in zip(fold, rows, strict=True) if r["series"] == series}) == 1


@pytest.mark.parametrize("trigger", ["impact", "step", "continuous", "none"])
@pytest.mark.parametrize("seconds", [0.2, 1.7, 6.0])
def test_arrangements_are_as_long_as_what_is_judged(trigger, seconds):
    rng = np.random.default_rng(5)
    sound = recipe.varied(recipe.arranged([noise(seconds), noise(seconds, 1)], trigger, rng), rng)
    assert sound.shape[1] == recipe.LENGTH and np.isfinite(sound).all() and np.abs(sound).max() > 0.01


def test_the_judge_that_ships_knows_the_recordings_it_was_made_from():
    """It heard them itself: a check that weights, statistics and classes belong together."""
    judge, held = Judge.load(), Heldout.load()
    assert set(judge.classes) <= set(TAGS)
    assert sorted(name for group in judge.groups for name in group) == sorted(judge.classes)
    right = []
    for name in (
        "animal/cow",
        "instrument/woodwind",
        "animal/dog",
        "voice/cheer_applause",
        "instrument/brass",
    ):
        for place in held.library.classes[name][:1]:
            ranked = judge.ranked(held.library.read(held.library.recordings[place]))
            right.append(ranked["both"][0] == judge.group_of(name))
    assert np.mean(right) > 0.7
