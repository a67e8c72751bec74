"""Earlier, later, faster, slower, longer."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from reasound.edit_plan import Operation
from reasound.errors import UserError
from reasound.mixing.spatial import fast_length
from reasound.plan import Ambience, Event
from reasound.stages.edits import filling, level, making, plans
from reasound.stages.edits.stretch import stretched
from reasound.stages.edits.work import ORIGINAL, TAKEN, Audio, Work
from reasound.synthesis.library import rng_for
from reasound.synthesis.textures import extend as continued
from reasound.take import Layer
from reasound.timeline import SAMPLE_RATE, samples

JOIN = 0.15
"""Seconds in which a sound that goes on takes over from what was there."""
FADED = 0.35
"""Seconds at the end of a sound in the clip that were faded out."""
LIKE = 882
"""Samples (20 ms) by which a moment is found that is like the last one."""
CONTEXT = 6.0
"""Seconds of a sound from which it is continued."""
RESTS = 1.5
"""Of its longest pause: what has not been struck for so long has come to rest."""
QUICKEST, FAINTEST = 0.03, 0.05
"""Seconds between two hits at least, and the strength of the last one that is heard of what dies away."""
AT_EDGE = 0.1
"""Seconds from the end of the clip within which a sound is taken to go on beyond it."""


def move(work: Work, operation: Operation) -> None:
    """An exact shift by whole samples."""
    by = operation.amount or 0.0
    span = work.span(operation)
    for layer in work.aimed(operation):
        moved = {name: work.item(name) for name in layer.events}
        if any(isinstance(item, Ambience) for item in moved.values()):
            raise UserError(
                f"cannot move {layer.name!r}: it lies under the whole clip and has no time of its own"
            )
        if span is not None and not all(_covered(i, span) for i in moved.values() if isinstance(i, Event)):
            _move_part(work, layer, span, by)
            continue
        work.put(replace(layer, audio=shifted(layer.audio, samples(by))))
        for name, item in moved.items():
            later = plans.shifted(item, by, work.seconds)
            if later is None:
                raise UserError(f"cannot move {name!r} by {by:g} s: nothing of it would be left in the clip")
            work.plan = plans.changed(work.plan, name, later)


def _move_part(work: Work, layer: Layer, span: tuple[float, float], by: float) -> None:
    share = work.share(span)
    piece = layer.audio * share
    left = np.where(share > 0, layer.audio - piece, layer.audio)
    audio = (left + shifted(piece, samples(by))).astype(np.float32)
    names: list[str] = []
    for name in layer.events:
        item = work.item(name)
        assert isinstance(item, Event)
        if item.onsets:
            chosen = plans.within(item, *span)
            hits = [(t + by if i in chosen else t, s) for i, (t, s) in enumerate(item.hits())]
            later = plans.timed(item, hits, work.seconds)
            new: list[plans.Item] = [] if later is None else [later]
        else:
            new = plans.without(item, *span, work.seconds, work.names())
            part = item.model_copy(update={"start": max(item.start, span[0]), "end": min(item.end, span[1])})
            after = plans.shifted(part, by, work.seconds) if part.end > part.start else None
            if isinstance(after, Event):
                taken = [*work.names(), *(i.id for i in new)]
                new.append(after.model_copy(update={"id": plans.fresh(name, taken) if new else name}))
        work.plan = plans.changed(work.plan, name, *new)
        names += [i.id for i in new]
    work.put(replace(layer, audio=audio, events=tuple(names)))


def shifted(audio: Audio, by: int) -> Audio:
    """[2, N] later by whole samples; what leaves is lost, silence comes in."""
    out = np.zeros_like(audio)
    n = audio.shape[1]
    if by >= 0:
        out[:, min(by, n) :] = audio[:, : max(n - by, 0)]
    else:
        out[:, : max(n + by, 0)] = audio[:, min(-by, n) :]
    return out


def _covered(event: Event, span: tuple[float, float]) -> bool:
    if event.onsets:
        return len(plans.within(event, *span)) == len(event.onsets)
    return span[0] <= event.start + 0.05 and event.end - 0.05 <= span[1]


def speed(work: Work, operation: Operation) -> None:
    """Hits that we rendered come at other times and are rendered again; all else is stretched at its own pitch."""
    factor, span = operation.amount or 1.0, work.span(operation)
    for layer in work.aimed(operation):
        item = work.item(layer.events[0]) if len(layer.events) == 1 else None
        ours = layer.renderer not in (ORIGINAL, TAKEN) and work.engine.released is None
        if ours and isinstance(item, Event) and len(item.onsets) > 1:
            _other_pace(work, layer, item, factor, span)
        else:
            _stretch(work, layer, factor, span)


def _other_pace(
    work: Work, layer: Layer, item: Event, factor: float, span: tuple[float, float] | None
) -> None:
    chosen = plans.within(item, *span) if span else list(range(len(item.onsets)))
    if not chosen:
        raise UserError(f"{item.id!r} has no hit in the span; name another one")
    first = item.onsets[chosen[0]]
    hits = [(first + (t - first) / factor if i in chosen else t, s) for i, (t, s) in enumerate(item.hits())]
    if span is not None:
        hits = [h for i, h in enumerate(hits) if i not in chosen or h[0] < span[1]]
    new = plans.timed(item, hits, work.seconds)
    assert new is not None  # the first one stays
    if (lost := len(item.onsets) - len(new.onsets)) > 0:
        work.note(f"{lost} of the hits of {item.id!r} would come too late and are left out.")
    gain = level.gain_of(replace(layer, gain=0.0, pan=0.0), item) or 0.0
    made = making.scaled(making.rendered(work, new, layer.seed).audio, gain)
    work.put(replace(layer, audio=work.joined(layer.audio, made, span)))
    work.plan = plans.changed(work.plan, item.id, new)


def _stretch(work: Work, layer: Layer, factor: float, span: tuple[float, float] | None) -> None:
    """What lasts goes on as long as before, at its new pace; what happens once is over sooner or later."""
    items = [work.item(name) for name in layer.events]
    lasting = bool(items) and not any(level.struck(i) for i in items)
    item = items[0] if len(items) == 1 else None
    start, end = span or (0.0, work.seconds)
    if span is None and isinstance(item, Event):
        start = max(item.onsets[0] - 0.03, 0.0) if item.onsets else item.start
        end = item.end if lasting else work.seconds
    first, last = samples(start), min(samples(end), work.n)
    made = stretched(layer.audio[:, first:last], factor)
    missing = last - first - made.shape[1]
    if missing > 0 and lasting:
        more = continued([made], missing + samples(JOIN), rng_for(work.seed, layer.name))
        made = _joined(made, more, samples(JOIN))
    audio = layer.audio.copy()
    audio[:, first:last] = 0
    size = min(last - first, made.shape[1])
    audio[:, first : first + size] = made[:, :size]
    work.put(replace(layer, audio=work.joined(layer.audio, audio, span)))
    for one in items:
        if not isinstance(one, Event) or (not one.onsets and lasting):
            text = f"“{one.sound}” runs {factor:g} times as fast."
            work.plan = plans.told(work.plan, text, [one.id], "temporal")
        elif one.onsets:
            hits = [(start + (t - start) / factor if start <= t < end else t, s) for t, s in one.hits()]
            if (new := plans.timed(one, hits, work.seconds)) is not None:
                work.plan = plans.changed(work.plan, one.id, new)
        else:
            stop = min(max(start + (one.end - start) / factor, one.start + 0.05), work.seconds)
            work.plan = plans.changed(work.plan, one.id, one.model_copy(update={"end": stop}))


def extend(work: Work, operation: Operation) -> None:
    amount, side = operation.amount or 0.0, operation.side or "after"
    if not operation.targets:
        _whole(work, amount, side)
        return
    for aimed in work.aimed(operation):
        for name in aimed.events:
            layer, item = next(x for x in work.layers if x.name == aimed.name), work.item(name)
            if not isinstance(item, Event):
                raise UserError(f"{name!r} lies under the whole clip already; extend the clip instead")
            if item.onsets:
                _more_hits(work, layer, item, amount, side)
            else:
                _goes_on_for(work, layer, item, amount, side)


def _goes_on_for(work: Work, layer: Layer, item: Event, amount: float, side: str) -> None:
    """What lasts begins earlier or ends later, inside the clip."""
    start = max(item.start - amount, 0.0) if side == "before" else item.start
    end = item.end if side == "before" else min(item.end + amount, work.seconds)
    if (start, end) == (item.start, item.end):
        raise UserError(f"{item.id!r} reaches the end of the clip already; extend the clip instead")
    first, last = samples(start), min(samples(end), work.n)
    audio, rng, fade = layer.audio.copy(), rng_for(work.seed, item.id), samples(FADED)
    middle = (item.start + item.end) / 2
    if side == "after":
        at = samples(max(item.end - FADED, middle))
        audio[:, at:last] = continuation(audio[:, samples(item.start) : at], last - at, rng)
        if last < work.n:
            _fade(audio[:, max(last - fade, at) : last])
    else:
        at = samples(min(item.start + FADED, middle))
        back = audio[:, at : samples(item.end)][:, ::-1]
        audio[:, first:at] = continuation(back, at - first, rng)[:, ::-1]
        if first > 0:
            _fade(audio[:, first : min(first + fade, at)][:, ::-1])
    work.put(replace(layer, audio=audio))
    work.plan = plans.changed(work.plan, item.id, item.model_copy(update={"start": start, "end": end}))


def _more_hits(work: Work, layer: Layer, item: Event, amount: float, side: str) -> None:
    """It goes on at its own pace."""
    if len(item.onsets) < 2:
        raise UserError(
            f"{item.id!r} sounds once, so it has no pace to go on with; add the sound again instead"
        )
    if work.engine.released is not None:
        raise UserError("thinksound cannot make single hits; use --model pocket for this edit")
    if not (hits := _next_hits(item, amount, side, work.seconds)):
        pace = float(np.median(np.diff(item.onsets)))
        raise UserError(
            f"{item.id!r} has no room for another hit within {amount:g} s at its pace of {pace:.3g} s"
        )
    _strike(work, layer, item, hits)


def _next_hits(item: Event, amount: float, side: str, seconds: float) -> list[tuple[float, float]]:
    """Times and strengths of further hits within `amount` seconds of the first or last one, at the usual pace; what was
    dying away, like a ball that bounces, goes on doing so."""
    times, strengths = (np.asarray(x) for x in zip(*item.hits(), strict=True))
    gaps = np.diff(times)
    pace, strength, quicker, softer = float(np.median(gaps)), float(np.median(strengths)), 1.0, 1.0
    if side == "after" and len(times) > 2 and strengths[-3] > strengths[-2] > strengths[-1] > 0:
        softer = float(np.sqrt(strengths[-1] / strengths[-3]))
        quicker = min(float(gaps[-1] / gaps[-2]), 1.0)
        pace, strength = float(gaps[-1]) * quicker, float(strengths[-1]) * softer
    found: list[tuple[float, float]] = []
    away, way = pace, 1 if side == "after" else -1
    edge = float(times[-1] if side == "after" else times[0])
    while away <= amount + 1e-6 and 0 <= (t := edge + way * away) < seconds and strength > FAINTEST:
        found.append((round(t, 4), strength))
        pace, strength = max(pace * quicker, QUICKEST), strength * softer
        away += pace
    return found


def _strike(
    work: Work,
    layer: Layer,
    item: Event,
    hits: list[tuple[float, float]],
    span: tuple[float, float] | None = None,
) -> None:
    """More hits on the layer of an event, as loud as those that it has; nothing of them is heard outside the span."""
    new, only = (plans.timed(item, found, work.seconds) for found in ([*item.hits(), *hits], hits))
    assert new is not None and only is not None
    gain = level.gain_of(replace(layer, gain=0.0, pan=0.0), item) or 0.0
    made = making.scaled(making.rendered(work, only, work.seed).audio, gain)
    work.put(replace(layer, audio=work.joined(layer.audio, layer.audio + made, span)))
    work.plan = plans.changed(work.plan, item.id, new)


def _whole(work: Work, amount: float, side: str) -> None:
    """The sound begins earlier or ends later; what lasts goes on, what lies under it lies under all of it, and what was
    still being struck is struck on."""
    more, seconds = samples(amount), work.seconds
    pad = ((0, 0), (more, 0) if side == "before" else (0, more))
    work.unlocked(work.layers, "extend")
    going = {layer.name: _goes_on(work, layer, side) for layer in work.layers}
    old = {layer.name: layer.audio for layer in work.layers}
    wide = replace(
        work.base,
        audio=np.pad(work.base.audio, pad),
        layers=tuple(replace(x, audio=np.pad(x.audio, pad)) for x in work.base.layers),
    )
    if side == "before":
        wide = replace(wide, before=wide.before + Fraction(more, SAMPLE_RATE))
    work.base = wide
    work.layers = [replace(x, audio=np.pad(x.audio, pad)) for x in work.layers]
    before, after = (amount, 0.0) if side == "before" else (0.0, amount)
    work.plan = plans.longer(work.plan, before, after)
    span = (0.0, amount) if side == "before" else (seconds, work.seconds)
    for layer in list(work.layers):
        audio = old[layer.name]
        ours = layer.renderer not in (ORIGINAL, TAKEN) and work.engine.released is None
        if ours and len(layer.events) == 1 and audio.any():
            item = work.item(layer.events[0])
            if isinstance(item, Event) and (hits := _struck_on(item, span, side)):
                _strike(work, layer, item, hits, span)
                continue
        if not audio.any() or not (going[layer.name] or layer.renderer == ORIGINAL):
            continue
        if work.engine.released is None and (layer.renderer == ORIGINAL or len(layer.events) > 1):
            filling.remake(work, layer, span)
        else:
            audio = (
                audio[:, : samples(CONTEXT)][:, ::-1] if side == "before" else audio[:, -samples(CONTEXT) :]
            )
            made = continuation(audio, more, rng_for(work.seed, layer.name))
            longer = layer.audio.copy()
            if side == "before":
                longer[:, :more] = made[:, ::-1]
            else:
                longer[:, -more:] = made
            work.put(replace(layer, audio=longer))
        for name in going[layer.name]:
            item = work.item(name)
            if isinstance(item, Event):
                edge = {"start": 0.0} if side == "before" else {"end": work.seconds}
                work.plan = plans.changed(work.plan, name, item.model_copy(update=edge))
    work.note(
        f"The sound is {amount:g} s longer than before ({work.seconds:g} s instead of {seconds:g}); "
        "the video keeps its length and has the sound that belongs under it, mix.wav has all of it."
    )


def _struck_on(item: Event, span: tuple[float, float], side: str) -> list[tuple[float, float]]:
    """Hits in the new `span` of one that had not come to rest before it."""
    if len(item.onsets) < 2:
        return []
    away = item.onsets[0] - span[1] if side == "before" else span[0] - item.onsets[-1]
    if away > RESTS * float(np.diff(item.onsets).max()):
        return []
    hits = _next_hits(item, away + span[1] - span[0], side, span[1])
    return [hit for hit in hits if span[0] <= hit[0] < span[1]]


def _goes_on(work: Work, layer: Layer, side: str) -> set[str]:
    """Which of a layer's sounds reach the border and last."""
    found = set()
    for name in layer.events:
        item = work.item(name)
        edge = not isinstance(item, Event) or (
            item.start <= AT_EDGE if side == "before" else item.end >= work.seconds - AT_EDGE
        )
        found |= {name} if edge and not level.struck(item) else set()
    return found


def continuation(source: Audio, n: int, rng: np.random.Generator) -> Audio:
    """[2, n] that can follow a sound [2, N] without a fade: first what once came after a moment like its last one, then
    more of the kind, as loud as it."""
    more = continued([np.ascontiguousarray(source)], n + samples(JOIN), rng)
    there, got = (float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) for x in (source, more))
    more = (more * np.float32(there / max(got, 1e-9))).astype(np.float32)
    room = samples(2 * JOIN)
    if source.shape[1] < 2 * LIKE + room:
        return more[:, :n]
    past, last = source[:, : -(room + 1)], source[:, -LIKE:]
    size = fast_length(past.shape[1] + LIKE)
    likeness = np.zeros(past.shape[1] - LIKE + 1)
    for a, b in zip(past.astype(np.float64), last.astype(np.float64), strict=True):
        both = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)
        likeness += both[: len(likeness)]
    energy = np.cumsum(np.pad(np.square(past, dtype=np.float64).sum(0), (1, 0)))
    at = int(np.argmax(likeness / np.sqrt(energy[LIKE:] - energy[:-LIKE] + 1e-9))) + LIKE
    grain = source[:, at : at + room].copy()
    step = source[:, -1:] - source[:, at - 1 : at]
    grain += step * np.exp(-np.arange(room, dtype=np.float32) / 64)
    return _joined(grain, more, samples(JOIN))[:, :n]


def _over(old: Audio, new: Audio, join: int) -> Audio:
    """The old sound for a moment, then the new one; equal power, for they are no copies of each other."""
    share = np.ones(old.shape[1], np.float32)
    share[:join] = np.linspace(0, 1, join, endpoint=False, dtype=np.float32)
    angle = share * (np.pi / 2)
    return (old * np.cos(angle) * (share < 1) + new[:, : old.shape[1]] * np.sin(angle)).astype(np.float32)


def _joined(first: Audio, then: Audio, join: int) -> Audio:
    join = min(join, first.shape[1], then.shape[1])
    old = np.pad(first[:, first.shape[1] - join :], ((0, 0), (0, then.shape[1] - join)))
    return np.concatenate([first[:, : first.shape[1] - join], _over(old, then, join)], axis=1)


def _fade(audio: Audio) -> None:
    audio *= np.cos(np.linspace(0, np.pi / 2, audio.shape[1], dtype=np.float32)) ** 2
