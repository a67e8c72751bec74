"""Build the data that Reasound is measured on: held-out recordings, and cut-out pictures of things that make sounds.

    python recipes/benchmark_sounds.py --sounds DIR --out models/reasound-benchmark/src/reasound_benchmark

DIR holds `manifest.jsonl` and the audio files that it names, as for recipes/pocket_sounds.py, and sprites/ with
`sprites.jsonl` and RGBA pictures. Held out is what no shipped weight may learn from: the recordings that are only GPL
or Free Art, and of the others the test split. The result is the folder of a data package in the format of the sound
library, with sprites/ and sprites.jsonl beside it. A minute on one core; running it again gives the same sounds and
texts.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np

from pocket_sounds import (
    Form,
    attribution,
    cell,
    publish,
    report,
    rows_of,
    ship,
    write_captions,
)
from reasound.data.manifest import SHIPPABLE, Recording, check_ids, write_manifest
from reasound.errors import one_sentence

SMALL = Form(longest=6.0, mono=True, short=0.25)
"""Up to 6.75 s in mono, at about 60 kbit/s."""
MOST, OF_SERIES = 5, 3
"""Recordings of a class, and of one series, that are taken."""
FEWER = {"voice/grunt": 3, "animal/monster": 4}
"""Cries of soldiers and monsters of games, of which a few are enough."""
ENOUGH, LONG = 3, 8.0
"""A class with so many recordings needs none of the test split, none of low quality, and none more once they last so
many seconds in all."""
FAIR = 0.5
"""Quality below which a recording is taken only where there are fewer than ENOUGH."""
WEBP_QUALITY = 80
COPIES = {
    "gcompris_watercycle_harbor_01": "lincity_harbor_01",
    "gcompris_animals_owl": "lincity_powersolar_03",
    "gcompris_animals_duck": "lincity_parklandlake_02",
    "wesnoth_tusker_die": "lincity_organicfarm_01",
    "widelands_woodcutting_tree_falling_00": "opensfx_54",
    "widelands_woodcutting_tree_falling_01": "stk_break",
}
"""Left out: the same recording, found by the correlation of the waveforms (0.59 to 1.0 over 1.2 to 3.9 s), was also
published under a licence that lets weights learn from it."""
USELESS = (
    "glass",  # can hardly be seen
    "lightning",
    "fireworks",
    "scissors",  # too small
    "mine",  # a landscape
    "farm",
    "tavern",
)
"""Pictures that are left out, by label."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--sounds", type=Path, required=True, help="folder with manifest.jsonl, audio files and sprites/"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the data package")
    given = parser.parse_args()
    build(given.sounds, given.out)


def build(source: Path, out: Path) -> None:
    """Recordings, pictures and the texts that name their authors. What is in `out` is replaced when all is made."""
    with TemporaryDirectory() as folder:
        fresh = Path(folder)
        for name in ("audio", "sprites"):
            (fresh / name).mkdir()
        made = [made for row in held_out(source) if (made := ship(row, source, fresh, SMALL))]
        kept = [replace(r, split="test") for r in chosen(made)]
        check_ids(kept)
        for r in {r.file for r in made} - {r.file for r in kept}:
            (fresh / r).unlink()
        write_manifest(fresh / "manifest.jsonl", kept)
        write_captions(fresh / "captions.npz", kept)
        sprites = cut_outs(source / "sprites", fresh)
        lines = [json.dumps(s, ensure_ascii=False) + "\n" for s in sprites]
        (fresh / "sprites.jsonl").write_text("".join(lines), encoding="utf-8")
        (fresh / "ATTRIBUTION.md").write_text(attribution(kept) + authors(sprites), encoding="utf-8")
        (fresh / "LICENSES.md").write_text(licences(kept, sprites), encoding="utf-8")
        publish(fresh, out)
    report(kept, out)
    size = sum((out / s["file"]).stat().st_size for s in sprites)
    print(f"{len(sprites)} pictures, {size / 1e6:.1f} MB")


def held_out(folder: Path) -> list[dict[str, Any]]:
    """The rows that no shipped weight may learn from; none of a series of which another take is learned from."""
    rows = list(rows_of(folder))
    learned = {r["series"] for r in rows if r["licence_group"] in SHIPPABLE and r["split"] != "test"}
    return [r for r in rows if r["series"] not in learned and r["id"] not in COPIES and not too_long(r)]


def too_long(row: dict[str, Any]) -> bool:
    """A single sound that would have to be cut while it rings."""
    return bool(row["kind"] == "one_shot" and row["seconds"] > SMALL.longest)


def chosen(made: list[Recording]) -> list[Recording]:
    """Of every class the best: of each of its series a few, first those that nobody may learn from."""
    series: dict[tuple[str, str], list[Recording]] = defaultdict(list)
    for r in made:
        series[r.sound_class, r.series].append(r)
    for members in series.values():
        members.sort(key=lambda r: (-r.quality, r.id))
        del members[OF_SERIES:]
    kept: dict[str, list[Recording]] = defaultdict(list)
    for members in sorted(series.values(), key=lambda m: (free(m[0]), -worth(m), m[0].id)):
        for r in members:
            takes = kept[r.sound_class]
            content = free(r) or r.quality < FAIR or sum(t.seconds for t in takes) > LONG
            if len(takes) < (ENOUGH if content else FEWER.get(r.sound_class, MOST)):
                takes.append(r)
    return sorted((r for members in kept.values() for r in members), key=lambda r: (r.sound_class, r.id))


def free(r: Recording) -> bool:
    """The sound library that ships has it too, as a part of its test split."""
    return r.licence_group in SHIPPABLE


def worth(members: list[Recording]) -> float:
    """Of a series: its quality, and whether there is a moment in it that can be put on a visible one."""
    return float(np.mean([r.quality + 0.1 * bool(r.hits) for r in members]))


def cut_outs(source: Path, out: Path) -> list[dict[str, Any]]:
    """Every useful picture as WebP with its transparency, and a row that says what it is."""
    rows = []
    for line in (source / "sprites.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["label"] in USELESS:
            continue
        name = Path(row["file"]).name
        picture = cv2.imread(str(source / name), cv2.IMREAD_UNCHANGED)  # [h, w, 4] BGRA
        assert picture is not None and picture.shape[2] == 4, f"{name} has no transparency"
        row["file"] = f"sprites/{Path(name).stem}.webp"
        row["height"], row["width"] = picture.shape[:2]
        cv2.imwrite(str(out / row["file"]), picture, [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
        keys = "file label sound_class width height package licence author source_file"
        rows.append({key: row[key] for key in keys.split()})
    return sorted(rows, key=lambda row: (row["sound_class"], row["file"]))


def authors(sprites: list[dict[str, Any]]) -> str:
    """Every picture with its author, licence and source."""
    lines = [
        "",
        "# Who made these pictures",
        "",
        "Every cut-out in sprites/. All were encoded as WebP.",
        "",
        "| file | author | licence | package | source file |",
        "|---|---|---|---|---|",
        *[
            f"| {s['file']} | {cell(s['author'])} | {s['licence']} | {s['package']} | {cell(s['source_file'])} |"
            for s in sprites
        ],
    ]
    return "\n".join(lines) + "\n"


def licences(recordings: list[Recording], sprites: list[dict[str, Any]]) -> str:
    """What may be done with the collection, and how much of it stands under which licence."""
    of_sounds = Counter(r.licence for r in recordings)
    of_pictures = Counter(s["licence"] for s in sprites)
    names = sorted(of_sounds | of_pictures, key=lambda name: (-of_sounds[name] - of_pictures[name], name))
    lines = [
        "# Licences of the benchmark",
        "",
        "This is a collection of separate works. **Each recording and each picture keeps its own licence**; "
        "ATTRIBUTION.md",
        "names author, licence, package and source of every one, and what was changed.",
        "",
        "- GNU General Public License, versions 2 and 3: texts in licences/GPL-2.txt and licences/GPL-3.txt; a `+`",
        "  means: or any later version. The originals of these works lie in the Debian source packages that",
        "  ATTRIBUTION.md names (https://snapshot.debian.org keeps every version).",
        "- FAL-1.3: Free Art License 1.3, https://artlibre.org/licence/lal/en/",
        "- Creative Commons: https://creativecommons.org/licenses/by-sa/3.0/, /by/3.0/, and likewise for the others;",
        "  CC0-1.0: https://creativecommons.org/publicdomain/zero/1.0/",
        "",
        "For evaluation only: no weight that ships may learn from anything in this package. It is no part of the",
        "program, which is under Apache-2.0 and runs without it.",
        "",
        "Scenes that are mixed from these recordings and pictures hold works under licences that do not go together",
        "(GPL-2 without a later version, and GPL-3). Make them and measure on them as you like, but pass on no",
        "rendered scene, and no report with its sound or pictures, without looking at what is in it.",
        "",
        "| licence | recordings | pictures |",
        "|---|---|---|",
        *[f"| {name} | {of_sounds[name]} | {of_pictures[name]} |" for name in names],
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with one_sentence():
        main()
