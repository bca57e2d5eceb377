"""A server on this machine that answers like the API of a chat model, with all that can go wrong."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from datasets import prompts
from datasets.prompts import generate
from tests.datasets.serving import send, serve

N = 4


def lines(name: str, first: int, last: int) -> str:
    return "\n".join(f"{i}. A {name} that looks like number {i}." for i in range(first, last + 1))


@contextmanager
def serving_api(monkeypatch: pytest.MonkeyPatch, banks: Path) -> "Iterator[Api]":
    """Serve an API, with a key in the environment; prompt banks lie in `banks`."""
    pytest.importorskip("openai")
    monkeypatch.setattr(prompts, "FOLDER", banks)
    monkeypatch.setenv("OPENAI_API_KEY", "key-for-tests")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    api = Api()
    with serve(api) as url:
        api.url = f"{url}/v1"
        yield api


class Api:
    """Answers the next step of `script`, and then what is asked for; keeps the questions."""

    def __init__(self):
        self.script, self.questions, self.served, self.model = [], [], 0, "Org/Model-1"

    def __call__(self, handler) -> None:
        request = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        assert handler.path == "/v1/chat/completions" and request["model"] == self.model
        assert [m["role"] for m in request["messages"]] == ["user"]
        self.questions.append(request["messages"][0]["content"])
        step = self.script.pop(0) if self.script else {}
        time.sleep(step.get("sleep", 0))
        if step.get("hang up"):
            handler.close_connection = True
            return
        if "body" in step:
            send(handler, step["body"], Content_Type=step["type"])
            return
        if "status" in step:
            error = {"error": {"message": step.get("message", "wait"), "type": "x", "code": None}}
            send(handler, json.dumps(error).encode(), step["status"], Content_Type="application/json", retry_after_ms=1)
            return
        self.send_reply(handler, step)

    def send_reply(self, handler, step: dict) -> None:
        n, name = re.search(r"Give (\d+) textual .* medical cases of (.+) found in", self.questions[-1]).groups()
        if "text" not in step:
            self.served += int(n)
        message = {"role": "assistant", "content": lines(name, self.served - int(n) + 1, self.served)}
        message |= {key: step[key] for key in ("refusal",) if key in step}
        message["content"] = step.get("text", message["content"])
        choice = {"index": 0, "finish_reason": step.get("finish", "stop"), "message": message}
        reply = {"id": "1", "object": "chat.completion", "created": 1, "model": "model-1-of-may"}
        reply["choices"] = step.get("choices", [choice])
        body = json.dumps(reply).encode()
        if "bytes" in step:  # the connection breaks in the middle
            send(handler, body[: step["bytes"]], Content_Type="application/json", Content_Length=len(body))
            handler.close_connection = True
            return
        send(handler, body, Content_Type="application/json")


def ask_for(api: Api, *more: str, n: int = N) -> int:
    line = ["--dataset", "btmri", "--model", "Org/Model-1", "--base-url", api.url, "--n", str(n), "--timeout", "20"]
    return generate.main([*line, *more])


def bank(tmp_path: Path) -> dict:
    return json.loads((tmp_path / "Org-Model-1" / "btmri.json").read_text())
