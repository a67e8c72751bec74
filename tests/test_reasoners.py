"""What all large reasoners share: pictures, prompts, and answers read; and the choice of a reasoner."""

import json

import cv2
import numpy as np
import pytest

import clips
from reasound.errors import UserError
from reasound.media.video import Clip
from reasound.perception.features import Shot
from reasound.plan import Ambience, Event, Plan, Region
from reasound.reasoning import prompts
from reasound.reasoning.answers import Unusable, read_edit, read_object, read_plan
from reasound.reasoning.choose import open_reasoner
from reasound.reasoning.frames import Frame, frames, jpeg, moments, of_region
from reasound.reasoning.large import LargeReasoner
from reasound.reasoning.rules import RulesReasoner
from test_rules import features, seen

DOG = {
    "id": "dog-1",
    "source": "a dog",
    "sound": "a dog barks",
    "sound_class": "animal/dog",
    "onsets": [1, 2.5],
}
EXISTING = Plan(
    seconds=4,
    events=(Event(id="dog-1", source="a dog", sound="a dog barks", end=3, onsets=(1.0, 2.5)),),
    ambience=(Ambience(id="wind-1", sound="wind"),),
)


def plan_of(answer, seconds=4.0, avoid=()):
    return read_plan(answer if isinstance(answer, str) else json.dumps(answer), seconds, avoid)


def event_of(**changes):
    """The event after reading, and the notes."""
    found = plan_of({"events": [DOG | changes]})
    return found.value.events[0], found.notes


def fits(value, schema):
    """What we use of JSON Schema."""
    if "anyOf" in schema:
        return fits(value, schema["anyOf"][0 if value is not None else 1])
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "number": (int, float),
        "boolean": bool,
        "null": type(None),
    }
    assert isinstance(value, kinds[schema["type"]]), (value, schema)
    assert value in schema.get("enum", [value])
    for key in schema.get("required", ()):
        fits(value[key], schema["properties"][key])
    assert not isinstance(value, dict) or set(value) == set(schema["properties"])
    for item in value if isinstance(value, list) else ():
        fits(item, schema["items"])


# Pictures


def test_every_shot_is_seen_and_the_long_ones_more_often():
    shots = [Shot(0, 1), Shot(1, 9), Shot(9, 10)]
    times = moments(shots, 6)
    assert times == pytest.approx((0.5, 2, 4, 6, 8, 9.5))
    assert moments([Shot(0, 2)], 100) == pytest.approx((0.25, 0.75, 1.25, 1.75))  # two a second are enough


def test_of_forty_minutes_as_many_shots_are_seen_as_the_budget_allows():
    shots = [Shot(3.0 * i, 3.0 * (i + 1)) for i in range(800)]
    times = moments(shots, 56)
    assert len(times) == 56 and np.diff(times).max() < 2 * 2400 / 56
    assert all((t / 3) % 1 == pytest.approx(0.5) for t in times)  # the middle of a shot


def test_a_picture_is_the_one_of_its_time(tmp_path):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", clips.counter, size=(64, 32)))
    shown = frames(clip, [Shot(0, 1.0), Shot(1.0, 2.0)], each=100, budget=400)
    assert [f.time for f in shown] == pytest.approx([0.25, 0.75, 1.25, 1.75])
    for frame in shown:
        assert frame.picture.mean() == pytest.approx(20 + 100 * frame.time, abs=5)
    assert len(frames(clip, [Shot(0, 2)], each=100, budget=50)) == 1  # never none


def test_a_long_video_is_not_read_through(tmp_path):
    def minutes(time, width, height):
        return np.full((height, width, 3), 20 + round(time * 2), np.uint8)

    clip = Clip.open(clips.write(tmp_path / "c.mp4", minutes, seconds=100, fps=4, size=(32, 16)))
    shown = frames(clip, [Shot(0, 10), Shot(10, 100)], each=10, budget=50)
    assert [f.time for f in shown] == pytest.approx([5, 21.25, 43.75, 66.25, 88.75], abs=0.01)
    for frame in shown:
        assert frame.picture.mean() == pytest.approx(20 + 2 * frame.time, abs=3)


def test_a_clip_without_pictures_is_said_to_have_none(tmp_path):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", clips.counter, size=(32, 16)))
    with pytest.raises(UserError, match="no pictures"):
        frames(clip, (), each=100)


def test_a_region_is_framed_and_then_seen_close_up(tmp_path):
    def corner(time, width, height):
        picture = np.zeros((height, width, 3), np.uint8)
        picture[height // 2 :, width // 2 :] = (0, 0, 255)
        return picture

    clip = Clip.open(clips.write(tmp_path / "c.mp4", corner, size=(320, 160)))
    region = Region(x0=0.6, y0=0.6, x1=0.9, y1=0.9)
    whole, *close = of_region(clip, [Shot(0, 2)], region, each=100, budget=300, side=160)
    red = (whole.picture[..., 0] > 150) & (whole.picture[..., 2] < 100)
    rows, columns = np.nonzero(red)
    assert columns.min() == pytest.approx(0.6 * 160, abs=3) and rows.max() == pytest.approx(0.9 * 80, abs=3)
    assert len(close) == 2 and close[0].picture[..., 2].mean() > 200  # all blue: nothing of the rest
    assert max(close[0].picture.shape) == 160


def test_a_jpeg_shows_the_colours_as_they_are():
    orange = np.full((16, 16, 3), (250, 120, 10), np.uint8)
    back = cv2.imdecode(np.frombuffer(jpeg(orange), np.uint8), cv2.IMREAD_COLOR)[8, 8, ::-1]
    assert back.tolist() == pytest.approx([250, 120, 10], abs=4)


# Prompts


def test_the_prompt_tells_what_pictures_do_not_show():
    blank = Frame(0.5, np.zeros((4, 4, 3), np.uint8))
    f = features(seen("hammer"), onsets=[(1.25, 1.0, 0.8)], cuts=[4.0])
    asked = prompts.plan(f, "eine Werkstatt", ["birds"], [blank])
    text = "\n".join(p for p in asked.parts if isinstance(p, str))
    for words in (
        "1.25 (1.0, 0.80)",
        "hammer (0.70",
        "2 shots",
        "4.00",
        "eine Werkstatt",
        "birds",
        "tool/: hammer",
    ):
        assert words in text
    assert asked.parts[0] == "At 0.50 s:" and asked.parts[1] is blank


@pytest.mark.parametrize(
    "instruction", ["把狗叫声调小一点", "quita el viento, por favor", "mach den Hund leiser, bitte"]
)
def test_an_instruction_passes_unchanged_in_any_language(instruction):
    asked = prompts.edit(instruction, EXISTING, ())
    assert asked.parts[-1].endswith(f"\n{instruction}")
    assert '"id":"dog-1"' in asked.parts[0]


def test_our_own_examples_fit_our_schemas_and_are_read_without_a_note():
    example = prompts._PLAN_EXAMPLE
    fits(example, prompts.plan_schema())
    fits(prompts._EDIT_EXAMPLE, prompts.edit_schema())
    found = plan_of(example)
    assert not found.notes and found.value.events[0].region == Region(x0=0.6, y0=0.4, x1=0.8, y1=0.7)
    assert [s.aspect for s in found.value.reasoning] == ["semantic", "temporal", "spatial", "aesthetic"]
    assert not read_edit(json.dumps(prompts._EDIT_EXAMPLE), "leiser", EXISTING).notes


# Answers


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "```json\n{}\n```",
        "Here you are, with {{braces}}:\n{}\nI hope {{this}} helps!",
        '<think>\nmaybe {{"events": []}}?\n</think>\n{}',
        'the template opened the thought {{"events": []}} </think>{}',
        'A draft: {{"events": [], "ambience": []}} and now for good: {}',
    ],
)
def test_the_answer_is_found_in_whatever_stands_around_it(around):
    assert [e.id for e in plan_of(around.format(json.dumps({"events": [DOG]}))).value.events] == ["dog-1"]


def test_a_comma_too_many_does_no_harm():
    text = '{"events": [{"sound": "a, b,] c", "source": "x", "onsets": [1, 2,],},],}'
    event = plan_of(text).value.events[0]
    assert event.onsets == (1, 2) and event.sound == "a, b,] c"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("<think>hm</think>", "it is empty"),
        ("The video shows a dog. It barks twice, in a garden. " * 50, "only text"),
        ('{"thoughts": "a dog"}', "only text"),
        (
            json.dumps({"reasoning": [{"aspect": "semantic", "text": "x", "events": []}], "events": [DOG]})[
                :-9
            ],
            "breaks off",
        ),
        (json.dumps(prompts._PLAN_EXAMPLE) + ' mine: {"events": [{"id": "dog-1", "sou', "breaks off"),
        ('{"events": [{"sound" "x"}]}', "JSON is wrong"),
        ("{" * 5000 + '"events"', "JSON"),
        ('{"events": [1, 2]}', "not a list of objects"),
        ('{"events": [{"id": "x"}]}', "neither what sounds nor how"),
    ],
)
def test_what_is_no_plan_is_told_in_a_clause(text, why):
    with pytest.raises(Unusable, match=why) as caught:
        plan_of(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("given", "field", "value", "note"),
    [
        ({"level": "-6 dB", "start": "0.5 s"}, "level", -6.0, ""),
        ({"onsets": [2.5, "1.0"]}, "onsets", (1.0, 2.5), "put in order"),
        ({"onsets": [2.5, 1], "strengths": [0.2, 0.9]}, "strengths", (0.9, 0.2), "put in order"),
        ({"strengths": [0.5]}, "strengths", (), "left out"),
        ({"pan": -1.4}, "pan", -1.0, "the pan of 'dog-1' was -1.4; it is now -1"),
        ({"level": 90}, "level", 12.0, "now 12"),
        ({"confidence": 80}, "confidence", 0.8, "percentage"),
        ({"end": 99}, "end", 4.0, "end of the clip"),
        ({"end": 4.01}, "end", 4.0, ""),
        ({"start": 1.5, "end": 2}, "start", 1.0, "widened"),
        ({"region": {"x0": 0, "y0": 0, "x1": 0.5, "y1": 1}}, "region", Region(x0=0, y0=0, x1=0.5, y1=1), ""),
        ({"region": [10, 20, 300, 400]}, "region", None, "no box"),
        ({"sound_class": "dog"}, "sound_class", "animal/dog", "'animal/dog' was meant"),
        ({"sound_class": "unicorn"}, "sound_class", "", "left out"),
        ({"volume": 3}, "id", "dog-1", "'volume'"),
        ({"id": "the dog!"}, "id", "the-dog", "became"),
        ({"id": None}, "id", "dog-1", "had no id"),
        ({"on_screen": "false"}, "on_screen", False, ""),
    ],
)
def test_slips_that_leave_no_doubt_are_mended(given, field, value, note):
    event, notes = event_of(**given)
    assert getattr(event, field) == value
    assert (note in "; ".join(notes)) if note else not notes


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"onsets": [1, 7]}, "onset at 7 s, but the clip is only 4 s"),
        ({"start": 5, "end": 6, "onsets": []}, "begins at 5 s, but the clip is only 4 s"),
        ({"level": "loud"}, "level of 'dog-1' is \"loud\", but must be a number"),
        ({"start": 3, "end": 2, "onsets": []}, "not after its start"),
    ],
)
def test_what_could_mean_two_things_is_not_guessed_at(given, why):
    with pytest.raises(Unusable, match=why):
        event_of(**given)


def test_ids_are_made_unique_and_the_reasoning_keeps_to_them():
    found = plan_of(
        {
            "events": [DOG, DOG],
            "ambience": ["soft rain"],
            "reasoning": {"semantic": "A dog.", "temporal": "Twice."},
            "acoustics": {"space": "outdoor", "reverb": "20"},
            "avoid": "music",
        },
        avoid=["birds"],
    )
    made = found.value
    assert [e.id for e in made.events] == ["dog-1", "dog-2"] and made.ambience[0].id == "soft-1"
    assert made.chain_of_thought() == "A dog. Twice." and made.avoid == ("birds", "music")
    assert made.acoustics.space == "outdoors" and made.acoustics.reverb == 1


def test_an_object_gets_new_ids_its_region_and_nothing_else():
    region = Region(x0=0.1, y0=0.2, x1=0.3, y1=0.4)
    answer = {
        "events": [DOG],
        "ambience": ["rain"],
        "reasoning": [{"aspect": "semantic", "text": "x", "events": ["dog-1"]}],
    }
    found = read_object(json.dumps(answer), 4, EXISTING, region)
    (event,) = found.value.events
    assert event.id == "dog-2" and event.region == region and found.value.reasoning[0].events == ("dog-2",)
    assert not found.value.ambience and "left out" in found.notes[-1]
    with pytest.raises(Unusable, match="no event"):
        read_object('{"events": []}', 4, EXISTING, region)


def test_an_edit_is_read_and_checked_against_the_plan():
    answer = {
        "operations": [{"verb": "Gain", "targets": "wind-1", "amount": "-6 dB", "start": -1, "side": None}]
    }
    edit = read_edit(json.dumps(answer), "把风声调小", EXISTING).value
    assert edit.instruction == "把风声调小" and edit.operations[0].targets == ("wind-1",)
    assert edit.operations[0].amount == -6 and edit.operations[0].start is None
    assert read_edit(
        '{"operations": [], "refusal": "Sound has no colour."}', "make it blue", EXISTING
    ).value.refusal


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        ({"verb": "gain", "targets": ["cat-1"], "amount": 3}, "no such event; it has dog-1, wind-1"),
        ({"verb": "gain", "targets": ["dog-1"]}, "by how much"),
        ({"verb": "paint", "targets": []}, "verb 'paint'; the verbs are add"),
        ({"verb": "remove", "targets": ["dog-1"], "start": 9}, "only 4 s long"),
    ],
)
def test_an_edit_that_cannot_be_done_is_told_in_a_clause(operation, why):
    with pytest.raises(Unusable, match=why):
        read_edit(json.dumps({"operations": [operation]}), "x", EXISTING)


# The rounds


class Scripted(LargeReasoner):
    """Gives these answers, one after the other."""

    def __init__(self, *answers, fallback=None):
        super().__init__("scripted", "a-model", fallback)
        self.answers, self.turns = list(answers), []

    def ask(self, prompt, turns, progress):
        self.turns.append(turns)
        return self.answers.pop(0)

    def picture_tokens(self):
        return 100


def test_a_plan_records_who_answered_what():
    raw = json.dumps({"events": [DOG | {"pan": 3}]})
    reasoner = Scripted(raw)
    made = reasoner.plan(features(seconds=4))
    assert made.reasoner == "scripted" and made.origin.raw == raw
    assert (made.origin.model, made.origin.prompt_version) == ("a-model", prompts.VERSION)
    assert "pan" in reasoner.notes[0]


def test_a_bad_answer_is_sent_back_once_with_the_reason():
    bad = json.dumps({"events": [DOG | {"onsets": [99]}]})
    reasoner = Scripted(bad, json.dumps({"events": [DOG]}))
    assert reasoner.plan(features(seconds=4)).events[0].id == "dog-1"
    first, (said, why) = reasoner.turns
    assert first == () and said == bad and "onset at 99 s" in why


def test_a_second_bad_answer_is_one_sentence_or_the_fallback():
    with pytest.raises(UserError, match="even when asked again: .*only text"):
        Scripted("An essay.", "Another essay.").plan(features(seconds=4))
    reasoner = Scripted("An essay.", "Another essay.", fallback=RulesReasoner())
    made = reasoner.plan(features(seen("hammer"), onsets=[1, 2]))
    assert made.reasoner == "rules" and made.origin is None and made.events[0].sound_class == "tool/hammer"
    assert "rules answered instead" in reasoner.notes[0]


def test_an_empty_instruction_asks_nobody():
    with pytest.raises(UserError, match="instruction is empty"):
        Scripted().edit("  ", EXISTING)


# Rules, and the choice


def test_rules_plan_one_object_where_it_is():
    region = Region(x0=0.8, y0=0.2, x1=1.0, y1=0.6)
    taken = Plan(seconds=10, events=(Event(id="hammer-1", source="x", sound="x", end=1),))
    f = features(seen("hammer"), onsets=[(1, 1.0, 0.5), (2, 1.0, 0.5)])
    made = RulesReasoner().plan_object(f, region, taken)
    (event,) = made.events
    assert event.id == "hammer-2" and event.region == region and event.onsets == (1, 2)
    assert event.pan == pytest.approx(1.4 * 0.4, abs=0.01) and not made.ambience
    assert made.reasoning and all(set(s.events) == {"hammer-2"} for s in made.reasoning)
    with pytest.raises(UserError, match="nothing is seen in that region"):
        RulesReasoner().plan_object(features(level=0.0), region, taken)


def test_a_name_chooses_a_reasoner():
    assert open_reasoner("rules").name == "rules"
    remote = open_reasoner("remote:org/model:7b@http://localhost:8000/v1", fallback="rules")
    assert remote.name == "remote:org/model:7b@http://localhost:8000" and remote.model == "org/model:7b"
    assert remote.fallback.name == "rules"
    assert open_reasoner("mllm:/some/folder").name == "mllm:/some/folder"


@pytest.mark.parametrize(
    "name", ["", "gpt", "mllm:", "remote:", "remote:model", "remote:model@localhost:8000"]
)
def test_a_wrong_name_is_told_the_right_ones(name):
    with pytest.raises(UserError, match="rules, pocket, mllm:"):
        open_reasoner(name)


@pytest.mark.parametrize(
    "url", ["http:///v1", "http://a:b@host/v1", "http://host/v1?key=1", "http://host:port"]
)
def test_an_address_is_checked_at_once_and_holds_no_key(url):
    with pytest.raises(UserError, match="address"):
        open_reasoner(f"remote:m@{url}")
