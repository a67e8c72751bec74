"""Signals and pictures by formula, and how `encoders.npz` was recorded from the original models on them.

Recording needs the sources named in recipes/convert_pocket_encoders.py, unpacked, and an environment with transformers
and efficientnet-lite-pytorch==0.1.0, the first publisher's own code (neither is a dependency of the product):

    python tests/golden/encoders.py YAMNET.npz MINILM_FOLDER EFFICIENTNET.pth
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
SENTENCES = (
    "a dog barks twice behind a wooden fence",
    "puppies growl and yap while they play on bare ground",
    "footsteps on gravel, slow and heavy",
    "rain falls on a tin roof; thunder rolls far away",
    "a hammer strikes an anvil in a small workshop",
    "glass shatters on a stone floor",
    "a car passes from left to right on a wet road",
    "the drummer hits the snare, then a long cymbal rings out",
    "wind in dry leaves",
    "a door creaks open and slams shut",
    "birdsong at dawn in a forest clearing",
    "somebody coughs three times in a tiled bathroom",
    "a revolver is fired outdoors, with a short echo from the hills",
    "sheep bleat in a barn while a gate rattles",
    "waves break on a pebble beach",
    "Ein Café in Zürich, naïve façade: 3.14 Grad & mehr!",
    "HORSE HOOVES on cobblestone",
    "fire crackles",
    "semi-trailer truck",
    "no music, no speech, quiet room tone only, nothing happens until the very end of the clip",
)


def sound() -> NDArray[np.float32]:
    """Two seconds at 16 kHz: a rising tone with overtones, and four short knocks."""
    t = np.arange(2 * RATE) / RATE
    phase = 2 * np.pi * (200 * t + 150 * t**2)
    tone = sum(np.sin(k * phase) / k for k in (1, 2, 3, 5))
    since = t % 0.5
    knocks = np.exp(-60 * since) * np.sin(2 * np.pi * 900 * since) * np.cos(2 * np.pi * 2_731 * since)
    return (0.1 * tone + 0.6 * knocks).astype(np.float32)


def pictures() -> NDArray[np.uint8]:
    """Two pictures [2, 224, 224, 3]: four balloons in the sky, and coloured stripes over a checkerboard."""
    y, x = np.mgrid[:224, :224] / 224.0
    sky = np.stack([120 + 60 * y, 170 + 40 * y, 235 + 0 * y], -1)
    balloons = (
        (0.30, 0.30, 0.17, (230, 30, 40)),
        (0.60, 0.25, 0.16, (250, 210, 40)),
        (0.45, 0.50, 0.17, (40, 90, 230)),
        (0.75, 0.50, 0.15, (60, 190, 70)),
    )
    for at, height, size, colour in balloons:
        light = np.hypot(x - at + 0.3 * size, y - height + 0.35 * size) / size
        string = (np.abs(x - at) < 0.004) & (y > height)
        skin = np.hypot((x - at) / size, (y - height) / size / 1.2) < 1
        sky = np.where(string[..., None], 80.0, sky)
        shaded = np.clip(1.15 - 0.66 * light, 0.2, 1.2)[..., None] * np.array(colour)
        sky = np.where(skin[..., None], shaded, sky)
    stripes = np.stack([127 + 120 * np.sin(2 * np.pi * (k * x + y * (4 - k))) for k in (1, 3, 7)], -1)
    checks = (np.floor(x * 8) + np.floor(y * 8))[..., None] % 2
    return np.clip(np.stack([sky, stripes * checks]), 0, 255).round().astype(np.uint8)


def record_yamnet(arrays: Path) -> dict[str, NDArray[np.float32]]:
    """The forward pass layer by layer in float32, batch norm unfolded, in TensorFlow's own layout and order."""
    import torch
    import torch.nn.functional as F

    w = {name: torch.from_numpy(value) for name, value in np.load(arrays).items()}

    def same(x: torch.Tensor, stride: int) -> torch.Tensor:
        (top, bottom), (left, right) = (
            divmod(max((-(-n // stride) - 1) * stride + 3 - n, 0), 2) for n in x.shape[2:]
        )
        return F.pad(x, (left, left + right, top, top + bottom))

    def norm(x: torch.Tensor, layer: int) -> torch.Tensor:
        mean, variance, beta = (w[f"l{layer}.{n}"] for n in ("moving_mean", "moving_variance", "beta"))
        return F.relu(F.batch_norm(x, mean, variance, None, beta, eps=1e-4))

    centres = np.linspace(0, 8000, 257)
    edges = 700 * np.expm1(np.linspace(np.log1p(125 / 700), np.log1p(7500 / 700), 66))
    mel = lambda hertz: np.log1p(np.asarray(hertz) / 700)  # noqa: E731
    filters = np.zeros((257, 64))
    for band, (low, middle, high) in enumerate(zip(edges[:-2], edges[1:-1], edges[2:], strict=True)):
        rise = (mel(centres) - mel(low)) / (mel(middle) - mel(low))
        fall = (mel(high) - mel(centres)) / (mel(high) - mel(middle))
        filters[1:, band] = np.maximum(0, np.minimum(rise, fall))[1:]
    signal, window = sound().astype(np.float64), 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = [signal[i : i + 400] * window for i in range(0, len(signal) - 399, 160)]
    logs = np.log(np.abs(np.fft.rfft(frames, 512)) @ filters + 0.001).astype(np.float32)
    x = torch.from_numpy(np.stack([logs[i : i + 96] for i in range(0, len(logs) - 95, 48)]))[:, None]
    x = norm(F.conv2d(same(x, 2), w["l0.kernel"].permute(3, 2, 0, 1), stride=2), 1)
    for block, stride in enumerate((1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)):
        layer = 2 + 4 * block
        kernel = w[f"l{layer}.depthwise_kernel"].permute(2, 3, 0, 1)
        x = norm(F.conv2d(same(x, stride), kernel, stride=stride, groups=len(kernel)), layer + 1)
        x = norm(F.conv2d(x, w[f"l{layer + 2}.kernel"].permute(3, 2, 0, 1)), layer + 3)
    embedding = x.mean((2, 3))
    scores = torch.sigmoid(embedding @ w["l54.kernel"] + w["l54.bias"])
    return {"yamnet_scores": scores.numpy(), "yamnet_embeddings": embedding.numpy()}


def record_minilm(folder: Path) -> dict[str, NDArray[np.float32]]:
    import torch
    from transformers import BertModel, BertTokenizerFast

    model = BertModel.from_pretrained(folder).eval()
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    states = []
    with torch.inference_mode():
        for sentence in SENTENCES:
            states.append(model(**tokenizer([sentence], return_tensors="pt"))[0][0])  # [T, 384]
    means = torch.stack([one.mean(0) for one in states])
    return {
        "minilm_sentences": torch.nn.functional.normalize(means, dim=1).numpy(),
        "minilm_tokens": states[0].numpy(),
    }


def record_labels(weights: Path) -> dict[str, NDArray[np.float32]]:
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite0").eval()
    model.load_state_dict(torch.load(weights, weights_only=True))
    x = (torch.from_numpy(pictures()).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.inference_mode():
        return {"labels_probabilities": model(x).softmax(1).numpy()}


if __name__ == "__main__":
    yamnet, minilm, efficientnet = map(Path, sys.argv[1:])
    golden = record_yamnet(yamnet) | record_minilm(minilm) | record_labels(efficientnet)
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **golden)  # type: ignore[arg-type]
