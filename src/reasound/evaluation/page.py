"""The report as one page: tables, and for each clip its film strip, spectrograms, onsets and players on one time axis.

Everything is inside the one file, and its content policy forbids the browser to fetch anything else.
"""

from __future__ import annotations

import io
import struct
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import av
import cv2
import numpy as np
from av.audio.frame import AudioFrame
from av.codec.context import Flags
from numpy.typing import NDArray

from reasound.evaluation.report import Report, check
from reasound.evaluation.tables import (
    ARROWS,
    CEILINGS,
    NOTHING,
    Cell,
    cells,
    common_count,
    flat,
    left_out,
    not_in_tables,
    shown,
)
from reasound.media.atomic import replacing
from reasound.timeline import SAMPLE_RATE

Audio = NDArray[np.float32]  # [2, N] at 44.1 kHz
Picture = NDArray[np.uint8]  # [H, W, 3] red, green, blue

BIT_RATE = 64_000
AAC_FRAME = 1024
STRIP = 1200
"""Pixels across a film strip."""
COLUMNS, ROWS = 600, 96
"""Pixels of a spectrogram."""
WINDOW = 1024
"""Samples of a spectrum: 23 ms, so that an attack is a line."""
LOWEST, HIGHEST = 60.0, SAMPLE_RATE / 2
"""Hz at the bottom and top of the spectrogram."""
RANGE, LEVELS = 75.0, 32
"""dB from the darkest to the brightest colour, and how many colours; fewer make a smaller file."""
LABELS = ((100, "100 Hz"), (1_000, "1 kHz"), (10_000, "10 kHz"))
SHOWN_SCORES = 3
"""Scores beside a spectrogram; all of them are one press away."""


@dataclass(frozen=True)
class Sound:
    """What one system made of a clip."""

    system: str
    audio: Audio
    onsets: tuple[float, ...]
    """Seconds; found in this sound."""
    note: str = ""


@dataclass(frozen=True)
class Card:
    """One clip of the page."""

    id: str
    title: str
    seconds: float
    film: list[Picture]
    """Evenly spaced: picture i of n stands for the i-th n-th of the clip. All of one size."""
    wanted: tuple[float, ...]
    """Seconds at which something truly sounds."""
    text: str
    """The caption, and below it the chain of thought."""
    sounds: tuple[Sound, ...]
    scores: Mapping[str, Mapping[str, float | None]]
    """System -> measure -> number."""


def write(path: Path | str, report: Report, cards: Sequence[Card]) -> None:
    """One HTML file, whole or not at all; the same report and cards give the same bytes."""
    check(report)
    own = files("reasound.evaluation")
    parts = {
        "Tables": _tables(report),
        "Clips": "".join(_card(card, i, report) for i, card in enumerate(cards)),
        "Classes": _classes(report),
        "Not scored": _left_out(report),
        "About": _about(report),
    }
    if cards:
        parts["Clips"] = READING + parts["Clips"]
    ids = {name: name.lower().replace(" ", "-") for name in parts}
    body = [f'<section id="{ids[n]}"><h2>{n}</h2>{part}</section>' for n, part in parts.items() if part]
    seconds = sum(item["seconds"] for item in report["items"])
    listened = f" {len(cards)} of them can be heard below." if cards else ""
    page = Template((own / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(report["title"]),
        subtitle=f"{len(report['items'])} items, {seconds:.0f} s.{listened}",
        nav="".join(f'<a href="#{ids[name]}">{name}</a>' for name, part in parts.items() if part),
        style=(own / "page.css").read_text(encoding="utf-8"),
        script=(own / "page.js").read_text(encoding="utf-8"),
        body="\n".join(body),
    )
    with replacing(Path(path)) as fresh:
        fresh.write_text(page, encoding="utf-8")


READING = (
    "<p>The film strip and one spectrogram a sound share one time axis "
    f"({LOWEST:.0f} Hz at the bottom, {HIGHEST / 1000:.0f} kHz at the top, logarithmic; within a clip the same colour "
    'is the same level). <span class="key"></span> when something truly sounds; <span class="key tick"></span> under '
    "a spectrogram, an onset found in that sound: where the two meet, it is on time. Press a spectrogram to hear it "
    "from there. <kbd>space</kbd> plays and stops, <kbd>1</kbd> to <kbd>9</kbd> switch to another sound of the clip at "
    "the same moment.</p>"
)


def _tables(report: Report) -> str:
    parts = [
        "<p>Mean over the items; below it half of the 95% bootstrap interval, drawn as a line on the scale of its "
        "column. n: items with a number, where not all have one. ↑ more is better, ↓ less is better; the best of a "
        f"column is green, {' and '.join(CEILINGS)} aside.</p>"
    ]
    for table in report["tables"]:
        found = cells(report, table)
        heads = "".join(_head(report, name, common_count(report, found, name)) for name in table["measures"])
        rows = ""
        for system in table["systems"]:
            words = escape(report["systems"][system])
            row = "".join(_cell(report, found, system, name) for name in table["measures"])
            rows += f'<tr><th scope="row" title="{words}">{escape(system)}</th>{row}</tr>'
        parts.append(
            f'<div class="wide" tabindex="0"><table><caption>{escape(table["title"])}</caption>'
            f"<thead><tr><th></th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
        )
    if missing := not_in_tables(report):
        parts.append(f"<p>Measured, in the JSON file, and in no table: {escape('. '.join(missing))}.</p>")
    measures = {
        name: f"{measure['text']} ({measure['protocol']})" if measure["protocol"] else measure["text"]
        for name, measure in report["measures"].items()
    }
    parts.append(f"<details><summary>What the columns mean</summary>{_list(measures)}</details>")
    parts.append(f"<details><summary>What the rows are</summary>{_list(report['systems'])}</details>")
    return "".join(parts)


def _head(report: Report, name: str, count: int | None) -> str:
    measure = report["measures"][name]
    below = measure["unit"]
    if count is not None and count != len(report["items"]):
        below += f" n={count}"
    return (
        f'<th scope="col" title="{escape(measure["text"])}">{escape(name)} {ARROWS[measure["better"]]}'
        f"<small>{escape(below) or '&nbsp;'}</small></th>"
    )


def _cell(report: Report, found: Mapping[tuple[str, str], Cell], system: str, name: str) -> str:
    cell, measure = found.get((system, name)), report["measures"][name]
    if cell is None:
        return f"<td>{NOTHING}</td>"
    text = f"<b>{shown(cell.value, measure)}</b>"
    count = f" n={cell.count}" if cell.count is not None and common_count(report, found, name) is None else ""
    if cell.low is not None and cell.high is not None:
        lows, highs = zip(
            *((c.low, c.high) for (_, m), c in found.items() if m == name and c.low is not None), strict=True
        )
        scale = 100 / ((max(highs) - min(lows)) or 1)
        left, wide = scale * (cell.low - min(lows)), scale * (cell.high - cell.low)
        text += (
            f'<small title="{shown(cell.low, measure)} to {shown(cell.high, measure)}">'
            f"±{shown((cell.high - cell.low) / 2, measure)}{count}</small>"
            f'<span class="ci"><i style="left:{left:.1f}%;width:{wide:.1f}%"></i>'
            f'<u style="left:{scale * (cell.value - min(lows)):.1f}%"></u></span>'
        )
    elif count:
        text += f"<small>{count}</small>"
    return f'<td class="best">{text}</td>' if cell.best else f"<td>{text}</td>"


def _classes(report: Report) -> str:
    if not report["classes"]:
        return ""
    systems = [s for s in report["systems"] if any(s in row for row in report["classes"].values())]
    heads = "".join(f'<th scope="col">{escape(system)}</th>' for system in systems)
    rows = ""
    for name, row in report["classes"].items():
        counts = (f"{row[s]['right']} of {row[s]['of']}" if s in row else NOTHING for s in systems)
        rows += f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{c}</td>" for c in counts)}</tr>'
    return (
        f"<p>How often the right class of sound was heard.</p><details><summary>{len(report['classes'])} classes"
        f'</summary><div class="wide" tabindex="0"><table><thead><tr><th></th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _left_out(report: Report) -> str:
    if not report["unscored"]:
        return "<p>Everything could be scored.</p>"
    return "".join(
        f"<p><b>{escape(reason)}</b> ({len(names)}): {escape(', '.join(names))}</p>"
        for reason, names in left_out(report)
    )


def _about(report: Report) -> str:
    return _list({"what": report["what"], "schema": report["schema"], **flat(report["about"])})


def _list(rows: Mapping[str, str]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(k)}</dt><dd>{escape(v)}</dd>' for k, v in rows.items())}</dl>"


def _card(card: Card, number: int, report: Report) -> str:
    """Film strip, a lane a sound, the axis."""
    caption, _, thought = card.text.partition("\n")
    text = f"<p>{escape(caption)}</p>" if caption else ""
    if thought.strip():
        text += f"<details><summary>Chain of thought</summary><p>{escape(thought.strip())}</p></details>"
    spectra = [spectrogram(_fitted(sound.audio, card.seconds)) for sound in card.sounds]
    loudest = max((float(s.max()) for s in spectra), default=0.0)
    lanes = "".join(
        _lane(card, sound, painted(spectrum, loudest), report)
        for sound, spectrum in zip(card.sounds, spectra, strict=True)
    )
    strip = _address("image/jpeg", film_strip(card.film))
    return (
        f'<article class="card" id="clip-{number}" data-seconds="{float(card.seconds):g}"><h3>{escape(card.title)}</h3>'
        f'<p class="faint">{escape(card.id)}, {float(card.seconds):g} s</p><div class="text">{text}</div>'
        f'<div class="lane film"><div class="who"></div><div class="time"><img src="{strip}" '
        f'alt="{len(card.film)} pictures of the clip, evenly spaced"><i class="head"></i></div></div>'
        f'{lanes}<div class="lane axis"><div class="who"><span class="clock">0.00 s</span></div>'
        f'<div class="time">{_axis(card.seconds)}</div></div>{_card_scores(card, report)}</article>'
    )


def _lane(card: Card, sound: Sound, picture: bytes, report: Report) -> str:
    scores = card.scores.get(sound.system, {})
    listed = [
        name for table in report["tables"] for name in table["measures"] if scores.get(name) is not None
    ]
    lines = [
        f"{name} {shown(scores[name] or 0.0, report['measures'][name])} {report['measures'][name]['unit']}"
        for name in list(dict.fromkeys(listed))[:SHOWN_SCORES]
    ]
    lasts = sound.audio.shape[1] / SAMPLE_RATE
    if abs(lasts - card.seconds) > 0.05:
        lines.append(f"lasts {lasts:.2f} s, the clip {card.seconds:.2f} s")
    if sound.note:
        lines.append(sound.note)
    name = escape(sound.system)
    labels = "".join(
        f'<em style="--y:{1 - np.log(hertz / LOWEST) / np.log(HIGHEST / LOWEST):.3f}">{text}</em>'
        for hertz, text in LABELS
    )
    return (
        f'<div class="lane sound"><div class="who"><button class="play" aria-label="Play or stop {name}"></button><div>'
        f'<b title="{escape(report["systems"].get(sound.system, ""))}">{name}</b>'
        f'{"".join(f"<small>{escape(line)}</small>" for line in lines)}<small class="trouble"></small></div></div>'
        f'<div class="time" tabindex="0" role="slider" aria-label="{name}: seconds" aria-valuemin="0" '
        f'aria-valuemax="{float(card.seconds):g}" aria-valuenow="0">'
        f'<img src="{_address("image/png", picture)}" alt="Spectrogram of {name}">{labels}'
        f'<svg viewBox="0 0 {float(card.seconds):g} 8" preserveAspectRatio="none">'
        f'<path class="wanted" d="{_marks(card.wanted, 0, 8)}"></path>'
        f'<path class="found" d="{_marks(sound.onsets, 7, 8)}"></path></svg><i class="head"></i></div>'
        f'<audio preload="none" src="{_address("audio/mp4", aac(sound.audio))}"></audio></div>'
    )


def _marks(times: Sequence[float], top: float, bottom: float) -> str:
    return "".join(f"M{float(time):.3f} {top}V{bottom}" for time in times)


def _axis(seconds: float) -> str:
    step = next(s for s in (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1e9) if seconds / s <= 12)
    times = np.arange(0, seconds + 1e-6, step)
    last = seconds * 0.97  # a number that would stand out beyond the end is moved inside
    return "".join(
        f'<span{" class=last" if t > last else ""} style="left:{t / seconds:.2%}">{t:g}</span>' for t in times
    )


def _card_scores(card: Card, report: Report) -> str:
    names = [name for name in report["measures"] if any(name in row for row in card.scores.values())]
    if unknown := {name for row in card.scores.values() for name in row} - set(names):
        raise ValueError(f"{', '.join(sorted(unknown))} of {card.id} is not declared in the report")
    if not names:
        return ""
    heads = "".join(_head(report, name, None) for name in names)
    rows = ""
    for system, row in card.scores.items():
        values = (row.get(name) for name in names)
        texts = (
            NOTHING if v is None else shown(v, report["measures"][n])
            for n, v in zip(names, values, strict=True)
        )
        rows += f'<tr><th scope="row">{escape(system)}</th>{"".join(f"<td>{t}</td>" for t in texts)}</tr>'
    return (
        '<details><summary>All scores of this clip</summary><div class="wide" tabindex="0"><table><thead><tr><th></th>'
        f"{heads}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _address(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{b64encode(data).decode()}"


def _fitted(audio: Audio, seconds: float) -> Audio:
    """As long as the clip, for the picture only."""
    length = round(seconds * SAMPLE_RATE)
    return np.pad(audio[:, :length], ((0, 0), (0, max(0, length - audio.shape[1]))))


def film_strip(film: Sequence[Picture]) -> bytes:
    """Pictures [H, W, 3] of one size, side by side, as JPEG."""
    wide = STRIP // len(film)
    tall = round(film[0].shape[0] * wide / film[0].shape[1])
    strip = np.hstack([cv2.resize(f, (wide, tall), interpolation=cv2.INTER_AREA) for f in film])
    done, data = cv2.imencode(".jpg", strip[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])
    assert done
    return bytes(data.tobytes())


def spectrogram(audio: Audio) -> NDArray[np.float64]:
    """[2, N] -> dB [ROWS, COLUMNS], the highest band first: bands of equal width on a logarithmic axis, column i
    about the moment (i + 1/2) / COLUMNS of the sound."""
    mono = np.pad(audio.mean(0), WINDOW // 2)
    starts = ((np.arange(COLUMNS) + 0.5) / COLUMNS * audio.shape[1]).astype(int)
    shape = np.hanning(WINDOW).astype(np.float32)
    power = np.abs(np.fft.rfft(mono[starts[:, None] + np.arange(WINDOW)] * shape)) ** 2  # [COLUMNS, bins]
    edges = np.geomspace(LOWEST, HIGHEST, ROWS + 1) * WINDOW / SAMPLE_RATE
    bins = np.arange(power.shape[1])[:, None]
    # How much of each bin lies in each band.
    shares = np.clip(np.minimum(edges[1:], bins + 0.5) - np.maximum(edges[:-1], bins - 0.5), 0, None)
    level = 10 * np.log10(power @ (shares / shares.sum(0)) + 1e-12)
    return np.ascontiguousarray(level.T[::-1], np.float64)


def painted(level: NDArray[np.float64], loudest: float) -> bytes:
    """dB [H, W] as PNG with a palette, `loudest` brightest: a third of the size that OpenCV's own writer gives."""
    shade = np.round(np.clip((level - loudest + RANGE) / RANGE, 0, 1) * (LEVELS - 1)).astype(np.uint8)
    greys = np.linspace(0, 255, LEVELS).round().astype(np.uint8)[:, None]
    palette = cv2.applyColorMap(greys, cv2.COLORMAP_MAGMA)[:, 0, ::-1]
    # Filter 2 of PNG: each row is written as its difference from the row above.
    rows = np.diff(shade, axis=0, prepend=np.zeros_like(shade[:1]))
    lines = np.hstack([np.full((len(rows), 1), 2, np.uint8), rows])
    header = struct.pack(">IIBBBBB", shade.shape[1], shade.shape[0], 8, 3, 0, 0, 0)
    chunks = (b"IHDR", header), (b"PLTE", palette.tobytes()), (b"IDAT", zlib.compress(lines.tobytes(), 9))
    png = b"\x89PNG\r\n\x1a\n"
    for kind, data in (*chunks, (b"IEND", b"")):
        png += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return png


def aac(audio: Audio) -> bytes:
    """[2, N] at 44.1 kHz as AAC in mp4, which every browser plays; starts with the first sample."""
    memory = io.BytesIO()
    options = {"fflags": "+bitexact", "movie_timescale": str(SAMPLE_RATE)}
    with av.open(memory, "w", format="mp4", options=options) as target:
        track = target.add_stream("aac", rate=SAMPLE_RATE)
        track.layout = "stereo"
        track.bit_rate = BIT_RATE
        track.codec_context.flags |= Flags.bitexact
        for start in range(0, audio.shape[1], AAC_FRAME):
            piece = np.ascontiguousarray(audio[:, start : start + AAC_FRAME], np.float32)
            frame = AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
            target.mux(track.encode(frame))
        target.mux(track.encode(None))
    return memory.getvalue()
