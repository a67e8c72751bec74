"""Instructions in plain English against a plan of six sounds."""

import pytest

from reasound.edit_plan import VERBS
from reasound.plan import Ambience, Event, Plan
from reasound.reasoning.instructions import understand, understand_sure
from reasound.reasoning.instructions.amounts import DISTANCE, GAIN_DB, PAN, ROOMS, SPEED
from reasound.reasoning.instructions.language import is_english
from reasound.reasoning.instructions.times import take_times
from reasound.reasoning.instructions.words import normal, slips

PLAN = Plan(
    seconds=10,
    events=(
        Event(
            id="dog1",
            source="a dog",
            sound="a small dog barks",
            sound_class="animal/dog",
            start=1,
            end=1.6,
            onsets=(1.0,),
            pan=-0.6,
        ),
        Event(
            id="dog2",
            source="a dog",
            sound="a large dog barks",
            sound_class="animal/dog",
            start=5,
            end=5.8,
            onsets=(5.0,),
            pan=0.5,
        ),
        Event(id="car", source="a car", sound="a car drives past", sound_class="vehicle/car", start=2, end=8),
        Event(
            id="hammer",
            source="a hammer",
            sound="a hammer drives a nail",
            sound_class="tool/hammer",
            start=3,
            end=7,
            onsets=(3.0, 4.0, 5.5, 6.5),
        ),
    ),
    ambience=(
        Ambience(id="rain", sound="steady rain on a roof", sound_class="weather/rain"),
        Ambience(id="birds", sound="birds sing in a forest", sound_class="ambience/forest_birds"),
    ),
)


def asked(instruction):
    """ "gain dog1 dog2; mute rain": verbs and targets."""
    plan = understand(instruction, PLAN).check(PLAN)
    return "; ".join(" ".join((o.verb, *o.targets)) for o in plan.operations)


def one(instruction):
    (operation,) = understand(instruction, PLAN).operations
    return operation


@pytest.mark.parametrize(
    ("instruction", "meaning"),
    [
        ("make the dogs a bit louder please", "gain dog1 dog2"),
        ("the rain is drowning everything, bring it down a notch", "gain rain"),
        ("add a thunder clap at 4 s", "add"),
        ("I don't want to hear the rain any more", "remove rain"),
        ("use a truck instead of the car", "replace car"),
        ("keep only the rain", "extract rain"),
        ("fill in the gap between 2 and 4 seconds", "inpaint"),
        ("make the clip 3 seconds longer", "extend"),
        ("the first bark should come a second earlier", "move dog1"),
        ("the car should come from the right", "pan car"),
        ("bring the hammer closer", "distance hammer"),
        ("put the dogs in a cathedral", "reverb dog1 dog2"),
        ("make it sound like an old radio", "style"),
        ("slow down the car a little", "speed car"),
        ("turn off the birds between 2 and 5 s", "mute birds"),
        ("let me hear only the car", "solo car"),
    ],
)
def test_every_verb_is_understood(instruction, meaning):
    assert asked(instruction) == meaning


def test_the_list_above_has_every_verb():
    mark = next(m for m in test_every_verb_is_understood.pytestmark if m.name == "parametrize")
    assert {meaning.split()[0] for _, meaning in mark.args[1]} == set(VERBS)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("the second dog", "dog2"),
        ("the last bark", "dog2"),
        ("the dog on the left", "dog1"),
        ("both dogs", "dog1 dog2"),
        ("the bark at 5 s", "dog2"),
        ("all the animals", "dog1 dog2 birds"),
        ("the background", "rain birds"),
        ("everything except the rain and the birds", "dog1 dog2 car hammer"),
        ("the engine", "car"),
        ("the pooch on the right", "dog2"),
        ("the car and the hammer", "car hammer"),
        ("everything", ""),
        ("teh hamer", "hammer"),
    ],
)
def test_names_of_targets(name, ids):
    assert asked(f"make {name} quieter") == f"gain {ids}".strip()


@pytest.mark.parametrize(
    ("instruction", "meaning"),
    [
        ("make the dogs louder and then pan them left", "gain dog1 dog2; pan dog1 dog2"),
        ("turn up the hammer; turn down everything else", "gain hammer; gain dog1 dog2 car rain birds"),
        ("hammer to the left, car to the right", "pan hammer; pan car"),
        ("make the dog and the car louder", "gain dog1 dog2 car"),
        ("pan the dog on the left to the right and mute the other one", "pan dog1; mute dog2"),
        ("mute the rain but keep the birds", "mute rain"),
        ("make all the dogs louder but not the second one", "gain dog1"),
        ("the car is too loud, remove it", "remove car"),
        ("remove the helicopter and mute the rain", ""),
    ],
)
def test_several_requests_in_one_sentence(instruction, meaning):
    assert asked(instruction) == meaning


@pytest.mark.parametrize(
    ("instruction", "amount"),
    [
        ("boost the hammer by four decibels", 4),
        ("cut the rain by 10 dB", -10),
        ("make the rain louder", GAIN_DB["plain"]),
        ("make the rain a bit quieter", -GAIN_DB["bit"]),
        ("make the second dog twice as loud", 10),
        ("halve the volume of the birds", -6),
        ("make the birds twice as far", 2),
        ("bring the car much closer", 1 / DISTANCE["much"]),
        ("pan the car hard right", 1),
        ("pan the car slightly to the left", -PAN["bit"]),
        ("put the rain in the centre", 0),
        ("make the hammering twice as fast", 2),
        ("slow the car by 20%", 0.8),
        ("slow down the car", round(1 / SPEED["plain"], 2)),
        ("move the second dog to 7 seconds", 2),
        ("bring the second bark forward by half a second", -0.5),
        ("make the rain sound like a church", ROOMS["church"]),
        ("remove the reverb from the hammer", 0),
        ("make it 15 s long", 5),
    ],
)
def test_amounts(instruction, amount):
    assert one(instruction).amount == pytest.approx(amount, abs=0.03)


def test_spans_and_single_hits():
    loud = one("make the car louder from 3 to five seconds")
    assert (loud.start, loud.end) == (3, 5)
    last = one("mute the birds for the last 2 seconds")
    assert (last.start, last.end) == (8, None)
    hit = one("remove the third hammer blow")
    assert (hit.targets, hit.start, hit.end) == (("hammer",), 5.5, 6.0)
    beside = one("duck the rain while the car passes")
    assert (beside.targets, beside.start, beside.end) == (("rain",), 2, 8)


def test_new_sounds_have_a_class_and_a_time():
    siren = one("can you throw in a police siren from 4 to 8 seconds?")
    assert (siren.sound, siren.sound_class) == ("a police siren", "vehicle/siren")
    assert (siren.start, siren.end) == (4, 8)
    cat = one("replace the first dog with a cat")
    assert (cat.sound_class, cat.targets) == ("animal/cat", ("dog1",))
    before = one("add 2 seconds at the beginning")
    assert (before.verb, before.side, before.amount) == ("extend", "before", 2)


@pytest.mark.parametrize(
    ("instruction", "part"),
    [
        ("", "asks for nothing"),
        ("what time is it?", "asks for nothing"),
        ("make it blue", "Only the sound"),
        ("zoom in on the dog", "Only the sound"),
        ("remove the elephant", "no elephant"),
        ("remove the third dog", "no third dog"),
        ("make it better", "not clear"),
        ("fill in the gap", "Say which seconds"),
        ("trim it to 5 seconds", "longer but not shorter"),
        ("mute the car from 20 to 25 s", "only 10 s"),
        ("mach den Hund lauter", "only reads English"),
        ("让狗叫得更大声", "only reads English"),
        ("haz que el perro suene más fuerte", "only reads English"),
    ],
)
def test_refusals_are_one_sentence(instruction, part):
    plan = understand(instruction, PLAN)
    assert plan.operations == () and part in plan.refusal
    assert plan.refusal.endswith(".") and plan.instruction == instruction


@pytest.mark.parametrize(
    ("instruction", "meaning"),
    [
        ("lose the birds and let a wolf howl near the end", "remove birds; add"),
        ("birds out, wind in the background", "remove birds; add"),
        ("finish on a gong", "add"),
        ("have it rain harder", "gain rain"),
        ("there ought to be a siren around 6 s", "add"),
        ("a gunshot goes off at 4", "add"),
        ("let a bell ring at 9 s", "add"),
    ],
)
def test_new_sounds_that_are_never_called_added(instruction, meaning):
    assert asked(instruction) == meaning


@pytest.mark.parametrize(
    "instruction",
    [
        "it isn't a car, it's a train",
        "train, not car",
        "swap out the car, put a train there",
        "car -> train",
        "the car is wrong, use a train",
        "instead of the car, a train please",
        "a train would be better than the car",
        "remove the car and put a train there instead",
    ],
)
def test_contrasts_replace(instruction):
    operation = one(instruction)
    assert (operation.verb, operation.targets) == ("replace", ("car",))
    assert operation.sound_class == "vehicle/train"


@pytest.mark.parametrize(
    ("instruction", "meaning"),
    [
        ("the rain is a bit much, turn it down", "gain rain"),
        ("the second bark comes too late, pull it forward by 0.3 s", "move dog2"),
        ("no rain. no birds either", "remove rain birds"),
        ("the hammer is louder than the rest, take 3 dB off it", "gain hammer"),
        ("solo the car, so no rain", "solo car"),
        ("the car, center it", "pan car"),
        ("hammer: 2 dB down and 0.2 s later", "gain hammer; move hammer"),
        ("mute the birds, don't delete them", "mute birds"),
        ("make the last one louder, the last dog i mean", "gain dog2"),
        ("dog: first bark 0.2 s later, the second one stays", "move dog1"),
    ],
)
def test_what_is_said_twice_is_done_once(instruction, meaning):
    assert asked(instruction) == meaning


@pytest.mark.parametrize(
    ("instruction", "amount"),
    [
        ("hammer up 4", 4),
        ("rain: -6", -6),
        ("car slower, factor 0.8", 0.8),
        ("car at quarter speed", 0.25),
        ("the car three quarters of a second later", 0.75),
        ("delay the car by 0.4", 0.4),
        ("car x2 farther away", 2),
    ],
)
def test_amounts_without_their_unit(instruction, amount):
    assert one(instruction).amount == pytest.approx(amount)


def test_spans_without_a_unit_and_in_the_remark_before():
    redone = one("7.8 to 8.2 again from scratch")
    assert (redone.verb, redone.start, redone.end) == ("inpaint", 7.8, 8.2)
    beside = one("from 2.2 to 2.9 it is a mess. new sound there please")
    assert (beside.verb, beside.start, beside.end) == ("inpaint", 2.2, 2.9)


def test_the_best_named_sound_is_meant():
    plan = Plan(
        seconds=8,
        events=(
            Event(
                id="car", source="a car", sound="a car drives off", sound_class="vehicle/car", start=1, end=4
            ),
            Event(
                id="horn",
                source="a horn",
                sound="a car horn honks",
                sound_class="vehicle/horn",
                start=5,
                end=6,
            ),
        ),
        ambience=(Ambience(id="street", sound="cars pass on a street", sound_class="ambience/traffic"),),
    )
    assert understand("pan the car left", plan).operations[0].targets == ("car",)
    assert understand("mute the cars", plan).operations[0].targets == ("car", "street")


def test_it_is_the_only_sound():
    plan = Plan(seconds=4, ambience=(Ambience(id="rain", sound="rain falls", sound_class="weather/rain"),))
    assert understand("make it louder", plan).operations[0].targets == ("rain",)


@pytest.mark.parametrize(
    ("instruction", "sure"),
    [
        ("make the dogs louder", True),
        ("remove the elephant", True),
        ("make it better", False),
        ("flurble the dog", False),
        ("make the dogs louder and flurble them", False),
    ],
)
def test_it_tells_whether_it_is_sure(instruction, sure):
    assert understand_sure(instruction, PLAN)[1] is sure


@pytest.mark.parametrize(
    ("instruction", "why"),
    [
        (
            "remove the helicopter and mute the rain",
            "There is no helicopter in this clip, which has a dog, a car, a hammer, rain and distant birdsong.",
        ),
        (
            "mute the rain at 2 s and flurble the car",
            "It is not clear what 'flurble the car' asks for, so nothing is changed.",
        ),
        (
            "mute the rain and make the picture brighter",
            "Only the sound can be changed, and this asks for something else.",
        ),
    ],
)
def test_all_is_done_or_nothing(instruction, why):
    plan = understand(instruction, PLAN)
    assert (plan.operations, plan.refusal) == ((), why)


def test_a_sentence_encoder_knows_words_in_no_table():
    class Near:
        def encode(self, texts):
            import numpy as np

            return np.array([[1, 0] if "jalopy" in t or "car" in t else [0, 1] for t in texts], np.float32)

    assert understand("mute the jalopy", PLAN).refusal
    (operation,) = understand("mute the jalopy", PLAN, Near()).operations
    assert operation.targets == ("car",)


@pytest.mark.parametrize(
    "text", ["make the dog louder", "dog +3 dB", "mute", "", "12", "add a café crowd", "swap the piano"]
)
def test_english(text):
    assert is_english(text)


@pytest.mark.parametrize(
    "text",
    [
        "rends le chien plus fort",
        "Entferne bitte den Wind",
        "quita la lluvia",
        "сделай громче",
        "犬をもっと大きく",
        "rimuovi il cane",
    ],
)
def test_not_english(text):
    assert not is_english(text)


def test_one_spelling_of_numbers_and_units():
    assert normal("It's 2.5s, -6dB @ 1:05") == "it is 2.5 seconds , minus 6 db at 65 seconds"
    assert normal("two and a half seconds, twenty percent") == "2.5 seconds , 20 percent"
    assert normal("the second bark a second later") == "the second bark 1 seconds later"


def test_slips_of_the_keyboard_by_damerau():
    assert slips("hammer", "hammer", 2) == 0
    assert slips("hamer", "hammer", 2) == 1
    assert slips("dwon", "down", 2) == 1
    assert slips("louder", "quieter", 2) == 3


def test_times_stand_for_spans():
    text, (when,) = take_times("mute it from 2 to 4 seconds please", 10.0)
    assert text == "mute it @n0 please" and (when.start, when.end) == (2, 4)
    assert take_times("in the second half", 10.0)[1][0].start == 5


WORKSHOP = Plan(
    seconds=9,
    events=(
        Event(
            id="mason",
            source="a stonemason",
            sound="a stonemason chisels stone",
            sound_class="tool/pickaxe",
            start=0.5,
            end=4.5,
            onsets=(0.5, 1.4, 2.2, 4.0),
        ),
        Event(
            id="water",
            source="water",
            sound="water pours down rocks",
            sound_class="water/stream",
            start=0,
            end=9,
        ),
        Event(
            id="horse", source="a horse", sound="a horse calls", sound_class="animal/horse", start=5, end=6
        ),
    ),
    ambience=(
        Ambience(id="city", sound="distant city traffic and wind", sound_class="ambience/traffic"),
        Ambience(id="rain", sound="rain falls", sound_class="weather/rain"),
    ),
)


@pytest.mark.parametrize(
    ("instruction", "meaning"),
    [
        ("let me hear just this: water pours down rocks", "extract water"),
        ("keep only: water pours down rocks", "extract water"),
        ("give me the running water alone", "extract water"),
        ("isolate water pours down rocks", "extract water"),
        ("get rid of this: a stonemason chisels stone", "remove mason"),
        ("get rid of this: distant city traffic and wind", "remove city"),
        ("get rid of this: the distant traffic", "remove city"),
        ("take this out: the rain in the distance", "remove rain"),
        ("mute the neighing and snorting", "mute horse"),
        ("turn distant city traffic and wind down and the rain up", "gain city; gain rain"),
        ("bring up the chiselling", "gain mason"),
        ("rain: 3 dB quieter", "gain rain"),
    ],
)
def test_captions_and_names_of_several_words_are_one_name(instruction, meaning):
    plan = understand(instruction, WORKSHOP).check(WORKSHOP)
    assert "; ".join(" ".join((o.verb, *o.targets)) for o in plan.operations) == meaning


@pytest.mark.parametrize(
    ("instruction", "sound", "sound_class", "start", "end"),
    [
        ("put in metallic clangs from 1.1 to 1.8 s", "metallic clangs", "impact/metal", 1.1, 1.8),
        (
            "at 0.7, 1.8 and 2.7 s there should be metallic clangs as well",
            "metallic clangs",
            "impact/metal",
            0.7,
            None,
        ),
        ("at 1.5 and 4 s there should be a metallic clang", "a metallic clang", "impact/metal", 1.5, None),
        ("add barks at 2, 5 and 8.8 s", "barks", "animal/dog", 2, None),
        ("add neighing and snorting at 0.7 s", "neighing and snorting", "animal/horse", 0.7, None),
        ("add howls and growls at 8 s", "howls and growls", "animal/wolf", 8, None),
        ("add this at 2.3 s: a wooden knock", "a wooden knock", "impact/wood", 2.3, None),
        ("add this from 5 to 8 s: crackling fire", "crackling fire", "fire/crackle", 5, 8),
        ("put a scream right before the end", "a scream", "voice/scream", 6.75, None),
    ],
)
def test_new_sounds_of_several_words_and_times(instruction, sound, sound_class, start, end):
    (o,) = understand(instruction, WORKSHOP).operations
    assert (o.verb, o.sound, o.sound_class) == ("add", sound, sound_class)
    assert (o.start, o.end) == (start, end)


def test_one_hit_of_several_is_moved():
    (o,) = understand("move the chisel at 2.2 s half a second later", WORKSHOP).operations
    assert (o.verb, o.targets, o.start, o.end, o.amount) == ("move", ("mason",), 2.2, 2.7, 0.5)


def test_a_sound_that_is_only_pictured_is_asked_for():
    refused = understand("make the \U0001f415 louder", WORKSHOP)
    assert refused.refusal == "It is not clear what \U0001f415 means; name the sound in words."
    assert not understand("mute the rain \U0001f64f", WORKSHOP).refusal


def test_moments_that_are_named_one_by_one_are_kept():
    (o,) = understand("add barks at 2, 5 and 8.8 s", WORKSHOP).operations
    assert o.onsets == (2, 5, 8.8)
    for text in ("add a bark at 2 s and another one at 7 s", "put in a bark at 2 s and again at 7 s"):
        (o,) = understand(text, WORKSHOP).operations
        assert (o.sound, o.onsets) == ("a bark", (2, 7))
    (o,) = understand("add a bark at 2 s", WORKSHOP).operations
    assert (o.start, o.onsets) == (2, ())


def test_what_is_put_back_is_made_anew_and_nothing_else():
    (o,) = understand("the sound is missing from 2.7 to 4.3 s, put it back", WORKSHOP).operations
    assert (o.verb, o.targets, o.start, o.end) == ("inpaint", (), 2.7, 4.3)


@pytest.mark.parametrize(
    ("instruction", "meaning"),
    [
        ("soften the hammer and pan it to the right", "gain hammer; pan hammer"),
        (
            "take the car, send it back to twice the distance and hang it on the far left",
            "distance car; pan car",
        ),
        (
            "replace the car with a train, and it should whistle twice as far away",
            "replace car; distance car",
        ),
        ("the dogs sound fine but the rain is too loud", "gain rain"),
        ("just the rain, all the others out of the way", "solo rain"),
        ("one more second in front, two more seconds behind", "extend; extend"),
        ("hammer in sooner, by 1 s", "move hammer"),
        ("teh secnd bark 1.5 s latr", "move dog2"),
    ],
)
def test_nothing_is_lost_between_two_requests(instruction, meaning):
    assert asked(instruction) == meaning


@pytest.mark.parametrize(
    ("instruction", "part"),
    [
        ("make the piano louder", "no piano in this clip, which has a dog, a car, a hammer, rain and "),
        ("delete the sheep and make the rain louder", "no sheep"),
        ("remove the rain and the helicopter", "no helicopter"),
        ("make the dogs louder and florp the car", "'florp the car'"),
        ("defenestrate the rain at 2 s, then mute the car", "'defenestrate the rain at 2 seconds'"),
        ("asdf qwer zxcv", "."),
    ],
)
def test_nothing_is_done_by_halves(instruction, part):
    plan = understand(instruction, PLAN)
    assert plan.operations == () and part in plan.refusal
