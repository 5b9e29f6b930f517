"""`keyfob login import`: whatever comes from another machine, it is stored only if it fits, and over nothing."""

from __future__ import annotations

import json
import os

import pytest

from keyfob.carried import Carried
from keyfob.cli.terminal import OutputError, Terminal
from keyfob.host import Host
from keyfob.testing.issuer import Issuer, jwt
from keyfob.testing.model_server import Answer, ModelServer
from keyfob_oauth.login import configuration
from keyfob_oauth.options import Options

from ..logins import chatgpt  # noqa: TID252
from ..stores.conftest import memory as memory  # noqa: TID252
from ..stores.conftest import use as use  # noqa: TID252
from .signing import CONFIG, KEY, Keyboard, files, pipe, write_login

API_KEY = {"auth_mode": "apikey", "OPENAI_API_KEY": KEY}
BOUND = {"origin": "https://lab.example", "api_key": KEY}
EXPIRED = {"auth_mode": "chatgptAuthTokens", "last_refresh": "2026-01-01T00:00:00Z",
           "tokens": {"id_token": jwt(), "access_token": jwt(exp=1), "refresh_token": ""}}  # fmt: skip


@pytest.fixture
def keyfob(keyfob):
    """With a provider of each kind; `lab` takes a key, `corp` OpenAI's login."""
    keyfob.configure(CONFIG)
    return keyfob


def document(login=API_KEY, provider="corp", plugin="openai", **fields):
    """What an export prints, with further or other fields."""
    return json.dumps({**json.loads(Carried(provider, plugin, login, "nonce").text), **fields})


def imported(keyfob, monkeypatch, data, *more, **environ):
    pipe(monkeypatch, data)
    return keyfob("login", "import", *more, **environ)


# What is stored


@pytest.mark.parametrize("data", [document(), f"\ufeff  {document()}\r\n"], ids=["as it is", "as a shell may make it"])
def test_the_receipt_is_that_of_the_document(keyfob, monkeypatch, data):
    """stdout has nothing else; a mark at the beginning and blanks around it do not matter."""
    found = imported(keyfob, monkeypatch, data)
    assert (found.code, found.out) == (0, f"{Carried.parsed(document().encode()).receipt}\n")
    with open(f"{keyfob.home}/auth.json") as file:
        assert json.load(file) == API_KEY
    assert "corp: API key sk-canar***defgh, is stored: ~/codex/auth.json" in found.err
    assert KEY not in found.err


def test_who_gets_no_receipt_is_told_that_it_is_stored(keyfob, monkeypatch):
    """Where stdout is closed or full the command fails, and the login is there."""

    def closed(self, line):
        raise OutputError("stdout is closed")

    monkeypatch.setattr(Terminal, "data", closed)
    found = imported(keyfob, monkeypatch, document())
    assert (found.code, os.path.exists(f"{keyfob.home}/auth.json")) == (1, True)
    assert "is stored: ~/codex/auth.json\nkeyfob: stdout is closed\n" in found.err


def test_another_export_of_the_same_login_has_another_receipt():
    """It confirms one document, and who has not seen that cannot know it."""
    made = [Carried("corp", "openai", API_KEY) for _ in range(2)]
    assert made[0].receipt != made[1].receipt
    assert made[0].receipt != Carried("corp", "openai", {**API_KEY, "x": 1}, made[0].nonce).receipt


def test_it_becomes_the_login_of_the_provider_that_is_named(keyfob, monkeypatch):
    """All providers of OpenAI's plugin share one."""
    found = imported(keyfob, monkeypatch, document(provider="elsewhere"), "openai")
    assert (found.code, "openai: API key" in found.err) == (0, True)


def test_a_variable_that_goes_before_it_is_named(keyfob, monkeypatch):
    """Else one would wonder whose login is used."""
    assert "unset CODEX_API_KEY" in imported(keyfob, monkeypatch, document(), CODEX_API_KEY="sk-other").err


def test_of_whom_it_is_comes_as_harmless_text(keyfob, monkeypatch):
    """The claims of a token are anybody's words."""
    data = chatgpt()
    data["tokens"]["id_token"] = jwt(email="\x1b]0;owned\x07\u202eme@example.com")
    found = imported(keyfob, monkeypatch, document(data))
    assert found.code == 0
    assert not any(letter in found.err for letter in "\x1b\x07\u202e")


# What is refused

BAD = {
    "nothing": b"",
    "blanks": b" \n",
    "no text": bytes(range(256)),
    "a megabyte": b"[" + b'"canary",' * 120_000 + b'"canary"]',
    "cut off": document()[:-20].encode(),
    "two documents": (document() + document()).encode(),
    "a list": b'["canary"]',
    "another object": b'{"canary": "canary"}',
    "a name twice": document().replace('"nonce":', '"plugin": "canary", "nonce":', 1).encode(),
    "a name twice, further in": document().replace('"auth_mode":', '"OPENAI_API_KEY": "canary", "auth_mode":').encode(),
    "no number": document(keyfob_login=float("nan")).encode(),
    "a number beyond all": document().replace("1", "1" * 5000, 1).encode(),
    "a number too large": document({**API_KEY, "x": 0}).replace('"x": 0', '"x": 1e999').encode(),
    "true for a number": document(keyfob_login=True).encode(),
    "another version": document(keyfob_login=2).encode(),
    "a version in words": document(keyfob_login="canary").encode(),
    "a field too many": document(canary="canary").encode(),
    "a field too few": document().replace('"nonce"', '"canary"').encode(),
    "a list for the login": document(login=["canary"]).encode(),
    "null for the provider": document(provider=None).encode(),
    "too deep": document({**API_KEY, "x": json.loads("[" * 500 + "]" * 500)}).encode(),
    "far too deep": b"[" * 60_000,
    "Codex's own file": json.dumps(chatgpt()).encode(),
    "another plugin's": document(BOUND, "lab", "openai").encode(),
    "of another plugin": document(plugin="canary").encode(),
    "for a provider that is not here": document(provider="canary").encode(),
    "for a provider that is none": document(provider="\x1b]0;canary\x07").encode(),
    "for a provider that needs none": document(provider="open", plugin="none").encode(),
    "of another origin": document({**BOUND, "origin": "https://canary.example"}, "lab", "envkey").encode(),
    "of no origin": document({"api_key": KEY}, "lab", "envkey").encode(),
    "expired": document(EXPIRED).encode(),
    "no login": document({}).encode(),
    "a login that only Codex can use": document({"auth_mode": "agentIdentity", "agent_identity": "canary"}).encode(),
    "a key that cannot be sent": document({**API_KEY, "OPENAI_API_KEY": "sk-\r\ncanary"}).encode(),
    "half a letter": document(provider="\ud800").encode(),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_bad_input_stores_nothing_and_is_not_repeated(keyfob, monkeypatch, data):
    """A sentence and what to do, nothing on stdout, and nothing that takes hold of a terminal."""
    found = imported(keyfob, monkeypatch, data)
    assert found.code in (1, 2)
    assert (found.out, files(f"{keyfob.home}").keys()) == ("", {f"{keyfob.home}/config.toml"})
    assert "internal" not in found.err
    assert "  → " in found.err
    assert not any(letter in found.err for letter in "\x1b\x07\ud800")
    assert KEY not in found.err
    assert "canary" not in found.err.replace("provider canary", "").replace("https://canary.example", "")


def test_codexs_file_is_told_apart(keyfob, monkeypatch):
    """The thing that people try first, and that ends one of the two logins."""
    found = imported(keyfob, monkeypatch, json.dumps(chatgpt()))
    assert "is an auth.json: a copy of one puts a login on two machines" in found.err
    assert "keyfob login export PROVIDER | ssh HOST keyfob login import" in found.err


def test_a_provider_that_is_not_here_is_named_with_one_that_fits(keyfob, monkeypatch):
    """Ids are anybody's choice on each machine."""
    found = imported(keyfob, monkeypatch, document(provider="elsewhere"))
    assert "is for provider elsewhere, and none of that name is configured here" in found.err
    assert "keyfob login import corp" in found.err


def test_an_expired_login_that_can_be_renewed_is_none_too_late(keyfob, monkeypatch):
    """As a move carries it."""
    with Issuer() as issuer:
        assert imported(keyfob, monkeypatch, document(issuer.login(expires_in=-1))).code == 0


def test_no_issuer_but_the_one_here_is_ever_asked(keyfob, monkeypatch):
    """Whoever wrote the document would else have this machine send requests where they like."""
    with Issuer() as issuer:
        data = issuer.login()
        data["tokens"]["oauth_provenance"] = {"issuer": issuer.url, "client_id": "x"}
        found = imported(keyfob, monkeypatch, document(data))
        assert (found.code, found.out, "made at another issuer" in found.err) == (1, "", True)
        assert imported(keyfob, monkeypatch, document(data), KEYFOB_OPENAI_ISSUER=issuer.url).code == 0


SSO = """
[model_providers.sso]
base_url = "https://sso.example/v1"
[model_providers.sso.oauth]
issuer = "{issuer}"
client_id = "robot"
client_secret_env = "SSO_SECRET"
"""


def sso(issuer, **fields):
    """A login at that issuer, whose own endpoints are somebody else's."""
    made = {"issuer": issuer, "client_id": "robot", "scopes": [], "audience": None, "resource": None,
            "token_endpoint": None, "revocation_endpoint": None, "client_credentials": False}  # fmt: skip
    evil = {"token_endpoint": "https://evil.example/token", "revocation_endpoint": "https://evil.example/revoke"}
    return {"origin": "https://sso.example", "made_with": made, **evil, "access_token": "at-canary", **fields}


@pytest.fixture
def issuer(keyfob):
    """An issuer whose metadata names its endpoints; it knows no logins."""
    metadata = {}
    with ModelServer(answers={"/.well-known/openid-configuration": [Answer(body=metadata)] * 2}) as server:
        metadata |= {"issuer": server.origin, "token_endpoint": f"{server.origin}/token"}
        keyfob.configure(SSO.format(issuer=server.origin), "keyfob.toml")
        keyfob.environ["SSO_SECRET"] = "canary-secret"
        yield server


def test_the_issuer_says_where_the_clients_secret_goes(keyfob, monkeypatch, issuer):
    """The document says it too, and whoever wrote that could have chosen a place of their own."""
    data = sso(issuer.origin, refresh_token="rt-canary")
    found = imported(keyfob, monkeypatch, document(data, "sso", "oauth"))
    assert found.code == 0, found.err
    with open(f"{keyfob.home}/keyfob/oauth/sso.json") as file:
        kept = json.load(file)
    assert (kept["token_endpoint"], kept["refresh_token"]) == (f"{issuer.origin}/token", "rt-canary")
    assert "evil" not in json.dumps(kept)


@pytest.mark.slow
def test_without_renewal_no_issuer_is_asked(keyfob, monkeypatch, issuer):
    """Not even about its end: that would end the login on the machine that it is from."""
    assert imported(keyfob, monkeypatch, document(sso(issuer.origin), "sso", "oauth")).code == 0
    assert keyfob("logout", "sso").code == 0
    assert issuer.received == []


@pytest.mark.parametrize("more", [{}, {"refresh_token": "rt-canary"}])
def test_what_it_is_bound_to_is_said_here(keyfob, monkeypatch, issuer, more):
    """The warm path believes that word, and the whole one what it is made of; of what nobody knows nothing is kept."""
    data = sso(issuer.origin, configuration="f" * 32, canary="canary", email="a\n  keyfob: canary", **more)
    found = imported(keyfob, monkeypatch, document(data, "sso", "oauth"))
    assert "of a\\n  keyfob: canary, is stored" in found.err
    with open(f"{keyfob.home}/keyfob/oauth/sso.json") as file:
        kept = json.load(file)
    options = Options(issuer=issuer.origin, client_id="robot", client_secret_env="SSO_SECRET")
    assert (kept["configuration"], "canary" in kept) == (configuration(options), False)


def test_an_issuer_that_cannot_be_asked_is_said(keyfob, monkeypatch, issuer):
    """Nothing is stored that could not be renewed at a place that is known."""
    data = sso(issuer.origin, refresh_token="rt-canary")
    issuer.stop()
    found = imported(keyfob, monkeypatch, document(data, "sso", "oauth"))
    assert (found.code, found.out, "internal" in found.err) == (1, "", False)
    assert not os.path.exists(f"{keyfob.home}/keyfob/oauth/sso.json")


def test_a_login_of_another_client_is_refused(keyfob, monkeypatch, issuer):
    """What it is bound to has to be what is configured here."""
    data = sso(issuer.origin)
    data["made_with"]["client_id"] = "canary"
    found = imported(keyfob, monkeypatch, document(data, "sso", "oauth"))
    assert (found.code, found.out, "client_id" in found.err) == (1, "", True)


def test_policy_judges_it_first(keyfob, monkeypatch):
    """As any login that is to be stored."""
    keyfob.configure('forced_login_method = "chatgpt"\n' + CONFIG)
    found = imported(keyfob, monkeypatch, document())
    assert (found.code, "forced_login_method" in found.err, os.listdir(keyfob.home)) == (1, True, ["config.toml"])


def test_nothing_is_confirmed_that_would_not_be_kept(keyfob, monkeypatch):
    """Else a move would lose the login."""
    found = imported(keyfob, monkeypatch, document(), "-c", "cli_auth_credentials_store=ephemeral")
    assert (found.code, found.out) == (2, "")


def test_a_terminal_is_no_pipe(keyfob, monkeypatch):
    """A usage error that says where a login comes from; a closed stdin has nothing."""
    monkeypatch.setattr("sys.stdin", Keyboard(""))
    found = keyfob("login", "import")
    assert (found.code, "keyfob login export PROVIDER | ssh" in found.err) == (2, True)
    monkeypatch.setattr("sys.stdin", None)
    assert keyfob("login", "import").code == 1


# What is there


THERE = {"a key": API_KEY, "what only Codex can use": {"auth_mode": "agentIdentity"}, "cut off": "{", "empty": ""}


@pytest.mark.parametrize("there", THERE.values(), ids=THERE)
def test_what_is_there_is_replaced_only_with_a_word(keyfob, monkeypatch, there):
    """Stdin is the pipe, so nobody can be asked: --replace. Also of what cannot be read."""
    path = write_login(keyfob, there)
    before = files(path.rpartition("/")[0])[path]
    found = imported(keyfob, monkeypatch, document(chatgpt()))
    assert (found.code, found.out, files(keyfob.home)[path]) == (1, "", before)
    assert "keyfob login import --replace" in found.err
    assert imported(keyfob, monkeypatch, document(chatgpt()), "--replace").code == 0
    with open(path) as file:
        assert json.load(file) == chatgpt()


@pytest.mark.parametrize("setting", ["keyring", "auto"])
def test_nor_is_what_lies_in_another_place(keyfob, monkeypatch, memory, setting):
    """To store it in the keyring removes what is in plain text beside it, and that may be another login."""
    path = write_login(keyfob, API_KEY)
    arguments = ("-c", f"cli_auth_credentials_store={setting}")
    found = imported(keyfob, monkeypatch, document(chatgpt()), *arguments)
    assert (found.code, "auth.json holds a login already" in found.err, os.path.exists(path)) == (1, True, True)
    assert imported(keyfob, monkeypatch, document(chatgpt()), *arguments, "--replace").code == 0
    stored = Host({}, places=keyfob.places, overrides=["cli_auth_credentials_store=keyring"]).provider("corp").login
    assert (stored.store.read(), os.path.exists(path)) == (chatgpt(), False)
