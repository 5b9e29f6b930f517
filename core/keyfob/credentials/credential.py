"""The credential: what is put on a request, and until when it is good."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from keyfob.credentials.headers import illegal_part
from keyfob.errors import IllegalHeaderError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_BEARER = "Bearer "  # RFC 6750, section 2.1


class NotHeadersError(TypeError):
    """What should be headers is something else. Its text says what, and nothing of what is in it."""


class SecretHeaders(Mapping[str, str]):
    """Header names and values, read only. Printing it shows the names alone; names compare without case.

    Raises NotHeadersError, and IllegalHeaderError for what no header may hold.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        if not isinstance(values, Mapping):
            raise NotHeadersError(f"the headers are of type {type(values).__name__}, not a mapping of names to values")
        self._values = dict(values)
        for name, value in self._values.items():
            if not isinstance(value, str):
                raise NotHeadersError(f"the value of header {name} is of type {type(value).__name__}, not text")
            check_header(name, value, f"the value of header {name}")

    def __getitem__(self, name: str) -> str:
        found = self._values.get(name)
        if found is None:
            found = next((value for key, value in self._values.items() if key.lower() == name.lower()), None)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(self._values) or 'none'}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled")


def check_header(name: str, value: str, what: str) -> None:
    """Raise IllegalHeaderError unless name and value may stand in a header; `what` says whose value it is."""
    if not _TOKEN.fullmatch(name):
        raise IllegalHeaderError(f"{name!r} is not the name of an HTTP header")
    check_secret(value, what)


def check_secret(value: str, what: str, *, hint: str | None = None) -> None:
    """Raise IllegalHeaderError unless the value may stand in a header. what: whose it is, for the message.

    The message says what is wrong with it, and nothing of the value itself.
    """
    illegal = illegal_part(value)
    if illegal:
        raise IllegalHeaderError(f"{what} cannot stand in an HTTP header: it has {illegal}", hint=hint)


class Credential:
    """Headers that authenticate, and until when they are good. Core, not the plugin, binds it to an origin.

    headers: name → value. expires_at: seconds since the epoch by the wall clock, or None where nobody knows.
    token: the bare secret where there is a single one; taken from the header where that is the only one.
    base_url: the only one it goes to, where that follows from the login that it is of; core sets it.
    Two credentials are the same only if they are one object. Raises IllegalHeaderError for what no header may hold.
    """

    __slots__ = ("__weakref__", "base_url", "expires_at", "headers", "token")

    def __init__(
        self, headers: Mapping[str, str], *, expires_at: float | None = None, token: str | None = None
    ) -> None:
        self.headers = SecretHeaders(headers)
        for name, value in self.headers.items():
            if not value.strip():
                raise IllegalHeaderError(f"header {name} would be empty, which authenticates nobody")
        self.base_url: str | None = None
        self.expires_at = expires_at
        self.token = _only_secret(self.headers) if token is None else token

    @classmethod
    def bearer(cls, token: str, *, expires_at: float | None = None) -> Credential:
        """The credential that RFC 6750 describes: `Authorization: Bearer TOKEN`."""
        return cls({"Authorization": _BEARER + token}, expires_at=expires_at, token=token)

    def __repr__(self) -> str:
        return f"<Credential {', '.join(self.headers) or 'none'} expires_at={self.expires_at}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials are not pickled")


def _only_secret(headers: Mapping[str, str]) -> str | None:
    """The one secret in these headers; None where there is none, or several, or a scheme other than Bearer."""
    if len(headers) != 1:
        return None
    name, value = next(iter(headers.items()))
    if name.lower() != "authorization":
        return value
    return value.removeprefix(_BEARER) if value.startswith(_BEARER) else None
