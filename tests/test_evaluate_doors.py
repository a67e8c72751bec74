"""`reasound evaluate` as a person meets it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

import clips
from reasound.media.video import Clip
from reasound.plan import Plan
from test_doors import inside, run  # noqa: F401 (a fixture)

RATE = 44_100


@pytest.fixture
def report(capfd, inside):  # noqa: F811
    code, out, _ = run(
        capfd, "evaluate", "captions", "--limit", 7, "--steps", 1, "--processes", 1, "-o", "a", "--json"
    )
    assert code == 0
    return json.loads(out)


def test_a_report_is_a_file_a_page_and_an_answer_and_the_same_every_time(capfd, inside, report):  # noqa: F811
    assert json.loads(Path("a.json").read_text()) == report
    assert "<html" in Path("a.html").read_text()
    code, out, err = run(
        capfd, "evaluate", "captions", "--limit", 7, "--steps", 1, "--processes", 2, "-o", "b"
    )
    assert code == 0 and "class_top5" in out and re.search(r"\d+ s", err)
    assert Path("a.json").read_bytes() == Path("b.json").read_bytes()
    code, out, _ = run(capfd, "evaluate", "compare", "a.json", "b.json")
    assert code == 0 and "beyond noise" in out
    code, out, _ = run(capfd, "evaluate", "compare", "a.json", "b.json", "--json")
    assert {row["verdict"] for row in json.loads(out)["moved"]} <= {"within noise"}


def test_what_is_there_is_not_replaced_unless_asked(capfd, inside, report):  # noqa: F811
    before = Path("a.json").read_bytes()
    code, out, err = run(capfd, "evaluate", "scenes", "--limit", 1, "-o", "a")
    assert code == 1 and "a.json exists already" in err and Path("a.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clips", "nowhere"], "nowhere"),
        (["clips", ".", "--layout", "odd"], "--layout must be one of"),
        (["scenes", "-o", "nowhere/x"], "the folder nowhere does not exist"),
        (["scenes", "--model", "nowhere"], "there is no model 'nowhere'"),
        (["compare", "x.json", "y.json"], "cannot read x.json"),
        (["sounds", "nowhere", "."], "there is no folder nowhere"),
        (["clips", ".", "--protocols", "fid"], "there is no measure 'fid'"),
        (["captions", "--limit", "3", "--write-renderers", "r.json"], "leave out --limit"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_left(capfd, inside, arguments, message):  # noqa: F811
    clips.write(inside / "c.mp4", seconds=0.5)
    code, out, err = run(capfd, "evaluate", *arguments)
    lines = [line for line in err.splitlines() if line.strip()]
    assert code == 1 and not out and len(lines) == 1 and message in lines[0]
    assert [p.name for p in inside.iterdir()] == ["c.mp4"]


def test_sounds_of_another_system_are_scored(capfd, inside):  # noqa: F811
    for name in ("made", "real"):
        Path(name).mkdir()
        t = np.arange(RATE) / RATE
        soundfile.write(f"{name}/a.wav", 0.3 * np.sin(2 * np.pi * 400 * t) * np.exp(-8 * t), RATE)
    code, out, _ = run(capfd, "evaluate", "sounds", "made", "real", "-o", "s", "--json")
    summary = json.loads(out)["summary"]
    assert code == 0 and summary["made"] == summary["real"] and summary["made"]["tag_kl"]["mean"] == 0


def test_the_measures_of_the_field_are_listed_with_what_they_need(capfd, inside):  # noqa: F811
    code, out, _ = run(capfd, "evaluate", "protocols", "--json")
    rows = json.loads(out)["protocols"]
    assert code == 0 and {"fd-openl3", "kl-passt", "desync", "clap-cot"} <= {row["name"] for row in rows}
    assert all(row["file"] and row["licence"] and row["project"] for row in rows)


def test_scenes_can_be_written_out_whole(capfd, inside):  # noqa: F811
    code, out, _ = run(capfd, "evaluate", "write", "scenes", "--limit", 1, "--json")
    assert code == 0 and json.loads(out)["scenes"] == 1
    (scene,) = Path("scenes").iterdir()
    plan = Plan.load(scene / "plan.json")
    mix, rate = soundfile.read(scene / "mix.wav")
    stems = [soundfile.read(path)[0] for path in (scene / "stems").iterdir()]
    assert rate == RATE and np.abs(sum(stems) - mix).max() < 1e-6
    assert len(stems) == len(plan.events) + len(plan.ambience)
    clip = Clip.open(scene / "film.mp4")
    assert float(clip.seconds) == plan.seconds == len(mix) / RATE
    masks = np.load(scene / "masks.npz")
    assert masks["e1"].shape == (round(plan.seconds * 25), 240, 320) and masks["e1"].any()
    for folder in (scene / "tasks").iterdir():
        task = json.loads((folder / "task.json").read_text())
        given, answer = (soundfile.read(folder / f"{name}.wav")[0] for name in ("given", "answer"))
        first = round(task["span"][0] * RATE)
        assert task["instruction"] and np.array_equal(given[:first], answer[:first])
    code, _, err = run(capfd, "evaluate", "write", "scenes")
    assert code == 1 and "scenes exists already" in err


def test_a_scene_is_scored_from_end_to_end(capfd, inside):  # noqa: F811
    code, out, _ = run(
        capfd, "evaluate", "scenes", "--limit", 1, "--steps", 1, "--processes", 1, "-o", "s", "--json"
    )
    report = json.loads(out)
    assert code == 0 and report["what"] == "scenes" and report["about"]["benchmark"] == 2
    (item,) = report["items"]
    assert item["scores"]["truth"]["onset_f1"] == 1 and item["scores"]["silence"]["onset_f1"] in (0, 1)
    rows = set(item["scores"])
    assert {"auto", "library, no video", "model, plan given", "mixture, nothing told", "reasoner"} <= rows
    assert item["scores"]["library, plan given"]["repeats"] == 1
    assert item["scores"]["auto"]["length_error"] == 0
    assert "data:video/mp4" in Path("s.html").read_text() or "data:audio/mp4" in Path("s.html").read_text()
