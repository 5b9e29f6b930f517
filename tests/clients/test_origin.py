"""Origins and base URLs: what is covered by one, and what is not, in whatever spelling."""

from __future__ import annotations

import itertools
import re
import socket
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.clients.origin import BaseUrl, Origin, shown

BASE = "https://api.example.com/v1"


class TestBaseUrl:
    @pytest.mark.parametrize(
        ("text", "canonical"),
        [
            ("https://api.example.com/v1", "https://api.example.com/v1"),
            ("https://api.example.com/v1/", "https://api.example.com/v1"),
            ("https://api.example.com", "https://api.example.com"),
            ("https://api.example.com/", "https://api.example.com"),
            ("HTTPS://API.Example.COM:443/V1", "https://api.example.com/V1"),
            ("http://127.0.0.1:80/v1", "http://127.0.0.1/v1"),
            ("https://api.example.com:8443/v1", "https://api.example.com:8443/v1"),
            ("https://bücher.example/v1", "https://xn--bcher-kva.example/v1"),
            ("https://BÜCHER.example/v1", "https://xn--bcher-kva.example/v1"),
            ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
            ("http://[0:0:0:0:0:0:0:1]/v1", "http://[::1]/v1"),
            ("https://api.example.com/a/./b/../v1", "https://api.example.com/a/v1"),
            ("https://api.example.com/a%2Fb/v1", "https://api.example.com/a%2Fb/v1"),
            ("https://api.example.com/a%3Fb", "https://api.example.com/a%3Fb"),
            ("https://api.example.com/é", "https://api.example.com/%C3%A9"),
            ("https://api.example.com//v1", "https://api.example.com//v1"),
        ],
    )
    def test_it_is_written_in_one_way(self, text: str, canonical: str) -> None:
        """Scheme and host in lower case, no default port, no slash at the end; the path as it will be sent."""
        assert str(BaseUrl.parse(text)) == canonical

    @pytest.mark.parametrize(
        ("text", "wrong"),
        [
            ("api.example.com/v1", "must begin with https:// or http://"),
            ("//api.example.com/v1", "must begin with"),
            ("ftp://api.example.com/v1", "must begin with"),
            ("wss://api.example.com/v1", "must begin with"),
            ("", "must begin with"),
            ("https://", "has no host"),
            ("https:///v1", "has no host"),
            ("https://:8080/v1", "has no host"),
            ("https://user@api.example.com/v1", "user name or password"),
            ("https://user:hunter2@api.example.com/v1", "user name or password"),
            ("https://@api.example.com/v1", "user name or password"),
            ("https://api.example.com/v1?key=hunter2", "query_params"),
            ("https://api.example.com/v1?", "query_params"),
            ("https://api.example.com/v1#hunter2", "fragment"),
            ("https://api.example.com\\v1", "backslashes"),
            ("https://api.example.com/v1\\x", "backslashes"),
            ("https://api.example.com/v1/%2e%2e/x", "`..` behind percent signs"),
            ("https://api.example.com/v1%2f..%2fx", "`..` behind percent signs"),
            ("https://api.example.com/v 1", "blanks"),
            ("https://api.example.com/v1\n", "blanks or control characters"),
            ("https://api.example.com/v1\0", "blanks or control characters"),
            ("https://api.example.com:port/v1", "port"),
            ("https://api.example.com:65536/v1", "port"),
            ("https://[::1/v1", "not a URL"),
            ("https://[vi]/v1", "not a URL"),
            ("https://[1.2.3.4]/v1", "not a URL"),
            ("https://1.2.3.400/v1", "IP address"),
            ("https://2130706433/v1", "IP address"),
            ("https://\u2028.example/v1", "blanks"),
            ("https://-é.example/v1", "IDNA"),
        ],
    )
    def test_a_wrong_one_is_refused_by_a_sentence_without_its_secrets(self, text: str, wrong: str) -> None:
        """Each fault is named; what could be a password is not repeated."""
        with pytest.raises(ValueError, match=re.escape(wrong)) as caught:
            BaseUrl.parse(text)
        assert "hunter2" not in str(caught.value)


class TestCovers:
    @pytest.mark.parametrize(
        "url",
        [
            "https://api.example.com/v1",
            "https://api.example.com/v1/",
            "https://api.example.com/v1/models",
            "https://api.example.com/v1//models",
            "https://api.example.com/v1?q=/../..",
            "https://api.example.com/v1/models?next=https://elsewhere.example/..%2f&path=a\\b",
            "https://api.example.com/v1/models#/../..",
            "HTTPS://API.EXAMPLE.COM/v1/models",
            "https://api.example.com:443/v1/models",
            "https://api.example.com:/v1/models",
            "wss://api.example.com/v1/realtime",
            "WSS://api.example.com:443/v1/realtime",
            "https://api.example.com/v1/a/../models",
            "https://api.example.com/x/../v1/models",
            "https://api.example.com/v1/./models",
            "https://api.example.com/v1/meta-llama%2FLlama-3",
            "https://api.example.com/v1/100%25",
            "https://api.example.com/v1/a..b/c...",
            "https://api.example.com/v1/%E4%B8%AD",
            "https://api.example.com/v1/%zz",
            "https://user:password@api.example.com/v1/models",
        ],
    )
    def test_what_is_at_or_below_the_base_path(self, url: str) -> None:
        """Spellings of one place are one place; what a query or a fragment says does not matter."""
        assert BaseUrl.parse(BASE).covers(url)

    @pytest.mark.parametrize(
        "url",
        [
            # another origin
            "http://api.example.com/v1/models",
            "http://api.example.com:443/v1/models",
            "ws://api.example.com/v1/models",
            "ftp://api.example.com/v1/models",
            "https://api.example.com:8443/v1/models",
            "https://api.example.com:80/v1/models",
            "https://api.example.com:0/v1/models",
            "https://example.com/v1/models",
            "https://api.example.com.evil.example/v1/models",
            "https://api.example.com./v1/models",
            "https://api.example.com@evil.example/v1/models",
            "https://api.example.com:443@evil.example/v1/models",
            "https://evil.example\\@api.example.com/v1/models",
            "https://evil.example/@api.example.com/v1/models",
            "https://evil.example#@api.example.com/v1/models",
            "https://evil.example?@api.example.com/v1/models",
            "https://evil.example/https://api.example.com/v1/models",
            "https://\u0430pi.example.com/v1/models",  # Cyrillic
            "https://api.example.com%2f@evil.example/v1",
            "https://api.example.com%00.evil.example/v1",
            # above the path, or beside it
            "https://api.example.com",
            "https://api.example.com/",
            "https://api.example.com/v",
            "https://api.example.com/v1x",
            "https://api.example.com/v1.evil/models",
            "https://api.example.com/v10/models",
            "https://api.example.com/V1/models",
            "https://api.example.com//v1/models",
            "https://api.example.com/v1%2fmodels",
            "https://api.example.com/v1;x/models",
            "https://api.example.com/other/v1/models",
            "https://api.example.com/v1/../other",
            "https://api.example.com/v1/..",
            "https://api.example.com/v1/a/../../v1x",
            "https://api.example.com/v1/%2e%2e/other",
            "https://api.example.com/v1/%2E./other",
            "https://api.example.com/v1/.%2e/other",
            "https://api.example.com/v1/%252e%252e/other",
            "https://api.example.com/v1/%25252e%25252e/other",
            "https://api.example.com/v1/..%2fother",
            "https://api.example.com/v1/..%5cother",
            "https://api.example.com/v1/..\\other",
            "https://api.example.com/v1/a%2f..%2f..%2fother",
            "https://api.example.com/v1/..;/other",
            "https://api.example.com/v1/..%3b/other",
            "https://api.example.com/v1/..%20/other",
            "https://api.example.com/other/%2e%2e/v1/models",
            "https://api.example.com/v1/%" + "25" * 9 + "2e",
            # no URL at all
            "",
            "models",
            "/v1/models",
            "//api.example.com/v1/models",
            "https:/api.example.com/v1/models",
            "https://[api.example.com]/v1",
            "https://api.example.com:x/v1/models",
            "https://api.example.com/v1/\nmodels",
            " https://api.example.com/v1/models",
            "https://api.example.com/v1/mo dels",
        ],
    )
    def test_nothing_else(self, url: str) -> None:
        """Another origin, another path, and every spelling that somebody might read as one of them."""
        assert not BaseUrl.parse(BASE).covers(url)

    def test_a_base_url_without_a_path_covers_its_origin(self) -> None:
        """All of it, and no other."""
        base_url = BaseUrl.parse("https://api.example.com")
        assert base_url.covers("https://api.example.com")
        assert base_url.covers("https://api.example.com/")
        assert base_url.covers("https://api.example.com/anything?q")
        assert not base_url.covers("https://api.example.org/")

    @pytest.mark.parametrize("host", ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example"])
    def test_an_international_host_is_one_in_each_of_its_forms(self, host: str) -> None:
        """Both sides are compared in their IDNA form."""
        assert BaseUrl.parse("https://bücher.example/v1").covers(f"https://{host}/v1/models")
        assert BaseUrl.parse(f"https://{host}/v1").covers("https://xn--bcher-kva.example/v1/models")
        assert not BaseUrl.parse(f"https://{host}/v1").covers("https://bucher.example/v1/models")

    def test_an_encoded_base_path_stays_encoded(self) -> None:
        """`%2F` in the base URL is no slash: what is below the decoded path is somewhere else."""
        base_url = BaseUrl.parse("https://api.example.com/a%2Fb")
        assert base_url.covers("https://api.example.com/a%2Fb/models")
        assert not base_url.covers("https://api.example.com/a/b/models")

    @given(st.lists(st.sampled_from(["..", ".", "", "a", "%2e%2e", "%2f", "..%2f", "%5c..", "..;x", "%252e.", "v1"])))
    def test_no_reading_of_a_covered_path_leaves_the_base_path(self, segments: list[str]) -> None:
        """However often a server decodes, whatever it takes for a slash: it ends up at or below `/v1`."""
        url = f"{BASE}/{'/'.join(segments)}"
        if BaseUrl.parse(BASE).covers(url):
            sent = httpx.URL(url).raw_path.decode()  # both libraries resolve what is written as dots
            assert all(f"{path}/".startswith("/v1/") for path in readings(sent))


def readings(path: str) -> list[str]:
    """The path as different servers would understand it."""
    paths = [path]
    for _ in range(4):
        paths.append(unquote(paths[-1]))
    options = itertools.product(paths, [False, True], [False, True], [False, True])
    return [resolved(*option) for option in options]


def resolved(path: str, backslashes: bool, parameters: bool, merged: bool) -> str:
    """The path after one server's rules, its dot segments resolved."""
    found: list[str] = []
    for segment in (path.replace("\\", "/") if backslashes else path).split("/")[1:]:
        name = segment.partition(";")[0] if parameters else segment
        if name == "..":
            del found[-1:]
        elif name != "." and (name or not merged):
            found.append(name)
    return "/" + "/".join(found)


class TestLoopback:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.255.255.254", "::1", "localhost"])
    def test_what_is_this_machine(self, host: str) -> None:
        """127.0.0.0/8, ::1, and localhost (which the tests' machine resolves to these)."""
        assert Origin("http", host, 80).loopback

    @pytest.mark.parametrize(
        "host",
        ["0.0.0.0", "128.0.0.1", "::", "::2", "::ffff:127.0.0.1", "::1%eth0", "localhost.", "localhost.example",
         "127.0.0.1.example", "127.1", "example.com", "10.0.0.1", "ip6-localhost"],
    )  # fmt: skip
    def test_what_is_not(self, host: str) -> None:
        """Other addresses, also those that lead here by chance, and other names."""
        assert not Origin("http", host, 80).loopback

    @pytest.mark.parametrize(
        ("addresses", "loopback"),
        [
            (["127.0.0.1"], True),
            (["127.0.0.1", "::1"], True),
            (["fe80::1%lo"], False),
            (["10.0.0.7"], False),
            (["127.0.0.1", "10.0.0.7"], False),
            ([], False),
        ],
    )
    def test_localhost_is_what_it_resolves_to(
        self, monkeypatch: pytest.MonkeyPatch, addresses: list[str], loopback: bool
    ) -> None:
        """One address elsewhere, and it is not this machine; nor if it cannot be resolved."""

        def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
            assert (host, port) == ("localhost", 8080)
            if not addresses:
                raise socket.gaierror
            return [(0, 0, 0, "", (address, port)) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        assert Origin("http", "localhost", 8080).loopback is loopback


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://api.example.com/v1?key=hunter2", "https://api.example.com/v1"),
        ("https://user:hunter2@api.example.com:8443/v1#hunter2", "https://api.example.com:8443/v1"),
        ("https://api.example.com?a@hunter2", "https://api.example.com"),
        ("https://user:hun?hunter2@api.example.com/", "what is no URL of http, https, ws or wss"),
        ("hunter2", "what is no URL of http, https, ws or wss"),
    ],
)
def test_a_url_in_a_message_shows_no_secret(url: str, text: str) -> None:
    """Neither user name, password, query nor fragment."""
    assert shown(url) == text
