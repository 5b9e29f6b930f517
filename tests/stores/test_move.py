"""Moving a login: at every moment it is in one place, or in both."""

from __future__ import annotations

import os
from typing import Any

import pytest
from keyring.errors import KeyringLocked

from keyfob.credentials.journal import Intent, Journal, Stage
from keyfob.errors import DamagedLoginError, OccupiedError, StoreError
from keyfob.stores import private
from keyfob.stores.choice import places
from keyfob.stores.move import move

from .conftest import Counted, Keychain, Killed, Steps
from .test_keyring import Failing, Forgetting, Windows

LOGIN: dict[str, Any] = {"auth_mode": "chatgpt", "tokens": {"refresh_token": "rt-canary", "name": "käse"}, "later": [1]}
OTHER: dict[str, Any] = {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-other"}
STAGE = Stage("parent", b'{"refresh_token":"rt-canary-2"}', 17.5, 18.0)
JOURNAL = Journal(intent=Intent("parent", sent=True), forced_at=3.0)
TARGETS = ("file", "keyring")


@pytest.fixture
def home(tmp_path) -> str:
    return os.path.realpath(tmp_path)


@pytest.fixture
def both(home):
    return fresh(home)


def fresh(home: str):
    """The file and the keyring entry, as another process sees them."""
    return places(home, "openai", "x", lambda _: None)


def sides(both, target):
    """Where from, and where to."""
    return both if target == "keyring" else both[::-1]


@pytest.mark.parametrize("target", TARGETS)
def test_a_login_is_moved_whole(memory, both, home, target):
    """And is gone from where it was."""
    source, goal = sides(both, target)
    source.write(LOGIN)
    assert move(*both, target) is True
    assert (source.read(), goal.read()) == (None, LOGIN)
    assert move(*both, target) is False
    assert goal.read() == LOGIN


@pytest.mark.parametrize("target", TARGETS)
def test_a_renewal_that_did_not_end_is_moved_too(memory, both, target):
    """Its staged answer may be the only login that lives; the journal says what it is of."""
    source, goal = sides(both, target)
    source.write(LOGIN)
    source.prepare(LOGIN)
    source.put_stage(STAGE)
    source.note(JOURNAL)
    move(*both, target)
    assert (goal.read(), goal.stage(), goal.journal()) == (LOGIN, STAGE, JOURNAL)
    assert source.stage() is None


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", [Counted, Keychain])
@pytest.mark.parametrize("staged", [False, True], ids=["", "staged"])
def test_ended_at_any_step_it_is_in_one_place_or_in_both(monkeypatch, use, home, target, staged, kind):
    """Never in none, and never in part; and moving it again ends well."""
    step = Steps()
    for module, name in ((os, "replace"), (os, "unlink"), (os, "fsync"), (private, "create")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, real=real, **k: (step(), real(*a, **k))[1])
    use(kind(step))
    ended = 0
    for steps in range(1000):
        both = fresh(home)
        source, _ = sides(both, target)
        source.write(LOGIN)
        if staged:
            source.prepare(LOGIN)
            source.put_stage(STAGE)
        step.left = steps
        try:
            move(*both, target)
        except Killed:
            ended += 1
        else:
            break
        finally:
            step.left = -1
        found = [store.read() for store in fresh(home)]
        assert LOGIN in found, steps
        assert all(each in (None, LOGIN) for each in found), steps
        stages = [store.stage() for store in fresh(home) if store.read()]
        assert not staged or STAGE in stages, steps
        move(*fresh(home), target)
        assert sides(fresh(home), target)[1].read() == LOGIN
        assert sides(fresh(home), target)[0].read() is None
        for store in fresh(home):
            store.delete()
    assert ended >= 10


@pytest.mark.parametrize("target", TARGETS)
def test_another_login_there_is_not_replaced_unasked(memory, both, target):
    """Both stay as they were; with the user's word the one there goes."""
    source, goal = sides(both, target)
    source.write(LOGIN)
    goal.write(OTHER)
    with pytest.raises(OccupiedError, match="holds another login") as caught:
        move(*both, target)
    assert source.place in str(caught.value)
    assert goal.place in str(caught.value)
    assert "--replace" in str(caught.value.hint)
    assert (source.read(), goal.read()) == (LOGIN, OTHER)
    assert move(*both, target, replace=True) is True
    assert (source.read(), goal.read()) == (None, LOGIN)


@pytest.mark.parametrize("target", TARGETS)
def test_a_copy_that_an_ended_move_left_is_no_other_login(memory, both, target):
    """Moving goes on where it ended."""
    source, goal = sides(both, target)
    source.write(LOGIN)
    goal.write(LOGIN)
    assert move(*both, target) is True
    assert (source.read(), goal.read()) == (None, LOGIN)


@pytest.mark.parametrize(
    "backend", [Forgetting(), Windows(), Failing(KeyringLocked())], ids=lambda one: type(one).__name__
)
def test_a_keyring_that_does_not_keep_the_copy_gets_no_login(use, both, backend):
    """The original is where it was, byte by byte."""
    use(backend)
    both[0].write({**LOGIN, "long": "x" * 3000})
    if isinstance(backend, Forgetting):
        backend.kept["Codex Auth", both[1]._name.username] = "{}"
    with pytest.raises(StoreError):
        move(*both, "keyring", replace=True)
    assert both[0].read() == {**LOGIN, "long": "x" * 3000}


def test_a_copy_that_reads_otherwise_afterwards_is_not_relied_on(memory, both, monkeypatch):
    """The original stays, and it is said where."""
    both[0].write(LOGIN)
    monkeypatch.setattr(both[1], "read", lambda: {**LOGIN, "later": []} if memory.kept else None)
    with pytest.raises(StoreError, match="the login stays in"):
        move(*both, "keyring")
    assert both[0].read() == LOGIN


def test_a_damaged_login_is_not_moved(memory, both, home):
    """It is told as what it is."""
    with open(os.path.join(home, "auth.json"), "w") as file:
        file.write("{")
    with pytest.raises(DamagedLoginError):
        move(*both, "keyring")
    with open(os.path.join(home, "auth.json")) as file:
        assert file.read() == "{"
    assert memory.kept == {}


def test_a_file_that_is_a_link_is_moved_with_its_target_and_its_journal(memory, tmp_path):
    """Nothing of the login is left in the other folder, and its renewals' journal is found again."""
    (tmp_path / "codex").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "codex" / "auth.json").symlink_to(tmp_path / "elsewhere" / "login.json")
    both = fresh(str(tmp_path / "codex"))
    both[0].write(LOGIN)
    both[0].note(JOURNAL)
    move(*both, "keyring")
    assert both[1].read() == LOGIN
    assert both[1].journal() == JOURNAL
    assert not (tmp_path / "elsewhere" / "login.json").exists()
    assert not os.path.lexists(tmp_path / "codex" / "auth.json")


def test_a_move_waits_for_whoever_renews(memory, both):
    """It takes the lock that a renewal holds."""
    both[0].write(LOGIN)
    held = []
    original = both[1].write

    def write(data):
        with pytest.raises(StoreError, match="held by"), fresh(os.path.dirname(both[0].path))[0].lock(wait=0):
            pass
        held.append(True)
        original(data)

    both[1].write = write
    move(*both, "keyring")
    assert held
