"""Stage one, foley: a clip gets its soundscape (ThinkSound, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from reasound import __version__
from reasound.errors import UserError
from reasound.pipeline import LOUDNESS, PEAK, Reasound, Renderer, Report, quiet, warnings
from reasound.plan import Plan
from reasound.stages.long import LONG, long_form
from reasound.take import Mix, Settings, Source, Take
from reasound.timeline import samples

if TYPE_CHECKING:
    from reasound.media.video import Clip

GUESSED = 10.0
"""dB by which the sound of a picture that could not be understood stays below the usual loudness."""


def foley(
    engine: Reasound,
    clip: Clip,
    *,
    caption: str = "",
    avoid: Sequence[str] = (),
    plan: Plan | None = None,
    renderer: Renderer = "auto",
    seed: int = 0,
    steps: int | None = None,
    guidance: float | None = None,
    loudness: float | None = None,
    peak: float = PEAK,
    original: Literal["drop", "keep", "under"] = "drop",
    apart: bool = False,
    report: Report = quiet,
    told: Callable[[str], None] | None = None,
    work: Path | None = None,
) -> Take:
    """Watch, think, make and mix the sound of a clip.

    A `plan` that a person wrote or edited takes the place of our own reasoning; it must be as long as the
    clip to within a video frame or so (50 ms). Without a `loudness` (LUFS) the mix comes to -23; only where nothing
    but a quiet ambience is planned it stays as far below that as the plan says. Without `steps` or a `guidance` they
    are the model's usual ones. `apart`: ThinkSound, too, makes a layer for every source.
    `told` gets the reasoning as it is written, from reasoners that write it word by word. A clip of more than half a
    minute is made window by window (`stages.long`; not by ThinkSound); `work` is the folder in which that can be gone
    on with, to be removed once the take is saved.
    """
    steps = engine.steps if steps is None else steps
    guidance = engine.guidance if guidance is None else guidance
    settings = Settings(
        version=__version__,
        model=engine.model,
        renderer=renderer,
        seed=seed,
        steps=steps,
        guidance=guidance,
        caption=caption,
        avoid=tuple(avoid),
        precision=engine.precision,
        device=engine.device,
        apart=apart,
    )
    if is_long(engine, clip):
        return long_form(
            engine,
            clip,
            settings,
            plan=plan and fitted(plan, clip),
            loudness=lambda p: usual_loudness(p) if loudness is None else loudness,
            peak=peak,
            original=original,
            report=report,
            told=told,
            work=work,
        )
    features = engine.perceive(clip, report)
    if plan is None:
        plan = engine.reason(features, caption, avoid, report, clip=clip, told=told)
    else:
        plan = fitted(plan, clip)
    layers = engine.render(plan, clip.seconds, seed, features, renderer, steps, guidance, report, apart)
    target = usual_loudness(plan) if loudness is None else loudness
    mastered = engine.mix(layers, target, peak, report)
    wanted = samples(clip.seconds)
    audio = mastered.audio if layers else np.zeros((2, wanted), np.float32)
    assert audio.shape == (2, wanted), f"the mix has {audio.shape[1]} samples, the picture {wanted}"
    return Take(
        source=Source.of(clip),
        plan=plan,
        layers=tuple(mastered.layers),
        audio=audio,
        mix=Mix(target, peak, mastered.loudness, mastered.true_peak, original),
        settings=settings,
    )


def is_long(engine: Reasound, clip: Clip) -> bool:
    """Whether a clip is made window by window. ThinkSound makes any clip in one go."""
    return engine.released is None and clip.seconds > LONG


def usual_loudness(plan: Plan) -> float:
    """A room in which nothing happens is not to be as loud as a drum kit, nor is what was only guessed."""
    if plan.events or not plan.ambience:
        return LOUDNESS - (GUESSED if warnings(plan) else 0.0)
    return LOUDNESS + min(0.0, max(a.level for a in plan.ambience))


def fitted(plan: Plan, clip: Clip) -> Plan:
    """The plan, if it was made for a clip of this length."""
    if abs(plan.seconds - clip.seconds) > 0.05:
        raise UserError(
            f"the plan is for {plan.seconds:g} s but {clip.name} lasts {float(clip.seconds):g} s; "
            "set its 'seconds' and keep every event inside"
        )
    return plan


def again(engine: Reasound, take: Take, clip: Clip, report: Report = quiet) -> Take:
    """Make a take again from its own plan and settings: the same bytes on the same machine."""
    if Source.of(clip).sha256 != take.source.sha256:
        raise UserError(f"{clip.name} is not the clip that this take was made for ({take.source.name})")
    s = take.settings
    made = foley(
        engine,
        clip,
        caption=s.caption,
        avoid=s.avoid,
        plan=take.plan,
        renderer=s.renderer,
        seed=s.seed,
        steps=s.steps,
        guidance=s.guidance,
        loudness=take.mix.target_loudness,
        peak=take.mix.target_peak,
        original=take.mix.original,
        apart=s.apart,
        report=report,
    )
    return replace(made, parent=take.parent)
