"""`keyfob.httpx` and `keyfob.httpx2` as a user has them: from a configuration, with the rules for plain http."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

import keyfob
from keyfob.config.places import Places
from keyfob.errors import ConfigError, MissingCredentialError
from keyfob.testing.model_server import ModelServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .ways import Way


@pytest.fixture
def host(tmp_path: Path) -> Callable[..., keyfob.Host]:
    """Makes a host with one provider, `corp`."""

    def make(environ: dict[str, str], base_url: str, *lines: str) -> keyfob.Host:
        entry = ["[model_providers.corp]", f'base_url = "{base_url}"', 'env_key = "LAB_KEY"', *lines]
        # What Codex does not know stands in keyfob.toml; here everything does.
        (tmp_path / "keyfob.toml").write_text("\n".join(entry))
        system, cache = str(tmp_path / "system"), str(tmp_path / "cache")
        return keyfob.Host(environ, places=Places(str(tmp_path), system=system, cache=cache))

    return make


def ours(way: Way, kind: str) -> Any:
    return getattr(getattr(keyfob, way.name), f"Async{kind}" if way.backend and kind == "Client" else kind)


class TestClients:
    def test_the_environment_is_read_for_each_request(self, way: Way, host: Any) -> None:
        """A key that is set, changed or removed meanwhile is seen; without one nothing is sent."""
        environ: dict[str, str] = {}
        with ModelServer() as server:
            provider = host(environ, server.base_url).provider("corp")
            with way._open(lambda: ours(way, "Client")(provider)) as client:
                for key in ("a", "b"):
                    environ["LAB_KEY"] = key
                    client.get("models")
                environ.clear()
                with pytest.raises(MissingCredentialError, match="LAB_KEY"):
                    client.get("models")
        assert [each.header("authorization") for each in server.received] == ["Bearer a", "Bearer b"]

    def test_a_bare_auth_is_given_to_a_client_of_ones_own(self, way: Way, host: Any) -> None:
        """By id and host, as everywhere."""
        with ModelServer() as server:
            auth = ours(way, "Auth")("corp", host=host({"LAB_KEY": "a"}, server.base_url))
            with way.plain(auth=auth) as client:
                client.get(f"{server.base_url}/models")
        assert server.received[0].header("authorization") == "Bearer a"


class TestPlainHttp:
    @pytest.mark.parametrize(
        "base_url", ["http://api.example.test/v1", "http://10.0.0.7/v1", "http://0.0.0.0/v1", "http://localhost.:80/v1"]
    )
    def test_it_is_refused_before_anything_is_sent(self, way: Way, host: Any, base_url: str) -> None:
        """The hint is the line to add."""
        with pytest.raises(ConfigError, match="in the clear") as caught:
            ours(way, "Client")("corp", host=host({"LAB_KEY": "a"}, base_url))
        assert "allow_http = true" in (caught.value.hint or "")

    def test_with_allow_http_it_is_allowed_for_that_provider(self, way: Way, host: Any) -> None:
        """In keyfob.toml."""
        of = host({"LAB_KEY": "a"}, "http://api.example.test/v1", "allow_http = true")
        wire = way.wire()
        with way._open(lambda: ours(way, "Client")("corp", host=of, transport=wire)) as client:
            client.get("models")
        assert wire.sent[0].headers["Authorization"] == "Bearer a"

    @pytest.mark.parametrize(("address", "allowed"), [("127.0.0.1", True), ("10.0.0.7", False)])
    def test_localhost_counts_by_its_addresses(
        self, host: Any, monkeypatch: pytest.MonkeyPatch, address: str, allowed: bool
    ) -> None:
        """Where it resolves to another machine it is refused like one."""
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", (address, 1))])
        provider = host({"LAB_KEY": "a"}, "http://localhost:1/v1").provider("corp")
        if allowed:
            assert str(provider.base_url) == "http://localhost:1/v1"
        else:
            with pytest.raises(ConfigError, match="in the clear"):
                _ = provider.base_url
