"""Training of the audio model: tasks, learning, resuming; and what comes out can be loaded and played."""

from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reasound.checkpoints import store
from reasound.data.latents import Pool, Scene, write_shard
from reasound.plan import Ambience, Event, Plan
from reasound.synthesis import lora
from reasound.synthesis.codec import Codec, CodecConfig
from reasound.synthesis.conditions import BESIDE, EXTRACT, INPUTS, KEEP, REMOVE, batched, prepare_conditions
from reasound.synthesis.dit import build, pocket
from reasound.synthesis.flow import noise_for
from reasound.synthesis.model import AudioModel, ModelRenderer, levelled, seed_of
from reasound.timeline import SAMPLES_PER_LATENT
from reasound.training.audio_model import AudioTraining, Trainer, ask, example
from reasound.training.loop import Budget
from test_conditions import Words

LATENTS = 24
SECONDS = LATENTS * SAMPLES_PER_LATENT / 44_100
CONFIG = replace(
    pocket(sync=5),
    latent=8,
    visual=4,
    caption=4,
    reasoning=4,
    timeline=4,
    width=32,
    heads=2,
    solo_layers=1,
    span=24,
)
SETTINGS = AudioTraining(model=CONFIG, budget=Budget(steps=40), batch=6, rate=4e-3, report_every=10)


def encode(audio):
    """A toy codec: the first latents hold the level of each block of 2048 samples."""
    blocks = audio.unflatten(-1, (-1, SAMPLES_PER_LATENT))
    level = blocks.square().mean(-1).sqrt()  # [B, 2, L]
    return torch.cat([level, level.flip(1), torch.zeros(len(audio), 4, level.shape[-1])], 1) * 4 - 1


def scene(i, dry):
    """A burst of noise at an onset, as loud as its name says; wet scenes have another sound under it."""
    rng = np.random.default_rng(i)
    onset = float(rng.uniform(0.1, 0.6 * SECONDS))
    audio = np.zeros((2, LATENTS * SAMPLES_PER_LATENT), np.float32)
    at = int(onset * 44_100)
    audio[:, at : at + 8000] = rng.uniform(-1, 1, audio[:, at : at + 8000].shape) * (0.9 if i % 2 else 0.3)
    hit = Event(id="e", source="x", sound="a" if i % 2 else "b", end=SECONDS, onsets=(onset,))
    like = 0.7 * audio
    if dry:
        return Scene(Plan(seconds=SECONDS, events=(hit,)), audio, references={"mix": like}, dry=True)
    under = 0.1 * rng.standard_normal(audio.shape).astype(np.float32)
    plan = Plan(seconds=SECONDS, caption="a c", events=(hit,), ambience=(Ambience(id="w", sound="c"),))
    references = {"e": like, "w": 0.7 * under, "mix": like + 0.7 * under}
    return Scene(plan, audio + under, {"e": audio, "w": under}, references)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool")
    ask_small = lambda plan, dry, text: ask(plan, dry, text, CONFIG)  # noqa: E731
    write_shard(folder / "a.safetensors", (scene(i, True) for i in range(12)), encode, Words(), ask_small)
    write_shard(
        folder / "b.safetensors", (scene(i, False) for i in range(12, 18)), encode, Words(), ask_small
    )
    pool = Pool(folder)
    assert pool.refresh() == ["a.safetensors", "b.safetensors"]
    return pool


def test_a_pool_gives_back_what_was_put_in(pool):
    assert len(pool) == 18
    first, wet = pool[0], pool[12]
    made = scene(0, True)
    assert first.plan == made.plan
    wanted = encode(torch.from_numpy(made.mix)[None])[0].T
    torch.testing.assert_close(first.mix.float(), wanted, rtol=0, atol=2e-3)
    assert set(wet.stems) == set(wet.rests) == {"e", "w"}
    np.testing.assert_allclose(pool.text.encode(["a"]), Words().encode(["a"]), atol=1e-3)
    with pytest.raises(ValueError, match="does not hold the text 'z'"):
        pool.text.tokens(["z"])


@pytest.mark.parametrize(
    ("task", "role"), [("object", BESIDE), ("add", BESIDE), ("extract", EXTRACT), ("remove", REMOVE)]
)
def test_tasks_with_a_mixture_give_it_and_ask_for_a_part(pool, task, role):
    item = pool[12]
    given, target = example(item, task, np.random.default_rng(0), pool.text, CONFIG)
    assert not given.missing[0, INPUTS.index("context")]
    assert given.mask[0].sum(0).tolist() == [LATENTS if k == role else 0 for k in range(4)]
    name = next(
        k
        for k in item.stems
        if torch.equal((item.rests if task == "remove" else item.stems)[k].float(), target)
    )
    wanted = item.rests[name] if role == BESIDE else item.mix
    assert torch.equal(given.context[0], wanted.float())


@pytest.mark.parametrize("task", ["inpaint", "extend"])
def test_filling_in_gives_all_but_the_gap(pool, task):
    item = pool[12]
    for seed in range(20):
        given, target = example(item, task, np.random.default_rng(seed), pool.text, CONFIG)
        known = given.mask[0, :, KEEP] > 0
        assert 0 < known.sum() < LATENTS
        assert torch.equal(target, item.mix.float())
        assert torch.equal(given.context[0], target * known[:, None])
        if task == "extend":
            assert not known[int(known.sum()) :].any()


def test_a_dry_sound_is_asked_for_alone(pool):
    given, target = example(pool[1], "object", np.random.default_rng(0), pool.text, CONFIG)
    assert given.missing[0, INPUTS.index("context")]
    assert torch.equal(target, pool[1].mix.float())


@pytest.mark.parametrize("task", ["object", "extract", "remove", "mixture", "extend"])
def test_the_reference_is_of_what_is_asked_for(pool, task):
    item = pool[13]
    given, target = example(item, task, np.random.default_rng(3), pool.text, CONFIG)
    parts = item.rests if task == "remove" else item.stems
    name = next((k for k in parts if torch.equal(parts[k].float(), target)), "mix")
    assert (name == "mix") == (task in ("mixture", "extend"))
    assert torch.equal(given.reference[0], item.references[name].float())
    assert not given.missing[0, INPUTS.index("reference")]
    other, same = example(item, task, np.random.default_rng(3), pool.text, CONFIG, unlike=1.0)
    assert torch.equal(same, target) and other.missing[0, INPUTS.index("reference")]


def test_what_is_seen_is_given_as_often_as_asked(pool, tmp_path):
    def look(plan, rng):
        return SimpleNamespace(
            visual=np.full((7, 4), plan.seconds, np.float32), sync=rng.random((9, 5)).astype(np.float32)
        )

    columns = [INPUTS.index("visual"), INPUTS.index("sync")]
    for seen, missing in ((1.0, 0), (0.0, 6)):
        run = Trainer(replace(SETTINGS, seen=seen), tmp_path, look=look)
        given, sound = run.draw(pool, 3)
        assert given.missing[:, columns].sum(0).tolist() == [missing, missing]
        assert given.visual.shape == (6, 7, 4) and given.sync.shape == (6, 9, 5)
        assert run.train_step(given, sound)["loss"] > 0
    blind, _ = Trainer(SETTINGS, tmp_path).draw(pool, 3)
    assert blind.missing[:, columns].all()


def test_it_learns(pool, tmp_path):
    run = Trainer(SETTINGS, tmp_path)
    before = [float(run.loss(*run.draw(pool, 1000 + i)).detach()) for i in range(4)]
    run.train(pool)
    after = [float(run.loss(*run.draw(pool, 1000 + i)).detach()) for i in range(4)]
    assert np.mean(after) < 0.7 * np.mean(before)
    model = store.load(tmp_path / "dit", "dit", build)
    kept = store.whole(store.in_rows(run.ema.model.state_dict()))
    for name, tensor in model.state_dict().items():
        assert torch.allclose(tensor, kept[name], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("muon", [True, False])
def test_a_run_that_is_cut_off_goes_on_exactly(pool, tmp_path, muon):
    settings = replace(SETTINGS, budget=Budget(steps=1000), muon=muon)

    def steps(run, count):
        return [run.train_step(*run.draw(pool, run.step))["loss"] for _ in range(count)]

    whole = Trainer(settings, tmp_path / "whole")
    losses = steps(whole, 6)
    first = Trainer(settings, tmp_path / "cut")
    begun = steps(first, 3)
    first.save()
    second = Trainer(settings, tmp_path / "cut")
    second.resume()
    assert begun + steps(second, 3) == losses
    for one, other in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(one, other)
    for one, other in zip(whole.ema.model.parameters(), second.ema.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_run_may_start_from_the_weights_of_another(pool, tmp_path):
    plain = Trainer(replace(SETTINGS, model=replace(CONFIG, mixing=False)), tmp_path)
    plain.train_step(*plain.draw(pool, 0))
    run = Trainer(SETTINGS, tmp_path)
    run.start_from(plain.model)
    batch = run.draw(pool, 5)
    run.step = plain.step
    torch.testing.assert_close(run.loss(*batch), plain.loss(*batch))  # mixing begins as nothing
    with pytest.raises(ValueError, match="have another"):
        run.start_from(Trainer(replace(SETTINGS, model=replace(CONFIG, width=64)), tmp_path).model)


@pytest.fixture(scope="module")
def model():
    """Untrained codec and DiT, with weights that are not zero anywhere."""
    torch.manual_seed(0)
    tiny = CodecConfig(
        latent=8, encoder_width=16, decoder_width=16, mid_width=16, encoder_blocks=1, decoder_blocks=1
    )
    dit = build({**CONFIG.__dict__})
    with torch.no_grad():
        for p in dit.parameters():
            p.add_(0.05 * torch.randn(p.shape))
    return AudioModel(Codec(tiny).eval(), dit.eval())


PLAN = Plan(
    seconds=1.5,
    events=(
        Event(id="hit", source="x", sound="a", end=1.5, onsets=(0.5,)),
        Event(id="far", source="y", sound="b b b", end=1.0, level=-20, pan=-1),
    ),
    ambience=(Ambience(id="wind", sound="c"),),
    avoid=("d",),
)


def test_a_layer_does_not_depend_on_its_neighbours(model):
    renderer = ModelRenderer(model, Words())
    seconds = Fraction(3, 2)
    together = renderer.render(PLAN, seconds, seed=7, steps=3)
    assert [layer.name for layer in together] == ["hit", "far", "wind"]
    assert all(layer.audio.shape == (2, 66_150) and layer.renderer == "model" for layer in together)
    for layer in together:
        (alone,) = renderer.render(PLAN.only([layer.name]), seconds, seed=7, steps=3)
        np.testing.assert_allclose(alone.audio, layer.audio, atol=1e-3)
    again = renderer.render(PLAN, seconds, seed=7, steps=3)
    assert all(np.array_equal(a.audio, b.audio) for a, b in zip(together, again, strict=True))
    other = renderer.render(PLAN.only(["hit"]), seconds, seed=8, steps=3)
    assert np.abs(other[0].audio - together[0].audio).max() > 1e-2


class Shelf:
    """A sound library of one recording."""

    def event(self, event, n, rng):
        assert event.level == 0  # mixing sets it
        return 2 * rng.standard_normal((2, n)).astype(np.float32), [SimpleNamespace(id="take")] * 2

    def ambience(self, ambience, n, rng):
        return np.zeros((2, n), np.float32), []


def test_a_layer_names_the_recordings_that_the_model_heard(model):
    heard = ModelRenderer(model, Words(), Shelf()).render(PLAN, Fraction(3, 2), seed=7, steps=3)
    alone = ModelRenderer(model, Words()).render(PLAN, Fraction(3, 2), seed=7, steps=3)
    assert [layer.recordings for layer in heard] == [("take",), ("take",), ()]
    assert not any(layer.recordings for layer in alone)
    assert np.abs(heard[0].audio - alone[0].audio).max() > 1e-2


@pytest.mark.parametrize("seconds", [Fraction(2, 5), Fraction(1001, 200)])
def test_sound_is_as_long_as_asked(model, seconds):
    plan = Plan(seconds=float(seconds), ambience=(Ambience(id="wind", sound="c"),))
    told = []
    (layer,) = ModelRenderer(model, Words()).render(plan, seconds, seed=1, steps=2, progress=told.append)
    assert layer.audio.shape == (2, round(seconds * 44_100))
    assert told == pytest.approx([0.5, 1.0])


def test_windows_of_a_long_sound_are_what_one_network_call_can_see(model):
    text = Words()
    plan = Plan(seconds=4.0, ambience=(Ambience(id="wind", sound="c"),))
    given = batched([prepare_conditions(None, plan, text, CONFIG)])
    longest = []
    real = model.dit.velocity
    model.dit.velocity = lambda x, t, given: (longest.append(x.shape[2]), real(x, t, given))[1]
    try:
        out = model.latents(given, [1], 87, steps=2)
    finally:
        del model.dit.velocity
    assert out.shape == (1, 8, 87)
    assert max(longest) == CONFIG.span
    assert torch.equal(noise_for([1], 8, 87)[..., :24], noise_for([1], 8, 24))


def test_the_plan_sets_the_level():
    rng = np.random.default_rng(0)
    audio = np.zeros((2, 44_100), np.float32)
    audio[:, 20_000:30_000] = rng.standard_normal((2, 10_000)) * 0.01
    one, other = levelled(audio, -20, 0, loudest=True), levelled(audio * 7, -20, -6, loudest=True)
    np.testing.assert_allclose(other, one * 10 ** (-6 / 20), rtol=1e-4, atol=1e-7)
    assert not levelled(audio * 0, -20, 0, loudest=False).any()


def test_seeds_of_layers_differ_and_stay():
    assert seed_of(1, "a") != seed_of(1, "b") != seed_of(2, "b")
    assert seed_of(42, "dog") == 70_896_657_587_045_243


def test_few_steps_are_the_quick_networks(model, tmp_path):
    store.save(tmp_path / "dit", "dit", model.dit.state_dict(), CONFIG)
    model.codec.save(tmp_path / "codec")
    assert AudioModel.load(tmp_path).delta is None
    adapted = store.load(tmp_path / "dit", "dit", build)
    tensors = lora.adapt(adapted, ["solo", "final"], 4, 1.0, torch.Generator().manual_seed(0))
    for name, tensor in tensors.items():
        if name.endswith(".up"):
            torch.nn.init.normal_(tensor, std=0.3)
    few = lora.FewSteps(rank=4, scale=1.0, guidance=3.0, steps=2, base=lora.base_hash(tmp_path / "dit"))
    lora.Delta({k: v.detach() for k, v in tensors.items()}, few).save(tmp_path / "dit-few")
    loaded = AudioModel.load(tmp_path)
    given = batched([prepare_conditions(None, PLAN.only(["hit"]), Words(), CONFIG, events=["hit"])])
    usual = AudioModel(loaded.codec, loaded.dit)

    def same(steps, guidance, avoid=None):
        both = (
            m.latents(given, [1], 20, steps=steps, guidance=guidance, avoid=avoid) for m in (loaded, usual)
        )
        return torch.equal(*both)

    assert not same(2, 3.0) and not same(
        4, 3.0
    )  # up to twice the steps that it was made for, at its guidance
    assert same(5, 3.0) and same(2, 2.0) and same(2, 3.0, avoid=given)
    quick = AudioModel(loaded.codec, loaded.quick).latents(given, [1], 20, steps=2, guidance=1.0)
    assert torch.equal(loaded.latents(given, [1], 20, steps=2, guidance=3.0), quick)
