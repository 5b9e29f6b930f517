"""Strays: modules with a plugin's name that merely lie in the current folder, or wherever else Python looks first."""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from keyfob.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.machinery import ModuleSpec


def refuse_stray(module: str, owner: str, site_folders: Sequence[str]) -> None:
    """Raise PluginError if importing `module` would run a file that nobody installed.

    site_folders: where installers write to. A module that is loaded has been run already, and so have its packages.
    """
    loaded = dict(sys.modules)  # one state for both looks: another thread may be importing it
    found = _first_file(module, None, loaded)
    if found is not None and not _same(found, _first_file(module, _install_folders(site_folders), loaded)):
        message = f"{owner}: {module} would be imported from {found}, where nothing is installed"
        raise PluginError(message, hint="cd to another folder")


def _first_file(module: str, path: Sequence[str] | None, modules: Mapping[str, ModuleType]) -> str | None:
    """The file that importing `module` runs first, looked for in `path` (None: sys.path). Runs nothing.

    modules: those that are loaded. A package among them is not run again, and a namespace package is no file: what they
    hold is looked at.
    """
    everywhere, name = path is None, ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec, loaded = _spec(name, path), modules.get(name)
        if loaded is None and spec is not None and spec.origin is not None:
            return spec.origin
        package = loaded if everywhere and loaded is not None else spec
        path = _search_path(package)
    return None


def _search_path(package: ModuleType | ModuleSpec | None) -> list[str]:
    """Where the parts of a package are looked for; nowhere, if it is none."""
    name = "__path__" if isinstance(package, ModuleType) else "submodule_search_locations"
    return list(getattr(package, name, None) or ())


def _spec(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """What Python's finders find; those of editable installs know their modules without any path."""
    found = (finder.find_spec(name, path) for finder in sys.meta_path if hasattr(finder, "find_spec"))
    return next(filter(None, found), None)


def _install_folders(site_folders: Sequence[str]) -> list[str]:
    """The site folders, what their .pth files add (it stands behind them in `sys.path`), and where keyfob itself is."""
    first = min((sys.path.index(folder) for folder in site_folders if folder in sys.path), default=len(sys.path))
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [*sys.path[first:], own]


def _same(one: str, other: str | None) -> bool:
    return other is not None and os.path.realpath(one) == os.path.realpath(other)
