"""The plugins at hand: which are declared, which are refused and why, and the loading of one of them, in isolation."""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pluggy
from pydantic import BaseModel

from keyfob import __version__
from keyfob.config.builtin import Base
from keyfob.config.places import site_folders
from keyfob.config.schema import table_schema
from keyfob.errors import PluginError
from keyfob.lazy import lazy
from keyfob.plugin import AuthPlugin, hooks
from keyfob.routing.builtin import MODULES, RESERVED_IDS, RESERVED_KEYS, TABLES
from keyfob.routing.installed import Declaration, canonical
from keyfob.routing.isolation import isolated
from keyfob.routing.strays import refuse_stray

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


@dataclass(frozen=True, slots=True)
class Refusal:
    """A declaration that is not heard, and why."""

    declaration: Declaration
    reason: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plugin that was imported and checked: whose it is, and the file that holds its code."""

    plugin: AuthPlugin[Any]
    distribution: str
    version: str
    file: str

    @property
    def owner(self) -> str:
        """Distribution and version, for messages."""
        return f"{self.distribution} {self.version}"


class Plugins:
    """The built-in plugins and those that installed distributions declare. `allowed`: allow-lists, each must agree."""

    def __init__(self, declared: Sequence[Declaration], allowed: Sequence[frozenset[str]] = ()) -> None:
        self._declared = declared
        self._allowed = [frozenset(map(canonical, names)) for names in allowed]
        self._loaded: dict[str, Loaded] = {}

    @lazy
    def accepted(self) -> tuple[Declaration, ...]:
        """The declarations that are heard."""
        refused = {refusal.declaration for refusal in self.refused}
        return tuple(declaration for declaration in self._declared if declaration not in refused)

    @lazy
    def refused(self) -> tuple[Refusal, ...]:
        """The declarations that are not: by themselves, or because two distributions make the same claim."""
        reasons = {declaration: self._own_reason(declaration) for declaration in self._declared}
        claims = defaultdict(list)
        for declaration, reason in reasons.items():
            if reason is None and declaration.group != "keyfob.events":
                claims[declaration.group, declaration.name].append(declaration)
        for (_, name), rivals in claims.items():
            if len(rivals) > 1:
                who = " and ".join(sorted(map(str, rivals)))
                reasons |= dict.fromkeys(rivals, f"{who} all declare `{name}`; allow_plugins can leave one out")
        return tuple(Refusal(declaration, reason) for declaration, reason in reasons.items() if reason is not None)

    def _own_reason(self, declaration: Declaration) -> str | None:
        if declaration.group == "keyfob.auth" and declaration.name in RESERVED_KEYS:
            return f"the key `{declaration.name}` is reserved"
        if declaration.group == "keyfob.providers" and declaration.name in RESERVED_IDS:
            return f"the provider id `{declaration.name}` is built in"
        if any(declaration.distribution not in names for names in self._allowed):
            return f"{declaration.distribution} is not in allow_plugins"
        if not declaration.version:
            return f"{declaration.distribution} is half uninstalled: its METADATA is gone"
        if ":" in declaration.module:
            return f"`{declaration.module}` has to be the name of a module"
        return None

    @lazy
    def _claims(self) -> dict[tuple[str, str], Declaration]:
        return {(declaration.group, declaration.name): declaration for declaration in self.accepted}

    def declared(self, group: str, name: str) -> Declaration | None:
        """Who declares that name. Raises PluginError if it is refused."""
        declaration = self._claims.get((group, name))
        if declaration is None:
            for refusal in self.refused:
                refused = refusal.declaration
                if (refused.group, refused.name) == (group, name):
                    message = f"`{name}`, declared by {refused}, is refused: {refusal.reason}"
                    raise PluginError(message, hint="keyfob plugins")
        return declaration

    def load(self, key: str) -> Loaded:
        """The plugin of that key, imported, registered and checked. Raises PluginError that names whose it is."""
        if key not in self._loaded:
            self._loaded[key] = self._load(key)
        return self._loaded[key]

    def _load(self, key: str) -> Loaded:
        distribution, version, name = "keyfob", __version__, MODULES.get(key)
        if name is None:
            declaration = self.declared("keyfob.auth", key)
            if declaration is None:
                raise PluginError(f"no installed plugin handles `{key}`", hint="keyfob plugins")
            distribution, version, name = declaration.distribution, declaration.version, declaration.module
        owner = f"{distribution} {version}"
        module = _imported(name, owner)
        offered = _call(module, "keyfob_auth_plugins", owner)
        with isolated(owner, f"{name} broke", told=True):
            plugin = _chosen(offered, key, f"{owner}: keyfob_auth_plugins() of {name}")
            return Loaded(plugin, distribution, version, module.__file__ or name)

    def schemas(self) -> tuple[dict[str, Any], list[PluginError]]:
        """The JSON Schema of each plugin's table by key, and why some could not be had. Imports them all."""
        found = {key: table_schema(self.load(key).plugin.options, key) for key in sorted(TABLES)}
        broken = []
        for declaration in self.accepted:
            if declaration.group == "keyfob.auth":
                try:
                    found[declaration.name] = self._schema(declaration)
                except PluginError as error:
                    broken.append(error)
        return found, broken

    def _schema(self, declaration: Declaration) -> dict[str, Any]:
        model = self.load(declaration.name).plugin.options
        with isolated(str(declaration), f"the options of `{declaration.name}` have no JSON Schema", told=True):
            return table_schema(model, declaration.name)

    def shipped(self, provider: str) -> Base | None:
        """The entry that an installed distribution ships under that id, or None."""
        declaration = self.declared("keyfob.providers", provider)
        if declaration is None:
            return None
        owner = str(declaration)
        entries = _call(_imported(declaration.module, owner), "keyfob_providers", owner)
        if not isinstance(entries, Mapping) or not isinstance(entries.get(provider), Mapping):
            raise PluginError(f"{owner}: keyfob_providers() of {declaration.module} has no entry `{provider}`")
        return Base(entries[provider], path=f"plugin {owner}")


def _imported(name: str, owner: str) -> ModuleType:
    with isolated(owner, f"{name} cannot be imported", told=True):
        refuse_stray(name, owner, site_folders())
        return importlib.import_module(name)


def _call(module: ModuleType, hook: str, owner: str) -> object:
    """What one hook of one module returns: registered alone, so that no other plugin can wrap it."""
    manager = pluggy.PluginManager("keyfob")
    manager.add_hookspecs(hooks)
    with isolated(owner, f"{module.__name__} broke", told=True):
        manager.register(module)
        manager.check_pending()
        results = getattr(manager.hook, hook)()
    if not results:
        raise PluginError(f"{owner}: {module.__name__} has no {hook}() that is marked @hookimpl and returns something")
    return results[0]


def _chosen(offered: object, key: str, who: str) -> AuthPlugin[Any]:
    """The plugin with that key. Raises PluginError if there is none, or if it is not what the contract says."""
    if not isinstance(offered, list | tuple):
        raise PluginError(f"{who} returned a {type(offered).__name__}, not a list")
    plugin = next((plugin for plugin in offered if getattr(plugin, "key", None) == key), None)
    if plugin is None:
        raise PluginError(f"{who} returned no plugin with key `{key}`")
    if isinstance(plugin, type):
        raise PluginError(f"{who} returned the class {plugin.__name__}, not an instance of it")
    options = getattr(plugin, "options", None)
    if not (isinstance(options, type) and issubclass(options, BaseModel)):
        raise PluginError(f"{who}: the plugin `{key}` has no pydantic model as its options")
    if not callable(getattr(plugin, "open", None)) and not callable(getattr(plugin, "records", None)):
        raise PluginError(f"{who}: the plugin `{key}` has no method open or records")
    return cast("AuthPlugin[Any]", plugin)
