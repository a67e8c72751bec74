"""A sound as a few hundred numbers, without any network: what its spectrum, its movement and its attacks are like.

What a codec or a model was trained against is no fair judge of it. These statistics are computed straight from
short-time spectra, in the spirit of McDermott and Simoncelli (2011) for textures and of the classical timbre
descriptors for the rest. Neither level, pan nor length of a sound changes them much.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from reasound.evaluation.onsets import onsets_with_strength
from reasound.timeline import SAMPLE_RATE

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

BANDS, LOWEST, HIGHEST = 48, 40.0, 16_000.0  # of the mel spectrum; Hz
WINDOW, HOP = 1024, 441  # samples: 23 ms every 10 ms
LONG = 4096  # samples: the window in which tones stand out from noise
RANGE_DB = 70.0
"""What lies further below the loudest frame is silence."""
ACTIVE_DB = 40.0
"""Frames that are no further below the loudest one count."""
BROAD = 12
"""Bands whose movements are compared with each other."""
SPEEDS = np.array([0.0, 1.5, 3.0, 5.0, 8.0, 12.0, 18.0, 27.0, 45.0])
"""Edges in Hz of the modulation spectrum."""
AFTER = np.array([0.0, 0.01, 0.02, 0.04, 0.07, 0.12, 0.2, 0.35, 0.6])
"""Seconds after an attack at which it is looked at how far the sound has decayed."""
COEFFICIENTS = 16


def statistics(audio: ArrayLike) -> Floats:
    """[N] or [C, N] at 44.1 kHz -> [D] numbers, finite for any sound; channels add in power.

    ValueError for a sound that is empty or not finite.
    """
    sound = np.atleast_2d(np.asarray(audio, np.float32))
    if sound.ndim != 2 or not sound.size or not np.isfinite(sound).all():
        raise ValueError(f"a sound is finite, not empty, [N] or [C, N]; this one has shape {np.shape(audio)}")
    peak = float(np.abs(sound).max())
    sound = sound / peak if peak > 0 else sound
    sound = np.pad(sound, ((0, 0), (0, max(0, LONG - sound.shape[1]))))
    power = spectra(sound, WINDOW, HOP) @ mel_filters(WINDOW, BANDS)  # [T, BANDS]
    whole = decibels(power.sum(1))  # [T]
    active = whole >= whole.max() - ACTIVE_DB
    levels = decibels(power)
    levels = np.maximum(levels, levels.max() - RANGE_DB)
    levels -= decibels(power[active].sum(1).mean())  # the level of the whole is nothing to know it by
    parts = [
        colour(power, levels, active),
        movement(power),
        tonality(sound),
        course(sound, levels, whole, active),
    ]
    return np.concatenate(parts).astype(np.float32)


def colour(power: Doubles, levels: Doubles, active: NDArray[np.bool_]) -> Doubles:
    """Mean and spread of the spectrum, how fast it changes, and its shape as cosines."""
    own = levels[active]
    mean = decibels(power[active].mean(0) / (power[active].sum(1).mean() + 1e-12))
    steps = np.abs(np.diff(levels, axis=0))[active[1:]] if active[1:].any() else np.zeros((1, BANDS))
    shapes = own @ cosines()
    turns = np.abs(np.diff(shapes, axis=0)) if len(shapes) > 1 else np.zeros((1, COEFFICIENTS))
    return np.concatenate(
        [
            np.maximum(mean, -RANGE_DB),
            own.mean(0),
            own.std(0),
            np.percentile(own, 90, axis=0),
            steps.reshape(len(steps), -1, 2).mean((0, 2)),
            shapes.mean(0) / 4,
            shapes.std(0) / 4,
            turns.mean(0) / 4,
        ]
    )


def movement(power: Doubles) -> Doubles:
    """How fast the bands swell and fade, and which of them do so together."""
    shares, depth, together = modulation(power)
    return np.concatenate([shares.ravel() / 3, depth, together])


def modulation(power: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Mel spectrum [T, BANDS] -> how a texture moves.

    Returns the modulation spectrum [8 speeds, 6 bands] in dB of each band's whole, the depth [12 bands] in parts of the
    mean, and the correlations [66] of the bands' envelopes.
    """
    broad = power.reshape(len(power), BROAD, -1).sum(2)
    envelope = np.maximum(broad / (broad.max() + 1e-12), 10 ** (-RANGE_DB / 10)) ** 0.3
    moved = envelope - envelope.mean(0)
    size = max(256, 1 << (len(moved) - 1).bit_length())
    energy = np.abs(np.fft.rfft(moved, size, axis=0)) ** 2
    rates = np.fft.rfftfreq(size, HOP / SAMPLE_RATE)
    place = np.digitize(rates, SPEEDS) - 1
    grouped = np.stack([energy[place == k].sum(0) for k in range(len(SPEEDS) - 1)])  # [8, BROAD]
    grouped = grouped.reshape(len(grouped), -1, 2).sum(2)
    shares = decibels(grouped / (grouped.sum(0) + 1e-9) + 1e-3)
    depth = moved.std(0) / (envelope.mean(0) + 1e-6)
    scaled = moved / (moved.std(0) + 1e-3)
    together = (scaled.T @ scaled / len(scaled))[np.triu_indices(BROAD, 1)]
    return shares, depth, together


def tonality(sound: Floats) -> Doubles:
    """How far tones stand out of the noise, in octaves and as one pitch; the pitch and how it moves."""
    power = spectra(sound, LONG, LONG // 2)  # [T, 2049]
    whole = power.sum(1)
    active = whole >= whole.max() * 10 ** (-ACTIVE_DB / 10)
    power = power[active] + 1e-12
    contrast, flat = [], []
    edges = np.searchsorted(np.fft.rfftfreq(LONG, 1 / SAMPLE_RATE), 60 * 2.0 ** np.arange(9))
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        part = np.log(power[:, low:high])
        order = np.sort(part, axis=1)
        few = max(1, (high - low) // 8)
        contrast.append((order[:, -few:].mean(1) - order[:, :few].mean(1)).mean())
        flat.append((part.mean(1) - np.log(power[:, low:high].mean(1))).mean())
    # The spectrum's own transform is the autocorrelation: its highest peak is the pitch and how clear it is.
    flattened = torch.fft.irfft(torch.from_numpy(power**0.4).float()).numpy()
    lags = np.arange(SAMPLE_RATE // 2000, SAMPLE_RATE // 60)
    ratio = flattened[:, lags] / (flattened[:, :1] + 1e-12)
    best = ratio.argmax(1)
    clear, pitch = ratio.max(1), np.log2(SAMPLE_RATE / lags[best])
    weight = np.maximum(clear, 1e-3) ** 2
    mean = float((pitch * weight).sum() / weight.sum())
    spread = float(np.sqrt(((pitch - mean) ** 2 * weight).sum() / weight.sum()))
    steps = float(np.median(np.abs(np.diff(pitch)))) if len(pitch) > 1 else 0.0
    pitched = [*np.percentile(clear, [10, 50, 90]), clear.std(), mean, spread, steps]
    return np.concatenate([contrast, flat, np.asarray(pitched)])


def course(sound: Floats, levels: Doubles, whole: Doubles, active: NDArray[np.bool_]) -> Doubles:
    """How even it is, how often and how suddenly something begins, and how it dies away low, middle and high."""
    times, strengths = onsets_with_strength(sound, SAMPLE_RATE, 3.0)
    seconds = sound.shape[1] / SAMPLE_RATE
    even = whole[active]
    runs = np.diff(np.flatnonzero(np.diff(np.r_[0, active.astype(int), 0])))[::2]
    gaps = np.diff(times) if len(times) > 2 else np.zeros(1)
    general = [
        even.std(),
        even.max() - decibels(np.mean(10 ** (even / 10))),
        10 * active.mean(),
        5 * np.log10(np.mean(runs) + 1),
        5 * np.log10(np.max(runs) + 1),
        min(len(times) / seconds, 12.0),
        min(int((strengths > 6).sum()) / seconds, 12.0),
        strengths.mean() if len(strengths) else 0.0,
        strengths.max(initial=0.0),
        gaps.std() / (gaps.mean() + 1e-3),
    ]
    # Attack and decay of the strongest onsets, in three ranges of pitch.
    ranges = 10 ** (levels / 10)
    three = decibels(ranges.reshape(len(levels), 3, -1).sum(2))  # [T, 3]
    hop = HOP / SAMPLE_RATE
    first = times[np.argsort(-strengths, kind="stable")[:6]] if len(times) else np.zeros(1)
    profiles, rises = [], []
    for time in first:
        start = round(time / hop)
        part = three[start : start + 12]
        if not len(part):
            continue
        top = start + part.argmax(0)  # [3]
        rises.append(top - start)
        falls = [three[np.minimum(top + round(a / hop), len(three) - 1), range(3)] for a in AFTER[1:]]
        profiles.append(np.maximum(np.stack(falls) - three[top, range(3)], -50.0))
    decay = np.mean(profiles, 0).ravel() if profiles else np.zeros(3 * (len(AFTER) - 1))
    rise = np.mean(rises, 0) if rises else np.zeros(3)
    return np.concatenate([general, decay, rise])


def spectra(sound: Floats, width: int, hop: int) -> Doubles:
    """[C, N] -> [T, width // 2 + 1], the channels' powers added; frames that fit whole."""
    frames = torch.from_numpy(sound).unfold(1, width, hop)
    window = torch.hann_window(width, periodic=False)
    found = torch.view_as_real(torch.fft.rfft(frames * window)).square_().sum((0, 3))
    return found.numpy().astype(float) / float(window.square().sum())


def decibels(power: ArrayLike) -> Doubles:
    return 10 * np.log10(np.maximum(np.asarray(power, float), 1e-12))


@lru_cache(maxsize=2)
def mel_filters(width: int, bands: int) -> Doubles:
    """Triangles [width // 2 + 1, bands], straight on the mel scale, each at least one bin wide."""
    mel = 1127 * np.log1p(np.fft.rfftfreq(width, 1 / SAMPLE_RATE) / 700)[:, None]
    edges = np.linspace(1127 * np.log1p(LOWEST / 700), 1127 * np.log1p(HIGHEST / 700), bands + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    filters = np.clip(np.minimum((mel - low) / (centre - low), (high - mel) / (high - centre)), 0, None)
    nearest = np.abs(mel - centre).argmin(0)
    filters[nearest, np.arange(bands)] = np.maximum(filters[nearest, np.arange(bands)], 0.5)
    return filters


@lru_cache(maxsize=1)
def cosines() -> Doubles:
    """[BANDS, COEFFICIENTS] of the cosine transform, without the constant."""
    k = np.arange(1, COEFFICIENTS + 1)
    return np.cos(np.pi * (np.arange(BANDS)[:, None] + 0.5) * k / BANDS) * np.sqrt(2 / BANDS)
