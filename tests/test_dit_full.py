"""The released network in its full size, with weights that anybody can make again: 5 GB of them, and minutes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from golden import recipe
from reasound.checkpoints import official
from reasound.synthesis.conditions import INPUTS, Conditions, batched
from reasound.synthesis.dit import DiT, thinksound
from reasound.synthesis.flow import Velocity, guided, integrate, sampling_times

GOLDEN = Path(__file__).parent / "golden"
LATENTS = 194

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "full_dit_vae.npz") as archive:
        return {name: archive[name] for name in archive.files if name.startswith("dit_")}


def weights() -> Iterator[dict[str, Tensor]]:
    """Ours, block by block, so that theirs are never all there."""
    lines = (GOLDEN / "thinksound_light.keys.tsv").read_text().splitlines()
    keys = [line.split("\t")[:2] for line in lines if line.startswith(official.DIT_PREFIX)]
    for _, part in groupby(keys, key=lambda key: re.match(r"model\.model\.\w+(\.\d+)?", key[0])[0]):
        theirs = {
            name: torch.from_numpy(recipe.weights(name, [int(n) for n in shape.split("x")]))
            for name, shape in part
        }
        yield official.dit(theirs, heads=16)


@pytest.fixture(scope="module")
def model() -> DiT:
    with torch.device("meta"):
        model = DiT(thinksound())
    ours: dict[str, Tensor] = {}
    for part in weights():
        ours |= part
    model.load_state_dict(ours, assign=True)
    return model.eval().requires_grad_(False)


def one(tag: str, *shape: int, scale: float = 1.0) -> Tensor:
    return torch.from_numpy(recipe.inputs(f"F.{tag}", shape, scale))[None]


def clip() -> Conditions:
    return Conditions(
        visual=one("clip", 72, 1024),
        sync=one("sync", 216, 768),
        caption=one("text", 77, 1024),
        reasoning=one("t5", 77, 2048, scale=0.5),
        missing=torch.zeros(1, len(INPUTS), dtype=torch.bool),
    )


def steered(model: DiT) -> Velocity:
    given = model.prepare(batched([clip(), clip().unconditioned()]), LATENTS)
    return guided(lambda x, t: model.velocity(x, t, given), 5.0)


def test_the_full_size_is_exact_and_bfloat16_nearer_than_autocast(
    model: DiT, golden: dict[str, np.ndarray]
) -> None:
    x, t = one("latent", 64, LATENTS), torch.tensor(0.7)
    model.lower(torch.float32)
    with torch.inference_mode():
        found = {
            "dit_flow_cfg1": model.velocity(x, t, model.prepare(clip(), LATENTS)),
            "dit_flow_cfg5": steered(model)(x, t),
            "dit_sample4_cfg5": integrate(steered(model), one("noise", 64, LATENTS), sampling_times(4)),
        }
    for name, out in found.items():
        np.testing.assert_allclose(out.numpy(), golden[name], rtol=0, atol=1e-3, err_msg=name)
    model.lower(torch.bfloat16)
    with torch.inference_mode():
        error = steered(model)(x, t).numpy() - golden["dit_flow_cfg5"]
    # The released code under autocast: 0.037.
    assert np.square(error).mean() < 0.03**2 * np.square(golden["dit_flow_cfg5"]).mean()
