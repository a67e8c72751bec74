"""The command line. It parses, calls the same functions as every other door, and shows what came back."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reasound import (
    __version__,
    desk_cli,
    edit_cli,
    evaluate_cli,
    export_cli,
    models_cli,
    refine_cli,
    train_cli,
)
from reasound.console import (
    RELEASED_SHARES,
    Debug,
    Json,
    ReasonerName,
    choose,
    notes,
    page,
    show_json,
    stages,
)
from reasound.errors import UserError
from reasound.machine import DEVICES, PRECISIONS
from reasound.pipeline import (
    GUIDANCE,
    LOUDNESS,
    PEAK,
    REASONER,
    RELEASED_GUIDANCE,
    RELEASED_STEPS,
    RENDERERS,
    STEPS,
    warnings,
)

if TYPE_CHECKING:
    from reasound.plan import Plan
    from reasound.take import Output, Take

app = typer.Typer(
    name="reasound",
    help="Video in, sound out, by reasoning first.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(models_cli.app)
app.add_typer(evaluate_cli.app)
app.add_typer(refine_cli.app)
app.add_typer(edit_cli.app)
app.add_typer(desk_cli.app)
app.add_typer(export_cli.app)
app.add_typer(train_cli.app)
ClipPath = Annotated[Path, typer.Argument(help="A video file.", show_default=False)]
Fallback = Annotated[
    str, typer.Option(help="Who reasons when that one cannot: rules; by default nobody.", show_default=False)
]


@app.command()
def foley(
    clip: ClipPath,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="OUT.mp4 and OUT.take/ are written.", show_default=False),
    ] = None,
    caption: Annotated[str, typer.Option(help="What you know of the scene, in words.")] = "",
    avoid: Annotated[str, typer.Option(help="What must not be heard; commas between.")] = "",
    plan: Annotated[Path | None, typer.Option(help="A plan.json to follow instead of our reasoning.")] = None,
    reasoner: ReasonerName = REASONER,
    fallback: Fallback = "",
    model: Annotated[str, typer.Option(help="pocket, thinksound, or the folder of a model.")] = "pocket",
    precision: Annotated[
        str, typer.Option(help="Of thinksound: fp32, bf16, or auto: bf16 where it is fast.")
    ] = "auto",
    device: Annotated[
        str, typer.Option(help="Of thinksound: cpu, cuda, mps, or auto: a graphics card if there is one.")
    ] = "auto",
    renderer: Annotated[str, typer.Option(help="library, model or auto: who makes the sound.")] = "auto",
    seed: Annotated[int, typer.Option(help="The same seed gives the same sound.")] = 0,
    steps: Annotated[
        int | None,
        typer.Option(
            help=f"Steps of the audio model; {STEPS}, thinksound {RELEASED_STEPS}.", show_default=False
        ),
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(
            help=f"How closely the audio model follows the plan; {GUIDANCE:g}, thinksound {RELEASED_GUIDANCE:g}.",
            show_default=False,
        ),
    ] = None,
    loudness: Annotated[
        float | None,
        typer.Option(
            help=f"Integrated loudness to reach, LUFS; {LOUDNESS:g} unless nothing happens.",
            show_default=False,
        ),
    ] = None,
    peak: Annotated[float, typer.Option(help="Highest true peak, dBTP.")] = PEAK,
    original: Annotated[
        str, typer.Option(help="The clip's own sound: drop, under (mixed below ours) or keep (second track).")
    ] = "drop",
    layers: Annotated[
        bool, typer.Option("--layers", help="One layer a source from thinksound, too; pocket always does so.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT.mp4 and OUT.take/.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Give a clip its soundscape: writes OUT.mp4 and OUT.take/."""
    from reasound.take import Output

    choose("--renderer", renderer, RENDERERS)
    choose("--fallback", fallback, ("", "rules"))
    choose("--original", original, ("drop", "under", "keep"))
    _between("--seed", seed, 0, 2**63 - 1)
    _between("--steps", STEPS if steps is None else steps, 1, 1000)
    _between("--guidance", GUIDANCE if guidance is None else guidance, 0, 50)
    choose("--precision", precision, PRECISIONS)
    choose("--device", device, DEVICES)
    _between("--loudness", LOUDNESS if loudness is None else loudness, -70, 0)
    _between("--peak", peak, -40, 0)
    output = Output.named(out or Path(f"{clip.stem}-foley"))
    output.check(force)
    with stages() as report:
        from reasound.media.mux import check
        from reasound.media.video import Clip
        from reasound.pipeline import Reasound
        from reasound.plan import Plan
        from reasound.stages.foley import foley as make
        from reasound.stages.foley import is_long
        from reasound.stages.long import clear, work_of

        opened = Clip.open(clip)
        check(opened, output.video, original)
        engine = Reasound(model, precision, device, reasoner, fallback)  # type: ignore[arg-type]
        if engine.released is not None:
            report.shares = RELEASED_SHARES
        work = work_of(output.take) if is_long(engine, opened) else None
        with _going_on(work):
            take = make(
                engine,
                opened,
                caption=caption,
                avoid=_words(avoid),
                plan=Plan.load(plan) if plan else None,
                renderer=renderer,  # type: ignore[arg-type]
                seed=seed,
                steps=steps,
                guidance=guidance,
                loudness=loudness,
                peak=peak,
                original=original,  # type: ignore[arg-type]
                apart=layers,
                report=report,
                told=report.say,
                work=work,
            )
        report("writing", 0.0)
        take.save(output, opened, force)
        if work:
            clear(work)
        report("writing", 1.0)
    if as_json:
        show_json(
            {"video": str(output.video), "take": str(output.take), "samples": take.audio.shape[1]}
            | {
                "seconds": report.timings(),
                "warnings": [*warnings(take.plan), *engine.notes],
                "plan": take.plan.to_dict(),
            }
            | take.describe()
        )
    else:
        show_take(take, output, report.total)
        warn(engine.notes)


@contextmanager
def _going_on(work: Path | None) -> Iterator[None]:
    """Says, before the work on a long clip and when it stops, that it goes on from a folder."""
    if work and work.exists():
        warn([f"going on with what lies in {work}, unless something else is asked for"])
    try:
        yield
    except KeyboardInterrupt:
        if work and work.exists():
            warn([f"what is finished lies in {work}; the same command goes on from there"])
        raise


@app.command()
def plan(
    clip: ClipPath,
    caption: Annotated[str, typer.Option(help="What you know of the scene, in words.")] = "",
    avoid: Annotated[str, typer.Option(help="What must not be heard; commas between.")] = "",
    reasoner: ReasonerName = REASONER,
    fallback: Fallback = "",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what would be heard, and why, without making sound."""
    choose("--fallback", fallback, ("", "rules"))
    with stages() as report:
        from reasound.media.video import Clip
        from reasound.pipeline import Reasound

        engine, opened = Reasound(reasoner=reasoner, fallback=fallback), Clip.open(clip)  # type: ignore[arg-type]
        features = engine.perceive(opened, report)
        made = engine.reason(features, caption, _words(avoid), report, clip=opened, told=report.say)
    if as_json:
        show_json(made.to_dict())
    else:
        show_plan(made)
    warn(engine.notes)


@app.command()
def picture(
    take: Annotated[Path, typer.Argument(help="A take folder.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="A PNG or JPEG file.")] = Path("take.png"),
    force: Annotated[bool, typer.Option("--force", help="Replace the picture.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Draw a take: film strip, events and spectrogram on one time axis."""
    from reasound.export import picture as pictures

    if out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UserError(f"a picture is a .png or .jpg file, not {out.name!r}")
    if out.exists() and not force:
        raise UserError(f"{out} exists already; choose another name with -o or replace it with --force")
    pictures.save(pictures.of_folder(take), out)
    if as_json:
        show_json({"picture": str(out)})
    else:
        page.print(str(out), highlight=False)


@app.command()
def doctor(as_json: Json = False, debug: Debug = False) -> None:
    """Say what this machine has, which models are there, and how fast they run."""
    from reasound.doctor import examine

    with stages() as report:
        found = examine(report)
    if as_json:
        show_json(found)
    else:
        for name, value in found.items():
            rows = value.items() if isinstance(value, dict) else [("", value)]
            for key, text in rows:
                page.print(f"[bold]{name} {key}[/]".ljust(38), text, highlight=False)
    if not found["ok"]:
        raise typer.Exit(1)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    if version:
        page.print(f"reasound {__version__}", highlight=False)
        raise typer.Exit


def show_plan(plan: Plan) -> None:
    """The reasoning, then one line an event, and on stderr what the user should know."""
    if plan.caption:
        page.print(f"[bold]{plan.caption}[/]", highlight=False)
    for step in plan.reasoning:
        page.print(f"  [cyan]{step.aspect:<9}[/] {step.text}", highlight=False)
    for event in plan.events:
        if event.onsets:
            shown = ", ".join(f"{t:.2f}" for t in event.onsets[:8])
            more = f" and {len(event.onsets) - 8} more" if len(event.onsets) > 8 else ""
            when = f"at {shown}{more} s"
        else:
            when = f"{event.start:.2f}-{event.end:.2f} s"
        page.print(f"  [green]{event.id:<14}[/] {event.sound}  [dim]{when}[/]", highlight=False)
    for under in plan.ambience:
        page.print(f"  [green]{under.id:<14}[/] {under.sound}  [dim]throughout[/]", highlight=False)
    for word in plan.avoid:
        page.print(f"  [red]{'not':<14}[/] {word}", highlight=False)
    warn(warnings(plan))


def warn(sentences: Iterable[str]) -> None:
    """On stderr, what the user should know."""
    for sentence in sentences:
        notes.print(f"reasound: {sentence}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def show_take(take: Take, output: Output, seconds: float) -> None:
    show_plan(take.plan)
    loudness = "silence" if take.mix.loudness is None else f"{take.mix.loudness:.1f} LUFS"
    length = float(take.source.seconds)
    page.print(
        f"[bold]{output.video}[/]  {length:g} s of sound in {seconds:.1f} s, "
        f"{len(take.layers)} layers, {loudness}",
        highlight=False,
    )
    page.print(f"[bold]{output.take}/[/]  plan.json, mix.wav, layers/", highlight=False)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _between(option: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UserError(f"{option} must be between {low:g} and {high:g}, not {value:g}")


def _stop(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> None:
    """The entry point: an error is one sentence on stderr and a non-zero exit."""
    arguments = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads are slow on a machine that is busy
    signal.signal(signal.SIGTERM, _stop)
    try:
        code = app(arguments, standalone_mode=False) or 0
        message = "stopped; nothing was written" if code == 130 else ""
    except KeyboardInterrupt:
        code, message = 130, "stopped; nothing was written"
    except BrokenPipeError:
        code, message = 1, ""
    except Exception as error:  # the last door: whatever it is becomes one sentence
        if "--debug" in arguments:
            traceback.print_exc()
        code, message = _explain(error)
    if message:
        notes.print(f"reasound: {message}", style="red", highlight=False, markup=False, soft_wrap=True)
        if "--json" in arguments:
            show_json({"error": message})
    sys.exit(code)


def _explain(error: Exception) -> tuple[int, str]:
    if isinstance(error, UserError):
        return 1, str(error)
    if hasattr(error, "format_message"):  # typer's own: a wrong option or command
        return 2, f"{error.format_message().rstrip('.')}; see reasound --help"
    if isinstance(error, MemoryError):
        return 1, "not enough memory; close other programs or use a shorter clip"
    what = " ".join(str(error).split()) or "no message"
    return (
        1,
        f"something went wrong inside ({type(error).__name__}: {what}); run again with --debug to see where",
    )


if __name__ == "__main__":
    main()
