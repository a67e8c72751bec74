"""A plan in words: what fits an encoder that reads 77 tokens, and what changed between two plans."""

import pytest

from reasound.perception.text import MiniLM
from reasound.plan import Acoustics, Ambience, Event, Place, Plan, Region, Step
from reasound.plan_text import CONTEXT, difference, metaclip_caption, minilm_text, t5_thought, token_count
from reasound.reasoning.knowledge import sound_classes


def event(id, sound, **changes):
    return Event(**{"id": id, "source": "x", "sound": sound, "end": 9} | changes)


DOG = event("dog", "a dog barks", onsets=(1, 2.25))
BELL = event("bell", "a church bell tolls", start=3, end=8, on_screen=False)
PLAN = Plan(
    seconds=9,
    caption="A dog barks at a bell.",
    events=(BELL, DOG),
    ambience=(Ambience(id="wind", sound="wind blows"),),
    reasoning=(
        Step(aspect="aesthetic", text="Never any music."),
        Step(aspect="spatial", text="The dog is near.", events=("dog",)),
        Step(aspect="temporal", text="Barks are heard at 1 and 2 s.", events=("dog",)),
        Step(aspect="temporal", text="The picture cuts at 4 s."),
        Step(aspect="semantic", text="A dog can be seen.", events=("dog",)),
    ),
)


def test_sounds_times_and_what_is_off_screen_come_before_reasons_and_taste_last():
    assert t5_thought(PLAN) == (
        "A dog barks at 1 and 2.25 s. Off screen: a church bell tolls from 3 to 8 s. Underneath: wind blows. "
        "A dog can be seen. The picture cuts at 4 s. The dog is near. Never any music."
    )


def test_the_long_text_keeps_the_order_of_the_aspects():
    assert minilm_text(PLAN) == (
        "A dog can be seen. A dog barks at 1 and 2.25 s. Off screen: a church bell tolls from 3 to 8 s. "
        "Underneath: wind blows. The picture cuts at 4 s. The dog is near. Never any music."
    )


def test_a_thought_without_events_is_what_was_written():
    plan = Plan(seconds=2, reasoning=PLAN.reasoning[:1] + (Step(aspect="semantic", text="It rains."),))
    assert t5_thought(plan) == minilm_text(plan) == plan.chain_of_thought() == "It rains. Never any music."


def test_an_onset_moved_by_hand_is_told_although_the_reasoning_is_old():
    moved = PLAN.model_copy(update={"events": (BELL, DOG.model_copy(update={"onsets": (1, 5)}))})
    for text in (t5_thought(moved), minilm_text(moved)):
        assert "at 1 and 5 s" in text and "at 1 and 2 s" not in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"onsets": (2,)}, "A dog barks at 2 s."),
        ({}, "A dog barks throughout."),
        ({"start": 1, "end": 3}, "A dog barks from 1 to 3 s."),
        ({"onsets": tuple(range(1, 9))}, "A dog barks 8 times from 1 to 8 s."),
    ],
)
def test_times_in_words(changes, words):
    assert t5_thought(Plan(seconds=9, events=(event("a", "a dog barks", **changes),))) == words


def test_two_events_of_one_sound_are_told_once():
    plan = Plan(seconds=9, events=(event("a", "rain", end=2), event("b", "rain", start=4, end=5.5)))
    assert t5_thought(plan) == "Rain from 0 to 2 and 4 to 5.5 s."


def test_of_many_sounds_all_names_survive_and_as_many_times_as_fit():
    names = ("a dog", "a cat", "a cow", "a pig", "a hen", "a frog", "a bee")
    events = [event(f"e{i}", name, onsets=(1.25, 3.5, 6.75)) for i, name in enumerate(names)]
    events.append(event("off", "thunder", onsets=(2.5, 4), on_screen=False))
    text = t5_thought(Plan(seconds=9, events=tuple(events)))
    assert token_count(text) <= CONTEXT - 2
    assert all(name in text.lower() for name in names) and "Off screen: thunder at 2.5 and 4 s." in text
    assert text.startswith("A dog from 1.2 s;")
    few = t5_thought(Plan(seconds=9, events=tuple(events[:2])))
    assert few.startswith("A dog at 1.25, 3.5 and 6.75 s;")


def test_the_caption_is_whole_or_cut_between_words():
    assert metaclip_caption(PLAN) == PLAN.caption
    long = metaclip_caption(Plan(seconds=1, caption="ein Hund bellt, " * 40))
    assert token_count(long) <= CONTEXT - 2 < token_count(long + ", ein Hund")
    assert ("ein Hund bellt, " * 40).startswith(long)
    assert metaclip_caption(PLAN.model_copy(update={"caption": " "})) == (
        "a church bell tolls, a dog barks, wind blows"
    )
    assert metaclip_caption(Plan(seconds=1)) == t5_thought(Plan(seconds=1)) == ""


def test_words_are_counted_as_more_tokens_than_a_tokenizer_of_that_size_makes():
    """MiniLM's vocabulary has 30 thousand pieces, T5's 32, MetaCLIP's 49; a single rare word may have one more."""
    tokenizer = MiniLM.load().tokenizer
    captions = [caption for known in sound_classes().values() for caption in known.captions]
    for at in range(len(captions) - 5):
        events = [
            event(f"e{i}", captions[at + i], onsets=(0.75 + i, 8.25), on_screen=i < 4) for i in range(5)
        ]
        text = t5_thought(Plan(seconds=9, events=tuple(events)))
        assert len(tokenizer.encode(text, add_special_tokens=False).ids) <= token_count(text), text
    assert token_count("0.75 s") == 5 and token_count("a barking dog") == 4
    assert token_count("狗叫") == len("狗叫".encode())


def test_nothing_changed():
    assert difference(PLAN, PLAN) == []
    assert difference(PLAN, PLAN.model_copy(update={"reasoning": (), "reasoner": "user"})) == []


def changed(old, **changes):
    new = old.model_copy(update=changes)
    return difference(Plan(seconds=9, events=(old,)), Plan(seconds=9, events=(new,)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sound": "a cat meows"}, "“a cat meows” (dog) takes the place of “a dog barks”."),
        ({"sound_class": "animal/dog"}, "is of the class animal/dog instead of none"),
        ({"onsets": (1.5, 2.75)}, "“a dog barks” (dog) is moved 0.5 s later."),
        ({"onsets": (0.75, 2)}, "is moved 0.25 s earlier"),
        ({"onsets": (1, 2.5)}, "“a dog barks” (dog) sounds at 2.5 instead of 2.25 s, 0.25 s later."),
        ({"onsets": (1,)}, "no longer sounds at 2.25 s"),
        ({"onsets": (1, 2.25, 4)}, "sounds at 4 s, too"),
        ({"end": 5}, "ends at 5 instead of 9 s"),
        ({"start": 0.5}, "begins at 0.5 instead of 0 s"),
        ({"strengths": (1, 0.5)}, "has hits of other strengths"),
        ({"level": 6}, "is 6 dB louder"),
        ({"level": -4.5}, "is 4.5 dB softer"),
        ({"pan": -0.5}, "is further to the left, at pan -0.5 instead of +0"),
        ({"path": (Place(time=0, pan=-1), Place(time=2, pan=1))}, "(dog) moves."),
        ({"distance": 6}, "is farther away, at 6 instead of 3 m"),
        ({"distance": 1}, "is nearer, at 1 instead of 3 m"),
        ({"on_screen": False}, "is off screen"),
        ({"region": Region(x0=0, y0=0, x1=1, y1=1)}, "is seen elsewhere in the picture"),
        ({"source": "a wolf"}, "comes from a wolf instead of x"),
        ({"material": "wood"}, "is of wood instead of no certain material"),
    ],
)
def test_one_change_is_one_sentence(changes, words):
    told = changed(DOG, **changes)
    assert len(told) == 1 and words in told[0]


def test_a_span_moves_as_a_whole():
    assert changed(BELL, start=4, end=9) == ["“a church bell tolls” (bell) is moved 1 s later."]
    with_hits = event("a", "x", start=1, end=3, onsets=(1, 2))
    assert changed(with_hits, start=2, end=4, onsets=(2, 3)) == ["“x” (a) is moved 1 s later."]


def test_what_comes_and_goes_and_what_belongs_to_the_whole():
    new = PLAN.model_copy(
        update={
            "events": (DOG, event("boom", "a loud explosion", onsets=(4,))),
            "ambience": (Ambience(id="wind", sound="wind blows", level=-12),),
            "acoustics": Acoustics(space="hall", reverb=0.5),
            "avoid": ("music",),
        }
    )
    assert difference(PLAN, new) == [
        "“a church bell tolls” (bell) is removed.",
        "“a loud explosion” (boom) is added, at 4 s.",
        "“wind blows” (wind) is 6 dB louder.",
        "The space is hall instead of outdoors.",
        "There is more reverberation: 0.5 instead of 0.",
        "“music” must not be heard any more.",
    ]
    back = difference(new, PLAN)
    assert "“a church bell tolls” (bell) is added, from 3 to 8 s." in back
    assert "“music” may be heard again." in back
    without = PLAN.model_copy(update={"ambience": ()})
    assert difference(PLAN, without) == ["“wind blows” (wind) is removed."]
    assert difference(without, PLAN) == ["“wind blows” (wind) is added, throughout."]
    assert difference(PLAN, PLAN.model_copy(update={"seconds": 12, "caption": "A dog."})) == [
        "The clip lasts 12 instead of 9 s.",
        "The caption is “A dog.” instead of “A dog barks at a bell.”.",
    ]
