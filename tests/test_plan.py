"""The plan: what it accepts, what it refuses and in which words, what it renders to."""

import json
from importlib import resources

import numpy as np
import pytest

from reasound.errors import UserError
from reasound.plan import RING, Ambience, Event, Origin, Place, Plan, Region, Step
from reasound.timeline import SAMPLE_RATE, SAMPLES_PER_LATENT


def knock(**changes):
    return Event(**{"id": "knock-1", "source": "a hand", "sound": "a knock on wood", "end": 2.0} | changes)


def test_a_plan_survives_its_own_json():
    plan = Plan(
        seconds=2,
        events=(
            knock(
                onsets=(0.5, 1.0),
                strengths=(1, 0.5),
                path=(Place(time=0, pan=-1),),
                region=Region(x0=0.1, y0=0.5, x1=0.3, y1=1),
            ),
        ),
        ambience=(Ambience(id="room", sound="a quiet room"),),
        reasoning=(Step(aspect="semantic", text="A hand knocks.", events=("knock-1",)),),
        avoid=("music",),
        reasoner="mllm:some/model",
        origin=Origin(model="some/model", prompt_version="3", raw="knock, knock"),
    )
    assert Plan.parse(plan.to_json()) == plan
    assert json.loads(plan.to_json())["schema"] == "reasound.plan/1"


EVENT = {"id": "a", "source": "b", "sound": "c"}


def test_a_plan_of_an_older_version_opens():
    """As 0.1 wrote it: without region and origin."""
    old = {
        "schema": "reasound.plan/1",
        "seconds": 2.0,
        "caption": "A knock.",
        "reasoning": [{"aspect": "semantic", "text": "A hand knocks.", "events": ["knock-1"]}],
        "events": [
            {
                "id": "knock-1",
                "source": "a hand",
                "sound": "a knock on wood",
                "sound_class": "impact/wood",
                "material": "wood",
                "start": 0.0,
                "end": 2.0,
                "onsets": [0.5],
                "strengths": [1.0],
                "level": -3.0,
                "pan": 0.5,
                "distance": 2.0,
                "path": [],
                "on_screen": True,
                "confidence": 0.5,
            }
        ],
        "ambience": [],
        "acoustics": {"space": "room", "reverb": 0.2},
        "avoid": ["music"],
        "reasoner": "rules",
    }
    plan = Plan.parse(json.dumps(old))
    assert plan.events[0].region is None and plan.origin is None
    assert plan.events[0].onsets == (0.5,) and plan.reasoner == "rules"


def box(**changes):
    return {"region": {"x0": 0.1, "y0": 0.1, "x1": 0.5, "y1": 0.5} | changes, "end": 1}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seconds": -1}, "the seconds are -1, but must be more than 0"),
        ({"surprise": 1}, "the surprise is unknown here"),
        ({"events": [EVENT | {"end": 9}]}, "event 'a' ends at 9 s, but the clip is only 2 s long"),
        ({"events": [EVENT | {"start": 2, "end": 3}]}, "event 'a' begins at 2 s, but the clip is only 2 s"),
        ({"events": [EVENT | {"start": 1, "end": 1}]}, "ends at 1 s, not after its start at 1 s"),
        ({"events": [EVENT]}, "the end of event 'a' is missing"),
        ({"events": [EVENT | {"end": 1, "onsets": [1.5]}]}, "an onset at 1.5 s, after its end at 1 s"),
        ({"events": [EVENT | {"start": 1, "end": 2, "onsets": [0.5]}]}, "at 0.5 s, before its start at 1 s"),
        (
            {"events": [EVENT | {"end": 1, "onsets": [-1]}]},
            "onset 1 of event 'a' is -1, but must be at least 0",
        ),
        ({"events": [EVENT | {"end": 1, "onsets": [0.5, 0.1]}]}, "onset at 0.5 s before the one at 0.1 s"),
        ({"events": [EVENT | {"end": 1, "pan": 3}]}, "the pan of event 'a' is 3, but must be at most 1"),
        (
            {"events": [EVENT | {"end": 1, "pan": "left"}]},
            "pan of event 'a' is \"left\", but must be a number",
        ),
        ({"events": [EVENT | {"end": 1, "id": "a b"}]}, 'is "a b", but must be made of letters'),
        ({"events": [EVENT | {"end": 1, "sound": ""}]}, "the sound of event 'a' is empty"),
        ({"events": [EVENT | box(x1=0.1)]}, "region of event 'a' is not a box: x0 is 0.1 and x1 is 0.1"),
        ({"events": [EVENT | box(y0=-1)]}, "the y0 of the region of event 'a' is -1"),
        ({"events": [EVENT | {"end": 1}] * 2}, "share the id"),
        ({"events": 3}, "the events are 3, but must be a list"),
        ({"ambience": [{"sound": "wind"}]}, "the id of ambience 1 is missing"),
        ({"reasoning": [{"aspect": "semantic", "text": "x", "events": ["ghost"]}]}, "'ghost'"),
        (
            {"reasoning": [{"aspect": "magic", "text": "x"}]},
            'the aspect of step 1 is "magic", but must be \'sem',
        ),
        ({"schema": "reasound.plan/9"}, "the schema is \"reasound.plan/9\", but must be 'reasound.plan/1'"),
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


def test_the_schema_file_is_that_of_the_model():
    """`python -c 'from reasound.plan import Plan; print(Plan.schema_text(), end="")'` writes it anew."""
    stored = resources.files("reasound").joinpath("schemas", "plan.schema.json").read_text("utf-8")
    assert stored == Plan.schema_text()
    event = json.loads(stored)["$defs"]["Event"]
    assert event["properties"]["distance"]["description"] == "Metres from the listener."
    assert event["required"] == ["id", "source", "sound", "end"]
