"""One look through a clip: everything that perception knows of it, from a single decoding pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from reasound.media.video import Clip, Picture
from reasound.perception.features import Box, Features, Floats, Shot
from reasound.perception.labels import Labels, conse, sightings
from reasound.perception.motion import Meter, sync_features
from reasound.perception.stuff import Watcher
from reasound.timeline import VISUAL_RATE, Timeline

LOOKS = 2
"""Times a second that the labels look; things do not change faster, and looking is what costs most."""

_SHORTER_SIDE = 256  # pixels: what the labels need of the picture; motion makes do with less
_BATCH = 8  # looks that are taken together; more pictures than these are never in memory
_REACH = 0.5  # seconds of motion before and after a look that say where to look closely


def watch(clip: Clip, labels: Labels, progress: Callable[[float], None] | None = None) -> Features:
    """See the whole clip once; memory does not grow with its length or size beyond a few kB a frame.

    `progress` is told the share of the clip that is done, 0 to 1.
    """
    seconds = float(clip.seconds)
    meter, looks, watcher = Meter(), _Looks(labels, seconds), Watcher()
    width = max(1, round(_SHORTER_SIDE * clip.width / min(clip.width, clip.height)))
    for time, picture in clip.frames(width=width):
        meter.add(time, picture)
        looks.add(time, picture, meter)
        watcher.add(time, picture)
        if progress is not None:
            progress(min(1.0, time / seconds))
    looks.take(meter, final=True)
    shots = meter.shots(clip.seconds)
    probabilities = spread(np.concatenate(looks.pooled), looks.times, shots, Timeline(clip.seconds).visual)
    motion = meter.motion(clip.seconds)
    return Features(
        seconds=seconds,
        visual=conse(probabilities, labels.class_vectors),
        probabilities=probabilities,
        sightings=sightings(
            np.concatenate(looks.pooled), looks.times, labels.names, looks.boxes, np.concatenate(looks.close)
        ),
        colour=meter.colour(clip.seconds),
        motion=motion,
        sync=sync_features(motion),
        shots=shots,
        traces=watcher.traces(motion, seconds),
    )


def unseen(seconds: float) -> Features:
    """The features of a clip of which no picture is seen: nothing is there and nothing moves."""
    blind = Meter()
    motion = blind.motion(seconds)
    frames = Timeline(seconds).visual
    return Features(
        seconds=seconds,
        visual=np.zeros((frames, 384), np.float32),
        probabilities=np.zeros((frames, 1000), np.float32),
        sightings=(),
        colour=blind.colour(seconds),
        motion=motion,
        sync=sync_features(motion),
        shots=blind.shots(seconds),
    )


class _Looks:
    """Takes the picture on screen in the middle of each half second, and has the labels look at a few at a time."""

    def __init__(self, labels: Labels, seconds: float) -> None:
        count = max(1, round(seconds * LOOKS))
        self.times = [(i + 0.5) * seconds / count for i in range(count)]
        self.pooled: list[Floats] = []
        self.close: list[Floats] = []
        self.boxes: list[Box | None] = []
        self._labels = labels
        self._waiting: list[Picture] = []
        self._shown: Picture | None = None

    def add(self, time: float, picture: Picture, meter: Meter) -> None:
        """The next picture; those looks are due whose time comes before its own."""
        self._due(time)
        self._shown = picture
        if (
            len(self._waiting) >= _BATCH
            and time >= self.times[len(self.boxes) + len(self._waiting) - 1] + _REACH
        ):
            self.take(meter)

    def take(self, meter: Meter, final: bool = False) -> None:
        if final:
            self._due(float("inf"))
        for start in range(0, len(self._waiting), _BATCH):
            pictures = self._waiting[start : start + _BATCH]
            times = self.times[len(self.boxes) : len(self.boxes) + len(pictures)]
            boxes = [meter.box(time, _REACH) for time in times]
            seen = self._labels.look(np.stack(pictures), boxes)
            self.pooled.append(seen.probabilities)
            self.close.append(seen.close)
            self.boxes += seen.boxes
        self._waiting = []

    def _due(self, time: float) -> None:
        taken = len(self.boxes) + len(self._waiting)
        for when in self.times[taken:]:
            if when >= time or self._shown is None:
                break
            self._waiting.append(self._shown)


def spread(looks: Floats, times: Sequence[float], shots: Sequence[Shot], frames: int) -> Floats:
    """Looks [L, C] at those times -> [frames, C] at 8 a second: straight lines between looks at the same shot."""
    at = np.arange(frames) / VISUAL_RATE
    when = np.asarray(times)
    found = looks[np.abs(at[:, None] - when).argmin(1)]  # for a shot too short for a look of its own
    for shot in shots:
        mine = np.flatnonzero((when >= shot.start) & (when < shot.end))
        here = np.flatnonzero((at >= shot.start) & (at < shot.end))
        if len(mine) and len(here):
            place = np.interp(at[here], when[mine], mine)
            low = np.floor(place).astype(int)
            high = np.minimum(low + 1, mine[-1])
            share = (place - low)[:, None]
            found[here] = looks[low] * (1 - share) + looks[high] * share
    return found.astype(np.float32)
