"""A program at a terminal of its own, as a person has it: what it shows, and what they type."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import subprocess
import termios
import threading
import time
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PATIENCE_S: Final = 30.0
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class AtTerminal:
    """The program; start it with `with`, which ends it where it still runs."""

    def __init__(self, command: Sequence[str], cwd: str, environ: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**environ, "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_take_the_terminal,  # for Ctrl-C to reach it
        )
        os.close(theirs)
        self._said = bytearray()
        self._reader = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        os.close(self._ours)

    @property
    def said(self) -> str:
        """All that it wrote so far, without colours and such; a sentence of several lines is one."""
        said = _ESCAPES.sub("", self._said.decode(errors="replace")).replace("\r\n", "\n")
        return said.replace("\n        ", " ")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until it has written something.

        Raises:
            AssertionError: it ended before, or took too long; the text is what it wrote.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            over = not self._reader.is_alive() or time.monotonic() > deadline
            if found := re.search(pattern, self.said):
                return found
            assert not over, f"{pattern!r} did not come:\n{self.said}"
            time.sleep(0.02)

    def type(self, text: str) -> None:
        """Type something; "\\x03" is Ctrl-C."""
        os.write(self._ours, text.encode())

    def ended(self) -> int:
        """Wait for its end; returns the exit code.

        Raises:
            AssertionError: it took too long; the text is what it wrote.
        """
        try:
            status = self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end:\n{self.said}") from None
        self._reader.join()
        return status

    def _read(self) -> None:
        try:
            while piece := os.read(self._ours, 4096):
                self._said += piece
        except OSError:  # EIO: Linux says so when nobody has the other end open any more
            pass


def _take_the_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
