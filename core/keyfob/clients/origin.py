"""Origins: where a provider's credential may go, and where not."""

from __future__ import annotations

import ipaddress
import posixpath
import socket
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import SplitResult, unquote, urlsplit

import idna

# A WebSocket is opened by an HTTP request (RFC 6455, section 1.3): its origin is that request's.
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Origin:
    """Scheme, host and port (RFC 6454): the host in IDNA form, without brackets; ws counts as http, wss as https."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")

    @cached_property
    def loopback(self) -> bool:
        """Whether this is this machine: 127.0.0.0/8, ::1, or `localhost` where that resolves to nothing else."""
        if self.host == "localhost":
            return _resolves_to_loopback(self.port)
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return address in _LOOPBACK_4 if address.version == 4 else address == _LOOPBACK_6


_LOOPBACK_4 = ipaddress.ip_network("127.0.0.0/8")
_LOOPBACK_6 = ipaddress.ip_address("::1")


def _resolves_to_loopback(port: int) -> bool:
    try:
        found = socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)
    except OSError:
        return False
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    return all(Origin("http", address, port).loopback for address in addresses)


@dataclass(frozen=True)
class BaseUrl:
    """A provider's base URL, taken apart: what an entry adds goes to its origin, at or below its path."""

    origin: Origin
    path: str

    @classmethod
    def parse(cls, text: str) -> BaseUrl:
        """The parts of a base URL. Raises ValueError that says what is wrong with it and repeats nothing secret."""
        parts = _split(text)
        if parts.scheme not in _PORTS:
            raise ValueError("must begin with https:// or http://")
        if "@" in parts.netloc:
            raise ValueError("must not hold a user name or password; a key belongs in env_key or http_headers")
        if parts.query or "?" in text:
            raise ValueError("must not hold a query; write it as query_params")
        if parts.fragment or "#" in text:
            raise ValueError("must not hold a fragment")
        return cls(_origin(parts), _resolved(parts.path).rstrip("/"))

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"

    def covers(self, url: str) -> bool:
        """Whether `url` is at this origin, at or below this path, its dot segments resolved."""
        try:
            parts = _split(url)
            path = _resolved(parts.path)
            return _origin(parts) == self.origin and (path == self.path or path.startswith(self.path + "/"))
        except ValueError:
            return False


def _split(text: str) -> SplitResult:
    if "\\" in text or any(letter.isspace() or not letter.isprintable() for letter in text):
        raise ValueError("must not hold blanks, backslashes or control characters")
    try:
        return urlsplit(text)
    except ValueError:
        raise ValueError("is not a URL") from None


def _origin(parts: SplitResult) -> Origin:
    scheme = _SCHEMES.get(parts.scheme)
    try:
        port = parts.port
    except ValueError:
        raise ValueError("has a port that is no number from 0 to 65535") from None
    if scheme is None or not parts.hostname:
        raise ValueError("has no host")
    return Origin(scheme, _ascii_host(parts.hostname), _PORTS[scheme] if port is None else port)


def _ascii_host(host: str) -> str:
    """The host as it is compared and looked up: in lower case, in its IDNA form (RFC 5891); addresses as they are."""
    if ":" in host:
        return str(ipaddress.IPv6Address(host.partition("%")[0])) + host[len(host.partition("%")[0]) :]
    host = host.lower()
    if host.isascii():
        return host
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise ValueError("has a host name that no IDNA form exists for") from None


def _resolved(path: str) -> str:
    """The path as the server may understand it: percent signs decoded until none is left to decode, dots resolved."""
    for _ in range(8):
        decoded = unquote(path)
        if decoded == path:
            break
        path = decoded
    resolved = posixpath.normpath("/" + path.replace("\\", "/").lstrip("/"))
    return "" if resolved == "/" else resolved
