"""When something moves and when it strikes: optical flow without the camera, and the onsets it shows.

The histogram of directions is the directogram of "Visual Rhythm and Beat" (Davis & Agrawala, SIGGRAPH Asia 2018).
Their impact envelope is the loss of speed; ours weighs upward acceleration most. What is struck, dropped or
trodden on pushes back, nearly always up: a fall that stops, a stick that rebounds, a hand that recoils. On real
clips upward acceleration alone finds the impacts that sound; downward acceleration is no better than chance.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from fractions import Fraction

import cv2
import numpy as np

from reasound.perception import shots
from reasound.perception.features import Box, Floats, Motion, Onset, Shot
from reasound.perception.flow import (
    ANGLES,
    CELLS,
    Flow,
    Grey,
    Picture,
    directogram,
    fitted,
    greyed,
    impact,
    means,
)
from reasound.timeline import SYNC_RATE, VISUAL_RATE, Timeline

SYNC_DIM = 32
"""Width of `sync_features`."""

_FRAME = 1 / SYNC_RATE  # seconds; speeds are in pixels per such frame
_CLOSEST = 1 / 31  # seconds between two pictures: faster video is thinned to this
_LONGEST = 0.1  # seconds: a picture that stands longer did not move until just before the next
_SAME = 0.5  # grey levels by which some part must change, or it is the last picture shown again
_MAP = (12, 16)  # rows and columns of the map of activity

_STILL = 0.05  # pixels from picture to picture, less than which is no motion
_SETTLED = 8  # frames on each side, whose median is motion that goes on and is no impact
_NEAR = 1.5  # seconds on each side with whose strongest impact another one is compared:
_SHARE = 0.3  # it is this share as strong,
_RISE = 0.2  # and rises by this share above the valleys beside it
_APART = 0.1  # seconds; of nearer impacts the strongest counts
_LEAST = 0.02  # of the envelope: below is the noise of coding
_FLASH = 0.15  # rise of the logarithm of mean luminance from one picture to the next
_DARK = 8.0  # grey levels added before the logarithm, so that noise in the dark is no flash
_BRIGHT = 10.0  # pixels a frame per frame that are as striking as a rise of luminance to e times
_OUT = 1.5  # seconds in which a flash goes out again; a light that stays on makes no sound


class Meter:
    """Pictures in, one by one, in the order of time; `motion` sums up. Keeps a few numbers of each picture."""

    def __init__(self, flow: Flow | None = None) -> None:
        self._flow = flow or Flow()
        self._grey: Grey | None = None  # the last picture that differed from the one before
        self._since = 0.0  # when it came
        self._path: Floats | None = (
            None  # [h, w, 2] how its parts got there; None if they rested or just appeared
        )
        self._speed: Floats | None = None  # [h, w, 2] how fast
        self._times: list[float] = []  # of all pictures
        self._small: list[Picture] = []
        self._light: list[float] = []
        self._flicker: list[float] = []
        self._spans: list[tuple[float, float]] = []  # the intervals in which something moved, or came to rest
        self._grid: list[Floats] = []  # [9, A] displacement in each
        self._camera: list[Floats] = []  # [2] likewise
        self._map: list[Floats] = []  # [12, 16] likewise
        self._impact: list[Floats] = []  # [6, 8] at the start of each

    def add(self, time: float, picture: Picture) -> None:
        """The next picture [H, W, 3], which is shown from `time` (seconds) on."""
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
            raise ValueError(f"a picture is uint8 [H, W, 3], not {picture.dtype} {list(picture.shape)}")
        if self._times and time <= self._times[-1]:
            raise ValueError(f"pictures come in order of time, but {time:g} s follows {self._times[-1]:g} s")
        if self._times and time - self._times[-1] < _CLOSEST:
            return
        picture = fitted(picture)
        grey, small = greyed(picture), shots.small(picture)
        change = cv2.absdiff(greyed(small), greyed(self._small[-1])).mean() / 255 if self._small else 0.0
        self._times.append(time)
        self._small.append(small)
        self._flicker.append(float(change))
        self._light.append(float(np.log(grey.mean() + _DARK)))
        if self._grey is None:
            self._grey, self._since = grey, time
        elif means(cv2.absdiff(grey, self._grey), _MAP).max() >= _SAME:
            self._move(self._grey, grey, time)
        elif self._speed is not None and time >= self._since + _LONGEST:
            rest = np.zeros_like(self._speed)
            self._note((self._since, self._since + _FRAME), rest, rest, np.zeros(2, np.float32))
            self._path = self._speed = None

    def _move(self, before: Grey, now: Grey, time: float) -> None:
        start = max(self._since, time - _LONGEST)
        flow, camera = self._flow.between(before, now)
        speed = flow * np.float32(_FRAME / (time - start))
        if self._speed is None:  # from rest, unless it moved already when the clip began: then nobody knows
            self._path = np.zeros_like(flow)
            self._speed = np.zeros_like(flow) if start > self._since else speed
        self._note((start, time), flow, speed, camera)
        self._grey, self._since, self._path, self._speed = now, time, flow, speed

    def _note(self, span: tuple[float, float], flow: Floats, speed: Floats, camera: Floats) -> None:
        assert self._path is not None and self._speed is not None
        self._impact.append(impact(self._speed, speed, self._path, camera))
        self._spans.append(span)
        self._grid.append(directogram(flow))
        self._camera.append(camera)
        self._map.append(means(np.hypot(flow[..., 0], flow[..., 1]), _MAP))

    def shots(self, seconds: float | Fraction) -> tuple[Shot, ...]:
        """The shots of a clip of this length; its pictures must have been added."""
        starts = [self._times[i] for i in shots.cuts(self._small)]
        return shots.between(starts, float(seconds))

    def box(self, time: float, reach: float = 0.5) -> Box | None:
        """The part of the picture that moves most within `reach` seconds of `time`; None where nothing moves."""
        first = bisect_left(self._spans, (time - reach, 0.0))
        last = bisect_left(self._spans, (time + reach, 0.0))
        return strongest_region(np.mean(self._map[first:last], axis=0)) if last > first else None

    def colour(self, seconds: float | Fraction) -> Floats:
        """[Tv, 4] at 8 a second: mean red, green, blue, and how much luminance changes in that time, all 0 to 1."""
        frames = Timeline(seconds).visual
        found = np.zeros((frames, 4), np.float32)
        if not self._small:
            return found
        at = np.arange(frames) / VISUAL_RATE
        shown = np.maximum(np.searchsorted(self._times, at, side="right") - 1, 0)
        found[:, :3] = [self._small[i].mean((0, 1)) / 255 for i in shown]
        into = np.minimum((np.asarray(self._times) * VISUAL_RATE).astype(int), frames - 1)
        np.add.at(found[:, 3], into, self._flicker)
        return np.minimum(found, 1)

    def motion(self, seconds: float | Fraction, share: float = _SHARE, rise: float = _RISE) -> Motion:
        """All that was added, as the motion of a clip of this length. `share`, `rise`: see `strikes`."""
        frames = Timeline(seconds).motion
        parts = self.shots(seconds)
        cut = {shot.start for shot in parts[1:]}
        steps = np.diff(self._light, prepend=self._light[:1])
        lit = {t for t, step in zip(self._times, steps, strict=True) if abs(step) >= _FLASH}
        # What flow makes of a cut is no motion, and what it makes of a change of light is no impact.
        whole = [float(end not in cut) for _, end in self._spans]
        steady = [float(start not in lit | cut and end not in lit | cut) for start, end in self._spans]
        grid = self._resampled([g * w for g, w in zip(self._grid, whole, strict=True)], (9, ANGLES), frames)
        camera = self._resampled([c * w for c, w in zip(self._camera, whole, strict=True)], (2,), frames)
        places = self._resampled([m * w for m, w in zip(self._map, whole, strict=True)], _MAP, frames)
        felt = np.zeros((frames, *CELLS), np.float32)
        for (start, _), cells, keep in zip(self._spans, self._impact, steady, strict=True):
            at = min(round(start * SYNC_RATE), frames - 1)
            felt[at] = np.maximum(felt[at], cells * keep)
        for i in self._flashes(cut):
            at = min(round(self._times[i] * SYNC_RATE), frames - 1)
            felt[at] += _BRIGHT * _brighter(self._small[i - 1], self._small[i])
        envelope, onsets = strikes(felt, parts, share, rise)
        return Motion(
            rate=float(SYNC_RATE),
            directogram=grid.mean(1),
            grid=grid,
            envelope=envelope,
            level=grid.mean(1).sum(1),
            centre=_centre(places),
            camera=camera,
            onsets=onsets,
        )

    def _flashes(self, cut: set[float]) -> list[int]:
        """Pictures at which it suddenly becomes bright, and soon dark again."""
        light, times = np.asarray(self._light), np.asarray(self._times)
        found = []
        for i in np.flatnonzero(np.diff(light) >= _FLASH) + 1:
            soon = light[(times >= times[i]) & (times < times[i] + _OUT)]
            top = int(np.argmax(soon))
            goes_out = soon[top:].min() - light[i - 1] < (soon[top] - light[i - 1]) / 2
            if goes_out and times[i] not in cut:
                found.append(int(i))
        return found

    def _resampled(self, steps: list[Floats], shape: tuple[int, ...], frames: int) -> Floats:
        """What happened in each span -> [frames, *shape], what happened in each frame; evenly within a span."""
        if not steps:
            return np.zeros((frames, *shape), np.float32)
        flat = np.stack(steps).reshape(len(steps), -1).astype(np.float64)
        starts, ends = np.array(self._spans).T
        if ends[-1] == self._times[-1]:  # still moving when the clip ends: while the last picture stands, too
            flat = np.append(flat, flat[-1:] * (_LONGEST / (ends[-1] - starts[-1])), axis=0)
            starts, ends = np.append(starts, ends[-1]), np.append(ends, ends[-1] + _LONGEST)
        total = np.append(np.zeros_like(flat[:1]), np.cumsum(flat, axis=0), axis=0)
        knots = np.stack([starts, ends], 1).ravel()
        sums = np.stack([total[:-1], total[1:]], 1).reshape(len(knots), -1)
        at = np.arange(frames + 1) / SYNC_RATE
        columns = [np.interp(at, knots, sums[:, i]) for i in range(sums.shape[1])]
        return np.diff(np.stack(columns, 1), axis=0).reshape(frames, *shape).astype(np.float32)


def measure(
    pictures: Iterable[Picture] | Picture,
    rate: float | Fraction = SYNC_RATE,
    seconds: float | Fraction | None = None,
) -> Motion:
    """Motion of uint8 [H, W, 3] pictures (or one [T, H, W, 3] array) that follow one another at `rate`.

    `seconds` is the length of the clip, by default of all its pictures. No picture at all gives no motion.
    """
    meter, count = Meter(), 0
    for count, picture in enumerate(pictures, start=1):
        meter.add(float((count - 1) / Fraction(rate)), picture)
    return meter.motion(count / Fraction(rate) if seconds is None else seconds)


def strikes(
    felt: Floats, parts: Iterable[Shot], share: float = _SHARE, rise: float = _RISE
) -> tuple[Floats, tuple[Onset, ...]]:
    """Impacts in cells [T, rows, columns] -> the envelope [T] and its onsets, each shot by itself.

    An onset has this `share` of the strongest around, and rises by this share of it above the valleys beside.
    """
    envelope = np.zeros(len(felt), np.float32)
    sudden = np.zeros_like(felt)
    peaks: list[int] = []
    for part in parts:
        first, end = round(part.start * SYNC_RATE), min(round(part.end * SYNC_RATE), len(felt))
        if end <= first:
            continue
        sudden[first:end] = _sudden(felt[first:end])
        # The root lets a small part that strikes be felt beside a large part that only moves.
        envelope[first:end] = np.sqrt(sudden[first:end]).mean((1, 2))
        peaks += [first + k for k in _peaks(envelope[first:end], share, rise)]
    highest = envelope[peaks].max(initial=0.0)
    onsets = tuple(
        Onset(_centroid(envelope, k) / SYNC_RATE, float(envelope[k] / highest), *_place(sudden[k]))
        for k in peaks
    )
    return envelope, onsets


def sync_features(motion: Motion) -> Floats:
    """[Ts, 32] at 25 a second, about -1 to 1: what the audio model may know of the motion.

    Directions (8), parts of the picture (9), loss of speed in each part (9), impact envelope, level, place (2),
    camera (2).
    """
    parts = motion.grid.sum(-1)
    later = np.concatenate([motion.grid[1:], motion.grid[-1:]])
    loss = np.maximum(motion.grid - later, 0).sum(-1)
    return np.concatenate(
        [
            _compressed(motion.directogram * ANGLES),
            _compressed(parts),
            _compressed(loss),
            _compressed(4 * motion.envelope[:, None]),
            _compressed(motion.level[:, None]),
            2 * motion.centre - 1,
            np.sign(motion.camera) * _compressed(np.abs(motion.camera)),
        ],
        axis=1,
    ).astype(np.float32)


def strongest_region(activity: Floats) -> Box | None:
    """Map of activity [rows, columns] -> the box round the connected part, above half the peak, that moves most."""
    rows, columns = activity.shape
    if activity.max(initial=0) < _STILL:
        return None
    count, label = cv2.connectedComponents((activity >= activity.max() / 2).astype(np.uint8), connectivity=8)
    best = max(range(1, count), key=lambda part: float(activity[label == part].sum()))
    y, x = np.nonzero(label == best)
    # One cell more on each side: flow is coarse, and what strikes is at the edge of what moves.
    return Box(
        max(0.0, (x.min() - 1) / columns),
        max(0.0, (y.min() - 1) / rows),
        min(1.0, (x.max() + 2) / columns),
        min(1.0, (y.max() + 2) / rows),
    )


def _compressed(size: Floats) -> Floats:
    """Pixels a frame, 0 to about 50 -> 0 to about 1, with most room for slow motion."""
    return (np.log1p(2 * size) / 4).astype(np.float32)


def _brighter(before: Picture, now: Picture) -> Floats:
    """Two small pictures -> [6, 8]: rise of the logarithm of luminance."""
    light, earlier = (np.log(greyed(p) + np.float32(_DARK)) for p in (now, before))
    return np.maximum(means(light - earlier, CELLS), 0)


def _sudden(felt: Floats) -> Floats:
    """Impacts [T, ...] less what goes on all the time, spread over the frames beside: contact is between frames."""
    window = 2 * _SETTLED + 1
    padded = np.pad(felt, ((_SETTLED, _SETTLED), (0, 0), (0, 0)), mode="edge")
    usual = np.median(np.lib.stride_tricks.sliding_window_view(padded, window, axis=0), axis=-1)
    rest = np.pad(np.maximum(felt - usual, 0), ((1, 1), (0, 0), (0, 0)))
    return rest[1:-1] + (rest[:-2] + rest[2:]) / 2


def _peaks(envelope: Floats, share: float, rise: float) -> list[int]:
    """Frames that stand out: highest nearby, a fair share of the strongest around, with a valley on both sides."""
    found: list[int] = []
    reach, apart = int(_NEAR * SYNC_RATE), int(_APART * SYNC_RATE)
    for k in range(len(envelope)):
        before, after = envelope[max(0, k - reach) : k][::-1], envelope[k + 1 : k + 1 + reach]
        value = envelope[k]
        if value < _LEAST or value <= before[:apart].max(initial=0) or value < after[:apart].max(initial=0):
            continue
        strongest = max(value, before.max(initial=0), after.max(initial=0))
        above = value - max(_valley(before, value), _valley(after, value))
        if value >= share * strongest and above >= rise * strongest:
            found.append(k)
    return found


def _valley(side: Floats, value: float) -> float:
    """The lowest on the way from a peak to anything higher; 0 beyond the end."""
    higher = np.flatnonzero(side > value)
    return float(side[: higher[0]].min(initial=value)) if len(higher) else 0.0


def _centroid(curve: Floats, k: int) -> float:
    """A peak between frames: the centre of weight of it and its two neighbours."""
    near = np.arange(max(0, k - 1), min(len(curve), k + 2))
    return float((curve[near] * near).sum() / curve[near].sum())


def _place(cells: Floats) -> tuple[float, float]:
    """[rows, columns] -> (x, y) of the strongest part, 0 to 1."""
    weight = cells.astype(np.float64) ** 2
    rows, columns = cells.shape
    y = (weight.sum(1) * (np.arange(rows) + 0.5)).sum() / weight.sum() / rows
    x = (weight.sum(0) * (np.arange(columns) + 0.5)).sum() / weight.sum() / columns
    return float(x), float(y)


def _centre(places: Floats) -> Floats:
    """Activity [T, rows, columns] -> (x, y) [T, 2] of its centre over a quarter second; still pictures: the middle."""
    frames, rows, columns = places.shape
    if frames == 0:
        return np.zeros((0, 2), np.float32)
    smooth = cv2.blur(places.reshape(frames, -1) ** 2, (1, 7), borderType=cv2.BORDER_REPLICATE).reshape(
        places.shape
    )
    weight = smooth.sum((1, 2)) + 1e-3
    x = (smooth.sum(1) @ ((np.arange(columns) + 0.5) / columns) + 0.5e-3) / weight
    y = (smooth.sum(2) @ ((np.arange(rows) + 0.5) / rows) + 0.5e-3) / weight
    return np.stack([x, y], 1).astype(np.float32)
