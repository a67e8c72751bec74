"""Weights go in and come out the same, and whatever does not fit is named."""

import json
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from reasound.checkpoints import store


@dataclass(frozen=True)
class Size:
    width: int = 3


def build(settings):
    return nn.Linear(**{"in_features": settings.pop("width"), "out_features": 2, **settings})


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    store.save(tmp_path, "layer", layer.state_dict(), Size(), half=False)
    return tmp_path, layer


def test_weights_come_back(saved):
    folder, layer = saved
    loaded = store.load(folder, "layer", build)
    assert torch.equal(loaded.weight, layer.weight)
    assert not loaded.training
    assert not loaded.weight.requires_grad
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "layer.safetensors"]


def test_half_precision_is_stored_and_float32_comes_back(saved):
    folder, layer = saved
    store.save(folder, "layer", layer.state_dict(), Size())
    loaded = store.load(folder, "layer", build)
    assert loaded.weight.dtype == torch.float32
    assert torch.equal(loaded.weight, layer.weight.half().float())


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"weight": torch.zeros(2, 3)}, "lacks the tensor 'bias'"),
        (
            {"weight": torch.zeros(3, 2), "bias": torch.zeros(2)},
            r"'weight' .* has shape \[3, 2\]; .* \[2, 3\]",
        ),
        (
            {"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "gain": torch.zeros(1)},
            "a tensor 'gain' that the model does not know",
        ),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(tmp_path, tensors, message):
    store.save(tmp_path, "layer", tensors, Size())
    with pytest.raises(ValueError, match=message):
        store.load(tmp_path, "layer", build)


def test_damage_is_noticed(saved):
    folder, _ = saved
    path = folder / "layer.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="damaged"):
        store.load(folder, "layer", build)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "codec"}, "holds a 'codec', not a 'layer'"),
        ({"version": 2}, "version 2 of 'layer'"),
        ({"colour": "red"}, "does not describe a 'layer'"),
    ],
)
def test_another_kind_version_or_setting_is_refused(saved, change, message):
    folder, _ = saved
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        store.load(folder, "layer", build)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no config\.json"):
        store.load(tmp_path, "layer", build)
    store.save(tmp_path, "layer", {}, Size())
    (tmp_path / "layer.safetensors").unlink()
    with pytest.raises(ValueError, match="cannot read the weights"):
        store.load(tmp_path, "layer", build)
