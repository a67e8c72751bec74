"""The past of a take: every stage makes a new one, and none is ever lost.

    OUT.take/...                   the head: the take that is heard now, as `reasound foley` writes it
    OUT.take/history/log.json      which takes there are, what made each of what, and which is the head
    OUT.take/history/ID/...        every other take, whole; files that are the same are one file on the disk

A change is made in a hidden folder beside the take and comes to its place by two renames. Whoever opens a take whose
change was cut off between the two puts it back first, so that it is the old one or the new one, never half of either.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from reasound.errors import UserError
from reasound.take import VIDEO_SUFFIXES, Output, Take, digest_of, seal_of

if TYPE_CHECKING:
    from reasound.media.video import Clip

SCHEMA = "reasound.history/1"
PAST = "history"
ID = re.compile("[0-9a-f]{12}")
SOUND = ".wav"
"""Of OUT, where a take has no picture."""


@dataclass(frozen=True)
class Entry:
    id: str
    parent: str | None
    what: str
    """What was done to the parent, in words; empty of a first take."""
    is_head: bool
    is_past: bool
    """It leads to the head: what was undone does not."""


class History:
    """Of one take, locked while it is open. Make one with `History.open()`, in a `with` statement."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self._lock = output.take.with_name(f".{output.take.name}.lock")
        self._held: int | None = None

    @classmethod
    def open(cls, name: Path | str) -> History:
        """`out`, `out.mp4` and `out.take` all mean the same take. UserError where there is none, or it is damaged."""
        history = cls(output_of(name))
        history._claim()
        try:
            history._recover()
            head = Take.load(history.output.take)
            if history._log()["head"] != head.id:
                raise _unreadable(history._log_file)
        except BaseException:
            history.close()
            raise
        return history

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._held is None:
            return
        with suppress(OSError):  # Windows keeps what is open
            self._lock.unlink(missing_ok=True)
        os.close(self._held)
        self._held = None

    @property
    def head(self) -> Take:
        return Take.load(self.output.take)

    @property
    def entries(self) -> list[Entry]:
        """All takes, in the order in which they were made."""
        log = self._log()
        takes, path = log["takes"], set()
        at: str | None = log["head"]
        while at in takes and at not in path:
            path.add(at)
            at = takes[at]["parent"]
        return [
            Entry(name, row["parent"], row["what"], name == log["head"], name in path)
            for name, row in takes.items()
        ]

    def load(self, name: str) -> Take:
        """The take of an id, or of the only one that begins so."""
        found = self.find(name)
        return self.head if found == self._log()["head"] else Take.load(self._folder(found))

    def find(self, name: str) -> str:
        """The whole id."""
        takes = self._log()["takes"]
        found = [name] if name in takes else [x for x in takes if name and x.startswith(name)]
        if len(found) != 1:
            many = "more than one take begins with" if found else "there is no take"
            raise UserError(f"{many} {name!r}; there are {', '.join(takes)}")
        return found[0]

    def commit(self, take: Take, clip: Clip | None = None) -> None:
        """The child of the head becomes the head. Without a clip its picture is that of the head's own video."""
        log = self._log()
        if take.parent != log["head"]:
            raise ValueError(f"the take was made of {take.parent}, but the head is {log['head']}")
        if take.id in log["takes"]:
            self.go(take.id)
            return
        log["takes"][take.id] = {"parent": take.parent, "what": take.what}

        def write(folder: Path) -> None:
            if self._has_picture:
                take.write(folder, clip or self.picture(), self.output.video.suffix)
            else:
                write_sound(take, folder)
            _share(folder, self.output.take)

        self._switch(log, take.id, write)

    def undo(self) -> Entry:
        """Back to the parent of the head."""
        log = self._log()
        parent = log["takes"][log["head"]]["parent"]
        if parent is None or parent not in log["takes"]:
            raise UserError("there is nothing to undo: this is the first take")
        return self.go(parent)

    def redo(self) -> Entry:
        """Forward to the child of the head that was last there."""
        log = self._log()
        children = [name for name, row in log["takes"].items() if row["parent"] == log["head"]]
        if not children:
            raise UserError("there is nothing to redo: nothing was made of this take")
        return self.go(max(children, key=lambda name: log["seen"].index(name)))

    def go(self, name: str) -> Entry:
        """Any take becomes the head again, byte for byte."""
        log, wanted = self._log(), self.find(name)
        if wanted != log["head"]:
            Take.load(self._folder(wanted))  # a damaged one is named before anything moves
            self._switch(log, wanted, lambda folder: _linked(self._folder(wanted), folder))
        return next(e for e in self.entries if e.is_head)

    def _switch(self, log: dict[str, Any], head: str, write: Any) -> None:
        """`write` fills the folder of the new head; all others go into its history."""
        old = log["head"]
        log["head"] = head
        log["seen"] = [name for name in log["seen"] if name != head] + [head]
        with self.output.staging() as stage:
            folder = stage / "take"
            folder.mkdir()
            write(folder)
            for name in log["takes"]:
                if name != head:
                    _linked(self.output.take if name == old else self._folder(name), folder / PAST / name)
            text = json.dumps(log, indent=1, ensure_ascii=False) + "\n"
            (folder / PAST / "log.json").write_text(text, encoding="utf-8")
            video = stage / self.output.video.name
            _link(self._shown(folder), video)
            self.output.publish(folder, video)

    def _log(self) -> dict[str, Any]:
        path = self._log_file
        if not (self.output.take / PAST).exists():
            take = Take.load(self.output.take)
            first = {"parent": None, "what": take.what}
            return {"schema": SCHEMA, "head": take.id, "takes": {take.id: first}, "seen": [take.id]}
        try:
            log: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            fits = log["schema"] == SCHEMA and log["head"] in log["takes"]
            fits = fits and sorted(log["seen"]) == sorted(log["takes"])
            for name, row in log["takes"].items():  # names of folders: none may lead out of the take
                fits = fits and ID.fullmatch(name) is not None and {"parent", "what"} <= row.keys()
            if not fits:
                raise ValueError("it does not fit together")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unreadable(path) from error
        return log

    def _folder(self, name: str) -> Path:
        return self.output.take / PAST / name

    @property
    def _log_file(self) -> Path:
        return self.output.take / PAST / "log.json"

    @property
    def _has_picture(self) -> bool:
        return self.output.video.suffix != SOUND

    def _shown(self, folder: Path) -> Path:
        """What OUT is a copy of."""
        return folder / (f"preview{self.output.video.suffix}" if self._has_picture else "mix.wav")

    def picture(self) -> Clip:
        """The film of the take, as its own video holds it. UserError where the take is of sound alone."""
        from reasound.media.video import Clip

        if not self._has_picture:
            raise UserError(
                f"{self.output.take} is of sound alone, without a picture that could be looked at"
            )
        return Clip.open(self._shown(self.output.take))

    def _claim(self) -> None:
        """UserError while another process has the take open."""
        if not self._lock.parent.is_dir():
            raise UserError(f"{self.output.take} is not a take folder: there is no such folder")
        while self._held is None:
            try:
                held = os.open(self._lock, os.O_CREAT | os.O_RDWR, 0o644)
                if not _lock(held):
                    os.close(held)
                    raise UserError(f"another process is editing {self.output.take}; wait until it is done")
            except OSError as error:
                raise UserError(
                    f"cannot write in {self._lock.parent}, so {self.output.take} cannot change"
                ) from error
            # Who had it before may have taken the file away in between: then another one is the lock.
            if self._lock.exists() and os.path.samestat(os.fstat(held), self._lock.stat()):
                self._held = held
            else:
                os.close(held)

    def _recover(self) -> None:
        """Put back what a killed process was about to replace, and tidy up behind it."""
        output = self.output
        for stage in output.take.parent.glob(f".{output.take.name}-*"):
            if not output.take.exists() and (stage / "old" / "take.json").is_file():
                (stage / "old").rename(output.take)
            shutil.rmtree(stage, ignore_errors=True)
        shown = self._shown(output.take)
        if shown.is_file() and (not output.video.exists() or not _same(shown, output.video)):
            with output.staging() as stage:
                shutil.copyfile(shown, stage / output.video.name)
                (stage / output.video.name).replace(output.video)


def output_of(name: Path | str) -> Output:
    """The take of a name, with the kind of file that it was written as: a video of any kind, or sound."""
    path = Path(name)
    output = Output.named(path.with_suffix(".take") if path.suffix == SOUND else path)
    # A kill may have left the take in the folder in which its change was made.
    for folder in (output.take, *output.take.parent.glob(f".{output.take.name}-*/old")):
        for suffix in VIDEO_SUFFIXES:
            if (folder / f"preview{suffix}").is_file():
                return Output(output.take.with_suffix(suffix), output.take)
        if (folder / "take.json").is_file() and output.take.with_suffix(SOUND).is_file():
            return Output(output.take.with_suffix(SOUND), output.take)
    return output


def save_sound(take: Take, output: Output, force: bool = False) -> None:
    """OUT.take/ and OUT.wav, both whole or not at all: what `Take.save` does, without a picture."""
    output.check(force)
    with output.staging() as stage:
        write_sound(take, stage / "take")
        shutil.copyfile(stage / "take" / "mix.wav", stage / output.video.name)
        output.publish(stage / "take", stage / output.video.name)


def write_sound(take: Take, folder: Path) -> None:
    """All files of a take of sound alone: what `Take.write` writes, but for the picture."""
    from reasound.media import audio as audio_files

    (folder / "layers").mkdir(parents=True, exist_ok=True)
    audio_files.write(folder / "mix.wav", take.audio)
    for layer in take.layers:
        audio_files.write(folder / "layers" / f"{layer.name}.wav", layer.audio)
    (folder / "plan.json").write_text(take.plan.to_json(), encoding="utf-8")
    files = {inside.as_posix(): digest_of(folder / inside) for inside in _files(folder)}
    record = take.describe() | {"files": files}
    sealed = json.dumps(record | {"seal": seal_of(record)}, indent=2, ensure_ascii=False) + "\n"
    (folder / "take.json").write_text(sealed, encoding="utf-8")


def _unreadable(log: Path) -> UserError:
    return UserError(f"{log} is damaged, so the history of this take cannot be read")


def _lock(file: int) -> bool:
    """Whether the file is this process's alone from now on; the system frees it however the process ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _files(folder: Path) -> Iterator[Path]:
    """Of a take, without those of its history."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and inside.parts[0] != PAST:
            yield inside


def _linked(source: Path, target: Path) -> None:
    """A take at a second place."""
    for inside in _files(source):
        (target / inside).parent.mkdir(parents=True, exist_ok=True)
        _link(source / inside, target / inside)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a disk that knows no links
        shutil.copyfile(source, target)


def _share(folder: Path, before: Path) -> None:
    """Files that did not change become those of the take before."""
    for inside in list(_files(folder)):
        old = before / inside
        if old.is_file() and _same(old, folder / inside):
            (folder / inside).unlink()
            _link(old, folder / inside)


def _same(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    return os.path.samefile(one, other) or digest_of(one) == digest_of(other)
