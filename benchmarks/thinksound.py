"""What the released ThinkSound networks cost, ours beside the plain way, in one run: seconds, memory, error.

    python benchmarks/thinksound.py [--parts step decode sync chain long] [--plain] [--device cuda] [--json FILE]

Nine seconds of sound from networks of the full size: 27 segments through Synchformer, 24 Euler steps at guidance 5, 194
latents through the decoder. Weights are random, with the statistics of tests/golden/recipe.py; `--model DIR` takes a
converted model instead. Each row has a process of its own.

step     one guided step, conditions prepared before it (plain: in it, as in the published code)
decode   latents to waveform
sync     pictures to motion tokens
chain    Synchformer, 24 steps with what is prepared for them, decoder; how far that is from what arithmetic and memory
         allow
long     9 to 72 s of sound in bf16: cost of a step and of decoding, and memory, against length

FLOP are those of the published code (0.81 TFLOP a step, 0.98 a decode, 10.0 for 27 segments), whatever we save.
`share` is a row's FLOP/s in parts of those of plain matrix products, measured in the same process before and after.
`error` is the root mean square of the difference from ours in fp32, relative: flow, waveform, motion tokens. Peak
memory is that of the process once its weights are loaded (GPU: of its allocator). Each: a warm-up, then the best of
what fits eight seconds, one at least.

`--plain` adds `plain.py`; 24 steps are 24 times one, and 27 segments 13.5 times two. Its bf16 is autocast that keeps
the lowered weights for the DiT and pure bf16 for the others, the faster way for each. Its shares on a CPU without AMX,
75 to 85 % (step), 38 (decode) and 88 (sync) in fp32 and 75, 36 and 75 in bf16, lie above those of the published code on
one with AMX, 61, 29 and 69 in fp32 and 32, 7 and 29 in bf16, where products are cheaper and all else weighs more:
nothing suggests that it is slower than what it stands for.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import cache
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import plain  # type: ignore[import-not-found]  # beside this file
from reasound.checkpoints import official
from reasound.synthesis.conditions import INPUTS, Conditions
from reasound.synthesis.thinksound import GUIDANCE, NETWORKS, SEGMENTS, ThinkSound, lengths
from reasound.timeline import SAMPLES_PER_LATENT, SYNC_STEP, SYNC_WINDOW

PARTS = ("step", "decode", "sync", "chain", "long")
STEPS = 24
WORK = {"step": 0.81e12, "steps": STEPS * 0.81e12, "decode": 0.98e12, "sync": 10.0e12}
"""FLOP of the published code."""
CHAIN = ("sync", "steps", "decode")
LENGTHS = (9, 18, 36, 72)
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
FEW = 2
"""Segments that plain Synchformer is timed on."""
PATIENCE = 8.0
"""Seconds for the repetitions of one row."""
AIM = 0.35
"""Seconds for 24 steps and decoding on an H100."""


# Weights and inputs


def drawn(tag: str, *shape: int) -> Tensor:
    """Normal numbers that depend on the tag. One pool serves all: drawing 1.3 billion would take a minute."""
    pool, size = _pool(), math.prod(shape)
    start = zlib.crc32(tag.encode()) % len(pool)
    return pool.roll(-start).repeat(-(-size // len(pool)))[:size].view(shape)


@cache
def _pool() -> Tensor:
    return torch.randn(2**20 + 7, generator=torch.Generator().manual_seed(0))  # a prime number of them


class Drawn(Mapping[str, Tensor]):
    """Random tensors under the official names that begin with a prefix, made when they are asked for. Vectors are in
    float32."""

    def __init__(self, prefix: str, dtype: torch.dtype) -> None:
        table = "synchformer" if prefix == plain.SYNC else "thinksound_light"
        rows = (plain.GOLDEN / f"{table}.keys.tsv").read_text().splitlines()
        listed = [row.split("\t") for row in rows if row.startswith(prefix)]
        self.shapes = {name: [int(size) for size in sizes.split("x")] for name, sizes, _ in listed}
        self.dtype = dtype

    def __getitem__(self, name: str) -> Tensor:
        shape, leaf = self.shapes[name], name.rsplit(".", 1)[-1]
        tensor = drawn(name, *shape)
        if leaf.endswith(("_feat", "_emb", "_embed", "_token")):
            return 0.5 * tensor
        if leaf == "weight_g":
            return 0.7 + 0.07 * tensor
        if len(shape) == 1:
            return 0.1 * tensor + (leaf == "weight")
        return (tensor / math.prod(shape[1:]) ** 0.5).to(self.dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


class Random(ThinkSound):
    """The product's own chain over random networks."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype, self.keep, self.whole_seconds = device, dtype, True, False
        self._parts: dict[str, Any] = {}

    def _load(self, name: str) -> Any:
        with torch.device("meta"):
            network = NETWORKS[name][1]({})
        if name == "dit":
            tensors = official.dit(Drawn(plain.DIT, self.dtype), network.config.heads)
        elif name == "codec":
            tensors = official.vae(Drawn(official.VAE_PREFIX, self.dtype))
        else:
            tensors = official.synchformer(Drawn(plain.SYNC, self.dtype))
        network.load_state_dict(tensors, assign=True)
        del tensors
        with torch.no_grad():
            network.lower(self.dtype)
        return network.to(self.device).eval().requires_grad_(False)


def pictures(segments: int) -> Tensor:
    """uint8 [T, 3, 224, 224], different everywhere."""
    return (drawn("pictures", SYNC_STEP * (segments + 1), 3, 224, 224) * 64 + 128).clamp(0, 255).byte()


def heard(visual: int, sync: int) -> dict[str, Tensor]:
    """What the DiT is told, by its official names."""
    sizes = {"clip": (visual, 1024), "sync": (sync, 768), "text": (77, 1024), "t5": (77, 2048)}
    return {name: drawn(name, 1, *size) * (0.5 if name == "t5" else 1.0) for name, size in sizes.items()}


# What is timed


@dataclass(frozen=True)
class Job:
    part: str  # step, steps, decode, sync
    which: str  # ours, plain
    precision: str
    device: str
    model: Path | None = None
    seconds: int = 9

    @property
    def name(self) -> str:
        return f"{self.part}, {self.which} {self.precision}"


@dataclass(frozen=True)
class Task:
    """A loaded network with something to do."""

    first: Callable[[], Tensor | None]
    """Warms up; its result is the task's, if there is one."""
    again: Callable[[], tuple[float, Tensor]]
    """Seconds, and the result."""
    weights: int
    """Bytes."""


def clocked(on: torch.device, work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    finish(on)
    began = time.perf_counter()
    done = work()
    finish(on)
    return time.perf_counter() - began, done


def finish(on: torch.device) -> None:
    """Wait for all that was asked of the device."""
    if on.type != "cpu":
        getattr(torch, on.type).synchronize()


def ours(job: Job) -> Task:
    on, dtype = torch.device(job.device), DTYPES[job.precision]
    engine = Random(on, dtype) if job.model is None else ThinkSound(job.model, on, dtype, keep=True)
    with engine._part({"decode": "codec", "sync": "sync"}.get(job.part, "dit")) as network:
        weights = sum(parameter.nbytes for parameter in network.parameters())
    if job.part == "sync":
        frames = pictures(SEGMENTS)

        def warm_up() -> None:
            network.look(frames[: 4 * SYNC_STEP])

        return Task(warm_up, lambda: clocked(on, lambda: network.look(frames)), weights)
    count = lengths(Fraction(job.seconds))
    noise = drawn("noise", 1, 64, count.latents)
    if job.part == "decode":

        def decode() -> Tensor:
            return torch.from_numpy(engine.decode(noise, SAMPLES_PER_LATENT * count.latents))

        return Task(decode, lambda: clocked(on, decode), weights)
    given = heard(count.visual, count.sync)
    conditions = Conditions(
        visual=given["clip"],
        sync=given["sync"],
        caption=given["text"],
        reasoning=given["t5"],
        missing=torch.zeros(1, len(INPUTS), dtype=torch.bool),
    )

    def flow() -> Tensor:
        """One step goes from noise along the whole velocity."""
        return noise - engine.latents(conditions, count, noise, steps=1).cpu()

    def step() -> tuple[float, Tensor]:
        times: list[float] = []

        def note(done: int, of: int) -> None:
            finish(on)
            times.append(time.perf_counter())

        moved = engine.latents(conditions, count, noise, steps=4, progress=note)
        return min(after - before for before, after in pairwise(times)), moved

    def steps() -> Tensor:
        return engine.latents(conditions, count, noise, steps=STEPS)

    def warm() -> None:
        flow()

    return (
        Task(flow, step, weights) if job.part == "step" else Task(warm, lambda: clocked(on, steps), weights)
    )


def plainly(job: Job) -> Task:
    on, dtype = torch.device(job.device), DTYPES[job.precision]
    if job.part == "step":
        if job.precision == "bf16":  # for as long as this process lives, so that lowered weights are kept
            torch.autocast(on.type, dtype).__enter__()
            torch.no_grad().__enter__()
        tensors = {name: tensor.to(on) for name, tensor in Drawn(plain.DIT, torch.float32).items()}
        for tensor in tensors.values():
            tensor.requires_grad_(job.precision == "bf16")  # autocast keeps what it lowered of these only
        count = lengths(Fraction(job.seconds))
        given = {name: tensor.to(on) for name, tensor in heard(count.visual, count.sync).items()}
        noise, t = drawn("noise", 1, 64, count.latents).to(on), torch.ones(1, device=on)

        def work() -> Tensor:
            return plain.guided(tensors, 16, noise, t, given, GUIDANCE)

    elif job.part == "decode":
        tensors = {name: tensor.to(on, dtype) for name, tensor in Drawn(plain.DECODER, dtype).items()}
        noise = drawn("noise", 1, 64, lengths(Fraction(job.seconds)).latents).to(on, dtype)

        def work() -> Tensor:
            return plain.decode(tensors, noise)[0]

    else:
        tensors = {name: tensor.to(on, dtype) for name, tensor in Drawn(plain.SYNC, dtype).items()}
        frames = (pictures(FEW).to(on) / 127.5 - 1).to(dtype)
        segments = torch.stack([frames[SYNC_STEP * i :][:SYNC_WINDOW] for i in range(FEW)])

        def work() -> Tensor:
            return plain.synchformer(tensors, 12, segments).flatten(0, 1)

    def again() -> tuple[float, Tensor]:
        seconds, done = clocked(on, work)
        return seconds * (SEGMENTS / FEW if job.part == "sync" else 1), done

    return Task(work, again, sum(tensor.nbytes for tensor in tensors.values()))


@dataclass(frozen=True)
class Row:
    job: Job
    seconds: float
    rate: float  # FLOP a second of plain matrix products
    bandwidth: float  # bytes a second
    weights: int  # bytes
    peak: float  # GiB
    gpu: float  # GiB
    output: NDArray[np.float32]

    @property
    def work(self) -> float:
        return WORK[self.job.part]

    @property
    def floor(self) -> float:
        """Seconds that arithmetic takes, or reading the weights once a step where that is slower."""
        times = STEPS if self.job.part == "steps" else 1
        return max(self.work / self.rate, times * self.weights / self.bandwidth)

    def error(self, wanted: Row) -> float:
        """Relative root mean square of the difference; of the part that both computed."""
        count = min(len(self.output), len(wanted.output))
        difference = self.output[:count] - wanted.output[:count]
        return float(np.linalg.norm(difference) / np.linalg.norm(wanted.output[:count]))


def measured(job: Job) -> Row:
    """In a process of its own."""
    on = torch.device(job.device)
    rate = matrix_rate(on, DTYPES[job.precision])
    with torch.inference_mode(job.which == "ours" or job.precision == "fp32"):
        task = (ours if job.which == "ours" else plainly)(job)
        forget_peak(on)
        output = task.first()
        seconds: list[float] = []
        while not seconds or (sum(seconds) < PATIENCE and len(seconds) < 5):
            took, last = task.again()
            seconds.append(took)
        output = last if output is None else output
    peak, gpu = peaks(on)
    return Row(
        job=job,
        seconds=min(seconds),
        rate=max(rate, matrix_rate(on, DTYPES[job.precision])),
        bandwidth=bandwidth(on),
        weights=task.weights,
        peak=peak,
        gpu=gpu,
        output=output.detach().float().cpu().numpy(),
    )


def matrix_rate(on: torch.device, dtype: torch.dtype) -> float:
    """FLOP a second of plain products, the best of a few tries; on a GPU of larger ones, many in a row."""
    size, count = (2048, 1) if on.type == "cpu" else (8192, 10)
    a, b = (torch.randn(size, size, device=on).to(dtype) for _ in range(2))

    def products() -> Tensor:
        for _ in range(count):
            c = a @ b
        return c

    return 2 * size**3 * count / min(clocked(on, products)[0] for _ in range(6))


def bandwidth(on: torch.device) -> float:
    """Bytes a second that are read and written in a copy."""
    x = torch.ones(2**28, dtype=torch.uint8, device=on)
    y = torch.empty_like(x)
    return 2 * x.nbytes / min(clocked(on, lambda: y.copy_(x))[0] for _ in range(6))


def forget_peak(on: torch.device) -> None:
    """Count memory from here on. Linux can do that for a process; elsewhere the peak includes loading."""
    if on.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peaks(on: torch.device) -> tuple[float, float]:
    """GiB of this process, and of the GPU."""
    gpu = torch.cuda.max_memory_allocated() / 2**30 if on.type == "cuda" else 0.0
    try:
        (line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM")]
        return int(line.split()[1]) / 2**20, gpu
    except (OSError, ValueError):
        import resource

        unit = 2**30 if platform.system() == "Darwin" else 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, gpu


def fresh(job: Job) -> Row:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measured, job).result()


# The report


def described(device: str) -> dict[str, Any]:
    """This machine, and what its matrix products can use."""
    able: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    name = platform.processor()
    with suppress(OSError, StopIteration):
        rows = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(row.split(":")[1].strip() for row in rows if row.startswith("model name"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": name,
        "cores": cores,
        "threads": torch.get_num_threads(),
        "able": [
            key
            for key, value in able.items()
            if value and ("bf16" in key or "amx" in key or key == "avx512_f")
        ],
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "load": os.getloadavg()[0],
    }


HEAD = "| | seconds | TFLOP/s | plain rate | share | error | peak GiB | GPU GiB |\n" + "| --- " * 8 + "|"
LONG = (
    "| seconds of sound | windows | a step | for 1 s | decode | for 1 s | peak GiB, DiT | codec |\n"
    + "| --- " * 8
    + "|"
)


def line(row: Row, exact: Row | None) -> str:
    speed = row.work / row.seconds
    error = "" if exact is None or exact is row else f"{row.error(exact):.2g}"
    gpu = f"{row.gpu:.1f}" if row.gpu else ""
    return (
        f"| {row.job.name} | {row.seconds:.3g} | {speed / 1e12:.2f} | {row.rate / 1e12:.2f} | {speed / row.rate:.0%} | "
        f"{error} | {row.peak:.1f} | {gpu} |"
    )


def jobs(args: argparse.Namespace) -> Iterator[Job]:
    """Ours in fp32 comes first: errors are counted from it."""
    wanted = [part for part in ("step", "decode", "sync") if part in args.parts]
    if "chain" in args.parts:
        wanted = [*dict.fromkeys([*wanted, *(("step",) if args.plain else ()), *CHAIN])]
    for part in wanted:
        for precision in ("fp32", "bf16"):
            yield Job(part, "ours", precision, args.device, args.model)
            if args.plain and part != "steps":
                yield Job(part, "plain", precision, args.device)


def chain(rows: Mapping[str, Row]) -> dict[str, Any]:
    """Sums over Synchformer, steps and decoder; what they are compared with."""
    totals: dict[str, float] = {}
    for which in ("ours bf16", "ours fp32", "plain bf16", "plain fp32"):
        parts = [rows.get(f"{part}, {which}") for part in CHAIN]
        if parts[1] is None and (one := rows.get(f"step, {which}")) is not None:
            parts[1] = replace(one, job=replace(one.job, part="steps"), seconds=STEPS * one.seconds)
        if None not in parts:
            totals[which] = sum(row.seconds for row in parts if row is not None)
    found: dict[str, Any] = {"seconds": totals}
    for which in ("plain fp32", "plain bf16"):
        if which in totals and "ours bf16" in totals:
            found[f"ours bf16 against {which}"] = totals[which] / totals["ours bf16"]
    made = [rows[f"{part}, ours bf16"] for part in ("steps", "decode") if f"{part}, ours bf16" in rows]
    if len(made) == 2:
        found["steps and decode, ours bf16"] = sum(row.seconds for row in made)
        found["of which arithmetic and memory need"] = sum(row.floor for row in made)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--plain", action="store_true", help="also the networks written plainly")
    parser.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu")
    parser.add_argument("--model", type=Path, help="a converted model (default: random weights)")
    parser.add_argument("--json", type=Path, help="write the whole report here")
    args = parser.parse_args()
    report: dict[str, Any] = {"machine": described(args.device)}
    print(json.dumps(report["machine"]), HEAD, sep="\n\n")
    rows: dict[str, Row] = {}
    for job in jobs(args):
        row = rows[job.name] = fresh(job)
        print(line(row, rows[f"{job.part}, ours fp32"]), flush=True)
    report["rows"] = []
    for row in rows.values():
        values = asdict(row) | {"error": row.error(rows[f"{row.job.part}, ours fp32"]), "floor": row.floor}
        report["rows"].append({name: value for name, value in values.items() if name != "output"})
    for precision in DTYPES:
        rates = [row.rate for row in rows.values() if row.job.precision == precision]
        report[f"plain products in {precision}, FLOP/s"] = max(rates, default=None)
    if "chain" in args.parts:
        report["chain"] = chain(rows)
        print(f"\n{json.dumps(report['chain'], indent=1)}")
        if args.device == "cuda":
            print(f"aim for steps and decode on an H100: {AIM} s")
    if "long" in args.parts:
        report["long"] = []
        print(f"\n{LONG}")
        for seconds in LENGTHS:
            both = [
                fresh(Job(part, "ours", "bf16", args.device, args.model, seconds))
                for part in ("step", "decode")
            ]
            (step, decode), windows = both, len(lengths(Fraction(seconds)).windows)
            memory = [row.gpu or row.peak for row in both]
            print(
                f"| {seconds} | {windows} | {step.seconds:.3g} | {step.seconds / seconds:.3g} | {decode.seconds:.3g} | "
                f"{decode.seconds / seconds:.3g} | {memory[0]:.2f} | {memory[1]:.2f} |",
                flush=True,
            )
            report["long"].append(
                {
                    "sound": seconds,
                    "windows": windows,
                    "step": step.seconds,
                    "decode": decode.seconds,
                    "memory": memory,
                }
            )
    if args.json:
        args.json.write_text(json.dumps(report, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
