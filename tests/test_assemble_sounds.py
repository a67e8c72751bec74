"""Recordings assembled from packages: every kind of archive, every check, and what must not be trusted."""

import hashlib
import io
import json
import lzma
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from reasound.errors import UserError

RECIPES = Path(__file__).parents[1] / "recipes"


@pytest.fixture(scope="module", autouse=True)
def recipes():
    sys.path.insert(0, str(RECIPES))
    yield
    sys.path.remove(str(RECIPES))


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def beep(form, subtype, seconds=0.1, rate=8_000, channels=1):
    wave = 0.5 * np.sin(np.arange(int(seconds * rate)) * 0.3)
    file = io.BytesIO()
    soundfile.write(file, np.stack([wave] * channels, 1), rate, format=form, subtype=subtype)
    return file.getvalue()


def tar(files, mode="w", link=None):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as packed:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
            packed.addfile(info)
    return file.getvalue()


def deb(files, **more):
    """An `ar` archive of three members; the odd length of the second one needs a byte of padding."""
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": b"odd",
        "data.tar.xz": lzma.compress(tar(files, **more)),
    }
    packed = b"!<arch>\n"
    for name, content in members.items():
        packed += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        packed += content + b"\n" * (len(content) % 2)
    return packed


def zipped(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return file.getvalue()


def qt_resources(folder, name, content):
    """One folder with one compressed file, as version 1 of the format."""
    names, offsets = b"", []
    for text in (folder, name):
        offsets.append(len(names))
        names += struct.pack(">HI", len(text), 0) + text.encode("utf-16-be")
    squeezed = struct.pack(">I", len(content)) + zlib.compress(content)
    tree = struct.pack(">IHII", 0, 2, 1, 1)  # root: one child, the node 1
    tree += struct.pack(">IHII", offsets[0], 2, 1, 2)
    tree += struct.pack(">IHHHI", offsets[1], 1, 0, 0, 0)
    data = struct.pack(">I", len(squeezed)) + squeezed
    head = 20
    places = (1, head, head + len(tree), head + len(tree) + len(data))
    return b"qres" + struct.pack(">4i", *places) + tree + data + names


def openttd_sounds(*sounds):
    table, body = b"", b""
    for wav in sounds:
        table += struct.pack("<II", 8 * len(sounds) + len(body), len(wav))
        body += b"\x03ab\0" + wav
    return table + body


def read(tmp_path, content, *paths):
    from assembly.archives import read_files

    archive = tmp_path / "package"
    archive.write_bytes(content)
    return dict(read_files(archive, paths, tmp_path))


def test_files_are_read_out_of_every_kind_of_archive(tmp_path):
    files = {"./a/one": b"1", "./a/two": b"22", "./b": b"333"}
    assert read(tmp_path, deb(files), "a/two", "b", "c") == {"a/two": b"22", "b": b"333"}
    assert read(tmp_path, tar({"package/x": b"npm"}, "w:gz"), "package/x") == {"package/x": b"npm"}
    assert read(tmp_path, zipped({"pkg/x": b"pip"}), "pkg/x", "y") == {"pkg/x": b"pip"}
    assert read(tmp_path, qt_resources("src", "ä.wav", b"qt" * 9), "src/ä.wav") == {"src/ä.wav": b"qt" * 9}
    one, two = beep("WAV", "PCM_16"), beep("WAV", "PCM_16", 0.2)
    assert read(tmp_path, openttd_sounds(one, two), "01.wav") == {"01.wav": two}


def test_archives_inside_archives_are_read_and_leave_nothing_behind(tmp_path):
    inner = zipped({"s/x.wav": b"deep", "s/y.wav": b"not asked for"})
    found = read(tmp_path, deb({"./usr/data.zip": inner}), "usr/data.zip::s/x.wav", "usr/data.zip::s/z.wav")
    assert found == {"usr/data.zip::s/x.wav": b"deep"}
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "a\\..\\evil"])
def test_a_name_that_leads_out_of_an_archive_is_refused(tmp_path, name):
    for packed in (deb({name: b"1", "./good": b"2"}), zipped({name: b"1", "good": b"2"})):
        with pytest.raises(UserError, match="leads out of it"):
            read(tmp_path, packed, "good")


def test_links_and_damaged_archives_are_refused(tmp_path):
    with pytest.raises(UserError, match="linked in package is no plain file"):
        read(tmp_path, deb({}, link="linked"), "linked")
    whole = deb({"./a": bytes(range(256)) * 40})
    for broken in (whole[: len(whole) - 60], b"!<arch>\n", zipped({"a": b"1" * 99})[:40], b"qres", b"\x10"):
        with pytest.raises(UserError, match="damaged|no Debian package"):
            read(tmp_path, broken, "a")


@pytest.fixture
def library(tmp_path):
    """Three packages in a folder, and a manifest of what is in them, as (items, packages' folder)."""
    from assemble_sounds import read_items
    from assembly.contents import content_of, make, sketch
    from assembly.packages import Package

    ogg, wav, loud = beep("OGG", "VORBIS", 0.5), beep("WAV", "PCM_16", channels=2), beep("WAV", "PCM_24")
    mp3 = b"junk" + beep("MP3", "MPEG_LAYER_III", 1.0, 44_100)
    contents = {
        "dogs-data": deb({"./usr/dog.ogg": ogg, "./usr/pack.zip": zipped({"bell.wav": wav})}),
        "cats": zipped({"cats/cat.wav": loud}),
        "cows": tar({"package/cow.mp3": mp3}, "w:gz"),
    }
    folder, packages = tmp_path / "packages", {}
    folder.mkdir()
    for (name, content), kind in zip(contents.items(), ("debian", "pypi", "npm"), strict=True):
        (folder / f"some-{name}").write_bytes(content)
        packages[name] = Package(
            f"{name} 1",
            kind,
            name,
            "1",
            f"{name}.pkg",
            len(content),
            sha256(content),
            "usr/" * (kind == "debian"),
        )
    of = {"captions": ["x"], "class": "animal/x", "kind": "one_shot", "onsets": [0.0], "licence": "CC0-1.0"}
    of |= {"author": "A", "series": "s", "split": "train"}
    rows = [
        {"id": "dog", "package": "dogs-data", "file": "dog.ogg", "check": "bytes", "sha256": sha256(ogg)},
        {"id": "bell", "package": "dogs-data", "archive": "pack.zip", "file": "bell.wav", "check": "samples"}
        | {"sha256": sha256(wav)},
        {"id": "cat", "package": "cats", "file": "cats/cat.wav", "check": "samples", "sha256": sha256(loud)},
        {
            "id": "cow",
            "package": "cows",
            "file": "package/cow.mp3",
            "check": "close",
            "sha256": sha256(mp3),
            "skip": 4,
        },
    ]
    for row, source in zip(rows, (ogg, wav, loud, mp3), strict=True):
        if row["check"] != "bytes":
            values, row["decoded"] = content_of(make(row, source), picture=False)
            row["sketch"] = sketch(values)
    manifest = tmp_path / "sounds.jsonl"
    manifest.write_text("".join(json.dumps(of | row) + "\n" for row in rows))
    return read_items(manifest, packages), folder


def test_a_library_is_assembled_and_what_is_right_stays(tmp_path, library, capsys):
    from assemble_sounds import assemble

    items, folder = library
    out = tmp_path / "out"
    assert assemble(items, out, folder) == 0
    assert (
        "4 of 4 files: 1 equal byte for byte, 3 in every sample or pixel, 0 close; 0 missing"
        in capsys.readouterr().out
    )
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows] == [
        "audio/dog.ogg",
        "audio/bell.flac",
        "audio/cat.flac",
        "audio/cow.flac",
    ]
    assert [row["channels"] for row in rows] == [1, 2, 1, 1] and rows[0]["seconds"] == 0.5
    assert rows[1]["package"] == "dogs-data 1" and rows[1]["licence_group"] == "CC0/PD"
    bell, _ = soundfile.read(out / "audio/bell.flac", dtype="int16")
    assert np.array_equal(
        bell, soundfile.read(io.BytesIO(beep("WAV", "PCM_16", channels=2)), dtype="int16")[0]
    )

    (out / "audio/bell.flac").write_bytes(b"damaged")
    (folder / "some-cats").unlink()  # not needed again
    times = {path.name: path.stat().st_mtime_ns for path in (out / "audio").iterdir()}
    assert assemble(items, out, folder) == 0
    changed = {path.name for path in (out / "audio").iterdir() if path.stat().st_mtime_ns != times[path.name]}
    assert changed == {"bell.flac"}


def test_what_cannot_be_had_is_one_sentence_and_the_others_are_made(tmp_path, library, capsys, monkeypatch):
    from assemble_sounds import Item, assemble

    items, folder = library
    monkeypatch.setenv("PATH", str(tmp_path))  # no apt-get, no npm
    (folder / "some-dogs-data").unlink()
    (folder / "cows.pkg").write_bytes((folder / "some-cows").read_bytes() + b"more")
    (folder / "some-cows").unlink()
    wrong = Item(items[2].row | {"id": "b", "sha256": "0" * 64}, items[2].package, "audio/b.flac")
    absent = Item(items[2].row | {"id": "c", "file": "cats/none.wav"}, items[2].package, "audio/c.flac")
    other = Item(items[2].row | {"id": "d", "decoded": "0" * 64}, items[2].package, "audio/d.flac")
    out = tmp_path / "out"
    assert assemble([*items, wrong, absent, other], out, folder) == 6
    said = capsys.readouterr().out
    assert "dogs-data 1 is not there, and neither is apt-get to fetch it; put a file with sha256" in said
    assert "cows.pkg is not the file of cows 1 that the manifest names; remove it" in said
    assert "cats/cat.wav in cats is not the file that the manifest names" in said
    assert "cats/none.wav is not in cats 1" in said
    assert "audio/d.flac did not become what the manifest says" in said
    assert [path.name for path in (out / "audio").iterdir()] == ["cat.flac"]
    assert len((out / "manifest.jsonl").read_text().splitlines()) == 1


def test_a_client_that_fails_or_gives_another_file_is_told(tmp_path, library, monkeypatch):
    from assembly.packages import obtain

    items, folder = library
    (folder / "some-dogs-data").unlink()
    client = tmp_path / "apt-get"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    client.write_text("#!/bin/sh\necho \"E: Version '1' was not found\" >&2\nexit 100\n")
    client.chmod(0o755)
    with pytest.raises(UserError, match="apt-get does not give dogs-data 1 .*was not found.*; put a file"):
        obtain(items[0].package, folder)
    client.write_text("#!/bin/sh\necho other > other.deb\n")
    with pytest.raises(UserError, match="another file for dogs-data 1"):
        obtain(items[0].package, folder)


def test_close_is_measured_without_the_sound_itself():
    from assembly.contents import closeness, judge, make, sketch

    noise = np.random.default_rng(0).normal(0, 3000, (20_000, 1))
    ours = sketch(noise)
    for change, least, most in ((0.3, 0.999, 1.0), (3000, -1, 0.8)):
        other = noise + np.random.default_rng(1).normal(0, change, noise.shape)
        assert least < closeness(ours, sketch(other)) <= most
    assert closeness(ours, sketch(np.roll(noise, 1))) < 0.5

    wav = beep("WAV", "PCM_16", 1.0)
    row = {
        "file": "x.wav",
        "package": "p",
        "check": "close",
        "sha256": sha256(wav),
        "decoded": "of another decoder",
    }
    made = make(row, wav)
    samples = soundfile.read(io.BytesIO(wav), dtype="int16", always_2d=True)[0]
    assert judge(row | {"sketch": sketch(samples)}, made) == "close"
    assert judge(row | {"sketch": sketch(-samples)}, made) is None
    assert judge(row | {"sketch": sketch(samples)}, b"no sound") is None


def test_pictures_are_cropped_to_what_is_visible_and_made_smaller():
    image = pytest.importorskip("PIL.Image")
    from assembly.contents import content_of, cut_out

    canvas = image.new("RGBA", (700, 400), (9, 9, 9, 12))  # so faint that it counts as nothing
    canvas.paste((200, 0, 0, 255), (100, 50, 612, 306))
    file = io.BytesIO()
    canvas.save(file, "PNG")
    pixels, _ = content_of(cut_out(file.getvalue(), drawn=False), picture=True)
    assert pixels.shape == (128, 256, 4)
    assert np.allclose(pixels[64, 128], (0, 0, 200, 255))


def test_the_manifest_in_the_repository_is_whole():
    """Every row has what rebuilds it, and names a package, a known licence and an id of its own."""
    from assemble_sounds import HERE, chosen, read_items
    from assembly.packages import read_packages

    packages = read_packages(HERE / "assembly" / "packages.json")
    sounds = read_items(HERE / "sounds.jsonl", packages)
    pictures = read_items(HERE / "assembly" / "sprites.jsonl", packages)
    assert (len(sounds), len(pictures)) == (1922, 149)
    files = [item.file for item in sounds + pictures]
    assert len(set(files)) == len(files)
    for item in sounds + pictures:
        assert item.row["author"] and len(item.row["sha256"]) == 64
        assert item.row["check"] == "bytes" or len(item.row["decoded"]) == 64
        assert ("sketch" in item.row) == (item.row["check"] == "close")
    splits = {}
    for item in sounds:
        assert splits.setdefault(item.row["series"], item.row["split"]) == item.row["split"]
    assert {item.package.name for item in chosen(sounds, ["sonic-pi-samples"])} == {"sonic-pi-samples"}
    assert {item.row["class"].split("/")[0] for item in chosen(sounds, ["animal"])} == {"animal"}
    with pytest.raises(UserError, match="'animals'"):
        chosen(sounds, ["animals"])


def test_a_manifest_that_leads_out_of_the_library_is_refused(tmp_path, library):
    from assemble_sounds import read_items

    row = library[0][0].row | {"id": "../evil"}
    (tmp_path / "bad.jsonl").write_text(json.dumps(row))
    with pytest.raises(UserError, match="leads out of the library"):
        read_items(tmp_path / "bad.jsonl", {row["package"]: library[0][0].package})
