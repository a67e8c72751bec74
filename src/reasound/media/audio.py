"""Sound files: read, resample, write."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from reasound.errors import UserError
from reasound.media.atomic import replacing
from reasound.media.container import best_audio, decoded_audio, opened, packets_of
from reasound.timeline import SAMPLE_RATE

Audio = NDArray[np.float32]  # [channels, N]
GAP = Fraction(1, 50)
"""Seconds by which a timestamp may stray from the samples counted so far; files round (1 ms in Matroska)."""
FORMATS = {".wav": "WAV", ".flac": "FLAC"}
PIECE = 10 * SAMPLE_RATE
"""Samples that are written at once."""


def read(path: Path | str) -> tuple[Audio, int]:
    """Any sound file, or the sound of a video: float32 [channels, N] and its rate in Hz."""
    path = Path(path)
    try:
        data, rate = soundfile.read(path, dtype="float32", always_2d=True)
        return np.ascontiguousarray(data.T), rate
    except (soundfile.SoundFileError, OSError):
        pass  # not a format of libsndfile, or not there; FFmpeg knows more, and we say what is wrong below
    with opened(path) as container:
        stream = best_audio(container)
        if stream is None:
            raise UserError(f"{path} has no sound in it")
        pieces = [piece for _, piece in pieces_of(container, stream)]
        if not pieces:
            raise UserError(f"no sound can be decoded from {path}")
        return np.concatenate(pieces, axis=1), stream.codec_context.sample_rate


def resample(audio: NDArray[np.floating], rate: float, to: float) -> Audio:
    """[..., N] at `rate` -> [..., round(N * to / rate)] at `to` Hz; linear phase, soxr's best quality."""
    audio = np.asarray(audio, np.float32)
    if rate == to or audio.shape[-1] == 0:
        return audio
    flat = audio.reshape(-1, audio.shape[-1])
    out = soxr.resample(np.ascontiguousarray(flat.T), rate, to, quality="VHQ").T
    return fitted(out, round(audio.shape[-1] * to / rate)).reshape(*audio.shape[:-1], -1)


def to_stereo(audio: Audio) -> Audio:
    """[channels, N] -> [2, N]. Mono goes to both sides; FL FR FC (LFE) BL BR as in ITU-R BS.775."""
    channels = audio.shape[0]
    if channels <= 2:
        return np.repeat(audio, 2, axis=0) if channels == 1 else audio
    less = np.float32(0.5**0.5)
    stereo = audio[:2] + less * audio[2]
    if channels >= 5:
        behind = (3, 4) if channels == 5 else (4, 5)
        stereo += less * audio[list(behind)]
    return stereo


def write(path: Path | str, audio: Audio, rate: int = SAMPLE_RATE, subtype: str = "PCM_24") -> None:
    """[channels, N] to WAV or FLAC, by the suffix: whole or not at all, and the same bytes each time."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"cannot write sound as {path.name}; its name must end in .wav or .flac")
    if path.suffix.lower() == ".wav" and subtype == "PCM_24" and audio.shape[1] > PIECE:
        _write_pieces(path, audio, rate)
        return
    # Through memory, because libsndfile does not say why a write failed (a full disk is an assertion there).
    memory = io.BytesIO()
    soundfile.write(memory, audio.T, rate, subtype, format=FORMATS[path.suffix.lower()])
    content = bytearray(memory.getbuffer())
    peak = content.find(b"PEAK", 0, 200)
    if peak > 0:
        content[peak + 12 : peak + 16] = bytes(
            4
        )  # the time of writing, in float WAV files (chunk: id, size, version)
    with replacing(path) as fresh:
        fresh.write_bytes(content)


def _write_pieces(path: Path, audio: Audio, rate: int) -> None:
    """The same bytes as in one go, of sound that may be longer than memory."""
    head = io.BytesIO()
    soundfile.write(head, np.zeros((0, len(audio)), np.float32), rate, "PCM_24", format="WAV")
    content = bytearray(head.getbuffer())
    length = 3 * audio.size
    if length + len(content) >= 2**32:
        raise UserError(f"{path.name} would be longer than a WAV file can be (4 GB); cut the clip in parts")
    content[4:8] = (len(content) - 8 + length + length % 2).to_bytes(4, "little")
    content[-4:] = length.to_bytes(4, "little")
    with replacing(path) as fresh, open(fresh, "wb") as file:
        file.write(content)
        for first in range(0, audio.shape[1], PIECE):
            piece = io.BytesIO()
            soundfile.write(piece, audio[:, first : first + PIECE].T, rate, "PCM_24", format="RAW")
            file.write(piece.getbuffer())
        file.write(bytes(length % 2))


class Track:
    """Sound in a file of its own while it is made, 32-bit floats [channels, n], one channel after the other.

    Plain reading and writing, not a memory map: memory stays that of a block, and a full disk is an error that can be
    told. What is never written is silence and takes no room on most disks.
    """

    def __init__(self, path: Path, channels: int, n: int) -> None:
        self.path, self.channels, self.n = path, channels, n

    @classmethod
    def make(cls, path: Path, channels: int, n: int) -> Track:
        """Silence, in place of what may be there."""
        with open(path, "wb") as file:
            file.truncate(4 * channels * n)
        return cls(path, channels, n)

    def read(self, first: int, last: int) -> Audio:
        """[channels, last - first]"""
        out = np.empty((self.channels, last - first), np.float32)
        with open(self.path, "rb") as file:
            for channel, row in enumerate(out):
                file.seek(4 * (channel * self.n + first))
                file.readinto(row.data)
        return out

    def write(self, first: int, audio: Audio) -> None:
        """In place of what is there from sample `first` on."""
        if not 0 <= first <= first + audio.shape[1] <= self.n:
            raise ValueError(f"samples {first} to {first + audio.shape[1]} are not inside {self.n}")
        with open(self.path, "r+b") as file:
            for channel, row in enumerate(np.ascontiguousarray(audio, np.float32)):
                file.seek(4 * (channel * self.n + first))
                file.write(row.data)

    def add(self, first: int, audio: Audio) -> None:
        """To what is there from sample `first` on."""
        self.write(first, self.read(first, first + audio.shape[1]) + audio)

    def array(self) -> Audio:
        """All of it as a memory map that is only read; it stays readable where the file is removed meanwhile."""
        return np.memmap(self.path, np.float32, "r", shape=(self.channels, self.n))


def fitted(audio: Audio, length: int) -> Audio:
    """[..., N] -> [..., length]: cut at the end, or silence added."""
    audio = audio[..., :length]
    missing = length - audio.shape[-1]
    return np.pad(audio, [(0, 0)] * (audio.ndim - 1) + [(0, missing)]) if missing else audio


def pieces_of(container: InputContainer, stream: AudioStream) -> Iterator[tuple[Fraction | None, Audio]]:
    """(seconds on the file's clock, float32 [channels, n]) of all that can be decoded."""
    planar: av.AudioResampler | None = None
    for packet in packets_of(container, stream):
        for frame in decoded_audio(packet):
            planar = planar or av.AudioResampler("fltp", frame.layout, frame.sample_rate)
            time = None
            if frame.pts is not None and frame.time_base is not None:
                time = frame.pts * frame.time_base
            for piece in planar.resample(frame):
                yield time, piece.to_ndarray().astype(np.float32, copy=False)


def decode_aligned(
    container: InputContainer, stream: AudioStream, origin: Fraction, length: int, rate: int
) -> Audio:
    """Stereo [2, length] at `rate` from `origin`, seconds on the file's own clock; silence in gaps."""
    native = stream.codec_context.sample_rate
    sounding = np.zeros((2, -(-length * native // rate)), np.float32)
    expected: int | None = None
    for time, piece in pieces_of(container, stream):
        at = expected
        if time is not None:
            stamped = round((time - origin) * native)
            if at is None or abs(stamped - at) > GAP * native:
                at = stamped
        at = at or 0
        expected = at + piece.shape[1]
        first, last = max(at, 0), min(expected, sounding.shape[1])
        if first < last:
            sounding[:, first:last] = to_stereo(piece)[:, first - at : last - at]
        if at >= sounding.shape[1]:
            break
    return fitted(resample(sounding, native, rate), length)
