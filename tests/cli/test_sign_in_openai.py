"""`keyfob login` with a code for ChatGPT: what is said, and the exit code."""

from __future__ import annotations

import json
import socket

import pytest

import keyfob_openai.sign_in
from keyfob.testing.issuer import Issuer
from keyfob.testing.model_server import Answer

from .signing import CONFIG, files, write_login


@pytest.fixture
def issuer():
    with Issuer() as running:
        yield running


@pytest.fixture
def keyfob(keyfob, issuer):
    """`corp` takes OpenAI's login."""
    keyfob.configure(CONFIG)
    keyfob.environ.update(issuer.environ)
    return keyfob


@pytest.mark.slow
def test_with_a_code_one_is_signed_in(keyfob, issuer):
    """Address and code are shown, each alone on its line; what tells the device from others is not."""
    found = keyfob("login", "corp", "--device-auth")
    assert (found.code, found.out) == (0, "")
    poll = issuer.asked[1].fields
    shown = [line.strip() for line in found.err.splitlines()]
    assert f"{issuer.url}/codex/device" in shown
    assert poll["user_code"] in shown
    assert poll["device_auth_id"] not in found.err
    assert "only if you started this yourself" in found.err
    assert json.loads(keyfob("status", "corp", "--json").out)["logins"][0]["state"] == "present"


def test_who_was_refused_is_told_to_go_the_same_way_again(keyfob, issuer):
    """Where a code was chosen, no browser would be seen, perhaps."""
    refusal = Answer(400, body={"error": {"message": "no", "code": "access_denied"}})
    issuer.sign_in.answers["device.token"] = [refusal]
    found = keyfob("login", "corp", "--device-auth")
    assert (found.code, found.err.splitlines()[-1]) == (1, "  → keyfob login corp --device-auth")


@pytest.mark.slow
def test_what_is_replaced_and_revoked_is_told(keyfob, issuer):
    """Once it is; of what there was nothing to revoke of, nothing is said."""
    assert "revoked" not in keyfob("login", "corp", "--device-auth", "--revoke-old").err
    found = keyfob("login", "corp", "--device-auth", "--revoke-old")
    assert (len(issuer.revoked), "keyfob: the login that was replaced is revoked\n" in found.err) == (1, True)


def test_what_is_replaced_and_cannot_be_revoked_is_told(keyfob, issuer):
    """One is signed in all the same."""
    write_login(keyfob, issuer.login())
    found = keyfob(
        "login", "corp", "--device-auth", "--revoke-old", CODEX_REVOKE_TOKEN_URL_OVERRIDE="http://127.0.0.1:9/"
    )
    assert found.code == 0
    assert "warning: the login that was replaced may still be valid: its issuer could not be told" in found.err


@pytest.mark.slow
def test_where_neither_a_code_nor_the_browser_is_a_way_that_is_said_once(keyfob, issuer, monkeypatch):
    """Codes are switched off, and there is no port: a code is not offered again."""
    issuer.sign_in.device = False
    write_login(keyfob, issuer.login())
    monkeypatch.setattr("keyfob.plugin.oauth.ports._BETWEEN", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken.settimeout(0)
        monkeypatch.setattr("keyfob.plugin.oauth.ports._MANNERS", 0.05)
        monkeypatch.setattr(keyfob_openai.sign_in, "_PORTS", (taken.getsockname()[1],))
        before = files(keyfob.home)
        found = keyfob("login", "corp", "--device-auth")
    assert found.code == 1
    assert "switched off; signing in in the browser instead" in found.err
    assert "there is no port for the browser to come back to" in found.err
    assert [each.endpoint for each in issuer.asked] == ["device.usercode"]
    assert "--device-auth" not in found.err
    assert {path: held for path, held in files(keyfob.home).items() if not path.endswith(".lock")} == before
