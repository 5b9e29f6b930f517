"""What stands between a login and its issuer: the login outlives it, is used while good; then the error names it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from keyfob.errors import ConfigError, LostRenewalError, RenewalError
from keyfob.testing.issuer import Issuer

from ..homes import home as home  # noqa: TID252  # a fixture
from .raw import Authority, Raw, Tunnels, answers, http

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from keyfob import Provider

    from ..homes import Home  # noqa: TID252

CONFIG = 'cli_auth_credentials_store = "file"\n[model_providers.x]\nbase_url = "https://llm.example/v1"\n'
CONFIG += "requires_openai_auth = true\n"
URL = "CODEX_REFRESH_TOKEN_URL_OVERRIDE"
PAGE = b"<html><title>Sign in to the network</title>"
# Seconds to expiry: within the early window, and past it.
SOON, PAST = 30.0, -5.0


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


class Lab:
    """A CODEX_HOME with one login."""

    def __init__(self, home: Home, issuer: Issuer) -> None:
        self._home, self._issuer = home, issuer

    def provider(self, expires_in: float, environ: dict[str, str]) -> Provider:
        """A provider whose login expires then."""
        self.login = self._issuer.login(expires_in=expires_in)
        self._file = self._home.folder / "auth.json"
        self._file.write_text(json.dumps(self.login), encoding="utf-8")
        self._file.chmod(0o600)
        self._home.environ = environ
        return self._home.provider(CONFIG)

    @property
    def token(self) -> str:
        """That of the login as it was."""
        return str(self.login["tokens"]["access_token"])

    @property
    def stored(self) -> Any:
        """The login as it is now."""
        return json.loads(self._file.read_text(encoding="utf-8"))

    def again(self) -> Provider:
        """Another process, much later: what holds back the next try has passed."""
        clock = time.time() + 300
        return self._home.provider(CONFIG, clock=lambda: clock)


@pytest.fixture
def lab(home: Home, issuer: Issuer) -> Lab:
    return Lab(home, issuer)


def portal(status: str, **headers: str) -> Callable[[socket.socket], object]:
    """A captive portal: it answers in the issuer's place."""
    return answers(http(PAGE, status, Content_Type="text/html", **headers))


PORTALS = {
    "401": (portal("401 Unauthorized"), "127.0.0.1 answered 401"),
    "403": (portal("403 Forbidden"), "127.0.0.1 answered 403"),
    "407": (portal("407 Proxy Authentication Required"), "127.0.0.1 answered 407"),
    "302": (portal("302 Found", Location="http://127.0.0.1:9/login"), "127.0.0.1 answered 302"),
    "503": (portal("503 x", Retry_After="30"), "127.0.0.1 answered 503"),
}


@pytest.mark.parametrize("what", PORTALS)
class TestCaptivePortal:
    def test_while_the_old_credential_is_good_it_is_used(self, lab: Lab, what: str) -> None:
        """Nobody notices."""
        with Raw(PORTALS[what][0]) as server:
            provider = lab.provider(SOON, {URL: server.url})
            assert provider.credential().token == lab.token
            assert provider.credential().token == lab.token
        assert len(server.received) == 1  # one try, not one with each request
        assert lab.stored == lab.login

    def test_afterwards_the_error_names_it(self, lab: Lab, issuer: Issuer, what: str) -> None:
        """And nothing of its page; the login is kept, and renewed once the way is clear."""
        with Raw(PORTALS[what][0]) as server:
            provider = lab.provider(PAST, {URL: server.url})
            with pytest.raises(RenewalError) as caught:
                provider.credential()
        assert PORTALS[what][1] in str(caught.value)
        assert not any(word in str(caught.value) for word in ("Sign in", "html", lab.login["tokens"]["refresh_token"]))
        assert lab.stored == lab.login
        lab._home.environ = issuer.environ
        assert lab.again().credential().token == lab.stored["tokens"]["access_token"] != lab.token
        assert (issuer.renewals, issuer.reused) == (1, [])


@pytest.mark.slow
def test_a_200_of_a_portal_is_no_login(lab: Lab, issuer: Issuer) -> None:
    """It is kept as it came, and holds nothing: the login stays what it was, and is renewed once the way is clear."""
    with Raw(portal("200 OK")) as server:
        provider = lab.provider(SOON, {URL: server.url})
        assert provider.credential().token == lab.token
    assert lab.stored == lab.login
    lab._home.environ = issuer.environ
    assert lab.again().credential().token == lab.stored["tokens"]["access_token"] != lab.token
    assert issuer.reused == []


def test_a_proxy_that_wants_a_password(lab: Lab) -> None:
    """Its 407 is not the issuer's; nothing was sent, and the error names the variable."""
    with Raw(portal("407 x")) as proxy:
        environ = {URL: "https://issuer.example/oauth/token", "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"}
        assert lab.provider(SOON, environ).credential().token == lab.token
        with pytest.raises(RenewalError) as caught:
            lab.provider(PAST, environ).credential()
    said = "issuer.example cannot be reached through the proxy of HTTPS_PROXY: the proxy answered 407"
    assert said in str(caught.value)
    assert all(text.startswith(b"CONNECT ") for text in proxy.received)
    assert lab.stored == lab.login


@pytest.mark.slow  # it looks for 2 s whether another program has got the answer
def test_a_connection_that_breaks_off_twice_is_a_lost_renewal(lab: Lab) -> None:
    """The token is presented once more, at once, and never again."""
    with Raw(lambda _: None) as server:
        provider = lab.provider(PAST, {URL: server.url})
        with pytest.raises(LostRenewalError):
            provider.credential()
        with pytest.raises(LostRenewalError):
            lab.again().credential()
    assert len(server.received) == 2
    assert lab.stored == lab.login


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"SSL_CERT_FILE": "/no/such/file"}, "SSL_CERT_FILE names /no/such/file, which cannot be read"),
        ({"HTTPS_PROXY": "ftp://x"}, "the proxy that HTTPS_PROXY names cannot be used"),
        ({URL: "http://issuer.example/oauth/token"}, f"{URL}: plain http to issuer.example would send a login"),
    ],
)
def test_what_the_user_has_to_mend_is_said_and_spends_nothing(
    lab: Lab, issuer: Issuer, environ: dict[str, str], said: str
) -> None:
    """It is configuration; the old credential is used while it is good, and once it is mended all goes on."""
    environ = {URL: "https://issuer.example/oauth/token", **environ}
    assert lab.provider(SOON, environ).credential().token == lab.token
    provider = lab.provider(PAST, environ)
    for _ in range(3):  # each is as the first: none counts as a try that was sent
        with pytest.raises(ConfigError) as caught:
            provider.credential()
        assert said in str(caught.value)
    assert lab.stored == lab.login
    lab._home.environ = issuer.environ
    assert lab.again().credential().token != lab.token
    assert (issuer.renewals, issuer.reused) == (1, [])


@pytest.mark.slow
def test_a_companys_proxy_and_authority(lab: Lab, issuer: Issuer, tmp_path: Path) -> None:
    """The renewal goes through the one and trusts the other."""
    authority = Authority(tmp_path)

    def act(connection: socket.socket) -> None:
        _, body = issuer.renewed({"refresh_token": lab.login["tokens"]["refresh_token"]})
        connection.sendall(http(json.dumps(body).encode()))

    tls = authority.server("issuer.example")
    with Raw(act, tls=tls) as server, Raw(Tunnels(server.port)) as proxy:
        provider = lab.provider(
            PAST,
            {
                URL: "https://issuer.example/oauth/token",
                "HTTPS_PROXY": f"http://me:secret@127.0.0.1:{proxy.port}",
                "CODEX_CA_CERTIFICATE": authority.file,
            },
        )
        assert provider.credential().token == lab.stored["tokens"]["access_token"] != lab.token
    assert (len(server.received), len(proxy.received)) == (1, 1)
