"""What lies beside a record: the lock, the journal and the stage of its renewal, in files for nobody else."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from keyfob.credentials.journal import Journal, Stage
from keyfob.errors import DamagedLoginError, Fault, StoreError
from keyfob.stores import private
from keyfob.stores.locks import DEADLINE, locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Bytes. No login is this large.
LARGEST = 2**20
# Bytes that are put by for an issuer's answer before a secret is spent.
STAGE_SIZE = 64 * 1024
# What may be left when a new login is stored, for messages.
BEFORE = "what was known of the login before"
# Seconds to wait for another program that writes the same record; keyfob itself holds these locks under a second.
_WRITERS = 10.0


class Sidecar:
    """What lies beside a record: the lock, the journal and the stage of its renewal.

    path: of the record, or where it would be. What lies beside it lies beside the file that it is a link to: whoever
    comes by another link meets the same lock. warn: told of what is amiss and keeps nothing from being done.
    """

    def __init__(self, path: str, writers: Sequence[tuple[str, int]], warn: Callable[[Fault], None]) -> None:
        self.path = path
        self._writers = writers
        self._warn = warn

    @property
    def base(self) -> str:
        """The record's real path, now: somebody may make a link of it, or point it elsewhere, while we run."""
        return os.path.realpath(self.path)

    def _beside(self, name: str) -> str:
        return f"{self.base}.keyfob.{name}"

    @property
    def _journal(self) -> str:
        return self._beside("journal")

    @property
    def _stage(self) -> str:
        return self._beside("stage")

    @property
    def _prepared(self) -> str:
        return self._beside("stage.new")

    @property
    def _new(self) -> str:
        """The next record or journal: a file of which there is one, so that no killed process leaves more behind."""
        return self._beside("new")

    @contextlib.contextmanager
    def lock(self, *, wait: float | None = None) -> Iterator[None]:
        """See `Store.lock`. Makes the folder, for the first login comes before it.

        First the place that the path names, then what a link there leads to: whoever comes by the path is kept out
        whatever becomes of the link meanwhile, and whoever comes by another link too.
        """
        folder, name = os.path.split(self.path)
        place, taken = os.path.join(os.path.realpath(folder), name), set[str]()
        wait = DEADLINE if wait is None else wait
        with contextlib.ExitStack() as held:
            while place not in taken:
                with as_store_errors(place, "kept"):
                    private.make_folder(os.path.dirname(place))
                held.enter_context(locked(f"{place}.keyfob.lock", wait=wait, like=place))
                taken.add(place)
                place = self.base  # now: it may have been pointed elsewhere while we waited
            yield

    def unlock(self) -> None:
        """See `Store.unlock`."""

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """See `Store.writing`."""
        with contextlib.ExitStack() as held:
            for path, mode in self._writers:
                held.enter_context(locked(path, wait=_WRITERS, mode=mode, signed=False, like=self.base))
            yield

    def journal(self) -> Journal:
        """See `Store.journal`."""
        with as_store_errors(self._journal, "read"):
            text = private.read(self._journal, LARGEST)
        return Journal() if text is None else Journal.parsed(text)

    def note(self, journal: Journal) -> None:
        """See `Store.note`. Without an intent nothing is under way that would need the prepared stage."""
        with as_store_errors(self._journal, "written"):
            self._replace(self._journal, journal.dumped())
            if journal.intent is None:
                private.remove(self._prepared)

    def _replace(self, path: str, data: bytes) -> None:
        private.write(path, data, temporary=self._new, like=self.base)

    def prepare_stage(self) -> None:
        """Put the room for a stage by."""
        with as_store_errors(self._prepared, "written"):
            os.close(private.create(self._prepared, like=self.base, size=STAGE_SIZE))

    def stage(self) -> Stage | None:
        """See `Store.stage`. One that is whole counts also where its writer was killed before it had its name."""
        with as_store_errors(self._stage, "read"):
            texts = [private.read(path, 2 * LARGEST) for path in (self._prepared, self._stage)]
        stages = [Stage.parsed(text) for text in texts if text]
        return next((stage for stage in stages if stage), None)

    def put_stage(self, stage: Stage) -> None:
        """Write it into the room that was put by, then give it its name: an earlier stage is there until then."""
        with as_store_errors(self._stage, "written"):
            flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
            private.fill(os.open(self._prepared, flags, 0o600), stage.dumped())
            os.replace(self._prepared, self._stage)
            private.sync_folder(self._stage)

    def drop_stage(self) -> None:
        """See `Store.drop_stage`."""
        with as_store_errors(self._stage, "removed"):
            for path in (self._stage, self._prepared):
                private.remove(path)

    def clear(self) -> None:
        """See `Store.clear`."""
        with as_store_errors(self._journal, "removed"):
            for path in (self._stage, self._prepared, self._new, self._journal):
                private.remove(path)

    @contextlib.contextmanager
    def tidying(self, what: str) -> Iterator[None]:
        """Make a warning of what cannot be removed once a new login is stored. what: that, for the message.

        It is in nobody's way: stage and journal count only for the very login that they name.
        """
        try:
            yield
        except (StoreError, DamagedLoginError) as error:
            self._warn(Fault(f"{what} could not be removed: {error}", path=self.path))


@contextlib.contextmanager
def as_store_errors(path: str, done: str) -> Iterator[None]:
    """Turn the system's errors into ours: what could not be done with which path, and why."""
    try:
        yield
    except OSError as error:
        message = f"{error.filename2 or error.filename or path} cannot be {done}: {error.strerror}"
        raise StoreError(message, hint="keyfob doctor") from error
