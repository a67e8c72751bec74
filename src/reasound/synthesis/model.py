"""The generative renderer: Plan -> conditions -> flow -> latents -> one layer for every event and ambience."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
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
from reasound.synthesis import lora
from reasound.synthesis.attacks import struck_at
from reasound.synthesis.codec import Codec
from reasound.synthesis.conditions import Conditions, TextEncoder, batched, prepare_conditions
from reasound.synthesis.dit import DiT, build
from reasound.synthesis.flow import Method, guided, integrate, noise_for, sampling_times
from reasound.synthesis.library import TEXTURE_LEVEL, LibraryRenderer, rng_for, set_in_room
from reasound.synthesis.lora import Delta
from reasound.synthesis.manners import habit
from reasound.synthesis.placing import HIT_LEVEL, fade_ends
from reasound.synthesis.textures import extend
from reasound.synthesis.windows import spans, windowed
from reasound.take import Layer
from reasound.timeline import SAMPLE_RATE, Timeline, samples

Audio = NDArray[np.float32]  # [2, N]

BATCH = 4
"""Sounds that are made at once; bounds memory for plans with many events."""

LONGEST = 10.0
"""Seconds of a lasting sound that are made at once; a longer one goes on from there, grain by grain. Windows of one
sound agree where they overlap but not on how loud it is, and rain that drops by 30 dB for five seconds is heard."""

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
    delta: Delta | None = None
    """What makes the DiT do with few steps."""

    @classmethod
    def load(cls, folder: Path | None = None) -> AudioModel:
        """From a folder with codec/ and dit/, and dit-few/ if there is one; without a folder, the embedded pocket
        model. UserError if it is not whole."""
        root = catalog.pocket("dit").parent if folder is None else folder
        delta = lora.load(root / lora.KIND, root / "dit") if (root / lora.KIND).exists() else None
        return cls(Codec.load(root / "codec"), store.load(root / "dit", "dit", build), delta)

    @cached_property
    def quick(self) -> DiT:
        """The DiT for few steps, with guidance folded in."""
        assert self.delta is not None
        return lora.merged(self.dit, self.delta)

    def few(self, steps: int, guidance: float) -> bool:
        """Whether so many steps are for the quick DiT: up to twice as many as it was made for, at its guidance."""
        if self.delta is None:
            return False
        made = self.delta.config
        return steps <= 2 * made.steps and guidance == made.guidance

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
        """Latents [B, 64, length], one seed an item. `avoid` is what guidance pushes away from, beside silence; the
        quick DiT knows no such thing, so with it few steps are the usual DiT's."""
        if len(seeds) != len(conditions):
            raise ValueError(f"{len(seeds)} seeds for {len(conditions)} sounds: give one for each")
        dit = self.dit
        if avoid is None and self.few(steps, guidance):
            dit, guidance = self.quick, 1.0
        if guidance != 1.0:
            conditions = batched([conditions, conditions.unconditioned(avoid)])
        config = self.dit.config
        windows = spans(length, config.span, config.span // OVERLAP)
        velocities = []
        for start, stop in windows:
            part = conditions.between(start, stop, length, config.sync_period)
            given = dit.prepare(part, stop - start)
            velocity = lambda x, t, given=given: dit.velocity(x, t, given)  # noqa: E731
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
    """Plays every event and ambience of a plan as a layer of its own, made by the audio model.

    A model that reads references hears how the library would play the same event, and the layer names the recordings.
    """

    def __init__(self, model: AudioModel, text: TextEncoder, library: LibraryRenderer | None = None) -> None:
        """`library`: where references come from; without it, or for a model that reads none, there are none."""
        self.model, self.text = model, text
        self.library = library if model.dit.config.reference else None

    @classmethod
    def load(cls, folder: Path | None = None, library: LibraryRenderer | None = None) -> ModelRenderer:
        return cls(AudioModel.load(folder), MiniLM.load(), library)

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
        lasting = {i.id for i in items if lasts(i, plan.seconds) > LONGEST}
        first = excerpt(plan.only(lasting))
        rest = [i for i in items if i.id not in lasting]
        begun: list[Event | Ambience] = [*first.events, *first.ambience]
        dry: dict[str, Audio] = {}
        used: dict[str, tuple[str, ...]] = {}
        for given, group in ((plan, rest), (first, begun)):
            for part in batches(group):
                done = len(dry)

                def tell(step: int, of: int, done: int = done, count: int = len(part)) -> None:
                    if progress is not None:
                        progress((done + count * step / of) / len(items))

                sounds, names = self.sounds(given, part, samples(given.seconds), seed, steps, guidance, tell)
                dry |= zip([item.id for item in part], sounds, strict=True)
                used |= zip([item.id for item in part], names, strict=True)
        layers = []
        for item in items:
            sound = dry[item.id]
            if item.id in lasting:
                sound = continued(sound, item, samples(seconds), rng_for(seed, item.id))
            sound = self.placed(sound, item, plan)
            layers.append(Layer(item.id, sound, (item.id,), seed, "model", used[item.id]))
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
    ) -> tuple[NDArray[np.float32], list[tuple[str, ...]]]:
        """The dry sounds of some events and ambiences [B, 2, n], at whatever level the model gave them, and the
        recordings that it heard for each."""
        config, length = self.model.dit.config, Timeline(plan.seconds).latents
        heard = [self.reference(item, n, seed) for item in items]
        given = batched(
            [
                prepare_conditions(None, plan, self.text, config, events=[item.id], reference=latents)
                for item, (latents, _) in zip(items, heard, strict=True)
            ]
        )
        avoid = None
        if plan.avoid:
            unwanted = Plan(seconds=plan.seconds, caption=", ".join(plan.avoid))
            avoid = batched([prepare_conditions(None, unwanted, self.text, config)] * len(items))
        seeds = [seed_of(seed, item.id) for item in items]
        latents = self.model.latents(
            given, seeds, length, steps=steps, guidance=guidance, avoid=avoid, progress=progress
        )
        return self.model.decode(latents, seeds, n).numpy(), [names for _, names in heard]

    def reference(self, item: Event | Ambience, n: int, seed: int) -> tuple[Tensor | None, tuple[str, ...]]:
        """Latents [L, C] of how the library would play this alone, dry and at its usual level, and what it took."""
        if self.library is None:
            return None, ()
        plain = item.model_copy(update={"level": 0.0})
        play = self.library.event if isinstance(plain, Event) else self.library.ambience
        sound, takes = play(plain, n, rng_for(seed, item.id))  # type: ignore[arg-type]
        sound = sound / max(1.0, float(np.abs(sound).max(initial=0.0)))
        with torch.inference_mode():
            latents = self.model.codec.encode(torch.from_numpy(np.asarray(sound, np.float32))[None])[0]
        return latents.T, tuple(dict.fromkeys(take.id for take in takes))

    def placed(self, dry: Audio, item: Event | Ambience, plan: Plan) -> Audio:
        """At the plan's level, in its place and room."""
        if isinstance(item, Event):
            hit = bool(item.onsets)
            if hit and not habit(item.sound_class).burst:
                moments = [round(t * SAMPLE_RATE) for t in item.onsets]
                dry = dry * struck_at(dry, [at for at in moments if at < dry.shape[1]])
            sound = levelled(dry, HIT_LEVEL if hit else TEXTURE_LEVEL, item.level, hit)
            return set_in_room(sound, item, plan.acoustics)
        sound = levelled(dry, TEXTURE_LEVEL, item.level, loudest=False)
        return reverb(sound, plan.acoustics) if plan.acoustics.space == "underwater" else sound


def lasts(item: Event | Ambience, seconds: float) -> float:
    """How long it sounds without a break, in seconds; 0 for what happens at moments."""
    if isinstance(item, Ambience):
        return seconds
    return 0.0 if item.onsets else item.end - item.start


def excerpt(plan: Plan) -> Plan:
    """The same lasting sounds, all of them for the first `LONGEST` seconds."""
    events = [e.model_copy(update={"start": 0.0, "end": LONGEST, "path": ()}) for e in plan.events]
    return plan.model_copy(update={"seconds": LONGEST, "events": tuple(events)})


def continued(sound: Audio, item: Event | Ambience, n: int, rng: np.random.Generator) -> Audio:
    """An excerpt made as long as the item lasts, in its place among n samples."""
    start, end = (item.start, item.end) if isinstance(item, Event) else (0.0, n / SAMPLE_RATE)
    first, last = round(start * SAMPLE_RATE), min(round(end * SAMPLE_RATE), n)
    audio = np.zeros((2, n), np.float32)
    audio[:, first:last] = extend([sound], last - first, rng)
    fade_ends(audio, start, end, n)
    return audio


def batches(items: Sequence[Event | Ambience]) -> Iterator[Sequence[Event | Ambience]]:
    for first in range(0, len(items), BATCH):
        yield items[first : first + BATCH]


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
