"""Long clips: windows, their plans as one, sound that goes on over joins, blocks that are as good as the whole."""

import io
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import soundfile

import clips
from reasound import Clip, Reasound, foley
from reasound.errors import UserError
from reasound.media import audio as audio_files
from reasound.media.audio import Track
from reasound.mixing import blocks, layers
from reasound.mixing.loudness import limiter_blocks, limiter_gain
from reasound.plan import Ambience, Event, Place, Plan, Step
from reasound.stages import long
from reasound.stages.foley import again, usual_loudness
from reasound.stages.long import beds_as_ambience, clear, long_form, work_of
from reasound.stages.long_plan import Window, join_of, merged
from reasound.stages.long_sounds import Sounds
from reasound.take import Layer, Output, Settings, Take
from reasound.timeline import SAMPLE_RATE, samples


@pytest.fixture(scope="module")
def engine():
    return Reasound()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return Clip.open(clips.bouncing_ball(tmp_path_factory.mktemp("clips") / "ball.mp4", seconds=9.0).path)


SETTINGS = Settings("1", "pocket", "library", 3, 4, 3.0)


def made(engine, clip, plan=None, work=None):
    return long_form(
        engine, clip, SETTINGS, plan=plan, loudness=usual_loudness, peak=-1.0, work=work, window=3.0
    )


def noisy(seconds, seed=0):
    """Soft noise with clicks, some of them beside the ends of blocks."""
    rng, n = np.random.default_rng(seed), round(seconds * SAMPLE_RATE)
    sound = 0.02 * rng.standard_normal((2, n))
    for time in (3, 9.9995, 10.0005, seconds - 0.1):
        at = round(time * SAMPLE_RATE)
        sound[:, at : at + 300] += 0.8 * rng.standard_normal((2, 300))
    return sound.astype(np.float32)


def test_the_limiter_in_blocks_is_the_limiter():
    magnitude = np.abs(noisy(11.0)[0])
    whole = limiter_gain(1.5 * magnitude, 0.5)
    parts = limiter_blocks(lambda a, b: magnitude[a:b], len(magnitude), 1.5, 0.5, 10_007)
    assert whole.min() < 0.5
    np.testing.assert_allclose(np.concatenate([gain for _, gain in parts]), whole, atol=1e-6)


def test_the_mix_in_blocks_is_the_mix(tmp_path):
    sounds = [noisy(12.3, seed) for seed in (0, 1)]
    wanted = layers.master([Layer(f"{i}", a, (), 0, "library") for i, a in enumerate(sounds)], -20.0, -2.0)
    n = sounds[0].shape[1]
    *tracks, mix = (Track.make(tmp_path / name, 2, n) for name in ("0", "1", "mix"))
    for track, sound in zip(tracks, sounds, strict=True):
        track.write(0, sound)
    loudness, peak = blocks.master(tracks, mix, tmp_path, -20.0, -2.0)
    assert wanted.curve.min() < 0.5 * wanted.curve.max()  # the limiter works
    np.testing.assert_allclose(mix.array(), wanted.audio, atol=1e-6)
    np.testing.assert_allclose(tracks[1].array(), wanted.layers[1].audio, atol=1e-6)
    assert loudness == pytest.approx(wanted.loudness, abs=1e-4)
    assert peak == pytest.approx(wanted.true_peak, abs=1e-4)


def test_silence_in_blocks_stays_silence(tmp_path):
    layer, mix = (Track.make(tmp_path / name, 2, 100_000) for name in ("layer", "mix"))
    assert blocks.master([layer], mix, tmp_path) == (None, None)
    assert not mix.array().any()


def test_a_file_that_is_written_in_pieces_has_the_same_bytes(tmp_path, monkeypatch):
    sound = 0.3 * noisy(10.5)[:, :-1]
    memory = io.BytesIO()
    soundfile.write(memory, sound.T, SAMPLE_RATE, "PCM_24", format="WAV")
    audio_files.write(tmp_path / "a.wav", sound)
    assert (tmp_path / "a.wav").read_bytes() == memory.getvalue()


def moving_but(first, last):
    """A ball that goes to and fro, and rests between two moments."""

    def picture(time, width, height):
        now = time if time < first else max(first, time - (last - first))
        return clips.ball(3.0, width, height, 0.5 + 0.4 * np.sin(4 * now))

    return picture


def test_a_window_ends_at_a_cut_or_where_least_moves(tmp_path):
    def cutting(time, width, height):
        picture = clips.ball(time % 2, width, height)
        return 255 - picture[:, ::-1] if 2.4 <= time < 4.8 else picture

    calm = Clip.open(clips.write(tmp_path / "calm.mp4", moving_but(5.8, 6.6), seconds=8))
    assert 2.8 <= join_of(calm.cut(3, 8)) <= 3.6
    shots = Clip.open(clips.write(tmp_path / "cuts.mp4", cutting, seconds=8))
    assert join_of(shots) == pytest.approx(4.8, abs=0.01)
    assert join_of(shots.cut(1, 4)) == pytest.approx(1.4, abs=0.01)


def windows():
    wind = Ambience(id="wind-1", sound="wind", sound_class="weather/wind", level=-20)
    birds = Ambience(id="birds-1", sound="birds sing", sound_class="ambience/forest_birds", level=-12)
    car = Event(id="car-1", source="a car", sound="a car drives", sound_class="vehicle/car", end=10, pan=-0.5)
    dog = Event(
        id="dog-1",
        source="a dog",
        sound="a dog barks",
        sound_class="animal/dog",
        start=9,
        end=10,
        onsets=(9.9,),
    )
    step = Step(aspect="semantic", text="A dog is seen.", events=("dog-1",))
    none = Step(aspect="aesthetic", text="No music.")
    first = Plan(
        seconds=10,
        events=(car, dog),
        ambience=(wind, birds),
        reasoning=(step, none),
        avoid=("music", "speech"),
    )
    gone = car.model_copy(update={"end": 4.0, "pan": 0.5})
    second = Plan(
        seconds=10,
        events=(dog, gone),
        ambience=(wind.model_copy(update={"level": -26.0}),),
        reasoning=(none,),
        avoid=("speech",),
    )
    return [
        Window(Fraction(0), Fraction(10), first),
        Window(Fraction(10), Fraction(20), second),
    ]


def test_plans_of_windows_become_one():
    plan = merged(windows(), 20.0)
    by_id = {event.id: event for event in plan.events}
    assert set(by_id) == {"car-1", "birds-1", "dog-1", "dog-2"}
    assert (by_id["car-1"].start, by_id["car-1"].end) == (0, 14)
    assert by_id["car-1"].path[0] == Place(time=1.0, pan=-0.5) and by_id["car-1"].path[-1].pan == 0.5
    assert by_id["dog-2"].onsets == (19.9,) and by_id["dog-1"].onsets == (9.9,)
    assert (by_id["birds-1"].start, by_id["birds-1"].end, by_id["birds-1"].level) == (0, 10, -12)
    (under,) = plan.ambience
    assert under.sound_class == "weather/wind" and under.level == -23
    assert plan.avoid == ("speech",)
    assert [(s.text, s.events) for s in plan.reasoning] == [
        ("0:00-0:10: A dog is seen.", ("dog-1",)),
        ("No music.", ()),
    ]


def test_a_background_that_changes_is_no_event_for_the_loudness():
    quiet = [replace(w, plan=w.plan.only([a.id for a in w.plan.ambience])) for w in windows()]
    plan = merged(quiet, 20.0)
    assert [e.id for e in plan.events] == ["birds-1"]
    assert usual_loudness(beds_as_ambience(plan)) == -23 - 12


def pieces(engine, plan, seconds, window, folder):
    """All pieces of a plan, added up."""
    sounds = Sounds(engine, plan, Fraction(seconds), 1, "library", 4, 3.0, window, folder)
    total = np.zeros((2, samples(seconds)), np.float32)
    for k in range(sounds.parts):
        for piece in sounds.part(k):
            total[:, piece.at : piece.at + piece.audio.shape[1]] += piece.audio
    return total


def test_an_event_is_never_cut_at_a_join(engine, tmp_path):
    bell = Event(
        id="bell",
        source="a bell",
        sound="a large bell",
        sound_class="bell/large",
        start=2.5,
        end=3.2,
        onsets=(2.9,),
    )
    rain = Event(
        id="rain", source="rain", sound="rain", sound_class="weather/rain", start=1.5, end=7.0, pan=0.4
    )
    plan = Plan(seconds=9, events=(bell, rain), acoustics={"space": "hall", "reverb": 0.3})
    whole = sum(layer.audio for layer in engine.render(plan, Fraction(9), 1, None, "library"))
    found = pieces(engine, plan, 9, 3.0, tmp_path)
    assert np.abs(found[:, 3 * SAMPLE_RATE :]).max() > 0.01
    np.testing.assert_allclose(found, whole, atol=2e-4)


@pytest.mark.parametrize("kind", ["ambience", "event"])
def test_what_lasts_goes_on_over_the_joins(engine, tmp_path, kind):
    rain = {"id": "rain", "sound": "steady rain falls", "sound_class": "weather/rain", "level": 0.0}
    items = {"ambience": (Ambience(**rain),)}
    if kind == "event":
        items = {"events": (Event(**rain, source="rain", end=40.0),)}
    sound = pieces(engine, Plan(seconds=40, **items), 40, 4.0, tmp_path)
    power = (sound[:, : 160 * SAMPLE_RATE // 4].reshape(2, 160, -1) ** 2).mean((0, 2))
    level = 10 * np.log10(power)
    assert np.abs(level - np.median(level)).max() < 5  # no gap, no doubling
    # and no loop: no stretch comes again
    mono = sound.mean(0)
    one, spectrum = mono[: 4 * SAMPLE_RATE], np.fft.rfft(mono, 2 * len(mono))
    match = np.fft.irfft(spectrum * np.conj(np.fft.rfft(one, 2 * len(mono))))[: len(mono) - len(one)]
    assert np.abs(match[SAMPLE_RATE:]).max() < 0.8 * match[0]


def test_what_keeps_happening_is_the_same_thing_throughout(engine, tmp_path):
    walk = Event(
        id="walk", source="somebody", sound="footsteps on stone", sound_class="footsteps/stone", end=30.0
    )
    sound = pieces(engine, Plan(seconds=30, events=(walk,)), 30, 4.0, tmp_path)
    power = (sound.reshape(2, 15, -1) ** 2).mean((0, 2))
    assert power.min() > 0.05 * np.median(power)


def files_of(take, clip, folder):
    take.write(folder, clip)
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(engine, clip, tmp_path, monkeypatch):
    wanted = files_of(made(engine, clip), clip, tmp_path / "wanted")
    work, watched, rendered = tmp_path / "work", [], []
    perceive, part = engine.perceive, Sounds.part

    def watching(clip, *rest):
        watched.append(clip.start)
        if len(watched) == 2:
            raise KeyboardInterrupt
        return perceive(clip, *rest)

    def rendering(self, k):
        rendered.append(k)
        for number, piece in enumerate(part(self, k)):
            yield piece
            if len(rendered) == 2 and number == 0:
                raise KeyboardInterrupt

    monkeypatch.setattr(engine, "perceive", watching)
    monkeypatch.setattr(Sounds, "part", rendering)
    with pytest.raises(KeyboardInterrupt):
        made(engine, clip, work=work)
    with pytest.raises(KeyboardInterrupt):
        made(engine, clip, work=work)
    monkeypatch.setattr(long, "_mixed", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(ValueError, match="no space left"):
        made(engine, clip, work=work)
    monkeypatch.undo()
    take = made(engine, clip, work=work)
    assert len(set(watched)) == len(watched) - 1 and rendered.count(0) == 1  # nothing is done twice
    assert files_of(take, clip, tmp_path / "found") == wanted
    assert made(engine, clip, plan=take.plan).audio.tobytes() == take.audio.tobytes()
    clear(work)
    assert not work.exists() and np.isfinite(take.audio).all()


def test_a_folder_that_is_not_ours_is_left_alone(engine, clip, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="in the way"):
        made(engine, clip, work=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_a_long_clip_goes_the_long_way_and_can_be_made_again(engine, clip, tmp_path, monkeypatch):
    monkeypatch.setattr("reasound.stages.foley.LONG", 5)
    out = Output.named(tmp_path / "out")
    take = foley(engine, clip, renderer="library", work=work_of(out.take))
    take.save(out, clip)
    clear(work_of(out.take))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.mp4", "out.take"]
    back = Take.load(out.take)
    assert back.id == take.id
    np.testing.assert_array_equal(again(engine, back, clip).audio, take.audio)
    np.testing.assert_allclose(sum(layer.audio for layer in take.layers), take.audio, atol=1e-6)
    assert take.mix.loudness == pytest.approx(take.mix.target_loudness, abs=0.1) or take.mix.true_peak > -1.2
