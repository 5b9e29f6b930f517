"""Watching what a plugin does to the machine while it may do nothing, and having time and randomness stand still."""

from __future__ import annotations

import os
import random
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from unittest import mock

from keyfob.testing.doing import DOING, noted_sleep

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOW = time.time()

_watchers: list[list[tuple[str, tuple[object, ...]]]] = []
_hooked: list[bool] = []


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if _watchers and (event in DOING or event == "os.putenv" or (event == "open" and _is_own(arguments[0]))):
        for watcher in _watchers:
            watcher.append((event, arguments))


def _is_own(path: object) -> bool:
    """Whether a file is the plugin's business; what Python itself reads and keeps of modules is none of it."""
    text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
    of_python = text.endswith((".py", ".pyc", ".so")) or "__pycache__" in text
    return bool(text) and not of_python and not text.startswith((sys.prefix, sys.base_prefix))


@contextmanager
def watched() -> Iterator[list[tuple[str, tuple[object, ...]]]]:
    """What is done meanwhile, in any thread: (event, arguments), in order. Files, sleep and variables count, too."""
    if not _hooked:  # an audit hook stays until the interpreter ends
        _hooked.append(True)
        sys.addaudithook(_hear)
    seen: list[tuple[str, tuple[object, ...]]] = []
    _watchers.append(seen)
    try:
        with mock.patch.object(time, "sleep", noted_sleep(lambda seconds: seen.append(("time.sleep", (seconds,))))):
            yield seen
    finally:
        _watchers.remove(seen)


@contextmanager
def standing_still() -> Iterator[None]:
    """Have `time.time` show one moment, always the same, and every source of randomness yield the same.

    What a signature is of can be told only by comparing two, and a nonce alone would make them differ.
    """
    with ExitStack() as patches:
        for module, name in ((os, "urandom"), (random, "_urandom")):
            patches.enter_context(mock.patch.object(module, name, bytes))
        for module, name, value in ((time, "time", _NOW), (time, "time_ns", int(_NOW * 1e9)), (random, "random", 0.0)):
            patches.enter_context(mock.patch.object(module, name, return_value=value))
        yield


def places(seen: list[tuple[str, tuple[object, ...]]]) -> set[str]:
    """The `host:port` that connections were made to."""
    found = set()
    for event, arguments in seen:
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            found.add(":".join(map(str, arguments[1][:2])))
        elif event == "socket.getaddrinfo":
            found.add(f"{arguments[0]}:{arguments[1]}")
    return found
