"""Training material for the codec: augmented crops of recordings, and synthetic sounds whose pitch and phase are pure.

A codec needs no labels, so anything that sounds helps. Recordings are mixed, re-pitched, coloured and placed; about
one source in seven is made here: tones, chirps, ringing modes, clicks and filtered noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from reasound.data.recordings import RATE, Recordings

Audio = NDArray[Any]
"""[2, N] unless said otherwise; computed in double precision, handed out in single."""


class Crops(Dataset[torch.Tensor]):
    """Item i is training batch i, [B, 2, N]: the same for the same seed, so that a run can be resumed."""

    def __init__(
        self, recordings: Recordings, batch: int, samples: int, seed: int, synthetic: float = 0.15
    ) -> None:
        self.recordings, self.batch, self.samples = recordings, batch, samples
        self.seed, self.synthetic = seed, synthetic
        seconds = np.array([e.samples / RATE for e in recordings.entries])
        weight = np.clip(seconds, 0.5, 12.0) ** 0.5  # long recordings hold more, but not in proportion
        self.odds = weight / weight.sum()

    def __len__(self) -> int:
        return 1 << 30

    def __getitem__(self, i: int) -> torch.Tensor:
        rng = np.random.default_rng((self.seed, i))
        return torch.from_numpy(np.stack([self.scene(rng) for _ in range(self.batch)]))

    def scene(self, rng: np.random.Generator) -> Audio:
        """One to three sources, each with its own level, pitch, colour and place."""
        if rng.random() < 0.015:
            return (rng.standard_normal((2, self.samples)) * 10.0 ** rng.uniform(-6.0, -3.0)).astype(
                np.float32
            )
        out = np.zeros((2, self.samples))
        for _ in range(int(rng.choice([1, 2, 3], p=[0.7, 0.23, 0.07]))):
            out += self.source(rng)
        if rng.random() < 0.1:
            out *= 10.0 ** (rng.uniform(-40.0, -15.0) / 20.0)  # quiet scenes
        return (out / max(1.0, float(np.abs(out).max()))).astype(np.float32)

    def source(self, rng: np.random.Generator) -> Audio:
        """One source, [2, samples], at a random level."""
        if rng.random() < self.synthetic:
            sound = np.repeat(synthetic(rng, self.samples)[None], 2, 0)
        else:
            sound = self.recorded(rng)
        if rng.random() < 0.25:
            sound = coloured(rng, sound)
        sound = placed(rng, sound)
        peak = float(np.abs(sound).max())
        level = 10.0 ** (-rng.exponential(8.0) / 20.0) * rng.choice([-1.0, 1.0])
        return sound * (level / peak) if peak > 1e-3 else sound

    def recorded(self, rng: np.random.Generator) -> Audio:
        """A crop of a recording, half the time at another speed."""
        i = int(rng.choice(len(self.recordings), p=self.odds))
        speed = 2.0 ** rng.uniform(-0.6, 0.6) if rng.random() < 0.5 else 1.0
        span, total = int(self.samples * speed) + 64, self.recordings.entries[i].samples
        start = int(rng.integers(-span // 3, max(total - span // 2, 1)))
        sound = self.recordings.read(i, start, start + span)
        if speed != 1.0:
            sound = soxr.resample(sound.T, RATE * speed, RATE, "LQ").T
        sound = sound[:, : self.samples]
        return np.pad(sound, ((0, 0), (0, self.samples - sound.shape[1])))


def coloured(rng: np.random.Generator, sound: Audio) -> Audio:
    """Through a smooth random equaliser of six bands."""
    octaves = np.log2(np.fft.rfftfreq(sound.shape[1], 1.0 / RATE).clip(20.0))
    gain = np.interp(octaves, np.linspace(5.5, 14.4, 6), rng.uniform(-9.0, 6.0, 6))
    return np.fft.irfft(np.fft.rfft(sound) * 10.0 ** (gain / 20.0), sound.shape[1])


def placed(rng: np.random.Generator, sound: Audio) -> Audio:
    """Mono: panned, sometimes later in one ear. Stereo: another width, sides sometimes swapped."""
    if np.array_equal(sound[0], sound[1]):
        if rng.random() < 0.6:
            angle = rng.uniform(0.0, np.pi / 2)
            sound = sound * np.array([[np.cos(angle)], [np.sin(angle)]]) * 2**0.5
            if rng.random() < 0.2:
                late = int(rng.integers(2))
                sound[late] = np.roll(sound[late], int(rng.integers(1, 30)))
        return sound
    mid = sound.mean(0)
    side = (sound[0] - sound[1]) / 2 * rng.uniform(0.3, 1.4) * rng.choice([-1.0, 1.0])
    return np.stack([mid + side, mid - side])


def synthetic(rng: np.random.Generator, samples: int) -> Audio:
    """A made sound [samples]: tones, a chirp, ringing modes, clicks or noise in a band."""
    t = np.arange(samples) / RATE
    start = rng.uniform(-0.3, 0.7) * samples / RATE
    after = np.clip(t - start, 0.0, None)
    began = (t >= start).astype(np.float64)
    kind = int(rng.integers(5))
    pitch = 80.0 * 2.0 ** rng.uniform(0.0, 5.5)
    if kind == 0:  # a harmonic tone, steady or with vibrato
        depth = rng.uniform(0.0, 0.03) * (rng.random() < 0.5)
        phase = 2 * np.pi * pitch * (t + depth / (2 * np.pi * 5.0) * np.sin(2 * np.pi * 5.0 * t))
        count, slope = int(rng.integers(1, 16)), rng.uniform(0.5, 2.0)
        out = sum(np.sin(k * phase) / k**slope for k in range(1, count + 1) if k * pitch < 18_000)
        return np.asarray(out * began * np.minimum(after / 0.01, 1.0))
    if kind == 1:  # a chirp
        rate = rng.uniform(-3.0, 3.0)  # octaves a second
        frequency = np.minimum(pitch * 2.0 ** (rate * t), 18_000.0)
        return (
            np.sin(2 * np.pi * np.cumsum(frequency) / RATE) * np.exp(-after * rng.uniform(0.0, 6.0)) * began
        )
    if kind == 2:  # ringing modes of something struck
        out = np.zeros(samples)
        for _ in range(int(rng.integers(2, 14))):
            mode = min(pitch * 2.0 ** rng.uniform(0.0, 4.0), 18_000.0)
            decay = rng.uniform(1.0, 12.0) * (mode / pitch) ** 0.5
            out += rng.uniform(0.1, 1.0) * np.sin(2 * np.pi * mode * after) * np.exp(-decay * after)
        return out
    if kind == 3:  # clicks, short bursts of a decaying band
        out = np.zeros(samples)
        for at in rng.integers(0, samples, int(rng.integers(1, 9))):
            burst = rng.standard_normal(min(600, samples - int(at)))
            out[at : at + len(burst)] += burst * np.exp(-np.arange(len(burst)) / rng.uniform(2.0, 150.0))
        return out
    low, high = np.sort(rng.uniform(np.log2(50.0), np.log2(20_000.0), 2))  # noise in a band
    octaves = np.log2(np.fft.rfftfreq(samples, 1.0 / RATE).clip(20.0))
    edge = 1.0 / (1.0 + np.exp(-8.0 * np.minimum(octaves - low, high - octaves)))
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) * edge, samples)
    return noise * (np.exp(-after * rng.uniform(0.0, 8.0)) * began if rng.random() < 0.6 else 1.0)
