"""What the snapshot is to hold of a provider: what the warm path may answer from, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.config.snapshot import Routed
from keyfob.credentials.records import SignsIn
from keyfob.errors import KeyfobError
from keyfob.routing.builtin import TABLES
from keyfob.stores.choice import SHARED

if TYPE_CHECKING:
    from keyfob.providers import Provider

# The plugins whose credentials the warm path knows to read.
_ANSWERED = frozenset({"envkey", "oauth", SHARED})


def routed(provider: Provider) -> Routed | None:
    """Where a provider is routed; None if it has a fault, or if its login is judged whenever it is read."""
    try:
        route, entry = provider.route, provider.entry
        places = {}
        if route.plugin in _ANSWERED:  # of another's, nothing more is held: it is not imported for this
            if provider.judge.policy.judges:
                return None
            places = _places(provider)
    except KeyfobError:
        return None
    setting = entry.setting(route.key) if route.key else None
    file, line = (setting.path or "", str(setting.line or "")) if setting else ("", "")
    return Routed(route.plugin, file, line, **places, alone=_is_alone(provider))


def _is_alone(provider: Provider) -> bool:
    """Whether no plugin that might be installed could change how it is routed: it has no key that one could claim."""
    entry = provider.entry
    return not entry.scalars and TABLES.issuperset(entry.tables)


def _places(provider: Provider) -> dict[str, str]:
    """The variable and the file that the warm path may answer from."""
    plugin, login = provider.route.plugin, provider.login
    if login is None:
        return {}
    _ = provider.additions  # whatever is wrong with them is to be said
    stored = login.store.place if login.store.kind == "file" else ""
    if plugin == "envkey":
        variable, origin = provider.entry.fields.env_key or "", str(provider.base_url.origin)
        return {"variable": variable, "stored": stored, "origin": origin}
    if isinstance(login.records, SignsIn) and login.records.configuration:
        origin = str(provider.base_url.origin)
        return {"stored": stored, "origin": origin, "configuration": login.records.configuration}
    if stored and provider.entry.fields.base_url is not None:  # else it follows from the login, which may change
        _ = provider.base_url
    return {"stored": stored}
