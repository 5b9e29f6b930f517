"""How a ChatGPT login is renewed and revoked: requests and answers as OpenAI's issuer has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from keyfob.plugin import (
    Answer,
    DamagedLoginError,
    Exchange,
    OtherOriginError,
    Record,
    UnsupportedLoginError,
    illegal_part,
)
from keyfob_openai import login
from keyfob_openai.claims import claims

ISSUER = "https://auth.openai.com"
CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
REFRESH_URL = "CODEX_REFRESH_TOKEN_URL_OVERRIDE"
REVOKE_URL = "CODEX_REVOKE_TOKEN_URL_OVERRIDE"
OTHER_CLIENT_ID = "CODEX_APP_SERVER_LOGIN_CLIENT_ID"
_HEADERS = {"Content-Type": "application/json", "originator": "keyfob"}
_EXPIRY = "proactive_expiry"
_PROVENANCE = "oauth_provenance of the login"
# By these OpenAI says that a refresh token is dead.
_DEAD = frozenset({"refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated"})
# RFC 6749, section 5.2
_STANDARD = frozenset({"invalid_grant", "invalid_client"})
# An issuer refuses with one of these; any other status is about the request or the way to it, whatever the body says.
_REFUSALS = frozenset({400, 401, 403})
_ROTATED = ("id_token", "access_token", "refresh_token")
# Seconds; signing out does not wait longer.
_REVOKE_TIMEOUT = 10.0


def refresh(record: Record, reason: str, environ: Mapping[str, str]) -> Exchange:
    """The request that renews `record`; fields and order as Codex sends them.

    reason: `proactive_expiry` is `scheduled` for a token that does not say when it expires.
    """
    issuer, client_id = _provenance(record.data)
    if reason == _EXPIRY and record.expires_at is None:
        reason = "scheduled"
    body = {
        "client_id": client_id or _client_id(environ),
        "grant_type": "refresh_token",
        "refresh_reason": reason,
        "refresh_token": record.secret,
    }
    override = environ.get(REFRESH_URL, "").strip()
    url = override or f"{(issuer or ISSUER).rstrip('/')}/oauth/token"
    return Exchange(url, _json(body), _HEADERS, named=REFRESH_URL if override else _PROVENANCE)


def revocation(data: Mapping[str, Any], environ: Mapping[str, str]) -> Exchange | None:
    """The request that ends a ChatGPT login everywhere (RFC 7009); None where there is no token to name.

    Without its refresh token a login is another machine's to end: its access token is never revoked. data: the login,
    or an issuer's answer alone.
    """
    try:
        token, (issuer, client_id) = login.record_of(data).secret, _provenance(data)
    except (DamagedLoginError, UnsupportedLoginError):
        token, issuer, client_id = data.get("refresh_token"), None, None
    if not isinstance(token, str) or not token.strip():
        return None
    body = {"token": token, "token_type_hint": "refresh_token", "client_id": client_id or _client_id(environ)}
    url, named = _revoke_url(environ, issuer or ISSUER)
    return Exchange(url, _json(body), _HEADERS, timeout=_REVOKE_TIMEOUT, named=named)


def _client_id(environ: Mapping[str, str]) -> str:
    return environ.get(OTHER_CLIENT_ID, "").strip() or CLIENT_ID


def _revoke_url(environ: Mapping[str, str], issuer: str) -> tuple[str, str]:
    """Where a token of that issuer is revoked, and what says so."""
    own, refresh_url = environ.get(REVOKE_URL, "").strip(), environ.get(REFRESH_URL, "").strip()
    if own:
        return own, REVOKE_URL
    if not refresh_url:
        return f"{issuer.rstrip('/')}/oauth/revoke", _PROVENANCE
    try:
        return urlsplit(refresh_url)._replace(path="/oauth/revoke", query="", fragment="").geturl(), REFRESH_URL
    except ValueError:
        return refresh_url, REFRESH_URL  # it is no URL, which whoever sends to it finds too


def absorb(
    record: Record, answer: Mapping[str, Any], environ: Mapping[str, str], clock: Callable[[], float]
) -> Mapping[str, Any]:
    """The login with the tokens that the issuer sent; what it did not send, or not as a token, stays as it was.

    So does the account. Raises ValueError for an answer without any token that counts.
    """
    new = {name: answer[name] for name in _ROTATED if isinstance(answer.get(name), str) and answer[name].strip()}
    if claims(new.get("id_token", "")) is None:
        new.pop("id_token", None)  # the login could not be read any more, and a refresh token beside it would be lost
    if "access_token" in new and illegal_part(new["access_token"]):
        del new["access_token"]  # nor could it be sent: the old one ends, and is renewed by what came beside this
    if not new.keys() & {"access_token", "refresh_token"}:
        raise ValueError("it has neither an access_token nor a refresh_token")
    tokens = {**record.data["tokens"], **new}
    override = environ.get(REFRESH_URL, "").strip()
    issuer, _ = _provenance(record.data)
    if override and issuer and not override.startswith(f"{issuer.rstrip('/')}/"):
        tokens.pop("oauth_provenance", None)  # as Codex: these tokens are not that issuer's any more
    return {**record.data, "tokens": tokens, "last_refresh": login.stamp(clock())}


def check_issuer(issuer: str, data: Mapping[str, Any]) -> None:
    """Raise OtherOriginError for a login that another issuer renews, than this one or OpenAI's own."""
    made_at, _ = _provenance(data)
    if made_at is not None and made_at.rstrip("/") not in (issuer, ISSUER):
        raise OtherOriginError(f"the login was made at another issuer than {issuer}")


def refusal(answer: Answer) -> str | None:
    """The code by which the issuer refuses for good: OpenAI's own, or those of RFC 6749, section 5.2."""
    if answer.status not in _REFUSALS:
        return None
    document = answer.document()
    error = document.get("error")
    found = [error.get("code") if isinstance(error, dict) else error, document.get("code")]
    code = next((each.lower() for each in found if isinstance(each, str)), "")
    standard = isinstance(error, str) and code in _STANDARD
    return code if standard or code in _DEAD else None


def _json(body: Mapping[str, Any]) -> bytes:
    """Without blanks, as Codex."""
    return json.dumps(body, separators=(",", ":")).encode()


def _provenance(data: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Issuer and client id that a login was made with, where it says so."""
    tokens = data.get(login.TOKENS)
    found = tokens.get("oauth_provenance") if isinstance(tokens, dict) else None
    if not isinstance(found, dict):
        return None, None
    issuer, client_id = found.get("issuer"), found.get("client_id")
    return issuer if isinstance(issuer, str) else None, client_id if isinstance(client_id, str) else None
