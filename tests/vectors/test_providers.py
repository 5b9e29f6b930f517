"""What keyfob sends, and whether it sends, compared with what the real Codex client did in the same situation."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from keyfob import Host
from keyfob.config.places import Places
from keyfob.errors import ConfigError, KeyfobError
from keyfob.httpx import Client
from keyfob.testing.model_server import ModelServer, Received

from .differences import AWAITING_OPENAI_LOGIN, DIFFERENCES
from .recorded import STATE, VECTORS, Outcome, Request, Vector

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .recorded import Given

NOT_SIGNED_IN = Outcome([], "not-signed-in")


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request to anywhere else, such as api.openai.com, fails the test before even its name is looked up."""
    real = socket.getaddrinfo

    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "127.0.0.1":
            pytest.fail(f"a connection to {host} was tried")
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


class Run:
    """keyfob in the place of Codex: the same files, environment and answers."""

    def __init__(self, vector: Vector, server: ModelServer, home: Path) -> None:
        self.server, self.home = server, home
        self.given = vector.given(self.values)
        self.given.write(home)
        self.host = self._host()

    @property
    def values(self) -> Mapping[str, str]:
        """What the placeholders stand for here."""
        return {
            "{base}": self.server.origin,
            "{hostport}": self.server.origin.removeprefix("http://"),
            "{state}": str(self.home / STATE),
            "{home}": str(self.home),
        }

    def _host(self) -> Host:
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.home), **self.given.environ}
        beside = str(self.home.parent)
        places = Places(str(self.home / STATE), system=f"{beside}/etc", cache=f"{beside}/cache")
        return Host(environ, overrides=self.given.overrides, places=places, warn=lambda _: None, clock=lambda: self.now)

    def outcome(self) -> Outcome:
        """Send what Codex sent, and tell what came of it."""
        before = set(self.home.rglob("*"))
        try:
            ending = str(self._send().status_code)
        except KeyfobError as error:
            ending = "config" if isinstance(error, ConfigError) else error.code
        posts = [self._request(received) for received in self.server.received if received.method == "POST"]
        return Outcome(posts, ending, command_ran=set(self.home.rglob("*")) != before)

    def _send(self) -> httpx.Response:
        """Codex asks for the models first: nothing to compare, but a token command's output ages by it."""
        with Client(host=self.host) as client:
            for self.now in self.given.models_asked_at:
                client.get("models")
            self.now = self.given.posted_at
            return client.post("responses", json={"model": "gpt-5", "input": "hi", "stream": True})
