"""Requests to issuers: what their answers say, and of each failure whether anything was sent."""

from __future__ import annotations

import gzip
import os
import re
import socket
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from keyfob import __version__
from keyfob.clients import issuer
from keyfob.credentials.exchange import Exchange, UnansweredError, UnreachableError
from keyfob.errors import ConfigError, IllegalHeaderError

from .raw import Authority, Raw, Tunnels, answers, drips, http, resets, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOKEN = "rt-secret-0123456789"
BODY = b'{"refresh_token":"' + TOKEN.encode() + b'"}'
# Seconds without a byte. As nothing here waits for an answer that comes, it ends the tests and decides nothing else.
SHORT = 0.2


def sent(url: str, environ: dict[str, str] | None = None, *, timeout: float = 10, **more: Any) -> Any:
    """What came of a request that spends TOKEN."""
    return issuer.send(Exchange(url, BODY, {"X-Token": TOKEN}, timeout=timeout, **more), environ or {})


def failed(kind: type[Exception], call: Callable[[], object]) -> str:
    """The text of the error, which must be of that kind and show no secret, wherever it is looked at."""
    with pytest.raises(kind) as caught:
        call()
    shown = "".join([repr(caught.value), *traceback.format_exception(caught.value)])
    assert TOKEN not in shown
    assert "pa55word" not in shown
    return str(caught.value)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture(autouse=True)
def _process_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What this process was started with names a proxy that does not answer and certificates that are not there."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    yield
    assert os.environ["SSL_CERT_FILE"] == "/no/such/file"


class TestAnswers:
    def test_the_request_is_the_plugins_and_says_who_sends_it(self) -> None:
        """Its bytes and headers, and keyfob's name and version."""
        with Raw(answers(http(b'{"a":1}', "201 Created"))) as server:
            answer = sent(server.url)
        head, _, body = server.received[0].partition(b"\r\n\r\n")
        assert (answer.status, answer.ok, answer.document(), body) == (201, True, {"a": 1}, BODY)
        assert head.startswith(b"POST /oauth/token HTTP/1.1\r\n")
        assert f"User-Agent: keyfob/{__version__}\r\n".encode() in head
        assert b"X-Token: " + TOKEN.encode() in head

    @pytest.mark.parametrize("status", ["400 Bad Request", "401 x", "403 x", "407 x", "429 x", "500 x", "503 x"])
    def test_every_status_is_an_answer(self, status: str) -> None:
        """What it means is the plugin's business."""
        with Raw(answers(http(b"<html>", status))) as server:
            answer = sent(server.url)
        assert (answer.status, answer.ok, answer.body, answer.document()) == (int(status[:3]), False, b"<html>", {})

    @pytest.mark.parametrize("status", ["301 x", "302 x", "303 x", "307 x", "308 x"])
    def test_a_redirect_is_not_followed(self, status: str) -> None:
        """Whoever sends it does not get the token to another host."""
        with Raw(answers(http())) as other, Raw(answers(http(b"", status, Location=other.url))) as server:
            assert sent(server.url).status == int(status[:3])
        assert (len(server.received), other.received) == (1, [])

    @pytest.mark.parametrize(
        "text",
        [
            http(gzip.compress(b'{"a":1}'), Content_Encoding="gzip"),
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n',
            b'HTTP/1.0 200 OK\r\n\r\n{"a":1}',
            b'HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}',
        ],
        ids=["compressed", "chunks", "to the end", "after a hint"],
    )
    def test_however_it_is_sent(self, text: bytes) -> None:
        """Compressed though that was not asked for, in chunks, up to the end of the connection, after a hint."""
        with Raw(answers(text)) as server:
            assert sent(server.url).document() == {"a": 1}

    @pytest.mark.parametrize(
        ("headers", "date", "retry_after"),
        [
            ({}, None, None),
            ({"Date": "Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After": "7"}, 784111777.0, 7.0),
            (
                {"Date": "Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After": "Sun, 06 Nov 1994 08:50:37 GMT"},
                784111777.0,
                60.0,
            ),
            (
                {"Date": "Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After": "Sun, 06 Nov 1994 08:00:00 GMT"},
                784111777.0,
                0.0,
            ),
            ({"Retry-After": "Sun, 06 Nov 1994 08:50:37 GMT"}, None, 0.0),
            ({"Date": "yesterday", "Retry-After": "soon"}, None, None),
            ({"Date": "Sun, 06 Nov 99999 08:49:37 GMT", "Retry-After": "-1"}, None, None),
            ({"Retry-After": "1" * 400}, None, None),
        ],
    )
    def test_its_times_are_read(self, headers: dict[str, str], date: float | None, retry_after: float | None) -> None:
        """A date in Retry-After counts from the answer's own; what is no time is none."""
        with Raw(answers(http(b"{}", "429 x", **headers))) as server:
            answer = sent(server.url)
        assert (answer.date, answer.retry_after) == (date, retry_after)


def refused_by_the_system() -> str:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"https://127.0.0.1:{server.getsockname()[1]}/"


def resets_in_the_handshake(connection: socket.socket) -> None:
    """Not before it: Python leaves a socket open that is gone when TLS takes it over, and warns of it later on."""
    connection.recv(1)
    resets(connection)


class TestNothingWasSent:
    """The token is as good as before: the next try is the first."""

    @pytest.mark.slow
    def test_a_name_without_an_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In the system's words."""

        def unknown(*_: object, **__: object) -> Any:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        found = failed(UnreachableError, lambda: sent("https://issuer.example/oauth/token"))
        assert found == "issuer.example cannot be reached: Name or service not known"

    @pytest.mark.parametrize(("proxy", "told"), [({}, True), ({"HTTPS_PROXY": "http://proxy.example"}, False)])
    def test_whether_it_is_the_issuers_name_is_told(
        self, monkeypatch: pytest.MonkeyPatch, proxy: dict[str, str], told: bool
    ) -> None:
        """Of a proxy's the issuer's address says nothing."""

        def unknown(*_: object, **__: object) -> Any:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(UnreachableError) as caught:
            sent("https://issuer.example/oauth/token", proxy)
        assert caught.value.unknown is told

    def test_a_port_where_nobody_listens(self) -> None:
        """It is refused."""
        found = failed(UnreachableError, lambda: sent(refused_by_the_system()))
        assert found == "127.0.0.1 cannot be reached: Connection refused"

    @pytest.mark.slow
    def test_a_connection_that_is_not_taken(self) -> None:
        """The time to connect is no longer than that for a byte."""
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            address = full.getsockname()
            with socket.create_connection(address):
                url = f"http://127.0.0.1:{address[1]}/"
                found = failed(UnreachableError, lambda: sent(url, timeout=SHORT))
        assert found == "127.0.0.1 cannot be reached: there was no connection in time"

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("act", "reason"),
        [
            (answers(b"HTTP/1.1 200 OK\r\n\r\n"), "there is no TLS with it: wrong version number"),
            (resets_in_the_handshake, "Connection reset by peer|there is no TLS with it"),
            (lambda _: None, "there is no TLS with it|there is no connection|Connection reset by peer"),
            (silent, "there was no connection in time"),
        ],
        ids=["plain", "reset", "closed", "silent"],
    )
    def test_a_handshake_that_fails(self, act: Any, reason: str) -> None:
        """Before there is TLS, no byte of the request leaves."""
        with Raw(act, unread=True) as server:
            url = server.url.replace("http:", "https:")
            found = failed(UnreachableError, lambda: sent(url, timeout=SHORT if act is silent else 10))
        assert re.fullmatch(f"127.0.0.1 cannot be reached: ({reason}).*", found)

    def test_a_certificate_that_is_not_trusted(self, authority: Authority) -> None:
        """It is said what is wrong with it, and what names others."""
        with Raw(answers(http()), tls=authority.server()) as server:
            found = failed(UnreachableError, lambda: sent(server.url))
        assert "its certificate is not trusted: unable to get local issuer certificate" in found
        assert found.endswith("CODEX_CA_CERTIFICATE or SSL_CERT_FILE names further certificates to trust")
        assert server.received == []

    @pytest.mark.slow
    def test_a_certificate_for_another_name(self, authority: Authority) -> None:
        """However trusted the authority is."""
        with Raw(answers(http()), tls=authority.server("other.example")) as server:
            found = failed(UnreachableError, lambda: sent(server.url, {"CODEX_CA_CERTIFICATE": authority.file}))
        assert "its certificate is not trusted: IP address mismatch" in found
        assert server.received == []

    @pytest.mark.parametrize(
        ("act", "reason"),
        [
            (answers(http(b"<html>", "407 rt-of-somebody")), "the proxy answered 407 Proxy Authentication Required"),
            (answers(http(b"<html>", "502 x")), "the proxy answered 502 Bad Gateway"),
            (answers(b"SSH-2.0-OpenSSH\r\n"), "it closed the connection, or did not answer as HTTP demands"),
            (lambda _: None, "it closed the connection, or did not answer as HTTP demands"),
            (resets, "the connection broke off"),
            (silent, "there was no answer in time"),
            (answers(b"HTTP/1.1 200 OK\r\n\r\nno TLS"), "(there is no TLS with it: .*|Connection reset by peer)"),
        ],
        ids=["407", "502", "not-http", "closed", "reset", "silent", "no-tls"],
    )
    def test_a_proxy_that_opens_no_tunnel(self, act: Any, reason: str) -> None:
        """Whatever it does instead: it has learnt the issuer's name, and no more."""
        with Raw(act) as proxy:
            environ = {"https_proxy": f"http://me:pa55word@127.0.0.1:{proxy.port}"}
            timeout = SHORT if act is silent else 10
            found = failed(UnreachableError, lambda: sent("https://issuer.example/t", environ, timeout=timeout))
        assert re.fullmatch(f"issuer.example cannot be reached through the proxy of https_proxy: {reason}", found)
        assert proxy.received[0].startswith(b"CONNECT issuer.example:443 ")
        assert TOKEN.encode() not in proxy.received[0]

    def test_a_proxy_that_is_not_there(self) -> None:
        """The variable is named."""
        found = failed(
            UnreachableError, lambda: sent("https://issuer.example/t", {"ALL_PROXY": refused_by_the_system()[8:]})
        )
        assert found == "issuer.example cannot be reached through the proxy of ALL_PROXY: Connection refused"

    @pytest.mark.slow
    def test_a_proxy_that_drips(self) -> None:
        """The time for all of it holds for the way there, too."""
        with Raw(drips(b"HTTP/1.1 200 OK\r\nX: ", 0.05)) as proxy:
            environ = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"}
            found = failed(UnreachableError, lambda: sent("https://issuer.example/t", environ, timeout=SHORT))
        assert found.endswith("the proxy of HTTPS_PROXY: it took longer than 0.4 s")

    def test_a_header_that_cannot_be_sent(self) -> None:
        """Its value is not shown."""
        with Raw(answers(http())) as server:
            exchange = Exchange(server.url, b"", {"X": f"{TOKEN}\u20ac"})
            with pytest.raises(IllegalHeaderError, match="header X cannot stand") as caught:
                issuer.send(exchange, {})
        assert server.received == []
        assert TOKEN not in "".join(traceback.format_exception(caught.value))


class TestSomethingMayHaveBeenReceived:
    """The token may be spent: there is one connection, and no second try of the library's own."""

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("act", "reason"),
        [
            (silent, "there was no answer in time"),
            (lambda _: None, "it closed the connection, or did not answer as HTTP demands"),
            (resets, "the connection broke off"),
            (answers(b"HTTP/1.1 200"), "it closed the connection, or did not answer as HTTP demands"),
            (answers(b"<html>Sign in to the network"), "it closed the connection, or did not answer as HTTP demands"),
            (answers(http(b'{"a"')[:-2]), "it closed the connection, or did not answer as HTTP demands"),
            (
                answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}"),
                "it closed the connection, or did not answer as HTTP demands",
            ),
            (
                answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}"),
                "it closed the connection, or did not answer as HTTP demands",
            ),
            (answers(http(b"{}", Content_Encoding="gzip")), "its answer is not compressed as it says"),
            (drips(b"HTTP/1.1 200 OK\r\nX: ", 0.05, b"\r\nContent-Length: 0\r\n\r\n"), "it took longer than 0.4 s"),
            (drips(b"HTTP/1.1 200 OK\r\nContent-Length: 61\r\n\r\n{", 0.05), "it took longer than 0.4 s"),
        ],
        ids=[
            "silent",
            "closed",
            "reset",
            "half a head",
            "not HTTP",
            "half a body",
            "half a chunk",
            "broken chunk",
            "broken gzip",
            "dripping head",
            "dripping body",
        ],
    )
    @pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
    def test_an_answer_that_does_not_come_whole(
        self, authority: Authority, act: Any, reason: str, secure: bool
    ) -> None:
        """However far it came."""
        with Raw(act, tls=authority.server() if secure else None) as server:
            environ = {"SSL_CERT_FILE": authority.file}
            waits = reason.startswith(("it took", "there was"))
            found = failed(UnansweredError, lambda: sent(server.url, environ, timeout=SHORT if waits else 10))
        assert found == f"127.0.0.1 did not answer: {reason}" or (secure and act is resets)
        assert [text.endswith(BODY) for text in server.received] == [True]

    @pytest.mark.slow
    def test_a_first_byte_and_then_no_more(self) -> None:
        """It hangs."""

        def act(connection: socket.socket) -> None:
            connection.sendall(b"H")
            silent(connection)

        with Raw(act) as server:
            failed(UnansweredError, lambda: sent(server.url, timeout=SHORT))
        assert len(server.received) == 1

    @pytest.mark.parametrize("encoding", [None, "gzip"])
    def test_an_answer_beyond_all_size(self, encoding: str | None) -> None:
        """Also one that is small until it is unpacked."""
        body = b" " * (2**20 + 1)
        text = http(gzip.compress(body), Content_Encoding="gzip") if encoding else http(body)
        with Raw(answers(text)) as server:
            assert "sent more than 1 MiB" in failed(UnansweredError, lambda: sent(server.url))

    @pytest.mark.slow
    def test_through_a_tunnel(self, authority: Authority) -> None:
        """Once it stands, what breaks may have been received."""
        with Raw(lambda _: None, tls=authority.server("issuer.example")) as server, Raw(Tunnels(server.port)) as proxy:
            environ = {"HTTPS_PROXY": f"127.0.0.1:{proxy.port}", "CODEX_CA_CERTIFICATE": authority.file}
            found = failed(UnansweredError, lambda: sent("https://issuer.example/oauth/token", environ))
        assert found.startswith("issuer.example did not answer: ")
        assert [text.endswith(BODY) for text in server.received] == [True]


class TestProxies:
    """As for providers: the environment that keyfob was given counts, which holds `.env`; not the process's."""

    @pytest.mark.slow
    @pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
    def test_an_issuer_is_reached_through_the_proxy_of_the_environment(
        self, authority: Authority, variable: str
    ) -> None:
        """Which gets user and password, but nothing of the request."""
        tls = authority.server("issuer.example")
        with Raw(answers(http(b'{"a":1}')), tls=tls) as server, Raw(Tunnels(server.port)) as proxy:
            environ = {
                variable: f"http://me:p%40ss@127.0.0.1:{proxy.port}",
                "SSL_CERT_FILE": authority.file,
                "NO_PROXY": "other.example",
            }
            assert sent("https://issuer.example/oauth/token", environ).document() == {"a": 1}
        assert b"Proxy-Authorization: Basic bWU6cEBzcw==\r\n" in proxy.received[0]
        assert TOKEN.encode() not in proxy.received[0]
        assert b"roxy-" not in server.received[0]

    @pytest.mark.slow
    def test_a_proxy_that_speaks_tls_itself(self, authority: Authority) -> None:
        """The same certificates count for it."""
        tls = authority.server("issuer.example")
        with (
            Raw(answers(http(b'{"a":1}')), tls=tls) as server,
            Raw(Tunnels(server.port), tls=authority.server()) as proxy,
        ):
            environ = {"HTTPS_PROXY": f"https://127.0.0.1:{proxy.port}", "CODEX_CA_CERTIFICATE": authority.file}
            assert sent("https://issuer.example/oauth/token", environ).document() == {"a": 1}

    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
    def test_loopback_is_reached_directly(self, variable: str) -> None:
        """Plain http is for no other eyes."""
        with Raw(answers(http())) as server:
            assert sent(server.url, {variable: refused_by_the_system()}).ok

    @pytest.mark.slow
    def test_no_proxy_holds_for_issuers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The host that it names is looked up itself."""
        asked: list[object] = []

        def unknown(host: object, *_: object, **__: object) -> Any:
            asked.append(host)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        environ = {"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": ".example"}
        failed(UnreachableError, lambda: sent("https://issuer.example/", environ))
        assert asked == ["issuer.example"]

    @pytest.mark.parametrize("url", ["ftp://me:pa55word@x", "http://me:pa55word@x:port", "http://[::1"])
    def test_one_that_cannot_be_used_is_an_error_that_names_the_variable(self, url: str) -> None:
        """Its value may hold a password, and is not shown."""
        found = failed(ConfigError, lambda: sent("https://issuer.example/", {"HTTPS_PROXY": url}))
        assert found == "the proxy that HTTPS_PROXY names cannot be used"

    def test_a_socks_proxy_without_the_extra_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The library has it as an option."""
        monkeypatch.setitem(__import__("sys").modules, "socksio", None)
        with pytest.raises(ConfigError, match="ALL_PROXY") as caught:
            sent("https://issuer.example/", {"ALL_PROXY": "socks5://127.0.0.1:9"})
        assert caught.value.hint == "pip install 'httpx[socks]', or set ALL_PROXY anew"


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("http://auth.example/oauth/token", "plain http to auth.example would send a login in the clear"),
            ("http://10.0.0.7/oauth/token", "plain http to 10.0.0.7 would send a login in the clear"),
            ("ftp://auth.example/", "it must begin with https:// or http://"),
            ("auth.example/oauth/token", "it must begin with https:// or http://"),
            ("https://", "it has no host"),
            ("https://auth.example:port/", "it has a port that is not a number from 0 to 65535"),
            ("https://auth example/", "it must not hold blanks or control characters"),
        ],
    )
    def test_one_that_cannot_be_used_is_an_error_that_names_its_variable(self, url: str, said: str) -> None:
        """It is configuration, and nothing is sent."""
        named = partial(sent, url, named="CODEX_REFRESH_TOKEN_URL_OVERRIDE")
        assert failed(ConfigError, named) == f"CODEX_REFRESH_TOKEN_URL_OVERRIDE: {said}"
        assert failed(ConfigError, partial(sent, url)) == f"the issuer's URL: {said}"
