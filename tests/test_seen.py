"""What the detectors would see of a plan, and the pool of scenes that the real ones looked at."""

from fractions import Fraction

import numpy as np
import pytest

from reasound.data.scenes import seen, shown
from reasound.data.scenes.heldout import Heldout, Sprite
from reasound.perception.features import Box, Sighting, Trace
from reasound.perception.watch import unseen
from reasound.plan import Acoustics, Ambience, Event, Plan
from reasound.reasoning.knowledge import labels, sound_classes
from reasound.timeline import Timeline

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(1000, 384)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
CLASSES = RNG.normal(size=(len(sound_classes()), 384)).astype(np.float32)
CLASSES /= np.linalg.norm(CLASSES, axis=1, keepdims=True)
EYE = seen.Eye(VECTORS, CLASSES)


def plan(name="animal/dog", on_screen=True, onsets=(1.0, 2.0, 3.0, 4.0), **fields):
    event = Event(
        id="e1", source="a dog", sound="barks", sound_class=name, end=6.0, onsets=onsets, on_screen=on_screen,
        pan=-0.5, **fields,
    )  # fmt: skip
    return Plan(seconds=6.0, events=(event,))


def looks(of, count=100):
    return [EYE.seen(of, np.random.default_rng(k)) for k in range(count)]


def test_features_have_the_shapes_of_the_real_ones():
    f, real = EYE.seen(plan(), np.random.default_rng(0)), unseen(6.0)
    for name in ("visual", "probabilities", "colour", "sync"):
        assert getattr(f, name).shape == getattr(real, name).shape and np.isfinite(getattr(f, name)).all()
    for name in ("envelope", "level", "centre", "camera"):
        assert getattr(f.motion, name).shape == getattr(real.motion, name).shape
    assert len(f.visual) == Timeline(Fraction(6)).visual
    assert f.probabilities.sum(1).max() <= 1 + 1e-5 and (f.probabilities >= 0).all()
    assert EYE.seen(plan(), np.random.default_rng(0)).motion.onsets == f.motion.onsets


def test_a_thing_is_mostly_but_not_always_seen_as_what_it_is():
    def share(of):
        return np.mean(
            [any("animal/dog" in labels()[s.index].sounds for s in f.sightings) for f in looks(of)]
        )

    assert 0.5 < share(plan()) < 0.95
    assert share(plan(on_screen=False)) < 0.75 * share(plan())


def test_visible_onsets_are_near_the_true_ones_with_misses_and_mistakes():
    errors, found, false = [], 0, 0
    for f in looks(plan("impact/metal")):
        for o in f.motion.onsets:
            off = min((o.time - t for t in (1.0, 2.0, 3.0, 4.0)), key=abs)
            near = abs(off) < 0.1
            errors += [off] if near else []
            found, false = found + near, false + (not near)
    assert 0.5 < found / 400 < 0.95 and 1.0 < false / 100 < 4.0
    assert abs(np.median(errors)) < 0.01 and 0.01 < np.std(errors) < 0.04
    assert (
        abs(
            np.median([o.x for f in looks(plan("impact/metal")) for o in f.motion.onsets]) - (0.5 - 0.5 / 1.4)
        )
        < 0.1
    )


def test_what_is_off_screen_moves_nothing():
    moved = np.mean([f.motion.level.max() for f in looks(plan(on_screen=False))])
    assert np.mean([f.motion.level.max() for f in looks(plan())]) > 3 * moved


def test_fire_flickers_and_mostly_shows():
    fire = Plan(
        seconds=4.0,
        events=(Event(id="e1", source="a fire", sound="fire", sound_class="fire/crackle", end=4.0),),
    )
    share = np.mean([any(t.matter == "fire" for t in f.traces) for f in looks(fire)])
    assert 0.4 < share < 0.8


def test_a_case_is_stored_and_read_in_half_precision(tmp_path):
    f = EYE.seen(plan(), np.random.default_rng(3))
    box = Box(0.1, 0.2, 0.3, 0.4)
    f = type(f)(
        **{
            **vars(f),
            "sightings": (Sighting("dog", 1, 0.5, 0.0, 1.0, box),),
            "traces": (Trace("fire", 0.5, 0.0, 1.0, None),),
        }
    )
    truth = plan().model_copy(
        update={
            "ambience": (Ambience(id="a", sound="wind"),),
            "acoustics": Acoustics(space="hall", reverb=0.5),
        }
    )
    shown.write(shown.Case("v2-7-0001", "call", f, truth), tmp_path / f"v{shown.VERSION}-7-0001.npz")
    pool = shown.Pool(tmp_path, 7)
    (back,) = pool()
    assert back.plan == truth and (back.name, back.kind) == ("v2-7-0001", "call")
    g = back.features
    assert g.sightings == f.sightings and g.traces == f.traces and g.shots == f.shots
    assert g.motion.onsets == f.motion.onsets
    np.testing.assert_allclose(g.visual, f.visual, atol=2e-3)
    np.testing.assert_allclose(g.motion.grid.sum(-1), f.motion.grid.sum(-1), rtol=1e-3, atol=1e-3)
    shown.write(shown.Case("v2-7-0002", "call", f, truth), tmp_path / f"v{shown.VERSION}-7-0002.npz")
    assert len(pool()) == 2 and shown.Pool(tmp_path, 8)() == []


def test_some_pictures_are_kept_back_and_only_where_there_are_enough(tmp_path):
    sprites = tuple(
        Sprite(f"{name}{k}", name, tmp_path / f"{name.split('/')[1]}{k}.webp")
        for name, count in (("animal/dog", 4), ("animal/cat", 2))
        for k in range(count)
    )
    heldout = Heldout.__new__(Heldout)
    heldout.library, heldout.sprites = None, sprites
    assert [s.label for s in shown.kept_back(heldout)] == ["animal/dog3"]
    assert shown.taught(heldout).sprites == sprites[:3] + sprites[4:]


def test_scenes_without_sound_show_what_scenes_with_sound_show():
    pytest.importorskip("reasound_benchmark")
    from reasound.data.scenes.benchmark import Benchmark

    heldout = Heldout.load()
    quick, whole = shown.unheard(heldout, 0).scene(0), Benchmark(heldout).scene(0)
    assert [e.onsets for e in quick.plan.events] == [e.onsets for e in whole.plan.events]
    assert (quick.film.picture(5) == whole.film.picture(5)).all()
