"""Scenes of the benchmark's kind, as the real perception sees them: what a reasoner must make sense of, with the truth.

A pool is a folder with one file a scene. What is learned from are scenes of other seeds than the benchmark's, without
the pictures of things that are kept back, so that the benchmark also shows things that were never seen.

    show(Benchmark(taught(Heldout.load()), seed=1000), 17, Labels.load(), Path("pool"))
    case = read(Path("pool/v2-1000-0017.npz"))
    case.features, case.plan
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reasound.data.scenes.benchmark import VERSION, Benchmark, write_film
from reasound.data.scenes.heldout import Heldout, Sprite
from reasound.media.atomic import replacing
from reasound.media.video import Clip
from reasound.mixing.layers import Layer
from reasound.perception.features import Box, Features, Motion, Onset, Shot, Sighting, Trace
from reasound.perception.labels import Labels
from reasound.perception.motion import SYNC_DIM
from reasound.perception.watch import watch
from reasound.plan import Plan
from reasound.timeline import samples

SPARE = 3
"""Of a class with at least so many pictures one is never shown to what learns."""
_LEAST = 2e-3
"""Probabilities below are stored as nothing."""


@dataclass(frozen=True)
class Case:
    """What perception saw of a scene, and what is to be heard."""

    name: str
    kind: str
    features: Features
    plan: Plan


def kept_back(heldout: Heldout) -> tuple[Sprite, ...]:
    """The pictures that are only for the benchmark: the last of every class that has enough of them."""
    classes: dict[str, list[Sprite]] = defaultdict(list)
    for sprite in heldout.sprites:
        classes[sprite.sound_class].append(sprite)
    return tuple(max(s, key=lambda one: one.file.name) for s in classes.values() if len(s) >= SPARE)


def taught(heldout: Heldout) -> Heldout:
    """The same benchmark without the pictures that are kept back."""
    spare = kept_back(heldout)
    return Heldout(heldout.library, tuple(s for s in heldout.sprites if s not in spare))


class Mute:
    """In the place of a renderer where nobody listens: every layer is heard, all alike."""

    def render(self, plan: Plan, seconds: Any, seed: int, *_: object) -> list[Layer]:
        noise = np.random.default_rng(seed).uniform(-0.1, 0.1, (2, samples(seconds))).astype(np.float32)
        names = [e.id for e in plan.events] + [a.id for a in plan.ambience]
        return [Layer(name, noise, (name,), seed, "mute") for name in names]


def unheard(heldout: Heldout, seed: int) -> Benchmark:
    """Scenes as the benchmark's, of which nobody wants to hear the sound: in half the time."""
    bench = Benchmark(heldout, seed)
    bench.renderer = Mute()  # type: ignore[assignment]
    return bench


def show(bench: Benchmark, i: int, labels: Labels, pool: Path) -> None:
    """Scene i as POOL/NAME.npz: filmed, coded, and looked at as any clip."""
    scene = bench.scene(i)
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        write_film(scene.film, film)
        features = watch(Clip.open(film), labels)
    write(Case(scene.id, scene.kind, features, scene.plan), pool / f"{scene.id}.npz")


def write(case: Case, path: Path) -> None:
    """Everything but what only the audio model reads; in half precision."""
    f, m = case.features, case.features.motion
    told = {
        "name": case.name,
        "kind": case.kind,
        "plan": case.plan.to_dict(),
        "seconds": f.seconds,
        "rate": m.rate,
        "sightings": [asdict(s) for s in f.sightings],
        "onsets": [asdict(o) for o in m.onsets],
        "shots": [asdict(s) for s in f.shots],
        "traces": [asdict(t) for t in f.traces],
    }
    arrays = {
        "visual": f.visual,
        "probabilities": np.where(f.probabilities >= _LEAST, f.probabilities, 0),
        "colour": f.colour,
        "parts": m.grid.sum(-1),
        "envelope": m.envelope,
        "level": m.level,
        "centre": m.centre,
        "camera": m.camera,
    }
    with replacing(path) as fresh, fresh.open("wb") as file:
        half = {name: array.astype(np.float16) for name, array in arrays.items()}
        np.savez_compressed(file, told=np.array(json.dumps(told)), **half)


def read(path: Path) -> Case:
    """What `write` wrote; the directions of motion are lost."""
    with np.load(path) as stored:
        told = json.loads(str(stored["told"]))
        a = {name: stored[name].astype(np.float32) for name in stored.files if name != "told"}
    motion = Motion(
        rate=told["rate"],
        directogram=a["parts"].mean(1, keepdims=True),
        grid=a["parts"][..., None],
        envelope=a["envelope"],
        level=a["level"],
        centre=a["centre"],
        camera=a["camera"],
        onsets=tuple(Onset(**o) for o in told["onsets"]),
    )
    features = Features(
        seconds=told["seconds"],
        visual=a["visual"],
        probabilities=a["probabilities"],
        sightings=tuple(Sighting(**_boxed(s)) for s in told["sightings"]),
        colour=a["colour"],
        motion=motion,
        sync=np.zeros((len(a["level"]), SYNC_DIM), np.float32),
        shots=tuple(Shot(**s) for s in told["shots"]),
        traces=tuple(Trace(**_boxed(t)) for t in told["traces"]),
    )
    return Case(told["name"], told["kind"], features, Plan.model_validate(told["plan"]))


def _boxed(entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {"box": Box(**entry["box"]) if entry["box"] else None}


class Pool:
    """The scenes of one seed in a folder; called again, it reads what has been added."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self._read: dict[str, Case] = {}

    def __call__(self) -> list[Case]:
        for path in sorted(self.folder.glob(f"v{VERSION}-{self.seed}-*.npz")):
            if path.name not in self._read:
                self._read[path.name] = read(path)
        return [self._read[name] for name in sorted(self._read)]
