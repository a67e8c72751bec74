"""Build the sound library that ships: choose, cut, encode, measure and describe the recordings.

    python recipes/pocket_sounds.py --sounds DIR [--synthetic DIR] --out models/reasound-sounds/src/reasound_sounds

DIR holds `manifest.jsonl`, one JSON object a line, and the audio files that it names. Only recordings whose licence
allows passing them on together under CC-BY-SA-4.0 are taken. The result is the folder of a data package: the manifest
(reasound.data.manifest), audio/, captions.npz (a sentence embedding for every caption) and the two texts that name
every author. A few minutes on one core; running it again gives the same sounds and texts.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile
import soxr

from reasound.data.manifest import SHIPPABLE, Recording, check_ids, write_manifest
from reasound.data.measure import (
    Audio,
    block_levels,
    brightness,
    clipped_share,
    find_hits,
    loudness,
    swell,
    without_rumble,
)
from reasound.errors import one_sentence
from reasound.evaluation.tags import heard
from reasound.evaluation.yamnet import Yamnet
from reasound.perception.text import MiniLM
from reasound.reasoning.knowledge import sound_classes
from reasound.synthesis.manners import habit

RATE = 44_100
COPY_BELOW, COPY_RATE = 20_000, 13_000
"""Ogg files of fewer bytes, or fewer bytes a second and channel, stay as they were published."""
COMPUTED = 20.0
"""Seconds of computed recordings that are kept of a class, the best ones: more can be made any time."""
WORST = 0.2
"""Recordings of lower quality are left out."""
WRONG = {
    "stk_strike": "a bowling alley, not a ball that bounces; its clatter covers the next bounce",
    "sonicpi_vinyl_rewind": "a music record played backwards",
    "stk_exotic_birds_02": "hens, not jungle birds",
    "lincity_harbor_02": "masts clink so regularly that it is heard as a clock",
}
"""Left out: what is heard is not what the label says."""
RELABELLED = {f"0ad_impact_fleshstab_0{i}": "impact/squish_crunch" for i in (1, 2, 3)}
"""A crack and a crunch a quarter of a second later, not a dull blow."""


@dataclass(frozen=True)
class Form:
    """How recordings are written."""

    longest: float = 40.0
    """Seconds that are kept of what is longer than that by more than an eighth."""
    mono: bool = False
    short: float = 0.55
    lasting: float = 0.4
    """Vorbis quality of short sounds, whose attacks matter, and of what lasts more than 10 s: about 130 and 100 kbit/s
    in stereo."""


LIBRARY = Form()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--sounds", type=Path, required=True, help="folder with manifest.jsonl and audio files"
    )
    parser.add_argument("--synthetic", type=Path, help="another such folder, of recordings we made ourselves")
    parser.add_argument("--out", type=Path, required=True, help="folder of the data package")
    given = parser.parse_args()
    build([given.sounds, *([given.synthetic] if given.synthetic else [])], given.out)


def build(sources: list[Path], out: Path) -> list[Recording]:
    """Every shippable recording of `sources` into `out`. What is there is replaced at the end, when all is made."""
    with TemporaryDirectory() as folder:
        fresh = Path(folder)
        (fresh / "audio").mkdir()
        made = [
            made
            for source in sources
            for row in rows_of(source)
            if row["licence_group"] in SHIPPABLE and (made := ship(row, source, fresh))
        ]
        made = sorted(thinned(made, fresh), key=lambda r: (r.sound_class, r.id))
        check_ids(made)
        write_manifest(fresh / "manifest.jsonl", made)
        write_captions(fresh / "captions.npz", made)
        (fresh / "ATTRIBUTION.md").write_text(attribution(made), encoding="utf-8")
        (fresh / "LICENSES.md").write_text(licences(made), encoding="utf-8")
        publish(fresh, out)
    report(made, out)
    return made


def publish(fresh: Path, out: Path) -> None:
    """All that lies in `fresh` takes the place of what has its name in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    for part in sorted(fresh.iterdir()):
        if part.is_dir():
            shutil.rmtree(out / part.name, ignore_errors=True)
        shutil.move(part, out / part.name)


def report(made: list[Recording], out: Path) -> None:
    minutes = sum(r.seconds for r in made) / 60
    size = sum((out / r.file).stat().st_size for r in made)
    print(
        f"{len(made)} recordings, {minutes:.1f} min, {size / 1e6:.1f} MB, "
        f"{len({r.sound_class for r in made})} classes"
    )


def thinned(made: list[Recording], folder: Path) -> list[Recording]:
    """Without the computed recordings that are beyond what is kept of a class; their files are removed."""
    kept: list[Recording] = []
    seconds: dict[str, float] = defaultdict(float)
    for r in sorted(made, key=lambda r: -r.quality):
        if is_computed(r.package):
            if seconds[r.sound_class] > COMPUTED:
                (folder / r.file).unlink()
                continue
            seconds[r.sound_class] += r.seconds
        kept.append(r)
    return kept


def is_computed(package: str) -> bool:
    """By a model of ours, not recorded."""
    return package.startswith("reasound")


def rows_of(folder: Path) -> Iterator[dict[str, Any]]:
    """The rows of a folder that are what they are called."""
    for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["id"] not in WRONG:
            yield row | {"sound_class": RELABELLED.get(row["id"], row["sound_class"])}


def ship(row: dict[str, Any], folder: Path, out: Path, form: Form = LIBRARY) -> Recording | None:
    """Write one recording and measure what was written; None where it is not good enough."""
    source = folder / row["file"]
    sound, rate = soundfile.read(source, always_2d=True, dtype="float32")
    audio: Audio = sound.T[:2]
    clipped = clipped_share(audio)
    start, end = best_part(audio, rate, form.longest)
    whole = end - start == audio.shape[1]
    if form.mono:
        audio = audio.mean(0, keepdims=True)
    alike = len(audio) == sound.shape[1]
    file = f"audio/{row['id']}.ogg"
    size, seconds = source.stat().st_size, audio.shape[1] / rate
    small = size < COPY_BELOW or size < COPY_RATE * seconds * len(audio)
    if whole and alike and source.suffix == ".ogg" and small:
        shutil.copyfile(source, out / file)
        changes = "unchanged copy"
    else:
        changes = "" if whole else f"cut to {start / rate:.1f}-{end / rate:.1f} s, ends faded; "
        changes += "" if alike else "channels averaged; "
        audio, rate = encode(audio[:, start:end], rate, out / file, fade=not whole, form=form)
        changes += "encoded as Ogg Vorbis"
    # What is measured is what will be heard: the written file, at the rate at which it is played.
    sound, rate = soundfile.read(out / file, always_2d=True, dtype="float32")
    audio = without_rumble(at_rate(sound.T, rate), RATE)
    tags = Yamnet.load().tags(audio, RATE)
    level = loudness(audio, RATE)
    recording = Recording(
        id=row["id"],
        file=file,
        captions=tuple(dict.fromkeys([row["caption"], *row["captions"]])),
        sound_class=row["sound_class"],
        material=row["material"],
        kind=row["kind"],
        seconds=round(audio.shape[1] / RATE, 4),
        rate=rate,
        channels=sound.shape[1],
        hits=find_hits(audio, RATE, habit(row["sound_class"]).manner, row["kind"]),
        loudness=round(level, 1),
        swell=round(swell(audio, RATE), 1),
        brightness=round(brightness(audio, RATE)),
        quality=round(quality(row, rate, clipped, tags, level), 2),
        tags=tuple(name for name, _ in tags),
        licence=row["licence"],
        licence_group=row["licence_group"],
        author=row["author"],
        package=row["package"],
        source_file=row["source_file"],
        changes=changes,
        series=row["series"],
        split=row["split"],
    )
    if recording.quality < WORST or recording.loudness < -70:
        (out / file).unlink()
        return None
    return recording


def quality(
    row: dict[str, Any], rate: int, clipped: float, tags: list[tuple[str, float]], level: float
) -> float:
    """0 to 1. A recording that a tagger takes for what it is called will be known by people too; one that it surely
    takes for something else costs most, unless it is short: YAMNet hears 0.96 s and is lost with less."""
    treble = min(rate / 40_000, 1.0) ** 0.6
    right = max((score for name, score in tags if heard(row["sound_class"], [name])), default=0.0)
    if right > 0:
        known = 0.7 + 0.3 * min(right / 0.5, 1.0)
    else:
        known = 0.45 if tags[0][1] > 0.85 and row["seconds"] > 0.8 else 0.65
    quiet = 0.5 if level < -45 else 1.0  # its noise comes up with it
    recorded = 0.85 if is_computed(row["package"]) else 1.0
    return treble * known * (1 - min(20 * clipped, 0.4)) * quiet * recorded


def best_part(audio: Audio, rate: int, longest: float) -> tuple[int, int]:
    """(start, end) in samples of the seconds in which a long recording is full and even; all of a short one."""
    n = audio.shape[1]
    if n <= 1.125 * longest * rate:
        return 0, n
    levels = block_levels(audio, rate)  # every 25 ms
    seconds = levels[: len(levels) // 40 * 40].reshape(-1, 40).max(1)
    width = int(longest)
    windows = np.lib.stride_tricks.sliding_window_view(seconds, width)
    best = int(np.argmax(windows.mean(1) - 1.5 * windows.std(1)))
    return best * rate, min((best + width) * rate, n)


def encode(audio: Audio, rate: int, path: Path, fade: bool, form: Form) -> tuple[Audio, int]:
    """Ogg Vorbis at no more than 48 kHz, below full scale, cuts faded; returns what was written."""
    if rate > 48_000:
        audio, rate = at_rate(audio, rate), RATE
    audio = audio * min(1.0, 0.95 / max(float(np.abs(audio).max()), 1e-9))
    if fade:
        ramp = np.linspace(0, 1, round(0.05 * rate), dtype=np.float32)
        audio[:, : len(ramp)] *= ramp
        audio[:, -len(ramp) :] *= ramp[::-1]
    best = form.short if audio.shape[1] < 10 * rate else form.lasting
    with soundfile.SoundFile(
        path, "w", rate, len(audio), "VORBIS", format="OGG", compression_level=1 - best
    ) as file:
        for at in range(0, audio.shape[1], 65_536):  # libsndfile overflows its stack on long Vorbis writes
            file.write(audio[:, at : at + 65_536].T)
    return audio, rate


def at_rate(audio: Audio, rate: int) -> Audio:
    if rate == RATE:
        return np.ascontiguousarray(audio)
    return np.ascontiguousarray(soxr.resample(audio.T, rate, RATE, "HQ").T.astype(np.float32))


def write_captions(path: Path, recordings: list[Recording]) -> None:
    """Unit vectors of the captions of recordings and classes, in float16, with the captions themselves.

    `classes` and `class_captions` say which captions describe a class as a whole.
    """
    present = {r.sound_class for r in recordings}
    of_class = [
        (name, c) for name, sound in sound_classes().items() if name in present for c in sound.captions
    ]
    captions = sorted({c for _, c in of_class} | {c for r in recordings for c in r.captions})
    np.savez_compressed(
        path,
        captions=captions,
        vectors=MiniLM.load().encode(captions).astype(np.float16),
        classes=[name for name, _ in of_class],
        class_captions=[captions.index(c) for _, c in of_class],
    )


def attribution(recordings: list[Recording]) -> str:
    """Every recording with its author, licence and source."""
    lines = [
        "# Who made these sounds",
        "",
        "Every recording of the library: its id, its author as the publisher names them, its licence, the package and",
        "file it was published in, and what was changed. manifest.jsonl holds the same, for programs.",
    ]
    by_package: dict[str, list[Recording]] = defaultdict(list)
    for r in recordings:
        by_package[r.package].append(r)
    for package, members in sorted(by_package.items()):
        lines += [
            "",
            f"## {package}",
            "",
            "| id | author | licence | file | changes |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {r.id} | {cell(r.author)} | {r.licence} | {cell(r.source_file)} | {r.changes} |"
            for r in sorted(members, key=lambda r: r.id)
        ]
    return "\n".join(lines) + "\n"


def licences(recordings: list[Recording]) -> str:
    """What may be done with the library, and how many recordings stand under which licence."""
    count = Counter(r.licence for r in recordings)
    lines = [
        "# Licences of the sound library",
        "",
        "The library as a whole may be passed on under CC-BY-SA-4.0 (https://creativecommons.org/licenses/by-sa/4.0/).",
        "Each recording keeps its own licence; ATTRIBUTION.md names author, licence and source of every one. Where a",
        "licence lets you choose (GPL or CC-BY-SA, zlib or CC-BY), the Creative Commons licence or zlib is taken.",
        "Nothing here is GPL-only, non-commercial or under the Free Art License.",
        "",
        "| licence | recordings |",
        "|---|---|",
        *[f"| {name} | {number} |" for name, number in sorted(count.items(), key=lambda i: (-i[1], i[0]))],
    ]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


if __name__ == "__main__":
    with one_sentence():
        main()
