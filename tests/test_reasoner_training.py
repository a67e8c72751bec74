"""Training of the pocket reasoner on toys: its lessons, its loss, that it learns, and that it goes on where it was."""

import numpy as np
import pytest
import torch

from reasound.data import reasoning_set
from reasound.data.reasoning_set import Lessons, Question, copied, mirrored, refusal_of
from reasound.data.scenes.shown import Case
from reasound.edit_plan import EditPlan, Operation
from reasound.plan import Event, Plan
from reasound.reasoning.pocket import tokenizer as t
from reasound.reasoning.pocket import weights
from reasound.reasoning.pocket.prefix import KINDS, Reader
from reasound.training.loop import Budget
from reasound.training.reasoner import ReasonerTraining, Trainer, answer_loss, parts, weight
from test_pocket_reasoner import VECTORS, Words, barking, dog, tiny
from test_seen import EYE


class Maker:
    """Draws one of two plans."""

    samples = 0
    library = type("Library", (), {"recordings": ()})()

    def plan(self, rng):
        name, hits = (("animal/dog", (1.0, 2.0)), ("impact/metal", (1.5,)))[int(rng.integers(2))]
        event = Event(id="e1", source="it", sound=name, sound_class=name, end=3.0, onsets=hits)
        return Plan(seconds=3.0, events=(event,))


class Asked:
    instruction, plan = "remove the wind", barking()
    answer = EditPlan(instruction=instruction, operations=(Operation(verb="remove", targets=("a1",)),))


def lessons(draw=lambda rng: Asked(), cases=lambda: (), **odds):
    return Lessons(Maker(), EYE, Reader(Words()), VECTORS, cases, draw, tasks=odds or None)


@pytest.fixture(autouse=True)
def plain_words(monkeypatch):
    monkeypatch.setattr(reasoning_set, "readable", lambda q: q.text)


def settings(**fields):
    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    fields = {"batch": 6, "budget": Budget(steps=6), "report_every": 2, "blind": 0.0, "together": 3} | fields
    return ReasonerTraining(model=weights.new_config(**small), **fields)


def test_a_batch_is_the_same_for_the_same_seed_and_holds_all_tasks():
    odds = {"plan": 0.4, "object": 0.3, "edit": 0.3}
    one, other = lessons(**odds).batch(24, 0, 5), lessons(**odds).batch(24, 0, 5)
    assert [a.tokens for a in one] == [b.tokens for b in other]
    assert {t.names()[a.tokens[0]] for a in one} == {"<plan>", "<object>", "<edit>"}
    assert [a.tokens for a in lessons(**odds).batch(24, 0, 6)] != [a.tokens for a in one]


def test_what_is_neither_seen_nor_said_is_not_asked_for():
    seen = barking()
    hidden = seen.events[0].model_copy(update={"on_screen": False})
    plan = seen.model_copy(update={"events": (hidden, seen.events[1])})
    course = lessons(cases=lambda: [Case("x", "call", dog(), plan)])
    course.rendered = 1.0
    told = {True: 0, False: 0}
    for k in range(60):
        q = course._plan(dog(), plan, np.random.default_rng(k))
        named = "animal/dog" in q.told
        assert ("animal/dog" in {e.sound_class for e in q.plan.events}) == named
        told[named] += 1
    assert min(told.values()) > 5


def test_what_must_not_be_heard_is_not_in_the_answer(monkeypatch):
    monkeypatch.setattr(reasoning_set, "AVOIDED", 1.0)
    monkeypatch.setattr(reasoning_set, "SILENT", 1.0)
    q = lessons()._plan(dog(), barking(), np.random.default_rng(0))
    assert len(q.avoid) == 1 and len(q.plan.events) == 1


def test_left_and_right_are_exchanged_twice_to_the_same():
    f, plan = mirrored(*mirrored(dog(), barking()))
    assert plan == barking()
    assert [o.x for o in mirrored(dog(), barking())[0].motion.onsets] == [0.7, 0.7]
    np.testing.assert_array_equal(f.motion.grid, dog().motion.grid)


def test_words_are_copied_where_they_stand():
    answer = EditPlan(
        instruction="x",
        operations=(Operation(verb="add", sound="Wolf howls"), Operation(verb="style", style="odd")),
    )
    said = Reader(Words()).read("add a wolf howls now")
    assert copied(said, answer) == {"Wolf howls": (2, 3)}
    assert refusal_of(EditPlan(instruction="x", refusal=t.REFUSALS[4])) == 4
    assert (
        refusal_of(EditPlan(instruction="x", refusal="There is no dog in this clip.")) == len(t.REFUSALS) - 1
    )


def test_the_loss_is_on_the_answers_alone_and_padding_changes_nothing():
    network, batch = tiny(), lessons().batch(5, 0, 0)
    together, _ = answer_loss(network, batch)
    counts = [float(weight(lesson).sum()) for lesson in batch]
    alone = sum(float(answer_loss(network, [a])[0]) * count for a, count in zip(batch, counts, strict=True))
    alone /= sum(counts)
    assert float(together) == pytest.approx(alone, rel=1e-5)
    split = parts(batch, 2)
    assert sum(share for _, share in split) == pytest.approx(1.0)
    assert sum(float(answer_loss(network, part)[0]) * share for part, share in split) == pytest.approx(
        alone, rel=1e-5
    )
    # A uniform guess over the vocabulary costs the logarithm of its size.
    with torch.no_grad():
        network.model.embed_tokens.weight.zero_()
    assert float(answer_loss(network, batch)[0]) == pytest.approx(np.log(len(t.names())), rel=1e-5)


def test_hidden_things_keep_what_points_at_them():
    from reasound.reasoning.pocket.network import Things

    things = Things.of([lessons().batch(1, 0, 3)[0].prefix])
    none = things.hidden(torch.zeros(len(things.kind)))
    assert not none.vector.any() and not none.numbers.any() and not none.seen.any()
    assert (
        (none.tokens == things.tokens).all()
        and (none.kind == things.kind).all()
        and KINDS[none.kind[0]] == "task"
    )


def test_it_learns_two_lessons_by_heart(tmp_path):
    trainer = Trainer(settings(rate=1e-2, budget=Budget(steps=220)), tmp_path)
    batch = lessons(plan=0.5, edit=0.5).batch(4, 1, 1)
    losses = [trainer.train_step(batch) for _ in range(220)]
    assert losses[0]["loss"] > 6 and losses[-1]["loss"] < 0.25 and losses[-1]["right"] > 0.95


def test_a_run_that_was_cut_goes_on_exactly(tmp_path):
    course = lessons()
    whole = Trainer(settings(), tmp_path / "whole")
    whole.train(course)
    first = Trainer(settings(budget=Budget(steps=6)), tmp_path / "cut")
    for _ in range(3):
        first.train_step(course.batch(6, 0, first.step))
    first.save()
    second = Trainer(settings(), tmp_path / "cut")
    second.resume()
    second.train(course)
    for a, b in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)
    loaded = weights.load(tmp_path / "cut" / "reasoner")
    exact = second.ema.model.model.layers[0].mlp.up_proj.weight
    assert (
        float((loaded.model.layers[0].mlp.up_proj.weight - exact).abs().max())
        <= float(exact.abs().max()) / 127
    )
    assert (tmp_path / "whole" / "log.jsonl").read_text().count("\n") == 3


def test_a_new_run_starts_from_weights(tmp_path):
    trainer = Trainer(settings(), tmp_path)
    network = tiny()
    trainer.start_from(network)
    assert torch.equal(trainer.model.model.embed_tokens.weight, network.model.embed_tokens.weight)


def test_what_cannot_be_said_is_left_out():
    unsaid = EditPlan(
        instruction="x", operations=(Operation(verb="add", sound="something that is not in it"),)
    )
    q = Question("edit", "add it", None, barking(), answer=unsaid)
    assert lessons().lesson(q, Reader(Words()).read("add it")) is None
