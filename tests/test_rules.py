"""The reasoner without a model: from hand-made features to plans."""

from dataclasses import replace

import numpy as np
import pytest

from reasound.perception.features import Box, Features, Motion, Onset, Shot, Sighting
from reasound.plan import ASPECTS, Plan
from reasound.reasoning.knowledge import labels, sound_classes
from reasound.reasoning.rules import RulesReasoner
from reasound.reasoning.timing import blows
from reasound.timeline import Timeline

INDEX = {label.name: i for i, label in enumerate(labels())}
GREY, GREEN = (0.4, 0.4, 0.4, 0.01), (0.3, 0.5, 0.2, 0.01)


def seen(name, probability=0.7, start=0.0, end=10.0, box=None):
    return Sighting(name, INDEX[name], probability, start, end, box)


def features(*sightings, seconds=10.0, onsets=(), level=0.5, blow=1.0, colour=GREY, cuts=(), moving=None):
    """`onsets`: times, or (time, strength, x); `moving`: the span in which the level is up, else all the time."""
    clock = Timeline(seconds)
    strikes = tuple(Onset(*(o if isinstance(o, tuple) else (o, 1.0, 0.5)), 0.5) for o in onsets)
    envelope = np.full(clock.motion, 0.05, np.float32)
    for onset in strikes:
        envelope[min(round(onset.time * 25), clock.motion - 1)] = blow
    levels = np.full(clock.motion, level, np.float32)
    if moving:
        at = np.arange(clock.motion) / 25
        levels[(at < moving[0]) | (at >= moving[1])] = 0
    edges = [0.0, *cuts, seconds]
    return Features(
        seconds=seconds,
        visual=np.zeros((clock.visual, 384), np.float32),
        probabilities=np.zeros((clock.visual, 1000), np.float32),
        sightings=tuple(sightings),
        colour=np.tile(np.array(colour, np.float32), (clock.visual, 1)),
        motion=Motion(
            rate=25.0,
            directogram=np.zeros((clock.motion, 8), np.float32),
            grid=np.zeros((clock.motion, 9, 8), np.float32),
            envelope=envelope,
            level=levels,
            centre=np.full((clock.motion, 2), 0.5, np.float32),
            camera=np.zeros((clock.motion, 2), np.float32),
            onsets=strikes,
        ),
        sync=np.zeros((clock.motion, 32), np.float32),
        shots=tuple(Shot(a, b) for a, b in zip(edges, edges[1:], strict=False)),
    )


def plan(*sightings, caption="", avoid=(), **how):
    return RulesReasoner().plan(features(*sightings, **how), caption, avoid)


def classes(a_plan):
    return [event.sound_class for event in a_plan.events]


def told(a_plan, aspect):
    return " ".join(step.text for step in a_plan.reasoning if step.aspect == aspect)


def test_a_hammer_sounds_when_and_where_it_strikes():
    made = plan(
        seen("hammer", box=Box(0.7, 0.4, 0.9, 0.6)), onsets=[(1, 1.0, 0.8), (2, 0.5, 0.8), (3.2, 1.0, 0.8)]
    )
    (event,) = made.events
    assert (event.id, event.sound_class, event.source) == ("hammer-1", "tool/hammer", "a hammer")
    assert event.onsets == (1.0, 2.0, 3.2)
    assert event.strengths == (1.0, 0.5, 1.0)
    assert event.pan > 0.3
    assert "hammer" in told(made, "semantic") and "1, 2 and 3.2 s" in told(made, "temporal")
    assert "right" in told(made, "spatial") and made.reasoner == "rules"


def test_breeds_of_dog_are_together_a_dog():
    breeds = [seen(name, 0.15) for name in ("Beagle", "Basenji", "pug", "collie")]
    made = plan(*breeds, onsets=np.arange(0.2, 9.8, 0.1).tolist())
    (event,) = made.events
    assert event.sound_class == "animal/dog"
    assert min(np.diff(event.onsets)) >= 0.25 - 1e-9, "no dog barks ten times a second"


def test_hands_on_a_drum_go_on_between_the_strokes_that_are_seen():
    made = plan(seen("drum"), onsets=[1.0, 1.3, 1.6, 4.0, 4.3])
    (event,) = made.events
    assert event.onsets == (1.0, 1.15, 1.3, 1.45, 1.6, 4.0, 4.15, 4.3), "the rest stays a rest"
    assert event.strengths == (1.0, 0.85, 1.0, 0.85, 1.0, 1.0, 0.85, 1.0)
    assert "3 of them between visible ones" in told(made, "temporal")
    counted = plan(seen("drum"), onsets=[1.0, 1.3, 1.6], caption="a drum is struck three times")
    assert counted.events[0].onsets == (1.0, 1.3, 1.6)


def test_the_hands_rest_where_nothing_moves():
    features_ = features(seen("drum"), onsets=[1.0, 1.9, 2.8])
    features_.motion.level[int(1.1 * 25) : int(1.8 * 25)] = 0.0
    (event,) = RulesReasoner().plan(features_).events
    assert [t for t in event.onsets if t < 1.9] == [1.0]
    assert [t for t in event.onsets if t > 1.9] == [2.05, 2.2, 2.35, 2.5, 2.65, 2.8]


def test_a_lift_is_no_blow():
    """Up and down by turns: only the lower ones sound. One hand that strikes always in one place strikes every time."""
    times = np.arange(0.5, 6.5, 0.5)
    swing = [Onset(float(t), 1.0, 0.5, (0.7 if i % 2 else 0.3) + 0.02 * (i % 3)) for i, t in enumerate(times)]
    assert [o.time for o in blows(swing)] == times[1::2].tolist()
    assert [o.time for o in blows(swing[1:])] == times[1::2].tolist()
    level = [replace(o, y=0.5 + 0.02 * (i % 3)) for i, o in enumerate(swing)]
    assert list(blows(level)) == level
    assert list(blows(swing[:9])) == swing[:9], "too few to tell"
    stair = [replace(o, y=0.1 + 0.07 * i) for i, o in enumerate(swing)]
    assert list(blows(stair)) == stair, "a ball that bounces down a stair"


def test_what_is_seen_but_still_is_silent():
    assert classes(plan(seen("hammer"))) == []
    assert "stays silent" in told(plan(seen("hammer")), "semantic")
    assert classes(plan(seen("violin"), level=0.0)) == ["instrument/bowed_strings"], "sure enough to be heard"


def test_a_weak_label_makes_no_loud_sound():
    made = plan(seen("power drill", 0.2))
    assert classes(made) == [] and max(a.level for a in made.ambience) <= -30
    assert "only a quiet background" in told(made, "semantic")


def test_what_lasts_sounds_while_it_moves():
    (event,) = plan(seen("vacuum cleaner"), moving=(3, 6)).events
    assert event.onsets == () and 2.5 < event.start < 3.2 and 5.8 < event.end < 6.5


def test_an_engine_runs_while_it_is_seen():
    (event,) = plan(seen("sports car", start=4), moving=(5, 6), cuts=[4.0]).events
    assert (event.sound_class, event.start, event.end) == ("vehicle/car", 4.0, 10.0)


def test_blows_of_unknown_makers_sound_by_what_they_hit():
    onsets = [1, 2, 3, 4]
    assert classes(plan(onsets=onsets)) == ["impact/wood"]
    assert classes(plan(seen("backpack", 0.1), onsets=onsets)) == ["impact/body"]
    assert classes(plan(seen("milk can", 0.1), onsets=onsets)) == ["impact/metal"]
    assert classes(plan(seen("potter's wheel", 0.5), onsets=onsets)) == ["tool/hammer"], "a workshop"
    assert classes(plan(onsets=onsets, blow=0.1)) == [], "soft movement is no blow"


def test_bursts_in_the_dark_are_fireworks():
    night = features(onsets=[1, 2], colour=(0.03, 0.03, 0.03, 0.0))
    night.colour[8:10, :3] = 0.2
    made = RulesReasoner().plan(night)
    assert classes(made) == ["explosion/fireworks"] and made.acoustics.space == "outdoors"


def test_a_drum_kit_is_played_on_all_its_pieces_at_the_visible_strokes():
    strokes = [(0.5 * i, 0.3 + 0.7 * (i % 4 == 0), 0.5) for i in range(1, 19)]
    made = plan(seen("drumstick"), onsets=strokes)
    assert set(classes(made)) == {"instrument/snare_drum", "instrument/cymbal", "instrument/kick_drum"}
    assert sorted(t for e in made.events for t in e.onsets) == [t for t, _, _ in strokes]
    assert made.avoid == ("speech",), "music is what is seen"


def test_farm_animals_of_which_none_stands_out_are_a_farmyard():
    made = plan(seen("ox", 0.15), seen("ram", 0.15), seen("pig", 0.15), onsets=[1, 2, 3])
    assert classes(made) == [] and made.ambience[0].sound_class == "ambience/farmyard"


def test_an_animal_of_unknown_kind_has_no_voice():
    made = plan(seen("albatross", 0.3), seen("gorilla", 0.08), colour=GREEN)
    assert classes(made) == ["foliage/rustle"]
    assert {a.sound_class for a in made.ambience} >= {"ambience/forest_birds"}
    assert "cannot be told" in told(made, "semantic")


def test_the_place_has_its_space_and_ambience():
    street = plan(seen("traffic light", 0.5))
    assert street.acoustics.space == "outdoors" and street.ambience[0].sound_class == "ambience/traffic"
    assert plan(seen("altar", 0.5)).acoustics.space == "hall"
    assert plan(seen("coral reef", 0.5)).acoustics.space == "underwater"


def test_the_caption_beats_the_labels_and_takes_its_time_from_the_motion():
    made = plan(seen("hammer"), onsets=[1, 2], caption="a ball bounces outside")
    (event,) = made.events
    assert (event.sound_class, event.onsets, event.sound) == (
        "impact/ball",
        (1.0, 2.0),
        "a ball bounces outside",
    )
    assert made.acoustics.space == "outdoors"
    assert "“a ball bounces outside”" in told(made, "semantic")


def test_a_caption_with_numbers_is_obeyed():
    made = plan(onsets=[1, 2, 3, 4, 5], caption="three knocks on wood, then a bell at 8.5 seconds")
    assert [len(event.onsets) for event in made.events] == [3, 1]
    assert made.events[0].material == "wood" and made.events[1].onsets == (8.5,)


def test_two_blows_do_not_share_a_moment():
    made = plan(onsets=[0.5, 1, 1.5, 2, 2.5, 3], caption="footsteps on gravel and a door slams")
    steps, door = made.events
    assert len(door.onsets) == 1 and not set(steps.onsets) & set(door.onsets)
    assert len(steps.onsets) == 5


def test_what_only_the_caption_knows_gets_a_natural_pace():
    (owl,) = plan(caption="an owl hoots in the distance").events
    assert not owl.on_screen and owl.distance > 20 and len(set(np.diff(owl.onsets).round(2))) > 1
    (steps,) = plan(caption="someone walks in the snow").events
    assert np.ptp(np.diff(steps.onsets)) < 1e-6, "steps are even"


def test_what_lies_under_the_scene_is_ambience():
    made = plan(caption="steady rain")
    assert made.events == () and made.ambience[0].sound_class == "weather/rain"
    both = plan(seen("hammer"), onsets=[1, 2], caption="steady rain")
    assert classes(both) == ["tool/hammer"] and both.ambience[0].level < 0


def test_what_is_not_understood_is_said():
    assert "“hm and so forth”" in told(plan(caption="hm and so forth"), "semantic")


def test_what_must_not_be_heard_is_not_planned():
    made = plan(seen("Beagle"), seen("traffic light", 0.5), onsets=[1], avoid=["dogs", "traffic"])
    assert classes(made) == [] and "ambience/traffic" not in {a.sound_class for a in made.ambience}
    assert made.avoid == ("dogs", "traffic", "speech", "music")
    assert "as asked" in told(made, "semantic") and "dogs and traffic" in told(made, "aesthetic")
    assert classes(plan(caption="a dog barks without dogs")) == []


def test_a_cut_does_not_end_what_goes_on():
    made = plan(seen("drum", end=4.0), seen("drumstick", 0.2, start=4.0), onsets=[1, 3, 5, 7], cuts=[4.0])
    assert sorted(t for e in made.events for t in e.onsets) == [1, 3, 5, 7]
    assert "cuts at 4 s" in told(made, "temporal")


@pytest.mark.parametrize("seed", range(40))
def test_every_plan_is_valid_whatever_is_seen(seed):
    rng = np.random.default_rng(seed)
    seconds = float(rng.choice([0.02, 0.1, 0.4, 1.0, 5.005, 9.99, 61.0, 150.0]))
    count = int(rng.integers(0, 12))
    sightings = []
    for index in rng.integers(0, 1000, count).tolist():
        start = float(rng.uniform(0, seconds))
        box = Box(0.1, 0.1, 0.4, 0.4) if rng.random() < 0.5 else None
        end = float(rng.uniform(start, seconds))
        sightings.append(Sighting(labels()[index].name, index, float(rng.uniform(0.05, 1)), start, end, box))
    times = np.sort(rng.uniform(0, seconds, int(rng.integers(0, 4 * min(seconds, 100) + 2))))
    onsets = [(float(t), float(rng.uniform(0, 1)), float(rng.uniform(0, 1))) for t in times]
    cuts = np.sort(rng.uniform(0, seconds, int(rng.integers(0, 20)))).tolist()
    names = list(sound_classes().values())
    caption = "" if seed % 3 else ", then ".join(names[i].captions[0] for i in rng.integers(0, len(names), 3))
    how = {"seconds": seconds, "onsets": onsets, "cuts": cuts, "level": float(rng.uniform(0, 2))}
    made = plan(*sightings, **how, caption=caption, avoid=["wind"] if seed % 2 else [])
    assert Plan.parse(made.to_json()) == made
    assert {step.aspect for step in made.reasoning} == set(ASPECTS)
    assert len(made.events) <= 8 + 4 * seconds / 60 and len(made.ambience) <= 3
    assert made.caption.endswith(".")
    assert plan(*sightings, **how, caption=caption, avoid=["wind"] if seed % 2 else []) == made
