"""Edits that make sound: levels that fit, times, length; foreign sound; the command."""

import json
from dataclasses import replace

import numpy as np
import pytest

import clips
import tiny
from editing_take import PLAN, RATE, N, layer, level, mixture, plan, rendered, rms
from reasound import Clip, Reasound
from reasound.console import page
from reasound.errors import UserError
from reasound.history import History
from reasound.media import audio as files
from reasound.mixing.layers import mix as mixed
from reasound.plan import Ambience, Event
from reasound.stages.edit import edit, opened
from reasound.stages.edits import level as levels
from reasound.stages.edits import plans
from reasound.stages.edits.stretch import stretched
from reasound.stages.edits.styles import STYLES, known, styled
from reasound.stages.edits.timing import _struck_on, continuation, shifted
from reasound.synthesis.editing import window
from reasound.take import Layer, Output, Take

T = np.arange(N) / RATE
CAT = {"sound": "a cat meows", "sound_class": "animal/cat"}


@pytest.fixture(scope="module")
def engine():
    return Reasound(reasoner="rules")


@pytest.fixture(scope="module")
def take(engine):
    return rendered(engine)


@pytest.mark.parametrize("target", [-35.0, -23.0])
def test_the_gain_of_mastering_is_heard_to_a_decibel(engine, target):
    found = rendered(engine, target)
    played = engine.render(PLAN, PLAN.seconds, 0, None, "library")
    truth = [level(a.audio) - level(b.audio) for a, b in zip(found.layers, played, strict=True)]
    for one, item, gain in zip(found.layers, (*PLAN.events, *PLAN.ambience), truth, strict=True):
        assert levels.gain_of(one, item) == pytest.approx(gain, abs=1.0)


@pytest.mark.parametrize("target", [-35.0, -23.0])
@pytest.mark.parametrize("foreign", [False, True])
def test_a_new_sound_is_as_loud_as_if_it_had_been_planned(engine, target, foreign):
    """The truth is the layer that the same plan with the new event would have got."""
    found = rendered(engine, target)
    curve = level(found.layers[2].audio) - level(
        engine.render(PLAN.only(["rain"]), 6, 0, None, "library")[0].audio
    )
    made = edit(
        engine, mixture(found) if foreign else found, None, plan({"verb": "add", **CAT, "start": 2.0})
    )
    cat = plans.items(made.plan)["cat"]
    truth = engine.render(plans.added(PLAN, cat).only(["cat"]), 6, 0, None, "library")[0]
    wanted = levels.measured(truth.audio, True) + curve
    assert levels.measured(layer(made, "cat").audio, True) == pytest.approx(wanted, abs=3.0)


def test_beside_foreign_sound_without_a_plan_a_new_one_is_no_louder(engine, take):
    bare = mixture(take)
    bare = Take(
        bare.source,
        plans.changed(plans.changed(plans.changed(bare.plan, "dog"), "engine"), "rain"),
        tuple(type(x)(**{**vars(x), "events": ()}) for x in bare.layers),
        bare.audio,
        bare.mix,
        bare.settings,
    )
    made = edit(engine, bare, None, plan({"verb": "add", **CAT, "start": 2.0}))
    there, new = (levels.measured(x.audio, True) for x in made.layers)
    assert there - 12 < new < there + 1


def test_what_is_added_comes_when_it_was_asked_for(engine, take):
    made = edit(engine, take, None, plan({"verb": "add", **CAT, "start": 2.0}))
    cat = plans.items(made.plan)["cat"]
    assert isinstance(cat, Event) and cat.onsets == (2.0,) and not cat.on_screen
    heard = np.flatnonzero(
        np.abs(layer(made, "cat").audio).max(0) > 0.1 * np.abs(layer(made, "cat").audio).max()
    )
    assert 1.9 < heard[0] / RATE < 2.15
    spread = plans.items(edit(engine, take, None, plan({"verb": "add", **CAT})).plan)["cat"]
    assert len(spread.onsets) == 2 and max(spread.onsets) < 6
    under = edit(engine, take, None, plan({"verb": "add", "sound": "wind", "sound_class": "weather/wind"}))
    assert isinstance(plans.items(under.plan)["wind"], Ambience)
    twice = edit(engine, made, None, plan({"verb": "add", **CAT, "start": 4.0}))
    assert {"cat", "cat-2"} <= {x.name for x in twice.layers}


def test_a_replacement_has_the_times_the_place_and_the_level(engine, take):
    made = edit(engine, take, None, plan({"verb": "replace", "targets": ["dog"], **CAT}))
    dog, cat = PLAN.events[0], plans.items(made.plan)["cat"]
    assert (cat.onsets, cat.pan, cat.level) == (dog.onsets, dog.pan, dog.level) and "dog" not in plans.items(
        made.plan
    )
    assert "dog" not in {x.name for x in made.layers}
    was, now = (levels.measured(x.audio, True) for x in (layer(take, "dog"), layer(made, "cat")))
    assert now == pytest.approx(was, abs=3)
    part = edit(
        engine, take, None, plan({"verb": "replace", "targets": ["dog"], **CAT, "start": 2.9, "end": 4.4})
    )
    kinds = plans.items(part.plan)
    assert kinds["dog"].onsets == (1.0, 4.5) and kinds["cat"].onsets == (3.0,)


def test_hits_at_another_speed_are_rendered_at_their_new_times(engine, take):
    made = edit(engine, take, None, plan({"verb": "speed", "targets": ["dog"], "amount": 2.0}))
    assert plans.items(made.plan)["dog"].onsets == pytest.approx((1.0, 2.0, 2.75))
    assert levels.measured(layer(made, "dog").audio, True) == pytest.approx(
        levels.measured(layer(take, "dog").audio, True), abs=2
    )
    slow = edit(engine, take, None, plan({"verb": "speed", "targets": ["dog"], "amount": 0.4}))
    assert plans.items(slow.plan)["dog"].onsets == (1.0,) or "left out" in engine.notes[0]


@pytest.mark.parametrize("speed", [0.3, 0.8, 1.5, 5.0])
def test_a_stretched_tone_keeps_its_pitch(speed):
    tone = clips.sine(2.0, 440.0)
    made = stretched(tone, speed)
    assert made.shape == (2, round(2 * RATE / speed))
    inner = made[0, made.shape[1] // 4 : made.shape[1] // 2]
    spectrum = np.abs(np.fft.rfft(inner * np.hanning(len(inner)), 8 * RATE))
    assert np.argmax(spectrum) / 8 == pytest.approx(440, abs=4)


@pytest.mark.parametrize("side", ["after", "before"])
def test_the_whole_sound_gets_longer_and_the_old_part_is_the_same_bits(engine, take, side):
    made = edit(engine, take, None, plan({"verb": "extend", "amount": 2, "side": side}))
    assert made.audio.shape == (2, N + 2 * RATE) and made.plan.seconds == 8
    kept = slice(0, N) if side == "after" else slice(2 * RATE, None)
    new = slice(N, None) if side == "after" else slice(0, 2 * RATE)
    assert np.array_equal(made.audio[:, kept], take.audio)
    for one in made.layers:
        assert np.array_equal(one.audio[:, kept], layer(take, one.name).audio)
    rain = layer(made, "rain").audio
    assert abs(level(rain[:, new]) - level(layer(take, "rain").audio)) < 3
    assert not layer(made, "engine").audio[:, new].any()  # it had stopped, or not begun
    # The dog was barking and goes on at its pace of 1.75 s.
    barks = (1.0, 3.0, 4.5, 6.25) if side == "after" else (1.25, 3.0, 5.0, 6.5)
    assert plans.items(made.plan)["dog"].onsets == pytest.approx(barks)
    assert abs(level(layer(made, "dog").audio[:, new]) - level(layer(take, "dog").audio)) < 6
    assert "longer than before" in engine.notes[0]
    assert np.abs(mixed(made.layers) - made.audio).max() < 1e-4


def test_a_continued_tone_has_no_step():
    tone = clips.sine(3.0, 331.0)
    more = continuation(tone, RATE, np.random.default_rng(0))
    whole = np.concatenate([tone, more], 1)
    steps = np.abs(np.diff(whole[0]))
    assert steps[3 * RATE - 50 : 3 * RATE + 50].max() < 1.3 * steps[: 2 * RATE].max()
    assert more.shape == (2, RATE) and abs(level(more) - level(tone)) < 1.5


def test_an_event_lasts_longer_inside_the_clip(engine, take):
    made = edit(
        engine, take, None, plan({"verb": "extend", "targets": ["engine"], "amount": 1, "side": "after"})
    )
    now, was = layer(made, "engine").audio, layer(take, "engine").audio
    assert plans.items(made.plan)["engine"].end == 5.0
    assert np.array_equal(now[:, T < 3.6], was[:, T < 3.6])
    part = (T > 4.1) & (T < 4.6)
    assert level(now[:, part]) > level(was[:, (T > 2) & (T < 3)]) - 8 > level(was[:, part])


def test_hits_go_on_at_their_pace_where_there_is_room(engine, take):
    asked = {"verb": "extend", "targets": ["dog"], "amount": 1.75, "side": "before"}
    with pytest.raises(UserError, match="no room for another hit"):
        edit(engine, take, None, plan(asked))
    early = edit(engine, take, None, plan({"verb": "move", "targets": ["dog"], "amount": 1.0}, asked))
    assert plans.items(early.plan)["dog"].onsets == pytest.approx((0.25, 2.0, 4.0, 5.5))
    assert layer(early, "dog").audio[:, (T > 0.2) & (T < 0.5)].any()


def test_farther_is_softer_and_duller(engine, take):
    made = edit(engine, take, None, plan({"verb": "distance", "targets": ["engine"], "amount": 4}))
    assert plans.items(made.plan)["engine"].distance == 12
    assert level(layer(made, "engine").audio) == pytest.approx(level(layer(take, "engine").audio) - 12, abs=3)
    near = edit(engine, take, None, plan({"verb": "distance", "targets": ["engine"], "amount": 0.5}))
    assert level(layer(near, "engine").audio) == pytest.approx(
        level(layer(take, "engine").audio) + 6, abs=0.5
    )


def test_a_room_rings_on_after_a_hit(engine, take):
    asked = plan({"verb": "reverb", "targets": ["dog"], "amount": 0.6, "style": "church"})
    made = edit(engine, take, None, asked)
    after = (T > 2.4) & (T < 2.9)
    assert level(layer(made, "dog").audio[:, after]) > level(layer(take, "dog").audio[:, after]) + 10
    whole = edit(engine, take, None, plan({"verb": "reverb", "amount": 0.6, "style": "church"}))
    assert (whole.plan.acoustics.space, whole.plan.acoustics.reverb) == ("hall", 0.6)
    dry = edit(engine, whole, None, plan({"verb": "reverb", "targets": ["dog"], "amount": 0}))
    assert level(layer(dry, "dog").audio[:, after]) < level(layer(whole, "dog").audio[:, after]) - 10


@pytest.mark.parametrize("name", sorted(STYLES))
def test_every_style_changes_the_sound_and_not_its_level(name):
    sound = 0.1 * np.random.default_rng(0).standard_normal((2, 2 * RATE)).astype(np.float32)
    made = styled(sound, STYLES[name], 1)
    assert made.shape == sound.shape and np.isfinite(made).all()
    assert rms(made - sound) > 0.1 * rms(sound)
    assert abs(level(made) - level(sound)) < 8


def test_styles_do_what_they_say(take):
    sound = layer(take, "rain").audio[:, : 2 * RATE]

    def above(audio, hertz):
        power = np.abs(np.fft.rfft(audio.mean(0))) ** 2
        at = np.fft.rfftfreq(audio.shape[1], 1 / RATE)
        return float(power[at > hertz].sum() / power.sum())

    assert above(styled(sound, STYLES["telephone"], 0), 5000) < 0.02 < above(sound, 5000)
    assert above(styled(sound, STYLES["brighter"], 0), 5000) > above(sound, 5000)
    assert above(styled(sound, STYLES["darker"], 0), 5000) < above(sound, 5000)
    tone = clips.sine(2.0, 440.0)
    assert known("chipmunk") == "higher-pitched" and known("Gentle") == "softer"
    high = styled(tone, STYLES["higher-pitched"], 0)[0, RATE // 2 : RATE]
    assert np.argmax(np.abs(np.fft.rfft(high * np.hanning(len(high)), 4 * RATE))) / 4 == pytest.approx(
        440 * 2 ** (4 / 12), abs=6
    )


def test_shifts_lose_nothing_but_what_leaves():
    sound = np.arange(10, dtype=np.float32)[None].repeat(2, 0)
    assert shifted(sound, 3)[0].tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 5, 6]
    assert shifted(sound, -3)[0].tolist() == [3, 4, 5, 6, 7, 8, 9, 0, 0, 0]
    assert not shifted(sound, 20).any()


def test_a_gap_in_a_mixture_is_filled_by_the_model_and_no_louder(engine, take):
    whole = mixture(take)
    made = edit(engine, whole, None, plan({"verb": "inpaint", "start": 2, "end": 2.8}))
    outside = (T < 2) | (T >= 2.8)
    assert np.array_equal(made.audio[:, outside], whole.audio[:, outside])
    inside = (T > 2.05) & (T < 2.75)
    assert (
        level(whole.audio[:, outside]) - 25
        < level(made.audio[:, inside])
        < level(whole.audio[:, outside]) + 3
    )
    assert rms((made.audio - whole.audio)[:, inside]) > 0.1 * rms(whole.audio[:, inside])


def test_the_released_model_fills_a_gap_by_its_flow(take, tmp_path):
    path = clips.write(tmp_path / "c.mp4", seconds=6, fps=5, size=(64, 48))
    engine = Reasound(tiny.thinksound(tmp_path / "ts"), "fp32", "cpu", reasoner="rules")
    sound = Layer("soundscape", take.audio, ("dog", "engine", "rain"), 0, "model")
    settings = replace(take.settings, model=engine.model, steps=2, guidance=5.0)
    found = replace(take, layers=(sound,), settings=settings)
    made = edit(engine, found, Clip.open(path), plan({"verb": "inpaint", "start": 2, "end": 3}))
    outside = (T < 2) | (T >= 3)
    assert np.array_equal(made.audio[:, outside], take.audio[:, outside])
    assert not np.array_equal(made.audio, take.audio)
    with pytest.raises(UserError, match="sound of pictures"):
        edit(engine, found, None, plan({"verb": "inpaint", "start": 2, "end": 3}))
    with pytest.raises(UserError, match="single hits"):
        asked = {"verb": "extend", "targets": ["dog"], "amount": 2, "side": "after"}
        edit(engine, found, None, plan(asked))


# -- foreign sound and the command ---------------------------------------------------


def run(capsys, monkeypatch, *arguments):
    from reasound import edit_cli

    monkeypatch.setattr(page, "_file", None)
    edit_cli.app(list(arguments), standalone_mode=False)
    return capsys.readouterr().out


def test_a_sound_file_is_edited_without_a_picture(engine, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.write("in.wav", clips.sine(3.0, 440, level=-30)[:1], RATE)
    found, clip = opened("in.wav", engine)
    assert clip is None and found.audio.shape == (2, 3 * RATE) and found.layers[0].name == "original"
    shown = run(
        capsys, monkeypatch, "in.wav", "make it 6 dB louder from 1 to 2 s", "--reasoner", "rules", "--dry-run"
    )
    assert "6 dB louder, 1 to 2 s" in shown and not (tmp_path / "in-edit.take").exists()
    said = run(
        capsys,
        monkeypatch,
        "in.wav",
        "make it 6 dB louder",
        "--span",
        "1-2",
        "--reasoner",
        "rules",
        "--json",
        "-o",
        "b",
    )
    record = json.loads(said)
    assert record["edit"]["operations"][0]["start"] == 1.0
    back = Take.load("b.take")
    sound = files.read("b.wav")[0]
    assert np.array_equal(sound, back.audio)
    outside = (np.arange(3 * RATE) < RATE) | (np.arange(3 * RATE) >= 2 * RATE)
    assert np.array_equal(sound[:, outside], files.read("in.wav")[0].repeat(2, 0)[:, outside])
    assert level(sound[:, round(1.2 * RATE) : round(1.8 * RATE)]) == pytest.approx(
        level(sound[:, :RATE]) + 6, abs=0.1
    )


def test_a_video_gets_an_edited_sound(engine, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clips.write("in.mp4", seconds=2, audio=clips.sine(2.0, level=-30))
    run(capsys, monkeypatch, "in.mp4", "make everything 6 dB quieter", "--reasoner", "rules", "-o", "out")
    assert (tmp_path / "out.mp4").is_file() and Take.load("out.take").layers[0].gain == -6


def test_a_take_gets_its_next_one_from_the_history(engine, take, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip = Clip.open(clips.write("in.mp4", seconds=6, fps=5, size=(64, 48)))
    take.save(Output.named("out"), clip)
    shown = run(capsys, monkeypatch, "out", "mute the rain", "--reasoner", "rules")
    assert "mute rain" in shown
    with History.open("out") as past:
        assert past.head.parent == take.id == past.entries[0].id and layer(past.head, "rain").mute
    with pytest.raises(UserError, match="edited where it is"):
        run(capsys, monkeypatch, "out.take", "mute the rain", "-o", "b")


def test_bad_options_are_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments, says in (
        (("no.wav", "louder"), "no take and no file"),
        (("no.wav", "louder", "--span", "3-1"), "must be two times"),
    ):
        with pytest.raises(UserError, match=says):
            run(capsys, monkeypatch, *arguments)


def test_an_added_sound_is_struck_at_the_moments_that_were_named(engine, take):
    asked = plan(
        {"verb": "add", "sound": "a knock on wood", "sound_class": "impact/wood", "onsets": [1.5, 3.25]}
    )
    made = edit(engine, take, None, asked)
    new = next(x for x in made.layers if x.name not in {y.name for y in take.layers})
    assert plans.items(made.plan)[new.events[0]].onsets == (1.5, 3.25)
    for at in (1.5, 3.25):
        before, after = (new.audio[:, round(t * RATE) : round((t + 0.1) * RATE)] for t in (at - 0.2, at))
        assert np.square(after).sum() > 10 * np.square(before).sum()
    assert made.what == "add “a knock on wood” at 1.5 and 3.25 s"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"verb": "add", "sound": "a knock", "onsets": [1.0, 7.0]},
            "cannot add at 7 s: the clip is only 6 s long",
        ),
        (
            {"verb": "remove", "targets": ["dog"], "onsets": [1.0]},
            "'remove' has onsets, but only 'add' strikes",
        ),
    ],
)
def test_moments_that_cannot_be_kept(engine, take, changes, words):
    with pytest.raises(UserError, match=words):
        edit(engine, take, None, plan(changes))


def test_a_bouncing_ball_goes_on_dying_away(engine, take):
    ball = Event(
        id="ball",
        source="a ball",
        sound="a ball bounces",
        sound_class="impact/ball",
        end=6,
        onsets=(2.0, 3.6, 4.88, 5.904),
        strengths=(1.0, 0.8, 0.64, 0.512),
    )
    hits = _struck_on(ball, (6.0, 9.0), "after")
    gaps = np.diff([5.904, *(t for t, _ in hits)])
    assert gaps == pytest.approx([0.8192 * 0.8**k for k in range(len(hits))], abs=1e-3) and len(hits) > 3
    assert [s for _, s in hits] == pytest.approx([0.512 * 0.8 ** (k + 1) for k in range(len(hits))])
    assert _struck_on(ball.model_copy(update={"onsets": (0.5, 0.9, 1.3, 1.7)}), (6.0, 9.0), "after") == []


def test_a_hole_in_a_layer_is_filled_as_loud_as_the_rest(engine, take):
    hurt = replace(
        take,
        layers=tuple(
            replace(x, audio=x.audio * (1 - window((2.5, 4.0), N)).astype(np.float32)) for x in take.layers
        ),
    )
    made = edit(engine, hurt, None, plan({"verb": "inpaint", "start": 2.5, "end": 4.0}))
    part = slice(round(2.6 * RATE), round(3.9 * RATE))
    for name in ("dog", "rain"):
        old, new = layer(take, name).audio[:, part], layer(made, name).audio[:, part]
        assert abs(level(new) - level(old)) < 6, name
