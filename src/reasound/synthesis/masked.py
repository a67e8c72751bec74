"""A span of a sound filled by the released model, which was not trained for that.

The flow goes from noise to sound along straight paths. What must stay is known at every point of its path, so before
each step its latents are put back to where the known sound would be at that time, with the noise that was drawn
(RePaint, arXiv 2201.09865, for straight paths); only the span follows the network.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from reasound.perception.features import Features
from reasound.plan import Plan
from reasound.plan_text import metaclip_caption, t5_thought
from reasound.synthesis.conditions import batched
from reasound.synthesis.flow import guided, noise_for, noised, sampling_times
from reasound.synthesis.thinksound import ThinkSound, _velocity, lengths
from reasound.synthesis.windows import windowed
from reasound.timeline import SAMPLE_RATE, SAMPLES_PER_LATENT


@torch.inference_mode()
def inpainted(
    model: ThinkSound,
    plan: Plan,
    audio: NDArray[np.float32],
    span: tuple[float, float],
    features: Features,
    *,
    seed: int,
    steps: int,
    guidance: float,
) -> NDArray[np.float32]:
    """[2, N] -> [2, N] as the codec makes it: use the span only, the rest has been through the codec. `features` are
    those that the model saw of the clip."""
    n = audio.shape[1]
    count = lengths(Fraction(n, SAMPLE_RATE), model.whole_seconds)
    given = model.conditions(features, metaclip_caption(plan), t5_thought(plan))
    size = count.latents * SAMPLES_PER_LATENT
    padded = np.pad(audio, ((0, 0), (0, max(size - n, 0))))[:, :size]
    with model._part("codec") as codec:
        sound = codec.moments(torch.from_numpy(padded)[None].to(model.device))[0].float()
    kept = torch.ones(1, 1, count.latents, device=model.device)
    first, last = (int(t * SAMPLE_RATE / SAMPLES_PER_LATENT) for t in span)
    kept[..., first : last + 1] = 0.0
    noise = noise_for([seed], sound.shape[1], count.latents).to(model.device)
    if guidance != 1.0:
        given = batched([given, given.unconditioned(model.avoiding(given, plan.avoid))])
    given = given.map(lambda x: x.to(model.device))
    with model._part("dit") as network:
        velocities = []
        for window in count.windows:
            (a, b), (v0, v1), (s0, s1) = window.latents, window.visual, window.sync
            part = given.__class__(
                **{**vars(given), "visual": given.visual[:, v0:v1], "sync": given.sync[:, s0:s1]}
            )
            velocity = partial(_velocity, network, network.prepare(part, b - a))
            velocities.append(velocity if guidance == 1.0 else guided(velocity, guidance))
        whole = (
            velocities[0]
            if len(velocities) == 1
            else windowed(velocities, [w.latents for w in count.windows])
        )
        x = noise
        for now, then in pairwise(sampling_times(steps).to(model.device)):
            x = kept * noised(sound, noise, now[None])[0] + (1 - kept) * x
            x = x + (then - now) * whole(x, now).to(x.dtype)
    return model.decode(kept * sound + (1 - kept) * x, n)
