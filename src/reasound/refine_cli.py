"""`reasound refine`: point at a thing, and it gets its own sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasound.console import Debug, Json, ReasonerName, notes, page, show_json, stages
from reasound.errors import UserError
from reasound.pipeline import REASONER

if TYPE_CHECKING:
    from reasound.perception.regions import Query

app = typer.Typer()


@app.command()
def refine(
    take: Annotated[
        Path, typer.Argument(help="OUT, OUT.take or OUT.mp4.", metavar="TAKE", show_default=False)
    ],
    at: Annotated[float, typer.Option(help="Seconds: when it is pointed at.", show_default=False)],
    click: Annotated[
        str, typer.Option(help="X,Y in fractions of the picture, from the top left.", show_default=False)
    ] = "",
    box: Annotated[str, typer.Option(help="X0,Y0,X1,Y1 in fractions.", show_default=False)] = "",
    phrase: Annotated[str, typer.Option(help="What the thing is called.", show_default=False)] = "",
    sound: Annotated[str, typer.Option(help="What it sounds like, if you know better.")] = "",
    follow: Annotated[bool, typer.Option(help="Pan and distance follow the thing.")] = True,
    seed: Annotated[
        int | None, typer.Option(help="Of its sound.", min=0, max=2**63 - 1, show_default="of the take")
    ] = None,
    tracker: Annotated[
        str, typer.Option(help="default, or sam2:, sam3:, edgetam: with a folder or hub name.")
    ] = "default",
    finder: Annotated[
        str, typer.Option(help="pocket, or grounding-dino: with a folder or hub name.")
    ] = "pocket",
    reasoner: ReasonerName = REASONER,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Click, box or name a thing in the picture: it gets its own layer, which follows it."""
    query = _query(click, box, phrase)
    with stages(
        {"loading": 5, "watching": 25, "following": 35, "reasoning": 5, "placing": 15, "writing": 15}
    ) as report:
        from reasound.history import History
        from reasound.perception.regions import open_finder, open_tracker
        from reasound.pipeline import Reasound
        from reasound.stages.refine import refine as done

        with History.open(take) as past:
            head = past.head
            engine = Reasound(head.settings.model, reasoner=reasoner)
            made = done(
                engine,
                head,
                past.picture(),
                query,
                at,
                sound=sound,
                follow=follow,
                seed=seed,
                tracker=open_tracker(tracker),
                finder=open_finder(finder),
                report=report,
            )
            report("writing", 0.0)
            past.commit(made)
            report("writing", 1.0)
    if as_json:
        show_json({"warnings": list(engine.notes), "plan": made.plan.to_dict()} | made.describe())
        return
    page.print(f"[bold]{past.output.take}/[/]  {made.what}", highlight=False)
    for sentence in engine.notes:
        notes.print(f"reasound: {sentence}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def _query(click: str, box: str, phrase: str) -> Query:
    """The one of the three that was given."""
    from reasound.perception.regions import Click, Drawn, Phrase
    from reasound.plan import Region

    if sum(map(bool, (click, box, phrase))) != 1:
        raise UserError("point at one thing with one of --click X,Y, --box X0,Y0,X1,Y1 and --phrase WORDS")
    if phrase:
        return Phrase(phrase)
    if click:
        return Click(*_numbers("--click", click, 2))
    x0, y0, x1, y1 = _numbers("--box", box, 4)
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise UserError(f"--box {box} is no box in the picture: X0 < X1 and Y0 < Y1, all from 0 to 1")
    return Drawn(Region(x0=x0, y0=y0, x1=x1, y1=y1))


def _numbers(option: str, text: str, count: int) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != count:
        raise UserError(f"{option} needs {count} numbers with commas between, not {text!r}")
    return found
