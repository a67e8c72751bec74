import math

import av
import av.filter
import numpy as np
import pytest

import clips
from reasound.mixing.loudness import envelope, k_weighted, limit, limiter_gain, loudness, momentary, true_peak

RATE = 44_100


def ebur128(audio, rate=RATE):
    """(integrated LUFS, true peak in dBTP) as FFmpeg measures them."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=rate, format="fltp", layout="stereo", time_base=f"1/{rate}")
    meter = graph.add("ebur128", "metadata=1:peak=true")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    for start in range(0, audio.shape[1], rate):
        piece = np.ascontiguousarray(audio[:, start : start + rate], np.float32)
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = rate, start
        source.push(frame)
    source.push(None)
    last = {}
    while True:
        try:
            last = dict(sink.pull().metadata) or last
        except (av.error.EOFError, av.error.BlockingIOError):
            break
    peaks = [float(last[f"lavfi.r128.true_peaks_ch{c}"]) for c in (0, 1)]
    return float(last["lavfi.r128.I"]), 20 * math.log10(max(peaks))


def noise(seconds, seed=0, level=0.1):
    return (level * np.random.default_rng(seed).standard_normal((2, round(seconds * RATE)))).astype(
        np.float32
    )


def pink(seconds):
    spectrum = np.fft.rfft(noise(seconds, 1))
    spectrum /= np.sqrt(np.maximum(np.arange(spectrum.shape[1]), 1))
    sound = np.fft.irfft(spectrum, round(seconds * RATE))
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def clicks(seconds, every=0.5):
    sound = noise(seconds, 2, 0.001)
    for start in range(1000, sound.shape[1] - 900, round(every * RATE)):
        sound[:, start : start + 800] += 0.8 * np.exp(-np.arange(800) / 100) * np.sin(np.arange(800) * 0.9)
    return sound


def loud_then_quiet():
    return np.concatenate((noise(4, 3, 0.2), noise(4, 4, 0.0004), noise(3, 5, 0.02)), axis=1)


def faded(sound):
    """Without abrupt ends, where FFmpeg's resampler mirrors the sound and so invents a peak."""
    n = np.arange(sound.shape[1])
    return sound * np.clip(np.minimum(n, n[::-1]) / 2000, 0, 1).astype(np.float32)


SIGNALS = {
    "noise": noise(5),
    "pink": pink(5),
    "clicks": clicks(5),
    "gated": loud_then_quiet(),
    "one side": np.stack((noise(3)[0], np.zeros(3 * RATE, np.float32))),
    "low": faded(clips.sine(4, 60, level=-10)),
    "high": faded(clips.sine(4, 9_000, level=-10)),
    "between": faded(np.tile(np.float32(0.7 * np.sin(np.pi / 4 * (2 * np.arange(3 * RATE) + 1))), (2, 1))),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_we_measure_what_ffmpeg_measures(name):
    theirs, peak = ebur128(SIGNALS[name])
    assert loudness(SIGNALS[name]) == pytest.approx(theirs, abs=0.1)
    assert true_peak(SIGNALS[name]) == pytest.approx(peak, abs=0.2)


@pytest.mark.parametrize("rate", [32_000, 44_100, 48_000, 96_000])
def test_a_tone_of_997_hz_is_as_loud_as_its_level(rate):
    # BS.1770: a 0 dBFS tone in one channel is -3.01 LUFS; in both channels of stereo it is 0.
    assert loudness(clips.sine(3, 997, rate, level=-23), rate) == pytest.approx(-23, abs=0.03)
    one = clips.sine(3, 997, rate, level=0)
    one[1] = 0
    assert loudness(one, rate) == pytest.approx(-3.01, abs=0.03)


def test_the_filters_are_those_of_the_standard():
    # BS.1770-4, tables 1 and 2, at 48 kHz, as a recursion sample by sample.
    head = ((1.53512485958697, -2.69169618940638, 1.19839281085285), (-1.69065929318241, 0.73248077421585))
    rlb = ((1.0, -2.0, 1.0), (-1.99004745483398, 0.99007225036621))
    sound = noise(0.05)[:1, :2000].astype(float)
    expected = sound[0]
    for forward, back in (head, rlb):
        out = np.zeros(len(expected))
        for n in range(len(out)):
            out[n] = sum(b * expected[n - i] for i, b in enumerate(forward) if n >= i)
            out[n] -= sum(a * out[n - i] for i, a in enumerate(back, 1) if n >= i)
        expected = out
    np.testing.assert_allclose(k_weighted(sound, 48_000)[0], expected, atol=1e-6)


def test_ten_db_is_ten_lu():
    assert loudness(noise(2) * np.float32(10**0.5)) - loudness(noise(2)) == pytest.approx(10, abs=1e-4)


def test_long_silence_before_and_after_hardly_counts():
    # Of the 400 ms blocks across the two edges, those within 10 LU count: a few of 43, some dB down.
    sound = noise(4)
    padded = np.pad(sound, ((0, 0), (3 * RATE, 3 * RATE)))
    assert -0.5 < loudness(padded) - loudness(sound) < 0


@pytest.mark.parametrize("samples", [0, 1, 100, 5 * RATE])
def test_silence_is_minus_infinity(samples):
    assert loudness(np.zeros((2, samples), np.float32)) == -math.inf
    assert true_peak(np.zeros((2, samples), np.float32)) == -math.inf


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.39])
def test_sound_shorter_than_a_block_is_measured_whole(seconds):
    assert loudness(clips.sine(seconds, 997, level=-23)) == pytest.approx(-23, abs=0.3)


def test_momentary_loudness_follows_the_sound():
    levels = momentary(loud_then_quiet())
    assert len(levels) == 107  # 11 s, windows of 0.4 s, every 0.1 s
    assert levels[20] - levels[95] == pytest.approx(20, abs=0.3)


def test_a_peak_between_the_samples_is_found():
    # A quarter-rate tone at 45 degrees has all its samples 3 dB below its peaks.
    n = np.arange(4000)
    fade = np.minimum(1, np.minimum(n, n[::-1]) / 500)
    tone = (fade * np.sin(np.pi / 2 * n + np.pi / 4))[None].astype(np.float32)
    assert 20 * math.log10(np.abs(tone).max()) == pytest.approx(-3.01, abs=0.01)
    assert true_peak(tone) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("peak", [-1.0, -6.0])
@pytest.mark.parametrize("name", ["noise", "clicks", "pink", "between"])
def test_the_limiter_keeps_the_true_peak(name, peak):
    sound = SIGNALS[name] * 4
    gain = limit(sound, peak)
    assert gain.max() <= 1
    assert true_peak(sound * gain) <= peak + 0.05
    # Two meters differ most on white noise, which is strong up to half the sampling rate.
    assert ebur128(sound * gain)[1] <= peak + (0.3 if name == "noise" else 0.2)


def test_the_limiter_leaves_alone_what_is_below():
    np.testing.assert_array_equal(limit(noise(1, level=0.05), -1.0), 1)


def test_the_limiter_is_smooth_looks_ahead_and_lets_go():
    sound = np.zeros((2, RATE), np.float32)
    sound[:, RATE // 2] = 2.0
    magnitude = envelope(sound)
    gain = limiter_gain(magnitude, 0.5)
    assert np.all(gain * magnitude <= 0.5 * (1 + 1e-5))
    assert np.all(gain[: RATE // 2 - 130] == 1) and gain[RATE // 2 - 60] < 0.9
    decibels = 20 * np.log10(gain)
    assert np.abs(np.diff(decibels)).max() < 0.25  # 12 dB within 3 ms, no step
    assert decibels[RATE // 2 + RATE // 10] == pytest.approx(-12 + 6, abs=0.4)  # 60 dB a second
    assert decibels[-1] == pytest.approx(0, abs=1e-3)
