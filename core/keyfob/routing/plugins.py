"""The plugins at hand: which are declared, which are refused and why, and the loading of one of them, in isolation."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import getattr_static
from typing import TYPE_CHECKING, Any, cast

import pluggy
from pydantic import BaseModel

from keyfob import __version__
from keyfob.config.builtin import Base
from keyfob.config.places import site_folders
from keyfob.config.schema import table_schema
from keyfob.credentials.records import is_required
from keyfob.errors import PluginError
from keyfob.lazy import lazy
from keyfob.plugin import AuthPlugin, StaticAuth, hooks
from keyfob.routing import builtin
from keyfob.routing.builtin import MODULES, TABLES
from keyfob.routing.installed import canonical
from keyfob.routing.isolation import isolated
from keyfob.routing.patience import patience
from keyfob.routing.refusals import Refusal, refusals
from keyfob.routing.requirements import check_fits, mended
from keyfob.routing.strays import refuse_stray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import ModuleType

    from keyfob.routing.installed import Declaration


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
    """The built-in plugins and those that installed distributions declare.

    allowed: allow-lists, each must agree. waiting: told of a distribution whose plugin takes long to be loaded; by
    default nobody is. avoided: declarations whose modules are not to be imported here, or not again, and why.
    """

    def __init__(
        self,
        declared: Iterable[Declaration],
        allowed: Sequence[frozenset[str]] = (),
        waiting: Callable[[str], None] | None = None,
    ) -> None:
        self._installed = declared
        self._allowed = [frozenset(map(canonical, names)) for names in allowed]
        self._waiting = waiting
        self._loaded: dict[str, Loaded] = {}
        self.avoided: dict[Declaration, PluginError] = {}

    @lazy
    def _declared(self) -> tuple[Declaration, ...]:
        return tuple(self._installed)

    @lazy
    def accepted(self) -> tuple[Declaration, ...]:
        """The declarations that are heard."""
        refused = {refusal.declaration for refusal in self.refused}
        return tuple(declaration for declaration in self._declared if declaration not in refused)

    @lazy
    def refused(self) -> tuple[Refusal, ...]:
        """The declarations that are not, and why."""
        return refusals(self._declared, self._allowed)

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

    def take(self, loaded: Loaded) -> None:
        """Have a plugin that is at hand be the one of its key."""
        self._loaded[loaded.plugin.key] = loaded

    def load(self, key: str) -> Loaded:
        """The plugin of that key, imported, registered and checked. Raises PluginError that names whose it is."""
        if key not in self._loaded:
            self._loaded[key] = self._load(key)
        return self._loaded[key]

    def _load(self, key: str) -> Loaded:
        declared = self._whose(key)
        module, offered = self._offered(declared, "keyfob_auth_plugins")
        with isolated(str(declared), f"{declared.module} broke", told=True):
            plugin = _chosen(offered, key, f"{declared}: keyfob_auth_plugins() of {declared.module}")
            return Loaded(plugin, declared.distribution, declared.version, module.__file__ or declared.module)

    def _whose(self, key: str) -> Declaration:
        if key in MODULES:
            return builtin.declaration(key)
        declared = self.declared("keyfob.auth", key)
        if declared is None:
            raise PluginError(f"no installed plugin handles `{key}`", hint="keyfob plugins")
        return declared

    def _offered(self, declared: Declaration, hook: str) -> tuple[ModuleType, object]:
        """The module of a declaration, and what its hook returns. Raises PluginError."""
        self._check_may_be_imported(declared)
        try:
            with patience(str(declared), self._waiting):
                module = _imported(declared)
                return module, _call(module, hook, str(declared))
        except PluginError as error:  # it may have taken its time, and several parts of a provider ask for it
            self.avoided[declared] = error
            raise

    def _check_may_be_imported(self, declared: Declaration) -> None:
        known = self.avoided.get(declared)
        if known is not None:
            raise PluginError(str(known), hint=known.hint) from known.__cause__
        check_fits(declared)

    @lazy
    def listeners(self) -> tuple[Declaration, ...]:
        """The declarations of those that hear of events."""
        return tuple(declared for declared in self.accepted if declared.group == "keyfob.events")

    def listener(self, declared: Declaration) -> Callable[..., object]:
        """Its hook `keyfob_event`, to be called with `event=`. Imports its module. Raises PluginError."""
        self._check_may_be_imported(declared)
        owner = str(declared)
        hook = _registered(_imported(declared), owner).hook.keyfob_event
        if not hook.get_hookimpls():
            raise PluginError(f"{owner}: {declared.module} has no keyfob_event() that is marked @hookimpl")
        return cast("Callable[..., object]", hook)

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

    def shipper(self, provider: str) -> Declaration | None:
        """Whose plugin ships an entry under that id, as far as it is heard; nothing is imported."""
        return self._claims.get(("keyfob.providers", provider))

    def shipped(self, provider: str) -> Base | None:
        """The entry that an installed distribution ships under that id, or None."""
        declaration = self.declared("keyfob.providers", provider)
        if declaration is None:
            return None
        owner = str(declaration)
        entries = self._offered(declaration, "keyfob_providers")[1]
        if not isinstance(entries, Mapping) or not isinstance(entries.get(provider), Mapping):
            raise PluginError(f"{owner}: keyfob_providers() of {declaration.module} has no entry `{provider}`")
        return Base(_plain(entries[provider]), path=f"plugin {owner}", shipped=True)


def _plain(value: Any) -> Any:
    """The same with dicts in place of other mappings: only those are merged key by key."""
    return {key: _plain(held) for key, held in value.items()} if isinstance(value, Mapping) else value


def _imported(declared: Declaration) -> ModuleType:
    try:
        with isolated(str(declared), f"{declared.module} cannot be imported", told=True):
            refuse_stray(declared.module, str(declared), site_folders())
            return importlib.import_module(declared.module)
    except PluginError as error:
        cause = error.__cause__
        if isinstance(cause, ImportError) and (cause.name or "").partition(".")[0] == "keyfob":  # it knows another one
            raise PluginError(f"{error}; this is keyfob {__version__}", hint=mended(declared)) from cause
        raise


def _registered(module: ModuleType, owner: str) -> pluggy.PluginManager:
    """The hooks of one module: registered alone, so that no other plugin can wrap them."""
    manager = pluggy.PluginManager("keyfob")
    manager.add_hookspecs(hooks)
    with isolated(owner, f"{module.__name__} broke", told=True):
        manager.register(module)
        manager.check_pending()
    return manager


def _call(module: ModuleType, hook: str, owner: str) -> object:
    """What one hook of one module returns."""
    manager = _registered(module, owner)
    with isolated(owner, f"{module.__name__} broke", told=True):
        results = getattr(manager.hook, hook)()
    if not isinstance(results, list) or not results:  # a wrapper of its own can make anything of them
        raise PluginError(f"{owner}: {module.__name__} has no {hook}() that is marked @hookimpl and returns something")
    return results[0]


def _chosen(offered: object, key: str, who: str) -> AuthPlugin[Any]:
    """The plugin with that key. Raises PluginError if there is none, or if it is not what the contract says."""
    if not isinstance(offered, list | tuple):
        raise PluginError(f"{who} returned a {type(offered).__name__}, not a list")
    plugin = next((plugin for plugin in offered if getattr(plugin, "key", None) == key), None)
    if plugin is None:
        raise PluginError(f"{who} returned no plugin with key `{key}`{_instead(offered)}")
    if isinstance(plugin, type):
        raise PluginError(f"{who} returned the class {plugin.__name__}, not an instance of it")
    options = getattr(plugin, "options", None)
    if not (isinstance(options, type) and issubclass(options, BaseModel)):
        raise PluginError(f"{who}: the plugin `{key}` has no pydantic model as its options")
    if not callable(getattr(plugin, "open", None)) and not callable(getattr(plugin, "records", None)):
        raise PluginError(f"{who}: the plugin `{key}` has no method open or records")
    unwritten = _unwritten(type(plugin))
    if unwritten:
        raise PluginError(f"{who}: the plugin `{key}` has no method {' and '.join(unwritten)}")
    return cast("AuthPlugin[Any]", plugin)


def _instead(offered: Iterable[object]) -> str:
    """The keys of the plugins that are there, as the end of a sentence."""
    keys = [f"`{key}`" for plugin in offered if isinstance(key := getattr(plugin, "key", None), str)]
    return f", but {' and '.join(keys)}" if keys else ""


def _unwritten(kind: type) -> list[str]:
    """The methods that its base class calls and leaves to its author; with an `open` of its own it may need none."""
    if getattr(getattr(kind, "open", StaticAuth), "__module__", None) != StaticAuth.__module__:
        return []
    return [f"{name}()" for name in dir(kind) if is_required(getattr_static(kind, name))]
