"""The one file that knows the names in the released ThinkSound checkpoints. Strict both ways.

Names and layouts as of the public code at commit 4e2cfd5.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

DIT_PREFIX = "model.model."
DERIVED = ("latent_rot", "clip_rot", "t_embed.freqs")
"""Tables that some files carry; they are computed, never loaded."""

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
