"""The authorization server: its endpoints, as its metadata names them (RFC 8414; OpenID Connect Discovery 1.0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from keyfob.credentials.exchange import Exchange
from keyfob.errors import ConfigError, SignInError
from keyfob.plugin.addresses import fault_of, is_this_machine
from keyfob.plugin.oauth.answers import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keyfob.credentials.exchange import Answer, Send

_OAUTH, _OPENID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
_ENDPOINTS = (
    "token_endpoint",
    "authorization_endpoint",
    "device_authorization_endpoint",
    "revocation_endpoint",
)


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


def discover(issuer: str, send: Send, *, named: str) -> Server:
    """Ask an issuer for its metadata. named: what names the issuer in messages, such as a key of the configuration.

    Raises ConfigError for what cannot be an issuer, SignInError for what is no metadata, or another issuer's (RFC 8414,
    section 3.3), or names an endpoint in the clear, UnreachableError, UnansweredError.
    """
    _check_issuer(issuer, named)
    answered = []
    for url in _places(issuer):
        answer = send(Exchange(url, headers={"Accept": "application/json"}, method="GET", timeout=20.0, named=named))
        document = answer.document() if answer.ok else {}
        if document:
            return _server(issuer, document, named)
        answered.append(f"{url} {_instead(answer)}")
    raise SignInError(
        f"{issuer} has no metadata that can be read: {'; '.join(answered)}",
        hint=_or_beside(named),
    )


def _or_beside(named: str) -> str:
    """What mends metadata that are of no use: they are the issuer's own, so perhaps only to do without them."""
    return f"look at {named}, or name the endpoints beside it"


def _check_issuer(issuer: str, named: str) -> None:
    """RFC 8414, section 2: a URL with neither query nor fragment; beyond this machine https."""
    fault = fault_of(issuer)
    if fault is None and set("?#") & set(issuer):
        fault = "holds a query or a fragment, which no issuer does"
    if fault is not None:
        raise ConfigError(f"{named}: it {fault}", hint="write it as the issuer's own metadata does")


def _places(issuer: str) -> Iterator[str]:
    """Where to look. First as OpenID has it, behind the issuer's path: that is where nearly every issuer has its
    metadata, also those with nothing else. Then as RFC 8414 has it, before the path; and behind, as some have done it.

    It is not told by the place whether they are good: each has to name the issuer, to the letter.
    """
    parts, behind = urlsplit(issuer), issuer.rstrip("/")
    path = parts.path.rstrip("/")
    yield f"{behind}{_OPENID}"
    yield parts._replace(path=_OAUTH + path).geturl()
    if path:
        yield f"{behind}{_OAUTH}"


def _instead(answer: Answer) -> str:
    """What was answered in the place of metadata."""
    if answer.ok:
        return f"answered {answer.status} with no JSON object"
    return f"answered {answer.status}" + (", a redirect, which is not followed" if 300 <= answer.status < 400 else "")


def _server(issuer: str, document: Mapping[str, Any], named: str) -> Server:
    other = document.get("issuer")
    if other != issuer:
        raise _of_another(issuer, other, named)
    found = {name: _endpoint(document, name, issuer, named) for name in _ENDPOINTS}
    token_endpoint = found.pop("token_endpoint")
    if token_endpoint is None:
        raise SignInError(f"the metadata of {issuer} name no token_endpoint", hint=_or_beside(named))
    methods = document.get("token_endpoint_auth_methods_supported")
    return Server(
        token_endpoint,
        **found,
        issuer=issuer,
        announces_iss=document.get("authorization_response_iss_parameter_supported") is True,
        methods=tuple(each for each in methods if isinstance(each, str)) if isinstance(methods, list) else (),
    )


def _of_another(issuer: str, other: object, named: str) -> SignInError:
    """A slash at the end is what people leave out."""
    whose = plain(other) if isinstance(other, str) else "nobody"
    slash = isinstance(other, str) and other.rstrip("/") == issuer.rstrip("/")
    return SignInError(
        f"the metadata of {issuer} are those of {whose}: the two must be the same, to the letter",
        hint=f'{named} = "{whose}"' if slash else None,
    )


def _endpoint(document: Mapping[str, Any], name: str, issuer: str, named: str) -> str | None:
    """May be at another host and have a query (RFC 6749, sections 3.1 and 3.2), but no fragment."""
    url = document.get(name)
    if url is None:
        return None
    fault = "is no text" if not isinstance(url, str) else _fault_of(url, issuer)
    if fault is not None:
        raise SignInError(f"the metadata of {issuer} cannot be used: its {name} {fault}", hint=_or_beside(named))
    return str(url)


def _fault_of(url: str, issuer: str) -> str | None:
    """An issuer elsewhere may not send a login in the clear to whatever listens on this machine."""
    fault = fault_of(url)
    if fault is None and "#" in url:
        return "holds a fragment"
    if fault is None and urlsplit(url).scheme == "http" and not is_this_machine(urlsplit(issuer).hostname or ""):
        return "is not https"
    return fault
