"""The manifest of the sound library: what it accepts, what it refuses, and that the shipped one may be shipped."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from reasound.checkpoints.catalog import sounds
from reasound.data.manifest import SHIPPABLE, Hit, Recording, check_ids, read_manifest, write_manifest
from reasound.data.measure import (
    attacks,
    block_levels,
    brightness,
    envelope,
    find_hits,
    loudness,
    swell,
    without_rumble,
)
from reasound.errors import UserError
from reasound.evaluation.tags import TAGS, heard

RATE = 44_100


def recording(**changes):
    fine = Recording(
        id="knock_1",
        file="audio/knock_1.ogg",
        captions=("a knock on wood",),
        sound_class="impact/wood",
        material="wood",
        kind="one_shot",
        seconds=1.0,
        rate=RATE,
        channels=1,
        hits=(Hit(0.0, 0.1, 0.9, -20.0),),
        loudness=-22.0,
        swell=3.0,
        brightness=900.0,
        quality=0.9,
        tags=("Knock",),
        licence="CC0-1.0",
        licence_group="CC0/PD",
        author="somebody",
        package="here",
        source_file="knock.wav",
        changes="unchanged copy",
        series="knocks",
        split="train",
    )
    return replace(fine, **changes)


def clicks(times, seconds=2.0, decay=0.05):
    """Noise bursts that begin at these times and die away."""
    n = round(seconds * RATE)
    out = np.zeros(n, np.float32)
    noise = np.random.default_rng(0).standard_normal(n).astype(np.float32)
    for t in times:
        at = round(t * RATE)
        out[at:] += 0.3 * noise[at:] * np.exp(-np.arange(n - at) / (decay * RATE)).astype(np.float32)
    return out[None]


def test_a_manifest_reads_back_what_was_written(tmp_path):
    rows = [recording(), recording(id="knock_2", captions=("two knocks", "knock knock"), hits=())]
    write_manifest(tmp_path / "manifest.jsonl", rows)
    assert read_manifest(tmp_path / "manifest.jsonl") == rows


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"kind": "loop"}, "kind"),
        ({"split": "dev"}, "split"),
        ({"captions": ()}, "caption"),
        ({"channels": 3}, "channels"),
        ({"quality": 1.5}, "quality"),
        ({"author": ""}, "author"),
        ({"hits": (Hit(0.5, 0.4, 0.9, -20.0),)}, "hits"),
        ({"hits": (Hit(0.0, 0.5, 1.9, -20.0),)}, "hits"),
    ],
)
def test_what_cannot_be_true_is_refused(change, word):
    with pytest.raises(ValueError, match=word):
        recording(**change)


def test_a_line_that_does_not_fit_is_named(tmp_path):
    path = tmp_path / "manifest.jsonl"
    good = recording().to_line()
    path.write_text(f"{good}\n{json.dumps({'id': 'x'})}\n")
    with pytest.raises(UserError, match="line 2"):
        read_manifest(path)
    path.write_text(f"{good}\n{good}\n")
    with pytest.raises(UserError, match="share the id"):
        read_manifest(path)
    with pytest.raises(UserError, match="cannot read"):
        read_manifest(tmp_path / "nothing.jsonl")


def test_a_series_stays_in_one_split():
    with pytest.raises(UserError, match="two splits"):
        check_ids([recording(), recording(id="knock_2", split="test")])


def test_attacks_are_found_to_the_millisecond():
    times = [0.2, 0.75, 1.4]
    found = attacks(envelope(clicks(times), RATE), 0.1) / 1000
    assert found == pytest.approx(times, abs=0.002)


def test_a_series_is_cut_between_its_hits():
    times = [0.2, 0.75, 1.4]
    hits = find_hits(clicks(times), RATE, "step", "repeated")
    assert [h.onset for h in hits] == pytest.approx(times, abs=0.002)
    for before, after in zip(hits, hits[1:], strict=False):
        assert before.onset < before.end <= after.start + 0.06 and after.start <= after.onset


def test_a_single_take_begins_at_its_first_strong_attack():
    audio = 0.02 * clicks([0.1]) + clicks([0.6])  # a faint rustle, then the hit
    (hit,) = find_hits(audio, RATE, "hit", "one_shot")
    assert hit.onset == pytest.approx(0.6, abs=0.002) and hit.start == 0.0


def test_calls_are_parted_by_silence_not_by_syllables():
    t = np.arange(3 * RATE) / RATE
    voiced = ((t > 0.3) & (t < 1.0)) | ((t > 1.8) & (t < 2.4))
    tremolo = 0.6 + 0.4 * np.sin(2 * np.pi * 7 * t)  # syllables
    audio = (0.5 * np.sin(2 * np.pi * 500 * t) * tremolo * voiced).astype(np.float32)[None]
    hits = find_hits(audio, RATE, "call", "repeated")
    assert [h.onset for h in hits] == pytest.approx([0.3, 1.8], abs=0.03)
    assert hits[0].end < hits[1].start + 0.2


def test_a_step_that_swells_begins_where_it_has_come_up():
    t = np.arange(RATE) / RATE
    swish = np.random.default_rng(0).standard_normal(RATE) * np.interp(t, [0.2, 0.4, 0.6, 0.9], [0, 1, 1, 0])
    audio = (0.16 * swish).astype(np.float32)[None] + clicks([0.5], 1.0)
    (hit,) = find_hits(audio, RATE, "step", "one_shot")
    assert 0.25 < hit.onset < 0.4
    (struck,) = find_hits(audio, RATE, "hit", "one_shot")
    assert struck.onset == pytest.approx(0.5, abs=0.03)


def test_offset_and_rumble_are_taken_out():
    t = np.arange(RATE) / RATE
    tone = 0.3 * np.sin(2 * np.pi * 200 * t)
    dirty = (0.2 + 0.3 * np.sin(2 * np.pi * 8 * t) + tone).astype(np.float32)[None]
    clean = without_rumble(dirty, RATE)[0]
    middle = slice(RATE // 10, -RATE // 10)
    assert np.abs(clean - tone)[middle].max() < 0.01


def test_levels_of_a_tone():
    t = np.arange(RATE) / RATE
    tone = (0.5 * np.sin(2 * np.pi * 1000 * t)).astype(np.float32)[None]
    # BS.1770: a 1 kHz tone is read 0.7 dB louder than its RMS, -9.0 dBFS.
    assert loudness(tone, RATE) == pytest.approx(-9.03 + 0.69, abs=0.1)
    assert block_levels(tone, RATE).max() == pytest.approx(-8.34, abs=0.2)
    assert brightness(tone, RATE) == pytest.approx(1000, rel=0.02)
    assert swell(np.tile(tone, 4), RATE) < 0.2
    halves = np.concatenate([tone, 0.1 * tone], 1)  # 20 dB apart, so 10 dB from their mean
    assert swell(halves, RATE) == pytest.approx(10, abs=1.0)


def test_every_class_has_tags_that_mean_it():
    assert len(TAGS) == 113 and all(TAGS.values())
    assert heard("animal/dog", ["Music", "Bark"]) and not heard("animal/dog", ["Meow"])
    with pytest.raises(ValueError, match="no class"):
        heard("animal/unicorn", ["Bark"])


def test_the_shipped_library_may_be_shipped():
    folder = sounds()
    rows = read_manifest(folder / "manifest.jsonl")
    assert len(rows) > 1000 and len({r.sound_class for r in rows}) >= 99
    assert {r.licence_group for r in rows} <= set(SHIPPABLE)
    assert not [r.id for r in rows if r.licence.startswith("GPL") and " or " not in r.licence]
    files = {f.name for f in (folder / "audio").iterdir()}
    assert files == {r.file.removeprefix("audio/") for r in rows}
    assert sum(f.stat().st_size for f in (folder / "audio").iterdir()) < 54e6
    attribution = (folder / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert not [r.id for r in rows if f"| {r.id} |" not in attribution]
    assert not {r.sound_class for r in rows} - TAGS.keys()


def test_shipped_files_are_what_the_manifest_says():
    folder = sounds()
    rows = read_manifest(folder / "manifest.jsonl")
    for r in rows[:: len(rows) // 40]:
        info = soundfile.info(folder / r.file)
        assert (info.samplerate, info.channels) == (r.rate, r.channels)
        assert info.frames / info.samplerate == pytest.approx(r.seconds, abs=1e-3)
