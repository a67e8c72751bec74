"""The edit plan: what it accepts, what cannot be done to a plan and in which words that is said."""

import json
import re
from importlib import resources
from pathlib import Path

import pytest

from reasound.edit_plan import AMOUNTS, VERBS, EditPlan, Operation
from reasound.errors import UserError
from reasound.plan import Ambience, Event, Origin, Plan
from reasound.reasoning.knowledge import sound_classes

PLAN = Plan(
    seconds=4,
    events=(Event(id="dog-1", source="a dog", sound="a dog barks", end=4, onsets=(1, 3)),),
    ambience=(Ambience(id="wind", sound="wind blows"),),
)
NEEDED = {
    "add": {"sound": "thunder rumbles"},
    "remove": {"targets": ["wind"]},
    "replace": {"targets": ["dog-1"], "sound": "a cat meows", "sound_class": "animal/cat"},
    "extract": {"targets": ["dog-1"]},
    "inpaint": {"start": 1, "end": 2},
    "extend": {"amount": 3, "side": "after", "end": 7},
    "move": {"targets": ["dog-1"], "amount": -0.5, "start": 2.9, "end": 3.1},
    "gain": {"amount": 6},
    "pan": {"targets": ["dog-1"], "amount": -1},
    "distance": {"targets": ["dog-1"], "amount": 2},
    "reverb": {"amount": 0, "style": ""},
    "style": {"style": "underwater"},
    "speed": {"targets": ["dog-1"], "amount": 0.5},
    "mute": {"targets": ["wind"]},
    "solo": {"targets": ["dog-1"]},
}
"""The least that each verb needs to be done."""


def edit(**operation):
    return EditPlan.parse(json.dumps({"instruction": "x", "operations": [operation]}), "my.json")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_can_be_done_and_survives_its_own_json(verb):
    plan = edit(verb=verb, **NEEDED[verb])
    assert plan.check(PLAN) is plan
    assert EditPlan.parse(plan.to_json()) == plan


def test_a_refusal_survives_its_own_json():
    plan = EditPlan(
        instruction="make it blue",
        refusal="A sound has no colour.",
        reasoner="mllm:x",
        origin=Origin(model="x", raw="no"),
    )
    assert plan.check(PLAN) is plan
    assert EditPlan.parse(plan.to_json()) == plan
    assert plan.to_dict()["schema"] == "reasound.edit/1"


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ({"verb": "remove", "targets": ["cat-1"]}, "cannot remove 'cat-1': .* it has dog-1, wind$"),
        ({"verb": "mute", "targets": ["wind"], "start": 4}, "'mute' begins at 4 s, but the clip is only 4 s"),
        ({"verb": "mute", "targets": ["wind"], "end": 5}, "'mute' ends at 5 s, but the clip is only 4 s"),
        ({"verb": "gain", "targets": ["wind"]}, "'gain' does not say by how much"),
        ({"verb": "gain", "amount": 99}, "the amount of 'gain' is 99 dB, but must be from -60 to 24"),
        ({"verb": "pan", "amount": -2}, "'pan' is -2, but must be from -1 to 1"),
        ({"verb": "speed", "amount": 0}, "'speed' is 0 times"),
        ({"verb": "extend", "amount": 0}, "'extend' is 0 s"),
        (
            {"verb": "move", "targets": ["dog-1"], "amount": 4},
            "cannot move by 4 s: the clip is only 4 s long",
        ),
        ({"verb": "add"}, "'add' does not say what is to be heard"),
        ({"verb": "replace", "targets": ["wind"]}, "'replace' does not say what is to be heard"),
        ({"verb": "add", "sound": "rain", "targets": ["wind"]}, "'add' has the target 'wind'"),
        ({"verb": "solo"}, "'solo' does not say what is to be heard alone"),
        ({"verb": "extract"}, "'extract' does not say what is to be heard alone"),
        ({"verb": "inpaint"}, "'inpaint' does not say which seconds"),
        ({"verb": "style"}, "'style' does not name a style"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(operation, words):
    with pytest.raises(UserError, match=words) as caught:
        edit(**operation).check(PLAN)
    assert "\n" not in str(caught.value)


def test_an_edit_that_does_nothing_must_say_why():
    with pytest.raises(UserError, match="does not say why"):
        EditPlan(instruction="hm").check(PLAN)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "is not an edit plan: the instruction is missing"),
        ({"instruction": "x", "operations": [{"verb": "explode"}]}, 'the verb of operation 1 is "explode"'),
        (
            {"instruction": "x", "operations": [{"verb": "mute", "start": -1}]},
            "the start of operation 1 is -1",
        ),
        (
            {"instruction": "x", "operations": [{"verb": "mute", "start": 2, "end": 1}]},
            "'mute' ends at 1 s, not after its start at 2 s",
        ),
        (
            {"instruction": "x", "operations": [{"verb": "mute"}], "refusal": "no"},
            "it has operations although it refuses",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(given, words):
    with pytest.raises(UserError) as caught:
        EditPlan.parse(json.dumps(given), "my.json")
    assert words in str(caught.value) and str(caught.value).startswith("my.json is not an edit plan: ")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot read the edit plan .*no such file"):
        EditPlan.load(tmp_path / "edit.json")
    (tmp_path / "edit.json").write_text(EditPlan(instruction="louder").to_json())
    assert EditPlan.load(tmp_path / "edit.json").instruction == "louder"


def test_the_schema_file_is_that_of_the_model():
    """`python -c 'from reasound.edit_plan import EditPlan; print(EditPlan.schema_text(), end="")'` writes it anew."""
    stored = resources.files("reasound").joinpath("schemas", "edit.schema.json").read_text("utf-8")
    assert stored == EditPlan.schema_text()
    assert json.loads(stored)["$defs"]["Operation"]["properties"]["verb"]["enum"] == list(VERBS)


def test_an_operation_is_made_without_json():
    assert Operation(verb="gain", amount=3).targets == ()


def test_the_examples_of_the_documentation_fit():
    text = (Path(__file__).parents[1] / "docs" / "plan.md").read_text("utf-8")
    plan, instructed = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    EditPlan.parse(instructed).check(Plan.parse(plan))


def test_the_held_out_instructions_ask_for_what_can_be_done():
    """tests/data/instructions*.jsonl: written by hand, apart from any template; one half was looked at."""
    files = sorted((Path(__file__).parent / "data").glob("instructions*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]
    assert len({line["instruction"] for line in lines}) == len(lines) >= 320
    assert {o["verb"] for line in lines for o in line["operations"]} == set(VERBS)
    for line in lines:
        plan = line["plan"] | {"events": [e | {"source": "x"} for e in line["plan"]["events"]]}
        operations = []
        for given in line["operations"]:
            # What an instruction leaves open, the answer must decide: any amount, and the caption of the class.
            wanted = {key: value for key, value in given.items() if key != "direction"}
            open_amount = {} if given["verb"] not in AMOUNTS else {"amount": 1.0}
            operations.append(open_amount | {"sound": given.get("sound_class", "")} | wanted)
            assert not given.get("sound_class") or given["sound_class"] in sound_classes()
        if not line["refusal"]:
            asked = {"instruction": line["instruction"], "operations": operations}
            EditPlan.parse(json.dumps(asked)).check(Plan.parse(json.dumps(plan)))
        assert line["refusal"] == (not operations)
