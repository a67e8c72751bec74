"""Training of the pocket reasoner: the next word of the answer, all tasks in one network.

The loss is on the words of the answers alone; prefixes and text are only read.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reasound.data.reasoning_set import Lesson
from reasound.reasoning.pocket import tokenizer as t
from reasound.reasoning.pocket import weights
from reasound.reasoning.pocket.config import PocketConfig
from reasound.reasoning.pocket.network import Network, Things
from reasound.training.ema import Ema
from reasound.training.loop import (
    Budget,
    Every,
    FiniteSteps,
    Log,
    learning_rate,
    load_checkpoint,
    save_checkpoint,
)


@dataclass(frozen=True, kw_only=True)
class ReasonerTraining:
    """Settings of one run. Times in minutes of training, not of the day: a run that was cut off goes on."""

    model: PocketConfig = field(default_factory=weights.new_config)
    budget: Budget = Budget(minutes=60.0)
    batch: int = 32
    rate: float = 2e-3
    muon: bool = True
    """Muon for the inner matrices, AdamW for the rest; False: AdamW for all."""
    muon_steps: int = 3
    blind: float = 0.08
    """Probability with which each thing of a prefix is hidden: no single one must be needed."""
    together: int = 12
    """Lessons of about the same length that are run as one, so that little is padding."""
    ema: float = 0.998
    seed: int = 0
    report_every: int = 25
    keep_seconds: float = 180.0
    export_seconds: float = 300.0


class Course(Protocol):
    """What a training reads: `data.reasoning_set.Lessons`, or a toy."""

    def batch(self, count: int, seed: int, step: int) -> Sequence[Lesson]: ...


class Trainer:
    """One run in one folder: checkpoint.pt (everything), log.jsonl, and the EMA weights in reasoner/."""

    def __init__(self, settings: ReasonerTraining, run: Path, export: Path | None = None) -> None:
        self.settings, self.run, self.export = settings, run, export or run / weights.KIND
        run.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(settings.seed)
        self.model = Network(settings.model)
        self.ema = Ema(self.model, settings.ema)
        self.step, self.elapsed, self.may_step = 0, 0.0, FiniteSteps()
        inner = [
            p
            for name, p in self.model.named_parameters()
            if settings.muon and p.ndim == 2 and name.startswith("model.layers.")
        ]
        chosen = {id(p) for p in inner}
        outer = [p for p in self.model.parameters() if id(p) not in chosen]
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(outer, lr=settings.rate, betas=(0.9, 0.98), weight_decay=0.02, fused=True)
        ]
        if inner:
            self.optimizers.append(
                torch.optim.Muon(
                    inner,
                    lr=settings.rate,
                    weight_decay=0.02,
                    adjust_lr_fn="match_rms_adamw",
                    ns_steps=settings.muon_steps,
                )
            )

    def save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "ema": self.ema.model.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "step": self.step,
            "elapsed": self.elapsed,
        }
        save_checkpoint(self.run / "checkpoint.pt", state)

    def resume(self) -> None:
        """Go on exactly where the checkpoint was written."""
        state = load_checkpoint(self.run / "checkpoint.pt")
        self.model.load_state_dict(state["model"])
        self.ema.model.load_state_dict(state["ema"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.step, self.elapsed = int(state["step"]), float(state["elapsed"])

    def start_from(self, network: Network) -> None:
        """Begin a new run with these weights."""
        self.model.load_state_dict(network.state_dict())
        self.ema.model.load_state_dict(network.state_dict())

    def write_model(self) -> None:
        """The EMA weights, as the product reads them."""
        weights.save(self.export, self.ema.model)

    def train_step(self, lessons: Sequence[Lesson]) -> dict[str, float]:
        """Learn from one batch; return what was measured."""
        s = self.settings
        rate = learning_rate(s.rate, self.step, s.budget.spent(self.step, self.elapsed))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        hiding = torch.Generator().manual_seed(s.seed * 1_000_003 + self.step)
        self.model.zero_grad(set_to_none=True)
        loss, right = 0.0, 0.0
        for part, share in parts(lessons, s.together):
            with torch.autocast("cpu", torch.bfloat16):
                lost, guessed = answer_loss(self.model, part, s.blind, hiding)
            (lost * share).backward()
            loss, right = loss + share * float(lost.detach()), right + share * float(guessed)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        finite = self.may_step(norm, self.step)
        if finite:
            for optimizer in self.optimizers:
                optimizer.step()
        self.step += 1
        self.ema.update(self.model, self.step)
        return {"loss": loss, "right": right, "norm": float(norm) if finite else 0.0}

    def train(self, course: Course) -> None:
        """Until the budget is spent. Leaves the finished model in the export folder."""
        s = self.settings
        log = Log(self.run / "log.jsonl", s.report_every)
        keep, export = Every(s.keep_seconds), Every(s.export_seconds)
        while s.budget.spent(self.step, self.elapsed) < 1.0:
            began = time.monotonic()
            lessons = course.batch(s.batch, s.seed, self.step)
            drawn = time.monotonic() - began
            measured = self.train_step(lessons)
            self.elapsed += time.monotonic() - began
            log.add({**measured, "drawing": drawn})
            if log.due(self.step):
                facts: dict[str, Any] = {"step": self.step, "minutes": round(self.elapsed / 60, 2)}
                log.write(**facts)
            if keep():
                self.save()
                if refresh := getattr(course, "refresh", None):  # read what a maker has added since
                    refresh()
            if export():
                self.write_model()
        self.save()
        self.write_model()


def parts(lessons: Sequence[Lesson], together: int) -> list[tuple[list[Lesson], float]]:
    """Lessons of about the same length, and the share of all that counts in the answers that is theirs."""
    ordered = sorted(lessons, key=lambda lesson: len(lesson.prefix) + len(lesson.tokens))
    whole = float(sum(weight(lesson).sum() for lesson in lessons))
    found = [ordered[at : at + together] for at in range(0, len(ordered), together)]
    return [(part, float(sum(weight(lesson).sum() for lesson in part)) / whole) for part in found]


@cache
def importance() -> Tensor:
    """[V] what a mistake costs: most where it changes what is heard, little where nobody can know it exactly."""
    found = torch.ones(len(t.names()))
    for cost, kinds in (
        (4.0, ("class", "verb", "refusal")),
        (3.0, ("entry", "how")),
        (0.4, ("level", "reverb", "strength", "distance", "material")),
    ):
        for kind in kinds:
            found[list(t.group(kind))] = cost
    for name in ("<because>", "<under>", "<so>", "<op>", "<no>", "<hits>"):
        found[t.token(name)] = 2.0
    return found


def weight(lesson: Lesson) -> Tensor:
    """Of each word of an answer."""
    return importance()[list(lesson.tokens[1:])]


def answer_loss(
    model: Network, lessons: Sequence[Lesson], blind: float = 0.0, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of the words of the answers, by their importance, and the share guessed right.
    `blind`: share of the things of which nothing is shown but what they are."""
    things = Things.of([lesson.prefix for lesson in lessons])
    lengths = [len(lesson.prefix) for lesson in lessons]
    if blind:
        shown = (torch.rand(len(things.kind), generator=generator) >= blind).float()
        things = things.hidden(shown)
    hidden = model.batch(things, lengths, [lesson.tokens[:-1] for lesson in lessons])
    parts = [
        row[n : n + len(lesson.tokens) - 1] for row, n, lesson in zip(hidden, lengths, lessons, strict=True)
    ]
    logits = model.logits(torch.cat(parts)).float()
    wanted = torch.tensor([k for lesson in lessons for k in lesson.tokens[1:]])
    counts = importance()[wanted]
    loss = (F.cross_entropy(logits, wanted, reduction="none") * counts).sum() / counts.sum()
    return loss, ((logits.argmax(-1) == wanted).float() * counts).sum() / counts.sum()
