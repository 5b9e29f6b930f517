"""Proxies: loopback is reached directly, everything else as environment and caller say."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from keyfob.clients.origin import BaseUrl
from keyfob.clients.proxies import proxy_for
from keyfob.testing.model_server import Answer, ModelServer

from .ways import Way, signing

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = "http://127.0.0.1:9"  # a proxy that does not answer
FAR = "http://api.example.test/v1"
PROXIES = {"HTTP_PROXY": "http://plain:1", "HTTPS_PROXY": "http://tls:1", "ALL_PROXY": "http://all:1"}


@pytest.mark.parametrize(
    ("environ", "url", "proxy"),
    [
        ({}, "https://h", None),
        (PROXIES, "https://h", "http://tls:1"),
        (PROXIES, "http://h", "http://plain:1"),
        ({"ALL_PROXY": "http://all:1"}, "http://h", "http://all:1"),
        ({"all_proxy": "socks5://all:1"}, "https://h", "socks5://all:1"),
        ({"HTTPS_PROXY": "tls:1"}, "https://h", "http://tls:1"),
        ({"HTTPS_PROXY": ""}, "https://h", None),
        ({"HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:1"}, "https://h", "http://lower:1"),
        ({"HTTPS_PROXY": "http://upper:1", "https_proxy": ""}, "https://h", None),
        ({"HTTP_PROXY": "http://forged:1", "REQUEST_METHOD": "GET"}, "http://h", None),
        ({"http_proxy": "http://plain:1", "REQUEST_METHOD": "GET"}, "http://h", "http://plain:1"),
    ],
)
def test_the_environment_names_a_proxy(environ: dict[str, str], url: str, proxy: str | None) -> None:
    """That of the scheme, else ALL_PROXY; lower case first; HTTP_PROXY in a CGI script is a header of the client's."""
    found = proxy_for(BaseUrl.parse(url).origin, environ)
    assert (found and found.url) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("", "https://api.example.com", False),
        ("*", "https://api.example.com", True),
        ("other.example, *", "https://api.example.com", True),
        ("api.example.com", "https://api.example.com", True),
        (" API.example.com ,other", "https://api.example.com", True),
        ("example.com", "https://api.example.com", True),
        (".example.com", "https://api.example.com", True),
        ("*.example.com", "https://api.example.com", True),
        ("ample.com", "https://api.example.com", False),
        ("api.example.com.", "https://api.example.com", False),
        ("api.example.com:443", "https://api.example.com", True),
        ("api.example.com:8443", "https://api.example.com", False),
        (",, ,", "https://api.example.com", False),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.1.2.3", "https://10.1.2.3", True),
        ("fd00::/8", "https://[fd00::1]", True),
        ("fd00::1", "https://[fd00::1]:8443", True),
        ("[fd00::1]:8443", "https://[fd00::1]:8443", True),
        ("[fd00::1]:443", "https://[fd00::1]:8443", False),
        ("bücher.example", "https://bücher.example", False),  # NO_PROXY is compared as it is written
        ("xn--bcher-kva.example", "https://bücher.example", True),
    ],
)
def test_no_proxy_names_hosts_domains_networks_and_ports(no_proxy: str, url: str, direct: bool) -> None:
    """As curl and both libraries understand it."""
    environ = PROXIES | {"NO_PROXY": no_proxy}
    assert (proxy_for(BaseUrl.parse(url).origin, environ) is None) is direct


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A server that records what a proxy is asked; the process's own environment names one that does not answer."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, NOBODY)
    with ModelServer() as running:
        yield running


class TestLoopback:
    @pytest.mark.parametrize(
        ("host", "variable"), [("127.0.0.1", "HTTP_PROXY"), ("127.0.0.1", "ALL_PROXY"), ("localhost", "HTTP_PROXY")]
    )
    def test_it_is_reached_directly(
        self, way: Way, server: ModelServer, proxy: ModelServer, host: str, variable: str
    ) -> None:
        """Whatever the provider's environment or the process's own say."""
        provider = signing(base_url=server.base_url.replace("127.0.0.1", host), environ={variable: proxy.origin})
        with way.client(provider) as client:
            assert client.get("models").status_code == 200
        assert (len(server.received), len(proxy.received)) == (1, 0)

    def test_the_callers_own_proxy_is_not_asked_either(self, way: Way, server: ModelServer, proxy: ModelServer) -> None:
        """What is sent without encryption is for no other eyes."""
        with way.client(signing(base_url=server.base_url), proxy=proxy.origin) as client:
            assert client.get("models").status_code == 200
        assert (len(server.received), len(proxy.received)) == (1, 0)

    def test_a_localhost_that_is_elsewhere_is_no_loopback(
        self, way: Way, proxy: ModelServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its name decides nothing."""
        resolve = socket.getaddrinfo

        def elsewhere(host: Any, port: Any, *more: Any, **options: Any) -> Any:
            return resolve("10.0.0.7" if host == "localhost" else host, port, *more, **options)

        monkeypatch.setattr(socket, "getaddrinfo", elsewhere)
        provider = signing(base_url="http://localhost:8080/v1", environ={"HTTP_PROXY": proxy.origin})
        with way.client(provider) as client:
            client.get("models")
        assert proxy.received[0].path == "http://localhost:8080/v1/models"


class TestFar:
    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
    def test_a_proxy_of_the_environment_is_used(self, way: Way, proxy: ModelServer, variable: str) -> None:
        """The provider's environment counts, not the process's."""
        with way.client(signing(base_url=FAR, environ={variable: proxy.origin})) as client:
            client.get("models")
        assert proxy.received[0].path == f"{FAR}/models"
        assert proxy.received[0].header("authorization") == "Bearer secret"

    def test_for_https_it_learns_the_host_and_nothing_else(self, way: Way, proxy: ModelServer) -> None:
        """It is asked for a tunnel; the credential goes through that, encrypted."""
        provider = signing(base_url="https://api.example.test/v1", environ={"HTTPS_PROXY": proxy.origin})
        with way.client(provider) as client, pytest.raises(way.http_library.ProxyError):
            client.get("models")
        assert proxy.received[0].method == "CONNECT"
        assert proxy.received[0].header("authorization") is None
        assert "secret" not in str(proxy.received[0].headers)

    @pytest.mark.parametrize("as_object", [False, True])
    def test_a_proxy_of_the_caller_goes_before_the_environments(
        self, way: Way, proxy: ModelServer, as_object: bool
    ) -> None:
        """As a URL, or as the library's Proxy with what belongs to it."""
        given = way.http_library.Proxy(proxy.origin, auth=("u", "p")) if as_object else proxy.origin
        with way.client(signing(base_url=FAR, environ={"HTTP_PROXY": NOBODY}), proxy=given) as client:
            client.get("models")
        assert len(proxy.received) == 1
        assert (proxy.received[0].header("proxy-authorization") is not None) is as_object

    @pytest.mark.parametrize(
        ("environ", "options"),
        [
            ({"HTTP_PROXY": NOBODY}, {"trust_env": False}),
            ({"HTTP_PROXY": NOBODY, "NO_PROXY": "example.test"}, {}),
            ({}, {}),
        ],
    )
    def test_without_a_proxy_it_is_reached_directly(
        self, way: Way, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], options: dict[str, Any]
    ) -> None:
        """With `trust_env=False`, where NO_PROXY names it, and where no variable does."""
        monkeypatch.setenv("HTTP_PROXY", NOBODY)  # the process's own
        with ModelServer() as server:
            port = server.origin.rpartition(":")[2]
            _resolve_everything_to_loopback(monkeypatch)
            with way.client(
                signing(base_url=f"http://api.example.test:{port}/v1", environ=environ), **options
            ) as client:
                assert client.get("models").status_code == 200

    def test_each_hop_of_a_redirect_takes_its_own_way(self, way: Way, proxy: ModelServer) -> None:
        """From loopback, directly, to elsewhere, through the proxy, without what was added."""
        with ModelServer(answers={"models": [Answer(307, {"Location": f"{FAR}/models"})]}) as server:
            provider = signing(base_url=server.base_url, environ={"HTTP_PROXY": proxy.origin})
            with way.client(provider, follow_redirects=True) as client:
                assert client.get("models").status_code == 200
        assert len(server.received) == len(proxy.received) == 1
        assert server.received[0].header("authorization") == "Bearer secret"
        assert proxy.received[0].header("authorization") is None

    def test_a_mounted_transport_goes_before_all_of_that(self, way: Way, proxy: ModelServer) -> None:
        """The way to look at loopback through a debugging proxy: the caller says it for this very host."""
        with ModelServer() as server:
            mounts = {"http://127.0.0.1": way.transport(proxy=proxy.origin)}
            with way.client(signing(base_url=server.base_url), mounts=mounts) as client:
                client.get("models")
            assert proxy.received[0].path == f"{server.base_url}/models"
            assert proxy.received[0].header("authorization") == "Bearer secret"

    def test_a_proxy_goes_before_a_transport(self, way: Way, proxy: ModelServer) -> None:
        """As in both libraries."""
        wire = way.wire()
        with way.client(signing(base_url=FAR), transport=wire, proxy=proxy.origin) as client:
            client.get("models")
        assert (len(wire.sent), len(proxy.received)) == (0, 1)


def _resolve_everything_to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def loopback(host: Any, *more: Any, **options: Any) -> Any:
        return resolve("127.0.0.1", *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", loopback)


class TestOptions:
    def test_options_of_the_transport_reach_it(self, way: Way) -> None:
        """They are the library's own, and so are its errors, when the client is made."""
        with pytest.raises(AttributeError, match="max_connections"), way.client(signing(), limits="none"):
            pass

    def test_time_outs_are_the_entrys_unless_the_caller_says_otherwise(self, way: Way) -> None:
        """Reading may take as long as the stream may idle."""
        with way.client(signing(), transport=way.wire()) as client:
            assert client.client.timeout == way.http_library.Timeout(30, read=10)
        with way.client(signing(), transport=way.wire(), timeout=3) as client:
            assert client.client.timeout == way.http_library.Timeout(3)

    @pytest.mark.slow
    def test_a_server_that_never_answers_is_a_time_out_of_the_library(self, way: Way) -> None:
        """And the credential is not renewed for it."""
        with ModelServer(answers={"models": ["hang"]}) as server:
            provider = signing(base_url=server.base_url)
            with way.client(provider, timeout=0.2) as client, pytest.raises(way.http_library.ReadTimeout):
                client.get("models")
        assert len(server.received) == 1
