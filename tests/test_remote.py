"""Models on a server: a real process that speaks the protocol over a tiny model, and a server with every fault."""

import json
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import clips
import tiny_mllm
from reasound.errors import UserError
from reasound.media.video import Clip
from reasound.plan import Event, Plan
from reasound.reasoning.remote import FIRST_WAIT, KEY, OPENAI_KEY, TRIES, Remote
from reasound.reasoning.rules import RulesReasoner
from test_rules import features, seen

pytest.importorskip("num2words", reason="SmolVLM's processor needs it")
PLAN = '{"reasoning":[],"events":[{"id":"dog-1","source":"a dog","sound":"a dog barks","onsets":[0.5]}]}'
EXISTING = Plan(seconds=1, events=(Event(id="dog-1", source="a dog", sound="x", end=1),))
ONE = features(seconds=1.0)


@pytest.fixture(autouse=True)
def keyless(monkeypatch):
    """No key and no proxy of whoever runs the tests."""
    for name in (KEY, OPENAI_KEY, "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


# A real process


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a process that serves a tiny SmolVLM."""
    folder = tiny_mllm.write(tmp_path_factory.mktemp("served") / "model", "smolvlm")
    script = Path(__file__).with_name("tiny_server.py")
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder), PLAN], stdout=subprocess.PIPE, text=True
    )
    try:
        port = process.stdout.readline().strip()
        assert port, "the server did not start"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_server_is_shown_pictures_and_its_plan_comes_back(server, tmp_path):
    clip = Clip.open(clips.write(tmp_path / "c.mp4", clips.counter, seconds=1, size=(64, 32)))
    reasoner = Remote("spelled", server)
    told: list[str] = []
    made = reasoner.plan(ONE, "a dog", clip=clip, progress=told.append)
    assert made.events[0].onsets == (0.5,) and made.reasoner == f"remote:spelled@{server}"
    assert made.origin.model == "spelled" and made.origin.raw == PLAN
    assert len(told) > 5 and told[-1] == PLAN


def test_nonsense_from_a_server_ends_in_a_sentence_or_in_rules(server):
    with pytest.raises(UserError, match="no usable answer, even when asked again"):
        Remote("nonsense", server).plan(ONE)
    made = Remote("nonsense", server, RulesReasoner()).plan(features(seen("hammer"), onsets=[1]))
    assert made.reasoner == "rules" and made.origin is None


# A faulty one


class Faulty:
    """Does what each of `acts` says, one a call, the last one for ever; keeps what it was asked."""

    def __init__(self):
        self.acts, self.bodies, self.headers = [], [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                outer.headers.append(dict(self.headers))
                outer.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                act = outer.acts.pop(0) if len(outer.acts) > 1 else outer.acts[0]
                try:
                    act(self)
                except (BrokenPipeError, ConnectionResetError):
                    pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.waits: list[float] = []

    def remote(self, *acts, fallback=None, timeout=60.0):
        self.acts = list(acts)
        return Remote("m", self.url, fallback, timeout=timeout, wait=self.waits.append)


@pytest.fixture
def faulty():
    server = Faulty()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join()


def status(code, text="", **headers):
    def act(handler):
        data = text.encode()
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return act


def events(*pieces, end="data: [DONE]\n\n", pause=0.0):
    def act(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        for piece in pieces:
            said = {"choices": [{"delta": {"content": piece}, "finish_reason": None}]}
            handler.wfile.write(f": a comment\n\ndata: {json.dumps(said)}\n\n".encode())
            handler.wfile.flush()
            time.sleep(pause)
        handler.wfile.write(end.encode())

    return act


GOOD = events(PLAN[:20], PLAN[20:])


def test_what_fails_for_a_moment_is_tried_again_with_longer_and_longer_waits(faulty):
    reasoner = faulty.remote(status(500), status(429), status(503, "busy"), events(PLAN[:20], end=""), GOOD)
    assert reasoner.plan(ONE).events[0].id == "dog-1"
    assert faulty.waits == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT, 8 * FIRST_WAIT]


def test_a_server_that_says_when_is_believed(faulty):
    reasoner = faulty.remote(status(429, Retry_After="7"), status(503, Retry_After="soon"), GOOD)
    reasoner.plan(ONE)
    assert faulty.waits == [7.0, 2 * FIRST_WAIT]
    with pytest.raises(UserError, match="asked once: it answered 429"):  # an hour is longer than we have
        faulty.remote(status(429, Retry_After="3600")).plan(ONE)
    date = status(503, Retry_After=time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 20)))
    faulty.remote(date, GOOD).plan(ONE)
    assert faulty.waits[-1] == pytest.approx(20, abs=3)


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (
            status(500, '{"error": {"message": "out of memory"}}'),
            f"asked {TRIES} times: it answered 500: out of memory",
        ),
        (events(PLAN[:40], end=""), "its answer was cut off"),
        (events(end='data: {"error": {"message": "it fell over"}}\n\n'), "it broke off: it fell over"),
        (status(200, "<html>welcome</html>"), "is not JSON"),
        (status(200, '{"hello": 1}'), "is not a chat"),
        (lambda handler: handler.connection.shutdown(socket.SHUT_RDWR), f"asked {TRIES} times"),
        (status(401), "does not let us in"),
        (status(404), "has no model 'm'"),
        (status(302, Location="http://127.0.0.1:1/"), "answered 302"),
        (
            status(400, '{"error": {"message": "too many pictures"}}'),
            "refuses the question: too many pictures",
        ),
    ],
)
def test_every_fault_ends_in_one_sentence(faulty, act, why):
    with pytest.raises(UserError, match=why) as caught:
        faulty.remote(act).plan(ONE)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_server_that_drips_or_sleeps_holds_nobody_longer_than_allowed(faulty):
    with pytest.raises(UserError, match=r"longer than 0\.3 s"):
        faulty.remote(events(*("x" * 100), pause=0.02), timeout=0.3).plan(ONE)
    with pytest.raises(UserError, match=r"longer than 0\.3 s"):
        faulty.remote(lambda handler: time.sleep(0.6), timeout=0.3).plan(ONE)


def test_wrong_json_is_sent_back_once_and_then_given_up(faulty):
    assert faulty.remote(events("An essay."), GOOD).plan(ONE).events
    system, question, answer, repair = faulty.bodies[-1]["messages"]
    assert answer == {"role": "assistant", "content": "An essay."} and "only text" in repair["content"]
    with pytest.raises(UserError, match="even when asked again"):
        faulty.remote(events("An essay.")).plan(ONE)
    reasoner = faulty.remote(events("An essay."), fallback=RulesReasoner())
    assert reasoner.plan(ONE).reasoner == "rules" and "even when asked again" in reasoner.notes[0]


def test_what_a_server_does_not_know_is_left_out_and_stays_so(faulty):
    refused = status(400, '{"error": {"message": "response_format is not supported"}}')
    reasoner = faulty.remote(refused, refused, GOOD)
    reasoner.plan(ONE)
    kinds = [body.get("response_format", {}).get("type") for body in faulty.bodies]
    assert kinds == ["json_schema", "json_object", None] and not faulty.waits
    reasoner.plan(ONE)
    assert "response_format" not in faulty.bodies[-1]
    newer = status(400, '{"error": {"message": "use max_completion_tokens instead of max_tokens"}}')
    cold = status(400, '{"error": {"message": "temperature must be 1"}}')
    faulty.remote(newer, cold, GOOD).plan(ONE)
    assert "max_tokens" not in faulty.bodies[-1] and faulty.bodies[-1]["max_completion_tokens"] > 0
    assert "temperature" not in faulty.bodies[-1] and "response_format" in faulty.bodies[-1]


def test_an_answer_in_one_piece_serves_as_well(faulty):
    whole = json.dumps({"choices": [{"message": {"content": PLAN}, "finish_reason": "stop"}]})
    told: list[str] = []
    faulty.remote(status(200, whole, Content_Type="application/json")).plan(ONE, progress=told.append)
    assert told == [PLAN]


@pytest.mark.parametrize(
    "instruction", ["把狗叫声去掉", "quita el perro", "mach den Hund weg", "¿y el «perro»?"]
)
def test_an_instruction_arrives_as_it_was_written(faulty, instruction):
    edit = {"operations": [{"verb": "remove", "targets": ["dog-1"]}]}
    done = faulty.remote(events(json.dumps(edit))).edit(instruction, EXISTING)
    assert done.instruction == instruction and done.operations[0].targets == ("dog-1",)
    assert faulty.bodies[-1]["messages"][1]["content"][-1]["text"].endswith(f"\n{instruction}")


def test_a_refusal_is_an_answer(faulty):
    done = faulty.remote(events('{"operations": [], "refusal": "Sound has no colour."}')).edit(
        "make it blue", EXISTING
    )
    assert done.refusal == "Sound has no colour." and not done.operations


def test_the_key_goes_to_the_server_and_nowhere_else(faulty, monkeypatch):
    monkeypatch.setenv(OPENAI_KEY, "theirs")
    faulty.remote(GOOD).plan(ONE)
    assert "Authorization" not in faulty.headers[-1]  # a key for OpenAI is no other server's business
    assert Remote("m", "https://api.openai.com/v1")._headers()["Authorization"] == "Bearer theirs"
    assert "Authorization" not in Remote("m", "https://evil-api.openai.com.example/v1")._headers()
    monkeypatch.setenv(KEY, "sesame")
    made = faulty.remote(GOOD).plan(ONE)
    assert faulty.headers[-1]["Authorization"] == "Bearer sesame"
    assert "sesame" not in made.to_json()


def test_nobody_at_the_address(faulty):
    port = faulty.http.server_port
    faulty.http.shutdown()
    faulty.http.server_close()
    reasoner = Remote("m", f"http://127.0.0.1:{port}", wait=faulty.waits.append)
    with pytest.raises(UserError, match=f"127.0.0.1:{port} cannot be reached .*is the server running"):
        reasoner.plan(ONE)
    assert not faulty.waits
