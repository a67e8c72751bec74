"""Few steps: the student's four unguided steps lead where many guided ones of the teacher lead, and it resumes."""

import json
from dataclasses import replace

import pytest
import torch

from reasound.checkpoints import store
from reasound.errors import UserError
from reasound.synthesis import lora
from reasound.synthesis.conditions import INPUTS, Conditions, batched
from reasound.synthesis.dit import build, pocket
from reasound.synthesis.flow import guided, integrate, noise_for, sampling_times
from reasound.training.audio_model import AudioTraining, Trainer
from reasound.training.distillation import Distiller, DistilTraining
from reasound.training.loop import Budget

LATENTS = 12
CONFIG = replace(
    pocket(sync=5),
    latent=8,
    visual=4,
    caption=4,
    reasoning=4,
    timeline=4,
    width=32,
    heads=2,
    joint_layers=1,
    solo_layers=1,
)
TEACHING = AudioTraining(
    model=CONFIG,
    budget=Budget(steps=100),
    rate=1e-2,
    batch=16,
    muon=False,
    drop=0.05,
    silence=0.3,
    ema=0.9,
)
DISTIL = DistilTraining(
    budget=Budget(steps=60),
    drawing=AudioTraining(batch=12),
    rank=8,
    rate=1e-2,
    ema=0.9,
    report_every=10,
)


def toy(count, seed):
    """Four kinds of sound, each in two forms of which the conditions say nothing: the flow has to bend."""
    fixed = torch.Generator().manual_seed(0)
    rand = lambda *shape: torch.randn(shape, generator=fixed)  # noqa: E731
    words = torch.ones(4, 2, dtype=torch.bool)
    kinds = Conditions(
        visual=rand(4, 1, 4),
        sync=rand(4, 1, 5),
        caption=rand(4, 2, 4),
        reasoning=rand(4, 2, 4),
        missing=torch.zeros(4, len(INPUTS), dtype=torch.bool),
        caption_mask=words,
        reasoning_mask=words,
        timeline=rand(4, LATENTS, 8),
    )
    kind_of_sound, form = rand(4, 8, 1), rand(1, 8, 1)
    draw = torch.Generator().manual_seed(seed)
    kind = torch.randint(4, (count,), generator=draw)
    sign = torch.randint(2, (count, 1, 1), generator=draw) * 2 - 1
    sound = 1.5 * (kind_of_sound[kind] + sign * form)
    return kinds.map(lambda x: x[kind]), sound + 0.1 * torch.randn(count, 8, LATENTS, generator=draw)


def distiller(settings, teacher, run):
    made = Distiller(settings, teacher, run)
    made.draw = lambda scenes, step: toy(settings.drawing.batch, step)
    return made


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """The folder of a DiT that has learned the toy: what guidance makes stronger."""
    run = Trainer(TEACHING, tmp_path_factory.mktemp("teacher"))
    for step in range(100):
        run.train_step(*toy(TEACHING.batch, step))
    run.write_model()
    return run.export


def sampled(dit, given, steps, guidance):
    noise = noise_for(range(len(given)), CONFIG.latent, LATENTS)
    with torch.inference_mode():
        if guidance == 1.0:
            prepared = dit.prepare(given, LATENTS)
            return integrate(lambda x, t: dit.velocity(x, t, prepared), noise, sampling_times(steps))
        prepared = dit.prepare(batched([given, given.unconditioned()]), LATENTS)
        steered = guided(lambda x, t: dit.velocity(x, t, prepared), guidance)
        return integrate(steered, noise, sampling_times(steps))


def apart(x, y):
    """Of a usual item: a few may take the other of the two forms."""
    return float((x - y).square().mean((1, 2)).median())


def test_four_steps_lead_where_many_guided_ones_lead(teacher, tmp_path):
    run = distiller(DISTIL, teacher, tmp_path)
    run.train([None])
    plain = store.load(teacher, "dit", build)
    few = lora.merged(plain, lora.load(tmp_path / "dit-few", teacher))
    given, _ = toy(32, 10_000)
    goal = sampled(plain, given, 24, 3.0)
    student = apart(sampled(few, given, 4, 1.0), goal)
    assert student < apart(sampled(plain, given, 4, 3.0), goal)
    assert student < 0.5 * apart(sampled(plain, given, 2, 3.0), goal)  # asks the network as often
    assert student < 0.5 * apart(sampled(plain, given, 4, 1.0), goal)
    # Where nothing is given, guidance is nothing, and the student must not make any up.
    nothing = given.without(INPUTS)
    free = sampled(plain, nothing, 24, 1.0)
    assert apart(sampled(few, nothing, 4, 1.0), free) < 2 * apart(sampled(plain, nothing, 4, 1.0), free)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [10, 20, 30, 40, 50, 60]
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_a_run_that_is_cut_off_goes_on_exactly(teacher, tmp_path):
    settings = replace(DISTIL, budget=Budget(steps=1000))

    def steps(run, count):
        return [run.train_step(*run.draw([], run.step))["loss"] for _ in range(count)]

    whole = distiller(settings, teacher, tmp_path / "whole")
    losses = steps(whole, 4)
    first = distiller(settings, teacher, tmp_path / "cut")
    begun = steps(first, 2)
    first.save()
    second = distiller(settings, teacher, tmp_path / "cut")
    second.resume()
    assert begun + steps(second, 2) == losses
    for name, tensor in whole.delta().tensors.items():
        assert torch.equal(second.delta().tensors[name], tensor)


def test_a_run_may_start_from_the_deltas_of_another(teacher, tmp_path):
    first = distiller(DISTIL, teacher, tmp_path / "first")
    for _ in range(3):
        first.train_step(*first.draw([], first.step))
    second = distiller(DISTIL, teacher, tmp_path / "second")
    second.start_from(first.delta())
    for name, tensor in first.delta().tensors.items():
        assert torch.equal(second.delta().tensors[name], tensor)
    other = distiller(replace(DISTIL, rank=4), teacher, tmp_path / "other")
    with pytest.raises(ValueError, match="of another network"):
        other.start_from(first.delta())


def test_a_run_does_not_go_on_with_another_teacher(teacher, tmp_path):
    distiller(DISTIL, teacher, tmp_path).save()
    other = tmp_path / "other"
    weights = store.load(teacher, "dit", build).state_dict()
    store.save(other, "dit", {name: 2 * tensor for name, tensor in weights.items()}, CONFIG)
    run = distiller(DISTIL, other, tmp_path)
    with pytest.raises(UserError, match="has another teacher"):
        run.resume()


def test_own_starts_are_those_of_the_sampler(teacher, tmp_path):
    run = distiller(DISTIL, teacher, tmp_path)
    given, sound = toy(12, 0)
    noise, window = torch.randn(sound.shape), torch.arange(len(sound)) % 4
    starts = run.rolled(noise, window, run.student.prepare(given, LATENTS))
    prepared = run.student.prepare(given, LATENTS)
    for k in range(1, 4):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            path = integrate(
                lambda x, t: run.student.velocity(x, t, prepared), noise, sampling_times(4)[: k + 1]
            )
        torch.testing.assert_close(starts[k::4], path[k::4], rtol=0, atol=1e-3)
    assert torch.equal(starts[::4], noise[::4])


def test_the_teacher_is_asked_as_when_sampling(teacher, tmp_path):
    """Window after window, three steps each, is twelve steps of the sampler."""
    run = distiller(DISTIL, teacher, tmp_path)
    given, sound = toy(12, 0)
    x = noise_for(range(len(given)), CONFIG.latent, LATENTS)
    for start, end in ((1.0, 0.75), (0.75, 0.5), (0.5, 0.25), (0.25, 0.0)):
        start, end = torch.full((len(x),), start), torch.full((len(x),), end)
        x = x + (end - start)[:, None, None] * run.taught(x, start, end, given)
    goal = sampled(store.load(teacher, "dit", build), given, 12, 3.0)
    assert apart(x, goal) < 1e-3 * float(goal.var())
    assert sound.shape == x.shape
