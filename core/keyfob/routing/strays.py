"""Strays: modules with a plugin's name that merely lie in the current folder, or wherever else Python looks first."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from keyfob.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec


def refuse_stray(module: str, owner: str, site_folders: Sequence[str]) -> None:
    """Raise PluginError if importing `module` would run a file that nobody installed.

    site_folders: where installers write to. A module that is loaded has been run already.
    """
    if module.partition(".")[0] in sys.modules:
        return
    found = _first_file(module, None)
    if found is not None and not _same(found, _first_file(module, _install_folders(site_folders))):
        message = f"{owner}: {module} would be imported from {found}, where nothing is installed"
        raise PluginError(message, hint="cd to another folder")


def _first_file(module: str, path: Sequence[str] | None) -> str | None:
    """The file that importing `module` runs first, looked for in `path` (None: sys.path). Runs nothing.

    A namespace package is no file, so what it holds is looked at.
    """
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = _spec(name, path)
        if spec is None:
            return None
        if spec.origin is not None:
            return spec.origin
        path = list(spec.submodule_search_locations or ())
    return None


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
