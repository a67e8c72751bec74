"""The pocket reasoner: its grammar, its answers, what it is shown, its network and the two ways to run it."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from reasound.edit_plan import EditPlan, Operation
from reasound.errors import UserError
from reasound.perception.features import Onset, Shot, Sighting
from reasound.perception.watch import unseen
from reasound.plan import Acoustics, Ambience, Event, Place, Plan, Region
from reasound.reasoning.knowledge import labels, sound_classes
from reasound.reasoning.pocket import tokenizer as t
from reasound.reasoning.pocket import weights
from reasound.reasoning.pocket.answers import edit_of, joined, write_edit, write_plan
from reasound.reasoning.pocket.grammar import Situation, grammar, parse
from reasound.reasoning.pocket.network import Network, Things
from reasound.reasoning.pocket.prefix import KINDS, Reader, look, prefix, situation
from reasound.reasoning.pocket.reasoner import PocketReasoner, cut, windows
from reasound.reasoning.pocket.writer import write


class Words:
    """A text encoder without weights: each word has a vector of its own; a text is the mean of its words."""

    class _Tokenizer:
        def encode(self, text):
            spans, at = [], 0
            for word in text.split():
                start = text.index(word, at)
                at = start + len(word)
                spans.append((start, at))
            return type("Encoding", (), {"offsets": [(0, 0), *spans, (0, 0)]})()

    tokenizer = _Tokenizer()

    def _word(self, word):
        seed = int.from_bytes(word.lower().strip(".,").encode()[:8].ljust(8, b"\0"), "little")
        vector = np.random.default_rng(seed).normal(size=384)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    def encode(self, texts):
        rows = [np.mean([self._word(w) for w in text.split() or ["-"]], axis=0) for text in texts]
        return np.stack([r / np.linalg.norm(r) for r in rows]).astype(np.float32)

    def tokens(self, texts, limit=256):
        rows = [[self._word(w) for w in ("[", *text.split(), "]")][:limit] for text in texts]
        longest = max(map(len, rows))
        states = np.zeros((len(rows), longest, 384), np.float32)
        mask = np.zeros((len(rows), longest), bool)
        for k, row in enumerate(rows):
            states[k, : len(row)], mask[k, : len(row)] = row, True
        return states, mask


VECTORS = np.random.default_rng(1).normal(size=(1000, 384)).astype(np.float32)


def dog(seconds=5.0, onsets=(1.0, 2.5), strengths=(0.4, 1.0)):
    index = next(i for i, label in enumerate(labels()) if label.sounds[:1] == ("animal/dog",))
    empty = unseen(seconds)
    motion = dataclasses.replace(
        empty.motion,
        onsets=tuple(Onset(time, s, 0.3, 0.5) for time, s in zip(onsets, strengths, strict=True)),
    )
    seen = (Sighting(labels()[index].name, index, 0.7, 0.0, seconds, None),)
    return dataclasses.replace(empty, motion=motion, sightings=seen)


def barking(seconds=5.0):
    event = Event(
        id="e1", source="a dog", sound="a dog barks", sound_class="animal/dog", end=seconds, onsets=(1.02, 2.46, 4.0),
        strengths=(0.5, 0.95, 0.8), level=2.0, pan=-0.5, distance=4.0,
    )  # fmt: skip
    rolling = Event(
        id="e2", source="a car", sound="a car drives by", sound_class="vehicle/car", start=1.0, end=3.5, level=-4.0,
        path=(Place(time=1.0, pan=-0.7, distance=8.0), Place(time=3.5, pan=0.7, distance=4.0)),
    )  # fmt: skip
    under = Ambience(id="a1", sound="wind", sound_class="weather/wind", level=-20.0)
    return Plan(
        seconds=seconds,
        events=(event, rolling),
        ambience=(under,),
        acoustics=Acoustics(space="room", reverb=0.2),
    )


def tiny(**fields):
    torch.manual_seed(0)
    size = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    return Network(weights.new_config(**size | fields)).eval().requires_grad_(False)


def pocket(network=None):
    return PocketReasoner(network or tiny(), Words(), VECTORS, sure=0.0)


def walk(task, s, rng):
    """An answer at random, and what it says."""
    machine = grammar(task, s)
    allowed, answer = next(machine), []
    while True:
        answer.append(int(rng.choice(allowed)))
        try:
            allowed = machine.send(answer[-1])
        except StopIteration as done:
            return answer, done.value


def test_every_walk_through_the_grammar_is_a_valid_plan_and_can_be_parsed():
    rng = np.random.default_rng(0)
    for turn in range(150):
        seconds = float(rng.choice([0.05, 0.5, 3.0, 10.0]))
        onsets = tuple(np.sort(rng.uniform(0, seconds, int(rng.integers(0, 5)))).tolist())
        s = Situation(seconds, onsets, labels=2, traces=1, banned=frozenset({"animal/dog"}))
        task = "plan" if turn % 2 else "object"
        answer, draft = walk(task, s, rng)
        assert parse(task, s, answer) == draft
        sure = [[0.5] * (len(draft.thoughts) + len(draft.unders))]
        plan = Plan.parse(joined([(0.0, seconds, draft)], seconds, sure).to_json())
        assert [e.sound_class for e in plan.events] == [th.sound_class for th in draft.thoughts]
        assert "animal/dog" not in {e.sound_class for e in plan.events}


def test_every_walk_through_the_grammar_of_edits_can_be_done_to_the_plan():
    rng, plan = np.random.default_rng(1), barking()
    done = set()
    for _ in range(300):
        s = Situation(plan.seconds, entries=("e1", "e2", "a1"), numbers=(2.0, 80.0), words=3)
        edit = edit_of(walk("edit", s, rng)[1], "do it", plan, ("do ", "it ", "now"))
        assert edit.check(plan) is edit and bool(edit.operations) != bool(edit.refusal)
        done |= {o.verb for o in edit.operations}
    assert len(done) >= 14


def test_what_cannot_stand_there_is_refused_with_its_place():
    s = Situation(5.0)
    with pytest.raises(ValueError, match=r"'class animal/dog' cannot stand at place 0"):
        parse("plan", s, [t.token("class animal/dog")])
    with pytest.raises(ValueError, match="does not end"):
        parse("plan", s, [t.token("<so>")])


def test_a_plan_says_in_tokens_what_it_says():
    plan, f = barking(), look(dog())
    s = situation(f, None)
    answer = write_plan(plan, s, f, told=("vehicle/car",))
    written = [t.names()[k] for k in answer]
    # The dog is seen as label 0, the car is told; two barks are visible onsets, the third is not.
    assert written[:5] == ["<because>", "label 0", "class animal/dog", "how seen", "<because>"]
    assert written[5:8] == ["<told>", "class vehicle/car", "how span"]
    assert [
        "onset 0",
        "strength 0.5",
        "onset 1",
        "strength 1.0",
        "time 200",
        "strength 0.8",
        "<hits>",
    ] == written[written.index("onset 0") : written.index("<hits>") + 1]
    back = joined([(0.0, 5.0, parse("plan", s, answer))], 5.0, [[1.0] * 3])
    bark, car = back.events
    assert bark.onsets == (1.0, 2.5, 4.0) and (bark.level, bark.pan, bark.distance) == (2.0, -0.5, 4.0)
    assert (car.start, car.end) == (1.0, 3.5) and [p.pan for p in car.path] == [-0.7, 0.7]
    assert back.ambience[0].sound_class == "weather/wind" and back.ambience[0].level == -20.0
    assert back.acoustics == plan.acoustics


def test_windows_are_joined_and_what_goes_on_stays_one_event():
    s, f = Situation(5.0), look(dog(onsets=(), strengths=()))
    whole = Event(id="x", source="a fire", sound="fire", sound_class="fire/crackle", end=5.0)
    draft = parse("plan", s, write_plan(Plan(seconds=5.0, events=(whole,)), s, f))
    plan = joined([(0.0, 5.0, draft), (5.0, 10.0, draft)], 10.0, [[0.9], [0.8]])
    assert [(e.start, e.end, e.confidence) for e in plan.events] == [(0.0, 10.0, 0.9)]


OPERATIONS = [
    Operation(verb="remove", targets=("a1",)),
    Operation(verb="gain", targets=("e1", "e2"), amount=-6.0, start=2.0),
    Operation(verb="add", sound="a wolf howls", sound_class="animal/wolf", start=1.5, end=4.0),
    Operation(verb="replace", targets=("e1",), sound="squeaky noises"),
    Operation(verb="inpaint", start=1.0, end=2.0),
    Operation(verb="extend", amount=2.0, side="after"),
    Operation(verb="move", targets=("e1",), amount=-0.5),
    Operation(verb="style", style="underwater"),
    Operation(verb="reverb", amount=0.9, style="cathedral"),
    Operation(verb="speed", targets=("e2",), amount=1.5),
    Operation(verb="solo", targets=("e1",)),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.verb)
def test_an_edit_says_in_tokens_what_it_says(operation):
    plan, text = barking(), "a wolf howls , squeaky noises , 2 1.5"
    said = Reader(Words()).read(text)
    s = situation(None, said, plan, seconds=5.0)
    spans = {"a wolf howls": (0, 2), "squeaky noises": (4, 5)}
    both = EditPlan(instruction=text, operations=(operation, OPERATIONS[0]))
    answer = write_edit(both, s, spans)
    found = edit_of(parse("edit", s, answer), text, plan, said.copy)
    plain = [o.model_copy(update={"reason": ""}) for o in found.operations]
    assert plain == [operation, OPERATIONS[0]]


def test_numbers_of_the_text_are_copied_whatever_they_are():
    said = Reader(Words()).read("louder by 7.3 dB after 61.25 seconds")
    assert [n for n, _ in said.numbers] == [7.3, 61.25]
    plan = Plan(seconds=90.0, events=(Event(id="e1", source="a dog", sound="barks", end=90.0),))
    s = situation(None, said, plan, seconds=90.0)
    edit = EditPlan(
        instruction="x", operations=(Operation(verb="gain", targets=("e1",), amount=7.3, start=61.25),)
    )
    assert (
        edit_of(parse("edit", s, write_edit(edit, s, {})), "x", plan, said.copy).operations[0].amount == 7.3
    )


def test_a_refusal_is_one_of_the_known_sentences():
    plan, s = barking(), Situation(5.0, entries=("e1", "e2", "a1"))
    edit = EditPlan(instruction="make it blue", refusal=t.REFUSALS[2])
    back = edit_of(parse("edit", s, write_edit(edit, s, {}, refusal=2)), "make it blue", plan, ())
    assert back.refusal == t.REFUSALS[2] and not back.operations


def test_what_is_shown_points_at_what_can_be_pointed_at():
    reader, f = Reader(Words()), look(dog())
    said = reader.read("a dog barks at 2.5 seconds, wind")
    region = Region(x0=0.1, y0=0.2, x1=0.5, y1=0.6)
    p = prefix("object", f, said, reader, VECTORS, avoid=("music",), existing=barking(), region=region)
    kinds = [KINDS[k] for k in p.kind]
    assert kinds.count("moment") == 10 and kinds.count("entry") == 3 and kinds.count("avoid") == 1
    pointed = {t.names()[k] for k in p.tokens[:, 0] if k >= 0}
    assert {"onset 0", "onset 1", "label 0", "number 0", "word 6", "entry 2"} <= pointed
    # The time of an onset is a token, too, so that it can be copied; 1.0 s is 50 steps of 20 ms.
    onset = kinds.index("onset")
    assert t.names()[p.tokens[onset, 1]] == "time 50"
    # The label speaks for its sound, and a phrase for the class that has such a caption.
    names = list(sound_classes())
    assert p.classes[kinds.index("sighting"), names.index("animal/dog")] == 1.0
    assert int(p.classes[kinds.index("phrase")].argmax()) == names.index("animal/dog")
    assert np.isfinite(p.numbers).all()


def test_a_text_is_the_sum_of_its_words():
    said = Reader(Words()).read("  put the   barks, please ")
    assert "".join(said.copy) == said.text == "put the barks, please"
    assert Reader(Words()).read("").words.shape == (0, 384)


def test_word_by_word_gives_what_all_at_once_gives():
    network, reader, f = tiny(), Reader(Words()), look(dog())
    p = prefix("plan", f, reader.read("a dog"), reader, VECTORS)
    answer = write(network, p, "plan", situation(f, None))
    tokens = [t.token("<plan>"), *answer.tokens]
    longer = prefix("plan", look(dog(9.0)), reader.read("a cat and a dog"), reader, VECTORS)
    things = Things.of([longer, p])  # beside a longer one, which must change nothing
    hidden = network.batch(things, [len(longer), len(p)], [tokens, tokens])[1]
    logits = network.logits(hidden[len(p) : len(p) + len(tokens) - 1])
    machine = grammar("plan", situation(f, None))
    allowed = next(machine)
    for row, chosen, sure in zip(logits, answer.tokens, answer.sure, strict=True):
        odds = row[torch.tensor(allowed)].softmax(0)
        assert float(odds.max()) == pytest.approx(sure, abs=1e-5)
        assert allowed[int(odds.argmax())] == chosen
        if chosen != t.token("<end>"):
            allowed = machine.send(chosen)


def test_transformers_gives_the_same_logits_from_the_same_folder(tmp_path):
    transformers = pytest.importorskip("transformers")
    import reasound.reasoning.pocket.hf  # noqa: F401

    weights.save(tmp_path, tiny())
    assert (tmp_path / "reasoner.safetensors").stat().st_size < 250_000  # int8
    network = weights.load(tmp_path)
    reader, f = Reader(Words()), look(dog())
    p = prefix("plan", f, reader.read("a dog barks"), reader, VECTORS)
    tokens = [t.token("<plan>"), *write_plan(barking(), situation(f, None), f)]
    ours = network.logits(network.batch(Things.of([p]), [len(p)], [tokens])[0, len(p) :])
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    got = theirs(things=Things.of([p]), input_ids=torch.tensor([tokens])).logits[0]
    assert float((ours - got.detach()).abs().max()) < 1e-4 * float(ours.abs().max())


def test_untrained_it_still_gives_a_plan_with_all_four_aspects_and_its_origin():
    heard = []
    plan = pocket().plan(dog(), "a dog barks", avoid=["wind"], progress=heard.append)
    assert {s.aspect for s in plan.reasoning} == {"semantic", "temporal", "spatial", "aesthetic"}
    assert plan.reasoner == "pocket" and plan.origin.raw == heard[-1] != "" and plan.avoid[0] == "wind"
    assert Plan.parse(plan.to_json()) == plan
    assert pocket().plan(dog(), "a dog barks", avoid=["wind"]) == plan


def test_where_it_is_not_sure_the_rules_answer():
    doubtful = PocketReasoner(tiny(), Words(), VECTORS)  # untrained: nothing is sure
    assert doubtful.plan(dog(), "a dog barks") == doubtful.rules.plan(dog(), "a dog barks")
    region = Region(x0=0.1, y0=0.1, x1=0.6, y1=0.9)
    found = doubtful.plan_object(dog(), region, barking())
    assert found.reasoner == "rules" and found == doubtful.rules.plan_object(dog(), region, barking())


def test_the_caption_and_the_picture_matter():
    network, reader = tiny(), Reader(Words())

    def sure(f, caption):
        p = prefix("plan", look(f), reader.read(caption), reader, VECTORS)
        return write(network, p, "plan", situation(look(f), None)).sure[0]

    quiet = dog(onsets=(), strengths=())
    assert (
        len(
            {
                sure(dog(), ""),
                sure(dog(), "rain"),
                sure(quiet, ""),
                sure(dataclasses.replace(dog(), sightings=()), ""),
            }
        )
        == 4
    )


def test_an_object_gets_fresh_ids_and_its_region():
    region = Region(x0=0.1, y0=0.2, x1=0.5, y1=0.6)
    existing = barking()
    existing = existing.model_copy(update={"ambience": ()})
    plan = pocket().plan_object(dog(), region, existing, "a dog")
    assert not plan.ambience and all(e.region == region for e in plan.events)
    assert not {e.id for e in plan.events} & {e.id for e in existing.events}


def test_long_clips_are_thought_of_in_windows_that_end_at_cuts():
    f = dog(24.0, onsets=(1.0, 12.0, 23.0), strengths=(1.0, 1.0, 1.0))
    assert windows(f) == [(0.0, 10.0), (10.0, 17.0), (17.0, 24.0)]
    f = dataclasses.replace(f, shots=(Shot(0.0, 8.0), Shot(8.0, 24.0)))
    spans = windows(f)
    assert spans[0] == (0.0, 8.0) and spans[-1][1] == 24.0 and all(b - a <= 10.0 for a, b in spans)
    part = cut(f, 8.0, 16.0)
    assert [o.time for o in part.motion.onsets] == [4.0] and part.seconds == 8.0
    assert len(part.motion.level) == 200 and len(part.visual) == 64
    assert pocket().plan(dog(24.0)).seconds == 24.0


def test_edits_come_back_checked_and_other_languages_are_refused():
    reasoner, plan = pocket(), barking()
    assert reasoner.edit("make the dog louder", plan) == reasoner.rules.edit("make the dog louder", plan)
    unclear = "ok so uh. yeah. the thing. do it"
    edit = reasoner.edit(unclear, plan)
    assert edit.instruction == unclear and edit.origin.model.startswith("pocket-")
    assert bool(edit.operations) != bool(edit.refusal)
    careful = PocketReasoner(tiny(), Words(), VECTORS)
    assert careful.edit(unclear, plan).refusal.startswith("It is not clear")
    for foreign in (
        "mach den Hund lauter und das Auto leiser",
        "让狗叫得更大声",
        "quita el viento y sube el perro",
    ):
        refused = reasoner.edit(foreign, plan)
        assert refused.refusal.startswith("The pocket reasoner only reads English") and not refused.operations
    with pytest.raises(UserError, match="only reads English"):
        reasoner.plan(dog(), "ein Hund bellt und der Wind weht")
    with pytest.raises(UserError, match="is empty"):
        reasoner.edit("  ", plan)


def test_weights_of_another_vocabulary_are_refused(tmp_path):
    weights.save(tmp_path, tiny())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"vocabulary": "other"}))
    with pytest.raises(UserError, match="trained with other words"):
        weights.load(tmp_path)
