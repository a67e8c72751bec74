"""The benchmark's material: what is held out, how it is read, and that it is what it says."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest

from reasound.checkpoints import catalog
from reasound.data.manifest import SHIPPABLE
from reasound.data.scenes.heldout import Heldout
from reasound.errors import UserError
from reasound.plan import Event, Plan
from reasound.synthesis.library import LibraryRenderer
from reasound.synthesis.match import Library


@pytest.fixture(scope="module")
def heldout():
    return Heldout.load()


def test_nothing_that_may_be_learned_from_is_in_it(heldout):
    learned = {r.id: r for r in Library.load().recordings if r.split != "test"}
    series = {r.series for r in learned.values() if not r.package.startswith("reasound")}
    for r in heldout.library.recordings:
        assert r.split == "test" and r.id not in learned and r.series not in series
        assert r.channels == 1 and r.seconds <= 8
    never = [r for r in heldout.library.recordings if r.licence_group not in SHIPPABLE]
    assert len(never) > 0.8 * len(heldout.library.recordings)
    assert {r.licence_group for r in never} == {"GPL", "FreeArt"}


def test_every_file_is_there_named_once_and_small(heldout):
    folder = heldout.library.folder
    listed = {r.file for r in heldout.library.recordings}
    assert listed == {f"audio/{f.name}" for f in (folder / "audio").iterdir()}
    shown = {f"sprites/{s.file.name}" for s in heldout.sprites}
    assert shown == {f"sprites/{f.name}" for f in (folder / "sprites").iterdir()}
    assert sum((folder / f).stat().st_size for f in listed) < 7e6
    assert sum((folder / f).stat().st_size for f in shown) < 1.5e6


def test_authors_and_licences_are_named(heldout):
    folder = heldout.library.folder
    text = (folder / "ATTRIBUTION.md").read_text()
    rows = [json.loads(line) for line in (folder / "sprites.jsonl").read_text().splitlines()]
    assert all(f"| {r.id} |" in text for r in heldout.library.recordings)
    for row in rows:
        assert f"| {row['file']} | {row['author']} | {row['licence']} |" in text
    used = {r.licence for r in heldout.library.recordings} | {row["licence"] for row in rows}
    table = (folder / "LICENSES.md").read_text()
    assert all(f"| {name} |" in table for name in used)
    assert "Version 2, June 1991" in (folder / "licences" / "GPL-2.txt").read_text()
    assert "Version 3, 29 June 2007" in (folder / "licences" / "GPL-3.txt").read_text()


def test_pictures_have_transparency_and_the_size_that_is_told(heldout):
    rows = [json.loads(line) for line in (heldout.library.folder / "sprites.jsonl").read_text().splitlines()]
    for sprite, row in zip(heldout.sprites, rows, strict=True):
        picture = sprite.picture
        assert picture.shape == (row["height"], row["width"], 4) and picture.dtype == np.uint8
        assert picture[..., 3].max() > 200 and picture[..., 3].min() < 50, sprite.label
    assert sprite.picture is picture and not picture.flags.writeable


def test_colours_are_in_the_order_of_the_rainbow(heldout):
    red = next(s for s in heldout.sprites if s.label == "sports car").picture
    colour = red[red[..., 3] > 250][:, :3].mean(0)
    assert colour[0] > 1.5 * colour[2]


def test_it_is_a_sound_library(heldout):
    name = "animal/dog"
    event = Event(id="dog", source="a dog", sound="a dog barks", sound_class=name, end=3, onsets=(0.5, 1.8))
    layers = LibraryRenderer(heldout.library).render(Plan(seconds=3, events=(event,)), 3, seed=0)
    ids = {r.id for r in heldout.library.recordings if r.sound_class == name}
    assert layers[0].recordings and set(layers[0].recordings) <= ids
    assert np.abs(layers[0].audio).max() > 0.01


def test_classes_pictures_and_recordings_go_together(heldout):
    classes = heldout.classes()
    assert len(classes) > 95 and list(classes) == sorted(set(classes))
    rng = np.random.default_rng(0)
    assert all(heldout.recording(name, rng).sound_class == name for name in classes)
    dogs = heldout.sprites_of("animal/dog")
    assert dogs and all(s.sound_class == "animal/dog" for s in dogs)
    assert heldout.sprites_of("vehicle/submarine") == ()
    assert sum(len(heldout.sprites_of(name)) for name in {s.sound_class for s in heldout.sprites}) == len(
        heldout.sprites
    )


def test_draws_are_even_and_the_same_for_a_seed(heldout):
    name = "animal/horse"
    takes = [r.id for r in heldout.library.recordings if r.sound_class == name]
    rng = np.random.default_rng(1)
    drawn = [heldout.recording(name, rng).id for _ in range(200 * len(takes))]
    again = np.random.default_rng(1)
    assert drawn[:20] == [heldout.recording(name, again).id for _ in range(20)]
    counts = [drawn.count(take) for take in takes]
    assert min(counts) > 140 and max(counts) < 260
    with pytest.raises(ValueError, match="submarine"):
        heldout.recording("vehicle/submarine", rng)


@pytest.fixture
def copy(heldout, tmp_path):
    for name in ("manifest.jsonl", "sprites.jsonl"):
        shutil.copyfile(heldout.library.folder / name, tmp_path / name)
    return tmp_path


def test_what_is_damaged_or_missing_is_told(copy, monkeypatch):
    (copy / "sprites").mkdir()
    cv2.imwrite(str(copy / "sprites" / "flat.png"), np.zeros((4, 4, 3), np.uint8))
    row = {"label": "a", "sound_class": "animal/dog", "file": "sprites/flat.png"}
    (copy / "sprites.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match="transparency"):
        _ = Heldout.load(copy).sprites[0].picture
    (copy / "sprites.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match="does not list pictures"):
        Heldout.load(copy)
    (copy / "sprites.jsonl").unlink()
    with pytest.raises(UserError, match="cannot read the pictures"):
        Heldout.load(copy)
    monkeypatch.setattr(catalog, "import_module", lambda name: _missing(name))
    with pytest.raises(UserError, match="pip install ./models/reasound-benchmark"):
        Heldout.load()


def _missing(name):
    raise ModuleNotFoundError(name)
