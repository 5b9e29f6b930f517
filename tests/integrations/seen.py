"""What a server saw, and what the tests of several SDKs share besides."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from keyfob.testing.model_server import ModelServer, Received


def bearers(server: ModelServer) -> list[str | None]:
    """The Authorization of each request."""
    return [received.header("authorization") for received in server.received]


def everything(received: Received) -> str:
    """All that a server saw of a request, as text to search."""
    return f"{received.path}?{received.query} {received.headers} {received.body!r}"


class Library:
    """A module that a test imports when it first uses it: not each process that collects the tests has to wait for it.

    needs: the package without which the test is skipped.
    """

    def __init__(self, name: str, needs: str) -> None:
        self._name, self._needs = name, needs

    def __getattr__(self, name: str) -> Any:
        pytest.importorskip(self._needs)
        return getattr(importlib.import_module(self._name), name)
