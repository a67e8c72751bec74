"""How close one sound is to another: when, where, how loud, what colour, and what an edit left alone.

Pure functions on arrays. `found` is the sound that is judged, `wanted` the one it should be. A sound is
[channels, N], full scale is 1. Where a measure has nothing to measure it is nan, as each one says; silence is
never an error. What several measures read is computed once and handed in: the spectrogram and the K-weighted
energy. Onsets are in `onsets`, tags in `tag_scores`, plans in `plan_scores`, means and their bounds in `statistics`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache, reduce

import numpy as np
import torch
from numpy.typing import NDArray

from reasound.evaluation.onsets import join, power_frames
from reasound.mixing import loudness
from reasound.mixing.loudness import SILENT, k_weighted

Audio = NDArray[np.floating]  # [channels, N]
Floats = NDArray[np.float32]
Span = tuple[float, float]
"""(start, end) in seconds."""

FLOOR_DB = -120.0
"""What stands for minus infinity: below 16 bits, above the rounding of a sum in 32-bit floats."""
RANGE_DB, GAP = 20.0, 0.15
"""`activity`: dB below the loudest moment that still count, and seconds of quiet that part no event. An ambience
lies 18 dB and more below what stands in front of it (`plan.Ambience.level`)."""
SAME_EVENT = 0.5
"""Temporal IoU from which two spans are the same event (PSDS, Bilen et al. 2020, uses 0.5 in its first scenario)."""
ASIDE_DB = 1.0
"""dB between left and right from which a sound has a side: 1 dB is about the least that a listener notices."""
FARTHEST_DB = 40.0
"""dB between left and right beyond which a sound is on one side and nowhere else."""

_BLOCK = 0.01  # seconds of a level
_DEPTH_DB = 80.0  # what lies further below the loudest of the wanted sound is not compared
_BANDS, _LOWEST, _HIGHEST = 64, 30.0, 16_000.0  # mel: bands, Hz, Hz
_RINGING = 0.1  # seconds after which the K filters have forgotten everything (below 1e-9)
_STRETCH, _STATE = 64, 4  # samples that they pass at once, and numbers in which they remember all before
_NEAR, _AROUND = 0.001, 0.2  # seconds beside a seam: where a step counts for it, where it shows what is usual
_SHORT = 0.02  # seconds before and after a seam whose levels are compared


def activity(audio: Audio, rate: int, within_db: float = RANGE_DB, gap: float = GAP) -> list[Span]:
    """When a sound sounds: spans in seconds, ascending and apart; none for silence.

    Levels are those of blocks of 10 ms, all channels together. A block within `within_db` of the loudest and
    above -70 dBFS is active; quiet of less than `gap` seconds belongs to the event around it.
    """
    power = _block_power(audio, rate)
    least = max(power.max(initial=0.0) * 10 ** (-within_db / 10), 10 ** (SILENT / 10))
    edges = np.flatnonzero(np.diff(np.concatenate(([False], power >= least, [False])).astype(np.int8)))
    spans: list[Span] = []
    for start, end in zip(edges[::2] * _BLOCK, edges[1::2] * _BLOCK, strict=True):
        if spans and start - spans[-1][1] < gap - 1e-9:
            spans[-1] = (spans[-1][0], float(end))
        else:
            spans.append((float(start), float(end)))
    return spans


def event_scores(
    found: Sequence[Span], wanted: Sequence[Span], least_iou: float = SAME_EVENT
) -> tuple[float, float, float]:
    """(precision, recall, temporal IoU), each 0 to 1.

    Precision and recall: as many one-to-one pairs of spans with an IoU of `least_iou` or more as can be, over
    the spans found and wanted; 1 where there is none (event-based scores of sound event detection, Mesaros et
    al. 2016, with the overlap in place of collars). IoU: seconds in which both sound over seconds in which
    either does, whatever the number of spans; 1 where both are silent.
    """
    near = [[j for j, b in enumerate(wanted) if span_iou(a, b) >= least_iou - 1e-9] for a in found]
    partner: dict[int, int] = {}
    hits = sum(join(i, near, partner) for i in range(len(near)))
    either = _length(_union([*found, *wanted]))
    both = _length(_union(found)) + _length(_union(wanted)) - either
    return (
        hits / len(found) if found else 1.0,
        hits / len(wanted) if wanted else 1.0,
        min(1.0, max(0.0, both / either)) if either > 0 else 1.0,
    )


def span_iou(a: Span, b: Span) -> float:
    """Seconds that two spans share over seconds that they cover, 0 to 1."""
    both = min(a[1], b[1]) - max(a[0], b[0])
    return both / (a[1] - a[0] + b[1] - b[0] - both) if both > 0 else 0.0


def pan_error(found: Audio, wanted: Audio, spans: Sequence[Span], rate: int) -> tuple[float, float]:
    """(dB, share): mean error of the level difference between left and right over the spans, and the share of
    the spans to one side (1 dB and more) that are to the same side.

    Differences are clipped to 40 dB either way. Spans in which either sound is silent tell nothing and are
    left out: recall notices those. nan where no span is left. 0 dB and 1 are perfect.
    """
    a, b = _sides(found, spans, rate), _sides(wanted, spans, rate)
    heard = np.isfinite(a) & np.isfinite(b)
    aside = heard & (np.abs(b) >= ASIDE_DB)
    error = float(np.mean(np.abs(a[heard] - b[heard]))) if heard.any() else math.nan
    return error, float(np.mean(a[aside] * b[aside] > 0)) if aside.any() else math.nan


def k_energy(audio: Audio, rate: int) -> NDArray[np.float64]:
    """[channels, N] -> [N]: K-weighted energy summed over channels, as `mixing.loudness.weighted_energy` gives it to
    32-bit floats, several times as fast; `mixing.loudness.integrated` makes LUFS of it.

    Two filters of second order carry four numbers from one sample to the next. So a stretch of 64 samples is
    filtered by one matrix, which takes the samples and the four numbers before them.
    """
    response, memory, later = _k_filter(rate)
    channels, count = audio.shape
    whole, rest = divmod(count, _STRETCH)
    known = torch.zeros(channels, whole + 1, _STRETCH + _STATE)
    samples, state = known[..., :_STRETCH], known[..., _STRETCH:]
    filled = samples.numpy()
    filled[:, :whole] = audio[:, : count - rest].reshape(channels, whole, _STRETCH)
    filled[:, whole, :rest] = audio[:, count - rest :]
    state[:, 1:] = samples[:, :-1] @ memory  # of one stretch; then of the last 2, 4, 8, ...
    for doubling, advance in enumerate(later):
        state[:, 1 << doubling :] += state[:, : -(1 << doubling)] @ advance
    heard = known @ response
    return reduce(torch.add, heard.square_()).view(-1)[:count].numpy().astype(float)


def level_error(
    found: NDArray[np.floating],
    wanted: NDArray[np.floating],
    rate: int,
    spans: Sequence[Span],
    relative: bool = False,
) -> float:
    """Mean error in dB of the level of each span (loudness without gates); 0 is perfect, nan without spans.

    Args:
        found, wanted: K-weighted energies [N] from `k_energy`.
        relative: the difference in level of the whole sounds is taken out first, so that only the balance of
            the events counts.

    Levels below -70 LUFS, silence among them, count as -70.
    """
    a, b = ([_level(energy, span, rate) for span in spans] for energy in (found, wanted))
    whole = (0.0, max(len(found), len(wanted)) / rate)
    gain = _level(found, whole, rate) - _level(wanted, whole, rate) if relative else 0.0
    errors = [abs(x - y - gain) for x, y in zip(a, b, strict=True)]
    return float(np.mean(errors)) if errors else math.nan


def true_peak(audio: Audio) -> float:
    """dBTP as `mixing.loudness.true_peak` measures it; -120 for silence."""
    return max(FLOOR_DB, loudness.true_peak(audio))


def spectrogram(audio: Audio, rate: int) -> Floats:
    """[channels, N] -> [T, K] power of Hann windows of about 46 ms, half a window apart; channels add in power.

    A tone at full scale in one channel is 1 in its bin. The end is filled up with silence to a whole window.
    """
    size = _window_length(rate)
    hop, count = size // 2, max(1, -(-audio.shape[1] // (size // 2)) - 1)
    missing = max(0, (count - 1) * hop + size - audio.shape[1])
    padded = np.pad(np.asarray(audio, np.float32), ((0, 0), (0, missing)))
    window = torch.hann_window(size)
    spectra = np.empty((count, size // 2 + 1), np.float32)
    for part, power in power_frames(padded, window * (2 / window.sum()), hop, size):
        spectra[part] = power.numpy()
    return spectra


def log_spectral_distance(found: Floats, wanted: Floats) -> float:
    """dB, from 0: mean over frames of the root mean square over bins of the difference in level (Gray and Markel
    1976, eq. 4). Of two `spectrogram`s of one shape; no level counts as lower than 80 dB below the loudest bin wanted.
    """
    a, b = _compared(found, wanted)
    return float(np.mean(np.sqrt(np.mean((a - b) ** 2, axis=1)))) * 10 / math.log(10)


def mel_distance(found: Floats, wanted: Floats, rate: int) -> float:
    """Nepers of power (1 is 4.34 dB), from 0: mean difference of the logarithms of 64 mel bands (HTK, 30 Hz to
    16 kHz) of two `spectrogram`s of one shape; no level counts as lower than 80 dB below the loudest band wanted.
    """
    filters = _mel_filters(rate, wanted.shape[1])
    heard, meant = (torch.from_numpy(power)[:, : len(filters)] @ filters for power in (found, wanted))
    a, b = _compared(heard.numpy(), meant.numpy())
    return float(np.mean(np.abs(a - b)))


def presence(found: Floats, target: Floats) -> float:
    """dB, 0 and less: how much of the target's energy the sound could hold, bin by bin; -120 where none.

    Of two `spectrogram`s of one shape: the energy that both have (the lesser in every bin) over the target's.
    0: the target is all there, whatever else sounds. The target 12 dB down gives -12, and other sounds give
    what they share with it by chance: compare with the presence before the edit. nan for a silent target.
    """
    total = float(target.sum(dtype=float))
    return _decibels(float(np.minimum(found, target).sum(dtype=float)) / total) if total > 0 else math.nan


def residual_outside(found: Audio, given: Audio, span: Span, rate: int) -> float:
    """dB: the difference between two sounds outside the span, over the level of the given one there.

    Both as root mean square; -120 where nothing differs. A given sound that is silent outside counts as
    -120 dBFS. As far as the given sound goes: an extension may be longer, and what is missing is silence.
    """
    difference = level = count = 0.0
    for a, b in _outside(found, given, span, rate):
        difference, level, count = difference + _energy(a - b), level + _energy(b), count + b.size
    return _decibels(difference / max(level, count * 10 ** (FLOOR_DB / 10))) if count else FLOOR_DB


def identical_outside(found: Audio, given: Audio, span: Span, rate: int) -> bool:
    """Whether no sample outside the span differs at all; as far as the given sound goes."""
    return all(np.array_equal(a, b) for a, b in _outside(found, given, span, rate))


def seam(audio: Audio, rate: int, times: Sequence[float]) -> tuple[float, float]:
    """(step, jump) in dB from 0: how far the worst of these borders of an edit stands out; nan without borders.

    Step: the largest difference between two samples within 1 ms of the border over what is usual around it, the
    95th percentile of such maxima within 0.2 s. A cut through a wave is a click. Jump: by how much the levels of
    the 20 ms before and after differ, beyond the 95th percentile of what they do elsewhere in this sound.
    0: as anywhere else. Borders at either end of the sound are none.
    """
    inside = [time for time in times if _NEAR < time < audio.shape[1] / rate - _NEAR]
    if not inside:
        return math.nan, math.nan
    power = np.maximum(_block_power(audio, rate, _SHORT / 4), 10 ** (SILENT / 10))
    levels = 10 * np.log10(np.convolve(power, np.full(4, 0.25), "valid"))  # 20 ms each, every 5
    changes = np.abs(levels[4:] - levels[:-4])  # change t is at block t + 4
    usual = float(np.percentile(changes, 95)) if len(changes) else 0.0
    worst_step = worst_jump = 0.0
    for time in inside:
        worst_step = max(worst_step, _step(audio, round(time * rate), rate))
        place = round(time / (_SHORT / 4)) - 4
        if 0 <= place < len(changes):
            worst_jump = max(worst_jump, float(changes[place]) - usual)
    return worst_step, worst_jump


def stem_null(stems: Sequence[Audio], mix: Audio) -> float:
    """dBFS of the largest sample of the sum of the stems minus the mix; -120 where they null."""
    rest = -mix
    for stem in stems:
        rest = rest + stem
    return _decibels(float(np.max(np.abs(rest), initial=0.0)) ** 2)


def duration_error(audio: Audio, seconds: float | Fraction, rate: int) -> int:
    """Samples too many, or, negative, too few."""
    return int(audio.shape[1] - round(Fraction(seconds) * rate))


def repeated(first: Audio, second: Audio) -> tuple[bool, float]:
    """(equal byte for byte, largest difference of a sample) of one thing made twice; nan if the shapes differ."""
    if first.shape != second.shape:
        return False, math.nan
    same = first.dtype == second.dtype and first.tobytes() == second.tobytes()
    return same, 0.0 if same else float(np.max(np.abs(first.astype(float) - second), initial=0.0))


def _decibels(power: float) -> float:
    return max(FLOOR_DB, 10 * math.log10(power)) if power > 0 else FLOOR_DB


def _block_power(audio: Audio, rate: int, seconds: float = _BLOCK) -> NDArray[np.float64]:
    """[channels, N] -> [T]: mean square of blocks, channels summed; the last one may be shorter."""
    if not audio.shape[1]:
        return np.zeros(0)
    blocks = math.ceil(audio.shape[1] / (seconds * rate) - 1e-9)
    edges = np.round(np.arange(blocks) * seconds * rate).astype(int)
    sums = np.add.reduceat(np.einsum("cn,cn->n", audio, audio), edges)
    return sums / np.diff(np.append(edges, audio.shape[1]))


def _union(spans: Sequence[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _length(spans: Sequence[Span]) -> float:
    return sum(end - start for start, end in spans)


def _cut(span: Span, rate: int) -> slice:
    return slice(max(0, round(span[0] * rate)), max(0, round(span[1] * rate)))


def _sides(audio: Audio, spans: Sequence[Span], rate: int) -> NDArray[np.float64]:
    """[spans]: dB by which the right is louder than the left; nan where it is silent (below -70 dBFS)."""
    if audio.shape[0] != 2:
        raise ValueError(f"left and right need two channels, not {audio.shape[0]}")
    sides = np.full(len(spans), math.nan)
    for number, span in enumerate(spans):
        part = audio[:, _cut(span, rate)]
        power = np.einsum("cn,cn->c", part, part).astype(float) / max(1, part.shape[1])
        if power.sum() > 10 ** (SILENT / 10):
            left, right = np.maximum(power, power.max() * 1e-9)
            sides[number] = np.clip(10 * np.log10(right / left), -FARTHEST_DB, FARTHEST_DB)
    return sides


def _level(energy: NDArray[np.floating], span: Span, rate: int) -> float:
    """LUFS without gates, not below -70."""
    part = energy[_cut(span, rate)]
    mean = float(part.mean(dtype=float)) if len(part) else 0.0
    return max(SILENT, 10 * math.log10(mean) - 0.691) if mean > 0 else SILENT


@lru_cache(maxsize=4)
def _k_filter(rate: int) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """The K filters for stretches of samples: (response, memory, later).

    Response [64 + 4, 64]: a stretch and the state before it -> the stretch as heard. Memory [64, 4]: a stretch -> the
    state it leaves. Later [4, 4] each: that state 1, 2, 4, ... stretches later. What all the past does to a stretch
    is a Hankel matrix of rank 4 of the impulse response; its singular vectors are the state (Kung 1978).
    """
    past = max(round(_RINGING * rate), 2 * _STRETCH)
    impulse = np.zeros((1, past + _STRETCH))
    impulse[0, 0] = 1
    heard = k_weighted(impulse, rate)[0]
    ringing = np.lib.stride_tricks.sliding_window_view(heard[1:], past)  # [stretch, past, the latest first]
    outputs, strengths, states = np.linalg.svd(ringing, full_matrices=False)
    outputs, states = (outputs * strengths)[:, :_STATE].T, states[:_STATE]
    lag = np.arange(_STRETCH) - np.arange(_STRETCH)[:, None]
    response = np.concatenate((np.where(lag >= 0, heard[lag], 0), outputs))
    later = [states[:, :-_STRETCH] @ states[:, _STRETCH:].T]
    while len(later) < math.ceil(math.log2(past / _STRETCH)):
        later.append(later[-1] @ later[-1])
    memory = states[:, _STRETCH - 1 :: -1].T
    first, second, *rest = (torch.from_numpy(m.astype(np.float32)) for m in (response, memory, *later))
    return first, second, rest


def _window_length(rate: int) -> int:
    return 1 << max(4, round(math.log2(0.0464 * rate)))


@lru_cache(maxsize=4)
def _mel_filters(rate: int, bins: int) -> torch.Tensor:
    """[bins below the highest, 64] triangles of height 1 on the HTK mel scale."""
    highest = min(_HIGHEST, rate / 2)
    frequencies = np.linspace(0, rate / 2, bins)
    mel = 1127 * np.log1p(frequencies[frequencies < highest] / 700)[:, None]
    edges = np.linspace(1127 * math.log1p(_LOWEST / 700), 1127 * math.log1p(highest / 700), _BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.clip(np.minimum((mel - low) / (centre - low), (high - mel) / (high - centre)), 0, None)
    return torch.from_numpy(triangles.astype(np.float32))


def _compared(found: Floats, wanted: Floats) -> tuple[Floats, Floats]:
    """Natural logarithms of two powers, not lower than 80 dB below the loudest wanted (or full scale, if silent)."""
    if found.shape != wanted.shape:
        raise ValueError(
            f"sounds of one length can be compared, not spectra of {found.shape} and {wanted.shape}"
        )
    loudest = float(wanted.max(initial=0.0)) or 1.0
    floor = np.float32(max(loudest * 10 ** (-_DEPTH_DB / 10), 1e-30))
    return np.log(np.maximum(found, floor)), np.log(np.maximum(wanted, floor))


def _outside(found: Audio, given: Audio, span: Span, rate: int) -> list[tuple[Audio, Audio]]:
    """(found, given) before the span and after it."""
    found, inside = _fitted(found, given), _cut(span, rate)
    parts = (slice(0, inside.start), slice(max(inside.start, inside.stop), None))
    return [(found[:, part], given[:, part]) for part in parts]


def _energy(audio: Audio) -> float:
    return float(np.einsum("cn,cn->c", audio, audio).sum(dtype=float))


def _fitted(found: Audio, given: Audio) -> Audio:
    """As long as the given sound: cut, or filled up with silence."""
    missing = given.shape[1] - found.shape[1]
    return np.pad(found, ((0, 0), (0, missing))) if missing > 0 else found[:, : given.shape[1]]


def _step(audio: Audio, place: int, rate: int) -> float:
    """dB by which the largest step within 1 ms of a sample exceeds what is usual within 0.2 s; not below 0."""
    width, around = max(1, round(_NEAR * rate)), round(_AROUND * rate)
    start = max(0, place - around)
    steps, place = np.abs(np.diff(audio[:, start : place + around + 1], axis=1)).max(0), place - start
    near = float(steps[max(0, place - width) : place + width].max(initial=0.0))
    # Stretches as long as the one at the border, on both sides of it.
    before, after = steps[: max(0, place - width)], steps[place + width :]
    maxima = [
        side[: len(side) // (2 * width) * 2 * width].reshape(-1, 2 * width).max(1) for side in (before, after)
    ]
    usual = np.concatenate(maxima)
    reference = max(float(np.percentile(usual, 95)) if len(usual) else 0.0, 10 ** (SILENT / 20))
    return max(0.0, 20 * math.log10(max(near, 1e-9) / reference))
