"""The keyboard while something else is waited for: what is typed is not shown, not cut, and not left to the shell."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Self

from keyfob.cli.ending import undisturbed


def keyboard() -> Keyboard | None:
    """The keyboard at stdin; None where there is none."""
    try:
        return Keyboard(sys.stdin.fileno()) if sys.stdin is not None and sys.stdin.isatty() else None
    except (OSError, ValueError):  # closed, or no file at all
        return None


if sys.platform == "win32":
    import msvcrt

    class Keyboard:
        """For `with`."""

        def __init__(self, descriptor: int) -> None:
            pass  # there is one console

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            while msvcrt.kbhit():  # the rest of a paste is not for the shell
                msvcrt.getwch()

        def read(self, seconds: float) -> bytes:
            """What was typed; waits so long for it. Raises KeyboardInterrupt."""
            if not msvcrt.kbhit():
                time.sleep(seconds)
            typed = ""
            while msvcrt.kbhit():
                typed += _letter()
            return typed.encode("utf-8", "replace")

    def _letter() -> str:
        letter = msvcrt.getwch()
        if letter == "\x03":
            raise KeyboardInterrupt
        if letter in "\x00\xe0":  # an arrow or the like; what it is comes second
            msvcrt.getwch()
            return ""
        return letter

else:
    import select
    import signal
    import termios

    class Keyboard:
        """For `with`: the terminal shows nothing of what is typed, and hands on more than the 4,095 bytes of a line
        that it would edit itself.

        It is as before afterwards, and while this process is stopped by Ctrl-Z, or ended by Ctrl-\\.
        """

        def __init__(self, descriptor: int) -> None:
            self._descriptor = descriptor
            self._before: list[Any] | None = None
            self._handlers: dict[int, Any] = {}

        def __enter__(self) -> Self:
            for number in (signal.SIGTSTP, signal.SIGQUIT):
                if signal.getsignal(number) is signal.SIG_DFL:  # nobody had it do something else, such as nothing
                    self._handlers[number] = signal.signal(number, self._let_go)
            self._hush()
            return self

        def __exit__(self, *_: object) -> None:
            with undisturbed():
                self._give_back(termios.TCSAFLUSH)  # the rest of a paste is not for the shell
            for number, before in self._handlers.items():
                signal.signal(number, before)

        def read(self, seconds: float) -> bytes:
            """What was typed; waits so long for it."""
            if not self._hush():
                time.sleep(seconds)
                return b""
            if not select.select([self._descriptor], [], [], seconds)[0]:
                return b""
            try:
                return os.read(self._descriptor, 65536)
            except OSError:  # the terminal is gone, as the next look at it tells
                return b""

        def _let_go(self, number: int, _: object) -> None:
            """Ctrl-Z or Ctrl-\\: the shell gets the terminal as it was; `read` takes it again when it is ours again."""
            self._give_back(termios.TCSANOW)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            signal.signal(number, self._let_go)

        def _hush(self) -> bool:
            """See that nothing is shown: a shell that had the terminal meanwhile sets it anew. Returns whether it is
            ours to read from."""
            try:
                if not self._is_ours():
                    return False
                now = termios.tcgetattr(self._descriptor)
                if now[3] & (termios.ICANON | termios.ECHO):
                    self._before = self._before or termios.tcgetattr(self._descriptor)
                    now[3] &= ~(termios.ICANON | termios.ECHO)
                    now[6][termios.VMIN], now[6][termios.VTIME] = 1, 0
                    termios.tcsetattr(self._descriptor, termios.TCSANOW, now)
            except (OSError, termios.error):
                return False
            return True

        def _give_back(self, when: int) -> None:
            try:
                if self._before is not None and self._is_ours():
                    termios.tcsetattr(self._descriptor, when, self._before)
            except (OSError, termios.error):  # it is gone
                pass

        def _is_ours(self) -> bool:
            """Whether this process is in the foreground: else to touch the terminal would stop it."""
            try:
                return os.tcgetpgrp(self._descriptor) == os.getpgrp()
            except OSError:  # it rules no processes, so nobody is stopped
                return True
