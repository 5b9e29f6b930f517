"""Fakes for the tests of programs that use keyfob."""

from __future__ import annotations

import httpx
import pytest

import keyfob
from keyfob.errors import CommandError, NotSignedInError, OriginError
from keyfob.testing import fake_provider, in_use


def server(*statuses: int) -> tuple[list[httpx.Request], httpx.MockTransport]:
    """What it received, and what answers with these statuses, in order."""
    received: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        received.append(request)
        return httpx.Response(statuses[min(len(received), len(statuses)) - 1])

    return received, httpx.MockTransport(answer)


def test_a_fake_is_sent_with_as_a_real_one():
    """Base URL, headers of the entry, and after a 401 the next token; without files, plugin or network."""
    received, transport = server(200, 401, 200)
    provider = fake_provider(tokens=["t1", "t2"], http_headers={"X-Team": "search"})
    with keyfob.httpx.Client(provider, transport=transport) as client:
        assert [client.get("models").status_code for _ in range(2)] == [200, 200]
    assert [request.headers["Authorization"] for request in received] == ["Bearer t1", "Bearer t1", "Bearer t2"]
    assert {(str(request.url), request.headers["X-Team"]) for request in received} == {
        ("https://fake.invalid/v1/models", "search")
    }


def test_a_fake_guards_its_origin():
    """What a program must not do, it must not do in its tests either."""
    with pytest.raises(OriginError):
        fake_provider().headers("https://elsewhere.example/v1")


def test_a_fake_fails_as_it_is_told():
    """With any error of a credential, and where there is no token, as for somebody who is not signed in."""
    with pytest.raises(NotSignedInError, match="corp"):
        fake_provider("corp", tokens=[]).headers()
    broken = fake_provider(tokens=["t1", CommandError("no token today")])
    _, transport = server(401)
    with keyfob.httpx.Client(broken, transport=transport) as client, pytest.raises(CommandError, match="today"):
        client.get("models")


def test_an_error_that_was_raised_has_had_its_turn():
    """So a program that tries again can be tested; the last stays."""
    provider = fake_provider(tokens=[CommandError("no token today"), "t1"])
    with pytest.raises(CommandError, match="today"):
        provider.headers()
    assert provider.headers()["Authorization"] == "Bearer t1"
    last = fake_provider(tokens=[CommandError("no token today")])
    for _ in range(2):
        with pytest.raises(CommandError, match="today"):
            last.headers()


@pytest.mark.parametrize("tokens", ["t1", [b"t1"], [ValueError("t1")]])
def test_tokens_that_are_none_are_told_at_once(tokens):
    """A text would pass for as many tokens as it has letters."""
    with pytest.raises(TypeError, match=r"^tokens: .*, not") as caught:
        fake_provider(tokens=tokens)
    assert "t1" not in str(caught.value)


def test_a_program_that_names_its_provider_gets_the_fake():
    """Also the default one; afterwards all is as before."""
    fake = fake_provider("corp", header="X-Key", tokens=["t1"])
    with in_use(fake):
        assert keyfob.provider("corp") is fake
        assert keyfob.provider().headers()["x-key"] == "t1"
    assert keyfob.provider("corp") is not fake
