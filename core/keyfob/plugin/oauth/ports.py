"""The port on loopback that the browser comes back to: the first that can be had (RFC 8252, section 7.3)."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
import time
from typing import TYPE_CHECKING

from keyfob.errors import PortError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Not `localhost`: another program may listen at its other address, ::1 (RFC 8252, section 8.3).
ADDRESS = "127.0.0.1"
# As Codex: so often a port is tried whose holder was asked to leave it, with so many seconds between.
_TRIES, _BETWEEN = 10, 0.2
# Seconds that the holder is given to take the question, and as many to answer it.
_MANNERS = 2.0
# Connections that may wait to be taken: beyond that a browser would have to come again, a second later.
BACKLOG = 128


def listening(ports: Sequence[int], *, ask: bool = False) -> socket.socket:
    """A socket that listens on the first of these ports that can be had; 0 is any.

    ask: where the first is in use, ask its holder to give it up, as Codex does: a sign-in that was left behind ends
    then, and nothing else takes notice. Raises PortError, which says of each port why not.
    """
    why = []
    for place, port in enumerate(ports):
        try:
            return _asked_for(port) if ask and place == 0 else _listening_on(port)
        except OSError as error:
            why.append(f"{port} {_reason(error)}")
    raise PortError(f"there is no port for the browser to come back to: on {ADDRESS}, {' and '.join(why)}")


def _asked_for(port: int) -> socket.socket:
    for turn in range(_TRIES):
        try:
            return _listening_on(port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or turn == _TRIES - 1:
                raise
        if turn == 0:
            _ask_to_give_up(port)
        time.sleep(_BETWEEN)
    raise AssertionError  # the last turn returns or raises


def _listening_on(port: int) -> socket.socket:
    """Bound and listening in one: of two that are bound at once, it is the listening that one of them is refused."""
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":  # SO_REUSEADDR would let another program share the port there
            held.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((ADDRESS, port))
        held.listen(BACKLOG)
    except BaseException:
        held.close()
        raise
    return held


def _ask_to_give_up(port: int) -> None:
    with contextlib.suppress(OSError), socket.create_connection((ADDRESS, port), timeout=_MANNERS) as asking:
        asking.sendall(f"GET /cancel HTTP/1.1\r\nHost: {ADDRESS}:{port}\r\nConnection: close\r\n\r\n".encode())
        asking.recv(64)


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "is in use"
    if error.errno == errno.EACCES:
        return "is reserved by the system"  # Windows keeps ranges for Hyper-V; below 1024 is for root
    return f"cannot be used: {error.strerror or error}"
