"""Signing in to a company's own server, as a person does: `keyfob login corp` at a terminal, and Chromium.

Nothing of keyfob runs in this process but the last test's issuer. All others' is npm's oidc-provider: it wants PKCE,
rotates refresh tokens, revokes a login whose refresh token comes twice, and names itself in each answer. What it was
asked is what it says it was asked.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from . import oidc as at
from . import parts
from .browser import READABLE
from .terminal import PATIENCE_S, AtTerminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from keyfob.testing.issuer import Issuer

    from .browser import Browser, Sight, Tab
    from .oidc import OidcServer

KEYFOB = os.path.join(os.path.dirname(sys.executable), "keyfob")
CODE, REFRESH, PROGRAM = "authorization_code", "refresh_token", "client_credentials"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
CONFIG = """
cli_auth_credentials_store = "file"
[model_providers.corp]
name = "Corp"
base_url = "https://llm.company.example/v1"
"""
TABLE = """
[model_providers.corp.oauth]
issuer = "{issuer}"
client_id = "{client}"
{more}
"""
PERSON = """
scopes = ["openid", "offline_access", "email", "api"]
authorization_parameters = { prompt = "consent" }
"""


class Home:
    """Somebody's home, with keyfob in it. Their browser notes what it is to open, for the test to open it."""

    def __init__(self, root: Path, issuer: str, **environ: str) -> None:
        self.root, self._issuer, self._more = root, issuer, environ
        self.folder = root / "codex"
        self.folder.mkdir()
        (self.folder / "config.toml").write_text(CONFIG)
        self._note = root / "opened"
        self._browser = root / "browser"
        self._browser.write_text(
            f"#!/bin/sh\nprintf %s \"$1\" > '{self._note}.new' && mv '{self._note}.new' '{self._note}'\n"
        )
        self._browser.chmod(0o755)
        self.configure(at.NATIVE, PERSON)

    def configure(self, client: str, more: str) -> None:
        """Have corp's client be this, with further keys."""
        text = TABLE.format(issuer=self._issuer, client=client, more=more)
        (self.folder / "keyfob.toml").write_text(text)

    @property
    def environ(self) -> dict[str, str]:
        """All that keyfob sees: a desktop, and that browser."""
        desktop = {"DISPLAY": ":0", "BROWSER": str(self._browser)}
        places = {"CODEX_HOME": str(self.folder), "XDG_CACHE_HOME": str(self.root / "cache")}
        return parts.offline_environ(str(self.root)) | desktop | places | self._more

    def keyfob(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end, as a script would."""
        return subprocess.run(
            [KEYFOB, *arguments],
            cwd=self.root,
            env=self.environ | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def token_after(self, old: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """`keyfob token corp` once it says something else than the old token, whose time is nearly over."""
        deadline = time.monotonic() + PATIENCE_S
        while (asked := self.keyfob("token", "corp", **environ)).stdout.strip() == old:
            assert time.monotonic() < deadline, "the token does not end"
        return asked

    @contextmanager
    def login(self, *arguments: str) -> Iterator[AtTerminal]:
        """Sign in to corp, at a terminal."""
        with AtTerminal([KEYFOB, "login", "corp", *arguments], str(self.root), self.environ) as terminal:
            yield terminal

    def opened(self) -> str:
        """What the browser was told to open; waits for it."""
        deadline = time.monotonic() + PATIENCE_S
        while not self._note.exists():
            assert time.monotonic() < deadline, "no browser was opened"
            time.sleep(0.02)
        address = self._note.read_text()
        self._note.unlink()
        return address

    @property
    def stored(self) -> dict[str, object] | None:
        """The login; None if there is none."""
        found = [path for path in (self.folder / "keyfob").rglob("*.json") if path.parent.name == "oauth"]
        return json.loads(found[0].read_text()) if found else None


@pytest.fixture
def home(tmp_path: Path, oidc: OidcServer) -> Home:
    return Home(tmp_path, oidc.issuer)


@pytest.fixture
def tab(browser: Browser):
    """A browser window in which nobody is signed in."""
    with browser.tab() as tab:
        yield tab


def sign_in(home: Home, tab: Tab) -> None:
    """Sign in, to the end."""
    with home.login() as terminal:
        tab.open(home.opened())
        tab.sign_in()
        assert terminal.ended() == 0, terminal.said


def check_page(sight: Sight) -> None:
    """It is a page for everybody: plain, of this machine alone, and with nothing to hide in its address."""
    assert not urlsplit(sight.url).query
    assert (sight.console, sight.elsewhere) == ([], [])
    for name, look in sight.looks.items():
        assert look.language == "en"
        assert len(look.headings) == 1
        assert (look.scripts, look.links, look.overflow) == (0, [], 0), name
        assert look.contrast >= READABLE, name
        assert look.smallest >= 14, name


def secrets_of(sight: Sight, terminal: AtTerminal, stored: dict[str, object]) -> set[str]:
    """Which tokens of a login were shown to anybody."""
    shown = terminal.said + sight.text + sight.url + sight.title
    return {name for name in ("access_token", "refresh_token") if str(stored[name]) in shown}


def test_in_the_browser(home: Home, oidc: OidcServer, tab: Tab) -> None:
    """Signed in, used, renewed when it is over, and signed out: the server has seen each of it."""
    oidc.set(accessTokenSeconds=1)
    with home.login() as terminal:
        address = home.opened()
        terminal.wait_for(re.escape(address))
        asked = parse_qs(urlsplit(address).query)
        assert (asked["code_challenge_method"], "code_verifier" in asked) == (["S256"], False)
        tab.open(address)
        tab.sign_in()
        tab.wait("Signed in")
        sight = tab.see("done")
        assert terminal.ended() == 0, terminal.said
    check_page(sight)
    first = home.stored
    assert first is not None
    assert secrets_of(sight, terminal, first) == set()
    status = home.keyfob("status", "corp")
    assert (status.returncode, "alice@company.example" in status.stdout) == (0, True), status.stdout + status.stderr

    oidc.set(accessTokenSeconds=3600)
    token = home.token_after(str(first["access_token"]))
    assert token.returncode == 0, token.stderr
    known = oidc.introspect(token.stdout.strip())
    assert (known["active"], known["sub"], known["scope"].split()) == (
        True,
        "alice",
        ["openid", "offline_access", "email", "api"],
    )
    assert home.keyfob("token", "corp").stdout == token.stdout
    assert oidc.grants() == [(CODE, 200), (REFRESH, 200)]

    second = home.stored
    assert second is not None
    assert home.keyfob("logout", "corp").returncode == 0
    assert [each["status"] for each in oidc.requests("revocation")] == [200]
    assert oidc.introspect(str(second["refresh_token"])) == {"active": False}
    assert oidc.introspect(token.stdout.strip()) == {"active": False}
    assert home.stored is None


def test_a_login_that_was_copied_is_lost_in_plain_words(home: Home, oidc: OidcServer, tab: Tab, tmp_path: Path) -> None:
    """Two who renew one login: the server revokes it for both, and each is told what to do."""
    oidc.set(accessTokenSeconds=1)
    sign_in(home, tab)
    stored = home.stored
    assert stored is not None
    (tmp_path / "copy").mkdir()
    copy = Home(tmp_path / "copy", oidc.issuer)
    shutil.copytree(home.folder, copy.folder, dirs_exist_ok=True)
    renewed = home.token_after(str(stored["access_token"]))
    assert renewed.returncode == 0, renewed.stderr
    lost = [copy.token_after(str(stored["access_token"])), home.token_after(renewed.stdout.strip())]
    renewals = [(each["status"], each["reason"], each["revoked"]) for each in oidc.requests("token")[1:]]
    assert renewals == [
        (200, None, False),
        (400, "refresh token already used", True),
        (400, "refresh token not found", False),
    ]
    for each in lost:
        assert (each.returncode, each.stdout) == (1, "")
        assert "invalid_grant" in each.stderr
        assert "keyfob login corp" in each.stderr


def test_cancel(home: Home, oidc: OidcServer, tab: Tab) -> None:
    """Who says no at the server is told so on the page and at the terminal; a login from before stays."""
    sign_in(home, tab)
    before = home.stored
    with home.login() as terminal:
        tab.open(home.opened())
        tab.cancel()
        tab.wait("Not signed in")
        sight = tab.see("denied")
        assert terminal.ended() == 1
    check_page(sight)
    assert "The person said no" in sight.text
    assert "The person said no" in terminal.said
    assert "→ keyfob login corp" in terminal.said
    assert home.stored == before
    assert home.keyfob("token", "corp").returncode == 0


def test_who_closes_the_browser_can_stop(home: Home, oidc: OidcServer, browser: Browser) -> None:
    """Nothing is left of it: no login, no listener."""
    with home.login() as terminal:
        address = home.opened()
        with browser.tab() as tab:
            tab.open(address)
        terminal.type("\x03")
        assert terminal.ended() == 130, terminal.said
    assert "Traceback" not in terminal.said
    assert (home.stored, oidc.grants()) == (None, [])
    port = urlsplit(parse_qs(urlsplit(address).query)["redirect_uri"][0]).port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port or 0), timeout=5)


def test_a_code_that_is_worth_nothing(home: Home, oidc: OidcServer, tab: Tab) -> None:
    """The page does not say that all is well before it is."""
    oidc.set(codeSeconds=1, tokenDelaySeconds=1.5)
    with home.login() as terminal:
        tab.open(home.opened())
        tab.sign_in()
        tab.wait("Not signed in")
        sight = tab.see("failed")
        assert terminal.ended() == 1
    check_page(sight)
    assert "grant request is invalid" in sight.text
    assert "grant request is invalid" in terminal.said
    assert (home.stored, oidc.grants()) == (None, [(CODE, 400)])


def test_an_answer_that_comes_twice(home: Home, oidc: OidcServer, browser: Browser, tab: Tab) -> None:
    """The second is told that it is late, the first still gets its end."""
    oidc.set(tokenDelaySeconds=3)
    with home.login() as terminal, browser.tab() as late:
        tab.open(home.opened())
        tab.name()
        late.open(tab.allow_to("/callback"))
        late.wait("This sign-in is over")
        sight = late.see("taken")
        tab.wait("Signed in")
        assert terminal.ended() == 0, terminal.said
    check_page(sight)


def test_with_a_code_on_another_device(home: Home, oidc: OidcServer, tab: Tab) -> None:
    """The code of the terminal is entered in a browser that keyfob knows nothing of."""
    oidc.set(deviceInterval=1)
    with home.login("--device-auth") as terminal:
        code = terminal.wait_for(r"\b[A-Z]{4}-[A-Z]{4}\b").group()
        tab.open(terminal.wait_for(r"http://127\.0\.0\.1:\d+/device\b").group())
        tab.enter_code(code)
        tab.sign_in()
        tab.wait("Your device is connected")
        assert terminal.ended() == 0, terminal.said
    assert "only if you" in terminal.said
    asked = oidc.grants()
    assert {grant for grant, _ in asked} == {DEVICE}
    assert [status for _, status in asked] == [400] * (len(asked) - 1) + [200]
    assert oidc.introspect(home.keyfob("token", "corp").stdout.strip())["sub"] == "alice"


def test_a_device_that_is_refused(home: Home, oidc: OidcServer, tab: Tab) -> None:
    """Who says no to the code is told so at the terminal."""
    oidc.set(deviceInterval=1)
    with home.login("--device-auth") as terminal:
        code = terminal.wait_for(r"\b[A-Z]{4}-[A-Z]{4}\b").group()
        tab.open(f"{oidc.issuer}/device?user_code={code}")
        tab.wait("Is this your device?")
        tab.cancel()
        assert terminal.ended() == 1
    assert "End-User aborted interaction" in terminal.said
    assert home.stored is None


@pytest.mark.parametrize(("client", "scheme"), [(at.BASIC, "Basic"), (at.POST, None)])
def test_a_program(home: Home, oidc: OidcServer, client: str, scheme: str | None) -> None:
    """Its secret is in the environment, where it stays; whoever uses the provider needs no person."""
    method = "client_secret_basic" if scheme else "client_secret_post"
    home.configure(
        client,
        f'flow = "client_credentials"\nscopes = ["api"]\nresource = "{at.API}"\nclient_secret_env = "CORP_SECRET"\n'
        f'token_endpoint_auth_method = "{method}"',
    )
    oidc.set(accessTokenSeconds=1)
    signed_in = home.keyfob("login", "corp", CORP_SECRET=oidc.secret)
    assert signed_in.returncode == 0, signed_in.stderr
    first = home.keyfob("token", "corp", CORP_SECRET=oidc.secret).stdout
    assert first.count(".") == 2  # a JWT (RFC 9068)
    second = home.token_after(first.strip(), CORP_SECRET=oidc.secret)
    assert second.returncode == 0, second.stderr
    asked = {
        (each["grant"], each["status"], each["authentication"], each["resource"]) for each in oidc.requests("token")
    }
    assert asked == {(PROGRAM, 200, scheme, at.API)}
    assert "refresh_token" not in (home.stored or {})
    without = home.token_after(second.stdout.strip())
    assert (without.returncode, "CORP_SECRET is not set" in without.stderr) == (1, True), without.stderr


@pytest.mark.usefixtures("port_1455")
def test_an_account_that_the_company_does_not_permit(tmp_path: Path, issuer: Issuer, tab: Tab) -> None:
    """With ChatGPT, in a workspace other than the configured one: the page says which rule, and nothing is stored."""
    home = Home(tmp_path, issuer.url, **issuer.environ)
    (home.folder / "keyfob.toml").unlink()
    rule = 'forced_chatgpt_workspace_id = "acct-of-the-company"\n'
    (home.folder / "config.toml").write_text(f"{rule}{CONFIG}requires_openai_auth = true\n")
    with home.login() as terminal:
        terminal.wait_for(r"\[1\] ")
        terminal.type("\r")
        tab.open(home.opened())
        tab.wait("This account may not be used here")
        sight = tab.see("forbidden")
        assert terminal.ended() == 1
    check_page(sight)
    for words in (sight.text, terminal.said):
        assert "workspace acct-1" in words
        assert "forced_chatgpt_workspace_id" in words
    assert not (home.folder / "auth.json").exists()
