"""The person at the terminal, as a sign-in sees them."""

from __future__ import annotations

import contextlib
import getpass
import socket
import time
from threading import Event
from typing import TYPE_CHECKING

from keyfob.cli.browsers import opened
from keyfob.cli.keyboard import Lines, keyboard
from keyfob.cli.secret import secret, typing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyfob.cli.keyboard import Keyboard
    from keyfob.cli.terminal import Terminal

    Typed = Callable[[str], str | None]

# Seconds until it is noticed that a wait is over.
_TICK = 0.1


class AtTerminal:
    """Speaks on stderr, and opens the browser of this machine. browses: whether to open one at all."""

    def __init__(self, terminal: Terminal, environ: Mapping[str, str], *, browses: bool = True) -> None:
        self._terminal = terminal
        self._environ = environ
        self._browses = browses

    def say(self, message: str) -> None:
        """A note."""
        self._terminal.note(message)

    def show(self, line: str) -> None:
        """Alone on its line."""
        self._terminal.show(line)

    def visit(self, url: str, port: int) -> None:
        """Open it here, or say how somebody gets there from another machine, and back."""
        if self._browses and opened(url, self._environ):
            self.say("sign in in the browser that opens; if none does, open this address:")
            self.show(url)
            if typing():
                self.say("should it fail to load the last page, paste the address of that page here, and press Enter")
            return
        self.say("open this address in a browser:")
        self.show(url)
        self.say("if that browser is on another machine, run this there first, so that it can come back:")
        self.show(_forwarding(port, self._environ))
        if typing():
            self.say(
                "or, without that, paste here the address that it fails to load in the end, and press Enter "
                "(it is not shown)"
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
        typed: Typed | None = None,
    ) -> None:
        """Wait, with the time that is left in a line that is rewritten, where that can be done."""
        over, begun = done or Event(), time.monotonic()
        board = keyboard() if typed else None
        lines = Lines()
        try:
            with board or contextlib.nullcontext():
                while not over.is_set() and (waited := time.monotonic() - begun) < seconds:
                    self._terminal.passing(_passing(left - waited, lines.begun))
                    self._take(lines, board, typed, over, min(_TICK, seconds - waited))
        except KeyboardInterrupt:
            self.say("given up; nothing was stored")
            raise
        finally:
            self._terminal.passing("")

    def _take(self, lines: Lines, board: Keyboard | None, typed: Typed | None, over: Event, seconds: float) -> None:
        """Hand on what is typed within so many seconds."""
        if board is None or typed is None:
            over.wait(seconds)
            return
        for line in lines.of(board.read(seconds)):
            if line.strip():
                self.say(typed(line) or "received")


def _passing(left: float, begun: int) -> str:
    minutes, seconds = divmod(max(0, round(left)), 60)
    if begun:
        return f"{begun:,} letters, not shown; press Enter ({minutes}:{seconds:02} left)"
    return f"waiting for you to sign in… {minutes}:{seconds:02} left, Ctrl-C gives up"


def _forwarding(port: int, environ: Mapping[str, str]) -> str:
    """What, run where the browser is, leads that port of it here: `ssh -L` with this machine as SSH reached it."""
    _, _, address, at = [*environ.get("SSH_CONNECTION", "").split(), "", "", "", ""][:4]
    with contextlib.suppress(OSError, KeyError, ImportError):  # a container in which nobody has a name
        address = f"{getpass.getuser()}@{address or socket.gethostname()}"
    other = f"-p {at} " if at not in {"", "22"} else ""
    return f"ssh {other}-L {port}:127.0.0.1:{port} {address or socket.gethostname()}"
