"""A start for the codec: linear principal components of log spectra.

Trained from random weights, a network of this size needs thousands of steps to find what a linear analysis of two
minutes of sound gives at once: which 64 numbers say most about 8 frames of log magnitudes and their panning. The
blocks of a new codec do nothing yet, so it is linear from features to controls; here that line is set to the
components of a frame, then of a latent's frames, and back. Training begins with a codec that works.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from reasound.synthesis.codec import Codec

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
    """Set the linear path of a new codec from training crops [B, 2, N]. ValueError when they are too few."""
    c, encoder, decoder = codec.config, codec.encoder, codec.decoder
    frequency = torch.arange(c.bins) * (c.sample_rate / c.window)
    ear = (700.0 / (frequency + 700.0)).sqrt()  # bins count as much as mel bands lie there
    ear = ear / ear.mean()
    weight = torch.cat([ear, SIDE * ear, FOLLOW * ear]).to(codec.shift.device)
    seen = torch.cat([encoder.linear_features(encoder.features(b)[0]) for b in batches]) * weight  # [B, T, 3K]
    if seen.shape[0] * seen.shape[1] < 4 * c.stride * c.components:
        raise ValueError("too few crops to find the components of the sounds; give more batches")

    mean, axes, spread = components(seen.flatten(0, 1), c.components)
    frames = (seen - mean) @ axes  # [B, T, components]
    patches = frames.unflatten(1, (-1, c.stride)).flatten(2).flatten(0, 1)  # [B L, 8 components]
    patch_mean, patch_axes, deviation = components(patches, c.latent)
    strength = (deviation / deviation[-1]) ** 0.3  # what says more is told more exactly
    each = spread.repeat(c.stride)  # frames travel at unit deviation, for the network beside

    encoder.frame_axes.weight.copy_((axes / spread).T * weight)
    encoder.frame_axes.bias.copy_(-(mean @ axes) / spread)
    encoder.latent_axes.weight.copy_((each[:, None] * patch_axes * (strength / deviation)).T)
    encoder.latent_axes.bias.copy_(-(patch_mean @ patch_axes) * (strength / deviation))
    decoder.latent_axes.weight.copy_(patch_axes * (deviation / strength) / each[:, None])
    decoder.latent_axes.bias.copy_(patch_mean / each)
    # Features are log power / 8 + 1, controls exp(2 x - 3): levels to match, panning nearly as it is.
    two = torch.full_like(mean, 2.0)
    two[2 * c.bins :] = 0.6
    shift = torch.full_like(mean, HUSH / 2 - 0.5)
    shift[2 * c.bins :] = 0.0
    decoder.frame_axes.weight.copy_(((axes * spread).T / weight * two).T)
    decoder.frame_axes.bias.copy_(mean / weight * two + shift)
