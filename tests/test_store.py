"""Weights go in and come out the same, and whatever does not fit is named."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
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


class Product(nn.Linear):
    """A large model as `load` sees one: it can run in a lower precision."""

    def lower(self, dtype):
        self.weight.data = self.weight.data.to(dtype)


def build_product(settings):
    return Product(in_features=settings["width"], out_features=2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_large_model_is_mapped_and_runs_in_the_precision_asked_for(saved, dtype):
    folder, layer = saved
    loaded = store.load(folder, "layer", build_product, dtype=dtype)
    assert loaded.weight.dtype == dtype and loaded.bias.dtype == torch.float32
    assert torch.equal(loaded.weight, layer.weight.to(dtype)) and torch.equal(loaded.bias, layer.bias)
    assert not loaded.training and not loaded.weight.requires_grad
    maps = Path("/proc/self/maps")
    if dtype == torch.float32 and maps.exists():
        assert str(folder / "layer.safetensors") in maps.read_text()


def test_what_does_not_fit_a_large_model_is_named(tmp_path):
    store.save(tmp_path, "layer", {"weight": torch.zeros(2, 3)}, Size())
    with pytest.raises(ValueError, match="lacks the tensor 'bias'"):
        store.load(tmp_path, "layer", build_product, dtype=torch.bfloat16)


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_a_large_file_that_is_cut_off_is_one_sentence(saved, keep):
    folder, _ = saved
    path = folder / "layer.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"layer\.safetensors is damaged or cut off") as caught:
        store.load(folder, "layer", build_product, dtype=torch.bfloat16)
    assert "\n" not in str(caught.value)


def test_each_tensor_has_its_own_precision_and_the_file_is_the_package_s(tmp_path):
    tensors = {
        "few": torch.tensor(3, dtype=torch.int8),
        "odd": torch.randn(3, 5),
        "turned": torch.randn(4, 6).t(),
        "none": torch.zeros(0, 3),
        "flags": torch.tensor([True, False]),
        "exact": torch.randn(7, dtype=torch.float64),
    }
    dtypes = {name: tensor.dtype for name, tensor in tensors.items()} | {"odd": torch.bfloat16}
    store.save(tmp_path, "layer", tensors, {}, dtypes=dtypes)
    path = tmp_path / "layer.safetensors"
    assert (8 + int.from_bytes(path.read_bytes()[:8], "little")) % store.ALIGNMENT == 0
    for found in (load_file(path), store.mapped(path)):
        assert {name: tensor.dtype for name, tensor in found.items()} == dtypes
        assert all(torch.equal(found[name], tensor.to(dtypes[name])) for name, tensor in tensors.items())
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() == store.digest(path)


def test_a_failed_save_leaves_what_was_there(saved, monkeypatch):
    folder, layer = saved
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_write", full)
    with pytest.raises(ValueError, match="no space left on device"):
        store.save(folder, "layer", layer.state_dict(), Size())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_verify_checks_tensors_and_hash(saved):
    folder, layer = saved
    store.verify(folder, "layer", build)
    path = folder / "layer.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="is damaged: it is not the file that"):
        store.verify(folder, "layer", build)
    store.save(folder, "layer", {"weight": layer.weight}, Size())
    with pytest.raises(ValueError, match="lacks the tensor 'bias'"):
        store.verify(folder, "layer", build)


def test_large_matrices_in_int8_come_back_within_half_a_step_of_their_rows(tmp_path):
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "weight": torch.randn(40, 64, generator=generator) * torch.logspace(-6, 2, 40)[:, None],
        "bias": torch.randn(40, generator=generator),
    }
    store.save(tmp_path, "layer", tensors, {"in_features": 64}, half=False, rows=True)
    stored = load_file(tmp_path / "layer.safetensors")
    assert stored["weight"].dtype == torch.int8 and stored["weight.scale"].dtype == torch.float32

    def wide(settings):
        return nn.Linear(settings["in_features"], 40)

    loaded = store.load(tmp_path, "layer", wide)
    step = tensors["weight"].abs().amax(1, keepdim=True) / 127
    assert ((loaded.weight - tensors["weight"]).abs() <= 0.501 * step).all()
    assert torch.equal(loaded.bias, tensors["bias"])
    store.verify(tmp_path, "layer", wide)


def test_a_scale_that_is_missing_or_misshapen_is_named(tmp_path):
    codes, scale = torch.ones(40, 64, dtype=torch.int8), torch.ones(39)
    store.save(
        tmp_path, "layer", {"weight": codes, "weight.scale": scale, "bias": torch.ones(40)}, {}, half=False
    )
    with pytest.raises(ValueError, match="weight.scale"):
        store.load(tmp_path, "layer", lambda settings: nn.Linear(64, 40))
