"""What is known of a scene because we made it: what is seen, what is heard, and what an edit of it should give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from reasound.plan import Event, Plan

Audio = NDArray[np.float32]  # [2, N] at 44.1 kHz
Picture = NDArray[np.uint8]  # [H, W, 3] RGB
Mask = NDArray[np.bool_]  # [H, W]

FPS, WIDTH, HEIGHT = 25, 320, 240
EDGE_PAN = 0.7
"""Pan of a thing at the edge of the picture: what is at the edge is still in front."""

Operation = Literal["add", "remove", "extract", "inpaint", "extend"]
OPERATIONS: tuple[Operation, ...] = ("add", "remove", "extract", "inpaint", "extend")


class Film(Protocol):
    """Pictures that are drawn when they are asked for; the same frame is always the same."""

    frames: int
    """At FPS, each WIDTH x HEIGHT."""

    def picture(self, frame: int) -> Picture:
        """[H, W, 3]."""
        ...

    def mask(self, thing: str, frame: int) -> Mask:
        """[H, W]: where the thing of an event (by the event's id) can be seen; nothing where it is hidden or gone."""
        ...


@dataclass(frozen=True)
class Contact:
    """Two bodies touch."""

    time: float
    """Seconds."""
    impulse: float
    """Newton seconds, along the normal."""
    materials: tuple[str, str]
    event: str
    """Id of the event that sounds with it."""


@dataclass(frozen=True)
class Staged:
    """What is seen, and what it should sound like."""

    kind: str
    """What happens: "bounce", "roll", "call", ..."""
    seconds: Fraction
    film: Film
    events: tuple[Event, ...]
    """Of things that sound and can be seen: times, strengths, places and levels as the picture shows them."""
    outdoors: bool
    contacts: tuple[Contact, ...] = ()
    """Of rigid bodies: every one that is heard, in order of time."""


@dataclass(frozen=True)
class Task:
    """An edit with its right answer; all sounds of one task at the same length, except that `extend` grows."""

    operation: Operation
    instruction: str
    """As a person would say it."""
    target: str
    """What is to be added, removed, ...: the sound as a caption."""
    event: str
    """Id in the scene's plan; empty where the whole mix is meant (inpaint, extend)."""
    span: tuple[float, float]
    """Seconds in which something may change; the answer equals the given sound outside."""
    given: Audio
    answer: Audio


@dataclass(frozen=True)
class TrueScene:
    """A clip of the benchmark."""

    id: str
    kind: str
    seconds: Fraction
    film: Film
    plan: Plan
    """What is to be heard, with caption and chain of thought."""
    mix: Audio
    stems: Mapping[str, Audio]
    """By id of event or ambience; they sum to the mix."""
    tasks: tuple[Task, ...] = ()
    contacts: tuple[Contact, ...] = ()
