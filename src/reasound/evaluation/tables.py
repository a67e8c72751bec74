"""The tables of a report, in the terminal, and what stands beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reasound.evaluation.report import Report, summarise

COLUMNS = 110
"""Width of a terminal that the tables fit into."""
ARROWS = {"higher": "↑", "lower": "↓", "": ""}
NOTHING = "–"
CEILINGS = ("truth", "real")
"""Systems that are what the others aim at, also as the last part of "remove: truth"; never marked as the best."""


@dataclass(frozen=True)
class Cell:
    """One number of a table."""

    value: float
    low: float | None
    high: float | None
    """The 95% interval; None for a single item and for a score of the set as a whole."""
    count: int | None
    """Items with a number; None for a score of the set as a whole."""
    best: bool
    """No other system of the table but a ceiling has a better number, as far as digits are shown."""


def shown(value: float, measure: Mapping[str, Any]) -> str:
    """With the digits of the measure; never -0."""
    return f"{round(value, measure['digits']) + 0.0:.{measure['digits']}f}"


def cells(report: Report, table: Mapping[str, Any]) -> dict[tuple[str, str], Cell]:
    """(system, measure) -> number, for all cells of a table that have one."""
    found: dict[tuple[str, str], Cell] = {}
    whole, summary = report["whole"], report["summary"]
    if "items" in table:  # some systems made only these: nobody is shown on more
        some = [item for item in report["items"] if item["id"] in set(table["items"])]
        seed = report["about"].get("seed", 0)
        whole, summary = {}, summarise(some, table["systems"], table["measures"], seed)
    for name in table["measures"]:
        measure = report["measures"][name]
        column: dict[str, tuple[float, float | None, float | None, int | None]] = {}
        for system in table["systems"]:
            if name in whole.get(system, {}):
                column[system] = (whole[system][name], None, None, None)
            elif name in summary.get(system, {}):
                row = summary[system][name]
                # One item says nothing about how sure its value is.
                bounds = (row["low"], row["high"]) if row["count"] > 1 else (None, None)
                column[system] = (row["mean"], *bounds, row["count"])
        rounded = {system: float(shown(row[0], measure)) for system, row in column.items()}
        able = {system: value for system, value in rounded.items() if system.split(": ")[-1] not in CEILINGS}
        best = None
        if measure["better"] and len(set(able.values())) > 1:
            best = (max if measure["better"] == "higher" else min)(able.values())
        for system, row in column.items():
            found[system, name] = Cell(*row, best=system in able and able[system] == best)
    return found


def common_count(report: Report, found: Mapping[tuple[str, str], Cell], name: str) -> int | None:
    """The count that all cells of a column have, which then stands in its head; None where they differ."""
    counts = {cell.count for (_, measure), cell in found.items() if measure == name}
    return counts.pop() if len(counts) == 1 else None


def left_out(report: Report) -> list[tuple[str, list[str]]]:
    """(reason, what was not scored for it), in the order of the report; ids, with the system where it is one's."""
    reasons: dict[str, list[str]] = {}
    for row in report["unscored"]:
        name = f"{row['id']} ({row['system']})" if row["system"] else row["id"]
        reasons.setdefault(row["reason"], []).append(name)
    return list(reasons.items())


def not_in_tables(report: Report) -> list[str]:
    """ "measures of systems" for all numbers that no table shows, so that nobody is left to guess."""
    listed = {(s, m) for table in report["tables"] for s in table["systems"] for m in table["measures"]}
    missing: dict[str, list[str]] = {}
    for system in report["systems"]:
        numbers = [*report["summary"].get(system, {}), *report["whole"].get(system, {})]
        if names := ", ".join(name for name in numbers if (system, name) not in listed):
            missing.setdefault(names, []).append(system)
    return [f"{names} of {'; '.join(systems)}" for names, systems in missing.items()]


def flat(about: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """{"models": {"dit": "ab12"}} -> {"models dit": "ab12"}, in the order of the names."""
    rows: dict[str, str] = {}
    for name, value in sorted(about.items()):
        if isinstance(value, dict):
            rows |= flat(value, f"{above}{name} ")
        else:
            rows[above + name] = (
                value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
            )
    return rows


def tables(report: Report) -> list[Table]:
    """What `show` prints: each table of the report, cut into several where it is too wide for a terminal."""
    made = []
    for table in report["tables"]:
        found = cells(report, table)
        first = max([len(name) for name in table["systems"]] + [0]) + 4
        pieces: list[list[tuple[str, list[Text]]]] = [[]]
        left = COLUMNS - first
        for name in table["measures"]:
            column = _column(report, found, table["systems"], name)
            wide = max(max(len(line) for line in text.plain.splitlines() or [""]) for text in column) + 2
            if left < wide and pieces[-1]:
                pieces.append([])
                left = COLUMNS - first
            left -= wide
            pieces[-1].append((name, column))
        for i, piece in enumerate(pieces):
            made.append(_drawn(table, piece, f" ({i + 1} of {len(pieces)})" if len(pieces) > 1 else ""))
    return made


def _column(
    report: Report, found: Mapping[tuple[str, str], Cell], systems: Sequence[str], name: str
) -> list[Text]:
    """The head, then one text a system."""
    measure = report["measures"][name]
    count = common_count(report, found, name)
    # A long name goes over two lines at one of its underscores; the arrow stays with the last.
    before, _, last = name.rpartition("_") if len(name) > 10 else ("", "", name)
    head = Text(f"{before}_\n" if before else "")
    head.append(f"{last} {ARROWS[measure['better']]}".rstrip())
    head.append(f"\n{measure['unit']}", "dim")
    if count is not None and count != len(report["items"]):
        head.append(f" n={count}", "dim")
    column = [head]
    for system in systems:
        cell = found.get((system, name))
        text = Text(NOTHING, "dim") if cell is None else Text(shown(cell.value, measure))
        if cell is not None and cell.best:
            text.stylize("bold")
        if cell is not None and cell.low is not None and cell.high is not None:
            text.append(f" ±{shown((cell.high - cell.low) / 2, measure)}", "not bold dim")
        if cell is not None and cell.count is not None and count is None:
            text.append(f" n={cell.count}", "not bold dim")
        column.append(text)
    return column


def _drawn(table: Mapping[str, Any], columns: Sequence[tuple[str, list[Text]]], part: str) -> Table:
    drawn = Table(title=Text(table["title"] + part), title_justify="left", box=None, padding=(0, 1))
    drawn.add_column("", no_wrap=True)
    for _, texts in columns:
        drawn.add_column(texts[0], justify="right", vertical="bottom", no_wrap=True)
    for i, system in enumerate(table["systems"], start=1):
        drawn.add_row(Text(system), *(texts[i] for _, texts in columns))
    return drawn


def show(report: Report, page: Console) -> None:
    """Title, tables, what the columns and rows mean, and all that the tables leave out."""
    items, seconds = report["items"], sum(item["seconds"] for item in report["items"])
    page.print(Text(report["title"], "bold"))
    page.print(Text(f"{len(items)} items, {seconds:.0f} s; mean ± half of the 95% interval over the items"))
    for table in tables(report):
        page.print()
        page.print(table)
    page.print()
    for name, measure in report["measures"].items():
        page.print(Text.assemble((name, "bold"), f"  {measure['text']} ", (measure["protocol"], "dim")))
    for name, words in report["systems"].items():
        page.print(Text.assemble((name, "bold"), f"  {words}"))
    if report["classes"]:
        page.print(Text("Right sound class: " + ", ".join(_class_totals(report))))
    if missing := not_in_tables(report):
        page.print(Text("Measured, in the file, and in no table: " + ". ".join(missing)))
    if not report["unscored"]:
        page.print(Text("Everything could be scored."))
    for reason, names in left_out(report):
        page.print(Text.assemble((f"Not scored, {len(names)}: ", "yellow"), f"{reason}: {', '.join(names)}"))


def _class_totals(report: Report) -> list[str]:
    totals: dict[str, list[int]] = {}
    for row in report["classes"].values():
        for system, count in row.items():
            total = totals.setdefault(system, [0, 0])
            total[0] += count["right"]
            total[1] += count["of"]
    return [f"{system} {right} of {of}" for system, (right, of) in totals.items()]
