"""New sound for a take: rendered alone, in the take's acoustics, at the level of what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from reasound.errors import UserError
from reasound.mixing.loudness import limit
from reasound.plan import Acoustics, Ambience, Event, Plan
from reasound.stages.edits import level
from reasound.stages.edits.plans import Item, factor
from reasound.stages.edits.work import Audio, Work
from reasound.synthesis.library import TEXTURE_LEVEL
from reasound.synthesis.model import levelled
from reasound.synthesis.placing import HIT_LEVEL
from reasound.take import Layer
from reasound.timeline import SAMPLE_RATE


def rendered(work: Work, item: Item, seed: int, acoustics: Acoustics | None = None) -> Layer:
    """The layer of one event or ambience, [2, N], at the renderer's own level."""
    return raw(work, [item], seed, acoustics)[0]


def raw(work: Work, found: Sequence[Item], seed: int, acoustics: Acoustics | None = None) -> list[Layer]:
    plan = Plan(
        seconds=work.plan.seconds,
        caption=", ".join(item.sound for item in found),
        events=tuple(i for i in found if isinstance(i, Event)),
        ambience=tuple(i for i in found if isinstance(i, Ambience)),
        acoustics=acoustics or work.plan.acoustics,
        avoid=work.plan.avoid,
    )
    engine, settings = work.engine, work.take.settings
    same = settings.model == engine.model
    layers = engine.render(
        plan,
        Fraction(work.n, SAMPLE_RATE),
        seed,
        work.features(),
        "auto" if engine.released is not None else settings.renderer,
        settings.steps if same else None,
        settings.guidance if same else None,
        work.report,
    )
    if engine.released is not None:  # it knows nothing of levels
        reference = HIT_LEVEL if level.struck(found[0]) else TEXTURE_LEVEL
        layers = [
            replace(
                x,
                audio=levelled(
                    x.audio, reference, level.planned(found[0]) - reference, level.struck(found[0])
                ),
            )
            for x in layers
        ]
    return layers


def added(work: Work, item: Item, gain: float | None = None) -> Layer:
    """A new layer for a new item, `gain` dB above the renderer's level; None: as the take was mastered."""
    layer = rendered(work, item, work.seed)
    gain = level.mastering(work, item) if gain is None else gain
    if not layer.audio.any():
        raise UserError(f"nothing could be made for {item.sound!r}; name it in other words")
    mix = work.take.mix
    if gain is None:  # the take is silent: it gets the loudness that it should have had
        audio = work.engine.mix([layer], mix.target_loudness, mix.target_peak).audio
    else:
        audio = scaled(layer.audio, gain)
        audio = audio * limit(audio, mix.target_peak)
    return replace(layer, name=work.new_name(item.id), audio=audio.astype(np.float32), events=(item.id,))


def scaled(audio: Audio, decibels: float) -> Audio:
    return (audio * np.float32(factor(decibels))).astype(np.float32)
