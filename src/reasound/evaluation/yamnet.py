"""What does a machine hear in a sound: YAMNet, the AudioSet tagger, frozen.

YAMNet is MobileNet v1 (Howard et al. 2017, arXiv 1704.04861) on log-mel patches of 0.96 s, trained by Google
on AudioSet (Gemmeke et al. 2017). The weights, batch norm folded in, are made by
recipes/convert_pocket_encoders.py.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from reasound.checkpoints import store
from reasound.checkpoints.catalog import pocket
from reasound.perception.labels import pad_same

Floats = NDArray[np.float32]

KIND = "yamnet"
RATE = 16_000
WINDOW, HOP, SPECTRUM = 400, 160, 512  # samples: 25 ms frames every 10 ms
MELS, LOWEST, HIGHEST = 64, 125.0, 7_500.0  # bands, Hz
PATCH, PATCH_HOP = 96, 48  # frames: 0.96 s every 0.48 s
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
WIDTHS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
BATCH = 32  # patches at once: bounds the memory of long recordings


class Yamnet:
    """AudioSet tags and embeddings of a sound. Make one with `Yamnet.load()`; it takes 15 MB of memory."""

    def __init__(self, network: Network, classes: list[str]) -> None:
        self.network = network
        self.classes = classes

    @classmethod
    def load(cls, folder: Path | None = None) -> Yamnet:
        """From a folder of our format; without one, the embedded weights, which all who ask for them share."""
        return _read(folder or pocket(KIND))

    def __call__(self, audio: ArrayLike, rate: int) -> tuple[Floats, Floats]:
        """Scores [P, 521] (0 to 1, each by itself) and embeddings [P, 1024] of 0.96 s windows every 0.48 s.

        Only whole windows are heard, so up to 0.48 s at the end may not be; a sound of less than a window is
        followed by silence.

        Args:
            audio: [N] or [channels, N], full scale is 1; channels are averaged. Resampled to 16 kHz.
            rate: its samples a second.

        Raises:
            ValueError: the array is empty, not finite, or not shaped like a sound.
        """
        return self._hear(_mono_16k(audio, rate))

    def tags(self, audio: ArrayLike, rate: int, top: int = 5) -> list[tuple[str, float]]:
        """The classes heard most clearly, best first, each with its largest score over the windows.

        The sound is scaled to a peak of 0.5 at 16 kHz first, so that its level does not matter, and the class
        Silence is left out: the way the tags in the manifest of the sound library were made.
        """
        sound = _mono_16k(audio, rate)
        loudest = sound.abs().max()
        scores, _ = self._hear(sound * (0.5 / loudest) if loudest > 0 else sound)
        best = scores.max(0)
        order = [index for index in np.argsort(-best, kind="stable") if self.classes[index] != "Silence"]
        return [(self.classes[index], float(best[index])) for index in order[:top]]

    @torch.inference_mode()
    def _hear(self, sound: Tensor) -> tuple[Floats, Floats]:
        heard = [self.network(part) for part in log_mel_patches(sound).split(BATCH)]
        scores, embeddings = (torch.cat(parts).numpy() for parts in zip(*heard, strict=True))
        return scores, embeddings


class Network(nn.Module):
    """Patches [P, 96, 64] -> scores [P, 521], embeddings [P, 1024]."""

    def __init__(self, classes: int = 521) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 32, 3, stride=2)
        narrow = (32, *WIDTHS[:-1])
        self.spread = nn.ModuleList(
            nn.Conv2d(width, width, 3, stride=stride, groups=width)
            for width, stride in zip(narrow, STRIDES, strict=True)
        )
        self.mix = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(narrow, WIDTHS, strict=True))
        self.head = nn.Linear(WIDTHS[-1], classes)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.stem(pad_same(patches[:, None], 3, 2)))  # [P, 32, 48, 32]
        for spread, mix, stride in zip(self.spread, self.mix, STRIDES, strict=True):
            x = F.relu(spread(pad_same(x, 3, stride)))
            x = F.relu(mix(x))
        embedding = x.mean((2, 3))  # [P, 1024, 3, 2] -> [P, 1024]
        return torch.sigmoid(self.head(embedding)), embedding


def log_mel_patches(sound: Tensor) -> Tensor:
    """16 kHz samples [N] -> log-mel patches [P, 96, 64]; a sound too short for one patch ends in silence."""
    sound = F.pad(sound, (0, max(0, (PATCH - 1) * HOP + WINDOW - len(sound))))
    frames = sound.unfold(0, WINDOW, HOP) * torch.hann_window(WINDOW)  # [T, 400]
    bands = torch.log(torch.fft.rfft(frames, SPECTRUM).abs() @ mel_filters() + 0.001)  # [T, 64]
    return bands.unfold(0, PATCH, PATCH_HOP).transpose(1, 2)  # [P, 64, 96] -> [P, 96, 64]


@lru_cache(maxsize=1)
def mel_filters() -> Tensor:
    """Triangles [257, 64] that are straight on the HTK mel scale, unnormalised, blind to 0 Hz."""
    mel = 1127.0 * np.log1p(np.linspace(0, RATE / 2, SPECTRUM // 2 + 1) / 700.0)[:, None]
    edges = np.linspace(1127.0 * np.log1p(LOWEST / 700.0), 1127.0 * np.log1p(HIGHEST / 700.0), MELS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    filters = np.clip(np.minimum((mel - low) / (centre - low), (high - mel) / (high - centre)), 0.0, None)
    filters[0] = 0.0
    return torch.from_numpy(filters.astype(np.float32))


def _mono_16k(audio: ArrayLike, rate: int) -> Tensor:
    sound = np.asarray(audio, dtype=np.float32)
    if sound.ndim not in (1, 2) or sound.size == 0:
        raise ValueError(
            f"a sound is [samples] or [channels, samples] and not empty; got shape {sound.shape}"
        )
    if sound.ndim == 2 and sound.shape[0] > sound.shape[1]:
        raise ValueError(f"channels come first: [channels, samples]; got shape {sound.shape}")
    if rate <= 0:
        raise ValueError(f"a sample rate is a positive number of samples a second; got {rate}")
    if not np.isfinite(sound).all():
        raise ValueError("the sound holds values that are not finite; clean it before tagging it")
    mono = sound.mean(0) if sound.ndim == 2 else sound
    if rate != RATE:
        mono = soxr.resample(mono, rate, RATE).astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(mono))


@lru_cache(maxsize=1)
def _read(folder: Path) -> Yamnet:
    return Yamnet(
        store.load(folder, KIND, lambda fields: Network(len(fields["classes"]))),
        store.read_config(folder, KIND)["classes"],
    )
