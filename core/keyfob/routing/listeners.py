"""Listeners: the plugins that hear of events, each in a thread of its own.

So whoever announces waits for nobody, and one listener that hangs holds up neither a request nor the others; no lock
is held while a listener runs, except by threads that do not wait for it. A thread ends when there is nothing left to
hear.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
import weakref
from collections import deque
from functools import cache
from typing import TYPE_CHECKING

from keyfob.credentials.forks import forget_after_fork
from keyfob.errors import Fault, PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keyfob.credentials.event import Event
    from keyfob.routing.installed import Declaration
    from keyfob.routing.plugins import Plugins

# So long a process waits at its end for those who have not heard all. Seconds; of the five after which Codex kills a
# token command, enough have to be left for the renewal itself.
LINGER = 2.0
# Events that wait for one listener, at the most: one that hangs must not fill the memory.
MOST = 1_000


class Listeners:
    """Those of one host. warn: told of one that breaks, once of each."""

    def __init__(self, plugins: Plugins, warn: Callable[[Fault], None]) -> None:
        self._all = [_Listener(declared, plugins, warn) for declared in plugins.listeners]

    def announce(self, event: Event) -> None:
        """Have each told, in a thread of its own."""
        for listener in self._all:
            listener.tell(event)

    def heard(self) -> None:
        """Wait until all have heard everything, LINGER at the most."""
        _wait(self._all)


class _Listener:
    """One entry point in group `keyfob.events`. It is imported when it is told something for the first time."""

    def __init__(self, declared: Declaration, plugins: Plugins, warn: Callable[[Fault], None]) -> None:
        self._declared = declared
        self._plugins = plugins
        self._warn = warn
        self._hook: Callable[..., object] | None = None
        self._deaf = False
        self._warned = False
        self.forget()
        forget_after_fork(self)
        _alive.add(self)

    def forget(self) -> None:
        """After a fork: what was announced in the parent is heard there."""
        self._lock = threading.Lock()
        self._waiting: deque[Event] = deque()
        self._thread: threading.Thread | None = None
        self._late = False

    def tell(self, event: Event) -> None:
        """Have it told, after what is waiting already."""
        with self._lock:
            crowded = len(self._waiting) >= MOST
            if not crowded and not self._deaf:
                self._waiting.append(event)
                self._start()
        if crowded:
            self._complain(f"it does not keep up, and misses events: {MOST} are waiting for it")

    def _start(self) -> None:
        if self._thread is None:
            _wait_under_multiprocessing(os.getpid())
            thread = threading.Thread(target=self._run, name="keyfob-listener", daemon=True)
            with contextlib.suppress(RuntimeError):  # no thread to be had: it waits for the next event
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                event = self._waiting.popleft()
            self._hear(event)

    def _hear(self, event: Event) -> None:
        hook = self._hook if self._hook or self._deaf else self._loaded()
        if hook is None:
            return
        try:
            returned = hook(event=event)
        except BaseException as error:  # noqa: BLE001  # any plugin may raise anything; its text could hold anything
            self._complain(f"its keyfob_event() broke on a {event.kind}: {type(error).__name__}")
        else:
            if returned:  # a coroutine, it may be, that nobody awaits
                self._complain("its keyfob_event() returned something, which nobody looks at")

    def _loaded(self) -> Callable[..., object] | None:
        try:
            self._hook = self._plugins.listener(self._declared)
        except BaseException as error:  # noqa: BLE001  # the same while it is imported
            why = str(error) if isinstance(error, PluginError) else type(error).__name__
            self._deaf = True
            why = why.removeprefix(f"{self._declared}: ")
            self._complain(f"it receives no events: {why}", "keyfob plugins --check")
        return self._hook

    def wait(self, deadline: float) -> None:
        """Wait until it has heard everything; one that was too late once is not waited for again."""
        thread = self._thread
        if thread is None or self._late or thread is threading.current_thread():
            return
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            self._late = True
            self._complain(f"its keyfob_event() has not come back after {LINGER:g} s, and is not waited for")

    def _complain(self, what: str, mend: str | None = None) -> None:
        if not self._warned:
            self._warned = True
            mend = mend or f"pip uninstall {self._declared.distribution}"
            with contextlib.suppress(Exception):  # warnings may be errors in this process
                self._warn(Fault(what, mend, path=f"plugin {self._declared}"))


def _wait(listeners: Iterable[_Listener]) -> None:
    deadline = time.monotonic() + LINGER
    for listener in listeners:
        listener.wait(deadline)


_alive: weakref.WeakSet[_Listener] = weakref.WeakSet()


@atexit.register
def _wait_for_all() -> None:
    """At the end of the process; renewals, whose threads are no daemons, have ended by then."""
    _wait(list(_alive))


@cache
def _wait_under_multiprocessing(process: int) -> None:  # noqa: ARG001  # once in each
    """The same in its children: where they are forked, they end without asking atexit, but ask a list of its own."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(None, _wait_for_all, exitpriority=0)
