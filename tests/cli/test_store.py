"""`keyfob store`: where logins are, and moving them; nothing is lost, nothing overwritten unasked."""

from __future__ import annotations

import json

import pytest
from keyring.errors import KeyringLocked

from keyfob.cli.terminal import Terminal
from keyfob.stores.choice import places
from keyfob.stores.keyring import KeyringStore

from ..logins import KEY, chatgpt  # noqa: TID252
from ..stores.conftest import memory as memory  # noqa: TID252
from ..stores.conftest import use as use  # noqa: TID252
from ..stores.test_keyring import Failing  # noqa: TID252
from .signing import CONFIG, pipe, write_login

KEYRING = f'cli_auth_credentials_store = "keyring"\n{CONFIG}'
AUTO = f'cli_auth_credentials_store = "auto"\n{CONFIG}'
OLDER, LATER = ({**chatgpt(), "last_refresh": f"2026-01-0{day}T00:00:00Z"} for day in (1, 2))


@pytest.fixture
def keyfob(keyfob):
    """With a provider of each kind; `lab` takes a key, `corp` and `openai` share OpenAI's login."""
    keyfob.configure(CONFIG)
    return keyfob


def both(keyfob, plugin="openai", provider="corp"):
    return places(keyfob.home, plugin, provider, lambda _: None)


def listed(keyfob):
    found = keyfob("store", "--json")
    assert found.code == 0, found.err
    return json.loads(found.out)


def of(document, kind, *providers):
    (found,) = [one for one in document["logins"] if one["kind"] == kind and set(providers) <= set(one["providers"])]
    return found


def test_each_login_is_listed_with_both_of_its_places(keyfob, memory):
    """Which of them is there, and which of them requests get; providers that share one stand together."""
    write_login(keyfob, OLDER)
    document = listed(keyfob)
    assert document["setting"] == "file"
    used, other = of(document, "file", "corp", "openai"), of(document, "keyring", "corp", "openai")
    assert (used["held"], used["used"], used["last_refresh"]) == (True, True, OLDER["last_refresh"])
    assert (other["held"], other["used"], other["last_refresh"]) == (False, False, None)
    assert used["place"] == f"{keyfob.home}/auth.json"
    assert "lab" not in used["providers"]
    assert not of(document, "file", "lab")["held"]


@pytest.mark.parametrize("later", ["file", "keyring"])
def test_with_auto_the_login_that_counts_is_shown(keyfob, memory, later):
    """The other is marked as not used."""
    keyfob.configure(AUTO)
    file, keyring = both(keyfob)
    file.write(LATER if later == "file" else OLDER)
    keyring.write(OLDER if later == "file" else LATER)
    document = listed(keyfob)
    assert {kind: of(document, kind, "corp")["used"] for kind in ("file", "keyring")} == {
        "file": later == "file",
        "keyring": later == "keyring",
    }
    shown = keyfob("store").out
    assert "not used" in shown
    assert "canary" not in shown + json.dumps(document)


@pytest.mark.slow
def test_a_keyring_that_cannot_be_looked_into_is_shown_as_such(keyfob, use):
    """The list is there all the same."""
    use(Failing(KeyringLocked()))
    write_login(keyfob, KEY)
    found = of(listed(keyfob), "keyring", "corp")
    assert (found["held"], found["used"]) == (None, False)
    assert "locked" in found["problem"]
    assert "the keyring is locked" in keyfob("store", tty=True, COLUMNS="200").out


def test_where_the_setting_stands_is_said(keyfob, memory):
    """File and line; nothing for the default."""
    assert "is 'file'\n" in keyfob("store").err
    path = keyfob.configure(KEYRING)
    assert f"is 'keyring' ({path}:1)" in keyfob("store").err


@pytest.mark.parametrize(("target", "config"), [("keyring", KEYRING), ("file", CONFIG)])
def test_every_login_is_moved(keyfob, memory, target, config):
    """OpenAI's and a stored key; each is where the setting has everybody look, so there is nothing to add."""
    keyfob.configure(config)
    openai, lab = both(keyfob), both(keyfob, "envkey", "lab")
    at = 0 if target == "keyring" else 1
    openai[at].write(OLDER)
    lab[at].write({"origin": "https://lab.example", "api_key": "sk-canary-lab"})
    found = keyfob("store", "move", target)
    assert (found.code, found.out) == (0, "")
    assert "openai" in found.err
    assert "lab is now in" in found.err
    assert "write cli_auth" not in found.err
    assert openai[1 - at].read() == OLDER
    assert lab[1 - at].read()["api_key"] == "sk-canary-lab"
    assert (openai[at].read(), lab[at].read()) == (None, None)
    assert "canary" not in found.err
    again = keyfob("store", "move", target)
    assert (again.code, f"nothing to move to the {target}" in again.err) == (0, True)


@pytest.mark.slow
def test_a_moved_login_is_used(keyfob, memory):
    """By the very next command."""
    keyfob.configure(KEYRING)
    write_login(keyfob, KEY)
    assert keyfob("token", "corp").code == 1
    keyfob("store", "move", "keyring")
    assert keyfob("token", "corp").out == f"{KEY['OPENAI_API_KEY']}\n"


def test_a_setting_that_does_not_look_there_is_told_with_the_line_to_write(keyfob, memory):
    """Else the login would seem to be gone."""
    write_login(keyfob, KEY)
    found = keyfob("store", "move", "keyring")
    assert found.code == 0
    assert f'write cli_auth_credentials_store = "keyring" in {keyfob.home}/config.toml' in found.err
    keyfob.configure(AUTO)
    assert "write cli_auth" not in keyfob("store", "move", "file").err


def test_another_login_there_is_replaced_with_the_users_word_alone(keyfob, memory):
    """Exit code 1; neither has changed."""
    file, keyring = both(keyfob)
    file.write(LATER)
    keyring.write(OLDER)
    found = keyfob("store", "move", "keyring")
    assert found.code == 1
    assert "holds another login" in found.err
    assert "--replace" in found.err
    assert (file.read(), keyring.read()) == (LATER, OLDER)
    assert keyfob("store", "move", "keyring", "--replace").code == 0
    assert (file.read(), keyring.read()) == (None, LATER)


def test_a_login_that_cannot_be_moved_does_not_keep_the_others(keyfob, memory):
    """It is told, and is where it was."""
    write_login(keyfob, "{")
    lab = both(keyfob, "envkey", "lab")
    lab[0].write({"origin": "https://lab.example", "api_key": "sk-canary-lab"})
    found = keyfob("store", "move", "keyring")
    assert found.code == 1
    assert "is not JSON" in found.err
    assert lab[1].read()["api_key"] == "sk-canary-lab"


@pytest.mark.parametrize(("target", "config"), [("keyring", CONFIG), ("file", KEYRING)])
def test_without_a_keyring_nothing_is_moved(keyfob, target, config):
    """Nor lost."""
    keyfob.configure(config)
    path = write_login(keyfob, KEY)
    found = keyfob("store", "move", target)
    assert (found.code, "there is no keyring" in found.err) == (1, True)
    with open(path) as file:
        assert json.load(file) == KEY


@pytest.mark.parametrize("config", [CONFIG, AUTO])
def test_where_no_keyring_is_nothing_has_to_come_out_of_it(keyfob, config):
    """The login is in the file already."""
    keyfob.configure(config)
    write_login(keyfob, KEY)
    found = keyfob("store", "move", "file")
    assert (found.code, "nothing to move to the file" in found.err) == (0, True)


def test_a_key_for_another_origin_is_not_told_as_used(keyfob, memory):
    """No request gets it; why is said."""
    both(keyfob, "envkey", "lab")[0].write({"origin": "https://old.example", "api_key": "sk-canary-lab"})
    found = of(listed(keyfob), "file", "lab")
    assert (found["held"], found["used"]) == (True, False)
    assert "was stored for https://old.example" in found["problem"]


def test_an_administrators_word_on_the_place_counts(keyfob, memory):
    """A login does not leave the keyring that is required."""
    with open(f"{keyfob.folder}/system/requirements.toml", "w") as file:
        file.write('cli_auth_credentials_store = "keyring"\n')
    both(keyfob)[1].write(KEY)
    found = keyfob("store", "move", "file")
    assert found.code == 2
    assert "requirements.toml:1" in found.err
    assert both(keyfob)[1].read() == KEY


@pytest.mark.parametrize(
    "command", [("store", "move", "keyring"), ("logout", "corp"), ("login", "corp", "--with-api-key")]
)
def test_a_person_at_the_terminal_is_asked_to_unlock_and_nobody_else(keyfob, monkeypatch, memory, command):
    """Before any lock is held."""
    keyfob.configure(KEYRING)
    asked = []

    def unlock(store):
        with store.lock(wait=0), store.writing():
            asked.append(store.place)

    monkeypatch.setattr(KeyringStore, "unlock", unlock)
    for attended in (False, True):
        pipe(monkeypatch, "sk-canary-0123456789")
        monkeypatch.setattr(Terminal, "attended", attended)
        assert keyfob(*command).code == 0
        assert bool(asked) == attended


@pytest.mark.parametrize("arguments", [["move"], ["move", "memory"], ["copy", "file"]])
def test_what_makes_no_sense_is_a_usage_error(keyfob, arguments):
    """With what to write instead."""
    found = keyfob("store", *arguments)
    assert (found.code, found.out) == (2, "")
    assert "keyfob store" in found.err
