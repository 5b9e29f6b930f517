"""`auto`: the keyring where there is one, else the file; decided when somebody signs in, and said.

Reading looks at both, for the place may have been another when the login was stored. What is renewed is written where
it was read. A keyring that is there and cannot be used is an error: a login never lands in plain text unasked. Nor is
a login taken to be gone because its keyring is.
"""

from __future__ import annotations

import contextlib
import threading
from datetime import datetime
from typing import TYPE_CHECKING

from keyfob.errors import DamagedLoginError, StoreError
from keyfob.stores.entry import NoKeyringError, TooLargeError
from keyfob.stores.sidecar import BEFORE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from keyfob.credentials.journal import Journal, Stage
    from keyfob.credentials.record import Data
    from keyfob.stores.file import FileStore
    from keyfob.stores.keyring import KeyringStore

_UNUSED = "another login, in {}, is not used"


class AutoStore:
    """One record in a file or in a keyring entry. Where none was read yet, it is taken to be in the file."""

    kind = "auto"

    def __init__(self, file: FileStore, keyring: KeyringStore) -> None:
        self._file = file
        self._keyring = keyring
        self._seen: FileStore | KeyringStore = file
        self._owner = threading.local()
        self._keyring_is_there = True
        self.remark = ""

    @property
    def _current(self) -> FileStore | KeyringStore:
        """The place; for the thread that has the lock the one where it found the login, whatever others see."""
        return getattr(self._owner, "place", None) or self._seen

    @property
    def place(self) -> str:
        """Where the login was read, or was put."""
        return self._current.place

    @contextlib.contextmanager
    def lock(self, *, wait: float | None = None) -> Iterator[None]:
        """See `Store.lock`. It is the same for both places."""
        with self._file.lock(wait=wait):
            self._owner.place = None
            try:
                yield
            finally:
                del self._owner.place

    def writing(self) -> AbstractContextManager[None]:
        """See `Store.writing`. They are the same for both places."""
        return self._file.writing()

    def unlock(self) -> None:
        """See `Store.unlock`."""
        with contextlib.suppress(NoKeyringError):
            self._keyring.unlock()

    # The record

    def read(self) -> Data | None:
        """See `Store.read`. Of two logins the one renewed last counts; if neither tells, the keyring's, as in Codex.

        With the lock held, what was found once is read there again: that the keyring is gone is then an error.
        """
        found: FileStore | KeyringStore | None = getattr(self._owner, "place", None)
        data = None if found is None else found.read()
        return self._looked() if data is None else data

    def _looked(self) -> Data | None:
        in_keyring, why_not = self._in_keyring()
        in_file = self._file.read()
        if in_keyring is None:
            left = in_file is None and self._keyring_is_there and self._keyring.stage() is not None
            self._found(self._keyring if left else self._file, why_not)
            return in_file
        if in_file is None:
            self._found(self._keyring, "the keyring is usable")
            return in_keyring
        if last_refresh(in_file) > last_refresh(in_keyring):
            self._found(self._file, _UNUSED.format(self._keyring.place))
            return in_file
        self._found(self._keyring, _UNUSED.format(self._file.place))
        return in_keyring

    def _in_keyring(self) -> tuple[Data | None, str]:
        """The login there, and why there can be none."""
        try:
            found = self._keyring.read()
        except NoKeyringError as error:
            self._keyring_is_there = False
            if self._keyring.is_awaited():
                raise
            return None, str(error)
        except (StoreError, DamagedLoginError):
            self._found(self._keyring, "")  # that is the place to tell of
            raise
        self._keyring_is_there = True
        return found, "nothing is in the keyring"

    def _found(self, store: FileStore | KeyringStore, remark: str) -> None:
        self._seen, self.remark = store, remark
        if hasattr(self._owner, "place"):
            self._owner.place = store

    def write(self, data: Data) -> None:
        """See `Store.write`."""
        self._current.write(data)

    def replace(self, data: Data) -> None:
        """See `Store.replace`. This is where the place is decided."""
        try:
            self._put(data, self._keyring, self._file)
        except NoKeyringError as error:
            self._file.replace(data)
            self._found(self._file, str(error))
        except TooLargeError as error:
            self._put(data, self._file, self._keyring)  # which may hold the login that this one replaces
            self._found(self._file, str(error))
        else:
            self._found(self._keyring, "the keyring is usable")

    def _put(self, data: Data, place: FileStore | KeyringStore, other: FileStore | KeyringStore) -> None:
        """Put it in one place, then remove what is in the other.

        If that stays and goes before it, both are as they were, but for a damaged login in whose place it was put.
        """
        before = _readable(place)
        place.put(data)
        try:
            other.delete()
        except StoreError as error:
            if not self._would_read(data):
                _restore(place, before)
                message = f"{other.place} holds another login, which goes first and could not be removed: {error}"
                raise StoreError(message, hint="keyfob doctor") from error
            with place.tidying(f"another login, in {other.place},"):
                raise
        with place.tidying(BEFORE):
            place.clear()

    def _would_read(self, data: Data) -> bool:
        try:
            return self._looked() == data
        except (StoreError, DamagedLoginError):
            return False

    def probe(self, size: int) -> None:
        """See `Store.probe`: of the place that `replace` would take."""
        try:
            self._keyring.probe(size)
        except (NoKeyringError, TooLargeError):
            self._file.probe(size)

    def delete(self) -> bool:
        """See `Store.delete`."""
        return self._current.delete()

    def stamp(self) -> object:
        """See `Store.stamp`. While there is no keyring, the file tells."""
        return None if self._keyring_is_there else self._file.stamp()

    # What lies beside it, wherever it is

    def clear(self) -> None:
        """See `Store.clear`."""
        self._current.clear()

    def prepare(self, data: Data) -> None:
        """See `Store.prepare`."""
        self._current.prepare(data)

    def journal(self) -> Journal:
        """See `Store.journal`."""
        return self._current.journal()

    def note(self, journal: Journal) -> None:
        """See `Store.note`."""
        self._current.note(journal)

    def stage(self) -> Stage | None:
        """See `Store.stage`."""
        return self._current.stage()

    def put_stage(self, stage: Stage) -> None:
        """See `Store.put_stage`."""
        self._current.put_stage(stage)

    def drop_stage(self) -> None:
        """See `Store.drop_stage`."""
        self._current.drop_stage()


def _readable(place: FileStore | KeyringStore) -> Data | None:
    try:
        return place.read()
    except DamagedLoginError:
        return None


def _restore(place: FileStore | KeyringStore, before: Data | None) -> None:
    """As far as it can be: what it held was not what counted. A stage that lies there without a login stays."""
    with contextlib.suppress(StoreError, DamagedLoginError):
        if before is None:
            place.drop_record()
        else:
            place.write(before)


def last_refresh(data: Data) -> float:
    """When a login was renewed last, in seconds since the epoch; a login that does not say so counts as the oldest."""
    try:
        return datetime.fromisoformat(data["last_refresh"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return float("-inf")
