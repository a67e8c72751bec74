"""A take as one picture: film strip, the plan's events and the spectrogram, on one time axis."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reasound.errors import UserError
from reasound.media.atomic import replacing
from reasound.media.video import Clip
from reasound.take import VIDEO_SUFFIXES, Take
from reasound.timeline import SAMPLE_RATE

Picture = NDArray[np.uint8]  # [H, W, 3] red, green, blue

WIDTH, MARGIN, FRAMES = 1440, 120, 8
ROW, SPECTROGRAM = 26, 300
INK, FAINT, PAPER = (40, 40, 44), (150, 150, 156), (252, 252, 250)
COLOURS = ((214, 96, 77), (67, 147, 195), (90, 174, 97), (153, 112, 171), (224, 150, 40), (60, 160, 160))
WINDOW = 2048
LOWEST = 40.0
"""Hz at the bottom of the spectrogram."""
RANGE = 75.0
"""dB from black to white."""


def draw(take: Take, clip: Clip) -> Picture:
    """Film strip on top, one row an event or ambience, then the spectrogram with logarithmic frequency."""
    seconds = float(take.source.seconds)
    parts = [_strip(clip, seconds), _events(take, seconds), _spectrogram(take.audio), _axis(seconds)]
    return np.vstack([cv2.copyMakeBorder(p, 3, 3, 0, 0, cv2.BORDER_CONSTANT, value=PAPER) for p in parts])


def save(picture: Picture, path: Path) -> None:
    """A PNG or JPEG; UserError when it cannot be written."""
    done, data = cv2.imencode(path.suffix or ".png", picture[:, :, ::-1])
    assert done, f"OpenCV cannot write {path.suffix} pictures"
    with replacing(path) as fresh:
        fresh.write_bytes(data.tobytes())


def of_folder(folder: Path) -> Picture:
    """The picture of a take folder, with the frames of its own preview."""
    take = Take.load(folder)
    previews = [folder / f"preview{suffix}" for suffix in VIDEO_SUFFIXES]
    preview = next((p for p in previews if p.is_file()), None)
    if preview is None:
        raise UserError(f"{folder} has no preview video; make the take again")
    return draw(take, Clip.open(preview))


def _strip(clip: Clip, seconds: float) -> Picture:
    wide = (WIDTH - MARGIN) // FRAMES
    wanted = (np.arange(FRAMES) + 0.5) * seconds / FRAMES
    shown: list[Picture] = []
    for time, frame in clip.frames(rate=8, width=wide):
        while len(shown) < FRAMES and time + 1 / 16 >= wanted[len(shown)]:
            small = cv2.resize(frame, (wide, round(frame.shape[0] * wide / frame.shape[1])))
            shown.append(small.astype(np.uint8))
    shown += [shown[-1] if shown else np.zeros((wide, wide, 3), np.uint8)] * (FRAMES - len(shown))
    sheet = np.full((shown[0].shape[0], WIDTH, 3), PAPER, np.uint8)
    sheet[:, MARGIN : MARGIN + wide * FRAMES] = np.hstack(shown)
    return sheet


def _events(take: Take, seconds: float) -> Picture:
    rows = [(e.id, e.spans(), dict(e.hits())) for e in take.plan.events]
    rows += [(a.id, [(0.0, seconds)], {}) for a in take.plan.ambience]
    sheet = np.full((max(1, len(rows)) * ROW, WIDTH, 3), PAPER, np.uint8)
    for i, (name, spans, hits) in enumerate(rows):
        colour, middle = COLOURS[i % len(COLOURS)], i * ROW + ROW // 2
        _write(sheet, name, (4, middle + 4))
        if not hits:
            for start, end in spans:
                cv2.rectangle(
                    sheet, (_x(start, seconds), middle - 4), (_x(end, seconds), middle + 4), colour, -1
                )
        for time, strength in hits.items():
            x, tall = _x(time, seconds), round(4 + 7 * strength)
            cv2.rectangle(sheet, (x - 1, middle - tall), (x + 2, middle + tall), colour, -1)
    return sheet


def spectrum(audio: NDArray[np.float32], columns: int, rows: int) -> Picture:
    """[rows, columns] of [2, N]: linear in time, from half the sample rate down to `LOWEST` in equal ratios."""
    mono = np.pad(audio.mean(0), WINDOW // 2)
    starts = np.linspace(0, mono.size - WINDOW, columns).astype(int)
    window = np.hanning(WINDOW).astype(np.float32)
    power = np.abs(np.fft.rfft(mono[starts[:, None] + np.arange(WINDOW)] * window)) ** 2  # [columns, bins]
    bins = _frequencies(rows) * WINDOW / SAMPLE_RATE
    low = np.clip(bins.astype(int), 0, power.shape[1] - 2)
    part = (bins - low)[:, None]
    level = 10 * np.log10(power.T[low] * (1 - part) + power.T[low + 1] * part + 1e-12)
    grey = np.clip((level - level.max() + RANGE) / RANGE, 0, 1) * 255
    coloured = cv2.applyColorMap(grey.astype(np.uint8), cv2.COLORMAP_MAGMA)
    return np.ascontiguousarray(coloured[:, :, ::-1], np.uint8)


def _frequencies(rows: int) -> NDArray[np.float64]:
    return np.geomspace(SAMPLE_RATE / 2, LOWEST, rows)


def _spectrogram(audio: NDArray[np.float32]) -> Picture:
    frequencies = _frequencies(SPECTROGRAM)
    sheet = np.full((SPECTROGRAM, WIDTH, 3), PAPER, np.uint8)
    sheet[:, MARGIN:] = spectrum(audio, WIDTH - MARGIN, SPECTROGRAM)
    for hertz, text in ((100, "100 Hz"), (1000, "1 kHz"), (10_000, "10 kHz")):
        y = int(np.argmin(np.abs(frequencies - hertz)))
        cv2.line(sheet, (MARGIN - 6, y), (MARGIN - 1, y), FAINT, 1)
        _write(sheet, text, (MARGIN - 66, y + 4))
    return sheet


def _axis(seconds: float) -> Picture:
    sheet = np.full((22, WIDTH, 3), PAPER, np.uint8)
    step = next(s for s in (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1e9) if seconds / s <= 14)
    for time in np.arange(0, seconds + 1e-6, step):
        x = min(_x(time, seconds), WIDTH - 34)
        cv2.line(sheet, (x, 0), (x, 5), FAINT, 1)
        _write(sheet, f"{time:g} s", (x - 2, 18))
    return sheet


def _x(time: float, seconds: float) -> int:
    return MARGIN + round((WIDTH - MARGIN) * min(time / seconds, 1.0))


def _write(sheet: Picture, text: str, at: tuple[int, int]) -> None:
    cv2.putText(sheet, text[:16], at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, INK, 1, cv2.LINE_AA)
