"""Sets of clips on disk: every layout, odd names, and everything that is not there is named."""

import json

import pytest

import clips
from reasound.data.sets import read_set
from reasound.errors import UserError


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A video as short as can be; copied wherever one is needed."""
    return clips.write(tmp_path_factory.mktemp("video") / "v.mp4", seconds=0.2, size=(32, 24)).read_bytes()


@pytest.fixture
def put(tmp_path, video):
    def put(name, content=video):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return put


def ids(listing):
    return [sample.id for sample in listing.samples]


def test_a_folder_is_read_to_its_depths_and_its_sidecars_with_it(tmp_path, put):
    put("b.MP4")
    put("a b/ünï.mov")
    put("a b/ünï.txt", "\ufeffa dog barks, “twice”\n")
    put("a b/ünï.cot.txt", "First the dog,\nthen nothing.")
    put("a b/ünï.wav", b"")
    put(".hidden/c.mp4")
    put("._b.mp4", b"resource fork")
    put("notes.pdf", b"")
    listing = read_set(tmp_path)
    assert ids(listing) == ["a b/ünï", "b"] and listing.left_out == ()
    first, second = listing.samples
    assert first.caption == "a dog barks, “twice”" and first.reasoning == "First the dog,\nthen nothing."
    assert first.audio == tmp_path / "a b/ünï.wav" and second.audio is None
    assert (second.caption, second.start, second.end, second.onsets) == ("", 0.0, None, None)


def test_what_cannot_be_read_is_named_with_its_reason(tmp_path, put, video):
    put("good.mp4")
    put("empty.mp4", b"")
    put("text.mp4", "not a video")
    put("cut.mp4", video[: len(video) // 2])
    clips.write_sound(tmp_path / "sound.mkv", clips.sine(0.2))
    listing = read_set(tmp_path)
    assert ids(listing) == ["good"]
    reasons = dict(listing.left_out)
    assert set(reasons) == {"empty", "text", "cut", "sound"}
    assert "0 bytes" in reasons["empty"] and "no video stream" in reasons["sound"]


def test_videos_that_differ_in_their_suffix_only_keep_it(tmp_path, put):
    put("x.mp4")
    put("x.mov")
    assert ids(read_set(tmp_path)) == ["x.mov", "x.mp4"]


def test_tables_beside_a_folder(tmp_path, put):
    for name in ("one.mp4", "two.mp4", "sub/three.mp4"):
        put(name)
    put(
        "captions.csv",
        '\ufeffid,caption,caption_cot\r\none,"a ""loud"" bang, far away","Because,\nit is far."\r\ngone,x,y\r\n',
    )
    put("captions.tsv", "file\tcaption\tsplit\ntwo.mp4\ttaps, clicks\ttest\nsub/three.mp4\tthree\ttrain\n")
    listing = read_set(tmp_path)
    assert listing.left_out == (("gone", "there is no video of this name"),)
    one, three, two = listing.samples
    assert one.caption == 'a "loud" bang, far away' and one.reasoning == "Because,\nit is far."
    assert (two.caption, two.split) == ("taps, clicks", "test") and three.caption == "three"
    assert ids(read_set(tmp_path, split="train")) == ["sub/three"]
    put("clips.json", json.dumps([{"file": "one.mp4", "onsets": [0.1]}]))  # another name of the same video
    first = read_set(tmp_path)
    assert (
        first.samples[0].onsets == (0.1,) and "bang" in first.samples[0].caption and len(first.left_out) == 1
    )
    put("two.txt", "what stands beside the video goes first")
    assert read_set(tmp_path).samples[2].caption.startswith("what stands")


def test_clips_json_gives_classes_and_onsets_and_few_clear_ones_are_filled_up(tmp_path, put):
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        put(name)
    many = [0.1 * k for k in range(8)]
    rows = [
        {"file": "a.mp4", "sound_class": "animal/dog", "onsets": many, "onsets_sensitive": [*many, 9.0]},
        {"file": "b.mp4", "sound_class": None, "onsets": [0.5], "onsets_sensitive": [0.7, 0.5]},
        {"id": "c", "onsets": []},
    ]
    put("clips.json", json.dumps({"about": "ours", "clips": rows}))
    a, b, c = read_set(tmp_path).samples
    assert a.sound_class == "animal/dog" and a.onsets == tuple(many)
    assert b.sound_class == "" and b.onsets == (0.5, 0.7) and c.onsets == ()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("clips.json", "{", "is not JSON"),
        ("clips.json", '{"clips": 3}', "list of clips"),
        ("clips.json", '[{"onsets": []}]', "neither a file nor an id"),
        ("clips.json", '[{"id": "v", "onsets": ["soon"]}]', "list of seconds"),
        ("captions.csv", "one,two\n", "name its columns"),
        ("captions.csv", b"id,caption\nv,caf\xe9\n", "save it as UTF-8"),
    ],
)
def test_a_damaged_table_is_one_sentence(tmp_path, put, name, content, says):
    put("v.mp4")
    put(name, content)
    with pytest.raises(UserError, match=says):
        read_set(tmp_path)


def test_vggsound_finds_a_video_under_each_of_its_names(tmp_path, put):
    put("video/-Ab_1234567_000012.mp4")
    put("video/bbbbbbbbbbb_3.mp4")
    put("video/deep/ccccccccccc_12000_22000.mp4")
    put("video/ddddddddddd_30_40.webm")
    put("video/eeeeeeeeeee.mkv")
    put("video/zzzzzzzzzzz_000001.mp4")  # of no row: not of this set
    put(
        "vggsound.csv",
        '-Ab_1234567,12,"playing violin, fiddle",test\nbbbbbbbbbbb,3,dog barking,train\n'
        'ccccccccccc,12,"a ""quote""",test\nddddddddddd,30,wind,test\neeeeeeeeeee,125,rain,test\n'
        "fffffffffff,1,gone,test\nggggggggggg,1,gone too,train\nhhh,soon,what,test\n\n",
    )
    listing = read_set(tmp_path)
    assert ids(listing) == [
        "-Ab_1234567_000012",
        "bbbbbbbbbbb_000003",
        "ccccccccccc_000012",
        "ddddddddddd_000030",
        "eeeeeeeeeee_000125",
    ]
    assert listing.samples[0].caption == "playing violin, fiddle"
    assert listing.samples[2].caption == 'a "quote"'
    assert [(s.start, s.end) for s in listing.samples[3:]] == [(0.0, None), (125.0, 135.0)]
    assert [name for name, _ in listing.left_out] == ["fffffffffff_000001", "ggggggggggg_000001", "row 8"]
    test = read_set(tmp_path / "vggsound.csv", split="test")
    assert len(test.samples) == 4
    assert [name for name, _ in test.left_out] == ["fffffffffff_000001", "row 8"]


def test_thinksound_rows_name_their_videos(tmp_path, put):
    put("demo.mp4")
    put("aaaaaaaaaaa_000030.mp4")
    put("cot.csv", "\ufeffid,caption,caption_cot\ndemo,A,why\naaaaaaaaaaa_30,B,because\ndemo,again,\nno,,\n")
    listing = read_set(tmp_path)
    assert [(s.id, s.caption, s.reasoning) for s in listing.samples] == [
        ("demo", "A", "why"),
        ("aaaaaaaaaaa_30", "B", "because"),
    ]
    assert [name for name, _ in listing.left_out] == ["demo", "no"]
    assert "twice" in listing.left_out[0][1]


def test_movie_gen_has_prompts_but_no_recorded_sound(tmp_path, put):
    for name in ("video_with_audio/0.mp4", "video_with_audio/2.mp4", "video_with_audio/10.mp4"):
        put(name)
    rows = [{"id": n, "video_prompt": "seen", "audio_prompt": f"heard {n}"} for n in (0, 2, 3)]
    put("MovieGenAudioBenchSfx.jsonl", "".join(json.dumps(row) + "\n" for row in rows) + '{"id": 4}\n')
    listing = read_set(tmp_path)
    assert [(s.id, s.caption) for s in listing.samples] == [("0", "heard 0"), ("2", "heard 2"), ("10", "")]
    assert not any(s.recorded for s in listing.samples)
    assert [name for name, _ in listing.left_out] == ["MovieGenAudioBenchSfx.jsonl line 4", "3"]


def test_movie_gen_with_one_prompt_a_file(tmp_path, put):
    put("video_with_audio/0.mp4")
    put("video_with_audio/1.mp4")
    put("metadata/0.mp4.jsonl", json.dumps({"audio_prompt": "a"}))
    put("metadata/1.jsonl", json.dumps({"audio_prompt": "b"}))
    listing = read_set(tmp_path)
    assert [(s.id, s.caption) for s in listing.samples] == [("0", "a"), ("1", "b")]


def test_a_stray_table_of_another_encoding_does_not_hide_a_plain_folder(tmp_path, put):
    put("v.mp4")
    put("stray.csv", b"\xff\xfe\x00name")
    assert ids(read_set(tmp_path)) == ["v"]


@pytest.mark.parametrize(
    ("layout", "split", "says"),
    [
        ("auto", None, "holds no clip that can be read: bad: "),
        ("auto", "test", "no clip of the split 'test'"),
        ("vggsound", None, "no csv file"),
        ("movie-gen", None, "bad: "),
        ("wav", None, "choose from auto, folder"),
    ],
)
def test_a_set_without_clips_is_an_error_that_says_why(tmp_path, put, layout, split, says):
    put("bad.mp4", b"")
    with pytest.raises(UserError, match=says):
        read_set(tmp_path, layout, split)


def test_no_folder_and_an_empty_one(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        read_set(tmp_path / "gone")
    with pytest.raises(UserError, match="holds no clip that can be read$"):
        read_set(tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(UserError, match="neither a folder"):
        read_set(tmp_path / "a.mp4")
