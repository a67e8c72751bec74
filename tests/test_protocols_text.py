"""CLAP and AudioBox aesthetics: tiny networks made on the spot, against transformers and against what is known."""

from __future__ import annotations

import builtins
import json
from pathlib import Path

import numpy as np
import pytest
import soxr
import torch
from safetensors.torch import load_file, save_file

from reasound.errors import UserError
from reasound.evaluation.protocols import aesthetics, clap
from reasound.evaluation.protocols.aesthetics import AXES, AestheticsConfig
from tiny import randomised

transformers = pytest.importorskip("transformers")


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def noise(seconds: float, rate: int = 44_100, seed: int = 1) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return (0.1 * draw.standard_normal(round(seconds * rate))).astype(np.float32)


# CLAP


def write_clap(folder: Path, fused: bool) -> None:
    """A folder of the hub: a RoBERTa and a Swin transformer of one block a stage, and a tokenizer of letters."""
    from tokenizers.pre_tokenizers import ByteLevel

    folder.mkdir()
    words = ["<s>", "<pad>", "</s>", "<unk>", *sorted(ByteLevel.alphabet()), "<mask>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.RobertaTokenizer.from_pretrained(folder)
    text = {"vocab_size": len(words), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    audio = {
        "patch_embeds_hidden_size": 8,
        "hidden_size": 16,
        "depths": [1, 1],
        "num_attention_heads": [1, 2],
        "spec_size": 64,
        "window_size": 4,
        "num_mel_bins": 16,
        "enable_fusion": fused,
    }
    config = transformers.ClapConfig(
        text_config=text | {"intermediate_size": 32, "max_position_embeddings": 100},
        audio_config=audio,
        projection_dim=12,
    )
    randomised(transformers.ClapModel(config), 2).save_pretrained(folder)
    extractor = transformers.ClapFeatureExtractor(
        feature_size=16,
        hop_length=2400,
        fft_window_size=4800,
        truncation="fusion" if fused else "rand_trunc",
    )
    transformers.ClapProcessor(extractor, tokenizer).save_pretrained(folder)


@pytest.fixture(scope="module")
def claps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("claps")
    write_clap(folder / "larger_clap_general", fused=False)
    write_clap(folder / "clap-htsat-fused", fused=True)
    return folder


@pytest.mark.parametrize("name, kind", [("larger_clap_general", "unfused"), ("clap-htsat-fused", "fused")])
def test_the_clap_score_is_the_cosine_that_transformers_gives(claps, name, kind):
    ours = clap.load(name, claps)
    assert ours.protocol == f"clap/{name}/{kind}/10s-windows/77-tokens"
    sound, text = noise(4), "a dog barks, then rain"
    score = ours.score(np.stack([sound, sound]), text)
    model = transformers.ClapModel.from_pretrained(claps / name).eval()
    processor = transformers.ClapProcessor.from_pretrained(claps / name)
    heard = soxr.resample(sound, 44_100, 48_000, "VHQ")
    inputs = processor(text=[text], audio=heard, sampling_rate=48_000, return_tensors="pt")
    with torch.no_grad():
        output = model(**inputs)
    wanted = (output.audio_embeds * output.text_embeds).sum()
    assert score == pytest.approx(float(wanted), abs=1e-5)
    assert score == ours.score(sound, text)


def test_a_long_sound_is_heard_in_windows_and_the_same_each_time(claps):
    ours = clap.load("larger_clap_general", claps)
    sound = noise(13)
    sound[: 4 * 44_100] = 0.3 * np.sin(0.2 * np.arange(4 * 44_100))
    first, last = ours.hear(sound[: 10 * 44_100]), ours.hear(sound[3 * 44_100 :])
    both = ours.hear(sound)
    assert torch.equal(both, ours.hear(sound))
    torch.testing.assert_close(both, (first + last) / 2, atol=2e-3, rtol=0)
    assert not torch.allclose(first, last, atol=2e-3)


def test_windows_cover_a_sound_from_beginning_to_end():
    assert clap.windows(7, 10) == [(0, 7)] and clap.windows(10, 10) == [(0, 10)]
    assert clap.windows(13, 10) == [(0, 10), (3, 13)]
    assert clap.windows(25, 10) == [(0, 10), (7, 17), (15, 25)]


def test_clap_reads_77_tokens(claps):
    ours = clap.load("larger_clap_general", claps)
    # Every letter is a token, and two more stand around them.
    assert torch.equal(ours.understand("a" * 75), ours.understand("a" * 75 + "b" * 30))
    assert not torch.equal(ours.understand("a" * 74), ours.understand("a" * 74 + "b"))
    with pytest.raises(ValueError, match="empty text"):
        ours.understand(" ")


def test_a_clap_that_is_not_whole_is_named(claps, tmp_path):
    with pytest.raises(UserError, match="there is no CLAP 'clapper'; choose one of clap-htsat-fused, "):
        clap.load("clapper", claps)
    with pytest.raises(UserError, match=r"get all files of laion/clap-htsat-unfused on the Hugging Face hub"):
        clap.load("clap-htsat-unfused", claps)
    broken = tmp_path / "larger_clap_general"
    write_clap(broken, fused=False)
    tensors = load_file(broken / "model.safetensors")
    lost = tensors.pop("text_projection.linear1.bias")
    save_file(tensors, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="lacks the tensor 'text_projection.linear1.bias'"):
        clap.load("larger_clap_general", tmp_path)
    tensors |= {"text_projection.linear1.bias": lost, "text_projection.linear9.bias": torch.ones(2)}
    save_file(tensors, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="has an unknown tensor 'text_projection.linear9.bias'"):
        clap.load("larger_clap_general", tmp_path)
    tensors["text_projection.linear1.bias"] = torch.ones(3)
    del tensors["text_projection.linear9.bias"]
    save_file(tensors, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="does not hold a CLAP"):
        clap.load("larger_clap_general", tmp_path)


def test_clap_says_how_to_get_transformers(claps, monkeypatch):
    found = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "transformers":
            raise ModuleNotFoundError(name)
        return found(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install 'reasound\[eval\]'"):
        clap.load("larger_clap_general", claps)


# AudioBox aesthetics

TINY = AestheticsConfig(width=24, layers=3, heads=2, features=8, position_groups=4)
TARGETS = {"CE": (5.0, 2.0), "CU": (6.0, 1.5), "PC": (3.0, 1.9), "PQ": (6.5, 1.25)}


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    """(folder, the tensors of its model.safetensors)"""
    tensors = dict(randomised(aesthetics.Network(TINY), 3, 0.3).state_dict())
    for i in range(TINY.layers):
        tensors[f"wavlm_model.encoder.layers.{i}.final_layer_norm.weight"] *= 4
    home = tmp_path_factory.mktemp("aesthetics")
    write_aesthetics(home, tensors)
    return home, tensors


def write_aesthetics(home: Path, tensors: dict[str, torch.Tensor], targets=TARGETS) -> None:
    folder = home / "audiobox-aesthetics"
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    scale = {axis: {"mean": mean, "std": deviation} for axis, (mean, deviation) in targets.items()}
    (folder / "config.json").write_text(json.dumps({"target_transform": scale, "proj_num_layer": 5}))


@pytest.fixture(scope="module")
def judge(rated):
    return aesthetics.load(rated[0], TINY)


def test_aesthetics_has_the_tensors_that_were_published():
    with torch.device("meta"):
        state = aesthetics.Network(AestheticsConfig()).state_dict()
    assert len(state) == 324
    assert (
        sum(tensor.numel() for tensor in state.values()) == 103_859_112
    )  # WavLM base+ has 94.4 million of them
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert shapes["wavlm_model.encoder.pos_conv.0.weight_v"] == (768, 48, 128)
    assert shapes["wavlm_model.encoder.layers.0.self_attn.relative_attention_bias.weight"] == (320, 12)
    assert shapes["wavlm_model.encoder.layers.11.self_attn.grep_linear.weight"] == (8, 64)
    assert shapes["wavlm_model.feature_extractor.conv_layers.0.2.bias"] == (512,)
    assert shapes["proj_layer.PQ.12.weight"] == (1, 768) and shapes["proj_layer.CE.10.weight"] == (768,)
    assert shapes["layer_weights.CU"] == (13,)


WAVLM = {
    "encoder.pos_conv.0.weight_g": "encoder.pos_conv_embed.conv.parametrizations.weight.original0",
    "encoder.pos_conv.0.weight_v": "encoder.pos_conv_embed.conv.parametrizations.weight.original1",
    "encoder.pos_conv.0.bias": "encoder.pos_conv_embed.conv.bias",
    "post_extract_proj.": "feature_projection.projection.",
    "mask_emb": "masked_spec_embed",
    ".self_attn_layer_norm.": ".layer_norm.",
    ".self_attn.": ".attention.",
    ".relative_attention_bias.": ".rel_attn_embed.",
    ".grep_linear.": ".gru_rel_pos_linear.",
    ".grep_a": ".gru_rel_pos_const",
    ".fc1.": ".feed_forward.intermediate_dense.",
    ".fc2.": ".feed_forward.output_dense.",
    ".0.2.": ".0.layer_norm.",
}
"""The file's names, and those of transformers."""


def test_aesthetics_hears_what_the_wavlm_of_transformers_hears(judge):
    config = transformers.WavLMConfig(
        hidden_size=TINY.width,
        num_hidden_layers=TINY.layers,
        num_attention_heads=TINY.heads,
        intermediate_size=4 * TINY.width,
        conv_dim=(TINY.features,) * 7,
        num_conv_pos_embedding_groups=TINY.position_groups,
        max_bucket_distance=800,
    )
    theirs = transformers.WavLMModel(config).eval()
    renamed = {}
    for name, tensor in judge.network.wavlm_model.state_dict().items():
        if name.startswith("layer_norm."):
            name = "feature_projection." + name
        for old, new in WAVLM.items():
            name = name.replace(old, new)
        if ".conv_layers." in name:
            name = name.replace(".0.weight", ".conv.weight")
        renamed[name] = tensor
    theirs.load_state_dict(renamed)
    sound = torch.from_numpy(noise(3, 16_000))[None].repeat(2, 1)
    with torch.no_grad():
        outputs, known = judge.network.wavlm_model(sound, torch.tensor([48_000, 48_000]))
        wanted = theirs(sound, output_hidden_states=True).hidden_states
    assert known.all() and len(outputs) == len(wanted) == 4
    for ours, reference in zip(outputs, wanted, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-4)


def test_padding_is_not_heard(judge):
    # In 10 s there are 499 moments of 320 samples each: 16000 samples reach into 50 of them, one more into 51.
    sound = torch.zeros(2, 160_000)
    sound[:, :16_001] = torch.from_numpy(noise(1.1, 16_000)[:16_001])
    with torch.no_grad():
        outputs, known = judge.network.wavlm_model(sound, torch.tensor([16_000, 16_001]))
        assert known.shape == (2, 499) and known.sum(1).tolist() == [50, 51]
        marks = judge.network(sound, torch.tensor([16_000, 16_001]))
        # By hand, of the first: layers weighted, moments averaged, length 1, the small network.
        weights = judge.network.layer_weights["PC"].softmax(0)
        mean = (outputs[:, 0, :50] * weights[:, None, None]).sum(0).mean(0)
        head = judge.network.proj_layer["PC"]
        wanted = head(mean / mean.norm())
        assert (head(mean) - wanted).abs() > 5e-4  # far more than the tolerance below
    torch.testing.assert_close(marks[0, AXES.index("PC")], wanted[0], rtol=1e-4, atol=1e-5)


def test_distances_share_the_rows_of_a_table():
    rows = aesthetics.buckets(1000)
    assert rows[5, 5] == 0 and rows[5, 4] == 1 and rows[5, 6] == 161
    assert rows[100, 21] == 79 and rows[100, 20] == 80
    # From 80 to 800 the rows are even on a logarithmic scale: 253 is half-way.
    assert rows[253, 0] == 80 + int(80 * np.log(253 / 80) / np.log(10)) == 120
    assert rows[799, 0] == 159 and rows[0, 999] == 319


def test_marks_are_on_the_scale_of_people_and_each_window_counts_by_its_length(judge):
    sound = noise(14, seed=2)
    first, rest = sound[: 10 * 44_100], sound[10 * 44_100 :]
    marks = judge.scores(sound)
    assert tuple(marks) == AXES
    parts = judge.scores(first), judge.scores(rest)
    for axis in AXES:
        assert marks[axis] == pytest.approx((10 * parts[0][axis] + 4 * parts[1][axis]) / 14, abs=0.02)
        raw = (parts[0][axis] - TARGETS[axis][0]) / TARGETS[axis][1]
        with torch.no_grad():
            window = aesthetics.mono(first, 16_000)[None]
            own = judge.network(window, torch.tensor([160_000]))[0, AXES.index(axis)]
        assert raw == pytest.approx(float(own), abs=1e-4)
    assert judge.scores(np.stack([sound, sound])) == pytest.approx(marks, abs=1e-4)
    assert judge.protocol == "audiobox-aesthetics/wavlm-base-10s"


def test_only_the_weights_of_aesthetics_are_taken(rated, tmp_path):
    _, tensors = rated
    with pytest.raises(UserError, match=r"model\.safetensors from facebook/audiobox-aesthetics .*CC-BY-4\.0"):
        aesthetics.load(tmp_path, TINY)
    write_aesthetics(tmp_path, {k: v for k, v in tensors.items() if k != "layer_weights.CE"})
    with pytest.raises(UserError, match="lacks the tensor 'layer_weights.CE'"):
        aesthetics.load(tmp_path, TINY)
    write_aesthetics(tmp_path, tensors | {"proj_layer.XY.0.bias": torch.ones(1)})
    with pytest.raises(UserError, match="has a tensor 'proj_layer.XY.0.bias'"):
        aesthetics.load(tmp_path, TINY)
    write_aesthetics(tmp_path, tensors, {"CE": (5.0, 2.0)})
    with pytest.raises(UserError, match="does not say the mean and the deviation of each mark: 'CU'"):
        aesthetics.load(tmp_path, TINY)
    (tmp_path / "audiobox-aesthetics" / "config.json").unlink()
    with pytest.raises(UserError, match=r"config\.json is missing"):
        aesthetics.load(tmp_path, TINY)


@pytest.mark.parametrize("sound", [np.zeros(0), np.full(44_100, np.nan), np.zeros((3, 44_100))])
def test_what_is_no_sound_has_no_marks(judge, claps, sound):
    with pytest.raises(ValueError, match="sound"):
        judge.scores(sound)
    with pytest.raises(ValueError, match="sound"):
        clap.load("larger_clap_general", claps).hear(sound)
