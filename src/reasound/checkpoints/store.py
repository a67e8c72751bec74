"""Our own format of weights: a folder with config.json and KIND.safetensors, read strictly both ways.

config.json holds `kind` and `version`, the hash of the weights, and the fields of the configuration. A tensor that is
missing, unknown or misshapen is one sentence that names it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from reasound.errors import UserError
from reasound.media.atomic import replacing

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    Model = TypeVar("Model", bound=nn.Module)

LARGE = 1024
"""Elements of a matrix from which its rows may be stored in int8."""
ALIGNMENT = 64
"""Bytes: tensors of a mapped file start where vector instructions like it."""

Shapes = Mapping[str, Sequence[int]]


def save(
    folder: Path,
    kind: str,
    tensors: Mapping[str, Tensor],
    config: Any,
    *,
    version: int = 1,
    half: bool = True,
    rows: bool = False,
    dtypes: Mapping[str, torch.dtype] | None = None,
) -> None:
    """Write FOLDER/KIND.safetensors and FOLDER/config.json; each file is whole or not there at all.

    `config` is a dataclass or a dictionary of plain values. `half` stores floating-point tensors in float16, and `rows`
    the larger matrices in int8 with a scale for each of their rows; `dtypes`, if given, names the precision of each
    instead. Beside the tensors themselves, a copy of one is held in memory.
    """
    import torch

    scales: set[str] = set()
    if rows:
        plain, tensors = tensors, in_rows(tensors)
        scales = set(tensors) - set(plain)

    def stored_as(name: str, tensor: Tensor) -> torch.dtype:
        if dtypes is not None:
            return dtypes[name]
        halved = half and tensor.is_floating_point() and name not in scales
        return torch.float16 if halved else tensor.dtype

    fields = asdict(config) if is_dataclass(config) and not isinstance(config, type) else dict(config)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}.safetensors"
    with replacing(path) as fresh:
        sha256 = _write(fresh, {name: (tensor, stored_as(name, tensor)) for name, tensor in tensors.items()})
    # The configuration comes last and carries the hash: a reader in between is told, not misled.
    head = {"kind": kind, "version": version, "sha256": sha256}
    with replacing(folder / "config.json") as fresh:
        fresh.write_text(json.dumps({**head, **fields}, indent=2) + "\n")


def in_rows(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Larger matrices as int8, each with a tensor NAME.scale beside it: float32, one for each of its rows."""
    import torch

    out = {}
    for name, tensor in tensors.items():
        if tensor.ndim < 2 or tensor.numel() < LARGE or not tensor.is_floating_point():
            out[name] = tensor
            continue
        flat = tensor.detach().float().flatten(1)
        scale = (flat.abs().amax(1) / 127).clamp(min=1e-12)
        out[name] = (flat / scale[:, None]).round().to(torch.int8).view(tensor.shape)
        out[f"{name}.scale"] = scale
    return out


def whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `in_rows` took apart, in float32. A scale that does not fit its matrix stays, for `check` to name."""
    import torch

    out = dict(tensors)
    for name, tensor in tensors.items():
        if tensor.dtype == torch.int8 and tensor.ndim > 1 and f"{name}.scale" in tensors:
            scale = tensors[f"{name}.scale"].float()
            if scale.shape == tensor.shape[:1]:
                del out[f"{name}.scale"]
                out[name] = tensor.float() * scale.view(-1, *[1] * (tensor.ndim - 1))
    return out


def _write(path: Path, tensors: Mapping[str, tuple[Tensor, torch.dtype]]) -> str:
    """A safetensors file of tensors in these precisions, written tensor by tensor; its SHA-256.

    The package's own writer needs all of them converted beforehand: another copy of a model of several gigabytes.
    """
    import torch

    names = {
        torch.float64: "F64",
        torch.float32: "F32",
        torch.float16: "F16",
        torch.bfloat16: "BF16",
        torch.int64: "I64",
        torch.int32: "I32",
        torch.int16: "I16",
        torch.int8: "I8",
        torch.uint8: "U8",
        torch.bool: "BOOL",
    }
    # The widest first: then each starts at a multiple of its own width.
    order = sorted(tensors, key=lambda name: -tensors[name][1].itemsize)
    header, end = {}, 0
    for name in order:
        tensor, dtype = tensors[name]
        start, end = end, end + tensor.numel() * dtype.itemsize
        header[name] = {
            "dtype": names[dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        head = len(text).to_bytes(8, "little") + text
        file.write(head)
        digest.update(head)
        for name in order:
            tensor, dtype = tensors[name]
            plain = tensor.detach().to("cpu", dtype).contiguous().reshape(-1)
            block = plain.view(torch.uint8).numpy().data
            file.write(block)
            digest.update(block)
    return digest.hexdigest()


def config_of(folder: Path) -> Any:
    """What is in a model folder's config.json. UserError when there is none, or it is not JSON."""
    path = folder / "config.json"
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"{folder} is not a model folder: it has no config.json") from error
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def read_config(folder: Path, kind: str, version: int = 1) -> dict[str, Any]:
    """The configuration of a folder of this kind. UserError when it is missing or of another kind or version."""
    config = config_of(folder)
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


def load(
    folder: Path,
    kind: str,
    build: Callable[[dict[str, Any]], Model],
    *,
    version: int = 1,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
) -> Model:
    """Build the model from the configuration's fields, fill it, and return it ready to use (no gradients).

    Without `dtype`: in float32, after a check of the whole file against its hash. With `dtype`, for large models:
    built without memory, its tensors are those of the mapped file, then `model.lower(dtype)` makes it run in that
    precision; here the file's size and header are checked, its hash by `verify`.

    UserError when the weights are missing, damaged, or do not fit the model that `build` made.
    """
    import torch

    config = read_config(folder, kind, version)
    path = folder / f"{kind}.safetensors"
    if dtype is None:
        if digest(path) != config.get("sha256"):
            raise UserError(_damaged(path))
        model = _built(build, config, folder)
        fill(model, whole(mapped(path)), str(path))
    else:
        tensors = mapped(path)
        with torch.device("meta"):
            model = _built(build, config, folder)
        check(shapes(model.state_dict()), shapes(tensors), str(path))
        model.load_state_dict(tensors, assign=True)
        with torch.no_grad():
            model.lower(dtype)  # type: ignore[operator]
    return model.to(device).eval().requires_grad_(False)


def _built(build: Callable[[dict[str, Any]], Model], config: dict[str, Any], folder: Path) -> Model:
    try:
        return build({k: v for k, v in config.items() if k not in ("kind", "version", "sha256")})
    except TypeError as error:
        raise UserError(f"{folder}/config.json does not describe a {config['kind']!r}: {error}") from error


def _damaged(path: Path) -> str:
    return f"{path} is damaged: it is not the file that config.json names; get the model again"


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"cannot read the weights {path}: {(error.strerror or str(error)).lower()}")


def digest(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def mapped(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. They are read from disk where and when they are used.

    Each has the file open for itself: a network that lays its weights out anew lets go of them one by one, and with
    them of the memory.
    """
    from safetensors import SafetensorError, safe_open

    try:
        path.open("rb").close()  # a clearer reason than the one that safetensors gives
        with safe_open(path, "pt") as file:
            names = list(file.keys())
        found = {}
        for name in names:
            with safe_open(path, "pt") as file:
                found[name] = file.get_tensor(name)
        return found
    except OSError as error:
        raise _unreadable(path, error) from error
    except SafetensorError as error:
        raise UserError(f"{path} is damaged or cut off ({error}); get the model again") from error


def precisions(model: nn.Module, dtype: torch.dtype) -> dict[str, torch.dtype]:
    """How to store a model that runs in `dtype` (a new one, on the meta device): matrices as it keeps them itself,
    and vectors in float32, which are small."""
    import torch

    model.lower(dtype)  # type: ignore[operator]
    return {
        name: tensor.dtype if tensor.ndim > 1 else torch.float32
        for name, tensor in model.state_dict().items()
    }


def precision(folder: Path) -> torch.dtype:
    """In what precision a folder keeps most of its weights. UserError if it has none."""
    sizes: dict[torch.dtype, int] = {}
    for path in sorted(folder.glob("*.safetensors")):
        for tensor in mapped(path).values():
            sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.nbytes
    if not sizes:
        raise UserError(f"{folder} holds no weights")
    return max(sizes, key=lambda dtype: sizes[dtype])


def verify(folder: Path, kind: str, build: Callable[[dict[str, Any]], Model], *, version: int = 1) -> None:
    """Check all that can be known without running the model: the hash, and name and shape of every tensor.

    UserError says what is wrong.
    """
    import torch

    config = read_config(folder, kind, version)
    path = folder / f"{kind}.safetensors"
    tensors = whole(mapped(path))
    with torch.device("meta"):
        model = _built(build, config, folder)
    check(shapes(model.state_dict()), shapes(tensors), str(path))
    if digest(path) != config.get("sha256"):
        raise UserError(_damaged(path))


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in tensors.items()}


def check(wanted: Shapes, found: Shapes, name: str) -> None:
    """UserError names the first tensor of `name` that is missing, misshapen, or not asked for."""
    for key, shape in wanted.items():
        if key not in found:
            raise UserError(f"{name} lacks the tensor {key!r}")
        if list(found[key]) != list(shape):
            raise UserError(
                f"the tensor {key!r} of {name} has shape {list(found[key])}; the model wants {list(shape)}"
            )
    for key in found:
        if key not in wanted:
            raise UserError(f"{name} has a tensor {key!r} that the model does not know")


def fill(model: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Load tensors into the model, in the model's precision. ValueError names the first tensor that does not fit."""
    wanted = model.state_dict()
    check(shapes(wanted), shapes(tensors), name)
    model.load_state_dict({key: tensor.to(wanted[key].dtype) for key, tensor in tensors.items()})
