"""VGGish (Hershey et al. 2017, arXiv 1609.09430): 128 numbers for each 0.96 s, what "FAD" is measured on.

The weights are those of torchvggish, converted from Google's. As in audioldm_eval, av-benchmark and
frechet-audio-distance, the embedding is taken before the last ReLU, and the whitening and the 8 bits of the AudioSet
release (a second file of weights) are left out, so distances are comparable with theirs and not with those on the
released features.

Front end: mean of the channels, less its own mean, at 16 kHz; Hann window (periodic) of 400 samples every 160, only
whole frames; magnitude of a transform of 512; 64 mel bands, 125 to 7,500 Hz, straight on HTK's scale, peak 1; natural
logarithm of the bands plus 0.01; patches of 96 frames, side by side, only whole ones. A sound too short for one patch
is followed by silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from reasound.evaluation.protocols import embedder, spectra
from reasound.evaluation.protocols.embedder import Heard, Published

PUBLISHED = {
    "vggish": Published(
        project="release v0.1 of github.com/harritaylor/torchvggish",
        file="vggish-10086976.pth",
        licence="Apache-2.0",
    )
}

RATE = 16_000
WINDOW, HOP, SPECTRUM = 400, 160, 512  # samples
MELS, LOWEST, HIGHEST = 64, 125.0, 7_500.0
PATCH = 96  # frames
BATCH = 32  # patches at once: bounds the memory of long recordings


@dataclass(frozen=True, kw_only=True)
class Config:
    widths: tuple[tuple[int, ...], ...] = ((64,), (128,), (256, 256), (512, 512))
    """Of the convolutions; each group ends in a pooling by two."""
    hidden: int = 4096
    embedding: int = 128


class Vggish:
    """VGGish as an embedder: an embedding for each 0.96 s."""

    rate = RATE
    kl_protocol: str | None = None

    def __init__(self, network: Network, config: Config) -> None:
        self.network = network
        self.protocol = f"fd-vggish/no-pca-no-relu/{config.embedding}d"

    @torch.inference_mode()
    def __call__(self, audio: NDArray[Any]) -> Heard:
        sound = embedder.mono(audio, RATE)
        parts = log_mel_patches(sound - sound.mean()).split(BATCH)
        return Heard(torch.cat([self.network(part) for part in parts]).numpy())


class Network(nn.Module):
    """Patches [P, 96, 64] -> embeddings [P, 128]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for group in config.widths:
            for width in group:
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
                before = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        smaller = 2 ** len(config.widths)
        self.embeddings = nn.Sequential(
            nn.Linear(before * (PATCH // smaller) * (MELS // smaller), config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.embedding),
        )

    def forward(self, patches: Tensor) -> Tensor:
        x = self.features(patches[:, None])  # [P, C, 6, 4]
        return self.embeddings(x.permute(0, 2, 3, 1).flatten(1))  # TensorFlow keeps channels last


def log_mel_patches(sound: Tensor) -> Tensor:
    """16 kHz samples [N] -> [P, 96, 64]; P is 1 or the number of whole patches."""
    sound = F.pad(sound, (0, max(0, (PATCH - 1) * HOP + WINDOW - len(sound))))
    frames = sound.unfold(0, WINDOW, HOP) * torch.hann_window(WINDOW)  # [T, 400]
    filters = spectra.triangles(RATE, SPECTRUM, MELS, LOWEST, HIGHEST)
    bands = torch.log(torch.fft.rfft(frames, SPECTRUM).abs() @ filters + 0.01)  # [T, 64]
    return bands.unfold(0, PATCH, PATCH).transpose(1, 2)  # [P, 64, 96] -> [P, 96, 64]


def build(name: str, path: Path, config: Config | None = None) -> Vggish:
    """From the published file. UserError when it does not hold the weights of this network."""
    config = config or Config()
    with torch.device("meta"):
        network = Network(config)
    embedder.fill(network, embedder.read(path), path)
    return Vggish(network, config)
