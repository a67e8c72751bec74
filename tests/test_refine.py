"""Stage two: an object that is pointed at gets its own layer, which goes where it goes."""

from dataclasses import replace

import av
import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from reasound import Clip, Output, Reasound, foley
from reasound.cli import app
from reasound.errors import UserError
from reasound.mixing.layers import mix
from reasound.perception.features import Onset
from reasound.perception.motion import measure
from reasound.perception.regions import Click, Drawn, Phrase
from reasound.plan import Ambience, Event, Place, Plan, Region, Step
from reasound.reasoning import second
from reasound.reasoning.pointed import retimed
from reasound.stages.refine import kept, placed, refine, says_when, sounding

SECONDS = 3.0


@pytest.fixture(scope="module")
def engine():
    return Reasound()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A disc that hops from the left to the right over a still background."""
    rng = np.random.default_rng(0)
    ground = cv2.GaussianBlur(rng.integers(60, 190, (120, 200, 3)).astype(np.uint8), (0, 0), 3)

    def picture(time: float) -> np.ndarray:
        x, y = 25 + 50 * time, 92 - 50 * abs(np.sin(np.pi * time * 1.5))
        return cv2.circle(ground.copy(), (round(x), round(y)), 13, (220, 40, 30), -1)

    path = tmp_path_factory.mktemp("clips") / "disc.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 200, 120, "yuv420p"
        for k in range(int(SECONDS * 25)):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture(k / 25), format="rgb24")))
        file.mux(stream.encode(None))
    return Clip.open(path)


@pytest.fixture(scope="module")
def take(engine, clip):
    rain = Ambience(id="rain-1", sound="rain falls", sound_class="weather/rain")
    return foley(engine, clip, plan=Plan(seconds=SECONDS, ambience=(rain,)), renderer="library")


def test_a_click_gives_the_object_a_layer_that_follows_it(engine, clip, take):
    made = refine(engine, take, clip, Click(0.25, 0.5), 0.5, sound="a ball bounces")
    event = made.plan.events[-1]
    assert event.sound_class == "impact/ball" and event.on_screen and event.region is not None
    assert event.path[0].pan < -0.2 < 0.2 < event.path[-1].pan
    layer = made.layers[-1].audio
    halves = [
        np.square(x).sum(1) for x in (layer[:, : layer.shape[1] // 3], layer[:, -layer.shape[1] // 3 :])
    ]
    assert halves[0][0] > halves[0][1] and halves[1][0] < halves[1][1]  # left first, right at last
    assert made.parent == take.id and made.what == "refine a ball bounces at 0.5 s"
    for old, new in zip(take.layers, made.layers, strict=False):
        assert np.array_equal(old.audio, new.audio)
    assert np.abs(mix(made.layers) - made.audio).max() < 1e-5


def test_what_it_already_sounds_like_is_taken_out_first(engine, clip, take):
    once = refine(engine, take, clip, Click(0.25, 0.5), 0.5, sound="a ball bounces")
    again = refine(
        engine, once, clip, Drawn(Region(x0=0.1, y0=0.2, x1=0.4, y1=0.95)), 0.5, sound="a ball bounces"
    )
    assert [e.sound_class for e in again.plan.events].count("impact/ball") == 1
    assert any("already played this object" in note for note in engine.notes)
    assert len(again.layers) == len(once.layers)


def test_it_stays_where_it_was_pointed_at_if_asked(engine, clip, take):
    made = refine(engine, take, clip, Click(0.25, 0.5), 0.5, sound="a ball bounces", follow=False)
    assert made.plan.events[-1].path == () and made.plan.events[-1].pan < -0.1


def test_bad_pointing_is_said(engine, clip, take):
    for query, at, said in (
        (Click(1.2, 0.5), 0.5, "outside the picture"),
        (Click(0.5, 0.5), 9.0, "the clip lasts 3 s"),
        (Phrase("giraffe"), 0.5, "giraffe"),
    ):
        with pytest.raises(UserError, match=said):
            refine(engine, take, clip, query, at, sound="a ball bounces")


class Found:
    """A track that is lost after two seconds."""

    times = np.arange(0, 4, 0.1, dtype=np.float32)
    present = times < 2

    def path(self):
        return tuple(Place(time=t, pan=p, distance=3.0) for t, p in ((0.0, -0.5), (1.0, 0.0), (2.0, 0.5)))

    def region_at(self, time):
        return Region(x0=0.1, y0=0.1, x1=0.2, y1=0.2)


def test_hits_sound_only_while_the_object_is_seen():
    event = Event(
        id="a", source="a dog", sound="a dog barks", end=4.0, onsets=(1.0, 3.0), strengths=(0.5, 1.0)
    )
    found = placed(event, Found(), 1.0, follow=True)
    assert found.onsets == (1.0,) and found.strengths == (0.5,) and len(found.path) == 3 and found.pan == -0.5
    assert placed(event.model_copy(update={"onsets": (3.0,), "strengths": ()}), Found(), 1.0, True) is None
    steps = (
        Step(aspect="temporal", text="Two barks.", events=("a",)),
        Step(aspect="semantic", text="A dog.", events=("a",)),
        Step(aspect="spatial", text="Indoors."),
    )
    own = Plan(seconds=4.0, events=(event,), reasoning=steps)
    assert [s.text for s in kept(own, [found])] == ["A dog.", "A dog barks: 1 times, only while it is seen."]


def test_the_same_object_is_known_by_class_or_source():
    def event(name, source, kind, seen=True):
        return Event(id=name, source=source, sound="x", sound_class=kind, end=1.0, on_screen=seen)

    plan = Plan(
        seconds=1.0,
        events=(
            event("a", "a dog", "animal/dog"),
            event("b", "a dog", "footsteps/gravel"),
            event("c", "a wolf", "animal/dog", seen=False),
            event("d", "a cat", "animal/cat"),
        ),
    )
    assert sounding(plan, [event("n", "a dog", "animal/dog")]) == ["a", "b"]


def test_the_command(clip, take, tmp_path):
    output = Output.named(tmp_path / "out")
    take.save(output, clip)

    def run(*arguments):
        return CliRunner().invoke(app, ["refine", str(output.take), "--at", "0.5", *arguments])

    assert run("--click", ".25,.5", "--sound", "a ball bounces").exit_code == 0
    assert (output.take / "layers" / "ball-1.wav").exists()
    for wrong in ((), ("--click", "1"), ("--box", "0.5,0,0.2,1"), ("--click", ".1,.1", "--phrase", "a dog")):
        assert isinstance(run(*wrong).exception, UserError)


def moving(*onsets, busy=(0.0, 6.0)):
    """Motion of 6 s with onsets (time, strength), which rests outside `busy`."""
    still = measure(np.zeros((150, 48, 64, 3), np.uint8))
    at = np.arange(len(still.level)) / still.rate
    level = np.where((at >= busy[0]) & (at < busy[1]), 1.0, 0.0).astype(np.float32)
    return replace(still, level=level, onsets=tuple(Onset(t, s, 0.5, 0.5) for t, s in onsets))


@pytest.mark.parametrize(
    ("sound_class", "motion", "wanted"),
    [
        # The body comes back after each call; a stir before one is no call.
        ("voice/grunt", moving((0.5, 0.4), (0.8, 1.0), (1.05, 0.5), (3.0, 0.8), (3.3, 0.7), (5.0, 0.1)), (0.8, 3.0)),
        # Ever weaker bounces are heard, weak noise before the first is not.
        ("impact/ball", moving((0.3, 0.1), (1.0, 1.0), (1.7, 0.5), (2.1, 0.2), (2.3, 0.12)), (1.0, 1.7, 2.1, 2.3)),
        # Between the steps the other foot is lifted; so it is before the first.
        (
            "footsteps/stone",
            moving((0.6, 0.9), (1.1, 0.8), (1.35, 0.7), (1.6, 0.5), (2.1, 0.9), (2.4, 0.5), (2.6, 0.8), busy=(0.58, 6)),
            (1.1, 1.6, 2.1, 2.6),
        ),
        ("tool/hammer", moving((1.0, 1.0), (1.2, 0.5), (2.0, 0.9), (2.9, 0.2)), (1.0, 2.0)),
        ("instrument/woodwind", moving((1.0, 1.0), (2.0, 0.9)), (1.0, 2.0)),
        # A dog barks faster than can be seen, water runs whatever moves, and nothing is known of what has no class.
        ("animal/dog", moving((1.0, 1.0), (2.0, 0.9)), (4.0,)),
        ("water/stream", moving((1.0, 1.0), (2.0, 0.9)), (4.0,)),
        ("", moving((1.0, 1.0)), (4.0,)),
        ("impact/ball", moving(), (4.0,)),
    ],
)  # fmt: skip
def test_hits_are_read_from_its_own_motion_as_fits_the_sound(sound_class, motion, wanted):
    event = Event(
        id="a", source="it", sound="it sounds", sound_class=sound_class, start=3.9, end=4.5, onsets=(4.0,)
    )
    (found,) = retimed([event], motion, 6.0)
    assert found.onsets == wanted
    assert found.start <= wanted[0] and wanted[-1] <= found.end <= 6.0
    pair = [event, event.model_copy(update={"id": "b"})]
    assert retimed(pair, motion, 6.0) == tuple(pair)  # a kit's pieces keep their turns


class Who:
    """Answers with an event of that confidence, or not at all."""

    notes = ("first",)

    def __init__(self, confidence=None, name="rules"):
        self.name, self.confidence = name, confidence

    def plan_object(self, features, region, existing, caption="", **_):
        if self.confidence is None:
            raise UserError("nothing is seen in that region")
        event = Event(id=f"{self.name}-1", source="it", sound="it", end=1.0, confidence=self.confidence)
        return Plan(seconds=1.0, events=(event,), reasoner=self.name)


@pytest.mark.parametrize(
    ("rules", "network", "sound", "answers"),
    [
        (0.9, 0.95, "", "rules"),
        (0.5, 0.8, "", "pocket"),
        (0.5, 0.6, "", "rules"),
        (None, 0.2, "", "pocket"),
        (0.5, 0.95, "it", "rules"),
        (None, 0.95, "it", ""),
        (None, None, "", ""),
    ],
)
def test_where_the_rules_are_unsure_the_network_is_asked(monkeypatch, rules, network, sound, answers):
    other = None if network is None else Who(network, "pocket").plan_object(None, None, None)
    monkeypatch.setattr(second, "_network_plan", lambda *_: other)
    if not answers:
        with pytest.raises(UserError, match="nothing is seen"):
            second.object_plan(Who(rules), None, None, None, sound, None)
        return
    plan, notes = second.object_plan(Who(rules), None, None, None, sound, None)
    assert plan.reasoner == answers and notes[0] == "first"
    assert any("pocket network" in n for n in notes) == (answers == "pocket")
    assert any("guess" in n for n in notes) == (rules is None)


def test_a_sound_that_says_when_is_taken_at_its_word():
    assert says_when("a dog barks twice", 6.0) and says_when("a door slams at 2 s", 6.0)
    assert not says_when("a rubber ball hits the floor", 6.0) and not says_when("", 6.0)


def test_what_is_lost_for_a_moment_still_sounds():
    event = Event(id="a", source="a ball", sound="a ball bounces", end=4.0, onsets=(1.9, 2.1, 2.6))
    found = placed(event, Found(), 1.0, follow=True)
    assert found.onsets == (1.9, 2.1)
