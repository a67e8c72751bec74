"""The scenes of the benchmark: each made again from its number, and true to what it says of itself."""

import sys

import numpy as np
import pytest

from reasound.data.scenes import acts
from reasound.data.scenes.benchmark import FULL, QUICK, RIGID_EVERY, Benchmark, write_film
from reasound.data.scenes.heldout import Heldout
from reasound.evaluation.scenes import PART, Bench, outcome
from reasound.pipeline import Reasound
from reasound.timeline import samples

KINDS = {"rigid", *acts.KINDS}


@pytest.fixture(scope="module")
def bench():
    return Benchmark(Heldout.load())


def test_a_quick_look_meets_every_kind_and_so_does_every_part_of_the_whole(bench):
    assert {bench.kind(i) for i in range(QUICK)} == KINDS
    for rest in (0, 2):  # the scenes that are made without each input, and those that are edited
        assert {bench.kind(i) for i in range(FULL) if i % PART == rest} == KINDS
    assert FULL >= 200 and QUICK >= 20


@pytest.mark.parametrize("i", [1, RIGID_EVERY - 1])
def test_the_same_number_gives_the_same_scene(bench, i):
    first, again = bench.scene(i), Benchmark(Heldout.load()).scene(i)
    other = Benchmark(Heldout.load(), seed=1).scene(i)
    assert first.plan == again.plan and np.array_equal(first.mix, again.mix)
    assert np.array_equal(first.film.picture(20), again.film.picture(20))
    assert [t.instruction for t in first.tasks] == [t.instruction for t in again.tasks]
    assert other.plan != first.plan


@pytest.mark.parametrize("i", [0, 4, RIGID_EVERY - 1])
def test_a_scene_is_true_to_itself(bench, i):
    scene = bench.scene(i)
    plan = scene.plan
    assert scene.mix.shape == (2, samples(scene.seconds)) and float(scene.seconds) == plan.seconds
    assert np.array_equal(scene.mix, np.asarray(sum(scene.stems.values()), np.float32))
    assert set(scene.stems) == {e.id for e in plan.events} | {a.id for a in plan.ambience}
    assert plan.caption and plan.chain_of_thought() and plan.reasoner == "truth"
    assert scene.film.frames == round(plan.seconds * 25)
    for event in plan.events:
        seen = max(int(scene.film.mask(event.id, k).sum()) for k in range(0, scene.film.frames, 5))
        assert (seen > 30) == event.on_screen, event.id
        assert np.abs(scene.stems[event.id]).max() > 1e-4


def test_a_film_is_the_same_file_every_time(bench, tmp_path):
    film = bench.scene(3).film
    for name in ("a.mp4", "b.mp4"):
        write_film(film, tmp_path / name)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_without_mujoco_a_scene_is_listed_and_not_skipped_in_silence(bench, monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    found = outcome(Bench(Reasound(), bench), RIGID_EVERY - 1, seed=0, steps=1)
    assert found.id == bench.name(RIGID_EVERY - 1) and not found.scores
    assert found.problem.endswith("pip install 'reasound[scenes]'")
