"""The source: the one interface that everything wraps, and the source that keeps nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from keyfob.credentials.credential import Credential
from keyfob.errors import CredentialError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@runtime_checkable
class CredentialSource(Protocol):
    """Yields a usable credential for one provider. Called from many threads at once."""

    def peek(self) -> Credential | None:
        """The credential, if there is a fresh one at hand. Never blocks, never raises."""
        ...

    def get(self, *, rejected: Credential | None = None) -> Credential:
        """A usable credential; may block. Raises CredentialError.

        rejected: the server answered 401 to this one. Returning the same object says that there is no other.
        """
        ...


@runtime_checkable
class Signer(CredentialSource, Protocol):
    """A source whose headers depend on the request (AWS SigV4, RFC 9421)."""

    def sign(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        """The headers to set on this very request. Never blocks; called after `get`."""
        ...


class StaticSource:
    """The source of a static plugin: asks `read` each time, so that what changed outside is seen at once."""

    __slots__ = ("_last", "_read")

    def __init__(self, read: Callable[[], Mapping[str, str]]) -> None:
        self._read = read
        self._last: tuple[Mapping[str, str], Credential] | None = None

    def peek(self) -> Credential | None:
        """The credential, or None where `read` raises."""
        try:
            return self.get()
        except CredentialError:
            return None

    def get(self, *, rejected: Credential | None = None) -> Credential:
        """The credential; the same object for as long as `read` returns the same headers."""
        del rejected  # nothing can be done for it but to look again, which is what is done anyway
        headers = self._read()
        last = self._last
        if last is not None and last[0] == headers:
            return last[1]
        credential = Credential(headers)
        self._last = (headers, credential)
        return credential
