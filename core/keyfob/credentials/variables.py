"""The environment as plugins read it: a variable that is not set is told from every other KeyError."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from keyfob.errors import MissingCredentialError


class UnsetError(MissingCredentialError, KeyError):
    """A variable of the environment that is not set. (What any other KeyError says may be a secret.)"""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not set")

    def __str__(self) -> str:
        return MissingCredentialError.__str__(self)


class Variables(Mapping[str, str]):
    """An environment that raises UnsetError for what is not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        try:
            return self._environ[name]
        except KeyError:
            raise UnsetError(name) from None

    def get(self, name: str, default: Any = None) -> Any:
        """As of any mapping; asked with each request."""
        return self._environ.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)}>"


class Reading(Variables):
    """The same, and it notes what is read, so that it can be told whether reading it again would differ."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        self._read: dict[str, str | None] = {}

    def __getitem__(self, name: str) -> str:
        self._read[name] = self._environ.get(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """As of any mapping."""
        self._read[name] = self._environ.get(name)
        return super().get(name, default)

    @property
    def holds(self) -> bool:
        """Whether all that was read is still so."""
        return all(self._environ.get(name) == value for name, value in tuple(self._read.items()))
