"""Edits: what is kept is the recording itself, and the measures see a target that is still there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from reasound.data.scenes.truth import Task
from reasound.evaluation.edits import added, levels, of_target, si_sdr, told
from reasound.plan import Ambience, Event, Plan
from reasound.synthesis.codec import Codec, CodecConfig
from reasound.synthesis.dit import DiT, pocket
from reasound.synthesis.editing import Edit, Editor, filled, fitted, laid_over, mask, sounding, split, window
from reasound.synthesis.model import AudioModel, ModelRenderer
from reasound.take import Layer
from test_conditions import Words

RATE = 44_100
N = 2 * RATE
T = np.arange(N) / RATE


def tone(frequency, first=0.0, last=2.0, left=0.2, right=0.2):
    wave = np.sin(2 * np.pi * frequency * T) * ((T >= first) & (T < last))
    return np.stack([left * wave, right * wave]).astype(np.float32)


def noise(seed, level=0.1):
    return level * np.random.default_rng(seed).standard_normal((2, N)).astype(np.float32)


def decibels(ratio):
    return 20 * np.log10(ratio)


def energy(audio):
    return float(np.sqrt(np.mean(np.square(audio, dtype=float))))


def test_two_tones_are_told_apart_and_sum_to_the_recording():
    low, high = tone(300), tone(3000, left=0.05)
    taken, left = split(low + high, high, low)
    inner = slice(4096, N - 4096)
    assert si_sdr(taken[:, inner], high[:, inner]) > 30 and si_sdr(left[:, inner], low[:, inner]) > 30
    assert np.abs(taken + left - (low + high)).max() < 1e-7


def test_estimates_may_be_louder_or_softer_than_the_truth():
    target, rest = noise(1) * np.float32(T > 1), noise(2)
    right, _ = split(target + rest, target, rest)
    wrong, _ = split(target + rest, 2 * target, 0.5 * rest)
    assert energy(right - wrong) < 0.1 * energy(right)


def test_levels_of_estimates_are_fitted_band_by_band():
    rng = np.random.default_rng(0)
    a, b = (torch.from_numpy(rng.exponential(1.0, (2, 1025, 200)).astype(np.float32)) for _ in range(2))
    a[..., :100] *= 0.01  # the two differ in time, so that their levels can be told
    b[..., 100:] *= 0.01
    to_a, to_b = fitted(2.0 * a + 0.5 * b, a, b)
    assert (to_a / a).mean() == pytest.approx(2.0, rel=0.05)
    assert (to_b / b).mean() == pytest.approx(0.5, rel=0.05)
    bounded, _ = fitted(1000.0 * a, a, b)
    assert (bounded / a).max() <= 10.001


def test_a_mask_is_the_share_of_the_magnitudes_and_nothing_where_the_target_is_not():
    target, rest = (torch.tensor(x).view(1, 1, -1) for x in ([9.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]))
    assert mask(target, rest).flatten().tolist() == pytest.approx([0.75, 0.5, 0.0, 0.0])


def test_where_the_target_is_silent_the_recording_stays_bit_for_bit():
    hit, rain = tone(800, 0.8, 1.0), noise(1)
    mixture = hit + rain
    taken, left = split(mixture, hit, noise(2))
    quiet = (T < 0.8 - 0.05) | (T > 1.0 + 0.05)
    assert np.array_equal(left[:, quiet], mixture[:, quiet]) and not taken[:, quiet].any()
    assert levels(left, hit, rain)[0] < -12 and abs(levels(left, hit, rain)[1]) < 1
    nothing, all_of_it = split(mixture, np.zeros_like(hit), rain)
    assert not nothing.any() and np.array_equal(all_of_it, mixture)


def test_one_side_can_be_taken():
    left, right = noise(1) * [[1], [0]], noise(2) * [[0], [1]]
    taken, rest = split((left + right).astype(np.float32), left.astype(np.float32), right.astype(np.float32))
    assert si_sdr(taken, left) > 40 and si_sdr(rest, right) > 40


def test_estimates_of_another_length_are_refused():
    with pytest.raises(ValueError, match="own length"):
        split(noise(1), noise(2)[:, :-1], noise(3))


def test_what_is_filled_in_fades_inside_the_span():
    given, made = noise(1), noise(2)
    found = filled(given, made, (0.5, 1.5))
    first, last, fade = RATE // 2, 3 * RATE // 2, 882
    assert np.array_equal(found[:, : first + 1], given[:, : first + 1])
    assert np.array_equal(found[:, last:], given[:, last:])
    inside = slice(first + fade, last - fade)
    assert np.array_equal(found[:, inside], made[:, inside])
    same = filled(given, given, (0.5, 1.5))
    assert np.allclose(same, given, atol=1e-7)  # no dip and no bump where both are one sound


def test_an_end_of_the_sound_is_no_border():
    share = window((0.0, 0.5), N)
    assert share[0] == 1 and share[RATE // 2 - 1] == 0 and share[RATE // 2 :].max() == 0
    assert window((1.0, 2.0), N)[-1] == 1
    assert not window((1.0, 1.0), N).any()


def test_a_layer_is_added_to_what_is_there():
    given, layer = noise(1), noise(2)
    found = laid_over(given, layer, (0.5, 1.0))
    at = round(0.75 * RATE)
    assert np.array_equal(found[:, at], given[:, at] + layer[:, at])
    outside = (T < 0.5) | (T >= 1.0)
    assert np.array_equal(found[:, outside], given[:, outside])


PLAN = Plan(
    seconds=2.0,
    events=(
        Event(id="knock", source="a fist", sound="knocks", end=2.0, onsets=(0.5,)),
        Event(id="saw", source="a saw", sound="a saw", start=0.8, end=1.2),
    ),
    ambience=(Ambience(id="rain", sound="rain"),),
)


def test_a_sound_can_only_be_where_the_plan_has_it():
    assert sounding(PLAN, "rain", N).all()
    knock, saw = sounding(PLAN, "knock", N), sounding(PLAN, "saw", N)
    assert not knock[: round(0.46 * RATE)].any() and knock[round(0.48 * RATE) :].all()
    assert saw[RATE] == 1 and saw[: round(0.76 * RATE)].max() == 0 and saw[round(1.24 * RATE) :].max() == 0
    with pytest.raises(ValueError, match="no event 'dog'"):
        sounding(PLAN, "dog", N)


# -- measures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [1.0, 0.5, 0.1])
def test_what_is_left_of_a_target_is_measured(gain):
    target, rest = noise(1) * (T % 0.5 < 0.1), noise(2)
    left, kept = levels(gain * target + 0.5 * rest, target, rest)
    assert left == pytest.approx(decibels(gain), abs=2.0)
    assert kept == pytest.approx(decibels(0.5), abs=0.3)


def test_a_target_made_anew_with_other_phases_is_still_there():
    burst = T % 0.5 < 0.1
    target, rest, again = noise(1) * burst, noise(2), noise(3) * burst
    assert abs(si_sdr(again + rest, rest) - si_sdr(target + rest, rest)) < 0.5
    left, kept = levels(again + rest, target, rest)
    assert abs(left) < 2 and abs(kept) < 1
    assert levels(rest, target, rest)[0] < -25 and levels(target, target, rest)[1] < -25
    assert levels(np.zeros_like(rest), target, rest) == (-120, -120)


def task(operation):
    target, rest = noise(1) * ((T >= 0.5) & (T < 1.0)), noise(2)
    mix = target + rest
    given, answer = {"remove": (mix, rest), "extract": (mix, target), "add": (rest, mix)}[operation]
    span = (0.0, 2.0) if operation == "extract" else (0.4, 1.6)
    return Task(operation, "", "", "x", span, given, answer), target


@pytest.mark.parametrize("operation", ["remove", "extract", "add"])
def test_only_the_right_answer_is_done(operation):
    asked, target = task(operation)
    best, idle = of_target(asked, asked.answer, target), of_target(asked, asked.given, target)
    assert best["edit_done"] == 1 and best["edit_identical"] == 1 and best["edit_sdr"] > 60
    assert idle["edit_done"] == 0 and idle["edit_identical"] == 1
    silence = of_target(asked, np.zeros_like(target), target)
    assert silence["edit_done"] == 0
    assert silence["edit_identical"] == (1 if operation == "extract" else 0)


def test_the_level_of_what_was_laid_over_a_sound():
    given, target, new = noise(1), noise(2), noise(3)  # another noise in place of the target
    level, rest = added(given + 0.5 * new, target, given)
    assert level == pytest.approx(-6, abs=0.2) and abs(rest) < 0.1
    assert added(given, target, given)[0] < -80
    assert added(0.5 * given, target, given)[1] == pytest.approx(-6, abs=0.1)


# -- the editor --------------------------------------------------------------------------------------------------------


class Shelf:
    """In place of the library: it knows the stems."""

    def __init__(self, stems):
        self.stems = stems

    def render(self, plan, seconds, seed):
        return [Layer(name, audio, (name,), seed, "library") for name, audio in self.stems.items()]


STEMS = {"knock": tone(900, 0.5, 0.7), "saw": tone(2500, 0.8, 1.2), "rain": noise(4, 0.02)}
MIX = np.asarray(sum(STEMS.values()), np.float32)


@pytest.fixture(scope="module")
def renderer():
    """Untrained codec and DiT, with weights that are not zero anywhere."""
    torch.manual_seed(0)
    codec = CodecConfig(
        latent=8, encoder_width=16, decoder_width=16, mid_width=16, encoder_blocks=1, decoder_blocks=1
    )
    sizes = {"latent": 8, "visual": 4, "caption": 4, "reasoning": 4, "timeline": 4}
    dit = DiT(replace(pocket(sync=5), **sizes, width=32, heads=2, solo_layers=1))
    with torch.no_grad():
        for p in dit.parameters():
            p.add_(0.05 * torch.randn(p.shape))
    return ModelRenderer(AudioModel(Codec(codec).eval(), dit.eval()), Words())


def test_the_library_says_what_the_target_is_and_the_recording_answers(renderer):
    editor = Editor(renderer, Shelf(STEMS))
    edits = [Edit("extract", (0.0, 2.0), "saw"), Edit("remove", (0.8, 1.2), "saw")]
    taken, left = editor.apply(PLAN, [MIX, MIX], edits, seed=1)
    rest = MIX - STEMS["saw"]
    assert levels(taken, STEMS["saw"], rest)[1] < -12 < -1 < levels(taken, STEMS["saw"], rest)[0]
    assert levels(left, STEMS["saw"], rest)[0] < -12
    outside = (T < 0.8) | (T >= 1.2)
    assert np.array_equal(left[:, outside], MIX[:, outside])
    inside = (T > 0.85) & (T < 1.15)
    assert np.abs(taken + left - MIX)[:, inside].max() < 1e-7


def test_what_is_made_stays_in_its_span_whatever_else_is_asked_for(renderer):
    edits = [Edit("inpaint", (0.5, 1.0)), Edit("extend", (1.2, 2.0)), Edit("add", (0.4, 1.4), "knock")]
    edits += [Edit("remove", (0.5, 1.0), "knock"), Edit("extract", (0.0, 2.0), "knock")]
    editor = Editor(renderer)
    found = editor.apply(PLAN, [MIX] * len(edits), edits, seed=1, steps=2)
    for edit, sound in zip(edits, found, strict=True):
        first, last = (round(t * RATE) for t in edit.span)
        assert np.array_equal(np.delete(sound, np.s_[first:last], 1), np.delete(MIX, np.s_[first:last], 1))
        assert not np.array_equal(sound, MIX), edit
    assert not found[-1][:, : round(0.42 * RATE)].any()  # the knock has not been yet
    alone = editor.apply(PLAN, [MIX], edits[1:2], seed=1, steps=2)[0]
    assert np.allclose(alone, found[1], atol=1e-4)
    assert not np.allclose(editor.apply(PLAN, [MIX], edits[1:2], seed=2, steps=2)[0], alone, atol=1e-3)


def test_what_does_not_fit_the_plan_is_refused(renderer):
    editor = Editor(renderer)
    with pytest.raises(ValueError, match="edits \\[2, 88200\\], not \\[2, 100\\]"):
        editor.apply(PLAN, [MIX[:, :100]], [Edit("inpaint", (0.5, 1.0))], seed=0)
    with pytest.raises(ValueError, match="no event 'dog'"):
        editor.apply(PLAN, [MIX], [Edit("remove", (0.5, 1.0), "dog")], seed=0)


def test_an_editor_is_told_nearly_the_truth():
    hits = Event(
        id="e", source="x", sound="a", end=4.0, onsets=(1.0, 2.0, 3.0), strengths=(1, 0.5, 1), pan=0.95
    )
    plan = Plan(seconds=4.0, events=(hits,))
    (event,) = told(plan, 3).events
    assert event.strengths == () and event.onsets != hits.onsets and event.level != 0 and -1 <= event.pan <= 1
    np.testing.assert_allclose(event.onsets, hits.onsets, atol=0.15)
    assert told(plan, 3) == told(plan, 3) != told(plan, 4)
    Plan.model_validate(told(plan, 3).model_dump())
