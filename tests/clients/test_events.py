"""What a client announces: that a request went elsewhere without the credential, and that the provider refused it."""

from __future__ import annotations

from typing import Any

import pytest

from keyfob.clients import signing as module
from keyfob.credentials.credential import Credential
from keyfob.errors import OriginError

from .test_unauthorized import Kind, in_turn
from .ways import BASE, SYNC, Renewing, Way, signing

ELSEWHERE = "https://user:canary@evil.example:8443/v1/canary?key=canary"


@pytest.fixture(params=["client", "auth"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return Kind(request.param)


class Heard(list[tuple[str, Any]]):
    """What was announced: kind, and what is told beside it."""

    def __call__(self, kind: str, **about: Any) -> None:
        assert "canary" not in str(about)
        self.append((kind, about))


BLOCKED = ("sent-elsewhere-blocked", {"origin": "https://evil.example:8443"})
REFUSED = ("refused", {"code": "status-401"})


class TestElsewhere:
    def test_a_request_to_elsewhere_is_announced_with_its_origin_once(self, way: Way, kind: Kind) -> None:
        """Nothing else of the URL; another origin is told of, too; what belongs to the provider is not."""
        heard = Heard()
        with kind.open(way, signing(announce=heard), transport=way.wire()) as client:
            for url in ("models", ELSEWHERE, ELSEWHERE, f"{BASE}/models", "wss://evil.example:8443/", "../other"):
                client.get(url)
        assert heard == [BLOCKED, ("sent-elsewhere-blocked", {"origin": "https://api.example.com"})]

    def test_so_is_a_redirect_to_elsewhere(self, way: Way) -> None:
        """However often a server leads there."""
        heard = Heard()
        wire = way.wire(lambda request: wire.redirect(307, ELSEWHERE) if request.url.path == "/v1/models" else 200)
        with way.client(signing(announce=heard), transport=wire, follow_redirects=True) as client:
            client.get("models")
            client.get("models")
        assert heard == [BLOCKED]

    def test_so_are_headers_that_are_wanted_for_elsewhere(self) -> None:
        """They are refused."""
        heard = Heard()
        provider = signing(announce=heard)
        provider.headers(f"{BASE}/models")
        with pytest.raises(OriginError):
            provider.headers(ELSEWHERE)
        assert heard == [BLOCKED]

    def test_origins_do_not_fill_the_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of very many, some are told of again; what is no URL is told of without an origin."""
        monkeypatch.setattr(module, "_MOST_ORIGINS", 2)
        heard = Heard()
        provider = signing(announce=heard)
        for host in ("a", "b", "b", "c", "a", "\N{SNOWMAN}\n"):
            provider.blocked(f"https://{host}/")
        assert [about["origin"] for _, about in heard] == ["https://a", "https://b", "https://c", "https://a", None]


class TestRefused:
    @pytest.mark.parametrize(
        ("statuses", "last", "times"),
        [
            ((200,), 9, 0),
            ((401, 200), 9, 0),
            ((403,), 9, 0),
            ((401,), 1, 1),  # there is no other
            ((401,), 2, 1),  # nor a third
            ((401,), 9, 1),  # it is not asked for a fourth
        ],
    )
    def test_a_401_is_announced_where_nothing_mends_it(
        self, way: Way, kind: Kind, statuses: tuple[int, ...], last: int, times: int
    ) -> None:
        """Not one that a newer credential mends, nor any other status."""
        heard = Heard()
        with kind.open(way, signing(Renewing(last), announce=heard), transport=way.wire(in_turn(*statuses))) as client:
            client.get("models")
        assert heard == [REFUSED] * times

    @pytest.mark.parametrize("way", SYNC, ids=str)
    def test_of_each_credential_once(self, way: Way, kind: Kind) -> None:
        """Whoever goes on with it does not fill a log; a 401 from elsewhere says nothing of it."""
        heard = Heard()
        with kind.open(way, signing(announce=heard), transport=way.wire(in_turn(401))) as client:
            client.get(ELSEWHERE)
            assert heard == [BLOCKED]
            for _ in range(3):
                client.get("models")
        assert heard == [BLOCKED, REFUSED]

    def test_of_credentials_that_are_equal_each_counts(self) -> None:
        """A plugin's class may compare them, and have no hash then; one that is gone is no longer kept in mind."""

        class Equal(Credential):
            def __eq__(self, other: object) -> bool:
                return isinstance(other, Equal)

        heard = Heard()
        provider = signing(announce=heard)
        first, second = Equal({"X-Key": "1"}), Equal({"X-Key": "2"})
        for credential in (first, second, first):
            provider.refused(credential)
        assert heard == [REFUSED] * 2
        assert len(provider._refused) == 2
        del first, second, credential
        assert not provider._refused
