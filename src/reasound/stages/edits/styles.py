"""Manners of sounding: a table of filters, drives, speeds and rooms. What is not in it is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import soxr
from numpy.typing import NDArray

from reasound.edit_plan import Operation
from reasound.errors import UserError
from reasound.media.audio import fitted
from reasound.mixing.loudness import weighted_energy
from reasound.mixing.spatial import fast_length
from reasound.mixing.spatial import reverb as in_room
from reasound.plan import Acoustics, Space
from reasound.stages.edits import plans
from reasound.stages.edits.stretch import stretched
from reasound.stages.edits.work import Audio, Work
from reasound.timeline import SAMPLE_RATE

Frequencies = NDArray[np.floating]


@dataclass(frozen=True)
class Style:
    """Steps in this order; each does nothing unless it is named."""

    low: float = 0.0
    """Hz below which nothing is left."""
    high: float = 0.0
    """Hz above which nothing is left; 0 for all."""
    bass: float = 0.0
    """dB below 250 Hz."""
    presence: float = 0.0
    """dB around 2.5 kHz."""
    treble: float = 0.0
    """dB above 4 kHz."""
    semitones: float = 0.0
    drive: float = 0.0
    """dB into a soft clipper."""
    wow: float = 0.0
    """Largest stray of the speed, as a share: an uneven turntable."""
    ring: float = 0.0
    """Hz of a ring modulator."""
    comb: float = 0.0
    """Milliseconds of a short echo that colours the sound."""
    bits: int = 0
    """Steps of the sound, as a number of bits, at a fifth of the rate."""
    hiss: float = 0.0
    """dB of noise below the sound, while it sounds; 0 for none."""
    space: Space = "outdoors"
    reverb: float = 0.0


STYLES: dict[str, Style] = {
    "older": Style(low=180, high=4_500, drive=8, wow=0.004, hiss=-32),
    "underwater": Style(high=700, bass=3, space="underwater", reverb=0.4),
    "muffled": Style(high=900),
    "telephone": Style(low=300, high=3_400, drive=6),
    "radio": Style(low=250, high=5_000, drive=10, hiss=-36),
    "robotic": Style(ring=70, comb=9, presence=4),
    "warmer": Style(bass=3, treble=-5),
    "brighter": Style(treble=8),
    "darker": Style(treble=-12, bass=2),
    "lo-fi": Style(low=80, high=6_500, drive=6, wow=0.003, bits=9, hiss=-38),
    "distorted": Style(drive=26),
    "dreamy": Style(treble=-6, wow=0.004, space="hall", reverb=0.65),
    "cartoonish": Style(semitones=5, presence=5),
    "scary": Style(semitones=-4, treble=-4, space="hall", reverb=0.5),
    "metallic": Style(comb=2.3, presence=5, low=200),
    "megaphone": Style(low=500, high=4_000, drive=16),
    "deeper": Style(semitones=-4),
    "higher-pitched": Style(semitones=4),
    "cinematic": Style(bass=6, treble=2, space="hall", reverb=0.4),
    "8-bit": Style(bits=5),
    "futuristic": Style(ring=30, comb=5, treble=3),
    "aggressive": Style(drive=14, presence=6),
    "calm": Style(treble=-7, presence=-3),
    "hollow": Style(comb=4.0, bass=-6),
    "younger": Style(semitones=3),
    "bigger": Style(semitones=-5, bass=4, space="large room", reverb=0.2),
    "smaller": Style(semitones=5, bass=-6),
    "softer": Style(presence=-5, treble=-5),
    "harsher": Style(presence=8, drive=10),
}
MORE_WORDS = {
    "softer": "softer soft gentle gentler smooth smoother silky",
    "harsher": "harsher harsh rough rougher raspy sharp gritty",
    "smaller": "small little tiny",
    "bigger": "big large huge massive",
}
"""Words for styles beside those that instructions know."""


def style(work: Work, operation: Operation) -> None:
    name = known(operation.style)
    span = work.span(operation)
    for number, layer in enumerate(work.aimed(operation)):
        audio = styled(layer.audio, STYLES[name], work.seed + number)
        work.put(replace(layer, audio=work.joined(layer.audio, audio, span)))
    names = [work.item(i).sound for i in operation.targets]
    when = "" if span is None else f"From {span[0]:g} to {span[1]:g} s "
    what = " and ".join(f"“{x}”" for x in names) or "all of it"
    text = f"{when}{what} sounds {name}."
    work.plan = plans.told(work.plan, text[0].upper() + text[1:], operation.targets)


def known(asked: str) -> str:
    """The style of a word; UserError, with all that there are, for none."""
    from reasound.reasoning.instructions.verbs import style_of

    words = asked.lower().strip()
    if words in STYLES:
        return words
    for name, others in MORE_WORDS.items():
        if words in others.split():
            return name
    if (name := style_of(words)) in STYLES:
        return name
    raise UserError(f"the style {asked!r} is not known; it is one of {', '.join(sorted(STYLES))}")


def styled(audio: Audio, how: Style, seed: int) -> Audio:
    """[2, N] -> [2, N], as loud as before."""
    if not audio.any():
        return audio
    n, out = audio.shape[1], audio
    if how.semitones:
        out = pitched(out, how.semitones)
    if how.wow:
        out = _uneven(out, how.wow)
    if how.ring:
        out = (out * np.sin(2 * np.pi * how.ring * np.arange(n) / SAMPLE_RATE)).astype(np.float32)
    if how.comb:
        late = round(how.comb * SAMPLE_RATE / 1000)
        # Each echo at 0.6 of the one before.
        out = out + sum(
            np.float32(0.6**k) * fitted(np.pad(out, ((0, 0), (late * k, 0))), n) for k in range(1, 8)
        )
    if how.bits:
        out = _crushed(out, how.bits)
    if how.drive:
        peak = float(np.abs(out).max())
        out = np.tanh(out / peak * 10 ** (how.drive / 20)).astype(np.float32) * np.float32(peak)
    if how.hiss:
        out = out + _hiss(out, how.hiss, seed)
    if how.low or how.high or how.bass or how.presence or how.treble:
        out = filtered(out, lambda f: _colour(f, how))
    if how.reverb:
        out = in_room(out, Acoustics(space=how.space, reverb=how.reverb))
    before, after = (float(weighted_energy(x).sum()) for x in (audio, out))
    return (out * np.float32(math.sqrt(before / max(after, 1e-20)))).astype(np.float32)


def filtered(audio: Audio, gain: Callable[[Frequencies], Frequencies]) -> Audio:
    """Zero phase, by its gain over frequency in Hz."""
    n = audio.shape[1]
    size = fast_length(n + 4096)
    spectrum = np.fft.rfft(audio, size) * gain(np.fft.rfftfreq(size, 1 / SAMPLE_RATE))
    return np.fft.irfft(spectrum, size)[:, :n].astype(np.float32)


def _colour(f: Frequencies, how: Style) -> Frequencies:
    gain = np.ones_like(f)
    if how.low:
        gain /= np.sqrt(1 + (how.low / np.maximum(f, 1.0)) ** 8)
    if how.high:
        gain /= np.sqrt(1 + (f / how.high) ** 8)
    decibels = how.bass / (1 + (f / 250) ** 2) + how.treble * f**2 / (f**2 + 4000.0**2)
    octaves = np.log2(np.maximum(f, 1.0) / 2500)
    decibels = decibels + how.presence * np.exp(-(octaves**2))
    return np.asarray(gain * 10 ** (decibels / 20))


def pitched(audio: Audio, semitones: float) -> Audio:
    """Higher or lower, as long as before."""
    ratio = 2 ** (semitones / 12)
    n = audio.shape[1]
    fast = soxr.resample(np.ascontiguousarray(audio.T), SAMPLE_RATE * ratio, SAMPLE_RATE, "HQ").T
    return fitted(stretched(np.asarray(fast, np.float32), 1 / ratio), n)


def _uneven(audio: Audio, share: float) -> Audio:
    """A speed that wanders: once in 1.8 s, as 33 turns a minute do, and a little six times as fast."""
    t = np.arange(audio.shape[1]) / SAMPLE_RATE
    turn = 2 * np.pi / 1.8
    late = share / turn * (1 - np.cos(turn * t)) + 0.2 * share / (6 * turn) * (1 - np.cos(6 * turn * t))
    at = (t - late) * SAMPLE_RATE
    return np.stack([np.interp(at, np.arange(len(t)), channel) for channel in audio]).astype(np.float32)


def _crushed(audio: Audio, bits: int) -> Audio:
    held = np.repeat(audio[:, ::5], 5, axis=1)[:, : audio.shape[1]]
    step = float(np.abs(audio).max()) / 2 ** (bits - 1)
    return (np.round(held / step) * step).astype(np.float32)


def _hiss(audio: Audio, below: float, seed: int) -> Audio:
    """Noise and a crackle, while something sounds."""
    rng = np.random.default_rng(seed)
    n = audio.shape[1]
    power = np.mean(np.square(audio, dtype=np.float64), 0)
    reach = SAMPLE_RATE // 2
    total = np.cumsum(np.pad(power, (reach + 1, reach)))
    near = ((total[2 * reach + 1 :] - total[: -2 * reach - 1]) > 1e-12 * reach).astype(np.float32)
    loud = math.sqrt(float(power.sum()) / max(float(near.sum()), 1.0))
    noise = rng.standard_normal((1, n)).astype(np.float32)
    clicks = (rng.random((1, n)) < 12 / SAMPLE_RATE) * rng.standard_normal((1, n)) * 12
    return ((noise + clicks) * near * np.float32(loud * 10 ** (below / 20))).astype(np.float32)
