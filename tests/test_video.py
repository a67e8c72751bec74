import json
import os
from fractions import Fraction as F
from pathlib import Path

import numpy as np
import pytest

import clips
from reasound.errors import UserError
from reasound.media.video import Clip


def read_time(picture):
    """What `clips.counter` wrote, in seconds; the codec may be off by a grey level."""
    return (picture.mean() - 20) / 100


@pytest.mark.parametrize(
    "seconds, fps", [(F(1, 25), 25), (F(1, 10), 10), (F(2, 5), 5), (F(1001, 200), F(30000, 1001)), (F(3), 24)]
)
def test_a_clip_is_as_long_as_its_frames(tmp_path, seconds, fps):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", seconds=seconds, fps=fps, size=(64, 48)))
    assert clip.seconds == seconds
    assert clip.frame_count == round(seconds * fps)
    assert clip.fps == pytest.approx(float(fps))


def test_what_a_clip_says_about_itself(tmp_path):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", audio=clips.sine(2, rate=48_000), audio_rate=48_000))
    assert (clip.name, clip.width, clip.height, clip.rotation) == ("c.mp4", 160, 120, 0)
    assert (clip.codec, clip.pixel_format, clip.has_audio, clip.audio_rate) == (
        "h264",
        "yuv420p",
        True,
        48_000,
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_frames_follow_real_timestamps(tmp_path, suffix):
    times = [F(0), F(1, 3), F(1, 2), F(7, 5)]
    clip = Clip.open(clips.write(tmp_path / f"vfr{suffix}", clips.counter, times=times, seconds=F(9, 5)))
    assert float(clip.seconds) == pytest.approx(1.8, abs=1e-3)
    np.testing.assert_allclose(clip.times(), [float(t) for t in times], atol=6e-4)
    for rate in (8, 25, F(30000, 1001)):
        shown = list(clip.frames(rate))
        assert len(shown) == int(F(9, 5) * rate)
        for k, (time, picture) in enumerate(shown):
            assert time == float(k / F(rate))
            on_screen = max(t for t in times if t <= k / F(rate))
            assert read_time(picture) == pytest.approx(float(on_screen), abs=0.012)


def test_rounded_timestamps_do_not_show_a_frame_twice(tmp_path):
    # Matroska rounds 1/30 s to 33 ms and 2/30 s to 67 ms.
    clip = Clip.open(clips.write(tmp_path / "c.mkv", clips.counter, seconds=1, fps=30))
    pictures = [read_time(p) for _, p in clip.frames(30)]
    np.testing.assert_allclose(pictures, np.arange(30) / 30, atol=0.02)
    assert len({round(p, 2) for p in pictures}) == 30


MAPS = json.loads((Path(__file__).parent / "golden" / "preproc.json").read_text())["fps_filter"]["maps"]


def numbered(rate):
    """Pictures that hold their number as ten black or white squares in a row."""

    def picture(time, width, height):
        bits = [int(round(time * rate)) >> i & 1 for i in range(10)]
        return np.repeat(np.array(bits, np.uint8) * 255, 16)[None, :, None].repeat(16, 0).repeat(3, 2)

    return picture


def read_number(picture):
    return sum(1 << i for i in range(10) if picture[:, 16 * i + 4 : 16 * i + 12].mean() > 128)


@pytest.mark.parametrize("rate", sorted({name.split("->")[0] for name in MAPS}, key=F))
def test_nearest_frames_are_those_of_the_fps_filter(tmp_path, rate):
    count = MAPS[f"{rate}->8"]["n_in"]
    path = clips.write(
        tmp_path / "c.mp4", numbered(F(rate)), seconds=count / F(rate), fps=F(rate), size=(160, 16)
    )
    clip = Clip.open(path)
    assert clip.frame_count == count
    for out in (8, 25):
        recorded = MAPS[f"{rate}->{out}"]["idx"]
        seen = [read_number(p) for _, p in clip.frames(out, nearest=True, count=9 * out)]
        # FFmpeg drops up to three frames at the end; the last one stays on screen here.
        assert seen[: len(recorded)] == recorded
        assert len(seen) == 9 * out and seen == sorted(seen) and seen[-1] <= count - 1


def test_nearest_frames_follow_real_timestamps(tmp_path):
    # At 8 a second the pictures change half-way, at 1/16, 3/16, ... s: a frame that comes just then is too late.
    times = [F(0), F(1, 16) - F(1, 1000), F(3, 16), F(2, 5), F(7, 10), F(7, 10) + F(1, 30), F(1)]
    clip = Clip.open(clips.write(tmp_path / "vfr.mp4", clips.counter, times=times, seconds=F(5, 4)))
    for rate in (8, 25):
        seen = [read_time(picture) for _, picture in clip.frames(rate, nearest=True)]
        expected = [max(t for t in times if t < (k + F(1, 2)) / rate) for k in range(int(F(5, 4) * rate))]
        np.testing.assert_allclose(seen, [round(float(t), 2) for t in expected], atol=0.012)


def test_a_count_holds_the_last_frame_of_the_part(tmp_path):
    whole = Clip.open(clips.write(tmp_path / "c.mp4", clips.counter, seconds=2, fps=10))
    for nearest in (False, True):
        seen = list(whole.cut(0.5, 1).frames(10, nearest=nearest, count=8))
        np.testing.assert_allclose([t for t, _ in seen], np.arange(8) / 10)
        np.testing.assert_allclose(
            [read_time(p) for _, p in seen], [0.5, 0.6, 0.7, 0.8, 0.9, 0.9, 0.9, 0.9], atol=0.012
        )
        assert seen[4][1] is seen[7][1]
        assert len(list(whole.frames(10, nearest=nearest, count=3))) == 3


@pytest.mark.parametrize("asked", [{"nearest": True}, {"count": 3}, {"rate": 8, "count": 0}])
def test_a_choice_of_frames_that_makes_no_sense_is_refused(tmp_path, asked):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", seconds=0.2, size=(32, 32)))
    with pytest.raises(ValueError, match="give one|at least 1"):
        next(clip.frames(**asked))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_time_starts_at_the_first_frame(tmp_path, suffix):
    clip = Clip.open(clips.write(tmp_path / f"late{suffix}", clips.counter, seconds=1, shift=F(7, 2)))
    assert clip.seconds == 1
    assert clip.times()[0] == 0
    assert read_time(next(clip.frames(25))[1]) == pytest.approx(0, abs=0.012)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_pictures_stand_upright(tmp_path, degrees):
    def corner(time, width, height):
        picture = np.zeros((height, width, 3), np.uint8)
        picture[: height // 2, : width // 2] = 255
        return picture

    clip = Clip.open(clips.write(tmp_path / "r.mp4", corner, size=(64, 48), seconds=0.2, rotation=degrees))
    picture = next(clip.frames())[1]
    expected = np.rot90(corner(0, 64, 48), -degrees // 90)
    assert clip.rotation == degrees
    assert picture.shape == expected.shape == (clip.height, clip.width, 3)
    assert np.abs(picture.astype(int) - expected).mean() < 8


def test_a_mirrored_picture_is_mirrored_back(tmp_path):
    import av

    path = tmp_path / "m.mp4"
    left = np.zeros((48, 64, 3), np.uint8)
    left[:, :32] = 255
    with av.open(path, "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(0, hflip=True)
        file.mux(stream.encode(av.VideoFrame.from_ndarray(left, format="rgb24")))
        file.mux(stream.encode(None))
    picture = next(Clip.open(path).frames())[1]
    assert picture[:, :28].mean() < 10 and picture[:, 36:].mean() > 240


@pytest.mark.parametrize(
    "size, pixels, codec",
    [
        ((161, 121), "yuv444p", "libx264"),
        ((160, 120), "yuv420p10le", "libx264"),
        ((160, 120), "yuv420p", "libvpx-vp9"),
        ((160, 120), "rgb8", "gif"),
    ],
)
def test_odd_sizes_deep_colours_and_other_codecs(tmp_path, size, pixels, codec):
    suffix = {"libx264": ".mp4", "libvpx-vp9": ".webm", "gif": ".gif"}[codec]
    clip = Clip.open(clips.write(tmp_path / f"c{suffix}", size=size, pixels=pixels, codec=codec, seconds=0.4))
    assert clip.seconds == F(2, 5)
    for time, picture in clip.frames(25):
        drawn = clips.ball(time, *size)
        assert picture.shape == drawn.shape and picture.dtype == np.uint8
        assert np.abs(picture.astype(int) - drawn).mean() < (24 if codec == "gif" else 12)  # 256 colours


@pytest.mark.parametrize("frames_ahead", ["0", "2"])
def test_avi_files_keep_their_times(tmp_path, frames_ahead):
    # FFmpeg has no presentation times for H.264 in AVI: with B frames they must come from the order.
    path = clips.write(tmp_path / "c.avi", clips.counter, seconds=1, options={"bf": frames_ahead})
    clip = Clip.open(path)
    assert clip.seconds == 1
    np.testing.assert_allclose([read_time(p) for _, p in clip.frames(25)], np.arange(25) / 25, atol=0.012)


def test_pictures_become_smaller_but_never_larger(tmp_path):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", size=(160, 120), seconds=0.2, rotation=90))
    assert next(clip.frames(25, width=60))[1].shape == (80, 60, 3)
    assert next(clip.frames(25, width=1000))[1].shape == (160, 120, 3)


def test_a_cut_is_a_clip_of_its_own(tmp_path):
    sound = clips.sine(2)
    path = clips.write(tmp_path / "c.mp4", clips.counter, seconds=2, fps=10, audio=sound)
    whole = Clip.open(path)
    part = whole.cut(0.45, 1.25)
    assert part.seconds == F(4, 5)
    np.testing.assert_allclose(part.times(), [0, 0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75], atol=1e-9)
    seen = [read_time(p) for _, p in part.frames(10)]
    np.testing.assert_allclose(seen, [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1], atol=0.012)
    assert part.frame_count == len(list(part.frames())) == 9
    whole_sound = whole.audio()
    np.testing.assert_allclose(
        part.audio(), whole_sound[:, round(0.45 * 44100) :][:, : part.audio().shape[1]]
    )
    assert part.cut(0.25, 0.8).frame_count == 6
    assert whole.cut(0, float(whole.seconds)) == whole


def test_a_cut_far_into_a_file_shows_the_same_frames(tmp_path):
    def grey(time, width, height):
        return np.full((height, width, 3), 20 + round(time * 40), np.uint8)

    path = clips.write(tmp_path / "long.mp4", grey, seconds=5, fps=10, size=(32, 32), options={"g": "7"})
    seen = [(p.mean() - 20) / 40 for _, p in Clip.open(path).cut(3.95, 4.55).frames(10)]
    np.testing.assert_allclose(seen, [3.9, 4.0, 4.1, 4.2, 4.3, 4.4], atol=0.04)


@pytest.mark.parametrize("start, end", [(-1, 1), (0.5, 0.5), (1, 3), (float("inf"), 2), (float("nan"), 1)])
def test_a_cut_outside_the_clip_is_refused(tmp_path, start, end):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", size=(32, 32)))
    with pytest.raises(UserError, match=r"cannot cut .* from c.mp4, which lasts 2 s"):
        clip.cut(start, end)


def test_of_two_pictures_the_first_is_the_clip(tmp_path):
    clip = Clip.open(clips.write(tmp_path / "two.mp4", size=(64, 48), second_size=(128, 96), seconds=0.2))
    assert (clip.width, clip.height) == (64, 48)


@pytest.mark.parametrize("offset", [F(0), F(1, 4), F(-1, 4)])
def test_the_original_sound_is_aligned_with_the_picture(tmp_path, offset):
    click = np.zeros((1, 48_000), np.float32)
    click[0, 24_000] = 0.9
    path = tmp_path / "c.mkv"
    clips.write(
        path,
        seconds=1,
        shift=F(1),
        audio=click,
        audio_rate=48_000,
        audio_codec="pcm_s16le",
        audio_start=offset,
    )
    sound = Clip.open(path).audio()
    assert sound.shape == (2, 44_100) and sound.dtype == np.float32
    assert np.argmax(np.abs(sound[0])) == pytest.approx((0.5 + offset) * 44_100, abs=1)
    # A click through the narrower band of 44.1 kHz; on one side only, or halved, would be less.
    np.testing.assert_allclose(np.abs(sound).max(axis=1), 0.9 * 44.1 / 48, atol=0.05)


def test_a_clip_without_sound_has_none(tmp_path):
    assert Clip.open(clips.write(tmp_path / "c.mp4", seconds=0.2, size=(32, 32))).audio() is None


def test_damage_in_the_middle_keeps_the_rest(tmp_path):
    whole = clips.write(tmp_path / "c.mp4", seconds=2, options={"g": "10"})
    content = bytearray(whole.read_bytes())
    start = content.find(b"mdat") + 4
    middle = start + (len(content) - start) // 3
    content[middle : middle + 300] = os.urandom(300)
    (tmp_path / "damaged.mp4").write_bytes(content)
    clip = Clip.open(tmp_path / "damaged.mp4")
    pictures = list(clip.frames(25))
    assert clip.seconds == 2 and len(pictures) == 50
    last = pictures[-1][1].astype(int)
    assert np.abs(last - clips.ball(1.96, 160, 120)).mean() < 12


def bad_files(folder):
    good = clips.write(folder / "good.mp4", seconds=0.4, size=(64, 48))
    (folder / "text.mp4").write_text("This is a shopping list.\n" * 40)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "folder.mp4").mkdir()
    content = good.read_bytes()
    (folder / "no_index.mp4").write_bytes(content[: content.find(b"moov") - 8])
    clips.truncated(good, folder / "half_index.mp4", 0.95)
    clips.write_sound(folder / "sound.m4a", clips.sine(0.5))
    clips.write_sound(folder / "cover.mp3", clips.sine(0.5), codec="libmp3lame", cover=True)
    clips.write(folder / "still.png", codec="png", pixels="rgb24", seconds=F(1, 25))
    clips.write(folder / "raw.h264", seconds=0.4, size=(64, 48))
    clips.no_frames(folder / "no_frames.mp4")
    (folder / "unknown.mp4").write_bytes(content.replace(b"avc1", b"zzzz"))
    (folder / "list.m3u8").write_text("#EXTM3U\n#EXTINF:2,\ngood.mp4\n")


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    bad_files(folder)
    return folder


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("missing.mp4", "there is no file .*missing.mp4"),
        ("text.mp4", "not a media file"),
        ("empty.mp4", r"empty \(0 bytes\)"),
        ("folder.mp4", "is a folder"),
        ("no_index.mp4", "is cut off: its index is missing"),
        ("half_index.mp4", "is cut off|no frame"),
        ("sound.m4a", "no video stream"),
        ("cover.mp3", "no video stream"),
        ("still.png", "still picture"),
        ("raw.h264", "no timestamps"),
        ("no_frames.mp4", "no frame of .* can be decoded"),
        ("unknown.mp4", "in a format that cannot be decoded"),
        ("list.m3u8", "not a media file"),
    ],
)
def test_what_is_no_clip_gets_one_sentence(bad, name, sentence):
    with pytest.raises(UserError, match=sentence) as said:
        Clip.open(bad / name)
    assert name in str(said.value) and "\n" not in str(said.value)


def test_a_file_that_may_not_be_read_gets_one_sentence(tmp_path, monkeypatch):
    path = clips.write(tmp_path / "secret.mp4", seconds=0.2, size=(32, 32))

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)  # root may read everything, so chmod would not do
    with pytest.raises(UserError, match="cannot read .*secret.mp4: permission denied"):
        Clip.open(path)


@pytest.mark.parametrize("rate", [0, -25])
def test_an_impossible_rate_is_refused(tmp_path, rate):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", seconds=0.2, size=(32, 32)))
    with pytest.raises(ValueError, match="more than 0"):
        next(clip.frames(rate))


def test_the_ball_bounces_when_it_says_it_does():
    for time in clips.bounces(2.5):
        assert clips.ball_height(time) == pytest.approx(0, abs=1e-9)
        assert clips.ball_height(time - 0.05) > 0.02 < clips.ball_height(time + 0.05)
