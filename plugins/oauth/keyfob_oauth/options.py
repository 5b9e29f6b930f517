"""The table `[model_providers.<id>.oauth]`: at which server one signs in, as which client, and for what."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

ENDPOINTS = ("authorization_endpoint", "token_endpoint", "device_authorization_endpoint", "revocation_endpoint")

PUBLIC: Literal["none"] = "none"

Flow = Literal["browser", "device", "client_credentials"]
Method = Literal["client_secret_basic", "client_secret_post", "none"]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
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


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("oauth", message)


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  # reading it is what raises
    except ValueError:
        raise _wrong("is not a URL") from None
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise _wrong("must not hold blanks, backslashes or characters beyond ASCII")
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise _wrong("must begin with https://")
    if "@" in parts.netloc:
        raise _wrong("must not hold a user name or password")
    if "#" in text:
        raise _wrong("must not hold a fragment")
    return parts


def endpoint(text: str) -> str:
    """See that it is one (RFC 6749, sections 3.1 and 3.2): a query is allowed, a fragment is not."""
    parts = _split(text)
    if parts.scheme == "http" and not _loopback(parts.hostname or ""):
        raise _wrong("plain http would send a login in the clear; it is for this machine alone")
    return text


def _issuer(text: str) -> str:
    """RFC 8414, section 2."""
    endpoint(text)
    if "?" in text:
        raise _wrong("must not hold a query")
    return text


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _redirect(text: str) -> str:
    """RFC 8252, section 7.3."""
    parts = _split(text)
    if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "localhost"):
        raise _wrong("must begin with http://127.0.0.1 or http://localhost: the browser comes back to this machine")
    if "?" in text or not parts.path:
        raise _wrong("needs a path, such as /callback, and no query")
    return text


def _resource(text: str) -> str:
    """RFC 8707, section 2."""
    if not urlsplit(text).scheme or "#" in text:
        raise _wrong("must be an absolute URI without a fragment")
    return text


def _scope(text: str) -> str:
    if not _SCOPE.fullmatch(text):
        raise _wrong("each scope is a word of its own, without blanks or quotes")
    return text


def _header(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise _wrong("is not the name of an HTTP header")
    if text.lower() in _RESERVED:
        raise _wrong("is a header that the request itself needs")
    return text


def _scheme(text: str) -> str:
    if text and not _TOKEN.fullmatch(text):
        raise _wrong("is not the name of an authentication scheme")
    return text


def _further(fields: dict[str, str]) -> dict[str, str]:
    if _OURS & fields.keys():
        raise _wrong("holds a field that keyfob itself sets, or that has a key of its own in this table")
    return fields


def _no_secret(_: object) -> None:
    raise _wrong(
        'a client\'s secret does not belong in a file: write client_secret_env = "NAME", the variable that holds it, '
        "or leave it out, and `keyfob login` asks for it and stores it"
    )


Text = Annotated[str, Field(min_length=1)]
Endpoint = Annotated[str, AfterValidator(endpoint)]
Scope = Annotated[str, AfterValidator(_scope)]


class Options(BaseModel):
    """The table. Names as RFC 6749, 8414, 8628, 8707 and OpenID Connect have them."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    issuer: Annotated[str, AfterValidator(_issuer)] | None = Field(
        None,
        examples=["https://sso.example.com"],
        description="The server, as its metadata names it, to the letter; it is asked for its endpoints at login.",
    )
    client_id: Text = Field(examples=["keyfob"], description="The client that is registered there.")
    scopes: list[Scope] = Field(
        [], examples=[["openid", "offline_access"]], description="What to ask for; offline_access to be renewed."
    )
    flow: Flow = Field("browser", description="How one signs in: browser, device or client_credentials.")
    audience: Text | None = Field(None, examples=["llm"], description="Whom the token is for, as some servers name it.")
    resource: Annotated[str, AfterValidator(_resource)] | None = Field(
        None, examples=["https://llm.example.com"], description="Whom the token is for (RFC 8707)."
    )
    client_secret_env: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        examples=["CORP_CLIENT_SECRET"],
        description="The environment variable with the client's secret, where it has one.",
    )
    token_endpoint_auth_method: Method | None = Field(
        None, examples=["client_secret_post"], description="How the client authenticates; else as the server wants it."
    )
    redirect_uri: Annotated[str, AfterValidator(_redirect)] | None = Field(
        None,
        examples=["http://127.0.0.1:8765/callback"],
        description="As it is registered; without a port any is used.",
    )
    header: Annotated[str, AfterValidator(_header)] = Field("Authorization", description="The header with the token.")
    scheme: Annotated[str, AfterValidator(_scheme)] | None = Field(
        None,
        examples=["Bearer"],
        description="The word before the token; by default Bearer in Authorization, else none.",
    )
    authorization_parameters: Annotated[dict[str, str], AfterValidator(_further)] = Field(
        {}, examples=[{"prompt": "consent"}], description="Further fields of the address that the browser is sent to."
    )
    authorization_endpoint: Endpoint | None = Field(
        None,
        examples=["https://sso.example.com/authorize"],
        description="Where the browser is sent, if not discovered.",
    )
    token_endpoint: Endpoint | None = Field(
        None,
        examples=["https://sso.example.com/token"],
        description="Where tokens are had; nothing is discovered then.",
    )
    device_authorization_endpoint: Endpoint | None = Field(
        None, examples=["https://sso.example.com/device"], description="Where a code is had, if not discovered."
    )
    revocation_endpoint: Endpoint | None = Field(
        None, examples=["https://sso.example.com/revoke"], description="Where a login is ended, if not discovered."
    )
    client_secret: SkipJsonSchema[Annotated[None, BeforeValidator(_no_secret)]] = None

    @model_validator(mode="after")
    def _whole(self) -> Options:
        if self.issuer is None and self.token_endpoint is None:
            raise _wrong('needs issuer = "https://…", or token_endpoint and what else the flow needs')
        missing = {"browser": "authorization_endpoint", "device": "device_authorization_endpoint"}.get(self.flow)
        if self.token_endpoint is not None and missing is not None and getattr(self, missing) is None:
            raise _wrong(f"token_endpoint is written, so nothing is discovered: this flow needs {missing}, too")
        if self.client_secret_env and self.public:
            raise _wrong('client_secret_env and token_endpoint_auth_method = "none" contradict each other')
        if self.by_itself and self.public:
            raise _wrong("a client without a secret cannot sign in by itself (RFC 6749, section 4.4)")
        return self

    @property
    def public(self) -> bool:
        """Whether the table says that the client has no secret."""
        return self.token_endpoint_auth_method == PUBLIC

    @property
    def confidential(self) -> bool:
        """Whether the client has a secret (RFC 6749, section 2.1)."""
        method = self.token_endpoint_auth_method
        return self.by_itself or self.client_secret_env is not None or method not in (None, PUBLIC)

    @property
    def by_itself(self) -> bool:
        """Whether the client signs in for itself, without a person."""
        return self.flow == "client_credentials"

    def carrying(self, token: str) -> dict[str, str]:
        """The header with this token."""
        usual = "Bearer" if self.header.lower() == "authorization" else ""
        scheme = usual if self.scheme is None else self.scheme
        return {self.header: f"{scheme} {token}" if scheme else token}
