"""Plan and features become tensors: what sounds, in which frame, how strongly; what is missing is said to be."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from reasound.plan import Ambience, Event, Place, Plan, Step
from reasound.synthesis.conditions import (
    FRACTION,
    INPUTS,
    LEVEL,
    ONSET,
    PAN,
    batched,
    prepare_conditions,
    timeline,
)
from reasound.synthesis.dit import pocket, thinksound
from reasound.timeline import SAMPLE_RATE, SAMPLES_PER_LATENT, Timeline

FRAME = SAMPLES_PER_LATENT / SAMPLE_RATE
CONFIG = replace(pocket(sync=5), visual=4, caption=4, reasoning=4, timeline=4)


class Words:
    """A text encoder of four letters: how often a, b, c and d are in a text."""

    def encode(self, texts):
        rows = np.array([[text.count(letter) + 1e-3 for letter in "abcd"] for text in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def tokens(self, texts, limit=256):
        longest = min(max(len(text.split()) for text in texts) + 2, limit)
        counts = np.array([min(len(text.split()) + 2, limit) for text in texts])
        return np.ones((len(texts), longest, 4), np.float32), np.arange(longest) < counts[:, None]


PLAN = Plan(
    seconds=4.0,
    caption="a b",
    events=(
        Event(
            id="hit",
            source="x",
            sound="aaa",
            end=4,
            onsets=(1.0, 2.5),
            strengths=(0.5, 1.0),
            level=-20,
            pan=-1,
        ),
        Event(
            id="car",
            source="y",
            sound="bbb",
            start=2,
            end=3,
            path=(Place(time=2, pan=-1), Place(time=3, pan=1)),
        ),
    ),
    ambience=(Ambience(id="wind", sound="ccc", level=-40),),
    reasoning=(Step(aspect="temporal", text="d d d"),),
)
VECTORS = {sound: np.eye(4, dtype=np.float32)[i] for i, sound in enumerate(("aaa", "bbb", "ccc"))}


def test_the_timeline_says_what_sounds_when():
    channels = timeline(PLAN, VECTORS)
    assert channels.shape == (Timeline(4.0).latents, 8)
    unit = 2.0  # square root of the width: unit variance
    np.testing.assert_allclose(channels[:, :2].T, unit * PLAN.activity(), rtol=1e-6)
    assert (channels[:, 2] == unit).all()
    onsets = channels[:, 4 + ONSET]
    assert {i: onsets[i] for i in np.flatnonzero(onsets)} == {int(1.0 / FRAME): 0.5, int(2.5 / FRAME): 1.0}
    at = int(2.5 / FRAME)
    assert channels[at, 4 + FRACTION] == pytest.approx(2.5 / FRAME - at, abs=1e-5)


def test_level_and_pan_follow_what_is_active():
    channels = timeline(PLAN, VECTORS, ["car"])
    inside = slice(int(2 / FRAME) + 1, int(3 / FRAME))
    times = (np.arange(len(channels)) + 0.5) * FRAME
    np.testing.assert_allclose(channels[inside, 4 + PAN], 2 * (times[inside] - 2) - 1, atol=1e-3)
    assert (channels[inside, 4 + LEVEL] == 0).all()
    only = timeline(PLAN, VECTORS, ["hit"])
    assert only[int(1.2 / FRAME), 4 + LEVEL] == pytest.approx(-1)
    both = timeline(PLAN, VECTORS, ["hit", "wind"])[int(1.2 / FRAME)]
    assert both[4 + LEVEL] == pytest.approx((-1 - 2) / 2)
    assert not timeline(PLAN, VECTORS, placed=False)[:, [4 + LEVEL, 4 + PAN]].any()


def test_a_layer_is_told_only_of_its_own_event():
    given = prepare_conditions(None, PLAN, Words(), CONFIG, events=["hit"])
    missing = dict(zip(INPUTS, given.missing[0].tolist(), strict=True))
    assert missing == {
        "visual": True, "sync": True, "caption": False, "reasoning": True,
        "pooled": False, "timeline": False, "reference": True, "context": True,
    }  # fmt: skip
    assert given.pooled[0].argmax() == 0
    assert given.timeline[0, :, 0].any()
    assert not given.timeline[0, :, 4 + LEVEL].any()
    other = PLAN.model_copy(
        update={"events": PLAN.events[:1], "ambience": (), "caption": "", "reasoning": ()}
    )
    alone = prepare_conditions(None, other, Words(), CONFIG, events=["hit"])
    for name in ("caption", "pooled", "timeline"):
        assert torch.equal(getattr(given, name), getattr(alone, name))


def test_a_whole_plan_gives_caption_reasoning_and_all_events():
    given = prepare_conditions(None, PLAN, Words(), CONFIG)
    assert given.reasoning_mask.sum() == 5  # three words and two ends
    assert not given.missing[0, INPUTS.index("reasoning")]
    assert given.timeline[0, :, :3].any(0).all()
    empty = prepare_conditions(None, Plan(seconds=1.0), Words(), CONFIG)
    assert empty.missing[
        0, [INPUTS.index("caption"), INPUTS.index("reasoning"), INPUTS.index("pooled")]
    ].all()
    assert not empty.timeline.any()


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="no event 'cat'"):
        prepare_conditions(None, PLAN, Words(), CONFIG, events=["cat"])
    with pytest.raises(ValueError, match="other text features"):
        prepare_conditions(None, PLAN, Words(), thinksound())


def test_a_batch_pads_texts_and_nothing_else():
    items = [prepare_conditions(None, PLAN, Words(), CONFIG, events=[name]) for name in ("hit", "car")]
    long = prepare_conditions(None, PLAN, Words(), CONFIG)
    both = batched([*items, long])
    assert len(both) == 3
    assert both.caption.shape[1] == both.caption_mask.shape[1] == long.caption.shape[1]
    assert both.caption_mask.sum(1).tolist() == [3, 3, 4]
    assert torch.equal(both.timeline[1:2], items[1].timeline)
    other = prepare_conditions(None, Plan(seconds=2.0), Words(), CONFIG)
    with pytest.raises(ValueError, match="timeline inputs of a batch differ in shape"):
        batched([long, other])


def test_each_input_is_dropped_by_itself():
    item = prepare_conditions(None, PLAN, Words(), CONFIG)
    many = batched([item] * 4000)
    dropped = many.dropped(0.2, 0.0, torch.Generator().manual_seed(0)).missing.float()
    given = [INPUTS.index(name) for name in ("caption", "reasoning", "timeline")]
    assert dropped[:, given].mean(0).tolist() == pytest.approx([0.2] * 3, abs=0.03)
    assert dropped[:, given].prod(1).mean() == pytest.approx(0.008, abs=0.006)
    assert torch.equal(dropped[:, INPUTS.index("caption")], dropped[:, INPUTS.index("pooled")])
    assert not item.missing[0, given].any()  # the original is as it was
    silent = many.dropped(0.0, 0.1, torch.Generator().manual_seed(0)).missing[:, given]
    assert silent.all(1).float().mean() == pytest.approx(0.1, abs=0.02)
    assert torch.equal(silent.all(1), silent.any(1))


def test_the_unconditioned_half_keeps_the_context_and_may_say_what_to_avoid():
    context = (torch.ones(Timeline(4.0).latents, 64), torch.ones(Timeline(4.0).latents, 4))
    item = prepare_conditions(None, PLAN, Words(), CONFIG, events=["hit"], context=context)
    half = item.unconditioned()
    assert half.missing[0].tolist() == [name != "context" for name in INPUTS]
    avoid = prepare_conditions(None, Plan(seconds=4.0, caption="b b b"), Words(), CONFIG)
    half = item.unconditioned(avoid)
    assert half.missing[0].tolist() == [name not in ("context", "caption", "pooled") for name in INPUTS]
    assert half.pooled[0].argmax() == 1
    assert batched([item, half]).caption_mask.sum(1).tolist() == [3, 5]


def test_a_window_cuts_every_stream_at_the_same_moment():
    item = prepare_conditions(None, PLAN, Words(), CONFIG, events=["hit"])
    count = Timeline(4.0).latents
    item = replace(
        item,
        visual=torch.arange(32.0)[None, :, None].expand(1, 32, 4),
        sync=torch.arange(100.0)[None, :, None].expand(1, 100, 5),
    )
    third = count // 3
    part = item.between(third, count, count)
    assert torch.equal(part.timeline, item.timeline[:, third:])
    assert part.visual[0, 0, 0] == 32 // 3
    assert part.sync[0, 0, 0] == 100 // 3
    assert torch.equal(part.caption, item.caption)
    assert item.between(0, count, count).sync.shape == item.sync.shape
