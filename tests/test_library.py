"""The library renderer: right takes, right moments, no loops, and the same sound from the same seed."""

from __future__ import annotations

import logging
from fractions import Fraction

import numpy as np
import pytest

from reasound.data.measure import attacks, brightness, envelope, k_weighted
from reasound.evaluation.onsets import audio_onsets, onsets_with_strength
from reasound.plan import Acoustics, Ambience, Event, Place, Plan
from reasound.synthesis.attacks import again, once, struck_at
from reasound.synthesis.library import LibraryRenderer, rng_for
from reasound.synthesis.manners import habit
from reasound.synthesis.match import cuts
from reasound.synthesis.placing import HIT_LEVEL, beat, chosen
from reasound.synthesis.textures import extend
from reasound.timeline import SAMPLE_RATE, samples

ONSETS = (0.5, 1.1, 1.75, 2.2, 2.9)


@pytest.fixture(scope="module")
def renderer():
    return LibraryRenderer.load()


def event(name="hammer", sound="a hammer drives a nail", sound_class="tool/hammer", **fields):
    return Event(
        **{"id": name, "source": "it", "sound": sound, "sound_class": sound_class, "end": 4.0} | fields
    )


def plan(*events, ambience=(), seconds=4.0, **fields):
    return Plan(seconds=seconds, events=events, ambience=ambience, **fields)


def only(renderer, *events, seconds=Fraction(4), seed=1, **fields):
    (layer,) = renderer.render(plan(*events, seconds=float(seconds), **fields), seconds, seed)
    return layer


def rms(audio):
    return float(np.sqrt(np.mean(np.square(audio, dtype=float))))


@pytest.mark.parametrize(
    ("sound_class", "sound"),
    [
        ("tool/hammer", "a hammer drives a nail"),
        ("footsteps/wood", "footsteps on floorboards"),
        ("impact/metal", "a metallic clang"),
        ("instrument/kick_drum", "a kick drum hit"),
        ("weapon/gunshot", "a single gunshot"),
    ],
)
def test_attacks_sound_on_their_onsets(renderer, sound_class, sound):
    layer = only(renderer, event(sound=sound, sound_class=sound_class, onsets=ONSETS))
    heard = attacks(envelope(layer.audio, SAMPLE_RATE), 0.1) / 1000
    for onset in ONSETS:
        assert np.abs(heard - onset).min() <= 0.002


def test_a_layer_depends_on_nothing_but_its_own_event(renderer):
    one, other = event(onsets=ONSETS), event("dog", "a dog barks", "animal/dog", start=0.5, end=3.5)
    low = Ambience(id="birds", sound="birds sing in a forest", sound_class="ambience/forest_birds")
    first = renderer.render(plan(one, other, ambience=(low,)), Fraction(4), 7)
    again = renderer.render(plan(one, other, ambience=(low,)), Fraction(4), 7)
    assert [layer.name for layer in first] == ["hammer", "dog", "birds"]
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a.audio, b.audio) and a.recordings == b.recordings
    moved = one.model_copy(update={"onsets": (1.0, 2.0), "level": -6.0})
    changed = renderer.render(plan(moved, other, ambience=(low,)), Fraction(4), 7)
    assert not np.array_equal(changed[0].audio, first[0].audio)
    assert np.array_equal(changed[1].audio, first[1].audio)
    assert np.array_equal(changed[2].audio, first[2].audio)
    assert not np.array_equal(only(renderer, one, seed=8).audio, first[0].audio)


@pytest.mark.parametrize("seconds", [Fraction(1, 10), Fraction(1001, 200), Fraction(10)])
def test_layers_are_as_long_as_the_clip(renderer, seconds):
    low = Ambience(id="wind", sound="wind blows", sound_class="weather/wind")
    item = event(end=float(seconds), onsets=(0.05,))
    for layer in renderer.render(plan(item, ambience=(low,), seconds=float(seconds)), seconds, 0):
        assert layer.audio.shape == (2, samples(seconds)) and layer.audio.dtype == np.float32
        assert np.isfinite(layer.audio).all() and layer.renderer == "library"


def test_takes_of_one_thing_take_turns(renderer):
    rng = rng_for(0, "steps")
    takes = renderer.library.instrument("footsteps on gravel", "footsteps/gravel", "", rng, 8)
    assert len({r.series for r in takes}) == 1
    way = habit("footsteps/gravel")
    pool = cuts(takes, way.manner)
    assert len(pool) >= 3
    moments = chosen(renderer.library, pool, [0.5 * i for i in range(30)], [1.0] * 30, way, 15.0, rng)
    assert all(a.cut is not b.cut for a, b in zip(moments, moments[1:], strict=False))
    used = [sum(m.cut is cut for m in moments) for cut in pool]
    assert min(sorted(used)[-3:]) >= 30 / len(pool) / 2


def test_a_soft_hit_is_quieter_and_duller(renderer):
    # A single onset: the same take is drawn for both.
    hard, soft = [only(renderer, event(onsets=(0.5,), strengths=(strength,))) for strength in (1.0, 0.3)]
    assert hard.recordings == soft.recordings
    assert 6 < 20 * np.log10(rms(hard.audio) / rms(soft.audio)) < 25
    assert brightness(soft.audio, SAMPLE_RATE) < 0.9 * brightness(hard.audio, SAMPLE_RATE)


def test_a_hit_has_its_level_whatever_the_recording_had(renderer):
    audio = only(renderer, event(sound="a deep thud", sound_class="impact/dirt", onsets=(1.0,))).audio
    weighted = k_weighted(audio, SAMPLE_RATE) ** 2
    loudest = np.convolve(weighted.mean(0), np.ones(4410) / 4410, "valid").max()
    assert 10 * np.log10(loudest) == pytest.approx(HIT_LEVEL, abs=3)
    quieter = only(
        renderer, event(sound="a deep thud", sound_class="impact/dirt", onsets=(1.0,), level=-12.0)
    ).audio
    assert 20 * np.log10(rms(audio) / rms(quieter)) == pytest.approx(12, abs=0.01)


def test_a_bark_ends_when_the_next_one_begins(renderer):
    way = habit("animal/dog")
    pool = cuts(
        renderer.library.instrument("a dog barks", "animal/dog", "", rng_for(0, "dog"), 4), way.manner
    )
    moments = chosen(renderer.library, pool, [1.0, 1.15, 3.0], [1.0] * 3, way, 4.0, rng_for(0, "dog"))
    assert moments[0].room == pytest.approx(0.13) and moments[1].room == pytest.approx(1.83)


def strikes(times, length=0.05):
    """Decaying noise at each time, one second, and silence between."""
    sound = np.zeros((1, SAMPLE_RATE), np.float32)
    size = round(8 * length * SAMPLE_RATE)
    burst = np.random.default_rng(0).standard_normal(size) * np.exp(-np.arange(size) / (length * SAMPLE_RATE))
    for time, level in times:
        part = sound[0, round(time * SAMPLE_RATE) :][:size]
        part += (0.1 * level * burst[: len(part)]).astype(np.float32)
    return sound


def test_a_second_attack_is_turned_down_until_it_is_none():
    sound, onset = strikes([(0.1, 1.0), (0.35, 0.3), (0.6, 0.2)]), round(0.1 * SAMPLE_RATE)
    assert len(audio_onsets(sound, SAMPLE_RATE)) == 3 and again(sound, onset) > 6
    heard = sound * once(sound, onset)
    # What comes after is quieter, not gone; and the attack itself is as it was.
    late, early = slice(round(0.33 * SAMPLE_RATE), None), slice(0, round(0.2 * SAMPLE_RATE))
    assert -16 < 20 * np.log10(rms(heard[:, late]) / rms(sound[:, late])) < -3
    assert np.array_equal(heard[:, early], sound[:, early])


def test_two_weak_attacks_are_none_any_more():
    sound, onset = strikes([(0.1, 1.0), (0.35, 0.06), (0.6, 0.004)]), round(0.1 * SAMPLE_RATE)
    assert len(audio_onsets(sound, SAMPLE_RATE)) > 1
    heard = audio_onsets(sound * once(sound, onset), SAMPLE_RATE)
    assert len(heard) == 1 and heard[0] == pytest.approx(0.1, abs=0.006)


def test_what_only_decays_is_left_alone():
    sound, onset = strikes([(0.1, 1.0)], 0.1), round(0.1 * SAMPLE_RATE)
    assert again(sound, onset) < 4 and (once(sound, onset) == 1).all()


@pytest.mark.parametrize(
    ("sound", "name"),
    [
        ("a cow moos", "animal/cow"),
        ("glass breaks", "break/glass"),
        ("footsteps in water", "footsteps/water"),
    ],
)
def test_what_is_asked_for_once_is_heard_once_and_then(renderer, sound, name):
    found = audio_onsets(only(renderer, event("it", sound, name, onsets=(1.0,))).audio, SAMPLE_RATE)
    assert len(found) == 1 and found[0] == pytest.approx(1.0, abs=0.05)


def test_a_burst_stays_whole(renderer):
    way = habit("voice/laugh")
    assert way.burst and not habit("animal/dog").burst
    takes = renderer.library.instrument("a man laughs", "voice/laugh", "", rng_for(0, "laugh"), 1)
    pool = cuts(takes, way.manner, single=True)
    (moment,) = chosen(renderer.library, pool, [1.0], [1.0], way, 4.0, rng_for(0, "l"))
    assert not moment.single


def test_calls_stay_in_their_span_and_leave_pauses(renderer):
    audio = only(
        renderer, event("cow", "a cow moos", "animal/cow", start=2.0, end=11.0), seconds=Fraction(12)
    ).audio
    level = np.array([rms(audio[:, i : i + 4410]) for i in range(0, audio.shape[1], 4410)])
    assert level[:19].max() < 1e-3 * level.max() and level[115:].max() < 0.05 * level.max()
    assert (level[20:110] > 0.1 * level.max()).any() and (level[20:110] < 0.02 * level.max()).any()


def test_steps_without_onsets_keep_a_pace():
    way = habit("footsteps/gravel")
    times = beat(way, 0.0, 9.0, rng_for(0, "w"))
    gaps = np.diff(times)
    assert len(times) > 12 and np.std(gaps) < 0.06 * np.mean(gaps)


def loop_strength(audio, lag):
    """Correlation of the 10 ms level curve with itself `lag` samples later; 1 is a perfect loop."""
    power = audio.mean(0)[: audio.shape[1] // 441 * 441].reshape(-1, 441)
    level = np.log10(np.mean(power**2, 1) + 1e-9)
    level = level - np.convolve(level, np.ones(301) / 301, "same")
    best = 0.0
    for shift in range(round(lag / 441) - 3, round(lag / 441) + 4):
        a, b = level[:-shift], level[shift:]
        best = max(best, float(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b))))
    return best


def crackle(seconds):
    """A noise bed with sparse clicks: where it repeats, the repetition is plain."""
    rng = np.random.default_rng(3)
    n = round(seconds * SAMPLE_RATE)
    sound = 0.02 * rng.standard_normal(n)
    for at in rng.integers(0, n - 2000, 12):
        sound[at : at + 2000] += (
            rng.uniform(0.1, 0.5) * rng.standard_normal(2000) * np.exp(-np.arange(2000) / 300)
        )
    return sound.astype(np.float32)[None]


def test_a_texture_goes_on_without_a_loop():
    source = crackle(3.0)
    n = 30 * SAMPLE_RATE
    assert loop_strength(np.tile(source, (1, 10)), source.shape[1]) > 0.7
    long = extend([source], n, np.random.default_rng(0))
    assert long.shape == (1, n)
    assert max(loop_strength(long, source.shape[1] + d) for d in (-8820, 0, 8820)) < 0.35


def test_joins_do_not_jump():
    """Steady noise and a steady tone stay steady: no step above 3 dB between neighbouring tenths of a second."""
    rng = np.random.default_rng(0)
    t = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    hum = sum(np.sin(2 * np.pi * 55 * k * t) / k for k in range(1, 9)).astype(np.float32)[None]
    noise = rng.standard_normal((1, 2 * SAMPLE_RATE)).astype(np.float32)
    for source in (hum, noise):
        long = extend([source], 20 * SAMPLE_RATE, rng)
        level = np.array([rms(long[:, i : i + 4410]) for i in range(0, long.shape[1] - 4410, 4410)])
        assert np.abs(20 * np.log10(level[1:] / level[:-1])).max() < 3.0


def test_a_tone_is_joined_in_phase():
    """A steady 110 Hz tone stays one line: what is not near 110 Hz is 30 dB down."""
    t = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * 110 * t).astype(np.float32)[None]
    spectrum = np.abs(np.fft.rfft(extend([tone], 15 * SAMPLE_RATE, np.random.default_rng(1))[0])) ** 2
    frequency = np.fft.rfftfreq(15 * SAMPLE_RATE, 1 / SAMPLE_RATE)
    near = np.abs(frequency - 110) < 6
    assert spectrum[near].sum() > 1000 * spectrum[~near].sum()


def test_a_long_source_is_left_as_it_was_recorded():
    source = np.random.default_rng(0).standard_normal((2, 5 * SAMPLE_RATE)).astype(np.float32)
    part = extend([source], SAMPLE_RATE, np.random.default_rng(0))
    start = int(np.argmax(source[0] == part[0, 0]))
    assert np.array_equal(part, source[:, start : start + SAMPLE_RATE])


def test_ambience_is_wide_and_low(renderer):
    low = Ambience(id="rain", sound="rain falls", sound_class="weather/rain")
    (layer,) = renderer.render(plan(ambience=(low,), seconds=8.0), Fraction(8), 0)
    left, right = layer.audio
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.8
    loud = only(renderer, event("fire", "a campfire crackles", "fire/crackle", end=8.0), seconds=Fraction(8))
    assert rms(layer.audio) < 0.35 * rms(loud.audio)


def test_pan_distance_and_path_are_heard(renderer):
    def sides(**fields):
        left, right = only(renderer, event(onsets=(0.5, 3.0), **fields)).audio
        half = len(left) // 2
        return [
            20 * np.log10(rms(right[part]) / rms(left[part])) for part in (slice(half), slice(half, None))
        ]

    assert sides(pan=-0.7)[0] < -6 and sides(pan=0.7)[0] > 6 and abs(sides()[0]) < 1
    start, end = sides(path=(Place(time=0, pan=-0.8), Place(time=4, pan=0.8)))
    assert start < -3 and end > 3
    near, far = [rms(only(renderer, event(onsets=ONSETS, distance=d)).audio) for d in (2.0, 16.0)]
    assert near > 4 * far


def test_a_hall_rings_on(renderer):
    item = event(onsets=(1.0,))
    dry, wet = [
        only(renderer, item, acoustics=Acoustics(space=space, reverb=reverb)).audio
        for space, reverb in (("outdoors", 0.0), ("hall", 0.4))
    ]
    late = slice(2 * SAMPLE_RATE, None)
    assert rms(wet[:, late]) > 100 * max(rms(dry[:, late]), 1e-9)


def test_find_ranks_by_class_and_words(renderer):
    found = renderer.find("a horse neighs", "animal/horse", k=5)
    assert len(found) == 5 and {m.recording.sound_class for m in found} == {"animal/horse"}
    assert [m.score for m in found] == sorted((m.score for m in found), reverse=True)
    by_words = renderer.find("swords clash", k=3)
    assert {m.recording.sound_class for m in by_words} == {"weapon/sword_clash"}
    with pytest.raises(ValueError, match="say what to look for"):
        renderer.find("")


def test_words_alone_choose_a_sound_and_guesses_are_said(renderer, caplog):
    layer = only(renderer, event("x", "waves break on the shore", "", start=0.0))
    classes = {r.sound_class for r in renderer.library.recordings if r.id in layer.recordings}
    assert classes == {"water/waves"}
    with caplog.at_level(logging.WARNING):
        only(renderer, event("x", "a quantum tax lawyer", "", onsets=(1.0,)))
    assert "nearest" in caplog.text


def test_a_class_that_the_library_lacks_gives_way_to_the_words(renderer):
    layer = only(renderer, event("x", "a dog barks", "animal/hound", onsets=(1.0,)))
    assert {r.sound_class for r in renderer.library.recordings if r.id in layer.recordings} == {"animal/dog"}


def test_long_clips(renderer):
    item = event("fire", "a campfire crackles", "fire/crackle", end=61.0)
    audio = only(renderer, item, seconds=Fraction(61)).audio
    level = np.array(
        [rms(audio[:, i : i + SAMPLE_RATE // 2]) for i in range(0, audio.shape[1], SAMPLE_RATE // 2)]
    )
    assert level[:-1].min() > 0.2 * np.median(level)


def test_thunder_in_the_background_comes_now_and_then(renderer):
    low = Ambience(id="storm", sound="thunder rumbles", sound_class="weather/thunder", level=-6)
    (layer,) = renderer.render(plan(ambience=(low,), seconds=60.0), Fraction(60), 0)
    level = np.array([rms(layer.audio[:, i : i + 22050]) for i in range(0, layer.audio.shape[1], 22050)])
    assert level.min() < 0.05 * level.max()


def test_nothing_to_play_is_no_layer(renderer):
    assert renderer.render(plan(), Fraction(4), 0) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("water is poured into a glass", "water/pour"),
        ("two dogs are barking", "animal/dog"),
        ("somebody hammers a nail into a plank", "tool/hammer"),
    ],
)
def test_words_find_their_class(renderer, text, name):
    assert renderer.library.known_class(text, "") == name
    assert renderer.library.known_class(text, "animal/frog") == "animal/frog"


def test_what_is_struck_between_the_moments_that_were_asked_for_is_turned_down():
    rng = np.random.default_rng(0)
    audio = 1e-4 * rng.standard_normal((2, 3 * SAMPLE_RATE)).astype(np.float32)
    decay = np.exp(-np.arange(8_000) / 1_500)
    for time in (0.3, 0.8, 1.3, 1.8, 2.3):
        at = round(time * SAMPLE_RATE)
        audio[:, at : at + 8_000] += 0.3 * rng.standard_normal((2, 8_000)) * decay
    asked = [0.8, 1.8]
    gain = struck_at(audio, [round(t * SAMPLE_RATE) for t in asked])
    assert gain.shape == (3 * SAMPLE_RATE,) and 0 < gain.min() and gain.max() <= 1
    before, strength = onsets_with_strength(audio, SAMPLE_RATE)
    after, softer = onsets_with_strength(audio * gain, SAMPLE_RATE)
    for time in (0.3, 0.8, 1.3, 1.8, 2.3):
        loud = strength[np.abs(before - time) < 0.03].max()
        left = softer[np.abs(after - time) < 0.03].max(initial=0.0)
        assert (left > loud - 3) if time in asked else (left < loud - 8), time
    part = slice(round(0.79 * SAMPLE_RATE), round(0.9 * SAMPLE_RATE))
    assert np.all(gain[part] > 0.99), "the hits themselves are untouched"
