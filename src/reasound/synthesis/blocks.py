"""The parts of the DiT: convolution, gated MLP, and a stream of tokens that takes part in attention.

B batch, T tokens, D width, H heads, d width of a head. Activations are channels-last [B, T, D]: every layer is one
large matrix product, convolutions too, which is what CPUs with matrix units and GPUs do best.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reasound.synthesis.rope import rotate


def lowered(x: Tensor) -> Tensor:
    """In the precision of autocast where that is on: saves memory before a copy."""
    if torch.is_autocast_enabled(x.device.type):
        return x.to(torch.get_autocast_dtype(x.device.type))
    return x


class Conv(nn.Module):
    """Convolution over the token axis, zeros beyond both ends, as one matrix product."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True) -> None:
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(torch.empty(outputs, kernel * inputs))  # taps are the slow axis
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        nn.init.uniform_(self.weight, -((kernel * inputs) ** -0.5), (kernel * inputs) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, inputs] -> [B, T, outputs]."""
        if self.kernel > 1:
            x = F.pad(lowered(x), (0, 0, self.kernel // 2, self.kernel // 2))
            count = x.shape[1] - self.kernel + 1
            x = torch.cat([x[:, k : k + count] for k in range(self.kernel)], -1)  # [B, T, kernel * inputs]
        return F.linear(x, self.weight, self.bias)


class GatedMLP(nn.Module):
    """SwiGLU (arXiv 2002.05202) whose reading and writing may look at neighbouring tokens."""

    def __init__(self, width: int, inner: int, kernel: int) -> None:
        super().__init__()
        self.read = Conv(width, 2 * inner, kernel, bias=False)  # first half gates, second half is gated
        self.write = Conv(inner, width, kernel, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.read(x).chunk(2, dim=-1)
        written: Tensor = self.write(F.silu(gate) * value)
        return written


class PairNorm(nn.Module):
    """Queries and keys over their root mean squares, times gains; always in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.ones(width))
        self.key = nn.Parameter(torch.ones(width))

    def forward(self, pair: Tensor) -> Tensor:
        """[2, B, H, T, d] -> the same shape."""
        pair = pair.float()
        size = torch.rsqrt(pair.square().mean(-1, keepdim=True) + torch.finfo(torch.float32).eps)
        return pair * size * torch.stack([self.query, self.key])[:, None, None, None]


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention of [B, H, T, d]; mask [B, 1, 1, T], False where a key is padding."""
    if query.device.type == "cpu" and query.requires_grad:
        # Plain products keep their scores, but their derivative is five times as fast as the fused kernel's.
        scores = (query @ key.transpose(-1, -2)).float() * query.shape[-1] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        return scores.softmax(-1).to(value.dtype) @ value
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalised x [B, T, D], scaled and shifted by what the conditions say ([B, 1 or T, D])."""
    return F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift


class Question(NamedTuple):
    """What a stream brings to attention, and how the answer will enter it."""

    query: Tensor  # [B, H, T, d]
    key: Tensor
    value: Tensor
    gates: tuple[Tensor, ...]  # gate of attention; shift, scale and gate of the MLP


class Stream(nn.Module):
    """One stream's part of a block: pre-norm, attention, gated MLP, all modulated by the condition."""

    def __init__(self, width: int, heads: int, inner: int, kernel: int, listens: bool = True) -> None:
        """`listens`: False in the last joint block, where visual and text are only listened to."""
        super().__init__()
        self.heads, self.listens = heads, listens
        self.modulate = nn.Linear(width, (6 if listens else 2) * width)
        self.qkv = nn.Linear(width, 3 * width)
        self.norm = PairNorm(width // heads)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        if listens:
            self.out = Conv(width, width, kernel)
            self.mlp = GatedMLP(width, inner, kernel)

    def ask(self, x: Tensor, condition: Tensor, turns: Tensor | None) -> Question:
        """x [B, T, D]; condition [B, 1 or T, D] after its SiLU; turns of `rope.angles`, None without positions."""
        shift, scale, *gates = self.modulate(condition).chunk(6 if self.listens else 2, dim=-1)
        qkv = self.qkv(modulated(x, shift, scale)).unflatten(-1, (3, self.heads, -1))  # [B, T, 3, H, d]
        qkv = qkv.permute(2, 0, 3, 1, 4)  # [3, B, H, T, d]
        pair, value = self.norm(qkv[:2]), qkv[2]
        if turns is not None:
            pair = rotate(pair, turns)
        query, key = pair.to(value.dtype)
        return Question(query, key, value, tuple(gates))

    def answer(self, x: Tensor, heard: Tensor, gates: Sequence[Tensor]) -> Tensor:
        """x [B, T, D] and what attention gave it [B, H, T, d] -> x after the block."""
        if not self.listens:
            return x
        gate_attention, shift, scale, gate_mlp = gates
        x = x + gate_attention * self.out(heard.transpose(1, 2).flatten(2))
        return x + gate_mlp * self.mlp(modulated(x, shift, scale))


class JointBlock(nn.Module):
    """Latents, visual and text tokens attend to each other; each stream keeps its own weights."""

    def __init__(self, width: int, heads: int, inner: int, last: bool) -> None:
        super().__init__()
        self.latent = Stream(width, heads, inner, 3)
        self.visual = Stream(width, heads, inner, 3, listens=not last)
        self.text = Stream(width, heads, inner, 1, listens=not last)

    def forward(
        self,
        streams: tuple[Tensor, Tensor, Tensor],
        conditions: tuple[Tensor, Tensor, Tensor],
        turns: tuple[Tensor | None, ...],
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(latent, visual, text), each [B, T, D]; mask [B, 1, 1, all tokens], False where a token is padding."""
        parts = (self.latent, self.visual, self.text)
        asked = [part.ask(x, c, t) for part, x, c, t in zip(parts, streams, conditions, turns, strict=True)]
        query, key, value = (
            torch.cat([getattr(q, name) for q in asked], 2) for name in ("query", "key", "value")
        )
        heard = attend(query, key, value, mask)
        shares = heard.split([x.shape[1] for x in streams], dim=2)
        latent, visual, text = (
            part.answer(x, share, q.gates)
            for part, x, share, q in zip(parts, streams, shares, asked, strict=True)
        )
        return latent, visual, text


class SoloBlock(Stream):
    """Latents attend to latents."""

    def forward(self, x: Tensor, condition: Tensor, turns: Tensor) -> Tensor:
        query, key, value, gates = self.ask(x, condition, turns)
        return self.answer(x, attend(query, key, value), gates)
