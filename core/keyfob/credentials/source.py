"""The source: the one interface that everything wraps, and the source that keeps nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from keyfob.credentials.credential import Credential
from keyfob.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyfob.credentials.signature import Unsigned


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

    def sign(self, request: Unsigned, credential: Credential) -> Mapping[str, str]:
        """The headers to set on this very request, beside those of the credential. Never blocks.

        credential: what `peek` or `get` returned for this request.
        """
        ...


class ForbiddenSource:
    """The source of a provider that a rule forbids to use: its plugin is not even opened. why: which rule."""

    def __init__(self, why: PolicyError) -> None:
        self._why = why

    def peek(self) -> None:
        """There is none."""

    def get(self, *, rejected: Credential | None = None) -> Credential:
        """Raises PolicyError."""
        raise PolicyError(str(self._why), hint=self._why.hint)


class StaticSource:
    """The source of a static plugin: looks each time, so that what changed outside is seen at once.

    read: the headers, name → value. Raises CredentialError.
    watch: what they are made of, where looking at that is cheaper; `read` is called again when it is another.
    """

    __slots__ = ("_last", "_read", "_watch")

    def __init__(self, read: Callable[[], Mapping[str, str]], *, watch: Callable[[], object] | None = None) -> None:
        self._read = read
        self._watch = watch or read
        self._last: tuple[object, Credential | None] = (None, None)

    def peek(self) -> Credential | None:
        """The credential, or None where `get` would raise."""
        try:
            seen, credential = self._last
            return credential if credential is not None and self._watch() == seen else self.get()
        except Exception:  # noqa: BLE001  # `get` is asked next, and its errors are heard
            return None

    def get(self, *, rejected: Credential | None = None) -> Credential:
        """The credential; the same object for as long as what it is made of is the same.

        rejected: nothing can be done for it but to look again, which is what is done anyway.
        """
        seen = self._watch()
        last, credential = self._last
        if credential is None or last != seen:
            credential = Credential(self._read())
            self._last = (seen, credential)
        return credential
