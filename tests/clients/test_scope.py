"""Where what an entry adds goes: to the provider's origin, at or below the base path, on every hop; nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from keyfob.errors import OriginError

from .ways import ASYNC, BASE, SYNC, Way, signing, static

if TYPE_CHECKING:
    from collections.abc import Callable

ADDED = {"authorization", "x-key", "x-fixed", "x-named"}


def provider(base_url: str = BASE) -> Any:
    """One that adds something of every kind."""
    return signing(
        static({"Authorization": "Bearer secret", "X-Key": "secret"}),
        base_url,
        http_headers={"X-Fixed": "fixed"},
        env_http_headers={"X-Named": "NAMED"},
        query_params={"api-version": "secret-version"},
        environ={"NAMED": "secret-name"},
    )


def added(sent: Any) -> set[str]:
    """What of it is on a request that went out; everything or nothing."""
    found = {name.lower() for name, value in sent.headers.items() if not value.startswith("Basic ")} & ADDED
    if "secret-version" in sent.url:
        found.add("query")
    assert found in (set(), ADDED | {"query"})
    return found


class TestOneRequest:
    @pytest.mark.parametrize(
        "url",
        [
            "",
            "models",
            "/models",
            "//models",
            "responses?x=%2e%2e/y",
            "models/meta-llama%2FLlama-3",
            "models/a\\b",
            "models/é ü",
            "a/../models",
            "https://api.example.com/v1",
            "https://api.example.com/v1/models",
            "HTTPS://API.example.COM:443/v1/models",
            "https://user:password@api.example.com/v1/models",
            "wss://api.example.com/v1/models",
        ],
    )
    def test_below_the_base_url_it_carries_everything(self, way: Way, url: str) -> None:
        """Relative or absolute, in every spelling of the same place."""
        wire = way.wire()
        with way.client(provider(), transport=wire) as client:
            client.get(url)
        assert added(wire.sent[0])

    @pytest.mark.parametrize(
        "url",
        [
            "../other",
            "a/../../other",
            "%2e%2e/other",
            "..%2fother",
            "%252e%252e/other",
            "..\\other",
            "..;/other",
            "https://api.example.com/",
            "https://api.example.com/v1x/models",
            "https://api.example.com/other/%2e%2e/v1/models",
            "http://api.example.com/v1/models",
            "ws://api.example.com/v1/models",
            "https://api.example.com:8443/v1/models",
            "https://api.example.com@evil.example/v1/models",
            "https://xn--pi-6kc.example.com/v1/models",
            "https://evil.example/v1/models",
        ],
    )
    def test_elsewhere_it_carries_nothing(self, way: Way, url: str) -> None:
        """It goes out, but as it would without keyfob."""
        wire = way.wire()
        with way.client(provider(), transport=wire) as client:
            client.get(url)
        assert not added(wire.sent[0])

    def test_elsewhere_the_callers_own_authorization_stays(self, way: Way) -> None:
        """What the caller sends to another server is none of the provider's business."""
        wire = way.wire()
        with way.client(provider(), transport=wire) as client:
            client.get("https://other.example/", headers={"Authorization": "own"})
        assert wire.sent[0].headers["authorization"] == "own"

    @pytest.mark.parametrize("base_url", ["https://bücher.example/v1", "https://[::1]:8443/v1", "https://h/a%2Fb/é"])
    def test_the_library_sends_to_the_base_url_as_we_understand_it(self, way: Way, base_url: str) -> None:
        """IDNA hosts, IPv6 addresses and encoded paths: what the library makes of the base URL is covered by it."""
        wire = way.wire()
        with way.client(provider(base_url), transport=wire) as client:
            client.get("models")
        assert added(wire.sent[0])
        assert wire.sent[0].url.startswith(str(provider(base_url).base_url))

    def test_a_401_from_elsewhere_renews_nothing(self, way: Way) -> None:
        """Another server cannot make us ask for new credentials."""
        asked: list[object] = []

        class Source:
            def peek(self) -> Any:
                return static({"Authorization": "Bearer secret"}).peek()

            def get(self, *, rejected: Any = None) -> Any:
                asked.append(rejected)

        wire = way.wire(lambda request: 401)
        with way.client(signing(Source()), transport=wire) as client:
            assert client.get("https://evil.example/").status_code == 401
        assert asked == []


ELSEWHERE = [
    "https://evil.example/v1/responses",
    "http://api.example.com/v1/responses",
    "https://api.example.com:8443/v1/responses",
    "https://api.example.com/other",
    "/other",
    "../other",
    "//evil.example/v1/responses",
]


def following(*locations: str, status: int = 307) -> Callable[[Any], Any]:
    """Answers that lead from one location to the next."""
    left = list(locations)

    def answer(request: Any) -> Any:
        return answer.wire.redirect(status, left.pop(0)) if left else 200  # type: ignore[attr-defined]

    return answer


class TestRedirects:
    def follow(self, way: Way, *locations: str, status: int = 307, **options: Any) -> tuple[Any, Any]:
        answer = following(*locations, status=status)
        wire = answer.wire = way.wire(answer)  # type: ignore[attr-defined]
        with way.client(provider(), transport=wire, follow_redirects=True) as client:
            response = client.post("responses", **({"json": {}} | options))
        return wire, response

    @pytest.mark.parametrize(
        ("elsewhere", "status"),
        [*((each, 307) for each in ELSEWHERE), *((ELSEWHERE[0], each) for each in (301, 302, 303, 308))],
    )
    def test_nothing_follows_to_another_place(self, way: Way, elsewhere: str, status: int) -> None:
        """Another origin, http, another port, another path: the hop there carries nothing."""
        wire, _ = self.follow(way, elsewhere, status=status)
        assert [bool(added(sent)) for sent in wire.sent] == [True, False]

    @pytest.mark.parametrize("elsewhere", ELSEWHERE)
    def test_on_the_way_back_everything_is_there_again(self, way: Way, elsewhere: str) -> None:
        """Each hop is judged by itself; the query parameters are not doubled."""
        wire, _ = self.follow(way, elsewhere, f"{BASE}/back", elsewhere, f"{BASE}/again?api-version=secret-version")
        assert [bool(added(sent)) for sent in wire.sent] == [True, False, True, False, True]
        assert [sent.url.count("api-version") for sent in wire.sent] == [1, 0, 1, 0, 1]

    def test_within_the_base_path_everything_follows(self, way: Way) -> None:
        """A redirect to a place of the provider's own is one more request to it."""
        wire, _ = self.follow(way, "/v1/responses/", "responses")
        assert [bool(added(sent)) for sent in wire.sent] == [True, True, True]

    @pytest.mark.parametrize("elsewhere", ELSEWHERE)
    def test_the_caller_is_shown_the_requests_without_our_additions(self, way: Way, elsewhere: str) -> None:
        """`response.request`, those in `response.history` and their URLs are what the caller asked for."""
        _, response = self.follow(way, "/v1/next", elsewhere, f"{BASE}/back")
        shown = [each.request for each in (*response.history, response)]
        assert len(shown) == 4
        for request in shown:
            assert not {name.lower() for name in request.headers} & ADDED
            assert "secret" not in str(request.url)
            assert "secret" not in repr(request) + repr(request.headers)

    @pytest.mark.parametrize("elsewhere", ["/other", "http://api.example.com/v1/x", "https://evil.example/"])
    def test_what_the_client_library_put_in_our_headers_place_does_not_follow_either(
        self, way: Way, elsewhere: str
    ) -> None:
        """As the OpenAI SDK sends OPENAI_API_KEY: it never goes to the provider, so not by way of a redirect."""
        wire, _ = self.follow(way, elsewhere, headers={"Authorization": "Bearer foreign", "X-KEY": "foreign"})
        assert "foreign" not in str([sent.headers.raw for sent in wire.sent])

    def test_a_redirect_that_is_not_followed_is_prepared_without_them(self, way: Way) -> None:
        """`response.next_request`, too, is built from what the caller asked for."""
        answer = following("https://evil.example/")
        wire = answer.wire = way.wire(answer)  # type: ignore[attr-defined]
        with way.client(provider(), transport=wire) as client:
            response = client.get("models")
            client.send(response.next_request)
        assert [bool(added(sent)) for sent in wire.sent] == [True, False]


class TestMounts:
    def test_every_transport_of_the_caller_signs(self, way: Way) -> None:
        """`transport` and each of `mounts`; a pattern without one uses `transport`."""
        first, second = way.wire(), way.wire()
        mounts = {"https://api.example.com": second, "all://api.example.com:99": None}
        with way.client(provider(), transport=first, mounts=mounts) as client:
            client.get("models")
            client.get("https://evil.example/")
        assert [bool(added(sent)) for sent in second.sent] == [True]
        assert [bool(added(sent)) for sent in first.sent] == [False]


class TestHeadersForOthers:
    def test_headers_are_given_for_what_the_base_url_covers(self) -> None:
        """With or without a URL."""
        assert set(provider().headers()) == {"Authorization", "X-Key", "X-Fixed", "X-Named"}
        assert set(provider().headers(f"{BASE}/models")) == set(provider().headers())
        assert set(provider().headers("wss://api.example.com/v1/realtime")) == set(provider().headers())

    def test_they_are_refused_for_everything_else(self) -> None:
        """The error says where they go, and repeats nothing secret."""
        with pytest.raises(OriginError) as caught:
            provider().headers("https://user:hunter2@evil.example/v1?key=hunter2")
        assert str(caught.value) == (
            "corp's credential goes to https://api.example.com/v1 and below, not to https://evil.example/v1"
        )


@pytest.mark.parametrize("way", [*SYNC, *ASYNC], ids=str)
def test_what_passes_is_passed_as_it_is(way: Way) -> None:
    """The inner transport gets the caller's own request, or a copy with all that it had."""
    seen: list[Any] = []

    def answer(request: Any) -> int:
        seen.append(request)
        return 200

    class Own(way.http_library.Request):  # type: ignore[misc,name-defined]
        pass

    with way.client(provider(), transport=way.wire(answer)) as client:
        for url in ("https://evil.example/", f"{BASE}/models"):
            client.send(Own("POST", url, json={"a": 1}, extensions={"trace": print}))
    (elsewhere, signed) = seen
    assert type(signed) is Own
    for request in seen:
        assert request.content == b'{"a":1}'
        assert request.extensions["trace"] is print
        assert "timeout" in request.extensions
        assert request.headers["content-length"] == "7"
    assert elsewhere.headers["host"] == "evil.example"
