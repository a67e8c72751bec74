"""What sounds how: the classes of sound, what seen things imply, and which spaces they stand in.

The tables beside this file are our own data. `sounds.json`: one entry a sound class. `labels.json`: the sounds
that each of the 1000 ImageNet classes implies, in index order. `scenes.json`: spaces, what is seen in them and what
lies under them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from reasound.errors import UserError
from reasound.plan import Space

Trigger = Literal["impact", "step", "continuous", "none"]

SPEECH_AND_MUSIC = ("speech", "music")
"""What a soundscape must not invent: nobody asked for words, and a score belongs to the editor."""


@dataclass(frozen=True)
class SoundClass:
    """A kind of sound and how it usually is."""

    name: str
    """ "group/class", as in Event.sound_class."""
    description: str
    captions: tuple[str, ...]
    trigger: Trigger
    """impact: one sound for a visible hit or a call; step: one a step; continuous: as long as it is seen; none: in
    the background, following no motion."""
    level_db: float
    """Typical level against the reference of the foreground."""
    seconds: float
    """How long one sound of it rings."""
    environments: tuple[str, ...]
    """ "indoor", "outdoor"."""
    materials: tuple[str, ...]
    source: str
    """What makes it, with its article; empty when only the label can say."""
    heard: str
    """The sound as a noun: "barks", "hammer blows"."""
    distance: float
    """Metres at which it is usually filmed."""
    gap: float
    """Shortest natural time between two of them, in seconds."""
    likely: float
    """How probable it is that it is heard when its source is seen, 0 to 1."""
    words: tuple[str, ...]
    """Words of a caption that mean this class."""
    hints: tuple[str, ...]
    """Words of a caption that make it more probable."""
    pace: float = 0.0
    """Seconds from one to the next where they come so fast that not each can be seen; 0: each is seen."""

    @property
    def group(self) -> str:
        return self.name.split("/")[0]

    @property
    def is_loud(self) -> bool:
        return self.level_db >= 3

    @property
    def is_call(self) -> bool:
        """A voice: the body moves with it, but no two things have to meet."""
        voiced = self.group in ("animal", "voice") and self.name != "animal/wings"
        return voiced and self.trigger in ("impact", "none")

    @property
    def is_struck(self) -> bool:
        """Something must be seen to hit, click or step for it to sound."""
        return self.trigger in ("impact", "step") and not self.is_call


@dataclass(frozen=True)
class Label:
    """A class of ImageNet."""

    name: str
    sounds: tuple[str, ...]
    """Sound classes that the seen thing implies, most likely first; empty for silent things."""
    action: str
    """What it usually does when it sounds."""
    animate: bool
    struck: str
    """Sound class of a blow on it or with it, by its material; empty where that is unknown."""
    worn: bool
    """It is seen on a person, mostly near the face: ImageNet has no class for people."""


@dataclass(frozen=True)
class Scene:
    """A kind of place."""

    name: str
    text: str
    steps: str
    """Sound class of steps on its ground."""
    hit: str
    """Sound class of the blows that are usual there; empty where none are."""
    space: Space
    reverb: float
    ambience: tuple[tuple[str, float], ...]
    """(sound class, level in dB) of what lies under it."""
    words: tuple[str, ...]
    labels: tuple[str, ...]
    """ImageNet classes that are seen there."""


def sound_class(name: str) -> SoundClass:
    """The class of this name; UserError when there is none."""
    try:
        return sound_classes()[name]
    except KeyError:
        near = ", ".join(n for n in sound_classes() if n.split("/")[0] == name.split("/")[0])
        raise UserError(
            f"there is no sound class {name!r}" + (f"; of that group there are {near}" if near else "")
        ) from None


@cache
def sound_classes() -> dict[str, SoundClass]:
    """All classes by name, in the order of the table."""
    return {name: SoundClass(name=name, **_frozen(entry)) for name, entry in _table("sounds.json").items()}


@cache
def labels() -> tuple[Label, ...]:
    """The 1000 classes of ImageNet-1k in index order."""
    return tuple(Label(**_frozen(entry)) for entry in _table("labels.json"))


@cache
def scenes() -> dict[str, Scene]:
    """All kinds of places by name."""
    return {
        name: Scene(
            name=name,
            **_frozen(entry | {"ambience": [(a["sound_class"], a["level_db"]) for a in entry["ambience"]]}),
        )
        for name, entry in _table("scenes.json").items()
    }


def with_article(noun: str) -> str:
    """ "hammer" -> "a hammer", "anvil" -> "an anvil"."""
    return (
        "an " if noun[0].lower() in "aeiou" and not noun.lower().startswith(("uni", "eu")) else "a "
    ) + noun


def _table(name: str) -> Any:
    return json.loads(resources.files("reasound.reasoning").joinpath("tables", name).read_text("utf-8"))


def _frozen(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
