"""An OpenTimelineIO timeline: the picture, a track for every stem, a marker at every hit."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from reasound.errors import UserError


def write(
    path: Path,
    title: str,
    rate: Fraction,
    start: Fraction,
    picture: tuple[str, Fraction, Fraction] | None,
    stems: Sequence[tuple[str, str, Fraction]],
    marks: Sequence[tuple[Fraction | float, str]],
) -> None:
    """`rate`: frames a second in which times are counted. `start`: the timecode at which the sound begins.

    `picture`: file, seconds, and where it begins after the sound does. `stems`: name, file, seconds. `marks`: seconds
    after the sound begins, and what is heard. UserError without the library.
    """
    try:
        import opentimelineio as library
    except ModuleNotFoundError as missing:
        raise UserError("OTIO needs OpenTimelineIO:  pip install 'reasound[bridges]'") from missing
    schema, times = library.schema, library.opentime

    def at(seconds: Fraction | float) -> Any:
        return times.RationalTime(round(Fraction(seconds) * rate), float(rate))

    def clip(name: str, file: str, seconds: Fraction) -> Any:
        whole = times.TimeRange(at(0), at(seconds))
        return schema.Clip(name, schema.ExternalReference(file, whole), whole)

    timeline = schema.Timeline(title, global_start_time=at(start))
    if picture is not None:
        file, seconds, begin = picture
        track = schema.Track("picture", kind=schema.TrackKind.Video)
        if begin:
            track.append(schema.Gap(source_range=times.TimeRange(at(0), at(begin))))
        track.append(clip("picture", file, seconds))
        timeline.tracks.append(track)
    for name, file, seconds in stems:
        track = schema.Track(name, kind=schema.TrackKind.Audio)
        track.append(clip(name, file, seconds))
        timeline.tracks.append(track)
    for time, name in sorted(marks):
        marked = times.TimeRange(at(time), at(0))
        timeline.tracks.markers.append(schema.Marker(name, marked, schema.MarkerColor.YELLOW))
    path.write_text(timeline.to_json_string(indent=2) + "\n", encoding="utf-8")
