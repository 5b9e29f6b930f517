"""Whose login it is, as the id token says (OpenID Connect Core 1.0, section 2).

It comes from the token endpoint over TLS, so its signature need not be looked at (section 3.1.3.7, 6); who issued it,
and for whom, must (2, 3).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyfob.plugin import SignInError
from keyfob.plugin.oauth import plain


@dataclass(frozen=True, slots=True)
class Identity:
    """sub: the account, as the issuer knows it. email: for people."""

    sub: str | None = None
    email: str | None = None


def identity(id_token: object, issuer: str | None, client_id: str) -> Identity:
    """Whose it is; nobody's where there is no id token. issuer: None where the configuration names none.

    Raises SignInError for what is no id token, or another issuer's, or for another client.
    """
    if id_token is None:
        return Identity()
    claims = _claims(id_token) if isinstance(id_token, str) else None
    if claims is None:
        raise SignInError("the id token that the issuer gave is not a JWT")
    if issuer is not None and claims.get("iss") != issuer:
        raise SignInError(f"the id token is not of {issuer}, which was asked")
    audience = claims.get("aud")
    if client_id not in (audience if isinstance(audience, list) else [audience]):
        raise SignInError(f"the id token is for another client than {client_id}")
    return Identity(_text(claims, "sub"), _text(claims, "email"))


def _claims(token: str) -> Mapping[str, Any] | None:
    parts = token.split(".")
    try:
        payload = base64.b64decode(parts[1] + "==", altchars=b"-_") if len(parts) == 3 else b""
        found = json.loads(payload)
    except (binascii.Error, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return plain(value) or None if isinstance(value, str) else None
