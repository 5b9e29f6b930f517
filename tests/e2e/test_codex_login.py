"""A login in auth.json, made by the real Codex client or by keyfob, and used, renewed and ended by the other."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from keyfob.credentials.saving import save
from keyfob.testing.issuer import Issuer
from keyfob.testing.model_server import TEXT, ModelServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .shared import CodexHome

pytestmark = pytest.mark.usefixtures("codex")
KEY = "sk-proj-canary-key-ABCDEFGHIJ"
PERSONAL = "at-canary-personal-token"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        running.personal[PERSONAL] = {
            "email": "somebody@example.com",
            "chatgpt_user_id": "user-1",
            "chatgpt_account_id": "acct-1",
            "chatgpt_plan_type": "pro",
            "chatgpt_account_is_fedramp": False,
        }
        yield running


def sent(server: ModelServer, before: int = 0) -> set[tuple[str | None, str | None]]:
    """Bearer and account of every request since then."""
    received = server.received[before:]
    assert received
    return {(each.header("authorization"), each.header("chatgpt-account-id")) for each in received}


def bearer(home: CodexHome) -> str:
    return f"Bearer {home.stored['tokens']['access_token']}"


def test_a_key_that_keyfob_stores_is_codexs_to_the_byte(home, other, server):
    """The same file that Codex writes, which Codex then uses."""
    assert home.keyfob("login", "--with-api-key", given=f" {KEY}\n").returncode == 0
    assert other.codex("login", "--with-api-key", given=f" {KEY}\n").returncode == 0
    assert home.auth_json.read_bytes() == other.auth_json.read_bytes()
    assert stat.S_IMODE(home.auth_json.stat().st_mode) == stat.S_IMODE(other.auth_json.stat().st_mode) == 0o600
    assert "API key configured - sk-proj-***FGHIJ" in home.codex("login", "status").stderr
    assert home.turn().stdout.strip() == TEXT
    assert sent(server) == {(f"Bearer {KEY}", None)}


def test_a_key_that_codex_stores_is_used(home, server):
    """Asked for, shown, sent, and signed out from."""
    assert home.codex("login", "--with-api-key", given=KEY).returncode == 0
    assert home.keyfob("token").stdout == f"{KEY}\n"
    status = home.keyfob("status")
    assert status.returncode == 0
    assert "sk-proj-***FGHIJ" in status.stdout
    assert home.keyfob("request", "models").returncode == 0
    assert sent(server) == {(f"Bearer {KEY}", None)}
    assert home.keyfob("logout").returncode == 0
    assert "Not logged in" in home.codex("login", "status").stderr


def test_what_codex_signs_out_from_is_gone(home):
    """keyfob says so, and that is no other state."""
    assert home.keyfob("login", "--with-api-key", given=KEY).returncode == 0
    assert home.codex("logout").returncode == 0
    asked = home.keyfob("token")
    assert (asked.returncode, asked.stdout) == (1, "")
    assert "not signed in" in asked.stderr


def test_a_chatgpt_login_that_keyfob_stores_is_used_by_codex(home, server, issuer):
    """With its account."""
    save(home.login, issuer.login())
    assert "Logged in using ChatGPT" in home.codex("login", "status").stderr
    assert home.turn().stdout.strip() == TEXT
    assert sent(server) == {(bearer(home), "acct-1")}


def test_each_uses_what_the_other_renewed(home, server, issuer):
    """Codex, then keyfob, then Codex again, each time with what is in the file, and nobody asked twice."""
    home.store(issuer.login(expires_in=-60))
    assert home.turn().stdout.strip() == TEXT
    assert home.keyfob("token").stdout == f"{home.stored['tokens']['access_token']}\n"
    assert (issuer.renewals, len(issuer.presented)) == (1, 1)

    home.store(issuer.login(expires_in=-60))
    assert home.keyfob("request", "models").returncode == 0
    before = len(server.received)
    assert home.turn().stdout.strip() == TEXT
    assert sent(server, before) == {(bearer(home), "acct-1")}
    assert (issuer.renewals, len(issuer.presented)) == (2, 2)


def full(issuer: Issuer) -> dict[str, object]:
    """A login with every field that Codex knows, and others; expired."""
    login = issuer.login(expires_in=-60)
    tokens = dict(login["tokens"])
    account = tokens.pop("account_id")
    provenance = {"issuer": issuer.url, "client_id": "app_canary"}
    login["tokens"] = {**tokens, "oauth_provenance": provenance, "login_owner_id": "o" * 43, "account_id": account}
    return login


def test_after_a_renewal_the_file_is_as_codex_would_have_written_it(home, other, issuer):
    """The same fields in the same order, but for the values that are new."""
    home.store(full(issuer))
    other.store(full(issuer))
    assert home.keyfob("token").returncode == 0
    assert other.turn().returncode == 0
    assert shape(home.auth_json) == shape(other.auth_json)
    assert home.auth_json.read_bytes()[-1:] == b"}"


def shape(path: Path) -> list[str]:
    """The lines of the file without what each renewal makes anew."""
    new = ("id_token", "access_token", "refresh_token", "last_refresh")
    lines = path.read_text().splitlines()
    return [line.partition(":")[0] if line.strip().strip('"').startswith(new) else line for line in lines]


def test_fields_that_codex_drops_are_kept(home, issuer):
    """Those of the file and those of its tokens. When Codex renews the login they are gone, and that is no harm."""
    login = issuer.login(expires_in=-60, of_somebody={"else": [1]})
    login["tokens"]["further"] = "value"
    home.store(login)
    assert home.keyfob("token").returncode == 0
    assert home.stored["of_somebody"] == {"else": [1]}
    assert home.stored["tokens"]["further"] == "value"

    tokens = {**issuer.login(expires_in=-60)["tokens"], "further": "value"}
    home.store({**home.stored, "tokens": tokens})
    assert home.turn().returncode == 0
    assert "of_somebody" not in home.stored
    assert "further" not in home.stored["tokens"]
    assert home.keyfob("token").stdout == f"{home.stored['tokens']['access_token']}\n"


def test_signing_out_of_chatgpt_revokes_as_codex_does(home, other, issuer):
    """One request each, and the same but for the token."""
    logins = [issuer.login(), issuer.login()]
    home.store(logins[0])
    other.store(logins[1])
    assert home.keyfob("logout").returncode == 0
    assert other.codex("logout").returncode == 0
    assert [each.pop("token") for each in issuer.revoked] == [each["tokens"]["refresh_token"] for each in logins]
    assert issuer.revoked[0] == issuer.revoked[1]
    assert "Not logged in" in home.codex("login", "status").stderr


@pytest.mark.parametrize("by", ["keyfob", "codex"])
def test_a_personal_access_token_is_used_by_both(home, issuer, server, by):
    """Whoever stored it."""
    stored = getattr(home, by)("login", "--with-access-token", given=PERSONAL)
    assert stored.returncode == 0, stored.stderr
    assert home.stored == {"OPENAI_API_KEY": None, "personal_access_token": PERSONAL}
    assert "Logged in using personal access token" in home.codex("login", "status").stderr
    assert home.turn().stdout.strip() == TEXT
    assert home.keyfob("request", "models").returncode == 0
    assert sent(server) == {(f"Bearer {PERSONAL}", "acct-1")}


def test_a_file_that_cannot_be_read_is_left_to_its_owner(home):
    """Codex says that it cannot read it; keyfob too, and neither of them changes it."""
    home.auth_json.write_text('{"auth_mode": ')
    home.auth_json.chmod(0o600)
    assert home.codex("login", "status").returncode == 1
    asked = home.keyfob("token")
    assert asked.returncode == 1
    assert f"{home.auth_json} is not JSON" in asked.stderr
    assert home.auth_json.read_text() == '{"auth_mode": '
