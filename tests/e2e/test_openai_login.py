"""`requires_openai_auth` at a proxy, with either kind of login: `keyfob request`, and the SDK of either library."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from keyfob.testing.model_server import TEXT, ModelServer

from .shared import CONFIG, CodexHome

if TYPE_CHECKING:
    from pathlib import Path

    from keyfob.testing.issuer import Issuer

KEY = "sk-proj-canary-key-ABCDEFGHIJ"
SYNC = """
from keyfob.integrations.openai import OpenAI
with OpenAI(max_retries=0) as client:
    print(client.responses.create(model="demo-model", input="hi").output_text)
"""
ASYNC = """
import asyncio
from keyfob.integrations.openai import AsyncOpenAI
async def main():
    async with AsyncOpenAI(max_retries=0) as client:
        return (await client.responses.create(model="demo-model", input="hi")).output_text
print(asyncio.run(main()))
"""


@pytest.fixture
def home(tmp_path: Path, issuer: Issuer) -> CodexHome:
    return CodexHome(tmp_path, issuer.environ)


@pytest.fixture(params=["request", "sdk", "async sdk", "sdk 2", "async sdk 2"])
def ask(request: pytest.FixtureRequest, home: CodexHome):
    """Asks the model once; what it said."""

    def ask() -> str:
        if request.param == "request":
            ended = home.keyfob("request", "responses", "-d", '{"model": "demo-model", "input": "hi"}')
        else:
            python = request.getfixturevalue("openai2_python") if request.param.endswith("2") else sys.executable
            ended = home.python(ASYNC if request.param.startswith("async") else SYNC, python=python)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return ask


def sent(server: ModelServer) -> list[tuple[str | None, str | None, int | None]]:
    """Bearer, account and answer of every request."""
    return [
        (each.header("authorization"), each.header("chatgpt-account-id"), each.answered) for each in server.received
    ]


def bearer(home: CodexHome) -> str:
    return f"Bearer {home.stored['tokens']['access_token']}"


def test_an_api_key(home, ask):
    """A bearer token and no account."""
    with ModelServer() as server:
        home.configure(CONFIG.format(base_url=server.base_url))
        assert home.keyfob("login", "--with-api-key", given=KEY).returncode == 0
        assert TEXT in ask()
        assert sent(server) == [(f"Bearer {KEY}", None, 200)]


def test_a_chatgpt_login_that_has_expired(home, ask, issuer):
    """It is renewed first, once, and sent with its account."""
    with ModelServer() as server:
        home.configure(CONFIG.format(base_url=server.base_url))
        home.store(issuer.login(expires_in=-60))
        assert TEXT in ask()
        assert sent(server) == [(bearer(home), "acct-1", 200)]
    assert [each.fields["refresh_reason"] for each in issuer.presented] == ["proactive_expiry"]


def test_a_chatgpt_login_that_the_server_refuses(home, ask, issuer):
    """The 401 has it renewed, once, and the request is sent again."""
    with ModelServer(answers={"responses": [401, None]}) as server:
        home.configure(CONFIG.format(base_url=server.base_url))
        home.store(issuer.login())
        old = bearer(home)
        assert TEXT in ask()
        assert sent(server) == [(old, "acct-1", 401), (bearer(home), "acct-1", 200)]
    assert old != bearer(home)
    assert [each.fields["refresh_reason"] for each in issuer.presented] == ["unauthorized_recovery"]
