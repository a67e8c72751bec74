"""AudioBox aesthetics (Tjandra et al. 2025, arXiv 2502.05139): four marks that people would give, from 1 to 10.

WavLM (Chen et al. 2021, arXiv 2110.13900) listens to 10 s at a time. Each mark has its own weights for the layers'
outputs, whose sum is averaged over time and brought to length 1; a small network makes a number of it, which the mean
and the deviation of people's marks bring back to their scale. The parts are called as in the published file.

B windows, T moments (50 a second), D width, H heads.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from reasound.checkpoints import store
from reasound.errors import UserError
from reasound.evaluation.protocols.embedder import Published, fill, find, mono

AXES = ("CE", "CU", "PC", "PQ")
"""Content enjoyment, content usefulness, production complexity, production quality."""

PUBLISHED = {
    "aesthetics": Published(
        project="facebook/audiobox-aesthetics on the Hugging Face hub (with its config.json)",
        file="audiobox-aesthetics/model.safetensors",  # a common name, so in a folder of its own
        licence="CC-BY-4.0",
    )
}

RATE = 16_000
WINDOW = 10 * RATE
TOGETHER = 4
"""Windows that go through the network at once."""
KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
POSITION_TAPS = 128
BUCKETS, FARTHEST = 320, 800
HIDDEN_LAYERS = 4
"""Of the small network that makes the mark."""


@dataclass(frozen=True, kw_only=True)
class AestheticsConfig:
    """The defaults are the published network."""

    width: int = 768
    layers: int = 12
    heads: int = 12
    features: int = 512
    position_groups: int = 16


class Features(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        inputs = (1, *(width for _ in KERNELS[1:]))
        self.conv_layers = nn.ModuleList(
            nn.Sequential(nn.Conv1d(n, width, kernel, stride=stride, bias=False))
            for n, kernel, stride in zip(inputs, KERNELS, STRIDES, strict=True)
        )
        first = self.conv_layers[0]
        assert isinstance(first, nn.Sequential)
        first.extend([nn.Identity(), nn.GroupNorm(width, width)])

    def forward(self, sound: Tensor) -> Tensor:
        """[B, N] -> [B, T, features]."""
        x = sound[:, None]
        for layer in self.conv_layers:
            x = F.gelu(layer(x))
        return x.mT


class Positions(nn.Module):
    """A convolution over the neighbours; its weights are a size for each tap and a direction."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight_g = nn.Parameter(torch.ones(1, 1, POSITION_TAPS))
        self.weight_v = nn.Parameter(torch.ones(width, width // groups, POSITION_TAPS))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> the same."""
        weight = self.weight_v * (
            self.weight_g / torch.linalg.vector_norm(self.weight_v, dim=(0, 1), keepdim=True)
        )
        out = F.conv1d(x.mT, weight, self.bias, padding=POSITION_TAPS // 2, groups=self.groups)
        return F.gelu(out[..., :-1]).mT  # an even number of taps gives one moment too many


class Attention(nn.Module):
    """How far apart two moments are counts as well; how much, each moment says for itself (section 3.1 of WavLM)."""

    def __init__(self, width: int, heads: int, owner: bool) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))
        if owner:  # of the distances' table, which all layers share
            self.relative_attention_bias = nn.Embedding(BUCKETS, heads)
        self.grep_linear = nn.Linear(width // heads, 8)
        self.grep_a = nn.Parameter(torch.ones(1, heads, 1, 1))

    def forward(self, x: Tensor, near: Tensor, known: Tensor) -> Tensor:
        """Tokens [B, T, D], `near` [H, T, T] of `nearness`, `known` [B, T]: which moments are no padding."""
        own = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, H, T, d]
        gates = self.grep_linear(own).unflatten(-1, (2, 4)).sum(-1).sigmoid()
        gate = gates[..., :1] * (gates[..., 1:] * self.grep_a - 1) + 2  # [B, H, T, 1]
        bias = (gate * near).masked_fill(~known[:, None, None], -math.inf)
        query, key, value = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.q_proj, self.k_proj, self.v_proj)
        )
        heard = F.scaled_dot_product_attention(query, key, value, bias)
        out: Tensor = self.out_proj(heard.transpose(1, 2).flatten(2))
        return out


class Layer(nn.Module):
    def __init__(self, width: int, heads: int, owner: bool) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads, owner)
        self.self_attn_layer_norm, self.final_layer_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, near: Tensor, known: Tensor) -> Tensor:
        x = self.self_attn_layer_norm(x + self.self_attn(x, near, known))
        out: Tensor = self.final_layer_norm(x + self.fc2(F.gelu(self.fc1(x))))
        return out


class Encoder(nn.Module):
    def __init__(self, config: AestheticsConfig) -> None:
        super().__init__()
        self.pos_conv = nn.Sequential(Positions(config.width, config.position_groups))
        self.layers = nn.ModuleList(Layer(config.width, config.heads, i == 0) for i in range(config.layers))
        self.layer_norm = nn.LayerNorm(config.width)

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """[B, T, D] -> [layers + 1, B, T, D]: what the first layer reads, and what each layer gives."""
        x = x * known[..., None]
        outputs = [self.layer_norm(x + self.pos_conv(x))]
        first = self.layers[0]
        assert isinstance(first, Layer)
        near = first.self_attn.relative_attention_bias(buckets(x.shape[1]).to(x.device)).permute(2, 0, 1)
        for layer in self.layers:
            outputs.append(layer(outputs[-1], near, known))
        return torch.stack(outputs)


class WavLM(nn.Module):
    def __init__(self, config: AestheticsConfig) -> None:
        super().__init__()
        self.mask_emb = nn.Parameter(torch.zeros(config.width))  # of its training; not used here
        self.feature_extractor = Features(config.features)
        self.layer_norm = nn.LayerNorm(config.features)
        self.post_extract_proj = nn.Linear(config.features, config.width)
        self.encoder = Encoder(config)

    def forward(self, sound: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Windows [B, N] and how many samples of each are no padding -> [layers + 1, B, T, D], known [B, T]."""
        x = self.layer_norm(self.feature_extractor(sound))
        # A moment is padding if all of its share of the samples is.
        share = sound.shape[1] // x.shape[1]
        known = torch.arange(x.shape[1], device=x.device) * share < lengths[:, None]
        return self.encoder(self.post_extract_proj(x), known), known


def head(width: int) -> nn.Sequential:
    hidden = [(nn.Linear(width, width), nn.LayerNorm(width), nn.GELU()) for _ in range(HIDDEN_LAYERS)]
    return nn.Sequential(*(part for parts in hidden for part in parts), nn.Linear(width, 1))


class Network(nn.Module):
    def __init__(self, config: AestheticsConfig) -> None:
        super().__init__()
        self.wavlm_model = WavLM(config)
        self.proj_layer = nn.ModuleDict({axis: head(config.width) for axis in AXES})
        self.layer_weights = nn.ParameterDict(
            {axis: nn.Parameter(torch.ones(1 + config.layers)) for axis in AXES}
        )

    def forward(self, sound: Tensor, lengths: Tensor) -> Tensor:
        """Windows [B, 160000] and how many samples of each are no padding -> [B, 4], before the marks' scale."""
        outputs, known = self.wavlm_model(sound, lengths)
        means = (outputs * known[..., None]).sum(2) / known.sum(1)[:, None].clamp_min(1)  # [layers + 1, B, D]
        marks = []
        for axis in AXES:
            mean = torch.einsum("l,lbd->bd", self.layer_weights[axis].softmax(0), means)
            marks.append(self.proj_layer[axis](F.normalize(mean, dim=-1)))
        return torch.cat(marks, 1)


def buckets(count: int) -> Tensor:
    """[T, T]: the row of the table for each distance, key minus query: exact up to 80, then coarser up to 800; the
    second half of the table is for what comes later (Raffel et al. 2020, section 2.1)."""
    moments = torch.arange(count)
    distance = moments[None] - moments[:, None]
    half, exact = BUCKETS // 2, BUCKETS // 4
    far = torch.log(distance.abs().clamp_min(1).float() / exact) / math.log(FARTHEST / exact) * (half - exact)
    coarse = (exact + far.long()).clamp_max(half - 1)
    return torch.where(distance.abs() < exact, distance.abs(), coarse) + half * (distance > 0)


def load(folder: Path | None = None, config: AestheticsConfig | None = None) -> Aesthetics:
    """AudioBox aesthetics from FOLDER/audiobox-aesthetics (default: models/evaluation). Never downloads.

    Raises:
        UserError: a file is missing (and where it is published), or is not that of this network.
    """
    path = find(PUBLISHED["aesthetics"], folder)
    scale = _scale(path.with_name("config.json"))
    with torch.device("meta"):
        network = Network(config or AestheticsConfig())
    fill(network, store.mapped(path), path)
    return Aesthetics(network, scale)


def _scale(path: Path) -> dict[str, tuple[float, float]]:
    try:
        targets = json.loads(path.read_bytes())["target_transform"]
        return {axis: (float(targets[axis]["mean"]), float(targets[axis]["std"])) for axis in AXES}
    except OSError as error:
        raise UserError(
            f"{path} is missing: it comes with {PUBLISHED['aesthetics'].file} from {PUBLISHED['aesthetics'].project}"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} does not say the mean and the deviation of each mark: {error}") from error


class Aesthetics:
    protocol = "audiobox-aesthetics/wavlm-base-10s"
    unit = "1 to 10"

    def __init__(self, network: Network, scale: dict[str, tuple[float, float]]) -> None:
        self.network = network
        self.scale = scale

    @torch.inference_mode()
    def scores(self, audio: NDArray[Any]) -> dict[str, float]:
        """A sound [2, N] or [N] at 44.1 kHz -> CE, CU, PC and PQ, higher is better (more complex for PC).

        Windows of 10 s, one after the other; each counts by how much of it the sound fills. ValueError if the sound
        is empty or not finite.
        """
        windows = mono(audio, RATE).split(WINDOW)
        lengths = torch.tensor([len(window) for window in windows])
        padded = torch.stack([F.pad(window, (0, WINDOW - len(window))) for window in windows])
        marks = [
            self.network(*parts)
            for parts in zip(padded.split(TOGETHER), lengths.split(TOGETHER), strict=True)
        ]
        mean = (torch.cat(marks) * lengths[:, None]).sum(0) / lengths.sum()
        return {
            axis: float(mean[i]) * self.scale[axis][1] + self.scale[axis][0] for i, axis in enumerate(AXES)
        }
