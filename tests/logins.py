"""Logins as auth.json holds them, for tests that never renew one."""

from __future__ import annotations

from typing import Any

from keyfob.testing.issuer import CLAIM, jwt

KEY = {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-canary-key"}
PERSONAL = {"OPENAI_API_KEY": None, "personal_access_token": "at-canary"}


def chatgpt(
    account: str | None = "acct-1", identity: str | None = "acct-1", access: str | None = "acct-1"
) -> dict[str, Any]:
    """A ChatGPT login: the account it is used with, and what its two JWTs claim; None: nothing."""

    def token(claim: str | None, **more: str) -> str:
        return jwt(exp=4_000_000_000, **more, **({CLAIM: {"chatgpt_account_id": claim}} if claim else {}))

    tokens = {"id_token": token(identity), "access_token": token(access, jti="canary"), "refresh_token": "rt-canary"}
    return {
        "auth_mode": "chatgpt",
        "tokens": {**tokens, "account_id": account},
        "last_refresh": "2026-01-01T00:00:00Z",
    }
