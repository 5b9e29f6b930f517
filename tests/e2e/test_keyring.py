"""A login in the keyring of a real session, made by the real Codex client or by keyfob, and used by the other."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import secretstorage

from keyfob.testing.issuer import Issuer
from keyfob.testing.model_server import TEXT, ModelServer

from ..secret_service import empty_secret_service as empty_secret_service  # noqa: TID252
from ..secret_service import secret_service as secret_service  # noqa: TID252
from .shared import CONFIG, KEYFOB, CodexHome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..secret_service import SecretService  # noqa: TID252

pytestmark = pytest.mark.usefixtures("codex")
KEY = "sk-proj-canary-key-ABCDEFGHIJ"
OTHER_KEY = "sk-proj-canary-key-KLMNOPQRST"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer(reuse="revoke") as running:
        yield running


class KeyringHome(CodexHome):
    """A CODEX_HOME whose logins are in the keyring; its children see the session's bus, and nothing more of it."""

    def __init__(self, root: Path, service: SecretService, issuer: Issuer, server: ModelServer) -> None:
        bus = {"DBUS_SESSION_BUS_ADDRESS": service.environ["DBUS_SESSION_BUS_ADDRESS"]}
        super().__init__(root, {**issuer.environ, **bus})
        self.service = service
        self._server = server
        self.keep_in("keyring")

    def keep_in(self, setting: str) -> None:
        """Set where logins are kept."""
        self.configure(f'cli_auth_credentials_store = "{setting}"\n' + CONFIG.format(base_url=self._server.base_url))

    @property
    def name(self) -> dict[str, str]:
        """What Codex's item is found by."""
        return {
            "service": "Codex Auth",
            "username": "cli|" + hashlib.sha256(os.path.realpath(self.folder).encode()).hexdigest()[:16],
        }

    @property
    def item(self) -> dict[str, Any]:
        """The item, of which there is one."""
        (found,) = self.service.items(**self.name)
        return found

    @property
    def stored(self) -> dict[str, Any]:
        """The login in it."""
        found: dict[str, Any] = json.loads(self.item["secret"])
        return found

    def store(self, data: Any) -> None:
        """Put a login into the item that is there."""
        with self.service.bus() as bus:
            (item,) = secretstorage.search_items(bus, self.name)
            item.set_secret(json.dumps(data, separators=(",", ":")).encode())

    def in_plain_text(self, *secrets: str) -> list[str]:
        """The files of this home that hold one of these."""
        paths = [os.path.join(folder, name) for folder, _, names in os.walk(self.root / "codex") for name in names]
        found = []
        for path in paths:
            with open(path, "rb") as file:
                text = file.read()
            found += [path for secret in secrets if secret.encode() in text]
        return found


@pytest.fixture
def home(tmp_path: Path, secret_service: SecretService, issuer: Issuer, server: ModelServer) -> KeyringHome:
    """Nobody is signed in, the keyring is unlocked."""
    return KeyringHome(tmp_path, secret_service, issuer, server)


def sent(server: ModelServer) -> set[str | None]:
    return {each.header("authorization") for each in server.received}


def test_a_login_that_keyfob_stores_is_used_by_codex(home, server):
    """Its item is like one of Codex's own, and Codex replaces it in place."""
    assert home.keyfob("login", "--with-api-key", given=KEY).returncode == 0
    mine = home.item
    assert "API key configured - sk-proj-***FGHIJ" in home.codex("login", "status").stderr
    turn = home.turn()
    assert (turn.returncode, turn.stdout.strip(), sent(server)) == (0, TEXT, {f"Bearer {KEY}"}), turn.stderr
    assert home.codex("login", "--with-api-key", given=OTHER_KEY).returncode == 0
    assert home.item["path"] == mine["path"]
    assert home.keyfob("token").stdout == f"{OTHER_KEY}\n"
    assert not home.auth_json.exists()


def test_keyfobs_item_is_codexs_to_the_byte(home):
    """Label, attributes and secret."""
    assert home.codex("login", "--with-api-key", given=KEY).returncode == 0
    codexs = home.item
    assert home.codex("logout").returncode == 0
    assert home.keyfob("login", "--with-api-key", given=KEY).returncode == 0
    mine = home.item
    for part in ("label", "attributes", "secret"):
        assert mine[part] == codexs[part], part


def test_an_item_made_by_codex_stays_one_item_when_keyfob_renews_it(home, server, issuer):
    """Changed in place, nothing beside it afterwards, no token in a file; then Codex uses and renews it in turn."""
    assert home.codex("login", "--with-api-key", given=KEY).returncode == 0
    before = home.item
    old = issuer.login(expires_in=-60)
    home.store(old)
    asked = home.keyfob("token")
    assert asked.returncode == 0, asked.stderr
    after = home.item
    assert (after["path"], after["label"], after["attributes"]) == (
        before["path"],
        before["label"],
        before["attributes"],
    )
    assert asked.stdout == f"{home.stored['tokens']['access_token']}\n"
    assert (issuer.renewals, issuer.reused) == (1, [])
    assert home.service.items(service="keyfob") == []
    tokens = [old["tokens"]["refresh_token"], home.stored["tokens"]["refresh_token"]]
    assert home.in_plain_text(*tokens, asked.stdout.strip()) == []

    turn = home.turn()
    assert (turn.returncode, turn.stdout.strip()) == (0, TEXT), turn.stderr
    assert sent(server) == {f"Bearer {asked.stdout.strip()}"}
    home.store(issuer.login(expires_in=-60))
    assert home.turn().stdout.strip() == TEXT
    assert home.item["path"] == before["path"]
    assert home.keyfob("token").stdout == f"{home.stored['tokens']['access_token']}\n"
    assert (issuer.renewals, issuer.reused) == (2, [])


def test_many_keyfobs_at_once_renew_a_login_in_the_keyring_once(home, issuer):
    """Every one of them gets the new token."""
    home.keyfob("login", "--with-api-key", given=KEY)
    home.store(issuer.login(expires_in=-60))
    asking = [
        subprocess.Popen([KEYFOB, "token"], cwd=home.root, env=home.environ, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    said = {process.communicate(timeout=60)[0] for process in asking}
    assert said == {f"{home.stored['tokens']['access_token']}\n"}
    assert (len(issuer.presented), issuer.reused) == (1, [])


def test_signing_in_removes_the_login_in_plain_text_as_codex_does(home, tmp_path):
    """Both clear it once the entry stands."""
    for client in (home.codex, home.keyfob):
        home.auth_json.write_text(json.dumps({"auth_mode": "apikey", "OPENAI_API_KEY": OTHER_KEY}))
        assert client("login", "--with-api-key", given=KEY).returncode == 0
        assert not home.auth_json.exists()


@pytest.mark.parametrize("setting", ["keyring", "auto"])
def test_a_locked_keyring_is_told_at_once_and_nothing_lands_in_plain_text(home, setting):
    """No prompt, no login that seems to be gone."""
    home.keep_in(setting)
    assert home.keyfob("login", "--with-api-key", given=KEY).returncode == 0
    home.service.lock()
    for command in (["token"], ["login", "--with-api-key"], ["logout"]):
        asked = home.keyfob(*command, given=OTHER_KEY)
        assert asked.returncode == 1, command
        assert "the keyring is locked" in asked.stderr, command
        assert asked.stdout == ""
    assert "the keyring is locked" in home.keyfob("status").stdout + home.keyfob("status").stderr
    assert home.in_plain_text(KEY, OTHER_KEY) == []


@pytest.mark.parametrize("bus", ["", "unix:path=/nowhere/bus"])
def test_without_a_keyring_auto_keeps_logins_in_the_file_and_says_so(home, bus):
    """Where Codex finds it; the keyring's own setting is an error instead."""
    none = {"DBUS_SESSION_BUS_ADDRESS": bus}
    refused = home.keyfob("login", "--with-api-key", given=KEY, **none)
    assert (refused.returncode, home.auth_json.exists()) == (1, False)
    assert "there is no keyring" in refused.stderr
    home.keep_in("auto")
    stored = home.keyfob("login", "--with-api-key", given=KEY, **none)
    assert stored.returncode == 0
    assert str(home.auth_json) in stored.stderr.replace("~", str(home.root))
    assert "there is no keyring" in stored.stderr
    assert "API key configured" in home.codex("login", "status", **none).stderr
    assert home.keyfob("logout", **none).returncode == 0
    assert not home.auth_json.exists()


def test_a_session_without_a_default_keyring_has_none(tmp_path, empty_secret_service, issuer, server):
    """As after the first start of a machine on which nobody has signed in with a password."""
    home = KeyringHome(tmp_path, empty_secret_service, issuer, server)
    refused = home.keyfob("login", "--with-api-key", given=KEY)
    assert refused.returncode == 1
    assert "no default keyring yet" in refused.stderr


@pytest.mark.parametrize(("source", "target"), [("file", "keyring"), ("keyring", "file")])
def test_a_moved_login_is_found_by_codex(home, source, target):
    """Once the setting says where it is."""
    home.keep_in(source)
    assert home.codex("login", "--with-api-key", given=KEY).returncode == 0
    moved = home.keyfob("store", "move", target)
    assert moved.returncode == 0, moved.stderr
    assert "Not logged in" in home.codex("login", "status").stderr
    home.keep_in(target)
    assert "API key configured" in home.codex("login", "status").stderr
    assert home.keyfob("token").stdout == f"{KEY}\n"


def test_two_items_are_told_and_signing_out_deletes_both(home):
    """Codex would read one and keyfob, unaware, the other."""
    assert home.codex("login", "--with-api-key", given=KEY).returncode == 0
    home.service.add(json.dumps({"auth_mode": "apikey", "OPENAI_API_KEY": OTHER_KEY}), **home.name)
    asked = home.keyfob("token")
    assert (asked.returncode, asked.stdout) == (1, "")
    assert "there are 2 entries" in asked.stderr
    assert home.keyfob("logout").returncode == 0
    assert home.service.items(**home.name) == []
