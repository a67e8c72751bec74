"""Synchformer against recorded outputs of the released code, and what runs it over a video."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from golden import recipe
from reasound.checkpoints import official
from reasound.checkpoints.store import fill
from reasound.errors import UserError
from reasound.perception.pictures import sync_pixels
from reasound.perception.synchformer import TOGETHER, Synchformer, SynchformerConfig, build

GOLDEN = Path(__file__).parent / "golden"
TINY = {"width": 48, "layers": 2, "heads": 4}


@pytest.fixture(scope="module")
def theirs() -> dict[str, Tensor]:
    keys = json.loads((GOLDEN / "tiny_sync.keys.json").read_text())["keys"]
    return {name: torch.from_numpy(recipe.weights(name, shape)) for name, shape in keys.items()}


def filled(theirs: dict[str, Tensor]) -> Synchformer:
    model = build(dict(TINY))
    fill(model, official.synchformer(theirs), "the golden weights")
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def model(theirs: dict[str, Tensor]) -> Synchformer:
    return filled(theirs)


@pytest.fixture(scope="module")
def golden() -> Tensor:
    with np.load(GOLDEN / "tiny_sync.npz") as archive:
        return torch.from_numpy(archive["out"][0])


def video(count: int) -> list[Tensor]:
    return list(torch.from_numpy(recipe.frames("syncvid", count)))


def test_a_video_gives_the_recorded_tokens(model, golden):
    torch.testing.assert_close(model.look(video(25)), golden, rtol=0, atol=5e-5)


def test_segments_in_one_batch_give_the_same(model, golden):
    pixels = sync_pixels(torch.stack(video(24)))
    segments = torch.stack([pixels[:16], pixels[8:]])
    torch.testing.assert_close(model(segments).flatten(0, 1), golden, rtol=0, atol=5e-5)


def test_weights_that_still_learn_take_the_plain_products(theirs, golden):
    with torch.no_grad():
        tokens = filled(theirs).requires_grad_(True)(sync_pixels(torch.stack(video(16)))[None])
    torch.testing.assert_close(tokens[0], golden[:8], rtol=0, atol=5e-5)


def test_half_precision_is_near_and_only_where_it_may_be(theirs, golden):
    low = filled(theirs)
    low.lower(torch.bfloat16)
    tokens = low.look(video(25))
    assert tokens.dtype == torch.float32
    assert ((tokens - golden).square().mean() / golden.square().mean()).sqrt() < 0.01
    for name, parameter in low.named_parameters():
        exact = ".norm." in f".{name}" or name in ("cls", "place", "moment", "gather.cls")
        assert parameter.dtype == (torch.float32 if exact else torch.bfloat16), name
    low.lower(torch.float32)
    assert {p.dtype for p in low.parameters()} == {torch.float32}
    assert ((low.look(video(25)) - golden).square().mean() / golden.square().mean()).sqrt() < 0.01


@pytest.mark.full
def test_the_full_network_gives_the_recorded_tokens():
    rows = [
        row.split("\t") for row in (GOLDEN / "synchformer.keys.tsv").read_text().splitlines() if row[0] != "#"
    ]
    theirs = {
        name: torch.from_numpy(recipe.weights(name, [int(n) for n in shape.split("x")]))
        for name, shape, _ in rows
    }
    model = Synchformer(SynchformerConfig())
    fill(model, official.synchformer(theirs), "the golden weights")
    model.eval().requires_grad_(False)
    pictures = list(torch.from_numpy(recipe.frames("F.syncvid", 24)))
    with np.load(GOLDEN / "full_sync.npz") as archive:
        golden = torch.from_numpy(archive["out"][0])
    torch.testing.assert_close(model.look(pictures), golden, rtol=0, atol=5e-5)
    model.lower(torch.bfloat16)
    error = model.look(pictures) - golden
    assert (error.square().mean() / golden.square().mean()).sqrt() < 0.01


class Counting(Synchformer):
    """Says which picture each segment begins with, and counts the segments it was given."""

    def __init__(self) -> None:
        super().__init__(SynchformerConfig(width=4, layers=0, heads=1))
        self.batches: list[int] = []

    def forward(self, segments: Tensor) -> Tensor:
        self.batches.append(len(segments))
        first = (segments[:, 0, 0, 0, 0] * 0.5 + 0.5) * 255
        return first[:, None, None].expand(-1, 8, 4)


def numbered(count: int) -> Iterator[Tensor]:
    return (torch.full((3, 224, 224), i, dtype=torch.uint8) for i in range(count))


@pytest.mark.parametrize("count", [16, 23, 24, 25, 63, 64, 225])
def test_segments_begin_every_eight_pictures(count):
    tokens = Counting().look(numbered(count))
    expected = torch.arange(0, count - 15, 8)
    assert len(expected) == (count - 16) // 8 + 1
    torch.testing.assert_close(tokens[::8, 0], expected.float(), rtol=0, atol=1e-3)
    assert tokens.shape == (8 * len(expected), 4)


def test_a_long_video_is_never_held():
    alive = 0

    class Watched(Counting):
        def forward(self, segments: Tensor) -> Tensor:
            nonlocal alive
            alive = max(alive, sum(1 for r in references if r() is not None))
            return super().forward(segments)

    references: list[weakref.ref[Tensor]] = []

    def pictures() -> Iterator[Tensor]:
        for picture in numbered(200):
            references.append(weakref.ref(picture))
            yield picture

    watched = Watched()
    watched.look(pictures())
    assert alive <= 16 + 8
    assert max(watched.batches) == TOGETHER and sum(watched.batches) == 24


def test_a_held_picture_is_looked_at_once():
    start = list(numbered(40))
    counting = Counting()
    tokens = counting.look(start + [start[-1]] * 60)
    # Segments begin at 0, 8, 16, 24, 32, 40, ...; from 40 on, all are the last picture.
    assert sum(counting.batches) == 6
    assert tokens[::8, 0].round().tolist() == [0, 8, 16, 24, 32] + [39] * 6
    still = Counting()
    assert still.look([start[3]] * 100).shape == (8 * 11, 4)
    assert still.batches == [1]


def test_pictures_that_only_look_the_same_are_looked_at_again():
    counting = Counting()
    counting.look(torch.zeros(3, 224, 224, dtype=torch.uint8) for _ in range(24))
    assert counting.batches == [2]


def test_too_few_pictures_are_refused():
    with pytest.raises(ValueError, match="at least 16 pictures, not 15"):
        Counting().look(numbered(15))


def test_an_unknown_setting_is_refused():
    with pytest.raises(TypeError, match="'depth'"):
        build({"depth": 3})


@pytest.mark.parametrize(
    "name", ["vfeat_extractor.patch_embed.proj.bias", "vfeat_extractor.blocks.1.norm3.weight"]
)
def test_a_checkpoint_that_lacks_a_tensor_is_refused(theirs, name):
    part = {key: tensor for key, tensor in theirs.items() if key != name}
    with pytest.raises((ValueError, UserError), match=r"patch_embed.proj.bias|blocks.1.time.norm.weight"):
        filled(part)


@pytest.mark.parametrize("name", ["vfeat_extractor.head.weight", "vfeat_extractor.blocks.1.norm4.weight"])
def test_a_checkpoint_with_another_tensor_is_refused(theirs, name):
    with pytest.raises((ValueError, UserError), match=name.rsplit(".", 2)[1]):
        filled({**theirs, name: torch.zeros(3)})


def test_the_other_halves_of_the_released_file_are_left_out(theirs):
    others = {
        "afeat_extractor.cls_token": torch.zeros(1),
        "transformer.blocks.0.norm1.weight": torch.zeros(1),
    }
    assert official.synchformer({**theirs, **others}).keys() == official.synchformer(theirs).keys()
