"""The renewals under way in this process: one for each record, whoever waits for it."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from keyfob.credentials.forks import forget_after_fork
from keyfob.errors import LockedError, RenewalError

if TYPE_CHECKING:
    from keyfob.credentials.record import Record
    from keyfob.credentials.renewal import Renewal


class Renew(Protocol):
    """How a renewal is carried out."""

    def __call__(self, renewal: Renewal, known: Record, *, forced: bool, wait: bool) -> Future[Record]:
        """What `Renewal.run` returns or raises; see there."""
        ...


# The store's identity, the fingerprint that is known, forced, wait.
_Key = tuple[int, str, bool, bool]


class Renewals:
    """Runs each renewal in a thread of its own, which neither a cancelled waiter nor the program's end interrupts."""

    def __init__(self) -> None:
        self.forget()
        forget_after_fork(self)

    def forget(self) -> None:
        """After a fork: the parent's renewals end in the parent."""
        self._lock = threading.Lock()
        self._under_way: dict[_Key, Future[Record]] = {}

    def start(self, renewal: Renewal, known: Record, *, forced: bool, wait: bool) -> Future[Record]:
        """The renewal as a future, shared by all who ask for the same while it is under way.

        Raises RenewalError for one that needs itself, and unless `wait` LockedError for a record that is being renewed.
        """
        renewal.refuse_itself()
        key = (id(renewal.store), known.fingerprint, forced, wait)
        with self._lock:
            if not wait and any(store == key[0] for store, *_ in self._under_way):
                raise LockedError(f"{renewal.provider}: this process is renewing the login already")
            future = self._under_way.get(key)
            if future is not None:
                return future
            future = self._under_way[key] = Future()
            future.set_running_or_notify_cancel()  # from here on a waiter's cancel() changes nothing
        job = (key, future, renewal, known)
        try:  # not a daemon: the interpreter waits for it, so that a secret that was spent is not lost
            threading.Thread(target=self._run, args=job, name="keyfob-renewal", daemon=False).start()
        except RuntimeError as error:  # the interpreter is on its way out
            self._land(key)
            future.set_exception(RenewalError(f"{renewal.provider}: {error}"))
        return future

    def _run(self, key: _Key, future: Future[Record], renewal: Renewal, known: Record) -> None:
        _, _, forced, wait = key
        try:
            record = renewal.run(known, forced=forced, wait=wait)
        except BaseException as error:  # noqa: BLE001  # it is raised where it is waited for
            self._land(key)
            future.set_exception(error)
        else:
            self._land(key)
            future.set_result(record)

    def _land(self, key: _Key) -> None:
        with self._lock:
            self._under_way.pop(key, None)


renewals = Renewals()
"""Those of this process."""
