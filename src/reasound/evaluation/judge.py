"""Which class of our taxonomy a sound is: a judge that nothing that ships was trained with or against.

Two ears, each a linear discriminant (Fisher 1936; Friedman 1989 for the shrinkage): one on YAMNet's embeddings, which
know what sounds mean, and one on the statistics of `listening`, which no network has touched. The second is the
independent one: codecs are trained to keep what YAMNet hears. The recordings that they learned from (GPL, Free Art and
the test split) are held out from every model and from the sound library, so the weights lie in the benchmark's package,
for evaluation only; made by recipes/class_judge.py. There are too few of them to know every class: most are judged as
one of a group, a few not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reasound.checkpoints import store
from reasound.checkpoints.catalog import benchmark
from reasound.evaluation.listening import statistics
from reasound.evaluation.yamnet import Yamnet
from reasound.timeline import SAMPLE_RATE

Floats = NDArray[np.float32]
KIND = "judge"
EARS = ("yamnet", "mel")
RANGE = 5.0
"""Standard deviations beyond which a statistic says no more."""


def hear(audio: Floats) -> dict[str, Floats]:
    """[N] or [C, N] at 44.1 kHz -> ear -> what it hears of it; level does not matter.

    ValueError for a sound that is empty or not finite.
    """
    peak = float(np.abs(audio).max(initial=0.0))
    sound = np.asarray(audio * (0.5 / peak) if peak > 0 else audio, np.float32)
    _, windows = Yamnet.load()(sound, SAMPLE_RATE)
    return {
        "yamnet": np.log1p(np.concatenate([windows.mean(0), windows.max(0)])),
        "mel": statistics(sound),
    }


class Ear(nn.Module):
    """What was heard [R, D] -> scores [R, classes]: a logarithm of each class' probability, but for a constant."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.linear = nn.Linear(inputs, classes)

    def forward(self, heard: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.linear(((heard - self.mean) * self.scale).clamp(-RANGE, RANGE))
        return scores


class Ears(nn.Module):
    def __init__(self, inputs: dict[str, int], classes: int) -> None:
        super().__init__()
        for name in EARS:
            self.add_module(name, Ear(inputs[name], classes))

    def forward(self, heard: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Logarithms of probabilities [R, classes], of each ear and of "both"."""
        found = {name: self.get_submodule(name)(heard[name]).log_softmax(1) for name in EARS}
        return found | {"both": sum(found.values(), torch.zeros(())).log_softmax(1)}


@dataclass(frozen=True)
class Judge:
    """Make one with `Judge.load()`."""

    ears: Ears
    classes: tuple[str, ...]
    """Those that it has heard, in the order of its scores."""
    groups: tuple[tuple[str, ...], ...]
    """Classes that it cannot tell apart stand together; each of `classes` in one group."""

    @classmethod
    def load(cls, folder: Path | None = None) -> Judge:
        """From a folder of our format; without one, the installed benchmark's, which all who ask for it share.
        UserError where it is missing or damaged."""
        return _read(folder or benchmark() / KIND)

    def knows(self, sound_class: str) -> bool:
        """Whether it can say anything about this class."""
        return sound_class in self.classes

    def group_of(self, sound_class: str) -> tuple[str, ...]:
        """The classes that count as this one. ValueError for one that it does not know."""
        for group in self.groups:
            if sound_class in group:
                return group
        raise ValueError(f"the judge has never heard {sound_class!r}")

    def ranked(self, audio: Floats) -> dict[str, list[tuple[str, ...]]]:
        """Ear, and "both" -> all groups, best first: in the order of their most probable classes."""
        heard = {name: torch.from_numpy(found)[None] for name, found in hear(audio).items()}
        with torch.inference_mode():
            scores = {name: found[0].numpy() for name, found in self.ears(heard).items()}
        return {name: self.order(found) for name, found in scores.items()}

    def order(self, scores: Floats) -> list[tuple[str, ...]]:
        """Scores [classes] -> all groups, best first."""
        best = [self.classes[k] for k in np.argsort(-scores, kind="stable")]
        return list(dict.fromkeys(self.group_of(name) for name in best))


@lru_cache(maxsize=1)
def _read(folder: Path) -> Judge:
    config = store.read_config(folder, KIND)
    ears = store.load(folder, KIND, lambda fields: Ears(fields["inputs"], len(fields["classes"])))
    return Judge(ears, tuple(config["classes"]), tuple(tuple(group) for group in config["groups"]))
