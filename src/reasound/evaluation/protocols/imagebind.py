"""ImageBind (Girdhar et al. 2023, arXiv 2305.05665): does the sound belong to what is seen? The IB score.

One network for pictures and one for sound, trained so that what belongs together lies in the same direction. Of the
published file, which also reads text, depth, heat and motion, only the pictures' and the sound's parts are built, under
the names that they have there.

The score is the cosine of the angle between the two, from -1 to 1. Many papers print it times 100: 0.29 here is 29
there. The protocol is that of av-benchmark (MMAudio): one picture every 2 s in three square crops, each pair of
neighbours seen as a film of two pictures; three stretches of 2 s of the sound.

B batch, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from reasound.errors import UserError
from reasound.evaluation.protocols.embedder import Published, fill, find, mono, read, verify
from reasound.evaluation.protocols.spectra import triangles
from reasound.media.video import Clip, Picture
from reasound.perception.pictures import DEVIATION, MEAN, SIDE

PUBLISHED = {
    "imagebind": Published(
        project="facebookresearch/ImageBind on GitHub (linked from its README)",
        file="imagebind_huge.pth",
        licence="CC-BY-NC-SA-4.0, no commercial use",
    )
}

RATE = 16_000
PAUSE = 2
"""Seconds from one picture to the next."""
STRETCH = 2 * RATE
"""Samples of a stretch of sound; there are `STRETCHES` of them, from the very beginning to the very end."""
STRETCHES = 3
LATE = 0.12
"""Seconds that the last picture may lack of its 2 s, three frames at 25 a second, as in av-benchmark."""

WINDOW, HOP, SPECTRUM, BANDS, FRAMES = 400, 160, 512, 128, 204
EMPHASIS, LOWEST = 0.97, 20.0
SOUND_MEAN, SOUND_DEVIATION = -4.268, 9.138

PATCH, PAIR = 14, 2
SOUND_PATCH, SOUND_STEP = 16, 10
PLACES = (SIDE // PATCH) ** 2
SOUND_PLACES = ((BANDS - SOUND_PATCH) // SOUND_STEP + 1) * ((FRAMES - SOUND_PATCH) // SOUND_STEP + 1)


@dataclass(frozen=True, kw_only=True)
class TowerConfig:
    width: int
    layers: int
    heads: int


@dataclass(frozen=True, kw_only=True)
class ImageBindConfig:
    """The defaults are the published network, ImageBind-Huge."""

    vision: TowerConfig = TowerConfig(width=1280, layers=32, heads=16)
    audio: TowerConfig = TowerConfig(width=768, layers=12, heads=12)
    embedding: int = 1024


# The network. Its parts are called as in the file.


class Norm(nn.LayerNorm):
    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-6)


class MLP(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    def __init__(self, config: TowerConfig, extra_key: bool) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(config.width, config.heads, add_bias_kv=extra_key, batch_first=True)
        self.norm_1, self.norm_2 = Norm(config.width), Norm(config.width)
        self.mlp = MLP(config.width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> the same."""
        normed = self.norm_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False)[0]
        out: Tensor = x + self.mlp(self.norm_2(x))
        return out


class Trunk(nn.Module):
    """`extra_key`: a learned key and value beside those of the tokens. `first_norm`: the tokens are normed first."""

    def __init__(self, config: TowerConfig, *, first_norm: bool, extra_key: bool) -> None:
        super().__init__()
        self.pre_transformer_layer = nn.Sequential(Norm(config.width) if first_norm else nn.Identity())
        self.blocks = nn.Sequential(*(Block(config, extra_key) for _ in range(config.layers)))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.blocks(self.pre_transformer_layer(x))
        return out


class Places(nn.Module):
    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, count, width))


class VisionStem(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        kernel = (PAIR, PATCH, PATCH)
        self.proj = nn.Sequential(nn.Identity(), nn.Conv3d(3, width, kernel, stride=kernel, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Pairs [B, 3, 2, 224, 224] -> [B, 256, D]."""
        out: Tensor = self.proj(x).flatten(2).mT
        return out


class AudioStem(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, SOUND_PATCH, stride=SOUND_STEP, bias=False)
        self.norm_layer = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Log-mel [B, 1, 128, 204] -> [B, 228, D]."""
        out: Tensor = self.norm_layer(self.proj(x).flatten(2).mT)
        return out


class Preprocessor(nn.Module):
    def __init__(self, stem: nn.Module, places: int, width: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.rgbt_stem = stem  # so called for the sound as well
        self.pos_embedding_helper = Places(1 + places, width)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.rgbt_stem(x)
        first = self.cls_token.expand(len(tokens), -1, -1)
        out: Tensor = torch.cat([first, tokens], 1) + self.pos_embedding_helper.pos_embed
        return out


class First(nn.Module):
    """The token that stands for the whole."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0]


class Network(nn.Module):
    def __init__(self, config: ImageBindConfig) -> None:
        super().__init__()
        seen, heard = config.vision, config.audio
        self.modality_preprocessors = nn.ModuleDict(
            {
                "vision": Preprocessor(VisionStem(seen.width), PLACES, seen.width),
                "audio": Preprocessor(AudioStem(heard.width), SOUND_PLACES, heard.width),
            }
        )
        self.modality_trunks = nn.ModuleDict(
            {
                "vision": Trunk(seen, first_norm=True, extra_key=False),
                "audio": Trunk(heard, first_norm=False, extra_key=True),
            }
        )
        self.modality_heads = nn.ModuleDict(
            {
                name: nn.Sequential(Norm(width), First(), nn.Linear(width, config.embedding, bias=False))
                for name, width in (("vision", seen.width), ("audio", heard.width))
            }
        )

    def forward(self, kind: str, x: Tensor) -> Tensor:
        """Pairs or log-mels of `vision` or `audio` -> [B, embedding], each of length 1."""
        tokens = self.modality_trunks[kind](self.modality_preprocessors[kind](x))
        return F.normalize(self.modality_heads[kind](tokens), dim=-1)


SCALE = "modality_postprocessors.audio.1.log_logit_scale"
"""By what the published network multiplies sounds; a cosine does not depend on it."""
OTHERS = ("text", "depth", "thermal", "imu")


def load(folder: Path | None = None, config: ImageBindConfig | None = None) -> ImageBind:
    """ImageBind from imagebind_huge.pth in the folder (default: models/evaluation). Never downloads.

    Raises:
        UserError: the file is missing (and where it is published), or does not hold these weights.
    """
    path = find(PUBLISHED["imagebind"], folder)
    if config is None:
        verify(PUBLISHED["imagebind"], path)
    tensors = read(path)
    kept = {
        name: tensor for name, tensor in tensors.items() if name.split(".")[1:2] not in [[o] for o in OTHERS]
    }
    if not kept:
        raise UserError(f"{path} is not ImageBind: it reads neither pictures nor sound")
    with torch.device("meta"):
        network = Network(config or ImageBindConfig())
    fill(network, kept, path, derived=(SCALE,))
    return ImageBind(network)


# What it is given


class ImageBind:
    protocol = "ib-score/imagebind-huge/av-benchmark"
    unit = "cosine (papers print 100 times this)"

    def __init__(self, network: Network) -> None:
        self.network = network

    def score(self, clip: Clip, audio: NDArray[Any]) -> float:
        """The cosine between a video and a sound [2, N] or [N] at 44.1 kHz, from -1 to 1; higher is better.

        ValueError says why a video or a sound cannot be scored.
        """
        seen, heard = self.see(clip), self.hear(audio)
        return float(F.cosine_similarity(seen, heard, dim=0))

    @torch.inference_mode()
    def see(self, clip: Clip) -> Tensor:
        """A video -> [embedding]: the mean over crops and pairs. ValueError if it has no two pictures 2 s apart."""
        pairs = list(film(clip))
        return torch.cat([self.network("vision", pair) for pair in pairs]).mean(0)

    @torch.inference_mode()
    def hear(self, audio: NDArray[Any]) -> Tensor:
        """A sound -> [embedding]: the mean over three stretches. ValueError if it is shorter than one."""
        sound = mono(audio, RATE)
        if len(sound) < STRETCH:
            raise ValueError(
                f"ImageBind hears 2 s of sound at a time, and this sound lasts only {len(sound) / RATE:.2f} s"
            )
        starts = [(len(sound) - STRETCH) * i // (STRETCHES - 1) for i in range(STRETCHES)]
        bands = torch.stack([log_mel(sound[start : start + STRETCH]) for start in starts])
        heard: Tensor = self.network("audio", (bands[:, None] - SOUND_MEAN) / SOUND_DEVIATION)
        return heard.mean(0)


def film(clip: Clip) -> Iterator[Tensor]:
    """Pairs of pictures 2 s apart, [3 crops, 3 colours, 2, 224, 224] as the network reads them."""
    count = int((float(clip.seconds) + LATE) / PAUSE)
    if count < 2:
        raise ValueError(
            f"ImageBind sees pairs of pictures that are 2 s apart, and {clip.name} lasts only "
            f"{float(clip.seconds):.2f} s of the 4 s it takes"
        )
    before: Tensor | None = None
    for _, picture in clip.frames(Fraction(1, PAUSE), nearest=True, count=count):
        now = crops(picture)
        if before is not None:
            yield torch.stack([before, now], 2)
        before = now


def crops(picture: Picture) -> Tensor:
    """[H, W, 3] -> [3, 3, 224, 224]: scaled to 224 pixels across its short side, then its first square, the middle
    one and the last, normed colour by colour."""
    height, width, _ = picture.shape
    short = min(height, width)
    size = (SIDE * height // short, SIDE * width // short)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None]
    if size != (height, width):
        x = F.interpolate(x, size, mode="bicubic", antialias=True)
    mean, deviation = (torch.tensor(numbers)[:, None, None] for numbers in (MEAN, DEVIATION))
    whole = (x[0].float() / 255 - mean) / deviation
    axis, spare = (1, size[0] - SIDE) if size[0] > size[1] else (2, size[1] - SIDE)
    return torch.stack([whole.narrow(axis, start, SIDE) for start in (0, ceil(spare / 2), spare)])


def log_mel(sound: Tensor) -> Tensor:
    """16 kHz samples [N] -> [128, 204]: Kaldi's filter bank (the one of AST, Gong et al. 2021), the rest zero."""
    frames = (sound - sound.mean()).unfold(0, WINDOW, HOP)[:FRAMES]  # [T, 400]
    frames = frames - frames.mean(1, keepdim=True)
    before = torch.cat([frames[:, :1], frames[:, :-1]], 1)
    shaped = (frames - EMPHASIS * before) * torch.hann_window(WINDOW, periodic=False)
    power = torch.fft.rfft(shaped, SPECTRUM).abs().square()
    bands = (
        (power @ triangles(RATE, SPECTRUM, BANDS, LOWEST, RATE / 2))
        .clamp_min(torch.finfo(torch.float32).eps)
        .log()
    )
    return F.pad(bands.T, (0, FRAMES - len(bands)))
