"""Fine-tuning of large models, on tiny ones: its rows, what is learned of them, that it learns, and that it goes on."""

import json
import sys

import numpy as np
import pytest
import torch

import clips
import test_reasoner_training
import tiny_mllm
from reasound.cli import main
from reasound.data import pocket_lessons, reasoning_set
from reasound.edit_plan import EditPlan, Operation
from reasound.errors import UserError
from reasound.evaluation.answers import scores
from reasound.perception.watch import unseen
from reasound.plan import Ambience, Event, Place, Plan, Region, Step
from reasound.reasoning import prompts
from reasound.reasoning.answer_text import answer_text
from reasound.reasoning.answers import read_edit, read_plan
from reasound.reasoning.mllm import Mllm
from reasound.reasoning.prompts import Prompt
from reasound.training import reasoner as training_reasoner
from reasound.training.finetune import FineTuner, FineTuning, Lora
from reasound.training.finetune_lessons import UNLEARNED, Lessons, answer
from reasound.training.finetune_rows import Rows
from reasound.training.loop import Budget

pytest.importorskip("peft")
pytest.importorskip("num2words", reason="SmolVLM's processor needs it")

COLOURS = {
    "red": (230, 20, 20),
    "green": (20, 200, 20),
    "blue": (20, 20, 230),
    "white": (250, 250, 250),
    "black": (5, 5, 5),
    "yellow": (230, 230, 20),
}
HEARD = ("animal/dog", "tool/hammer", "impact/metal", "animal/cat", "weather/wind", "weather/rain")
EXISTING = Plan(
    seconds=1.0,
    events=(Event(id="dog-1", source="a dog", sound="a dog barks", sound_class="animal/dog", end=1.0),),
    ambience=(Ambience(id="wind-1", sound="wind"),),
)


def heard(name, onset, seconds=1.0, ident="e-1"):
    word = name.split("/")[1]
    return Plan(
        seconds=seconds,
        reasoning=(Step(aspect="semantic", text=f"A {word}.", events=(ident,)),),
        events=(
            Event(
                id=ident, source=word, sound=word, sound_class=name, start=onset, end=seconds, onsets=(onset,)
            ),
        ),
    )


def edit(instruction, verb, target, amount=None):
    done = Operation(verb=verb, targets=(target,), amount=amount)
    return EditPlan(instruction=instruction, operations=(done,))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a film of every colour, and what is to be learned of them: 20 rows."""
    home = tmp_path_factory.mktemp("rows")
    for name, colour in COLOURS.items():
        clips.write(
            home / f"{name}.mp4",
            lambda time, width, height, colour=colour: np.full((height, width, 3), colour, np.uint8),
            seconds=1,
            fps=4,
            size=(64, 32),
        )
    rows = []
    for k, (colour, name) in enumerate(zip(COLOURS, HEARD, strict=True)):
        plan = heard(name, k / 10)
        rows.append({"video": f"{colour}.mp4", "task": "plan", "answer": plan.to_dict()})
        said = HEARD[k - 1].split("/")[1]  # the user knows better than the picture
        row = {"video": f"{colour}.mp4", "task": "plan", "caption": said}
        rows.append(row | {"answer": heard(HEARD[k - 1], 0.5).to_dict()})
    for k, (colour, x) in enumerate((("red", 0.0), ("green", 0.25), ("blue", 0.5))):
        box = {"x0": x, "y0": 0.0, "x1": x + 0.5, "y1": 1.0}
        row = {"video": f"{colour}.mp4", "task": "object", "region": box, "plan": EXISTING.to_dict()}
        rows.append(row | {"answer": heard(HEARD[k], 0.2 * k).to_dict()})
    for instruction, *asked in (
        ("louder dog", "gain", "dog-1", 6.0),
        ("no wind", "remove", "wind-1"),
        ("dog to the left", "pan", "dog-1", -1.0),
        ("Hund leiser", "gain", "dog-1", -6.0),
        ("只要狗叫", "solo", "dog-1"),
    ):
        row = {"task": "edit", "instruction": instruction, "plan": EXISTING.to_dict()}
        rows.append(row | {"answer": edit(instruction, *asked).to_dict()})
    assert len(rows) == 20
    write(home / "rows.jsonl", rows)
    return home


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def short(monkeypatch):
    """Questions without their rules and examples: tiny models learn by heart, and would only read them."""
    monkeypatch.setattr(prompts, "_SYSTEM", "")
    monkeypatch.setattr(prompts, "_RULES", "")
    monkeypatch.setattr(prompts, "_classes", lambda: "")
    monkeypatch.setattr(prompts, "_example", lambda answer: "")
    monkeypatch.setattr(prompts, "evidence", lambda features: "")
    monkeypatch.setattr(prompts, "_compact", lambda plan: "")

    def edit(instruction, existing, frames):
        return Prompt("", (*prompts._shown(frames), instruction), {})

    monkeypatch.setattr(prompts, "edit", edit)


def blind(clip):
    return unseen(float(clip.seconds))


def tuner(base, run, **settings):
    mllm = Mllm(str(base), device="cpu", dtype="float32")
    usual = {"budget": Budget(steps=6), "batch": 2, "precision": "fp32", "report_every": 1, "warmup": 1}
    return FineTuner(FineTuning(**(usual | settings)), mllm, run)


def course(run, path):
    return Lessons(Rows(path), run.base, blind, run.run / "seen")


def logged(run):
    return [json.loads(line) for line in (run.run / "log.jsonl").read_text().splitlines()]


class Kept(Lessons):
    """Makes every lesson once: what takes time is to be the learning."""

    def __init__(self, *given):
        super().__init__(*given)
        self.kept = {}

    def __getitem__(self, i):
        if i not in self.kept:
            self.kept[i] = super().__getitem__(i)
        return self.kept[i]


def test_a_model_learns_twenty_answers_by_heart_and_gives_them(home, short, tmp_path):
    base = tiny_mllm.write(tmp_path / "base", "qwen3_vl", width=64)
    budget = {"budget": Budget(steps=420), "batch": 2, "rate": 4e-3, "warmup": 10, "report_every": 100}
    run = tuner(base, tmp_path / "run", lora=None, checkpointing=False, **budget)
    run.train(Kept(Rows(home / "rows.jsonl"), run.base, blind, run.run / "seen"))
    trained, rows = Mllm(str(run.export), device="cpu"), Rows(home / "rows.jsonl")
    for k in range(len(rows)):
        example = rows[k]
        given = answer(trained, example, blind(example.clip) if example.clip else None)
        assert given.origin.raw == example.text
        assert given.reasoner == f"mllm:{run.export}"


@pytest.mark.parametrize("family", tiny_mllm.FAMILIES)
def test_only_the_answer_is_learned_after_the_very_question_that_is_asked(family, home, tmp_path):
    run = tuner(tiny_mllm.write(tmp_path / "base", family), tmp_path / "run", lora=None, checkpointing=False)
    lessons = course(run, home / "rows.jsonl")
    example, made = lessons.rows[1], lessons[1]
    asked = []
    run.base.ask = lambda prompt, turns, progress: asked.append(run.base.inputs(prompt)) or example.text
    assert answer(run.base, example, lessons.features(example)).events == example.answer.events
    (inputs,) = asked
    length = inputs["input_ids"].shape[1]
    assert torch.equal(made.inputs["input_ids"][:, :length], inputs["input_ids"])
    assert torch.equal(made.inputs["pixel_values"], inputs["pixel_values"])
    assert set(made.labels[0, :length].tolist()) == {UNLEARNED}
    words = run.base.load()[1].tokenizer
    learned = made.labels[0, length:]
    assert words.decode(learned) == example.text + "<|im_end|>" and len(learned) == made.answer
    lost, right = run.loss(made)
    own = run.model(**made.inputs, labels=made.labels)  # transformers' own loss of the same labels
    assert lost.item() / made.answer == pytest.approx(own.loss.item(), rel=1e-5)
    assert right.item() == (own.logits[0, length - 1 : -1].argmax(-1) == learned).sum().item()


def test_a_run_that_was_cut_off_goes_on_with_the_same_loss(home, short, tmp_path):
    base = tiny_mllm.write(tmp_path / "base", "qwen2_5_vl")
    how = {"lora": Lora(rank=4, dropout=0.1), "rate": 1e-2}
    whole = tuner(base, tmp_path / "whole", **how)
    whole.train(course(whole, home / "rows.jsonl"))
    part = tuner(base, tmp_path / "part", **how)
    facts, lessons = part.facts(course(part, home / "rows.jsonl")), course(part, home / "rows.jsonl")
    losses = [part.train_step(part.batch(lessons, step))["loss"] for step in range(3)]
    part.save(facts)
    again = tuner(base, tmp_path / "part", **how)
    again.train(course(again, home / "rows.jsonl"))
    expected = [row["loss"] for row in logged(whole)]
    assert [round(x, 4) for x in losses] + [row["loss"] for row in logged(again)] == expected
    for name, p in whole.learned.items():
        assert torch.equal(p, again.learned[name])
    other = tuner(base, tmp_path / "part", lora=Lora(rank=2))
    with pytest.raises(
        UserError, match="begun with another LoRA; go on with the same, or choose another --out"
    ):
        other.train(course(other, home / "rows.jsonl"))


def test_every_row_is_learned_once_before_any_comes_again(tmp_path):
    class Count:
        def __len__(self):
            return 7

        def __getitem__(self, i):
            return i

    run = object.__new__(FineTuner)
    run.settings = FineTuning(batch=3)
    order = [i for step in range(7) for i in run.batch(Count(), step)]
    assert sorted(order[:7]) == sorted(order[7:14]) == list(range(7)) and order[:7] != order[7:14]


def test_activations_computed_again_give_the_same_gradient(home, short, tmp_path):
    base = tiny_mllm.write(tmp_path / "base", "smolvlm")
    grads = []
    for again in (False, True):
        run = tuner(base, tmp_path / str(again), checkpointing=again)
        run.train_step([course(run, home / "rows.jsonl")[0]])
        assert run.model.is_activation_checkpointing == again
        grads.append([p.grad.clone() for p in run.learned.values()])
    for a, b in zip(*grads, strict=True):
        assert torch.allclose(a, b, atol=1e-7)


def test_a_lora_is_of_the_language_model_alone_and_opens_as_a_reasoner(home, short, tmp_path, monkeypatch):
    base = tiny_mllm.write(tmp_path / "base", "qwen3_vl")
    few = write(
        tmp_path / "few.jsonl", [json.loads(x) for x in (home / "rows.jsonl").read_text().splitlines()[-2:]]
    )
    runs = {}
    for merge in (False, True):
        runs[merge] = run = tuner(base, tmp_path / f"run{merge}", lora=Lora(rank=4), merge=merge, rate=1e-2)
        assert run.learned and all(
            "language_model.layers" in name and "lora_" in name for name in run.learned
        )
        assert len(run.learned) == 2 * 7
        lessons, held = course(run, home / "rows.jsonl"), course(run, few)
        run.train(lessons, held, lambda answered: {"asked": len(answered), "nothing": float("nan")})
        last = logged(run)[-1]
        assert last["step"] == 6 and last["heldout"] == {"loss": last["heldout"]["loss"], "asked": 2}
    example = lessons[0]
    with torch.inference_mode():
        plain, adapted, merged = (
            Mllm(str(folder), device="cpu").load()[0](**example.inputs).logits
            for folder in (base, runs[False].export, runs[True].export)
        )
    assert not torch.allclose(plain, adapted, atol=1e-3)
    assert torch.allclose(adapted, merged, atol=1e-4)
    assert sorted(p.name for p in runs[False].export.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    with pytest.raises(UserError, match="is a LoRA adapter; train on a whole model"):
        tuner(runs[False].export, tmp_path / "again")
    with pytest.raises(UserError, match="no linear layers 'x_proj'; it has down_proj, gate_proj"):
        tuner(base, tmp_path / "other", lora=Lora(targets=("x_proj",)))
    only = tuner(base, tmp_path / "other", lora=Lora(targets=("q_proj",)))
    assert len(only.learned) == 2 and all("q_proj" in name for name in only.learned)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UserError, match=r"is a LoRA adapter, which needs .*\(peft\); install it with"):
        Mllm(str(runs[False].export)).load()
    base.rename(tmp_path / "moved")
    with pytest.raises(UserError, match="adapts another model: there is no folder .*base"):
        Mllm(str(runs[False].export)).load()


def test_a_row_too_long_for_the_model_is_named_before_anything_is_learned(home, tmp_path):
    run = tuner(tiny_mllm.write(tmp_path / "base", "qwen2_5_vl"), tmp_path / "run")
    type(run.base).room, room = property(lambda self: 300), type(run.base).room
    try:
        with pytest.raises(UserError, match=r"rows.jsonl, line 1, takes \d+ tokens, but .* reads only 300"):
            run.train(course(run, home / "rows.jsonl"))
    finally:
        type(run.base).room = room
    assert run.step == 0 and not (run.run / "checkpoint.pt").exists()


def test_an_answer_is_read_back_as_the_plan_that_it_was():
    plan = Plan(
        seconds=2.004,
        caption="ein Hund — 犬",
        reasoning=(Step(aspect="temporal", text="It barks.", events=("dog-1",)),),
        events=(
            Event(
                id="dog-1",
                source="a dog",
                sound="a dog barks",
                sound_class="animal/dog",
                start=0.5,
                end=2.004,
                onsets=(0.5, 1.986),
                level=-3.5,
                region=Region(x0=0.1, y0=0.2, x1=0.3, y1=0.4),
                on_screen=False,
                confidence=0.8,
            ),
            Event(id="cat-1", source="a cat", sound="a cat", end=2.0, distance=4.0, pan=-0.25),
        ),
        ambience=(Ambience(id="wind-1", sound="wind", sound_class="weather/wind", level=-20.0),),
        avoid=("music",),
    )
    read = read_plan(answer_text(plan), 2.004)
    assert read.notes == ()
    rounded = plan.events[0].model_copy(update={"end": 2.0, "onsets": (0.5, 1.99)})
    assert read.value.events == (rounded, plan.events[1])
    left = {"events", "reasoner", "origin"}
    assert read.value.model_dump(exclude=left) == plan.model_dump(exclude=left)
    moving = plan.events[1].model_copy(update={"path": (Place(time=0, pan=-1), Place(time=2, pan=0.5))})
    assert (
        read_plan(answer_text(plan.model_copy(update={"events": (moving,)})), 2.004).value.events[0].pan
        == -0.25
    )
    for wanted in (edit("lauter", "gain", "dog-1", 2.0), EditPlan(instruction="lauter", refusal="Nein.")):
        assert read_edit(answer_text(wanted), "lauter", EXISTING).value == wanted


DOG = heard("animal/dog", 0.5)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"task": "plann"}, "is not a row: the task is \"plann\", but must be 'plan', 'object' or 'edit'"),
        ({"vidoe": "red.mp4"}, "is not a row: the vidoe is unknown here"),
        ({"video": ""}, "is of the task 'plan' but has no video"),
        ({"instruction": "louder"}, "is of the task 'plan', which takes no instruction"),
        ({"video": "pink.mp4"}, "cannot be used: .*pink.mp4"),
        ({"start": 0.5, "end": 3.0}, "cannot be used: cannot cut 0.5-3 s"),
        ({"end": 0.5}, "has an answer for 1 s, but its clip lasts 0.5 s"),
        ({"task": "object"}, "is of the task 'object' but has no region"),
        ({"answer": DOG.to_dict() | {"seconds": 0}}, "is not a plan: the seconds are 0"),
        (
            {"answer": heard("animal/dgo", 0.5).to_dict()},
            "would be read otherwise than it is meant: there is no class",
        ),
        (
            {"task": "edit", "video": "", "instruction": "x", "plan": EXISTING.to_dict()}
            | {"answer": edit("x", "remove", "cat-1").to_dict()},
            "cannot be used: cannot remove 'cat-1'",
        ),
    ],
)
def test_a_bad_row_is_refused_with_its_file_and_line(change, why, home):
    good = {"video": "red.mp4", "task": "plan", "answer": DOG.to_dict()}
    path = write(home / "bad.jsonl", [good, good | change])
    with pytest.raises(UserError, match=rf"bad.jsonl, line 2,?.* {why}"):
        Rows(path)


def test_rows_are_read_where_they_stand(home):
    text = (home / "rows.jsonl").read_text()
    (home / "gaps.jsonl").write_text("\n" + text.replace("\n", "\n\n"))
    rows = Rows(home / "gaps.jsonl")
    assert len(rows) == 20 and rows[18].where.endswith("line 38,") and rows[18].instruction == "Hund leiser"
    (home / "gaps.jsonl").write_text("\n")
    with pytest.raises(UserError, match="holds no rows"):
        Rows(home / "gaps.jsonl")
    with pytest.raises(UserError, match="cannot read .*nothing.jsonl: no such file"):
        Rows(home / "nothing.jsonl")


def test_perception_looks_once_and_at_the_region_of_an_object(home, tmp_path):
    looks = []

    def look(clip):
        looks.append([(time, picture.copy()) for time, picture in clip.frames(width=clip.width)])
        return unseen(float(clip.seconds))

    half = np.zeros((32, 64, 3), np.uint8)
    half[:, 32:] = 255
    clips.write(tmp_path / "half.mp4", lambda *_: half, seconds=1, fps=4, size=(64, 32))
    box = {"x0": 0.75, "y0": 0.25, "x1": 1.0, "y1": 0.75}
    row = {"video": "half.mp4", "task": "object", "region": box, "plan": EXISTING.to_dict()}
    path = write(tmp_path / "rows.jsonl", [row | {"answer": heard("animal/cat", 0.5).to_dict()}] * 2)
    lessons = Lessons(Rows(path), None, look, tmp_path / "seen")
    for k in range(2):
        assert lessons.features(lessons.rows[k]).seconds == 1.0
    (look,) = looks
    assert [time for time, _ in look] == [0, 0.25, 0.5, 0.75]
    assert all(picture.shape == (16, 16, 3) and picture.min() > 240 for _, picture in look)


def test_scores_of_answers_count_a_missing_one_as_empty():
    wanted = heard("animal/dog", 0.5)
    late = heard("animal/dog", 0.54)
    remove, mute = edit("x", "remove", "dog-1"), edit("x", "mute", "dog-1")
    found = scores([(late, wanted), (None, wanted), (remove, remove), (remove, mute), (None, mute)])
    assert found == pytest.approx(
        {"usable": 0.6, "precision": 1.0, "recall": 0.5, "event f1": 2 / 3, "class accuracy": 1.0}
        | {"onset error": 0.04, "operations": 1 / 3}
    )


def test_the_command_trains_asks_held_out_rows_and_goes_on(home, tmp_path, capsys):
    base = tiny_mllm.write(tmp_path / "base", "qwen3_vl")
    rows = write(
        tmp_path / "edits.jsonl", [json.loads(x) for x in (home / "rows.jsonl").read_text().splitlines()[15:]]
    )
    told = [
        "train",
        "reasoner",
        str(rows),
        "--base",
        str(base),
        "--out",
        str(tmp_path / "run"),
        "--device",
        "cpu",
    ]
    held = write(tmp_path / "held.jsonl", [json.loads(rows.read_text().splitlines()[0])])
    told += ["--heldout", str(held), "--batch", "2", "--rank", "2", "--json"]

    def command(*more):
        with pytest.raises(SystemExit) as left:
            main([*told, *more])
        return left.value.code, json.loads(capsys.readouterr().out)

    assert command("--steps", "2") == (
        0,
        {"model": str(tmp_path / "run" / "adapter"), "log": str(tmp_path / "run" / "log.jsonl")},
    )
    assert command("--epochs", "1")[0] == 0  # 5 rows, 2 a step: one more
    written = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in written] == [2, 3]
    assert all(set(row["heldout"]) >= {"loss", "usable", "operations"} for row in written)
    assert Mllm(str(tmp_path / "run" / "adapter"), device="cpu").load()[0].peft_config["default"].r == 2
    code, said = command("--seed", "1")
    assert code == 1 and "begun with another seed" in said["error"]
    told[told.index("--base") + 1] = "pocket"
    assert command()[1]["error"] == "--heldout is not for --base pocket"


def test_the_command_trains_the_pocket_reasoner_on_a_pool(tmp_path, monkeypatch, capsys):
    from reasound.reasoning.pocket import weights

    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = weights.new_config(**small)
    told = ["train", "reasoner", str(tmp_path), "--base", "pocket", "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit):
        main([*told, "--steps", "2"])
    assert "holds no filmed scenes" in " ".join(capsys.readouterr().err.split())
    monkeypatch.setattr(pocket_lessons, "lessons", lambda pool: test_reasoner_training.lessons())
    plain = training_reasoner.ReasonerTraining
    monkeypatch.setattr(training_reasoner, "ReasonerTraining", lambda **given: plain(model=config, **given))
    monkeypatch.setattr(reasoning_set, "readable", lambda q: q.text)
    with pytest.raises(SystemExit) as left:
        main([*told, "--steps", "2", "--batch", "3"])
    assert left.value.code == 0 and weights.load(tmp_path / "run" / "reasoner").config.hidden_size == 32
