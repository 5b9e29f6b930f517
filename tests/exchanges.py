"""Exchanges with a model server: scripts/record records them, tests/test_cassettes.py replays them.

A cassette holds no secret and nothing of the machine it was made on: of the headers it keeps those that matter, keys
are replaced wherever they stand, and the server's address is NOWHERE. Both happen before a request is compared, too, so
a replay demands that the right key was sent.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, Final

import vcr

from keyfob import Host
from keyfob.config.places import Places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vcr.request import Request

CASSETTES: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cassettes")
NOWHERE: Final = "http://127.0.0.1:9"
MODEL: Final = "demo-model"
KEYS: Final = {"right": "sk-key-8d1f4e-right", "wrong": "sk-key-8d1f4e-wrong", "team": "sk-key-8d1f4e-team"}

_KEPT: Final = ("authorization", "content-type", "x-team-key")
_OPAQUE_ID: Final = re.compile(r"resp_[\w-]{20,}")  # LiteLLM encrypts into it what it wants to know again
_CONFIG: Final = """
[model_providers.recorded]
base_url = "{origin}/v1"
env_key = "RECORDED_KEY"
env_http_headers = {{ "X-Team-Key" = "TEAM_KEY" }}
"""


def host(folder: str, origin: str, key: str) -> Host:
    """A host whose one provider, `recorded`, is at `origin` and has the `right` or the `wrong` key."""
    with open(os.path.join(folder, "config.toml"), "w", encoding="utf-8") as file:
        file.write(_CONFIG.format(origin=origin))
    places = Places(folder, system=os.path.join(folder, "system"), cache=os.path.join(folder, "cache"))
    return Host({"RECORDED_KEY": KEYS[key], "TEAM_KEY": KEYS["team"]}, places=places)


def recorder(origin: str = NOWHERE, *, mode: str = "none") -> vcr.VCR:
    """What records ("all") the server at `origin`, or replays ("none")."""

    def clean_request(request: Request) -> Request:
        request.uri = request.uri.replace(origin, NOWHERE)
        request.headers = {name: without_keys(value) for name, value in request.headers.items() if _is_kept(name)}
        return request

    def clean_answer(answer: dict[str, Any]) -> dict[str, Any]:
        answer["headers"] = {name: value for name, value in answer["headers"].items() if _is_kept(name)}
        body = without_keys(answer["body"]["string"].decode())
        answer["body"]["string"] = _OPAQUE_ID.sub("resp_recorded", body.replace(origin, NOWHERE)).encode()
        return answer

    return vcr.VCR(
        cassette_library_dir=CASSETTES,
        record_mode=mode,
        match_on=["method", "uri", "headers", "body"],
        before_record_request=clean_request,
        before_record_response=clean_answer,
        decode_compressed_response=True,
    )


def _is_kept(name: str) -> bool:
    return name.lower() in _KEPT


def without_keys(text: str) -> str:
    """A text with the name of each key in its place."""
    for name, key in KEYS.items():
        text = text.replace(key, f"({name} key)")
    return text


# The exchanges: each returns what its caller reads of the answer.


def models(client: Any) -> list[str]:
    """The ids of the models."""
    return [model["id"] for model in client.get("models").json()["data"]]


def answer(client: Any) -> str:
    """The text of one answer of the Responses API."""
    response = client.post("responses", json={"model": MODEL, "input": "Say hello."})
    return str(response.json()["output"][0]["content"][0]["text"])


def stream(client: Any) -> str:
    """The same, streamed."""
    body = {"model": MODEL, "input": "Say hello.", "stream": True}
    events = _events(client, "responses", body)
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


def chat(client: Any) -> str:
    """A streamed answer of the chat completions API."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Say hello."}], "stream": True}
    choices = [choice for event in _events(client, "chat/completions", body) for choice in event["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def refusal(client: Any) -> int:
    """The status of the answer to a wrong key."""
    return int(client.get("models").status_code)


def _events(client: Any, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    with client.stream("POST", path, json=body) as response:
        for line in response.iter_lines():
            if line.startswith("data: ") and line != "data: [DONE]":
                yield json.loads(line.removeprefix("data: "))


TEXT: Final = "Hello from the demo model."

# Exchange, the key that is sent with it, and what is read.
EXCHANGES: Final[list[tuple[Callable[[Any], Any], str, Any]]] = [
    (models, "right", [MODEL]),
    (answer, "right", TEXT),
    (stream, "right", TEXT),
    (chat, "right", TEXT),
    (refusal, "wrong", 401),
]
