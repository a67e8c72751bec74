"""The released model's whole chain, on a tiny instance of every network: lengths, windows, doors."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import clips
from reasound import Clip, Reasound, foley, machine
from reasound.cli import main
from reasound.errors import UserError
from reasound.plan import Ambience, Event, Plan, Step
from reasound.stages.foley import again
from reasound.synthesis.flow import noise_for, sampling_times
from reasound.synthesis.thinksound import ThinkSound, lengths
from reasound.timeline import SAMPLE_RATE, SAMPLES_PER_LATENT, SYNC_RATE, VISUAL_RATE, samples

pytest.importorskip("transformers")
pytest.importorskip("sentencepiece")
import tiny  # noqa: E402  (needs both)

DURATIONS = json.loads((Path(__file__).parent / "golden" / "preproc.json").read_text())["durations"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.thinksound(tmp_path_factory.mktemp("models") / "thinksound")


@pytest.fixture(scope="module")
def engine(folder):
    return Reasound(folder, "fp32", "cpu")


@pytest.fixture(scope="module")
def ball(tmp_path_factory):
    return Clip.open(clips.bouncing_ball(tmp_path_factory.mktemp("clips") / "ball.mp4", seconds=1.2).path)


@pytest.fixture(scope="module")
def features(engine, ball):
    return engine.perceive(ball)


def run(capfd, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in arguments])
    out, err = capfd.readouterr()
    return stopped.value.code, out, err


@pytest.mark.parametrize("name", [name for name in DURATIONS if 8 <= float(name) <= 15])
def test_streams_are_as_long_as_in_the_released_code(name):
    theirs, seconds = DURATIONS[name], Fraction(name)
    cut = lengths(seconds, whole_seconds=True)
    assert cut.latents == theirs["latent_seq_len"]
    assert (cut.visual, cut.sync) == (theirs["clip_seq_len"], theirs["sync_seq_len"])
    ours = lengths(seconds)
    assert (ours.latents, ours.visual) == (theirs["latent_seq_len"], theirs["clip_frames"])
    assert 0 <= ours.frames - theirs["sync_frames"] <= 1  # in floating point 25 * 9.04 is a hair below 226
    assert ours.sync == theirs["sync_feature_len"]
    if seconds.denominator == 1:
        assert (ours.visual, ours.sync) == (theirs["clip_seq_len"], theirs["sync_seq_len"])


@pytest.mark.parametrize("seconds", [0.04, 1, 7.99, 15.01, 16, 20, 31.7, 300])
def test_windows_have_the_trained_size_cover_the_clip_and_keep_time(seconds):
    count = lengths(Fraction(seconds).limit_denominator(1000))
    assert count.latents * SAMPLES_PER_LATENT / SAMPLE_RATE > seconds - 0.024
    assert count.windows[0].latents[0] == count.windows[0].visual[0] == count.windows[0].sync[0] == 0
    last = count.windows[-1]
    assert (last.latents[1], last.visual[1], last.sync[1]) == (count.latents, count.visual, count.sync)
    for window in count.windows:
        sizes = [stop - start for start, stop in (window.latents, window.visual, window.sync)]
        assert sizes == [194, 72, 216]
        starts = (
            window.latents[0] * SAMPLES_PER_LATENT / SAMPLE_RATE,
            window.visual[0] / VISUAL_RATE,
            window.sync[0] / SYNC_RATE,
        )
        assert max(starts) - min(starts) < 0.13  # a picture of the visual stream lasts .125 s
        assert abs(starts[0] - starts[2]) < 0.035  # motion: three quarters of a latent
    for before, after in zip(count.windows, count.windows[1:], strict=False):
        assert after.latents[0] < before.latents[1] - 30


def test_cost_grows_with_the_length():
    assert len(lengths(Fraction(600)).windows) == pytest.approx(
        10 * len(lengths(Fraction(60)).windows), rel=0.1
    )


def test_the_take_is_as_long_as_the_picture_and_says_how_it_was_made(engine, ball):
    take = foley(engine, ball, caption="a rubber ball bounces", steps=2)
    assert take.audio.shape == (2, samples(ball.seconds)) and np.abs(take.audio).max() > 0.01
    assert [layer.renderer for layer in take.layers] == ["model"]
    assert set(take.layers[0].events) == {e.id for e in take.plan.events} | {a.id for a in take.plan.ambience}
    s = take.settings
    assert (s.guidance, s.precision, s.device, s.model) == (5.0, "fp32", "cpu", engine.model)
    np.testing.assert_array_equal(again(engine, take, ball).audio, take.audio)


@pytest.mark.parametrize("seconds", [9, 17.3])
def test_long_clips_are_as_long_as_the_picture(engine, tmp_path, seconds):
    clip = Clip.open(clips.bouncing_ball(tmp_path / "long.mp4", seconds=seconds).path)
    take = foley(engine, clip, caption="a rubber ball bounces", steps=1)
    assert take.audio.shape == (2, samples(clip.seconds))
    blocks = np.abs(take.layers[0].audio).reshape(2, -1)[:, : take.audio.shape[1] // 4410 * 4410]
    assert (blocks.reshape(2, -1, 4410).max((0, 2)) > 0).all()  # no window is empty


def test_latents_are_the_flow_from_the_given_noise(engine, features):
    """By hand: one window, plain Euler steps, guidance between two separate calls."""
    released = engine.released
    count, noise = lengths(Fraction(9)), noise_for([3], 64, 194)
    given = released.conditions(features, "a ball", "The ball bounces twice.")
    found = released.latents(given, count, noise, steps=3, guidance=5.0)
    x, times = noise, sampling_times(3)
    with released._part("dit") as dit, torch.inference_mode():
        for now, then in zip(times[:-1], times[1:], strict=True):
            heard, free = (dit(x, now[None], c) for c in (given, given.unconditioned()))
            x = x + (then - now) * (free + 5.0 * (heard - free))
    torch.testing.assert_close(found, x, rtol=0, atol=2e-4)


def test_a_layer_for_every_source(engine, features):
    events = tuple(Event(id=x, source=x, sound=f"a {x}", end=1.2, onsets=(0.3,)) for x in ("ball", "dog"))
    rain = Ambience(id="rain", sound="rain falls", level=-12.0)
    plan = Plan(seconds=1.2, caption="all", events=events, ambience=(rain,))
    told = []
    layers = engine.released.render(
        plan, Fraction("1.2"), 0, features, steps=1, apart=True, progress=told.append
    )
    assert [x.name for x in layers] == [x.events[0] for x in layers] == ["ball", "dog", "rain"]
    assert not np.array_equal(layers[0].audio, layers[1].audio) and told == sorted(told)
    assert np.square(layers[2].audio).mean() < np.square(layers[0].audio).mean()
    fewer = engine.released.render(plan.only(["dog"]), Fraction("1.2"), 0, features, steps=1, apart=True)
    assert len(fewer) == 1 and fewer[0].audio.shape == layers[1].audio.shape


def test_everything_that_is_given_is_heard(engine, features):
    released = engine.released
    base = Plan(seconds=1.2, caption="a ball bounces", reasoning=(Step(aspect="semantic", text="A ball."),))
    other = {
        "caption": (base.model_copy(update={"caption": "rain"}), features),
        "reasoning": (
            base.model_copy(update={"reasoning": (Step(aspect="semantic", text="It rains."),)}),
            features,
        ),
        "avoid": (base.model_copy(update={"avoid": ("speech",)}), features),
        "pictures": (base, replace(features, metaclip=features.metaclip[::-1].copy())),
        "motion": (base, replace(features, synchformer=features.synchformer[::-1].copy())),
    }

    def sound(plan, seen):
        return released.render(plan, Fraction("1.2"), 0, seen, steps=1)[0].audio

    first = sound(base, features)
    np.testing.assert_array_equal(sound(base, features), first)
    for name, (plan, seen) in other.items():
        assert np.abs(sound(plan, seen) - first).max() > 1e-4 * np.abs(first).max(), name


def test_parts_that_take_turns_make_the_same_sound(folder, engine, ball, features):
    alone = ThinkSound(folder, torch.device("cpu"), torch.float32, keep=False)
    seen = alone.see(ball, features, lambda done: None)
    np.testing.assert_array_equal(seen.metaclip, features.metaclip)
    np.testing.assert_array_equal(seen.synchformer, features.synchformer)
    plan = Plan(seconds=1.2, caption="a ball")
    one, two = (m.render(plan, Fraction("1.2"), 0, seen, steps=1)[0].audio for m in (alone, engine.released))
    np.testing.assert_array_equal(one, two)
    assert alone._parts == {} and "dit" in engine.released._parts


def test_bf16_stays_near_fp32(folder, engine, features):
    """Random weights of a tiny network; docs/LOG.md has the error at full size."""
    half = ThinkSound(folder, torch.device("cpu"), torch.bfloat16, keep=True)
    count, noise = lengths(Fraction(9)), noise_for([3], 64, 194)
    found = []
    for model in (engine.released, half):
        given = model.conditions(features, "a ball", "The ball bounces twice.")
        found.append(model.latents(given, count, noise, steps=2))
    error = (found[1] - found[0]).square().mean().sqrt() / found[0].square().mean().sqrt()
    assert 0 < error < 0.05


def test_a_missing_end_is_a_fade_and_silence(engine):
    latents = torch.randn(1, 64, 3, generator=torch.Generator().manual_seed(0))
    made = 3 * SAMPLES_PER_LATENT
    whole, more = engine.released.decode(latents, made), engine.released.decode(latents, made + 500)
    assert more.shape == (2, made + 500) and not more[:, made:].any()
    np.testing.assert_array_equal(more[:, : made - 1000], whole[:, : made - 1000])
    assert abs(more[:, made - 1]).max() == 0


def test_the_command_line_names_its_model(capfd, folder, ball, tmp_path, monkeypatch):
    monkeypatch.setenv("REASOUND_MODELS", str(folder.parent))
    code, out, err = run(
        capfd, "foley", ball.path, "-o", tmp_path / "out", "--model", "thinksound", "--steps", 1, "--json"
    )
    assert code == 0, err
    answer = json.loads(out)
    assert answer["settings"]["model"] == "thinksound" and answer["settings"]["guidance"] == 5.0
    assert answer["samples"] == samples(ball.seconds)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--model", "thinksound", "--renderer", "library"], "places recordings and uses no model"),
        (["--precision", "bf16"], "are for --model thinksound"),
        (["--model", "thinksound", "--precision", "fp8"], "--precision must be one of"),
        (["--model", "nowhere"], "there is no model 'nowhere'"),
    ],
)
def test_what_does_not_go_together_is_said(capfd, folder, ball, tmp_path, monkeypatch, options, sentence):
    monkeypatch.setenv("REASOUND_MODELS", str(folder.parent))
    code, _, err = run(capfd, "foley", ball.path, "-o", tmp_path / "out", *options)
    assert code != 0 and sentence in " ".join(err.split()) and not list(tmp_path.iterdir())


def test_too_little_memory_is_said_before_any_work(folder, monkeypatch):
    monkeypatch.setattr(machine, "free_memory", lambda on: 2**29)
    with pytest.raises(UserError, match=r"not enough memory on cpu: \w+ needs .* GiB and 0\.5 GiB are free"):
        Reasound(folder)


def test_a_graphics_card_that_is_not_there_is_said(folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="no NVIDIA graphics card"):
        Reasound(folder, device="cuda")


def test_the_doctor_says_whether_it_fits(capfd, monkeypatch):
    for free, words in ((2**35, "fits on cpu"), (2**31, "does not fit on cpu")):
        monkeypatch.setattr(machine, "free_memory", lambda on, free=free: free)
        found = json.loads(run(capfd, "doctor", "--json")[1])["thinksound"]
        assert found["memory"].startswith(words) and "s for 9 s of sound" in found["speed"]
