"""Why there was no answer, in the same words for every client, and in none of the other side's."""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from keyfob.clients.reasons import phrase, untrusted, why

from .raw import Authority, Raw, answers, http
from .ways import Way, signing

if TYPE_CHECKING:
    from pathlib import Path


def failure(way: Way, url: str, environ: dict[str, str] | None = None) -> Exception:
    """What keyfob's client raises there."""
    made = way.ours.AsyncClient if way.backend else way.ours.Client
    provider = signing(base_url=url, environ=environ or {})
    with way._open(partial(made, provider)) as client, pytest.raises(way.http_library.TransportError) as caught:
        client.get("models")
    return caught.value


def test_a_port_where_nobody_listens(way: Way) -> None:
    """The system's own words, which asyncio words in its own way."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert why(failure(way, f"http://127.0.0.1:{port}/v1")) == "Connection refused"


def test_a_certificate_that_is_not_trusted(way: Way, tmp_path: Path) -> None:
    """Another try would end the same way, so it is told apart."""
    with Raw(answers(http()), tls=Authority(tmp_path).server()) as server:
        error = failure(way, f"https://127.0.0.1:{server.port}/v1")
    assert why(error) == "its certificate is not trusted: unable to get local issuer certificate"
    assert untrusted(error)


def test_a_server_without_tls(way: Way) -> None:
    """Where https was asked for."""
    with Raw(answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"), unread=True) as server:
        error = failure(way, f"https://127.0.0.1:{server.port}/v1")
    assert why(error) in {"there is no TLS with it: wrong version number", "Connection reset by peer"}
    assert not untrusted(error)


def test_a_proxy_that_refuses(way: Way) -> None:
    """Its status, and not the words it has for it: they could be anything."""
    with Raw(answers(http(b"", "407 sk-0123456789"))) as proxy:
        environ = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"}
        error = failure(way, "https://far.example/v1", environ)
    assert why(error) == "the proxy answered 407 Proxy Authentication Required"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (type("ProxyError", (Exception,), {})("Connection not allowed"), "the proxy refused: Connection not allowed"),
        (type("ProxyError", (Exception,), {})("999 x"), "the proxy answered 999"),
        (type("ConnectError", (Exception,), {})("x"), "there is no connection"),
        (type("ReadError", (Exception,), {})("x"), "the connection broke off"),
        (type("ReadTimeout", (Exception,), {})("x"), "there was no answer in time"),
    ],
)
def test_others(error: Any, words: str) -> None:
    """By the names that both libraries have for them; a SOCKS proxy's are the library's words for its answer."""
    assert why(error) == words


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (799, "799")])
def test_a_status_has_its_name(status: int, words: str) -> None:
    """Where it has one."""
    assert phrase(status) == words
