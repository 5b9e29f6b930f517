"""A bare `Auth` in a client of the user's own: what it promises, and what it refuses."""

from __future__ import annotations

import os
from typing import Any

import httpx
import httpx2
import pytest

import keyfob
from keyfob.config.places import Places
from keyfob.credentials.credential import Credential
from keyfob.errors import CredentialError, OriginError

from .test_additions import Broken, hmac
from .ways import BASE, Way, signing, static


def sent(way: Way, provider: Any, url: str = f"{BASE}/models", **options: Any) -> Any:
    """What goes out from the library's own client with our Auth."""
    wire = way.wire()
    with way.plain(transport=wire, auth=way.ours.Auth(provider)) as client:
        client.get(url, **options)
    return wire.sent[0]


class TestSigns:
    def test_authorization_is_set_below_the_base_url(self, way: Way) -> None:
        """In place of what the library had put there."""
        assert sent(way, signing(), headers={"authorization": "own"}).headers.get_list("Authorization") == [
            "Bearer secret"
        ]

    @pytest.mark.parametrize(
        "url", ["https://evil.example/", "http://api.example.com/v1", f"{BASE}x", f"{BASE}/%2e%2e/"]
    )
    def test_elsewhere_nothing_is_touched(self, way: Way, url: str) -> None:
        """The caller's own stays."""
        assert sent(way, signing(), url, headers={"Authorization": "own"}).headers["Authorization"] == "own"
        assert "authorization" not in sent(way, signing(), url).headers

    def test_without_a_credential_the_librarys_own_is_removed(self, way: Way) -> None:
        """OPENAI_API_KEY is not for a provider without auth."""
        assert "authorization" not in sent(way, signing(static({})), headers={"Authorization": "foreign"}).headers

    def test_an_authorization_of_the_entry_is_sent(self, way: Way) -> None:
        """It is the one header that can be guarded."""
        provider = signing(static({}), http_headers={"Authorization": "own"})
        assert sent(way, provider).headers["Authorization"] == "own"

    @pytest.mark.parametrize("location", ["https://evil.example/", "http://api.example.com/v1/x", "//evil.example/"])
    def test_it_does_not_follow_to_another_origin(self, way: Way, location: str) -> None:
        """The libraries see to that."""
        wire = way.wire(lambda request: wire.redirect(307, location) if len(wire.sent) == 1 else 200)
        with way.plain(transport=wire, auth=way.ours.Auth(signing()), follow_redirects=True) as client:
            client.get(f"{BASE}/models")
        assert ["authorization" in each.headers for each in wire.sent] == [True, False]

    def test_a_credential_that_cannot_be_had_is_our_error_and_nothing_is_sent(self, way: Way) -> None:
        """Not one that SDKs retry."""
        wire = way.wire()
        auth = way.ours.Auth(signing(Broken(CredentialError("no"))))
        with way.plain(transport=wire, auth=auth) as client, pytest.raises(CredentialError):
            client.get(f"{BASE}/models")
        assert wire.sent == []


class TestRefuses:
    @pytest.mark.parametrize(
        ("more", "named"),
        [
            ({"http_headers": {"X-Title": "a"}}, "X-Title"),
            ({"env_http_headers": {"X-Org": "ORG"}}, "X-Org"),
            ({"query_params": {"api-version": "1"}}, "api-version"),
            ({"query_params": {"authorization": "1"}}, "authorization"),
        ],
    )
    def test_an_entry_that_adds_anything_else(self, way: Way, more: dict[str, Any], named: str) -> None:
        """It would follow a redirect; the error names it, not its value, and what to use instead."""
        with pytest.raises(OriginError, match=f"corp sends {named}: ") as caught:
            way.ours.Auth(signing(**more))
        assert "Client" in (caught.value.hint or "")

    def test_a_signer(self, way: Way) -> None:
        """Its signature is for one URL."""
        with pytest.raises(OriginError, match="signature"):
            way.ours.Auth(signing(hmac()))

    @pytest.mark.parametrize("at_hand", [True, False])
    def test_a_secret_in_another_header(self, way: Way, at_hand: bool) -> None:
        """When it is first seen: before anything is sent."""

        class Source:
            def peek(self) -> Credential | None:
                return self.get() if at_hand else None

            def get(self, *, rejected: Any = None) -> Credential:
                return Credential({"Authorization": "Bearer secret", "X-Key": "secret"})

        wire = way.wire()
        with (
            way.plain(transport=wire, auth=way.ours.Auth(signing(Source()))) as client,
            pytest.raises(OriginError, match="X-Key"),
        ):
            client.get(f"{BASE}/models")
        assert wire.sent == []

    @pytest.mark.parametrize("base_url", ["http://127.0.0.1/v1", "http://api.example.com:80"])
    def test_plain_http_on_port_80(self, way: Way, base_url: str) -> None:
        """From there both libraries take Authorization along to https, which is another origin."""
        with pytest.raises(OriginError, match="redirect to https"):
            way.ours.Auth(signing(base_url=base_url))
        way.ours.Auth(signing(base_url="http://127.0.0.1:8080/v1"))

    def test_a_client_of_the_other_library(self) -> None:
        """By its type, when the client is made: not three retries later."""
        from keyfob.clients import httpx as for_httpx
        from keyfob.clients import httpx2 as for_httpx2

        provider = signing()
        with pytest.raises(TypeError, match="auth"):
            httpx.Client(auth=for_httpx2.Auth(provider))  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="auth"):
            httpx2.Client(auth=for_httpx.Auth(provider))  # type: ignore[arg-type]


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_what_was_done_is_not_done_again(library, tmp_path):
    """A 401 that a redirect led to says nothing of the request before it, which was taken."""
    asked = []

    def answer(request):
        asked.append(request.method)
        if request.method == "POST":
            return library.Response(303, headers={"Location": "/v1/result"})
        return library.Response(401)

    provider = lab(tmp_path, "https://lab.example/v1", auth='auth = { command = "echo", args = ["tok"] }')
    auth = getattr(keyfob, library.__name__).Auth(provider)
    with library.Client(transport=library.MockTransport(answer), auth=auth, follow_redirects=True) as client:
        assert client.post("https://lab.example/v1/jobs", json={}).status_code == 401
    assert asked == ["POST", "GET"]


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_a_proxy_of_the_environment_gets_nothing_for_this_machine(library, tmp_path):
    """The user's client would send it there in the clear; ours connects directly."""
    provider = lab(tmp_path, "http://127.0.0.1:9/v1", HTTP_PROXY="http://proxy.example:3128")
    with pytest.raises(keyfob.OriginError, match="a proxy of the environment"):
        getattr(keyfob, library.__name__).Auth(provider)
    assert getattr(keyfob, library.__name__).Auth(lab(tmp_path, "http://127.0.0.1:9/v1"))


def lab(folder, base_url, auth='env_key = "LAB_KEY"', **environ):
    """A provider with that base URL."""
    (folder / "config.toml").write_text(f'[model_providers.lab]\nbase_url = "{base_url}"\n{auth}\n')
    places = Places(str(folder), system=str(folder / "system"), cache=str(folder / "cache"))
    return keyfob.Host({"LAB_KEY": "k", "PATH": os.environ["PATH"], **environ}, places=places).provider("lab")
