"""The person at the terminal, as a sign-in sees them."""

from __future__ import annotations

import contextlib
import getpass
import socket
import time
from threading import Event
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from keyfob.cli.browsers import opened, unseen
from keyfob.cli.keyboard import keyboard
from keyfob.cli.lines import Lines
from keyfob.cli.secret import secret, typing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyfob.cli.keyboard import Keyboard
    from keyfob.cli.terminal import Terminal

    Typed = Callable[[str], str | None]

# Seconds until it is noticed that a wait is over.
_TICK = 0.1


class AtTerminal:
    """Speaks on stderr, and opens the browser of this machine. browses: whether to open one at all.

    For `with`: from the first wait on, nothing that is typed shows or is left to the shell. Afterwards the terminal is
    as before.
    """

    def __init__(self, terminal: Terminal, environ: Mapping[str, str], *, browses: bool = True) -> None:
        self._terminal = terminal
        self._environ = environ
        self._browses = browses
        self._host = "the issuer"
        self._told = False
        self._board: Keyboard | None = None
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._terminal.passing("")
        self._give_back()

    def _give_back(self) -> None:
        self._board = None
        self._held.close()

    def say(self, message: str) -> None:
        """A note."""
        self._terminal.note(message)

    def show(self, line: str) -> None:
        """Alone on its line."""
        self._terminal.show(line)

    def visit(self, url: str, port: int) -> None:
        """Open it here, and say how somebody gets there from another machine, and back.

        Over SSH the one that opens may be there, too, or nowhere: of those that `BROWSER` names nobody knows.
        """
        self._host = urlsplit(url).hostname or self._host
        opens = self._browses and opened(url, self._environ)
        if not opens or unseen(self._environ):
            self.say("if your browser is on another machine, run this there first, so that it can come back:")
            self.show(_forwarding(port, self._environ))
        opening = "sign in in the browser that opens; if none does, open this address:"
        self.say(opening if opens else "open this address in a browser:")
        self.show(url)
        if typing():
            self.say(
                "or, where it cannot come back, paste here the address that it fails to load in the end, and press "
                "Enter (it is not shown)"
            )

    def secret(self, what: str, whom: str) -> str:
        """Typed without being shown, or read from stdin."""
        self._give_back()
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
        board, lines = self._keyboard(), Lines()
        while not over.is_set() and (waited := time.monotonic() - begun) < seconds:
            self._terminal.passing(_passing(left - waited, lines.begun if typed else 0))
            self._take(lines, board, typed, min(_TICK, seconds - waited), over)
        if over.is_set():
            self._terminal.passing(f"received; asking {self._host} for the login…")

    def _keyboard(self) -> Keyboard | None:
        """The same for all waits: what is typed between two of them is nobody else's either."""
        if self._board is None and (board := keyboard()):
            self._board = self._held.enter_context(board)
        return self._board

    def _take(self, lines: Lines, board: Keyboard | None, typed: Typed | None, seconds: float, over: Event) -> None:
        """Hand on what is typed within so many seconds."""
        if board is None:
            over.wait(seconds)
            return
        for line in lines.of(board.read(seconds)):
            why = (typed or self._nowhere)(line) if line.strip() else None
            if why:
                self.say(why)

    def _nowhere(self, _: str) -> str | None:
        """What there is to say, once, to somebody who types where nothing is typed."""
        told, self._told = self._told, True
        return None if told else "nothing is to be typed here: the code belongs in the page at that address"


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
