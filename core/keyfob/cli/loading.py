"""The child of `keyfob plugins --check`: imports one plugin as keyfob would, and writes to stdout what is wrong.

Nothing but that reaches stdout, whatever the plugin prints. `ok` says that it is sound, so that a child that was
ended by the plugin is told from one that found nothing.
"""

from __future__ import annotations

import importlib
import os
import sys

from keyfob.errors import PluginError
from keyfob.routing.installed import Declaration

SOUND = "ok"


def main(arguments: list[str]) -> None:
    """Check the declaration whose group, name, module, distribution, version and path are given."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace") as answer:
        os.dup2(2, 1)
        answer.write(_verdict(Declaration(*arguments)))


def _verdict(declaration: Declaration) -> str:
    try:
        _load(declaration)
    except PluginError as error:
        return str(error)
    except BaseException as error:  # noqa: BLE001  # sys.exit() in a plugin is a finding, not our end
        return f"{declaration}: {declaration.module} cannot be imported: {type(error).__name__}: {error}"
    return SOUND


def _load(declaration: Declaration) -> None:
    from keyfob.routing.plugins import Plugins

    plugins = Plugins([declaration])
    if declaration.group == "keyfob.auth":
        plugins.load(declaration.name)
    elif declaration.group == "keyfob.providers":
        plugins.shipped(declaration.name)
    elif not hasattr(importlib.import_module(declaration.module), "keyfob_event"):
        raise PluginError(f"{declaration}: {declaration.module} has no hook keyfob_event()")


if __name__ == "__main__":
    main(sys.argv[1:])
