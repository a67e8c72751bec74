"""Scores: each against a closed form or another library, and all of them against sounds that are wrong in one way."""

import math
from functools import cache

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import scipy.stats

from reasound.evaluation import onsets, plan_scores, scores, tag_scores
from reasound.evaluation.yamnet import Yamnet
from reasound.mixing import loudness
from reasound.plan import Event, Place, Plan

RATE = 44_100
SECONDS = 4.0
HITS = {  # time: (pitch in Hz, gain of left and right)
    0.5: (400, (0.6, 0.1)),
    1.3: (1500, (0.1, 0.4)),
    2.1: (700, (0.3, 0.3)),
    3.0: (3000, (0.05, 0.5)),
}
EDIT = (1.2, 1.8)


def noise(seconds, level, seed=0, channels=2):
    return (level * np.random.default_rng(seed).standard_normal((channels, round(seconds * RATE)))).astype(
        np.float32
    )


def hit(at, pitch, gains, seconds=SECONDS):
    t = np.arange(round(seconds * RATE)) / RATE - at
    sound = np.where(t >= 0, np.exp(-np.maximum(t, 0) / 0.08) * np.sin(2 * np.pi * pitch * t), 0)
    return (np.asarray(gains)[:, None] * sound).astype(np.float32)


def strikes(times=tuple(HITS)):
    return np.sum([hit(at, *HITS[at]) for at in times], axis=0)


AMBIENCE = noise(SECONDS, 0.001)
TRUTH = strikes() + AMBIENCE
SPANS = scores.activity(TRUTH, RATE)

CORRUPTED = {
    "itself": TRUTH,
    "shifted": np.roll(TRUTH, round(0.25 * RATE), axis=1),
    "swapped": TRUTH[::-1],
    "silent": np.zeros_like(TRUTH),
    "noisy": TRUTH + noise(SECONDS, 0.1, seed=1),
    "quieter": TRUTH * np.float32(0.5),
    "one hit less": strikes((0.5, 2.1, 3.0)) + AMBIENCE,
    "one hit louder": TRUTH + hit(2.1, *HITS[2.1]),
    "clicked": TRUTH + np.float32(0.3) * (np.arange(TRUTH.shape[1]) == round(EDIT[1] * RATE)),
    "one sample more": np.pad(TRUTH, ((0, 0), (0, 1))),
}


@cache
def heard(name):
    return Yamnet.load()(CORRUPTED[name], RATE)


def measured(name):
    """Every score of one sound, as a distance from perfect: 0 is perfect, more is worse, nan is not defined."""
    found = CORRUPTED[name]
    times, strengths = onsets.onsets_with_strength(found, RATE)
    clear = times[strengths >= 6]
    wanted = onsets.audio_onsets(TRUTH, RATE)
    precision, recall, iou = scores.event_scores(scores.activity(found, RATE), SPANS)
    pan, side = scores.pan_error(found, TRUTH, SPANS, RATE)
    energy, true_energy = scores.k_energy(found, RATE), scores.k_energy(TRUTH, RATE)
    whole = found[:, : TRUTH.shape[1]]
    spectra = [scores.spectrogram(sound, RATE) for sound in (whole, TRUTH, strikes())]
    loud, true_loud = (max(-70, loudness.integrated(e, RATE)) for e in (energy, true_energy))
    tags, embeddings = heard(name)
    true_tags, true_embeddings = heard("itself")
    return {
        "onset f1": 1 - onsets.f1(clear, wanted),
        "onset ap": 1 - onsets.average_precision(times, strengths, wanted),
        "onset error": onsets.timing_error(clear, wanted),
        "event precision": 1 - precision,
        "event recall": 1 - recall,
        "event iou": 1 - iou,
        "pan": pan,
        "side": 1 - side,
        "level": scores.level_error(energy, true_energy, RATE, SPANS),
        "balance": scores.level_error(energy, true_energy, RATE, SPANS, relative=True),
        "lufs": abs(loud - true_loud),
        "true peak": abs(scores.true_peak(found) - scores.true_peak(TRUTH)),
        "lsd": scores.log_spectral_distance(spectra[0], spectra[1]),
        "mel": scores.mel_distance(spectra[0], spectra[1], RATE),
        "presence": scores.presence(spectra[1], spectra[2]) - scores.presence(spectra[0], spectra[2]),
        "residual": scores.residual_outside(found, TRUTH, EDIT, RATE) - scores.FLOOR_DB,
        "identical": 1 - scores.identical_outside(found, TRUTH, EDIT, RATE),
        "seam": scores.seam(found, RATE, EDIT)[0],
        "null": scores.stem_null([AMBIENCE, *(hit(at, *HITS[at]) for at in HITS)], whole) - scores.FLOOR_DB,
        "duration": abs(scores.duration_error(found, SECONDS, RATE)),
        "repeated": 1 - scores.repeated(np.ascontiguousarray(found), TRUTH)[0],
        "kl": tag_scores.class_kl(true_tags, tags),
        "frechet": tag_scores.frechet(embeddings, true_embeddings),
    }


SAMPLES = {"residual", "identical", "null", "repeated"}  # notice every change of a sample outside the edit
COLOUR = {"lsd", "mel", "kl", "frechet"}
# corruption: (scores that must get worse, scores that may change); all others must stay perfect.
TABLE = {
    "itself": (set(), set()),
    "shifted": (
        SAMPLES
        | {"onset f1", "onset ap", "onset error", "event precision", "event recall", "event iou"}
        | {"pan", "side", "level", "balance", "lsd", "mel", "presence"},
        {"seam", "kl", "frechet", "lufs"},
    ),
    "swapped": (SAMPLES | {"pan", "side"}, set()),
    "silent": (
        SAMPLES
        | COLOUR
        | {"onset f1", "onset ap", "onset error", "event recall", "event iou", "pan", "side"}
        | {"level", "lufs", "true peak", "presence"},
        {"balance"},  # silence has no balance: what is left is the difference of the whole from the events
    ),
    "noisy": (
        SAMPLES
        | COLOUR
        | {"event precision", "event recall", "event iou", "pan", "level", "balance", "lufs"},
        {"onset f1", "onset ap", "onset error", "side", "true peak", "presence", "seam"},
    ),
    "quieter": (SAMPLES | COLOUR | {"level", "lufs", "true peak", "presence"}, set()),
    "one hit less": (
        {
            "onset f1",
            "onset ap",
            "event recall",
            "event iou",
            "level",
            "balance",
            "lsd",
            "mel",
            "presence",
            "pan",
        }
        | {"null", "repeated", "kl", "frechet"},
        {"lufs", "residual", "identical", "side"},  # the hit rings on a little after the edit
    ),
    "one hit louder": (
        SAMPLES | {"level", "balance", "lsd", "mel"},
        {"lufs", "true peak", "kl", "frechet", "event precision", "event recall", "event iou", "presence"},
    ),
    "clicked": (
        SAMPLES | {"seam", "lsd", "mel"},
        {"onset f1", "onset ap", "kl", "frechet", "pan", "level", "balance", "lufs", "true peak", "presence"},
    ),
    "one sample more": ({"duration", "repeated"}, {"kl", "frechet"}),
}


@pytest.mark.parametrize("name", TABLE)
def test_each_score_notices_what_it_should_and_nothing_else(name):
    worse, may = TABLE[name]
    got = measured(name)
    assert got.keys() >= worse | may
    for score, distance in got.items():
        if score in worse:
            assert not distance <= 0.005, f"{score} does not notice: {distance}"  # nan: not defined any more
        elif score not in may:
            assert abs(distance) < 0.005, f"{score} should not notice: {distance}"


def test_every_score_of_the_table_is_moved_by_something():
    assert set(measured("itself")) == set.union(*(worse for worse, _ in TABLE.values()))


@pytest.mark.parametrize("count", [0, 1, 100, 50_000])
@pytest.mark.parametrize("level", [0.0, 1e-9, 0.1])
def test_silence_and_very_short_sounds_are_measured_without_a_warning(count, level):
    found, wanted = level * TRUTH[:, :count], TRUTH[:, RATE // 2 : RATE // 2 + count]
    found.flags.writeable = False
    spectra = [scores.spectrogram(sound, RATE) for sound in (found, wanted)]
    numbers = [
        *scores.event_scores(scores.activity(found, RATE), scores.activity(wanted, RATE)),
        scores.level_error(
            scores.k_energy(found, RATE), scores.k_energy(wanted, RATE), RATE, SPANS, relative=True
        ),
        scores.true_peak(found),
        scores.log_spectral_distance(*spectra),
        scores.mel_distance(*spectra, RATE),
        scores.residual_outside(found, wanted, EDIT, RATE),
        scores.residual_outside(wanted, found, (0.0, 0.1), RATE),
        scores.stem_null([found], wanted),
    ]
    assert np.isfinite(numbers).all()
    for may_be_nan in (*scores.pan_error(found, wanted, SPANS, RATE), *scores.seam(found, RATE, [0.1, 0.5])):
        assert not math.isinf(may_be_nan)
    times, strengths = onsets.onsets_with_strength(found, RATE)
    assert len(times) == len(strengths)


# Onsets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_bands_are_those_of_a_long_transform(rate):
    sound = noise(0.3, 0.1, seed=rate)[:, : rate // 4]
    sound[:, rate // 9 :] += 0.5 * np.sin(0.3 * np.arange(sound.shape[1] - rate // 9), dtype=np.float32)
    hop, width, fine = round(0.005 * rate), round(0.02 * rate), rate // 20
    padded = np.pad(sound, ((0, 0), (width // 2, 0)))
    starts = range(0, padded.shape[1] - width + 1, hop)
    frames = np.stack([padded[:, s : s + width] for s in starts], axis=1) * np.hanning(width)
    power = (np.abs(np.fft.rfft(frames, fine)) ** 2).sum(0)
    edges = np.searchsorted(np.fft.rfftfreq(fine, 1 / rate), [b for b in onsets._BANDS if b < rate / 2])
    bands = np.stack([power[:, a:b].sum(1) for a, b in zip(edges, edges[1:], strict=False)], axis=1)
    expected = 10 * np.log10(np.maximum(bands, bands.max() * 1e-6))
    np.testing.assert_allclose(10 * np.log10(onsets._band_power(sound, rate)), expected, atol=0.01)


def test_onsets_with_strength_are_the_onsets_of_every_higher_sensitivity():
    sound = CORRUPTED["noisy"]
    times, strengths = onsets.onsets_with_strength(sound, RATE)
    assert np.all(np.diff(times) > 0)
    for least in (2.0, 3.0, 6.0, 12.0):
        np.testing.assert_array_equal(times[strengths >= least], onsets.audio_onsets(sound, RATE, least))
    first = [times[place] for place in np.argsort(-strengths) if times[place] > 0.05]  # the noise begins at 0
    np.testing.assert_allclose(sorted(first[:4]), sorted(HITS), atol=0.01)  # the real ones are the clearest


def test_average_precision_of_known_ranks():
    wanted = [1.0, 2.0, 3.0]
    # Right, wrong, right, right: precision 1, 2/3, 3/4 where the recall rises by a third each.
    assert onsets.average_precision([1.0, 5.0, 2.0, 3.0], [4, 3, 2, 1], wanted) == pytest.approx(
        (1 + 2 / 3 + 3 / 4) / 3
    )
    assert onsets.average_precision([1.0, 5.0, 2.0, 3.0], [9, 9, 9, 9], wanted) == pytest.approx(3 / 4)
    assert onsets.average_precision([1.0], [1], wanted) == pytest.approx(1 / 3)
    assert onsets.average_precision([], [], wanted) == 0
    assert onsets.average_precision([1.0, 1.01], [1, 2], [1.0]) == 1  # the second is after the whole recall
    assert math.isnan(onsets.average_precision([1.0], [1], []))
    with pytest.raises(ValueError, match="needs a strength"):
        onsets.average_precision([1.0], [], wanted)


def test_average_precision_pairs_as_well_as_pairs_does():
    draw = np.random.default_rng(0)
    for _ in range(30):
        found, wanted = np.sort(draw.uniform(0, 1, 9)), np.sort(draw.uniform(0, 1, 6))
        strengths = draw.permutation(9)
        area = recalled = 0
        for least in range(8, -1, -1):
            hits, _, _ = onsets.match(found[strengths >= least], wanted)
            area += (hits - recalled) / 6 * hits / (9 - least)
            recalled = hits
        assert onsets.average_precision(found, strengths, wanted) == pytest.approx(area)


# Events, places, levels -----------------------------------------------------------------------------------------


def test_activity_is_where_the_sound_is_and_bridges_short_quiet():
    sound = np.zeros((2, 3 * RATE), np.float32)
    for start, end, level in ((0.5, 1.0, 0.5), (1.1, 1.4, 0.2), (2.0, 2.5, 0.5), (2.7, 2.8, 0.04)):
        sound[0, round(start * RATE) : round(end * RATE)] = level * np.sign(
            np.sin(np.arange(round(end * RATE) - round(start * RATE)) / 5)
        )
    np.testing.assert_allclose(scores.activity(sound, RATE), [(0.5, 1.4), (2.0, 2.5)])
    np.testing.assert_allclose(
        scores.activity(sound, RATE, within_db=30), [(0.5, 1.4), (2.0, 2.5), (2.7, 2.8)]
    )
    np.testing.assert_allclose(scores.activity(sound, RATE, gap=0.05), [(0.5, 1.0), (1.1, 1.4), (2.0, 2.5)])
    assert scores.activity(1e-2 * sound, RATE) == scores.activity(sound, RATE)
    assert scores.activity(np.ones((1, 100)), RATE) == [(0.0, 0.01)]
    assert scores.activity(np.zeros((2, 0)), RATE) == scores.activity(0 * sound, RATE) == []


def test_event_scores_counted_by_hand():
    wanted = [(0.0, 1.0), (2.0, 3.0), (5.0, 6.0)]
    found = [(0.0, 0.5), (2.4, 3.4), (5.0, 5.4), (7.0, 8.0)]  # IoU .5, .6/1.4, .4, none
    precision, recall, iou = scores.event_scores(found, wanted)
    assert (precision, recall) == (1 / 4, 1 / 3)
    assert iou == pytest.approx((0.5 + 0.6 + 0.4) / (1 + 1.4 + 1 + 1))
    assert scores.event_scores(found, wanted, least_iou=0.4)[:2] == (3 / 4, 1)
    assert scores.event_scores([(0, 1), (0, 1)], [(0, 1)]) == (1 / 2, 1, 1)  # one-to-one
    assert scores.event_scores([], []) == (1, 1, 1)
    assert scores.event_scores([], wanted) == (1, 0, 0)
    assert scores.event_scores(wanted, []) == (0, 1, 0)


def test_pan_error_is_the_difference_of_two_level_differences():
    sound = noise(1, 0.1, channels=1)
    wanted, found = sound * [[1.0], [0.5]], sound * [[1.0], [2.0]]  # -6.02 dB and +6.02 dB
    assert scores.pan_error(found, wanted, [(0, 1)], RATE) == (pytest.approx(12.0412, abs=1e-3), 0.0)
    assert scores.pan_error(found * 0.1, found, [(0.2, 0.4)], RATE) == (pytest.approx(0, abs=1e-6), 1.0)
    left = sound * [[1.0], [0.0]]
    assert scores.pan_error(left, left[::-1], [(0, 1)], RATE) == (80.0, 0.0)  # clipped to 40 each
    middle = sound * [[1.0], [1.0]]
    error, side = scores.pan_error(left, middle, [(0, 1)], RATE)
    assert error == 40 and math.isnan(side)  # what is wanted has no side
    for nothing in ([], [(2, 3)]):
        assert all(math.isnan(x) for x in scores.pan_error(left, left, nothing, RATE))
    assert all(math.isnan(x) for x in scores.pan_error(0 * left, left, [(0, 1)], RATE))
    with pytest.raises(ValueError, match="two channels"):
        scores.pan_error(sound, sound, [(0, 1)], RATE)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 5_000, 100_000])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_weighted_energy_is_that_of_the_loudness_meter(rate, count, channels):
    sound = noise(3, 0.1, seed=count, channels=channels)[:, :count] + np.float32(0.2)
    sound[:, count // 2 :] *= 0.1
    expected = loudness.weighted_energy(sound, rate)
    got = scores.k_energy(sound, rate)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=2e-7)
    if count > rate:
        assert loudness.integrated(got, rate) == pytest.approx(loudness.loudness(sound, rate), abs=1e-5)


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100])
def test_energies_of_blocks_are_their_means(rate):
    energy = np.random.default_rng(0).uniform(0, 1, 2 * rate + 7).astype(np.float32) ** 8
    for window in (0.1, 0.4, 1.05, 2.0):
        size = round(window * rate)
        starts = [round(n * 0.1 * rate) for n in range(21) if round(n * 0.1 * rate) + size <= len(energy)]
        means = [energy[start : start + size].mean(dtype=float) for start in starts]
        np.testing.assert_allclose(loudness.block_energies(energy, rate, window), means, rtol=1e-9)
    assert len(loudness.block_energies(energy[: size - 1], rate, window)) == 0


def test_level_error_in_decibels_with_and_without_the_gain_of_the_whole():
    sound = noise(2, 0.1)
    louder = sound.copy()
    louder[:, RATE:] *= 10 ** (6 / 20)
    a, b = scores.k_energy(louder, RATE), scores.k_energy(sound, RATE)
    spans = [(0.0, 1.0), (1.0, 2.0)]
    assert scores.level_error(a, b, RATE, spans) == pytest.approx(3, abs=0.05)  # 0 and 6
    whole = 10 * math.log10((1 + 10**0.6) / 2)
    assert scores.level_error(a, b, RATE, spans[:1], relative=True) == pytest.approx(whole, abs=0.05)
    assert scores.level_error(0 * a, b, RATE, [(0.0, 2.0)]) == pytest.approx(
        70 + loudness.loudness(sound), abs=0.05
    )
    assert math.isnan(scores.level_error(a, b, RATE, []))


def highest(sound):
    """dBTP where every gap between samples is filled."""
    return max(-120, 20 * math.log10(max(1e-9, loudness.envelope(sound).max(initial=0))))


@pytest.mark.parametrize("name", CORRUPTED)
def test_true_peak_is_that_of_the_meter_that_looks_everywhere(name):
    assert scores.true_peak(CORRUPTED[name]) == pytest.approx(highest(CORRUPTED[name]), abs=1e-4)


@pytest.mark.parametrize("many", [0, 1])  # all gaps are filled; only those that may matter
def test_true_peak_sees_the_ends_and_the_seams_of_its_search(many, monkeypatch):
    monkeypatch.setattr(loudness, "MANY", many)
    assert scores.true_peak(np.zeros((2, 0))) == scores.true_peak(np.zeros((1, 7))) == -120
    draw = np.random.default_rng(0)
    for count in (1, 11, 47, 48, 49, 257, 2_000):
        for power in (0, 8):
            sound = draw.standard_normal((2, count)).astype(np.float32)
            sound *= draw.uniform(0, 1, count) ** power
            assert scores.true_peak(sound) == pytest.approx(highest(sound), abs=1e-4)
        edge = np.ones((1, count), np.float32)  # overshoots before it begins
        assert scores.true_peak(edge) == pytest.approx(highest(edge), abs=1e-4)
        tone = np.sin(np.pi / 2 * np.arange(count) + np.pi / 4)[None]  # no sample is at its peak of 1
        assert scores.true_peak(tone) == pytest.approx(highest(tone), abs=1e-4)
    assert scores.true_peak(tone) > 20 * math.log10(np.abs(tone).max()) + 2


# Spectra --------------------------------------------------------------------------------------------------------


def test_the_spectrogram_is_that_of_scipy_and_a_full_tone_is_one():
    sound = noise(0.5, 0.1)
    _, _, theirs = scipy.signal.spectrogram(
        sound.astype(float), RATE, "hann", 2048, 1024, detrend=False, scaling="spectrum"
    )
    ours = scores.spectrogram(sound, RATE)
    count = theirs.shape[-1]
    np.testing.assert_allclose(ours[:count, 1:-1], 2 * theirs.sum(0).T[:, 1:-1], rtol=1e-3, atol=1e-9)
    tone = np.sin(2 * np.pi * 100 / 2048 * np.arange(RATE))[None]
    assert scores.spectrogram(tone, RATE)[:20, 100] == pytest.approx(1, abs=1e-4)
    assert scores.spectrogram(np.zeros((2, 0)), RATE).shape == (1, 1025)


def test_every_sample_is_in_a_frame():
    for count in (1, 1024, 2048, 2049, 3072, 3073, 10_000):
        sound = np.zeros((1, count))
        sound[0, -1] = 1
        reach = scores.spectrogram(sound, RATE).shape[0] * 1024 + 1024
        assert count <= reach < count + 2048 or count < 2048


def test_spectral_distances_of_a_change_in_level_are_the_change():
    sound = noise(1, 0.1)
    a, b = scores.spectrogram(10 ** (6 / 20) * sound, RATE), scores.spectrogram(sound, RATE)
    assert scores.log_spectral_distance(a, b) == pytest.approx(6, abs=0.05)
    assert scores.mel_distance(a, b, RATE) == pytest.approx(0.6 * math.log(10), abs=0.01)
    half = np.concatenate((a[:, :512], b[:, 512:]), axis=1)  # sqrt(512 / 1025) of 6 dB
    assert scores.log_spectral_distance(half, b) == pytest.approx(6 * math.sqrt(512 / 1025), abs=0.05)


def test_spectral_distances_ignore_what_is_far_below_and_bear_silence():
    quiet, loud = scores.spectrogram(noise(1, 1e-6), RATE), scores.spectrogram(noise(1, 0.1, 1), RATE)
    both = scores.spectrogram(noise(1, 1e-6) + noise(1, 0.1, 1), RATE)
    assert scores.log_spectral_distance(both, loud) < 0.02
    silent = 0 * quiet
    assert scores.log_spectral_distance(silent, silent) == scores.mel_distance(silent, silent, RATE) == 0
    assert 20 < scores.log_spectral_distance(silent, loud) <= 80
    assert scores.log_spectral_distance(loud, silent) > 0
    with pytest.raises(ValueError, match="one length"):
        scores.mel_distance(quiet[:-1], quiet, RATE)


def test_presence_follows_the_level_of_the_target_and_not_what_else_sounds():
    target = hit(0.5, 1000, (0.3, 0.3), 1.0)
    other = hit(0.5, 5000, (0.3, 0.3), 1.0)

    def present(sound):
        return scores.presence(scores.spectrogram(sound, RATE), scores.spectrogram(target, RATE))

    assert present(target) == 0
    assert present(0.25 * target) == pytest.approx(-12.04, abs=0.01)
    assert present(2 * target) == 0
    assert present(target + other) > -0.1
    assert present(other) < -30
    assert present(0 * target) == -120
    assert math.isnan(scores.presence(scores.spectrogram(target, RATE), 0 * scores.spectrogram(target, RATE)))


# Edits ----------------------------------------------------------------------------------------------------------


def test_residual_outside_is_measured_outside():
    given = noise(2, 0.1)
    found = given.copy()
    found[:, RATE : RATE + 4410] = 0
    assert scores.residual_outside(found, given, (1.0, 1.1), RATE) == -120
    assert scores.identical_outside(found, given, (1.0, 1.1), RATE)
    found = given * np.float32(1.01)
    assert scores.residual_outside(found, given, (1.0, 1.1), RATE) == pytest.approx(-40, abs=0.01)
    assert not scores.identical_outside(found, given, (1.0, 1.1), RATE)
    longer = np.pad(given, ((0, 0), (0, RATE)))  # an extension
    assert scores.identical_outside(longer, given, (2.0, 3.0), RATE)
    shorter = given[:, :RATE]  # half is missing
    assert scores.residual_outside(shorter, given, (0.0, 0.0), RATE) == pytest.approx(-3.01, abs=0.05)
    assert not scores.identical_outside(shorter, given, (0.0, 0.0), RATE)
    assert scores.residual_outside(0 * given, given, (0.0, 2.0), RATE) == -120  # nothing is outside
    assert scores.residual_outside(0 * given, 0 * given, (0.0, 1.0), RATE) == -120
    assert scores.residual_outside(given, 0 * given, (0.0, 1.0), RATE) == pytest.approx(100, abs=0.1)


def test_a_seam_that_clicks_and_one_that_jumps_are_told_apart():
    t = np.arange(2 * RATE) / RATE
    tone = 0.3 * np.sin(2 * np.pi * 220 * t)[None]
    assert scores.seam(tone, RATE, [0.5, 1.0]) == pytest.approx((0, 0), abs=0.1)
    cut = tone.copy()
    cut[:, RATE:] *= -1  # at 1 s the wave is at 0 and turns: no step yet
    moved = np.concatenate((tone[:, :RATE], tone[:, 50 : RATE + 50]), axis=1)  # a quarter of a wave: step 0.3
    step, jump = scores.seam(moved, RATE, [1.0])
    usual = 0.3 * 2 * math.sin(math.pi * 220 / RATE)
    assert step == pytest.approx(20 * math.log10(0.3 / usual), abs=0.3) and jump < 1
    steady = noise(2, 0.1)
    steady[:, RATE:] *= 0.1
    step, jump = scores.seam(steady, RATE, [1.0])
    assert step < 4 and 16 < jump < 20
    assert scores.seam(steady, RATE, [0.5])[1] < 2
    assert scores.seam(0 * steady, RATE, [0.5]) == (0, 0)
    for nothing in ([], [0.0, 2.0]):
        assert all(math.isnan(x) for x in scores.seam(steady, RATE, nothing))


def test_stems_null_or_leave_their_difference():
    parts = [noise(1, 0.1, seed) for seed in range(3)]
    mix = np.sum(parts, axis=0)
    assert scores.stem_null(parts, mix) == -120
    mix[1, 7] += 0.01
    assert scores.stem_null(parts, mix) == pytest.approx(-40, abs=1e-3)
    assert scores.stem_null([], np.zeros((2, 5))) == -120


def test_duration_is_counted_in_samples_and_repeats_are_compared_in_bytes():
    assert scores.duration_error(np.zeros((2, RATE - 3)), 1.0, RATE) == -3
    sound = noise(0.1, 0.1)
    assert scores.repeated(sound, sound.copy()) == (True, 0.0)
    other = sound.copy()
    other[0, 3] += 0.5
    assert scores.repeated(sound, other) == (False, pytest.approx(0.5))
    assert scores.repeated(sound, sound.astype(float)) == (False, 0.0)
    same, difference = scores.repeated(sound, sound[:, 1:])
    assert not same and math.isnan(difference)


# Tags -----------------------------------------------------------------------------------------------------------


def test_class_kl_is_that_of_scipy():
    draw = np.random.default_rng(0)
    reference, generated = draw.uniform(0.1, 1, (3, 20)), draw.uniform(0.1, 1, (5, 20))
    theirs = scipy.stats.entropy(reference.mean(0), generated.mean(0))
    assert tag_scores.class_kl(reference, generated, epsilon=1e-12) == pytest.approx(theirs)
    assert tag_scores.class_kl(reference, reference) == 0
    assert tag_scores.class_kl([[1.0, 0.0]], [[0.0, 1.0]]) == pytest.approx(math.log(1e6), abs=1e-4)
    assert tag_scores.class_kl([[0.0, 0.0]], [[0.0, 0.0]]) == 0
    with pytest.raises(ValueError, match="at least one window"):
        tag_scores.class_kl(np.zeros((0, 3)), reference)


def test_the_right_class_is_among_the_first_ones_and_silence_is_none():
    classes = ["Silence", "Dog", "Speech", "Music"]
    tags = np.array([[0.9, 0.2, 0.5, 0.1], [0.9, 0.3, 0.1, 0.4]])
    assert tag_scores.top_classes(tags, classes, 2) == ["Speech", "Music"]
    assert not tag_scores.class_right(tags, classes, "animal/dog", top=2)
    assert tag_scores.class_right(tags, classes, "animal/dog", top=3)
    assert tag_scores.leak(tags, classes, tag_scores.SPEECH) == 0.5
    assert tag_scores.leak(tags, classes, tag_scores.MUSIC) == 0.4
    assert tag_scores.leak(tags, ["Silence", "Dog", "Cat", "Bark"], tag_scores.MUSIC) == 0


def test_speech_and_music_are_classes_that_exist():
    classes = set(Yamnet.load().classes)
    assert tag_scores.SPEECH <= classes and tag_scores.MUSIC <= classes
    assert not tag_scores.SPEECH & tag_scores.MUSIC


@pytest.mark.parametrize(("n", "m", "size"), [(50, 60, 8), (7, 9, 32), (40, 5, 16), (200, 200, 1024)])
def test_frechet_distance_is_that_of_the_matrix_square_root(n, m, size):
    draw = np.random.default_rng(n)
    a, b = draw.normal(0, 1, (n, size)), draw.normal(0.3, 2, (m, size))
    if size < 100:
        root = scipy.linalg.sqrtm(np.cov(a.T) @ np.cov(b.T) + 1e-13 * np.eye(size)).real
    else:  # the square root of a matrix of this size is slow and not exact: by the eigenvalues of its small twin
        x, y = ((s - s.mean(0)) / math.sqrt(len(s) - 1) for s in (a, b))
        root = np.diag(np.sqrt(np.maximum(np.linalg.eigvalsh(x @ y.T @ y @ x.T), 0)))
    trace = np.trace(np.cov(a.T)) + np.trace(np.cov(b.T)) - 2 * np.trace(root)
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + trace
    assert tag_scores.frechet(a, b) == pytest.approx(expected, rel=1e-4)
    assert tag_scores.frechet(a, a) == pytest.approx(0, abs=1e-9 * size)


def test_frechet_distance_of_gaussians():
    draw = np.random.default_rng(0)
    a = draw.normal(0, 1, (200_00, 3))
    b = draw.normal(0, [1, 2, 3], (200_00, 3)) + [1, 0, 0]
    # Diagonal covariances: the distance of the means and of the deviations.
    assert tag_scores.frechet(a, b) == pytest.approx(1 + 1 + 4, rel=0.05)
    assert tag_scores.frechet(a, a + 2) == pytest.approx(12)
    assert math.isnan(tag_scores.frechet(a[:1], b))
    with pytest.raises(ValueError, match="embeddings must be"):
        tag_scores.frechet(a, b[:, :2])


def test_frechet_distance_without_bias_is_nearer_the_truth():
    draw = np.random.default_rng(0)
    errors = []
    for _ in range(10):
        a, b = draw.normal(0, 1, (300, 24)), draw.normal(0, 1, (300, 24)) + 0.5
        errors.append((tag_scores.frechet(a, b) - 6, tag_scores.frechet_unbiased(a, b, draw) - 6))
    biased, unbiased = np.abs(np.mean(errors, axis=0))
    assert unbiased < biased / 4
    assert tag_scores.frechet_unbiased(a, b, 1) == tag_scores.frechet_unbiased(a, b, 1)
    assert math.isnan(tag_scores.frechet_unbiased(a[:3], b, 0))


# Plans ----------------------------------------------------------------------------------------------------------


def event(name, sound_class, start, end, times=(), **rest):
    return Event(
        id=name, source="x", sound="x", sound_class=sound_class, start=start, end=end, onsets=times, **rest
    )


WANTED = Plan(
    seconds=10,
    events=(
        event("a", "animal/dog", 1, 2, (1.0, 1.5), pan=-0.5),
        event("b", "animal/cat", 4, 6, (4.5,), path=(Place(time=4, pan=-1), Place(time=6, pan=1))),
        event("c", "impact/wood", 8, 9, (8.0,), pan=0.3),
    ),
)


def changed(**how):
    """Every event changed by functions of the event."""
    events = [e.model_copy(update={key: to(e) for key, to in how.items()}) for e in WANTED.events]
    return WANTED.model_copy(update={"events": tuple(events)})


PLANS = {
    "itself": WANTED,
    "shifted": changed(
        start=lambda e: e.start + 0.25,
        end=lambda e: e.end + 0.25,
        onsets=lambda e: [t + 0.25 for t in e.onsets],
    ),
    "a little late": changed(onsets=lambda e: [t + 0.05 for t in e.onsets]),
    "swapped": changed(
        pan=lambda e: -e.pan, path=lambda e: tuple(p.model_copy(update={"pan": -p.pan}) for p in e.path)
    ),
    "misnamed": changed(
        sound_class=lambda e: {"animal/dog": "animal/sheep"}.get(e.sound_class, e.sound_class)
    ),
    "one less": WANTED.only("ab"),
    "one more": WANTED.model_copy(
        update={"events": (*WANTED.events, event("d", "tool/axe_chop", 3, 3.5, (3.0,)))}
    ),
    "empty": WANTED.only(""),
}


def plan_measured(found):
    precision, recall = plan_scores.event_precision_recall(found, WANTED)
    spans = plan_scores.span_scores(found, WANTED)
    return {
        "precision": 1 - precision,
        "recall": 1 - recall,
        "recall by group": 1 - plan_scores.event_precision_recall(found, WANTED, by_group=True)[1],
        "class": 1 - plan_scores.class_accuracy(found, WANTED),
        "onset f1": 1 - plan_scores.onset_f1(found, WANTED),
        "onset error": plan_scores.onset_error(found, WANTED),
        "pan": plan_scores.pan_error(found, WANTED),
        "span precision": 1 - spans[0],
        "span recall": 1 - spans[1],
        "iou": 1 - spans[2],
    }


PLAN_TABLE = {
    "itself": set(),
    "shifted": {"onset f1", "onset error", "iou"},
    "a little late": {"onset error"},
    "swapped": {"pan"},
    "misnamed": {"precision", "recall", "class"},
    "one less": {"recall", "recall by group", "onset f1", "span recall", "iou"},
    "one more": {"precision", "onset f1", "span precision", "iou"},
    "empty": {"recall", "recall by group", "class", "onset f1", "onset error", "pan", "span recall", "iou"},
}


@pytest.mark.parametrize("name", PLAN_TABLE)
def test_each_plan_score_notices_what_it_should_and_nothing_else(name):
    got = plan_measured(PLANS[name])
    noticed = {score for score, distance in got.items() if not abs(distance) < 1e-9}
    assert noticed == PLAN_TABLE[name]


def test_plan_scores_counted_by_hand():
    assert plan_scores.event_precision_recall(PLANS["misnamed"], WANTED) == (2 / 3, 2 / 3)
    assert plan_scores.event_precision_recall(PLANS["misnamed"], WANTED, by_group=True) == (1, 1)
    assert plan_scores.class_accuracy(PLANS["misnamed"], WANTED) == pytest.approx(2 / 3)
    assert plan_scores.onset_error(PLANS["a little late"], WANTED) == pytest.approx(0.05)
    moving = np.mean(np.abs(2 * np.linspace(-1, 1, 16)))
    assert plan_scores.pan_error(PLANS["swapped"], WANTED) == pytest.approx((1 + moving + 0.6) / 3)


def test_events_of_one_class_are_paired_where_they_overlap():
    two = Plan(seconds=9, events=(event("a", "animal/dog", 1, 2), event("b", "animal/dog", 5, 6)))
    back = two.model_copy(update={"events": two.events[::-1]})
    assert [(a.id, b.id) for a, b in plan_scores.event_pairs(back, two)] == [("b", "b"), ("a", "a")]
    one = two.model_copy(update={"events": two.events[:1]})
    assert plan_scores.event_precision_recall(two, one) == (1 / 2, 1)
    assert plan_scores.event_precision_recall(one, two) == (1, 1 / 2)
    mixed = Plan(seconds=9, events=(event("a", "animal/sheep", 1, 2), event("b", "animal/dog", 5, 6)))
    dog_first = plan_scores.event_pairs(mixed, two, by_group=True)
    assert [(a.sound_class, b.id) for a, b in dog_first] == [("animal/dog", "b"), ("animal/sheep", "a")]
    nameless = Plan(seconds=9, events=(event("a", "", 1, 2),))
    assert plan_scores.event_pairs(nameless, nameless, by_group=True) == []


def test_operations_count_as_often_as_they_are_asked_for():
    wanted = [("remove", "animal/dog"), ("add", "impact/wood"), ("add", "impact/wood")]
    assert plan_scores.operation_accuracy(wanted, wanted[::-1]) == 1
    assert plan_scores.operation_accuracy(wanted[:2], wanted) == 2 / 3
    assert plan_scores.operation_accuracy(["add", "add"], ["remove"]) == 0
    assert plan_scores.operation_accuracy([], []) == 1 and plan_scores.operation_accuracy([], ["add"]) == 0


def test_boxes_by_hand_and_frames_in_which_they_are_hidden():
    box = [0, 0, 2, 2]
    assert plan_scores.box_iou(box, box) == 1
    assert plan_scores.box_iou(box, [1, 1, 3, 3]) == pytest.approx(1 / 7)
    assert plan_scores.box_iou(box, [2, 0, 4, 2]) == 0 == plan_scores.box_iou([1, 1, 1, 1], [1, 1, 1, 1])
    hidden = [math.nan] * 4
    assert plan_scores.box_iou(hidden, box) == 0 and math.isnan(plan_scores.box_iou(hidden, hidden))
    assert plan_scores.track_iou([box, box, hidden, hidden], [box, hidden, box, hidden]) == pytest.approx(
        1 / 3
    )
    assert math.isnan(plan_scores.track_iou([hidden], [hidden]))
    with pytest.raises(ValueError, match="a box is"):
        plan_scores.box_iou([0, 0, 1], box)
