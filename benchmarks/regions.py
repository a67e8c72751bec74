"""How well the default tracker follows things, and how fast.

    python benchmarks/regions.py [--scenes 36] [--seed 0] [--plain] [--json] [--pictures DIR]

Scenes are the benchmark's acts (`reasound.data.scenes`), with the truth known: something passes in front of the thing
and the camera shakes (not with --plain). The tracker is given the box at a moment when the thing is wholly seen; in a
second run, a click in the thing's middle. IoU is the mean over all frames in which the thing is seen; a frame in which
the tracker says that it is lost counts 0. `gone`: share of the frames without the thing of which the tracker says so.
Speed is for a clip of 9 s at 640x480 and 30 frames a second.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from reasound.data.scenes import acts
from reasound.data.scenes.benchmark import write_film
from reasound.data.scenes.covered import Covered, cover
from reasound.data.scenes.heldout import Heldout
from reasound.data.scenes.truth import FPS, Film
from reasound.media.video import Clip
from reasound.perception.regions import Click, Drawn, Track, track
from reasound.perception.regions.value import box_of
from reasound.plan import Region

SECONDS = 4


def staged(i: int, seed: int, heldout: Heldout, plain: bool) -> tuple[str, Covered, str]:
    """(kind, film, thing) of scene i."""
    rng = np.random.default_rng((seed, i))
    kind = acts.KINDS[i % len(acts.KINDS)]
    scene = acts.stage(kind, heldout, rng, Fraction(SECONDS))
    thing = max(scene.events, key=lambda e: sum(scene.film.mask(e.id, k).sum() for k in range(0, 100, 10))).id
    hard = not plain
    return kind, cover(scene.film, thing, rng, hard, hard), thing


def start(masks: list[np.ndarray]) -> int:
    """A frame in the first or last third in which as much of the thing is seen as nearly ever."""
    area = np.array([m.sum() for m in masks])
    whole = [k for k in np.flatnonzero(area >= 0.9 * np.percentile(area, 90)) if _free(masks[k])]
    whole = whole or list(np.flatnonzero(area == area.max()))
    return int(whole[len(whole) // 6])


def _free(mask: np.ndarray) -> bool:
    return not (mask[:, 0].any() or mask[:, -1].any())


def iou(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    inner = float(np.prod(np.maximum(high - low, 0)))
    return inner / (float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - inner)


def scored(track: Track, masks: list[np.ndarray]) -> tuple[float, float, float]:
    """Mean IoU of boxes, mean IoU of masks, share of the empty frames that are called empty."""
    boxes, inner, gone = [], [], []
    for k, mask in enumerate(masks):
        truth = box_of(mask)
        if truth is None:
            gone.append(not track.present[k])
        elif mask.sum() >= 12:
            boxes.append(iou(track.boxes[k], truth) if track.present[k] else 0.0)
            found = cv2.resize(track.masks[k].astype(np.uint8), mask.shape[::-1]) > 0
            inner.append(float((found & mask).sum() / (found | mask).sum()))
    return float(np.mean(boxes)), float(np.mean(inner)), float(np.mean(gone)) if gone else float("nan")


def speed() -> tuple[float, float]:
    """Seconds of wall clock and of processor for 9 s of 480p."""
    rng = np.random.default_rng(0)
    wall = cv2.resize(rng.integers(0, 255, (30, 40, 3), np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with av.open(str(path), "w") as file:
            stream = file.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "20"})
            stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
            for k in range(270):
                picture = wall.copy()
                cv2.circle(picture, (100 + k, 240 + round(80 * np.sin(k / 20))), 50, (230, 40, 30), -1)
                file.mux(
                    stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture, np.uint8), format="rgb24"))
                )
            file.mux(stream.encode(None))
        clip = Clip.open(path)
        wall_clock, processor = time.perf_counter(), time.process_time()
        track(clip, Click(0.37, 0.65), 4.5)
        return time.perf_counter() - wall_clock, time.process_time() - processor


def drawn(film: Film, masks: list[np.ndarray], found: Track, path: Path) -> None:
    """A sheet of eight frames with the box that was found (green) and the true one (red)."""
    tiles = []
    for k in np.linspace(0, film.frames - 1, 12).astype(int):
        picture = film.picture(int(k)).copy()
        size = np.array(picture.shape[1::-1] * 2)
        for box, colour in ((box_of(masks[k]), (255, 0, 0)), (found.boxes[k], (0, 255, 0))):
            if box is not None and (colour[0] or found.present[k]):
                x0, y0, x1, y1 = (int(v) for v in np.round(box * size))
                cv2.rectangle(picture, (x0, y0), (x1, y1), colour, 1)
        edge = cv2.morphologyEx(
            found.masks[k].astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)
        )
        edge = cv2.resize(edge, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        picture[edge > 0] = (255, 255, 0)
        cv2.putText(picture, f"{k} {found.confidence[k]:.2f}", (4, 14), 0, 0.45, (255, 255, 255), 1)
        tiles.append(picture)
    rows = [np.hstack(tiles[i : i + 4]) for i in range(0, 12, 4)]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=36)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--plain", action="store_true", help="nothing passes in front, the camera is as it is"
    )
    parser.add_argument("--pictures", type=Path, help="a sheet of each scene goes here")
    parser.add_argument("--json", action="store_true", help="rows as JSON instead of a table")
    options = parser.parse_args()
    heldout, rows = Heldout.load(), []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(options.scenes):
            kind, film, thing = staged(i, options.seed, heldout, options.plain)
            path = Path(folder) / "film.mp4"
            write_film(film, path)
            masks = [film.mask(thing, k) for k in range(film.frames)]
            k = start(masks)
            truth = box_of(masks[k])
            assert truth is not None
            x0, y0, x1, y1 = (float(v) for v in truth)
            y, x = np.nonzero(masks[k])
            nearest = int(np.argmin((x - x.mean()) ** 2 + (y - y.mean()) ** 2))
            click = Click((x[nearest] + 0.5) / masks[k].shape[1], (y[nearest] + 0.5) / masks[k].shape[0])
            row: dict[str, object] = {"scene": i, "kind": kind}
            for name, query in (("box", Drawn(Region(x0=x0, y0=y0, x1=x1, y1=y1))), ("click", click)):
                found = track(Clip.open(path), query, k / FPS)
                row[name], row[f"{name}_mask"], row[f"{name}_gone"] = scored(found, masks)
                if options.pictures:
                    drawn(film, masks, found, options.pictures / f"{i:03}-{kind}-{name}.png")
            rows.append(row)
            if not options.json:
                print(
                    " ".join(f"{v:9.2f}" if isinstance(v, float) else f"{v!s:9}" for v in row.values()),
                    flush=True,
                )
    columns = ("box", "box_mask", "box_gone", "click", "click_mask", "click_gone")
    told = {}
    for c in columns:
        values = np.array([row[c] for row in rows], float)
        told[c] = [float(np.nanmean(values)), float(np.nanmedian(values))]
    wall_clock, processor = speed()
    told["seconds for 9 s of 480p: wall clock, processor"] = [wall_clock, processor]
    if options.json:
        print(json.dumps({"rows": rows, "means and medians": told}))
        return
    for name, (mean, median) in told.items():
        print(f"{name:48} {mean:6.3f} {median:6.3f}" + ("" if " " in name else "   (mean, median)"))


if __name__ == "__main__":
    main()
