"""OpenL3 (Cramer et al. 2019): 512 or 6144 numbers for each second, every half second, full band and in stereo.

FD_OpenL3 of stable-audio-metrics (Evans et al. 2024, arXiv 2402.04825): 256 mel bands, content "env" or "music", 512
numbers a channel, left and right one after the other. The weights are the torch conversion of torchopenl3, whose file
for 512 and for 6144 numbers holds the same tensors: only the last pooling differs. The original files are Keras's.

Front end: both channels scaled together to a peak of -1 dB (silence stays silence), each at 48 kHz by itself; half a
second of silence before; windows of 1 s every 0.5 s, the last one followed by silence; 982 zeros on both sides; Hann
window (periodic) of 2048 samples every 242: 199 frames; power; 256 mel bands, 0 to 24 kHz, HTK's scale and of equal
area, taken from the published file itself; square root; 10 log10 of at least 1e-10; the loudest value of each window
is 0 dB, and nothing is below -80 dB. (That is of amplitude and by a factor of 10, so -160 dB of power, more than
float32 holds: in the bands above 22 kHz, sound that was at 44.1 kHz is rounding.) stable-audio-metrics resamples to the
rate at which it compares first (44.1 kHz) and then to 48 kHz with resampy; we resample once, with soxr.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from reasound.evaluation.protocols import embedder
from reasound.evaluation.protocols.embedder import Heard, Published

PUBLISHED = {
    f"openl3-{content}-{size}": Published(
        project="github.com/torchopenl3/torchopenl3 (its weights: github.com/Luckygyana/torchopenl3-models)",
        file=f"torchopenl3_mel256_{content}_{size}.pth.tar",
        licence="MIT; the original weights CC-BY-4.0",
    )
    for content in ("env", "music")
    for size in (512, 6144)
}

DERIVED = ("speclayer.dft_real_kernels", "speclayer.dft_imag_kernels")
"""The windowed Fourier transform as convolutions: we have our own."""

RATE = 48_000
STEP = 24_000  # samples between windows of one second
WINDOW, HOP, MELS = 2048, 242, 256
EDGE = (WINDOW - RATE % HOP) // 2  # samples of silence on both sides of a second: 982
PEAK = 10 ** (-1 / 20)
POOLS = {512: (32, 24), 6144: (8, 8)}
BATCH = 8  # windows at once: 100 MB of memory at full size


@dataclass(frozen=True, kw_only=True)
class Config:
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    pool: tuple[int, int] = POOLS[512]
    """(bands, frames) that the last pooling takes together."""
    stereo: Literal["left-right", "mean"] = "left-right"
    """The embeddings of both channels one after the other, or the embedding of their mean."""

    @property
    def size(self) -> int:
        """Numbers in the embedding of one channel."""
        return self.widths[-1] * (MELS // 8 // self.pool[0]) * (24 // self.pool[1])


class OpenL3:
    """OpenL3 as an embedder: an embedding every half second, of the second around it."""

    rate = RATE
    kl_protocol: str | None = None

    def __init__(self, network: Network, content: str, config: Config) -> None:
        self.network, self.config = network, config
        self.protocol = f"fd-openl3/mel256-{content}-hop0.5/{config.size}d-{config.stereo}"

    @torch.inference_mode()
    def __call__(self, audio: NDArray[Any]) -> Heard:
        both = embedder.channels(audio)
        both = both * (PEAK / max(float(np.abs(both).max()), 1e-9))
        if self.config.stereo == "mean":
            return Heard(self._hear(both).numpy())
        left, right = both[0], both[-1]  # the same one twice where there is one
        return Heard(torch.cat([self._hear(left), self._hear(right)], dim=1).numpy())

    def _hear(self, channel: NDArray[Any]) -> Tensor:
        parts = windows(embedder.mono(channel, RATE)).split(BATCH)
        return torch.cat([self.network(part) for part in parts])


class Network(nn.Module):
    """Windows [P, 48000] -> embeddings [P, D]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.pool = config.pool
        a, b, c, d = config.widths
        self.speclayer = MelFilters()
        self.batch_normalization_1 = _norm(1)
        for number, (before, width) in enumerate([(1, a), (a, a), (a, b), (b, b), (b, c), (c, c), (c, d)], 1):
            self.add_module(f"conv2d_{number}", nn.Conv2d(before, width, 3, padding=1))
            self.add_module(f"batch_normalization_{number + 1}", _norm(width))
        self.audio_embedding_layer = nn.Conv2d(d, d, 3, padding=1)

    def forward(self, windows: Tensor) -> Tensor:
        x = self.batch_normalization_1(self.decibels(windows)[:, None])  # [P, 1, 256, 199]
        for number in range(1, 8):
            x = self.get_submodule(f"conv2d_{number}")(x)
            x = F.relu(self.get_submodule(f"batch_normalization_{number + 1}")(x))
            if number in (2, 4, 6):
                x = F.max_pool2d(x, 2)
        x = F.max_pool2d(self.audio_embedding_layer(x), self.pool)  # [P, 512, 1, 1] or [P, 512, 4, 3]
        return x.permute(0, 2, 3, 1).flatten(1)  # Keras keeps channels last

    def decibels(self, windows: Tensor) -> Tensor:
        """[P, 48000] -> [P, 256, 199], 0 at the loudest and -80 at the least."""
        frames = F.pad(windows, (EDGE, EDGE)).unfold(1, WINDOW, HOP)  # [P, 199, 2048]
        spectrum = torch.fft.rfft(frames * torch.hann_window(WINDOW))
        power = spectrum.real.square() + spectrum.imag.square()
        bands = self.speclayer.mel_basis @ power.transpose(1, 2)
        level = 10 * torch.log10(bands.sqrt().clamp(min=1e-10))
        return (level - level.amax((1, 2), keepdim=True)).clamp(min=-80)


class MelFilters(nn.Module):
    mel_basis: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mel_basis", torch.zeros(MELS, WINDOW // 2 + 1))


def windows(sound: Tensor) -> Tensor:
    """48 kHz samples [N] -> [P, 48000]: the first window is centred on the first sample."""
    length = STEP + len(sound)
    steps = max(0, -(-(length - RATE) // STEP))
    return F.pad(sound, (STEP, RATE + steps * STEP - length)).unfold(0, RATE, STEP)


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)  # Keras's default


def build(name: str, path: Path, config: Config | None = None) -> OpenL3:
    """From a published file. UserError when it does not hold the weights of this network."""
    _, content, size = name.split("-")
    config = config or Config(pool=POOLS[int(size)])
    with torch.device("meta"):
        network = Network(config)
    embedder.fill(network, embedder.read(path), path, DERIVED)
    return OpenL3(network, content, config)
