"""The person at the terminal, as a sign-in sees them."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from keyfob.cli.secret import secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from keyfob.cli.terminal import Terminal


class AtTerminal:
    """Speaks on stderr, and opens the browser of this machine. browses: whether to open one at all."""

    def __init__(self, terminal: Terminal, *, browses: bool = True) -> None:
        self._terminal = terminal
        self.browses = browses

    def say(self, message: str) -> None:
        """A note."""
        self._terminal.note(message)

    def show(self, line: str) -> None:
        """Alone on its line."""
        self._terminal.show(line)

    def visit(self, url: str, port: int) -> None:
        """In a process of its own: a browser is not waited for, and what it prints is not for this terminal."""
        self.say("sign in in your browser; if it did not open, open this address:")
        self.show(url)
        self.say(
            "is the browser on another machine than this? First run "
            f"`ssh -L {port}:127.0.0.1:{port}` there, or paste the address that it ends at, which it cannot load, here"
        )
        if self.browses:
            subprocess.Popen(
                [sys.executable, "-I", "-m", "webbrowser", url],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def secret(self, what: str, whom: str) -> str:
        """Typed without being shown, or read from stdin."""
        return secret(what, whom, self._terminal)

    def wait(
        self,
        seconds: float,
        *,
        left: float,
        done: Event | None = None,
        typed: Callable[[str], str | None] | None = None,
    ) -> None:
        """Wait, with nothing to be seen."""
        if done is None:
            time.sleep(seconds)
        else:
            done.wait(seconds)
