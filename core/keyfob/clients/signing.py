"""Signing: all that a client needs in order to send to one provider, without knowing host, plugin or HTTP library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.credentials.credential import SecretHeaders
from keyfob.credentials.flights import Flights
from keyfob.credentials.source import Signer
from keyfob.errors import OriginError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyfob.clients.additions import Additions
    from keyfob.clients.origin import BaseUrl
    from keyfob.credentials.source import CredentialSource


class Signing:
    """One provider's base URL, what its entry adds to a request, and the source of its credential.

    read_timeout: seconds a client waits for the next byte. environ: what proxies are looked up in.
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
    ) -> None:
        self.provider = provider
        self.base_url = base_url
        self.additions = additions
        self.environ = environ
        self.read_timeout = read_timeout
        self.signer = source if isinstance(source, Signer) else None
        self.peek = source.peek
        flights = Flights(source)
        self.get = flights.get
        self.start = flights.start
        self._prefix = f"{base_url}/"

    def covers(self, url: str) -> bool:
        """Whether what the entry adds may go to `url`. The common case is decided by two comparisons of text."""
        if url.startswith(self._prefix):
            path = url.partition("?")[0]
            if "/." not in path and "%" not in path:
                return True
        return self.base_url.covers(url)

    def headers(self, url: str | None = None) -> SecretHeaders:
        """The headers for a request to `url`, or to anywhere below the base URL. May block.

        Raises OriginError where nothing of this provider may go to `url`, CredentialError where none can be had.
        """
        if url is not None and not self.covers(url):
            raise OriginError(f"{self.provider}'s credential goes to {self.base_url} and below, not to {shown(url)}")
        return SecretHeaders(dict(self.additions.merged(self.peek() or self.get()).pairs))


def shown(url: str) -> str:
    """A URL fit for a message: without user name, password, query and fragment."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    host = authority.rpartition("@")[2]
    return f"{scheme}{separator}{host}{slash}{path}".partition("?")[0].partition("#")[0]
