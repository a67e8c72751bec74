"""`reasound models`: which models are here, and how the released ThinkSound weights get here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reasound.checkpoints import catalog
from reasound.console import Debug, Json, Stages, choose, notes, page, show_json, stages
from reasound.errors import UserError

if TYPE_CHECKING:
    from reasound.checkpoints.hub import Offer

app = typer.Typer(name="models", help="Models: which are here, get more, check them.", no_args_is_help=True)

Precision = Annotated[
    str | None,
    typer.Option(help="bf16 (half the size, and fast) or fp32 (exact).", show_default="bf16"),
]


@app.command("list")
def list_(as_json: Json = False, debug: Debug = False) -> None:
    """Show every model: its size, its licence, where it is or can be had."""
    from reasound.checkpoints.models import installed

    found = installed()
    if as_json:
        show_json(found)
        return
    for name, part in [*found["pocket"].items(), ("sounds", found["sounds"])]:
        _row(
            "pocket" if name != "sounds" else "",
            name,
            part.get("bytes"),
            part.get("problem") or part["licence"],
        )
    released = found["thinksound"]
    for name, part in released["parts"].items():
        _row("thinksound", name, part["bytes"], part["licence"])
    if "problem" in released:
        page.print(released["problem"], highlight=False)
    if released["parts"]:
        page.print(f"thinksound is in {released['path']}, {released['precision']}", highlight=False)
    if released["missing"]:
        page.print(
            f"thinksound has not: {', '.join(released['missing'])}; 'reasound models pull thinksound' gets that from",
            highlight=False,
            soft_wrap=True,
        )
        for origin in found["hub"]:
            if set(origin["parts"]) & set(released["missing"]):
                licences = "; ".join(dict.fromkeys(origin["licences"]))
                line = f"  {origin['repositories'][0]}, {_bytes(origin['bytes'])}. {licences}"
                page.print(line, highlight=False, soft_wrap=True)


@app.command()
def convert(
    source: Annotated[
        Path,
        typer.Argument(
            help="A checkpoint, or a folder with thinksound_light.ckpt, vae.ckpt, synchformer_state_dict.pth.",
            show_default=False,
        ),
    ],
    target: Annotated[
        Path | None,
        typer.Argument(
            help="The folder to make or to add to.", show_default="where --model thinksound looks"
        ),
    ] = None,
    precision: Precision = None,
    force: Annotated[bool, typer.Option("--force", help="Replace parts that are there already.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Turn released checkpoints into a model in our format, or add what one lacks."""
    from reasound.checkpoints import models

    if precision is not None:
        choose("--precision", precision, models.PRECISIONS)
    with stages(ALL) as report:
        made = models.convert(source, target or _home(), precision, _told(report), force=force)
    _show(made, as_json)


@app.command()
def verify(
    model: Annotated[
        str, typer.Argument(help="thinksound, pocket, or the folder of a model.")
    ] = catalog.THINKSOUND,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Check a model's files against their hashes, and its tensors against its network."""
    from reasound.checkpoints import models

    where = {"thinksound": _home(), "pocket": catalog.package_folder(catalog.POCKET)}.get(model) or Path(
        model
    )
    if where == _home() and not where.exists():
        catalog.thinksound()  # says that it is not installed
    with stages(ALL) as report:
        problems = models.verify(where, _told(report))
    if as_json:
        show_json({"path": str(where), "ok": not problems, "problems": problems})
    else:
        for line in problems or [f"{where}: every file and every tensor is as it should be"]:
            page.print(line, highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)


@app.command()
def pull(
    model: Annotated[str, typer.Argument(help="thinksound.", show_default=False)],
    precision: Precision = None,
    repo: Annotated[
        str | None, typer.Option(help="Another repository of the hub for the weights.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Accept the licences without being asked.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Do not touch the network: refuse.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Get the released weights from the public hub: shows size and licence, and asks first."""
    from reasound.checkpoints import hub, models

    choose("MODEL", model, (catalog.THINKSOUND,))
    if precision is not None:
        choose("--precision", precision, models.PRECISIONS)
    target = _home()
    missing = models.summary(target)["missing"] if target.exists() else list(catalog.PARTS)
    if not missing:
        raise UserError(f"thinksound is complete already, in {target}; 'reasound models verify' checks it")
    offers = hub.offers(missing, repo, offline)
    _offer(offers, target)
    if not yes and not _accepted():
        raise UserError(
            "licence not accepted, so nothing was downloaded; accept it when asked, or with --yes"
        )
    made = hub.pull(offers, target, precision, lambda step, done: notes.print(step, highlight=False))
    _show(made, as_json)
    notes.print(
        f"The downloads are kept in {hub.downloads()} and may be deleted.", highlight=False, soft_wrap=True
    )


ALL = {"all": 100}
"""The steps of these commands count on from 0 to 1."""


def _told(report: Stages) -> Callable[[str, float], None]:
    def tell(step: str, done: float) -> None:
        report("all", done)
        report.bar.update(report.task, description=step)

    return tell


def _accepted() -> bool:
    try:
        return sys.stdin.isatty() and typer.confirm("Do you accept these licences?", err=True)
    except typer.Abort:  # the end of the input
        return False


def _home() -> Path:
    return catalog.models_folder() / catalog.THINKSOUND


def _offer(offers: list[Offer], target: Path) -> None:
    """On stderr: what would be downloaded, under which terms."""
    for offer in offers:
        notes.print(f"[bold]{offer.repo}[/]  {_bytes(offer.size)}", highlight=False)
        for file in offer.files:
            notes.print(f"  {file.name}  {_bytes(file.size)}", highlight=False)
        for licence in dict.fromkeys(catalog.PARTS[part] for part in offer.origin.parts):
            notes.print(f"  licence of {licence}", highlight=False, soft_wrap=True)
    total = sum(offer.size for offer in offers)
    notes.print(f"{_bytes(total)} to download; the model goes to {target}", highlight=False, soft_wrap=True)


def _show(made: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(made)
        return
    for name, part in made["parts"].items():
        _row("", name, part["bytes"], part["licence"])
    page.print(f"[bold]{made['path']}[/]  {made['precision']}, {_bytes(made['bytes'])}", highlight=False)
    if made["missing"]:
        page.print(
            f"still missing: {', '.join(made['missing'])}; 'reasound models pull thinksound' gets what is missing",
            highlight=False,
            soft_wrap=True,
        )


def _row(family: str, name: str, size: int | None, text: str) -> None:
    shown = "" if size is None else _bytes(size)
    page.print(f"{family:<11}[bold]{name:<10}[/]{shown:>12}  {text}", highlight=False, soft_wrap=True)


def _bytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
