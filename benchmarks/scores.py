"""What the scores cost: each function, and all of them for one clip, without the inference of YAMNet.

    OMP_NUM_THREADS=1 python benchmarks/scores.py [--seconds 6] [--hits 8] [--repeat 20] [--noise] [--processes 2]

A clip is stereo at 44.1 kHz with some hits over a quiet ambience. The wanted sound, the target stem and the true plan
are the same for every system that is judged, so what is read off them is listed under "once a clip"; the rest is
what one more system costs. The set's own scores (Frechet distance, bounds of the means) are listed apart. Times are
of one core, in ms, the quickest of the repeats. At the end, what one system costs is run over and over, first by one
process and then by several at once, which share the memory and its caches: each function finds its data as cold as
in real use.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

import numpy as np
import torch

from reasound.evaluation import onsets, plan_scores, scores, statistics, tag_scores
from reasound.evaluation.yamnet import Yamnet
from reasound.mixing.loudness import integrated
from reasound.plan import Event, Plan
from reasound.timeline import SAMPLE_RATE

RATE = SAMPLE_RATE
Calls = dict[str, Callable[[], object]]


def clip(seconds: float, hits: int, seed: int, noise: bool) -> tuple[scores.Audio, scores.Audio, list[float]]:
    """(mix, the hits alone, their onsets); with `noise`, steady noise as loud as the hits."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    times = sorted(float(t) for t in rng.uniform(0, seconds - 0.5, hits))
    stem = np.zeros((2, count))
    for at in times:
        start = round(at * RATE)
        t = np.arange(count - start) / RATE
        hit = np.exp(-t / 0.06) * (
            np.sin(2 * np.pi * rng.uniform(200, 3000) * t) + rng.normal(0, 0.3, len(t))
        )
        stem[:, start:] += rng.uniform(0.2, 0.6, (2, 1)) * hit
    mix = stem + rng.normal(0, 0.3 if noise else 0.005, (2, count))
    return mix.astype(np.float32), stem.astype(np.float32), times


def milliseconds(call: Callable[[], object], repeat: int) -> float:
    call()
    best = float("inf")
    for _ in range(repeat):
        start = time.thread_time()
        call()
        best = min(best, time.thread_time() - start)
    return 1000 * best


def plan(times: list[float], seconds: float, late: float) -> Plan:
    at = [min(t + late, seconds) for t in times]
    events = [
        Event(
            id=f"e{n}",
            source="a dog",
            sound="barks",
            sound_class="animal/dog",
            start=t,
            end=t + 0.4,
            onsets=(t,),
        )
        for n, t in enumerate(at)
    ]
    return Plan(seconds=seconds + 1, events=tuple(events))


def measures(options: argparse.Namespace) -> tuple[Calls, Calls, Calls]:
    """(what one system costs, what a clip costs once, what a set costs)."""
    seconds = options.seconds
    wanted, stem, times = clip(seconds, options.hits, 0, options.noise)
    found, _, _ = clip(seconds, options.hits, 1, options.noise)
    rng = np.random.default_rng(2)
    spans, heard_spans = scores.activity(stem, RATE), scores.activity(found, RATE)
    at, strengths = onsets.onsets_with_strength(found, RATE)
    clear = at[strengths >= 6]
    energy, true_energy = scores.k_energy(found, RATE), scores.k_energy(wanted, RATE)
    heard, truth, target = (scores.spectrogram(x, RATE) for x in (found, wanted, stem))
    classes = Yamnet.load().classes
    tags, true_tags = rng.uniform(0, 1, (2, int(seconds / 0.48), len(classes)))
    a, b = plan(times, seconds, 0.05), plan(times, seconds, 0.0)
    track = rng.uniform(0, 1, (round(25 * seconds), 2))
    boxes = np.concatenate((track, track + 0.2), axis=1)
    one = {
        "onsets of the sound": lambda: onsets.onsets_with_strength(found, RATE),
        "onset F1": lambda: onsets.f1(clear, times),
        "onset timing error": lambda: onsets.timing_error(clear, times),
        "onset average precision": lambda: onsets.average_precision(at, strengths, times),
        "activity": lambda: scores.activity(found, RATE),
        "event scores": lambda: scores.event_scores(heard_spans, spans),
        "pan error": lambda: scores.pan_error(found, wanted, spans, RATE),
        "K-weighted energy": lambda: scores.k_energy(found, RATE),
        "LUFS": lambda: integrated(energy, RATE),
        "level error": lambda: scores.level_error(energy, true_energy, RATE, spans, relative=True),
        "true peak": lambda: scores.true_peak(found),
        "spectrogram": lambda: scores.spectrogram(found, RATE),
        "log-spectral distance": lambda: scores.log_spectral_distance(heard, truth),
        "mel distance": lambda: scores.mel_distance(heard, truth, RATE),
        "presence of the target": lambda: scores.presence(heard, target),
        "residual outside": lambda: scores.residual_outside(found, wanted, (1.0, 2.0), RATE),
        "identical outside": lambda: scores.identical_outside(found, wanted, (1.0, 2.0), RATE),
        "seam": lambda: scores.seam(found, RATE, [1.0, 2.0]),
        "stem null": lambda: scores.stem_null([found, stem], wanted),
        "duration error": lambda: scores.duration_error(found, seconds, RATE),
        "repeated": lambda: scores.repeated(found, found.copy()),
        "class right": lambda: tag_scores.class_right(tags, classes, "animal/dog"),
        "class KL": lambda: tag_scores.class_kl(true_tags, tags),
        "speech and music leak": lambda: [
            tag_scores.leak(tags, classes, group) for group in (tag_scores.SPEECH, tag_scores.MUSIC)
        ],
        "plan: events and classes": lambda: [
            plan_scores.event_precision_recall(a, b),
            plan_scores.class_accuracy(a, b),
            plan_scores.pan_error(a, b),
        ],
        "plan: onsets": lambda: [plan_scores.onset_f1(a, b), plan_scores.onset_error(a, b)],
        "plan: box IoU": lambda: plan_scores.track_iou(boxes, boxes + 0.05),
    }  # fmt: skip
    once = {
        "K-weighted energy, wanted": lambda: scores.k_energy(wanted, RATE),
        "spectrogram, wanted": lambda: scores.spectrogram(wanted, RATE),
        "spectrogram, target": lambda: scores.spectrogram(stem, RATE),
        "activity, wanted": lambda: scores.activity(stem, RATE),
    }
    x, y = rng.normal(0, 1, (200, 1024)), rng.normal(0.1, 1, (200, 1024))
    values = rng.normal(0, 1, 200).tolist()
    whole: Calls = {
        "Frechet, 200 + 200 of 1024": lambda: tag_scores.frechet(x, y),
        "Frechet without bias": lambda: tag_scores.frechet_unbiased(x, y, 0),
        "bounds of a mean of 200": lambda: statistics.interval(values, 0),
    }
    return one, once, whole


def rounds(options: argparse.Namespace, ready: Barrier, results: Queue) -> None:
    """One process: (start, end, CPU seconds of each round) of all scores of one system, again and again."""
    torch.set_num_threads(1)
    one, _, _ = measures(options)
    clips = []
    for call in one.values():  # what is kept between calls is made
        call()
    ready.wait()
    start = time.monotonic()
    for _ in range(options.repeat):
        before = time.process_time()
        for call in one.values():
            call()
        clips.append(time.process_time() - before)
    results.put((start, time.monotonic(), clips))


def together(options: argparse.Namespace, processes: int) -> str:
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(processes), context.Queue()
    workers = [context.Process(target=rounds, args=(options, ready, results)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    starts, ends, took = zip(*(results.get() for _ in workers), strict=True)
    for worker in workers:
        worker.join()
    cpu, seconds = np.concatenate(took), max(ends) - min(starts)
    title = "1 process" if processes == 1 else f"{processes} processes at once"
    return (
        f"{title}: {len(cpu) / seconds:.0f} clips a second of wall time; CPU time {1000 * cpu.mean():.1f} ms a clip, "
        f"at best {1000 * cpu.min():.1f}, which is {processes / cpu.min():.0f} clips a second"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="of a clip (default %(default)s)")
    parser.add_argument("--hits", type=int, default=8, help="in a clip (default %(default)s)")
    parser.add_argument("--repeat", type=int, default=20, help="times, of which the quickest counts")
    parser.add_argument(
        "--noise", action="store_true", help="steady noise as loud as the hits: the worst case"
    )
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="at once (default: the cores, %(default)s)"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    totals = []
    for title, calls in zip(("one system", "once a clip", "once a set"), measures(options), strict=True):
        print(f"{title:32}{'ms':>8}")
        took = {name: milliseconds(call, options.repeat) for name, call in calls.items()}
        for name, ms in took.items():
            print(f"  {name:30}{ms:8.3f}")
        totals.append(sum(took.values()))
    for name, total in (("one system", totals[0]), ("with what is done once", totals[0] + totals[1])):
        print(f"all, {name}: {total:.1f} ms, {1000 / total:.0f} clips a second")
    for processes in sorted({1, options.processes}):
        print(together(options, processes))


if __name__ == "__main__":
    main()
