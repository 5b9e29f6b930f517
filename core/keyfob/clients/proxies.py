"""Which proxy the environment names for an origin (the variables of curl, urllib and both HTTP libraries)."""

from __future__ import annotations

import ipaddress
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

from keyfob.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyfob.clients.origin import Origin


class Proxy(NamedTuple):
    """A proxy, and the variable that names it. url: it may hold a password, so it is not shown."""

    variable: str
    url: str

    def __repr__(self) -> str:
        return f"<Proxy of {self.variable}>"

    def transport(self, library: Any, make: Callable[..., Any], **options: Any) -> Any:  # httpx or httpx2
        """What `make` makes for this proxy. Raises ConfigError if the library cannot use it.

        To a proxy that speaks TLS itself, the certificates count that are to be trusted otherwise.
        """
        verify = options.get("verify")
        secure = self.url.lower().startswith("https:") and isinstance(verify, ssl.SSLContext)
        try:
            return make(**options, proxy=library.Proxy(self.url, ssl_context=verify if secure else None))
        except (ImportError, ValueError, library.InvalidURL) as error:
            hint = f"set {self.variable} anew"
            if isinstance(error, ImportError):
                hint = f"pip install '{library.__name__}[socks]', or {hint}"
            # Not the cause: its text may repeat a password.
            raise ConfigError(f"the proxy that {self.variable} names cannot be used", hint=hint) from None


def proxy_for(origin: Origin, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for an origin, or None: HTTP(S)_PROXY, then ALL_PROXY, unless NO_PROXY names the host."""
    found = _variable(environ, f"{origin.scheme}_proxy") or _variable(environ, "all_proxy")
    if not found or _bypassed(origin, _variable(environ, "no_proxy")):
        return None
    variable, url = found
    return Proxy(variable, url if "://" in url else f"http://{url}")


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str] | None:
    """Its name and value in lower case, or where that is not set, in upper case; None if it is not set, or blank."""
    # In a CGI script HTTP_PROXY is the client's header `Proxy` (CVE-2016-1000110).
    names = (name,) if name == "http_proxy" and "REQUEST_METHOD" in environ else (name, name.upper())
    found = next((name for name in names if name in environ), name)
    value = environ.get(found, "").strip()
    return (found, value) if value else None


def _bypassed(origin: Origin, exceptions: tuple[str, str] | None) -> bool:
    names = [name.strip().lower() for name in exceptions[1].split(",")] if exceptions else []
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
