"""Low-rank deltas: the same beside a matrix as in it, small, and never on weights they were not made for."""

import json
from dataclasses import replace

import pytest
import torch

from reasound.checkpoints import store
from reasound.errors import UserError
from reasound.synthesis import lora
from reasound.synthesis.conditions import INPUTS, MASKS, Conditions
from reasound.synthesis.dit import DiT, pocket
from reasound.synthesis.lora import Delta, FewSteps, adapt, merged
from tiny import randomised

CONFIG = replace(
    pocket(sync=5), latent=8, visual=4, caption=4, reasoning=4, timeline=4, width=32, heads=2, solo_layers=1
)
FEW = FewSteps(rank=4, scale=0.5, guidance=3.0, steps=4, base="0")
LENGTH = 12


def some(seed):
    draw = torch.Generator().manual_seed(seed)
    rand = lambda *shape: torch.randn(shape, generator=draw)  # noqa: E731
    words = torch.ones(2, 3, dtype=torch.bool)
    given = Conditions(
        visual=rand(2, 1, 4),
        sync=rand(2, 1, 5),
        caption=rand(2, 3, 4),
        reasoning=rand(2, 3, 4),
        missing=torch.zeros(2, len(INPUTS), dtype=torch.bool),
        caption_mask=words,
        reasoning_mask=words,
        timeline=rand(2, LENGTH, 8),
        context=rand(2, LENGTH, 8),
        mask=torch.ones(2, LENGTH, MASKS),
    )
    return rand(2, 8, LENGTH), torch.rand(2, generator=draw), given


def network():
    return randomised(DiT(CONFIG), 1)


def adapted():
    """A network with deltas that are not zero, and what is trained of it."""
    dit = network()
    found = adapt(dit, ["solo", "final"], FEW.rank, FEW.scale, torch.Generator().manual_seed(2))
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in found.values():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=draw))
    return dit, found


def test_a_new_delta_changes_nothing():
    dit, asked = network(), some(0)
    before = dit(*asked)
    adapt(dit, ["joint", "solo"], 4, 1.0, torch.Generator().manual_seed(0))
    assert torch.equal(dit(*asked), before)


def test_merged_is_what_was_trained():
    dit, found = adapted()
    plain, asked = network(), some(4)
    whole = merged(plain, Delta(found, FEW))
    wanted = dit(*asked)
    torch.testing.assert_close(whole(*asked), wanted, rtol=1e-4, atol=1e-4)
    assert (plain(*asked) - wanted).abs().max() > 0.1  # the delta says something, and the base is as it was
    name = "solo.0.qkv"
    matrix = plain.get_submodule(name).weight + 0.5 * found[f"{name}.up"] @ found[f"{name}.down"]
    torch.testing.assert_close(whole.get_submodule(name).weight, matrix)
    assert {type(m) for m in whole.modules()} == {type(m) for m in plain.modules()}


def test_a_merged_network_can_be_lowered():
    _, found = adapted()
    whole, asked = merged(network(), Delta(found, FEW)), some(5)
    with torch.no_grad():
        wanted = whole(*asked)
        whole.lower(torch.float32)
        torch.testing.assert_close(whole(*asked), wanted, rtol=1e-4, atol=1e-4)


def test_only_the_deltas_are_learned():
    dit, found = adapted()
    with torch.autocast("cpu", torch.bfloat16):
        dit(*some(6)).square().mean().backward()
    with_gradient = {name for name, p in dit.named_parameters() if p.grad is not None}
    assert with_gradient == set(found)
    assert all(p.grad.abs().max() > 0 for p in found.values())
    assert {name.split(".")[0] for name in found} == {"solo", "final"}


def test_matrices_as_small_as_their_delta_are_left_alone():
    found = adapt(network(), ["final"], 5, 1.0, torch.Generator().manual_seed(0))
    assert {"final.modulate.down", "final.modulate.up"} <= set(found)
    assert not {"final.out.down", "final.out.up"} & set(found)  # it has 8 outputs


@pytest.fixture
def saved(tmp_path):
    base = tmp_path / "dit"
    store.save(base, "dit", network().state_dict(), CONFIG)
    _, found = adapted()
    delta = Delta(found, replace(FEW, base=lora.base_hash(base)))
    delta.save(tmp_path / "few")
    return tmp_path / "few", base, delta


def test_deltas_come_back(saved):
    folder, base, delta = saved
    loaded = lora.load(folder, base)
    assert loaded.config == delta.config
    assert set(loaded.tensors) == set(delta.tensors)
    for name, tensor in delta.tensors.items():
        assert torch.equal(loaded.tensors[name], tensor.half())


def test_deltas_are_not_put_on_other_weights(saved):
    folder, base, _ = saved
    store.save(base, "dit", randomised(DiT(CONFIG), 9).state_dict(), CONFIG)
    with pytest.raises(UserError, match="made for other weights"):
        lora.load(folder, base)


def test_damage_is_one_sentence(saved):
    folder, base, _ = saved
    weights = folder / "dit-few.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match="is damaged"):
        lora.load(folder, base)
    weights.write_bytes(whole)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"colour": 1}))
    with pytest.raises(UserError, match="colour"):
        lora.load(folder, base)


def test_deltas_of_another_shape_do_not_fit():
    _, found = adapted()
    with pytest.raises(ValueError, match=r"no matrix 'solo\.0"):
        merged(DiT(replace(CONFIG, width=64)), Delta(found, FEW))
