"""The benchmark: a fixed list of scenes, each made again from its number whenever it is needed.

A scene is what is staged (seen, with exact times and places), perhaps something that cannot be seen, perhaps an
ambience, and the sound that held-out recordings make of it. Scene i of a seed is always the same; nothing is stored.

    bench = Benchmark(Heldout.load())
    scene = bench.scene(17)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from reasound.data.scenes import acts, bodies
from reasound.data.scenes.drawn import BACKGROUND, caption, reasoning
from reasound.data.scenes.heldout import Heldout
from reasound.data.scenes.tasks import tasks
from reasound.data.scenes.truth import FPS, HEIGHT, WIDTH, Film, Staged, TrueScene
from reasound.media import audio as audio_files
from reasound.plan import Acoustics, Ambience, Event, Plan, Space
from reasound.reasoning.knowledge import sound_class
from reasound.synthesis.library import LibraryRenderer
from reasound.timeline import samples

VERSION = 2
"""Changes whenever a scene of the same number and seed would look or sound different."""
FULL, QUICK = 216, 20
"""Scenes of the whole benchmark, and how many of the first are enough for a quick look."""
RIGID_EVERY = 6
"""Each sixth scene is one of rigid bodies."""

SHORTEST, LONGEST = 3.0, 7.0  # seconds
_OFF_SCREEN, _AMBIENCE = 0.2, 0.45  # shares of scenes
_INDOORS: tuple[tuple[Space, float], ...] = (
    ("small room", 0.25),
    ("room", 0.45),
    ("large room", 0.2),
    ("hall", 0.1),
)
_CALLS = ("animal/", "voice/", "bell/", "vehicle/horn", "vehicle/siren")
"""What may be heard without being seen, with the picture none the worse."""
_HIGHEST = 0.9
_ENCODER = {
    "crf": "18",
    "preset": "veryfast",
    # With its tree of macroblocks x264 gives other bytes from run to run, one thread or not.
    "x264-params": "threads=1:mbtree=0:rc-lookahead=0:sync-lookahead=0",
}


class Benchmark:
    """Scene i, for i from 0 to FULL - 1, and on."""

    def __init__(self, heldout: Heldout, seed: int = 0) -> None:
        self.heldout, self.seed = heldout, seed
        self.renderer = LibraryRenderer(heldout.library)

    def kind(self, i: int) -> str:
        """What scene i shows: "rigid" for rigid bodies, which need MuJoCo, or one of acts.KINDS in turn."""
        if i % RIGID_EVERY == RIGID_EVERY - 1:
            return "rigid"
        return acts.KINDS[(i - i // RIGID_EVERY) % len(acts.KINDS)]

    def name(self, i: int) -> str:
        return f"v{VERSION}-{self.seed}-{i:04}"

    def scene(self, i: int) -> TrueScene:
        """UserError where it needs MuJoCo and that is not installed."""
        rng = np.random.default_rng((VERSION, self.seed, i))
        seconds = Fraction(int(rng.integers(int(SHORTEST * FPS), int(LONGEST * FPS) + 1)), FPS)
        kind = self.kind(i)
        for _ in range(20):
            staged = (
                bodies.stage(self.heldout, rng, seconds)
                if kind == "rigid"
                else acts.stage(kind, self.heldout, rng, seconds)
            )
            made = self._sounding(self.name(i), staged, rng)
            if made is not None:
                return made
        raise AssertionError(f"scene {i} of seed {self.seed} cannot be heard")

    def _sounding(self, name: str, staged: Staged, rng: np.random.Generator) -> TrueScene | None:
        """With its sound; None where a part of it would not be heard, which then must not be told."""
        seconds = float(staged.seconds)
        events = list(staged.events)
        if rng.random() < _OFF_SCREEN:
            events.append(self._unseen(rng, seconds, {e.sound_class for e in events}))
        under = self._under(rng, staged.outdoors) if rng.random() < _AMBIENCE else ()
        if staged.outdoors:
            acoustics = Acoustics(space="outdoors", reverb=0.0)
        else:
            space = rng.choice([name for name, _ in _INDOORS], p=[odds for _, odds in _INDOORS])
            acoustics = Acoustics(space=str(space), reverb=round(float(rng.uniform(0.05, 0.35)), 2))  # type: ignore[arg-type]
        plan = Plan(seconds=seconds, events=tuple(events), ambience=under, acoustics=acoustics)
        layers = self.renderer.render(plan, staged.seconds, int(rng.integers(1 << 31)))
        if any(np.abs(layer.audio).max() < 1e-3 for layer in layers):
            return None
        told = ""
        while not told:
            told = caption(plan, rng)
        plan = plan.model_copy(
            update={"caption": told, "reasoning": tuple(reasoning(plan)), "reasoner": "truth"}
        )
        mix = np.asarray(sum(layer.audio for layer in layers), np.float32)
        gain = np.float32(min(1.0, _HIGHEST / float(np.abs(mix).max())))
        stems = {layer.name: layer.audio * gain for layer in layers}
        mix = np.asarray(sum(stems.values()), np.float32)
        assert mix.shape == (2, samples(staged.seconds))
        return TrueScene(
            id=name,
            kind=staged.kind,
            seconds=staged.seconds,
            film=staged.film,
            plan=plan,
            mix=mix,
            stems=stems,
            tasks=tasks(plan, stems, rng),
            contacts=staged.contacts,
        )

    def _unseen(self, rng: np.random.Generator, seconds: float, taken: set[str]) -> Event:
        """One or two calls from outside the picture."""
        names = [n for n in self.heldout.classes() if n.startswith(_CALLS) and n not in taken]
        take = self.heldout.recording(str(rng.choice(names)), rng)
        first = float(rng.uniform(0.3, 0.5 * seconds))
        second = first + float(rng.uniform(0.8, 1.5))
        times = (first, second) if second < seconds - 0.5 and rng.random() < 0.5 else (first,)
        known = sound_class(take.sound_class)
        return Event(
            id="unseen",
            source=known.source or known.heard,
            sound=str(rng.choice(take.captions)),
            sound_class=take.sound_class,
            material=take.material,
            end=seconds,
            onsets=tuple(round(t, 3) for t in times),
            level=-4.0,
            pan=round(float(rng.choice([-1, 1]) * rng.uniform(0.75, 1.0)), 2),
            distance=round(float(rng.uniform(3, 12)), 1),
            on_screen=False,
        )

    def _under(self, rng: np.random.Generator, outdoors: bool) -> tuple[Ambience, ...]:
        indoor = ("ambience/crowd", "machine/appliance", "machine/electric")
        names = [n for n in self.heldout.classes() if (n.startswith(BACKGROUND) if outdoors else n in indoor)]
        if not names:
            return ()
        take = self.heldout.recording(str(rng.choice(names)), rng)
        level = round(float(rng.uniform(-22, -12)), 1)
        return (
            Ambience(
                id="under", sound=str(rng.choice(take.captions)), sound_class=take.sound_class, level=level
            ),
        )


def write_film(film: Film, path: Path, progress: Callable[[float], None] | None = None) -> None:
    """An mp4 without sound, at FPS, hardly compressed: what a camera would have made of the scene."""
    with av.open(str(path), "w") as box:
        stream = box.add_stream("libx264", rate=FPS, options=_ENCODER)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for k in range(film.frames):
            frame = av.VideoFrame.from_ndarray(film.picture(k), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, FPS)
            box.mux(stream.encode(frame))
            if progress is not None:
                progress((k + 1) / film.frames)
        box.mux(stream.encode(None))


def write_scene(scene: TrueScene, folder: Path) -> None:
    """All that is known of a scene, as files in a new folder: film.mp4 (without sound), mix.wav, stems/ID.wav,
    plan.json, masks.npz (ID -> [frames, H, W]), and tasks/OPERATION/: given.wav, answer.wav, task.json."""
    folder.mkdir(parents=True)
    write_film(scene.film, folder / "film.mp4")
    (folder / "plan.json").write_text(scene.plan.to_json(), encoding="utf-8")
    sounds = {"mix": scene.mix} | {f"stems/{name}": stem for name, stem in scene.stems.items()}
    for task in scene.tasks:
        where = f"tasks/{task.operation}"
        sounds |= {f"{where}/given": task.given, f"{where}/answer": task.answer}
        (folder / where).mkdir(parents=True)
        told = {
            "operation": task.operation,
            "instruction": task.instruction,
            "target": task.target,
            "event": task.event,
            "span": list(task.span),
        }
        (folder / where / "task.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    for name, audio in sounds.items():
        path = folder / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        audio_files.write(path, audio, subtype="FLOAT")
    seen = [event.id for event in scene.plan.events if event.on_screen]
    frames = range(scene.film.frames)
    masks = {name: np.stack([scene.film.mask(name, k) for k in frames]) for name in seen}
    np.savez_compressed(folder / "masks.npz", **masks)  # type: ignore[arg-type]
