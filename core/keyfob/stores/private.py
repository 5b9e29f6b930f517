"""Files for nobody else: 0600 from the first byte, replaced whole, on disk before anybody counts on them."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat

_BINARY = getattr(os, "O_BINARY", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


def read(path: str, limit: int) -> bytes | None:
    """The bytes of an ordinary file, at most `limit` + 1 of them; None where there is none. Raises OSError.

    Raises IsADirectoryError for a folder, and ValueError for what is no file at all, such as a pipe.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _BINARY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError
        if not stat.S_ISREG(mode):
            raise ValueError("not an ordinary file")
        return file.read(limit + 1)


def create(path: str, *, size: int = 0, exclusive: bool = True) -> int:
    """Open a new file for writing, preallocated to `size` bytes; its descriptor. As root it gets the folder's owner."""
    flags = os.O_WRONLY | os.O_CREAT | _BINARY | _NOFOLLOW | (os.O_EXCL if exclusive else os.O_TRUNC)
    descriptor = os.open(path, flags, 0o600)
    try:
        own_like(descriptor, os.path.dirname(path))
        if size and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
    except BaseException:
        os.close(descriptor)
        if exclusive:
            os.unlink(path)
        raise
    return descriptor


def own_like(descriptor: int, model: str) -> None:
    """As root, give the file to the owner of `model`: whoever that is has to be able to use it afterwards."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        found = os.stat(model)
        os.fchown(descriptor, found.st_uid, found.st_gid)


def write(path: str, data: bytes) -> None:
    """Replace a file by `data`, at once and durably. Raises OSError; then it is as it was."""
    temporary = f"{path}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    descriptor = create(temporary)
    try:
        with open(descriptor, "wb") as file:
            if os.path.exists(path):
                own_like(descriptor, path)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(path)


def remove(path: str) -> bool:
    """Remove a file, durably; whether there was one."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    sync_folder(path)
    return True


def sync_folder(path: str) -> None:
    """Have the folder of `path` on disk as it is now: without it, a file renamed before a power cut may be gone."""
    if os.name == "nt":
        return
    descriptor = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
