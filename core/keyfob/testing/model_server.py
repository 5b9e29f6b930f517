"""A small model server on loopback that records what it receives and answers as OpenAI's API does.

    with ModelServer(answers={"responses": [401, None]}) as server:   # 401 once, then the ordinary answer
        send_something_to(server.base_url)
    assert server.received[-1].header("authorization") == "Bearer k"

Standard library only.
"""

from __future__ import annotations

import socket
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from keyfob.testing.answers import REFUSED, Answer, Received, Scripted
from keyfob.testing.openai_api import (
    ENDPOINTS,
    EVENT_STREAM,
    MODEL,
    TEXT,
    content_of,
    endpoint_of,
    headers_of,
    pieces_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = ["MODEL", "TEXT", "Answer", "ModelServer", "Received", "Scripted"]

_STOP_PATIENCE_S: Final = 5.0


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
            answer = self._next(received) if accepted else REFUSED
            self._received.append(replace(received, answered=None if answer.silent else answer.status))
            self._changed.notify_all()
        return answer

    def _next(self, received: Received) -> Answer:
        if (received.header("upgrade") or "").lower() == "websocket":
            return Answer(426)  # Codex then goes on with a POST
        endpoint = endpoint_of(received)
        script = self._script.get(received.path) or self._script.get(endpoint or "")
        if not script:
            return Answer() if endpoint else Answer(404)
        return script.pop(0) if len(script) > 1 else script[0]


def _script(answers: Mapping[str, Sequence[Scripted]]) -> dict[str, list[Answer]]:
    known = ENDPOINTS.values()
    if unknown := [key for key in answers if not key.startswith("/") and key not in known]:
        raise ValueError(f"no such endpoint: {', '.join(unknown)}; there are {', '.join(known)}, or a /path")
    return {key: [Answer.of(scripted) for scripted in script] for key, script in answers.items()}


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
        content_type, body = content_of(answer, received, self.server.model_server.text)
        in_pieces = content_type == EVENT_STREAM or answer.drip_s > 0 or answer.after is not None
        framing = self._stream_framing() if in_pieces else ("Content-Length", str(len(body)))
        bodiless = self.command == "HEAD" or answer.status in (204, 304)
        self._send_head(answer.status, headers_of(answer, content_type) + ([] if bodiless else [framing]))
        if in_pieces and not bodiless:
            self._send_pieces(answer, pieces_of(content_type, body))
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
