"""How loud a new sound must be to fit the sound that is there.

Renderers put every sound at a level that follows from the plan; a take was then mastered, all of it by one gain. What
that gain was is heard by measuring its layers against the plan.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from statistics import median

import numpy as np

from reasound.mixing.layers import mix as mixed
from reasound.mixing.layers import stem
from reasound.mixing.loudness import block_energies, loudness, weighted_energy
from reasound.mixing.spatial import FARTHEST, NEAREST, REFERENCE
from reasound.plan import Event
from reasound.stages.edits.plans import BEND, SOFTEST_DB, Item, decibels, items
from reasound.stages.edits.work import Audio, Work
from reasound.synthesis.library import TEXTURE_LEVEL
from reasound.synthesis.manners import habit
from reasound.synthesis.placing import HIT_LEVEL
from reasound.take import Layer
from reasound.timeline import SAMPLE_RATE

BELOW = 2.0
"""dB that a new sound stays below a foreign one of which nothing is known."""
MOST = 60.0
"""dB: what is farther off was measured on silence."""
HEARD = 1e-9
"""Energy (-90 dBFS) below which nothing is measured."""


def measured(audio: Audio, hit: bool) -> float | None:
    """dBFS, K-weighted: the loudest 0.1 s of hits, else the mean of what is within 20 dB of it; None for silence."""
    blocks = block_energies(weighted_energy(audio) / 2, SAMPLE_RATE, 0.1)
    highest = float(blocks.max(initial=0.0))
    if highest < HEARD:
        return None
    energy = highest if hit else float(blocks[blocks > highest / 100].mean())
    return 10 * float(np.log10(energy))


def struck(item: Item) -> bool:
    """Whether it is a row of hits, rather than a sound that lasts."""
    return isinstance(item, Event) and (bool(item.onsets) or habit(item.sound_class).manner != "texture")


def planned(item: Item) -> float:
    """dBFS at which a renderer puts it, measured in the same way."""
    if not isinstance(item, Event):
        return TEXTURE_LEVEL + item.level
    distance = item.place(np.asarray(item.onsets or [(item.start + item.end) / 2]))[1]
    near = decibels(REFERENCE / float(np.clip(distance.min(), NEAREST, FARTHEST)))
    strongest = max((s for _, s in item.hits()), default=1.0)
    softer = SOFTEST_DB * (1 - strongest) ** BEND
    return (HIT_LEVEL + softer if struck(item) else TEXTURE_LEVEL) + item.level + near


def gain_of(layer: Layer, item: Item) -> float | None:
    """dB between what a layer is and what the renderer made of it; None for silence."""
    found = measured(stem(layer), struck(item))
    return None if found is None else float(np.clip(found - planned(item), -MOST, MOST))


def mastering(work: Work, item: Item, but: str = "") -> float | None:
    """dB that bring what a renderer makes of a new item to the level of the take; None for a silent take.

    `but`: a layer that does not tell; then only the others do.
    """
    known = items(work.plan)
    gains = []
    for layer in work.layers:
        ours = layer.name != but and len(layer.events) == 1 and layer.renderer in ("library", "model")
        if ours and layer.events[0] in known:
            gain = gain_of(layer, known[layer.events[0]])
            gains += [] if gain is None else [gain]
    if gains or but:
        return float(median(gains)) if gains else None
    return _beside_a_mixture(work, item)


def _beside_a_mixture(work: Work, item: Item) -> float | None:
    """What the plan says of a mixture is played; without a plan the new sound stays a little below what is there."""
    layers = [replace(layer, mute=False, solo=False) for layer in work.layers if layer.audio.any()]
    if not layers:
        return None
    heard = mixed(layers)
    played = work.plan.only({name for layer in layers for name in layer.events})
    if (played.events or played.ambience) and work.engine.released is None:
        sounds = work.engine.library.render(played, Fraction(work.n, SAMPLE_RATE), work.seed)
        gain = loudness(heard) - loudness(mixed(sounds))
        if np.isfinite(gain):
            return float(np.clip(gain, -MOST, MOST))
    there = measured(heard, struck(item))
    if there is None:
        return None
    return there - BELOW - (HIT_LEVEL if struck(item) else TEXTURE_LEVEL)
