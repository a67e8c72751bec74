"""What the audio model may attend to: the one place where features and reasoning meet.

B batch, Tv visual frames (8 a second), Ts motion frames, Tw words, L latents, Dv, Ds, Dc, Dr, Dt widths, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from reasound.perception.features import Features
from reasound.plan import Ambience, Event, Plan
from reasound.timeline import SAMPLE_RATE, SAMPLES_PER_LATENT, Timeline

if TYPE_CHECKING:
    from reasound.synthesis.dit import DiTConfig

INPUTS = ("visual", "sync", "caption", "reasoning", "pooled", "timeline", "reference", "context")
"""What can be missing, or be dropped in training, each by itself; the columns of `Conditions.missing`."""

KEEP, BESIDE, EXTRACT, REMOVE = range(4)
"""What the context is, in each latent frame: sound to keep; other layers that sound at the same time; a mixture from
which the described sound is taken; a mixture that is wanted without the described sound."""
MASKS = 4

ONSET, FRACTION, LEVEL, PAN = range(4)
"""The timeline's channels after the sentence vectors: the strength of an onset, where in its frame it lies (0 to 1),
level (in 20 dB) and pan of what sounds."""
TIMELINE_EXTRAS = 4

TOKEN_SCALE = 2.0
"""Brings MiniLM's token states to about unit variance."""


class TextEncoder(Protocol):
    """MiniLM, as `reasound.perception.text` has it."""

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """[N, 384], each of length 1."""

    def tokens(
        self, sentences: Sequence[str], limit: int = 256
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Token states [N, Tw, 384] and which of them are words [N, Tw]."""


@dataclass(frozen=True)
class Conditions:
    visual: Tensor  # [B, Tv, Dv]  what is there, 8 a second
    sync: Tensor  # [B, Ts, Ds]  when it moves
    caption: Tensor  # [B, Tw, Dc]
    reasoning: Tensor  # [B, Tw, Dr]  the chain of thought
    missing: Tensor  # [B, 8] bool, columns as in INPUTS: the model puts its learned empty feature there
    caption_mask: Tensor | None = None  # [B, Tw] bool, False for padding
    reasoning_mask: Tensor | None = None
    pooled: Tensor | None = None  # [B, Dc]  the caption in one vector; None: the mean of its tokens
    timeline: Tensor | None = None  # [B, L, Dt + 4]  what should sound in each latent frame, and how
    reference: Tensor | None = (
        None  # [B, L, C]  latents of recordings of such sounds, placed where they are wanted
    )
    context: Tensor | None = None  # [B, L, C]  latents of sound that is there already
    mask: Tensor | None = None  # [B, L, 4]  what the context is (KEEP, BESIDE, EXTRACT, REMOVE); 0: unknown

    def __len__(self) -> int:
        return len(self.visual)

    def map(self, change: Callable[[Tensor], Tensor]) -> Conditions:
        """Every tensor changed: another device, or a choice of items."""
        given = {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}
        return replace(self, **{name: change(value) for name, value in given.items()})

    def without(self, names: Iterable[str]) -> Conditions:
        """These inputs not given, for every item."""
        missing = self.missing.clone()
        missing[:, [INPUTS.index(name) for name in names]] = True
        return replace(self, missing=missing)

    def dropped(
        self, each: float, together: float = 0.0, generator: torch.Generator | None = None
    ) -> Conditions:
        """Each input of each item not given with probability `each`, independently, so that any subset of inputs
        works; and all but the context with probability `together`: the half that guidance pushes away from. The
        caption's two forms go together."""
        drop = torch.rand(len(self), len(INPUTS), generator=generator) < each
        nothing = torch.rand(len(self), generator=generator) < together
        drop[:, : INPUTS.index("context")] |= nothing[:, None]
        drop[:, INPUTS.index("pooled")] = drop[:, INPUTS.index("caption")]
        return replace(self, missing=self.missing | drop.to(self.missing.device))

    def unconditioned(self, avoid: Conditions | None = None) -> Conditions:
        """The half that guidance pushes away from: nothing is given but the sound that is there already.

        With `avoid`, its caption is: what must not be heard."""
        if avoid is None:
            return self.without(name for name in INPUTS if name != "context")
        texts = {name: getattr(avoid, name) for name in ("caption", "caption_mask", "pooled")}
        half = replace(self.without(name for name in INPUTS if name != "context"), **texts)
        for name in ("caption", "pooled"):
            half.missing[:, INPUTS.index(name)] = avoid.missing[:, INPUTS.index(name)]
        return half

    def filled(self, name: str, empty: Tensor) -> Tensor:
        """An input [B, T, D] with the empty feature [1 or T, D] where it is missing."""
        value: Tensor = getattr(self, name)
        return torch.where(self._lacks(name)[:, None, None], empty.to(value.dtype), value)

    def words(self, name: str, empty: Tensor) -> tuple[Tensor, Tensor | None]:
        """A text's tokens and mask. Where a masked text is missing it is one word, the empty token."""
        mask: Tensor | None = getattr(self, f"{name}_mask")
        if mask is None:
            return self.filled(name, empty), None
        first = torch.zeros_like(mask)
        first[:, 0] = True
        return self.filled(name, empty), torch.where(self._lacks(name)[:, None], first, mask)

    def gist(self, caption: Tensor, mask: Tensor | None) -> Tensor:
        """The caption in one vector [B, Dc]: `pooled`, zeros where that is missing; or the mean of the tokens."""
        if self.pooled is not None:
            return self.pooled * ~self._lacks("pooled")[:, None]
        if mask is None:
            return caption.mean(1)
        return (caption * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)

    def heard(self, latents: int, channels: int) -> Tensor:
        """Context and masks [B, L, C + 4]; zeros where there is none."""
        if self.context is None or self.mask is None:
            return self.visual.new_zeros(len(self), latents, channels + MASKS)
        return torch.cat([self.context, self.mask], -1) * ~self._lacks("context")[:, None, None]

    def like(self, latents: int, channels: int) -> Tensor:
        """The reference and whether there is one [B, L, C + 1]; zeros where there is none."""
        if self.reference is None:
            return self.visual.new_zeros(len(self), latents, channels + 1)
        given = F.pad(self.reference, (0, 1), value=1.0)
        return given * ~self._lacks("reference")[:, None, None]

    def between(self, start: int, stop: int, latents: int, period: int = 1) -> Conditions:
        """The part from latent `start` to `stop` of `latents`: streams are cut, texts stay whole. Motion tokens come
        in groups of `period`."""

        def cut(x: Tensor, unit: int = 1) -> Tensor:
            groups = x.shape[1] // unit
            low = min(start * groups // latents, groups - 1)
            return x[:, low * unit : max(-(-stop * groups // latents), low + 1) * unit]

        same_rate = {
            name: value[:, start:stop]
            for name in ("timeline", "reference", "context", "mask")
            if (value := getattr(self, name)) is not None
        }
        return replace(self, visual=cut(self.visual), sync=cut(self.sync, period), **same_rate)

    def _lacks(self, name: str) -> Tensor:
        return self.missing[:, INPUTS.index(name)]


def batched(items: Sequence[Conditions]) -> Conditions:
    """Several conditions as one batch; shorter texts are padded. ValueError where clips differ in length or in what
    they give."""
    joined: dict[str, Tensor] = {}
    for name in (f.name for f in fields(Conditions)):
        values = [getattr(item, name) for item in items]
        if all(value is None for value in values):
            continue
        if any(value is None for value in values):
            raise ValueError(f"some conditions of a batch have a {name}, others have none")
        if name.startswith(("caption", "reasoning")) and items[0].caption_mask is not None:
            longest = max(value.shape[1] for value in values)
            trailing = (0, 0) * (values[0].ndim - 2)
            values = [F.pad(value, (*trailing, 0, longest - value.shape[1])) for value in values]
        if len({value.shape[1:] for value in values}) > 1:
            raise ValueError(f"the {name} inputs of a batch differ in shape; group clips of one length")
        joined[name] = torch.cat(values)
    return Conditions(**joined)


def chosen(plan: Plan, ids: Collection[str] | None) -> tuple[list[Event], list[Ambience]]:
    """The events and ambiences with these ids; all of them for None. ValueError for an unknown id."""
    known = {e.id for e in plan.events} | {a.id for a in plan.ambience}
    if ids is not None and set(ids) - known:
        raise ValueError(f"the plan has no event {sorted(set(ids) - known)[0]!r}")
    wanted = known if ids is None else set(ids)
    return [e for e in plan.events if e.id in wanted], [a for a in plan.ambience if a.id in wanted]


def timeline(
    plan: Plan,
    vectors: dict[str, NDArray[np.float32]],
    ids: Collection[str] | None = None,
    placed: bool = True,
) -> NDArray[np.float32]:
    """What should sound in each latent frame: [L, Dt + 4].

    First the sum of the sentence vectors of what is active, by how much of the frame it is; then onset, place of the
    onset in the frame, level and pan. `vectors` maps every `sound` to a vector [Dt] of unit length; they are scaled to
    unit variance. `placed`: False leaves level and pan at 0, for a layer that mixing will place.
    """
    events, ambience = chosen(plan, ids)
    frames = Timeline(plan.seconds).latents
    width = len(next(iter(vectors.values()))) if vectors else 0
    out = np.zeros((frames, width + TIMELINE_EXTRAS), np.float32)
    extras, weight = out[:, width:], np.full(frames, 1e-6, np.float32)
    activity = dict(zip((e.id for e in plan.events), plan.activity(), strict=True))
    times = (np.arange(frames) + 0.5) * SAMPLES_PER_LATENT / SAMPLE_RATE
    items: list[Event | Ambience] = [*events, *ambience]
    for item in items:
        active = activity.get(item.id, np.ones(frames, np.float32))
        out[:, :width] += active[:, None] * vectors[item.sound] * np.float32(width**0.5)
        if placed:
            weight += active
            extras[:, LEVEL] += active * np.float32(item.level / 20)
            extras[:, PAN] += active * (
                item.place(times)[0].astype(np.float32) if isinstance(item, Event) else 0
            )
    extras[:, [LEVEL, PAN]] /= np.maximum(weight, 1)[:, None]
    for event in events:
        for time, strength in event.hits():
            at = time * SAMPLE_RATE / SAMPLES_PER_LATENT
            frame = min(int(at), frames - 1)
            if strength > extras[frame, ONSET]:
                extras[frame, ONSET], extras[frame, FRACTION] = strength, min(at - frame, 1.0)
    return out


def prepare_conditions(
    features: Features | None,
    plan: Plan,
    text: TextEncoder,
    config: DiTConfig,
    *,
    events: Collection[str] | None = None,
    reference: Tensor | None = None,
    context: tuple[Tensor, Tensor] | None = None,
) -> Conditions:
    """Conditions of one clip (B = 1) for a model of pocket's kind.

    `events`: ids of what should be heard, as a layer of its own: its sound is the caption, level and pan are left to
    mixing, and the rest of the plan is not told. None: everything, as the plan says.
    `reference`: latents [L, C] of recordings of these sounds, placed as the plan says, for a model that reads one.
    `context`: latents [L, C] of sound that is there already, and what they are [L, 4].
    ValueError when features do not fit the model, or the plan lacks an event.
    """
    if config.text_tokens or not config.timeline:
        raise ValueError(
            "this model reads other text features than MiniLM's; it cannot be conditioned by a plan here"
        )
    clock = Timeline(plan.seconds)
    found, ambience = chosen(plan, events)
    sounds = [e.sound for e in found] + [a.sound for a in ambience]
    caption = plan.caption if events is None else ", ".join(sounds)
    reasoning = plan.chain_of_thought() if events is None else ""
    texts = [caption or ", ".join(sounds), reasoning]
    words = {
        name: text.tokens([sentence], limit)
        for name, sentence, limit in zip(_TEXTS, texts, (77, 256), strict=True)
    }
    vectors = text.encode([*sounds, texts[0]])
    table = dict(zip(sounds, vectors, strict=False))
    channels = (
        timeline(plan, table, events, placed=events is None)
        if sounds
        else np.zeros((clock.latents, config.timeline + TIMELINE_EXTRAS), np.float32)
    )
    given = {
        "visual": features is not None,
        "sync": features is not None,
        "caption": bool(texts[0]),
        "reasoning": bool(texts[1]),
        "pooled": bool(texts[0]),
        "timeline": True,
        "reference": reference is not None,
        "context": context is not None,
    }
    visual = np.zeros((1, config.visual), np.float32)  # one frame is enough for the empty feature
    sync = np.zeros((1, config.sync), np.float32)
    if features is not None:
        visual, sync = features.visual * np.float32(config.visual**0.5), features.sync
    return Conditions(
        visual=_one(visual),
        sync=_one(sync),
        **{name: torch.from_numpy(np.asarray(words[name][0], np.float32)) * TOKEN_SCALE for name in _TEXTS},
        **{f"{name}_mask": torch.from_numpy(np.asarray(words[name][1], bool)) for name in _TEXTS},
        missing=torch.tensor([[not given[name] for name in INPUTS]]),
        pooled=_one(vectors[-1]) * config.caption**0.5,
        timeline=_one(channels),
        reference=None if reference is None else reference[None],
        context=None if context is None else context[0][None],
        mask=None if context is None else context[1][None],
    )


_TEXTS = ("caption", "reasoning")


def _one(values: NDArray[np.float32]) -> Tensor:
    """As a batch of one."""
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))[None]
