"""Trackers and finders with weights, through transformers: SAM 2, SAM 3 and EdgeTAM follow a click or a box, Grounding
DINO finds what a phrase names. Pictures are prepared by OpenCV; torchvision is not needed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from reasound.errors import UserError
from reasound.media.video import Clip, Picture
from reasound.perception.features import Features, Floats, Shot
from reasound.perception.regions.phrase import Found, chosen, sided
from reasound.perception.regions.reel import Reel, for_all_frames, smoothed_gaps
from reasound.perception.regions.value import Click, Drawn, Track, box_of
from reasound.plan import Region

SIDE = 1024
"""Pixels of the longer side of the pictures that the networks are given; they make squares of them themselves."""
FOUND = 0.3
"""Score from which Grounding DINO's boxes count."""
_OUTPUT = 320  # pixels of the longer side of masks, as those of the default tracker
_WEIGHTS = ("*.safetensors", "*.bin")
_CONFIGS = ("video_preprocessor_config.json", "preprocessor_config.json")
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class _Family(NamedTuple):
    """Classes of transformers, by name, and how pictures are made even where the folder does not say."""

    model: str
    session: str
    even: tuple[tuple[float, ...], tuple[float, ...]]


FAMILIES = {
    "sam2": _Family("Sam2VideoModel", "Sam2VideoInferenceSession", _IMAGENET),
    "edgetam": _Family("EdgeTamVideoModel", "EdgeTamVideoInferenceSession", _IMAGENET),
    # The tracker of SAM 3: what follows clicks and boxes. Its weights are those of the whole SAM 3 folder.
    "sam3": _Family("Sam3TrackerVideoModel", "Sam3TrackerVideoInferenceSession", ((0.5,) * 3, (0.5,) * 3)),
}


class Segmenter:
    """A video segmenter in a folder, or in Hugging Face's cache under its hub name. It loads when first needed."""

    def __init__(self, kind: str, where: str, *, device: str = "auto", download: bool = False) -> None:
        """`kind`: of FAMILIES. `device`: "cpu", "cuda", "mps" or "auto". `download`: the user allowed to get a hub
        name that is not here."""
        self.name, self.family, self.where = f"{kind}:{where}", FAMILIES[kind], where
        self.device, self.download = device, download
        self._loaded: tuple[Any, Any] | None = None

    def follow(self, clip: Clip, query: Click | Drawn, at: float, shots: Sequence[Shot] = ()) -> Track:
        """See `Tracker.follow`. Confidence is the network's own: how likely the thing is in the picture."""
        import torch
        import transformers

        model, (mean, deviation) = self.load()
        reel = Reel(clip, at, shots, SIDE)
        start, side = reel.number(at), _side(model.config.image_size)
        session = getattr(transformers, self.family.session)(
            video_height=reel[start].shape[0],
            video_width=reel[start].shape[1],
            inference_device=model.device,
            dtype=model.dtype,
        )
        session.processed_frames = _Frames(reel, side, mean, deviation, model.dtype)
        session.add_point_inputs(session.obj_id_to_idx(1), start, _pointed(query, side))
        session.obj_with_new_inputs = [1]
        height, width = reel[start].shape[:2]
        scale = min(1.0, _OUTPUT / max(height, width))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        masks = np.zeros((reel.count, *size), bool)
        sure = np.zeros(reel.count, np.float32)
        with torch.inference_mode():
            for reverse in (False, True):
                for out in model.propagate_in_video_iterator(session, start, reverse=reverse):
                    k = int(out.frame_idx)
                    logits = torch.nn.functional.interpolate(
                        out.pred_masks.float().reshape(1, 1, *out.pred_masks.shape[-2:]),
                        size,
                        mode="bilinear",
                    )[0, 0]
                    there = float(out.object_score_logits.float().sigmoid().flatten()[0])
                    masks[k] = (logits > 0).cpu().numpy() if there >= 0.5 else False
                    sure[k] = there if masks[k].any() else min(there, 0.3)
        boxes = np.zeros((reel.count, 4), np.float32)
        for k in range(reel.count):
            found = box_of(masks[k])
            boxes[k] = (0, 0, 1, 1) if found is None else found
        return for_all_frames(reel, smoothed_gaps(reel, boxes, sure), masks, sure)

    def load(self) -> tuple[Any, tuple[Floats, Floats]]:
        """(model, (mean, standard deviation) [3] of its pictures), loaded once. UserError where it cannot be."""
        if self._loaded is None:

            def opened(transformers: Any, folder: Path) -> tuple[Any, Any]:
                model = getattr(transformers, self.family.model).from_pretrained(
                    folder, local_files_only=True, dtype="auto"
                )
                return model, _evenness(folder, self.family.even)

            model, even = _opened(self, "a model that follows things in a video", opened)
            self._loaded = model.to(_device(self.device)).eval(), even
        return self._loaded


class GroundingDino:
    """Finds what a phrase names in a picture; a model as in `Segmenter`."""

    def __init__(self, where: str, *, device: str = "auto", download: bool = False) -> None:
        self.name, self.where, self.device, self.download = f"grounding-dino:{where}", where, device, download
        self._loaded: tuple[Any, Any] | None = None

    def find(self, clip: Clip, text: str, at: float, features: Features | None = None) -> Region:
        """See `Finder.find`."""
        reel = Reel(clip, at, (), SIDE)
        bare, _ = sided(text)
        matches = [Found(region, score, bare) for region, score in self.boxes(reel[reel.number(at)], bare)]
        seen = [s.name for s in features.sightings[:4]] if features else []
        return chosen(text, matches, seen)

    def boxes(self, picture: Picture, text: str) -> list[tuple[Region, float]]:
        """Boxes of what the text names and their scores, best first, at most ten."""
        import torch

        model, processor = self.load()
        # It was trained on lower-case phrases that end in a full stop.
        said = text.lower().strip().rstrip(".") + "."
        inputs = processor(images=picture, text=said, return_tensors="pt").to(model.device)
        with torch.inference_mode():
            out = model(**inputs)
        scores = out.logits[0].float().sigmoid().amax(-1).cpu().numpy()
        found = []
        for k in np.argsort(-scores, kind="stable")[:10]:
            x, y, width, height = (float(v) for v in out.pred_boxes[0, k])
            x0, y0 = max(0.0, x - width / 2), max(0.0, y - height / 2)
            x1, y1 = min(1.0, x + width / 2), min(1.0, y + height / 2)
            if scores[k] >= FOUND and x1 - x0 > 0.004 and y1 - y0 > 0.004:
                found.append((Region(x0=x0, y0=y0, x1=x1, y1=y1), float(scores[k])))
        return found

    def load(self) -> tuple[Any, Any]:
        """(model, processor), loaded once. UserError where it cannot be."""
        if self._loaded is None:

            def opened(transformers: Any, folder: Path) -> tuple[Any, Any]:
                pictures = transformers.AutoImageProcessor.from_pretrained(
                    folder, local_files_only=True, backend="pil"
                )
                words = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
                model = transformers.AutoModelForZeroShotObjectDetection.from_pretrained(
                    folder, local_files_only=True
                )
                return model, transformers.GroundingDinoProcessor(pictures, words)

            model, processor = _opened(self, "a model that finds what a phrase names", opened)
            self._loaded = model.to(_device(self.device)).eval(), processor
        return self._loaded


class _Frames:
    """Pictures of a reel as a network wants them, made when they are asked for: a thousand would not fit in memory."""

    def __init__(
        self, reel: Reel, side: tuple[int, int], mean: Floats, deviation: Floats, dtype: Any
    ) -> None:
        self.reel, self.side, self.mean, self.deviation, self.dtype = reel, side, mean, deviation, dtype

    def __len__(self) -> int:
        return self.reel.count

    def __getitem__(self, k: int) -> Any:
        """[3, side, side]."""
        import torch

        height, width = self.side
        square = (
            cv2.resize(self.reel[k], (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
        )
        even = ((square - self.mean) / self.deviation).transpose(2, 0, 1)
        return torch.from_numpy(np.ascontiguousarray(even)).to(self.dtype)


def _pointed(query: Click | Drawn, side: tuple[int, int]) -> dict[str, Any]:
    """What the prompt encoders read: points in pixels of the square, 1 for a click, 2 and 3 for a box's corners."""
    import torch

    if isinstance(query, Click):
        points, labels = [(query.x, query.y)], [1]
    else:
        points, labels = [(query.box.x0, query.box.y0), (query.box.x1, query.box.y1)], [2, 3]
    size = torch.tensor([side[1], side[0]], dtype=torch.float32)
    return {
        "point_coords": torch.tensor(points, dtype=torch.float32)[None, None] * size,
        "point_labels": torch.tensor(labels, dtype=torch.int32)[None, None],
    }


def _side(size: Any) -> tuple[int, int]:
    """(height, width)."""
    return (int(size), int(size)) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _evenness(folder: Path, usual: tuple[tuple[float, ...], tuple[float, ...]]) -> tuple[Floats, Floats]:
    """Mean and standard deviation that pictures are brought to, as the folder says."""
    for name in _CONFIGS:
        if (folder / name).is_file():
            told = json.loads((folder / name).read_text(encoding="utf-8"))
            if "image_mean" in told and "image_std" in told:
                usual = told["image_mean"], told["image_std"]
                break
    mean, deviation = (np.asarray(v, np.float32) for v in usual)
    return mean, deviation


def _opened(model: Any, what: str, read: Any) -> tuple[Any, Any]:
    """What `read` (transformers, folder) gives; every way in which that can fail as one sentence."""
    try:
        import transformers
        from safetensors import SafetensorError

        folder = _folder(model.where, model.download)
        logging = transformers.utils.logging
        bars = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            return read(transformers, folder)
        except (
            OSError,
            ValueError,
            KeyError,
            RuntimeError,
            AttributeError,
            TypeError,
            SafetensorError,
        ) as error:
            why = " ".join(str(error).split())[:160] or type(error).__name__
            raise UserError(f"{model.where} cannot be opened as {what}: {why}") from error
        finally:
            if bars:
                logging.enable_progress_bar()
    except ImportError as error:
        raise UserError(
            f"{model.name} needs packages that are not here ({error.name or error}); install them with:  "
            "pip install 'reasound[mllm]'"
        ) from error


def _folder(where: str, download: bool) -> Path:
    """Where the files are. Nothing is downloaded unless the user allowed it."""
    folder = Path(where).expanduser()
    if not folder.is_dir():
        folder = _cached(where, download)
    if not (folder / "config.json").is_file():
        raise UserError(f"{where} is not a model folder: it has no config.json")
    if not any(path.stat().st_size for pattern in _WEIGHTS for path in folder.glob(pattern)):
        raise UserError(f"{where} has no weights: there is no .safetensors file in it")
    return folder


def _cached(where: str, download: bool) -> Path:
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    if where.startswith((".", "/", "~")):
        raise UserError(f"there is no folder {where}")
    try:
        return Path(huggingface_hub.snapshot_download(where, local_files_only=not download))
    except HFValidationError as error:
        raise UserError(f"there is no folder {where}, and no model is named so") from error
    except (LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"{where} is not on this machine, and nothing is downloaded unasked; get it with:  hf download {where}"
        ) from error


def _device(asked: str) -> str:
    import torch

    if asked != "auto":
        return asked
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
