"""`keyfob.provider`: the providers of the process's own host."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from keyfob.host import Host
from keyfob.providers import Provider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.clients.signing import Signing


_own: dict[str, Host] = {}


def default_host() -> Host:
    """The host of this process, made of its environment when first needed; one for all threads."""
    return _own.get("host") or _own.setdefault("host", Host())


@contextmanager
def using(host: Host) -> Iterator[None]:
    """Have that host be the process's own, for all threads."""
    before = dict(_own)
    _own["host"] = host
    try:
        yield
    finally:
        _own.clear()
        _own.update(before)


def provider(provider: str | None = None, /, *, host: Host | None = None) -> Provider:
    """One provider of `host`, by default of the process's own host; the default provider if none is named.

    The configuration is read when a part of the provider is first used, and ConfigError raised then.
    """
    return (host or default_host()).provider(provider)


def resolved(given: str | Provider | None, host: Host | None) -> Provider:
    """A provider that may be named or given."""
    return given if isinstance(given, Provider) else provider(given, host=host)


def signing_of(given: str | Provider | None, host: Host | None) -> Signing:
    """What a client needs in order to send to a provider, which may be named or given."""
    return resolved(given, host).signing
