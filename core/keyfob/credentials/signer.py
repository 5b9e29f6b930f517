"""The source of a signing plugin: keeps the key that requests are signed with, and signs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.credentials.minting import MintingSource
from keyfob.credentials.signature import SigningKey
from keyfob.credentials.variables import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyfob.credentials.credential import Credential
    from keyfob.credentials.signature import Unsigned


class SigningSource(MintingSource):
    """A Signer that keeps what `fetch` returns until it expires, is `max_age` seconds old, or is refused with a 401.

    environ: handed to `fetch`; when a variable that it read there has changed, it is asked again. fetch: the key; may
    block. Raises CredentialError. sign: the headers of the signature; never blocks. clock: the wall clock, in seconds
    since the epoch.
    """

    def __init__(
        self,
        fetch: Callable[[Mapping[str, str]], SigningKey],
        sign: Callable[[Unsigned, SigningKey], Mapping[str, str]],
        *,
        environ: Mapping[str, str],
        clock: Callable[[], float],
        max_age: float | None = None,
    ) -> None:
        super().__init__(self._fetched, clock=clock, max_age=max_age)
        self._fetch = fetch
        self._sign = sign
        self._environ = environ
        self._reading = Reading(environ)
        self._last: SigningKey | None = None

    def peek(self) -> SigningKey | None:
        """The key at hand while it is fresh, and its variables are what they were."""
        key = super().peek() if self._reading.holds else None
        return key if isinstance(key, SigningKey) else None

    def get(self, *, rejected: Credential | None = None) -> Credential:
        """The key at hand if it is fresh, made of today's variables, and not the rejected one, else a new one."""
        if not self._reading.holds:
            self._held = None
        return super().get(rejected=rejected)

    def _fetched(self) -> SigningKey:
        """The key; the object of before where nothing changed, so that a request is not sent again in vain."""
        reading = Reading(self._environ)
        found = self._fetch(reading)
        if not isinstance(found, SigningKey):
            raise TypeError(f"{type(found).__name__} is not a SigningKey")
        self._reading = reading
        if self._last is None or not found.same(self._last):
            self._last = found
        return self._last

    def sign(self, request: Unsigned, credential: Credential) -> Mapping[str, str]:
        """The headers that sign this request with that key."""
        if not isinstance(credential, SigningKey):
            raise TypeError(f"{type(credential).__name__} is not a SigningKey")
        return self._sign(request, credential)
