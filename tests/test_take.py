"""Takes on disk: names, schema, atomic writing. Their sound is tested in test_stages and test_doors."""

import json

import numpy as np
import pytest

from reasound.errors import UserError
from reasound.plan import Event, Plan
from reasound.take import Layer, Mix, Output, Settings, Source, Take


@pytest.mark.parametrize("name", ["out", "out.mp4", "out.take"])
def test_three_names_for_one_result(tmp_path, name):
    output = Output.named(tmp_path / name)
    assert (output.video.name, output.take.name) == ("out.mp4", "out.take")


def test_a_name_may_ask_for_another_container(tmp_path):
    output = Output.named(tmp_path / "out.mkv")
    assert (output.video.name, output.take.name) == ("out.mkv", "out.take")


def test_a_name_with_dots_keeps_them(tmp_path):
    assert Output.named(tmp_path / "v1.2").take.name == "v1.2.take"


def test_a_failed_publication_puts_the_old_take_back(tmp_path):
    output = Output.named(tmp_path / "out")
    output.take.mkdir()
    (output.take / "take.json").write_text("old")
    with pytest.raises(UserError, match="cannot write"), output.staging() as stage:
        (stage / "take").mkdir()
        output.publish(stage / "take", stage / "no-such-video.mp4")
    assert (output.take / "take.json").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.take"]


def take(seed=1):
    plan = Plan(seconds=1, events=(Event(id="a", source="b", sound="c", end=1),))
    layer = Layer("a", np.zeros((2, 44_100), np.float32), ("a",), seed, "library", ("r1",))
    settings = Settings("0", "pocket", "library", seed, 24, 3.0)
    return Take(
        Source("x.mp4", "0" * 64, 1, 2, 2),
        plan,
        (layer,),
        layer.audio,
        Mix(-23, -1, None, None, "drop"),
        settings,
    )


def test_the_id_changes_with_the_seed_and_only_then():
    assert take(1).id == take(1).id != take(2).id


def test_a_folder_that_is_no_take_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="is not a take folder"):
        Take.load(tmp_path)
    (tmp_path / "take.json").write_text(json.dumps({"schema": "reasound.take/99"}))
    with pytest.raises(UserError, match="this version reads"):
        Take.load(tmp_path)
