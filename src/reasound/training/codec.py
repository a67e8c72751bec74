"""Training of the audio codec: spectral energy distance, a pull towards a normal distribution, and the pitch of tones.

The decoder sounds every latent twice with different noise. The loss draws both towards the recording and pushes them
apart by half their distance from each other (an energy distance, as in arXiv 2008.01160): it is smallest when the
reconstructions scatter as recordings of the same event do. With one draw, whatever is uncertain becomes a steady buzz.
"""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from reasound.data.crops import Crops
from reasound.data.recordings import RATE, Recordings
from reasound.synthesis.codec import Codec, CodecConfig, Controls
from reasound.synthesis.spectra import Frames, mid_side, power_of
from reasound.training.discriminators import Judges
from reasound.training.ema import Ema
from reasound.training.loop import (
    Budget,
    Every,
    FiniteSteps,
    Log,
    learning_rate,
    load_checkpoint,
    save_checkpoint,
)
from reasound.training.principal import start_linear
from reasound.training.tag_loss import TagLoss

Parts = dict[str, Tensor]

START_AT, MEASURE_AT = 1 << 29, 1 << 28
"""First batches of the linear start and of the final measurement of latents: none that training will see."""


@dataclass(frozen=True, kw_only=True)
class CodecTraining:
    """Settings of one run. Times in minutes of training, not of the day: a run that was cut off goes on."""

    model: CodecConfig = field(default_factory=CodecConfig)
    budget: Budget = Budget(minutes=70.0)
    batch: int = 6
    latents: int = 22
    """Length of a crop: 22 latents are 1.02 seconds."""
    rate: float = 3e-4
    muon_steps: int = 3
    """Newton-Schulz iterations for inner matrices."""
    kl: float = 3e-3
    mel: float = 2.5
    pitch: float = 1.0
    tags: float = 0.0
    """Weight of the distance in YAMNet's layers; 0: it is not asked."""
    adversarial: float = 0.0
    """Weight of being taken for real by the judges (`discriminators`); 0: there are none. Only for a decoder that is
    good already."""
    matching: float = 1.0
    """Weight of feature matching beside it."""
    ema: float = 0.998
    synthetic: float = 0.15
    """Share of sources that are made rather than recorded."""
    all_windows: bool = False
    """Every loss window in every step, for a GPU; otherwise one short, one middle and one long, at random."""
    freeze_encoder: bool = False
    """Train the decoder alone; the latents stay what they are."""
    workers: int = 1
    start_batches: int = 100
    """How many batches the linear start is computed from."""
    measure_batches: int = 48
    """How many batches the latents' shift and scale are measured on."""
    seed: int = 0
    device: str = "cpu"
    report_every: int = 50
    validate_every: int = 500
    keep_seconds: float = 90.0


def mel_matrix(bins: int, bands: int) -> Tensor:
    """Triangular filters from 0 Hz to half the rate, evenly on the mel scale, each with unit sum: [bins, bands]."""
    frequency = torch.linspace(0, RATE / 2, bins)
    mel = 2595.0 * torch.log10(1.0 + frequency / 700.0)
    edge = torch.linspace(0, float(mel[-1]), bands + 2)
    rise = (mel[:, None] - edge[:-2]) / (edge[1:-1] - edge[:-2])
    fall = (edge[2:] - mel[:, None]) / (edge[2:] - edge[1:-1])
    weight = torch.minimum(rise, fall).clamp(min=0.0)
    return weight / weight.sum(0, keepdim=True).clamp(min=1e-3)


def averages(parts: list[Parts]) -> Parts:
    """Each name's mean over the dictionaries that have it."""
    names = {name: None for part in parts for name in part}
    return {name: torch.stack([part[name] for part in parts if name in part]).mean() for name in names}


class SpectralLoss(nn.Module):
    """Energy distance between spectrograms of seven windows, on left and right or on mid and side."""

    groups = ((64, 128, 256), (512, 1024), (2048, 4096))
    # Power is first averaged over (time, frequency) neighbours, so that two takes of one noise are close. Long windows
    # pool along time alone: partials are what they are for.
    pools = {64: (1, 8), 128: (1, 8), 256: (1, 8), 512: (2, 5), 1024: (3, 4), 2048: (4, 1), 4096: (3, 1)}
    bands = {512: 40, 1024: 64, 2048: 80, 4096: 128}
    weights = (1.0, 1.0, 1.5)
    floor = 1e-5  # -100 dB: below it nothing counts

    def __init__(self) -> None:
        super().__init__()
        self.frames = nn.ModuleDict({str(w): Frames(w, w // 2) for w in self.pools})
        for window, count in self.bands.items():
            self.register_buffer(f"mel{window}", mel_matrix(window // 2 + 1, count), persistent=False)

    def describe(self, audio: Tensor, window: int) -> Parts:
        """Audio [B, 2, N] -> log level and amplitude of pooled power, and log mel for the longer windows."""
        power = power_of(self.frames[str(window)](audio * (4.0 / window)))  # a full-scale sine has power 1
        pooled = F.avg_pool2d(power, self.pools[window])
        out = {"log": 0.5 * torch.log(pooled + self.floor**2), "convergence": (pooled + 1e-10).sqrt()}
        if window in self.bands:
            out["mel"] = ((power + 1e-10).sqrt() @ self.get_buffer(f"mel{window}") + self.floor).log()
        return out

    def gap(self, a: Parts, b: Parts, norm: Tensor) -> Parts:
        """Log level and log mel L1, and spectral convergence over `norm` (one value an item)."""
        out = {name: (a[name] - b[name]).abs().mean() for name in a if name != "convergence"}
        difference = (a["convergence"] - b["convergence"]).square().sum((1, 2, 3))
        return out | {"convergence": ((difference + 1e-12).sqrt() / norm).mean()}

    def distance(self, real: Tensor, draws: list[Tensor], window: int) -> Parts:
        """From the recording to its reconstructions, less half of what is between two of them."""
        with torch.no_grad():
            a = self.describe(real, window)
            size = a["convergence"].shape[2] * a["convergence"].shape[3]
            norm = a["convergence"].square().sum((1, 2, 3)).sqrt() + 1e-3 * math.sqrt(size / 50)
        b = [self.describe(x, window) for x in draws]
        out = averages([self.gap(x, a, norm) for x in b])
        if len(b) == 2:
            between = self.gap(b[0], b[1], norm)
            out = {name: value - 0.5 * between[name] for name, value in out.items()}
        return out

    def forward(self, real: Tensor, draws: list[Tensor], windows: list[tuple[int, float]]) -> Parts:
        """`windows` are (window, weight): the weighted mean of each part over them."""
        found = [(self.distance(real, draws, window), weight) for window, weight in windows]
        names = {name: None for parts, _ in found for name in parts}
        total = {name: sum(weight for parts, weight in found if name in parts) for name in names}
        return {
            name: torch.stack(
                [parts[name] * (weight / total[name]) for parts, weight in found if name in parts]
            ).sum()
            for name in names
        }

    def choose(self, rng: random.Random, everything: bool) -> list[tuple[int, float]]:
        """One window of each group, or all of them: the same loss on average."""
        if everything:
            return [
                (w, weight / len(g)) for g, weight in zip(self.groups, self.weights, strict=True) for w in g
            ]
        return [(rng.choice(g), weight) for g, weight in zip(self.groups, self.weights, strict=True)]


def pitch_loss(controls: Controls, direction: Tensor, power: Tensor) -> Tensor:
    """How far the phase advances that the decoder set are from the recording's (`phase_advance`): the mean of 1 - cos,
    weighted by amplitude."""
    weight = (power + 1e-8) ** 0.5
    agree = direction.real * controls.advance.cos() + direction.imag * controls.advance.sin()
    return ((1.0 - agree) * weight).sum() / weight.sum()


def kl_loss(mean: Tensor, log_std: Tensor) -> Tensor:
    """Nats a latent channel away from a standard normal distribution."""
    return (0.5 * (mean.square() + (2 * log_std).exp() - 1.0) - log_std).mean()


class Trainer:
    """One run in one folder: checkpoint.pt (everything), log.jsonl, and the codec itself (EMA weights)."""

    def __init__(self, settings: CodecTraining, run: Path) -> None:
        self.settings, self.run = settings, run
        self.device = torch.device(settings.device)
        torch.manual_seed(settings.seed)
        self.model = Codec(settings.model).to(self.device)
        self.loss = SpectralLoss().to(self.device)
        self.tags = TagLoss().to(self.device) if settings.tags else None
        self.step, self.elapsed, self.may_step = 0, 0.0, FiniteSteps()
        self.blank = True  # the weights are random as yet
        self.judges = Judges().to(self.device) if settings.adversarial else None
        self.start()

    def start(self) -> None:
        """Average and optimisers for the weights as they are now."""
        s = self.settings
        self.model.encoder.requires_grad_(not s.freeze_encoder)
        self.ema = Ema(self.model, s.ema)
        linear = {
            n: m for n, m in self.model.named_modules() if isinstance(m, nn.Linear) and m.weight.requires_grad
        }
        inner = [m.weight for n, m in linear.items() if not n.endswith(("read", "write"))]
        matrices = [m.weight for n, m in linear.items() if n.endswith(("read", "write"))]
        vectors = [p for p in self.model.parameters() if p.requires_grad and p.ndim < 2]
        self.parameters = [*inner, *matrices, *vectors]
        # Adam moves every weight by as much, so a layer with many inputs moves its outputs far: shorter steps for it.
        groups = [
            {"params": [p], "weight_decay": 0.0, "scale": min(1.0, 64.0 / p.shape[1])} for p in matrices
        ]
        groups.append({"params": vectors, "weight_decay": 0.0, "scale": 0.5})
        self.adam = torch.optim.AdamW(groups, lr=s.rate, betas=(0.9, 0.99), fused=True)
        self.muon = torch.optim.Muon(
            inner, lr=s.rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw", ns_steps=s.muon_steps
        )
        if self.judges is not None:
            self.judging = torch.optim.AdamW(self.judges.parameters(), lr=s.rate, betas=(0.8, 0.99))

    # -- state ---------------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        judges = {}
        if self.judges is not None:
            judges = {"judges": self.judges.state_dict(), "judging": self.judging.state_dict()}
        return judges | {
            "model": self.model.state_dict(),
            "ema": self.ema.model.state_dict(),
            "adam": self.adam.state_dict(),
            "muon": self.muon.state_dict(),
            "step": self.step,
            "elapsed": self.elapsed,
        }

    def save(self) -> None:
        save_checkpoint(self.run / "checkpoint.pt", self.state())
        self.ema.model.save(self.run)

    def resume(self) -> None:
        """Go on exactly where the checkpoint was written."""
        state = load_checkpoint(self.run / "checkpoint.pt", self.device)
        self.model.load_state_dict(state["model"])
        self.ema.model.load_state_dict(state["ema"])
        self.adam.load_state_dict(state["adam"])
        self.muon.load_state_dict(state["muon"])
        if self.judges is not None and "judges" in state:  # they may join a run that began without them
            self.judges.load_state_dict(state["judges"])
            self.judging.load_state_dict(state["judging"])
        self.step, self.elapsed = int(state["step"]), float(state["elapsed"])

    def start_from(self, codec: Codec) -> None:
        """Begin a new run with these weights. ValueError when the sizes differ."""
        if codec.config != self.settings.model:
            raise ValueError(
                f"the codec to start from has other sizes: {codec.config} and not {self.settings.model}"
            )
        self.model.load_state_dict(codec.state_dict())
        self.blank = False
        self.start()

    # -- one step ------------------------------------------------------------------------------------------------------

    def train_step(self, real: Tensor) -> dict[str, float]:
        """Learn from one batch [B, 2, N]; return what was measured."""
        s, rng = self.settings, random.Random(self.step)
        torch.manual_seed(self.step)
        rate = learning_rate(s.rate, self.step, s.budget.spent(self.step, self.elapsed))
        for group in self.adam.param_groups + self.muon.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        parts = self.losses(real, rng)
        total = parts["log"] + parts["convergence"] + s.mel * parts["mel"] + s.pitch * parts["pitch"]
        if "tags" in parts:
            total = total + s.tags * parts["tags"]
        if "fooled" in parts:
            total = total + s.adversarial * parts["fooled"] + s.matching * parts["matching"]
        if not s.freeze_encoder:
            total = total + s.kl * parts["kl"]
        for p in self.parameters:
            p.grad = None
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, 5.0)
        finite = self.may_step(norm, self.step)
        if finite:
            self.adam.step()
            self.muon.step()
        self.step += 1
        self.ema.update(self.model, self.step)
        return {name: float(part.detach()) for name, part in parts.items()} | {
            "norm": float(norm) if finite else 0.0
        }

    def losses(self, real: Tensor, rng: random.Random) -> Parts:
        s, decoder = self.settings, self.model.decoder
        with torch.autocast(self.device.type, torch.bfloat16):
            with torch.set_grad_enabled(not s.freeze_encoder):
                features, direction, power = self.model.encoder.features(real)
                mean, log_std = self.model.encoder.describe(features)
                latents = mean + log_std.exp() * torch.randn_like(mean)
            controls = decoder(latents)
        draws = []
        for _ in range(2):
            length = (mean.shape[1] + 2) * s.model.samples_per_latent
            noise = torch.randn(len(real), 2, length, device=self.device)
            phase = 2 * math.pi * torch.rand(len(real), s.model.bins, device=self.device)
            draws.append(decoder.sound(controls, noise, phase)[0][..., : real.shape[-1]])
        tags = self.tags(real, draws) if self.tags is not None else None
        seen = [real, *draws]
        if rng.random() < 0.5:
            seen = [mid_side(x) for x in seen]
        parts = self.loss(seen[0], seen[1:], self.loss.choose(rng, s.all_windows))
        parts["pitch"] = pitch_loss(controls, direction, power)
        parts["kl"] = kl_loss(mean, log_std)
        parts["share"] = controls.share.detach().mean()
        if tags is not None:
            parts["tags"] = tags
        if self.judges is not None:
            parts |= self.judged(rng.randrange(len(self.judges.judges)), real, draws[0])
        return parts

    def judged(self, which: int, real: Tensor, made: Tensor) -> Parts:
        """One judge learns from a reconstruction; then the reconstruction from it."""
        assert self.judges is not None
        with torch.autocast(self.device.type, torch.bfloat16):
            own = self.judges.own_loss(which, real, made)
        self.judging.zero_grad(set_to_none=True)
        own.backward()
        self.judging.step()
        self.judges.requires_grad_(False)
        with torch.autocast(self.device.type, torch.bfloat16):
            fooled, matching = self.judges.made_loss(which, real, made)
        self.judges.requires_grad_(True)
        return {"judge": own.detach(), "fooled": fooled, "matching": matching}

    # -- around the steps ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def validate(self, clips: list[Tensor]) -> dict[str, float]:
        """EMA weights, latent means, one draw, all windows: mean distances over held-out clips."""
        codec, found = self.ema.model, []
        windows = self.loss.choose(random.Random(0), True)
        for clip in clips:
            with torch.autocast(self.device.type, torch.bfloat16):
                sound = codec.decode(codec.encode(clip), clip.shape[-1])
            found.append(self.loss(clip, [sound], windows))
        return {name: round(float(value), 4) for name, value in averages(found).items()}

    @torch.no_grad()
    def measure_latents(self, batches: Iterable[Tensor]) -> None:
        """Set the shift and scale that give the latents of training crops zero mean and unit variance."""
        means = torch.cat(
            [self.ema.model.encoder(batch.to(self.device))[0].flatten(0, 1) for batch in batches]
        )
        for codec in (self.model, self.ema.model):
            codec.shift.copy_(means.mean(0))
            codec.scale.copy_(means.std(0).clamp(min=1e-3))

    def train(self, cache: Path) -> None:
        """Until the budget is spent. Leaves the finished codec in the run's folder."""
        s = self.settings
        samples = s.latents * s.model.samples_per_latent
        crops = Crops(Recordings(cache, "train"), s.batch, samples, s.seed, s.synthetic)
        batches = _batches(crops, self.step, s.workers)
        if self.step == 0 and self.blank:
            start_linear(self.model, itertools.islice(_batches(crops, START_AT, 0), s.start_batches))
            self.start()
        clips = [clip.to(self.device) for clip in held_out(Recordings(cache, "val"))]
        log, keep = Log(self.run / "log.jsonl", s.report_every), Every(s.keep_seconds)
        while s.budget.spent(self.step, self.elapsed) < 1.0:
            began = time.monotonic()
            measured = self.train_step(next(batches).to(self.device))
            self.elapsed += time.monotonic() - began
            log.add(measured)
            if log.due(self.step):
                facts: dict[str, Any] = {"step": self.step, "minutes": round(self.elapsed / 60, 2)}
                if self.step % s.validate_every == 0:
                    facts["held_out"] = self.validate(clips)
                log.write(**facts)
            if keep():
                self.save()
        if not s.freeze_encoder:
            self.measure_latents(itertools.islice(_batches(crops, MEASURE_AT, 0), s.measure_batches))
        self.save()


def _batches(crops: Crops, start: int, workers: int) -> Iterator[Tensor]:
    """Batches start, start + 1, ...; made ahead of time by other processes when there are workers."""
    loader: DataLoader[Tensor] = DataLoader(
        crops,
        batch_size=None,
        sampler=range(start, len(crops)),
        num_workers=workers,
        prefetch_factor=6 if workers else None,
        worker_init_fn=_one_thread,
    )
    return iter(loader)


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


def held_out(recordings: Recordings, count: int = 24, seconds: float = 3.0) -> list[Tensor]:
    """Some recordings spread over the split, at most so long: [1, 2, N] each."""
    chosen = range(0, len(recordings), max(1, len(recordings) // count))
    lengths = (min(int(seconds * RATE), max(RATE, recordings.entries[i].samples)) for i in chosen)
    return [torch.from_numpy(recordings.read(i, 0, n))[None] for i, n in zip(chosen, lengths, strict=True)][
        :count
    ]
