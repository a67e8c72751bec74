"""The variational autoencoder of ThinkSound: stereo sound at 44.1 kHz as 64 numbers for every 2048 samples.

The architecture is Oobleck of Stable Audio (arXiv 2407.14358): five stages of convolutions with snakes (arXiv
2006.08195) between them. The decoder costs 1 TFLOP for 9 s, three quarters of it at more than 10 000 steps a second,
where snakes and copies weigh as much as products. So all layers run on channels-last rows [T, C], and stages work
through a sound tile by tile: what is not a matrix product stays in the cache, and memory does not grow with the
length. Every part says which rows of its input a row of its output depends on; a tile reads exactly those, so the
result is that of one piece.

T rows (steps of time), C channels, L latents, N samples, B batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reasound.accelerate import keep_freed_memory

DILATIONS = (1, 3, 9)
KERNEL = 7
TILE = {"cpu": 4096}
"""Rows that a stage works on at a time, by device: on a CPU as many as fit its caches, elsewhere `WIDE_TILE`."""
WIDE_TILE = 1 << 18
CHUNK = 256
"""Latents (12 s) that pass through all stages before the next ones do."""


@dataclass(frozen=True, kw_only=True)
class OobleckConfig:
    channels: int = 128
    """Width at the sample rate."""
    multiples: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Widths after each of the encoder's stages, in `channels`."""
    strides: tuple[int, ...] = (2, 4, 4, 8, 8)
    """Steps that each of the encoder's stages makes one of; even numbers."""
    latent: int = 64
    ears: int = 2
    """Channels of the sound."""

    @property
    def samples_per_latent(self) -> int:
        return math.prod(self.strides)

    @property
    def widths(self) -> tuple[int, ...]:
        """Before the first stage, and after each."""
        return (self.channels, *(self.channels * multiple for multiple in self.multiples))


class Part(nn.Module):
    """What turns T rows into T * up // down rows, and knows which rows it looks at. Ends are padded with silence."""

    up = 1
    down = 1

    def reads(self, first: int, last: int) -> tuple[int, int]:
        """The first and last row of the input that rows first ... last of the output depend on; may be outside it."""
        return first, last

    def lower(self, dtype: torch.dtype) -> None:
        """Store what goes into matrix products in this precision, all else in float32."""
        for parameter in self.parameters(recurse=False):
            parameter.data = parameter.data.float()


class Snake(Part):
    """x + (size * sin(frequency * x))^2, each channel with its own; in float32, where phases need it.

    The released parameters are logarithms: frequency = e^alpha, size^2 = 1 / (e^beta + 1e-9). We keep the values."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.frequency = nn.Parameter(torch.ones(width))
        self.size = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """[T, C] -> [T, C] in float32."""
        x = x.float()
        wave = (x * self.frequency).sin_().mul_(self.size)
        return torch.addcmul(x, wave, wave)


class Conv(Part):
    """Convolution over the rows. Its weight is the matrix [outputs, taps * inputs]: taps are the slow axis."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        padding: int | None = None,
        gathers: bool = False,
        exact: bool = False,
    ) -> None:
        """`padding`: rows of silence at both ends, by default as many as keep the length. `gathers`: always as a plain
        matrix product; for few rows and a large weight, which libraries would lay out anew in each call. `exact`:
        always in float32; for layers that see the sound or the latents themselves, and cost nothing."""
        super().__init__()
        self.inputs, self.kernel, self.down, self.dilation = inputs, kernel, stride, dilation
        self.gathers, self.exact = gathers, exact
        self.padding = dilation * (kernel // 2) if padding is None else padding
        self.weight = nn.Parameter(torch.empty(outputs, kernel * inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.uniform_(self.weight, -((kernel * inputs) ** -0.5), (kernel * inputs) ** -0.5)

    def reads(self, first: int, last: int) -> tuple[int, int]:
        first, last = first * self.down - self.padding, last * self.down - self.padding
        return first, last + self.dilation * (self.kernel - 1)

    def lower(self, dtype: torch.dtype) -> None:
        for parameter in self.parameters(recurse=False):
            parameter.data = parameter.data.to(torch.float32 if self.exact else dtype)

    def forward(self, x: Tensor) -> Tensor:
        """[T, inputs] -> [T // stride, outputs] in the weight's precision."""
        x = x.to(self.weight.dtype)
        if self.kernel == 1:
            return F.linear(x, self.weight, self.bias)
        # A plain product is sure to reach matrix units at full speed. Without them the library's convolution, which
        # gathers for itself, is faster: by a fifth in bfloat16, by a third in float32.
        if self.gathers or (x.dtype == torch.bfloat16 and x.device.type == "cpu" and matrix_units()):
            return F.linear(self.gathered(x), self.weight, self.bias)
        # As a picture one pixel high, because pictures may be channels-last.
        kernel = self.weight.unflatten(1, (self.kernel, self.inputs)).permute(0, 2, 1)[:, :, None]
        picture = x.t()[None, :, None]  # [1, C, 1, T]
        padding, dilation = (0, self.padding), (1, self.dilation)
        return F.conv2d(picture, kernel, self.bias, (1, self.down), padding, dilation)[0, :, 0].t()

    def gathered(self, x: Tensor) -> Tensor:
        """[T, inputs] -> [T // stride, taps * inputs]: beside each row those that the convolution looks at."""
        x = F.pad(x, (0, 0, self.padding, self.padding)).contiguous()
        count = (len(x) - self.dilation * (self.kernel - 1) - 1) // self.down + 1
        steps = (self.down * self.inputs, self.dilation * self.inputs, 1)
        return x.as_strided((count, self.kernel, self.inputs), steps).flatten(1)


class Up(Part):
    """Transposed convolution of twice its stride.

    A row of the input touches the two strides of output around it, so those depend on two rows each: a convolution of
    two taps that writes a whole stride at once, and no sums that overlap."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.up, self.outputs = stride, outputs
        self.pairs = Conv(inputs, stride * outputs, 2, padding=1, gathers=True)

    def reads(self, first: int, last: int) -> tuple[int, int]:
        half = self.up // 2
        return (first + half) // self.up - 1, (last + half) // self.up

    def forward(self, x: Tensor) -> Tensor:
        """[T, inputs] -> [T * stride, outputs]."""
        out = self.pairs(x).view(-1, self.outputs)
        return out[self.up // 2 : len(out) - self.up // 2]


class Chain(nn.Sequential, Part):
    """Parts one after the other, on all rows at once."""

    def __init__(self, parts: Iterable[Part]) -> None:
        super().__init__(*parts)
        self.up, self.down = (math.prod(sizes) for sizes in zip(*((p.up, p.down) for p in self), strict=True))

    def reads(self, first: int, last: int) -> tuple[int, int]:
        for part in reversed(self):
            assert isinstance(part, Part)
            first, last = part.reads(first, last)
        return first, last


class Residual(Chain):
    def __init__(self, width: int, dilation: int) -> None:
        look = Conv(width, width, KERNEL, dilation=dilation)
        super().__init__((Snake(width), look, Snake(width), Conv(width, width, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """[T, C] -> [T, C] in float32: what is added is rounded, the sum is not."""
        return x.float() + super().forward(x)


class Speak(Part):
    """The last convolution, to samples. With so few outputs, products come first and are shifted afterwards.

    No bias, as released; in float32, because its rounding would be heard as it is."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.weight = nn.Parameter(torch.empty(outputs * KERNEL, inputs))
        nn.init.uniform_(self.weight, -((KERNEL * inputs) ** -0.5), (KERNEL * inputs) ** -0.5)

    def reads(self, first: int, last: int) -> tuple[int, int]:
        return first - KERNEL // 2, last + KERNEL // 2

    def forward(self, x: Tensor) -> Tensor:
        """[T, inputs] -> [T, outputs]."""
        taps = (self.weight @ x.float().t()).unflatten(0, (self.outputs, KERNEL))  # [outputs, taps, T]
        taps = F.pad(taps, (KERNEL // 2, KERNEL // 2))
        out = taps[:, 0, : len(x)]
        for k in range(1, KERNEL):
            out = out + taps[:, k, k : k + len(x)]
        return out.t()


class Stages(Chain):
    """A chain whose groups of parts take turns: each works through all rows, a tile at a time, before the next."""

    def __init__(self, groups: Sequence[Sequence[Part]]) -> None:
        super().__init__(part for group in groups for part in group)
        # In a plain list: each part is registered, and so named, only once.
        self.groups = [Chain(group) for group in groups]

    def forward(self, x: Tensor) -> Tensor:
        for group in self.groups:
            # A tile is as many rows where there are most of them.
            x = tiled(group, x, max(TILE.get(x.device.type, WIDE_TILE) // group.down, 1))
        return x


def tiled(part: Part, x: Tensor, rows: int) -> Tensor:
    """part(x), made at most so many rows at a time. Equal up to rounding: each tile reads all that it depends on."""
    total = len(x) * part.up // part.down
    count = -(-total // rows)
    if count <= 1:
        y: Tensor = part(x)
        return y
    whole: Tensor | None = None
    for start, stop in ((total * i // count, total * (i + 1) // count) for i in range(count)):
        first, last = part.reads(start, stop - 1)
        first = max(0, first // part.down * part.down)  # where a row of the output begins
        tile = part(x[first : max(last + 1, 0)])
        if whole is None:
            whole = tile.new_empty(total, tile.shape[1])
        offset = first * part.up // part.down
        whole[start:stop] = tile[start - offset : stop - offset]
    assert whole is not None
    return whole


def encoder(c: OobleckConfig) -> Stages:
    """[N, ears] -> [L, 2 * latent]: means, and what becomes the deviations."""
    stages: list[list[Part]] = []
    for width, wider, stride in zip(c.widths[:-1], c.widths[1:], c.strides, strict=True):
        residuals = (Residual(width, d) for d in DILATIONS)
        down = Conv(width, wider, 2 * stride, stride=stride, padding=stride // 2, gathers=True)
        stages.append([Chain((*residuals, Snake(width), down))])
    stages[0].insert(0, Conv(c.ears, c.channels, KERNEL, exact=True))
    stages.append([Snake(c.widths[-1]), Conv(c.widths[-1], 2 * c.latent, 3, exact=True)])
    return Stages(stages)


def decoder(c: OobleckConfig) -> Stages:
    """[L, latent] -> [N, ears]."""
    stages: list[list[Part]] = [[Conv(c.latent, c.widths[-1], KERNEL, exact=True)]]
    for width, wider, stride in reversed(list(zip(c.widths[:-1], c.widths[1:], c.strides, strict=True))):
        residuals = (Residual(width, d) for d in DILATIONS)
        stages.append([Chain((Snake(wider), Up(wider, width, stride), *residuals))])
    stages[-1] += [Snake(c.channels), Speak(c.channels, c.ears)]
    return Stages(stages)


class Oobleck(nn.Module):
    """Parameters are named as in the released checkpoints, less their `layers.`; `checkpoints.official` folds them."""

    def __init__(self, config: OobleckConfig) -> None:
        super().__init__()
        if len(config.strides) != len(config.multiples) or any(stride % 2 for stride in config.strides):
            raise ValueError("an Oobleck needs one even stride for each multiple of its width")
        self.config = config
        self.encoder = encoder(config)
        self.decoder = decoder(config)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """[B, latent, L] -> [B, ears, 2048 L] in float32. Memory beyond the result does not grow with L."""
        keep_freed_memory()
        rows = CHUNK * self.config.samples_per_latent
        return torch.stack([tiled(self.decoder, one.float().t(), rows).t() for one in latents])

    @torch.inference_mode()
    def moments(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """[B, ears, N] -> mean and deviation of the latents, each [B, latent, N // 2048] in float32.

        Samples after the last whole 2048 influence the last latent at most. ValueError for less than 2048."""
        if audio.shape[-1] < self.config.samples_per_latent:
            raise ValueError(f"{audio.shape[-1]} samples are too few for one latent")
        keep_freed_memory()
        out = torch.stack([tiled(self.encoder, one.float().t(), CHUNK).t() for one in audio])
        mean, scale = out.chunk(2, dim=1)
        return mean.contiguous(), F.softplus(scale) + 1e-4

    def encode(self, audio: Tensor, generator: torch.Generator) -> Tensor:
        """[B, ears, N] -> [B, latent, N // 2048], drawn as in the training of the released model: never the mean."""
        mean, deviation = self.moments(audio)
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean.device)
        return mean + deviation * noise

    def lower(self, dtype: torch.dtype) -> None:
        """Run in this precision. With bfloat16, matrix products are in it; snakes, sums, the sound and the latents
        themselves stay in float32."""
        for part in self.modules():
            if isinstance(part, Part):
                part.lower(dtype)


@cache
def matrix_units() -> bool:
    """Does this CPU have AMX? PyTorch makes no promise about the way in which this asks."""
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return supported is not None and bool(supported())


def build(settings: dict[str, object]) -> Oobleck:
    """An Oobleck from the fields of its configuration. TypeError for unknown ones."""
    unknown = set(settings) - {f.name for f in fields(OobleckConfig)}
    if unknown:
        raise TypeError(f"unknown setting {sorted(unknown)[0]!r}")
    lists = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    return Oobleck(replace(OobleckConfig(), **lists))  # type: ignore[arg-type]
