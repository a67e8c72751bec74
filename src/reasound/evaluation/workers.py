"""The same work on many items, in several processes, each with its own models and one thread.

With one thread a network gives the same digits whatever else the machine does, so a report does not depend on how many
processes made it.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from reasound.errors import UserError

State = TypeVar("State")
Item = TypeVar("Item")
Result = TypeVar("Result")

_state: Any = None  # of this process


def each(
    make: Callable[[], State],
    work: Callable[[State, Item], Result],
    items: Iterable[Item],
    processes: int,
) -> Iterator[Result]:
    """`work(make(), item)` for every item, in order; `make` runs once a process.

    With more than one process both are pickled, so they are functions of a module, or partial ones.
    """
    if processes == 1:
        yield from _alone(make, work, items)
        return
    # NumPy's library has threads of its own, and reads their number when it is loaded.
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _begin, (make,)) as pool:
        waiting = [pool.submit(_work, work, item) for item in items]
        try:
            for future in waiting:
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _alone(
    make: Callable[[], State], work: Callable[[State, Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    import cv2
    import torch

    threads = torch.get_num_threads(), cv2.getNumThreads()
    _one_thread()
    try:
        state = make()
        for item in items:
            yield work(state, item)
    finally:
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])


def _begin(make: Callable[[], Any]) -> None:
    global _state
    _one_thread()
    try:
        _state = make()
    except UserError as error:  # a process that fails to begin would only be said to be broken
        _state = error


def _one_thread() -> None:
    """Optical flow depends on how many threads share a picture, as sums of a network do."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _work(work: Callable[[Any, Item], Result], item: Item) -> Result:
    if isinstance(_state, UserError):
        raise _state
    return work(_state, item)
