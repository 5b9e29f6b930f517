"""The end of a command that is told to stop: what it started is stopped first."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class _Told(BaseException):
    """A signal, raised where it was received, so that whoever has something to stop does."""

    def __init__(self, number: int) -> None:
        self.number = number


@contextmanager
def cleanly() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack, and then end this process as they would have."""
    for number in _SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup's choice stays
            signal.signal(number, _raise)
    try:
        yield
    except _Told as told:
        signal.signal(told.number, signal.SIG_DFL)
        os.kill(os.getpid(), told.number)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C and these signals while something short is finished."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in [signal.SIGINT, *_SIGNALS]}
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)


@contextmanager
def interrupted_once() -> Iterator[None]:
    """Let the first Ctrl-C interrupt, and those after it do nothing: all is being put in order by then."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _raise(number: int, _frame: FrameType | None) -> NoReturn:
    raise _Told(number)
