"""Fire: the lapping roar of burning gas, a hiss, and cracks of wood (Farnell, Designing Sound, 2010)."""

from __future__ import annotations

import numpy as np

from reasound.data.physical.sound import Rng, Sound, add, clock, count, finished, noise, spread, swell, wander


def crackling(
    rng: Rng, seconds: float = 6.0, cracks: float = 12.0, roar: float = 0.4, hiss: float = 0.3
) -> Sound:
    """A fire, stereo. cracks: so many a second; roar: 0 candle to 1 burning house; hiss: 0 dry to 1 green wood."""
    n = count(seconds)
    out = np.zeros((2, n))
    lap = noise(rng, n, 30.0, 350.0, 6.0) * (1.0 + 0.5 * np.clip(wander(rng, n, 7.0), -1.5, 2.5))
    air = noise(rng, n, 1_500.0, 11_000.0, 6.0) * np.clip(0.6 + 0.5 * wander(rng, n, 5.0), 0.1, 3)
    out += 0.35 * roar * lap + 0.05 * hiss * air
    for at in spread(rng, cracks, seconds - 0.05):
        m = count(rng.uniform(0.006, 0.04))
        low = float(np.exp(rng.uniform(np.log(400.0), np.log(3_500.0))))
        pop = noise(rng, m, low, 4.0 * low, 9.0) * np.exp(-clock(m) / rng.uniform(0.001, 0.006))
        angle, level = rng.uniform(0.2, 1.37), float(np.clip(rng.exponential(0.5), 0.05, 2.5))
        add(out, np.stack([np.cos(angle) * pop, np.sin(angle) * pop]), float(at), level)
    return finished(out * swell(n, 0.05, 0.2), (), tail=0.1)
