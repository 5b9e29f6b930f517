"""`auto`: the keyring where there is one, else the file; decided at sign-in, said, and never plain text unasked."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
from keyring.errors import KeyringLocked, NoKeyringError

from keyfob.credentials.journal import Intent, Journal, Stage
from keyfob.errors import DamagedLoginError, StoreError
from keyfob.stores.auto import AutoStore
from keyfob.stores.choice import clearable, places
from keyfob.stores.entry import NoKeyringError as Missing
from keyfob.stores.entry import TooLargeError

from .test_keyring import Failing, Windows

OLD: dict[str, Any] = {"tokens": {"refresh_token": "old"}, "last_refresh": "2026-01-01T00:00:00.000000000Z"}
NEW: dict[str, Any] = {"tokens": {"refresh_token": "new"}, "last_refresh": "2026-01-02T00:00:00Z"}
KEY: dict[str, Any] = {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-canary"}


@pytest.fixture
def home(tmp_path) -> str:
    return os.path.realpath(tmp_path)


@pytest.fixture
def warned() -> list[Any]:
    return []


@pytest.fixture
def both(home, warned):
    """The file and the keyring entry of one login. Told of what is amiss: `warned`."""
    return places(home, "openai", "x", warned.append)


@pytest.fixture
def store(both) -> AutoStore:
    return AutoStore(*both)


def test_a_login_goes_into_the_keyring_where_there_is_one(memory, both, store):
    """And not into the file too; the reason is there to be told."""
    file, keyring = both
    file.write(OLD)
    store.replace(NEW)
    assert (keyring.read(), file.read()) == (NEW, None)
    assert (store.place, store.remark) == (keyring.place, "the keyring is usable")


def test_a_login_goes_into_the_file_where_there_is_no_keyring(both, store):
    """And it is said why."""
    store.replace(NEW)
    assert both[0].read() == NEW == store.read()
    assert store.place == both[0].place
    assert "there is no keyring" in store.remark


@pytest.mark.parametrize("backend", [None, Windows], ids=["no keyring", "one that is too small"])
def test_before_somebody_signs_in_the_place_is_tried_that_will_be_taken(use, both, store, backend):
    """Nothing is left in either; that a keyring is locked is told, for a login never lands in plain text unasked."""
    if backend:
        use(backend())
        with pytest.raises(TooLargeError):
            both[1].probe(3000)
    store.probe(3000)
    assert (store.read(), store.stage()) == (None, None)
    os.mkdir(f"{both[0].path}.keyfob.new")
    with pytest.raises(StoreError, match="cannot be written"):
        store.probe(3000)
    use(Failing(KeyringLocked()))
    with pytest.raises(StoreError, match="is locked"):
        store.probe(3000)


def test_a_login_goes_into_the_file_where_the_keyring_cannot_hold_it(use, both, store):
    """The login that it replaces does not stay in the keyring."""
    use(Windows())
    both[1].write(KEY)
    store.replace({**NEW, "long": "x" * 3000})
    assert both[0].read() == {**NEW, "long": "x" * 3000} == store.read()
    assert both[1].read() is None
    assert store.place == both[0].place


class Sticky(Windows):
    """Does not give the login up."""

    def delete_password(self, service, username):
        if service == "Codex Auth":
            raise RuntimeError("no")
        super().delete_password(service, username)


LONG = {"long": "x" * 3000}


@pytest.mark.parametrize("before", [None, KEY], ids=["nothing in the file", "an unused one in the file"])
def test_a_login_that_would_not_be_used_is_not_stored(use, both, store, before):
    """What stays in the keyring goes before it: both places are as they were, with what lies beside, and it is said."""
    use(Sticky())
    both[1].write(OLD)
    both[1].put_stage(Stage("parent", b"{}"))
    if before:
        both[0].write(before)
    with pytest.raises(StoreError, match="another login, which goes first and could not be removed"):
        store.replace(KEY | LONG)
    assert (both[0].read(), store.read(), store.stage()) == (before, OLD, Stage("parent", b"{}"))


def test_a_login_that_would_not_be_used_leaves_the_answer_that_lies_in_its_place(use, both, store):
    """Somebody signed out while the issuer answered: whoever comes next has to revoke it."""
    use(Sticky())
    both[1].write(OLD)
    both[0].put_stage(Stage("parent", b"{}"))
    with pytest.raises(StoreError, match="goes first"):
        store.replace(KEY | LONG)
    assert (both[0].read(), both[0].stage()) == (None, Stage("parent", b"{}"))


def test_a_file_that_stays_keeps_the_answer_that_lies_beside_it(memory, both, store, monkeypatch):
    """It goes before the new login, which is taken back: its successor may be the only login that lives."""
    both[0].write(NEW)
    both[0].put_stage(Stage("parent", b"{}"))
    unlink = os.unlink

    def kept(name):
        if name == both[0].path:
            raise PermissionError(1, "Operation not permitted", name)
        unlink(name)

    monkeypatch.setattr(os, "unlink", kept)
    with pytest.raises(StoreError, match="goes first"):
        store.replace(OLD)
    assert (both[1].read(), both[0].read(), both[0].stage()) == (None, NEW, Stage("parent", b"{}"))


def test_a_login_that_is_used_is_stored_though_another_stays(use, both, store, warned):
    """It was renewed later: that the other could not be removed is a warning, and no failure."""
    use(Sticky())
    both[1].write(OLD)
    store.replace(NEW | LONG)
    assert store.read() == NEW | LONG
    assert f"another login, in {both[1].place}, could not be removed" in str(warned[0])


@pytest.mark.parametrize("later", [OLD, NEW], ids=["earlier", "later"])
def test_a_file_that_stays_is_no_failure_unless_it_goes_before_the_keyring(memory, both, store, later, monkeypatch):
    """A key, which does not tell its time, would not be used beside a login of the file."""
    fresh = {**OLD, "last_refresh": "2026-01-01T12:00:00Z"}
    both[0].write(later)
    both[1].write(KEY)

    def stay() -> bool:
        raise StoreError("it stays")

    monkeypatch.setattr(both[0], "delete", stay)
    if later is OLD:
        store.replace(fresh)
        assert store.read() == fresh
    else:
        with pytest.raises(StoreError, match="goes first"):
            store.replace(fresh)
        assert (both[1].read(), store.read()) == (KEY, NEW)


@pytest.mark.parametrize("error", [KeyringLocked(), PermissionError(), RuntimeError()], ids=repr)
def test_a_keyring_that_is_there_and_cannot_be_used_is_an_error_not_plain_text(use, both, store, error):
    """Nothing is written to the file unasked, and what is there is not used in its stead."""
    use(Failing(error))
    with pytest.raises(StoreError):
        store.replace(NEW)
    assert both[0].read() is None
    both[0].write(OLD)
    with pytest.raises(StoreError):
        store.read()
    assert store.place == both[1].place


@pytest.mark.parametrize("place", [0, 1], ids=["file", "keyring"])
def test_a_login_is_read_from_the_place_that_has_it_and_renewed_there(memory, both, store, place):
    """It is not moved by the way."""
    both[place].write(OLD)
    assert store.read() == OLD
    store.write(NEW)
    assert both[place].read() == NEW
    assert both[1 - place].read() is None
    assert store.place == both[place].place


@pytest.mark.parametrize("later", [0, 1], ids=["file", "keyring"])
def test_of_two_logins_the_one_renewed_last_counts(memory, both, store, later):
    """The other is neither used nor changed, and it is said where it is."""
    both[later].write(NEW)
    both[1 - later].write(OLD)
    assert store.read() == NEW
    assert both[1 - later].place in store.remark
    store.write({**NEW, "more": 1})
    assert both[1 - later].read() == OLD


@pytest.mark.parametrize("other", [None, "", "yesterday", 5, NEW["last_refresh"]])
def test_where_the_times_do_not_tell_the_keyrings_counts(memory, both, store, other):
    """As it does in Codex."""
    both[0].write({**KEY, "last_refresh": other})
    both[1].write({**NEW, "last_refresh": other})
    assert store.read() == both[1].read()


def test_a_damaged_file_beside_a_login_in_the_keyring_is_told(memory, both, store, home):
    """Whether it was the later one, nobody can say."""
    both[1].write(NEW)
    with open(os.path.join(home, "auth.json"), "w") as file:
        file.write("{")
    with pytest.raises(DamagedLoginError):
        store.read()


def test_a_use_looks_at_the_file_while_there_is_no_keyring_and_reads_where_there_is_one(use, both, store):
    """A stat tells nothing of a keyring."""
    store.replace(OLD)
    store.read()
    assert store.stamp() == both[0].stamp() is not None
    from .conftest import Memory

    use(Memory())
    store.read()
    assert store.stamp() is None


def test_stage_and_journal_are_where_the_login_is(memory, both, store):
    """For the renewal that another process finishes."""
    both[1].write(OLD)
    store.read()
    store.prepare(OLD)
    store.put_stage(Stage("parent", b"{}"))
    store.note(Journal(intent=Intent("parent")))
    assert both[1].stage() == Stage("parent", b"{}") == store.stage()
    assert both[0].stage() is None
    assert store.journal().intent == Intent("parent")
    store.drop_stage()
    assert both[1].stage() is None


def test_a_login_whose_keyring_goes_away_under_the_lock_is_not_gone(use, memory, both, store):
    """It was there a moment ago: whoever takes it for signed out revokes it."""
    both[1].write(OLD)
    with store.lock():
        assert store.read() == OLD
        use(Failing(NoKeyringError()))
        with pytest.raises(Missing):
            store.read()
        with pytest.raises(Missing):
            store.write(NEW)
    assert store.read() is both[0].read() is None


def test_what_another_thread_sees_moves_nothing_of_the_one_that_has_the_lock(use, memory, both, store):
    """Login, stage and journal go where the lock's owner read the login."""
    both[1].write(OLD)

    def look() -> None:
        use(Failing(NoKeyringError()))
        assert store.read() is None
        use(memory)

    with store.lock():
        store.read()
        other = threading.Thread(target=look)
        other.start()
        other.join()
        store.put_stage(Stage("parent", b"{}"))
        assert both[1].stage() == Stage("parent", b"{}")
        store.write(NEW)
        store.drop_stage()
    assert (both[0].read(), both[1].read()) == (None, NEW)
    assert both[1].stage() is None


def test_a_login_moved_under_the_lock_is_found_where_it_is_now(memory, both, store):
    """Another program that has the file may sign in anew, into the keyring."""
    both[0].write(OLD)
    with store.lock():
        assert store.read() == OLD
        both[0].remove()
        both[1].write(NEW)
        assert store.read() == NEW
        store.write({**NEW, "more": 1})
    assert both[0].read() is None
    assert both[1].read() == {**NEW, "more": 1}


def test_an_answer_that_waits_for_its_keyring_is_not_taken_for_a_login_that_is_gone(use, memory, both, store):
    """Until the keyring is back nobody is told to sign in, and nobody revokes it."""
    both[1].write(OLD)
    with store.lock():
        store.read()
        use(Failing(NoKeyringError()))
        store.put_stage(Stage("parent", b"{}"))
    assert both[0].stage() is None
    with pytest.raises(Missing):
        store.read()
    use(memory)
    assert store.read() == OLD
    assert store.stage() == Stage("parent", b"{}")


def test_an_answer_in_the_keyring_without_its_login_is_found(memory, both, store):
    """Somebody signed out elsewhere: whoever comes next has to revoke it."""
    both[1].put_stage(Stage("parent", b"{}"))
    assert store.read() is None
    assert store.stage() == Stage("parent", b"{}")


def test_of_a_damaged_entry_the_place_is_told(memory, both, store):
    """Not that of a file which is not there."""
    memory.kept["Codex Auth", both[1]._name.username] = "{"
    with pytest.raises(DamagedLoginError):
        store.read()
    assert store.place == both[1].place


@pytest.mark.parametrize(
    ("backend", "modes"),
    [
        (None, {"keyring"}),
        (Failing(KeyringLocked()), {"keyring", "auto"}),
        (Windows(), {"file", "keyring", "auto", "ephemeral"}),
    ],
    ids=["none", "locked", "usable"],
)
def test_signing_out_has_to_clear_a_keyring_that_can_hold_the_login(use, home, backend, modes):
    """A locked one is no obstacle for whoever keeps logins in the file; none at all, only for whoever insists on it."""
    if backend:
        use(backend)
    for mode in ("file", "keyring", "auto", "ephemeral"):
        kinds = [store.kind for store in clearable(mode, home, "openai", "x", lambda _: None)]
        assert kinds == (["file", "keyring"] if mode in modes else ["file"]), mode
