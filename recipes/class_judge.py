"""Train the judge that says which class of the taxonomy a sound is, from recordings that nothing else learns from.

    python recipes/class_judge.py --sounds DIR --out models/reasound-benchmark/src/reasound_benchmark/judge \
        --cache RUN [--variants 4] [--library 3]

DIR holds `manifest.jsonl` and the audio files that it names, as for recipes/pocket_sounds.py. The judge hears what is
only GPL or Free Art, and the test split of the rest: neither the sound library nor the weights of any model that ships
hold these recordings. Cross-validation by recording series finds which classes it can tell apart; the others are judged
as groups. Then the library's own recordings, unprocessed, say how often a perfect renderer would be right. Nearly all
the time, some ten minutes on a free core, goes into listening, which is kept in --cache.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from benchmark_sounds import COPIES
from pocket_sounds import cell, rows_of
from reasound.checkpoints import store
from reasound.data.manifest import SHIPPABLE
from reasound.data.recordings import read_audio
from reasound.errors import one_sentence
from reasound.evaluation.captions import HITS, SECONDS
from reasound.evaluation.judge import EARS, KIND, RANGE, Ear, Ears, Judge, hear
from reasound.mixing.spatial import place
from reasound.plan import Acoustics
from reasound.reasoning.knowledge import sound_class
from reasound.synthesis.match import Library
from reasound.timeline import SAMPLE_RATE

Audio = NDArray[np.float32]
"""[C, N] at 44.1 kHz."""
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

LENGTH = round(SECONDS * SAMPLE_RATE)
LONGEST = 12 * SAMPLE_RATE
"""Samples of a recording that are heard at most."""
FOLDS, SEED = 5, 0
SHRINK = 0.5
"""How far the covariance is drawn towards a sphere."""
WARMTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
"""By which scores may be divided, so that they are as sure as they are right."""
SURE, SERIES = 0.5, 3
"""A group stands when so many of its held-out recordings are known, from at least so many series."""


def judged(folder: Path) -> list[dict[str, Any]]:
    """The rows that nothing that ships has learned from, nor from another take of the same series."""
    rows = list(rows_of(folder))
    learned = {r["series"] for r in rows if r["licence_group"] in SHIPPABLE and r["split"] != "test"}
    held = [r for r in rows if r["licence_group"] not in SHIPPABLE or r["split"] == "test"]
    return [r for r in held if r["series"] not in learned and r["id"] not in COPIES]


def mono(sound: Audio) -> Audio:
    """[2, N] -> [1, LONGEST at most]: channels averaged."""
    return sound[:, :LONGEST].mean(0, keepdims=True)


def arranged(takes: list[Audio], trigger: str, rng: np.random.Generator) -> Audio:
    """[1, 4 s] from takes of one series: struck in the rhythm of the captions, repeated with pauses, cut or looped."""
    first, out = takes[0], np.zeros((1, LENGTH), np.float32)
    lasts = first.shape[1] / SAMPLE_RATE
    if trigger in ("impact", "step") and lasts < 1.5 and rng.random() < 0.75:
        moments = [h + rng.uniform(-0.02, 0.02) for h in HITS[: len(HITS) if rng.random() < 0.7 else 1]]
    elif first.shape[1] >= LENGTH:
        start = int(rng.integers(first.shape[1] - LENGTH + 1))
        return faded(first[:, start : start + LENGTH])
    elif trigger in ("none", "continuous"):  # a loop whose seams overlap
        moments = list(np.arange(-rng.uniform(0, lasts), SECONDS, 0.93 * lasts))
        takes = [faded(first, 0.06 * lasts)]
    else:
        moments, at = [], rng.uniform(0.0, 0.6)
        while at < SECONDS - 0.2:
            moments.append(at)
            at += lasts + rng.exponential(0.8)
    for k, moment in enumerate(moments):
        take = takes[0] if k == 0 else takes[int(rng.integers(len(takes)))]
        start = round(moment * SAMPLE_RATE)
        part = take[:, max(0, -start) :][:, : LENGTH - max(start, 0)] * 10 ** (rng.uniform(-4, 0) / 20)
        out[:, max(start, 0) : max(start, 0) + part.shape[1]] += part
    return faded(out)


def faded(sound: Audio, seconds: float = 0.01) -> Audio:
    n = max(1, min(round(seconds * SAMPLE_RATE), sound.shape[1] // 2))
    ramp = np.linspace(0, 1, n, dtype=np.float32)
    sound = sound.copy()
    sound[:, :n] *= ramp
    sound[:, -n:] *= ramp[::-1]
    return sound


def varied(sound: Audio, rng: np.random.Generator) -> Audio:
    """Pitch, colour, bandwidth, room, place, a little noise: what a renderer may do to a sound without being wrong."""
    if rng.random() < 0.6:
        pitch = 2 ** (rng.uniform(-2, 2) / 12)
        sound = soxr.resample(sound.T, SAMPLE_RATE * pitch, SAMPLE_RATE, "MQ").T.astype(np.float32)
        sound = np.pad(sound, ((0, 0), (0, max(0, LENGTH - sound.shape[1]))))[:, :LENGTH]
    octaves = np.log2(np.maximum(np.fft.rfftfreq(LENGTH, 1 / SAMPLE_RATE), 30.0) / 1000)
    curve = np.interp(octaves, np.linspace(-5, 4.5, 6), rng.normal(0, 3, 6)) + rng.normal(0, 0.8) * octaves
    if rng.random() < 0.3:
        curve -= np.clip(octaves - np.log2(rng.uniform(5, 12)), 0, 1) * 60
    sound = np.fft.irfft(np.fft.rfft(sound) * 10 ** (curve / 20), LENGTH).astype(np.float32)
    if rng.random() < 0.3:
        room = Acoustics(space="room", reverb=float(rng.uniform(0.05, 0.3)))
        sound = place(np.repeat(sound, 2, 0), float(rng.uniform(-0.7, 0.7)), 3.0, room, int(rng.integers(8)))
    if rng.random() < 0.5:
        level = np.sqrt(np.mean(sound**2)) * 10 ** (-rng.uniform(25, 45) / 20)
        sound = sound + (level * rng.standard_normal(sound.shape)).astype(np.float32)
    return sound


@dataclass(frozen=True)
class Listened:
    """What was heard: one row for every clip."""

    ears: dict[str, Doubles]
    """Ear -> [R, D]."""
    place: Ints
    """Which recording."""

    @classmethod
    def of(cls, path: Path, sounds: Callable[[], Iterator[Audio]]) -> Listened:
        """Of all these sounds, in their order; from the file where it is there, and into it where not."""
        if not path.exists():
            heard = [hear(sound) for sound in sounds()]
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, yamnet=[h["yamnet"] for h in heard], mel=[h["mel"] for h in heard])
            print(f"{path.name}: {len(heard)} sounds heard", flush=True)
        with np.load(path) as stored:
            ears = {ear: stored[ear].astype(float) for ear in EARS}
        return cls(ears, np.arange(len(ears["mel"])))

    @classmethod
    def joined(cls, parts: list[Listened]) -> Listened:
        ears = {ear: np.concatenate([p.ears[ear] for p in parts]) for ear in EARS}
        return cls(ears, np.concatenate([p.place for p in parts]))


def listen(folder: Path, rows: list[dict[str, Any]], variants: int, cache: Path) -> Listened:
    """Every recording itself, and then as many variants of it."""
    of_series: dict[tuple[str, str], list[int]] = defaultdict(list)
    for k, row in enumerate(rows):
        of_series[row["series"], row["sound_class"]].append(k)

    def sound(k: int) -> Audio:
        return mono(read_audio(folder / rows[k]["file"]))

    def variant(number: int) -> Iterator[Audio]:
        for k, row in enumerate(rows):
            rng = np.random.default_rng([SEED, k, number])
            others = [o for o in of_series[row["series"], row["sound_class"]] if o != k]
            takes = [sound(o) for o in (k, *(others[i] for i in rng.permutation(len(others))[:3]))]
            yield varied(arranged(takes, sound_class(row["sound_class"]).trigger, rng), rng)

    parts = [Listened.of(cache / "recordings.npz", lambda: (sound(k) for k in range(len(rows))))]
    for number in range(1, variants + 1):
        parts.append(Listened.of(cache / f"variant-{number}.npz", partial(variant, number)))
    return Listened.joined(parts)


def folds(rows: list[dict[str, Any]]) -> Ints:
    """Which fold each recording is held out in: series stay together, the series of a class spread."""
    rng = np.random.default_rng(SEED)
    of_series: dict[str, int] = {}
    for name in sorted({r["sound_class"] for r in rows}):
        fresh = sorted({r["series"] for r in rows if r["sound_class"] == name} - set(of_series))
        start = int(rng.integers(FOLDS))
        for k, which in enumerate(rng.permutation(len(fresh))):
            of_series[fresh[which]] = (start + k) % FOLDS
    return np.array([of_series[r["series"]] for r in rows])


def balanced(rows: list[dict[str, Any]], place: Ints) -> Doubles:
    """A weight for every clip: the series of a class count alike, and classes by the root of their series."""
    names = [(rows[p]["sound_class"], rows[p]["series"]) for p in place]
    clips = Counter(names)
    series = Counter(name for name, _ in clips)
    return np.array([series[name[0]] ** -0.5 / clips[name] for name in names])


def discriminant(heard: Doubles, kinds: Ints, weights: Doubles, count: int) -> Ear:
    """Linear discriminant with a shrunk common covariance and equal odds; classes that are absent never win.

    Args:
        heard: [R, D].
        kinds: [R], below `count`.
        weights: [R], of the clips.
    """
    weights = weights / weights.sum()
    mean = weights @ heard
    scale = 1 / (np.sqrt(weights @ (heard - mean) ** 2) + 1e-2)
    points = np.clip((heard - mean) * scale, -RANGE, RANGE)
    share = np.zeros((count, len(kinds)))
    share[kinds, np.arange(len(kinds))] = weights
    present = share.sum(1) > 0
    centres = share @ points / np.maximum(share.sum(1, keepdims=True), 1e-12)
    apart = (points - centres[kinds]) * np.sqrt(weights)[:, None]
    sphere = SHRINK * np.sum(apart**2) / apart.shape[1]
    matrix = centres / sphere
    if len(apart) < apart.shape[1]:  # the same by Woodbury's identity: fewer clips than numbers
        inner = sphere / (1 - SHRINK) * np.eye(len(apart)) + apart @ apart.T
        matrix = matrix - (np.linalg.solve(inner, apart @ matrix.T).T @ apart)
    else:
        spread = (1 - SHRINK) * apart.T @ apart + sphere * np.eye(apart.shape[1])
        matrix = np.linalg.solve(spread, centres.T).T
    ear = Ear(apart.shape[1], count)
    bias = np.where(present, -0.5 * (matrix * centres).sum(1), -1e4)
    values = {"mean": mean, "scale": scale, "linear.weight": matrix, "linear.bias": bias}
    ear.load_state_dict({name: torch.from_numpy(value) for name, value in values.items()})
    return ear.requires_grad_(False)


def held_out_scores(heard: Doubles, kinds: Ints, weights: Doubles, fold: Ints, count: int) -> torch.Tensor:
    """[R, count]: of every clip by a judge that heard nothing of its series."""
    scores = torch.zeros(len(kinds), count)
    for k in range(FOLDS):
        own = fold == k
        ear = discriminant(heard[~own], kinds[~own], weights[~own], count)
        scores[torch.from_numpy(own)] = ear(torch.from_numpy(heard[own]).float())
    return scores


def warmth_of(scores: torch.Tensor, kinds: Ints, known: NDArray[np.bool_]) -> float:
    """What the scores must be divided by for the truth to be most probable, over the clips that can be known."""
    truth = torch.from_numpy(kinds[known])
    some = scores[torch.from_numpy(known)]
    return min(WARMTHS, key=lambda w: float(torch.nn.functional.cross_entropy(some / w, truth)))


def grouped(
    chances: Doubles, kinds: Ints, series: list[str], names: list[str]
) -> tuple[tuple[str, ...], ...]:
    """Joins the weakest group with the one that it is most often taken for, or that is taken for it, until all stand.

    Args:
        chances: [R, classes] of held-out recordings.
        kinds: [R] what they are.
        series: [R] to which they belong.
        names: of the classes.
    """
    likely = np.stack([chances[kinds == k].mean(0) for k in range(len(names))])  # [classes, classes]
    alike, best = likely + likely.T, chances.argmax(1)
    groups = [[k] for k in range(len(names))]

    def worth(group: list[int]) -> float:
        enough = len({s for s, kind in zip(series, kinds, strict=True) if kind in group}) >= SERIES
        return float(np.mean([np.isin(best[kinds == k], group).mean() for k in group])) if enough else -1.0

    while len(groups) > 1:
        worths = [worth(group) for group in groups]
        weak = int(np.argmin(worths))
        if worths[weak] >= SURE:
            break
        own = groups.pop(weak)
        near = [alike[np.ix_(own, other)].mean() for other in groups]
        groups[int(np.argmax(near))] += own
    return tuple(sorted(tuple(sorted(names[k] for k in group)) for group in groups))


def told(judge: Judge, scores: torch.Tensor, truth: list[str]) -> tuple[float, float, float, float]:
    """Top 1 and top 3 by class, then by group: means over the classes, each of which counts alike."""
    rows = defaultdict(list)
    for found, name in zip(scores.numpy(), truth, strict=True):
        best = [judge.classes[k] for k in np.argsort(-found)]
        groups, own = judge.order(found), judge.group_of(name)
        rows[name].append((best[0] == name, name in best[:3], groups[0] == own, own in groups[:3]))
    one, three, group, groups3 = np.mean([np.mean(r, 0) for r in rows.values()], 0)
    return float(one), float(three), float(group), float(groups3)


def of_library(judge: Judge, most: int, cache: Path) -> None:
    """Prints how often recordings of the sound library, as they are, are taken for what they are."""
    library = Library.load()
    chosen: dict[str, dict[str, Any]] = defaultdict(dict)
    for r in sorted(library.recordings, key=lambda r: (-r.quality, r.id)):
        if r.split != "test" and judge.knows(r.sound_class) and len(chosen[r.sound_class]) < most:
            chosen[r.sound_class].setdefault(r.series, r)
    taken = [r for of_class in chosen.values() for r in of_class.values()]
    heard = Listened.of(
        cache / f"library-{most}.npz",
        lambda: (mono(read_audio(library.folder / r.file)) for r in taken),
    )
    scores = judge.ears({ear: torch.from_numpy(found).float() for ear, found in heard.ears.items()})
    print(f"\n{len(taken)} recordings of {len(chosen)} classes of the library, unprocessed:")
    for ear, found in scores.items():
        print(f"{ear}: {told(judge, found, [r.sound_class for r in taken])}")


def attribution(rows: list[dict[str, Any]]) -> str:
    """What may be done with the weights, and who made what they were learned from."""
    lines = [
        "# The judge: licence and recordings",
        "",
        "These weights were learned from the recordings below, most of which are under the GNU General Public License",
        "or the Free Art License (texts and links: ../LICENSES.md). They are for evaluation only, are no part of the",
        "program, and are passed on under the terms of these recordings. Nothing that ships may be trained with or",
        "against them.",
        "",
        "| id | author | licence | package | source file |",
        "|---|---|---|---|---|",
    ]
    for r in sorted(rows, key=lambda r: r["id"]):
        cells = (r["id"], cell(r["author"]), r["licence"], r["package"], cell(r["source_file"]))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sounds", type=Path, required=True, help="folder with manifest.jsonl and audio files"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the judge")
    parser.add_argument("--cache", type=Path, required=True, help="folder for what was heard")
    parser.add_argument("--variants", type=int, default=4, help="of each recording, beside itself")
    parser.add_argument(
        "--library", type=int, default=3, help="of a class of the library, each of its own series"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = judged(args.sounds)
    heard = listen(args.sounds, rows, args.variants, args.cache)
    names = sorted({r["sound_class"] for r in rows})
    of_row = np.array([names.index(r["sound_class"]) for r in rows])
    series = [r["series"] for r in rows]
    many = np.array(
        [len({s for s, k in zip(series, of_row, strict=True) if k == j}) for j in range(len(names))]
    )
    kinds, weights, fold = of_row[heard.place], balanced(rows, heard.place), folds(rows)[heard.place]
    ears = Ears({ear: found.shape[1] for ear, found in heard.ears.items()}, len(names))
    apart: dict[str, torch.Tensor] = {}
    for ear, found in heard.ears.items():
        scores = held_out_scores(found, kinds, weights, fold, len(names))
        warmth = warmth_of(scores, kinds, many[kinds] > 1)
        apart[ear] = (scores / warmth).log_softmax(1)
        trained = discriminant(found, kinds, weights, len(names))
        trained.linear.weight.mul_(1 / warmth)
        trained.linear.bias.mul_(1 / warmth)
        ears.get_submodule(ear).load_state_dict(trained.state_dict())
        print(f"{ear}: scores divided by {warmth:g}")
    apart["both"] = sum(apart.values(), torch.zeros(())).log_softmax(1)
    chances = apart["both"].exp().numpy()
    of_recording = np.stack([chances[heard.place == k].mean(0) for k in range(len(rows))])
    judge = Judge(ears.requires_grad_(False), tuple(names), grouped(of_recording, of_row, series, names))
    inputs = {ear: found.shape[1] for ear, found in heard.ears.items()}
    config = {"inputs": inputs, "classes": judge.classes, "groups": judge.groups, "recordings": len(rows)}
    store.save(args.out, KIND, ears.state_dict(), config)
    (args.out / "ATTRIBUTION.md").write_text(attribution(rows), encoding="utf-8")
    print(f"{len(rows)} recordings of {len(names)} classes, {len(judge.groups)} groups:")
    for group in judge.groups:
        print("   ", ", ".join(group))
    known = np.flatnonzero(many[kinds] > 1)
    print(f"cross-validated by series, {len(set(kinds[known]))} classes (top 1, 3; by group):")
    for ear, scores in apart.items():
        print(f"{ear}: {told(judge, scores[known], [names[kinds[k]] for k in known])}")
    if args.library:
        of_library(Judge.load(args.out), args.library, args.cache)


if __name__ == "__main__":
    with one_sentence():
        main()
