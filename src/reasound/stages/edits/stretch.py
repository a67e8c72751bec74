"""Faster or slower at the same pitch, by FFmpeg's atempo (overlap and add of similar pieces)."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from reasound.media.audio import fitted
from reasound.stages.edits.work import Audio
from reasound.timeline import SAMPLE_RATE

STEP = 2.0
"""Largest factor of one filter; beyond it atempo leaves out samples."""
BLOCK = 4096


def stretched(audio: Audio, speed: float) -> Audio:
    """[2, N] -> [2, round(N / speed)]; `speed` above 1 is faster."""
    wanted = round(audio.shape[1] / speed)
    graph = av.filter.Graph()
    last = graph.add_abuffer(
        sample_rate=SAMPLE_RATE, format="fltp", layout="stereo", time_base=Fraction(1, SAMPLE_RATE)
    )
    count = max(1, int(np.ceil(abs(np.log(speed)) / np.log(STEP) - 1e-9)))
    for _ in range(count):
        node = graph.add("atempo", f"{speed ** (1 / count):.9f}")
        last.link_to(node)
        last = node
    planar = graph.add("aformat", "sample_fmts=fltp")  # atempo itself gives interleaved channels
    last.link_to(planar)
    last = planar
    sink = graph.add("abuffersink")
    last.link_to(sink)
    graph.configure()
    pieces = []

    def drain() -> None:
        while True:
            try:
                pieces.append(graph.pull().to_ndarray())
            except (av.error.BlockingIOError, av.error.EOFError):
                return

    for at in range(0, audio.shape[1], BLOCK):
        piece = np.ascontiguousarray(audio[:, at : at + BLOCK], np.float32)
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, at, Fraction(1, SAMPLE_RATE)
        graph.push(frame)
        drain()
    graph.push(None)
    drain()
    made = np.concatenate(pieces, axis=1) if pieces else np.zeros((2, 0), np.float32)
    return fitted(made.astype(np.float32), wanted)
