"""The ephemeral store: a record lives as long as the process."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from keyfob.credentials.journal import Journal, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.credentials.record import Data


class MemoryStore:
    """One record, kept nowhere."""

    kind = "ephemeral"
    place = "this process alone (ephemeral)"

    def __init__(self) -> None:
        self._data: Data | None = None
        self._journal = Journal()
        self._stage: Stage | None = None

    @contextlib.contextmanager
    def lock(self, *, wait: bool = True) -> Iterator[None]:
        """No other process can know it; within this one, one renewal at a time is started."""
        yield

    def writing(self) -> contextlib.AbstractContextManager[None]:
        """Nobody else writes it."""
        return contextlib.nullcontext()

    def read(self) -> Data | None:
        """See `Store.read`."""
        return self._data

    def write(self, data: Data) -> None:
        """See `Store.write`."""
        self._data = data

    def delete(self) -> bool:
        """See `Store.delete`."""
        self.clear()
        removed, self._data = self._data is not None, None
        return removed

    def clear(self) -> None:
        """See `Store.clear`."""
        self._journal, self._stage = Journal(), None

    def stamp(self) -> object:
        """See `Store.stamp`."""
        return id(self._data)

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
