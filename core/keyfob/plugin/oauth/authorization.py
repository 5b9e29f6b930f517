"""What a sign-in in the browser asks for, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keyfob.plugin.oauth.ports import ADDRESS

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a sign-in asks for, and where the browser is to come back to.

    endpoint: the authorization endpoint. fields: of its request, beside those that every such request has. issuer:
    whose answer is awaited; None where that is not known, and then no answer that names its issuer is taken.
    announces_iss: whether it must say so (RFC 9207, section 2.4). ports: on loopback, tried in this order; 0 is any.
    host: how the redirect URI names loopback. ask: ask a sign-in that holds the first port to give it up. name: what
    one signs in to, for the page. refusals: a word that the issuer's refusal may hold → the sentence that people are
    told then.
    """

    endpoint: str
    client_id: str
    fields: Mapping[str, str] = field(default_factory=dict)
    issuer: str | None = None
    announces_iss: bool = False
    ports: tuple[int, ...] = (0,)
    host: str = ADDRESS
    path: str = "/callback"
    ask: bool = False
    name: str | None = None
    refusals: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """What the issuer gave through the browser, with what else the token request needs."""

    code: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect_uri: str
