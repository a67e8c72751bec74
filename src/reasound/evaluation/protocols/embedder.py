"""What every published network of the evaluation has in common: what it hears, and the file that it is read from."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reasound.checkpoints import catalog, store
from reasound.errors import UserError

Floats = NDArray[np.float32]

RATE = 44_100
"""Samples a second of the sound that an embedder is given; each resamples to its own rate."""


@dataclass(frozen=True)
class Heard:
    """What a network makes of one clip."""

    embeddings: Floats
    """[P, D]: one row for each stretch of sound that the network hears at a time; P is at least 1."""
    probabilities: Floats | None = None
    """[C]: how likely each class is in the clip as a whole, or None for a network without classes. The embedder's
    `kl_protocol` says whether they sum to 1 (softmax) or stand each for itself (sigmoid)."""


class Embedder(Protocol):
    """A frozen network that turns a clip into vectors, for distances between sets of clips."""

    protocol: str
    """Stands on every Frechet distance made with it: "fd-panns/cnn14-16k/2048d"."""
    kl_protocol: str | None
    """Stands on every KL divergence made with its probabilities; None where it has none."""
    rate: int
    """Samples a second at which the network listens."""

    def __call__(self, audio: NDArray[Any]) -> Heard:
        """Audio [2, N] or [N] at 44.1 kHz, full scale is 1."""
        ...


@dataclass(frozen=True)
class Published:
    """A file of weights that somebody published."""

    project: str
    """Who published it and where, in words: what a person types into a search."""
    file: str
    """Its name, which it must have in the user's folder too."""
    licence: str
    size: int | None = None
    """Bytes, where they are known for certain."""
    digest: str | None = None
    """ "sha256:..." or "md5:...", where its publisher or several of its users name one."""


_MODULES = ("panns", "vggish", "openl3", "passt")
"""Each has PUBLISHED: name -> Published, and build(name, path, config) -> Embedder."""


def published() -> dict[str, Published]:
    """Name -> file, of every network that `load` knows."""
    return {name: file for module in _MODULES for name, file in _module(module).PUBLISHED.items()}


def load(name: str, folder: Path | None = None, config: Any = None) -> Embedder:
    """A published network, read from its file in `folder` (default: `default_folder()`). Never downloads.

    Args:
        name: a key of `published()`.
        config: the sizes of the network; default: those of the published one. Tests read tiny ones.

    Raises:
        UserError: no such name, no such file (and where it is published), or not the weights of this network.
    """
    for module in map(_module, _MODULES):
        if name in module.PUBLISHED:
            path = find(module.PUBLISHED[name], folder)
            if config is None:
                verify(module.PUBLISHED[name], path)
            embedder: Embedder = module.build(name, path, config)
            return embedder
    raise UserError(f"there is no network {name!r}; choose one of {', '.join(published())}")


def default_folder() -> Path:
    """Where weights for evaluation are looked for when nobody names a folder."""
    return catalog.models_folder() / "evaluation"


def find(published: Published, folder: Path | None = None) -> Path:
    """The file in the folder; UserError says which file to put there and who published it."""
    path = (folder or default_folder()) / published.file
    if not path.is_file():
        raise UserError(
            f"{path} is missing: get {published.file} from {published.project} ({published.licence}) and put it there"
        )
    return path


def verify(published: Published, path: Path) -> None:
    """UserError unless the file has the size and the digest of the published one, as far as they are known.

    A number with a protocol id on it must come from the weights of that protocol.
    """
    wrong = f"{path} is not the file that was published ({{}}); get it again from {published.project}"
    size = path.stat().st_size
    if published.size is not None and size != published.size:
        raise UserError(wrong.format(f"{size:,} bytes, not {published.size:,}"))
    if published.digest is not None:
        kind, digest = published.digest.split(":")
        with path.open("rb") as file:
            if hashlib.file_digest(file, kind).hexdigest() != digest:
                raise UserError(wrong.format(f"its {kind} is another"))


def read(path: Path, under: str | None = None) -> dict[str, Tensor]:
    """The tensors of a .pth file, mapped where its format allows it (files from before 2020 are read whole).

    Such files are pickles, which can run code, so nothing but tensors and plain values is let in.

    Args:
        under: the entry of the file that holds the tensors, where it holds other things too.

    Raises:
        UserError: the file is not one of weights alone, or is damaged.
    """
    try:
        path.open("rb").close()  # a clearer reason than the one that torch gives
    except OSError as error:
        raise UserError(
            f"cannot read the weights {path}: {(error.strerror or str(error)).lower()}"
        ) from error
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise UserError(f"{path} is not opened: it is damaged, or holds more than weights") from error
    if under is not None:
        found = found.get(under) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        where = f" under {under!r}" if under else ""
        raise UserError(f"{path} does not hold a plain list of tensors{where}")
    return dict(found)


def fill(
    network: nn.Module, tensors: Mapping[str, Tensor], path: Path, derived: Collection[str] = ()
) -> nn.Module:
    """Give the network, built on the meta device, exactly these tensors in float32, and make it ready to use.

    Args:
        derived: names that the file may have and the network has no use for, such as filters that we make ourselves.

    Raises:
        UserError: names the first tensor that is missing, unknown or misshapen.
    """
    wanted = network.state_dict()
    kept = {name: tensor for name, tensor in tensors.items() if name not in derived}
    counters = [name for name in wanted if name.endswith("num_batches_tracked")]
    for name in (
        counters
    ):  # steps of training, which old versions of torch did not write; nothing here depends on them
        kept.setdefault(name, torch.zeros((), dtype=torch.int64))
    store.check(store.shapes(wanted), store.shapes(kept), str(path))
    plain = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in kept.items()}
    network.load_state_dict(plain, assign=True)
    return network.eval().requires_grad_(False)


def mono(audio: NDArray[Any], rate: int) -> Tensor:
    """[2, N] or [N] at 44.1 kHz -> [n] at `rate`: the mean of the channels, resampled by soxr's best quality ("VHQ").

    Published protocols leave the resampler to whoever reads the files (librosa, torchaudio, ffmpeg); they differ by
    less than the networks notice, but do not compare distances whose last digits matter.
    """
    samples = channels(audio).mean(0)
    if rate != RATE:
        samples = soxr.resample(samples, RATE, rate, "VHQ")
    return torch.from_numpy(np.ascontiguousarray(samples, np.float32))


def channels(audio: NDArray[Any]) -> Floats:
    """[N] or [channels, N] -> [channels, N] float32; ValueError when it is empty, not finite or not a sound."""
    samples = np.atleast_2d(np.asarray(audio, np.float32))
    if samples.ndim != 2 or samples.size == 0 or samples.shape[0] > 2:
        raise ValueError(f"a sound is [samples] or [2, samples] and not empty; got shape {np.shape(audio)}")
    if not np.isfinite(samples).all():
        raise ValueError("the sound holds values that are not finite")
    return samples


def _module(name: str) -> Any:
    return import_module(f"reasound.evaluation.protocols.{name}")
