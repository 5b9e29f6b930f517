"""What keyfob sends, stores and says, compared with what the real Codex client did in the same situation."""

from __future__ import annotations

import socket
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ..secret_service import secret_service as secret_service  # noqa: TID252
from .differences import AGED_DIFFERENCES, DIFFERENCES
from .recorded import VECTORS, Call, Outcome, Request, Stored, Vector, differences
from .run import Run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..secret_service import SecretService  # noqa: TID252


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request to anywhere else, such as api.openai.com, fails the test before even its name is looked up."""
    real = socket.getaddrinfo

    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in ("127.0.0.1", "localhost"):
            pytest.fail(f"a connection to {host} was tried")
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.fixture(autouse=True)
def _nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else renews, and an issuer that hangs goes on doing so."""
    monkeypatch.setattr("keyfob.credentials.renewal.SECOND_LOOK", 0.0)
    monkeypatch.setattr("keyfob_openai.rotation._REVOKE_TIMEOUT", 0.1)


@pytest.fixture(autouse=True)
def _no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none, neither somebody's own nor one that another test defines."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setattr("keyring.core._keyring_backend", None)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The run's home, with nothing else in it."""
    home = tmp_path / "home"
    home.mkdir()
    return home


def allowed(vector: Vector) -> Mapping[str, object]:
    """How keyfob may differ, and must, by field."""
    found: dict[str, object] = {}
    for runs in DIFFERENCES.values():
        found |= runs.get(vector.name, {})
    return found


ALONE = [vector for vector in VECTORS if not vector.with_keyring]
# They wait for a lock, or run a command.
_SLOW = ("auth_cmd_", "lock_", "refresh_concurrent_")
WITH_KEYRING = [vector for vector in VECTORS if vector.with_keyring]
REFUSED = [vector for vector in VECTORS if vector.name.startswith("refresh_401_")]


def _marks(vector: Vector) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if vector.name.startswith(_SLOW) else []


@pytest.mark.parametrize("vector", [pytest.param(each, marks=_marks(each), id=each.name) for each in ALONE])
def test_keyfob_does_what_codex_does(vector: Vector, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the listed differences: each is there, and is exactly what the list says."""
    assert differences(vector.codex, Run(vector, home).outcome(monkeypatch)) == allowed(vector)


@pytest.mark.e2e
@pytest.mark.parametrize("vector", WITH_KEYRING, ids=repr)
def test_keyfob_does_what_codex_does_with_a_keyring(
    vector: Vector, home: Path, monkeypatch: pytest.MonkeyPatch, secret_service: SecretService
) -> None:
    """The same, where a Secret Service runs."""
    outcome = Run(vector, home, service=secret_service).outcome(monkeypatch)
    assert differences(vector.codex, outcome) == allowed(vector)


@pytest.mark.parametrize("vector", REFUSED, ids=repr)
def test_after_a_401_an_older_login_is_renewed_as_by_codex(
    vector: Vector, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recorded logins were seconds old, and such a one keyfob does not renew again; here they are an hour old."""
    outcome = Run(vector, home, aged=3600.0).outcome(monkeypatch)
    assert differences(vector.codex, outcome) == AGED_DIFFERENCES.get(vector.name, {})


def test_each_listed_difference_is_of_a_recorded_run() -> None:
    """No entry outlives its run."""
    listed = {name for runs in DIFFERENCES.values() for name in runs} | set(AGED_DIFFERENCES)
    assert listed <= {vector.name for vector in VECTORS}


def test_no_field_of_a_run_is_listed_twice() -> None:
    """Each difference has one explanation."""
    fields = [(name, field) for runs in DIFFERENCES.values() for name, found in runs.items() for field in found]
    assert len(fields) == len(set(fields))


def test_every_field_is_compared() -> None:
    """What Codex did against a run that differs in all of it, and one that is the same."""
    codex = Outcome(
        [Request("h/v1/responses", "", "Bearer a", {})],
        "200",
        command_ran=False,
        calls=[Call("h/oauth/token", "{}", None, "application/json")],
        order=["token.refresh", "responses"],
        stored=Stored({"a": 1, "b": 2}, "0600", newline=False),
        waited=False,
        replaced=False,
        page=200,
        pauses=[],
        heard=[],
    )
    keyfob = Outcome(
        [Request("h/v2/responses", "b=1", "Bearer b", {"x": ""})],
        "401",
        command_ran=True,
        calls=[Call("h/oauth/revoke", "", "Bearer c", None)],
        order=["responses", "revoke"],
        stored=Stored({"b": 2, "a": 3, "c": 4}, "0644", newline=True),
        waited=True,
        replaced=True,
        page=400,
        pauses=[5],
        heard=["GET"],
    )
    assert differences(codex, codex) == {}
    assert differences(codex, keyfob) == {
        "requests": ["h/v2/responses"],
        "query": ["b=1"],
        "authorization": ["Bearer b"],
        "headers": [{"x": ""}],
        "calls": ["h/oauth/revoke Bearer c"],
        "ending": "401",
        "waited": True,
        "replaced": True,
        "page": 400,
        "pauses": [5],
        "heard": ["GET"],
        "command_ran": True,
        "stored": {"a": 3, "c": 4},
        "stored_order": ["b", "a"],
        "mode": "0644",
        "newline": True,
    }
    assert differences(codex, replace(codex, order=["responses", "token.refresh"])) == {
        "order": ["responses", "token.refresh"]
    }
    assert differences(codex, replace(codex, stored=Stored())) == {"stored": None}


def test_the_recorded_runs_are_all_there() -> None:
    """A wrong path would leave nothing to compare, and all of it green."""
    groups = Counter(vector.group for vector in VECTORS)
    assert groups == {
        "providers": 97,
        "builtin": 34,
        "refresh": 55,
        "status-login-logout": 35,
        "policy": 22,
        "store": 14,
        "locks": 8,
        "browser-device": 31,
    }
