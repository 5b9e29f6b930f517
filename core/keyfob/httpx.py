"""keyfob for httpx: clients and an `Auth` that authenticate to one provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyfob.api import signing_of
from keyfob.clients import httpx as _httpx

if TYPE_CHECKING:
    from keyfob.host import Host
    from keyfob.providers import Provider

__all__ = ["AsyncClient", "Auth", "Client"]


class Client(_httpx.Client):
    """An `httpx.Client` for one provider.

    Its base URL, headers, query parameters and read time-out are the entry's; what it adds goes to the provider's
    origin, at or below its base path, and nowhere else, on every hop. provider: an id, a Provider, or None for the
    default one. options: those of `httpx.Client`; `transport` and `mounts` are wrapped, so that the guard holds.
    Loopback is reached directly, whatever proxy is named; a transport in `mounts` for its address goes before that.

    Requests raise OriginError, CredentialError and PluginError besides the library's own errors; after any of these
    three nothing was sent, or the answer was a 401.
    """

    def __init__(self, provider: str | Provider | None = None, /, *, host: Host | None = None, **options: Any) -> None:
        super().__init__(signing_of(provider, host), **options)


class AsyncClient(_httpx.AsyncClient):
    """An `httpx.AsyncClient` for one provider; see Client."""

    def __init__(self, provider: str | Provider | None = None, /, *, host: Host | None = None, **options: Any) -> None:
        super().__init__(signing_of(provider, host), **options)


class Auth(_httpx.Auth):
    """An `httpx.Auth` for a client of your own.

    It can guard the `Authorization` header alone, and raises OriginError for a provider that sends anything else. It is
    asked once a request: a redirect to another origin loses the header, one within the origin keeps it, also where that
    leads above the base path. The clients here guard that, too.
    """

    def __init__(self, provider: str | Provider | None = None, /, *, host: Host | None = None) -> None:
        super().__init__(signing_of(provider, host))
