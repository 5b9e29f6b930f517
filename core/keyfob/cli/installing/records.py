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
from typing import TYPE_CHECKING, Any, Protocol

from keyfob.cli.installing.changes import Change, changes, is_done_in_part, is_reverted, is_undone
from keyfob.cli.installing.claude_code import Json
from keyfob.cli.installing.edits import Edit, read, taken_back
from keyfob.cli.installing.kubectl import Kubeconfig
from keyfob.cli.installing.toml import Toml
from keyfob.errors import ConfigError, Fault
from keyfob.stores import private
from keyfob.stores.locks import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from keyfob.cli.installing.edits import Hunk

_LARGEST = 2**24
_VERSION = 1


class File(Protocol):
    """One file of another program's, as what it says and as text that is edited."""

    @property
    def text(self) -> str:
        """The text, so far."""
        ...

    @property
    def says(self) -> dict[str, Any]:
        """What it says, by its keys."""
        ...

    def revert(self, done: Sequence[Change]) -> bool:
        """Take changes back where the text was written anew; whether that could be done exactly."""
        ...


# Each raises ConfigError for text that its program could not read.
FORMATS: Mapping[str, Callable[[str, str | None], File]] = {
    "codex": Toml,
    "claude-code": Json,
    "kubectl": Kubeconfig,
}


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
        before, after = (FORMATS[tool](edit.path, text).says for text in (edit.before, edit.after))
        digest = None if edit.before is None else _digest(edit.before)
        return cls(edit.path, digest, tuple(edit.hunks), tuple(changes(before, after)))

    def stands(self, tool: str) -> bool:
        """Whether any of it is there. Raises ConfigError."""
        text = read(self.path)
        return text is not None and is_done_in_part(FORMATS[tool](self.path, text).says, self.changes)

    def undoing(self, tool: str) -> Edit | None:
        """The edit that takes it back; None where there is nothing to take back. Raises ConfigError."""
        text = read(self.path)
        if text is None or _digest(text) == self.digest:
            return None
        file = FORMATS[tool](self.path, text)
        if is_undone(file.says, self.changes):
            return None
        before = taken_back(text, self.hunks)
        if before is not None and self._is_right(file, before, tool):
            return Edit(self.path, text, None if self.digest is None and not before else before)
        if file.revert(self.changes):
            return Edit(self.path, text, file.text)
        message = "what was installed is not there any more as it was written, so it cannot be taken back exactly"
        raise CannotTakeBackError.of([Fault(message, "take it back by hand", path=self.path)])

    def _is_right(self, file: File, before: str, tool: str) -> bool:
        """Whether this text says what the file says, but for what is taken back."""
        try:
            return is_reverted(file.says, FORMATS[tool](self.path, before).says, self.changes)
        except ConfigError:
            return False


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

    def stands(self, tool: str) -> bool:
        """Whether any of it is there. Raises ConfigError."""
        return any(done.stands(tool) for done in self.files)


class Records:
    """The installations for one program. path: of the file that holds them."""

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

    def read(self) -> list[Installed]:
        """All of them, in the order in which they were made. Raises ConfigError."""
        try:
            data = private.read(self.path, _LARGEST)
            return [] if data is None else [_installed(each) for each in json.loads(data)["installed"]]
        except OSError as error:
            raise self._fault(f"cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._fault("is damaged: what was installed cannot be told") from None

    def write(self, installed: Sequence[Installed]) -> None:
        """Replace them all. Raises ConfigError."""
        document = {"version": _VERSION, "installed": [asdict(each) for each in installed]}
        data = json.dumps(document, indent=1, default=str).encode()
        try:
            if installed:
                private.write(self.path, data, temporary=f"{self.path}.new", like=self._folder)
            else:
                private.remove(self.path)
        except OSError as error:
            raise self._fault(f"cannot be written: {error.strerror}") from error

    def _fault(self, message: str) -> ConfigError:
        return ConfigError.of([Fault(message, path=self.path)])


def _installed(data: Any) -> Installed:
    return Installed(data["provider"], data["program"], tuple(_done(each) for each in data["files"]), data["user"])


def _done(data: Any) -> Done:
    hunks = tuple((old, new) for old, new in data["hunks"])
    found = tuple(Change(tuple(path), old, new) for path, old, new in data["changes"])
    return Done(data["path"], data["digest"], hunks, found)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8")).hexdigest()
