"""The command line as a person meets it: what it writes, what it says, and what it leaves behind when it fails."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

import clips
from reasound.cli import main

SECONDS = 1.2


@pytest.fixture(scope="module")
def ball(tmp_path_factory):
    return clips.bouncing_ball(tmp_path_factory.mktemp("clips") / "ball.mp4", seconds=SECONDS).path


@pytest.fixture
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capfd, *arguments):
    """Exit status, stdout and stderr of one call."""
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in arguments])
    out, err = capfd.readouterr()
    return stopped.value.code, out, err


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_foley_writes_a_video_and_a_take(capfd, inside, ball):
    code, out, _ = run(
        capfd, "foley", ball, "-o", "out", "--caption", "a rubber ball bounces on wood", "--json"
    )
    assert code == 0
    answer = json.loads(out)
    assert Path(answer["video"]) == Path("out.mp4") and Path(answer["take"]) == Path("out.take")
    assert {"take.json", "plan.json", "mix.wav", "preview.mp4"} <= {
        p.name for p in Path("out.take").iterdir()
    }
    mix, rate = soundfile.read("out.take/mix.wav")
    assert rate == 44_100 and mix.shape == (round(SECONDS * rate), 2) and np.abs(mix).max() > 0.01
    stems = [soundfile.read(p)[0] for p in Path("out.take/layers").glob("*.wav")]
    assert len(stems) == len(answer["layers"]) > 0
    np.testing.assert_allclose(sum(stems), mix, atol=len(stems) * 2**-23)
    assert clips.durations(Path("out.mp4")) == pytest.approx([SECONDS, SECONDS], abs=1e-3)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(capfd, inside, ball):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        assert (
            run(capfd, "foley", ball, "-o", name, "--seed", seed, "--caption", "footsteps on gravel")[0] == 0
        )
    for name in files(Path("a.take")):
        assert Path("a.take", name).read_bytes() == Path("b.take", name).read_bytes(), name
    assert Path("a.mp4").read_bytes() == Path("b.mp4").read_bytes()
    assert Path("a.take/mix.wav").read_bytes() != Path("c.take/mix.wav").read_bytes()


def test_an_edited_plan_is_followed(capfd, inside, ball):
    assert run(capfd, "plan", ball, "--caption", "a hammer hits metal", "--json")[0] == 0
    plan = {
        "seconds": SECONDS,
        "events": [
            {"id": "tap", "source": "a hammer", "sound": "a hammer hits an anvil", "end": SECONDS}
            | {"sound_class": "tool/anvil", "onsets": [0.8]}
        ],
    }
    Path("plan.json").write_text(json.dumps(plan))
    assert run(capfd, "foley", ball, "-o", "out", "--plan", "plan.json", "--renderer", "library")[0] == 0
    mix = np.abs(soundfile.read("out.take/mix.wav")[0]).max(1)
    assert mix[: int(0.75 * 44_100)].max() < 0.02 * mix.max()
    assert abs(np.argmax(mix > 0.25 * mix.max()) / 44_100 - 0.8) < 0.03


def test_the_plan_as_json_keeps_its_contract(capfd, inside, ball):
    code, out, _ = run(capfd, "plan", ball, "--caption", "a ball bounces on wood", "--json")
    plan = json.loads(out)
    assert code == 0 and files(inside) == []
    assert {step["aspect"] for step in plan["reasoning"]} == {"semantic", "temporal", "spatial", "aesthetic"}
    assert all(step["text"] for step in plan["reasoning"])
    event = plan["events"][0]
    assert event["source"] and event["sound"] and event["onsets"] == sorted(event["onsets"])


def test_a_plan_for_people_shows_its_reasoning(capfd, inside, ball):
    code, out, _ = run(capfd, "plan", ball, "--caption", "a ball bounces on wood")
    assert code == 0 and all(word in out for word in ("semantic", "temporal", "spatial", "aesthetic"))


def text_file(folder):
    (folder / "text.mp4").write_text("not a video " * 99)
    return "text.mp4"


def truncated(folder):
    whole = clips.bouncing_ball(folder / "whole.mp4", seconds=2).path
    (folder / "cut.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
    whole.unlink()
    return "cut.mp4"


def sound_only(folder):
    soundfile.write(folder / "sound.wav", np.zeros(4410), 44_100)
    return "sound.wav"


def empty(folder):
    (folder / "empty.mp4").touch()
    return "empty.mp4"


def a_folder(folder):
    (folder / "clip.mp4").mkdir()
    return "clip.mp4"


def missing(folder):
    return "missing.mp4"


def no_frames(folder):
    return clips.no_frames(folder / "none.mp4").name


@pytest.mark.parametrize("make", [missing, text_file, truncated, sound_only, empty, a_folder, no_frames])
@pytest.mark.parametrize("command", ["foley", "plan"])
def test_a_bad_clip_is_one_sentence(capfd, inside, make, command):
    name = make(inside)
    before = files(inside)
    code, out, err = run(capfd, command, name)
    assert code == 1 and out == ""
    assert_one_sentence(err)
    assert name in err
    assert files(inside) == before


@pytest.mark.parametrize("frames", [1, 3])
def test_very_short_clips_get_a_sound_of_their_length(capfd, inside, frames):
    clip = clips.bouncing_ball(inside / "short.mp4", seconds=frames / 30).path
    assert run(capfd, "foley", clip, "-o", "out", "--caption", "a knock on wood")[0] == 0
    assert soundfile.info("out.take/mix.wav").frames == frames * 1470


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--seed", "abc"], 2, "--seed"),
        (["--seed", "-1"], 1, "--seed"),
        (["--renderer", "loud"], 1, "library, model, auto"),
        (["--steps", "0"], 1, "--steps"),
        (["--loudness", "9"], 1, "--loudness"),
        (["--model", "no-such-model"], 1, "no-such-model"),
        (["--plan", "no-such-plan.json"], 1, "no-such-plan.json"),
        (["-o", "no/such/folder/out"], 1, "does not exist"),
        (["--nonsense"], 2, "--nonsense"),
    ],
)
def test_a_bad_option_is_one_sentence(capfd, inside, ball, arguments, code, words):
    got, out, err = run(capfd, "foley", ball, *arguments)
    assert got == code and out == "" and words in err
    assert_one_sentence(err)
    assert files(inside) == []


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ("{", "is not a plan"),
        ('{"seconds": 1.2, "events": 3}', "events"),
        ('{"seconds": 99}', "the plan is for 99 s"),
    ],
)
def test_a_plan_that_does_not_fit_is_one_sentence(capfd, inside, ball, plan, words):
    Path("plan.json").write_text(plan)
    code, _, err = run(capfd, "foley", ball, "--plan", "plan.json")
    assert code == 1 and words in err
    assert_one_sentence(err)
    assert files(inside) == ["plan.json"]


def test_nothing_is_overwritten_without_force(capfd, inside, ball):
    Path("out.mp4").write_text("mine")
    code, _, err = run(capfd, "foley", ball, "-o", "out")
    assert code == 1 and "--force" in err and files(inside) == ["out.mp4"]
    assert Path("out.mp4").read_text() == "mine"
    assert run(capfd, "foley", ball, "-o", "out", "--force")[0] == 0
    assert run(capfd, "foley", ball, "-o", "out", "--force")[0] == 0
    assert [p for p in files(inside) if not p.startswith(("out.mp4", "out.take/"))] == []


def test_a_folder_that_is_no_take_is_never_replaced(capfd, inside, ball):
    Path("out.take").mkdir()
    Path("out.take/novel.txt").write_text("years of work")
    code, _, err = run(capfd, "foley", ball, "-o", "out", "--force")
    assert code == 1 and "not a take" in err and files(inside) == ["out.take/novel.txt"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_one_sentence(capfd, inside, ball):
    Path("locked").mkdir(mode=0o500)
    code, _, err = run(capfd, "foley", ball, "-o", "locked/out")
    assert code == 1 and "cannot write in locked" in err


def call(*arguments, **options):
    command = [sys.executable, "-m", "reasound.cli", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_a_full_disk_leaves_nothing_behind(inside, ball):
    """A limit on file size stands for the full disk: the same error at the same place, without a disk to fill."""

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    child = call("foley", ball, "-o", "out", "--caption", "a knock", preexec_fn=limited)
    _, err = child.communicate(timeout=120)
    assert child.returncode == 1 and "no space left" in err
    assert_one_sentence(err)
    assert files(inside) == [] and list(inside.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_in_the_middle_leaves_nothing_behind(inside, number):
    clip = clips.bouncing_ball(inside / "long.mp4", seconds=40, width=64, height=48).path
    child = call(
        "foley",
        clip,
        "-o",
        "out",
        "--caption",
        "rain and footsteps",
        cwd=inside,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # ignored where tests run in the background
    )
    process, started = psutil.Process(child.pid), time.monotonic()
    while process.cpu_times().user < 2.0 and time.monotonic() - started < 60:  # a busy machine starts it late
        time.sleep(0.05)
        assert child.poll() is None, child.stderr.read()
    child.send_signal(number)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130 and "stopped; nothing was written" in err
    assert_one_sentence(err)
    assert [p.name for p in inside.iterdir()] == ["long.mp4"]


def test_an_error_in_json_is_json(capfd, inside):
    code, out, _ = run(capfd, "plan", "missing.mp4", "--json")
    assert code == 1 and "missing.mp4" in json.loads(out)["error"]


def test_debug_shows_where(capfd, inside):
    code, _, err = run(capfd, "plan", "missing.mp4", "--debug")
    assert code == 1 and "Traceback" in err


def test_a_picture_of_a_take(capfd, inside, ball):
    assert run(capfd, "foley", ball, "-o", "out", "--caption", "a knock on wood")[0] == 0
    assert run(capfd, "picture", "out.take", "-o", "take.png")[0] == 0
    assert Path("take.png").read_bytes().startswith(b"\x89PNG")
    shutil.rmtree("out.take/layers")
    code, _, err = run(capfd, "picture", "out.take", "-o", "other.png")
    assert code == 1 and not Path("other.png").exists()
    assert_one_sentence(err)


def test_doctor_finds_what_is_installed(capfd, inside):
    code, out, _ = run(capfd, "doctor", "--json")
    found = json.loads(out)
    assert code == 0 and found["ok"] and found["versions"]["torch"] and found["self-test"]["library"]


def assert_one_sentence(text):
    assert text.startswith("reasound: ") and text.count("\n") == 1 and "Traceback" not in text, text
