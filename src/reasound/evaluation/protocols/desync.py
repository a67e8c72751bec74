"""DeSync: by how many seconds do picture and sound seem apart? Synchformer (Iashin et al. 2024, arXiv 2401.16423).

Picture and sound are cut into segments of 0.64 s, one every 0.32 s. Each becomes a few tokens: those of the picture
come from the encoder that ThinkSound sees motion with, those of the sound from an Audio Spectrogram Transformer (Gong
et al. 2021, arXiv 2104.01778). A third transformer reads 14 segments (4.8 s) of both and says which of 21 offsets from
-2 s to +2 s it is. As in av-benchmark (MMAudio), the first 4.8 s and the last are asked, and the score is the mean of
the two offsets without their signs. It cannot be finer than 0.1 s, for the grid has steps of 0.2 s.

S segments, T tokens, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from reasound.checkpoints import official, store
from reasound.errors import UserError
from reasound.evaluation.protocols.embedder import Published, fill, find, mono, read, verify
from reasound.media.video import Clip
from reasound.perception.pictures import sync_pictures
from reasound.perception.synchformer import Synchformer, SynchformerConfig
from reasound.timeline import SYNC_RATE, SYNC_STEP, SYNC_TOKENS, SYNC_WINDOW

PUBLISHED = {
    "desync": Published(
        project="release v0.1 of github.com/hkchengrex/MMAudio (Synchformer 24-01-04T16-39-21)",
        file="synchformer_state_dict.pth",
        licence="MIT",
        digest="md5:5b2f5594b0730f70e41e549b7c94390c",
    )
}

GRID = tuple((i - 10) / 5 for i in range(21))
"""Seconds by which the sound comes too early, of each class; where negative, too late."""
SEGMENTS = 14
"""That are compared at once."""
PICTURES = SYNC_WINDOW + (SEGMENTS - 1) * SYNC_STEP
"""In 14 segments: 120, which is 4.8 s."""
SLACK = 3
"""Pictures by which the sound may end before the video; av-benchmark lets the two differ by as many."""

RATE = 16_000
SAMPLES = RATE // SYNC_RATE
"""Of sound to one picture."""
WINDOW, HOP, SPECTRUM, BANDS, FRAMES = 400, 160, 1024, 128, 66
MEAN, DEVIATION = -4.2677393, 4.5689974
FLOOR = 1e-6

PATCH, STEP = 16, 10
HIGH = (BANDS - PATCH) // STEP + 1
LONG = (FRAMES - PATCH) // STEP + 1
"""Tokens of a segment of sound: 12 high, 6 long."""


@dataclass(frozen=True, kw_only=True)
class DeSyncConfig:
    """The defaults are the published network."""

    visual: SynchformerConfig = SynchformerConfig()
    sound_layers: int = 12
    sound_heads: int = 12
    layers: int = 3
    heads: int = 8

    @property
    def width(self) -> int:
        return self.visual.width


# The parts beside the visual encoder. They are called as in the file.


class SoundNorm(nn.LayerNorm):
    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-12)


class QKV(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> what each token heard, before it is projected."""
        parts = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        return F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)


class Dense(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.dense(x)
        return out


class SoundAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = QKV(width, heads)
        self.output = Dense(width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.output(self.attention(x))
        return out


class SoundLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = SoundAttention(width, heads)
        self.intermediate = Dense(width, 4 * width)
        self.output = Dense(4 * width, width)
        self.layernorm_before, self.layernorm_after = SoundNorm(width), SoundNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.layernorm_before(x))
        out: Tensor = x + self.output(F.gelu(self.intermediate(self.layernorm_after(x))))
        return out


class Patches(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(1, width, PATCH, stride=STEP)


class Embeddings(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.distillation_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position_embeddings = nn.Parameter(torch.zeros(1, 2 + HIGH * LONG, width))
        self.patch_embeddings = Patches(width)

    def forward(self, bands: Tensor) -> Tensor:
        """[S, 128, 66] -> [S, 2 + 72, D], band by band."""
        tokens = self.patch_embeddings.projection(bands[:, None]).flatten(2).mT
        whole = [token.expand(len(tokens), -1, -1) for token in (self.cls_token, self.distillation_token)]
        out: Tensor = torch.cat([*whole, tokens], 1) + self.position_embeddings
        return out


class Layers(nn.Module):
    def __init__(self, width: int, heads: int, count: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(*(SoundLayer(width, heads) for _ in range(count)))


class SoundTransformer(nn.Module):
    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.embeddings = Embeddings(width)
        self.encoder = Layers(width, heads, layers)
        self.layernorm = SoundNorm(width)

    def forward(self, bands: Tensor) -> Tensor:
        out: Tensor = self.layernorm(self.encoder.layer(self.embeddings(bands)))
        return out


class Gather(nn.TransformerEncoderLayer):
    """All tokens of a moment in one: that of a learned token after a transformer layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(
            width, heads, 4 * width, 0.0, F.gelu, layer_norm_eps=1e-6, batch_first=True, norm_first=True
        )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))

    def gather(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, D]."""
        out: Tensor = self(torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1))[:, 0]
        return out


class SoundEncoder(nn.Module):
    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.ast = SoundTransformer(width, heads, layers)
        self.freq_attn_agg = Gather(width, heads)

    def forward(self, bands: Tensor) -> Tensor:
        """[S, 128, 66] of `log_mel` -> [S, 6, D]."""
        tokens = self.ast(bands)[:, 2:].unflatten(1, (HIGH, LONG)).transpose(1, 2)  # [S, 6, 12, D]
        return self.freq_attn_agg.gather(tokens.flatten(0, 1)).unflatten(0, (-1, LONG))


class Attention(QKV):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.proj(super().forward(x))
        return out


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln1(x))
        out: Tensor = x + self.mlp(self.ln2(x))
        return out


class Positions(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.pos_emb = nn.Parameter(torch.zeros(1, 1 + SEGMENTS * SYNC_TOKENS + 1 + SEGMENTS * LONG, width))


class Comparison(nn.Module):
    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.OFF_tok = nn.Parameter(torch.zeros(1, 1, width))
        self.MOD_tok = nn.Parameter(torch.zeros(1, 1, width))
        self.vis_in_lnorm, self.aud_in_lnorm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.pos_emb_cfg = Positions(width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.ln_f = nn.LayerNorm(width)
        self.off_head = nn.Linear(width, len(GRID))

    def forward(self, seen: Tensor, heard: Tensor) -> Tensor:
        """Tokens [B, 14 * 8, D] and [B, 14 * 6, D] -> [B, 21]."""
        answer, border = (token.expand(len(seen), -1, -1) for token in (self.OFF_tok, self.MOD_tok))
        x = torch.cat([answer, self.vis_in_lnorm(seen), border, self.aud_in_lnorm(heard)], 1)
        x = self.blocks(x + self.pos_emb_cfg.pos_emb)
        out: Tensor = self.off_head(self.ln_f(x)[:, 0])
        return out


class Network(nn.Module):
    """All of the published file but the visual encoder."""

    def __init__(self, config: DeSyncConfig) -> None:
        super().__init__()
        self.afeat_extractor = SoundEncoder(config.width, config.sound_heads, config.sound_layers)
        self.vproj, self.aproj = nn.Linear(config.width, config.width), nn.Linear(config.width, config.width)
        self.transformer = Comparison(config.width, config.heads, config.layers)

    def forward(self, seen: Tensor, heard: Tensor) -> Tensor:
        """Tokens of 14 segments of picture [B, 14, 8, D] and of sound [B, 14, 6, D] -> [B, 21]."""
        out: Tensor = self.transformer(self.vproj(seen).flatten(1, 2), self.aproj(heard).flatten(1, 2))
        return out


def load(folder: Path | None = None, config: DeSyncConfig | None = None) -> DeSync:
    """The whole of Synchformer from synchformer_state_dict.pth in the folder (default: models/evaluation). Never
    downloads.

    That file, which comes with ThinkSound as well, holds the weights of 24-01-04T16-39-21.pt under the same names. The
    authors' own file holds its settings as objects too, so it cannot be opened without running what is in it.

    Raises:
        UserError: the file is missing (and where it is published), or does not hold these weights.
    """
    path = find(PUBLISHED["desync"], folder)
    if config is None:
        verify(PUBLISHED["desync"], path)
    config = config or DeSyncConfig()
    tensors = read(path)
    try:
        visual_tensors = official.synchformer(tensors)
    except ValueError as error:
        raise UserError(f"{path} is not the Synchformer that was published: {error}") from error
    visual = Synchformer(config.visual)
    store.fill(visual, visual_tensors, str(path))
    with torch.device("meta"):
        network = Network(config)
    fill(network, {k: v for k, v in tensors.items() if not k.startswith(official.SYNC_PREFIX)}, path)
    return DeSync(visual.eval().requires_grad_(False), network)


# What it is given


class DeSync:
    protocol = "desync/synchformer-24-01-04T16-39-21/first-and-last-4.8s"
    unit = "s"

    def __init__(self, visual: Synchformer, network: Network) -> None:
        self.visual = visual
        self.network = network

    def offset(self, clip: Clip, audio: NDArray[Any]) -> float:
        """Seconds that a video and a sound [2, N] or [N] at 44.1 kHz seem apart, 0 to 2; lower is better.

        ValueError says why they cannot be compared.
        """
        first, last = self.offsets(clip, audio)
        return (abs(first) + abs(last)) / 2

    @torch.inference_mode()
    def offsets(self, clip: Clip, audio: NDArray[Any]) -> tuple[float, float]:
        """Of the first 4.8 s and of the last: seconds by which the sound comes too early, or too late (negative)."""
        sound = mono(audio, RATE)
        count = _pictures(clip, len(sound) // SAMPLES)
        last = (count - PICTURES) // SYNC_STEP * SYNC_STEP
        # Of a long clip, only what is compared is kept; a short clip's middle may be in both.
        kept = [
            (i, picture)
            for i, picture in enumerate(sync_pictures(clip, count))
            if i < PICTURES or last <= i < last + PICTURES
        ]
        parts = []
        for start in (0, last):
            pictures = [picture for i, picture in kept if start <= i < start + PICTURES]
            seen = self.visual.look(pictures).unflatten(0, (SEGMENTS, SYNC_TOKENS))
            heard = sound[start * SAMPLES : (start + PICTURES) * SAMPLES]
            segments = heard.unfold(0, SYNC_WINDOW * SAMPLES, SYNC_STEP * SAMPLES)  # [14, 10240]
            logits = self.network(seen[None], self.network.afeat_extractor(log_mel(segments))[None])
            parts.append(GRID[int(logits.argmax())])
        return parts[0], parts[1]


def _pictures(clip: Clip, heard: int) -> int:
    """How many pictures can be compared with a sound that reaches over `heard` of them. ValueError if too few."""
    seen = int(clip.seconds * SYNC_RATE)
    if seen < PICTURES:
        raise ValueError(
            f"DeSync compares 4.8 s at a time, and {clip.name} lasts only {float(clip.seconds):.2f} s"
        )
    if heard < max(seen - SLACK, PICTURES):
        raise ValueError(
            f"DeSync compares picture and sound of the same length, and {clip.name} lasts {float(clip.seconds):.2f} s "
            f"but the sound only {heard / SYNC_RATE:.2f} s"
        )
    return min(seen, heard)


def log_mel(segments: Tensor) -> Tensor:
    """16 kHz samples [S, 10240] -> [S, 128, 66], normed as the network reads them."""
    spectrum = torch.stft(
        segments,
        SPECTRUM,
        HOP,
        WINDOW,
        torch.hann_window(WINDOW),
        center=True,
        pad_mode="reflect",
        return_complex=True,
    )
    bands = (mel_filters().T @ spectrum.abs().square() + FLOOR).log()  # [S, 128, 65]
    # What is missing to 66 frames is 0 before it is normed, as it was in training.
    return (F.pad(bands, (0, FRAMES - bands.shape[-1])) - MEAN) / (2 * DEVIATION)


@lru_cache(maxsize=1)
def mel_filters() -> Tensor:
    """Triangles [513, 128], straight in Hz, between points that are even on the HTK mel scale from 0 to 8 kHz."""
    hertz = np.linspace(0, RATE / 2, SPECTRUM // 2 + 1)[:, None]
    top = 2595.0 * np.log10(1 + RATE / 2 / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(0, top, BANDS + 2) / 2595.0) - 1)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    filters = np.clip(np.minimum((hertz - low) / (centre - low), (high - hertz) / (high - centre)), 0.0, None)
    return torch.from_numpy(filters.astype(np.float32))
