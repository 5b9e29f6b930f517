"""What was installed where: a file of keyfob's own for each program, by which it is taken back.

It holds the exact edits, and a hash of what each file was before: nothing of a file beyond what was changed in it, and
what makes that place the only one of its kind.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from keyfob.cli.installing.changes import Change, changes, is_done, is_done_in_part, is_reverted, is_undone, same
from keyfob.cli.installing.edits import Edit, fault, read, taken_back
from keyfob.cli.installing.tools import TOOLS
from keyfob.config.faults import toml_key
from keyfob.errors import ConfigError, Fault
from keyfob.stores import private
from keyfob.stores.locks import locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from keyfob.cli.installing.edits import Hunk
    from keyfob.cli.installing.tools import File

_LARGEST = 2**24
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Done:
    """What was done to one file: to its text, and to what it says. digest: of what it was; None where it was not."""

    path: str
    digest: str | None
    hunks: tuple[Hunk, ...]
    changes: tuple[Change, ...]

    def __repr__(self) -> str:
        return f"<Done to {self.path}>"

    @classmethod
    def by(cls, edit: Edit, tool: str) -> Done:
        """What this edit does."""
        before, after = (TOOLS[tool].file(edit.path, text).says for text in (edit.before, edit.after))
        digest = None if edit.before is None else _digest(edit.before)
        return cls(edit.path, digest, tuple(edit.hunks), tuple(changes(before, after)))

    def stands(self, tool: str) -> bool:
        """Whether any of it is there. Raises ConfigError."""
        text = read(self.path)
        return text is not None and is_done_in_part(TOOLS[tool].file(self.path, text).says, self.changes)

    def undoing(self, tool: str) -> Edit | None:
        """The edit that takes it back; None where there is nothing to take back. Raises ConfigError."""
        text = read(self.path)
        if text is None or _digest(text) == self.digest:
            return None
        file = TOOLS[tool].file(self.path, text)
        if is_undone(file.says, self.changes):
            return None
        before = taken_back(text, self.hunks)
        if before is not None and self._is_right(file, before, tool):
            return self._edit(text, before, tool)
        if file.revert(self.changes):
            return self._edit(text, file.text, tool)
        changed = [".".join(map(toml_key, each.path)) for each in self.changes if not is_done(file.says, [each])]
        what = f" ({', '.join(changed)})" if changed else ""
        message = f"what was installed is not there any more as it was written{what}, and cannot be taken back exactly"
        raise CannotTakeBackError.of([Fault(message, "take it back by hand", path=self.path)])

    def _edit(self, text: str, before: str, tool: str) -> Edit:
        """The edit; where there was no file, and nothing is in it that somebody else wrote, there is to be none."""
        says, nothing = (TOOLS[tool].file(self.path, each).says for each in (before, None))
        empty = self.digest is None and "#" not in before and same(says, nothing)
        return Edit(self.path, text, None if empty else before)

    def _is_right(self, file: File, before: str, tool: str) -> bool:
        """Whether this text says what the file says, but for what is taken back."""
        try:
            return is_reverted(file.says, TOOLS[tool].file(self.path, before).says, self.changes)
        except ConfigError:
            return False


class CannotTakeBackError(ConfigError):
    """Somebody has edited the very lines that were installed."""

    code = "config"


@dataclass(frozen=True, slots=True)
class Installation:
    """One. program: the files of the keyfob that is asked. user: a name in the other program's own configuration."""

    provider: str
    program: tuple[str, ...]
    files: tuple[Done, ...]
    user: str = ""

    def stands(self, tool: str) -> bool:
        """Whether any of it is there. Raises ConfigError."""
        return any(done.stands(tool) for done in self.files)

    def beside(self, gone: Installation, edits: Sequence[Edit]) -> Installation:
        """This one, once those edits have taken another back: a file which that one had made is now this one's."""
        edited = {edit.path for edit in edits}
        made = edited & {done.path for done in gone.files if done.digest is None}
        files = tuple(replace(done, digest=None) if done.path in made else done for done in self.files)
        return replace(self, files=files)


class Installations:
    """Those for one program. path: of the file that holds them."""

    def __init__(self, codex_home: str, tool: str) -> None:
        self._folder = os.path.join(codex_home, "keyfob", "installed")
        self.path = os.path.join(self._folder, tool)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other install and uninstall for this program out. Raises StoreError, ConfigError."""
        try:
            private.make_folder(self._folder)
        except OSError as error:
            raise self._fault(f"cannot be made: {error.strerror}") from error
        with locked(f"{self.path}.lock"):
            yield

    def read(self) -> list[Installation]:
        """All of them, in the order in which they were made. Raises ConfigError."""
        try:
            data = private.read(self.path, _LARGEST)
            if data is None:
                return []
            document = json.loads(data)
            if document["version"] == _VERSION:
                return [_installation(each) for each in document["installed"]]
        except OSError as error:
            raise self._fault(f"cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._fault("is damaged: what was installed cannot be told") from None
        raise self._fault("was written by another keyfob", "use the newest one")

    def write(self, installed: Sequence[Installation]) -> None:
        """Replace them all. Raises ConfigError."""
        document = {"version": _VERSION, "installed": [asdict(each) for each in installed]}
        data = json.dumps(document, indent=1).encode()
        try:
            if installed:
                private.write(self.path, data, temporary=f"{self.path}.new", like=self._folder)
            else:
                private.remove(self.path)
        except OSError as error:
            raise self._fault(f"cannot be written: {error.strerror}") from error

    def _fault(self, message: str, instead: str | None = None) -> ConfigError:
        return fault(self.path, message, instead)


def _installation(data: Any) -> Installation:
    return Installation(
        data["provider"], tuple(data["program"]), tuple(_done(each) for each in data["files"]), data["user"]
    )


def _done(data: Any) -> Done:
    hunks = tuple((old, new) for old, new in data["hunks"])
    found = tuple(Change(tuple(path), old, new) for path, old, new in data["changes"])
    return Done(data["path"], data["digest"], hunks, found)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8")).hexdigest()
