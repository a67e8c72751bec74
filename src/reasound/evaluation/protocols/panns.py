"""PANNs Cnn14 (Kong et al. 2020, arXiv 1912.10211): 2048 numbers and 527 AudioSet classes for a clip.

The network behind "FD" and "KL" of audioldm_eval, and FD_PANNs and KL_PANNs of av-benchmark, both at 16 kHz; the 32 kHz
sister hears up to 14 kHz.

Front end: mean of the channels, less its own mean; Hann window (periodic) of 512 samples every 160 (16 kHz) or 1024
every 320 (32 kHz), mirrored at the ends; power; 64 mel bands, 50 to 8,000 (16 kHz) or 14,000 Hz (32 kHz), on Slaney's
scale and of equal area, which are taken from the published file itself; 10 log10 of at least 1e-10. A clip of less than
32,000 samples is followed by silence, as in audioldm_eval.

KL is that of the reference from the generated clip, mean over pairs. av-benchmark reports it on the softmax of the
logits (its "KL-PANNS-softmax", the one papers since SpecVQGAN print); audioldm_eval also has a sum of x log(x / y) over
the sigmoids, "kl_sigmoid", which is no divergence. `Config.squash` says which of the two `probabilities` are for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from reasound.evaluation.protocols import embedder, spectra
from reasound.evaluation.protocols.embedder import Heard, Published

_PROJECT = "record 3987831 of Zenodo, 'PANNs' by Qiuqiang Kong (github.com/qiuqiangkong/audioset_tagging_cnn)"
PUBLISHED = {
    "panns-16k": Published(
        project=_PROJECT,
        file="Cnn14_16k_mAP=0.438.pth",
        licence="CC-BY-4.0",
        digest="md5:362fc5ff18f1d6ad2f6d464b45893f2c",
    ),
    "panns-32k": Published(
        project=_PROJECT,
        file="Cnn14_mAP=0.431.pth",
        licence="CC-BY-4.0",
        size=327_428_481,
        digest="sha256:0dc499e40e9761ef5ea061ffc77697697f277f6a960894903df3ada000e34b31",
    ),
}

DERIVED = ("spectrogram_extractor.stft.conv_real.weight", "spectrogram_extractor.stft.conv_imag.weight")
"""The windowed Fourier transform as convolutions: we have our own."""

SHORTEST = 32_000  # samples


@dataclass(frozen=True, kw_only=True)
class Config:
    rate: int
    window: int
    hop: int
    mels: int = 64
    widths: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    """Of the blocks of convolutions; the last is also the width of the embedding."""
    classes: int = 527
    squash: Literal["softmax", "sigmoid"] = "softmax"


CONFIGS = {
    "panns-16k": Config(rate=16_000, window=512, hop=160),
    "panns-32k": Config(rate=32_000, window=1024, hop=320),
}


class Panns:
    """Cnn14 as an embedder: one embedding for the whole clip, whatever its length."""

    def __init__(self, network: Cnn14, config: Config) -> None:
        self.network, self.config = network, config
        self.rate = config.rate
        model = f"cnn14-{config.rate // 1000}k"
        self.protocol = f"fd-panns/{model}/{config.widths[-1]}d"
        self.kl_protocol: str | None = f"kl-panns/{model}/{config.squash}"

    @torch.inference_mode()
    def __call__(self, audio: NDArray[Any]) -> Heard:
        sound = embedder.mono(audio, self.rate)
        sound = F.pad(sound - sound.mean(), (0, max(0, SHORTEST - len(sound))))
        embedding, logits = self.network(sound)
        squashed = logits.softmax(0) if self.config.squash == "softmax" else logits.sigmoid()
        return Heard(embedding[None].numpy(), squashed.numpy())


class Cnn14(nn.Module):
    """[N] samples -> embedding [E], logits [C]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.logmel_extractor = MelFilters(config.window // 2 + 1, config.mels)
        self.bn0 = nn.BatchNorm2d(config.mels)
        for number, (before, width) in enumerate(zip((1, *widths), widths, strict=False), start=1):
            self.add_module(f"conv_block{number}", Block(before, width))
        self.fc1 = nn.Linear(widths[-1], widths[-1])
        self.fc_audioset = nn.Linear(widths[-1], config.classes)

    def forward(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        x = self.log_mel(sound)[None, None]  # [1, 1, T, M]
        x = self.bn0(x.transpose(1, 3)).transpose(1, 3)  # each band has its own norm
        blocks = len(self.config.widths)
        for number in range(1, blocks + 1):
            x = self.get_submodule(f"conv_block{number}")(x)
            if number < blocks:
                x = F.avg_pool2d(x, 2)
        x = x.mean(3)[0]  # over bands: [E, T / 32]
        embedding = F.relu(self.fc1(x.amax(1) + x.mean(1)))
        return embedding, self.fc_audioset(embedding)

    def log_mel(self, sound: Tensor) -> Tensor:
        """[N] -> [T, M] decibels."""
        window = torch.hann_window(self.config.window)
        bands = spectra.power(sound, window, self.config.window, self.config.hop) @ self.logmel_extractor.melW
        return 10 * torch.log10(bands.clamp(min=1e-10))


class Block(nn.Module):
    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)))


class MelFilters(nn.Module):
    melW: Tensor

    def __init__(self, bins: int, mels: int) -> None:
        super().__init__()
        self.register_buffer("melW", torch.zeros(bins, mels))


def build(name: str, path: Path, config: Config | None = None) -> Panns:
    """From a published file. UserError when it does not hold the weights of this network."""
    config = config or CONFIGS[name]
    with torch.device("meta"):
        network = Cnn14(config)
    embedder.fill(network, embedder.read(path, under="model"), path, DERIVED)
    return Panns(network, config)
