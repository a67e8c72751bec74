"""Instructions made on the fly: right answers, wide wording, the same seed the same draw."""

import numpy as np
import pytest

from reasound.data.instructions import draw
from reasound.data.instructions.chance import Chance
from reasound.data.instructions.naming import plural, singular
from reasound.data.instructions.noise import slip
from reasound.edit_plan import VERBS
from reasound.reasoning.instructions import understand
from reasound.reasoning.instructions.language import is_english
from reasound.reasoning.instructions.words import slips
from reasound.reasoning.knowledge import sound_classes


@pytest.fixture(scope="module")
def examples():
    rng = np.random.default_rng(0)
    return [draw(rng) for _ in range(1500)]


def test_every_answer_fits_its_plan(examples):
    for example in examples:
        assert example.answer.check(example.plan).instruction == example.instruction
        assert bool(example.answer.operations) != bool(example.answer.refusal)
        assert all(o.reason.endswith(".") for o in example.answer.operations)


def test_plans_are_small_and_often_have_twins(examples):
    for example in examples:
        assert 1 <= len(example.plan.events) <= 5 and len(example.plan.ambience) <= 2
    classes = [[e.sound_class for e in x.plan.events] for x in examples]
    assert sum(len(set(c)) < len(c) for c in classes) > 0.2 * len(examples)
    events = {s for s in sound_classes() if not s.startswith("ambience/")}
    assert {c for row in classes for c in row} == events


def test_all_verbs_and_wide_wording(examples):
    operations = [o for e in examples for o in e.answer.operations]
    share = {verb: sum(o.verb == verb for o in operations) / len(operations) for verb in VERBS}
    assert min(share.values()) > 0.02
    forms = {f for e in examples for f in e.form.split(" + ")}
    assert len(forms) > 700  # of 1500: most are new to the learner
    assert sum(len(e.answer.operations) > 1 for e in examples) > 0.15 * len(examples)
    assert sum(bool(e.answer.refusal) for e in examples) > 0.05 * len(examples)


def test_what_is_drawn_is_english(examples):
    said = [e.instruction for e in examples]
    assert sum(is_english(s) for s in said) == len(said)


def test_the_rules_agree_with_most_answers(examples):
    sample = examples[:150]
    read = [understand(e.instruction, e.plan) for e in sample]
    same = [
        [o.verb for o in a.operations] == [o.verb for o in e.answer.operations]
        for a, e in zip(read, sample, strict=True)
    ]
    assert sum(same) > 0.9 * len(sample)


def test_the_seed_is_the_draw():
    first, second = (draw(np.random.default_rng(7)) for _ in range(2))
    assert first == second and first != draw(np.random.default_rng(8))


def test_a_slip_is_one_slip():
    chance = Chance(np.random.default_rng(1))
    for _ in range(200):
        assert slips("make the hammer louder", slip("make the hammer louder", chance), 3) <= 1


def test_numbers_of_nouns():
    assert [plural(n) for n in ("dog", "splash", "puppy")] == ["dogs", "splashes", "puppies"]
    assert [singular(n) for n in ("dogs", "splashes", "puppies", "glass")] == [
        "dog",
        "splash",
        "puppy",
        "glass",
    ]
