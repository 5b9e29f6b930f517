"""What goes into an answer: the shapes of OpenAI's API, plain and as a stream of events.

They follow https://platform.openai.com/docs/api-reference (responses, chat, models); the tests check them against the
models of OpenAI's own SDK and, end to end, with the real Codex client.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from keyfob.testing.answers import Answer, Received

MODEL: Final = "demo-model"
TEXT: Final = "Hello from the demo model."

ENDPOINTS: Final = {
    ("POST", "/responses"): "responses",
    ("POST", "/chat/completions"): "chat",
    ("GET", "/models"): "models",
}
EVENT_STREAM: Final = "text/event-stream"
_CREATED: Final = 1_700_000_000  # a fixed time, so that recordings of two runs are equal
_JSON: Final = "application/json"


def endpoint_of(received: Received) -> str | None:
    """The key of the endpoint that a request went to, or None if it is none of ours."""
    return next(
        (key for (method, end), key in ENDPOINTS.items() if received.method == method and received.path.endswith(end)),
        None,
    )


Content: TypeAlias = tuple[str, bytes]
"""A content type (empty if there is no content) and a body."""


def content_of(answer: Answer, received: Received, text: str) -> Content:
    """What to send for `answer`."""
    content_type, body = _given(answer.body) if answer.body is not None else _usual(answer.status, received, text)
    written = (value for name, value in answer.headers.items() if name.lower() == "content-type")
    return next(written, content_type), body


def headers_of(answer: Answer, content_type: str) -> list[tuple[str, str]]:
    """The headers to send for `answer`, the content type once."""
    own = [(name, value) for name, value in answer.headers.items() if name.lower() != "content-type"]
    return [("Content-Type", content_type), *own] if content_type else own


def _given(body: object) -> Content:
    match body:
        case bytes():
            return (_JSON if body else ""), body
        case str():
            return _given(body.encode())
    return _json(body)


def _usual(status: int, received: Received, text: str) -> Content:
    if status >= 400:
        return _json(_error(status))
    return _ordinary(received, text) if status == 200 else _given(b"")


def _ordinary(received: Received, text: str) -> Content:
    asked = _asked(received)
    model = asked.get("model", MODEL)
    match endpoint_of(received), _wants_stream(received, asked):
        case "responses", True:
            return _events(_response_events(model, text))
        case "responses", False:
            return _json(_response(model, text))
        case "chat", True:
            return _events(_chat_events(model, text, asked.get("stream_options")))
        case "chat", False:
            return _json(_chat(model, text))
        case "models", _:
            return _json(_models())
    return _json({})


def _json(value: object) -> Content:
    return _JSON, json.dumps(value).encode()


def _events(events: Iterable[bytes]) -> Content:
    return EVENT_STREAM, b"".join(events)


def _asked(received: Received) -> dict[str, Any]:
    """Return the JSON object that was sent; an empty one for anything else, such as a compressed body."""
    try:
        asked = json.loads(received.body)
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _wants_stream(received: Received, asked: Mapping[str, Any]) -> bool:
    if asked:
        return asked.get("stream") is True
    return received.header("accept") == EVENT_STREAM  # a body that cannot be read: Codex says it here as well


def pieces_of(content_type: str, body: bytes) -> list[bytes]:
    """A body in the pieces it is sent in: an event stream by its events, anything else in two halves."""
    if content_type == EVENT_STREAM:
        return [event + b"\n\n" for event in body.split(b"\n\n") if event]
    half = (len(body) + 1) // 2
    return [piece for piece in (body[:half], body[half:]) if piece]


def _error(status: int) -> dict[str, Any]:
    return {
        "error": {
            "message": f"lab says {status}",
            "type": "server_error" if status >= 500 else "invalid_request_error",
            "param": None,
            "code": "invalid_api_key" if status == 401 else None,
        }
    }


def _models() -> dict[str, Any]:
    model = {"id": MODEL, "object": "model", "created": _CREATED, "owned_by": "keyfob"}
    # `models` is for Codex, which reads only this key and needs it; empty, it keeps to the models it knows.
    return {"object": "list", "data": [model], "models": []}


def _words(text: str) -> list[str]:
    """Return the text in the pieces that it is streamed in, blanks kept; each counts as a token."""
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)]


# The Responses API


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _message(status: str, content: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"id": "msg_demo", "type": "message", "role": "assistant", "status": status, "content": [*content]}


def _response(model: str, text: str) -> dict[str, Any]:
    tokens = len(_words(text))
    usage = {
        "input_tokens": 1,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 1 + tokens,
    }
    return _response_head(model, "completed") | {"output": [_message("completed", [_part(text)])], "usage": usage}


def _response_head(model: str, status: str) -> dict[str, Any]:
    return {
        "id": "resp_demo",
        "object": "response",
        "created_at": _CREATED,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
    }


def _response_events(model: str, text: str) -> list[bytes]:
    unfinished, finished = _response_head(model, "in_progress"), _response(model, text)
    item: dict[str, Any] = {"output_index": 0}
    part = item | {"item_id": "msg_demo", "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": unfinished},
        {"type": "response.in_progress", "response": unfinished},
        {"type": "response.output_item.added", **item, "item": _message("in_progress", [])},
        {"type": "response.content_part.added", **part, "part": _part("")},
        *({"type": "response.output_text.delta", **part, "delta": word, "logprobs": []} for word in _words(text)),
        {"type": "response.output_text.done", **part, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **part, "part": _part(text)},
        {"type": "response.output_item.done", **item, "item": _message("completed", [_part(text)])},
        {"type": "response.completed", "response": finished},
    ]
    return [_event(event | {"sequence_number": n}) for n, event in enumerate(events)]


def _event(data: Mapping[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()


# Chat completions


def _chat_head(model: str, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-demo", "object": kind, "created": _CREATED, "model": model}


def _chat_usage(text: str) -> dict[str, int]:
    tokens = len(_words(text))
    return {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": 1 + tokens}


def _chat(model: str, text: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return _chat_head(model, "chat.completion") | {"choices": [choice], "usage": _chat_usage(text)}


def _chat_events(model: str, text: str, options: Mapping[str, Any] | None) -> list[bytes]:
    first: dict[str, str] = {"role": "assistant", "content": ""}
    deltas = [first, *({"content": word} for word in _words(text)), {}]
    choices = [
        {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None if delta else "stop"} for delta in deltas
    ]
    chunks: list[dict[str, Any]] = [{"choices": [choice]} for choice in choices]
    if options and options.get("include_usage"):
        chunks.append({"choices": [], "usage": _chat_usage(text)})
    head = _chat_head(model, "chat.completion.chunk")
    return [*(b"data: %b\n\n" % json.dumps(head | chunk).encode() for chunk in chunks), b"data: [DONE]\n\n"]
