"""The keyring store: a record is one entry of the system's keyring, its stage another. Lock and journal are files.

A keyring can go away while the issuer answers: a session ends. Then the stage is a file, until the keyring is back.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from keyfob.credentials.journal import Journal, Stage
from keyfob.errors import DamagedLoginError, StoreError
from keyfob.stores.entry import Name, entry
from keyfob.stores.sidecar import BEFORE, Sidecar
from keyfob.strict_json import parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keyfob.credentials.record import Data
    from keyfob.errors import Fault
    from keyfob.stores.entry import Entry
    from keyfob.stores.file import FileStore

# Characters that a stage may have beyond those of the login that it renews: the answer's other fields, our first line.
_ROOM = 512


class KeyringStore(Sidecar):
    """One record in one entry.

    plain: the file that the record would be in. Lock and journal lie beside that, so both stores of a record have the
    same; and a login that is kept here must not stay there too. warn: told if it does, or what else is left behind.
    """

    kind = "keyring"
    remark = ""

    def __init__(
        self,
        name: Name,
        stage: Name,
        plain: FileStore,
        *,
        writers: Sequence[tuple[str, int]] = (),
        warn: Callable[[Fault], None] = lambda _: None,
    ) -> None:
        super().__init__(plain.path, writers, warn)
        self._name = name
        self._stage_name = stage
        self._plain = plain
        self._has_room = False

    @property
    def place(self) -> str:
        """The entry, as the keyring's own program shows it."""
        return str(self._name)

    @property
    def _record_entry(self) -> Entry:
        return entry(self._name)

    @property
    def _stage_entry(self) -> Entry:
        return entry(self._stage_name)

    def unlock(self) -> None:
        """See `Store.unlock`."""
        self._record_entry.unlock()

    # The record

    def read(self) -> Data | None:
        """See `Store.read`."""
        text = self._record_entry.read()
        if text is None:
            return None
        try:
            data = parsed(text)
        except (ValueError, RecursionError):
            raise self._damaged("is not JSON") from None
        if not isinstance(data, dict):
            raise self._damaged("is not a JSON object")
        return data

    def _damaged(self, what: str) -> DamagedLoginError:
        return DamagedLoginError(f"{self.place} {what}")

    def write(self, data: Data) -> None:
        """See `Store.write`. As Codex writes it: JSON without blanks."""
        _replace(self._record_entry, _compact(data))

    def replace(self, data: Data) -> None:
        """See `Store.replace`."""
        self.put(data)
        with self.tidying(BEFORE):
            self.clear()
        with self.tidying("what is there in plain text"):
            self._plain.delete()

    def put(self, data: Data) -> None:
        """Put a new login in the place of whatever is there, once the keyring has proved to take it; and leave what
        lies beside it."""
        self.probe(len(_compact(data)))
        try:
            self.write(data)
        except DamagedLoginError:  # there are two
            _put(self._record_entry, _compact(data), every=True)

    def delete(self) -> bool:
        """See `Store.delete`."""
        there = self.drop_record()
        self.clear()
        return there

    def remove(self) -> bool:
        """The same, but the journal stays: of a login that was moved, it holds elsewhere too."""
        there = self.drop_record()
        self.drop_stage()
        return there

    def drop_record(self) -> bool:
        """Remove the record alone; whether there was one. Of two entries, both."""
        return self._record_entry.delete()

    def stamp(self) -> object:
        """See `Store.stamp`."""
        return None

    # The stage, and room for it

    def prepare(self, data: Data) -> None:
        """See `Store.prepare`."""
        place = self._record_entry
        place.read()
        place.drop_spare()
        self._has_room = True
        self._make_room(len(_compact(data)) + _ROOM)

    def probe(self, size: int) -> None:
        """See `Store.probe`: an entry of so many characters is kept."""
        try:
            self._make_room(size)
        finally:
            self._drop_room()

    def _make_room(self, size: int) -> None:
        """Write something of that size, or once more the stage that is there: it is never given up for this."""
        place = self._stage_entry
        held = place.read()
        _put(place, held if held is not None and _stage_of(held) else "." * size)

    def _drop_room(self) -> None:
        place = self._stage_entry
        held = place.read()
        if held is not None and _stage_of(held) is None:
            place.delete()

    def note(self, journal: Journal) -> None:
        """See `Store.note`."""
        super().note(journal)
        if journal.intent is None and self._has_room:
            self._has_room = False
            with contextlib.suppress(StoreError, DamagedLoginError):  # what is left there is in nobody's way
                self._drop_room()

    def stage(self) -> Stage | None:
        """See `Store.stage`."""
        text = self._stage_entry.read()
        found = [super().stage(), None if text is None else _stage_of(text)]
        return max((stage for stage in found if stage), key=lambda stage: stage.at, default=None)

    def put_stage(self, stage: Stage) -> None:
        """See `Store.put_stage`. A keyring keeps text: each byte becomes the character of its number.

        If it does not keep this one any more, a file does: the old login is worth nothing by now.
        """
        try:
            _put(self._stage_entry, stage.dumped().decode("latin-1"))
        except (StoreError, DamagedLoginError):
            super().put_stage(stage)

    def drop_stage(self) -> None:
        """See `Store.drop_stage`. What a killed writer left beside the record goes too: once that is deleted by another
        program, it would count."""
        super().drop_stage()
        self._stage_entry.delete()
        self._record_entry.drop_spare()

    def is_awaited(self) -> bool:
        """Whether an issuer's answer lies in a file until the keyring is back."""
        return super().stage() is not None

    @property
    def _stage(self) -> str:
        """Not the file store's: it belongs to the login in the keyring."""
        return self._beside("keyring-stage")

    @property
    def _prepared(self) -> str:
        return self._beside("keyring-stage.new")

    def clear(self) -> None:
        """See `Store.clear`."""
        super().clear()
        self.drop_stage()


def _compact(data: Data) -> str:
    return json.dumps(data, separators=(",", ":"))


def _stage_of(text: str) -> Stage | None:
    try:
        return Stage.parsed(text.encode("latin-1"))
    except UnicodeEncodeError:
        return None


def _put(place: Entry, text: str, *, every: bool = False) -> None:
    """Write, and read back: a keyring may shorten what it is given, or not keep it at all. every: see `Entry.write`."""
    place.write(text, every=every)
    if place.read() != text:
        raise StoreError(
            f"{place.name}: the keyring did not keep what was stored ({len(text)} characters)",
            hint='write cli_auth_credentials_store = "file" in config.toml',
        )


def _replace(place: Entry, text: str) -> None:
    """The same, for what must not be lost: what was there is put back."""
    before = place.read()
    try:
        _put(place, text)
    except StoreError:
        if before is not None:
            with contextlib.suppress(StoreError):
                place.write(before)
        raise
