"""One request on its connection: whether any of it was sent, and an end to it where it takes too long."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self


class Watch:
    """Told by the connection itself what becomes of a request (the `trace` extension of both HTTP libraries).

    A time-out of theirs is for one byte; who sends a byte a minute would never reach it. After `limit` seconds the
    connection is broken off, whatever it is doing. sent: whether the first byte of the request may have left; a
    proxy's `CONNECT` does not count. expired: whether it was broken off.
    """

    def __init__(self, limit: float) -> None:
        self.sent = False
        self.expired = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(limit, self._expire)
        self._timer.daemon = True

    def __call__(self, event: str, info: dict[str, Any]) -> None:
        """Be told."""
        if event.endswith(".connect_tcp.complete"):
            # A duplicate: TLS takes the socket over, and closing it is the library's business.
            self._socket = info["return_value"].get_extra_info("socket").dup()
            if self.expired:
                self._break_off()
        elif event.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
            self.sent = True

    def __enter__(self) -> Self:
        with contextlib.suppress(RuntimeError):  # no thread to be had: then without an end
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._socket is not None:
            self._socket.close()

    def _expire(self) -> None:
        self.expired = True
        self._break_off()

    def _break_off(self) -> None:
        """Whoever waits for a byte on this connection gets its end."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
