"""keyfob for httpx: clients and an `Auth` that authenticate to one provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyfob.api import signing_of
from keyfob.clients import httpx as _httpx

if TYPE_CHECKING:
    from keyfob.host import Host, Provider

__all__ = ["AsyncClient", "Auth", "Client"]


class Client(_httpx.Client):
    """An `httpx.Client` for one provider.

    Its base URL, headers, query parameters and read time-out are the entry's; what it adds goes to the provider's
    origin, at or below its base path, and nowhere else, on every hop. provider: an id, a Provider, or None for the
    default one. options: those of `httpx.Client`; `transport` and `mounts` are wrapped, so that the guard holds.
    """

    def __init__(self, provider: str | Provider | None = None, /, *, host: Host | None = None, **options: Any) -> None:
        super().__init__(signing_of(provider, host), **options)


class AsyncClient(_httpx.AsyncClient):
    """An `httpx.AsyncClient` for one provider; see Client."""

    def __init__(self, provider: str | Provider | None = None, /, *, host: Host | None = None, **options: Any) -> None:
        super().__init__(signing_of(provider, host), **options)


class Auth(_httpx.Auth):
    """An `httpx.Auth` for a client of your own.

    It can guard the `Authorization` header alone, so it raises OriginError for a provider that sends anything else.
    """

    def __init__(self, provider: str | Provider | None = None, /, *, host: Host | None = None) -> None:
        super().__init__(signing_of(provider, host))
