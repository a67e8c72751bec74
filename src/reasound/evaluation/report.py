"""The report of an evaluation: one JSON file that says everything."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reasound.errors import UserError
from reasound.evaluation.statistics import interval
from reasound.media.atomic import replacing

SCHEMA = "reasound.evaluation/1"
KINDS = ("scenes", "clips", "captions", "sounds", "control", "instructions")
"""What can be evaluated."""
KEYS = {
    "schema": str,
    "what": str,
    "title": str,
    "about": dict,
    "measures": dict,
    "systems": dict,
    "tables": list,
    "items": list,
    "whole": dict,
    "summary": dict,
    "classes": dict,
    "unscored": list,
}
"""Of the file, in this order."""

BETTER = ("higher", "lower", "")

Report = dict[str, Any]
Scores = Mapping[str, Mapping[str, float | None]]
"""System -> measure -> number, or None where the measure is not defined."""


@dataclass(frozen=True)
class Measure:
    """What a number means; two numbers may be compared only if this is the same for both."""

    text: str
    unit: str
    better: str
    """higher, lower, or nothing where neither is better."""
    digits: int
    """After the decimal point, for people; the file keeps all of them."""
    protocol: str
    """Which way of measuring, such as onset-f1/100ms."""


def summarise(
    items: Iterable[Mapping[str, Any]], systems: Iterable[str], measures: Iterable[str], seed: int = 0
) -> dict[str, dict[str, dict[str, float | int]]]:
    """System -> measure -> mean, 95% bootstrap interval and count, over the items that have a number.

    A measure that no item has a number for is left out.
    """
    items, measures = list(items), list(measures)
    summary: dict[str, dict[str, dict[str, float | int]]] = {}
    for system in systems:
        rows = [item["scores"].get(system, {}) for item in items]
        for name in measures:
            values = [row[name] for row in rows if row.get(name) is not None]
            if values:
                mean, low, high = (float(v) for v in interval(values, seed))
                summary.setdefault(system, {})[name] = {
                    "mean": mean,
                    "low": low,
                    "high": high,
                    "count": len(values),
                }
    return summary


def build(
    what: str,
    title: str,
    *,
    about: Mapping[str, Any],
    measures: Mapping[str, Measure],
    systems: Mapping[str, str],
    tables: Sequence[Mapping[str, Any]],
    items: Sequence[Mapping[str, Any]],
    whole: Scores | None = None,
    classes: Mapping[str, Mapping[str, Mapping[str, int]]] | None = None,
    unscored: Sequence[Mapping[str, str]] = (),
    seed: int = 0,
) -> Report:
    """The whole report, with its summary, checked. The order of systems, measures, tables and items is kept."""

    def ordered(scores: Scores) -> dict[str, dict[str, float | None]]:
        """As declared, so that the file does not depend on the order in which things were scored."""
        _known(scores, systems, "system")
        for row in scores.values():
            _known(row, measures, "measure")
        return {s: {m: scores[s][m] for m in measures if m in scores[s]} for s in systems if s in scores}

    kept = [{**item, "scores": ordered(item["scores"])} for item in items]
    report: Report = {
        "schema": SCHEMA,
        "what": what,
        "title": title,
        "about": dict(about),
        "measures": {name: asdict(measure) for name, measure in measures.items()},
        "systems": dict(systems),
        "tables": [dict(table) for table in tables],
        "items": kept,
        "whole": ordered(whole or {}),
        "summary": summarise(kept, systems, measures, seed),
        "classes": {name: dict(row) for name, row in sorted((classes or {}).items())},
        "unscored": [dict(row) for row in unscored],
    }
    check(report)
    return report


def check(report: Report) -> None:
    """ValueError, in one sentence, for a report that is not whole or names what it does not declare."""
    if not isinstance(report, dict) or "schema" not in report:
        raise ValueError("this is no report: it has no schema")
    if report["schema"] != SCHEMA:
        raise ValueError(f"the schema of the report is {report['schema']!r}, not {SCHEMA!r}")
    if set(report) != set(KEYS):
        strange = ", ".join(sorted(set(report) ^ set(KEYS)))
        raise ValueError(f"these keys of the report are missing or not known: {strange}")
    for key, kind in KEYS.items():
        if not isinstance(report[key], kind):
            raise ValueError(f"{key} of the report must be a {kind.__name__}")
    if report["what"] not in KINDS:
        raise ValueError(f"a report is about {', '.join(KINDS)}, not {report['what']!r}")
    try:
        _check_parts(report)
        json.dumps(report["about"], allow_nan=False)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a part of the report has another shape than it should: {error!r}") from error


def _check_parts(report: Report) -> None:
    measures, systems = report["measures"], report["systems"]
    for name, measure in measures.items():
        declared = Measure(**measure)
        if declared.better not in BETTER:
            raise ValueError(f"better of {name} must be higher, lower or empty, not {declared.better!r}")
        if not isinstance(declared.digits, int) or declared.digits < 0:
            raise ValueError(f"digits of {name} must be a whole number, not {declared.digits!r}")
    for table in report["tables"]:
        _known(table["measures"], measures, "measure", f" in the table {table['title']!r}")
        _known(table["systems"], systems, "system", f" in the table {table['title']!r}")
    ids = [item["id"] for item in report["items"]]
    for table in report["tables"]:
        _known(table.get("items", ()), dict.fromkeys(ids), "item", f" of the table {table['title']!r}")
    if len(set(ids)) < len(ids):
        raise ValueError(f"two items have the id {next(i for i in ids if ids.count(i) > 1)!r}")
    for item in report["items"]:
        _number(item["seconds"], f"seconds of {item['id']}")
        if not isinstance(item["kind"], str):
            raise ValueError(f"the kind of {item['id']} must be text")
        _check_scores(item["scores"], report, f" in item {item['id']}", or_none=True)
    _check_scores(report["whole"], report, " in the scores of the whole set")
    for system, row in report["summary"].items():
        _known([system], systems, "system", " in the summary")
        _known(row, measures, "measure", " in the summary")
        for name, values in row.items():
            for part in ("mean", "low", "high", "count"):
                _number(values[part], f"{part} of {name} of {system}")
            if name in report["whole"].get(system, {}):
                raise ValueError(f"{name} of {system} is both a score of the items and of the whole set")
    for name, counts in report["classes"].items():
        _known(counts, systems, "system", f" in class {name}")
        for system, count in counts.items():
            right, of = count["right"], count["of"]
            if not (isinstance(right, int) and isinstance(of, int) and 0 <= right <= of):
                raise ValueError(f"{system} cannot be right {right!r} times of {of!r} in class {name}")
    for row in report["unscored"]:
        _known([row["system"]], {"": "", **systems}, "system", f" in what is not scored of {row['id']}")
        if not row["reason"]:
            raise ValueError(f"{row['id']} is not scored, without a reason")


def _check_scores(scores: Any, report: Report, where: str, or_none: bool = False) -> None:
    _known(scores, report["systems"], "system", where)
    for system, row in scores.items():
        _known(row, report["measures"], "measure", where)
        for name, value in row.items():
            if value is not None or not or_none:
                _number(value, f"{name} of {system}{where}")


def _known(names: Iterable[str], declared: Mapping[str, Any], kind: str, where: str = "") -> None:
    for name in names:
        if name not in declared:
            raise ValueError(f"the {kind} {name!r}{where} is not declared in the report")


def _number(value: Any, what: str) -> None:
    # NumPy's float32 and int64 are not Python's numbers, and json would refuse them at the end of a long run.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{what} must be a finite Python number, not {value!r} ({type(value).__name__})")


def save(report: Report, path: Path | str) -> None:
    """One JSON file, whole or not at all: a line for each entry; the same report gives the same bytes."""
    check(report)
    parts = [f"{json.dumps(key)}: {_lines(report[key], key == 'about')}" for key in KEYS]
    with replacing(Path(path)) as fresh:
        fresh.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def _lines(value: Any, by_name: bool) -> str:
    def one(part: Any) -> str:
        return json.dumps(part, ensure_ascii=False, allow_nan=False, sort_keys=by_name)

    if isinstance(value, dict) and value:
        names = sorted(value) if by_name else value
        return "{\n  " + ",\n  ".join(f"{one(name)}: {one(value[name])}" for name in names) + "\n }"
    if isinstance(value, list) and value:
        return "[\n  " + ",\n  ".join(map(one, value)) + "\n ]"
    return one(value)


def load(path: Path | str) -> Report:
    """UserError for a file that is no report, or one of another version."""
    path = Path(path)
    no_report = f"{path} is no report of reasound evaluate"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"cannot read {path}: {reason}; name a report of reasound evaluate") from error
    except ValueError as error:  # not JSON, or not text
        raise UserError(f"{no_report}; name a JSON file that it wrote") from error
    schema = report.get("schema") if isinstance(report, dict) else None
    if not isinstance(schema, str) or not schema.startswith(SCHEMA.split("/")[0] + "/"):
        raise UserError(f"{no_report}; name a JSON file that it wrote")
    if schema != SCHEMA:
        raise UserError(f"{path} has the schema {schema}, this version reads {SCHEMA}; evaluate again")
    try:
        check(report)
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}; evaluate again") from error
    loaded: Report = report
    return loaded
