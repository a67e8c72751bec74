"""Scenes as latents: encoded once by the frozen codec, so that training of the audio model never waits for audio.

A pool is a folder of shards, each one safetensors file with the latents and texts of some scenes and their plans as
metadata. A maker may add shards while a training reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reasound.plan import Plan
from reasound.synthesis.conditions import TextEncoder

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """What a pool is made from. Audio [2, N], all of one length."""

    plan: Plan
    mix: Audio
    stems: Mapping[str, Audio] = field(default_factory=dict)
    """By id of event or ambience, as they are in the mix; may be empty where the plan has only one."""
    references: Mapping[str, Audio] = field(default_factory=dict)
    """What the library renderer makes of the same plan with other takes: "mix", and every stem by its id."""
    dry: bool = False
    """The mix is one sound at its reference level, in the middle and without a room: a layer before mixing."""


@dataclass(frozen=True)
class Item:
    """A scene in latents, each [L, C] in half precision."""

    plan: Plan
    mix: Tensor
    stems: dict[str, Tensor]
    rests: dict[str, Tensor]
    """The mix without one of them."""
    references: dict[str, Tensor]
    dry: bool


class Notes:
    """A text encoder that remembers what it was asked, so that it can be stored beside the scenes."""

    def __init__(self, text: TextEncoder | None = None) -> None:
        self.text = text
        self.vectors: dict[str, NDArray[np.float32]] = {}
        self.words: dict[str, NDArray[np.float32]] = {}

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        new = [t for t in dict.fromkeys(texts) if t not in self.vectors]
        if new:
            self.vectors |= dict(zip(new, self._asked(new).encode(new), strict=True))
        return np.stack([self.vectors[t] for t in texts]).astype(np.float32)

    def tokens(self, texts: Sequence[str], limit: int = 256) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Stored with the first limit that was asked for; ask for one text with one limit."""
        for t in texts:
            if t not in self.words:
                self.words[t] = self._asked([t]).tokens([t], limit)[0][0]
        rows = [self.words[t] for t in texts]
        longest = max(len(row) for row in rows)
        out = np.stack([np.pad(row.astype(np.float32), ((0, longest - len(row)), (0, 0))) for row in rows])
        return out, np.arange(longest) < np.array([[len(row)] for row in rows])

    def _asked(self, texts: Sequence[str]) -> TextEncoder:
        if self.text is None:
            raise ValueError(f"the pool does not hold the text {texts[0]!r}; make the pool again")
        return self.text


def write_shard(
    path: Path,
    scenes: Iterable[Scene],
    encode: Callable[[Tensor], Tensor],
    text: TextEncoder,
    ask: Callable[[Plan, bool, TextEncoder], None],
) -> int:
    """Encode scenes into one shard and return how many they were.

    `encode` is the codec's: [B, 2, N] -> [B, C, L]. `ask(plan, dry, text)` asks for every text that training may
    want of a plan; what it asks for is stored.
    """
    from safetensors.torch import save

    notes, plans = Notes(text), []
    tensors: dict[str, Tensor] = {}
    for i, scene in enumerate(scenes):
        plans.append({"plan": scene.plan.to_dict(), "dry": scene.dry})
        sounds = {f"{i}/mix": scene.mix}
        for name, stem in scene.stems.items():
            sounds |= {f"{i}/stem/{name}": stem, f"{i}/rest/{name}": scene.mix - stem}
        sounds |= {f"{i}/like/{name}": sound for name, sound in scene.references.items()}
        audio = torch.from_numpy(np.stack(list(sounds.values())))
        latents = encode(audio).transpose(1, 2).half()
        tensors |= dict(zip(sounds, latents.contiguous(), strict=True))
        ask(scene.plan, scene.dry, notes)
    for kind, table in (("vector", notes.vectors), ("words", notes.words)):
        tensors |= {f"{kind}/{k}": torch.from_numpy(v).half() for k, v in enumerate(table.values())}
    facts = {"scenes": plans, "vector": list(notes.vectors), "words": list(notes.words)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(save({k: v.clone() for k, v in tensors.items()}, {"facts": json.dumps(facts)}))
    partial.replace(path)
    return len(plans)


class Pool:
    """All scenes of a folder's shards, in memory (about 15 kB a sound), and a text encoder that knows their texts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.items: list[Item] = []
        self.text = Notes()
        self.read: set[str] = set()

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Item:
        return self.items[i]

    def refresh(self, only: Sequence[str] | None = None) -> list[str]:
        """Read shards that are new, in order of name; or exactly these. Returns the names of all shards in use."""
        from safetensors import safe_open

        found = sorted(p.name for p in self.folder.glob("*.safetensors")) if only is None else only
        for name in found:
            if name in self.read:
                continue
            with safe_open(self.folder / name, "pt") as shard:
                facts = json.loads(shard.metadata()["facts"])
                self.items += self._items(facts, {k: shard.get_tensor(k) for k in shard.keys()})  # noqa: SIM118
            self.read.add(name)
        return list(found)

    def _items(self, facts: dict, tensors: dict[str, Tensor]) -> list[Item]:
        for kind, table in (("vector", self.text.vectors), ("words", self.text.words)):
            table |= {t: tensors[f"{kind}/{k}"].numpy() for k, t in enumerate(facts[kind])}
        groups: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            group, _, name = key.rpartition("/")
            groups.setdefault(group, {})[name] = tensor
        return [
            Item(
                Plan.model_validate(scene["plan"]),
                groups[str(i)]["mix"],
                groups.get(f"{i}/stem", {}),
                groups.get(f"{i}/rest", {}),
                groups.get(f"{i}/like", {}),
                scene["dry"],
            )
            for i, scene in enumerate(facts["scenes"])
        ]
