"""Which renderer `auto` takes, and what the engine refuses."""

import json
from importlib import resources

import pytest

from reasound import Reasound
from reasound.errors import UserError
from reasound.perception.watch import unseen
from reasound.pipeline import better_generated
from reasound.plan import Ambience, Event, Plan


def test_auto_generates_only_what_the_committed_evaluation_says_is_better():
    table = json.loads(resources.files("reasound.evaluation").joinpath("renderers.json").read_text())[
        "classes"
    ]
    assert len(table) > 80 and all(set(scores) == {"library", "model"} for scores in table.values())
    events = tuple(
        Event(id=name.replace("/", "-"), source="x", sound="x", sound_class=name, end=1) for name in table
    )
    plan = Plan(seconds=1, events=events, ambience=(Ambience(id="unknown", sound="x"),))
    chosen = better_generated(plan)
    assert "unknown" not in chosen
    for event in events:
        scores = table[event.sound_class]
        if event.id in chosen:
            assert scores["model"] > scores["library"]
        elif scores["model"] > scores["library"]:
            assert scores["model"] < 2 / 3


def test_a_model_that_is_not_there_is_one_sentence():
    with pytest.raises(UserError, match="there is no model 'no-such-folder'"):
        Reasound("no-such-folder")


def test_a_folder_without_a_model_is_one_sentence(tmp_path):
    with pytest.raises(UserError) as caught:
        Reasound(tmp_path).generator  # noqa: B018
    assert "\n" not in str(caught.value) and "is not the folder of a model" in str(caught.value)


def test_a_caption_that_the_rules_cannot_read_is_told():
    engine = Reasound()
    engine.reason(unseen(2.0), "犬が吠える")
    assert engine.notes[-1].startswith("'犬が吠える' is not in English, so it was not read")
    engine.reason(unseen(2.0), "a dog barks")
    assert not any("English" in note for note in engine.notes)
