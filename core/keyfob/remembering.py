"""What the snapshot is to hold of a provider: what the warm path may answer from, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.config.snapshot import Routed
from keyfob.errors import KeyfobError
from keyfob.stores.choice import SHARED

if TYPE_CHECKING:
    from keyfob.providers import Provider


def routed(provider: Provider) -> Routed | None:
    """Where a provider is routed; None if it has a fault, or if its login is judged whenever it is read."""
    try:
        route, entry = provider.route, provider.entry
        if provider.policy and provider.policy.judges:
            return None
        comes_from = _comes_from(provider)
    except KeyfobError:
        return None
    setting = entry.setting(route.key) if route.key else None
    file, line = (setting.path or "", str(setting.line or "")) if setting else ("", "")
    return Routed(route.plugin, comes_from, file, line)


def _comes_from(provider: Provider) -> str:
    """The variable or the file that the warm path may answer from; "" for kinds that it does not know."""
    plugin = provider.route.plugin
    if plugin == "envkey":
        _ = provider.base_url, provider.additions  # whatever is wrong with them is to be said
        return provider.entry.fields.env_key or ""
    if plugin == SHARED and provider.login is not None and provider.login.store.kind == "file":
        _ = provider.additions
        if provider.entry.fields.base_url is not None:  # else it follows from the login, which may change
            _ = provider.base_url
        return provider.login.store.place
    return ""
