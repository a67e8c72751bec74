"""Whether a tagger still hears the same thing: distances between YAMNet's inner layers.

A codec that is judged by spectra alone smears what tells a bark from a knock. The features of a network that was
trained to name sounds (as arXiv 1603.08155 does for pictures) weigh what matters. Where it was used in training,
YAMNet's own opinion of a reconstruction is no independent measure any more.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reasound.evaluation.yamnet import HIGHEST, LOWEST, MELS, PATCH, STRIDES, Yamnet
from reasound.perception.labels import pad_same
from reasound.timeline import SAMPLE_RATE

LAYERS = (1, 3, 5, 8, 11, 12)
"""Which of the 13 blocks are compared; the last one gives the embedding."""
WINDOW, HOP, SPECTRUM = (
    1102,
    441,
    1408,
)  # samples at 44.1 kHz: 25 ms, 10 ms, and bins 31.3 Hz apart as YAMNet's
SAMPLES = (PATCH - 1) * HOP + WINDOW
"""What one patch hears."""


class TagLoss(nn.Module):
    """Energy distance between recordings and their reconstructions in YAMNet's layers."""

    filters: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.network = Yamnet.load().network.requires_grad_(False)
        self.register_buffer("filters", _filters(), persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW) * (200.0 / (WINDOW / 2)), persistent=False)

    def features(self, mono: Tensor) -> list[Tensor]:
        """[B, at least SAMPLES] at 44.1 kHz, heard from the start -> layers, each [B, C, T, F], and the embedding."""
        frames = mono[:, :SAMPLES].unfold(-1, WINDOW, HOP) * self.window
        spectrum = torch.view_as_real(torch.fft.rfft(frames, SPECTRUM))
        magnitude = (spectrum.square().sum(-1) + 1e-12).sqrt()
        x = torch.log(magnitude @ self.filters + 0.001)[:, None]  # [B, 1, 96, 64]
        net, found = self.network, []
        with torch.autocast(x.device.type, torch.bfloat16):
            x = F.relu(net.stem(pad_same(x.contiguous(memory_format=torch.channels_last), 3, 2)))
            for k, (spread, mix, stride) in enumerate(zip(net.spread, net.mix, STRIDES, strict=True)):
                x = F.relu(mix(F.relu(spread(pad_same(x, 3, stride)))))
                if k in LAYERS:
                    found.append(x.float())
        return [*found, found[-1].mean((2, 3))]

    def forward(self, real: Tensor, draws: list[Tensor]) -> Tensor:
        """Audio [B, 2, N] and two reconstructions of it: how far these are from the recording, less half of how far
        they are from each other, in each layer's own unit, averaged over the layers. At a level where the recording
        peaks at one half, as YAMNet is asked."""
        mono = [x.mean(1) for x in (real, *draws)]
        gain = 0.5 / mono[0].abs().amax(1, keepdim=True).clamp(min=1e-3)
        with torch.no_grad():
            wanted = self.features(mono[0] * gain)
        one, two = ([*self.features(x * gain)] for x in mono[1:])
        total = real.new_zeros(())
        for w, a, b in zip(wanted, one, two, strict=True):
            unit = w.abs().mean() + 1e-3
            near = 0.5 * ((a - w).abs().mean() + (b - w).abs().mean())
            total = total + (near - 0.5 * (a - b).abs().mean()) / unit
        return total / len(wanted)


def _filters() -> Tensor:
    """YAMNet's bands [K, 64] at our bins."""
    mel = 1127.0 * np.log1p(np.arange(SPECTRUM // 2 + 1)[:, None] * SAMPLE_RATE / SPECTRUM / 700.0)
    edges = np.linspace(1127.0 * np.log1p(LOWEST / 700.0), 1127.0 * np.log1p(HIGHEST / 700.0), MELS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (mel - low) / (centre - low), (high - mel) / (high - centre)
    return torch.from_numpy(np.clip(np.minimum(rise, fall), 0.0, None).astype(np.float32))
