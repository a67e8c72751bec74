"""The one file that knows the names in the released ThinkSound checkpoints. Strict both ways.

Names and layouts as of the public code at commit 4e2cfd5.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reasound.checkpoints.store import check, mapped, shapes
from reasound.errors import UserError
from reasound.perception.synchformer import PATCH, PLACES, SynchformerConfig
from reasound.synthesis.dit import DiTConfig
from reasound.synthesis.oobleck import KERNEL, OobleckConfig
from reasound.timeline import SYNC_TOKENS

AGAIN = "get it again, for example with 'reasound models pull thinksound'"


def read(path: Path) -> dict[str, Tensor]:
    """Every tensor of a checkpoint by its name there, mapped from the file where the format allows it.

    PyTorch's pickles and safetensors are told apart by content. No code in a file is ever run. UserError for what is no
    checkpoint, is cut off, or holds more than tensors.
    """
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    if start[4:9] == b"\0\0\0\0{":  # the length of a header in JSON
        return mapped(path)
    if not start:
        raise UserError(f"{path} is empty: the download did not begin; {AGAIN}")
    if start.lstrip().startswith(b"<"):
        raise UserError(f"{path} is a web page, not a checkpoint: the download was refused; {AGAIN}")
    if start.startswith(b"version https://git-lfs"):
        raise UserError(
            f"{path} is a git-lfs pointer, not the weights themselves; fetch them with 'git lfs pull', "
            "or with 'reasound models pull thinksound'"
        )
    if start.startswith((b"PK", b"\x80")):
        return _unpickled(path, zipped=start.startswith(b"PK"))
    raise UserError(f"{path} is not a checkpoint: it is neither a PyTorch file nor safetensors")


def _unpickled(path: Path, zipped: bool) -> dict[str, Tensor]:
    if zipped:
        if not zipfile.is_zipfile(path):  # its list of contents stands at the end
            raise UserError(f"{path} is cut off: the download did not finish; {AGAIN}")
        with zipfile.ZipFile(path) as archive:
            if not any(name.endswith("/data.pkl") for name in archive.namelist()):
                raise UserError(f"{path} is a zip archive, not a checkpoint; unpack it first")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles of others, which come to nothing
            # The format before PyTorch 1.6 cannot be mapped.
            found = torch.load(path, weights_only=True, map_location="cpu", mmap=zipped)
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise UserError(
            f"{path} holds more than tensors{f' ({code[1]})' if code else ''}, which could be harmful code; none of it "
            "was run; take the released file, or one in safetensors"
        ) from error
    except (EOFError, RuntimeError, OSError) as error:
        if "TorchScript" in str(error):
            raise UserError(f"{path} is a TorchScript program, not a checkpoint") from error
        raise UserError(f"{path} is damaged or cut off; {AGAIN}") from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]  # a training file, with much beside the weights
    if not isinstance(found, Mapping) or not any(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"{path} is not a checkpoint: it holds no tensors by name")
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}


DIT_PREFIX = "model.model."
VAE_PREFIX = "pretransform.model."
DERIVED = ("latent_rot", "clip_rot", "t_embed.freqs")
"""Tables that some files carry; they are computed, never loaded."""
TRAINED_PREFIX = "diffusion."
"""Of the weights in a training file. The average that it keeps beside them, `diffusion_ema.`, is not what the release
samples from."""
ALONE_PREFIX = "autoencoder."
"""Of the autoencoder in a file of its own, beside its discriminator and other things of the training."""

_FOREIGN = {
    "PrismAudio": (
        r"(diffusion\.)?model\.model\.transformer\.",
        r"(diffusion\.)?model\.model\.(empty_clip_feat|to_sync)",
    ),
    "stable-audio-tools": (r"(diffusion\.)?model\.model\.transformer\.",),
    "MMAudio": (r"(joint_blocks|audio_input_proj)\.",),
    "the audio half of Synchformer": (r"afeat_extractor\.",),
    "CLIP": (r"(text_model|vision_model)\.",),
    "T5": (r"(encoder|decoder)\.block\.\d+\.layer\.",),
    "our own format": (r"(joint|solo|blocks)\.\d+\.\w+\.",),
}
"""Checkpoints that are taken for ours, and names that all of theirs have."""


def recognise(tensors: Mapping[str, Tensor], source: str) -> str:
    """Which file of the release this is: "flat" (DiT and autoencoder), "training" (the same, and much more), "vae" or
    "synchformer". UserError for another model, by its name where we know it."""

    def has(pattern: str) -> bool:
        return any(re.match(pattern, name) for name in tensors)

    for kind, pattern in (
        ("training", r"diffusion\.model\.model\.(?!transformer\.)\w+_blocks\."),
        ("flat", r"model\.model\.(?!transformer\.)\w+_blocks\."),
        ("vae", re.escape(ALONE_PREFIX)),
        ("synchformer", re.escape(SYNC_PREFIX)),
    ):
        if has(pattern):
            return kind
    for model, patterns in _FOREIGN.items():
        if all(has(pattern) for pattern in patterns):
            raise UserError(f"{source} is a checkpoint of {model}, not of ThinkSound")
    raise UserError(f"{source} is not a checkpoint of ThinkSound: it has a tensor {next(iter(tensors))!r}")


def parts(tensors: Mapping[str, Tensor], source: str) -> dict[str, dict[str, Tensor]]:
    """The tensors of the networks in a file, under the names that they have in the flat file: "dit", "codec", "sync".

    UserError for a file of another model, and for a tensor that belongs to none of them.
    """
    kind = recognise(tensors, source)
    if kind == "synchformer":
        return {"sync": {name: tensor for name, tensor in tensors.items() if name.startswith(SYNC_PREFIX)}}
    if kind in ("training", "vae"):
        old, new = (TRAINED_PREFIX, "") if kind == "training" else (ALONE_PREFIX, VAE_PREFIX)
        tensors = {new + name[len(old) :]: tensor for name, tensor in tensors.items() if name.startswith(old)}
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part = next((part for part, prefix in _PREFIXES.items() if name.startswith(prefix)), None)
        if part is None:
            raise UserError(f"{source} has a tensor {name!r} that no released ThinkSound model has")
        found.setdefault(part, {})[name] = tensor
    return found


_PREFIXES = {"dit": DIT_PREFIX, "codec": VAE_PREFIX}


KINDS = {"dit": "dit", "codec": "oobleck", "sync": "synchformer"}
"""What a part of the model is in our format."""


@dataclass(frozen=True)
class Network:
    """A part of a checkpoint that has every tensor it needs, and no other."""

    kind: str
    config: Any
    numbers: int
    convert: Callable[[], dict[str, Tensor]]
    """Makes the tensors under our names and layouts."""


def network(part: str, theirs: Mapping[str, Tensor], source: str) -> Network:
    """What one of the `parts` of a file is, from the names and shapes of its tensors alone.

    UserError names the first tensor that is missing, unknown or misshapen.
    """
    config: Any
    if part == "dit":
        config = dit_config(theirs, source)
        theirs = {
            name: tensor for name, tensor in theirs.items() if name.removeprefix(DIT_PREFIX) not in DERIVED
        }
        wanted, convert = dit_shapes(config), lambda: dit(theirs, config.heads)
    elif part == "codec":
        config = vae_config(theirs, source)
        wanted, convert = vae_shapes(config), lambda: vae(theirs)
    else:
        config = sync_config(theirs, source)
        wanted, convert = sync_shapes(config), lambda: synchformer(theirs)
    check(wanted, shapes(theirs), source)
    return Network(KINDS[part], config, sum(t.numel() for t in theirs.values()), convert)


def _axes(theirs: Mapping[str, Tensor], name: str, count: int, source: str) -> list[int]:
    """The shape of a tensor that tells sizes of the network."""
    if name not in theirs:
        raise UserError(f"{source} lacks the tensor {name!r}")
    shape = list(theirs[name].shape)
    if len(shape) != count or 0 in shape:
        raise UserError(f"the tensor {name!r} of {source} has shape {shape}; the model wants {count} axes")
    return shape


def _count(theirs: Mapping[str, Tensor], pattern: str) -> int:
    """How many numbered layers there are."""
    return 1 + max((int(m[1]) for m in (re.match(pattern, name) for name in theirs) if m), default=-1)


def _weights(found: dict[str, list[int]], name: str, shape: list[int], bias: bool = True) -> None:
    found[f"{name}.weight"] = shape
    if bias:
        found[f"{name}.bias"] = shape[:1]


_DIT_NAMES = {
    "audio_input_proj.": "latent_in.",
    "clip_input_proj.": "visual_in.",
    "sync_input_proj.": "sync_in.",
    "text_input_proj.": "text_in.",
    "clip_cond_proj.": "visual_whole.",
    "text_cond_proj.": "text_whole.",
    "global_cond_mlp.": "whole.",
    "t_embed.": "time.",
    "joint_blocks.": "joint.",
    "fused_blocks.": "solo.",
    "final_layer.": "final.",
    "empty_clip_feat": "empty_visual",
    "empty_sync_feat": "empty_sync",
    "empty_string_feat": "empty_caption",
    "empty_t5_feat": "empty_reasoning",
    "sync_pos_emb": "sync_place",
}
_DIT_PARTS = {
    ".latent_block.": ".latent.",
    ".clip_block.": ".visual.",
    ".text_block.": ".text.",
    ".attn.qkv.": ".qkv.",
    ".attn.q_norm.weight": ".norm.query",
    ".attn.k_norm.weight": ".norm.key",
    ".adaLN_modulation.1.": ".modulate.",
    ".linear1.": ".out.",
    ".ffn.": ".mlp.",
    "final.conv.": "final.out.",
}


def dit(theirs: Mapping[str, Tensor], heads: int) -> dict[str, Tensor]:
    """The DiT's tensors of a flat checkpoint under our names and layouts; `heads` is the model's number of heads.

    ValueError for a name that no checkpoint we know has. The caller loads the result strictly.
    """
    ours: dict[str, Tensor] = {}
    for full, tensor in theirs.items():
        name = full.removeprefix(DIT_PREFIX)
        if name in DERIVED:
            continue
        old = next((old for old in _DIT_NAMES if name.startswith(old)), None)
        if old is None or name == full:
            raise ValueError(f"{full!r} is not part of a released ThinkSound model")
        name = _DIT_NAMES[old] + name.removeprefix(old)
        for old, new in _DIT_PARTS.items():
            name = name.replace(old, new)
        ours[name] = _relaid(name, tensor, heads)
    for name in [name for name in ours if name.endswith("w1.weight")]:
        # Two matrices that read the same tokens become one: first the gate, then what is gated.
        stem = name.removesuffix("w1.weight")
        gated = ours.pop(f"{stem}w3.weight", None)
        written = ours.pop(f"{stem}w2.weight", None)
        if gated is None or written is None:
            raise ValueError(f"the checkpoint has w1 of {stem.removesuffix('.')!r} but not both w2 and w3")
        ours[f"{stem}read.weight"] = torch.cat([ours.pop(name), gated])
        ours[f"{stem}write.weight"] = written
    return ours


def _relaid(name: str, tensor: Tensor, heads: int) -> Tensor:
    """Our layout: convolutions as matrices whose columns run tap by tap; query, key and value as three blocks."""
    if name == "sync_place":
        return tensor.flatten(0, 2)
    if ".qkv." in name:  # theirs interleaves: (head, channel, which of the three)
        rows = tensor.unflatten(0, (heads, -1, 3))
        return rows.permute(2, 0, 1, *range(3, rows.ndim)).flatten(0, 2)
    if tensor.ndim == 3:  # [out, in, taps]
        return tensor.permute(0, 2, 1).flatten(1)
    return tensor


def dit_config(theirs: Mapping[str, Tensor], source: str) -> DiTConfig:
    """The sizes of the DiT in a file, from the shapes of its tensors. UserError names one that is missing."""

    def axes(name: str, count: int) -> list[int]:
        return _axes(theirs, DIT_PREFIX + name, count, source)

    width, latent, kernel = axes("audio_input_proj.0.weight", 3)
    (head,) = axes("joint_blocks.0.latent_block.attn.q_norm.weight", 1)
    return DiTConfig(
        latent=latent,
        visual=axes("clip_input_proj.0.weight", 2)[1],
        sync=axes("sync_input_proj.0.weight", 3)[1],
        caption=axes("text_cond_proj.weight", 2)[1],
        reasoning=axes("text_input_proj.0.weight", 2)[1],
        text_tokens=axes("empty_string_feat", 2)[0],
        sync_period=axes("sync_pos_emb", 4)[2],
        width=width,
        heads=max(1, width // head),
        joint_layers=_count(theirs, re.escape(DIT_PREFIX) + r"joint_blocks\.(\d+)\."),
        solo_layers=_count(theirs, re.escape(DIT_PREFIX) + r"fused_blocks\.(\d+)\."),
        kernel=kernel,
    )


def dit_shapes(config: DiTConfig) -> dict[str, list[int]]:
    """Every tensor of a released DiT of these sizes: its name in the flat file and its shape."""
    c, d = config, config.width
    found = {
        "sync_pos_emb": [1, 1, c.sync_period, c.sync],
        "empty_string_feat": [c.text_tokens, c.caption],
        "empty_t5_feat": [c.text_tokens, c.reasoning],
        "empty_clip_feat": [1, c.visual],
        "empty_sync_feat": [1, c.sync],
    }

    def gated(name: str, *kernel: int) -> None:
        for branch in ("w1", "w3"):
            _weights(found, f"{name}.{branch}", [c.inner, d, *kernel], bias=False)
        _weights(found, f"{name}.w2", [d, c.inner, *kernel], bias=False)

    def block(name: str, *kernel: int, listens: bool = True) -> None:
        _weights(found, f"{name}.adaLN_modulation.1", [(6 if listens else 2) * d, d])
        _weights(found, f"{name}.attn.qkv", [3 * d, d])
        for norm in ("q_norm", "k_norm"):
            found[f"{name}.attn.{norm}.weight"] = [d // c.heads]
        if listens:
            _weights(found, f"{name}.linear1", [d, d, *kernel])
            gated(f"{name}.ffn", *kernel)

    for name, inputs, kernel, mlp_kernel in (
        ("audio", c.latent, (c.kernel,), (c.kernel,)),
        ("clip", c.visual, (), (3,)),
        ("sync", c.sync, (7,), (3,)),
        ("text", c.reasoning, (), ()),
    ):
        _weights(found, f"{name}_input_proj.0", [d, inputs, *kernel])
        gated(f"{name}_input_proj.2", *mlp_kernel)
    _weights(found, "clip_cond_proj", [d, d])
    _weights(found, "text_cond_proj", [d, c.caption])
    gated("global_cond_mlp")
    for layer in (0, 2):
        _weights(found, f"t_embed.mlp.{layer}", [d, d])
    for i in range(c.joint_layers):
        last = i == c.joint_layers - 1
        block(f"joint_blocks.{i}.latent_block", 3)
        block(f"joint_blocks.{i}.clip_block", 3, listens=not last)
        block(f"joint_blocks.{i}.text_block", listens=not last)
    for i in range(c.solo_layers):
        block(f"fused_blocks.{i}", c.kernel)
    _weights(found, "final_layer.adaLN_modulation.1", [2 * d, d])
    _weights(found, "final_layer.conv", [c.latent, d, 7])
    return {DIT_PREFIX + name: shape for name, shape in found.items()}


def vae_config(theirs: Mapping[str, Tensor], source: str) -> OobleckConfig:
    """The sizes of the autoencoder in a file, from the shapes of its tensors. UserError names one that is missing."""

    def axes(name: str) -> list[int]:
        return _axes(theirs, f"{VAE_PREFIX}{name}.weight_v", 3, source)

    channels, ears, _ = axes("encoder.layers.0")
    stages = _count(
        theirs, re.escape(VAE_PREFIX) + r"encoder\.layers\.(\d+)\.layers\."
    )  # the first is numbered 1
    downs = [axes(f"encoder.layers.{i}.layers.4") for i in range(1, stages)]
    if not downs or any(taps % 4 for _, _, taps in downs):
        raise UserError(
            f"{source} holds an autoencoder without stages of even strides, which no released one is"
        )
    return OobleckConfig(
        channels=channels,
        multiples=tuple(width // channels for width, _, _ in downs),
        strides=tuple(taps // 2 for _, _, taps in downs),
        latent=axes("decoder.layers.0")[1],
        ears=ears,
    )


def vae_shapes(config: OobleckConfig) -> dict[str, list[int]]:
    """Every tensor of a released autoencoder of these sizes: its name in the flat file and its shape."""
    c, found = config, {}

    def conv(name: str, outputs: int, inputs: int, taps: int, bias: bool = True, up: bool = False) -> None:
        rows, columns = (inputs, outputs) if up else (outputs, inputs)
        found[f"{name}.weight_g"] = [rows, 1, 1]
        found[f"{name}.weight_v"] = [rows, columns, taps]
        if bias:
            found[f"{name}.bias"] = [outputs]

    def snake(name: str, width: int) -> None:
        found.update({f"{name}.alpha": [width], f"{name}.beta": [width]})

    def residual(name: str, width: int) -> None:
        for i, taps in ((0, KERNEL), (2, 1)):
            snake(f"{name}.layers.{i}", width)
            conv(f"{name}.layers.{i + 1}", width, width, taps)

    stages = list(zip(c.widths[:-1], c.widths[1:], c.strides, strict=True))
    end = len(stages) + 1
    conv("encoder.layers.0", c.channels, c.ears, KERNEL)
    for i, (width, wider, stride) in enumerate(stages, 1):
        for j in range(3):
            residual(f"encoder.layers.{i}.layers.{j}", width)
        snake(f"encoder.layers.{i}.layers.3", width)
        conv(f"encoder.layers.{i}.layers.4", wider, width, 2 * stride)
    snake(f"encoder.layers.{end}", c.widths[-1])
    conv(f"encoder.layers.{end + 1}", 2 * c.latent, c.widths[-1], 3)
    conv("decoder.layers.0", c.widths[-1], c.latent, KERNEL)
    for i, (width, wider, stride) in enumerate(reversed(stages), 1):
        snake(f"decoder.layers.{i}.layers.0", wider)
        conv(f"decoder.layers.{i}.layers.1", width, wider, 2 * stride, up=True)
        for j in range(2, 5):
            residual(f"decoder.layers.{i}.layers.{j}", width)
    snake(f"decoder.layers.{end}", c.channels)
    conv(f"decoder.layers.{end + 1}", c.ears, c.channels, KERNEL, bias=False)
    return {VAE_PREFIX + name: shape for name, shape in found.items()}


SYNC_PREFIX = "vfeat_extractor."
_SYNC_UNUSED = ("patch_embed.proj.weight", "patch_embed.proj.bias")
"""Of a network for single pictures; every released file has them."""
_SYNC_NAMES = {
    "cls_token": "cls",
    "pos_embed": "place",
    "temp_embed": "moment",
    "patch_embed_3d.proj.": "patch.",
    "blocks.": "blocks.",
    "norm.": "norm.",
    "spatial_attn_agg.": "gather.",
}
_SYNC_PARTS = {
    ".norm3.": ".time.norm.",
    ".timeattn.": ".time.",
    ".norm1.": ".space.norm.",
    ".attn.": ".space.",
    ".norm2.": ".mlp.norm.",
    ".mlp.fc1.": ".mlp.up.",
    ".mlp.fc2.": ".mlp.down.",
    ".proj.": ".out.",
    "gather.cls_token": "gather.cls",
    "gather.space.norm.": "gather.norm.",
    "gather.self_attn.in_proj_": "gather.qkv.",
    "gather.self_attn.out_proj.": "gather.out.",
    "gather.linear1.": "gather.mlp.up.",
    "gather.linear2.": "gather.mlp.down.",
}


def synchformer(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of Synchformer's visual half under our names; the other parts of the file are left out.

    ValueError for a name that the released file does not have, or lacks. The caller loads the result strictly.
    """
    visual = {
        full.removeprefix(SYNC_PREFIX): tensor
        for full, tensor in theirs.items()
        if full.startswith(SYNC_PREFIX)
    }
    for name in _SYNC_UNUSED:
        if visual.pop(name, None) is None:
            raise ValueError(f"the Synchformer checkpoint lacks {SYNC_PREFIX + name!r}")
    ours: dict[str, Tensor] = {}
    for theirs_name, tensor in visual.items():
        old = next((old for old in _SYNC_NAMES if theirs_name.startswith(old)), None)
        if old is None:
            raise ValueError(f"{SYNC_PREFIX + theirs_name!r} is not part of the released Synchformer")
        name = _SYNC_NAMES[old] + theirs_name.removeprefix(old)
        for part, new in _SYNC_PARTS.items():
            name = name.replace(part, new)
        if name in ("cls", "gather.cls"):
            tensor = tensor.flatten()
        elif name in ("place", "moment"):
            tensor = tensor.flatten(0, 1)
        elif name == "patch.weight":
            tensor = tensor.flatten(1)  # [out, colour, picture, y, x]
        ours[name] = tensor
    return ours


def sync_config(theirs: Mapping[str, Tensor], source: str, heads: int | None = None) -> SynchformerConfig:
    """The sizes of the Synchformer in a file, from the shapes of its tensors; `heads` if they are not 64 wide."""
    width = _axes(theirs, SYNC_PREFIX + "cls_token", 3, source)[2]
    if heads is None and width % 64:
        raise UserError(
            f"{source} holds a Synchformer {width} wide, which has no heads of 64 as the released one has"
        )
    layers = _count(theirs, re.escape(SYNC_PREFIX) + r"blocks\.(\d+)\.")
    return SynchformerConfig(width=width, layers=layers, heads=heads or width // 64)


def sync_shapes(config: SynchformerConfig) -> dict[str, list[int]]:
    """Every tensor of the visual half of a Synchformer of these sizes: its name in the file and its shape."""
    d = config.width
    found = {
        "cls_token": [1, 1, d],
        "pos_embed": [1, 1 + PLACES, d],
        "temp_embed": [1, SYNC_TOKENS, d],
        "spatial_attn_agg.cls_token": [1, 1, d],
    }
    _weights(found, "patch_embed.proj", [d, 3, PATCH, PATCH])
    _weights(found, "patch_embed_3d.proj", [d, 3, 2, PATCH, PATCH])
    for block in (f"blocks.{i}" for i in range(config.layers)):
        for norm in ("norm1", "norm2", "norm3"):
            _weights(found, f"{block}.{norm}", [d])
        for attention in ("attn", "timeattn"):
            _weights(found, f"{block}.{attention}.qkv", [3 * d, d])
            _weights(found, f"{block}.{attention}.proj", [d, d])
        _weights(found, f"{block}.mlp.fc1", [4 * d, d])
        _weights(found, f"{block}.mlp.fc2", [d, 4 * d])
    gather = "spatial_attn_agg"
    for norm in ("norm1", "norm2"):
        _weights(found, f"{gather}.{norm}", [d])
    found |= {f"{gather}.self_attn.in_proj_weight": [3 * d, d], f"{gather}.self_attn.in_proj_bias": [3 * d]}
    _weights(found, f"{gather}.self_attn.out_proj", [d, d])
    _weights(found, f"{gather}.linear1", [4 * d, d])
    _weights(found, f"{gather}.linear2", [d, 4 * d])
    _weights(found, "norm", [d])
    return {SYNC_PREFIX + name: shape for name, shape in found.items()}


def vae(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The autoencoder's tensors of a flat checkpoint under our names and layouts, with weight norms folded.

    ValueError for a name that no checkpoint we know has, or lacks. The caller loads the result strictly.
    """
    ours: dict[str, Tensor] = {}
    for full, tensor in theirs.items():
        known = re.fullmatch(
            r"((?:en|de)coder(?:\.layers\.\d+){1,3}\.)(alpha|beta|weight_g|weight_v|bias)",
            full.removeprefix(VAE_PREFIX),
        )
        if known is None or not full.startswith(VAE_PREFIX):
            raise ValueError(f"{full!r} is not part of a released ThinkSound model")
        name, leaf = known[1].replace(".layers", ""), known[2]
        up = re.fullmatch(r"decoder\.\d+\.1\.", name) is not None  # a transposed convolution
        if leaf == "alpha":
            ours[name + "frequency"] = tensor.double().exp().float()
        elif leaf == "beta":
            ours[name + "size"] = (tensor.double().exp() + 1e-9).rsqrt().float()
        elif leaf == "bias" and not up:
            ours[name + "bias"] = tensor.float()
        elif leaf == "weight_v":
            stem = full.removesuffix("weight_v")
            if stem + "weight_g" not in theirs or (up and stem + "bias" not in theirs):
                raise ValueError(f"the checkpoint has {full!r} but not what belongs to it")
            weight = _normed(theirs[stem + "weight_g"], tensor)
            if up:
                ours[name + "pairs.weight"] = _paired(weight)
                ours[name + "pairs.bias"] = theirs[stem + "bias"].float().repeat(weight.shape[2] // 2)
            elif re.fullmatch(r"decoder\.[1-9]\d*\.", name):  # the last one
                ours[name + "weight"] = weight.transpose(1, 2).flatten(0, 1)  # [out * taps, in]
            else:
                ours[name + "weight"] = weight.transpose(1, 2).flatten(1)  # [out, taps * in]
    return ours


def _normed(size: Tensor, direction: Tensor) -> Tensor:
    """Weight norm, folded: a size for each slice of the first axis, which transposed convolutions have for inputs."""
    norm = torch.linalg.vector_norm(direction, dim=(1, 2), keepdim=True, dtype=torch.float64)
    return direction.float() * (size.double() / norm).float()


def _paired(weight: Tensor) -> Tensor:
    """A transposed convolution [in, out, 2 * stride] as the matrix [stride * out, 2 * in] that writes a whole stride.

    The row before reaches it with the second half of its taps, the row itself with the first.
    """
    itself, before = weight.chunk(2, dim=2)  # [in, out, stride]
    return torch.stack([before, itself]).permute(3, 2, 0, 1).flatten(2).flatten(0, 1)
