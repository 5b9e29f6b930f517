"""Routing: which plugin an entry goes to. Looks at the keys of the entry and at nothing else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from keyfob.config.faults import toml_key
from keyfob.errors import RoutingError
from keyfob.routing.builtin import CLAIMS, TABLES

if TYPE_CHECKING:
    from keyfob.config.entries import Entry
    from keyfob.errors import Fault
    from keyfob.routing.plugins import Plugins


@dataclass(frozen=True, slots=True)
class Claim:
    """A key of the entry that names a plugin; `ignored` says why it does not count, where it does not."""

    key: str
    plugin: str
    ignored: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """The plugin an entry goes to, the key that decided it (None: no key did), and every claim that was weighed."""

    plugin: str
    key: str | None
    claims: tuple[Claim, ...]


def route(entry: Entry, plugins: Plugins) -> Route:
    """The route of an entry. Raises RoutingError, PluginError."""
    built_in = [Claim(key, plugin) for key, plugin in CLAIMS.items() if _is_there(entry, key)]
    command = next((claim for claim in built_in if claim.key == "auth"), None)
    if command and runs_keyfob(entry):
        built_in.remove(command)
        _refuse_asking_itself(entry, built_in)
        command = Claim("auth", "command", ignored="it is keyfob itself: the half of the entry that is Codex's")
    elif command and len(built_in) > 1:
        raise _conflict(entry, built_in)
    _refuse_scalars(entry, plugins)
    tables = [Claim(key, _claimant(entry, key, plugins)) for key in entry.tables]
    if len(tables) + bool(built_in) > 1:
        raise _conflict(entry, built_in[:1] + tables)
    losers = [Claim(claim.key, claim.plugin, f"`{built_in[0].key}` comes first") for claim in built_in[1:]]
    winners = built_in[:1] or tables
    claims = (*winners, *losers, *([command] if command and command.ignored else []))
    return Route(winners[0].plugin, winners[0].key, claims) if winners else Route("none", None, claims)


def _is_there(entry: Entry, key: str) -> bool:
    value = getattr(entry.fields, key)
    return value is not None and value is not False


def _refuse_scalars(entry: Entry, plugins: Plugins) -> None:
    """Refuse a plugin's key that is no table: passed over, it would have the request sent without credentials."""
    for key in entry.scalars:
        if _is_claimed(key, plugins):
            instead = f"write [model_providers.{toml_key(entry.id)}.{toml_key(key)}]"
            raise _error(entry.fault(key, "expected a table", instead))


def _claimant(entry: Entry, key: str, plugins: Plugins) -> str:
    """The plugin that declared this table; an undeclared table is an error, for it may hold the way to authenticate."""
    if not _is_claimed(key, plugins):
        hint = f"install a plugin for it (keyfob plugins lists yours), or remove the table `{key}`"
        raise _error(entry.fault(key, f"no installed plugin handles `{key}`"), hint)
    return key


def _is_claimed(key: str, plugins: Plugins) -> bool:
    return key in TABLES or plugins.declared("keyfob.auth", key) is not None


def _conflict(entry: Entry, claims: list[Claim]) -> RoutingError:
    places = ", ".join(f"`{claim.key}` ({_place(entry, claim.key)}) → {claim.plugin}" for claim in claims)
    fault = entry.fault(claims[0].key, f"more than one key says how to authenticate: {places}", "keep one of them")
    return _error(fault)


def _place(entry: Entry, key: str) -> str:
    setting = entry.setting(key)
    return setting.place if setting else (entry.base and entry.base.path) or "built in"


def _error(fault: Fault, hint: str | None = None) -> RoutingError:
    return RoutingError(str(fault), hint=hint, faults=[fault])


def runs_keyfob(entry: Entry) -> bool:
    """Whether `auth.command` is keyfob itself, by its name or as `python -m keyfob`."""
    auth = entry.fields.auth
    if auth is None:
        return False
    program = os.path.basename(auth.command.strip().replace("\\", "/")).lower().removesuffix(".exe")
    if program.startswith("python"):
        return ("-m", "keyfob") in pairwise(auth.args)
    return program == "keyfob"


def _refuse_asking_itself(entry: Entry, others: list[Claim]) -> None:
    """Codex's half needs another half: without one, keyfob would ask keyfob for ever."""
    if others or entry.tables:
        return
    command = entry.fault(("auth", "command"), "this is keyfob itself, Codex's half of the entry")
    half = entry.fault(None, "the other half, which says how to authenticate, is missing")
    hint = f'write, for example, env_key = "NAME" under [model_providers.{half.provider}] in {_keyfob_file(entry)}'
    raise RoutingError(f"{command}\n{half}", hint=hint, faults=[command, half])


def _keyfob_file(entry: Entry) -> str:
    """The file beside the one that holds the command."""
    setting = entry.setting("auth")
    return f"{setting.path.removesuffix('config.toml')}keyfob.toml" if setting and setting.path else "keyfob.toml"
