"""auth.json: the login as Codex 0.169 reads and writes it, with all it says about who, how and until when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from keyfob.plugin import CredentialError, DamagedLoginError, Record
from keyfob_openai.claims import claims, openai, text, time_of

CHATGPT, API = "chatgpt", "api"
_TOKENS = ("id_token", "access_token", "refresh_token")
# How `auth_mode` is spelt for each kind of login that is understood here.
_MODES = {"apikey": "key", "chatgpt": "tokens", "chatgptAuthTokens": "tokens", "personalAccessToken": "personal"}


def kind(data: Mapping[str, Any]) -> str:
    """`key`, `tokens` or `personal`: by `auth_mode`, else by what is there. Raises CredentialError."""
    mode = data.get("auth_mode")
    if mode is None:
        if data.get("personal_access_token"):
            return "personal"
        return "key" if data.get("OPENAI_API_KEY") else "tokens"
    if mode not in _MODES:
        raise CredentialError(
            f"the OpenAI login has auth_mode {str(mode)[:40]!r}, which is not known here", hint=_LOGIN
        )
    return _MODES[mode]


_LOGIN = "keyfob login"


def record_of(data: Mapping[str, Any]) -> Record:
    """The login that is stored as `data`. Raises DamagedLoginError, CredentialError."""
    return _READERS[kind(data)](data)


def _key(data: Mapping[str, Any]) -> Record:
    return Record(data, _text(data, "OPENAI_API_KEY"), method=API)


def _personal(data: Mapping[str, Any]) -> Record:
    return Record(data, _text(data, "personal_access_token"), method=CHATGPT)


def _tokens(data: Mapping[str, Any]) -> Record:
    tokens = data.get("tokens")
    if not isinstance(tokens, dict):
        raise _damaged("holds no tokens")
    id_token, access_token, refresh_token = (_text(tokens, name, "tokens.") for name in _TOKENS)
    identity, access = claims(id_token), claims(access_token) or {}
    if identity is None:
        raise _damaged("tokens.id_token is not a JWT")
    account = tokens.get("account_id")
    if account is not None and not isinstance(account, str):
        raise _damaged("tokens.account_id is not a text")
    refreshed = _last_refresh(data)
    claimed = [account, *(text(openai(found), "chatgpt_account_id") for found in (identity, access))]
    return Record(
        data,
        access_token,
        secret=refresh_token,
        expires_at=time_of(access, "exp"),
        issued_at=refreshed if refreshed is not None else time_of(access, "iat"),
        account=account,
        method=CHATGPT,
        workspaces=tuple(dict.fromkeys(each for each in claimed if each)),
    )


_READERS = {"key": _key, "personal": _personal, "tokens": _tokens}


def fedramp(data: Mapping[str, Any]) -> bool:
    """Whether the account is one of the US government's cloud."""
    tokens = data.get("tokens") or {}
    return openai(claims(tokens.get("id_token", "")) or {}).get("chatgpt_account_is_fedramp") is True


def _last_refresh(data: Mapping[str, Any]) -> float | None:
    value = data.get("last_refresh")
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.timestamp() if found.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        raise _damaged("last_refresh is not a time") from None


def _text(table: Mapping[str, Any], name: str, where: str = "") -> str:
    value = table.get(name)
    if not isinstance(value, str) or not value:
        raise _damaged(f"{where}{name} is missing" if not value else f"{where}{name} is not a text")
    return value


def _damaged(what: str) -> DamagedLoginError:
    return DamagedLoginError(f"the stored OpenAI login cannot be used: {what}", hint=_LOGIN)
