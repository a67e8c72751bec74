"""Instructions whose meaning is known: does a reasoner turn them into the right edit?

A file of them has one JSON object a line: `instruction`; `plan`, what is heard now (a plan of ours); `operations`, what
is meant: `verb` and `targets` of `edit_plan.Operation` and those of `sound_class`, `start`, `end` and `amount` that the
instruction says, or `direction`, 1 for more (louder, right, farther, faster) and -1 for less. No operations: nothing
can or should be done.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasound.edit_plan import VERBS, EditPlan, Operation
from reasound.errors import UserError
from reasound.evaluation.about import about
from reasound.evaluation.report import Measure, Report, build
from reasound.perception.text import MiniLM
from reasound.pipeline import Report as Tell
from reasound.pipeline import quiet
from reasound.plan import RING, Plan
from reasound.reasoning.choose import open_reasoner
from reasound.reasoning.reasoner import Reasoner

NEAR = 0.26
"""Seconds by which a time may be off: "around four" leaves it open."""
CLOSE = 0.5
"""How far an amount may be off, as a share of it: nobody knows how many decibels "a bit" is."""

MEASURES = {
    "operation": Measure("verbs of all operations right, in order", "", "higher", 3, "edit-verbs"),
    "target": Measure(
        "and what each operation is done to, exactly; of all instructions", "", "higher", 3, "edit-targets"
    ),
    "sound": Measure("class of what is to be heard right", "", "higher", 3, "edit-sound-class"),
    "span": Measure("times within .26 s where the instruction says them", "", "higher", 3, "edit-span/.26s"),
    "amount": Measure(
        "amounts within half, or more and less told apart", "", "higher", 3, "edit-amount/half"
    ),
}


@dataclass(frozen=True)
class Case:
    instruction: str
    plan: Plan
    wanted: tuple[Mapping[str, Any], ...]


def read_cases(path: Path) -> list[Case]:
    """All of a file; UserError naming the line that cannot be read."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a file of instructions") from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            found.append(
                Case(str(row["instruction"]), Plan.model_validate(row["plan"]), tuple(row["operations"]))
            )
            if not all(o["verb"] in VERBS for o in row["operations"]):
                raise ValueError("an unknown verb")
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"line {number} of {path} is no instruction with a plan and operations"
            ) from error
    if not found:
        raise UserError(f"{path} holds no instructions")
    return found


def score(answer: EditPlan | None, case: Case) -> dict[str, float | None]:
    """Measure -> 1 or 0, None where the instruction says nothing of it; no answer is a wrong one."""
    made = answer.operations if answer is not None else ()
    verbs = answer is not None and [o.verb for o in made] == [w["verb"] for w in case.wanted]
    pairs = list(zip(made, case.wanted, strict=True)) if verbs else []
    targets = verbs and all(set(o.targets) == set(w.get("targets", ())) for o, w in pairs)
    scores: dict[str, float | None] = {"operation": float(verbs), "target": float(targets)}
    sounds = [o.sound_class == w["sound_class"] for o, w in pairs if w.get("sound_class")]
    times = [
        _near(at, w[key])
        for o, w in pairs
        for key, at in (("start", o.start), ("end", o.onsets[-1] + RING if o.onsets else o.end))
        if w.get(key) is not None
    ]
    sizes = [_close(o.amount, w["amount"]) for o, w in pairs if w.get("amount") is not None]
    sizes += [_sign(o) == w["direction"] for o, w in pairs if "direction" in w]
    for name, right in (("sound", sounds), ("span", times), ("amount", sizes)):
        scores[name] = float(all(right)) if right else None
    return scores


def _near(found: float | None, wanted: float) -> bool:
    return abs((found or 0.0) - wanted) <= NEAR


def _close(found: float | None, wanted: float) -> bool:
    return found is not None and abs(found - wanted) <= max(CLOSE * abs(wanted), 0.11)


def _sign(o: Operation) -> int:
    """1 where an operation is for more, -1 for less."""
    if o.verb in ("distance", "speed"):
        return 1 if (o.amount or 1.0) > 1.0 else -1
    return 1 if (o.amount or 0.0) > 0.0 else -1


def ask(reasoner: Reasoner, case: Case) -> EditPlan | None:
    """Its answer; None where it has none."""
    try:
        return reasoner.edit(case.instruction, case.plan)
    except UserError:
        return None


def opened(*names: str) -> dict[str, Reasoner]:
    """The reasoners of these names, each once."""
    text = MiniLM.load()
    return {name: open_reasoner(name, text) for name in names}


def evaluate(reasoners: Mapping[str, Reasoner], path: Path, tell: Tell = quiet) -> Report:
    """The report on a file of instructions."""
    cases = read_cases(path)
    items = []
    for k, case in enumerate(cases):
        scores = {name: score(ask(reasoner, case), case) for name, reasoner in reasoners.items()}
        kind = "+".join(w["verb"] for w in case.wanted) or "refusal"
        items.append(
            {
                "id": f"{k + 1}: {case.instruction}",
                "kind": kind,
                "seconds": case.plan.seconds,
                "scores": scores,
            }
        )
        tell("instructions", (k + 1) / len(cases))
    return build(
        "instructions",
        f"{len(cases)} instructions about a plan, from {path.name}",
        about=about(file=path.name),
        measures=MEASURES,
        systems={name: f"the reasoner {name!r}" for name in reasoners},
        tables=[{"title": "Is it understood?", "measures": list(MEASURES), "systems": list(reasoners)}],
        items=items,
        classes=_by_verb(items),
        unscored=[],
    )


def _by_verb(items: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, int]]]:
    """Verb (of instructions that ask for one thing) -> reasoner -> in how many it is done to the right thing."""
    counted: dict[str, dict[str, dict[str, int]]] = {}
    for item in items:
        for system, scores in item["scores"].items():
            row = counted.setdefault(item["kind"], {}).setdefault(system, {"right": 0, "of": 0})
            row["right"] += int(scores["target"])
            row["of"] += 1
    return {kind: rows for kind, rows in counted.items() if "+" not in kind}
