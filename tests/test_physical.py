"""Our own sound models: the physics that can be checked on paper, and what every class promises."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from reasound.data.physical import ball, birds, modal, voices, water
from reasound.data.physical.catalogue import CLASSES
from reasound.data.physical.sound import RATE, Wave, clock, filtered, harmonics, modes, phase_of, room
from reasound.evaluation.tags import TAGS

QUICK = sorted(set(CLASSES) - {"ambience/night_insects", "weather/rain"})  # those two render 12 s


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def loudest_hertz(wave: Wave, low: float = 20.0) -> float:
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 1 << 18))
    hertz = np.fft.rfftfreq(1 << 18, 1 / RATE)
    return float(hertz[np.argmax(spectrum * (hertz > low))])


def centroid(wave: Wave) -> float:
    power = np.abs(np.fft.rfft(wave)) ** 2
    return float((power * np.fft.rfftfreq(len(wave), 1 / RATE)).sum() / power.sum())


def test_modes_are_damped_sines():
    hertz, ring, level = (
        np.array([440.0, 1_234.5, 30_000.0]),
        np.array([0.1, 0.02, 1.0]),
        np.array([1.0, 0.5, 1.0]),
    )
    t = clock(3_000)
    wanted = np.sin(2 * np.pi * 440.0 * t) * np.exp(-t / 0.1) + 0.5 * np.sin(
        2 * np.pi * 1_234.5 * t
    ) * np.exp(-t / 0.02)
    np.testing.assert_allclose(modes(3_000, hertz, ring, level), wanted, atol=1e-9)  # 30 kHz cannot be heard


def test_harmonics_follow_the_pitch():
    hertz = np.linspace(300.0, 500.0, 8_192)
    phase = phase_of(hertz)
    made = harmonics(hertz, lambda k, f, q: np.full(f.shape, (1.0, 0.5, 0.25)[k - 1]), most=3)
    wanted = np.sin(phase) + 0.5 * np.sin(2 * phase) + 0.25 * np.sin(3 * phase)
    np.testing.assert_allclose(made, wanted, atol=1e-9)


def test_a_filter_gives_each_frequency_its_gain():
    t = clock(RATE)
    wave = np.sin(2 * np.pi * 200.0 * t) + np.sin(2 * np.pi * 8_000.0 * t)
    quiet = filtered(wave, (400.0, 4_000.0), (0.0, -20.0))
    middle = slice(5_000, -5_000)
    np.testing.assert_allclose(
        quiet[middle],
        (np.sin(2 * np.pi * 200.0 * t) + 0.1 * np.sin(2 * np.pi * 8_000.0 * t))[middle],
        atol=0.01,
    )


def test_a_room_adds_its_tail_and_keeps_the_sound():
    click = np.zeros(1_000)
    click[10] = 1.0
    heard = room(rng(), click, 0.5, 0.3)
    assert len(heard) == 1_000 + RATE // 2
    assert heard[10] == pytest.approx(1.0, abs=0.05)
    assert np.sqrt((heard[11:] ** 2).sum()) == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize("radius", [1.0, 3.0, 6.0])
def test_a_bubble_sings_at_its_minnaert_frequency(radius: float):
    assert loudest_hertz(water.bubble(radius, rise=0.0)) == pytest.approx(3_000.0 / radius, rel=0.03)


def test_a_ball_loses_the_same_share_of_time_at_every_bounce():
    times = [at for at, _ in ball.bounce_times(1.0, 0.8, 8)]
    assert times[0] == pytest.approx(np.sqrt(2 / 9.81))
    gaps = np.diff(times)
    np.testing.assert_allclose(gaps[1:] / gaps[:-1], 0.8)
    sound = ball.bounce(rng(), "basketball", 1.0, 0.8, 8)
    np.testing.assert_allclose(np.diff(sound.onsets), gaps, atol=2e-4)


def test_larger_things_and_creatures_sound_lower():
    small, large = (
        loudest_hertz(modal.strike(rng(), modal.body(rng(1), "metal", s), 0.5, 0.8)) for s in (0.5, 2.0)
    )
    assert small == pytest.approx(4 * large, rel=0.02)
    pup, mastiff = (centroid(voices.cry(rng(), voices.DOG, 0.3, s)) for s in (0.7, 1.5))
    assert pup > 1.4 * mastiff


def test_a_harder_hit_is_louder_and_brighter():
    thing = modal.body(rng(1), "ceramic", 1.0)
    soft, hard = (modal.strike(rng(), thing, 0.4, force) for force in (0.2, 1.0))
    assert np.abs(hard).max() > 4 * np.abs(soft).max()
    assert centroid(hard) > 1.1 * centroid(soft)


def test_materials_ring_for_different_times():
    def ring(material: str) -> float:
        wave = modal.strike(rng(), modal.body(rng(1), material, 1.0), 1.0, 0.8)
        energy = np.cumsum(wave**2)
        return float(np.searchsorted(energy, 0.9 * energy[-1]) / RATE)

    assert ring("metal") > 2 * ring("glass") > 2 * ring("wood") > 0


@pytest.mark.parametrize("name", QUICK)
def test_every_class_keeps_its_promises(name: str):
    take = CLASSES[name](rng(3))
    audio, onsets = take.sound.audio, take.sound.onsets
    assert name in TAGS
    assert audio.dtype == np.float32 and audio.shape[:-1] in ((), (2,))
    assert np.isfinite(audio).all() and np.abs(audio).max() == pytest.approx(0.9, abs=1e-3)
    assert 0.1 < take.sound.seconds < 20
    assert list(onsets) == sorted(onsets) and all(0 <= t < take.sound.seconds for t in onsets)
    assert len(set(take.captions)) == 3 and all(c == c.strip() and "  " not in c for c in take.captions)
    assert (take.kind == "one_shot") <= (len(onsets) == 1)
    np.testing.assert_array_equal(audio, CLASSES[name](rng(3)).sound.audio)
    assert not np.array_equal(audio[..., :1000], CLASSES[name](rng(4)).sound.audio[..., :1000])


@pytest.mark.parametrize(
    "sound",
    [
        voices.calls(rng(), voices.DOG, 3, 0.18, 0.4),
        birds.chirps(rng(), times=4, gap=0.3),
        modal.hit(rng(), "wood", times=3),
        ball.dribble(rng(), times=4),
    ],
    ids=["bark", "chirp", "knock", "dribble"],
)
def test_each_onset_is_where_the_sound_begins(sound):
    power = sound.audio.astype(float) ** 2
    for onset in sound.onsets:
        at = round(onset * RATE)
        before, after = (
            power[max(at - 900, 0) : max(at - 10, 0)].max(initial=0.0),
            power[at : at + 2_200].max(),
        )
        assert after > 20 * before, f"nothing begins at {onset} s"


def test_the_recipe_writes_a_manifest_that_says_what_was_made(tmp_path: Path, capsys):
    place = Path(__file__).parents[1] / "recipes" / "physical_sounds.py"
    spec = importlib.util.spec_from_file_location("physical_sounds", place)
    assert spec and spec.loader
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    (tmp_path / "audio").mkdir()
    rows = list(recipe.render("animal/dog", 2, 5, tmp_path, True))
    assert len({row["id"] for row in rows}) == 2
    for row in rows:
        audio, rate = soundfile.read(tmp_path / row["file"])
        assert rate == RATE and len(audio) / RATE == pytest.approx(row["seconds"], abs=1e-3)
        assert row["licence_group"] == "CC0/PD" and row["source_file"].startswith("voices.calls(")
        json.dumps(row)
