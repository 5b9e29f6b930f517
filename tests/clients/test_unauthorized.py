"""After a 401: adopt, renew, replay, twice at the most; and when not."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest

from keyfob.errors import CredentialError
from keyfob.testing.model_server import Answer, ModelServer

from .ways import SYNC, TRIO, WAYS, Renewing, Way, signing

if TYPE_CHECKING:
    from collections.abc import Callable

ALL_WAYS = pytest.mark.parametrize("way", [*WAYS, *TRIO], ids=str)


def in_turn(*statuses: int) -> Callable[[Any], int]:
    """Answers with one status after the other; the last repeats."""
    left = list(statuses)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


class Kind:
    """The two ways to sign: keyfob's client, and a bare Auth in the library's."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name

    def open(self, way: Way, provider: Any, **options: Any) -> Any:
        if self.name == "client":
            return way.client(provider, **options)
        return way.plain(base_url=str(provider.base_url), auth=way.ours.Auth(provider), **options)


@pytest.fixture(params=["client", "auth"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return Kind(request.param)


def tokens(wire: Any) -> list[str]:
    return [sent.headers["Authorization"].removeprefix("Bearer token-") for sent in wire.sent]


class TestReplay:
    @ALL_WAYS
    def test_a_refused_credential_is_replaced_and_the_request_replayed(self, way: Way, kind: Kind) -> None:
        """With method, URL, headers and body as they were."""
        wire = way.wire(in_turn(401, 200))
        with kind.open(way, signing(Renewing()), transport=wire) as client:
            response = client.post("responses?q=1", json={"a": 1}, headers={"X-Own": "own"})
        assert response.status_code == 200
        first, second = wire.sent
        assert tokens(wire) == ["1", "2"]
        assert first.body == second.body == b'{"a":1}'
        assert first.url == second.url
        assert {**first.headers, "authorization": ""} == {**second.headers, "authorization": ""}

    @pytest.mark.parametrize(
        ("statuses", "last", "expected", "asked"),
        [
            ((200,), 9, ["1"], 0),
            ((401, 200), 9, ["1", "2"], 1),
            ((401, 401, 200), 9, ["1", "2", "3"], 2),
            ((401,), 9, ["1", "2", "3"], 2),  # for ever
            ((401,), 2, ["1", "2"], 2),  # there is no third
            ((401,), 1, ["1"], 1),  # there is no other at all
            ((401, 403), 9, ["1", "2"], 1),
            ((401, 500, 200), 9, ["1", "2"], 1),
        ],
    )
    def test_twice_at_the_most_and_only_with_another_credential(
        self, way: Way, kind: Kind, statuses: tuple[int, ...], last: int, expected: list[str], asked: int
    ) -> None:
        """The answer is the last one that came. A third 401 asks for nothing more."""
        wire, source = way.wire(in_turn(*statuses)), Renewing(last)
        with kind.open(way, signing(source), transport=wire) as client:
            response = client.get("models")
            assert response.content == b"body"
        assert tokens(wire) == expected
        assert response.status_code == statuses[min(len(expected), len(statuses)) - 1]
        assert len(source.rejected) == asked

    def test_no_other_status_renews(self, way: Way, kind: Kind) -> None:
        """403 says that this user may not: a new credential of the same user would not either."""
        statuses = [400, 402, 403, 407, 418, 429, 500, 503]
        wire, source = way.wire(in_turn(*statuses)), Renewing()
        with kind.open(way, signing(source), transport=wire) as client:
            assert [client.get("models").status_code for _ in statuses] == statuses
        assert tokens(wire) == ["1"] * len(statuses)
        assert source.rejected == []

    def test_the_next_request_starts_with_the_new_credential(self, way: Way, kind: Kind) -> None:
        """It was renewed for all."""
        wire = way.wire(in_turn(401, 200))
        with kind.open(way, signing(Renewing()), transport=wire) as client:
            client.get("models")
            client.get("models")
        assert tokens(wire) == ["1", "2", "2"]

    def test_a_newer_credential_of_somebody_else_is_adopted(self, way: Way, kind: Kind) -> None:
        """The source is told which one was refused, and hands out the one that has come since; refused, it renews."""
        source = Renewing()
        provider = signing(source)
        old = source.peek()

        def answer(request: Any) -> int:
            if len(wire.sent) == 1:
                source.get(rejected=old)
            return 401 if len(wire.sent) < 3 else 200

        wire = way.wire(answer)
        with kind.open(way, provider, transport=wire) as client:
            assert client.get("models").status_code == 200
        assert tokens(wire) == ["1", "2", "3"]

    @ALL_WAYS
    def test_the_refused_answer_is_closed_before_the_replay(self, way: Way, kind: Kind) -> None:
        """There is never more than one open."""
        wire = way.wire(in_turn(401, 401, 200))
        with kind.open(way, signing(Renewing()), transport=wire) as client:
            client.get("models")
        assert (wire.open, wire.most_open) == (0, 1)


class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"json": {"a": 1}},
            {"content": b"abc"},
            {"content": "abc"},
            {"data": {"a": "1"}},
        ],
        ids=str,
    )
    def test_bytes_are_replayed(self, way: Way, kind: Kind, body: dict[str, Any]) -> None:
        """Whatever the caller made them of."""
        wire = way.wire(in_turn(401, 200))
        with kind.open(way, signing(Renewing()), transport=wire) as client:
            assert client.post("responses", **body).status_code == 200
        assert wire.sent[0].body == wire.sent[1].body
        assert wire.sent[0].body is not None

    @pytest.mark.parametrize("body", ["iterator", "multipart"])
    def test_streams_are_not_but_the_next_request_has_the_new_credential(self, way: Way, kind: Kind, body: str) -> None:
        """They would be replayed empty, or from a file that has been read."""
        wire, source = way.wire(in_turn(401, 200)), Renewing()
        options: Any = {"content": way.iterator(b"a")} if body == "iterator" else {"files": {"f": b"a"}}
        with kind.open(way, signing(source), transport=wire) as client:
            assert client.post("responses", **options).status_code == 401
            assert client.post("responses", json={}).status_code == 200
        assert tokens(wire) == ["1", "2"]


class TestFailures:
    @ALL_WAYS
    def test_if_no_other_can_be_had_the_answer_is_closed_and_the_error_raised(self, way: Way, kind: Kind) -> None:
        """The caller learns why, and no connection is left open."""

        class Once(Renewing):
            def get(self, *, rejected: Any = None) -> Any:
                raise CredentialError("the issuer is down")

        wire = way.wire(in_turn(401))
        with (
            kind.open(way, signing(Once()), transport=wire) as client,
            pytest.raises(CredentialError, match="issuer is down"),
        ):
            client.get("models")
        assert len(wire.sent) == 1
        assert wire.open == 0

    @ALL_WAYS
    def test_if_the_replay_fails_nothing_stays_open(self, way: Way, kind: Kind) -> None:
        """The network's error is the library's own."""

        def answer(request: Any) -> int:
            if len(wire.sent) > 1:
                raise way.http_library.ConnectError("refused")
            return 401

        wire = way.wire(answer)
        with (
            kind.open(way, signing(Renewing()), transport=wire) as client,
            pytest.raises(way.http_library.ConnectError),
        ):
            client.get("models")
        assert wire.open == 0

    @pytest.mark.parametrize("way", SYNC, ids=str)
    def test_ctrl_c_while_renewing_closes_the_answer(self, way: Way, kind: Kind) -> None:
        """And is what the caller sees."""

        class Interrupted(Renewing):
            def get(self, *, rejected: Any = None) -> Any:
                raise KeyboardInterrupt

        wire = way.wire(in_turn(401))
        with kind.open(way, signing(Interrupted()), transport=wire) as client, pytest.raises(KeyboardInterrupt):
            client.get("models")
        assert wire.open == 0


class TestOnRealSockets:
    @ALL_WAYS
    def test_a_refused_stream_is_replayed_before_its_first_byte(self, way: Way, kind: Kind) -> None:
        """401 with a slow body, then the events; the caller sees these alone."""
        refused = Answer(401, body="refused " * 100, drip_s=0.05)
        with ModelServer(answers={"responses": [refused, None]}) as server:
            provider = signing(Renewing(), server.base_url)
            with kind.open(way, provider) as client:
                response = client.post("responses", json={"input": "hi", "stream": True})
        assert [each.header("authorization") for each in server.received] == ["Bearer token-1", "Bearer token-2"]
        assert server.received[0].body == server.received[1].body
        assert "refused" not in response.text
        assert response.text.startswith("event: response.created")

    def test_nothing_is_replayed_once_a_byte_was_handed_on(self, way: Way) -> None:
        """A connection that breaks within the body is the caller's to see."""
        broken = Answer(body="some text", close=True, after=1)
        with ModelServer(answers={"responses": [broken, None]}) as server:
            provider = signing(Renewing(), server.base_url)
            with way.client(provider) as client, pytest.raises(way.http_library.RemoteProtocolError):
                client.post("responses", json={})
            assert len(server.received) == 1

    def test_a_401_with_a_body_as_the_last_answer_can_be_read(self, way: Way, kind: Kind) -> None:
        """It is handed on open."""
        with (
            ModelServer(answers={"models": [(401, {"error": "no"})]}) as server,
            kind.open(way, signing(Renewing(1), server.base_url)) as client,
        ):
            assert client.get("models").json() == {"error": "no"}
        assert len(server.received) == 1

    @pytest.mark.slow
    @ALL_WAYS
    def test_no_connection_is_left_behind(self, way: Way, kind: Kind) -> None:
        """The pool of one connection is free after each replay (and a socket left open would fail this test)."""
        limits = way.http_library.Limits(max_connections=1)
        with (
            ModelServer(answers={"models": [401, 401, 401, None]}) as server,
            kind.open(way, signing(Renewing(), server.base_url), limits=limits, timeout=5) as client,
        ):
            assert [client.get("models").status_code for _ in range(3)] == [401, 200, 200]
        gc.collect()

    def test_a_redirect_to_a_place_that_refuses_renews_nothing(self, way: Way, kind: Kind) -> None:
        """A 401 of another origin is not about our credential."""
        source = Renewing()
        with ModelServer(answers={"models": [401]}) as other:
            away = Answer(307, {"Location": f"{other.base_url}/models"})
            with ModelServer(answers={"models": [away]}) as server:
                provider = signing(source, server.base_url)
                with kind.open(way, provider, follow_redirects=True) as client:
                    assert client.get("models").status_code == 401
        assert source.rejected == []
        assert other.received[0].header("authorization") is None


@pytest.mark.parametrize("at_hand", [True, False], ids=["at hand", "to be fetched"])
@ALL_WAYS
def test_many_requests_of_one_client(way: Way, kind: Kind, at_hand: bool) -> None:
    """Nothing of one request is carried over to the next."""
    wire = way.wire()
    with kind.open(way, signing(Renewing(at_hand=at_hand)), transport=wire) as client:
        for number in range(5):
            client.get(f"models/{number}")
    assert tokens(wire) == ["1"] * 5
