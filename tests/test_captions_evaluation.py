"""A caption to sound: is the class heard? And the table that `--renderer auto` reads."""

import numpy as np
import pytest

from reasound.checkpoints.catalog import pocket
from reasound.data.scenes.heldout import Heldout
from reasound.evaluation import captions
from reasound.evaluation.captions import (
    Asked,
    asked,
    by_class,
    coded,
    evaluate,
    heard_as,
    plan,
    renderers,
    score,
)
from reasound.evaluation.systems import engine_for_test
from reasound.evaluation.tags import TAGS
from reasound.synthesis.codec import Codec


@pytest.fixture(scope="module")
def rows():
    return asked(Heldout.load())


def test_every_class_is_asked_for_or_listed_as_unknown(rows):
    found, unknown = rows
    assert {row.sound_class for row in found} | set(unknown) == set(TAGS)
    assert not {row.sound_class for row in found} & set(unknown)
    assert len({row.id for row in found}) == len(found)
    assert all(sum(r.sound_class == row.sound_class for r in found) <= captions.MOST for row in found)


def test_what_strikes_is_given_moments_and_what_lasts_is_not():
    assert plan(Asked("x", "tool/hammer", "a hammer")).events[0].onsets == captions.HITS
    assert not plan(Asked("x", "vehicle/car", "a car drives by")).events[0].onsets
    assert plan(Asked("x", "weather/rain", "rain")).ambience


def test_a_recording_of_the_class_is_heard_as_that_class():
    engine = engine_for_test()
    assert all(r.split != "test" for r in engine.library.library.recordings)
    dog, rows = Asked("dog/1", "animal/dog", "a dog barks"), {}
    for name in ("animal/dog", "instrument/keyboard"):
        rows[name] = score(engine, Asked(dog.id, name, dog.caption), seed=0, steps=1)["library"]["class_top5"]
    assert rows == {"animal/dog": 1.0, "instrument/keyboard": 0.0}


def test_the_report_counts_by_class_and_becomes_the_table_of_auto():
    report = evaluate(steps=1, limit=3)
    assert len(report["items"]) == 3 and report["about"]["arguments"]["steps"] == 1
    table = renderers(report)["classes"]
    for item in report["items"]:
        assert set(item["scores"]) == set(captions.SYSTEMS) and set(table[item["kind"]]) == {
            "library",
            "model",
        }
        assert table[item["kind"]]["library"] == item["scores"]["library"]["class_top5"]
    assert report["unscored"] and all("YAMNet" in row["reason"] for row in report["unscored"])


def test_listeners_that_do_not_know_a_class_say_nothing_and_the_codec_is_no_renderer():
    noise = np.random.default_rng(0).standard_normal((2, 44_100)).astype(np.float32) * 0.1
    scores = heard_as("break/glass", noise)  # nobody holds out a recording of it
    assert scores["judge_top1"] is None and scores["class_top5"] in (0.0, 1.0)
    assert heard_as("weather/rain", noise)["judge_top3"] in (0.0, 1.0)
    back = coded(Codec.load(pocket("codec")), noise)
    assert back.shape == noise.shape and not np.array_equal(back, noise)
    items = [{"kind": "a/b", "scores": {"library": {"class_top5": 1.0}, "coded": {"class_top5": 1.0}}}]
    assert by_class(items) == {"a/b": {"library": {"right": 1, "of": 1}}}


def test_shares_are_right_over_all():
    items = [
        {"kind": "a/b", "scores": {"library": {"class_top5": right}, "model": {"class_top5": 0.0}}}
        for right in (1.0, 0.0, 1.0)
    ]
    assert by_class(items) == {"a/b": {"library": {"right": 2, "of": 3}, "model": {"right": 0, "of": 3}}}
