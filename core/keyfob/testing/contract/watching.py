"""Watching what a plugin does to the machine while it may do nothing: connections, names looked up, programs run."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# What Python raises as an audit event (PEP 578) before each.
_DOING = frozenset({
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork",
})  # fmt: skip

_watchers: list[list[tuple[str, tuple[object, ...]]]] = []
_hooked: list[bool] = []


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if _watchers and event in _DOING:
        for watcher in _watchers:
            watcher.append((event, arguments))


@contextmanager
def watched() -> Iterator[list[tuple[str, tuple[object, ...]]]]:
    """What is done meanwhile, in any thread: (event, arguments), in order."""
    if not _hooked:  # an audit hook stays until the interpreter ends
        _hooked.append(True)
        sys.addaudithook(_hear)
    seen: list[tuple[str, tuple[object, ...]]] = []
    _watchers.append(seen)
    try:
        yield seen
    finally:
        _watchers.remove(seen)


def places(seen: list[tuple[str, tuple[object, ...]]]) -> set[str]:
    """The `host:port` that connections were made to."""
    found = set()
    for event, arguments in seen:
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            found.add(":".join(map(str, arguments[1][:2])))
        elif event == "socket.getaddrinfo":
            found.add(f"{arguments[0]}:{arguments[1]}")
    return found
