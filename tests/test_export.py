"""What other tools take: Broadcast Wave files that sum, markers at the hits, nothing half-written."""

import csv
import re
import struct
import sys
import warnings
from dataclasses import replace
from fractions import Fraction

import numpy as np
import opentimelineio as otio
import pytest
import soundfile
from typer.testing import CliRunner

from reasound import Clip, Output, Reasound, foley
from reasound.cli import app
from reasound.errors import UserError
from reasound.export import bwf, edl, reaper
from reasound.export.delivery import KINDS, clock, deliver
from reasound.plan import Ambience, Event, Plan
from reasound.stages.desk import changed
from reasound.take import Take


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    clip = Clip.open("examples/drop.mp4")
    seconds = float(clip.seconds)
    events = (
        Event(
            id="dog",
            source="a dog",
            sound="a dog barks",
            sound_class="animal/dog",
            end=seconds,
            onsets=(0.5, 1.2),
        ),
        Event(
            id="car", source="a car", sound="a car runs", sound_class="vehicle/car", start=0.2, end=seconds
        ),
    )
    plan = Plan(
        seconds=seconds,
        events=events,
        ambience=(Ambience(id="rain", sound="rain", sound_class="weather/rain"),),
    )
    output = Output.named(tmp_path_factory.mktemp("made") / "scene")
    take = foley(Reasound(), clip, plan=plan)
    take.save(output, clip)
    return Take.load(output.take), clip, output


def chunks(path):
    """{name: content} of a RIFF file, in order: read independently of what wrote it."""
    data = path.read_bytes()
    assert data[:4] == b"RIFF" and struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    found, at = {}, 12
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 4)[0]
        found[data[at : at + 4]] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    assert at == len(data)
    return found


def test_stems_are_48_khz_24_bit_and_sum_to_the_mix(made, tmp_path):
    take, clip, _ = made
    files = deliver(take, clip, tmp_path, ["mix", "stems"], name="scene")
    assert [f.name for f in files] == ["scene-mix.wav", *(f"scene-{x.name}.wav" for x in take.layers)]
    sounds = []
    for file in files:
        about = soundfile.info(file)
        assert (about.samplerate, about.subtype, about.channels) == (48_000, "PCM_24", 2)
        assert about.frames == round(Fraction(take.audio.shape[1], 44_100) * 48_000)
        sounds.append(soundfile.read(file)[0])
    assert np.abs(sounds[0] - sum(sounds[1:])).max() < 1e-5  # -100 dBFS


def test_bext_says_when_by_whom_and_how_loud(made, tmp_path):
    take, clip, _ = made
    (path,) = deliver(take, clip, tmp_path, ["mix"], name="scene", start=Fraction(3600))
    bext = chunks(path)[b"bext"]
    assert bext[:10] == b"scene: mix" and bext[256:264] == b"Reasound"
    assert bext[288 : 288 + 21].decode() == f"reasound-{take.id}"
    time, version = struct.unpack_from("<QH", bext, 338)
    assert (time, version) == (3600 * 48_000, 2)
    loud, _, peak, _, _ = struct.unpack_from("<5h", bext, 412)
    assert loud / 100 == pytest.approx(take.mix.loudness, abs=0.006)
    assert peak / 100 == pytest.approx(take.mix.true_peak, abs=0.006)
    assert bext[602:].startswith(b"A=PCM,F=48000,W=24") and b"trainedAlgorithmicMedia" in bext[602:]
    assert b"Generated sound" in chunks(path)[b"LIST"]


def test_sound_before_the_picture_begins_earlier(made, tmp_path):
    take, clip, _ = made
    early = replace(take, before=Fraction(1, 2))
    with pytest.raises(UserError, match="give a later start"):
        deliver(early, clip, tmp_path, ["mix"])
    (path,) = deliver(early, clip, tmp_path, ["mix"], start=Fraction(10))
    assert struct.unpack_from("<Q", chunks(path)[b"bext"], 338)[0] == 9.5 * 48_000
    (table,) = deliver(early, clip, tmp_path, ["markers"], start=Fraction(10))
    assert "\t0:00:10.000\t" in table.read_text(
        "utf-8"
    )  # the hit at .5 s of the sound is on the first picture


def test_a_muted_layer_is_left_out_and_gain_is_in_the_stem(made, tmp_path):
    take, clip, _ = made
    other = changed(changed(take, "car", mute=True), "dog", gain=-6.0)
    names = [f.name for f in deliver(other, clip, tmp_path, ["stems"], name="x")]
    assert names == ["x-dog.wav", "x-rain.wav"]
    old = deliver(take, clip, tmp_path, ["stems"], name="y")
    ratio = soundfile.read(tmp_path / "x-dog.wav")[0].std() / soundfile.read(old[0])[0].std()
    assert 20 * np.log10(ratio) == pytest.approx(-6, abs=0.05)


def test_markers_are_at_the_hits(made, tmp_path):
    take, clip, _ = made
    (path,) = deliver(take, clip, tmp_path, ["markers"], start=Fraction(3600))
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines(), delimiter="\t"))
    assert [(r["Name"], r["Start"]) for r in rows] == [
        ("car", "1:00:00.200"),
        ("dog", "1:00:00.500"),
        ("dog", "1:00:01.200"),
    ]
    assert rows[0]["Duration"] != "0:00:00.000" and rows[1]["Duration"] == "0:00:00.000"


def test_the_video_has_the_same_picture(made, tmp_path):
    take, clip, output = made
    (path,) = deliver(take, clip, tmp_path, ["video"], name="film")
    assert Clip.open(path).stamps[-1] - Clip.open(path).stamps[0] == clip.stamps[-1] - clip.stamps[0]
    assert Clip.open(path).has_audio
    with pytest.raises(UserError, match="sound alone"):
        deliver(take, None, tmp_path, ["video"])


@pytest.mark.parametrize("kinds, said", [(["wax"], "'wax' cannot be delivered"), ([], "nothing was asked")])
def test_what_cannot_be_delivered_is_said(made, tmp_path, kinds, said):
    with pytest.raises(UserError, match=said):
        deliver(made[0], made[1], tmp_path, kinds)
    assert not list(tmp_path.iterdir())


def test_the_same_take_gives_the_same_bytes(made, tmp_path):
    take, clip, _ = made
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        deliver(take, clip, tmp_path / name, ["mix", "stems", "markers", "plan"])
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_silence_and_long_words_fit(tmp_path):
    bwf.write(tmp_path / "s.wav", np.zeros((2, 481), np.float32), bwf.About("ü" * 400))
    bext = chunks(tmp_path / "s.wav")[b"bext"]
    assert bext[:256] == b"?" * 256 and struct.unpack_from("<h", bext, 412)[0] == bwf.UNKNOWN


def test_clock():
    assert [clock(x) for x in (0, 59.9996, 3661.5)] == ["0:00:00.000", "0:01:00.000", "1:01:01.500"]


def test_the_command(made, tmp_path):
    *_, output = made
    done = CliRunner().invoke(app, ["export", str(output.take), "-o", str(tmp_path / "d")])
    assert done.exit_code == 0, done.output
    names = {p.name for p in (tmp_path / "d").iterdir()}
    assert {"scene.mp4", "scene-mix.wav", "scene-markers.csv", "scene-plan.json"} < names and len(KINDS) == 8
    for arguments, said in (
        (["-o", str(tmp_path / "d")], "exists already"),
        (["-o", str(tmp_path / "e"), "--as", "wax"], "cannot be delivered"),
        (["-o", str(tmp_path / "e"), "--start", "25:00:00"], "time of day"),
        (["-o", str(tmp_path / "no" / "e")], "does not exist"),
    ):
        done = CliRunner().invoke(app, ["export", str(output.take), *arguments])
        assert done.exit_code != 0 and said in str(done.exception or "") + done.output
    assert not (tmp_path / "e").exists() and {p.name for p in tmp_path.iterdir()} == {"d"}


@pytest.mark.parametrize(
    "seconds, rate, wanted",
    [
        (0, 25, "00:00:00:00"),
        (3599.96, 25, "00:59:59:24"),
        (60, Fraction(30000, 1001), "00:00:59;28"),
        (Fraction(1800 * 1001, 30000), Fraction(30000, 1001), "00:01:00;02"),
        (Fraction(1799 * 1001, 30000), Fraction(30000, 1001), "00:00:59;29"),
        (Fraction(17982 * 1001, 30000), Fraction(30000, 1001), "00:10:00;00"),
        (3600, Fraction(30000, 1001), "01:00:00;00"),
        (1001, Fraction(24000, 1001), "00:16:40:00"),
    ],
)
def test_timecode_goes_with_the_clock(seconds, rate, wanted):
    assert edl.timecode(Fraction(seconds).limit_denominator(10**6), Fraction(rate)) == wanted


def test_every_drop_frame_number_is_another_and_none_is_left_out_twice():
    rate = Fraction(30000, 1001)
    codes = [edl.timecode(Fraction(k) / rate, rate) for k in range(2 * 17982 + 10)]
    assert len(set(codes)) == len(codes) == len(sorted(codes)) and codes == sorted(codes)
    assert not [c for c in codes if c.endswith(("00;00", "00;01")) and c[3:5][1] != "0"]


def test_an_edl_is_read_by_another_program(made, tmp_path):
    take, clip, _ = made
    files = deliver(take, clip, tmp_path, ["edl"], name="scene", start=Fraction(3600))
    names = {f.name for f in files}
    assert names == {"scene.edl", *(f"scene-{x.name}.wav" for x in take.layers)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = otio.adapters.read_from_string((tmp_path / "scene.edl").read_text(), "cmx_3600", rate=clip.fps)
    found = [c.name for track in read.tracks for c in track if isinstance(c, otio.schema.Clip)]
    assert sorted(found) == sorted(f"scene-{x.name}.wav" for x in take.layers)


def test_a_reaper_project_names_files_that_are_there(made, tmp_path):
    take, clip, _ = made
    deliver(take, clip, tmp_path, ["reaper"], name="scene")
    text = (tmp_path / "scene.rpp").read_text("utf-8")
    assert text.count("<") == sum(line.strip() == ">" for line in text.splitlines())
    files = re.findall(r'FILE "([^"]+)"', text)
    assert len(files) == 1 + len(take.layers) and all((tmp_path / f).is_file() for f in files)
    times = [float(t) for t in re.findall(r"MARKER \d+ ([\d.]+)", text)]
    assert times == [0.2, 0.5, 1.2]
    assert (
        reaper.text([reaper.Item('say "it\'s"', "a.wav", Fraction(1))], [], Fraction(0), 48_000).count("`")
        == 2
    )


def test_an_otio_timeline_has_picture_stems_and_markers(made, tmp_path):
    take, clip, _ = made
    pad = ((0, 0), (22_050, 0))
    layers = tuple(replace(x, audio=np.pad(x.audio, pad)) for x in take.layers)
    early = replace(take, before=Fraction(1, 2), audio=np.pad(take.audio, pad), layers=layers)
    deliver(early, clip, tmp_path, ["otio"], name="scene", start=Fraction(3600))
    read = otio.adapters.read_from_file(str(tmp_path / "scene.otio"))
    assert read.global_start_time.to_seconds() == pytest.approx(3599.5, abs=0.03)
    (picture,), stems = read.video_tracks(), read.audio_tracks()
    assert [type(x).__name__ for x in picture] == ["Gap", "Clip"] and len(stems) == len(take.layers)
    for track in (picture, *stems):
        found = next(x for x in track if isinstance(x, otio.schema.Clip))
        assert (tmp_path / found.media_reference.target_url).is_file()
    times = [m.marked_range.start_time.to_seconds() for m in read.tracks.markers]
    assert times == pytest.approx([0.2, 0.5, 1.2], abs=0.03)


def test_without_its_library_otio_is_one_sentence(made, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentimelineio", None)
    with pytest.raises(UserError, match=r"reasound\[bridges\]"):
        deliver(made[0], made[1], tmp_path, ["otio"])
