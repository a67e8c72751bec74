"""The measures of the field over a set: what they say, what they need, and what they cannot say."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

import clips
from reasound.errors import UserError
from reasound.evaluation import field
from reasound.evaluation.field import NAMES, Field, available
from reasound.evaluation.protocols import embedder
from reasound.evaluation.sounds import evaluate
from reasound.media.video import Clip
from test_protocols_audio import TINY, publish, weights

RATE = 44_100


class Judge:
    """Stands for a network that compares a sound with a picture or a text: its answer can be computed by hand."""

    protocol = "judge/1"

    def score(self, other, audio):
        if isinstance(other, np.ndarray):  # a text comes second, a clip first
            other, audio = audio, other
        return float(np.abs(audio).max()) + (len(other) if isinstance(other, str) else 100)

    def offset(self, clip, audio):
        raise ValueError("the video is too short")

    def scores(self, audio):
        return {"CE": 1.0, "CU": 2.0, "PC": 3.0, "PQ": float(np.abs(audio).max())}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Weights of tiny networks, read as the published ones are."""
    for name in ("panns-16k", "vggish", "openl3-env-512", "passt"):
        publish(tmp_path, name, weights(name, TINY[name]))
        monkeypatch.setitem(
            field.LOADERS, name, lambda where, name=name: embedder.load(name, where, TINY[name])
        )
    for name in ("imagebind", "desync", "clap", "aesthetics"):
        monkeypatch.setitem(field.LOADERS, name, lambda where: Judge())
    return tmp_path


def tone(pitch, level=0.3, seconds=2.0):
    t = np.arange(round(seconds * RATE)) / RATE
    return np.tile((level * np.sin(2 * np.pi * pitch * t)).astype(np.float32), (2, 1))


def test_the_real_sound_against_itself_is_perfect_and_another_is_not(folder):
    judges = Field(["fd-panns", "fd-vggish", "fd-openl3", "fd-passt", "kl-panns", "kl-passt"], folder)
    for pitch in (200, 500, 900):
        real = tone(pitch)
        scores, problems = judges.score({"same": real.copy(), "other": tone(3 * pitch, 0.05)}, real)
        assert not problems
        for name in ("kl-panns", "kl-passt"):
            assert scores["same"][name] == pytest.approx(0, abs=1e-7) == scores["real"][name]
            assert scores["other"][name] > 1e-6
    whole = judges.whole()
    for name in ("fd-panns", "fd-vggish", "fd-openl3", "fd-passt"):
        assert whole["same"][name] == pytest.approx(0, abs=1e-5)
        assert whole["other"][name] > 10 * whole["same"][name] + 1e-6, name


def test_every_value_says_by_which_protocol(folder):
    judges = Field(NAMES, folder)
    found = judges.measures
    assert found["fd-panns"].protocol.startswith("fd-panns/")
    assert found["kl-panns"].protocol.startswith("kl-panns/")
    assert found["fd-openl3"].protocol != found["fd-panns"].protocol
    assert found["clap"].protocol != found["clap-cot"].protocol
    assert {"aesthetics_ce", "aesthetics_cu", "aesthetics_pc", "aesthetics_pq"} <= found.keys()


def test_text_and_picture_are_compared_and_what_cannot_be_is_said(folder, tmp_path):
    judges = Field(["imagebind", "desync", "clap", "clap-cot", "aesthetics"], folder)
    clip = Clip.open(clips.write(tmp_path / "c.mp4", seconds=1))
    scores, problems = judges.score({"ours": tone(300, 0.25)}, None, clip, caption="four", reasoning="longer")
    assert scores["ours"]["clap"] == pytest.approx(4.25, abs=1e-3)
    assert scores["ours"]["clap-cot"] == pytest.approx(6.25, abs=1e-3)
    assert scores["ours"]["imagebind"] == pytest.approx(100.25, abs=1e-3)
    assert scores["ours"]["aesthetics_pq"] == pytest.approx(0.25, abs=1e-3)
    assert problems == [("ours", "desync: the video is too short")]
    _, problems = judges.score({"ours": tone(300)})
    assert ("ours", "imagebind: there is no video to compare the sound with") in problems
    assert any(reason.endswith("there is no text to compare the sound with") for _, reason in problems)


def test_unknown_measures_and_missing_weights_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"^there is no measure 'fid'; choose from fd-panns, "):
        Field(["fid"])
    with pytest.raises(UserError, match=r"Cnn14_16k_mAP=0\.438\.pth is missing: get "):
        Field(["fd-panns"], tmp_path)
    rows = {row["name"]: row for row in available(tmp_path)}
    assert rows.keys() == set(NAMES) and not any(row["here"] for row in rows.values())
    (tmp_path / rows["fd-vggish"]["file"]).write_bytes(b"")
    assert [row["name"] for row in available(tmp_path) if row["here"]] == ["fd-vggish"]


def test_sounds_of_any_system_are_held_against_the_real_ones(folder, tmp_path):
    made, real = tmp_path / "made", tmp_path / "real"
    for where, shift in ((made, 1.5), (real, 1.0)):
        where.mkdir()
        for name, pitch in (("a", 300), ("b", 800)):
            soundfile.write(where / f"{name}.wav", tone(shift * pitch).T, RATE)
    clips.write(real / "c.mp4", seconds=1)
    soundfile.write(made / "c.wav", tone(100).T, RATE)
    soundfile.write(made / "alone.wav", tone(100).T, RATE)
    report = evaluate(made, real, protocols=["fd-vggish", "kl-panns"], weights=folder)
    assert [item["id"] for item in report["items"]] == ["a", "b"]
    assert {row["id"]: row["reason"].split()[-1] for row in report["unscored"]} == {
        "alone": str(real),
        "c": "track",
    }
    assert report["whole"]["made"]["fd-vggish"] > report["whole"]["real"]["fd-vggish"]
    assert report["summary"]["real"]["tag_kl"]["mean"] == 0 < report["summary"]["made"]["tag_kl"]["mean"]
    assert report["summary"]["made"]["kl-panns"]["count"] == 2
    assert report["measures"]["fd-vggish"]["protocol"].startswith("fd-vggish/")
    with pytest.raises(UserError, match="no sound of the same name"):
        evaluate(made, folder)
