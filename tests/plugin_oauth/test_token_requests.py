"""The requests to the token endpoint, and what is made of its answers."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from keyfob.errors import DeniedError, SignInError
from keyfob.plugin import Answer, Exchange
from keyfob.plugin.oauth import BASIC, NONE, POST, AuthorizationCode, Client, refused, request_tokens

from .scene import CODE

URL = "https://login.example/token?tenant=t"
GRANT = AuthorizationCode(CODE, "the-verifier-that-nobody-may-see", "http://127.0.0.1:1455/auth/callback")
SENT = "code=the-code-that-nobody-may-see&redirect_uri=http%3A%2F%2F127.0.0.1%3A1455%2Fauth%2Fcallback&code_verifier="
SENT += "the-verifier-that-nobody-may-see"


@pytest.mark.parametrize(
    ("client", "identity", "authorization"),
    [
        (Client("cli"), "client_id=cli&", None),
        (Client("cli", "s", NONE), "client_id=cli&", None),
        (Client("cli", "s p+x", POST), "client_id=cli&client_secret=s+p%2Bx&", None),
        (Client("cli", None, BASIC), "client_id=cli&", None),
        (Client("c:l i", "s:e%\N{LATIN SMALL LETTER E WITH ACUTE}", BASIC), "", "c%3Al+i:s%3Ae%25%C3%A9"),
    ],
    ids=["public", "public with a secret", "post", "basic without a secret", "basic"],
)
def test_a_code_is_sent_with_the_clients_authentication(
    client: Client, identity: str, authorization: str | None
) -> None:
    """In Codex's order; `client_secret_basic` is form-encoded before it is base64 (RFC 6749, section 2.3.1)."""
    request = client.code(URL, GRANT)
    assert (request.url, request.method) == (URL, "POST")
    assert request.body.decode() == f"grant_type=authorization_code&{identity}{SENT}"
    sent = request.headers.get("Authorization")
    assert (sent and base64.b64decode(sent.removeprefix("Basic ")).decode()) == authorization
    for secret in (GRANT.code, GRANT.verifier, "s p+x", "s:e%"):
        assert secret not in repr((client, request, GRANT))


@pytest.mark.parametrize("method", [BASIC, POST])
def test_what_is_no_text_is_sent_as_it_is(method: str) -> None:
    """A variable may hold other bytes than UTF-8, and an issuer's JSON half a surrogate pair: nobody takes them."""
    request = Client("cli", "s\udcff", method).refresh(URL, "t\ud800")
    assert "refresh_token=t%ED%A0%80" in request.body.decode()


@pytest.mark.parametrize(
    ("status", "answer", "told"),
    [
        (200, b"<html>words of the server</html>", "login.example answered 200 without an access_token"),
        (200, {"access_token": ""}, "without an access_token"),
        (200, {"access_token": 7}, "without an access_token"),
        (200, {"access_token": "t", "token_type": "DPoP"}, "login.example gave a token that is no bearer token"),
        (200, {"access_token": "t", "token_type": None}, "no bearer token"),
        (200, {"access_token": "a\r\nX-Evil: b"}, "an access_token that no header can hold"),
        (500, b"Traceback: words of the server", "login.example answered 500"),
        (302, b"", "login.example answered 302"),
        (400, {"error": "invalid_grant"}, "login.example answered 400: invalid_grant"),
        (400, {"error": "e", "error_description": "a\x1b[2Jb\u202ec\n"}, "login.example answered 400: e (a [2Jb c)"),
        (400, {"error": {"code": "c", "message": "deeper"}}, "login.example answered 400: c (deeper)"),
        (400, {"error": ["words of the server"], "hint": "words of the server"}, "login.example answered 400"),
        (400, {"error": "e", "error_description": f"{'x' * 190} {CODE}"}, f"e ({'x' * 190} …)"),
        (400, {"error": "e", "error_description": f"no {GRANT.verifier}"}, "login.example answered 400: e (no …)"),
        (400, b"[" * 100_000, "login.example answered 400"),
    ],
)
def test_an_answer_without_tokens_is_told_by_the_standard_fields_alone(status: int, answer: Any, told: str) -> None:
    """Nothing else of what a server says is shown, nothing that takes hold of a terminal, and nothing that was sent."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    with pytest.raises(SignInError) as caught:
        request_tokens(Client("cli").code(URL, GRANT), lambda _: Answer(status, body))
    assert str(caught.value).endswith(told)
    assert "words of the server" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_what_a_plugin_wrote_itself_is_no_reason_to_break() -> None:
    """Its `Authorization` may be no base64; it is left out of what the issuer says all the same."""
    request = Exchange(URL, headers={"Authorization": "Basic no-pair-that-may-show"})
    said = refused(Answer(401, b'{"error":"invalid_client","error_description":"not no-pair-that-may-show"}'), request)
    assert str(said) == "login.example answered 401: invalid_client (not …)"


def test_what_is_refused_to_the_person_is_told_apart() -> None:
    """By the standard code; and a bearer token is one however it is spelt."""
    with pytest.raises(DeniedError, match="the desk said no"):
        request_tokens(
            Client("c").credentials(URL),
            lambda _: Answer(403, b'{"error":"access_denied","error_description":"the desk said no"}'),
        )
    found = request_tokens(
        Client("c").credentials(URL), lambda _: Answer(200, b'{"access_token":"t","token_type":"bEARER","x":1}')
    )
    assert found == {"access_token": "t", "token_type": "bEARER", "x": 1}
