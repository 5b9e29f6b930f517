"""What was installed where: a file of keyfob's own for each program, by which it is taken back.

It holds the exact edits, and a hash of what each file was before: nothing of a file beyond what was changed in it, and
what makes that place the only one of its kind.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from keyfob.cli.installing.edits import Edit, is_gone, read, taken_back
from keyfob.errors import ConfigError, Fault
from keyfob.stores import private
from keyfob.stores.locks import locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from keyfob.cli.installing.edits import Hunk

_LARGEST = 2**24
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Done:
    """What was done to one file. digest: of what it was before; None where there was no file."""

    path: str
    digest: str | None
    hunks: tuple[Hunk, ...]

    def __repr__(self) -> str:
        return f"<Done to {self.path}>"

    @classmethod
    def by(cls, edit: Edit) -> Done:
        """What this edit does."""
        return cls(edit.path, None if edit.before is None else _digest(edit.before), tuple(edit.hunks))

    @property
    def stands(self) -> bool:
        """Whether it is all there, as it was written. Raises ConfigError."""
        text = read(self.path)
        return text is not None and taken_back(text, self.hunks) is not None

    def undoing(self) -> Edit | None:
        """The edit that takes it back; None where there is nothing to take back. Raises ConfigError."""
        text = read(self.path)
        if text is None or _digest(text) == self.digest or is_gone(text, self.hunks):
            return None
        before = taken_back(text, self.hunks)
        if before is None:
            message = "what was installed is not there any more as it was written, so it cannot be taken back exactly"
            raise CannotTakeBackError.of([Fault(message, "take it back by hand", path=self.path)])
        return Edit(self.path, text, None if self.digest is None and not before else before)


class CannotTakeBackError(ConfigError):
    """Somebody has edited the very lines that were installed."""

    code = "config"


@dataclass(frozen=True, slots=True)
class Installed:
    """One installation. program: the keyfob that is asked. user: a name in the program's own configuration."""

    provider: str
    program: str
    files: tuple[Done, ...]
    user: str = ""

    @property
    def stands(self) -> bool:
        """Whether all of it is there. Raises ConfigError."""
        return all(each.stands for each in self.files)


class Records:
    """The installations for one program."""

    def __init__(self, codex_home: str, tool: str) -> None:
        self._folder = os.path.join(codex_home, "keyfob", "installed")
        self._path = os.path.join(self._folder, tool)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other install and uninstall for this program out. Raises StoreError, ConfigError."""
        try:
            private.make_folder(self._folder)
        except OSError as error:
            raise self._fault(f"cannot be made: {error.strerror}") from error
        with locked(f"{self._path}.lock"):
            yield

    def read(self) -> list[Installed]:
        """All of them, in the order in which they were made. Raises ConfigError."""
        try:
            data = private.read(self._path, _LARGEST)
            return [] if data is None else [_installed(each) for each in json.loads(data)["installed"]]
        except OSError as error:
            raise self._fault(f"cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._fault("is damaged: what was installed cannot be told") from None

    def write(self, installed: Sequence[Installed]) -> None:
        """Replace them all. Raises ConfigError."""
        document = {"version": _VERSION, "installed": [asdict(each) for each in installed]}
        data = json.dumps(document, indent=1).encode()
        try:
            if installed:
                private.write(self._path, data, temporary=f"{self._path}.new", like=self._folder)
            else:
                private.remove(self._path)
        except OSError as error:
            raise self._fault(f"cannot be written: {error.strerror}") from error

    def _fault(self, message: str) -> ConfigError:
        return ConfigError.of([Fault(message, path=self._path)])


def _installed(data: dict[str, object]) -> Installed:
    files = tuple(_done(each) for each in _list(data["files"]))
    return Installed(str(data["provider"]), str(data["program"]), files, str(data["user"]))


def _done(data: dict[str, object]) -> Done:
    digest = data["digest"]
    hunks = tuple((str(old), str(new)) for old, new in _list(data["hunks"]))
    return Done(str(data["path"]), None if digest is None else str(digest), hunks)


def _list(value: object) -> list[dict[str, object]]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8")).hexdigest()
