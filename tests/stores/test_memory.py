"""The ephemeral store: what it tells of itself, and its lock among threads."""

from __future__ import annotations

import pytest

from keyfob.credentials.journal import Intent, Journal, Stage
from keyfob.errors import LockedError
from keyfob.stores.memory import MemoryStore


def test_each_change_has_a_stamp_of_its_own() -> None:
    """Also where one record takes the place in memory that another had."""
    store, stamps = MemoryStore(), []
    for number in range(20):
        store.write({"number": number})
        stamps.append(store.stamp())
    assert store.delete()
    assert not store.delete()
    stamps.append(store.stamp())
    assert len(set(stamps)) == len(stamps)
    assert store.read() is None


def test_what_is_cleared_is_gone_and_the_record_stays() -> None:
    """A new login has taken the place of the one they tell of."""
    store = MemoryStore()
    store.write({"a": 1})
    store.note(Journal(Intent("f")))
    store.put_stage(Stage("f", b"{}"))
    store.clear()
    assert (store.journal(), store.stage(), store.read()) == (Journal(), None, {"a": 1})


def test_it_is_locked_among_threads() -> None:
    """Whoever does not wait is told; a forked child has a lock of its own."""
    store = MemoryStore()
    with store.lock():
        with pytest.raises(LockedError, match="another thread"), store.lock(wait=0):
            pass
        store.forget()
        with store.lock(wait=0):
            pass
    with store.lock(wait=0):
        pass
