"""Released checkpoints are read without running them, told from others, and known down to every tensor."""

import json
import os
import pickle
import re
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from golden import recipe
from reasound.checkpoints import models, official, store
from reasound.errors import UserError
from reasound.perception.synchformer import SynchformerConfig
from reasound.synthesis.dit import thinksound
from reasound.synthesis.oobleck import OobleckConfig

GOLDEN = Path(__file__).parent / "golden"


def listed(name):
    """Names and shapes of a released file."""
    rows = [line.split("\t") for line in (GOLDEN / name).read_text().splitlines() if not line.startswith("#")]
    return {name: [int(n) for n in shape.split("x")] for name, shape, _ in rows}


def keys(name, prefix=""):
    return {prefix + key: shape for key, shape in json.loads((GOLDEN / name).read_text())["keys"].items()}


FLAT, SYNC = listed("thinksound_light.keys.tsv"), listed("synchformer.keys.tsv")
TINY = keys("tiny_dit.keys.json") | keys("tiny_vae.keys.json", "pretransform.")


def meta(shapes):
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def drawn(shapes):
    return {name: torch.from_numpy(recipe.weights(name, shape)) for name, shape in shapes.items()}


# Every tensor of the released files


@pytest.mark.parametrize(
    ("file", "part", "count", "config"),
    [
        (FLAT, "dit", 415, thinksound()),
        (FLAT, "codec", 365, OobleckConfig()),
        (SYNC, "sync", 238, SynchformerConfig()),
    ],
)
def test_the_released_files_fit_the_full_size_networks_both_ways(file, part, count, config):
    theirs = official.parts(meta(file), "the file")[part]
    assert len(theirs) == count
    found = official.network(part, theirs, "the file")
    assert found.config == config
    assert found.numbers == sum(tensor.numel() for tensor in theirs.values())
    with torch.device("meta"):
        network = models.builder(found.kind)(asdict(found.config))
    store.check(store.shapes(network.state_dict()), store.shapes(found.convert()), "the file")


@pytest.mark.parametrize("part", ["dit", "codec"])
def test_sizes_are_read_from_shapes(part):
    theirs = official.parts(meta(TINY), "tiny")[part]
    config = official.network(part, theirs, "tiny").config
    if part == "dit":
        assert (config.width, config.heads, config.joint_layers, config.solo_layers) == (64, 4, 2, 2)
        assert (config.latent, config.visual, config.sync, config.caption, config.reasoning) == (
            16,
            48,
            40,
            1024,
            2048,
        )
    else:
        assert config == OobleckConfig(channels=8, multiples=(1, 2, 4), strides=(2, 4, 8), latent=4)


def test_a_tiny_synchformer_needs_to_be_told_its_heads():
    tiny = meta(keys("tiny_sync.keys.json"))
    with pytest.raises(UserError, match="48 wide, which has no heads of 64"):
        official.sync_config(tiny, "tiny")
    config = official.sync_config(tiny, "tiny", heads=4)
    assert config == SynchformerConfig(width=48, layers=2, heads=4)
    assert official.sync_shapes(config) == keys("tiny_sync.keys.json")


@pytest.mark.parametrize(("file", "part"), [(FLAT, "dit"), (FLAT, "codec"), (SYNC, "sync")])
def test_each_tensor_is_needed_and_named(file, part):
    theirs = official.parts(meta(file), "the file")[part]
    for name in list(theirs)[:: len(theirs) // 40]:
        rest = {key: tensor for key, tensor in theirs.items() if key != name}
        with pytest.raises(UserError, match=re.escape(repr(name))):
            official.network(part, rest, "the file")
        shape = [*theirs[name].shape]
        with pytest.raises(UserError, match=r"shape|wide|strides|tensor"):
            official.network(part, rest | meta({name: [*shape[:-1], shape[-1] + 1]}), "the file")
    extra = next(iter(theirs)) + ".novelty"
    with pytest.raises(UserError, match=f"has a tensor '{re.escape(extra)}' that the model does not know"):
        official.network(part, theirs | meta({extra: [1]}), "the file")


def test_tables_that_old_files_carry_are_computed_instead():
    theirs = official.parts(meta(TINY), "tiny")["dit"]
    with_tables = theirs | meta(
        {"model.model.latent_rot": [1, 32, 8, 2, 2], "model.model.t_embed.freqs": [32]}
    )
    assert (
        official.network("dit", with_tables, "tiny").convert().keys()
        == official.network("dit", theirs, "tiny").convert().keys()
    )


# Which file it is


def test_each_released_file_gives_its_parts_under_the_names_of_the_flat_file():
    trained = {f"diffusion.{name}": shape for name, shape in TINY.items()}
    trained |= {f"diffusion_ema.ema_model.model.{name}": shape for name, shape in TINY.items()}
    trained |= {"diffusion_ema.initted": [1], "losses.weight": [2]}
    alone = {"autoencoder." + name.removeprefix("pretransform.model."): shape for name, shape in TINY.items()}
    alone = {name: shape for name, shape in alone.items() if not name.startswith("autoencoder.model.")}
    alone |= {"autoencoder_ema.ema_model.x": [1], "discriminator.x": [1]}
    flat = official.parts(meta(TINY), "flat")
    assert store.shapes(flat["dit"]) == {n: s for n, s in TINY.items() if n.startswith("model.model.")}
    for file, kind in ((TINY, "flat"), (trained, "training"), (alone, "vae")):
        assert official.recognise(meta(file), "a file") == kind
        found = official.parts(meta(file), "a file")
        for part, tensors in found.items():
            assert store.shapes(tensors) == store.shapes(flat[part])
        assert list(found) == (["codec"] if kind == "vae" else ["dit", "codec"])
    whole = SYNC | {"afeat_extractor.ast.x": [1], "transformer.pos_emb": [1]}
    assert store.shapes(official.parts(meta(whole), "sync")["sync"]) == SYNC


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["audio_input_proj.0.weight", "clip_input_proj.0.weight", "joint_blocks.0.x"],
            "MMAudio, not of Think",
        ),
        (
            ["model.model.transformer.layers.0.x", "conditioner.conditioners.prompt.x"],
            "of stable-audio-tools",
        ),
        (["model.model.transformer.layers.0.x", "model.model.empty_clip_feat"], "of PrismAudio"),
        (["afeat_extractor.ast.x"], "audio half of Synchformer"),
        (["text_model.x", "vision_model.x"], "of CLIP"),
        (["shared.weight", "encoder.block.0.layer.0.x"], "of T5"),
        (["joint.0.latent.qkv.weight"], "our own format"),
        (["fc.weight"], r"not a checkpoint of ThinkSound: it has a tensor 'fc\.weight'"),
    ],
)
def test_a_checkpoint_of_another_model_is_named(names, message):
    with pytest.raises(UserError, match=message):
        official.parts(meta({name: [1] for name in names}), "file.ckpt")


def test_a_flat_file_with_something_else_in_it_is_refused():
    with pytest.raises(UserError, match=r"'conditioner\.x' that no released ThinkSound model has"):
        official.parts(meta(TINY | {"conditioner.x": [1]}), "flat.ckpt")


# What a file is made of


class Code:
    def __reduce__(self):
        return os.mkdir, ("was-run",)


TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.int64)}


def zipped(path):
    torch.save(TENSORS, path)


def legacy(path):
    torch.save(TENSORS, path, _use_new_zipfile_serialization=False)


def training(path):
    torch.save({"state_dict": TENSORS, "epoch": 3, "callbacks": {"best": None}}, path)


def safe(path):
    save_file(TENSORS, path)


@pytest.mark.parametrize("make", [zipped, legacy, training, safe])
def test_every_container_gives_the_same_tensors(tmp_path, make):
    make(tmp_path / "file.ckpt")
    found = official.read(tmp_path / "file.ckpt")
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())


def cut(make, keep):
    def shorter(path):
        make(path)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])

    return shorter


def text(content):
    return lambda path: path.write_bytes(content)


def archive(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model/readme.txt", "hello")


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5733000000\n"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "cannot read .*no such file"),
        (lambda path: path.mkdir(), "cannot read .*directory"),
        (text(b""), "is empty"),
        (text(b"<!DOCTYPE html><html><body>Log in</body></html>"), "is a web page"),
        (text(POINTER), "is a git-lfs pointer"),
        (text(b"\x00\x01\x02 garbage" * 99), "is not a checkpoint: it is neither"),
        (text(b"PK\x03\x04" + b"\0" * 999), "is cut off"),
        (archive, "is a zip archive"),
        (cut(zipped, 0.999), "is cut off"),
        (cut(zipped, 0.3), "is cut off"),
        (cut(legacy, 0.9), "is damaged or cut off"),
        (cut(legacy, 0.3), "is damaged or cut off"),
        (cut(safe, 0.9), "is damaged or cut off"),
        (
            lambda path: torch.save({"x": torch.ones(1), "y": Code()}, path),
            r"more than tensors \(posix\.mkdir\)",
        ),
        (lambda path: path.write_bytes(pickle.dumps({"y": Code()})), "holds more than tensors"),
        (
            lambda path: torch.save(torch.nn.Linear(2, 2), path),
            r"tensors \(torch\.nn\.modules\.linear\.Linear\)",
        ),
        (lambda path: torch.save({"epoch": 3}, path), "holds no tensors by name"),
        (lambda path: torch.save([torch.ones(2)], path), "holds no tensors by name"),
    ],
)
def test_what_is_no_checkpoint_is_one_sentence_and_is_never_run(tmp_path, monkeypatch, make, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "file.ckpt"
    make(path)
    with pytest.raises(UserError, match=message) as caught:
        official.read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "was-run").exists()
