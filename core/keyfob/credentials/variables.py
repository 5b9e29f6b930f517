"""The environment as plugins read it: a variable that is not set is told from every other KeyError."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class UnsetError(KeyError):
    """A variable of the environment that is not set: the argument is its name. That of a KeyError may be a secret."""


class Variables(Mapping[str, str]):
    """An environment that raises UnsetError for what is not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        value = self._environ.get(name)
        if value is None:
            raise UnsetError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)


class Reading(Variables):
    """The same, and it notes what is read, so that it can be told whether reading it again would differ."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        self._read: dict[str, str | None] = {}

    def __getitem__(self, name: str) -> str:
        self._read[name] = self._environ.get(name)
        return super().__getitem__(name)

    @property
    def holds(self) -> bool:
        """Whether all that was read is still so."""
        return all(self._environ.get(name) == value for name, value in self._read.items())
