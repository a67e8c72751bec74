"""ImageBind and DeSync: tiny networks in the published layout, against transformers and against what is known."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import clips
from reasound.checkpoints import official
from reasound.errors import UserError
from reasound.evaluation.protocols import desync, imagebind
from reasound.evaluation.protocols.desync import GRID, DeSync, DeSyncConfig
from reasound.evaluation.protocols.imagebind import ImageBindConfig, TowerConfig
from reasound.media.video import Clip
from reasound.perception.pictures import DEVIATION, MEAN
from reasound.perception.synchformer import SynchformerConfig
from tiny import randomised

transformers = pytest.importorskip("transformers")

IMAGEBIND = ImageBindConfig(
    vision=TowerConfig(width=32, layers=2, heads=2),
    audio=TowerConfig(width=24, layers=2, heads=2),
    embedding=16,
)
DESYNC = DeSyncConfig(
    visual=SynchformerConfig(width=24, layers=1, heads=2), sound_layers=2, sound_heads=2, layers=1, heads=2
)


def noise(seconds: float, rate: int, seed: int = 1) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return (0.1 * draw.standard_normal(round(seconds * rate))).astype(np.float32)


def stepping(time: float, width: int, height: int) -> np.ndarray:
    """A grey picture whose brightness tells how many seconds have begun."""
    return np.full((height, width, 3), 20 + 20 * int(time + 1e-6), np.uint8)


def clip_of(tmp_path, seconds, picture=stepping, fps=25) -> Clip:
    return Clip.open(clips.write(tmp_path / "c.mp4", picture, seconds=seconds, fps=fps, size=(64, 48)))


def colours(grey: float) -> Tensor:
    return torch.tensor(
        [(grey / 255 - mean) / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)]
    )


def kaldi(sound: np.ndarray) -> np.ndarray:
    """The filter bank that transformers computes for AST."""
    from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

    filters = mel_filter_bank(257, 128, 20, 8000, 16_000, None, "kaldi", triangularize_in_mel_space=True)
    return spectrogram(
        sound,
        window_function(400, "hann", periodic=False),
        frame_length=400,
        hop_length=160,
        fft_length=512,
        power=2.0,
        center=False,
        preemphasis=0.97,
        mel_filters=filters,
        log_mel="log",
        mel_floor=1.192092955078125e-07,
        remove_dc_offset=True,
    )


# ImageBind


@pytest.fixture(scope="module")
def bound(tmp_path_factory):
    """(folder, the tensors of its imagebind_huge.pth)"""
    tensors = dict(randomised(imagebind.Network(IMAGEBIND), 1, 0.2).state_dict())
    tensors[imagebind.SCALE] = torch.tensor(2.9957)
    for name in ("modality_trunks.text.blocks.0.norm_1.weight", "modality_heads.imu.0.bias"):
        tensors[name] = torch.ones(3)
    folder = tmp_path_factory.mktemp("imagebind")
    torch.save(tensors, folder / "imagebind_huge.pth")
    return folder, tensors


@pytest.fixture(scope="module")
def ib(bound):
    return imagebind.load(bound[0], IMAGEBIND)


def test_imagebind_has_the_sizes_that_were_published():
    with torch.device("meta"):
        network = imagebind.Network(ImageBindConfig())
    state = network.state_dict()
    sizes = {
        kind: sum(v.numel() for k, v in state.items() if k.split(".")[1] == kind)
        for kind in ("vision", "audio")
    }
    # A ViT-H/14 has 12 D^2 + 13 D numbers in each of 32 layers; 632 M in all. A ViT-B has 86 M.
    assert sizes["vision"] // 10**6 == 632 and sizes["audio"] // 10**6 == 86
    wide = 1280
    assert sizes["vision"] == 32 * (12 * wide**2 + 13 * wide) + wide * (3 * 2 * 14 * 14 + 257 + 1 + 4 + 1024)
    assert state["modality_preprocessors.vision.rgbt_stem.proj.1.weight"].shape == (1280, 3, 2, 14, 14)
    assert state["modality_preprocessors.audio.pos_embedding_helper.pos_embed"].shape == (1, 229, 768)
    assert state["modality_trunks.audio.blocks.11.attn.bias_k"].shape == (1, 1, 768)
    assert state["modality_trunks.vision.pre_transformer_layer.0.weight"].shape == (1280,)
    assert state["modality_heads.audio.2.weight"].shape == (1024, 768)


def test_imagebind_sees_what_the_clip_of_transformers_sees(ib):
    """Of a still, a pair of pictures under a kernel is one picture under the sum of its two halves."""
    c = IMAGEBIND.vision
    clip = transformers.CLIPVisionModelWithProjection(
        transformers.CLIPVisionConfig(
            hidden_size=c.width,
            intermediate_size=4 * c.width,
            num_hidden_layers=c.layers,
            num_attention_heads=c.heads,
            patch_size=14,
            hidden_act="gelu",
            layer_norm_eps=1e-6,
            projection_dim=IMAGEBIND.embedding,
        )
    ).eval()
    ours = ib.network.state_dict()
    front, trunk = "modality_preprocessors.vision.", "modality_trunks.vision."
    theirs = {
        "vision_model.embeddings.class_embedding": ours[front + "cls_token"][0, 0],
        "vision_model.embeddings.patch_embedding.weight": ours[front + "rgbt_stem.proj.1.weight"].sum(2),
        "vision_model.embeddings.position_embedding.weight": ours[front + "pos_embedding_helper.pos_embed"][
            0
        ],
        "visual_projection.weight": ours["modality_heads.vision.2.weight"],
    }
    for leaf in ("weight", "bias"):
        theirs[f"vision_model.pre_layrnorm.{leaf}"] = ours[f"{trunk}pre_transformer_layer.0.{leaf}"]
        theirs[f"vision_model.post_layernorm.{leaf}"] = ours[f"modality_heads.vision.0.{leaf}"]
        for i in range(c.layers):
            old, new = f"{trunk}blocks.{i}.", f"vision_model.encoder.layers.{i}."
            for a, b in (("norm_1.", "layer_norm1."), ("norm_2.", "layer_norm2."), ("mlp.", "mlp.")):
                for part in ("fc1.", "fc2.") if a == "mlp." else ("",):
                    theirs[f"{new}{b}{part}{leaf}"] = ours[f"{old}{a}{part}{leaf}"]
            theirs[f"{new}self_attn.out_proj.{leaf}"] = ours[f"{old}attn.out_proj.{leaf}"]
            parts = ours[f"{old}attn.in_proj_{leaf}"].chunk(3)
            for name, part in zip("qkv", parts, strict=True):
                theirs[f"{new}self_attn.{name}_proj.{leaf}"] = part
    clip.load_state_dict(theirs, strict=False)
    assert not set(theirs) - set(clip.state_dict())
    still = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        seen = ib.network("vision", torch.stack([still, still], 2))
        torch.testing.assert_close(seen, F.normalize(clip(still).image_embeds, dim=-1), rtol=1e-4, atol=1e-5)


def test_imagebind_hears_beside_each_token_one_key_that_it_learned(ib):
    block = ib.network.modality_trunks["audio"].blocks[0]
    attn, heads = block.attn, IMAGEBIND.audio.heads
    x = torch.randn(1, 5, IMAGEBIND.audio.width, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        q, k, v = F.linear(block.norm_1(x), attn.in_proj_weight, attn.in_proj_bias).chunk(3, -1)
        k, v = torch.cat([k, attn.bias_k], 1), torch.cat([v, attn.bias_v], 1)
        q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))
        weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
        assert weights.shape == (1, heads, 5, 6)
        middle = x + attn.out_proj((weights @ v).transpose(1, 2).flatten(2))
        wanted = middle + block.mlp.fc2(F.gelu(block.mlp.fc1(block.norm_2(middle))))
        torch.testing.assert_close(block(x), wanted)


@pytest.mark.filterwarnings("ignore:At least one mel filter")  # the lowest are narrower than a bin; so in AST
def test_the_filter_bank_of_imagebind_is_kaldis():
    sound = noise(2, 16_000) + 0.05
    bands = imagebind.log_mel(torch.from_numpy(sound)).numpy()
    wanted = kaldi(sound - sound.mean())
    assert wanted.shape == (128, 198)
    np.testing.assert_allclose(bands[:, :198], wanted, atol=2e-3)
    assert (bands[:, 198:] == 0).all() and bands.shape == (128, 204)


def test_three_squares_of_a_picture():
    wide = np.zeros((224, 301, 3), np.uint8)
    wide[:] = (np.arange(301) % 256)[None, :, None]
    squares = imagebind.crops(wide)
    for square, start in zip(squares, (0, ceil(77 / 2), 77), strict=True):
        columns = torch.arange(start, start + 224) % 256
        torch.testing.assert_close(square[:, 100], torch.stack([colours(float(c)) for c in columns], 1))
    tall = imagebind.crops(np.ascontiguousarray(wide.transpose(1, 0, 2)))
    torch.testing.assert_close(tall, squares.mT)
    small = imagebind.crops(wide[:112, :112].copy())
    assert small.shape == (3, 3, 224, 224)
    assert (small == small[0]).all()  # of a square, all three are the whole


@pytest.mark.parametrize("seconds, greys", [(8, [20, 60, 100, 140]), (4, [20, 60]), (5.92, [20, 60, 100])])
def test_pictures_for_imagebind_are_two_seconds_apart(tmp_path, seconds, greys):
    # Each is the one nearest to its time, so it may be of the moment just before the middle of the 2 s.
    shown = [pair[0, :, :, 100, 100] for pair in imagebind.film(clip_of(tmp_path, seconds))]
    assert len(shown) == len(greys) - 1
    for pair, first, second in zip(shown, greys, greys[1:], strict=False):
        for column, grey in zip(pair.T, (first, second), strict=True):
            torch.testing.assert_close(column, colours(grey), atol=0.1, rtol=0)


def test_the_ib_score_is_the_cosine_of_two_means(ib, tmp_path):
    clip, sound = clip_of(tmp_path, 6, clips.ball), noise(6, 44_100)
    score = ib.score(clip, sound)
    assert -1 <= score <= 1 and ib.score(clip, np.stack([sound, sound])) == pytest.approx(score, abs=1e-6)
    with torch.no_grad():
        seen = torch.cat([ib.network("vision", pair) for pair in imagebind.film(clip)])
        assert seen.shape == (6, 16)  # two pairs in three crops
        assert seen.norm(dim=1).numpy() == pytest.approx(1, abs=1e-5)
        mean = seen.mean(0)
        heard = ib.hear(sound)
    assert score == pytest.approx(float(mean @ heard / mean.norm() / heard.norm()), abs=1e-5)
    assert ib.protocol == "ib-score/imagebind-huge/av-benchmark"


def test_imagebind_hears_the_beginning_the_middle_and_the_end(ib):
    def parts(*loud: float) -> np.ndarray:
        sound = noise(8, 44_100) * 0.01
        for start in loud:
            sound[round(start * 44_100) : round((start + 1) * 44_100)] *= 100
        return sound

    quiet = ib.hear(parts())
    for start, noticed in ((0.5, True), (3.5, True), (6.5, True), (2.0 + 0.02, False), (5.0 + 0.02, False)):
        change = float((ib.hear(parts(start)) - quiet).norm())
        assert (change > 0.02) == noticed, (start, change)


def test_what_imagebind_cannot_score_has_a_reason(ib, tmp_path):
    with pytest.raises(ValueError, match=r"c\.mp4 lasts only 3\.00 s of the 4 s"):
        ib.score(clip_of(tmp_path, 3), noise(3, 44_100))
    with pytest.raises(ValueError, match=r"this sound lasts only 1\.90 s"):
        ib.hear(noise(1.9, 44_100))


def test_only_the_weights_of_imagebind_are_taken(bound, tmp_path):
    _, tensors = bound
    with pytest.raises(
        UserError, match=r"imagebind_huge\.pth from facebookresearch/ImageBind .*no commercial use"
    ):
        imagebind.load(tmp_path, IMAGEBIND)
    for change, words in (
        (lambda t: t.pop("modality_trunks.audio.blocks.1.attn.bias_v"), "lacks the tensor .*bias_v"),
        (
            lambda t: t.update({"modality_trunks.smell.x": torch.ones(1)}),
            "has a tensor 'modality_trunks.smell.x'",
        ),
        (lambda t: t.update({"modality_heads.vision.2.weight": torch.ones(1, 2)}), "has shape"),
    ):
        broken = dict(tensors)
        change(broken)
        torch.save(broken, tmp_path / "imagebind_huge.pth")
        with pytest.raises(UserError, match=words):
            imagebind.load(tmp_path, IMAGEBIND)


# DeSync


@pytest.fixture(scope="module")
def synced(tmp_path_factory):
    """(folder, the tensors of its synchformer_state_dict.pth)"""
    draw = torch.Generator().manual_seed(5)
    tensors = {
        name: 0.1 * torch.randn(shape, generator=draw)
        for name, shape in official.sync_shapes(DESYNC.visual).items()
    }
    tensors |= randomised(desync.Network(DESYNC), 6, 0.2).state_dict()
    folder = tmp_path_factory.mktemp("desync")
    torch.save(tensors, folder / "synchformer_state_dict.pth")
    return folder, tensors


@pytest.fixture(scope="module")
def judge(synced):
    return desync.load(synced[0], DESYNC)


def test_the_grid_of_offsets():
    np.testing.assert_array_equal(GRID, np.linspace(-2, 2, 21).round(1))
    assert GRID[10] == 0 and len(GRID) == 21


def test_synchformer_has_the_size_that_was_published():
    with torch.device("meta"):
        state = desync.Network(DeSyncConfig()).state_dict()
    shapes = official.sync_shapes(SynchformerConfig()) | {k: list(v.shape) for k, v in state.items()}
    # The published file has 950 MB, in float32.
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 237_460_245
    assert shapes["transformer.pos_emb_cfg.pos_emb"] == [1, 1 + 14 * 8 + 1 + 14 * 6, 768]
    assert shapes["afeat_extractor.ast.embeddings.position_embeddings"] == [1, 74, 768]
    assert shapes["transformer.off_head.weight"] == [21, 768]
    assert shapes["afeat_extractor.freq_attn_agg.cls_token"] == [1, 1, 768]


def test_the_front_end_of_desync():
    """Against the spectra and filters of transformers, which are those of torchaudio."""
    from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

    sound = noise(0.64, 16_000)
    filters = mel_filter_bank(513, 128, 0, 8000, 16_000, None, "htk")
    np.testing.assert_allclose(desync.mel_filters().numpy(), filters, atol=1e-5)
    bands = spectrogram(
        sound, window_function(400, "hann"), 400, 160, 1024, power=2.0, mel_filters=filters, mel_floor=0.0
    )
    assert bands.shape == (128, 65)
    found = desync.log_mel(torch.from_numpy(sound)[None]).numpy()[0]
    np.testing.assert_allclose(found[:, :65], (np.log(bands + 1e-6) + 4.2677393) / 9.1379948, atol=1e-3)
    np.testing.assert_allclose(found[:, 65], 4.2677393 / 9.1379948, rtol=1e-6)


def test_desync_hears_what_the_ast_of_transformers_hears(judge):
    config = transformers.ASTConfig(
        hidden_size=DESYNC.width,
        num_hidden_layers=DESYNC.sound_layers,
        num_attention_heads=DESYNC.sound_heads,
        intermediate_size=4 * DESYNC.width,
        max_length=66,
    )
    theirs = transformers.ASTModel(config).eval()
    ast = judge.network.afeat_extractor.ast
    assert not theirs.load_state_dict(renamed_ast(ast.state_dict(), theirs.state_dict())).missing_keys
    bands = torch.randn(3, 128, 66, generator=torch.Generator().manual_seed(8))
    with torch.no_grad():
        torch.testing.assert_close(ast(bands), theirs(bands.mT).last_hidden_state, rtol=1e-4, atol=1e-5)
        # Six moments: each is heard by itself, all its bands together.
        one = judge.network.afeat_extractor(bands)
        assert one.shape == (3, 6, DESYNC.width)
        gather = judge.network.afeat_extractor.freq_attn_agg
        third = ast(bands)[:, 2:].unflatten(1, (12, 6))[:, :, 2]
        torch.testing.assert_close(one[:, 2], gather.gather(third), rtol=1e-4, atol=1e-5)


def test_desync_compares_with_plain_transformer_layers(judge):
    """All tokens in one row: the answer, 112 of the picture, the border, 84 of the sound; each has its place."""
    network, width = judge.network, DESYNC.width
    compare, draw = network.transformer, torch.Generator().manual_seed(9)
    block = compare.blocks[0]
    layer = torch.nn.TransformerEncoderLayer(
        width, DESYNC.heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
    ).eval()
    parts = (block.attn.query, block.attn.key, block.attn.value)
    theirs = {
        f"self_attn.in_proj_{leaf}": torch.cat([getattr(p, leaf) for p in parts])
        for leaf in ("weight", "bias")
    }
    for name, ours in (
        ("self_attn.out_proj", block.attn.proj),
        ("linear1", block.mlp[0]),
        ("linear2", block.mlp[2]),
        ("norm1", block.ln1),
        ("norm2", block.ln2),
    ):
        theirs |= {f"{name}.weight": ours.weight, f"{name}.bias": ours.bias}
    layer.load_state_dict(theirs)
    seen, heard = torch.randn(1, 14, 8, width, generator=draw), torch.randn(1, 14, 6, width, generator=draw)
    with torch.no_grad():
        v = compare.vis_in_lnorm(network.vproj(seen)).reshape(1, 112, width)
        a = compare.aud_in_lnorm(network.aproj(heard)).reshape(1, 84, width)
        row = torch.cat([compare.OFF_tok, v, compare.MOD_tok, a], 1) + compare.pos_emb_cfg.pos_emb
        wanted = compare.off_head(compare.ln_f(layer(row)[:, 0]))
        torch.testing.assert_close(network(seen, heard), wanted, rtol=1e-4, atol=1e-5)


def renamed_ast(ours: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names of the transformers that the file was made with -> those of the one that is installed."""
    if set(ours) == set(wanted):
        return ours
    names = {
        "encoder.layer.": "layers.",
        "attention.attention.query": "attention.q_proj",
        "attention.attention.key": "attention.k_proj",
        "attention.attention.value": "attention.v_proj",
        "attention.output.dense": "attention.o_proj",
        "intermediate.dense": "mlp.fc1",
        "output.dense": "mlp.fc2",
    }
    found = {}
    for name, tensor in ours.items():
        for old, new in names.items():
            name = name.replace(old, new)
        found[name] = tensor
    return found


def test_desync_gives_the_mean_of_two_offsets_of_the_grid(judge, tmp_path):
    clip, sound = clip_of(tmp_path, 5.2, clips.ball), noise(5.2, 44_100)
    offset = judge.offset(clip, sound)
    first, last = judge.offsets(clip, sound)
    assert offset == (abs(first) + abs(last)) / 2
    assert first in GRID and last in GRID
    assert judge.protocol == "desync/synchformer-24-01-04T16-39-21/first-and-last-4.8s" and judge.unit == "s"


class Witness:
    """In place of both networks: keeps what it is given, and answers with what it is told."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.seen: list[list[int]] = []
        self.heard: list[Tensor] = []

    def look(self, pictures: list[Tensor]) -> Tensor:
        self.seen.append([int(picture.float().mean()) for picture in pictures])
        return torch.zeros(14 * 8, 4)

    def afeat_extractor(self, bands: Tensor) -> Tensor:
        self.heard.append(bands)
        return torch.zeros(14, 6, 4)

    def __call__(self, seen: Tensor, heard: Tensor) -> Tensor:
        assert seen.shape == (1, 14, 8, 4) and heard.shape == (1, 14, 6, 4)
        return F.one_hot(torch.tensor([self.answers.pop(0)]), 21).float()


def test_desync_compares_the_first_and_the_last_of_a_clip(tmp_path):
    witness = Witness(13, 4)
    sound = noise(8, 44_100)
    sound[: 4 * 44_100] *= 0.001
    judge = DeSync(witness, witness)
    assert judge.offset(clip_of(tmp_path, 8), sound) == pytest.approx((0.6 + 1.2) / 2)
    first, last = witness.seen
    assert len(first) == len(last) == 120
    # 24 segments of 16 pictures, one every 8: the last 14 begin with picture 80, at 3.2 s.
    np.testing.assert_allclose(first[::25], [20, 40, 60, 80, 100], atol=3)
    np.testing.assert_allclose(last[::25], [80, 100, 120, 140, 160], atol=3)
    early, late = witness.heard
    assert early.shape == late.shape == (14, 128, 66)
    # Segment i of the first lasts from 0.32 i to 0.32 i + 0.64 s, and what is before 4 s is quiet.
    loud = early[..., :65].mean((1, 2)) > late[:, :, :65].mean() - 0.5
    assert loud.tolist() == [0.32 * i + 0.64 > 4.2 for i in range(14)]
    shared = early[10:, :, 2:62], late[:4, :, 2:62]
    torch.testing.assert_close(*shared)


def test_a_long_clip_is_not_seen_in_the_middle(tmp_path):
    witness = Witness(10, 10)
    assert DeSync(witness, witness).offset(clip_of(tmp_path, 11), noise(11, 44_100)) == 0
    first, last = (np.array(greys) for greys in witness.seen)
    # 275 pictures: 33 segments, of which the last 14 begin with picture 152 and end before 272. Second k is of grey
    # 20 + 20 k and begins with picture 25 k.
    seconds = [round((grey - 20) / 20) for grey in (*first, *last)]
    assert seconds == [k // 25 for k in (*range(120), *range(152, 272))]


@pytest.mark.parametrize(
    "video, sound, words",
    [
        (4.76, 6, r"c\.mp4 lasts only 4\.76 s"),
        (6, 5.8, r"lasts 6\.00 s but the sound only 5\.80 s"),
        (4.8, 4.75, r"the sound only 4\.72 s"),
    ],
)
def test_what_desync_cannot_score_has_a_reason(judge, tmp_path, video, sound, words):
    with pytest.raises(ValueError, match=words):
        judge.offset(clip_of(tmp_path, video), noise(sound, 44_100))


def test_only_the_weights_of_synchformer_are_taken(synced, tmp_path):
    _, tensors = synced
    with pytest.raises(
        UserError, match=r"synchformer_state_dict\.pth from release v0.1 of github.com/hkchengrex/MMAudio"
    ):
        desync.load(tmp_path, DESYNC)
    for change, words in (
        (lambda t: t.pop("transformer.off_head.bias"), "lacks the tensor 'transformer.off_head.bias'"),
        (lambda t: t.pop("vfeat_extractor.cls_token"), "lacks the tensor 'cls'"),
        (
            lambda t: t.pop("vfeat_extractor.patch_embed.proj.bias"),
            "is not the Synchformer that was published",
        ),
        (lambda t: t.update({"sync_head.weight": torch.ones(1)}), "has a tensor 'sync_head.weight'"),
    ):
        broken = dict(tensors)
        change(broken)
        torch.save(broken, tmp_path / "synchformer_state_dict.pth")
        with pytest.raises(UserError, match=words):
            desync.load(tmp_path, DESYNC)


def test_weights_without_a_config_must_be_the_published_ones(synced):
    with pytest.raises(UserError, match="is not the file that was published"):
        desync.load(synced[0])
