"""Where requests may go: a base URL as it is written, or as a plugin says it, checked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from keyfob.clients.origin import BaseUrl
from keyfob.config.builtin import FIXED, IDS
from keyfob.config.faults import dotted
from keyfob.errors import ConfigError, PluginError
from keyfob.plugin.contract import SuppliesBaseUrl
from keyfob.stores.choice import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyfob.config.entries import Entry
    from keyfob.credentials.record import Record
    from keyfob.plugin.contract import Context
    from keyfob.providers import Provider


def base_url_for(provider: Provider, login: Callable[[], Record | None]) -> BaseUrl:
    """The entry's base URL, else the one that its plugin knows, which may follow from `login`.

    Raises ConfigError, and what `login` raises.
    """
    written = provider.entry.fields.base_url
    text = _supplied(provider, login) if written is None else written
    return _checked(text, provider.entry, provider.host.places.codex_home)


def followed_base_url(provider: Provider, record: Record) -> str | None:
    """The base URL that follows from this login, which goes nowhere else; None where the entry says one."""
    return None if provider.entry.fields.base_url is not None else str(base_url_for(provider, lambda: record))


def _supplied(provider: Provider, login: Callable[[], Record | None]) -> str:
    plugin, key = provider.loaded.plugin, provider.route.plugin
    if isinstance(plugin, SuppliesBaseUrl):
        with provider.isolated("base_url"):
            text: object = plugin.base_url(provider.info, provider.options, _context(provider, login))
        if isinstance(text, str):
            return text
        raise PluginError(f"{provider.loaded.owner}: base_url() of plugin `{key}` returned no text")
    hint = f'write base_url = "https://…"{_whose(provider)}'
    raise ConfigError.of([provider.entry.fault(None, "there is no base_url", hint)])


def _context(provider: Provider, login: Callable[[], Record | None]) -> Context:
    """A base URL may follow from OpenAI's login alone: any other can be read only once the origin is known."""
    context = provider.host.context
    return replace(context, login=login) if provider.route.plugin == SHARED else context


def _whose(provider: Provider) -> str:
    """Whose base URL does not count here, and why, as the end of a sentence; "" where no plugin ships one."""
    deciding = provider.host.configuration.deciding(provider.id)
    shipper = provider.host.plugins.shipper(provider.id) if deciding and provider.id not in IDS else None
    return f"; that of {shipper} is not for an entry that sets {dotted(deciding[0])}" if shipper else ""


def _checked(text: str, entry: Entry, codex_home: str) -> BaseUrl:
    """The text as a base URL.

    Raises ConfigError for one that is invalid, and for plain http, which would show the credential to the network: it
    goes to loopback only, unless the entry allows it.
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
