"""The page of a report: whole, self-contained, and with the right sounds and pictures inside."""

import io
import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser

import av
import cv2
import numpy as np
import pytest

from reasound.evaluation.page import (
    BIT_RATE,
    COLUMNS,
    LEVELS,
    ROWS,
    Card,
    Sound,
    aac,
    film_strip,
    painted,
    spectrogram,
    write,
)
from reasound.evaluation.report import Measure, build

RATE, SECONDS = 44_100, 3.0
WANTED = (0.5, 1.25, 2.0)
VOID = {"meta", "img", "br", "link", "input"}


def clicks(times, seconds=SECONDS):
    sound = np.zeros((2, int(seconds * RATE)), np.float32)
    for time in times:
        at = int(time * RATE)
        sound[:, at : at + 400] = 0.8 * np.hanning(800)[400:] * np.cos(np.arange(400) * 0.9)
    return sound


def square(i, n=8):
    """A red square on its way from left to right."""
    picture = np.full((60, 80, 3), 40, np.uint8)
    picture[20:40, i * 8 : i * 8 + 16] = (220, 20, 20)
    return picture


@pytest.fixture(scope="module")
def report():
    systems = {"truth": "the true sound", "ours <b>&": "what we made", "silence": "no sound"}
    rows = [{s: {"f1": k / 4 + i / 10, "error": None} for k, s in enumerate(systems)} for i in range(3)]
    rows[1]["truth"]["error"] = 4.0
    return build(
        "scenes",
        "Three scenes & <their> sounds",
        about={"reasound": "0.1.0", "models": {"dit": "ab12"}},
        measures={
            "f1": Measure("onsets that match", "", "higher", 2, "onset-f1/100ms"),
            "error": Measure("distance", "ms", "lower", 1, "onset-error/100ms"),
        },
        systems=systems,
        tables=[{"title": "All", "measures": ["f1", "error"], "systems": list(systems)}],
        items=[
            {"id": f"scene-{i}", "kind": "strike", "seconds": SECONDS, "scores": r}
            for i, r in enumerate(rows)
        ],
        classes={"animal/dog": {"silence": {"right": 3, "of": 4}}},
        unscored=[{"id": "scene-9", "system": "", "reason": "the <video> is empty"}],
    )


@pytest.fixture(scope="module")
def card(report):
    sounds = (
        Sound("truth", clicks(WANTED), WANTED),
        Sound("ours <b>&", clicks((0.6, 1.3), 2.5), (0.6, 1.3), "no recording of a <dog>"),
        Sound("silence", np.zeros((2, int(SECONDS * RATE)), np.float32), ()),
    )
    text = "A square hits </script> the wall.\nI see a square.\nIt moves."
    item = report["items"][0]
    return Card(
        "scene-0", "Square", SECONDS, [square(i) for i in range(8)], WANTED, text, sounds, item["scores"]
    )


@pytest.fixture(scope="module")
def page(report, card, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    write(path, report, [card, replace(card, id="scene-1")])
    return path.read_text(encoding="utf-8")


class Reader(HTMLParser):
    """Tags in order, the text of the page, and whether each tag that is opened is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"{tag} says something twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]):
            self.texts.append(data)

    def of(self, tag, **wanted):
        return [a for t, a in self.tags if t == tag and all(a.get(k) == v for k, v in wanted.items())]


def inside(address, kind):
    head, data = address.split(",")
    assert head == f"data:{kind};base64"
    return b64decode(data, validate=True)


def test_the_page_is_whole_and_says_everything(page):
    read = Reader(page)
    text = "\n".join(read.texts)
    for part in (
        "Three scenes & <their> sounds",
        "ours <b>&",
        "silence",
        "the <video> is empty",
        "scene-9",
        "no recording of a <dog>",
        "A square hits </script> the wall.",
        "I see a square.\nIt moves.",
        "lasts 2.50 s, the clip 3.00 s",
        "onset-f1/100ms",
        "3 of 4",
        "models dit",
        "ab12",
        "3 items, 9 s. 2 of them can be heard below.",
    ):
        assert part in text, part
    ids = [a["id"] for _, a in read.tags if "id" in a]
    assert len(set(ids)) == len(ids)
    assert {a["href"] for a in read.of("a")} <= {f"#{i}" for i in ids}


def test_the_table_says_how_many_have_a_number(page):
    table = page[page.index("<table>") : page.index("</table>")]
    assert "±" in table and table.count("n=1") == 1  # in the head: the one item with an error in ms
    assert "<b>4.0</b></td>" in table  # and so without an interval


def test_nothing_comes_from_elsewhere(page):
    read = Reader(page)
    assert "://" not in page and "@import" not in page
    assert not read.of("link") and not read.of("iframe")
    assert all("src" not in attrs for attrs in read.of("script"))
    for tag in ("img", "audio"):
        assert all(attrs["src"].startswith("data:") for attrs in read.of(tag))
    policy = next(a["content"] for a in read.of("meta") if "http-equiv" in a)
    assert "default-src 'none'" in policy and "http" not in policy


def test_pictures_and_players_are_inside(page, card):
    read = Reader(page)
    pictures = [attrs["src"] for attrs in read.of("img")]
    assert len(pictures) == 2 * 4 and len(read.of("audio")) == 2 * 3
    strip = cv2.imdecode(np.frombuffer(inside(pictures[0], "image/jpeg"), np.uint8), cv2.IMREAD_COLOR)
    assert strip.shape[1] == 1200
    for source in pictures[1:4]:
        shown = cv2.imdecode(np.frombuffer(inside(source, "image/png"), np.uint8), cv2.IMREAD_COLOR)
        assert shown.shape == (ROWS, COLUMNS, 3)
    assert np.all(shown == shown[0, 0])  # silence is one colour
    for attrs, sound in zip(read.of("audio"), card.sounds, strict=False):
        with av.open(io.BytesIO(inside(attrs["src"], "audio/mp4"))) as file:
            lasts = file.duration / av.time_base
        assert lasts == pytest.approx(sound.audio.shape[1] / RATE, abs=0.001)


def test_marks_stand_at_their_moments(page):
    read = Reader(page)
    assert read.of("svg")[0]["viewbox"] == "0 0 3 8"
    wanted, found = ([a["d"] for a in read.of("path", **{"class": c})][:3] for c in ("wanted", "found"))
    for path in wanted:
        assert [float(x) for x in re.findall(r"M([\d.]+) 0V8", path)] == list(WANTED)
    assert [re.findall(r"M([\d.]+) ", path) for path in found] == [
        ["0.500", "1.250", "2.000"],
        ["0.600", "1.300"],
        [],
    ]


def test_the_same_report_gives_the_same_page(report, card, page, tmp_path):
    write(tmp_path / "again.html", report, [card, replace(card, id="scene-1")])
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_a_report_without_sounds_is_a_page_too(report, tmp_path):
    write(tmp_path / "page.html", report, [])
    read = Reader((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert read.of("table") and not read.of("audio")


def test_scores_that_nobody_declared_are_refused(report, card, tmp_path):
    with pytest.raises(ValueError, match="mel of scene-0"):
        write(tmp_path / "page.html", report, [replace(card, scores={"truth": {"mel": 1.0}})])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("hertz", "row"), [(100, 0.913), (1_000, 0.523), (10_000, 0.134)])
def test_a_tone_is_a_line_at_its_height(hertz, row):
    """Row: log(22050 / hertz) / log(22050 / 60) of the way down."""
    tone = np.sin(2 * np.pi * hertz * np.arange(2 * RATE) / RATE).astype(np.float32)
    level = spectrogram(np.stack([tone, tone]))
    assert level.shape == (ROWS, COLUMNS)
    # At 100 Hz a bin of 43 Hz is many rows high.
    assert (level[:, COLUMNS // 2].argmax() + 0.5) / ROWS == pytest.approx(
        row, abs=0.05 if hertz == 100 else 0.01
    )


def test_a_click_is_a_line_at_its_time():
    level = spectrogram(clicks((1.0,))).max(0)
    assert (level.argmax() + 0.5) / COLUMNS * SECONDS == pytest.approx(1.0, abs=0.01)


def test_a_sound_twice_as_loud_is_six_decibels_brighter():
    sound = clicks(WANTED)
    loud, soft = spectrogram(sound), spectrogram(sound / 2)
    heard = soft > soft.max() - 60
    np.testing.assert_allclose((loud - soft)[heard], 20 * np.log10(2), atol=1e-3)


def test_the_picture_is_what_was_painted():
    level = np.random.default_rng(0).uniform(-90, 10, (7, 13))
    picture = cv2.imdecode(np.frombuffer(painted(level, 10.0), np.uint8), cv2.IMREAD_COLOR)
    shade = np.clip((level + 65) / 75, 0, 1) * (LEVELS - 1)
    greys = np.linspace(0, 255, LEVELS).round().astype(np.uint8)[np.round(shade).astype(int)]
    np.testing.assert_array_equal(picture, cv2.applyColorMap(greys, cv2.COLORMAP_MAGMA))


def test_the_film_runs_from_left_to_right_in_its_colours():
    strip = cv2.imdecode(np.frombuffer(film_strip([square(i) for i in range(8)]), np.uint8), cv2.IMREAD_COLOR)
    wide = strip.shape[1] // 8
    for i in range(8):
        red = strip[:, i * wide : (i + 1) * wide, 2].astype(int) - strip[:, i * wide : (i + 1) * wide, 0]
        middle = (np.argwhere(red > 100)[:, 1].mean() + 0.5) / wide
        assert middle == pytest.approx((i * 8 + 8) / 80, abs=0.02)


def test_the_player_hears_the_sound_where_it_is():
    sound = clicks(WANTED)
    data = aac(sound)
    assert len(data) < SECONDS * BIT_RATE / 8 * 1.1 and data == aac(sound)
    with av.open(io.BytesIO(data)) as file:
        # The edit list hides the encoder's priming from players; here frames before 0 are left out by hand.
        pieces = [f.to_ndarray() for f in file.decode(audio=0) if f.pts >= 0]
    heard = np.abs(np.concatenate(pieces, axis=1)[0])
    for time in WANTED:
        at = int(time * RATE)
        assert abs(heard[at - 2000 : at + 2000].argmax() - 2000) < 100
