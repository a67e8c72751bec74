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
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import psutil

from reasound.errors import UserError
from reasound.media.atomic import replacing
from reasound.take import Output, Take, digest_of

if TYPE_CHECKING:
    from reasound.media.video import Clip

SCHEMA = "reasound.history/1"
PAST = "history"


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

    @classmethod
    def open(cls, name: Path | str) -> History:
        """`out`, `out.mp4` and `out.take` all mean the same take. UserError where there is none, or it is damaged."""
        history = cls(Output.named(name))
        history._claim()
        try:
            history._recover()
            Take.load(history.output.take)
            history._log()
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
        self._lock.unlink(missing_ok=True)

    @property
    def head(self) -> Take:
        return Take.load(self.output.take)

    @property
    def entries(self) -> list[Entry]:
        """All takes, in the order in which they were made."""
        log = self._log()
        takes, path = log["takes"], set()
        at: str | None = log["head"]
        while at is not None and at in takes:
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
            take.write(folder, clip or self.picture(), self.output.video.suffix)
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
            _link(folder / f"preview{self.output.video.suffix}", video)
            self.output.publish(folder, video)

    def _log(self) -> dict[str, Any]:
        path = self.output.take / PAST / "log.json"
        if not path.exists():
            take = Take.load(self.output.take)
            first = {"parent": None, "what": take.what}
            return {"schema": SCHEMA, "head": take.id, "takes": {take.id: first}, "seen": [take.id]}
        try:
            log: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if (
                log["schema"] != SCHEMA
                or log["head"] not in log["takes"]
                or set(log["seen"]) != set(log["takes"])
            ):
                raise ValueError("it does not fit together")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged, so the history of this take cannot be read") from error
        return log

    def _folder(self, name: str) -> Path:
        return self.output.take / PAST / name

    def picture(self) -> Clip:
        """The film of the take, as its own video holds it."""
        from reasound.media.video import Clip

        return Clip.open(self.output.take / f"preview{self.output.video.suffix}")

    def _claim(self) -> None:
        """UserError while another process has the take open."""
        if not self._lock.parent.is_dir():
            raise UserError(f"{self.output.take} is not a take folder: there is no such folder")
        for _ in range(2):
            try:
                with os.fdopen(os.open(self._lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY), "w") as file:
                    file.write(str(os.getpid()))
                return
            except FileExistsError:
                if _is_held(self._lock):
                    break
                self._lock.unlink(missing_ok=True)
            except OSError as error:
                raise UserError(
                    f"cannot write in {self._lock.parent}, so {self.output.take} cannot change"
                ) from error
        raise UserError(f"another process is editing {self.output.take}; wait until it is done")

    def _recover(self) -> None:
        """Put back what a killed process was about to replace, and tidy up behind it."""
        output = self.output
        for stage in output.take.parent.glob(f".{output.take.name}-*"):
            if not output.take.exists() and (stage / "old" / "take.json").is_file():
                (stage / "old").rename(output.take)
            shutil.rmtree(stage, ignore_errors=True)
        preview = output.take / f"preview{output.video.suffix}"
        if preview.is_file() and (not output.video.exists() or not _same(preview, output.video)):
            with replacing(output.video) as fresh:
                shutil.copyfile(preview, fresh)


def _is_held(lock: Path) -> bool:
    try:
        owner = int(lock.read_text() or "0")
    except (OSError, ValueError):
        return False
    return owner == os.getpid() or (owner > 0 and psutil.pid_exists(owner))


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
