"""The desk behind the studio's page: every change is a take, what is shown is what is on the disk."""

import json
import zipfile

import cv2
import numpy as np
import pytest

from reasound import Reasound
from reasound.errors import Cancelled, UserError
from reasound.export import views
from reasound.media import audio
from reasound.serving.studio.session import Session, query

DROP = "examples/drop.mp4"


@pytest.fixture(scope="module")
def engine():
    return Reasound()


@pytest.fixture(scope="module")
def made(engine, tmp_path_factory):
    """A desk with one take; tests that change it undo what they did, or go back to its id."""
    from pathlib import Path

    session = Session(tmp_path_factory.mktemp("desk"), engine)
    session.open(Path(DROP), "a drop.mp4")
    words = []
    stages = []
    state = session.foley(
        "a hammer hits an anvil", report=lambda s, d: stages.append((s, d)), told=words.append
    )
    assert {"watching", "reasoning", "mixing", "writing"} <= {name for name, _ in stages}
    return session, state["take"]


@pytest.fixture
def desk(made):
    session, first = made
    session.go(first)
    return session


def test_before_anything_is_dropped(engine, tmp_path):
    session = Session(tmp_path, engine)
    with pytest.raises(UserError, match="drop a video first"):
        session.state()
    with pytest.raises(UserError, match="no sound yet"):
        session.undo()


def test_a_clip_that_is_none_is_called_by_its_own_name_and_keeps_the_old_one(made, tmp_path):
    session, first = made
    bad = tmp_path / "up load.mp4"
    bad.write_bytes(b"not a film at all")
    with pytest.raises(UserError) as error:
        session.open(bad, "holiday.mp4")
    assert "holiday.mp4" in str(error.value) and str(session.folder) not in str(error.value)
    assert session.state()["take"] == first
    assert not list(session.folder.glob("tmp*"))


def test_the_state_is_json_and_shows_what_is_on_the_disk(desk):
    state = desk.state()
    json.dumps(state)
    assert state["clip"]["name"] == "a drop.mp4"
    strip = cv2.imread(state["clip"]["strip"])
    assert strip.shape[0] == views.STRIP_HEIGHT and strip.std() > 5
    mix, _ = audio.read(state["mix"]["audio"])
    np.testing.assert_array_equal(mix, audio.read(desk.output.take / "mix.wav")[0])
    assert len(state["mix"]["peaks"]) == 1200
    assert max(b for _, b in state["mix"]["peaks"]) == pytest.approx(float(mix.max()), abs=1e-4)
    assert [h["id"] for h in state["history"] if h["is_head"]] == [state["take"]]
    assert state["layers"] and all(layer["title"] for layer in state["layers"])
    assert max(state["mix"]["momentary"]) > -40


def test_a_dragged_event_is_heard_at_its_new_place(desk):
    state = desk.state()
    plan = state["plan"]
    event = max((e for e in plan["events"] if e["onsets"]), key=lambda e: len(e["onsets"]))
    was = event["onsets"][0]
    event["onsets"] = [was + 0.3]
    event["strengths"] = []
    event["start"], event["end"] = was + 0.3, max(event["end"], was + 0.8)
    after = desk.generate(plan)
    assert after["take"] != state["take"]
    assert after["plan"]["events"][[e["id"] for e in after["plan"]["events"]].index(event["id"])][
        "onsets"
    ] == [pytest.approx(was + 0.3)]
    layer = next(x for x in after["layers"] if event["id"] in x["events"])
    sound, rate = audio.read(layer["audio"])
    loud = np.abs(sound).max(0)
    assert loud[: int((was + 0.25) * rate)].max(initial=0) < 0.1 * loud.max()
    back = desk.undo()
    assert back["take"] == state["take"]
    assert desk.redo()["take"] == after["take"]


def test_a_plan_that_is_none_is_one_sentence_and_changes_nothing(desk):
    plan = desk.state()["plan"] | {"seconds": -1}
    with pytest.raises(UserError, match="the plan is not a plan"):
        desk.generate(plan)


def test_a_layer_a_target_and_a_comparison(desk):
    state = desk.state()
    name = state["layers"][0]["name"]
    after = desk.layer(name, gain=-6.0, lock=True)
    assert after["layers"][0]["gain"] == -6.0 and after["layers"][0]["lock"]
    with pytest.raises(UserError, match="locked"):
        desk.reroll(name)
    both = desk.compare(state["take"])
    assert both["a"]["id"] == state["take"] and both["b"]["id"] == after["take"]
    assert any("gain" in sentence for sentence in both["differences"])
    quieter = desk.remaster(-30.0, -3.0)
    assert quieter["mix"]["loudness"] == pytest.approx(-30.0, abs=0.3)


def test_an_edit_is_shown_before_it_is_done(desk):
    name = desk.state()["layers"][0]["name"]
    shown = desk.understand(f"mute {name}")
    assert shown["sentences"] and not shown["refusal"]
    before = desk.state()
    assert before["take"] == desk.state()["take"]
    after = desk.edit(shown["edit"])
    assert after["take"] != before["take"] and after["history"][-1]["what"]


def test_what_is_pointed_at_is_shown_with_its_mask(desk):
    found = desk.point(0.5, box=(0.3, 0.3, 0.7, 0.9))
    assert found["boxes"] and len(found["frames"]) == 12
    assert all(f["image"].startswith("data:image/jpeg;base64,") for f in found["frames"])


@pytest.mark.parametrize(
    "click, box, phrase", [(None, None, ""), ((0.5, 0.5), None, "ball"), (None, (0.5, 0.5, 0.5, 0.9), "")]
)
def test_pointing_at_nothing_or_at_two_things_is_refused(click, box, phrase):
    with pytest.raises(UserError):
        query(click, box, phrase)


def test_a_cancelled_call_changes_nothing(desk):
    before = desk.state()

    def stop(stage, done):
        raise Cancelled

    with pytest.raises(Cancelled):
        desk.reroll(before["layers"][0]["name"], report=stop)
    assert desk.state()["take"] == before["take"]


def test_the_export_is_a_zip_of_what_was_asked_for(desk):
    made = desk.export(["mix", "stems", "plan"])
    with zipfile.ZipFile(made) as archive:
        names = archive.namelist()
    assert any(n.endswith("plan.json") for n in names) and sum(n.endswith(".wav") for n in names) >= 2
