"""Edits that a layer can do exactly: samples that stay are the same bits, what moves is the same sound."""

from dataclasses import replace

import numpy as np
import pytest

from editing_take import PLAN, RATE, N, layer, level, mixture, plan, rendered, rms
from reasound import Reasound
from reasound.errors import UserError
from reasound.mixing.layers import mix as mixed
from reasound.mixing.layers import stems
from reasound.stages.edit import edit, understood
from reasound.stages.edits import plans
from reasound.stages.edits.fields import POINT

T = np.arange(N) / RATE


@pytest.fixture(scope="module")
def engine():
    return Reasound(reasoner="rules")


@pytest.fixture(scope="module")
def take(engine):
    return rendered(engine)


def events(found):
    return plans.items(found.plan)


def nulls(found):
    assert np.abs(mixed(found.layers) - found.audio).max() < 10 ** (-90 / 20)


SPANNED = [
    {"verb": "remove", "targets": ["dog"]},
    {"verb": "remove", "targets": ["rain"]},
    {"verb": "replace", "targets": ["dog"], "sound": "a cat meows", "sound_class": "animal/cat"},
    {"verb": "gain", "targets": ["engine"], "amount": -9},
    {"verb": "pan", "targets": ["engine"], "amount": 0.8},
    {"verb": "distance", "targets": ["engine"], "amount": 4},
    {"verb": "reverb", "targets": ["rain"], "amount": 0.5, "style": "church"},
    {"verb": "style", "targets": ["engine"], "style": "telephone"},
    {"verb": "speed", "targets": ["engine"], "amount": 1.5},
    {"verb": "inpaint", "targets": ["rain"]},
    {"verb": "mute", "targets": ["rain"]},
    {"verb": "add", "sound": "birds sing", "sound_class": "animal/bird"},
]


@pytest.mark.parametrize("operation", SPANNED, ids=lambda o: f"{o['verb']}-{o.get('targets', [''])[0]}")
def test_outside_the_span_every_sample_stays(engine, take, operation):
    made = edit(engine, take, None, plan(operation | {"start": 2.5, "end": 3.5}))
    outside = (T < 2.5) | (T >= 3.5)
    assert np.array_equal(made.audio[:, outside], take.audio[:, outside])
    assert not np.array_equal(made.audio, take.audio)
    touched = set(operation.get("targets", []))
    before = {x.name: a for x, a in zip(take.layers, stems(take.layers), strict=True)}
    for found, heard in zip(made.layers, stems(made.layers), strict=True):
        if found.name not in before:
            assert not heard[:, outside].any() and heard.any()
        elif found.name in touched:
            assert np.array_equal(heard[:, outside], before[found.name][:, outside])
        else:
            assert found.audio is layer(take, found.name).audio
    nulls(made)
    assert made.parent == take.id != made.id and made.what and made.edit is not None


def test_a_layer_is_removed_and_the_plan_forgets_it(engine, take):
    made = edit(engine, take, None, plan({"verb": "remove", "targets": ["rain"]}))
    assert [x.name for x in made.layers] == ["dog", "engine"] and set(events(made)) == {"dog", "engine"}
    nulls(made)


def test_one_hit_is_removed_and_the_others_are_untouched(engine, take):
    asked = understood(engine, take, "take out the second bark")
    (one,) = asked.operations
    assert one.start == pytest.approx(2.97) and 3.1 < one.end < 4.5
    made = edit(engine, take, None, asked)
    assert events(made)["dog"].onsets == (1.0, 4.5)
    dog, was = layer(made, "dog").audio, layer(take, "dog").audio
    inside = (one.start + 0.02 < T) & (one.end - 0.02 > T)
    assert not dog[:, inside].any() and was[:, inside].any()
    outside = (one.start > T) | (one.end <= T)
    assert np.array_equal(dog[:, outside], was[:, outside])


def test_a_gap_makes_two_events_of_what_lasts_and_an_event_of_an_ambience(engine, take):
    made = edit(engine, take, None, plan({"verb": "remove", "targets": ["engine"], "start": 1, "end": 2}))
    parts = [(e.id, e.start, e.end) for e in made.plan.events if e.id.startswith("engine")]
    assert parts == [("engine", 0.5, 1.0), ("engine-2", 2.0, 4.0)]
    assert layer(made, "engine").events == ("engine", "engine-2")
    made = edit(engine, take, None, plan({"verb": "remove", "targets": ["rain"], "start": 4}))
    assert not made.plan.ambience and events(made)["rain"].end == 4.0
    assert not layer(made, "rain").audio[:, T > 4.02].any()


def test_a_whole_layer_moves_by_whole_samples(engine, take):
    made = edit(engine, take, None, plan({"verb": "move", "targets": ["dog"], "amount": 0.25}))
    by = RATE // 4
    assert np.array_equal(layer(made, "dog").audio[:, by:], layer(take, "dog").audio[:, :-by])
    assert not layer(made, "dog").audio[:, :by].any()
    assert events(made)["dog"].onsets == (1.25, 3.25, 4.75)
    back = edit(engine, made, None, plan({"verb": "move", "targets": ["dog"], "amount": -0.25}))
    assert np.array_equal(layer(back, "dog").audio[:, :-by], layer(take, "dog").audio[:, :-by])


def test_a_hit_moves_alone(engine, take):
    operation = {"verb": "move", "targets": ["dog"], "amount": -0.5, "start": 2.97, "end": 4.4}
    made = edit(engine, take, None, plan(operation))
    assert events(made)["dog"].onsets == (1.0, 2.5, 4.5)
    now, was = layer(made, "dog").audio, layer(take, "dog").audio
    first, last = round(3.0 * RATE), round(3.3 * RATE)
    left = now[:, first - RATE // 2 : last - RATE // 2] - was[:, first:last]
    overlap = was[:, first - RATE // 2 : last - RATE // 2]  # what still rings there
    assert np.abs(left - overlap).max() < 1e-6
    assert np.array_equal(now[:, T > 4.4], was[:, T > 4.4])


def test_the_gain_of_a_layer_is_a_field_and_of_a_hit_a_strength(engine, take):
    made = edit(engine, take, None, plan({"verb": "gain", "targets": ["engine"], "amount": -6}))
    assert layer(made, "engine").gain == -6 and layer(made, "engine").audio is layer(take, "engine").audio
    assert events(made)["engine"].level == -12
    nulls(made)
    one = {"verb": "gain", "targets": ["dog"], "amount": -6, "start": 2.9, "end": 4.0}
    made = edit(engine, take, None, plan(one))
    inside = (T > 2.95) & (T < 3.9)
    quieter = rms(layer(made, "dog").audio[:, inside]) / rms(layer(take, "dog").audio[:, inside])
    assert quieter == pytest.approx(10 ** (-6 / 20), rel=1e-4)
    first, second, third = events(made)["dog"].strengths
    assert first == third == 1.0 and -20 * (1 - second) ** 1.5 == pytest.approx(-6)


def test_hits_that_get_louder_than_the_rest_raise_the_level():
    dog = PLAN.events[0]
    made = plans.strengthened(dog, [1], 4.0)
    assert made.level == pytest.approx(4.0)
    assert [made.level - 20 * (1 - s) ** 1.5 for s in made.strengths] == pytest.approx([0, 4, 0])


def test_pan_is_absolute(engine, take):
    made = edit(engine, take, None, plan({"verb": "pan", "targets": ["dog"], "amount": 0.5}))
    left, right = stems(made.layers)[0].astype(float)
    angle = np.arctan2(rms(right), rms(left))
    assert angle / (np.pi / 4) - 1 == pytest.approx(0.5, abs=0.02)
    assert events(made)["dog"].pan == 0.5
    again = edit(engine, made, None, plan({"verb": "pan", "targets": ["dog"], "amount": -0.4}))
    was, now = stems(take.layers)[0], stems(again.layers)[0]
    assert rms(now - was) < 0.05 * rms(was)  # there and back
    hard = edit(engine, take, None, plan({"verb": "pan", "targets": ["dog"], "amount": -1}))
    assert np.abs(stems(hard.layers)[0][1]).max() < 1e-6 and POINT < 1


def test_mute_and_solo_are_fields(engine, take):
    made = edit(engine, take, None, plan({"verb": "mute", "targets": ["rain"]}))
    assert layer(made, "rain").mute and layer(made, "rain").audio is layer(take, "rain").audio
    assert np.array_equal(made.audio, layer(take, "dog").audio + layer(take, "engine").audio)
    made = edit(engine, take, None, plan({"verb": "solo", "targets": ["dog"]}))
    assert np.array_equal(made.audio, layer(take, "dog").audio)


def test_what_is_extracted_and_what_is_left_are_the_mixture_to_the_bit(engine, take):
    whole = mixture(take)
    made = edit(engine, whole, None, plan({"verb": "extract", "targets": ["dog"]}))
    rest, dog = made.layers
    assert (rest.name, rest.events, dog.name, dog.events) == ("original", ("engine", "rain"), "dog", ("dog",))
    assert np.array_equal(rest.audio + dog.audio, whole.audio)
    assert np.array_equal(made.audio, whole.audio)
    truth = layer(take, "dog").audio
    assert rms(dog.audio - truth) < 0.3 * rms(truth)
    assert made.parent == whole.id


def test_a_sound_is_taken_out_of_a_mixture(engine, take):
    made = edit(engine, mixture(take), None, plan({"verb": "remove", "targets": ["dog"]}))
    rest = layer(take, "engine").audio + layer(take, "rain").audio
    during = (T > 1.0) & (T < 1.3)
    assert level((made.audio - rest)[:, during]) < level(layer(take, "dog").audio[:, during]) - 12
    assert [x.events for x in made.layers] == [("engine", "rain")]


def test_two_sounds_of_one_layer_that_never_meet_are_parted_exactly(engine, take):
    gap = edit(engine, take, None, plan({"verb": "remove", "targets": ["engine"], "start": 1, "end": 2}))
    made = edit(engine, gap, None, plan({"verb": "mute", "targets": ["engine-2"]}))
    assert np.array_equal(
        layer(made, "engine").audio + layer(made, "engine-2").audio, layer(gap, "engine").audio
    )
    assert not layer(made, "engine").audio[:, T > 2.1].any()


def test_a_sound_with_its_own_layer_needs_no_extracting(engine, take):
    made = edit(engine, take, None, plan({"verb": "extract", "targets": ["dog"]}))
    assert np.array_equal(made.audio, take.audio) and made.layers == take.layers
    assert "layer of its own already" in engine.notes[0]


def test_operations_are_done_in_order(engine, take):
    made = edit(
        engine,
        take,
        None,
        plan(
            {"verb": "remove", "targets": ["rain"]},
            {"verb": "gain", "targets": ["dog"], "amount": -3},
            {"verb": "move", "targets": ["dog"], "amount": 0.5},
        ),
    )
    assert layer(made, "dog").gain == -3 and events(made)["dog"].onsets[0] == 1.5
    assert made.what.count(";") == 2
    nulls(made)
    with pytest.raises(UserError, match="taken it away before"):
        edit(
            engine,
            take,
            None,
            plan({"verb": "remove", "targets": ["rain"]}, {"verb": "gain", "targets": ["rain"], "amount": 3}),
        )


def test_the_same_edit_gives_the_same_bytes(engine, take):
    asked = plan({"verb": "add", "sound": "thunder", "sound_class": "weather/thunder", "start": 2})
    one, two = edit(engine, take, None, asked), edit(engine, take, None, asked)
    assert np.array_equal(one.audio, two.audio) and one.id == two.id


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_a_locked_layer_is_refused_and_a_muted_one_told(engine, take):
    locked = replace(take, layers=(replace(take.layers[0], lock=True), *take.layers[1:]))
    for operation in ({"verb": "gain", "targets": ["dog"], "amount": 3}, {"verb": "gain", "amount": 3}):
        with pytest.raises(UserError, match="layer is locked"):
            edit(engine, locked, None, plan(operation))
    edit(engine, locked, None, plan({"verb": "gain", "targets": ["rain"], "amount": 3}))
    muted = replace(take, layers=(replace(take.layers[0], mute=True), *take.layers[1:]))
    edit(engine, muted, None, plan({"verb": "gain", "targets": ["dog"], "amount": 3}))
    assert "is muted" in engine.notes[0]


@pytest.mark.parametrize(
    ("operation", "says"),
    [
        ({"verb": "remove", "targets": ["cat"]}, "no such event"),
        ({"verb": "move", "targets": ["rain"], "amount": 1}, "lies under the whole clip"),
        ({"verb": "style", "style": "tartan"}, "not known; it is one of .*underwater"),
        ({"verb": "reverb", "amount": 0.5, "style": "igloo"}, "no room 'igloo'"),
        ({"verb": "extend", "targets": ["rain"], "amount": 1, "side": "after"}, "extend the clip instead"),
        ({"verb": "gain", "amount": 3, "start": 4, "end": 9}, "only 6 s long"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(engine, take, operation, says):
    with pytest.raises(UserError, match=says):
        edit(engine, take, None, plan(operation))


def test_the_span_of_the_user_is_never_left(engine, take):
    asked = understood(engine, take, "take out the second bark", (3.0, 3.2))
    assert (asked.operations[0].start, asked.operations[0].end) == (3.0, 3.2)
    made = edit(engine, take, None, plan({"verb": "gain", "amount": -6}), span=(1.0, 2.0))
    outside = (T < 1) | (T >= 2)
    assert np.array_equal(made.audio[:, outside], take.audio[:, outside])
    with pytest.raises(UserError, match="does not lie in the clip"):
        edit(engine, take, None, plan({"verb": "gain", "amount": -6}), span=(5.0, 7.0))
    with pytest.raises(UserError, match="outside the span"):
        edit(engine, take, None, plan({"verb": "gain", "amount": -6, "start": 4}), span=(1.0, 2.0))


def test_an_instruction_about_nothing_that_is_there_is_refused(engine, take):
    with pytest.raises(UserError):
        edit(engine, take, None, "make the violin louder")
