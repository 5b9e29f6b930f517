"""The store: where one record is kept, with the lock, the journal and the stage that its renewal needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from keyfob.credentials.journal import Journal, Stage
    from keyfob.credentials.record import Data


class Store(Protocol):
    """One record's place. Everything here raises StoreError where the place cannot be used.

    Methods that change something are called with `lock` held.
    """

    @property
    def kind(self) -> str:
        """`file`, `keyring`, `auto` or `ephemeral`: the setting."""
        ...

    @property
    def place(self) -> str:
        """The place, for messages."""
        ...

    @property
    def remark(self) -> str:
        """What there is to say of this choice of a place, where something chose it; else ""."""
        ...

    def unlock(self) -> None:
        """Have the user asked to open the place, where it is shut. May block: never called with a lock held."""
        ...

    def lock(self, *, wait: float | None = None) -> AbstractContextManager[None]:
        """keyfob's lock on this record, among all processes of the machine.

        wait: seconds; None: 60. Raises LockedError, that names the holder, after that.
        """
        ...

    def writing(self) -> AbstractContextManager[None]:
        """The locks under which other programs write this record too; held under a second."""
        ...

    def read(self) -> Data | None:
        """The record, None where there is none. Needs no lock. Raises DamagedLoginError."""
        ...

    def write(self, data: Data) -> None:
        """Put `data` in its place: afterwards it is there whole and survives a power cut, or nothing has changed."""
        ...

    def replace(self, data: Data) -> None:
        """Put a new login in the place of whatever is there. Then what was known of the old one goes, wherever it was.

        If it cannot be put there, the old one has not changed.
        """
        ...

    def probe(self, size: int) -> None:
        """See that a new login can be put there, and leave nothing behind. size: characters that it has at the least.

        Raises StoreError.
        """
        ...

    def delete(self) -> bool:
        """Remove the record, then its stage and journal; whether there was one. One that stays keeps both."""
        ...

    def clear(self) -> None:
        """Remove stage and journal: the login they tell of is replaced."""
        ...

    def stamp(self) -> object:
        """What changes whenever the record does, and costs no more than a `stat`; None where only reading tells."""
        ...

    def prepare(self, data: Data) -> None:
        """See that a stage and a record of this size can be written, before anything is spent. Raises StoreError."""
        ...

    def journal(self) -> Journal:
        """What is known of renewals of this record. Needs no lock."""
        ...

    def note(self, journal: Journal) -> None:
        """Replace the journal, durably."""
        ...

    def stage(self) -> Stage | None:
        """The staged answer of an issuer, if there is one."""
        ...

    def put_stage(self, stage: Stage) -> None:
        """Keep an issuer's answer, durably, in the place that `prepare` made."""
        ...

    def drop_stage(self) -> None:
        """Remove it, once it is part of the record."""
        ...
