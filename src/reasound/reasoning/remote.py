"""A large model behind any server that speaks OpenAI's chat protocol: vLLM, Ollama, llama.cpp, hosted ones.

Pictures go as JPEG. The answer streams; what fails for a moment is tried again; what a server does not know is left
out.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from reasound.errors import UserError
from reasound.reasoning.frames import BUDGET, SIDE, jpeg
from reasound.reasoning.large import LargeReasoner
from reasound.reasoning.prompts import Prompt
from reasound.reasoning.reasoner import Progress, Reasoner

ANSWER = 4096
"""Tokens of an answer, at most."""
KEY, OPENAI_KEY = "REASOUND_API_KEY", "OPENAI_API_KEY"
"""Environment variables. The second is told to OpenAI's own server only: it belongs to nobody else."""
TOTAL = 600.0
"""Seconds for one answer with all tries; a large model on a CPU takes minutes."""
CONNECT = 15.0
"""Seconds in which a server must take the call."""
TRIES = 5
FIRST_WAIT = 1.0
"""Seconds before the second try; each further one waits twice as long."""
_TOKENS = SIDE * SIDE * 9 // 16 // 784
"""Of a picture, for models that see squares of 28 pixels; hosted ones differ, but not by much."""
_AGAIN = (408, 429, 500, 502, 503, 504, 529)
_MOST = 4_000_000
"""Bytes of an answer."""


class _Failed(Exception):
    """One try; another may do better."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after
        """Seconds that the server asks us to wait."""


class _Refused(Exception):
    """The server does not want the question as it is."""


@dataclass
class _Formats:
    """What of the protocol a server turned out to know; the first that it does not refuse is kept."""

    response: tuple[str, ...] = ("json_schema", "json_object", "")
    limit: str = "max_tokens"
    temperature: bool = True

    def without(self, said: str) -> bool:
        """Ask for less after a refusal; False where there is nothing left to leave out."""
        if self.limit in said and self.limit == "max_tokens":
            self.limit = "max_completion_tokens"
        elif self.temperature and "temperature" in said:
            self.temperature = False
        elif len(self.response) > 1:
            self.response = self.response[1:]
        else:
            return False
        return True


class Remote(LargeReasoner):
    """A model on a server."""

    def __init__(
        self,
        model: str,
        url: str,
        fallback: Reasoner | None = None,
        budget: int = BUDGET,
        *,
        timeout: float = TOTAL,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`url`: the server's, with or without the path ("http://localhost:8000", ".../v1"). `timeout`: seconds for one
        answer, all tries together. UserError for an address that is none.
        """
        self.url = _address(url)
        host = self.url.netloc.rpartition("@")[2]
        super().__init__(f"remote:{model}@{self.url.scheme}://{host}", model, fallback, budget)
        self.host, self.timeout, self.wait = host, timeout, wait
        self._formats = _Formats()

    def picture_tokens(self) -> int:
        """An estimate: servers do not say."""
        return _TOKENS

    def ask(self, prompt: Prompt, turns: Sequence[str], progress: Progress | None) -> str:
        """See `LargeReasoner.ask`."""
        deadline = time.monotonic() + self.timeout
        wait = FIRST_WAIT
        tries = 0
        while True:
            try:
                return self._try(self._body(prompt, turns), deadline, progress)
            except _Refused as refusal:
                if not self._formats.without(str(refusal)):
                    raise UserError(f"{self.host} refuses the question: {refusal}") from refusal
            except _Failed as failure:
                tries += 1
                pause = max(wait, failure.after or 0.0)
                if tries == TRIES or time.monotonic() + pause >= deadline:
                    times = "once" if tries == 1 else f"{tries} times"
                    raise UserError(f"{self.host} gave no answer, asked {times}: {failure}") from failure
                self.wait(pause)
                wait *= 2

    def _body(self, prompt: Prompt, turns: Sequence[str]) -> bytes:
        content = [
            {"type": "text", "text": part} if isinstance(part, str) else _image(jpeg(part.picture))
            for part in prompt.parts
        ]
        said: list[dict[str, Any]] = [
            {"role": "system", "content": prompt.system},
            {"role": "user", "content": content},
            *({"role": ("assistant", "user")[k % 2], "content": text} for k, text in enumerate(turns)),
        ]
        body: dict[str, Any] = {"model": self.model, "messages": said, "stream": True}
        body[self._formats.limit] = ANSWER
        if self._formats.temperature:
            body["temperature"] = 0
        if self._formats.response[0] == "json_schema":
            schema = {"name": "answer", "schema": prompt.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif self._formats.response[0]:
            body["response_format"] = {"type": self._formats.response[0]}
        return json.dumps(body).encode()

    def _try(self, body: bytes, deadline: float, progress: Progress | None) -> str:
        """One call. _Failed, _Refused, or UserError for what will not get better."""
        connection, path = self._connection()
        try:
            self._connect(connection, deadline)
            reader = _Reader(connection, deadline)
            connection.request("POST", path, body, self._headers())
            reader.hurry()
            with connection.getresponse() as response:
                if response.status != 200:
                    self._explain(response, reader)
                if "event-stream" in response.getheader("Content-Type", ""):
                    return _streamed(reader.lines(response), progress)
                return _whole(b"".join(reader.pieces(response)), progress)
        except TimeoutError as error:
            raise _Failed(f"it took longer than {self.timeout:g} s") from error
        except (OSError, HTTPException) as error:
            what = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise _Failed(f"the connection broke ({' '.join(str(what).split())})") from error
        finally:
            connection.close()

    def _connect(self, connection: HTTPConnection, deadline: float) -> None:
        connection.timeout = min(CONNECT, max(0.1, deadline - time.monotonic()))
        try:
            connection.connect()
        except TimeoutError as error:
            raise _Failed("it does not take the call") from error
        except OSError as error:  # nobody there: a second call would find nobody, too
            what = error.strerror or str(error)
            raise UserError(
                f"{self.host} cannot be reached ({what.lower()}); is the server running, and is the address right?"
            ) from error

    def _connection(self) -> tuple[HTTPConnection, str]:
        """To the server, or to the proxy of the environment, and the path to ask for."""
        secure = self.url.scheme == "https"
        host, port = self.url.hostname or "", self.url.port or (443 if secure else 80)
        proxy = getproxies().get(self.url.scheme) if not proxy_bypass(host) else None
        if not proxy:
            return (HTTPSConnection if secure else HTTPConnection)(host, port), self.url.path
        through = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        by = (through.hostname or "", through.port or 80)
        if not secure:
            return HTTPConnection(*by), f"http://{self.host}{self.url.path}"
        tunnel = HTTPSConnection(*by)
        tunnel.set_tunnel(host, port)
        return tunnel, self.url.path

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream, application/json"}
        key = os.environ.get(KEY)
        if not key and (self.url.hostname or "").endswith("api.openai.com"):
            key = os.environ.get(OPENAI_KEY)
        if key:
            headers["Authorization"] = f"Bearer {key.strip()}"
        return headers

    def _explain(self, response: HTTPResponse, reader: _Reader) -> None:
        """What a status other than 200 means."""
        said = _message(b"".join(reader.pieces(response)))
        status = response.status
        if status in _AGAIN:
            raise _Failed(f"it answered {status}{': ' + said if said else ''}", _seconds(response))
        if status in (400, 422):
            raise _Refused(said or f"it answered {status}")
        if status in (401, 403):
            raise UserError(
                f"{self.host} does not let us in ({status}); put its key into the environment as {KEY}"
            )
        if status == 404:
            raise UserError(f"{self.host} has no model {self.model!r}, or no chat at {self.url.path} (404)")
        raise UserError(f"{self.host} answered {status}{': ' + said if said else ''}")


class _Reader:
    """Reads an answer as it comes, until the deadline: a server that drips must not hold us longer."""

    def __init__(self, connection: HTTPConnection, deadline: float) -> None:
        self.socket, self.deadline = connection.sock, deadline

    def hurry(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.socket.settimeout(left)

    def pieces(self, response: HTTPResponse) -> Iterator[bytes]:
        size = 0
        while True:
            self.hurry()
            piece = response.read1(65536)
            if not piece:
                return
            size += len(piece)
            if size > _MOST:
                raise _Failed("its answer does not end")
            yield piece

    def lines(self, response: HTTPResponse) -> Iterator[str]:
        held = b""
        for piece in self.pieces(response):
            *lines, held = (held + piece).split(b"\n")
            yield from (line.decode("utf-8", "replace").rstrip("\r") for line in lines)
        if held:
            yield held.decode("utf-8", "replace")


def _streamed(lines: Iterator[str], progress: Progress | None) -> str:
    """The text of server-sent events; _Failed when they stop before the answer is done."""
    text, done = "", False
    for line in lines:
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            done = True
            break
        event = _parsed(data)
        if event.get("error"):
            raise _Failed(f"it broke off: {_message(data.encode())}")
        for choice in event.get("choices") or []:
            text += ((choice.get("delta") or {}).get("content")) or ""
            done = done or choice.get("finish_reason") is not None
        if progress and text:
            progress(text)
    if not done:
        raise _Failed("its answer was cut off")
    return text


def _whole(data: bytes, progress: Progress | None) -> str:
    """The text of an answer in one piece, of servers that do not stream."""
    choices = _parsed(data.decode("utf-8", "replace")).get("choices")
    if not choices:
        raise _Failed("what it answered is not a chat")
    text = (choices[0].get("message") or {}).get("content") or ""
    if progress:
        progress(text)
    return str(text)


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise _Failed("what it answered is not JSON") from error
    if not isinstance(value, dict):
        raise _Failed("what it answered is not a chat")
    return value


def _message(data: bytes) -> str:
    """What a server says went wrong, in one short line."""
    text = data.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except ValueError:
        value = text if "<" not in text else ""  # not a page for browsers
    for key in ("error", "message", "detail"):
        value = value.get(key, value) if isinstance(value, dict) else value
    return " ".join((value if isinstance(value, str) else json.dumps(value)).split())[:200].rstrip(".")


def _seconds(response: HTTPResponse) -> float | None:
    """Retry-After, as seconds or as a date."""
    said = response.getheader("Retry-After", "")
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _image(data: bytes) -> dict[str, Any]:
    url = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def _address(url: str) -> SplitResult:
    """The address of the chat: with the usual path where the user gives none, or ends at the version."""
    try:
        found = urlsplit(url)
        _ = found.port
    except ValueError:
        found = SplitResult("", "", "", "", "")
    if found.scheme not in ("http", "https") or not found.hostname:
        raise UserError(f"{url!r} is not the address of a server; it begins with http:// or https://")
    if found.username or found.query:
        raise UserError(f"the address of a server holds no name or key; put the key into {KEY}")
    path = found.path.rstrip("/")
    if not path.endswith("/chat/completions"):
        path = f"{path or '/v1'}/chat/completions"
    return found._replace(path=path, fragment="")
