"""The network of the pocket reasoner: things and words in, the next word out.

The decoder is Llama's (Touvron et al. 2023, arXiv 2302.13971): RMS norm (arXiv 1910.07467), rotary positions (arXiv
2104.09864), SwiGLU (arXiv 2002.05202); the next word is read from the embeddings of the words. Its tensors have the
names that transformers gives them, so `hf` loads the same folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reasound.reasoning.knowledge import sound_classes
from reasound.reasoning.pocket import tokenizer as t
from reasound.reasoning.pocket.config import PocketConfig
from reasound.reasoning.pocket.prefix import KINDS, NUMBERS, SEEN, VECTOR, Prefix

Cache = list[tuple[Tensor, Tensor]]
"""Keys and values [B, H, T, D] of every layer."""


@dataclass(frozen=True)
class Things:
    """The prefixes of a batch, one after the other: N things in all."""

    kind: Tensor  # [N]
    vector: Tensor  # [N, 384]
    numbers: Tensor  # [N, NUMBERS]
    tokens: Tensor  # [N, 2]
    classes: Tensor  # [N, C]
    seen: Tensor  # [B, 2000]; the things of kind "seen" take these in order

    @classmethod
    def of(cls, prefixes: Sequence[Prefix]) -> Things:
        def whole(name: str) -> Tensor:
            return torch.from_numpy(np.concatenate([getattr(p, name) for p in prefixes]))

        seen = [p.seen for p in prefixes if (p.kind == KINDS.index("seen")).any()]
        return cls(
            whole("kind"),
            whole("vector"),
            whole("numbers"),
            whole("tokens"),
            whole("classes"),
            torch.from_numpy(np.stack(seen)) if seen else torch.zeros(0, SEEN),
        )

    def hidden(self, shown: Tensor) -> Things:
        """The same with only those things that are shown (1 or 0) [N]; what can be pointed at stays so."""
        at = self.kind == KINDS.index("seen")
        return Things(
            self.kind,
            self.vector * shown[:, None],
            self.numbers * shown[:, None],
            self.tokens,
            self.classes * shown[:, None],
            self.seen * shown[at][:, None],
        )


class PrefixEmbedding(nn.Module):
    """Things -> embeddings [N, D]."""

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.kind = nn.Embedding(len(KINDS), width)
        self.meaning = nn.Linear(VECTOR, width, bias=False)
        self.word = nn.Linear(VECTOR, width, bias=False)
        self.seen = nn.Linear(SEEN, width, bias=False)
        self.numbers = nn.Linear(len(KINDS) * NUMBERS, width, bias=False)
        self.gate = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, width, bias=False)
        self.down = nn.Linear(width, width, bias=False)

    def forward(self, things: Things, words: Tensor) -> Tensor:
        """`words`: the embeddings of the vocabulary [V, D]."""
        kind = things.kind
        x = self.kind(kind)
        is_word = (kind == KINDS.index("word"))[:, None]
        meant = torch.where(is_word, self.word(things.vector), self.meaning(things.vector))
        # Every kind has columns of its own: the numbers of one stand where those of the others are nothing.
        own = F.one_hot(kind, len(KINDS)).to(things.numbers.dtype)
        x = x + meant + self.numbers((own[:, :, None] * things.numbers[:, None]).flatten(1))
        first = t.first("class")
        x = x + things.classes.to(words.dtype) @ words[first : first + len(sound_classes())]
        pointed = things.tokens
        x = x + (F.embedding(pointed.clamp(min=0), words) * (pointed >= 0)[..., None]).sum(1)
        if len(things.seen):
            at = torch.nonzero(kind == KINDS.index("seen"))[:, 0]
            x = x.index_add(0, at, self.seen(things.seen).to(x.dtype))
        return x + self.down(F.silu(self.gate(x)) * self.up(x))


class Network(nn.Module):
    """`hidden` runs a batch, `step` goes on with a cache; `logits` reads the next word."""

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.prefix = PrefixEmbedding(config)
        for part in self.modules():
            if isinstance(part, nn.Linear | nn.Embedding):
                nn.init.normal_(part.weight, std=0.02)
        for name, weight in self.model.named_parameters():
            if name.endswith(
                ("o_proj.weight", "down_proj.weight")
            ):  # the sum of all layers begins as large as one
                nn.init.normal_(weight, std=0.02 / (2 * config.num_hidden_layers) ** 0.5)

    def embed(self, things: Things) -> Tensor:
        return self.prefix(things, self.model.embed_tokens.weight)

    def logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.model.embed_tokens.weight)

    def batch(self, things: Things, lengths: Sequence[int], answers: Sequence[Sequence[int]]) -> Tensor:
        """Prefixes of these lengths, each followed by its answer -> hidden states [B, T, D], padded at the end."""
        given = self.embed(things).split(list(lengths))
        words = [
            self.model.embed_tokens(torch.tensor(a, device=g.device))
            for a, g in zip(answers, given, strict=True)
        ]
        rows = [torch.cat([g, w.to(g.dtype)]) for g, w in zip(given, words, strict=True)]
        return self.model(nn.utils.rnn.pad_sequence(rows, batch_first=True))


class Decoder(nn.Module):
    """Embeddings [B, T, D] -> hidden states [B, T, D]."""

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """With a cache, x follows what is in it, and is added to it."""
        past = cache[0][0].shape[2] if cache else 0
        turn = turns(self.config, past, x.shape[1], x.device)
        for k, layer in enumerate(self.layers):
            kept = None if cache is None else (cache[k] if k < len(cache) else ())
            x, new = layer(x, turn, kept)
            if cache is not None:
                cache[k : k + 1] = [new]
        return self.norm(x)


class Layer(nn.Module):
    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = Mlp(config)
        self.input_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self, x: Tensor, turn: tuple[Tensor, Tensor], kept: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        mixed, new = self.self_attn(self.input_layernorm(x), turn, kept)
        x = x + mixed
        return x + self.mlp(self.post_attention_layernorm(x)), new


class Attention(nn.Module):
    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        width, self.heads = config.hidden_size, config.num_attention_heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )

    def forward(
        self, x: Tensor, turn: tuple[Tensor, Tensor], kept: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        query, key, value = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.q_proj, self.k_proj, self.v_proj)
        )  # [B, H, T, D / H]
        query, key = turned(query, turn), turned(key, turn)
        if kept:
            key, value = torch.cat([kept[0], key], 2), torch.cat([kept[1], value], 2)
        # In so short sequences plain products take a third of the time of the fused kernel.
        scores = (query @ key.transpose(-1, -2)).float() * query.shape[-1] ** -0.5  # [B, H, T, past + T]
        if query.shape[2] > 1:
            ahead = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(
                1 + key.shape[2] - query.shape[2]
            )
            scores = scores.masked_fill(ahead, -torch.inf)
        mixed = scores.softmax(-1).to(value.dtype) @ value
        return self.o_proj(mixed.transpose(1, 2).flatten(2)), (key, value)


class Mlp(nn.Module):
    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.gate_proj, self.up_proj = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


def turns(config: PocketConfig, first: int, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine [T, D / H] of the rotary positions from `first` on."""
    pairs = torch.arange(0, config.head_dim, 2, device=device).float() / config.head_dim
    angle = torch.arange(first, first + count, device=device).float()[:, None] * config.rope_theta**-pairs
    angle = torch.cat([angle, angle], -1)
    return angle.cos(), angle.sin()


def turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """[B, H, T, D], its halves as the two parts of complex numbers, turned."""
    low, high = x.chunk(2, -1)
    cos, sin = (part.to(x.dtype) for part in turn)
    return x * cos + torch.cat([-high, low], -1) * sin
