"""A server process that speaks OpenAI's chat protocol over a tiny model: `python tiny_server.py FOLDER ANSWER`.

Prints its port. The model "spelled" answers ANSWER, every other model name what the random weights say.
"""

from __future__ import annotations

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import cv2
import numpy as np
import torch
import transformers

import tiny_mllm
from reasound.reasoning.frames import Frame
from reasound.reasoning.mllm import Mllm
from reasound.reasoning.prompts import Prompt

MOST = 4


def parts_of(message: dict[str, Any]) -> list[str | Frame]:
    """The content of a message, pictures decoded by OpenCV."""
    if isinstance(message["content"], str):
        return [message["content"]]
    parts: list[str | Frame] = []
    for part in message["content"]:
        if part["type"] == "text":
            parts.append(part["text"])
        else:
            data = part["image_url"]["url"].removeprefix("data:image/jpeg;base64,")
            picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
            assert picture is not None
            parts.append(Frame(0.0, np.asarray(picture[:, :, ::-1], np.uint8)))
    return parts


class Handler(BaseHTTPRequestHandler):
    mllm: Mllm
    answer: str

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/chat/completions" and body["stream"]
        system, question, *turns = body["messages"]
        prompt = Prompt(system["content"], tuple(parts_of(question)), {})
        inputs = self.mllm.inputs(prompt, [turn["content"] for turn in turns])
        model, processor = self.mllm.load()
        words = processor.tokenizer
        options: dict[str, Any] = {"max_new_tokens": MOST}
        if body["model"] == "spelled":
            forced = tiny_mllm.Spelling(
                words(self.answer, add_special_tokens=False)["input_ids"], words.eos_token_id
            )
            options = {"max_new_tokens": body["max_tokens"], "logits_processor": [forced]}
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.end_headers()
        handler = self

        class Sent(transformers.TextStreamer):
            def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
                choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
                handler.send({"choices": [choice]})

        with torch.inference_mode():
            model.generate(
                **inputs, **options, do_sample=False, streamer=Sent(words, True, skip_special_tokens=True)
            )
        self.send({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self.wfile.write(b"data: [DONE]\n\n")

    def send(self, event: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.flush()


if __name__ == "__main__":
    torch.set_num_threads(1)
    Handler.mllm, Handler.answer = Mllm(sys.argv[1]), sys.argv[2]
    Handler.mllm.load()
    server = HTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
