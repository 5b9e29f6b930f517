"""requests through keyfob: what is its own, sessions and their adapters. See test_adapters.py."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from keyfob.testing import fake_provider

from .seen import bearers

requests = pytest.importorskip("requests")
integration: Any = importlib.import_module("keyfob.integrations.requests")
Adapter, Session = integration.Adapter, integration.Session


class Noting(requests.adapters.HTTPAdapter):
    """An adapter of the user's own."""

    def send(self, request, **options):
        self.noted = request.url, options["timeout"]
        return super().send(request, **options)


def test_a_session_is_requests_own(server):
    """Code that asks for one takes it; prepared requests are sent as well."""
    with Session(fake_provider(base_url=server.base_url)) as session:
        assert isinstance(session, requests.Session)
        prepared = session.prepare_request(requests.Request("GET", b"/models"))
        assert prepared.url == f"{server.base_url}/models"
        assert "Authorization" not in prepared.headers
        session.send(prepared).raise_for_status()
    assert bearers(server) == ["Bearer fake-token"]


def test_an_adapter_that_the_user_mounts_signs_too(server):
    """Its own settings hold; the time-outs are the entry's, unless the caller names one."""
    with Session(fake_provider(base_url=server.base_url, stream_idle_timeout_ms=7_000)) as session:
        own = Noting(max_retries=2)
        session.mount("http://", own)
        session.get("models").raise_for_status()
        assert own.noted == (f"{server.base_url}/models", (30.0, 7.0))
        session.get("models", timeout=5)
        assert own.noted[1] == 5
    assert bearers(server) == ["Bearer fake-token"] * 2


def test_an_adapter_in_a_session_of_the_users_own_signs_for_its_prefix(server):
    """What is mounted at /v1 also gets /v1x, and does not sign that."""
    with requests.Session() as session:
        session.mount(server.base_url, Adapter(fake_provider(base_url=server.base_url)))
        for url in (f"{server.base_url}/models", f"{server.base_url}x/models", f"{server.origin}/models"):
            session.get(url)
    assert bearers(server) == ["Bearer fake-token", None, None]


@pytest.mark.parametrize("header", ["Authorization", "X-Key"])
def test_what_netrc_holds_for_the_host_is_not_sent(server, tmp_path, monkeypatch, header):
    """Neither beside another header nor in place of the credential; redirected above the base path neither."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password canary\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with Session(fake_provider(base_url=server.base_url, header=header)) as session:
        response = session.get("models")
    assert bearers(server) == ["Bearer fake-token" if header == "Authorization" else None]
    assert "Authorization" not in response.request.headers


def test_what_is_sent_again_by_a_hook_is_signed_too(server):
    """As requests' own digest auth does: through `response.connection`."""
    with Session(fake_provider(base_url=server.base_url)) as session:
        response = session.get("models")
        response.connection.send(response.request.copy()).close()
    assert bearers(server) == ["Bearer fake-token"] * 2


def test_a_file_is_signed_nowhere_but_read_by_requests(server, tmp_path):
    """Without a signer it goes out as it is, with its length."""
    (tmp_path / "body").write_bytes(b"abc")
    with Session(fake_provider(base_url=server.base_url)) as session, (tmp_path / "body").open("rb") as file:
        session.post("responses", data=file)
    assert (server.received[0].body, server.received[0].header("content-length")) == (b"abc", "3")
