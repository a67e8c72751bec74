"""The DiT against recorded outputs of the released code, and its own inputs against what they promise."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from golden import recipe
from reasound.accelerate import can_pack
from reasound.checkpoints import official
from reasound.checkpoints.store import fill
from reasound.synthesis.blocks import Condition, PairNorm, Stream, modulated
from reasound.synthesis.conditions import BESIDE, INPUTS, KEEP, Conditions, batched
from reasound.synthesis.dit import DiT, DiTConfig, distinct, limited, pocket, thinksound
from reasound.synthesis.flow import guided, integrate, sampling_times
from reasound.synthesis.rope import angles, rotate, turned_by_real_numbers

GOLDEN = Path(__file__).parent / "golden"
LATENTS = 32


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "tiny_dit.npz") as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def theirs() -> dict[str, Tensor]:
    keys = json.loads((GOLDEN / "tiny_dit.keys.json").read_text())["keys"]
    return {name: torch.from_numpy(recipe.weights(name, shape)) for name, shape in keys.items()}


@pytest.fixture(scope="module")
def model(theirs: dict[str, Tensor]) -> DiT:
    config = DiTConfig(latent=16, visual=48, sync=40, width=64, heads=4, joint_layers=2, solo_layers=2)
    model = DiT(config)
    fill(model, official.dit(theirs, heads=4), "the golden weights")
    return model.eval().requires_grad_(False)


def clip(i: int, visual: int = 12) -> Conditions:
    """One recorded clip."""

    def one(tag: str, *shape: int, scale: float = 1.0) -> Tensor:
        return torch.from_numpy(recipe.inputs(f"{tag}{i}", shape, scale))[None]

    return Conditions(
        visual=one("clip", visual, 48),
        sync=one("sync", 40, 40),
        caption=one("text", 77, 1024),
        reasoning=one("t5", 77, 2048, scale=0.5),
        missing=torch.zeros(1, len(INPUTS), dtype=torch.bool),
    )


BOTH = batched([clip(0), clip(1)])
X = torch.from_numpy(recipe.inputs("latent", (2, 16, LATENTS)))
NOISE = torch.from_numpy(recipe.inputs("noise", (2, 16, LATENTS)))
T = torch.tensor([0.9, 0.3])


def with_caption_vector() -> Conditions:
    vectors = torch.stack([torch.from_numpy(recipe.inputs(f"textg{i}", (1024,))) for i in (0, 1)])
    return replace(BOTH, pooled=vectors)


def without_second_video() -> Conditions:
    missing = BOTH.missing.clone()
    missing[1, [INPUTS.index("visual"), INPUTS.index("sync")]] = True
    return replace(BOTH, missing=missing)


def of_wrong_length() -> Conditions:
    """The released code cuts or pads with zeros what does not fit; we refuse, so the caller has to do it."""
    visual = torch.cat([clip(0, 14).visual, clip(1, 14).visual])[:, :12]
    return replace(BOTH, visual=visual, sync=F.pad(BOTH.sync[:, :32], (0, 0, 0, 8)))


def velocity(model: DiT, conditions: Conditions, scale: float, rescale: float = 0.0):  # noqa: ANN201
    halves = batched([conditions, conditions.unconditioned()])
    given = model.prepare(halves, LATENTS)
    return guided(lambda x, t: model.velocity(x, t.repeat(2) if t.ndim else t, given), scale, rescale)


@pytest.mark.parametrize(
    ("name", "conditions", "scale", "rescale"),
    [
        ("flow_cfg5", BOTH, 5.0, 0.0),
        ("flow_cfg5_phi07", BOTH, 5.0, 0.7),
        ("flow_cfg5_b1", BOTH.map(lambda v: v[:1]), 5.0, 0.0),
        ("flow_cfg5_globaltext", with_caption_vector(), 5.0, 0.0),
        ("flow_cfg5_novideo", without_second_video(), 5.0, 0.0),
        ("flow_cfg5_shortsync_longclip", of_wrong_length(), 5.0, 0.0),
    ],
)
def test_guided_velocities_are_those_of_the_released_code(
    model: DiT, golden: dict, name: str, conditions: Conditions, scale: float, rescale: float
) -> None:
    count = len(conditions)
    out = velocity(model, conditions, scale, rescale)(X[:count], T[:count])
    np.testing.assert_allclose(out.numpy(), golden[name], rtol=0, atol=2e-4)


def test_the_plain_velocity_is_that_of_the_released_code(model: DiT, golden: dict) -> None:
    np.testing.assert_allclose(model(X, T, BOTH).numpy(), golden["flow_cfg1"], rtol=0, atol=2e-4)


@pytest.mark.parametrize(
    ("name", "steps", "scale", "start"),
    [
        ("sample4_cfg5", 4, 5.0, 1.0),
        ("sample24_cfg5", 24, 5.0, 1.0),
        ("sample24_cfg1", 24, 1.0, 1.0),
        ("sample4_cfg5_sigma07", 4, 5.0, 0.7),
    ],
)
def test_samples_are_those_of_the_released_code(
    model: DiT, golden: dict, name: str, steps: int, scale: float, start: float
) -> None:
    out = integrate(velocity(model, BOTH, scale), NOISE, sampling_times(steps, start))
    np.testing.assert_allclose(out.numpy(), golden[name], rtol=0, atol=2e-4)


def test_tables_are_equal_to_the_bit(model: DiT, golden: dict) -> None:
    np.testing.assert_array_equal(model.time.frequencies().numpy(), golden["t_freqs"])
    latent, visual = model.prepare(BOTH, LATENTS).turns
    for table, name in ((latent, "latent_rot"), (visual, "clip_rot")):
        np.testing.assert_array_equal(table[..., 0].numpy(), golden[name].reshape(-1, 8, 2, 2)[:, :, 0, 0])
        np.testing.assert_array_equal(table[..., 1].numpy(), golden[name].reshape(-1, 8, 2, 2)[:, :, 1, 0])


def test_turning_without_complex_numbers_is_the_same() -> None:
    x, turns = torch.randn(3, 20, 16, generator=torch.Generator().manual_seed(0)), angles(20, 16, 1.7)
    real = turned_by_real_numbers(x.unflatten(-1, (-1, 2)), turns).flatten(-2)
    torch.testing.assert_close(real, rotate(x, turns), rtol=0, atol=1e-6)


def relative_rms(found: Tensor, wanted: np.ndarray) -> float:
    error = found.double().numpy() - wanted
    return float(np.sqrt(np.square(error).mean() / np.square(wanted.astype(np.float64)).mean()))


def lowered(model: DiT, dtype: torch.dtype) -> DiT:
    model = copy.deepcopy(model)
    model.lower(dtype)
    return model.requires_grad_(False)


def test_weights_in_the_layout_of_the_cpu_give_the_same_and_come_back(model: DiT, golden: dict) -> None:
    low = lowered(model, torch.float32)
    out = velocity(low, BOTH, 5.0)(X, T)
    np.testing.assert_allclose(out.numpy(), golden["flow_cfg5"], rtol=0, atol=2e-4)
    for layer in (low.solo[0].qkv, low.solo[0].mlp.read):
        assert bool(layer.packed) == (layer.weight is None) == can_pack(torch.float32)
    kept = model.state_dict()
    assert {name: v.shape for name, v in low.state_dict().items()} == {n: v.shape for n, v in kept.items()}
    assert all(torch.equal(v, kept[name]) for name, v in low.state_dict().items())
    velocity(low, BOTH, 5.0)(X, T)  # packs again
    low.to(torch.float64)
    assert low.solo[0].qkv.weight.dtype == torch.float64 and not low.solo[0].qkv.packed


def test_derivatives_pass_through_a_lowered_network(model: DiT) -> None:
    low, x = lowered(model, torch.float32), X.clone()
    given = low.prepare(BOTH, LATENTS)
    before = low.velocity(x, T, given)
    after = low.velocity(x.requires_grad_(), T, given)
    torch.testing.assert_close(before, after.detach(), rtol=0, atol=2e-4)
    after.square().sum().backward()
    assert x.grad is not None and x.grad.abs().min() > 0


def test_bfloat16_is_near_and_its_time_exact(model: DiT, golden: dict) -> None:
    low = lowered(model, torch.bfloat16)
    assert relative_rms(velocity(low, BOTH, 5.0)(X, T), golden["flow_cfg5"]) < 0.03
    assert low.solo[0].qkv.dtype == torch.bfloat16
    table = low.time.frequencies()
    np.testing.assert_array_equal(table.numpy(), golden["t_freqs"])
    waves = low.time.waves(T, table)
    assert waves.dtype == torch.float32 and torch.equal(waves, model.time.waves(T, table))
    torch.testing.assert_close(low.time(waves), model.time(waves), rtol=0, atol=1e-5)
    # What it would cost to round t, or a frequency, as the rest is rounded.
    assert (low.time.waves(T.bfloat16(), table) - waves).abs().max() > 0.5
    assert relative_rms(velocity(low, BOTH, 5.0)(X, T.bfloat16()), golden["flow_cfg5"]) > 0.5


def test_rows_without_variance_show_the_epsilons() -> None:
    """Rows of +s and -s have variance and mean square s ** 2: in closed form, both far below their epsilons."""
    signs, none = torch.tensor([1.0, -1.0]).repeat(1, 3, 32), torch.zeros(1, 1, 64)
    for s in (0.0, 1e-4, 1e-3):
        normed = modulated(s * signs, none, none)
        torch.testing.assert_close(normed, signs * s / (s**2 + 1e-5) ** 0.5, rtol=1e-5, atol=0)
        query, key = PairNorm(64)(s * torch.stack([signs, signs])[:, :, None])
        torch.testing.assert_close(key, signs[:, None] * s / (s**2 + 2**-23) ** 0.5, rtol=1e-5, atol=0)
        torch.testing.assert_close(query, key / 8, rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_text_with_a_constant_tail_is_read_with_these_epsilons(model: DiT, dtype: torch.dtype) -> None:
    """The first text stream on rows as padding makes them, beside its formula in double precision."""
    stream, own = lowered(model, dtype).joint[0].text, model.joint[0].text
    assert isinstance(stream, Stream) and isinstance(own, Stream)
    x = torch.from_numpy(recipe.inputs("text0", (1, 12, 64)))
    x[:, 4:] = 0.7 + 1e-3 * x[:, 4]  # the tail: one row again and again, nearly flat
    condition = torch.from_numpy(recipe.inputs("condition", (1, 1, 64)))
    asked = stream.ask(x, Condition(condition), None)
    weights = {name: p.double() for name, p in own.named_parameters()}

    def wanted(epsilon: float) -> list[Tensor]:
        shift, scale = F.linear(condition.double(), weights["modulate.weight"], weights["modulate.bias"])[
            ..., :128
        ].chunk(2, -1)
        normed = x.double() - x.double().mean(-1, keepdim=True)
        normed = normed / (normed.square().mean(-1, keepdim=True) + epsilon).sqrt() * (1 + scale) + shift
        rows = F.linear(normed, weights["qkv.weight"], weights["qkv.bias"]).unflatten(-1, (3, 4, 16))
        q, k, v = rows.permute(2, 0, 3, 1, 4)
        root = lambda z: z / (z.square().mean(-1, keepdim=True) + 2**-23).sqrt()  # noqa: E731
        return [root(q) * weights["norm.query"] / 4, root(k) * weights["norm.key"], v]

    tolerance = 1e-4 if dtype == torch.float32 else 0.06
    for name, right, wrong in zip(("query", "key", "value"), wanted(1e-5), wanted(1e-6), strict=True):
        found = getattr(asked, name).double()
        torch.testing.assert_close(found, right, rtol=0, atol=tolerance)
        assert (found - wrong)[:, :, 4:].abs().max() > 2 * tolerance


def test_frames_that_are_alike_are_modulated_once(model: DiT) -> None:
    conditions = batched([BOTH, BOTH.unconditioned()])
    given = model.prepare(conditions, LATENTS)
    assert given.alike is not None
    rows, places = given.alike
    assert len(rows) < 4 * LATENTS and places.shape == (4, LATENTS)
    each = given.frames.flatten(0, 1)
    assert torch.equal(each[rows][places.flatten()], each)
    assert torch.equal(rows[places] // LATENTS, torch.arange(4)[:, None].expand(4, LATENTS))  # within an item
    plainly = replace(given, alike=None)
    x, t = torch.cat([X, X]), T.repeat(2)
    torch.testing.assert_close(model.velocity(x, t, given), model.velocity(x, t, plainly), rtol=0, atol=1e-5)
    assert distinct(torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0))) is None


def test_unknown_and_missing_names_are_refused(theirs: dict[str, Tensor], model: DiT) -> None:
    with pytest.raises(ValueError, match=r"'model\.model\.novelty\.weight' is not part of"):
        official.dit({**theirs, "model.model.novelty.weight": torch.zeros(1)}, heads=4)
    short = official.dit(theirs, heads=4)
    del short["solo.1.out.bias"]
    with pytest.raises(ValueError, match=r"lacks the tensor 'solo\.1\.out\.bias'"):
        fill(model, short, "the golden weights")


def test_the_released_network_has_its_size() -> None:
    with torch.device("meta"):
        model = DiT(thinksound())
    assert sum(p.numel() for p in model.parameters()) == 1_277_117_632


SMALL = replace(
    pocket(sync=5), width=32, heads=2, solo_layers=1, visual=12, caption=12, reasoning=12, timeline=12
)


@pytest.fixture(scope="module")
def small() -> DiT:
    """Pocket's inputs, with weights that are not zero anywhere."""
    model = DiT(SMALL)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator))
    return model.eval().requires_grad_(False)


def given(words: int = 7, latents: int = 20, seed: int = 0) -> Conditions:
    g = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(1, *shape, generator=g)  # noqa: E731
    real = torch.arange(words)[None] < 5
    return Conditions(
        visual=draw(8, 12),
        sync=draw(25, 5),
        caption=draw(5, 12).repeat(1, 2, 1)[:, :words],
        reasoning=draw(5, 12).repeat(1, 2, 1)[:, :words],
        missing=torch.zeros(1, len(INPUTS), dtype=torch.bool),
        caption_mask=real,
        reasoning_mask=real.clone(),
        pooled=draw(12),
        timeline=draw(latents, 16),
        reference=draw(latents, 64),
        context=draw(latents, 64),
        mask=F.one_hot(torch.tensor([[KEEP, BESIDE] * (latents // 2)]), 4).float(),
    )


def test_padding_is_never_heard(small: DiT) -> None:
    x, t = torch.randn(1, 64, 20, generator=torch.Generator().manual_seed(2)), torch.tensor([0.5])
    long, short = given(words=9), given(words=5)
    torch.testing.assert_close(small(x, t, long), small(x, t, short), rtol=0, atol=1e-5)
    louder = replace(long, caption=long.caption + 100 * ~long.caption_mask[..., None])
    torch.testing.assert_close(small(x, t, louder), small(x, t, short), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_is_heard_and_can_be_missing(small: DiT, name: str) -> None:
    x, t = torch.randn(1, 64, 20, generator=torch.Generator().manual_seed(2)), torch.tensor([0.5])
    conditions, other = given(), given(seed=9)
    changed = replace(conditions, **{name: getattr(other, name)})
    full = small(x, t, conditions)
    assert (small(x, t, changed) - full).abs().max() > 1e-3
    missing = small(x, t, conditions.without([name]))
    assert (missing - full).abs().max() > 1e-3
    torch.testing.assert_close(small(x, t, changed.without([name])), missing, rtol=0, atol=1e-5)


def test_an_item_does_not_hear_its_neighbours(small: DiT) -> None:
    x, t = torch.randn(3, 64, 20, generator=torch.Generator().manual_seed(2)), torch.tensor([0.5])
    together = small(x, t, batched([given(), given(words=9, seed=3), given(seed=4).without(["caption"])]))
    torch.testing.assert_close(together[:1], small(x[:1], t, given()), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"visual": torch.zeros(1, 8, 13)}, "the visual features are 13 wide; this model reads 12"),
        ({"timeline": torch.zeros(1, 21, 16)}, "the timeline has 21 frames for 20 latents"),
        ({"timeline": None}, "needs a timeline"),
        ({"caption_mask": None}, "needs a mask for the caption tokens"),
    ],
)
def test_what_does_not_fit_is_named(small: DiT, change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small.prepare(replace(given(), **change), 20)


def test_an_unheard_of_timeline_does_not_turn_everything_up(small: DiT) -> None:
    usual = given()
    loud = small.prepare(replace(usual, timeline=usual.timeline * 1e3), 20).frames
    without = small.prepare(usual.without(["timeline"]), 20).frames
    assert (loud - without).square().mean(-1).sqrt().max() < 2  # two timelines, each held below 1
    assert limited(torch.full((1, 1, 4), 0.01)).mean() == pytest.approx(0.01, rel=1e-3)
