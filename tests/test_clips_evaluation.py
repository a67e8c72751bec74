"""Real clips: guesses and scores whose values are known, and a whole run on bouncing balls that click."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import clips
from reasound import Reasound
from reasound.data.sets import Listing, Sample, read_set
from reasound.errors import UserError
from reasound.evaluation import report as reports
from reasound.evaluation.clips import (
    FAINT,
    Outcome,
    common_beat,
    derangement,
    distances,
    evaluate_clips,
    recorded,
    wanted_onsets,
)
from reasound.evaluation.heard import Heard, compared, constant, levelled
from reasound.evaluation.onsets import best_constant_rhythm, f1
from reasound.evaluation.tag_scores import class_kl
from reasound.media import audio as audio_files
from reasound.media.video import Clip

RATE = 44_100


def clicks(times, seconds, pitch=900.0):
    """[2, N]: a struck note at each time."""
    sound = np.zeros(round(seconds * RATE), np.float32)
    for time in times:
        t = np.arange(len(sound) - int(time * RATE)) / RATE
        sound[int(time * RATE) :] += 0.4 * np.exp(-t / 0.05) * np.sin(2 * np.pi * pitch * t)
    return np.tile(sound, (2, 1))


def heard(times=(), seconds=4.0, tags=(), seed=0, loudness=-20.0):
    """What YAMNet and the meters might have said."""
    draw = np.random.default_rng(seed)
    return Heard(
        seconds=seconds,
        times=np.array(times, float),
        strengths=np.full(len(times), 10.0),
        tags=tuple(tags),
        windows=draw.uniform(0, 1, (4, 30)).astype(np.float32),
        embeddings=draw.normal(size=(4, 6)).astype(np.float32),
        levels={"loudness": loudness, "true_peak": -1.0, "speech": 0.0, "music": 0.0},
    )


def sample(**fields):
    return Sample(**({"id": "x", "video": Path("x.mp4")} | fields))


@pytest.mark.parametrize("count", [2, 3, 7, 40])
def test_no_clip_is_given_its_own_sound_and_every_sound_is_used_once(count):
    for seed in range(20):
        others = derangement(count, seed)
        assert sorted(others) == list(range(count)) and all(a != b for a, b in enumerate(others))
    assert derangement(count, 5) == derangement(count, 5)
    assert len({tuple(derangement(7, seed)) for seed in range(20)}) > 10


def test_the_common_beat_is_found_and_is_the_best():
    even = [(np.arange(0.3, s, 0.5), s) for s in (4.0, 7.0)]
    period, phase = common_beat(even)
    assert all(f1(np.arange(phase, s, period), wanted) == 1 for wanted, s in even)
    draw = np.random.default_rng(1)
    odd = [(np.sort(draw.uniform(0, 5, 7)), 5.0), (np.sort(draw.uniform(0, 3, 6)), 3.0)]
    period, phase = common_beat(odd)
    score = np.mean([f1(np.arange(phase, s, period), wanted) for wanted, s in odd])
    slow = max(
        np.mean([f1(np.arange(q, s, p), wanted) for wanted, s in odd])
        for p in 0.1 * 1.02 ** np.arange(0, 170, 4)
        for q in np.arange(0, p, 0.1)
    )
    assert slow <= score <= np.mean([best_constant_rhythm(wanted, s) for wanted, s in odd]) + 1e-9


def test_a_sound_is_measured_as_it_was_made():
    made = Heard.of(clicks([0.5, 1.25, 2.0], 3.0))
    assert made.seconds == 3.0 and np.allclose(made.onsets, [0.5, 1.25, 2.0], atol=0.015)
    assert len(made.tags) == 5 and np.isfinite(made.levels["loudness"])
    louder = Heard.of(2 * clicks([0.5, 1.25, 2.0], 3.0))
    assert louder.tags == made.tags and np.allclose(louder.windows, made.windows, atol=1e-4)
    assert louder.levels["loudness"] - made.levels["loudness"] == pytest.approx(6.02, abs=0.01)
    nothing = Heard.of(np.zeros((2, RATE), np.float32))
    assert nothing.tags == () and len(nothing.onsets) == 0
    assert nothing.levels["loudness"] is None and nothing.levels["true_peak"] is None


def test_a_rhythm_is_cut_or_repeated_to_the_length():
    short = heard([0.5, 1.5], 2.0)
    assert short.fitted(5.0).onsets.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert short.fitted(1.0).onsets.tolist() == [0.5]
    uneven = replace(short, strengths=np.array([3.0, 9.0])).fitted(3.0)
    assert uneven.strengths.tolist() == [3.0, 9.0, 3.0] and uneven.onsets.tolist() == [1.5]


def test_scores_of_known_sounds():
    real = heard([1.0, 2.0], tags=("Dog", "Bark", "Animal", "Wind", "Rain"))
    itself = compared(real, real, real.onsets)
    assert itself == {"onset_f1": 1, "onset_ap": 1, "onset_error": 0, "tags_shared": 1, "tag_kl": 0}
    assert levelled(real, real)["loudness_off"] == 0
    late = heard([1.05, 2.05, 3.0], tags=("Bark", "Music", "Wind", "Rain", "Speech"), seed=1, loudness=-26)
    scores = compared(late, real, real.onsets)
    assert scores["onset_f1"] == pytest.approx(0.8) and scores["onset_error"] == pytest.approx(50)
    assert scores["tags_shared"] == pytest.approx(1 / 3) and scores["tag_kl"] > 0
    assert levelled(late, real)["loudness_off"] == pytest.approx(6)
    never = compared(heard(seed=2), real, real.onsets)
    assert never["onset_f1"] == 0 and never["onset_ap"] == 0 and never["onset_error"] is None
    assert compared(late, None, None) == {} and "loudness_off" not in levelled(late, None)
    assert levelled(replace(late, levels=late.levels | {"loudness": None}), real)["loudness_off"] is None


def test_the_mean_is_the_best_constant_answer():
    sounds = [heard(seed=k, tags=("A", "B", "C") if k % 2 else ("A", "B", "D")) for k in range(6)]
    best = np.mean([constant(sounds, one)["tag_kl"] for one in sounds])
    draw = np.random.default_rng(9)
    for _ in range(20):
        other = draw.uniform(0.2, 1, (1, 30))
        assert best < np.mean([class_kl(one.windows, other) for one in sounds])
    assert constant(sounds, sounds[0])["tags_shared"] == 1  # A, B, then C and D


def test_onsets_come_from_the_list_or_from_the_track_and_a_faint_one_has_none():
    real = heard([0.5, 1.5])
    assert wanted_onsets(sample(), real, 4.0)[0].tolist() == [0.5, 1.5]
    listed = sample(start=10.0, end=14.0, onsets=(9.0, 11.0, 13.5, 14.5))
    assert wanted_onsets(listed, real, 4.0)[0].tolist() == [1.0, 3.5]
    for level in (None, FAINT - 1):
        wanted, reason = wanted_onsets(sample(onsets=(1.0,)), heard([0.5], loudness=level), 4.0)
        assert wanted is None and "too faint" in reason


def test_something_strikes_where_onsets_are_clear_and_the_class_is_one_of_single_sounds():
    real = heard([0.5, 1.0, 1.5, 2.0])
    clip = Outcome(sample(), 4.0, real=real, wanted=real.onsets)
    assert clip.struck and replace(clip, sample=sample(sound_class="tool/hammer")).struck
    assert not replace(clip, sample=sample(sound_class="weather/rain")).struck
    assert not replace(clip, real=heard([0.5, 1.0, 1.5])).struck
    assert not replace(clip, wanted=None).struck


def test_a_distance_needs_two_windows():
    one = replace(heard(), embeddings=np.ones((1, 6), np.float32))
    assert distances([Outcome(sample(), 1.0, {"library": one}, one)]) == {}
    found = distances([Outcome(sample(), 4.0, {"library": heard(seed=3)}, heard())])
    assert found["real"]["frechet"] == pytest.approx(0, abs=1e-6) and found["library"]["frechet"] > 1


def test_the_sound_beside_a_video_goes_first_and_keeps_its_place(tmp_path):
    video = clips.write(tmp_path / "v.mp4", seconds=2, size=(32, 24), audio=clips.sine(2))
    sound = clicks([0.25, 1.5], 1.8)
    audio_files.write(tmp_path / "v.wav", sound)
    clip = Clip.open(video).cut(1.0, 2.0)
    (one,) = read_set(tmp_path).samples
    real, problem = recorded(replace(one, start=1.0), clip)
    assert problem == "" and real.shape == (2, RATE)
    assert np.allclose(real[:, : round(0.8 * RATE)], sound[:, RATE:], atol=1e-5) and not real[:, -100:].any()
    own, _ = recorded(replace(one, audio=None, start=1.0), clip)
    assert np.abs(own).mean() == pytest.approx(np.abs(clips.sine(1)).mean(), rel=0.05)
    (tmp_path / "v.wav").write_bytes(b"no sound")
    assert recorded(one, clip)[0] is None and "v.wav" in recorded(one, clip)[1]
    assert "generated" in recorded(replace(one, recorded=False), clip)[1]
    mute = clips.write(tmp_path / "m.mp4", seconds=0.4, size=(32, 24))
    assert "no sound track" in recorded(sample(), Clip.open(mute))[1]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Three balls that click where they bounce, one that is mute, one that cannot be decoded, one that is no video."""
    folder = tmp_path_factory.mktemp("set")
    for k, seconds in enumerate((2.8, 1.6, 1.4)):
        at = [t for t in clips.bounces(seconds) if t < seconds - 0.1]
        clips.write(folder / f"ball{k}.mp4", seconds=seconds, audio=clicks(at, seconds, 500.0 + 300 * k))
    clips.write(folder / "mute.mp4", seconds=0.4)
    clips.no_frames(folder / "none.mp4")
    (folder / "text.mp4").write_text("not a video")
    engine, listing, told = Reasound(), read_set(folder), []
    made = [
        evaluate_clips(
            engine, part, seed=1, renderers=("library",), shown=2, report=lambda *a: told.append(a)
        )
        for part in (listing, listing)
    ]
    return made, told, folder


def test_the_same_seed_gives_the_same_bytes(run, tmp_path):
    ((first, cards), (second, again)), told, _ = run
    for name, report in (("a", first), ("b", second)):
        reports.save(report, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert told[4] == ("clips", 1.0) and len(told) == 10
    for one, other in zip(cards, again, strict=True):
        assert all(np.array_equal(a.audio, b.audio) for a, b in zip(one.sounds, other.sounds, strict=True))


def test_real_sound_is_the_ceiling_and_silence_the_floor(run):
    ((report, _), _), _, _ = run
    assert [item["id"] for item in report["items"]] == ["ball0", "ball1", "ball2", "mute"]
    for item in report["items"][:3]:
        real, silence = item["scores"]["real"], item["scores"]["silence"]
        assert (real["onset_f1"], real["onset_ap"], real["onset_error"]) == (1, 1, 0)
        assert (real["tags_shared"], real["tag_kl"], real["loudness_off"]) == (1, 0, 0)
        assert silence["onset_f1"] == 0 and silence["onset_error"] is None and silence["tag_kl"] > 1
        ours, own, one = (item["scores"][s]["onset_f1"] for s in ("library", "own beat", "one beat"))
        assert ours > item["scores"]["moved"]["onset_f1"] and one <= own + 1e-9
        assert set(item["scores"]) == set(report["systems"])
    far = {system: row["frechet"] for system, row in report["whole"].items()}
    assert far["real"] == pytest.approx(0, abs=1e-6) and far["library"] > 1
    best, others = (report["summary"][s]["tag_kl"]["mean"] for s in ("best constant", "constant"))
    assert best < others


def test_clips_in_which_something_strikes_have_their_own_table(run):
    ((report, _), _), _, _ = run
    assert [item["kind"] for item in report["items"]] == ["impact", "other", "other", "other"]
    for item in report["items"]:
        for scores in item["scores"].values():
            assert scores.get("struck_f1") == (scores.get("onset_f1") if item["kind"] == "impact" else None)
    assert report["summary"]["library"]["struck_f1"]["count"] == 1
    (table,) = (t for t in report["tables"] if "strikes" in t["title"])
    assert table["measures"] == ["struck_f1", "struck_ap", "struck_error"]


def test_what_cannot_be_scored_is_named_and_the_run_goes_on(run):
    ((report, _), _), _, _ = run
    reasons = {row["id"]: row["reason"] for row in report["unscored"]}
    assert set(reasons) == {"text", "none", "mute"}
    assert "no sound track" in reasons["mute"] and "can be decoded" in reasons["none"]
    mute = report["items"][3]["scores"]
    assert "onset_f1" not in mute["library"] and np.isfinite(mute["library"]["loudness"])
    assert "real" not in mute


def test_cards_hold_the_first_clips_with_their_sounds(run):
    ((report, cards), _), _, _ = run
    assert [card.id for card in cards] == ["ball0", "ball1"]
    card = cards[0]
    assert [sound.system for sound in card.sounds] == ["real", "library"]
    assert all(sound.audio.shape == (2, round(2.8 * RATE)) for sound in card.sounds) and len(card.film) == 8
    assert np.allclose(card.wanted, [t for t in clips.bounces(2.8) if t < 2.7], atol=0.02)
    assert card.scores["library"] == {
        k: v for k, v in report["items"][0]["scores"]["library"].items() if k in card.scores["library"]
    }
    json.dumps(card.scores)


def test_nothing_that_can_be_scored_is_an_error(run):
    _, _, folder = run
    lost = Listing((sample(id="gone", video=folder / "none.mp4"),), (("x", "why"),))
    with pytest.raises(UserError, match="no clip could be scored"):
        evaluate_clips(Reasound(), lost, renderers=("library",))
    odd = Listing((sample(sound_class="tool/feather"),), ())
    with pytest.raises(UserError, match="tool/feather"):
        evaluate_clips(Reasound(), odd)
