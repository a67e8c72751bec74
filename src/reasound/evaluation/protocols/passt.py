"""PaSST (Koutini et al. 2022, arXiv 2110.05069): 768 numbers and 527 AudioSet classes for 10 seconds.

FD_PaSST and KL_PaSST of av-benchmark, KL_PaSST of stable-audio-metrics and of AudioCraft: the patchout transformer
passt_s_swa_p16_128_ap476, whose embedding is the mean of its two class tokens.

Front end: mean of the channels, less its own mean, at 32 kHz; 10 s, the rest silence; y[n] = x[n + 1] - 0.97 x[n]; Hann
window (symmetric) of 800 samples in a transform of 1024 every 320, mirrored at the ends: 1000 frames; power; 128 mel
bands of Kaldi, 0 to 15,000 Hz, straight on HTK's scale, peak 1; (ln(bands + 1e-5) + 4.5) / 5.

A clip of up to 10 s is heard as av-benchmark hears it. A longer one, of which av-benchmark drops the end, is heard as
stable-audio-metrics does: 10 s every 5 s while more than 5 s remain, and the mean of the logits. (That also brings each
clip to a peak of -1 dB, and we do not.)

KL is that of the reference from the generated clip on the softmax of the logits, mean over pairs, as in av-benchmark.
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
    "passt": Published(
        project="release v0.0.1-audioset of github.com/kkoutini/PaSST",
        file="passt-s-f128-p16-s10-ap.476-swa.pt",
        licence="Apache-2.0",
        size=344_665_734,
        digest="sha256:302903fa8c4aee817b11dc982da0b29aaf8d11a3e722420476d0a12c9db70c2c",
    )
}

RATE = 32_000
LENGTH, STEP = 10 * RATE, 5 * RATE  # samples of a window, and between windows
WINDOW, SPECTRUM, HOP = 800, 1024, 320
MELS, LOWEST, HIGHEST = 128, 0.0, 15_000.0
PATCH, STRIDE = 16, 10  # bands or frames; patches overlap
GRID = (12, 99)
"""Patches in a window, bands by frames."""


@dataclass(frozen=True, kw_only=True)
class Config:
    width: int = 768
    depth: int = 12
    heads: int = 12
    classes: int = 527


class Passt:
    """PaSST as an embedder: an embedding for each 10 s, every 5 s."""

    rate = RATE

    def __init__(self, network: Network, config: Config) -> None:
        self.network = network
        self.protocol = f"fd-passt/s-swa-ap476/{config.width}d"
        self.kl_protocol: str | None = "kl-passt/s-swa-ap476/softmax"

    @torch.inference_mode()
    def __call__(self, audio: NDArray[Any]) -> Heard:
        sound = embedder.mono(audio, RATE)
        heard = [self.network(log_mel(part)[None]) for part in windows(sound - sound.mean())]
        embeddings, logits = (torch.cat(parts) for parts in zip(*heard, strict=True))
        return Heard(embeddings.numpy(), logits.mean(0).softmax(0).numpy())


class Network(nn.Module):
    """Spectrograms [P, 128, 1000] -> embeddings [P, D], logits [P, C]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.patch_embed = Patches(width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.dist_token = nn.Parameter(torch.zeros(1, 1, width))
        self.new_pos_embed = nn.Parameter(torch.zeros(1, 2, width))  # of those two
        self.freq_new_pos_embed = nn.Parameter(torch.zeros(1, width, GRID[0], 1))
        self.time_new_pos_embed = nn.Parameter(torch.zeros(1, width, 1, GRID[1]))
        self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.classes))
        self.head_dist = nn.Linear(width, config.classes)  # is in the file, and is used in training alone

    def forward(self, spectrograms: Tensor) -> tuple[Tensor, Tensor]:
        x = self.patch_embed.proj(spectrograms[:, None])  # [P, D, 12, 99]
        x = (x + self.time_new_pos_embed + self.freq_new_pos_embed).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token, self.dist_token], dim=1) + self.new_pos_embed  # [1, 2, D]
        x = torch.cat([tokens.expand(len(x), -1, -1), x], dim=1)  # [P, 2 + 1188, D]
        for block in self.blocks:
            x = block(x)
        embedding = self.norm(x[:, :2]).mean(1)
        return embedding, self.head(embedding)


class Patches(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, PATCH, STRIDE)


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        )  # each [P, H, T, D / H]
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


def windows(sound: Tensor) -> list[Tensor]:
    """32 kHz samples [N] -> windows of 10 s, followed by silence where they end early."""
    starts = range(0, max(STEP, len(sound) - STEP), STEP)
    parts = [sound[start : start + LENGTH] for start in starts]
    return [F.pad(part, (0, LENGTH - len(part))) for part in parts]


def log_mel(sound: Tensor) -> Tensor:
    """10 s of samples [320000] -> [128, 1000]."""
    brighter = sound[1:] - 0.97 * sound[:-1]
    power = spectra.power(brighter, torch.hann_window(WINDOW, periodic=False), SPECTRUM, HOP)
    bands = power @ spectra.triangles(RATE, SPECTRUM, MELS, LOWEST, HIGHEST)
    return ((torch.log(bands + 1e-5) + 4.5) / 5).T


def build(name: str, path: Path, config: Config | None = None) -> Passt:
    """From the published file. UserError when it does not hold the weights of this network."""
    config = config or Config()
    with torch.device("meta"):
        network = Network(config)
    embedder.fill(network, embedder.read(path), path)
    return Passt(network, config)
