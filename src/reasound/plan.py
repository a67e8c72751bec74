"""The chain of thought, structured: what is seen, what should sound, when, where, how loud, in what space.

ThinkSound (arXiv 2506.21448, section 3) writes it as free text. Here the text is rendered from checked
fields, so that a person can edit one onset and hear it move.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from reasound.errors import UserError
from reasound.timeline import SAMPLE_RATE, SAMPLES_PER_LATENT, Timeline

SCHEMA: Literal["reasound.plan/1"] = "reasound.plan/1"
ASPECTS = ("semantic", "temporal", "spatial", "aesthetic")
RING = 0.5
"""Seconds that a hit is taken to sound where the plan only knows its onset."""

Aspect = Literal["semantic", "temporal", "spatial", "aesthetic"]
Space = Literal["outdoors", "small room", "room", "large room", "hall", "vehicle", "underwater"]
Seconds = Annotated[float, Field(ge=0)]
Pan = Annotated[float, Field(ge=-1, le=1)]
Level = Annotated[float, Field(ge=-60, le=12)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Step(_Value):
    """One sentence of the chain of thought."""

    aspect: Aspect
    text: str = Field(min_length=1)
    events: tuple[str, ...] = ()
    """Ids of the events that the sentence speaks of."""


class Place(_Value):
    """Where a moving source is at a time."""

    time: Seconds
    pan: Pan
    distance: float = Field(default=3.0, gt=0, le=1000)


class Event(_Value):
    """Something that sounds: hits at `onsets`, or, without onsets, sound that lasts from `start` to `end`."""

    id: str = Field(min_length=1, pattern=r"^[\w\-]+$")
    source: str = Field(min_length=1)
    """What makes the sound: "a dog", "a hammer"."""
    sound: str = Field(min_length=1)
    """How it sounds, as a caption: "a small dog barks"."""
    sound_class: str = ""
    """Class of the taxonomy ("animal/dog"); empty when only the caption is known."""
    material: str = ""
    start: Seconds = 0.0
    end: Seconds
    onsets: tuple[Seconds, ...] = ()
    strengths: tuple[Annotated[float, Field(ge=0, le=1)], ...] = ()
    """0 to 1, one an onset; empty means all 1."""
    level: Level = 0.0
    """dB against the reference of the foreground."""
    pan: Pan = 0.0
    """-1 left, 1 right."""
    distance: float = Field(default=3.0, gt=0, le=1000)
    """Metres from the listener."""
    path: tuple[Place, ...] = ()
    """For a moving source; takes the place of `pan` and `distance`."""
    on_screen: bool = True
    confidence: float = Field(default=1.0, ge=0, le=1)

    @model_validator(mode="after")
    def _fits(self) -> Event:
        if self.end <= self.start:
            raise ValueError(
                f"event {self.id!r} ends at {self.end:g} s, not after its start at {self.start:g} s"
            )
        if self.strengths and len(self.strengths) != len(self.onsets):
            raise ValueError(
                f"event {self.id!r} has {len(self.onsets)} onsets but {len(self.strengths)} strengths"
            )
        if list(self.onsets) != sorted(self.onsets):
            raise ValueError(f"the onsets of event {self.id!r} are not in order of time")
        if [p.time for p in self.path] != sorted(p.time for p in self.path):
            raise ValueError(f"the path of event {self.id!r} is not in order of time")
        outside = [t for t in self.onsets if not self.start <= t <= self.end]
        if outside:
            raise ValueError(
                f"event {self.id!r} has an onset at {outside[0]:g} s, "
                f"outside its span {self.start:g}-{self.end:g} s"
            )
        return self

    def hits(self) -> Iterable[tuple[float, float]]:
        """(time, strength) of every onset."""
        return zip(self.onsets, self.strengths or (1.0,) * len(self.onsets), strict=True)

    def spans(self) -> list[tuple[float, float]]:
        """When it sounds, as (start, end) in seconds: around every hit, or the whole span."""
        if not self.onsets:
            return [(self.start, self.end)]
        return [(t, t + RING) for t in self.onsets]

    def place(self, seconds: NDArray[np.float64] | float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(pan, distance) at these times; linear between the points of the path."""
        at = np.atleast_1d(np.asarray(seconds, float))
        if not self.path:
            return np.full(at.shape, self.pan), np.full(at.shape, self.distance)
        times = [p.time for p in self.path]
        pan = np.interp(at, times, [p.pan for p in self.path])
        return pan, np.exp(np.interp(at, times, [math.log(p.distance) for p in self.path]))


class Ambience(_Value):
    """What lies under the whole clip."""

    id: str = Field(min_length=1, pattern=r"^[\w\-]+$")
    sound: str = Field(min_length=1)
    sound_class: str = ""
    level: Level = -18.0
    confidence: float = Field(default=1.0, ge=0, le=1)


class Acoustics(_Value):
    """The space around the sounds."""

    space: Space = "outdoors"
    reverb: float = Field(default=0.0, ge=0, le=1)
    """0 dry, 1 mostly reverberation."""


class Plan(_Value):
    """What should be heard in a clip of `seconds`."""

    version: Literal["reasound.plan/1"] = Field(default=SCHEMA, alias="schema")
    seconds: float = Field(gt=0)
    caption: str = ""
    reasoning: tuple[Step, ...] = ()
    events: tuple[Event, ...] = ()
    ambience: tuple[Ambience, ...] = ()
    acoustics: Acoustics = Acoustics()
    avoid: tuple[str, ...] = ()
    """What must not be heard."""
    reasoner: str = "user"

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    @model_validator(mode="after")
    def _fits(self) -> Plan:
        ids = [e.id for e in self.events] + [a.id for a in self.ambience]
        twice = {i for i in ids if ids.count(i) > 1}
        if twice:
            raise ValueError(f"two events share the id {sorted(twice)[0]!r}")
        for event in self.events:
            if event.start >= self.seconds or event.end > self.seconds + 1e-3:
                raise ValueError(
                    f"event {event.id!r} lasts from {event.start:g} to {event.end:g} s, "
                    f"but the clip is only {self.seconds:g} s long"
                )
        for step in self.reasoning:
            unknown = set(step.events) - set(ids)
            if unknown:
                raise ValueError(
                    f"the reasoning speaks of an event {sorted(unknown)[0]!r} that is not in the plan"
                )
        return self

    def chain_of_thought(self) -> str:
        """The reasoning as one paragraph, in the order of the four aspects."""
        ordered = sorted(self.reasoning, key=lambda step: ASPECTS.index(step.aspect))
        return " ".join(step.text for step in ordered)

    def only(self, ids: Iterable[str]) -> Plan:
        """The same plan with just these events and ambiences."""
        keep = set(ids)
        return self.model_copy(
            update={
                "events": tuple(e for e in self.events if e.id in keep),
                "ambience": tuple(a for a in self.ambience if a.id in keep),
                "reasoning": tuple(
                    s.model_copy(update={"events": tuple(i for i in s.events if i in keep)})
                    for s in self.reasoning
                ),
            }
        )

    def activity(self) -> NDArray[np.float32]:
        """Which event is active in which latent frame: [events, latents] in 0..1 (the share of the frame)."""
        frame = SAMPLES_PER_LATENT / SAMPLE_RATE
        edges = np.arange(Timeline(self.seconds).latents + 1) * frame
        active = np.zeros((len(self.events), len(edges) - 1), np.float32)
        for row, event in zip(active, self.events, strict=True):
            for start, end in event.spans():
                overlap = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
                row[:] = np.maximum(row, np.clip(overlap / frame, 0, 1))
        return active

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def to_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def parse(cls, text: str | bytes, name: str = "the plan") -> Plan:
        """JSON text to a checked plan; UserError names the first field that does not fit."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            reason = first["msg"].removeprefix("Value error, ")
            raise UserError(f"{name} is not a plan: {where + ': ' if where else ''}{reason}") from error

    @classmethod
    def load(cls, path: Path | str) -> Plan:
        """A plan.json that a person wrote or edited."""
        try:
            text = Path(path).read_bytes()
        except OSError as error:
            raise UserError(
                f"cannot read the plan {path}: {(error.strerror or str(error)).lower()}"
            ) from error
        return cls.parse(text, str(path))
