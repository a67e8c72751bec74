"""What is planned on which evidence, how loud, and what is said where there is too little."""

from dataclasses import replace

import numpy as np
import pytest

from reasound.perception.features import Box, Trace
from reasound.reasoning.evidence import weigh
from reasound.reasoning.explain import WARNING, warnings
from reasound.reasoning.knowledge import SPEECH_AND_MUSIC, labels, sound_class
from reasound.reasoning.rules import RulesReasoner
from test_rules import GREEN, classes, features, plan, seen, told


def traced(*traces, caption="", **how):
    return RulesReasoner().plan(replace(features(**how), traces=tuple(traces)), caption)


def trace(matter, confidence=0.9):
    return Trace(matter, confidence, 0.0, 10.0)


def test_what_is_clear_is_loud_and_what_is_possible_is_soft():
    def level(probability):
        (event,) = plan(seen("vacuum cleaner", probability)).events
        return event.level - sound_class(event.sound_class).level_db

    assert level(0.7) == 0 and level(0.4) == -3 and level(0.28) == -10
    assert not plan(seen("vacuum cleaner", 0.15)).events


def test_where_nothing_is_told_it_is_said_and_hardly_anything_is_heard():
    nothing = plan()
    assert warnings(nothing) == (WARNING,) and "--caption" in WARNING
    assert not nothing.events and max(a.level for a in nothing.ambience) <= -28
    assert "cannot be told" in told(nothing, "semantic")
    soft = plan(seen("vacuum cleaner", 0.28))
    assert warnings(soft) == (WARNING,) and "a guess and kept soft" in told(soft, "semantic")


def test_there_is_no_warning_where_the_picture_or_the_user_knows_or_nothing_moves():
    assert warnings(plan(seen("vacuum cleaner"))) == ()
    assert warnings(plan(caption="a dog barks")) == ()
    assert warnings(plan(level=0.0)) == ()
    assert warnings(plan(seen("ox", 0.15), seen("ram", 0.15), seen("pig", 0.15))) == ()
    assert warnings(plan(caption="hm and so forth")) == (WARNING,), "a caption that says nothing"


def test_a_caption_overrules_what_is_seen():
    made = traced(trace("fire"), trace("crowd"), caption="a dog barks")
    assert classes(made) == ["animal/dog"] and not made.ambience


def test_a_thing_behind_what_moves_is_less_certain():
    behind = plan(seen("vacuum cleaner", 0.6), seen("doormat", 0.1, box=Box(0.1, 0.1, 0.4, 0.4)))
    alone = plan(seen("vacuum cleaner", 0.6))
    assert behind.events[0].confidence == pytest.approx(0.7 * alone.events[0].confidence, abs=0.01)
    assert "not what moves" in told(behind, "semantic")
    mine = plan(seen("vacuum cleaner", 0.6, box=Box(0.1, 0.1, 0.4, 0.4)))
    assert mine.events[0].confidence == alone.events[0].confidence


@pytest.mark.parametrize(
    ("matter", "name", "words"),
    [
        ("fire", "fire/crackle", "flickers"),
        ("water", "water/stream", "as water does"),
        ("leaves", "foliage/rustle", "as leaves do"),
        ("crowd", "ambience/crowd", "skin colour"),
    ],
)
def test_colour_and_movement_are_evidence_and_are_named(matter, name, words):
    made = traced(trace(matter))
    assert name in {*classes(made), *(a.sound_class for a in made.ambience)}
    assert words in told(made, "semantic")
    weak = traced(trace(matter, 0.1))
    assert name not in {*classes(weak), *(a.sound_class for a in weak.ambience)}


def test_labels_and_colour_that_agree_are_surer_than_each():
    base = features(seen("torch", 0.3))
    (alone,) = weigh(base).candidates
    (both,) = weigh(replace(base, traces=(trace("fire"),))).candidates
    assert both.score == pytest.approx(1 - (1 - alone.score) * (1 - 0.7 * 0.9), abs=1e-6)


def test_a_surface_behind_something_sure_is_not_heard():
    made = RulesReasoner().plan(replace(features(seen("Beagle")), traces=(trace("water"), trace("leaves"))))
    assert classes(made) == ["animal/dog"]
    assert not {"water/stream", "foliage/rustle"} & {a.sound_class for a in made.ambience}


def test_somebody_who_crosses_the_picture_walks_on_its_ground():
    def walk(to, colour):
        base = features(colour=colour)
        base.motion.centre[:, 0] = np.linspace(0.2, to, len(base.motion.centre))
        return RulesReasoner().plan(replace(base, traces=(trace("person"),)))

    across = walk(0.9, GREEN)
    assert {e.sound_class for e in across.events} == {"footsteps/grass"}
    assert "Skin colour moves across" in told(across, "semantic") and warnings(across)
    assert not classes(walk(0.3, GREEN)), "somebody who stands makes no steps"


def test_a_hand_at_an_unknown_blow_is_named():
    made = traced(trace("person"), onsets=[1, 2, 3])
    assert classes(made) == ["impact/wood"] and "A hand or somebody's arm" in told(made, "semantic")
    assert made.events[0].level == sound_class("impact/wood").level_db - 10 and warnings(made)


@pytest.mark.parametrize("probability", [0.05, 0.1, 0.2, 0.3])
def test_music_and_voices_are_never_planned_on_weak_evidence(probability):
    """Every label that implies one, by itself, with strokes to be seen."""
    heard = [
        (label.name, event.sound_class)
        for label in labels()
        if label.worn or any(s.startswith(("instrument/", "voice/")) for s in label.sounds)
        for event in plan(seen(label.name, probability), onsets=[1, 2, 3]).events
        if event.sound_class.startswith(("instrument/", "voice/"))
    ]
    assert heard == []


def test_speech_and_music_are_always_avoided_unless_an_instrument_is_clearly_seen():
    assert plan().avoid == SPEECH_AND_MUSIC
    assert plan(seen("violin", 0.2)).avoid == SPEECH_AND_MUSIC
    assert plan(seen("violin", 0.7)).avoid == ("speech",)
    crowd = traced(trace("crowd", 1.0), trace("person", 1.0))
    assert crowd.avoid == SPEECH_AND_MUSIC
    assert not [e for e in crowd.events if e.sound_class.startswith("voice/")]
