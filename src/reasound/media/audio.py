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
