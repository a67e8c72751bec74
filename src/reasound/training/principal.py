"""A start for the codec: linear principal components of log spectra.

Trained from random weights, a network of this size needs many thousands of steps to find what a linear analysis of
ten minutes of sound gives at once: which 64 numbers say most about 8 frames of log magnitudes and their panning. The
blocks of a new codec do nothing yet, so it is linear from features to controls; here that line is set to the
components of a frame, then of a latent's frames, and back. Training begins with a codec that works (docs/LOG.md has
the numbers).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from reasound.synthesis.codec import Codec

KEPT = 0.75
"""Share of the width that carries components; the rest starts at random, for what is not linear."""
SIDE, FOLLOW = 0.5, 0.2
"""How much an error in side and in panning counts beside one in mid."""
HUSH = 0.29
"""Nepers by which the mean log magnitude of noise lies below its level (half of Euler's constant)."""


def components(x: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """[N, D] -> mean [D], the strongest directions [D, count] and the deviation along each [count]."""
    mean = x.mean(0)
    values, vectors = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    return mean, vectors.flip(1)[:, :count].contiguous(), values.flip(0)[:count].clamp(min=1e-8).sqrt()


@torch.no_grad()
def start_linear(codec: Codec, batches: Iterable[Tensor]) -> None:
    """Set the linear layers of a new codec from training crops [B, 2, N]. ValueError when they are too few."""
    c, encoder, decoder = codec.config, codec.encoder, codec.decoder
    bins, device = c.bins, codec.shift.device
    frequency = torch.arange(bins, device=device) * (c.sample_rate / c.window)
    ear = (700.0 / (frequency + 700.0)).sqrt()  # bins count as much as mel bands lie there
    ear = ear / ear.mean()
    weight = torch.cat([ear, SIDE * ear, FOLLOW * ear])
    total = encoder.read.in_features
    used = torch.cat([torch.arange(2 * bins), torch.arange(total - bins, total)]).to(
        device
    )  # levels and panning
    seen = torch.cat([encoder.features(b.to(device))[0][..., used] * weight for b in batches])  # [B, T, 3K]
    kept = int(KEPT * min(c.encoder_width, c.decoder_width))
    if seen.shape[0] * seen.shape[1] < 4 * c.stride * kept:
        raise ValueError("too few crops to find the components of the sounds; give more batches")

    mean, axes, spread = components(seen.flatten(0, 1), kept)
    spread = spread**0.7  # weak components are raised, so that the blocks can see them
    frames = (seen - mean) @ axes  # [B, T, kept]
    patches = frames.unflatten(1, (-1, c.stride))  # [B, L, 8, kept]
    patch_mean, patch_axes, deviation = components(patches.flatten(2).flatten(0, 1), c.latent)
    strength = (deviation / deviation[-1]) ** 0.3  # what says more is told more exactly
    split = patch_axes.unflatten(0, (c.stride, kept))  # [8, kept, 64]

    encoder.read.weight[:kept] = 0.0
    encoder.read.weight[:kept, used] = (axes / spread).T * weight
    encoder.read.bias[:kept] = -(mean @ axes) / spread
    down = encoder.down.weight.view(c.mid_width, c.stride, c.encoder_width)
    down[: c.latent] = 0.0
    down[: c.latent, :, :kept] = (split * (spread[:, None] / deviation)).permute(2, 0, 1)
    encoder.down.bias[: c.latent] = -(patch_mean @ patch_axes) / deviation
    encoder.write.weight.zero_()
    encoder.write.weight[: c.latent, : c.latent] = torch.diag(strength)
    encoder.write.bias.zero_()
    encoder.write.bias[c.latent :] = -2.5

    decoder.read.weight[: c.latent] = torch.diag(1.0 / strength)
    decoder.read.bias[: c.latent] = 0.0
    up = decoder.up.weight.view(c.stride, c.decoder_width, c.mid_width)
    up[:, :kept] = 0.0
    up[:, :kept, : c.latent] = split * deviation / spread[:, None]
    decoder.up.bias.view(c.stride, c.decoder_width)[:, :kept] = patch_mean.view(c.stride, kept) / spread
    back, centre = (axes * spread).T / weight, mean / weight  # [kept, 3K], [3K]
    level, follow = slice(0, 2 * bins), slice(2 * bins, 3 * bins)
    decoder.write.weight[: 3 * bins] = 0.0
    # Features are log power / 8 + 1, controls exp(2 x - 3).
    decoder.write.weight[level, :kept] = 2.0 * back[:, level].T
    decoder.write.bias[level] = 2.0 * centre[level] - 0.5 + HUSH / 2
    decoder.write.weight[follow, :kept] = 0.6 * back[:, follow].T
    decoder.write.bias[follow] = 0.6 * centre[follow]
    decoder.write.weight[3 * bins :] *= 0.2  # share, pitch and gain curve begin near their biases
