"""Picture and sound into one file: the picture's packets are copied, never encoded again."""

from __future__ import annotations

import heapq
import io
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.codec.context import Flags
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from numpy.typing import NDArray

from reasound.errors import UserError
from reasound.media.atomic import replacing
from reasound.media.container import best_audio, opened, packets_of
from reasound.media.video import Clip
from reasound.timeline import SAMPLE_RATE, samples

Original = Literal["drop", "keep", "under"]
FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
BIT_RATE = 192_000
AAC_FRAME = 1024
COPIED = {"aac", "mp3", "ac3", "eac3", "alac"}
"""Sound that is kept as it is beside ours; every player of mp4 knows it. The rest becomes AAC."""


def check(clip: Clip, out: Path | str, original: str = "drop") -> None:
    """Say now, in one sentence, why `mux` could not do this later."""
    out = Path(out)
    if original not in ("drop", "keep", "under"):
        raise UserError(f"the original sound can be dropped, kept or put under ours, not {original!r}")
    if out.suffix.lower() not in FORMATS:
        raise UserError(f"cannot write a video as {out.name}; its name must end in {', '.join(FORMATS)}")
    if not out.parent.is_dir():
        raise UserError(f"there is no folder {out.parent} to write {out.name} to; make it first")
    if original != "drop" and not clip.has_audio:
        raise UserError(f"{clip.name} has no sound of its own that could be kept; drop the original")
    if clip.decoding_times_only:
        raise UserError(f"{clip.name} does not say when each frame is shown; convert it to mp4 first")
    if clip.codec not in _codecs(out.suffix.lower()):
        fits = next((s for s in FORMATS if clip.codec in _codecs(s)), None)
        hint = f"write to a {fits} file" if fits else "convert the clip to H.264 first"
        raise UserError(f"{out.suffix} files cannot hold the picture of {clip.name} ({clip.codec}); {hint}")


def mux(
    clip: Clip,
    audio: NDArray[np.float32],
    out: Path | str,
    original: Original = "drop",
    original_gain: float = -12.0,
) -> None:
    """Write the whole clip with `audio` ([2, samples(clip.seconds)] at 44.1 kHz) as AAC beside its picture.

    `original`: drop the clip's own sound, mix it `original_gain` dB under ours, or keep it as a second track. The
    sound starts with the first frame: the AAC encoder's 1024 samples of priming are cut by the file's edit list.
    The same input gives the same bytes. The file appears whole or not at all.
    """
    out = Path(out)
    check(clip, out, original)
    if clip.start or clip.seconds != Clip.open(clip.path).seconds:
        raise ValueError(f"{clip.name} is a part of its file; only a whole clip's picture can be copied")
    if audio.shape != (2, samples(clip.seconds)):
        raise ValueError(f"{clip.name} needs sound of shape {(2, samples(clip.seconds))}, not {audio.shape}")
    if original == "under":
        audio = _under(audio, clip.audio(), original_gain)
    container = FORMATS[out.suffix.lower()]
    options = {"fflags": "+bitexact"}
    if container != "matroska":
        # Index first, for players that stream; times in samples, so that the edit list is exact.
        options |= {"movflags": "+faststart", "movie_timescale": str(SAMPLE_RATE)}
    with replacing(out) as fresh, opened(clip.path) as source, opened(clip.path) as again:
        with av.open(fresh, "w", format=container, options=options) as target:
            tracks = [_copied(source, target, clip), _encoded(target, audio)]
            if original == "keep":
                tracks.append(_kept(again, target, clip))
            # By decoding time, so that a player finds picture and sound side by side.
            for _, packet in heapq.merge(*tracks, key=lambda timed: timed[0]):
                target.mux(packet)


Track = Iterator[tuple[Fraction, Packet]]
"""(seconds, packet) in decoding order."""


def _copied(source: InputContainer, target: OutputContainer, clip: Clip) -> Track:
    """The picture's packets, moved so that the first frame is at 0."""
    stream = next(s for s in source.streams.video if s.index == clip.stream)
    return _moved(packets_of(source, stream), target.add_stream_from_template(stream), clip.stamps[0], clip)


def _kept(source: InputContainer, target: OutputContainer, clip: Clip) -> Track:
    """The clip's own sound as a second track: its packets as they are, or AAC where few players know its codec."""
    stream = best_audio(source)
    sound = clip.audio()
    assert stream is not None and sound is not None
    if stream.codec_context.codec.canonical_name not in COPIED:
        return _encoded(target, sound)
    track = target.add_stream_from_template(stream)
    tick = stream.time_base or Fraction(1, SAMPLE_RATE)
    packets = _moved(packets_of(source, stream), track, round(clip.stamps[0] * clip.time_base / tick), clip)
    return takewhile(lambda timed: timed[0] < clip.seconds, packets)


def _moved(packets: Iterator[Packet], track: Stream, origin: int, clip: Clip) -> Track:
    """Packets for another file, `origin` ticks earlier, all with decoding times.

    Matroska does not give the first decoding times; they lie one packet's duration apart before the first known.
    """
    waiting = []
    for packet in packets:
        if not packet.size:
            continue
        if packet.pts is None:
            raise UserError(f"{clip.name} does not say when each frame is shown; convert it to mp4 first")
        waiting.append(packet)
        if packet.dts is None:
            continue
        dts = packet.dts - sum(p.duration or 0 for p in waiting[:-1])
        for ready in waiting:
            now, step = dts, ready.duration or 0
            ready.pts, ready.dts, ready.stream = (ready.pts or 0) - origin, now - origin, track
            yield ready.dts * ready.time_base, ready
            dts = now + step
        waiting = []
    if waiting:
        raise UserError(
            f"{clip.name} does not say in which order its frames are decoded; convert it to mp4 first"
        )


def _encoded(target: OutputContainer, audio: NDArray[np.float32]) -> Track:
    """[2, N] at 44.1 kHz as AAC; the encoder's priming comes before 0, and the last packet ends with the sound."""
    track = target.add_stream("aac", rate=SAMPLE_RATE)
    track.layout = "stereo"
    track.bit_rate = BIT_RATE
    track.codec_context.flags |= Flags.bitexact

    def packets() -> Track:
        for start in range(0, audio.shape[1], AAC_FRAME):
            piece = np.ascontiguousarray(audio[:, start : start + AAC_FRAME], np.float32)
            frame = AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
            yield from timed(track.encode(frame))
        yield from timed(track.encode(None))

    def timed(ready: list[Packet]) -> Track:
        for packet in ready:
            yield (packet.dts or 0) * packet.time_base, packet

    return packets()


def _under(
    audio: NDArray[np.float32], original: NDArray[np.float32] | None, gain: float
) -> NDArray[np.float32]:
    """Ours with the original `gain` dB below it; both a little quieter where the sum would clip."""
    assert original is not None
    both = audio + np.float32(10 ** (gain / 20)) * original
    return both / max(np.float32(1), np.max(np.abs(both), initial=0))


@cache
def _codecs(suffix: str) -> frozenset[str]:
    """Names of the codecs that a file with this suffix can hold."""
    with av.open(io.BytesIO(), "w", format=FORMATS[suffix]) as container:
        return frozenset(container.supported_codecs)
