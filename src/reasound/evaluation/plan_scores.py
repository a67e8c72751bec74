"""How close a plan is to the true one: which sounds, when, where, and which operations an instruction asks for.

Every function is pure. An event is known by its sound class; plans are pydantic values of `reasound.plan`, boxes
(x0, y0, x1, y1) in any one unit, with x0 <= x1 and y0 <= y1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reasound.evaluation.onsets import TOLERANCE, Seconds, f1, timing_error
from reasound.evaluation.scores import event_scores, span_iou
from reasound.plan import Event, Plan

Pair = tuple[Event, Event]
"""(found, wanted)."""

_MOMENTS = 16  # of an event, at which its place is compared


def same_class(found: Event, wanted: Event, by_group: bool = False) -> bool:
    """Whether two events are of one sound class, or of one group ("animal" of "animal/dog"); never where the wanted
    one has no class."""
    if by_group:
        return bool(wanted.sound_class) and _group(found) == _group(wanted)
    return bool(wanted.sound_class) and found.sound_class == wanted.sound_class


def event_pairs(found: Plan, wanted: Plan, by_group: bool = False) -> list[Pair]:
    """One-to-one pairs of events of one class: as many as can be, those that overlap most first.

    With `by_group`, pairs of one class go first, and then what is left is paired by group.
    """
    pairs: list[Pair] = []
    for loosely in (False, True)[: 1 + by_group]:
        rest_a = [e for e in found.events if all(e is not a for a, _ in pairs)]
        rest_b = [e for e in wanted.events if all(e is not b for _, b in pairs)]
        # Any two of one class may be a pair, so that taking the best first loses none.
        pairs += _best_first([(a, b) for a in rest_a for b in rest_b if same_class(a, b, loosely)])
    return pairs


def event_precision_recall(found: Plan, wanted: Plan, by_group: bool = False) -> tuple[float, float]:
    """Share of the events found that are wanted, and of those wanted that were found, by class, 0 to 1; 1 where
    there is none."""
    hits = len(event_pairs(found, wanted, by_group))
    return (
        hits / len(found.events) if found.events else 1.0,
        hits / len(wanted.events) if wanted.events else 1.0,
    )


def class_accuracy(found: Plan, wanted: Plan, by_group: bool = False) -> float:
    """Share, 0 to 1, of right classes among events that are paired by time alone (those that overlap most first);
    nan where no two overlap. Recall without it cannot tell a wrong name from a missed event."""
    pairs = _best_first([(a, b) for a in found.events for b in wanted.events if _overlap(a, b) > 0])
    return float(np.mean([same_class(a, b, by_group) for a, b in pairs])) if pairs else math.nan


def plan_onsets(plan: Plan) -> Seconds:
    """Onsets of all events, in seconds, ascending; those at one moment stay as many as they are."""
    return np.sort(np.array([time for event in plan.events for time in event.onsets], float))


def onset_f1(found: Plan, wanted: Plan, tolerance: float = TOLERANCE) -> float:
    """F1 of the onsets of all events, 0 to 1, as `onsets.f1`; 1 where neither plan has any."""
    return f1(plan_onsets(found), plan_onsets(wanted), tolerance)


def onset_error(found: Plan, wanted: Plan, tolerance: float = TOLERANCE) -> float:
    """Mean distance in seconds of the onsets that match; nan where none does."""
    return timing_error(plan_onsets(found), plan_onsets(wanted), tolerance)


def span_scores(found: Plan, wanted: Plan) -> tuple[float, float, float]:
    """(precision, recall, temporal IoU) of the spans of all events, whatever their class: `scores.event_scores`."""
    return event_scores([(e.start, e.end) for e in found.events], [(e.start, e.end) for e in wanted.events])


def pan_error(found: Plan, wanted: Plan, by_group: bool = False) -> float:
    """Mean distance of the pans, 0 to 2 (from hard left to hard right), over the pairs of one class, along the span
    of the wanted event; nan without a pair."""
    errors = []
    for a, b in event_pairs(found, wanted, by_group):
        moments = np.linspace(b.start, b.end, _MOMENTS)
        errors.append(np.mean(np.abs(a.place(moments)[0] - b.place(moments)[0])))
    return float(np.mean(errors)) if errors else math.nan


def operation_accuracy(found: Sequence[Hashable], wanted: Sequence[Hashable]) -> float:
    """Operations in both lists over those in the longer one, 0 to 1, in any order; 1 where both are empty.

    An operation is what the caller compares: "remove", or ("remove", "animal/dog").
    """
    both = sum((Counter(found) & Counter(wanted)).values())
    return both / max(len(found), len(wanted)) if found or wanted else 1.0


def box_iou(found: ArrayLike, wanted: ArrayLike) -> NDArray[np.float64]:
    """[..., 4] and [..., 4] -> [...]: area that two boxes share over the area that they cover, 0 to 1.

    A box of nan is hidden: 0 against one that is seen, nan where both are hidden. Boxes without area give 0.
    """
    a, b = np.asarray(found, float), np.asarray(wanted, float)
    if a.shape[-1:] != (4,) or b.shape[-1:] != (4,):
        raise ValueError(f"a box is (x0, y0, x1, y1): the last axis has 4, not {a.shape} and {b.shape}")
    hidden_a, hidden_b = np.isnan(a).any(-1), np.isnan(b).any(-1)
    seen_a, seen_b = np.nan_to_num(a), np.nan_to_num(b)
    both = _area(np.maximum(seen_a[..., :2], seen_b[..., :2]), np.minimum(seen_a[..., 2:], seen_b[..., 2:]))
    both = np.where(hidden_a | hidden_b, 0.0, both)
    either = _area(seen_a[..., :2], seen_a[..., 2:]) + _area(seen_b[..., :2], seen_b[..., 2:]) - both
    iou = both / np.where(either > 0, either, 1.0)
    return np.where(hidden_a & hidden_b, math.nan, iou)


def track_iou(found: ArrayLike, wanted: ArrayLike) -> float:
    """Two tracks [T, 4] -> mean IoU, 0 to 1, of the frames in which either sees the thing (hidden is nan); nan where
    none does."""
    iou = box_iou(found, wanted)
    seen = ~np.isnan(iou)
    return float(iou[seen].mean()) if seen.any() else math.nan


def _group(event: Event) -> str:
    return event.sound_class.split("/")[0]


def _overlap(a: Event, b: Event) -> float:
    return span_iou((a.start, a.end), (b.start, b.end))


def _best_first(pairs: Sequence[Pair]) -> list[Pair]:
    """Each event once, by falling overlap; of equals, the first."""
    chosen: list[Pair] = []
    for a, b in sorted(pairs, key=lambda pair: -_overlap(*pair)):
        if all(a is not c and b is not d for c, d in chosen):
            chosen.append((a, b))
    return chosen


def _area(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    area: NDArray[np.float64] = np.maximum(high - low, 0.0).prod(-1)
    return area
