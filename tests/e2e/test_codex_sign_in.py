"""A login that keyfob's sign-in made, used, renewed and ended by the real Codex client; and Codex's own beside it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from keyfob.testing.issuer import Issuer
from keyfob.testing.model_server import TEXT

from ..clients.raw import Authority, Raw, Tunnels  # noqa: TID252
from . import parts
from .shared import KEYFOB, CodexHome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("codex", "port_1455")
BROWSER = """#!{python} -I
import os, ssl, sys, urllib.request
trust = ssl.create_default_context(cafile=os.environ.get("CODEX_CA_CERTIFICATE"))
with urllib.request.urlopen(sys.argv[1], timeout=30, context=trust) as page, open("{log}", "w") as log:
    print(page.status, page.url, file=log)
"""
"""Goes where it is sent, as somebody's would who is signed in at the issuer already."""
NEW = ("id_token", "access_token", "refresh_token", "login_owner_id", "last_refresh")


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        running.sign_in.interval, running.sign_in.pending = "1", 1
        yield running


@pytest.fixture
def as_openai(tmp_path: Path, issuer: Issuer) -> Iterator[dict[str, str]]:
    """Variables with which that issuer is https://auth.openai.com: behind a proxy, with a certificate for that name."""
    authority = Authority(tmp_path)
    forward = Tunnels(int(issuer.url.rpartition(":")[2]), greeting=b"")
    with (
        Raw(forward, tls=authority.server("auth.openai.com"), unread=True) as tls,
        Raw(Tunnels(tls.port)) as proxy,
    ):
        there = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}", "CODEX_CA_CERTIFICATE": authority.file}
        yield {**there, "KEYFOB_OPENAI_ISSUER": ""}  # as if it were not set


def browsing(home: CodexHome) -> dict[str, str]:
    """Variables with which there is a browser to be opened."""
    browser = home.root / "browser"
    browser.write_text(BROWSER.format(python=sys.executable, log=home.root / "page"))
    browser.chmod(0o700)
    return {"BROWSER": str(browser), "DISPLAY": ":0"}


@contextmanager
def waiting(home: CodexHome, by: str, environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A sign-in in the browser that nobody finishes."""
    program = {"keyfob": KEYFOB, "codex": parts.path("codex")}[by]
    log = home.root / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "login"],
            env={**home.environ, **environ, "BROWSER": "true"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        while "oauth/authorize" not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def asked(issuer: Issuer) -> list[tuple[str, str | None, list[str]]]:
    """Endpoint, content type and the names of the fields of each request so far, but for what was not asked twice."""
    found = [(each.endpoint, each.received.header("content-type"), list(each.fields)) for each in issuer.asked]
    issuer.asked.clear()
    return found


def shape(path: Path) -> list[str]:
    """The lines of the file without what each sign-in makes anew."""
    lines = path.read_text().splitlines()
    return [line.partition(":")[0] if line.strip().strip('"').startswith(NEW) else line for line in lines]


def bearer(home: CodexHome) -> str:
    return f"Bearer {home.stored['tokens']['access_token']}"


def ran(done: Any) -> Any:
    assert done.returncode == 0, done.stderr
    return done


def test_with_a_device_code_both_do_the_same(home, other, issuer, server):
    """The same requests, the same file but for what is new; and Codex uses keyfob's."""
    ran(home.keyfob("login", "--device-auth"))
    keyfobs = asked(issuer)
    ran(other.codex("login", "--device-auth", "--experimental_issuer", issuer.url))
    assert asked(issuer) == keyfobs
    assert [endpoint for endpoint, *_ in keyfobs] == ["device.usercode", *["device.token"] * 2, "token.code"]
    assert shape(home.auth_json) == shape(other.auth_json)
    assert stat.S_IMODE(home.auth_json.stat().st_mode) == stat.S_IMODE(other.auth_json.stat().st_mode) == 0o600
    assert "Logged in using ChatGPT" in home.codex("login", "status").stderr
    assert home.turn().stdout.strip() == TEXT
    sent = {(each.header("authorization"), each.header("chatgpt-account-id")) for each in server.received}
    assert sent == {(bearer(home), "acct-1")}
    assert ran(other.keyfob("token")).stdout == f"{other.stored['tokens']['access_token']}\n"


def test_in_the_browser_both_do_the_same(home, other, issuer, as_openai):
    """At the address that is OpenAI's, on its port, whatever issuer is named: the same requests, the same file."""
    elsewhere = ("--experimental_issuer", "http://127.0.0.1:9")
    said = ran(home.keyfob("login", *elsewhere, **as_openai, **browsing(home))).stderr
    assert "--experimental_issuer has no effect without --device-auth" in said
    keyfobs = asked(issuer)
    ran(other.codex("login", *elsewhere, **as_openai, **browsing(other)))
    assert asked(issuer) == keyfobs
    assert [endpoint for endpoint, *_ in keyfobs] == ["authorize", "token.code", "token.exchange"]
    assert shape(home.auth_json) == shape(other.auth_json)
    assert home.stored["tokens"]["oauth_provenance"]["issuer"] == "https://auth.openai.com"
    assert home.stored["OPENAI_API_KEY"] == issuer.sign_in.api_key
    for each in (home, other):
        assert (each.root / "page").read_text().startswith("200 http://127.0.0.1:1455/")


def test_a_login_made_in_the_browser_is_renewed_and_ended_by_codex(home, issuer):
    """keyfob uses what Codex renewed, and sees that it is gone."""
    issuer.lifetime = 120.0  # Codex renews what ends within five minutes
    ran(home.keyfob("login", **browsing(home)))
    assert [each.endpoint for each in issuer.asked] == ["authorize", "token.code", "token.exchange"]
    first = home.stored["tokens"]["refresh_token"]
    issuer.lifetime = 3600.0
    assert home.turn().stdout.strip() == TEXT
    assert [each.fields["refresh_token"] for each in issuer.presented] == [first]
    assert ran(home.keyfob("token")).stdout == f"{home.stored['tokens']['access_token']}\n"
    last = home.stored["tokens"]["refresh_token"]
    ran(home.codex("logout"))
    assert [each["token"] for each in issuer.revoked] == [last] != [first]
    assert home.keyfob("token").returncode == 1
    assert not issuer.reused


def test_keyfob_signs_in_over_codexs_login_and_out_of_it(home, issuer):
    """The old one stays good until the new one is there, and then is revoked if that is wished."""
    issuer.sign_in.pending = 0
    ran(home.codex("login", "--device-auth", "--experimental_issuer", issuer.url))
    old = home.stored["tokens"]["refresh_token"]
    issuer.sign_in.answers["token.code"] = [500]
    assert home.keyfob("login", **browsing(home)).returncode == 1
    assert home.stored["tokens"]["refresh_token"] == old
    assert "Logged in using ChatGPT" in home.codex("login", "status").stderr
    ran(home.keyfob("login", "--revoke-old", **browsing(home)))
    new = home.stored["tokens"]["refresh_token"]
    assert [each["token"] for each in issuer.revoked] == [old] != [new]
    ran(home.keyfob("logout"))
    assert "Not logged in" in home.codex("login", "status").stderr
    assert [each["token"] for each in issuer.revoked] == [old, new]
    assert not os.path.exists(home.auth_json)


def test_codex_uses_what_was_carried_to_it_and_ends_nobody_elses_login(home, other, issuer, server):
    """Good or expired, it asks no issuer for it; signing out there leaves the login here as it was."""
    home.store(issuer.login())
    before = home.auth_json.read_text()
    carried = ran(home.keyfob("login", "export")).stdout
    ran(other.keyfob("login", "import", given=carried))
    assert home.stored["tokens"]["refresh_token"] not in other.auth_json.read_text() + carried
    assert "Logged in using ChatGPT" in other.codex("login", "status").stderr
    assert other.turn().stdout.strip() == TEXT
    assert {each.header("authorization") for each in server.received} == {bearer(home)}
    other.store({**other.stored, "tokens": {**other.stored["tokens"], "access_token": expired(issuer)}})
    assert other.turn().stdout.strip() == TEXT
    assert "expired" in other.keyfob("token").stderr
    ran(other.codex("logout"))
    assert (issuer.asked, home.auth_json.read_text()) == ([], before)


def test_codex_renews_what_was_moved_to_it(home, other, issuer):
    """The whole login, which is gone where it was."""
    home.store(issuer.login(expires_in=200.0))
    first = home.stored["tokens"]["refresh_token"]
    ran(home.keyfob("login", "export", "--move", "--", "env", f"CODEX_HOME={other.folder}", KEYFOB, "login", "import"))
    assert not home.auth_json.exists()
    assert other.turn().stdout.strip() == TEXT
    assert ([each.fields["refresh_token"] for each in issuer.presented], issuer.revoked) == ([first], [])


def expired(issuer: Issuer) -> str:
    return issuer.login(expires_in=-60.0)["tokens"]["access_token"]


@pytest.mark.parametrize(("first", "second"), [("keyfob", "codex"), ("codex", "keyfob")])
def test_a_sign_in_that_was_left_behind_gives_way_to_the_others(home, other, as_openai, first, second):
    """Whosever it is: it ends, and the port that OpenAI knows best is the new one's."""
    with waiting(home, first, as_openai) as left:
        ran(getattr(other, second)("login", **as_openai, **browsing(other)))
        assert left.wait(30) == 1
    assert (other.root / "page").read_text().startswith("200 http://127.0.0.1:1455/")
    assert not home.auth_json.exists()
