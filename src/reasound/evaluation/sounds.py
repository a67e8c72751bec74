"""Sounds that any system made, against the real ones of the same names, by what our own are judged by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reasound.data.sets import VIDEOS
from reasound.errors import UserError
from reasound.evaluation.about import about
from reasound.evaluation.clips import MEASURES as CLIP_MEASURES
from reasound.evaluation.field import Field
from reasound.evaluation.heard import Audio, Heard, compared
from reasound.evaluation.report import Report, build
from reasound.evaluation.tag_scores import frechet
from reasound.media import audio as audio_files
from reasound.media.video import Clip
from reasound.pipeline import Report as Tell
from reasound.pipeline import quiet
from reasound.timeline import SAMPLE_RATE

SOUNDS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".aiff")
MEASURES = {name: measure for name, measure in CLIP_MEASURES.items() if not name.startswith("struck_")}
SYSTEMS = {"real": "the real sound, measured like the others: the ceiling", "made": "the sounds to be judged"}
TABLES = (
    ("In time?", ("onset_f1", "onset_ap", "onset_error")),
    ("The right sound?", ("tags_shared", "tag_kl", "frechet")),
    ("Level, and what must not be heard", ("loudness", "loudness_off", "true_peak", "speech", "music")),
)


def evaluate(
    made: Path,
    reference: Path,
    *,
    protocols: Sequence[str] = (),
    weights: Path | None = None,
    seed: int = 0,
    tell: Tell = quiet,
) -> Report:
    """The report on every sound or video of folder `made` that has one of the same name (without its ending) in
    `reference`; all that has none is listed. UserError where no two belong together."""
    ours, theirs = _files(made), _files(reference)
    field = Field(protocols, weights)
    names = sorted(ours.keys() & theirs.keys())
    alone = [(name, f"it has no counterpart in {reference}") for name in sorted(ours.keys() - theirs.keys())]
    alone += [(name, f"it has no counterpart in {made}") for name in sorted(theirs.keys() - ours.keys())]
    unscored = [{"id": name, "system": "", "reason": reason} for name, reason in alone]
    items, parts = [], []
    for k, name in enumerate(names):
        try:
            sound, real = _sound(ours[name]), _sound(theirs[name])
        except UserError as error:
            unscored.append({"id": name, "system": "", "reason": str(error)})
            continue
        video = next((p for p in (theirs[name], ours[name]) if p.suffix.lower() in VIDEOS), None)
        heard, truth = Heard.of(sound), Heard.of(real)
        rows = {"real": compared(truth, truth, truth.onsets), "made": compared(heard, truth, truth.onsets)}
        more, problems = field.score({"made": sound}, real, Clip.open(video) if video else None)
        for system, found in more.items():
            rows[system] |= found
        unscored += [{"id": name, "system": system, "reason": reason} for system, reason in problems]
        items.append({"id": name, "kind": "", "seconds": truth.seconds, "scores": rows})
        parts.append((truth.embeddings, heard.embeddings))
        tell("sounds", (k + 1) / len(names))
    if not items:
        raise UserError(
            f"{made} and {reference} have no sound of the same name; files belong together by their names"
        )
    real_set, made_set = (np.concatenate(column) for column in zip(*parts, strict=True))
    whole: dict[str, dict[str, float]] = {"real": {}, "made": {}}
    if min(len(real_set), len(made_set)) > 1:  # one window has no spread
        whole = {"real": {"frechet": 0.0}, "made": {"frechet": float(frechet(real_set, made_set))}}
    for system, row in field.whole().items():
        whole[system] |= row
    tables = [{"title": title, "measures": list(names), "systems": list(SYSTEMS)} for title, names in TABLES]
    if field.names:
        tables.append(
            {"title": "Measures of the field", "measures": list(field.measures), "systems": list(SYSTEMS)}
        )
    return build(
        "sounds",
        f"{len(items)} sounds against the real ones",
        about=about(seed=seed, protocols=list(field.names)) | {"seed": seed},
        measures=MEASURES | field.measures,
        systems=SYSTEMS,
        tables=tables,
        items=items,
        whole=whole,
        unscored=unscored,
        seed=seed,
    )


def _files(folder: Path) -> dict[str, Path]:
    """Name without ending -> file; of two of one name the sound."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    found: dict[str, Path] = {}
    for endings in (VIDEOS, SOUNDS):
        found |= {
            p.relative_to(folder).with_suffix("").as_posix(): p
            for p in sorted(folder.rglob("*"))
            if p.suffix.lower() in endings
        }
    return found


def _sound(path: Path) -> Audio:
    """[2, N] at 44.1 kHz, of a sound file or of a video's track. UserError where there is none."""
    if path.suffix.lower() in VIDEOS:
        audio = Clip.open(path).audio()
        if audio is None:
            raise UserError(f"{path} has no sound track")
        return audio
    sound, rate = audio_files.read(path)
    return audio_files.resample(audio_files.to_stereo(sound), rate, SAMPLE_RATE)
