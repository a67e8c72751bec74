"""The only clock: seconds, samples, latents, frames and tokens are converted here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

SAMPLE_RATE = 44_100
"""Of every waveform inside the product, in Hz."""
SAMPLES_PER_LATENT = 2_048
VISUAL_RATE = 8
"""Frames a second that the visual encoder sees (ThinkSound, section 4.1)."""
SYNC_RATE = 25
"""Frames a second that motion is measured on."""
SYNC_WINDOW, SYNC_STEP, SYNC_TOKENS = 16, 8, 8
"""Synchformer: 16-frame windows, one every 8 frames, 8 tokens each."""


def samples(seconds: float | Fraction) -> int:
    """Seconds to the nearest sample; exact for a Fraction."""
    return round(Fraction(seconds) * SAMPLE_RATE)


@dataclass(frozen=True)
class Timeline:
    """How many steps each stream has in a clip of this many seconds."""

    seconds: float | Fraction

    @property
    def samples(self) -> int:
        return samples(self.seconds)

    @property
    def latents(self) -> int:
        """One latent for every started block of 2048 samples: the sound is never shorter than the clip."""
        return -(-self.samples // SAMPLES_PER_LATENT)

    @property
    def released_latents(self) -> int:
        """What the released ThinkSound code uses: rounded, so up to 23 ms short."""
        return round(float(self.seconds) * SAMPLE_RATE / SAMPLES_PER_LATENT)

    @property
    def visual(self) -> int:
        """Visual frames at 8 a second; at least one."""
        return max(1, int(self.seconds * VISUAL_RATE))

    @property
    def motion(self) -> int:
        """Motion frames at 25 a second; at least one."""
        return max(1, int(self.seconds * SYNC_RATE))

    @property
    def sync(self) -> int:
        """Synchformer tokens (released configuration)."""
        return max(1, (self.motion - SYNC_WINDOW) // SYNC_STEP + 1) * SYNC_TOKENS

    def latent_at(self, seconds: float) -> int:
        """The latent that holds this moment, clipped to the clip."""
        return min(max(int(seconds * SAMPLE_RATE / SAMPLES_PER_LATENT), 0), self.latents - 1)
