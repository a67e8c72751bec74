"""What YAMNet hears in one sound against another: classes, distributions, embeddings, leaks of speech and music.

Scores are [P, C] (0 to 1, each class by itself) and embeddings [P, D], of P windows, as `Yamnet` gives them; classes
are its C names. Distances on YAMNet have the form of the field's FD and KL, which use other networks (PANNs,
PaSST, VGGish, OpenL3): values of two networks must never stand in one column.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reasound.evaluation.tags import heard

TOP = 5
EPSILON = 1e-6
"""Added to probabilities before their logarithm, as the field's KL does: at most ln(1e6) = 13.8 nats."""
SIZES = 15
"""Set sizes that `frechet_unbiased` looks at, as in the paper."""

SPEECH = frozenset(
    "Speech|Child speech, kid speaking|Conversation|Narration, monologue|Babbling|Speech synthesizer|Shout|Yell"
    "|Children shouting|Whispering|Chatter|Hubbub, speech noise, speech babble".split("|")
)
"""Tags that say that somebody talks. Laughter, cries, breath and crowds are sounds that a scene may ask for."""
MUSIC = frozenset(
    "Music|Pop music|Hip hop music|Rock music|Heavy metal|Punk rock|Grunge|Progressive rock|Rock and roll"
    "|Psychedelic rock|Rhythm and blues|Soul music|Reggae|Country|Swing music|Bluegrass|Funk|Folk music"
    "|Middle Eastern music|Jazz|Disco|Classical music|Opera|Electronic music|House music|Techno|Dubstep"
    "|Drum and bass|Electronica|Electronic dance music|Ambient music|Trance music|Music of Latin America|Salsa music"
    "|Flamenco|Blues|Music for children|New-age music|Vocal music|A capella|Music of Africa|Afrobeat"
    "|Christian music|Gospel music|Music of Asia|Carnatic music|Music of Bollywood|Ska|Traditional music"
    "|Independent music|Song|Background music|Theme music|Jingle (music)|Soundtrack music|Lullaby"
    "|Video game music|Christmas music|Dance music|Wedding music|Happy music|Sad music|Tender music"
    "|Exciting music|Angry music|Scary music|Singing|Choir|Chant|Child singing|Synthetic singing|Rapping"
    "|Humming".split("|")
)
"""Tags that say that music plays or somebody sings. Instruments by themselves are sounds that a scene may ask for;
YAMNet calls most of them Music, too, so that the leak means something only where no instrument was asked for."""

Distribution = NDArray[np.float64]


def top_classes(scores: ArrayLike, classes: Sequence[str], top: int = TOP) -> list[str]:
    """Names of the classes heard most clearly, best first: by the largest score over the windows, without Silence
    (as `Yamnet.tags`, which also evens out the level: do so before, if it must not matter)."""
    best = _windows(scores).max(0)
    order = [index for index in np.argsort(-best, kind="stable") if classes[index] != "Silence"]
    return [classes[index] for index in order[:top]]


def class_right(scores: ArrayLike, classes: Sequence[str], sound_class: str, top: int = TOP) -> bool:
    """Whether one of the `top` classes heard means this class of the taxonomy (`tags.heard`). The mean over
    items is the class accuracy, 0 to 1."""
    return heard(sound_class, top_classes(scores, classes, top))


def class_kl(reference: ArrayLike, generated: ArrayLike, epsilon: float = EPSILON) -> float:
    """KL(reference || generated) in nats, from 0 to 13.8, of the mean scores over the windows, scaled to sum 1.

    Of two scores [P, C] of any number of windows. The form of KL_PANNs and KL_PaSST in the field (Iashin and
    Rahtu 2021, section 4): sum of r ln((r + e) / (g + e)). Scores that are all 0 stand for the uniform distribution.
    """
    r, g = _distribution(reference), _distribution(generated)
    return max(0.0, float(np.sum(r * np.log((r + epsilon) / (g + epsilon)))))


def frechet(a: ArrayLike, b: ArrayLike) -> float:
    """Frechet distance (squared, as in FID and FAD) of the Gaussians of two sets of embeddings [N, D] and [M, D].

    From 0, in squares of the embeddings' unit: |mean difference|^2 + tr(A + B - 2 sqrt(A B)) with the covariances
    A, B (over N - 1; Heusel et al. 2017, eq. 6). nan where a set has fewer than two. Sets much smaller than D make
    it large: compare only sets of one size, or see `frechet_unbiased`.

    The trace of the root is the sum of the singular values of X Y^T, where X^T X = A and Y^T Y = B, so that the
    cost goes with the smaller of N and D.
    """
    x, y = np.asarray(a, float), np.asarray(b, float)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"embeddings must be [N, D] and [M, D], not {x.shape} and {y.shape}")
    if len(x) < 2 or len(y) < 2:
        return math.nan
    apart = x.mean(0) - y.mean(0)
    x, y = _root(x), _root(y)
    shared = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return max(0.0, float(apart @ apart + np.sum(x**2) + np.sum(y**2) - 2 * shared))


def frechet_unbiased(a: ArrayLike, b: ArrayLike, rng: int | np.random.Generator) -> float:
    """Frechet distance of two sets [N, D], [M, D] as if they were endless (Chong and Forsyth 2020, FID infinity).

    The bias of a set of n goes with 1/n: the distance of 15 random parts of both sets, from a half to the whole of the
    smaller one, is extrapolated along a straight line to 1/n = 0. That line is a good one where n is several times
    the rank of the covariance; with fewer it still takes most of the bias out, but not all. As an estimate
    without bias it may be a little below 0. nan where a set has fewer than four.
    """
    x, y = np.asarray(a, float), np.asarray(b, float)
    most = min(len(x), len(y))
    if most < 4:
        return math.nan
    rng = np.random.default_rng(rng)
    sizes = np.unique(np.linspace(most / 2, most, SIZES).round().astype(int))
    parts = [frechet(x[rng.permutation(len(x))[:size]], y[rng.permutation(len(y))[:size]]) for size in sizes]
    slope_and_end = np.linalg.lstsq(
        np.stack((1 / sizes, np.ones(len(sizes))), axis=1), np.asarray(parts), rcond=None
    )[0]
    return float(slope_and_end[1])


def leak(scores: ArrayLike, classes: Sequence[str], among: frozenset[str]) -> float:
    """Highest score, 0 to 1, of any window in any class of SPEECH or MUSIC: that a sound nobody asked for is there."""
    columns = [index for index, name in enumerate(classes) if name in among]
    return float(_windows(scores)[:, columns].max(initial=0.0))


def _windows(scores: ArrayLike) -> NDArray[np.floating]:
    windows = np.asarray(scores)
    if windows.ndim != 2 or not len(windows):
        raise ValueError(f"scores must be [windows, classes], at least one window, not {windows.shape}")
    return windows


def _distribution(scores: ArrayLike) -> Distribution:
    mean = _windows(scores).mean(0, dtype=float)
    total = mean.sum()
    return mean / total if total > 0 else np.full(len(mean), 1 / len(mean))


def _root(embeddings: Distribution) -> Distribution:
    """[N, D] -> X [min(N, D), D] with X^T X = covariance."""
    centred = (embeddings - embeddings.mean(0)) / math.sqrt(len(embeddings) - 1)
    if centred.shape[0] <= centred.shape[1]:
        return centred
    return np.asarray(np.linalg.qr(centred, mode="r"))
