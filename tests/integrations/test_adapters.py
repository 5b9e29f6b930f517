"""requests and aiohttp through keyfob: what sending promises holds with both, as the server sees it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

import keyfob
from keyfob.errors import CredentialError, NotSignedInError, OriginError
from keyfob.plugin import NoOptions, SigningAuth, SigningKey
from keyfob.testing import fake_provider
from keyfob.testing.hosts import GivenHost, plugins_of
from keyfob.testing.model_server import Answer, ModelServer

from .seen import bearers, everything

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

BODY = {"model": "demo-model", "input": "hi"}


@dataclass(frozen=True)
class Asked:
    """An answer, and all that it shows of its request, as text to search."""

    status: int
    shown: str


class Requests:
    """Requests of a session of requests'."""

    def __init__(self, provider: Any) -> None:
        self.session = import_module("keyfob.integrations.requests").Session(provider)

    def __call__(self, method: str, url: str, **options: Any) -> Asked:
        with self.session.request(method, url, **options) as response:
            seen = [response, *response.history]
            return Asked(response.status_code, str([(vars(each), vars(each.request)) for each in seen]))

    @staticmethod
    def stream(*chunks: bytes) -> Iterator[bytes]:
        return iter(chunks)


class Aiohttp:
    """Requests of a session of aiohttp's, each in a session and a loop of its own."""

    def __init__(self, provider: Any) -> None:
        self.session = partial(import_module("keyfob.integrations.aiohttp").session, provider)

    def __call__(self, method: str, url: str, **options: Any) -> Asked:
        return asyncio.run(self._ask(method, url, **options))

    async def _ask(self, method: str, url: str, **options: Any) -> Asked:
        async with self.session() as session, session.request(method, url, **options) as response:
            await response.read()
            seen = [response, *response.history]
            return Asked(response.status, str([(each.request_info, each.url, vars(each)) for each in seen]))

    @staticmethod
    async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk


@pytest.fixture(params=[Requests, Aiohttp])
def way(request: pytest.FixtureRequest) -> Any:
    """How one asks: made of a provider, called with method, URL and the library's own options."""
    pytest.importorskip(request.param.__name__.lower())
    return request.param


def guarded(base_url: str, **entry: Any) -> keyfob.Provider:
    """A provider with secrets in all places: a header of its own, one of the entry's, a query parameter."""
    more = {"http_headers": {"X-Team": "secret-t"}, "query_params": {"k": "secret-q"}, **entry}
    return fake_provider("corp", tokens=["secret-k"], header="X-Api-Key", base_url=base_url, **more)


class Hmac(SigningAuth[NoOptions]):
    """Signs all that it gets; its key has a number."""

    key = "hmac"
    number = 0

    def signing_key(self, provider, options, context):
        self.number += 1
        return SigningKey(f"key-{self.number}")

    def sign(self, request, key, options, context):
        headers = request.headers["host"], request.headers["x-team"]
        return {"X-Signature": f"{key.secret} {request.method} {request.url} {headers} [{request.body.decode()}]"}


def signing(base_url: str) -> keyfob.Provider:
    """A provider whose requests are signed one by one."""
    entry = {"base_url": base_url, "http_headers": {"X-Team": "t"}, "query_params": {"v": "1"}, "hmac": {}}
    return GivenHost({"model_providers": {"corp": entry}}, {}, plugins=plugins_of(Hmac())).provider("corp")


def test_a_request_carries_what_the_entry_says_and_shows_none_of_it(way, server):
    """A relative URL is below the base URL; the caller's own query, headers and body arrive as well."""
    asked = way(guarded(server.base_url))("POST", "responses?mine=a%20b", json=BODY, headers={"X-Mine": "m"})
    [received] = server.received
    names = "x-api-key", "x-team", "x-mine", "authorization"
    assert [received.header(name) for name in names] == ["secret-k", "secret-t", "m", None]
    assert (received.path, received.query) == ("/v1/responses", "mine=a%20b&k=secret-q")
    assert b'"input"' in received.body
    assert asked.status == 200
    assert "secret" not in asked.shown


@pytest.mark.slow
def test_a_401_brings_the_next_credential_and_the_body_again(way):
    """Twice at the most: the third 401 is the caller's."""
    provider = partial(fake_provider, tokens=["t1", "t2", "t3", "t4"])
    with ModelServer(accepts=lambda received: received.header("authorization") == "Bearer t3") as server:
        assert way(provider(base_url=server.base_url))("POST", "responses", json=BODY).status == 200
        assert bearers(server) == ["Bearer t1", "Bearer t2", "Bearer t3"]
        assert len({received.body for received in server.received}) == 1
    with ModelServer(accepts=lambda received: False) as server:
        assert way(provider(base_url=server.base_url))("GET", "models").status == 401
        assert len(server.received) == 3


def test_a_body_that_can_be_read_but_once_is_not_replayed(way):
    """The newer credential is there for the next request."""
    with ModelServer(accepts=lambda received: received.header("authorization") == "Bearer t2") as server:
        ask = way(fake_provider(tokens=["t1", "t2"], base_url=server.base_url))
        assert ask("POST", "responses", data=way.stream(b"a", b"b")).status == 401
        assert ask("POST", "responses", json=BODY).status == 200
    assert bearers(server) == ["Bearer t1", "Bearer t2"]
    assert server.received[0].body == b"ab"


def test_an_error_after_a_401_is_ours(way):
    """As it is, with its hint; the refused request is not sent again."""
    with ModelServer(accepts=lambda received: False) as server:
        ask = way(fake_provider(tokens=["t1", CredentialError("the session has expired")], base_url=server.base_url))
        with pytest.raises(CredentialError, match=r"^the session has expired$"):
            ask("GET", "models")
        assert len(server.received) == 1


def test_an_error_before_is_ours_and_nothing_is_sent(way, server):
    """Once; it is none of the library's, which programs try again."""
    with pytest.raises(NotSignedInError) as caught:
        way(fake_provider("corp", tokens=[], base_url=server.base_url))("GET", "models")
    assert (str(caught.value), caught.value.hint) == ("corp: nobody is signed in", "keyfob login corp")
    assert not isinstance(caught.value, OSError)
    assert server.received == []


@pytest.mark.parametrize(
    ("path", "resolved"),
    [
        ("/other", "/other"),
        ("/v1/../other", "/other"),
        ("/other/../v1/models", "/v1/models"),
        ("/v1x/models", "/v1x/models"),
    ],
)
def test_a_redirect_out_of_the_base_path_takes_nothing_along(way, server, path, resolved):
    """aiohttp resolves dot segments before it sends them; requests does not, so the server decides what is meant."""
    server.stop()  # its port is known, and free
    answers = {"responses": [Answer(307, {"Location": server.origin + path})]}
    with ModelServer(int(server.origin.rpartition(":")[2]), answers) as home:
        asked = way(guarded(home.base_url))("POST", "responses", json=BODY)
        first, second = home.received
    assert all(secret in everything(first) for secret in ("secret-k", "secret-t", "secret-q"))
    assert second.path == (path if way is Requests else resolved)
    assert ("secret" in everything(second)) == (second.path == "/v1/models")
    assert "secret" not in asked.shown


def test_a_redirect_to_another_origin_takes_nothing_along(way, server):
    """Both libraries strip `Authorization` there, and no other header."""
    with ModelServer(answers={"responses": [Answer(307, {"Location": f"{server.origin}/v1/responses"})]}) as first:
        assert way(guarded(first.base_url))("POST", "responses", json=BODY).status == 200
        assert "secret-k" in everything(first.received[0])
    [redirected] = server.received
    assert redirected.body == first.received[0].body
    assert "secret" not in everything(redirected)


def test_an_absolute_url_elsewhere_is_sent_as_it_is(way, server):
    """Without asking for a credential."""
    with ModelServer() as other:
        assert way(fake_provider(tokens=[], base_url=server.base_url))("GET", f"{other.base_url}/models").status == 200
        assert other.received[0].header("authorization") is None


def test_a_signature_is_of_what_is_sent(way):
    """URL with the entry's query, the entry's headers, the whole body; a stream is read first, and signed anew."""
    with ModelServer(accepts=lambda received: "key-2" in received.header("x-signature")) as server:
        ask = way(signing(server.base_url))
        assert ask("POST", "responses", data=way.stream(b"a", b"b")).status == 200
        assert ask("GET", "models?x=1").status == 200
    url, headers = f"{server.base_url}/responses?v=1", (server.origin.removeprefix("http://"), "t")
    assert [received.header("x-signature") for received in server.received] == [
        f"key-1 POST {url} {headers} [ab]",
        f"key-2 POST {url} {headers} [ab]",
        f"key-2 GET {server.base_url}/models?x=1&v=1 {headers} []",
    ]
    assert [received.header_list("content-length") for received in server.received[:2]] == [["2"], ["2"]]
    assert {received.header("host") for received in server.received} == {headers[0]}
    assert [received.body for received in server.received] == [b"ab", b"ab", b""]


def test_this_machine_is_reached_past_proxies(way, server):
    """Also past one that the caller names."""
    with ModelServer() as proxy:
        named = {"proxies": {"http": proxy.origin}} if way is Requests else {"proxy": proxy.origin}
        assert way(fake_provider(base_url=server.base_url))("GET", "models", **named).status == 200
        assert proxy.received == []


def test_a_server_that_is_gone_is_the_librarys_error_without_a_secret(way, server):
    """requests writes the URL that it sent to into its errors."""
    server.stop()
    with pytest.raises(OSError) as caught:
        way(guarded(server.base_url))("GET", "models")
    assert not isinstance(caught.value, OriginError)
    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {caught.value.__suppress_context__}"
    assert "secret" not in shown
    if way is Requests:
        assert "/v1/models?…" in shown
        assert shown.endswith("None True")
        assert "X-Api-Key" not in caught.value.request.headers


@pytest.mark.slow
def test_everything_for_one_provider_asks_for_one_credential(server, host, counting, tmp_path: Path):
    """A session of requests', one of aiohttp's and a client of ours: the command is run once."""
    pytest.importorskip("requests")
    pytest.importorskip("aiohttp")
    provider = keyfob.provider("corp", host=host(server.base_url, counting(9)))
    assert [way(provider)("GET", "models").status for way in (Requests, Aiohttp)] == [200, 200]
    with keyfob.httpx.Client(provider) as client:
        client.get("models").raise_for_status()
    assert bearers(server) == ["Bearer token-1"] * 3
    assert (tmp_path / "count").read_text() == "1"


@pytest.mark.slow
def test_without_its_library_each_adapter_says_what_to_install():
    """Once, at the import."""
    program = """
import sys
for library, module in [arg.split("=") for arg in sys.argv[1:]]:
    sys.modules[library] = None
    try: __import__(f"keyfob.integrations.{module}")
    except ImportError as error: print(error)
"""
    libraries = ["requests=requests", "aiohttp=aiohttp", "langchain_openai=langchain", "pydantic_ai=pydantic_ai"]
    ended = subprocess.run(
        [sys.executable, "-c", program, *libraries], stdout=subprocess.PIPE, text=True, timeout=60, check=True
    )
    assert ended.stdout.splitlines() == [
        "keyfob.integrations.requests needs requests: pip install 'requests>=2.32.2'",
        "keyfob.integrations.aiohttp needs aiohttp: pip install 'aiohttp>=3.12.7'",
        "keyfob.integrations.langchain needs langchain-openai: pip install 'langchain-openai>=1'",
        "keyfob.integrations.pydantic_ai needs pydantic-ai: pip install 'pydantic-ai-slim[openai]>=2.64'",
    ]
