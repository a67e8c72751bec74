"""`reasound edit`: an instruction, shown as it was understood, and then done."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reasound.console import Debug, Json, ReasonerName, notes, page, show_json, stages
from reasound.errors import UserError
from reasound.pipeline import REASONER

if TYPE_CHECKING:
    from reasound.edit_plan import EditPlan
    from reasound.history import History
    from reasound.media.video import Clip
    from reasound.take import Output, Take

app = typer.Typer()
SPAN = re.compile(r"(?P<start>\d+(?:\.\d+)?)-(?P<end>\d+(?:\.\d+)?)")


@app.command()
def edit(
    what: Annotated[
        Path, typer.Argument(metavar="TAKE_OR_VIDEO_OR_SOUND", help="What is edited.", show_default=False)
    ],
    instruction: Annotated[
        str, typer.Argument(help="What is to be changed, in plain words.", show_default=False)
    ],
    span: Annotated[
        str, typer.Option(help="Seconds in which something may change, A-B.", show_default=False)
    ] = "",
    seed: Annotated[
        int | None,
        typer.Option(
            help="Of new sound; without it, it follows from the take.",
            min=0,
            max=2**63 - 1,
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="For a video or sound file: OUT and OUT.take/.", show_default=False),
    ] = None,
    caption: Annotated[str, typer.Option(help="For a video or sound file: what is heard in it.")] = "",
    reasoner: ReasonerName = REASONER,
    model: Annotated[str, typer.Option(help="pocket, thinksound, or the folder of a model.")] = "pocket",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, no more.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT and OUT.take/.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Change a take, or the sound of a video or sound file, by an instruction."""
    limits = _span(span)
    found = _take_of(what)
    if found is not None and out is not None:
        raise UserError("a take is edited where it is and keeps its past; -o is for videos and sound files")
    with ExitStack() as held, stages() as report:
        from reasound.pipeline import Reasound
        from reasound.stages.edit import edit as done
        from reasound.stages.edit import opened, understood
        from reasound.stages.edits.words import sentences
        from reasound.take import Take

        output = found or _output(what, out)
        clip: Clip | None
        history: History | None = None
        if found is None:
            if not dry_run:
                if output.video.exists() and output.video.samefile(what):
                    raise UserError(f"{output.video} is what is edited; choose another name with -o")
                output.check(force)
            engine = Reasound(model, reasoner=reasoner)
            report("watching", 0.0)
            take, clip = opened(what, engine, caption)
        else:
            from reasound.media.video import Clip

            history = None if dry_run else held.enter_context(_history(found))
            take = Take.load(found.take) if history is None else history.head
            clip = Clip.open(found.video) if found.video.suffix != ".wav" and found.video.is_file() else None
            engine = Reasound(model, reasoner=reasoner)
        report("reasoning", 0.0)
        asked = understood(engine, take, instruction, limits, clip)
        said = list(engine.notes)
        if asked.refusal and not dry_run:
            raise UserError(asked.refusal)
        if not as_json:
            for sentence in sentences(asked, take.plan):
                page.print(f"  {sentence}", highlight=False, markup=False)
        made = None
        if not dry_run:
            made = done(engine, take, clip, asked, seed=seed, report=report)
            said += engine.notes
            report("writing", 0.0)
            if found is None:
                _save(made, output, clip, force)
            elif history is not None:
                history.commit(made)
            report("writing", 1.0)
    if as_json:
        show_json(_result(asked, made, output, said))
    elif made is not None:
        page.print(f"[bold]{output.take}/[/]  {made.what}", highlight=False)
    for sentence in said if not as_json else ():
        notes.print(f"reasound: {sentence}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def _result(asked: EditPlan, made: Take | None, output: Output, said: list[str]) -> dict[str, Any]:
    head: dict[str, Any] = {"edit": asked.to_dict(), "warnings": said}
    if made is None:
        return head
    files = {"video": str(output.video), "take": str(output.take), "samples": made.audio.shape[1]}
    return files | {"warnings": said, "plan": made.plan.to_dict()} | made.describe()


def _span(text: str) -> tuple[float, float] | None:
    if not text:
        return None
    found = SPAN.fullmatch(text.replace(" ", ""))
    if found is None or float(found["start"]) >= float(found["end"]):
        raise UserError(f"--span must be two times in seconds, as in 1.5-3, not {text!r}")
    return float(found["start"]), float(found["end"])


def _take_of(path: Path) -> Output | None:
    """The result that a name means; None for a foreign file."""
    from reasound.history import output_of

    if path.suffix != ".take" and path.is_dir():
        return None
    output = output_of(path)
    if (output.take / "take.json").is_file() or path.suffix == ".take":
        return output
    if not path.exists():
        raise UserError(f"there is no take and no file {path}; check its name and folder")
    return None


def _output(path: Path, out: Path | None) -> Output:
    """OUT.take, and OUT.mp4 or, for sound alone, OUT.wav."""
    from reasound.stages.edit import is_sound
    from reasound.take import Output

    name = out or Path(f"{path.stem}-edit")
    if not is_sound(path):
        return Output.named(name)
    base = name.with_suffix("") if name.suffix in (".wav", ".take") else name
    return Output(base.with_name(base.name + ".wav"), base.with_name(base.name + ".take"))


def _history(output: Output) -> History:
    """Held from before the take is read: nobody else edits it meanwhile."""
    from reasound.history import History

    return History.open(output.take)


def _save(made: Take, output: Output, clip: Clip | None, force: bool) -> None:
    from reasound.history import save_sound
    from reasound.stages.edits.files import under_picture

    if clip is None:
        save_sound(made, output, force)
    else:
        under_picture(made, clip).save(output, clip, force)
