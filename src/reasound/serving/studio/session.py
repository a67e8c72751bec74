"""One person's desk: a clip, its takes, and what can be done to them. The page shows it and adds nothing.

FOLDER/clip.mp4        what was dropped
FOLDER/project.take    the takes, with their history; project.mp4 beside it
FOLDER/views/          pictures and numbers of takes, made once
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from reasound.edit_plan import EditPlan
from reasound.errors import UserError
from reasound.export import views
from reasound.history import History
from reasound.media.atomic import replacing
from reasound.media.video import Clip
from reasound.perception.regions import Click, Drawn, Phrase, Query, Track, track
from reasound.pipeline import Reasound, Report, quiet, warnings
from reasound.plan import Plan, Region
from reasound.stages.foley import foley
from reasound.take import VIDEO_SUFFIXES, Output, Take

COLUMNS, LAYER_COLUMNS = 1200, 600
"""Of waveforms: of the mix, of a layer."""
SHOWN = 12
"""Pictures of a thing that is followed."""

State = dict[str, Any]


class Session:
    """The desk in `folder`, which is made if it is not there. All methods raise UserError in one sentence, and then
    nothing has changed; a `report` may raise Cancelled."""

    def __init__(self, folder: Path, engine: Reasound | Callable[[], Reasound]) -> None:
        self.folder = folder
        self._engine = engine
        self.notes: tuple[str, ...] = ()
        (folder / "views").mkdir(parents=True, exist_ok=True)

    @property
    def engine(self) -> Reasound:
        if not isinstance(self._engine, Reasound):
            self._engine = self._engine()
        return self._engine

    @property
    def clip(self) -> Clip:
        """UserError before a clip was opened."""
        found = sorted(self.folder.glob("clip.*"))
        if not found:
            raise UserError("there is no clip yet; drop a video first")
        return Clip.open(found[0])

    @property
    def output(self) -> Output:
        return Output.named(self.folder / f"project{self._suffix}")

    @property
    def has_take(self) -> bool:
        return (self.output.take / "take.json").is_file()

    def open(self, path: Path, name: str = "") -> State:
        """A new clip takes the place of the old one and its takes. `name`: what the user calls it."""
        suffix = path.suffix.lower()
        with tempfile.TemporaryDirectory(dir=self.folder) as fresh:
            copied = Path(fresh) / f"clip{suffix if suffix.isascii() else ''}"
            shutil.copyfile(path, copied)
            clip = _checked(copied, name or path.name)
            views.strip(clip, Path(fresh) / "strip.jpg")
            for old in (*self.folder.glob("clip.*"), *self.folder.glob("project*")):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            shutil.rmtree(self.folder / "views")
            (self.folder / "views").mkdir()
            copied.replace(self.folder / copied.name)
            (Path(fresh) / "strip.jpg").replace(self.folder / "views" / "strip.jpg")
        _write(self.folder / "views" / "name.json", name or path.name)
        self.notes = ()
        return self.state()

    def foley(
        self,
        caption: str = "",
        avoid: str = "",
        seed: int = 0,
        loudness: float | None = None,
        report: Report = quiet,
        told: Callable[[str], None] | None = None,
    ) -> State:
        """Stage one. What was made before is replaced."""
        clip = self.clip
        words = [word.strip() for word in avoid.split(",") if word.strip()]
        take = foley(
            self.engine,
            clip,
            caption=caption.strip(),
            avoid=words,
            seed=seed,
            loudness=loudness,
            report=report,
            told=told,
        )
        report("writing", 0.0)
        take.save(self.output, clip, force=True)
        self.notes = (*self.engine.notes, *warnings(take.plan))
        return self.state()

    def generate(self, plan: dict[str, Any], report: Report = quiet) -> State:
        """The sound follows a plan that was changed by hand."""
        from reasound.stages.replan import replanned

        wanted = Plan.parse(json.dumps(plan), "the plan")
        return self._next(
            lambda take, clip: replanned(self.engine, take, clip, wanted, report=report), report
        )

    def point(
        self,
        at: float,
        click: Sequence[float] | None = None,
        box: Sequence[float] | None = None,
        phrase: str = "",
        report: Report = quiet,
    ) -> dict[str, Any]:
        """What would be followed, before it gets a sound: its box at every time, and pictures with its mask."""
        clip = self.clip
        report("following", 0.0)
        found = track(clip, query(click, box, phrase), at)
        report("following", 1.0)
        boxes = [
            [round(float(t), 3), *(round(float(x), 4) for x in b)]
            for t, b, seen in zip(found.times, found.boxes, found.present, strict=True)
            if seen
        ]
        return {"boxes": boxes, "frames": _pictures(clip, found), "lost": _lost(found)}

    def refine(
        self,
        at: float,
        click: Sequence[float] | None = None,
        box: Sequence[float] | None = None,
        phrase: str = "",
        sound: str = "",
        report: Report = quiet,
    ) -> State:
        """Stage two."""
        from reasound.stages.refine import refine

        asked = query(click, box, phrase)
        return self._next(
            lambda take, clip: refine(self.engine, take, clip, asked, at, sound=sound, report=report), report
        )

    def understand(self, instruction: str, span: tuple[float, float] | None = None) -> dict[str, Any]:
        """What an instruction would do, in sentences, and as the edit plan that `edit` takes."""
        from reasound.stages.edit import understood
        from reasound.stages.edits.words import sentences

        with self._history() as past:
            take = past.head
        asked = understood(self.engine, take, instruction, span, self.clip)
        return {
            "sentences": [] if asked.refusal else sentences(asked, take.plan),
            "refusal": asked.refusal,
            "edit": asked.to_dict(),
            "warnings": list(self.engine.notes),
        }

    def edit(self, edit: dict[str, Any], report: Report = quiet) -> State:
        """Stage three."""
        from reasound.stages.edit import edit as done

        asked = EditPlan.parse(json.dumps(edit), "the edit")
        return self._next(lambda take, clip: done(self.engine, take, clip, asked, report=report), report)

    def layer(self, name: str, **fields: Any) -> State:
        """Gain (dB), pan, mute, solo or lock of a layer."""
        from reasound.stages.desk import changed

        return self._next(lambda take, clip: changed(take, name, **fields))

    def reroll(self, name: str, report: Report = quiet) -> State:
        """Another sound for the same layer."""
        from reasound.stages.desk import find_layer, rerolled

        def again(take: Take, clip: Clip) -> Take:
            old = find_layer(take, name)
            return rerolled(self.engine, take, old, old.seed + 1, report)

        return self._next(again, report)

    def remaster(self, loudness: float, peak: float) -> State:
        """Another loudness (LUFS) and peak (dBTP) for the mix."""
        from reasound.stages.desk import remastered

        return self._next(lambda take, clip: remastered(take, loudness, peak))

    def undo(self) -> State:
        return self._moved(lambda past: past.undo())

    def redo(self) -> State:
        return self._moved(lambda past: past.redo())

    def go(self, name: str) -> State:
        """Any take of the history is heard again."""
        return self._moved(lambda past: past.go(name))

    def compare(self, name: str) -> dict[str, Any]:
        """Another take beside the head, to be heard at the same position, and what is different in words."""
        from reasound.stages.desk import differences

        with self._history() as past:
            head, other = past.head, past.load(name)
        return {"a": self._heard(other), "b": self._heard(head), "differences": differences(other, head)}

    def export(self, kinds: Sequence[str], report: Report = quiet) -> Path:
        """A zip of the files that were asked for (`export.delivery.KINDS`)."""
        from reasound.export.delivery import deliver

        with self._history() as past:
            take, clip = past.head, past.picture()
        name = Path(self._name).stem or "take"
        with tempfile.TemporaryDirectory(dir=self.folder) as stage:
            folder = Path(stage) / "files"
            folder.mkdir()
            report("writing", 0.0)
            deliver(take, clip, folder, kinds)
            report("writing", 0.9)
            made = Path(shutil.make_archive(str(Path(stage) / "export"), "zip", folder))
            place = self.folder / "views" / f"{_safe(name)}-{take.id}.zip"
            made.replace(place)
        report("writing", 1.0)
        return place

    def state(self) -> State:
        """All that the page shows; paths are absolute."""
        clip = self.clip
        shown: State = {
            "clip": {
                "name": self._name,
                "seconds": float(clip.seconds),
                "width": clip.width,
                "height": clip.height,
                "fps": clip.fps,
                "video": str(clip.path),
                "strip": str(self.folder / "views" / "strip.jpg"),
            },
            "take": None,
            "plan": None,
            "text": "",
            "layers": [],
            "mix": None,
            "history": [],
            "warnings": list(self.notes),
        }
        if not self.has_take:
            return shown
        with self._history() as past:
            take = past.head
            entries = [vars(entry) for entry in past.entries]
        audio = self.output.take
        titles = {e.id: e.sound for e in take.plan.events} | {a.id: a.sound for a in take.plan.ambience}
        layers = [
            {k: v for k, v in vars(layer).items() if k != "audio"}
            | {
                "title": "; ".join(titles[e] for e in layer.events if e in titles) or layer.name,
                "audio": str(audio / "layers" / f"{layer.name}.wav"),
                "peaks": views.peaks(layer.audio, LAYER_COLUMNS),
            }
            for layer in take.layers
        ]
        return shown | {
            "take": take.id,
            "what": take.what,
            "plan": take.plan.to_dict(),
            "text": take.plan.chain_of_thought(),
            "layers": layers,
            "mix": self._heard(take) | {k: v for k, v in vars(take.mix).items() if k != "original"},
            "history": entries,
        }

    def _heard(self, take: Take) -> dict[str, Any]:
        """Sound and pictures of a take, kept under its own name: the head's files move when the head does."""
        views_of = self.folder / "views"
        sound, picture = views_of / f"{take.id}.wav", views_of / f"{take.id}.png"
        if not sound.is_file():
            from reasound.media import audio as files

            files.write(sound, take.audio)
        if not picture.is_file():
            views.spectrogram(take.audio, picture)
        return {
            "id": take.id,
            "audio": str(sound),
            "spectrogram": str(picture),
            "peaks": views.peaks(take.audio, COLUMNS),
            "momentary": views.meter(take.audio),
        }

    def _next(self, make: Callable[[Take, Clip], Take], report: Report = quiet) -> State:
        with self._history() as past:
            self.engine.notes = ()
            made = make(past.head, past.picture())
            report("writing", 0.0)
            past.commit(made)
        self.notes = tuple(self.engine.notes)
        return self.state()

    def _moved(self, move: Callable[[History], object]) -> State:
        with self._history() as past:
            move(past)
        self.notes = ()
        return self.state()

    def _history(self) -> History:
        if not self.has_take:
            raise UserError("there is no sound yet; generate it first")
        return History.open(self.output.take)

    @property
    def _suffix(self) -> str:
        """Of the video that is written: that of the clip, where such a file can be."""
        found = sorted(self.folder.glob("clip.*"))
        return found[0].suffix if found and found[0].suffix in VIDEO_SUFFIXES else ".mp4"

    @property
    def _name(self) -> str:
        path = self.folder / "views" / "name.json"
        return str(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else "clip"


def query(click: Sequence[float] | None, box: Sequence[float] | None, phrase: str) -> Query:
    """The one of the three that was given, in fractions of the picture."""
    if sum((click is not None, box is not None, bool(phrase))) != 1:
        raise UserError("point at one thing: click it, draw a box round it, or name it")
    if phrase:
        return Phrase(phrase)
    if click is not None:
        return Click(*click)
    assert box is not None
    x0, y0, x1, y1 = box
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise UserError("the box is empty or leaves the picture; draw it again")
    return Drawn(Region(x0=x0, y0=y0, x1=x1, y1=y1))


def _checked(path: Path, name: str) -> Clip:
    """The clip; where it is none, a sentence that calls it by the user's name and by no path of ours."""
    try:
        return Clip.open(path)
    except UserError as error:
        raise UserError(str(error).replace(str(path), name).replace(path.name, name)) from error


def _pictures(clip: Clip, found: Track) -> list[dict[str, Any]]:
    """Some frames over the clip, with the mask drawn."""
    rate = SHOWN / float(clip.seconds)
    shown = []
    wide = round(views.FRAME_HEIGHT * clip.width / clip.height)
    for time, frame in clip.frames(rate=rate, width=wide, count=SHOWN):
        k = int(np.argmin(np.abs(found.times - time)))
        mask = found.masks[k] if found.present[k] else None
        if mask is not None:
            size = (frame.shape[1], frame.shape[0])
            mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        shown.append({"time": round(time, 3), "image": views.as_data(views.masked(frame, mask))})
    return shown


def _lost(found: Track) -> list[list[float]]:
    """Spans in seconds in which the thing is not seen."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], ~found.present, [0]]).astype(int)))
    times = np.append(found.times, found.times[-1])
    return [[round(float(times[a]), 3), round(float(times[b]), 3)] for a, b in edges.reshape(-1, 2)]


def _safe(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)[:60]


def _write(path: Path, value: Any) -> None:
    with replacing(path) as fresh:
        fresh.write_text(json.dumps(value), encoding="utf-8")
