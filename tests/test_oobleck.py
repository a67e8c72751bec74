"""The autoencoder of ThinkSound against recorded outputs of the released code, and its tiles against one piece."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golden import recipe
from reasound.checkpoints import official
from reasound.checkpoints.store import fill
from reasound.synthesis import oobleck
from reasound.synthesis.oobleck import Conv, Oobleck, OobleckConfig, Part, Snake, Up, build

GOLDEN = Path(__file__).parent / "golden"
TINY = {"channels": 8, "multiples": [1, 2, 4], "strides": [2, 4, 8], "latent": 4}
RATIO = 64


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "tiny_vae.npz") as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def theirs() -> dict[str, Tensor]:
    path = GOLDEN / "tiny_vae_ckpt.safetensors"
    return official.parts(official.read(path), path.name)["codec"]


def tiny(theirs: dict[str, Tensor]) -> Oobleck:
    model = build(TINY)
    fill(model, official.vae(theirs), "the golden weights")
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def model(theirs: dict[str, Tensor]) -> Oobleck:
    return tiny(theirs)


def close(found: Tensor, wanted: np.ndarray, tolerance: float = 5e-5) -> None:
    np.testing.assert_allclose(found.numpy(), wanted, rtol=0, atol=tolerance)


def deviation(scale: np.ndarray) -> np.ndarray:
    """What the released encoder writes beside the mean, as a deviation."""
    return np.logaddexp(0, scale) + 1e-4


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def test_moments_are_those_of_the_released_code(model: Oobleck, golden: dict) -> None:
    mean, spread = model.moments(torch.from_numpy(golden["audio"]))
    close(mean, golden["enc_mean"])
    close(spread, deviation(golden["enc_scale"]))


def test_latents_are_drawn_as_in_the_released_code(model: Oobleck, golden: dict) -> None:
    audio = torch.from_numpy(golden["audio"])
    close(model.encode(audio, torch.Generator().manual_seed(1234)), golden["encode_seed1234"])
    mean, spread = model.moments(audio)
    close(mean + spread * torch.from_numpy(golden["eps_seed1234"]), golden["encode_seed1234"])


def test_a_last_latent_that_is_not_whole_is_left_out_as_in_the_released_code(
    model: Oobleck, golden: dict
) -> None:
    odd = torch.from_numpy(recipe.inputs("audio_odd", (1, 2, 357), 0.3))
    close(model.moments(odd)[0], golden["encode_odd_len_mean"])


def test_sound_is_that_of_the_released_code(model: Oobleck, golden: dict) -> None:
    close(model.decode(torch.from_numpy(golden["z"])), golden["decode"])


def test_sound_in_pieces_is_that_of_the_released_code(model: Oobleck, golden: dict) -> None:
    """Its pieces of 20 latents overlap by 16, of which half is cut off at inner ends: too few to be exact, so these are
    the released code's numbers, not ours."""
    z, pieces = torch.from_numpy(golden["z"]), torch.zeros(golden["decode"].shape)
    for start, left, right in ((0, 0, 8), (4, 8, 0)):
        sound = model.decode(z[:, :, start : start + 20])
        pieces[:, :, (start + left) * RATIO : (start + 20 - right) * RATIO] = sound[
            :, :, left * RATIO : (20 - right) * RATIO
        ]
    close(pieces, golden["decode_chunked_o16_c20"])


@pytest.mark.full
def test_the_network_of_full_size_is_the_released_one() -> None:
    shapes = official.vae_shapes(OobleckConfig())
    weights = {name: torch.from_numpy(recipe.weights(name, shape)) for name, shape in shapes.items()}
    model = build({})
    fill(model, official.vae(weights), "the golden weights")
    del weights
    with np.load(GOLDEN / "full_dit_vae.npz") as archive:
        golden = {name: archive[name] for name in archive if name.startswith("vae_")}
    sound = model.decode(torch.from_numpy(recipe.inputs("F.z", (1, 64, 12))))
    close(sound[:, :, ::7], golden["vae_decode_every7"], 1e-4)
    close(sound[:, :, :256], golden["vae_decode_head"], 1e-4)
    stats = [sound.mean(), sound.std(), sound.abs().max(), sound.abs().mean(), sound.square().sum()]
    np.testing.assert_allclose([s.item() for s in stats], golden["vae_decode_stats"], rtol=1e-3, atol=1e-4)
    mean, spread = model.moments(torch.from_numpy(recipe.inputs("F.audio", (1, 2, 20480), 0.3)))
    close(mean, golden["vae_enc_mean"], 1e-4)
    close(spread, deviation(golden["vae_enc_scale"]), 1e-4)
    model.lower(torch.bfloat16)
    low = model.decode(torch.from_numpy(recipe.inputs("F.z", (1, 64, 12))))
    assert 20 * math.log10((low - sound).norm() / sound.norm()) < -35  # found: -37.6 dB


@pytest.mark.parametrize("latents", [1, 2, 7, 8, 24, 61])
def test_tiles_make_the_sound_of_one_piece(
    model: Oobleck, monkeypatch: pytest.MonkeyPatch, latents: int
) -> None:
    z = noise(2, 4, latents)
    whole = model.decode(z)
    assert whole.shape == (2, 2, latents * RATIO)
    monkeypatch.setitem(oobleck.TILE, "cpu", 50)
    close(model.decode(z), whole.numpy(), 1e-5)
    monkeypatch.setattr(oobleck, "CHUNK", 7)
    close(model.decode(z), whole.numpy(), 1e-5)


@pytest.mark.parametrize("samples", [64, 127, 700, 64 * 40 + 13])
def test_tiles_hear_what_one_piece_hears(
    model: Oobleck, monkeypatch: pytest.MonkeyPatch, samples: int
) -> None:
    audio = noise(1, 2, samples)
    whole = model.moments(audio)
    assert whole[0].shape == (1, 4, samples // RATIO)
    monkeypatch.setitem(oobleck.TILE, "cpu", 50)
    monkeypatch.setattr(oobleck, "CHUNK", 7)
    for tiled, one in zip(model.moments(audio), whole, strict=True):
        close(tiled, one.numpy(), 1e-5)


def test_what_is_held_at_a_time_does_not_grow_with_the_sound(
    model: Oobleck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(oobleck.TILE, "cpu", 200)
    monkeypatch.setattr(oobleck, "CHUNK", 16)
    rows: dict[nn.Module, int] = {}

    def note(part: nn.Module, args: tuple[Tensor], out: Tensor) -> None:
        rows[part] = max(rows.get(part, 0), len(args[0]), len(out))

    hooks = [part.register_forward_hook(note) for part in model.modules() if isinstance(part, Part)]
    try:
        model.decode(noise(1, 4, 16 * 8))
        model.moments(noise(1, 2, 16 * 8 * RATIO))
    finally:
        for hook in hooks:
            hook.remove()
    # A chunk and what it depends on; between the stages this is all.
    assert rows[model.decoder] <= (16 + 11 + 11) * RATIO
    assert rows[model.encoder] <= (16 + 9 + 10) * RATIO
    # A tile, 13 steps of three taps on both sides before and after two strides at most.
    steps = [rows[part] for part in model.modules() if isinstance(part, (Snake, Conv, Up))]
    assert max(steps) <= 200 + 2 * 3 * 13 + 2 * 3 + 3 * 8


@pytest.mark.parametrize(
    ("settings", "latents", "samples"),
    [({}, 10, (-14_885, 16_932)), (TINY, 11, (-533, 596))],
)
def test_each_part_reads_what_it_depends_on(settings: dict, latents: int, samples: tuple[int, int]) -> None:
    """The reach of the released networks, as measured with their gradients."""
    with torch.device("meta"):
        model = build(settings)
    ratio = model.config.samples_per_latent
    assert model.decoder.reads(30 * ratio, 31 * ratio - 1) == (30 - latents, 30 + latents)
    assert model.encoder.reads(30, 30) == (30 * ratio + samples[0], 30 * ratio + samples[1])


def test_a_transposed_convolution_is_a_convolution_of_pairs() -> None:
    weight, bias, x = noise(3, 5, 8), noise(5), noise(3, 11)
    name = official.VAE_PREFIX + "decoder.layers.1.layers.1."
    ours = official.vae({name + "weight_g": noise(3, 1, 1), name + "weight_v": weight, name + "bias": bias})
    up = Up(3, 5, 4)
    up.load_state_dict({key.removeprefix("decoder.1.1."): value for key, value in ours.items()})
    normed = weight * noise(3, 1, 1) / weight.norm(dim=(1, 2), keepdim=True)  # by input, not by output
    wanted = F.conv_transpose1d(x[None], normed, bias, stride=4, padding=2)[0].t()
    torch.testing.assert_close(up(x.t()), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "padding"), [(7, 1, 1, None), (7, 1, 9, None), (8, 4, 1, 2)]
)
def test_gathered_taps_make_the_same_convolution(
    kernel: int, stride: int, dilation: int, padding: int | None
) -> None:
    conv = Conv(6, 10, kernel, stride=stride, dilation=dilation, padding=padding)
    nn.init.normal_(conv.bias)
    x = noise(41, 6)
    product = F.linear(conv.gathered(x), conv.weight, conv.bias)
    torch.testing.assert_close(product, conv(x), rtol=0, atol=1e-5)
    weight = conv.weight.unflatten(1, (kernel, 6)).transpose(1, 2)
    wanted = F.conv1d(x.t()[None], weight, conv.bias, stride, conv.padding, dilation)[0].t()
    torch.testing.assert_close(product, wanted, rtol=0, atol=1e-5)


def test_a_snake_is_what_its_logarithms_say() -> None:
    name = official.VAE_PREFIX + "decoder.layers.6."
    alpha, beta, x = noise(4), noise(4).flip(0), noise(9, 4) * 5
    snake = Snake(4)
    ours = official.vae({name + "alpha": alpha, name + "beta": beta})
    snake.load_state_dict({key.removeprefix("decoder.6."): value for key, value in ours.items()})
    wanted = x + (alpha.exp() * x).sin().square() / (beta.exp() + 1e-9)
    torch.testing.assert_close(snake(x), wanted, rtol=0, atol=2e-5)


@pytest.mark.parametrize("amx", [False, True])
def test_bfloat16_is_for_products_only(
    theirs: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch, amx: bool
) -> None:
    monkeypatch.setattr(oobleck, "matrix_units", lambda: amx)
    model, z, audio = tiny(theirs), noise(1, 4, 30), noise(1, 2, 30 * RATIO)
    sound, mean = model.decode(z), model.moments(audio)[0]
    model.lower(torch.bfloat16)
    for name, parameter in model.named_parameters():
        ends = name.split(".")[:2] in (["encoder", "0"], ["encoder", "5"], ["decoder", "0"], ["decoder", "5"])
        exact = ends or name.endswith(("frequency", "size"))
        assert parameter.dtype == (torch.float32 if exact else torch.bfloat16), name
    for exact, low in ((sound, model.decode(z)), (mean, model.moments(audio)[0])):
        assert low.dtype == torch.float32
        assert 1e-4 < (low - exact).norm() / exact.norm() < 0.03
    assert model.decoder[1][2](noise(9, 16).bfloat16()).dtype == torch.float32  # a sum of what is rounded
    model.lower(torch.float32)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_foreign_and_half_tensors_are_named(theirs: dict[str, Tensor]) -> None:
    for name in (
        "pretransform.model.decoder.layers.1.gamma",
        "pretransform.model.quantizer.bias",
        "autoencoder.x",
    ):
        with pytest.raises(ValueError, match=f"'{name}' is not part of a released"):
            official.vae({**theirs, name: torch.zeros(1)})
    name = "pretransform.model.decoder.layers.1.layers.1.weight_"
    with pytest.raises(ValueError, match=f"'{name}v' but not what belongs to it"):
        official.vae({key: value for key, value in theirs.items() if key != name + "g"})


def test_settings_that_make_no_oobleck_are_refused() -> None:
    with pytest.raises(TypeError, match="unknown setting 'final_tanh'"):
        build({**TINY, "final_tanh": True})
    for wrong in ({"strides": [2, 3, 8]}, {"strides": [2, 8]}):
        with pytest.raises(ValueError, match="one even stride for each multiple"):
            build({**TINY, **wrong})


def test_too_little_sound_is_refused(model: Oobleck) -> None:
    with pytest.raises(ValueError, match="63 samples are too few for one latent"):
        model.moments(noise(1, 2, 63))


def test_a_network_without_numbers_can_be_built(theirs: dict[str, Tensor]) -> None:
    """As the store does it: filled by assignment, so nothing may be computed while it is built."""
    with torch.device("meta"):
        model = build(TINY)
    model.load_state_dict(official.vae(theirs), assign=True, strict=True)
    model.requires_grad_(False).lower(torch.float32)
    assert model.decode(noise(1, 4, 3)).isfinite().all()
    assert not list(model.buffers()) and all(isinstance(part, Part) for part in model.decoder)
