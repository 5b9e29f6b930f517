"""What the servers for tests listen with: HTTP/1.1 on loopback, a thread a connection, answers that drip or hang."""

from __future__ import annotations

import socket
import sys
import threading
from abc import ABC, abstractmethod
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from keyfob.testing.answers import Received
from keyfob.testing.openai_api import EVENT_STREAM, content_of, headers_of, pieces_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from keyfob.testing.answers import Answer
    from keyfob.testing.openai_api import Content

_STOP_PATIENCE_S: Final = 5.0

_Request: TypeAlias = Any  # a socket; socketserver's own type allows for datagrams as well


class Listener(ThreadingTCPServer):
    """The listening socket and its open connections. (Not HTTPServer: that one asks DNS for a name when it binds.)

    decide: what to answer to a request; called in the threads of the connections. content_of: what is sent for it.
    """

    allow_reuse_address = sys.platform != "win32"  # there it would let two servers share a port
    request_queue_size = 128

    def __init__(
        self,
        port: int,
        decide: Callable[[Received], Answer],
        content_of: Callable[[Answer, Received], Content],
    ) -> None:
        self.decide, self.content_of = decide, content_of
        self.stopping = threading.Event()
        self._open: dict[_Request, threading.Thread] = {}
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), Connection)
        # The interval bounds how long `stop` takes where hanging up does not wake who waits for connections.
        self._accepting = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def start(self) -> None:
        """Answer, in daemon threads."""
        self._accepting.start()

    def stop(self) -> None:
        """Close the port and every connection, also of answers that hang."""
        self.stopping.set()
        _hang_up(self.socket)
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
        # A client that leaves, or our own stop, is no fault; an exception of `decide` is, and is printed.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Served(ABC):
    """An issuer that listens on a port of its own, for `with`. What is derived from it decides what to answer."""

    def __enter__(self) -> Self:
        self._listener = Listener(0, self._decide, _content)
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.stop()

    @property
    def url(self) -> str:
        """Its origin."""
        return f"http://127.0.0.1:{self._listener.server_address[1]}"

    @abstractmethod
    def _decide(self, received: Received) -> Answer:
        """What to answer; without a body, an empty document is sent."""


def _content(answer: Answer, received: Received) -> Content:
    return content_of(replace(answer, body={}) if answer.body is None else answer, received, "")


def _hang_up(connection: socket.socket) -> None:
    """Wake the thread that waits for this socket, which closes it."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # gone already


class Connection(BaseHTTPRequestHandler):
    """One client's connection: requests in, answers out."""

    protocol_version = "HTTP/1.1"
    server_version = "keyfob-testing"
    sys_version = ""
    disable_nagle_algorithm = True  # or each event would wait for the client to acknowledge the one before
    wbufsize = -1  # head and body go out together: whether a client would get both at once is not left to chance
    server: Listener

    def _answer(self) -> None:
        received = self._read()
        answer = self.server.decide(received)
        self.server.stopping.wait(answer.delay_s)
        if not answer.silent:
            self._send(answer, received)
        if answer.hang:
            self.rfile.read()  # returns when the client, or `stop`, closes the connection
        if answer.hang or answer.close:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_CONNECT = _answer  # noqa: N815  # http.server names them

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
        content_type, body = self.server.content_of(answer, received)
        in_pieces = content_type == EVENT_STREAM or answer.drip_s > 0 or answer.after is not None
        framing = self._stream_framing() if in_pieces else ("Content-Length", str(len(body)))
        bodiless = self.command == "HEAD" or answer.status in (204, 304)
        self._send_head(answer.status, headers_of(answer, content_type) + ([] if bodiless else [framing]))
        if in_pieces and not bodiless:
            self._send_pieces(answer, pieces_of(content_type, body))
        elif not bodiless:
            self.wfile.write(body)
        self.wfile.flush()

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
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: what was received is the log."""
