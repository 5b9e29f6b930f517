"""The keyring store and GNOME Keyring, on a session bus of the test's own; skipped where that is not installed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING

import keyring.core
import pytest
import pytest_socket
import secretstorage
from keyring.backends import fail

from keyfob.credentials.journal import Stage
from keyfob.errors import DamagedLoginError, StoreError
from keyfob.stores import secret_service as secret_service_module
from keyfob.stores.choice import places, store_for
from keyfob.stores.entry import NoKeyringError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

KEY = {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-canary"}
OTHER = {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-other"}


@pytest.fixture
def home(tmp_path) -> str:
    folder = tmp_path / "codex"
    folder.mkdir()
    return os.path.realpath(folder)


@pytest.fixture
def store(home):
    return places(home, "openai", "x", lambda _: None)[1]


@pytest.fixture
def name(home) -> dict[str, str]:
    """What Codex's item is found by."""
    return {"service": "Codex Auth", "username": "cli|" + hashlib.sha256(home.encode()).hexdigest()[:16]}


def test_a_new_item_is_made_as_codex_makes_it(secret_service, store, name):
    """With all the attributes by which Codex looks for it."""
    store.replace(KEY)
    (item,) = secret_service.items(**name)
    extra = {"target": "default", "application": "rust-keyring"}
    assert item["attributes"].items() >= {**name, **extra}.items()
    assert item["label"] == f"{name['username']}@Codex Auth:default (keyring v3.6.3)"
    assert item["secret"] == '{"auth_mode":"apikey","OPENAI_API_KEY":"sk-canary"}'
    assert item["path"].startswith("/org/freedesktop/secrets/collection/login/")


@pytest.mark.parametrize("extra", [{}, {"target": "default", "application": "rust-keyring"}, {"application": "other"}])
def test_an_item_that_is_there_is_changed_in_place(secret_service, store, name, extra):
    """Whatever else it was given, and whoever made it: there never is a second one beside it."""
    secret_service.add(json.dumps(OTHER), **name, **extra)
    (before,) = secret_service.items(**name)
    store.write(KEY)
    (after,) = secret_service.items(**name)
    assert (after["path"], after["label"], after["attributes"]) == (
        before["path"],
        before["label"],
        before["attributes"],
    )
    assert json.loads(after["secret"]) == KEY == store.read()


def test_two_items_are_an_error_for_reading_and_for_renewing(secret_service, store, name):
    """Which of them counts, nobody can say; neither is touched."""
    secret_service.add(json.dumps(KEY), **name)
    secret_service.add(json.dumps(OTHER), **name, target="default")
    for step, arguments in (("read", []), ("write", [KEY]), ("prepare", [KEY])):
        with pytest.raises(DamagedLoginError, match="there are 2 entries of this name") as caught:
            getattr(store, step)(*arguments)
        assert caught.value.hint == "keyfob doctor"
    assert len(secret_service.items(**name)) == 2


def test_signing_out_deletes_all_of_them(secret_service, store, name):
    """Nobody goes on reading the one that is left."""
    secret_service.add(json.dumps(KEY), **name)
    secret_service.add(json.dumps(OTHER), **name, target="default")
    assert store.delete() is True
    assert secret_service.items(**name) == []


def test_signing_in_leaves_one_of_two(secret_service, store, name):
    """The user has said that what is there may go."""
    secret_service.add(json.dumps(OTHER), **name)
    secret_service.add(json.dumps(OTHER), **name, target="default")
    store.replace(KEY)
    (item,) = secret_service.items(**name)
    assert json.loads(item["secret"]) == KEY


def test_signing_in_where_there_are_two_gives_up_neither_before_the_new_one_stands(
    secret_service, store, name, monkeypatch
):
    """A daemon may fail between the two."""

    delete = secretstorage.Item.delete

    def broken(item: secretstorage.Item) -> None:
        if item.get_attributes()["service"] == name["service"]:
            raise secretstorage.SecretStorageException
        delete(item)

    secret_service.add(json.dumps(OTHER), **name)
    secret_service.add(json.dumps(OTHER), **name, target="default")
    monkeypatch.setattr(secretstorage.Item, "delete", broken)
    with pytest.raises(StoreError, match="the keyring failed"):
        store.replace(KEY)
    assert [json.loads(item["secret"]) for item in secret_service.items(**name)].count(KEY) == 1


def test_it_is_used_though_the_library_once_found_no_keyring(secret_service, home, store, monkeypatch):
    """The bus was slow then, and the library never looks again."""
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND")
    monkeypatch.setenv("XDG_CONFIG_HOME", home)
    monkeypatch.setattr(keyring.core, "_keyring_backend", fail.Keyring())
    store.replace(KEY)
    assert store.read() == KEY


@pytest.fixture(params=["mute", "silent"])
def dead_bus(request, tmp_path, monkeypatch) -> Iterator[None]:
    """A session bus that takes connections and says nothing: not even who it is, or nothing after that."""
    pytest_socket.socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/bus")
    monkeypatch.setattr(secret_service_module, "PATIENCE", 0.1)
    taken: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                taken.append(bus.accept()[0])
            except OSError:
                return
            if request.param == "silent":
                taken[-1].recv(4096)
                taken[-1].sendall(b"OK 1234deadbeef1234deadbeef12345678\r\n")

    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind(f"{tmp_path}/bus")
        bus.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        goes_on = threading.Timer(5, lambda: [each.shutdown(socket.SHUT_RDWR) for each in taken])
        goes_on.start()
        yield
        goes_on.cancel()
        bus.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in taken:
        connection.close()


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("mode", ["keyring", "auto"])
def test_a_bus_that_is_silent_is_neither_waited_for_nor_taken_for_no_keyring(dead_bus, home, monkeypatch, named, mode):
    """No login lands in plain text for it."""
    if named:
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.SecretService.Keyring")
    else:
        monkeypatch.delenv("PYTHON_KEYRING_BACKEND")
    monkeypatch.setenv("XDG_CONFIG_HOME", home)
    monkeypatch.setattr(keyring.core, "_keyring_backend", None)
    store = store_for(mode, home, "openai", "x", lambda _: None)
    for step, arguments in (("read", []), ("replace", [KEY])):
        with pytest.raises(StoreError, match="has not answered") as caught:
            getattr(store, step)(*arguments)
        assert not isinstance(caught.value, NoKeyringError)
    assert not os.path.exists(os.path.join(home, "auth.json"))


def test_a_large_login_and_its_stage_are_kept_whole(secret_service, store):
    """Tokens of 20 kB are no matter here."""
    login = {"tokens": {"access_token": "x" * 20_000, "name": "käse"}}
    stage = Stage("parent", b'{"access_token":"\xc3\xa4\xff"}' + b"y" * 20_000)
    store.replace(login)
    store.prepare(login)
    store.put_stage(stage)
    assert store.read() == login
    assert store.stage() == stage


@pytest.mark.parametrize("held", [True, False], ids=["held", "empty"])
@pytest.mark.parametrize("mode", ["keyring", "auto"])
def test_a_locked_keyring_is_told_and_nobody_is_asked(secret_service, home, name, held, mode):
    """Not taken for an empty one, not passed over for a file; nothing is stored in plain text."""
    if held:
        secret_service.add(json.dumps(KEY), **name)
    secret_service.lock()
    store = store_for(mode, home, "openai", "x", lambda _: None)
    for step, arguments in (("read", []), ("replace", [KEY]), ("delete", [])):
        with pytest.raises(StoreError, match="the keyring is locked") as caught:
            getattr(store, step)(*arguments)
        assert not isinstance(caught.value, NoKeyringError)
    assert not os.path.exists(os.path.join(home, "auth.json"))


def test_a_user_who_cannot_be_asked_has_not_unlocked_it(secret_service, store):
    """There is no screen for the prompt here, which ends at once."""
    store.unlock()
    secret_service.lock()
    with pytest.raises(StoreError, match="the keyring is locked"):
        store.unlock()


def test_a_session_without_a_default_keyring_has_none_to_keep_logins_in(empty_secret_service, store):
    """Nothing is there; to make one takes the user."""
    assert store.read() is None
    with pytest.raises(NoKeyringError, match="no default keyring yet"):
        store.write(KEY)


@pytest.mark.parametrize("address", [None, "unix:path=/nowhere/bus"])
def test_a_session_without_a_bus_has_no_keyring(secret_service, store, monkeypatch, address):
    """It was there when the library looked, and is gone."""
    store.replace(KEY)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    if address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    with pytest.raises(NoKeyringError, match="there is no keyring"):
        store.read()


def test_a_daemon_that_hangs_is_not_waited_for_for_ever(secret_service, store, monkeypatch):
    """It is stopped, not gone: the bus still knows it."""
    store.replace(KEY)
    monkeypatch.setattr(secret_service_module, "PATIENCE", 0.2)
    pid = secret_service.pid
    goes_on = threading.Timer(5, os.kill, (pid, signal.SIGCONT))  # who waits for it is found out, not kept for ever
    os.kill(pid, signal.SIGSTOP)
    goes_on.start()
    try:
        with pytest.raises(StoreError, match="has not answered"):
            store.read()
    finally:
        goes_on.cancel()
        os.kill(pid, signal.SIGCONT)
    assert store.read() == KEY
