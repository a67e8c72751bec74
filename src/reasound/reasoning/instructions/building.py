"""From the words of one request and its cue to an operation."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from reasound.edit_plan import Operation, Verb
from reasound.reasoning.instructions import amounts, sounds
from reasound.reasoning.instructions.amounts import bare, degree, factor, number, percent
from reasound.reasoning.instructions.newsound import add, inpaint, replace
from reasound.reasoning.instructions.refusals import SHORTER
from reasound.reasoning.instructions.request import Refused, Request, without_times
from reasound.reasoning.instructions.targets import FILLER, OTHERS, Absent, Meant, content, find
from reasound.reasoning.instructions.verbs import ROOM_WORDS, room_of, style_of
from reasound.reasoning.instructions.words import pattern

COMPARATIVE = re.compile(r"\b(more [a-z]+|[a-z]{2,}er)\b(?= *$| please| and )")
HARD = pattern("hard")
DIRECTION = pattern("direction")

LEAD_IN = pattern("lead_in")


def build(request: Request) -> list[Operation] | None:
    """The operations of the request; None when its cue misleads. Absent and Refused say why it cannot be done."""
    return BUILDERS[request.cue.kind](request)


def _gain(r: Request) -> list[Operation] | None:
    sign = -1.0 if r.cue.kind == "gain-" else 1.0
    text = without_times(r.text)
    if r.cue.score < 1.5 and re.search(r"\bhow\b|\bwhat\b", text) and number(text, "db") is None:
        return None
    db, times, share = number(text, "db"), factor(text), percent(text)
    if db is not None:
        minus = re.search(r"\bminus \d|\b(?:lower|cut|drop|reduce|down|quieter|less)\b", text)
        amount = -db if (minus or sign < 0) else db
    elif re.search(r"\bas (?:loud|quiet|soft)\b|\btimes (?:louder|quieter|softer)\b", text) and times:
        ratio = times if sign > 0 and "quiet" not in text else (1 / times if times > 1 else times)
        amount = amounts.TWICE_AS_LOUD_DB * math.log2(ratio)
    elif times is not None and times > 0:
        amount = amounts.decibels(times if sign > 0 or times < 1 else 1 / times)
        amount = abs(amount) if sign > 0 and "to " not in text and times > 1 else amount
    elif share is not None:
        amount = amounts.decibels(1 + sign * min(share, 0.99 if sign < 0 else share))
    else:
        words = re.sub(
            r"\b(?:really|very|way|much|a little|a bit|slightly|a tad) too\b|\btoo much\b", " ", text
        )
        amount = sign * amounts.GAIN_DB["much" if "possible" in text else degree(words)]
    if r.cue.kind == "gain+" and r.cue.said.startswith("as ") and times is not None and times < 1:
        amount = amounts.TWICE_AS_LOUD_DB * math.log2(times)
    r.aim(re.sub(r"\b(?:in|from|of) the (?:mix|whole)\b", " ", r.names))
    return [r.made("gain", amount)]


def _distance(r: Request) -> list[Operation] | None:
    away = r.cue.kind == "distance+"
    text = without_times(r.text)
    if away and re.search(r"\b(?:left|right)\b", r.cue.rest) and r.cue.said in ("further", "farther"):
        return None

    r.aim(pattern("listener").sub(" ", r.names))
    meters, times = number(text, "meters"), factor(text)
    by_id = {e.id: e for e in r.context.plan.events}
    first = next((by_id[i] for i in r.targets.ids if i in by_id), None)
    if meters is not None and first is not None:
        at = float(first.place(first.start)[1][0])
        to = meters if re.search(r"\bto \d", text) else at + (meters if away else -meters)
        amount = max(to, 0.2) / at
    elif times is not None and times > 0:
        amount = times if away else 1 / times if times > 1 else times
    else:
        steps = amounts.DISTANCE[
            "much" if amounts.FAR.search(text) and degree(text) != "bit" else degree(text)
        ]
        amount = steps if away else 1 / steps
    return [r.made("distance", amount)]


def _pan(r: Request) -> list[Operation] | None:
    text = without_times(r.text)
    found = list(DIRECTION.finditer(text))
    value = re.search(r"(?:(minus) )?(\d\.\d+)\b", text)
    if not found and not value:
        return None
    if found:
        last = found[-1]
        sign = -1.0 if last[1].startswith("left") else 1.0 if last[1].startswith("right") else 0.0
        rest = text[: last.start()] + text[last.end() :]
        around = text[max(0, last.start() - 16) : last.end() + 20]
    else:
        sign, rest, around = 1.0, text, text
    share = number(text, "percent")
    if re.search(r"\btoo far (?:to the )?(?:left|right)\b", text):
        sign, share = 0.0, None
    if value and not found:
        amount = float(value[2]) * (-1 if value[1] else 1)
    elif share is not None:
        amount = sign * share / 100
    elif HARD.search(around) or HARD.search(last[0]):
        amount = sign
    elif re.search(r"\bhalf(?:way|-way)?\b", around):
        amount = sign * 0.5
    else:
        amount = sign * amounts.PAN["bit" if degree(text) == "bit" else "plain"]
    rest = re.sub(
        r"\b(?:pan(?:ned|ning)?|stereo|position|field|balance|over|hard|hand|move|image)\b", " ", rest
    )
    r.aim(rest)
    return [r.made("pan", amount)]


def _move(r: Request) -> list[Operation] | None:
    text = without_times(r.text)
    r.aim(re.sub(r"\bback(?: in time)?\b|\btime\b", " ", r.names))
    by_id = {e.id: e for e in r.context.plan.events}
    first = next((by_id[i] for i in r.targets.ids if i in by_id), None)
    seconds = number(text, "seconds")
    if seconds is None and r.moment is None:
        seconds = bare(text)
    if r.cue.kind == "move@" or (seconds is None and r.moment is not None and not r.targets.by_time):
        if first is None:
            return None
        begin = r.targets.span[0] if r.targets.span else (first.onsets or (first.start,))[0]
        if r.moment is not None:
            if r.targets.by_time:
                r.moment, r.targets = r.moment, find(r.names, r.context)
            to = r.moment
        else:
            to = {"opening": 0.0, "ending": r.seconds - (first.end - begin), "": begin}[r.edge]
            if r.start is not None:
                to = r.start
        r.start = r.end = None
        if not to < r.seconds:
            raise Refused(f"The clip is only {r.seconds:g} s long.")
        amount = to - begin
    else:
        sign = 1.0 if r.cue.kind == "move+" else -1.0
        degrees = re.sub(r"\btoo \w+", " ", text)
        amount = sign * (
            seconds
            if seconds is not None
            else r.length
            if r.length
            else amounts.MOVE_SECONDS[degree(degrees)]
        )
        if r.moment is not None and not r.targets.by_time:  # "the bark at 2 s": which one
            r.start, r.end = r.around()
    r.edge = ""
    return [r.made("move", amount)]


def _reverb(r: Request) -> list[Operation] | None:
    text = without_times(r.text)
    room = room_of(text)
    if room and not re.search(r"\b(?:reverb\w*|echo\w*)\b", text):
        name = r.names
    else:
        name = pattern("around_room").sub(" ", r.names)
    for words in ROOM_WORDS.get(room, ()):
        name = re.sub(rf"\b{words}\b", " ", name)
    dry = pattern("no_reverb").search(text)
    less = pattern("less_reverb").search(text)
    share = number(text, "percent")
    value = re.search(r"\b0\.\d+\b", text)
    if share is not None or value:
        amount = share / 100 if share is not None else float(value[0]) if value else 0.0
    elif less:
        amount = amounts.LESS_REVERB
    elif dry and not re.search(r"\b(?:add|more|put|give)\b", text):
        amount = 0.0
    elif degree(text) == "plain" and room:
        amount = amounts.ROOMS[room]
    else:
        amount = amounts.REVERB[degree(text)]
    r.aim(pattern("beside_reverb").sub(" ", name))
    return [r.made("reverb", amount, style=room)]


def _style(r: Request) -> list[Operation] | None:
    text = without_times(r.text)
    style = style_of(text)
    if not style and "pitch" in text:
        style = (
            "deeper"
            if re.search(r"\b(?:lower|down|drop|deeper|reduce|decrease)\b", text)
            else "higher-pitched"
        )
    name = r.names
    if not style and (more := COMPARATIVE.search(text)) and _is_quality(more[1], r):
        style = more[1]
        name = re.sub(rf"\b{style}\b", " ", name)
    if not style:
        free = pattern("free_style").search(text)
        if not free:
            return None
        words = pattern("around_style").sub(" ", free[1])
        style = " ".join(re.sub(r"^ *(?:a|an|the|in|more) ", "", words).split())
        name = text[: free.start()] if "give" not in free[0] else re.split(r"\b(?:a|an)\b", text)[0]
        if not sounds.names(style) or len(style.split()) > 4:
            return None
        name = re.sub(r"\bgive\b", " ", name)
    known = pattern("beside_style").sub(" ", name)
    try:
        r.aim(known)
    except Absent:
        return None if r.cue.score < 3 else _again(r, known, style)
    return [r.made("style", style=style)]


def _is_quality(word: str, r: Request) -> bool:
    """ "Cuter" is one, "hammer" is not."""
    return not (set(word.split()) & r.context.words) and not sounds.kind(word) and word not in FILLER


def _again(r: Request, words: str, style: str) -> list[Operation]:
    """With an unknown word beside the style ("like an old tape machine") the one before "like" is the target."""
    cut = re.split(r"\b(?:sounds?|like|as if|into|a|an|more|through)\b", without_times(r.text))[0]
    r.aim(re.sub(r"\b(?:make|turn|give|apply|have|put|run|play)\b", " ", cut))
    return [r.made("style", style=style)]


def _speed(r: Request) -> list[Operation] | None:
    text = without_times(r.text)
    slower = r.cue.kind == "speed-"
    times, share = factor(text), percent(text)
    if r.cue.kind == "speed" and times is None and share is None:
        return None
    if times is not None and times > 0:
        amount = 1 / times if slower and times > 1 else times
    elif share is not None:
        amount = 1 - share if slower else 1 + share
    elif (said := bare(text)) is not None and 0 < said < 10:
        amount = said
    else:
        steps = amounts.SPEED[degree(re.sub(r"\btoo \w+", " ", text))]
        amount = 1 / steps if slower else steps
    r.aim(re.sub(r"\b(?:speed|pace|tempo|rate|playback)\b", " ", r.names))
    return [r.made("speed", amount)]


def _extend(r: Request) -> list[Operation] | None:
    text = without_times(r.text)
    seconds = number(text, "seconds") or r.length or bare(text)
    before = r.edge == "opening" or bool(LEAD_IN.search(text))
    words = pattern("beside_length").sub(" ", r.names)
    try:
        r.aim(words)
    except Absent:
        if sounds.kind(words, r.context.encoder):
            raise
        r.targets = Meant((), True)
    if r.targets.pronoun:  # "extend it" is about the clip
        r.targets = Meant((), True)
    if set(r.targets.ids) == {s.id for s in r.context.all} and len(r.context.all) > 1:
        r.targets = Meant((), True)
    events = [e for e in r.context.plan.events if e.id in r.targets.ids]
    length = events[0].end - events[0].start if events else r.seconds
    to = r.end or (r.start if r.start and not r.end else None) or (r.moment if not seconds else None)
    total = pattern("total_length").search(text)
    if "longer" in text or "more" in text or "by " in text or "another" in text:
        total = None
    times = factor(text)
    if to and not seconds:
        amount = to - (events[0].end if events else r.seconds)
    elif seconds and total and (not events or seconds > length):
        amount = seconds - length
    elif seconds:
        amount = seconds
    elif times:
        amount = length * (times - 1)
    else:
        amount = amounts.EXTEND_SECONDS[degree(re.sub(r"\btoo \w+", " ", text))]
        if r.edge == "ending" and events:
            amount = max(r.seconds - events[0].end, 0.1)
    if amount <= 0:
        raise Refused(SHORTER)
    r.start = r.end = r.moment = None
    r.edge = ""
    return [r.made("extend", amount, side="before" if before else "after")]


FROM_REST = pattern("from_rest")


def _plain(verb: Verb, *, whole: bool) -> Callable[[Request], list[Operation] | None]:
    """For verbs that need nothing but targets."""

    def builder(r: Request) -> list[Operation] | None:
        names = FROM_REST.sub(" ", r.names)
        if verb in ("extract", "solo") and content(alone := OTHERS.sub(" ", names)):
            names = alone  # "just the radio, the others out of the way"
        if not r.aim(names, whole=whole) or (not r.targets.ids and verb in ("extract", "solo")):
            return None
        if verb == "remove" and number(r.text, "db") is not None:
            return None
        return [r.made(verb)]

    return builder


def _remove(r: Request) -> list[Operation] | None:
    text = without_times(r.text)
    if re.search(r"\b(?:video|picture|image|file)$", r.names) and not sounds.names(r.names):
        return None
    if number(text, "db") is not None or number(text, "percent") is not None:
        return None
    if not r.aim(whole=False):
        return None
    if r.targets.pronoun and r.context.last is None and not re.search(r"\bit all|everything\b", r.text):
        raise Absent("sound named")
    return [r.made("remove")]


BUILDERS: dict[str, Callable[[Request], list[Operation] | None]] = {
    "gain+": _gain,
    "gain-": _gain,
    "distance+": _distance,
    "distance-": _distance,
    "pan": _pan,
    "move+": _move,
    "move-": _move,
    "move@": _move,
    "reverb": _reverb,
    "style": _style,
    "speed+": _speed,
    "speed-": _speed,
    "speed": _speed,
    "extend": _extend,
    "inpaint": inpaint,
    "mute": _plain("mute", whole=True),
    "solo": _plain("solo", whole=False),
    "extract": _plain("extract", whole=False),
    "remove": _remove,
    "replace": replace,
    "add": add,
}
