"""Edits of sound that is there already: the real recording is kept wherever it can be.

A network that makes a mixture anew loses more in its codec than the edit is worth. So what is taken out of a mixture,
or left when it is gone, is only *weighed* by estimates: at every time and frequency the recording itself is divided
between the target and the rest, in proportion to how strong each is thought to be there (a generalised Wiener filter:
Liutkus and Badeau 2015). The two parts sum to the recording. What is filled in or added is made; all else stays bit for
bit.

Letters: N samples, K frequency bins, T frames, B bands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from reasound.plan import Plan
from reasound.synthesis.conditions import (
    BESIDE,
    EXTRACT,
    KEEP,
    MASKS,
    REMOVE,
    Conditions,
    batched,
    chosen,
    prepare_conditions,
)
from reasound.synthesis.library import LibraryRenderer
from reasound.synthesis.model import BATCH, ModelRenderer, seed_of
from reasound.timeline import SAMPLE_RATE, SAMPLES_PER_LATENT, Timeline

Audio = NDArray[np.float32]  # [2, N]
Operation = Literal["add", "remove", "extract", "inpaint", "extend"]

FADE = 0.02
"""Seconds over which made sound takes over from the given sound, inside the span."""
WINDOW = 2_048
"""Samples of a spectrum's window: 46 ms; with masks from the true stems, half and twice of it are as good."""
EXPONENT = 1.0
"""Of the magnitudes whose ratio is the mask. 2 errs least in energy; 1 comes nearer in log-mel distance, with the
true stems as well as with estimates."""
SMOOTH_FRAMES, SMOOTH_BINS = 3, 5
"""Over how many frames and bins an estimate's power is averaged: its fine structure is not that of the recording."""
FIT_BANDS, FIT_STEPS, FIT_DB = 48, 20, 10.0
"""Levels of estimates are fitted in bands, by so many updates, and within so many dB of what they were."""
BEFORE, RING_LONGEST = 0.03, 2.0
"""Seconds by which a sound may come early, and that a hit may ring; only where the model says what the target is."""
ABSENT = 1e-20
"""Power of a bin below which an estimate says that the sound is not there: a library layer is exactly silent then."""

_ROLES = ("add", "extract", "remove")  # those that are about one sound


@dataclass(frozen=True)
class Edit:
    """What is to be done to a sound."""

    operation: Operation
    span: tuple[float, float]
    """Seconds in which something may change."""
    event: str = ""
    """Id, in the plan, of the event or ambience that is added, removed or extracted; empty where a gap is filled."""


@dataclass(frozen=True)
class _Asked:
    """What the model is to make: a sound in a role (KEEP, BESIDE, EXTRACT, REMOVE) of `conditions`."""

    given: Audio
    edit: Edit
    role: int


class Editor:
    """The five tasks, with an audio model, and a sound library where there is one.

    What is filled in or added comes from the model. What is taken out or left is the recording itself, divided by what
    the library would play for the plan, the target and all else; without a library, by what the model makes of the
    mixture with the target alone and without it.
    """

    def __init__(self, renderer: ModelRenderer, library: LibraryRenderer | None = None) -> None:
        self.renderer, self.library = renderer, library

    def apply(
        self,
        plan: Plan,
        given: Sequence[Audio],
        edits: Sequence[Edit],
        seed: int,
        *,
        steps: int = 24,
        guidance: float = 3.0,
    ) -> list[Audio]:
        """The results [2, N] of edits of sounds [2, N], made together; each edit starts from its own sound.

        All are as long as the plan; what is to be extended comes with silence where it grows. A result depends on its
        edit, the plan and the seed, not on the other edits. ValueError where a length does not fit, or the plan lacks
        an event.
        """
        n = Timeline(plan.seconds).samples
        for sound, edit in zip(given, edits, strict=True):
            if sound.shape != (2, n):
                raise ValueError(f"a plan of {plan.seconds:g} s edits [2, {n}], not {list(sound.shape)}")
            if edit.operation in _ROLES:
                chosen(plan, [edit.event])
        asked: list[_Asked] = []
        for sound, edit in zip(given, edits, strict=True):
            asked += self._questions(plan, sound, edit)
        layers = {}
        if self.library is not None:
            layers = {x.name: x.audio for x in self.library.render(plan, Fraction(n, SAMPLE_RATE), seed)}
        made = iter(self._made(plan, asked, layers, seed, steps, guidance))
        results = []
        for sound, edit in zip(given, edits, strict=True):
            if edit.operation == "add":
                results.append(laid_over(sound, next(made), edit.span))
            elif edit.operation in ("inpaint", "extend"):
                results.append(filled(sound, next(made), edit.span))
            else:
                if len(layers) > 1:
                    target, rest = layers[edit.event], total(layers, edit.event)
                else:
                    target, rest = next(made) * sounding(plan, edit.event, n), next(made)
                taken, left = split(sound, target, rest)
                results.append(taken if edit.operation == "extract" else filled(sound, left, edit.span))
        return results

    def _questions(self, plan: Plan, given: Audio, edit: Edit) -> list[_Asked]:
        """What the model is asked for an edit."""
        if edit.operation == "add":
            return [_Asked(given, edit, BESIDE)]
        if edit.operation in ("inpaint", "extend"):
            return [_Asked(given, edit, KEEP)]
        if self.library is not None and len(plan.events) + len(plan.ambience) > 1:
            return []
        return [_Asked(given, edit, EXTRACT), _Asked(given, edit, REMOVE)]

    def _made(
        self,
        plan: Plan,
        asked: Sequence[_Asked],
        layers: Mapping[str, Audio],
        seed: int,
        steps: int,
        guidance: float,
    ) -> Iterator[Audio]:
        """The model's answers [2, N], some at once. A model that reads references hears the library's layers."""
        model = self.renderer.model
        length = Timeline(plan.seconds).latents
        for first in range(0, len(asked), BATCH):
            part = asked[first : first + BATCH]
            conditions = batched([self._conditions(plan, question, layers, length) for question in part])
            seeds = [seed_of(seed, f"{q.edit.operation}/{q.edit.event}/{q.role}") for q in part]
            latents = model.latents(conditions, seeds, length, steps=steps, guidance=guidance)
            yield from model.decode(latents, seeds, part[0].given.shape[1]).numpy()

    def _conditions(self, plan: Plan, asked: _Asked, layers: Mapping[str, Audio], length: int) -> Conditions:
        context = self._latents(asked.given)
        kinds: Tensor = torch.zeros(length, MASKS)
        if asked.role == KEEP:
            first, last = (round(t * SAMPLE_RATE / SAMPLES_PER_LATENT) for t in asked.edit.span)
            kinds[:first, KEEP] = 1.0
            kinds[last + 1 :, KEEP] = 1.0
            context = context * kinds[:, KEEP : KEEP + 1]
        else:
            kinds[:, asked.role] = 1.0
        events = [asked.edit.event] if asked.edit.event else None
        config = self.renderer.model.dit.config
        reference = None
        if layers and config.reference:
            reference = self._latents(layers[asked.edit.event] if events else total(layers))
        return prepare_conditions(
            None,
            plan,
            self.renderer.text,
            config,
            events=events,
            reference=reference,
            context=(context, kinds),
        )

    def _latents(self, audio: Audio) -> Tensor:
        """[2, N] -> [L, C]"""
        return self.renderer.model.codec.encode(torch.from_numpy(audio)[None])[0].T


def split(mixture: Audio, target: Audio, rest: Audio) -> tuple[Audio, Audio]:
    """A recording [2, N] divided by two estimates of what is in it, each [2, N], channel by channel.

    Returns (the target, all but the target); their sum is the recording, to the rounding of one subtraction. Where the
    target's estimate is silent for a window, the second part is the recording bit for bit. The estimates need the right
    times, places and colours; their levels are fitted. ValueError where lengths differ.
    """
    if not mixture.shape == target.shape == rest.shape:
        lengths = ", ".join(str(audio.shape[1]) for audio in (mixture, target, rest))
        raise ValueError(f"a sound is divided by estimates of its own length, not {lengths} samples")
    if not target.any():
        return np.zeros_like(mixture), mixture.copy()
    spectrum = _spectrum(mixture)
    a, b = (_smooth(_power(_spectrum(audio))) for audio in (target, rest))
    share = mask(*fitted(_power(spectrum), a, b))
    # A window without any of the target leaves no trace of the transform's rounding.
    taken = _sound(share * spectrum, mixture.shape[1]) * _within(target, WINDOW)
    return taken, mixture - taken


def fitted(mixture: Tensor, target: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
    """Two estimates of power [2, K, T] with the levels, band by band, at which their sum explains a recording's best.

    One gain for each band and estimate, for the whole sound and both channels, within `FIT_DB` of 1: the estimates'
    changes in time and between channels are kept. Multiplicative updates towards the least Kullback-Leibler divergence
    (Lee and Seung 2001), in which loud bins do not decide alone.
    """
    bands = _bands(mixture.shape[1])
    x, a, b = (bands @ power.sum(0) for power in (mixture, target, rest))  # [B, T]
    gains = torch.ones(2, len(bands), 1)
    for _ in range(FIT_STEPS):
        for k, power in enumerate((a, b)):
            ratio = x / (gains[0] * a + gains[1] * b + 1e-12)
            above, below = (F.avg_pool1d(v.sum(1)[None], 5, 1, 2)[0] for v in (ratio * power, power))
            gains[k] *= ((above + 1e-12) / (below + 1e-12))[:, None]
        gains = gains.clamp(10 ** (-FIT_DB / 10), 10 ** (FIT_DB / 10))
    of_target, of_rest = bands.T @ gains  # [K, 1]
    return target * of_target, rest * of_rest


def mask(target: Tensor, rest: Tensor) -> Tensor:
    """[2, K, T] from 0 to 1: how much of each bin is the target's, from the powers of both [2, K, T]."""
    a, b = target ** (EXPONENT / 2), rest ** (EXPONENT / 2)
    return torch.where(target < ABSENT, 0.0, a / (a + b + 1e-30))


def sounding(plan: Plan, name: str, n: int) -> NDArray[np.float32]:
    """[n] 0 or 1: when an event or ambience can be heard at all. A hit may ring for `RING_LONGEST` seconds."""
    events, _ = chosen(plan, [name])
    if not events:
        return np.ones(n, np.float32)
    out = np.zeros(n, np.float32)
    for start, end in [(t, t + RING_LONGEST) for t in events[0].onsets] or events[0].spans():
        out[max(round((start - BEFORE) * SAMPLE_RATE), 0) : round((end + BEFORE) * SAMPLE_RATE)] = 1.0
    return out


def total(layers: Mapping[str, Audio], but: str = "") -> Audio:
    """The sum [2, N] of all layers, or of all but one."""
    return np.asarray(sum(audio for name, audio in layers.items() if name != but), np.float32)


def filled(given: Audio, made: Audio, span: tuple[float, float]) -> Audio:
    """Made sound inside the span, the given sound outside it, bit for bit. Both [2, N]."""
    share = window(span, given.shape[1])
    result = given * (1 - share) + made * share
    return np.where(share > 0, result, given).astype(np.float32)


def laid_over(given: Audio, layer: Audio, span: tuple[float, float]) -> Audio:
    """The given sound with a layer on it inside the span. Both [2, N]."""
    return (given + window(span, given.shape[1]) * layer).astype(np.float32)


def window(span: tuple[float, float], n: int) -> NDArray[np.float32]:
    """[n] from 0 to 1: 1 inside the span but for fades at those of its borders that are not ends of the sound."""
    first, last = (min(max(round(t * SAMPLE_RATE), 0), n) for t in span)
    share = np.zeros(n, np.float32)
    share[first:last] = 1.0
    if fade := min(round(FADE * SAMPLE_RATE), (last - first) // 2):
        ramp = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
        if first > 0:
            share[first : first + fade] = ramp
        if last < n:
            share[last - fade : last] = ramp[::-1]
    return share


def _spectrum(audio: Audio) -> Tensor:
    """[2, N] -> complex [2, K, T]."""
    sound = torch.from_numpy(np.ascontiguousarray(audio, np.float32))
    return torch.stft(sound, WINDOW, WINDOW // 4, window=torch.hann_window(WINDOW), return_complex=True)


def _power(spectrum: Tensor) -> Tensor:
    return spectrum.real.square() + spectrum.imag.square()


def _within(audio: Audio, reach: int) -> NDArray[np.float32]:
    """[N] 1 within `reach` samples of anything that is not silent, else 0."""
    near = np.cumsum(np.pad(audio.any(0), (reach + 1, reach)))
    return (near[2 * reach + 1 :] > near[: -2 * reach - 1]).astype(np.float32)


@lru_cache(maxsize=4)
def _bands(bins: int) -> Tensor:
    """[B, K] which bin is in which band: equal widths on the mel scale, none empty."""
    mel = np.log1p(np.linspace(0, SAMPLE_RATE / 2, bins) / 700)
    _, band = np.unique((mel / mel[-1] * FIT_BANDS).astype(int).clip(0, FIT_BANDS - 1), return_inverse=True)
    return F.one_hot(torch.from_numpy(band)).T.float()


def _sound(spectrum: Tensor, n: int) -> Audio:
    audio: Audio = torch.istft(
        spectrum, WINDOW, WINDOW // 4, window=torch.hann_window(WINDOW), length=n
    ).numpy()
    return audio


def _smooth(x: Tensor) -> Tensor:
    """Means over neighbouring bins and frames [2, K, T]."""
    size = (SMOOTH_BINS, SMOOTH_FRAMES)
    pad = (SMOOTH_BINS // 2, SMOOTH_FRAMES // 2)
    return F.avg_pool2d(x, size, 1, pad, count_include_pad=False)
