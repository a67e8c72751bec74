"""Stage one from end to end, on a clip whose bounces are known."""

import numpy as np
import pytest

import clips
from reasound import Clip, Reasound, Take, foley
from reasound.evaluation.onsets import audio_onsets, f1, pairs
from reasound.plan import Event, Plan, Step
from reasound.reasoning import explain
from reasound.stages.foley import again, usual_loudness
from reasound.take import Output
from reasound.timeline import SAMPLE_RATE, samples

WANTED = 0.06
"""Seconds that a visual onset may be off."""


@pytest.fixture(scope="module")
def engine():
    return Reasound()


@pytest.fixture(scope="module")
def bounce(tmp_path_factory):
    return clips.bouncing_ball(tmp_path_factory.mktemp("clips") / "ball.mp4", seconds=4.0)


@pytest.fixture(scope="module")
def take(engine, bounce):
    return foley(
        engine, Clip.open(bounce.path), caption="a wooden ball bounces on a wooden floor", renderer="library"
    )


def test_every_bounce_is_seen_within_60_ms(engine, bounce):
    seen = [o.time for o in engine.perceive(Clip.open(bounce.path)).motion.onsets]
    assert len(pairs(seen, bounce.bounces, WANTED)) == len(bounce.bounces)
    assert f1(seen, bounce.bounces, WANTED) > 0.85


def test_the_plan_puts_its_hits_on_the_bounces(take, bounce):
    planned = sorted(t for event in take.plan.events for t in event.onsets)
    assert len(pairs(planned, bounce.bounces, WANTED)) == len(bounce.bounces)


def test_the_sound_follows_the_plan(take, bounce):
    heard = audio_onsets(take.audio, SAMPLE_RATE)
    assert len(pairs(heard, bounce.bounces, 0.1)) == len(bounce.bounces)
    assert f1(heard, bounce.bounces, 0.1) > 0.8


def test_the_mix_is_as_loud_and_as_long_as_it_was_asked_to_be(take, bounce):
    assert take.audio.shape == (2, samples(Clip.open(bounce.path).seconds))
    assert take.mix.true_peak <= -1.0 + 0.1
    np.testing.assert_allclose(sum(layer.audio for layer in take.layers), take.audio, atol=1e-6)


def test_a_take_comes_back_from_its_folder_and_can_be_made_again(engine, take, bounce, tmp_path):
    clip = Clip.open(bounce.path)
    take.save(Output.named(tmp_path / "out"), clip)
    back = Take.load(tmp_path / "out.take")
    assert back.id == take.id and back.plan == take.plan and back.mix == take.mix
    np.testing.assert_allclose(back.audio, take.audio, atol=2**-23)
    np.testing.assert_array_equal(again(engine, back, clip).audio, take.audio)


def test_a_moved_event_moves_and_the_others_stay(engine, bounce):
    clip = Clip.open(bounce.path)
    tap = Event(
        id="tap",
        source="a hammer",
        sound="a hammer hits an anvil",
        sound_class="tool/anvil",
        end=4,
        onsets=(1,),
    )
    bark = Event(
        id="bark", source="a dog", sound="a dog barks", sound_class="animal/dog", end=4, onsets=(2.5,)
    )
    first = engine.render(Plan(seconds=4, events=(tap, bark)), clip.seconds, seed=3, renderer="library")
    moved = tap.model_copy(update={"onsets": (2.0,)})
    second = engine.render(Plan(seconds=4, events=(moved, bark)), clip.seconds, seed=3, renderer="library")
    np.testing.assert_array_equal(first[1].audio, second[1].audio)
    shift = SAMPLE_RATE
    np.testing.assert_allclose(
        first[0].audio[:, : 2 * shift], second[0].audio[:, shift : 3 * shift], atol=1e-4
    )


def test_nothing_to_hear_is_silence_of_the_right_length(engine, bounce):
    clip = Clip.open(bounce.path)
    silent = foley(engine, clip, plan=Plan(seconds=4))
    assert silent.audio.shape == (2, samples(clip.seconds)) and not silent.audio.any()
    assert silent.mix.loudness is None


def test_both_renderers_give_layers_for_every_event(engine):
    rain = Event(id="rain", source="rain", sound="rain falls on leaves", sound_class="weather/rain", end=1.5)
    plan = Plan(seconds=1.5, events=(rain,))
    for renderer in ("library", "model"):
        (layer,) = engine.render(plan, plan.seconds, 1, None, renderer, steps=2)
        assert layer.events == ("rain",) and layer.renderer == renderer
        assert layer.audio.shape == (2, samples(1.5)) and np.isfinite(layer.audio).all() and layer.audio.any()


def test_a_long_generated_texture_has_no_step_in_level(engine):
    """It is made once and continued: nothing but the sound's own unrest, and the same sound as far as it was made."""
    wind = Event(id="wind", source="wind", sound="strong wind", sound_class="weather/wind", end=25.0)
    (layer,) = engine.render(Plan(seconds=25, events=(wind,)), 25, 1, None, "model", steps=4)
    assert layer.audio.shape == (2, samples(25))
    second = layer.audio[:, : 24 * SAMPLE_RATE].reshape(2, 24, SAMPLE_RATE)
    level = 10 * np.log10((second**2).mean((0, 2)))
    assert np.ptp(level) < 15


def test_what_was_only_guessed_stays_soft():
    event = Event(id="e", source="something", sound="a knock", end=2.0, onsets=(1.0,))
    plan = Plan(seconds=2.0, events=(event,))
    doubt = Step(aspect="semantic", text=f"{explain.UNTOLD}: what is heard is a guess and kept soft.")
    assert usual_loudness(plan) == -23
    assert usual_loudness(plan.model_copy(update={"reasoning": (doubt,)})) == -33
