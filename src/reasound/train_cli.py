"""`reasound train`: teach a reasoner."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasound.console import Debug, Json, choose, notes, page, show_json, stages
from reasound.errors import UserError
from reasound.machine import DEVICES

if TYPE_CHECKING:
    from reasound.training.finetune import FineTuning

app = typer.Typer(name="train", help="Teach a model from examples.", no_args_is_help=True)


@app.callback()
def _train() -> None:
    """Teach a model from examples."""


@app.command()
def reasoner(
    data: Annotated[
        Path,
        typer.Argument(
            help="A file with one question and answer a line (JSON); for --base pocket a folder of filmed scenes.",
            show_default=False,
        ),
    ],
    base: Annotated[
        str,
        typer.Option(
            help="What to start from: a model's folder or hub name; pocket: our own small one, from nothing.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("-o", "--out", help="Folder of the run; the same again goes on.", show_default=False),
    ],
    heldout: Annotated[
        Path | None,
        typer.Option(help="Rows that are not learned but asked now and then.", show_default=False),
    ] = None,
    epochs: Annotated[
        float | None,
        typer.Option(
            help="How often every row is learned.", show_default="3, without another limit", min=0.01
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="At most so many steps.", show_default=False, min=1)
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="At most so many minutes.", show_default="60 for pocket", min=0.01)
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Examples a step.", show_default="8, pocket 32", min=1)
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            help="Peak of the learning rate.", show_default="1e-4, --full 1e-5, pocket 2e-3", min=0.0
        ),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Learn all weights, not a LoRA.")] = False,
    rank: Annotated[int, typer.Option(help="Of the LoRA.", min=1)] = 16,
    alpha: Annotated[float, typer.Option(help="The LoRA counts alpha / rank.", min=0.0)] = 32.0,
    targets: Annotated[
        str,
        typer.Option(
            help="Linear layers that get one, as q_proj,v_proj.", show_default="all of the language model"
        ),
    ] = "",
    merge: Annotated[bool, typer.Option("--merge", help="Write a whole model instead of the LoRA.")] = False,
    precision: Annotated[str, typer.Option(help="bf16 or fp32.")] = "bf16",
    keep_activations: Annotated[
        bool, typer.Option("--keep-activations", help="A third faster, with much more memory.")
    ] = False,
    measure_every: Annotated[int, typer.Option(help="Steps between two looks at --heldout.", min=1)] = 200,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps or auto.")] = "auto",
    seed: Annotated[int, typer.Option(help="The same seed gives the same model.", min=0)] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Teach a language model that sees, or the pocket one, to answer as in the examples; see 'mllm:' of --reasoner."""
    choose("--precision", precision, ("bf16", "fp32"))
    choose("--device", device, DEVICES)
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        if base == "pocket":
            for option, given in (
                ("--heldout", heldout),
                ("--epochs", epochs),
                ("--full", full),
                ("--merge", merge),
            ):
                if given:
                    raise UserError(f"{option} is not for --base pocket")
            made = _pocket(data, out, minutes, steps, batch, rate, seed)
        else:
            from reasound.training.finetune import FineTuning, Lora

            lora = Lora(
                rank=rank, alpha=alpha, targets=tuple(n.strip() for n in targets.split(",") if n.strip())
            )
            settings = FineTuning(
                lora=None if full else lora,
                merge=merge and not full,
                batch=batch or 8,
                rate=rate or (1e-5 if full else 1e-4),
                precision=precision,  # type: ignore[arg-type]
                checkpointing=not keep_activations,
                seed=seed,
                measure_every=measure_every,
            )
            made = _large(data, base, out, heldout, settings, (epochs, steps, minutes), device)
    except KeyboardInterrupt:
        raise UserError(f"stopped; the same command goes on from the last checkpoint in {out}") from None
    if as_json:
        show_json({"model": str(made), "log": str(out / "log.jsonl")})
        return
    page.print(f"[bold]{made}[/]", highlight=False, soft_wrap=True)
    if base != "pocket":
        notes.print(f"use it with:  --reasoner mllm:{made}", highlight=False, soft_wrap=True)


def _large(
    data: Path,
    base: str,
    out: Path,
    heldout: Path | None,
    settings: FineTuning,
    limits: tuple[float | None, int | None, float | None],
    device: str,
) -> Path:
    """`limits`: epochs, steps, minutes. The folder of what was learned."""
    from reasound.evaluation.answers import scores
    from reasound.perception.labels import Labels
    from reasound.perception.watch import watch
    from reasound.reasoning.mllm import Mllm
    from reasound.training.finetune import FineTuner
    from reasound.training.finetune_lessons import Lessons
    from reasound.training.finetune_rows import Rows
    from reasound.training.loop import Budget

    rows, held = Rows(data), Rows(heldout) if heldout else None
    epochs, steps, minutes = limits
    if epochs is None and steps is None and minutes is None:
        epochs = 3.0
    if epochs is not None:
        whole = max(1, math.ceil(epochs * len(rows) / settings.batch))
        steps = min(whole, steps or whole)
    settings = replace(settings, budget=Budget(minutes=minutes, steps=steps))
    if settings.precision == "bf16":
        # What is learned is kept in float32: steps are smaller than bfloat16's digits.
        mllm = Mllm(base, device=device, dtype="bfloat16" if settings.lora else "float32")
    else:
        mllm = Mllm(base, device=device, dtype="float32")
    with stages({"looking": 10, "learning": 90}) as report:
        run = FineTuner(settings, mllm, out)
        labels = cache(Labels.load)
        lessons, asked = (
            Lessons(part, mllm, lambda clip: watch(clip, labels()), out / "seen") if part else None
            for part in (rows, held)
        )
        assert lessons is not None
        run.train(lessons, asked, scores, report)
    return run.export


def _pocket(
    pool: Path,
    out: Path,
    minutes: float | None,
    steps: int | None,
    batch: int | None,
    rate: float | None,
    seed: int,
) -> Path:
    from reasound.data.pocket_lessons import lessons
    from reasound.training.loop import Budget
    from reasound.training.reasoner import ReasonerTraining, Trainer

    if minutes is None and steps is None:
        minutes = 60.0
    course = lessons(pool)
    settings = ReasonerTraining(budget=Budget(minutes=minutes, steps=steps), seed=seed)
    run = Trainer(replace(settings, batch=batch or settings.batch, rate=rate or settings.rate), out)
    if (out / "checkpoint.pt").exists():
        run.resume()
    run.train(course)
    return run.export
