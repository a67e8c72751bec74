import numpy as np
import pytest
import soundfile

import clips
from reasound.errors import UserError
from reasound.media import audio


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_sound_comes_back_to_24_bits(tmp_path, suffix):
    sound = clips.sine(0.3, 1000)
    audio.write(tmp_path / f"a{suffix}", sound)
    back, rate = audio.read(tmp_path / f"a{suffix}")
    assert rate == 44_100 and back.shape == sound.shape and back.dtype == np.float32
    assert np.abs(back - sound).max() <= 2**-23


@pytest.mark.parametrize("name, subtype", [("a.wav", "PCM_24"), ("a.wav", "FLOAT"), ("a.flac", "PCM_24")])
def test_the_same_sound_is_the_same_bytes_at_any_time(tmp_path, monkeypatch, name, subtype):
    sound = clips.sine(0.1)
    audio.write(tmp_path / name, sound, subtype=subtype)
    first = (tmp_path / name).read_bytes()
    assert first.count(b"PEAK") == (subtype == "FLOAT")  # the chunk that holds the time of writing is there
    stamp = first.find(b"PEAK") + 12
    assert subtype != "FLOAT" or first[stamp : stamp + 4] == bytes(4)
    audio.write(tmp_path / name, sound, subtype=subtype)
    assert (tmp_path / name).read_bytes() == first


def test_what_is_above_full_scale_is_clipped_and_does_not_wrap(tmp_path):
    audio.write(tmp_path / "a.wav", np.full((2, 10), 1.5, np.float32))
    assert audio.read(tmp_path / "a.wav")[0].min() > 0.99


@pytest.mark.parametrize("codec, suffix", [("aac", ".m4a"), ("libmp3lame", ".mp3"), ("libopus", ".opus")])
def test_other_formats_are_read(tmp_path, codec, suffix):
    rate = 48_000
    clips.write_sound(tmp_path / f"a{suffix}", clips.sine(1, 440, rate), rate, codec)
    sound, found = audio.read(tmp_path / f"a{suffix}")
    assert found == rate and sound.shape[0] == 2
    middle = sound[0, 12_000:36_000]
    peak = np.argmax(np.abs(np.fft.rfft(middle))) * rate / len(middle)
    assert peak == pytest.approx(440, abs=2.5)
    assert np.abs(middle).max() == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("rate, to", [(48_000, 44_100), (22_050, 44_100), (44_100, 16_000), (11_025, 48_000)])
def test_resampling_keeps_a_tone(rate, to):
    sound = clips.sine(1.0, 997, rate, level=-6)
    out = audio.resample(sound, rate, to)
    assert out.shape == (2, to) and out.dtype == np.float32
    expected = clips.sine(1.0, 997, to, level=-6)
    inner = slice(to // 20, -to // 20)
    assert np.abs(out - expected)[:, inner].max() < 2e-4


@pytest.mark.parametrize("shape", [(100,), (1, 1), (3, 0), (2, 2, 50)])
def test_resampling_keeps_the_leading_axes(shape):
    out = audio.resample(np.ones(shape, np.float32), 22_050, 44_100)
    assert out.shape == (*shape[:-1], 2 * shape[-1])


def test_mono_is_on_both_sides_and_surround_folds_down():
    one = np.ones((1, 3), np.float32)
    np.testing.assert_array_equal(audio.to_stereo(one), np.ones((2, 3)))
    for channel, left, right in [
        (0, 1, 0),
        (1, 0, 1),
        (2, 0.7071, 0.7071),
        (3, 0, 0),
        (4, 0.7071, 0),
        (5, 0, 0.7071),
    ]:
        speakers = np.zeros((6, 1), np.float32)
        speakers[channel] = 1
        np.testing.assert_allclose(audio.to_stereo(speakers)[:, 0], (left, right), atol=1e-4)


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("missing.wav", "there is no file"),
        ("text.wav", "not a media file"),
        ("silent.mp4", "has no sound in it"),
        ("folder.wav", "is a folder"),
    ],
)
def test_what_is_no_sound_gets_one_sentence(tmp_path, name, sentence):
    (tmp_path / "text.wav").write_text("la la la\n" * 50)
    (tmp_path / "folder.wav").mkdir()
    clips.write(tmp_path / "silent.mp4", seconds=0.2, size=(32, 32))
    with pytest.raises(UserError, match=sentence):
        audio.read(tmp_path / name)


@pytest.mark.parametrize(
    "name, sentence",
    [("a.mp3", "must end in .wav or .flac"), ("no/folder/a.wav", "cannot write .*: no such file")],
)
def test_what_cannot_be_written_gets_one_sentence(tmp_path, name, sentence):
    with pytest.raises(UserError, match=sentence):
        audio.write(tmp_path / name, clips.sine(0.1))


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(10), 44_100)
    before = (tmp_path / "a.wav").read_bytes()
    with (
        clips.full_disk(1000),
        pytest.raises(UserError, match="cannot write .*a.wav: .*; choose another place or make room"),
    ):
        audio.write(tmp_path / "a.wav", clips.sine(1))
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == before


def test_an_interruption_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    audio.write(tmp_path / "a.flac", clips.sine(0.1))
    before = (tmp_path / "a.flac").read_bytes()

    def interrupted(self, content):
        with self.open("wb") as file:
            file.write(content[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(type(tmp_path), "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        audio.write(tmp_path / "a.flac", clips.sine(1))
    assert [p.name for p in tmp_path.iterdir()] == ["a.flac"]
    assert (tmp_path / "a.flac").read_bytes() == before
