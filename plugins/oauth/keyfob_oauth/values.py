"""What the values of the table may be. A message never repeats the value: it may be a secret that slipped there."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from keyfob.plugin import fault_of

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_REDIRECT = re.compile(r"http://(127\.0\.0\.1|localhost)(?=[:/?#]|$)")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749, section 3.3
# Headers that say how a message is sent, or to whom: a token in one of them would break the request, or leak.
_RESERVED = frozenset({
    "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "cookie", "expect", "host",
    "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
# What every authorization request has, and what other keys of the table say.
_OURS = frozenset({
    "response_type", "response_mode", "client_id", "client_secret", "redirect_uri", "code_challenge",
    "code_challenge_method", "state", "scope", "audience", "resource", "request", "request_uri",
})  # fmt: skip


def wrong(message: str) -> PydanticCustomError:
    """What is wrong with a value, as the rest of a sentence about its key."""
    return PydanticCustomError("oauth", message)


def _endpoint(text: str) -> str:
    """RFC 6749, sections 3.1 and 3.2: a query is allowed, a fragment is not; in the clear only to this machine."""
    fault = fault_of(text) or ("holds a fragment" if "#" in text else None)
    if fault is not None:
        raise wrong(fault)
    return text


def _issuer(text: str) -> str:
    """RFC 8414, section 2."""
    if "?" in _endpoint(text):
        raise wrong("must not hold a query")
    return text


def _redirect_uri(text: str) -> str:
    """RFC 8252, section 7.3."""
    if not _REDIRECT.match(text):
        raise wrong("must begin with http://127.0.0.1 or http://localhost: the browser comes back to this machine")
    if "?" in _endpoint(text) or not urlsplit(text).path:
        raise wrong("needs a path, such as /callback, and no query")
    return text


def _resource(text: str) -> str:
    """RFC 8707, section 2."""
    if "#" in text or not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:.", text):
        raise wrong("must be an absolute URI without a fragment")
    return text


def _scope(text: str) -> str:
    if not _SCOPE.fullmatch(text):
        raise wrong("must be one scope: neither blanks nor quotes are in it")
    return text


def _header(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise wrong("is not the name of an HTTP header")
    if text.lower() in _RESERVED:
        raise wrong("is a header that the request itself needs")
    return text


def _scheme(text: str) -> str:
    if text and not _TOKEN.fullmatch(text):
        raise wrong("is not the name of an authentication scheme")
    return text


def _parameters(fields: dict[str, str]) -> dict[str, str]:
    if _OURS & fields.keys():
        raise wrong("holds what keyfob itself sets, or what has a key of its own in this table")
    return fields


def _nothing(_: object) -> None:
    raise wrong(
        'does not belong in a file: write client_secret_env = "NAME", the variable that holds it, or leave that out, '
        "and `keyfob login` asks for it and stores it"
    )


Text = Annotated[str, Field(min_length=1)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Issuer = Annotated[str, AfterValidator(_issuer)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
RedirectUri = Annotated[str, AfterValidator(_redirect_uri)]
Resource = Annotated[str, AfterValidator(_resource)]
Scope = Annotated[str, AfterValidator(_scope)]
Header = Annotated[str, AfterValidator(_header)]
Scheme = Annotated[str, AfterValidator(_scheme)]
Parameters = Annotated[dict[str, str], AfterValidator(_parameters)]
Nothing = Annotated[None, BeforeValidator(_nothing)]
