"""What a page shows of a clip and its sound: film strip, waveform, spectrogram, mask; all without axes."""

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reasound.export.picture import Picture, save, spectrum
from reasound.media.video import Clip
from reasound.mixing.loudness import momentary

STRIP_HEIGHT = 72
STRIP_WIDTH = 1400
FRAME_HEIGHT = 240
"""Pixels."""
MASK_COLOUR = (255, 176, 32)
STEP = 0.1
"""Seconds between two values of the loudness meter."""
QUIETEST = -70.0
"""LUFS: BS.1770's absolute gate; what is below counts as silence."""


def peaks(audio: NDArray[np.float32], columns: int) -> list[list[float]]:
    """[columns][2] lowest and highest sample of each column of [2, N]; fewer columns where there are fewer samples."""
    n = audio.shape[1]
    columns = min(columns, n)
    if not columns:
        return []
    starts = np.arange(columns) * n // columns
    low = np.minimum.reduceat(audio.min(0), starts)
    high = np.maximum.reduceat(audio.max(0), starts)
    return np.stack([low, high], 1).round(4).tolist()


def meter(audio: NDArray[np.float32]) -> list[float]:
    """Momentary loudness (EBU R 128, 400 ms) in LUFS, every `STEP` seconds."""
    values = momentary(audio)
    return [round(max(float(x), QUIETEST), 1) if np.isfinite(x) else QUIETEST for x in values]


def strip(clip: Clip, path: Path) -> None:
    """Frames side by side over the whole clip, each from the middle of its share of the time."""
    wide = max(8, round(STRIP_HEIGHT * clip.width / clip.height))
    count = max(1, min(200, STRIP_WIDTH // wide))
    seconds = float(clip.seconds)
    wanted = (np.arange(count) + 0.5) * seconds / count
    row: list[Picture] = []
    rate = max(1.0, min(8.0, 4 * count / max(seconds, 0.1)))
    for time, frame in clip.frames(rate=rate, width=wide):
        small = cv2.resize(frame, (wide, STRIP_HEIGHT)).astype(np.uint8)
        while len(row) < count and time + 0.5 / rate >= wanted[len(row)]:
            row.append(small)
    row += [row[-1] if row else np.zeros((STRIP_HEIGHT, wide, 3), np.uint8)] * (count - len(row))
    save(np.hstack(row), path)


def spectrogram(audio: NDArray[np.float32], path: Path, size: tuple[int, int] = (1200, 160)) -> None:
    """Linear in time, logarithmic in frequency."""
    save(spectrum(audio, *size), path)


def masked(frame: Picture, mask: NDArray[np.bool_] | None) -> Picture:
    """The frame with what was found in colour and outlined."""
    if mask is None or not mask.any():
        return frame
    shown = frame.copy()
    shown[mask] = (0.55 * shown[mask] + 0.45 * np.asarray(MASK_COLOUR)).astype(np.uint8)
    outline, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(shown, outline, -1, MASK_COLOUR, 2)
    return shown


def as_data(picture: Picture) -> str:
    """A JPEG as a data URL."""
    done, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert done, "OpenCV cannot write JPEG"
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
