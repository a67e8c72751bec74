"""Where a sound is: left or right, near or far, and in what room.

The room is made, not recorded: early reflections of a box (image model, Allen and Berkley 1979) and a tail of
noise that decays at its own speed in every octave.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from reasound.plan import Acoustics, Space
from reasound.timeline import SAMPLE_RATE, samples

Audio = NDArray[np.float32]  # [2, N] at 44.1 kHz
Curve = float | NDArray[np.floating]
"""A number, or [K] numbers spread evenly from the first to the last sample."""

SOUND_SPEED = 343.0
REFERENCE = 3.0
"""Metres at which a source keeps its level."""
NEAREST, FARTHEST = 0.75, 60.0
"""Metres beyond which the level changes no more: +12 dB and -26 dB."""
AIR = 1.7e-9
"""dB per metre and Hz squared that air absorbs (fit to ISO 9613-1 at 20 degrees C, 50% humidity)."""
EAR = 0.1
"""Metres from the middle of the head to an ear."""
OCTAVES = (125, 250, 500, 1000, 2000, 4000, 8000, 16000)


@dataclass(frozen=True)
class Room:
    size: tuple[float, float, float]
    """Width, depth, height in metres."""
    decay: float
    """RT60 at 1 kHz in seconds: how long until the tail has fallen by 60 dB."""
    bass: float
    """RT60 at 125 Hz as a multiple of `decay`."""
    treble: float
    """RT60 at 8 kHz as a multiple of `decay`."""
    walls: float
    """Share of the pressure that a wall throws back; floor and ceiling follow."""
    floor: float
    ceiling: float
    early: float
    """Share of the reverberation's energy that early reflections have."""
    wet: float = 1.0
    """How much of the asked reverberation this space gives."""
    muffled: float = 0.0
    """Hz above which everything is dull; 0 for clear."""


ROOMS: dict[Space, Room] = {
    "outdoors": Room((52.0, 38.0, 30.0), 0.55, 0.8, 0.35, 0.45, 0.3, 0.0, early=0.4, wet=0.3),
    "small room": Room((2.7, 2.1, 2.4), 0.3, 1.2, 0.7, 0.8, 0.7, 0.8, early=0.45),
    "room": Room((5.2, 4.1, 2.6), 0.5, 1.2, 0.65, 0.8, 0.6, 0.75, early=0.4),
    "large room": Room((13.0, 9.5, 4.2), 1.0, 1.25, 0.55, 0.8, 0.7, 0.75, early=0.3),
    "hall": Room((31.0, 21.0, 12.0), 2.2, 1.25, 0.45, 0.85, 0.75, 0.8, early=0.2),
    "vehicle": Room((2.1, 1.45, 1.2), 0.14, 1.6, 0.6, 0.7, 0.4, 0.5, early=0.55),
    "underwater": Room((9.0, 7.0, 4.0), 1.1, 1.3, 0.3, 0.85, 0.7, 0.9, early=0.25, muffled=900.0),
}


def pan_stereo(audio: Audio, pan: Curve) -> Audio:
    """Move [2, N] to `pan`, -1 left to 1 right, at equal power.

    With middle M = (L + R) / 2 and side S = (L - R) / 2 and angle a = (pan + 1) pi / 4:
    L' = sqrt(2) cos(a) M + (1 - |pan|) S and R' = sqrt(2) sin(a) M - (1 - |pan|) S. The middle keeps its
    power everywhere; in the centre nothing changes; a wide sound narrows on its way to a point at the side.
    """
    at = _curve(pan, audio.shape[1])
    angle = (at + 1) * (math.pi / 4)
    middle = (audio[0] + audio[1]) / 2
    side = (audio[0] - audio[1]) / 2 * (1 - np.abs(at))
    left = math.sqrt(2) * np.cos(angle) * middle + side
    right = math.sqrt(2) * np.sin(angle) * middle - side
    return np.stack((left, right)).astype(np.float32)


def place(
    audio: NDArray[np.float32], pan: Curve, distance: Curve, acoustics: Acoustics, seed: int = 0
) -> Audio:
    """[N] or [2, N] -> [2, N]: from `pan` (-1 to 1), `distance` metres away, in a space.

    Far is quieter, duller (air) and more reverberant: when the distance doubles, the direct sound falls by 6 dB
    and its reverberation by 3. The time of flight is left out, because the sound must stay on its picture. The
    result is as long as the input: to let the room ring out, append `tail(acoustics)` samples of silence first.
    Sounds of one clip share the room when they share the seed.
    """
    sound = np.stack((audio, audio)) if audio.ndim == 1 else audio
    away = np.clip(_curve(distance, sound.shape[1]), NEAREST, FARTHEST)
    level = (REFERENCE / away).astype(np.float32)
    room = ROOMS[acoustics.space]
    direct = pan_stereo(_through_air(sound, away) * level, pan)
    ratio = _wet(acoustics)
    if ratio > 0:
        # The room hears a source from less far to the side than the listener does.
        sent = pan_stereo(sound * np.sqrt(level), 0.5 * np.asarray(pan))
        direct = direct + ratio * _convolve(sent, impulse_response(acoustics.space, seed))
    return _muffle(direct, room.muffled) if room.muffled else direct


def reverb(audio: Audio, acoustics: Acoustics, seed: int = 0) -> Audio:
    """[2, N] -> [2, N]: the sound itself with its reverberation added, for sound that has no one place.

    At `acoustics.reverb` of 0.5 both have the same energy (outdoors a tenth). Silence for the tail is the
    caller's to append, see `tail`.
    """
    ratio = _wet(acoustics)
    muffled = ROOMS[acoustics.space].muffled
    mixed = audio + ratio * _convolve(audio, impulse_response(acoustics.space, seed)) if ratio > 0 else audio
    return _muffle(mixed, muffled) if muffled else mixed


def tail(acoustics: Acoustics) -> int:
    """Samples that the space rings on after a sound, until its reverberation has fallen by 60 dB."""
    return impulse_response(acoustics.space, 0).shape[1] if _wet(acoustics) > 0 else 0


@lru_cache(maxsize=16)
def impulse_response(space: Space, seed: int = 0) -> Audio:
    """[2, n] reverberation alone, without the direct sound; each channel has an energy of 1."""
    room = ROOMS[space]
    length = samples(room.decay * max(1.0, room.bass))
    early, late = _reflections(room, length), _tail(room, length, seed)
    both = math.sqrt(room.early) * _unit(early) + math.sqrt(1 - room.early) * _unit(late)
    response = _unit(both).astype(np.float32)
    response.flags.writeable = False
    return response


def _reflections(room: Room, length: int) -> NDArray[np.float64]:
    """Reflections of a source straight ahead, from the images of a box; darker with every wall they met."""
    size = np.array(room.size)
    # Off the middle, so that no two reflections coincide; standing, where the room is high enough.
    head = np.array([0.47 * size[0], 0.41 * size[1], min(1.6, 0.45 * size[2])])
    source = head + np.array([0.0, min(REFERENCE, 0.4 * size[1]), 0.0])
    straight = np.linalg.norm(source - head)
    by_order = np.zeros((5, 2, length))
    for cell in product(range(-2, 3), repeat=3):
        for mirror in product((0, 1), repeat=3):
            # On each axis the image met the near wall |cell - mirror| times and the far wall |cell| times.
            near, far = [abs(c - m) for c, m in zip(cell, mirror, strict=True)], [abs(c) for c in cell]
            order = sum(near) + sum(far)
            if not 0 < order < len(by_order):
                continue
            kept = (
                room.walls ** (near[0] + far[0] + near[1] + far[1])
                * room.floor ** near[2]
                * room.ceiling ** far[2]
            )
            image = np.array(
                [(1 - 2 * m) * s + 2 * c * w for m, s, c, w in zip(mirror, source, cell, size, strict=True)]
            )
            for ear, offset in enumerate((-EAR, EAR)):
                path = image - head - (offset, 0.0, 0.0)
                far_away = np.linalg.norm(path)
                # An ear hears what comes from its own side up to 6 dB louder than what comes from the other.
                facing = 0.75 + 0.25 * np.sign(offset) * path[0] / far_away
                at = round((far_away - straight) / SOUND_SPEED * SAMPLE_RATE)
                if 0 < at < length:
                    by_order[order, ear, at] += kept * facing / far_away
    frequency = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    # One wall takes away more at the top: half of the pressure at 10 kHz. Zero phase, and short.
    darker = 1 / (1 + (frequency / 10_000) ** 2)
    spectrum = sum(np.fft.rfft(at) * darker**order for order, at in enumerate(by_order))
    return np.fft.irfft(spectrum, length)


def _tail(room: Room, length: int, seed: int) -> NDArray[np.float64]:
    """Noise, different in both ears, that builds up and then decays at each octave's own speed."""
    noise = np.random.default_rng((seed, length)).standard_normal((2, length))
    spectrum = np.fft.rfft(noise)
    octave = np.log2(np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE), 1) / 1000)
    centres = np.log2(np.array(OCTAVES) / 1000)
    seconds = np.arange(length) / SAMPLE_RATE
    # Polack: reflections merge after about sqrt(volume) ms. In the open they never do; do not wait for it there.
    mixing = min(1e-3 * math.sqrt(math.prod(room.size)), room.decay / 8)
    late = np.zeros((2, length))
    for number, centre in enumerate(centres):
        # Raised-cosine bands that add up to 1; the outermost ones reach to the ends.
        reach = octave if 0 < number < len(centres) - 1 else np.clip(octave, centres[0], centres[-1])
        band = np.cos(np.clip(reach - centre, -1, 1) * math.pi / 2) ** 2
        edge = room.bass if centre < 0 else room.treble
        decay = room.decay * edge ** min(1.0, abs(centre) / 3)
        late += np.fft.irfft(spectrum * band, length) * 10 ** (-3 * seconds / decay)
    late *= 1 - np.exp(-seconds / mixing)
    fade = length // 8
    late[:, -fade:] *= np.linspace(1, 0, fade)
    return late


def _through_air(audio: Audio, away: NDArray[np.float64]) -> Audio:
    """What air leaves of a sound after `away` [N] metres; moving sources fade between fixed distances."""
    near, far = float(away.min(initial=FARTHEST)), float(away.max(initial=0.0))
    if far < 2 * REFERENCE:
        return audio  # less than 3 dB at 16 kHz
    stops = np.linspace(near, far, 1 if far - near < 1 else 4)
    heard = np.zeros(audio.shape, np.float32)
    for number, stop in enumerate(stops):
        share = np.interp(away, stops, np.eye(len(stops))[number]).astype(np.float32)
        heard += share * _filtered(audio, partial(_air, metres=float(stop)))
    return heard


def _air(frequency: NDArray[np.floating], metres: float) -> NDArray[np.floating]:
    return 10 ** (-AIR * frequency**2 * metres / 20)


def _muffle(audio: Audio, above: float) -> Audio:
    return _filtered(audio, lambda f: 1 / (1 + (f / above) ** 2))


def _filtered(audio: Audio, gain: Callable[[NDArray[np.floating]], NDArray[np.floating]]) -> Audio:
    """Zero-phase filter by its gain over frequency in Hz."""
    size = fast_length(audio.shape[1] + 2048)
    spectrum = np.fft.rfft(audio, size) * gain(np.fft.rfftfreq(size, 1 / SAMPLE_RATE))
    return np.fft.irfft(spectrum, size)[:, : audio.shape[1]].astype(np.float32)


def _convolve(audio: Audio, response: Audio) -> Audio:
    """Each channel with its own response: [2, N] * [2, n] -> [2, N]."""
    size = fast_length(audio.shape[1] + response.shape[1])
    wet = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(response, size), size)
    return wet[:, : audio.shape[1]].astype(np.float32)


def _wet(acoustics: Acoustics) -> float:
    """Pressure of the reverberation against the direct sound at 3 m."""
    asked = min(acoustics.reverb, 0.9)
    return ROOMS[acoustics.space].wet * asked / (1 - asked)


def _unit(response: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scaled so that the mean energy of the two channels is 1."""
    return response / math.sqrt(np.sum(response**2) / 2)


def _curve(value: Curve, length: int) -> NDArray[np.float64]:
    """A number or [K] points -> [length]."""
    points = np.atleast_1d(np.asarray(value, float))
    return np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(points)), points)


def fast_length(least: int) -> int:
    """The next length whose only prime factors are 2, 3 and 5: quick to transform."""
    best = 1 << (least - 1).bit_length()
    for fives in range(8):
        for threes in range(8):
            base = 5**fives * 3**threes
            if base < best:
                best = min(best, base << max(0, (-(-least // base) - 1).bit_length()))
    return best
