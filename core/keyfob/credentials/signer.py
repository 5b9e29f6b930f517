"""The source of a signing plugin: keeps the key that requests are signed with, and signs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.credentials.minting import MintingSource
from keyfob.credentials.signature import SigningKey
from keyfob.errors import MissingCredentialError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyfob.credentials.credential import Credential
    from keyfob.credentials.signature import Unsigned


class SigningSource(MintingSource):
    """A Signer that keeps what `fetch` returns until it expires, is `max_age` seconds old, or is refused with a 401.

    fetch: the key; may block. Raises CredentialError, or KeyError with the name of a variable that is not set.
    sign: the headers of the signature; never blocks. clock: the wall clock, in seconds since the epoch.
    """

    def __init__(
        self,
        fetch: Callable[[], SigningKey],
        sign: Callable[[Unsigned, SigningKey], Mapping[str, str]],
        *,
        clock: Callable[[], float],
        max_age: float | None = None,
    ) -> None:
        super().__init__(self._fetched, clock=clock, max_age=max_age)
        self._fetch = fetch
        self._sign = sign
        self._last: SigningKey | None = None

    def _fetched(self) -> SigningKey:
        """The key; the object of before where nothing changed, so that a request is not sent again in vain."""
        try:
            found = self._fetch()
        except KeyError as error:
            raise MissingCredentialError(f"{error.args[0]} is not set") from None
        if not isinstance(found, SigningKey):
            raise TypeError(f"{type(found).__name__} is no SigningKey")
        if self._last is None or not found.same(self._last):
            self._last = found
        return self._last

    def sign(self, request: Unsigned, credential: Credential) -> Mapping[str, str]:
        """The headers that sign this request with that key."""
        if not isinstance(credential, SigningKey):
            raise TypeError(f"{type(credential).__name__} is no SigningKey")
        return self._sign(request, credential)
