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


class _LockFile:
    """A lock file that this process has open. descriptor: None after a fork, where the lock is the parent's."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor: int | None = descriptor
        forget_after_fork(self)

    def forget(self) -> None:
        """In the forked child: close it without unlocking."""
        if self.descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self.descriptor)
            self.descriptor = None

    def release(self) -> None:
        """Unlock, then close: a child that was forked while the file was being opened may have it open still."""
        if self.descriptor is not None:
            descriptor, self.descriptor = self.descriptor, None
            _unlock(descriptor)
            os.close(descriptor)


@contextlib.contextmanager
def locked(
    path: str, *, wait: float = DEADLINE, mode: int = 0o600, signed: bool = True, like: str | None = None
) -> Iterator[None]:
    """Hold the lock on `path`, which is made if it is missing; its folder is there. wait: seconds.

    signed: write into it who holds it. like: whose owner a new lock file gets from root, by default its folder's.
    Raises LockedError that says who holds it, StoreError if no lock is possible.
    """
    descriptor = _opened(path, mode, like or os.path.dirname(path))
    file = _LockFile(descriptor)
    try:
        _acquire(descriptor, path, wait)
        if signed:
            _sign(descriptor)
        yield
    finally:
        file.release()


def _opened(path: str, mode: int, like: str) -> int:
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        try:
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            return os.open(path, flags)
        try:
            own_like(descriptor, like)  # only what was made here: what was there could be a link to anything
        except OSError:
            os.close(descriptor)
            raise
    except OSError as error:
        raise StoreError(f"no lock can be taken on {path}: {error.strerror}", hint="keyfob doctor") from error
    return descriptor


def _acquire(descriptor: int, path: str, wait: float) -> None:
    deadline = time.monotonic() + wait
    while not _tried(descriptor, path):
        if time.monotonic() >= deadline:
            raise LockedError(f"{path} is held by {_holder(descriptor)}", hint="try again when that has ended")
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
        raise StoreError(
            f"{path} cannot be locked on this file system: {error.strerror}", hint="keyfob doctor"
        ) from error
    return True


def _unlock(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # it is closed next, which unlocks it too
        if sys.platform == "win32":
            os.lseek(descriptor, _FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_UN)


# On Windows nobody can read a byte that is locked: lock one that is not there.
_FAR = 2**20


def _sign(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # a full disk is no reason not to hold a lock
        os.lseek(descriptor, 0, os.SEEK_SET)
        # Always of one length, so never truncated: that takes ext4 longer than all else that is done under the lock.
        os.write(descriptor, f"process {os.getpid():<24}\n".encode())


def _holder(descriptor: int) -> str:
    with contextlib.suppress(OSError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        text = os.read(descriptor, 64).decode("ascii", "replace").partition("\n")[0].strip()
        if text.startswith("process ") and text[8:].isdigit():
            return text
    return "another process"
