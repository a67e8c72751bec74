"""What every training run of ours shares: a budget with its learning rate, checkpoints, and a log.

A run is cut anywhere and goes on exactly: its state is a dictionary of tensors, numbers and strings, written whole or
not at all, and read back without unpickling code.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Budget:
    """How long a run may take: minutes of training time, steps, or whichever ends first."""

    minutes: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.minutes is None and self.steps is None:
            raise ValueError("a training budget needs minutes, steps, or both")

    def spent(self, step: int, elapsed: float) -> float:
        """The share of the budget that is gone, 0 to 1, after `step` steps and `elapsed` seconds."""
        by_time = elapsed / (60.0 * self.minutes) if self.minutes else 0.0
        by_step = step / self.steps if self.steps else 0.0
        return min(1.0, max(by_time, by_step))


def learning_rate(peak: float, step: int, spent: float, warmup: int = 100, floor: float = 0.02) -> float:
    """Linear over `warmup` steps, then half a cosine over the budget, down to `floor` times the peak."""
    return (
        peak
        * min(1.0, (step + 1) / warmup)
        * (floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * spent)))
    )


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write the state beside `path`, then move it there: a crash leaves the old checkpoint whole."""
    partial = path.with_suffix(".partial")
    torch.save(dict(state), partial)
    partial.replace(path)


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """The state that `save_checkpoint` wrote; only tensors and plain values are accepted."""
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state


class FiniteSteps:
    """Whether a step may be taken. One whose gradient is not finite is left out; many mean that the run is lost."""

    def __init__(self) -> None:
        self.skipped = 0

    def __call__(self, norm: torch.Tensor, step: int) -> bool:
        """`norm` of the gradient in step number `step`. RuntimeError after ten in a row that are left out."""
        finite = bool(norm.isfinite())
        self.skipped = 0 if finite else self.skipped + 1
        if self.skipped > 10:
            raise RuntimeError(f"the gradient was not finite for {self.skipped} steps before step {step}")
        return finite


class Log:
    """Means of what each step reports, one line of RUN/log.jsonl every `every` steps."""

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every = path, every
        self.sums: dict[str, float] = {}
        self.count = 0
        self.began = time.monotonic()

    def add(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1

    def due(self, step: int) -> bool:
        return step % self.every == 0 and self.count > 0

    def write(self, **facts: Any) -> dict[str, Any]:
        """Append the facts and the means since the last line, with the seconds that one step took; return them."""
        took = (time.monotonic() - self.began) / max(1, self.count)
        means = {name: round(total / self.count, 4) for name, total in self.sums.items()}
        row = {**facts, "seconds_per_step": round(took, 3), **means}
        with self.path.open("a") as f:
            f.write(json.dumps(row) + "\n")
        self.sums, self.count, self.began = {}, 0, time.monotonic()
        return row


class Every:
    """True once every so many seconds: when to write a checkpoint."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.last = seconds, time.monotonic()

    def __call__(self) -> bool:
        due = time.monotonic() - self.last >= self.seconds
        if due:
            self.last = time.monotonic()
        return due
