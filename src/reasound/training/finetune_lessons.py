"""From rows to tensors: the question as the model will be asked it when it works, and the answer that it is to give."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reasound.data.scenes import shown
from reasound.edit_plan import EditPlan
from reasound.errors import UserError
from reasound.media.video import Clip, Picture
from reasound.perception.features import Features
from reasound.plan import Plan, Region
from reasound.reasoning.mllm import Mllm
from reasound.reasoning.prompts import Prompt
from reasound.training.finetune_rows import Example, Rows

UNLEARNED = -100
"""The label of a token that is only read."""
Look = Callable[[Clip], Features]
"""Perception: `perception.watch.watch` with its labels."""


@dataclass(frozen=True)
class Lesson:
    """A question with its answer, as a batch of one. L = tokens of both."""

    inputs: dict[str, Tensor]
    """What the model reads: input_ids [1, L], attention_mask [1, L], the pictures."""
    labels: Tensor
    """[1, L] the tokens of the answer, which is last; `UNLEARNED` before it."""

    @property
    def answer(self) -> int:
        """How many tokens are learned."""
        return int((self.labels != UNLEARNED).sum())


class Lessons:
    """The lessons of a file of rows. What perception sees of a clip is kept in a folder: it takes longest."""

    def __init__(self, rows: Rows, mllm: Mllm, look: Look, seen: Path) -> None:
        self.rows, self.mllm, self.look, self.seen = rows, mllm, look, seen
        seen.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Lesson:
        """UserError for a row whose question and answer are longer than what the model reads."""
        example = self.rows[i]
        made = lesson(self.mllm, question(self.mllm, example, self.features(example)), example.text)
        length, room = made.labels.shape[1], self.mllm.room
        if room is not None and length > room:
            raise UserError(f"{example.where} takes {length} tokens, but {self.mllm.where} reads only {room}")
        return made

    def answers(self) -> Iterator[tuple[Plan | EditPlan | None, Plan | EditPlan]]:
        """What the model answers to every row, None where that cannot be used, beside the right answer."""
        for i in range(len(self.rows)):
            example = self.rows[i]
            try:
                yield answer(self.mllm, example, self.features(example)), example.answer
            except UserError:
                yield None, example.answer

    def features(self, example: Example) -> Features | None:
        """What perception sees of the clip, or of the object's region in it; None without a clip."""
        clip = example.clip
        if clip is None:
            return None
        stat, region = clip.path.stat(), example.region
        key = (str(clip.path.resolve()), stat.st_size, stat.st_mtime_ns, clip.start, clip.seconds, region)
        path = self.seen / f"{hashlib.sha256(repr(key).encode()).hexdigest()[:24]}.npz"
        if not path.exists():
            # A part of a picture is no file, but all that perception asks of a clip.
            found = self.look(Close(clip, region) if region else clip)  # type: ignore[arg-type]
            shown.write(shown.Case(example.where, example.task, found, Plan(seconds=found.seconds)), path)
        return shown.read(path).features


@dataclass(frozen=True)
class Close:
    """A clip of which only a region is seen: what `perception.watch.watch` needs of it."""

    clip: Clip
    region: Region

    @property
    def seconds(self) -> Fraction:
        return self.clip.seconds

    @property
    def width(self) -> int:
        return max(1, round(self.clip.width * (self.region.x1 - self.region.x0)))

    @property
    def height(self) -> int:
        return max(1, round(self.clip.height * (self.region.y1 - self.region.y0)))

    def frames(self, width: int) -> Iterator[tuple[float, Picture]]:
        """As `Clip.frames`."""
        r = self.region
        for time, picture in self.clip.frames(width=round(self.clip.width * width / self.width)):
            high, wide = picture.shape[:2]
            x0, y0 = min(int(r.x0 * wide), wide - 1), min(int(r.y0 * high), high - 1)
            x1, y1 = max(x0 + 1, round(r.x1 * wide)), max(y0 + 1, round(r.y1 * high))
            yield time, picture[y0:y1, x0:x1].copy()


def question(mllm: Mllm, example: Example, features: Features | None) -> Prompt:
    """What the model is asked when it works."""
    if example.task == "edit":
        assert example.existing is not None
        return mllm.edit_prompt(example.instruction, example.existing, features, example.clip)
    assert features is not None
    if example.task == "plan":
        return mllm.plan_prompt(features, example.caption, example.avoid, example.clip)
    assert example.region is not None and example.existing is not None
    return mllm.object_prompt(features, example.region, example.existing, example.caption, example.clip)


def answer(mllm: Mllm, example: Example, features: Features | None) -> Plan | EditPlan:
    """What the model answers to the same question; UserError where that cannot be used."""
    if example.task == "edit":
        assert example.existing is not None
        return mllm.edit(example.instruction, example.existing, features=features, clip=example.clip)
    assert features is not None
    if example.task == "plan":
        return mllm.plan(features, example.caption, example.avoid, clip=example.clip)
    assert example.region is not None and example.existing is not None
    return mllm.plan_object(features, example.region, example.existing, example.caption, clip=example.clip)


def lesson(mllm: Mllm, prompt: Prompt, text: str) -> Lesson:
    """The tokens of the question as they are when the model works, then those of the answer."""
    inputs: dict[str, Any] = dict(mllm.inputs(prompt))
    asked = inputs["input_ids"]
    told = torch.tensor([mllm.answer_ids(text)])
    inputs["input_ids"] = torch.cat([asked, told], 1)
    for name, fill in (("attention_mask", 1), ("mm_token_type_ids", 0), ("token_type_ids", 0)):
        if name in inputs:
            inputs[name] = torch.cat([inputs[name], torch.full_like(told, fill)], 1)
    return Lesson(inputs, torch.cat([torch.full_like(asked, UNLEARNED), told], 1))
