"""The plan: what it accepts, what it refuses and in which words, what it renders to."""

import json

import numpy as np
import pytest

from reasound.errors import UserError
from reasound.plan import RING, Ambience, Event, Place, Plan, Step
from reasound.timeline import SAMPLE_RATE, SAMPLES_PER_LATENT


def knock(**changes):
    return Event(**{"id": "knock-1", "source": "a hand", "sound": "a knock on wood", "end": 2.0} | changes)


def test_a_plan_survives_its_own_json():
    plan = Plan(
        seconds=2,
        events=(knock(onsets=(0.5, 1.0), strengths=(1, 0.5), path=(Place(time=0, pan=-1),)),),
        ambience=(Ambience(id="room", sound="a quiet room"),),
        reasoning=(Step(aspect="semantic", text="A hand knocks.", events=("knock-1",)),),
        avoid=("music",),
    )
    assert Plan.parse(plan.to_json()) == plan
    assert json.loads(plan.to_json())["schema"] == "reasound.plan/1"


EVENT = {"id": "a", "source": "b", "sound": "c"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seconds": -1}, "seconds"),
        ({"surprise": 1}, "surprise"),
        ({"events": [EVENT | {"end": 9}]}, "the clip is only 2 s long"),
        ({"events": [EVENT | {"start": 1, "end": 1}]}, "not after its start"),
        ({"events": [EVENT | {"end": 1, "onsets": [1.5]}]}, "outside its span"),
        ({"events": [EVENT | {"end": 1, "onsets": [0.5, 0.1]}]}, "in order"),
        ({"events": [EVENT | {"end": 1, "pan": 3}]}, "less than or equal to 1"),
        ({"events": [EVENT | {"end": 1}] * 2}, "share the id"),
        ({"reasoning": [{"aspect": "semantic", "text": "x", "events": ["ghost"]}]}, "'ghost'"),
        ({"reasoning": [{"aspect": "magic", "text": "x"}]}, "aspect"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(change, words):
    with pytest.raises(UserError, match="is not a plan") as caught:
        Plan.parse(json.dumps({"seconds": 2} | change), "my.json")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_that_is_no_json_is_refused():
    with pytest.raises(UserError, match=r"^my.json is not a plan"):
        Plan.parse("knock knock", "my.json")


def test_activity_is_the_share_of_each_latent_frame():
    frame = SAMPLES_PER_LATENT / SAMPLE_RATE
    whole = Plan(seconds=2, events=(knock(start=frame * 3.25, end=frame * 5),)).activity()[0]
    np.testing.assert_allclose(whole[2:6], [0, 0.75, 1, 0], atol=1e-5)
    hit = Plan(seconds=2, events=(knock(onsets=(frame * 4,)),)).activity()[0]
    assert hit.sum() * frame == pytest.approx(RING)


def test_a_moving_source_is_between_its_points():
    event = knock(path=(Place(time=0, pan=-1, distance=1), Place(time=2, pan=1, distance=4)))
    pan, distance = event.place(1.0)
    assert pan[0] == pytest.approx(0) and distance[0] == pytest.approx(2)


def test_a_part_of_a_plan_keeps_no_word_of_the_rest():
    plan = Plan(
        seconds=2,
        events=(knock(), knock(id="bell")),
        reasoning=(Step(aspect="semantic", text="Both.", events=("knock-1", "bell")),),
    )
    part = plan.only(["bell"])
    assert [e.id for e in part.events] == ["bell"] and part.reasoning[0].events == ("bell",)
    assert Plan.parse(part.to_json()) == part
