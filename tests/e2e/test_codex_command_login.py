"""The real Codex client asks `keyfob token` for the token of an OpenAI login, and asks again after a 401."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from keyfob.testing.issuer import Issuer
from keyfob.testing.model_server import TEXT, ModelServer

from .shared import KEYFOB, CodexHome

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("codex")
KEY = "sk-proj-canary-key-ABCDEFGHIJ"
CODEXS_HALF = """
model_provider = "corp"
[model_providers.corp]
name = "Corp"
base_url = "{base_url}"
request_max_retries = 0
stream_max_retries = 0
[model_providers.corp.auth]
command = "keyfob"
args = ["token", "corp", "--repeat-means-refused"]
{further}
[features]
apps = false
plugins = false
remote_plugin = false
"""
KEYFOBS_HALF = """
[model_providers.corp]
requires_openai_auth = true
"""


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer(lifetime=7200) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, issuer: Issuer) -> CodexHome:
    return CodexHome(tmp_path, issuer.environ)


def configure(home: CodexHome, server: ModelServer, further: str = "") -> None:
    """Write both halves of the entry."""
    home.configure(CODEXS_HALF.format(base_url=server.base_url, further=further))
    home.configure(KEYFOBS_HALF, "keyfob.toml")


def bearer(home: CodexHome) -> str:
    return f"Bearer {home.stored['tokens']['access_token']}"


def posts(server: ModelServer) -> list[tuple[str | None, int | None]]:
    return [(each.header("authorization"), each.answered) for each in server.received if each.method == "POST"]


def test_a_key(home):
    """As it is stored."""
    with ModelServer() as server:
        configure(home, server)
        home.keyfob("login", "corp", "--with-api-key", given=KEY)
        ended = home.turn()
        assert (ended.returncode, ended.stdout.strip()) == (0, TEXT), ended.stderr
        assert posts(server) == [(f"Bearer {KEY}", 200)]


def test_a_chatgpt_login(home, issuer):
    """A token that is good is handed out, and no issuer asked."""
    with ModelServer() as server:
        configure(home, server)
        home.store(issuer.login())
        ended = home.turn()
        assert (ended.returncode, ended.stdout.strip()) == (0, TEXT), ended.stderr
        assert posts(server) == [(bearer(home), 200)]
    assert issuer.presented == []


# Codex renews an expired login by itself before a turn, whether the provider uses it or not. By keyfob's clock it
# expires sooner: then Codex leaves it to keyfob.
EXPIRES_IN, AHEAD = 3600, 3700


def test_a_login_that_has_expired(home, issuer):
    """It is renewed while Codex waits."""
    with ModelServer() as server:
        configure(home, server, "timeout_ms = 60000")
        home.store(issuer.login(expires_in=EXPIRES_IN))
        ended = home.turn(**home.ahead(AHEAD))
        assert (ended.returncode, ended.stdout.strip()) == (0, TEXT), ended.stderr
        assert posts(server) == [(bearer(home), 200)]
    assert [(each.headers["originator"], each.status) for each in issuer.presented] == [("keyfob", 200)]


@pytest.mark.slow
def test_codex_kills_the_command_and_the_renewal_goes_on(home, issuer, tmp_path):
    """The issuer takes longer than the 5 seconds that Codex waits; asked again, keyfob has the new token."""
    issuer.delay = 7
    counted = tmp_path / "counted" / "keyfob"
    counted.parent.mkdir()
    counted.write_text(f'#!/bin/sh\necho began >> "$0.runs"\nexec "{KEYFOB}" "$@"\n')
    counted.chmod(0o700)
    with ModelServer(accepts=lambda received: received.header("authorization") == bearer(home)) as server:
        configure(home, server)
        home.store(issuer.login(expires_in=EXPIRES_IN))
        old = bearer(home)
        ended = home.turn(PATH=f"{counted.parent}:{home.environ['PATH']}", **home.ahead(AHEAD))
        assert (ended.returncode, ended.stdout.strip()) == (0, TEXT), ended.stderr
        assert posts(server)[-1] == (bearer(home), 200)
    assert bearer(home) != old
    assert len(Path(f"{counted}.runs").read_text().split()) > 1
    assert [(each.headers["originator"], each.status) for each in issuer.presented] == [("keyfob", 200)]


def test_a_login_that_the_server_refuses(home, issuer):
    """Codex runs the command again: that this is a repeat has the login renewed, once."""
    with ModelServer(answers={"responses": [401, None]}) as server:
        configure(home, server, "timeout_ms = 60000")
        home.store(issuer.login())
        old = bearer(home)
        ended = home.turn()
        assert (ended.returncode, ended.stdout.strip()) == (0, TEXT), ended.stderr
        assert posts(server) == [(old, 401), (bearer(home), 200)]
    assert old != bearer(home)
    assert [each.fields["refresh_reason"] for each in issuer.presented] == ["unauthorized_recovery"]


def test_a_server_that_refuses_everything(home, issuer):
    """Ten minutes pass before it has the login renewed once more, however often Codex is started."""
    with ModelServer(accepts=lambda _: False) as server:
        configure(home, server, "timeout_ms = 60000")
        home.store(issuer.login())
        assert [home.turn().returncode for _ in range(3)] == [1, 1, 1]
        assert len(posts(server)) == 6
    assert (issuer.renewals, len(issuer.presented)) == (1, 1)
