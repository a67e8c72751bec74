"""A take as the files that other tools take: stems and mix at 48 kHz, the video, markers, projects, the plan."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reasound.errors import UserError
from reasound.export import bwf, edl, otio, reaper
from reasound.media.audio import fitted, resample
from reasound.media.video import Clip
from reasound.mixing.layers import stems
from reasound.plan import Event
from reasound.take import Layer, Take
from reasound.timeline import SAMPLE_RATE, samples

KINDS = ("video", "mix", "stems", "markers", "edl", "otio", "reaper", "plan")
"""What can be delivered."""
USUAL = tuple(kind for kind in KINDS if kind != "otio")
"""Those that need no extra package."""
MIDNIGHT = 24 * 3600
USUAL_RATE = 25.0
"""Frames a second in which the times of sound without a picture are counted."""
COLUMNS = ("Name", "Start", "Duration", "Time Format", "Type", "Description")
"""Of Adobe Audition's marker files, which are tab-separated; other editors import them as a table."""

Audio = NDArray[np.float32]  # [2, N]


def deliver(
    take: Take,
    clip: Clip | None,
    folder: Path,
    kinds: Sequence[str],
    *,
    name: str = "take",
    start: Fraction = Fraction(0),
) -> list[Path]:
    """Write the files of these kinds into an existing folder that has none of them; returns them.

    Stems hold what is heard: gain and pan are in them, muted layers are left out, and they sum to the mix to within
    the rounding of 24 bits. A list or a project comes with the files that it names. `start`: the timecode of
    the first picture, in seconds since midnight. UserError for unknown kinds, and where the take has no picture for a
    video.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        wrong = f"{unknown[0]!r} cannot be delivered" if unknown else "nothing was asked for"
        raise UserError(f"{wrong}; there are {', '.join(KINDS)}")
    if start < take.before:
        raise UserError(f"the sound begins {float(take.before):g} s before the picture; give a later start")
    if start >= MIDNIGHT:
        raise UserError("the start is a time of day: before 24:00:00")
    made: list[Path] = []
    needs = {"stems", "edl", "otio", "reaper"}
    first = round((start - take.before) * bwf.RATE)
    film: Path | None = None
    if "video" in kinds or ({"otio", "reaper"} & set(kinds) and clip is not None):
        film = _video(take, clip, folder, name)
        made.append(film)
    if "mix" in kinds:
        about = bwf.About(f"{name}: mix", f"reasound-{take.id}", first, take.mix.loudness, take.mix.true_peak)
        made.append(_sound(folder / f"{name}-mix.wav", take.audio, about))
    heard = [(x, audio) for x, audio in zip(take.layers, stems(take.layers), strict=True) if audio.any()]
    named = [(layer, f"{name}-{layer.name}.wav") for layer, _ in heard]
    if needs & set(kinds):
        for layer, audio in heard:
            about = bwf.About(f"{name}: {_title(take, layer)}", f"reasound-{take.id}", first)
            made.append(_sound(folder / f"{name}-{layer.name}.wav", audio, about))
    made += _projects(take, clip, folder, kinds, name, start - take.before, film, named)
    if "markers" in kinds:
        made.append(_markers(take, folder / f"{name}-markers.csv", start - take.before))
    if "plan" in kinds:
        path = folder / f"{name}-plan.json"
        path.write_text(take.plan.to_json(), encoding="utf-8")
        made.append(path)
    return made


def _projects(
    take: Take,
    clip: Clip | None,
    folder: Path,
    kinds: Sequence[str],
    name: str,
    start: Fraction,
    film: Path | None,
    named: Sequence[tuple[Layer, str]],
) -> list[Path]:
    """The lists and projects that name other files. `start`: of the sound; the plan's times count from it, too."""
    made: list[Path] = []
    seconds = Fraction(take.audio.shape[1], SAMPLE_RATE)
    rate = edl.rate_for(clip.fps if clip else USUAL_RATE)
    marks: list[tuple[Fraction | float, str]] = [
        (t, e.sound) for e in take.plan.events for t in e.onsets or (e.start,)
    ]
    picture = None if film is None or clip is None else (film.name, clip.seconds, take.before)
    if "edl" in kinds:
        made.append(folder / f"{name}.edl")
        listed = edl.text(name, [file for _, file in named], seconds, rate, start, marks)
        made[-1].write_bytes(listed.encode("ascii"))
    if "otio" in kinds:
        made.append(folder / f"{name}.otio")
        otio.write(
            made[-1], name, rate, start, picture, [(x.name, file, seconds) for x, file in named], marks
        )
    if "reaper" in kinds:
        items = [reaper.Item(_title(take, layer), file, seconds) for layer, file in named]
        if picture is not None:
            items.insert(0, reaper.Item("picture", picture[0], picture[1], "VIDEO", picture[2], mute=True))
        made.append(folder / f"{name}.rpp")
        text = reaper.text(items, marks, start, bwf.RATE)
        made[-1].write_text(text, encoding="utf-8", newline="")
    return made


def _video(take: Take, clip: Clip | None, folder: Path, name: str) -> Path:
    from reasound.media.mux import FORMATS, check, mux

    if clip is None:
        raise UserError("the take is of sound alone, so there is no video to deliver; leave out 'video'")
    suffix = clip.path.suffix.lower()
    path = folder / f"{name}{suffix if suffix in FORMATS else '.mp4'}"
    first = samples(take.before)
    beside = take.audio[:, first : first + samples(clip.seconds)]
    original = take.mix.original if clip.has_audio else "drop"
    if clip.path.parent.suffix == ".take":  # the take's own video is already what is asked for
        shutil.copyfile(clip.path, path)
        return path
    check(clip, path, original)
    mux(clip, beside, path, original=original)
    return path


def _sound(path: Path, audio: Audio, about: bwf.About) -> Path:
    """At 48 kHz, exactly as long as the take to the sample of that rate."""
    length = round(Fraction(audio.shape[1], SAMPLE_RATE) * bwf.RATE)
    bwf.write(path, fitted(resample(audio, SAMPLE_RATE, bwf.RATE), length), about)
    return path


def _markers(take: Take, path: Path, start: Fraction) -> Path:
    """Every hit of every event; of what lasts, its span. `start`: of the sound."""
    rows: list[tuple[float, float, Event]] = []
    for event in take.plan.events:
        if event.onsets:
            rows += [(time, 0.0, event) for time in event.onsets]
        else:
            rows.append((event.start, event.end - event.start, event))
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\r\n")
        table.writerow(COLUMNS)
        for time, lasts, event in sorted(rows, key=lambda row: (row[0], row[2].id)):
            table.writerow(
                (event.id, clock(float(start) + time), clock(lasts), "decimal", "Cue", event.sound)
            )
    return path


def clock(seconds: float) -> str:
    """H:MM:SS.mmm"""
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def _title(take: Take, layer: Layer) -> str:
    sounds = {e.id: e.sound for e in take.plan.events} | {a.id: a.sound for a in take.plan.ambience}
    return "; ".join(sounds[e] for e in layer.events if e in sounds) or layer.name
