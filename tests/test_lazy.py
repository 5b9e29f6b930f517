"""What is computed when it is first needed is kept, without a lock."""

from __future__ import annotations

import os
import threading

import pytest

from keyfob.lazy import lazy


class Counted:
    """Counts how often its value is computed."""

    def __init__(self, gate=None):
        self.gate, self.times = gate, 0

    @lazy
    def value(self):
        """The value."""
        self.times += 1
        if self.gate is not None:
            self.gate.wait(10)
        return object()


def test_it_is_computed_once():
    """For each instance."""
    one, other = Counted(), Counted()
    assert one.value is one.value
    assert one.times == 1
    assert one.value is not other.value


def test_it_knows_its_words():
    """On the class it is itself, with the docstring of what it wraps."""
    assert Counted.value.__doc__ == "The value."


def test_a_slow_one_holds_up_no_other():
    """In Python 3.11 functools.cached_property would: its lock is one for all instances."""
    gate = threading.Event()
    slow = Counted(gate)
    thread = threading.Thread(target=lambda: slow.value)
    thread.start()
    try:
        assert Counted().value
    finally:
        gate.set()
        thread.join()


def test_threads_that_come_at_once_get_one_object():
    """Whoever ends first decides for all."""
    gate, counted, got = threading.Event(), None, []
    counted = Counted(gate)
    threads = [threading.Thread(target=lambda: got.append(counted.value)) for _ in range(8)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert len(set(map(id, got))) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks as POSIX does")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_does_not_wait():
    """For a computation that only the parent's thread will end."""
    gate = threading.Event()
    slow = Counted(gate)
    thread = threading.Thread(target=lambda: slow.value)
    thread.start()
    child = os.fork()
    if child == 0:
        os._exit(0 if Counted().value else 1)
    gate.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
