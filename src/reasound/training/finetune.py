"""Fine-tuning of any large model that reads pictures and text: the next token of the answer, all three tasks.

    base = Mllm("Qwen/Qwen3-VL-2B-Instruct", dtype="bfloat16")
    run = FineTuner(FineTuning(), base, Path("run"))
    run.train(Lessons(Rows(Path("rows.jsonl")), base, look, Path("run/seen")))

By default it learns a LoRA (arXiv 2106.09685) of the language model's linear layers, with peft. Questions are those of
`reasoning.mllm`, word for word and picture for picture; only the tokens of the answers are learned.
"""

from __future__ import annotations

import inspect
import json
import math
import re
import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reasound.edit_plan import EditPlan
from reasound.errors import UserError
from reasound.plan import Plan
from reasound.reasoning.mllm import ADAPTER, Mllm, folder_of
from reasound.training.finetune_lessons import UNLEARNED, Lesson, Lessons
from reasound.training.loop import (
    Budget,
    Every,
    FiniteSteps,
    Log,
    learning_rate,
    load_checkpoint,
    save_checkpoint,
)

Precision = Literal["bf16", "fp32"]
Score = Callable[[Sequence[tuple[Plan | EditPlan | None, Plan | EditPlan]]], dict[str, float]]
"""How good answers are, each beside the right one: given by the caller."""

_BESIDE = (".json", ".jinja", ".txt", ".model", ".tiktoken")
"""What a model folder holds beside its weights: tokenizer, processor, chat template."""


@dataclass(frozen=True, kw_only=True)
class Lora:
    rank: int = 16
    alpha: float = 32.0
    """The delta counts alpha / rank."""
    dropout: float = 0.0
    targets: tuple[str, ...] = ()
    """Names of the linear layers of the language model that get one ("q_proj"); empty: all."""


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """Settings of one run. Times in minutes of training, not of the day: a run that was cut off goes on."""

    budget: Budget = Budget(minutes=60.0)
    lora: Lora | None = Lora()
    """None: all weights are learned."""
    merge: bool = False
    """Whether the result is a whole model, which no longer needs peft and the base."""
    batch: int = 8
    """Lessons a step, one after another; memory is that of one."""
    rate: float = 1e-4
    """Peak; for all weights a tenth of that is usual."""
    warmup: int = 20
    decay: float = 0.0
    precision: Precision = "bf16"
    checkpointing: bool = True
    """Activations are computed again instead of kept: a third more time, much less memory."""
    seed: int = 0
    report_every: int = 10
    measure_every: int = 200
    """Steps between two looks at the held-out rows."""
    keep_seconds: float = 300.0


class FineTuner:
    """One run in one folder: checkpoint.pt (what is learned, and where), log.jsonl, and the result in `export`."""

    def __init__(self, settings: FineTuning, base: Mllm, run: Path) -> None:
        """The run goes on where its checkpoint was written; UserError if that is of another base or other settings."""
        run.mkdir(parents=True, exist_ok=True)
        self.settings, self.base, self.run = settings, base, run
        self.export = run / ("adapter" if settings.lora and not settings.merge else "model")
        if (folder_of(base.where, base.download) / ADAPTER).is_file():
            raise UserError(f"{base.where} is a LoRA adapter; train on a whole model, such as --merge writes")
        self.model, _ = base.load()
        torch.manual_seed(settings.seed)
        self.adapted = self._adapt(settings.lora) if settings.lora else None
        if settings.checkpointing:
            self.model.activation_checkpointing_enable({"use_reentrant": False})
        self.learned = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(
            self.learned.values(), lr=settings.rate, betas=(0.9, 0.99), weight_decay=settings.decay
        )
        self.step, self.elapsed, self.may_step = 0, 0.0, FiniteSteps()

    def _adapt(self, lora: Lora) -> Any:
        try:
            import peft
        except ImportError as error:
            raise UserError(
                f"a LoRA needs a package that is not here ({error.name}); install it with:  "
                "pip install 'reasound[train]', or learn all weights with --full"
            ) from error
        config = peft.LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,  # type: ignore[arg-type]  # their int may be any number
            lora_dropout=lora.dropout,
            target_modules=targets(self.model, lora.targets),
        )
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", FutureWarning
            )  # peft's own, of names that transformers has changed
            adapted = peft.get_peft_model(self.model, config)
        where = Path(self.base.where).expanduser()
        config.base_model_name_or_path = str(where.resolve()) if where.is_dir() else self.base.where
        return adapted

    def save(self, facts: dict[str, Any]) -> None:
        state = {
            "learned": {name: p.detach() for name, p in self.learned.items()},
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "elapsed": self.elapsed,
            "facts": json.dumps(facts),
        }
        save_checkpoint(self.run / "checkpoint.pt", state)

    def resume(self, facts: dict[str, Any]) -> None:
        """Go on exactly where the checkpoint was written; UserError where it is of another training."""
        state = load_checkpoint(self.run / "checkpoint.pt", self.model.device)
        for name, then in json.loads(state["facts"]).items():
            if facts[name] != then:
                raise UserError(
                    f"{self.run} was begun with another {name}; go on with the same, or choose another --out"
                )
        with torch.no_grad():
            for name, p in self.learned.items():
                p.copy_(state["learned"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.elapsed = int(state["step"]), float(state["elapsed"])

    def facts(self, lessons: Lessons) -> dict[str, Any]:
        """What must be the same for a run to go on."""
        s = self.settings
        return {
            "base": self.base.where,
            "file of rows": lessons.rows.digest.hexdigest(),
            "LoRA": asdict(s.lora) | {"targets": list(s.lora.targets)} if s.lora else None,
            "precision": s.precision,
            "batch": s.batch,
            "seed": s.seed,
        }

    def batch(self, lessons: Lessons, step: int) -> list[Lesson]:
        """The lessons of a step: every row once, in a new order, before any comes again."""
        s, count = self.settings, len(lessons)
        places = range(step * s.batch, (step + 1) * s.batch)
        orders = {n // count: np.random.default_rng((s.seed, n // count)).permutation(count) for n in places}
        return [lessons[int(orders[n // count][n % count])] for n in places]

    def train_step(self, lessons: Sequence[Lesson]) -> dict[str, float]:
        """Learn from some lessons as one; return what was measured."""
        s = self.settings
        spent = s.budget.spent(self.step, self.elapsed)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(s.rate, self.step, spent, s.warmup)
        torch.manual_seed(s.seed * 1_000_003 + self.step)  # of dropout
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        whole = sum(lesson.answer for lesson in lessons)
        loss, right = 0.0, 0.0
        for lesson in lessons:
            lost, guessed = self.loss(lesson)
            (lost / whole).backward()
            loss, right = loss + float(lost.detach()) / whole, right + float(guessed) / whole
        norm = nn.utils.clip_grad_norm_(self.learned.values(), 1.0)
        finite = self.may_step(norm, self.step)
        if finite:
            self.optimizer.step()
        self.step += 1
        return {"loss": loss, "right": right, "norm": float(norm) if finite else 0.0}

    def loss(self, lesson: Lesson) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the answer's tokens, summed, and how many of them are guessed right."""
        device: torch.device = self.model.device
        inputs = {name: value.to(device) for name, value in lesson.inputs.items()}
        labels = lesson.labels.to(device)
        kept = {}
        if "logits_to_keep" in inspect.signature(self.model.forward).parameters:
            kept["logits_to_keep"] = lesson.answer + 1  # logits of the question would take most of the memory
        with torch.autocast(device.type, torch.bfloat16, enabled=self.settings.precision == "bf16"):
            logits = self.model(**inputs, use_cache=False, **kept).logits
        guesses = logits[0, :-1].float()
        wanted = labels[0, -len(guesses) :]
        lost = F.cross_entropy(guesses, wanted, reduction="sum", ignore_index=UNLEARNED)
        return lost, ((guesses.argmax(-1) == wanted) & (wanted != UNLEARNED)).sum()

    def train(
        self,
        lessons: Lessons,
        heldout: Lessons | None = None,
        score: Score | None = None,
        tell: Callable[[str, float], None] = lambda stage, done: None,
    ) -> None:
        """Until the budget is spent, from the checkpoint if there is one. Leaves the result in `export`.

        `heldout` is asked now and then, and its answers are scored; `tell` is told the stage and its share done.
        UserError, before anything is learned, for a row that cannot be asked.
        """
        s, facts = self.settings, self.facts(lessons)
        if (self.run / "checkpoint.pt").exists():
            self.resume(facts)
        else:
            for k, course in enumerate(c for c in (lessons, heldout) if c is not None):
                for i in range(len(course)):
                    tell("looking", (k + i / len(course)) / (2 if heldout else 1))
                    course[i]
        log = Log(self.run / "log.jsonl", s.report_every)
        keep = Every(s.keep_seconds)
        with ThreadPoolExecutor(1) as ahead:  # the next pictures are decoded while these are learned from
            coming = ahead.submit(self.batch, lessons, self.step)
            while (spent := s.budget.spent(self.step, self.elapsed)) < 1.0:
                tell("learning", spent)
                began = time.monotonic()
                batch = coming.result()
                coming = ahead.submit(self.batch, lessons, self.step + 1)
                log.add(self.train_step(batch))
                self.elapsed += time.monotonic() - began
                told: dict[str, Any] = {"step": self.step, "minutes": round(self.elapsed / 60, 2)}
                over = s.budget.spent(self.step, self.elapsed) >= 1.0
                if heldout is not None and (over or self.step % s.measure_every == 0):
                    coming.result()  # two threads must not use one tokenizer
                    log.write(**told, heldout=self.measure(heldout, score))
                elif over or log.due(self.step):
                    log.write(**told)
                if keep():
                    self.save(facts)
        self.save(facts)
        self.write_model()

    def measure(self, heldout: Lessons, score: Score | None) -> dict[str, float]:
        """The loss on the answers of held-out rows, and how good the model's own answers are."""
        self.model.eval()
        lost, tokens, longest = 0.0, 0, 0
        with torch.inference_mode():
            for i in range(len(heldout)):
                lesson = heldout[i]
                lost += float(self.loss(lesson)[0])
                tokens += lesson.answer
                longest = max(longest, lesson.answer)
        found = {"loss": lost / tokens}
        if score is not None:
            told = self.base.options
            # One that has not learned to end would go on for minutes.
            self.base.options = told | {"max_new_tokens": min(2 * longest, told["max_new_tokens"])}
            found |= score(list(heldout.answers()))
            self.base.options = told
        return {name: round(value, 4) for name, value in found.items() if math.isfinite(value)}

    def write_model(self) -> None:
        """The result, as `Mllm` opens it, in place of an earlier one. A merge is the end of the training."""
        fresh = self.export.with_suffix(".partial")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        if self.adapted is not None and not self.settings.merge:
            self._write_adapter(fresh, self.adapted)
        else:
            self._write_whole(fresh)
        shutil.rmtree(self.export, ignore_errors=True)
        fresh.rename(self.export)

    def _write_adapter(self, folder: Path, adapted: Any) -> None:
        import peft
        from safetensors.torch import save_file

        # Without a look at the hub, which peft would take to see whether embeddings were learned.
        delta = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False)
        tensors = {name: p.detach().cpu().contiguous() for name, p in delta.items()}
        save_file(tensors, folder / "adapter_model.safetensors")
        config = adapted.peft_config["default"]
        config.inference_mode = True
        config.save_pretrained(str(folder))

    def _write_whole(self, folder: Path) -> None:
        import transformers

        base = self.base.base()
        for path in base.iterdir():
            if path.suffix in _BESIDE and not path.name.endswith(".index.json"):
                shutil.copyfile(path, folder / path.name)
        model = self.model if self.adapted is None else self.adapted.merge_and_unload()
        dtype = transformers.AutoConfig.from_pretrained(base, local_files_only=True).dtype
        model.to(dtype or torch.float32).save_pretrained(folder)


def targets(model: Any, wanted: Iterable[str] = ()) -> str:
    """Those linear layers of the language model that have one of these names, or all, as peft reads it: a pattern of
    their full names. UserError for a name that there is not."""
    decoder = model.get_decoder()
    inside = next(name for name, part in model.named_modules() if part is decoder)
    there = {name.rpartition(".")[2] for name, part in decoder.named_modules() if isinstance(part, nn.Linear)}
    if unknown := [name for name in wanted if name not in there]:
        raise UserError(
            f"the language model has no linear layers {unknown[0]!r}; it has {', '.join(sorted(there))}"
        )
    names = "|".join(re.escape(name) for name in sorted(set(wanted) or there))
    return rf"{re.escape(inside)}\.(?:.*\.)?(?:{names})"
