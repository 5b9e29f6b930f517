"""Origins: where a provider's credential may go, and where not."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit

import idna

from keyfob.lazy import lazy

# A WebSocket is opened by an HTTP request (RFC 6455, section 1.3): its origin is that request's.
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
PORTS = {"http": 80, "https": 443}
"""The port of each scheme, where none is named."""
# What httpx and httpx2 leave as it is in a path, besides letters, digits and `_.-~`.
_UNQUOTED = "!$%&'()*+,/:;=@[\\]^|"
_DECODINGS = 8  # nobody decodes more often by accident


@dataclass(frozen=True)
class Origin:
    """Scheme, host and port (RFC 6454): the host in IDNA form, without brackets; ws counts as http, wss as https."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """The origin of a URL. Raises ValueError that says what is wrong with it and repeats nothing secret."""
        parts = _split(url)
        if parts.scheme not in PORTS:
            raise ValueError("must begin with https:// or http://")
        return _origin(parts)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == PORTS[self.scheme] else f":{self.port}")

    @lazy
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
    """A provider's base URL, taken apart: what an entry adds goes to its origin, at or below its path.

    path: as it is sent (percent-encoded, dot segments resolved), without a slash at its end.
    """

    origin: Origin
    path: str

    @classmethod
    def parse(cls, text: str) -> BaseUrl:
        """The parts of a base URL. Raises ValueError that says what is wrong with it and repeats nothing secret."""
        parts = _split(text)
        if parts.scheme not in PORTS:
            raise ValueError("must begin with https:// or http://")
        if "@" in parts.netloc:
            raise ValueError("must not hold a user name or password; a key belongs in env_key or http_headers")
        if "?" in text:
            raise ValueError("must not hold a query; write it as query_params")
        if "#" in text:
            raise ValueError("must not hold a fragment")
        path = _sent(parts.path).rstrip("/")
        if "\\" in path or _climbs(path):
            raise ValueError("must not hold backslashes, or `..` behind percent signs")
        return cls(_origin(parts), path)

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"

    def covers(self, url: str) -> bool:
        """Whether `url` is at this origin, at or below this path, its dot segments resolved.

        One that could be read as climbing above the path is not, however often it is encoded.
        """
        try:
            parts = _split(url)
            path = _sent(parts.path)
            below = path == self.path or path.startswith(self.path + "/")
            return below and _origin(parts) == self.origin and not _climbs(path[len(self.path) :])
        except ValueError:
            return False


def origin_of(url: str) -> str | None:
    """The origin of any URL that a client can be given, as it is compared; None for what is none."""
    try:
        return str(_origin(_split(url)))
    except ValueError:
        return None


def shown(url: str) -> str:
    """A URL fit for a message: without user name, password, query and fragment."""
    try:
        parts = _split(url)
        return f"{_origin(parts)}{parts.path}"
    except ValueError:
        return "what is no URL of http, https, ws or wss"


def _split(text: str) -> SplitResult:
    if any(letter.isspace() or not letter.isprintable() for letter in text):
        raise ValueError("must not hold blanks or control characters")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("is not a URL") from None
    if "\\" in parts.netloc:  # browsers end the host there, others do not
        raise ValueError("must not hold backslashes")
    return parts


def _origin(parts: SplitResult) -> Origin:
    scheme = _SCHEMES.get(parts.scheme)
    try:
        port = parts.port
    except ValueError:
        raise ValueError("has a port that is not a number from 0 to 65535") from None
    if scheme is None or not parts.hostname:
        raise ValueError("has no host")
    return Origin(scheme, _ascii_host(parts.hostname), PORTS[scheme] if port is None else port)


def _ascii_host(host: str) -> str:
    """The host as it is compared and looked up: in lower case, in its IDNA form (RFC 5891); addresses as they are."""
    if ":" in host or not host.strip("0123456789."):
        return _address(host)
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise ValueError("has a host name that no IDNA form exists for") from None


def _address(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise ValueError("has an invalid IP address") from None


def _sent(path: str) -> str:
    """The path as both HTTP libraries send it: dot segments resolved (RFC 3986, section 5.2.4), the rest encoded."""
    sent: list[str] = []
    for segment in path.split("/"):
        if segment not in {".", ".."}:
            sent.append(segment)
        elif segment == ".." and len(sent) > 1:
            sent.pop()
    return quote("/".join(sent), safe=_UNQUOTED)


def _climbs(path: str) -> bool:
    """Whether a server may find `..` in the path: behind percent signs, beside backslashes, before parameters.

    (Proxies and frameworks decode once more than they should; `/..;/` climbs in Java's.)
    """
    for _ in range(_DECODINGS):
        path, encoded = unquote(path), path
        if path == encoded:
            return any(part.partition(";")[0].strip() == ".." for part in path.replace("\\", "/").split("/"))
    return True
