"""`reasound evaluate`: how good is it? On made scenes, real clips, captions, plans, and sounds of any system."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reasound.console import Debug, Json, ReasonerName, choose, notes, page, show_json, stages
from reasound.errors import UserError
from reasound.pipeline import REASONER, STEPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reasound.evaluation.page import Card

app = typer.Typer(
    name="evaluate",
    help="Measure quality: on made scenes, real clips, captions, plans, or sounds of any system.",
    no_args_is_help=True,
)


Out = Annotated[
    Path | None,
    typer.Option("-o", "--out", help="OUT.json and OUT.html are written.", show_default="evaluation-KIND"),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same report, to the last digit.")]
Limit = Annotated[int | None, typer.Option(help="At most so many.", show_default="all", min=1)]
Model = Annotated[str, typer.Option(help="pocket, or the folder of a model.")]
Steps = Annotated[int | None, typer.Option(help="Steps of the audio model.", show_default=str(STEPS), min=1)]
Processes = Annotated[
    int | None, typer.Option(help="How many work at once.", show_default="one a core", min=1)
]
Force = Annotated[bool, typer.Option("--force", help="Replace OUT.json and OUT.html.")]
Protocols = Annotated[
    str,
    typer.Option(
        help="Measures of the field, commas between: see 'reasound evaluate protocols'. Their weights must be here."
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(help="Folder with the weights of those measures.", show_default="MODELS/evaluation"),
]


@app.command()
def scenes(
    out: Out = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="The first scenes only: minutes, for a first look."),
    ] = False,
    limit: Limit = None,
    seed: Seed = 0,
    model: Model = "pocket",
    steps: Steps = None,
    reasoner: ReasonerName = REASONER,
    processes: Processes = None,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Made scenes, of which everything is known: every renderer, with and without each of its inputs."""
    target = _target(out, "scenes", force)
    with stages({"scenes": 95, "writing": 5}) as report:
        from reasound.data.scenes.benchmark import FULL, QUICK
        from reasound.evaluation.scenes import evaluate

        made, cards = evaluate(
            model=model,
            seed=seed,
            count=limit or (QUICK if quick else FULL),
            steps=steps or STEPS,
            processes=_processes(processes),
            tell=report,
            reasoner=reasoner,
        )
        report("writing", 0.0)
        _write(made, cards, target)
    _show(made, target, as_json, report.total)


@app.command()
def write(
    folder: Annotated[Path, typer.Argument(help="A folder to make.", show_default=False)],
    limit: Limit = None,
    seed: Seed = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the scenes out: film, sound, stems, plan, masks and edit tasks, to try another system on them."""
    if folder.exists():
        raise UserError(f"{folder} exists already; choose another name")
    if not folder.parent.is_dir():
        raise UserError(f"the folder {folder.parent} does not exist; make it or choose another place")
    with stages({"scenes": 100}) as report:
        from reasound.data.scenes.benchmark import FULL, Benchmark, write_scene
        from reasound.data.scenes.heldout import Heldout

        bench, count = Benchmark(Heldout.load(), seed), limit or FULL
        left_out: dict[str, str] = {}
        for i in range(count):
            try:
                scene = bench.scene(i)
            except UserError as error:  # rigid bodies, without MuJoCo
                left_out[bench.name(i)] = str(error)
                continue
            write_scene(scene, folder / scene.id)
            report("scenes", (i + 1) / count)
    if as_json:
        show_json({"folder": str(folder), "scenes": count - len(left_out), "left_out": left_out})
        return
    page.print(f"{count - len(left_out)} scenes in [bold]{folder}/[/]", highlight=False)
    for name, reason in left_out.items():
        page.print(f"{name} was left out: {reason}", highlight=False, soft_wrap=True)


@app.command()
def clips(
    folder: Annotated[Path, typer.Argument(help="Videos, with or without sound.", show_default=False)],
    out: Out = None,
    layout: Annotated[str, typer.Option(help="folder, vggsound, movie-gen, or auto.")] = "auto",
    split: Annotated[str | None, typer.Option(help="Of a set that has splits.", show_default="all")] = None,
    limit: Limit = None,
    seed: Seed = 0,
    model: Annotated[str, typer.Option(help="pocket, thinksound, or the folder of a model.")] = "pocket",
    steps: Steps = None,
    reasoner: ReasonerName = REASONER,
    protocols: Protocols = "",
    weights: Weights = None,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Real videos: make their sound from the picture alone and compare it with their own."""
    from reasound.data.sets import LAYOUTS

    choose("--layout", layout, LAYOUTS)
    target = _target(out, "clips", force)
    with stages({"clips": 95, "writing": 5}) as report:
        from dataclasses import replace

        from reasound.data.sets import read_set
        from reasound.evaluation.clips import evaluate_clips
        from reasound.evaluation.field import Field
        from reasound.pipeline import RENDERERS, Reasound

        listing = read_set(folder, layout, split)  # type: ignore[arg-type]
        engine = Reasound(model, reasoner=reasoner)
        made, cards = evaluate_clips(
            engine,
            replace(listing, samples=listing.samples[:limit]),
            seed=seed,
            renderers=RENDERERS if engine.released is None else ("model",),
            steps=steps,
            judges=Field(_words(protocols), weights),
            report=report,
        )
        report("writing", 0.0)
        _write(made, cards, target)
    _show(made, target, as_json, report.total)


@app.command()
def captions(
    out: Out = None,
    limit: Limit = None,
    seed: Seed = 0,
    model: Model = "pocket",
    steps: Steps = None,
    processes: Processes = None,
    write_renderers: Annotated[
        Path | None, typer.Option(help="Also write the table that --renderer auto reads.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """A caption of each sound class to sound: does a tagger hear the class? By class and renderer."""
    target = _target(out, "captions", force)
    if write_renderers is not None and limit is not None:
        raise UserError("--write-renderers needs every class; leave out --limit")
    with stages({"captions": 95, "writing": 5}) as report:
        from reasound.evaluation.captions import evaluate, renderers

        made = evaluate(model, seed, steps or STEPS, limit, _processes(processes), report)
        report("writing", 0.0)
        _write(made, [], target)
        if write_renderers is not None:
            import json

            from reasound.media.atomic import replacing

            with replacing(write_renderers) as fresh:
                fresh.write_text(json.dumps(renderers(made), indent=1) + "\n", encoding="utf-8")
    _show(made, target, as_json, report.total)


@app.command()
def control(
    out: Out = None,
    limit: Limit = None,
    seed: Seed = 0,
    model: Model = "pocket",
    steps: Steps = None,
    processes: Processes = None,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Plans without video, one a class: are moments, sides, moves and removals heard? By class and renderer."""
    target = _target(out, "control", force)
    with stages({"plans": 95, "writing": 5}) as report:
        from reasound.evaluation.asked import evaluate

        made = evaluate(model, seed, steps or STEPS, limit, _processes(processes), report)
        report("writing", 0.0)
        _write(made, [], target)
    _show(made, target, as_json, report.total)


@app.command()
def instructions(
    file: Annotated[
        Path, typer.Argument(help="One instruction with its plan and meaning a line.", show_default=False)
    ],
    out: Out = None,
    reasoner: ReasonerName = REASONER,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Instructions whose meaning is known: does a reasoner, beside the rules, turn them into the right edit?"""
    target = _target(out, "instructions", force)
    with stages({"instructions": 95, "writing": 5}) as report:
        from reasound.evaluation.instructions import evaluate, opened

        made = evaluate(opened(reasoner, "rules"), file, report)
        report("writing", 0.0)
        _write(made, [], target)
    _show(made, target, as_json, report.total)


@app.command()
def sounds(
    made_sounds: Annotated[
        Path, typer.Argument(help="Sounds or videos of any system.", metavar="MADE", show_default=False)
    ],
    reference: Annotated[
        Path,
        typer.Argument(help="The real ones, under the same names.", metavar="REFERENCE", show_default=False),
    ],
    out: Out = None,
    protocols: Protocols = "",
    weights: Weights = None,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Sounds that any system made, against the real ones: the same measures, and those of the field."""
    target = _target(out, "sounds", force)
    with stages({"sounds": 95, "writing": 5}) as report:
        from reasound.evaluation.sounds import evaluate

        made = evaluate(
            made_sounds, reference, protocols=_words(protocols), weights=weights, seed=seed, tell=report
        )
        report("writing", 0.0)
        _write(made, [], target)
    _show(made, target, as_json, report.total)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="A report.", metavar="A", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Another.", metavar="B", show_default=False)],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """What moved from report A to report B beyond noise."""
    from dataclasses import asdict

    from reasound.evaluation import compare as comparing
    from reasound.evaluation.report import load

    a, b = load(first), load(second)
    if as_json:
        moved = [asdict(one) for one in comparing.compare(a, b)]
        show_json({"moved": moved, "apart": comparing.apart(a, b)})
    else:
        comparing.show_comparison(a, b, page, (str(first), str(second)))


@app.command()
def protocols(as_json: Json = False, debug: Debug = False) -> None:
    """The measures of the field: what each needs, under which licence, and whether it is here."""
    from reasound.evaluation.field import available

    rows = available()
    if as_json:
        show_json({"protocols": rows})
        return
    for row in rows:
        state = "here" if row["here"] else f"needs {row['file']} from {row['project']}"
        page.print(f"[bold]{row['name']:<22}[/] {row['protocol']}", highlight=False, soft_wrap=True)
        page.print(f"{'':<22} {row['licence']}; {state}", highlight=False, soft_wrap=True)


def _words(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _processes(wanted: int | None) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return wanted or cores


def _target(out: Path | None, kind: str, force: bool) -> Path:
    """OUT, when OUT.json and OUT.html may be written: asked before the work, not after it."""
    target = out or Path(f"evaluation-{kind}")
    if not target.parent.is_dir():
        raise UserError(f"the folder {target.parent} does not exist; make it or choose another place with -o")
    for path in (target.with_name(target.name + ".json"), target.with_name(target.name + ".html")):
        if path.exists() and not force:
            raise UserError(f"{path} exists already; choose another name with -o or replace it with --force")
    return target


def _write(report: dict[str, Any], cards: Sequence[Card], target: Path) -> None:
    from reasound.evaluation import page as pages
    from reasound.evaluation.report import save

    save(report, target.with_name(target.name + ".json"))
    pages.write(target.with_name(target.name + ".html"), report, cards)


def _show(report: dict[str, Any], target: Path, as_json: bool, seconds: float) -> None:
    from reasound.evaluation.tables import show

    if as_json:
        show_json(report)
    else:
        show(report, page)
        page.print(f"[bold]{target}.json[/] and [bold]{target}.html[/]", highlight=False)
    notes.print(f"{seconds:.0f} s", style="dim", highlight=False)
