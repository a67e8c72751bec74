"""What the tables say, and how a caption is read with them."""

import numpy as np
import pytest

from reasound.errors import UserError
from reasound.reasoning.caption import meant, read_caption
from reasound.reasoning.knowledge import labels, scenes, sound_class, sound_classes, with_article


def test_every_name_in_the_tables_is_known():
    assert len(labels()) == 1000
    named = {label.name for label in labels()}
    for label in labels():
        for name in (*label.sounds, *filter(None, [label.struck])):
            assert sound_class(name).name == name
    for scene in scenes().values():
        assert set(scene.labels) <= named
        for name in (scene.steps, *filter(None, [scene.hit]), *(bed for bed, _ in scene.ambience)):
            assert sound_class(name).name == name


def test_every_class_can_be_used_as_it_stands():
    for sound in sound_classes().values():
        assert -60 <= sound.level_db <= 12
        assert sound.pace == 0 or sound.gap <= sound.pace < 0.5
        assert 0 < sound.seconds and 0 < sound.gap and 0 < sound.distance <= 1000 and 0 < sound.likely <= 1
        assert sound.captions and sound.heard


def test_levels_are_those_of_the_world():
    assert sound_class("object/click").level_db < sound_class("animal/dog").level_db
    assert sound_class("animal/dog").level_db < sound_class("weapon/gunshot").level_db
    assert sound_class("weapon/gunshot").is_loud and not sound_class("footsteps/grass").is_loud


def test_an_unknown_class_is_answered_with_its_neighbours():
    with pytest.raises(UserError, match=r"no sound class 'animal/doge'.*animal/dog"):
        sound_class("animal/doge")


def test_articles():
    assert [with_article(n) for n in ("hammer", "anvil", "unicycle")] == [
        "a hammer",
        "an anvil",
        "a unicycle",
    ]


@pytest.mark.parametrize("name", sound_classes())
def test_the_captions_of_a_class_mean_it(name):
    """Words alone, without the sentence encoder; a class in which words cannot tell the surface is let off."""
    sound = sound_class(name)
    read = [{t.sound.name for t in read_caption(caption, 10).told} for caption in sound.captions]
    groups = [{found.split("/")[0] for found in names} for names in read]
    assert any(sound.group in found for found in groups), read


@pytest.mark.parametrize(
    ("caption", "names"),
    [
        ("a hammer hits an anvil outside", ["tool/anvil"]),
        ("footsteps on gravel and birds singing", ["footsteps/gravel", "animal/songbird"]),
        ("a hand hits a bag with a drumstick", ["impact/body"]),
        ("two dogs bark while a man walks in the snow", ["animal/dog", "footsteps/snow"]),
        ("a woman walks across the room", ["footsteps/indoor_floor"]),
        ("the kettle boils", ["water/bubbles_drip", "machine/steam_hiss"]),
        ("a dog barks at a cat", ["animal/dog"]),
        ("waves break on the shore", ["water/waves"]),
        ("a glass breaks", ["break/glass"]),
        ("church bells ring", ["bell/large"]),
        ("a beautiful day", []),
    ],
)
def test_words_of_a_caption_mean_classes(caption, names):
    assert [t.sound.name for t in read_caption(caption, 10).told] == names


def test_a_caption_says_when_and_how_often():
    first, second = read_caption("a dog barks twice, then a car drives away", 10).told
    assert (first.count, first.start, first.end) == (2, 0, 5)
    assert (second.count, second.start, second.end) == (None, 5, 10)
    (bell,) = read_caption("a bell rings at 2.5 seconds", 10).told
    assert bell.at == 2.5
    (rain,) = read_caption("rain falls between 2 and 4.5 s", 10).told
    assert (rain.start, rain.end) == (2, 4.5)
    (glass,) = read_caption("a glass breaks at the end", 10).told
    assert (glass.start, glass.end) == (7, 10)
    assert [t.count for t in read_caption("two dogs bark", 10).told] == [None]


def test_a_caption_says_where_and_what_not():
    reading = read_caption("a dog barks in the distance in a church, without music and speech", 10)
    assert reading.scene is scenes()["church"]
    assert reading.avoid == ("music", "speech")
    assert [t.off_screen for t in reading.told] == [True]


class OneIdea:
    """An encoder to which everything odd is like a dog."""

    def encode(self, texts):
        return np.array([[1.0, 0.0] if "dog" in t or "quux" in t else [0.0, 1.0] for t in texts], np.float32)


def test_what_no_word_names_is_left_to_the_encoder():
    assert [t.sound.name for t in read_caption("a quux quuxes", 10, OneIdea()).told] == ["animal/dog"]
    assert read_caption("a quux quuxes", 10).told == ()


def test_what_a_word_to_avoid_means():
    assert meant("dog") == meant("dogs barking") == {"animal/dog"}
    assert meant("animal/dog") == {"animal/dog"}
    assert meant("vehicles") == {name for name in sound_classes() if name.startswith("vehicle/")}
    assert meant("music") == set()
