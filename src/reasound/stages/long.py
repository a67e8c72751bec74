"""Foley of long clips: window by window, in memory that does not grow, and going on where it was stopped.

Everything that is finished lies in a work folder: the plan of every window, then the pieces of sound of every part of
the clip, which are added up at the end. A folder belongs to one clip, plan, seed and version: any other starts anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from reasound.errors import UserError
from reasound.media.atomic import replacing
from reasound.media.audio import Track
from reasound.mixing import blocks
from reasound.pipeline import Reasound, Report, quiet
from reasound.plan import Ambience, Plan
from reasound.stages.long_plan import Window, is_bed, join_of, merged
from reasound.stages.long_sounds import Item, Sounds
from reasound.take import Layer, Mix, Settings, Source, Take

if TYPE_CHECKING:
    from reasound.media.video import Clip

LONG = 30
"""Seconds of a clip from which on, beyond them, it is made window by window."""
WINDOW = 20.0
"""Seconds of a window at most."""
KEY = "key"
"""File of a work folder that says whose it is."""


def long_form(
    engine: Reasound,
    clip: Clip,
    settings: Settings,
    *,
    plan: Plan | None = None,
    loudness: Callable[[Plan], float],
    peak: float,
    original: Literal["drop", "keep", "under"] = "drop",
    report: Report = quiet,
    told: Callable[[str], None] | None = None,
    work: Path | None = None,
    window: float = WINDOW,
) -> Take:
    """The take of a clip of any length that pocket can make; one layer for every class of sound.

    `work`: a folder that is made where it is missing, and that the caller removes once the take is saved, since the
    sound of the take is read from it. Without one nothing can be gone on with. `loudness`: LUFS to reach, by the plan.
    """
    with _folder(work) as place:
        source = Source.of(clip)
        asked = {
            "clip": source.sha256,
            "settings": asdict(settings),
            "reasoner": "" if plan else engine.reasoner_name,
            "plan": plan.to_json() if plan else "",
            "window": window,
        }
        desk = _Desk(place, hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest())
        if plan is None:
            plan = _thought(engine, clip, settings, desk, window, report, told)
        sounds = Sounds(
            engine,
            plan,
            clip.seconds,
            settings.seed,
            settings.renderer,
            settings.steps,
            settings.guidance,
            window,
            place,
        )
        for k in range(sounds.parts):
            report("placing", k / sounds.parts)
            _render(sounds, k, desk)
        report("placing", 1.0)
        target = loudness(beds_as_ambience(plan))
        layers, mix, reached = _mixed(sounds, desk, target, peak, report)
        return Take(
            source=source,
            plan=plan,
            layers=tuple(layers),
            audio=mix.array(),
            mix=Mix(target, peak, *reached, original),
            settings=settings,
        )


def beds_as_ambience(plan: Plan) -> Plan:
    """For what asks whether anything happens: what lies under a part of the clip, as if it lay under all of it."""
    beds = [e for e in plan.events if is_bed(e)]
    ambience = tuple(Ambience(id=e.id, sound=e.sound, sound_class=e.sound_class, level=e.level) for e in beds)
    events = tuple(e for e in plan.events if e not in beds)
    return plan.model_copy(update={"events": events, "ambience": plan.ambience + ambience})


def work_of(take: Path) -> Path:
    """The work folder of a take that is to lie there."""
    return take.with_name(f".{take.name}.work")


@contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    try:
        if work is None:
            with tempfile.TemporaryDirectory(prefix="reasound-", ignore_cleanup_errors=True) as name:
                yield Path(name)
        else:
            work.mkdir(exist_ok=True)
            try:
                yield work
            finally:
                if [path.name for path in work.iterdir()] == [KEY]:  # nothing is finished
                    clear(work)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"cannot work in {error.filename or work}: {reason}; make room and go on") from error


class _Desk:
    """The work folder: what is finished is found again by its name."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        mark = folder / KEY
        there = list(folder.iterdir())
        if there and mark not in there:
            raise UserError(f"{folder} is in the way of the work on a long clip; move it")
        if not there or mark.read_text() != key:
            for path in there:
                if path != mark:  # last of all: without it the folder is not ours
                    path.unlink()
            mark.write_text(key)

    def get(self, name: str) -> Any:
        """What was put there, or None."""
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def put(self, name: str, value: Any) -> None:
        """Whole or not at all."""
        with replacing(self.folder / f"{name}.json") as fresh:
            fresh.write_text(json.dumps(value), encoding="utf-8")


def _thought(
    engine: Reasound,
    clip: Clip,
    settings: Settings,
    desk: _Desk,
    window: float,
    report: Report,
    told: Callable[[str], None] | None,
) -> Plan:
    """Watched and reasoned about, one window after the other."""
    found: list[Window] = []
    notes: tuple[str, ...] = ()
    while not found or found[-1].end < clip.seconds:
        name = f"plan-{len(found)}"
        start = found[-1].end if found else Fraction(0)
        if (row := desk.get(name)) is None:
            row = _next(engine, clip, settings, start, window, told)
            desk.put(name, row)
        found.append(Window(start, Fraction(row["end"]), Plan.model_validate(row["plan"])))
        notes += tuple(row["notes"])
        report("watching", float(found[-1].end / clip.seconds))
    engine.notes = tuple(dict.fromkeys(notes))
    return merged(found, float(clip.seconds))


def _next(
    engine: Reasound,
    clip: Clip,
    settings: Settings,
    start: Fraction,
    window: float,
    told: Callable[[str], None] | None,
) -> dict[str, Any]:
    """The end and the plan of the window that begins there."""
    end, least = clip.seconds, start + Fraction(window) / 2
    if end - start > Fraction(1.25 * window):
        join = join_of(clip.cut(least, start + Fraction(window)))
        end = least + Fraction(round(1000 * join), 1000)
    part = clip.cut(start, end)
    features = engine.perceive(part)
    plan = engine.reason(features, settings.caption, settings.avoid, clip=part, told=told)
    return {"end": str(end), "plan": plan.to_dict(), "notes": list(engine.notes)}


def _render(sounds: Sounds, k: int, desk: _Desk) -> None:
    """The pieces of one part of the clip, in files; the list of them comes last."""
    if desk.get(f"part-{k}") is not None:
        return
    rows = []
    for number, piece in enumerate(sounds.part(k)):
        file = f"piece-{k}-{number}.npy"
        np.save(desk.folder / file, piece.audio)
        rows.append({"file": file, "item": piece.item, "at": piece.at, "recordings": piece.recordings})
    desk.put(f"part-{k}", rows)


def _mixed(
    sounds: Sounds, desk: _Desk, target: float, peak: float, report: Report
) -> tuple[list[Layer], Track, tuple[float | None, float | None]]:
    """The pieces added up to layers, and the mix of them at its loudness. Always done from the beginning."""
    report("mixing", 0.0)
    groups = _groups(sounds)
    tracks = {name: Track.make(desk.folder / f"layer-{name}.f32", 2, sounds.n) for name in groups}
    layer_of = {item.id: name for name, items in groups.items() for item in items}
    recordings: dict[str, dict[str, None]] = {name: {} for name in groups}
    for k in range(sounds.parts):
        for row in desk.get(f"part-{k}"):
            name = layer_of[row["item"]]
            tracks[name].add(row["at"], np.load(desk.folder / row["file"]))
            recordings[name] |= dict.fromkeys(row["recordings"])
    mix = Track.make(desk.folder / "mix.f32", 2, sounds.n)
    reached = blocks.master(list(tracks.values()), mix, desk.folder, target, peak)
    layers = [
        Layer(
            name,
            tracks[name].array(),
            tuple(item.id for item in items),
            sounds.seed,
            sounds.made_by(items[0]),
            tuple(recordings[name]),
        )
        for name, items in groups.items()
    ]
    report("mixing", 1.0)
    return layers, mix, reached


def _groups(sounds: Sounds) -> dict[str, list[Item]]:
    """Name of each layer -> what it plays: all of one class."""
    groups: dict[str, list[Item]] = {}
    names: dict[str, str] = {}
    for item in sounds.items:
        kind = item.sound_class or item.sound
        if kind not in names:
            stem = "".join(c if c.isalnum() else "-" for c in kind.rpartition("/")[2].lower())[:40]
            names[kind] = next(
                n for n in (stem, *(f"{stem}-{i}" for i in range(2, 1000))) if n not in names.values()
            )
        groups.setdefault(names[kind], []).append(item)
    return groups


def clear(work: Path) -> None:
    """The take is saved: the work folder goes."""
    shutil.rmtree(work, ignore_errors=True)
