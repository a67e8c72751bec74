"""Long sounds: windows that cover everything, agree where they meet, and cost no more memory."""

import pytest
import torch

from reasound.synthesis.windows import shares, spans, windowed


@pytest.mark.parametrize("length", [1, 40, 99, 100, 101, 150, 181, 400, 1313])
def test_windows_cover_everything_and_their_shares_sum_to_one(length):
    windows = spans(length, 100, 20)
    total = torch.zeros(length)
    for (start, stop), share in zip(windows, shares(windows), strict=True):
        assert stop - start == min(length, 100)
        total[start:stop] += share
    torch.testing.assert_close(total, torch.ones(length))
    assert all(before[1] - after[0] >= 20 for before, after in zip(windows, windows[1:], strict=False))


def test_windows_that_agree_are_as_one():
    windows = spans(250, 100, 20)
    field = torch.randn(1, 4, 250, generator=torch.Generator().manual_seed(0))
    sizes = []

    def velocity(start, stop):
        def part(x, t):
            sizes.append(x.shape[-1])
            return x * 2 + field[..., start:stop]

        return part

    x = torch.randn(1, 4, 250, generator=torch.Generator().manual_seed(1))
    out = windowed([velocity(*w) for w in windows], windows)(x, torch.tensor(0.5))
    torch.testing.assert_close(out, x * 2 + field)
    assert max(sizes) == 100


def test_windows_that_disagree_blend_without_a_step():
    windows = spans(180, 100, 20)
    out = windowed([lambda x, t: x * 0, lambda x, t: x * 0 + 1], windows)(
        torch.zeros(1, 1, 180), torch.tensor(0.5)
    )
    assert out[0, 0, 79] == 0
    assert out[0, 0, 100] == 1
    assert out.diff().abs().max() <= 1 / 20 + 1e-6


def test_an_overlap_as_long_as_the_window_is_refused():
    with pytest.raises(ValueError, match="cannot overlap"):
        spans(500, 100, 100)
