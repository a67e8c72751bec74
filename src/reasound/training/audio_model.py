"""Training of the audio model: flow matching in the codec's latents, all tasks in one network.

The tasks are those of the three stages: one sound alone, as the plan asks for it (every layer is made so); a whole
mixture; and, with sound that is there already, add, take out, remove, fill in and extend. Every input is dropped by
itself now and then, so that any subset works and guidance is possible (arXiv 2207.12598).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reasound.checkpoints import store
from reasound.data.latents import Item
from reasound.perception.features import Features
from reasound.plan import Plan
from reasound.synthesis.conditions import (
    BESIDE,
    EXTRACT,
    KEEP,
    MASKS,
    REMOVE,
    Conditions,
    TextEncoder,
    batched,
    prepare_conditions,
)
from reasound.synthesis.dit import DiT, DiTConfig, pocket
from reasound.synthesis.flow import noised, training_times
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

Task = Literal["object", "mixture", "add", "extract", "remove", "inpaint", "extend"]


@dataclass(frozen=True, kw_only=True)
class AudioTraining:
    """Settings of one run. Times in minutes of training, not of the day: a run that was cut off goes on."""

    model: DiTConfig = field(default_factory=lambda: pocket(sync=64))
    budget: Budget = Budget(minutes=45.0)
    batch: int = 32
    rate: float = 2e-3
    muon: bool = True
    """Muon for the inner matrices, AdamW for the rest; False: AdamW for all."""
    muon_steps: int = 3
    drop: float = 0.12
    """Probability with which each input of each item is not given."""
    silence: float = 0.08
    """Probability with which nothing is given but the context: what guidance pushes away from."""
    unlike: float = 0.2
    """Share of examples without a reference, beside those that lose it by `drop`."""
    seen: float = 0.4
    """Share of examples with what perception would see of the scene, where the training can tell."""
    told: float = 0.2
    """Share of batches that read the reasoning, which is long; the others learn from captions in half the time."""
    tasks: Mapping[Task, float] = field(
        default_factory=lambda: {
            "object": 0.5,
            "mixture": 0.1,
            "add": 0.06,
            "extract": 0.12,
            "remove": 0.12,
            "inpaint": 0.05,
            "extend": 0.05,
        }
    )
    ema: float = 0.998
    seed: int = 0
    device: str = "cpu"
    report_every: int = 25
    keep_seconds: float = 120.0
    export_seconds: float = 600.0


class Scenes(Protocol):
    """What a training reads: `data.latents.Pool`, or a toy."""

    @property
    def text(self) -> TextEncoder: ...

    def __len__(self) -> int: ...

    def __getitem__(self, i: int) -> Item: ...


def names(plan: Plan) -> list[str]:
    return [e.id for e in plan.events] + [a.id for a in plan.ambience]


def ask(plan: Plan, dry: bool, text: TextEncoder, config: DiTConfig) -> None:
    """Ask for every text that training may want of a plan."""
    if not dry:
        prepare_conditions(None, plan, text, config)
    for name in names(plan):
        prepare_conditions(None, plan, text, config, events=[name])


Drawn = tuple[Conditions, Tensor]
Look = Callable[[Plan, np.random.Generator], Features]
"""What perception would see of a scene with this plan, with all its mistakes."""


def example(
    item: Item,
    task: Task,
    rng: np.random.Generator,
    text: TextEncoder,
    config: DiTConfig,
    told: bool = True,
    unlike: float = 0.0,
    features: Features | None = None,
    seen: float = 1.0,
) -> Drawn:
    """One item of a batch: what is given, and the latents [L, C] that should come out. `told`: with the reasoning;
    `unlike`: how often without a reference; `seen`: how often with the features, if there are any."""
    plan, length = item.plan, len(item.mix)
    mix = item.mix.float()
    if item.dry:
        task = "object" if task not in ("inpaint", "extend") else task
    elif not item.stems and task not in ("mixture", "inpaint", "extend"):
        task = "mixture"
    mask = torch.zeros(length, MASKS)
    context = torch.zeros_like(mix)
    chosen: list[str] | None = None
    like = "mix"
    if task in ("mixture", "inpaint", "extend"):
        chosen = names(plan) if item.dry else None
        target = mix
        if task != "mixture":
            known = _known(length, task == "extend", rng)
            mask[known, KEEP] = 1.0
            context[known] = mix[known]
    elif item.dry:
        chosen, target = names(plan), mix
    else:
        like = name = sorted(item.stems)[int(rng.integers(len(item.stems)))]
        chosen = [name]
        stem, rest = item.stems[name].float(), item.rests[name].float()
        target = rest if task == "remove" else stem
        role = {"object": BESIDE, "add": BESIDE, "extract": EXTRACT, "remove": REMOVE}[task]
        context = rest if role == BESIDE else mix
        mask[:, role] = 1.0
    reference = None
    if config.reference:
        reference = item.references[like].float() if like in item.references else torch.zeros_like(mix)
    conditions = prepare_conditions(
        features, plan, text, config, events=chosen, reference=reference, context=(context, mask)
    )
    if features is not None and rng.random() >= seen:
        conditions = conditions.without(["visual", "sync"])
    if like not in item.references or rng.random() < unlike:
        conditions = conditions.without(["reference"])
    if not told:
        words, mask_of_words = conditions.reasoning[:, :1], conditions.reasoning_mask
        assert mask_of_words is not None
        conditions = replace(conditions, reasoning=words, reasoning_mask=mask_of_words[:, :1])
        conditions = conditions.without(["reasoning"])
    return (conditions if mask.any() else conditions.without(["context"])), target


def _known(length: int, ahead: bool, rng: np.random.Generator) -> Tensor:
    """Which frames are there already: all but a gap, or all before a moment."""
    known = torch.ones(length, dtype=torch.bool)
    if ahead:
        known[int(rng.integers(length // 5, length * 4 // 5)) :] = False
    else:
        gap = int(rng.integers(length // 10, length // 2))
        start = int(rng.integers(0, length - gap))
        known[start : start + gap] = False
    return known


class Trainer:
    """One run in one folder: checkpoint.pt (everything), log.jsonl, and the model itself (EMA weights) in dit/."""

    def __init__(
        self, settings: AudioTraining, run: Path, export: Path | None = None, look: Look | None = None
    ) -> None:
        """`export`: where the EMA weights go every `export_seconds` and at the end; RUN/dit by default. `look`: without
        it nothing is seen."""
        self.settings, self.run, self.export, self.look = settings, run, export or run / "dit", look
        self.device = torch.device(settings.device)
        run.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(settings.seed)
        self.model = DiT(settings.model).to(self.device)
        self.ema = Ema(self.model, settings.ema)
        self.step, self.elapsed, self.may_step = 0, 0.0, FiniteSteps()
        inner = [
            p
            for name, p in self.model.named_parameters()
            if settings.muon and p.ndim == 2 and name.startswith(("joint.", "solo.")) and "gain" not in name
        ]
        chosen = {id(p) for p in inner}
        outer = [p for p in self.model.parameters() if id(p) not in chosen]
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(outer, lr=settings.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        ]
        if inner:
            self.optimizers.append(
                torch.optim.Muon(
                    inner,
                    lr=settings.rate,
                    weight_decay=0.01,
                    adjust_lr_fn="match_rms_adamw",
                    ns_steps=settings.muon_steps,
                )
            )

    # -- state ---------------------------------------------------------------------------------------------------------

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
        state = load_checkpoint(self.run / "checkpoint.pt", self.device)
        self.model.load_state_dict(state["model"])
        self.ema.model.load_state_dict(state["ema"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.step, self.elapsed = int(state["step"]), float(state["elapsed"])

    def start_from(self, dit: DiT) -> None:
        """Begin a new run with these weights; what the network has beyond them begins as nothing. ValueError when they
        are not of this network."""
        state = self.model.state_dict()
        for name, tensor in dit.state_dict().items():
            if name not in state or state[name].shape != tensor.shape:
                raise ValueError(f"the weights to start from have another {name}: {dit.config}")
            state[name] = tensor
        self.model.load_state_dict(state)
        self.ema.model.load_state_dict(state)

    def write_model(self) -> None:
        """The EMA weights, as the product reads them."""
        store.save(self.export, "dit", self.ema.model.state_dict(), self.settings.model, rows=True)

    # -- one step ------------------------------------------------------------------------------------------------------

    def draw(self, scenes: Scenes, step: int) -> tuple[Conditions, Tensor]:
        """Batch number `step`: conditions, and latents [B, C, L]. The same for the same scenes and seed."""
        s, rng = self.settings, np.random.default_rng((self.settings.seed, step))
        tasks, odds = list(s.tasks), np.array(list(s.tasks.values()))
        wet = [i for i in range(len(scenes)) if not scenes[i].dry]
        dry = [i for i in range(len(scenes)) if scenes[i].dry]
        told = bool(rng.random() < s.told)
        drawn = []
        for _ in range(s.batch):
            task = tasks[int(rng.choice(len(tasks), p=odds / odds.sum()))]
            among = (dry or wet) if task == "object" else (wet or dry)
            item = scenes[among[int(rng.integers(len(among)))]]
            features = self.look(item.plan, rng) if self.look else None
            drawn.append(example(item, task, rng, scenes.text, s.model, told, s.unlike, features, s.seen))
        conditions = batched([conditions for conditions, _ in drawn])
        return conditions, torch.stack([target for _, target in drawn]).transpose(1, 2)

    def train_step(self, conditions: Conditions, sound: Tensor) -> dict[str, float]:
        """Learn from one batch; return what was measured."""
        s = self.settings
        rate = learning_rate(s.rate, self.step, s.budget.spent(self.step, self.elapsed))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        loss = self.loss(conditions, sound)
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        finite = self.may_step(norm, self.step)
        if finite:
            for optimizer in self.optimizers:
                optimizer.step()
        self.step += 1
        self.ema.update(self.model, self.step)
        return {"loss": float(loss.detach()), "norm": float(norm) if finite else 0.0}

    def loss(self, conditions: Conditions, sound: Tensor) -> Tensor:
        """Mean squared error of the velocity. Times, noise and dropping depend on seed and step alone."""
        s = self.settings
        generator = torch.Generator().manual_seed(s.seed * 1_000_003 + self.step)
        t = training_times(len(sound), generator).to(self.device)
        noise = torch.randn(sound.shape, generator=generator).to(self.device)
        given = conditions.dropped(s.drop, s.silence, generator).map(lambda x: x.to(self.device))
        x, target = noised(sound.to(self.device), noise, t)
        with torch.autocast(self.device.type, torch.bfloat16):
            velocity = self.model(x, t, given)
        return F.mse_loss(velocity.float(), target)

    # -- around the steps ----------------------------------------------------------------------------------------------

    def train(self, scenes: Scenes) -> None:
        """Until the budget is spent. Leaves the finished model in the export folder."""
        s = self.settings
        log, keep, export = (
            Log(self.run / "log.jsonl", s.report_every),
            Every(s.keep_seconds),
            Every(s.export_seconds),
        )
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
                _grow(scenes)
            if export():
                self.write_model()
        self.save()
        self.write_model()


def _grow(scenes: Scenes) -> None:
    """Read what a maker has added since."""
    if refresh := getattr(scenes, "refresh", None):
        refresh()
