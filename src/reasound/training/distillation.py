"""Few steps: deltas that let the audio model do in 4 steps without guidance what it does in 24 with it.

The flow's time is cut into as many windows as there will be steps. From a point at a window's start the teacher goes to
the window's end in a few guided steps, and the student learns the one straight step that leads to the same place
(guidance distillation: arXiv 2210.03142; a straight line in each window: arXiv 2405.07510). Where it starts is noised
sound, or where the student itself comes from noise: only the first are near real sounds, only the second are met when
sampling.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reasound.checkpoints import store
from reasound.errors import UserError
from reasound.synthesis.conditions import Conditions, batched
from reasound.synthesis.dit import DiT, Prepared, build
from reasound.synthesis.flow import guided, integrate, noised, sampling_times
from reasound.synthesis.lora import Delta, FewSteps, adapt, base_hash
from reasound.training.audio_model import AudioTraining, Scenes, Trainer
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

PARTS = ("latent_in", "time", "joint", "solo", "final")
"""What runs in every step. What reads the conditions stays the teacher's: no derivative has to go through it."""


@dataclass(frozen=True, kw_only=True)
class DistilTraining:
    """Settings of one run. Times in minutes of training, not of the day: a run that was cut off goes on."""

    budget: Budget = Budget(minutes=20.0)
    drawing: AudioTraining = field(default_factory=lambda: AudioTraining(batch=16))
    """What the batches are: their size, tasks, and how often inputs are not given. The model is the teacher's."""
    steps: int = 4
    """Windows, and the student's steps."""
    guidance: float = 3.0
    substeps: int = 3
    """Guided steps of the teacher in one window."""
    own: float = 0.5
    """Share of batches that start where the student comes from noise by itself."""
    inside: float = 0.25
    """Share of items that start anywhere on the window's straight line, for other numbers of steps."""
    rank: int = 24
    scale: float = 1.0
    rate: float = 2e-3
    warmup: int = 20
    ema: float = 0.99
    seed: int = 0
    device: str = "cpu"
    report_every: int = 10
    keep_seconds: float = 60.0


class Distiller:
    """One run in one folder: checkpoint.pt (everything), log.jsonl, and the deltas (their EMA) in dit-few/."""

    def __init__(
        self, settings: DistilTraining, teacher: Path, run: Path, export: Path | None = None
    ) -> None:
        """`teacher`: the folder of a DiT. `export`: where the deltas go at the end and with every checkpoint;
        RUN/dit-few by default. UserError when the teacher cannot be read."""
        s = self.settings = settings
        self.run, self.export = run, export or run / "dit-few"
        self.device = torch.device(s.device)
        run.mkdir(parents=True, exist_ok=True)
        self.base = base_hash(teacher)
        self.student: DiT = store.load(teacher, "dit", build, device=self.device)
        self.deltas = adapt(self.student, PARTS, s.rank, s.scale, torch.Generator().manual_seed(s.seed))
        self.teacher: DiT = store.load(teacher, "dit", build, device=self.device)
        self.teacher.lower(torch.bfloat16)
        drawing = replace(s.drawing, model=self.student.config, seed=s.seed, device="cpu")
        self.draw = Trainer(drawing, run).draw
        self.trained = nn.ParameterList(self.deltas.values())
        self.ema = Ema(self.trained, s.ema)
        self.optimizer = torch.optim.AdamW(
            self.trained, lr=s.rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True
        )
        self.times = sampling_times(s.steps).to(self.device)
        self.step, self.elapsed, self.may_step = 0, 0.0, FiniteSteps()

    # -- state ---------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        state = {
            "base": self.base,
            "deltas": self.trained.state_dict(),
            "ema": self.ema.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "elapsed": self.elapsed,
        }
        save_checkpoint(self.run / "checkpoint.pt", state)

    def resume(self) -> None:
        """Go on exactly where the checkpoint was written. UserError when that was with another teacher."""
        state = load_checkpoint(self.run / "checkpoint.pt", self.device)
        if state["base"] != self.base:
            raise UserError(f"the run in {self.run} has another teacher; begin in a new folder")
        self.trained.load_state_dict(state["deltas"])
        self.ema.model.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.elapsed = int(state["step"]), float(state["elapsed"])

    def start_from(self, delta: Delta) -> None:
        """Begin with the deltas of an earlier teacher of the same shape. ValueError where they do not fit."""
        s = self.settings
        misfit = [
            name
            for name, parameter in self.deltas.items()
            if name not in delta.tensors or delta.tensors[name].shape != parameter.shape
        ]
        if misfit or delta.config.scale != s.scale:
            raise ValueError(
                f"the deltas to start from are of another network or scale: {misfit[:1] or s.scale}"
            )
        for name, parameter in self.deltas.items():
            parameter.data.copy_(delta.tensors[name])
        self.ema.model.load_state_dict(self.trained.state_dict())

    def delta(self) -> Delta:
        """The EMA of the deltas, as the product reads them."""
        s = self.settings
        tensors = dict(zip(self.deltas, (p.detach() for p in self.ema.model.parameters()), strict=True))
        config = FewSteps(rank=s.rank, scale=s.scale, guidance=s.guidance, steps=s.steps, base=self.base)
        return Delta(tensors, config)

    # -- one step ------------------------------------------------------------------------------------------------------

    def train_step(self, conditions: Conditions, sound: Tensor) -> dict[str, float]:
        """Learn from one batch; return what was measured."""
        s = self.settings
        spent = s.budget.spent(self.step, self.elapsed)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(s.rate, self.step, spent, s.warmup)
        loss = self.loss(conditions, sound)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.trained.parameters(), 1.0)
        finite = self.may_step(norm, self.step)
        if finite:
            self.optimizer.step()
        self.step += 1
        self.ema.update(self.trained, self.step)
        return {"loss": float(loss.detach()), "norm": float(norm) if finite else 0.0}

    def loss(self, conditions: Conditions, sound: Tensor) -> Tensor:
        """Mean squared error of the velocity in one step over a window. Windows, noise, dropping and where to start
        depend on seed and step alone; items of a batch have windows of their own, which costs nothing."""
        s, count = self.settings, len(sound)
        generator = torch.Generator().manual_seed(s.seed * 1_000_003 + self.step)
        window = torch.randint(s.steps, (count,), generator=generator).to(self.device)
        noise = torch.randn(sound.shape, generator=generator).to(self.device)
        own, inside = torch.rand(2, generator=generator)[0] < s.own, torch.rand(count, generator=generator)
        given = conditions.dropped(s.drawing.drop, s.drawing.silence, generator)
        given = given.map(lambda x: x.to(self.device))
        start, end = self.times[window], self.times[window + 1]
        with torch.autocast(self.device.type, torch.bfloat16):
            prepared = self.student.prepare(given, sound.shape[2])
        x = self.rolled(noise, window, prepared) if own else noised(sound.to(self.device), noise, start)[0]
        target = self.taught(x, start, end, given)
        # A point on the window's line: its velocity is that of the whole line.
        along = torch.where(inside < s.inside, inside / max(s.inside, 1e-9), 0.0).to(self.device)
        ahead = along * (end - start)
        with torch.autocast(self.device.type, torch.bfloat16):
            velocity = self.student.velocity(x + ahead[:, None, None] * target, start + ahead, prepared)
        return F.mse_loss(velocity, target)

    @torch.no_grad()
    def rolled(self, noise: Tensor, window: Tensor, prepared: Prepared) -> Tensor:
        """Where the student comes from noise by itself, at the start of each item's window [B]."""
        x = noise
        for k, (now, then) in enumerate(zip(self.times[:-2], self.times[1:-1], strict=True)):
            with torch.autocast(self.device.type, torch.bfloat16):
                moved = x + (then - now) * self.student.velocity(x, now, prepared)
            x = torch.where((window > k)[:, None, None], moved, x)
        return x

    @torch.no_grad()
    def taught(self, x: Tensor, start: Tensor, end: Tensor, given: Conditions) -> Tensor:
        """The velocity that leads from x at `start` [B] straight to where the teacher is, with guidance, at `end`."""
        prepared = self.teacher.prepare(batched([given, given.unconditioned()]), x.shape[2])
        steered = guided(lambda x, t: self.teacher.velocity(x, t.repeat(2), prepared), self.settings.guidance)
        length = (end - start)[:, None, None]
        # Over the share of the window that is done, so that one number is the time of all items.
        reached = integrate(
            lambda x, share: length * steered(x, start + share * (end - start)),
            x,
            torch.linspace(0.0, 1.0, self.settings.substeps + 1),
        )
        return (reached - x) / length

    # -- around the steps ----------------------------------------------------------------------------------------------

    def train(self, scenes: Scenes) -> None:
        """Until the budget is spent. Leaves the deltas in the export folder."""
        s = self.settings
        log, keep = Log(self.run / "log.jsonl", s.report_every), Every(s.keep_seconds)
        while s.budget.spent(self.step, self.elapsed) < 1.0:
            began = time.monotonic()
            measured = self.train_step(*self.draw(scenes, self.step))
            self.elapsed += time.monotonic() - began
            log.add(measured)
            if log.due(self.step):
                facts: dict[str, Any] = {"step": self.step, "minutes": round(self.elapsed / 60, 2)}
                log.write(**facts, scenes=len(scenes))
            if keep():
                self.save()
                self.delta().save(self.export)
        self.save()
        self.delta().save(self.export)
