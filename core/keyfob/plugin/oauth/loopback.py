"""The listener on loopback that the browser comes back to (RFC 8252, sections 7.3 and 8.3)."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from keyfob.errors import PortError
from keyfob.plugin.oauth import pages
from keyfob.plugin.oauth.attempt import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyfob.plugin.oauth.attempt import Attempt
    from keyfob.plugin.oauth.pages import Page

ADDRESS = "127.0.0.1"
# A port that is in use is tried so often, with so many seconds between.
_TRIES, _BETWEEN = 10, 0.2
# Seconds a connection may stay silent; and that a browser is given to fetch the last page.
_SILENCE = 10.0
_LAST_PAGE = 2.0
_OVER = "/signed-in"
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
}


class Listener:
    """Serves one attempt on one port, for `with`. `ports`: each is tried; 0 is any. The first that is in use is asked
    to be given up if `ask`: a sign-in that was left behind holds it."""

    def __init__(self, ports: Sequence[int], path: str, *, ask: bool = False) -> None:
        self.path = path
        self.attempt: Attempt | None = None
        self.page: Page | None = None
        self.settled = threading.Event()
        self.seen = threading.Event()
        self.came = False
        self._server = _bound(self, ports, ask=ask)

    @property
    def port(self) -> int:
        """The port that it has."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sign-in", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def finish(self, page: Page) -> None:
        """Show the browser how it ended, if it is there."""
        self.page = page
        self.settled.set()
        if self.came:
            self.seen.wait(_LAST_PAGE)


def _bound(listener: Listener, ports: Sequence[int], *, ask: bool) -> _Server:
    """The server on the first port that can be had. Raises PortError."""
    why = ""
    for place, port in enumerate(ports):
        for turn in range(_TRIES):
            try:
                return _Server((ADDRESS, port), listener)
            except OSError as error:
                why = f"port {port} on {ADDRESS}: {error.strerror}"
                if error.errno != errno.EADDRINUSE:
                    break
            if ask and place == 0 and turn == 0:
                _ask_to_give_up(port)
            time.sleep(_BETWEEN)
    raise PortError(f"there is no port for the browser to come back to: {why}")


def _ask_to_give_up(port: int) -> None:
    """As Codex asks: a sign-in that was left behind ends, anything else takes no notice."""
    with contextlib.suppress(OSError), socket.create_connection((ADDRESS, port), timeout=2.0) as asking:
        asking.sendall(f"GET /cancel HTTP/1.1\r\nHost: {ADDRESS}:{port}\r\nConnection: close\r\n\r\n".encode())
        asking.recv(64)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = sys.platform != "win32"  # there it would let another program share the port

    def __init__(self, address: tuple[str, int], listener: Listener) -> None:
        self.listener = listener
        super().__init__(address, _Request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is no fault, and what it asked for is shown to nobody."""


class _Request(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SILENCE

    def version_string(self) -> str:
        """Say nothing about versions."""
        return "keyfob"

    def log_message(self, *_: object) -> None:
        """Nothing is logged: the address holds the code."""

    def do_GET(self) -> None:  # the name that http.server calls
        """Answer the callback, the page behind it, or another sign-in's wish."""
        listener, target = self.server.listener, urlsplit(self.path)
        if not self._is_ours():
            self._plain(403, "Wrong Host")
        elif target.path == listener.path:
            self._callback(target.query)
        elif target.path == _OVER and listener.page is not None:
            self._show(listener.page)
            listener.seen.set()
        elif target.path == "/cancel" and self._is_no_page():
            self._plain(200, "Login cancelled")
            if listener.attempt:
                listener.attempt.cancel()
        else:
            self._plain(404, "Not Found")

    def _callback(self, query: str) -> None:
        listener = self.server.listener
        if listener.attempt is None or self._is_ahead():
            self._plain(503, "Not Yet")
            return
        verdict = listener.attempt.offer(query)
        if verdict is Verdict.NOT_OURS:
            self._plain(400, "State mismatch")
        elif verdict is Verdict.TAKEN:
            self._show(pages.TAKEN)
        else:
            listener.came = True
            listener.settled.wait()
            self._redirect()

    def _redirect(self) -> None:
        """Away from the address that holds the code."""
        self.send_response(303)
        self.send_header("Location", _OVER)
        self._end(b"")

    def _show(self, page: Page) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self._end(page.html())

    def _plain(self, status: int, words: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self._end(words.encode())

    def _end(self, body: bytes) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _is_ours(self) -> bool:
        """Whether the Host is this listener's: another name leads here by DNS rebinding."""
        port = self.server.listener.port
        return self.headers.get_all("Host") in ([f"{ADDRESS}:{port}"], [f"localhost:{port}"])

    def _is_no_page(self) -> bool:
        """Whether no web page has the browser ask: that must not end a sign-in."""
        names = [name.lower() for name in self.headers]
        return not any(name in {"origin", "referer"} or name.startswith("sec-fetch-") for name in names)

    def _is_ahead(self) -> bool:
        """Whether a browser asks before anybody wants it to."""
        purposes = (self.headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"))
        return any("pre" in purpose.lower() for purpose in purposes)
