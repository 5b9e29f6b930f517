"""Signing: all that a client needs in order to send to one provider, without knowing host, plugin or HTTP library."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import finalize

from keyfob.clients.origin import origin_of, shown
from keyfob.credentials.credential import SecretHeaders
from keyfob.credentials.event import unheard
from keyfob.credentials.flights import Flights
from keyfob.credentials.source import Signer
from keyfob.errors import AccountChangedError, OriginError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyfob.clients.additions import Additions
    from keyfob.clients.origin import BaseUrl
    from keyfob.credentials.credential import Credential
    from keyfob.credentials.event import Announce
    from keyfob.credentials.source import CredentialSource

CONNECT = 30.0
"""Seconds for a connection to stand, where the caller says nothing."""

# A program that goes to more origins than these without a credential is told of some of them twice.
_MOST_ORIGINS = 1_000


class Signing:
    """One provider's base URL, what its entry adds to a request, and the source of its credential.

    read_timeout: seconds a client waits for the next byte. environ: what proxies are looked up in. announce: told of
    what was kept from going elsewhere, and of what the provider refused.
    """

    def __init__(
        self,
        provider: str,
        base_url: BaseUrl,
        additions: Additions,
        source: CredentialSource,
        *,
        environ: Mapping[str, str],
        read_timeout: float,
        announce: Announce = unheard,
    ) -> None:
        self.provider = provider
        self.base_url = base_url
        self.additions = additions.checked(self.check_belongs_here)
        self.environ = environ
        self.read_timeout = read_timeout
        self.signer = source if isinstance(source, Signer) else None
        self.covers = base_url.covers
        self.peek = source.peek
        flights = Flights(source, provider)
        self.get = flights.get
        self.start = flights.start
        self._announce = announce
        self._blocked: dict[str | None, object] = {}
        self._refused: dict[int, object] = {}

    def blocked(self, url: str) -> None:
        """Announce that nothing of this provider goes to `url`; of each origin once, or a loop would flood a log."""
        origin, mine = origin_of(url), object()
        if origin not in self._blocked and len(self._blocked) >= _MOST_ORIGINS:
            self._blocked.clear()
        if self._blocked.setdefault(origin, mine) is mine:
            self._announce("sent-elsewhere-blocked", origin=origin)

    def refused(self, credential: Credential) -> None:
        """Announce that the provider has refused it, and there is no other; of each credential once."""
        which, mine = id(credential), object()  # a plugin's may be equal to others, or have no hash
        if self._refused.setdefault(which, mine) is mine:
            finalize(credential, self._refused.pop, which, None).atexit = False
            self._announce("refused", code="status-401")

    def check_belongs_here(self, credential: Credential) -> None:
        """Raise AccountChangedError for the credential of a login whose requests go to another base URL."""
        if credential.base_url not in (None, str(self.base_url)):
            raise AccountChangedError(
                f"{self.provider}: this was made for {self.base_url}, and the login there is now is for "
                f"{credential.base_url}",
                hint="make a new client, or start the program again",
            )

    def headers(self, url: str | None = None) -> SecretHeaders:
        """The headers for a request to `url`, or to anywhere below the base URL. May block.

        Raises OriginError where nothing of this provider may go to `url`, CredentialError where none can be had,
        AccountChangedError where it is for another base URL, UsageError where they would have to be computed from the
        request.
        """
        if url is not None and not self.covers(url):
            self.blocked(url)
            raise OriginError(f"{self.provider}'s credential goes to {self.base_url} and below, not to {shown(url)}")
        if self.signer is not None:
            raise UsageError(f"{self.provider} signs each request by itself", hint="send it with keyfob's Client")
        return SecretHeaders(dict(self.additions.merged(self.peek() or self.get()).pairs))
