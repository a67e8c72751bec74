"""YAMNet hears what the original hears; the golden numbers are recorded by tests/golden/encoders.py."""

from pathlib import Path

import numpy as np
import pytest
import soxr

from golden import encoders
from reasound.evaluation.yamnet import Yamnet, log_mel_patches, mel_filters

RATE = 16_000


@pytest.fixture(scope="module")
def yamnet():
    return Yamnet.load()


@pytest.fixture(scope="module")
def golden():
    return np.load(Path(encoders.__file__).with_suffix(".npz"))


def noise(seconds, rate=RATE):
    return 0.1 * np.random.default_rng(0).standard_normal(round(seconds * rate)).astype(np.float32)


def test_it_hears_what_the_original_hears(yamnet, golden):
    scores, embeddings = yamnet(encoders.sound(), RATE)
    np.testing.assert_allclose(scores, golden["yamnet_scores"], atol=5e-3)
    assert golden["yamnet_embeddings"].max() > 3
    np.testing.assert_allclose(embeddings, golden["yamnet_embeddings"], atol=0.05)


def test_channels_and_rates_are_brought_to_mono_at_16_khz(yamnet):
    sound = soxr.resample(encoders.sound(), RATE, 44_100)
    expected, _ = yamnet(encoders.sound(), RATE)
    stereo = np.stack([1.5 * sound, 0.5 * sound])
    scores, _ = yamnet(stereo, 44_100)
    np.testing.assert_allclose(scores, expected, atol=0.02)


def test_windows_are_whole_and_half_a_window_apart(yamnet):
    for seconds, windows in ((0.1, 1), (0.975, 1), (1.454, 1), (1.455, 2), (9.0, 17)):
        assert yamnet(noise(seconds), RATE)[0].shape == (windows, 521)


def test_many_windows_are_the_same_as_each_alone(yamnet):
    sound = np.concatenate([encoders.sound(), noise(16)])
    scores, embeddings = yamnet(sound, RATE)
    for window in (0, 20, 34):
        alone, embedding = yamnet(sound[window * 7_680 :][:15_600], RATE)
        np.testing.assert_allclose(alone[0], scores[window], atol=1e-5)
        np.testing.assert_allclose(embedding[0], embeddings[window], atol=1e-4)


def test_tags_do_not_depend_on_the_level_and_leave_silence_out(yamnet):
    sound = encoders.sound()
    tags = yamnet.tags(sound, RATE, top=521)
    assert len(tags) == 520 and "Silence" not in dict(tags)
    assert [score for _, score in tags] == sorted((score for _, score in tags), reverse=True)
    assert dict(yamnet.tags(0.01 * sound, RATE)) == pytest.approx(dict(tags[:5]), abs=1e-3)
    assert yamnet.tags(np.zeros(RATE), RATE)[0][1] < 0.5


def test_tags_take_the_best_window(yamnet):
    scores, _ = yamnet(encoders.sound() * (0.5 / np.abs(encoders.sound()).max()), RATE)
    name, score = yamnet.tags(encoders.sound(), RATE, top=1)[0]
    assert score == pytest.approx(float(scores[:, yamnet.classes.index(name)].max()), abs=1e-5)


def test_a_tone_lights_its_own_mel_band():
    tone = np.sin(2 * np.pi * 1_000 * np.arange(RATE) / RATE)
    bands = log_mel_patches(_tensor(tone))[0].mean(0)
    filters = mel_filters()
    assert filters[0].sum() == 0 and filters.max() <= 1
    assert bands.argmax() == filters[round(1_000 / 31.25)].argmax()


@pytest.mark.parametrize(
    ("audio", "rate", "words"),
    [
        (np.zeros(0), RATE, "not empty"),
        (np.zeros((1, 2, 3)), RATE, "not empty"),
        (np.zeros((100, 2)), RATE, "channels come first"),
        (np.full(100, np.nan), RATE, "not finite"),
        (np.zeros(100), 0, "sample rate"),
    ],
)
def test_what_is_no_sound_is_refused(yamnet, audio, rate, words):
    with pytest.raises(ValueError, match=words):
        yamnet(audio, rate)


def _tensor(values):
    import torch

    return torch.tensor(values, dtype=torch.float32)
