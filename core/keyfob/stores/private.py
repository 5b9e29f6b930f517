"""Files for nobody else: 0600 from the first byte, replaced whole, on disk before anybody counts on them."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys

_BINARY = getattr(os, "O_BINARY", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
# How a file system says that it cannot do something at all.
_CANNOT = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)


class NotAFileError(OSError):
    """A folder, a pipe or a device. `what` is the rest of a sentence that says so."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(errno.EINVAL, what, path)
        self.what = what


def read(path: str, limit: int) -> bytes | None:
    """The bytes of an ordinary file, at most `limit` + 1 of them; None where there is none.

    Never waits, not for a pipe's other end either. Raises OSError, NotAFileError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _BINARY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise NotAFileError(path, "is a folder" if stat.S_ISDIR(mode) else "is not an ordinary file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(limit + 1)
    finally:
        os.close(descriptor)


def create(path: str, *, like: str, size: int = 0) -> int:
    """Open a new file for writing, in the place of what a killed process left there; its descriptor. Raises OSError.

    like: see `own_like`. size: bytes that are put by for what will be written.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY | _NOFOLLOW, 0o600)
    try:
        own_like(descriptor, like)
        _put_by(descriptor, size)
    except BaseException:
        os.close(descriptor)
        os.unlink(path)
        raise
    return descriptor


def _put_by(descriptor: int, size: int) -> None:
    """Take the room on the disk now; where the system cannot do that, by writing."""
    if not size:
        return
    if sys.platform not in ("win32", "darwin"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
        else:
            return
    with open(descriptor, "wb", closefd=False) as file:
        file.write(bytes(size))


def own_like(descriptor: int, model: str) -> None:
    """As root, give the file to the owner of `model`, or of its folder while that is not there.

    Whoever that is has to be able to use it afterwards.
    """
    if sys.platform != "win32" and os.geteuid() == 0:
        found = os.stat(model if os.path.exists(model) else os.path.dirname(model))
        os.fchown(descriptor, found.st_uid, found.st_gid)


def write(path: str, data: bytes, *, temporary: str, like: str, mode: int = 0o600) -> None:
    """Replace a file by `data`, at once and durably. Raises OSError; the file is then as it was, or replaced whole.

    temporary: in the same folder; one at a time may write it. like: see `own_like`. mode: of a file that is not ours
    alone.
    """
    descriptor = create(temporary, like=like)
    try:
        fill(descriptor, data)
        if mode != 0o600:
            os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(path)


def fill(descriptor: int, data: bytes) -> None:
    """Make `data` all that the file holds, durably, and close it."""
    with open(descriptor, "wb") as file:
        file.write(data)
        file.truncate()
        file.flush()
        _sync(descriptor)


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":  # there, fsync leaves it in the drive's own memory
        import fcntl

        with contextlib.suppress(OSError):  # not every file system has this one
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def remove(path: str) -> bool:
    """Remove a file, durably; whether there was one. Raises OSError."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    sync_folder(path)
    return True


def sync_folder(path: str) -> None:
    """Have the folder of `path` on disk as it is now: without it, a file renamed before a power cut may be gone."""
    if sys.platform == "win32":
        return
    descriptor = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT:  # more cannot be had there
            raise
    finally:
        os.close(descriptor)


def make_folder(path: str) -> None:
    """Make a folder for nobody else, and those above it that are missing. As root it gets the owner of the one above.

    Raises OSError.
    """
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    make_folder(above)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
        if sys.platform != "win32" and os.geteuid() == 0:
            found = os.stat(above)
            os.chown(path, found.st_uid, found.st_gid, follow_symlinks=False)
        sync_folder(path)
