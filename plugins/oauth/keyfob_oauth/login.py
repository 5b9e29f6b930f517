"""The stored login: what it was made with, where it is renewed and revoked, its tokens, and whose it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from keyfob.plugin import DamagedLoginError, OtherOriginError, Record
from keyfob_oauth.options import Options

MADE_WITH, CONFIGURATION = "made_with", "configuration"
ACCESS, REFRESH, SECRET = "access_token", "refresh_token", "client_secret"
TOKEN_ENDPOINT, REVOCATION_ENDPOINT, METHOD = "token_endpoint", "revocation_endpoint", "token_endpoint_auth_method"
EXPIRES, ISSUED, ACCOUNT, EMAIL = "expires_at", "issued_at", "account", "email"
# What is there of a login wherever it was made: its tokens, and whose it is.
_CARRIED = (ACCESS, REFRESH, SECRET, EXPIRES, ISSUED, ACCOUNT, EMAIL)
# What is a text, if it is there, and has to be. The warm path demands the same.
NEEDED, TEXTS = (TOKEN_ENDPOINT, ACCESS), (TOKEN_ENDPOINT, ACCESS, REFRESH, ACCOUNT, EMAIL)
# No time lies so far ahead. Seconds since the epoch.
_LATEST = 10.0**11


def made_with(options: Options) -> dict[str, Any]:
    """What a login is bound to: if any of it changes in the configuration, it is not used, presented or revoked."""
    return {
        "issuer": options.issuer,
        "client_id": options.client_id,
        "scopes": sorted(set(options.scopes)),
        "audience": options.audience,
        "resource": options.resource,
        TOKEN_ENDPOINT: options.token_endpoint,
        REVOCATION_ENDPOINT: options.revocation_endpoint,
        "client_credentials": options.by_itself,
    }


def configuration(options: Options) -> str:
    """The same as one word, which the warm path can compare."""
    return sha256(json.dumps(made_with(options), sort_keys=True).encode()).hexdigest()[:32]


def bound(options: Options) -> dict[str, Any]:
    """What says so in a login that is stored here."""
    return {MADE_WITH: made_with(options), CONFIGURATION: configuration(options)}


def carried(data: Mapping[str, Any]) -> dict[str, Any]:
    """Of a login from another machine what that one may say: nothing of where it is renewed, or what it is bound to."""
    return {name: data[name] for name in _CARRIED if name in data}


def record_of(data: Mapping[str, Any], options: Options, secret: str | None) -> Record:
    """The login that is stored as `data`. secret: the client's, where it has one.

    Raises DamagedLoginError, and OtherOriginError for one that the configuration, as it is now, would not make.
    """
    _check_ours(data, options)
    for name in TEXTS:
        if name in NEEDED or data.get(name) is not None:
            _check_text(data, name)
    return Record(
        data,
        data[ACCESS],
        secret=secret if options.by_itself else data.get(REFRESH),
        reusable=options.by_itself,
        expires_at=_time(data, EXPIRES),
        issued_at=_time(data, ISSUED),
        account=data.get(ACCOUNT),
    )


def tokens_of(answer: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The tokens of an issuer's answer (RFC 6749, section 5.1) as they are stored. now: seconds since the epoch.

    Raises ValueError for an answer without an access token.
    """
    from keyfob.plugin.oauth import expiry  # not where a login is only read

    given = {name: answer.get(name) for name in (ACCESS, REFRESH)}
    found = {name: value for name, value in given.items() if isinstance(value, str) and value.strip()}
    if ACCESS not in found:
        raise ValueError("it has no access_token")
    return {**found, EXPIRES: expiry(answer, now), ISSUED: now}


def _check_ours(data: Mapping[str, Any], options: Options) -> None:
    made = data.get(MADE_WITH)
    if not isinstance(made, dict):
        raise _damaged(f"{MADE_WITH} is missing")
    for name, wanted in made_with(options).items():
        if made.get(name) != wanted:
            message = f"the stored login was made with {name} {_shown(made.get(name))}"
            raise OtherOriginError(f"{message}, and the configuration says {_shown(wanted)}")


def _shown(value: object) -> str:
    """As TOML has it; no secret is among what a login is made with."""
    return "none" if value is None else json.dumps(value)


def _check_text(data: Mapping[str, Any], name: str) -> None:
    value = data.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _damaged(f"{name} is {'missing' if value is None else 'no text, or empty'}")


def _time(data: Mapping[str, Any], name: str) -> float | None:
    """Seconds since the epoch; None where nobody knows."""
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise _damaged(f"{name} is not a time")
    return float(value)


def _damaged(what: str) -> DamagedLoginError:
    return DamagedLoginError(f"the stored login cannot be used: {what}")
