"""The real Codex client, which asks `keyfob token` for its token: `auth.command` is its half of an entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from keyfob.testing.model_server import TEXT, ModelServer, Received

from .shared import CodexHome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

TOKEN: Final = "token-that-keyfob-prints"
# Codex's half. It reads no key that it does not know, and never reads keyfob.toml.
CONFIG: Final = """
model_provider = "corp"
[model_providers.corp]
name = "Corp"
base_url = "{base_url}"
request_max_retries = 0
stream_max_retries = 0
[model_providers.corp.auth]
command = "keyfob"
args = ["token", "corp"]
"""
ENV_KEY: Final = 'env_key = "CORP_KEY"'
BEARER: Final = f'experimental_bearer_token = "{TOKEN}"'


@pytest.fixture
def turn(codex: str, tmp_path: Path) -> Callable[..., CompletedProcess[str]]:
    """Runs one turn of Codex with keyfob's half of the entry in keyfob.toml, and these variables set."""
    home = CodexHome(tmp_path, {})

    def turn(server: ModelServer, half: str, **environ: str) -> CompletedProcess[str]:
        home.configure(CONFIG.format(base_url=server.base_url))
        home.configure(f"[model_providers.corp]\n{half}\n", "keyfob.toml")
        return home.turn(**environ)

    return turn


def knows(received: Received) -> bool:
    return received.header("authorization") == f"Bearer {TOKEN}"


def posts(server: ModelServer) -> list[tuple[str | None, int | None]]:
    """What each turn sent, and what it was answered; Codex also asks for the models, as often as it likes."""
    return [(each.header("authorization"), each.answered) for each in server.received if each.method == "POST"]


@pytest.mark.parametrize(("half", "environ"), [(ENV_KEY, {"CORP_KEY": TOKEN}), (BEARER, {})], ids=["env_key", "bearer"])
def test_a_turn_finishes_with_the_token_that_keyfob_prints(turn, half, environ):
    """The server lets nobody in without it."""
    with ModelServer(accepts=knows) as server:
        ended = turn(server, half, **environ)
        assert (ended.returncode, ended.stdout.strip()) == (0, TEXT), ended.stderr
        assert posts(server) == [(f"Bearer {TOKEN}", 200)]
        assert all(knows(received) for received in server.received)


def test_the_token_is_in_nothing_that_codex_prints(turn):
    """Neither on stdout nor on stderr."""
    with ModelServer() as server:
        ended = turn(server, ENV_KEY, CORP_KEY=TOKEN)
        assert posts(server) == [(f"Bearer {TOKEN}", 200)]
    assert TOKEN not in ended.stdout + ended.stderr


def test_after_a_401_codex_asks_again_and_goes_on(turn):
    """Refused once, as with a token that was just revoked."""
    with ModelServer(answers={"responses": [401, None]}) as server:
        ended = turn(server, ENV_KEY, CORP_KEY=TOKEN)
        assert (ended.returncode, ended.stdout.strip()) == (0, TEXT), ended.stderr
        assert posts(server) == [(f"Bearer {TOKEN}", 401), (f"Bearer {TOKEN}", 200)]


def test_a_missing_variable_is_said_in_keyfobs_words(turn):
    """Codex repeats what keyfob wrote to stderr. It then sends without a token, which is its own choice."""
    with ModelServer(accepts=knows) as server:
        ended = turn(server, ENV_KEY)
        assert ended.returncode == 1
        assert "environment variable CORP_KEY is not set" in ended.stderr
        assert {authorization for authorization, _ in posts(server)} <= {None}


def test_an_entry_with_no_other_half_is_an_error_that_names_both_lines(turn):
    """`keyfob token` does not ask itself; Codex repeats what it says instead."""
    with ModelServer(accepts=knows) as server:
        ended = turn(server, 'name = "nothing that authenticates"')
        assert ended.returncode == 1
        assert "config.toml:9: model_providers.corp.auth.command: this is keyfob itself" in ended.stderr
        assert "keyfob.toml:1: model_providers.corp: the other half" in ended.stderr
        assert {authorization for authorization, _ in posts(server)} <= {None}
