"""Published networks that listen: front ends against scipy and loops, layouts against what the files hold."""

import itertools
import math

import numpy as np
import pytest
import scipy.signal
import torch
import torch.nn.functional as F

from reasound.errors import UserError
from reasound.evaluation.protocols import embedder, openl3, panns, passt, spectra, vggish
from reasound.evaluation.yamnet import mel_filters

TINY = {
    "panns-16k": panns.Config(rate=16_000, window=512, hop=160, widths=(2, 3, 4, 4, 5, 6), classes=7),
    "panns-32k": panns.Config(rate=32_000, window=1024, hop=320, widths=(2, 3, 4, 4, 5, 6), classes=7),
    "vggish": vggish.Config(widths=((2,), (3,), (4, 4), (5, 5)), hidden=6, embedding=4),
    "openl3-env-512": openl3.Config(widths=(2, 3, 4, 5)),
    "openl3-music-6144": openl3.Config(widths=(2, 3, 4, 5), pool=openl3.POOLS[6144]),
    "passt": passt.Config(width=12, depth=2, heads=3, classes=7),
}


def network(name, config=None):
    if name.startswith("panns"):
        return panns.Cnn14(config or panns.CONFIGS[name])
    if name.startswith("openl3"):
        return openl3.Network(config or openl3.Config())
    if name == "vggish":
        return vggish.Network(config or vggish.Config())
    return passt.Network(config or passt.Config())


def weights(name, config):
    """A random network's tensors as its publisher stores them, with filters and statistics that mean something."""
    draw = torch.Generator().manual_seed(len(name))
    tensors = {}
    for key, tensor in network(name, config).state_dict().items():
        if key.endswith("num_batches_tracked"):
            tensors[key] = torch.tensor(1000)
        elif key.endswith("running_var") or (tensor.ndim == 1 and key.endswith("weight")):
            tensors[key] = torch.rand(tensor.shape, generator=draw) + 0.5
        else:  # so that what comes out is about as large as what goes in, and no unit is always off
            fan = tensor[0].numel() if key.endswith("weight") else 10
            tensors[key] = torch.randn(tensor.shape, generator=draw) * (2 / fan) ** 0.5
    for first in {"bn0", "batch_normalization_1"} & {key.split(".")[0] for key in tensors}:
        tensors[f"{first}.running_mean"] -= 40  # decibels
        tensors[f"{first}.running_var"] *= 400
    if name.startswith("panns"):
        bins = config.window // 2 + 1
        top = 8_000 if config.rate == 16_000 else 14_000
        tensors["logmel_extractor.melW"] = slaney(config.rate, config.window, 64, 50, top).T
        tensors["spectrogram_extractor.stft.conv_real.weight"] = torch.zeros(bins, 1, config.window)
        tensors["spectrogram_extractor.stft.conv_imag.weight"] = torch.zeros(bins, 1, config.window)
    if name.startswith("openl3"):
        triangles = spectra.triangles(48_000, 2048, 256, 0.0, 24_000.0).T
        tensors["speclayer.mel_basis"] = triangles / (triangles.sum(1, keepdim=True) + 1)
        tensors["speclayer.dft_real_kernels"] = torch.zeros(1025, 1, 2048)
        tensors["speclayer.dft_imag_kernels"] = torch.zeros(1025, 1, 2048)
    return tensors


def slaney(rate, size, bands, low, high):
    """librosa's filters [bands, bins], as documented: straight in Hz between points on Slaney's scale, area 1."""

    def mel(f):
        return f * 3 / 200 if f < 1000 else 15 + 27 * np.log(f / 1000) / np.log(6.4)

    def hertz(m):
        return m * 200 / 3 if m < 15 else 1000 * 6.4 ** ((m - 15) / 27)

    edges = [hertz(m) for m in np.linspace(mel(low), mel(high), bands + 2)]
    filters = np.zeros((bands, size // 2 + 1))
    for band, (left, centre, right) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        for k in range(size // 2 + 1):
            f = k * rate / size
            slope = min((f - left) / (centre - left), (right - f) / (right - centre))
            filters[band, k] = max(0, slope) * 2 / (right - left)
    return torch.tensor(filters, dtype=torch.float32)


def publish(folder, name, tensors, **save):
    path = folder / embedder.published()[name].file
    torch.save(
        {"iteration": 600_000, "model": tensors} if name.startswith("panns") else tensors, path, **save
    )
    return path


def sound(seconds, channels=2, seed=0):
    draw = np.random.default_rng(seed)
    time = np.arange(round(seconds * embedder.RATE)) / embedder.RATE
    tones = [np.sin(2 * np.pi * (300 + 500 * c) * time**1.2) for c in range(channels)]
    return 0.1 + 0.4 * np.array(tones) + 0.05 * draw.standard_normal((channels, len(time)))


@pytest.fixture
def loaded(tmp_path):
    def load(name, config=None):
        config = config or TINY[name]
        tensors = weights(name, config)
        publish(tmp_path, name, tensors)
        return embedder.load(name, tmp_path, config), tensors

    return load


def stft(x, window, size, hop):
    """Power [T, bins] by scipy, frames centred on t * hop, ends mirrored."""
    padded = np.pad(np.asarray(x, float), size // 2, mode="reflect")
    before = (size - len(window)) // 2
    full = np.zeros(size)
    full[before : before + len(window)] = window
    transform = scipy.signal.ShortTimeFFT(full, hop, fs=1.0, mfft=size, phase_shift=None)
    count = 1 + len(x) // hop
    first = np.stack([padded[t * hop : t * hop + size] * full for t in range(3)])
    spectrum = transform.stft(padded, p0=0, p1=len(padded) // hop + 2, k_offset=size // 2)[:, :count].T
    np.testing.assert_allclose(
        np.abs(spectrum[:3]), np.abs(np.fft.rfft(first)), atol=1e-9
    )  # of the test itself
    return np.abs(spectrum) ** 2


# Front ends


@pytest.mark.parametrize("window, size, hop, periodic", [(512, 512, 160, True), (800, 1024, 320, False)])
def test_power_is_that_of_scipy(window, size, hop, periodic):
    x = np.random.default_rng(1).standard_normal(5000)
    shape = scipy.signal.get_window("hann", window, fftbins=periodic)
    ours = spectra.power(
        torch.tensor(x, dtype=torch.float32), torch.hann_window(window, periodic=periodic), size, hop
    )
    np.testing.assert_allclose(ours, stft(x, shape, size, hop), rtol=1e-3, atol=1e-3)


def test_triangles_by_explicit_loops():
    def mel(f):
        return 1127 * math.log(1 + f / 700)

    step = mel(15_000) / 129
    wanted = np.zeros((513, 128))
    for k, band in itertools.product(range(513), range(128)):
        up = mel(k * 31.25) / step - band
        wanted[k, band] = max(0, min(up, 2 - up))
    np.testing.assert_allclose(spectra.triangles(32_000, 1024, 128, 0.0, 15_000.0), wanted, atol=1e-6)
    torch.testing.assert_close(
        spectra.triangles(16_000, 512, 64, 125.0, 7_500.0), mel_filters()
    )  # the same as YAMNet


@pytest.mark.parametrize("name", ["panns-16k", "panns-32k"])
def test_panns_hears_decibels_of_slaney_bands(loaded, name):
    ours, tensors = loaded(name)
    size, hop = ours.config.window, ours.config.hop
    x = np.random.default_rng(2).standard_normal(40_000) * np.linspace(0, 1, 40_000)
    power = stft(x, scipy.signal.get_window("hann", size), size, hop)
    bands = 10 * np.log10(np.maximum(power @ tensors["logmel_extractor.melW"].double().numpy(), 1e-10))
    np.testing.assert_allclose(ours.network.log_mel(torch.tensor(x, dtype=torch.float32)), bands, atol=2e-3)
    assert ours.network.log_mel(torch.zeros(40_000)).unique().tolist() == [-100]


def test_passt_hears_a_thousand_frames_of_kaldi_bands():
    x = np.random.default_rng(3).standard_normal(320_000)
    ours = passt.log_mel(torch.tensor(x, dtype=torch.float32))
    power = stft(x[1:] - 0.97 * x[:-1], scipy.signal.get_window("hann", 800, fftbins=False), 1024, 320)
    filters = spectra.triangles(32_000, 1024, 128, 0.0, 15_000.0).double().numpy()
    assert ours.shape == (128, 1000)
    np.testing.assert_allclose(ours, ((np.log(power @ filters + 1e-5) + 4.5) / 5).T, atol=1e-3)


def test_vggish_patches_are_those_of_a_loop():
    x = np.random.default_rng(4).standard_normal(40_000)
    patches = vggish.log_mel_patches(torch.tensor(x, dtype=torch.float32))
    window = scipy.signal.get_window("hann", 400)
    filters = mel_filters().double().numpy()
    for patch, frame in itertools.product(range(2), (0, 50, 95)):
        start = (96 * patch + frame) * 160
        magnitude = np.abs(np.fft.rfft(x[start : start + 400] * window, 512))
        np.testing.assert_allclose(patches[patch, frame], np.log(magnitude @ filters + 0.01), atol=1e-4)


@pytest.mark.parametrize("samples", [1, 15_599, 15_600, 15_601, 30_959, 30_960, 160_000])
def test_vggish_hears_whole_patches_only(samples):
    frames = max(96, 1 + (samples - 400) // 160)
    assert vggish.log_mel_patches(torch.zeros(samples)).shape == (frames // 96, 96, 64)


def test_openl3_hears_199_frames_whose_loudest_is_0_db(loaded):
    ours, tensors = loaded("openl3-env-512")
    x = np.random.default_rng(5).standard_normal(48_000) * np.linspace(0, 1, 48_000) ** 4
    padded = np.pad(x, 982)
    window = scipy.signal.get_window("hann", 2048)
    power = np.stack(
        [np.abs(np.fft.rfft(padded[t * 242 : t * 242 + 2048] * window)) ** 2 for t in range(199)]
    )
    assert 198 * 242 + 2048 == len(padded)
    level = 10 * np.log10(np.sqrt(tensors["speclayer.mel_basis"].double().numpy() @ power.T) + 1e-30)
    heard = ours.network.decibels(torch.tensor(x, dtype=torch.float32)[None])[0]
    np.testing.assert_allclose(heard, np.maximum(level - level.max(), -80), atol=2e-2)


@pytest.mark.parametrize("samples, count", [(1, 1), (24_000, 1), (24_001, 2), (48_000, 2), (480_000, 20)])
def test_openl3_windows_are_centred_every_half_second(samples, count):
    x = torch.arange(1, samples + 1)
    parts = openl3.windows(x)
    assert parts.shape == (count, 48_000)
    for number, part in enumerate(parts):
        middle = number * 24_000
        assert part[24_000] == (x[middle] if middle < samples else 0)
    assert set(x[-3:].tolist()) <= set(parts[-1].tolist())  # the end is heard


@pytest.mark.parametrize(
    "seconds, starts", [(0.5, [0]), (10, [0]), (10.5, [0, 5]), (15, [0, 5]), (15.5, [0, 5, 10])]
)
def test_passt_windows_until_less_than_half_of_one_is_left(seconds, starts):
    x = torch.arange(1.0, seconds * 32_000 + 1)
    parts = passt.windows(x)
    assert [int(part[0]) - 1 for part in parts] == [32_000 * start for start in starts]
    assert all(len(part) == 320_000 for part in parts) and parts[-1].max() == x[-1]


def test_stereo_is_averaged_at_the_rate_of_the_network():
    both = np.stack([np.full(44_100, 0.5), np.full(44_100, -0.1)])
    heard = embedder.mono(both, 16_000)
    assert len(heard) == 16_000 and heard[4_000:12_000] == pytest.approx(0.2, abs=1e-4)
    time = np.arange(44_100) / 44_100
    high = embedder.mono(np.sin(2 * np.pi * 7_200 * time) + np.sin(2 * np.pi * 9_000 * time), 16_000)
    kept = np.sin(2 * np.pi * 7_200 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(high[4_000:12_000], kept[4_000:12_000], atol=2e-3)
    with pytest.raises(ValueError, match="shape"):
        embedder.mono(np.zeros((44_100, 2)), 16_000)
    with pytest.raises(ValueError, match="finite"):
        embedder.mono(np.array([0.0, np.nan]), 16_000)


# Networks, by hand from the tensors of the file


def batch_norm(x, tensors, name, eps):
    mean, var, weight, bias = (
        tensors[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + eps).sqrt() * weight + bias


def test_cnn14_by_hand(loaded):
    ours, t = loaded("panns-16k")
    clip = sound(1.5)
    x = embedder.mono(clip, 16_000)
    x = ours.network.log_mel(torch.cat([x - x.mean(), torch.zeros(8_000)]))
    x = (x - t["bn0.running_mean"]) / (t["bn0.running_var"] + 1e-5).sqrt() * t["bn0.weight"] + t["bn0.bias"]
    x = x[None]
    for block in range(1, 7):
        for layer in (1, 2):
            x = F.conv2d(x[None], t[f"conv_block{block}.conv{layer}.weight"], padding=1)[0]
            x = batch_norm(x, t, f"conv_block{block}.bn{layer}", 1e-5).relu()
        if block < 6:
            high, wide = x.shape[1] // 2, x.shape[2] // 2
            x = x[:, : 2 * high, : 2 * wide].reshape(-1, high, 2, wide, 2).mean((2, 4))
    x = x.mean(2)
    embedding = (t["fc1.weight"] @ (x.max(1).values + x.mean(1)) + t["fc1.bias"]).relu()
    logits = t["fc_audioset.weight"] @ embedding + t["fc_audioset.bias"]
    heard = ours(clip)
    np.testing.assert_allclose(heard.embeddings, embedding[None], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(heard.probabilities, logits.exp() / logits.exp().sum(), rtol=1e-4)
    assert (ours.protocol, ours.kl_protocol) == ("fd-panns/cnn14-16k/6d", "kl-panns/cnn14-16k/softmax")


def test_cnn14_gives_sigmoids_when_asked(tmp_path):
    soft = TINY["panns-32k"]
    apart = panns.Config(rate=32_000, window=1024, hop=320, widths=soft.widths, classes=7, squash="sigmoid")
    publish(tmp_path, "panns-32k", weights("panns-32k", soft))
    clip = sound(0.1, channels=1)[0]  # shorter than a second, and mono
    softmax, sigmoid = (embedder.load("panns-32k", tmp_path, config) for config in (soft, apart))
    odds = sigmoid(clip).probabilities / (1 - sigmoid(clip).probabilities)
    np.testing.assert_allclose(softmax(clip).probabilities, odds / odds.sum(), rtol=1e-3)
    assert sigmoid.kl_protocol == "kl-panns/cnn14-32k/sigmoid"


def test_vggish_by_hand(loaded):
    ours, t = loaded("vggish")
    clip = sound(2.5)
    x = embedder.mono(clip, 16_000)
    x = vggish.log_mel_patches(x - x.mean())[:, None]
    for number in (0, 3, 6, 8, 11, 13):
        x = F.conv2d(x, t[f"features.{number}.weight"], t[f"features.{number}.bias"], padding=1).relu()
        if number not in (6, 11):
            x = F.max_pool2d(x, 2)
    x = torch.stack([x[:, :, i, j] for i in range(6) for j in range(4)], dim=1).flatten(
        1
    )  # place, then channel
    for number in (0, 2, 4):
        x = x @ t[f"embeddings.{number}.weight"].T + t[f"embeddings.{number}.bias"]
        x = x.relu() if number < 4 else x
    heard = ours(clip)
    assert heard.embeddings.shape == (2, 4) and heard.probabilities is None
    assert (heard.embeddings < 0).any()  # no ReLU at the end
    np.testing.assert_allclose(heard.embeddings, x, rtol=1e-4, atol=1e-5)
    assert ours.protocol == "fd-vggish/no-pca-no-relu/4d"


@pytest.mark.parametrize("name, places", [("openl3-env-512", [(0, 0)]), ("openl3-music-6144", None)])
def test_openl3_by_hand(loaded, name, places):
    ours, t = loaded(name)
    clip = sound(1.3)
    both = embedder.channels(clip)
    left = embedder.mono(both[0] * (10 ** (-1 / 20) / float(np.abs(both).max())), 48_000)
    x = batch_norm(ours.network.decibels(openl3.windows(left))[:, None], t, "batch_normalization_1", 1e-3)
    for number in range(1, 8):
        x = F.conv2d(x, t[f"conv2d_{number}.weight"], t[f"conv2d_{number}.bias"], padding=1)
        x = batch_norm(x, t, f"batch_normalization_{number + 1}", 1e-3).relu()
        if number in (2, 4, 6):
            x = F.max_pool2d(x, 2)
    x = F.conv2d(x, t["audio_embedding_layer.weight"], t["audio_embedding_layer.bias"], padding=1)
    assert x.shape[2:] == (32, 24)
    high, wide = ours.config.pool
    places = places or [(i, j) for i in range(4) for j in range(3)]
    cut = [x[:, :, i * high : (i + 1) * high, j * wide : (j + 1) * wide].amax((2, 3)) for i, j in places]
    heard = ours(clip).embeddings
    assert heard.shape == (3, 2 * ours.config.size) == (3, 2 * 5 * len(places))
    np.testing.assert_allclose(heard[:, : ours.config.size], torch.cat(cut, dim=1), rtol=1e-4, atol=1e-5)


def test_openl3_stereo(loaded, tmp_path):
    ours, _ = loaded("openl3-env-512")
    clip = sound(1)
    half = ours.config.size
    heard, swapped = ours(clip).embeddings, ours(clip[::-1]).embeddings
    np.testing.assert_allclose(np.roll(heard, half, axis=1), swapped, rtol=1e-5)
    mono = ours(clip[0]).embeddings
    np.testing.assert_array_equal(mono[:, :half], mono[:, half:])
    mean = embedder.load("openl3-env-512", tmp_path, openl3.Config(widths=(2, 3, 4, 5), stereo="mean"))
    assert mean(clip).embeddings.shape == (2, half) and mean.protocol.endswith("/5d-mean")
    quiet = mean(1e-5 * clip[0]).embeddings  # level is nothing, but for rounding in bands that hold only that
    np.testing.assert_allclose(quiet, mono[:, :half], rtol=0.02)
    assert np.isfinite(ours(np.zeros(44_100)).embeddings).all()


def test_passt_by_hand(loaded):
    ours, t = loaded("passt")
    clip = sound(1)
    x = embedder.mono(clip, 32_000)
    [window] = passt.windows(x - x.mean())
    picture = passt.log_mel(window)
    tokens = [
        t["cls_token"][0, 0] + t["new_pos_embed"][0, 0],
        t["dist_token"][0, 0] + t["new_pos_embed"][0, 1],
    ]
    kernel = t["patch_embed.proj.weight"][:, 0]
    for i, j in itertools.product(range(12), range(99)):
        patch = picture[10 * i : 10 * i + 16, 10 * j : 10 * j + 16]
        place = t["freq_new_pos_embed"][0, :, i, 0] + t["time_new_pos_embed"][0, :, 0, j]
        tokens.append((kernel * patch).sum((1, 2)) + t["patch_embed.proj.bias"] + place)
    x = torch.stack(tokens)

    def norm(x, name, eps=1e-6):
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + eps).sqrt()
        return x * t[f"{name}.weight"] + t[f"{name}.bias"]

    def linear(x, name):
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    for block in ("blocks.0", "blocks.1"):
        q, k, v = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv").split(12, dim=1)
        heads = []
        for h in range(3):
            part = slice(4 * h, 4 * h + 4)
            heads.append((q[:, part] @ k[:, part].T / 2).softmax(1) @ v[:, part])
        x = x + linear(torch.cat(heads, dim=1), f"{block}.attn.proj")
        inner = linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")
        x = x + linear(inner * (1 + torch.erf(inner / 2**0.5)) / 2, f"{block}.mlp.fc2")
    embedding = norm(x, "norm")[:2].mean(0)
    logits = linear(norm(embedding, "head.0", 1e-5), "head.1")
    heard = ours(clip)
    np.testing.assert_allclose(heard.embeddings, embedding[None], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(heard.probabilities, logits.softmax(0), rtol=1e-4)
    assert (ours.protocol, ours.kl_protocol) == ("fd-passt/s-swa-ap476/12d", "kl-passt/s-swa-ap476/softmax")


def test_passt_averages_the_logits_of_a_long_clip(loaded):
    ours, _ = loaded("passt")
    clip = sound(12, channels=1)[0]
    heard = ours(clip)
    x = embedder.mono(clip, 32_000)
    logits = [ours.network(passt.log_mel(part)[None])[1] for part in passt.windows(x - x.mean())]
    assert heard.embeddings.shape == (2, 12) and len(logits) == 2
    np.testing.assert_allclose(heard.probabilities, torch.cat(logits).mean(0).softmax(0), rtol=1e-4)


@pytest.mark.parametrize("name", ["panns-16k", "panns-32k", "vggish", "passt"])
def test_a_constant_and_the_order_of_channels_do_not_matter(loaded, name):
    ours, _ = loaded(name)
    clip = sound(1)
    moved = ours(0.1 + clip[::-1]).embeddings
    np.testing.assert_allclose(ours(clip).embeddings, moved, rtol=0.02, atol=0.02)


# What the published files hold

SHAPES = {
    "panns-16k": {
        "logmel_extractor.melW": [257, 64],
        "bn0.running_mean": [64],
        "conv_block1.conv1.weight": [64, 1, 3, 3],
        "conv_block6.conv2.weight": [2048, 2048, 3, 3],
        "conv_block3.bn2.running_var": [256],
        "fc1.weight": [2048, 2048],
        "fc_audioset.bias": [527],
    },
    "panns-32k": {"logmel_extractor.melW": [513, 64]},
    "vggish": {
        "features.0.weight": [64, 1, 3, 3],
        "features.3.weight": [128, 64, 3, 3],
        "features.6.weight": [256, 128, 3, 3],
        "features.8.weight": [256, 256, 3, 3],
        "features.11.weight": [512, 256, 3, 3],
        "features.13.bias": [512],
        "embeddings.0.weight": [4096, 12288],
        "embeddings.2.weight": [4096, 4096],
        "embeddings.4.weight": [128, 4096],
    },
    "openl3-env-512": {
        "speclayer.mel_basis": [256, 1025],
        "batch_normalization_1.weight": [1],
        "conv2d_1.weight": [64, 1, 3, 3],
        "conv2d_3.weight": [128, 64, 3, 3],
        "conv2d_7.bias": [512],
        "batch_normalization_8.running_var": [512],
        "audio_embedding_layer.weight": [512, 512, 3, 3],
    },
    "passt": {
        "cls_token": [1, 1, 768],
        "dist_token": [1, 1, 768],
        "new_pos_embed": [1, 2, 768],
        "freq_new_pos_embed": [1, 768, 12, 1],
        "time_new_pos_embed": [1, 768, 1, 99],
        "patch_embed.proj.weight": [768, 1, 16, 16],
        "blocks.11.attn.qkv.weight": [2304, 768],
        "blocks.0.mlp.fc1.bias": [3072],
        "head.0.weight": [768],
        "head.1.weight": [527, 768],
        "head_dist.weight": [527, 768],
    },
}


@pytest.mark.parametrize(
    "name, tensors, parameters",
    [
        ("panns-16k", 82, 80_753_615),
        ("panns-32k", 82, 80_753_615),
        ("vggish", 18, 72_141_184),
        ("openl3-env-512", 57, 4_687_042),
        ("passt", 159, 86_153_758),
    ],
)
def test_full_size_layout(name, tensors, parameters):
    with torch.device("meta"):
        full = network(name)
    state = full.state_dict()
    assert len(state) == tensors
    assert sum(p.numel() for p in full.parameters()) == parameters
    assert {key: list(state[key].shape) for key in SHAPES[name]} == SHAPES[name]


def test_the_sizes_of_the_files_are_those_of_their_tensors():
    """Within 0.1 %: names and alignment. Filters and statistics count, which parameters do not."""
    for name, extra in (("panns-32k", 2 * 513 * 1024), ("passt", 0)):
        with torch.device("meta"):
            state = network(name).state_dict()
        size = 4 * (sum(tensor.numel() for tensor in state.values()) + extra)
        assert 0 < embedder.published()[name].size - size < 0.001 * size


def test_both_files_of_openl3_hold_the_same_tensors():
    sizes = [openl3.Config(pool=openl3.POOLS[size]).size for size in (512, 6144)]
    assert sizes == [512, 6144]
    assert set(TINY) | {"openl3-env-6144", "openl3-music-512"} == set(embedder.published())


# Reading


def test_files_from_before_2020_and_without_counters_are_read_too(tmp_path):
    config = TINY["panns-16k"]
    tensors = weights("panns-16k", config)
    publish(tmp_path, "panns-16k", tensors)
    clip = sound(0.5)
    new = embedder.load("panns-16k", tmp_path, config)(clip)
    old = {key: value for key, value in tensors.items() if not key.endswith("num_batches_tracked")}
    publish(tmp_path, "panns-16k", old, _use_new_zipfile_serialization=False)
    np.testing.assert_array_equal(
        new.embeddings, embedder.load("panns-16k", tmp_path, config)(clip).embeddings
    )


@pytest.mark.parametrize("name", TINY)
def test_tensors_must_fit_exactly(tmp_path, name):
    tensors = weights(name, TINY[name])
    key = next(key for key in tensors if key.endswith("weight"))
    cases = {
        f"lacks the tensor '{key}'": {k: v for k, v in tensors.items() if k != key},
        "'extra' that the model does not know": tensors | {"extra": torch.zeros(1)},
        f"'{key}' of .* has shape": tensors | {key: torch.zeros(3, 3)},
    }
    for message, wrong in cases.items():
        publish(tmp_path, name, wrong)
        with pytest.raises(UserError, match=message):
            embedder.load(name, tmp_path, TINY[name])


def test_what_is_missing_is_named_with_its_publisher(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"Cnn14_mAP=0.431.pth is missing: get .* Zenodo.*CC-BY-4.0"):
        embedder.load("panns-32k", tmp_path)
    monkeypatch.setenv("REASOUND_MODELS", str(tmp_path))
    with pytest.raises(UserError, match=str(tmp_path / "evaluation" / "vggish-10086976.pth")):
        embedder.load("vggish")
    with pytest.raises(UserError, match="no network 'panns'; choose one of panns-16k"):
        embedder.load("panns")


class Nasty:
    def __reduce__(self):
        return exec, ("raise SystemExit('this ran')",)


def test_nothing_but_weights_is_opened(tmp_path):
    path = tmp_path / "vggish-10086976.pth"
    torch.save({"features.0.weight": Nasty()}, path)
    with pytest.raises(UserError, match="holds more than weights"):
        embedder.read(path)
    path.write_bytes(b"not a file of weights at all")
    with pytest.raises(UserError, match="is not opened"):
        embedder.read(path)
    torch.save({"a": torch.zeros(10_000)}, path)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(UserError, match="damaged"):
        embedder.read(path)
    torch.save({"state_dict": {"a": torch.zeros(1)}, "epoch": 3}, path)
    with pytest.raises(UserError, match="plain list of tensors$"):
        embedder.read(path)
    with pytest.raises(UserError, match="under 'model'"):
        embedder.read(path, under="model")
    assert list(embedder.read(path, under="state_dict")) == ["a"]


def test_full_size_weights_must_be_the_published_bytes(tmp_path):
    publish(tmp_path, "panns-16k", {"a": torch.zeros(1)})
    with pytest.raises(UserError, match="not the file that was published .its md5"):
        embedder.load("panns-16k", tmp_path)
    publish(tmp_path, "passt", {"a": torch.zeros(1)})
    with pytest.raises(UserError, match="bytes, not 344,665,734"):
        embedder.load("passt", tmp_path)
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    embedder.verify(embedder.Published(project="p", file="x", licence="l", size=3, digest=abc), path)
