"""What the audio model makes of the benchmark's edit tasks: existing sound enters as context (ThinkSound, section 3.3,
stage three), and what lies outside the task's span is copied, never made again."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor

from reasound.data.scenes.truth import Audio, Task
from reasound.plan import Plan
from reasound.synthesis.conditions import (
    BESIDE,
    EXTRACT,
    KEEP,
    MASKS,
    REMOVE,
    Conditions,
    batched,
    prepare_conditions,
)
from reasound.synthesis.model import ModelRenderer, seed_of
from reasound.timeline import SAMPLE_RATE, SAMPLES_PER_LATENT, Timeline

FADE = 0.02
"""Seconds over which made sound takes over from copied sound, inside the span."""
_ROLES = {"add": BESIDE, "extract": EXTRACT, "remove": REMOVE}


def untouched(task: Task) -> Audio:
    """The sound as it was given, with silence where it would have to grow: what doing nothing scores."""
    missing = task.answer.shape[1] - task.given.shape[1]
    return np.pad(task.given, ((0, 0), (0, missing)))


def edited(renderer: ModelRenderer, plan: Plan, tasks: list[Task], seed: int, steps: int) -> list[Audio]:
    """The model's answers [2, N] to tasks of one scene, made together. `plan` is the scene's."""
    length = Timeline(plan.seconds).latents
    given = [untouched(task) for task in tasks]
    conditions = [
        _conditions(renderer, plan, task, sound, length) for task, sound in zip(tasks, given, strict=True)
    ]
    seeds = [seed_of(seed, task.operation) for task in tasks]
    latents = renderer.model.latents(batched(conditions), seeds, length, steps=steps)
    made = renderer.model.decode(latents, seeds, given[0].shape[1]).numpy()
    return [
        joined(task, before, cast(Audio, after))
        for task, before, after in zip(tasks, given, made, strict=True)
    ]


def _conditions(renderer: ModelRenderer, plan: Plan, task: Task, given: Audio, length: int) -> Conditions:
    context = renderer.model.codec.encode(torch.from_numpy(given)[None])[0].T  # [L, C]
    mask: Tensor = torch.zeros(length, MASKS)
    if task.operation in _ROLES:
        mask[:, _ROLES[task.operation]] = 1.0
    else:
        first, last = (round(t * SAMPLE_RATE / SAMPLES_PER_LATENT) for t in task.span)
        mask[:first, KEEP] = 1.0
        mask[last + 1 :, KEEP] = 1.0
        context = context * mask[:, KEEP : KEEP + 1]
    events = [task.event] if task.event else None
    return prepare_conditions(
        None, plan, renderer.text, renderer.model.dit.config, events=events, context=(context, mask)
    )


def joined(task: Task, given: Audio, made: Audio) -> Audio:
    """Made sound inside the span, the given sound outside it, bit for bit; an added sound lies over what is there."""
    n = given.shape[1]
    first, last = (min(max(round(t * SAMPLE_RATE), 0), n) for t in task.span)
    share = np.zeros(n, np.float32)
    share[first:last] = 1.0
    fade = min(round(FADE * SAMPLE_RATE), (last - first) // 2)
    if fade:
        ramp = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
        if first > 0:
            share[first : first + fade] = ramp
        if last < n:
            share[last - fade : last] = ramp[::-1]
    if task.operation == "add":
        return given + share * made
    result = given * (1 - share) + share * made
    return np.where(share > 0, result, given).astype(np.float32)
