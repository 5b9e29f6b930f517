"""The network under a client: connections made directly or through a proxy, as each origin needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyfob.clients.origin import PORTS, Origin

if TYPE_CHECKING:
    from collections.abc import Callable


class _Network:
    """Transports of one library. `proxy_for` says which proxy an origin is reached through, None for none; `make`
    makes the transport for that proxy when it is first needed.

    home: the origin that most requests go to; its transport is made at once, so that its faults show at once.
    """

    def __init__(self, home: Origin, proxy_for: Callable[[Origin], Any], make: Callable[[Any], Any]) -> None:
        self._proxy_for = proxy_for
        self._make = make
        self._by_proxy: dict[Any, Any] = {}
        self._by_origin: dict[tuple[str, bytes, int | None], Any] = {}
        self._reach(home)

    def _for(self, url: Any) -> Any:  # a URL and a transport of either library
        key = (url.scheme, url.raw_host, url.port)
        transport = self._by_origin.get(key)
        if transport is None:
            scheme = url.scheme.replace("ws", "http")
            origin = Origin(scheme, url.raw_host.decode(), url.port or PORTS.get(scheme, 0))
            transport = self._by_origin[key] = self._reach(origin)
        return transport

    def _reach(self, origin: Origin) -> Any:
        proxy = self._proxy_for(origin)
        if proxy not in self._by_proxy:
            self._by_proxy.setdefault(proxy, self._make(proxy))  # of two threads that come here at once, one wins
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
