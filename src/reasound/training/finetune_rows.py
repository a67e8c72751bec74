"""What a large model is fine-tuned on: a file of rows, each a question about a clip and the right answer.

One JSON object a line:

    video        a video file, from the folder of the rows' file. An edit may have none
    start, end   seconds of the video, where only a part is meant
    task         "plan": the whole clip; "object": one object of it; "edit": an instruction
    caption      what the user says of the clip (plan, object; may be missing)
    avoid        a list of what must not be heard (plan; may be missing)
    region       the object's box, {"x0", "y0", "x1", "y1"} in fractions of the picture (object)
    plan         what is planned already, as in a take's plan.json (object, edit)
    instruction  what the user wants to be changed (edit)
    answer       plan and object: a plan as in plan.json, with its reasoning; edit: an edit plan

The answer is taught as `reasoning.answer_text` writes it, and a row is refused unless `reasoning.answers` reads that
text back as it was meant.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from reasound.edit_plan import EditPlan
from reasound.errors import UserError
from reasound.media.video import Clip
from reasound.plan import Document, Plan, Region, Seconds
from reasound.reasoning.answer_text import answer_text
from reasound.reasoning.answers import Answer, Unusable, read_edit, read_object, read_plan

Task = Literal["plan", "object", "edit"]
NEAR = 0.1
"""Seconds by which a plan's length may differ from its clip's."""

_NEEDS: dict[Task, tuple[str, ...]] = {
    "plan": ("video",),
    "object": ("video", "region", "plan"),
    "edit": ("plan", "instruction"),
}
_MAY: dict[Task, tuple[str, ...]] = {"plan": ("caption", "avoid"), "object": ("caption",), "edit": ("video",)}


class Row(Document):
    """One line."""

    _kind: ClassVar[str] = "row"

    task: Task
    answer: dict[str, Any]
    video: str = ""
    start: Seconds = 0.0
    end: Seconds | None = None
    caption: str = ""
    avoid: tuple[str, ...] = ()
    region: Region | None = None
    plan: Plan | None = None
    instruction: str = ""


@dataclass(frozen=True)
class Example:
    """A row with its clip and its answer."""

    where: str
    """File and line."""
    task: Task
    clip: Clip | None
    answer: Plan | EditPlan
    caption: str = ""
    avoid: tuple[str, ...] = ()
    region: Region | None = None
    existing: Plan | None = None
    instruction: str = ""

    @property
    def text(self) -> str:
        """What is to be answered, word for word."""
        return answer_text(self.answer)


class Rows:
    """The examples of a file, read when they are asked for. Every row is checked when the file is opened."""

    def __init__(self, path: Path) -> None:
        """UserError for the first row that cannot be used, with its line."""
        self.path = path
        self.digest = hashlib.sha256()
        self._lines: list[tuple[int, int]] = []  # where in the file a row stands, and its number from 1
        try:
            for at, number, line in _lines(path):
                self.digest.update(line)
                if line.strip():
                    self._lines.append((at, number))
                    check(self._example(line, number))
        except OSError as error:
            raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
        if not self._lines:
            raise UserError(f"{path} holds no rows")

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, i: int) -> Example:
        at, number = self._lines[i]
        with self.path.open("rb") as file:
            file.seek(at)
            return self._example(file.readline(), number)

    def _example(self, line: bytes, number: int) -> Example:
        where = f"{self.path}, line {number},"
        row = Row.parse(line, where)
        for field in ("video", "caption", "avoid", "region", "plan", "instruction"):
            given, needed = bool(getattr(row, field)), field in _NEEDS[row.task]
            if needed and not given:
                raise UserError(f"{where} is of the task {row.task!r} but has no {field}")
            if given and not needed and field not in _MAY[row.task]:
                raise UserError(f"{where} is of the task {row.task!r}, which takes no {field}")
        answer = json.dumps(row.answer)
        kind: type[Plan] | type[EditPlan] = EditPlan if row.task == "edit" else Plan
        return Example(
            where=where,
            task=row.task,
            clip=self._clip(row, where),
            answer=kind.parse(answer, f"the answer in {where.rstrip(',')}"),
            caption=row.caption,
            avoid=row.avoid,
            region=row.region,
            existing=row.plan,
            instruction=row.instruction,
        )

    def _clip(self, row: Row, where: str) -> Clip | None:
        if not row.video:
            return None
        try:
            clip = Clip.open(self.path.parent / row.video)
            if row.start or row.end is not None:
                clip = clip.cut(row.start, float(clip.seconds) if row.end is None else row.end)
        except UserError as error:
            raise UserError(f"{where} cannot be used: {error}") from error
        return clip


def _lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """(offset in bytes, number from 1, line)"""
    at = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            yield at, number, line
            at += len(line)


def check(example: Example) -> None:
    """UserError unless the answer fits its clip and is read back as it was meant."""
    where = example.where
    if example.clip is not None:
        seconds = float(example.clip.seconds)
        for what, plan in (("an answer", example.answer), ("a plan", example.existing)):
            if isinstance(plan, Plan) and abs(plan.seconds - seconds) > NEAR:
                raise UserError(
                    f"{where} has {what} for {plan.seconds:g} s, but its clip lasts {seconds:g} s"
                )
    try:
        read = _read_back(example)
    except Unusable as problem:
        raise UserError(f"{where} has an answer that cannot be used: {problem}") from problem
    if _meaning(read.value) != _meaning(example.answer):
        why = f": {read.notes[0]}" if read.notes else ""
        raise UserError(f"{where} has an answer that would be read otherwise than it is meant{why}")


def _read_back(example: Example) -> Answer[Any]:
    if example.task == "edit":
        assert example.existing is not None
        return read_edit(example.text, example.instruction, example.existing)
    assert example.clip is not None
    seconds = float(example.clip.seconds)
    if example.task == "plan":
        return read_plan(example.text, seconds, example.avoid)
    assert example.existing is not None and example.region is not None
    return read_object(example.text, seconds, example.existing, example.region)


def _meaning(answer: Plan | EditPlan) -> list[tuple[object, ...]]:
    """What must not change between what is written and what is read."""
    if isinstance(answer, EditPlan):
        return [(o.verb, o.targets, o.sound_class, o.side) for o in answer.operations]
    events = [(e.id, e.sound_class, len(e.onsets)) for e in answer.events]
    return [*events, *((a.id, a.sound_class) for a in answer.ambience)]
