"""The authorization server: its endpoints, as its metadata names them (RFC 8414; OpenID Connect Discovery 1.0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from keyfob.credentials.exchange import Exchange
from keyfob.errors import SignInError
from keyfob.plugin.oauth.answers import plain, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyfob.credentials.exchange import Send

_OAUTH, _OPENID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Server:
    """Where an authorization server is asked what; None where it does not say.

    issuer: None where the endpoints were configured without one. announces_iss: whether each answer to the browser
    names the issuer (RFC 9207). methods: how a client may authenticate at the token endpoint; empty: nobody said.
    """

    token_endpoint: str
    authorization_endpoint: str | None = None
    device_authorization_endpoint: str | None = None
    revocation_endpoint: str | None = None
    issuer: str | None = None
    announces_iss: bool = False
    methods: tuple[str, ...] = ()


def discovered(issuer: str, send: Send, *, named: str) -> Server:
    """Ask an issuer for its metadata. named: what names the issuer in messages, such as a key of the configuration.

    Raises SignInError for what is no metadata, or another issuer's (RFC 8414, section 3.3), UnreachableError,
    UnansweredError, ConfigError.
    """
    for url in _places(issuer):
        answer = send(Exchange(url, headers={"Accept": "application/json"}, method="GET", timeout=20.0, named=named))
        document = answer.document() if answer.ok else {}
        if document:
            return _server(issuer, document)
    raise SignInError(
        f"{issuer} has no metadata that could be read (the last answer was {answer.status})",
        hint=f"look at {named}, or name the endpoints there",
    )


def _places(issuer: str) -> tuple[str, str, str]:
    """RFC 8414 puts its word before the path of the issuer, OpenID behind it; some do the one as the other."""
    parts = urlsplit(issuer)
    before = parts._replace(path=_OAUTH + parts.path.rstrip("/")).geturl()
    behind = issuer.rstrip("/")
    return f"{behind}{_OPENID}", before, f"{behind}{_OAUTH}"


def _server(issuer: str, document: Mapping[str, Any]) -> Server:
    named = document.get("issuer")
    if named != issuer:
        other = plain(named) if isinstance(named, str) else "no issuer"
        raise SignInError(f"the metadata of {issuer} is that of {other}: they must be the same, to the letter")
    token_endpoint = text(document, "token_endpoint")
    if token_endpoint is None:
        raise SignInError(f"the metadata of {issuer} names no token_endpoint")
    methods = document.get("token_endpoint_auth_methods_supported")
    return Server(
        token_endpoint,
        text(document, "authorization_endpoint"),
        text(document, "device_authorization_endpoint"),
        text(document, "revocation_endpoint"),
        issuer,
        document.get("authorization_response_iss_parameter_supported") is True,
        tuple(each for each in methods if isinstance(each, str)) if isinstance(methods, list) else (),
    )
