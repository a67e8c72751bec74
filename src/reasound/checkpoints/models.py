"""Released checkpoints become models in our format, and models are checked and counted.

A ThinkSound folder holds model.json (kind, version, precision, and for each part its sources, licence and hashes) and a
folder for each part: dit/, codec/ and sync/ in the format of `store`, metaclip/ and t5/ in that of `encoders`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasound import __version__
from reasound.checkpoints import catalog, encoders, official, store
from reasound.checkpoints.catalog import LIGHT, PARTS, SYNCHFORMER, TRAINING, VAE
from reasound.errors import UserError
from reasound.timeline import SAMPLE_RATE

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Report = Callable[[str, float], None]
"""Called with what is being done and how much of all is done, 0 to 1."""

PRECISIONS = ("bf16", "fp32")
NEEDED = ("dit", "codec")
"""Without these nothing can be heard; the others can be added later."""
_ENCODERS = {"clip": "metaclip", "t5": "t5"}
_WEIGHTS = (".ckpt", ".pth", ".pt", ".safetensors", ".bin")
_KNOWN = (LIGHT, TRAINING, VAE, SYNCHFORMER)


def quiet(stage: str, done: float) -> None:
    """Reports to nobody."""


@dataclass(frozen=True)
class Piece:
    """Where a part of the model is to come from."""

    path: Path
    """A checkpoint, or the folder of an encoder."""
    tensors: Mapping[str, Tensor] | None = None
    """Of a checkpoint: this part's, by their names in the flat file."""
    origin: str = ""
    """Repository and revision, if it is known."""


def find(source: Path) -> tuple[dict[str, Piece], list[str]]:
    """The parts that a file or folder holds, and what was wrong with files that were passed over.

    In a folder, the released names go before others, and a vae.ckpt before the autoencoder in the flat file, as in the
    released code. Encoders are folders of the hub beside the checkpoints. UserError for a file of a released name that
    cannot be read, and for two files of which either could be meant.
    """
    if not source.is_dir():
        return {part: Piece(source, tensors) for part, tensors in _parts(source).items()}, []
    files = [path for path in sorted(source.iterdir()) if path.suffix in _WEIGHTS and path.is_file()]
    files.sort(key=lambda path: _KNOWN.index(path.name) if path.name in _KNOWN else len(_KNOWN))
    holders: list[tuple[Path, dict[str, dict[str, Tensor]]]] = []
    problems = []
    for path in files if _encoder(source) is None else []:
        if path.name == TRAINING and files[0].name == LIGHT:
            continue  # the same weights in a file four times as large
        try:
            holders.append((path, _parts(path)))
        except UserError as error:
            if path.name in _KNOWN:
                raise
            problems.append(str(error))
    found: dict[str, Piece] = {}
    for part in official.KINDS:
        having = [(path, parts) for path, parts in holders if part in parts]
        if part == "codec":  # in a file of its own it goes before the one in the flat file
            fewest = min((len(parts) for _, parts in having), default=0)
            having = [(path, parts) for path, parts in having if len(parts) == fewest]
        if len(having) > 1 and having[0][0].name not in _KNOWN:
            raise UserError(
                f"{having[0][0]} and {having[1][0]} hold the same part ({part}); convert one of the two"
            )
        if having:
            path, parts = having[0]
            found[part] = Piece(path, parts[part])
    for folder in (source, *sorted(path for path in source.iterdir() if path.is_dir())):
        encoder = _encoder(folder)
        if encoder is not None:
            found.setdefault(encoder, Piece(folder))
    return found, problems


def _parts(path: Path) -> dict[str, dict[str, Tensor]]:
    return official.parts(official.read(path), str(path))


def _encoder(folder: Path) -> str | None:
    """Which encoder a folder of the hub holds."""
    try:
        return _ENCODERS.get(json.loads((folder / "config.json").read_bytes()).get("model_type"))
    except (OSError, ValueError, AttributeError):
        return None


def cached() -> dict[str, Piece]:
    """Encoders that Hugging Face's own cache on this machine holds."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ModuleNotFoundError:
        return {}
    found = {}
    for origin in catalog.ORIGINS:
        config = try_to_load_from_cache(origin.repos[0], "config.json")
        if isinstance(config, str):
            folder = Path(config).parent
            part = _encoder(folder)
            if part in origin.parts and any(path.suffix in _WEIGHTS for path in folder.iterdir()):
                found[part] = Piece(folder, origin=f"{origin.repos[0]} at {folder.name}")
    return found


def convert(
    source: Path,
    target: Path,
    precision: str | None = None,
    report: Report = quiet,
    *,
    force: bool = False,
) -> dict[str, Any]:
    """Make a ThinkSound folder of what a file or folder holds (`find`; encoders also from Hugging Face's cache), or add
    to one what it lacks. Returns `summary` of the folder.

    `precision`: "bf16" (what None means) or "fp32"; an existing folder keeps its own. `force` replaces parts that are
    there already. All is checked before anything is written; the folder is complete in every part at any time.
    """
    report("reading", 0.0)
    if not source.exists():
        raise UserError(f"{source} does not exist")
    pieces, problems = find(source)
    if source.is_dir():
        pieces = cached() | pieces
    if not pieces:
        raise UserError(
            problems[0]
            if problems
            else f"{source} holds no checkpoint of ThinkSound and none of its encoders"
        )
    return assemble(pieces, target, precision, report, force=force, problems=problems)


def assemble(
    pieces: Mapping[str, Piece],
    target: Path,
    precision: str | None = None,
    report: Report = quiet,
    *,
    force: bool = False,
    problems: list[str] | None = None,
) -> dict[str, Any]:
    """As `convert`, of parts that were found already."""
    if precision not in (None, *PRECISIONS):
        raise ValueError(f"a model is stored in one of {PRECISIONS}, not {precision!r}")
    before = _existing(target)
    pieces = {
        part: pieces[part] for part in PARTS if part in pieces and (force or part not in before["parts"])
    }
    if not pieces:
        raise UserError(f"{target} holds all of this already; replace it with --force")
    for part in NEEDED:
        if part not in pieces and part not in before["parts"]:
            raise UserError(
                "; ".join(problems or [])
                or f"the {_WORDS[part]} is missing: a new model needs {LIGHT} (or {TRAINING}) and {VAE}, in one folder"
            )
    kept = [part for part in before["parts"] if part not in pieces]
    precision = precision or before["precision"] or "bf16"
    if kept and precision != before["precision"]:
        raise UserError(
            f"{target} is in {before['precision']}; add to it in that precision, or convert all of it again into "
            "another folder"
        )
    networks = {
        part: _checked(part, piece.tensors, str(piece.path))
        for part, piece in pieces.items()
        if piece.tensors is not None
    }
    sizes = _encoder_sizes(networks["dit"].config if "dit" in networks else _stored(target))
    _check_room(target, pieces, networks, 2 if precision == "bf16" else 4)
    with _building(target) as fresh:
        described = {}
        total = len(pieces) + 1
        for count, (part, piece) in enumerate(pieces.items()):
            report(f"converting {part}", count / total)
            if part in networks:
                _write_network(networks[part], fresh / part, precision)
            else:
                _write_encoder(part, piece.path, fresh / part, precision, sizes[part])
            described[part] = {
                "licence": PARTS[part],
                "source": _sources(piece),
                "sha256": _hashes(part, fresh / part),
            }
        report("finishing", 1 - 1 / total)
        after = before | {
            "precision": precision,
            "licence": catalog.RESEARCH,
            "converted_by": f"reasound {__version__}",
            "parts": {
                part: (before["parts"] | described)[part]
                for part in PARTS
                if part in before["parts"] | described
            },
        }
        if "codec" in networks:
            after["latents_per_second"] = SAMPLE_RATE / networks["codec"].config.samples_per_latent
        (fresh / "model.json").write_text(json.dumps(after, indent=2) + "\n")
        _install(fresh, target)
    report("finishing", 1.0)
    return summary(target)


_WORDS = {"dit": "DiT", "codec": "autoencoder"}


def _existing(target: Path) -> dict[str, Any]:
    if not target.exists():
        return {
            "kind": catalog.THINKSOUND,
            "version": catalog.VERSION,
            "precision": None,
            "whole_seconds": False,
            "parts": {},
        }
    try:
        return catalog.describe(target)
    except UserError as error:
        raise UserError(
            f"{target} exists already and is not a ThinkSound model; choose another place"
        ) from error


def _checked(part: str, theirs: Mapping[str, Tensor], source: str) -> official.Network:
    """UserError names the first tensor that is missing, unknown or misshapen."""
    import torch

    found = official.network(part, theirs, source)
    with torch.device("meta"):
        wanted = builder(found.kind)(asdict(found.config)).state_dict()
        # The same conversion without numbers shows that what would be written fits our network.
        ours = official.network(
            part, {name: torch.empty(t.shape) for name, t in theirs.items()}, source
        ).convert()
    store.check(store.shapes(wanted), store.shapes(ours), source)
    return found


def builder(kind: str) -> Callable[[dict[str, Any]], Any]:
    """What makes a network of a kind from the fields of its configuration."""
    if kind == "codec":
        from reasound.synthesis.codec import Codec, CodecConfig

        return lambda fields: Codec(CodecConfig(**fields))
    homes = {"dit": "synthesis.dit", "oobleck": "synthesis.oobleck", "synchformer": "perception.synchformer"}
    build: Callable[[dict[str, Any]], Any] = import_module(f"reasound.{homes[kind]}").build
    return build


def _dtype(precision: str) -> torch.dtype:
    import torch

    return torch.bfloat16 if precision == "bf16" else torch.float32


def _write_network(network: official.Network, folder: Path, precision: str) -> None:
    import torch

    with torch.device("meta"):
        dtypes = store.precisions(builder(network.kind)(asdict(network.config)), _dtype(precision))
    store.save(folder, network.kind, network.convert(), network.config, dtypes=dtypes)


def _write_encoder(part: str, source: Path, folder: Path, precision: str, sizes: Mapping[str, int]) -> None:
    write = encoders.convert_metaclip if part == "metaclip" else encoders.convert_t5
    write(source, folder, _dtype(precision), sizes)


def _encoder_sizes(dit: Any) -> dict[str, Mapping[str, int]]:
    """What the encoders' settings must be for this DiT to understand them."""
    from reasound.synthesis.dit import thinksound

    if dit == thinksound():
        return {"metaclip": encoders.METACLIP_SIZES, "t5": encoders.T5_SIZES}
    return {
        "metaclip": {"projection_dim": dit.visual, "text_config.hidden_size": dit.caption},
        "t5": {"d_model": dit.reasoning},
    }


def _stored(target: Path) -> Any:
    from reasound.synthesis.dit import DiTConfig

    fields = store.read_config(target / "dit", "dit")
    return replace(DiTConfig(), **{k: v for k, v in fields.items() if k not in ("kind", "version", "sha256")})


def _check_room(
    target: Path, pieces: Mapping[str, Piece], networks: Mapping[str, official.Network], width: int
) -> None:
    """UserError if the disk has no room for numbers of so many bytes."""
    wanted = sum(network.numbers for network in networks.values()) * width
    for part, piece in pieces.items():
        if part not in networks:  # float32 on the hub; of T5 we keep less than half
            files = (path for path in piece.path.iterdir() if path.suffix in (".safetensors", ".bin"))
            largest = max((path.stat().st_size for path in files), default=0)
            wanted += largest * width // (8 if part == "t5" else 4)
    check_room(target, wanted, "the model")


def check_room(target: Path, wanted: int, what: str) -> None:
    """UserError if the disk that a file or folder is to be on has no room for so many bytes."""
    place = target.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if wanted * 1.01 > free:
        raise UserError(
            f"{what} needs {wanted / 1e9:.1f} GB in {target} and the disk has {free / 1e9:.1f} GB free; make room or "
            "choose another place"
        )


@contextmanager
def _building(target: Path) -> Iterator[Path]:
    """A folder beside the target to write to; whatever happens, it is gone at the end. OSErrors become one sentence."""
    fresh = target.with_name(f".{target.name}-{os.getpid()}-{secrets.token_hex(4)}")
    made = [folder for folder in fresh.absolute().parents if not folder.exists()]
    try:
        fresh.mkdir(parents=True)
        yield fresh
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"cannot write {target}: {reason}; choose another place or make room") from error
    except UserError as error:
        raise UserError(str(error).replace(str(fresh), str(target))) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        with suppress(OSError):  # they are not empty if all went well
            for folder in made:
                folder.rmdir()


def _install(fresh: Path, target: Path) -> None:
    """Give a finished folder its name, or its parts to the model that is there. What they replace goes with it."""
    if not target.exists():
        fresh.rename(target)
        return
    for part in [path.name for path in fresh.iterdir() if path.is_dir()]:
        if (target / part).exists():
            (target / part).rename(fresh / f"{part}.old")
        (fresh / part).rename(target / part)
    (fresh / "model.json").replace(target / "model.json")


def _sources(piece: Piece) -> dict[str, str]:
    """Names and hashes of the files that a part was made of, or where they came from."""
    if piece.tensors is not None:
        return {piece.path.name: store.digest(piece.path)}
    return {piece.path.name: piece.origin or "a folder of the hub"}


def _hashes(part: str, folder: Path) -> dict[str, str]:
    """Of all files of a part but the weights whose hash stands in its config.json."""
    covered = f"{official.KINDS[part]}.safetensors" if part in official.KINDS else None
    return {path.name: store.digest(path) for path in sorted(folder.iterdir()) if path.name != covered}


def verify(folder: Path, report: Report = quiet) -> list[str]:
    """Everything that is wrong with a converted model, a sentence each: files that are missing or damaged, tensors that
    do not fit. Also for a folder of pocket's kind (dit/ and codec/). UserError if it is no model at all."""
    checks: dict[str, Callable[[], None]]
    if catalog.kind_of(folder) == "pocket":
        checks = {part: partial(store.verify, folder / part, part, builder(part)) for part in NEEDED}
    else:
        described = catalog.describe(folder)
        checks = {
            part: partial(_verify, part, folder / part, told) for part, told in described["parts"].items()
        }
        checks |= {part: partial(_missing, folder / part) for part in NEEDED if part not in checks}
    problems = []
    for count, (part, check) in enumerate(checks.items()):
        report(f"checking {part}", count / len(checks))
        try:
            check()
        except UserError as error:
            problems.append(str(error))
    report("checking", 1.0)
    return problems


def _missing(folder: Path) -> None:
    raise UserError(f"model.json does not name {folder}; convert the model again")


def _verify(part: str, folder: Path, told: Mapping[str, Any]) -> None:
    for name, sha256 in told["sha256"].items():
        if store.digest(folder / name) != sha256:
            raise UserError(
                f"{folder / name} is damaged: it is not the file that model.json names; get the model again"
            )
    if part in _ENCODERS.values():
        from reasound.perception.metaclip import MetaCLIP
        from reasound.perception.text import T5

        # Nothing but headers is read as long as the precision is the file's own.
        (MetaCLIP if part == "metaclip" else T5).load(folder, store.precision(folder), "cpu")
    else:
        kind = official.KINDS[part]
        store.verify(folder, kind, builder(kind))


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def summary(folder: Path) -> dict[str, Any]:
    """What a ThinkSound folder holds, and what it lacks."""
    described = catalog.describe(folder)
    parts = {
        part: {"bytes": size(folder / part), "licence": licence}
        for part, licence in PARTS.items()
        if part in described["parts"]
    }
    return {
        "path": str(folder),
        "precision": described["precision"],
        "bytes": sum(part["bytes"] for part in parts.values()),
        "parts": parts,
        "missing": [part for part in PARTS if part not in parts],
    }


def installed() -> dict[str, Any]:
    """All models that the product knows: what is here, its size and licence; and where the rest can be had."""
    found: dict[str, Any] = {"pocket": {}, "sounds": {}}
    for part, licence in catalog.POCKET_LICENCES.items():
        found["pocket"][part] = _measured(partial(catalog.pocket, part), licence)
    found["sounds"] = _measured(catalog.sounds, catalog.SOUNDS_LICENCE)
    folder = catalog.models_folder() / catalog.THINKSOUND
    try:
        found["thinksound"] = summary(folder)
    except UserError as error:
        found["thinksound"] = {"path": str(folder), "parts": {}, "missing": list(PARTS)}
        if folder.exists():
            found["thinksound"]["problem"] = str(error)
    found["hub"] = [
        {"parts": origin.parts, "repositories": origin.repos, "bytes": origin.size}
        | {"licences": [PARTS[part] for part in origin.parts]}
        for origin in catalog.ORIGINS
    ]
    return found


def _measured(where: Callable[[], Path], licence: str) -> dict[str, Any]:
    try:
        folder = where()
    except UserError as error:
        return {"problem": str(error), "licence": licence}
    return {"path": str(folder), "bytes": size(folder), "licence": licence}
