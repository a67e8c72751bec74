"""Reports: what is summed up, what is refused, what is shown, and what two of them may be said to differ in."""

import json
from itertools import product

import numpy as np
import pytest
from rich.console import Console

from reasound.errors import UserError
from reasound.evaluation import compare as comparing
from reasound.evaluation.compare import apart, compare, show_comparison
from reasound.evaluation.report import KEYS, Measure, build, check, load, save, summarise
from reasound.evaluation.tables import COLUMNS, show, tables
from reasound.evaluation.tables import cells as cells_of

MEASURES = {
    "f1": Measure("onsets that match", "", "higher", 2, "onset-f1/100ms"),
    "error": Measure("distance of onsets", "ms", "lower", 1, "onset-error/100ms"),
    "loudness": Measure("integrated loudness", "LUFS", "", 1, "bs1770-4"),
    "frechet": Measure("distance of the sets", "", "lower", 2, "yamnet-fd"),
}
SYSTEMS = {"truth": "the true sound", "ours": "what we made", "silence": "no sound"}


def scores(**changes):
    """Of one item."""
    return {
        "truth": {"f1": 1.0, "error": 0.0, "loudness": -23.0},
        "ours": {"f1": 0.5, "error": 12.0, "loudness": -22.0} | changes,
        "silence": {"f1": 0.0, "error": None},
    }


def made(items=None, **changes):
    items = [scores()] * 3 if items is None else items
    given = {
        "about": {"reasound": "0.1.0", "seed": 0, "models": {"dit": "ab12"}},
        "measures": MEASURES,
        "systems": SYSTEMS,
        "tables": [{"title": "All", "measures": list(MEASURES), "systems": list(SYSTEMS)}],
        "items": [
            {"id": f"scene-{i}", "kind": "strike", "seconds": 6.0, "scores": row}
            for i, row in enumerate(items)
        ],
        "whole": {"ours": {"frechet": 3.25}},
        "classes": {"animal/dog": {"ours": {"right": 3, "of": 4}}},
        "unscored": [
            {"id": "scene-7", "system": "", "reason": "it has no sound"},
            {"id": "scene-8", "system": "", "reason": "it has no sound"},
            {"id": "scene-0", "system": "ours", "reason": "nothing is seen"},
        ],
    }
    return build("scenes", "Three scenes", **(given | changes))


def printed(say, *arguments, width=COLUMNS, **named):
    page = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with page.file:
        say(*arguments, page, **named)
    return page.export_text()


def test_only_what_has_a_number_is_in_the_mean():
    rows = [{"f1": 0.25, "error": None}, {"f1": 0.25}, {"f1": 0.25, "error": 8.0}]
    summary = summarise(
        [{"scores": {"ours": row}} for row in rows], ["ours", "silence"], ["f1", "error", "x"]
    )
    assert summary == {
        "ours": {
            "f1": {"mean": 0.25, "low": 0.25, "high": 0.25, "count": 3},
            "error": {"mean": 8.0, "low": 8.0, "high": 8.0, "count": 1},
        }
    }


def test_the_interval_is_as_wide_as_the_normal_one():
    values = np.random.default_rng(0).normal(3, 2, 400)
    row = summarise([{"scores": {"ours": {"f1": v}}} for v in values.tolist()], ["ours"], ["f1"])["ours"][
        "f1"
    ]
    assert row["mean"] == pytest.approx(values.mean())
    assert (row["high"] - row["low"]) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.1)


def test_what_is_saved_is_loaded_and_the_order_of_scoring_leaves_no_trace(tmp_path):
    report = made()
    save(report, tmp_path / "a.json")
    assert load(tmp_path / "a.json") == report
    backwards = [{s: dict(reversed(row.items())) for s, row in reversed(scores().items())}] * 3
    about = {"models": {"dit": "ab12"}, "seed": 0, "reasound": "0.1.0"}
    save(made(backwards, about=about), tmp_path / "b.json")
    text = (tmp_path / "a.json").read_bytes()
    assert (tmp_path / "b.json").read_bytes() == text
    assert max(len(line) for line in text.splitlines()) < 250  # an entry a line, for people and for diff
    assert list(json.loads(text)) == list(KEYS)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda r: r.update(schema="reasound.evaluation/2"), "schema"),
        (lambda r: r.pop("whole"), "whole"),
        (lambda r: r.update(extra=1), "extra"),
        (lambda r: r.update(what="weather"), "weather"),
        (lambda r: r.update(items={}), "items"),
        (lambda r: r["items"][1].update(id="scene-0"), "scene-0"),
        (lambda r: r["items"][0].pop("seconds"), "seconds"),
        (lambda r: r["items"][0]["scores"]["ours"].update(f1=float("nan")), "f1 of ours in item scene-0"),
        (lambda r: r["items"][0]["scores"]["ours"].update(f1=np.float32(1)), "float32"),
        (lambda r: r["items"][0]["scores"]["ours"].update(f1=True), "bool"),
        (lambda r: r["items"][0]["scores"]["ours"].update(mel=1.0), "'mel'"),
        (lambda r: r["items"][0]["scores"].update(theirs={}), "'theirs'"),
        (lambda r: r["whole"]["ours"].update(frechet=None), "frechet"),
        (lambda r: r["whole"]["ours"].update(f1=1.0), "both"),
        (lambda r: r["summary"]["ours"]["f1"].update(low=float("inf")), "low of f1 of ours"),
        (lambda r: r["measures"]["f1"].update(better="up"), "better of f1"),
        (lambda r: r["measures"]["f1"].update(colour="red"), "colour"),
        (lambda r: r["tables"][0]["measures"].append("mel"), "'mel' in the table 'All'"),
        (lambda r: r["tables"][0]["systems"].append("theirs"), "'theirs' in the table 'All'"),
        (lambda r: r["classes"]["animal/dog"]["ours"].update(right=5), "animal/dog"),
        (lambda r: r["unscored"][0].update(system="theirs"), "'theirs'"),
        (lambda r: r["unscored"][0].update(reason=""), "without a reason"),
        (lambda r: r["about"].update(speed=float("nan")), "JSON"),
    ],
)
def test_a_report_that_is_not_whole_is_refused(harm, said, tmp_path):
    report = json.loads(json.dumps(made()))
    check(report)
    harm(report)
    with pytest.raises(ValueError, match=said):
        check(report)
    with pytest.raises(ValueError, match=said):
        save(report, tmp_path / "a.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file"),
        ("", "no report"),
        ("[1, 2]", "no report"),
        ('{"schema": "something.else/1"}', "no report"),
        ('{"schema": "reasound.evaluation/9"}', "reasound.evaluation/9"),
        ('{"schema": "reasound.evaluation/1"}', "damaged"),
    ],
)
def test_a_file_that_is_no_report_is_one_sentence(text, said, tmp_path):
    if text is not None:
        (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        load(tmp_path / "a.json")
    assert "\n" not in str(caught.value) and "a.json" in str(caught.value)


def test_the_best_that_is_no_ceiling_is_marked():
    report = made(
        systems=SYSTEMS | {"worse": ""}, items=[scores() | {"worse": {"f1": 0.1, "error": 30.0}}] * 3
    )
    table = {"measures": ["f1", "error", "loudness"], "systems": ["truth", "ours", "silence", "worse"]}
    cells = cells_of(report, table)
    assert {key for key, cell in cells.items() if cell.best} == {("ours", "f1"), ("ours", "error")}
    assert ("silence", "error") not in cells and cells["ours", "f1"].count == 3


def test_an_equal_number_is_as_good_as_the_digits_that_are_shown():
    report = made([scores(f1=0.501) | {"silence": {"f1": 0.499}}] * 2)
    cells = cells_of(report, {"measures": ["f1"], "systems": ["ours", "silence"]})
    assert not any(cell.best for cell in cells.values())  # 0.50 and 0.50


def test_tables_fit_a_terminal_and_lose_nothing():
    measures = {f"a_long_measure_{i}": Measure("", "dB", "lower", 2, "x") for i in range(30)}
    systems = {f"the model, told nothing at all {i}": "" for i in range(3)}
    draw = np.random.default_rng(0)
    rows = [{s: {m: float(draw.normal(0, 100)) for m in measures} for s in systems} for _ in range(5)]
    rows[0]["the model, told nothing at all 1"]["a_long_measure_3"] = None
    report = made(
        rows,
        measures=measures,
        systems=systems,
        tables=[{"title": "All", "measures": list(measures), "systems": list(systems)}],
        whole={},
        classes={},
        unscored=[],
    )
    drawn = tables(report)
    assert len(drawn) > 1
    text = printed(lambda page: [page.print(table) for table in drawn], width=300)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= COLUMNS
    assert printed(lambda page: [page.print(t) for t in drawn]).split() == text.split() and "…" not in text
    for system, row in report["summary"].items():
        for cell in row.values():
            assert f"{cell['mean']:.2f} ±{(cell['high'] - cell['low']) / 2:.2f}" in text, system
    assert text.count("n=4") == 1 and text.count("n=5") == 2  # only where the counts of a column differ


def test_a_single_item_has_no_interval_and_minus_nothing_is_nothing():
    report = made([scores(f1=-0.001)])
    text = printed(lambda page: page.print(tables(report)[0]))
    assert "±" not in text and "0.00" in text and "-0.00" not in text


def test_nothing_is_left_out_in_silence():
    report = made(tables=[{"title": "Some", "measures": ["f1", "frechet"], "systems": ["truth", "ours"]}])
    text = " ".join(printed(show, report).split())
    for part in (
        "Three scenes",
        "3 items, 18 s",
        "3.25",
        "error, loudness of truth; ours",
        "f1 of silence",
        "Not scored, 2: it has no sound: scene-7, scene-8",
        "Not scored, 1: nothing is seen: scene-0 (ours)",
        "ours 3 of 4",
        "onset-f1/100ms",
        "what we made",
    ):
        assert part in text, part
    assert "Everything could be scored" in printed(show, made(unscored=[]))


def random_report(seed, items=40, measures=12, move=0.0):
    """One system; items that are hard are hard in every report. `move` is added to the first measure."""
    hard, draw = np.random.default_rng(99).normal(0, 1, items), np.random.default_rng(seed)
    names = [f"m{i}" for i in range(measures)]
    values = hard[:, None] + draw.normal(0, 0.5, (items, measures))
    values[:, 0] += move
    rows = [{"ours": dict(zip(names, row, strict=True))} for row in values.tolist()]
    return made(
        rows,
        measures={name: Measure("", "", "higher", 2, "x") for name in names},
        systems={"ours": ""},
        tables=[],
        whole={},
        classes={},
        unscored=[],
    )


def test_what_moved_is_found_and_has_the_right_sign():
    others = 0
    for seed in range(8):
        before, after = random_report(2 * seed), random_report(2 * seed + 1, move=0.6)
        moved = {m.measure: m for m in compare(before, after)}
        assert moved["m0"].verdict == "better" and moved["m0"].count == 40
        assert moved["m0"].low < 0.6 < moved["m0"].high
        assert moved["m0"].difference == pytest.approx(moved["m0"].after - moved["m0"].before)
        others += sum(m.verdict != "within noise" for name, m in moved.items() if name != "m0")
        back = compare(after, before)[0]
        assert back.verdict == "worse" and back.difference == pytest.approx(-moved["m0"].difference)
    assert others <= 2  # of the claims, one in twenty may be chance


def test_equal_systems_with_other_seeds_seldom_move():
    claims, intervals = 0, 0
    for seed in range(25):
        moved = compare(random_report(2 * seed), random_report(2 * seed + 1), seed)
        claims += any(m.verdict != "within noise" for m in moved)
        intervals += any(m.low > 0 or m.high < 0 for m in moved)
    assert claims <= 3 and intervals >= 8  # 5% of 25 against 1 - 0.95^12 of 25, were there no correction


def test_the_chance_is_that_of_all_signs():
    values = np.array([0.9, 1.3, 0.4, -0.2, 0.7, 1.1, 0.1, 0.8])
    sums = np.array([np.dot(signs, values) for signs in product((-1, 1), repeat=8)])
    exact = np.mean(np.abs(sums) >= values.sum() - 1e-9)
    alike = np.ones(8)
    chances = comparing._chances({("s", "a"): values, ("s", "b"): alike, ("s", "c"): np.zeros(5)}, 0)
    assert chances["s", "a"] == pytest.approx(exact, abs=0.003)
    assert chances["s", "b"] == pytest.approx(2 / 2**8, abs=0.002)
    assert chances["s", "c"] == 1.0


def test_claims_are_those_of_benjamini_and_hochberg():
    """The example of their paper (1995, section 4): 15 chances, of which the first 4 are claimed."""
    chances = ".0001 .0004 .0019 .0095 .0201 .0278 .0298 .0344 .0459 .3240 .4262 .5719 .6528 .7590 1".split()
    keys = [("s", f"{i:02d}") for i in range(15)]
    given = dict(zip(reversed(keys), map(float, reversed(chances)), strict=True))
    assert sorted(comparing._claimed(given)) == keys[:4]
    assert comparing._claimed({}) == set()


def test_less_is_better_where_the_measure_says_so():
    many = [scores(error=12.0 + i % 3, loudness=-22.0 + 0.1 * (i % 4)) for i in range(20)]
    fewer = [scores(error=9.0 + i % 4, loudness=-20.0 + 0.1 * (i % 3)) for i in range(20)]
    moved = {(m.system, m.measure): m for m in compare(made(many), made(fewer))}
    assert moved["ours", "error"].verdict == "better" and moved["ours", "error"].difference < 0
    assert moved["ours", "loudness"].verdict == "moved"
    assert moved["truth", "f1"].verdict == "within noise" and moved["truth", "f1"].chance == 1
    whole = moved["ours", "frechet"]
    assert (whole.verdict, whole.low, whole.count) == ("no noise known", None, 0)
    text = printed(show_comparison, made(many), made(fewer))
    assert text.index("Moved beyond noise") < text.index("did not move beyond noise")
    assert "5 of 7 measures did not move beyond noise, 5 of them equal to the last digit" in text


def test_things_of_another_kind_are_not_compared():
    with pytest.raises(UserError, match="scenes, the other about clips"):
        compare(made(), made() | {"what": "clips"})
    with pytest.raises(UserError, match="different benchmarks"):
        compare(made(about={"benchmark": 1}), made(about={"benchmark": 2}))


def test_what_only_one_report_has_is_said():
    other = MEASURES | {
        "error": Measure("distance of onsets", "s", "lower", 3, "onset-error/100ms"),
        "mel": Measure("log-mel distance", "dB", "lower", 1, "mel"),
    }
    a = made([scores()] * 4)
    b = made([scores(f1=None)] + [scores()] * 2, measures=other, systems=SYSTEMS | {"theirs": ""})
    b["about"]["models"] = {"dit": "cd34"}
    b["items"][2]["seconds"] = 9.0
    moved = {(m.system, m.measure): m.count for m in compare(a, b)}
    assert moved == {
        ("truth", "f1"): 2,
        ("truth", "loudness"): 2,
        ("ours", "f1"): 1,
        ("ours", "loudness"): 2,
        ("silence", "f1"): 2,
    }
    said = " ".join(apart(a, b))
    for part in (
        "Only the second report has the system theirs.",
        "Only the second report has the measure mel.",
        "error is not compared: its unit is 'ms' in the first report and 's' in the second.",
        "1 of 4 items are only in the first report: scene-3.",
        "scene-2",
        "f1 of ours (1)",
        "Scores of the set as a whole are not compared",
        "models dit (ab12 -> cd34)",
    ):
        assert part in said, part
    text = " ".join(printed(show_comparison, a, b).split())
    assert said in text and "5 of them have fewer than 6 pairs" in text
    assert apart(a, a) == []


def test_a_table_of_some_items_shows_every_system_on_those_alone():
    items = [{"id": f"c{i}", "kind": "", "seconds": 1.0, "scores": {"ours": {"f1": i / 4}}} for i in range(4)]
    items[2]["scores"]["truth"] = items[3]["scores"]["truth"] = {"f1": 1.0}
    table = {"title": "t", "measures": ["f1"], "systems": ["truth", "ours"], "items": ["c2", "c3"]}
    report = build("scenes", "", about={}, measures=MEASURES, systems=SYSTEMS, tables=[table], items=items)
    found = cells_of(report, table)
    assert found["ours", "f1"].value == pytest.approx(0.625) and found["ours", "f1"].count == 2
    assert report["summary"]["ours"]["f1"]["mean"] == pytest.approx(0.375)
    with pytest.raises(ValueError, match="the item 'c9' of the table 't' is not declared"):
        build(
            "scenes",
            "",
            about={},
            measures=MEASURES,
            systems=SYSTEMS,
            tables=[table | {"items": ["c9"]}],
            items=items,
        )
