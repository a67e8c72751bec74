"""Our own format of weights: a folder with config.json and KIND.safetensors, read strictly both ways.

config.json holds `kind` and `version`, the hash of the weights, and the fields of the configuration. A tensor that is
missing, unknown or misshapen is one sentence that names it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from reasound.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

    Model = TypeVar("Model", bound=nn.Module)


def save(
    folder: Path,
    kind: str,
    tensors: Mapping[str, Tensor],
    config: Any,
    *,
    version: int = 1,
    half: bool = True,
) -> None:
    """Write FOLDER/KIND.safetensors and FOLDER/config.json; each file is whole or not there at all.

    `config` is a dataclass or a dictionary of plain values; `half` stores floating-point tensors in half precision.
    """
    from safetensors.torch import save as serialise

    stored = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        stored[name] = tensor.half() if half and tensor.is_floating_point() else tensor
    fields = asdict(config) if is_dataclass(config) and not isinstance(config, type) else dict(config)
    weights = serialise(stored)
    head = {"kind": kind, "version": version, "sha256": hashlib.sha256(weights).hexdigest()}
    folder.mkdir(parents=True, exist_ok=True)
    # The configuration comes last and carries the hash: a reader in between is told, not misled.
    for name, content in (
        (f"{kind}.safetensors", weights),
        ("config.json", (json.dumps({**head, **fields}, indent=2) + "\n").encode()),
    ):
        partial = folder / f".{name}.partial"
        partial.write_bytes(content)
        partial.replace(folder / name)


def read_config(folder: Path, kind: str, version: int = 1) -> dict[str, Any]:
    """The configuration of a folder of this kind. UserError when it is missing or of another kind or version."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"{folder} is not a model folder: it has no config.json") from error
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    if not isinstance(config, dict) or config.get("kind") != kind:
        found = config.get("kind") if isinstance(config, dict) else None
        raise UserError(
            f"{folder} holds {'a ' + repr(found) if found else 'no named kind of model'}, not a {kind!r}"
        )
    if config.get("version") != version:
        raise UserError(
            f"{folder} is version {config.get('version')} of {kind!r}; this program reads version {version}"
        )
    return config


def load(folder: Path, kind: str, build: Callable[[dict[str, Any]], Model], *, version: int = 1) -> Model:
    """Build the model from the configuration's fields, fill it in float32, and return it ready to use (no gradients).

    UserError when the weights are missing, damaged, or do not fit the model that `build` made.
    """
    from safetensors.torch import load as deserialise

    config = read_config(folder, kind, version)
    path = folder / f"{kind}.safetensors"
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot read the weights {path}: {(error.strerror or str(error)).lower()}"
        ) from error
    fields = {k: v for k, v in config.items() if k not in ("kind", "version", "sha256")}
    if hashlib.sha256(raw).hexdigest() != config.get("sha256"):
        raise UserError(f"{path} is damaged: it is not the file that config.json names; get the model again")
    try:
        model = build(fields)
    except TypeError as error:
        raise UserError(f"{folder}/config.json does not describe a {kind!r}: {error}") from error
    fill(model, deserialise(raw), str(path))
    return model.eval().requires_grad_(False)


def fill(model: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Load tensors into the model, in the model's precision. ValueError names the first tensor that does not fit."""
    wanted = model.state_dict()
    for key, tensor in wanted.items():
        if key not in tensors:
            raise UserError(f"{name} lacks the tensor {key!r}")
        found, needed = list(tensors[key].shape), list(tensor.shape)
        if found != needed:
            raise UserError(f"the tensor {key!r} of {name} has shape {found}; the model wants {needed}")
    for key in tensors:
        if key not in wanted:
            raise UserError(f"{name} has a tensor {key!r} that the model does not know")
    model.load_state_dict({key: tensor.to(wanted[key].dtype) for key, tensor in tensors.items()})
