"""The file store: a record is a JSON file for nobody else, replaced whole."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shlex
import sys
from typing import TYPE_CHECKING, Any

from keyfob.credentials.journal import Journal, Stage
from keyfob.errors import DamagedLoginError, Fault, StoreError
from keyfob.stores import private
from keyfob.stores.locks import DEADLINE, locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from keyfob.credentials.record import Data

# Bytes. No login is as large.
LARGEST = 2**20
# Bytes that are put by for an issuer's answer before a secret is spent.
STAGE_SIZE = 64 * 1024
# What may be left when a new login is stored, for messages.
BEFORE = "what was known of the login before"
# Seconds to wait for another program that writes the same record; keyfob itself holds these locks under a second.
_WRITERS = 10.0


def parsed(text: str, *, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The value that a record's JSON is. Raises ValueError, RecursionError.

    Not every number that Python takes could be written again: NaN, Infinity and what is as large are not JSON. pairs:
    makes each object of its fields, in order.
    """
    return json.loads(text, parse_float=_finite, parse_constant=_finite, object_pairs_hook=pairs)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("no number of JSON")
    return value


def codex_locks(codex_home: str) -> list[tuple[str, int]]:
    """The locks that Codex takes, in its order, before it writes a login; and the modes it makes their files with."""
    return [(os.path.join(codex_home, "auth.lock"), 0o644), (os.path.join(codex_home, "auth.json.lock"), 0o600)]


class Aside:
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
                with _told(place, "kept"):
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
        with _told(self._journal, "read"):
            text = private.read(self._journal, LARGEST)
        return Journal() if text is None else Journal.parsed(text)

    def note(self, journal: Journal) -> None:
        """See `Store.note`. Without an intent nothing is under way that would need the prepared stage."""
        with _told(self._journal, "written"):
            self._replace(self._journal, journal.dumped())
            if journal.intent is None:
                private.remove(self._prepared)

    def _replace(self, path: str, data: bytes) -> None:
        private.write(path, data, temporary=self._new, like=self.base)

    def prepare_stage(self) -> None:
        """Put the room for a stage by."""
        with _told(self._prepared, "written"):
            os.close(private.create(self._prepared, like=self.base, size=STAGE_SIZE))

    def stage(self) -> Stage | None:
        """See `Store.stage`. One that is whole counts also where its writer was killed before it had its name."""
        with _told(self._stage, "read"):
            texts = [private.read(path, 2 * LARGEST) for path in (self._prepared, self._stage)]
        stages = [Stage.parsed(text) for text in texts if text]
        return next((stage for stage in stages if stage), None)

    def put_stage(self, stage: Stage) -> None:
        """Write it into the room that was put by, then give it its name: an earlier stage is there until then."""
        with _told(self._stage, "written"):
            flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
            private.fill(os.open(self._prepared, flags, 0o600), stage.dumped())
            os.replace(self._prepared, self._stage)
            private.sync_folder(self._stage)

    def drop_stage(self) -> None:
        """See `Store.drop_stage`."""
        with _told(self._stage, "removed"):
            for path in (self._stage, self._prepared):
                private.remove(path)

    def clear(self) -> None:
        """See `Store.clear`."""
        with _told(self._journal, "removed"):
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


class FileStore(Aside):
    """One record in one file.

    writers: the locks under which other programs write it. warn: told once if others can read it, and what is left of
    a login that another was put in the place of.
    """

    kind = "file"
    remark = ""

    def __init__(
        self,
        path: str,
        *,
        writers: Sequence[tuple[str, int]] = (),
        warn: Callable[[Fault], None] = lambda _: None,
    ) -> None:
        super().__init__(path, writers, warn)
        self._mode_was_seen = False

    @property
    def place(self) -> str:
        """The path, as the user knows it."""
        return self.path

    def read(self) -> Data | None:
        """See `Store.read`."""
        with _told(self.path, "read"):
            try:
                text = private.read(self.path, LARGEST)
            except private.NotAFileError as error:
                raise self._damaged(error.what) from None
            if text is not None:
                self._look_at_mode()
                return self._parsed(text)
        if os.path.islink(self.path):
            raise self._damaged(f"is a link to {self.base}, which is not there")
        return None

    def _parsed(self, text: bytes) -> dict[str, Any]:
        if len(text) > LARGEST:
            raise self._damaged(f"is larger than {LARGEST >> 20} MiB")
        if not text.strip():
            raise self._damaged("is empty")
        try:
            data = parsed(text.decode("utf-8"))
        except UnicodeDecodeError:
            raise self._damaged("is not UTF-8 text") from None
        except json.JSONDecodeError as error:
            raise self._damaged(f"is not JSON (line {error.lineno}, column {error.colno})") from None
        except (ValueError, RecursionError):
            raise self._damaged("is not JSON that can be read") from None
        if not isinstance(data, dict):
            raise self._damaged("is not a JSON object")
        return data

    def _damaged(self, what: str) -> DamagedLoginError:
        return DamagedLoginError(f"{self.path} {what}")

    def _look_at_mode(self) -> None:
        if self._mode_was_seen or os.name == "nt":
            return
        self._mode_was_seen = True
        if os.stat(self.path).st_mode & 0o077:
            self._warn(Fault("others can read this login", f"chmod 600 {shlex.quote(self.path)}", path=self.path))

    def write(self, data: Data) -> None:
        """As Codex writes it: two blanks of indent, no newline at the end.

        Half of a surrogate pair, which UTF-8 has no bytes for, stays the escape that it was.
        """
        text = json.dumps(data, indent=2, ensure_ascii=False)
        with _told(self.path, "written"):
            private.make_folder(os.path.dirname(self.base))
            self._replace(self.base, text.encode("utf-8", "backslashreplace"))

    def replace(self, data: Data) -> None:
        """See `Store.replace`."""
        self.put(data)
        with self.tidying(BEFORE):
            self.clear()

    def put(self, data: Data) -> None:
        """Put a new login in the place of whatever is there, and leave what lies beside it.

        Once it is there, it is a warning that nobody knows whether it is on disk.
        """
        try:
            self.write(data)
        except StoreError as error:
            if not self._holds(data):
                raise
            self._warn(Fault(f"the login is there, but a power cut may undo that: {error}", path=self.path))

    def _holds(self, data: Data) -> bool:
        try:
            return self.read() == data
        except (StoreError, DamagedLoginError):
            return False

    def delete(self) -> bool:
        """Remove the record, then its stage and journal; whether there was one. One that stays keeps both."""
        return self._removed(self.clear)

    def remove(self) -> bool:
        """See `Store.remove`. Of a link, the link goes and its target too: it holds the login."""
        return self._removed(self.drop_stage)

    def _removed(self, drop_rest: Callable[[], None]) -> bool:
        """Remove the record, what lies beside it, and a link to it last: it leads to what lies there."""
        there = self.drop_record()
        drop_rest()
        with _told(self.path, "removed"):
            return private.remove(self.path) or there

    def drop_record(self) -> bool:
        """Remove the record alone; whether there was one."""
        with _told(self.path, "removed"):
            return private.remove(self.base)

    def stamp(self) -> object:
        """See `Store.stamp`."""
        try:
            found = os.stat(self.path)
        except OSError as error:
            return error.errno
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def prepare(self, data: Data) -> None:
        """See `Store.prepare`."""
        del data  # a file has room for what fits into a stage
        self._see_that_it_can_be_replaced()
        self.prepare_stage()

    def probe(self, size: int) -> None:
        """See `Store.probe`. As much room as a stage has is more than any login needs."""
        del size
        with _told(self.path, "written"):
            private.make_folder(os.path.dirname(self.base))
            os.close(private.create(self._new, like=self.base, size=STAGE_SIZE))
            private.remove(self._new)
        if os.path.exists(self.base):
            self._see_that_it_can_be_replaced()

    def _see_that_it_can_be_replaced(self) -> None:
        base = self.base
        with _told(self.path, "read"):
            owner = os.stat(base).st_uid
        if sys.platform != "win32" and os.geteuid() not in (0, owner):
            raise StoreError(f"{self.path} belongs to another user: nothing new could be kept there")
        if is_mount_point(base):
            raise StoreError(f"{self.path} is a mount point, which cannot be replaced", hint=_MOUNT_THE_FOLDER)


_MOUNT_THE_FOLDER = "mount the folder that it is in instead"


def is_mount_point(path: str) -> bool:
    """Whether something is mounted there; a bind mount of the same file system shows only in the kernel's own list."""
    if os.path.ismount(path):
        return True
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
            mounted = [line.split(" ", 5)[4] for line in lines]
    except OSError:
        return False
    return path.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012") in mounted


@contextlib.contextmanager
def _told(path: str, done: str) -> Iterator[None]:
    """Turn the system's errors into ours: what could not be done with which path, and why."""
    try:
        yield
    except OSError as error:
        message = f"{error.filename2 or error.filename or path} cannot be {done}: {error.strerror}"
        raise StoreError(message, hint="keyfob doctor") from error
