"""The plugins at hand: which are declared, which are refused and why, and the loading of one of them, in isolation."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import pluggy

from keyfob.config.places import site_folders
from keyfob.errors import PluginError
from keyfob.plugin import AuthPlugin, hooks
from keyfob.routing.builtin import MODULES, RESERVED_IDS, RESERVED_KEYS
from keyfob.routing.installed import Declaration, canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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


class Plugins:
    """The built-in plugins and those that installed distributions declare. `allowed`: allow-lists, each must agree."""

    def __init__(self, declared: Sequence[Declaration], allowed: Sequence[frozenset[str]] = ()) -> None:
        self._declared = declared
        self._allowed = [frozenset(map(canonical, names)) for names in allowed]
        self._loaded: dict[str, Loaded] = {}

    @cached_property
    def _judged(self) -> tuple[tuple[Declaration, ...], tuple[Refusal, ...]]:
        reasons = {declaration: self._refused(declaration) for declaration in self._declared}
        accepted = tuple(declaration for declaration, reason in reasons.items() if reason is None)
        return accepted, tuple(Refusal(declaration, reason) for declaration, reason in reasons.items() if reason)

    @property
    def accepted(self) -> tuple[Declaration, ...]:
        """The declarations that are heard."""
        return self._judged[0]

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """The declarations that are not."""
        return self._judged[1]

    def _refused(self, declaration: Declaration) -> str | None:
        if declaration.group == "keyfob.auth" and declaration.name in RESERVED_KEYS:
            return f"the key `{declaration.name}` is reserved"
        if declaration.group == "keyfob.providers" and declaration.name in RESERVED_IDS:
            return f"the provider id `{declaration.name}` is built in"
        if any(declaration.distribution not in names for names in self._allowed):
            return f"{declaration.distribution} is not in allow_plugins"
        rivals = sorted({str(other) for other in self._declared if _same_claim(other, declaration)})
        return f"{' and '.join(rivals)} both declare `{declaration.name}`" if len(rivals) > 1 else None

    def declared(self, group: str, name: str) -> Declaration | None:
        """Who declares that name. Raises PluginError if it is refused."""
        for declaration in self.accepted:
            if (declaration.group, declaration.name) == (group, name):
                return declaration
        for refusal in self.refused:
            if (refusal.declaration.group, refusal.declaration.name) == (group, name):
                raise PluginError(
                    f"`{name}`, declared by {refusal.declaration}, is refused: {refusal.reason}", hint="keyfob plugins"
                )
        return None

    def load(self, key: str) -> Loaded:
        """The plugin of that key, imported, registered and checked. Raises PluginError that names whose it is."""
        if key not in self._loaded:
            self._loaded[key] = self._load(key)
        return self._loaded[key]

    def _load(self, key: str) -> Loaded:
        if key in MODULES:
            distribution, version, module = "keyfob", _own_version(), _imported(MODULES[key], "keyfob")
        else:
            declaration = self.declared("keyfob.auth", key)
            if declaration is None:
                raise PluginError(f"no installed plugin handles `{key}`", hint="keyfob plugins")
            distribution, version = declaration.distribution, declaration.version
            module = _imported(declaration.module, str(declaration))
        return Loaded(_offered(module, key, f"{distribution} {version}"), distribution, version, _file(module))

    def shipped(self, provider: str) -> Mapping[str, Any] | None:
        """The entry that an installed distribution ships under that id, or None."""
        declaration = self.declared("keyfob.providers", provider)
        if declaration is None:
            return None
        entries = _call(_imported(declaration.module, str(declaration)), "keyfob_providers", str(declaration))
        if not isinstance(entries, dict) or not isinstance(entries.get(provider), dict):
            raise PluginError(f"{declaration}: keyfob_providers() has no entry `{provider}`")
        return cast("Mapping[str, Any]", entries[provider])


def _same_claim(one: Declaration, other: Declaration) -> bool:
    return (one.group, one.name) == (other.group, other.name) and one.group != "keyfob.events"


def _own_version() -> str:
    import keyfob

    return keyfob.__version__


def _file(module: ModuleType) -> str:
    return module.__file__ or module.__name__


def _imported(name: str, owner: str) -> ModuleType:
    """The module of a plugin, never one that merely lies in the current folder."""
    try:
        _refuse_stray(name, owner)
        return importlib.import_module(name)
    except PluginError:
        raise
    except Exception as error:
        raise PluginError(
            f"{owner}: {name} cannot be imported: {_cause(error)}", hint="keyfob plugins --check"
        ) from error


def _refuse_stray(name: str, owner: str) -> None:
    """Refuse a module that merely lies in the current folder or beside the script: it is not the distribution's."""
    top = name.partition(".")[0]
    if top in sys.modules:
        return
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        return
    package = spec.submodule_search_locations is not None
    found = os.path.dirname(os.path.dirname(spec.origin) if package else spec.origin)
    if os.path.realpath(found) not in _install_folders():
        raise PluginError(
            f"{owner}: {top} was found in {found}, where nothing is installed", hint="cd to another folder"
        )


def _install_folders() -> set[str]:
    """Site folders, what their .pth files add (they stand behind them in `sys.path`), and where keyfob itself is."""
    first = min((sys.path.index(folder) for folder in site_folders()), default=len(sys.path))
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return {os.path.realpath(folder) for folder in [*sys.path[first:], own]}


def _offered(module: ModuleType, key: str, owner: str) -> AuthPlugin[Any]:
    plugins = _call(module, "keyfob_auth_plugins", owner)
    for plugin in plugins if isinstance(plugins, list | tuple) else ():
        if getattr(plugin, "key", None) == key:
            _check(plugin, key, owner)
            return cast("AuthPlugin[Any]", plugin)
    raise PluginError(f"{owner}: keyfob_auth_plugins() of {module.__name__} has no plugin with key `{key}`")


def _check(plugin: object, key: str, owner: str) -> None:
    missing = [name for name in ("options", "open", "state") if not hasattr(plugin, name)]
    if missing:
        raise PluginError(f"{owner}: the plugin `{key}` lacks {', '.join(missing)}")


def _call(module: ModuleType, hook: str, owner: str) -> object:
    """What one hook of one module returns: registered alone, so that no other plugin can wrap it."""
    manager = pluggy.PluginManager("keyfob")
    manager.add_hookspecs(hooks)
    try:
        manager.register(module)
        manager.check_pending()
        results = getattr(manager.hook, hook)()
    except Exception as error:
        raise PluginError(
            f"{owner}: {module.__name__} broke: {_cause(error)}", hint="keyfob plugins --check"
        ) from error
    if not results:
        raise PluginError(f"{owner}: {module.__name__} has no hook {hook}()")
    return results[0]


def _cause(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
