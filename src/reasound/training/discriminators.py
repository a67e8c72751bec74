"""Judges of whether a spectrum is real: adversarial training of the codec's decoder.

Small convolutional networks on complex spectra of several windows (multi-resolution discriminators as in arXiv
2306.06546), with the hinge loss (arXiv 1802.05957) and feature matching (arXiv 1910.06711).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reasound.synthesis.spectra import Frames, power_of

WINDOWS = (512, 1024, 2048)
WIDTHS = (16, 32, 32)


class Judge(nn.Module):
    """Audio [B, 2, N] -> opinions [B, 1, T, K'], positive for real, and what each layer saw on the way there."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self.frames = Frames(window, window // 2)
        normed = nn.utils.parametrizations.weight_norm
        self.layers = nn.ModuleList(
            normed(nn.Conv2d(a, b, (3, 5), stride=(1, 2), padding=(1, 2)))
            for a, b in zip((4, *WIDTHS[:-1]), WIDTHS, strict=True)
        )
        self.last = normed(nn.Conv2d(WIDTHS[-1], 1, 3, padding=1))

    def forward(self, audio: Tensor) -> tuple[Tensor, list[Tensor]]:
        spectrum = self.frames(audio)  # [B, 2, T, K, 2]
        # The third power of a tenth: what is 60 dB down still shows, with its phase.
        squeezed = spectrum * (power_of(spectrum)[..., None] + 1e-6) ** -0.35
        x = squeezed.permute(0, 1, 4, 2, 3).flatten(1, 2)  # [B, 4, T, K]
        seen = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
            seen.append(x)
        return self.last(x), seen


class Judges(nn.Module):
    """One judge for every window; each step asks one of them."""

    def __init__(self, windows: Sequence[int] = WINDOWS) -> None:
        super().__init__()
        self.judges = nn.ModuleList(Judge(window) for window in windows)

    def own_loss(self, which: int, real: Tensor, made: Tensor) -> Tensor:
        """The hinge loss that the judge learns from; nothing flows back into `made`."""
        judge = self.judges[which]
        return F.relu(1 - judge(real)[0]).mean() + F.relu(1 + judge(made.detach())[0]).mean()

    def made_loss(self, which: int, real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        """What the decoder learns from: to be taken for real, and to look like the recording in every layer."""
        judge = self.judges[which]
        with torch.no_grad():
            wanted = judge(real)[1]
        opinion, seen = judge(made)
        near = [(a - b).abs().mean() / (b.abs().mean() + 1e-3) for a, b in zip(seen, wanted, strict=True)]
        return -opinion.mean(), torch.stack(near).mean()
