"""What is measured of one sound by itself, and of one sound against the real one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reasound.evaluation.onsets import Seconds, average_precision, f1, onsets_with_strength, timing_error
from reasound.evaluation.tag_scores import MUSIC, SPEECH, class_kl, leak, top_classes
from reasound.evaluation.yamnet import Yamnet
from reasound.mixing.loudness import loudness, true_peak
from reasound.timeline import SAMPLE_RATE

Audio = NDArray[np.float32]  # [2, N] at 44.1 kHz
Floats = NDArray[np.float32]
Scores = dict[str, float | None]
"""Measure -> number, or None where it is not defined."""

CLEAR_DB = 6.0
"""Rise of an onset that counts."""
THEIRS, OURS = 3, 5
"""Best tags of the real sound that are looked for, and best tags of ours among which."""


@dataclass(frozen=True)
class Heard:
    """What is measured of one sound by itself."""

    seconds: float
    times: Seconds
    """When it starts or is struck again, faint ones too."""
    strengths: Seconds
    """dB by which it rises at each."""
    tags: tuple[str, ...]
    """YAMNet's best, best first; none for silence."""
    windows: Floats  # [P, 521] YAMNet's scores
    embeddings: Floats  # [P, 1024]
    levels: Scores
    """loudness (LUFS) and true_peak (dBTP), None where silence has none; speech and music, as far as they leak."""

    @property
    def onsets(self) -> Seconds:
        return self.times[self.strengths >= CLEAR_DB]

    @classmethod
    def of(cls, audio: Audio) -> Heard:
        """YAMNet hears it at a peak of 0.5, so that its level alone changes no tag."""
        yamnet, silent = Yamnet.load(), not np.any(audio)
        windows, embeddings = yamnet(audio if silent else audio * (0.5 / np.abs(audio).max()), SAMPLE_RATE)
        times, strengths = onsets_with_strength(audio, SAMPLE_RATE)
        levels = {
            "loudness": loudness(audio),
            "true_peak": true_peak(audio),
            "speech": leak(windows, yamnet.classes, SPEECH),
            "music": leak(windows, yamnet.classes, MUSIC),
        }
        return cls(
            seconds=audio.shape[1] / SAMPLE_RATE,
            times=times,
            strengths=strengths,
            tags=() if silent else tuple(top_classes(windows, yamnet.classes, OURS)),
            windows=windows,
            embeddings=embeddings,
            levels=defined(levels),
        )

    def fitted(self, seconds: float) -> Heard:
        """The same sound cut or repeated to this length, as far as its rhythm goes."""
        turns = np.arange(math.ceil(seconds / self.seconds))
        times = (self.times + turns[:, None] * self.seconds).ravel()
        kept = times < seconds
        return replace(self, times=times[kept], strengths=np.tile(self.strengths, len(turns))[kept])


def compared(sound: Heard, real: Heard | None, wanted: Seconds | None) -> Scores:
    """When it sounds and as what; what needs the real sound, or its onsets, is left out without."""
    scores: Scores = {}
    if wanted is not None:
        scores["onset_f1"] = f1(sound.onsets, wanted)
        area = average_precision(sound.times, sound.strengths, wanted)
        scores |= defined({"onset_ap": area, "onset_error": 1000 * timing_error(sound.onsets, wanted)})
    return scores if real is None else scores | tagged(sound.tags, sound.windows, real)


def levelled(sound: Heard, real: Heard | None) -> Scores:
    """How loud it is, by itself and against the real sound, and what leaks into it."""
    scores: Scores = dict(sound.levels)
    if real is not None:
        ours, theirs = sound.levels["loudness"], real.levels["loudness"]
        scores["loudness_off"] = abs(ours - theirs) if ours is not None and theirs is not None else None
    return scores


def tagged(tags: Sequence[str], windows: Floats, real: Heard) -> Scores:
    """Best tags and scores [P, 521] of windows against those of a real sound."""
    shared = len(set(real.tags[:THEIRS]) & set(tags[:OURS])) / THEIRS
    return {"tags_shared": shared, "tag_kl": class_kl(real.windows, windows)}


def constant(sounds: Sequence[Heard], real: Heard) -> Scores:
    """One answer for all of these sounds: the tags that most of them have, and the mean of their distributions. Of all
    constant distributions it has the least mean KL from theirs."""
    counted = Counter(tag for sound in sounds for tag in sound.tags[:THEIRS])
    tags = sorted(counted, key=lambda tag: (-counted[tag], tag))
    means = [sound.windows.mean(0) for sound in sounds]
    return tagged(tags, np.stack([mean / mean.sum() for mean in means]), real)


def defined(scores: Mapping[str, float]) -> Scores:
    """None for infinity and for what is not a number: the report has no place for them."""
    return {name: float(value) if math.isfinite(value) else None for name, value in scores.items()}
