"""Where requests may go: a base URL as it is written, or as a plugin says it, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.clients.origin import BaseUrl
from keyfob.config.builtin import FIXED
from keyfob.errors import ConfigError

if TYPE_CHECKING:
    from keyfob.config.entries import Entry


def checked_base_url(text: str, entry: Entry, codex_home: str) -> BaseUrl:
    """The base URL that `text` is.

    Raises ConfigError for what is none, and for plain http, which would show the credential to the network: it goes to
    loopback only, unless the entry allows it.
    """
    try:
        base_url = BaseUrl.parse(text)
    except ValueError as error:
        raise ConfigError.of([entry.fault("base_url", str(error))]) from None
    origin = base_url.origin
    if origin.scheme == "https" or entry.fields.allow_http or origin.loopback:
        return base_url
    fault = entry.fault("base_url", f"plain http to {origin.host} would send credentials in the clear")
    hint = f"use https, or write {_permission(entry.id, fault.provider, codex_home)}: allow_http = true"
    raise ConfigError(str(fault), hint=hint, faults=[fault])


def _permission(provider: str, written: str | None, codex_home: str) -> str:
    """Where the line that allows plain http belongs; a built-in entry cannot take it. written: its id, as TOML."""
    if provider in FIXED:
        return "an entry of your own, with this base_url and"
    return f"under [model_providers.{written}] in {codex_home}/keyfob.toml"
