"""A video file: what it holds, its real timestamps, and its frames at any rate."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import cast

import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from reasound.errors import UserError
from reasound.media.audio import decode_aligned
from reasound.media.container import best_audio, best_video, decoded, opened, packets_of
from reasound.timeline import SAMPLE_RATE

Picture = NDArray[np.uint8]  # [H, W, 3] red, green, blue
MICRO = 1_000_000
NEAR = Fraction(2)
"""Seconds into a file that are sooner decoded than sought."""


@dataclass(frozen=True)
class Turn:
    """How the picture must be turned to stand upright: the display matrix, to the nearest quarter turn."""

    swap: bool = False
    """Rows become columns, before the flips."""
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> Turn:
        sides = cast(Mapping[Type, SideData], frame.side_data)  # PyAV's stubs know one of its kinds only
        if Type.DISPLAYMATRIX not in sides:
            return cls()
        # Rows of (a b u), (c d v), (x y w): a point goes to (a x + c y, b x + d y) (ISO/IEC 14496-12, 6.2.2).
        a, b, _, c, d = np.frombuffer(bytes(sides[Type.DISPLAYMATRIX]), np.int32)[:5]
        if abs(int(b)) > abs(int(a)):
            return cls(True, bool(c < 0), bool(b < 0))
        return cls(False, bool(a < 0), bool(d < 0))

    @property
    def degrees(self) -> int:
        """Clockwise: 0, 90, 180 or 270. A mirrored picture counts as its unmirrored twin."""
        if self.swap:
            return 90 if self.flip_x or not self.flip_y else 270
        return 180 if self.flip_y else 0

    def apply(self, picture: Picture) -> Picture:
        if self.swap:
            picture = picture.transpose(1, 0, 2)
        return np.ascontiguousarray(picture[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1])


@dataclass(frozen=True)
class Clip:
    """A video file, or a part of one. Time 0 is the first frame (of the part)."""

    path: Path
    seconds: Fraction
    """Exact: from the first frame's timestamp to the end of the last frame."""
    fps: float
    """Nominal; the frames' real times are `times()`."""
    width: int
    """As shown: upright and with square pixels."""
    height: int
    turn: Turn
    codec: str
    pixel_format: str
    has_audio: bool
    audio_rate: int
    """Hz; 0 without audio."""
    stream: int
    """Index of the video stream in the file."""
    time_base: Fraction
    stamps: tuple[int, ...]
    """Presentation timestamps of all frames of the file, in order, in units of `time_base`."""
    decoding_times_only: bool = False
    """The stamps are right, but the file does not say which frame has which (B frames in AVI)."""
    start: Fraction = Fraction(0)
    """Where this part begins, in seconds after the file's first frame."""

    @classmethod
    def open(cls, path: Path | str) -> Clip:
        """Read what the file says about itself, and every packet's timestamp; decode only the first frame."""
        path = Path(path)
        with opened(path) as container:
            stream = best_video(container, path)
            first: VideoFrame | None = None
            packets: list[tuple[int | None, int | None, int]] = []
            for packet in packets_of(container, stream):
                if first is None:
                    first = next(iter(decoded(packet)), None)
                if packet.size and not packet.is_discard:
                    packets.append((packet.pts, packet.dts, packet.duration or 0))
            if first is None or not packets:
                raise UserError(f"no frame of {path} can be decoded; export the clip again")
            tick = stream.time_base or Fraction(1, MICRO)
            rate = stream.average_rate or stream.guessed_rate or Fraction(0)
            stamps, length = timing(packets, tick, rate, path)
            avi = container.format.name == "avi" and stream.codec_context.has_b_frames
            audio = best_audio(container)
            turn = Turn.of(first)
            # Pixels need not be square (DV, DVD): widen or narrow the picture as players do. Below 2% it is
            # only rounding.
            pixel = stream.sample_aspect_ratio or Fraction(1)
            across = first.width if abs(pixel - 1) < 0.02 else max(1, round(first.width * pixel))
            shown = (across, first.height)
            width, height = shown[::-1] if turn.swap else shown
            return cls(
                path=path,
                seconds=length * tick,
                fps=float(rate or len(stamps) / (length * tick)),
                width=width,
                height=height,
                turn=turn,
                codec=stream.codec_context.codec.canonical_name,
                pixel_format=first.format.name,
                has_audio=audio is not None,
                audio_rate=audio.codec_context.sample_rate if audio else 0,
                stream=stream.index,
                time_base=tick,
                stamps=stamps,
                decoding_times_only=bool(avi) and stamps == tuple(pts for pts, _, _ in packets),
            )

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def rotation(self) -> int:
        """Degrees clockwise that the file asks players to turn the picture; already done in `frames`."""
        return self.turn.degrees

    @property
    def frame_count(self) -> int:
        return len(self._shown())

    def cut(self, start: float | Fraction, end: float | Fraction) -> Clip:
        """The part from `start` to `end` seconds, as a clip of its own."""
        if not 0 <= start < end <= self.seconds + Fraction(1, MICRO):
            raise UserError(
                f"cannot cut {float(start):g}-{float(end):g} s from {self.name}, "
                f"which lasts {float(self.seconds):g} s"
            )
        # A float is a little off what the caller means: 0.1 s, or the clip's very end.
        begin, until = (Fraction(t).limit_denominator(MICRO) for t in (start, end))
        if until > self.seconds - Fraction(1, MICRO):
            until = self.seconds
        return replace(self, start=self.start + begin, seconds=until - begin)

    def times(self) -> NDArray[np.float64]:
        """Seconds at which each frame comes on screen; the first is 0."""
        first = self.stamps[0] + self.start / self.time_base
        return np.array([max(0.0, float((stamp - first) * self.time_base)) for stamp in self._shown()])

    def frames(
        self,
        rate: float | Fraction | None = None,
        width: int | None = None,
        *,
        nearest: bool = False,
        count: int | None = None,
    ) -> Iterator[tuple[float, Picture]]:
        """(time, picture [H, W, 3]): what is on screen at 0, 1/rate, 2/rate, ... seconds; int(seconds * rate)
        pictures, at least one. Without a rate: every frame at its own time.

        `nearest` gives each frame to the time nearest to its own, and of several the last: what is on screen just
        before (k + 1/2)/rate. That is the rule of FFmpeg's fps filter, on the file's timestamps as they are.
        `count` asks for so many pictures instead; the last frame stays on screen after the end.
        `width` scales down to at most that many pixels across and keeps the shape. A timestamp counts as
        reached half a tick early, because files round it to a tick (1 ms in Matroska). Where a frame is
        damaged the one before it stays on screen. A frame that is shown twice is the same array twice.
        """
        if rate is None:
            if nearest or count is not None:
                raise ValueError("frames can be chosen only at a rate; give one")
            asked = list(zip(self.times().tolist(), self._shown(), strict=True))
        else:
            if rate <= 0:
                raise ValueError(
                    f"frames at a rate of {float(rate):g} per second cannot be given; ask for more than 0"
                )
            step = 1 / Fraction(rate)
            if count is None:
                count = max(1, int(self.seconds / step))
            if count < 1:
                raise ValueError(f"{count} frames cannot be given; ask for at least 1")
            begin = self.stamps[0] + self.start / self.time_base
            last = ceil(begin + self.seconds / self.time_base) - 1  # later frames belong to the next part
            asked = []  # time, and the latest stamp that is on screen then
            for k in range(count):
                if nearest:
                    latest = ceil(begin + (k + Fraction(1, 2)) * step / self.time_base) - 1
                else:
                    latest = floor(begin + k * step / self.time_base + Fraction(1, 2))
                asked.append((float(k * step), min(latest, last)))
        size = self._size(width)
        done = 0
        held: VideoFrame | None = None
        picture: Picture | None = None
        for stamp, frame in self._decode(asked[0][1]):
            while held is not None and stamp > asked[done][1]:
                picture = self._picture(held, size) if picture is None else picture
                yield asked[done][0], picture
                done += 1
                if done == len(asked):
                    return
            held, picture = frame, None
        if held is None:
            raise UserError(f"no frame of {self.path} can be decoded; export the clip again")
        picture = self._picture(held, size)
        for time, _ in asked[done:]:
            yield time, picture

    def audio(self, rate: int = SAMPLE_RATE) -> NDArray[np.float32] | None:
        """The original sound under this picture: [2, round(seconds * rate)], or None if the file has none.

        Sample 0 is heard when the first frame is seen. Where the file has no sound there is silence.
        """
        if not self.has_audio:
            return None
        origin = self.stamps[0] * self.time_base + self.start
        with opened(self.path) as container:
            stream = best_audio(container)
            assert stream is not None
            return decode_aligned(container, stream, origin, round(self.seconds * rate), rate)

    def _shown(self) -> tuple[int, ...]:
        """Stamps of the frames that are on screen during this part."""
        begin = self.stamps[0] + self.start / self.time_base
        first = bisect_right(self.stamps, begin) - 1
        last = bisect_right(self.stamps, begin + self.seconds / self.time_base)
        if last > first + 1 and self.stamps[last - 1] == begin + self.seconds / self.time_base:
            last -= 1  # comes on screen just when the part is over
        return self.stamps[first:last]

    def _size(self, width: int | None) -> tuple[int, int]:
        """(width, height) of the pictures before they are turned upright."""
        size = (self.width, self.height)
        if width is not None and width < self.width:
            size = (width, max(1, round(self.height * width / self.width)))
        return size[::-1] if self.turn.swap else size

    def _picture(self, frame: VideoFrame, size: tuple[int, int]) -> Picture:
        return self.turn.apply(
            frame.reformat(*size, format="rgb24").to_ndarray().astype(np.uint8, copy=False)
        )

    def _decode(self, wanted: int) -> Iterator[tuple[int, VideoFrame]]:
        """(stamp, frame) in order, from the frame on screen at the stamp `wanted` or from before it."""
        # Far into the file, start at the key frame before the part. Where the index points elsewhere (the
        # first frame comes too late, or none comes) start at the beginning.
        if wanted > self.stamps[0] + NEAR / self.time_base and not self.decoding_times_only:
            with opened(self.path) as container:
                stream = self._stream(container)
                container.seek(wanted, stream=stream)
                frames = timed_frames(container, stream)
                first = next(frames, None)
                if first is not None and first[0] <= wanted:
                    yield first
                    yield from frames
                    return
        with opened(self.path) as container:
            frames = timed_frames(container, self._stream(container))
            if self.decoding_times_only:  # decoders give frames in the order they are shown
                frames = ((stamp, frame) for stamp, (_, frame) in zip(self.stamps, frames, strict=False))
            yield from frames

    def _stream(self, container: InputContainer) -> VideoStream:
        stream = next(s for s in container.streams.video if s.index == self.stream)
        stream.thread_type = "AUTO"
        return stream


def timed_frames(container: InputContainer, stream: VideoStream) -> Iterator[tuple[int, VideoFrame]]:
    for packet in packets_of(container, stream):
        yield from ((frame.pts, frame) for frame in decoded(packet) if frame.pts is not None)


def timing(
    packets: list[tuple[int | None, int | None, int]], tick: Fraction, rate: Fraction, path: Path
) -> tuple[tuple[int, ...], Fraction]:
    """(pts, dts, duration) of the packets -> the frames' stamps in order, and the clip's length in ticks."""
    shown = sorted((pts, duration) for pts, _, duration in packets if pts is not None)
    if len(shown) < len(packets):  # AVI files may have decoding times only; in order they serve as well
        shown = sorted((dts, duration) for _, dts, duration in packets if dts is not None)
    if len(shown) < len(packets):
        raise UserError(f"{path} has no timestamps (a raw stream); wrap it as mp4 or mkv first")
    stamps = tuple(stamp for stamp, _ in shown)
    last = Fraction(shown[-1][1])
    if last <= 0 and len(stamps) > 1:
        last = Fraction(stamps[-1] - stamps[-2])
    if last <= 0 and rate > 0:
        last = 1 / (rate * tick)
    if last <= 0:
        raise UserError(f"{path} does not say how long its picture lasts; export it with a frame rate")
    return stamps, stamps[-1] - stamps[0] + last
