"""Stage three, edit: an instruction, understood, and done to a take (ThinkSound, section 3.5).

What a layer can do exactly is done exactly on the layer; outside an operation's span every sample of every layer and of
the mix stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reasound import __version__
from reasound.edit_plan import EditPlan, Operation, Verb
from reasound.errors import UserError
from reasound.pipeline import PEAK, Reasound, Report, quiet
from reasound.plan import Plan
from reasound.stages.edits import fields, filling, places, plans, spans, styles, taking, timing
from reasound.stages.edits.words import said
from reasound.stages.edits.work import ORIGINAL, Work
from reasound.stages.revise import revised
from reasound.take import Layer, Mix, Settings, Source, Take
from reasound.timeline import SAMPLE_RATE

if TYPE_CHECKING:
    from reasound.media.video import Clip

DONE_BY: dict[Verb, Callable[[Work, Operation], None]] = {
    "add": taking.add,
    "remove": taking.remove,
    "replace": taking.replace_by,
    "extract": taking.extract,
    "inpaint": filling.inpaint,
    "extend": timing.extend,
    "move": timing.move,
    "gain": fields.gain,
    "pan": fields.pan,
    "distance": places.distance,
    "reverb": places.reverb,
    "style": styles.style,
    "speed": timing.speed,
    "mute": fields.mute,
    "solo": fields.solo,
}


def understood(
    engine: Reasound,
    take: Take,
    instruction: str,
    span: tuple[float, float] | None = None,
    clip: Clip | None = None,
) -> EditPlan:
    """What an instruction asks for, with the spans that will be kept; or a refusal.

    Where a reasoner names hits by rough times, the span becomes that of the hits, from their attack until they have
    rung out, but never leaves the `span` of the user (seconds). `clip`: for reasoners that look at the pictures.
    """
    asked = engine.who.edit(instruction, take.plan, clip=clip)
    engine.notes = tuple(engine.who.notes)
    asked = spans.limited(asked.check(take.plan), span, take.plan.seconds)
    return spans.fitted(asked, take, span)


def edit(
    engine: Reasound,
    take: Take,
    clip: Clip | None,
    instruction: str | EditPlan,
    *,
    span: tuple[float, float] | None = None,
    seed: int | None = None,
    report: Report = quiet,
) -> Take:
    """The take after an instruction, or an edit plan whose spans are then kept to the sample.

    `span` (seconds) keeps every operation within it. Without a `seed` new sound follows from the take: the same edit of
    the same take gives the same bytes. `engine.notes` says what the user should know. UserError, one sentence, where it
    cannot be done; then nothing is.
    """
    notes: tuple[str, ...] = ()
    if isinstance(instruction, EditPlan):
        asked = spans.limited(instruction.check(take.plan), span, take.plan.seconds)
    else:
        report("reasoning", 0.0)
        asked = understood(engine, take, instruction, span, clip)
        notes = tuple(engine.notes)
        report("reasoning", 1.0)
    if asked.refusal:
        raise UserError(asked.refusal)
    work = Work.on(engine, take, clip, int(take.id, 16) % 2**31 if seed is None else seed, report)
    what = []
    for done, operation in enumerate(asked.operations):
        report("editing", done / len(asked.operations))
        asked_now = _still_there(work, operation)
        what.append(said(operation, work.plan))
        DONE_BY[operation.verb](work, asked_now)
    report("editing", 1.0)
    made = revised(work.base, work.layers, work.plan, what="; ".join(what), edit=asked)
    engine.notes = (*notes, *work.notes)
    return replace(made, parent=take.id)


def _still_there(work: Work, operation: Operation) -> Operation:
    """UserError where an earlier operation took away what this one is about."""
    known = plans.items(work.plan)
    for name in operation.targets:
        if name not in known:
            raise UserError(f"cannot {operation.verb} {name!r}: the edit itself has taken it away before")
    return operation


def opened(path: Path | str, engine: Reasound, caption: str = "") -> tuple[Take, Clip | None]:
    """A foreign video or sound file as a take with one layer, "original", whose plan is what the picture shows.

    Sound without a picture has an empty plan: it can be edited as a whole, and added to. UserError for what is neither.
    """
    from reasound.media import audio as files
    from reasound.media.video import Clip
    from reasound.mixing.loudness import loudness, true_peak

    path = Path(path)
    clip: Clip | None = None
    if not is_sound(path):
        clip = Clip.open(path)
        sound = clip.audio()
        if sound is None:
            raise UserError(f"{path} has no sound that could be edited; give it one with `reasound foley`")
        plan = engine.reason(engine.perceive(clip), caption, clip=clip)
        source = Source.of(clip)
    else:
        raw, rate = files.read(path)
        sound = files.to_stereo(files.resample(raw, rate, SAMPLE_RATE))
        if not sound.shape[1]:
            raise UserError(f"{path} is empty; export it again")
        seconds = Fraction(sound.shape[1], SAMPLE_RATE)
        plan = Plan(seconds=float(seconds), caption=caption)
        source = Source(path.name, _digest(path), seconds, 0, 0)
    sound = np.ascontiguousarray(sound, np.float32)
    events = tuple(plans.items(plan))
    layer = Layer(ORIGINAL, sound, events, 0, ORIGINAL)
    reached, highest = loudness(sound), true_peak(sound)
    mix = Mix(
        target_loudness=reached if np.isfinite(reached) else -23.0,
        target_peak=max(PEAK, highest) if np.isfinite(highest) else PEAK,
        loudness=reached if np.isfinite(reached) else None,
        true_peak=highest if np.isfinite(highest) else None,
        original="drop",
    )
    settings = Settings(
        __version__,
        engine.model,
        "auto",
        0,
        engine.steps,
        engine.guidance,
        caption,
        precision=engine.precision,
        device=engine.device,
    )
    return Take(source, plan, (layer,), sound, mix, settings, what=f"opened {path.name}"), clip


def is_sound(path: Path) -> bool:
    """Whether a file has sound and no moving picture."""
    from reasound.media.container import best_audio, best_video
    from reasound.media.container import opened as container

    with container(path) as file:
        try:
            best_video(file, path)
        except UserError:
            return best_audio(file) is not None
        return False


def _digest(path: Path) -> str:
    import hashlib

    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
