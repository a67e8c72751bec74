"""What the picture is evidence of: sources of sound, the place, and blows whose maker is not recognised."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reasound.perception.features import Box, Features, Floats, Matter, Shot, Trace
from reasound.reasoning.knowledge import (
    Scene,
    SoundClass,
    labels,
    scenes,
    sound_class,
    sound_classes,
    with_article,
)
from reasound.timeline import VISUAL_RATE

Span = tuple[float, float]
"""(start, end) in seconds."""

SURE, LIKELY, MODERATE = 0.5, 0.35, 0.2
"""Scores from which a thing is seen clearly, probably (it is right two times out of three), and possibly."""
_FAMILIAR = 0.25
"""Score from which a place, or one of several rivals, has a say."""

_NOISE = 0.02
"""Probabilities below are the classifier's tail: a hundred breeds of it would be a dog."""
_RANKS = (1.0, 0.5, 0.3)
"""Weights of the first, second and third sound that a label implies."""
_LEAST_SCORE, _LEAST_RANK = 0.15, 0.12
_LEAST_SCENE = 0.15
_THERE = 0.35
"""Share of its strongest evidence from which a source counts as present."""
_FARM = ("animal/cow", "animal/sheep_goat", "animal/pig", "animal/poultry", "animal/horse")
_BLOW, _CONTRAST = 0.2, 1.5
"""Median envelope of the onsets, and how far it stands above the usual, from which motion is a series of blows."""
_BEHIND = 0.7
"""What is left of the score of a thing that is seen, but not in what moves."""
_OF_TRACES: dict[Matter, tuple[str, str, float]] = {
    "fire": ("fire/crackle", "a fire", 0.7),
    "fireworks": ("explosion/fireworks", "fireworks", 0.8),
    "water": ("water/stream", "moving water", 0.5),
    "leaves": ("foliage/rustle", "leaves in the wind", 0.4),
    "crowd": ("ambience/crowd", "people", 0.6),
}
"""What colour and movement tell: class, source, and how far the surest trace is to be believed."""
_CLEARLY = ("instrument", "voice")
"""Groups that must be clearly seen: nobody wants music or voices that are not there."""
_WALKS, _WALKING = 0.3, 0.25
"""Share of the picture's width that somebody crosses who walks, and the score of it."""
_DARK = 0.12
_SEA = ("seaside", "underwater", "snow")


@dataclass(frozen=True)
class Candidate:
    """A sound that something in the picture, or the user, suggests."""

    sound: SoundClass
    score: float
    """0 to 1: how sure it is that the source is there."""
    source: str
    """ "a dog"."""
    seen: tuple[str, ...] = ()
    """Names of the labels that suggest it, most probable first."""
    spans: tuple[Span, ...] = ()
    """When the source is in the picture."""
    box: Box | None = None
    doubt: tuple[str, ...] = ()
    """Names of labels that speak for another sound of the same group."""
    trace: Matter | None = None
    """What colour and movement show of it."""
    is_behind: bool = False
    """It is seen, but what moves is something else."""

    @property
    def rank(self) -> float:
        return self.score * self.sound.likely

    @property
    def is_sure(self) -> bool:
        return self.score >= SURE


@dataclass(frozen=True)
class Setting:
    """Where it is."""

    scene: Scene | None
    score: float
    """How much evidence there is for the scene."""
    outdoors: float
    """Evidence for outdoors less that for indoors."""
    is_dark: bool
    is_green: bool


@dataclass(frozen=True)
class Evidence:
    """What the picture suggests, before anything is decided."""

    candidates: tuple[Candidate, ...]
    setting: Setting
    farm: tuple[str, ...]
    """Labels of farm animals of which none stands out."""
    animal: tuple[str, ...]
    """Labels of an animal whose kind cannot be told."""
    blow: Candidate | None
    """Blows whose maker nobody recognised; None where the motion shows none."""


def weigh(features: Features) -> Evidence:
    """All evidence in the features."""
    green = _is_green(features)
    seen = _probabilities(features) * _plausible(green)
    found = _settled(list(_candidates(seen, features)))
    farm = _mixed_farm(seen)
    if farm:
        found = [c for c in found if c.sound.name not in (*_FARM, "vehicle/cart")]
    found = [_in_motion(c, features) for c in found]
    if flashes := _fireworks(features):
        found = [flashes]
    else:
        found = _with_traces(found, features)
    found = [c for c in found if c.sound.group not in _CLEARLY or c.score >= LIKELY]
    setting = _setting(seen, features, green, found, bool(farm))
    animal: tuple[str, ...] = ()
    if not farm and not any(c.sound.group == "animal" for c in found):
        animal = _named(seen, [i for i, label in enumerate(labels()) if label.animate], least=0.15)
    blow = _blow(seen, features, setting)
    if blow and person(features):
        blow = replace(blow, trace="person")
    if not (found or farm or animal or blow) and (walk := _walk(features, setting)):
        found = [walk]
    return Evidence(tuple(found), setting, farm, animal, blow)


def _probabilities(features: Features) -> Floats:
    """[T, 1000] without the noise; sightings count where the frame probabilities have less."""
    frames = max(len(features.probabilities), 1)
    seen = np.zeros((frames, len(labels())), np.float32)
    seen[: len(features.probabilities)] = features.probabilities
    for s in features.sightings:
        first = min(int(s.start * VISUAL_RATE), frames - 1)
        part = seen[first : max(first + 1, round(s.end * VISUAL_RATE)), s.index]
        if part.mean() < s.probability / 2:
            np.maximum(part, s.probability, out=part)
    return np.where(seen >= _NOISE, seen, 0).astype(np.float32)


def _is_green(features: Features) -> bool:
    if not len(features.colour):
        return False
    red, green, blue = features.colour[:, :3].mean(0)
    return bool(green > 1.02 * red and green > 1.15 * blue)


def _plausible(green: bool) -> Floats:
    """[1000] 0 to 1: what lives at sea or in snow is hardly seen in a green picture."""
    fits = np.ones(len(labels()), np.float32)
    if green:
        fits[[i for name in _SEA for i in _indices(scenes()[name].labels)]] = 0.3
    return fits


def _candidates(seen: Floats, features: Features) -> Iterable[Candidate]:
    """Strongest first. A label speaks for one sound only: what the first one explains is taken away."""
    names = list(sound_classes())
    implied = np.zeros((len(labels()), len(names)), np.float32)
    for i, label in enumerate(labels()):
        for name, weight in zip(label.sounds, _RANKS, strict=False):
            implied[i, names.index(name)] = weight
        if label.worn:
            implied[i, names.index("voice/body")] = 1.0
    likely = np.array([sound.likely for sound in sound_classes().values()])
    at = (np.arange(len(seen)) + 0.5) / VISUAL_RATE
    parts = features.shots or (Shot(0.0, features.seconds),)
    shots = np.stack([(at >= s.start) & (at < s.end) for s in parts], 1)  # [T, shots]
    rest = [int(i) for i in np.flatnonzero(seen.any(0))]
    smooth = seen.copy()
    for part in shots.T:
        smooth[np.ix_(part, rest)] = _smooth(seen[np.ix_(part, rest)])
    while rest:
        curves = smooth[:, rest] @ implied[rest]  # [T, classes]
        there = curves >= np.maximum(_THERE * curves.max(0), 1e-6)
        # What is there stays there until the cut: a label that comes and goes within a shot is doubtful.
        in_shots = there.T.astype(np.float32) @ shots > 0  # [classes, shots]
        stays = there.sum(0) / np.maximum(in_shots @ shots.sum(0), 1)
        scores = (curves * there).sum(0) / np.maximum(there.sum(0), 1) * np.sqrt(np.minimum(stays, 1))
        best = int(np.argmax(scores * likely))
        if scores[best] * likely[best] < _LEAST_RANK or scores[best] < _LEAST_SCORE:
            return
        speaking = [i for i in rest if implied[i, best] > 0]
        first = max(speaking, key=lambda i: float(seen[:, i].sum()))
        sound = sound_class(names[best])
        yield Candidate(
            sound,
            float(min(scores[best], 1.0)),
            sound.source or with_article(labels()[first].name),
            _named(seen, speaking),
            _spans(there[:, best], features.seconds),
            next((s.box for s in features.sightings if s.index == first), None),
        )
        rest = [i for i in rest if i not in speaking]


def _settled(found: list[Candidate]) -> list[Candidate]:
    """Two animals, instruments, vehicles, ... at once are more often one that is hard to tell: the stronger
    stays. And what is loud must at least be likely."""
    kept: list[Candidate] = []
    for c in found:
        near = (
            1.0 if c.score < _FAMILIAR else 0.0
        )  # across a cut, what is hardly seen is what was seen before
        rival = next(
            (k for k in kept if k.sound.group == c.sound.group and overlap(k.spans, c.spans, near)), None
        )
        if rival is None or (rival.is_sure and c.is_sure):
            kept.append(c)
            continue
        spans = merged([*rival.spans, *c.spans])
        kept[kept.index(rival)] = replace(rival, spans=spans, doubt=rival.doubt + c.seen[:1])
    return [c for c in kept if c.score >= _FAMILIAR or c.sound.level_db < 0]


def _mixed_farm(seen: Floats) -> tuple[str, ...]:
    """Labels of farm animals, where there are some but no kind of them stands out."""
    members = [i for i, label in enumerate(labels()) if set(label.sounds) & set(_FARM)]
    mean = seen.mean(0)
    kinds = {name: 0.0 for name in _FARM}
    for i in members:
        for sound, weight in zip(labels()[i].sounds, _RANKS, strict=False):
            if sound in kinds:
                kinds[sound] += float(weight * mean[i])
    total, best = float(mean[members].sum()), max(kinds.values())
    return _named(seen, members) if total >= 0.2 and best < min(0.75 * total, _FAMILIAR) else ()


def _in_motion(c: Candidate, features: Features) -> Candidate:
    """Less sure where something moves and a close look at that shows something else: a volcano behind an aircraft."""
    if c.sound.is_call or c.sound.group == "voice" or not any(s.box for s in features.sightings):
        return c
    if c.box or any(s.box and s.name in c.seen for s in features.sightings):
        return c
    return replace(c, score=_BEHIND * c.score, is_behind=True)


def _with_traces(found: list[Candidate], features: Features) -> list[Candidate]:
    """And what colour and movement tell. Where the labels say the same, both together are surer than each."""
    kept = list(found)
    for matter, (name, source, belief) in _OF_TRACES.items():
        traces = [t for t in features.traces if t.matter == matter]
        sure = any(c.is_sure for c in kept)
        if not traces or (sure and matter in ("water", "leaves")):  # a surface behind something is not heard
            continue
        score = belief * max(t.confidence for t in traces)
        same = next((c for c in kept if c.sound.name == name), None)
        spans = merged([(t.start, t.end) for t in traces])
        if same:
            both = 1 - (1 - same.score) * (1 - score)
            kept[kept.index(same)] = replace(
                same, score=both, spans=merged([*same.spans, *spans]), trace=matter, is_behind=False
            )
        elif score >= MODERATE:
            kept.append(Candidate(sound_class(name), score, source, (), spans, traces[0].box, trace=matter))
    return kept


def _fireworks(features: Features) -> Candidate | None:
    """A dark picture in which bright things burst; surer where sparks are scattered."""
    traces = [t for t in features.traces if t.matter == "fireworks"]
    light = features.colour[:, :3].mean(1)
    if not len(light) or light.mean() >= _DARK or len(features.motion.onsets) < 2:
        return None
    if not traces and light.max() < 1.3 * np.median(light) + 0.004:
        return None
    name, source, belief = _OF_TRACES["fireworks"]
    score = max([_FAMILIAR, *(belief * t.confidence for t in traces)])
    return Candidate(sound_class(name), score, source, (), ((0.0, features.seconds),), trace="fireworks")


def person(features: Features) -> Trace | None:
    """The surest trace of somebody."""
    return next((t for t in features.traces if t.matter == "person" and t.confidence >= 0.5), None)


def _walk(features: Features, setting: Setting) -> Candidate | None:
    """Somebody who crosses the picture, and nothing else that could sound: steps on what the place has for ground."""
    seen, motion = person(features), features.motion
    if seen is None:
        return None
    part = motion.centre[round(seen.start * motion.rate) : round(seen.end * motion.rate), 0]
    if len(part) < motion.rate:
        return None
    quarter = len(part) // 4
    ends = abs(float(np.median(part[-quarter:])) - float(np.median(part[:quarter])))
    if ends < _WALKS:
        return None
    scene = setting.scene
    ground = "footsteps/grass" if setting.is_green else "footsteps/stone" if setting.outdoors > 0 else ""
    name = scene.steps if scene else ground or "footsteps/indoor_floor"
    return Candidate(
        sound_class(name), _WALKING, "a walking person", (), ((seen.start, seen.end),), trace="person"
    )


def _setting(seen: Floats, features: Features, green: bool, found: list[Candidate], farm: bool) -> Setting:
    mean = seen.mean(0)
    scores = {name: float(mean[list(_indices(scene.labels))].sum()) for name, scene in scenes().items()}
    if green:
        scores["meadow"] += 0.15
    if farm:
        scores["farm"] += SURE
    outdoors = sum(
        score * (1 if scenes()[name].space in ("outdoors", "underwater") else -1)
        for name, score in scores.items()
    )
    for c in found:
        if len(c.sound.environments) == 1:
            outdoors += 0.5 * c.score * (1 if c.sound.environments == ("outdoor",) else -1)
        elif c.sound.group == "animal":
            outdoors += 0.3 * c.score
    allowed = {
        name: score
        for name, score in scores.items()
        if score >= _LEAST_SCENE and (scenes()[name].space in ("outdoors", "underwater")) == (outdoors > 0)
    }
    best = max(allowed, key=lambda name: allowed[name], default=None)
    light = features.colour[:, :3].mean() if len(features.colour) else 1.0
    return Setting(
        scenes()[best] if best else None, allowed[best] if best else 0.0, outdoors, bool(light < _DARK), green
    )


def _blow(seen: Floats, features: Features, setting: Setting) -> Candidate | None:
    """Visible blows, which sound by the place or by what is seen there, and like wood where neither tells."""
    motion = features.motion
    if not motion.onsets or not len(motion.envelope):
        return None
    at = [min(round(o.time * motion.rate), len(motion.envelope) - 1) for o in motion.onsets]
    strength = float(np.median(motion.envelope[at]))
    if strength < _BLOW or strength < _CONTRAST * float(np.median(motion.envelope)):
        return None
    spans = ((0.0, features.seconds),)
    if setting.scene and setting.scene.hit and setting.score >= _FAMILIAR:
        sound = sound_class(setting.scene.hit)
        return Candidate(sound, setting.score, sound.source or "something", (), spans)
    mean, kinds = seen.mean(0), dict[str, list[int]]()
    for i in np.flatnonzero(mean).tolist():
        if labels()[i].struck:
            kinds.setdefault(labels()[i].struck, []).append(i)
    best = max(kinds, key=lambda name: float(mean[kinds[name]].sum()), default="")
    score = float(mean[kinds[best]].sum()) if best else 0.0
    if score < 0.05:
        return Candidate(sound_class("impact/wood"), 0.0, "something", (), spans)
    return Candidate(sound_class(best), score, "something", _named(seen, kinds[best]), spans)


def _smooth(curves: Floats) -> Floats:
    """Mean over about a second, [T, C]."""
    reach = VISUAL_RATE // 2
    total = np.concatenate([np.zeros((1, curves.shape[1])), np.cumsum(curves, 0, dtype=np.float64)])
    low = np.maximum(np.arange(len(curves)) - reach, 0)
    high = np.minimum(np.arange(len(curves)) + reach + 1, len(curves))
    return ((total[high] - total[low]) / (high - low)[:, None]).astype(np.float32)


def _spans(there: NDArray[np.bool_], seconds: float) -> tuple[Span, ...]:
    """Stretches of True as seconds; the clip's edges are reached from 1 s away."""
    spans = []
    for at in np.flatnonzero(there).tolist():
        start, end = at / VISUAL_RATE, (at + 1) / VISUAL_RATE
        spans.append((0.0 if start <= 1 else start, seconds if end >= seconds - 1 else end))
    return merged(spans)


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """In order of time; gaps under 1.5 s are closed."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start - merged[-1][1] < 1.5:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def overlap(one: Iterable[Span], other: Iterable[Span], near: float = 0.0) -> bool:
    """Whether any two spans share a moment, or come as near as this many seconds."""
    return any(a < d + near and c < b + near for a, b in one for c, d in other)


def _named(seen: Floats, members: list[int], least: float = 0.0) -> tuple[str, ...]:
    """Up to three names, most probable first; none where all of them together are under `least`."""
    mean = seen.mean(0)
    order = sorted((i for i in members if mean[i] >= 0.01), key=lambda i: -mean[i])
    return tuple(labels()[i].name for i in order[:3]) if sum(mean[i] for i in members) >= least else ()


def _indices(names: Iterable[str]) -> list[int]:
    known = {label.name: i for i, label in enumerate(labels())}
    return [known[name] for name in names]
