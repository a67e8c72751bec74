"""Models in Hugging Face format: four families, tiny and random, asked through the same code as the real ones."""

import json
import shutil

import numpy as np
import pytest

import clips
import tiny_mllm
from reasound.errors import UserError
from reasound.media.video import Clip
from reasound.plan import Event, Plan, Region
from reasound.reasoning.frames import Frame
from reasound.reasoning.mllm import Mllm
from reasound.reasoning.prompts import Prompt
from reasound.reasoning.rules import RulesReasoner
from test_rules import features, seen

pytest.importorskip("num2words", reason="SmolVLM's processor needs it")
PLAN = '{"reasoning":[],"events":[{"id":"dog-1","source":"a dog","sound":"a dog barks","onsets":[0.5]}]}'
WHITE = Frame(0.0, np.full((112, 112, 3), 255, np.uint8))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One folder a family."""
    home = tmp_path_factory.mktemp("families")
    return {family: tiny_mllm.write(home / family, family) for family in tiny_mllm.FAMILIES}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return Clip.open(
        clips.write(tmp_path_factory.mktemp("clip") / "c.mp4", clips.counter, seconds=1, size=(64, 32))
    )


@pytest.mark.parametrize("family", tiny_mllm.FAMILIES)
def test_a_family_sees_hears_the_question_and_its_answer_becomes_a_plan(family, folders, clip):
    reasoner = Mllm(str(folders[family]))
    each = reasoner.picture_tokens()
    two = reasoner.inputs(Prompt("", (WHITE, "a", WHITE), {}))
    white = {"smolvlm": 1.0}.get(family, (1 - 0.40821073) / 0.27577711)  # CLIP's blue is its brightest
    assert two["pixel_values"].max().item() == pytest.approx(white, abs=1e-4)
    model, _ = reasoner.load()
    ids = two["input_ids"][0].tolist()
    assert ids.count(model.config.image_token_id) == pytest.approx(2 * each, abs=2 * 5)  # beside its brackets
    tiny_mllm.spell(reasoner, PLAN)
    told: list[str] = []
    made = reasoner.plan(features(seconds=1.0), "a dog", clip=clip, progress=told.append)
    assert made.events[0].onsets == (0.5,) and made.origin.raw == PLAN
    assert made.reasoner == f"mllm:{folders[family]}"
    assert (
        len(told) > 5
        and told[-1] == PLAN
        and all(b.startswith(a) for a, b in zip(told, told[1:], strict=False))
    )


@pytest.mark.parametrize("family", tiny_mllm.FAMILIES)
def test_a_picture_changes_what_the_model_says(family, folders):
    import torch

    reasoner = Mllm(str(folders[family]))
    model, _ = reasoner.load()
    black = Frame(0.0, np.zeros((112, 112, 3), np.uint8))
    with torch.inference_mode():
        said = [model(**reasoner.inputs(Prompt("", (f, "x"), {}))).logits[0, -1] for f in (WHITE, black)]
    assert not torch.equal(*said)


def test_nonsense_ends_in_a_sentence_or_in_rules(folders, clip):
    reasoner = Mllm(str(folders["qwen3_vl"]))
    reasoner.options["max_new_tokens"] = 8
    with pytest.raises(UserError, match="no usable answer, even when asked again"):
        reasoner.plan(features(seconds=1.0), clip=clip)
    reasoner.fallback = RulesReasoner()
    made = reasoner.plan(features(seen("hammer"), seconds=1.0, onsets=[0.5]), clip=clip)
    assert made.reasoner == "rules" and "rules answered instead" in reasoner.notes[0]


def test_a_bad_answer_is_mended_in_the_same_conversation(folders):
    reasoner = Mllm(str(folders["qwen2_5_vl"]))
    tiny_mllm.spell(reasoner, "An essay about dogs.", PLAN)
    assert reasoner.plan(features(seconds=1.0)).events[0].id == "dog-1"


def test_an_object_and_an_edit_in_chinese(folders, clip):
    reasoner = Mllm(str(folders["smolvlm"]))
    edit = {"operations": [{"verb": "remove", "targets": ["dog-1"], "reason": "weg"}]}
    tiny_mllm.spell(reasoner, PLAN, json.dumps(edit))
    existing = Plan(seconds=1, events=(Event(id="dog-1", source="a dog", sound="x", end=1),))
    region = Region(x0=0, y0=0, x1=0.5, y1=1)
    made = reasoner.plan_object(features(seconds=1.0), region, existing, clip=clip)
    assert made.events[0].id == "dog-2" and made.events[0].region == region
    done = reasoner.edit("把狗叫声去掉", existing, clip=clip)
    assert done.operations[0].verb == "remove" and done.instruction == "把狗叫声去掉"
    assert done.reasoner == reasoner.name and done.origin.model == reasoner.where


def test_the_question_reaches_the_model_as_it_was_written(folders):
    reasoner = Mllm(str(folders["llava_onevision"]))
    inputs = reasoner.inputs(Prompt("Sei kurz.", ("Mach den Hund leiser — ¿sí?",), {}), ("把", "nein"))
    text = reasoner.load()[1].tokenizer.decode(inputs["input_ids"][0])
    said = [turn.split("<|im_end|>")[0] for turn in text.split("<|im_start|>")[1:]]
    assert said == [
        "system\nSei kurz.",
        "user\nMach den Hund leiser — ¿sí?",
        "assistant\n把",
        "user\nnein",
        "assistant\n",
    ]


def test_a_question_too_long_for_the_model_is_said_to_be(folders):
    reasoner = Mllm(str(folders["qwen3_vl"]))
    with pytest.raises(UserError, match="reads only 16384"):
        reasoner.ask(Prompt("", ("ü" * 20_000,), {}), (), None)


def test_a_folder_without_weights_or_without_a_model(folders, tmp_path):
    bare = shutil.copytree(
        folders["qwen3_vl"], tmp_path / "bare", ignore=shutil.ignore_patterns("*.safetensors")
    )
    with pytest.raises(UserError, match="has no weights"):
        Mllm(str(bare)).plan(features())
    with pytest.raises(UserError, match="no config.json"):
        Mllm(str(tmp_path)).plan(features())
    (bare / "model.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(UserError, match="cannot be opened as a model that reads pictures"):
        Mllm(str(bare)).plan(features())
    (bare / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UserError, match="no processor of pictures and text"):
        Mllm(str(bare)).plan(features())


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nobody/has-this-model", "not on this machine, and nothing is downloaded unasked"),
        ("/no/such/folder", "there is no folder"),
        ("a/b/c", "no model is named so"),
    ],
)
def test_nothing_is_downloaded_unasked(name, why, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was touched"))
    with pytest.raises(UserError, match=why):
        Mllm(name).plan(features())
