"""MetaCLIP and T5 read as transformers' own classes do, whatever form of the weights they were converted from."""

import json
import os
import re
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from reasound import accelerate
from reasound.checkpoints import encoders
from reasound.checkpoints.encoders import convert_metaclip, convert_t5
from reasound.errors import UserError
from reasound.perception.metaclip import BATCH, MetaCLIP
from reasound.perception.pictures import visual_pixels
from reasound.perception.text import T5

transformers = pytest.importorskip("transformers")
sentencepiece = pytest.importorskip("sentencepiece")

TEXTS = [
    "A dog barks; rain begins to fall.",
    "",
    "Café  noises & 12 naïve birds,\n\n don't you think? 漢字",
    "thunder rolls far away while people talk " * 20,
]


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def randomise(model, seed):
    """Weights large enough for every part to matter."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_(0, 0.3, generator=draw)
            if "norm" in name and name.endswith("weight"):
                weight.add_(1)
    return model.eval()


def write_clip(folder, act="quick_gelu"):
    """A hub folder with vocab.json and merges.txt, and the model in it."""
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    merges = [
        ("t", "h"),
        ("th", "e</w>"),
        ("d", "o"),
        ("do", "g</w>"),
        ("r", "a"),
        ("ra", "i"),
        ("rai", "n</w>"),
    ]
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, merges)]) + "\n")
    size = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "hidden_act": act}
    start, end = len(words) - 2, len(words) - 1
    text = {"hidden_size": 24, "vocab_size": len(words), "bos_token_id": start, "eos_token_id": end} | size
    config = transformers.CLIPConfig(
        text_config=text, vision_config={"hidden_size": 32, "patch_size": 56} | size, projection_dim=16
    )
    model = randomise(transformers.CLIPModel(config), 1)
    model.save_pretrained(folder)
    return model


def write_t5(folder):
    """A hub folder as google/t5-v1_1-xl is: spiece.model, and one .bin with the decoder in it."""
    folder.mkdir()
    lines = [text.strip() for text in TEXTS for _ in range(8)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_prefix=str(folder / "spiece"),
        vocab_size=90,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    config = transformers.T5Config(
        vocab_size=256,
        d_model=24,
        d_kv=8,
        d_ff=40,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        decoder_start_token_id=0,
    )
    model = randomise(transformers.T5ForConditionalGeneration(config), 2)
    config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return model


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """(hub folder, converted folder, transformers' model)"""
    folder = tmp_path_factory.mktemp("clip")
    model = write_clip(folder / "hub")
    convert_metaclip(folder / "hub", folder / "ours", torch.float32)
    return folder / "hub", folder / "ours", model


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    folder = tmp_path_factory.mktemp("t5")
    model = write_t5(folder / "hub")
    convert_t5(folder / "hub", folder / "ours", torch.float32)
    return folder / "hub", folder / "ours", model


@pytest.fixture(scope="module")
def pictures():
    draw = torch.Generator().manual_seed(3)
    return torch.randint(256, (BATCH + 3, 3, 224, 224), dtype=torch.uint8, generator=draw)


def tokens(folder):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return tokenizer(TEXTS, padding="max_length", max_length=77, truncation=True, return_tensors="pt")


def close(found, wanted, atol=1e-5):
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, atol=atol, rtol=1e-5)


@torch.inference_mode()
def test_it_sees_as_the_original_sees(clip, pictures):
    hub, ours, model = clip
    wanted = model.get_image_features(visual_pixels(pictures))
    wanted = getattr(wanted, "pooler_output", wanted)  # transformers 4 gives the features themselves
    assert wanted.std() > 0.3
    close(MetaCLIP.load(ours).look(pictures), wanted)
    close(MetaCLIP.load(ours).look(visual_pixels(pictures)), wanted)


def test_pictures_do_not_depend_on_their_neighbours(clip, pictures):
    network = MetaCLIP.load(clip[1])
    together = network.look(pictures)
    close(torch.cat([network.look(part) for part in pictures.split(2)]), together)
    close(network.look(pictures[[0, 0, 1, 0, 2, 2, 2]]), together[[0, 0, 1, 0, 2, 2, 2]])


def test_a_picture_that_stays_is_looked_at_once(clip, pictures, monkeypatch):
    network = MetaCLIP.load(clip[1], tower="vision")
    seen = []
    network.pictures.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    network.look(pictures[[0, 0, 1, 1, 1, 0]])
    network.look(iter([pictures[0]] * 40))
    network.look(pictures[i] for i in range(BATCH + 3))
    assert seen == [3, 1, BATCH, 3]


def test_weights_that_are_laid_out_anew_change_nothing(clip, pictures, monkeypatch):
    fast = MetaCLIP.load(clip[1]).look(pictures)
    monkeypatch.setattr(accelerate, "can_pack", lambda dtype: False)
    plain = MetaCLIP.load(clip[1])
    close(plain.look(pictures), fast)
    assert not any(part.packed for part in plain.pictures.modules() if isinstance(part, accelerate.Linear))


@torch.inference_mode()
def test_it_reads_as_the_original_reads(clip):
    hub, ours, model = clip
    read = tokens(hub)
    empty, short, long = read["attention_mask"].sum(1).tolist()[1:]
    assert empty == 2 < short < long == 77
    network = MetaCLIP.load(ours)
    ids, mask = encoders.token_ids(network.tokenizer, TEXTS)
    assert torch.equal(ids, read["input_ids"]) and torch.equal(mask.long(), read["attention_mask"])
    assert ids[3, -1] == ids[1, 1] == ids[1, -1]  # the end of a long text stays, and it is what fills up
    wanted = model.text_model(**read).last_hidden_state
    close(network.read(TEXTS), wanted)
    close(network.read(TEXTS[:1]), wanted[:1])
    assert network.read([]).shape == (0, 77, 24)


@torch.inference_mode()
def test_t5_reads_as_the_original_reads(t5):
    hub, ours, model = t5
    read = tokens(ours)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(hub / "spiece.model"))
    network = T5.load(ours)
    ids, mask = encoders.token_ids(network.tokenizer, TEXTS)
    for row, count, text in zip(ids.tolist(), mask.sum(1).tolist(), TEXTS, strict=True):
        assert row[:count] == [*pieces.encode(text)[:76], 1] and not any(row[count:])
    assert torch.equal(ids, read["input_ids"]) and torch.equal(mask.long(), read["attention_mask"])
    wanted = model.encoder(**read).last_hidden_state
    assert wanted.std() > 0.3
    close(network.read(TEXTS), wanted)
    close(network.read(TEXTS[:1]), wanted[:1])
    assert network.read([]).shape == (0, 77, 24)


def test_one_tower_can_be_had_alone(clip, pictures):
    both = MetaCLIP.load(clip[1])
    eye, ear = (MetaCLIP.load(clip[1], tower=tower) for tower in ("vision", "text"))
    assert eye.texts is None and ear.pictures is None
    assert torch.equal(eye.look(pictures), both.look(pictures)) and torch.equal(
        ear.read(TEXTS), both.read(TEXTS)
    )
    with pytest.raises(ValueError, match="without its text tower"):
        eye.read(TEXTS)
    with pytest.raises(ValueError, match="without its vision tower"):
        ear.look(pictures)


def test_what_is_no_list_of_texts_or_no_picture_is_refused(clip, t5):
    network = MetaCLIP.load(clip[1])
    for reader in (network, T5.load(t5[1])):
        with pytest.raises(ValueError, match="brackets"):
            reader.read("a dog")
    with pytest.raises(ValueError, match=r"\[3, 224, 224\]; got \[3, 64, 64\]"):
        network.look(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ValueError, match="no picture"):
        network.look([])


def test_the_activation_is_what_the_configuration_says(tmp_path, pictures):
    model = write_clip(tmp_path / "hub", act="gelu")
    convert_metaclip(tmp_path / "hub", tmp_path / "ours", torch.float32)
    with torch.inference_mode():
        wanted = model.get_image_features(visual_pixels(pictures[:1]))
    close(MetaCLIP.load(tmp_path / "ours").look(pictures[:1]), getattr(wanted, "pooler_output", wanted))


def test_a_converted_folder_is_one_of_transformers_too(clip, t5):
    for (_, ours, model), kind in ((clip, transformers.CLIPModel), (t5, transformers.T5EncoderModel)):
        again = kind.from_pretrained(ours).state_dict()
        assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in again.items())
        assert sorted(os.listdir(ours)) == ["config.json", "model.safetensors", "tokenizer.json"]


def test_bfloat16_is_stored_mapped_and_near(clip, t5, pictures, tmp_path):
    convert_metaclip(clip[0], tmp_path / "clip", torch.bfloat16)
    convert_t5(t5[0], tmp_path / "t5", torch.bfloat16)
    for folder in ("clip", "t5"):
        assert json.loads((tmp_path / folder / "config.json").read_text())["dtype"] == "bfloat16"
        with safe_open(tmp_path / folder / "model.safetensors", "pt") as file:
            kinds = {
                len(file.get_slice(n).get_shape()) > 1: file.get_slice(n).get_dtype() for n in file.keys()
            }
            weights = file.get_tensor("shared.weight") if folder == "t5" else None
    assert kinds == {True: "BF16", False: "F32"}
    exact, rough = MetaCLIP.load(clip[1]), MetaCLIP.load(tmp_path / "clip", torch.bfloat16)
    words = T5.load(tmp_path / "t5", torch.bfloat16)
    assert torch.equal(words.network.words.weight, weights)
    assert words.network.layers[0].query.weight.dtype == torch.bfloat16
    assert words.network.near.dtype == words.network.last_norm.weight.dtype == torch.float32
    for found, wanted in (
        (rough.look(pictures), exact.look(pictures)),
        (rough.read(TEXTS), exact.read(TEXTS)),
        (words.read(TEXTS), T5.load(t5[1]).read(TEXTS)),
    ):
        assert found.dtype == torch.float32
        assert 1e-5 < (found - wanted).norm() / wanted.norm() < 0.03


def split(folder, tensors, suffix, save):
    """Store tensors in two parts with an index."""
    names = sorted(tensors)
    stem, end = suffix.rsplit(".", 1)
    parts = {f"{stem}-0000{i + 1}-of-00002.{end}": names[i::2] for i in range(2)}
    for part, held in parts.items():
        save({name: tensors[name] for name in held}, folder / part)
    weight_map = {name: part for part, held in parts.items() for name in held}
    (folder / f"{suffix}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def without_weights(hub, folder):
    shutil.copytree(
        hub, folder, ignore=lambda _, names: [n for n in names if n.startswith(("model.", "pytorch_"))]
    )
    return folder


@pytest.mark.parametrize("form", ["safetensors", "bin", "old bin", "parts of safetensors", "parts of bin"])
@pytest.mark.parametrize("which", ["clip", "t5"])
def test_every_form_of_the_weights_gives_the_same(which, form, request, tmp_path):
    hub, ours, model = request.getfixturevalue(which)
    folder = without_weights(hub, tmp_path / "hub")
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    if which == "clip":
        tensors["text_model.embeddings.position_ids"] = torch.arange(77)[None]  # as older files have
    else:
        del tensors["shared.weight"]  # the table under its second name alone
    if form == "safetensors":
        save_file(tensors, folder / "model.safetensors")
    elif form == "parts of safetensors":
        split(folder, tensors, "model.safetensors", save_file)
    elif form == "parts of bin":
        split(folder, tensors, "pytorch_model.bin", torch.save)
    else:
        torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=form == "bin")
    (convert_t5 if which == "t5" else convert_metaclip)(folder, tmp_path / "ours", torch.float32)
    for file in ("model.safetensors", "config.json", "tokenizer.json"):
        assert (tmp_path / "ours" / file).read_bytes() == (ours / file).read_bytes(), file


class Code:
    def __reduce__(self):
        return os.system, ("false",)


def change(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_tensors(folder, edit):
    path = folder / "pytorch_model.bin"
    tensors = torch.load(path)
    edit(tensors)
    torch.save(tensors, path)


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


BAD = {
    "no configuration": (
        lambda f: (f / "config.json").unlink(),
        r"not a model folder: it has no config\.json",
    ),
    "no json": (lambda f: (f / "config.json").write_text("{"), r"cannot read .*config\.json"),
    "another model": (lambda f: change(f, model_type="bert"), "holds a 'bert' model, not a 't5'"),
    "no type": (lambda f: (f / "config.json").write_text("[]"), "holds no named type of model, not a 't5'"),
    "an older T5": (
        lambda f: change(f, feed_forward_proj="relu"),
        r"is not a T5 of version 1\.1; get google/t5",
    ),
    "a wrong setting": (lambda f: change(f, d_model="wide"), r"config\.json does not describe a 't5'"),
    "another size": (
        lambda f: change(f, d_model=32),
        r"'shared.weight' .* shape \[256, 24\]; .* wants \[256, 32\]",
    ),
    "other layers": (
        lambda f: change(f, num_layers=1),
        r"has a tensor 'encoder\.block\.1\.\S+' that the model does",
    ),
    "no weights": (
        lambda f: (f / "pytorch_model.bin").unlink(),
        "has no weights: neither model.safetensors nor",
    ),
    "no tokenizer": (
        lambda f: (f / "spiece.model").unlink(),
        r"has no tokenizer: neither tokenizer\.json nor spiece",
    ),
    "a bad tokenizer": (lambda f: (f / "spiece.model").write_text("?"), "cannot read the tokenizer of"),
    "fewer words": (lambda f: change(f, vocab_size=60), r"tokenizer of \S+ has \d+ words, its model 60"),
    "code": (
        lambda f: torch.save({"shared.weight": Code()}, f / "pytorch_model.bin"),
        "pytorch_model.bin holds more than tensors",
    ),
    "a cut file": (
        lambda f: cut(f / "pytorch_model.bin", 5000),
        "pytorch_model.bin is cut off",
    ),
    "an empty file": (
        lambda f: cut(f / "pytorch_model.bin", 0),
        "pytorch_model.bin is empty",
    ),
    "a pointer": (
        lambda f: (f / "pytorch_model.bin").write_text("version https://git-lfs.github.com/spec/v1\n"),
        "pytorch_model.bin is a git-lfs pointer",
    ),
    "no tensors": (lambda f: torch.save({"epoch": 3}, f / "pytorch_model.bin"), "holds no tensors by name"),
    "a cut safetensors": (
        lambda f: (f / "model.safetensors").write_bytes(b"12"),
        "is not a checkpoint",
    ),
    "a broken index": (
        lambda f: (f / "model.safetensors.index.json").write_text("[]"),
        "index.json: it is no index of weights",
    ),
    "a missing part": (
        lambda f: (f / "model.safetensors.index.json").write_text(
            '{"weight_map": {"a": "../b.safetensors"}}'
        ),
        r"cannot read .*hub/b\.safetensors: no such file",
    ),
    "a missing tensor": (
        lambda f: change_tensors(f, lambda t: t.pop("encoder.final_layer_norm.weight")),
        "lacks the tensor 'encoder.final_layer_norm.weight'",
    ),
    "an extra tensor": (
        lambda f: change_tensors(f, lambda t: t.update(extra=torch.zeros(1))),
        "has a tensor 'extra' that the model does not know",
    ),
    "two tables": (
        lambda f: change_tensors(
            f, lambda t: t.update({"encoder.embed_tokens.weight": torch.zeros(256, 24)})
        ),
        "has two tables of words",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_converted_is_one_sentence_and_leaves_nothing(case, t5, tmp_path):
    spoil, message = BAD[case]
    hub = tmp_path / "hub"
    shutil.copytree(t5[0], hub)
    spoil(hub)
    with pytest.raises(UserError, match=message) as caught:
        convert_t5(hub, tmp_path / "ours", torch.float32)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["hub"]


def test_another_model_than_thinksound_uses_is_refused(clip, t5, tmp_path):
    message = re.escape("another model than ThinkSound uses: its vision_config.hidden_size is 32, not 1280")
    with pytest.raises(UserError, match=message):
        convert_metaclip(
            clip[0],
            tmp_path / "ours",
            torch.float32,
            {"projection_dim": 16, "vision_config.hidden_size": 1280},
        )
    with pytest.raises(UserError, match="its d_model is 24, not 2048"):
        convert_t5(t5[0], tmp_path / "ours", torch.float32, encoders.T5_SIZES)
    assert not os.listdir(tmp_path)


def test_an_unknown_activation_is_refused(clip, tmp_path):
    shutil.copytree(clip[0], tmp_path / "hub")
    config = json.loads((tmp_path / "hub" / "config.json").read_text())
    change(tmp_path / "hub", vision_config=config["vision_config"] | {"hidden_act": "relu"})
    with pytest.raises(UserError, match="activation 'relu', which this program does not know"):
        convert_metaclip(tmp_path / "hub", tmp_path / "ours", torch.float32)


def test_what_is_there_already_is_left_alone(clip, tmp_path):
    (tmp_path / "ours").mkdir()
    with pytest.raises(UserError, match="is already there"):
        convert_metaclip(clip[0], tmp_path / "ours", torch.float32)
    with pytest.raises(UserError, match=r"cannot write .*file/ours: not a directory"):
        (tmp_path / "file").touch()
        convert_metaclip(clip[0], tmp_path / "file" / "ours", torch.float32)


def test_a_missing_package_is_named(clip, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(UserError, match=r"pip install 'reasound\[thinksound\]'"):
        convert_metaclip(clip[0], tmp_path / "ours", torch.float32)


SPOILT = {
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "cannot read the weights"),
    "a cut file": (lambda f: cut(f / "model.safetensors", 9000), "is damaged or cut off"),
    "other layers": (lambda f: change(f, num_layers=3), r"lacks the tensor 'encoder\.block\.2\.\S+'"),
    "fewer layers": (
        lambda f: change(f, num_layers=1),
        r"has a tensor 'encoder\.block\.1\.\S+' that the model",
    ),
    "another width": (
        lambda f: change(f, d_ff=8),
        r"wi_0\S+ of \S+ has shape \[40, 24\]; the model wants \[8, 24\]",
    ),
    "no setting": (
        lambda f: (f / "config.json").write_text('{"model_type": "t5"}'),
        "config.json lacks 'd_model'",
    ),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "cannot read .*tokenizer.json: no such file"),
    "a bad tokenizer": (lambda f: (f / "tokenizer.json").write_text("{"), "tokenizer.json is damaged"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_what_cannot_be_loaded_is_one_sentence(case, t5, tmp_path):
    spoil, message = SPOILT[case]
    shutil.copytree(t5[1], tmp_path / "ours")
    spoil(tmp_path / "ours")
    with pytest.raises(UserError, match=message):
        T5.load(tmp_path / "ours")


def test_running_needs_no_transformers(clip, t5, pictures, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    monkeypatch.setitem(__import__("sys").modules, "sentencepiece", None)
    assert MetaCLIP.load(clip[1]).look(pictures[:1]).shape == (1, 16)
    assert T5.load(t5[1]).read(TEXTS).shape == (4, 77, 24)
    with pytest.raises(UserError, match="holds a 't5' model, not a 'clip'"):
        MetaCLIP.load(t5[1])
    assert load_file(t5[1] / "model.safetensors").keys() >= {"shared.weight"}
