"""A plan changed by hand: what changed is heard, every other layer keeps its bits."""

import functools
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from reasound import Clip, Output, Reasound, foley
from reasound.cli import app
from reasound.errors import Cancelled, UserError
from reasound.history import History
from reasound.plan import Acoustics, Ambience, Event, Plan
from reasound.stages.desk import changed, remastered
from reasound.stages.replan import replanned
from reasound.take import Take
from reasound.timeline import SAMPLE_RATE

ENGINE = functools.cache(Reasound)
CLIP = "examples/drop.mp4"


@pytest.fixture(scope="module")
def first():
    clip = Clip.open(CLIP)
    end = float(clip.seconds)
    events = (
        Event(
            id="dog", source="a dog", sound="a dog barks", sound_class="animal/dog", end=end, onsets=(0.5,)
        ),
        Event(id="car", source="a car", sound="a car runs", sound_class="vehicle/car", start=0.2, end=end),
    )
    rain = Ambience(id="rain", sound="rain falls", sound_class="weather/rain")
    return foley(ENGINE(), clip, plan=Plan(seconds=end, events=events, ambience=(rain,)))


def with_event(plan, name, **fields):
    events = [e.model_copy(update=fields) if e.id == name else e for e in plan.events]
    return plan.model_copy(update={"events": tuple(events)})


def follow(take, plan, **options):
    return replanned(ENGINE(), take, Clip.open(CLIP), plan, **options)


def sound(take, name):
    return next(x.audio for x in take.layers if x.name == name)


def first_heard(audio):
    """Seconds at which a sound comes within 20 dB of its loudest sample."""
    loud = np.abs(audio).max(0)
    return int(np.argmax(loud > 0.1 * loud.max())) / SAMPLE_RATE


def test_a_moved_hit_is_heard_where_it_went_and_nothing_else_changes(first):
    made = follow(first, with_event(first.plan, "dog", onsets=(1.1,)))
    assert first_heard(sound(made, "dog")) - first_heard(sound(first, "dog")) == pytest.approx(0.6, abs=0.02)
    for name in ("car", "rain"):
        np.testing.assert_array_equal(sound(made, name), sound(first, name))
    assert made.parent == first.id and "0.6" in made.what
    assert made.plan.events[0].onsets == (1.1,)
    np.testing.assert_allclose(sum(x.audio for x in made.layers), made.audio, atol=1e-6)


def test_it_stays_as_loud_as_it_was(first):
    made = follow(first, with_event(first.plan, "dog", onsets=(0.9,)))
    powers = [float(np.square(sound(take, "dog")).sum()) for take in (first, made)]
    assert 10 * np.log10(powers[1] / powers[0]) == pytest.approx(0, abs=0.3)


def test_a_louder_level_is_louder_by_that(first):
    made = follow(first, with_event(first.plan, "car", level=first.plan.events[1].level - 9.0))
    ratio = float(sound(made, "car").std() / sound(first, "car").std())
    assert 20 * np.log10(ratio) == pytest.approx(-9, abs=0.5)


def test_a_stretched_sound_ends_where_it_was_drawn(first):
    made = follow(first, with_event(first.plan, "car", end=1.0))
    after = sound(made, "car")[:, int(1.3 * SAMPLE_RATE) :]
    assert np.abs(after).max(initial=0) < 0.01 * np.abs(sound(made, "car")).max()


def test_added_and_taken_away(first):
    bell = Event(
        id="bell", source="a bell", sound="a bell rings", sound_class="music/bell", end=2, onsets=(1.0,)
    )
    plan = first.plan.model_copy(update={"events": (first.plan.events[0], bell), "reasoning": ()})
    made = follow(first, plan)
    assert {x.name for x in made.layers} == {"dog", "rain", "bell"}
    assert first_heard(sound(made, "bell")) == pytest.approx(1.0, abs=0.06)
    for name in ("dog", "rain"):
        np.testing.assert_array_equal(sound(made, name), sound(first, name))


def test_another_room_is_for_all(first):
    plan = first.plan.model_copy(update={"acoustics": Acoustics(space="hall", reverb=0.8)})
    made = follow(first, plan)
    assert made.plan.acoustics.space == "hall"
    assert (sound(made, "dog") != sound(first, "dog")).any()
    late = [float(np.square(sound(t, "dog")[:, int(0.9 * SAMPLE_RATE) :]).sum()) for t in (first, made)]
    assert late[1] > 2 * late[0]


def test_gain_pan_and_mute_stay(first):
    take = changed(changed(first, "dog", gain=-6.0, pan=0.5), "car", mute=True)
    made = follow(take, with_event(take.plan, "dog", onsets=(1.0,)))
    dog, car = (next(x for x in made.layers if x.name == n) for n in ("dog", "car"))
    assert (dog.gain, dog.pan, car.mute) == (-6.0, 0.5, True)
    power = [float(np.square(sound(t, "dog")).sum()) for t in (take, made)]
    assert 10 * np.log10(power[1] / power[0]) == pytest.approx(0, abs=0.3)


def test_locked_layers_refuse_and_others_go_on(first):
    take = changed(first, "dog", lock=True)
    with pytest.raises(UserError, match="'dog' is locked"):
        follow(take, with_event(take.plan, "dog", onsets=(1.0,)))
    follow(take, with_event(take.plan, "car", start=0.6))


def test_what_cannot_be_followed_is_said(first):
    with pytest.raises(UserError, match="nothing to do"):
        follow(first, first.plan)
    with pytest.raises(UserError, match="the take lasts"):
        follow(first, first.plan.model_copy(update={"seconds": 9.0}))


def test_words_alone_change_no_sample(first):
    plan = with_event(first.plan, "dog", confidence=0.3)
    made = follow(first, plan)
    np.testing.assert_array_equal(made.audio, first.audio)
    assert made.plan == plan and made.id != first.id


def test_the_same_change_gives_the_same_bytes(first):
    plan = with_event(first.plan, "dog", onsets=(1.1,))
    np.testing.assert_array_equal(follow(first, plan).audio, follow(first, plan).audio)
    assert follow(first, plan).id == follow(first, plan).id
    other = follow(first, plan, seed=7)
    assert (sound(other, "dog") != sound(follow(first, plan), "dog")).any()


def test_a_cancelled_one_leaves_the_take(first):
    def stop(stage, done):
        raise Cancelled

    with pytest.raises(Cancelled):
        follow(first, with_event(first.plan, "dog", onsets=(1.1,)), report=stop)


def test_another_loudness_keeps_the_layers_beside_each_other(first):
    take = changed(first, "car", mute=True)
    made = remastered(take, -30.0, -3.0)
    assert made.mix.loudness == pytest.approx(-30, abs=0.1) and made.mix.true_peak <= -3
    gains = [float(sound(made, n).std() / sound(take, n).std()) for n in ("dog", "car", "rain")]
    np.testing.assert_allclose(gains, gains[0], rtol=0.05)
    np.testing.assert_allclose(sum(x.audio for x in made.layers if not x.mute), made.audio, atol=1e-6)
    with pytest.raises(UserError, match="the loudness must be from -70 to 0"):
        remastered(take, 5.0, -1.0)


def test_the_commands(first, tmp_path):
    output = Output.named(tmp_path / "scene")
    first.save(output, Clip.open(CLIP))
    plan = json.loads((output.take / "plan.json").read_text())
    plan["events"][0]["onsets"] = [1.1]
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    run = CliRunner().invoke
    done = run(app, ["generate", str(output.take), "--plan", str(tmp_path / "plan.json"), "--json"])
    assert done.exit_code == 0, done.output
    head = Take.load(output.take)
    assert head.plan.events[0].onsets == (1.1,) and head.parent == first.id
    assert run(app, ["remaster", str(output.take), "--loudness", "-14"]).exit_code == 0
    assert Take.load(output.take).mix.target_loudness == -14
    with History.open(output.take) as past:
        assert [e.is_head for e in past.entries] == [False, False, True]
    again = run(app, ["generate", str(output.take), "--plan", str(tmp_path / "plan.json")])
    assert again.exit_code != 0 and "nothing to do" in str(again.exception)
