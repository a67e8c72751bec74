"""The released ThinkSound model from end to end: what it sees and reads, the flow, the waveform.

Five networks take turns: MetaCLIP and Synchformer look at the clip, MetaCLIP and T5 read the caption and the chain of
thought, the DiT makes latents of them, the Oobleck autoencoder makes sound of those. They are loaded when their turn
comes, and kept only where memory allows it.

L latents (21.5 a second), Tv pictures (8 a second), Ts motion tokens (about 24 a second).
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reasound import machine
from reasound.accelerate import GraphMemory, captured, give_back_memory
from reasound.checkpoints import catalog, store
from reasound.errors import UserError
from reasound.perception import synchformer
from reasound.perception.features import Features, Floats
from reasound.perception.metaclip import MetaCLIP
from reasound.perception.pictures import sync_pictures, visual_pictures
from reasound.perception.text import T5
from reasound.plan import Ambience, Event, Plan
from reasound.plan_text import metaclip_caption, t5_thought
from reasound.synthesis import dit, oobleck
from reasound.synthesis.conditions import INPUTS, Conditions, batched
from reasound.synthesis.flow import Velocity, guided, integrate, noise_for, sampling_times
from reasound.synthesis.library import TEXTURE_LEVEL
from reasound.synthesis.model import levelled, seed_of
from reasound.synthesis.placing import HIT_LEVEL
from reasound.synthesis.windows import Span, spans, windowed
from reasound.take import Layer
from reasound.timeline import (
    SYNC_RATE,
    SYNC_STEP,
    SYNC_TOKENS,
    SYNC_WINDOW,
    VISUAL_RATE,
    Timeline,
    samples,
)

if TYPE_CHECKING:
    from reasound.media.video import Clip

GUIDANCE = 5.0
"""What the released code always uses."""

SHORTEST, LONGEST = 8, 15
"""Seconds. Between them the streams of a clip are as long as the network wants them; outside, the released code fills
up with zeros or cuts."""

SEGMENTS = 27
"""Of Synchformer in the nine seconds that the network was trained on: one every .32 s."""

OVERLAP = 5
"""Segments (1.6 s) that neighbouring windows of a long clip share."""


@dataclass(frozen=True)
class Window:
    """The part of each stream that the network sees at once."""

    latents: Span
    visual: Span
    sync: Span


@dataclass(frozen=True)
class Lengths:
    """How many steps each stream of a clip has."""

    visual: int
    frames: int
    """Pictures at 25 a second, for Synchformer."""
    latents: int
    windows: tuple[Window, ...]

    @property
    def sync(self) -> int:
        return ((self.frames - SYNC_WINDOW) // SYNC_STEP + 1) * SYNC_TOKENS


def lengths(seconds: Fraction, whole_seconds: bool = False) -> Lengths:
    """Streams and windows for a clip. They are never shorter than the clip by more than half a latent (23 ms).

    Clips of 8 to 15 s are one piece, counted as the released code counts them. A shorter clip is seen with its last
    picture held up to nine seconds. A longer one gets windows of nine seconds, all of the trained size, that begin on
    a segment of Synchformer, so that motion stays where it is.

    `whole_seconds`: cut what was seen of a clip of 8 to 15 s to whole seconds, as the released code does. It then
    stretches that over the whole sound: at 9.9 s things are heard up to .9 s late.
    """
    if SHORTEST <= seconds <= LONGEST:
        frames, visual = int(seconds * SYNC_RATE), int(seconds * VISUAL_RATE)
        if whole_seconds:
            visual = int(seconds) * VISUAL_RATE
            frames = int(seconds) * SYNC_RATE
        latents = Timeline(seconds).released_latents
        sync = ((frames - SYNC_WINDOW) // SYNC_STEP + 1) * SYNC_TOKENS
        return Lengths(visual, frames, latents, (Window((0, latents), (0, visual), (0, sync)),))
    # n segments need 8 n + 8 pictures and stand for .32 n + .36 s: 27 segments for 9 s.
    segments = max(SEGMENTS, -int(-(seconds * SYNC_RATE - 9) // SYNC_STEP))
    span = Fraction(SYNC_STEP, SYNC_RATE)

    def seconds_of(count: int) -> Fraction:
        return span * count + Fraction(9, SYNC_RATE)

    whole, part = (Timeline(seconds_of(n)) for n in (segments, SEGMENTS))
    windows = []
    for first, last in spans(segments, SEGMENTS, OVERLAP):
        latent = min(Timeline(span * first).released_latents, whole.released_latents - part.released_latents)
        picture = min(round(span * first * VISUAL_RATE), whole.visual - part.visual)
        windows.append(
            Window(
                (latent, latent + part.released_latents),
                (picture, picture + part.visual),
                (first * SYNC_TOKENS, last * SYNC_TOKENS),
            )
        )
    return Lengths(whole.visual, SYNC_STEP * (segments + 1), whole.released_latents, tuple(windows))


PARAMETERS = {
    "metaclip": 986_000_000,
    "sync": 122_440_704,
    "t5": 1_224_000_000,
    "dit": 1_277_117_632,
    "codec": 156_112_514,
}
"""Of the released networks; of T5 only the encoder."""

WORKING = {"metaclip": 0.6, "sync": 1.0, "t5": 0.3, "dit": 0.8, "codec": 0.8}
"""GiB that a part takes beside its weights, rounded up from the peaks in docs/LOG.md."""

WORK = {"metaclip": 24.0, "sync": 10.0, "t5": 0.2, "dit": 19.4, "codec": 1.0}
"""TFLOP for nine seconds of sound: 72 pictures, 27 segments, 77 words, 24 guided steps, 194 latents."""


def needs(dtype: torch.dtype, folder: Path | None = None) -> dict[str, int]:
    """Bytes of memory that each part takes while it works: those of a folder, or the released ones."""
    wanted = {}
    for part, count in PARAMETERS.items():
        weights = count * dtype.itemsize
        if folder is not None:
            stored = store.precision(folder / part)
            files = (folder / part).glob("*.safetensors")
            weights = sum(file.stat().st_size for file in files) * dtype.itemsize // stored.itemsize
        wanted[part] = weights + int(WORKING[part] * 2**30)
    return wanted


NETWORKS: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
    "sync": ("synchformer", synchformer.build),
    "dit": ("dit", dit.build),
    "codec": ("oobleck", oobleck.build),
}
"""Parts in our own format: their kind, and what builds them."""

FADE = 256
"""Samples (6 ms)."""


class ThinkSound:
    """The released weights behind the same doors as every renderer."""

    @classmethod
    def open(cls, folder: Path, precision: str = "auto", device: str = "auto") -> ThinkSound:
        """A converted, whole folder on this machine. UserError where the device or memory is missing."""
        on = machine.device(device)
        dtype = machine.precision(precision, on)
        wanted, free = needs(dtype, folder), machine.free_memory(on)
        largest = max(wanted, key=lambda part: wanted[part])
        if wanted[largest] > free:
            raise UserError(
                f"not enough memory on {on.type}: {largest} needs {wanted[largest] / 2**30:.1f} GiB and "
                f"{free / 2**30:.1f} GiB are free; close other programs, or use --precision bf16 or --model pocket"
            )
        return cls(folder, on, dtype, keep=sum(wanted.values()) < free)

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype, keep: bool) -> None:
        """`keep`: leave each part in memory for the next clip, rather than load it again."""
        self.folder, self.device, self.dtype, self.keep = folder, device, dtype, keep
        self.whole_seconds = bool(catalog.describe(folder).get("whole_seconds", False))
        self._parts: dict[str, Any] = {}

    @property
    def precision(self) -> str:
        return "bf16" if self.dtype == torch.bfloat16 else "fp32"

    def see(self, clip: Clip, features: Features, progress: Callable[[float], None]) -> Features:
        """The same features with what MetaCLIP [Tv, 1024] and Synchformer [Ts, 768] saw. Holds a few pictures at a
        time, however long the clip."""
        count = lengths(clip.seconds, self.whole_seconds)
        seen = self._looked(
            "eyes", visual_pictures(clip, count.visual), lambda i: progress(0.7 * i / count.visual)
        )
        moved = self._looked(
            "sync", sync_pictures(clip, count.frames), lambda i: progress(0.7 + 0.3 * i / count.frames)
        )
        return replace(features, metaclip=seen, synchformer=moved)

    def _looked(self, name: str, pictures: Iterable[Tensor], tell: Callable[[int], None]) -> Floats:
        with self._part(name) as network:
            seen: Tensor = network.look(_told(pictures, tell))
        return seen.cpu().numpy()

    def conditions(self, features: Features, caption: str, reasoning: str) -> Conditions:
        """What the network may attend to [B = 1]. ValueError for features that `see` has not seen."""
        if features.metaclip is None or features.synchformer is None:
            raise ValueError("these features lack what MetaCLIP and Synchformer see")
        with self._part("t5") as t5:
            thought = t5.read([reasoning])
        return Conditions(
            visual=torch.from_numpy(features.metaclip)[None],
            sync=torch.from_numpy(features.synchformer)[None],
            caption=self._caption(caption),
            reasoning=thought.cpu(),
            missing=torch.zeros(1, len(INPUTS), dtype=torch.bool),
        )

    def avoiding(self, conditions: Conditions, avoid: Sequence[str]) -> Conditions | None:
        """The same with what must not be heard for a caption; None for nothing."""
        return replace(conditions, caption=self._caption(", ".join(avoid))) if avoid else None

    @torch.inference_mode()
    def latents(
        self,
        conditions: Conditions,
        count: Lengths,
        noise: Tensor,
        *,
        steps: int = 24,
        guidance: float = GUIDANCE,
        avoid: Conditions | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """Latents [1, 64, L] from noise of that shape: with the released code's noise, the released code's latents."""
        if guidance != 1.0:
            conditions = batched([conditions, conditions.unconditioned(avoid)])
        conditions = conditions.map(lambda x: x.to(self.device))
        noise = noise.to(self.device)
        with self._part("dit") as network:
            velocities, memory = [], GraphMemory()
            for window in count.windows:
                (first, last), (before, after), (begin, end) = window.latents, window.visual, window.sync
                part = replace(
                    conditions, visual=conditions.visual[:, before:after], sync=conditions.sync[:, begin:end]
                )
                given = network.prepare(part, last - first)
                velocity: Velocity = partial(_velocity, network, given)
                if guidance != 1.0:
                    velocity = guided(velocity, guidance)
                velocities.append(captured(velocity, memory))
            windows = [window.latents for window in count.windows]
            whole = velocities[0] if len(windows) == 1 else windowed(velocities, windows)
            return integrate(whole, noise, sampling_times(steps), progress=progress)

    def decode(self, latents: Tensor, n: int) -> NDArray[np.float32]:
        """Latents [1, 64, L] -> sound [2, n] at whatever level the model gave it. Up to half a latent that is missing
        at the end becomes a short fade and silence."""
        with self._part("codec") as codec:
            sound = codec.decode(latents.to(self.device))[0].cpu().numpy()
        out = np.zeros((2, n), np.float32)
        there = min(n, sound.shape[1])
        out[:, :there] = sound[:, :there]
        if there < n:
            out[:, there - FADE : there] *= np.linspace(1, 0, FADE, dtype=np.float32)
        return out

    def render(
        self,
        plan: Plan,
        seconds: Fraction,
        seed: int,
        features: Features,
        *,
        steps: int = 24,
        guidance: float = GUIDANCE,
        progress: Callable[[float], None] | None = None,
        apart: bool = False,
    ) -> list[Layer]:
        """One layer [2, samples(seconds)] of everything that the plan wants heard.

        With `apart`, one for each event and ambience, as loud as the plan has them: every one is made alone, of the
        same pictures, with its own words, and all else among what must not be heard.
        """
        items: list[Event | Ambience] = [*plan.events, *plan.ambience]
        if not apart or not items:
            sound = self._sound(plan, seconds, seed, features, steps, guidance, progress)
            return [Layer("soundscape", sound, tuple(i.id for i in items), seed, "model")]
        found = []
        for k, item in enumerate(items):
            others = tuple(dict.fromkeys(i.sound for i in items if i is not item))
            alone = plan.only([item.id]).model_copy(
                update={"caption": item.sound, "avoid": (*plan.avoid, *others)}
            )
            own = seed_of(seed, item.id)
            tell = None if progress is None else partial(_share, progress, k, len(items))
            sound = self._sound(alone, seconds, own, features, steps, guidance, tell)
            hit = isinstance(item, Event) and bool(item.onsets)
            sound = levelled(sound, HIT_LEVEL if hit else TEXTURE_LEVEL, item.level, hit)
            found.append(Layer(item.id, sound, (item.id,), own, "model"))
        return found

    def _sound(
        self,
        plan: Plan,
        seconds: Fraction,
        seed: int,
        features: Features,
        steps: int,
        guidance: float,
        progress: Callable[[float], None] | None,
    ) -> NDArray[np.float32]:
        if progress is not None:
            progress(0.0)
        given = self.conditions(features, metaclip_caption(plan), t5_thought(plan))
        avoid = self.avoiding(given, plan.avoid)
        count = lengths(seconds, self.whole_seconds)
        # Reading and decoding take about a tenth of the time.
        tell = None if progress is None else lambda done, of: progress(0.05 + 0.9 * done / of)
        noise = noise_for([seed], 64, count.latents)
        latents = self.latents(
            given, count, noise, steps=steps, guidance=guidance, avoid=avoid, progress=tell
        )
        return self.decode(latents, samples(seconds))

    def _caption(self, text: str) -> Tensor:
        with self._part("ears") as ears:
            words: Tensor = ears.read([text])
        return words.cpu()

    def _load(self, name: str) -> Any:
        if name in ("eyes", "ears"):
            return MetaCLIP.load(
                self.folder / "metaclip", self.dtype, self.device, "vision" if name == "eyes" else "text"
            )
        if name == "t5":
            return T5.load(self.folder / "t5", self.dtype, self.device)
        kind, build = NETWORKS[name]
        return store.load(self.folder / name, kind, build, dtype=self.dtype, device=self.device)

    @contextmanager
    def _part(self, name: str) -> Iterator[Any]:
        """A network on the device, for as long as it is needed or memory allows."""
        if name not in self._parts:
            if not self.keep:
                # Not at the end of its turn: then its user still holds it.
                gc.collect()
                give_back_memory()
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
            self._parts[name] = self._load(name)
        try:
            yield self._parts[name]
        finally:
            if not self.keep:
                del self._parts[name]


def _velocity(network: dit.DiT, given: dit.Prepared, x: Tensor, t: Tensor) -> Tensor:
    return network.velocity(x, t, given)


def _told(pictures: Iterable[Tensor], tell: Callable[[int], None]) -> Iterator[Tensor]:
    for i, picture in enumerate(pictures):
        tell(i)
        yield picture


def _share(progress: Callable[[float], None], k: int, count: int, done: float) -> None:
    progress((k + done) / count)
