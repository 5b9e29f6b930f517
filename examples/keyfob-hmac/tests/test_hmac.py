"""A gateway that wants signatures by RFC 9421: each is verified by another implementation, http-message-signatures."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keyfob
import keyfob.httpx
import keyfob.httpx2
import pytest
from http_message_signatures import (
    HTTPMessageVerifier,
    InvalidSignature,
    MappingKeyResolver,
    VerifyResult,
    algorithms,
)
from keyfob.config.places import Places
from keyfob.plugin import ConfigError, Context, CredentialError, ProviderInfo, Unsigned
from keyfob.testing import ModelServer, Received
from keyfob_hmac import Hmac, Options

SECRET = "canary-of-the-team-with-32-letters"
EVERYTHING = [
    *("@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query"),
    *("x-tenant", "host", "content-digest", "content-type", "content-length"),
]
Made = Callable[..., keyfob.Provider]


def checked(request: Received, origin: str, label: str = "sig1") -> VerifyResult:
    """What the other implementation finds signed in a request as it came over the wire."""
    query = f"?{request.query}" if request.query else ""
    url, headers = f"{origin}{request.path}{query}", SimpleNamespace(items=lambda: request.headers)
    message = SimpleNamespace(method=request.method, url=url, headers=headers)
    keys = MappingKeyResolver(public_keys={"team": SECRET.encode()}, private_keys={})
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.HMAC_SHA256, key_resolver=keys)
    (result,) = verifier.verify(message, body=request.body)
    assert result.label == label
    return result


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A gateway that refuses what is not signed."""

    def accepts(request: Received) -> bool:
        try:
            return bool(checked(request, running.origin))
        except InvalidSignature:
            return False

    with ModelServer(accepts=accepts) as running:
        yield running


@pytest.fixture
def made(tmp_path: Path, server: ModelServer) -> Made:
    """A provider of that gateway from lines of its table `hmac`."""

    def make(*lines: str, environ: dict[str, str] | None = None) -> keyfob.Provider:
        text = ["[model_providers.corp]", f'base_url = "{server.base_url}"', "[model_providers.corp.hmac]"]
        text += ['key_id = "team"', 'secret_env = "TEAM_SECRET"', *lines]
        (tmp_path / "keyfob.toml").write_text("\n".join(text), encoding="utf-8")
        places = Places(str(tmp_path), system=f"{tmp_path}/system", cache=f"{tmp_path}/cache")
        return keyfob.Host({"TEAM_SECRET": SECRET} if environ is None else environ, places=places).provider("corp")

    return make


def pieces() -> Iterator[bytes]:
    yield from (b'{"model": "demo-model", ', b'"input": "hi"}')


async def async_pieces() -> AsyncIterator[bytes]:
    for piece in pieces():
        yield piece


def test_the_example_of_the_rfc() -> None:
    """RFC 9421, appendix B.2.5: the same signature, to the letter."""
    secret = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
    options = Options(
        key_id="test-shared-secret",
        secret_env="SECRET",
        encoding="base64",
        components=("date", "@authority", "content-type"),
        label="sig-b25",
    )
    headers = {"host": "example.com", "date": "Tue, 20 Apr 2021 02:07:55 GMT", "content-type": "application/json"}
    request = Unsigned("POST", "https://example.com/foo?param=Value&Pet=dog", headers, b'{"hello": "world"}')
    context = Context(environ={"SECRET": secret}, clock=lambda: 1618884473.9)
    key = Hmac().signing_key(ProviderInfo("x", "x", None), options, context)
    assert Hmac().sign(request, key, options, context) == {
        "Signature-Input": 'sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
        "Signature": "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:",
    }


@pytest.mark.parametrize("target", ["models", "models/a b/ü%2F:0?q=a b&q=ü&flag&q=1+1", "models#part"])
def test_every_component_is_what_the_gateway_sees(made: Made, server: ModelServer, target: str) -> None:
    """In one piece and streamed, with and without a body, which names of `content-…` are left out for."""
    tenant = [("X-Tenant", "a"), ("X-Tenant", "b")]
    with keyfob.httpx.Client(made(f"components = {EVERYTHING}")) as client:
        client.get(target, headers=tenant)
        client.post(target, headers=[*tenant, ("Content-Digest", "sha-256=:foreign:")], json={"text": "ü"})
        client.post(target, headers=[*tenant, ("Content-Type", "text/plain")], content=pieces())
    bodiless = [name for name in EVERYTHING if not name.startswith("content-")]
    for received, names in zip(server.received, [bodiless, EVERYTHING, EVERYTHING], strict=True):
        covered = checked(received, server.origin).covered_components
        assert list(covered) == [*(f'"{name}"' for name in names), '"@signature-params"']
        assert covered['"x-tenant"'] == "a, b"


@pytest.mark.parametrize("changed", [{"body": b"x"}, {"path": "/v1/x"}, {"method": "PUT"}, {"query": "x=1"}])
def test_the_gateway_refuses_what_was_changed_on_the_way(
    made: Made, server: ModelServer, changed: dict[str, Any]
) -> None:
    """The components that are signed if the table names none cover method, target and body."""
    with keyfob.httpx.Client(made()) as client:
        assert client.post("responses", json={"model": "demo-model", "input": "hi"}).status_code == 200
    (received,) = server.received
    names = ("method", "path", "query", "headers", "body")
    with pytest.raises(InvalidSignature):
        checked(Received(**{**{name: getattr(received, name) for name in names}, **changed}), server.origin)


def test_a_stream_is_signed_in_both_libraries_sync_and_async(made: Made, server: ModelServer) -> None:
    """It is read first."""

    async def send(client: Any) -> None:
        async with client:
            await client.post("responses", content=async_pieces(), headers={"Content-Type": "application/json"})

    for library in (keyfob.httpx, keyfob.httpx2):
        with library.Client(made()) as client:
            client.post("responses", content=pieces(), headers={"Content-Type": "application/json"})
        asyncio.run(send(library.AsyncClient(made())))
    assert [(each.body, each.answered) for each in server.received] == [(b"".join(pieces()), 200)] * 4


def test_a_secret_that_was_changed_is_used_at_once(made: Made, server: ModelServer) -> None:
    """And one that was not is not tried again after a 401."""
    environ = {"TEAM_SECRET": "old"}
    with keyfob.httpx.Client(made(environ=environ)) as client:
        assert client.get("models").status_code == 401
        environ["TEAM_SECRET"] = SECRET
        assert client.get("models").status_code == 200
    assert [each.answered for each in server.received] == [401, 200]


def test_label_tag_and_time_are_what_the_table_says() -> None:
    """Without `created` there is none."""
    options = Options(key_id="k", secret_env="S", components=("@method",), created=False, label="gw", tag="llm")
    context = Context(environ={"S": "s"}, clock=lambda: 0.0)
    plugin, provider = Hmac(), ProviderInfo("x", "x", None)
    signed = plugin.sign(
        Unsigned("GET", "https://x.example/", {"host": "x.example"}, b""),
        plugin.signing_key(provider, options, context),
        options,
        context,
    )
    assert signed["Signature-Input"] == 'gw=("@method");keyid="k";tag="llm"'


@pytest.mark.parametrize(
    ("environ", "lines", "says"),
    [
        ({}, [], "TEAM_SECRET is not set"),
        ({"TEAM_SECRET": " "}, [], "TEAM_SECRET is empty"),
        ({"TEAM_SECRET": "canary!"}, ['encoding = "base64"'], "TEAM_SECRET is not base64"),
        ({"TEAM_SECRET": SECRET}, ['components = ["date"]'], "cover `date`, and the request has no such header"),
    ],
)
def test_what_cannot_be_signed_is_an_error_and_nothing_is_sent(
    made: Made, server: ModelServer, environ: dict[str, str], lines: list[str], says: str
) -> None:
    """It names the variable, or the component."""
    provider = made(*lines, environ=environ)
    assert provider.state().ready is bool(environ.get("TEAM_SECRET", "").strip())
    with keyfob.httpx.Client(provider) as client, pytest.raises(CredentialError, match=says) as caught:
        client.get("models")
    assert "canary" not in str(caught.value)
    assert server.received == []


@pytest.mark.parametrize(
    "line",
    [
        'components = ["@method", "@method"]',
        'components = ["@query-param"]',
        'components = ["Content-Type"]',
        "components = []",
        'label = "Sig"',
        """tag = 'a"b'""",
        "secret = 1",
    ],
)
def test_a_table_that_makes_no_signature_is_refused(made: Made, line: str) -> None:
    """With the file and the line."""
    with pytest.raises(ConfigError, match=r"keyfob\.toml:6:"):
        _ = made(line).options
