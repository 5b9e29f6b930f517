"""Discovery: whose metadata it is, and where it may send a login."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from keyfob.clients.issuer import send as real_send
from keyfob.errors import ConfigError, SignInError
from keyfob.plugin import Answer
from keyfob.plugin.oauth import discover
from keyfob.testing import Answer as Response
from keyfob.testing import ModelServer

if TYPE_CHECKING:
    from keyfob.plugin import Exchange

ISSUER = "https://sso.example/realms/corp"
NAMED = "model_providers.corp.oauth.issuer"
METADATA = {
    "issuer": ISSUER,
    "token_endpoint": "https://sso.example/token",
    "authorization_endpoint": "https://login.example/authorize?tenant=t",
    "authorization_response_iss_parameter_supported": True,
    "token_endpoint_auth_methods_supported": ["client_secret_post", 7, "none"],
}
PLACES = [
    f"{ISSUER}/.well-known/openid-configuration",
    "https://sso.example/.well-known/oauth-authorization-server/realms/corp",
    f"{ISSUER}/.well-known/oauth-authorization-server",
]


class Web:
    """What is answered at some addresses; 404 everywhere else."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    def send(self, request: Exchange) -> Answer:
        assert (request.method, request.named) == ("GET", NAMED)
        self.asked.append(request.url)
        return self._answers.get(request.url, Answer(404, b"<h1>secret words</h1>"))


def of(document: object) -> Answer:
    """A document, as JSON."""
    return Answer(200, json.dumps(document).encode())


@pytest.mark.parametrize("place", range(3))
def test_the_metadata_are_found_where_issuers_keep_them(place: int) -> None:
    """Behind the issuer's path as OpenID has it, before it as RFC 8414 has it, or in between; a page is no metadata."""
    web = Web({PLACES[0]: Answer(200, b"<html>"), PLACES[place]: of(METADATA)})
    server = discover(ISSUER, web.send, named=NAMED)
    assert web.asked == PLACES[: place + 1]
    assert (server.issuer, server.token_endpoint) == (ISSUER, METADATA["token_endpoint"])
    assert server.authorization_endpoint == METADATA["authorization_endpoint"]
    assert (server.announces_iss, server.methods) == (True, ("client_secret_post", "none"))
    assert (server.device_authorization_endpoint, server.revocation_endpoint) == (None, None)


def test_an_issuer_without_metadata_is_told_with_what_each_place_answered() -> None:
    """Without anything of what they answered; an issuer without a path has two places."""
    web = Web({"https://sso.example/.well-known/openid-configuration": Answer(200, b"<h1>secret words</h1>")})
    with pytest.raises(SignInError) as caught:
        discover("https://sso.example", web.send, named=NAMED)
    assert str(caught.value) == (
        "https://sso.example has no metadata that can be read: "
        "https://sso.example/.well-known/openid-configuration answered 200 with no JSON object; "
        "https://sso.example/.well-known/oauth-authorization-server answered 404"
    )
    assert NAMED in str(caught.value.hint)


def test_a_redirect_is_not_followed_and_said_to_be_one() -> None:
    """By the real client: what is behind it may be another's."""
    answers = {"/issuer/.well-known/openid-configuration": [Response(302, {"Location": "/there"})]}
    with ModelServer(answers=answers) as web, pytest.raises(SignInError, match="a redirect, which is not followed"):
        discover(f"{web.origin}/issuer", lambda request: real_send(request, {}), named=NAMED)
    assert "/there" not in [each.path for each in web.received]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"issuer": "https://evil.example"}, "are those of https://evil.example: the two must be the same"),
        ({"issuer": ISSUER.upper()}, "the two must be the same"),
        ({"issuer": None}, "are those of nobody"),
        ({"issuer": "\x1b[2Jx\u202e"}, "are those of [2Jx:"),
        ({"token_endpoint": None}, "name no token_endpoint"),
        ({"token_endpoint": "http://sso.example/token"}, "its token_endpoint is not https"),
        ({"token_endpoint": "http://127.0.0.1:631/x"}, "its token_endpoint is not https"),
        ({"authorization_endpoint": "http://localhost:8080/"}, "its authorization_endpoint is not https"),
        ({"token_endpoint": 7}, "its token_endpoint is no text"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "its authorization_endpoint is not https"),
        ({"authorization_endpoint": "https://x.example/#a"}, "its authorization_endpoint holds a fragment"),
        (
            {"device_authorization_endpoint": "https://me:pw@x.example/"},
            "device_authorization_endpoint holds a user name",
        ),
        ({"revocation_endpoint": "/revoke"}, "its revocation_endpoint is not https"),
        ({"revocation_endpoint": ""}, "its revocation_endpoint is not https"),
        ({"authorization_endpoint": "https://x.example/a\nb"}, "holds what no address holds"),
    ],
)
def test_metadata_of_another_or_that_lead_astray_are_refused(change: dict[str, Any], told: str) -> None:
    """At the first place that has any: no other is tried then."""
    web = Web({PLACES[0]: of(METADATA | change), PLACES[1]: of(METADATA)})
    with pytest.raises(SignInError) as caught:
        discover(ISSUER, web.send, named=NAMED)
    assert told in str(caught.value)
    assert caught.value.hint == (None if "issuer" in change else f"look at {NAMED}, or name the endpoints beside it")
    assert web.asked == PLACES[:1]


def test_a_slash_too_few_is_mended_by_the_hint() -> None:
    """It is what people leave out, and RFC 8414 compares to the letter."""
    with pytest.raises(SignInError) as caught:
        discover(ISSUER, Web({PLACES[0]: of(METADATA | {"issuer": f"{ISSUER}/"})}).send, named=NAMED)
    assert caught.value.hint == f'{NAMED} = "{ISSUER}/"'


@pytest.mark.parametrize(
    "issuer",
    ["http://sso.example", "sso.example", "https://me@sso.example", f"{ISSUER}?x=1", f"{ISSUER}#x", "https://[::1"],
)
def test_what_cannot_be_an_issuer_is_not_asked(issuer: str) -> None:
    """In the clear, beyond this machine, metadata are anybody's."""
    web = Web({})
    with pytest.raises(ConfigError, match=NAMED):
        discover(issuer, web.send, named=NAMED)
    assert not web.asked


def test_an_issuer_on_this_machine_needs_no_encryption() -> None:
    """For tests, and for what runs beside one."""
    local = {"issuer": "http://localhost:8080", "token_endpoint": "http://127.0.0.1:8080/token"}
    web = Web({"http://localhost:8080/.well-known/openid-configuration": of(local)})
    assert discover("http://localhost:8080", web.send, named=NAMED).token_endpoint == local["token_endpoint"]
