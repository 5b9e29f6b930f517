"""Repeats: a program that asks again at once was refused with what it was handed (`--repeat-means-refused`).

What was handed out is noted as an empty file in the cache. Its name is a hash of the program that asks, the provider
and the token; its time is when. On the warm path: imports only what is cheap.
"""

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from keyfob.config.places import Places

# Whoever asks again within this time was refused; later the token may just have been thrown away. Seconds.
AT_ONCE = 10.0


class Repeats:
    """What one program was handed for one provider. Programs and providers do not disturb each other.

    asker: the program, see `parent`; None if it cannot be told, then nothing counts as repeated. clock: seconds since
    the epoch.
    """

    def __init__(
        self, places: "Places", provider: str, asker: "str | None", clock: "Callable[[], float]" = time.time
    ) -> None:
        self._folder = os.path.join(places.cache, "handed")
        self._whose = None if asker is None else f"{asker}\n{places.codex_home}\n{provider}"
        self._clock = clock

    def counts(self, token: str) -> bool:
        """Whether the program was handed this very token a moment ago."""
        if self._whose is None:
            return False
        try:
            at = os.lstat(self._note(token)).st_mtime
        except OSError:
            return False
        return self._recent(at)

    def note(self, token: str) -> None:
        """Note that the program has it now. Raises OSError."""
        if self._whose is None:
            return
        for folder in (os.path.dirname(self._folder), self._folder):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        self._tidy()
        now = self._clock()
        descriptor = os.open(self._note(token), os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            os.utime(descriptor, (now, now))
        finally:
            os.close(descriptor)

    def _tidy(self) -> None:
        """Remove the notes that mean nothing any more."""
        for entry in os.scandir(self._folder):
            try:
                if not self._recent(entry.stat(follow_symlinks=False).st_mtime):
                    os.unlink(entry)
            except OSError:  # another process has just done it
                continue

    def _recent(self, at: float) -> bool:
        return 0 <= self._clock() - at <= AT_ONCE

    def _note(self, token: str) -> str:
        from hashlib import sha256

        name = sha256(f"{self._whose}\n{token}".encode("utf-8", "surrogatepass")).hexdigest()
        return os.path.join(self._folder, name)


def parent() -> "str | None":
    """The process that has started this one, as no other is called: its id, and when it started.

    None where it cannot be told: the parent is in another container, or this is Windows, where a launcher of its own
    stands between a program and each start of keyfob.
    """
    if sys.platform == "win32":
        return None
    process = os.getppid()
    started = _started(process)
    return f"{process} {started}" if started else None


def _started(process: int) -> "str | None":
    """When a process started: in ticks since the machine did (field 22 of proc_pid_stat(5)), or as `ps` tells it."""
    if sys.platform != "linux":
        return _told_by_ps(process)
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19].decode("ascii")
    except (OSError, IndexError):
        return None


def _told_by_ps(process: int) -> "str | None":
    import subprocess

    command = ["/bin/ps", "-o", "lstart=", "-p", str(process)]
    try:
        told = subprocess.run(command, capture_output=True, env={"LC_ALL": "C"}, timeout=5, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return told.decode("ascii", "replace").strip() or None
