"""Flow matching, in closed form: no network."""

import pytest
import torch

from reasound.accelerate import captured
from reasound.synthesis.flow import guided, integrate, noise_for, noised, sampling_times, training_times


def test_a_straight_path_needs_only_one_step():
    sound, noise = torch.full((1, 2, 3), 2.0), torch.full((1, 2, 3), -1.0)
    for method in ("euler", "heun"):
        for times in (torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.6, 0.0])):
            out = integrate(lambda x, t: noise - sound, noise, times, method)
            torch.testing.assert_close(out, sound)


def test_the_point_and_its_velocity_lead_to_the_sound():
    g = torch.Generator().manual_seed(0)
    sound, noise = torch.randn(3, 2, 5, generator=g), torch.randn(3, 2, 5, generator=g)
    t = torch.tensor([0.0, 0.3, 1.0])
    x, velocity = noised(sound, noise, t)
    torch.testing.assert_close(x - t.view(3, 1, 1) * velocity, sound)
    torch.testing.assert_close(x[2], noise[2])


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("heun", 2)])
def test_the_error_shrinks_with_the_order_of_the_method(method, order):
    """dx/dt = x from t = 1 to 0.5 ends at x exp(-0.5)."""
    x = torch.ones(1, dtype=torch.float64)
    errors = [
        abs(
            float(integrate(lambda x, t: x, x, torch.linspace(1, 0.5, n + 1).double(), method)) - 0.6065306597
        )
        for n in (8, 16)
    ]
    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.1)


def test_guidance_goes_past_the_conditioned_half():
    def velocity(x, t):
        assert len(x) == 4  # both halves in one call
        return torch.cat([torch.full((2, 1, 3), 3.0), torch.full((2, 1, 3), 1.0)])

    x = torch.zeros(2, 1, 3)
    for scale, wanted in ((0.0, 1.0), (1.0, 3.0), (5.0, 11.0)):
        assert (guided(velocity, scale)(x, torch.tensor(0.5)) == wanted).all()


def test_rescaling_keeps_the_conditioned_deviation():
    g = torch.Generator().manual_seed(0)
    halves = torch.randn(2, 4, 50, generator=g)
    x, t = torch.zeros(1, 4, 50), torch.tensor(0.5)
    out = guided(lambda x, t: halves, 5.0, rescale=1.0)(x, t)
    torch.testing.assert_close(out.std(-1), halves[:1].std(-1))
    half = guided(lambda x, t: halves, 5.0, rescale=0.5)(x, t)
    torch.testing.assert_close(half, (out + guided(lambda x, t: halves, 5.0)(x, t)) / 2)


def test_noise_belongs_to_its_seed_and_place():
    both = noise_for([3, 4], 8, 100)
    assert torch.equal(both[1:], noise_for([4], 8, 100))
    assert torch.equal(both[..., :60], noise_for([3, 4], 8, 60))
    assert not torch.equal(both[0], both[1])
    assert both.mean().abs() < 0.1
    assert both.std() == pytest.approx(1, abs=0.05)


def test_training_times_are_logit_normal():
    t = training_times(20_000, torch.Generator().manual_seed(0))
    logit = torch.log(t / (1 - t))
    assert logit.mean() == pytest.approx(0, abs=0.03)
    assert logit.std() == pytest.approx(1, abs=0.03)


def test_sampling_times_end_at_the_sound():
    assert sampling_times(4, 0.8).tolist() == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])
    with pytest.raises(ValueError, match="at least one step"):
        sampling_times(0)


def test_progress_counts_steps():
    seen = []
    integrate(lambda x, t: x, torch.ones(1), sampling_times(3), progress=lambda *step: seen.append(step))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_without_a_gpu_nothing_is_recorded():
    scale = 1.0
    velocity = captured(lambda x, t: scale * x)
    assert (velocity(torch.ones(2), torch.tensor(0.5)) == 1).all()
    scale = 3.0  # a recording would not notice
    assert (velocity(torch.ones(2), torch.tensor(0.5)) == 3).all()
