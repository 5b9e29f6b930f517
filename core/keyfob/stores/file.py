"""The file store: a record is a JSON file for nobody else, replaced whole."""

from __future__ import annotations

import json
import os
import shlex
import sys
from typing import TYPE_CHECKING, Any

from keyfob.errors import DamagedLoginError, Fault, StoreError
from keyfob.stores import private
from keyfob.stores.mounts import is_mount_point
from keyfob.stores.sidecar import BEFORE, LARGEST, STAGE_SIZE, Sidecar, as_store_errors
from keyfob.strict_json import parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keyfob.credentials.record import Data

_MOUNT_THE_FOLDER = "mount the folder that it is in instead"


def codex_locks(codex_home: str) -> list[tuple[str, int]]:
    """The locks that Codex takes, in its order, before it writes a login; and the modes it makes their files with."""
    return [(os.path.join(codex_home, "auth.lock"), 0o644), (os.path.join(codex_home, "auth.json.lock"), 0o600)]


class FileStore(Sidecar):
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
        with as_store_errors(self.path, "read"):
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
        with as_store_errors(self.path, "written"):
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
        """See `Store.delete`. Of a link, the link goes and its target too: it holds the login."""
        return self._removed(self.clear)

    def remove(self) -> bool:
        """The same, but the journal stays: of a login that was moved, it holds elsewhere too."""
        return self._removed(self.drop_stage)

    def _removed(self, drop_rest: Callable[[], None]) -> bool:
        """Remove the record, what lies beside it, and a link to it last: it leads to what lies there."""
        there = self.drop_record()
        drop_rest()
        with as_store_errors(self.path, "removed"):
            return private.remove(self.path) or there

    def drop_record(self) -> bool:
        """Remove the record alone; whether there was one."""
        with as_store_errors(self.path, "removed"):
            return private.remove(self.base)

    def stamp(self) -> object:
        """See `Store.stamp`."""
        try:
            found = os.stat(self.path)
        except OSError as error:
            return error.errno
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def prepare(self, data: Data) -> None:
        """See `Store.prepare`. A file has room for what fits into a stage."""
        self._check_replaceable()
        self.prepare_stage()

    def probe(self, size: int) -> None:
        """See `Store.probe`. As much room as a stage has is more than any login needs."""
        with as_store_errors(self.path, "written"):
            private.make_folder(os.path.dirname(self.base))
            os.close(private.create(self._new, like=self.base, size=STAGE_SIZE))
            private.remove(self._new)
        if os.path.exists(self.base):
            self._check_replaceable()

    def _check_replaceable(self) -> None:
        base = self.base
        with as_store_errors(self.path, "read"):
            owner = os.stat(base).st_uid
        if sys.platform != "win32" and os.geteuid() not in (0, owner):
            raise StoreError(f"{self.path} belongs to another user: nothing new could be kept there")
        if is_mount_point(base):
            raise StoreError(f"{self.path} is a mount point, which cannot be replaced", hint=_MOUNT_THE_FOLDER)
