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

from reasound.accelerate import Linear, Packed, fitted
from reasound.synthesis.rope import rotate


def kept(x: Tensor) -> Tensor:
    """What a network adds to from layer to layer, in float32: the sum of 21 rounded blocks is further off than their
    products. In training with autocast it stays as it is, for memory."""
    return x if torch.is_autocast_enabled(x.device.type) else x.float()


class Conv(Packed):
    """Convolution over the token axis, zeros beyond both ends, as one matrix product."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True, parts: int = 1) -> None:
        super().__init__()
        self.kernel, self.parts = kernel, parts
        self.weight = nn.Parameter(torch.empty(outputs, kernel * inputs))  # taps are the slow axis
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        nn.init.uniform_(self.weight, -((kernel * inputs) ** -0.5), (kernel * inputs) ** -0.5)

    def windows(self, x: Tensor) -> Tensor:
        """[B, T, inputs] -> [B, T, kernel * inputs]: each token with its neighbours, in the weight's precision."""
        x = fitted(x, self.dtype)
        if self.kernel == 1:
            return x
        x = F.pad(x, (0, 0, self.kernel // 2, self.kernel // 2))
        count = x.shape[1] - self.kernel + 1
        return torch.cat([x[:, k : k + count] for k in range(self.kernel)], -1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, inputs] -> [B, T, outputs]."""
        return self.product(self.windows(x))


class GatedMLP(nn.Module):
    """SwiGLU (arXiv 2002.05202) whose reading and writing may look at neighbouring tokens."""

    def __init__(self, width: int, inner: int, kernel: int) -> None:
        super().__init__()
        # The first half of what is read gates, the second half is gated.
        self.read = Conv(width, 2 * inner, kernel, bias=False, parts=2)
        self.write = Conv(inner, width, kernel, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        written: Tensor = self.write(self.read.gated_product(self.read.windows(x)))
        return written


class PairNorm(nn.Module):
    """Queries and keys over their root mean squares, times gains; always in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.ones(width))
        self.key = nn.Parameter(torch.ones(width))

    def forward(self, pair: Tensor) -> Tensor:
        """[2, B, H, T, d] -> the same shape. Queries are divided by the root of d, as attention wants them."""
        pair = pair.to(torch.float32, memory_format=torch.contiguous_format)
        size = torch.linalg.vector_norm(pair, dim=-1, keepdim=True).square() / pair.shape[-1]
        size = torch.rsqrt(size + torch.finfo(torch.float32).eps)
        gains = torch.stack([self.query * pair.shape[-1] ** -0.5, self.key])
        return pair * size * gains[:, None, None, None]


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention of [B, H, T, d] with queries as `PairNorm` leaves them; mask [B, 1, 1, T], False where a key is
    padding."""
    if query.device.type == "cpu" and query.requires_grad:
        # Plain products keep their scores, but their derivative is five times as fast as the fused kernel's.
        scores = (query @ key.transpose(-1, -2)).float()
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        return scores.softmax(-1).to(value.dtype) @ value
    if query.device.type == "cpu" and query.dtype == torch.bfloat16:
        # Here too plain products are faster, by half; item by item, so that the scores stay near.
        heard = torch.empty(query.shape, dtype=value.dtype)
        for i in range(len(query)):
            scores = query[i] @ key[i].transpose(-1, -2)
            if mask is not None:
                scores = scores.masked_fill(~mask[i], -torch.inf)
            torch.matmul(scores.softmax(-1), value[i], out=heard[i])
        return heard
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalised x [B, T, D], scaled and shifted by what the conditions say ([B, 1 or T, D])."""
    width = x.shape[-1]
    # Gains of one change nothing, but without any the CPU's kernel goes number by number: three times as slow.
    gains = (x.new_ones(width), x.new_zeros(width)) if x.device.type == "cpu" else ()
    normed = F.layer_norm(x, (width,), *gains)
    return torch.addcmul(shift, normed.to(shift.dtype), 1 + scale)


class Condition(NamedTuple):
    """What modulates a stream, after its SiLU."""

    rows: Tensor  # [B, 1 or T, D]; with places: [R, D]
    places: Tensor | None = None  # [B, T]  the row of each token, where many tokens have the same

    def through(self, layer: Linear) -> Tensor:
        """[B, 1 or T, outputs]."""
        out: Tensor = layer(self.rows)
        if self.places is not None:
            out = out.index_select(0, self.places.flatten()).unflatten(0, self.places.shape)
        return out


class Question(NamedTuple):
    """What a stream brings to attention, and how the answer will enter it."""

    query: Tensor  # [B, H, T, d]
    key: Tensor
    value: Tensor
    gates: tuple[Tensor, ...]  # of attention; shift, scale and gate of the MLP. None in the last joint block


class Stream(nn.Module):
    """One stream's part of a block: pre-norm, attention, gated MLP, all modulated by the condition."""

    def __init__(self, width: int, heads: int, inner: int, kernel: int, listens: bool = True) -> None:
        """`listens`: False in the last joint block, where visual and text are only listened to."""
        super().__init__()
        self.heads, self.listens = heads, listens
        self.modulate = Linear(width, (6 if listens else 2) * width)
        self.qkv = Linear(width, 3 * width)
        self.norm = PairNorm(width // heads)
        nn.init.zeros_(self.modulate.weight)
        nn.init.xavier_uniform_(self.qkv.weight)
        if listens:
            self.out = Conv(width, width, kernel)
            self.mlp = GatedMLP(width, inner, kernel)

    def ask(self, x: Tensor, condition: Condition, turns: Tensor | None) -> Question:
        """x [B, T, D]; turns of `rope.angles`, None without positions."""
        shift, scale, *gates = condition.through(self.modulate).chunk(6 if self.listens else 2, dim=-1)
        qkv = self.qkv(modulated(x, shift, scale)).unflatten(-1, (3, self.heads, -1))  # [B, T, 3, H, d]
        qkv = qkv.permute(2, 0, 3, 1, 4)  # [3, B, H, T, d]
        pair, value = self.norm(qkv[:2]), qkv[2]
        if turns is not None:
            pair = rotate(pair, turns)
        query, key = pair.to(value.dtype)
        return Question(query, key, value, tuple(gates))

    def answer(self, x: Tensor, heard: Tensor, gates: Sequence[Tensor]) -> Tensor:
        """x [B, T, D] and what attention gave it [B, H, T, d] -> x after the block."""
        gate_attention, shift, scale, gate_mlp = gates
        x = torch.addcmul(x, gate_attention, self.out(heard.transpose(1, 2).flatten(2)))
        return torch.addcmul(x, gate_mlp, self.mlp(modulated(x, shift, scale)))


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
        conditions: tuple[Condition, Condition, Condition],
        turns: tuple[Tensor | None, ...],
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(latent, visual, text), each [B, T, D]; mask [B, 1, 1, all tokens], False where a token is padding."""
        parts = (self.latent, self.visual, self.text)
        asked = [part.ask(x, c, t) for part, x, c, t in zip(parts, streams, conditions, turns, strict=True)]
        # In the last block only the latents listen: no other question is answered.
        query = torch.cat([q.query for part, q in zip(parts, asked, strict=True) if part.listens], 2)
        key, value = (torch.cat([getattr(q, name) for q in asked], 2) for name in ("key", "value"))
        heard = attend(query, key, value, mask)
        out, first = list(streams), 0
        for i, (part, x, q) in enumerate(zip(parts, streams, asked, strict=True)):
            if part.listens:
                out[i] = part.answer(x, heard[:, :, first : first + x.shape[1]], q.gates)
                first += x.shape[1]
        latent, visual, text = out
        return latent, visual, text


class SoloBlock(Stream):
    """Latents attend to latents."""

    def forward(self, x: Tensor, condition: Condition, turns: Tensor) -> Tensor:
        query, key, value, gates = self.ask(x, condition, turns)
        return self.answer(x, attend(query, key, value), gates)
