"""Sets of clips to be measured on: any folder of videos, VGGSound, and Movie Gen Audio Bench.

folder     every video below a folder. Beside NAME.mp4 may stand NAME.txt (caption), NAME.cot.txt (reasoning) and
           NAME.wav or NAME.flac (its sound); at the top clips.json, captions.csv or captions.tsv with the same by
           `id` or `file`
vggsound   rows of a csv, videos anywhere below its folder: `YouTube ID, start seconds, label, split` without a
           header (VGGSound, Chen et al. 2020), or `id,caption,caption_cot` (ThinkSound)
movie-gen  Movie Gen Audio Bench (Polyak et al. 2024, section 6.3.2): video_with_audio/N.mp4, and the prompts in
           MovieGenAudioBenchSfx.jsonl or one file each in metadata/. Its videos and their sound are generated
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from reasound.errors import UserError
from reasound.media.container import best_video, opened

Layout = Literal["auto", "folder", "vggsound", "movie-gen"]
LAYOUTS: tuple[Layout, ...] = ("auto", "folder", "vggsound", "movie-gen")
VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
SOUNDS = (".wav", ".flac")
TABLES = ("clips.json", "captions.csv", "captions.tsv")
VGGSOUND_SECONDS = 10
CLEAR = 8
"""With fewer clear onsets than this the softer ones of a clips.json count too: a drum kit under a band."""

_YOUTUBE = re.compile(r"(?P<id>[\w-]{11})_(?P<start>\d+)(_(?P<end>\d+))?")


@dataclass(frozen=True)
class Sample:
    """One clip of a set and what the set says about it."""

    id: str
    """Unique in its set."""
    video: Path
    audio: Path | None = None
    """A sound file that goes before the video's own track."""
    start: float = 0.0
    """Seconds; with `end`, the part of the video that is meant. The sound file begins with the video."""
    end: float | None = None
    """None: to the end."""
    caption: str = ""
    reasoning: str = ""
    """Chain of thought, where the set has one."""
    split: str = ""
    """ "train", "test", ...; empty where the set is not split."""
    sound_class: str = ""
    """Of our taxonomy ("animal/dog"), where clips.json names it."""
    onsets: tuple[float, ...] | None = None
    """Seconds from the start of the video at which something is heard to start, where clips.json lists them."""
    recorded: bool = True
    """Whether its sound was recorded with its picture; that of a generated video is no truth to compare with."""


@dataclass(frozen=True)
class Listing:
    """What a set holds."""

    samples: tuple[Sample, ...]
    left_out: tuple[tuple[str, str], ...]
    """(id, one sentence why it cannot be used): videos that are not there or cannot be read, damaged rows."""


Found = tuple[Sample, str]
"""A sample and why it cannot be used; empty if nothing is known against it."""


def read_set(path: Path | str, layout: Layout = "auto", split: str | None = None) -> Listing:
    """All clips of a set, in the order of its list, or of their names where it has none.

    Args:
        path: its folder; for vggsound also the csv file, with the videos below the same folder.
        layout: "auto" looks for the lists that tell VGGSound and Movie Gen Audio Bench from a plain folder.
        split: only the clips of this split.

    Raises:
        UserError: there is no such folder, it holds no clip, or a list in it cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"there is no folder {path}; check its name")
    if layout not in LAYOUTS:
        raise UserError(f"there is no layout {layout!r}; choose from {', '.join(LAYOUTS)}")
    if path.is_file() and path.suffix.lower() != ".csv":
        raise UserError(f"{path} is neither a folder of videos nor the csv file of a set")
    listed = {"folder": _folder, "vggsound": _vggsound, "movie-gen": _movie_gen}[
        _layout_of(path) if layout == "auto" else layout
    ]
    samples: list[Sample] = []
    left_out: list[tuple[str, str]] = []
    seen: set[str] = set()
    for sample, problem in listed(path):
        # Of a damaged row the split is not known: it is named whatever was asked for.
        if split is not None and sample.split != split and (sample.split or not problem):
            continue
        if sample.id in seen:
            problem = "it is listed twice; the first is used"
        seen.add(sample.id)
        problem = problem or _problem(sample)
        if problem:
            left_out.append((sample.id, problem))
        else:
            samples.append(sample)
    if not samples:
        which = f" of the split {split!r}" if split is not None else ""
        why = f": {left_out[0][0]}: {left_out[0][1]}" if left_out else ""
        raise UserError(f"{path} holds no clip{which} that can be read{why}")
    return Listing(tuple(samples), tuple(left_out))


def _layout_of(path: Path) -> Literal["folder", "vggsound", "movie-gen"]:
    if path.is_file():
        return "vggsound"
    if _prompt_files(path):
        return "movie-gen"
    return "vggsound" if _list_of(path) else "folder"


def _folder(root: Path) -> Iterator[Found]:
    """Every video below `root`, then the rows of its tables that have none."""
    if root.is_file():
        raise UserError(f"{root} is a file; the layout 'folder' needs the folder with the videos")
    rows = _rows_by_name(root)
    videos = _videos(root)
    names = [video.relative_to(root).with_suffix("").as_posix() for video in videos]
    counts = Counter(names)
    used: set[str] = set()
    for video, name in zip(videos, names, strict=True):
        file = video.relative_to(root).as_posix()
        name = file if counts[name] > 1 else name  # two files may differ in their suffix only
        said: dict[str, Any] = {}
        for key in (video.stem, name, video.name, file):  # what names it more exactly is said last
            if key in rows:
                said |= rows[key]
                used.add(key)
        sidecars = {"caption": ".txt", "reasoning": ".cot.txt"}
        beside = {field: video.with_suffix(suffix) for field, suffix in sidecars.items()}
        text = {field: _text(file).strip() for field, file in beside.items() if file.is_file()}
        sound = next((f for s in SOUNDS if (f := video.with_suffix(s)).is_file()), None)
        fields: dict[str, Any] = {"id": name, "video": video, "audio": sound}
        yield Sample(**(fields | said | text)), ""
    for name, row in rows.items():
        if name not in used:
            yield Sample(name, root / name, split=row.get("split", "")), "there is no video of this name"


def _vggsound(path: Path) -> Iterator[Found]:
    """Every row of the csv. A video may be cut (ID_000012.mp4, ID_12.mp4, ID_12000_22000.mp4 in milliseconds) or
    whole (ID.mp4); of a whole one the row's ten seconds are meant."""
    table = path if path.is_file() else _list_of(path)
    if table is None:
        raise UserError(f"{path} has no csv file with the rows of VGGSound or with id,caption,caption_cot")
    videos: dict[str, Path] = {}
    for video in _videos(table.parent):
        videos.setdefault(_name_of(video.stem), video)
    rows = [row for row in _cells(table) if any(cell.strip() for cell in row)]
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    titled = "id" in header and "caption" in header
    for number, row in enumerate(rows[titled:], 1 + titled):
        cells = [cell.strip() for cell in row]
        if titled:
            known = dict(zip(header, cells, strict=False))
            name = known.get("id", "")
            columns = {"caption": "caption", "reasoning": "caption_cot", "split": "split"}
            text: dict[str, Any] = {field: known.get(column, "") for field, column in columns.items()}
        elif len(cells) >= 3 and cells[1].isdecimal():
            name = f"{cells[0]}_{int(cells[1]):06d}"
            text = {"caption": cells[2], "split": cells[3] if len(cells) > 3 else ""}
        else:
            name = ""
        if not name:
            yield (
                Sample(f"row {number}", table),
                f"it is no row of a list of clips: {','.join(cells)[:80]!r}",
            )
            continue
        cut, whole = videos.get(_name_of(name)), videos.get(name[:11])
        if cut is not None:
            yield Sample(name, cut, **text), ""
        elif whole is not None and (match := _YOUTUBE.fullmatch(name)):
            start = float(match["start"])
            yield Sample(name, whole, start=start, end=start + VGGSOUND_SECONDS, **text), ""
        else:
            yield Sample(name, table.parent / name, **text), f"its video is not below {table.parent}"


def _name_of(stem: str) -> str:
    """The one name of a VGGSound clip: ID_000012, however its file is called; other names stay as they are."""
    match = _YOUTUBE.fullmatch(stem)
    if match is None:
        return stem
    start, end = int(match["start"]), int(match["end"] or 0)
    return f"{match['id']}_{start // 1000 if end - start >= 1000 else start:06d}"


def _movie_gen(root: Path) -> Iterator[Found]:
    """Every prompt, then the videos without one."""
    if root.is_file():
        raise UserError(f"{root} is a file; the layout 'movie-gen' needs the folder with the videos")
    prompts: dict[str, str] = {}
    for file in _prompt_files(root):
        for number, line in enumerate(filter(None, map(str.strip, _text(file).splitlines())), 1):
            row = _parsed(line, file)
            if not isinstance(row, dict) or "audio_prompt" not in row:
                yield Sample(f"{file.name} line {number}", file), "it has no audio_prompt"
                continue
            own = file.with_suffix("").name  # metadata/12.jsonl or metadata/12.mp4.jsonl
            own = own.removesuffix(Path(own).suffix) if Path(own).suffix in VIDEOS else own
            prompts.setdefault(str(row.get("id", own)), str(row["audio_prompt"]).strip())
    videos: dict[str, Path] = {}
    for video in _videos(root):
        videos.setdefault(video.stem, video)
    for name, prompt in prompts.items():
        if name in videos:
            yield Sample(name, videos.pop(name), caption=prompt, recorded=False), ""
        else:
            yield Sample(name, root / name, caption=prompt), f"its video is not below {root}"
    for name, video in videos.items():
        yield Sample(name, video, recorded=False), ""


def _videos(root: Path) -> list[Path]:
    """In the order of their names; hidden files and folders are not looked into."""
    found = [p for p in root.rglob("*") if p.suffix.lower() in VIDEOS and not p.is_dir()]
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(root).parts))


def _prompt_files(root: Path) -> list[Path]:
    """Movie Gen's lists of prompts below `root`; the whole list before single ones."""
    files = sorted(root.rglob("*.jsonl"), key=lambda f: (f.parent != root, f))
    named = [f for f in files if f.name.startswith("MovieGenAudioBench") or f.parent.name == "metadata"]
    return [f for f in named if "audio_prompt" in _text(f, "replace")]


def _list_of(root: Path) -> Path | None:
    """The csv file at the top of a folder that lists a set; captions.csv belongs to the plain layout."""
    for file in sorted(root.glob("*.csv")):
        first = next(iter(_cells(file, "replace")), [])  # a stray table of another encoding is no list
        cells = [cell.strip().lower() for cell in first]
        # In VGGSound the first row is data already.
        rows = len(cells) == 4 and cells[1].isdecimal() and cells[3] in ("train", "test")
        if file.name not in TABLES and (rows or {"id", "caption", "caption_cot"} <= set(cells)):
            return file
    return None


def _rows_by_name(root: Path) -> dict[str, dict[str, Any]]:
    """What the tables at the top of a folder say, by `file` or `id`: fields of a Sample."""
    rows: dict[str, dict[str, Any]] = {}
    for file in (root / name for name in TABLES):
        if not file.is_file():
            continue
        for number, row in enumerate(_table(file), 1):
            name = str(row.get("file") or row.get("id") or "").strip()
            if not name:
                raise UserError(f"entry {number} of {file} has neither a file nor an id")
            rows.setdefault(name, {}).update(_fields(row, file))
    return rows


def _table(file: Path) -> Iterable[Mapping[str, Any]]:
    if file.suffix != ".json":
        header, *rows = [row for row in _cells(file) if any(row)] or [[]]
        names = [cell.strip().lower() for cell in header]
        if not {"id", "file"} & set(names):
            raise UserError(f"the first line of {file} must name its columns: id or file, caption, reasoning")
        return [dict(zip(names, row, strict=False)) for row in rows]
    found = _parsed(_text(file), file)
    entries = found.get("clips") if isinstance(found, dict) else found
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{file} must hold a list of clips, each with a file or an id")
    return entries


def _fields(row: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The fields of a Sample that a row gives."""
    reasoning = row.get("reasoning") or row.get("caption_cot")
    given = {
        "caption": row.get("caption"),
        "reasoning": reasoning,
        "split": row.get("split"),
        "sound_class": row.get("sound_class"),
    }
    fields: dict[str, Any] = {name: str(value).strip() for name, value in given.items() if value}
    if isinstance(row.get("onsets"), list):
        clear = row["onsets"]
        onsets = clear if len(clear) >= CLEAR else row.get("onsets_sensitive", clear)
        try:
            fields["onsets"] = tuple(sorted(float(onset) for onset in onsets))
        except (TypeError, ValueError):
            raise UserError(f"the onsets of {row.get('file')} in {file} must be a list of seconds") from None
    return fields


def _problem(sample: Sample) -> str:
    """Why the video cannot be read; empty if it can. Only its head is looked at."""
    try:
        with opened(sample.video) as container:
            best_video(container, sample.video)
    except UserError as error:
        return str(error)
    return ""


def _cells(file: Path, errors: str = "strict") -> Iterator[list[str]]:
    text = io.StringIO(_text(file, errors), newline="")
    try:
        yield from csv.reader(text, delimiter="\t" if file.suffix == ".tsv" else ",")
    except csv.Error as error:
        raise UserError(f"{file} is not a table of values: {error}") from error


def _parsed(text: str, file: Path) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UserError(f"{file} is not JSON: {error}") from error


def _text(file: Path, errors: str = "strict") -> str:
    """UTF-8, with or without a byte order mark."""
    try:
        return file.read_bytes().decode("utf-8-sig", errors)
    except OSError as error:
        raise UserError(f"cannot read {file}: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 text; save it as UTF-8") from error
