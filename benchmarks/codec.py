"""How much of a recording survives the codec, beside Ogg Opus: one table.

    python benchmarks/codec.py --codec DIR --sounds DIR [--cache DIR] [--opus 24 48] [--limit N]

Recordings are those of the splits val and test whose licences allow training: nothing here was trained on. Columns:

    mel      mean distance of log mel spectra (80 bands, window 2048), nepers
    stft     mean distance of log spectra, windows 64 to 4096, nepers
    treble   mean difference above 8 kHz, nepers; negative is dull
    attack   median time from 10 to 90 % of the 1 ms envelope at strong onsets, ms (originals are in the first row)
    shift    median distance of these onsets from the original's, ms
    top 3    share of recordings whose first YAMNet class is among the reconstruction's first three
    cosine   mean cosine of YAMNet embeddings, averaged over the recording
    kbit/s   what the file took, container included
"""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from reasound.data.recordings import RATE, Audio, Recordings, decode_once
from reasound.evaluation.yamnet import Yamnet
from reasound.synthesis.codec import Codec
from reasound.synthesis.spectra import Frames, power_of
from reasound.training.codec import mel_matrix

WINDOWS = (64, 128, 256, 512, 1024, 2048, 4096)
FLOOR = 1e-5


@dataclass(frozen=True)
class Onset:
    """Of one strong onset: when half of its envelope is reached, and how long 10 to 90 % takes, in ms."""

    at: float
    rise: float


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
    part = mono[max(sample - 1323, 0) : sample + 1764].astype(np.float64)
    envelope = np.sqrt(np.convolve(part**2, np.ones(44) / 44, "same"))
    top = int(envelope.argmax())
    low = np.nonzero(envelope[: top + 1] < 0.1 * envelope[top])[0]
    first = int(low[-1]) if len(low) else 0
    high, half = (first + int(np.argmax(envelope[first : top + 1] >= q * envelope[top])) for q in (0.9, 0.5))
    return Onset(at=half * 1000 / RATE, rise=(high - first) * 1000 / RATE)


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

    def compare(self, original: Audio, others: dict[str, Audio]) -> dict[str, dict[str, float]]:
        """For each of the others, and for 'original' itself, what was measured."""
        spectra, mono = self.magnitudes(original), original.mean(0)
        mel = (spectra[2048] @ self.mel).clamp(min=FLOOR).log()
        onsets = {at: onset_near(mono, at) for at in strong_onsets(mono)}
        scores, embedding = self.hears(original)
        rows = {"original": {"attack": float(np.median([o.rise for o in onsets.values()]))} if onsets else {}}
        for name, sound in others.items():
            theirs = self.magnitudes(sound)
            bands = (theirs[2048] @ self.mel).clamp(min=FLOOR).log()
            gaps = [((theirs[w] + FLOOR).log() - (spectra[w] + FLOOR).log()).abs().mean() for w in WINDOWS]
            heard, felt = self.hears(sound)
            row = {
                "mel": float((bands - mel).abs().mean()),
                "stft": float(torch.stack(gaps).mean()),
                "treble": float((bands - mel)[..., 62:].mean()),
                "top 3": float(scores.argmax() in np.argsort(heard)[-3:]),
                "cosine": float(embedding @ felt / (np.linalg.norm(embedding) * np.linalg.norm(felt) + 1e-9)),
            }
            if onsets:
                found = {at: onset_near(sound.mean(0), at) for at in onsets}
                row["attack"] = float(np.median([o.rise for o in found.values()]))
                row["shift"] = float(np.median([abs(found[at].at - o.at) for at, o in onsets.items()]))
            rows[name] = row
        return rows


COLUMNS = ("mel", "stft", "treble", "attack", "shift", "top 3", "cosine", "kbit/s")


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """Medians of what is in ms, means of the rest."""
    lines = ["| | " + " | ".join(COLUMNS) + " |", "| --- |" + " --- |" * len(COLUMNS)]
    for name, found in rows.items():
        cells = []
        for column in COLUMNS:
            values = [row[column] for row in found if column in row]
            middle = np.median if column in ("attack", "shift") else np.mean
            cells.append(f"{middle(values):.3g}" if values else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--codec", type=Path, required=True, help="folder with config.json and codec.safetensors"
    )
    parser.add_argument(
        "--sounds", type=Path, required=True, help="folder with manifest.jsonl and audio files"
    )
    parser.add_argument(
        "--cache", type=Path, help="folder for decoded recordings (default: CODEC/recordings)"
    )
    parser.add_argument("--opus", type=int, nargs="*", default=[24, 48], help="kbit/s")
    parser.add_argument("--seconds", type=float, default=9.0, help="of each recording, at most")
    parser.add_argument("--limit", type=int, help="this many recordings, spread over all")
    args = parser.parse_args()
    codec, meter = Codec.load(args.codec), Meter()
    cache = args.cache or args.codec / "recordings"
    decode_once(args.sounds, cache)
    held = Recordings(cache, "val", "test")
    rows: dict[str, list[dict[str, float]]] = {}
    step = max(1, len(held) // args.limit) if args.limit else 1
    for i in range(0, len(held), step):
        original = held.read(i)[:, : int(args.seconds * RATE)]
        coded = codec.decode(codec.encode(torch.from_numpy(original)[None]), original.shape[1])
        others, rates = {"codec": coded[0].numpy()}, {}
        for kbits in args.opus:
            others[f"Opus {kbits}"], rates[f"Opus {kbits}"] = through_opus(original, kbits)
        for name, row in meter.compare(original, others).items():
            rows.setdefault(name, []).append(row | ({"kbit/s": rates[name]} if name in rates else {}))
    print(f"{len(rows['original'])} recordings\n\n{table(rows)}")


if __name__ == "__main__":
    main()
