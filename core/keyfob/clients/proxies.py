"""Which proxy the environment names for an origin (the variables of curl, urllib and both HTTP libraries)."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyfob.clients.origin import Origin


def proxy_for(origin: Origin, environ: Mapping[str, str]) -> str | None:
    """The URL of the proxy for an origin, or None: HTTP(S)_PROXY, then ALL_PROXY, unless NO_PROXY names the host."""
    url = _variable(environ, f"{origin.scheme}_proxy") or _variable(environ, "all_proxy")
    if not url or _bypassed(origin, _variable(environ, "no_proxy")):
        return None
    return url if "://" in url else f"http://{url}"


def _variable(environ: Mapping[str, str], name: str) -> str:
    """Its value in lower case, or where that is not set, in upper case."""
    if name == "http_proxy" and "REQUEST_METHOD" in environ:
        return environ.get(name, "")  # in a CGI script HTTP_PROXY is the client's header `Proxy` (CVE-2016-1000110)
    return environ.get(name, environ.get(name.upper(), "")).strip()


def _bypassed(origin: Origin, exceptions: str) -> bool:
    names = [name.strip().lower() for name in exceptions.split(",")]
    return any(name == "*" or (name and _matches(origin, name)) for name in names)


def _matches(origin: Origin, name: str) -> bool:
    """Whether `name` is this host, a domain above it, a network around it, or one of these with this very port."""
    host, _, port = name.rpartition(":")
    if port == str(origin.port) and (host.endswith("]") or ":" not in host):
        name = host
    domain = name.strip("[]").lstrip("*.")
    return origin.host == domain or origin.host.endswith(f".{domain}") or _within(origin.host, domain)


def _within(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
