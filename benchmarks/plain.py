"""The three released networks in plain PyTorch: what `thinksound.py` measures ours against.

    python benchmarks/plain.py --check

Functions of a dictionary of tensors under their official names, layer by layer as the published code computes them
and with its habits: conditions are prepared anew in every step, convolutions run over transposed tokens, weight norm is
made at every call, SnakeBeta is six operations, the divided attention is two products and a softmax. Nothing is fused,
cut into tiles or stored in another order. In float32, under autocast, or, from lowered tensors, in bfloat16.

`--check` compares them with the golden outputs of the published code (tests/golden).

B batch, L latents, V pictures, T tokens, D width, H heads, d width of a head.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from itertools import count
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
DIT, DECODER, SYNC = "model.model.", "pretransform.model.decoder.", "vfeat_extractor."


class Named:
    """The tensors of a checkpoint whose names begin with a prefix."""

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str = "") -> None:
        self.tensors, self.prefix = tensors, prefix

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[self.prefix + name]

    def get(self, name: str) -> Tensor | None:
        return self.tensors.get(self.prefix + name)

    def at(self, part: object) -> Named:
        return Named(self.tensors, f"{self.prefix}{part}.")

    def each(self, part: str, mark: str) -> list[Named]:
        """part.0, part.1, ... as far as they have a tensor of the name `mark`."""
        found: list[Named] = []
        for i in count():
            if self.get(f"{part}.{i}.{mark}") is None:
                return found
            found.append(self.at(f"{part}.{i}"))
        return found


# The DiT


def project(w: Named, x: Tensor) -> Tensor:
    """[B, T, in] -> [B, T, out], a linear layer or a convolution over the tokens."""
    weight, bias = w["weight"], w.get("bias")
    if weight.ndim == 2:
        return F.linear(x, weight, bias)
    return F.conv1d(x.transpose(1, 2), weight, bias, padding=weight.shape[2] // 2).transpose(1, 2)


def gated(w: Named, x: Tensor) -> Tensor:
    return project(w.at("w2"), F.silu(project(w.at("w1"), x)) * project(w.at("w3"), x))


def embed(w: Named, x: Tensor) -> Tensor:
    return gated(w.at(2), F.silu(project(w.at(0), x)))


@cache
def turns(length: int, width: int, factor: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine [T, d / 2] of rotary positions."""
    speed = 1 / 10_000 ** (torch.arange(0, width, 2, device=device) / width) * factor
    theta = torch.arange(length, device=device)[:, None] * speed
    return theta.cos(), theta.sin()


def rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """[B, H, T, d] with neighbouring channels turned, in float32."""
    cos, sin = table
    a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift


def ask(
    w: Named, heads: int, x: Tensor, c: Tensor, table: tuple[Tensor, Tensor] | None
) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """Query, key and value [B, H, T, d] of a stream, and what else its condition says."""
    shift, scale, *rest = project(w.at("adaLN_modulation.1"), F.silu(c)).split(x.shape[-1], -1)
    qkv = project(w.at("attn.qkv"), modulated(x, shift, scale))
    q, k, v = qkv.unflatten(-1, (heads, -1, 3)).transpose(1, 2).unbind(-1)
    q = F.rms_norm(q.float(), q.shape[-1:], w["attn.q_norm.weight"], eps=2**-23)
    k = F.rms_norm(k.float(), k.shape[-1:], w["attn.k_norm.weight"], eps=2**-23)
    if table is not None:
        q, k = rotate(q, table), rotate(k, table)
    return [q.to(v.dtype), k.to(v.dtype), v], tuple(rest)


def answer(w: Named, x: Tensor, heard: Tensor, said: tuple[Tensor, ...]) -> Tensor:
    if not said:  # the last joint block only listens to pictures and text
        return x
    gate_attention, shift, scale, gate_mlp = said
    x = x + gate_attention * project(w.at("linear1"), heard.transpose(1, 2).flatten(2))
    return x + gate_mlp * gated(w.at("ffn"), modulated(x, shift, scale))


def velocity(w: Named, heads: int, x: Tensor, t: Tensor, given: Mapping[str, Tensor]) -> Tensor:
    """x [B, C, L] at times t [B]; given: clip [B, V, .], sync [B, S, .], text [B, 77, 1024], t5 [B, 77, 2048]."""
    sync = given["sync"].unflatten(1, (-1, 8)) + w["sync_pos_emb"]
    clip, sync = (
        embed(w.at("clip_input_proj"), given["clip"]),
        embed(w.at("sync_input_proj"), sync.flatten(1, 2)),
    )
    whole = project(w.at("text_cond_proj"), given["text"].mean(1)) + project(
        w.at("clip_cond_proj"), clip.mean(1)
    )
    padded = F.pad(given["text"], (0, given["t5"].shape[-1] - given["text"].shape[-1]))
    text = embed(w.at("text_input_proj"), torch.cat([padded, given["t5"]], 1))
    sync = F.interpolate(sync.transpose(1, 2), size=x.shape[2], mode="nearest-exact").transpose(1, 2)

    h = embed(w.at("audio_input_proj"), x.transpose(1, 2))
    width = h.shape[-1]
    phase = t[:, None] * (1 / 10_000 ** (torch.arange(0, width, 2, device=x.device) / width) * 10_000)
    time = project(w.at("t_embed.mlp.0"), torch.cat([phase.cos(), phase.sin()], -1))
    time = project(w.at("t_embed.mlp.2"), F.silu(time))
    c = (time + gated(w.at("global_cond_mlp"), whole))[:, None]  # [B, 1, D]
    frames = c + sync  # [B, L, D]

    streams, conditions = [h, clip, text], (frames, c, c)
    tables = (
        turns(x.shape[2], width // heads, 1.0, x.device),
        turns(clip.shape[1], width // heads, x.shape[2] / clip.shape[1], x.device),
    )
    for block in w.each("joint_blocks", "latent_block.linear1.weight"):
        parts = [block.at(f"{name}_block") for name in ("latent", "clip", "text")]
        asked = [
            ask(*each) for each in zip(parts, [heads] * 3, streams, conditions, (*tables, None), strict=True)
        ]
        q, k, v = (torch.cat(same, 2) for same in zip(*(qkv for qkv, _ in asked), strict=True))
        heard = F.scaled_dot_product_attention(q, k, v).split([s.shape[1] for s in streams], 2)
        streams = [
            answer(part, s, y, said)
            for part, s, y, (_, said) in zip(parts, streams, heard, asked, strict=True)
        ]
    h = streams[0]
    for block in w.each("fused_blocks", "linear1.weight"):
        (q, k, v), said = ask(block, heads, h, frames, tables[0])
        h = answer(block, h, F.scaled_dot_product_attention(q, k, v), said)
    shift, scale = project(w.at("final_layer.adaLN_modulation.1"), F.silu(frames)).chunk(2, -1)
    return project(w.at("final_layer.conv"), modulated(h, shift, scale)).transpose(1, 2)


def guided(
    tensors: Mapping[str, Tensor],
    heads: int,
    x: Tensor,
    t: Tensor,
    given: Mapping[str, Tensor],
    scale: float = 5.0,
) -> Tensor:
    """The velocity away from what the network's empty features would sound like; 1: that of the conditions alone."""
    w = Named(tensors, DIT)
    if scale == 1:
        return velocity(w, heads, x, t, given)
    empty = {
        name: w[f"empty_{key}_feat"]
        for name, key in zip(given, ("clip", "sync", "string", "t5"), strict=True)
    }
    both = {name: torch.cat([y, empty[name].expand_as(y)]) for name, y in given.items()}
    heard, free = velocity(w, heads, torch.cat([x, x]), torch.cat([t, t]), both).chunk(2)
    return free + scale * (heard - free)


# The VAE's decoder


def snake(w: Named, x: Tensor) -> Tensor:
    alpha, beta = (w[name].exp()[:, None] for name in ("alpha", "beta"))
    return x + 1 / (beta + 1e-9) * torch.sin(x * alpha).pow(2)


def normed(w: Named) -> Tensor:
    v = w["weight_v"]
    return w["weight_g"] * v / v.norm(dim=(1, 2), keepdim=True)


def residual(w: Named, x: Tensor, dilation: int) -> Tensor:
    first, second = w.at("layers.1"), w.at("layers.3")
    y = snake(w.at("layers.0"), x)
    y = F.conv1d(y, normed(first), first["bias"], dilation=dilation, padding=3 * dilation)
    return x + F.conv1d(snake(w.at("layers.2"), y), normed(second), second["bias"])


def decode(tensors: Mapping[str, Tensor], z: Tensor) -> Tensor:
    """Latents [B, 64, L] -> sound [B, 2, 2048 L]."""
    w = Named(tensors, DECODER).at("layers")
    x = F.conv1d(z, normed(w.at(0)), w["0.bias"], padding=3)
    for i in count(1):
        if w.get(f"{i}.alpha") is not None:  # the last two layers are no block
            return F.conv1d(snake(w.at(i), x), normed(w.at(i + 1)), padding=3)
        block = w.at(f"{i}.layers")
        stride = block["1.weight_v"].shape[2] // 2
        x = F.conv_transpose1d(
            snake(block.at(0), x), normed(block.at(1)), block["1.bias"], stride, (stride + 1) // 2
        )
        for j, dilation in ((2, 1), (3, 3), (4, 9)):
            x = residual(block.at(j), x, dilation)
    raise AssertionError


# Synchformer


def norm(w: Named, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], w["weight"], w["bias"], 1e-6)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.transpose(-1, -2)).softmax(-1) @ v


def divided(w: Named, heads: int, x: Tensor, over: str) -> Tensor:
    """Patches [N, 1 + 8 * P, D] attend to those of their place ("time") or of their moment ("space"), and to the first
    token, which attends to all."""
    q, k, v = project(w.at("qkv"), x).unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4).flatten(1, 2)
    q = q * q.shape[-1] ** -0.5
    first = attend(q[:, :1], k, v)
    patches = [y[:, 1:].unflatten(1, (8, -1)) for y in (q, k, v)]  # [N H, 8, P, d]
    if over == "time":
        patches = [y.transpose(1, 2) for y in patches]
    query, keys, values = (y.flatten(0, 1) for y in patches)
    keys, values = (
        torch.cat([y[:, :1].repeat_interleave(patches[0].shape[1], 0), rest], 1)
        for y, rest in ((k, keys), (v, values))
    )
    heard = attend(query, keys, values).unflatten(0, patches[0].shape[:2])
    if over == "time":
        heard = heard.transpose(1, 2)
    heard = torch.cat([first, heard.flatten(1, 2)], 1)
    return project(w.at("proj"), heard.unflatten(0, (-1, heads)).transpose(1, 2).flatten(2))


def synchformer(tensors: Mapping[str, Tensor], heads: int, segments: Tensor) -> Tensor:
    """[N, 16, 3, 224, 224] -> [N, 8, D]."""
    w = Named(tensors, SYNC)
    patch = w.at("patch_embed_3d.proj")
    x = F.conv3d(segments.transpose(1, 2), patch["weight"], patch["bias"], stride=patch["weight"].shape[2:])
    times, places = x.shape[2], x.shape[3] * x.shape[4]
    first = w["cls_token"].expand(len(x), -1, -1) + w["pos_embed"][:, :1]
    place = w["pos_embed"][:, 1:].repeat(1, times, 1) + w["temp_embed"].repeat_interleave(places, 1)
    x = torch.cat([first, x.flatten(2).transpose(1, 2) + place], 1)
    for block in w.each("blocks", "norm1.weight"):
        x = x + divided(block.at("timeattn"), heads, norm(block.at("norm3"), x), "time")
        x = x + divided(block.at("attn"), heads, norm(block.at("norm1"), x), "space")
        x = x + project(block.at("mlp.fc2"), F.gelu(project(block.at("mlp.fc1"), norm(block.at("norm2"), x))))
    x = norm(w.at("norm"), x[:, 1:]).unflatten(1, (times, places)).flatten(0, 1)
    w = w.at("spatial_attn_agg")
    x = torch.cat([w["cls_token"].expand(len(x), -1, -1).to(x.dtype), x], 1)
    attention = w.at("self_attn")
    qkv = F.linear(norm(w.at("norm1"), x), attention["in_proj_weight"], attention["in_proj_bias"])
    heard = F.scaled_dot_product_attention(*qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4))
    x = x + project(attention.at("out_proj"), heard.transpose(1, 2).flatten(2))
    x = x + project(w.at("linear2"), F.gelu(project(w.at("linear1"), norm(w.at("norm2"), x))))
    return x[:, 0].unflatten(0, (-1, times))


def differences() -> dict[str, tuple[float, float]]:
    """What is compared with a golden output of the published code: largest difference, and what is allowed."""
    sys.path.insert(0, str(GOLDEN))
    recipe = import_module("recipe")

    def golden(part: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        keys = json.loads((GOLDEN / f"tiny_{part}.keys.json").read_text())["keys"]
        front = "pretransform." if part == "vae" else ""
        tensors = {
            front + key: torch.from_numpy(recipe.weights(front + key, shape)) for key, shape in keys.items()
        }
        with np.load(GOLDEN / f"tiny_{part}.npz") as archive:
            return tensors, {
                name: torch.from_numpy(archive[name]) for name in archive if archive[name].dtype == "f4"
            }

    def drawn(tag: str, *shape: int, scale: float = 1.0) -> Tensor:
        return torch.from_numpy(recipe.inputs(tag, shape, scale))

    found = {}
    sizes = {"clip": (12, 48, 1.0), "sync": (40, 40, 1.0), "text": (77, 1024, 1.0), "t5": (77, 2048, 0.5)}
    given = {
        name: torch.stack([drawn(f"{name}{i}", t, d, scale=scale) for i in (0, 1)])
        for name, (t, d, scale) in sizes.items()
    }
    tensors, wanted = golden("dit")
    x, t = drawn("latent", 2, 16, 32), torch.tensor([0.9, 0.3])
    for scale in (1, 5):
        flow = guided(tensors, 4, x, t, given, scale)
        found[f"DiT, guidance {scale}"] = float((flow - wanted[f"flow_cfg{scale}"]).abs().max()), 2e-4
    tensors, wanted = golden("vae")
    found["VAE decode"] = float((decode(tensors, drawn("z", 2, 4, 24)) - wanted["decode"]).abs().max()), 5e-5
    tensors, wanted = golden("sync")
    pictures = torch.from_numpy(recipe.frames("syncvid", 25)) / 255
    segments = torch.stack([pictures[:16], pictures[8:24]]) * 2 - 1
    tokens = synchformer(tensors, 4, segments).flatten(0, 1)[None]
    found["Synchformer"] = float((tokens - wanted["out"]).abs().max()), 5e-5
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", required=True, help="compare with the golden outputs")
    parser.parse_args()
    with torch.inference_mode():
        found = differences()
    for name, (difference, allowed) in found.items():
        print(f"{name:18} largest difference {difference:.1e}, allowed {allowed:.0e}")
    if any(not difference <= allowed for difference, allowed in found.values()):
        raise SystemExit("the plain networks do not compute what the published code does")


if __name__ == "__main__":
    main()
