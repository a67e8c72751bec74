"""Flow matching on straight paths: noise is time 1, sound is time 0.

The integrator knows only `velocity(x, t)`; guidance is a function around a velocity. Training takes its points and
targets from the same file, so the two cannot drift apart. Rectified flow: arXiv 2209.03003; logit-normal times: arXiv
2403.03206, section 3.1; guidance rescaling: arXiv 2305.08891, section 3.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""x [B, C, L], t [] -> [B, C, L]"""
Method = Literal["euler", "heun"]


def noised(sound: Tensor, noise: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The point at time t [B] on the straight path, and the velocity the model must learn there."""
    t = t.view(-1, *[1] * (sound.ndim - 1))
    return (1 - t) * sound + t * noise, noise - sound


def training_times(count: int, generator: torch.Generator | None = None) -> Tensor:
    """Logit-normal times [count]: most in the middle, where the velocity is hardest to tell."""
    return torch.sigmoid(torch.randn(count, generator=generator))


def sampling_times(steps: int, start: float = 1.0) -> Tensor:
    """steps + 1 equal times from `start` to 0, float32. ValueError for fewer than one step."""
    if steps < 1:
        raise ValueError(f"sampling needs at least one step, not {steps}")
    return torch.linspace(start, 0.0, steps + 1)


def integrate(
    velocity: Velocity,
    x: Tensor,
    times: Tensor,
    method: Method = "euler",
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Follow the velocity from times[0] (noise is 1) to times[-1] (sound is 0).

    "euler" asks for one velocity a step; "heun" for two, with an error of second order. x stays in its own precision,
    whatever the velocity's. `progress` is told (steps done, steps in all).
    """
    steps, ends = len(times) - 1, times.tolist()[1:]
    if x.device.type == "cuda":
        times = times.to(x.device)  # once: a time that is sent in each step makes the host wait for the GPU
    for done, ((now, then), end) in enumerate(zip(pairwise(times), ends, strict=True), start=1):
        v = velocity(x, now).to(x.dtype)
        moved = x + (then - now) * v
        if method == "heun" and end > 0:  # at time 0 nothing was ever trained
            moved = x + (then - now) * (v + velocity(moved, then).to(x.dtype)) / 2
        x = moved
        if progress is not None:
            progress(done, steps)
    return x


def guided(velocity: Velocity, scale: float, rescale: float = 0.0) -> Velocity:
    """Classifier-free guidance (arXiv 2207.12598) around a velocity over 2 B items in one batch: the first half is
    conditioned, the second is not.

    `rescale` (0 to 1) brings the deviation over time of each channel back to that of the conditioned half.
    """

    def steer(x: Tensor, t: Tensor) -> Tensor:
        heard, free = velocity(torch.cat([x, x]), t).chunk(2)
        out = free + scale * (heard - free)
        if rescale:
            evened = out * (heard.std(-1, keepdim=True) / out.std(-1, keepdim=True))
            out = rescale * evened + (1 - rescale) * out
        return out

    return steer


def noise_for(seeds: Sequence[int], channels: int, length: int) -> Tensor:
    """Noise [B, channels, length], one CPU generator an item: the same seed gives the same noise whatever the batch
    or device, and a longer sound begins with the noise of a shorter one."""
    draws = [torch.randn(length, channels, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(draws).transpose(1, 2).contiguous()
