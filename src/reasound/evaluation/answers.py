"""How good a reasoner's answers are, each beside the right one: plans and edits, of a whole set."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from reasound.edit_plan import EditPlan
from reasound.evaluation.plan_scores import class_accuracy, event_pairs, onset_error, operation_accuracy
from reasound.plan import Plan

Answered = tuple[Plan | EditPlan | None, Plan | EditPlan]
"""(found, wanted); None where the answer could not be used."""


def scores(answered: Sequence[Answered]) -> dict[str, float]:
    """`usable`: share of answers that are. Of plans, events of all clips together: `precision`, `recall` and `event f1`
    by class, `class accuracy`, `onset error` in seconds (median of the clips). Of edits: `operations`, the share with
    the right verb and targets. No answer counts as an empty one; nan where nothing can be compared.
    """
    found = {"usable": float(np.mean([a is not None for a, _ in answered])) if answered else math.nan}
    plans = [
        (a if isinstance(a, Plan) else Plan(seconds=b.seconds), b) for a, b in answered if isinstance(b, Plan)
    ]
    if plans:
        found |= plan_scores(plans)
    edits = [(a, b) for a, b in answered if isinstance(b, EditPlan)]
    if edits:
        right = [operation_accuracy(_operations(a), _operations(b)) for a, b in edits if a is not None]
        found["operations"] = sum(right) / len(edits)
    return found


def plan_scores(plans: Sequence[tuple[Plan, Plan]]) -> dict[str, float]:
    """Of pairs (found, wanted), at least one."""
    hits = sum(len(event_pairs(a, b)) for a, b in plans)
    made, wanted = sum(len(a.events) for a, _ in plans), sum(len(b.events) for _, b in plans)
    return {
        "precision": hits / made if made else 1.0,
        "recall": hits / wanted if wanted else 1.0,
        "event f1": 2 * hits / (made + wanted) if made + wanted else 1.0,
        "class accuracy": float(np.mean(_known([class_accuracy(a, b) for a, b in plans]))),
        "onset error": float(np.median(_known([onset_error(a, b) for a, b in plans]))),
    }


def _known(values: Sequence[float]) -> list[float]:
    return [v for v in values if not math.isnan(v)] or [math.nan]


def _operations(edit: Plan | EditPlan | None) -> list[tuple[str, frozenset[str]]]:
    return [(o.verb, frozenset(o.targets)) for o in edit.operations] if isinstance(edit, EditPlan) else []
