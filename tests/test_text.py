"""MiniLM reads as the original reads; the golden vectors are recorded by tests/golden/encoders.py."""

from pathlib import Path

import numpy as np
import pytest

from golden import encoders
from reasound.perception.text import MiniLM


@pytest.fixture(scope="module")
def minilm():
    return MiniLM.load()


@pytest.fixture(scope="module")
def golden():
    return np.load(Path(encoders.__file__).with_suffix(".npz"))


def test_it_reads_as_the_original_reads(minilm, golden):
    cosines = (minilm.encode(encoders.SENTENCES) * golden["minilm_sentences"]).sum(1)
    assert cosines.min() > 0.999
    states, mask = minilm.tokens(encoders.SENTENCES[:1])
    assert states[0].shape == golden["minilm_tokens"].shape and mask.all()
    difference = np.linalg.norm(states[0] - golden["minilm_tokens"], axis=-1)
    assert (difference / np.linalg.norm(golden["minilm_tokens"], axis=-1)).max() < 0.06


def test_a_text_does_not_depend_on_its_neighbours(minilm):
    texts = ["rain", *encoders.SENTENCES, "a long tale of wind and of waves " * 30]
    together, mask = minilm.tokens(texts)
    for index, text in enumerate(texts):
        alone, alone_mask = minilm.tokens([text])
        count = alone.shape[1]
        assert mask[index].sum() == count and alone_mask.all()
        np.testing.assert_allclose(together[index, :count], alone[0], atol=1e-5)
        assert not together[index, count:].any()


def test_sentences_in_a_list_equal_each_alone(minilm):
    texts = [f"{sentence}, again" for sentence in encoders.SENTENCES]
    together = minilm.encode(texts)
    minilm._known.clear()
    alone = np.concatenate([minilm.encode([text]) for text in reversed(texts)])[::-1]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_sentence_is_the_mean_of_its_tokens_at_unit_length(minilm):
    states, mask = minilm.tokens(["a bell rings"])
    mean = states[0].mean(0)
    assert mask.all()
    np.testing.assert_allclose(minilm.encode(["a bell rings"])[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_meaning_is_near_and_case_does_not_matter(minilm):
    dog, hound, rain, shouted = minilm.encode(
        ["a dog barks", "an old hound is barking", "rain", "A DOG BARKS"]
    )
    assert dog @ hound > 0.5 > 0.3 > dog @ rain
    np.testing.assert_allclose(dog, shouted, atol=1e-6)


def test_remembered_texts_are_the_same_and_the_memory_is_bounded(minilm, monkeypatch):
    monkeypatch.setattr("reasound.perception.text.REMEMBERED", 8)
    minilm._known.clear()
    texts = ["a", "b", "a", *map(str, range(9))]
    first, second = minilm.encode(texts), minilm.encode(texts)
    np.testing.assert_array_equal(first[0], first[2])
    np.testing.assert_allclose(first, second, atol=1e-5)
    assert len(minilm._known) <= 8
    first[:] = 0
    assert np.linalg.norm(minilm.encode(["a"])) == pytest.approx(1)


def test_long_texts_are_cut_and_empty_lists_are_empty(minilm):
    assert minilm.tokens(["wind " * 600])[0].shape == (1, 256, 384)
    np.testing.assert_allclose(
        minilm.tokens(["wind " * 600], limit=5)[0], minilm.tokens(["wind wind wind"])[0], atol=1e-5
    )
    assert minilm.encode([]).shape == (0, 384)
    assert minilm.tokens([])[0].shape == (0, 0, 384)
    assert minilm.tokens([""])[0].shape == (1, 2, 384)  # [CLS] and [SEP]


def test_what_is_no_list_of_texts_is_refused(minilm):
    with pytest.raises(ValueError, match="brackets"):
        minilm.encode("a dog")
    for limit in (2, 513):
        with pytest.raises(ValueError, match="3 to 512"):
            minilm.tokens(["a dog"], limit=limit)
