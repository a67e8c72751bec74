"""The audio codec: what it computes can be known on paper; what it learns resumes bit for bit."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from reasound.data.crops import Crops
from reasound.data.recordings import RATE, Recordings, decode_once
from reasound.evaluation.yamnet import Yamnet
from reasound.synthesis import codec as codec_module
from reasound.synthesis.codec import Codec, CodecConfig, Controls
from reasound.synthesis.spectra import Frames, _Analysis, _Synthesis, nearby_tone, phase_advance
from reasound.training.codec import CodecTraining, SpectralLoss, Trainer, kl_loss
from reasound.training.discriminators import Judges
from reasound.training.loop import Budget
from reasound.training.principal import start_linear
from reasound.training.tag_loss import SAMPLES, TagLoss

TINY = CodecConfig(
    latent=8,
    encoder_width=16,
    encoder_blocks=1,
    encoder_mid_blocks=1,
    decoder_width=16,
    decoder_blocks=1,
    decoder_mid_blocks=1,
    mid_width=16,
)
SMALL = replace(TINY, window=256, hop=64)  # 512 samples a latent: for training
BIN = 44_100 / 1024  # Hz


def tiny(seed=0, tone=0.0):
    """A codec with random weights everywhere; `tone` is added to the logits of the share of tone."""
    torch.manual_seed(seed)
    codec = Codec(TINY)
    for p in codec.parameters():
        if p.ndim > 1 and not p.any():
            torch.nn.init.normal_(p, std=0.1)
    with torch.no_grad():
        codec.decoder.write.bias[3 * TINY.bins : 4 * TINY.bins] = tone
    return codec.requires_grad_(False)


def noise(*shape, seed=0, level=0.1):
    return level * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def sine(frequency, seconds=1.0):
    return torch.sin(2 * math.pi * frequency * torch.arange(int(seconds * RATE)) / RATE)


# -- lengths and shapes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("samples", "latents"), [(1, 1), (2048, 1), (2049, 2), (396_900, 194)])
def test_one_latent_for_every_started_block(samples, latents):
    assert CodecConfig().latents(samples) == latents


def test_encode_and_decode_keep_the_length():
    codec = tiny()
    latents = codec.encode(noise(2, 2, 5000))
    assert latents.shape == (2, 8, 3)
    assert codec.decode(latents).shape == (2, 2, 6144)
    assert codec.decode(latents, 5000).shape == (2, 2, 5000)


def test_bad_shapes_are_refused_in_words():
    codec, latents = tiny(), torch.zeros(1, 8, 2)
    with pytest.raises(ValueError, match="batch, 2, samples"):
        codec.encode(torch.zeros(1, 4000))
    with pytest.raises(ValueError, match="batch, 8, length"):
        codec.decode(torch.zeros(1, 9, 2))
    with pytest.raises(ValueError, match="at most 4096 samples"):
        codec.decode(latents, 5000)
    with pytest.raises(ValueError, match="2 seeds for 1 items"):
        codec.decode(latents, seed=[1, 2])


# -- transforms --------------------------------------------------------------------------------------------------------


def test_a_spectrum_and_back_is_the_same_sound():
    frames, sound = Frames(1024, 256), noise(3, 8192)
    back = frames.inverse(torch.view_as_complex(frames(sound)))
    torch.testing.assert_close(back, sound, atol=1e-5, rtol=0)


def test_the_derivatives_of_the_transforms_are_right():
    window = torch.hann_window(16, dtype=torch.float64)
    sound = torch.randn(2, 32, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: _Analysis.apply(x, window, 4), (sound,))
    frames = torch.randn(2, 8, 16, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: _Synthesis.apply(x, 4), (frames,))


@pytest.mark.parametrize("off", [-0.4, 0.0, 0.3])
def test_a_tone_between_two_bins_is_measured_exactly(off):
    tone = sine((20 + off) * BIN)[: 2048 * 16]
    spectrum = Frames(1024, 256)(torch.stack([tone, 0.5 * tone])[None])
    direction, power = phase_advance(spectrum, 256)
    assert power[0, 20:-20].argmax(-1).eq(20).all()
    torch.testing.assert_close(
        direction[0, 20:-20, 20].angle(), torch.full((88,), off * math.pi / 2), atol=0.01, rtol=0
    )
    magnitude = torch.view_as_complex(spectrum.contiguous()).abs()
    distance, doubt = nearby_tone(magnitude)
    torch.testing.assert_close(distance[0, 20:-20, 20], torch.full((88,), off), atol=0.02, rtol=0)
    assert doubt[0, 20:-20, 20].abs().max() < 0.02


def test_neighbours_of_flat_noise_say_nothing():
    distance, doubt = nearby_tone(torch.ones(1, 2, 3, 9))
    assert distance.abs().max() == 0 and doubt.sub(1).abs().max() < 1e-6


# -- what the decoder's controls sound like ----------------------------------------------------------------------------


def sounded(seed=0, **changes):
    """Controls of 16 frames, by default silence, as audio [2, 4096]."""
    bins, frames = TINY.bins, 16
    controls = Controls(
        magnitude=torch.zeros(1, 2, frames, bins),
        follow=torch.zeros(1, frames, bins),
        share=torch.zeros(1, frames, bins),
        advance=torch.zeros(1, frames, bins),
        gain=torch.ones(1, frames, TINY.window),
    )._replace(**changes)
    return tiny().decoder.sound(controls, noise(1, 2, 8192, seed=seed, level=1.0), torch.zeros(1, bins))[0][0]


def test_panned_mono_is_exact():
    magnitude = torch.zeros(1, 2, 16, TINY.bins)
    magnitude[:, 0] = 1.0
    left, right = sounded(magnitude=magnitude, follow=torch.full((1, 16, TINY.bins), 0.5))
    assert left.abs().max() > 0.01
    torch.testing.assert_close(left, 3.0 * right, atol=1e-6, rtol=1e-5)


def test_noise_at_magnitude_one_has_the_level_of_its_source():
    magnitude = torch.zeros(1, 2, 16, TINY.bins)
    magnitude[:, 0] = Frames(1024, 256).window.square().sum().sqrt()
    assert sounded(magnitude=magnitude)[0].std().item() == pytest.approx(1.0, rel=0.05)


def test_a_tone_has_the_pitch_that_its_advance_says():
    magnitude, off = torch.zeros(1, 2, 16, TINY.bins), 0.3
    magnitude[:, 0, :, 20] = 100.0
    advance = torch.full((1, 16, TINY.bins), off * math.pi / 2)
    sound = sounded(magnitude=magnitude, share=torch.ones(1, 16, TINY.bins), advance=advance)[0]
    middle = sound[1024:3072] * torch.hann_window(2048)
    spectrum = torch.fft.rfft(middle, n=1 << 18).abs()
    assert spectrum.argmax().item() * RATE / (1 << 18) == pytest.approx((20 + off) * BIN, abs=1.0)


# -- the same whatever is beside it ------------------------------------------------------------------------------------


def test_a_batch_is_its_items_alone():
    codec, sound = tiny(tone=2.0), noise(4, 2, 9000)
    latents = codec.encode(sound)
    together = codec.decode(latents, 9000, seed=[3, 1, 4, 1])
    for i, seed in enumerate([3, 1, 4, 1]):
        torch.testing.assert_close(codec.encode(sound[i : i + 1])[0], latents[i], atol=1e-4, rtol=1e-4)
        alone = codec.decode(latents[i : i + 1], 9000, seed=seed)[0]
        torch.testing.assert_close(alone, together[i], atol=1e-4, rtol=1e-4)


def test_layers_with_other_seeds_do_not_share_their_noise():
    codec, latents = tiny(tone=-20.0), noise(1, 8, 6, level=1.0).repeat(2, 1, 1)
    a, b = codec.decode(latents, seed=[1, 2])[:, 0]
    assert torch.corrcoef(torch.stack([a, b]))[0, 1].abs() < 0.1


def test_a_window_decoded_by_itself_joins_its_neighbours():
    codec, latents = tiny(tone=-20.0), noise(1, 8, 24, level=1.0)  # noise alone: tones keep pitch, not phase
    whole, margin, size = codec.decode(latents), TINY.margin, 2048
    begin, end = 8, 14
    window = codec.decode(latents[..., begin - margin : end + margin], start_latent=begin - margin)
    torch.testing.assert_close(
        window[..., margin * size : -margin * size],
        whole[..., begin * size : end * size],
        atol=1e-4,
        rtol=1e-4,
    )


@pytest.mark.parametrize("chunk", [5, 7, 20])
def test_a_long_sound_is_decoded_in_chunks_that_do_not_show(chunk, monkeypatch):
    codec, latents = tiny(tone=4.0), noise(1, 8, 20, level=1.0)
    whole = codec.decode(latents)
    monkeypatch.setattr(codec_module, "CHUNK", chunk)
    torch.testing.assert_close(codec.decode(latents), whole, atol=2e-4 * whole.abs().max().item(), rtol=0)


def test_weights_survive_a_file(tmp_path):
    codec, sound = tiny(), noise(1, 2, 5000)
    codec.save(tmp_path)
    loaded = Codec.load(tmp_path)
    assert loaded.config == TINY
    torch.testing.assert_close(loaded.encode(sound), codec.encode(sound), atol=0.02, rtol=0.02)


# -- training ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Four small recordings: bursts of noise to train on, one to validate, one under a licence that forbids it."""
    folder = tmp_path_factory.mktemp("sounds")
    rng, rows = np.random.default_rng(0), []
    for i, (split, licence) in enumerate(
        [("train", "CC0/PD"), ("train", "CC-BY"), ("val", "CC0/PD"), ("train", "GPL")]
    ):
        decay = np.exp(-np.arange(30_000) / 8000.0)[:, None]
        soundfile.write(folder / f"{i}.wav", 0.3 * rng.standard_normal((30_000, 1 + i % 2)) * decay, RATE)
        rows.append({"id": str(i), "file": f"{i}.wav", "split": split, "licence_group": licence})
    (folder / "manifest.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    decode_once(folder, folder / "cache")
    return folder / "cache"


def settings(**changes):
    return CodecTraining(
        **{
            "model": SMALL,
            "budget": Budget(steps=4),
            "batch": 2,
            "latents": 16,
            "start_batches": 24,
            "measure_batches": 2,
            "workers": 0,
            "report_every": 2,
            "validate_every": 4,
            **changes,
        }
    )


def test_recordings_keep_licence_split_and_silence_around(cache):
    recordings = Recordings(cache, "train")
    assert [e.id for e in recordings.entries] == ["0", "1"]
    assert not recordings.read(0, -100, 0).any() and recordings.read(0, -100, 50)[:, 100:].any()
    assert np.array_equal(*recordings.read(0))
    with pytest.raises(ValueError, match="no recording of test"):
        Recordings(cache, "test")
    with pytest.raises(ValueError, match="no manifest"):
        decode_once(cache, cache / "nothing")


def test_crops_are_a_function_of_their_number(cache):
    a, b = (Crops(Recordings(cache, "train"), 4, 4096, seed=3) for _ in range(2))
    assert torch.equal(a[7], b[7]) and not torch.equal(a[7], a[8])
    assert a[7].shape == (4, 2, 4096) and all(
        a[i].isfinite().all() and a[i].abs().max() <= 1.0 for i in range(8)
    )


def test_a_linear_start_gives_back_the_level_of_noise(cache):
    codec = Codec(SMALL)
    levels = torch.logspace(-3, -0.5, 60)[:, None, None]
    mono = noise(60, 1, 8 * 2048, level=1.0) * levels
    start_linear(codec, [mono.repeat(1, 2, 1)])
    for level in (0.004, 0.1):
        sound = noise(1, 1, 16 * 2048, seed=1, level=level).repeat(1, 2, 1)
        heard = codec.decode(codec.encode(sound))
        assert heard.std().item() == pytest.approx(level, rel=0.15)
    with pytest.raises(ValueError, match="more batches"):
        start_linear(codec, [mono[:1, :, :2048].repeat(1, 2, 1)])


def test_the_loss_is_nothing_for_the_recording_itself():
    loss, sound = SpectralLoss(), noise(2, 2, 8192)
    windows = [(64, 1.0), (1024, 1.0), (4096, 1.0)]
    assert all(part.abs() < 1e-4 for part in loss(sound, [sound, sound], windows).values())
    assert all(part > 0.1 for part in loss(sound, [0.5 * sound], windows).values())
    double = loss(sound, [0.5 * sound], windows)["mel"].item()
    assert double == pytest.approx(math.log(2), abs=0.01)


def test_kl_is_nothing_for_a_standard_normal():
    assert kl_loss(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)) == 0
    assert kl_loss(torch.full((1, 2, 3), 2.0), torch.zeros(1, 2, 3)) == pytest.approx(2.0)


def test_training_that_is_cut_off_goes_on_bit_for_bit(cache, tmp_path):
    crops = Crops(Recordings(cache, "train"), 2, 4 * 2048, 0)
    whole = Trainer(settings(), tmp_path)
    for i in range(4):
        whole.train_step(crops[i])
    first = Trainer(settings(), tmp_path)
    for i in range(2):
        first.train_step(crops[i])
    first.save()
    second = Trainer(settings(seed=9), tmp_path)
    second.resume()
    for i in range(second.step, 4):
        second.train_step(crops[i])
    for trained in ("model", "ema"):
        a, b = whole.state()[trained], second.state()[trained]
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_leaves_a_codec_and_the_decoder_can_go_on_alone(cache, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    Trainer(settings(), one).train(cache)
    rows = [json.loads(line) for line in (one / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4] and rows[-1]["held_out"]["mel"] > 0
    start = Codec.load(one)
    assert start.scale.sub(1).abs().max() > 0.01

    trainer = Trainer(settings(freeze_encoder=True, seed=1), two)
    trainer.start_from(start)
    trainer.train(cache)
    end, sound = Codec.load(two), noise(1, 2, 5000)
    assert torch.equal(end.encode(sound), start.encode(sound))
    assert not torch.equal(end.decoder.write.weight, start.decoder.write.weight)
    with pytest.raises(ValueError, match="other sizes"):
        Trainer(settings(model=replace(SMALL, latent=4)), two).start_from(start)


def test_judges_learn_to_tell_noise_from_tones_and_push_towards_the_real(cache, tmp_path):
    torch.manual_seed(0)
    judges = Judges((512,))
    optimizer = torch.optim.AdamW(judges.parameters(), lr=3e-3)
    t = torch.arange(8192) / RATE
    real = torch.sin(2 * math.pi * torch.tensor([440.0, 990.0])[:, None, None] * t).repeat(1, 2, 1) * 0.3
    made = noise(2, 2, 8192, level=0.2).requires_grad_()
    for _ in range(30):
        optimizer.zero_grad()
        judges.own_loss(0, real, made).backward()
        optimizer.step()
    assert made.grad is None  # the judge's lesson is not the decoder's
    assert judges.judges[0](real)[0].mean() > 0.5 > -0.5 > judges.judges[0](made)[0].mean()
    fooled, matching = judges.made_loss(0, real, made)
    assert fooled > 0.5 and matching > 0.1
    assert judges.made_loss(0, real, real)[1] < 1e-6
    (fooled + matching).backward()
    with torch.no_grad():
        better = made - 0.02 * made.grad / made.grad.abs().max()
    assert sum(judges.made_loss(0, real, better)) < fooled + matching


def test_adversarial_training_goes_on_exactly(cache, tmp_path):
    crops = Crops(Recordings(cache, "train"), 2, 4 * 2048, 0)
    adversarial = settings(adversarial=0.1)
    whole = Trainer(adversarial, tmp_path)
    losses = [whole.train_step(crops[i]) for i in range(4)]
    first = Trainer(adversarial, tmp_path)
    begun = [first.train_step(crops[i]) for i in range(2)]
    first.save()
    second = Trainer(adversarial, tmp_path)
    second.resume()
    assert begun + [second.train_step(crops[i]) for i in (2, 3)] == losses
    assert {"judge", "fooled", "matching"} <= set(losses[0])


def test_the_tagger_in_the_loss_hears_what_the_tagger_hears():
    loss, yamnet = TagLoss(), Yamnet.load()
    sound = noise(1, 1, SAMPLES, level=0.1)[0].cumsum(-1)
    sound = 0.5 * sound / sound.abs().max()
    _, embedding = yamnet(sound.numpy(), RATE)
    found = loss.features(sound)[-1][0]
    assert torch.nn.functional.cosine_similarity(found, torch.from_numpy(embedding[0]), dim=0) > 0.99
    stereo, other = sound[None].repeat(1, 2, 1), noise(1, 2, SAMPLES, seed=5)
    assert loss(stereo, [stereo, stereo]) == 0
    assert loss(0.1 * stereo, [0.1 * stereo] * 2) == 0
    assert loss(stereo, [other, other]) > 0.3
    draws = [other.clone().requires_grad_() for _ in range(2)]
    loss(stereo, draws).backward()
    assert all(d.grad.abs().max() > 0 for d in draws)
    assert all(p.grad is None for p in loss.parameters())
