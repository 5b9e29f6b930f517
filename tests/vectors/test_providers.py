"""What keyfob sends, and whether it sends, compared with what the real Codex client did in the same situation."""

from __future__ import annotations

import os
import socket
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from keyfob import Host
from keyfob.config.places import Places
from keyfob.errors import ConfigError, KeyfobError
from keyfob.httpx import Client
from keyfob.testing.model_server import ModelServer, Received

from .differences import AWAITING_OPENAI_LOGIN, DIFFERENCES
from .recorded import STATE, VECTORS, Outcome, Request, Vector, differences

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import httpx

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
        self._server, self._home = server, home
        self._earlier = len(server.received)
        self._values = {
            "{base}": server.origin,
            "{hostport}": server.origin.removeprefix("http://"),
            "{state}": str(home / STATE),
            "{home}": str(home),
        }
        self._given = vector.given(self._values)
        self._given.write(home)
        self._now = self._given.now
        self.host = self._host()

    def _host(self) -> Host:
        environ = {"PATH": os.environ["PATH"], "HOME": str(self._home), **self._given.environ}
        beside = self._home.parent
        return Host(
            environ,
            overrides=self._given.overrides,
            places=Places(str(self._home / STATE), system=str(beside / "etc"), cache=str(beside / "cache")),
            warn=lambda _: None,
            clock=lambda: self._now,
        )

    def outcome(self) -> Outcome:
        """Send what Codex sent, and tell what came of it, in placeholders."""
        before = set(self._home.iterdir())
        try:
            ending = str(self._send().status_code)
        except KeyfobError as error:
            ending = "config" if isinstance(error, ConfigError) else error.code
        received = self._server.received[self._earlier :]
        posts = [self._request(each) for each in received if each.method == "POST"]
        return Outcome(posts, ending, command_ran=set(self._home.iterdir()) != before)

    def _send(self) -> httpx.Response:
        """Codex asks for the models first: nothing to compare, but what a token command printed ages by it."""
        with Client(host=self.host, verify=False) as client:  # reading the certificates takes longer than all the rest
            for asked_at in self._given.models_asked_at:
                self._now = asked_at
                client.get("models")
            self._now = self._given.posted_at
            return client.post("responses", json={"model": "gpt-5", "input": "hi", "stream": True})

    def _request(self, received: Received) -> Request:
        """A header that was sent twice shows as both values."""
        names = {name.lower() for name, _ in received.headers}
        headers = {name: self._told(", ".join(received.header_list(name))) for name in names}
        return Request.of(self._told(f"{received.header('host')}{received.path}"), received.query, headers)

    def _told(self, text: str) -> str:
        for placeholder, value in self._values.items():
            text = text.replace(value, placeholder)
        return text


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The run's home, with nothing else in it."""
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture(scope="module")
def ordinary_server() -> Iterator[ModelServer]:
    """One for all runs without a script: each server takes a while to stop."""
    with ModelServer() as server:
        yield server


@pytest.fixture
def run(vector: Vector, ordinary_server: ModelServer, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """The vector's run by keyfob, in the folder where Codex was started: the home, or the project if there is one."""
    scripted = ModelServer(answers=vector.answers) if vector.answers else nullcontext(ordinary_server)
    with scripted as server:
        run = Run(vector, server, home)
        monkeypatch.chdir(home / "proj" if (home / "proj").exists() else home)
        yield run


def allowed(vector: Vector) -> Mapping[str, object]:
    """How keyfob may differ, and must, by field."""
    if vector.name in AWAITING_OPENAI_LOGIN:
        return differences(vector.codex, NOT_SIGNED_IN)
    return next((runs[vector.name] for runs in DIFFERENCES.values() if vector.name in runs), {})


@pytest.mark.parametrize("vector", VECTORS, ids=repr)
def test_keyfob_does_what_codex_does(vector: Vector, run: Run) -> None:
    """But for the listed differences: each is there, and is exactly what the list says."""
    assert differences(vector.codex, run.outcome()) == allowed(vector)


@pytest.mark.parametrize("vector", [each for each in VECTORS if each.name in AWAITING_OPENAI_LOGIN], ids=repr)
def test_an_entry_for_the_openai_login_is_routed_to_openai(vector: Vector, run: Run) -> None:
    """Whatever else the entry holds."""
    assert run.host.provider().route.plugin == "openai"


def test_each_listed_difference_is_of_one_recorded_run() -> None:
    """No entry outlives its run, and no run is listed twice."""
    listed = [*AWAITING_OPENAI_LOGIN, *(name for runs in DIFFERENCES.values() for name in runs)]
    assert sorted(listed) == sorted({vector.name for vector in VECTORS}.intersection(listed))


def test_every_field_is_compared() -> None:
    """What Codex did against a run that differs in all of it, and one that is the same."""
    codex = Outcome([Request("h/v1/responses", "", "Bearer a", {})], "200", command_ran=False)
    keyfob = Outcome([Request("h/v2/responses", "b=1", "Bearer b", {"x": ""})], "401", command_ran=True)
    assert differences(codex, codex) == {}
    assert differences(codex, keyfob) == {
        "requests": ["h/v2/responses"],
        "query": ["b=1"],
        "authorization": ["Bearer b"],
        "headers": [{"x": ""}],
        "ending": "401",
        "command_ran": True,
    }


def test_the_recorded_runs_are_all_there() -> None:
    """A wrong path would leave nothing to compare, and all of it green."""
    assert len(VECTORS) == 131
