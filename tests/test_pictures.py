"""What the visual encoders are shown, against recorded pictures of the released code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import clips
from golden import recipe
from reasound.media.video import Clip
from reasound.perception.pictures import (
    sync_picture,
    sync_pictures,
    sync_pixels,
    visual_picture,
    visual_pictures,
    visual_pixels,
)

GOLDEN = Path(__file__).parent / "golden"
SIZES = json.loads((GOLDEN / "preproc.json").read_text())
NAMES = ["land", "port", "hd", "sq224", "odd"]


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "preproc.npz") as archive:
        return dict(archive)


def drawn(name):
    """Three pictures [H, W, 3]."""
    return recipe.smooth_video(f"vid.{name}", 3, *SIZES[name]["HW"]).transpose(0, 2, 3, 1).copy()


def statistics(x):
    return [x.mean(), x.std(ddof=1), x.min(), x.max()]


@pytest.mark.parametrize("name", NAMES)
def test_metaclip_sees_what_it_was_shown(golden, name):
    seen = visual_pixels(torch.stack([visual_picture(p) for p in drawn(name)])).numpy()
    # One grey level is 0.015.
    np.testing.assert_allclose(
        seen[:, :, ::16, ::16], golden[f"{name}.clip_pixel_values.sub"], rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(
        statistics(seen.astype(np.float64)), golden[f"{name}.clip_pixel_values.stats"], rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("name", NAMES)
def test_synchformer_sees_what_it_was_shown(golden, name):
    pictures = torch.stack([sync_picture(p) for p in drawn(name)])
    np.testing.assert_array_equal(pictures[:, :, ::16, ::16], golden[f"{name}.sync_u8.sub"])
    seen = sync_pixels(pictures).numpy()
    np.testing.assert_allclose(seen[:, :, ::16, ::16], golden[f"{name}.sync.sub"], rtol=0, atol=2e-7)
    np.testing.assert_allclose(
        statistics(seen.astype(np.float64)), golden[f"{name}.sync.stats"], rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("height, width", [(1, 1), (100, 300), (700, 200), (224, 90), (223, 225)])
def test_a_plain_colour_stays_what_it_is(height, width):
    colour = torch.tensor([10, 128, 250])
    picture = np.full((height, width, 3), colour.numpy(), np.uint8)
    middle = sync_picture(picture)
    assert middle.shape == (3, 224, 224) and middle.dtype == torch.uint8
    assert (middle == colour[:, None, None]).all()
    whole = visual_picture(picture)
    assert whole.shape == (3, 224, 224) and whole.dtype == torch.uint8
    # Two pixels on each side of an edge see both of it; the filter is wider where the picture shrinks.
    blur = 2 * max(1, -(-max(height, width) // 224))
    rows, columns = (round(112 * length / max(height, width)) for length in (height, width))
    inside = whole[:, 112 - rows + blur : 112 + rows - blur, 112 - columns + blur : 112 + columns - blur]
    assert inside.numel() and (inside == colour[:, None, None]).all()
    for side in (whole, whole.flip(1, 2)):
        assert not side[:, : max(0, 112 - rows - blur)].any()
        assert not side[:, :, : max(0, 112 - columns - blur)].any()


def test_an_edge_overshoots_and_is_cut_off():
    """Twice the size: Catmull's and Rom's weights at quarters of a pixel are -3, 29, 111, -9 of 128, and mirrored."""
    picture = np.zeros((112, 112, 3), np.uint8)
    picture[:, 56:] = 200
    expected = [0, 0, 0, 26, 102, 137, 131, 128, 128]  # -3 and -9 are cut off
    levels = [int(share / 128 * 200 + 0.5) for share in expected]
    assert visual_picture(picture)[0, 100, 108:117].tolist() == levels
    assert visual_picture(picture.transpose(1, 0, 2).copy())[0, 108:117, 100].tolist() == levels


def test_a_clip_is_read_at_the_rate_of_each_encoder(tmp_path):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", clips.counter, seconds=1, fps=10, size=(32, 32)))
    for make, rate, count in ((visual_pictures, 8, 12), (sync_pictures, 25, 33)):
        made = list(make(clip, count))
        assert len(made) == count
        grey = [(float(p[:, 112, 112].float().mean()) - 20) / 100 for p in made]
        # Frames every 0.1 s; each picture is the last one that came before half a picture later.
        expected = [min(int(np.ceil((k + 0.5) / rate * 10) - 1), 9) / 10 for k in range(count)]
        np.testing.assert_allclose(grey, expected, atol=0.015)
        again = [a is b for a, b in zip(made, made[1:], strict=False)]
        assert again == [a == b for a, b in zip(expected, expected[1:], strict=False)]
