"""`reasound export`: a take as the files that other tools take."""

from __future__ import annotations

import re
import shutil
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from reasound.console import Debug, Json, page, show_json
from reasound.errors import UserError

app = typer.Typer()
TIMECODE = re.compile(r"(\d\d):(\d\d):(\d\d)(\.\d+)?")


@app.command()
def export(
    take: Annotated[
        Path, typer.Argument(help="OUT, OUT.take or OUT.mp4.", metavar="TAKE", show_default=False)
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="A folder, which is made.", show_default=False)],
    kinds: Annotated[
        str, typer.Option("--as", help="Commas between: video, mix, stems, markers, edl, otio, reaper, plan.")
    ] = "",
    start: Annotated[str, typer.Option(help="Time of the first picture, HH:MM:SS.")] = "00:00:00",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Stems and mix (48 kHz, 24 bit, Broadcast Wave), video, markers and plan; without --as, all but OTIO."""
    from reasound.export.delivery import USUAL, deliver
    from reasound.history import History

    if out.exists():
        raise UserError(f"{out} exists already; choose another folder with -o")
    if not out.parent.is_dir():
        raise UserError(f"the folder {out.parent} does not exist; make it first or choose another with -o")
    begin = _seconds(start)
    with History.open(take) as past:
        head, seen = past.head, past.output.video.suffix != ".wav"
        wanted = [kind.strip() for kind in kinds.split(",") if kind.strip()]
        wanted = wanted or [kind for kind in USUAL if seen or kind != "video"]
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as stage:
            folder = Path(stage) / "files"
            folder.mkdir()
            clip = past.picture() if seen else None
            made = deliver(head, clip, folder, wanted, name=past.output.take.stem, start=begin)
            names = [path.name for path in made]
            shutil.move(folder, out)
    if as_json:
        show_json({"folder": str(out), "files": names, "take": head.id})
        return
    page.print(f"[bold]{out}/[/]", highlight=False)
    for name in names:
        page.print(f"  {name}", highlight=False, markup=False)


def _seconds(text: str) -> Fraction:
    found = TIMECODE.fullmatch(text)
    hours, minutes, seconds, part = found.groups() if found else ("24", "0", "0", None)
    if int(hours) > 23 or int(minutes) > 59 or int(seconds) > 59:
        raise UserError(f"--start must be a time of day as in 01:00:00, not {text!r}")
    return Fraction(int(hours) * 3600 + int(minutes) * 60 + int(seconds)) + Fraction(f"0{part or '.0'}")
