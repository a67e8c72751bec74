"""How much of a recording survives the codec, beside Ogg Opus: a table of everything, and one of textures.

    python benchmarks/codec.py --sounds DIR [--codec DIR] [--opus 24 48 96] [--limit N] [--json FILE]

DIR holds manifest.jsonl and audio files, as for recipes/pocket_codec.py. Recordings are those of the splits val and
test whose licences allow training: no codec was trained on them. Without --codec, the one that ships. Columns:

    mel      mean distance of log mel spectra (80 bands, window 2048), nepers
    stft     mean distance of log spectra, windows 64 to 4096, nepers
    treble   mean difference above 8 kHz, nepers; negative is dull
    attack   median time from 10 to 90 % of the 1 ms envelope at strong onsets, ms (originals are in the first row)
    off      median distance of that time from the original's, ms
    lag      median of how much later these onsets are than the original's, by the correlation of their envelopes, ms;
             negative is early
    sharp    share of these onsets that are within 3 ms of their place and take within 3 ms of the original's time from
             10 to 50 % (90 % may be anywhere in a burst of noise)
    top 3    share of recordings whose first YAMNet class is among the reconstruction's first three
    cosine   mean cosine of YAMNet embeddings, averaged over the recording
    stats    mean cosine of the statistics of evaluation/listening.py, each in parts of its spread over the originals:
             no network, and nothing that a codec is trained against
    own      share of reconstructions that are nearer, in these statistics, to their own original than to any other
    moves    mean distance of modulation spectra, dB: whether a texture swells and crackles as fast as it did
    side     mean error of the level difference of left and right, dB, of two seconds that were put to one side
    kbit/s   what the file took, container included

YAMNet is too kind to codecs that were trained with a loss in its layers: for them believe `stats` and `own`.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from reasound.checkpoints.catalog import pocket
from reasound.data.manifest import SHIPPABLE
from reasound.data.recordings import RATE, Audio, read_audio
from reasound.evaluation.listening import BANDS, HOP, WINDOW, mel_filters, modulation, spectra, statistics
from reasound.evaluation.yamnet import Yamnet
from reasound.mixing.spatial import pan_stereo
from reasound.synthesis.codec import Codec
from reasound.synthesis.spectra import Frames, power_of
from reasound.training.codec import mel_matrix

WINDOWS = (64, 128, 256, 512, 1024, 2048, 4096)
FLOOR = 1e-5
LEAD = 0.1
"""Seconds of silence before each recording: many begin with their attack."""
SHARP = 3.0
"""ms by which an attack may differ and still be as sharp."""
SIDES = (-0.7, -0.35, 0.35, 0.7)
"""Where the recordings, one after the other, are put to measure what remains of it."""
TEXTURES = (
    "weather/rain",
    "weather/wind",
    "fire/crackle",
    "voice/cheer_applause",
    "water/stream",
    "water/waves",
)
"""Sounds that consist of their movement; where they have no recording they are missing from the table."""

Coder = Callable[[Audio], tuple[Audio, float | None]]
"""[2, N] -> what came back, and the kbit/s that it took, where that is known."""


@dataclass(frozen=True)
class Onset:
    """Of one strong onset: its 1 ms envelope around it, and how long 10 to 90 % and 10 to 50 % take, in ms."""

    envelope: NDArray[np.float64]
    rise: float
    half: float


def through_opus(audio: Audio, kbits: int) -> tuple[Audio, float]:
    """[2, N] through Ogg Opus and back, delay taken out, and the kbit/s that it took."""
    wide = soxr.resample(audio.T, RATE, 48_000, "HQ").astype(np.float32)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="ogg") as box:
        stream = box.add_stream("libopus", rate=48_000, layout="stereo")
        stream.bit_rate = 1000 * kbits
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(wide.reshape(1, -1)), format="flt", layout="stereo"
        )
        frame.sample_rate = 48_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            box.mux(packet)
    took = buffer.tell() * 8 / 1000 / (audio.shape[1] / RATE)
    with av.open(io.BytesIO(buffer.getvalue()), "r") as opened:
        back = np.concatenate([f.to_ndarray() for f in opened.decode(audio=0)], 1)
    back = back.reshape(-1, 2) if back.shape[0] == 1 else back.T
    back = soxr.resample(back.astype(np.float32), 48_000, RATE, "HQ").T
    a, b = audio.mean(0), back.mean(0)
    size = 1 << (len(a) + len(b)).bit_length()
    match = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)))
    shift = int(np.r_[match[-2000:], match[:2000]].argmax()) - 2000
    back = np.pad(back, ((0, 0), (max(-shift, 0), audio.shape[1])))[:, max(shift, 0) :][:, : audio.shape[1]]
    return back.astype(np.float32), took


def strong_onsets(mono: NDArray[np.float32]) -> list[int]:
    """Where 20 ms carry 15 dB more than the 50 ms before and are near the recording's peak; at most eight."""
    energy = np.convolve(mono.astype(np.float64) ** 2, np.ones(44) / 44, "same")
    total = np.r_[0.0, np.cumsum(energy)]
    n = np.arange(2205, len(mono) - 882, 44)
    after, before = (total[n + 882] - total[n]) / 882, (total[n] - total[n - 2205]) / 2205
    rise = 10 * np.log10((after + 1e-9) / (before + 1e-9))
    loud = after > 0.01 * energy.max()
    found: list[int] = []
    for i in np.argsort(-rise * loud):
        if rise[i] < 15 or not loud[i] or len(found) == 8:
            break
        if all(abs(n[i] - f) > 6615 for f in found):
            found.append(int(n[i]))
    return found


def onset_near(mono: NDArray[np.float32], sample: int) -> Onset:
    """The attack of the loudest thing from 30 ms before to 40 ms after a sample."""
    part = np.zeros(3087)
    inside = mono[max(sample - 1323, 0) : sample + 1764]
    part[max(1323 - sample, 0) :][: len(inside)] = inside
    envelope = np.sqrt(np.convolve(part**2, np.ones(44) / 44, "same"))
    top = int(envelope.argmax())
    low = np.nonzero(envelope[: top + 1] < 0.1 * envelope[top])[0]
    first = int(low[-1]) if len(low) else 0
    half, high = (int(np.argmax(envelope[first : top + 1] >= q * envelope[top])) for q in (0.5, 0.9))
    return Onset(envelope=envelope, rise=high * 1000 / RATE, half=half * 1000 / RATE)


def lag(original: Onset, other: Onset) -> float:
    """ms by which the other is later: where the slopes of the two envelopes agree best, within 20 ms.

    A moment of a fixed share of the peak would not do: the peak of a burst of noise is anywhere in it.
    """
    size, reach = 8192, round(0.02 * RATE)
    a, b = (np.fft.rfft(o.envelope - o.envelope.mean(), size) for o in (original, other))
    match = np.fft.irfft(b * np.conj(a), size)
    return float(np.r_[match[-reach:], match[: reach + 1]].argmax() - reach) * 1000 / RATE


def level_difference(sound: Audio) -> float:
    """Left over right, dB."""
    left, right = (float(np.sum(channel.astype(float) ** 2)) + 1e-9 for channel in sound)
    return 10 * float(np.log10(left / right))


def aside(sound: Audio, pan: float) -> Audio:
    """The loudest two seconds of [2, N], put to one side."""
    energy = np.r_[0.0, np.cumsum(sound.astype(float).mean(0) ** 2)]
    n = min(2 * RATE, sound.shape[1])
    start = int(np.argmax(energy[n:] - energy[:-n]))
    middle = sound[:, start : start + n].mean(0)
    return pan_stereo(np.stack([middle, middle]), pan)


class Meter:
    """Compares reconstructions with originals."""

    def __init__(self) -> None:
        self.frames = {w: Frames(w, w // 4) for w in WINDOWS}
        self.mel = mel_matrix(1025, 80)
        self.yamnet = Yamnet.load()

    def hears(self, sound: Audio) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        scores, embeddings = self.yamnet(sound, RATE)
        return scores.mean(0), embeddings.mean(0)

    def magnitudes(self, sound: Audio) -> dict[int, Tensor]:
        padded = torch.from_numpy(np.pad(sound, ((0, 0), (0, max(0, 8192 - sound.shape[1])))))
        return {w: power_of(self.frames[w](padded)).sqrt() * (4.0 / w) for w in WINDOWS}

    def moves(self, sound: Audio) -> NDArray[np.float64]:
        padded = np.pad(sound, ((0, 0), (0, max(0, WINDOW - sound.shape[1]))))
        return modulation(spectra(padded, WINDOW, HOP) @ mel_filters(WINDOW, BANDS))[0]

    def compare(self, original: Audio, others: dict[str, Audio]) -> dict[str, dict[str, float]]:
        """For each of the others, and for 'original' itself, what was measured."""
        spectrum, mono, moves = self.magnitudes(original), original.mean(0), self.moves(original)
        mel = (spectrum[2048] @ self.mel).clamp(min=FLOOR).log()
        onsets = {at: onset_near(mono, at) for at in strong_onsets(mono)}
        scores, embedding = self.hears(original)
        rows = {"original": {"attack": float(np.median([o.rise for o in onsets.values()]))} if onsets else {}}
        for name, sound in others.items():
            theirs = self.magnitudes(sound)
            bands = (theirs[2048] @ self.mel).clamp(min=FLOOR).log()
            gaps = [((theirs[w] + FLOOR).log() - (spectrum[w] + FLOOR).log()).abs().mean() for w in WINDOWS]
            heard, felt = self.hears(sound)
            row = {
                "mel": float((bands - mel).abs().mean()),
                "stft": float(torch.stack(gaps).mean()),
                "treble": float((bands - mel)[..., 62:].mean()),
                "top 3": float(scores.argmax() in np.argsort(heard)[-3:]),
                "cosine": float(embedding @ felt / (np.linalg.norm(embedding) * np.linalg.norm(felt) + 1e-9)),
                "moves": float(np.abs(self.moves(sound) - moves).mean()),
            }
            if onsets:
                found = {at: onset_near(sound.mean(0), at) for at in onsets}
                off = [found[at].rise - o.rise for at, o in onsets.items()]
                late = [lag(o, found[at]) for at, o in onsets.items()]
                row["attack"] = float(np.median([o.rise for o in found.values()]))
                row["off"] = float(np.median(np.abs(off)))
                row["lag"] = float(np.median(late))
                blunt = [found[at].half - o.half for at, o in onsets.items()]
                row["sharp"] = float(np.mean((np.abs(blunt) <= SHARP) & (np.abs(late) <= SHARP)))
            rows[name] = row
        return rows


def add_likeness(rows: dict[str, list[dict[str, Any]]], felt: dict[str, list[NDArray[np.float32]]]) -> None:
    """Adds `stats` and `own` to the rows, of the statistics of the same sounds in the same order."""
    originals = np.stack(felt["original"])
    mean, spread = originals.mean(0), originals.std(0) + 1e-3
    base = np.clip((originals - mean) / spread, -5, 5)
    for name, found in felt.items():
        if name == "original":
            continue
        seen = np.clip((np.stack(found) - mean) / spread, -5, 5)
        apart = np.square(seen[:, None] - base[None]).sum(2)
        cosine = (seen * base).sum(1) / (np.linalg.norm(seen, axis=1) * np.linalg.norm(base, axis=1) + 1e-9)
        for k, row in enumerate(rows[name]):
            row["stats"], row["own"] = float(cosine[k]), float(apart[k].argmin() == k)


COLUMNS = (
    *("mel", "stft", "treble", "attack", "off", "lag", "sharp"),
    *("top 3", "cosine", "stats", "own", "moves", "side", "kbit/s"),
)
OF_TEXTURES = ("mel", "treble", "moves", "cosine", "stats", "own")


def middle(rows: list[dict[str, Any]], column: str) -> float | None:
    """Median of what is in ms, mean of the rest, None where nothing was measured."""
    values = [row[column] for row in rows if row.get(column) is not None]
    if not values:
        return None
    return float(np.median(values) if column in ("attack", "off", "lag") else np.mean(values))


def table(rows: dict[str, list[dict[str, Any]]], columns: tuple[str, ...]) -> str:
    lines = ["| | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for name, found in rows.items():
        values = [middle(found, column) for column in columns]
        lines.append(f"| {name} | " + " | ".join("" if v is None else f"{v:.3g}" for v in values) + " |")
    return "\n".join(lines)


def held_out(folder: Path) -> list[dict[str, Any]]:
    """Rows of the manifest that a codec may be measured on."""
    lines = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    return [r for r in rows if r["split"] in ("val", "test") and r["licence_group"] in SHIPPABLE]


def coders(codec: Codec, opus: list[int]) -> dict[str, Coder]:
    def ours(sound: Audio) -> tuple[Audio, float | None]:
        with torch.inference_mode():
            back = codec.decode(codec.encode(torch.from_numpy(sound)[None]), sound.shape[1])
        return back[0].numpy(), None

    def theirs(kbits: int) -> Coder:
        return lambda sound: through_opus(sound, kbits)

    return {"codec": ours} | {f"Opus {kbits}": theirs(kbits) for kbits in opus}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sounds", type=Path, required=True, help="folder with manifest.jsonl and audio files"
    )
    parser.add_argument("--codec", type=Path, help="folder with config.json and codec.safetensors")
    parser.add_argument("--opus", type=int, nargs="*", default=[24, 48, 96], help="kbit/s")
    parser.add_argument("--seconds", type=float, default=9.0, help="of each recording, at most")
    parser.add_argument("--limit", type=int, help="this many recordings, spread over all")
    parser.add_argument("--json", type=Path, help="where to write every number")
    args = parser.parse_args()
    systems, meter = coders(Codec.load(args.codec or pocket("codec")), args.opus), Meter()
    held = held_out(args.sounds)
    if args.limit and args.limit < len(held):
        held = [held[k * len(held) // args.limit] for k in range(args.limit)]
    rows: dict[str, list[dict[str, Any]]] = {}
    felt: dict[str, list[NDArray[np.float32]]] = {}
    for k, entry in enumerate(held):
        original = read_audio(args.sounds / entry["file"])[:, : int(args.seconds * RATE)]
        original = original / max(1.0, float(np.abs(original).max(initial=0.0)))
        original = np.pad(original, ((0, 0), (round(LEAD * RATE), 0)))
        panned = aside(original, SIDES[k % len(SIDES)])
        made = {name: coder(original) for name, coder in systems.items()}
        others = {name: sound for name, (sound, _) in made.items()}
        for name, measured in meter.compare(original, others).items():
            row: dict[str, Any] = {"id": entry["id"], "class": entry["sound_class"]} | measured
            if name != "original":
                beside = level_difference(systems[name](panned)[0])
                row |= {"kbit/s": made[name][1], "side": abs(beside - level_difference(panned))}
            rows.setdefault(name, []).append(row)
        for name, sound in ({"original": original} | others).items():
            felt.setdefault(name, []).append(statistics(sound))
    add_likeness(rows, felt)
    print(f"{len(held)} recordings\n\n{table(rows, COLUMNS)}")
    for texture in TEXTURES:
        of_class = {n: [r for r in found if r["class"] == texture] for n, found in rows.items()}
        if of_class["original"]:
            of_class.pop("original")
            count = len(of_class["codec"])
            print(f"\n{texture}, {count} recordings\n\n{table(of_class, OF_TEXTURES)}")
    if args.json:
        summary = {n: {c: middle(found, c) for c in COLUMNS} for n, found in rows.items()}
        args.json.write_text(
            json.dumps({"recordings": len(held), "summary": summary, "rows": rows}, indent=1)
        )


if __name__ == "__main__":
    main()
