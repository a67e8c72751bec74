"""Two reports side by side: what moved, beyond what chance moves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reasound.errors import UserError
from reasound.evaluation.report import Report
from reasound.evaluation.statistics import paired
from reasound.evaluation.tables import ARROWS, flat, shown

FALSE_CLAIMS = 0.05
"""Share of claimed movements that may be chance; where nothing has moved, the chance that anything is claimed."""
DRAWS = 20_000
"""Random signs; the smallest chance that can be seen is 1 / (DRAWS + 1), far below FALSE_CLAIMS / 100 measures."""
ENOUGH = 6
"""Pairs; with fewer, random signs give the largest difference more often than FALSE_CLAIMS: 2 of 2^5 times."""
SAME = ("unit", "better", "protocol")
"""What must agree before two numbers of the same name are compared."""

Verdict = Literal["better", "worse", "moved", "within noise", "no noise known"]
Key = tuple[str, str]  # system, measure


@dataclass(frozen=True)
class Moved:
    """One measure of one system in two reports, over the items that have a number in both."""

    system: str
    measure: str
    before: float
    after: float
    difference: float
    """after - before."""
    low: float | None
    high: float | None
    """95% bootstrap interval of the difference; None for a score of the set as a whole."""
    chance: float | None
    """How often random signs of the differences give one as large (two-sided, before correction)."""
    count: int
    """Pairs; 0 for a score of the set as a whole."""
    verdict: Verdict


def compare(a: Report, b: Report, seed: int = 0) -> list[Moved]:
    """From `a` to `b`, for every system and measure that both have, in the order of `a`.

    A movement is claimed where a sign-flip test on the pairs survives the procedure of Benjamini and Hochberg (1995)
    at FALSE_CLAIMS over all measures that differ at all, because among a hundred measures five leave their own 95%
    interval by chance. Scores of the set as a whole have one number a report, so their noise is not known.
    UserError if the reports are not about the same thing; `apart` says what else is left out.
    """
    _comparable(a, b)
    pairs = _pairs(a, b)
    differences = {key: np.array([y - x for x, y in values.values()]) for key, values in pairs.items()}
    chances = _chances(differences, seed)
    claimed = _claimed({key: chances[key] for key, values in differences.items() if np.any(values)})
    moved = []
    for key, values in pairs.items():
        before = {item: x for item, (x, _) in values.items()}
        after = {item: y for item, (_, y) in values.items()}
        difference, low, high = paired(after, before, seed)
        moved.append(
            Moved(
                *key,
                before=_mean(before),
                after=_mean(after),
                difference=difference,
                low=low,
                high=high,
                chance=chances[key],
                count=len(values),
                verdict=_verdict(a, key[1], difference) if key in claimed else "within noise",
            )
        )
    for system, measure in _common(a, b) if _same_set(a, b) else []:
        if measure in a["whole"].get(system, {}) and measure in b["whole"].get(system, {}):
            old, new = a["whole"][system][measure], b["whole"][system][measure]
            moved.append(Moved(system, measure, old, new, new - old, None, None, None, 0, "no noise known"))
    return moved


def apart(a: Report, b: Report) -> list[str]:
    """Sentences: what the two reports do not share, and so what `compare` leaves out or what else has changed."""
    said = []
    for part, what in (("systems", "system"), ("measures", "measure")):
        for here, there, which in ((a, b, "first"), (b, a, "second")):
            if alone := [name for name in here[part] if name not in there[part]]:
                said.append(f"Only the {which} report has the {what}{'s' * (len(alone) > 1)} {_list(alone)}.")
    for name, measure in a["measures"].items():
        other = b["measures"].get(name, measure)
        for part in SAME:
            if measure[part] != other[part]:
                said.append(
                    f"{name} is not compared: its {part} is {measure[part]!r} in the first report and {other[part]!r} "
                    "in the second."
                )
    items, others = ({item["id"]: item for item in report["items"]} for report in (a, b))
    for here, there, which in ((items, others, "first"), (others, items, "second")):
        if alone := [i for i in here if i not in there]:
            said.append(f"{len(alone)} of {len(here)} items are only in the {which} report: {_list(alone)}.")
    if changed := [i for i in items if i in others and not _same_item(items[i], others[i])]:
        said.append(
            f"{len(changed)} items have another kind or length under the same name and are left out: {_list(changed)}."
        )
    if lone := _lone(a, b):
        said.append(f"Left out, because only one report has a number there: {_list(lone)}.")
    if (a["whole"] or b["whole"]) and not _same_set(a, b):
        said.append("Scores of the set as a whole are not compared, because the two sets are not the same.")
    old, new = flat(a["about"]), flat(b["about"])
    if changes := [
        f"{name} ({old.get(name, 'none')} -> {new.get(name, 'none')})"
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]:
        said.append(f"The runs differ in {_list(changes)}.")
    return said


def show_comparison(
    a: Report, b: Report, page: Console, names: tuple[str, str] = ("first", "second"), seed: int = 0
) -> None:
    """What moved beyond noise, then how many measures did not, then what could not be compared."""
    moved = compare(a, b, seed)
    beyond = [m for m in moved if m.verdict not in ("within noise", "no noise known")]
    whole = [m for m in moved if m.verdict == "no noise known" and m.difference]
    if beyond:
        page.print(_table(beyond, a, f"Moved beyond noise, from {names[0]} to {names[1]}", names))
    within = [m for m in moved if m.verdict == "within noise"]
    equal = sum(m.difference == 0 and m.low == m.high for m in within)
    page.print(
        Text(
            f"{len(within)} of {len(within) + len(beyond)} measures did not move beyond noise"
            f"{f', {equal} of them equal to the last digit' if equal else ''}."
        )
    )
    if few := sum(m.count < ENOUGH for m in within):
        page.print(
            Text(
                f"{few} of them have fewer than {ENOUGH} pairs, too few to tell anything from noise.",
                "yellow",
            )
        )
    if not within and not beyond:
        page.print(Text("No measure has a pair of numbers; nothing can be said of noise.", "yellow"))
    if whole:
        page.print(_table(whole, a, "Scores of the set as a whole: one number each, so noise unknown", names))
    page.print(
        Text(
            "Noise: a sign-flip test over the items, at most "
            f"{FALSE_CLAIMS:.0%} false claims (Benjamini-Hochberg); in brackets, the 95% interval of each difference.",
            "dim",
        )
    )
    for sentence in apart(a, b):
        page.print(Text(sentence, "yellow"))


def _table(rows: Sequence[Moved], report: Report, title: str, names: tuple[str, str]) -> Table:
    table = Table(title=Text(title), title_justify="left", box=None, padding=(0, 1))
    for head in ("system", "measure"):
        table.add_column(head)
    for head in (*names, "difference", "pairs"):
        table.add_column(Text(head), justify="right")
    table.add_column("")
    for row in rows:
        measure = report["measures"][row.measure]
        change = (
            f"{'+' if row.difference > 0 else ''}{shown(row.difference, measure)} {measure['unit']}".rstrip()
        )
        if row.low is not None and row.high is not None:
            change += f" [{shown(row.low, measure)}, {shown(row.high, measure)}]"
        colour = {"better": "green", "worse": "red"}.get(row.verdict, "")
        table.add_row(
            Text(row.system),
            Text(f"{row.measure} {ARROWS[measure['better']]}".rstrip()),
            shown(row.before, measure),
            shown(row.after, measure),
            Text(change),
            str(row.count) if row.count else "",
            Text(row.verdict if row.count else "", colour),
        )
    return table


def _comparable(a: Report, b: Report) -> None:
    if a["what"] != b["what"]:
        raise UserError(
            f"one report is about {a['what']}, the other about {b['what']}; compare two of a kind"
        )
    versions = [report["about"].get("benchmark") for report in (a, b)]
    if versions[0] != versions[1]:
        raise UserError(
            f"the reports are of different benchmarks ({versions[0]} and {versions[1]}), whose items are not the same; "
            "evaluate again with one of them"
        )


def _common(a: Report, b: Report) -> list[Key]:
    """Systems and measures, in the order of `a`, that mean the same in both."""
    measures = [
        name
        for name, measure in a["measures"].items()
        if name in b["measures"] and all(measure[part] == b["measures"][name][part] for part in SAME)
    ]
    return [(system, name) for system in a["systems"] if system in b["systems"] for name in measures]


def _same_set(a: Report, b: Report) -> bool:
    items, others = ({i["id"]: (i["kind"], i["seconds"]) for i in report["items"]} for report in (a, b))
    return items == others


def _same_item(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return bool(a["kind"] == b["kind"] and a["seconds"] == b["seconds"])


def _values(a: Report, b: Report) -> dict[Key, dict[str, tuple[float | None, float | None]]]:
    """Of each common key: item -> its number in both reports, for the items that are in both."""
    others = {item["id"]: item for item in b["items"]}
    both = {
        item["id"]: (item["scores"], others[item["id"]]["scores"])
        for item in a["items"]
        if item["id"] in others and _same_item(item, others[item["id"]])
    }
    return {
        (system, name): {
            item: (x.get(system, {}).get(name), y.get(system, {}).get(name)) for item, (x, y) in both.items()
        }
        for system, name in _common(a, b)
    }


def _pairs(a: Report, b: Report) -> dict[Key, dict[str, tuple[float, float]]]:
    """Of each key with a pair: item -> its number in both reports."""
    pairs = {
        key: {item: (x, y) for item, (x, y) in values.items() if x is not None and y is not None}
        for key, values in _values(a, b).items()
    }
    return {key: values for key, values in pairs.items() if values}


def _lone(a: Report, b: Report) -> list[str]:
    lone = {
        key: sum((x is None) != (y is None) for x, y in values.values())
        for key, values in _values(a, b).items()
    }
    return [f"{name} of {system} ({count})" for (system, name), count in lone.items() if count]


def _mean(values: Mapping[str, float]) -> float:
    return math.fsum(values.values()) / len(values)


def _chances(differences: Mapping[Key, NDArray[np.float64]], seed: int) -> dict[Key, float]:
    """Two-sided, by the sign-flip test: without movement, each difference is as likely to have the other sign."""
    draw = np.random.default_rng(seed)
    longest = max((values.size for values in differences.values()), default=0)
    hits = dict.fromkeys(differences, 0)
    for _ in range(DRAWS // 1000):
        signs = draw.integers(0, 2, (1000, longest)) * 2.0 - 1
        for key, values in differences.items():
            # A little slack, so that sums that are equal on paper count as equal.
            enough = abs(values.sum()) - 1e-9 * np.abs(values).sum()
            hits[key] += int(np.count_nonzero(np.abs(signs[:, : values.size] @ values) >= enough))
    return {key: (count + 1) / (DRAWS + 1) for key, count in hits.items()}


def _claimed(chances: Mapping[Key, float]) -> set[Key]:
    """Benjamini and Hochberg (1995): the k least likely, for the largest k whose k-th is at most k / m of the rate."""
    ranked = sorted(chances, key=lambda key: chances[key])
    last = max(
        (k for k, key in enumerate(ranked, start=1) if chances[key] <= FALSE_CLAIMS * k / len(ranked)),
        default=0,
    )
    return set(ranked[:last])


def _verdict(report: Report, measure: str, difference: float) -> Verdict:
    better = report["measures"][measure]["better"]
    if not better:
        return "moved"
    return "better" if (difference > 0) == (better == "higher") else "worse"


def _list(names: Sequence[str], most: int = 12) -> str:
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join([*names[:most], *more])
