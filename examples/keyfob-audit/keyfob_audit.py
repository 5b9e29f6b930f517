"""An audit log: one JSON object a line for each event that keyfob announces.

It is written by every process that uses keyfob, at the same time. So a line is appended with one write, which neither
another writer nor a rotation can part, under a lock on the log; and only one process rotates, under a lock of its own.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import pairwise

from keyfob.plugin import Event, hookimpl

LARGEST = 1024 * 1024
"""Bytes after which a log is put aside."""

KEPT = 5
"""How many that were put aside are kept, `audit.jsonl.1` the newest; older ones are gone."""

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW


@hookimpl
def keyfob_event(event: Event) -> None:
    """Write it down."""
    path = log()
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    if append(path, f"{json.dumps(_fields(event))}\n".encode()) >= LARGEST:
        rotate(path)


def log() -> str:
    """The path of the log: KEYFOB_AUDIT_LOG, else `keyfob/audit.jsonl` in the user's folder for such files."""
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # such a one is to be ignored, says the XDG base directory specification
        state = os.path.expanduser("~/.local/state")
    return os.path.join(state, "keyfob", os.path.expanduser(os.environ.get("KEYFOB_AUDIT_LOG") or "audit.jsonl"))


def _fields(event: Event) -> dict[str, object]:
    """What is known of it, and which process was told; the time as RFC 3339 writes it."""
    known = {name: value for name, value in asdict(event).items() if value is not None}
    at = datetime.fromtimestamp(known.pop("at"), UTC).isoformat(timespec="milliseconds")
    return {"time": at, **known, "process": os.getpid()}


def append(path: str, line: bytes) -> int:
    """Append a line, behind the whole ones that are there; how long the log is then. Raises OSError."""
    file = os.open(path, _FLAGS, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)  # while another one writes, its line is seen in part
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":  # the power went, or the disk was full
            line = b"\n" + line
        if os.write(file, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        return os.fstat(file).st_size
    finally:
        os.close(file)


def rotate(path: str) -> None:
    """Put the log aside, unless another process does so or has just done it.

    Whoever has the log open goes on writing to where it was put.
    """
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.stat(path).st_size >= LARGEST:
                _put_aside(path)
    finally:
        os.close(lock)


def _put_aside(path: str) -> None:
    names = [path, *(f"{path}.{number}" for number in range(1, KEPT + 1))]
    for newer, older in reversed(list(pairwise(names))):
        with contextlib.suppress(FileNotFoundError):
            os.replace(newer, older)
