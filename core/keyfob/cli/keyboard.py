"""What is typed or pasted at the terminal while something else is waited for: not shown, and of any length."""

from __future__ import annotations

import os
import re
import sys
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a terminal puts around a paste, and what arrow keys send (ECMA-48, section 5.4).
_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_ENDS = re.compile(rb"[\r\n]")
# Bytes of a line. No address is as long; the rest of one that is makes no sense alone, and is refused as such.
_LONGEST = 1024 * 1024


class Lines:
    """Makes lines of what is typed, with the keys that mend one."""

    def __init__(self) -> None:
        self._begun = b""

    def of(self, typed: bytes) -> Iterator[str]:
        """The lines that are complete with this."""
        *ended, begun = _ENDS.split(self._begun + typed)
        self._begun = begun if len(begun) < _LONGEST else b""
        yield from map(_mended, ended)

    @property
    def begun(self) -> int:
        """The letters of the line that is not complete."""
        return len(_mended(self._begun))


def _mended(line: bytes) -> str:
    """The line as it was meant: backspace and Ctrl-U obeyed, and nothing in it that no letter is."""
    letters: list[str] = []
    for letter in _SEQUENCE.sub("", line.decode("utf-8", "replace")):
        if letter in "\b\x7f":
            del letters[-1:]
        elif letter == "\x15":
            letters.clear()
        elif letter.isprintable():
            letters.append(letter)
    return "".join(letters)


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
            del descriptor  # there is one console

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing was changed."""

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
    import threading

    class Keyboard:
        """For `with`: the terminal shows nothing of what is typed, and hands on more than the 4,095 bytes of a line
        that it would edit itself.

        It is as before afterwards, and while this process is stopped by Ctrl-Z. Ctrl-C is raised by `read` alone, so
        that a second one does not come between.
        """

        def __init__(self, descriptor: int) -> None:
            self._descriptor = descriptor
            self._before: list[Any] | None = None
            self._interrupted = False
            self._handlers: dict[int, Any] = {}

        def __enter__(self) -> Self:
            if threading.current_thread() is threading.main_thread():
                self._obey(signal.SIGINT, signal.default_int_handler, self._interrupt)
                self._obey(signal.SIGTSTP, signal.SIG_DFL, self._stop)
            self._hush()
            return self

        def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
            self._give_back(termios.TCSAFLUSH)  # the rest of a paste is not for the shell
            for number, before in self._handlers.items():
                signal.signal(number, before)
            if self._interrupted and kind is None:
                raise KeyboardInterrupt

        def read(self, seconds: float) -> bytes:
            """What was typed; waits so long for it. Raises KeyboardInterrupt."""
            if self._interrupted:
                raise KeyboardInterrupt
            if not self._hush():
                time.sleep(seconds)
                return b""
            if not select.select([self._descriptor], [], [], seconds)[0]:
                return b""
            try:
                return os.read(self._descriptor, 65536)
            except OSError:  # the terminal is gone, as the next look at it tells
                return b""

        def _obey(self, number: int, usual: object, handler: Any) -> None:
            """Handle a signal, unless somebody had it do something else, such as nothing."""
            if signal.getsignal(number) is usual:
                self._handlers[number] = signal.signal(number, handler)

        def _interrupt(self, *_: object) -> None:
            self._interrupted = True

        def _stop(self, number: int, _: object) -> None:
            """Ctrl-Z: the shell gets the terminal as it was; `read` takes it again when it is ours again."""
            self._give_back(termios.TCSANOW)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            signal.signal(number, self._stop)

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
