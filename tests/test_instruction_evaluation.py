"""Instructions with a known meaning: what is counted as right, and what a file must hold."""

import json

import pytest

from reasound.edit_plan import EditPlan, Operation
from reasound.errors import UserError
from reasound.evaluation.instructions import Case, evaluate, read_cases, score
from reasound.plan import Event, Plan

PLAN = Plan(
    seconds=8.0,
    events=(
        Event(
            id="dog-1", source="a dog", sound="a dog barks", sound_class="animal/dog", end=8.0, onsets=(2.0,)
        ),
        Event(
            id="cat-1", source="a cat", sound="a cat meows", sound_class="animal/cat", end=8.0, onsets=(5.0,)
        ),
    ),
)


def edit(*operations, refusal=""):
    return EditPlan(instruction="x", operations=operations, refusal=refusal)


def case(*wanted):
    return Case("x", PLAN, wanted)


def test_verbs_and_targets_must_all_be_right():
    wanted = case({"verb": "remove", "targets": ["dog-1"]})
    assert score(edit(Operation(verb="remove", targets=("dog-1",))), wanted) == {
        "operation": 1.0,
        "target": 1.0,
        "sound": None,
        "span": None,
        "amount": None,
    }
    other = score(edit(Operation(verb="remove", targets=("cat-1",))), wanted)
    assert (other["operation"], other["target"]) == (1.0, 0.0)
    twice = edit(*[Operation(verb="remove", targets=("dog-1",))] * 2)
    assert score(twice, wanted)["operation"] == 0.0
    assert score(None, wanted)["operation"] == 0.0


def test_a_refusal_is_right_where_nothing_can_be_done():
    assert score(edit(refusal="There is no cow."), case())["target"] == 1.0
    assert score(edit(refusal="There is no cow."), case({"verb": "mute"}))["operation"] == 0.0
    assert score(None, case())["operation"] == 0.0  # no answer is not a refusal


def test_what_an_instruction_says_is_compared_and_the_rest_is_not():
    added = Operation(verb="add", sound="thunder", sound_class="weather/thunder", start=4.2, end=6.0)
    said = score(edit(added), case({"verb": "add", "sound_class": "weather/thunder", "start": 4.0}))
    assert (said["sound"], said["span"], said["amount"]) == (1.0, 1.0, None)
    assert score(edit(added), case({"verb": "add", "start": 4.0, "end": 8.0}))["span"] == 0.0
    louder = Operation(verb="gain", targets=("dog-1",), amount=4.0)
    told = {"verb": "gain", "targets": ["dog-1"]}
    assert score(edit(louder), case(told | {"direction": 1}))["amount"] == 1.0
    assert score(edit(louder), case(told | {"direction": -1}))["amount"] == 0.0
    assert score(edit(louder), case(told | {"amount": 6.0}))["amount"] == 1.0
    assert score(edit(louder), case(told | {"amount": 12.0}))["amount"] == 0.0
    nearer = Operation(verb="distance", targets=("dog-1",), amount=0.5)
    assert (
        score(edit(nearer), case({"verb": "distance", "targets": ["dog-1"], "direction": -1}))["amount"]
        == 1.0
    )


class Parrot:
    """Always gives the same answer."""

    def __init__(self, answer):
        self.answer = answer

    def edit(self, instruction, existing):
        if self.answer is None:
            raise UserError("no")
        return self.answer


def rows(path, *rows):
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows))
    return path


def row(operations, instruction="take the dog out"):
    return {
        "instruction": instruction,
        "plan": PLAN.to_dict(),
        "operations": operations,
        "refusal": not operations,
    }


def test_a_report_counts_reasoners_side_by_side(tmp_path):
    file = rows(
        tmp_path / "a.jsonl", row([{"verb": "remove", "targets": ["dog-1"]}]), "", row([], "paint it blue")
    )
    right = Parrot(edit(Operation(verb="remove", targets=("dog-1",))))
    report = evaluate({"right": right, "never": Parrot(None)}, file)
    assert report["summary"]["right"]["target"]["mean"] == 0.5
    assert report["summary"]["never"]["target"]["mean"] == 0.0
    assert report["classes"]["remove"]["right"] == {"right": 1, "of": 1}


def test_a_file_that_cannot_be_read_says_where(tmp_path):
    good = row([{"verb": "remove", "targets": ["dog-1"]}])
    for bad in ("{", json.dumps(row([{"verb": "fly"}])), '{"instruction": "x"}'):
        with pytest.raises(UserError, match="line 2 of .*a.jsonl is no instruction"):
            read_cases(rows(tmp_path / "a.jsonl", good, bad))
    with pytest.raises(UserError, match="holds no instructions"):
        read_cases(rows(tmp_path / "a.jsonl", ""))
    with pytest.raises(UserError, match="cannot be read"):
        read_cases(tmp_path / "none.jsonl")
