"""Media files, opened with one clear sentence when they cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from reasound.errors import UserError

AnyStream = TypeVar("AnyStream", VideoStream, AudioStream)
NOT_CLIPS = {"tty", "hls", "dash", "concat"}
"""What FFmpeg opens but is no clip: plain text drawn as a terminal, and lists that point at other files."""
MP4_ATOMS = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof")


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The file, open for reading; one sentence if it is not a media file. Only local files are ever read."""
    try:
        if not path.exists():
            raise UserError(f"there is no file {path}; check its name and folder")
        if path.is_dir():
            raise UserError(f"{path} is a folder; name a video file in it")
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    if not head:
        raise UserError(f"{path} is empty (0 bytes); copy or export it again")
    cut_off = f"{path} is cut off: its index is missing; copy it again, or finish the recording properly"
    try:
        container = av.open(f"file:{path}", options={"protocol_whitelist": "file"})
    except av.error.FFmpegError as error:
        if head[4:8] in MP4_ATOMS:
            raise UserError(cut_off) from error
        raise UserError(f"{path} is not a media file that can be read, whatever its name says") from error
    with container:
        if not container.streams and head[4:8] in MP4_ATOMS:
            raise UserError(cut_off)
        if container.format.name in NOT_CLIPS:
            raise UserError(f"{path} is not a media file that can be read, whatever its name says")
        yield container


def best_video(container: InputContainer, path: Path) -> VideoStream:
    """The picture that a player would show; never a cover image."""
    if container.format.name.endswith("_pipe") or container.format.name == "image2":
        raise UserError(f"{path} is a still picture without a duration; give a video")
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving:
        raise UserError(f"{path} has no video stream; give a file with moving pictures")
    moving = [s for s in moving if s.codec_context is not None]
    if not moving:
        raise UserError(f"the picture of {path} is in a format that cannot be decoded; convert it to H.264")
    best = container.streams.best("video")
    return next((s for s in moving if s is best), max(moving, key=lambda s: s.width * s.height))


def best_audio(container: InputContainer) -> AudioStream | None:
    """The sound that a player would play; None where there is none that can be decoded."""
    stream = container.streams.best("audio")
    return stream if isinstance(stream, AudioStream) and stream.codec_context is not None else None


def packets_of(container: InputContainer, stream: AnyStream) -> Iterator[Packet[AnyStream]]:
    """The packets of one stream; a file that breaks off ends where it breaks off."""
    try:
        yield from container.demux(stream)
    except av.error.FFmpegError:
        return


def decoded(packet: Packet[VideoStream]) -> list[VideoFrame]:
    """The frames that come out for this packet; none where it is damaged."""
    try:
        return packet.decode()
    except av.error.FFmpegError:
        return []


def decoded_audio(packet: Packet[AudioStream]) -> list[AudioFrame]:
    """The pieces of sound that come out for this packet; none where it is damaged."""
    try:
        return packet.decode()
    except av.error.FFmpegError:
        return []
