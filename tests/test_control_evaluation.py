"""Plans without video: what was asked for is measured against the plan itself."""

import json

import numpy as np
import pytest

from reasound.evaluation.asked import (
    EARLIEST,
    LATER,
    MEASURES,
    SECONDS,
    Asked,
    asked,
    evaluate,
    law,
    of_layers,
)
from reasound.evaluation.report import check
from reasound.plan import Event, Plan
from reasound.reasoning.knowledge import sound_classes
from reasound.timeline import SAMPLE_RATE, samples

N = samples(SECONDS)


def plan(pan=0.5, onsets=(0.6, 1.7)):
    it = Event(
        id="it", source="x", sound="a hammer", sound_class="tool/hammer", end=5, onsets=onsets, pan=pan
    )
    other = Event(id="other", source="y", sound="a dog barks", sound_class="animal/dog", end=5, onsets=(1.0,))
    return Asked("tool/hammer", "tool/hammer", Plan(seconds=SECONDS, events=(it, other)))


def clicks(times, pan):
    """Decaying noise at each time, at the pan."""
    sound = np.zeros(N, np.float32)
    burst = np.random.default_rng(0).standard_normal(8_000).astype(np.float32)
    burst *= 0.2 * np.exp(-np.arange(8_000, dtype=np.float32) / 900)
    for time in times:
        at = round(time * SAMPLE_RATE)
        sound[at : at + len(burst)] += burst
    return sound * law(pan)


def scores(times=(0.6, 1.7), pan=0.5, later=(1.6, 2.7), kept=0.0):
    it, other = clicks(times, pan), clicks([1.0], 0.0)
    return of_layers(plan(), {"it": it, "other": other}, clicks(later, pan), {"other": other + kept * it})


def test_who_does_as_asked_is_right_in_everything():
    found = scores()
    wanted = dict.fromkeys(MEASURES, 1.0) | {"pan_error": 0.0, "class_top5": found["class_top5"]}
    assert found == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "measure", "value"),
    [
        ({"times": (0.7, 1.7)}, "moment_f1", 0.5),
        ({"times": (0.6, 1.2, 1.7, 3.0)}, "moment_f1", 2 / 3),
        ({"times": (0.6, 1.2, 1.7, 3.0)}, "moment_heard", 1.0),
        ({"pan": -0.5}, "pan_side", 0.0),
        ({"pan": 0.0}, "pan_error", 20 * np.log10(np.tan(1.5 * np.pi / 4))),
        ({"later": (0.6, 1.7)}, "moved", 0.0),
        ({"kept": 0.3}, "removed", 0.0),
        ({"kept": 0.2}, "removed", 1.0),
    ],
)
def test_each_fault_is_seen(change, measure, value):
    assert scores(**change)[measure] == pytest.approx(value, abs=1e-3)


def test_silence_is_right_in_nothing():
    silent = np.zeros((2, N), np.float32)
    found = of_layers(plan(), {"it": silent, "other": silent}, silent, {"other": silent})
    assert {name: value for name, value in found.items() if value} == {}


def test_every_class_that_strikes_or_calls_is_asked_for_and_has_time():
    rows = asked(3)
    assert {r.sound_class for r in rows} == {
        c.name for c in sound_classes().values() if c.trigger in ("impact", "step")
    }
    for row in rows:
        assert row.it.onsets[0] >= EARLIEST and row.later().events[0].onsets[-1] < SECONDS - 0.3
        assert np.diff(row.it.onsets).min(initial=1.0) >= 0.5 and abs(row.it.pan) >= 0.25
        assert row.later().events[0].onsets[0] == pytest.approx(row.it.onsets[0] + LATER)
    assert rows == asked(3) != asked(4)


def test_the_report_is_whole_and_the_library_does_as_asked():
    report = evaluate(steps=1, limit=2)
    check(report)
    assert json.dumps(report) and len(report["items"]) == len(report["classes"]) == 2
    for item in report["items"]:
        ours = item["scores"]["library"]
        assert ours["moment_heard"] > 0.6 and ours["pan_side"] == ours["moved"] == ours["removed"] == 1
