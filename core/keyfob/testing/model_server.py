"""A small model server on loopback that records what it receives and answers as OpenAI's API does.

    with ModelServer(answers={"responses": [401, None]}) as server:   # 401 once, then the ordinary answer
        send_something_to(server.base_url)
    assert server.received[-1].header("authorization") == "Bearer k"

The shapes follow https://platform.openai.com/docs/api-reference (responses, chat, models); the tests check them against
the models of OpenAI's own SDK and, end to end, with the real Codex client. Standard library only.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Final, Self, TypeAlias

__all__ = ["Answer", "ModelServer", "Received", "Scripted"]

MODEL: Final = "demo-model"
TEXT: Final = "Hello from the demo model."

_ENDPOINTS: Final = {
    ("POST", "/responses"): "responses",
    ("POST", "/chat/completions"): "chat",
    ("GET", "/models"): "models",
}
_CREATED: Final = 1_700_000_000  # a fixed time, so that recordings of two runs are equal
_JSON: Final = "application/json"
_EVENT_STREAM: Final = "text/event-stream"
_STOP_PATIENCE_S: Final = 5.0


# What is received, and what is answered


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came over the wire. Its repr holds no header value, query or body: those carry secrets."""

    method: str
    path: str
    """The request target up to `?`, not decoded or normalised."""
    query: str = field(repr=False)
    """What follows `?`, not decoded; empty if there is none."""
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    """Name and value of each header, in order, spelt as sent; bytes beyond ASCII are read as ISO-8859-1."""
    body: bytes = field(repr=False)
    """Without transfer coding, but with its content coding (Codex sends zstd)."""
    answered: int | None = None
    """The status that was sent; None if the script says to hang or to close instead."""

    def header(self, name: str) -> str | None:
        """Return the first value of the header `name` (in any case), or None."""
        return next(iter(self.header_list(name)), None)

    def header_list(self, name: str) -> list[str]:
        """Return every value of the header `name` (in any case), in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the server's script.

    `body` is bytes or text sent as it is, anything else is sent as JSON; None is what comes with that status: for 200
    the endpoint's ordinary answer, from 400 on an error as OpenAI writes it, otherwise nothing. So `Answer()` is the
    ordinary answer, `Answer(drip_s=0.1)` the same slowly, and `Answer(307, {"Location": url})` a redirect.

    A body goes out in pieces: an event stream by its events, anything else in two halves.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Any = field(default=None, repr=False)
    delay_s: float = 0.0
    """Seconds before the first byte."""
    drip_s: float = 0.0
    """Seconds between two pieces of the body."""
    hang: bool = False
    """Stop there without a word: the connection stays open until the client, or the server, gives up."""
    close: bool = False
    """Close the connection there."""
    after: int | None = None
    """With `hang` or `close`, where "there" is: after that many pieces of the body; None is before the status line."""

    def __post_init__(self) -> None:
        """Refuse what would quietly do something else.

        Raises:
            ValueError: `after` without `hang` or `close`, both of these at once, or a status outside 200 to 599.
        """
        if self.hang and self.close:
            raise ValueError("an answer cannot both hang and close")
        if self.after is not None and not (self.hang or self.close):
            raise ValueError("`after` says where to hang or close: set one of them")
        if not 200 <= self.status <= 599:
            raise ValueError(f"not a final HTTP status: {self.status}")

    @classmethod
    def of(cls, scripted: Scripted) -> Answer:
        """Return the answer that a script's short form stands for (see `Scripted`).

        Raises:
            ValueError: it is none of the forms.
        """
        match scripted:
            case Answer():
                return scripted
            case None:
                return cls()
            case "hang":
                return cls(hang=True)
            case int():
                return cls(scripted)
            case (int(status), body):
                return cls(status, body=body)
            case {"delay": int() | float() as delay_s, "then": then, **rest} if not rest:
                return replace(cls.of(then), delay_s=delay_s)
        raise ValueError(f"not an answer: a {type(scripted).__name__}; see keyfob.testing.model_server.Scripted")

    @property
    def silent(self) -> bool:
        """Whether not even a status is sent."""
        return (self.hang or self.close) and self.after is None


Scripted: TypeAlias = Answer | int | tuple[int, Any] | Sequence[Any] | Mapping[str, Any] | str | None
"""One answer of a script: None for the ordinary one, a status, a pair of status and body, an `Answer`, or, as in the
recorded runs of Codex, "hang" and {"delay": seconds, "then": one of these}."""

_REFUSED: Final = Answer(401, body={"error": {
    "message": "Incorrect API key provided.", "type": "invalid_request_error", "param": None, "code": "invalid_api_key",
}})  # fmt: skip


# The server


class ModelServer:
    """A model server on 127.0.0.1, for `with`, or `start()` and `stop()`.

    Args:
        port: 0 takes a free one, and keeps it for later starts.
        answers: for an endpoint ("responses", "chat", "models") or a full path ("/other"), what to answer, in order;
            the last one repeats. A path goes before an endpoint; without either, the answer is the ordinary one, which
            is 404 for a path that is no endpoint.
        accepts: decides from the request whether its key is right; False is answered with OpenAI's 401 and uses up
            nothing of `answers`. It is called in the threads of the server.
        text: what the model says; may be changed at any time.

    Raises:
        ValueError: `answers` has an unknown endpoint or something that is not an answer.
    """

    def __init__(
        self,
        port: int = 0,
        answers: Mapping[str, Sequence[Scripted]] | None = None,
        accepts: Callable[[Received], bool] | None = None,
        *,
        text: str = TEXT,
    ) -> None:
        self.text = text
        self._port = port
        self._script = _script(answers or {})
        self._accepts = accepts
        self._received: list[Received] = []
        self._changed = threading.Condition()
        self._listener: _Listener | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Listen, in daemon threads, and return self.

        Raises:
            RuntimeError: it runs already.
            OSError: the port is taken.
        """
        if self._listener is not None:
            raise RuntimeError("the model server runs already")
        self._listener = _Listener(("127.0.0.1", self._port), self)
        self._port = self._listener.server_address[1]
        self._listener.start()
        return self

    def stop(self) -> None:
        """Close the port and every connection, also of answers that hang. What was received stays; may be repeated."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:PORT`; also after `stop`, as the address of a server that is gone.

        Raises:
            RuntimeError: it was never started, so its port is not known.
        """
        if not self._port:
            raise RuntimeError("the model server has no address before it is started")
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """The origin with `/v1`, as a provider's `base_url`. The server answers below other prefixes just the same."""
        return self.origin + "/v1"

    @property
    def received(self) -> list[Received]:
        """A copy of all requests so far. A request is in it before its answer is sent."""
        with self._changed:
            return self._received.copy()

    def wait_for(self, n: int, timeout: float = 10) -> list[Received]:
        """Wait until `n` requests in all were received, at most `timeout` seconds, and return all.

        Raises:
            TimeoutError: there were fewer.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._received) >= n, timeout):
                raise TimeoutError(f"{len(self._received)} of {n} requests came within {timeout} s")
            return self._received.copy()

    def _take(self, received: Received) -> Answer:
        """Decide the answer to a request, and record both."""
        accepted = self._accepts is None or self._accepts(received)
        with self._changed:
            answer = self._next(received) if accepted else _REFUSED
            self._received.append(replace(received, answered=None if answer.silent else answer.status))
            self._changed.notify_all()
        return answer

    def _next(self, received: Received) -> Answer:
        if (received.header("upgrade") or "").lower() == "websocket":
            return Answer(426)  # Codex then goes on with a POST
        endpoint = _endpoint(received)
        script = self._script.get(received.path) or self._script.get(endpoint or "")
        if not script:
            return Answer() if endpoint else Answer(404)
        return script.pop(0) if len(script) > 1 else script[0]


def _script(answers: Mapping[str, Sequence[Scripted]]) -> dict[str, list[Answer]]:
    known = _ENDPOINTS.values()
    if unknown := [key for key in answers if not key.startswith("/") and key not in known]:
        raise ValueError(f"no such endpoint: {', '.join(unknown)}; there are {', '.join(known)}, or a /path")
    return {key: [Answer.of(scripted) for scripted in script] for key, script in answers.items()}


def _endpoint(received: Received) -> str | None:
    return next(
        (key for (method, end), key in _ENDPOINTS.items() if received.method == method and received.path.endswith(end)),
        None,
    )


_Request: TypeAlias = Any  # a socket; socketserver's own type allows for datagrams as well


class _Listener(ThreadingTCPServer):
    """The listening socket and its open connections. (Not HTTPServer: that one asks DNS for a name when it binds.)"""

    allow_reuse_address = sys.platform != "win32"  # there it would let two servers share a port
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], model_server: ModelServer) -> None:
        self.model_server = model_server
        self.stopping = threading.Event()
        self._open: dict[_Request, threading.Thread] = {}
        self._lock = threading.Lock()
        super().__init__(address, _Connection)
        # The interval bounds how long `stop` takes, as socketserver looks at its flag only that often.
        self._accepting = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def start(self) -> None:
        self._accepting.start()

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            threads = [self._accepting, *self._open.values()]
            for connection in self._open:
                _hang_up(connection)
        for thread in threads:
            thread.join(_STOP_PATIENCE_S)

    def process_request(self, request: _Request, client_address: object) -> None:
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        with self._lock:
            self._open[request] = thread
        thread.start()

    def shutdown_request(self, request: _Request) -> None:
        super().shutdown_request(request)
        with self._lock:
            self._open.pop(request, None)

    def handle_error(self, request: _Request, client_address: object) -> None:
        # A client that leaves, or our own stop, is no fault; an exception of `accepts` is, and is printed.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _hang_up(connection: socket.socket) -> None:
    """Wake the thread that reads from, or writes to, this connection; it closes it."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # gone already


class _Connection(BaseHTTPRequestHandler):
    """One client's connection: requests in, answers out."""

    protocol_version = "HTTP/1.1"
    server_version = "keyfob-model-server"
    sys_version = ""
    disable_nagle_algorithm = True  # or each event would wait for the client to acknowledge the one before
    server: _Listener

    def _answer(self) -> None:
        received = self._read()
        answer = self.server.model_server._take(received)
        self.server.stopping.wait(answer.delay_s)
        if not answer.silent:
            self._send(answer, received)
        if answer.hang:
            self.rfile.read()  # returns when the client, or `stop`, closes the connection
        if answer.hang or answer.close:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_CONNECT = _answer  # noqa: N815

    def _read(self) -> Received:
        # Not self.path: http.server takes the doubled slash off `//v1`, which is a fault to be seen.
        path, _, query = self.requestline.split()[1].partition("?")
        return Received(self.command, path, query, tuple(self.headers.items()), self._read_body())

    def _read_body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return b"".join(self._read_chunks())
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def _read_chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers

    def _send(self, answer: Answer, received: Received) -> None:
        content_type, body = _content(answer, received, self.server.model_server.text)
        in_pieces = content_type == _EVENT_STREAM or answer.drip_s > 0 or answer.after is not None
        framing = self._stream_framing() if in_pieces else ("Content-Length", str(len(body)))
        bodiless = self.command == "HEAD" or answer.status in (204, 304)
        self._send_head(answer.status, _headers(answer, content_type) + ([] if bodiless else [framing]))
        if in_pieces and not bodiless:
            self._send_pieces(answer, _pieces(content_type, body))
        elif not bodiless:
            self.wfile.write(body)

    def _stream_framing(self) -> tuple[str, str]:
        # An HTTP/1.0 client knows no chunks; http.server itself closes the connection after a header that says so.
        return ("Transfer-Encoding", "chunked") if self._knows_chunks else ("Connection", "close")

    @property
    def _knows_chunks(self) -> bool:
        return self.request_version == "HTTP/1.1"

    def _send_head(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def _send_pieces(self, answer: Answer, pieces: list[bytes]) -> None:
        for n, piece in enumerate(pieces[: answer.after]):
            self.server.stopping.wait(answer.drip_s if n else 0)
            self._send_piece(piece)
        if answer.after is None:
            self._send_piece(b"")  # the end of a chunked body

    def _send_piece(self, piece: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if self._knows_chunks else piece)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: `received` is the log."""


# What goes into an answer: its content type (empty if it has no content) and its body


_Content: TypeAlias = tuple[str, bytes]


def _content(answer: Answer, received: Received, text: str) -> _Content:
    content_type, body = _given(answer.body) if answer.body is not None else _usual(answer.status, received, text)
    written = (value for name, value in answer.headers.items() if name.lower() == "content-type")
    return next(written, content_type), body


def _headers(answer: Answer, content_type: str) -> list[tuple[str, str]]:
    own = [(name, value) for name, value in answer.headers.items() if name.lower() != "content-type"]
    return [("Content-Type", content_type), *own] if content_type else own


def _given(body: object) -> _Content:
    match body:
        case bytes():
            return (_JSON if body else ""), body
        case str():
            return _given(body.encode())
    return _json(body)


def _usual(status: int, received: Received, text: str) -> _Content:
    if status >= 400:
        return _json(_error(status))
    return _ordinary(received, text) if status == 200 else _given(b"")


def _ordinary(received: Received, text: str) -> _Content:
    asked = _asked(received)
    model = asked.get("model", MODEL)
    match _endpoint(received), _wants_stream(received, asked):
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


def _json(value: object) -> _Content:
    return _JSON, json.dumps(value).encode()


def _events(events: Iterable[bytes]) -> _Content:
    return _EVENT_STREAM, b"".join(events)


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
    return received.header("accept") == _EVENT_STREAM  # a body that cannot be read: Codex says it here as well


def _pieces(content_type: str, body: bytes) -> list[bytes]:
    if content_type == _EVENT_STREAM:
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
