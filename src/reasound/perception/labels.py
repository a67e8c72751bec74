"""What is in the picture: EfficientNet-Lite0's 1000 ImageNet classes, frozen, and their bridge into MiniLM's space.

The weights, batch norm folded in, are made by recipes/convert_pocket_encoders.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from reasound.checkpoints import store
from reasound.checkpoints.catalog import pocket
from reasound.perception.features import Box, Floats, Sighting

Pictures = NDArray[np.uint8]

KIND = "labels"
SIZE = 224  # pixels of the square that the network sees
CLASSES = 1000
BATCH = 8  # pictures at once: the activations still fit the cache; 32 took longer
NEAR = 1.2  # a moving thing is seen with a fifth more around it
CLOSER = 0.62  # of the shorter side: what people film they hold in the middle
LEAST = 0.3  # of the shorter side: a closer look than this shows blur

PLAIN = 4.0  # CIELAB: a picture in which nothing differs by more has nothing that stands out

SEEN = 0.04  # a class is there while its probability, smoothed over a second, is at least this
SMOOTH = 1.0  # seconds
MOST = 40  # sightings kept


@dataclass(frozen=True)
class Seen:
    """What several looks at the same T frames saw."""

    probabilities: Floats  # [T, 1000] all looks pooled
    close: Floats  # [T, 1000] the moving part alone; zeros where nothing moved
    boxes: tuple[Box | None, ...]  # T: what the close look showed


class Labels:
    """ImageNet classes of pictures. Make one with `Labels.load()`."""

    def __init__(self, network: Network, names: Sequence[str], class_vectors: Floats, fast: bool) -> None:
        self.dtype = torch.bfloat16 if fast else torch.float32
        self.network = network.to(self.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.names = tuple(names)
        self.class_vectors = class_vectors  # [1000, 384] of the class names, for `conse`

    @classmethod
    def load(cls, folder: Path | None = None, fast: bool | None = None) -> Labels:
        """From a folder of our format; without one, the embedded weights, which all who ask for them share.

        `fast` computes in bfloat16, by default where the processor does so natively: it saves a third of the time,
        and pooled probabilities moved by at most 0.06 on real clips.
        """
        return _read(folder or pocket("labels"), _bfloat16_is_native() if fast is None else fast)

    def probabilities(self, frames: Pictures) -> Floats:
        """Pictures [T, H, W, 3] (RGB, any size), each seen whole, squeezed to a square -> probabilities [T, 1000]."""
        pictures = _checked(frames)
        parts = [self._see(squares(part)) for part in pictures.split(BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, CLASSES), np.float32)

    def look(self, frames: Pictures, boxes: Sequence[Box | None] | None = None) -> Seen:
        """Look at every frame [T, H, W, 3] up to five times: whole, its middle square, closer at the middle, at what
        stands out from its surroundings, and at what moves.

        `boxes`: where something moves in each frame, None where nothing does. A square picture has no middle look.
        The looks are pooled by their certainty (see `pooled`).
        """
        pictures = _checked(frames)
        count, height, width = pictures.shape[:3]
        if boxes is not None and len(boxes) != count:
            raise ValueError(f"one box (or None) for every frame: got {len(boxes)} boxes for {count} frames")
        looks = [self.probabilities(frames)]
        short, whole = min(height, width), Box(0.0, 0.0, 1.0, 1.0)
        if max(height, width) > 1.1 * short:
            looks.append(self._crops(pictures, [square_around(whole, height, width)] * count))
        side = round(CLOSER * short)
        inner = ((height - side) // 2, (width - side) // 2, side)
        looks.append(self._crops(pictures, [inner] * count))
        looks.append(
            self._crops(pictures, [square_around(standing_out(frame), height, width) for frame in frames])
        )
        close = np.zeros_like(looks[0])
        moving = [index for index, box in enumerate(boxes or ()) if box is not None]
        if boxes is not None and moving:
            crops = [square_around(box, height, width) for box in boxes if box is not None]
            close[moving] = self._crops(pictures[moving], crops)
            looks.append(close)
        kept = tuple(boxes) if boxes is not None else (None,) * count
        return Seen(pooled(np.stack(looks)), close, kept)

    def _crops(self, pictures: Tensor, crops: Sequence[tuple[int, int, int]]) -> Floats:
        """Probabilities of one square (top, left, side) of each picture."""
        found = []
        for start in range(0, len(crops), BATCH):
            parts = zip(pictures[start : start + BATCH], crops[start : start + BATCH], strict=True)
            cut = [squares(p[None, top : top + side, left : left + side]) for p, (top, left, side) in parts]
            found.append(self._see(torch.cat(cut)))
        return np.concatenate(found) if found else np.zeros((0, CLASSES), np.float32)

    @torch.inference_mode()
    def _see(self, pictures: Tensor) -> Floats:
        """[B, 3, 224, 224] uint8 -> [B, 1000]"""
        x = ((pictures.float() - 127.0) / 128.0).to(self.dtype, memory_format=torch.channels_last)
        found: Floats = self.network(x).float().softmax(1).numpy()
        return found


def squares(pictures: Tensor) -> Tensor:
    """[B, H, W, 3] uint8 -> [B, 3, 224, 224] uint8, bicubic with antialiasing, as the network was trained on."""
    return F.interpolate(pictures.permute(0, 3, 1, 2), (SIZE, SIZE), mode="bicubic", antialias=True)


def square_around(box: Box, height: int, width: int) -> tuple[int, int, int]:
    """The square (top, left, side, in pixels) that shows a box with some of what is around it, inside the picture."""
    short = min(height, width)
    wanted = NEAR * max((box.x1 - box.x0) * width, (box.y1 - box.y0) * height)
    side = max(1, round(min(max(wanted, LEAST * short), short)))
    x, y = box.centre
    left = min(max(round(x * width - side / 2), 0), width - side)
    top = min(max(round(y * height - side / 2), 0), height - side)
    return top, left, side


def standing_out(picture: Pictures) -> Box:
    """The part of a picture [H, W, 3] whose colour differs most from what is around it; the whole of a plain one.

    The distance in CIELAB between a slightly and a strongly blurred picture (after Achanta et al. 2009, doi
    10.1109/CVPR.2009.5206596, with the surroundings in place of the mean of the picture).
    """
    height, width = 48, 64
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    colours = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32), (0, 0), 1)
    away = np.linalg.norm(colours - cv2.GaussianBlur(colours, (0, 0), 14), axis=-1)
    if away.max() < PLAIN:
        return Box(0.0, 0.0, 1.0, 1.0)
    count, part = cv2.connectedComponents((away >= away.max() / 2).astype(np.uint8), connectivity=8)
    sums = np.bincount(part.ravel(), away.ravel(), count)
    y, x = np.nonzero(part == 1 + int(sums[1:].argmax()))
    return Box(
        float(x.min()) / width,
        float(y.min()) / height,
        float(x.max() + 1) / width,
        float(y.max() + 1) / height,
    )


def pooled(looks: Floats) -> Floats:
    """Several looks [V, T, 1000] at the same frames -> [T, 1000]: their mean, weighted by how sure each one is.

    The weight is exp(-2 * entropy), so a look that hesitates between ten classes counts a hundredth of one that is
    certain, and one that saw nothing (zeros) counts nothing. It finds more of what is there than mean or maximum.
    """
    entropy = -(looks * np.log(np.maximum(looks, 1e-12))).sum(-1)  # [V, T]
    weight = np.where(looks.sum(-1) > 0, np.exp(-2.0 * entropy), 0.0)[..., None]
    found: Floats = ((looks * weight).sum(0) / weight.sum(0)).astype(np.float32)
    return found


def conse(probabilities: Floats, class_vectors: Floats, top: int = 10) -> Floats:
    """Probabilities [T, 1000] and class vectors [1000, 384] -> [T, 384] in the space of the class vectors.

    The mean of the `top` most probable classes' vectors, weighted by probability (ConSE, Norouzi et al. 2013,
    arXiv 1312.5650, equation 4). Its length tells how much those classes agree: 1 when they mean the same.
    """
    if not 1 <= top <= probabilities.shape[1]:
        raise ValueError(f"top is 1 to {probabilities.shape[1]} classes; got {top}")
    best = np.argpartition(probabilities, -top, axis=1)[:, -top:]  # [T, top]
    weights = np.take_along_axis(probabilities, best, 1)
    weights = weights / weights.sum(1, keepdims=True)
    mixed: Floats = np.einsum("tk,tkd->td", weights, class_vectors[best]).astype(np.float32)
    return mixed


def sightings(
    probabilities: Floats,
    times: Sequence[float],
    names: Sequence[str],
    boxes: Sequence[Box | None] | None = None,
    close: Floats | None = None,
) -> tuple[Sighting, ...]:
    """Classes that stay in the picture, most probable first, at most 40.

    Args:
        probabilities: [T, 1000] pooled looks.
        times: T seconds, evenly spaced and growing.
        names: of the 1000 classes.
        boxes, close: as in `Seen`. A class gets the box of the frame in which the close look saw it best, if that
            look saw it at least as well as the pooled ones.

    A class is seen while its probability, averaged over a second, is at least 0.04; it may be seen several times.
    Each look stands for the time from half a step before it to half a step after it.
    """
    count = len(probabilities)
    if len(times) != count or (boxes is not None and len(boxes) != count):
        raise ValueError(f"one time and one box for every frame; there are {count} frames")
    if not count:
        return ()
    step = (times[-1] - times[0]) / (count - 1) if count > 1 else 2.0 * times[0]
    reach = round(SMOOTH / step) // 2 if step > 0 else 0
    smooth = _moving_mean(probabilities, reach)
    found: list[Sighting] = []
    for index in map(int, np.flatnonzero(smooth.max(0) >= SEEN)):
        for first, last in _runs(smooth[:, index] >= SEEN):
            box = None
            if boxes is not None and close is not None:
                best = first + int(close[first : last + 1, index].argmax())
                box = boxes[best] if close[best, index] >= probabilities[best, index] else None
            mean = float(probabilities[first : last + 1, index].mean())
            start, end = max(0.0, times[first] - step / 2), times[last] + step / 2
            found.append(Sighting(names[index], index, mean, start, end, box))
    return tuple(sorted(found, key=lambda s: -s.probability)[:MOST])


def _moving_mean(values: Floats, reach: int) -> Floats:
    """Mean over the frames at most `reach` away, fewer at the ends. [T, C] -> [T, C]"""
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, 0, dtype=np.float64)])
    low = np.maximum(np.arange(len(values)) - reach, 0)
    high = np.minimum(np.arange(len(values)) + reach + 1, len(values))
    mean: Floats = ((total[high] - total[low]) / (high - low)[:, None]).astype(np.float32)
    return mean


def _runs(there: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of every stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


class Network(nn.Module):
    """EfficientNet-Lite0 (Tan & Le 2019, arXiv 1905.11946; no squeeze-and-excite, ReLU6 instead of swish).

    Pictures [B, 3, 224, 224] -> logits [B, 1000]. Batch norm is folded into the convolutions.
    """

    # kernel, stride, expansion, channels, repeats (EfficientNet, table 1)
    STAGES = (
        (3, 1, 1, 16, 1),
        (3, 2, 6, 24, 2),
        (5, 2, 6, 40, 2),
        (3, 2, 6, 80, 3),
        (5, 1, 6, 112, 3),
        (5, 2, 6, 192, 4),
        (3, 1, 6, 320, 1),
    )

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2)
        blocks, width = [], 32
        for kernel, stride, expansion, channels, repeats in self.STAGES:
            for repeat in range(repeats):
                blocks.append(Block(width, channels, kernel, stride if repeat == 0 else 1, expansion))
                width = channels
        self.blocks = nn.ModuleList(blocks)
        self.top = nn.Conv2d(width, 1280, 1)
        self.head = nn.Linear(1280, 1000)

    def forward(self, pictures: Tensor) -> Tensor:
        x = F.relu6(self.stem(pad_same(pictures, 3, 2)), inplace=True)
        for block in self.blocks:
            x = block(x)
        return self.head(F.relu6(self.top(x), inplace=True).mean((2, 3)))


class Block(nn.Module):
    """Widen, look around each channel by itself, narrow; add the input where shapes allow."""

    def __init__(self, width: int, channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = width * expansion
        self.widen = nn.Conv2d(width, inner, 1) if expansion > 1 else None
        padding = kernel // 2 if stride == 1 else 0
        self.look = nn.Conv2d(inner, inner, kernel, stride=stride, padding=padding, groups=inner)
        self.narrow = nn.Conv2d(inner, channels, 1)
        self.kernel, self.stride = kernel, stride
        self.adds = stride == 1 and width == channels

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.widen is None else F.relu6(self.widen(x), inplace=True)
        y = y if self.stride == 1 else pad_same(y, self.kernel, self.stride)
        y = self.narrow(F.relu6(self.look(y), inplace=True))
        return x + y if self.adds else y


def pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Zeros around [B, C, H, W] as TensorFlow's SAME pads: the odd one goes to the right and bottom."""
    pads: list[int] = []
    for size in (x.shape[-1], x.shape[-2]):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


def _checked(frames: Pictures) -> Tensor:
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"pictures are uint8 [T, H, W, 3]; got {frames.dtype} {list(frames.shape)}")
    return torch.from_numpy(np.ascontiguousarray(frames))


def _bfloat16_is_native() -> bool:
    """Emulated bfloat16 is slower than float32, so ask the processor."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


class _Stored(nn.Module):
    """All that the weights file holds."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Network()
        self.class_vectors = nn.Parameter(torch.empty(CLASSES, 384))


@lru_cache(maxsize=2)
def _read(folder: Path, fast: bool) -> Labels:
    stored = store.load(folder, KIND, lambda _: _Stored())
    names = json.loads((folder / "classes.json").read_text(encoding="utf-8"))
    return Labels(stored.network, names, stored.class_vectors.numpy(), fast)
