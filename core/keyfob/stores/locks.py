"""Locks among the processes of one machine: `flock` on a file that stays.

Whoever holds it proves by that alone that the last owner is gone; a process id or a time in the file proves nothing,
and is there for people.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING

from keyfob.credentials.forks import forget_after_fork
from keyfob.errors import LockedError, StoreError
from keyfob.stores.private import own_like

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# Seconds between two tries, and until giving up.
_EVERY = 0.002
DEADLINE = 60.0


class _Descriptors:
    """The lock files that this process has open."""

    def __init__(self) -> None:
        self.open: set[int] = set()
        forget_after_fork(self)

    def forget(self) -> None:
        """After a fork: close them without unlocking, for the lock is the parent's."""
        for descriptor in self.open:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.open = set()


_descriptors = _Descriptors()


@contextlib.contextmanager
def locked(path: str, *, wait: float = DEADLINE, mode: int = 0o600, signed: bool = True) -> Iterator[None]:
    """Hold the lock on `path`, which is made if it is missing. wait: seconds.

    signed: write into it who holds it. Raises LockedError that says who holds it, StoreError if no lock is possible.
    """
    descriptor = _opened(path, mode)
    _descriptors.open.add(descriptor)
    try:
        _acquire(descriptor, path, wait)
        if signed:
            _sign(descriptor)
        yield
    finally:
        if descriptor in _descriptors.open:  # not in a child that was forked meanwhile
            _descriptors.open.discard(descriptor)
            os.close(descriptor)


def _opened(path: str, mode: int) -> int:
    try:
        new = not os.path.lexists(path)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags, mode)
        if new:
            own_like(descriptor, os.path.dirname(path))
    except OSError as error:
        raise StoreError(f"{path}: no lock can be taken: {error.strerror}") from error
    return descriptor


def _acquire(descriptor: int, path: str, wait: float) -> None:
    deadline = time.monotonic() + wait
    while not _tried(descriptor, path):
        if time.monotonic() >= deadline:
            raise LockedError(f"{path}: held by {_holder(descriptor)}", hint="try again when it has ended")
        time.sleep(_EVERY)


def _tried(descriptor: int, path: str) -> bool:
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        raise StoreError(f"{path}: this file system has no locks: {error.strerror}") from error
    return True


# On Windows nobody can read a byte that is locked: lock one that is not there.
_FAR = 2**20


def _sign(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # a full disk is no reason not to hold a lock
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f"process {os.getpid()}\n".encode())


def _holder(descriptor: int) -> str:
    with contextlib.suppress(OSError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        text = os.read(descriptor, 64).decode("ascii", "replace").strip()
        if text.startswith("process ") and text[8:].isdigit():
            return text
    return "another process"
