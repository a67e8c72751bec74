"""The visual half of Synchformer (arXiv 2401.16423): when things move, in tokens that ThinkSound listens to.

A video at 25 frames a second is cut into segments of 16 pictures, one every 8. Each is read by itself, by a
transformer whose attention is divided between time and space (arXiv 2102.05095), and gives 8 tokens.

N segments, T = 8 moments of two pictures each, P = 14 * 14 places, D width, H heads, d width of a head. Between the
layers there is one row of tokens for each segment, [N, 1 + T * P, D]: first the cls token, then the patches in the
order of time, row, column.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn

from reasound.accelerate import Linear, keep_freed_memory
from reasound.perception.pictures import SIDE, sync_pixels
from reasound.timeline import SYNC_STEP, SYNC_TOKENS, SYNC_WINDOW

PATCH = 16
"""Pixels across a patch; each is two pictures long."""
ACROSS = SIDE // PATCH
PLACES = ACROSS * ACROSS
TOGETHER = 3
"""Segments that go through the network at once: fewer read the weights more often, more gain nothing."""


@dataclass(frozen=True, kw_only=True)
class SynchformerConfig:
    """The defaults are the released network."""

    width: int = 768
    layers: int = 12
    heads: int = 12


class Norm(nn.LayerNorm):
    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-6)


class Attention(nn.Module):
    """Every patch attends to the cls token and to its group: the same place at all moments, or all places of the
    same moment. The cls token attends to everything."""

    def __init__(self, config: SynchformerConfig, over_time: bool) -> None:
        super().__init__()
        self.heads, self.over_time = config.heads, over_time
        self.norm = Norm(config.width)
        self.qkv = Linear(config.width, 3 * config.width)
        self.out = Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 1 + T * P, D] -> what is to be added to it."""
        qkv = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1))  # [N, 1 + T * P, 3, H, d]
        patches = self._grouped(qkv[:, 1:])  # [N, groups, members, 3, H, d]
        # Plain products of copies: groups of 9 or 197 tokens are too small for a fused kernel (2 to 3 times slower).
        # The cls token is the first member of every group.
        count, groups, members, _, heads, width = patches.shape
        parts = qkv.new_empty(3, count, groups, heads, 1 + members, width)
        parts[..., 0, :] = qkv[:, :1].permute(2, 0, 1, 3, 4)
        parts[..., 1:, :] = patches.permute(3, 0, 1, 4, 2, 5)
        query, key, value = parts.flatten(1, 3)
        scores = torch.baddbmm(query.new_empty(()), query, key.mT, beta=0, alpha=width**-0.5)
        scores = scores.unflatten(0, (count, groups, heads))  # [N, groups, H, 1 + members, 1 + members]
        weights = scores.softmax(-1)
        # Its own row of scores lies in pieces, one in each group, where its own key counts only once.
        own = scores[..., 0, :].transpose(1, 2).float()  # [N, H, groups, 1 + members]
        own[:, :, 1:, 0] = -torch.inf
        own = own.flatten(2).softmax(-1).view_as(own)
        weights[..., 0, :] = own.transpose(1, 2)
        heard = torch.bmm(weights.flatten(0, 2), value).unflatten(0, (count, groups, heads))
        merged = torch.empty_like(qkv[:, :, 0])  # [N, 1 + T * P, H, d]
        merged[:, 0] = heard[..., 0, :].sum(1)
        self._grouped(merged[:, 1:])[:] = heard[..., 1:, :].transpose(2, 3)
        out: Tensor = self.out(merged.flatten(2))
        return out

    def _grouped(self, patches: Tensor) -> Tensor:
        """[N, T * P, ...] -> a view [N, groups, members, ...]."""
        patches = patches.unflatten(1, (SYNC_TOKENS, PLACES))
        return patches.transpose(1, 2) if self.over_time else patches


class MLP(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = Norm(width)
        self.up = Linear(width, 4 * width)
        self.down = Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(self.up(self.norm(x), "gelu"))
        return out


class Block(nn.Module):
    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.time = Attention(config, over_time=True)
        self.space = Attention(config, over_time=False)
        self.mlp = MLP(config.width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.time(x)
        x = x + self.space(x)
        x = x + self.mlp(x)
        return x


class Gather(nn.Module):
    """All places of a moment in one token: a transformer layer of which only the cls token's row is wanted.

    That token asks the same question of every picture, so the question goes through the keys' weights once, and what
    was heard goes through the values' weights once; no patch needs a key or a value of its own."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.cls = nn.Parameter(torch.zeros(config.width))
        self.norm = Norm(config.width)
        self.qkv = Linear(config.width, 3 * config.width)
        self.out = Linear(config.width, config.width)
        self.mlp = MLP(config.width)

    def forward(self, x: Tensor) -> Tensor:
        """[M, P, D] -> [M, D]."""
        first = self.norm(self.cls)
        x = torch.cat([first.expand(len(x), 1, -1), self.norm(x)], 1).to(
            self.qkv.weight.dtype
        )  # [M, 1 + P, D]
        to_query, to_key, to_value = self.qkv.weight.unflatten(0, (3, self.heads, -1))  # each [H, d, D]
        query_bias, _, value_bias = self.qkv.bias.unflatten(
            0, (3, self.heads, -1)
        )  # the keys' shifts all scores alike
        query = torch.einsum("hdi,i->hd", to_query, x[0, 0]) + query_bias
        question = torch.einsum("hd,hdi->hi", query * query.shape[-1] ** -0.5, to_key)
        weights = (x @ question.mT).float().softmax(1).to(x.dtype)  # [M, 1 + P, H]
        heard = weights.mT @ x  # [M, H, D]
        value = torch.einsum("mhi,hdi->mhd", heard, to_value) + value_bias
        row = self.cls + self.out(value.flatten(1))
        gathered: Tensor = row + self.mlp(row)
        return gathered


class Synchformer(nn.Module):
    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.config = config
        self.patch = Linear(3 * 2 * PATCH * PATCH, config.width)
        self.cls = nn.Parameter(torch.zeros(config.width))
        self.place = nn.Parameter(torch.zeros(1 + PLACES, config.width))  # the first is the cls token's
        self.moment = nn.Parameter(torch.zeros(SYNC_TOKENS, config.width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = Norm(config.width)
        self.gather = Gather(config)

    def forward(self, segments: Tensor) -> Tensor:
        """Segments [N, 16, 3, 224, 224] of `sync_pixels` -> tokens [N, 8, D], float32."""
        x = self._tokens(segments)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x[:, 1:]).unflatten(1, (SYNC_TOKENS, PLACES))
        gathered: Tensor = self.gather(x.flatten(0, 1))
        return gathered.unflatten(0, (-1, SYNC_TOKENS))

    def _tokens(self, segments: Tensor) -> Tensor:
        """[N, 16, 3, 224, 224] -> [N, 1 + T * P, D]."""
        patches = segments.to(self.patch.dtype)
        patches = patches.unflatten(4, (ACROSS, PATCH)).unflatten(3, (ACROSS, PATCH)).unflatten(1, (-1, 2))
        # [N, T, pair, colour, row, y, column, x] -> [N, T, row, column, colour, pair, y, x]
        patches = patches.permute(0, 1, 4, 6, 3, 2, 5, 7).flatten(4).flatten(1, 3)
        places = (self.place[1:] + self.moment[:, None]).flatten(0, 1)  # [T * P, D]
        first = (self.cls + self.place[0]).expand(len(segments), 1, -1)
        return torch.cat([first, self.patch(patches) + places], 1).to(self.patch.dtype)

    def lower(self, dtype: torch.dtype) -> None:
        """Run in this precision: weights of matrix products and the tokens between the layers. Gains and positions
        stay in float32."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.lower(dtype)
            else:
                for parameter in module.parameters(recurse=False):
                    parameter.data = parameter.data.float()

    @torch.inference_mode()
    def look(self, pictures: Iterable[Tensor]) -> Tensor:
        """Pictures uint8 [3, 224, 224], 25 a second, at least 16 -> tokens [n * 8, D], n = (pictures - 16) // 8 + 1.

        Holds a few segments at a time, however long the video. A segment of the very same pictures as the one before
        (a still, a last frame that is held) is not computed again."""
        keep_freed_memory()
        window: deque[Tensor] = deque(maxlen=SYNC_WINDOW)
        last: list[Tensor] = []
        waiting: list[Tensor] = []  # segments not computed yet
        tokens: list[Tensor] = []  # of each different segment
        order: list[int] = []  # which of them each segment is
        for count, picture in enumerate(pictures, 1):
            window.append(picture)
            if count < SYNC_WINDOW or (count - SYNC_WINDOW) % SYNC_STEP:
                continue
            if not last or any(a is not b for a, b in zip(last, window, strict=True)):
                last = list(window)
                waiting.append(torch.stack(last))
                if len(waiting) == TOGETHER:
                    tokens += self._seen(waiting)
                    waiting = []
            order.append(len(tokens) + len(waiting) - 1)
        if not order:
            raise ValueError(f"Synchformer needs at least {SYNC_WINDOW} pictures, not {len(window)}")
        if waiting:
            tokens += self._seen(waiting)
        return torch.cat([tokens[i] for i in order])

    def _seen(self, segments: list[Tensor]) -> list[Tensor]:
        return list(self(sync_pixels(torch.stack(segments).to(self.cls.device))))


def build(settings: dict[str, object]) -> Synchformer:
    """A Synchformer from the fields of its configuration, as `checkpoints.store` reads them. TypeError for unknown
    ones."""
    unknown = set(settings) - {f.name for f in fields(SynchformerConfig)}
    if unknown:
        raise TypeError(f"unknown setting {sorted(unknown)[0]!r}")
    return Synchformer(replace(SynchformerConfig(), **settings))  # type: ignore[arg-type]
