"""What the commands share: the page and the notes beside it, options that all of them have, progress."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from reasound.errors import UserError

notes = Console(stderr=True)
page = Console()

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
ReasonerName = Annotated[
    str,
    typer.Option(
        "--reasoner", help="Who reasons: rules, pocket, mllm:FOLDER_OR_HUB_NAME or remote:MODEL@URL."
    ),
]

SHARES = {"watching": 50, "reasoning": 5, "placing": 15, "generating": 20, "mixing": 5, "writing": 5}
RELEASED_SHARES = {"watching": 2, "encoding": 60, "reasoning": 1, "generating": 35, "mixing": 1, "writing": 1}
"""How much of a usual run each stage takes, in percent: with pocket, with thinksound."""


@dataclass
class Stages:
    """Progress on stderr: which stage runs, how far it is, how long the rest will take."""

    bar: Progress
    shares: dict[str, int]
    started: float = field(default_factory=time.monotonic)
    spans: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.task = self.bar.add_task("loading", total=100)

    def __call__(self, stage: str, done: float) -> None:
        now = time.monotonic()
        span = self.spans.setdefault(stage, [now, now])
        span[1] = now
        before = 0
        for name, share in self.shares.items():
            if name == stage:
                break
            before += share
        self.bar.update(self.task, description=stage, completed=before + done * self.shares.get(stage, 0))

    def say(self, text: str) -> None:
        """What is being written, in place of the stage's name: its end."""
        self.bar.update(self.task, description=" ".join(text.split())[-60:])

    @property
    def total(self) -> float:
        return time.monotonic() - self.started

    def timings(self) -> dict[str, float]:
        """Seconds by stage, and in all."""
        return {name: round(b - a, 3) for name, (a, b) in self.spans.items()} | {
            "total": round(self.total, 3)
        }


@contextmanager
def stages(shares: dict[str, int] = SHARES) -> Iterator[Stages]:
    columns = TextColumn("{task.description:<10}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as bar:
        yield Stages(bar, shares)


def choose(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UserError(f"{option} must be one of {', '.join(allowed)}, not {value!r}")


def show_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
