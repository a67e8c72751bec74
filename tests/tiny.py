"""A ThinkSound folder of the released layout with networks small enough for a test, and random weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from reasound.checkpoints import store
from reasound.checkpoints.encoders import convert_metaclip, convert_t5
from reasound.perception.synchformer import Synchformer, SynchformerConfig
from reasound.synthesis.dit import DiT, DiTConfig
from reasound.synthesis.oobleck import Oobleck, OobleckConfig
from test_encoders import write_clip, write_t5


def randomised(network: nn.Module, seed: int, size: float = 0.2) -> nn.Module:
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(size * torch.randn(parameter.shape, generator=draw))
    return network.eval()


def thinksound(folder: Path, **fields: object) -> Path:
    """Write all parts and model.json; `fields` go into model.json."""
    hub = folder.with_name(folder.name + "-hub")
    hub.mkdir(parents=True)
    write_clip(hub / "clip")
    write_t5(hub / "t5")
    folder.mkdir()
    convert_metaclip(hub / "clip", folder / "metaclip", torch.float32)
    convert_t5(hub / "t5", folder / "t5", torch.float32)
    sync = SynchformerConfig(width=24, layers=1, heads=2)
    codec = OobleckConfig(channels=4, multiples=(1, 1, 2, 2, 2))
    dit = DiTConfig(
        visual=16,
        sync=sync.width,
        caption=24,
        reasoning=24,
        width=32,
        heads=2,
        joint_layers=2,
        solo_layers=1,
        round_to=32,
    )
    for name, kind, network, config in (
        ("dit", "dit", DiT(dit), dit),
        ("codec", "oobleck", Oobleck(codec), codec),
        ("sync", "synchformer", Synchformer(sync), sync),
    ):
        store.save(folder / name, kind, randomised(network, len(name)).state_dict(), config, half=False)
    head = {"kind": "thinksound", "version": 1, "precision": "fp32", "whole_seconds": False}
    (folder / "model.json").write_text(json.dumps(head | fields))
    return folder
