"""Short-time spectra and what can be read from them: the transforms of the codec and of its losses.

Letters: B batch, N samples, T frames, K frequency bins.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def cut_frames(audio: Tensor, size: int, hop: int, pad: int) -> Tensor:
    """[..., samples] -> [..., samples / hop, size]: frames `hop` apart, the first one beginning `pad` samples early."""
    return F.pad(audio, (pad, size - hop - pad)).unfold(-1, size, hop)


def overlap_add(frames: Tensor, hop: int, pad: int, samples: int) -> Tensor:
    """[..., T, size] -> [..., samples]: the sum of frames `hop` apart, without its first `pad` samples."""
    parts, count = frames.shape[-1] // hop, frames.shape[-2]
    blocks = frames.unflatten(-1, (parts, hop))  # [..., T, parts, hop]
    total = frames.new_zeros(*frames.shape[:-2], count + parts - 1, hop)
    for k in range(parts):
        total[..., k : k + count, :] += blocks[..., k, :]
    total = total.flatten(-2)[..., pad : pad + samples]
    return F.pad(total, (0, samples - total.shape[-1]))


class _Analysis(torch.autograd.Function):
    """Frames, window, real Fourier transform. Its derivative is an inverse real transform and an overlap-add, three
    times as fast as what automatic differentiation does (a complex transform and a scatter)."""

    @staticmethod
    def forward(ctx: Any, audio: Tensor, window: Tensor, hop: int) -> Tensor:
        ctx.hop, ctx.samples = hop, audio.shape[-1]
        ctx.save_for_backward(window)
        frames = cut_frames(audio, len(window), hop, (len(window) - hop) // 2) * window
        return torch.view_as_real(torch.fft.rfft(frames))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (window,) = ctx.saved_tensors
        grad = grads[0].contiguous().clone()
        grad[..., 1:-1, :] *= 0.5  # each of these bins stands for two of the full transform
        frames = torch.fft.irfft(torch.view_as_complex(grad), n=len(window), norm="forward") * window
        return overlap_add(frames, ctx.hop, (len(window) - ctx.hop) // 2, ctx.samples), None, None


class _Synthesis(torch.autograd.Function):
    """Overlap-add; its derivative cuts frames, where automatic differentiation would fill and add many slices."""

    @staticmethod
    def forward(ctx: Any, frames: Tensor, hop: int) -> Tensor:
        ctx.size, ctx.hop = frames.shape[-1], hop
        return overlap_add(frames, hop, (ctx.size - hop) // 2, frames.shape[-2] * hop)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return cut_frames(grads[0], ctx.size, ctx.hop, (ctx.size - ctx.hop) // 2), None


class Frames(nn.Module):
    """Short-time Fourier transform, and its inverse, with exactly `samples / hop` frames."""

    window: Tensor

    def __init__(self, window: int, hop: int) -> None:
        super().__init__()
        self.hop = hop
        self.register_buffer("window", torch.hann_window(window), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """[..., N] -> [..., N / hop, K, 2]: real and imaginary parts."""
        spectrum: Tensor = _Analysis.apply(audio.float(), self.window, self.hop)
        return spectrum

    def inverse(self, spectrum: Tensor, gain: Tensor | float = 1.0) -> Tensor:
        """complex [..., T, K] -> [..., T * hop]: frames times gain [..., T, window] times window, summed, over the
        window's energy."""
        frames = torch.fft.irfft(spectrum, n=len(self.window)) * (gain * self.window)
        energy = self.window.square().expand(spectrum.shape[-2], -1)
        audio: Tensor = _Synthesis.apply(frames, self.hop) / _Synthesis.apply(energy, self.hop)
        return audio


def mid_side(audio: Tensor) -> Tensor:
    """[B, 2, N] left and right -> mid and side, half their sum and half their difference."""
    return torch.stack([audio[:, 0] + audio[:, 1], audio[:, 0] - audio[:, 1]], 1) * 0.5


def power_of(spectrum: Tensor) -> Tensor:
    """[..., 2] real and imaginary -> [...] power; three times as fast as a sum over an axis of two."""
    real, imaginary = spectrum.unbind(-1)
    return real.square() + imaginary.square()


def phase_advance(spectrum: Tensor, hop: int) -> tuple[Tensor, Tensor]:
    """Spectra [B, 2, T, K, 2] -> by how much the phase of each bin moves from one frame to the next beyond what the
    bin's own frequency explains, as a direction [B, T, K] (complex, length 1 where there is sound), and its power.

    A tone between two bins shows here as the distance to the bin, far finer than the bins' spacing."""
    now = torch.view_as_complex(spectrum.contiguous())
    window = 2 * (now.shape[-1] - 1)
    turns = torch.arange(now.shape[-1], device=now.device) * (2 * math.pi * hop / window)
    before = F.pad(torch.view_as_real(now), (0, 0, 0, 0, 1, 0))[:, :, :-1]
    cross = (now * torch.view_as_complex(before.contiguous()).conj()).sum(1)  # both channels, by their power
    cross = cross * torch.polar(torch.ones_like(turns), -turns)
    power = cross.abs()
    return cross / (power + 1e-8), power


@torch.no_grad()
def nearby_tone(magnitude: Tensor) -> tuple[Tensor, Tensor]:
    """Magnitudes [B, 2, T, K] of mid and side -> for every bin how far away, in bins, a tone would have to be to
    explain its neighbours, [B, T, K], and by how much the two neighbours disagree: 0 for a pure tone, 1 for flat noise.

    In the main lobe of a Hann window a tone d bins above bin k has |X[k+1]| / |X[k]| = (1 + d) / (2 - d)."""
    level = magnitude.square().sum(1).sqrt()
    beside = F.pad(level, (1, 1), mode="replicate")
    below, above = beside[..., :-2] / (level + 1e-9), beside[..., 2:] / (level + 1e-9)
    up, down = (2 * above - 1) / (above + 1), (1 - 2 * below) / (below + 1)
    return 0.5 * (up + down), up - down
