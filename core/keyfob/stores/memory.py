"""The ephemeral store: a record lives as long as the process."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from keyfob.credentials.forks import forget_after_fork
from keyfob.credentials.journal import Journal, Stage
from keyfob.errors import LockedError
from keyfob.stores.locks import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.credentials.record import Data


class MemoryStore:
    """One record, kept nowhere."""

    kind = "ephemeral"
    place = "this process alone (ephemeral)"
    remark = "nothing is stored"

    def __init__(self) -> None:
        self._data: Data | None = None
        self._changes = 0
        self._journal = Journal()
        self._stage: Stage | None = None
        self.forget()
        forget_after_fork(self)

    def forget(self) -> None:
        """After a fork: the lock may be held by a thread that the child does not have."""
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def lock(self, *, wait: float | None = None) -> Iterator[None]:
        """Among the threads of this process: no other can know the record."""
        lock = self._lock
        if not lock.acquire(timeout=DEADLINE if wait is None else wait):
            raise LockedError(f"{self.place}: held by another thread", hint="try again when it has ended")
        try:
            yield
        finally:
            lock.release()

    def unlock(self) -> None:
        """It has no lock that a user could open."""

    def writing(self) -> contextlib.AbstractContextManager[None]:
        """Nobody else writes it."""
        return contextlib.nullcontext()

    def read(self) -> Data | None:
        """See `Store.read`."""
        return self._data

    def write(self, data: Data) -> None:
        """See `Store.write`."""
        self._data = data
        self._changes += 1

    def replace(self, data: Data) -> None:
        """See `Store.replace`."""
        self.write(data)
        self.clear()

    def probe(self, size: int) -> None:
        """There is always room."""

    def delete(self) -> bool:
        """See `Store.delete`."""
        there, self._data = self._data is not None, None
        self._changes += 1
        self.clear()
        return there

    def clear(self) -> None:
        """See `Store.clear`."""
        self._journal, self._stage = Journal(), None

    def stamp(self) -> object:
        """See `Store.stamp`."""
        return self._changes

    def prepare(self, data: Data) -> None:
        """There is always room."""

    def journal(self) -> Journal:
        """See `Store.journal`."""
        return self._journal

    def note(self, journal: Journal) -> None:
        """See `Store.note`."""
        self._journal = journal

    def stage(self) -> Stage | None:
        """See `Store.stage`."""
        return self._stage

    def put_stage(self, stage: Stage) -> None:
        """See `Store.put_stage`."""
        self._stage = stage

    def drop_stage(self) -> None:
        """See `Store.drop_stage`."""
        self._stage = None
