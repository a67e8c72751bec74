"""The multimodal diffusion transformer of ThinkSound (arXiv 2506.21448, section 3.3; MMAudio, arXiv 2412.15322).

One class for the released network of 1.28 billion parameters and for pocket. Given a noisy sound at a time of the
flow and what is seen, moves, and is said, it tells the velocity towards the sound.

B batch, L latents, C latent channels, Tv visual frames, Ts motion tokens, Tw words, D width.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reasound.accelerate import Linear, Packed
from reasound.synthesis.blocks import (
    Condition,
    Conv,
    GatedMLP,
    JointBlock,
    SoloBlock,
    kept,
    modulated,
)
from reasound.synthesis.conditions import MASKS, TIMELINE_EXTRAS, Conditions
from reasound.synthesis.rope import angles


@dataclass(frozen=True, kw_only=True)
class DiTConfig:
    latent: int = 64
    """Channels of the codec's latents."""
    visual: int = 1024
    sync: int = 768
    caption: int = 1024
    """Width of the caption's tokens; padded with zeros to that of the reasoning's."""
    reasoning: int = 2048
    text_tokens: int = 77
    """Exact number of tokens of caption and of reasoning; 0: any number, padding masked."""
    sync_period: int = 8
    """Motion tokens come in windows of this many, each with its learned position; 1: without positions."""
    width: int = 1024
    heads: int = 16
    joint_layers: int = 7
    """Layers in which latents, visual and text tokens attend to each other."""
    solo_layers: int = 14
    kernel: int = 3
    """Of the convolutions that read the latents and of the solo layers."""
    expand: float = 4.0
    """Of the MLPs: they are 2/3 * expand * width wide, rounded up to a multiple of `round_to`."""
    round_to: int = 256
    span: int = 194
    """Latents of the clips that it was trained on; longer sounds are made in windows of this length."""
    context: bool = False
    """Also read latents of existing sound, and masks that say what they are (`conditions.MASKS`)."""
    timeline: int = 0
    """Width of the sentence vectors of the timeline; 0: no timeline."""
    reference: bool = False
    """Also read latents of recordings that lie where such a sound is wanted."""
    mixing: bool = False
    """What goes in (noisy latents, reference, context) also comes out, each channel weighted anew in every frame: a
    small network need not learn to copy."""

    @property
    def inner(self) -> int:
        return -(-int(2 * int(self.width * self.expand) / 3) // self.round_to) * self.round_to


def thinksound() -> DiTConfig:
    """The released network."""
    return DiTConfig()


SIZES = {"6M": (128, 4, 2, 4), "12M": (192, 6, 2, 4), "27M": (256, 8, 3, 5), "63M": (384, 12, 3, 6)}
"""Parameters -> width, heads, joint and solo layers of pocket."""


def pocket(sync: int, size: str = "12M") -> DiTConfig:
    """Small enough for a laptop's CPU. `sync` is the number of motion statistics in a frame; `size` one of SIZES."""
    width, heads, joint, solo = SIZES[size]
    return DiTConfig(
        visual=384,
        sync=sync,
        caption=384,
        reasoning=384,
        text_tokens=0,
        sync_period=1,
        width=width,
        heads=heads,
        joint_layers=joint,
        solo_layers=solo,
        expand=2.5,
        round_to=64,
        span=108,
        context=True,
        timeline=384,
        reference=True,
        mixing=True,
    )


@dataclass(frozen=True)
class Prepared:
    """Conditions after all that does not depend on noise or time: made once a clip, used in every step."""

    visual: Tensor  # [B, Tv, D]
    text: Tensor  # [B, Tw, D]
    mask: Tensor | None  # [B, 1, 1, L + Tv + Tw], False where a word is padding
    frames: Tensor  # [B, L, D]  what moves and what the timeline asks for, in each latent frame
    alike: tuple[Tensor, Tensor] | None  # as `distinct` has it, where many frames are the same
    whole: Tensor  # [B, D]  the clip in one vector
    beside: Tensor | None  # [B, L, C + 1 and C + masks]  reference and context
    turns: tuple[Tensor, Tensor]  # rotary tables of latents and of visual tokens
    frequencies: Tensor  # [D / 2]  of the time embedding


class Embed(nn.Sequential):
    """A condition's way in: projection, SiLU, gated MLP."""

    def __init__(self, inputs: int, config: DiTConfig, kernel: int, mlp_kernel: int) -> None:
        super().__init__(
            Conv(inputs, config.width, kernel), nn.SiLU(), GatedMLP(config.width, config.inner, mlp_kernel)
        )


class TimeEmbed(nn.Module):
    """The time of the flow as a vector. Frequencies run from 10 000 down to 1, so t must stay in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.mlp = nn.Sequential(Linear(width, width), nn.SiLU(), Linear(width, width))
        for parameter in self.mlp.parameters():
            nn.init.normal_(parameter, std=0.02 if parameter.ndim > 1 else 0.0)

    def frequencies(self) -> Tensor:
        """[D / 2] in exactly this order of float32 operations, on the CPU whatever the device: one unit in the last
        place is audible in the flow."""
        power = 10_000 ** (torch.arange(0, self.width, 2, dtype=torch.float32) / self.width)
        return (1.0 / power) * 10_000

    def waves(self, t: Tensor, frequencies: Tensor) -> Tensor:
        """t [B] -> [B, D] float32, on the frequencies' device."""
        phase = t.to(frequencies.device, torch.float32)[:, None] * frequencies
        return torch.cat([phase.cos(), phase.sin()], -1)

    def forward(self, waves: Tensor) -> Tensor:
        """[B, D] -> [B, D]."""
        embedded: Tensor = self.mlp(waves)
        return embedded


class Final(nn.Module):
    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        inputs = 1 + config.reference + config.context
        self.modulate = Linear(config.width, 2 * config.width)
        self.out = Conv(config.width, config.latent, 7)
        self.mix = Linear(config.width, inputs * config.latent) if config.mixing else None
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, condition: Condition, inputs: Tensor) -> Tensor:
        """x [B, L, D], inputs [B, L, kinds, C] -> [B, L, C]."""
        shift, scale = condition.through(self.modulate).chunk(2, dim=-1)
        x = modulated(x, shift, scale)
        out: Tensor = self.out(x)
        if self.mix is not None:
            out = out + (self.mix(x).unflatten(-1, inputs.shape[2:]) * inputs).sum(2)
        return out


def upsampled(x: Tensor, length: int) -> Tensor:
    """[B, T, D] -> [B, length, D], the nearest frame. The index is computed in float32, as in the released code:
    exact arithmetic picks other frames where the two rates meet."""
    ratio = torch.tensor(x.shape[1] / length, dtype=torch.float32)
    index = ((torch.arange(length, dtype=torch.float32) + 0.5) * ratio).long().clamp(max=x.shape[1] - 1)
    return x[:, index.to(x.device)]


def distinct(x: Tensor) -> tuple[Tensor, Tensor] | None:
    """Where many rows of float32 x [B, T, D] are the same to the bit within their item: the place among B * T of one
    of each kind [R], and the kind of each row [B, T]. None where few are.

    Where nothing is seen the motion is periodic, and half of what guidance asks for is such."""
    count = x.shape[0] * x.shape[1]
    items = torch.arange(len(x), dtype=torch.int32).repeat_interleave(x.shape[1])
    bits = torch.cat([items[:, None], x.flatten(0, 1).contiguous().view(torch.int32)], 1)
    kinds, kind = torch.unique(bits, dim=0, return_inverse=True)
    if len(kinds) > 0.8 * count:
        return None
    first = torch.empty(len(kinds), dtype=torch.long).scatter_(0, kind, torch.arange(count))
    return first, kind.view(x.shape[:2])


def limited(x: Tensor) -> Tensor:
    """x [B, T, D] with its root mean square held below 1; small values pass as they are.

    It goes into every modulation without a norm: a caption unlike those of the training would otherwise turn up all
    layers at once (seen: a loss of 1600 where 0.5 is usual)."""
    return x * torch.rsqrt(1 + x.float().square().mean(-1, keepdim=True)).to(x.dtype)


class DiT(nn.Module):
    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.config = c = config
        self.beside = [c.latent, 1] * c.reference + [c.latent, MASKS] * c.context
        self.latent_in = Embed(c.latent + sum(self.beside), c, c.kernel, c.kernel)
        self.visual_in = Embed(c.visual, c, 1, 3)
        self.sync_in = Embed(c.sync, c, 7, 3)
        self.text_in = Embed(c.reasoning, c, 1, 1)
        self.timeline_in = Embed(c.timeline + TIMELINE_EXTRAS, c, 7, 3) if c.timeline else None
        self.visual_whole = Linear(c.width, c.width)
        self.text_whole = Linear(c.caption, c.width)
        self.whole = GatedMLP(c.width, c.inner, 1)
        self.time = TimeEmbed(c.width)
        self.joint = nn.ModuleList(
            JointBlock(c.width, c.heads, c.inner, last=i == c.joint_layers - 1) for i in range(c.joint_layers)
        )
        self.solo = nn.ModuleList(
            SoloBlock(c.width, c.heads, c.inner, c.kernel) for _ in range(c.solo_layers)
        )
        self.final = Final(c)
        # What stands for an input that is not given. A masked text is one learned token when it is empty.
        self.empty_visual = nn.Parameter(torch.zeros(1, c.visual))
        self.empty_sync = nn.Parameter(torch.zeros(1, c.sync))
        self.empty_caption = nn.Parameter(torch.zeros(c.text_tokens or 1, c.caption))
        self.empty_reasoning = nn.Parameter(torch.zeros(c.text_tokens or 1, c.reasoning))
        self.empty_timeline = (
            nn.Parameter(torch.zeros(1, c.timeline + TIMELINE_EXTRAS)) if c.timeline else None
        )
        self.sync_place = nn.Parameter(torch.zeros(c.sync_period, c.sync)) if c.sync_period > 1 else None

    def lower(self, dtype: torch.dtype) -> None:
        """Run in this precision from now on, in place, without derivatives for the weights.

        Float32, or bfloat16 (float16 on a GPU) for the weights of matrix products. What decides the time, norms, gains
        and what the learned empty features are stays float32, and so do x, t and the sums over layers."""
        exact = set(self.time.modules())
        for module in self.modules():
            if isinstance(module, Packed):
                module.lower(torch.float32 if module in exact else dtype)
            else:
                for name, parameter in list(module.named_parameters(recurse=False)):
                    setattr(module, name, nn.Parameter(parameter.detach().float(), requires_grad=False))

    def forward(self, x: Tensor, t: Tensor, conditions: Conditions) -> Tensor:
        """Noisy latents [B, C, L] at times t [B] -> velocity [B, C, L]."""
        return self.velocity(x, t, self.prepare(conditions, x.shape[2]))

    def velocity(self, x: Tensor, t: Tensor, given: Prepared) -> Tensor:
        """As `forward`, for conditions that are prepared already. t is [B] or one time for all."""
        h = inputs = x.transpose(1, 2)  # [B, L, C]
        if given.beside is not None:
            h = torch.cat([h, given.beside], -1)
        h = kept(self.latent_in(h))  # [B, L, D]
        waves = self.time.waves(t.expand(len(x)), given.frequencies).to(x.device)
        whole = (self.time(waves) + given.whole)[:, None]  # [B, 1, D]
        frames = whole + given.frames  # [B, L, D]
        if given.alike is None:
            moving = Condition(F.silu(frames))
        else:
            rows, places = given.alike
            moving = Condition(F.silu(frames.flatten(0, 1).index_select(0, rows)), places)
        still = Condition(F.silu(whole))
        streams, turns = (h, given.visual, given.text), (*given.turns, None)
        for joint in self.joint:
            streams = joint(streams, (moving, still, still), turns, given.mask)
        h = streams[0]
        for solo in self.solo:
            h = solo(h, moving, given.turns[0])
        if given.beside is not None:  # without what tells whether they are given, and what they are
            inputs = torch.cat([inputs, *given.beside.split(self.beside, -1)[::2]], -1)
        velocity: Tensor = self.final(h, moving, inputs.unflatten(-1, (-1, self.config.latent)))
        return velocity.transpose(1, 2).float()

    def prepare(self, conditions: Conditions, latents: int) -> Prepared:
        """All that does not depend on x and t, for sounds of so many latents. ValueError where inputs do not fit."""
        c = self.config
        self._check(conditions, latents)
        visual = conditions.filled("visual", self.empty_visual)
        sync = conditions.filled("sync", self.empty_sync)
        if self.sync_place is not None:
            sync = sync + self.sync_place.repeat(sync.shape[1] // c.sync_period, 1)
        caption, caption_mask = conditions.words("caption", self.empty_caption)
        reasoning, reasoning_mask = conditions.words("reasoning", self.empty_reasoning)

        visual = kept(self.visual_in(visual))
        words = torch.cat([F.pad(caption, (0, c.reasoning - c.caption)), reasoning], 1)
        text = kept(self.text_in(words))
        whole = self.whole(
            self.visual_whole(visual.mean(1)) + self.text_whole(conditions.gist(caption, caption_mask))
        )
        frames = kept(upsampled(self.sync_in(sync), latents))
        if self.timeline_in is not None:
            assert self.empty_timeline is not None
            frames = frames + limited(self.timeline_in(conditions.filled("timeline", self.empty_timeline)))

        mask = None
        if caption_mask is not None and reasoning_mask is not None:
            mask = F.pad(
                torch.cat([caption_mask, reasoning_mask], 1), (latents + visual.shape[1], 0), value=True
            )
            mask = mask[:, None, None]
        head, device = c.width // c.heads, visual.device
        turns = (
            angles(latents, head).to(device),
            angles(visual.shape[1], head, latents / visual.shape[1]).to(device),
        )
        plain = frames.requires_grad or frames.dtype != torch.float32 or device.type != "cpu"
        alike = None if plain else distinct(frames)
        # Phases reach 10 000; a GPU that is not known to be exact there gets their waves from the CPU.
        frequencies = self.time.frequencies().to(device if device.type == "cuda" else "cpu")
        beside = [conditions.like(latents, c.latent)] if c.reference else []
        beside += [conditions.heard(latents, c.latent)] if c.context else []
        given = torch.cat(beside, -1) if beside else None
        return Prepared(visual, text, mask, frames, alike, whole, given, turns, frequencies)

    def _check(self, conditions: Conditions, latents: int) -> None:
        c = self.config
        for name, width in (
            ("visual", c.visual),
            ("sync", c.sync),
            ("caption", c.caption),
            ("reasoning", c.reasoning),
        ):
            found = getattr(conditions, name).shape[-1]
            if found != width:
                raise ValueError(f"the {name} features are {found} wide; this model reads {width}")
        if conditions.sync.shape[1] % c.sync_period:
            raise ValueError(
                f"{conditions.sync.shape[1]} motion tokens are not a multiple of {c.sync_period}"
            )
        for name in ("caption", "reasoning"):
            count, masked = (
                getattr(conditions, name).shape[1],
                getattr(conditions, f"{name}_mask") is not None,
            )
            if c.text_tokens and (count != c.text_tokens or masked):
                raise ValueError(
                    f"this model reads {c.text_tokens} {name} tokens without a mask, not {count}"
                )
            if not c.text_tokens and not masked:
                raise ValueError(f"this model needs a mask for the {name} tokens")
        for name, wanted in (
            ("timeline", c.timeline > 0),
            ("reference", c.reference),
            ("context", c.context),
        ):
            given = getattr(conditions, name)
            if given is not None and not wanted:
                raise ValueError(f"this model has no {name} input")
            if given is not None and given.shape[1] != latents:
                raise ValueError(f"the {name} has {given.shape[1]} frames for {latents} latents")
        if c.timeline and conditions.timeline is None:
            raise ValueError("this model needs a timeline; mark it as missing where there is none")


def build(settings: dict[str, object]) -> DiT:
    """A DiT from the fields of its configuration, as `checkpoints.store` reads them. TypeError for unknown ones."""
    unknown = set(settings) - {f.name for f in fields(DiTConfig)}
    if unknown:
        raise TypeError(f"unknown setting {sorted(unknown)[0]!r}")
    return DiT(replace(DiTConfig(), **settings))  # type: ignore[arg-type]
