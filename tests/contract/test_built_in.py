"""The contract kit, on the built-in plugins."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from keyfob.testing.contract import Answer, Contract
from keyfob.testing.issuer import CLAIM, jwt
from keyfob_oauth.login import bound
from keyfob_oauth.options import Options

if TYPE_CHECKING:
    from keyfob.testing.contract import Grant, NastyIssuer, Received


class TestEnvKey(Contract):
    key = "envkey"
    entry = {"env_key": "LAB_KEY"}
    environ = {"LAB_KEY": "sk-canary-of-the-lab"}


class TestBearer(Contract):
    key = "bearer"
    entry = {"experimental_bearer_token": "sk-canary-of-the-entry"}
    secrets = ("sk-canary-of-the-entry",)


@pytest.mark.slow
class TestCommand(Contract):
    key = "command"
    secrets = ("canary-of-the-command",)
    entry = {"auth": {"command": sys.executable, "args": ["-S", "-c", f"print('{secrets[0]}')"]}}


class TestNone(Contract):
    """Nothing is authenticated."""

    key = "none"
    entry = {"name": "Local"}
    test_requests_are_authenticated = None


@pytest.mark.slow
class TestOAuthProgram(Contract):
    """Client credentials."""

    key = "oauth"
    environ = {"CORP_SECRET": "canary-of-the-client"}

    def entry(self, issuer: NastyIssuer) -> dict[str, Any]:
        return {
            "oauth": {
                "token_endpoint": issuer.token_url,
                "client_id": "team",
                "client_secret_env": "CORP_SECRET",
                "flow": "client_credentials",
            }
        }


@pytest.mark.slow
class TestOAuthPeople(Contract):
    """A login that somebody made in the browser, renewed by its refresh token."""

    key = "oauth"

    def entry(self, issuer: NastyIssuer) -> dict[str, Any]:
        return {"oauth": _table(issuer)}

    def login(self, issuer: NastyIssuer, grant: Grant) -> dict[str, Any]:
        return {
            **bound(Options(**_table(issuer))),
            "token_endpoint": issuer.token_url,
            "access_token": grant.token,
            "refresh_token": grant.refresh_token,
            "expires_at": time.time() + grant.expires_in,
        }


def _table(issuer: NastyIssuer) -> dict[str, Any]:
    endpoints = {"token_endpoint": issuer.token_url, "authorization_endpoint": f"{issuer.url}/authorize"}
    return {**endpoints, "client_id": "team"}


@pytest.mark.slow
class TestOpenAI(Contract):
    """A ChatGPT login; a key that no issuer renews is the envkey plugin's business."""

    key = "openai"
    entry = {"requires_openai_auth": True}
    optional = ("CODEX_REFRESH_TOKEN_URL_OVERRIDE",)

    def environ(self, issuer: NastyIssuer) -> dict[str, str]:
        return {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": issuer.token_url}

    def speak(self, issuer: NastyIssuer, asked: Received) -> Answer:
        given = issuer.renew(json.loads(asked.body)["refresh_token"])
        return (
            Answer(401, body={"error": {"code": "refresh_token_reused"}})
            if given is None
            else Answer(body=_tokens(given))
        )

    def login(self, issuer: NastyIssuer, grant: Grant) -> dict[str, Any]:
        return {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": _tokens(grant), "last_refresh": _now()}


def _tokens(grant: Grant) -> dict[str, Any]:
    """As OpenAI writes them: the access token says itself when it expires."""
    own = {CLAIM: {"chatgpt_account_id": "acct-1"}}
    ends = (
        {} if not isinstance(grant.expires_in, int | float) else {"exp": int(min(time.time() + grant.expires_in, 1e12))}
    )
    return {
        "id_token": jwt(**own),
        "access_token": jwt(jti=grant.token, **ends, **own),
        "refresh_token": grant.refresh_token,
        "account_id": "acct-1",
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
