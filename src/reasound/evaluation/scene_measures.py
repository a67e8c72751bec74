"""What is measured of a made scene, and what each number means."""

from __future__ import annotations

from reasound.evaluation.report import Measure

TIME = {
    "onset_f1": Measure("onsets within 100 ms of true ones", "", "higher", 3, "onset-f1/100ms/foreground"),
    "onset_ap": Measure(
        "average precision of the onsets, clearest first", "", "higher", 3, "onset-ap/100ms/foreground"
    ),
    "onset_error": Measure(
        "mean distance of the onsets that match", "ms", "lower", 0, "onset-error/100ms/foreground"
    ),
    "event_precision": Measure(
        "stretches of sound that are true ones", "", "higher", 3, "event-pr/iou.5/20dB"
    ),
    "event_recall": Measure("true stretches of sound that are found", "", "higher", 3, "event-re/iou.5/20dB"),
    "event_iou": Measure(
        "seconds in which both sound over seconds in which either does", "", "higher", 3, "event-iou/20dB"
    ),
}
PLACE = {
    "pan_error": Measure("left against right, at the true events", "dB", "lower", 1, "pan/level-difference"),
    "pan_side": Measure("events aside that are on the right side", "", "higher", 3, "pan/side-1dB"),
    "level_error": Measure(
        "balance of the events, whole level taken out", "dB", "lower", 1, "level/relative"
    ),
}
SOUND = {
    "classes_heard": Measure(
        "true classes that YAMNet hears, of those it hears in the truth", "", "higher", 3, "yamnet-class/top5"
    ),
    "tag_kl": Measure("KL(truth || this) of YAMNet's tags", "nats", "lower", 2, "yamnet-kl/mean"),
    "spectral": Measure("log-spectral distance from the truth", "dB", "lower", 1, "lsd/46ms/60dB"),
    "mel": Measure("log-mel distance from the truth", "Np", "lower", 2, "mel/64/46ms/60dB"),
    "frechet": Measure(
        "Frechet distance of YAMNet's embeddings to the truth's; small sets make it larger",
        "",
        "lower",
        1,
        "yamnet-fd/windows",
    ),
    "frechet_unbiased": Measure(
        "the same, extrapolated to an endless set", "", "lower", 1, "yamnet-fd-infinity/windows"
    ),
}
FINISH = {
    "loudness_off": Measure("distance from the loudness asked for", "LU", "lower", 2, "bs1770-4"),
    "peak_over": Measure("true peak above the one allowed", "dB", "lower", 2, "bs1770-4"),
    "length_error": Measure("samples too many or too few", "samples", "lower", 0, "length"),
    "stem_null": Measure("sum of the layers less the mix", "dBFS", "lower", 0, "stem-null"),
    "repeats": Measure("made twice, the same bytes", "", "higher", 2, "determinism"),
    "speech_extra": Measure("speech that the truth has not", "", "lower", 3, "yamnet-leak/speech/excess"),
    "music_extra": Measure("music that the truth has not", "", "lower", 3, "yamnet-leak/music/excess"),
}
CONTROL = {
    "moment_f1": Measure(
        "onsets of an event where they were asked for, 50 ms", "", "higher", 3, "control/moment-50ms"
    ),
    "place_error": Measure("left against right of an event", "dB", "lower", 1, "control/pan"),
    "place_side": Measure("events on the side asked for", "", "higher", 3, "control/side-1dB"),
    "sound_right": Measure(
        "events whose class is heard, of those heard in the truth", "", "higher", 3, "control/yamnet-top5"
    ),
    "moved": Measure(
        "an event moved by 1 s in the plan moves in the sound", "", "higher", 3, "control/moved-1s"
    ),
    "removed": Measure(
        "without an event in the plan, all others sound the same", "", "higher", 3, "control/removed"
    ),
}
FOLLOWED = {
    "own_moments": Measure("onsets that this plan asks for, 50 ms", "", "higher", 3, "own-plan/moment-50ms"),
    "own_classes": Measure(
        "events of this plan whose class is heard", "", "higher", 3, "own-plan/yamnet-top5"
    ),
}
PLAN = {
    "plan_recall": Measure("true events in the plan, by class", "", "higher", 3, "plan/recall"),
    "plan_group_recall": Measure(
        "true events in the plan, by group of classes", "", "higher", 3, "plan/recall-group"
    ),
    "plan_precision": Measure(
        "events of the plan that are true, by class", "", "higher", 3, "plan/precision"
    ),
    "plan_class": Measure("right class where an event overlaps a true one", "", "higher", 3, "plan/class"),
    "plan_onset_f1": Measure(
        "planned onsets within 100 ms of true ones", "", "higher", 3, "plan/onset-100ms"
    ),
    "plan_onset_error": Measure("mean distance of those that match", "ms", "lower", 0, "plan/onset-error"),
    "plan_pan_error": Measure("distance of the pans of right events, 0 to 2", "", "lower", 2, "plan/pan"),
}
EDIT = {
    "edit_outside": Measure(
        "change outside the span, against the sound there", "dB", "lower", 0, "edit/outside"
    ),
    "edit_mel": Measure("log-mel distance from the right answer in the span", "Np", "lower", 2, "edit/mel"),
    "edit_target": Measure(
        "distance of the target's presence from that in the right answer", "dB", "lower", 1, "edit/presence"
    ),
    "edit_click": Measure(
        "step at the borders of the span beyond the usual", "dB", "lower", 1, "edit/seam-step"
    ),
    "edit_jump": Measure(
        "change of level at the borders beyond the usual", "dB", "lower", 1, "edit/seam-jump"
    ),
    "edit_identical": Measure(
        "samples outside the span that are equal bit for bit", "", "higher", 3, "edit/identical"
    ),
    "edit_level": Measure("level of the target in the span, against its stem", "dB", "", 1, "edit/level"),
    "edit_rest": Measure("level of the rest in the span, against its own", "dB", "", 1, "edit/rest"),
    "edit_sdr": Measure("SI-SDR to the right answer in the span", "dB", "higher", 1, "edit/si-sdr"),
    "edit_kept": Measure(
        "share of edits in which what should stay changed by 1.5 dB at most", "", "higher", 3, "edit/kept"
    ),
    "edit_done": Measure(
        "share of edits done: what should be gone is 12 dB down, what should stay is within 3 dB, what is new is at "
        "least as loud as 6 dB below the right one",
        "",
        "higher",
        3,
        "edit/done",
    ),
}
MEASURES = TIME | PLACE | SOUND | FINISH | CONTROL | FOLLOWED | PLAN | EDIT
