"""The past of a take: undone byte for byte, never lost to a kill, a full disk or a second process; and its layers."""

import json
import os
import random
import signal
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import clips
from reasound.cli import app
from reasound.errors import UserError
from reasound.history import History
from reasound.media.video import Clip
from reasound.mixing.layers import mix, stems
from reasound.mixing.loudness import true_peak
from reasound.plan import Event, Plan
from reasound.stages.desk import alternating, differences, find_layer
from reasound.stages.revise import revised
from reasound.take import Layer, Mix, Output, Settings, Source, Take

N = 22_050


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "ball.mp4"
    return Clip.open(clips.bouncing_ball(path, seconds=0.5, width=32, height=32).path)


@pytest.fixture(scope="module")
def first(clip):
    rng = np.random.default_rng(0)
    events = tuple(
        Event(id=f"{x}-1", source=x, sound=f"a {x}", end=0.5, onsets=(0.1,)) for x in ("dog", "cat")
    )
    sounds = [(rng.standard_normal((2, N)) * 0.05).astype(np.float32) for _ in events]
    layers = tuple(
        Layer(e.id, np.round(s * 2**23).astype(np.float32) / 2**23, (e.id,), 0, "library")
        for e, s in zip(events, sounds, strict=True)
    )
    return Take(
        Source.of(clip),
        Plan(seconds=0.5, events=events),
        layers,
        mix(layers),
        Mix(-23.0, -1.0, -23.0, -3.0, "drop"),
        Settings("0", "pocket", "library", 0, 4, 3.0),
    )


@pytest.fixture
def saved(first, clip, tmp_path):
    output = Output.named(tmp_path / "out")
    first.save(output, clip)
    return output


def everything(output):
    """Bytes of all files but those of the history."""
    files = {
        p.name: p.read_bytes() for p in output.take.rglob("*") if p.is_file() and "history" not in p.parts
    }
    return files | {"video": output.video.read_bytes()}


def step(take, k):
    """The k-th of many different changes."""
    a, b = take.layers[:2]
    changes = (
        (replace(a, gain=a.gain - 1.0), b),
        (a, replace(b, pan=round(b.pan + 0.1, 3))),
        (replace(a, mute=not a.mute), b),
        (replace(a, audio=a.audio * np.float32(0.5)), b),
    )
    return revised(take, changes[k % 4], what=f"step {k}")


def test_twenty_operations_are_undone_and_done_again_byte_for_byte(saved):
    states = [everything(saved)]
    with History.open(saved.take) as past:
        for k in range(20):
            past.commit(step(past.head, k))
            states.append(everything(saved))
        for state in states[-2::-1]:
            past.undo()
            assert everything(saved) == state
        with pytest.raises(UserError, match="nothing to undo"):
            past.undo()
        for state in states[1:]:
            past.redo()
            assert everything(saved) == state
        with pytest.raises(UserError, match="nothing to redo"):
            past.redo()
    with History.open(saved.video) as past:
        assert [e.what for e in past.entries] == ["", *(f"step {k}" for k in range(20))]


def test_a_branch_that_was_undone_stays(saved):
    with History.open(saved.take) as past:
        past.commit(step(past.head, 0))
        past.undo()
        past.commit(step(past.head, 1))
        kinds = {e.what: (e.is_head, e.is_past) for e in past.entries}
        assert kinds == {"": (False, True), "step 0": (False, False), "step 1": (True, True)}
        other = next(e.id for e in past.entries if e.what == "step 0")
        assert past.go(other[:6]).id == other and past.head.layers[0].gain == -1.0
        past.undo()
        assert past.redo().what == "step 0"  # where one was last
        with pytest.raises(UserError, match="there is no take 'zzz'"):
            past.load("zzz")
        with pytest.raises(ValueError, match="but the head is"):
            past.commit(replace(step(past.head, 3), parent="somebody"))


def test_layers_that_did_not_change_are_stored_once(saved):
    with History.open(saved.take) as past:
        past.commit(step(past.head, 3))
    old = next(p for p in (saved.take / "history").iterdir() if p.is_dir())
    assert os.path.samefile(old / "layers" / "cat-1.wav", saved.take / "layers" / "cat-1.wav")
    assert not os.path.samefile(old / "layers" / "dog-1.wav", saved.take / "layers" / "dog-1.wav")


def test_stems_null_after_many_changes(saved):
    with History.open(saved.take) as past:
        for k in (3, 1, 0, 3, 1):
            past.commit(step(past.head, k))
        head = past.head
    rest = mix(head.layers) - head.audio
    assert 20 * np.log10(np.abs(rest).max() + 1e-12) < -90


def test_only_what_changed_is_mixed_anew(first):
    louder = replace(first.layers[0], audio=first.layers[0].audio.copy())
    louder.audio[:, 5000:6000] *= 3
    made = revised(first, (louder, first.layers[1]), what="louder")
    assert np.array_equal(made.audio[:, :5000], first.audio[:, :5000])
    assert np.array_equal(made.audio[:, 6000:], first.audio[:, 6000:])
    assert not np.array_equal(made.audio[:, 5000:6000], first.audio[:, 5000:6000])
    assert made.parent == first.id and np.array_equal(made.layers[1].audio, first.layers[1].audio)


def test_what_would_pass_the_peak_is_turned_down_alone(first):
    huge = replace(first.layers[0], audio=first.layers[0].audio * np.float32(30))
    made = revised(first, (huge, first.layers[1]), what="huge")
    assert true_peak(made.audio) <= -1.0 + 0.05
    assert np.array_equal(made.layers[1].audio, first.layers[1].audio)
    assert np.abs(sum(stems(made.layers)) - made.audio).max() < 1e-6


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda t: (t / "layers" / "dog-1.wav").unlink(), "layers/dog-1.wav is missing"),
        (
            lambda t: (t / "mix.wav").write_bytes((t / "mix.wav").read_bytes()[:999]),
            "mix.wav is not the file",
        ),
        (lambda t: (t / "take.json").write_text((t / "take.json").read_text()[:300]), "is damaged"),
        (
            lambda t: (t / "take.json").write_text(
                (t / "take.json").read_text().replace('"gain": 0.0', '"gain": 9.0')
            ),
            "take.json is not the file",
        ),
        (lambda t: (t / "history" / "log.json").write_text("{}"), "log.json is damaged"),
    ],
)
def test_a_damaged_take_is_named(saved, harm, said):
    with History.open(saved.take) as past:
        past.commit(step(past.head, 0))
    harm(saved.take)
    with pytest.raises(UserError, match=said):
        History.open(saved.take)
    assert not list(saved.take.parent.glob("*.lock")) and not list(saved.take.parent.glob(".*lock"))


def test_a_damaged_past_leaves_the_head_alone(saved):
    with History.open(saved.take) as past:
        past.commit(step(past.head, 3))
        before = everything(saved)
        old = next(p for p in (saved.take / "history").iterdir() if p.is_dir())
        (old / "layers" / "dog-1.wav").unlink()
        with pytest.raises(UserError, match="dog-1.wav is missing"):
            past.undo()
        assert everything(saved) == before


def test_the_second_of_two_processes_is_told(saved):
    with History.open(saved.take), pytest.raises(UserError, match="another process is editing"):
        History.open(saved.take)
    History.open(saved.take).close()
    lock = saved.take.with_name(f".{saved.take.name}.lock")
    lock.write_text("999999999")  # of a process that died
    History.open(saved.take).close()
    assert not lock.exists()


def test_a_full_disk_leaves_the_parent(saved, monkeypatch):
    before = everything(saved)

    def full(self, folder, clip, suffix):
        folder.joinpath("layers").mkdir()
        raise OSError(28, "No space left on device")

    with History.open(saved.take) as past:
        child = step(past.head, 0)
        monkeypatch.setattr(Take, "write", full)
        with pytest.raises(UserError, match="no space left"):
            past.commit(child)
        monkeypatch.undo()
        assert everything(saved) == before and len(past.entries) == 1
    assert sorted(p.name for p in saved.take.parent.iterdir()) == ["out.mp4", "out.take"]


def test_a_kill_at_any_moment_leaves_a_whole_take(saved, monkeypatch):
    """Children are killed while they commit and undo; a tiny video is written, nothing is rendered."""
    preview = saved.take / "preview.mp4"
    kept = preview.read_bytes()
    monkeypatch.setattr(
        "reasound.media.mux.mux", lambda clip, audio, path, original: Path(path).write_bytes(kept)
    )
    rng, seen = random.Random(0), set()
    for _ in range(20):
        began, begin = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                with History.open(saved.take) as past:
                    os.write(begin, b"x")
                    for k in range(99):
                        past.commit(step(past.head, k))
                        past.undo()
            finally:
                os._exit(0)
        os.read(began, 1)
        os.close(began)
        os.close(begin)
        time.sleep(rng.uniform(0.0, 0.2))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with History.open(saved.take) as past:
            head = past.head
            ids = {e.id for e in past.entries}
            assert head.id in ids and all(past.load(i).id == i for i in ids)
            seen.add(head.what)
        assert saved.video.read_bytes() == preview.read_bytes()
        assert sorted(p.name for p in saved.take.parent.iterdir()) == ["out.mp4", "out.take"]
    assert len(seen) > 1  # it was killed at different moments


def test_a_take_without_a_history_and_an_older_one_open(saved):
    record = json.loads((saved.take / "take.json").read_text())
    for key in ("files", "seal"):
        del record[key]
    (saved.take / "take.json").write_text(json.dumps(record))
    with History.open(saved.take) as past:
        assert [e.what for e in past.entries] == [""]
        past.commit(step(past.head, 0))
        past.undo()
        assert "files" not in json.loads((saved.take / "take.json").read_text())


def test_layers_are_found_generously(first):
    assert find_layer(first, "dog-1").name == find_layer(first, "do").name == "dog-1"
    for name in ("", "horse"):
        with pytest.raises(UserError, match="there are dog-1, cat-1"):
            find_layer(first, name)


def test_differences_in_words(first):
    assert differences(first, first) == []
    found = differences(first, step(first, 0))
    assert found == ["The layer dog-1 has gain -1.0, not 0.0."]
    assert "The layer cat-1 is gone." in differences(first, replace(first, layers=first.layers[:1]))
    assert "The layer dog-1 sounds different." in differences(first, step(first, 3))


def test_two_takes_in_turn(first):
    n = 3 * 44_100
    a = replace(first, audio=np.ones((2, n), np.float32))
    b = replace(first, audio=-np.ones((2, n), np.float32))
    sound = alternating(a, b, 1.0)
    assert sound[0, 1000] == 1 and sound[0, 44_100 + 2000] == -1 and sound[0, 2 * 44_100 + 2000] == 1
    assert np.abs(np.diff(sound[0])).max() < 0.01  # it does not click


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_the_desk(saved, monkeypatch, tmp_path):
    original = everything(saved)
    assert run("mute", saved.take, "dog").exit_code == 0
    assert run("gain", saved.take, "cat", "--", "-6").exit_code == 0
    shown = json.loads(run("history", saved.take, "--json").stdout)["takes"]
    assert [t["what"] for t in shown] == ["", "dog-1 muted", "cat-1 at -6 dB"]
    with History.open(saved.take) as past:
        head = past.head
        assert head.layers[0].mute and head.layers[1].gain == -6
        np.testing.assert_allclose(head.audio, head.layers[1].audio * 10 ** (-6 / 20), atol=2e-7)
    assert "gain -6.0, not 0.0" in run("diff", saved.take).stdout.replace("\n", " ")
    assert run("ab", saved.take, "-o", tmp_path / "ab.wav").exit_code == 0 and (tmp_path / "ab.wav").exists()
    assert run("lock", saved.take, "cat").exit_code == 0
    for refused in (
        ("gain", saved.take, "cat", "3"),
        ("reroll", saved.take, "cat"),
        ("gain", saved.take, "dog", "99"),
    ):
        result = run(*refused)
        assert result.exit_code != 0 and isinstance(result.exception, UserError)
    for _ in range(3):
        assert run("undo", saved.take).exit_code == 0
    assert everything(saved) == original


def test_a_layer_is_made_again_as_loud_as_it_was(first):
    from reasound.stages.desk import rerolled

    class Engine:
        def render(self, plan, seconds, seed, *rest):
            assert seconds == Fraction(1, 2) and [e.id for e in plan.events] == ["dog-1"]
            sound = np.random.default_rng(seed).standard_normal((2, N)).astype(np.float32)
            return [Layer("dog-1", sound, ("dog-1",), seed, "library", ("r",))]

    made = rerolled(Engine(), first, first.layers[0], 5)
    old, new = first.layers[0], made.layers[0]
    assert new.seed == 5 and new.recordings == ("r",) and not np.array_equal(old.audio, new.audio)
    assert np.mean(new.audio**2) == pytest.approx(np.mean(old.audio**2), rel=1e-4)
    assert made.layers[1] is first.layers[1]


def test_what_is_not_a_take_is_said(tmp_path):
    with pytest.raises(UserError, match="is not a take folder"):
        History.open(tmp_path / "none.take")
    with pytest.raises(UserError, match="there is no such folder"):
        History.open(tmp_path / "nowhere" / "none.take")
    assert not list(tmp_path.iterdir())
