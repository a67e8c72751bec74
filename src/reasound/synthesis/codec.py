"""Frame-rate variational autoencoder for stereo sound at 44.1 kHz, small enough for a laptop's CPU.

    audio [B, 2, N]  ->  latents [B, 64, ceil(N / 2048)]  ->  audio [B, 2, N]

Nothing runs at the sample rate: the encoder reads short-time spectra (172 frames a second), the decoder writes one
(the idea of Vocos, arXiv 2306.00814). Every layer is a matrix product over channels-last activations [B, T, C], which
is what CPUs with bf16 matrix units, and GPUs, do best. Transforms and all that surrounds them stay in float32.

Letters: B batch, N samples, L latents, T frames (8 to a latent), K frequency bins, C width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reasound.checkpoints import store
from reasound.synthesis.spectra import Frames, mid_side, nearby_tone, phase_advance, power_of

CHUNK = 512
"""Latents that one pass of the decoder writes; longer sounds are written in several, to bound memory."""


@dataclass(frozen=True, kw_only=True)
class CodecConfig:
    sample_rate: int = 44_100
    window: int = 1024
    """Samples in a frame."""
    hop: int = 256
    """Samples between frames."""
    stride: int = 8
    """Frames in a latent: 8 * 256 = 2048 samples."""
    latent: int = 64
    encoder_width: int = 256
    encoder_blocks: int = 3
    encoder_mid_blocks: int = 2
    decoder_width: int = 256
    decoder_blocks: int = 5
    decoder_mid_blocks: int = 2
    mid_width: int = 384
    """Width at the latents' rate, of encoder and decoder."""
    expand: int = 2
    curve: int = 16
    """Points of the gain curve over a frame, which keeps onsets sharper than the window."""

    @property
    def samples_per_latent(self) -> int:
        return self.hop * self.stride

    @property
    def bins(self) -> int:
        return self.window // 2 + 1

    @property
    def margin(self) -> int:
        """Latents on each side that can change what the decoder writes for a latent."""
        return (
            self.decoder_mid_blocks + 1 + -(-(self.decoder_blocks + self.window // self.hop) // self.stride)
        )

    def latents(self, samples: int) -> int:
        """The exact length rule: one latent for every started block of 2048 samples."""
        return -(-samples // self.samples_per_latent)


class Block(nn.Module):
    """Residual block: norm, a convolution over three frames written as one matrix product, SiLU, projection back."""

    def __init__(self, width: int, expand: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Linear(3 * width, expand * width)
        self.out = nn.Linear(expand * width, width)
        nn.init.normal_(self.mix.weight, std=(3 * width) ** -0.5)
        nn.init.zeros_(self.out.weight)  # a block starts as nothing, so a linear start stays exact
        nn.init.zeros_(self.mix.bias)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C] -> [B, T, C]."""
        h = self.norm(x)
        if torch.is_autocast_enabled(x.device.type):
            h = h.to(torch.get_autocast_dtype(x.device.type))
        h = F.pad(h, (0, 0, 1, 1))
        h = torch.cat([h[:, :-2], h[:, 1:-1], h[:, 2:]], dim=-1)  # [B, T, 3C]
        return x + self.out(F.silu(self.mix(h)))


def _stack(width: int, count: int, expand: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width, expand) for _ in range(count)))


class Encoder(nn.Module):
    """Audio -> mean and log deviation of the latents.

    What it reads is already what the decoder needs, so that narrow layers suffice: log magnitudes of mid and side,
    log magnitudes of mid in short windows (when exactly), phase advance (which pitch exactly) and how far side follows
    mid (where)."""

    def __init__(self, c: CodecConfig) -> None:
        super().__init__()
        self.config = c
        self.frames = Frames(c.window, c.hop)
        self.short = Frames(c.window // 4, c.hop // 4)
        self.read = nn.Linear(5 * c.bins + 4 * (c.window // 8 + 1), c.encoder_width)
        self.fast = _stack(c.encoder_width, c.encoder_blocks, c.expand)
        self.down = nn.Linear(c.stride * c.encoder_width, c.mid_width)
        self.slow = _stack(c.mid_width, c.encoder_mid_blocks, c.expand)
        self.write = nn.Linear(c.mid_width, 2 * c.latent)

    @torch.no_grad()
    def features(self, audio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, 2, 2048 L] -> [B, T, features], and the phase advance they hold with its power. Nothing is learned."""
        channels = mid_side(audio.float())
        spectrum = self.frames(channels)  # [B, 2, T, K, 2]
        power = power_of(spectrum)  # [B, 2, T, K]
        level = (power + 1e-8).log() * 0.125 + 1.0
        fine = power_of(self.short(channels[:, 0])).unflatten(1, (-1, 4)).flatten(2)  # [B, T, 4 spectra]
        fine = (fine + 1e-8).log() * 0.125 + 1.0
        direction, strength = phase_advance(spectrum, self.config.hop)
        sure = ((strength + 1e-8).log() * 0.125 + 2.3).clamp(min=0.0)
        follow = (spectrum[:, 0] * spectrum[:, 1]).sum(-1) / (power.mean(1) + 1e-6)  # -1 right ... 1 left
        pitch = [direction.real * sure, direction.imag * sure]
        return torch.cat([level[:, 0], level[:, 1], fine, *pitch, follow], -1), direction, strength

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 2, N] with any N -> mean and log deviation, each [B, L, 64]."""
        c = self.config
        audio = F.pad(audio, (0, c.latents(audio.shape[-1]) * c.samples_per_latent - audio.shape[-1]))
        return self.describe(self.features(audio)[0])

    def describe(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 8 L, features] -> mean and log deviation, each [B, L, 64]."""
        c = self.config
        x = self.fast(self.read(features).float())  # [B, 8L, C]
        x = x.unflatten(1, (-1, c.stride)).flatten(2)  # [B, L, 8C]
        x = self.slow(self.down(x).float())
        mean, log_std = self.write(x).float().chunk(2, dim=-1)
        return mean, log_std.clamp(-6.0, 1.0)


class Controls(NamedTuple):
    """What the decoder's network sets, before anything sounds. Two: mid, and what of side does not follow mid."""

    magnitude: Tensor  # [B, 2, T, K]
    follow: Tensor  # [B, T, K]  how far side follows mid: a panned mono source needs nothing else
    share: Tensor  # [B, T, K]  of tone; the rest is noise
    advance: Tensor  # [B, T, K]  radians a frame beyond the bin's own frequency
    gain: Tensor  # [B, T, window]  within the frame


class Decoder(nn.Module):
    """Latents -> controls -> spectrum -> audio.

    Each bin is a mixture of a tone and of noise. Noise is the spectrum of white noise: rain, fire and applause need no
    phase. A tone's phase is the sum of its advances, as in a phase vocoder: pitch is what the network sets, and a
    steady tone is steady without any phase in the latents."""

    spread: Tensor

    def __init__(self, c: CodecConfig) -> None:
        super().__init__()
        self.config = c
        self.frames = Frames(c.window, c.hop)
        self.read = nn.Linear(c.latent, c.mid_width)
        self.slow = _stack(c.mid_width, c.decoder_mid_blocks, c.expand)
        self.up = nn.Linear(c.mid_width, c.stride * c.decoder_width)
        self.fast = _stack(c.decoder_width, c.decoder_blocks, c.expand)
        self.rows = [2 * c.bins, c.bins, c.bins, c.bins, c.curve]
        self.write = nn.Linear(c.decoder_width, sum(self.rows))
        nn.init.normal_(self.write.weight, std=0.5 * c.decoder_width**-0.5)
        nn.init.zeros_(self.write.bias)
        spread = F.interpolate(torch.eye(c.curve)[None], c.window, mode="linear", align_corners=True)[0]
        self.register_buffer("spread", spread, persistent=False)  # [curve, window]

    def forward(self, latents: Tensor) -> Controls:
        """[B, L, 64] -> controls of T = 8 L frames."""
        c = self.config
        x = self.slow(self.read(latents).float())  # [B, L, W]
        x = self.up(x).unflatten(2, (c.stride, -1)).flatten(1, 2).float()  # [B, 8L, C]
        x = self.write(self.fast(x)).float()  # [B, 8L, rows]
        level, follow, share, advance, curve = x.split(self.rows, dim=-1)
        magnitude = (2.0 * level - 3.0).clamp(max=7.0).exp().unflatten(-1, (2, c.bins)).transpose(1, 2)
        distance, doubt = nearby_tone(magnitude)
        return Controls(
            magnitude=magnitude,
            follow=follow,
            # Noise is the safe guess; tone must be earned, by a peak or by the network, or bins settle on a buzz.
            share=torch.sigmoid(2.0 * share - 3.0 + 3.0 * (1.0 - doubt)),
            advance=advance + distance * (2 * math.pi * c.hop / c.window),
            gain=((2.0 * curve) @ self.spread).clamp(-6.0, 3.0).exp(),
        )

    def sound(self, controls: Controls, noise: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        """Controls, white noise [B, 2, 2048 (L + 2)] that reaches one latent further on both sides, and the tones'
        phases before the first frame [B, K] -> audio [B, 2, 2048 L] and the phases after every frame [B, T, K]."""
        c = self.config
        turns = torch.arange(c.bins, device=phase.device) * (2 * math.pi * c.hop / c.window)
        phases = phase[:, None] + torch.cumsum(controls.advance.detach() + turns.remainder(2 * math.pi), 1)
        hiss = self.frames(noise)[:, :, c.stride : -c.stride] * self.frames.window.square().sum().rsqrt()
        share = controls.share[:, None]
        # Slightly above one: the root's derivative is infinite at zero.
        rest = (1.0001 - share.square()).sqrt()
        # Real and imaginary parts apart, since products of complex and real tensors are slow.
        parts = []
        for wave, grain in zip((phases.cos(), phases.sin()), hiss.unbind(-1), strict=True):
            mid, free = (controls.magnitude * (share * wave[:, None] + rest * grain)).unbind(
                1
            )  # [B, T, K] each
            side = mid * controls.follow + free
            parts.append(torch.stack([mid + side, mid - side], dim=1))  # [B, 2, T, K]
        return self.frames.inverse(torch.complex(*parts), controls.gain[:, None]), phases


def _generator(seed: int, position: int) -> torch.Generator:
    """One stream for every latent of every seed, so that noise belongs to a place and not to a call."""
    mixed = (seed * 0x9E3779B97F4A7C15 + (position + 2) * 0xD1B54A32D192ED03) & 0x7FFFFFFFFFFFFFFF
    return torch.Generator().manual_seed(mixed)


class Codec(nn.Module):
    shift: Tensor
    scale: Tensor

    def __init__(self, config: CodecConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or CodecConfig()
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        # Of raw latents over training crops; measured when the encoder is finished.
        self.register_buffer("shift", torch.zeros(config.latent))
        self.register_buffer("scale", torch.ones(config.latent))

    @torch.no_grad()
    def encode(self, audio: Tensor) -> Tensor:
        """Audio [B, 2, N] -> latents [B, 64, ceil(N / 2048)] of about unit variance. ValueError for other shapes."""
        if audio.ndim != 3 or audio.shape[1] != 2 or audio.shape[2] == 0:
            raise ValueError(f"the codec wants audio of shape [batch, 2, samples], not {list(audio.shape)}")
        mean, _ = self.encoder(audio)
        return ((mean - self.shift) / self.scale).transpose(1, 2)

    @torch.no_grad()
    def decode(
        self,
        latents: Tensor,
        samples: int | None = None,
        start_latent: int = 0,
        seed: int | Sequence[int] = 0,
    ) -> Tensor:
        """Latents [B, 64, L] -> audio [B, 2, samples], by default 2048 L samples.

        The same latents, `start_latent` and `seed` (one, or one an item) always sound the same, whatever else is in the
        batch. Noise belongs to the absolute position, so a window decoded by itself, with `start_latent` where it
        stands and `config.margin` latents around it, joins its neighbours; tones keep their pitch over such a join but
        not their phase. Give layers that are heard together different seeds. ValueError for shapes that do not fit.
        """
        c = self.config
        if latents.ndim != 3 or latents.shape[1] != c.latent or latents.shape[2] == 0:
            raise ValueError(
                f"the codec wants latents of shape [batch, {c.latent}, length], not {list(latents.shape)}"
            )
        count, length = latents.shape[0], latents.shape[2]
        samples = length * c.samples_per_latent if samples is None else samples
        if not 0 <= samples <= length * c.samples_per_latent:
            raise ValueError(
                f"{length} latents hold at most {length * c.samples_per_latent} samples, not {samples}"
            )
        seeds = [seed] * count if isinstance(seed, int) else list(seed)
        if len(seeds) != count:
            raise ValueError(f"{len(seeds)} seeds for {count} items: give one seed, or one for each")
        raw = latents.transpose(1, 2) * self.scale + self.shift  # [B, L, 64]
        draw = torch.stack([torch.rand(c.bins, generator=_generator(s, -2)) for s in seeds])
        phase, parts = (2 * math.pi * draw).to(raw.device), []
        for begin in range(0, length, CHUNK):
            end = min(begin + CHUNK, length)
            left, right = max(begin - c.margin, 0), min(end + c.margin, length)
            controls = self.decoder(raw[:, left:right])
            # The margin before the chunk was already counted in the phases of the chunk before.
            early = controls.advance[:, : (begin - left) * c.stride]
            carrier = (
                2 * math.pi * c.hop / c.window * torch.arange(c.bins, device=raw.device).remainder(c.window)
            )
            before = phase - early.sum(1) - early.shape[1] * carrier.remainder(2 * math.pi)
            noise = self._noise(seeds, start_latent + left - 1, start_latent + right + 1).to(raw.device)
            audio, phases = self.decoder.sound(controls, noise, before)
            parts.append(
                audio[..., (begin - left) * c.samples_per_latent : (end - left) * c.samples_per_latent]
            )
            phase = phases[:, (end - left) * c.stride - 1].remainder(2 * math.pi)
        return torch.cat(parts, -1)[..., :samples]

    def _noise(self, seeds: Sequence[int], begin: int, end: int) -> Tensor:
        """White noise of latents begin to end: [B, 2, 2048 (end - begin)], from the CPU whatever the device."""
        size = (2, self.config.samples_per_latent)
        rows = [
            torch.cat([torch.randn(size, generator=_generator(s, at)) for at in range(begin, end)], -1)
            for s in seeds
        ]
        return torch.stack(rows)

    def save(self, folder: Path) -> None:
        """Write config.json and codec.safetensors, in half precision."""
        store.save(folder, "codec", self.state_dict(), self.config)

    @classmethod
    def load(cls, folder: Path) -> Codec:
        """The codec that `save` wrote, in float32 on the CPU. UserError when it is not there or damaged."""
        return store.load(folder, "codec", lambda fields: cls(CodecConfig(**fields)))
