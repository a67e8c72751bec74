"""What the front ends of the published networks share: spectra around each moment, and triangles on the mel scale."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor


def power(sound: Tensor, window: Tensor, size: int, hop: int) -> Tensor:
    """[N] -> [1 + N // hop, size // 2 + 1] squared magnitudes; frame t is centred on sample t * hop.

    Both ends are mirrored (without the last sample itself), as librosa and torchlibrosa do. A window shorter than size
    stands in the middle of it. N must be more than size / 2.
    """
    spectrum = torch.stft(
        sound, size, hop, len(window), window, center=True, pad_mode="reflect", return_complex=True
    )
    return (spectrum.real.square() + spectrum.imag.square()).T


@lru_cache(maxsize=4)
def triangles(rate: int, size: int, bands: int, low: float, high: float) -> Tensor:
    """[size // 2 + 1, bands] filters that are straight on the mel scale of HTK, 1127 ln(1 + f / 700), and peak at 1.

    As Kaldi and VGGish make them. (Those of librosa are straight in Hz.)
    """

    def mel(hertz: ArrayLike) -> NDArray[np.float64]:
        return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)

    bins = mel(np.linspace(0.0, rate / 2, size // 2 + 1))[:, None]
    edges = np.linspace(mel(low), mel(high), bands + 2)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    slopes = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre))
    return torch.from_numpy(np.maximum(slopes, 0.0).astype(np.float32))
