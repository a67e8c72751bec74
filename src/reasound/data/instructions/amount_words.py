"""Times and amounts in words, with the numbers that they mean."""

from __future__ import annotations

from reasound.data.instructions.chance import Chance
from reasound.data.instructions.tables_of import words
from reasound.reasoning.instructions import amounts
from reasound.reasoning.instructions.amounts import Degree

NUMBERS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
Span = tuple[float | None, float | None]

SPANS = (
    "from {a} to {b} s",
    "from {a} to {b} seconds",
    "between {a} and {b} s",
    "between {a} and {b} seconds",
    "from {a}s to {b}s",
    "from second {a} to {b}",
    "from {a} until {b} s",
    "between second {a} and second {b}",
    "from {a} s to {b} s",
    "{a}-{b} s",
    "during {a} to {b} seconds",
    "from {a} seconds until {b} seconds",
)
FROM = (
    "after {a} s",
    "from {a} s on",
    "from {a} seconds onwards",
    "after {a} seconds",
    "starting at {a} s",
    "from {a} s to the end",
)
UNTIL = (
    "until {b} s",
    "before {b} s",
    "up to {b} seconds",
    "until second {b}",
    "in the first {b} seconds",
    "for the first {b} s",
)
LAST = ("for the last {n} seconds", "in the last {n} s", "during the final {n} seconds")
OPENING = ("at the beginning", "at the start", "in the beginning")
ENDING = ("at the end", "towards the end", "near the end")


def span_words(seconds: float, chance: Chance) -> tuple[str, Span, str]:
    """(" from 2 to 4 s", the span, its form)."""
    start = chance.between(0, 0.7 * seconds, chance.of((0, 0, 1)))
    end = chance.between(start + 0.5, seconds, chance.of((0, 0, 1)))
    if end <= start or end > seconds:
        end = round(min(start + 1.0, seconds), 1)
    how = chance.rng.random()
    span: Span
    if how < 0.55 or start == 0:
        form, span = chance.of(SPANS), (start, end)
    elif how < 0.68:
        form, span = chance.of(FROM), (start, None)
    elif how < 0.8:
        form, span = chance.of(UNTIL), (None, end)
    elif how < 0.88:
        last = float(chance.of((1, 2, 3)))
        form, span = chance.of(LAST), (round(seconds - last, 2), None)
        return " " + form.format(n=said(last, chance)), span, form
    elif how < 0.91:
        form, span = "in the first half", (None, round(seconds / 2, 2))
    elif how < 0.94:
        form, span = "in the second half", (round(seconds / 2, 2), None)
    elif how < 0.97:
        form, span = chance.of(OPENING), (None, round(amounts.EDGE * seconds, 2))
    else:
        form, span = chance.of(ENDING), (round((1 - amounts.EDGE) * seconds, 2), None)
    return " " + form.format(a=said(start, chance), b=said(end, chance)), span, form


def said(value: float, chance: Chance) -> str:
    """A number in digits, or sometimes as a word."""
    if value.is_integer() and 2 <= value < len(NUMBERS) and chance.happens(0.3):
        return NUMBERS[int(value)]
    return f"{value:g}"


class Amounts:
    """The amount of one request, said in words; `value` is None while none was said."""

    def __init__(self, chance: Chance, kind: str) -> None:
        self.chance, self.kind = chance, kind
        self.value: float | None = None
        self.degree: Degree = "plain"
        self.form = ""

    def seconds(self, value: float) -> str:
        unit = self.chance.of((" s", " seconds", "s", " sec", " seconds"))
        number = said(value, self.chance)
        if value == 1 and self.chance.happens(0.5):
            return "one second"
        if not number[0].isdigit():
            return number + " seconds"
        return number + unit

    def default(self) -> float:
        """What is meant by the degree that was said."""
        table = {
            "gain": amounts.GAIN_DB,
            "distance": amounts.DISTANCE,
            "speed": amounts.SPEED,
            "move": amounts.MOVE_SECONDS,
            "reverb": amounts.REVERB,
            "longer": amounts.EXTEND_SECONDS,
            "extend": amounts.EXTEND_SECONDS,
        }
        kind = self.kind.rstrip("+-@0")
        if self.kind == "reverb0":
            return 0.0
        if self.kind == "reverb-":
            return amounts.LESS_REVERB
        value = table[kind][self.degree]
        if self.kind == "gain-":
            return -value
        if self.kind == "move-":
            return -value
        return 1 / value if self.kind in ("distance-", "speed-") else value

    def slot(self, slot: str) -> str:
        """The words for a slot; sets the value."""
        self.form = slot
        return {
            "D": self._degree_before,
            "A": self._by_decibels,
            "db": self._decibels,
            "F": self._times,
            "G": self._times_fast,
            "H": self._times_speed,
            "V": self._by_share,
            "P": self._side,
            "Q": self._from_side,
            "M": self._shift,
            "B": self._by_seconds,
            "sec": self._seconds,
            "R": self._reverb,
        }[slot]()

    def _degree_before(self) -> str:
        chance = self.chance
        how = chance.rng.random()
        if how < 0.4:
            return ""
        if self.kind.startswith("gain") and how < 0.55:
            return self._decibels() + " dB "
        self.degree = "bit" if how < 0.78 else "much"
        self.form += self.degree
        return chance.of(words()[self.degree])

    def _by_decibels(self) -> str:
        chance = self.chance
        how = chance.rng.random()
        if how < 0.4:
            return ""
        if how < 0.65:
            return " by " + self._decibels() + chance.of((" dB", "dB", " decibels", " db"))
        self.degree = "bit" if how < 0.85 else "much"
        self.form += self.degree
        return chance.of(words()[self.degree + "_after"])

    def _decibels(self) -> str:
        value = float(self.chance.of((1, 2, 3, 4, 5, 6, 8, 10, 12)))
        self.value = -value if self.kind == "gain-" else value
        self.form = "db"
        return said(value, self.chance)

    def _times(self) -> str:
        word, value = self.chance.of(
            (("twice", 2.0), ("three times", 3.0), ("four times", 4.0), ("twice", 2.0))
        )
        self.value = 1 / value if self.kind == "distance-" else value
        return word

    def _times_fast(self) -> str:
        word, self.value = self.chance.of(
            (("twice", 2.0), ("three times", 3.0), ("1.5 times", 1.5), ("two times", 2.0))
        )
        return word

    def _times_speed(self) -> str:
        word, self.value = self.chance.of(
            (("double", 2.0), ("triple", 3.0), ("1.5x", 1.5), ("twice the", 2.0), ("2x", 2.0))
        )
        return word

    def _by_share(self) -> str:
        if self.chance.happens(0.5):
            return ""
        if self.chance.happens(0.5):
            self.degree = "bit" if self.chance.happens(0.6) else "much"
            return self.chance.of(words()[self.degree + "_after"])
        share = self.chance.of((10, 20, 25, 30, 50))
        self.value = 1 - share / 100 if self.kind == "speed-" else 1 + share / 100
        return f" by {share}" + self.chance.of(("%", " percent", " %"))

    def _side(self) -> str:
        chance = self.chance
        how = chance.rng.random()
        if how < 0.15:
            self.value = 0.0
            return chance.of(
                ("to the center", "in the middle", "to the middle", "in the center", "to the centre")
            )
        side = chance.of(("left", "right"))
        sign = -1.0 if side == "left" else 1.0
        self.form += side
        if how < 0.6:
            self.value = sign * amounts.PAN["plain"]
            return chance.of(
                ("to the {s}", "on the {s}", "to the {s} side", "on the {s} side", "to my {s}")
            ).format(s=side)
        if how < 0.8:
            self.value = sign
            return chance.of(
                (
                    "hard {s}",
                    "all the way to the {s}",
                    "to the far {s}",
                    "fully to the {s}",
                    "completely to the {s}",
                )
            ).format(s=side)
        self.value = sign * amounts.PAN["bit"]
        return chance.of(
            ("slightly to the {s}", "a bit to the {s}", "a little to the {s}", "a touch to the {s}")
        ).format(s=side)

    def _from_side(self) -> str:
        side = self.chance.of(("left", "right"))
        self.value = (-1 if side == "left" else 1) * amounts.PAN["plain"]
        return self.chance.of(("the {s}", "the {s} side", "my {s}")).format(s=side)

    def _shift(self) -> str:
        chance = self.chance
        word, sign = chance.of((("later", 1.0), ("earlier", -1.0)))
        how = chance.rng.random()
        if how < 0.65:
            text = self._seconds()
            self.value = sign * (self.value or 0.0)
            return f"{text} {word}" if chance.happens(0.7) else f"{word} by {text}"
        if how < 0.8:
            self.value = sign * amounts.MOVE_SECONDS["plain"]
            return word
        degree: Degree = "bit" if how < 0.92 else "much"
        self.value = sign * amounts.MOVE_SECONDS[degree]
        return chance.of(words()[degree]) + word

    def _by_seconds(self) -> str:
        if self.chance.happens(0.4):
            return ""
        text = " by " + self._seconds()
        if self.kind == "move-":
            self.value = -(self.value or 0.0)
        return text

    def _seconds(self) -> str:
        if self.kind.startswith("move") and self.chance.happens(0.2):
            self.value = 0.5
            text = "half a second"
        elif self.chance.happens(0.15):
            self.value, text = 1.0, self.chance.of(("a second", "one second"))
        else:
            long = (2, 3, 4, 5, 6, 8, 10) if self.kind.startswith("extend") else (0.2, 0.3, 0.5, 1, 1.5, 2)
            self.value = float(self.chance.of(long))
            text = self.seconds(self.value)
        if self.kind == "move-":
            self.value = -self.value
        return text

    def _reverb(self) -> str:
        word = self.chance.of(("reverb", "echo", "reverberation", "reverb"))
        how = self.chance.rng.random()
        if how < 0.4:
            return self.chance.of(("", "some ", "more ")) + word
        self.degree = "bit" if how < 0.75 else "much"
        self.form += self.degree
        few = ("a bit of ", "a little ", "a touch of ", "a bit more ", "slightly more ", "a hint of ")
        return (
            self.chance.of(
                few if self.degree == "bit" else ("a lot of ", "lots of ", "much more ", "a lot more ")
            )
            + word
        )
