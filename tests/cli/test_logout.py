"""`keyfob logout`: the issuer is told, then the login is gone from every place; what stays is said."""

from __future__ import annotations

import json
import os

import pytest
from keyring.errors import KeyringLocked

from keyfob.cli import logout
from keyfob.credentials.ending import sign_out
from keyfob.credentials.journal import Stage
from keyfob.host import Host
from keyfob.testing.model_server import Answer, ModelServer

from ..stores.conftest import Memory  # noqa: TID252
from ..stores.conftest import memory as memory  # noqa: TID252
from ..stores.conftest import use as use  # noqa: TID252
from .signing import CONFIG, KEY, files, pipe, write_login

PROGRAM = """
[model_providers.corp]
base_url = "https://llm.example/v1"
[model_providers.corp.oauth]
issuer = "https://sso.example"
client_id = "robot"
flow = "client_credentials"
client_secret_env = "CORP_SECRET"
"""
API_KEY = {"auth_mode": "apikey", "OPENAI_API_KEY": KEY}


@pytest.fixture
def keyfob(keyfob):
    """With a provider of each kind; `lab` takes a key, `corp` OpenAI's login."""
    keyfob.configure(CONFIG)
    return keyfob


def in_keyring(keyfob, memory, data):
    """Put OpenAI's login into the keyring, where keyfob looks for it."""
    host = Host({}, places=keyfob.places, overrides=["cli_auth_credentials_store=keyring"])
    host.store("openai", "openai").write(data)
    assert memory.kept


# What is done


def test_the_login_is_revoked_and_then_removed(keyfob, issuer):
    """With the refresh token, as Codex."""
    login = issuer.login()
    path = write_login(keyfob, login)
    found = keyfob("logout", "corp")
    assert (found.code, found.out, os.path.exists(path)) == (0, "", False)
    assert [each["token"] for each in issuer.revoked] == [login["tokens"]["refresh_token"]]
    assert f"{path.replace(keyfob.folder, '~')} is removed" in found.err


def test_with_local_the_issuer_is_not_told(keyfob, issuer):
    """The login may be in use on another machine."""
    path = write_login(keyfob, issuer.login())
    assert keyfob("logout", "corp", "--local").code == 0
    assert (issuer.revoked, os.path.exists(path)) == ([], False)


def test_who_signs_in_by_itself_will_do_so_again(keyfob):
    """The client's secret is in the environment: to sign out lasts until the next request."""
    keyfob.configure(PROGRAM)
    found = keyfob("logout", "corp", CORP_SECRET="canary")
    assert (found.code, "the next request signs in again\n  → unset CORP_SECRET\n" in found.err) == (0, True)
    assert "again" not in keyfob("logout", "corp").err


def test_a_renewed_login_that_was_not_written_yet_is_the_one_to_revoke(keyfob, issuer):
    """A crash left the issuer's answer beside the record: the token in the record is spent."""
    login = issuer.login(expires_in=-1)
    write_login(keyfob, login)
    _, answer = issuer.renewed({"refresh_token": login["tokens"]["refresh_token"]})
    made = Host(keyfob.environ, places=keyfob.places).provider("corp").login
    made.store.prepare(login)
    made.store.put_stage(Stage(made.stored().fingerprint, json.dumps(answer).encode()))
    assert keyfob("logout", "corp").code == 0
    assert [each["token"] for each in issuer.revoked] == [answer["refresh_token"]]
    assert not [name for name in os.listdir(keyfob.home) if "stage" in name or "journal" in name]


def test_an_answer_that_nobody_waits_for_any_more_is_removed(keyfob):
    """Codex signed out while keyfob was renewing, and keyfob was killed: the answer holds a live token."""
    left = f"{keyfob.home}/auth.json.keyfob.stage"
    login = Host({}, places=keyfob.places).provider("corp").login
    write_login(keyfob, API_KEY)
    login.store.prepare(API_KEY)
    login.store.put_stage(Stage("of something else", b"{}"))
    os.unlink(f"{keyfob.home}/auth.json")
    assert os.path.exists(left)
    assert keyfob("logout", "corp").code == 0
    assert not os.path.exists(left)


@pytest.mark.parametrize("setting", ["file", "keyring", "auto", "ephemeral"])
def test_every_place_is_cleared_whatever_the_setting(keyfob, issuer, memory, setting):
    """A login that was left in the other place would come back with the setting; each is revoked."""
    in_file, other = issuer.login(), issuer.login()
    path = write_login(keyfob, in_file)
    in_keyring(keyfob, memory, other)
    assert keyfob("-c", f"cli_auth_credentials_store={setting}", "logout", "corp").code == 0
    assert (os.path.exists(path), memory.kept) == (False, {})
    assert {each["token"] for each in issuer.revoked} == {each["tokens"]["refresh_token"] for each in (in_file, other)}


def test_a_key_of_another_provider_is_removed_alone(keyfob, memory, monkeypatch):
    """From both places; OpenAI's login stays."""
    for setting in ("file", "keyring"):
        pipe(monkeypatch, KEY)
        assert keyfob("-c", f"cli_auth_credentials_store={setting}", "login", "lab", "--with-api-key").code == 0
    path = write_login(keyfob, API_KEY)
    assert keyfob("logout").code == 0
    assert (memory.kept, os.path.exists(path)) == ({}, True)
    assert not os.path.exists(f"{keyfob.home}/keyfob/envkey/lab.json")
    assert keyfob("status", "lab").code == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"auth_mode": "newerKind"}', '{"auth_mode": "chatgpt"}'])
def test_a_damaged_login_is_removed(keyfob, text):
    """It is the user's word."""
    path = write_login(keyfob, text)
    found = keyfob("logout", "corp")
    assert (found.code, os.path.exists(path)) == (0, False)
    assert ("valid: its issuer could not be told of it (" in found.err) == ("warning" in found.err)


def test_a_login_for_another_origin_is_removed(keyfob, monkeypatch):
    """What cannot be used need not stay."""
    pipe(monkeypatch, KEY)
    keyfob("login", "lab", "--with-api-key")
    keyfob.configure(CONFIG.replace("lab.example", "new.example"))
    assert keyfob("logout", "lab").code == 0
    assert not os.path.exists(f"{keyfob.home}/keyfob/envkey/lab.json")


def test_of_a_link_both_ends_go(keyfob, tmp_path):
    """The target holds the login."""
    target = tmp_path / "elsewhere.json"
    target.write_text(json.dumps(API_KEY))
    target.chmod(0o600)
    os.symlink(target, f"{keyfob.home}/auth.json")
    assert keyfob("logout", "corp").code == 0
    assert not target.exists()
    assert not os.path.lexists(f"{keyfob.home}/auth.json")


# What is said


@pytest.mark.parametrize(
    ("answer", "said"), [(Answer(500), "its issuer answered 500"), (Answer(close=True), "could not be told")]
)
def test_an_issuer_that_fails_is_only_warned_of(keyfob, issuer, answer, said):
    """The login is removed here all the same."""
    path = write_login(keyfob, issuer.login())
    with ModelServer(answers={"/oauth/revoke": [answer]}) as server:
        found = keyfob("logout", "corp", CODEX_REVOKE_TOKEN_URL_OVERRIDE=f"{server.origin}/oauth/revoke")
    assert (found.code, os.path.exists(path)) == (0, False)
    assert "warning: the login is removed here, but may still be valid" in found.err
    assert said in found.err


@pytest.mark.slow  # the issuer is given ten seconds
def test_an_issuer_that_hangs_is_not_waited_for(keyfob, issuer):
    """As in Codex; the test would end at the limit of all tests otherwise."""
    path = write_login(keyfob, issuer.login())
    with ModelServer(answers={"/oauth/revoke": [Answer(hang=True)]}) as server:
        found = keyfob("logout", "corp", CODEX_REVOKE_TOKEN_URL_OVERRIDE=f"{server.origin}/oauth/revoke")
    assert (found.code, os.path.exists(path)) == (0, False)
    assert "may still be valid" in found.err


def test_where_the_default_provider_needs_no_login_it_is_openais(keyfob, issuer):
    """As Codex, whatever the provider; but where it could be another one, that is asked."""
    path = write_login(keyfob, issuer.login())
    several = keyfob("-c", "model_provider=open", "logout")
    assert (several.code, "these take one: lab, corp, openai" in several.err, os.path.exists(path)) == (2, True, True)
    keyfob.configure('model_provider = "open"\n[model_providers.open]\nbase_url = "https://open.example/v1"\n')
    assert (keyfob("logout").code, os.path.exists(path), len(issuer.revoked)) == (0, False, 1)


def test_not_signed_in_is_no_failure(keyfob):
    """Exit code 0, as in Codex; and not even a lock file is made."""
    before = files(keyfob.home)
    for provider in ("corp", "lab"):
        found = keyfob("logout", provider)
        assert (found.code, f"{provider}: not signed in, nothing was stored" in found.err) == (0, True)
    assert files(keyfob.home) == before


@pytest.mark.parametrize(
    ("provider", "variable"), [("corp", "CODEX_API_KEY"), ("corp", "CODEX_ACCESS_TOKEN"), ("lab", "LAB_KEY")]
)
def test_a_variable_that_is_still_there_is_named(keyfob, provider, variable):
    """It goes on being used, and nobody can take it out of the shell but the user."""
    found = keyfob("logout", provider, **{variable: "at-canary"})
    assert (found.code, f"unset {variable}" in found.err, "canary" in found.err) == (0, True, False)


class Locked(Memory):
    """A keyring that is locked."""

    def get_password(self, service, username):
        raise KeyringLocked("canary")


@pytest.mark.parametrize("setting", ["keyring", "auto"])
def test_a_place_that_cannot_be_cleared_is_said_and_the_others_are(keyfob, use, setting):
    """Exit code 1; the file is gone nevertheless."""
    use(Locked())
    path = write_login(keyfob, API_KEY)
    found = keyfob("-c", f"cli_auth_credentials_store={setting}", "logout", "corp")
    assert (found.code, os.path.exists(path), "canary" in found.err) == (1, False, False)
    assert "is removed" in found.err
    assert "the keyring is locked" in found.err


def test_a_locked_keyring_that_no_setting_asks_for_is_only_warned_of(keyfob, use):
    """It may hold a login of another setting, which would be back with that."""
    use(Locked())
    path = write_login(keyfob, API_KEY)
    found = keyfob("logout", "corp")
    assert (found.code, os.path.exists(path)) == (0, False)
    assert "warning: keyring entry" in found.err
    assert "was not looked into: the keyring is locked" in found.err


def test_without_a_keyring_only_who_wants_one_is_told(keyfob):
    """Most servers have none."""
    assert keyfob("logout", "corp").code == 0
    found = keyfob("-c", "cli_auth_credentials_store=keyring", "logout", "corp")
    assert (found.code, "there is no keyring" in found.err) == (1, True)


def test_a_folder_in_the_place_of_the_login_is_no_login(keyfob):
    """It is left alone, and said."""
    os.mkdir(f"{keyfob.home}/auth.json")
    found = keyfob("logout", "corp")
    assert (found.code, "auth.json" in found.err, "internal" in found.err) == (1, True, False)


def test_a_provider_without_login_names_those_that_have_one(keyfob):
    """Exit code 2."""
    found = keyfob("logout", "open")
    assert (found.code, "these take one: lab, corp" in found.err) == (2, True)


def test_it_is_done_under_the_locks(keyfob, monkeypatch):
    """keyfob's own, which a renewal holds, and those that Codex takes."""
    write_login(keyfob, API_KEY)
    held = []

    def told(login, places, **options):
        for place in places:
            for name in ("lock", "writing", "delete"):
                monkeypatch.setattr(place, name, _told(held, name, getattr(place, name)))
        return sign_out(login, places, **options)

    monkeypatch.setattr(logout, "sign_out", told)
    assert keyfob("logout", "corp").code == 0
    assert held == ["lock", "writing", "delete"]


def _told(held, name, function):
    def told():
        held.append(name)
        return function()

    return told


# Logins that no provider uses any more


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["file", "keyring"])
@pytest.mark.parametrize(
    "after",
    [
        "",
        CONFIG.replace('env_key = "LAB_KEY"', "requires_openai_auth = true"),
        CONFIG.replace('env_key = "LAB_KEY"\n', ""),
    ],
    ids=["gone", "another plugin", "no login"],
)
def test_what_no_provider_uses_any_more_is_removed_by_its_name(keyfob, monkeypatch, memory, setting, after):
    """From file and keyring; until then `keyfob store` and the doctor tell of it."""
    keyfob.configure(f'cli_auth_credentials_store = "{setting}"\n{CONFIG}')
    pipe(monkeypatch, KEY)
    assert keyfob("login", "lab", "--with-api-key").code == 0
    keyfob.configure(after)
    for command in ("store", "doctor"):
        said = keyfob(command).out
        assert ("no provider uses what is stored there" in said, "keyfob logout lab" in said) == (True, True)
    (found,) = [
        each for each in json.loads(keyfob("store", "--json").out)["logins"] if "lab" in (each["problem"] or "")
    ]
    assert (found["providers"], found["kind"], found["held"], found["used"]) == (["lab"], setting, True, False)
    done = keyfob("logout", "lab")
    assert (done.code, "which no provider uses, is removed" in done.err) == (0, True)
    assert not os.path.exists(f"{keyfob.home}/keyfob/envkey/lab.json")
    assert memory.kept == {}
    assert "no provider uses" not in keyfob("store").out


FAULTY = {
    "a typo": ("base_url = 5\n", "base_url: expected a string"),
    "no plugin": ('base_url = "https://lab.example/v1"\n[model_providers.lab.nobodys]\na = 1\n', "lab.nobodys"),
}


@pytest.mark.slow  # for the doctor
@pytest.mark.parametrize("local", [False, True], ids=["", "local"])
@pytest.mark.parametrize("fault", FAULTY)
def test_a_login_whose_entry_only_has_to_be_mended_is_no_leftover(keyfob, monkeypatch, fault, local):
    """The doctor does not advise to remove it. Who does so anyway is told that its issuer could not be, and why."""
    pipe(monkeypatch, KEY)
    keyfob("login", "lab", "--with-api-key")
    entry, said = FAULTY[fault]
    keyfob.configure(f"[model_providers.lab]\n{entry}")
    assert "logout lab" not in keyfob("doctor").out
    (found,) = [each for each in json.loads(keyfob("store", "--json").out)["logins"] if each["providers"] == ["lab"]]
    assert (found["held"], found["used"], said in found["problem"]) == (True, False, True)
    done = keyfob("logout", "lab", *["--local"] * local)
    assert (done.code, os.path.exists(f"{keyfob.home}/keyfob/envkey/lab.json")) == (0, False)
    warned = "may still be valid: its issuer could not be told, because its entry cannot be used: " in done.err
    assert (warned, said in done.err) == (not local, not local)


def test_openais_login_is_nobodys_leftover(keyfob):
    """Whatever a folder that lies there is named."""
    path = write_login(keyfob, API_KEY)
    os.makedirs(f"{keyfob.home}/keyfob/openai")
    with open(f"{keyfob.home}/keyfob/openai/lab.json", "w") as file:
        file.write("{}")
    assert keyfob("logout", "lab").code == 0
    assert os.path.exists(path)


def test_a_name_that_nothing_is_stored_for_is_unknown(keyfob):
    """As ever; exit code 2."""
    found = keyfob("logout", "nobody")
    assert (found.code, "there is no provider of this name" in found.err) == (2, True)
