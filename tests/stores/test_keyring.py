"""The keyring store: a record is one entry, its stage another, and whatever a keyring does wrong is told."""

from __future__ import annotations

import hashlib
import json
import os
import traceback
from typing import TYPE_CHECKING, Any

import keyring.core
import pytest
from keyring.backends import SecretService, chainer, null
from keyring.errors import InitError, KeyringLocked, NoKeyringError, PasswordSetError

from keyfob.credentials.journal import Intent, Journal, Stage
from keyfob.errors import DamagedLoginError, StoreError
from keyfob.stores.choice import places, store_for
from keyfob.stores.entry import NoKeyringError as Missing
from keyfob.stores.entry import TooLargeError, entry

from .conftest import Keychain, Killed, Memory, Steps

if TYPE_CHECKING:
    from keyfob.errors import Fault
    from keyfob.stores.file import FileStore
    from keyfob.stores.keyring import KeyringStore

SECRET = "rt-canary"
LOGIN: dict[str, Any] = {"auth_mode": "chatgpt", "tokens": {"refresh_token": SECRET, "name": "käse"}, "later": [1]}
KEY = {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-canary"}
COMPACT = '{"auth_mode":"apikey","OPENAI_API_KEY":"sk-canary"}'
STAGE = Stage("parent", b'{"refresh_token":"rt-canary-2","n":"\xc3\xa4"}\xff', 17.5, 18.0)


class Truncating(Memory):
    """Keeps the first 60 characters, and says nothing."""

    def set_password(self, service, username, password):
        super().set_password(service, username, password[:60])


class Forgetting(Memory):
    """Takes what it is given and keeps it only once: what is there is never changed, as if it were."""

    def set_password(self, service, username, password):
        self.kept.setdefault((service, username), password)


class Windows(Memory):
    """Takes 2,560 bytes of UTF-16 for one entry, and fails as Windows does: without saying why."""

    def set_password(self, service, username, password):
        if len(password.encode("utf-16-le")) > 2560:
            raise OSError(1783, "CredWrite", "The stub received bad data")
        super().set_password(service, username, password)


class Failing(Memory):
    """Fails in every way that is asked for."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def get_password(self, service, username):
        raise self.error

    def set_password(self, service, username, password):
        raise self.error


class KeychainDenied(Exception):
    """As macOS's backend has it."""


@pytest.fixture
def home(tmp_path) -> str:
    return os.path.realpath(tmp_path)


@pytest.fixture
def warned() -> list[Fault]:
    return []


def both(
    home: str, plugin: str = "openai", provider: str = "corp", warn=lambda _: None
) -> tuple[FileStore, KeyringStore]:
    return places(home, plugin, provider, warn)


@pytest.fixture
def store(home, warned) -> KeyringStore:
    return both(home, warn=warned.append)[1]


def account(home: str) -> str:
    return "cli|" + hashlib.sha256(home.encode()).hexdigest()[:16]


def denied() -> KeyringLocked:
    error = KeyringLocked(f"text with {SECRET}")
    error.__cause__ = KeychainDenied()
    return error


def test_an_openai_login_is_in_the_entry_that_codex_uses_as_json_without_blanks(home, memory, store):
    """Service and account as observed; the account tells the real CODEX_HOME."""
    store.write(KEY)
    assert memory.kept == {("Codex Auth", account(home)): COMPACT}
    assert store.read() == KEY


def test_the_entry_is_named_after_the_real_codex_home(home, memory, tmp_path):
    """Whoever comes by a link finds the same login."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    both(str(tmp_path / "link"))[1].write(KEY)
    assert both(str(tmp_path / "real"))[1].read() == KEY


def test_another_plugins_login_is_in_an_entry_of_our_own_for_each_provider(home, memory):
    """Nothing of it stands where Codex looks."""
    both(home, "envkey", "corp")[1].write({"key": "1"})
    both(home, "envkey", "lab")[1].write({"key": "2"})
    assert {service for service, _ in memory.kept} == {"keyfob"}
    assert both(home, "envkey", "corp")[1].read() == {"key": "1"}
    assert both(home, "envkey", "lab")[1].read() == {"key": "2"}


def test_file_and_keyring_have_one_lock_and_one_journal(home, memory):
    """Or two renewals of one login could run at once while it is moved."""
    file, store = both(home)
    assert store.base == file.base
    with file.lock(), pytest.raises(StoreError, match="held by process"), store.lock(wait=0):
        pass
    file.note(Journal(forced_at=3.0))
    assert store.journal() == Journal(forced_at=3.0)


def test_what_is_written_is_kept_whole(memory, store):
    """Every field, in its order, whatever its letters."""
    store.write(LOGIN)
    assert json.dumps(store.read()) == json.dumps(LOGIN)


@pytest.mark.parametrize(
    ("text", "what"),
    [("", "is not JSON"), ('{"a', "is not JSON"), ("[" * 9000, "is not JSON"), ("[]", "is not a JSON object")],
)
def test_an_entry_that_is_no_login_is_damaged_not_absent(home, memory, store, text, what):
    """And its text is not repeated."""
    memory.kept["Codex Auth", account(home)] = text
    with pytest.raises(DamagedLoginError, match=what) as caught:
        store.read()
    assert "keyring entry" in str(caught.value)


# A keyring that does something wrong


@pytest.mark.parametrize("kind", [Truncating, Forgetting, null.Keyring])
def test_a_keyring_that_does_not_keep_what_it_is_given_is_found_out(use, store, kind):
    """The record is read back before anybody counts on it."""
    backend = use(kind())
    if isinstance(backend, Memory):
        backend.kept["Codex Auth", store._name.username] = json.dumps(KEY)
    with pytest.raises(StoreError, match="did not keep what was stored"):
        store.write(LOGIN)


def test_a_login_that_cannot_be_replaced_whole_stays_as_it_was(use, store):
    """A shortened text is not left in its place."""
    backend = use(Truncating())
    backend.kept["Codex Auth", store._name.username] = json.dumps(KEY)
    with pytest.raises(StoreError):
        store.write(LOGIN)
    assert store.read() == KEY


@pytest.mark.parametrize("kind", [Truncating, Windows])
@pytest.mark.parametrize("step", ["prepare", "replace"])
def test_what_the_keyring_cannot_hold_is_told_before_anything_is_spent_or_replaced(use, store, kind, step):
    """The old login is as it was, byte by byte."""
    backend = use(kind())
    text = backend.kept["Codex Auth", store._name.username] = json.dumps(KEY)
    with pytest.raises(StoreError, match=r"did not keep|does not take"):
        getattr(store, step)({**LOGIN, "long": "x" * 3000})
    store.note(Journal())
    assert backend.kept == {("Codex Auth", store._name.username): text}


def test_an_entry_too_large_for_windows_is_told_with_its_size(use, store):
    """Windows itself gives no reason."""
    use(Windows())
    with pytest.raises(TooLargeError, match=r"an entry of 6\d\d\d bytes .*Windows stops at 2560") as caught:
        store.replace({"k": "x" * 3000})
    assert 'cli_auth_credentials_store = "file"' in str(caught.value.hint)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (NoKeyringError(SECRET), Missing, "there is no keyring"),
        (KeyringLocked(SECRET), StoreError, "the keyring is locked"),
        (denied(), StoreError, "does not let keyfob use it"),
        (PermissionError(1, SECRET), StoreError, "does not let keyfob use it"),
        (PasswordSetError(SECRET), StoreError, r"the keyring failed \(PasswordSetError\)"),
        (InitError(SECRET), StoreError, r"the keyring failed \(InitError\)"),
        (RuntimeError(SECRET), StoreError, r"the keyring failed \(RuntimeError\)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
@pytest.mark.parametrize("step", ["read", "write", "delete", "prepare", "stage"])
def test_whatever_a_keyring_raises_is_a_store_error_of_its_own_words(use, store, error, kind, said, step):
    """With a hint, and without the backend's text, which could hold anything."""
    use(Failing(error))
    arguments = [KEY] if step in ("write", "prepare") else []
    with pytest.raises(kind, match=said) as caught:
        getattr(store, step)(*arguments)
    assert caught.value.hint
    assert SECRET not in str(caught.value.hint) + "".join(traceback.format_exception(caught.value))


def test_a_keyring_that_is_named_and_cannot_be_loaded_is_told(monkeypatch, store):
    """It is not taken for none: somebody wanted it."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "no.such.Keyring")
    monkeypatch.setattr(keyring.core, "_keyring_backend", None)
    with pytest.raises(
        StoreError, match=r"PYTHON_KEYRING_BACKEND .*cannot be loaded \(ModuleNotFoundError\)"
    ) as caught:
        store.read()
    assert not isinstance(caught.value, Missing)


def test_what_is_still_there_after_it_was_deleted_is_told(use, store):
    """Signing out is not said to be done before it is."""
    backend = use(Memory())
    store.write(KEY)
    backend.delete_password = lambda service, username: None
    with pytest.raises(StoreError, match="still there"):
        store.delete()


def test_an_entry_that_its_backend_deletes_and_makes_anew_is_never_gone(use, store):
    """Whoever is killed between the two: the old login is there, or the new one."""
    step = Steps()
    backend = use(Keychain(step))
    found = []
    for steps in range(100):
        store.delete()
        store.write(KEY)
        step.left = steps
        try:
            store.write(LOGIN)
        except Killed:
            step.left = -1
        else:
            break
        found.append(store.read())
        store.write(LOGIN)
        assert list(backend.kept) == [("Codex Auth", store._name.username)]
    step.left = -1
    assert all(login in (KEY, LOGIN) for login in found)
    assert KEY in found
    assert LOGIN in found
    assert store.delete() is True
    assert backend.kept == {}


@pytest.mark.parametrize("meet", ["drop_stage", "prepare", "write"])
def test_what_a_killed_renewal_left_beside_an_entry_brings_back_no_login(use, store, meet):
    """Whoever goes on with it removes it; then another program signs out, which knows of no other entry."""
    step = Steps()
    backend = use(Keychain(step))
    store.write(KEY)
    store.note(Journal(intent=Intent("parent")))
    step.left = 6  # of the seven uses of a keyring that write it and remove what is beside it
    with pytest.raises(Killed):
        store._record_entry.write(json.dumps(LOGIN))
    step.left = -1
    with store.lock():
        getattr(store, meet)(*([] if meet == "drop_stage" else [LOGIN]))
    backend.delete_password("Codex Auth", store._name.username)
    assert store.read() is None


def test_reading_changes_nothing(use, store):
    """What a writer has beside its entry counts while that is away, so only the owner of the lock removes it."""
    backend = use(Memory())
    store.write(KEY)
    backend.kept["Codex Auth", f"{store._name.username}|next"] = COMPACT
    store.note(Journal(intent=Intent("parent")))
    before = dict(backend.kept)
    store.read()
    store.stage()
    assert backend.kept == before


def test_a_chain_of_keyrings_with_the_secret_service_is_that(use, store, monkeypatch):
    """Codex uses that one wherever it is; any other is used as the library has it."""
    chain = use(chainer.ChainerBackend())
    for others, kind in (([SecretService.Keyring(), Memory()], "SecretServiceEntry"), ([Memory()], "BackendEntry")):
        monkeypatch.setattr(type(chain), "backends", others)
        assert type(entry(store._name)).__name__ == kind


# The stage


def test_a_stage_is_an_entry_too_and_never_a_file(home, memory, store):
    """The answer comes back byte by byte, UTF-8 or not."""
    store.write(KEY)
    store.prepare(KEY)
    store.put_stage(STAGE)
    assert store.stage() == STAGE
    for folder, _, names in os.walk(home):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                assert b"canary" not in file.read(), name
    store.drop_stage()
    assert store.stage() is None
    assert store.read() == KEY


def test_room_is_made_before_and_given_back_after(memory, store):
    """What stands there meanwhile is no stage."""
    store.write(KEY)
    store.note(Journal(intent=Intent("f")))
    store.prepare(KEY)
    assert len(memory.kept) == 2
    assert store.stage() is None
    assert all(len(text) >= len(COMPACT) for text in memory.kept.values())
    store.note(Journal())
    assert len(memory.kept) == 1


def test_preparing_keeps_a_stage_that_is_there(memory, store):
    """It may hold the only login that lives."""
    store.write(KEY)
    store.put_stage(STAGE)
    store.prepare(KEY)
    store.probe(5000)
    store.note(Journal())
    assert store.stage() == STAGE


def test_somebody_elses_text_in_the_stage_is_no_stage(memory, store):
    """Letters that no byte has are not ours."""
    memory.kept["keyfob", store._stage_name.username] = '{"parent":"é€"}\nx'
    assert store.stage() is None


# Signing in and out


def test_signing_in_removes_the_login_in_plain_text_after_the_entry_stands(home, memory):
    """As Codex does; journal and stage of the old one go too."""
    file, store = both(home)
    file.write(LOGIN)
    store.put_stage(STAGE)
    store.note(Journal(forced_at=1.0))
    store.replace(KEY)
    assert file.read() is None
    assert store.read() == KEY
    assert store.stage() is None
    assert store.journal() == Journal()
    assert len(memory.kept) == 1


def test_signing_in_keeps_the_login_in_plain_text_if_the_keyring_fails(home, use):
    """Nothing is given up for a login that is not stored."""
    use(Forgetting())
    file, store = both(home)
    file.write(LOGIN)
    keyring.core.get_keyring().kept["Codex Auth", account(home)] = "{}"
    with pytest.raises(StoreError):
        store.replace(KEY)
    assert file.read() == LOGIN


def test_a_login_in_plain_text_that_cannot_be_removed_is_told(home, memory, store, warned):
    """The new one is stored all the same."""
    os.mkdir(os.path.join(home, "auth.json"))
    store.replace(KEY)
    assert store.read() == KEY
    assert "could not be removed" in str(warned[0])


def test_signing_out_leaves_nothing(memory, store):
    """No entry, no stage."""
    store.write(KEY)
    store.put_stage(STAGE)
    assert store.delete() is True
    assert memory.kept == {}
    assert store.delete() is False


@pytest.mark.parametrize("how", ["remove", "delete"])
def test_an_entry_that_stays_keeps_its_stage(use, store, how):
    """It may be the only login that lives."""
    backend = use(Memory())
    store.write(KEY)
    store.put_stage(STAGE)
    forget = backend.delete_password
    backend.delete_password = lambda service, username: service == "keyfob" and forget(service, username)
    with pytest.raises(StoreError, match="still there"):
        getattr(store, how)()
    assert (store.read(), store.stage()) == (KEY, STAGE)


def test_only_reading_tells_whether_an_entry_changed(memory, store):
    """There is nothing to stat."""
    assert store.stamp() is None


def test_the_setting_chooses_the_store(home):
    """Each word of it."""
    kinds = {
        mode: store_for(mode, home, "openai", "x", lambda _: None).kind
        for mode in ("file", "keyring", "auto", "ephemeral")
    }
    assert kinds == {mode: mode for mode in kinds}


def test_no_place_shows_a_secret(memory, store):
    """Whatever prints it."""
    store.write(LOGIN)
    assert SECRET not in f"{store.place} {store!r} {vars(store)}"
