"""Video files made on the fly, with everything about them known."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

TICK = Fraction(1, 30_000)
GRAVITY, HEIGHT, BOUNCE = 8.0, 1.0, 0.8
"""The ball falls from 1 m in exactly 0.5 s, and keeps 80% of its speed at every bounce."""


def bounces(seconds: float) -> list[float]:
    """When the ball hits the floor: 0.5 s, and then after ever shorter flights."""
    times, flight = [], 2 * (2 * HEIGHT / GRAVITY) ** 0.5
    at = flight / 2
    while at < seconds and flight > 0.2:
        times.append(at)
        flight *= BOUNCE
        at += flight
    return times


def ball_height(time: float) -> float:
    """Metres above the floor."""
    half = (2 * HEIGHT / GRAVITY) ** 0.5
    if time < half:
        return HEIGHT - GRAVITY * time**2 / 2
    at, flight = half, 2 * half * BOUNCE
    while time >= at + flight:
        at, flight = at + flight, flight * BOUNCE
        if flight <= 0.2 * BOUNCE:
            return 0.0
    return max(0.0, GRAVITY / 2 * (time - at) * (at + flight - time))


def ball(time: float, width: int, height: int, across: float = 0.5) -> np.ndarray:
    """A bright ball over a dark, slightly textured wall and a floor: [height, width, 3]."""
    y, x = np.mgrid[0:height, 0:width]
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = (40 + 12 * np.sin(x / 7) * np.cos(y / 9))[..., None]
    radius = max(2.0, 0.09 * height)
    floor = 0.9 * height
    picture[int(floor) :] = (90, 70, 50)
    centre = floor - radius - ball_height(time) * (floor - 2 * radius)
    picture[(x - across * width) ** 2 + (y - centre) ** 2 < radius**2] = (250, 240, 200)
    return picture


def counter(time: float, width: int, height: int) -> np.ndarray:
    """A grey picture that says its time: brightness 20 plus one for every hundredth of a second, up to 2 s."""
    return np.full((height, width, 3), 20 + round(time * 100), np.uint8)


def write(
    path: Path | str,
    picture: Callable[..., np.ndarray] = ball,
    *,
    seconds: float | Fraction = 2,
    fps: float | Fraction = 25,
    size: tuple[int, int] = (160, 120),
    times: Sequence[Fraction] | None = None,
    rotation: int = 0,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    audio: np.ndarray | None = None,
    audio_rate: int = 44_100,
    audio_codec: str = "aac",
    audio_start: float | Fraction = 0,
    second_size: tuple[int, int] | None = None,
    shift: Fraction = Fraction(0),
) -> Path:
    """Write `picture(time, width, height)` as a video of `seconds`.

    `times` (seconds, from 0) instead of `fps` makes a variable frame rate; the last frame lasts to the end.
    `rotation` is clockwise; `size` is that of the stored picture. `audio` is [channels, N]. `second_size` adds a
    second, smaller picture. `shift` moves all timestamps.
    """
    path = Path(path)
    seconds = Fraction(seconds).limit_denominator(100_000)
    rate = Fraction(fps).limit_denominator(100_000)
    even = times is None and (seconds * rate).denominator == (shift * rate).denominator == 1
    tick = 1 / rate if even else TICK
    shown = times if times is not None else [k / rate for k in range(max(1, round(seconds * rate)))]
    stamps = [round(t / tick) for t in shown]
    ends = [*stamps[1:], round(seconds / tick)]
    lasts = {a + round(shift / tick): b - a for a, b in zip(stamps, ends, strict=True)}
    with av.open(path, "w") as file:
        tracks = []
        for width, height in [size, *([second_size] if second_size else [])]:
            # Without B frames, so that a packet's duration is how long its frame is on screen.
            stream = file.add_stream(codec, rate=rate, options={"bf": "0"} | (options or {}))
            stream.width, stream.height, stream.pix_fmt = width, height, pixels
            stream.codec_context.time_base = tick
            stream.time_base = tick
            if rotation:
                stream.set_display_rotation(-rotation)
            tracks.append(stream)
        sound = None
        if audio is not None:
            sound = file.add_stream(audio_codec, rate=audio_rate)
            sound.layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(audio)]
        for stream in tracks:
            for stamp in stamps:
                drawn = picture(float(stamp * tick), stream.width, stream.height)
                frame = av.VideoFrame.from_ndarray(drawn, format="rgb24")
                frame.pts, frame.time_base = stamp + round(shift / tick), tick
                _mux(file, stream.encode(frame), lasts)
            _mux(file, stream.encode(None), lasts)
        if sound is not None:
            _encode_sound(file, sound, audio, audio_rate, Fraction(audio_start) + shift)
    return path


@dataclass(frozen=True)
class Bouncing:
    path: Path
    bounces: list[float]
    """Seconds at which the ball hits the floor."""


def bouncing_ball(
    path: Path | str, seconds: float = 4.0, width: int = 160, height: int = 120, fps: int = 30
) -> Bouncing:
    """The clip that most tests use."""
    return Bouncing(write(path, ball, seconds=seconds, fps=fps, size=(width, height)), bounces(seconds))


def no_frames(path: Path | str) -> Path:
    """An mp4 with a picture stream of which no frame can be decoded."""
    whole = write(path, seconds=0.4, size=(64, 48)).read_bytes()
    start, end = whole.find(b"mdat") + 4, whole.find(b"moov") - 4
    Path(path).write_bytes(whole[:start] + bytes(end - start) + whole[end:])
    return Path(path)


def durations(path: Path | str) -> list[float]:
    """Seconds of every stream, as the file says."""
    with av.open(path) as file:
        return [float(stream.duration * stream.time_base) for stream in file.streams]


def write_sound(
    path: Path | str, audio: np.ndarray, rate: int = 44_100, codec: str = "aac", cover: bool = False
) -> Path:
    """A file with sound only, or with a cover picture that is not a video."""
    with av.open(path, "w") as file:
        sound = file.add_stream(codec, rate=rate)
        sound.layout = "mono" if len(audio) == 1 else "stereo"
        art = None
        if cover:
            art = file.add_stream("mjpeg", rate=1)
            art.width, art.height, art.pix_fmt = 64, 64, "yuvj420p"
            art.disposition = av.stream.Disposition.attached_pic
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 99, np.uint8), format="rgb24")
            packets = art.encode(frame) + art.encode(None)
            file.mux(packets)
        _encode_sound(file, sound, audio, rate, Fraction(0))
    return Path(path)


def truncated(path: Path, out: Path, share: float = 0.6) -> Path:
    """The first part of a file, as a broken copy leaves it."""
    content = path.read_bytes()
    out.write_bytes(content[: int(len(content) * share)])
    return out


def sine(seconds: float, frequency: float = 440.0, rate: int = 44_100, level: float = -20.0) -> np.ndarray:
    """[2, N] at `level` dB below full scale (peak)."""
    t = np.arange(round(seconds * rate)) / rate
    return np.tile((10 ** (level / 20) * np.sin(2 * np.pi * frequency * t)).astype(np.float32), (2, 1))


def _mux(file, packets, lasts: dict[int, int]) -> None:
    for packet in packets:
        packet.duration = lasts[packet.pts]
        file.mux(packet)


def _encode_sound(file, stream, audio: np.ndarray, rate: int, start: Fraction) -> None:
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(audio)]
    form = stream.format.name
    data = audio
    if form[0] == "s":
        bits = int(form[1:3])
        data = np.round(audio * (2.0 ** (bits - 1) - 1)).astype(f"i{bits // 8}")
    for at in range(0, audio.shape[1], 1024):
        piece = np.ascontiguousarray(data[:, at : at + 1024])
        if not form.endswith("p"):
            piece = np.ascontiguousarray(piece.T.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(piece, format=form, layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, at + round(start * rate), Fraction(1, rate)
        file.mux(stream.encode(frame))
    file.mux(stream.encode(None))


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file may grow beyond `room` bytes: the operating system refuses to write, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
