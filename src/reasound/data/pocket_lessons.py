"""Everything that the pocket reasoner learns from: drawn scenes, filmed ones, instructions."""

from __future__ import annotations

from pathlib import Path

from reasound.data.instructions import draw
from reasound.data.reasoning_set import Lessons
from reasound.data.scenes.drawn import SceneMaker, only
from reasound.data.scenes.seen import Eye
from reasound.data.scenes.shown import Pool
from reasound.errors import UserError
from reasound.perception.labels import Labels
from reasound.perception.text import MiniLM
from reasound.reasoning.knowledge import sound_classes
from reasound.reasoning.pocket.prefix import Reader
from reasound.synthesis.match import Library
from reasound.timeline import SAMPLE_RATE

SEED = 1000
"""Of the scenes that are learned from; the benchmark's is 0."""


def lessons(pool: Path, seed: int = SEED, rendered: float = 0.55) -> Lessons:
    """`pool`: a folder of filmed scenes, as recipes/pocket_reasoner.py makes it; `rendered`: the share of clips that
    come from there. UserError for a folder without any."""
    cases = Pool(pool, seed)
    if not cases():
        raise UserError(f"{pool} holds no filmed scenes; make some with recipes/pocket_reasoner.py make")
    text, labels = MiniLM.load(), Labels.load()
    classes = text.encode([f"{s.captions[0]}, {s.source}" for s in sound_classes().values()])
    maker = SceneMaker(only(Library.load(), "train"), 5 * SAMPLE_RATE)
    eye = Eye(labels.class_vectors, classes)
    return Lessons(maker, eye, Reader(text), labels.class_vectors, cases, draw, rendered)
