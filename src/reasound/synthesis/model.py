"""The generative renderer: Plan -> conditions -> flow -> latents -> one layer for every event and ambience."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reasound.checkpoints import catalog, store
from reasound.mixing.loudness import block_energies, weighted_energy
from reasound.mixing.spatial import reverb
from reasound.perception.features import Features
from reasound.perception.text import MiniLM
from reasound.plan import Ambience, Event, Plan
from reasound.synthesis.codec import Codec
from reasound.synthesis.conditions import Conditions, TextEncoder, batched, prepare_conditions
from reasound.synthesis.dit import DiT, build
from reasound.synthesis.flow import Method, guided, integrate, noise_for, sampling_times
from reasound.synthesis.library import TEXTURE_LEVEL, set_in_room
from reasound.synthesis.placing import HIT_LEVEL
from reasound.synthesis.windows import spans, windowed
from reasound.take import Layer
from reasound.timeline import SAMPLE_RATE, Timeline, samples

Audio = NDArray[np.float32]  # [2, N]

BATCH = 4
"""Sounds that are made at once; bounds memory for plans with many events."""

OVERLAP = 5
"""Windows of long sounds share a fifth of their length with the next one."""


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
        """From a folder with codec/ and dit/; without one, the embedded pocket model. UserError if it is not whole."""
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
        config = self.dit.config
        windows = spans(length, config.span, config.span // OVERLAP)
        velocities = []
        for start, stop in windows:
            part = conditions.between(start, stop, length, config.sync_period)
            given = self.dit.prepare(part, stop - start)
            velocity = lambda x, t, given=given: self.dit.velocity(x, t, given)  # noqa: E731
            velocities.append(velocity if guidance == 1.0 else guided(velocity, guidance))
        whole = velocities[0] if len(windows) == 1 else windowed(velocities, windows)
        noise = noise_for(seeds, config.latent, length)
        return integrate(whole, noise, sampling_times(steps), method, progress)

    def decode(self, latents: Tensor, seeds: Sequence[int], samples: int) -> Tensor:
        """Latents [B, 64, L] -> sound [B, 2, samples]; one after the other, so that memory is that of one."""
        return torch.cat(
            [
                self.codec.decode(one[None], samples, seed=seed)
                for one, seed in zip(latents, seeds, strict=True)
            ]
        )


class ModelRenderer:
    """Plays every event and ambience of a plan as a layer of its own, made by the audio model."""

    def __init__(self, model: AudioModel, text: TextEncoder) -> None:
        self.model, self.text = model, text

    @classmethod
    def load(cls, folder: Path | None = None) -> ModelRenderer:
        return cls(AudioModel.load(folder), MiniLM.load())

    def render(
        self,
        plan: Plan,
        seconds: Fraction,
        seed: int,
        features: Features | None = None,
        *,
        steps: int = 24,
        guidance: float = 3.0,
        progress: Callable[[float], None] | None = None,
    ) -> list[Layer]:
        """One layer for every event, then one for every ambience, each [2, samples(seconds)].

        Each is made alone from its sound and its moments, so a layer depends on its own event, the acoustics and the
        seed, not on what else is in the plan. `features` are not needed: what was seen is in the plan. `progress` is
        told the share that is done.
        """
        plan = plan.model_copy(update={"seconds": float(seconds)})
        items: list[Event | Ambience] = [*plan.events, *plan.ambience]
        layers: list[Layer] = []
        for first in range(0, len(items), BATCH):
            part = items[first : first + BATCH]
            done = len(layers)

            def tell(step: int, of: int, done: int = done, part: Sequence[Event | Ambience] = part) -> None:
                if progress is not None:
                    progress((done + len(part) * step / of) / len(items))

            sounds = self.sounds(plan, part, samples(seconds), seed, steps, guidance, tell)
            for item, dry in zip(part, sounds, strict=True):
                layers.append(Layer(item.id, self.placed(dry, item, plan), (item.id,), seed, "model"))
        return layers

    def sounds(
        self,
        plan: Plan,
        items: Sequence[Event | Ambience],
        n: int,
        seed: int,
        steps: int,
        guidance: float,
        progress: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.float32]:
        """The dry sounds of some events and ambiences [B, 2, n], at whatever level the model gave them."""
        config, length = self.model.dit.config, Timeline(plan.seconds).latents
        given = batched([prepare_conditions(None, plan, self.text, config, events=[i.id]) for i in items])
        avoid = None
        if plan.avoid:
            unwanted = Plan(seconds=plan.seconds, caption=", ".join(plan.avoid))
            avoid = batched([prepare_conditions(None, unwanted, self.text, config)] * len(items))
        seeds = [seed_of(seed, item.id) for item in items]
        latents = self.model.latents(
            given, seeds, length, steps=steps, guidance=guidance, avoid=avoid, progress=progress
        )
        return self.model.decode(latents, seeds, n).numpy()

    def placed(self, dry: Audio, item: Event | Ambience, plan: Plan) -> Audio:
        """At the plan's level, in its place and room."""
        if isinstance(item, Event):
            hit = bool(item.onsets)
            sound = levelled(dry, HIT_LEVEL if hit else TEXTURE_LEVEL, item.level, hit)
            return set_in_room(sound, item, plan.acoustics)
        sound = levelled(dry, TEXTURE_LEVEL, item.level, loudest=False)
        return reverb(sound, plan.acoustics) if plan.acoustics.space == "underwater" else sound


def levelled(audio: Audio, reference: float, level: float, loudest: bool) -> Audio:
    """Brought to `reference` + `level` dBFS, K-weighted: its loudest 0.1 s, or the mean of what is within 20 dB of it.
    Silence stays silence."""
    blocks = block_energies(weighted_energy(audio) / 2, SAMPLE_RATE, 0.1)
    highest = float(blocks.max(initial=0.0))
    if highest < 1e-9:  # -90 dBFS
        return audio
    found = highest if loudest else float(blocks[blocks > highest / 100].mean())
    gain = 10 ** ((reference + level) / 20) / found**0.5
    return (audio * gain).astype(np.float32)
