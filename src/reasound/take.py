"""A take: clip, plan, layers and how they were made, in a folder that survives a crash.

    OUT.take/take.json      schema, clip, layers, mix, settings, parent
    OUT.take/plan.json      the plan; edit it and make the sound again
    OUT.take/mix.wav        44.1 kHz stereo, exactly as long as the picture
    OUT.take/layers/*.wav   one file a layer; together they sum to mix.wav
    OUT.take/preview.mp4    the picture with the mix

The folder is written beside its final name and then renamed, so that a take is there whole or not at all.
Nothing in it depends on when or where it was made: the same clip, plan, settings and seed give the same bytes
on the same machine.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from reasound.edit_plan import EditPlan
from reasound.errors import UserError
from reasound.plan import Plan
from reasound.timeline import samples

if TYPE_CHECKING:
    from reasound.media.video import Clip

SCHEMA = "reasound.take/1"
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv")


@dataclass(frozen=True)
class Layer:
    """One sound with its own slice of the plan."""

    name: str
    """Unique within the take and safe as a file name."""
    audio: NDArray[np.float32]  # [2, N] at 44.1 kHz
    events: tuple[str, ...]
    """Ids of the events or ambiences of the plan that it plays."""
    seed: int
    renderer: str
    """"library", "model" or "thinksound"; "original" of a foreign sound track, "extracted" of what was taken out."""
    recordings: tuple[str, ...] = ()
    """Ids of the library's recordings that can be heard in it."""
    gain: float = 0.0
    """dB."""
    pan: float = 0.0
    mute: bool = False
    solo: bool = False
    lock: bool = False


@dataclass(frozen=True)
class Source:
    """The clip a take was made for."""

    name: str
    sha256: str
    seconds: Fraction
    """Exact length of the picture."""
    width: int
    height: int

    @classmethod
    def of(cls, clip: Clip) -> Source:
        return cls(clip.name, digest_of(Path(clip.path)), clip.seconds, clip.width, clip.height)


@dataclass(frozen=True)
class Mix:
    """What the mix was asked to be and what it came to. LUFS by BS.1770-4, dBTP at 4x oversampling."""

    target_loudness: float
    target_peak: float
    loudness: float | None
    """None for silence."""
    true_peak: float | None
    original: Literal["drop", "keep", "under"]
    """What became of the clip's own sound: drop, under or keep."""


@dataclass(frozen=True)
class Settings:
    """All that is needed, beside the clip and the plan, to make the take again."""

    version: str
    model: str
    renderer: Literal["library", "model", "auto"]
    seed: int
    steps: int
    guidance: float
    caption: str = ""
    avoid: tuple[str, ...] = ()
    precision: str = "fp32"
    device: str = "cpu"
    apart: bool = False
    """ThinkSound made a layer for every source."""


@dataclass(frozen=True)
class Take:
    source: Source
    plan: Plan
    layers: tuple[Layer, ...]
    audio: NDArray[np.float32]  # [2, N] the mix
    mix: Mix
    settings: Settings
    parent: str | None = None
    """Id of the take that this one was edited from."""
    what: str = ""
    """What was done to the parent, in words."""
    before: Fraction = Fraction(0)
    """Seconds of sound before the picture begins; sound may also go on after its end."""
    edit: EditPlan | None = None
    """The instruction that was followed, and what it was understood to ask for."""

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits that stand for everything but the sound itself."""
        return hashlib.sha256(json.dumps(self._record(), sort_keys=True).encode()).hexdigest()[:12]

    def describe(self) -> dict[str, Any]:
        """take.json."""
        return {"schema": SCHEMA, "id": self.id} | self._record()

    def _record(self) -> dict[str, Any]:
        layers = [
            {k: v for k, v in vars(layer).items() if k != "audio"} | {"file": f"layers/{layer.name}.wav"}
            for layer in self.layers
        ]
        record = {
            "source": asdict(self.source) | {"seconds": str(self.source.seconds)},
            "settings": {k: v for k, v in asdict(self.settings).items() if k != "apart" or v},
            "mix": asdict(self.mix) | {"file": "mix.wav"},
            "layers": json.loads(json.dumps(layers)),
            "plan": hashlib.sha256(self.plan.to_json().encode()).hexdigest(),
            "parent": self.parent,
        }
        # What an older version did not know is left out where it is not used, so that a take keeps its id.
        if self.what:
            record["what"] = self.what
        if self.before:
            record["before"] = str(self.before)
        if self.edit is not None:
            record["edit"] = self.edit.to_dict()
        return record

    def save(self, output: Output, clip: Clip, force: bool = False) -> None:
        """Write OUT.take/ and OUT.mp4; both appear whole or not at all."""
        output.check(force)
        with output.staging() as stage:
            folder = stage / "take"
            self.write(folder, clip, output.video.suffix)
            video = stage / output.video.name
            shutil.copyfile(folder / f"preview{output.video.suffix}", video)
            output.publish(folder, video)

    def write(self, folder: Path, clip: Clip, suffix: str = ".mp4") -> None:
        """All files of the take, with the picture of `clip`, into a folder; take.json last, with their hashes."""
        from reasound.media import audio as audio_files
        from reasound.media.mux import mux

        (folder / "layers").mkdir(parents=True)
        audio_files.write(folder / "mix.wav", self.audio)
        for layer in self.layers:
            audio_files.write(folder / "layers" / f"{layer.name}.wav", layer.audio)
        (folder / "plan.json").write_text(self.plan.to_json(), encoding="utf-8")
        first = samples(self.before)
        beside = self.audio[:, first : first + samples(clip.seconds)]
        mux(clip, beside, folder / f"preview{suffix}", original=self.mix.original)
        files = {
            p.relative_to(folder).as_posix(): digest_of(p) for p in sorted(folder.rglob("*")) if p.is_file()
        }
        record = self.describe() | {"files": files}
        sealed = json.dumps(record | {"seal": seal_of(record)}, indent=2, ensure_ascii=False) + "\n"
        (folder / "take.json").write_text(sealed, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path | str) -> Take:
        """A take folder; UserError when it is not one, or was written by a later version."""
        folder = Path(folder)
        try:
            record = json.loads((folder / "take.json").read_text(encoding="utf-8"))
            if record["schema"] != SCHEMA:
                raise UserError(
                    f"{folder} has the schema {record['schema']!r}; this version reads {SCHEMA!r}"
                )
            _check(folder, record)
            layers = tuple(
                Layer(audio=_read(folder / row.pop("file")), **_tuples(row, "events", "recordings"))
                for row in record["layers"]
            )
            mix = {k: v for k, v in record["mix"].items() if k != "file"}
            source = record["source"] | {"seconds": Fraction(record["source"]["seconds"])}
            return cls(
                source=Source(**source),
                plan=Plan.load(folder / "plan.json"),
                layers=layers,
                audio=_read(folder / record["mix"]["file"]),
                mix=Mix(**mix),
                settings=Settings(**_tuples(record["settings"], "avoid")),
                parent=record["parent"],
                what=record.get("what", ""),
                before=Fraction(record.get("before", 0)),
                edit=EditPlan.model_validate(record["edit"]) if record.get("edit") else None,
            )
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UserError(f"{folder} is not a take folder: {error.filename or folder}: {reason}") from error
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{folder} is not a take folder: its take.json is damaged ({error})") from error


def digest_of(path: Path) -> str:
    """SHA-256."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(folder: Path, record: dict[str, Any]) -> None:
    """UserError where a file is not what was written. Takes of older versions do not say."""
    files: dict[str, str] = record.pop("files", {})
    seal = record.pop("seal", None)
    if seal is not None and seal != seal_of(record | {"files": files}):
        raise UserError(f"{folder} is damaged: take.json is not the file that was written there")
    for name, wanted in files.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{folder} is damaged: {name} is missing")
        if digest_of(path) != wanted:
            raise UserError(f"{folder} is damaged: {name} is not the file that was written there")


def seal_of(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> NDArray[np.float32]:
    from reasound.media import audio as audio_files

    return audio_files.to_stereo(audio_files.read(path)[0])


def _tuples(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return row | {name: tuple(row[name]) for name in names}


@dataclass(frozen=True)
class Output:
    """Where a result goes: OUT.mp4 (or .mov, .mkv when the name says so) and OUT.take/ beside it."""

    video: Path
    take: Path

    @classmethod
    def named(cls, name: Path | str) -> Output:
        """`out`, `out.mp4` and `out.take` all mean the same result."""
        path = Path(name)
        if path.is_dir() and path.suffix != ".take":
            raise UserError(f"{path} is a folder; name the result inside it, for example {path / 'out'}")
        suffix = path.suffix if path.suffix in VIDEO_SUFFIXES else ".mp4"
        base = path.with_suffix("") if path.suffix in (*VIDEO_SUFFIXES, ".take") else path
        return cls(base.with_name(base.name + suffix), base.with_name(base.name + ".take"))

    def check(self, force: bool) -> None:
        """Refuse, before any work is done, what could not be written at the end."""
        folder = self.video.parent
        if not folder.is_dir():
            raise UserError(f"the folder {folder} does not exist; make it first or choose another with -o")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UserError(f"cannot write in {folder}; choose another place with -o")
        for path in (self.video, self.take):
            if path.exists() and not force:
                raise UserError(
                    f"{path} exists already; choose another name with -o or replace it with --force"
                )
        if self.video.is_dir() or (self.take.exists() and not self.take.is_dir()):
            raise UserError(
                f"{self.video} or {self.take} is something else than a result; choose another name"
            )
        if self.take.is_dir() and any(self.take.iterdir()) and not (self.take / "take.json").is_file():
            raise UserError(
                f"{self.take} is not a take folder, so it is not replaced; choose another name with -o"
            )

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A hidden folder on the same disk, gone afterwards whatever happens."""
        stage = None
        try:
            stage = Path(tempfile.mkdtemp(prefix=f".{self.take.name}-", dir=self.take.parent))
            yield stage
        except (OSError, UserError) as error:
            cause = error.__cause__ if isinstance(error, UserError) else error
            if not isinstance(cause, OSError):
                raise
            raise UserError(_write_problem(cause, self.take.parent)) from cause
        finally:
            if stage is not None:
                shutil.rmtree(stage, ignore_errors=True)

    def publish(self, take: Path, video: Path) -> None:
        """Two renames; the old result goes only after the new one stands."""
        old = video.parent / "old"
        if self.take.exists():
            self.take.rename(old)
        try:
            take.chmod(0o755)
            take.rename(self.take)
            video.replace(self.video)
        except BaseException:
            if old.exists():
                shutil.rmtree(self.take, ignore_errors=True)
                old.rename(self.take)
            raise


def _write_problem(error: OSError, folder: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"no space left for the result in {folder}; free some or choose another place with -o"
    return f"cannot write the result in {folder}: {(error.strerror or str(error)).lower()}"
