"""Addresses that an issuer names, or that name an issuer: which of them one may go to, and show to a person."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

# Letters. No address that a person is to open is as long.
_LONGEST = 2_000


def fault_of(address: str) -> str | None:
    """What is wrong with it, as the rest of a sentence; None where nothing is.

    Beyond this machine it is encrypted (RFC 6749, section 3.1), and nothing in it hides where it leads, or could take
    hold of a terminal.
    """
    if len(address) > _LONGEST or not (address.isascii() and address.isprintable()) or set(" \\") & set(address):
        return "holds what no address holds"
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        parts.port  # noqa: B018  # reading it is what raises
    except ValueError:
        return "is not a URL"
    if "@" in parts.netloc:
        return "holds a user name"
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_this_machine(host))):
        return "is not https"
    return None


def is_this_machine(host: str) -> bool:
    """Whether that is an address of this machine, or its name."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
