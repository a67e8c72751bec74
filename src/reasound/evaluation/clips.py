"""Real clips: sound from the picture alone, held against the sound that was recorded with it.

What a number is worth shows beside the guesses it should beat: silence, our sound of another clip, our onsets at other
moments, a steady beat, and one answer that is the same for every clip.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from reasound.data.sets import Listing, Sample
from reasound.errors import UserError
from reasound.evaluation.about import about
from reasound.evaluation.field import Field
from reasound.evaluation.heard import OURS, THEIRS, Audio, Heard, Scores, compared, constant, levelled
from reasound.evaluation.onsets import TOLERANCE, Seconds, best_constant_rhythm, f1, shifted_f1
from reasound.evaluation.page import Card, Sound
from reasound.evaluation.report import Measure, build
from reasound.evaluation.tag_scores import frechet
from reasound.evaluation.tags import TAGS, heard
from reasound.evaluation.workers import each
from reasound.media import audio as audio_files
from reasound.media.video import Clip
from reasound.pipeline import PEAK, RENDERERS, Reasound, Renderer, Report, better_of, quiet
from reasound.reasoning.knowledge import sound_class
from reasound.stages.foley import usual_loudness
from reasound.take import Layer
from reasound.timeline import SAMPLE_RATE, samples

FAINT = -50.0
"""LUFS: in a track below this there is nothing that a listener would call an onset."""
STRUCK = 4
"""With fewer real onsets than this a clip says little about rhythm."""
FILM = 8
"""Pictures of a clip in the page."""

MEASURES = {
    "onset_f1": Measure("onsets within 100 ms of real ones", "", "higher", 3, "onset-f1/100ms"),
    "onset_ap": Measure("average precision of the onsets, clearest first", "", "higher", 3, "onset-ap/100ms"),
    "onset_error": Measure("mean distance of the onsets that match", "ms", "lower", 0, "onset-error/100ms"),
    "struck_f1": Measure(
        "onset_f1 of the clips in which something strikes", "", "higher", 3, "onset-f1/100ms/struck"
    ),
    "struck_ap": Measure(
        "onset_ap of the clips in which something strikes", "", "higher", 3, "onset-ap/100ms/struck"
    ),
    "struck_error": Measure(
        "onset_error of the clips in which something strikes", "ms", "lower", 0, "onset-error/100ms/struck"
    ),
    "tags_shared": Measure(
        f"share of YAMNet's {THEIRS} best tags of the real sound that are among its {OURS} best of this one",
        "",
        "higher",
        3,
        f"yamnet-tags/{THEIRS}in{OURS}",
    ),
    "tag_kl": Measure(
        "KL(real || this) of YAMNet's tags, mean over the windows", "nats", "lower", 2, "yamnet-kl/mean"
    ),
    "frechet": Measure(
        "Frechet distance of YAMNet's embeddings to those of the real sounds, over all windows of the set",
        "",
        "lower",
        1,
        "yamnet-fd/windows",
    ),
    "loudness": Measure("integrated loudness", "LUFS", "", 1, "bs1770-4"),
    "loudness_off": Measure("how far the loudness is from the real one", "LU", "lower", 1, "bs1770-4"),
    "true_peak": Measure("true peak", "dBTP", "", 1, "bs1770-4"),
    "speech": Measure("speech that YAMNet hears", "", "lower", 3, "yamnet-leak/speech"),
    "music": Measure("music that YAMNet hears", "", "lower", 3, "yamnet-leak/music"),
}
RENDERED = {
    "library": "recordings, placed; it is shown the picture alone",
    "model": "the audio model; it is shown the picture alone",
    "auto": "what ships: each event by the renderer that is better at its class",
}
GUESSES = {
    "silence": "no sound",
    "shuffled": "our sound of another clip of the set, cut or repeated to the length: right for a wrong picture",
    "moved": "our own onsets moved round the clip by 20 even steps, mean: the right rhythm at the wrong moments",
    "one beat": "the steady beat that is best for all clips together, struck ones and others each their own",
    "own beat": "the steady beat that is best for each clip: it is told the real onsets",
    "constant": "one answer for every clip: mean tags of the real sounds of all other clips",
    "best constant": "the constant answer that is best for this set: mean tags of all real sounds, this one too",
}
BEATS, CONSTANTS = ("moved", "one beat", "own beat"), ("constant", "best constant")
ONSETS, STRIKES = ("onset_f1", "onset_ap", "onset_error"), ("struck_f1", "struck_ap", "struck_error")
TABLES: tuple[tuple[dict[str, str], tuple[str, ...], tuple[str, ...]], ...] = (
    ({"title": "In time?"}, ONSETS, CONSTANTS),
    ({"title": "In time? Clips in which something strikes"}, STRIKES, CONSTANTS),
    ({"title": "The right sound?"}, ("tags_shared", "tag_kl", "frechet"), BEATS),
    (
        {"title": "Level, and what must not be heard"},
        ("loudness", "loudness_off", "true_peak", "speech", "music"),
        (*GUESSES,),
    ),
)
"""What stands above each, its measures, and the systems that it says nothing about."""


@dataclass(frozen=True)
class Outcome:
    """All that is kept of one clip."""

    sample: Sample
    seconds: float = 0.0
    made: Mapping[str, Heard] = field(default_factory=dict)
    """Renderer -> its sound; nothing for a clip that could not be opened."""
    real: Heard | None = None
    """The sound that was recorded with it."""
    wanted: Seconds | None = None
    """Real onsets; None where there is no real sound, or one too faint to have any."""
    problem: str = ""
    """Why it is not scored, or not in full."""
    card: Card | None = None
    more: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    """What the measures of the field say, by system."""
    problems: Sequence[tuple[str, str]] = ()
    """(system, why a measure of the field says nothing)."""

    @property
    def struck(self) -> bool:
        """Something strikes in it: clear onsets can be heard, and its class, where it is named, is one of single
        sounds and not of steady ones."""
        if self.real is None or self.wanted is None or len(self.real.onsets) < STRUCK:
            return False
        name = self.sample.sound_class
        return not name or sound_class(name).trigger in ("impact", "step")


def evaluate_clips(
    engine: Reasound,
    listing: Listing,
    *,
    seed: int = 0,
    renderers: Sequence[Renderer] = RENDERERS,
    steps: int | None = None,
    shown: int = 20,
    judges: Field | None = None,
    report: Report = quiet,
) -> tuple[dict[str, Any], list[Card]]:
    """The report, and cards for the page of the first `shown` clips (a card holds their sounds). `judges`: measures of
    the field to take, too.

    `shuffled` and `moved` are made of the sound of "auto", where it is among the renderers, else of the first.

    Raises:
        UserError: no clip can be scored, or the set names a sound class that there is not.
    """
    for sample in listing.samples:
        if sample.sound_class:
            sound_class(sample.sound_class)  # what is misspelt is found before the long work
    judges = judges or Field(())
    work = partial(outcome, seed=seed, renderers=renderers, steps=steps, judges=judges)
    outcomes: list[Outcome] = []
    for k, found in enumerate(each(lambda: engine, work, listing.samples, 1)):
        outcomes.append(found if k < shown else replace(found, card=None))
        report("clips", (k + 1) / len(listing.samples))
    reasons = [*listing.left_out, *((o.sample.id, o.problem) for o in outcomes if o.problem)]
    unscored = [{"id": name, "system": "", "reason": reason} for name, reason in reasons]
    unscored += [
        {"id": o.sample.id, "system": system, "reason": reason}
        for o in outcomes
        for system, reason in o.problems
    ]
    clips = [o for o in outcomes if o.made]
    if not clips:
        raise UserError(f"no clip could be scored: {reasons[0][0]}: {reasons[0][1]}")
    rows = scored(clips, renderers, seed)
    if len(clips) == 1:
        reason = "a set of one clip has no other to take a sound or an answer from"
        unscored += [
            {"id": clips[0].sample.id, "system": s, "reason": reason} for s in ("shuffled", "constant")
        ]
    systems = {"real": "the clip's own sound, measured like ours: the ceiling"}
    systems |= {name: RENDERED[name] for name in renderers} | GUESSES
    tables = TABLES
    if judges.names:
        tables += (({"title": "Measures of the field"}, tuple(judges.measures), (*GUESSES,)),)
    whole = distances(clips)
    for system, row in judges.whole().items():
        whole.setdefault(system, {}).update(row)
    made = build(
        "clips",
        f"{len(clips)} clips: sound from the picture alone, against the sound that was recorded with it",
        about=about(
            engine.model,
            seed=seed,
            steps=steps,
            renderers=list(renderers),
            clips=len(listing.samples),
            protocols=list(judges.names),
        )
        | {"seed": seed},
        measures=MEASURES | judges.measures,
        systems=systems,
        tables=[
            head | {"measures": list(names), "systems": [s for s in systems if s not in without]}
            for head, names, without in tables
        ],
        items=[
            {
                "id": o.sample.id,
                "kind": "impact" if o.struck else "other",
                "seconds": o.seconds,
                "scores": row,
            }
            for o, row in zip(clips, rows, strict=True)
        ],
        whole=whole,
        classes=by_class(clips),
        unscored=unscored,
        seed=seed,
    )
    cards = [replace(o.card, scores=row) for o, row in zip(clips, rows, strict=True) if o.card is not None]
    return made, cards


def outcome(
    engine: Reasound,
    sample: Sample,
    seed: int,
    renderers: Sequence[Renderer],
    steps: int | None,
    judges: Field,
) -> Outcome:
    """Watch a clip, make its sound with each renderer, and measure that and the real one."""
    try:
        clip = Clip.open(sample.video)
        if sample.start or sample.end is not None:
            end = float(clip.seconds) if sample.end is None else min(sample.end, float(clip.seconds))
            clip = clip.cut(sample.start, end)
        features = engine.perceive(clip)
    except UserError as error:
        return Outcome(sample, problem=str(error))
    real, problem = recorded(sample, clip)
    plan, seconds = engine.reason(features), float(clip.seconds)
    layers: dict[str, list[Layer]] = {}
    sounds: dict[str, Audio] = {}
    for name in renderers:
        if name == "auto" and {"library", "model"} <= layers.keys():
            layers[name] = better_of(plan, layers["library"], layers["model"])
        else:
            layers[name] = engine.render(plan, clip.seconds, seed, features, name, steps)
        mix = engine.mix(layers[name], usual_loudness(plan), PEAK).audio
        sounds[name] = mix if layers[name] else np.zeros((2, samples(clip.seconds)), np.float32)
    made = {name: Heard.of(audio) for name, audio in sounds.items()}
    shown = [Sound(name, audio, tuple(made[name].onsets.tolist())) for name, audio in sounds.items()]
    theirs, wanted = None, None
    if real is not None:
        theirs = Heard.of(real)
        wanted, problem = wanted_onsets(sample, theirs, seconds)
        shown.insert(0, Sound("real", real, tuple(theirs.onsets.tolist())))
    card = Card(
        id=sample.id,
        title=sample.caption or sample.id,
        seconds=seconds,
        film=[p for _, p in clip.frames(FILM / clip.seconds, 240, nearest=True, count=FILM)],
        wanted=() if wanted is None else tuple(wanted.tolist()),
        text=f"{plan.caption}\n{plan.chain_of_thought()}",
        sounds=tuple(shown),
        scores={},  # known when all clips are
    )
    more, problems = judges.score(sounds, real, clip, sample.caption, sample.reasoning)
    return Outcome(sample, seconds, made, theirs, wanted, problem, card, more, problems)


def recorded(sample: Sample, clip: Clip) -> tuple[Audio | None, str]:
    """The real sound under the picture, or None and why there is none."""
    if not sample.recorded:
        return None, "its own sound was generated with it, so there is no real one to compare with"
    audio: Audio | None
    if sample.audio is not None:
        try:
            sound, rate = audio_files.read(sample.audio)
        except UserError as error:
            return None, str(error)
        stereo = audio_files.resample(audio_files.to_stereo(sound), rate, SAMPLE_RATE)
        audio = audio_files.fitted(stereo[:, samples(sample.start) :], samples(clip.seconds))
    else:
        audio = clip.audio()
    if audio is None:
        return None, "it has no sound track to compare with"
    if not np.any(audio):
        return None, "its sound track is silent, so there is nothing to compare with"
    return audio, ""


def wanted_onsets(sample: Sample, real: Heard, seconds: float) -> tuple[Seconds | None, str]:
    """Those that the set lists, else those that are found in the real track; for a faint one None, and why."""
    level = real.levels["loudness"]
    if level is None or level < FAINT:
        return None, f"its sound track is below {FAINT:g} LUFS, too faint to have onsets; all else is scored"
    if sample.onsets is None:
        return real.onsets, ""
    listed = np.asarray(sample.onsets, float) - sample.start
    return listed[(listed >= 0) & (listed < seconds)], ""


def scored(clips: Sequence[Outcome], renderers: Sequence[Renderer], seed: int) -> list[dict[str, Scores]]:
    """Clip by clip: system -> measure -> number."""
    ours = "auto" if "auto" in renderers else renderers[0]
    silence = Heard.of(np.zeros((2, SAMPLE_RATE), np.float32))
    others = derangement(len(clips), seed)
    beats = {
        kind: common_beat(
            [(wanted, o.seconds) for o in clips if (wanted := o.wanted) is not None and o.struck == kind]
        )
        for kind in (True, False)
    }
    rows: list[dict[str, Scores]] = []
    for k, clip in enumerate(clips):
        real, wanted = clip.real, clip.wanted
        sounds = clip.made if real is None else {"real": real, **clip.made}
        row = {name: compared(sound, real, wanted) | levelled(sound, real) for name, sound in sounds.items()}
        row["silence"] = compared(silence, real, wanted)
        if len(clips) > 1:
            row["shuffled"] = compared(clips[others[k]].made[ours].fitted(clip.seconds), real, wanted)
        if real is not None:
            rest = [o.real for o in clips if o.real is not None and o is not clip]
            row["constant"] = constant(rest, real) if rest else {}
            row["best constant"] = constant([*rest, real], real)
        if wanted is not None:
            period, phase = beats[clip.struck]
            row["moved"] = {"onset_f1": shifted_f1(clip.made[ours].onsets, wanted, clip.seconds)}
            row["one beat"] = {"onset_f1": f1(np.arange(phase, clip.seconds, period), wanted)}
            row["own beat"] = {"onset_f1": best_constant_rhythm(wanted, clip.seconds)}
        for system, found in clip.more.items():
            row[system] |= found
        if clip.struck:
            for scores in row.values():
                scores |= {s: scores[o] for s, o in zip(STRIKES, ONSETS, strict=True) if o in scores}
        rows.append(row)
    return rows


def distances(clips: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """Frechet distance of each renderer's sounds to the real ones, over the clips that have one."""
    pairs = [({"real": clip.real, **clip.made}, clip.real) for clip in clips if clip.real is not None]
    real = np.concatenate([real.embeddings for _, real in pairs]) if pairs else np.zeros((0, 1024))
    if len(real) < 2:
        return {}
    return {
        name: {"frechet": frechet(real, np.concatenate([sounds[name].embeddings for sounds, _ in pairs]))}
        for name in pairs[0][0]
    }


def by_class(clips: Iterable[Outcome]) -> dict[str, dict[str, dict[str, int]]]:
    """Named class -> system -> in how many clips one of YAMNet's five best tags means it."""
    counted: dict[str, dict[str, dict[str, int]]] = {}
    for clip in clips:
        name = clip.sample.sound_class
        if name not in TAGS:
            continue
        for system, sound in ({"real": clip.real} | dict(clip.made)).items():
            if sound is not None:
                count = counted.setdefault(name, {}).setdefault(system, {"right": 0, "of": 0})
                count["right"] += heard(name, sound.tags)
                count["of"] += 1
    return counted


def derangement(count: int, seed: int) -> list[int]:
    """For each of `count` clips another one: all lie on one circle in random order, so none is its own."""
    order = np.random.default_rng(seed).permutation(count)
    others = np.empty(count, int)
    others[order] = np.roll(order, 1)
    return [int(other) for other in others]


def common_beat(trains: Sequence[tuple[Seconds, float]]) -> tuple[float, float]:
    """(period, phase) in seconds of the steady beat with the best mean F1 over (onsets, seconds) of several clips.

    Periods of 0.1 to 3 s in steps of 2%, every phase in steps of a quarter of the tolerance.
    """
    periods = 0.1 * 1.02 ** np.arange(math.ceil(math.log(30, 1.02)) + 1)
    phases = [np.arange(0, period, TOLERANCE / 4) for period in periods]
    period, phase = np.repeat(periods, [len(p) for p in phases]), np.concatenate(phases)
    total = np.zeros(len(phase))
    for wanted, seconds in trains:
        beats = np.ceil((seconds - phase) / period)
        # Each onset takes the first beat within reach that is free: for a steady beat no other choice gives more.
        hits, free = np.zeros(len(phase)), np.zeros(len(phase))
        for moment in np.sort(wanted):
            beat = np.maximum(free, np.ceil((moment - TOLERANCE - phase) / period - 1e-9))
            hit = (phase + beat * period <= moment + TOLERANCE + 1e-9) & (beat < beats)
            hits += hit
            free = np.where(hit, beat + 1, free)
        total += 2 * hits / np.maximum(beats + len(wanted), 1)
    best = int(np.argmax(total))
    return float(period[best]), float(phase[best])
