"""A whole session at one take, through the commands: all can be undone, nothing is lost, errors are sentences."""

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import clips
from reasound import Clip, Output, Reasound, foley
from reasound.cli import app
from reasound.errors import UserError
from reasound.history import History
from reasound.media import audio
from reasound.plan import Ambience, Event, Plan
from reasound.take import Take

SECONDS = 3
ENGINES = functools.cache(Reasound)
EVENTS = (
    Event(
        id="dog", source="a dog", sound="a dog barks", sound_class="animal/dog", end=3.0, onsets=(0.5, 1.8)
    ),
    Event(
        id="engine", source="an engine", sound="an engine runs", sound_class="vehicle/car", start=0.2, end=2.5
    ),
)
PLAN = Plan(
    seconds=SECONDS,
    events=EVENTS,
    ambience=(Ambience(id="rain", sound="rain falls", sound_class="weather/rain"),),
)
SESSION = (
    ("refine", "--at", "0.5", "--click", ".25,.5", "--sound", "a ball bounces"),
    ("edit", "make the dog louder"),
    ("edit", "take out the engine"),
    ("edit", "add thunder at 1 s"),
    ("edit", "replace the dog with a cat"),
    ("edit", "extend the clip by 1 second"),
    ("edit", "move the cat 0.3 s later"),
    ("edit", "make the rain sound underwater"),
    ("edit", "make the cat louder", "--span", "0-1.5"),
    ("gain", "rain", "--", "-3"),
    ("pan", "cat", "0.4"),
    ("mute", "rain"),
    ("unmute", "rain"),
    ("solo", "thunder"),
    ("unsolo", "thunder"),
    ("lock", "thunder"),
    ("unlock", "thunder"),
    ("reroll", "cat", "--seed", "7"),
    ("edit", "mute the rain"),
    ("refine", "--at", "1.5", "--box", "0.3,0.1,0.7,0.95", "--sound", "a ball bounces"),
)


def disc(time: float, width: int, height: int) -> np.ndarray:
    """A disc that hops from the left to the right."""
    ground = np.full((height, width, 3), 110, np.uint8)
    x, y = 12 + 25 * time, 46 - 25 * abs(np.sin(np.pi * time * 1.5))
    return cv2.circle(ground, (round(x), round(y)), 7, (220, 40, 30), -1)


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Output:
    folder = tmp_path_factory.mktemp("session")
    clip = Clip.open(clips.write(folder / "disc.mp4", disc, seconds=SECONDS, fps=15, size=(100, 60)))
    output = Output.named(folder / "out")
    foley(ENGINES("pocket"), clip, plan=PLAN, renderer="library").save(output, clip)
    return output


@pytest.fixture
def output(original, tmp_path) -> Output:
    shutil.copytree(original.take, tmp_path / "out.take")
    shutil.copy(original.video, tmp_path / "out.mp4")
    return Output.named(tmp_path / "out")


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    monkeypatch.setattr("reasound.pipeline.Reasound", ENGINES)


def run(command: str, output: Output, *arguments: str):
    return CliRunner().invoke(app, [command, str(output.take), *arguments])


def hashes(folder: Path) -> dict[str, str]:
    """Of all files."""
    found = (p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def heard(output: Output) -> dict[str, str]:
    """Of the files of the head."""
    found = hashes(output.take.parent)
    return {k: v for k, v in found.items() if "history" not in Path(k).parts and not k.endswith(".lock")}


def test_a_session_is_undone_and_done_again_byte_for_byte(output):
    states = [heard(output)]
    for command, *arguments in SESSION:
        result = run(command, output, *arguments)
        assert result.exit_code == 0, (command, arguments, result.exception)
        states.append(heard(output))
        Take.load(output.take)
        assert states[-1] != states[-2]
    with History.open(output.take) as past:
        for state in states[-2::-1]:
            past.undo()
            assert heard(output) == state
        for state in states[1:]:
            past.redo()
            assert heard(output) == state


WRONG = (
    (("undo",), "nothing to undo"),
    (("redo",), "nothing to redo"),
    (("diff", "zzz"), "there is no take 'zzz'"),
    (("ab", "zzz"), "there is no take 'zzz'"),
    (("gain", "dog", "99"), "from -60 to 24"),
    (("gain", "dog", "nan"), "from -60 to 24"),
    (("pan", "dog", "1.5"), "from -1 to 1"),
    (("reroll", "horse"), "there are dog, engine, rain"),
    (("unmute", "dog"), "nothing to change: dog unmuted already"),
    (("edit", ""), "asks for nothing"),
    (("edit", "make the violin louder"), "no violin"),
    (("edit", "make the dog louder", "--span", "5-2"), "--span must be two times"),
    (("edit", "make the dog louder", "--span", "1-9"), "does not lie in the clip"),
    (("edit", "make the dog louder", "--span", "nan-2"), "--span must be two times"),
    (("refine", "--at", "9", "--click", ".2,.5"), "the clip lasts 3 s"),
    (("refine", "--at", "nan", "--click", ".2,.5"), "the clip lasts 3 s"),
    (("refine", "--at", "1", "--click", "2,.5"), "outside the picture"),
    (("refine", "--at", "1", "--click", ".9,.1"), "say what it is with --sound"),
    (("refine", "--at", "1", "--click", ".25,.5", "--sound", "犬の声"), "only reads English"),
    (("refine", "--at", "1", "--phrase", "giraffe"), 'nothing there is "giraffe"'),
    (("refine", "--at", "1", "--click", ".2,.5", "--box", "0,0,1,1"), "point at one thing"),
)


@pytest.mark.parametrize(
    ("arguments", "said"), WRONG, ids=lambda x: "-".join(x) if isinstance(x, tuple) else ""
)
def test_what_cannot_be_done_is_said_and_changes_nothing(output, arguments, said):
    before = hashes(output.take.parent)
    result = run(arguments[0], output, *arguments[1:])
    assert result.exit_code != 0 and isinstance(result.exception, UserError)
    assert said in str(result.exception) and said not in result.stdout  # once
    assert hashes(output.take.parent) == before


def test_nothing_is_written_into_a_take(output):
    assert run("mute", output, "dog").exit_code == 0
    before = hashes(output.take.parent)
    result = run("ab", output, "-o", str(output.take / "mix.wav"), "--force")
    assert "lies in a take" in str(result.exception) and hashes(output.take.parent) == before


def test_a_sound_file_is_edited_on_and_on(tmp_path):
    noise = np.random.default_rng(0).standard_normal((2, 66_150)).astype(np.float32) * 0.05
    audio.write(tmp_path / "noise.wav", noise)
    made = Output(tmp_path / "new.wav", tmp_path / "new.take")

    def edit(what: str, *more: str):
        return CliRunner().invoke(app, ["edit", str(tmp_path / what), "add thunder at 0.5 s", *more])

    assert "is what is edited" in str(
        edit("noise.wav", "-o", str(tmp_path / "noise.wav"), "--force").exception
    )
    assert edit("noise.wav", "-o", str(tmp_path / "new")).exit_code == 0
    first = heard(made)
    assert edit("new.wav").exit_code == 0 and run("mute", made, "original").exit_code == 0
    assert made.video.read_bytes() == (made.take / "mix.wav").read_bytes()
    assert run("undo", made).exit_code == run("undo", made).exit_code == 0
    assert heard(made) == first
    assert "sound alone" in str(run("refine", made, "--at", "1", "--click", ".2,.2").exception)


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_a_take_of_another_kind_of_video_keeps_it(original, tmp_path, suffix):
    output = Output.named(tmp_path / f"out{suffix}")
    Take.load(original.take).save(output, Clip.open(original.video))
    assert run("mute", output, "dog").exit_code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"out{suffix}", "out.take"]
    assert output.video.read_bytes() == (output.take / f"preview{suffix}").read_bytes()


def test_a_log_that_is_lost_or_of_another_take_is_named(output):
    assert run("mute", output, "dog").exit_code == 0
    log = output.take / "history" / "log.json"
    with History.open(output.take) as past:
        head = past.head.id
    kept = log.read_text()
    for text in (kept.replace(head, "0" * 12), kept.replace(head, "../../other"), "[]", None):
        log.unlink() if text is None else log.write_text(text)
        before = hashes(output.take.parent)
        assert "log.json is damaged" in str(run("mute", output, "rain").exception)
        assert hashes(output.take.parent) == before


def test_a_kill_at_any_moment_leaves_the_parent(original, tmp_path):
    """Fifty commands, half edits and half refinements, are killed for real."""
    commands = [
        ["edit", "add thunder at 1 s", "--reasoner", "rules"],
        ["refine", "--at", "0.5", "--click", ".25,.5", "--sound", "a ball bounces"],
    ]
    result = subprocess.run(
        [
            sys.executable,
            Path(__file__).with_name("killed.py"),
            original.take,
            tmp_path / "k",
            json.dumps(commands),
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(found) == 50 and {f["command"] for f in found} == {"edit", "refine"}
    assert all(f["opened"] and f["kept"] and f["video"] for f in found)
    assert all(f["there"] == ["out.mp4", "out.take"] for f in found)
    assert sum(f["killed"] for f in found) >= 25  # those at a point of the disk, for sure
    assert {f["takes"] for f in found} == {1, 2}  # before the change stood, and after
