"""The chain of thought, structured: what is seen, what should sound, when, where, how loud, in what space.

ThinkSound (arXiv 2506.21448, section 3) writes it as free text. Here the text is rendered from checked
fields, so that a person can edit one onset and hear it move.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

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
Share = Annotated[float, Field(ge=0, le=1)]


class Value(BaseModel):
    """Checked and never changed. The string under a field is its description in the JSON Schema, too."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


class Document(Value):
    """What people read and write as a file of JSON."""

    _kind: ClassVar[str]

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def to_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def schema_text(cls) -> str:
        """The JSON Schema of such a file, as it stands in `reasound/schemas`."""
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | cls.model_json_schema()
        return json.dumps(schema, indent=2) + "\n"

    @classmethod
    def parse(cls, text: str | bytes, name: str = "") -> Self:
        """Checked JSON text; UserError names the first thing that does not fit, and its value."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            article = "an" if cls._kind[0] in "aeiou" else "a"
            raise UserError(
                f"{name or f'the {cls._kind}'} is not {article} {cls._kind}: {_what_is_wrong(error, text)}"
            ) from error

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """A file that a person wrote or edited."""
        try:
            text = Path(path).read_bytes()
        except OSError as error:
            raise UserError(
                f"cannot read the {cls._kind} {path}: {(error.strerror or str(error)).lower()}"
            ) from error
        return cls.parse(text, str(path))


class Origin(Value):
    """Which language model answered, and what."""

    model: str
    prompt_version: str = ""
    raw: str = ""
    """The answer as it came."""


class Region(Value):
    """A box in the picture, in fractions of its width and height."""

    x0: Share
    """Left edge; 0 is the left of the picture."""
    y0: Share
    """Top edge; 0 is the top of the picture."""
    x1: Share
    y1: Share

    @model_validator(mode="after")
    def _fits(self) -> Region:
        for axis, low, high in (("x", self.x0, self.x1), ("y", self.y0, self.y1)):
            if low >= high:
                raise ValueError(f"is not a box: {axis}0 is {low:g} and {axis}1 is {high:g}, not more")
        return self


class Step(Value):
    """One sentence of the chain of thought."""

    aspect: Aspect
    text: str = Field(min_length=1)
    events: tuple[str, ...] = ()
    """Ids of the events that the sentence speaks of."""


class Place(Value):
    """Where a moving source is at a time."""

    time: Seconds
    pan: Pan
    distance: float = Field(default=3.0, gt=0, le=1000)


class Event(Value):
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
    strengths: tuple[Share, ...] = ()
    """0 to 1, one an onset; empty means all 1."""
    level: Level = 0.0
    """dB against the reference of the foreground."""
    pan: Pan = 0.0
    """-1 left, 1 right."""
    distance: float = Field(default=3.0, gt=0, le=1000)
    """Metres from the listener."""
    path: tuple[Place, ...] = ()
    """For a moving source; takes the place of `pan` and `distance`."""
    region: Region | None = None
    """Where in the picture the source is seen."""
    on_screen: bool = True
    confidence: Share = 1.0

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
        for what, times in (("onset", self.onsets), ("point of the path", [p.time for p in self.path])):
            for earlier, later in pairwise(times):
                if later < earlier:
                    raise ValueError(
                        f"event {self.id!r} lists the {what} at {earlier:g} s before the one at {later:g} s; "
                        "they must be in order of time"
                    )
        for t in self.onsets:
            if t > self.end:
                raise ValueError(
                    f"event {self.id!r} has an onset at {t:g} s, after its end at {self.end:g} s"
                )
            if t < self.start:
                raise ValueError(
                    f"event {self.id!r} has an onset at {t:g} s, before its start at {self.start:g} s"
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


class Ambience(Value):
    """What lies under the whole clip."""

    id: str = Field(min_length=1, pattern=r"^[\w\-]+$")
    sound: str = Field(min_length=1)
    sound_class: str = ""
    level: Level = -18.0
    confidence: Share = 1.0


class Acoustics(Value):
    """The space around the sounds."""

    space: Space = "outdoors"
    reverb: Share = 0.0
    """0 dry, 1 mostly reverberation."""


class Plan(Document):
    """What should be heard in a clip of `seconds`."""

    _kind: ClassVar[str] = "plan"

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
    origin: Origin | None = None
    """Of a plan that a language model wrote."""

    @model_validator(mode="after")
    def _fits(self) -> Plan:
        ids = [e.id for e in self.events] + [a.id for a in self.ambience]
        twice = {i for i in ids if ids.count(i) > 1}
        if twice:
            raise ValueError(f"two events share the id {sorted(twice)[0]!r}")
        for event in self.events:
            check_span(f"event {event.id!r}", event.start, event.end, self.seconds)
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


def check_span(what: str, start: float | None, end: float | None, seconds: float) -> None:
    """ValueError, in a sentence about `what`, unless the span lies in a clip of `seconds`."""
    if start is not None and start >= seconds:
        raise ValueError(f"{what} begins at {start:g} s, but the clip is only {seconds:g} s long")
    if end is not None and end > seconds + 1e-3:
        raise ValueError(f"{what} ends at {end:g} s, but the clip is only {seconds:g} s long")


_ONE = {"events": "event", "reasoning": "step", "operations": "operation", "onsets": "onset", "path": "point"}
"""What one entry of a list is called."""
_MUST = {
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "greater_than": "more than {gt:g}",
    "less_than": "less than {lt:g}",
    "literal_error": "{expected}",
    "string_pattern_mismatch": "made of letters, digits, _ and - only",
    "finite_number": "a finite number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "model_type": "an object",
}
"""What a field must be, by the type of pydantic's error."""


def _what_is_wrong(error: ValidationError, text: str | bytes) -> str:
    """The first error as a sentence that says where it is and what stands there."""
    first = error.errors(include_url=False)[0]
    kind, context, where = first["type"], first.get("ctx", {}), first["loc"]
    if kind == "json_invalid":
        return f"it is not JSON ({context['error']})"
    thing = _place(where, json.loads(text))
    be = "are" if thing.split(" of ")[0].endswith("s") else "is"  # the seconds, the onsets
    shown = json.dumps(first["input"], ensure_ascii=False, default=str)
    shown = shown if len(shown) <= 40 else shown[:37] + "..."
    if kind == "value_error":
        # A message about a whole event or plan names it; one about a field needs to be told whose it is.
        about_field = bool(where) and isinstance(where[-1], str)
        return (f"{thing} " if about_field else "") + first["msg"].removeprefix("Value error, ")
    if kind == "missing":
        return f"{thing} {be} missing"
    if kind == "extra_forbidden":
        return f"{thing} {be} unknown here"
    if kind == "string_too_short":
        return f"{thing} {be} empty"
    must = _MUST[kind].format(**context) if kind in _MUST else f"valid: {first['msg']}"
    return f"{thing} {be} {shown}, but must be {must}"


def _place(where: tuple[int | str, ...], given: Any) -> str:
    """("events", 0, "pan") -> "the pan of event 'dog-1'"; an entry without an id is counted from 1."""
    words: list[str] = []
    for at, part in enumerate(where):
        given = given[part] if _has(given, part) else None
        if isinstance(part, int):
            one = _ONE.get(str(where[at - 1]), str(where[at - 1]))
            name = given.get("id") if isinstance(given, dict) else None
            words[0] = f"{one} {name!r}" if isinstance(name, str) else f"{one} {part + 1}"
        else:
            words.insert(0, f"the {part}")
    return " of ".join(words) or "it"


def _has(given: Any, part: int | str) -> bool:
    return (isinstance(given, dict) and part in given) or (
        isinstance(given, list) and isinstance(part, int) and part < len(given)
    )
