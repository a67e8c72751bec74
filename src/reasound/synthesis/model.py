"""The generative renderer: Plan -> conditions -> flow -> latents -> one layer for every event and ambience."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from reasound.checkpoints import catalog, store
from reasound.perception.text import MiniLM
from reasound.synthesis.codec import Codec
from reasound.synthesis.conditions import Conditions, TextEncoder, batched
from reasound.synthesis.dit import DiT, build
from reasound.synthesis.flow import Method, guided, integrate, noise_for, sampling_times
from reasound.synthesis.windows import spans, windowed

BATCH = 4
"""Sounds that are made at once; bounds memory for plans with many events."""


def seed_of(seed: int, name: str) -> int:
    """A seed for one layer, which depends on nothing but the take's seed and the layer's name."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:7], "big")


@dataclass(frozen=True)
class AudioModel:
    """Codec and DiT: conditions in, latents and sound out."""

    codec: Codec
    dit: DiT

    @classmethod
    def load(cls, folder: Path | None = None) -> AudioModel:
        """From a folder with codec/ and dit/; without one, the embedded pocket model. UserError when it is not whole."""
        parts = {name: catalog.pocket(name) if folder is None else folder / name for name in ("codec", "dit")}
        return cls(Codec.load(parts["codec"]), store.load(parts["dit"], "dit", build))

    @torch.inference_mode()
    def latents(
        self,
        conditions: Conditions,
        seeds: Sequence[int],
        length: int,
        *,
        steps: int = 24,
        guidance: float = 3.0,
        avoid: Conditions | None = None,
        method: Method = "euler",
        progress: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """Latents [B, 64, length], one seed an item. `avoid` is what guidance pushes away from, beside silence."""
        if len(seeds) != len(conditions):
            raise ValueError(f"{len(seeds)} seeds for {len(conditions)} sounds: give one for each")
        if guidance != 1.0:
            conditions = batched([conditions, conditions.unconditioned(avoid)])
        windows = spans(length)
        velocities = []
        for start, stop in windows:
            part = conditions.between(start, stop, length, self.dit.config.sync_period)
            given = self.dit.prepare(part, stop - start)
            velocity = lambda x, t, given=given: self.dit.velocity(x, t, given)  # noqa: E731
            velocities.append(velocity if guidance == 1.0 else guided(velocity, guidance))
        whole = velocities[0] if len(windows) == 1 else windowed(velocities, windows)
        noise = noise_for(seeds, self.dit.config.latent, length)
        return integrate(whole, noise, sampling_times(steps), method, progress)

    def decode(self, latents: Tensor, seeds: Sequence[int], samples: int) -> Tensor:
        """Latents [B, 64, L] -> sound [B, 2, samples]."""
        return self.codec.decode(latents, samples, seed=seeds)


class ModelRenderer:
    """Plays every event and ambience of a plan as a layer of its own, made by the audio model."""

    def __init__(self, model: AudioModel, text: TextEncoder) -> None:
        self.model, self.text = model, text

    @classmethod
    def load(cls, folder: Path | None = None) -> ModelRenderer:
        return cls(AudioModel.load(folder), MiniLM.load())
