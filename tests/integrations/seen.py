"""What a server saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyfob.testing.model_server import ModelServer, Received


def bearers(server: ModelServer) -> list[str | None]:
    """The Authorization of each request."""
    return [received.header("authorization") for received in server.received]


def everything(received: Received) -> str:
    """All that a server saw of a request, as text to search."""
    return f"{received.path}?{received.query} {received.headers} {received.body!r}"
