"""A variant of a network as low-rank deltas (LoRA, arXiv 2106.09685) of its matrices: a tenth of its size.

While they are learned, each delta is a path of its own beside its matrix, which needs no derivative then. When they are
loaded, they are added to the matrices once, and the network is as fast as it was.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reasound.accelerate import Linear, Packed, Then
from reasound.checkpoints import store
from reasound.errors import UserError
from reasound.synthesis.blocks import Conv
from reasound.synthesis.dit import DiT

KIND = "dit-few"


@dataclass(frozen=True, kw_only=True)
class FewSteps:
    """What config.json says of the deltas that make a DiT do with few steps and without guidance."""

    rank: int
    scale: float
    """Of what is added to a matrix: scale * up @ down."""
    guidance: float
    """What is folded in: sampling adds none."""
    steps: int
    """With how many steps it was trained to be sampled."""
    base: str
    """SHA-256 of the file of weights to which the deltas belong."""


@dataclass(frozen=True)
class Delta:
    tensors: Mapping[str, Tensor]
    """MATRIX.down [rank, inputs] and MATRIX.up [outputs, rank], MATRIX the name of a layer."""
    config: FewSteps

    def save(self, folder: Path) -> None:
        store.save(folder, KIND, self.tensors, self.config, rows=True)


class _Beside(Packed):
    """A layer with a delta beside its weight, which stays as it is."""

    down: nn.Parameter
    up: nn.Parameter
    scale: float

    def product(self, x: Tensor, then: Then = "none") -> Tensor:
        low = F.linear(F.linear(x, self.down), self.up)
        out = F.linear(x, self.weight, self.bias) + self.scale * low
        return out if then == "none" else F.silu(out) if then == "swish" else F.gelu(out)

    def gated_product(self, x: Tensor) -> Tensor:
        gate, value = self.product(x).chunk(2, dim=-1)
        return F.silu(gate) * value


class _LinearBeside(_Beside, Linear):
    pass


class _ConvBeside(_Beside, Conv):
    pass


def adapt(
    network: nn.Module, parts: Collection[str], rank: int, scale: float, generator: torch.Generator
) -> dict[str, nn.Parameter]:
    """Put deltas that are zero yet beside the matrices of these parts of the network, and freeze all else, in place.

    Returns what there is to train, by the names of `Delta.tensors`. A matrix with a side below twice the rank is left
    as it is: its delta would hardly be smaller. The network must not be lowered.
    """
    network.requires_grad_(False)
    found: dict[str, nn.Parameter] = {}
    for name, layer in network.named_modules():
        if name.split(".")[0] not in parts or not isinstance(layer, Packed):
            continue
        outputs, inputs = layer.weight.shape
        if min(outputs, inputs) < 2 * rank:
            continue
        # The layer keeps its tensors and its place, and gets another way to multiply.
        layer.__class__ = {Linear: _LinearBeside, Conv: _ConvBeside}[type(layer)]
        beside = cast(_Beside, layer)
        down = torch.randn(rank, inputs, generator=generator) * inputs**-0.5
        beside.down = nn.Parameter(down.to(layer.weight))
        beside.up = nn.Parameter(layer.weight.new_zeros(outputs, rank))
        beside.scale = scale
        found |= {f"{name}.down": beside.down, f"{name}.up": beside.up}
    return found


def merged(dit: DiT, delta: Delta) -> DiT:
    """A copy of the network with the deltas added to its matrices, ready to use. Merge first, lower then.

    ValueError where they do not fit: they are those of a network of another shape.
    """
    state = {name: tensor.clone() for name, tensor in dit.state_dict().items()}
    for name in (key.removesuffix(".up") for key in delta.tensors if key.endswith(".up")):
        up, down = (delta.tensors[f"{name}.{part}"].float() for part in ("up", "down"))
        weight = state.get(f"{name}.weight")
        if weight is None or weight.shape != (len(up), down.shape[1]):
            raise ValueError(f"the network has no matrix {name!r} of {len(up)} by {down.shape[1]}")
        weight += (delta.config.scale * up @ down).to(weight)
    with torch.device("meta"):
        copy = DiT(dit.config)
    copy.load_state_dict(state, assign=True)
    return copy.eval().requires_grad_(False)


def load(folder: Path, base: Path | None) -> Delta:
    """Deltas as `Delta.save` wrote them, for the DiT in the folder `base`; None: only to start another training with.
    UserError when they are missing or damaged, or belong to other weights than those."""
    config = store.read_config(folder, KIND)
    path = folder / f"{KIND}.safetensors"
    if store.digest(path) != config.pop("sha256", None):
        raise UserError(f"{path} is damaged: it is not the file that config.json names; get the model again")
    fields = {name: value for name, value in config.items() if name not in ("kind", "version")}
    try:
        few = FewSteps(**fields)
    except TypeError as error:
        raise UserError(f"{folder}/config.json does not describe a {KIND!r}: {error}") from error
    if base is not None and few.base != base_hash(base):
        raise UserError(f"the few-step weights in {folder} were made for other weights than those in {base}")
    return Delta(store.whole(store.mapped(path)), few)


def base_hash(base: Path) -> str:
    """What names a DiT's weights: the hash in its config.json, against which `store.load` checks them."""
    return str(store.read_config(base, "dit").get("sha256"))
