"""Writes an answer, word by word, under its grammar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from reasound.reasoning.pocket import tokenizer as t
from reasound.reasoning.pocket.grammar import EditDraft, PlanDraft, Situation, Task, grammar
from reasound.reasoning.pocket.network import Cache, Network, Things
from reasound.reasoning.pocket.prefix import Prefix


@dataclass(frozen=True)
class Answer:
    draft: PlanDraft | EditDraft
    tokens: tuple[int, ...]
    sure: tuple[float, ...]
    """The probability that each was written with, among those that were allowed."""


@torch.inference_mode()
def write(
    network: Network,
    prefix: Prefix,
    task: Task,
    situation: Situation,
    progress: Callable[[Sequence[int]], None] | None = None,
) -> Answer:
    """The most probable answer, one word at a time."""
    machine = grammar(task, situation)
    allowed = next(machine)
    cache: Cache = []
    things = network.embed(Things.of([prefix]))
    begin = network.model.embed_tokens(torch.tensor([t.token(f"<{task}>")]))
    hidden = network.model(torch.cat([things, begin])[None], cache)[:, -1]
    tokens: list[int] = []
    sure: list[float] = []
    while True:
        choices = torch.tensor(allowed)
        odds = network.logits(hidden)[0, choices].softmax(0)
        best = int(odds.argmax())
        tokens.append(int(choices[best]))
        sure.append(float(odds[best]))
        if progress is not None:
            progress(tokens)
        try:
            allowed = machine.send(tokens[-1])
        except StopIteration as done:
            return Answer(done.value, tuple(tokens), tuple(sure))
        word = network.model.embed_tokens(torch.tensor([tokens[-1:]]))
        hidden = network.model(word, cache)[:, -1]
