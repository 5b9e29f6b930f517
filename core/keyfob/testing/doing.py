"""What a program does to the world, as Python's audit events name it (PEP 578): it connects, looks up, runs, forks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

DOING: Final = frozenset({
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork",
})  # fmt: skip


def noted_sleep(note: Callable[[Any], object]) -> Callable[[Any], None]:
    """What stands in for `time.sleep`, and first notes the seconds: an audit event only from Python 3.13 on."""
    sleep = time.sleep

    def slept(seconds: Any) -> None:
        note(seconds)
        sleep(seconds)

    return slept
