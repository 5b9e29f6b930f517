"""The network under a client: connections made directly or through a proxy, as each origin needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyfob.clients.origin import Origin
from keyfob.clients.proxies import proxy_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class _Network:
    """Transports of one library, made by `make(proxy URL or None)` when first needed."""

    def __init__(self, environ: Mapping[str, str], make: Callable[[str | None], Any]) -> None:
        self._environ = environ
        self._make = make
        self._by_proxy: dict[str | None, Any] = {}
        self._by_origin: dict[tuple[str, str, int | None], Any] = {}

    def _for(self, url: Any) -> Any:  # a URL and a transport of either library
        key = (url.scheme, url.host, url.port)
        transport = self._by_origin.get(key)
        if transport is None:
            scheme = url.scheme.replace("ws", "http")
            origin = Origin(scheme, url.host, url.port or _DEFAULT_PORTS.get(scheme, 0))
            transport = self._by_origin[key] = self._through(proxy_for(origin, self._environ))
        return transport

    def _through(self, proxy: str | None) -> Any:
        if proxy not in self._by_proxy:
            self._by_proxy[proxy] = self._make(proxy)
        return self._by_proxy[proxy]


class Network(_Network):
    """The network of a sync client."""

    def handle_request(self, request: Any) -> Any:
        """Send one request on the connection its origin needs."""
        return self._for(request.url).handle_request(request)

    def close(self) -> None:
        """Close every connection."""
        for transport in self._by_proxy.values():
            transport.close()


class AsyncNetwork(_Network):
    """The network of an async client."""

    async def handle_async_request(self, request: Any) -> Any:
        """Send one request on the connection its origin needs."""
        return await self._for(request.url).handle_async_request(request)

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in self._by_proxy.values():
            await transport.aclose()
