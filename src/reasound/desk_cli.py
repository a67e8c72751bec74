"""What is done to a take that is there: its history, its layers, and takes side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reasound.console import Debug, Json, notes, page, show_json, stages
from reasound.errors import UserError
from reasound.pipeline import LOUDNESS, PEAK

if TYPE_CHECKING:
    from reasound.history import Entry, History
    from reasound.take import Layer, Take

app = typer.Typer()
TakePath = Annotated[
    Path, typer.Argument(help="OUT, OUT.take or OUT.mp4.", metavar="TAKE", show_default=False)
]
LayerName = Annotated[
    str,
    typer.Argument(
        help="A layer's name, its beginning, or the id of an event.", metavar="LAYER", show_default=False
    ),
]


@app.command()
def history(take: TakePath, as_json: Json = False, debug: Debug = False) -> None:
    """All takes that were made of a clip, what made them, and which is heard now."""
    from reasound.history import History

    with History.open(take) as past:
        entries = past.entries
    if as_json:
        show_json({"takes": [vars(e) for e in entries]})
        return
    for e in entries:
        mark = "[bold]->[/]" if e.is_head else "  "
        tone = "" if e.is_past else "[dim]"
        page.print(
            f"{mark} {tone}{e.id}  {e.what or 'foley'}{'' if e.is_past else '  (undone)'}", highlight=False
        )


@app.command()
def undo(take: TakePath, as_json: Json = False, debug: Debug = False) -> None:
    """Back to the take before, byte for byte."""
    from reasound.history import History

    with History.open(take) as past:
        _show_head(past.undo(), as_json)


@app.command()
def redo(take: TakePath, as_json: Json = False, debug: Debug = False) -> None:
    """Forward again to what was undone."""
    from reasound.history import History

    with History.open(take) as past:
        _show_head(past.redo(), as_json)


@app.command()
def diff(
    first: TakePath,
    second: Annotated[
        str,
        typer.Argument(
            help="Another take, or an id of the history of the first.", metavar="B", show_default=False
        ),
    ] = "",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """What is different in B, in words; without a B, what the last change did."""
    from reasound.stages.desk import differences

    before, after = _pair(first, second)
    sentences = differences(before, after)
    if as_json:
        show_json({"a": before.id, "b": after.id, "differences": sentences})
        return
    for sentence in sentences or ["They are the same."]:
        page.print(sentence, highlight=False, soft_wrap=True)


@app.command()
def ab(
    first: TakePath,
    second: Annotated[
        str, typer.Argument(help="Another take, or an id.", metavar="B", show_default=False)
    ] = "",
    out: Annotated[Path, typer.Option("-o", "--out", help="A .wav file.")] = Path("ab.wav"),
    every: Annotated[float, typer.Option(help="Seconds after which the other is heard.", min=0.2)] = 2.0,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """A file that alternates between two takes at the same position: A first."""
    from reasound.media import audio
    from reasound.stages.desk import alternating

    before, after = _pair(first, second)
    if any((folder / "take.json").exists() for folder in out.resolve().parents):
        raise UserError(
            f"{out} lies in a take, which is no place for other files; choose another name with -o"
        )
    if out.exists() and not force:
        raise UserError(f"{out} exists already; choose another name with -o or replace it with --force")
    sound = alternating(before, after, every)
    audio.write(out, sound)
    if as_json:
        show_json({"file": str(out), "a": before.id, "b": after.id, "every": every})
    else:
        page.print(f"[bold]{out}[/]: {before.id} and {after.id}, every {every:g} s", highlight=False)


@app.command()
def mute(take: TakePath, layer: LayerName, as_json: Json = False, debug: Debug = False) -> None:
    """A layer is not heard."""
    _change(take, layer, {"mute": True}, as_json)


@app.command()
def unmute(take: TakePath, layer: LayerName, as_json: Json = False, debug: Debug = False) -> None:
    """A muted layer is heard again."""
    _change(take, layer, {"mute": False}, as_json)


@app.command()
def solo(take: TakePath, layer: LayerName, as_json: Json = False, debug: Debug = False) -> None:
    """Only layers that are solo are heard."""
    _change(take, layer, {"solo": True}, as_json)


@app.command()
def unsolo(take: TakePath, layer: LayerName, as_json: Json = False, debug: Debug = False) -> None:
    """A layer is no longer solo."""
    _change(take, layer, {"solo": False}, as_json)


@app.command()
def lock(take: TakePath, layer: LayerName, as_json: Json = False, debug: Debug = False) -> None:
    """No edit may change a layer."""
    _change(take, layer, {"lock": True}, as_json)


@app.command()
def unlock(take: TakePath, layer: LayerName, as_json: Json = False, debug: Debug = False) -> None:
    """A layer may be changed again."""
    _change(take, layer, {"lock": False}, as_json)


@app.command()
def gain(
    take: TakePath,
    layer: LayerName,
    db: Annotated[float, typer.Argument(help="dB, as it was made: 0.", metavar="DB", show_default=False)],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """How loud a layer is beside what it was made as."""
    _change(take, layer, {"gain": db}, as_json)


@app.command()
def pan(
    take: TakePath,
    layer: LayerName,
    to: Annotated[float, typer.Argument(help="-1 left to 1 right.", metavar="PAN", show_default=False)],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Move a layer to a side: 0 leaves it where it was made."""
    _change(take, layer, {"pan": to}, as_json)


@app.command()
def reroll(
    take: TakePath,
    layer: LayerName,
    seed: Annotated[
        int | None, typer.Option(help="Another sound.", min=0, max=2**63 - 1, show_default="the next")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a layer's sound again, another one for the same event, as loud as it was."""
    from reasound.history import History

    with stages({"loading": 10, "placing": 40, "generating": 40, "writing": 10}) as report:
        from reasound.pipeline import Reasound
        from reasound.stages.desk import find_layer, rerolled

        with History.open(take) as past:
            head = past.head
            old = find_layer(head, layer)
            made = rerolled(
                Reasound(head.settings.model), head, old, old.seed + 1 if seed is None else seed, report
            )
            report("writing", 0.0)
            past.commit(made)
            _show_commit(past, as_json)
            if old.mute:
                _warn_muted(old)


def _change(take: Path, name: str, fields: dict[str, Any], as_json: bool) -> None:
    from reasound.history import History
    from reasound.stages.desk import changed, find_layer

    with History.open(take) as past:
        head = past.head
        old = find_layer(head, name)
        past.commit(changed(head, name, **fields))
        _show_commit(past, as_json)
        if old.mute and fields.keys() & {"gain", "pan"}:
            _warn_muted(old)


def _pair(first: Path, second: str) -> tuple[Take, Take]:
    from reasound.history import History
    from reasound.take import Output, Take

    with History.open(first) as past:
        head = past.head
        if not second:
            if head.parent is None:
                raise UserError("this is the first take; name another to compare it with")
            return past.load(head.parent), head
        other = Output.named(second).take
        if not (other / "take.json").is_file():
            return head, past.load(second)
    return head, Take.load(other)


@app.command()
def generate(
    take: TakePath,
    plan: Annotated[
        Path, typer.Option(help="The plan to follow, as plan.json of the take.", show_default=False)
    ],
    seed: Annotated[
        int | None,
        typer.Option(help="Of what is made again.", min=0, max=2**63 - 1, show_default="as it was"),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Follow a plan that you changed: what changed in it is made again, all else stays bit for bit."""
    from reasound.history import History

    with stages({"loading": 10, "watching": 10, "placing": 40, "generating": 30, "writing": 10}) as report:
        from reasound.pipeline import Reasound
        from reasound.plan import Plan
        from reasound.stages.replan import replanned

        with History.open(take) as past:
            head = past.head
            engine = Reasound(head.settings.model)
            picture = past.picture() if head.source.width else None
            made = replanned(engine, head, picture, Plan.load(plan), seed=seed, report=report)
            report("writing", 0.0)
            past.commit(made)
            _show_commit(past, as_json)
    for sentence in engine.notes:
        notes.print(f"reasound: {sentence}", style="yellow", highlight=False, markup=False, soft_wrap=True)


@app.command()
def remaster(
    take: TakePath,
    loudness: Annotated[float, typer.Option(help="Integrated loudness, LUFS.")] = LOUDNESS,
    peak: Annotated[float, typer.Option(help="Highest true peak, dBTP.")] = PEAK,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Bring a take to another loudness; nothing is made again."""
    from reasound.history import History
    from reasound.stages.desk import remastered

    with History.open(take) as past:
        past.commit(remastered(past.head, loudness, peak))
        _show_commit(past, as_json)


def _show_head(entry: Entry, as_json: bool) -> None:
    if as_json:
        show_json(vars(entry))
    else:
        page.print(f"now at {entry.id}  {entry.what or 'foley'}", highlight=False)


def _show_commit(past: History, as_json: bool) -> None:
    _show_head(next(e for e in past.entries if e.is_head), as_json)


def _warn_muted(layer: Layer) -> None:
    sentence = f"{layer.name!r} is muted, so the change is not heard until it is unmuted."
    notes.print(f"reasound: {sentence}", style="yellow", highlight=False, markup=False, soft_wrap=True)
