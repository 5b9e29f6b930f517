"""auth.json: the login as Codex 0.169 reads and writes it, with all it says about who, how and until when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from keyfob.plugin import DamagedLoginError, Record, UnsupportedLoginError, illegal_part
from keyfob_openai.claims import claims, openai, text, time_of

CHATGPT, API = "chatgpt", "api"
KEY, TOKENS, PERSONAL = "OPENAI_API_KEY", "tokens", "personal_access_token"
# How Codex calls tokens that somebody else supplies and renews: it only uses them, and never revokes them.
SUPPLIED = "chatgptAuthTokens"
# How `auth_mode` is spelt → the field that holds the login.
_MODES = {
    "apikey": KEY,
    "chatgpt": TOKENS,
    SUPPLIED: TOKENS,
    "personalAccessToken": PERSONAL,
    "agentIdentity": "agent_identity",
    "headers": "headers",
    "bedrockApiKey": "bedrock_api_key",
    "bedrockAccessKeys": "bedrock_access_keys",
}
# Where there is no `auth_mode`, the first field that holds something tells it: in Codex's order.
_INFERRED = (PERSONAL, "bedrock_api_key", "bedrock_access_keys", KEY)
# A longer word is no auth_mode, but something that slipped there: it is not shown.
_LONGEST_MODE = 24


def kind(data: Mapping[str, Any]) -> str:
    """The field that holds the login: by `auth_mode`, else by what is there.

    Raises UnsupportedLoginError for what only Codex can use, DamagedLoginError for what it cannot use either.
    """
    mode = data.get("auth_mode")
    if mode is None:
        found = next((name for name in _INFERRED if data.get(name)), TOKENS)
    else:
        found = _MODES.get(mode, "") if isinstance(mode, str) else ""
    if not found:
        raise _damaged(f"its kind, {_shown(mode)}, is none that keyfob can use")
    if found not in _READERS:
        message = f"the stored OpenAI login is of a kind, `{mode or found}`, that only Codex can use"
        raise UnsupportedLoginError(message, hint=_ASIDE)
    return found


_ASIDE = "use Codex for it, or set CODEX_HOME to another folder for keyfob"


def _shown(mode: object) -> str:
    """A word for an error text: one that could be a secret does not appear."""
    plain = isinstance(mode, str) and mode.replace("_", "").isalpha() and len(mode) <= _LONGEST_MODE
    return f"`{mode}`" if plain else "an auth_mode that Codex does not know either"


def record_of(data: Mapping[str, Any]) -> Record:
    """The login that is stored as `data`. Raises what `kind` does."""
    return _READERS[kind(data)](data)


def _key(data: Mapping[str, Any]) -> Record:
    return Record(data, _text(data, KEY).strip(), method=API)


def _personal(data: Mapping[str, Any]) -> Record:
    return Record(data, _text(data, PERSONAL).strip(), method=CHATGPT, workspaces=None)


def _tokens(data: Mapping[str, Any]) -> Record:
    tokens = data.get(TOKENS)
    if not isinstance(tokens, dict):
        raise _damaged("holds no tokens")
    id_token, access_token = (_text(tokens, name, "tokens.") for name in ("id_token", "access_token"))
    identity, access = claims(id_token), claims(access_token) or {}
    if identity is None:
        raise _damaged("tokens.id_token is not a JWT")
    account, refreshed = _account(tokens), _last_refresh(data)
    claimed = [account, *(text(openai(found), "chatgpt_account_id") for found in (identity, access))]
    return Record(
        data,
        access_token.strip(),
        secret=_secret(data, tokens),
        expires_at=time_of(access, "exp"),
        issued_at=refreshed if refreshed is not None else time_of(access, "iat"),
        account=account,
        method=CHATGPT,
        workspaces=tuple(dict.fromkeys(each for each in claimed if each)),
    )


def _secret(data: Mapping[str, Any], tokens: Mapping[str, Any]) -> str | None:
    """What it is renewed with. None: it is used until it expires, and nobody is asked to renew or to revoke it.

    So it is where the refresh token stayed on the machine that signed in.
    """
    value = tokens.get("refresh_token")
    if not isinstance(value, str):
        raise _damaged(f"tokens.refresh_token is {'missing' if value is None else 'not a text'}")
    return value if value.strip() and data.get("auth_mode") != SUPPLIED else None


def without_refresh_token(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """ChatGPT's tokens for use on another machine until they expire: what that takes, and no other secret."""
    tokens = {name: data[TOKENS][name] for name in ("id_token", "access_token")}
    return {
        "auth_mode": SUPPLIED,
        KEY: None,
        TOKENS: {**tokens, "refresh_token": "", "account_id": data[TOKENS].get("account_id")},
        "last_refresh": data.get("last_refresh"),
    }


_READERS = {KEY: _key, PERSONAL: _personal, TOKENS: _tokens}


def fedramp(data: Mapping[str, Any]) -> bool:
    """Whether the account is one of the US government's cloud."""
    return openai(claims(data[TOKENS]["id_token"]) or {}).get("chatgpt_account_is_fedramp") is True


def _account(tokens: Mapping[str, Any]) -> str | None:
    """The account that requests are made for: this field alone says it, as in Codex; what the JWTs claim may differ."""
    account = tokens.get("account_id")
    if account is None:
        return None
    if not isinstance(account, str) or illegal_part(account.strip()):
        raise _damaged("tokens.account_id is not the id of an account")
    return account.strip() or None


def _last_refresh(data: Mapping[str, Any]) -> float | None:
    """Seconds since the epoch; None where it is not said."""
    value = data.get("last_refresh")
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(str.upper(value))  # RFC 3339, section 5.6: `t` and `z`, too
        return found.timestamp() if found.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        raise _damaged("last_refresh is not a time") from None


def stamp(seconds: float) -> str:
    """Seconds since the epoch as `last_refresh` has them."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def _text(table: Mapping[str, Any], name: str, where: str = "") -> str:
    value = table.get(name)
    if not isinstance(value, str):
        raise _damaged(f"{where}{name} is {'missing' if value is None else 'not a text'}")
    if not value.strip():
        raise _damaged(f"{where}{name} is empty")
    return value


def _damaged(what: str) -> DamagedLoginError:
    return DamagedLoginError(f"the stored OpenAI login cannot be used: {what}")
