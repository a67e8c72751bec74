from fractions import Fraction as F

import av
import numpy as np
import pytest

import clips
from reasound.errors import UserError
from reasound.media.mux import check, mux
from reasound.media.video import Clip
from reasound.timeline import samples


def sound_for(clip, frequency=1000.0):
    return clips.sine(float(clip.seconds) + 1, frequency)[:, : samples(clip.seconds)]


def packets(path, kind="video", index=0):
    """(seconds from the first shown, bytes) of every packet."""
    with av.open(path) as file:
        stream = [s for s in file.streams if s.type == kind][index]
        found = [(p.pts, p.time_base, bytes(p)) for p in file.demux(stream) if p.size]
        first = min(pts for pts, _, _ in found)
        return [(float((pts - first) * base), content) for pts, base, content in found]


def tone(audio):
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    return np.argmax(spectrum) * 44_100 / len(audio)


@pytest.mark.parametrize(
    "seconds, fps", [(F(2, 5), 25), (F(1), 30), (F(1001, 200), F(30000, 1001)), (F(1, 25), 25)]
)
def test_sound_is_as_long_as_the_picture(tmp_path, seconds, fps):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", seconds=seconds, fps=fps, size=(64, 48)))
    mux(clip, sound_for(clip), tmp_path / "out.mp4")
    with av.open(tmp_path / "out.mp4") as file:
        sound = file.streams.audio[0]
        assert sound.codec_context.sample_rate == 44_100
        assert sound.time_base == F(1, 44_100)
        assert (sound.start_time, sound.duration) == (0, samples(seconds))
    assert clips.durations(tmp_path / "out.mp4") == pytest.approx([float(seconds)] * 2, abs=1 / 44_100)
    assert Clip.open(tmp_path / "out.mp4").seconds == seconds


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_sound_starts_with_the_first_frame(tmp_path, suffix):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", size=(64, 48), shift=F(1, 2)))
    click = np.zeros((2, samples(clip.seconds)), np.float32)
    click[:, 20_000:20_032] = np.hanning(32)
    mux(clip, click, tmp_path / f"out{suffix}")
    heard = Clip.open(tmp_path / f"out{suffix}").audio()
    shift = np.argmax(np.correlate(heard[0, 19_000:21_000], click[0, 19_900:20_100])) - 900
    assert abs(shift) <= (0 if suffix != ".mkv" else 23)  # Matroska rounds to 1 ms (44 samples)


@pytest.mark.parametrize("source", [".mp4", ".mkv", ".mov", ".ts"])
@pytest.mark.parametrize("options", [{"bf": "0"}, {"bf": "3"}])
def test_the_picture_is_copied_packet_by_packet(tmp_path, source, options):
    import av

    path = tmp_path / f"c{source}"
    with av.open(path, "w") as file:
        stream = file.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for k in range(30):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(clips.ball(k / 25, 64, 48), format="rgb24")))
        file.mux(stream.encode(None))
    clip = Clip.open(path)
    mux(clip, sound_for(clip), tmp_path / "out.mp4")
    made = Clip.open(tmp_path / "out.mp4")
    assert (made.seconds, made.frame_count, made.codec) == (clip.seconds, 30, "h264")
    before, after = packets(path), packets(tmp_path / "out.mp4")
    np.testing.assert_allclose([t for t, _ in after], [t for t, _ in before], atol=1e-3)
    if source in (".mp4", ".mov"):  # the others separate units by start codes, where mp4 gives lengths
        assert [content for _, content in after] == [content for _, content in before]
    for (_, a), (_, b) in zip(clip.frames(), made.frames(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rotation_and_variable_rate_are_kept(tmp_path):
    times = [F(0), F(1, 3), F(1, 2), F(7, 5)]
    clip = Clip.open(clips.write(tmp_path / "c.mp4", times=times, seconds=2, rotation=90, size=(64, 48)))
    mux(clip, sound_for(clip), tmp_path / "out.mp4")
    made = Clip.open(tmp_path / "out.mp4")
    assert (made.rotation, made.width, made.height, made.seconds) == (90, 48, 64, 2)
    np.testing.assert_allclose(made.times(), [float(t) for t in times], atol=1e-4)


def test_colour_is_kept(tmp_path):
    path = tmp_path / "c.mp4"
    with av.open(path, "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, 16, 9, 1
        file.mux(stream.encode(av.VideoFrame.from_ndarray(clips.ball(0, 64, 48), format="rgb24")))
        file.mux(stream.encode(None))
    clip = Clip.open(path)
    mux(clip, sound_for(clip), tmp_path / "out.mp4")

    def colour(name):
        with av.open(name) as file:
            c = file.streams.video[0].codec_context
            return c.color_primaries, c.color_trc, c.colorspace, c.color_range

    assert colour(tmp_path / "out.mp4") == colour(path) == (9, 16, 9, 1)


def test_the_same_input_is_the_same_bytes(tmp_path):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", seconds=0.6, size=(64, 48), audio=clips.sine(0.6, 300)))
    for original in ("drop", "under", "keep"):
        mux(clip, sound_for(clip), tmp_path / "a.mp4", original)
        mux(clip, sound_for(clip), tmp_path / "b.mp4", original)
        assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_the_original_is_dropped_or_put_under_ours(tmp_path):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", size=(64, 48), audio=clips.sine(2, 300, level=-6)))
    ours = clips.sine(2, 1000, level=-6)
    levels = {}
    for original in ("drop", "under"):
        mux(clip, ours, tmp_path / "out.mp4", original, original_gain=-20)
        spectrum = np.abs(np.fft.rfft(Clip.open(tmp_path / "out.mp4").audio()[0, :44_100]))
        levels[original] = 20 * np.log10(spectrum[300] / spectrum[1000])
    assert levels["drop"] < -60
    assert levels["under"] == pytest.approx(-20, abs=0.5)


def test_ours_and_the_original_do_not_clip(tmp_path):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", size=(64, 48), audio=clips.sine(2, 1000, level=0)))
    mux(clip, clips.sine(2, 1000, level=-0.1), tmp_path / "out.mp4", "under", original_gain=0)
    assert np.abs(Clip.open(tmp_path / "out.mp4").audio()).max() < 1.02


@pytest.mark.parametrize("codec, kept", [("aac", "aac"), ("pcm_s16le", "aac"), ("libmp3lame", "mp3float")])
def test_the_original_is_kept_as_a_second_track(tmp_path, codec, kept):
    path = clips.write(tmp_path / "c.mov", size=(64, 48), audio=clips.sine(3, 300), audio_codec=codec)
    clip = Clip.open(path)
    mux(clip, sound_for(clip), tmp_path / "out.mp4", "keep")
    with av.open(tmp_path / "out.mp4") as file:
        ours, original = file.streams.audio
        assert original.codec_context.name == kept
        assert float(original.duration * original.time_base) == pytest.approx(2, abs=0.03)
        heard = [
            np.concatenate([f.to_ndarray()[0] for f in _decoded(tmp_path / "out.mp4", s)]) for s in (0, 1)
        ]
    assert tone(heard[0][4410:48510]) == pytest.approx(1000, abs=2)
    assert tone(heard[1][4410:48510]) == pytest.approx(300, abs=2)
    if codec == kept:
        assert [c for _, c in packets(tmp_path / "out.mp4", "audio", 1)] == [
            c for t, c in packets(path, "audio") if t < 2 + 1024 / 44_100
        ]


def _decoded(path, index):
    with av.open(path) as file:
        yield from file.decode(audio=index)


def test_picture_and_sound_lie_side_by_side(tmp_path):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", seconds=2.4, size=(64, 48)))
    mux(clip, sound_for(clip), tmp_path / "out.mp4")
    with av.open(tmp_path / "out.mp4") as file:
        order = sorted((p.pos, p.stream.type, float(p.dts * p.time_base)) for p in file.demux() if p.size)
    for (_, kind, time), (_, other, then) in zip(order, order[1:], strict=False):
        assert kind == other or abs(time - then) < 1.1


@pytest.mark.parametrize(
    "name, original, sentence",
    [
        ("out.wav", "drop", "must end in .mp4"),
        ("nowhere/out.mp4", "drop", "there is no folder .*nowhere"),
        ("out.mp4", "keep", "has no sound of its own"),
        ("out.mp4", "loud", "dropped, kept or put under"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_work(tmp_path, name, original, sentence):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", seconds=0.2, size=(64, 48)))
    for refuse in (check, lambda c, o, how: mux(c, sound_for(c), o, how)):
        with pytest.raises(UserError, match=sentence):
            refuse(clip, tmp_path / name, original)
    assert [p.name for p in tmp_path.iterdir()] == ["c.mp4"]


def test_a_picture_that_mp4_cannot_hold_names_a_file_that_can(tmp_path):
    clip = Clip.open(clips.write(tmp_path / "c.webm", codec="libvpx", seconds=0.4, size=(64, 48)))
    with pytest.raises(
        UserError, match=r"\.mp4 files cannot hold the picture of c.webm \(vp8\); write to a .mov"
    ):
        check(clip, tmp_path / "out.mp4")
    mux(clip, sound_for(clip), tmp_path / "out.mkv")
    assert Clip.open(tmp_path / "out.mkv").seconds == clip.seconds


def test_an_avi_without_presentation_times_is_refused(tmp_path):
    path = clips.write(tmp_path / "c.avi", seconds=1, size=(64, 48), options={"bf": "2"})
    with pytest.raises(UserError, match="does not say when each frame is shown"):
        check(Clip.open(path), tmp_path / "out.mp4")


@pytest.mark.parametrize("wrong", [-1, 1, 1024])
def test_sound_of_another_length_is_refused(tmp_path, wrong):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", seconds=0.2, size=(64, 48)))
    with pytest.raises(ValueError, match="needs sound of shape"):
        mux(clip, np.zeros((2, samples(clip.seconds) + wrong), np.float32), tmp_path / "out.mp4")


def test_a_part_of_a_clip_is_refused(tmp_path):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", seconds=1, size=(64, 48))).cut(0, 0.5)
    with pytest.raises(ValueError, match="only a whole clip"):
        mux(clip, sound_for(clip), tmp_path / "out.mp4")


@pytest.mark.parametrize("room", [0, 500, 3000, 20_000])
def test_a_full_disk_leaves_nothing(tmp_path, room):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", seconds=1.5, size=(64, 48)))
    with clips.full_disk(room), pytest.raises(UserError, match="cannot write .*out.mp4"):
        mux(clip, sound_for(clip), tmp_path / "out.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["c.mp4"]


def test_an_interruption_leaves_the_old_file(tmp_path, monkeypatch):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", seconds=1, size=(64, 48)))
    (tmp_path / "out.mp4").write_text("old")

    def interrupted(packets, key):
        yield from [next(p) for p in packets[:1]]
        raise KeyboardInterrupt

    monkeypatch.setattr("reasound.media.mux.heapq.merge", lambda *packets, key: interrupted(packets, key))
    with pytest.raises(KeyboardInterrupt):
        mux(clip, sound_for(clip), tmp_path / "out.mp4")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.mp4", "out.mp4"]
    assert (tmp_path / "out.mp4").read_text() == "old"
